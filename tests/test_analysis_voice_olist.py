"""Portuguese comments of a real shop (Olist) coded with the shipped codebook: against the stars and the parcels.

Nobody labelled them, but the shop knows when each parcel came: whoever writes of a delay should have waited.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cxlib import params
from cxlib.analysis import voice
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def reviews(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    folder = shared_data("olist_sample_a")
    found = pd.read_csv(folder / "olist_order_reviews_dataset.csv")
    found = found[found["review_comment_message"].fillna("").str.strip() != ""]
    orders = pd.read_csv(folder / "olist_orders_dataset.csv")
    return found.merge(orders, on="order_id")


@pytest.fixture(scope="module")
def coded(reviews: pd.DataFrame) -> pd.DataFrame:
    return voice.code(reviews["review_comment_message"], params.load(ROOT).codebook).astype(bool)


def test_most_comments_name_a_theme(coded: pd.DataFrame) -> None:
    assert len(coded) > 1_000
    assert coded.any(axis=1).mean() > 0.75


def test_themes_go_with_the_stars(reviews: pd.DataFrame, coded: pd.DataFrame) -> None:
    stars = reviews["review_score"]
    for theme in ("delivery_delay", "faulty", "unresolved"):
        assert coded.loc[stars <= 2, theme].mean() > 5 * coded.loc[stars >= 4, theme].mean(), theme
    for theme in ("praise", "on_time"):
        assert coded.loc[stars >= 4, theme].mean() > 5 * coded.loc[stars <= 2, theme].mean(), theme


def test_who_writes_of_a_delay_has_waited(reviews: pd.DataFrame, coded: pd.DataFrame) -> None:
    """Late or not there when the customer wrote; and who praises the delivery had it in time."""
    promised, came = (
        pd.to_datetime(reviews[name]) for name in ("order_estimated_delivery_date", "order_delivered_customer_date")
    )
    late = (came.dt.normalize() > promised) | came.isna() | (came > pd.to_datetime(reviews["review_creation_date"]))
    assert late[coded["delivery_delay"]].mean() > 4 * late[~coded["delivery_delay"]].mean()
    assert late[coded["on_time"]].mean() < late.mean() / 2
    assert coded.loc[late, "delivery_delay"].mean() > 0.4
