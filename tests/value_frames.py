"""Customers drawn from BG/NBD and Gamma-Gamma, step by step as the models tell it, for the tests of value."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

# Fader, Hardie and Lee (2005), table 2, and Fader and Hardie (2013): CDNOW, weeks and dollars.
BUYS, SPENDS = (0.243, 4.414, 0.793, 2.426), (6.25, 3.74, 15.44)


class Drawn(NamedTuple):
    """What was seen of each customer up to the end of observation, and what came after it; shape (n,) each."""

    x: np.ndarray
    t_x: np.ndarray
    end: np.ndarray
    mean: np.ndarray
    later: np.ndarray
    later_amount: np.ndarray

    @property
    def summary(self) -> pd.DataFrame:
        columns = {"frequency": self.x, "recency": self.t_x, "T": self.end, "monetary_value": self.mean}
        return pd.DataFrame(
            columns, index=pd.Index([f"c{number}" for number in range(self.x.size)], name="customer_id")
        )


def drawn(
    rng: np.random.Generator, n: int, *, buys: tuple = BUYS, spends: tuple = SPENDS, weeks: tuple = (27, 39),
    ahead: float = 39.0, discount: float = 0.0, lift: float = 0.0,
) -> Drawn:  # fmt: skip
    """Draw customers observed for whole days.

    `discount` is continuous per week; `lift` makes frequent buyers spend more, against the assumption.
    """
    r, alpha, a, b = buys
    p, q, v = spends
    end, rate, leaves = rng.integers(7 * weeks[0], 7 * weeks[1], n) / 7, rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    scale = 1 / rng.gamma(q, 1 / v, n) * rate**lift
    x, t_x, spent, later, later_amount, now = (np.zeros(n) for _ in range(6))
    who = np.arange(n)
    while who.size:
        now[who] += rng.exponential(1 / rate[who])
        who = who[now[who] <= end[who] + ahead]
        amount, seen = rng.gamma(p, scale[who]), now[who] <= end[who]
        x[who[seen]] += 1
        t_x[who[seen]] = now[who[seen]]
        spent[who[seen]] += amount[seen]
        late = who[~seen]
        worth = np.exp(-discount * (now[late] - end[late]))
        later[late] += worth
        later_amount[late] += worth * amount[~seen]
        who = who[rng.random(who.size) > leaves[who]]
    return Drawn(x, t_x, end, spent / np.maximum(x, 1), later, later_amount)


def orders(rng: np.random.Generator, n: int, *, days: int = 730, joined: int = 180, buys: tuple = (0.8, 10.0, 0.8, 6.0),
           season: np.ndarray | None = None) -> pd.DataFrame:  # fmt: skip
    """Draw orders to the day from 2024-01-01 on; `season` thins those of each calendar month (12 shares kept)."""
    r, alpha, a, b = buys
    start = rng.integers(0, joined, n).astype(float)
    rate, leaves = rng.gamma(r, 1 / alpha, n) / 7, rng.beta(a, b, n)
    scale, who, now = 1 / rng.gamma(3.74, 1 / 15.44, n), np.arange(n), start.copy()
    found = []
    while who.size:
        found.append(pd.DataFrame({"who": who, "day": now[who], "amount": rng.gamma(6.25, scale[who])}))
        who = who[(now[who] == start[who]) | (rng.random(who.size) > leaves[who])]
        now[who] += rng.exponential(1 / rate[who])
        who = who[now[who] < days]
    rows = pd.concat(found)
    rows["ordered_at"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(rows["day"], unit="D")
    if season is not None:
        first = rows["day"] == start[rows["who"]]
        rows = rows[first | (rng.random(len(rows)) < season[rows["ordered_at"].dt.month - 1])]
    rows["customer_id"] = "c" + rows["who"].astype(str)
    return rows[["customer_id", "ordered_at", "amount"]].round({"amount": 2}).reset_index(drop=True)


def cdnow_sample(folder: Path) -> pd.DataFrame:
    """Return the transactions of the tenth of CDNOW's customers that the papers use."""
    names = ["master", "customer_id", "ordered_at", "units", "amount"]
    return pd.read_csv(
        folder / "CDNOW_sample.txt", sep=r"\s+", names=names, dtype={"customer_id": str, "ordered_at": str}
    )


def cdnow_master(folder: Path) -> pd.DataFrame:
    """Return the transactions of all 23,570 customers."""
    names = ["customer_id", "ordered_at", "units", "amount"]
    types = {"customer_id": str, "ordered_at": str}
    return pd.read_csv(folder / "CDNOW_master.txt", sep=r"\s+", names=names, header=0, dtype=types)
