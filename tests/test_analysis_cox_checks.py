"""Proportional hazards and concordance: against R's `cox.zph` and `concordance`, and by counting pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.errors import UsageError


@pytest.fixture(scope="module")
def lung(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_data("survival_share") / "lung.csv").assign(dead=lambda t: t["status"] == 2)


@pytest.fixture(scope="module")
def fit(lung: pd.DataFrame) -> loyalty.CoxFit:
    return loyalty.cox(lung, "time", "dead", ["age", "sex", "ph.ecog"])


class TestProportionalHazards:
    def test_like_r(self, fit: loyalty.CoxFit, oracle: Callable[[str], dict]) -> None:
        expected = oracle("survival_lung_cox")["expected"]["R_coxph_lung"]
        found = loyalty.proportional_hazards(fit).set_index("level")
        assert found.index.to_list() == ["age", "sex", "ph.ecog", "all"]
        assert set(found["comparison"]) == {"test"}
        for level in ("age", "sex", "ph.ecog", "all"):
            name = "GLOBAL" if level == "all" else level
            assert found.loc[level, "p_value"] == pytest.approx(expected[f"zph_p.{name}"], rel=1e-6)

    def test_an_early_effect_is_seen(self, rng: np.random.Generator) -> None:
        """A hazard three times as high that stops at time 1 falls with time, whatever the transform."""
        x = rng.integers(0, 2, 1_500)
        early = rng.exponential(1 / np.where(x, 1.5, 0.5))
        time = np.where(early < 1, early, 1 + rng.exponential(2, 1_500))
        frame = pd.DataFrame({"x": x, "z": rng.normal(size=1_500), "t": time, "e": True})
        cox = loyalty.cox(frame, "t", "e", ["x", "z"])
        for transform in ("km", "rank", "log", "identity"):
            row = loyalty.proportional_hazards(cox, transform=transform).set_index("level").loc["x"]
            assert row["p_value"] < 1e-6
            assert row["note"] == "the ratio falls as time passes"
            assert f"{transform} time, 1 degree of freedom" in row["method"]

    def test_all_levels_of_a_covariate_are_one_test(self, lung: pd.DataFrame) -> None:
        cox = loyalty.cox(lung.assign(ecog=lung["ph.ecog"].astype(str)), "time", "dead", ["ecog", "age"])
        found = loyalty.proportional_hazards(cox).set_index("level")
        assert found.index.to_list() == ["ecog", "age", "all"]
        assert (
            "3 degrees of freedom" in found.loc["ecog", "method"]
        )  # 0, 1, 2, 3 and text "nan": four against the first
        assert found.loc["all", "estimate"] >= found.loc["ecog", "estimate"]

    def test_what_has_no_coefficient(self, lung: pd.DataFrame) -> None:
        cox = loyalty.cox(lung.assign(same=1), "time", "dead", ["age", "same"])
        found = loyalty.proportional_hazards(cox).set_index("level")
        assert found["status"].to_dict() == {"age": "ok", "same": "undefined", "all": "ok"}
        nobody = loyalty.cox(lung.assign(dead=False), "time", "dead", ["age"])
        assert set(loyalty.proportional_hazards(nobody)["status"]) == {results.UNDEFINED}
        once = loyalty.cox(pd.DataFrame({"t": [1, 1, 2], "e": [1, 1, 0], "x": [0.0, 3.0, 1.0]}), "t", "e", ["x"])
        assert loyalty.proportional_hazards(once)["note"].iloc[0] == "all who left did so at one time"
        with pytest.raises(UsageError, match="'sqrt' is no transform of time"):
            loyalty.proportional_hazards(once, transform="sqrt")

    @pytest.mark.simulation
    def test_the_error_rate(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Of truly constant ratios 5 in 100 are called moving at 5 %; whole times, strata, late entries."""
        times, wrong = replicates(150, 4_000), 0
        for _ in range(times):
            x, entry = rng.normal(size=200), rng.integers(0, 3, 200)
            time = entry + np.ceil(rng.exponential(8 / 1.5**x))
            frame = pd.DataFrame({"x": x, "s": rng.integers(0, 2, 200), "b": entry, "t": time, "e": time < 20})
            cox = loyalty.cox(frame, "t", "e", ["x"], entry="b", strata="s")
            wrong += loyalty.proportional_hazards(cox)["p_value"].iloc[0] < 0.05
        assert wrong / times == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / times))


class TestConcordance:
    @pytest.mark.parametrize(("ties", "key"), [("efron", "R_coxph_lung"), ("breslow", "R_coxph_lung_breslow")])
    def test_like_r(self, ties: str, key: str, lung: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        """R also prints the standard error, 0.025 (summary.coxph of the same fit)."""
        expected = oracle("survival_lung_cox")["expected"][key]["concordance"]
        cox = loyalty.cox(lung, "time", "dead", ["age", "sex", "ph.ecog"], ties=ties)
        row = loyalty.concordance(cox).iloc[0]
        assert row["estimate"] == pytest.approx(expected, abs=1e-9)
        assert row["std_error"] == pytest.approx(0.025, abs=5e-4)

    def test_rossi(self, shared_data: Callable[[str], Path], oracle: Callable[[str], dict]) -> None:
        """R: Concordance = 0.64 (se = 0.027), Fox and Weisberg (2019), appendix "Cox regression", 3."""
        frame = pd.read_csv(shared_data("survival_share") / "rossi.csv")
        cox = loyalty.cox(frame, "week", "arrest", ["fin", "age", "race", "wexp", "mar", "paro", "prio"])
        row = loyalty.concordance(cox).iloc[0]
        expected = oracle("survival_rossi_cox")["expected"]["R_coxph_rossi"]["concordance"]
        assert row["estimate"] == pytest.approx(expected, abs=1e-9)
        assert row["std_error"] == pytest.approx(0.027, abs=5e-4)

    @given(st.integers(0, 10_000))
    def test_by_counting_pairs(self, seed: int) -> None:
        """Late entries, strata, tied times and tied hazards; who is censored at a time outlives who leaves then."""
        rng = np.random.default_rng(seed)
        size = int(rng.integers(5, 40))
        frame = pd.DataFrame(
            {"x": rng.integers(0, 4, size), "b": rng.integers(0, 3, size), "s": rng.integers(0, 2, size)}
        )
        frame["t"], frame["e"] = frame["b"] + rng.integers(1, 6, size), rng.random(size) < 0.6
        cox = loyalty.cox(frame, "t", "e", ["x"], entry="b", strata="s")
        sign = np.sign(cox.solved.beta).sum()  # also of a ratio without end; 0 where x is the same for all
        right, pairs, each = 0.0, 0, []
        for one in frame.itertuples():
            for other in frame.itertuples():
                still = other.t > one.t or (other.t == one.t and not other.e)
                if one.e and one.s == other.s and one.Index != other.Index and other.b < one.t and still:
                    score = 0.5 + 0.5 * np.sign(one.x - other.x) * sign
                    right, pairs = right + score, pairs + 1
                    each.append((one.Index, other.Index, score))
        row = loyalty.concordance(cox).iloc[0]
        if not pairs:
            assert row["status"] == "undefined"
            return
        value = right / pairs
        assert row["estimate"] == pytest.approx(value, abs=1e-12)
        pull = np.zeros(size)
        for first, second, score in each:
            pull[[first, second]] += (score - value) / pairs
        assert row["std_error"] == pytest.approx(np.sqrt((pull**2).sum()), abs=1e-12)

    def test_no_pairs(self) -> None:
        cox = loyalty.cox(pd.DataFrame({"t": [1, 1], "e": [1, 1], "x": [0.0, 1.0]}), "t", "e", ["x"])
        assert loyalty.concordance(cox)["status"].iloc[0] == "undefined"
