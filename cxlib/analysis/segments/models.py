"""The two ways of clustering, as functions of rows that return what fits those rows, weighted in any way."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np

from cxlib.analysis.segments.kmeans import KMeans
from cxlib.analysis.segments.valley import Fit, Labels
from cxlib.measure.rows import Numbers

Fitter = Callable[[Numbers, int, int], Labels]  # (how often each row counts, clusters, seed) -> cluster of each row
Method = Callable[[Numbers], Fitter]  # rows -> what fits them


def kmeans(rows: Numbers) -> Fitter:
    """Fit k means, the best of 20 starts: fewer end in different places on resamples."""
    return KMeans.of(rows).labels


def mixture(rows: Numbers) -> Fitter:
    """Fit scikit-learn's Gaussian mixture with full covariances, the best of 2 starts at k means."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    def fit(weights: Numbers, k: int, seed: int) -> Labels:
        model = GaussianMixture(k, n_init=2, reg_covar=1e-3, random_state=seed)
        with warnings.catch_warnings(), one_thread():
            # What has not converged is told by its instability, not by a warning.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(np.repeat(rows, weights.astype(np.int64), axis=0))
        return model.predict(rows).astype(np.int64)

    return fit


METHODS: dict[str, Method] = {"kmeans": kmeans, "mixture": mixture}


def one_thread() -> AbstractContextManager[object]:
    """Keep linear algebra on one thread.

    Sums of few rows gain nothing from more, and on a busy machine threads that wait for each other make it fifty times
    slower.
    """
    from threadpoolctl import threadpool_limits

    found: AbstractContextManager[object] = threadpool_limits(limits=1)
    return found


def seeded(fitter: Fitter, seed: int) -> Fit:
    """Return what fits rows with its seed set."""
    return lambda weights, k: fitter(weights, k, seed)


def resampled(labels: Labels, k: int, fit: Fit, samples: int, rng: np.random.Generator) -> Numbers:
    """Return the adjusted Rand index of labels and of clusters fitted to each of some bootstrap samples."""
    size, found = len(labels), np.empty(samples)
    for place in range(samples):
        drawn = np.bincount(rng.integers(size, size=size), minlength=size).astype(float)
        found[place] = adjusted_rand(labels, fit(drawn, k), k)
    return found


def adjusted_rand(one: Labels, other: Labels, k: int) -> float:
    """Return the adjusted Rand index of two partitions into at most k parts (Hubert and Arabie 1985, J. Classif. 2)."""
    table = np.bincount(one * k + other, minlength=k * k).reshape(k, k)
    both, mine, theirs = (_pairs(counts) for counts in (table, table.sum(axis=1), table.sum(axis=0)))
    expected, most = mine * theirs / max(_pairs(table.sum()), 1), (mine + theirs) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def _pairs(counts: np.ndarray) -> int:
    """Return how many pairs there are within parts of these sizes."""
    return int((counts * (counts - 1) // 2).sum())
