"""One chunk of the company, from seed to tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from cxlib.data.demo import calendar, contacts, shop, surveys
from cxlib.data.demo.life import Life, Log, live
from cxlib.data.demo.people import People, draw
from cxlib.data.demo.truths import FIRST_MONTH, LAST_MONTH

SEED = 20261031
CHUNK = 10_000  # customers; part of what the seed means, so not for users to change
_IDS = 10_000_000  # numbers kept for each chunk in the ids of events


@dataclass(frozen=True)
class Company:
    """Tables in the contract's form, and what no export would show."""

    tables: dict[str, pa.Table]
    people: People
    life: Life
    asked: surveys.Asked  # every invitation with the score that would be answered
    themes: pa.Table  # the themes each comment was made from


def simulate(
    customers: int, seed: int = SEED, *, chunk: int = 0, first: str = FIRST_MONTH, last: str = LAST_MONTH
) -> Company:
    """Simulate one chunk of at most 10,000 customers.

    Parameters
    ----------
    customers
        Customers in this chunk; a full chunk is the same whatever the company's size.
    seed, chunk
        Together the state of the chunk's own generator.
    first, last
        Months whose events are wanted. The company always lives from 2023-11; ending it earlier saves time, and only
        events of the months asked for are written (customers, subscriptions and identities are whole).
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(chunk,)))
    months, since, first_id = calendar.index(last) + 1, calendar.index(first), chunk * _IDS
    people = draw(customers, chunk * CHUNK, rng)
    life = live(people, rng, months)
    presence = contacts.Presence.of(life, since)
    orders = shop.times_of_orders(_from(life.orders, since), rng)
    cases = contacts.cases(_from(life.cases, since), rng)
    asked = surveys.asked(people, life, presence, orders, cases, rng)
    responses, themes = surveys.responses(people, asked, first_id, first_id, rng)
    tables = {
        "customers": shop.customers(people, life),
        "invitations": surveys.invitations(people, asked, first_id, first_id),
        "responses": responses,
        "interactions": contacts.interactions(people, life, presence, cases, orders, first_id, rng),
        "orders": shop.orders(people, orders, first_id, rng),
        "subscriptions": shop.subscriptions(people, life, rng),
        "exposures": shop.exposures(people, life, orders, rng),
        "identities": shop.identities(people, months),
    }
    return Company(tables, people, life, asked, themes)


def _from(log: Log, since: int) -> Log:
    """Keep the rows of months from `since` on."""
    wanted = log["month"] >= since
    return {name: values[wanted] for name, values in log.items()}
