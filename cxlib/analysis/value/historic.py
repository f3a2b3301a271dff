"""What customers have been worth so far: realised margin, discounted to each customer's first purchase."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.analysis.doors import numbers
from cxlib.analysis.value.door import DAYS, columns, day, totals
from cxlib.analysis.value.people import ALL, coded, margins
from cxlib.analysis.value.transactions import purchases
from cxlib.errors import UsageError
from cxlib.measure import estimates
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Codes, Numbers

METRICS = ("historic_value", "historic_value_total")


@dataclass(frozen=True, eq=False)
class HistoricValue:
    """The realised value of each customer, and of all and of groups with intervals.

    Parameters
    ----------
    customers
        Indexed by customer: `purchases` (days with one), `value`.
    rows
        Result frame: `historic_value` (mean per customer) and `historic_value_total`, of all and of each group.
    """

    customers: pd.DataFrame
    rows: pd.DataFrame

    @property
    def value(self) -> Numbers:
        """The value of each customer, shape (n,)."""
        return self.customers["value"].to_numpy()


def historic_value(
    transactions: pd.DataFrame,
    customer: str,
    date: str,
    amount: str,
    *,
    end: str | dt.date | pd.Timestamp,
    discount: float = 0.10,
    margin: ArrayLike = 1.0,
    groups: Any = None,
    segment: str = "group",
    confidence: float = 0.95,
    min_n: int = 1,
) -> HistoricValue:
    """Return what customers have been worth up to a day.

    Parameters
    ----------
    transactions, customer, date, amount, end
        As in `summarise_transactions`, pandas only; days without a known amount add nothing.
    discount
        A year, as a share: an amount a year after the customer's first purchase is worth 1 / (1 + discount).
    margin
        What is left of an amount, as a share; one for all or one a transaction, shape (n,).
    groups, segment
        Level of each customer, a series by customer id, and what they are called.
    confidence
        Of the intervals: t intervals of the mean per customer as a sample of customers of that kind, the total's in
        proportion. The sum itself has happened and is not in doubt.
    min_n
        Rows of fewer customers are suppressed.

    Returns
    -------
    HistoricValue

    Raises
    ------
    UsageError
        For columns that are not there, values that are none, a discount below 0.

    Source: METHODS, Value: historic = realised discounted margin.
    """
    columns(list(transactions.columns), {"customer": customer, "date": date, "amount": amount})
    if not 0 <= discount < np.inf:
        raise UsageError(f"discount {discount} cannot be used", hint="10 % a year is 0.1.")
    part = numbers(amount, transactions[amount]) * margins(margin, len(transactions), "transactions")
    own = transactions.assign(**{amount: part})
    bought = purchases(own, customer, date, amount, day("end", end))
    assert bought.amount is not None
    years = (bought.day - bought.first[bought.who]) / DAYS["year"]
    worth = np.where(np.isnan(bought.amount), 0.0, bought.amount) * (1 + discount) ** -years
    size = bought.first.size
    found = {"purchases": np.bincount(bought.who, minlength=size), "value": totals(bought.who, worth, size)}
    customers = pd.DataFrame(found, index=bought.customers)
    group, levels = coded(groups, customers.index)
    method = f"realised, {discount * 100:g} % a year to the first purchase, t"
    rows = _rows(customers["value"].to_numpy(), group, levels, segment, method, confidence)
    return HistoricValue(customers, results.suppress(rows, min_n))


def _rows(
    value: Numbers, group: Codes, levels: list[str], segment: str, method: str, confidence: float
) -> pd.DataFrame:
    """Return means and totals of all and of the groups."""
    cells = [(ALL, ALL, np.full(value.size, True))]
    cells += [(segment, level, group == code) for code, level in enumerate(levels)]
    parts = []
    for metric in METRICS:
        for name, level, mine in cells:
            found = estimates.mean(Moments.of(value[mine]), confidence=confidence)
            found = estimates.scaled(found, float(mine.sum())) if metric == METRICS[1] else found
            parts.append(results.label(found, metric=metric, segment=name, level=level, method=method))
    return results.concat(parts)
