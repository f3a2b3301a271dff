"""Who the customers are: what is drawn once per customer and never changes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxlib.data.demo import calendar
from cxlib.data.demo.truths import SOURCES, TRUTHS


@dataclass(frozen=True)
class People:
    """Arrays of one entry per customer; names are coded by their place in `truths`."""

    first: int  # number of the first customer
    join_month: np.ndarray  # 0 = 2023-11; negative for the base
    join_day: np.ndarray  # day of the month, from 0
    region: np.ndarray  # at joining
    plan: np.ndarray  # at joining
    source: np.ndarray
    age: np.ndarray
    household: np.ndarray
    language: np.ndarray
    style: np.ndarray
    consent: np.ndarray
    personal: np.ndarray  # the customer's own part of latent satisfaction
    referred_by: np.ndarray  # number of the referring customer, -1 for none
    account: np.ndarray  # number of the account, -1 for none
    second_id: np.ndarray
    over_contacted: np.ndarray
    coin_updates: np.ndarray  # true = treatment in proactive_delivery_updates
    coin_invoice: np.ndarray

    @property
    def n(self) -> int:
        """Number of customers."""
        return len(self.join_month)


def draw(n: int, first: int, rng: np.random.Generator) -> People:
    """Draw `n` customers, numbered from `first`."""
    truth = TRUTHS.population
    month, source = _joining(n, rng)
    pick = _picker(n, rng)
    return People(
        first=first,
        join_month=month,
        join_day=(rng.random(n) * calendar.days_in(month)).astype(np.int64),
        region=pick(truth.regions),
        plan=pick(truth.plans),
        source=source,
        age=pick(truth.ages),
        household=pick(truth.households),
        language=pick(truth.languages),
        style=pick(truth.styles),
        consent=rng.random(n) < truth.consent,
        personal=rng.normal(0.0, TRUTHS.satisfaction.personal_sd, n),
        referred_by=_referrers(month, source, first, rng),
        account=_accounts(n, first, rng),
        second_id=rng.random(n) < truth.second_id,
        over_contacted=rng.random(n) < TRUTHS.surveys.over_contacted,
        coin_updates=rng.random(n) < 0.5,
        coin_invoice=rng.random(n) < 0.5,
    )


def _picker(n: int, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Return a function that draws `n` codes with the shares given."""
    return lambda shares: np.searchsorted(np.cumsum(shares)[:-1], rng.random(n), side="right").astype(np.int8)


def _joining(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw when and from where each customer came: the base, steady joiners, or the partner surge."""
    truth, shift = TRUTHS.population, TRUTHS.mix_shift
    kind = rng.random(n)
    base, surge = kind < truth.base, kind >= 1 - shift.joiners
    since = calendar.index(shift.since)
    low = np.where(base, -calendar.BASE_MONTHS, np.where(surge, since, 0))
    high = np.where(base, 0, calendar.MONTHS)
    month = low + (rng.random(n) * (high - low)).astype(np.int64)
    source = _picker(n, rng)(truth.sources)
    return month, np.where(surge, SOURCES.index(shift.source), source).astype(np.int8)


def _referrers(month: np.ndarray, source: np.ndarray, first: int, rng: np.random.Generator) -> np.ndarray:
    """Give each referred customer a referrer who had joined in an earlier month; -1 where there is none."""
    order = np.argsort(month, kind="stable")
    earlier = np.searchsorted(month[order], month, side="left")
    chosen = order[(rng.random(len(month)) * earlier).astype(np.int64)]
    return np.where((source == SOURCES.index("referral")) & (earlier > 0), chosen + first, -1)


def _accounts(n: int, first: int, rng: np.random.Generator) -> np.ndarray:
    """Number the accounts: neighbours of three share one, where they have one."""
    member = rng.random(n) < TRUTHS.population.account
    return np.where(member, (np.arange(n) + first) // 12, -1)
