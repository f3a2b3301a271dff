"""Paths that end in something against those that do not: which steps before the end go with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.analysis.journeys import at_risk, doorway, max_t
from cxlib.analysis.journeys.at_risk import AT, ENDS, TOUCH, WHO, Study
from cxlib.analysis.journeys.features import Features, common, features
from cxlib.errors import UsageError
from cxlib.measure import intervals

if TYPE_CHECKING:
    import ibis.expr.types as ir

METRIC = "path"
_FEWEST_DRAWS = 200
_METHOD = "difference of shares, Newcombe hybrid score, customers' bootstrap, max-T"


def paths(
    events: Any,
    outcome: str,
    *,
    customer: str,
    at: str,
    touchpoint: str,
    since: object = None,
    until: object = None,
    window: float = 90.0,
    gap: float = 0.0,
    entry: str = "",
    leave: str = "",
    marks: Mapping[str, str] | None = None,
    words: tuple[str, str] = ("ended so", "did not"),
    controls: int = 4,
    most: int = 5_000,
    least: float = 10.0,
    matters: float | None = 0.05,
    rng: np.random.Generator | None = None,
    draws: int = 1_000,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Compare the paths that end in `outcome` with those that do not, feature by feature.

    Both groups are looked at over the same `window` of days before a moment: of those who ended so their first end in
    [since, until), of the others the same moment of a customer whom they are matched with. See `at_risk.matched`: who
    had been there for less than the window is in neither group, so neither had more time for anything than the other.
    Nor is who had no step in as many days before the window: customers who sleep would make all that others do look
    like a way to the end.

    Parameters
    ----------
    events
        A pandas frame or an Ibis table, one row an event, as far back as `since` less two windows and the gap.
    outcome
        Column, true at the events that end a path.
    customer, at, touchpoint
        Columns; an event without a touchpoint is no step of a path.
    since, until
        When ends count; default from two windows and the gap after the first event to the last.
    window, gap
        Days that are looked at, and days between them and the end (what belongs to the end itself is no step to it).
    entry, leave
        Columns, true at events from which on, and up to which, somebody can end so; default the first event, never.
    marks
        Column, true at what happened in an event -> words for it, as in {"transferred": "handed on"}.
    words
        What the two groups are called.
    controls
        Customers drawn for each end.
    most
        Ends that are looked at; of more a random sample.
    least
        Features that fewer paths of the smaller group are expected to have, or not to have, are left out.
    matters
        The difference of shares that would matter, for the third verdict; None gives none.
    rng, draws
        Of the matching and the bootstrap.
    confidence
        1 less the family-wise error: of all intervals together.
    min_n
        Groups of fewer customers are suppressed.

    Returns
    -------
    pandas.DataFrame
        Result rows, metric `path`; `segment` is the kind of feature, `level` the feature in words. For each a
        `difference` (`at` those who ended so, `against` the others; simultaneous limits; max-T adjusted p-value;
        verdict; the largest first), and a `share` in each group (`at`, `against` empty; limits of its own). n counts
        customers.

    Raises
    ------
    UsageError
        For columns that are not there, moments and numbers that are none.
    """
    marks, rng = dict(marks or {}), doors.generator(rng)
    intervals.check_confidence(confidence)
    doors.whole("draws", draws, _FEWEST_DRAWS, 1_000_000)
    flags = [name for name in (entry, leave) if name]
    found = doorway.table(
        events, texts={WHO: customer, TOUCH: touchpoint}, times={AT: at},
        flags=list(dict.fromkeys([outcome, *flags, *marks])),
    ).drop_null([WHO, AT]).mutate(lambda table: table[outcome].name(ENDS))  # fmt: skip
    study = _study(found, since, until, (window, gap), (controls, most))
    known = at_risk.customers(found, study, entry, leave)
    drawn = at_risk.matched(known, study, rng)
    events = at_risk.touches(found, known, drawn, study, list(marks))
    drawn, events = _awake(drawn, events)
    many = _customers(drawn)
    if min(many) < max(min_n, 2):
        return _too_few(many, words, min_n)
    held = common(features(events, len(drawn), marks), drawn["inside"].to_numpy(), max(least, 1.0))
    if not held.names:
        return _undefined(words, "no step is common enough, or rare enough, to be compared")
    compared = max_t.compare(
        held.found, drawn["inside"].to_numpy(), at_risk.place(drawn["who"].to_numpy()), draws=draws,
        alpha=1 - confidence, rng=rng,
    )  # fmt: skip
    return _told(held, compared, many, words, study, confidence, matters)


def _awake(drawn: pd.DataFrame, events: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the paths of customers with a step in the window before the one looked at, and the events of the latter.

    Asking for a step within the window itself would make each more frequent step push down the share of all others.
    """
    early, path = events["early"].to_numpy(dtype=bool), events["path"].to_numpy(dtype=np.int64)
    kept = np.unique(path[early & events[TOUCH].notna().to_numpy()])
    events = events[~early & np.isin(path, kept)]
    places = np.searchsorted(kept, events["path"].to_numpy(dtype=np.int64))
    return drawn.iloc[kept].reset_index(drop=True), events.assign(path=places).reset_index(drop=True)


def _study(events: ir.Table, since: object, until: object, days: tuple[float, float], many: tuple[int, int]) -> Study:
    """Return what is studied; `UsageError` for times and numbers that are none."""
    for name, value, low in (("window", days[0], 0.0), ("gap", days[1], -1e-9)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < math.inf:
            raise UsageError(f"{name} {value!r} is no number of days")
    doors.whole("controls", many[0], 1, 100)
    doors.whole("most", many[1], 10, 10_000_000)
    window, gap = (at_risk.days(value) for value in days)
    first, last = doorway.stamp("since", since), doorway.stamp("until", until)
    if first is None or last is None:
        ends = doorway.fetch(events.aggregate(first=events[AT].min(), last=events[AT].max())).fillna(0).iloc[0]
        first = int(ends["first"]) + 2 * window + gap if first is None else first
        last = max(int(ends["last"]), first) + 1 if last is None else last
    if first >= last:
        raise UsageError("the time in which ends count is empty", hint="Give since before until.")
    return Study(first, last, window, gap, *many)


def _customers(drawn: pd.DataFrame) -> tuple[int, int]:
    """Return how many customers the two groups have."""
    each = drawn.groupby("inside")["who"].nunique()
    return int(each.get(True, 0)), int(each.get(False, 0))


def _too_few(many: tuple[int, int], words: tuple[str, str], min_n: int) -> pd.DataFrame:
    if not many[0]:
        return _undefined(words, "nobody who had been there long enough ended so in this time")
    if min(many) < min_n:
        row = _undefined(words, hiding.NOTE)
        return results.conform(row.assign(status=results.SUPPRESSED))
    return _undefined(words, "fewer than two customers on one side")


def _undefined(words: tuple[str, str], note: str) -> pd.DataFrame:
    return results.frame(
        metric=METRIC, segment="path", at=words[0], against=words[1], comparison="difference",
        status=results.UNDEFINED, note=note,
    )  # fmt: skip


def _told(
    held: Features, compared: max_t.Compared, many: tuple[int, int], words: tuple[str, str], study: Study,
    confidence: float, matters: float | None,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of all features, the largest difference first."""
    order = np.lexsort((np.array(held.names), -np.abs(compared.difference)))
    names, kinds = ([given[i] for i in order] for given in (held.names, held.kinds))
    limits = {"metric": METRIC, "segment": kinds, "level": names}
    value, error = compared.difference[order], compared.error[order]
    moved = compared.p_adjusted[order] < 1 - confidence
    smallest = max_t.smallest(error, compared.critical)
    blind = ~moved & (smallest > (math.inf if matters is None else matters))
    seen = [f"smallest change that could be seen: {100 * one:.1f} percentage points" for one in smallest]
    days = study.window / doorway.DAY
    method = f"{_METHOD} over {len(names)} features, {days:g} days before, matched on the moment"
    rows = [
        results.frame(
            **limits, at=words[0], against=words[1], comparison="difference", method=method, estimate=value,
            std_error=error, conf_low=compared.low[order], conf_high=compared.high[order],
            p_value=compared.p_value[order], p_adjusted=compared.p_adjusted[order], n=sum(many), n_eff=min(many),
            verdict=np.select([moved, blind], ["moved", "could not have been seen"], "not shown"),
            note=np.where(blind, seen, ""),
        )
    ]  # fmt: skip
    for word, share, free, size in zip(words, compared.shares, compared.independent, many, strict=True):
        low, high = intervals.wilson(share[order], free[order], confidence)
        own = np.sqrt(share * (1 - share) / free)
        rows.append(
            results.frame(
                **limits, at=word, comparison="share", method="share of paths, Wilson interval, customers as clusters",
                estimate=share[order], std_error=own[order], conf_low=low, conf_high=high, n=size, n_eff=free[order],
            )
        )  # fmt: skip
    return results.concat(rows)
