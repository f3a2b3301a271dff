"""The retention triangle: by hand, by a plain loop over customers, and its young cohorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.analysis import loyalty
from cxlib.data import demo
from cxlib.errors import UsageError
from cxlib.measure.formulas import share

SUBSCRIPTIONS = pd.DataFrame(
    [
        ("a", "2026-01-05", None),
        ("b", "2026-01-20", "2026-02-10"),  # there at the end of January, not of February; back in March
        ("b", "2026-03-02", None),
        ("c", "2026-02-01", "2026-02-14"),  # gone before the end of its own month
        ("d", "2026-02-28", "2026-04-01"),  # there until March ended, and not on 1 April
        ("e", "2026-04-03", None),  # April is not over: no cohort yet
        ("f", "2026-05-03", None),  # not known yet
    ],
    columns=["customer_id", "started_on", "ended_on"],
)
ORDERS = pd.DataFrame(
    [("a", "2026-01-05"), ("a", "2026-01-09"), ("a", "2026-03-09"), ("b", "2026-01-31"), ("c", "2026-02-01"),
     ("c", "2026-03-31"), ("d", "2026-03-31"), ("a", "2026-04-02")],
    columns=["customer_id", "ordered_at"],
)  # fmt: skip
END = "2026-04-15"


def grid(found: pd.DataFrame) -> dict[str, list[float]]:
    """Return the cells by cohort; None where a cell is not over."""
    return {
        level: [None if pd.isna(value) else float(value) for value in rows["estimate"]]
        for level, rows in found.groupby("level", sort=False)
    }  # type: ignore[return-value]


class TestByHand:
    def test_subscriptions(self) -> None:
        found = loyalty.retention_triangle(SUBSCRIPTIONS, END)
        assert grid(found) == {"2026-01": [1.0, 0.5, 1.0], "2026-02": [0.5, 0.5, None]}
        later = loyalty.retention_triangle(SUBSCRIPTIONS, END, kind="unbounded")
        assert grid(later) == {"2026-01": [1.0, 1.0, 1.0], "2026-02": [0.5, 0.5, None]}
        assert set(found["metric"]) == {"bounded_retention"}
        assert set(later["metric"]) == {"unbounded_retention"}
        assert found["at"].to_list() == ["0", "1", "2"] * 2

    def test_events(self) -> None:
        found = loyalty.retention_triangle(ORDERS, END, date="ordered_at", until=None)
        assert grid(found) == {"2026-01": [1.0, 0.0, 0.5], "2026-02": [1.0, 1.0, None], "2026-03": [1.0, None, None]}
        later = loyalty.retention_triangle(ORDERS, END, date="ordered_at", until=None, kind="unbounded")
        assert grid(later) == {"2026-01": [1.0, 0.5, 0.5], "2026-02": [1.0, 1.0, None], "2026-03": [1.0, None, None]}
        assert "an event in that month or later" in later["method"].iloc[0]
        assert "may still rise" in later["note"].iloc[1]

    def test_cells_that_are_not_over_are_no_losses(self) -> None:
        found = loyalty.retention_triangle(SUBSCRIPTIONS, END).iloc[-1]
        assert (found["status"], found["note"]) == ("undefined", "2026-04 is not over yet")
        assert pd.isna(found["n"])

    def test_intervals_are_wilson_s(self) -> None:
        row = loyalty.retention_triangle(SUBSCRIPTIONS, END).iloc[1]
        expected = share(1, 2).iloc[0]
        assert (row["conf_low"], row["conf_high"]) == (expected["conf_low"], expected["conf_high"])
        assert row["n"] == 2

    def test_other_units_and_the_first_cohort(self) -> None:
        weeks = loyalty.retention_triangle(ORDERS, END, date="ordered_at", until=None, unit="week", since="2026-03-09")
        assert weeks["level"].drop_duplicates().to_list() == ["2026-W14"]  # d came on 31 March
        quarters = loyalty.retention_triangle(ORDERS, "2026-07-01", date="ordered_at", until=None, unit="quarter")
        assert grid(quarters) == {"2026-Q1": [1.0, 0.25]}

    def test_small_cohorts_are_hidden(self) -> None:
        found = loyalty.retention_triangle(ORDERS, END, date="ordered_at", until=None, min_n=2)
        assert found.groupby("level")["status"].first().to_dict() == {
            "2026-01": "ok", "2026-02": "suppressed", "2026-03": "suppressed",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"unit": "years"}, "'years' is no unit; there are month, quarter, week"),
            ({"kind": "unbound"}, "'unbound' is no kind.*did you mean 'unbounded'"),
            ({"end": "2026-01-15"}, "no month in which customers came is over on 2026-01-15"),
            ({"date": "since"}, "no column 'since'"),
        ],
    )
    def test_what_cannot_be_used(self, more: dict[str, Any], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            loyalty.retention_triangle(SUBSCRIPTIONS, **{"end": END, **more})

    def test_rows_without_a_date_are_left_out_and_counted(self) -> None:
        more = pd.concat([ORDERS, pd.DataFrame([("z", None)], columns=ORDERS.columns)])
        found = loyalty.retention_triangle(more, END, date="ordered_at", until=None)
        assert found["note"].iloc[0] == "1 row without customer_id or ordered_at left out"


EVENTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 200)), min_size=1, max_size=40)


@given(EVENTS, st.sampled_from(["bounded", "unbounded"]), st.randoms(use_true_random=False))
def test_events_against_a_plain_loop(rows: list[tuple[int, int]], kind: str, order: Any) -> None:
    """A customer counts at an age if any order lies in that month (or later), whatever the order of rows."""
    first, end = pd.Timestamp("2026-01-01"), pd.Timestamp("2026-05-01")
    frame = pd.DataFrame([(who, first + pd.Timedelta(days=day)) for who, day in rows], columns=["w", "t"])
    months: dict[int, set[int]] = {}
    for who, moment in frame[frame["t"] < end].itertuples(index=False):
        months.setdefault(who, set()).add(moment.month)
    if not months:
        return
    shuffled = frame.sample(frac=1, random_state=order.randint(0, 99))
    found = loyalty.retention_triangle(shuffled, end, customer="w", date="t", until=None, kind=kind)
    for row in found.itertuples():
        cohort, age = int(row.level[-2:]), int(row.at)
        people = [seen for seen in months.values() if min(seen) == cohort]
        if cohort + age > 4:
            assert row.status == "undefined"
            continue
        there = [
            seen
            for seen in people
            if any(m == cohort + age or (kind == "unbounded" and m > cohort + age) for m in seen)
        ]
        assert row.n == len(people)
        assert row.estimate == pytest.approx(len(there) / len(people))


class TestDemo:
    def test_churn_and_the_triangle_agree(self) -> None:
        """Whoever is there at the end of September and not of October left in October, or the triangle errs."""
        table = demo.tables(2_000)["subscriptions"].to_pandas()
        found = loyalty.retention_triangle(table, "2026-11-01")
        last = found[found["status"] == "ok"].groupby("level").tail(1)
        there = (last["estimate"] * last["n"]).sum()
        ended = pd.to_datetime(table["ended_on"])
        assert there == pytest.approx(ended.isna().sum(), abs=1e-6)

    def test_unbounded_only_falls(self) -> None:
        table = demo.tables(1_000)["orders"].to_pandas()
        found = loyalty.retention_triangle(
            table, "2026-11-01", date="ordered_at", until=None, kind="unbounded", unit="quarter"
        )
        steps = found[found["status"] == "ok"].groupby("level")["estimate"].diff().dropna()
        assert (steps <= 1e-12).all()
        bounded = loyalty.retention_triangle(table, "2026-11-01", date="ordered_at", until=None, unit="quarter")
        assert (np.nan_to_num(bounded["estimate"]) <= np.nan_to_num(found["estimate"]) + 1e-12).all()
