"""How long to run: forecasts of traffic that hold as often as they say, weeks, and what CUPED would save."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.analysis import experiments
from cxlib.analysis.experiments import duration_traffic
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments

# Thirteen weeks that jump up and down, so that neighbouring weeks are not alike.
WEEKS = [700, 760, 690, 750, 710, 770, 700, 740, 695, 755, 705, 745, 690]


def days(weeks: list[int] | np.ndarray, extra: int = 0) -> pd.DataFrame:
    """Return seven equal days for each week, and `extra` days before them."""
    counts = np.repeat(np.asarray(weeks, dtype=float) / 7, 7)
    counts = np.concatenate([np.full(extra, 1e6), counts])
    return pd.DataFrame({"day": pd.date_range("2026-01-05", periods=counts.size), "units": counts})


def one(frame: pd.DataFrame, metric: str) -> pd.Series:
    return frame[frame["metric"] == metric].iloc[0]


class TestTraffic:
    def test_steady_is_the_prediction_interval_of_a_sum(self) -> None:
        """By hand: w m +- t[12] s sqrt(w + w^2 / 13); the method of moments makes the variance of weeks s^2."""
        found = experiments.units_by_week(days(WEEKS), weeks=6)
        mean, sd, w = np.mean(WEEKS), np.std(WEEKS, ddof=1), np.arange(1, 7)
        half = stats.t.isf(0.025, 12) * sd * np.sqrt(w + w**2 / 13)
        assert found["estimate"].to_numpy() == pytest.approx(w * mean, rel=1e-9)
        assert found["conf_high"].to_numpy() == pytest.approx(w * mean + half, rel=1e-4)
        assert found["conf_low"].to_numpy() == pytest.approx(w * mean - half, rel=1e-4)
        assert found["level"].tolist() == list("123456")

    def test_days_before_whole_weeks_do_not_count(self) -> None:
        kept, cut = (experiments.units_by_week(days(WEEKS, extra), weeks=3) for extra in (0, 5))
        pd.testing.assert_frame_equal(kept, cut)

    def test_order_and_types_of_days_do_not_matter(self, rng: np.random.Generator) -> None:
        table = days(WEEKS)
        other = table.sample(frac=1, random_state=1)
        other = other.assign(day=other["day"].dt.strftime("%Y-%m-%d"), units=other["units"].astype("Float64"))
        assert experiments.units_by_week(other, weeks=2).equals(experiments.units_by_week(table, weeks=2))
        gone = table[table["units"] > 0].rename(columns={"day": "when", "units": "new"})
        assert experiments.units_by_week(gone, weeks=2, day="when", units="new").equals(
            experiments.units_by_week(table, weeks=2)
        )

    def test_days_that_lack_count_nothing(self) -> None:
        table = days([700] * 6)
        assert experiments.units_by_week(table.drop(index=10), weeks=1)["estimate"].iloc[0] == pytest.approx(
            (6 * 700 - 100) / 6
        )

    def test_units_first_seen_fall(self) -> None:
        """Exactly 2000 w^-0.6 a week: the power is found again, and later weeks bring less."""
        curve = 2000 * np.arange(1, 13) ** -0.6
        found = experiments.units_by_week(days(curve), weeks=30, arrivals="first seen")["estimate"].to_numpy()
        assert found == pytest.approx(np.cumsum(2000 * np.arange(1, 31) ** -0.6), rel=1e-6)

    def test_no_rise_is_carried_on(self) -> None:
        rising = days([100, 150, 230, 330, 500, 700])
        found = experiments.units_by_week(rising, weeks=40, arrivals="first seen")["estimate"]
        assert found.iloc[-1] == pytest.approx(40 * np.mean([100, 150, 230, 330, 500, 700]))

    @pytest.mark.parametrize("counts", [[2, 2, 0, 0, 10**6], [69, 1, 1, 1, 1, 2, 2, 382_057], [10**6, 0, 0, 0, 0, 0]])
    def test_counts_that_leap(self, counts: list[int]) -> None:
        found = experiments.units_by_week(days(counts), weeks=52, arrivals="first seen")
        assert set(found["status"]) == {results.OK}
        assert found["estimate"].iloc[-1] < 60 * 10**6

    @given(st.lists(st.integers(0, 10**6), min_size=0, max_size=14), st.sampled_from(duration_traffic.ARRIVALS))
    def test_any_counts(self, counts: list[int], arrivals: str) -> None:
        found = experiments.units_by_week(days(counts), weeks=20, arrivals=arrivals)
        ok = found[found["status"] == results.OK]
        assert (found["status"] == results.TOO_FEW).all() or len(ok) == 20
        numbers = ok[["conf_low", "estimate", "conf_high"]].to_numpy()
        assert np.isfinite(numbers).all()
        assert (np.diff(numbers, axis=1) >= 0).all()
        assert (np.diff(numbers, axis=0) >= 0).all()

    @pytest.mark.parametrize(
        ("table", "words"),
        [
            ([1, 2], "not a pandas"),
            (pd.DataFrame({"day": ["2026-01-01"]}), "units"),
            (pd.DataFrame({"day": ["2026-01-01"] * 2, "units": [1, 2]}), "1 days come twice"),
            (pd.DataFrame({"day": ["2026-01-01"], "units": [-2]}), "fewer than 0"),
            (pd.DataFrame({"day": ["2026-01-01", None], "units": [2, 3]}), "1 days without"),
        ],
    )
    def test_refusals(self, table: Any, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            experiments.units_by_week(table)

    def test_terms_that_cannot_be(self) -> None:
        table = days(WEEKS)
        for wrong in ({"arrivals": "all"}, {"share": 0}, {"weeks": 0}, {"confidence": 95}):
            with pytest.raises(UsageError):
                experiments.units_by_week(table, **wrong)


class TestDuration:
    def test_weeks(self) -> None:
        """720 a week or so: 2 x 1000 units in the third week, and 10 days more are two weeks more."""
        found = experiments.duration(1000, days(WEEKS), window=10)
        assert found["metric"].tolist() == ["duration", "exposure"]
        assert found["estimate"].tolist() == [5.0, 3.0]
        assert found["n"].tolist() == [2000, 2000]
        assert "10 days" in found["note"].iloc[0]

    def test_all_arms_count(self) -> None:
        sizes = experiments.sample_size_mean(1, 0.2, ratio=2)
        found = experiments.duration(sizes, days(WEEKS), arms=3)
        assert found["n"].iloc[0] == sizes["n"].iloc[0] + 2 * sizes["n"].iloc[1]
        assert experiments.duration(1000, days(WEEKS), share=0.5)["estimate"].iloc[0] == 6

    def test_out_of_reach(self) -> None:
        found = experiments.duration(100_000, days(WEEKS))
        assert set(found["status"]) == {results.UNDEFINED}
        assert found["estimate"].isna().all()
        assert found["note"].str.contains("cannot be reached within 52 weeks: 37,").all()
        falling = days(2000 * np.arange(1, 13) ** -1.5)
        assert (experiments.duration(5000, falling, arrivals="first seen")["status"] == results.UNDEFINED).all()

    def test_perhaps_out_of_reach(self) -> None:
        table = days([200, 1900, 300, 1200, 900, 100, 800, 600])
        found = experiments.duration(1400, table, longest=5)
        assert found["estimate"].iloc[1] == 4
        assert found["conf_high"].isna().all()
        assert found["note"].str.contains("in a bad run of traffic not within 5 weeks").all()

    def test_too_little_is_known(self) -> None:
        found = experiments.duration(100, days([700, 700]))
        assert set(found["status"]) == {results.TOO_FEW}

    @given(st.floats(1, 3e4), st.floats(1.01, 3))
    def test_more_units_take_no_less(self, needed: float, more: float) -> None:
        few, many = (one(experiments.duration(n, days(WEEKS)), "exposure") for n in (needed, more * needed))
        if many["status"] == results.OK:
            assert few["estimate"] <= many["estimate"]
            assert few["conf_low"] <= few["estimate"] <= few["conf_high"]

    def test_refusals(self) -> None:
        for wrong in ({"arms": 1}, {"window": -1}, {"longest": 0}):
            with pytest.raises(UsageError):
                experiments.duration(100, days(WEEKS), **wrong)
        with pytest.raises(UsageError, match="units above 0"):
            experiments.duration(-1, days(WEEKS))


class TestDetectable:
    def test_curve(self) -> None:
        found = experiments.detectable(days(WEEKS), lambda n: experiments.smallest_effect_share(n, 0.2), weeks=[4, 1])
        assert found["level"].tolist() == ["1", "4"]
        by_hand = experiments.smallest_effect_share(4 * np.mean(WEEKS) / 2, 0.2)["estimate"].iloc[0]
        assert found["estimate"].iloc[1] == pytest.approx(by_hand)
        assert (found["conf_low"] < found["estimate"]).all()
        assert (found["estimate"] < found["conf_high"]).all()
        assert found["estimate"].is_monotonic_decreasing

    def test_falls_and_few(self) -> None:
        fall = experiments.detectable(
            days(WEEKS), lambda n: experiments.smallest_effect_mean(n, 1, alternative="less"), weeks=2, arms=3, ratio=2
        )
        assert fall["n"].iloc[0] == pytest.approx(2 * np.mean(WEEKS) / 5)
        assert fall["conf_low"].iloc[0] < fall["estimate"].iloc[0] < fall["conf_high"].iloc[0] < 0
        few = experiments.detectable(days(WEEKS), lambda n: experiments.smallest_effect_mean(n, 1), weeks=1,
                                     response_rate=0.01)  # fmt: skip
        assert few["status"].tolist() == [results.TOO_FEW]
        none = experiments.detectable(days([2, 3, 2]), lambda n: experiments.smallest_effect_mean(n, 1))
        assert set(none["status"]) <= {results.OK, results.TOO_FEW}
        assert experiments.detectable(days([2, 3]), lambda n: experiments.smallest_effect_mean(n, 1))[
            "status"
        ].tolist() == [results.TOO_FEW]


def pairs(kind: str, shape: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an outcome and the same of before: correlation .7 of what is behind them."""
    before = rng.normal(size=shape)
    after = 0.7 * before + math.sqrt(1 - 0.49) * rng.normal(size=shape)
    return (after, before) if kind == "normal" else (np.exp(after), np.exp(before))


def by_parts(y: np.ndarray, pre: np.ndarray) -> Moments:
    """Return moments with an element for each row of y."""
    n = np.full(len(y), float(y.shape[1]))
    values = {"x": np.ones_like(y), "y": y, "y_pre": pre}
    names = sorted(values)
    products = {(a, b): (values[a] * values[b]).sum(1) for i, a in enumerate(names) for b in names[i:]}
    return Moments.from_sums(n, {name: value.sum(1) for name, value in values.items()}, products)


class TestCupedSaving:
    def test_squared_correlation_with_fishers_interval(self, rng: np.random.Generator) -> None:
        """NumPy's correlation, SciPy's interval of it (`pearsonr(...).confidence_interval`, Fisher's z)."""
        y, pre = pairs("normal", 400, rng)
        known = stats.pearsonr(y, pre)
        found = experiments.cuped_saving(Moments.of(y, y_pre=pre))
        limits = known.confidence_interval(0.95)
        assert one(found, "cuped_saving")["estimate"] == pytest.approx(known.statistic**2, rel=1e-9)
        assert one(found, "cuped_saving")["conf_low"] == pytest.approx(limits.low**2, rel=1e-6)
        assert one(found, "size_factor")["conf_low"] == pytest.approx(1 - limits.high**2, rel=1e-6)
        assert found["n"].tolist() == [400, 400]

    def test_it_is_what_cuped_saves(self, rng: np.random.Generator) -> None:
        """The next experiment's interval is narrower by the square root of the factor, within the limits."""
        y, pre = pairs("normal", 40_000, rng)
        arms = [Moments.of(y[part], y_pre=pre[part]) for part in (slice(0, 20_000), slice(20_000, None))]
        errors = [method(*arms)["std_error"].iloc[0] for method in (experiments.cuped, experiments.effect)]
        before = pairs("normal", 5_000, rng)
        past = one(experiments.cuped_saving(Moments.of(before[0], y_pre=before[1])), "size_factor")
        assert past["conf_low"] < (errors[0] / errors[1]) ** 2 < past["conf_high"]

    def test_ratios(self, rng: np.random.Generator) -> None:
        """By hand: the correlation of y - R x with the same of before."""
        x, before = rng.poisson(3, (2, 5_000)) + 1.0
        level = rng.normal(size=5_000)
        y, pre = x * (1 + level) + rng.normal(size=5_000), before * (1 + level) + rng.normal(size=5_000)
        rest = y - y.sum() / x.sum() * x, pre - pre.sum() / before.sum() * before
        found = experiments.cuped_saving(Moments.of(y, x, y_pre=pre, x_pre=before))
        assert found["estimate"].iloc[0] == pytest.approx(np.corrcoef(*rest)[0, 1] ** 2, rel=1e-6)

    def test_parts_are_the_whole(self, rng: np.random.Generator) -> None:
        y, pre = pairs("amounts", (20, 100), rng)
        found = experiments.cuped_saving(by_parts(y, pre))
        whole = experiments.cuped_saving(Moments.of(y.ravel(), y_pre=pre.ravel()))
        assert found["estimate"].tolist() == pytest.approx(whole["estimate"].tolist(), rel=1e-9)
        width = [(each["conf_high"] - each["conf_low"]).iloc[0] for each in (found, whole)]
        assert width[0] > width[1]
        assert whole["note"].iloc[0]

    def test_what_cannot_be_said(self, rng: np.random.Generator) -> None:
        flat = experiments.cuped_saving(Moments.of(np.ones(50), y_pre=rng.normal(size=50)))
        assert set(flat["status"]) == {results.UNDEFINED}
        few = experiments.cuped_saving(Moments.of(rng.normal(size=6), y_pre=rng.normal(size=6)))
        assert set(few["status"]) == {results.TOO_FEW}
        nothing = experiments.cuped_saving(Moments.of(rng.normal(size=60), y_pre=np.zeros(60)))
        assert nothing["estimate"].tolist() == [0.0, 1.0]
        with pytest.raises(UsageError, match="covariate"):
            experiments.cuped_saving(Moments.of(rng.normal(size=60)))
        with pytest.raises(UsageError, match="3 parts"):
            experiments.cuped_saving(by_parts(*pairs("normal", (3, 20), rng)))


class TestPlan:
    nps = experiments.Planned("nps", "nps", 5, {"promoters": 0.5, "detractors": 0.2}, response_rate=0.25)
    late = experiments.Planned("late", "share", 0, {"baseline": 0.1, "margin": 0.02, "alternative": "less"})

    def test_one_page(self, rng: np.random.Generator) -> None:
        y, pre = pairs("normal", 3_000, rng)
        table = days([3000, 3200, 2900, 3100, 2950, 3150])
        found = experiments.plan(self.nps, table, guardrails=[self.late], window=14, past=Moments.of(y, y_pre=pre))
        assert list(dict.fromkeys(found["metric"])) == [
            "sample_size", "exposed", "duration", "exposure", "units", "smallest_effect", "power", "cuped_saving",
            "size_factor", "sample_size_cuped",
        ]  # fmt: skip
        assert set(found["status"]) == {results.OK}
        size, weeks = one(found, "sample_size"), one(found, "exposure")
        assert size["estimate"] == experiments.sample_size_nps(0.5, 0.2, 5)["estimate"].iloc[0]
        assert one(found, "duration")["estimate"] == weeks["estimate"] + 2
        assert one(found, "power")["estimate"] >= 0.8
        assert one(found, "smallest_effect")["estimate"] <= 5
        assert one(found, "units")["level"] == str(int(weeks["estimate"]))
        factor = one(found, "size_factor")["estimate"]
        assert one(found, "sample_size_cuped")["estimate"] == pytest.approx(factor * size["estimate"])
        assert found[found["metric"] == "power"]["segment"].tolist() == ["nps", "late"]

    def test_weeks_that_are_decided_on(self) -> None:
        found = experiments.plan(self.late, days(WEEKS), weeks=2, arms=3)
        n = 2 * np.mean(WEEKS) / 3
        by_hand = experiments.power_share(n, 0.1, 0, margin=0.02, alternative="less", comparisons=2)
        assert one(found, "power")["estimate"] == pytest.approx(by_hand["estimate"].iloc[0])
        assert one(found, "power")["conf_low"] < by_hand["estimate"].iloc[0] < one(found, "power")["conf_high"]

    def test_looks_cost_units(self) -> None:
        table = days([3000, 3200, 2900, 3100, 2950, 3150])
        plain, looked = (experiments.plan(self.nps, table, looks=looks) for looks in (1, 4))
        more = one(looked, "sample_size")["estimate"] / one(plain, "sample_size")["estimate"]
        assert more == pytest.approx(experiments.inflation(4))
        assert (looked["metric"] == "boundary").sum() == 4
        assert one(looked, "power")["estimate"] >= 0.8

    def test_out_of_reach_and_unknown(self) -> None:
        found = experiments.plan(self.nps, days(WEEKS), longest=4)
        assert one(found, "duration")["status"] == results.UNDEFINED
        assert one(found, "power")["level"] == "4"
        assert one(found, "power")["estimate"] < 0.8
        unknown = experiments.plan(self.nps, days([5]), guardrails=[self.late])
        assert (
            unknown[unknown["metric"].isin(["duration", "power", "smallest_effect", "units"])]["status"]
            .eq(results.TOO_FEW)
            .all()
        )
        tiny = experiments.Planned("spend", "mean", 1e-9, {"sd": 1e9})
        past = Moments.of(np.arange(50.0), y_pre=np.arange(50.0) ** 2)
        found = experiments.plan(tiny, days(WEEKS), past=past)
        assert one(found, "duration")["status"] == results.UNDEFINED
        assert one(found, "sample_size_cuped")["status"] == results.UNDEFINED
        with pytest.raises(UsageError, match="did you mean 'nps'"):
            experiments.Planned("a", "np", 1)


@pytest.mark.simulation
class TestSimulated:
    @pytest.mark.parametrize(
        ("arrivals", "alike", "least"),
        [("steady", 0.0, 0.93), ("first seen", 0.0, 0.92), ("steady", 0.5, 0.85), ("first seen", 0.5, 0.78)],
    )
    def test_forecasts_hold_what_they_say(
        self, arrivals: str, alike: float, least: float, rng: np.random.Generator, replicates: Callable
    ) -> None:
        """Twelve weeks seen, six forecast, weeks with 15 % of their own: the shares that `units_by_week` states.

        Where neighbouring weeks are alike the limits are too narrow, as it says there; `least` is less the noise.
        """
        times, seen, ahead = replicates(80, 2_000), 12, 6
        held = 0
        for _ in range(times):
            noise = rng.normal(0, 0.15 * math.sqrt(1 - alike**2), seen + ahead + 30)
            for week in range(1, noise.size):
                noise[week] += alike * noise[week - 1]
            place = np.concatenate([np.arange(1, seen + 1), np.arange(1, ahead + 1)])
            mean = 1500 * (np.ones(seen + ahead) if arrivals == "steady" else place**-0.7)
            counts = rng.poisson(mean * np.exp(noise[30:]))
            traffic = duration_traffic.fit(counts[:seen].astype(float), arrivals)
            assert traffic is not None
            _, low, high = duration_traffic.coming(traffic, ahead, 0.95)
            held += int(low[-1] <= counts[seen:].sum() <= high[-1])
        assert held / times > least - 3 * math.sqrt(least * (1 - least) / times)

    @pytest.mark.parametrize(("kind", "truth"), [("normal", 0.49), ("amounts", 0.348)])
    def test_parts_tell_how_sure_the_saving_is(
        self, kind: str, truth: float, rng: np.random.Generator, replicates: Callable
    ) -> None:
        """Log-normal amounts: their correlation is (e^.7 - 1) / (e - 1) = .590, squared .348."""
        times = replicates(150, 3_000)
        held, alone = 0, 0
        for _ in range(times):
            y, pre = pairs(kind, (20, 100), rng)
            low, high = experiments.cuped_saving(by_parts(y, pre))[["conf_low", "conf_high"]].to_numpy()[0]
            held += int(low <= truth <= high)
            found = experiments.cuped_saving(Moments.of(y.ravel(), y_pre=pre.ravel()))
            low, high = found[["conf_low", "conf_high"]].to_numpy()[0]
            alone += int(low <= truth <= high)
        assert held / times > 0.92 - 3 * math.sqrt(0.92 * 0.08 / times)
        assert (alone / times > 0.9) == (kind == "normal")
