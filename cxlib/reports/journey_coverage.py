"""How much of what the store holds lies at touchpoints of the taxonomy: counted in the engine, by the names as told."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cxlib.measure.plans import Undefined
from cxlib.params.places import sold_at
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

_TABLES = {  # table -> its time, and what tells its rows apart
    "interactions": ("started_at", "interaction_id"),
    "invitations": ("sent_at", "invitation_id"),
    "responses": ("responded_at", "response_id"),
    "orders": ("ordered_at", "order_id"),
}


def covered(inputs: Inputs, months: int) -> pd.DataFrame:
    """Return which share of events is classified, and by which rule; see `Run.coverage`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.journeys import coverage

        places = inputs.context.touchpoints
        if not places:
            raise Undefined("this workspace has no touchpoints.yml")
        with_channels = bool(sold_at(places))
        names = {table: "channel" if table == coverage.ORDERS else "touchpoint" for table in _TABLES}
        wanted = [table for table in _TABLES if table != coverage.ORDERS or with_channels]
        parts = [_counted(inputs, table, names[table], months) for table in wanted if _has(inputs, table, names[table])]
        counted = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(coverage.COLUMNS))
        if counted.empty:
            raise Undefined("no event of this time names a touchpoint")
        return coverage.coverage(counted, places, min_n=inputs.context.workspace.min_n)

    parts = [str(months), *bring.limits(inputs)]
    parts += [place.model_dump_json() for place in inputs.context.touchpoints.values()]
    return inputs.answer("coverage", parts, make)


def _has(inputs: Inputs, table: str, column: str) -> bool:
    tables = inputs.store().tables
    return table in tables and column in tables[table].columns


def _counted(inputs: Inputs, table: str, column: str, months: int) -> pd.DataFrame:
    """Return the names that a table uses with their events and customers."""
    import ibis

    rows: Any = inputs.store().as_told(table)
    time, key = _TABLES[table]
    zone, last = inputs.context.workspace.timezone, bring.own(inputs)
    first = bring.reach(last, months)[0]
    start, until = first.bounds(zone)[0], last.bounds(zone)[1]
    rows = rows.filter(rows[time] >= ibis.literal(start), rows[time] < ibis.literal(until))
    who = rows.customer_id if table != "responses" else ibis.coalesce(_customer(rows), rows[key])
    plan = rows.group_by(name=rows[column]).aggregate(events=rows.count(), customers=who.nunique())
    return bring.fetch(inputs, plan).assign(table=table)


def _customer(rows: Any) -> Any:
    """Return who answered; answers without a customer stand for one person each."""
    import ibis

    return rows.customer_id if "customer_id" in rows.columns else ibis.null("string")
