"""Joint sums: their marginals are the cells' moments, their variances those of the same function on one sample of sums.

Outside references: `Moments` (checked against R and statsmodels elsewhere), statsmodels, the delete-one jackknife.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from cxlib.errors import UsageError
from cxlib.measure import plans
from cxlib.measure.joint import Joint
from cxlib.measure.moments import Moments
from cxlib.measure.overlap import Overlap
from cxlib.params import Metric, Part, Segment
from cxlib.periods import Period

# Sums of a few hundred doubles in another order differ in their last digits.
ROUNDING = 1e-9
PERIODS, LEVELS = ("2026-09", "2026-10"), ("North", "South", "West")

rows = st.lists(
    st.tuples(
        st.integers(-5, 10), st.integers(1, 4), st.sampled_from(PERIODS), st.sampled_from(LEVELS),
        st.one_of(st.none(), st.sampled_from("abcdefgh")),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


def columns(content: list[Any]) -> dict[str, Any]:
    y, x, period, level, who = zip(*content, strict=True)
    return {"y": np.array(y), "x": np.array(x), "period": np.array(period), "level": np.array(level),
            "clusters": np.array(who, dtype=object)}  # fmt: skip


def drawn(rng: np.random.Generator, n: int = 400) -> dict[str, Any]:
    """Draw rows of customers who recur in both periods and at several levels, and are alike over them."""
    who = rng.integers(0, 60, n)
    return {
        "y": rng.normal(size=60)[who] + rng.normal(7, 1, n), "x": rng.integers(1, 4, n).astype(float),
        "period": rng.choice(PERIODS, n), "level": rng.choice(LEVELS, n), "clusters": who,
    }  # fmt: skip


def part(data: dict[str, Any], where: Any) -> Moments:
    return Moments.of(data["y"][where], data["x"][where], clusters=data["clusters"][where])


def equal(one: Joint, other: Joint) -> bool:
    names = ("rows", "y", "x", "y2", "yy", "xy", "xx")
    same = all(np.allclose(getattr(one, name), getattr(other, name), rtol=ROUNDING) for name in names)
    return same and one.keys.equals(other.keys) and one.customers == other.customers


@given(rows)
def test_marginals_are_moments(content: list[Any]) -> None:
    data = columns(content)
    joint = Joint.of(**data)
    for place, (period, level) in enumerate(joint.keys.itertuples(index=False)):
        expected = part(data, (data["period"] == period) & (data["level"] == level))
        found = joint.moments(place)
        assert (found.rows, found.clusters, found.squares) == (expected.rows, expected.clusters, expected.squares)
        assert found.sums == expected.sums
        assert found.products == expected.products


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(content: list[Any], random: Any) -> None:
    shuffled = content.copy()
    random.shuffle(shuffled)
    known = [(*row[:4], row[4] or "a") for row in content], [(*row[:4], row[4] or "a") for row in shuffled]
    assert equal(*(Joint.of(**columns(one)) for one in known))


@given(rows, st.lists(st.sampled_from(["one", "two"]), min_size=3, max_size=3))
def test_merged_cells_are_cells_of_merged_rows(content: list[Any], new: list[str]) -> None:
    """Shared customers included; where a cell has at most two parts the number of customers, too."""
    names = dict(zip(LEVELS, new, strict=True))
    data = columns(content)
    before = Joint.of(**data)
    found = before.merge([names[level] for level in before.keys["level"]])
    expected = Joint.of(**data | {"level": [names[level] for level in data["level"]]})
    assert equal(found, expected)
    parts = before.keys.assign(name=before.keys["level"].map(names)).groupby(["period", "name"]).size().to_numpy()
    assert np.all(found.clusters <= expected.clusters)
    assert np.all((found.clusters == expected.clusters) | (parts > 2))


def test_the_difference_of_two_periods_is_moments_and_overlap(rng: np.random.Generator) -> None:
    """Decided for the whole package: V(after) + V(before) - 2 covariance, by either road."""
    data = drawn(rng)
    whole = Joint.of(**data | {"level": np.full(400, "all")})
    before, after = (part(data, data["period"] == period) for period in PERIODS)
    sides = [tuple(data[name][data["period"] == period] for name in ("y", "x", "clusters")) for period in PERIODS]
    expected = before.variance + after.variance - 2 * Overlap.of(*sides).covariance(before, after)
    sign = np.array([-1.0, 1.0])
    found = whole.variance(sign / whole.x, -sign * whole.moments().ratio / whole.x)
    assert found == pytest.approx(expected, rel=ROUNDING)
    assert found < before.variance + after.variance


def test_the_variance_is_that_of_a_clustered_regression(rng: np.random.Generator) -> None:
    """statsmodels 0.14: the difference of two levels' means of one period, OLS with errors clustered by customer.

    statsmodels corrects by G/(G-1) (n-1)/(n-2), taken off here.
    """
    data = drawn(rng)
    keep = data["level"] != "West"
    data = {name: values[keep] for name, values in data.items() if name != "x"} | {"period": np.full(keep.sum(), "p")}
    joint = Joint.of(**data)
    sign = np.array([-1.0, 1.0])
    found = joint.variance(sign / joint.x, -sign * joint.moments().ratio / joint.x)
    design = sm.add_constant((data["level"] == "South").astype(float))
    fit = sm.OLS(data["y"], design).fit(cov_type="cluster", cov_kwds={"groups": data["clusters"]})
    n = len(data["y"])
    assert found == pytest.approx(fit.bse[1] ** 2 * (n - 2) / (n - 1), rel=ROUNDING)


def test_shares_of_a_period_have_the_jackknife_s_variance(rng: np.random.Generator) -> None:
    """The share of one level in the rows: leave out one customer after another (delete-one jackknife).

    The two agree up to terms of 1 / customers.
    """
    data = {name: values for name, values in drawn(rng, 2_000).items() if name != "x"}
    joint = Joint.of(**data)
    here = joint.keys["period"].eq(PERIODS[0]).to_numpy()
    total = joint.x[here].sum()
    gradient = np.where(here, (joint.keys["level"] == "North") / total - joint.x[0] / total**2, 0.0)
    own = data["period"] == PERIODS[0]
    who, north = data["clusters"][own], data["level"][own] == "North"
    left = np.array([north[who != one].mean() for one in np.unique(who)])
    jackknife = (len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum()
    assert joint.variance(np.zeros(len(joint.keys)), gradient) == pytest.approx(jackknife, rel=0.05)


@pytest.mark.simulation
def test_the_error_of_a_change_is_as_large_as_said(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """One level's mean, and its share of the answers, both in October less September, of customers who recur.

    150 customers with an opinion and a level of their own, who answer each month or do not, in no month more than
    another. Said errors are right on the average (within 4 standard errors of a variance, whose own is
    sqrt(2 / replicates)); taken for independent months the mean's would be half as large again.
    """
    times, n = replicates(400, 10_000), 600
    said, seen, apart = [], [], []
    for _ in range(times):
        opinion, home = rng.normal(size=150), rng.choice(LEVELS, 150)
        who = rng.integers(0, 150, n)
        level = np.where(rng.random(n) < 0.8, home[who], rng.choice(LEVELS, n))
        joint = Joint.of(opinion[who] + rng.normal(0, 0.7, n), period=rng.choice(PERIODS, n), level=level, clusters=who)
        here, total = (
            joint.keys["level"].eq("North").to_numpy(dtype=float),
            np.repeat(joint.x.reshape(2, 3).sum(axis=1), 3),
        )
        sign, ratio, share = np.repeat([-1.0, 1.0], 3), joint.moments().ratio, joint.x * here / total
        mean_y, mean_x = here * sign / joint.x, -here * sign * ratio / joint.x
        share_x = sign * (here - np.repeat(share.reshape(2, 3).sum(axis=1), 3)) / total
        said.append(joint.variance([mean_y, np.zeros(6)], [mean_x, share_x]))
        seen.append([(sign * here * ratio).sum(), (sign * share).sum()])
        apart.append(joint.moments(here > 0).variance.sum())
    expected = np.var(seen, axis=0)
    assert np.mean(said, axis=0) == pytest.approx(expected, rel=4 * np.sqrt(2 / times))
    assert np.mean(apart) > 1.3 * expected[0]


def test_several_gradients_at_once_are_each_by_itself(rng: np.random.Generator) -> None:
    joint = Joint.of(**drawn(rng))
    dy, dx = rng.normal(size=(2, 5, len(joint.keys)))
    each = [joint.variance(one, other) for one, other in zip(dy, dx, strict=True)]
    assert np.allclose(joint.variance(dy, dx), each, rtol=ROUNDING)
    both = joint.variance(dy[0] + dy[1], dx[0] + dx[1])
    assert both == pytest.approx(each[0] + each[1] + 2 * joint.covariance(dy[0], dx[0], dy[1], dx[1]), rel=ROUNDING)


def test_weights_multiply_y_and_x(rng: np.random.Generator) -> None:
    data = drawn(rng)
    weights = rng.integers(1, 4, 400)
    weighted = Joint.of(**data, weights=weights)
    repeated = Joint.of(**{name: np.repeat(values, weights) for name, values in data.items()})
    assert np.allclose(weighted.yy, repeated.yy, rtol=ROUNDING)
    assert np.allclose(weighted.xx, repeated.xx, rtol=ROUNDING)
    assert weighted.rows.sum() == 400


def test_a_period_of_one_customer_has_no_variance() -> None:
    joint = Joint.of([1.0, 2, 3], period=["a", "a", "b"], level=["x", "y", "y"], clusters=["ann", "ann", "bob"])
    assert np.isnan(joint.variance([1.0, 0, 0], [-1.0, 0, 0]))
    assert joint.variance([0.0, 0, 0], [0.0, 0, 0]) == 0


def test_cells_are_taken(rng: np.random.Generator) -> None:
    joint = Joint.of(**drawn(rng))
    after = joint.take(joint.keys["period"].eq(PERIODS[1]).to_numpy())
    assert after.keys["level"].tolist() == sorted(LEVELS)
    assert np.array_equal(after.yy, joint.yy[3:, 3:])
    assert after.customers == joint.customers


def test_a_level_name_is_needed_for_each_cell() -> None:
    with pytest.raises(UsageError, match="2 cells were given 1 names"):
        Joint.of([1.0, 2], period=["a", "b"], level=["x", "x"]).merge(["z"])
    with pytest.raises(UsageError, match="level has 1 rows and y has 2"):
        Joint.of([1.0, 2], period=["a", "b"], level=["x"])


def test_levels_that_share_a_denominator_merge_into_the_whole(rng: np.random.Generator) -> None:
    """Complaints by channel per customer of the period: the levels' ratios add up, and so does their variance."""
    data = drawn(rng)
    joint = Joint.of(**data, shared=True)
    whole = joint.merge(["all"] * len(joint.keys))
    before, after = (part(data, data["period"] == period) for period in PERIODS)
    assert np.allclose(joint.moments().ratio.reshape(2, 3).sum(axis=1), [before.ratio, after.ratio])
    assert np.allclose(whole.moments().variance, [before.variance, after.variance], rtol=ROUNDING)
    # All weight of x on the first cell of each period.
    total, sign = np.repeat(whole.x, 3), np.repeat([-1.0, 1.0], 3)
    below = np.where(np.arange(6) % 3 == 0, -sign * np.repeat(whole.moments().ratio, 3) / total, 0.0)
    apart, one = np.array([-1.0, 1.0]), whole.moments().ratio / whole.x
    assert joint.variance(sign / total, below) == pytest.approx(whole.variance(apart / whole.x, -apart * one))


def interactions(rng: np.random.Generator, n: int) -> dict[str, ibis.Table]:
    """Draw contacts in two months, and customers who subscribe, not all of the same people."""
    month = rng.choice([9, 10], n)
    who = [f"c{number}" for number in rng.integers(0, 30, n)]
    events = pd.DataFrame({
        "interaction_id": [str(number) for number in range(n)], "customer_id": who,
        "started_at": [datetime(2026, one, 15) for one in month], "channel": rng.choice(["web", "phone"], n),
        "kind": "contact",
    })  # fmt: skip
    people = pd.DataFrame({"customer_id": [f"c{number}" for number in range(10, 50)], "started_on": "2026-01-01"})
    people["started_on"] = pd.to_datetime(people["started_on"]).dt.date
    return {name: ibis.memtable(pa.Table.from_pandas(frame))
            for name, frame in (("interactions", events), ("subscriptions", people))}  # fmt: skip


CHANNEL = Segment(id="channel", title="Channel", on="event", column="channel")
DENOMINATORS = ["", "customers", "calendar_days", Part(table="subscriptions", value="customers")]


@pytest.mark.parametrize("denominator", DENOMINATORS, ids=["rows", "customers", "days", "another table"])
def test_what_the_engine_brings_is_taken(denominator: Any, rng: np.random.Generator) -> None:
    """Marginals are the plan's, and the whole's change has the variance that the plan and the overlap give it."""
    metric = Metric(
        id="m", title="M", question="?", kind="ratio" if denominator else "mean", unit="count", table="interactions",
        time="started_at", higher_is_better=False, numerator="1", denominator=denominator, owner="cx",
    )  # fmt: skip
    tables, periods = interactions(rng, 120), [Period.parse(label) for label in PERIODS]
    run: Any = lambda query: query.to_pyarrow().to_pandas()  # noqa: E731
    found = run(plans.joint(metric, tables, periods, timezone="UTC", segments=[CHANNEL]))
    joint = Joint.from_frame(found.sample(frac=1, random_state=1))
    plan = run(plans.plan(metric, tables, periods, timezone="UTC", segments=[CHANNEL]))
    expected, marginal = Moments.from_frame(plan), joint.moments()
    assert joint.keys["level"].tolist() == plan["level"].tolist()
    assert np.array_equal(marginal.variance, expected.variance)
    assert np.array_equal(marginal.clusters, expected.clusters)
    assert joint.shared == (denominator not in ("", "customers"))
    if denominator == "customers":
        return  # a customer of both channels is one below the whole and one below each channel
    whole = joint.merge(["all"] * len(joint.keys))
    plain = Moments.from_frame(run(plans.plan(metric, tables, periods, timezone="UTC")))
    pair = plans.overlaps(metric, tables, [(periods[1], periods[0])], timezone="UTC")
    covariance = Overlap.from_frame(run(pair)).covariance(plain[[1]], plain[[0]])
    sign = np.array([-1.0, 1.0])
    variance = whole.variance(sign / whole.x, -sign * whole.moments().ratio / whole.x)
    assert np.array_equal(list(joint.customers.values()), plain.clusters)
    assert plain.variance.sum() - 2 * covariance[0] == pytest.approx(variance, rel=ROUNDING)


def test_a_quarter_from_its_months(rng: np.random.Generator) -> None:
    """Moments joined with their overlaps, the engine's window of two months, and the rows at once."""
    metric = Metric(
        id="m", title="M", question="?", kind="mean", unit="count", table="interactions", time="started_at",
        higher_is_better=False, numerator="channel == 'web'", owner="cx",
    )  # fmt: skip
    tables, periods = interactions(rng, 200), [Period.parse(label) for label in PERIODS]
    run: Any = lambda query: query.to_pyarrow().to_pandas()  # noqa: E731
    months = Moments.from_frame(run(plans.plan(metric, tables, periods, timezone="UTC")))
    pair = Overlap.from_frame(run(plans.overlaps(metric, tables, [(periods[0], periods[1])], timezone="UTC")))
    joined = months[[0]].joined(months[[1]], pair)
    window = Moments.from_frame(run(plans.plan(metric, tables, periods[1:], timezone="UTC", rolling=2)))
    assert (joined.clusters, joined.variance) == (window.clusters, window.variance)
    assert joined.clusters < months.clusters.sum()


def test_an_empty_frame_is_no_cells() -> None:
    names = ["period", "level", "against", "against_level", "clusters", "yy", "xy", "yx", "xx", "rows", "y", "x", "y2"]
    assert len(Joint.from_frame(pd.DataFrame(columns=names)).keys) == 0
    assert len(Joint.of([np.nan], period=["a"], level=["b"]).keys) == 0
