"""What the models assume: does it hold, and is it said when it does not.

Outside references: the chi-square of Fader, Hardie and Lee (2005) for CDNOW (4.82 with 3 degrees of freedom, p = .19);
the correlation of lifetimes' documentation (.11388); SciPy's tests; the seasons planted in the demo company.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis.value import checks, fit_bg_nbd, fit_gamma_gamma, season, summarise_transactions
from cxlib.analysis.value.checks import LEAST_REPEAT, refusals
from cxlib.errors import UsageError
from tests.value_frames import cdnow_sample, drawn, orders

COLUMNS = ("customer_id", "ordered_at")


def fitted(summary: pd.DataFrame) -> tuple:
    fit = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
    return fit, fit_gamma_gamma(summary["frequency"], summary["monetary_value"])


def of(found: pd.DataFrame, name: str) -> pd.Series:
    mine = found[found["metric"] == name]
    assert len(mine) == 1
    return mine.iloc[0]


@pytest.fixture(scope="module")
def cdnow(request: pytest.FixtureRequest) -> pd.DataFrame:
    rows = cdnow_sample(request.getfixturevalue("shared_data")("cdnow"))
    summary = summarise_transactions(rows, *COLUMNS, "amount", end="1997-09-30")
    return checks(summary, *fitted(summary))


class TestCdnow:
    def test_purchases_fit_as_in_the_paper(self, cdnow: pd.DataFrame) -> None:
        row = of(cdnow, "purchase_fit")
        assert "chi-square 4.82, 3 degrees" in row["note"]
        assert row["p_value"] == pytest.approx(stats.chi2.sf(4.82, 3), abs=5e-4)
        assert row["note"].startswith("holds")

    def test_correlation(self, cdnow: pd.DataFrame, oracle: Callable) -> None:
        row = of(cdnow, "frequency_value_correlation")
        expected = oracle("clv_gammagamma_cdnow")["recomputed"]["lifetimes"]["corr_freq_monetary"]
        assert row["estimate"] == pytest.approx(expected, abs=1e-4)  # theirs from amounts rounded to cents
        assert row["conf_low"] > 0
        assert row["note"].startswith("doubt: those who buy more often spend more")

    def test_repeat_buyers(self, cdnow: pd.DataFrame) -> None:
        row = of(cdnow, "repeat_buyers")
        assert (row["n"], row["estimate"]) == (2357, pytest.approx(946 / 2357))
        assert not refusals(cdnow)


class TestRules:
    def test_the_interval_of_a_correlation_is_scipys(self, rng: np.random.Generator) -> None:
        some = drawn(rng, 1_000)
        kept = some.x > 0
        other = stats.pearsonr(some.x[kept], some.mean[kept]).confidence_interval(0.9)
        row = of(checks(some.summary, *fitted(some.summary), confidence=0.9), "frequency_value_correlation")
        assert (row["conf_low"], row["conf_high"]) == pytest.approx((other.low, other.high), rel=1e-6)

    def test_what_is_refused(self, rng: np.random.Generator) -> None:
        some = drawn(rng, 4_000, lift=1.5)
        found = checks(some.summary, *fitted(some.summary))
        assert len(refusals(found)) == 1
        assert "fit groups of customers who buy alike apart" in refusals(found)[0]
        few = drawn(rng, 100)
        assert any(
            f"fewer than the {LEAST_REPEAT}" in reason for reason in refusals(checks(few.summary, *fitted(few.summary)))
        )

    def test_what_does_not_fit_is_doubted(self, rng: np.random.Generator) -> None:
        """Everybody buys three to six times, evenly: nothing like the model; amounts of two sorts."""
        x = rng.integers(3, 7, 2_000).astype(float)
        summary = pd.DataFrame({"frequency": x, "recency": x * 5, "T": np.full(2_000, 40.0)})
        summary["monetary_value"] = rng.choice([10.0, 500.0], 2_000) * rng.uniform(0.9, 1.1, 2_000)
        found = checks(summary, *fitted(summary))
        for name in ("purchase_fit", "spend_fit"):
            row = of(found, name)
            assert row["status"] == results.UNDEFINED or row["note"].startswith("doubt")

    def test_nothing_to_correlate(self) -> None:
        summary = pd.DataFrame(
            {"frequency": [1, 1, 0], "recency": [2, 3, 0], "T": [9, 9, 9], "monetary_value": [5, 5, 0]}
        )
        found = checks(summary, *fitted(summary))
        assert of(found, "frequency_value_correlation")["status"] == results.TOO_FEW
        assert of(found, "spend_fit")["status"] == results.UNDEFINED
        assert found[["estimate", "p_value"]].notna().sum().sum() == 1

    def test_without_amounts(self, rng: np.random.Generator) -> None:
        some = drawn(rng, 500)
        fit, _ = fitted(some.summary)
        assert list(checks(some.summary, fit)["metric"]) == ["repeat_buyers", "purchase_fit"]

    def test_classes_by_hand(self) -> None:
        """The chance of x repeat purchases in T, equation (8), by simulating 200,000 customers; 5 standard errors."""
        rng = np.random.default_rng(4)
        many = drawn(rng, 200_000, ahead=0.0)
        from cxlib.analysis.value.checks import _expected  # what the chi-square stands on
        from tests.value_frames import BUYS

        expected = _expected(np.array(BUYS), many.end)
        seen = np.bincount(np.minimum(many.x, 7).astype(int))
        assert expected.sum() == pytest.approx(200_000, rel=1e-12)
        assert (np.abs(seen - expected) < 5 * np.sqrt(expected)).all()

    @pytest.mark.simulation
    def test_false_alarms(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Where all holds, each check doubts or refuses in at most 5 % of cases (three standard errors)."""
        times, wrong = (
            replicates(60, 1_000),
            dict.fromkeys(("purchase_fit", "frequency_value_correlation", "spend_fit"), 0),
        )
        for _ in range(times):
            some = drawn(rng, 2_000)
            found = checks(some.summary, *fitted(some.summary))
            for name in wrong:
                wrong[name] += not of(found, name)["note"].startswith("holds")
        assert max(wrong.values()) / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)


class TestSeason:
    END = "2025-12-31"

    def seen(self, rows: pd.DataFrame, end: str = END) -> pd.DataFrame:
        summary = summarise_transactions(rows, *COLUMNS, end=end)
        fit = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
        return season(rows, *COLUMNS, fit, end=end)

    def test_a_planted_season_is_found(self, rng: np.random.Generator) -> None:
        kept = np.full(12, 0.5)
        kept[11] = 1.0
        found = self.seen(orders(rng, 2_000, season=kept))
        months = found[found["metric"] == "purchases_index"].set_index("period")
        assert of(found, "calendar")["note"].startswith("doubt: 202")
        rest = months["estimate"].drop(["2024-12", "2025-12"]).median()
        for month in ("2024-12", "2025-12"):
            assert months.loc[month, "estimate"] / rest == pytest.approx(2.0, rel=0.2)
        assert set(months["comparison"]) == {"index"}

    def test_the_demos_seasons(self) -> None:
        """Planted: 1.35 times the orders in November, 1.60 in December, 0.95 from March to July."""
        from cxlib.data import demo

        rows = demo.simulate(2_000, seed=7).tables["orders"].to_pandas()
        months = self.seen(rows, "2026-10-31")
        months = months[months["metric"] == "purchases_index"].set_index("period")
        planted, year = np.array(demo.TRUTHS.orders.season), months["estimate"].loc["2024-01":]
        spring = year[year.index.str[-2:].isin(["03", "04", "05", "06", "07"])].mean()
        for month in (11, 12):
            found = year[year.index.str[-2:] == str(month)].mean() / spring
            # Two months of some 900 purchases each: a standard error of 3 %, three of them.
            assert found == pytest.approx(planted[month - 1] / planted[2:7].mean(), rel=0.09)
            assert (months.loc[[f"2024-{month}", f"2025-{month}"], "conf_low"] > 1.1).all()

    def test_a_trend_is_found(self, rng: np.random.Generator) -> None:
        rows = orders(rng, 2_500)
        days = (rows["ordered_at"] - rows["ordered_at"].min()).dt.days
        first = rows.groupby("customer_id")["ordered_at"].transform("min") == rows["ordered_at"]
        rows = rows[first | (rng.random(len(rows)) < 0.4 + 0.6 * days / 730)]
        row = of(self.seen(rows), "trend")
        assert row["conf_low"] > 0.1
        assert "more purchases a year" in row["note"]

    @pytest.mark.simulation
    def test_false_alarms(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Without season or trend the tests doubt in at most 5 % of companies (three standard errors)."""
        times, wrong = replicates(20, 500), dict.fromkeys(("calendar", "trend"), 0)
        for _ in range(times):
            found = self.seen(orders(rng, 800))
            for name in wrong:
                wrong[name] += of(found, name)["note"].startswith("doubt")
        assert max(wrong.values()) / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)

    def test_expected_purchases_add_up(self, rng: np.random.Generator) -> None:
        """By plain sums over customers and months; their squares by customer make the intervals."""
        from cxlib.analysis.value import expected_purchases

        rows = orders(rng, 60, days=200, joined=100)
        summary = summarise_transactions(rows, *COLUMNS, end="2024-07-18")
        fit = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
        fit = type(fit)(0.8, 10.0, 0.8, 6.0, 0.0)
        found = season(rows, *COLUMNS, fit, end="2024-07-18")
        months = found[found["metric"] == "purchases_index"].set_index("period")
        first = rows.groupby("customer_id")["ordered_at"].min().dt.normalize()
        days = rows.assign(day=rows["ordered_at"].dt.normalize()).drop_duplicates(["customer_id", "day"])
        days = days[days["day"] > days["customer_id"].map(first)]
        begin, end = pd.Timestamp("2024-05-31"), pd.Timestamp("2024-06-30")
        ages = [((day - first).dt.days.clip(lower=0) / 7).to_numpy() for day in (begin, end)]
        each = np.subtract(*[expected_purchases(fit, age, 0, 0, 0) for age in ages[::-1]])
        june = days[(days["day"] > begin) & (days["day"] <= end)]
        seen = june.groupby("customer_id").size().reindex(first.index).fillna(0).to_numpy()
        assert months.loc["2024-06", "estimate"] == pytest.approx(seen.sum() / each.sum(), rel=1e-9)
        spread = np.sqrt(((seen - each) ** 2).sum()) / seen.sum()
        assert months.loc["2024-06", "std_error"] == pytest.approx(spread * seen.sum() / each.sum(), rel=1e-9)

    def test_too_short_and_unfitted(self, rng: np.random.Generator) -> None:
        rows = orders(rng, 300)
        summary = summarise_transactions(rows, *COLUMNS, end=self.END)
        fit = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
        short = season(rows, *COLUMNS, fit, end="2024-02-14")
        assert set(short.loc[short["metric"].isin(["calendar", "trend"]), "status"]) == {results.TOO_FEW}
        nobody = fit_bg_nbd([0, 0], [0, 0], [1, 1])
        found = season(rows, *COLUMNS, nobody, end=self.END)
        assert set(found["status"]) == {results.UNDEFINED}
        with pytest.raises(UsageError, match=r"no column 'day' \(date\)"):
            season(rows, "customer_id", "day", nobody, end=self.END)
