"""From transactions to one row a customer.

Outside references: the summary that Fader and Hardie publish of CDNOW (x, t_x, T, zbar), the counts of the master file.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.analysis.value import summarise_transactions
from cxlib.analysis.value.transactions import _order
from cxlib.errors import UsageError
from tests.value_frames import cdnow_master, cdnow_sample

PRINTED = 0.005 + 1e-9  # the published summary has two decimals


def rows(*lines: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=["customer_id", "ordered_at", "amount"])


def summary(frame: pd.DataFrame, end: str = "2026-03-31", **how: object) -> pd.DataFrame:
    return summarise_transactions(frame, "customer_id", "ordered_at", "amount", end=end, **how)


def test_cdnow_is_the_published_summary(shared_data) -> None:
    folder = shared_data("cdnow")
    published = pd.read_csv(folder / "cdnow_customers_summary_with_transactions.csv")
    found = summary(cdnow_sample(folder), "1997-09-30")
    assert len(found) == 2357
    assert (found["frequency"].to_numpy() == published["x"]).all()
    for name, other in (("recency", "t_x"), ("T", "T"), ("monetary_value", "zbar")):
        assert np.abs(found[name].to_numpy() - published[other]).max() <= PRINTED


def test_cdnow_master_counts(shared_data, oracle) -> None:
    expected = oracle("cdnow_master_counts")["expected"]
    frame = cdnow_master(shared_data("cdnow"))
    found = summary(frame, "1998-06-30")
    assert (len(frame), len(found)) == (expected["rows"], expected["customers"])
    assert (found["frequency"] > 0).mean() == pytest.approx(expected["share_customers_with_2plus_purchase_days"])
    assert frame["amount"].sum() == pytest.approx(expected["sum_amt"], abs=0.005)


def test_by_hand() -> None:
    """One day's purchases merge, the first day tells no amount, what comes after the end is not looked at."""
    frame = rows(
        ("a", "2026-01-01", 10), ("a", "2026-01-08", 20), ("a", "2026-01-08", 5), ("a", "2026-01-29", 15),
        ("a", "2026-04-01", 99), ("b", "2026-03-03", 7), ("c", "2026-04-02", 1),
    )  # fmt: skip
    found = summary(frame)
    assert list(found.index) == ["a", "b"]
    assert found.index.name == "customer_id"
    assert found.loc["a"].tolist() == [2, 4.0, 89 / 7, 20.0]
    assert found.loc["b"].tolist() == [0, 0.0, 4.0, 0.0]
    assert summary(frame, unit="day").loc["a", ["recency", "T"]].tolist() == [28, 89]
    assert list(summarise_transactions(frame, "customer_id", "ordered_at", end="2026-03-31").columns) == [
        "frequency", "recency", "T",
    ]  # fmt: skip


KINDS = {
    "text": lambda s: s,
    "times": lambda s: pd.to_datetime(s) + pd.Timedelta(hours=23),
    "dates": lambda s: pd.to_datetime(s).dt.date,
    "Arrow times": lambda s: pd.to_datetime(s).astype("timestamp[us][pyarrow]"),
    "Arrow dates": lambda s: pd.to_datetime(s).astype("timestamp[us][pyarrow]").astype("date32[pyarrow]"),
}
AMOUNTS = {
    "decimals": lambda s: s.map(lambda value: Decimal(str(value))),
    "nullable": lambda s: s.astype("Float64"),
    "Arrow": lambda s: s.astype("double[pyarrow]"),
}


@pytest.mark.parametrize("dates", KINDS)
@pytest.mark.parametrize("amounts", AMOUNTS)
def test_whatever_holds_the_columns(dates: str, amounts: str) -> None:
    frame = rows(("a", "2026-01-01", 10.5), ("a", "2026-01-08", 20.25), ("b", "2026-03-03", 7.0))
    other = frame.assign(ordered_at=KINDS[dates](frame["ordered_at"]), amount=AMOUNTS[amounts](frame["amount"]))
    pd.testing.assert_frame_equal(summary(other), summary(frame), check_index_type=False)
    assert summary(other, end=dt.date(2026, 3, 31)).equals(summary(frame, end=pd.Timestamp("2026-03-31")))


def test_what_is_missing_does_not_count() -> None:
    frame = rows(("a", "2026-01-01", 10), ("a", "2026-01-08", 20), ("a", "2026-01-15", 4), (None, "2026-01-02", 3))
    frame.loc[2, "amount"] = np.nan
    frame = pd.concat([frame, pd.DataFrame({"customer_id": ["a"], "ordered_at": [None], "amount": [5.0]})])
    assert summary(frame).loc["a"].tolist() == [2, 2.0, 89 / 7, 20.0]
    assert len(summary(frame)) == 1
    assert summary(frame.iloc[:0]).empty


@given(st.permutations(range(12)), st.integers(0, 5))
def test_the_order_of_rows_changes_nothing(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 40, 12), unit="D")
    frame = pd.DataFrame(
        {"customer_id": rng.choice(list("abc"), 12), "ordered_at": days, "amount": rng.random(12) * 100}
    )
    pd.testing.assert_frame_equal(summary(frame.iloc[list(order)]), summary(frame), check_exact=True)


def test_the_engine_gives_the_same(rng: np.random.Generator) -> None:
    n = 3_000
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta(rng.integers(0, 400 * 24, n), unit="h")
    frame = pd.DataFrame({"customer_id": [f"c{k}" for k in rng.integers(0, 400, n)], "ordered_at": days})
    frame["amount"] = rng.integers(100, 9_900, n) / 100
    frame.loc[rng.random(n) < 0.05, "amount"] = np.nan
    frame.loc[rng.random(n) < 0.01, "customer_id"] = None
    table = ibis.memtable(pa.Table.from_pandas(frame.assign(amount=frame["amount"].astype("Float64"))))
    found = summarise_transactions(table, "customer_id", "ordered_at", "amount", end="2025-12-31")
    assert not isinstance(found, pd.DataFrame)
    fetched = ibis.duckdb.connect().to_pyarrow(found.order_by("customer_id")).to_pandas().set_index("customer_id")
    pd.testing.assert_frame_equal(
        fetched, summary(frame, "2025-12-31"), check_dtype=False, check_index_type=False, rtol=1e-12
    )
    bare = summarise_transactions(table, "customer_id", "ordered_at", end="2025-12-31", unit="day")
    assert bare.columns == ("customer_id", "frequency", "recency", "T")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"customer": "customer"}, "did you mean 'customer_id'"),
        ({"amount": "money"}, r"no column 'money' \(amount\)"),
        ({"end": "31/03/2026x"}, "end '31/03/2026x' is no date"),
        ({"end": None}, "end None is no date"),
        ({"unit": "weeks"}, "did you mean 'week'"),
    ],
)
def test_what_cannot_be_used_is_said(change: dict, words: str) -> None:
    how = {
        "customer": "customer_id",
        "date": "ordered_at",
        "amount": "amount",
        "end": "2026-03-31",
        "unit": "week",
    } | change
    args = [how.pop(name) for name in ("customer", "date", "amount")]
    with pytest.raises(UsageError, match=words):
        summarise_transactions(rows(("a", "2026-01-01", 10)), *args, **how)


def test_what_is_no_date_or_amount_is_said() -> None:
    with pytest.raises(UsageError, match="ordered_at is no date in 1 row, the first 'yesterday'"):
        summary(rows(("a", "yesterday", 10)))
    with pytest.raises(UsageError, match="amount is no number in 1 row, the first 'ten'"):
        summary(rows(("a", "2026-01-01", "ten")))
    with pytest.raises(UsageError, match="time zone"):
        summary(rows(("a", "2026-01-01", 10)).assign(ordered_at=pd.Timestamp("2026-01-01", tz="UTC")))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-2, 3), st.sampled_from([np.nan, -1.5, 0.0, 2.0, 7.25])), max_size=30
    )
)
def test_the_order_is_that_of_all_three(lines: list[tuple[int, int, float]]) -> None:
    """Whatever order the rows come in, amounts that are missing last: equal to numpy's `lexsort`, tie by tie."""
    who, day = (np.array([line[place] for line in lines], dtype=np.int64) for place in (0, 1))
    money = np.array([line[2] for line in lines], dtype=float)
    np.testing.assert_array_equal(_order(who, day, money), np.lexsort((money, day, who)))
