"""How texts are parted into themes: by factors of their terms (NMF), or by what a language model takes for alike.

Lee and Seung (1999, Nature 401, 788); scikit-learn's coordinate descent from one start, the exact singular value
decomposition (NNDSVD; Boutsidis and Gallopoulos 2008, Pattern Recognition 41, 1350, zeros filled with the mean). The
starts that scikit-learn draws by itself end in other themes from seed to seed, and in no better ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from cxlib.analysis.segments.models import one_thread
from cxlib.analysis.voice.terms import Terms, scaled
from cxlib.measure.rows import Numbers

Embedder = Callable[[Sequence[str]], Numbers]

_STEPS, _ENOUGH = 400, 1e-7
_NOTHING = 1e-6  # entries of a start below are filled: what starts at 0 stays there
_BLOCK = 20_000  # texts that are read together
_BELONGS, _BESIDE = 0.15, 0.4  # weight of a theme in a text, and as a share of the text's first theme
_TAIL = 0.02  # of a cluster's texts, the farthest from its middle: so far and no farther does it reach


class Parting(Protocol):
    """What says how much of each theme a text holds."""

    def weights(self, texts: Sequence[str]) -> Numbers:
        """Return the weight of each theme in each text, shape (texts, themes), 0 or more."""

    def belongs(self, weights: Numbers) -> np.ndarray:
        """Return which themes a text of such weights names."""


class Factors:
    """Themes as rows of weights of terms, each of length 1."""

    def __init__(self, terms: Terms, rows: Numbers) -> None:
        self.terms, self.rows = terms, rows

    def weights(self, texts: Sequence[str]) -> Numbers:
        """Return the weights, none below 0, by which the themes come nearest to each text (least squares).

        Each text by itself: what else is read with it changes nothing.
        """
        blocks = [texts[first : first + _BLOCK] for first in range(0, len(texts), _BLOCK)]
        found = [nearest(self.terms.weighed(block), self.rows) for block in blocks]
        return np.concatenate([np.zeros((0, len(self.rows))), *found])

    def belongs(self, weights: Numbers) -> np.ndarray:
        """Return themes of weight 0.15 and more that have at least 0.4 of the first one's weight."""
        return (weights >= _BELONGS) & (weights >= _BESIDE * weights.max(axis=1, initial=0.0, keepdims=True))


class Clusters:
    """Themes as directions in a space of meaning."""

    def __init__(self, embedder: Embedder, middles: Numbers, reach: Numbers) -> None:
        self.embedder, self.middles, self.reach = embedder, middles, reach

    def weights(self, texts: Sequence[str]) -> Numbers:
        """Return the cosine of each text with each middle, 0 where it is negative."""
        return np.maximum(embedded(self.embedder, texts) @ self.middles.T, 0.0)

    def belongs(self, weights: Numbers) -> np.ndarray:
        """Return the nearest theme where it is as near as its own texts are."""
        first = weights.argmax(axis=1) if weights.size else np.zeros(len(weights), dtype=np.int64)
        return (np.arange(weights.shape[1]) == first[:, None]) & (weights >= self.reach)


def factors(terms: Terms, table: Any, counts: Numbers, n: int) -> Factors:
    """Fit `n` themes to a table of terms; a text counts as often as it was written.

    A row times the root of its count weighs as many rows as that in a sum of squares.
    """
    from scipy.sparse import diags_array
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    x = (diags_array(np.sqrt(counts)) @ scaled(table, terms.idf)).tocsr()
    model = NMF(n, init="custom", solver="cd", max_iter=_STEPS)
    # What is left of an exact fit may be a negative rounding; the last digits of weights make no other theme.
    with warnings.catch_warnings(), np.errstate(invalid="ignore"), one_thread():
        warnings.simplefilter("ignore", ConvergenceWarning)
        w, h = start(x, n)
        model.fit_transform(x, W=w, H=h)
    length = np.linalg.norm(model.components_, axis=1, keepdims=True)
    rows = model.components_[length[:, 0] > 0] / length[length[:, 0] > 0]
    return Factors(terms, rows)


def start(x: Any, n: int) -> tuple[Numbers, Numbers]:
    """Return where the descent starts: the heavier side, above or below 0, of each pair of singular vectors.

    Parameters
    ----------
    x
        Sparse, shape (texts, terms), none negative.
    n
        Themes, no more than either side of `x`.

    Returns
    -------
    tuple of numpy.ndarray
        Weights of shape (texts, n) and rows of shape (n, terms).
    """
    from scipy.sparse.linalg import svds

    if n < min(x.shape) - 1:
        u, values, v = svds(x, k=n, v0=np.ones(min(x.shape)))
        order = np.argsort(-values, kind="stable")
        u, values, v = u[:, order], values[order], v[order]
    else:
        u, values, v = np.linalg.svd(x.toarray(), full_matrices=False)
        u, v = u[:, :n], v[:n]
    w, h, fill = np.zeros(u.shape), np.zeros(v.shape), float(x.mean())
    for theme in range(n):
        sides = [(np.maximum(way * u[:, theme], 0), np.maximum(way * v[theme], 0)) for way in (1, -1)]
        weight = [float(np.linalg.norm(left) * np.linalg.norm(right)) for left, right in sides]
        left, right = sides[int(weight[1] > weight[0])]
        scale = np.sqrt(values[theme] * max(weight))
        w[:, theme] = scale * left / max(float(np.linalg.norm(left)), 1e-12)
        h[theme] = scale * right / max(float(np.linalg.norm(right)), 1e-12)
    return np.where(w < _NOTHING, fill, w), np.where(h < _NOTHING, fill, h)


def clusters(embedder: Embedder, texts: Sequence[str], counts: Numbers, n: int, seed: int) -> Clusters:
    """Fit `n` themes as clusters of embedded texts (k means on the sphere's points, best of 10 starts)."""
    from sklearn.cluster import KMeans

    points = embedded(embedder, texts)
    with one_thread():
        model = KMeans(n, n_init=10, random_state=seed).fit(points, sample_weight=counts)
    middles = model.cluster_centers_ / np.maximum(np.linalg.norm(model.cluster_centers_, axis=1, keepdims=True), 1e-12)
    near = (points * middles[model.labels_]).sum(axis=1)
    reach = [np.quantile(near[model.labels_ == place], _TAIL) for place in range(n)]
    return Clusters(embedder, middles, np.maximum(np.array(reach) - 1e-6, 1e-6))


def embedded(embedder: Embedder, texts: Sequence[str]) -> Numbers:
    """Return texts as points at distance 1 from 0, shape (texts, dimensions)."""
    points = np.asarray(embedder(list(texts)), dtype=np.float64).reshape(len(texts), -1)
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def nearest(table: Any, rows: Numbers) -> Numbers:
    """Return the weights W >= 0 that minimise |X - W R|, row by row, by coordinate descent.

    Parameters
    ----------
    table
        X, sparse, shape (texts, terms).
    rows
        R, shape (themes, terms), rows of length 1.
    """
    want, alike = np.asarray(table @ rows.T), rows @ rows.T
    weights = np.zeros_like(want)
    for _ in range(_STEPS):
        moved = 0.0
        for theme in range(len(rows)):
            better = np.maximum(weights[:, theme] + want[:, theme] - weights @ alike[theme], 0.0)
            moved = max(moved, float(np.abs(better - weights[:, theme]).max(initial=0.0)))
            weights[:, theme] = better
        if moved < _ENOUGH:
            break
    return weights
