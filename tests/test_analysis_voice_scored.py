"""Scores beside themes, and the parts that themes have in a score's change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis.voice import scored, worth
from cxlib.errors import UsageError
from tests.show_frames import metric

SCORE = metric("csat_mean", unit="score", change_that_matters=0.2)
EXACT = 1e-9


def answers(rng: np.random.Generator, n: int = 600) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return answers with customers, and codes of two themes: those who name "Late" score a point less."""
    codes = pd.DataFrame({"Late": rng.random(n) < 0.2, "Price": rng.random(n) < 0.3}).astype(float)
    frame = pd.DataFrame({"y": 4 - codes["Late"] + rng.normal(0, 1, n), "customer_id": [f"c{i}" for i in range(n)]})
    return frame, codes


def test_the_difference_is_welch_s_and_the_impact_what_methods_say(rng) -> None:
    frame, codes = answers(rng)
    found = scored.scores(SCORE, frame["y"], codes, frame["customer_id"])
    late = found[found["level"] == "Late"].set_index(["comparison", "at"])
    named = codes["Late"] == 1
    sides = frame["y"][named], frame["y"][~named]
    expected = stats.ttest_ind(*sides, equal_var=False).confidence_interval()
    assert late.loc[("difference", ""), "estimate"] == pytest.approx(sides[0].mean() - sides[1].mean(), abs=EXACT)
    assert late.loc[("difference", ""), "conf_low"] == pytest.approx(expected.low, abs=1e-3)  # G / (G - 1) apart
    assert late.loc[("difference", ""), "verdict"] == "moved"
    n_t, overall = named.sum(), frame["y"].mean()
    impact = n_t * (sides[0].mean() - overall) / (len(frame) - n_t)
    row = late.loc[("index", "")]
    assert row["estimate"] == pytest.approx(impact, abs=EXACT)
    assert row["estimate"] == pytest.approx(overall - sides[1].mean(), abs=EXACT)  # one and the same
    assert "not what would be gained" in row["note"]


def test_few_and_answers_all_alike_are_hidden_on_both_sides(rng) -> None:
    frame, codes = answers(rng)
    codes["Few"] = [1.0] * 9 + [0.0] * 591
    codes["Nobody"] = 0.0
    frame.loc[codes["Price"] == 1, "y"] = 5.0
    found = scored.scores(SCORE, frame["y"], codes, frame["customer_id"])
    for theme in ("Few", "Price"):
        assert set(found.loc[found["level"] == theme, "status"]) == {results.SUPPRESSED}
    assert "Nobody" not in set(found["level"])
    assert (found.loc[found["level"] == "Late", "status"] == results.OK).all()


def test_each_answer_is_in_one_group() -> None:
    codes = pd.DataFrame({"Late": [1, 1, 0, np.nan, np.nan], "Price": [0, 1, 0, 1, np.nan]})
    found = scored.groups(codes, pd.Series([True, True, True, True, False]))
    assert found.tolist() == ["Late", scored.SEVERAL, scored.NONE, "Price", scored.SILENT]
    with pytest.raises(UsageError, match="may not be called"):
        scored.groups(codes.rename(columns={"Late": scored.NONE}), pd.Series([True] * 5))


def test_the_parts_add_up_to_the_change_and_no_group_tells_every_answer(rng) -> None:
    frame, codes = answers(rng, 900)
    period = pd.Series(np.where(np.arange(900) < 400, "2025-10", "2026-10"))
    wrote = pd.Series(rng.random(900) < 0.6)
    group = scored.groups(codes, wrote)
    frame.loc[group == "Price", "y"] = 5.0
    found = scored.decomposed(
        SCORE, frame["y"], group, period, frame["customer_id"], now="2026-10", before="2025-10", min_n=10
    )
    means = frame["y"].groupby(period).mean()
    whole = found[(found["comparison"] == "difference") & (found["level"] == "all")].iloc[0]
    assert whole["estimate"] == pytest.approx(means["2026-10"] - means["2025-10"], abs=EXACT)
    parts = found[found["comparison"].isin(["mix", "rate"]) & (found["level"] != "all") & (found["at"] == "")]
    assert parts["estimate"].sum() == pytest.approx(whole["estimate"], abs=EXACT)
    levels = set(found["level"])
    assert scored.OTHER in levels
    assert "Price" not in levels


def test_what_followed_is_compared_within_strata_with_errors_by_customer(rng) -> None:
    n = 2000
    stratum = pd.Series(rng.choice(["phone", "web"], n))
    codes = pd.DataFrame({"Late": (rng.random(n) < np.where(stratum == "phone", 0.6, 0.1)).astype(float)})
    customer = pd.Series([f"c{i // 2}" for i in range(n)])
    spent = pd.Series(50.0 * (stratum == "phone") - 10 * codes["Late"] + rng.normal(0, 5, n))
    found = worth.afterwards(spent, codes, customer, stratum, metric=worth.SPEND, days=90).iloc[0]
    assert found["conf_low"] < -10 < found["conf_high"]  # a plain difference of means would say about +10
    import statsmodels.formula.api as smf

    table = pd.DataFrame({"y": spent, "x": codes["Late"], "s": stratum, "g": pd.factorize(customer)[0]})
    fit = smf.ols("y ~ x + C(s)", table).fit(cov_type="cluster", cov_kwds={"groups": table["g"]}, use_t=True)
    assert found["estimate"] == pytest.approx(fit.params["x"], rel=1e-9)
    # statsmodels also multiplies by (n - 1) / (n - k)
    assert found["std_error"] == pytest.approx(fit.bse["x"] * np.sqrt((n - 3) / (n - 1)), rel=1e-6)
    whole = worth.in_all(pd.DataFrame([found]), pd.Series({"Late": 300})).iloc[0]
    assert (whole["estimate"], whole["n"]) == (pytest.approx(300 * found["estimate"]), 300)


def test_too_few_to_compare_are_hidden_and_nobody_beside_is_undefined(rng) -> None:
    y, place = pd.Series(rng.normal(size=40)), pd.Series(["a"] * 20 + ["b"] * 20)
    who = pd.Series([f"c{i}" for i in range(40)])
    codes = pd.DataFrame({"Few": [1.0] * 5 + [0.0] * 35, "Apart": [1.0] * 20 + [0.0] * 20, "Nobody": 0.0})
    found = worth.afterwards(y, codes, who, place, metric=worth.LEFT, days=90).set_index("level")
    assert found["status"].to_dict() == {"Few": results.SUPPRESSED, "Apart": results.UNDEFINED}
