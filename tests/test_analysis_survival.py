"""Survival curves, medians, restricted means and the log-rank test: against R, statsmodels and by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import survdiff

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.errors import UsageError

EXACT = 1e-6  # the tolerance of the R oracles

# Six customers: two leave at 1, one at 3, one at 4; the others were still there at 2 and 5.
TIME, EVENT = [1, 1, 2, 3, 4, 5], [1, 1, 0, 1, 1, 0]


@pytest.fixture(scope="module")
def lung(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_data("survival_share") / "lung.csv").assign(dead=lambda t: t["status"] == 2)


@pytest.fixture(scope="module")
def telco(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    found = pd.read_csv(shared_data("telco_churn") / "WA_Fn-UseC_-Telco-Customer-Churn.csv")
    return found.assign(gone=found["Churn"] == "Yes")


def cell(frame: pd.DataFrame, metric: str, level: str = "all", at: str | None = None) -> pd.Series:
    mine = frame[(frame["metric"] == metric) & (frame["level"] == level)]
    mine = mine if at is None else mine[mine["at"] == at]
    assert len(mine) == 1
    return mine.iloc[0]


def like_r(frame: pd.DataFrame, expected: dict[str, Any], name: str, level: str, times: list[int]) -> None:
    """Hold the rows of one group against what R's `survfit` says of it."""
    for time in times:
        row = cell(frame, "survival", level, str(time))
        for ours, theirs in (("estimate", "S"), ("std_error", "se"), ("conf_low", "lcl"), ("conf_high", "ucl")):
            assert row[ours] == pytest.approx(expected[f"{name}.{theirs}({time})"], abs=EXACT), (level, time, ours)
    median = cell(frame, "median_survival", level)
    if expected[f"{name}.median"] == "NA":
        assert median["status"] == results.UNDEFINED
        assert pd.isna(median["estimate"])
    else:
        assert median["estimate"] == expected[f"{name}.median"]
        assert (median["conf_low"], median["conf_high"]) == (
            expected[f"{name}.median_lcl"], expected[f"{name}.median_ucl"],
        )  # fmt: skip
        assert median["n"] == expected[f"{name}.n"]


class TestLikeR:
    def test_everybody(self, lung: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        expected = oracle("survival_lung_km")["expected"]
        found = loyalty.survival(lung["time"], lung["dead"], at=[180, 365, 730], horizon=730)
        like_r(found, expected["R_survival_lung"], "all", "all", [180, 365, 730])
        mean = cell(found, "restricted_mean")
        assert mean["estimate"] == pytest.approx(expected["R_survival_lung"]["all.rmst_tau730"], abs=EXACT)
        assert mean["std_error"] == pytest.approx(expected["R_survival_lung"]["all.rmst_se"], abs=EXACT)
        other = loyalty.survival(lung["time"], lung["dead"], at=[180, 365, 730], interval="log-log")
        like_r(other, expected["R_survival_lung_loglog"], "all", "all", [180, 365, 730])
        assert set(other.loc[other["metric"] == "survival", "method"]) == {"Kaplan-Meier, log-log interval"}

    def test_by_sex(self, lung: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        expected = oracle("survival_lung_by_sex")["expected"]["R_survival_lung_by_sex"]
        found = loyalty.survival(lung["time"], lung["dead"], by=lung["sex"], at=[180, 365], horizon=500)
        assert set(found["segment"]) == {"sex"}
        for level in ("1", "2"):
            like_r(found, expected, f"sex={level}", level, [180, 365])
            mean = cell(found, "restricted_mean", level, "500")
            assert mean["estimate"] == pytest.approx(expected[f"sex={level}.rmst_tau500"], abs=EXACT)
            assert mean["std_error"] == pytest.approx(expected[f"sex={level}.rmst_se"], abs=EXACT)
        self.log_rank_like_r(loyalty.log_rank(lung["time"], lung["dead"], lung["sex"]), expected)

    def test_telco_by_contract(self, telco: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        """Eleven customers have a tenure of 0: they count among the customers and were never watched."""
        expected = oracle("telco_survival_contract")["expected"]
        found = loyalty.survival(telco["tenure"], telco["gone"], by=telco["Contract"], at=[12, 24, 60])
        for level in ("Month-to-month", "One year", "Two year"):
            like_r(found, expected, f"Contract={level}", level, [12, 24, 60])
            mean = cell(found, "restricted_mean", level, "72")
            assert mean["estimate"] == pytest.approx(expected[f"Contract={level}.rmst_tau72"], abs=EXACT)
            assert mean["std_error"] == pytest.approx(expected[f"Contract={level}.rmst_se"], abs=EXACT)
        assert "the lower limit is 72" in cell(found, "median_survival", "One year")["note"]
        self.log_rank_like_r(loyalty.log_rank(telco["tenure"], telco["gone"], telco["Contract"]), expected)

    @staticmethod
    def log_rank_like_r(found: pd.DataFrame, expected: dict[str, Any]) -> None:
        row = found.iloc[0]
        assert row["comparison"] == "test"
        assert row["estimate"] == pytest.approx(expected["logrank_chisq"], rel=1e-6)
        assert row["p_value"] == pytest.approx(expected["logrank_p"], rel=1e-6, abs=1e-12)
        assert f"with {expected['logrank_df']:g} degree" in row["method"]
        places = [key.split(".")[1] for key in expected if key.startswith("observed.")]
        for place in places:
            told = f"{expected[f'observed.{place}']:g} left, {expected[f'expected.{place}']:.1f} expected"
            assert told in row["note"]

    def test_restricted_mean_differences(self, lung: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        """The difference and its variance follow from R's two means and standard errors."""
        expected = oracle("survival_lung_by_sex")["expected"]["R_survival_lung_by_sex"]
        row = loyalty.restricted_mean_difference(lung["time"], lung["dead"], lung["sex"], horizon=500).iloc[0]
        value = expected["sex=2.rmst_tau500"] - expected["sex=1.rmst_tau500"]
        error = np.hypot(expected["sex=2.rmst_se"], expected["sex=1.rmst_se"])
        assert (row["level"], row["against"], row["comparison"]) == ("2", "1", "difference")
        assert row["estimate"] == pytest.approx(value, abs=EXACT)
        assert row["conf_low"] == pytest.approx(value - 1.959964 * error, abs=1e-4)
        assert row["p_adjusted"] == row["p_value"] < 0.001


class TestByHand:
    def test_shares(self) -> None:
        """S(1) = 4/6, S(3) = 4/6 x 2/3 (two of four had left or were gone at 3), S(4) = 4/9 x 1/2."""
        found = loyalty.survival(TIME, EVENT, at=[0, 1, 2, 3, 4, 5])
        shares = found.loc[found["metric"] == "survival", "estimate"].to_list()
        assert shares == pytest.approx([1, 4 / 6, 4 / 6, 4 / 9, 2 / 9, 2 / 9], abs=1e-12)
        assert found["n_eff"].to_list()[:6] == [6, 6, 4, 3, 2, 1]
        assert cell(found, "median_survival")["estimate"] == 3
        # 1 + 4/6 x 2 + 4/9 x 1 + 2/9 x 1
        assert cell(found, "restricted_mean", at="5")["estimate"] == pytest.approx(1 + 4 / 3 + 4 / 9 + 2 / 9)

    def test_a_flat_half_is_halved(self) -> None:
        """R: the median of a curve that lies at one half from 2 to 3 is 2.5."""
        assert cell(loyalty.survival([1, 2, 3, 4], [1] * 4), "median_survival")["estimate"] == 2.5

    def test_late_entry(self) -> None:
        """Who was there for 2 before records began is not among those at risk at 1: S(1) = 1/2, S(3) = 1/2 x 1/2."""
        found = loyalty.survival([1, 3, 3], [1, 0, 1], entry=[0, 0, 2], at=[1, 3])
        assert found["estimate"].to_list()[:2] == pytest.approx([0.5, 0.25])
        without = loyalty.survival([1, 3, 3], [1, 0, 1], at=[1])
        assert without["estimate"].iloc[0] == pytest.approx(2 / 3)

    def test_early_on_nobody_is_left_and_others_come_later(self) -> None:
        """One of one left at 1; the others came after. The product would be 0 for ever, and say nothing of them."""
        found = loyalty.survival([1, 5, 6, 7], [1, 1, 0, 1], entry=[0, 2, 2, 2], at=[0.5, 1, 5], horizon=6)
        assert found["status"].to_list() == ["ok", "undefined", "undefined", "undefined", "undefined"]
        assert found["note"].iloc[1] == "all 1 who were watched at 1 left then"
        assert found["note"].iloc[3].endswith("100.0 % are still there at 1, and all 1 who were watched at 1 left then")
        with_reasons = loyalty.competing_reasons(
            [1, 5, 6, 7], [1, 1, 0, 1], ["a"] * 4, entry=[0, 2, 2, 2], at=[0.5, 5], horizon=6
        )
        assert with_reasons["status"].to_list() == ["ok", "undefined", "undefined"]

    def test_everybody_left(self) -> None:
        found = loyalty.survival([1, 2, 3], [1, 1, 1], at=[2, 3, 9])
        gone = cell(found, "survival", at="9")
        assert (gone["estimate"], gone["conf_low"]) == (0, 0)
        assert gone["conf_high"] == cell(found, "survival", at="2")["conf_high"]
        assert "everybody has left" in gone["note"]

    def test_nobody_left(self) -> None:
        found = loyalty.survival([1, 2, 3], [0, 0, 0], by=pd.Series(["a"] * 3, name="plan"))
        assert cell(found, "survival", "a")["estimate"] == 1
        median = cell(found, "median_survival", "a")
        assert (median["status"], median["note"]) == (
            "undefined", "fewer than half have left: 100.0 % are still there at 3",
        )  # fmt: skip
        assert cell(found, "restricted_mean", "a")["estimate"] == 3

    def test_beyond_what_was_watched(self) -> None:
        found = loyalty.survival(TIME, EVENT, at=[5, 6], horizon=8)
        late = cell(found, "survival", at="6")
        assert (late["status"], late["note"]) == ("undefined", "nobody was watched for longer than 5")
        assert cell(found, "restricted_mean", at="8")["status"] == "undefined"

    def test_small_groups_are_hidden(self) -> None:
        found = loyalty.survival(TIME, EVENT, at=[1, 4], min_n=3)
        assert cell(found, "survival", at="1")["status"] == "ok"
        hidden = cell(found, "survival", at="4")
        assert (hidden["status"], np.isnan(hidden["n"])) == ("suppressed", True)
        assert set(loyalty.survival(TIME, EVENT, min_n=7)["status"]) == {"suppressed"}

    def test_a_hundred_times_at_most(self, rng: np.random.Generator) -> None:
        """The longest of 900 is between 20 and 50: every half is at most a hundred."""
        time = rng.exponential(5, 900)
        assert 25 < time.max() < 50
        found = loyalty.survival(time, np.ones(900))
        at = found.loc[found["metric"] == "survival", "at"].astype(float)
        assert at.to_list() == [0.5 * step for step in range(1, int(time.max() / 0.5) + 1)]

    def test_the_defaults_look_as_far_as_all_groups_were_watched(self) -> None:
        found = loyalty.survival([1, 9, 2, 4], [1, 0, 1, 0], by=["a", "a", "b", "b"])
        assert set(found.loc[found["metric"] == "restricted_mean", "at"]) == {"4"}


class TestLogRank:
    def test_against_statsmodels(self, rng: np.random.Generator) -> None:
        time, event = rng.geometric(0.1, 300), rng.random(300) < 0.7
        group, layer = rng.integers(0, 3, 300), rng.integers(0, 2, 300)
        entry = rng.integers(0, 4, 300)
        for strata in (None, layer):
            chi_square, p_value = survdiff(time, event, group, strata=strata)
            row = loyalty.log_rank(time, event, group, strata=strata).iloc[0]
            assert row["estimate"] == pytest.approx(chi_square, rel=1e-9)
            assert row["p_value"] == pytest.approx(p_value, rel=1e-6)
        kept = entry < time
        chi_square, _ = survdiff(time[kept], event[kept], group[kept], entry=entry[kept])
        found = loyalty.log_rank(time, event, group, entry=entry).iloc[0]
        assert found["estimate"] == pytest.approx(chi_square, rel=1e-9)
        assert "that were not watched before they ended left out" in found["note"]

    def test_strata_are_named(self, telco: pd.DataFrame) -> None:
        row = loyalty.log_rank(telco["tenure"], telco["gone"], telco["Contract"], strata=telco["gender"]).iloc[0]
        assert row["method"].startswith("log-rank, stratified by gender")

    @pytest.mark.parametrize(
        ("time", "event", "group"),
        [([1, 2], [0, 0], ["a", "b"]), ([1, 2], [1, 1], ["a", "a"]), ([1, 2, 3], [0, 1, 1], ["a", "b", "b"])],
        ids=["nobody left", "one group", "one group while somebody left"],
    )
    def test_nothing_to_compare(self, time: list[int], event: list[int], group: list[str]) -> None:
        row = loyalty.log_rank(time, event, group).iloc[0]
        assert (row["status"], row["note"]) == (
            "undefined", "fewer than two groups were watched while somebody left",
        )  # fmt: skip

    @pytest.mark.simulation
    def test_the_error_rate(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Two equal groups differ at 5 % in 5 of 100 trials; 300 customers, half censored."""
        times = replicates(150, 5_000)
        group = np.repeat([0, 1], 150)
        p_values = [
            loyalty.log_rank(rng.exponential(1, 300), rng.random(300) < 0.5, group)["p_value"].iloc[0]
            for _ in range(times)
        ]
        assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / times))


class TestDifferences:
    def test_against_a_named_level(self) -> None:
        time, event, plan = [1, 4, 2, 4, 3, 4], [1, 0, 1, 0, 1, 0], ["a", "a", "b", "b", "c", "c"]
        found = loyalty.restricted_mean_difference(time, event, plan, against="b")
        assert found["level"].to_list() == ["a", "c"]
        # Half stays to 4, half left at 1, 2 or 3: means of 2.5, 3 and 3.5.
        assert found["estimate"].to_list() == pytest.approx([-0.5, 0.5])

    def test_what_cannot_be_compared(self) -> None:
        found = loyalty.restricted_mean_difference([1, 2, 3, 4], [0, 0, 0, 0], ["a", "a", "b", "b"])
        assert (found["status"].iloc[0], found["note"].iloc[0]) == ("undefined", "nobody left in either group")
        far = loyalty.restricted_mean_difference([1, 2, 3, 9], [1, 0, 1, 0], ["a", "a", "b", "b"], horizon=8)
        assert far["note"].iloc[0] == "a group was not watched up to 8"
        with pytest.raises(UsageError, match="needs two levels"):
            loyalty.restricted_mean_difference([1, 2], [1, 0], ["a", "a"])
        with pytest.raises(UsageError, match="no level 'c'"):
            loyalty.restricted_mean_difference([1, 2], [1, 0], ["a", "b"], against="c")

    def test_hidden_by_the_smaller_side(self) -> None:
        time, event, plan = np.arange(1, 8), [1] * 6 + [0], ["a"] * 5 + ["b"] * 2
        assert loyalty.restricted_mean_difference(time, event, plan, min_n=3)["status"].iloc[0] == "suppressed"


class TestTheDoor:
    def test_types_that_exports_bring(self) -> None:
        expected = loyalty.survival(TIME, EVENT)
        for time, event in (
            (pd.Series(TIME, dtype="Int64"), pd.Series(EVENT, dtype="boolean")),
            (pd.Series(TIME, dtype="int64[pyarrow]"), pd.Series([bool(e) for e in EVENT], dtype="bool[pyarrow]")),
            (pd.Series([Decimal(t) for t in TIME], dtype=object), pd.Series(EVENT, dtype=object)),
            (pd.Series(TIME, index=[7, 7, 1, 0, 3, 2]), np.array(EVENT, dtype=float)),
        ):
            pd.testing.assert_frame_equal(loyalty.survival(time, event), expected)

    def test_what_is_missing_is_left_out_and_counted(self) -> None:
        time = pd.Series([*TIME, None, 2, 2], dtype="Float64")
        event = pd.Series([*EVENT, 1, None, 1], dtype="Int64")
        plan = pd.Series([*["a"] * 8, None], name="plan")
        found = loyalty.survival(time, event, by=plan)
        assert cell(found, "median_survival", "a")["n"] == 6
        assert cell(found, "restricted_mean", "a")["note"] == (
            "2 rows without a duration or an event left out; 1 row without plan left out"
        )

    @pytest.mark.parametrize(
        ("time", "event", "more", "words"),
        [
            ([1, -2], [1, 0], {}, "durations is below 0 in 1 row, the first -2"),
            ([1, 2], ["Yes", "No"], {}, "events is neither true nor false in 2 rows, the first 'Yes'"),
            ([1, 2], [1], {}, "events has 1 rows and the durations have 2"),
            (["1", "soon"], [1, 0], {}, "durations is no number in 1 row, the first 'soon'"),
            ([1, np.inf], [1, 0], {}, "durations is infinite in 1 row"),
            (pd.to_timedelta([1, 2], unit="D"), [1, 0], {}, "durations holds time spans"),
            ([], [], {}, "no customer has a duration and an event"),
            ([1, 2], [1, 0], {"interval": "plain"}, "'plain' is no interval of survival"),
            ([1, 2], [1, 0], {"at": [-1]}, "times to look at are 0 or more"),
            ([1, 2], [1, 0], {"horizon": 0}, "lies above 0"),
            ([1, 2], [1, 0], {"confidence": 95}, "confidence 95 is not between 0 and 1"),
        ],
    )
    def test_what_cannot_be_used(self, time: Any, event: Any, more: dict[str, Any], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            loyalty.survival(time, event, **more)


SAMPLES = st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.sampled_from("ab")), min_size=1, max_size=30)


class TestProperties:
    @given(SAMPLES)
    def test_survival_falls_and_its_limits_hold_it(self, sample: list[tuple[int, bool, str]]) -> None:
        time, event, plan = zip(*sample, strict=True)
        for interval in ("log", "log-log"):
            found = loyalty.survival(time, event, by=plan, interval=interval)
            known = found[(found["metric"] == "survival") & (found["status"] == "ok")]
            assert (known.groupby("level")["estimate"].diff().dropna() <= 1e-12).all()
            assert (
                (known["conf_low"] <= known["estimate"] + 1e-12) & (known["estimate"] <= known["conf_high"] + 1e-12)
            ).all()
            assert known[["estimate", "conf_low", "conf_high"]].to_numpy().min(initial=0) >= 0
            assert known[["estimate", "conf_low", "conf_high"]].to_numpy().max(initial=1) <= 1
            assert not known[["estimate", "std_error", "conf_low", "conf_high", "n"]].isna().any(axis=None)

    @given(SAMPLES, st.randoms(use_true_random=False))
    def test_the_order_of_rows_is_nothing(self, sample: list[tuple[int, bool, str]], order: Any) -> None:
        mixed = list(sample)
        order.shuffle(mixed)
        for one in (loyalty.survival, lambda t, e, by: loyalty.log_rank(t, e, by)):
            before, after = (
                one(*(list(c) for c in list(zip(*s, strict=True))[:2]), by=[p for _, _, p in s])
                for s in (sample, mixed)
            )
            pd.testing.assert_frame_equal(before, after, rtol=1e-12)

    @given(SAMPLES)
    def test_without_censoring_it_is_the_share_that_is_left(self, sample: list[tuple[int, bool, str]]) -> None:
        time = np.array([t for t, _, _ in sample])
        found = loyalty.survival(time, np.ones(time.size), at=[0, 1, 4, 8])
        assert found["estimate"].to_list()[:4] == pytest.approx([(time > t).mean() for t in (0, 1, 4, 8)], abs=1e-9)


@pytest.mark.simulation
@pytest.mark.parametrize("interval", ["log", "log-log"])
def test_coverage(interval: str, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """95 % limits of 150 customers, a third censored, hold the truth: share at the median, median, restricted mean."""
    times, half = replicates(150, 5_000), np.log(2)
    truth = {"survival": 0.5, "median_survival": half, "restricted_mean": 1 - np.exp(-1.0)}
    held = dict.fromkeys(truth, 0)
    for _ in range(times):
        leaves, watched = rng.exponential(1, 150), rng.exponential(2, 150)
        found = loyalty.survival(
            np.minimum(leaves, watched), leaves <= watched, at=[half], horizon=1.0, interval=interval
        )
        for metric, value in truth.items():
            row = cell(found, metric)
            held[metric] += row["conf_low"] <= value <= row["conf_high"]
    for metric, count in held.items():
        assert count / times >= 0.945 - 4 * np.sqrt(0.05 * 0.95 / times), metric


class TestEntryZero:
    """A customer who is watched from 0 is watched at 0."""

    TIME, EVENT = [0, 0, 0, 5, 6, 7, 8, 9, 10, 10], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]

    def test_who_left_at_once_is_counted(self) -> None:
        plain = loyalty.survival(self.TIME, self.EVENT, at=[0, 1, 5])
        found = loyalty.survival(self.TIME, self.EVENT, at=[0, 1, 5], entry=[0] * 10)
        assert found["estimate"].iloc[0] == pytest.approx(0.7)
        assert found["n_eff"].iloc[0] == 10
        pd.testing.assert_frame_equal(found, plain)

    def test_who_came_later_and_left_at_once_is_not_and_is_told(self) -> None:
        found = loyalty.survival([3, 5, 6], [1, 1, 0], at=[5], entry=[3, 0, 0])
        assert found["estimate"].iloc[0] == pytest.approx(0.5)
        assert "1 row that were not watched before they ended left out" in found["note"].iloc[0]

    def test_the_log_rank_test_is_the_same(self) -> None:
        by = list("aababbabab")
        plain = loyalty.log_rank(self.TIME, self.EVENT, by)
        pd.testing.assert_frame_equal(loyalty.log_rank(self.TIME, self.EVENT, by, entry=[0] * 10), plain)


class TestLogRankHides:
    """The note names no group that is too small, nor one that could be worked out."""

    def test_at_least_two_or_none(self, rng: np.random.Generator) -> None:
        by = pd.Series(["big"] * 200 + ["mid"] * 100 + ["tiny"] * 4, name="size")
        time, event = rng.integers(1, 20, 304), rng.integers(0, 2, 304)
        note = loyalty.log_rank(time, event, by, min_n=10)["note"].iloc[0]
        assert "big" in note
        assert "tiny" not in note
        assert "mid" not in note
        assert "tiny" in loyalty.log_rank(time, event, by)["note"].iloc[0]
        two = loyalty.log_rank(time[200:], event[200:], by[200:], min_n=10)["note"].iloc[0]
        assert "mid" not in two
        assert "tiny" not in two

    def test_a_test_of_few_is_suppressed(self) -> None:
        found = loyalty.log_rank([1, 2, 3, 4], [1, 1, 1, 1], list("abab"), min_n=5)
        assert found["status"].to_list() == [results.SUPPRESSED]
