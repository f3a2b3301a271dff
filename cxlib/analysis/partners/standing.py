"""Where partners stand: rank intervals, and tiers that claim no more than the intervals do."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import generator
from cxlib.analysis.partners.fits import Fit, beside, hidden, nothing, raw, shrunk
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

AVERAGE = "all partners"  # what a partner's difference is against
_DRAWS, _AT_ONCE = 4_000, 500
_HALF = 0.5  # own weight below which the mean of all says more about a partner than its own answers


def ranks(
    found: Fit, *, higher_is_better: bool = True, rng: np.random.Generator | None = None, draws: int = _DRAWS
) -> pd.DataFrame:
    """Say which places a partner may have among K, 1 the best, by drawing the true values again and again.

    Parameters
    ----------
    found
        From `fit`.
    higher_is_better
        Whether large outcomes come first.
    rng
        Default `np.random.default_rng(1)`.
    draws
        From the posterior of all true values together.

    Returns
    -------
    pandas.DataFrame
        One row a partner, metric `rank`, against the outcome that they are ranked by: the mean rank (Laird and Louis
        1989, J. Educ. Stat. 14:29) and the interval of ranks that leaves at most (1 - confidence) / 2 of the draws to
        either side (Goldstein and Spiegelhalter 1996, JRSS A 159:385; Marshall and Spiegelhalter 1998, BMJ 316:1701).
    """
    if draws < 100:
        raise UsageError(f"{draws} draws are too few for an interval", hint="Take at least 100; 4,000 is the default.")
    if found.posterior is None or found.summary is None:
        return nothing(found, metric="rank", against=found.metric)
    rng = generator(rng)
    placed = _placed(found, rng, draws, -1.0 if higher_is_better else 1.0)
    tail = (1 - found.confidence) / 2
    low = np.quantile(placed, tail, axis=0, method="inverted_cdf")
    high = np.quantile(placed, 1 - tail, axis=0, method="inverted_cdf")
    table = results.frame(
        metric="rank", against=found.metric, segment=found.partner, level=np.array(found.summary.names, dtype=object),
        estimate=placed.mean(axis=0), std_error=placed.std(axis=0), conf_low=low, conf_high=high, n=found.summary.n,
        n_eff=found.summary.worth, method=f"rank in {draws:,} draws of the true values",
        note=f"of {found.summary.n.size:,} partners, 1 is the best",
    )  # fmt: skip
    return hidden(table, found)


def _placed(found: Fit, rng: np.random.Generator, draws: int, sign: float) -> Numbers:
    """Return the rank of each partner in each draw, shape (draws, K)."""
    assert found.posterior is not None
    parts = []
    for start in range(0, draws, _AT_ONCE):
        value = sign * found.posterior.draws(rng, min(_AT_ONCE, draws - start))
        order = np.argsort(value, axis=1, kind="stable")
        place = np.empty(order.shape, dtype=np.int32)
        np.put_along_axis(place, order, np.arange(1, order.shape[1] + 1, dtype=np.int32)[None, :], axis=1)
        parts.append(place)
    return np.concatenate(parts)


def tiers(found: Fit, *, matters: float | None = None, rng: np.random.Generator | None = None) -> pd.DataFrame:
    """Say of each partner whether it differs from all partners together, and where its answers are too few to tell.

    Parameters
    ----------
    found
        From `fit`.
    matters
        The smallest difference that matters, in the unit of the outcome.
    rng
        For shares, whose differences are drawn; default `np.random.default_rng(1)`.

    Returns
    -------
    pandas.DataFrame
        One row a partner, `comparison = "difference"`, against all partners together (each by its share of the
        answers): the shrunk difference with its interval. Verdict `moved` where the interval leaves out 0: better or
        worse, by its sign. Else `could not have been seen` where the interval reaches beyond `matters`, or, where that
        is not given, where the partner's own answers weigh less than the mean of all; and `not shown` otherwise. `note`
        tells the probability that the sign is wrong.

    Notes
    -----
    Shrinkage is the correction for many partners (Gelman, Hill and Yajima 2012, J. Res. Educ. Eff. 5:189): among all
    `moved`, at most (1 - confidence) / 2 are expected to have the wrong sign, whatever the number of partners.
    """
    if found.posterior is None or found.summary is None:
        return nothing(found, comparison="difference", against=AVERAGE)
    if matters is not None and not matters > 0:
        raise UsageError(f"the difference that matters, {matters:g}, is not above 0")
    gap = beside(found, generator(rng))
    low, high = gap.limits(found.confidence)
    under = gap.below(np.zeros(gap.mean.size))
    wrong = np.minimum(under, 1 - under)
    moved = (low > 0) | (high < 0)
    wide = found.posterior.own < _HALF if matters is None else np.maximum(-low, high) > matters
    verdict = np.select([moved, wide], ["moved", "could not have been seen"], "not shown")
    told = np.array([f"the sign is wrong with probability {one:.2g}" for one in wrong], dtype=object)
    table = results.frame(
        metric=found.metric, segment=found.partner, level=np.array(found.summary.names, dtype=object),
        comparison="difference", against=AVERAGE, estimate=gap.mean, std_error=gap.sd, conf_low=low, conf_high=high,
        n=found.summary.n, n_eff=found.summary.worth, verdict=verdict, note=told,
        method=f"shrunk difference from all partners ({found.model})",
    )  # fmt: skip
    return _silent(hidden(table, found))


def league(
    found: Fit,
    *,
    higher_is_better: bool = True,
    matters: float | None = None,
    rng: np.random.Generator | None = None,
    draws: int = _DRAWS,
) -> pd.DataFrame:
    """Return all that a page on partners needs, in one frame: `shrunk`, `tiers`, `ranks`, and `raw` with at = "raw".

    Parameters
    ----------
    found, higher_is_better, matters, rng, draws
        As in `ranks` and `tiers`.
    """
    placed = ranks(found, higher_is_better=higher_is_better, rng=rng, draws=draws)
    return results.concat(
        [shrunk(found), tiers(found, matters=matters, rng=rng), placed, results.label(raw(found), at="raw")]
    )


def _silent(table: pd.DataFrame) -> pd.DataFrame:
    """Take the verdict from rows that are hidden: it would say what they hide."""
    return results.conform(table.assign(verdict=table["verdict"].where(table["status"] == results.OK, "")))
