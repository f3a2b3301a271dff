"""Recency, frequency and monetary value: scores by equal bins with one order for ties, and named groups.

Scores are SQL's NTILE over an order that leaves no ties (value, then the other two, then the customer's id), so that
pandas and any engine give the same cells whatever the order of the rows. Amounts are summed as whole millionths: sums
of doubles differ in their last digits from run to run, and a digit decides between two bins.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis import doors
from cxlib.analysis.segments.groups import HIGH, LAST, LOW, MIDDLE, ONCE, RULES, limits

if TYPE_CHECKING:
    import ibis.expr.types as ir

_UNIT = 1_000_000
_DAY = 86_400
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
MOST_BINS = 100


def rfm(
    orders: pd.DataFrame | ir.Table,
    as_of: Any,
    *,
    customer: str = "customer_id",
    date: str = "ordered_at",
    amount: str = "amount",
    bins: int = 5,
) -> pd.DataFrame | ir.Table:
    """Score customers by how lately, how often and for how much they bought.

    Parameters
    ----------
    orders
        One row an order: a frame, or an Ibis table, which is then summed where it lives. Rows without customer, date
        or finite amount are not looked at, nor are those after `as_of`.
    as_of
        The day looked back from: a date (or "2026-10-31") counts to its end; a moment (a `datetime`, or text with a
        time of day) counts to itself. Times are in UTC.
    customer, date, amount
        Names of the columns.
    bins
        How many scores there are, 2 to 100; 1 is the worst. Bins are as equal as can be: where customers do not divide
        evenly the lowest have one more, and fewer customers than bins reach only as many scores (SQL's NTILE).

    Returns
    -------
    pandas.DataFrame or ibis.Table
        One row a customer. The frame has the customer as its index, in order; the table has it as a column.
        `recency`: whole days since the last order; `frequency`: orders; `monetary`: sum of amounts, to a millionth;
        `r`, `f`, `m`: scores, where r is high for those who bought lately; `group`: a name from `groups.GROUPS`.
        Customers with equal values may lie in neighbouring bins, as equal bins demand: of equal frequency the one who
        bought later has the higher f, then who spent more, then whose id is greater.

    Raises
    ------
    UsageError
        For columns that lack, dates that are none, numbers of bins that make no sense.

    Notes
    -----
    Hughes, Strategic Database Marketing (1994), independent quintiles. Groups: `groups`, for any number of bins.
    Where most bought only once, bins of equal size cut them by when they bought: f says little then, look at
    `frequency` itself. Groups do: nobody who bought once is called loyal.
    Engines that sort text by a language's rules may break the very last ties, of customers alike in all three, another
    way.
    """
    doors.table(orders, "the orders")
    bins, end = doors.whole("bins", bins, 2, MOST_BINS), _last_moment(as_of)
    doors.require(orders.columns, (customer, date, amount), "the orders")
    if isinstance(orders, pd.DataFrame):
        return _scored(_summed(orders, end, customer, date, amount), bins)
    return _scored_there(_summed_there(orders, end, customer, date, amount), customer, bins)


def _last_moment(as_of: Any) -> pd.Timestamp:
    """Return the last moment that counts: a date is its whole day, a moment is itself; in UTC, without a zone.

    Raises `UsageError` for what is neither.
    """
    given = as_of.strip() if isinstance(as_of, str) else as_of
    day = isinstance(given, str) and _DATE.fullmatch(given) is not None
    day = day or (isinstance(given, dt.date) and not isinstance(given, dt.datetime))
    moment = doors.moment("as_of", given)
    return (moment + pd.Timedelta(days=1) - pd.Timedelta(microseconds=1)) if day else moment


def _summed(orders: pd.DataFrame, end: pd.Timestamp, customer: str, date: str, amount: str) -> pd.DataFrame:
    """Return last order, orders and millionths of each customer, in the order of their ids."""
    when, paid = doors.moments(date, orders[date]), doors.numbers(amount, orders[amount], infinite_missing=True)
    kept = (when.notna() & (when <= end) & orders[customer].notna()).to_numpy() & ~np.isnan(paid)
    rows = pd.DataFrame(
        {
            customer: orders[customer].array[kept],
            "last": when.to_numpy()[kept],
            "paid": np.floor(paid[kept] * _UNIT + 0.5).astype(np.int64),
        }
    )
    found = rows.groupby(customer, sort=True).agg(
        last=("last", "max"), frequency=("last", "size"), paid=("paid", "sum")
    )
    elapsed = (end.to_datetime64() - found["last"].to_numpy()) // np.timedelta64(_DAY, "s")
    return found.assign(recency=elapsed.astype(np.int64), frequency=found["frequency"].astype(np.int64))


def _scored(found: pd.DataFrame, bins: int) -> pd.DataFrame:
    """Return the customers with scores and groups."""
    last, often, paid = (found[name].to_numpy() for name in ("last", "frequency", "paid"))
    scores = {
        "r": _ntile((last, often, paid), bins),
        "f": _ntile((often, last, paid), bins),
        "m": _ntile((paid, often, last), bins),
    }
    low, high = limits(bins)
    bands = {name: np.where(score <= low, LOW, np.where(score >= high, HIGH, MIDDLE)) for name, score in scores.items()}
    bands["f"] = np.where(often <= ONCE, LOW, bands["f"])
    group = np.full(len(found), LAST, dtype=object)
    for rule in reversed(RULES):
        group[rule.holds(**bands)] = rule.name
    out = found[["recency", "frequency"]].assign(monetary=paid / _UNIT, **scores)
    return out.assign(group=pd.Series(group, index=out.index, dtype="str"))


def _ntile(keys: tuple[NDArray[Any], ...], bins: int) -> NDArray[np.int64]:
    """Return SQL's NTILE, from 1, of rows in the order of `keys`, the first key first; rows alike keep their order."""
    count = len(keys[0])
    each, more = divmod(count, bins)
    place = np.empty(count, dtype=np.int64)
    place[np.lexsort(keys[::-1])] = np.arange(count)
    full = more * (each + 1)  # customers in the bins that have one more
    return 1 + np.where(place < full, place // (each + 1), more + (place - full) // max(each, 1))


def _summed_there(orders: ir.Table, end: pd.Timestamp, customer: str, date: str, amount: str) -> ir.Table:
    """Return the same as `_summed` where the table lives."""
    import ibis

    paid = orders[amount].cast("float64")
    rows = orders.select(who=orders[customer], at=orders[date].cast("timestamp"), paid=paid)
    finite = ~(rows.paid.isnan() | rows.paid.isinf())
    rows = rows.drop_null(["who", "at", "paid"]).filter(finite)
    rows = rows.filter(rows["at"] <= ibis.timestamp(end.to_pydatetime()))
    rows = rows.mutate(paid=(rows.paid * _UNIT + 0.5).floor().cast("int64"))
    found = rows.group_by("who").agg(last=rows["at"].max(), frequency=rows.count(), paid=rows.paid.sum().cast("int64"))
    # Whole days between two moments without rounding: days are counted from the time of day of the end.
    beyond = end - end.normalize() + pd.Timedelta(microseconds=1)
    shifted = found["last"] - ibis.interval(microseconds=int(beyond / pd.Timedelta(microseconds=1)))
    day = shifted.truncate("D").epoch_seconds() // _DAY
    return found.mutate(recency=(int(end.normalize().timestamp()) // _DAY - 1 - day).cast("int64"))


def _scored_there(found: ir.Table, customer: str, bins: int) -> ir.Table:
    """Return the same as `_scored` where the table lives."""
    import ibis

    last, often, paid, who = found["last"], found.frequency, found.paid, found.who
    orders = {"r": [last, often, paid, who], "f": [often, last, paid, who], "m": [paid, often, last, who]}
    scored = found.mutate(**{name: ibis.ntile(bins).over(order_by=keys) + 1 for name, keys in orders.items()})
    low, high = limits(bins)
    bands = {
        name: ibis.cases((scored[name] <= low, LOW), (scored[name] >= high, HIGH), else_=MIDDLE) for name in orders
    }
    bands["f"] = ibis.ifelse(scored.frequency <= ONCE, LOW, bands["f"])
    group = ibis.cases(*((rule.holds(**bands), rule.name) for rule in RULES), else_=LAST)
    return scored.select(
        **{customer: scored.who},
        recency=scored.recency,
        frequency=scored.frequency,
        monetary=scored.paid.cast("float64") / _UNIT,
        **{name: scored[name].cast("int64") for name in ("r", "f", "m")},
        group=group,
    )
