"""The two ways of clustering, of scikit-learn, as functions that fit rows and return what assigns rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from cxlib.analysis.segments.valley import Assign, Fit
from cxlib.measure.rows import Numbers

Fitter = Callable[[Numbers, int, int], Assign]  # (rows, clusters, seed) -> what assigns rows


def kmeans(rows: Numbers, k: int, seed: int) -> Assign:
    """Fit k means, the best of 10 starts: fewer end in different places on resamples."""
    from sklearn.cluster import KMeans

    fitted = _quietly(KMeans(k, n_init=10, random_state=seed), rows)
    return lambda given: fitted.predict(given).astype(np.int64)


def mixture(rows: Numbers, k: int, seed: int) -> Assign:
    """Fit a Gaussian mixture with full covariances, the best of 2 starts at k means."""
    from sklearn.mixture import GaussianMixture

    fitted = _quietly(GaussianMixture(k, n_init=2, reg_covar=1e-3, random_state=seed), rows)
    return lambda given: fitted.predict(given).astype(np.int64)


METHODS: dict[str, Fitter] = {"kmeans": kmeans, "mixture": mixture}


def seeded(model: Fitter, seed: int) -> Fit:
    """Return a method of clustering with its seed set."""
    return lambda rows, k: model(rows, k, seed)


def resampled(rows: Numbers, labels: np.ndarray, k: int, fit: Fit, samples: int, rng: np.random.Generator) -> Numbers:
    """Return the adjusted Rand index of labels and of clusters fitted to each of some bootstrap samples."""
    from sklearn.metrics import adjusted_rand_score

    found = np.empty(samples)
    for place in range(samples):
        drawn = np.sort(rng.integers(len(rows), size=len(rows)))
        found[place] = adjusted_rand_score(labels, fit(rows[drawn], k)(rows))
    return found


def _quietly(model, rows: Numbers):  # type: ignore[no-untyped-def]
    """Fit; what has not converged is told by its instability, not by a warning.

    On one thread: sums of few rows gain nothing from more, and on a busy machine threads that wait for each other make
    it fifty times slower.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows)
