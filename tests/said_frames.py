"""Answers with what their customers did afterwards, drawn and from the demo company."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib.data import demo


def answers(rng: np.random.Generator, people: int = 400, times: int = 3) -> pd.DataFrame:
    """Return answers of people who differ in how satisfied they are, which moves what they do."""
    who = np.repeat(np.arange(people), times)
    mood = np.repeat(rng.normal(size=people), times) + rng.normal(size=people * times)
    said = np.select([mood > 0.5, mood > -0.5], ["promoter", "passive"], "detractor")
    return pd.DataFrame({
        "customer_id": [f"C{number}" for number in who], "said": said, "score": np.clip(np.rint(5 + 2 * mood), 0, 10),
        "churned": rng.random(who.size) < 0.15 * np.exp(-0.4 * mood).clip(0, 5),
        "spend": rng.gamma(2, 20, who.size) * np.exp(0.15 * mood), "referrals": rng.poisson(0.2 * np.exp(0.5 * mood)),
    })  # fmt: skip


def planted(people: int, days: int = 90) -> pd.DataFrame:
    """Return NPS answers of the demo with what the customers did in the days after, as the tables have it."""
    tables = {name: table.to_pandas() for name, table in demo.tables(people, seed=5).items()}
    asked = tables["responses"]
    asked = asked[asked["instrument"] == "nps"].reset_index(drop=True)
    asked = asked.assign(
        said=np.select([asked["score"] >= 9, asked["score"] >= 7], ["promoter", "passive"], "detractor")
    )
    later = asked["responded_at"] + pd.Timedelta(days=days)
    followed = (later < pd.Timestamp("2026-11-01")).to_numpy()
    orders, referred = tables["orders"], tables["interactions"].query("kind == 'referral'")
    after = {"spend": (orders, "ordered_at"), "referrals": (referred, "started_at")}
    for name, (events, time) in after.items():
        met = asked[["customer_id", "responded_at"]].reset_index().merge(events, on="customer_id")
        met = met[(met[time] > met["responded_at"]) & (met[time] <= later[met["index"]].to_numpy())]
        what = met["amount"].astype(float) if name == "spend" else pd.Series(1.0, met.index)
        asked[name] = what.groupby(met["index"]).sum().reindex(asked.index).fillna(0.0)
    spells = asked[["customer_id", "responded_at"]].reset_index().merge(tables["subscriptions"], on="customer_id")
    day, end = spells["responded_at"].dt.normalize(), pd.to_datetime(spells["ended_on"])
    mine = spells[(pd.to_datetime(spells["started_on"]) <= day) & (end.isna() | (end > day))]
    left = (pd.to_datetime(mine["ended_on"]) <= later[mine["index"]].to_numpy()).groupby(mine["index"]).max()
    asked["churned"] = left.reindex(asked.index).astype("boolean")
    return asked[["customer_id", "said", "churned", "spend", "referrals"]].mask(
        ~followed[:, None] & np.array([False, False, True, True, True])
    )
