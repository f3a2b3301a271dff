"""Say and do: against SciPy, statsmodels, Newcombe's example, and the demo's planted directions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from said_frames import answers, planted
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.errors import UsageError
from cxlib.measure.verdicts import judge

EXACT = 1e-9  # the same formula in other software: rounding only


def alone(said: list[str], **outcomes: list[float]) -> pd.DataFrame:
    """Return answers of a customer each."""
    return pd.DataFrame({"customer_id": np.arange(len(said)), "said": said, **outcomes})


def cell(frame: pd.DataFrame, metric: str, level: str, comparison: str = "level") -> pd.Series:
    mine = frame[(frame["metric"] == metric) & (frame["level"] == level) & (frame["comparison"] == comparison)]
    assert len(mine) == 1
    return mine.iloc[0]


class TestSayAndDo:
    def test_shares_as_newcombe_s_example(self, oracle: Callable[[str], dict]) -> None:
        """Newcombe (1998), table II (a): 56 of 70 against 48 of 80; limits of each share by statsmodels' Wilson."""
        said = ["detractor"] * 70 + ["promoter"] * 80
        did = [1] * 56 + [0] * 14 + [1] * 48 + [0] * 32
        found = loyalty.say_and_do(alone(said, churned=did), outcomes=["churned"], groups=("promoter", "detractor"))
        apart, expected = cell(found, "churned", "detractor", "difference"), oracle("prop_diff_newcombe_56_70_48_80")
        assert apart["estimate"] == pytest.approx(0.2)
        assert apart["conf_low"] == pytest.approx(expected["expected"]["ci.1"], abs=5e-5)
        assert apart["conf_high"] == pytest.approx(expected["expected"]["ci.2"], abs=5e-5)
        low, high = proportion_confint(48, 80, method="wilson")
        own = cell(found, "churned", "promoter")
        assert (own["conf_low"], own["conf_high"], own["n"]) == (pytest.approx(low), pytest.approx(high), 80)

    def test_amounts_as_welch_s_t(self, rng: np.random.Generator) -> None:
        one, other = rng.gamma(2, 20, 40), rng.gamma(2, 30, 55)
        frame = alone(["promoter"] * 40 + ["detractor"] * 55, spend=[*one, *other])
        found = loyalty.say_and_do(frame, outcomes=["spend"], groups=("promoter", "detractor"))
        apart, expected = cell(found, "spend", "detractor", "difference"), stats.ttest_ind(other, one, equal_var=False)
        limits = expected.confidence_interval()
        assert apart["p_value"] == pytest.approx(expected.pvalue, rel=EXACT)
        assert (apart["conf_low"], apart["conf_high"]) == (pytest.approx(limits.low), pytest.approx(limits.high))

    def test_customers_who_said_both(self, rng: np.random.Generator) -> None:
        """Against least squares with clustered errors, whose small-sample factor counts customers of both groups."""
        frame = answers(rng)
        frame = frame[frame["said"] != "passive"]
        found = loyalty.say_and_do(frame, outcomes=["spend"], groups=("promoter", "detractor"))
        design = sm.add_constant((frame["said"] == "detractor").astype(float))
        codes = pd.factorize(frame["customer_id"])[0]
        fit = sm.OLS(frame["spend"], design).fit(cov_type="cluster", cov_kwds={"groups": codes})
        apart = cell(found, "spend", "detractor", "difference")
        assert apart["estimate"] == pytest.approx(fit.params.iloc[1], rel=EXACT)
        assert apart["std_error"] == pytest.approx(fit.bse.iloc[1], rel=0.01)
        assert "cluster-robust" in apart["method"]

    def test_what_the_demo_plants(self) -> None:
        """Who was more satisfied left less, spent more and referred more (docs/demo.md, 1 and 2)."""
        found = loyalty.say_and_do(planted(10_000), window="90 days", kinds={"referrals": "mean"})
        signs = {"churned": 1, "spend": -1, "referrals": -1}
        for name, sign in signs.items():
            apart = cell(found, name, "detractor", "difference")
            assert apart["p_value"] < 0.01, name
            assert np.sign(apart["estimate"]) == sign, name
        assert set(found["at"]) == {"90 days"}
        assert set(judge(found, [])["verdict"]) <= {"", "moved", "not shown"}

    def test_windows_that_are_not_over_do_not_count(self) -> None:
        said = ["promoter"] * 3 + ["passive"] * 3 + ["detractor"] * 3
        did = [1.0, 0.0, None, 1.0, 0.0, 0.0, 1.0, 1.0, None]
        found = loyalty.say_and_do(alone(said, churned=did), outcomes=["churned"])
        assert cell(found, "churned", "promoter")["estimate"] == 0.5
        assert cell(found, "churned", "detractor")["n"] == 2
        assert "2 of 9 answers left out" in cell(found, "churned", "promoter")["note"]

    def test_the_rows_of_an_nps_are_named(self) -> None:
        frame = alone([100.0, 0.0, -100.0], churned=[0, 0, 1]).astype({"said": "Float64"})
        found = loyalty.say_and_do(frame, outcomes=["churned"])
        assert cell(found, "churned", "detractor")["estimate"] == 1
        with pytest.raises(UsageError, match="50"):
            loyalty.say_and_do(frame.assign(said=[100.0, 50.0, -100.0]), outcomes=["churned"])

    def test_few_people_are_hidden_not_few_answers(self) -> None:
        frame = alone(["promoter"] * 12 + ["detractor"] * 12, churned=[0, 1] * 12)
        frame["customer_id"] = frame["customer_id"].clip(upper=12)
        found = loyalty.say_and_do(frame, outcomes=["churned"], groups=("promoter", "detractor"), min_n=10)
        hidden = found[found["level"] == "detractor"]
        assert set(hidden["status"]) == {"suppressed"}
        assert hidden["n"].isna().all()
        assert cell(found, "churned", "promoter")["status"] == "ok"

    def test_a_group_that_nobody_is_in(self) -> None:
        found = loyalty.say_and_do(alone(["promoter"] * 5, churned=[0, 1, 0, 1, 0]), outcomes=["churned"])
        assert cell(found, "churned", "detractor")["status"] == "undefined"
        assert cell(found, "churned", "detractor", "difference")["status"] == "undefined"

    def test_columns_of_any_kind_in_any_order(self, rng: np.random.Generator) -> None:
        frame = answers(rng, 60)
        other = frame.sample(frac=1, random_state=3).assign(
            spend=lambda t: [Decimal(repr(value)) for value in t["spend"]],
            churned=lambda t: t["churned"].astype("boolean"),
            said=lambda t: t["said"].astype("string[pyarrow]"),
        )
        first, second = loyalty.say_and_do(frame), loyalty.say_and_do(other)
        pd.testing.assert_frame_equal(first, second, check_exact=False, rtol=1e-12)

    def test_all_that_is_wrong_is_told(self) -> None:
        frame = alone(["promoter", "critic"], spend=["much", "more"])
        with pytest.raises(UsageError, match="the frame: no column 'churned'"):
            loyalty.say_and_do(frame)
        with pytest.raises(UsageError, match="spend is no number in 2 rows, the first 'much'"):
            loyalty.say_and_do(frame, outcomes=["spend"])
        with pytest.raises(UsageError, match="critic"):
            loyalty.say_and_do(frame.assign(spend=1), outcomes=["spend"])
        with pytest.raises(UsageError, match="'sum' of spend"):
            loyalty.say_and_do(frame.assign(spend=1, said="promoter"), outcomes=["spend"], kinds={"spend": "sum"})
        with pytest.raises(UsageError, match="churned is neither 0 nor 1 in 2 rows, the first 2"):
            loyalty.say_and_do(
                alone(["promoter"] * 5, churned=[0, 2, 1, 2, 0]), outcomes=["churned"], kinds={"churned": "share"}
            )

    @pytest.mark.simulation
    def test_coverage_with_customers_who_answer_often(
        self, rng: np.random.Generator, replicates: Callable[[int, int], int]
    ) -> None:
        """95 % intervals of the difference hold the truth, though half of the customers say both things."""
        times = replicates(60, 4_000)
        held = np.zeros(2)
        for _ in range(times):
            who = np.repeat(np.arange(150), 4)
            own = np.repeat(rng.normal(size=150), 4)
            low = rng.random(who.size) < 0.5
            frame = pd.DataFrame({
                "customer_id": who, "said": np.where(low, "detractor", "promoter"),
                "spend": 50 + 10 * own - 2 * low + rng.normal(0, 5, who.size),
                "churned": rng.random(who.size) < 0.2 + 0.1 * np.sign(own) + 0.1 * low,
            })  # fmt: skip
            found = loyalty.say_and_do(frame, outcomes=["spend", "churned"], groups=("promoter", "detractor"))
            apart = found[found["comparison"] == "difference"].set_index("metric")
            truth = pd.Series({"spend": -2.0, "churned": 0.1})
            held += ((apart["conf_low"] <= truth) & (apart["conf_high"] >= truth))[["spend", "churned"]].to_numpy()
        noise = 3 * np.sqrt(0.05 * 0.95 / times)
        assert (held / times >= 0.95 - noise).all()
        assert (held / times <= 0.95 + noise + 0.02).all()  # Newcombe's interval is a little wide


class TestCalibration:
    def test_the_slope_as_least_squares_with_clusters(self, rng: np.random.Generator) -> None:
        frame = answers(rng).assign(referred=lambda t: (t["referrals"] > 0).astype(float))
        found = loyalty.calibration(frame)
        fit = sm.OLS(frame["referred"], sm.add_constant(frame["score"])).fit(
            cov_type="cluster", cov_kwds={"groups": pd.factorize(frame["customer_id"])[0]}, use_t=True
        )
        row = found[found["level"] == "each point more"].iloc[0]
        assert row["estimate"] == pytest.approx(fit.params.iloc[1], rel=EXACT)
        assert row["std_error"] == pytest.approx(fit.bse.iloc[1], rel=EXACT)
        assert row["p_value"] == pytest.approx(fit.pvalues.iloc[1], rel=1e-6)

    def test_what_was_said_against_what_was_done_by_hand(self) -> None:
        frame = alone(["x"] * 8, score=[10] * 4 + [5] * 4, referred=[1, 1, 0, 0, 1, 0, 0, 0])
        found = loyalty.calibration(frame).set_index(["level", "comparison"])
        assert found.loc[("10", "level"), "estimate"] == 0.5
        assert found.loc[("10", "difference"), "estimate"] == -0.5
        assert found.loc[("5", "difference"), "estimate"] == -0.25
        assert found.loc[("each point more", "difference"), "estimate"] == pytest.approx(0.05)

    def test_what_cannot_be_told(self) -> None:
        same = loyalty.calibration(alone(["x"] * 4, score=[7] * 4, referred=[0, 1, 0, 1]))
        assert same[same["level"] == "each point more"]["note"].tolist() == ["all said the same"]
        never = loyalty.calibration(alone(["x"] * 4, score=[7, 8, 7, 8], referred=[0] * 4))
        assert never[never["level"] == "each point more"]["status"].tolist() == ["undefined"]
        for scores in ([1, 3, 7], [0, 0.1, 0.3]):
            line = alone(["x"] * 60, score=[scores[0], scores[2], scores[0]] * 20, referred=[0, 1, 0] * 20)
            row = loyalty.calibration(line).query("level == 'each point more'").iloc[0]
            assert (row["status"], row["note"]) == ("undefined", "no scatter about the line: no interval")
        with pytest.raises(UsageError, match="1 scores are outside 0 to 10"):
            loyalty.calibration(alone(["x"] * 2, score=[11, 3], referred=[0, 1]))
        with pytest.raises(UsageError, match="neither 0 nor 1"):
            loyalty.calibration(alone(["x"] * 2, score=[1, 3], referred=[0, 2]))

    @given(st.lists(st.tuples(st.integers(0, 10), st.booleans(), st.integers(0, 5)), min_size=1, max_size=40))
    def test_any_answers_in_any_order(self, rows: list[tuple[int, bool, int]]) -> None:
        frame = pd.DataFrame(rows, columns=["score", "referred", "customer_id"])
        found = loyalty.calibration(frame)
        pd.testing.assert_frame_equal(found, loyalty.calibration(frame[::-1]), check_exact=False, rtol=1e-9)
        levels = found[(found["comparison"] == "level") & (found["status"] == results.OK)]
        assert ((levels["conf_low"] <= levels["estimate"]) & (levels["estimate"] <= levels["conf_high"])).all()
        assert levels["n"].sum() == len(frame)
