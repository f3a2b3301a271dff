"""What analyses of events take: a pandas frame or an Ibis table, as one table with known names, and who computes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.errors import UsageError

if TYPE_CHECKING:
    import ibis.expr.types as ir

WHO, SESSION, AT, TOUCH, ROW, TIE = "who", "session", "at", "touch", "row", "tie"
_NONE = -1  # the number that pandas gives to what is missing
Run = Callable[["ir.Table"], pd.DataFrame]


class Events(NamedTuple):
    """Events with a customer, a time and a touchpoint: columns `who`, `at`, `touch`, perhaps `session`, and ties.

    Parameters
    ----------
    table
        The events, an Ibis table.
    order
        The columns that events of one customer are in order by: the time, and what breaks ties.
    run
        Computes a plan over the table.
    total, lacking
        Events given, and those left out as they lack something, by what.
    """

    table: ir.Table
    order: tuple[str, ...]
    run: Run
    total: int
    lacking: dict[str, int]

    @property
    def note(self) -> str:
        """Say how many events do not count, empty where all do."""
        told = [f"{count:,} without a {what}" for what, count in self.lacking.items() if count]
        return f"left out of {self.total:,} events: {', '.join(told)}" if told else ""


def opened(
    events: Any, *, customer: str, at: str, touchpoint: str, session: str | None, ties: Sequence[str], run: Run | None
) -> Events:
    """Check events and give their columns known names.

    Parameters
    ----------
    events
        One row an event: a pandas frame or an Ibis table.
    customer, at, touchpoint, session
        Its columns.
    ties
        Further columns by which events of one moment are in order. What they leave open is decided by the order of the
        rows in a pandas frame, and by touchpoint in an Ibis table, whose rows have no order.
    run
        Computes a plan over an Ibis table; None for the table's own backend.

    Raises
    ------
    UsageError
        For columns that are not there, times that are none, and events of which every one lacks something.
    """
    doors.table(events, "the events")
    further = doors.names(ties)
    roles = {"customer": customer, "time": at, "touchpoint": touchpoint}
    roles |= {"session": session} if session is not None else {}
    doors.require(list(events.columns), roles | {f"tie {place}": name for place, name in enumerate(further)},
                  "the events")  # fmt: skip
    inside = isinstance(events, pd.DataFrame)
    table = _in_memory(events, roles, further) if inside else _in_engine(events, roles, further)
    order = (AT, *(f"{TIE}{place}" for place, _ in enumerate(further)), ROW if inside else TOUCH)
    return _counted(table, order, _own if inside or run is None else run, roles)


def _in_memory(events: pd.DataFrame, roles: dict[str, str], ties: Sequence[str]) -> ir.Table:
    """Return a frame as an Ibis table: numbers for customers and sessions, whose ids may be anything."""
    import ibis

    touch = events[roles["touchpoint"]]
    numbers = {WHO: roles["customer"]} | ({SESSION: roles["session"]} if "session" in roles else {})
    found = {name: pd.factorize(events[column])[0] for name, column in numbers.items()}
    found |= {f"{TIE}{place}": pd.factorize(events[name], sort=True)[0] for place, name in enumerate(ties)}
    found |= {ROW: np.arange(len(events)), AT: doors.moments(roles["time"], events[roles["time"]]).to_numpy()}
    found |= {TOUCH: touch.astype(object).map(str, na_action="ignore").where(touch.notna(), None).to_numpy()}
    kinds = dict.fromkeys(found, "int64") | {AT: "timestamp(6)", TOUCH: "string"}
    table = ibis.memtable(pd.DataFrame(found), schema=kinds)
    return table.mutate(**{name: table[name].nullif(_NONE) for name in numbers}, **{TOUCH: table[TOUCH].nullif("")})


def _in_engine(events: ir.Table, roles: dict[str, str], ties: Sequence[str]) -> ir.Table:
    """Return an Ibis table under known names; `UsageError` where its time is none."""
    when = events[roles["time"]]
    if not (when.type().is_timestamp() or when.type().is_date()):
        raise UsageError(f"{roles['time']} holds {when.type()}, not times", hint="Cast it to a timestamp first.")
    found = {WHO: events[roles["customer"]], AT: when.cast("timestamp")}
    found |= {TOUCH: events[roles["touchpoint"]].cast("string").nullif("")}
    found |= {SESSION: events[roles["session"]]} if "session" in roles else {}
    return events.select(**found, **{f"{TIE}{place}": events[name] for place, name in enumerate(ties)})


def _counted(table: ir.Table, order: tuple[str, ...], run: Run, roles: dict[str, str]) -> Events:
    """Count what is missing, and leave those events out."""
    import ibis

    needed = {role: name for role, name in zip(("customer", "time", "touchpoint", "session"),
                                               (WHO, AT, TOUCH, SESSION), strict=True) if role in roles}  # fmt: skip
    counts = {role: (~table[name].notnull()).sum().fill_null(0).cast("int64")  # noqa: PD004 (Ibis)
              for role, name in needed.items()}  # fmt: skip
    whole = ibis.and_(*(table[name].notnull() for name in needed.values()))  # noqa: PD004 (Ibis)
    found = run(table.agg(total=table.count(), known=whole.sum().fill_null(0).cast("int64"), **counts)).iloc[0]
    lacking = {role: int(found[role]) for role in needed}
    if int(found["total"]) and not int(found["known"]):
        told = [f"{count:,} lack a {role}" for role, count in lacking.items() if count]
        raise UsageError(
            f"no event of {int(found['total']):,} has customer, time and touchpoint",
            hint="; ".join(told).capitalize() + "." if told else "",
        )
    kept = table.filter(whole) if any(lacking.values()) else table
    return Events(kept, order, run, int(found["total"]), lacking)


def _own(plan: ir.Table) -> pd.DataFrame:
    """Compute a plan where its tables are."""
    frame: pd.DataFrame = plan.to_pyarrow().to_pandas()
    return frame
