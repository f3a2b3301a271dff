"""What was promised and what came: deliveries, surveys sent too early, bills, and how long pages load."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.derived import holds, period_names_of
from cxlib.measure.plans import Undefined
from cxlib.params.models import Segment
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    import ibis.expr.types as ir

_MONTH = "month"  # a column of the frames here


def kept(inputs: Inputs, months: int, lost_after: int, within: int) -> pd.DataFrame:
    """Return promise against actual; see `Run.promise`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.journeys import promise, promise_bills, promise_loads, promise_surveys

        parts = [
            _part(promise.KEPT, lambda: _delivery(inputs, months, lost_after)),
            _part(promise_surveys.FINDING, lambda: _surveys(inputs, months)),
            _part(promise_bills.EXCESS, lambda: _bills(inputs, months, within)),
            _part(promise_loads.LOAD, lambda: _loads(inputs, months)),
        ]
        return results.concat(parts)

    segments = [segment.model_dump_json() for segment in customers_mix(inputs)]
    parts = [str(months), str(lost_after), str(within), *segments, *bring.limits(inputs)]
    return inputs.answer("promise", parts, make)


def times(inputs: Inputs, months: int) -> tuple[list[Period], datetime, datetime]:
    """Return the periods that reach back over some months, their first moment, and the end of what is known (UTC)."""
    zone, periods = inputs.context.workspace.timezone, bring.reach(bring.own(inputs), months)
    return periods, periods[0].bounds(zone)[0], periods[-1].bounds(zone)[1]


def labelled(inputs: Inputs, moments: pd.Series, periods: list[Period]) -> pd.Series:
    """Return the label of the period of each moment (UTC)."""
    zone = inputs.context.workspace.timezone
    starts = np.array([np.datetime64(period.bounds(zone)[0], "us") for period in periods])
    place = np.searchsorted(starts, moments.to_numpy(dtype="datetime64[us]"), side="right") - 1
    return pd.Series(np.array([period.label for period in periods], dtype=object)[place], moments.index)


def fetched(inputs: Inputs, plan: ir.Table) -> pd.DataFrame:
    """Return the rows of a plan, customers by number: no id goes further than here."""
    found = bring.fetch(inputs, plan)
    return found.assign(**{bring.CUSTOMER: pd.factorize(found[bring.CUSTOMER])[0]})


def _part(metric: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Return a part of the answer, or why this workspace cannot give it."""
    try:
        return make()
    except Undefined as reason:
        return results.frame(metric=metric, status=results.UNDEFINED, note=str(reason))


def _delivery(inputs: Inputs, months: int, lost_after: int) -> pd.DataFrame:
    from cxlib.analysis.journeys import promise, promise_rows

    periods, start, until = times(inputs, months)
    found = fetched(inputs, promise_rows.orders(inputs.store().tables, start, until))
    if found.empty:
        raise Undefined("no order was promised for any time")
    found = found.assign(period=labelled(inputs, found["ordered_at"], periods))
    return promise.delivery(found, until, lost_after=lost_after, **bring.how(inputs))


def _surveys(inputs: Inputs, months: int) -> pd.DataFrame:
    """Return what surveys asked too early do: of those sent where invitations are known, else of those answered."""
    from cxlib.analysis.journeys import promise_rows, promise_surveys

    (periods, start, until), how, tables = times(inputs, months), bring.how(inputs), inputs.store().tables
    segments = [segment for segment in customers_mix(inputs) if holds(tables, "responses", segment)]
    given = fetched(inputs, promise_rows.answers(tables, start, until, segments))
    if given["delivered_at"].isna().all():
        raise Undefined("no answer is about an order that is known to have come")
    try:
        sent = fetched(inputs, promise_rows.surveys_sent(tables, start, until))
    except Undefined:
        sent = given.iloc[:0]
    frame = sent if len(sent) else given
    share = promise_surveys.sent_early(frame, **how)
    own = given[given["instrument"] == given["instrument"].mode().iloc[0]]
    own = own.assign(**{_MONTH: labelled(inputs, own["responded_at"], periods)})
    own = own.rename(columns={segment.id: segment.title for segment in segments})
    mix = [name for name in (_MONTH, *(s.title for s in segments)) if len(own[name].unique()) > 1]
    effect = promise_surveys.answers(own, _score(inputs, str(own["instrument"].iloc[0])), case_mix=mix, **how)
    parts = [share] if not len(sent) else [share, promise_surveys.sent_early(given, promise_surveys.ANSWERED, **how)]
    told = promise_surveys.verdict(share, effect, frame)
    if not len(sent):
        words = "when surveys were sent is not known: the time of the answer stands for it, so the true share is higher"
        told = told.assign(note=f"{told['note'].iloc[0]}; {words}")
    return results.concat([told, *parts, effect])


def _bills(inputs: Inputs, months: int, within: int) -> pd.DataFrame:
    from cxlib.analysis.journeys import promise_bills, promise_rows

    (_, start, until), tables = times(inputs, months), inputs.store().tables
    found = fetched(inputs, promise_rows.bills(tables, start, until, within))
    if not found[["after", "before"]].to_numpy().any():
        raise Undefined(f"no {'contacts near bills' if len(found) else 'bills'} are recorded")
    return promise_bills.bills(found, within, **bring.how(inputs))


def _loads(inputs: Inputs, months: int) -> pd.DataFrame:
    from cxlib.analysis.journeys import promise, promise_loads, promise_rows

    (periods, start, until), how, tables = times(inputs, months), bring.how(inputs), inputs.store().tables
    found = fetched(inputs, promise_rows.visits(tables, start, until))
    if found.empty:
        raise Undefined("no page loads are timed")
    found = found.assign(**{_MONTH: labelled(inputs, found["started_at"], periods)})
    monthly = promise_loads.loads(found, _MONTH, **how)
    at = monthly["at"] + f" {promise.BY_MONTH}"
    monthly = results.label(monthly.assign(period=monthly["level"], at=at), segment="all", level="all")
    parts = [promise_loads.loads(found, **how), promise_loads.loads(found, "touchpoint", **how), monthly]
    known = found[found["ordered"].notna()]
    if len(known):
        parts.append(promise_loads.conversion(known, case_mix=[_MONTH], **how))
    return results.concat(parts)


def customers_mix(inputs: Inputs) -> list[Segment]:
    """Return the segments of customers that are held equal: those that surveys are weighted by."""
    about = inputs.context
    named = [about.segments[name] for name in about.workspace.weighting.segments if name in about.segments]
    return [segment for segment in named if segment.on == "customers" and not period_names_of([segment])]


def _score(inputs: Inputs, instrument: str) -> str:
    """Return the id of the mean score of an instrument, or a name for it."""
    mean = f"{instrument}_mean"
    return mean if mean in inputs.context.metrics else instrument
