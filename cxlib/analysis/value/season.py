"""Whether purchases follow the calendar in a way that the model does not know: seasons, a trend, one odd month."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse, special

from cxlib import results
from cxlib.analysis.value.bg_nbd import BgNbdFit
from cxlib.analysis.value.checks import DOUBT, HOLDS, REFUSES
from cxlib.analysis.value.door import columns, day, days_per
from cxlib.analysis.value.rates import while_alive
from cxlib.analysis.value.transactions import Purchases, purchases
from cxlib.measure.intervals import z_of
from cxlib.measure.rows import Codes, Numbers

_LEAST = 10.0  # repeat purchases expected in a month that is looked at
_MATTERS = 0.10  # a month, or a year of trend, this far from what is expected is worth a doubt


def season(
    transactions: pd.DataFrame,
    customer: str,
    date: str,
    fit: BgNbdFit,
    *,
    end: str | dt.date | pd.Timestamp,
    unit: str = "week",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare the repeat purchases of each calendar month with what the model expects of the customers there.

    Parameters
    ----------
    transactions, customer, date, end, unit
        As in `summarise_transactions`, pandas only.
    fit
        Fitted to the same customers up to the same day.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame. `purchases_index`, one row a month: purchases as a share of those expected (`comparison`
        `index`, 1 as expected), with an interval on the logarithm, robust to customers; n = customers there, `too_few`
        where fewer than 10 purchases are expected. `calendar`: Wald test that all months are as expected. `trend`: by
        how much the index changes a year. Their notes say `holds` or `doubt`, as in `checks`.

    Source: expected purchases of a new customer, Fader, Hardie and Lee (2005), equation (9), cumulated over the days of
    first purchase; variance by customers (Liang and Zeger 1986). The doubt of the parameters is left out.
    """
    columns(list(transactions.columns), {"customer": customer, "date": date})
    what = {"segment": "all", "method": "observed to expected repeat purchases, robust to customers"}
    if not fit.converged:
        note = f"{REFUSES}: the purchase model could not be fitted: {fit.note}"
        return results.frame(
            metric=["calendar", "trend"], comparison="test", status=results.UNDEFINED, note=note, **what
        )
    bought = purchases(transactions, customer, date, None, day("end", end))
    months, edges = _months(bought)
    observed, expected, spread = _compared(bought, fit.parameters, edges, days_per(unit))
    starts = np.searchsorted(np.sort(bought.first), edges[1:])
    kept = (expected >= _LEAST) & (observed > 0)
    error = np.sqrt(np.diag(spread)) / np.where(observed > 0, observed, np.nan)
    index, limit = observed / np.maximum(expected, 1e-300), np.exp(z_of(confidence) * error)
    rows = results.frame(
        metric="purchases_index", comparison="index", period=months, estimate=index, std_error=error * index,
        conf_low=index / limit, conf_high=index * limit, n=starts.astype(float),
        status=np.where(kept, results.OK, results.TOO_FEW),
        note=np.where(kept, "", f"fewer than {_LEAST:g} purchases expected, or none seen"), **what,
    )  # fmt: skip
    spread = spread[np.ix_(kept, kept)]
    begin = edges[:-1][kept].astype(float)
    tests = _tests(observed[kept], expected[kept], spread, np.array(months)[kept], begin, confidence)
    return results.concat([rows, results.label(tests, method=what["method"])])


def _months(bought: Purchases) -> tuple[list[str], Codes]:
    """Return the labels of the months from the first purchase to the end, and the days on which they begin and end."""
    first = int(bought.first.min()) if bought.first.size else bought.last
    ends = [pd.Timestamp(number, unit="D") for number in (first, bought.last)]
    months = pd.period_range(ends[0], ends[1], freq="M")
    begin = months.start_time.to_numpy().astype("datetime64[D]").astype(np.int64)
    return [str(month) for month in months], np.append(np.maximum(begin, first), bought.last + 1)


def _compared(bought: Purchases, parameters: Numbers, edges: Codes, scale: float) -> tuple[Numbers, Numbers, Numbers]:
    """Return repeat purchases seen and expected by month, shape (months,), and the covariance of what differs."""
    day_, who = bought.day[bought.repeat], bought.who[bought.repeat]
    starts, cohort, often = np.unique(bought.first, return_inverse=True, return_counts=True)
    month = np.searchsorted(edges, day_, side="right") - 1
    shape = bought.first.size, edges.size - 1
    seen = sparse.csr_matrix((np.ones(day_.size), (who, month)), shape=shape)
    ages, of = np.unique(np.maximum(edges[None, :] - 1 - starts[:, None], 0), return_inverse=True)
    zero = np.zeros(ages.size)
    each = np.diff(while_alive(parameters, zero, zero, ages / scale)[of].reshape(starts.size, edges.size), axis=1)
    by_start = sparse.csr_matrix((np.ones(cohort.size), (cohort, np.arange(cohort.size)))) @ seen
    cross = each.T @ by_start.toarray()
    spread = (seen.T @ seen).toarray() - cross - cross.T + each.T @ (often[:, None] * each)
    return np.asarray(seen.sum(axis=0)).ravel(), often @ each, spread


def _tests(
    observed: Numbers, expected: Numbers, spread: Numbers, months: Any, begin: Numbers, confidence: float
) -> pd.DataFrame:
    """Return the test of all months, and the trend."""
    if observed.size < 3:
        note = f"{DOUBT}: fewer than three months to look at"
        return results.frame(metric=["calendar", "trend"], comparison="test", status=results.TOO_FEW, note=note)
    ratio, covariance = np.log(observed / expected), spread / np.outer(observed, observed)
    calendar = _calendar(observed - expected, spread, ratio, months)
    years = (begin - (expected @ begin) / expected.sum()) / 365.25
    trend = _trend(ratio, covariance, expected * years / (expected @ years**2), confidence)
    return results.concat([calendar, trend]).assign(n=observed.sum())


def _calendar(away: Numbers, spread: Numbers, ratio: Numbers, months: Any) -> pd.DataFrame:
    """Test by Wald that no month differs, and name the one that differs most."""
    p = float(special.chdtrc(away.size, away @ np.linalg.pinv(spread, hermitian=True) @ away))
    far = int(np.argmax(np.abs(ratio)))
    most = float(np.exp(ratio[far]))
    matters = abs(most - 1) >= _MATTERS
    told = f"{months[far]} has {most:.2f} times the purchases that the model expects"
    told = told if matters else f"each month has within {_MATTERS * 100:.0f} % of the purchases that the model expects"
    note = f"{DOUBT if p < 0.05 and matters else HOLDS}: {told}"
    return results.frame(metric="calendar", comparison="test", p_value=p, note=note)


def _trend(ratio: Numbers, covariance: Numbers, weight: Numbers, confidence: float) -> pd.DataFrame:
    """Return by how much the index changes a year: the slope of its logarithm, weighted by expected purchases."""
    slope, error = float(weight @ ratio), float(np.sqrt(weight @ covariance @ weight))
    low, high = (float(np.expm1(slope + side * z_of(confidence) * error)) for side in (-1, 1))
    change = float(np.expm1(slope))
    doubt = (low > 0 or high < 0) and abs(change) >= _MATTERS
    told = (
        f"{abs(change) * 100:.0f} % {'more' if change > 0 else 'fewer'} purchases a year beside the model"
        if doubt
        else "no trend beside the model that matters is shown"
    )
    told += "" if weight.size >= 12 else "; in less than twelve months a season looks like a trend"
    return results.frame(
        metric="trend", comparison="relative", estimate=change, std_error=error * (1 + change), conf_low=low,
        conf_high=high, p_value=2 * special.ndtr(-abs(slope) / error), note=f"{DOUBT if doubt else HOLDS}: {told}",
    )  # fmt: skip
