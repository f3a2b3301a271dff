"""The doors of all rooms: columns, numbers and dates of every kind that tables bring; the words of every refusal."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.analysis import doors, drivers, loyalty, partners, segments, value
from cxlib.errors import UsageError

ARROW = pytest.importorskip("pyarrow")


def arrow(values: list[Any], kind: Any) -> pd.Series:
    return pd.Series(values, dtype=pd.ArrowDtype(kind))


def refusal(ask: Any, *args: Any, **how: Any) -> tuple[str, str]:
    """Return what is said to who asks wrongly, and what to do."""
    with pytest.raises(UsageError) as caught:
        ask(*args, **how)
    return caught.value.message, caught.value.hint


class TestColumns:
    def test_all_that_is_wrong_is_told_at_once(self) -> None:
        wanted = {"amount": "amuont", "customer": "customer", "date": "day"}
        words = "no column 'amuont' (amount); did you mean 'amount'?; no column 'customer'; several columns 'day'"
        have = ["amount", "day", "day"]
        assert refusal(doors.require, have, wanted, "the orders") == (
            f"the orders: {words}",
            "There are amount, day, day.",
        )

    def test_what_is_there_passes(self) -> None:
        frame = pd.DataFrame({"a": [1], "b": [2], 3: [4]})
        doors.require(frame, ["a", "b", "a"])
        doors.require(frame.columns, {"role": "b"})
        assert doors.lacking(frame, ["c"]) == ["no column 'c'"]
        assert doors.lacking(frame, [3]) == []  # type: ignore[list-item]

    def test_many_columns_are_not_all_named(self) -> None:
        with pytest.raises(UsageError) as caught:
            doors.require([f"c{place}" for place in range(30)], ["x"], hint="Look again.")
        assert caught.value.hint == f"There are {', '.join(f'c{place}' for place in range(20))}, .... Look again."

    def test_no_columns_at_all(self) -> None:
        assert refusal(doors.require, [], ["x", "x"]) == ("the frame: no column 'x'", "There are no columns.")

    @given(st.lists(st.text(max_size=4), max_size=6), st.lists(st.text(max_size=4), max_size=6))
    def test_a_fault_for_each_name_that_is_not_there_just_once(self, have: list[str], wanted: list[str]) -> None:
        assert len(doors.lacking(have, wanted)) == sum(have.count(name) != 1 for name in set(wanted))


class TestNumbers:
    @pytest.mark.parametrize(
        "values",
        [
            [1, 2.5, None],
            [Decimal(1), Decimal("2.5"), None],
            ["1", " 2.50 ", None],
            [True, "25e-1", pd.NA],
            np.array([1, 2.5, np.nan]),
            pd.array([1, 2.5, None], dtype="Float64"),
            pd.Index([1, 2.5, np.nan]),
            pd.Series([1, 2.5, None], index=[7, 7, 7]),
            pd.Series(["1", "2.5", None], dtype="string"),
            pd.Series(["1", "2.5", None], dtype="category"),
            pd.Series([1, 2.5, None], dtype="category"),
            arrow([1, 2.5, None], ARROW.float64()),
            arrow(["1", "2.5", None], ARROW.string()),
            arrow([Decimal(1), Decimal("2.5"), None], ARROW.decimal128(9, 2)),
            np.array([1 + 0j, 2.5 + 0j, np.nan], dtype=object),
        ],
    )
    def test_of_every_kind(self, values: Any) -> None:
        found = doors.numbers("x", values)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [1, 2.5, np.nan])

    @pytest.mark.parametrize("kind", [bool, "boolean", pd.ArrowDtype(ARROW.bool_()), object])
    def test_true_and_false_are_1_and_0(self, kind: Any) -> None:
        assert doors.numbers("x", pd.Series([True, False]).astype(kind)).tolist() == [1, 0]

    def test_shapes_are_kept(self) -> None:
        assert doors.numbers("x", 3).shape == ()
        assert doors.numbers("x", [[1, 2, 3]]).shape == (1, 3)
        assert doors.numbers("x", []).shape == (0,)
        assert np.isnan(doors.numbers("x", None))

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (["1", "ten", ""], "x is no number in 2 rows, the first 'ten'"),
            ("ten", "x is no number in 1 row, the first 'ten'"),
            (["nan"], "x is no number in 1 row, the first 'nan'"),
            (["12,50"], "x is no number in 1 row, the first '12,50'"),
            ([1j], "x is no number in 1 row, the first 1j"),
            ([{"a": 1}, 2], "x is no number in 1 row, the first {'a': 1}"),
            ([[1, 2], [3]], "x holds lists of several lengths"),
            (["z" * 99], f"x is no number in 1 row, the first '{'z' * 59}..."),
            ([1.0, np.inf, -np.inf], "x is infinite in 2 rows, the first inf"),
            (["inf"], "x is infinite in 1 row, the first 'inf'"),
            ([Decimal("-Infinity")], "x is infinite in 1 row, the first Decimal('-Infinity')"),
            (pd.to_timedelta([1], unit="D"), "x holds time spans: divide them by their unit, pd.Timedelta(days=1)"),
            ([dt.timedelta(1)], "x holds time spans: divide them by their unit, pd.Timedelta(days=1)"),
            (
                arrow([dt.timedelta(1)], ARROW.duration("us")),
                "x holds time spans: divide them by their unit, pd.Timedelta(days=1)",
            ),
            (pd.Series(pd.to_datetime(["2026-01-01"])), "x holds dates: count the days since one of them"),
            ([dt.date(2026, 1, 1), None], "x holds dates: count the days since one of them"),
            (pd.period_range("2026-01", periods=2, freq="M"), "x holds periods: count them from one of them"),
        ],
    )
    def test_refusals(self, values: Any, words: str) -> None:
        assert refusal(doors.numbers, "x", values) == (words, doors.WRITE_NUMBERS)

    def test_a_whole_number_beyond_doubles_is_infinite(self) -> None:
        with pytest.raises(UsageError, match="x is infinite in 1 row, the first 1000"):
            doors.numbers("x", [10**400, 1])

    def test_infinite_ones_may_be_missing(self) -> None:
        found = doors.numbers("x", [np.inf, 1, "-inf", None], infinite_missing=True)
        np.testing.assert_array_equal(found, [np.nan, 1, np.nan, np.nan])

    def test_columns_of_a_frame_are_refused_all_at_once(self) -> None:
        frame = pd.DataFrame({"a": ["1", "b"], "b": [1.0, 2.0], "c": [np.inf, 1.0]})
        words = "a is no number in 1 row, the first 'b'; c is infinite in 1 row, the first inf"
        assert refusal(doors.numbers_of, frame, list("abc")) == (words, doors.WRITE_NUMBERS)
        assert refusal(doors.numbers_of, frame, ["d", "a"]) == ("the frame: no column 'd'", "There are a, b, c.")
        found = doors.numbers_of(frame, ["b", "c"], infinite_missing=True)
        np.testing.assert_array_equal([found["b"], found["c"]], [[1, 2], [np.nan, 1]])

    @given(st.lists(st.one_of(st.floats(allow_infinity=False, allow_nan=False), st.none()), max_size=9), st.data())
    def test_what_holds_them_does_not_matter(self, values: list[float | None], data: st.DataObject) -> None:
        expected = np.array([math.nan if value is None else value for value in values], dtype=float)
        ways = [lambda x: x, repr, Decimal, np.float64]
        mixed = [None if x is None else data.draw(st.sampled_from(ways))(x) for x in values]  # type: ignore[operator]
        np.testing.assert_array_equal(doors.numbers("x", mixed), expected)
        np.testing.assert_array_equal(doors.numbers("x", pd.array(values, dtype="Float64")), expected)

    @given(st.lists(st.one_of(st.integers(), st.text(), st.booleans(), st.dates(), st.floats(), st.none()), max_size=9))
    def test_whatever_comes_is_numbers_or_refused(self, values: list[Any]) -> None:
        found, fault = doors.tried("x", values)
        if fault:
            assert refusal(doors.numbers, "x", values) == (fault, doors.WRITE_NUMBERS)
            return
        assert found.shape == (len(values),)
        assert not np.isinf(found).any()


MORNING = pd.Timestamp("2026-10-31 07:05:00")


class TestMoments:
    @pytest.mark.parametrize(
        "values",
        [
            ["2026-10-31", "2026-10-31T07:05:00", None, " "],
            [dt.date(2026, 10, 31), dt.datetime(2026, 10, 31, 7, 5), pd.NaT, ""],
            [pd.Timestamp("2026-10-31"), np.datetime64("2026-10-31T07:05"), None, None],
            pd.DatetimeIndex(["2026-10-31", "2026-10-31T07:05:00", None, None]),
            pd.Series(["2026-10-31", "20261031T070500", None, ""], dtype="string"),
            pd.Series(["2026-10-31", "2026-10-31 07:05", None, None], dtype="category"),
            arrow(["2026-10-31", "2026-10-31 07:05", None, ""], ARROW.string()),
            arrow([dt.datetime(2026, 10, 31), dt.datetime(2026, 10, 31, 7, 5), None, None], ARROW.timestamp("ns")),
        ],
    )
    @pytest.mark.parametrize("zones", [True, False])
    def test_of_every_kind(self, values: Any, zones: bool) -> None:
        found = doors.moments("day", values, zones=zones)
        assert found.dtype == np.dtype("datetime64[us]")
        assert found.tolist() == [pd.Timestamp("2026-10-31"), MORNING, pd.NaT, pd.NaT]
        assert doors.days("day", values, zones=zones).dropna().unique().tolist() == [pd.Timestamp("2026-10-31")]

    def test_dates_of_arrow(self) -> None:
        found = doors.moments("day", arrow([dt.date(2026, 10, 31), None], ARROW.date32()))
        assert found.tolist() == [pd.Timestamp("2026-10-31"), pd.NaT]

    def test_the_index_is_kept(self) -> None:
        for values in (["2026-10-31", "", None], pd.to_datetime(["2026-10-31", None, None])):
            assert doors.moments("day", pd.Series(values, index=[7, 7, 8])).index.tolist() == [7, 7, 8]

    @pytest.mark.parametrize(
        "values",
        [
            ["2026-10-31T09:05:00+02:00", "2026-10-31T07:05:00"],
            ["2026-10-31T09:05:00+02:00", "2026-10-31T10:05:00+03:00"],
            [MORNING.tz_localize("UTC"), MORNING],
            [MORNING, MORNING.tz_localize("UTC")],
            pd.Series([MORNING, MORNING]).dt.tz_localize("UTC").dt.tz_convert("Europe/Paris"),
            arrow([MORNING.tz_localize("UTC")] * 2, ARROW.timestamp("us", "Europe/Paris")),
        ],
    )
    def test_zones_are_brought_to_utc_or_refused(self, values: Any) -> None:
        assert doors.moments("day", values).tolist() == [MORNING, MORNING]
        assert refusal(doors.moments, "day", values, zones=False) == (
            "day has a time zone",
            "Bring times to the reporting time zone and drop the zone.",
        )

    @pytest.mark.parametrize("values", [[20261031], [1.5, None], pd.array([1], dtype="Int64"), [True]])
    def test_numbers_are_no_dates(self, values: Any) -> None:
        assert refusal(doors.moments, "day", values) == (
            "day holds numbers, not dates",
            "Turn them into dates with their own format first.",
        )

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (["2026-10-31", "01/02/2026", "soon"], "day is no date in 2 rows, the first '01/02/2026'"),
            (["2026-02-30"], "day is no date in 1 row, the first '2026-02-30'"),
            (["now"], "day is no date in 1 row, the first 'now'"),  # a pure room does not read the clock
            (["today", None], "day is no date in 1 row, the first 'today'"),
            (["nan", "NaT"], "day is no date in 2 rows, the first 'nan'"),
            ([20261031, "2026-10-31"], "day is no date in 1 row, the first 20261031"),
            ([Decimal(1)], "day is no date in 1 row, the first Decimal('1')"),
            ([dt.time(7, 5)], "day is no date in 1 row, the first datetime.time(7, 5)"),
            ([pd.Period("2026-10", "M")], "day is no date in 1 row, the first Period('2026-10', 'M')"),
            (pd.PeriodIndex(["2026-10"], freq="M"), "day is no date in 1 row, the first Period('2026-10', 'M')"),
            (pd.to_timedelta([1], unit="D"), "day is no date in 1 row, the first Timedelta('1 days 00:00:00')"),
        ],
    )  # fmt: skip
    def test_refusals(self, values: Any, words: str) -> None:
        for zones in (True, False):
            assert refusal(doors.moments, "day", values, zones=zones) == (words, doors.WRITE_DATES)

    @given(st.lists(st.one_of(st.datetimes(), st.none()), max_size=9), st.data())
    def test_what_holds_them_does_not_matter(self, values: list[dt.datetime | None], data: st.DataObject) -> None:
        ways = [lambda x: x, dt.datetime.isoformat, str, np.datetime64]
        mixed = [None if x is None else data.draw(st.sampled_from(ways))(x) for x in values]  # type: ignore[operator]
        expected = np.array(values, dtype="datetime64[us]")
        np.testing.assert_array_equal(doors.moments("day", mixed).to_numpy(), expected)

    @given(st.lists(st.one_of(st.text(), st.integers(), st.dates(), st.timedeltas(), st.none()), max_size=9))
    def test_nothing_but_dates_and_text_is_taken(self, values: list[Any]) -> None:
        blank = [value is None or (isinstance(value, str) and not value.strip()) for value in values]
        if any(isinstance(value, int | dt.timedelta) for value in values):
            with pytest.raises(UsageError, match=r"day is no date in |day holds numbers"):
                doors.moments("day", values)
        elif all(isinstance(value, dt.date) or empty for value, empty in zip(values, blank, strict=True)):
            assert doors.moments("day", values).isna().tolist() == blank


class TestMoment:
    @pytest.mark.parametrize(
        "value", ["2026-10-31", dt.date(2026, 10, 31), pd.Timestamp("2026-10-31"), np.datetime64("2026-10-31")]
    )
    def test_one_date(self, value: Any) -> None:
        assert doors.moment("end", value) == pd.Timestamp("2026-10-31")

    @pytest.mark.parametrize("value", [None, "", "soon", "today", 20261031, 1.5, True, pd.NaT, [1], "31/10/2026"])
    def test_none(self, value: Any) -> None:
        assert refusal(doors.moment, "end", value) == (f"end {value!r} is no date", doors.WRITE_DATES)

    def test_zones(self) -> None:
        given_ = MORNING.tz_localize("UTC").tz_convert("Asia/Tokyo")
        assert doors.moment("end", given_) == MORNING
        with pytest.raises(UsageError, match="end has a time zone"):
            doors.moment("end", given_, zones=False)


class TestWhole:
    def test_between_limits(self) -> None:
        assert doors.whole("bins", np.int64(5), 2, 10) == 5
        assert doors.whole("bins", 2, 2, 10) == 2

    @pytest.mark.parametrize("value", [1, 11, 5.0, "5", True, None])
    def test_refusals(self, value: Any) -> None:
        assert refusal(doors.whole, "bins", value, 2, 10) == (f"bins {value!r} is no whole number from 2 to 10", "")


class TestWhatIsGiven:
    """A frame, a generator, a list of names: what every room asks for."""

    FRAME = pd.DataFrame({"customer_id": ["a"], "y": [1.0]})

    def test_a_frame(self) -> None:
        assert doors.frame(self.FRAME) is self.FRAME
        with pytest.raises(UsageError, match="the orders is a dict, not a pandas DataFrame"):
            doors.frame({"a": [1]}, "the orders")
        with pytest.raises(UsageError, match="the frame is a dict, neither a pandas DataFrame nor an Ibis table"):
            doors.table({"a": [1]})

    def test_a_generator(self) -> None:
        rng = np.random.default_rng(3)
        assert doors.generator(rng) is rng
        assert doors.generator(None).random() == np.random.default_rng(1).random()
        for given_ in (1, np.random.RandomState(1), "1"):
            with pytest.raises(UsageError, match=r"rng is a .*, not a numpy Generator"):
                doors.generator(given_)

    def test_a_list_of_names(self) -> None:
        assert doors.names(None) == ()
        assert doors.names("plan") == ("plan",)
        assert doors.names(name for name in ("plan", "age")) == ("plan", "age")
        with pytest.raises(UsageError, match="'7' is no list of names"):
            doors.names(7)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda given_: segments.rfm(given_, "2026-10-31"),
            segments.cluster,
            lambda given_: segments.migration(given_, given_),
            lambda given_: loyalty.churn(given_, "2026-10-01", "2026-11-01"),
            lambda given_: loyalty.cox(given_, "d", "e", ["x"]),
            lambda given_: loyalty.hazard_ratios(given_, "d", "e", ["x"]),
            lambda given_: loyalty.retention_triangle(given_, "2026-11-01"),
            lambda given_: loyalty.repeat_purchase(given_, end="2026-11-01"),
            loyalty.say_and_do,
            loyalty.calibration,
            lambda given_: drivers.fit(given_, "y", ["x"]),
            lambda given_: drivers.effects(given_, "y", ["x"]),
            value.link,
            value.fit_link,
            value.link_churn,
            value.fit_churn,
            lambda given_: value.summarise_transactions(given_, "c", "d", end="2026-11-01"),
            lambda given_: partners.fit(given_, "y", "partner"),
        ],
    )
    @pytest.mark.parametrize("given_", [None, [1, 2], {"customer_id": [1]}, np.zeros((2, 2))])
    def test_every_room_asks_for_a_frame(self, ask: Any, given_: Any) -> None:
        with pytest.raises(UsageError, match=f" is a {type(given_).__name__}"):
            ask(given_)

    def test_every_room_asks_for_a_generator(self) -> None:
        frame = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 2)), columns=["x", "y"])
        for ask in (lambda: segments.cluster(frame, rng=1), lambda: drivers.fit(frame, "y", ["x"], rng=1)):
            with pytest.raises(UsageError, match="rng is a int, not a numpy Generator"):
                ask()


class TestGeneratorsOfNames:
    """What can be run through only once is run through once."""

    def test_partners(self) -> None:
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"y": rng.normal(size=90), "partner": list("abc") * 30, "age": rng.normal(size=90)})
        one, *others = (
            partners.compare(frame, "y", "partner", case_mix=mix, cluster=None)
            for mix in (["age"], "age", (name for name in ["age"]))
        )
        assert one["method"].str.contains("adjusted for age").all()
        for other in others:
            pd.testing.assert_frame_equal(one, other)

    def test_drivers(self) -> None:
        rng = np.random.default_rng(1)
        frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["y", "ab", "c"])
        one = drivers.importance(frame, "y", ["ab", "c"], bootstrap=0)
        pd.testing.assert_frame_equal(one, drivers.importance(frame, "y", (x for x in ("ab", "c")), bootstrap=0))
        assert drivers.importance(frame, "y", "ab", bootstrap=0)["level"].tolist() == ["ab"]

    def test_loyalty(self) -> None:
        frame = pd.DataFrame({"d": [1.0, 2, 3, 4, 5, 6], "e": 1, "x": [1, 3, 2, 5, 1, 2], "why": list("ababab")})
        one = loyalty.reason_hazard_ratios(frame, "d", "e", "why", ["x"])
        pd.testing.assert_frame_equal(one, loyalty.reason_hazard_ratios(frame, "d", "e", "why", (n for n in ["x"])))
        said = pd.DataFrame({"customer_id": range(20), "said": ["yes", "no"] * 10, "left": [0, 1, 1, 0] * 5})
        one = loyalty.say_and_do(said, outcomes=["left"], groups=("yes", "no"))
        for outcomes in ("left", (name for name in ["left"])):
            found = loyalty.say_and_do(said, outcomes=outcomes, groups=(name for name in ("yes", "no")))
            pd.testing.assert_frame_equal(one, found)
        orders = pd.DataFrame({"customer_id": [1, 1, 2], "ordered_at": ["2026-01-01", "2026-01-05", "2026-01-01"]})
        one = loyalty.repeat_purchase(orders, end="2026-06-01", windows=[30, 90])
        found = loyalty.repeat_purchase(orders, end="2026-06-01", windows=(days for days in (30, 90)))
        pd.testing.assert_frame_equal(one, found)

    def test_value(self) -> None:
        rng = np.random.default_rng(1)
        frame = pd.DataFrame({"customer_id": np.repeat(range(60), 6), "period": list(range(6)) * 60})
        frame = frame.assign(satisfaction=rng.normal(7, 1, 360), spend=rng.gamma(2, 9, 360), age=rng.normal(size=360))
        frame = frame.assign(visits=rng.poisson(2, 360), churned=0, plan=list("ab") * 180)
        frame.loc[frame["period"] == 5, "churned"] = rng.integers(0, 2, 60)
        for ask, more in ((value.link, {}), (value.link_churn, {"segments": ["plan"]})):
            one = ask(frame, controls=["age"], negative_control=["visits"], **more)
            for change in (str, iter):
                given_ = {name: change(names[0]) if change is str else iter(names) for name, names in more.items()}
                control = "age" if change is str else iter(["age"])
                found = ask(frame, controls=control, negative_control=change("visits") if change is str
                            else iter(["visits"]), **given_)  # fmt: skip
                pd.testing.assert_frame_equal(one, found)
            none = ask(frame, negative_control=None)
            assert not none["metric"].str.contains("visits").any()
            with pytest.raises(UsageError, match=r"no column 'vists'.*did you mean 'visits'"):
                ask(frame, negative_control="vists")
