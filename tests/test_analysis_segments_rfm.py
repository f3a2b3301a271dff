"""Recency, frequency, monetary value: by hand, against DuckDB's own NTILE, the same on both engines, and on CDNOW."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal

import duckdb
import hypothesis.strategies as st
import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given

from cxlib.analysis import segments
from cxlib.analysis.segments.groups import HIGH, LAST, LOW, MIDDLE, RULES, limits
from cxlib.errors import UsageError

AS_OF = "2026-10-31"


def orders(rows: list[tuple[object, str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["customer_id", "ordered_at", "amount"])
    return table.assign(ordered_at=pd.to_datetime(table["ordered_at"], format="ISO8601"))


FIVE = orders([
    ("a", "2026-10-31 09:00", 10.0), ("a", "2026-10-01", 10.0), ("a", "2026-09-01", 10.0),
    ("b", "2026-10-30 23:59", 500.0),
    ("c", "2026-01-01", 5.0), ("c", "2025-01-01", 5.0),
    ("d", "2026-10-21", 1.0),
    ("e", "2025-10-31", 70.0), ("e", "2025-10-30", 70.0), ("e", "2025-10-29", 70.0), ("e", "2025-10-28", 70.0),
])  # fmt: skip


def drawn(rng: np.random.Generator, rows: int, customers: int) -> pd.DataFrame:
    """Return orders with many ties: few days, few prices."""
    return pd.DataFrame({
        "customer_id": [f"c{i:05}" for i in rng.integers(0, customers, rows)],
        "ordered_at": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 40, rows) * 21_600, unit="s"),
        "amount": rng.choice([9.99, 19.99, 0.1, -5.0], rows),
    })  # fmt: skip


def in_engine(table: pd.DataFrame, as_of: object, bins: int = 5) -> pd.DataFrame:
    """Return the cells that DuckDB gives through Ibis, in the order of the customers."""
    connection = ibis.duckdb.connect()
    found = segments.rfm(
        connection.create_table("orders", pa.Table.from_pandas(table, preserve_index=False)), as_of, bins=bins
    )
    assert isinstance(found, ibis.expr.types.Table)
    return connection.to_pyarrow(found).to_pandas().set_index("customer_id").sort_index()


class TestByHand:
    def test_five_customers(self) -> None:
        found = segments.rfm(FIVE, AS_OF)
        assert list(found.columns) == ["recency", "frequency", "monetary", "r", "f", "m", "group"]
        assert found.index.name == "customer_id"
        assert found["recency"].to_dict() == {"a": 0, "b": 1, "c": 303, "d": 10, "e": 365}
        assert found["frequency"].to_dict() == {"a": 3, "b": 1, "c": 2, "d": 1, "e": 4}
        assert found["monetary"].to_dict() == {"a": 30, "b": 500, "c": 10, "d": 1, "e": 280}
        assert found["r"].to_dict() == {"a": 5, "b": 4, "c": 2, "d": 3, "e": 1}
        # b and d both bought once; b did so later.
        assert found["f"].to_dict() == {"a": 4, "b": 2, "c": 3, "d": 1, "e": 5}
        assert found["m"].to_dict() == {"a": 3, "b": 5, "c": 2, "d": 1, "e": 4}
        assert found["group"].to_dict() == {
            "a": "loyal", "b": "big spenders", "c": "hibernating", "d": "about to sleep", "e": "cannot lose",
        }  # fmt: skip

    @pytest.mark.parametrize("engine", [False, True])
    def test_nobody_who_bought_once_is_loyal(self, engine: bool) -> None:
        """Equal bins give f = 1 to 5 to ten customers with one order each; their names do not follow."""
        once = orders([(f"c{day:02}", f"2026-10-{day:02}", 10.0 * day) for day in range(1, 11)])
        found = in_engine(once, AS_OF) if engine else segments.rfm(once, AS_OF)
        assert set(found["f"]) == {1, 2, 3, 4, 5}
        assert found["group"].to_dict() == {
            **dict.fromkeys(["c01", "c02", "c03", "c04"], "lost"), **dict.fromkeys(["c05", "c06"], "about to sleep"),
            **dict.fromkeys(["c07", "c08", "c09", "c10"], "big spenders"),
        }  # fmt: skip

    def test_orders_after_the_day_are_not_looked_at(self) -> None:
        later = orders([("a", "2026-11-01", 900.0), ("z", "2026-11-01 00:00:00.000001", 900.0)])
        pd.testing.assert_frame_equal(segments.rfm(pd.concat([FIVE, later]), AS_OF), segments.rfm(FIVE, AS_OF))

    @pytest.mark.parametrize("day", [AS_OF, dt.date(2026, 10, 31), "2026-10-31 23:59:59.999999"])
    def test_a_date_counts_to_its_end(self, day: object) -> None:
        pd.testing.assert_frame_equal(segments.rfm(FIVE, day), segments.rfm(FIVE, AS_OF))

    def test_a_moment_counts_to_itself(self) -> None:
        at = pd.Timestamp("2026-10-31 08:00")
        found = segments.rfm(FIVE, at)
        assert found.loc["a", "frequency"] == 2
        assert found.loc["b", "recency"] == 0  # eight hours and a minute
        assert segments.rfm(FIVE, at.tz_localize("UTC")).equals(found)

    def test_fewer_customers_than_bins_reach_as_many_scores(self) -> None:
        assert sorted(segments.rfm(FIVE, AS_OF, bins=10)["r"]) == [1, 2, 3, 4, 5]  # as SQL's NTILE

    def test_nobody(self) -> None:
        found = segments.rfm(FIVE, "2020-01-01")
        assert len(found) == 0
        assert list(found.columns) == ["recency", "frequency", "monetary", "r", "f", "m", "group"]
        assert len(in_engine(FIVE, "2020-01-01")) == 0

    def test_columns_as_they_come(self) -> None:
        text = FIVE.assign(
            ordered_at=FIVE["ordered_at"].dt.strftime("%Y-%m-%d %H:%M:%S").astype(object),
            amount=[Decimal(str(x)) for x in FIVE["amount"]],
        )
        lost = pd.DataFrame({"customer_id": [None, "a", "a"], "ordered_at": ["2026-10-01", None, "2026-10-02"],
                             "amount": [Decimal(1), Decimal(2), None]})  # fmt: skip
        found = segments.rfm(pd.concat([text, lost]), AS_OF)
        pd.testing.assert_frame_equal(found, segments.rfm(FIVE, AS_OF))
        nullable = FIVE.assign(
            amount=FIVE["amount"].astype("Float64"), customer_id=FIVE["customer_id"].astype("string")
        )
        assert segments.rfm(nullable, AS_OF)["m"].tolist() == found["m"].tolist()

    def test_names_of_columns(self) -> None:
        table = FIVE.set_axis(["who", "when", "paid"], axis=1)
        found = segments.rfm(table, AS_OF, customer="who", date="when", amount="paid")
        assert found.index.name == "who"
        assert found["r"].tolist() == segments.rfm(FIVE, AS_OF)["r"].tolist()


class TestRefusals:
    def test_all_columns_that_lack_are_named(self) -> None:
        with pytest.raises(UsageError, match=r"'customer_id'; did you mean 'customer'.*'amount'"):
            segments.rfm(FIVE.rename(columns={"customer_id": "customer", "amount": "paid"}), AS_OF)

    @pytest.mark.parametrize("bins", [1, 0, 101, 2.5, True])
    def test_bins(self, bins: object) -> None:
        with pytest.raises(UsageError, match="bins"):
            segments.rfm(FIVE, AS_OF, bins=bins)  # type: ignore[arg-type]

    @pytest.mark.parametrize("as_of", ["yesterday", 20261031, None])
    def test_no_date(self, as_of: object) -> None:
        with pytest.raises(UsageError, match="is no date"):
            segments.rfm(FIVE, as_of)

    def test_dates_that_are_numbers_or_could_be_two_dates(self) -> None:
        with pytest.raises(UsageError, match="holds numbers, not dates"):
            segments.rfm(FIVE.assign(ordered_at=19970101), AS_OF)
        with pytest.raises(UsageError, match="is no date in 11 rows, the first '01/02/2026'"):
            segments.rfm(FIVE.assign(ordered_at="01/02/2026"), AS_OF)

    def test_amounts_that_are_none(self) -> None:
        with pytest.raises(UsageError, match="amount is no number in 11 rows, the first '12,50'"):
            segments.rfm(FIVE.assign(amount="12,50"), AS_OF)


class TestTheSameCells:
    @pytest.mark.parametrize("bins", [2, 3, 4, 5, 7, 10])
    @pytest.mark.parametrize("as_of", ["2026-01-07", "2026-01-07 06:00:00", "2026-01-10 17:30:00.5"])
    def test_pandas_and_duckdb(self, rng: np.random.Generator, bins: int, as_of: str) -> None:
        table = drawn(rng, 900, 250)
        expected = segments.rfm(table.sample(frac=1, random_state=1), as_of, bins=bins)
        found = in_engine(table, as_of, bins)
        pd.testing.assert_frame_equal(found, expected, check_index_type=False, check_dtype=False, check_exact=True)

    def test_ntile_of_sql(self, rng: np.random.Generator) -> None:
        orders = drawn(rng, 700, 150).assign(amount=lambda t: t["amount"].abs())  # DuckDB reads it by name
        reference = duckdb.sql("""
            WITH c AS (SELECT customer_id, max(ordered_at) AS last, count(*) AS often,
                              sum(amount::DECIMAL(18, 2)) AS paid FROM orders GROUP BY 1)
            SELECT customer_id, ntile(4) OVER (ORDER BY last, often, paid, customer_id) AS r,
                   ntile(4) OVER (ORDER BY often, last, paid, customer_id) AS f,
                   ntile(4) OVER (ORDER BY paid, often, last, customer_id) AS m FROM c ORDER BY 1
        """).df()
        found = segments.rfm(orders, AS_OF, bins=4).reset_index()[["customer_id", "r", "f", "m"]]
        pd.testing.assert_frame_equal(found, reference, check_dtype=False)

    @pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
    def test_other_engines_can_be_asked(self, dialect: str) -> None:
        table = ibis.table({"customer_id": "string", "ordered_at": "timestamp", "amount": "decimal(18, 2)"}, "orders")
        said = str(ibis.to_sql(segments.rfm(table, AS_OF), dialect=dialect)).upper()
        assert said.count("NTILE(5)") == 3

    def test_sums_of_doubles_do_not_decide(self) -> None:
        rows = [("a", "2026-01-01", 0.1), ("a", "2026-01-02", 0.2), ("a", "2026-01-03", 0.3),
                ("b", "2026-01-03", 0.3), ("b", "2026-01-01", 0.3)]  # fmt: skip
        # .1 + .2 + .3 is .6000000000000001 from the left and .6 from the right; b also paid .6, in fewer orders.
        for order in itertools.permutations(rows):
            found = segments.rfm(orders(list(order)), AS_OF, bins=2)
            assert found["monetary"].tolist() == [0.6, 0.6]
            assert found["m"].to_dict() == {"a": 2, "b": 1}

    @given(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5), st.integers(-3, 9)), min_size=1, max_size=60),
        st.integers(2, 6),
        st.randoms(use_true_random=False),
    )
    def test_any_order_of_rows(self, rows: list[tuple[int, int, int]], bins: int, shuffled) -> None:  # type: ignore[no-untyped-def]
        table = orders([(who, f"2026-10-{1 + day:02}", paid / 4) for who, day, paid in rows])
        found = segments.rfm(table, AS_OF, bins=bins)
        mixed = table.iloc[shuffled.sample(range(len(table)), len(table))]
        pd.testing.assert_frame_equal(segments.rfm(mixed, AS_OF, bins=bins), found)
        for score, value, sign in (("r", "recency", -1), ("f", "frequency", 1), ("m", "monetary", 1)):
            sizes = found[score].value_counts()
            assert sizes.max() - sizes.min() <= 1
            assert found[score].max() == min(bins, len(found))
            ranked = found.sort_values(score)
            edges = (sign * ranked[value]).groupby(ranked[score]).agg(["min", "max"])
            assert (edges["min"].to_numpy()[1:] >= edges["max"].to_numpy()[:-1]).all()  # more is never worse


class TestGroups:
    @pytest.mark.parametrize("bins", [2, 3, 4, 5, 6, 7, 9, 10, 100])
    def test_bands_are_symmetric_and_whole(self, bins: int) -> None:
        low, high = limits(bins)
        assert low == bins + 1 - high  # the lowest low scores mirror the high
        assert 1 <= low < high <= bins
        assert 1 / 3 <= low / bins <= 0.5

    def test_five_bins(self) -> None:
        assert limits(5) == (2, 4)

    def test_every_cell_has_one_name_and_every_name_a_cell(self) -> None:
        names = {
            next((rule.name for rule in RULES if rule.holds(*cell)), LAST)
            for cell in itertools.product((LOW, MIDDLE, HIGH), repeat=3)
        }
        assert names == set(segments.GROUPS)

    def test_names_do_not_clash_with_those_of_migration(self) -> None:
        assert not {"new", "gone"} & set(segments.GROUPS)

    def test_the_documented_names(self) -> None:
        found = {cell: next((rule.name for rule in RULES if rule.holds(*cell)), LAST)
                 for cell in itertools.product((LOW, MIDDLE, HIGH), repeat=3)}  # fmt: skip
        assert found[HIGH, HIGH, HIGH] == "champions"
        assert found[MIDDLE, HIGH, LOW] == "loyal"
        assert found[HIGH, LOW, HIGH] == "big spenders"
        assert found[HIGH, LOW, MIDDLE] == "newcomers"
        assert found[HIGH, MIDDLE, LOW] == "promising"
        assert found[MIDDLE, MIDDLE, MIDDLE] == "needs attention"
        assert found[MIDDLE, LOW, LOW] == "about to sleep"
        assert found[LOW, HIGH, HIGH] == "cannot lose"
        assert found[LOW, HIGH, LOW] == found[LOW, LOW, HIGH] == "at risk"
        assert found[LOW, MIDDLE, LOW] == "hibernating"
        assert found[LOW, LOW, LOW] == "lost"


@pytest.fixture(scope="module")
def bought(shared_data) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    path = shared_data("cdnow") / "CDNOW_master.txt"
    table = pd.read_csv(path, sep=r"\s+", header=0, names=["customer_id", "ordered_at", "units", "amount"])
    return table.assign(ordered_at=pd.to_datetime(table["ordered_at"].astype(str), format="%Y%m%d"))


class TestCdnow:
    """23,570 customers who first bought in early 1997; counts of Fader and Hardie's description."""

    def test_counts(self, bought: pd.DataFrame, oracle) -> None:  # type: ignore[no-untyped-def]
        expected = oracle("cdnow_master_counts")["expected"]
        found = segments.rfm(bought, "1998-06-30")
        assert len(found) == expected["customers"]
        assert found["frequency"].sum() == expected["rows"]
        assert found["monetary"].sum() == pytest.approx(expected["sum_amt"], abs=0.005)
        for score in ("r", "f", "m"):
            assert set(found[score].value_counts()) == {4_714}  # 23,570 / 5
        last = bought.groupby("customer_id")["ordered_at"].max()
        assert (found["recency"] == (pd.Timestamp("1998-06-30") - last).dt.days).all()

    def test_champions_buy_again(self, bought: pd.DataFrame) -> None:
        """Scored on the first nine months, the best group buys most in the next nine, the lost least."""
        scored = segments.rfm(bought, "1997-09-30")
        later = bought[bought["ordered_at"] > pd.Timestamp("1997-09-30")].groupby("customer_id").size()
        again = scored.assign(later=later.reindex(scored.index, fill_value=0)).groupby("group")["later"].mean()
        assert again.idxmax() == "champions"
        assert again.idxmin() in ("lost", "hibernating", "about to sleep")
        assert again["champions"] > 5 * again["lost"]
