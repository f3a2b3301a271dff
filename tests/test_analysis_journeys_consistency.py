"""Between against within: a published intraclass correlation, statsmodels' mixed model, and coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import consistency as room

# Shrout and Fleiss (1979), Psychol. Bull. 86:420, table 2: six targets rated by four judges.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)


def test_the_published_intraclass_correlation() -> None:
    """Table 4: ICC(1, 1) = .17; R psych::ICC: F = 1.79 on 5 and 18, p = .16, limits -0.133 to 0.723 (ours end at 0)."""
    means = RATINGS.mean(axis=1)
    within = float(((RATINGS - means[:, None]) ** 2).sum() / 18)
    assert within == pytest.approx(6.26, abs=0.005)
    found = room.components(means, np.full(6, 4.0), within, 18)
    assert found.icc == pytest.approx((0.166, 0.0, 0.723), abs=5e-4)
    assert (found.f, found.p_value) == (pytest.approx(1.79, abs=0.005), pytest.approx(0.165, abs=5e-4))


def answers(rng: np.random.Generator, sizes: np.ndarray, between: float, within: float = 1.0) -> pd.DataFrame:
    group = np.repeat(np.arange(sizes.size), sizes)
    y = 4 + rng.normal(0, between, sizes.size)[group] + rng.normal(0, within, group.size)
    return pd.DataFrame({"customer_id": range(group.size), "partner": [f"p{g:02d}" for g in group], "y": y})


def test_the_components_are_those_of_a_mixed_model(rng: np.random.Generator) -> None:
    """statsmodels' `MixedLM` by REML; ours takes the variance within from the answers within groups alone."""
    import statsmodels.formula.api as smf

    frame = answers(rng, rng.integers(20, 120, 12), 0.4)
    found = room.consistency(frame, "y", "partner").set_index("metric")
    fit = smf.mixedlm("y ~ 1", frame, groups=frame["partner"]).fit(reml=True)
    assert found.loc[room.BETWEEN, "estimate"] == pytest.approx(np.sqrt(fit.cov_re.iloc[0, 0]), rel=0.005)
    assert found.loc[room.WITHIN, "estimate"] == pytest.approx(np.sqrt(fit.scale), rel=0.005)
    gap, between = (found.loc[name, "estimate"] for name in (room.GAP, room.BETWEEN))
    assert gap == pytest.approx(np.sqrt(2) * between)


@pytest.mark.simulation
@pytest.mark.parametrize("between", [0.0, 0.3])
def test_the_limits_hold_the_truth(
    replicates: Callable[[int, int], int], rng: np.random.Generator, between: float
) -> None:
    """Unequal sizes; exact for normal answers: over 4,000 draws 97.9 % held 0 (where only the lower end can miss) and
    95.2 % held 0.3; with scores of 1 to 5 and customers who answer twice 98.7 and 95.3 % of 300.
    """
    times, hit, sizes = replicates(120, 4_000), 0, np.array([5, 8, 20, 40, 80, 160])
    group, truth = np.repeat(np.arange(6), sizes), between**2
    for _ in range(times):
        y = rng.normal(0, between, 6)[group] + rng.normal(0, 1, group.size)
        means = np.bincount(group, y) / sizes
        within = float(((y - means[group]) ** 2).sum() / (group.size - 6))
        found = room.components(means, sizes.astype(float), within, group.size - 6)
        hit += found.ratio_low <= truth <= found.ratio_high
    assert hit >= 0.89 * times


def test_who_the_customers_are_is_held_equal(rng: np.random.Generator) -> None:
    """Partners are alike; the one with the old customers scores lower, as they do everywhere."""
    old = rng.random(3_000) < np.repeat([0.1, 0.5, 0.9], 1_000)
    frame = pd.DataFrame({"customer_id": range(3_000), "partner": np.repeat(["a", "b", "c"], 1_000),
                          "Age": np.where(old, "old", "young"), "y": 4.0 - old + rng.normal(0, 1, 3_000)})  # fmt: skip
    raw = room.consistency(frame, "y", "partner").set_index("metric")
    equal = room.consistency(frame, "y", "partner", case_mix=["Age"]).set_index("metric")
    assert raw.loc[room.ICC, "conf_low"] > 0
    assert equal.loc[room.ICC, "conf_low"] == 0
    assert equal.loc[room.TEST, "note"] == "may all be alike"
    assert equal.loc[room.ICC, "at"] == "Age held equal"


def test_small_groups_are_hidden_and_not_learnt_from(rng: np.random.Generator) -> None:
    frame = answers(rng, np.array([3, 12, 30, 40, 50]), 0.3)
    found = room.consistency(frame, "y", "partner", min_n=10)
    own = found[found["metric"] == "y"].set_index("level")["status"]
    assert own.to_dict() == {"p00": "suppressed", "p01": "suppressed", "p02": "ok", "p03": "ok", "p04": "ok"}
    whole = found.set_index("metric").loc[room.ICC]
    assert (whole["n"], whole["n_eff"]) == (132, 4)
    assert "1 with fewer than 5 answers left out" in whole["note"]


def test_two_groups_are_too_few_and_many_hidden_ones_are_not_listed(rng: np.random.Generator) -> None:
    two = room.consistency(answers(rng, np.array([40, 40]), 0.3), "y", "partner").set_index("metric")
    assert two.loc[room.ICC, "status"] == results.TOO_FEW
    many = room.consistency(answers(rng, np.full(60, 8), 0.3).assign(), "y", "partner", min_n=10)
    assert len(many[many["metric"] == "y"]) == 30
    assert room.consistency(answers(rng, np.array([4]), 0.3).iloc[:0], "y", "partner")["status"].item() == "undefined"


def test_digital_against_other_touchpoints(rng: np.random.Generator) -> None:
    n = 2_000
    who, digital = rng.integers(0, 800, n), (rng.random(n) < 0.4).astype(float)
    mood = rng.normal(0, 1, 800)[who]
    frame = pd.DataFrame({"customer_id": who, "digital": digital, "y": 4 + 0.3 * digital + mood + rng.normal(0, 1, n),
                          "Plan": np.where(who < 400, "Pro", "Basic")})  # fmt: skip
    found = room.digital_or_not(frame, "y", case_mix=["Plan"])
    assert found["level"].tolist() == ["digital", "physical", "digital", "digital"]
    assert found["at"].tolist() == ["", "", room.RAW, room.EQUAL]
    row = found.iloc[-1]
    assert row["estimate"] == pytest.approx(0.3, abs=4 * row["std_error"])
    assert row["n"] == n
    lone = room.digital_or_not(frame.assign(digital=0.0), "y")
    assert lone.iloc[-1]["status"] == results.UNDEFINED
