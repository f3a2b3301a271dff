"""Was the model right? Fitted up to a day, held against what customers did afterwards."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.value.bg_nbd import BgNbdFit, fit_bg_nbd
from cxlib.analysis.value.door import columns, day, days_per
from cxlib.analysis.value.gamma_gamma import GammaGammaFit, expected_spend, fit_gamma_gamma
from cxlib.analysis.value.heldout import PREDICTED, HeldOut, by_class, tracked, whole
from cxlib.analysis.value.transactions import number_of, purchases, summarise_transactions
from cxlib.analysis.value.uncertainty import delta
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers
from cxlib.measure.verdicts import adjust

_MODELS = "BG/NBD fitted up to the split", "BG/NBD and Gamma-Gamma fitted up to the split"


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was predicted, and what came.

    Parameters
    ----------
    classes
        Result frame, means per customer in the hold-out, of all and by repeat purchases before the split (`level`):
        `purchases_observed`, `purchases_predicted` and their difference (predicted minus observed, `against`
        `observed`); with amounts the same of `revenue`. at = length of the hold-out.
    tracking
        Result frame: `cumulative_purchases_observed`, `_predicted` and their difference, all customers together; at =
        time since the split.
    purchases, spend
        The fits up to the split; no `spend` without amounts.
    summary
        The customers as of the split.
    """

    classes: pd.DataFrame
    tracking: pd.DataFrame
    purchases: BgNbdFit
    spend: GammaGammaFit | None
    summary: pd.DataFrame


def calibrate(
    transactions: pd.DataFrame,
    customer: str,
    date: str,
    amount: str | None = None,
    *,
    split: str | dt.date | pd.Timestamp,
    end: str | dt.date | pd.Timestamp,
    unit: str = "week",
    most: int = 7,
    confidence: float = 0.95,
    min_n: int = 1,
) -> Calibration:
    """Fit the models to the transactions up to a day, and hold the predictions against those after it.

    Parameters
    ----------
    transactions, customer, date, amount, unit
        As in `summarise_transactions`, pandas only.
    split
        Last day that the models see. Customers whose first purchase is later are not looked at.
    end
        Last day of the hold-out.
    most
        Repeat purchases before the split from which on customers form one class.
    confidence
        Of the intervals.
    min_n
        Classes of fewer customers are suppressed.

    Returns
    -------
    Calibration
        `undefined` rows with the reason where a model could not be fitted. Intervals: of what was observed, by
        customers; of what was predicted, by the parameters (delta method, on the logarithm); of their difference, both.
        p-values of the classes are adjusted together (Benjamini and Hochberg).

    Raises
    ------
    UsageError
        For columns that are not there, dates that are none, an end that is not after the split.

    Source: Fader, Hardie and Lee (2005), figures 2 to 4: conditional expectations by frequency, tracking plot.
    """
    columns(list(transactions.columns), {"customer": customer, "date": date, "amount": amount})
    last, close = day("split", split), day("end", end)
    if close <= last or most < 1:
        raise UsageError(f"the hold-out from {last.date()} to {close.date()} with classes up to {most} cannot be used",
                         hint="`end` comes after `split`, `most` is 1 or more.")  # fmt: skip
    summary = summarise_transactions(transactions, customer, date, amount, end=last, unit=unit)
    fit = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
    spend = fit_gamma_gamma(summary["frequency"], summary["monetary_value"]) if amount is not None else None
    bought = purchases(transactions, customer, date, amount, close)
    held = HeldOut.of(bought, summary, number_of(last), days_per(unit))
    classes, tracking = _against(held, fit, spend, most, confidence)
    return Calibration(results.suppress(classes, min_n), results.suppress(tracking, min_n), fit, spend, summary)


def _against(
    held: HeldOut, fit: BgNbdFit, spend: GammaGammaFit | None, most: int, confidence: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return classes and tracking."""
    at, metrics = f"{held.length:g}", ["purchases", *["revenue"] * (spend is not None)]
    if not fit.converged:
        why = f"the purchase model could not be fitted: {fit.note}"
        lost = [results.frame(metric=name + PREDICTED, at=at, status=results.UNDEFINED, note=why) for name in metrics]
        return results.concat(lost), results.label(lost[0], metric="cumulative_purchases" + PREDICTED)
    code, names = _classes(held.x, most)
    cells, span = held.portfolio(code), np.array([held.length])
    ahead = cells.purchases(fit.parameters, span, 0.0)[cells.of, 0]
    error = delta([fit], lambda one: whole(cells.by_group(cells.purchases(one, span, 0.0)[:, 0] * cells.money[0])))
    parts = [by_class("purchases", held.purchases, ahead, error, (code, names), (at, _MODELS[0], confidence))]
    if spend is not None and not (spend.converged and spend.q > 1):
        why = f"the value model could not be fitted: {spend.note or 'amounts vary without bound'}"
        parts.append(results.frame(metric="revenue" + PREDICTED, at=at, status=results.UNDEFINED, note=why))
    elif spend is not None:
        error = delta([fit, spend], lambda one, other: whole(cells.totals(one, other, held.length, 0.0)))
        worth = ahead * expected_spend(spend, held.x, held.mean)
        parts.append(by_class("revenue", held.revenue, worth, error, (code, names), (at, _MODELS[1], confidence)))
    return _adjusted(results.concat(parts)), tracked(held, fit, _MODELS[0], confidence)


def _classes(x: Numbers, most: int) -> tuple[Codes, list[str]]:
    """Return each customer's class by repeat purchases, and the names of the classes that there are."""
    found, code = np.unique(np.minimum(x, most), return_inverse=True)
    return code, [f"{count:g}" + "+" * int(count == most) for count in found]


def _adjusted(found: pd.DataFrame) -> pd.DataFrame:
    """Adjust the p-values of the classes of each metric together; that of all customers stands by itself."""
    family = (found["segment"] != "all") & found["p_value"].notna()
    out = found.assign(p_adjusted=found["p_value"])
    for name in found["metric"].unique():
        mine = family & (found["metric"] == name)
        out.loc[mine, "p_adjusted"] = adjust(found.loc[mine, "p_value"].to_numpy())
    return results.conform(out)
