"""Panels with planted truths, for the tests of the link from satisfaction to money."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from cxlib.data import demo
from cxlib.data.demo import calendar


def panel(
    rng: np.random.Generator, people: int = 300, periods: int = 10, *, effect: float = 0.2, feedback: float = 0.0,
    noise: float = 0.0, asked: float = 1.0, rates: bool = True, shock: float = 0.0,
) -> pd.DataFrame:  # fmt: skip
    """Return customers whose satisfaction moves what they buy next, and what they buy (by `feedback`) satisfaction.

    Stable differences between customers move both; `noise` is that of an answer, and `second` is another one; `shock`
    moves satisfaction and next period's purchases and visits alike, which no comparison within customers can tell
    from an effect.
    """
    own, memory = rng.normal(0, 0.7, people), np.zeros(people)
    level, then = 1.0 + 0.8 * own, np.zeros((2, people))
    found = []
    for period in range(periods):
        season = 0.3 * np.sin(period)
        extra = shock * then[1]
        mean = level + season + effect * then[0] + extra
        bought = rng.poisson(np.exp(mean)) if rates else 10 * mean + rng.normal(0, 5, people)
        visits = rng.poisson(np.exp(0.5 + 0.5 * own + extra))
        moved = rng.normal(0, 0.5, people)
        memory = 0.5 * memory + moved + feedback * (bought - np.exp(level)) / np.exp(level)
        truth = own + memory
        then = np.stack([truth, moved])
        answers = truth + rng.normal(0, noise, (2, people))
        there = rng.random(people) < asked
        found.append(pd.DataFrame({
            "customer_id": [f"C{number:05}" for number in range(people)], "period": period, "truth": truth,
            "satisfaction": np.where(there, answers[0], np.nan),
            "second": np.where(there & (rng.random(people) < 0.5), answers[1], np.nan),
            "spend": bought, "visits": visits, "churned": 0,
        }))  # fmt: skip
    return pd.concat(found, ignore_index=True)


def leavers(rng: np.random.Generator, people: int = 800, periods: int = 12, ratio: float = 0.6) -> pd.DataFrame:
    """Return customers until they leave; satisfaction multiplies the hazard, the plan does, too."""
    found, plan, own = [], rng.choice(["Basic", "Pro"], people), rng.normal(size=people)
    there = np.ones(people, dtype=bool)
    said = own
    for period in range(periods):
        chance = -np.expm1(-0.08 * ratio**said * np.where(plan == "Pro", 0.5, 1.0))
        left = there & (rng.random(people) < chance)
        said = own + rng.normal(0, 0.7, people)
        found.append(pd.DataFrame({
            "customer_id": np.arange(people), "period": period, "satisfaction": said, "churned": left.astype(int),
            "plan": plan, "visits": rng.poisson(1.0, people), "spend": rng.gamma(2, 10, people),
        })[there])  # fmt: skip
        there = there & ~left
    return pd.concat(found, ignore_index=True)


@functools.cache
def of_the_demo(people: int, seed: int = 20261031, chunk: int = 0) -> pd.DataFrame:
    """Return the demo's customers by months: latent satisfaction, NPS answers, and what they did.

    `bills` are invoices, which satisfaction does not touch; visits are no negative control: some come with orders.
    """
    company = demo.simulate(people, seed, chunk=chunk)
    life, months = company.life, company.life.begin.shape[1]
    who, month = np.nonzero(life.end > life.begin)
    cell, size = who * months + month, company.people.n * months
    count = lambda place, weights=None: np.bincount(place, weights, size)[cell]  # noqa: E731
    orders, spells = life.orders, life.spells
    amount = np.array(company.tables["orders"]["amount"].to_pylist(), dtype=float)
    ended = spells["ended"] >= 0
    when = np.searchsorted(calendar.first_day(np.arange(months + 1)), spells["ended"][ended], side="right") - 1
    return pd.DataFrame({
        "customer_id": who, "period": month, "latent": life.after[who, month].astype(float),
        "plan": np.array(demo.truths.PLANS)[life.plan[who, month]],
        "spend": count(orders["who"] * months + orders["month"], amount),
        "orders": count(orders["who"] * months + orders["month"]),
        "bills": count(_cells(company.tables["interactions"], "started_at", months, company, kind="billing")),
        "churned": np.minimum(count(spells["who"][ended] * months + np.minimum(when, months - 1)), 1),
    }).merge(_answers(company, months), on=["customer_id", "period"], how="left")  # fmt: skip


def _cells(table, time: str, months: int, company: demo.Company, **kept: str) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Return the place of each row among customers by months."""
    rows = table.to_pandas()
    for name, value in kept.items():
        rows = rows[rows[name] == value]
    rows = rows[rows["customer_id"].str.startswith("C")]
    local = rows[time].dt.tz_localize("UTC").dt.tz_convert(demo.TIMEZONE)
    month = (local.dt.year - 2023) * 12 + local.dt.month - 11
    inside = (month >= 0) & (month < months)
    return ((rows["customer_id"].str[1:].astype(int) - company.people.first) * months + month)[inside].to_numpy()


def _answers(company: demo.Company, months: int) -> pd.DataFrame:
    """Return the first and another NPS answer of each customer and month."""
    cells = _cells(company.tables["responses"], "responded_at", months, company, instrument="nps")
    rows = company.tables["responses"].to_pandas()
    rows = rows[rows["instrument"] == "nps"]
    local = rows["responded_at"].dt.tz_localize("UTC").dt.tz_convert(demo.TIMEZONE)
    month = (local.dt.year - 2023) * 12 + local.dt.month - 11
    rows = rows[(month >= 0) & (month < months)].assign(cell=cells).sort_values("responded_at", kind="stable")
    score = rows.groupby("cell")["score"]
    first, last = score.first().astype(float), score.last().astype(float).where(score.size() > 1)
    return pd.DataFrame({
        "customer_id": first.index.to_numpy() // months, "period": first.index.to_numpy() % months,
        "satisfaction": first.to_numpy(), "second": last.to_numpy(),
    })  # fmt: skip
