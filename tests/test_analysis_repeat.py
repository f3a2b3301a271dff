"""Repeat purchase: by hand, against statsmodels and the CDNOW file, and where customers are still being watched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight
from statsmodels.stats.proportion import proportion_confint

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.errors import UsageError

REPEAT, MEDIAN = "repeat_purchase", "median_days_to_repeat"


@pytest.fixture(scope="module")
def cdnow(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    names = ["customer_id", "date", "units", "amount"]
    found = pd.read_csv(
        shared_data("cdnow") / "CDNOW_master.txt", sep=r"\s+", skiprows=1, names=names,
        dtype={"customer_id": str, "date": str},
    )  # fmt: skip
    return found.assign(ordered_at=pd.to_datetime(found["date"], format="%Y%m%d"))


def orders(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "ordered_at"])


def cell(frame: pd.DataFrame, at: str = "", level: str = "all", metric: str = REPEAT) -> pd.Series:
    mine = frame[(frame["metric"] == metric) & (frame["level"] == level) & (frame["at"] == at)]
    assert len(mine) == 1
    return mine.iloc[0]


class TestByHand:
    def test_four_customers(self) -> None:
        """Waits 10 (came), 20 (still out), 30 (came), 40 (still out): 1 - S is 1/4 at 10, 1 - 3/4 x 1/2 at 30."""
        given_ = orders(
            ("a", "2026-01-01"), ("a", "2026-01-11"), ("b", "2026-02-10"), ("c", "2026-01-20"), ("c", "2026-02-19"),
            ("d", "2026-01-21"),
        )  # fmt: skip
        found = loyalty.repeat_purchase(given_, end="2026-03-02", windows=(10, 30))
        assert cell(found, "10")["estimate"] == pytest.approx(1 / 4)
        assert cell(found, "30")["estimate"] == pytest.approx(1 - 3 / 4 * 1 / 2)
        assert cell(found, "10")["n"] == 4
        assert cell(found, metric=MEDIAN)["estimate"] == 30

    def test_one_day_is_one_purchase_and_later_days_are_not_known(self) -> None:
        given_ = orders(
            ("a", "2026-01-01 09:00"), ("a", "2026-01-01 18:00"), ("b", "2026-01-01"), ("b", "2026-01-05"),
            ("a", "2026-03-01"), ("c", "2026-02-20"),
        )  # fmt: skip
        found = loyalty.repeat_purchase(given_, end="2026-01-31", windows=(20,))
        assert cell(found, "20")["estimate"] == 0.5
        assert cell(found, "20")["n"] == 2
        assert "2 rows after the end left out" in cell(found, "20")["note"]

    def test_from_the_second_purchase_on(self) -> None:
        given_ = orders(
            ("a", "2026-01-01"), ("a", "2026-01-02"), ("a", "2026-01-05"), ("b", "2026-01-01"), ("b", "2026-01-03"),
            ("c", "2026-01-01"),
        )  # fmt: skip
        found = loyalty.repeat_purchase(given_, end="2026-02-28", windows=(3,), after=2)
        assert (cell(found, "3")["estimate"], cell(found, "3")["n"]) == (0.5, 2)

    def test_a_window_that_nobody_was_watched_for(self) -> None:
        found = loyalty.repeat_purchase(
            orders(("a", "2026-01-01"), ("b", "2026-01-02")), end="2026-01-11", windows=(5, 30)
        )
        assert cell(found, "30")["status"] == results.UNDEFINED
        assert "nobody was watched for longer than 10" in cell(found, "30")["note"]
        row = cell(found, "5")
        assert (row["estimate"], row["status"], row["conf_low"]) == (0.0, "ok", 0.0)
        assert row["conf_high"] == pytest.approx(proportion_confint(0, 2, method="beta")[1])
        assert row["note"] == "nobody bought again"
        assert "have not bought again" in cell(found, metric=MEDIAN)["note"]

    def test_cohorts_and_segments(self) -> None:
        given_ = orders(("a", "2026-01-31"), ("b", "2026-02-01"), ("b", "2026-02-03"), ("c", "2026-04-30")).assign(
            channel=["web", "shop", "web", "web"]
        )
        by_month = loyalty.repeat_purchase(given_, end="2026-06-30", windows=(7,), cohort="month")
        assert list(dict.fromkeys(by_month["level"])) == ["2026-01", "2026-02", "2026-04"]
        assert set(by_month["segment"]) == {"month"}
        quarters = loyalty.repeat_purchase(given_, end="2026-06-30", windows=(7,), cohort="quarter")
        assert list(dict.fromkeys(quarters["level"])) == ["2026-Q1", "2026-Q2"]
        channels = loyalty.repeat_purchase(given_, end="2026-06-30", windows=(7,), by="channel")
        assert cell(channels, "7", "shop")["estimate"] == 1  # the channel of the first purchase
        assert cell(channels, "7", "web")["estimate"] == 0

    def test_small_groups_are_hidden(self) -> None:
        given_ = orders(*((f"c{number}", "2026-01-01") for number in range(12)), ("x", "2026-02-01"))
        found = loyalty.repeat_purchase(given_, end="2026-06-30", windows=(7,), cohort="month", min_n=10)
        assert cell(found, "7", "2026-02")["status"] == results.SUPPRESSED
        assert cell(found, "7", "2026-01")["status"] == results.OK

    def test_what_is_wrong_is_told(self) -> None:
        given_ = orders(("a", "2026-01-01"))
        for wrong, words in (
            ({"windows": (0,)}, "more than 0"), ({"windows": ()}, "more than 0"), ({"by": "channel"}, "channel"),
            ({"cohort": "day"}, "no cohort"), ({"by": "customer_id", "cohort": "month"}, "not by both"),
            ({"after": 0}, "counted from 1"), ({"after": 2}, "no customer has 2 purchases"),
        ):  # fmt: skip
            with pytest.raises(UsageError, match=words):
                loyalty.repeat_purchase(given_, end="2026-06-30", **wrong)  # type: ignore[arg-type]


class TestCdnow:
    def test_the_counts_of_the_file(self, cdnow: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
        """Everybody was watched for 457 days (the last joined on 1997-03-31): the share is a count."""
        expected = oracle("cdnow_master_counts")["expected"]
        found = loyalty.repeat_purchase(cdnow, end="1998-06-30", windows=(30, 180, 450))
        days = cdnow.drop_duplicates(["customer_id", "ordered_at"]).sort_values("ordered_at")
        second = days.groupby("customer_id")["ordered_at"].nth(1)
        first = days.groupby("customer_id")["ordered_at"].nth(0)
        first.index, second.index = days.loc[first.index, "customer_id"], days.loc[second.index, "customer_id"]
        wait = (second - first).dt.days
        for at in (30, 180, 450):
            assert cell(found, str(at))["estimate"] == pytest.approx(
                (wait <= at).sum() / expected["customers"], abs=1e-12
            )
        assert cell(found, "30")["n"] == expected["customers"]
        third = loyalty.repeat_purchase(cdnow, end="1998-06-30", windows=(30,), after=2)
        share = cell(third, "30")["n"] / expected["customers"]
        assert share == pytest.approx(expected["share_customers_with_2plus_purchase_days"], abs=1e-12)

    def test_buyers_who_came_back_come_back_sooner(self, cdnow: pd.DataFrame) -> None:
        """Known of CDNOW since Fader and Hardie (2001): the more purchases, the likelier the next."""
        shares = [
            cell(loyalty.repeat_purchase(cdnow, end="1998-06-30", windows=(90,), after=number), "90")
            for number in (1, 2, 3)
        ]
        assert shares[0]["conf_high"] < shares[1]["conf_low"] < shares[1]["conf_high"] < shares[2]["conf_low"]


@st.composite
def some_orders(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 80)), min_size=1, max_size=40))
    who, day = zip(*rows, strict=True)
    return pd.DataFrame({"customer_id": who, "ordered_at": pd.Timestamp("2026-01-01") + pd.to_timedelta(day, unit="D")})


@settings(max_examples=20)
@given(some_orders())
def test_any_orders(given_: pd.DataFrame) -> None:
    """Rises with the window, stays within its interval and 0 to 1, needs no order, and is statsmodels' 1 - S."""
    windows = (1, 5, 20, 60)
    found = loyalty.repeat_purchase(given_, end="2026-03-22", windows=windows)
    shuffled = loyalty.repeat_purchase(given_.iloc[::-1], end="2026-03-22", windows=windows)
    pd.testing.assert_frame_equal(found, shuffled)
    known = found[(found["metric"] == REPEAT) & (found["status"] == results.OK)]
    assert (np.diff(known["estimate"]) >= -1e-12).all()
    assert known["estimate"].between(0, 1).all()
    assert ((known["conf_low"] <= known["estimate"] + 1e-12) & (known["estimate"] <= known["conf_high"] + 1e-12)).all()
    days = given_.drop_duplicates().sort_values("ordered_at").groupby("customer_id")["ordered_at"]
    first, second = days.min(), days.agg(lambda t: t.iloc[1] if len(t) > 1 else pd.NaT)
    wait = (second.fillna(pd.Timestamp("2026-03-22")) - first).dt.days.to_numpy()
    fit = SurvfuncRight(wait, second.notna().astype(int).to_numpy())
    for _, row in known.iterrows():
        upto = fit.surv_prob[fit.surv_times <= float(row["at"])]
        assert row["estimate"] == pytest.approx(1 - (upto[-1] if upto.size else 1.0), abs=1e-12)


@pytest.mark.simulation
def test_customers_who_are_still_watched(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Exponential waits, customers who joined all along: the interval holds 1 - exp(-60 / 100) in 95 of 100 cases.

    To count only those who have bought again by now says too little: that is what the curve is for.
    """
    times, held, naive = replicates(80, 4_000), 0, []
    truth = 1 - np.exp(-0.6)
    for _ in range(times):
        joined, wait = rng.integers(0, 120, 300), np.ceil(rng.exponential(100, 300))
        day = np.concatenate([joined, (joined + wait)])
        given_ = pd.DataFrame({
            "customer_id": np.tile(np.arange(300), 2),
            "ordered_at": pd.Timestamp("2026-01-01") + pd.to_timedelta(day, unit="D"),
        })  # fmt: skip
        row = cell(loyalty.repeat_purchase(given_, end="2026-05-01", windows=(60,)), "60")
        held += row["conf_low"] <= truth <= row["conf_high"]
        naive.append(np.mean((wait <= 60) & (joined + wait <= 120)))
    assert held / times >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)
    assert np.mean(naive) < truth - 0.05
