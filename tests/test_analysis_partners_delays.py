"""Being late: Olist against R, slopes against statsmodels, and how much of a planted difference it explains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from cxlib.analysis import partners
from cxlib.errors import UsageError


def olist(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    """Return one row a review: score, days late, the seller of the order's largest value."""
    folder = shared_data("olist_sample_a")
    orders, reviews, items, customers = (
        pd.read_csv(folder / f"olist_{name}_dataset.csv")
        for name in ("orders", "order_reviews", "order_items", "customers")
    )
    worth = items.groupby(["order_id", "seller_id"], as_index=False)["price"].sum()
    worth = worth.sort_values(["order_id", "price", "seller_id"], ascending=[True, False, True])
    found = reviews.merge(orders, on="order_id").merge(worth.drop_duplicates("order_id"), on="order_id", how="left")
    found = found.merge(customers, on="customer_id")
    late = pd.to_datetime(found["order_delivered_customer_date"]) - pd.to_datetime(
        found["order_estimated_delivery_date"]
    )
    return pd.DataFrame(
        {
            "score": found["review_score"], "days_late": late.dt.total_seconds() / 86_400,
            "partner_id": found["seller_id"], "customer_id": found["customer_unique_id"],
            "price": np.log1p(found["price"]), "region": found["customer_state"],
        }
    )  # fmt: skip


class TestOlist:
    def test_late_and_on_time_as_r(self, shared_data: Callable[[str], Path], oracle: Callable[[str], dict]) -> None:
        expected = oracle("olist_a_csat")["expected"]
        found = partners.delay(olist(shared_data), "score", "days_late", edges=(0,)).set_index("level")
        assert found.loc["late", "estimate"] == pytest.approx(expected["mean_score_late"], abs=1e-6)
        assert found.loc["on time", "estimate"] == pytest.approx(expected["mean_score_ontime"], abs=1e-6)
        assert found.loc["late", "n"] / found["n"].sum() == pytest.approx(expected["late_share"], abs=1e-6)

    def test_within_sellers_later_is_worse(self, shared_data: Callable[[str], Path]) -> None:
        frame = olist(shared_data)
        found = partners.delay_effect(frame, "score", "days_late", "partner_id", case_mix=["price"]).set_index("level")
        steps = found.loc[["up to 3 days late", "3 to 7 days late", "more than 7 days late"]]
        assert (np.diff(steps["estimate"]) < 0).all()
        assert (steps["conf_high"] < 0).all()
        early = found.loc["more than 7 days early"]
        assert early["conf_low"] < 0 < early["conf_high"]  # earlier still is no better

    def test_delays_explain_a_part_of_what_sellers_differ_by(self, shared_data: Callable[[str], Path]) -> None:
        frame = olist(shared_data)
        frame["late"] = partners.late_levels(frame["days_late"]).astype(object)
        how = {"case_mix": ["price", "region"], "bootstrap": 200}
        found = partners.explained(frame, "score", "partner_id", ["late"], **how).set_index(["metric", "at"])
        share = found.loc[("share_explained", "late")]
        assert 0 < share["conf_low"] < share["estimate"] < share["conf_high"] < 1
        before, after = (found.loc[("partner_sd", at), "estimate"] for at in ("before", "after"))
        assert 1 - (after / before) ** 2 == pytest.approx(share["estimate"])


class TestLevels:
    def test_names_and_edges(self) -> None:
        found = partners.late_levels(pd.Series([-9.0, -7.0, -1.0, 0.0, 0.01, 3.0, 5.0, 7.5, np.nan]))
        assert found.astype(object).tolist() == [
            "more than 7 days early", "more than 7 days early", "up to 7 days early", "up to 7 days early",
            "up to 3 days late", "up to 3 days late", "3 to 7 days late", "more than 7 days late", np.nan,
        ]  # fmt: skip

    def test_other_edges(self) -> None:
        names = partners.late_levels(pd.Series([1.0]), (-10, -3, 0)).cat.categories.tolist()
        assert names == ["more than 10 days early", "3 to 10 days early", "up to 3 days early", "late"]
        assert partners.late_levels(pd.Series([1.0]), (0, 2)).cat.categories.tolist() == [
            "on time", "up to 2 days late", "more than 2 days late",
        ]  # fmt: skip

    @pytest.mark.parametrize("edges", [(1, 2), (3, 0), (0, 0)])
    def test_edges_that_cannot_be(self, edges: tuple) -> None:
        with pytest.raises(UsageError, match="must increase and hold 0"):
            partners.late_levels(pd.Series([1.0]), edges)


def shops(rng: np.random.Generator, n: int = 3_000) -> pd.DataFrame:
    """Return orders of 30 shops; some are late more often, and being late costs 2 points; nothing else differs."""
    shop = rng.integers(0, 30, n)
    late = rng.random(n) < np.linspace(0.02, 0.7, 30)[shop]
    days = np.where(late, rng.exponential(3, n), -rng.exponential(3, n))
    who = rng.integers(0, n // 2, n)
    y = 4 - 2.0 * late + rng.normal(0, 1, n) + 0.5 * rng.normal(0, 1, n // 2)[who]
    return pd.DataFrame({"y": y, "days": days, "shop": [f"s{s:02d}" for s in shop], "customer_id": who})


class TestEffect:
    def test_slopes_and_errors_as_statsmodels(self, rng: np.random.Generator) -> None:
        frame = shops(rng)
        found = partners.delay_effect(frame, "y", "days", "shop", edges=(0, 3)).set_index("level")
        level = partners.late_levels(frame["days"], (0, 3)).astype(str)
        model = smf.ols("y ~ C(level, Treatment('on time')) + C(shop)", frame.assign(level=level)).fit(
            cov_type="cluster", cov_kwds={"groups": frame["customer_id"], "use_correction": False}
        )
        groups = frame["customer_id"].nunique()
        for name, row in found.iterrows():
            term = f"C(level, Treatment('on time'))[T.{name}]"
            assert row["estimate"] == pytest.approx(model.params[term], abs=1e-9)
            assert row["std_error"] == pytest.approx(model.bse[term] * np.sqrt(groups / (groups - 1)), rel=1e-9)
            assert row["conf_low"] < -2 < row["conf_high"]

    def test_all_that_shops_differ_by_is_lateness(self, rng: np.random.Generator) -> None:
        frame = shops(rng)
        frame["late"] = (frame["days"] > 0).astype(str)
        found = partners.explained(frame, "y", "shop", ["late"], bootstrap=200).set_index("metric")
        assert found.loc["share_explained", "estimate"] > 0.9
        assert found.loc["share_explained", "conf_high"] <= 1

    def test_where_partners_are_alike_there_is_nothing_to_explain(self, rng: np.random.Generator) -> None:
        frame = shops(rng).assign(y=rng.normal(0, 1, 3_000))
        frame["late"] = (frame["days"] > 0).astype(str)
        found = partners.explained(frame, "y", "shop", ["late"], bootstrap=100).set_index("metric")
        assert found.loc["share_explained", "status"] == "too_few"
        assert "hardly differ" in found.loc["share_explained", "note"]

    def test_without_an_order_on_time_there_is_no_effect(self, rng: np.random.Generator) -> None:
        frame = shops(rng)
        found = partners.delay_effect(frame[frame["days"] > 0], "y", "days", "shop")
        assert found["status"].tolist() == ["too_few"]
        assert "up to 7 days early" in found["note"].iloc[0]

    def test_a_level_no_partner_shares_with_on_time(self) -> None:
        frame = pd.DataFrame(
            {
                "y": [1.0, 2, 3, 4, 5, 6.5],
                "days": [-1, -2, -1, 9, 9, 9],
                "shop": list("aaabbb"),
                "customer_id": range(6),
            }
        )
        found = partners.delay_effect(frame, "y", "days", "shop").set_index("level")
        assert found.loc["more than 7 days late", "status"] == "too_few"

    def test_few_customers_are_hidden(self, rng: np.random.Generator) -> None:
        frame = shops(rng, 400)
        frame.loc[frame.index[:3], "days"] = 500.0
        edges = (0, 300)
        level = partners.delay(frame, "y", "days", edges=edges, min_n=5).set_index("level")
        effect = partners.delay_effect(frame, "y", "days", "shop", edges=edges, min_n=5).set_index("level")
        assert level.loc["more than 300 days late", "status"] == "suppressed"
        assert effect.loc["more than 300 days late", "status"] == "suppressed"
        assert effect.loc["up to 300 days late", "status"] == "ok"
