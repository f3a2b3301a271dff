"""Whose path is compared with whose, and as of when: each end is matched with customers at risk at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxlib.analysis.journeys.doorway import DAY, fetch
from cxlib.analysis.journeys.doorway import known as there
from cxlib.measure.rows import Codes

if TYPE_CHECKING:
    import ibis.expr.types as ir

WHO, AT, TOUCH, ENDS = "_who", "_at", "_touch", "_ends"
_NEVER = np.iinfo(np.int64).max
_ROUNDS = 40  # in which customers are drawn for those who were not at risk


@dataclass(frozen=True)
class Study:
    """When ends count and how far back a path reaches: seconds since 1970, and seconds."""

    since: int
    until: int
    window: int
    gap: int
    controls: int
    most: int


def customers(events: ir.Table, study: Study, entry: str, leave: str) -> pd.DataFrame:
    """Return when each customer came, first ended so in the time that counts, and was gone; by customer.

    Columns `_who`, `came`, `ended`, `gone` (seconds; the last two far off where it did not happen).
    """
    import ibis

    before = events.filter(events[AT] < study.until)
    at = before[AT]
    firsts = {
        "came": at.min(where=before[entry]) if entry else at.min(),
        "ended": at.min(where=before[ENDS] & (at >= study.since)),
    }
    firsts |= {"gone": at.min(where=before[leave])} if leave else {}
    each = before.group_by(WHO).aggregate(**firsts)
    each = each if leave else each.mutate(gone=ibis.null("int64"))
    last = study.until - study.window - study.gap
    each = each.filter(each.came <= last, (each.gone >= study.since).fill_null(True))
    found = fetch(each.select(WHO, "came", ended=each.ended.fill_null(_NEVER), gone=each.gone.fill_null(_NEVER)))
    return found.sort_values(WHO, ignore_index=True)


def matched(known: pd.DataFrame, study: Study, rng: np.random.Generator) -> pd.DataFrame:
    """Return the paths to compare: `who` (place in `known`), `moment`, `inside` (whether it ended so then).

    Each first end of a customer who had been there for the whole look-back is a case. Each case is matched with
    customers drawn (with replacement) from all who at its moment had been there as long, were not gone and had not
    ended so since the study began; some of them end so later, which is as it must be.

    Source: Lubin and Gail (1984), Biometrics 40:63; Wacholder et al. (1992), Am. J. Epidemiol. 135:1029 (incidence
    density sampling: matching on time keeps controls from having had more, or less, time to do anything).
    """
    came, ended, gone = (known[name].to_numpy(dtype=np.int64) for name in ("came", "ended", "gone"))
    back = study.window + study.gap
    case = np.flatnonzero((ended < study.until) & (came <= ended - back) & (gone >= ended))
    if case.size > study.most:
        case = np.sort(rng.choice(case, study.most, replace=False))
    slots = np.repeat(ended[case], study.controls)
    drawn = np.full(slots.size, -1, dtype=np.int64)
    for _ in range(_ROUNDS):
        open_ = np.flatnonzero(drawn < 0)
        if not open_.size:
            break
        one = rng.integers(0, len(known), size=open_.size)
        moment = slots[open_]
        fits = (came[one] <= moment - back) & (ended[one] > moment) & (gone[one] > moment)
        drawn[open_[fits]] = one[fits]
    kept = drawn >= 0
    return pd.DataFrame(
        {
            "who": np.r_[case, drawn[kept]],
            "moment": np.r_[ended[case], slots[kept]],
            "inside": np.r_[np.ones(case.size, dtype=bool), np.zeros(int(kept.sum()), dtype=bool)],
        }
    )


def touches(events: ir.Table, known: pd.DataFrame, drawn: pd.DataFrame, study: Study, flags: list[str]) -> pd.DataFrame:
    """Return the events of each path, in order: `path` (place in `drawn`), `_at`, `_touch`, the flags, `early`.

    They reach back over two windows: those of the first are `early`, and only tell whether somebody was active then.

    Events that are no step are among them where a flag says what happened in them.
    """
    import ibis

    asked = pd.DataFrame(
        {
            "path": np.arange(len(drawn)),
            "_person": known[WHO].to_numpy()[drawn["who"].to_numpy()],
            "last": drawn["moment"].to_numpy() - study.gap,
        }
    )
    table = ibis.memtable(asked, schema={"path": "int64", "_person": "string", "last": "int64"})
    told = there(events[TOUCH])
    for flag in flags:
        told = told | events[flag]
    within = events.filter(events[AT] >= study.since - study.gap - 2 * study.window, events[AT] < study.until, told)
    same = [
        within[WHO] == table["_person"], within[AT] < table["last"], within[AT] >= table["last"] - 2 * study.window,
    ]  # fmt: skip
    met = within.inner_join(table, same)
    early = met[AT] < met["last"] - study.window
    met = met.select("path", AT, TOUCH, *flags, early=early)
    return fetch(met).sort_values(["path", AT, TOUCH, *flags], ignore_index=True)


def days(value: float) -> int:
    """Return days as seconds."""
    return round(value * DAY)


def place(values: Codes) -> Codes:
    """Return numbers as codes from 0, in their order."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
