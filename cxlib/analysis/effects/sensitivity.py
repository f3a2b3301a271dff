"""How strong something unobserved would have to be to undo an effect that nobody randomised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.effects import panels
from cxlib.analysis.effects.choice import effect_of
from cxlib.analysis.effects.clusters import CLASSICAL, least_squares
from cxlib.analysis.effects.matching_rows import rows_of, whitened
from cxlib.errors import UsageError
from cxlib.measure import intervals

PARTIAL = "partial R2 (Cinelli and Hazlett 2020)"
RATIO = "E-value (VanderWeele and Ding 2017)"
STANDS, UNDONE = "stands", "undone"
_OF_D = 0.91  # the logarithm of a risk ratio for each standard deviation (Chinn 2000; VanderWeele 2017)


def sensitivity(
    effect: pd.DataFrame,
    *,
    freedom: float | None = None,
    observed: pd.DataFrame | None = None,
    sd: float | None = None,
    baseline: float | None = None,
    share: float = 1.0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Say what something unobserved would have to explain to undo an effect, and how that compares with the observed.

    Parameters
    ----------
    effect
        What a design returned; its effect is taken, with its standard error.
    freedom
        Degrees of freedom of the regression behind the effect; by default those of `observed`, else n - 2, with which
        the figures are rather too low than too high.
    observed
        What `strengths` returned: the strongest covariate is the measure.
    sd
        Standard deviation of the outcome, for an E-value of means. Or:
    baseline
        Share without the change, for an E-value of a difference of shares, taken as known.
    share
        How much of the effect is to be undone; 1 is all of it (q of the paper).
    confidence
        1 - confidence is the size of the test that the limits speak of.

    Returns
    -------
    pandas.DataFrame
        Test rows with a reading each. Metric `robustness`, at `estimate` and `limit`: the share that something would
        have to explain of what is left of both who was touched and the outcome to undo the effect, or to make it not
        shown (RV_q and RV_q,alpha; Cinelli and Hazlett 2020, J. R. Stat. Soc. B 82:39, section 4.3); `partial_r2`, what
        it would have to explain of who was touched if it explained all that is left of the outcome; `benchmark`,
        level = the strongest covariate (that leaves least), at `stands` or `undone`: the effect that is left by
        something as strong (section 4.4); `e_value`, at `estimate` and `limit`: the least risk ratio, with being
        touched and with the outcome, that something must have (VanderWeele and Ding 2017, Ann. Intern. Med. 167:268),
        for means by exp(0.91 d).

        The first three are exact for least squares; for a weighted or matched effect they take its estimate and error
        for those of a regression.

    Raises
    ------
    UsageError
        Where there is no difference, for both or impossible `sd` and `baseline`, a share not above 0.
    """
    intervals.check_confidence(confidence)
    _check(sd, baseline, share)
    main = effect_of(effect, "the effect")
    if main["status"] != results.OK or not main["std_error"] > 0:
        why = main["note"] if main["status"] != results.OK else "the effect has no standard error"
        return _row("robustness", PARTIAL, at="estimate", status=results.UNDEFINED, note=f"nothing to undo: {why}")
    free = _freedom(freedom, observed, float(main["n"]))
    if not free > 1:
        note = "too few rows behind the effect"
        return _row("robustness", PARTIAL, at="estimate", status=results.TOO_FEW, note=note)
    t_value = float(main["estimate"] / main["std_error"])
    parts = [_robustness(t_value, free, share, confidence)]
    if observed is not None:
        parts.append(_benchmark(main, free, observed, confidence))
    if sd is not None or baseline is not None:
        parts.append(_e_values(main, sd, baseline, confidence))
    return results.label(results.concat(parts), segment="all")


def strengths(frame: pd.DataFrame, *, outcome: str, treated: str, covariates: Sequence[str]) -> pd.DataFrame:
    """Say what each covariate explains of who was touched, and of the outcome, once the others are known.

    Parameters
    ----------
    frame, outcome, treated, covariates
        As in `weighting`.

    Returns
    -------
    pandas.DataFrame
        Metric `strength`, comparison `share`: level = covariate (all its levels together), at `treated` and `outcome`:
        its partial R2 in the linear regressions of treated on covariates and of outcome on treated and covariates.
        `n_eff` holds the degrees of freedom of the latter.

    Raises
    ------
    UsageError
        As in `weighting`.
    """
    names = doors.names(covariates)
    rows = rows_of(frame, outcome=outcome, treated=treated, covariates=names)
    touched = rows.treated.astype(float)
    columns = [_own(rows.x, rows.names, frame, name) for name in names]
    found, free = [], _left(touched[:, None], rows.x, rows.y.size)
    for name, mine in zip(names, columns, strict=True):
        others = rows.x[:, ~mine]
        for at, y, kept in (("treated", touched, others), ("outcome", rows.y, np.column_stack([touched, others]))):
            whole = np.column_stack([rows.x, touched] if at == "outcome" else [rows.x])
            less, more = _rest(kept, y), _rest(whole, y)
            known = less > 1e-12 * max(float(y @ y), 1e-300) and free > 1
            found.append(results.frame(
                metric="strength", comparison="share", level=name, at=at, method="partial R2, linear regression",
                n=rows.y.size, n_eff=free, estimate=max(1 - more / less, 0.0) if known else 0.0,
                status=results.OK if known else results.UNDEFINED,
                note="" if known else "nothing is left to explain once the others are known",
            ))  # fmt: skip
    return results.concat(found)


def e_value(ratio: Any, conf_low: Any = np.nan, conf_high: Any = np.nan) -> tuple[float, float]:
    """Return the E-values of a risk ratio and of the limit nearer to 1: RR + sqrt(RR (RR - 1)), RR turned above 1.

    Parameters
    ----------
    ratio, conf_low, conf_high
        The risk ratio, above 0, and its limits; NaN where there are none.

    Returns
    -------
    tuple
        1 for the limit where the interval holds 1; NaN where it is not given.
    """
    value, low, high = (float(doors.numbers("ratio", one)) for one in (ratio, conf_low, conf_high))
    if not value > 0:
        raise UsageError(f"a risk ratio of {value:g} is not above 0")
    near = low if value >= 1 else high
    crossed = (near <= 1) if value >= 1 else (near >= 1)
    return _e(value), np.nan if np.isnan(near) else 1.0 if crossed else _e(near)


def robustness(t_value: float, freedom: float, share: float = 1.0, alpha: float = 1.0) -> float:
    """Return RV_q,alpha of a t statistic; alpha = 1 gives RV_q (Cinelli and Hazlett 2020, section 4.3).

    Where a confounder that explains less of the outcome than of the treatment does the most harm, that one (their
    package since 0.1.5; Cinelli and Hazlett 2025, Biometrika, "extreme robustness value").
    """
    f = share * abs(t_value) / np.sqrt(freedom)
    cut = float(stats.t.isf(alpha / 2, freedom - 1)) / np.sqrt(freedom - 1) if alpha < 1 else 0.0
    if f <= cut:
        return 0.0
    if cut > 0 and f > 1 / cut:
        return float((f**2 - cut**2) / (1 + f**2))
    return float((np.sqrt((f - cut) ** 4 + 4 * (f - cut) ** 2) - (f - cut) ** 2) / 2)


def bounds(treated: float, outcome: float, times: float = 1.0) -> tuple[float, float]:
    """Return what something `times` as strong as a covariate explains of treatment and outcome, at most.

    Parameters
    ----------
    treated, outcome
        The covariate's partial R2 with treatment, and with outcome given treatment.
    times
        How many times as strong (Cinelli and Hazlett 2020, section 4.4, k_D = k_Y).

    Returns
    -------
    tuple
        Partial R2 with treatment and outcome; NaN where nothing can be as strong.
    """
    if treated >= 1 or outcome >= 1 or times * treated / (1 - treated) >= 1:
        return np.nan, np.nan
    tied = times * treated**2 / ((1 - times * treated) * (1 - treated))
    if tied >= 1:
        return np.nan, np.nan
    both = ((np.sqrt(times) + np.sqrt(tied)) / np.sqrt(1 - tied)) ** 2 * outcome / (1 - outcome)
    return times * treated / (1 - treated), min(float(both), 1.0)


def adjusted(estimate: float, error: float, freedom: float, treated: float, outcome: float) -> tuple[float, float]:
    """Return estimate and standard error with a confounder of these partial R2 allowed for (section 4.1)."""
    bias = error * np.sqrt(freedom * outcome * treated / (1 - treated))
    own = error * np.sqrt((1 - outcome) / (1 - treated) * freedom / (freedom - 1))
    return float(estimate - np.sign(estimate) * bias), float(own)


def _check(sd: float | None, baseline: float | None, share: float) -> None:
    faults = ["both sd and baseline are given"] * (sd is not None and baseline is not None)
    faults += [f"sd {sd} is not above 0"] * (sd is not None and not sd > 0)
    faults += [f"baseline {baseline} is no share between 0 and 1"] * (baseline is not None and not 0 < baseline < 1)
    faults += [f"share {share} is not above 0"] * (not share > 0)
    if faults:
        raise UsageError("; ".join(faults), hint="Give sd for means, baseline for shares.")


def _freedom(given: float | None, observed: pd.DataFrame | None, n: float) -> float:
    if given is not None:
        return float(doors.numbers("freedom", given))
    if observed is not None and observed["n_eff"].notna().any():
        return float(observed["n_eff"].max())
    return n - 2


def _robustness(t_value: float, free: float, share: float, confidence: float) -> pd.DataFrame:
    """Return the rows of robustness and partial R2."""
    whole, limit = robustness(t_value, free, share), robustness(t_value, free, share, 1 - confidence)
    r2 = t_value**2 / (t_value**2 + free)
    what = "this" if share == 1 else f"{100 * share:.3g} % of this"
    both = "what is left of both who was touched and the outcome"
    told = [
        f"Something unobserved would have to explain {_percent(whole)} of {both} to undo {what}",
        f"To make {'it' if share == 1 else what} no longer shown it would have to explain {_percent(limit)} of them"
        if limit > 0
        else "No effect is shown as it is: nothing unobserved is needed for that",
        f"If it explained all that is left of the outcome, {_percent(r2)} of who was touched would be enough",
    ]
    return results.frame(
        metric=["robustness", "robustness", "partial_r2"], at=["estimate", "limit", "estimate"], comparison="test",
        method=PARTIAL, estimate=[whole, limit, r2], note=told,
    )  # fmt: skip


def _benchmark(main: pd.Series, free: float, observed: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return what is left of the effect by something as strong as the covariate that leaves least."""
    table = observed[observed["status"] == results.OK].pivot_table(index="level", columns="at", values="estimate")
    if not {"treated", "outcome"} <= set(table.columns) or table.dropna().empty:
        return _row("benchmark", PARTIAL, status=results.UNDEFINED, note="nothing observed to compare with")
    cutoff, found = float(stats.t.isf((1 - confidence) / 2, free - 1)), []
    for name, known in table.dropna().iterrows():
        pair = bounds(float(known["treated"]), float(known["outcome"]))
        value, error = adjusted(float(main["estimate"]), float(main["std_error"]), free, *pair)
        found.append((str(name), pair, value, error))
    least = min(found, key=lambda one: np.sign(main["estimate"]) * one[2] - cutoff * one[3] if _known(one) else -np.inf)
    name, pair, value, error = least
    if not _known(least):
        told = "Nothing could be as strong as the strongest observed: it explains half of who was touched, or more"
        return _row("benchmark", PARTIAL, level=name, at=UNDONE, status=results.UNDEFINED, note=told)
    stands = np.sign(main["estimate"]) * value > cutoff * error
    told = f"Something as strong as the strongest observed would leave {value:.3g}, " + (
        "which still shows" if stands else "which could be nothing"
    )
    half, p_value = cutoff * error, 2 * stats.t.sf(abs(value) / error, free - 1) if error > 0 else 0.0
    return _row(
        "benchmark", PARTIAL, level=name, at=STANDS if stands else UNDONE, estimate=value, std_error=error,
        conf_low=value - half, conf_high=value + half, p_value=p_value, note=told,
    )  # fmt: skip


def _known(found: tuple[str, tuple[float, float], float, float]) -> bool:
    return bool(np.isfinite(found[2]) and np.isfinite(found[3]))


def _e_values(main: pd.Series, sd: float | None, baseline: float | None, confidence: float) -> pd.DataFrame:
    """Return the rows of the E-values."""
    values = np.array([main["estimate"], main["conf_low"], main["conf_high"]], dtype=float)
    if sd is not None:
        half = intervals.z_of(confidence) * float(main["std_error"])
        ratios = np.exp(_OF_D / sd * np.array([values[0], values[0] - half, values[0] + half]))
    else:
        ratios = (values + float(baseline or 0)) / float(baseline or 1)
    if not ratios[0] > 0:
        return _row("e_value", RATIO, at="estimate", status=results.UNDEFINED, note="the share would fall below 0")
    point, limit = e_value(*ratios)
    what = (
        f"Something unobserved would have to go with being touched and with the outcome by a risk ratio of {point:.2f}"
    )
    near = f"A risk ratio of {limit:.2f} each would make it no longer shown"
    told = [f"{what} each to undo this", near if limit > 1 else "No effect is shown as it is"]
    known = [results.OK, results.OK if np.isfinite(limit) else results.UNDEFINED]
    return results.frame(
        metric="e_value", at=["estimate", "limit"], comparison="test", method=RATIO, estimate=[point, limit], note=told,
        status=known,
    )  # fmt: skip


def _e(ratio: float) -> float:
    up = ratio if ratio >= 1 else 1 / ratio
    return float(up + np.sqrt(up * (up - 1)))


def _own(x: Any, names: Sequence[str], frame: pd.DataFrame, name: str) -> Any:
    """Return which columns belong to a covariate."""
    width = panels.design(frame, [name])[0].shape[1]
    first = next((i for i, one in enumerate(names) if one == name or one.startswith(f"{name} = ")), 0)
    mine = np.zeros(x.shape[1], dtype=bool)
    mine[first : first + width] = True
    return mine


def _rest(x: Any, y: Any) -> float:
    """Return the sum of squares that a regression on a constant and the columns leaves."""
    fit = least_squares(np.column_stack([np.ones(y.size), whitened(x)]), y, errors=CLASSICAL)
    return float(fit.rest @ fit.rest) if fit is not None else 0.0


def _left(touched: Any, x: Any, size: int) -> float:
    return float(size - 1 - whitened(np.column_stack([touched, x])).shape[1])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _row(metric: str, method: str, **columns: Any) -> pd.DataFrame:
    return results.frame(metric=metric, comparison="test", method=method, **columns)
