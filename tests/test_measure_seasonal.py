"""Rolling rows, and the season taken out: a linear smoother whose variances are exact."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from statsmodels.tsa.seasonal import STL

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates, seasonal
from cxlib.params import Metric
from cxlib.periods import Period
from tests.show_frames import level_rows

SEASON = 3 * np.sin(2 * np.pi * np.arange(12) / 12) + np.array([0, 0, 0, 0, 0, 0, 0, 0, 0, 2.0, 4.0, -6.0])


def months(count: int) -> list[str]:
    return [str(period) for period in Period.parse("2026-10").last(count)]


def series(values: object, labels: list[str] | None = None, half: object = 1.96, name: str = "nps") -> pd.DataFrame:
    labels = labels or months(len(values))
    return level_rows(name, labels, values, half, np.full(len(labels), 400))


def stl(y: np.ndarray, period: int = 12) -> np.ndarray:
    """Return what statsmodels takes for the season."""
    return STL(y, period=period, seasonal=10 * y.size + 1, seasonal_deg=0, robust=False).fit().seasonal


# -- the operator


@pytest.mark.parametrize(("size", "season"), [(24, 12), (25, 12), (36, 12), (61, 12), (8, 4), (13, 4)])
def test_the_operator_is_statsmodels_stl(size: int, season: int, rng: np.random.Generator) -> None:
    y = rng.normal(30, 4, size)
    assert seasonal.operator(size, season) @ y == pytest.approx(y - stl(y, season), abs=1e-9)


@given(
    hnp.arrays(float, 30, elements=st.floats(-100, 100)), hnp.arrays(float, 30, elements=st.floats(-100, 100)),
    st.floats(-3, 3),
)  # fmt: skip
def test_the_smoother_is_linear(a: np.ndarray, b: np.ndarray, weight: float) -> None:
    """Robust STL would not be: its weights depend on the figures."""
    both = a + weight * b
    assert both - stl(both) == pytest.approx((a - stl(a)) + weight * (b - stl(b)), abs=1e-9)


@pytest.mark.parametrize("size", [24, 36, 47])
def test_a_level_stays_and_a_season_goes(size: int) -> None:
    operator = seasonal.operator(size)
    assert operator @ np.full(size, 7.5) == pytest.approx(np.full(size, 7.5))
    pattern = SEASON - SEASON.mean()
    assert operator @ pattern[np.arange(size) % 12] == pytest.approx(
        np.zeros(size), abs=1e-9 if size % 12 == 0 else 0.35
    )


@pytest.mark.parametrize(("size", "most"), [(24, 0.12), (36, 0.03), (60, 0.01)])
def test_a_straight_line_is_nearly_kept(size: int, most: float) -> None:
    """What is lost at the ends is a small part of one month's step."""
    line = np.arange(size, dtype=float)
    assert np.abs(seasonal.operator(size) @ line - line).max() <= most


# -- the frame


def test_a_planted_season_is_taken_out(rng: np.random.Generator) -> None:
    trend = 30 + 0.1 * np.arange(48)
    noise = rng.normal(0, 0.5, 48)
    found = seasonal.adjusted(series(trend + SEASON[np.arange(48) % 12] + noise))
    assert set(found["status"]) == {results.OK}
    level = SEASON.mean()
    assert np.std(found["estimate"] - trend - level) < 0.6
    assert np.std(SEASON) > 2.5
    assert (found["conf_low"] < trend + level).mean() > 0.9


def test_without_a_season_little_changes(rng: np.random.Generator) -> None:
    """What is taken out of noise over 4 years: a quarter of its variance is each month's mean, the factor's noise."""
    y = rng.normal(30, 1, 48)
    found = seasonal.adjusted(series(y))["estimate"].to_numpy()
    assert np.std(found - y) == pytest.approx(0.5, abs=0.15)
    assert np.corrcoef(found, y)[0, 1] > 0.8


@pytest.mark.simulation
def test_variances_go_through_the_operator_exactly(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Monte Carlo: draw the months from their sampling errors and adjust each draw by statsmodels itself."""
    errors = rng.uniform(0.5, 3.0, 30)
    truth = 30 + SEASON[np.arange(30) % 12]
    found = seasonal.adjusted(series(truth, half=1.96 * errors))
    times = replicates(300, 10_000)
    drawn = np.array([y - stl(y) for y in truth + errors * rng.normal(size=(times, 30))])
    spread = drawn.std(axis=0, ddof=1)
    # A standard deviation of m draws has a relative error of 1 / sqrt(2 m); 30 of them are looked at.
    assert spread == pytest.approx(found["std_error"].to_numpy(), rel=4 / np.sqrt(2 * times))
    covered = (np.abs(drawn - found["estimate"].to_numpy()) <= 1.959964 * found["std_error"].to_numpy()).mean()
    assert covered == pytest.approx(0.95, abs=0.01)


def test_two_years_are_needed() -> None:
    found = seasonal.adjusted(series(np.arange(23.0)))
    assert set(found["status"]) == {results.TOO_FEW}
    assert "24 periods in a row" in found["note"].iloc[0]
    assert "there are 23" in found["note"].iloc[0]
    assert set(seasonal.adjusted(series(np.arange(24.0)))["status"]) == {results.OK}


def test_a_gap_starts_it_anew() -> None:
    """Thirty months with a hole in the third: 27 remain after it."""
    y = np.sin(np.arange(30.0))
    whole = series(y)
    hole = whole[whole["period"] != months(30)[2]]
    found = seasonal.adjusted(hole)
    assert found["period"].tolist() == months(30)
    assert found["status"].tolist() == [results.TOO_FEW] * 3 + [results.OK] * 27
    assert found["note"].iloc[0] == "before the last gap"
    after = seasonal.adjusted(series(y[3:], months(27)))
    pd.testing.assert_frame_equal(found[3:].reset_index(drop=True), after)
    late = seasonal.adjusted(whole[whole["period"] != months(30)[20]])
    assert "there are 9" in late["note"].iloc[0]
    blind = whole.assign(std_error=whole["std_error"].where(whole["period"] != months(30)[2]))
    assert seasonal.adjusted(blind)["status"].tolist()[:4] == [results.TOO_FEW] * 3 + [results.OK]


def test_series_are_adjusted_one_by_one_whatever_the_order(rng: np.random.Generator) -> None:
    parts = [series(rng.normal(30, 1, 30)), series(rng.normal(0.05, 0.01, 30), half=0.01, name="churn")]
    parts.append(results.label(series(rng.normal(20, 2, 30)), segment="region", level="North"))
    parts.append(results.label(parts[0], at="rolling 3"))
    both = results.concat(parts)
    found = seasonal.adjusted(both)
    assert len(found) == 90
    assert set(found["at"]) == {seasonal.ADJUSTED}
    pd.testing.assert_frame_equal(found, seasonal.adjusted(both.sample(frac=1, random_state=2)))
    alone = seasonal.adjusted(parts[1])
    pd.testing.assert_frame_equal(found[found["metric"] == "churn"].reset_index(drop=True), alone)
    assert seasonal.adjusted(results.empty()).empty


def test_quarters_are_adjusted_and_weeks_refused() -> None:
    quarters = [str(period) for period in Period.parse("2026-Q3").last(12)]
    found = seasonal.adjusted(series(np.tile([1.0, 2.0, 3.0, 2.0], 3), quarters))
    assert found["estimate"].to_numpy() == pytest.approx(np.full(12, 2.0))
    assert found["method"].iloc[0] == "STL, periodic season of 4"
    weeks = [str(period) for period in Period.parse("2026-W40").last(60)]
    with pytest.raises(UsageError, match="week periods"):
        seasonal.adjusted(series(np.arange(60.0), weeks))
    with pytest.raises(UsageError, match="several figures"):
        seasonal.adjusted(results.concat([series(np.arange(24.0)), series([3.0])]))
    with pytest.raises(UsageError, match="fewer than 2 years"):
        seasonal.operator(23)


# -- rolling


def test_rolling_rows_are_named(rng: np.random.Generator) -> None:
    metric = Metric(
        id="aov", title="AOV", question="?", kind="mean", unit="money", table="orders", owner="cx", numerator="amount",
        higher_is_better=True,
    )  # fmt: skip
    y = rng.normal(60, 9, (12, 50))
    sums, squares, n = y.sum(axis=1), (y**2).sum(axis=1), np.full(12, 50.0)
    frame = pd.DataFrame({"period": months(12), "level": "all", "rows": n, "clusters": n, "y": sums, "x": n,
                          "yy": squares, "xy": sums, "xx": n, "y2": squares})  # fmt: skip
    found = seasonal.rolling(metric, frame, 3, first=months(12)[0])
    plain = estimates.from_moments(metric, frame)
    assert set(found["at"]) == {"rolling 3"} == {seasonal.rolled(3)}
    assert found["method"].iloc[-1] == plain["method"].iloc[-1] + ", rolling 3 months"
    assert found["status"].tolist() == [results.TOO_FEW] * 2 + [results.OK] * 10
    assert "fewer than 3 months" in found["note"].iloc[0]
    assert found["estimate"].iloc[-1] == plain["estimate"].iloc[-1]
    assert set(seasonal.rolling(metric, frame, 3)["status"]) == {results.OK}
    assert seasonal.rolling(metric, frame.iloc[:0], 3).empty
