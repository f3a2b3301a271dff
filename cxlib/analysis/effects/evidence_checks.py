"""The checks behind a grade of evidence: what each says of one estimate, in a word and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis.effects.choice import COUNTERFACTUAL, DID, MATCHING, STAGGERED, SYNTHETIC, effect_of
from cxlib.analysis.effects.event_study_trends import AVERAGE, FIRST
from cxlib.analysis.effects.sensitivity import STANDS
from cxlib.measure import verdicts

PASSES, UNCLEAR, FAILS, MISSING, NOT_ASKED = "passes", "unclear", "fails", "missing", "not asked"
_FEWEST = 5  # placebos, below which they tell nothing
# How large a drift is beside the swings seen before, in words: up to which figure each is used.
_FOLD = (
    (0.075, "far smaller than"), (0.15, "a tenth as large as"), (0.225, "a fifth as large as"),
    (0.29, "a quarter as large as"), (0.42, "a third as large as"), (0.6, "half as large as"),
    (0.9, "three quarters as large as"), (1.1, "about as large as"),
)  # fmt: skip


class Check(NamedTuple):
    """How a check came out (`passes`, `unclear`, `fails`, `missing`, `not asked`), and why, for people."""

    state: str
    why: str


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of an estimate; see `evidence.grade`."""

    design: str
    frame: pd.DataFrame
    effect: pd.Series
    pre_trend: pd.DataFrame | None
    placebos: pd.DataFrame | None
    negative_control: pd.DataFrame | None
    sensitivity: pd.DataFrame | None
    balance: pd.DataFrame | None
    groups: tuple[int, int] | None
    donors: int | None
    before: int | None
    alpha: float

    @property
    def shown(self) -> bool:
        """Whether the effect is told from none."""
        if np.isfinite(self.effect["p_value"]):
            return bool(self.effect["p_value"] < self.alpha)
        return bool(self.effect["conf_low"] > 0 or self.effect["conf_high"] < 0)

    @property
    def reach(self) -> float:
        """The size that a fault is held against: the effect, or half its interval where that is more."""
        half = (self.effect["conf_high"] - self.effect["conf_low"]) / 2
        return float(np.nanmax([abs(self.effect["estimate"]), half]))


def trend(given: Facts) -> Check:
    """Whether groups drifted apart before the start, and whether that could have been seen."""
    rows = _rows(given.pre_trend, "pre_trend")
    if rows is None or rows.empty:
        return Check(MISSING, "whether the groups moved alike before was not looked at")
    row = rows.iloc[0]
    if row["p_value"] < given.alpha or _earliest(given) < given.alpha:
        return Check(FAILS, "the groups moved apart before the start already")
    if row["status"] != results.OK:
        return Check(UNCLEAR, f"whether the groups moved alike before cannot be told: {row['note']}")
    if not _hidden_drift(given) <= given.reach / 2:
        return Check(UNCLEAR, "no drift before the start was found, but one that makes half of this could hide")
    return Check(PASSES, "the groups moved alike before the start, and a drift that mattered would have been seen")


def _hidden_drift(given: Facts) -> float:
    """Return what a steady drift that the tests would hardly have missed makes of the average effect; NaN if unknown.

    The sharper of the joint test and those of single periods: the check looks at both.
    """
    rows = _rows(given.pre_trend, "drift")
    rows = None if rows is None else rows[(rows["level"] == AVERAGE) & (rows["status"] == results.OK)]
    return np.nan if rows is None or rows.empty else float(rows["estimate"].min())


def _earliest(given: Facts) -> float:
    """Return the smallest p-value of a single period before, by Holm: a joint test of many periods sees little."""
    table = given.pre_trend
    if table is None:
        return 1.0
    rows = table[(table["level"] == "event") & table["at"].str.startswith("-") & table["p_value"].notna()]
    return float(verdicts.adjust(rows["p_value"].to_numpy(dtype=float), "holm").min()) if len(rows) else 1.0


def in_time(given: Facts) -> Check:
    """Whether starts that never were show as much."""
    return _placebos(given, "in time", "pretended starts before the real one", as_large=True)


def in_space(given: Facts) -> Check:
    """Whether those who were not touched show as much; series of another scale, whether they show anything."""
    series = given.design == COUNTERFACTUAL
    return _placebos(given, "in space", "untouched series" if series else "untouched groups", as_large=not series)


def _placebos(given: Facts, at: str, whom: str, *, as_large: bool) -> Check:
    if given.placebos is None:
        return Check(MISSING, f"no placebos among {whom} were tried")
    rows = given.placebos[(given.placebos["at"] == at) & (given.placebos["comparison"] == "difference")]
    rows = rows[rows["status"] == results.OK]
    count = len(rows)
    if not count:
        return Check(UNCLEAR, f"there are no {whom} to try placebos on")
    if given.shown and as_large:
        large = int((rows["estimate"].abs() >= abs(given.effect["estimate"]) * (1 - 1e-9)).sum())
        told = f"{large or 'none'} of {count} {whom} show{'s' * (large < 2)} an effect as large"
        share, good, bad = (1 + large) / (1 + count), 0.1, large / count > 0.25
    else:
        large = int((rows["p_value"] < given.alpha).sum())
        told = f"{large or 'none'} of {count} {whom} show{'s' * (large < 2)} an effect where there is none"
        share, good, bad = large / count, 0.2, large / count > 0.5
    if bad and (count >= _FEWEST or large > 1):
        return Check(FAILS, told)
    if count < _FEWEST:
        return Check(UNCLEAR, f"{told}; so few tell little")
    return Check(PASSES if share <= good else UNCLEAR, told)


def untouchable(given: Facts) -> Check:
    """Whether what the change cannot touch moves with it."""
    rows = given.negative_control
    if rows is None or rows.empty:
        return Check(MISSING, "no outcome that the change cannot touch was looked at")
    rows = rows[rows["comparison"] == "difference"]
    placebo = rows["at"] == "in space"
    own = [effect_of(part, "an outcome").to_frame().T for _, part in rows[~placebo].groupby("metric")]
    rows = results.concat([rows[placebo], *map(results.conform, own)])
    fine = rows[rows["status"] == results.OK]
    if fine.empty:
        return Check(UNCLEAR, "of what the change cannot touch there is too little to tell")
    moved = int((fine["p_value"] < given.alpha).sum())
    size = len(fine)
    if moved:
        what = "an outcome" if size == 1 else f"{moved} of {size} outcomes"
        return Check(FAILS, f"{what} that the change cannot touch moved as well: something else is at work")
    told = f"{'the one outcome' if size == 1 else f'all {size} outcomes'} that the change cannot touch stood still"
    if given.shown and _blind(fine, given).all():
        return Check(UNCLEAR, f"{told}, but an effect of this size could hide there")
    return Check(PASSES, told)


def _blind(rows: pd.DataFrame, given: Facts) -> NDArray[np.bool_]:
    """Return which controls' intervals hold an effect of this size, of either sign.

    As a share of the touched's mean before where both frames hold it (`did` gives it), else in the units they have.
    """
    own = _before(given.frame, str(given.effect["metric"]))
    bases = np.array([_before(given.negative_control, name) for name in rows["metric"]])
    scale = np.where(np.isfinite(bases) & np.isfinite(own), np.abs(bases / own), 1.0)
    size = abs(float(given.effect["estimate"])) * scale
    low, high = (rows[name].to_numpy(dtype=float) for name in ("conf_low", "conf_high"))
    return np.asarray(((low <= size) & (size <= high)) | ((low <= -size) & (-size <= high)))


def _before(table: pd.DataFrame | None, metric: str) -> float:
    """Return the mean of the touched before the change; NaN where the frame does not hold it, or it is 0."""
    if table is None:
        return np.nan
    rows = table[(table["metric"] == metric) & (table["comparison"] == "level") & (table["at"] == "before")]
    rows = rows[(rows["level"] == "treated") & (rows["estimate"] != 0)]
    return float(rows["estimate"].iloc[0]) if len(rows) else np.nan


def size(given: Facts) -> Check:
    """Whether there are enough groups, donors, periods or customers."""
    told, fault = _size(given)
    return Check(told, fault)


def _size(given: Facts) -> tuple[str, str]:
    if given.design in (DID, STAGGERED):
        if given.groups is None:
            return MISSING, "how many groups were touched is not said"
        touched, others = given.groups
        state = _graded(min(given.groups), 5, 1 if touched + others >= 5 else 5)
        return state, f"{touched} groups were touched and {others} not"
    if given.design == SYNTHETIC:
        if given.donors is None or given.before is None:
            return MISSING, "how many series were not touched, and for how long they were seen before, is not said"
        states = (_graded(given.donors, 19, 5), _graded(given.before, 24, 12))
        worst = max(states, key=(PASSES, UNCLEAR, FAILS).index)
        return worst, f"{given.donors} series were not touched; {given.before} periods before were seen"
    if given.design == MATCHING:
        many = float(given.effect["n_eff"])
        if not np.isfinite(many):
            return MISSING, "how many customers the comparison is worth is not said"
        return _graded(many, 100, 30), f"the comparison is worth {many:,.0f} customers"
    if given.before is None:
        return MISSING, "how many periods before were seen is not said"
    return _graded(given.before, 24, 12), f"{given.before} periods before were seen"


def _graded(found: float, enough: float, least: float) -> str:
    return PASSES if found >= enough else UNCLEAR if found >= least else FAILS


def bias(given: Facts) -> Check:
    """Whether what cannot be seen would have to be strong to undo the effect."""
    if not given.shown:
        return Check(NOT_ASKED, "no effect is shown that could be undone")
    return _strength(given) if given.design == MATCHING else _drift(given)


def _drift(given: Facts) -> Check:
    rows = _rows(given.pre_trend, "breakdown")
    if rows is None or rows.empty:
        return Check(MISSING, "how much drift the effect bears was not worked out")
    first = rows[rows["level"] == FIRST]
    row = (first if len(first) else rows).iloc[0]
    if row["status"] != results.OK:
        return Check(UNCLEAR, f"how much drift the effect bears cannot be told: {row['note']}")
    found = float(row["estimate"])
    state = _graded(found, 1.0, 0.5)
    told = _undone(found, "the effect of the first period" if len(first) else "the effect")
    if state == FAILS and trend(given).state == PASSES:  # what jumps between neighbouring periods is luck, not drift
        told = "single periods before are too noisy to bound a drift after the start; a steady one would have been seen"
        return Check(UNCLEAR, told)
    return Check(state, told)


def _undone(found: float, what: str) -> str:
    """Say how large a drift after the start would undo an effect, held against the swings seen before it."""
    if found == 0:
        return f"{what}, taken by itself, cannot be told from none"
    if not np.isfinite(found):
        return f"no drift like the swings seen before would undo {what}"
    size = next((word for most, word in _FOLD if found < most), f"{found:.2g} times as large as")
    swings = f"{size} the swings between single periods seen before"
    if found >= 1:
        return f"only an undetected drift {swings} would be enough to undo {what}"
    return f"an undetected drift {swings} would be enough to undo {what}"


def _strength(given: Facts) -> Check:
    rows = None if given.sensitivity is None else _rows(given.sensitivity, "robustness")
    if rows is None or rows.empty:
        return Check(MISSING, "how strong something unobserved would have to be was not worked out")
    limit = rows[(rows["at"] == "limit") & (rows["status"] == results.OK)]
    if limit.empty:
        return Check(UNCLEAR, "how strong something unobserved would have to be cannot be told")
    needed = float(limit["estimate"].iloc[0])
    told = f"something unobserved would have to explain {100 * needed:.2g} % of both who was touched and the outcome"
    known = _rows(given.sensitivity, "benchmark")
    known = known if known is None else known[known["at"] != ""]
    if known is None or known.empty:
        return Check(UNCLEAR, f"{told}; nothing observed to compare that with")
    stands = bool((known["at"] == STANDS).all())
    word = "would not undo the effect" if stands else "would undo the effect"
    return Check(PASSES if stands else FAILS, f"{told}; something as strong as the strongest observed {word}")


def balance(given: Facts) -> Check:
    """Whether touched and untouched are alike, after weighting or matching, in what is known."""
    if given.balance is None:
        return Check(MISSING, "whether those compared are alike was not looked at")
    rows = given.balance[(given.balance["at"] == "after") & (given.balance["comparison"] == "index")]
    rows = rows[rows["status"] == results.OK]
    if rows.empty:
        return Check(UNCLEAR, "whether those compared are alike cannot be told")
    worst = float(rows["estimate"].abs().max())
    told = f"those compared differ by at most {worst:.2f} standard deviations in what is known of them"
    return Check(PASSES if worst < 0.1 else UNCLEAR if worst < 0.2 else FAILS, told)


def overlap(given: Facts) -> Check:
    """Whether the touched have others like them."""
    rows = None if given.balance is None else _rows(given.balance, "overlap")
    if rows is None or rows.empty:
        return Check(MISSING, "whether all who were touched have others like them was not looked at")
    row = rows.iloc[0]
    if row["status"] != results.OK:
        return Check(UNCLEAR, f"whether all who were touched have others like them cannot be told: {row['note']}")
    share = float(row["estimate"])
    told = f"{100 * share:.2g} % of the touched have nobody like them"
    return Check(PASSES if share <= 0.02 else UNCLEAR if share <= 0.1 else FAILS, told)


def _rows(table: Any, metric: str) -> pd.DataFrame | None:
    return None if table is None else table[table["metric"] == metric]
