"""Group-time effects: against R did, sums written out, the demo company, and how often intervals hold the truth.

Coverage of 95 % intervals over 10 periods, starts at 4, 6 and 8, effects that grow and differ by group, errors AR(1)
with .6 within units (400 panels; 100 of the largest); `cells` are the effects by group and time, `events` those by time
since the start; two-way fixed effects beside them, which weigh late effects below 0:

    never treated + treated units    simple  group  dynamic  events  cells   two-way   pre-trend test rejects
    40 + 3 x 40                        94.0   94.0     93.5    94.8   94.5       4.0    4.8
    10 + 3 x 10                        95.8   97.0     95.8    96.2   95.6      55.5    0.8
    20 + 3 x 4                         98.5   97.3     97.8    96.7   93.9      92.0    0.0
    200 + 3 x 60                       98.0   98.0     96.0    95.2   94.7       6.0    3.0

With few clusters to a group the pre-trend test rejects too seldom: its degrees of freedom are those of the smallest.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from panels_of_effects import effect_of, staggered
from scipy import stats

from cxlib import results
from cxlib.analysis import effects
from cxlib.data import demo
from cxlib.errors import UsageError

SAME = 1e-10
Shared, Oracle = Callable[[str], Path], Callable[[str], dict[str, Any]]
NAMES: dict[str, Any] = {"outcome": "y", "unit": "unit", "time": "time", "first_treated": "start"}
SIZES = {0: 12, 4: 6, 6: 5, 8: 4}

# R did 2.1, vignette "Introduction to DiD with multiple time periods", without covariates; errors from a multiplier
# bootstrap, so within 10 %.
DYNAMIC = {
    -3: (0.0305, 0.0150), -2: (-0.0006, 0.0133), -1: (-0.0245, 0.0142), 0: (-0.0199, 0.0118), 1: (-0.0510, 0.0169),
    2: (-0.1373, 0.0364), 3: (-0.1008, 0.0344),
}  # fmt: skip
GROUPS = {"2004": (-0.0797, 0.0263), "2006": (-0.0229, 0.0167), "2007": (-0.0261, 0.0167)}
OVERALL = {"simple": (-0.0400, 0.0119), "dynamic": (-0.0772, 0.0200), "group": (-0.0310, 0.0124)}
PRE_TEST = 0.16812  # p-value of R's Wald test over all effects before the start


def fit(frame: pd.DataFrame, **more: Any) -> effects.GroupTime:
    return effects.group_time_att(frame, **(NAMES | more))


def cells(found: effects.GroupTime) -> pd.DataFrame:
    return found.frame.set_index(["level", "at"])


def like(row: pd.Series, expected: tuple[float, float]) -> bool:
    """Tell whether a row is that of R: four digits, and errors of a bootstrap."""
    return abs(row["estimate"] - expected[0]) <= 1e-4 and row["std_error"] == pytest.approx(expected[1], rel=0.1)


@pytest.fixture(scope="module")
def counties(shared_data: Shared) -> pd.DataFrame:
    return pd.read_csv(shared_data("mpdta") / "mpdta.csv")


@pytest.fixture(scope="module")
def found(counties: pd.DataFrame) -> effects.GroupTime:
    return effects.group_time_att(counties, outcome="lemp", unit="countyreal", time="year", first_treated="first.treat")


class TestOracle:
    def test_effects(self, found: effects.GroupTime, oracle: Oracle) -> None:
        """ATT within 1e-4 of R did and exactly the differences of means; their analytic errors, 3 % for n / (n - 1)."""
        told = oracle("did_mpdta_attgt")
        rows = cells(found)
        assert len(rows) == len(told["expected"]["ATT"])
        for place, expected in told["expected"]["ATT"].items():
            row = rows.loc[tuple(place.split(","))]
            estimate, error = told["recomputed"]["differences"][place]
            assert row["estimate"] == pytest.approx(expected, abs=1e-4)
            assert row["estimate"] == pytest.approx(estimate, abs=1e-10)
            assert row["std_error"] == pytest.approx(error, rel=0.03)
            assert row["n"] == 2 * {"2004": 20, "2006": 40, "2007": 131}[place[:4]]

    @pytest.mark.parametrize("kind", ["simple", "group", "dynamic"])
    def test_aggregates(self, found: effects.GroupTime, kind: str) -> None:
        rows = effects.aggregate(found, kind)
        assert rows["level"].iloc[0] == "overall"
        assert like(rows.iloc[0], OVERALL[kind])
        expected: dict[Any, Any] = {"group": GROUPS, "dynamic": DYNAMIC}.get(kind, {})
        told = rows.iloc[1:].set_index("at" if kind == "dynamic" else "level")
        assert list(told.index) == [str(name) for name in expected]
        for name, values in expected.items():
            assert like(told.loc[str(name)], values), name

    def test_the_covariance_of_effects_before_the_start(self, found: effects.GroupTime) -> None:
        """R's Wald test over all of them, p = .168; ours have n / (n - 1) in them, so within .02."""
        before = (found.frame["at"].astype(int) < found.frame["level"].astype(int)).to_numpy()
        parts = found.influence[:, before]
        value = found.frame["estimate"].to_numpy()[before]
        wald = value @ np.linalg.solve(parts.T @ parts, value)
        assert stats.chi2.sf(wald, before.sum()) == pytest.approx(PRE_TEST, abs=0.02)

    def test_groups(self, found: effects.GroupTime) -> None:
        assert found.groups["group"].tolist() == ["2004", "2006", "2007", "never"]
        assert found.groups["clusters"].tolist() == [20, 40, 131, 309]

    def test_cross_sections_of_a_balanced_panel_are_the_panel(
        self, counties: pd.DataFrame, found: effects.GroupTime
    ) -> None:
        other = effects.group_time_att(
            counties, outcome="lemp", unit="countyreal", time="year", first_treated="first.treat", panel=False
        )
        np.testing.assert_allclose(other.influence, found.influence, atol=1e-12)
        np.testing.assert_allclose(other.frame["estimate"], found.frame["estimate"], atol=1e-12)


class TestWrittenOut:
    @pytest.fixture
    def crossed(self, rng: np.random.Generator) -> pd.DataFrame:
        """Answers of customers who come when they like, some of them in several groups, with weights."""
        size = 900
        frame = pd.DataFrame({"unit": rng.integers(0, 300, size), "time": rng.integers(1, 8, size)})
        frame["start"] = np.where(rng.random(size) < 0.1, 0, np.array([0, 3, 5])[frame["unit"] % 3])
        return frame.assign(
            w=rng.uniform(0.5, 2, size),
            y=rng.standard_normal(size) + 0.3 * frame["time"] + effect_of(frame["start"], frame["time"]),
        )

    @staticmethod
    def four(frame: pd.DataFrame, start: int, time: int, base: int, others: set[int]) -> float:
        def mean(who: pd.Series, when: int) -> float:
            rows = frame[who & (frame["time"] == when)]
            return float(np.average(rows["y"], weights=rows["w"]))

        mine, rest = frame["start"] == start, frame["start"].isin(others)
        return mean(mine, time) - mean(mine, base) - mean(rest, time) + mean(rest, base)

    def test_four_means(self, crossed: pd.DataFrame) -> None:
        found = cells(fit(crossed, weights="w", panel=False))
        for start, time, base in ((3, 2, 1), (3, 3, 2), (3, 7, 2), (5, 4, 3), (5, 6, 4)):
            assert found.loc[(str(start), str(time)), "estimate"] == pytest.approx(
                self.four(crossed, start, time, base, {0}), abs=SAME
            )

    def test_not_yet_treated(self, crossed: pd.DataFrame) -> None:
        found = cells(fit(crossed, weights="w", panel=False, control="not_yet"))
        for time, others in ((2, {0, 5}), (4, {0, 5}), (5, {0}), (7, {0})):
            base = 1 if time == 2 else 2
            assert found.loc[("3", str(time)), "estimate"] == pytest.approx(
                self.four(crossed, 3, time, base, others), abs=SAME
            )

    def test_anticipation(self, crossed: pd.DataFrame) -> None:
        """With one period of it the base lies one earlier; whoever starts a period after is no control any more."""
        found = cells(fit(crossed, weights="w", panel=False, control="not_yet", anticipation=1))
        assert found.loc[("5", "6"), "estimate"] == pytest.approx(self.four(crossed, 5, 6, 3, {0}), abs=SAME)
        assert found.loc[("3", "3"), "estimate"] == pytest.approx(self.four(crossed, 3, 3, 1, {0, 5}), abs=SAME)
        assert found.loc[("3", "4"), "estimate"] == pytest.approx(self.four(crossed, 3, 4, 1, {0}), abs=SAME)

    def test_bases(self, crossed: pd.DataFrame) -> None:
        every = cells(fit(crossed, weights="w", panel=False, base="all"))
        expected = np.mean([self.four(crossed, 5, 6, base, {0}) for base in (1, 2, 3, 4)])
        assert every.loc[("5", "6"), "estimate"] == pytest.approx(expected, abs=SAME)
        assert (
            every.loc[("5", "6"), "std_error"]
            < cells(fit(crossed, weights="w", panel=False)).loc[("5", "6"), "std_error"]
        )
        universal = cells(fit(crossed, weights="w", panel=False, base="universal"))
        row = universal.loc[("5", "4")]
        assert (row["estimate"], row["std_error"], row["status"]) == (0.0, 0.0, results.OK)
        assert universal.loc[("5", "1"), "estimate"] == pytest.approx(self.four(crossed, 5, 1, 4, {0}), abs=SAME)

    def test_weights_of_aggregates(self, crossed: pd.DataFrame) -> None:
        """Groups weigh by the sum of their weights (R did: the share of rows, weighted)."""
        found = fit(crossed, weights="w", panel=False)
        rows = found.frame[found.frame["at"].astype(int) >= found.frame["level"].astype(int)]
        size = rows["level"].astype(int).map(crossed.groupby("start")["w"].sum())
        simple = effects.aggregate(found, "simple").iloc[0]
        assert simple["estimate"] == pytest.approx(np.average(rows["estimate"], weights=size), abs=SAME)
        group = effects.aggregate(found, "group").iloc[0]
        means = rows.groupby("level")["estimate"].mean()
        shares = crossed.groupby("start")["w"].sum().loc[[3, 5]]
        assert group["estimate"] == pytest.approx(np.average(means, weights=shares), abs=SAME)

    @pytest.mark.parametrize("kind", ["simple", "group", "dynamic"])
    @pytest.mark.parametrize("control", ["never", "not_yet"])
    def test_errors_are_those_of_a_jackknife(self, crossed: pd.DataFrame, kind: str, control: str) -> None:
        """Leaving out each customer in turn: an estimate of the same error to first order, sizes of groups included."""
        found = effects.aggregate(fit(crossed, weights="w", panel=False, control=control), kind)
        left = [
            effects.aggregate(
                fit(crossed[crossed["unit"] != one], weights="w", panel=False, control=control), kind
            )["estimate"].to_numpy()
            for one in range(0, 300, 3 if kind == "dynamic" else 2)
        ]  # fmt: skip
        spread = np.array(left)
        share = 300 / len(spread)
        error = np.sqrt(((spread - found["estimate"].to_numpy()) ** 2).sum(axis=0) * share)
        np.testing.assert_allclose(error[0], found["std_error"][0], rtol=0.15)

    def test_influence(self, crossed: pd.DataFrame) -> None:
        found = fit(crossed, weights="w", panel=False)
        assert found.influence.shape == (crossed["unit"].nunique(), len(found.frame))
        np.testing.assert_allclose(np.sqrt((found.influence**2).sum(axis=0)), found.frame["std_error"])
        np.testing.assert_allclose(found.influence.sum(axis=0), 0, atol=0.02)  # 0 but for n / (n - 1)

    def test_a_panel_with_holes(self, rng: np.random.Generator) -> None:
        frame = staggered(SIZES, 9, rng)
        holes = frame[rng.random(len(frame)) > 0.02]
        whole = holes.groupby("unit").filter(lambda rows: len(rows) == 9)
        np.testing.assert_allclose(fit(holes, panel=True).frame["estimate"], fit(whole).frame["estimate"])
        assert "not seen at every time" in fit(holes, panel=True).frame["note"].iloc[0]
        every = cells(fit(holes)).loc[("4", "5"), "estimate"]
        assert every == pytest.approx(self.four(holes.assign(w=1.0), 4, 5, 3, {0}), abs=SAME)

    def test_simultaneous_intervals_are_wider(self, rng: np.random.Generator) -> None:
        found = fit(staggered(SIZES, 9, rng))
        plain, wide = (effects.aggregate(found, "dynamic", simultaneous=each) for each in (False, True))
        pd.testing.assert_series_equal(plain.iloc[0], wide.iloc[0])
        assert ((wide["conf_high"] - plain["conf_high"])[1:] > 0).all()
        pd.testing.assert_frame_equal(wide, effects.aggregate(found, "dynamic", simultaneous=True))


class TestDoor:
    def test_no_rows(self) -> None:
        found = fit(staggered(SIZES, 8, np.random.default_rng(1)).iloc[:0])
        assert found.frame.empty
        assert effects.aggregate(found, "simple")["status"].tolist() == [results.TOO_FEW]

    def test_frames_are_not_drawn_together(self, rng: np.random.Generator) -> None:
        with pytest.raises(UsageError, match=r"not \.frame"):
            effects.aggregate(fit(staggered(SIZES, 8, rng)).frame, "simple")  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", ["period", "first days", "dates of starts"])
    def test_months_of_all_kinds_are_one(self, kind: str, rng: np.random.Generator) -> None:
        frame = staggered(SIZES, 8, rng)
        months = pd.period_range("2025-09", periods=8, freq="M")
        text = {number + 1: str(month) for number, month in enumerate(months)}
        names = frame.assign(time=frame["time"].map(text), start=frame["start"].map(text))
        days = [f"{name}-01" for name in names["time"]]
        periods = {name: pd.PeriodIndex(names[name], freq="M") for name in ("time", "start")}
        when = {"period": periods["time"], "first days": pd.to_datetime(days), "dates of starts": names["time"]}[kind]
        other = names.assign(
            time=when, start=periods["start"] if kind == "period" else pd.to_datetime(names["start"] + "-01")
        )
        pd.testing.assert_frame_equal(fit(other).frame, fit(names).frame)
        assert "2025-12" in fit(other).groups["group"].tolist()

    @pytest.mark.parametrize("base", ["varying", "universal", "all"])
    def test_starts_at_which_nobody_was_seen_are_groups_of_their_own(self, base: str, rng: np.random.Generator) -> None:
        """As in R did: 4 and 5 stay apart where 4 is absent, and the first time seen of group 4 is its second."""
        frame = staggered({0: 20, 4: 10, 5: 12}, 8, rng)
        frame = frame[frame["time"] != 4]
        found = fit(frame, base=base)
        assert found.groups["group"].tolist() == ["4", "5", "never"]
        alone = fit(frame[frame["start"] != 5], base=base).frame
        mine = found.frame[found.frame["level"] == "4"]
        np.testing.assert_allclose(mine["estimate"], alone["estimate"], atol=1e-12)
        dynamic = effects.aggregate(found, "dynamic").set_index("at")
        assert dynamic.loc["0", "estimate"] == pytest.approx(cells(found).loc[("5", "5"), "estimate"])
        size = found.groups.set_index("group")["share"]
        both = [cells(found).loc[place, "estimate"] for place in (("4", "5"), ("5", "6"))]
        expected = np.average(both, weights=[size["4"], size["5"]])
        assert dynamic.loc["1", "estimate"] == pytest.approx(expected)
        assert "nobody is seen at the start of group 4" in found.frame["note"].iloc[0]

    @pytest.fixture
    def frame(self, rng: np.random.Generator) -> pd.DataFrame:
        return staggered(SIZES, 9, rng)

    def test_times_by_name(self, frame: pd.DataFrame) -> None:
        months = {time: f"2026-{time:02d}" for time in range(1, 10)}
        plain = fit(frame)
        for never in (None, "", "never", 0):
            named = frame.assign(
                time=frame["time"].map(months), start=[months.get(start, never) for start in frame["start"]]
            )
            found = fit(named.astype({"start": object}))
            np.testing.assert_allclose(found.frame["estimate"], plain.frame["estimate"])
            assert found.frame["at"].iloc[0] == "2026-02"
            pd.testing.assert_frame_equal(
                effects.aggregate(found, "dynamic"), effects.aggregate(plain, "dynamic"), rtol=1e-9
            )

    def test_who_starts_after_the_end_is_never_treated(self, frame: pd.DataFrame) -> None:
        later = frame.assign(start=frame["start"].replace(0, 12))
        pd.testing.assert_frame_equal(fit(later).frame, fit(frame).frame)

    def test_who_had_started_is_left_out(self, frame: pd.DataFrame) -> None:
        early = pd.concat([frame, frame[frame["start"] == 4].assign(start=1, unit=lambda t: t["unit"] + 1_000)])
        found = fit(early)
        np.testing.assert_allclose(found.frame["estimate"], fit(frame).frame["estimate"])
        assert "had started by the first time" in found.frame["note"].iloc[0]

    @given(seed=st.integers(0, 30), shift=st.floats(-1e4, 1e4))
    def test_order_and_level_do_not_matter(self, seed: int, shift: float) -> None:
        frame = staggered({0: 5, 2: 4, 3: 3}, 4, np.random.default_rng(seed))
        other = frame.sample(frac=1, random_state=seed).assign(y=lambda t: t["y"] + shift)
        for kind in ("simple", "group", "dynamic"):
            plain, turned = (effects.aggregate(fit(each, control="not_yet"), kind) for each in (frame, other))
            np.testing.assert_allclose(turned["estimate"], plain["estimate"], atol=1e-8)
            np.testing.assert_allclose(turned["std_error"], plain["std_error"], rtol=1e-5)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"control": "later"}, "none of never, not_yet"),
            ({"base": "first"}, "none of varying, universal, all"),
            ({"outcome": "z"}, "no column 'z'"),
            ({"unit": None, "panel": True}, "a panel without a unit"),
            ({"confidence": 2}, "between 0 and 1"),
            ({"weights": "less"}, "weights must be 0 or more"),
        ],
    )
    def test_what_cannot_be_used(self, frame: pd.DataFrame, more: dict[str, Any], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            fit(frame.assign(less=-1.0), **more)

    def test_units_that_start_twice(self, frame: pd.DataFrame) -> None:
        twice = frame.assign(start=frame["start"].where(frame["time"] < 5, 7))
        with pytest.raises(UsageError, match="several first times"):
            fit(twice)
        with pytest.raises(UsageError, match="several times at one time"):
            fit(pd.concat([frame, frame]), panel=True)

    def test_without_never_treated(self, frame: pd.DataFrame) -> None:
        treated = frame[frame["start"] > 0]
        with pytest.raises(UsageError, match="nobody is never treated"):
            fit(treated)
        found = fit(treated, control="not_yet")
        last = cells(found).loc[("4", "9")]
        assert last["status"] == results.UNDEFINED
        assert "nobody untreated" in last["note"]
        row = effects.aggregate(found, "simple").iloc[0]
        assert row["status"] == results.OK
        assert "could not be had" in row["note"]

    def test_a_group_of_one(self, frame: pd.DataFrame) -> None:
        alone = frame[(frame["start"] != 4) | (frame["unit"] == frame.loc[frame["start"] == 4, "unit"].min())]
        row = cells(fit(alone)).loc[("4", "5")]
        assert row["status"] == results.TOO_FEW
        assert "single cluster" in row["note"]

    def test_all_alike(self) -> None:
        frame = staggered(SIZES, 9, np.random.default_rng(1)).assign(y=lambda t: 1.0 * t["time"])
        assert (fit(frame).frame["status"] == results.TOO_FEW).all()

    def test_nobody_treated(self, frame: pd.DataFrame) -> None:
        found = fit(frame[frame["start"] == 0])
        assert not len(found.frame)
        for kind in ("simple", "group", "dynamic"):
            assert effects.aggregate(found, kind)["status"].tolist() == [results.UNDEFINED]


class TestAnything:
    """Whatever rows come in: a row with its numbers, or one that says why it has none; or an error for the user."""

    @staticmethod
    def draw(seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        size, units = int(rng.integers(0, 40)), int(rng.integers(1, 8))
        unit = rng.integers(0, units, size)
        values = [rng.normal(size=size), rng.integers(0, 2, size) * 1.0, np.ones(size)]
        y = np.where(rng.random(size) < 0.1, np.nan, values[int(rng.integers(0, 3))])
        frame = pd.DataFrame(
            {"unit": unit, "time": rng.integers(1, 6, size), "y": y, "other": rng.integers(0, 3, size)}
        )
        frame["start"] = rng.choice([0, 0, 1, 2, 3, 4, 9], units)[unit]
        frame["treated"] = (frame["start"] > 0).astype(int)
        frame["on"] = frame["treated"] * (frame["time"] >= frame["start"])
        return frame.drop_duplicates(["unit", "time"]) if rng.random() < 0.5 else frame

    @staticmethod
    def faults(found: pd.DataFrame) -> list[str]:
        """Return what is wrong with a frame, whatever it was made of."""
        good, rest = found[found["status"] == results.OK], found[found["status"] != results.OK]
        told = good[(good["comparison"] == "difference") & (good["note"] != "the period the others are compared with")]
        wrong = {
            "an estimate is no number": not np.isfinite(good["estimate"]).all(),
            "an error, a limit or a p-value is no number": not np.isfinite(
                told[["std_error", "conf_low", "conf_high", "p_value"]]
            ).all(axis=None),
            "an error is not above 0": not (told["std_error"] > 0).all(),
            "a row without a number has no reason": not (rest["note"] != "").all(),
        }
        return [words for words, holds in wrong.items() if holds]

    @pytest.mark.parametrize("seed", range(12))
    def test_anything(self, seed: int) -> None:
        """Each design gives frames without a fault, or says what it was given wrongly; most can work with it."""
        frame, common = self.draw(seed), {"outcome": "y", "time": "time"}
        unit = None if seed % 3 == 0 else "unit"
        several: dict[str, Any] = {**common, "first_treated": "start", "unit": unit}
        one: dict[str, Any] = {**common, "treated": "treated", "start": 2, "unit": unit}
        control, worked = ("never", "not_yet")[seed % 2], 0
        for work in (
            lambda: effects.did(frame, **one, covariates=["other"]),
            lambda: effects.did(frame, **common, treated="on", unit="unit"),
            lambda: effects.event_study(frame, **one),
            lambda: effects.event_study(frame, **several, control=control),
            lambda: effects.before_after(frame, **common, first_treated="start", cluster=unit),
            lambda: effects.placebos(frame, **several, control=control, group="other"),
            lambda: effects.aggregate(effects.group_time_att(frame, **several, control=control), "dynamic"),
        ):
            with contextlib.suppress(UsageError):
                assert self.faults(work()) == []
                worked += 1
        assert worked >= 4


@functools.cache
def contacts(seed: int) -> pd.DataFrame:
    """First contacts of cases of a small demo company, with month, region's start of chat, resolution and log wait."""
    tables = demo.tables(4_000, seed=seed, first="2025-08")
    rows = tables["interactions"].to_pandas()
    rows = rows[rows["kind"] == "contact"].sort_values("started_at").drop_duplicates("case_id")
    homes = tables["customers"].to_pandas().sort_values("valid_from")[["customer_id", "valid_from", "region"]]
    rows = pd.merge_asof(rows, homes, left_on="started_at", right_on="valid_from", by="customer_id")
    local = rows["started_at"].dt.tz_localize("UTC").dt.tz_convert(demo.TIMEZONE)
    since = {"North": "2026-02", "East": "2026-03", "Centre": "2026-05", "South": "2026-07", "Islands": None}
    return rows.assign(
        month=local.dt.strftime("%Y-%m"), since=rows["region"].map(since), solved=rows["resolved"].astype(float),
        wait=np.log(rows["wait_seconds"].astype(float)),
    )  # fmt: skip


class TestDemo:
    """Chat support adds .07 to resolution and makes waits .65 of what they were, while all regions improve anyway.

    60 companies of 8,000 customers from 2025-07, mean estimate (its error) and how often the interval holds the truth:

        truth                     .07               log .65 = -.431
        never, varying            .072 (.005) 93 %  -.452 (.011) 98 %
        never, all                .073 (.003) 100   -.436 (.009) 93
        not yet, varying          .071 (.005) 92    -.456 (.010) 97
        not yet, all              .072 (.003) 97    -.439 (.008) 95
        before and after alone    .125 (.001) 0     -.517 (.003) 8
    """

    SEEDS = range(1, 7)

    @pytest.mark.parametrize("control", ["never", "not_yet"])
    @pytest.mark.parametrize("base", ["varying", "all"])
    @pytest.mark.parametrize(("outcome", "truth"), [("solved", 0.07), ("wait", np.log(0.65))])
    def test_the_effect_is_recovered(self, outcome: str, truth: float, control: str, base: str) -> None:
        rows = []
        for seed in self.SEEDS:
            att = effects.group_time_att(
                contacts(seed), outcome=outcome, unit="customer_id", time="month", first_treated="since",
                control=control, base=base, panel=False,
            )  # fmt: skip
            rows.append(effects.aggregate(att, "simple").iloc[0])
        held = sum(row["conf_low"] <= truth <= row["conf_high"] for row in rows)
        assert held >= len(rows) - 1
        mean, error = (np.mean([row[name] for row in rows]) for name in ("estimate", "std_error"))
        assert abs(mean - truth) < 3 * error / np.sqrt(len(rows))

    @pytest.mark.parametrize(("outcome", "truth"), [("solved", 0.07), ("wait", np.log(0.65))])
    def test_before_and_after_takes_the_trend_for_the_effect(self, outcome: str, truth: float) -> None:
        found = [
            effects.before_after(
                contacts(seed), outcome=outcome, time="month", first_treated="since", cluster="customer_id"
            ).iloc[0]
            for seed in self.SEEDS
        ]
        mean, error = (np.mean([row[name] for row in found]) for name in ("estimate", "std_error"))
        assert (mean - truth) * np.sign(truth) > 3 * error / np.sqrt(len(found))
        if outcome == "solved":
            assert all(row["conf_low"] > truth for row in found)


@pytest.mark.simulation
class TestCoverage:
    TRUTH = 0.7

    def test_intervals_hold_where_two_way_effects_mislead(self, replicates: Callable[[int, int], int]) -> None:
        times = replicates(60, 1_000)
        held, two_way = np.zeros(4), 0
        for seed in range(times):
            frame = staggered({0: 20, 4: 20, 6: 20, 8: 20}, 10, np.random.default_rng(seed))
            after = frame[frame["on"] == 1].assign(since=lambda t: t["time"] - t["start"])
            events = after.groupby("since")["truth"].mean()
            truths = {
                "simple": after["truth"].mean(), "group": after.groupby("start")["truth"].mean().mean(),
                "dynamic": events.mean(),
            }  # fmt: skip
            found = fit(frame, control="not_yet" if seed % 2 else "never")
            rows = {kind: effects.aggregate(found, kind) for kind in truths}
            held[:3] += [self.holds(rows[kind].iloc[0], truth) for kind, truth in truths.items()]
            mine = rows["dynamic"].iloc[1:]
            held[3] += np.mean([self.holds(row, events.get(int(row["at"]), 0.0)) for _, row in mine.iterrows()])
            two_way += self.holds(
                effects.did(frame, outcome="y", time="time", treated="on", unit="unit").iloc[0], truths["simple"]
            )
        assert (held / times >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)).all()
        assert two_way / times < 0.5

    @staticmethod
    def holds(row: pd.Series, truth: float) -> bool:
        return bool(row["conf_low"] <= truth <= row["conf_high"])

    def test_cross_sections(self, replicates: Callable[[int, int], int]) -> None:
        """Customers of 2 answers each on average who have a level of their own; errors by customer."""
        times, held = replicates(60, 1_000), 0
        for seed in range(times):
            rng = np.random.default_rng(seed)
            unit = rng.integers(0, 600, 1_200)
            when, start = rng.integers(1, 7, 1_200), np.array([0, 3, 5])[unit % 3]
            y = rng.standard_normal(600)[unit] + rng.standard_normal(1_200) + 0.3 * ((start > 0) & (when >= start))
            frame = pd.DataFrame({"unit": unit, "time": when, "start": start, "y": y})
            row = effects.aggregate(fit(frame, panel=False, control="not_yet"), "simple").iloc[0]
            held += self.holds(row, 0.3)
        assert held / times >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)
