"""Inverse-probability weights: against cells by hand, against the bootstrap, against known truths and their limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.analysis.experiments import inverse_probability
from cxlib.errors import UsageError
from cxlib.measure.differences import mean_difference
from cxlib.measure.moments import Moments

EFFECT = 0.3


def survey(rng: np.random.Generator, n: int, *, by_answer: bool = False) -> pd.DataFrame:
    """Return invitations: the effect is 0.3, who answers depends on group and age (or on the answer), by arm."""
    arm, group, age = rng.random(n) < 0.5, rng.integers(0, 3, n), rng.normal(size=n)
    score = 3 + 0.5 * group - 0.3 * age + EFFECT * arm + rng.normal(size=n)
    pull = -1 + np.where(arm, 0.5, -0.2) * group + 0.4 * age * arm
    pull = -0.5 + np.where(arm, 0.6, 0.0) * (score - 3.5) if by_answer else pull
    said = rng.random(n) < 1 / (1 + np.exp(-pull))
    return pd.DataFrame(
        {
            "arm": np.where(arm, "new", "control"), "group": np.array(["a", "b", "c"])[group], "age": age,
            "outcome": np.where(said, score, np.nan), "answered": said,
        }
    )  # fmt: skip


class TestByHand:
    def test_cells_are_post_stratification(self, rng: np.random.Generator) -> None:
        """Weights 1 / share answered in the cell of the arm: the arm's cell means, averaged by who was asked."""
        frame = survey(rng, 800)
        means = []
        for arm in ("control", "new"):
            mine = frame[frame["arm"] == arm]
            own = mine.groupby("group")["outcome"].mean()
            means.append(own @ mine["group"].value_counts(normalize=True).reindex(own.index))
        for more in ({"cells": True}, {}):
            found = inverse_probability(frame, ["group"], **more).iloc[0]
            assert found["estimate"] == pytest.approx(means[1] - means[0], rel=1e-9)
        assert (found["at"], found["against"], found["comparison"]) == ("new", "control", "difference")

    def test_an_arm_named_control_is_the_control(self, rng: np.random.Generator) -> None:
        """Although `callback` comes first in the alphabet."""
        frame = survey(rng, 800)
        expected = inverse_probability(frame, ["group"]).iloc[0]
        found = inverse_probability(frame.assign(arm=frame["arm"].replace("new", "callback")), ["group"]).iloc[0]
        assert found["against"] == "control"
        assert found["estimate"] == pytest.approx(expected["estimate"], rel=1e-9)

    def test_error_of_cells(self, rng: np.random.Generator) -> None:
        """With cells the estimate is a post-stratified mean; its variance, worked by hand for random cells.

        Sum over cells of (share asked)^2 s^2 / answers, plus the variance of the cell means over those asked: what the
        stacked influence functions come to, but for n - 1 for n: 600 answers an arm in three cells, .25 % of the error.
        """
        frame = survey(rng, 4_000)
        total = 0.0
        for arm in ("control", "new"):
            mine = frame[frame["arm"] == arm]
            share = mine["group"].value_counts(normalize=True).sort_index()
            own = mine.groupby("group")["outcome"].agg(["mean", "var", "count"])
            whole = share @ own["mean"]
            total += float(share**2 @ (own["var"] / own["count"]) + share @ (own["mean"] - whole) ** 2 / len(mine))
        found = inverse_probability(frame, ["group"], cells=True).iloc[0]
        assert found["std_error"] == pytest.approx(np.sqrt(total), rel=5e-3)

    def test_everybody_answers(self, rng: np.random.Generator) -> None:
        """Nothing to reweight: Welch."""
        frame = survey(rng, 300).assign(answered=True)
        frame["outcome"] = rng.normal(size=300)
        found = inverse_probability(frame, ["group", "age"]).iloc[0]
        one, other = (Moments.of(frame.loc[frame["arm"] == arm, "outcome"]) for arm in ("control", "new"))
        welch = mean_difference(one, other).iloc[0]
        for name in ("estimate", "std_error", "conf_low", "p_value", "n", "n_eff"):
            assert found[name] == pytest.approx(welch[name], rel=1e-6), name

    def test_rows_of_customers_who_come_twice(self, rng: np.random.Generator) -> None:
        frame = survey(rng, 500).assign(who=np.arange(500))
        twice = pd.concat([frame, frame])
        one = inverse_probability(frame, ["group", "age"]).iloc[0]
        other = inverse_probability(twice, ["group", "age"], customer="who").iloc[0]
        assert other["estimate"] == pytest.approx(one["estimate"], rel=1e-9)
        assert other["std_error"] == pytest.approx(one["std_error"], rel=1e-9)
        assert other["method"].endswith("cluster-robust")

    def test_weights_are_as_many_rows(self, rng: np.random.Generator) -> None:
        frame = survey(rng, 900).assign(often=rng.integers(1, 4, 900))
        many = frame.loc[frame.index.repeat(frame["often"])]
        one = inverse_probability(frame, ["group", "age"], weights="often").iloc[0]
        assert one["estimate"] == pytest.approx(
            inverse_probability(many, ["group", "age"])["estimate"].iloc[0], rel=1e-6
        )


@given(seed=st.integers(0, 1_000), by=st.floats(-10, 10), times=st.floats(0.1, 10))
def test_shift_scale_order_and_arms(seed: int, by: float, times: float) -> None:
    rng = np.random.default_rng(seed)
    frame = survey(rng, 300)
    one = inverse_probability(frame, ["group"]).iloc[0]
    moved = inverse_probability(frame.assign(outcome=by + times * frame["outcome"]), ["group"]).iloc[0]
    turned = inverse_probability(frame.sample(frac=1, random_state=seed), ["group"], control="new").iloc[0]
    for name in ("estimate", "std_error"):
        assert moved[name] == pytest.approx(times * one[name], rel=1e-6, abs=1e-8)
    assert turned["estimate"] == pytest.approx(-one["estimate"], rel=1e-9, abs=1e-12)
    assert turned["conf_low"] == pytest.approx(-one["conf_high"], rel=1e-9, abs=1e-12)


class TestDoor:
    def test_columns_of_any_kind(self, rng: np.random.Generator) -> None:
        """Missing levels are a level; missing numbers are at the mean, with a level of their own."""
        frame = survey(rng, 600)
        frame["group"] = frame["group"].astype("category").where(rng.random(600) < 0.9)
        frame["age"] = frame["age"].astype("Float64").where(rng.random(600) < 0.9)
        frame["member"] = pd.Series(rng.random(600) < 0.5, dtype="boolean")
        found = inverse_probability(
            frame.assign(answered=frame["answered"].astype("boolean")), ["group", "age", "member"]
        )
        assert found["status"].iloc[0] == "ok"

    def test_small_levels_are_joined(self, rng: np.random.Generator) -> None:
        frame = survey(rng, 600)
        frame["rare"] = np.where(np.arange(600) < 6, frame.index.astype(str), "usual")
        plain = inverse_probability(frame.assign(rare=np.where(np.arange(600) < 6, "few", "usual")), ["rare"])
        assert inverse_probability(frame, ["rare"])["estimate"].iloc[0] == pytest.approx(plain["estimate"].iloc[0])

    def test_chances_near_0_are_told(self, rng: np.random.Generator) -> None:
        """One group answers 2 of 100 times: told; raised to 5 of 100 where no less is allowed."""
        n = 6_000
        frame = pd.DataFrame(
            {"arm": rng.random(n) < 0.5, "group": rng.integers(0, 2, n), "outcome": rng.normal(size=n)}
        )
        frame["group"] = frame["group"].map({0: "shy", 1: "loud"})
        frame["answered"] = rng.random(n) < np.where(frame["group"] == "shy", 0.02, 0.6)
        note = inverse_probability(frame, ["group"])["note"].iloc[0]
        assert "the least likely to answer do so in" in note
        assert "one answer counts as" in note
        raised = inverse_probability(frame, ["group"], least=0.05)["note"].iloc[0]
        said = int((frame["answered"] & (frame["group"] == "shy")).sum())
        assert f"in 5 of 100 cases; {said} answers of even less likely ones count no more than that" in raised
        assert raised.endswith("right only if answering depends on nothing but what was known before")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"known": []}, "no columns are named"),
            ({"known": ["nothing"]}, "no column 'nothing'"),
            ({"known": ["group"], "least": 0}, "least 0 is no chance"),
            ({"known": ["age"], "cells": True}, "age: numbers make no cells"),
            ({"known": ["none"]}, "none is missing everywhere"),
            ({"known": ["group"], "control": "old"}, "the control 'old' is no arm"),
            ({"known": ["group"], "confidence": 2}, "confidence"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], told: str, rng: np.random.Generator) -> None:
        with pytest.raises(UsageError, match=told):
            inverse_probability(survey(rng, 100).assign(none=np.nan), **change)

    def test_what_cannot_be_given(self, rng: np.random.Generator) -> None:
        frame = survey(rng, 300)
        few = frame.assign(answered=frame["answered"] & ((frame["arm"] == "new") | (np.arange(300) < 20)))
        assert inverse_probability(few, ["group"])["status"].iloc[0] == "too_few"
        small = inverse_probability(survey(rng, 200), ["age"])["note"].iloc[0]
        assert small.endswith("of so few answers the limits are a little too near")
        alike = frame.assign(outcome=np.where(frame["answered"], 1.0, np.nan))
        assert inverse_probability(alike, ["group"])["status"].iloc[0] == "undefined"


@pytest.mark.simulation
def test_bias_goes_and_the_interval_holds(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Who answers depends on group and age only: of the plain effect's bias of 0.08 nothing is left, 95 % cover."""
    times = replicates(80, 3_000)
    found = [inverse_probability(survey(rng, 700), ["group", "age"]).iloc[0] for _ in range(times)]
    value = np.array([row["estimate"] for row in found])
    held = np.mean([row["conf_low"] <= EFFECT <= row["conf_high"] for row in found])
    assert held >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)
    assert value.mean() == pytest.approx(EFFECT, abs=3 * value.std() / np.sqrt(times))
    assert np.mean([row["std_error"] for row in found]) == pytest.approx(value.std(), rel=3 / np.sqrt(2 * times))


@pytest.mark.simulation
def test_what_it_cannot_undo(rng: np.random.Generator) -> None:
    """Who answers depends on the answer itself: the plain effect is wrong, and the weighted one as well.

    The docstring and every note say so; with 100,000 invitations chance is out of it.
    """
    frame = survey(rng, 100_000, by_answer=True)
    plain = frame.groupby("arm")["outcome"].mean()
    assert plain["new"] - plain["control"] > EFFECT + 0.2
    found = inverse_probability(frame, ["group", "age"]).iloc[0]
    assert found["conf_low"] > EFFECT + 0.1
    assert "right only if" in found["note"]
