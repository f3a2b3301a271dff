"""What hangs on a customer's life in the shop: customers with history, subscriptions, orders, exposures, identities."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from cxlib.data.demo import calendar, columns
from cxlib.data.demo.calendar import DAY
from cxlib.data.demo.life import Life, Log
from cxlib.data.demo.people import People
from cxlib.data.demo.truths import AGE_BANDS, CARRIERS, HOUSEHOLDS, PLANS, REGIONS, SOURCES, TRUTHS, Experiment

_CHANNELS, _SOURCES = ("web", "app", "store"), ("direct", "search_ad", "social_ad", "newsletter")


def customers(people: People, life: Life) -> pa.Table:
    """One row per customer at joining, and one for each month in which the plan or the region changed."""
    months = life.begin.shape[1]
    who = np.flatnonzero(people.join_month < months)
    changed = (np.diff(life.plan, axis=1) != 0) | (np.diff(life.region, axis=1) != 0)
    later, month = np.nonzero(changed)
    rows = np.concatenate([who, later])
    joined = calendar.first_day(people.join_month) + people.join_day
    since = np.concatenate([joined[who], calendar.first_day(month + 1)])
    plan = np.concatenate([people.plan[who], life.plan[later, month + 1]])
    region = np.concatenate([people.region[who], life.region[later, month + 1]])
    return pa.table(
        {
            "customer_id": columns.ids("C", rows + people.first),
            "valid_from": columns.moments(calendar.to_utc(since * DAY)),
            "joined_on": columns.days(joined[rows]),
            "account_id": columns.ids("A", people.account[rows], 6),
            "region": columns.names(region, REGIONS),
            "plan": columns.names(plan, PLANS),
            "acquisition_source": columns.names(people.source[rows], SOURCES),
            "referred_by": columns.ids("C", people.referred_by[rows]),
            "consent": columns.flags(people.consent[rows], people.consent[rows]),  # the others were never asked
            "age_band": columns.names(people.age[rows], AGE_BANDS),
            "household": columns.names(people.household[rows], HOUSEHOLDS),
        }
    )


def subscriptions(people: People, life: Life, rng: np.random.Generator) -> pa.Table:
    """One row per spell; the plan and the fee are those at its start."""
    spells, truth = life.spells, TRUTHS.churn
    n, ended = len(spells["who"]), spells["ended"] >= 0
    service = rng.random(n) < 1 / (1 + np.exp(1.0 + spells["latent"]))  # the less satisfied leave for the service
    reason = np.where(service, 0, rng.integers(1, len(truth.reasons), n))
    cents = np.rint(np.asarray(truth.fees) * 100).astype(np.int64)
    return pa.table(
        {
            "customer_id": columns.ids("C", spells["who"] + people.first),
            "started_on": columns.days(spells["started"]),
            "ended_on": columns.days(spells["ended"]),
            "end_reason": columns.names(np.where(ended, reason, -1), truth.reasons),
            "plan": columns.names(spells["plan"], PLANS),
            "monthly_amount": columns.money(cents[spells["plan"]]),
        }
    )


def times_of_orders(log: Log, rng: np.random.Generator) -> Log:
    """Add when orders were placed, promised and delivered (UTC seconds), and which deliveries are known by now."""
    n, day = len(log["who"]), calendar.first_day(log["month"]) + log["day"]
    ordered = calendar.at_some_hour(day, rng)
    promised = calendar.to_utc((day + rng.integers(2, 6, n)) * DAY + 20 * 3600)
    early = ordered + (rng.uniform(0.3, 1.0, n) * (promised - ordered)).astype(np.int64)
    delivered = np.where(log["late"], promised + (log["days_late"] * DAY).astype(np.int64), early)
    known = log["delivered"] & (delivered < calendar.end_of_data())
    return log | {"ordered_at": ordered, "promised_at": promised, "delivered_at": delivered, "known": known}


def orders(people: People, log: Log, first_id: int, rng: np.random.Generator) -> pa.Table:
    """One row per order of a log with times."""
    truth, n, who = TRUTHS.orders, len(log["who"]), log["who"]
    style = people.style[who]
    full = np.asarray(truth.median_amount)[style] * np.exp(rng.normal(0.0, truth.amount_sd, n))
    full = np.maximum(np.rint(full * 100), 100).astype(np.int64)
    off = np.where(rng.random(n) < np.asarray(truth.discounted)[style], full // 5, 0)
    cost = np.rint(full * rng.uniform(0.52, 0.66, n)).astype(np.int64)
    return pa.table(
        {
            "order_id": columns.ids("O", first_id + np.arange(n), 10),
            "customer_id": columns.ids("C", who + people.first),
            "ordered_at": columns.moments(log["ordered_at"]),
            "amount": columns.money(full - off),
            "units": columns.whole(1 + rng.poisson(0.8, n)),
            "cost": columns.money(cost),
            "discount": columns.money(off),
            "promised_at": columns.moments(log["promised_at"], log["promised"]),
            "delivered_at": columns.moments(log["delivered_at"], log["known"]),
            "channel": columns.names(rng.choice(3, n, p=(0.5, 0.35, 0.15)), _CHANNELS),
            "source": columns.names(rng.choice(4, n, p=(0.45, 0.2, 0.15, 0.2)), _SOURCES),
            "partner_id": columns.names(np.where(log["promised"], log["carrier"], -1), CARRIERS),
        }
    )


def treated(people: People, log: Log) -> np.ndarray:
    """Return which orders of a log had the delivery updates: the treated arm's, within the window."""
    experiment = TRUTHS.delivery_updates
    return people.coin_updates[log["who"]] & _within(experiment, log["month"])


def exposures(people: People, life: Life, log: Log, rng: np.random.Generator) -> pa.Table:
    """One row per customer and experiment: the first order, and the first invoice, of the window."""
    updates, invoice = TRUTHS.delivery_updates, TRUTHS.invoice_layout
    within = _within(updates, log["month"])
    order = np.lexsort((log["ordered_at"][within], log["who"][within]))
    who, first = np.unique(log["who"][within][order], return_index=True)
    parts = [_exposed(people, updates, who, log["ordered_at"][within][order][first], people.coin_updates)]
    last = min(calendar.index(invoice.last) + 1, life.begin.shape[1])
    window = slice(min(calendar.index(invoice.first), last), last)
    active, months = np.nonzero((life.end > life.begin)[:, window])
    who, first = np.unique(active, return_index=True)
    month = months[first] + window.start
    day = calendar.first_day(month) + life.begin[who, month]
    parts.append(_exposed(people, invoice, who, calendar.at_some_hour(day, rng), people.coin_invoice))
    return pa.concat_tables(parts)


def _within(experiment: Experiment, month: np.ndarray) -> np.ndarray:
    return (month >= calendar.index(experiment.first)) & (month <= calendar.index(experiment.last))


def _exposed(people: People, experiment: Experiment, who: np.ndarray, at: np.ndarray, coin: np.ndarray) -> pa.Table:
    return pa.table(
        {
            "experiment": columns.names(np.zeros(len(who)), (experiment.id,)),
            "customer_id": columns.ids("C", who + people.first),
            "variant": columns.names(coin[who], experiment.variants),
            "exposed_at": columns.moments(at),
        }
    )


def identities(people: People, months: int) -> pa.Table:
    """Every customer under the own id, and some under an older one as well."""
    who = np.flatnonzero(people.join_month < months)
    second = who[people.second_id[who]]
    own = columns.ids("C", who + people.first)
    return pa.table(
        {
            "source_id": pa.concat_arrays([own, columns.ids("L", second + people.first)]),
            "customer_id": pa.concat_arrays([own, columns.ids("C", second + people.first)]),
        }
    )


def costs(customers: int, months: int) -> pa.Table:
    """Marketing spend per source and month: cost per joiner x the joiners to be expected, no noise."""
    truth, shift, rows = TRUTHS.population, TRUTHS.mix_shift, []
    steady = (1 - truth.base - shift.joiners) / calendar.MONTHS
    since = calendar.index(shift.since)
    for month in range(months):
        for source, share in zip(SOURCES, truth.sources, strict=True):
            surge = shift.joiners / (calendar.MONTHS - since) * (source == shift.source and month >= since)
            amount = TRUTHS.cost_per_joiner[source] * customers * (steady * share + surge)
            rows.append((source, int(calendar.first_day(np.array(month))), round(amount * 100)))
    names, day, cents = (list(column) for column in zip(*rows, strict=True))
    return pa.table({"source": names, "month": columns.days(np.array(day)), "amount": columns.money(np.array(cents))})
