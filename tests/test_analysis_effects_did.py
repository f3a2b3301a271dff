"""Difference-in-differences: against R, statsmodels and textbooks, and how often its intervals hold the truth.

Coverage of the 95 % interval, errors AR(1) with .6 within units, 12 periods, 1,000 panels each (500 with one treated):

    treated / untreated units      20/20   30/30   4/4    3/5    2/18    1/19
    group x period, by cluster      94.6    95.2   94.5   95.3   99.8    94.6
    two-way, by cluster             95.6    95.8   94.5   95.3   99.8    94.6

Two treated clusters have about one degree of freedom: the interval holds the truth, and is eight times as wide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from hypothesis import given
from hypothesis import strategies as st
from panels_of_effects import one_start
from scipy import stats

from cxlib import results
from cxlib.analysis import effects
from cxlib.errors import UsageError

SAME = 1e-8  # two solvers of the same equations
Shared, Oracle = Callable[[str], Path], Callable[[str], dict[str, Any]]


def first(frame: pd.DataFrame) -> pd.Series:
    return frame.iloc[0]


def close(found: float, expected: float, rel: float = SAME) -> bool:
    return found == pytest.approx(expected, rel=rel, abs=1e-12)


@pytest.fixture(scope="module")
def counties(shared_data: Shared) -> pd.DataFrame:
    frame = pd.read_csv(shared_data("mpdta") / "mpdta.csv")
    return frame.assign(on=((frame["first.treat"] > 0) & (frame["year"] >= frame["first.treat"])).astype(int))


@pytest.fixture(scope="module")
def smoking(shared_data: Shared) -> pd.DataFrame:
    return pd.read_csv(shared_data("prop99") / "california_prop99.csv", sep=";")


class TestOracles:
    def test_billboard(self, shared_data: Shared, oracle: Oracle) -> None:
        """OLS with an interaction, classical errors (Causal Inference for the Brave and True, chapter 13)."""
        frame = pd.read_csv(shared_data("billboard") / "billboard_impact.csv")
        row = first(effects.did(frame, outcome="deposits", time="jul", treated="poa"))
        expected = oracle("did_billboard")["expected"]
        assert close(row["estimate"], expected["did"], 1e-6)
        assert close(row["std_error"], expected["se"], 1e-6)

    def test_injury(self, shared_data: Shared, oracle: Oracle) -> None:
        """Wooldridge, example 13.4: classical errors, and HC1 by name."""
        frame = pd.read_csv(shared_data("njmin") / "injury.csv")
        expected = oracle("did_injury")["expected"]
        common: dict[str, Any] = {"outcome": "ldurat", "time": "afchnge", "treated": "highearn"}
        classical, robust = (
            first(effects.did(frame[frame["ky"] == 1], **common, errors=kind)) for kind in (None, "hc1")
        )
        michigan = first(effects.did(frame[frame["mi"] == 1], **common))
        assert close(classical["estimate"], expected["ky_did"], 1e-6)
        assert close(classical["std_error"], expected["ky_se"], 1e-6)
        assert close(robust["std_error"], expected["ky_hc1_se"], 1e-6)
        assert classical["n"] == expected["n"]
        assert close(michigan["estimate"], expected["mi_did"], 1e-6)
        assert close(michigan["std_error"], expected["mi_se"], 1e-6)

    def test_counties_two_way(self, counties: pd.DataFrame, oracle: Oracle) -> None:
        """R: lm with unit and year dummies, vcovCL (CR1, all dummies counted)."""
        row = first(effects.did(counties, outcome="lemp", time="year", treated="on", unit="countyreal"))
        expected = oracle("did_mpdta_twfe")["expected"]
        assert row["estimate"] == pytest.approx(expected["twfe"], abs=1e-6)
        assert row["std_error"] == pytest.approx(expected["se_cluster_CR1"], abs=1e-6)
        assert "CR1" in row["method"]

    def test_california(self, smoking: pd.DataFrame, oracle: Oracle) -> None:
        """Block design with one treated unit; published standard error 17.7, from placebos drawn at random: 10 %."""
        told = oracle("synth_prop99_did")
        varying = first(effects.did(smoking, outcome="PacksPerCapita", time="Year", treated="treated", unit="State"))
        constant = smoking.assign(here=(smoking["State"] == "California").astype(int))
        block = first(
            effects.did(constant, outcome="PacksPerCapita", time="Year", treated="here", unit="State", start=1989)
        )
        for row in (varying, block):
            assert row["estimate"] == pytest.approx(told["expected"]["did"], abs=1e-6)
            assert close(row["std_error"], told["published"]["se"], 0.1)
            assert "placebos" in row["method"]
            assert row["conf_high"] - row["estimate"] == pytest.approx(stats.t.isf(0.025, 37) * row["std_error"])


class TestAgainstOthers:
    @pytest.fixture
    def panel(self, rng: np.random.Generator) -> pd.DataFrame:
        frame = one_start(25, 30, 6, 3, rng, 0.4)
        return frame.assign(x=rng.standard_normal(len(frame)), kind=rng.choice(["a", "b", "c"], len(frame)))

    def test_clusters(self, panel: pd.DataFrame) -> None:
        """statsmodels with cov_type="cluster": G / (G - 1) (N - 1) / (N - K), and t with G - 1."""
        panel["post"] = (panel["time"] >= 3).astype(int)
        fit = smf.ols("y ~ treated * post + x + C(kind)", panel).fit(
            cov_type="cluster", cov_kwds={"groups": panel["unit"]}, use_t=True
        )
        row = first(
            effects.did(
                panel, outcome="y", time="time", treated="treated", unit="unit", start=3, covariates=["x", "kind"]
            )
        )
        low, high = fit.conf_int().loc["treated:post"]
        for name, expected in (
            ("estimate", fit.params["treated:post"]), ("std_error", fit.bse["treated:post"]),
            ("p_value", fit.pvalues["treated:post"]), ("conf_low", low), ("conf_high", high),
        ):  # fmt: skip
            assert close(row[name], expected), name

    def test_two_way_unbalanced(self, panel: pd.DataFrame, rng: np.random.Generator) -> None:
        """Least squares with a dummy for every unit and time."""
        kept = panel[rng.random(len(panel)) < 0.7]
        fit = smf.ols("y ~ on + x + C(unit) + C(time)", kept).fit(
            cov_type="cluster", cov_kwds={"groups": kept["unit"]}, use_t=True
        )
        row = first(effects.did(kept, outcome="y", time="time", treated="on", unit="unit", covariates=["x"]))
        assert close(row["estimate"], fit.params["on"])
        assert close(row["std_error"], fit.bse["on"], 1e-6)

    def test_the_four_means(self, panel: pd.DataFrame) -> None:
        found = effects.did(panel, outcome="y", time="time", treated="treated", unit="unit", start=3)
        expected = panel.groupby(["treated", panel["time"] >= 3])["y"].mean()
        told = found.iloc[1:].set_index(["level", "at"])["estimate"]
        for level, flag in (("treated", 1), ("untreated", 0)):
            for at, late in (("before", False), ("after", True)):
                assert close(told[level, at], expected[flag, late])
        change = {level: told[level, "after"] - told[level, "before"] for level in ("treated", "untreated")}
        assert close(first(found)["estimate"], change["treated"] - change["untreated"])
        assert (found["status"] == results.OK).all()

    @pytest.mark.parametrize(("treated", "untreated"), [(4, 4), (3, 9), (12, 30)])
    def test_few_clusters_are_welch(self, treated: int, untreated: int, rng: np.random.Generator) -> None:
        """CR2 on a balanced panel is Welch's test of the units' changes (Imbens and Kolesar 2016, section II.B).

        Their degrees of freedom are those of equal variances: (1/m + 1/n)^2 / (1 / (m^2 (m-1)) + 1 / (n^2 (n-1))).
        """
        frame = one_start(treated, untreated, 5, 2, rng)
        means = frame.groupby(["unit", frame["time"] >= 2])["y"].mean().unstack()
        change = means[True] - means[False]
        welch = stats.ttest_ind(change[:treated], change[treated:], equal_var=False)
        row = first(effects.did(frame, outcome="y", time="time", treated="treated", unit="unit", start=2))
        assert close(row["estimate"], change[:treated].mean() - change[treated:].mean())
        assert close(row["estimate"] / row["std_error"], welch.statistic)
        m, n = treated, untreated
        freedom = (1 / m + 1 / n) ** 2 / (1 / (m**2 * (m - 1)) + 1 / (n**2 * (n - 1)))
        assert close(row["p_value"], 2 * stats.t.sf(abs(welch.statistic), freedom))
        assert "wide" in row["note"]
        two_way = first(effects.did(frame, outcome="y", time="time", treated="on", unit="unit"))
        for name in ("estimate", "std_error", "p_value"):
            assert close(two_way[name], row[name], 1e-6), name

    def test_one_treated_cluster(self, rng: np.random.Generator) -> None:
        """Placebo j is n / (n - 1) times what unit j's change is away from the mean of the n untreated ones."""
        frame = one_start(1, 12, 6, 3, rng, 1.0)
        means = frame.groupby(["unit", frame["time"] >= 3])["y"].mean().unstack()
        change = (means[True] - means[False]).to_numpy()
        spread = 12 / 11 * (change[1:] - change[1:].mean())
        row = first(effects.did(frame, outcome="y", time="time", treated="treated", unit="unit", start=3))
        assert close(row["std_error"], np.sqrt(np.mean(spread**2)))
        assert close(row["estimate"], change[0] - change[1:].mean())


class TestProperties:
    @given(shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100), seed=st.integers(0, 50))
    def test_units_of_the_outcome_and_order_of_rows(self, shift: float, scale: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        frame = one_start(6, 8, 4, 2, rng)
        turned = frame.sample(frac=1, random_state=seed).assign(y=lambda t: shift + scale * t["y"])
        for flag, start in (("treated", 2), ("on", None)):
            plain, other = (
                first(effects.did(each, outcome="y", time="time", treated=flag, unit="unit", start=start))
                for each in (frame, turned)
            )
            for name in ("estimate", "std_error"):
                assert other[name] == pytest.approx(scale * plain[name], rel=1e-6, abs=1e-9 * (abs(shift) + scale))

    def test_an_effect_without_noise_is_found(self) -> None:
        frame = pd.DataFrame(
            {
                "g": np.repeat([0, 1], 6),
                "t": np.tile(["2026-01", "2026-02"], 6),
                "w": np.tile([-1.0, -1, 1, 1, 0, 0], 2),
            }
        )
        frame["y"] = frame["w"] + 3 * frame["g"] + (frame["t"] == "2026-02") * (1 + 2 * frame["g"])
        assert close(first(effects.did(frame, outcome="y", time="t", treated="g"))["estimate"], 2.0)


class TestDoor:
    FRAME = pd.DataFrame(
        {"y": np.arange(12.0), "t": np.tile([1, 2, 3], 4), "g": np.repeat([0, 0, 1, 1], 3), "u": np.repeat(range(4), 3)}
    )

    def did(self, frame: pd.DataFrame | None = None, **more: Any) -> pd.DataFrame:
        given = {"outcome": "y", "time": "t", "treated": "g"} | more
        return effects.did(self.FRAME if frame is None else frame, **given)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({}, "no start is given"),
            ({"outcome": "z"}, "no column 'z'"),
            ({"start": 2, "errors": "robust"}, "there are classical"),
            ({"start": 2, "errors": "cluster"}, "without a unit or a cluster"),
            ({"start": "2026-01"}, "start '2026-01' is a month and times are numbers"),
            ({"start": 2, "treated": "t"}, "neither 0 nor 1"),
            ({"start": 2, "confidence": 95}, "between 0 and 1"),
            ({"start": 2, "unit": "u", "cluster": "t"}, "several of 't'"),
        ],
    )
    def test_what_cannot_be_used(self, more: dict[str, Any], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            self.did(**more)

    def test_words_without_order_are_refused(self) -> None:
        with pytest.raises(UsageError, match="no order in time"):
            self.did(self.FRAME.assign(t=np.tile(["after", "before", "late"], 4)), start="after")

    @pytest.mark.parametrize("kind", ["Float64", "object", "string"])
    def test_kinds_of_columns(self, kind: str, rng: np.random.Generator) -> None:
        frame = one_start(5, 5, 2, 1, rng)
        other = frame.assign(y=frame["y"].astype(kind), treated=frame["treated"].astype("boolean"))
        plain, found = (effects.did(each, outcome="y", time="time", treated="treated") for each in (frame, other))
        pd.testing.assert_frame_equal(plain, found)

    def test_times_of_all_kinds_are_one(self, rng: np.random.Generator) -> None:
        frame = one_start(25, 25, 4, 2, rng)
        months = np.array(["2025-12", "2026-01", "2026-02", "2026-03"])
        kinds: dict[str, Any] = {
            "month": months, "day": pd.to_datetime(months), "text": np.array([f"{m}-01" for m in months]),
            "period": pd.PeriodIndex(months, freq="M"), "year": np.array([1999, 2003, 2004, 2010]),
            "category": pd.Categorical(months), "week": np.array(["2025-W51", "2025-W52", "2026-W01", "2026-W02"]),
        }  # fmt: skip
        expected = effects.did(frame, outcome="y", time="time", treated="treated", unit="unit", start=2)
        for name, values in kinds.items():
            other = frame.assign(when=pd.Series(values)[frame["time"]].to_numpy())
            start = {"period": months[2] + "-01", "category": months[2]}.get(name, values[2])
            found = effects.did(other, outcome="y", time="when", treated="treated", unit="unit", start=start)
            pd.testing.assert_frame_equal(found, expected)

    @pytest.mark.parametrize("kind", ["text", "period", "periods as objects", "first days", "last days"])
    def test_a_start_may_be_written_in_any_way(self, kind: str, rng: np.random.Generator) -> None:
        """Months are months however they come; a day within one means the next: nothing of it may lie before."""
        frame = one_start(25, 25, 4, 2, rng)
        months = pd.period_range("2025-12", periods=4, freq="M")
        when: Any = {
            "text": months.astype(str), "period": months, "periods as objects": months.astype(object),
            "first days": months.to_timestamp(), "last days": months.to_timestamp(how="end").normalize(),
        }[kind]  # fmt: skip
        other = frame.assign(when=pd.Series(when)[frame["time"]].array)
        names: dict[str, Any] = {"outcome": "y", "treated": "treated", "unit": "unit"}
        expected = effects.did(frame, time="time", start=2, **names)
        starts = ["2026-02", "2026-02-01", dt.date(2026, 2, 1), pd.Period("2026-02", "M"), pd.Timestamp("2026-02-01")]
        starts += [] if kind == "last days" else ["2026-01-15"]
        for start in starts:
            pd.testing.assert_frame_equal(effects.did(other, time="when", start=start, **names), expected)

    @pytest.mark.parametrize("freq", ["Q", "W-SUN"])
    def test_quarters_and_weeks_of_pandas(self, freq: str, rng: np.random.Generator) -> None:
        frame = one_start(25, 25, 4, 2, rng)
        when = pd.period_range("2026-01-05", periods=4, freq=freq)
        other = frame.assign(when=pd.Series(when)[frame["time"]].array)
        names: dict[str, Any] = {"outcome": "y", "treated": "treated", "unit": "unit"}
        expected = effects.did(frame, time="time", start=2, **names)
        for start in (when[2], when[2].start_time, {"Q": "2026-Q3", "W-SUN": "2026-W04"}[freq]):
            pd.testing.assert_frame_equal(effects.did(other, time="when", start=start, **names), expected)

    @pytest.mark.parametrize("kind", ["object", "string", "category", "category of numbers"])
    def test_labels_that_look_like_numbers_are_levels(self, kind: str, rng: np.random.Generator) -> None:
        frame = one_start(30, 30, 4, 2, rng).assign(x=lambda t: rng.integers(0, 4, len(t)))
        frame["y"] += np.array([0.0, 3.0, 1.0, 2.0])[frame["x"]]
        text = frame["x"].astype(str)
        given = {
            "object": text.astype(object), "string": text.astype("string"), "category": text.astype("category"),
            "category of numbers": frame["x"].astype("category"),
        }[kind]  # fmt: skip
        names: dict[str, Any] = {"outcome": "y", "time": "time", "treated": "treated", "start": 2}
        letters = frame.assign(x=frame["x"].map(dict(enumerate("abcd"))))
        expected = effects.did(letters, covariates=["x"], **names)
        found = effects.did(frame.assign(x=given), covariates=["x"], **names)
        pd.testing.assert_frame_equal(found, expected)
        straight = effects.did(frame, covariates=["x"], **names)
        assert first(straight)["estimate"] != pytest.approx(first(expected)["estimate"], rel=1e-3)

    def test_missing_values_are_left_out_and_counted(self, rng: np.random.Generator) -> None:
        frame = one_start(25, 25, 2, 1, rng)
        holes = pd.concat([frame, frame.iloc[:3].assign(y=np.nan), frame.iloc[:2].assign(unit=None)])
        found = effects.did(holes, outcome="y", time="time", treated="treated", unit="unit")
        assert close(
            first(found)["estimate"], first(effects.did(frame, outcome="y", time="time", treated="treated"))["estimate"]
        )
        assert "5 rows" in first(found)["note"]

    @pytest.mark.parametrize("chosen", ["t < 2", "g == 1", "t > 5"])
    def test_an_empty_corner_is_undefined(self, chosen: str) -> None:
        row = first(self.did(self.FRAME.query(chosen), start=2))
        assert row["status"] in (results.UNDEFINED, results.TOO_FEW)
        assert row["note"]
        assert np.isnan(row["estimate"])

    def test_no_rows_are_too_few_in_all_designs(self) -> None:
        """A filter that leaves nothing gives a row that says so, whichever design it is given to."""
        none = pd.DataFrame({"y": [], "t": [], "g": [], "u": [], "s": []}, dtype=float)
        names: dict[str, Any] = {"outcome": "y", "time": "t"}
        flagged, begun = {"treated": "g", "start": 3}, {"first_treated": "s"}
        for found in (
            effects.did(none, **names, **flagged), effects.event_study(none, **names, **flagged),
            effects.event_study(none, **names, **begun), effects.placebos(none, **names, **begun),
            effects.before_after(none, **names, **flagged), effects.interrupted_series(none, **names, start=3),
            effects.aggregate(effects.group_time_att(none, **names, **begun, unit="u"), "group"),
            effects.synthetic_control(none, **names, **flagged, unit="u"),
            effects.counterfactual(none.set_index("t"), outcome="y", controls=["g"], start=3),
            effects.weighting(none, outcome="y", treated="g", covariates=["s"]),
        ):  # fmt: skip
            assert set(found["status"]) == {results.TOO_FEW}
            assert found["note"].all()

    def test_too_few_clusters(self) -> None:
        frame = one_start(1, 2, 4, 2, np.random.default_rng(1))
        for flag, start in (("treated", 2), ("on", None)):
            row = first(effects.did(frame, outcome="y", time="time", treated=flag, unit="unit", start=start))
            assert row["status"] == results.TOO_FEW
            assert "1 treated and 2 untreated" in row["note"]


class TestBeforeAfter:
    def test_the_difference_of_means(self, rng: np.random.Generator) -> None:
        frame = one_start(25, 30, 6, 3, rng, 0.4)
        mine = frame[frame["treated"] == 1].assign(post=lambda t: (t["time"] >= 3).astype(int))
        fit = smf.ols("y ~ post", mine).fit(cov_type="cluster", cov_kwds={"groups": mine["unit"]}, use_t=True)
        found = effects.before_after(frame, outcome="y", time="time", treated="treated", start=3, cluster="unit")
        assert close(first(found)["estimate"], fit.params["post"])
        assert close(first(found)["std_error"], fit.bse["post"])
        assert close(found["estimate"].iloc[2] - found["estimate"].iloc[1], fit.params["post"])
        assert "trends" in first(found)["note"]

    def test_each_has_a_start_of_its_own(self) -> None:
        frame = pd.DataFrame(
            {"t": np.tile([1, 2, 3], 3), "s": np.repeat([2.0, 3.0, np.nan], 3), "y": [1, 5, 6, 2, 1, 9, 70, 80, 90]}
        )
        found = effects.before_after(frame, outcome="y", time="t", first_treated="s")
        assert close(first(found)["estimate"], (5 + 6 + 9) / 3 - (1 + 2 + 1) / 3)
        assert first(found)["n"] == 6

    def test_nobody_after(self) -> None:
        frame = pd.DataFrame({"t": [1, 2], "y": [1.0, 2.0]})
        row = first(effects.before_after(frame, outcome="y", time="t", start=3))
        assert row["status"] == results.UNDEFINED
        with pytest.raises(UsageError, match="either start or first_treated"):
            effects.before_after(frame, outcome="y", time="t")


@pytest.mark.simulation
class TestCoverage:
    """Bertrand, Duflo and Mullainathan (2004, QJE 119:249): errors that hang together within units."""

    @staticmethod
    def share(treated: int, untreated: int, times: int, flag: str, errors: str | None) -> float:
        held = 0
        for seed in range(times):
            frame = one_start(treated, untreated, 12, 6, np.random.default_rng(seed), 0.5)
            start = 6 if flag == "treated" else None
            row = first(
                effects.did(frame, outcome="y", time="time", treated=flag, unit="unit", start=start, errors=errors)
            )
            held += row["conf_low"] <= 0.5 <= row["conf_high"]
        return held / times

    @pytest.mark.parametrize(("treated", "untreated"), [(20, 20), (4, 4), (3, 5)])
    def test_by_cluster(self, treated: int, untreated: int, replicates: Callable[[int, int], int]) -> None:
        times = replicates(60, 1_000)
        low = 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)
        assert self.share(treated, untreated, times, "treated", None) >= low
        assert self.share(treated, untreated, times, "on", None) >= low

    def test_one_treated(self, replicates: Callable[[int, int], int]) -> None:
        times = replicates(40, 500)
        assert self.share(1, 19, times, "treated", None) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)

    def test_naive_errors_are_too_sure(self, replicates: Callable[[int, int], int]) -> None:
        """With effects of units out and errors taken as independent: 72 % of 1,000 (panels of 20 and 20)."""
        assert self.share(20, 20, replicates(100, 1_000), "on", "classical") < 0.88
