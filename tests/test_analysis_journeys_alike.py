"""Levels and differences with all else equal, against statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import alike

EXACT = 1e-9


def visits(rng: np.random.Generator, n: int = 600) -> pd.DataFrame:
    place = rng.choice(["website", "checkout", "payment"], n)
    slow = rng.choice(["fast", "slow", "slower"], n, p=[0.6, 0.3, 0.1])
    mood = rng.normal(size=n // 4)
    who = rng.integers(0, n // 4, n)
    y = (place == "payment") + 0.4 * (slow == "slow") + mood[who] + rng.normal(size=n)
    return pd.DataFrame({"customer_id": who, "place": place, "band": slow, "y": y, "age": rng.integers(20, 70, n)})


def test_differences_are_those_of_least_squares_with_clusters(rng: np.random.Generator) -> None:
    """statsmodels' OLS with `cov_type="cluster"`; ours has G / (G - 1) alone, theirs (N - 1) / (N - K) besides."""
    import statsmodels.formula.api as smf

    frame = visits(rng)
    found = alike.differences(frame, "y", "band", "fast", within="place", case_mix=["age"]).set_index("level")
    model = smf.ols("y ~ C(band, Treatment('fast')) + C(place) + age", frame)
    fit = model.fit(cov_type="cluster", cov_kwds={"groups": frame["customer_id"]})
    more = np.sqrt((len(frame) - 1) / (len(frame) - len(fit.params)))
    for level in ("slow", "slower"):
        name = f"C(band, Treatment('fast'))[T.{level}]"
        assert found.loc[level, "estimate"] == pytest.approx(fit.params[name], abs=EXACT)
        assert found.loc[level, "std_error"] == pytest.approx(fit.bse[name] / more, rel=1e-9)
    assert (found["comparison"] == "difference").all()
    assert (found["against"] == "fast").all()


def test_a_share_is_wilsons_where_every_row_is_a_customer() -> None:
    frame = pd.DataFrame({"customer_id": range(30), "y": [1.0] * 6 + [0.0] * 24, "by": ["a"] * 30})
    found = alike.levels(frame, "y", "by").iloc[0]
    assert found["estimate"] == pytest.approx(0.2)
    assert (found["conf_low"], found["conf_high"]) == pytest.approx(
        (0.0951, 0.3731), abs=1e-4
    )  # R prop.test(correct=F)


def test_small_levels_are_hidden_and_one_more_with_them() -> None:
    frame = pd.DataFrame({"customer_id": range(60), "y": [0.0, 1.0] * 30, "by": ["a"] * 3 + ["b"] * 20 + ["c"] * 37})
    found = alike.levels(frame, "y", "by", min_n=10).set_index("level")
    assert found["status"].to_dict() == {"a": results.SUPPRESSED, "b": results.SUPPRESSED, "c": results.OK}
    assert found.loc[["a", "b"], "n"].isna().all()
    apart = alike.differences(frame, "y", "by", "c", min_n=10).set_index("level")
    assert apart["status"].to_dict() == {"a": results.SUPPRESSED, "b": results.OK}
    assert (alike.differences(frame, "y", "by", "a", min_n=10)["status"] == results.SUPPRESSED).all()


def test_nothing_is_said_of_nothing() -> None:
    frame = pd.DataFrame({"customer_id": [1, 2], "y": [1.0, 0.0], "by": ["a", "a"]})
    assert alike.differences(frame, "y", "by", "b")["status"].item() == results.UNDEFINED
    two = alike.differences(frame.assign(by=["a", "b"]), "y", "by", "a", cluster=None)
    assert two["status"].item() == results.TOO_FEW
    assert alike.levels(frame.iloc[:0], "y")["status"].item() == results.UNDEFINED


def test_a_mean_of_answers_that_are_all_the_same_is_hidden() -> None:
    frame = pd.DataFrame(
        {"customer_id": range(90), "y": [5.0] * 20 + [1.0, 5.0] * 35, "by": ["a"] * 20 + ["b"] * 30 + ["c"] * 40}
    )
    found = alike.levels(frame, "y", "by", kind="mean", min_n=10).set_index("level")
    assert found["status"].to_dict() == {"a": results.SUPPRESSED, "b": results.SUPPRESSED, "c": results.OK}
