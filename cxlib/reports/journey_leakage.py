"""Where leads are lost: people who came by a source, what they bought and when, and what was spent on them."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    import ibis.expr.types as ir

_DAY = pd.Timedelta(days=1)
_HOW = {True: "subscribes", False: "has bought twice"}


class _Leads(NamedTuple):
    """Leads with the day on which each came, the plan that names them, and what a lead is here."""

    frame: pd.DataFrame
    plan: ir.Table
    about: str


def leaked(inputs: Inputs, months: int, days: int, stayed: int) -> pd.DataFrame:
    """Return where leads are lost and what each outcome costs; see `Run.leakage`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.journeys import leakage

        known = _recorded(inputs, _leads(inputs, months))
        if known.frame.empty:
            raise Undefined(f"nobody came in {months} months, or only before purchases were recorded")
        frame, kept = _followed(inputs, known, stayed)
        if frame["came"].notna().all():
            raise Undefined("only people who bought are recorded: of leads that never bought nothing is known")
        costs = _costs(inputs, months)
        found = leakage.leakage(frame, costs, days=days, stayed=stayed, **bring.how(inputs))
        told = (found["note"] == "") & found["metric"].isin([leakage.LEAKED, leakage.KEPT])
        words = np.where(found["metric"] == leakage.KEPT, kept, known.about)
        return results.conform(found.assign(note=found["note"].mask(told, pd.Series(words, found.index))))

    return inputs.answer("leakage", [str(months), str(days), str(stayed), *bring.limits(inputs)], make)


def _periods(inputs: Inputs, months: int) -> list[Period]:
    """Return the calendar months of some months up to the end of the run's period: costs are told by month."""
    last = Period(bring.last_day(bring.own(inputs)).replace(day=1), "month")
    return last.last(months)


def _leads(inputs: Inputs, months: int) -> _Leads:
    """Return those who came: joiners by the source that is known of them, else by the first touchpoint seen."""
    from cxlib.analysis.journeys import leakage_rows

    periods, tables, zone = _periods(inputs, months), inputs.store().tables, inputs.context.workspace.timezone
    try:
        plan = leakage_rows.joined(tables, periods[0].first_day, _end(inputs))
        found = bring.fetch(inputs, plan)
        if found["source"].notna().any():
            return _Leads(found.assign(day=pd.to_datetime(found["day"])), plan, "a lead is somebody who joined")
    except Undefined:
        pass
    start, until = periods[0].bounds(zone)[0], bring.own(inputs).bounds(zone)[1]
    plan = leakage_rows.first_touched(tables, start, until)
    found = bring.fetch(inputs, plan)
    titles = {name: point.title for name, point in inputs.context.touchpoints.items()}
    local = _days(found.pop("at"), zone)
    source = found["source"].map(lambda name: titles.get(name, name))
    note = "where customers came from is not noted: a lead is somebody seen for the first time, its source the place"
    return _Leads(found.assign(day=local, source=source), plan, note)


def _recorded(inputs: Inputs, known: _Leads) -> _Leads:
    """Leave out leads from before anything was bought by anybody: what they bought was not recorded."""
    from cxlib.analysis.journeys import leakage_rows

    tables, zone = inputs.store().tables, inputs.context.workspace.timezone
    first = bring.fetch(inputs, leakage_rows.since(tables))["at"]
    day = (_days(first, zone) if "orders" in tables else first.astype("datetime64[us]")).iloc[0]
    kept = known.frame[known.frame["day"] >= day]
    left = len(known.frame) - len(kept)
    about = f"{known.about}; left out are those who came before purchases were recorded" if left else known.about
    return known._replace(frame=kept.reset_index(drop=True), about=about)


def _followed(inputs: Inputs, known: _Leads, stayed: int) -> tuple[pd.DataFrame, str]:
    """Return leads with what became of them, and in words who counts as kept."""
    from cxlib.analysis.journeys import leakage_rows

    tables, zone, until = inputs.store().tables, inputs.context.workspace.timezone, bring.own(inputs)
    leads = known.frame
    bought = bring.fetch(inputs, leakage_rows.bought(tables, known.plan, until.bounds(zone)[1]))
    bought = bought.assign(at=_days(bought["at"], zone) if "orders" in tables else bought["at"])
    when = leads.set_index(bring.CUSTOMER)["day"]
    first = bought.groupby(bring.CUSTOMER)["at"].min().reindex(when.index)
    frame = leads.assign(
        came=((first - when) / _DAY).to_numpy(dtype=float),
        watched=((pd.Timestamp(until.next_day) - leads["day"]) / _DAY).to_numpy(dtype=float),
        month=leads["day"].dt.strftime("%Y-%m"),
    )
    contract = "subscriptions" in tables
    if contract:
        spells = bring.fetch(inputs, leakage_rows.subscribed(tables, known.plan, _end(inputs)))
        still = _subscribes(spells, when + stayed * _DAY)
    else:
        soon = bought[bought["at"] - bought[bring.CUSTOMER].map(when) <= stayed * _DAY]
        times = soon.groupby(bring.CUSTOMER).size()
        still = set(times[times > 1].index)
    here = frame[bring.CUSTOMER].isin(still).astype(float)
    kept = here.where(frame["watched"] >= stayed)
    people = pd.factorize(frame[bring.CUSTOMER])[0]
    return frame.assign(
        kept=kept, **{bring.CUSTOMER: people}
    ), f"kept is who {_HOW[contract]} {stayed} days after coming"


def _subscribes(spells: pd.DataFrame, day: pd.Series) -> set[str]:
    """Return who has a subscription on a day of their own."""
    begun, ended = (pd.to_datetime(spells[name]) for name in ("started_on", "ended_on"))
    when = spells[bring.CUSTOMER].map(day)
    return set(spells.loc[(begun <= when) & (ended.isna() | (ended > when)), bring.CUSTOMER])


def _costs(inputs: Inputs, months: int) -> pd.DataFrame | None:
    """Return what was spent on sources in the months; None where no costs are known."""
    from cxlib.analysis.journeys import leakage_rows

    tables = inputs.store().tables
    if "costs" not in tables:
        return None
    found = bring.fetch(inputs, leakage_rows.costs(tables, _periods(inputs, months)[0].first_day, _end(inputs)))
    return found.assign(month=pd.to_datetime(found["month"]).dt.strftime("%Y-%m"))


def _end(inputs: Inputs) -> date:
    return bring.own(inputs).next_day


def _days(moments: pd.Series, zone: str) -> pd.Series:
    """Return the local day of moments in UTC."""
    local = moments.dt.tz_localize("UTC").dt.tz_convert(zone).dt.tz_localize(None)
    return local.dt.normalize().astype("datetime64[us]")
