"""Churn by its four denominators: by hand, by a plain loop, by simulation, and against the company's own metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.analysis import loyalty
from cxlib.data import demo
from cxlib.errors import UsageError

START, END = "2026-10-01", "2026-11-01"
MONTH = 30.4375


def subscriptions(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["customer_id", "started_on", "ended_on"])


def values(found: pd.DataFrame) -> dict[str, float]:
    return found.set_index("level")["estimate"].to_dict()


BY_HAND = subscriptions(
    ("a", "2026-01-01", None),
    ("b", "2026-01-01", "2026-10-11"),  # ten days of October, then gone
    ("c", "2026-10-16", None),  # joined for the last sixteen days
    ("d", "2026-10-01", "2026-10-22"),  # joined on the first day and left after 21
    ("e", "2026-01-01", "2026-10-01"),  # there when October began, gone on its first day
    ("f", "2026-01-01", "2026-09-30"),  # had left before
    ("g", "2026-11-01", None),  # came after
)


class TestByHand:
    def test_the_four_denominators(self) -> None:
        """Lost: b, d, e. There at the start: a, b, e; at the end: a, c. Days: 31 + 10 + 16 + 21 + 0 = 78."""
        found = loyalty.churn(BY_HAND, START, END)
        assert found["level"].to_list() == ["customer-time", "start cohort", "average", "start"]
        assert values(found) == pytest.approx(
            {"customer-time": 3 / 78 * MONTH, "start cohort": 2 / 3, "average": 3 / 2.5, "start": 1.0}
        )
        assert set(found["period"]) == {"2026-10"}
        assert set(found["segment"]) == {"denominator"}
        assert found.set_index("level")["n"].to_dict() == {
            "customer-time": 4,
            "start cohort": 3,
            "average": 4,
            "start": 3,
        }
        assert "its numerator sees those who joined" in found.set_index("level")["note"]["start"]

    def test_a_change_of_plan_is_no_loss(self) -> None:
        """Spells that touch or overlap are one; a gap of a day is a loss and a return."""
        found = subscriptions(("a", "2026-01-01", "2026-10-10"), ("a", "2026-10-10", None), ("b", "2026-01-01", None))
        assert values(loyalty.churn(found, START, END))["start cohort"] == 0
        back = subscriptions(("a", "2026-01-01", "2026-10-10"), ("a", "2026-10-11", None), ("b", "2026-01-01", None))
        rates = values(loyalty.churn(back, START, END))
        assert rates["start cohort"] == 0.5
        assert rates["customer-time"] == pytest.approx(1 / 61 * MONTH)
        inside = subscriptions(("a", "2026-01-01", "2026-12-01"), ("a", "2026-10-05", "2026-10-08"))
        assert values(loyalty.churn(inside, START, END))["customer-time"] == 0

    def test_nobody(self) -> None:
        found = loyalty.churn(BY_HAND.iloc[:0], START, END)
        assert set(found["status"]) == {"undefined"}
        assert set(found["note"]) == {"no customer to leave"}

    def test_labels_of_periods(self) -> None:
        for first, last, label in (
            ("2026-10-01", "2027-01-01", "2026-Q4"), ("2026-10-05", "2026-10-12", "2026-W41"),
            ("2026-10-02", "2026-11-01", ""), ("2026-10-01 12:00", "2026-11-01", ""),
        ):  # fmt: skip
            assert set(loyalty.churn(BY_HAND, first, last)["period"]) == {label}

    def test_few_customers_are_hidden(self) -> None:
        status = loyalty.churn(BY_HAND, START, END, min_n=4).set_index("level")["status"]
        assert status.to_dict() == {
            "customer-time": "ok", "start cohort": "suppressed", "average": "ok", "start": "suppressed",
        }  # fmt: skip


class TestTheDoor:
    def test_types_that_exports_bring(self) -> None:
        expected = loyalty.churn(BY_HAND, START, END)
        for kind in ("datetime64[us]", "date32[pyarrow]", "datetime64[ns, Europe/Madrid]"):
            dates = {name: pd.to_datetime(BY_HAND[name]) for name in ("started_on", "ended_on")}
            if kind.endswith("Madrid]"):
                dates = {name: column.dt.tz_localize("UTC") for name, column in dates.items()}
            else:
                dates = {name: column.astype("datetime64[us]").astype(kind) for name, column in dates.items()}
            pd.testing.assert_frame_equal(
                loyalty.churn(BY_HAND.assign(**dates), pd.Timestamp(START), pd.Timestamp(END).date()), expected
            )
        objects = BY_HAND.assign(started_on=[pd.Timestamp(day).date() for day in BY_HAND["started_on"]])
        pd.testing.assert_frame_equal(loyalty.churn(objects, START, END), expected)
        pd.testing.assert_frame_equal(loyalty.churn(BY_HAND.fillna({"ended_on": ""}), START, END), expected)
        open_end = BY_HAND.fillna({"ended_on": "9999-12-31"})
        pd.testing.assert_frame_equal(loyalty.churn(open_end, START, END), expected)

    def test_rows_without_a_customer_are_left_out_and_counted(self) -> None:
        more = pd.concat([BY_HAND, subscriptions((None, "2026-01-01", None), ("h", None, None))])  # type: ignore[arg-type]
        found = loyalty.churn(more, START, END)
        assert values(found) == values(loyalty.churn(BY_HAND, START, END))
        assert found["note"].iloc[0] == "2 rows without customer_id or started_on left out"

    @pytest.mark.parametrize(
        ("frame", "start", "words"),
        [
            (subscriptions(("a", "2026-02-01", "2026-01-01")), START, "ended_on is before started_on in 1 rows"),
            (subscriptions(("a", "01/02/2026", None)), START, "started_on is no date in 1 row, the first '01/02/2026'"),
            (subscriptions(("a", 20260101, None)).astype({"started_on": int}), START, "holds numbers, not dates"),  # type: ignore[arg-type]
            (BY_HAND, "2026-11-01", "has no days"),
            (BY_HAND, "soon", "start 'soon' is no date"),
            (BY_HAND.rename(columns={"ended_on": "end_on"}), START, "no column 'ended_on'.*did you mean 'end_on'"),
        ],
    )
    def test_what_cannot_be_used(self, frame: pd.DataFrame, start: str, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            loyalty.churn(frame, start, END)


SPELLS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60), st.integers(0, 40)), min_size=1, max_size=20)


@given(SPELLS)
def test_against_a_plain_loop_over_days(rows: list[tuple[int, int, int]]) -> None:
    """A customer is there on a day that any of the spells holds; a loss is a day without after a day with."""
    first = pd.Timestamp("2026-09-01")
    day = lambda number: first + pd.Timedelta(days=number)  # noqa: E731
    frame = pd.DataFrame(
        [(who, day(start), day(start + long + 1)) for who, start, long in rows], columns=["w", "s", "e"]
    )
    found = loyalty.churn(frame, day(30), day(61), customer="w", started_on="s", ended_on="e")
    lost = there = old_lost = old = ends = 0
    for who in frame["w"].unique():
        here = {d for w, start, long in rows if w == who for d in range(start, start + long + 1)}
        losses = [d for d in range(30, 61) if d not in here and d - 1 in here]
        lost, there = lost + len(losses), there + len(here & set(range(30, 61)))
        old, old_lost = old + (29 in here), old_lost + (29 in here and bool(losses))
        ends += 60 in here
    got = values(found)
    if there:
        assert got["customer-time"] == pytest.approx(lost / there * MONTH)
    if old:
        assert got["start cohort"] == pytest.approx(old_lost / old)
        assert got["start"] == pytest.approx(lost / old)
        assert got["average"] == pytest.approx(lost / ((old + ends) / 2))


def month_of_joiners(rng: np.random.Generator) -> pd.DataFrame:
    """A thousand customers, five hundred joiners spread over the month, a hazard of 5 % a month (METHODS)."""
    joined = np.where(np.arange(1_500) < 1_000, -MONTH, rng.uniform(0, MONTH, 1_500))
    left = np.maximum(joined, 0) + rng.exponential(MONTH / 0.05, 1_500)
    base = np.datetime64("2026-10-01", "us")
    moments = [base + (days * 86_400e6).astype("timedelta64[us]") for days in (joined, np.minimum(left, 9_999))]
    return pd.DataFrame({"customer_id": np.arange(1_500), "started_on": moments[0], "ended_on": moments[1]})


@pytest.mark.simulation
def test_four_numbers_for_one_month(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """METHODS: 6.11 (start), 4.88 (start cohort), 5.01 (average) and 5.00 % (customer-time) are expected of one hazard.

    The 95 % limits hold what each expects in 94 to 99 of 100 months; those of start and average are a little wide, as
    the customers below the line vary with those above.
    """
    expected = {"customer-time": 0.0500, "start cohort": 0.0488, "average": 0.0501, "start": 0.0611}
    times, end = replicates(100, 4_000), pd.Timestamp("2026-10-01") + pd.Timedelta(days=MONTH)
    months = pd.concat([loyalty.churn(month_of_joiners(rng), START, end) for _ in range(times)])
    for level, truth in expected.items():
        mine = months[months["level"] == level]
        error = mine["estimate"].std() / np.sqrt(times)
        assert mine["estimate"].mean() == pytest.approx(truth, abs=4 * error + 5e-5), level
        held = ((mine["conf_low"] <= truth) & (mine["conf_high"] >= truth)).mean()
        assert held >= 0.945 - 4 * np.sqrt(0.05 * 0.95 / times), level


class TestDemo:
    def test_the_company_s_own_metric(self) -> None:
        """`params/metrics/churn_rate.yml` and `churn_start_cohort.yml`, written out once more in pandas."""
        table = demo.tables(2_000)["subscriptions"].to_pandas()
        start, end = pd.Timestamp(START), pd.Timestamp(END)
        began, ended = pd.to_datetime(table["started_on"]), pd.to_datetime(table["ended_on"])
        here = (began < end) & (ended.isna() | (ended >= start))
        lost = here & (ended < end)
        days = (ended.fillna(end).clip(upper=end) - began.clip(lower=start))[here].dt.days.sum()
        old = here & (began < start)
        got = values(loyalty.churn(table, START, END))
        assert got["customer-time"] == pytest.approx(lost.sum() / days * MONTH)
        assert got["start cohort"] == pytest.approx((lost & old).sum() / old.sum())

    def test_like_telco(self, shared_data: Callable[[str], Any], oracle: Callable[[str], dict]) -> None:
        """1,869 of 7,043 left: as a start cohort, with R's Wilson limits."""
        table = pd.read_csv(shared_data("telco_churn") / "WA_Fn-UseC_-Telco-Customer-Churn.csv")
        frame = pd.DataFrame({
            "customer_id": table["customerID"], "started_on": "2026-09-30",
            "ended_on": np.where(table["Churn"] == "Yes", "2026-10-15", None),
        })  # fmt: skip
        row = loyalty.churn(frame, START, END).set_index("level").loc["start cohort"]
        expected = oracle("telco_churn_rate")["expected"]
        assert row["estimate"] == pytest.approx(expected["churn_rate"], abs=1e-8)
        assert row["conf_low"] == pytest.approx(expected["wilson_ci.1"], abs=1e-8)
        assert row["conf_high"] == pytest.approx(expected["wilson_ci.2"], abs=1e-8)
