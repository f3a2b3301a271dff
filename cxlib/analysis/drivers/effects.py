"""What one point more of a driver is worth in points of the outcome: average marginal effects of an ordered logit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.drivers.columns import Driver, Given
from cxlib.analysis.drivers.covariance import imputed, spread
from cxlib.analysis.drivers.design import Design, design
from cxlib.analysis.drivers.fitted import DRIVER, is_binary, step, told
from cxlib.analysis.drivers.ordered import Ordered, ordered_logit
from cxlib.analysis.drivers.shares import identified, independent
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers

MOST_LEVELS = 30
IMPUTATIONS = 10
_NPS = {**dict.fromkeys(range(7), -100.0), 7: 0.0, 8: 0.0, 9: 100.0, 10: 100.0}
Points = str | Mapping[float, float]
_DETERMINED, _APART = "other drivers determine it", "it tells levels of the outcome apart without error"


def effects(
    frame: pd.DataFrame,
    outcome: str,
    drivers: Sequence[str],
    *,
    points: Points = "score",
    weights: Given = None,
    cluster: Given = None,
    not_applicable: Any = None,
    imputations: int = IMPUTATIONS,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Average marginal effect of each driver on the expected outcome, by an ordered logit.

    Parameters
    ----------
    frame, outcome, drivers, weights, cluster, not_applicable, confidence, min_n
        As in `importance.fit`; the outcome has at most 30 levels.
    points
        What a level of the outcome is worth: `score`, the number itself; `nps`, 100 for 9 and 10, -100 for 0 to 6; or
        a mapping of every level to its points (`{1: 0, 2: 0, 3: 0, 4: 100, 5: 100}`: a share in percentage points).
    imputations
        Where items were skipped, how many filled tables stand for them.
    rng
        What draws them; without one `numpy.random.default_rng(1)`.

    Returns
    -------
    pandas.DataFrame
        Result rows, one a driver in `level` (one a level of a categorical driver, against its commonest),
        `comparison = "difference"`. A number counts by the slope, per one point (`against` is `one point less`); 0 and
        1 by going from 0 to 1 (`no`). Where a driver does not apply to some, the effect is the mean over those to whom
        it does.

    Raises
    ------
    UsageError
        For columns that cannot be used, an outcome with too many levels, and levels without points.

    Notes
    -----
    McCullagh (1980); the error is that of the effect averaged over rows that are drawn themselves, by influence
    functions summed up per customer (Wooldridge 2010, Econometric Analysis, 12.5 and 15.6), normal interval. Skipped
    items: multiple imputation from the normal model of `covariance.spread`, the outcome in it, put together by Rubin's
    rules (1987, 3.1), t interval. Where a driver tells levels apart without error its slope has no end: a weak prior
    then holds all slopes (`ordered.ordered_logit`), and the method says so.
    """
    check_confidence(confidence)
    if imputations < 2:
        raise UsageError(f"imputations {imputations} are too few to tell what they differ by", hint="Take 10.")
    made = design(frame, outcome, drivers, weights=weights, cluster=cluster, not_applicable=not_applicable)
    trouble, effect, used, held = made.fault(), None, made.usable, ""
    if not trouble:
        worth, level = _worth(made, points)
        columns = np.array([0, *(place for driver in used for place in driver.columns)])
        tables = _tables(made, columns, imputations, doors.generator(rng))
        fits = [_effects(made, used, table, worth, level) for table in tables]
        reasons = [one for one in fits if isinstance(one, str)]
        trouble = (results.UNDEFINED, reasons[0]) if reasons else None
        fitted = [one for one in fits if not isinstance(one, str)]
        effect = None if reasons else _pooled(fitted, confidence)
        held = ", slopes held by a weak prior" if any(one.held for one in fitted) else ""
    kind = points if isinstance(points, str) else "points of each level"
    return _table(made, used, effect, trouble, f"ordered logit, average marginal effect on the {kind}{held}", min_n)


@dataclass(frozen=True)
class _Effect:
    """Average effects and their variances, shape (m,), or why there is none; and whether a prior held the slopes."""

    value: Numbers
    variance: Numbers
    why: np.ndarray
    held: bool


def _worth(made: Design, points: Points) -> tuple[Numbers, np.ndarray]:
    """Return the points of each level of the outcome, and the number of each row's level."""
    levels, level = np.unique(made.numbers[:, 0], return_inverse=True)
    if len(levels) > MOST_LEVELS:
        raise UsageError(
            f"outcome '{made.outcome}' has {len(levels)} values; an ordered logit takes at most {MOST_LEVELS}",
            hint="Use drivers.coefficients for an outcome that is measured.",
        )
    if points == "score":
        return levels, level.ravel()
    if isinstance(points, str) and points != "nps":
        raise UsageError(
            f"points '{points}' are not known; there are score, nps{did_you_mean(points, ('score', 'nps'))}"
        )
    table = _NPS if isinstance(points, str) else {float(name): float(value) for name, value in points.items()}
    lacking = [f"{one:g}" for one in levels if one not in table]
    if lacking:
        raise UsageError(f"no points for {len(lacking)} levels of '{made.outcome}': {', '.join(lacking)}")
    return np.array([table[one] for one in levels]), level.ravel()


def _tables(made: Design, columns: np.ndarray, times: int, rng: np.random.Generator) -> list[Numbers]:
    """Return the columns of the drivers, filled several times where items were skipped."""
    table = made.numbers[:, columns]
    if not np.isnan(table).any():
        return [table[:, 1:]]
    return [one[:, 1:] for one in imputed(made, columns, spread(made, columns), times, rng)]


def _effects(made: Design, used: Sequence[Driver], table: Numbers, worth: Numbers, level: np.ndarray) -> _Effect | str:
    """Return all effects with their variances from one filled table; missing where other drivers determine a column."""
    kept, apart = independent(table), identified(np.cov(np.column_stack([level, table]).T))
    fitted = ordered_logit(level, table[:, kept], made.weights)
    if isinstance(fitted, str):
        return fitted
    fitted = fitted.padded(kept)
    curve, place, found = _Curve(fitted, table, np.diff(worth)), 0, []
    for driver in used:
        mine = slice(place, place + len(driver.columns))
        place = mine.stop
        jumps = bool(driver.levels) or is_binary(made, driver)
        why = "" if (apart[mine].all() if jumps else apart[mine.start]) else _DETERMINED
        why = _APART if not jumps and fitted.steep[mine.start] else why
        found += [(*one, why) for one in _of_driver(driver, mine, curve, table, jumps)]
    influence = fitted.scores @ fitted.inverse
    values, variances = np.full((2, len(found)), np.nan)
    for number, (each, slope, share, why) in enumerate(found):
        if not why:
            weight = made.weights * share
            values[number] = weight @ each / weight.sum()
            rows = weight * (each - values[number]) / weight.sum() + influence @ slope(weight / weight.sum())
            sums = np.bincount(made.whose, weights=rows)
            variances[number] = sums @ sums * made.customers / (made.customers - 1)
    return _Effect(values, variances, np.array([one[3] for one in found], dtype=object), fitted.held)


@dataclass(frozen=True)
class _Curve:
    """The expected points of each row as a function of its line x beta, with derivatives."""

    fitted: Ordered
    table: Numbers
    steps: Numbers  # points gained at each cut

    def chance(self, line: Numbers) -> Numbers:
        """Return P(y <= k) per row and cut."""
        return expit(self.fitted.cuts - line[:, None])

    @cached_property
    def own(self) -> tuple[Numbers, Numbers, Numbers]:
        """Second derivative of P(y <= k) by cut where the rows are, and first and second of the points by the line."""
        below = self.chance(self.table @ self.fitted.beta)
        height = below * (1 - below)
        bend = height * (1 - 2 * below)
        return bend, height @ self.steps, bend @ self.steps


def _of_driver(
    driver: Driver, mine: slice, curve: _Curve, table: Numbers, jumps: bool
) -> list[tuple[Numbers, Any, Numbers]]:
    """Return for each row of a driver: the effect per answer, its gradient, and which answers it is averaged over."""
    first, away = mine.start, driver.number and len(driver.columns) > 1
    applies = 1.0 - table[:, first + 1] if away else np.ones(len(table))
    if not jumps:
        return [(*_slope(first, curve), applies)]
    without = table.copy()
    without[:, mine] = 0.0
    places = range(mine.start, mine.stop) if driver.levels else [first]
    return [(*_jump(place, without, curve), applies) for place in places]


def _slope(place: int, curve: _Curve) -> tuple[Numbers, Any]:
    """Return the slope of the expected points by one column, and its gradient by slopes and cuts."""
    beta, (bend, flat, bent) = curve.fitted.beta[place], curve.own

    def gradient(weight: Numbers) -> Numbers:
        by_slope = beta * (-bent * weight) @ curve.table
        by_slope[place] += weight @ flat
        return np.concatenate([by_slope, beta * (weight @ bend) * curve.steps])

    return beta * flat, gradient


def _jump(place: int, without: Numbers, curve: _Curve) -> tuple[Numbers, Any]:
    """Return what going from 0 to 1 in one column does to the expected points, and its gradient."""
    within = without.copy()
    within[:, place] = 1.0
    after, before = (curve.chance(table @ curve.fitted.beta) for table in (within, without))

    def gradient(weight: Numbers) -> Numbers:
        heights = [chance * (1 - chance) for chance in (after, before)]
        slopes = [weight * (height @ curve.steps) for height in heights]
        by_slope = slopes[0] @ within - slopes[1] @ without
        return np.concatenate([by_slope, -(weight @ (heights[0] - heights[1])) * curve.steps])

    return -after @ curve.steps - -before @ curve.steps, gradient


def _pooled(fits: Sequence[_Effect], confidence: float) -> dict[str, Numbers]:
    """Put the effects of all filled tables together (Rubin's rules)."""
    values, within = np.stack([one.value for one in fits]), np.mean([one.variance for one in fits], axis=0)
    value, freedom = values.mean(axis=0), np.full(values.shape[1], np.inf)
    total = within
    if len(fits) > 1:
        between = (1 + 1 / len(fits)) * values.var(axis=0, ddof=1)
        total = within + between
        with np.errstate(divide="ignore"):
            freedom = (len(fits) - 1) * (total / between) ** 2
    error = np.sqrt(total)
    half = stats.t.isf((1 - confidence) / 2, freedom) * error
    return {
        "estimate": value, "std_error": error, "conf_low": value - half, "conf_high": value + half,
        "p_value": 2 * stats.t.sf(np.abs(value) / error, freedom), "why": fits[0].why,
    }  # fmt: skip


def _table(
    made: Design, used: Sequence[Driver], found: dict[str, Numbers] | None, trouble: tuple[str, str] | None,
    method: str, min_n: int,
) -> pd.DataFrame:  # fmt: skip
    """Return rows in the caller's order, those without a number among them."""
    names = [(driver.name, level) for driver in used for level in driver.levels or ("",)]
    why = found.pop("why") if found else np.empty(0, dtype=object)
    words = {"metric": made.outcome, "segment": DRIVER, "comparison": "difference", "method": method}
    parts = []
    for driver in made.drivers:
        mine = [place for place, (name, _) in enumerate(names) if name == driver.name]
        if found is None or not mine:
            status, fault = trouble or (results.UNDEFINED, driver.fault)
            parts.append(
                results.frame(level=driver.name, against=step(driver, made), status=status, note=fault, **words)
            )
            continue
        labels = [f"{driver.name}: {names[place][1]}" if names[place][1] else driver.name for place in mine]
        numbers = {key: value[mine] for key, value in found.items()}
        sure = ~np.isnan(numbers["estimate"])
        note = np.where(sure, "; ".join(told(driver, made, "multiple imputation")), why[mine].astype(str))
        row = results.frame(
            level=labels, against=step(driver, made), n=float(len(made.numbers)), n_eff=made.kish,
            note=note, status=np.where(sure, results.OK, results.UNDEFINED),
            **words, **numbers,
        )  # fmt: skip
        parts.append(results.suppress(row, np.iinfo(np.int64).max if driver.known < min_n else 0))
    return results.concat(parts)
