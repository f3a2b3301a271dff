"""Event studies, what they say of trends before the start, and placebos: against statsmodels, algebra and simulation.

The pre-trend test at 5 % without any trend, errors AR(1) with .6 within units, one start, 10 periods: it rejects in
4.8 % of 500 panels of 20 treated and 20 untreated units, 5.3 % of 300 of 40 and 40, 4.4 % of 500 of 8 and 8, 0.3 % of
300 of 4 and 12; the breakdown of no effect is above 0 in 3 to 5 %.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from panels_of_effects import one_start, staggered
from scipy import optimize, stats

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects.event_study_trends import Path as Trend
from cxlib.analysis.effects.event_study_trends import breakdown, breakdowns, drifts, pre_trend
from cxlib.errors import UsageError

SAME = 1e-8
Replicates = Callable[[int, int], int]


def study(frame: pd.DataFrame, **more: Any) -> pd.DataFrame:
    return effects.event_study(frame, **({"outcome": "y", "time": "time", "treated": "treated", "start": 4} | more))


def events(found: pd.DataFrame) -> pd.DataFrame:
    rows = found[found["level"] == "event"]
    return rows.set_index(rows["at"].astype(int))


def row_of(found: pd.DataFrame, metric: str, level: str = "all") -> pd.Series:
    rows = found[(found["metric"] == metric) & (found["level"] == level)]
    assert len(rows) == 1
    return rows.iloc[0]


def path(size: int, rng: np.random.Generator) -> Trend:
    """Return a path from -size to 3 whose effects are 0 before the start, with correlated errors."""
    since = np.array([*range(-size, -1), *range(4)])
    root = rng.standard_normal((since.size, since.size)) / 4
    cov = root @ root.T + 0.05 * np.eye(since.size)
    return Trend(since, np.where(since >= 0, 3.0, 0.0), cov, np.full(since.size, 1e7), np.ones(since.size))


class TestPath:
    def test_one_start_is_least_squares(self, rng: np.random.Generator) -> None:
        """statsmodels, clustered: group, times and the group at each time but the one before the start."""
        frame = one_start(30, 25, 8, 4, rng, 0.5).assign(x=rng.standard_normal(440))
        dummies = {f"d{time}": frame["treated"] * (frame["time"] == time) for time in range(8) if time != 3}
        formula = f"y ~ {' + '.join(dummies)} + treated + C(time) + x"
        fit = smf.ols(formula, frame.assign(**dummies)).fit(
            cov_type="cluster", cov_kwds={"groups": frame["unit"]}, use_t=True
        )
        found = study(frame, cluster="unit", covariates=["x"])
        rows = events(found)
        assert rows.index.tolist() == list(range(-4, 4))
        factor = np.sqrt((440 - fit.df_model - 1) / (440 - 17))  # columns counted: ours leave out none that we take out
        for time in (0, 1, 2, 4, 5, 6, 7):
            assert rows.loc[time - 4, "estimate"] == pytest.approx(fit.params[f"d{time}"], rel=SAME)
            assert rows.loc[time - 4, "std_error"] == pytest.approx(fit.bse[f"d{time}"] * factor, rel=2e-3)
        base = rows.loc[-1]
        assert (base["estimate"], base["conf_low"], base["conf_high"]) == (0.0, 0.0, 0.0)
        head = found.iloc[0]
        assert head["level"] == "overall"
        assert head["estimate"] == pytest.approx(rows.loc[0:, "estimate"].mean())

    def test_one_start_both_ways(self, rng: np.random.Generator) -> None:
        frame = one_start(30, 25, 8, 4, rng, 0.5)
        plain = study(frame, unit="unit")
        other = study(
            frame.assign(begin=np.where(frame["treated"] == 1, 4, -1)).replace({"begin": {-1: None}}),
            treated=None, start=None, first_treated="begin", unit="unit",
        )  # fmt: skip
        np.testing.assert_allclose(events(plain)["estimate"], events(other)["estimate"], atol=1e-10)
        np.testing.assert_allclose(events(plain)["std_error"], events(other)["std_error"], rtol=0.03)
        for metric, level in (("pre_trend", "all"), ("breakdown", "average")):
            one, two = (row_of(each, metric, level)["estimate"] for each in (plain, other))
            assert one == pytest.approx(two, rel=0.1)

    def test_several_starts_are_the_dynamic_aggregate(self, rng: np.random.Generator) -> None:
        frame = staggered({0: 20, 4: 10, 6: 12}, 8, rng)
        names: dict[str, Any] = {"outcome": "y", "time": "time", "first_treated": "start", "unit": "unit"}
        found = effects.event_study(frame, **names)
        att = effects.group_time_att(frame, **names, base="universal")
        expected = effects.aggregate(att, "dynamic").iloc[1:]
        expected = expected[expected["at"] != "-1"]
        for name in ("estimate", "std_error", "conf_low", "n"):
            np.testing.assert_allclose(events(found).drop(-1)[name], expected[name], atol=1e-12)

    def test_few_clusters_and_a_single_treated_one(self, rng: np.random.Generator) -> None:
        few = study(one_start(6, 9, 8, 4, rng), unit="unit")
        assert "CR2" in few["method"].iloc[0]
        single = study(one_start(1, 15, 8, 4, rng), unit="unit")
        assert "placebos" in single["method"].iloc[0]
        assert (events(single)["status"] == results.OK).all()

    def test_times_at_which_one_side_is_missing(self, rng: np.random.Generator) -> None:
        frame = one_start(30, 25, 8, 4, rng)
        holes = frame[(frame["treated"] == 0) | ~frame["time"].isin([1, 6])]
        rows = events(study(holes, unit="unit"))
        assert rows.index.tolist() == [-4, -2, -1, 0, 1, 3]
        assert "2 times left out" in rows["note"].iloc[0]

    @pytest.mark.parametrize("kept", ["time >= 4", "time < 4", "treated == 1", "time != 3 or treated == 0"])
    def test_what_cannot_be_told(self, kept: str, rng: np.random.Generator) -> None:
        found = study(one_start(30, 25, 8, 4, rng).query(kept), unit="unit")
        assert found["status"].tolist() == [results.UNDEFINED]

    def test_times_of_a_single_unit_are_left_out(self, rng: np.random.Generator) -> None:
        frame = staggered({0: 20, 4: 10, 7: 1}, 8, rng)
        found = effects.event_study(frame, outcome="y", time="time", first_treated="start", unit="unit")
        assert events(found).index.tolist() == list(range(-3, 5))
        assert "3 times left out" in found["note"].iloc[0]

    def test_what_cannot_be_used(self, rng: np.random.Generator) -> None:
        frame = one_start(5, 5, 8, 4, rng)
        with pytest.raises(UsageError, match="either treated"):
            study(frame, first_treated="time")
        with pytest.raises(UsageError, match="varies within units"):
            study(frame, treated="on", unit="unit")
        with pytest.raises(UsageError, match="do not go together"):
            study(frame, treated=None, first_treated="time", unit="unit", covariates=["x"])


class TestBaseOfAll:
    """What is said of the mean of all periods before is about the same figure as the effect against it."""

    @pytest.mark.parametrize("way", ["one start", "several starts"])
    def test_of_one_group_it_is_linear_in_the_other(self, way: str, rng: np.random.Generator) -> None:
        """Distances from the mean before are those from the period before less their mean; F does not see the shift."""
        frame = one_start(30, 25, 8, 4, rng, 0.5)
        frame = frame.assign(begin=np.where(frame["treated"] == 1, 4.0, np.nan))
        more: dict[str, Any] = {"unit": "unit"}
        more |= {"treated": None, "start": None, "first_treated": "begin"} if way == "several starts" else {}
        old, new = (study(frame, base=base, **more) for base in ("universal", "all"))
        assert events(new).index.tolist() == list(range(-4, 4))
        expected = events(old)["estimate"] - events(old).loc[:-1, "estimate"].mean()
        np.testing.assert_allclose(events(new)["estimate"], expected, atol=1e-10)
        near = 1e-6 if way == "one start" else 0.01  # Satterthwaite's degrees of freedom are those of other contrasts
        for name in ("estimate", "p_value"):
            assert row_of(new, "pre_trend")[name] == pytest.approx(row_of(old, "pre_trend")[name], rel=near)
        plain = effects.did(frame, outcome="y", time="time", treated="treated", start=4, unit="unit")
        assert new["estimate"].iloc[0] == pytest.approx(plain["estimate"].iloc[0])
        assert new["std_error"].iloc[0] == pytest.approx(plain["std_error"].iloc[0], rel=0.05)

    def test_of_several_starts_it_is_that_of_the_effect(self, rng: np.random.Generator) -> None:
        frame = staggered({0: 20, 4: 10, 6: 12}, 8, rng)
        names: dict[str, Any] = {"outcome": "y", "time": "time", "first_treated": "start", "unit": "unit"}
        found = events(effects.event_study(frame, **names, base="all"))
        expected = effects.aggregate(effects.group_time_att(frame, **names, base="all"), "dynamic").iloc[1:]
        expected = expected.set_index(expected["at"].astype(int)).loc[0:]
        for name in ("estimate", "std_error", "conf_low", "n"):
            np.testing.assert_allclose(found.loc[0:, name], expected[name], atol=1e-12)
        att = effects.group_time_att(frame, **names, base="universal")
        apart = {}
        for group in (4, 6):
            mine = cells_of(att, group)
            apart[group] = mine - mine[mine.index < group].mean()
        for since in range(-5, 0):
            both = [(size, apart[group].get(group + since)) for group, size in ((4, 10), (6, 12))]
            known = [(size, value) for size, value in both if value is not None]
            mean = sum(size * value for size, value in known) / sum(size for size, _ in known)
            assert found.loc[since, "estimate"] == pytest.approx(mean)

    def test_the_breakdown_is_of_this_effect(self) -> None:
        """Periods before at .5, .2, -.7 from their mean change by .3 and .9; an effect of .9 bears once the larger."""
        cov = 1e-12 * np.eye(5)
        since, effect = np.array([-3, -2, -1, 0, 1]), np.array([0.5, 0.2, -0.7, 0.9, 1.2])
        given = Trend(since, effect, cov, np.full(5, 1e6), np.ones(5), since + 2.0)
        rows = breakdowns(given).set_index("level")["estimate"]
        assert rows["first period"] == pytest.approx(1.0, rel=1e-4)
        assert rows["average"] == pytest.approx(1.05 / 1.5 / 0.9, rel=1e-4)

    def test_a_single_odd_period_before_does_not_undo_it(self, rng: np.random.Generator) -> None:
        """Where answers are few a period the one before the start is noise, and so is the effect against it."""
        frame = one_start(40, 40, 12, 8, rng, 1.0)
        odd = frame.assign(y=frame["y"] + 0.9 * frame["treated"] * (frame["time"] == 7))
        old, new = (study(odd, start=8, unit="unit", base=base) for base in ("universal", "all"))
        assert row_of(old, "breakdown", "first period")["estimate"] == 0
        assert row_of(new, "breakdown", "first period")["estimate"] > 0.2

    def test_one_period_before(self, rng: np.random.Generator) -> None:
        frame = one_start(30, 25, 5, 1, rng).assign(begin=lambda t: np.where(t["treated"] == 1, 1.0, np.nan))
        ways: tuple[dict[str, Any], ...] = (
            {"start": 1}, {"treated": None, "start": None, "first_treated": "begin"},
        )  # fmt: skip
        for more in ways:
            old, new = (study(frame, unit="unit", base=base, **more) for base in ("universal", "all"))
            pd.testing.assert_frame_equal(old.drop(columns="method"), new.drop(columns="method"))

    def test_other_bases_are_refused(self, rng: np.random.Generator) -> None:
        with pytest.raises(UsageError, match="base 'varying' is none of universal, all"):
            study(one_start(5, 5, 8, 4, rng), base="varying")

    @pytest.mark.simulation
    def test_its_size(self, replicates: Replicates) -> None:
        """With the same seeds the one-start test is the other's; staggered it is another, and keeps its size."""
        times = replicates(60, 1_000)
        names: dict[str, Any] = {"outcome": "y", "time": "time", "first_treated": "start", "unit": "unit"}
        found = [
            effects.event_study(
                staggered({0: 40, 4: 40, 6: 40}, 8, np.random.default_rng(seed), effect=0.0), base="all", **names
            )
            for seed in range(times)
        ]
        share = np.mean([row_of(each, "pre_trend")["p_value"] < 0.05 for each in found])
        false = np.mean([row_of(each, "breakdown", "average")["estimate"] > 0 for each in found])
        assert max(share, false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


def cells_of(att: effects.GroupTime, group: int) -> pd.Series:
    """Return the effects on a group by time."""
    rows = att.frame[att.frame["level"] == str(group)]
    return pd.Series(rows["estimate"].to_numpy(), index=rows["at"].astype(int))


class TestPreTrend:
    def test_hotelling(self, rng: np.random.Generator) -> None:
        """T^2 (d - k + 1) / (d k) is F of k and d - k + 1 (Anderson 2003, theorem 5.2.2)."""
        given = path(4, rng)
        given = Trend(given.since, given.effect + 0.3, given.cov, np.full(given.since.size, 20.0), given.rows)
        row = pre_trend(given).iloc[0]
        square = given.effect[:3] @ np.linalg.inv(given.cov[:3, :3]) @ given.effect[:3]
        assert row["estimate"] == pytest.approx(square * 18 / (20 * 3))
        assert row["p_value"] == pytest.approx(stats.f.sf(row["estimate"], 3, 18))

    def test_the_drift_it_would_have_found(self, rng: np.random.Generator, replicates: Replicates) -> None:
        """Drifts of the size that is told are found in 80 of 100 draws."""
        given, times = path(5, rng), replicates(1_000, 10_000)
        slope = drifts(given)["estimate"].iloc[0]
        drift = np.where(given.since < 0, slope * (given.since + 1), 0.0)
        draws = rng.multivariate_normal(drift, given.cov, times)
        before = given.since < -1
        inverse = np.linalg.inv(given.cov[np.ix_(before, before)])
        statistic = np.einsum("ij,jk,ik->i", draws[:, before], inverse, draws[:, before])
        share = (statistic > stats.chi2.isf(0.05, 4)).mean()
        assert share == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / times))

    def test_with_few_clusters_it_is_no_smaller_than_it_is(
        self, rng: np.random.Generator, replicates: Replicates
    ) -> None:
        """With errors of few clusters the drift told is half the time above the one that 80 of 100 tests find.

        The power of Hotelling's test is noncentral F (Anderson 2003, theorem 5.2.2), in the true covariance; taking the
        estimated one for it says a drift that is 18 % too small with 8 degrees of freedom and 3 periods, in the median.
        """
        given, times = path(4, rng), replicates(1_000, 10_000)
        before = given.since < -1
        when, cov = given.since[before] + 1.0, given.cov[np.ix_(before, before)]
        freedom, count = 8, 3
        left = freedom - count + 1
        power = lambda size: stats.ncf.sf(stats.f.isf(0.05, count, left), count, left, size) - 0.8  # noqa: E731
        truth = np.sqrt(optimize.brentq(power, 1e-6, 500) / (when @ np.linalg.solve(cov, when)))
        seen = stats.wishart(freedom, given.cov / freedom)
        told = [
            drifts(Trend(given.since, given.effect, one, np.full(7, float(freedom)), given.rows))["estimate"].iloc[0]
            for one in seen.rvs(times, random_state=rng)
        ]
        assert np.mean(np.array(told) > truth) == pytest.approx(0.5, abs=3 * np.sqrt(0.25 / times))

    def test_what_the_drift_would_have_added(self, rng: np.random.Generator) -> None:
        """Against the period before, effects at 0 to 3 lie 1 to 4 periods away; against the mean of four 2.5 to 5.5."""
        frame = one_start(30, 25, 8, 4, rng)
        for base, away in (("universal", 2.5), ("all", 4.0)):
            rows = study(frame, unit="unit", base=base)
            rows = rows[rows["metric"] == "drift"].set_index(["at", "level"])["estimate"]
            for at in ("jointly", "in one period"):
                assert rows[at, "average"] == pytest.approx(away * rows[at, "a period"])

    def test_the_drift_a_single_period_would_have_shown(self, rng: np.random.Generator, replicates: Replicates) -> None:
        """In 80 of 100 draws or a little more, by another period, some t is beyond its share of 5 %."""
        given, times, freedom = path(5, rng), replicates(2_000, 20_000), 12
        given = Trend(given.since, given.effect, given.cov, np.full(given.since.size, float(freedom)), given.rows)
        rows = drifts(given).set_index(["at", "level"])["estimate"]
        slope = rows["in one period", "a period"] * np.sqrt(stats.chi2.median(freedom) / freedom)  # the error is known
        draws = rng.multivariate_normal(np.where(given.since < 0, slope * (given.since + 1), 0.0), given.cov, times)
        error = np.sqrt(np.diag(given.cov) * rng.chisquare(freedom, (times, 1)) / freedom)
        best = np.argmax(np.abs(given.since[:4] + 1) / np.sqrt(np.diag(given.cov)[:4]))
        found = np.abs(draws / error)[:, best] > stats.t.isf(0.05 / 4 / 2, freedom)
        assert found.mean() == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / times))

    def test_one_period_before(self, rng: np.random.Generator) -> None:
        found = study(one_start(30, 25, 5, 1, rng), start=1, unit="unit")
        assert row_of(found, "pre_trend")["status"] == results.UNDEFINED
        assert row_of(found, "breakdown", "average")["status"] == results.UNDEFINED

    def test_more_periods_than_clusters(self, rng: np.random.Generator) -> None:
        found = study(one_start(3, 4, 14, 12, rng), start=12, unit="unit")
        assert row_of(found, "pre_trend")["status"] == results.TOO_FEW

    def test_a_drift_is_found(self, rng: np.random.Generator) -> None:
        frame = one_start(60, 60, 8, 4, rng)
        drifting = frame.assign(y=frame["y"] + 0.5 * frame["treated"] * frame["time"])
        row = row_of(study(drifting, unit="unit"), "pre_trend")
        assert row["p_value"] < 1e-3
        assert "already" in row["note"]

    @pytest.mark.simulation
    def test_its_size(self, replicates: Replicates) -> None:
        times = replicates(100, 1_000)
        found = [study(one_start(20, 20, 8, 4, np.random.default_rng(seed)), unit="unit") for seed in range(times)]
        share = np.mean([row_of(each, "pre_trend")["p_value"] < 0.05 for each in found])
        false = np.mean([row_of(each, "breakdown", "average")["estimate"] > 0 for each in found])
        assert max(share, false) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


class TestBreakdown:
    @given(seed=st.integers(0, 200), cutoff=st.floats(0.5, 3.0))
    def test_at_it_the_effect_is_just_told_from_the_change(self, seed: int, cutoff: float) -> None:
        rng = np.random.default_rng(seed)
        given = path(4, rng)
        effect = rng.normal(given.effect, 0.5)
        weights, steps = (
            np.eye(7)[3],
            np.array([[-1.0, 1, 0, 0, 0, 0, 0], [0, -1, 1, 0, 0, 0, 0], [0, 0, -1, 0, 0, 0, 0]]),
        )
        found = breakdown(effect, given.cov, weights, steps, cutoff)

        def least(size: float) -> float:
            sign = np.sign(effect[3])
            rows = [sign * weights - size * step for step in (*steps, *-steps)]
            return float(min(row @ effect / np.sqrt(row @ given.cov @ row) for row in rows))

        if found == 0:
            assert least(0) <= cutoff
        else:
            assert least(found) == pytest.approx(cutoff, rel=1e-6)
            assert all(least(share * found) > cutoff for share in (0.1, 0.5, 0.99))

    def test_without_noise_it_is_the_ratio(self) -> None:
        cov = 1e-12 * np.eye(4)
        given = Trend(np.array([-3, -2, 0, 1]), np.array([0.5, 0.2, 0.9, 1.2]), cov, np.full(4, 1e6), np.ones(4))
        rows = breakdowns(given).set_index("level")["estimate"]
        assert rows["first period"] == pytest.approx(0.9 / 0.3, rel=1e-4)
        assert rows["average"] == pytest.approx(1.05 / 1.5 / 0.3, rel=1e-4)

    @pytest.mark.simulation
    def test_a_violation_is_seldom_called_an_effect(self, rng: np.random.Generator, replicates: Replicates) -> None:
        """No effect, and a break after the start of M times the largest change before it: above M in 5 % at most."""
        times, size, above = replicates(1_000, 10_000), 1.5, 0
        cov = 0.02 * (np.eye(4) + 1)
        truth = np.array([0.4, 0.8, size * 0.8, 0.0])
        steps = np.array([[-1.0, 1, 0, 0], [0, -1, 0, 0]])
        for draw in rng.multivariate_normal(truth, cov, times):
            above += breakdown(draw, cov, np.eye(4)[2], steps, 1.96) > size
        assert above / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


class TestPlacebos:
    @pytest.fixture
    def smoking(self) -> pd.DataFrame:
        rng = np.random.default_rng(1)
        frame = one_start(1, 14, 10, 6, rng, 3.0)
        return frame.assign(name=[f"state {unit:02d}" for unit in frame["unit"]])

    def found(self, frame: pd.DataFrame, **more: Any) -> pd.DataFrame:
        given = {
            "outcome": "y",
            "time": "time",
            "treated": "treated",
            "start": 6,
            "group": "name",
            "base": "all",
        } | more
        return effects.placebos(frame, **given)

    def test_in_space_are_differences_in_differences(self, smoking: pd.DataFrame) -> None:
        rows = self.found(smoking)
        mine = rows[(rows["at"] == "in space") & (rows["comparison"] == "difference")].set_index("level")
        others = smoking[smoking["treated"] == 0]
        assert sorted(mine.index) == sorted(others["name"].unique())
        for name in mine.index:
            pretended = others.assign(one=(others["name"] == name).astype(int))
            row = effects.did(pretended, outcome="y", time="time", treated="one", start=6).iloc[0]
            assert mine.loc[name, "estimate"] == pytest.approx(row["estimate"], rel=1e-9)
        test = rows[(rows["metric"] == "placebos") & (rows["at"] == "in space")].iloc[0]
        effect = effects.did(smoking, outcome="y", time="time", treated="treated", start=6).iloc[0]["estimate"]
        large = int((mine["estimate"].abs() >= abs(effect)).sum())
        assert test["estimate"] == pytest.approx(large / 14)
        assert test["p_value"] == pytest.approx((1 + large) / 15)
        assert "p cannot be below 0.067" in test["note"]

    def test_in_time_use_no_row_after_the_start(self, smoking: pd.DataFrame) -> None:
        many = pd.concat([smoking.assign(y=smoking["y"] + one, unit=smoking["unit"] + 100 * one) for one in range(3)])
        rows = self.found(many, unit="unit")
        mine = rows[(rows["at"] == "in time") & (rows["comparison"] == "difference")].set_index("level")
        assert mine.index.tolist() == [f"{early} earlier" for early in range(1, 6)]
        before = many[many["time"] < 6]
        for early in (1, 3):
            row = effects.did(before, outcome="y", time="time", treated="treated", start=6 - early).iloc[0]
            assert mine.loc[f"{early} earlier", "estimate"] == pytest.approx(row["estimate"], rel=1e-9)
        spoilt = many.assign(y=np.where((many["time"] >= 6) & (many["treated"] == 1), 1e6, many["y"]))
        again = self.found(spoilt, unit="unit")
        again = again[(again["at"] == "in time") & (again["comparison"] == "difference")].set_index("level")
        pd.testing.assert_frame_equal(again, mine)

    @pytest.mark.parametrize("base", ["varying", "all"])
    def test_groups_of_several_units_have_errors_by_unit(self, base: str, rng: np.random.Generator) -> None:
        frame = staggered({0: 40, 4: 20, 6: 20}, 8, rng).assign(region=lambda t: t["unit"] // 10)
        names: dict[str, Any] = {"outcome": "y", "time": "time", "first_treated": "start", "unit": "unit"}
        rows = effects.placebos(frame, **names, group="region", control="not_yet", base=base)
        mine = rows[(rows["at"] == "in space") & (rows["comparison"] == "difference")].set_index("level")
        assert mine.index.tolist() == ["0", "1", "2", "3", "6", "7"]
        for level in ("0", "6"):  # the same effect, from sums and from a fit
            alone = frame[
                (frame["start"] != 4) & ~((frame["start"] == 6) & (frame["time"] >= 6) & (frame["region"] == 6))
            ]
            alone = alone.assign(start=np.where(alone["region"] == int(level), 4, alone["start"]))
            if level == "0":
                alone = alone[(alone["start"] != 6) | (alone["time"] < 6)]
            att = effects.group_time_att(alone, **names, control="not_yet", panel=False, base=base)
            expected = effects.aggregate(att, "group").set_index("level").loc["4"]
            assert mine.loc[level, "estimate"] == pytest.approx(expected["estimate"], rel=1e-9)
        assert (mine["std_error"] > 0).all()

    def test_too_few(self, rng: np.random.Generator) -> None:
        frame = one_start(3, 3, 3, 1, rng).assign(region=lambda t: t["treated"])
        given: dict[str, Any] = {"outcome": "y", "time": "time", "treated": "treated", "start": 1, "unit": "unit"}
        rows = effects.placebos(frame, **given, group="region")
        assert rows["status"].tolist() == [results.TOO_FEW, results.TOO_FEW]
        assert rows["note"].tolist() == ["too few periods before the start", "too few groups without treatment"]
        nobody = effects.placebos(frame.assign(treated=0), **given)
        assert nobody["status"].tolist() == [results.UNDEFINED]
        with pytest.raises(UsageError, match="without a start"):
            effects.placebos(frame, **(given | {"start": None}))

    @pytest.mark.simulation
    def test_p_in_space_of_no_effect(self, replicates: Replicates) -> None:
        """One of ten groups drawn: p is .1 or below in a tenth of cases."""
        times, low = replicates(20, 1_000), 0
        for seed in range(times):
            rows = effects.placebos(
                one_start(1, 9, 6, 4, np.random.default_rng(seed)), outcome="y", time="time", treated="treated",
                start=4, unit="unit",
            )  # fmt: skip
            low += rows[(rows["metric"] == "placebos") & (rows["at"] == "in space")]["p_value"].iloc[0] <= 0.1 + 1e-9
        assert abs(low / times - 0.1) <= 3 * np.sqrt(0.09 / times)


def test_shared_smoking_data(shared_data: Callable[[str], Path]) -> None:
    """California fell by 27 packs more than the others; few of 38 states moved as far from theirs."""
    frame = pd.read_csv(shared_data("prop99") / "california_prop99.csv", sep=";")
    frame["here"] = (frame["State"] == "California").astype(int)
    rows = effects.placebos(
        frame, outcome="PacksPerCapita", time="Year", treated="here", start=1989, unit="State", base="all"
    )
    test = rows[(rows["metric"] == "placebos") & (rows["at"] == "in space")].iloc[0]
    assert test["n"] == 38
    assert 0 < test["p_value"] < 0.2
