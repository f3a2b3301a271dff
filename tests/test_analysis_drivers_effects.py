"""Effects in points: R's and statsmodels' ordered logit, derivatives by differences, and intervals that hold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from statsmodels.miscmodels.ordinal_model import OrderedModel

from cxlib.analysis import drivers
from cxlib.analysis.drivers.ordered import ordered_logit
from cxlib.errors import UsageError

CUTS, SLOPES = np.array([-1.5, -0.5, 0.4, 1.6]), np.array([0.8, 0.3, -0.5])


def answers(rng: np.random.Generator, n: int = 600) -> pd.DataFrame:
    """Return answers from 1 to 5 drawn from an ordered logit: a number, a half-hour wait, and yes or no."""
    table = np.column_stack([rng.normal(size=n), rng.exponential(1.0, n), rng.random(n) < 0.4])
    score = 1 + np.searchsorted(CUTS, table @ SLOPES + rng.logistic(size=n))
    return pd.DataFrame(table, columns=["ease", "wait", "chat"]).assign(score=score)


def expected(table: np.ndarray, beta: np.ndarray, cuts: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Return the expected points of each row: the sum of each level's points times its chance."""
    below = np.column_stack([np.zeros(len(table)), expit(cuts - (table @ beta)[:, None]), np.ones(len(table))])
    return np.diff(below, axis=1) @ worth


class TestFit:
    def test_r_polr_on_graduate_school_applications(self) -> None:
        """R MASS::polr(apply ~ pared + public + gpa), as UCLA's page on ordinal logistic regression prints it."""
        stored = pytest.importorskip("statsmodels.miscmodels.tests.results.results_ordinal_model").data_store.df
        level = stored["apply"].cat.codes.to_numpy().astype(int)
        found = ordered_logit(level, stored[["pared", "public", "gpa"]].to_numpy(float), np.ones(400))
        assert not isinstance(found, str)
        # polr stops at 1e-8 of the deviance, which is four digits of a slope.
        np.testing.assert_allclose(found.beta, [1.04769, -0.05879, 0.61594], atol=3e-4)
        np.testing.assert_allclose(found.cuts, [2.20391, 4.29936], atol=1e-3)
        np.testing.assert_allclose(np.sqrt(np.diag(found.inverse)), [0.2658, 0.2979, 0.2606, 0.7795, 0.8043], atol=1e-4)
        assert -2 * found.log_likelihood == pytest.approx(717.0249, abs=1e-4)

    def test_statsmodels_itself(self, rng: np.random.Generator) -> None:
        frame = answers(rng)
        table, level = frame[["ease", "wait", "chat"]].to_numpy(float), frame["score"].to_numpy() - 1
        model = OrderedModel(level, table, distr="logit")
        reference = model.fit(method="bfgs", disp=0, maxiter=1000, gtol=1e-8)
        found = ordered_logit(level, table, np.ones(len(level)))
        assert not isinstance(found, str)
        np.testing.assert_allclose(found.beta, reference.params[:3], atol=1e-5)
        np.testing.assert_allclose(found.cuts, model.transform_threshold_params(reference.params)[1:-1], atol=1e-5)
        assert found.log_likelihood == pytest.approx(reference.llf, abs=1e-8)
        np.testing.assert_allclose(np.sqrt(np.diag(found.inverse))[:3], reference.bse[:3], rtol=1e-3)  # by differences
        np.testing.assert_allclose(found.scores.sum(axis=0), 0, atol=1e-6)

    def test_weights_are_repeated_rows(self, rng: np.random.Generator) -> None:
        frame = answers(rng, 200).assign(w=rng.integers(1, 4, 200))
        one = drivers.effects(frame, "score", ["ease", "chat"], weights="w")
        other = drivers.effects(frame.loc[frame.index.repeat(frame["w"])], "score", ["ease", "chat"])
        np.testing.assert_allclose(one["estimate"], other["estimate"], atol=1e-7)

    def test_levels_that_are_told_apart_without_error(self) -> None:
        """A yes that is always a 5 has no finite slope; the others' effects are as without those rows' pull."""
        rng = np.random.default_rng(7)
        frame = answers(rng, 3_000).assign(never=0.0)
        plain = drivers.effects(frame, "score", ["ease", "wait"]).set_index("level")
        marked = frame.index[(frame["score"] == 5)][:60]
        frame.loc[marked, "never"] = 1.0
        found = drivers.effects(frame, "score", ["ease", "wait", "never"]).set_index("level")
        assert (found["status"] == "ok").all()
        assert found["method"].str.endswith("slopes held by a weak prior").all()
        assert found.loc["never", "estimate"] == pytest.approx(5 - frame["score"].mean(), abs=0.15)
        for name in ("ease", "wait"):
            assert found.loc[name, "estimate"] == pytest.approx(plain.loc[name, "estimate"], abs=0.03)
        assert not plain["method"].str.contains("prior").any()

    def test_a_driver_that_is_the_outcome(self) -> None:
        frame = pd.DataFrame({"score": [1, 2, 3] * 20, "a": [1.0, 2.0, 3.0] * 20})
        found = drivers.effects(frame, "score", ["a"])
        assert found["status"].tolist() == ["undefined"]
        assert found["note"].tolist() == ["it tells levels of the outcome apart without error"]

    def test_drivers_that_determine_each_other(self, rng: np.random.Generator) -> None:
        frame = answers(rng).assign(twin=lambda one: 2 * one["ease"])
        found = drivers.effects(frame, "score", ["ease", "wait", "twin"])
        assert found["status"].tolist() == ["undefined", "ok", "undefined"]
        assert found["note"].tolist() == ["other drivers determine it", "", "other drivers determine it"]
        alone = drivers.effects(frame, "score", ["ease", "wait"])
        np.testing.assert_allclose(found.loc[1, "estimate"], alone.loc[1, "estimate"], atol=1e-8)
        np.testing.assert_allclose(found.loc[1, "std_error"], alone.loc[1, "std_error"], atol=1e-8)

    def test_mail_has_no_wait(self, rng: np.random.Generator) -> None:
        """That a wait does not apply and that the channel is mail are one fact: neither has an effect of its own."""
        frame = answers(rng)
        frame["channel"] = np.where(frame["chat"] == 1, "mail", "phone")
        frame["wait"] = np.where(frame["chat"] == 1, -1.0, frame["wait"])
        found = drivers.effects(frame, "score", ["wait", "channel", "ease"], not_applicable={"wait": -1})
        assert found["status"].tolist() == ["ok", "undefined", "ok"]  # among those who wait, waiting has its slope
        phone = drivers.effects(frame[frame["channel"] == "phone"], "score", ["wait", "ease"])
        assert found.loc[0, "estimate"] == pytest.approx(phone.loc[0, "estimate"], abs=0.05)


class TestEffects:
    @pytest.mark.parametrize("points", ["score", {1: 0, 2: 0, 3: 0, 4: 100, 5: 100}])
    def test_derivatives_by_differences(self, rng: np.random.Generator, points: str | dict) -> None:
        frame, names = answers(rng), ["ease", "wait", "chat"]
        found = drivers.effects(frame, "score", names, points=points).set_index("level")["estimate"]
        table, level = frame[names].to_numpy(float), frame["score"].to_numpy() - 1
        fit = ordered_logit(level, table, np.ones(len(level)))
        assert not isinstance(fit, str)
        worth = np.arange(1.0, 6.0) if points == "score" else np.array(list(points.values()), dtype=float)

        def mean(**changed: object) -> float:
            return float(expected(frame[names].assign(**changed).to_numpy(float), fit.beta, fit.cuts, worth).mean())

        for name in ("ease", "wait"):
            by = (mean(**{name: frame[name] + 1e-4}) - mean(**{name: frame[name] - 1e-4})) / 2e-4
            assert found[name] == pytest.approx(by, abs=1e-6)
        assert found["chat"] == pytest.approx(mean(chat=1.0) - mean(chat=0.0), abs=1e-9)

    def test_nps_points(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=4_000)
        score = np.clip(np.round(7.5 + 1.5 * x + rng.logistic(size=4_000)), 0, 10)
        frame = pd.DataFrame({"score": score, "x": x})
        by_name = drivers.effects(frame, "score", ["x"], points="nps")
        table = dict.fromkeys(range(7), -100) | {7: 0, 8: 0, 9: 100, 10: 100}
        np.testing.assert_allclose(
            by_name["estimate"], drivers.effects(frame, "score", ["x"], points=table)["estimate"]
        )
        top, bottom = frame["score"] >= 9, frame["score"] <= 6
        high, low = frame["x"] > 0, frame["x"] <= 0
        raw = 100 * ((top[high].mean() - bottom[high].mean()) - (top[low].mean() - bottom[low].mean()))
        apart = frame.loc[high, "x"].mean() - frame.loc[low, "x"].mean()
        assert by_name["estimate"].iloc[0] == pytest.approx(raw / apart, rel=0.15)  # a slope against a difference

    def test_a_category_against_its_commonest_level(self, rng: np.random.Generator) -> None:
        frame = answers(rng)
        frame["channel"] = np.where(frame["chat"] == 1, "chat", "mail")
        found = drivers.effects(frame, "score", ["ease", "channel"]).set_index("level")
        assert found.loc["channel: chat", "against"] == "mail"
        other = drivers.effects(frame, "score", ["ease", "chat"]).set_index("level")
        assert found.loc["channel: chat", "estimate"] == pytest.approx(other.loc["chat", "estimate"], abs=1e-8)

    def test_two_levels_are_the_plain_logit(self, rng: np.random.Generator) -> None:
        """statsmodels' Logit and its own average marginal effects, errors by the delta method."""
        import statsmodels.api as sm

        frame = answers(rng, 2_000).assign(good=lambda one: (one["score"] > 3).astype(int))
        fit = sm.Logit(frame["good"], sm.add_constant(frame[["ease", "wait"]])).fit(disp=0)
        reference = fit.get_margeff().summary_frame()
        found = drivers.effects(frame, "good", ["ease", "wait"]).set_index("level")
        np.testing.assert_allclose(found["estimate"], reference["dy/dx"], rtol=1e-5)
        # Ours is robust and counts that the rows are drawn, too.
        np.testing.assert_allclose(found["std_error"], reference["Std. Err."], rtol=0.06)

    def test_no_order_of_rows_or_drivers_matters(self, rng: np.random.Generator) -> None:
        frame = answers(rng)
        frame.loc[frame.index[:90], "ease"] = np.nan
        one = drivers.effects(frame, "score", ["ease", "wait"], rng=np.random.default_rng(1))
        other = drivers.effects(frame.iloc[::-1], "score", ["wait", "ease"], rng=np.random.default_rng(1))
        pd.testing.assert_frame_equal(one, other.iloc[::-1].reset_index(drop=True), rtol=1e-7)

    def test_customers_count_once(self, rng: np.random.Generator) -> None:
        frame = answers(rng).assign(who=range(600))
        copies = pd.concat([frame] * 4)
        alone = drivers.effects(frame, "score", ["ease"])["std_error"].iloc[0]
        assert drivers.effects(copies, "score", ["ease"], cluster="who")["std_error"].iloc[0] == pytest.approx(
            alone, rel=1e-3
        )
        assert drivers.effects(copies, "score", ["ease"])["std_error"].iloc[0] == pytest.approx(alone / 2, rel=1e-2)

    def test_effect_among_those_to_whom_it_applies(self, rng: np.random.Generator) -> None:
        frame = answers(rng, 4_000).assign(ease=lambda one: one["ease"] + 10)
        away = rng.random(4_000) < 0.5
        frame["ease"] = np.where(away, 0.0, frame["ease"])
        found = drivers.effects(frame[~away], "score", ["ease", "wait"]).set_index("level")
        both = drivers.effects(frame, "score", ["ease", "wait"], not_applicable={"ease": 0}).set_index("level")
        assert both.loc["ease", "estimate"] == pytest.approx(found.loc["ease", "estimate"], abs=0.06)
        assert "does not apply to" in both.loc["ease", "note"]

    @pytest.mark.simulation
    def test_intervals_hold_the_effect(self, replicates: Callable) -> None:
        """Customers answer twice, alike; the truth is that of two million answers."""
        rng, times = np.random.default_rng(4), replicates(60, 2_000)
        population = answers(np.random.default_rng(1), 2_000_000)
        line = population[["ease", "wait", "chat"]].to_numpy(float) @ SLOPES
        below = expit(CUTS - line[:, None])
        truth = (below * (1 - below)).sum(axis=1).mean() * SLOPES[:2]
        held, errors, values = np.zeros(2), [], []
        for _ in range(times):
            frame = answers(rng, 250).assign(who=range(250))
            found = drivers.effects(pd.concat([frame, frame]), "score", ["ease", "wait", "chat"], cluster="who")[:2]
            held += (found["conf_low"].to_numpy() <= truth) & (truth <= found["conf_high"].to_numpy())
            errors.append(found["std_error"])
            values.append(found["estimate"])
        assert (held / times > 0.86).all(), held / times
        np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0), rtol=0.3)

    def test_a_yes_or_no_that_some_skipped(self, rng: np.random.Generator) -> None:
        frame = answers(rng, 2_000)
        whole = drivers.effects(frame, "score", ["chat", "wait"]).set_index("level")
        frame.loc[rng.random(2_000) < 0.2, "chat"] = np.nan
        found = drivers.effects(frame, "score", ["chat", "wait"]).set_index("level")
        assert found.loc["chat", "estimate"] == pytest.approx(
            whole.loc["chat", "estimate"], abs=0.08
        )  # a jump, not a slope
        assert found.loc["chat", "std_error"] > whole.loc["chat", "std_error"]

    @pytest.mark.simulation
    def test_skipped_items(self, replicates: Callable) -> None:
        rng, times, held, lost = np.random.default_rng(14), replicates(15, 1_000), 0, []
        population = answers(np.random.default_rng(1), 400_000)
        below = expit(CUTS - (population[["ease", "wait", "chat"]].to_numpy(float) @ SLOPES)[:, None])
        truth = (below * (1 - below)).sum(axis=1).mean() * SLOPES[0]
        for _ in range(times):
            frame = answers(rng, 300)
            frame.loc[rng.random(300) < np.where(frame["score"] < 3, 0.6, 0.2), "ease"] = np.nan
            found = drivers.effects(frame, "score", ["ease", "wait", "chat"], imputations=5, rng=rng).iloc[0]
            held += found["conf_low"] <= truth <= found["conf_high"]
            lost.append(found["estimate"] - truth)
        assert held / times > 0.75
        assert abs(np.mean(lost)) < 0.1  # a normal item fills in nearly without bias


class TestReal:
    def test_airline_passengers_without_wifi_are_all_satisfied(self, shared_data: Callable) -> None:
        """So "does not apply" tells satisfied from not without error; the other effects still stand."""
        frame = pd.read_csv(shared_data("airline_satisfaction_600") / "airline_passenger_satisfaction.csv")
        frame["satisfied"] = (frame["satisfaction"] == "satisfied").astype(int)
        assert frame.loc[frame["inflight_wifi_service"] == 0, "satisfied"].eq(1).all()
        items = list(frame.columns[7:21])
        found = drivers.effects(frame, "satisfied", items, points={0: 0, 1: 100}, not_applicable=0, imputations=5)
        assert found["method"].str.endswith("slopes held by a weak prior").all()
        table = found.set_index("level")
        assert (found["status"] == "ok").all()
        assert table["estimate"].idxmax() == "online_boarding"
        linear = drivers.coefficients(frame, "satisfied", items, not_applicable=0, bootstrap=200).set_index("level")
        assert np.corrcoef(table["estimate"], linear.loc[table.index, "estimate"])[0, 1] > 0.9


class TestDoor:
    def test_too_many_levels(self, rng: np.random.Generator) -> None:
        frame = pd.DataFrame({"y": rng.normal(size=100), "a": rng.normal(size=100)})
        with pytest.raises(UsageError, match="has 100 values"):
            drivers.effects(frame, "y", ["a"])

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"points": "npss"}, "did you mean 'nps'"),
            ({"points": {1: 0, 2: 1}}, "no points for 3 levels of 'score': 3, 4, 5"),
            ({"imputations": 1}, "too few"),
        ],
    )
    def test_what_cannot_be_asked(self, rng: np.random.Generator, how: dict, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            drivers.effects(answers(rng), "score", ["ease"], **how)

    def test_nothing_can_be_said(self) -> None:
        found = drivers.effects(pd.DataFrame({"score": [3] * 20, "a": range(20)}), "score", ["a"])
        assert found[["status", "note"]].to_numpy().tolist() == [["undefined", "all answers to the outcome are equal"]]
        assert found["against"].iloc[0] == "one point less"

    def test_few_customers_are_not_shown(self, rng: np.random.Generator) -> None:
        found = drivers.effects(answers(rng, 40), "score", ["ease"], min_n=100)
        assert found["status"].tolist() == ["suppressed"]
