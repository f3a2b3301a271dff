"""From the store to the frames that analyses take: one row a customer, an order or an answer, days in local time.

The frames name customers. They live while an answer is made of them; what is frozen is the answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from cxlib.params.models import DriverModel, Metric, Segment
from cxlib.periods import Period
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    import ibis.expr.types as ir

CUSTOMER, SCORE = "customer_id", "score"
_HALF_YEAR = pd.Timedelta(days=183)


def own(inputs: Inputs) -> Period:
    """Return the run's period."""
    return Period.parse(inputs.context.period)


def how(inputs: Inputs) -> dict[str, Any]:
    """Return what every analysis is told of the workspace: `confidence` and `min_n`."""
    return {"confidence": inputs.context.workspace.confidence, "min_n": inputs.context.workspace.min_n}


def limits(inputs: Inputs) -> list[str]:
    """Return the same as words of an answer's key."""
    return [f"{name} {value}" for name, value in how(inputs).items()]


def limits_of_ends(inputs: Inputs) -> list[str]:
    """Return the words of an answer's key that hangs on `since_when`, too."""
    return [*limits(inputs), f"ends recorded since {inputs.context.workspace.ends_recorded_since}"]


def reach(period: Period, months: int) -> list[Period]:
    """Return the periods of one kind that end with a period and reach back over so many months."""
    per = {"week": 12 / 52.1775, "month": 1, "quarter": 3}[period.kind]
    return period.last(math.ceil(months / per - 1e-9))


def since(inputs: Inputs, months: int) -> pd.Timestamp:
    """Return the first moment of the months that end with the run's period, in local time."""
    return pd.Timestamp(own(inputs).next_day) - pd.DateOffset(months=months)


def last_day(period: Period) -> date:
    """Return the last day of a period."""
    return period.next_day - timedelta(days=1)


def fetch(inputs: Inputs, plan: ir.Table) -> pd.DataFrame:
    """Return the rows of a plan in an order of their own: an engine's varies, and with it the last digits of sums."""
    found = inputs.store().run(plan)
    return ordered(found, list(found.columns))


def ordered(found: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return rows sorted by columns, missing ones last: by Arrow, where pandas makes an object of every id."""
    if len(found) < 2 or not len(by):
        return found.reset_index(drop=True)
    table = pa.Table.from_pandas(found[list(by)], preserve_index=False)
    order = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names])
    return found.take(order.to_numpy()).reset_index(drop=True)


def answers(inputs: Inputs, model: DriverModel, periods: Sequence[Period], comments: bool = False) -> pd.DataFrame:
    """Return the answers that a model of drivers is about. Brought once: not to be changed.

    Parameters
    ----------
    inputs
        Of the run.
    model
        Its drivers and segments become columns, named by their titles.
    periods
        When they were given.
    comments
        Whether the words are wanted, too, where a driver has a theme and answers have words.

    Returns
    -------
    pandas.DataFrame
        `period`, `customer_id`, `y` (the outcome), `score` (where answers have one), the drivers and segments.
    """
    words = " ".join(["answers", model.model_dump_json(), str(comments)])
    known: dict[str, pd.DataFrame] = inputs.once(words, dict)  # by period: questions look at different ones
    new = [period for period in periods if period.label not in known]
    if new:
        found = _answers(inputs, model, new, comments)
        known |= {period.label: found[found["period"] == period.label] for period in new}
    labels = sorted(period.label for period in periods)
    return inputs.once(f"{words} {labels}", lambda: pd.concat([known[name] for name in labels], ignore_index=True))


def _answers(inputs: Inputs, model: DriverModel, periods: Sequence[Period], comments: bool) -> pd.DataFrame:
    from cxlib.analysis import extracts

    metric, about, tables = inputs.context.metrics[model.outcome], inputs.context, inputs.store().tables
    columns = {name: driver.value for name, driver in model.drivers.items()}
    columns |= {SCORE: SCORE} if metric.table == "responses" else {}
    if comments and metric.table == "responses" and "comment" in tables["responses"].columns:
        columns |= {"comment": "comment"} if any(driver.theme for driver in model.drivers.values()) else {}
    segments = [about.segments[name] for name in model.segments]
    plan = extracts.rows(
        metric, tables, periods, timezone=about.workspace.timezone, columns=columns, segments=segments,
        kept=model.filter, touchpoints=about.touchpoints,
    )  # fmt: skip
    titles = {name: driver.title for name, driver in model.drivers.items()} | {s.id: s.title for s in segments}
    return fetch(inputs, plan).dropna(subset="y").rename(columns=titles)


def orders(inputs: Inputs, segments: Sequence[Segment] = ()) -> pd.DataFrame:
    """Return all orders up to the run's period, with the level of segments when each was placed.

    Returns
    -------
    pandas.DataFrame
        `customer_id`, `ordered_at` (local), `amount`, `margin`, `discounted` and the segments by title. The margin is
        the workspace's share of the amount, else the amount less its cost; an order without a cost has the margin of
        those with one, and the amount itself where no cost is known at all. Brought once: not to be changed.
    """
    return inputs.once(_key("orders", own(inputs), segments), lambda: _orders(inputs, segments))


def _orders(inputs: Inputs, segments: Sequence[Segment]) -> pd.DataFrame:
    from cxlib.analysis import extracts

    zone, share = inputs.context.workspace.timezone, inputs.context.workspace.worth.margin
    plan = extracts.orders(inputs.store().tables, own(inputs), timezone=zone, segments=segments)
    found = fetch(inputs, plan).rename(columns={s.id: s.title for s in segments})
    cost, amount = found.pop("cost"), found["amount"]
    known = cost.notna()
    if share is None:
        total = float(amount[known].sum())
        share = 1 - float(cost[known].sum()) / total if total > 0 else 1.0
        margin = (amount - cost).where(known, amount * share)
    else:
        margin = amount * share
    discounted = (found.pop("discount") > 0).astype(float)
    return found.assign(ordered_at=_local(found["ordered_at"], zone), margin=margin, discounted=discounted)


def spells(inputs: Inputs, segments: Sequence[Segment] = ()) -> pd.DataFrame:
    """Return the spells of subscribing up to the end of the run's period: a change of plan is no end of one.

    Returns
    -------
    pandas.DataFrame
        `customer_id`, `started_on`, `ended_on`, `end_reason`, the segments by title (when the spell began); `months`
        (how long it lasted, or has lasted), `ended` (0 or 1), `watched` (months that had passed when ends began to be
        recorded: nobody can be seen to leave before). Brought once: not to be changed.
    """
    return inputs.once(_key("spells", own(inputs), segments), lambda: _spells(inputs, segments))


def _spells(inputs: Inputs, segments: Sequence[Segment]) -> pd.DataFrame:
    from cxlib.analysis import extracts

    tables, until = inputs.store().tables, own(inputs)
    plan = extracts.subscriptions(tables, until, segments=segments)
    found = joined(fetch(inputs, plan).rename(columns={s.id: s.title for s in segments}))
    first, day = since_when(inputs, found["ended_on"]), pd.Timestamp(until.next_day)
    last, month = found["ended_on"].fillna(day), 30.4375
    return found.assign(
        months=(last - found["started_on"]).dt.days.clip(lower=0) / month,
        ended=found["ended_on"].notna().astype(float),
        watched=((first if first is not None else day) - found["started_on"]).dt.days.clip(lower=0) / month,
    )


def joined(found: pd.DataFrame) -> pd.DataFrame:
    """Join subscriptions of one customer that touch or overlap: the first says what it was, the last why it ended.

    Parameters
    ----------
    found
        `customer_id`, `started_on`, `ended_on` (missing: still open), `end_reason` and more, in any order.
    """
    never = pd.Timestamp("2262-01-01")
    table = found.assign(
        started_on=pd.to_datetime(found["started_on"]), _end=pd.to_datetime(found["ended_on"]).fillna(never)
    )
    table = ordered(table, [CUSTOMER, "started_on", "_end"])
    who = pd.factorize(table[CUSTOMER])[0]
    before = table["_end"].groupby(who).cummax().groupby(who).shift()
    number = (before.isna() | (table["started_on"] > before)).cumsum().to_numpy()
    several = np.bincount(number, minlength=1)[number] > 1
    whole = [table[~several].assign(_spell=number[~several]), _merged(table[several], number[several])]
    out = pd.concat([part for part in whole if len(part)] or whole[:1]).sort_values("_spell", ignore_index=True)
    ends = out["_end"].where(out["_end"] < never)
    reason = out["end_reason"].where(ends.notna())
    return out.drop(columns=["_end", "_spell"]).assign(ended_on=ends, end_reason=reason)


def _merged(table: pd.DataFrame, number: Any) -> pd.DataFrame:
    """Return one row of each of several that make up a spell together."""
    first = table.groupby(pd.Series(number, table.index, name="_spell")).first()
    late = table.assign(_spell=number).sort_values(["_spell", "_end", "started_on"])
    last = late.groupby("_spell")[["_end", "end_reason"]].last()
    return first.assign(_end=last["_end"], end_reason=last["end_reason"]).reset_index()


def since_when(inputs: Inputs, ends: pd.Series[Any]) -> pd.Timestamp | None:
    """Return since when ends of subscriptions are recorded; None where none is known.

    What `workspace.yml` says, else the first of the month from which no half year passes without an end: one end that
    was typed in years before the rest does not make the time between a time in which nobody left.
    """
    told = inputs.context.workspace.ends_recorded_since
    known = ends.dropna().sort_values()
    if known.empty:
        return None
    if told is not None:
        return pd.Timestamp(told)
    gaps = known.diff() > _HALF_YEAR
    return known[gaps].iloc[-1].to_period("M").start_time if gaps.any() else known.iloc[0].to_period("M").start_time


def levels(inputs: Inputs, period: Period, segments: Sequence[Segment]) -> pd.DataFrame:
    """Return the customers of a period, by id, with their level of each segment at its end, by title.

    Brought once: not to be changed.
    """
    return inputs.once(_key("levels", period, segments), lambda: _levels(inputs, period, segments))


def _levels(inputs: Inputs, period: Period, segments: Sequence[Segment]) -> pd.DataFrame:
    from cxlib.analysis import extracts

    zone = inputs.context.workspace.timezone
    plan = extracts.people(inputs.store().tables, period, segments, timezone=zone)
    return fetch(inputs, plan).set_index(CUSTOMER).rename(columns={s.id: s.title for s in segments})


def afterwards(inputs: Inputs, metric: Metric, months: int, days: int) -> pd.DataFrame:
    """Return the answers of the months before the run's end with what their customers did in the `days` after.

    The columns of `analysis.extracts.afterwards`, and `churned`: missing where the customer did not subscribe at the
    answer. Answers whose days were not over are left out.
    """
    from cxlib.analysis import extracts

    tables, zone, end = inputs.store().tables, inputs.context.workspace.timezone, own(inputs)
    plan = extracts.afterwards(metric, tables, reach(end, months), days, timezone=zone, end=end)
    found = fetch(inputs, plan)
    found = found[found["followed"] & found["y"].notna()].drop(columns="followed").reset_index(drop=True)
    found = found.assign(answered_at=_local(found["answered_at"], zone))
    if "subscriptions" not in tables:
        return found.assign(churned=float("nan"))
    return found.assign(churned=left_after(found, spells(inputs), days))


def left_after(answers: pd.DataFrame, known: pd.DataFrame, days: int) -> pd.Series[Any]:
    """Return 1 where an answer's customer left in the days after it, 0 where not, missing where there was no spell."""
    asked = answers.assign(
        _day=answers["answered_at"].dt.normalize().astype("datetime64[us]"), _row=range(len(answers))
    )
    began = known[[CUSTOMER, "started_on", "ended_on"]].astype({"started_on": "datetime64[us]"})
    met = pd.merge_asof(
        asked.sort_values("_day"), began.sort_values("started_on"), left_on="_day", right_on="started_on", by=CUSTOMER
    )
    here = met["started_on"].notna() & (met["ended_on"].isna() | (met["ended_on"] > met["_day"]))
    gone = (met["ended_on"] <= met["_day"] + pd.Timedelta(days=days)).astype(float).where(here)
    return gone.set_axis(met["_row"]).sort_index().set_axis(answers.index)


def partners(inputs: Inputs, metric: Metric, by: Segment, periods: Sequence[Period], mix: Mapping[str, str],
             segments: Sequence[Segment] = ()) -> pd.DataFrame:  # fmt: skip
    """Return the rows of a metric with the partner of each and the mix of cases that it got.

    `partner` is the level of `by`, missing for rows that nobody else served; `mix` names expressions, `segments` are
    of customers.
    """
    from cxlib.analysis import extracts

    about = inputs.context
    plan = extracts.rows(
        metric, inputs.store().tables, periods, timezone=about.workspace.timezone, columns=mix,
        segments=[by, *segments], touchpoints=about.touchpoints,
    )  # fmt: skip
    found = fetch(inputs, plan).dropna(subset="y").rename(columns={by.id: "partner"})
    return found.assign(partner=found["partner"].where(found["partner"] != by.otherwise))


def habits(bought: pd.DataFrame, first: pd.Timestamp, until: pd.Timestamp) -> pd.DataFrame:
    """Return how customers buy, of those with two orders or more in the time: one row each, three features.

    Parameters
    ----------
    bought
        From `orders`.
    first, until
        The time; it counts from the first order of a customer if that is later.
    """
    within = bought[(bought["ordered_at"] >= first) & (bought["ordered_at"] < until)]
    each = within.groupby(CUSTOMER)
    count = each.size()
    known = (until - bought.groupby(CUSTOMER)["ordered_at"].min().clip(lower=first)).dt.days / 30.4375
    features = pd.DataFrame(
        {
            "orders a month": count / known.reindex(count.index).clip(lower=1.0),
            "amount of an order": each["amount"].median(),
            "share bought with a discount": each["discounted"].mean(),
        }
    )
    return features[count >= 2]


def _key(what: str, period: Period, segments: Sequence[Segment]) -> str:
    return "\n".join([what, period.label, *(segment.model_dump_json() for segment in segments)])


def _local(times: pd.Series[Any], zone: str) -> pd.Series[Any]:
    """Return naive UTC times as naive local ones: a day is the reporting timezone's."""
    return times.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
