"""Does a fit of proportional hazards hold? Ratios that change over time, and how well it tells who leaves first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis.loyalty.cox import CoxFit
from cxlib.analysis.loyalty.kaplan import curve
from cxlib.errors import UsageError
from cxlib.measure.intervals import check_confidence, z_of
from cxlib.measure.rows import Codes, Numbers

TRANSFORMS = ("km", "rank", "log", "identity")
_DIGITS = 10
_NONE = "the fit has no such coefficient"


def proportional_hazards(fit: CoxFit, *, transform: str = "km", confidence: float = 0.95) -> pd.DataFrame:
    """Test whether the hazard ratios stay the same over time.

    Parameters
    ----------
    fit
        What `cox` returned.
    transform
        What the ratios may change with: `km` (default; one minus the Kaplan-Meier estimate before each time, so that
        every event weighs about the same), `rank`, `log` or `identity` of the time.
    confidence
        One minus the p-value from which on `note` says in which direction a ratio moves.

    Returns
    -------
    pandas.DataFrame
        A result frame, metric `proportional_hazards`, `comparison = "test"`: one row a covariate (all its levels
        together) and one of level `all`; the chi-square as estimate and its p-value. A small p-value says that one
        ratio does not describe the whole time: stratify by it, or fit stretches of time apart.

    Raises
    ------
    UsageError
        For an unknown transform.

    Source: Grambsch and Therneau (1994) Biometrika 81:515, as the score test of R survival 3, `cox.zph`.
    """
    check_confidence(confidence)
    if transform not in TRANSFORMS:
        raise UsageError(f"'{transform}' is no transform of time; there are {', '.join(TRANSFORMS)}")
    terms = np.array([column.term for column in fit.columns])
    drawn = np.array([not column.idle for column in fit.columns])
    live = np.array([not why for why in fit.idle])[drawn]
    named = terms[drawn]
    if not live.any():
        rows = {"metric": "proportional_hazards", "segment": "covariate", "comparison": "test"}
        return results.frame(**rows, level=[*dict.fromkeys(terms), "all"], status=results.UNDEFINED, note=_NONE)
    pull, rest = _score(fit, transform, live)
    parts = []
    for level in [*dict.fromkeys(terms), "all"]:
        mine = np.flatnonzero((named[live] == level) | (level == "all"))
        parts.append(_test(fit, level, pull[mine], rest[np.ix_(mine, mine)], transform, confidence))
    return results.concat(parts)


def _score(fit: CoxFit, transform: str, live: np.ndarray) -> tuple[Numbers, Numbers]:
    """Return the gradient for coefficients times the transformed time, and its variance beside the coefficients."""
    risk, size = fit.risk, fit.risk.x.shape[1]
    eta = risk.x @ fit.solved.beta
    centre = _transformed(fit, transform)
    pull, cross, square = np.zeros(size), np.zeros((size, size)), np.zeros((size, size))
    for part, clock in zip(risk.strata, centre, strict=True):
        sums = risk.sums(part, eta)
        pull += clock[part.when] @ risk.x[part.rows][part.died] - clock[part.step] @ sums.mean
        cross += sums.spread(part, clock[part.step])
        square += sums.spread(part, clock[part.step] ** 2)
    here = np.ix_(live, live)
    plain = np.linalg.pinv(fit.solved.at.information[here], rcond=1e-13, hermitian=True)
    return pull[live], square[here] - cross[here] @ plain @ cross[here]


def _transformed(fit: CoxFit, transform: str) -> list[Numbers]:
    """Return the transformed times of each stratum, centred over those who left."""
    sample = fit.sample
    times = [part.times for part in fit.risk.strata]
    if transform == "km":
        whole = curve(sample.time, sample.event, sample.entry)
        heights = np.append(1.0, whole.survival)
        found = [1 - heights[np.searchsorted(whole.times, part, side="left")] for part in times]
    elif transform == "rank":
        gone = sample.time[sample.event == 1]
        order, ranks = np.sort(gone), stats.rankdata(np.sort(gone))
        found = [ranks[np.searchsorted(order, part)] for part in times]
    else:
        found = [np.log(np.maximum(part, np.finfo(float).tiny)) if transform == "log" else part for part in times]
    each = np.concatenate([clock[part.when] for clock, part in zip(found, fit.risk.strata, strict=True)])
    width = float(each.std()) or 1.0
    return [(clock - each.mean()) / width for clock in found]


def _test(fit: CoxFit, level: str, pull: Numbers, variance: Numbers, transform: str, confidence: float) -> pd.DataFrame:
    """Return the row of one covariate, or of all."""
    rows = {"metric": "proportional_hazards", "segment": "covariate", "level": level, "comparison": "test"}
    freedom = int(np.linalg.matrix_rank(variance, hermitian=True)) if pull.size else 0
    if not freedom:
        why = _NONE if not pull.size else "all who left did so at one time"
        return results.frame(**rows, status=results.UNDEFINED, note=why)
    slope = np.linalg.pinv(variance, hermitian=True) @ pull
    chi_square = float(pull @ slope)
    p_value = float(stats.chi2.sf(chi_square, freedom))
    way = "rises" if slope[0] > 0 else "falls"
    moving = p_value < 1 - confidence
    note = f"the ratio {way} as time passes" if pull.size == 1 and level != "all" else "ratios change over time"
    return results.frame(
        **rows, estimate=chi_square, p_value=p_value, n=float(fit.n), n_eff=float(fit.events),
        method=f"Grambsch-Therneau score test, {transform} time, {freedom} degree{'s' * (freedom != 1)} of freedom",
        note=note if moving else "",
    )  # fmt: skip


def concordance(fit: CoxFit, *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate how often the one of two customers with the higher predicted hazard left first.

    Parameters
    ----------
    fit
        What `cox` returned.
    confidence
        Of the interval, by the infinitesimal jackknife over customers and the normal distribution, clipped to 0 to 1.

    Returns
    -------
    pandas.DataFrame
        One row, metric `concordance`: 0.5 is a coin, 1 perfect order. Equal hazards count one half; pairs that left at
        the same time, or of which nobody knows who left first, do not count. `undefined` where there are no pairs.

    Source: Harrell et al. (1982) JAMA 247:2543; Therneau and Atkinson, R survival vignette "Concordance".
    """
    sample, eta = fit.sample, fit.risk.x @ fit.solved.beta
    score, pairs = np.zeros(eta.size), np.zeros(eta.size)
    for part in fit.risk.strata:
        entry = None if sample.entry is None else sample.entry[part.rows]
        own = _pairs(sample.time[part.rows], sample.event[part.rows], entry, eta[part.rows])
        score[part.rows], pairs[part.rows] = own
    total = pairs.sum() / 2
    name = {"metric": "concordance", "method": "Harrell's C, infinitesimal jackknife"}
    if not total:
        note = "there are no two customers of whom one is known to have left first"
        return results.frame(**name, status=results.UNDEFINED, note=note)
    value = float(score.sum() / 2 / total)
    weight = (score - value * pairs) / total
    weight = weight if sample.cluster is None else np.bincount(sample.cluster, weight)
    error = float(np.sqrt((weight**2).sum()))
    half = z_of(check_confidence(confidence)) * error
    return results.frame(
        **name, estimate=value, std_error=error, conf_low=max(value - half, 0.0), conf_high=min(value + half, 1.0),
        n=float(fit.n), n_eff=float(fit.events),
    )  # fmt: skip


def _pairs(time: Numbers, event: Numbers, entry: Numbers | None, eta: Numbers) -> tuple[Numbers, Numbers]:
    """Return what each row scores in the pairs it is part of (1 right, 1/2 a tie), and how many these are."""
    when, dead = np.unique(time, return_inverse=True)[1] * 2, event == 1
    until = np.where(dead, when, when + 1)  # who is still there when another leaves is there longer
    near = np.round(eta / (eta.std() or 1.0), _DIGITS)  # the same covariates, but for the last digits of a sum
    rank = np.unique(near, return_inverse=True)[1]
    score, pairs = np.zeros(time.size), np.zeros(time.size)
    sides = [(until, 1.0)]
    if entry is not None:  # those who were not watched yet are no pair
        sides.append((np.searchsorted(np.unique(time), entry, side="right") * 2, -1.0))
    for later, sign in sides:
        below, same, many = _counts(-when[dead], rank[dead], -later, rank)
        score[dead] += sign * (below + same / 2)
        pairs[dead] += sign * many
        below, same, many = _counts(later, -rank, when[dead], -rank[dead])
        score += sign * (below + same / 2)
        pairs += sign * many
    return score, pairs


def _counts(at: Codes, rank: Codes, of: Codes, ranks: Codes) -> tuple[Numbers, Numbers, Numbers]:
    """Count for each (at, rank) the points (of, ranks) with a smaller `of`: of smaller rank, of the same, all.

    By the bits of the rank: points below share its higher bits and have 0 where it has 1.
    """
    low = int(min(rank.min(), ranks.min())) if rank.size and ranks.size else 0
    mine, theirs = rank - low, ranks - low
    order = np.sort(of)
    place, points = np.searchsorted(order, at, side="left"), np.searchsorted(order, of, side="left")
    size = of.size + 1
    many = place.astype(float)
    below = np.zeros(at.size)
    for bit in range(int(max(mine.max(initial=0), theirs.max(initial=0))).bit_length()):
        keys = np.sort((theirs >> bit) * size + points)
        odd = (mine >> bit) & 1 == 1
        brother = (mine[odd] >> bit) - 1
        below[odd] += np.searchsorted(keys, brother * size + place[odd]) - np.searchsorted(keys, brother * size)
    keys = np.sort(theirs * size + points)
    same = np.searchsorted(keys, mine * size + place) - np.searchsorted(keys, mine * size)
    return below, same.astype(float), many
