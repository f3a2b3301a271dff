"""Frames of promises, channels and leads as runs answer them, for what is shown."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.journeys import consistency, leakage, promise, promise_bills, promise_loads, promise_surveys

END = datetime(2026, 11, 1)
MONTHS = ("2026-08", "2026-09", "2026-10")


def kept(seed: int = 3, n: int = 600) -> pd.DataFrame:
    """A frame of `Run.promise`: surveys too early and 0.6 lower, bills that lead to calls, slow pages."""
    rng = np.random.default_rng(seed)
    promised = pd.Timestamp(END) - pd.to_timedelta(rng.uniform(-2, 80, n), unit="D")
    days = np.where(rng.random(n) < 0.1, rng.exponential(3, n), -1.0)
    came = pd.Series(promised + pd.to_timedelta(days, unit="D"))
    came = came.where(came < pd.Timestamp(END))
    month = np.array(MONTHS)[rng.integers(0, 3, n)]
    orders = pd.DataFrame({"customer_id": range(n), "promised_at": promised, "delivered_at": came, "period": month})
    early = rng.random(n) < 0.06
    asked = pd.Series(np.where(early, promised - pd.Timedelta(days=3), came + pd.Timedelta(days=1)))
    score = 4 - 0.6 * early + rng.normal(0, 0.8, n)
    answers = orders.assign(asked_at=pd.to_datetime(asked), score=score, touchpoint="delivery")
    share, effect = promise_surveys.sent_early(answers), promise_surveys.answers(answers, "csat_mean")
    after, before = ((rng.random(n) < at).astype(float) for at in (0.3, 0.05))
    bills = pd.DataFrame({"customer_id": range(n), "after": after, "before": before})
    visits = visited(rng, 2 * n)
    monthly = promise_loads.loads(visits.assign(month=np.tile(month, 2)), "month")
    monthly = monthly.assign(period=monthly["level"], level="all", segment="all", at=monthly["at"] + " by month")
    return results.concat([
        promise.delivery(orders, END), promise_surveys.verdict(share, effect, answers), share, effect,
        promise_bills.bills(bills), promise_loads.loads(visits), promise_loads.loads(visits, "touchpoint"), monthly,
        promise_loads.conversion(visits),
    ]).assign(period=lambda frame: frame["period"].where(frame["period"] != "", "2026-10"))  # fmt: skip


def visited(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Visits of which the slow sell less."""
    ms = 900 * np.exp(rng.normal(0, 0.7, n))
    sold = rng.random(n) < 0.6 - 0.4 * (ms > 2_500)
    return pd.DataFrame({"customer_id": range(n), "touchpoint": rng.choice(["website", "checkout"], n), "load_ms": ms,
                         "ordered": sold.astype(float)})  # fmt: skip


def unlike(seed: int = 3, between: float = 0.3, groups: int = 6) -> pd.DataFrame:
    """A frame of `Run.consistency`: channels that differ, partners that do not, digital ones better."""
    rng = np.random.default_rng(seed)
    n = 300 * groups
    channel, partner = np.repeat(np.arange(groups), 300), rng.integers(0, 4, n)
    digital = (channel % 2).astype(float)
    y = 4 + rng.normal(0, between, groups)[channel] + 0.3 * digital + rng.normal(0, 1, n)
    frame = pd.DataFrame({"customer_id": range(n), "channel": [f"channel_{c}" for c in channel], "y": y,
                          "partner": [f"partner_{p}" for p in partner], "digital": digital})  # fmt: skip
    parts = [consistency.consistency(frame, "y", by, metric="csat_mean") for by in ("channel", "partner")]
    return results.concat([*parts, consistency.digital_or_not(frame, "y", metric="csat_mean")]).assign(period="2026-10")


def leaking(seed: int = 3, with_costs: bool = True) -> pd.DataFrame:
    """A frame of `Run.leakage`: dear leads of one source that rarely buy, cheap ones of another, one without costs."""
    rng, parts = np.random.default_rng(seed), []
    for name, n, buys in (("search_ad", 200, 0.3), ("social", 150, 0.7), ("event", 60, 0.5)):
        watched = rng.uniform(0, 360, n)
        came = np.where((rng.random(n) < buys), rng.uniform(0, 60, n), np.nan)
        parts.append(pd.DataFrame({
            "customer_id": [f"{name}{i}" for i in range(n)], "source": name, "month": "2026-01", "watched": watched,
            "came": np.where(came < watched, came, np.nan),
            "kept": np.where(watched > 180, rng.random(n) < buys, np.nan),
        }))  # fmt: skip
    money = pd.DataFrame({"source": ["search_ad", "social"], "month": "2026-01", "amount": [8_000.0, 1_500.0]})
    found = leakage.leakage(pd.concat(parts), money if with_costs else None)
    return found.assign(period="2026-10")
