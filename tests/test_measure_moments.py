"""Moments: they add over any split that no customer straddles, and hold what the textbook variances need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib.errors import UsageError
from cxlib.measure import estimates, plans
from cxlib.measure.moments import Moments
from cxlib.measure.overlap import Overlap
from cxlib.params import Metric
from cxlib.periods import Period

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
    with pytest.raises(UsageError, match="y times y_pre"):
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


def test_weights_give_what_r_survey_gives(oracle: Callable[[str], dict], shared_data: Callable[[str], Path]) -> None:
    """Oracle survey_apistrat_weights_only: R survey 4, svymean with weights and no strata, n/(n-1); its tolerance."""
    expected = oracle("survey_apistrat_weights_only")["expected"]
    schools = pd.read_csv(shared_data("survey_api") / "apistrat.csv")
    found = Moments.of(schools["api00"], weights=schools["pw"])
    assert found.ratio == pytest.approx(expected["mean_api00"], rel=1e-6)
    assert np.sqrt(found.variance) == pytest.approx(expected["se"], rel=1e-6)
    assert found.rows == len(schools)


def test_weights_and_clusters_together_are_a_clustered_regression(rng: np.random.Generator) -> None:
    """statsmodels 0.14: WLS with errors clustered by customer, whose correction is G/(G-1) (n-1)/(n-1)."""
    who, weights = rng.integers(0, 15, 90), rng.uniform(0.2, 5, 90)
    y = rng.normal(size=15)[who] + rng.normal(size=90)
    fit = sm.WLS(y, np.ones(90), weights=weights).fit(cov_type="cluster", cov_kwds={"groups": who})
    found = Moments.of(y, weights=weights, clusters=who)
    assert found.ratio == pytest.approx(fit.params[0], rel=ROUNDING)
    assert found.variance == pytest.approx(fit.bse[0] ** 2, rel=ROUNDING)


def test_effective_n_holds_the_weights_part(rng: np.random.Generator) -> None:
    """Weights that have nothing to do with the answers cost Kish's n_eff, (sum w)^2 / sum w^2, up to chance."""
    weights = rng.uniform(0.2, 5, 20_000)
    kish = weights.sum() ** 2 / (weights @ weights)
    assert Moments.of(rng.normal(size=20_000), weights=weights).effective_n == pytest.approx(kish, rel=0.03)
    assert Moments.of(np.ones(20_000), weights=weights).effective_n == pytest.approx(kish, rel=ROUNDING)


def test_effective_n_does_not_depend_on_the_unit_of_weights(rng: np.random.Generator) -> None:
    y, weights, who = rng.integers(0, 11, 60), rng.uniform(1, 3, 60), rng.integers(0, 25, 60)
    one, other = (Moments.of(y, weights=weights * unit, clusters=who).effective_n for unit in (1, 250))
    assert one == pytest.approx(other, rel=ROUNDING)
    equal = Moments.of(y, weights=np.full(60, 7.0))
    assert equal.effective_n == pytest.approx(60, rel=ROUNDING)


@given(st.lists(st.tuples(st.integers(0, 10), st.sampled_from("abcd"), st.integers(1, 3)), min_size=2, max_size=30))
def test_a_weight_of_two_is_two_rows_of_one_customer(content: list[Any]) -> None:
    """Every sum over customers is the same; rows and squares of rows tell what was seen."""
    y, who, times = (np.array(column) for column in zip(*content, strict=True))
    weighted = Moments.of(y, weights=times, clusters=who)
    repeated = Moments.of(np.repeat(y, times), clusters=np.repeat(who, times))
    assert weighted.ratio == repeated.ratio
    assert np.allclose(weighted.variance, repeated.variance, rtol=ROUNDING, equal_nan=True)
    assert np.allclose(weighted.squares, repeated.squares)


def test_estimates_of_shares_and_nps_take_weights() -> None:
    """By hand: three of four answers, the first of weight 3, are 5/6 of the weight and 3.33 of 4 rows."""
    found = Moments.of([1, 0, 1, 1], weights=[3, 1, 1, 1])
    assert estimates.successes_of(found) == pytest.approx(4 * 5 / 6)
    up, between, down = estimates.promoters_of(Moments.of([1, -1, 0, 1], weights=[3, 1, 1, 1]))
    assert [up, between, down] == pytest.approx([4 * 4 / 6, 4 / 6, 4 / 6])


@given(rows, st.sets(st.sampled_from("abcdef")), st.floats(0, 1e9))
def test_what_is_added_has_the_variance_of_the_whole(content: list[Any], ours: set[str], far: float) -> None:
    """Also about a large constant, where sums of squares alone would have lost it: 1e9 leaves 7 digits of a spread."""
    moved = [(y + far * x, x, who or f"{n}") for n, (y, x, who) in enumerate(content)]
    left, right = ([row for row in moved if (row[2] in ours) == side] for side in (True, False))
    near = of([(y, x, who or f"{n}") for n, (y, x, who) in enumerate(content)])
    added = of(left) + of(right) if left and right else of(moved)
    scale = float(near.variance) if near.variance > 0 else 1.0
    assert np.allclose(added.variance / scale, near.variance / scale, atol=1e-5, equal_nan=True)


def test_a_small_spread_of_large_numbers_is_kept(rng: np.random.Generator) -> None:
    """Seconds since 1970, say: squares near 1e18 have no digits left for a spread of 1."""
    y = 1.7e9 + rng.normal(size=400)
    found = Moments.of(y)
    assert found.variance == pytest.approx(y.var(ddof=1) / 400, rel=1e-6)
    assert found.simple_variance == pytest.approx(y.var() / 400, rel=1e-6)
    halves = Moments.of(y[:150]) + Moments.of(y[150:])
    assert halves.variance == pytest.approx(y.var(ddof=1) / 400, rel=1e-6)


@given(rows, st.integers(0, 40))
def test_joined_is_exact_where_customers_lie_in_both(content: list[Any], cut: int) -> None:
    """Two months and their overlap are the quarter's part, whoever answered in both."""
    one, other = content[:cut], content[cut:]
    both = Overlap.of(*(tuple(zip(*part, strict=True)) if part else ((), (), ()) for part in (one, other)))
    assert same(of(one).joined(of(other), both), of(content))


@given(rows, rows)
def test_the_overlap_turned_round_is_the_same(one: list[Any], other: list[Any]) -> None:
    sides = [tuple(zip(*part, strict=True)) for part in (one, other)]
    there, back = Overlap.of(*sides), Overlap.of(*sides[::-1])
    covariance = there.covariance(of(one), of(other)), back.covariance(of(other), of(one))
    assert np.allclose(*covariance, rtol=ROUNDING, equal_nan=True)


def test_covariance_is_that_of_paired_means(rng: np.random.Generator) -> None:
    """Each customer answers once in both periods: numpy's covariance over n, and scipy's paired t test."""
    before = rng.normal(7, 2, 80)
    after = before + rng.normal(0.2, 1, 80)
    who = np.arange(80)
    one, other = Moments.of(after, clusters=who), Moments.of(before, clusters=who)
    covariance = Overlap.of((after, None, who), (before, None, who)).covariance(one, other)
    assert covariance == pytest.approx(np.cov(after, before)[0, 1] / 80, rel=ROUNDING)
    error = np.sqrt(one.variance + other.variance - 2 * covariance)
    assert (one.ratio - other.ratio) / error == pytest.approx(stats.ttest_rel(after, before).statistic, rel=ROUNDING)


def test_without_common_customers_there_is_no_covariance() -> None:
    nobody = Overlap.of(([1.0, 3.0], None, ["a", None]), ([1.0, 2.0], None, ["b", None]))
    assert nobody.clusters == 0
    assert nobody.covariance(Moments.of([1.0, 3.0]), Moments.of([1.0, 2.0])) == 0


def test_arrays_sums_and_the_engine_give_the_same(rng: np.random.Generator) -> None:
    """The issue's three ways: rows as arrays, sums as a frame, and the engine over a table."""
    n = 300
    who = rng.choice([*"abcdefghijkl", None], n)
    score = pd.array(rng.integers(1, 6, n), dtype="Int64")
    score[::17] = pd.NA
    table = pd.DataFrame({"response_id": np.arange(n).astype(str), "customer_id": who, "score": score})
    table["responded_at"] = pd.Timestamp("2026-10-02") + pd.to_timedelta(rng.integers(0, 600, n), unit="h")
    metric = Metric(
        id="m", title="M", question="?", kind="mean", unit="score", table="responses", time="responded_at",
        higher_is_better=True, numerator="score", owner="cx",
    )  # fmt: skip
    plan = plans.plan(
        metric, {"responses": ibis.memtable(pa.Table.from_pandas(table))}, [Period.parse("2026-10")], timezone="UTC"
    )
    engine = Moments.from_frame(plan.to_pyarrow().to_pandas())[0]
    arrays = Moments.of(score.to_numpy(dtype=float, na_value=np.nan), clusters=who)
    known = table.dropna(subset="score")
    cells = known.assign(x=1.0).groupby(known["customer_id"].fillna(known["response_id"]))[["score", "x"]].sum()
    y, x = cells["score"].astype(float), cells["x"]
    sums = pd.DataFrame({
        "rows": [len(known)], "clusters": len(cells), "y": y.sum(), "x": x.sum(), "yy": y @ y, "xy": x @ y, "xx": x @ x,
        "y2": float((known["score"] ** 2).sum()),
    })  # fmt: skip
    frame = Moments.from_frame(sums)[0]
    assert same(arrays, engine)
    assert same(frame, engine)
    for name in ("ratio", "variance", "simple_variance", "effective_n"):
        values = [getattr(one, name) for one in (arrays, frame, engine)]
        assert values[0] == pytest.approx(values[1], rel=ROUNDING)
        assert values[2] == pytest.approx(values[1], rel=ROUNDING)


@pytest.mark.parametrize(
    ("rows_", "more", "message"),
    [
        ([1, 2], {"x": [1]}, "x has 1 rows and y has 2"),
        ([1, 2], {"clusters": ["a"]}, "clusters has 1 rows and y has 2"),
        ([1, 2], {"weights": [1, -1]}, "row 1 has -1"),
        ([1, 2], {"weights": [np.nan, 1]}, "row 0 has nan"),
        ([1, np.inf], {}, "y is infinite in row 1"),
        (["good", "bad"], {}, "y is not made of numbers"),
        ([1, 2], {"y_pre": [np.nan, 1]}, "y_pre is missing in 1 rows"),
    ],
)
def test_bad_input_is_named(rows_: Any, more: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Moments.of(rows_, **more)


def test_moments_of_other_names_do_not_add_or_join() -> None:
    one, other = Moments.of([1.0, 2], y_pre=[1.0, 1]), Moments.of([1.0, 2])
    with pytest.raises(UsageError, match="do not add"):
        _ = one + other
    with pytest.raises(UsageError, match="only moments of y and x"):
        one.joined(one, Overlap.of(([1.0], None, ["a"]), ([1.0], None, ["a"])))


def test_stacked_moments_keep_every_number_of_their_parts(rng: np.random.Generator) -> None:
    """Also what was centred: a spread that is small beside the mean is not lost."""
    parts = [Moments.of(1e9 + rng.normal(size=size)) for size in (5, 2, 9)]
    whole = Moments.stacked(parts)
    for place, part in enumerate(parts):
        assert same(whole[place], part)
        assert whole.variance[place] == part.variance
    assert Moments.stacked([whole[0], Moments(*(getattr(whole[1], name) for name in
                            ("rows", "clusters", "sums", "products", "squares")))]).centred is None  # fmt: skip
