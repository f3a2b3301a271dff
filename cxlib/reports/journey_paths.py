"""Streams that go on at once, paths and how they end, and the moments that journeys are made of: brought and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.measure.plans import Undefined
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    import ibis.expr.types as ir

# How a path ends: what it is called, what not, and by default: months in which ends count, days left out before it.
OUTCOMES: Mapping[str, tuple[tuple[str, str], int, float]] = {
    "complaint": (("ended in a complaint", "did not"), 12, 0.0),
    "order": (("ended in an order", "did not"), 1, 1.0),  # the day's visits to the shop are the order
    "left": (("ended in leaving", "did not"), 12, 0.0),
}
_TOLD_BY = {
    "complaint": ("interactions", "contacts, so no complaint can be seen"),
    "order": ("orders", "orders"),
    "left": ("subscriptions", "subscriptions, so nobody can be seen to leave"),
}
LATE = "Delivery later than promised"
_ALWAYS = "1900-01-01"
_MARKS = {
    "handed": "a contact handed on",
    "open": "a contact without a solution",
    "waited": "a wait of 5 minutes or more",
}
_GOOD = 60.0  # of 100: what lies above is good
_WAIT = 300  # seconds


def months(given: int) -> int:
    """Return a number of months; `UsageError` where it counts none."""
    return doors.whole("months", given, 1, 1_200)


def days(name: str, given: float) -> float:
    """Return a number of days above 0; `UsageError` for none."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given <= 3_660:
        raise UsageError(f"{name} {given!r} is no number of days above 0")
    return float(given)


def streams(inputs: Inputs, span: int, reach: float) -> pd.DataFrame:
    """Return what goes on at once, and the order of first entries; see `Run.streams`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        found = _events(inputs, _ALWAYS)
        found = found.mutate(stream=_stream(inputs, found.touchpoint))
        since, until = _span(inputs, span)
        return journeys.streams(
            found, customer="customer_id", start="at", stream="stream", since=since, until=until, reach=reach,
            **bring.how(inputs),
        )  # fmt: skip

    return inputs.answer("streams", [str(span), f"{reach:g}", *_taxonomy(inputs), *bring.limits(inputs)], make)


def paths(inputs: Inputs, outcome: str, span: int | None, window: float, seed: int) -> pd.DataFrame:
    """Return which steps go with an end; see `Run.paths`."""
    if outcome not in OUTCOMES:
        raise UsageError(f"no path is told to end in {outcome!r}", hint=f"There are {', '.join(OUTCOMES)}.")
    words, usual, gap = OUTCOMES[outcome]
    span, leaving = usual if span is None else months(span), outcome == "left"
    doors.whole("seed", seed, 0, 2**32 - 1)

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        table, why = _TOLD_BY[outcome]
        if table not in inputs.store().tables:
            raise Undefined(f"this workspace has no {why}")
        (since, until), found = _span(inputs, span), _steps(inputs)
        return journeys.paths(
            found.mutate(ends=(found.kind == outcome).fill_null(False)), "ends", customer="customer_id", at="at",
            touchpoint="step", since=since, until=until, window=window, gap=gap, marks=_MARKS, words=words,
            rng=np.random.default_rng(seed), entry="joined" if leaving else "", leave="left" if leaving else "",
            **bring.how(inputs),
        )  # fmt: skip

    parts = [outcome, str(span), f"{window:g}", f"{gap:g}", str(seed), *_taxonomy(inputs), *bring.limits(inputs)]
    return inputs.answer("paths", parts, make)


def moments(inputs: Inputs, span: int, window: float, target: float | None) -> pd.DataFrame:
    """Return the verdict on journeys beside that on touchpoints; see `Run.moments_of_truth`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        since = _span(inputs, span)[0]
        found = _answers(inputs, 2 * span)
        whole = bool(found["score"].notna().any())
        return journeys.moments(
            found, customer="customer_id", at="at", touchpoint="touchpoint", value="value", good="good",
            score="score" if whole else "", window=window, since=since, target=target, **bring.how(inputs),
        )  # fmt: skip

    parts = [str(span), f"{window:g}", str(target), *_taxonomy(inputs), *bring.limits(inputs)]
    return inputs.answer("moments", parts, make)


def _answers(inputs: Inputs, span: int) -> pd.DataFrame:
    """Return answers of the months: of touchpoints as `value` from 0 to 100, and `good`; about the whole as `score`.

    Good is the upper 40 of 100: 4 and 5 of 5, 5 to 7 of 7. About the whole is what recommends.
    """
    import ibis

    from cxlib import contract
    from cxlib.analysis.journeys.doorway import known

    tables = inputs.store().tables
    if "responses" not in tables or "instrument" not in tables["responses"].columns:
        raise Undefined("this workspace has no answers to surveys")
    own, (since, until) = tables["responses"], _span(inputs, span)
    own = own.filter(
        own.responded_at >= ibis.literal(since), own.responded_at < ibis.literal(until), known(own.customer_id)
    )
    place = own.touchpoint if "touchpoint" in own.columns else ibis.null("string")
    found = bring.fetch(inputs, own.select("customer_id", "instrument", "score", at=own.responded_at, touchpoint=place))
    ends = (
        found["instrument"].map({name: limits[side] for name, limits in contract.INSTRUMENTS.items()})
        for side in (0, 1)
    )
    low, high = (end.astype(float) for end in ends)
    score, recommends = found["score"].astype(float), found["instrument"] == "nps"
    value = (100 * (score - low) / (high - low)).where(~recommends & found["touchpoint"].notna())
    titles = {name: point.title for name, point in inputs.context.touchpoints.items()}
    names = found["touchpoint"].map(lambda name: titles.get(name, str(name).replace("_", " ").capitalize()))
    good = (value > _GOOD).astype(float).where(value.notna())
    return found.assign(value=value, good=good, score=score.where(recommends), touchpoint=names)


def _events(inputs: Inputs, start: object) -> ir.Table:
    """Return the log up to the end of the run's period."""
    from cxlib.analysis.journeys import log

    until = bring.own(inputs).bounds(inputs.context.workspace.timezone)[1]
    return log.events(inputs.store().tables, start=start, until=until)


def _span(inputs: Inputs, months: int) -> tuple[Any, Any]:
    """Return the first moment of the months that end with the run's period, and the last."""
    zone, periods = inputs.context.workspace.timezone, bring.reach(bring.own(inputs), months)
    return periods[0].bounds(zone)[0], periods[-1].bounds(zone)[1]


def _taxonomy(inputs: Inputs) -> list[str]:
    """Return the words of an answer's key that hangs on where touchpoints stand."""
    return [point.model_dump_json() for point in inputs.context.touchpoints.values()]


def _stream(inputs: Inputs, touchpoint: Any) -> Any:
    """Return the stream of a touchpoint, missing for those that are none of the taxonomy's; an order engages."""
    import ibis

    places: dict[str, list[str]] = {"engage": ["order"]}
    for name, point in inputs.context.touchpoints.items():
        places.setdefault(point.stream, []).append(name)
    return ibis.cases(*((touchpoint.isin(names), stream) for stream, names in places.items()), else_=None)


def _named(value: Any, known: Mapping[str, str], otherwise: Any) -> Any:
    """Return what stands for each value of a column."""
    import ibis

    return value.cases(*known.items(), else_=otherwise) if known else ibis.literal(otherwise, "string")


def _steps(inputs: Inputs) -> ir.Table:
    """Return the log with what is a step of a path, by its title, and what happened there.

    Beginning and end of a subscription are no steps; a promise to deliver that was broken is one, when it was broken.
    """
    import ibis

    from cxlib.analysis.journeys import log

    found = _events(inputs, _ALWAYS)
    titles = {name: point.title for name, point in inputs.context.touchpoints.items()} | log.TITLES
    title = _named(found.touchpoint, titles, found.touchpoint.replace("_", " ").capitalize())
    kinds = {name: (found.kind == name).fill_null(False) for name in (log.JOINED, log.LEFT)}
    step = ibis.ifelse(kinds[log.JOINED] | kinds[log.LEFT], ibis.null("string"), title)
    no = ibis.literal(False)
    known = found.select("customer_id", "at", "kind", step=step, **kinds, **dict.fromkeys(_MARKS, no))
    more = [part.select(known.columns) for part in (_marked(inputs), _late(inputs)) if part is not None]
    return ibis.union(known, *more) if more else known


def _marked(inputs: Inputs) -> ir.Table | None:
    """Return what happened in contacts, as events that are no steps of their own; None where nothing is known."""
    import ibis

    tables = inputs.store().tables
    own = tables.get("interactions")
    has = set() if own is None else set(own.columns)
    if own is None or not has & {"transferred", "resolved", "wait_seconds"}:
        return None
    no = ibis.literal(False)
    marks = {
        "handed": own.transferred.fill_null(False) if "transferred" in has else no,
        "open": (~own.resolved).fill_null(False) if "resolved" in has else no,
        "waited": (own.wait_seconds >= _WAIT).fill_null(False) if "wait_seconds" in has else no,
    }
    told = own.select(
        "customer_id", at=own.started_at.cast("timestamp(6)"), kind=ibis.null("string"), step=ibis.null("string"),
        joined=no, left=no, **marks,
    )  # fmt: skip
    return _before(inputs, told.filter(told.handed | told.open | told.waited))


def _late(inputs: Inputs) -> ir.Table | None:
    """Return the moments at which a promised delivery had not come; None where nobody promises."""
    import ibis

    tables = inputs.store().tables
    if "orders" not in tables or not {"promised_at", "delivered_at"} <= set(tables["orders"].columns):
        return None
    own, no = tables["orders"], ibis.literal(False)
    broken = own.filter((own.delivered_at > own.promised_at).fill_null(False))
    told = broken.select(
        "customer_id", at=broken.promised_at.cast("timestamp(6)"), kind=ibis.null("string"), step=ibis.literal(LATE),
        joined=no, left=no, **dict.fromkeys(_MARKS, no),
    )  # fmt: skip
    return _before(inputs, told)


def _before(inputs: Inputs, found: ir.Table) -> ir.Table:
    """Return events of known customers up to the end of the period."""
    import ibis

    from cxlib.analysis.journeys.doorway import known

    return found.filter(known(found.customer_id), found["at"] < ibis.literal(_span(inputs, 1)[1]))
