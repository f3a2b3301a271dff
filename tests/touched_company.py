"""A small company whose desk calls customers one by one: whom it calls hangs on what their handling takes anyway.

A call takes `EFFECT` seconds off each contact from July 2026 on. Long handling brings the call, so that those called
take longer than the others before it and, less the effect, after it; `billing` is what a call cannot touch.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa

from tests.toy_workspace import workspace

EFFECT = -60.0
PERIOD, FIRST = "2026-10", "2026-07"
REGIONS, PLANS = ("North", "South", "West"), ("Basic", "Plus")
MONTHS = pd.period_range("2025-07", PERIOD, freq="M")
MEAN = """\
title: {title}
question: How long?
kind: mean
unit: seconds
table: interactions
time: started_at
filter: "kind == '{kind}'"
numerator: handle_seconds
higher_is_better: false
change_that_matters: 20
owner: Support
"""
PARAMS = {
    "params/workspace.yml": (
        "company: Toy\ntimezone: Europe/Madrid\nmin_n: 10\nattributes: {called: text, score: number}\n"
        "weighting: {segments: [region, plan]}\n"
    ),
    "params/metrics/handling.yml": MEAN.format(title="Handling of a contact", kind="contact"),
    "params/metrics/billing.yml": MEAN.format(title="Handling of an invoice", kind="billing"),
    "params/metrics/slowest.yml": (
        MEAN.format(title="The slowest", kind="contact")
        .replace("kind: mean", "kind: quantile\nquantile: 0.9")
        .replace("numerator:", "value:")
    ),
    "params/segments/region.yml": "title: Region\ncolumn: region\n",
    "params/segments/plan.yml": "title: Plan\ncolumn: plan\n",
    "params/changes.yml": (
        "changes:\n  calls:\n    title: A call to customers\n    date: '2026-07-01'\n    what: The desk calls.\n"
        "    customers: called == 'yes'\n    metrics: [handling]\n    controls: [billing]\n    months: 4\n"
    ),
}


@dataclass
class Memory:
    """The tables of a store, and a way to ask them."""

    tables: Mapping[str, Any]

    def run(self, expression: Any) -> pd.DataFrame:
        found: pd.DataFrame = expression.to_pyarrow().to_pandas()
        return found


def toy(root: Path, store: Path) -> Path:
    """Write the workspace; a run opens a copy of `store`, and is then given the company instead."""
    workspace(root)
    shutil.copytree(store, root / "data" / "store")
    for name, text in PARAMS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def company(rng: np.random.Generator, count: int = 800, *, effect: float = EFFECT, few: int = 0) -> Memory:
    """Return the tables of so many customers; `few` of them are of a region of their own."""
    who = np.arange(count)
    region, plan = rng.choice(len(REGIONS), count), rng.choice(len(PLANS), count)
    own = rng.normal(0, 100, count)
    base = 600 + 60 * region + 80 * plan + own
    early = rng.random(count) < 0.9  # the others have no contact before the call
    before = np.where(early, base + rng.normal(0, 50, count), np.nan)  # mean of four contacts
    odds = np.exp(-1.2 + 0.5 * (region == 2) + 0.4 * plan + 0.006 * np.where(early, before - 700, 0.0))
    called = rng.random(count) < odds / (1 + odds)
    noise = rng.normal(0, 50, count) * 2
    parts = [_rows(who[early], "contact", before[early], rng, range(8, 12), 4)]
    late = rng.random(count) < 0.95
    parts.append(_rows(who[late], "contact", (base + noise + effect * called)[late], rng, range(12, 16), 2))
    parts.append(_rows(who, "billing", 300 + 0.5 * own + rng.normal(0, 50, count), rng, range(8, 12), 1))
    parts.append(_rows(who, "billing", 300 + 0.5 * own + rng.normal(0, 50, count), rng, range(12, 16), 1))
    names = np.where(who < few, "Isles", np.array(REGIONS)[region])
    return Memory({
        "customers": ibis.memtable(_customers(who, names, np.array(PLANS)[plan], called)),
        "interactions": ibis.memtable(pa.Table.from_pandas(pd.concat(parts, ignore_index=True))),
    })  # fmt: skip


def key(number: int) -> str:
    return f"C{number:06d}"


def _customers(who: Any, region: Any, plan: Any, called: Any) -> pa.Table:
    """Return the history: nobody was called until 15 July, when the mark of those who were is written."""
    first = pd.DataFrame({"customer_id": [key(n) for n in who], "region": region, "plan": plan, "called": "no"})
    later = first.assign(called=np.where(called, "yes", "no"), valid_from=datetime(2026, 7, 15))
    # After the call everybody who was called moves to one plan: what they were like after it must not be asked.
    later.loc[called, "plan"] = "Plus"
    both = pd.concat([first.assign(valid_from=datetime(2024, 1, 1)), later], ignore_index=True)
    both["valid_from"] = both["valid_from"].astype("datetime64[us]")
    return pa.Table.from_pandas(both.assign(joined_on=date(2024, 1, 1)))


def _rows(who: Any, kind: str, mean: Any, rng: np.random.Generator, months: range, each: int) -> pd.DataFrame:
    """Return contacts whose mean by customer is `mean`, to half a second."""
    spread = rng.normal(0, 40, (len(who), each))
    spread -= spread.mean(axis=1, keepdims=True)
    month = rng.choice(np.array(months), (len(who), each))
    days = rng.integers(1, 28, (len(who), each))
    times = MONTHS.to_timestamp().to_numpy()[month] + days.astype("timedelta64[D]")
    return pd.DataFrame({
        "interaction_id": [f"{kind}{months.start}-{number}" for number in range(times.size)],
        "customer_id": np.repeat([key(n) for n in who], each), "kind": kind,
        "started_at": times.ravel().astype("datetime64[us]"),
        "handle_seconds": np.maximum(mean[:, None] + spread, 1).round().astype("int64").ravel(),
    })  # fmt: skip
