"""Always-valid intervals: the reference boundary, the paper's formula, and false alarms over weekly looks."""

from __future__ import annotations

import math
from collections.abc import Callable

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import plans, sequential
from cxlib.measure.moments import Moments
from cxlib.params import Metric
from cxlib.periods import Period

WEEKS = [str(period) for period in Period.parse("2026-W40").last(28)]


def metric(kind: str, **more: object) -> Metric:
    unit = {"share": "percent", "nps": "points"}.get(kind, "score")
    fields = {"id": "m", "title": "M", "question": "?", "table": "responses", "owner": "cx", "higher_is_better": True}
    return Metric(**{**fields, "kind": kind, "unit": unit, "numerator": "score", **more})


def cumulative(y: np.ndarray, weekly: int, weeks: int = 28) -> pd.DataFrame:
    """Return moments of each series (a level) after each week; every answer is a customer of its own.

    `y` has one row a series, `weekly` answers a week, oldest first.
    """
    ends = np.arange(1, weeks + 1) * weekly
    sums, squares = (np.cumsum(values, axis=1)[:, ends - 1].ravel() for values in (y, y**2))
    n = np.tile(ends, len(y)).astype(float)
    numbers = {"rows": n, "clusters": n, "y": sums, "x": n, "yy": squares, "xy": sums, "xx": n, "y2": squares}
    labels = {"period": np.tile(WEEKS[:weeks], len(y)), "level": np.repeat([f"s{i:05d}" for i in range(len(y))], weeks)}
    return pd.DataFrame({**labels, **numbers})


def missed(found: pd.DataFrame, truth: float) -> float:
    """Return the share of series with an interval, at whatever look, that does not hold the truth."""
    ok = found["status"] == results.OK
    away = ok & ((found["conf_low"] > truth + 1e-12) | (found["conf_high"] < truth - 1e-12))
    return float(away.groupby(found["level"]).any().mean())


# -- the boundary


def test_boundary_of_the_reference(oracle: Callable[[str], dict]) -> None:
    """Oracle seq_confseq_normal_mixture: confseq's tests, from an implementation in R (Howard et al. 2021); 1e-5.

    Its `one_sided_bound` does not apply: an interval has two sides, and no one-sided one is offered.
    """
    expected = oracle("seq_confseq_normal_mixture")["expected"]
    rho = sequential.best_rho(100, 0.95)
    assert rho == pytest.approx(expected["best_rho(v_opt=100,a=.05)"], abs=1e-5)
    assert sequential.boundary(100, rho, 0.95) == pytest.approx(expected["two_sided_bound(v=100)"], abs=1e-5)
    log = sequential.log_mixture(10, 100, rho)
    assert log == pytest.approx(expected["two_sided_log_mixture(s=10,v=100)"], abs=1e-5)


@given(st.floats(2, 1e6), st.floats(1, 1e6), st.floats(0.5, 0.999), st.floats(1e-3, 1e3))
def test_interval_is_the_formula_of_the_paper(n: float, n_star: float, confidence: float, error: float) -> None:
    """Waudby-Smith et al., arXiv:2103.06476: the interval and its rho, written as there."""
    alpha = 1 - confidence
    rho = math.sqrt((-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / n_star)
    spread = error * math.sqrt(n)
    inside = 2 * (n * rho**2 + 1) / (n**2 * rho**2) * math.log(math.sqrt(n * rho**2 + 1) / alpha)
    found = sequential.always_valid(1.5, error, n, n_star=n_star, confidence=confidence)
    assert found["conf_high"].iloc[0] - 1.5 == pytest.approx(spread * math.sqrt(inside), rel=1e-9)
    assert 1.5 - found["conf_low"].iloc[0] == pytest.approx(spread * math.sqrt(inside), rel=1e-9)


@given(st.floats(-4, 4), st.floats(0.01, 2), st.integers(2, 10_000), st.floats(0.8, 0.99))
def test_p_value_is_below_alpha_where_the_interval_misses_the_value(
    estimate: float, error: float, n: int, confidence: float
) -> None:
    """At the same rho both are one statement; `always_valid` picks rho by the confidence."""
    found = sequential.always_valid(estimate, error, n, n_star=500, confidence=confidence, null=0.0).iloc[0]
    away = min(abs(found["conf_low"]), abs(found["conf_high"]))
    if away > 1e-9 * abs(estimate):
        assert (found["p_value"] < 1 - confidence) == (found["conf_low"] > 0 or found["conf_high"] < 0)


@given(st.floats(0.01, 10), st.integers(2, 100_000), st.floats(10, 10_000))
def test_it_is_wider_than_the_interval_of_one_look(error: float, n: int, n_star: float) -> None:
    found = sequential.always_valid(0.0, error, n, n_star=n_star)
    assert found["conf_high"].iloc[0] > stats.norm.isf(0.025) * error


def test_width_is_what_the_module_states() -> None:
    at = sequential.always_valid(0.0, 1.0, [100, 1_000, 10_000], n_star=1_000)["conf_high"] / stats.norm.isf(0.025)
    assert at.iloc[1] == pytest.approx(1.55, abs=0.005)
    assert at.iloc[1] < min(at.iloc[0], at.iloc[2])


def test_what_cannot_be_said_is_not_said() -> None:
    found = sequential.always_valid(
        [1.0, np.nan, 2.0, 3.0], [0.0, 1.0, np.nan, 0.5], [50, 50, 50, 50], n_star=100, null=0
    )
    assert found["status"].tolist() == [*[results.UNDEFINED] * 3, results.OK]
    assert found["p_value"].isna().tolist() == [True, True, True, False]
    for wrong in (0, -5, math.nan):
        with pytest.raises(UsageError, match="n_star"):
            sequential.always_valid(1.0, 1.0, 10, n_star=wrong)
    with pytest.raises(UsageError, match="confidence"):
        sequential.always_valid(1.0, 1.0, 10, n_star=10, confidence=95)


# -- looks


def test_looks_keep_the_estimate_and_name_the_start(rng: np.random.Generator) -> None:
    y = (rng.random((1, 28 * 50)) < 0.8).astype(float)
    found = sequential.looks(metric("share"), cumulative(y, 50), n_star=1_000)
    assert found["estimate"].iloc[-1] == pytest.approx(y.mean())
    assert set(found["at"]) == {f"since {WEEKS[0]}"}
    assert found["n"].tolist() == [50.0 * week for week in range(1, 29)]
    assert set(found["method"]) == {"always valid, normal mixture, n* 1000"}
    points = sequential.looks(metric("nps"), cumulative(2 * y - 1, 50), n_star=1_000)
    assert points["estimate"].iloc[-1] == pytest.approx(100 * (2 * y - 1).mean())
    # An NPS without passives is a share on another scale: twice the width, in points.
    share, nps = (frame["conf_high"].iloc[-1] - frame["conf_low"].iloc[-1] for frame in (found, points))
    assert nps == pytest.approx(200 * share, rel=0.01)


def test_limits_stay_on_the_scale() -> None:
    ones = np.ones((1, 28 * 10))
    share = sequential.looks(metric("share"), cumulative(ones, 10), n_star=100)
    assert (share["conf_high"] == 1).all()
    assert share["conf_low"].between(0, 1, inclusive="left").all()
    nps = sequential.looks(metric("nps"), cumulative(-ones, 10), n_star=100)
    assert (nps["conf_low"] == -100).all()


def test_means_wait_for_enough_customers_and_quantiles_are_not_offered(rng: np.random.Generator) -> None:
    frame = cumulative(rng.normal(5, 1, (1, 28 * 30)), 30)
    found = sequential.looks(metric("mean", scale=2.0), frame, n_star=500)
    assert found["status"].tolist() == [results.TOO_FEW] * 3 + [results.OK] * 25
    assert found["estimate"].iloc[-1] == pytest.approx(2 * frame["y"].iloc[-1] / frame["x"].iloc[-1])
    none = sequential.looks(metric("quantile", unit="seconds"), frame, n_star=500)
    assert set(none["status"]) == {results.UNDEFINED}
    few = sequential.looks(metric("nps"), cumulative(np.zeros((1, 28 * 2)), 2), n_star=500)
    assert few["status"].tolist() == [results.SUPPRESSED] * 4 + [results.OK] * 24
    assert sequential.looks(metric("nps"), frame.iloc[:0], n_star=500).empty


def test_looks_at_what_the_engine_brings(rng: np.random.Generator) -> None:
    """The i-th week with `rolling=i` covers all weeks so far; customers who answer again are one cluster."""
    asked = metric("nps", time="responded_at", value="score")
    n, weeks = 400, [Period.parse(label) for label in WEEKS[:4]]
    start = np.datetime64(weeks[0].bounds("UTC")[0])
    rows = pd.DataFrame(
        {
            "response_id": [str(i) for i in range(n)], "customer_id": [f"c{i}" for i in rng.integers(0, 150, n)],
            "responded_at": start + rng.integers(0, 28 * 86_400, n).astype("timedelta64[s]"), "instrument": "nps",
            "score": rng.integers(0, 11, n),
        }
    ).astype({"responded_at": "datetime64[us]"})  # fmt: skip
    tables = {"responses": ibis.memtable(pa.Table.from_pandas(rows, preserve_index=False))}
    parts = [
        plans.plan(asked, tables, [week], timezone="UTC", rolling=number).to_pyarrow().to_pandas()
        for number, week in enumerate(weeks, 1)
    ]
    found = sequential.looks(asked, pd.concat(parts), n_star=100)
    y = np.where(rows["score"] >= 9, 1.0, np.where(rows["score"] <= 6, -1.0, 0.0))
    for number, row in enumerate(found.to_dict("records"), 1):
        own = (rows["responded_at"] < start + np.timedelta64(7 * number, "D")).to_numpy()
        moments = Moments.of(y[own], clusters=rows.loc[own, "customer_id"])
        assert row["estimate"] == pytest.approx(100 * y[own].mean())
        assert row["n_eff"] == pytest.approx(float(moments.effective_n[0]))
        assert row["n"] == own.sum() > moments.clusters


def test_order_of_rows_does_not_matter(rng: np.random.Generator) -> None:
    frame = cumulative(rng.normal(5, 1, (3, 28 * 30)), 30)
    one, two = (sequential.looks(metric("mean"), rows, n_star=500) for rows in (frame, frame[::-1]))
    pd.testing.assert_frame_equal(one, two)


# -- false alarms over 28 weekly looks at nothing


@pytest.mark.simulation
def test_weekly_looks_at_noise(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """METHODS, Always valid: 27.5 % false alarms with the interval of one look, 1.6 % so."""
    times = replicates(1_000, 20_000)
    frame = cumulative(rng.normal(0, 1, (times, 28 * 100)), 100)
    found = sequential.looks(metric("mean"), frame, n_star=2_800)
    half = stats.norm.isf(0.025) * found["std_error"]
    naive = found.assign(conf_low=found["estimate"] - half, conf_high=found["estimate"] + half)
    assert missed(naive, 0.0) == pytest.approx(0.275, abs=0.01 + 4 * np.sqrt(0.275 * 0.725 / times))
    assert missed(found, 0.0) == pytest.approx(0.016, abs=0.003 + 4 * np.sqrt(0.016 * 0.984 / times))


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("kind", "chances"),
    [("share", (0.5,)), ("share", (0.97,)), ("share", (0.99,)), ("nps", (0.5, 0.2)), ("nps", (0.85, 0.03))],
)
@pytest.mark.parametrize("weekly", [10, 30])
def test_few_answers_a_week_and_lopsided_ones(
    kind: str, chances: tuple[float, ...], weekly: int, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """At most 5 %; without the three extra answers up to 90 % miss."""
    times = replicates(500, 10_000)
    u = rng.random((times, 28 * weekly))
    y = (u < chances[0]) * 1.0 - ((u >= 1 - chances[1]) * 1.0 if kind == "nps" else 0.0)
    truth = chances[0] if kind == "share" else 100 * (chances[0] - chances[1])
    found = sequential.looks(metric(kind), cumulative(y, weekly), n_star=10 * weekly)
    assert missed(found, truth) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


@pytest.mark.simulation
def test_customers_who_answer_again_and_again(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """A panel of 60, each true to a mood of her own, of whom a third answers each week.

    Looking at answers as if each were a new customer misses in most of the series.
    """
    times, people = replicates(300, 5_000), 60
    y, n = np.zeros((times, people)), np.zeros((times, people))
    mood, parts = rng.beta(0.6, 0.3, (times, people)), []  # promoters' share of each; the mean is 2 / 3
    for week in WEEKS:
        answers = rng.random((times, people)) < 1 / 3
        n += answers
        y += answers * np.where(rng.random((times, people)) < mood, 1.0, -1.0)
        sums = {"y": y.sum(1), "x": n.sum(1), "yy": (y**2).sum(1), "xy": (y * n).sum(1), "xx": (n**2).sum(1)}
        parts.append(pd.DataFrame({"period": week, "level": [f"s{i:05d}" for i in range(times)], **sums,
                                   "rows": n.sum(1), "clusters": (n > 0).sum(1), "y2": n.sum(1)}))  # fmt: skip
    frame = pd.concat(parts, ignore_index=True).astype({"clusters": float})
    found = sequential.looks(metric("nps"), frame, n_star=people)
    truth = 100 * (2 * 2 / 3 - 1)
    assert missed(found, truth) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)
    blind = frame.assign(clusters=frame["rows"], yy=frame["y2"], xy=frame["y"], xx=frame["x"])
    assert missed(sequential.looks(metric("nps"), blind, n_star=people), truth) > 0.15
