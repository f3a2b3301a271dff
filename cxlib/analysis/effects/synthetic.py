"""Synthetic control: one touched unit beside a weighted mean of untouched ones that went as it did before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.effects import series
from cxlib.analysis.effects import series_placebos as placebos
from cxlib.analysis.effects.synthetic_weights import LEAST_BEFORE, Gaps, each, gaps
from cxlib.errors import UsageError
from cxlib.measure import intervals

Numbers = NDArray[np.float64]

SYNTHETIC = "synthetic control"
_LEAST_DONORS = 3
_ROUNDING = 1e-10  # of the largest figure
_POOR = 0.1  # fits the time before worse than this share of the donors fit theirs


@dataclass(frozen=True)
class SyntheticFit:
    """What a synthetic control tells.

    Parameters
    ----------
    frame
        The effect, then the weights, see `synthetic_control`.
    path
        By time (`period`): at "actual" and "synthetic" (comparison `level`) and "effect" (`difference`), which has an
        interval from the start on.
    checks
        A test row at "fit before": the root mean squared gap before the start; `p_value` is the share of units, the
        touched one among them, whose own synthetic control fits no better.
    placebos
        The summing up first (at "placebo": the ratio of the gap after to the gap before, `p_value` by its rank); then
        for each donor (`level`) its effect at "in space" (`difference`) and its ratio at "ratio" (`test`); and for each
        pretended start its effect at "in time".
    """

    frame: pd.DataFrame
    path: pd.DataFrame
    checks: pd.DataFrame
    placebos: pd.DataFrame


@dataclass(frozen=True)
class _Panel:
    """The touched unit (the mean of several) as the outcome of a series whose controls are the donors."""

    given: series.Series
    donors: tuple[str, ...]
    notes: tuple[str, ...]


def synthetic_control(
    frame: pd.DataFrame, *, outcome: str, unit: str, time: str, treated: str, start: Any, ridge: float = 1e-6,
    intercept: bool = False, confidence: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Estimate the effect on a touched unit as its gap to a weighted mean of untouched ones.

    Parameters
    ----------
    frame
        One row per unit and time.
    outcome, unit, time, treated
        Columns: a number; any name; numbers, dates, months, weeks or quarters as "2026-10"; 1 for the unit that was
        touched (always, or from the start on), else 0. Several touched units are taken for one, their mean.
    start
        First time after the change.
    ridge
        Penalty on the weights, in units of the standard deviation of the donors' steps before the start.
    intercept
        Let the synthetic control lie above or below the unit by as much all along: for a unit at the edge of the others
        (Ferman and Pinto 2021, Quant. Econ. 12:1197).
    confidence
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        A result frame: the effect first (`difference`, at "average effect": the mean gap after the start), then a row
        for each donor (metric "weight", comparison `share`, `level` the donor), the heaviest first.

        `p_value` is by permutation: the rank of the ratio of the root mean squared gap after the start to that before,
        among the same ratios of every donor; with five donors it cannot be below 1/6. The limits are t, donors less 1
        degrees, times the standard deviation of the donors' effects, and as many times wider as the unit was missed by
        more than they were before the start. By simulation 95 % intervals hold the truth in 95 to 99 % of panels of 5
        to 38 donors.

        Fewer than 5 points before or 3 donors without a gap are `too_few`.

    Raises
    ------
    UsageError
        For columns that are missing or no numbers, a unit twice at one time, none touched or all, a start outside.

    Notes
    -----
    Abadie, Diamond and Hainmueller (2010, JASA 105:493), outcomes only; the error from placebos is that of
    Arkhangelsky, Athey, Hirshberg, Imbens and Wager (2021, Am. Econ. Rev. 111:4088), algorithm 4.
    """
    return fit_synthetic_control(
        frame, outcome=outcome, unit=unit, time=time, treated=treated, start=start, ridge=ridge, intercept=intercept,
        confidence=confidence,
    ).frame  # fmt: skip


def fit_synthetic_control(
    frame: pd.DataFrame, *, outcome: str, unit: str, time: str, treated: str, start: Any, ridge: float = 1e-6,
    intercept: bool = False, confidence: float = 0.95,
) -> SyntheticFit:  # fmt: skip
    """Return the same with the path for a chart, checks and placebos; parameters, errors as `synthetic_control`."""
    intervals.check_confidence(confidence)
    if not 0 <= float(doors.numbers("ridge", [ridge])[0]) < np.inf:
        raise UsageError(f"ridge {ridge!r} is no number of 0 or more")
    method = "synthetic control, level shifted" if intercept else "synthetic control, outcomes only"
    doors.require(doors.frame(frame), {"outcome": outcome, "unit": unit, "time": time, "treated": treated})
    if frame.empty:
        return _too_few(outcome, method, [series.NO_ROWS])
    panel = _panel(frame, outcome, {"unit": unit, "time": time, "treated": treated}, start)
    given, before = panel.given, int((~panel.given.post).sum())
    if before < LEAST_BEFORE or len(panel.donors) < _LEAST_DONORS:
        there = f"points before: {before}, whole donors: {len(panel.donors)}"
        return _too_few(outcome, method, [f"{there}; it takes {LEAST_BEFORE} and {_LEAST_DONORS}", *panel.notes])
    found = gaps(given.outcome, given.controls, before, ridge=ridge, intercept=intercept)
    others = each(given.controls, before, ridge=ridge, intercept=intercept)
    checks = _fit_before(outcome, found, others)
    effect = _effect(panel, outcome, found, others, method, confidence, checks["note"].iloc[0])
    tried = results.concat([
        _in_time(given, outcome, method, ridge=ridge, intercept=intercept), *_in_space(panel, outcome, others, method)
    ])  # fmt: skip
    return SyntheticFit(
        results.concat([effect, _weights(panel, found, method)]), _path(panel, outcome, found, others, confidence),
        checks, results.concat([_summary(tried, effect.iloc[0], found, others, method), tried]),
    )  # fmt: skip


def _too_few(outcome: str, method: str, notes: list[str]) -> SyntheticFit:
    """Return a fit without an effect, and why there is none."""
    row = results.frame(
        metric=outcome, at="average effect", comparison="difference", against=SYNTHETIC, method=method,
        status=results.TOO_FEW, note=placebos.joined(notes),
    )  # fmt: skip
    return SyntheticFit(row, results.empty(), results.empty(), results.empty())


def _panel(frame: pd.DataFrame, outcome: str, roles: dict[str, str], start: Any) -> _Panel:
    """Check the columns and bring them into one row per time, one column per unit."""
    values = doors.numbers_of(frame, dict.fromkeys((outcome, roles["treated"])))
    touched = values[roles["treated"]]
    if not np.isin(touched, (0, 1)).all():
        raise UsageError(f"{roles['treated']} holds other values than 0 and 1", hint="Write 1 for the touched unit.")
    if frame[[roles["unit"], roles["time"]]].isna().any(axis=None):
        raise UsageError(f"{roles['unit']} or {roles['time']} is missing in some rows")
    flat = pd.DataFrame({"unit": frame[roles["unit"]].astype(str).to_numpy(), "time": frame[roles["time"]].to_numpy(),
                         "value": values[outcome], "touched": touched})  # fmt: skip
    twice = flat.duplicated(["unit", "time"])
    if twice.any():
        sizes = flat.groupby(["unit", "time"], sort=True, observed=True).size()
        (name, when), count = sizes[sizes > 1].index[0], int(sizes[sizes > 1].iloc[0])
        raise UsageError(
            f"{name} has {count} rows for one {roles['time']}, {when}; of all pairs of {roles['unit']} and "
            f"{roles['time']} {int((sizes > 1).sum()):,} of {len(sizes):,} have several",
            hint="Take the mean of each unit and time first.",
        )
    ever = flat.groupby("unit")["touched"].max()
    if ever.nunique() < 2:
        raise UsageError(f"{roles['treated']} is the same for all units", hint="Write 1 for the touched, 0 for others.")
    table = flat.set_index(["time", "unit"])["value"].unstack("unit")  # noqa: PD010
    unit = table[ever.index[ever == 1]].mean(axis=1, skipna=False)
    rest = table[ever.index[ever == 0]]
    whole = rest[unit.notna()].notna().all()
    return _lined(outcome, roles["time"], unit, rest.loc[:, whole], start, int((~whole).sum()), int((ever == 1).sum()))


def _lined(
    outcome: str, time: str, unit: pd.Series, donors: pd.DataFrame, start: Any, lost: int, touched: int
) -> _Panel:
    """Put units in order of time; say what was left out."""
    names = tuple(donors.columns)
    values = {f"donor {name}": donors[name].to_numpy() for name in names} | {outcome: unit.to_numpy()}
    given = series.read(values, outcome=outcome, controls=[f"donor {name}" for name in names], times=unit.index,
                        start=start, time=time)  # fmt: skip
    notes = [*given.notes]
    if lost:
        notes.append(f"{lost} donor{'s' * (lost > 1)} with gaps left out")
    if touched > 1:
        notes.append(f"the mean of {touched} touched units")
    return _Panel(given, names, tuple(notes))


def _spread(found: Gaps, others: list[Gaps], confidence: float) -> tuple[Numbers, float]:
    """Return the error of the gap at each time, that of the effect last, and how many of it the limits lie off.

    Shape (t + 1,). The standard deviation among the donors; where the unit was missed by more than they were before the
    start, so many times as much.
    """
    from scipy import stats

    table = np.array([[*one.gap, one.effect] for one in others])
    usual = float(np.sqrt(np.mean([one.missed**2 for one in others])))
    wider = max(1.0, found.missed / usual) if usual > 0 else np.nan
    errors = table.std(axis=0, ddof=1) * wider
    return errors, float(stats.t.isf((1 - confidence) / 2, len(others) - 1))


def _rank(found: Gaps, others: list[Gaps]) -> tuple[int, int]:
    """Return the rank of the unit's ratio, ties with it counted against it, and of how many."""
    return 1 + sum(one.ratio >= found.ratio for one in others), 1 + len(others)


def _effect(
    panel: _Panel, outcome: str, found: Gaps, others: list[Gaps], method: str, confidence: float, poor: str
) -> pd.DataFrame:
    """Return the row of the effect."""
    errors, times = _spread(found, others, confidence)
    error, half = float(errors[-1]), times * float(errors[-1])
    rank, units = _rank(found, others)
    notes = [*panel.notes, f"rank {rank} of {units} units"]
    if 1 / units > 1 - confidence:
        notes.append(f"with {units - 1} donors the p-value cannot be below 1/{units}")
    known = error > _ROUNDING * float(np.abs(panel.given.controls).max())
    if not known:
        notes = ["the donors hardly differ from their own synthetic controls: nothing to judge by"]
    return results.frame(
        metric=outcome, period=panel.given.begins, at="average effect", comparison="difference",
        against=SYNTHETIC, method=f"{method}, limits from placebos, p-value by permutation", estimate=found.effect,
        std_error=error, conf_low=found.effect - half, conf_high=found.effect + half, p_value=rank / units,
        n=float(panel.given.outcome.size), note=placebos.joined([*notes, poor if "worse" in poor else ""]),
        status=results.OK if known else results.UNDEFINED,
    )  # fmt: skip


def _weights(panel: _Panel, found: Gaps, method: str) -> pd.DataFrame:
    order = np.lexsort((np.array(panel.donors), -found.weights))
    return results.frame(metric="weight", segment="donor", level=np.array(panel.donors)[order], comparison="share",
                         estimate=found.weights[order], method=method, n=float(found.before))  # fmt: skip


def _fit_before(outcome: str, found: Gaps, others: list[Gaps]) -> pd.DataFrame:
    """Return the row of the gap before the start, and whether it is large beside the donors'."""
    share = (1 + sum(one.missed >= found.missed for one in others)) / (1 + len(others))
    better = sum(one.missed < found.missed for one in others)
    words = f"{better} of {len(others)} donors are fitted better in the time before"
    if share <= max(_POOR, 1 / (1 + len(others))):
        words = (
            f"the time before is fitted worse than that of {better} of {len(others)} donors, and the limits are wider"
        )
    return results.frame(metric=outcome, at="fit before", comparison="test", estimate=found.missed, p_value=share,
                         n=float(found.before), method="root mean squared gap", note=words)  # fmt: skip


def _in_space(panel: _Panel, outcome: str, others: list[Gaps], method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return effect and ratio of every donor."""
    shared: dict[str, Any] = {"metric": outcome, "segment": placebos.PLACEBO, "level": np.array(panel.donors),
                              "method": method, "n": float(panel.given.outcome.size)}  # fmt: skip
    effects, ratios = np.array([one.effect for one in others]), np.array([one.ratio for one in others])
    fine = np.isfinite(ratios)
    return (
        results.frame(**shared, at=placebos.IN_SPACE, comparison="difference", against=SYNTHETIC, estimate=effects),
        results.frame(**shared, at="ratio", comparison="test", estimate=np.where(fine, ratios, np.nan),
                      status=np.where(fine, results.OK, results.UNDEFINED),
                      note=np.where(fine, "", "the time before is fitted exactly")),
    )  # fmt: skip


def _in_time(given: series.Series, outcome: str, method: str, *, ridge: float, intercept: bool) -> pd.DataFrame:
    """Return the effect at each pretended start, weights and gap from before the real one."""
    after = int(given.place[-1]) + 1 - given.start
    tries, length = placebos.starts(given.start, LEAST_BEFORE, after, 1)
    rows = []
    for start in tries:
        part = given.until(start + length, start)
        before = int((~part.post).sum())
        if part.post.any() and before >= LEAST_BEFORE:
            found = gaps(part.outcome, part.controls, before, ridge=ridge, intercept=intercept)
            rows.append(results.frame(
                metric=outcome, period=part.begins, segment=placebos.PLACEBO, level=part.begins,
                at=placebos.IN_TIME, comparison="difference", against=SYNTHETIC, method=method, estimate=found.effect,
                n=float(part.outcome.size),
            ))  # fmt: skip
    return results.concat(rows)


def _summary(tried: pd.DataFrame, effect: pd.Series, found: Gaps, others: list[Gaps], method: str) -> pd.DataFrame:
    """Return the row that sums up placebos in space and in time."""
    rank, units = _rank(found, others)
    words = f"the gap after over the gap before has rank {rank} of {units} units"
    time = placebos.summary(tried[tried["at"] == placebos.IN_TIME], effect, method)["note"].iloc[0]
    fine = bool(np.isfinite(found.ratio))
    return results.frame(
        metric=effect["metric"], at=placebos.PLACEBO, comparison="test", method=method, n=float(units),
        estimate=found.ratio if fine else np.nan, p_value=rank / units, note=f"{words}; {time}",
        status=results.OK if fine else results.UNDEFINED,
    )  # fmt: skip


def _path(panel: _Panel, outcome: str, found: Gaps, others: list[Gaps], confidence: float) -> pd.DataFrame:
    """Return the unit, its synthetic control and the gap, by time; limits of the gap from those of the donors."""
    given = panel.given
    shared: dict[str, Any] = {"metric": outcome, "period": np.array(given.labels), "n": 1.0, "method": SYNTHETIC}
    errors, times = _spread(found, others, confidence)
    error = np.where(given.post, errors[:-1], np.nan)
    half = times * error
    return results.concat([
        results.frame(**shared, at="actual", estimate=given.outcome),
        results.frame(**shared, at="synthetic", estimate=given.outcome - found.gap, std_error=error,
                      conf_low=given.outcome - found.gap - half, conf_high=given.outcome - found.gap + half),
        results.frame(**shared, at="effect", comparison="difference", against=SYNTHETIC, estimate=found.gap,
                      std_error=error, conf_low=found.gap - half, conf_high=found.gap + half),
    ])  # fmt: skip
