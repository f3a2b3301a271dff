"""Interrupted series: statsmodels' Newey-West, what calibrates the limits, what is refused, placebos, and coverage."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import strategies as st
from scipy.signal import lfilter

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects import segmented, series
from cxlib.errors import UsageError

EXACT = 1e-8  # two ways to the same least squares, in doubles
COLUMNS = ["estimate", "std_error", "conf_low", "conf_high", "p_value", "n"]


def months(values: np.ndarray, first: str = "2023-01") -> pd.DataFrame:
    return pd.DataFrame({"month": pd.period_range(first, periods=len(values), freq="M").astype(str), "y": values})


def ar(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    """Return n points of a first-order autoregression in its steady state, or of a random walk."""
    return lfilter([1], [1, -rho], rng.normal(size=n + 300))[300:]


def line(y: np.ndarray, start: int, place: np.ndarray | None = None) -> series.Series:
    n = y.size
    steps = np.arange(n) if place is None else place
    return series.Series(y, np.empty((n, 0)), np.ones(n), steps, start, tuple(map(str, steps)), "step")


def run(frame: pd.DataFrame, start: str = "2025-01", **more: object) -> pd.DataFrame:
    return effects.interrupted_series(frame, outcome="y", time="month", start=start, **more)


@pytest.fixture
def seen(rng: np.random.Generator) -> pd.DataFrame:
    """Three years, two of them before, with a trend and a planted change of 4 points and 0.2 a month."""
    t = np.arange(36)
    return months(50 + 0.1 * t + ar(rng, 36, 0.4) + (t >= 24) * (4 + 0.2 * (t - 24)))


class TestStatsmodels:
    """statsmodels' OLS and WLS with `cov_type="HAC"`, `use_correction=True` on the same columns are the reference."""

    @pytest.mark.parametrize(("lags", "seasonal"), [(None, None), (0, None), (5, None), (None, 12), (2, 4)])
    def test_estimates_and_errors(self, seen: pd.DataFrame, lags: int | None, seasonal: int | None) -> None:
        t = np.arange(36)
        x = np.column_stack([np.ones(36), t, t >= 24, (t >= 24) * (t - 24)])
        if seasonal:
            x = np.column_stack([x, pd.get_dummies(t % seasonal, drop_first=True)])
        used = 3 if lags is None else lags  # 4 (36 / 100)^(2/9) = 3.19
        keywords = {"maxlags": used, "use_correction": True}
        peer = sm.OLS(seen["y"], x.astype(float)).fit(cov_type="HAC", cov_kwds=keywords)
        wanted = np.zeros((3, x.shape[1]))
        wanted[0, 2], wanted[1, 3], wanted[2, 2:4] = 1, 1, (1, 5.5)  # 5.5: the mean step of twelve after the start
        test = peer.t_test(wanted)
        found = run(seen, lags=lags, seasonal=seasonal)
        assert found["at"].tolist() == ["level change", "slope change", "average effect"]
        np.testing.assert_allclose(found["estimate"], test.effect, rtol=EXACT)
        np.testing.assert_allclose(found["std_error"], test.sd, rtol=EXACT)

    def test_weighted_by_sampling_error(self, seen: pd.DataFrame, rng: np.random.Generator) -> None:
        seen["error"], t = rng.uniform(0.5, 2, 36), np.arange(36)
        x = np.column_stack([np.ones(36), t, t >= 24, (t >= 24) * (t - 24)]).astype(float)
        peer = sm.WLS(seen["y"], x, weights=seen["error"] ** -2)
        peer = peer.fit(cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": True})
        found = run(seen, std_error="error")
        np.testing.assert_allclose(found["estimate"].iloc[:2], peer.params[2:], rtol=EXACT)
        np.testing.assert_allclose(found["std_error"].iloc[:2], peer.bse[2:], rtol=EXACT)

    def test_gaps_are_steps_that_say_nothing(self, seen: pd.DataFrame) -> None:
        """As rows of zeros do in statsmodels, whose correction then counts them: it is put right by hand."""
        gone, t = [5, 6, 30], np.arange(36)
        x = np.column_stack([np.ones(36), t - 24, t >= 24, (t >= 24) * (t - 24)]).astype(float)
        y = seen["y"].to_numpy(copy=True)
        x[gone], y[gone] = 0, 0
        peer = sm.OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 3, "use_correction": False})
        found = run(seen.drop(index=gone), lags=3)
        np.testing.assert_allclose(found["estimate"].iloc[:2], peer.params[2:], rtol=EXACT)
        np.testing.assert_allclose(found["std_error"].iloc[:2], peer.bse[2:] * np.sqrt(33 / 29), rtol=EXACT)
        assert "3 months in between are not there" in found["note"].iloc[0]


class TestLimits:
    """What the t statistic follows."""

    @hypothesis.given(st.floats(-0.5, 0.97), st.integers(0, 10_000))
    def test_likelihood_and_smearing_by_matrices(self, rho: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        place = np.cumsum(rng.integers(1, 3, 15))
        apart = np.abs(np.subtract.outer(place, place))
        sigma = np.sign(rho) ** apart * np.abs(rho) ** apart if rho else np.eye(15)
        x, y = np.column_stack([np.ones(15), rng.normal(size=(15, 2))]), rng.normal(size=15)
        inverse = np.linalg.inv(sigma)
        inner = x.T @ inverse @ x
        left = y - x @ np.linalg.solve(inner, x.T @ inverse @ y)
        logs = -0.5 * np.linalg.slogdet(sigma)[1] - 0.5 * np.linalg.slogdet(inner)[1]
        wanted = logs - 6 * np.log(left @ inverse @ left)
        assert segmented._likelihood(place, x, y, rho) == pytest.approx(wanted, abs=1e-6)
        np.testing.assert_allclose(segmented._smeared(place, x, rho), sigma @ x, atol=1e-10)

    def test_without_lags_or_autocorrelation_nearly_plain_t(self, rng: np.random.Generator) -> None:
        """Of white noise, with the likelihood sharp at 0: the interval is that of least squares, to a tenth."""
        y, t = ar(rng, 400, 0.0), np.arange(400)
        x = np.column_stack([np.ones(400), t, t >= 200, (t >= 200) * (t - 200)]).astype(float)
        plain = sm.OLS(y, x).fit()
        found = effects.interrupted_series(pd.DataFrame({"t": t, "y": y}), outcome="y", time="t", start=200)
        width = (found["conf_high"] - found["conf_low"]).iloc[0]
        assert width == pytest.approx(np.ptp(plain.conf_int()[2]), rel=0.2)

    def test_p_value_is_where_the_interval_ends(self, seen: pd.DataFrame) -> None:
        first = run(seen).iloc[0]
        at = run(seen, confidence=1 - first["p_value"]).iloc[0]
        assert min(abs(at["conf_low"]), abs(at["conf_high"])) == pytest.approx(0, abs=1e-6)


class TestProperties:
    @hypothesis.given(st.floats(0.01, 1e6), st.floats(-1e6, 1e6), st.floats(-10, 10), st.integers(0, 1_000))
    def test_units_level_and_trend_do_not_matter(self, scale: float, level: float, slope: float, seed: int) -> None:
        """Another unit scales everything; a level or a trend that runs through changes nothing."""
        y = np.random.default_rng(seed).normal(size=30)
        one = segmented.fit(line(y, 20), None, None)
        other = segmented.fit(line(scale * (y + slope * np.arange(30)) + level, 20), None, None)
        assert one
        assert other
        size = 1e-7 * (1 + abs(level) / scale)  # doubles have 15 digits, the level takes its share
        np.testing.assert_allclose(other.estimates, scale * one.estimates, rtol=1e-6, atol=scale * size)
        np.testing.assert_allclose(other.errors, scale * one.errors, rtol=1e-5, atol=scale * size)

    def test_order_of_rows_does_not_matter_and_nothing_is_drawn(self, seen: pd.DataFrame) -> None:
        one, other = run(seen), run(seen.sample(frac=1, random_state=3))
        pd.testing.assert_frame_equal(one, other)
        pd.testing.assert_frame_equal(one, run(seen))

    def test_a_planted_change_is_found(self, seen: pd.DataFrame) -> None:
        found = run(seen).set_index("at")
        truth = {"level change": 4, "slope change": 0.2, "average effect": 4 + 0.2 * 5.5}
        for at, value in truth.items():
            assert found.loc[at, "conf_low"] < value < found.loc[at, "conf_high"]
        assert found.loc["average effect", "p_value"] < 0.05

    def test_a_season_is_no_change(self, rng: np.random.Generator) -> None:
        """Six months after, half a year: without the season its swing passes for an effect."""
        t = np.arange(36)
        frame = months(10 * np.sin(2 * np.pi * t / 12) + rng.normal(size=36))
        apart = run(frame, "2025-07", seasonal=12).iloc[2]
        assert apart["conf_low"] < 0 < apart["conf_high"]
        assert abs(apart["estimate"]) < 3 < abs(run(frame, "2025-07").iloc[2]["estimate"])

    def test_path_and_rows_agree(self, seen: pd.DataFrame) -> None:
        fit = effects.fit_interrupted(seen, outcome="y", time="month", start="2025-01")
        path = fit.path.pivot_table(index="period", columns="at", values="estimate")
        gap = (path["fitted"] - path["without the change"]).dropna()
        assert gap.index[0] == "2025-01"
        assert gap.iloc[0] == pytest.approx(fit.frame["estimate"].iloc[0])
        assert gap.mean() == pytest.approx(fit.frame["estimate"].iloc[2])
        np.testing.assert_allclose(path["actual"], seen["y"])

    def test_durbin_watson_is_statsmodels(self, seen: pd.DataFrame) -> None:
        from statsmodels.stats.stattools import durbin_watson

        t = np.arange(36)
        x = np.column_stack([np.ones(36), t, t >= 24, (t >= 24) * (t - 24)]).astype(float)
        fit = effects.fit_interrupted(seen, outcome="y", time="month", start="2025-01")
        assert fit.checks["estimate"].iloc[0] == pytest.approx(durbin_watson(sm.OLS(seen["y"], x).fit().resid))


class TestDoor:
    @pytest.mark.parametrize("kind", ["period", "date", "text", "end", "arrow", "number"])
    def test_kinds_of_time(self, seen: pd.DataFrame, kind: str) -> None:
        given, start = seen.copy(), "2025-01"
        when = pd.PeriodIndex(seen["month"], freq="M")
        given["month"] = {
            "period": when, "date": when.to_timestamp().date, "text": when.to_timestamp().astype(str),
            "end": when.to_timestamp(how="end").normalize(), "number": np.arange(36) + 7,
            "arrow": seen["month"].astype("string[pyarrow]"),
        }[kind]  # fmt: skip
        found = run(given, 31 if kind == "number" else start)
        pd.testing.assert_frame_equal(found[COLUMNS], run(seen)[COLUMNS])

    def test_several_steps_and_their_gaps(self) -> None:
        def place(values: object, start: object) -> series.Series:
            count = len(values)
            return series.read({"y": np.zeros(count)}, outcome="y", times=values, start=start)

        weeks = place(pd.date_range("2026-01-05", periods=10, freq="7D").delete(3), "2026-02-09")
        assert (weeks.step, weeks.start, weeks.notes) == ("week", 5, ("1 week in between is not there",))
        quarters = place(pd.date_range("2024-01-01", periods=9, freq="QS"), "2025-05-01")
        assert (quarters.step, quarters.start, quarters.begins) == ("quarter", 6, "2025-07")
        named = place(["2025-Q3", "2025-Q4", "2026-Q1", "2026-Q3"], "2026-Q1")
        assert (named.step, named.start, named.place.tolist()) == ("quarter", 2, [0, 1, 2, 4])
        assert (named.begins, named.notes) == ("2026-Q1", ("1 quarter in between is not there",))
        weeks = place(["2025-W51", "2025-W52", "2026-W01", "2026-W02"], "2026-W01")
        assert (weeks.step, weeks.start, weeks.begins) == ("week", 2, "2026-W01")
        halves = place(np.arange(8) / 2, 1.25)
        assert (halves.place.tolist(), halves.start) == (list(range(8)), 3)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"start": "2031-01"}, "leaves no point before it or none after"),
            ({"start": "soon"}, "is no date"),
            ({"start": 7}, "is no date"),
            ({"seasonal": 1}, "no whole number"),
            ({"lags": -1}, "no whole number"),
            ({"confidence": 95}, "not between 0 and 1"),
            ({"outcome": "z"}, "no column 'z'"),
            ({"std_error": "below"}, "errors below 0"),
        ],
    )
    def test_refused(self, seen: pd.DataFrame, change: dict, words: str) -> None:
        keywords = {"outcome": "y", "time": "month", "start": "2025-01", **change}
        with pytest.raises(UsageError, match=words):
            effects.interrupted_series(seen.assign(below=-0.1), **keywords)

    def test_errors_of_0_are_as_small_as_the_smallest_above(self, seen: pd.DataFrame) -> None:
        """A share of 0 or 1 has a binomial error of 0: a weight of one over it would leave the others none."""
        names: dict[str, Any] = {"outcome": "y", "time": "month", "start": "2025-01", "std_error": "error"}
        errors = np.linspace(0.2, 0.4, 36)
        holes, filled = errors.copy(), errors.copy()
        holes[[3, 30]], filled[[3, 30]] = 0.0, 0.2
        found, expected = (effects.interrupted_series(seen.assign(error=one), **names) for one in (holes, filled))
        np.testing.assert_allclose(found["estimate"], expected["estimate"])
        assert "2 points with a sampling error of 0" in found["note"].iloc[0]
        none = effects.interrupted_series(seen.assign(error=0.0), **names)
        np.testing.assert_allclose(none["estimate"], run(seen)["estimate"])
        assert "all weigh alike" in none["note"].iloc[0]

    def test_no_rows(self, seen: pd.DataFrame) -> None:
        found = run(seen.iloc[:0])
        assert found["at"].tolist() == ["level change", "slope change", "average effect"]
        assert (found["status"] == results.TOO_FEW).all()

    def test_periods_of_pandas_keep_their_names(self) -> None:
        for freq, first, names in (("Q", "2023Q1", "2025-Q1"), ("W-SUN", "2026-01-05", "2026-W10")):
            when = pd.period_range(first, periods=16, freq=freq)
            table = series.read({"y": np.zeros(16)}, outcome="y", times=when, start=when[8])
            assert (table.begins, table.start, table.step) == (names, 8, "quarter" if freq == "Q" else "week")

    def test_twice_or_uneven(self, seen: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="2025-12 several times"):
            run(pd.concat([seen, seen.tail(1)]))
        uneven = seen.assign(month=[0.1, *range(1, 36)])
        with pytest.raises(UsageError, match="not evenly spaced"):
            run(uneven, 24)

    @pytest.mark.parametrize(
        ("start", "seasonal", "status"),
        [
            ("2023-06", None, ["too_few"] * 3),
            ("2025-12", None, ["too_few"] * 3),
            ("2024-06", 12, ["too_few"] * 3),
            ("2025-09", None, ["ok", "too_few", "ok"]),
            ("2025-07", 12, ["ok"] * 3),
        ],
    )
    def test_too_few(self, seen: pd.DataFrame, start: str, seasonal: int | None, status: list[str]) -> None:
        found = run(seen, start, seasonal=seasonal)
        assert found["status"].tolist() == status
        assert (found.loc[found["status"] != "ok", "note"] != "").all()

    @pytest.mark.parametrize("values", [np.full(36, 3.0), np.arange(36) * 2.0, np.repeat([0.0, 5.0], [24, 12])])
    def test_nothing_to_err_by(self, values: np.ndarray) -> None:
        found = run(months(values))
        assert set(found["status"]) == {results.UNDEFINED}
        assert found["p_value"].isna().all()

    def test_missing_figures_are_told(self, seen: pd.DataFrame) -> None:
        given = seen.assign(y=seen["y"].astype("Float64"))
        given.loc[[2, 30], "y"] = pd.NA
        found = run(given)
        assert (found["n"] == 34).all()
        assert "2 points without a figure left out" in found["note"].iloc[0]


class TestPlacebos:
    def test_in_time_and_in_space(self, seen: pd.DataFrame, rng: np.random.Generator) -> None:
        seen["other"] = ar(rng, 36, 0.4)
        keywords = {"outcome": "y", "time": "month", "start": "2025-01", "controls": ["other"]}
        fit = effects.fit_interrupted(seen, **keywords)
        time = fit.placebos[fit.placebos["at"] == "in time"]
        summed = fit.placebos.iloc[0]
        large = int((time["estimate"].abs() >= abs(fit.frame["estimate"].iloc[2])).sum())
        assert summed["at"] == "placebo"
        assert summed["p_value"] == pytest.approx((1 + large) / (1 + len(time)))
        assert summed["note"] in fit.frame["note"].iloc[2]
        assert fit.placebos.loc[fit.placebos["at"] == "in space", "level"].tolist() == ["other"]
        alone = effects.interrupted_series(seen, outcome="other", time="month", start="2025-01").iloc[2]
        space = fit.placebos.iloc[-1]
        assert space["estimate"] == pytest.approx(alone["estimate"])

    def test_data_after_the_start_do_not_matter(self, seen: pd.DataFrame) -> None:
        keywords = {"outcome": "y", "time": "month", "start": "2025-01"}
        one = effects.fit_interrupted(seen, **keywords).placebos.iloc[1:]
        changed = seen.assign(y=seen["y"].where(seen["month"] < "2025-01", 999 + seen["y"]))
        pd.testing.assert_frame_equal(one, effects.fit_interrupted(changed, **keywords).placebos.iloc[1:])

    def test_a_change_that_came_earlier_is_seen(self, rng: np.random.Generator) -> None:
        """The real start is twelve months late: pretended ones show as much."""
        t = np.arange(48)
        frame = months(rng.normal(size=48) * 0.3 + 5 * (t >= 24))
        fit = effects.fit_interrupted(frame, outcome="y", time="month", start="2026-01")
        time = fit.placebos[fit.placebos["at"] == "in time"].set_index("level")
        assert time.loc["2025-01", "estimate"] == pytest.approx(5, abs=1)
        assert fit.placebos["p_value"].iloc[0] > 0.2


@pytest.mark.simulation
class TestCoverage:
    """What 95 % intervals hold, by 400 series each (level change, slope change, average effect):

    points before + after, season    rho 0            rho .5           rho .7           plain t of Newey-West, rho .5
    12 + 12                          .95 .98 .97      .95 .97 .97      .95 .95 .96      .74 .72 .75
    24 + 12                          .96 .97 .97      .96 .97 .96      .98 .96 .94      .77 .66 .76
    30 + 6                           .98 .98 .96      .98 .98 .96      .98 .98 .96      .65 .50 .70
    48 + 12                          .96 .97 .94      .96 .97 .94      .97 .97 .94      .70 .64 .78
    30 + 6, season 12                .97 .98 .95      .97 .97 .95      .98 .96 .94      .77 .75 .70 (rho .8 for .7)

    Random walks: .90 to .99. A second-order autoregression (.4, .3): .87 to .96. A level that wanders slowly beneath
    noise (by 0.3 of its standard deviation a step), 48 + 12: .92 .90 .74: over-confident, and told in the docstring.
    """

    @pytest.mark.parametrize(
        ("before", "after", "rho", "seasonal"),
        [(24, 12, 0.5, None), (30, 6, 0.5, 12), (12, 12, 0.0, None), (24, 12, 0.8, None)],
    )
    def test_held(
        self, rng: np.random.Generator, replicates, before: int, after: int, rho: float, seasonal: int | None
    ) -> None:
        times, held, plain = replicates(60, 1_000), np.zeros(3), np.zeros(3)
        for _ in range(times):
            fit = segmented.fit(line(ar(rng, before + after, rho), before), seasonal, None)
            assert fit
            low, high = fit.spread.limits(0.95)
            statistic = fit.estimates / fit.errors
            held += (low <= statistic) & (statistic <= high)
            plain += np.abs(statistic) <= 2.04
        assert (held / times).min() >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / times)
        assert (plain / times).min() < 0.9  # why the limits are not plain t
