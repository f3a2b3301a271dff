"""What customers will be worth over a horizon: margin times discounted purchases to expect, with its doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.analysis.value import uncertainty
from cxlib.analysis.value.bg_nbd import BgNbdFit
from cxlib.analysis.value.checks import checks, refusals
from cxlib.analysis.value.door import DAYS, days_per, totals
from cxlib.analysis.value.gamma_gamma import GammaGammaFit, expected_spend
from cxlib.analysis.value.people import People
from cxlib.analysis.value.portfolio import Portfolio
from cxlib.analysis.value.purchases import alive
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

METRICS = ("lifetime_value", "lifetime_value_total")


@dataclass(frozen=True, eq=False)
class LifetimeValue:
    """The value of each customer, and of all and of groups with intervals.

    Parameters
    ----------
    customers
        Indexed like the summary: `probability_alive`, `purchases` (discounted, to expect), `spend` (per purchase),
        `value`; all missing where no value is given.
    rows
        Result frame: `lifetime_value` (mean per customer) and `lifetime_value_total`, of all and of each group.
    reasons
        Why no value is given; empty where one is.
    """

    customers: pd.DataFrame
    rows: pd.DataFrame
    reasons: tuple[str, ...] = ()

    @property
    def value(self) -> Numbers:
        """The value of each customer, shape (n,)."""
        return self.customers["value"].to_numpy()


def lifetime_value(
    purchases: BgNbdFit,
    spend: GammaGammaFit,
    summary: pd.DataFrame,
    *,
    horizon: float,
    discount: float = 0.10,
    margin: ArrayLike = 1.0,
    unit: str = "week",
    groups: Any = None,
    segment: str = "group",
    luck: bool = True,
    draws: int = 500,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> LifetimeValue:
    """Return what customers will be worth from the end of observation on.

    Parameters
    ----------
    purchases, spend
        The fits.
    summary
        Of `summarise_transactions`; need not be the customers that the models were fitted to.
    horizon
        How far ahead, in the unit of the summary.
    discount
        A year, as a share: money in a year is worth 1 / (1 + discount).
    margin
        What is left of an amount, as a share; one for all or one a customer, shape (n,).
    unit
        Of the summary's times.
    groups
        Level of each customer (a series by the summary's index, or shape (n,)), and in `segment` what they are called.
    luck
        Whether the intervals also hold what customers may do otherwise than expected: a prediction interval of what
        will be seen. Without it they are intervals of the expectation, of the parameters alone.
    draws
        Of the parameters, from their covariance on the logarithms.
    rng
        The generator; default a fixed seed, 1.
    confidence
        Of the intervals.
    min_n
        Rows of fewer customers are suppressed.

    Returns
    -------
    LifetimeValue
        Where `checks` refuses (too few repeat buyers, frequency and value correlated, no convergence) all values are
        missing, and all rows `undefined` with the reasons.

    Raises
    ------
    UsageError
        For a horizon or discount below 0, a margin that is missing, numbers that no customer can have.

    Source: Fader, Hardie and Lee (2005), RFM and CLV, Journal of Marketing Research 42(4): value = margin x expected
    spend x discounted expected transactions; here over a finite horizon and with BG/NBD.
    """
    people = People.of(summary, margin, groups, segment)
    pace = _check(horizon, discount, draws, unit)
    what = f"BG/NBD and Gamma-Gamma, {horizon:g} {unit}s, {discount * 100:g} % a year"
    reasons = refusals(checks(summary, purchases, spend, confidence=confidence))
    if luck and spend.converged and 1 < spend.q <= 2:
        reasons.append(f"amounts vary without bound (q is {spend.q:.2f}, at most 2): ask without luck")
    if reasons:
        return _refused(people, reasons, f"{horizon:g}", what)
    book = Portfolio.made(people.x, people.t_x, people.end, people.mean, people.margin, people.group)
    here = alive(purchases.parameters, people.x, people.t_x, people.end)
    ahead = book.purchases(purchases.parameters, np.array([horizon]), pace)[book.of, 0]
    amount = expected_spend(spend, people.x, people.mean)
    value = ahead * amount * people.margin
    rng = rng or np.random.default_rng(1)
    samples = _sampled(book, bool((people.margin < 0).any()), (purchases, spend), (horizon, pace), draws, luck, rng)
    method = f"{what}, {draws} draws, {'prediction interval' if luck else 'interval of the expectation'}"
    spread = uncertainty.limits(people.with_all(samples), confidence)
    rows = people.rows(METRICS, totals(people.group, value, samples.shape[1]), spread, at=f"{horizon:g}", method=method)
    return LifetimeValue(people.frame(here, ahead, amount, value), results.suppress(rows, min_n))


def _refused(people: People, reasons: list[str], at: str, method: str) -> LifetimeValue:
    """Return missing values and `undefined` rows."""
    none = np.full(people.x.size, np.nan)
    sums = np.full(max(len(people.levels), 1), np.nan)
    rows = people.rows(METRICS, sums, [people.with_all(sums)] * 3, at=at, method=method)
    rows = results.label(rows, status=results.UNDEFINED, note="; ".join(reasons))
    return LifetimeValue(people.frame(none, none, none, none), rows, tuple(reasons))


def _check(horizon: float, discount: float, draws: int, unit: str) -> float:
    """Return the continuous discount per unit of time; raises `UsageError` for what cannot be used."""
    wrong = [f"horizon {horizon}"] * (not 0 < horizon < np.inf) + [f"discount {discount}"] * (
        not 0 <= discount < np.inf
    )
    wrong += [f"draws {draws}"] * (draws < 50)
    if wrong:
        hint = "A horizon is above 0, a discount 0 or more (10 % a year is 0.1), draws are 50 or more."
        raise UsageError(f"{' and '.join(wrong)} cannot be used", hint=hint)
    return float(np.log1p(discount)) * days_per(unit) / DAYS["year"]


def _sampled(
    book: Portfolio, losses: bool, fits: tuple[BgNbdFit, GammaGammaFit], ahead: tuple[float, float], draws: int,
    luck: bool, rng: np.random.Generator,
) -> Numbers:  # fmt: skip
    """Return totals of the groups under drawn parameters, shape (draws, groups).

    Luck is a gamma variable about each drawn total (sums of what few customers buy are skewed, and never below 0), a
    normal one where margins are negative.
    """
    pairs = zip(*(uncertainty.draw(fit, draws, rng) for fit in fits), strict=True)
    expected = np.array([book.totals(one, other, *ahead) for one, other in pairs])
    if not luck:
        return expected
    spread = book.luck(fits[0].parameters, fits[1].parameters, *ahead)
    if losses:
        return expected + rng.standard_normal(expected.shape) * np.sqrt(spread)
    scale = spread / np.maximum(expected, 1e-300)
    return np.where(scale > 0, rng.gamma(expected / np.where(scale > 0, scale, 1.0)) * scale, expected)
