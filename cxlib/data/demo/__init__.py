"""A synthetic company, "Lumen & Loom", whose truths are planted: 36 months, all tables of the contract, any size.

`TRUTHS` says what is planted (in words: docs/demo.md), `write` makes the raw files that `params/sources/demo` reads,
`tables` a small clean company at once, for simulations.
"""

from __future__ import annotations

import pyarrow as pa

from cxlib.data.demo import shop
from cxlib.data.demo.calendar import index
from cxlib.data.demo.company import CHUNK, SEED, Company, simulate
from cxlib.data.demo.files import write
from cxlib.data.demo.truths import FIRST_MONTH, LAST_MONTH, TIMEZONE, TRUTHS, Truths

__all__ = ["CHUNK", "SEED", "TIMEZONE", "TRUTHS", "Company", "Truths", "simulate", "tables", "write"]


def tables(
    customers: int, seed: int = SEED, *, first: str = FIRST_MONTH, last: str = LAST_MONTH
) -> dict[str, pa.Table]:
    """Return one clean company of at most 10,000 customers in the contract's form.

    Parameters
    ----------
    customers, seed
        Its size and its random state; companies of different seeds are independent draws of one population.
    first, last
        Months whose events are wanted, as "2026-10"; customers, subscriptions and identities are whole.

    Returns
    -------
    dict
        Contract table -> Arrow table; times are naive UTC, amounts decimals.
    """
    found = simulate(customers, seed, first=first, last=last).tables
    return found | {"costs": shop.costs(customers, index(last) + 1)}
