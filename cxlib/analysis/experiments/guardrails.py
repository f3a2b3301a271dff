"""Guardrails: is a treatment no worse than the control by more than a margin that was registered?

"No significant harm" is no evidence of none: a small experiment finds nothing. A guardrail turns the burden of proof
round: it holds where harm as large as the margin is ruled out (non-inferiority; Piaggio et al. 2012, JAMA 308:2594).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from cxlib import results
from cxlib.analysis.experiments.amounts import amount
from cxlib.errors import UsageError
from cxlib.measure import differences, estimates, intervals
from cxlib.measure.intervals import Limits
from cxlib.measure.moments import Moments, Numbers

HOLDS, WORSE, UNCLEAR, UNKNOWN = "holds", "worse", "unclear", "unknown"
KINDS = ("mean", "ratio", "share", "nps", "rate")

_WORDS = {
    HOLDS: "not worse by more than {margin} (registered margin)",
    WORSE: "worse, perhaps by more than {margin} (registered margin)",
    UNCLEAR: "could be worse by more than {margin} (registered margin)",
    UNKNOWN: "",
}
_WITHIN = "not worse by more than {margin}, but it did get worse (registered margin)"
_T_IS_Z = 1 + 1e-9  # half widths that exceed z standard errors by less are of z, or of t with endless degrees


def non_inferior(
    control: Moments,
    treatment: Moments,
    margin: float,
    *,
    higher_is_better: bool,
    alpha: float = 0.05,
    kind: str = "mean",
    scale: float = 1.0,
    unit: str = "",
) -> pd.DataFrame:
    """Test whether the treatment is no worse than the control by `margin` or more.

    Parameters
    ----------
    control, treatment
        Moments of scalars, or of arrays of one shape; of shares and events y holds 0 and 1, of NPS as the engine does.
    margin
        The largest harm that is put up with, above 0, in the metric's unit (shares 0 to 1), registered before launch.
    higher_is_better
        Which way harm lies.
    alpha
        The chance that harm of exactly the margin passes: one-sided.
    kind
        `mean` or `ratio` (Welch's t), `share` (Newcombe's hybrid score), `nps` (Welch's t, adjusted variances) or
        `rate` (exact Poisson limits); all robust to clusters.
    scale
        What means, ratios and rates are multiplied by.
    unit
        Of the metric, for the note.

    Returns
    -------
    pandas.DataFrame
        One result row per element, `comparison = "difference"`, treatment less control. The interval is the two-sided
        one of confidence 1 - 2 alpha: each of its limits is the one-sided limit of confidence 1 - alpha, and `method`
        says so. `p_value` is that of "worse by the margin or more": below alpha just where the limit on the harmful
        side stays within the margin. `note` has the reading (`read_limits`), and says where it got worse within it.

    Raises
    ------
    UsageError
        For a margin not above 0, an alpha outside (0, 0.5), an unknown kind, and for what are no Moments.

    Notes
    -----
    Source: the confidence-interval approach of ICH E9 and E10; shares Newcombe (1998) Statist. Med. 17:873, method 10,
    p-value by inversion. At an alpha of 5 % treatments that do harm of just the margin pass in 4.0 to 5.8 % of
    experiments of a hundred and more units an arm (by enumeration: shares of .02 to .98, margins of .02 to .1, arms of
    1 to 3; the tests), as with Farrington and Manning's score test (1990, Statist. Med. 9:1447).
    """
    faults = [] if isinstance(control, Moments) and isinstance(treatment, Moments) else ["a guardrail takes Moments"]
    faults += [] if kind in KINDS else [f"kind '{kind}' is none of {', '.join(KINDS)}"]
    if not 0 < scale < np.inf or (scale != 1 and kind in ("share", "nps")):
        faults.append(f"scale {scale:g}: above 0, and 1 for shares and NPS")
    check(margin, alpha, faults)
    at = -margin if higher_is_better else margin
    confidence = 1 - 2 * alpha
    if kind == "share":
        found, p_above = _shares(control, treatment, at, confidence)
    elif kind == "rate":
        found, p_above = _rates(control, treatment, at, confidence, scale)
    else:
        found, p_above = _by_t(control, treatment, at, confidence, kind, scale)
    return judged(found, p_above, margin, higher_is_better=higher_is_better, alpha=alpha, unit=unit)


def judged(
    found: pd.DataFrame, p_above: ArrayLike, margin: float, *, higher_is_better: bool, alpha: float, unit: str
) -> pd.DataFrame:
    """Return differences as rows of `non_inferior`.

    Parameters
    ----------
    found
        Differences with intervals of confidence 1 - 2 alpha.
    p_above
        The one-sided p-value of each lying at or below the harm of the margin (above it, where lower is better: one
        minus that is taken).
    margin, higher_is_better, alpha, unit
        As in `non_inferior`.
    """
    confidence = 1 - 2 * alpha
    p_value = np.asarray(p_above) if higher_is_better else 1 - np.asarray(p_above)
    name = f"non-inferiority, one-sided {_percent(1 - alpha)} (two-sided {_percent(confidence)})"
    read = read_limits(found, margin, higher_is_better=higher_is_better)
    most = found["conf_high"] if higher_is_better else -found["conf_low"]
    words = [_WITHIN if one == HOLDS and best < 0 else _WORDS[one] for one, best in zip(read, most, strict=True)]
    note = [told.format(margin=amount(margin, unit)) for told in words]
    known = (found["status"] == results.OK).to_numpy()
    return results.conform(
        found.assign(
            p_value=np.where(known, p_value, np.nan),
            method=found["method"] + ", " + name,
            note=np.where(known, _joined(note, found["note"]), found["note"]),
        )
    )


def check(margin: float, alpha: float, faults: Iterable[str] = ()) -> None:
    """Raise `UsageError` for a margin not above 0, an alpha outside (0, 0.5), and further faults, all at once."""
    told = list(faults)
    if not isinstance(margin, int | float | np.number) or isinstance(margin, bool) or not 0 < margin < np.inf:
        told.append(f"margin {margin!r} is not above 0: it is the largest harm put up with, without a sign")
    if not 0 < alpha < 0.5:
        told.append(f"alpha {alpha:g} is not between 0 and 0.5")
    if told:
        raise UsageError("; ".join(told), hint="Register the margin in the metric's unit; write 2 % as 0.02.")


def read_limits(rows: pd.DataFrame, margin: float | None, *, higher_is_better: bool) -> list[str]:
    """Return how each row of a guardrail reads, from its limits alone.

    Parameters
    ----------
    rows
        A result frame of differences, treatment less control.
    margin
        The registered margin; None where the plan names none: then only a row without any harm holds.
    higher_is_better
        Which way harm lies.

    Returns
    -------
    list of str
        `holds` (harm of the margin or more is ruled out, whether or not some smaller harm is shown; without a margin:
        harm of any size is), `worse` (harm is shown and that of the margin is not ruled out), `unclear` (neither: "not
        shown to be worse" clears nothing) or `unknown` (no limits), one per row.
    """
    low, high = (rows[name].to_numpy(dtype=float) for name in ("conf_low", "conf_high"))
    worst, best = (low, high) if higher_is_better else (-high, -low)
    out = []
    for least, most in zip(worst, best, strict=True):
        if np.isnan(least) or np.isnan(most):
            out.append(UNKNOWN)
        elif least >= 0 or (margin is not None and least > -margin):
            out.append(HOLDS)
        else:
            out.append(WORSE if most < 0 else UNCLEAR)
    return out


def guardrails(*rows: pd.DataFrame, alpha: float = 0.05) -> pd.DataFrame:
    """Tell whether all guardrails hold, for each treatment arm: every one of them must.

    Parameters
    ----------
    rows
        What `non_inferior` returned, each labelled with its metric and, in `at`, its arm.
    alpha
        That they were made with.

    Returns
    -------
    pandas.DataFrame
        One row per arm, sorted: metric `guardrails`, `comparison = "test"`; `estimate` is how many hold, `p_value` the
        largest of theirs, n the smallest; `undefined` where one of them cannot be judged.

    Notes
    -----
    Nothing is adjusted for their number. "Some guardrail is breached" is the null hypothesis, it is rejected only where
    every single test rejects, and whichever is breached passes its own test with a chance of at most alpha: so do all
    together (the intersection-union test; Berger 1982, Technometrics 24:295). The price is power: each must be sized.
    """
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha {alpha:g} is not between 0 and 0.5", hint="Write 5 % as 0.05.")
    together = results.concat(rows)
    if together.empty:
        raise UsageError("no guardrail was given", hint="Give the rows of non_inferior.")
    return results.concat(_arm_together(str(arm), part, alpha) for arm, part in together.groupby("at", sort=True))


def _arm_together(arm: str, part: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Return the row of one arm's guardrails together."""
    count, known = len(part), part["p_value"].notna()
    held = int((part["p_value"] < alpha).sum())
    lost = count - int(known.sum())
    if lost:
        note = f"{lost} of {count} guardrails could not be judged; {held} hold{'s' * (held == 1)}"
    elif held == count:
        note = f"all {count} guardrails hold" if count > 1 else "the guardrail holds"
    else:
        note = f"{count - held} of {count} guardrails {'does' if count - held == 1 else 'do'} not hold"
    against = part["against"].unique()
    return results.frame(
        metric="guardrails", at=arm, against=against[0] if len(against) == 1 else "", comparison="test",
        method="intersection-union, unadjusted", estimate=held, p_value=part["p_value"].max(), n=part["n"].min(),
        n_eff=part["n_eff"].min(), status=results.UNDEFINED if lost else results.OK, note=note,
    )  # fmt: skip


def _shares(control: Moments, treatment: Moments, at: float, confidence: float) -> tuple[pd.DataFrame, Numbers]:
    """Return differences of shares and the p-value of lying at or below `at`."""
    sides, n_eff = (treatment, control), (control.effective_n, treatment.effective_n)
    counts = [np.atleast_1d(estimates.successes_of(side)) for side in sides]
    sizes = [np.atleast_1d(side.rows) for side in sides]
    found = differences.share_difference(
        counts[0], sizes[0], counts[1], sizes[1], confidence=confidence, n_eff=n_eff[::-1]
    )
    worth = [np.atleast_1d(side.effective_n) for side in sides]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = [np.where(size > 0, count / size, np.nan) for count, size in zip(counts, sizes, strict=True)]

    def limits(side: int, level: Any) -> Limits:
        return intervals.share_limits(share[side], worth[side], level)

    return found, _above(share, limits, at)


def _rates(
    control: Moments, treatment: Moments, at: float, confidence: float, scale: float
) -> tuple[pd.DataFrame, Numbers]:
    """Return differences of rates and the p-value of lying at or below `at`."""
    found = differences.rate_difference(control, treatment, scale=scale, confidence=confidence)
    sides = []
    for side in (treatment, control):
        x = np.atleast_1d(side.sums["x"])
        sides.append((np.atleast_1d(side.sums["y"]), np.atleast_1d(side.overdispersion), np.where(x > 0, x, np.nan)))

    def limits(which: int, level: Any) -> Limits:
        y, deff, x = sides[which]
        low, high = intervals.poisson_limits(y / deff, level)
        return low * deff / x * scale, high * deff / x * scale

    return found, _above([y / x * scale for y, _, x in sides], limits, at)


def _above(values: list[Numbers], limits: Any, at: float) -> Numbers:
    """Return the one-sided p-value of a difference at or below `at`, by inverting MOVER there.

    The second estimate and its limits are moved by `at`, so that the difference tested against is 0.
    """

    def moved(side: int, level: Any) -> Limits:
        low, high = limits(side, level)
        return (low, high) if side == 0 else (low + at, high + at)

    middle = (values[0], values[1] + at)
    both = intervals.mover(middle, moved, 0.95, np.zeros(values[0].shape))[2]
    return np.where(middle[0] > middle[1], both / 2, 1 - both / 2)


def _by_t(
    control: Moments, treatment: Moments, at: float, confidence: float, kind: str, scale: float
) -> tuple[pd.DataFrame, Numbers]:
    """Return differences of means or scores and the p-value of lying at or below `at`, by the t of the interval."""
    if kind == "nps":
        counts = [estimates.promoters_of(side) for side in (control, treatment)]
        n_eff = (control.effective_n, treatment.effective_n)
        found = differences.nps_difference(counts[0], counts[1], confidence=confidence, n_eff=n_eff)
    else:
        found = estimates.scaled(differences.mean_difference(control, treatment, confidence=confidence), scale)
    value, error = (found[name].to_numpy() for name in ("estimate", "std_error"))
    half = np.fmax(value - found["conf_low"].to_numpy(), found["conf_high"].to_numpy() - value)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio, t = half / error, (value - at) / error
    student = ratio > intervals.z_of(confidence) * _T_IS_Z
    freedom = special.stdtridf((1 + confidence) / 2, np.where(student, ratio, np.nan))
    return found, np.where(student, stats.t.sf(t, np.where(student, freedom, 1)), stats.norm.sf(t))


def _joined(first: list[str], second: ArrayLike) -> list[str]:
    return [f"{one}; {other}" if other else one for one, other in zip(first, np.asarray(second), strict=True)]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
