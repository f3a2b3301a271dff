"""Health checks: what each finds, how grave it is, and how often a healthy experiment is warned of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis.experiments import balance, earlier, exposure, graded, gravity, health, missingness, sample_ratio
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments

SEVERAL, MORE = "seen in several arms", "exposed more than once"
STRANGE, OUTSIDE = "in an arm that is not registered", "exposed outside the registered window"


def exposed(n: int = 2_000, several: int = 0, strange: int = 0, outside: int = 0, again: int = 0) -> pd.DataFrame:
    """Return so many exposed customers, the first few of them odd."""
    place = np.arange(n)
    return pd.DataFrame(
        {
            "customer_id": place, "arm": np.where(place < strange, "other", np.where(place % 2, "control", "new")),
            "exposures": 1 + (place < again), "arms": 1 + (place < several),
            "exposed_at": np.where(place < outside, np.datetime64("2026-07-01"), np.datetime64("2026-06-30T23:59:59")),
        }
    )  # fmt: skip


def checked(**odd: int) -> pd.DataFrame:
    """Return the checks of such an experiment by their names."""
    rows = exposure(exposed(**odd), arms=["control", "new"], window=("2026-06-01", "2026-07-01"))
    return rows.set_index("metric")


class TestExposure:
    def test_a_healthy_one(self) -> None:
        rows = checked()
        assert sorted(rows.index) == sorted([MORE, SEVERAL, STRANGE, OUTSIDE])
        assert set(rows["at"]) == {"passes"}
        assert rows.loc[SEVERAL, "note"] == "0 of 2,000 customers (0 %) were seen in several arms"

    @pytest.mark.parametrize(("odd", "name"), [("several", SEVERAL), ("strange", STRANGE), ("outside", OUTSIDE)])
    @pytest.mark.parametrize(
        ("count", "grade"), [(1, "passes"), (2, "passes"), (3, "warns"), (20, "warns"), (21, "fails")]
    )
    def test_shares_above_which_it_warns_and_fails(self, odd: str, name: str, count: int, grade: str) -> None:
        """Of 2,000 customers .001 is 2, .01 is 20."""
        rows = checked(**{odd: count})
        assert rows.loc[name, "at"] == grade
        assert rows.loc[name, "estimate"] == count / 2_000
        wilson = stats.binomtest(count, 2_000).proportion_ci(method="wilson")
        assert tuple(rows.loc[name, ["conf_low", "conf_high"]]) == pytest.approx(tuple(wilson), rel=1e-9)

    def test_more_than_once_is_information(self) -> None:
        row = checked(again=1_500).loc[MORE]
        assert (row["at"], row["estimate"]) == ("passes", 0.75)

    def test_words(self) -> None:
        assert checked(several=1).loc[SEVERAL, "note"].startswith("1 of 2,000 customers (0.05 %) was seen")
        assert checked(strange=5).loc[STRANGE, "note"].endswith("are in an arm that is not registered: other")

    def test_cells_of_customers_who_are_alike(self) -> None:
        rows = exposed(several=21, again=300)
        cells = rows.drop(columns="customer_id").value_counts().rename("customers").reset_index()
        terms: dict[str, Any] = {"arms": ["control", "new"], "window": ("2026-06-01", "2026-07-01")}
        pd.testing.assert_frame_equal(exposure(rows, **terms), exposure(cells, **terms))

    def test_only_what_is_known_is_checked(self) -> None:
        assert exposure(exposed()[["arm", "arms"]])["metric"].tolist() == [SEVERAL]
        assert exposure(exposed(0))["status"].unique().tolist() == ["undefined"]

    def test_refusals(self) -> None:
        with pytest.raises(UsageError, match="no column 'arm'"):
            exposure(exposed().drop(columns="arm"))
        with pytest.raises(UsageError, match="exposures is no number"):
            exposure(exposed().assign(exposures="many"))


class TestMissingness:
    def test_chi_square(self) -> None:
        """SciPy's chi-square, and the square of the pooled z of two shares (R `prop.test(correct = FALSE)`)."""
        row = missingness({"c": 1_000, "t": 900}, {"c": 300, "t": 330}, metric="nps", title="NPS").iloc[0]
        pooled = 630 / 1_900
        z = (330 / 900 - 300 / 1_000) / np.sqrt(pooled * (1 - pooled) * (1 / 1_000 + 1 / 900))
        assert row["estimate"] == pytest.approx(z**2, rel=1e-12)
        assert row["p_value"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)
        assert row["note"] == "NPS is known of 30.0 % of c and 36.7 % of t"
        assert (row["level"], row["at"], row["comparison"]) == ("nps", "warns", "test")

    def test_a_survey_only_warns(self) -> None:
        """That answers differ is what bounds are for; that orders of one arm were lost is a fault."""
        counts = {"c": 10_000, "t": 10_000}, {"c": 3_000, "t": 3_400}
        assert missingness(*counts)["at"].iloc[0] == "fails"
        assert missingness(*counts, survey=True)["at"].iloc[0] == "warns"

    def test_few(self) -> None:
        """Fisher's exact test where chi-square is not to be relied on."""
        row = missingness({"c": 1_000, "t": 1_000}, {"c": 1_000, "t": 994}).iloc[0]
        assert row["p_value"] == pytest.approx(stats.fisher_exact([[1_000, 994], [0, 6]])[1])
        assert row["estimate"] == pytest.approx(-0.006)
        assert row["method"] == "Fisher's exact test"
        three = missingness({"c": 99, "t": 99, "u": 99}, {"c": 99, "t": 99, "u": 97}).iloc[0]
        assert (three["status"], three["at"]) == ("too_few", "passes")

    @pytest.mark.parametrize("known", [0, 50])
    def test_all_or_nobody(self, known: int) -> None:
        row = missingness({"c": 50, "t": 50}, {"c": known, "t": known}).iloc[0]
        assert (row["status"], row["at"]) == ("undefined", "passes")

    def test_refusals(self) -> None:
        with pytest.raises(UsageError, match="differ"):
            missingness({"c": 5, "t": 5}, {"c": 5, "u": 5})
        with pytest.raises(UsageError, match="fewer than two arms"):
            missingness({"c": 5}, {"c": 5})
        with pytest.raises(UsageError, match="t has 6 outcomes of 5 customers"):
            missingness({"c": 5, "t": 5}, {"c": 5, "t": 6})


class TestBalance:
    def test_welch_and_the_standardised_difference(self, rng: np.random.Generator) -> None:
        """SciPy's Welch test; (mean - mean) / sqrt((s1^2 + s2^2) / 2), Austin (2009)."""
        one, other = rng.normal(0, 1, 80), rng.normal(0.3, 2, 70)
        row = balance({"orders": {"c": Moments.of(one), "t": Moments.of(other)}}, control="c").iloc[0]
        expected = (other.mean() - one.mean()) / np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2)
        assert row["estimate"] == pytest.approx(expected, rel=1e-12)
        welch = stats.ttest_ind(other, one, equal_var=False)
        assert row["p_value"] == pytest.approx(welch.pvalue, rel=1e-9)
        ratio = row["estimate"] / (other.mean() - one.mean())
        assert row["conf_low"] == pytest.approx(welch.confidence_interval().low * ratio, rel=1e-9)
        assert (row["level"], row["against"]) == ("orders", "t")

    def test_holm_over_all_rows(self, rng: np.random.Generator) -> None:
        arms = {name: {arm: Moments.of(rng.normal(size=50)) for arm in ("c", "t", "u")} for name in ("orders", "nps")}
        rows = balance(arms, control="c")
        assert rows[["level", "against"]].to_numpy().tolist() == [
            ["nps", "t"],
            ["nps", "u"],
            ["orders", "t"],
            ["orders", "u"],
        ]
        least = rows["p_value"].idxmin()
        assert rows.loc[least, "p_adjusted"] == pytest.approx(min(4 * rows.loc[least, "p_value"], 1))

    def test_grades(self) -> None:
        def apart(by: float) -> str:
            values = np.arange(100.0)
            return str(
                balance({"a": {"c": Moments.of(values), "t": Moments.of(values + by)}}, control="c")["at"].iloc[0]
            )

        assert [apart(by) for by in (0, 11.5, 15)] == ["passes", "warns", "fails"]  # t = 0, 2.80, 3.66

    def test_no_values_before(self) -> None:
        row = balance({"a": {"c": Moments.of([]), "t": Moments.of([1.0, 2.0])}}, control="c").iloc[0]
        assert (row["status"], row["at"]) == ("undefined", "passes")
        with pytest.raises(UsageError, match="no moments of the control 'c' for a"):
            balance({"a": {"t": Moments.of([1.0, 2.0])}}, control="c")

    def test_values_before_of_those_with_and_without_an_outcome(self, rng: np.random.Generator) -> None:
        """The engine sums y_pre over everybody: the ratio of before, with as many units."""
        pre, times = rng.poisson(3, 40).astype(float), rng.poisson(1, 40).astype(float)
        pre *= times
        whole = Moments.of(np.ones(40), y_pre=pre, x_pre=times)
        expected = Moments.of(pre, times)
        found = earlier(whole, 40)
        assert float(found.ratio) == pytest.approx(float(expected.ratio))
        assert float(found.variance) == pytest.approx(float(expected.variance))
        alone = earlier(Moments.of(np.ones(40), y_pre=pre))
        assert float(alone.variance) == pytest.approx(pre.var(ddof=1) / 40)
        with pytest.raises(UsageError, match="no values of before"):
            earlier(Moments.of(pre))


class TestHealth:
    def test_the_gravest_comes_first(self) -> None:
        rows = health(
            exposure(exposed(several=3)), sample_ratio({"c": 5_000, "t": 5_500}),
            missingness({"c": 100, "t": 100}, {"c": 50, "t": 52}),
        )  # fmt: skip
        assert rows["at"].tolist() == ["fails", "warns", "passes", "passes"]
        assert rows["metric"].iloc[0] == "sample_ratio_mismatch"
        assert gravity(rows) == "fails"
        assert gravity(rows[rows["at"] != "fails"]) == "warns"
        assert gravity(results.empty()) == "passes"

    def test_cookie_cats_warns(self) -> None:
        """44,700 and 45,489 players (p = .0086): a warning, short of what withholds the verdict."""
        rows = health(sample_ratio({"gate_30": 44_700, "gate_40": 45_489}))
        assert gravity(rows) == "warns"
        assert rows["p_value"].iloc[0] == pytest.approx(0.0086, abs=5e-5)

    def test_grades(self) -> None:
        rows = results.frame(comparison="test", estimate=1.0, p_value=[0.0009, 0.001, 0.0099, 0.01, np.nan])
        assert graded(rows)["at"].tolist() == ["fails", "warns", "warns", "passes", "passes"]
        adjusted = results.conform(rows.assign(p_adjusted=0.02))
        assert set(graded(adjusted)["at"]) == {"passes"}
        with pytest.raises(UsageError, match="'treatment' is no gravity"):
            gravity(results.label(rows, at="treatment"))


@pytest.mark.simulation
def test_healthy_experiments_are_seldom_warned_of(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Missingness and balance warn at most 1 in 100 healthy experiments each: p-values below .01, Holm over 3."""
    times, warned = replicates(15, 3_000), np.zeros(2)
    for _ in range(times):
        arm, known = rng.random(600) < 0.5, rng.random(600) < 0.3
        units = {name: float((arm == which).sum()) for name, which in (("c", False), ("t", True))}
        with_one = {name: float((known & (arm == which)).sum()) for name, which in (("c", False), ("t", True))}
        warned[0] += gravity(missingness(units, with_one)) != "passes"
        before = rng.exponential(size=(3, 600))
        moments = {str(k): {"c": Moments.of(y[~arm]), "t": Moments.of(y[arm])} for k, y in enumerate(before)}
        warned[1] += gravity(balance(moments, control="c")) != "passes"
    assert (warned / times <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / times)).all()
