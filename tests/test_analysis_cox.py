"""Hazard ratios: against R, statsmodels, a plain reference of Efron's likelihood, and the demo's planted truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from statsmodels.duration.hazard_regression import PHReg

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.data import demo
from cxlib.data.demo import calendar
from cxlib.data.demo.truths import PLANS
from cxlib.errors import UsageError

REL = 1e-4  # the tolerance of the R oracles for coefficients


@pytest.fixture(scope="module")
def lung(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_data("survival_share") / "lung.csv").assign(dead=lambda t: t["status"] == 2)


def by_name(fit: loyalty.CoxFit) -> pd.DataFrame:
    error = np.sqrt(np.diagonal(fit.covariance))
    return pd.DataFrame({"coef": fit.coefficients, "se": error}, index=[column.name for column in fit.columns])


def like_r(fit: loyalty.CoxFit, expected: dict[str, float]) -> None:
    table = by_name(fit)
    for name, row in table.iterrows():
        assert row["coef"] == pytest.approx(expected[f"coef.{name}"], rel=REL)
        assert row["se"] == pytest.approx(expected[f"se.{name}"], rel=REL)
    assert fit.log_likelihood == pytest.approx(expected["loglik"], rel=1e-9)
    assert fit.log_likelihood_null == pytest.approx(expected["loglik_null"], rel=1e-9)
    assert (fit.n, fit.events) == (expected["n"], expected["nevent"])
    rows = fit.ratios().set_index("level")
    for name in table.index:
        assert rows.loc[name, "estimate"] == pytest.approx(expected[f"HR.{name}"], rel=REL)


class TestLikeR:
    @pytest.mark.parametrize(("ties", "key"), [("efron", "R_coxph_lung"), ("breslow", "R_coxph_lung_breslow")])
    def test_lung(self, ties: str, key: str, lung: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        expected = oracle("survival_lung_cox")["expected"][key]
        like_r(loyalty.cox(lung, "time", "dead", ["age", "sex", "ph.ecog"], ties=ties), expected)

    def test_rossi(self, shared_data: Callable[[str], Path], oracle: Callable[[str], dict]) -> None:
        frame = pd.read_csv(shared_data("survival_share") / "rossi.csv")
        names = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
        like_r(loyalty.cox(frame, "week", "arrest", names), oracle("survival_rossi_cox")["expected"]["R_coxph_rossi"])

    def test_the_rows(self, lung: pd.DataFrame) -> None:
        """R: exp(coef) .5754, 95 % .4142 to .7994, p .00099 for sex (summary.coxph); one row lacks ph.ecog."""
        found = loyalty.hazard_ratios(lung, "time", "dead", ["age", "sex", "ph.ecog"])
        assert found["level"].to_list() == ["age", "sex", "ph.ecog"]
        row = found.iloc[1]
        assert (row["estimate"], row["conf_low"], row["conf_high"]) == pytest.approx((0.5754, 0.4142, 0.7994), abs=5e-5)
        assert row["p_value"] == pytest.approx(0.000986, abs=5e-7)
        assert (row["metric"], row["segment"], row["n"], row["n_eff"]) == ("hazard_ratio", "covariate", 227, 164)
        assert row["note"] == "1 row of 228 lacking a value (ph.ecog 1) left out"
        assert "std_error of the logarithm" in row["method"]


def months(rng: np.random.Generator, people: int = 60) -> pd.DataFrame:
    """Return stretches of several customers, whole times with many ties; stretches meet at times of events."""
    rows = []
    for who in range(people):
        end = int(rng.integers(1, 9))
        for start in range(end):
            leaves = start == end - 1 and rng.random() < 0.6
            rows.append((who, start, start + 1, leaves, rng.normal(), rng.integers(0, 2), who % 3))
    return pd.DataFrame(rows, columns=["who", "entry", "end", "left", "mood", "late", "plan"])


def efron(beta: np.ndarray, frame: pd.DataFrame, x: np.ndarray, weight: np.ndarray) -> float:
    """Return Efron's partial likelihood written out (Therneau and Grambsch 2000, 3.3), weighted as R does."""
    total, eta = 0.0, x @ beta
    for time in sorted(set(frame.loc[frame["left"], "end"])):
        risk = ((frame["entry"] < time) & (frame["end"] >= time)).to_numpy()
        died = (frame["left"] & (frame["end"] == time)).to_numpy()
        total += (weight * eta)[died].sum()
        risks, deaths = (weight * np.exp(eta))[risk].sum(), (weight * np.exp(eta))[died].sum()
        for step in range(died.sum()):
            total -= weight[died].mean() * np.log(risks - step / died.sum() * deaths)
    return total


class TestAgainstPlainReferences:
    def test_late_entry_with_ties(self, rng: np.random.Generator) -> None:
        frame = months(rng)
        x = frame[["mood", "late"]].to_numpy(dtype=float)
        fit = loyalty.cox(frame, "end", "left", ["mood", "late"], entry="entry")
        best = optimize.minimize(
            lambda beta: -efron(beta, frame, x, np.ones(len(frame))), np.zeros(2), method="BFGS", options={"gtol": 1e-8}
        )
        assert fit.coefficients == pytest.approx(best.x, abs=1e-6)
        assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-9)

    def test_statsmodels_takes_in_too_many(self, rng: np.random.Generator) -> None:
        """`PHReg` counts who enters at the time of an event as at risk at it; half a unit later it does as R does."""
        frame = months(rng)
        x = frame[["mood", "late"]].to_numpy(dtype=float)
        mine = loyalty.cox(frame, "end", "left", ["mood", "late"], entry="entry").coefficients
        fits = [
            PHReg(frame["end"], x, status=frame["left"], entry=frame["entry"] + later, ties="efron").fit().params
            for later in (0.0, 0.5)
        ]
        assert mine != pytest.approx(fits[0], abs=1e-3)
        assert mine == pytest.approx(fits[1], abs=1e-6)

    @pytest.mark.parametrize("ties", ["efron", "breslow"])
    def test_against_statsmodels_with_strata(self, ties: str, rng: np.random.Generator) -> None:
        frame = months(rng).groupby("who").tail(1)
        x = frame[["mood", "late"]].to_numpy(dtype=float)
        theirs = PHReg(frame["end"], x, status=frame["left"], strata=frame["plan"], ties=ties).fit()
        fit = loyalty.cox(frame, "end", "left", ["mood", "late"], strata="plan", ties=ties)
        assert fit.coefficients == pytest.approx(theirs.params, abs=1e-6)
        assert np.sqrt(np.diagonal(fit.covariance)) == pytest.approx(theirs.bse, rel=1e-6)
        assert fit.log_likelihood == pytest.approx(theirs.llf, abs=1e-8)

    def test_residuals_are_what_a_row_s_weight_does(self, rng: np.random.Generator) -> None:
        """Score residuals: the derivative of the gradient by the row's weight (Reid and Crepeau 1985), under ties."""
        frame = months(rng, 12)
        x = frame[["mood", "late"]].to_numpy(dtype=float)
        fit = loyalty.cox(frame, "end", "left", ["mood", "late"], entry="entry")
        scale = x.std(0)
        got = fit.risk.score_residuals(fit.solved.beta) * scale
        step = 1e-4

        def gradient(weight: np.ndarray) -> np.ndarray:
            ends = [efron(fit.coefficients + s * step * e, frame, x, weight) for e in np.eye(2) for s in (1, -1)]
            return np.array([(ends[0] - ends[1]), (ends[2] - ends[3])]) / (2 * step)

        for row in range(len(frame)):
            bump = np.zeros(len(frame))
            bump[row] = 1e-3
            slope = (gradient(1 + bump) - gradient(1 - bump)) / 2e-3
            assert got[row] == pytest.approx(slope, abs=1e-5)

    def test_cluster_robust_errors(self, rng: np.random.Generator) -> None:
        """Without ties Breslow is Efron, so statsmodels' own sandwich is a reference."""
        frame = pd.DataFrame({"x": rng.normal(size=80), "z": rng.normal(size=80), "who": rng.integers(0, 25, 80)})
        frame["time"], frame["left"] = rng.permutation(80) + 1.0, rng.random(80) < 0.6
        frame.loc[frame["time"] == 1, "left"] = True  # statsmodels has no residual for who was censored before
        theirs = PHReg(frame["time"], frame[["x", "z"]], status=frame["left"], ties="breslow").fit(groups=frame["who"])
        found = loyalty.hazard_ratios(frame, "time", "left", ["x", "z"], cluster="who")
        assert found["std_error"].to_numpy() == pytest.approx(theirs.bse, rel=1e-6)
        assert set(found["n"]) == {frame["who"].nunique()}
        assert found["method"].iloc[0] == "Cox, Efron ties, Wald, cluster-robust; std_error of the logarithm"

    def test_copies_of_customers_add_no_certainty(self, lung: pd.DataFrame) -> None:
        """Each customer four times over: robust errors by customer stay (Breslow: no tie is new)."""
        known = lung.dropna(subset=["ph.ecog"]).assign(who=lambda t: np.arange(len(t)))
        four = pd.concat([known] * 4)
        one = loyalty.cox(known, "time", "dead", ["age"], cluster="who", ties="breslow")
        many = loyalty.cox(four, "time", "dead", ["age"], cluster="who", ties="breslow")
        assert many.covariance == pytest.approx(one.covariance, rel=1e-6)
        assert many.n == one.n


class TestCovariates:
    def test_levels_against_the_first(self, shared_data: Callable[[str], Path]) -> None:
        frame = pd.read_csv(shared_data("telco_churn") / "WA_Fn-UseC_-Telco-Customer-Churn.csv")
        frame["gone"] = frame["Churn"] == "Yes"
        found = loyalty.hazard_ratios(frame, "tenure", "gone", ["Contract", "SeniorCitizen"])
        assert found["level"].to_list() == ["Contract: One year", "Contract: Two year", "SeniorCitizen"]
        assert found["against"].to_list() == ["Month-to-month", "Month-to-month", ""]
        dummies = frame.assign(one=frame["Contract"] == "One year", two=frame["Contract"] == "Two year")
        by_hand = loyalty.hazard_ratios(dummies, "tenure", "gone", ["one", "two", "SeniorCitizen"])
        pd.testing.assert_series_equal(found["estimate"], by_hand["estimate"])
        ordered = frame.assign(Contract=pd.Categorical(frame["Contract"], ["Two year", "One year", "Month-to-month"]))
        turned = loyalty.hazard_ratios(ordered, "tenure", "gone", ["Contract"])
        assert set(turned["against"]) == {"Two year"}

    def test_what_has_no_ratio_says_why(self, lung: pd.DataFrame) -> None:
        frame = lung.assign(twice=2 * lung["age"] + 1, same=1, fate=lung["dead"].astype(int), one="x")
        found = loyalty.hazard_ratios(frame, "time", "dead", ["age", "twice", "same", "fate", "one", "sex"])
        told = found.set_index("level")
        assert told["status"].to_dict() == {
            "age": "ok", "twice": "undefined", "same": "undefined", "fate": "undefined", "one": "undefined",
            "sex": "ok",
        }  # fmt: skip
        assert told.loc["twice", "note"] == "a combination of the covariates before it"
        assert told.loc["same", "note"] == told.loc["one", "note"] == "the same for everybody"
        assert told.loc["fate", "note"].startswith("no finite ratio")
        assert told.loc[["age", "sex"], ["estimate", "conf_low", "conf_high", "p_value"]].notna().all(axis=None)

    def test_what_only_strata_tell_apart_has_no_ratio(self, lung: pd.DataFrame) -> None:
        found = loyalty.hazard_ratios(lung.assign(again=lung["sex"]), "time", "dead", ["age", "again"], strata="sex")
        assert found["status"].to_list() == ["ok", "undefined"]
        assert found["note"].iloc[1].startswith("the same, beside the covariates before it, for all who were watched")
        alone = loyalty.hazard_ratios(lung, "time", "dead", ["age"], strata="sex")
        assert found["estimate"].iloc[0] == pytest.approx(alone["estimate"].iloc[0], rel=1e-9)

    def test_a_ratio_without_end_leaves_the_others_as_without_those_it_decides(self, lung: pd.DataFrame) -> None:
        """Nobody of level `never` leaves: the ratio is 0, and the rest is what a fit without these customers says."""
        frame = lung.assign(kind=np.where(lung["inst"].isin([1, 3]), "never", "other"))
        frame["dead"] = frame["dead"] & (frame["kind"] == "other")
        found = loyalty.hazard_ratios(frame, "time", "dead", ["age", "kind", "sex"]).set_index("level")
        turned = "kind: never"
        assert found.loc[turned, "note"].startswith("no finite ratio")
        rest = loyalty.hazard_ratios(frame[frame["kind"] == "other"], "time", "dead", ["age", "sex"]).set_index("level")
        for column in ("estimate", "std_error"):
            assert found.loc[["age", "sex"], column].to_numpy() == pytest.approx(rest[column].to_numpy(), rel=1e-4)

    def test_one_customer_has_no_robust_error(self) -> None:
        frame = pd.DataFrame({"t": [1, 2, 3, 4], "e": [1, 1, 0, 1], "x": [1.0, 3.0, 2.0, 1.0], "who": "a"})
        row = loyalty.hazard_ratios(frame, "t", "e", ["x"], cluster="who").iloc[0]
        assert (row["status"], row["note"]) == ("undefined", "too few customers for robust errors")
        two = loyalty.hazard_ratios(frame.assign(who=list("aabb")), "t", "e", ["x"], cluster="who").iloc[0]
        assert "2 customers: robust errors are too small with so few" in two["note"]

    def test_nobody_left(self, lung: pd.DataFrame) -> None:
        found = loyalty.hazard_ratios(lung.assign(dead=False), "time", "dead", ["age", "sex"])
        assert set(found["status"]) == {results.UNDEFINED}
        assert set(found["note"]) == {"nobody left: nothing tells what goes with leaving"}

    def test_few_events_are_told(self, lung: pd.DataFrame) -> None:
        found = loyalty.hazard_ratios(lung.head(12), "time", "dead", ["age", "sex"])
        assert "10 events for 2 coefficients: read with care" in found["note"].iloc[0]

    def test_small_levels_are_hidden(self) -> None:
        frame = pd.DataFrame({"t": range(1, 31), "e": True, "plan": ["a"] * 14 + ["b", "c"] * 8})
        status = loyalty.hazard_ratios(frame, "t", "e", ["plan"], min_n=10)["status"]
        assert status.to_list() == ["suppressed", "suppressed"]

    def test_numbers_as_exports_bring_them(self, lung: pd.DataFrame) -> None:
        expected = loyalty.hazard_ratios(lung, "time", "dead", ["age", "sex"])
        for kind in ("Int64", "int64[pyarrow]", object):
            typed = lung.astype({"age": kind, "time": kind}).assign(dead=lung["dead"].astype("boolean"))
            pd.testing.assert_frame_equal(loyalty.hazard_ratios(typed, "time", "dead", ["age", "sex"]), expected)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"covariates": []}, "name at least one covariate"),
            ({"covariates": ["age", "age"]}, "covariates named twice: age"),
            ({"covariates": ["agee"]}, r"no column 'agee' \(covariate 1\); did you mean 'age'"),
            ({"ties": "exact"}, "'exact' is no way with ties"),
            ({"entry": "start"}, r"no column 'start' \(entry\)"),
            ({"event": "status"}, "status is neither true nor false in 165 rows, the first 2"),
        ],
    )
    def test_what_cannot_be_used(self, more: dict[str, Any], words: str, lung: pd.DataFrame) -> None:
        given_ = {"duration": "time", "event": "dead", "covariates": ["age"], **more}
        with pytest.raises(UsageError, match=words):
            loyalty.hazard_ratios(lung, **given_)

    def test_no_rows(self, lung: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="no row has all the covariates"):
            loyalty.hazard_ratios(lung.iloc[:0], "time", "dead", ["age"])


@given(st.integers(0, 1_000), st.permutations(["mood", "late", "plan"]))
def test_order_of_rows_and_of_covariates_is_nothing(seed: int, names: list[str]) -> None:
    frame = months(np.random.default_rng(seed), 40).astype({"plan": str})
    one = loyalty.hazard_ratios(frame, "end", "left", ["mood", "late", "plan"], entry="entry", cluster="who")
    mixed = frame.sample(frac=1, random_state=seed)
    other = loyalty.hazard_ratios(mixed, "end", "left", names, entry="entry", cluster="who")
    pd.testing.assert_frame_equal(
        other.set_index("level").loc[one["level"]].reset_index()[one.columns], one, rtol=1e-6, atol=1e-9
    )


@given(st.integers(0, 10_000))
def test_whatever_comes_has_a_number_or_a_reason(seed: int) -> None:
    """Few rows, ties, times of 0, scales of 1e-8 and 1e8, strata of one: never a naked error, never NaN with ok."""
    rng = np.random.default_rng(seed)
    size = int(rng.integers(1, 20))
    frame = pd.DataFrame({
        "t": rng.integers(0, 6, size), "e": rng.random(size) < rng.random(), "s": rng.choice(["p", "q"], size),
        "x": rng.choice([0, 1, 1e8], size), "y": rng.normal(size=size) * 1e-8, "g": rng.choice(["a", "b", None], size),
        "w": rng.integers(0, 4, size),
    })  # fmt: skip
    frame["b"] = np.where(rng.random(size) < 0.5, 0, frame["t"] * rng.random(size))
    # Who left on the day of joining was there: such a row counts, like one that was watched for a while.
    if not (frame["g"].notna() & ((frame["b"] < frame["t"]) | (frame["t"] == 0))).any():
        with pytest.raises(UsageError, match="no row has all the covariates"):
            loyalty.cox(frame, "t", "e", ["x", "y", "g"], entry="b")
        return
    fit = loyalty.cox(frame, "t", "e", ["x", "y", "g"], entry="b", strata="s", cluster="w")
    found = results.concat([fit.ratios(), loyalty.proportional_hazards(fit), loyalty.concordance(fit)])
    known = found[found["status"] == "ok"]
    limits = known.loc[known["comparison"] == "level", ["estimate", "conf_low", "conf_high"]]
    assert not limits.isna().any(axis=None)
    assert ((limits["conf_low"] <= limits["estimate"]) & (limits["estimate"] <= limits["conf_high"])).all()
    assert (found.loc[found["status"] != "ok", "note"] != "").all()


def customer_months(customers: int, seed: int) -> pd.DataFrame:
    """Return the demo's customers month by month, with their latent satisfaction at its start, which no export has."""
    life = demo.simulate(customers, seed).life
    who, month = np.nonzero(life.end > life.begin)
    first = calendar.first_day(month)
    frame = pd.DataFrame({
        "who": who, "entry": first + life.begin[who, month], "end": first + life.end[who, month],
        "latent": life.before[who, month], "plan": np.array(PLANS)[life.plan[who, month]],
    })  # fmt: skip
    gone = pd.MultiIndex.from_arrays([life.spells["who"], life.spells["ended"]])
    frame["left"] = pd.MultiIndex.from_frame(frame[["who", "end"]]).isin(gone)
    origin = frame["entry"].min()
    return frame.assign(entry=frame["entry"] - origin, end=frame["end"] - origin)


class TestDemo:
    @pytest.mark.simulation
    def test_the_planted_hazard_ratio(self, replicates: Callable[[int, int], int]) -> None:
        """Each unit of latent satisfaction multiplies the hazard by .70; plans as planted: .019/.026 and .013/.026.

        99.9 % intervals, so that a true one misses once in a thousand; over all companies the mean is held closer.
        """
        times, logs = replicates(3, 60), []
        truth = {"latent": demo.TRUTHS.churn.hazard_ratio, "plan: Plus": 0.019 / 0.026, "plan: Pro": 0.013 / 0.026}
        assert truth["latent"] == 0.70
        for seed in range(times):
            frame = customer_months(3_000, seed)
            found = loyalty.hazard_ratios(
                frame, "end", "left", ["latent", "plan"], entry="entry", cluster="who", confidence=0.999
            ).set_index("level")
            for level, value in truth.items():
                assert found.loc[level, "conf_low"] <= value <= found.loc[level, "conf_high"]
            stratified = loyalty.hazard_ratios(
                frame, "end", "left", ["latent"], entry="entry", strata="plan", cluster="who", confidence=0.999
            ).iloc[0]
            assert stratified["conf_low"] <= 0.70 <= stratified["conf_high"]
            logs.append((np.log(found.loc["latent", "estimate"]), found.loc["latent", "std_error"]))
        mean, error = np.array(logs).mean(0)
        assert mean == pytest.approx(np.log(0.70), abs=3.5 * error / np.sqrt(times))

    def test_recent_answers_are_nearer_to_one(self) -> None:
        """What an export can show is latent satisfaction with noise: the ratio is attenuated, as docs/demo.md says."""
        frame = customer_months(3_000, 1)
        noisy = frame["latent"] + np.random.default_rng(5).normal(size=len(frame))
        found = loyalty.hazard_ratios(frame.assign(latent=noisy), "end", "left", ["latent", "plan"], entry="entry")
        assert 0.75 < found["estimate"].iloc[0] < 0.95


@pytest.mark.simulation
def test_coverage(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """95 % limits hold a true ratio of 2 in 95 of 100 samples of 200 customers in whole months, a third censored."""
    times, held = replicates(200, 5_000), 0
    for _ in range(times):
        x = rng.normal(size=200)
        left, seen = rng.exponential(5 / 2.0**x), rng.exponential(10, 200)
        frame = pd.DataFrame({"x": x, "t": np.ceil(np.minimum(left, seen)), "e": left <= seen})
        row = loyalty.hazard_ratios(frame, "t", "e", ["x"]).iloc[0]
        held += row["conf_low"] <= 2 <= row["conf_high"]
    assert held / times == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / times) + 0.01)


class TestBaseLevel:
    """Which level others are compared with, and how many customers a row stands on."""

    @staticmethod
    def frame(rng: np.random.Generator, sizes: dict[str, int]) -> pd.DataFrame:
        group = np.repeat(list(sizes), list(sizes.values()))
        return pd.DataFrame({"g": group, "d": rng.integers(1, 20, group.size).astype(float), "e": 1})

    def test_is_chosen_among_the_rows_that_are_used(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng, {"A": 500, "B": 200, "C": 300})
        frame.loc[frame["g"] == "A", "d"] = np.nan
        found = loyalty.hazard_ratios(frame, "d", "e", ["g"])
        alone = loyalty.hazard_ratios(frame[frame["g"] != "A"], "d", "e", ["g"])
        assert found["level"].to_list() == ["g: B"]
        assert found["against"].to_list() == ["C"]
        assert found["estimate"].to_list() == pytest.approx(alone["estimate"].to_list(), rel=1e-12)

    def test_is_the_commonest_of_texts_and_the_first_of_a_categorical(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng, {"A": 20, "B": 50, "C": 30})
        assert set(loyalty.hazard_ratios(frame, "d", "e", ["g"])["against"]) == {"B"}
        own = frame.assign(g=pd.Categorical(frame["g"], ["C", "B", "A"]))
        assert set(loyalty.hazard_ratios(own, "d", "e", ["g"])["against"]) == {"C"}

    def test_a_small_base_hides_what_is_compared_with_it(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng, {"A": 3, "B": 100, "C": 100})
        own = frame.assign(g=pd.Categorical(frame["g"]))
        assert set(loyalty.hazard_ratios(own, "d", "e", ["g"], min_n=10)["status"]) == {results.SUPPRESSED}

    def test_min_n_counts_customers_not_rows(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng, {"A": 388, "B": 12}).assign(who=[*range(388), *np.repeat([1000, 1001], 6)])
        found = loyalty.hazard_ratios(frame, "d", "e", ["g"], cluster="who", min_n=10)
        assert found["status"].to_list() == [results.SUPPRESSED]
        yes = frame.assign(b=(frame["g"] == "B").astype(float))
        assert set(loyalty.hazard_ratios(yes, "d", "e", ["b"], cluster="who", min_n=10)["status"]) == {"suppressed"}

    def test_a_covariate_of_ids_is_refused(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng, {str(name): 2 for name in range(51)})
        with pytest.raises(UsageError, match="51 levels, more than 50"):
            loyalty.cox(frame, "d", "e", ["g"])

    @pytest.mark.parametrize("name", ["d", "e"])
    def test_the_duration_and_the_event_are_no_covariates(self, rng: np.random.Generator, name: str) -> None:
        with pytest.raises(UsageError, match=f"'{name}' is both"):
            loyalty.cox(self.frame(rng, {"A": 20, "B": 20}), "d", "e", ["g", name])


def test_who_left_at_once_counts_with_entry_0() -> None:
    frame = pd.DataFrame(
        {"d": [0, 0, 0, 5, 6, 7, 8, 9.0], "e": [1, 1, 1, 1, 0, 1, 0, 1], "x": [1, 3, 2, 5, 1, 2, 2, 4]}
    )
    plain = loyalty.cox(frame, "d", "e", ["x"])
    late = loyalty.cox(frame.assign(start=0), "d", "e", ["x"], entry="start")
    assert late.n == 8
    assert late.coefficients == pytest.approx(plain.coefficients, rel=1e-9)
    assert loyalty.concordance(late)["estimate"].to_list() == pytest.approx(
        loyalty.concordance(plain)["estimate"].to_list()
    )
