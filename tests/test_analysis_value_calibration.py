"""Predicted against observed in a hold-out.

Outside references: the vignette of R's BTYD (observed means by class, customers by class) for CDNOW; sums by hand;
simulation from the model itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.value import (
    Calibration,
    calibrate,
    expected_purchases,
    expected_spend,
)  # fmt: skip
from cxlib.errors import UsageError
from tests.value_frames import cdnow_sample, orders

COLUMNS = ("customer_id", "ordered_at", "amount")


@pytest.fixture(scope="module")
def transactions(request: pytest.FixtureRequest) -> pd.DataFrame:
    return cdnow_sample(request.getfixturevalue("shared_data")("cdnow"))


@pytest.fixture(scope="module")
def cdnow(transactions: pd.DataFrame) -> Calibration:
    return calibrate(transactions, *COLUMNS, split="1997-09-30", end="1998-06-30")


def rows_of(frame: pd.DataFrame, metric: str, comparison: str = "level") -> pd.DataFrame:
    return frame[(frame["metric"] == metric) & (frame["comparison"] == comparison)].set_index("level")


class TestCdnow:
    def test_observed_is_that_of_btyd(self, cdnow: Calibration) -> None:
        """The vignette's `pnbd.PlotFreqVsConditionalExpectedFrequency`: act and bin; three decimals are printed."""
        seen = rows_of(cdnow.classes, "purchases_observed").drop("all")
        assert seen.index.tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
        expected = [0.237, 0.697, 1.393, 1.560, 2.532, 2.947, 3.862, 6.359]
        assert seen["estimate"].to_numpy() == pytest.approx(expected, abs=5e-4)
        assert seen["n"].tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]

    def test_predicted_are_conditional_expectations(self, cdnow: Calibration) -> None:
        summary, fit = cdnow.summary, cdnow.purchases
        ahead = expected_purchases(fit, 39, summary["frequency"], summary["recency"], summary["T"])
        guess = rows_of(cdnow.classes, "purchases_predicted")
        assert guess.loc["all", "estimate"] == pytest.approx(ahead.mean(), rel=1e-9)
        assert guess.loc["1", "estimate"] == pytest.approx(ahead[summary["frequency"] == 1].mean(), rel=1e-9)
        spend = expected_spend(cdnow.spend, summary["frequency"], summary["monetary_value"])
        money = rows_of(cdnow.classes, "revenue_predicted")
        assert money.loc["all", "estimate"] == pytest.approx((ahead * spend).mean(), rel=1e-9)
        assert set(guess["at"]) == {"39"}

    def test_money_is_that_of_the_file(self, cdnow: Calibration, transactions: pd.DataFrame) -> None:
        later = transactions[transactions["ordered_at"] > "19970930"]
        seen = rows_of(cdnow.classes, "revenue_observed")
        assert seen.loc["all", "estimate"] * 2357 == pytest.approx(later["amount"].sum(), rel=1e-9)

    def test_tracking_ends_where_the_classes_do(self, cdnow: Calibration) -> None:
        last = cdnow.tracking[cdnow.tracking["at"] == "39"].set_index(["metric", "comparison"])
        for side in ("observed", "predicted"):
            mean = rows_of(cdnow.classes, f"purchases_{side}").loc["all"]
            total = last.loc[(f"cumulative_purchases_{side}", "level")]
            assert total["estimate"] == pytest.approx(2357 * mean["estimate"], rel=1e-9)
            assert total["std_error"] == pytest.approx(2357 * mean["std_error"], rel=1e-3)  # n and n - 1
        between = last.loc[("cumulative_purchases_predicted", "difference")]
        mean = rows_of(cdnow.classes, "purchases_predicted", "difference").loc["all"]
        assert between["std_error"] == pytest.approx(2357 * mean["std_error"], rel=2e-3)
        assert between["p_value"] == pytest.approx(mean["p_value"], abs=2e-3)

    def test_what_the_model_misses(self, cdnow: Calibration) -> None:
        """The paper's own finding: the model falls short of what came; those who had bought again once are missed."""
        away = rows_of(cdnow.classes, "purchases_predicted", "difference")
        assert away.loc["all", "conf_high"] < 0
        assert away.loc["1", "p_adjusted"] < 0.05 < away.loc["0", "p_adjusted"]
        assert set(away["against"]) == {"observed"}


class TestOwn:
    def test_tracking_by_hand(self) -> None:
        """Purchases on days 7, 10 and 21 after the split, of three customers; one who came later is not looked at."""
        rng = np.random.default_rng(8)
        rows = orders(rng, 300, days=400)
        last = pd.Timestamp("2025-01-14")
        rows = rows[rows["ordered_at"].dt.normalize() <= last]
        who = sorted(set(rows["customer_id"]))[:3]
        extra = pd.DataFrame({
            "customer_id": [who[0], who[0], who[1], "new"],
            "ordered_at": last + pd.to_timedelta([7, 10, 21, 3], unit="D"), "amount": [5.0, 6.0, 7.0, 8.0],
        })  # fmt: skip
        found = calibrate(pd.concat([rows, extra]), *COLUMNS, split=last, end=last + pd.Timedelta(days=25))
        seen = found.tracking[found.tracking["metric"] == "cumulative_purchases_observed"].set_index("at")
        assert seen["estimate"].to_dict() == {"1": 1, "2": 2, "3": 3, f"{25 / 7:g}": 3}
        assert rows_of(found.classes, "revenue_observed").loc["all", "estimate"] * len(found.summary) == pytest.approx(
            18
        )
        spread = np.std([2, 1, *[0] * (len(found.summary) - 2)]) * np.sqrt(len(found.summary))
        assert seen["std_error"].iloc[-1] == pytest.approx(spread)

    def test_order_and_columns(self, rng: np.random.Generator) -> None:
        rows = orders(rng, 200, days=400)
        one = calibrate(rows, *COLUMNS, split="2024-10-31", end="2025-01-31")
        other = calibrate(rows.sample(frac=1, random_state=1), *COLUMNS, split="2024-10-31", end="2025-01-31")
        pd.testing.assert_frame_equal(one.classes, other.classes, check_exact=True)
        pd.testing.assert_frame_equal(one.tracking, other.tracking, check_exact=True)
        bare = calibrate(rows, *COLUMNS[:2], split="2024-10-31", end="2025-01-31")
        assert bare.spend is None
        assert set(bare.classes["metric"]) == {"purchases_observed", "purchases_predicted"}

    def test_small_classes_are_hidden(self, rng: np.random.Generator) -> None:
        rows = orders(rng, 200, days=400)
        found = calibrate(rows, *COLUMNS, split="2024-10-31", end="2025-01-31", min_n=15).classes
        hidden = found[found["status"] == results.SUPPRESSED]
        assert len(hidden)
        assert hidden[["estimate", "n"]].isna().all().all()

    def test_nothing_to_fit(self) -> None:
        rows = pd.DataFrame({"customer_id": list("abc"), "ordered_at": "2024-01-01", "amount": 5.0})
        found = calibrate(rows, *COLUMNS, split="2024-02-01", end="2024-03-01")
        for frame in (found.classes, found.tracking):
            assert set(frame["status"]) == {results.UNDEFINED}
            assert "nobody bought a second time" in frame["note"].iloc[0]

    @pytest.mark.simulation
    def test_the_model_is_not_accused_when_it_is_right(
        self, rng: np.random.Generator, replicates: Callable[[int, int], int]
    ) -> None:
        """The difference of all is `shown` in 5 % of companies that follow the model (three standard errors)."""
        times, shown = replicates(20, 500), 0
        for _ in range(times):
            found = calibrate(orders(rng, 600), *COLUMNS[:2], split="2024-12-31", end="2025-12-29")
            away = rows_of(found.classes, "purchases_predicted", "difference")
            shown += found.purchases.converged and away.loc["all", "p_value"] < 0.05
        assert shown / times <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)

    def test_what_cannot_be_used(self, rng: np.random.Generator) -> None:
        rows = orders(rng, 50, days=60)
        with pytest.raises(UsageError, match="the hold-out from 2024-03-01 to 2024-02-01"):
            calibrate(rows, *COLUMNS, split="2024-03-01", end="2024-02-01")
        with pytest.raises(UsageError, match=r"the transactions: no column 'money' \(amount\)"):
            calibrate(rows, *COLUMNS[:2], "money", split="2024-01-01", end="2024-02-01")
