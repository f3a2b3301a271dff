"""k means of weighted rows: a minimum of the rows, as deep as scikit-learn's best of ten, the same every time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans as Plain
from sklearn.metrics import adjusted_rand_score

from cxlib.analysis.segments import kmeans, models
from cxlib.analysis.segments.features import prepare
from cxlib.measure.rows import Numbers

# Ten random starts end where they end: two best of ten differ by so much where clusters are not clear.
LUCK = 0.03


def squares(rows: Numbers, weights: Numbers, labels: np.ndarray) -> float:
    """Return the weighted sum of squares within clusters."""
    found = 0.0
    for name in np.unique(labels):
        mine = labels == name
        if weights[mine].sum():
            centre = np.average(rows[mine], axis=0, weights=weights[mine])
            found += float(weights[mine] @ ((rows[mine] - centre) ** 2).sum(axis=1))
    return found


def plain(rows: Numbers, weights: Numbers, k: int) -> float:
    """Return the sum of squares of scikit-learn's best of ten starts."""
    return float(Plain(k, n_init=10, random_state=1).fit(rows, sample_weight=weights).inertia_)


def blobs(rng: np.random.Generator, size: int = 300) -> tuple[Numbers, np.ndarray]:
    corners = 8 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 1]])
    truth = rng.integers(4, size=size)
    return corners[truth] + rng.normal(size=(size, 3)), truth


@pytest.mark.parametrize("size", [40, 300, 1_500])
@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_as_deep_as_the_plain_way_where_there_are_no_clusters(size: int, k: int, rng: np.random.Generator) -> None:
    rows = rng.normal(size=(size, 3))
    ready, ratio = kmeans.KMeans.of(rows), []
    for weights in (np.ones(size), np.bincount(rng.integers(size, size=size), minlength=size).astype(float)):
        ratio.append(squares(rows, weights, ready.labels(weights, k, 1)) / plain(rows, weights, k))
    assert max(ratio) <= 1 + LUCK


@pytest.mark.parametrize("table", ["Mall_Customers", "Wholesale_customers_data"])
def test_on_average_no_worse_on_real_customers(table: str, shared_data, rng: np.random.Generator) -> None:  # type: ignore[no-untyped-def]
    read = pd.read_csv(shared_data("segmentation_small") / f"{table}.csv").select_dtypes("number")
    rows = prepare(read.drop(columns=[name for name in ("CustomerID", "Channel", "Region") if name in read])).limited
    ready, size, ratio = kmeans.KMeans.of(rows), len(rows), []
    for k in range(2, 9):
        for _ in range(3):
            weights = np.bincount(rng.integers(size, size=size), minlength=size).astype(float)
            ratio.append(squares(rows, weights, ready.labels(weights, k, 1)) / plain(rows, weights, k))
    assert np.mean(ratio) <= 1.001
    assert max(ratio) <= 1 + LUCK


def test_clear_clusters_are_found_and_rows_without_weight_get_the_nearest(rng: np.random.Generator) -> None:
    rows, truth = blobs(rng)
    fitter = models.kmeans(rows)
    assert adjusted_rand_score(truth, fitter(np.ones(len(rows)), 4, 1)) == 1
    held = rng.permutation(len(rows)) % 5 == 0
    assert adjusted_rand_score(truth, fitter((~held).astype(float), 4, 1)) == 1


def test_no_row_is_nearer_to_another_centre(rng: np.random.Generator) -> None:
    rows = rng.exponential(size=(900, 2))
    weights = rng.integers(0, 3, size=900).astype(float)
    labels = kmeans.KMeans.of(rows).labels(weights, 6, 3)
    centres = np.stack([np.average(rows[labels == k], axis=0, weights=weights[labels == k]) for k in range(6)])
    away = ((rows[:, None, :] - centres) ** 2).sum(axis=2)
    assert (away.argmin(axis=1) == labels).all()


def test_a_weight_of_two_is_the_row_twice(rng: np.random.Generator) -> None:
    rows, _ = blobs(rng)
    weights = rng.integers(0, 3, size=len(rows))
    once = kmeans.KMeans.of(rows).labels(weights.astype(float), 4, 1)
    twice = np.repeat(np.arange(len(rows)), weights)
    again = kmeans.KMeans.of(rows[twice]).labels(np.ones(len(twice)), 4, 1)
    assert adjusted_rand_score(once[twice], again) == 1


def test_the_same_every_time(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(700, 3))
    one, other = (kmeans.KMeans.of(rows).labels(np.ones(700), 5, 9) for _ in range(2))
    assert (one == other).all()


def test_as_many_clusters_as_there_are_different_rows(rng: np.random.Generator) -> None:
    rows = rng.permutation(np.repeat(np.arange(18.0), 40))[:, None] * [1.0, -2.0]
    labels = kmeans.KMeans.of(rows).labels(np.ones(len(rows)), 18, 1)
    assert len(np.unique(labels)) == 18
    assert squares(rows, np.ones(len(rows)), labels) == 0
    few = (rows[:, 0] < 3).astype(float)  # a sample in which fewer differ than clusters are asked for
    assert len(np.unique(kmeans.KMeans.of(rows).labels(few, 5, 1))) <= 5


class TestCells:
    @given(st.integers(2, 300), st.integers(1, 4), st.integers(2, 64))
    def test_at_most_so_many_of_like_size(self, size: int, features: int, most: int) -> None:
        rows = np.random.default_rng(size).normal(size=(size, features))
        found = np.bincount(kmeans.cells_of(rows, most))
        assert len(found) <= most
        assert found.min() > 0
        assert len(found) == size or found.max() - found.min() <= 1 + size // (2 * len(found))

    def test_rows_alike_are_one_cell(self) -> None:
        rows = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        found = kmeans.cells_of(rows, 8)
        assert found[0] == found[2]
        assert len(set(found)) == 3

    def test_near_rows_share_a_cell(self, rng: np.random.Generator) -> None:
        rows = rng.normal(size=(4_000, 2))
        cell = kmeans.cells_of(rows, kmeans.CELLS)
        inside = pd.DataFrame(rows).groupby(cell).var().mean().mean()
        assert inside < 0.02  # of 1 in all


class TestRand:
    @given(st.integers(2, 200), st.integers(2, 6), st.integers(0, 1_000))
    def test_of_scikit_learn(self, size: int, k: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        one, other = rng.integers(k, size=size), rng.integers(k, size=size)
        assert models.adjusted_rand(one, other, k) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)
        assert models.adjusted_rand(one, one, k) == 1
