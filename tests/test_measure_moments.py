"""Moments: they add over any split that no customer straddles, and hold what the textbook variances need."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from cxlib.measure.moments import Moments

# Sums of a few hundred doubles in another order differ in their last digits.
ROUNDING = 1e-9

rows = st.lists(
    st.tuples(st.integers(-5, 10), st.integers(1, 4), st.one_of(st.none(), st.sampled_from("abcdef"))),
    min_size=1,
    max_size=40,
)


def of(content: list[Any]) -> Moments:
    y, x, who = zip(*content, strict=True) if content else ((), (), ())
    return Moments.of(y, x, clusters=np.array(who, dtype=object))


def same(one: Moments, other: Moments) -> bool:
    pairs = [(one.rows, other.rows), (one.clusters, other.clusters), (one.squares, other.squares)]
    pairs += [(one.sums[name], other.sums[name]) for name in one.sums]
    pairs += [(one.products[pair], other.products[pair]) for pair in one.products]
    return all(np.allclose(a, b, rtol=ROUNDING, equal_nan=True) for a, b in pairs)


@given(rows, st.sets(st.sampled_from("abcdef")))
def test_they_add_over_a_split_that_no_customer_straddles(content: list[Any], ours: set[str]) -> None:
    """A row without a customer may go to either side."""
    left = [row for row in content if row[2] in ours or (row[2] is None and row[0] > 0)]
    right = [row for row in content if row not in left]
    assert same(of(left) + of(right), of(content))


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(content: list[Any], random: Any) -> None:
    shuffled = content.copy()
    random.shuffle(shuffled)
    assert same(of(shuffled), of(content))


def test_a_customer_in_both_parts_is_not_added_up() -> None:
    """Why a quarter is not the sum of its months: (1 + 1)^2 is not 1^2 + 1^2."""
    one = Moments.of([1.0], clusters=["ann"])
    assert (one + one).products["y", "y"] == 2
    assert Moments.of([1.0, 1.0], clusters=["ann", "ann"]).products["y", "y"] == 4


def test_from_sums_is_of() -> None:
    y, pre = np.array([1.0, 4, 2, 8]), np.array([0.0, 3, 2, 5])
    sums = {"y": y.sum(), "y_pre": pre.sum()}
    products = {("y", "y"): y @ y, ("y_pre", "y"): y @ pre, ("y_pre", "y_pre"): pre @ pre}
    assert same(Moments.from_sums(4, sums, products), Moments.of(y, y_pre=pre))


def test_from_sums_names_what_lacks() -> None:
    with pytest.raises(ValueError, match="y_pre"):
        Moments.from_sums(4, {"y": 3, "y_pre": 2}, {("y", "y"): 5})


def test_from_frame_keeps_rows_apart() -> None:
    columns = {"period": ["a", "b"], "level": "all", "rows": [2, 3], "clusters": [2, 3], "missing": 0}
    sums = {name: [2.0, 3.0] for name in ("y", "x", "yy", "xy", "xx", "y2")}
    found = Moments.from_frame(pd.DataFrame(columns | sums))
    assert found.ratio.tolist() == [1, 1]
    assert found[1].rows == 3


def test_without_clusters_the_variance_is_the_textbook_one(rng: np.random.Generator) -> None:
    y = rng.normal(3, 2, 50)
    assert Moments.of(y).variance == pytest.approx(y.var(ddof=1) / 50, rel=ROUNDING)


def test_the_variance_is_that_of_a_clustered_regression(rng: np.random.Generator) -> None:
    """statsmodels 0.14: OLS(y, 1).fit(cov_type="cluster"), whose correction is G/(G-1) (n-1)/(n-1)."""
    who = rng.integers(0, 12, 80)
    y = rng.normal(size=12)[who] + rng.normal(size=80)
    fit = sm.OLS(y, np.ones(80)).fit(cov_type="cluster", cov_kwds={"groups": who})
    assert Moments.of(y, clusters=who).variance == pytest.approx(fit.bse[0] ** 2, rel=ROUNDING)


def test_weights_multiply_every_sum() -> None:
    found = Moments.of([1.0, 5.0], weights=[3.0, 1.0])
    assert found.ratio == 2
    assert found.sums["x"] == 4


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.1, 0.0])
def test_equal_answers_have_no_variance(value: float) -> None:
    """Not 1e-17: rounding must not pass for spread."""
    found = Moments.of([value] * 7)
    assert (found.variance, found.simple_variance) == (0, 0)


def test_one_customer_has_no_variance_to_speak_of() -> None:
    assert np.isnan(Moments.of([1.0, 5.0], clusters=["ann", "ann"]).variance)
    assert np.isnan(Moments.of([]).ratio)


def test_effective_n_is_n_without_repeats_and_less_with() -> None:
    """Ten customers who answer three times alike are worth about ten answers, a little less for so few customers."""
    y = np.array([1.0, 0, 1, 1, 0, 1, 0, 0, 1, 1])
    assert Moments.of(y).effective_n == 10
    thrice = Moments.of(np.repeat(y, 3), clusters=np.repeat(np.arange(10), 3))
    assert 7 < thrice.effective_n[0] < 10
    assert Moments.of(np.ones(30), clusters=np.repeat(np.arange(10), 3)).effective_n == 10
