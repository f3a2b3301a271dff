"""The chosen design's effect beside those of the others: do they agree, and what does the naive comparison mistake?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.effects.choice import AS_THEY_ARE, BEFORE_AFTER, BESIDE, TITLES, effect_of
from cxlib.analysis.experiments.amounts import amount, signed
from cxlib.errors import UsageError, did_you_mean

AGREES, DIFFERS, ALONE, UNKNOWN = "agrees", "differs", "alone", "unknown"
WAYS = TITLES | BESIDE
# Naive comparisons, in words: how the sentence begins, and whose the rest is. They are told and never counted.
_NAIVE = {
    AS_THEY_ARE: ("Touched and untouched as they are", "what they were like before", "was there before"),
    BEFORE_AFTER: ("Before and after", "what moved everywhere", "came with what moved everywhere"),
}
_APART = 2.0  # standard errors of a difference, as if independent, beyond which two designs differ


def agreement(
    chosen: pd.DataFrame, others: Mapping[str, pd.DataFrame], *, design: str = "", unit: str = ""
) -> pd.DataFrame:
    """Say in words whether other designs find what the chosen one does, and what before and after alone mistakes.

    Parameters
    ----------
    chosen
        What the chosen design returned; its effect is the first `difference`, of an interrupted series the average.
    others
        Design (one of `choice.DESIGNS` or `choice.BESIDE`) -> what it returned.
    design
        The chosen design's id, for its name.
    unit
        The metric's unit, or words that follow a number: `percent` for shares, `points`.

    Returns
    -------
    pandas.DataFrame
        One test row, metric `agreement`: at `agrees`, `differs`, `alone` (no other design gave a figure) or `unknown`;
        estimate = the largest distance from the chosen one in standard errors, as if the two were independent. They
        rest on the same customers, which makes them nearer than chance would: two that differ by 2 differ indeed, two
        that agree need not both be right. `before_after` and `as_they_are` are told and never counted.

    Raises
    ------
    UsageError
        For an unknown design, or a frame without a difference.
    """
    strange = sorted(set(others) - set(WAYS))
    if strange:
        raise UsageError(f"'{strange[0]}' is no design; there are {', '.join(WAYS)}{did_you_mean(strange[0], WAYS)}")
    main = effect_of(chosen, "the chosen design")
    common = {"metric": "agreement", "comparison": "test", "level": design, "method": "designs beside each other"}
    if not _has(main):
        note = f"the chosen design gave no figure: {main['note']}"
        return results.frame(at=UNKNOWN, status=results.UNDEFINED, note=note, **common)
    rows = {name: effect_of(others[name], name) for name in WAYS if name in others and name != design}
    fine = {name: row for name, row in rows.items() if name not in _NAIVE and _has(row)}
    apart = {name: _distance(main, row) for name, row in fine.items()}
    words = _compared(main, fine, apart, unit)
    words += [
        _naive(name, float(rows[name]["estimate"]), main, unit) for name in _NAIVE if name in rows and _has(rows[name])
    ]
    far = max(apart.values(), default=0.0)
    at = ALONE if not fine else DIFFERS if far > _APART else AGREES
    return results.frame(at=at, estimate=far, n=float(len(fine)), note=" ".join(words), **common)


def _has(row: pd.Series) -> bool:
    return bool(row["status"] == results.OK and np.isfinite(row["estimate"]))


def _error(row: pd.Series) -> float:
    """Return the standard error, else a quarter of the interval; 0 where there is neither."""
    found = row["std_error"] if np.isfinite(row["std_error"]) else (row["conf_high"] - row["conf_low"]) / 4
    return float(found) if np.isfinite(found) else 0.0


def _distance(one: pd.Series, other: pd.Series) -> float:
    gap = abs(float(one["estimate"] - other["estimate"]))
    error = float(np.hypot(_error(one), _error(other)))
    return 0.0 if gap == 0 else gap / error if error > 0 else 99.0


def _compared(main: pd.Series, fine: dict[str, pd.Series], apart: dict[str, float], unit: str) -> list[str]:
    """Return sentences on the designs that agree and those that do not."""
    if not fine:
        return ["No other design gave a figure to compare with."]
    alike = [name for name in fine if apart[name] <= _APART]
    other = [name for name in fine if apart[name] > _APART]
    found = f"The chosen design finds {signed(float(main['estimate']), unit)}"
    words = []
    if alike:
        verb = "agrees" if len(alike) == 1 else "agree"
        words.append(f"{found}; {_listed(alike, fine, unit)} {verb} within what chance allows.")
    if other:
        verb = "differs" if len(other) == 1 else "differ"
        start = "But" if words else f"{found};"
        words.append(
            f"{start} {_listed(other, fine, unit)} {verb} by more than chance: the designs assume other things."
        )
    return words


def _listed(names: list[str], rows: dict[str, pd.Series], unit: str) -> str:
    told = [f"{WAYS[name]} ({signed(float(rows[name]['estimate']), unit)})" for name in names]
    return f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]


def _naive(name: str, naive: float, main: pd.Series, unit: str) -> str:
    """Return the sentence on what a naive comparison mistakes."""
    who, what, why = _NAIVE[name]
    effect, found = float(main["estimate"]), amount(abs(naive), unit)
    start = f"{who} differ by {'−' * (naive < 0)}{found}, the chosen design finds {signed(effect, unit)}"
    if main["conf_low"] <= 0 <= main["conf_high"]:
        return f"{start}, which cannot be told from nothing: the naive figure says no more than that."
    if abs(naive - effect) <= _APART * _error(main):
        return f"{start}: here the naive comparison is not far off, which nobody could have known without the other."
    rest = f"{signed(naive - effect, unit)}"
    if naive * effect >= 0 and abs(naive) > abs(effect):
        return f"{start}: the rest, {rest}, {why}."
    return f"{start}: {what}, {rest}, hid {'some of it' if naive * effect > 0 else 'it'}."
