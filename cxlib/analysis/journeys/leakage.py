"""Where leads are lost, by source, and what each outcome costs.

A lead is a person who came by a source. Some order soon, some are young and may still, the others are leaked. Costs are
what was spent, a fact; how many leads and outcomes they bring is what has an interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.analysis.journeys import alike
from cxlib.analysis.journeys.promise import Curve, curve
from cxlib.measure import formulas, intervals
from cxlib.measure.rows import Numbers

LEAKED, OPEN, KEPT, LOST = "leads_leaked", "leads_open", "leads_kept", "money_lost"
PER_LEAD, PER_ORDER, PER_KEPT = "cost_per_lead", "cost_per_first_order", "cost_per_kept_customer"
COSTS = (PER_LEAD, PER_ORDER, PER_KEPT, LOST)
METRICS = (LEAKED, OPEN, KEPT, *COSTS)
WITHIN, STAYED = 90, 180
_NO_COSTS = "no costs are recorded for this source"
_NOBODY = "money was spent, and nobody came"
_COLUMNS = ("customer_id", "source", "month", "came", "watched", "kept")


def leakage(
    leads: pd.DataFrame,
    costs: pd.DataFrame | None = None,
    *,
    days: int = WITHIN,
    stayed: int = STAYED,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return by source how many leads leak and what an outcome costs, the most money lost first.

    Parameters
    ----------
    leads
        One row a lead: `customer_id`, `source`, `month` (label), `came` (days until the first order, missing without
        one), `watched` (days from the lead to the end of the data), `kept` (1 where still a customer `stayed` days
        after the lead, 0 where not, missing where not so long ago).
    costs
        `source`, `month` (the same labels), `amount`; None where no costs are known.
    days
        How soon a lead has to order.
    stayed
        After how many days a customer counts as kept.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        Rows of each source (segment `source`) and of all: `leads_leaked` (share without an order within `days`:
        Kaplan-Meier, leads that are still open censored), `leads_open`, `leads_kept`, `cost_per_lead`,
        `cost_per_first_order`, `cost_per_kept_customer` and `money_lost` (costs times the share leaked, that of all the
        sum). n counts leads. Costs are of months that have both; a source without costs is `undefined` there, and says
        so.
    """
    doors.require(doors.frame(leads), _COLUMNS)
    table = leads.assign(source=leads["source"].astype(object).where(leads["source"].notna(), "not known").astype(str))
    if table.empty:
        return results.frame(metric=LEAKED, segment="source", status=results.UNDEFINED, note="nobody came as a lead")
    spent = _spent(table, costs)
    how: dict[str, Any] = {"days": days, "stayed": stayed, "confidence": confidence}
    names = sorted(set(table["source"]))
    parts = _ranked(results.concat([_source(name, table[table["source"] == name], spent, how) for name in names]))
    known = spent[spent["source"].isin(names)]
    paid = table[table["source"].isin(known["source"])] if len(known) else table
    money = _source("all", paid, known, how)
    whole = results.concat([_shares("all", table, how), money[money["metric"].isin(COSTS)]])
    whole = _added(whole, parts)
    people = table.groupby("source")["customer_id"].nunique()
    found = results.concat([results.label(whole, segment="all"), parts])
    found = _hidden(found, {str(name): float(n) for name, n in people.items()}, min_n)
    rest = sorted(set(spent["source"]) - set(names))
    silent = [_row(PER_LEAD, name, status=results.UNDEFINED, note=_NOBODY) for name in rest]
    return results.concat([found, *silent])


def _hidden(found: pd.DataFrame, people: dict[str, float], min_n: int) -> pd.DataFrame:
    """Hide sources of few leads, and rows that stand on few of a source's, with others so that none can be told."""
    gone, parts = set(hiding.levels(people, min_n)), []
    for metric in dict.fromkeys(found["metric"]):
        own = found[found["metric"] == metric]
        apart = own[(own["segment"] == "source") & own["n"].notna()]
        sizes = dict(zip(apart["level"], apart["n"], strict=True))
        few = set(own.loc[own["n"] < min_n, "level"])
        parts.append(alike.suppressed(own, gone | few | set(hiding.levels(sizes, min_n, also=gone & set(sizes)))))
    return results.conform(pd.concat(parts).sort_index())


def _added(whole: pd.DataFrame, parts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of all with the money lost as the sum of the sources', limits combined (MOVER, Zou 2008)."""
    mine = parts[(parts["metric"] == LOST) & (parts["status"] == results.OK)]
    here = (whole["metric"] == LOST) & (whole["status"] == results.OK)
    if mine.empty or not here.any():
        return whole
    total = float(mine["estimate"].sum())
    below, above = (float(np.sqrt(((mine["estimate"] - mine[end]) ** 2).sum())) for end in ("conf_low", "conf_high"))
    error = float(np.sqrt((mine["std_error"] ** 2).sum()))
    ends = {"estimate": total, "conf_low": total - below, "conf_high": total + above, "std_error": error}
    return results.conform(whole.assign(**{name: whole[name].mask(here, value) for name, value in ends.items()}))


def _spent(table: pd.DataFrame, costs: pd.DataFrame | None) -> pd.DataFrame:
    """Return costs of the months in which leads came: `source`, `month`, `amount`."""
    if costs is None or costs.empty:
        return pd.DataFrame({"source": [], "month": [], "amount": []})
    doors.require(doors.frame(costs), ["source", "month", "amount"])
    value = costs.assign(amount=doors.numbers("amount", costs["amount"]))
    mine = value[value["month"].isin(table["month"].unique()) & value["amount"].notna()]
    return mine.groupby(["source", "month"], as_index=False)["amount"].sum()


def _source(name: str, own: pd.DataFrame, spent: pd.DataFrame, how: dict[str, Any]) -> pd.DataFrame:
    """Return all rows of one source, or of all sources that have costs."""
    confidence = how["confidence"]
    shares, mine = _shares(name, own, how), spent if name == "all" else spent[spent["source"] == name]
    if mine.empty:
        return results.concat([shares, *(_row(m, name, status=results.UNDEFINED, note=_NO_COSTS) for m in COSTS)])
    costed = own[_paid(own, mine)]
    amount = float(mine["amount"].sum())
    old = _old(own, mine, how["stayed"])
    past = float(mine.loc[mine["month"].isin(old["month"].unique()), "amount"].sum())
    money = [
        _per(PER_LEAD, name, amount, np.array(float(len(costed))), None, len(costed), confidence),
        _per_order(name, costed, amount, how),
        _per(PER_KEPT, name, past, np.array(float(old["kept"].sum())), None, len(old), confidence),
        _money(name, costed, amount, how),
    ]  # fmt: skip
    lacking = len(set(own["month"])) - len(set(mine["month"]))
    told = results.concat(money)
    note = f"of {len(set(mine['month']))} months that have costs" if lacking > 0 else ""
    told = told.assign(note=told["note"].where(told["note"] != "", note))
    return results.concat([shares, told])


def _shares(name: str, own: pd.DataFrame, how: dict[str, Any]) -> pd.DataFrame:
    """Return which shares of leads leaked, are open, and were kept."""
    return results.concat([_leaked(name, _curve(own), len(own), how), _open(name, own, how), _kept(name, own, how)])


def _paid(own: pd.DataFrame, mine: pd.DataFrame) -> Any:
    """Return which leads came by a source in a month that has costs for it."""
    known = pd.MultiIndex.from_frame(mine[["source", "month"]])
    return pd.MultiIndex.from_frame(own[["source", "month"]]).isin(known)


def _old(own: pd.DataFrame, mine: pd.DataFrame, stayed: int) -> pd.DataFrame:
    """Return the leads of months all of whose leads are so old that it is known whether they stayed."""
    least = own.groupby("month")["watched"].min()
    paid = own[_paid(own, mine)]
    return paid[paid["month"].isin(least[least >= stayed].index)]


def _curve(own: pd.DataFrame) -> Curve:
    came, watched = (own[name].to_numpy(dtype=float) for name in ("came", "watched"))
    return curve(np.maximum(came, 0.0), watched, np.arange(len(own)))


def _converted(found: Curve, days: int) -> tuple[float, float] | None:
    """Return the share that ordered within so many days and how many leads it is worth; None where not known yet."""
    if not found.times.size:
        return (0.0, float(found.days.size)) if found.last >= days else None
    return found.at(float(days)) if found.last >= days or found.share[-1] >= 1 else None


def _leaked(name: str, found: Curve, n: int, how: dict[str, Any]) -> pd.DataFrame:
    told, days = _converted(found, how["days"]), how["days"]
    if told is None:
        return _row(LEAKED, name, status=results.TOO_FEW, note=f"no lead is {days} days old yet")
    share, worth = told
    low, high = intervals.wilson(np.array(share), np.array(worth), how["confidence"])
    return _row(
        LEAKED, name, at=f"{days} days", comparison="share", estimate=1 - share, conf_low=1 - float(high),
        conf_high=1 - float(low), std_error=np.sqrt(share * (1 - share) / worth), n=float(n), n_eff=worth,
        method="Kaplan-Meier, Wilson",
    )  # fmt: skip


def _open(name: str, own: pd.DataFrame, how: dict[str, Any]) -> pd.DataFrame:
    young = (own["came"].isna() & (own["watched"] < how["days"])).sum()
    found = formulas.share(float(young), float(len(own)), confidence=how["confidence"])
    return results.label(found, metric=OPEN, segment="source", level=name, comparison="share", at=f"{how['days']} days")


def _kept(name: str, own: pd.DataFrame, how: dict[str, Any]) -> pd.DataFrame:
    known = own["kept"].dropna()
    if known.empty:
        return _row(KEPT, name, status=results.TOO_FEW, note=f"no lead is {how['stayed']} days old yet")
    found = formulas.share(float(known.sum()), float(known.size), confidence=how["confidence"])
    about = {"metric": KEPT, "segment": "source", "level": name, "comparison": "share", "at": f"{how['stayed']} days"}
    return results.label(found, **about)


def _per(
    metric: str, name: str, amount: float, count: Numbers, worth: Numbers | None, n: int, confidence: float
) -> pd.DataFrame:
    """Return costs over a count, the costs a fact: the count's limits are a Poisson's (Garwood 1936)."""
    if not count > 0:
        why = "no lead is old enough" if not n else "none of its leads came so far"
        return _row(metric, name, status=results.TOO_FEW, note=why)
    low, high = intervals.poisson_limits(count if worth is None else worth, confidence)
    scale = 1.0 if worth is None else float(count / worth)
    return _row(
        metric, name, estimate=amount / float(count), conf_low=amount / float(high * scale),
        conf_high=amount / float(low * scale), n=float(n), n_eff=float(count if worth is None else worth),
        method="costs as spent over a count, exact Poisson limits",
    )  # fmt: skip


def _per_order(name: str, costed: pd.DataFrame, amount: float, how: dict[str, Any]) -> pd.DataFrame:
    """Return costs per lead that orders in time, those still open allowed for.

    The number of first orders is leads times the Kaplan-Meier share; it is worth as many Poisson events as have its
    relative variance, 1 / n + var(S) / S^2: with no lead open these are the first orders themselves.
    """
    told = _converted(_curve(costed), how["days"]) if len(costed) else None
    if told is None or told[0] <= 0:
        why = "no lead ordered so far" if told else f"no lead is {how['days']} days old yet"
        return _row(PER_ORDER, name, status=results.TOO_FEW, note=why)
    share, n = told[0], float(len(costed))
    worth = 1 / (1 / n + (1 - share) / (share * told[1]))
    return _per(PER_ORDER, name, amount, np.array(n * share), np.array(worth), len(costed), how["confidence"])


def _money(name: str, costed: pd.DataFrame, amount: float, how: dict[str, Any]) -> pd.DataFrame:
    """Return what was spent on leads that leak."""
    row = _leaked(name, _curve(costed), len(costed), how) if len(costed) else None
    if row is None or row["status"].iloc[0] != results.OK:
        return _row(LOST, name, status=results.TOO_FEW, note=f"no lead is {how['days']} days old yet")
    ends = {key: amount * float(row[key].iloc[0]) for key in ("estimate", "std_error", "conf_low", "conf_high")}
    return _row(LOST, name, at=f"{how['days']} days", n=float(len(costed)), method="costs as spent times the share "
                "leaked", **ends)  # fmt: skip


def _ranked(found: pd.DataFrame) -> pd.DataFrame:
    """Return sources by money lost, else by the share leaked, most first; each one's rows in their order."""

    def of(metric: str) -> dict[str, float]:
        mine = found[(found["metric"] == metric) & (found["status"] == results.OK)]
        return dict(zip(mine["level"], mine["estimate"], strict=True))

    money, share = of(LOST), of(LEAKED)
    order = sorted(set(found["level"]), key=lambda name: (-money.get(name, -1.0), -share.get(name, -1.0), name))
    place = {name: number for number, name in enumerate(order)}
    return found.iloc[np.argsort(found["level"].map(place).to_numpy(), kind="stable")].reset_index(drop=True)


def _row(metric: str, name: str, **values: Any) -> pd.DataFrame:
    return results.frame(metric=metric, segment="source", level=name, **values)


def sources(found: pd.DataFrame) -> Sequence[str]:
    """Return the sources of a result, the most money lost first."""
    return list(dict.fromkeys(found.loc[found["segment"] == "source", "level"]))
