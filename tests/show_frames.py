"""Result frames as a monthly run makes them, for the tests of `show`."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.params.models import Metric, Touchpoint
from cxlib.periods import Period

LAST = "2026-10"
MONTHS = [str(period) for period in Period.parse(LAST).last(13)]

# id: title, unit, higher is better, target, level, wobble, half width of the interval
_METRICS = {
    "nps": ("Net Promoter Score", "points", True, 40.0, 27.0, 3.0, 4.2),
    "csat_top2": ("Customers satisfied (top two boxes)", "percent", True, 0.82, 0.79, 0.012, 0.024),
    "ces_mean": ("Effort, mean agreement that it was easy", "score", True, 5.5, 5.2, 0.07, 0.11),
    "churn": ("Churn on customer-time", "per_month", False, 0.04, 0.05, 0.003, 0.004),
    "wait_p50": ("Median wait before an agent answers", "seconds", False, 180.0, 200.0, 12.0, 9.0),
    "aov": ("Average order value", "money", True, None, 64.2, 2.0, 1.9),
    "complaint_rate": ("Complaints", "per_1000_months", False, 10.0, 12.3, 0.8, 1.4),
    "items": ("Items per order", "count", None, None, 1.42, 0.03, 0.05),
    "delivery_days": ("Days from order to door", "days", False, 3.0, 3.4, 0.15, 0.2),
}


def metric(name: str, **changed: object) -> Metric:
    """Return one metric definition; `changed` overrides fields."""
    title, unit, higher, target, *_ = _METRICS.get(name, _METRICS["nps"])
    fields = {"id": name, "title": title, "question": "?", "kind": "mean", "unit": unit, "table": "responses"}
    return Metric(**{**fields, "higher_is_better": higher, "target": target, "owner": "cx", **changed})


METRICS = {name: metric(name) for name in _METRICS}


def history(names: list[str] | None = None, months: list[str] = MONTHS, seed: int = 7) -> pd.DataFrame:
    """Return estimates of the whole over `months`, one row a metric and month."""
    rng, parts = np.random.default_rng(seed), []
    for name in names or list(_METRICS):
        *_, base, wobble, half = _METRICS[name]
        values = base + np.cumsum(rng.normal(wobble / 5, wobble / 2, len(months)))
        parts.append(level_rows(name, months, values, half, rng.integers(300, 2400, len(months))))
    return results.concat(parts)


def level_rows(name: str, periods: object, values: object, half: object, n: object, **more: object) -> pd.DataFrame:
    """Return `level` rows with an interval of `half` to both sides."""
    values = np.asarray(values, dtype=float)
    return results.frame(
        metric=name, period=periods, estimate=values, std_error=np.asarray(half) / 1.96, conf_low=values - half,
        conf_high=values + half, n=np.asarray(n, dtype=float), method="wald", definition="0123456789ab", **more,
    )  # fmt: skip


def difference(name: str, against: str, estimate: float, half: float, verdict: str, **more: object) -> pd.DataFrame:
    """Return one `difference` row of the last month."""
    return results.frame(
        **{
            "metric": name, "period": LAST, "comparison": "difference", "against": against, "estimate": estimate,
            "conf_low": estimate - half, "conf_high": estimate + half, "p_value": 0.012, "p_adjusted": 0.03,
            "n": 1800.0, "method": "welch", "verdict": verdict, "definition": "0123456789ab", **more,
        }
    )  # fmt: skip


def scorecard() -> pd.DataFrame:
    """Return a month as the scorecard gets it: history, changes with every verdict, targets."""
    verdicts = ["moved", "not shown", "could not have been seen"]
    parts = [history()]
    for place, name in enumerate(_METRICS):
        *_, target, base, wobble, half = _METRICS[name]
        sign = -1 if place % 2 else 1
        parts.append(difference(name, "2026-09", sign * wobble, half, verdicts[place % 3]))
        parts.append(difference(name, "2025-10", sign * 2 * wobble, half, verdicts[(place + 1) % 3]))
        if target is not None:
            parts.append(difference(name, "target", base - target, half, verdicts[(place + place // 3) % 3]))
    return results.concat(parts)


def with_status(frame: pd.DataFrame, where: pd.Series, status: str, note: str = "") -> pd.DataFrame:
    """Return the frame with some rows' status set; their numbers vanish."""
    return results.conform(
        frame.assign(status=frame["status"].where(~where, status), note=frame["note"].where(~where, note))
    )


def levels(name: str = "csat_top2", segment: str = "region", count: int = 6, seed: int = 3) -> pd.DataFrame:
    """Return one month of a metric, whole and by the levels of a segment."""
    rng, names = np.random.default_rng(seed), ["North", "South", "East", "West", "Islands", "Centre"]
    names = (names + [f"Region {i}" for i in range(count)])[:count]
    *_, base, wobble, half = _METRICS[name]
    n = rng.integers(30, 600, count)
    values = base + rng.normal(0, 3 * wobble, count)
    whole = level_rows(name, [LAST], [base], half / 2, [int(n.sum())])
    return results.concat(
        [whole, level_rows(name, LAST, values, half * 12 / np.sqrt(n), n, segment=segment, level=names)]
    )


_POINTS = [
    ("advert", "Advert", "before", "awareness"), ("website", "Website", "before", "consideration"),
    ("advice", "Advice in the shop", "before", "consideration"), ("checkout", "Checkout", "during", "purchase"),
    ("payment", "Payment", "during", "purchase"), ("delivery", "Delivery", "after", "purchase"),
    ("onboarding", "First weeks of use", "after", "retention"), ("billing", "Billing", "after", "retention"),
    ("referral", "Recommend a friend", "after", "advocacy"), ("phone", "Phone service", "service", "retention"),
    ("chat", "Chat", "service", "retention"), ("complaint", "Complaint handling", "service", "retention"),
]  # fmt: skip
TOUCHPOINTS = {
    name: Touchpoint(id=name, title=title, group=group, stage=stage, stream="engage")
    for name, title, group, stage in _POINTS
}


def journey(names: tuple[str, ...] = ("csat_top2", "wait_p50", "items"), seed: int = 5) -> pd.DataFrame:
    """Return one month by touchpoint, one touchpoint hidden, one undefined, one not in the taxonomy."""
    rng, parts = np.random.default_rng(seed), []
    points = [name for name in TOUCHPOINTS if name != "advert"] + ["unclassified"]
    for name in names:
        *_, base, wobble, half = _METRICS[name]
        values, n = base + rng.normal(0, 4 * wobble, len(points)), rng.integers(20, 900, len(points))
        parts.append(level_rows(name, [LAST], [base], half / 2, [4200]))
        parts.append(level_rows(name, LAST, values, half, n, segment="touchpoint", level=points))
    frame = with_status(results.concat(parts), results.concat(parts)["level"] == "billing", "suppressed", "few")
    return with_status(frame, (frame["level"] == "referral") & (frame["metric"] != "items"), "undefined", "no table")
