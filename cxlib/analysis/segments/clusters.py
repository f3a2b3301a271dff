"""Clusters of customers, and whether there are any.

The rule, for each number k of clusters that is looked at:

1. every pair of clusters is parted by a valley: the p-value of the shallowest (`valley`), times the numbers k that were
   looked at (Bonferroni), is below `ALPHA`;
2. the clusters come back: the mean adjusted Rand index (Hubert and Arabie 1985) between the clusters of all customers
   and those fitted to bootstrap samples is at least `STABLE` (Hennig 2007 calls .75 valid, .85 highly stable);
3. each cluster has at least `LEAST_SHARE` of the customers, and 10.

The largest k that meets all three is taken, the most segments that can be told apart; where none does there are no
clear segments, all customers are one, and the reason is given. Cutting customers into parts may be useful all the same:
name k, and the verdict says what the parts are worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.segments import models
from cxlib.analysis.segments.features import Prepared, prepare, spread_ties
from cxlib.analysis.segments.models import METHODS
from cxlib.analysis.segments.valley import DEEP, Valley, shallowest
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers

ALPHA, STABLE, LEAST_SHARE, LEAST = 0.05, 0.8, 0.02, 10
MOST = 8  # clusters looked at
SAMPLE = 2_500  # customers by whom it is decided; all are given a label
CLEAR, NOT_CLEAR = "clear segments", "no clear segments"


@dataclass(frozen=True, eq=False)
class ClusterFit:
    """Clusters of customers and what they are worth.

    Parameters
    ----------
    labels
        The segment of each customer, by the index of the features: "A" for the largest, "B" for the next; missing for
        customers who lack a feature. All are "A" where no k was named and no clear segments were found.
    k
        Number of segments.
    method
        `kmeans` or `mixture`, and how features were made comparable.
    clear
        Whether the segments are clear by the rule.
    verdict
        `clear segments` or `no clear segments`.
    why
        The verdict's reason in a sentence.
    stability
        Result rows for each k looked at, `level` "3 segments", `note` what speaks against it: metric `adjusted_rand`
        (mean over bootstrap samples; the limits hold the middle of the samples), metric `valley` (a test: of no valley
        between the two clusters that are parted least; `p_adjusted` for all k looked at), metric `smallest_segment` (a
        share).
    centres
        Mean of each feature of each segment, in the feature's own unit.
    """

    labels: pd.Series
    k: int
    method: str
    clear: bool
    verdict: str
    why: str
    stability: pd.DataFrame
    centres: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Looked:
    """What was found of one k."""

    k: int
    valley: Valley
    rand: Numbers  # adjusted Rand index of each bootstrap sample
    smallest: float
    rows: int

    looked_at: int  # numbers k

    @property
    def p_adjusted(self) -> float:
        """The p-value of no valley, for all numbers k looked at."""
        return min(self.valley.p_value * self.looked_at, 1.0)

    def fault(self) -> str:
        """Return what speaks against so many clear segments, empty for nothing."""
        if self.valley.depth >= 1:
            return "no valley lies between some of them"
        if self.p_adjusted >= ALPHA:
            return "the valley between some of them may be chance"
        if self.smallest < max(LEAST_SHARE, LEAST / self.rows):
            return "the smallest has too few customers"
        if self.rand.mean() < STABLE:
            return "they do not come back in resamples"
        return ""


def cluster(
    features: pd.DataFrame,
    k: int | None = None,
    rng: np.random.Generator | None = None,
    *,
    method: str = "kmeans",
    most: int = MOST,
    bootstrap: int = 25,
    confidence: float = 0.95,
) -> ClusterFit:
    """Find clusters of customers, or say that there are none.

    Parameters
    ----------
    features
        One row a customer, indexed by customer; one numeric column a feature. Skewed features without negative values
        are taken by their logarithm, all are winsorised at 1 % and 99 % and standardised. Ones and zeros alone never
        make clusters: they are segments by a rule.
    k
        Number of clusters; None lets the rule of this module decide.
    rng
        Source of all randomness; default a fixed seed.
    method
        `kmeans` (round clusters of like size; Lloyd 1957) or `mixture` (Gaussian mixture with full covariances).
    most
        The largest k looked at where none is given.
    bootstrap
        Samples behind the adjusted Rand index.
    confidence
        Share of the samples between the limits of the adjusted Rand index.

    Returns
    -------
    ClusterFit
        The same for the same customers in any order of rows and columns. More than 2,500 customers: the rule looks at
        2,500 of them, drawn by `rng`; all are given a label.

    Raises
    ------
    UsageError
        For features that are no numbers, too few complete rows, or a k that makes no sense.
    """
    doors.frame(features, "the features")
    rng = doors.generator(rng)
    check_confidence(confidence)
    if method not in METHODS:
        raise UsageError(f"'{method}' is no method; there are {', '.join(METHODS)}{did_you_mean(method, METHODS)}")
    ready = prepare(features)
    most, bootstrap = doors.whole("most", most, 2, 20), doors.whole("bootstrap", bootstrap, 2, 10_000)
    distinct = len(np.unique(ready.limited[:: 1 + len(ready.limited) // SAMPLE], axis=0))
    if k is not None and doors.whole("k", k, 1, 50) > distinct:
        raise UsageError(f"{k} clusters of {distinct} customers that differ: there cannot be so many")
    sizes = [k] if k is not None else [size for size in range(2, most + 1) if size <= distinct]
    with models.one_thread():
        looked = _look(ready, [size for size in sizes if size > 1], METHODS[method], bootstrap, rng)
        faults = {one.k: one.fault() for one in looked}
        good = [size for size, fault in faults.items() if not fault]
        chosen = k if k is not None else max(good, default=1)
        labels, centres = _labelled(features, ready, chosen, METHODS[method], rng)
    clear = chosen in good
    return ClusterFit(
        labels, chosen, _method(method, ready), clear, CLEAR if clear else NOT_CLEAR, _why(faults, chosen, clear),
        _rows(looked, method, confidence), centres,
    )  # fmt: skip


def _look(
    ready: Prepared, sizes: Sequence[int], method: models.Method, bootstrap: int, rng: np.random.Generator
) -> list[_Looked]:
    """Work out for each number of clusters what the rule asks."""
    drawn = np.sort(rng.permutation(len(ready.limited))[:SAMPLE])
    fitter, whole = method(ready.limited[drawn]), np.ones(len(drawn))
    smooth = spread_ties(ready.free[drawn], rng)
    found = []
    for k in sizes:
        seed = int(rng.integers(2**31))
        fit = models.seeded(fitter, seed)
        labels = fit(whole, k)
        smallest = np.bincount(labels, minlength=k).min() / len(labels)
        valley = shallowest(smooth, k, fit, rng)
        rand = models.resampled(labels, k, fit, bootstrap, rng)
        found.append(_Looked(k, valley, rand, float(smallest), len(labels), len(sizes)))
    return found


def _labelled(
    features: pd.DataFrame, ready: Prepared, k: int, method: models.Method, rng: np.random.Generator
) -> tuple[pd.Series, pd.DataFrame]:
    """Return the segment of every customer, the largest first, and the segments' centres."""
    found = method(ready.limited)(np.ones(len(ready.limited)), k, int(rng.integers(2**31)))
    sizes, ahead = np.bincount(found, minlength=k), ready.limited.sum(axis=1)
    where = np.array([ahead[found == label].mean() if size else 0.0 for label, size in enumerate(sizes)])
    place = np.empty(k, dtype=np.int64)
    place[np.lexsort((where, -sizes))] = np.arange(k)
    names = np.array([_letter(number) for number in range(k)], dtype=object)[place[found]]
    labels = pd.Series(names, index=ready.index, dtype="str").reindex(features.index).rename("segment")
    numbers = doors.numbers_of(features, features.columns, infinite_missing=True)
    centres = pd.DataFrame(numbers, index=features.index).groupby(labels).mean()
    return labels, centres.loc[:, list(ready.names)]


def _letter(number: int) -> str:
    """Return A to Z, then AA, AB."""
    return chr(65 + number) if number < 26 else _letter(number // 26 - 1) + chr(65 + number % 26)


def _method(method: str, ready: Prepared) -> str:
    """Name the method and what was done to the features."""
    logs = f", logarithm of {', '.join(ready.logged)}" if ready.logged else ""
    lost = f"; {ready.left_out} customers lack a feature" if ready.left_out else ""
    return f"{method} on standardised features, winsorised at 1 % and 99 %{logs}{lost}"


def _why(faults: dict[int, str], chosen: int, clear: bool) -> str:
    """Say why the segments are clear, or why there are none."""
    if clear:
        told = f"{chosen} segments: between every two lie fewer customers than at either, and resamples find them again"
        more = {size: fault for size, fault in faults.items() if size > chosen and fault}
        return f"{told}; more do not hold ({_told(more)})" if more else told
    if not faults:
        return "one segment is no segmentation" if chosen == 1 else "nothing was looked at"
    return _told({size: fault for size, fault in faults.items() if fault})


def _told(faults: Mapping[int, str]) -> str:
    """Return faults, those alike together: `2, 3, 5: no valley`."""
    alike: dict[str, list[str]] = {}
    for size, fault in faults.items():
        alike.setdefault(fault, []).append(str(size))
    return "; ".join(f"{', '.join(which)}: {fault}" for fault, which in alike.items())


def _rows(looked: Sequence[_Looked], method: str, confidence: float) -> pd.DataFrame:
    """Return what was found of each number of clusters."""
    parts: list[pd.DataFrame] = []
    for one in looked:
        fault, level = one.fault(), f"{one.k} segments"
        low, high = np.quantile(one.rand, [(1 - confidence) / 2, (1 + confidence) / 2])
        same: dict[str, Any] = {"level": level, "segment": "clusters", "n": one.rows, "note": fault or "meets the rule"}
        parts += [
            results.frame(
                metric="adjusted_rand", estimate=one.rand.mean(), std_error=one.rand.std(), conf_low=low,
                conf_high=high, method=f"{method}, {len(one.rand)} bootstrap samples", **same,
            ),
            results.frame(
                metric="valley", comparison="test", p_value=one.valley.p_value, p_adjusted=one.p_adjusted,
                method=f"binomial, fewer than {DEEP:g} of the thinner hump, held out", **same,
            ),
            results.frame(metric="smallest_segment", comparison="share", estimate=one.smallest, method=method, **same),
        ]  # fmt: skip
    return results.concat(parts)
