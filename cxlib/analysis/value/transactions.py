"""From transactions to what the models need: one row a customer."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.value.door import columns, day, days_per
from cxlib.measure.rows import Codes, Numbers


def summarise_transactions(
    frame: Any,
    customer: str,
    date: str,
    amount: str | None = None,
    *,
    end: str | dt.date | pd.Timestamp,
    unit: str = "week",
) -> Any:
    """Count each customer's repeat purchases up to a day, and when they were.

    Parameters
    ----------
    frame
        One row a transaction: a pandas frame, or an Ibis table, which is summed where it lives. Times must be in the
        time zone that reports are cut in: transactions of one day are one purchase.
    customer, date, amount
        Its columns. Rows without customer or date do not count.
    end
        The last day that is looked at.
    unit
        Of recency and T: `day`, `week` (days / 7), `month` (30.4375 days) or `year`.

    Returns
    -------
    pandas.DataFrame
        Indexed by the customer column and sorted by it: `frequency` (days with a purchase less the first), `recency`
        (first to last purchase), `T` (first purchase to `end`), and with an amount `monetary_value`: the mean amount
        of the repeat days, 0 without any. For an Ibis table the same as an Ibis table, the customer as a column.

    Raises
    ------
    UsageError
        For columns that are not there, and dates or amounts that are none.

    Source: Fader and Hardie, the CDNOW summary (x, t_x, T, zbar); amounts of the first day tell nothing about repeats.
    """
    doors.table(frame, "the transactions")
    columns(list(frame.columns), {"customer": customer, "date": date, "amount": amount})
    last, scale = day("end", end), days_per(unit)
    if not isinstance(frame, pd.DataFrame):
        return _in_engine(frame, customer, date, amount, last, scale)
    bought = purchases(frame, customer, date, amount, last)
    first, who = bought.first, bought.who
    count = np.bincount(who, minlength=first.size)
    latest = np.zeros(first.size, dtype=np.int64)
    np.maximum.at(latest, who, bought.day)
    found = {
        "frequency": count - 1,
        "recency": (latest - first) / scale,
        "T": (bought.last - first) / scale,
    }
    if amount is not None:
        found["monetary_value"] = _mean_of_repeats(bought)
    return pd.DataFrame(found, index=bought.customers)


class Purchases:
    """Days with a purchase, sorted by customer and day: numbers of days since 1970, amounts where there are any."""

    def __init__(self, customers: pd.Index, who: Codes, day: Codes, amount: Numbers | None, last: int) -> None:
        self.customers, self.who, self.day, self.amount, self.last = customers, who, day, amount, last
        starts = np.flatnonzero(np.r_[True, who[1:] != who[:-1]]) if who.size else who
        self.first = day[starts]  # of each customer
        self.repeat = day > self.first[who]


def purchases(frame: pd.DataFrame, customer: str, date: str, amount: str | None, last: pd.Timestamp) -> Purchases:
    """Merge the transactions of a day, up to the day `last`."""
    days = doors.days(date, frame[date], zones=False)  # a day is one of the zone that reports are cut in
    known = (frame[customer].notna() & days.notna() & (days <= last)).to_numpy()
    who, customers = pd.factorize(frame.loc[known, customer], sort=True)
    number = days[known].to_numpy().astype("datetime64[D]").astype(np.int64)
    money = doors.numbers(amount, frame.loc[known, amount]) if amount is not None else np.zeros(number.size)
    order = _order(who, number, money)
    who, number, money = who[order].astype(np.int64), number[order], money[order]
    fresh = np.flatnonzero(np.r_[True, (who[1:] != who[:-1]) | (number[1:] != number[:-1])]) if who.size else who
    total = _sums(money, fresh) if amount is not None else None
    index = pd.Index(customers, name=customer)
    return Purchases(index, who[fresh], number[fresh], total, number_of(last))


def _order(who: Codes, number: Codes, money: Numbers) -> Codes:
    """Return the order by customer and day, and by amount too: sums of decimals must not depend on the rows' order.

    Rows mostly come sorted, and few share a customer and day: only those are compared by amount.
    """
    if not who.size:
        return np.arange(0)
    low = int(number.min())
    key = who * (int(number.max()) - low + 1) + (number - low)
    step = np.diff(key)
    order = np.arange(key.size) if (step >= 0).all() else np.argsort(key, kind="stable")
    key = key[order]
    tied = np.flatnonzero(np.diff(key, prepend=-1) == 0)
    tied = np.union1d(tied - 1, tied)
    order[tied] = order[tied][np.lexsort((money[order[tied]], key[tied]))]
    return order


def number_of(day: pd.Timestamp) -> int:
    """Return the number of a day since 1970."""
    return int(day.to_datetime64().astype("datetime64[D]").astype(np.int64))


def _sums(money: Numbers, starts: Codes) -> Numbers:
    """Return the amount of each day; missing where none of its amounts is known, as in SQL."""
    if not starts.size:
        return np.zeros(0)
    known = ~np.isnan(money)
    total = np.add.reduceat(np.where(known, money, 0.0), starts)
    return np.where(np.add.reduceat(known.astype(float), starts) > 0, total, np.nan)


def _mean_of_repeats(bought: Purchases) -> Numbers:
    """Return each customer's mean amount of the days after the first; 0 where there is none."""
    assert bought.amount is not None
    kept = bought.repeat & ~np.isnan(bought.amount)
    size = bought.first.size
    total = np.bincount(bought.who[kept], bought.amount[kept], size)
    count = np.bincount(bought.who[kept], minlength=size)
    return np.divide(total, count, out=np.zeros(size), where=count > 0)


def _in_engine(table: Any, customer: str, date: str, amount: str | None, last: pd.Timestamp, scale: float) -> Any:
    """Return the summary as an Ibis table over an Ibis table; nothing is brought back."""
    import ibis

    money = table[amount] if amount is not None else ibis.null("float64")
    rows = table.select(_who=table[customer], _day=table[date].cast("date"), _amount=money)
    limit = ibis.literal(last.date())
    rows = rows.drop_null(["_who"])
    rows = rows.filter(rows._day <= limit)  # a missing day is not before any
    days = rows.group_by("_who", "_day").agg(_amount=rows._amount.sum())
    days = days.mutate(_first=days._day.min().over(ibis.window(group_by="_who")))
    found = days.group_by("_who").agg(
        frequency=days.count() - 1,
        recency=days._day.max().delta(days._day.min(), unit="day").cast("float64") / scale,
        T=limit.delta(days._day.min(), unit="day").cast("float64") / scale,
        monetary_value=days._amount.mean(where=days._day > days._first).cast("float64").fill_null(0.0),
    )
    found = found.rename({customer: "_who"})
    return found if amount is not None else found.drop("monetary_value")
