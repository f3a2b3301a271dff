"""How customers move from touchpoint to touchpoint, and from stage to stage: counted in the store and frozen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, get_args

import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import log
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.plans import Undefined
from cxlib.params.models import Touchpoint
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    import ibis.expr.types as ir

Stages = Sequence[str] | Mapping[str, str | Sequence[str]] | str
BUYING, JOURNEY = "buying", "journey"
RATED = "rated:"
_BUYING = ("website", "checkout", "payment", log.ORDER, "delivery")
_TIMED = ("interactions", "orders", "responses")
_HORIZONS = (1, 7, 30)  # days
_TIES, _LAST = ("place", "kind", "event_id"), 10_000  # where events of one moment stand; of those not in the taxonomy
_ENTERED = {log.ORDER: "purchase", log.JOINED: "purchase"}  # stages of the taxonomy, of what it does not list


def moved(inputs: Inputs, months: int, gap: int) -> pd.DataFrame:
    """Return the moves between touchpoints; see `Run.transitions`."""
    doors.whole("gap", gap, 1, 3_660)

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        found = journeys.transitions(
            _events(inputs, months), customer=log.CUSTOMER, at=log.AT, touchpoint=log.TOUCHPOINT,
            gap=timedelta(days=gap), ties=_TIES, run=inputs.store().run, **bring.how(inputs),
        )  # fmt: skip
        return _titled(found, inputs, ("level", "against"))

    return inputs.answer("transitions", [str(months), str(gap), *_taxonomy(inputs), *bring.limits(inputs)], make)


def converted(inputs: Inputs, stages: Stages, window: int, order: str, months: int) -> pd.DataFrame:
    """Return the funnel of stages; see `Run.funnel`."""
    from cxlib.analysis.journeys.funnel import ORDERS

    doors.whole("window", window, 1, 3_660)
    if order not in ORDERS:
        raise UsageError(f"'{order}' is no order of stages{did_you_mean(str(order), ORDERS)}",
                         hint=f"There are {', '.join(ORDERS)}.")  # fmt: skip
    wanted = staged(inputs, stages)

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        every, until = _events(inputs, months), _known_until(inputs)
        there = set(inputs.store().run(every.select(log.TOUCHPOINT).distinct())[log.TOUCHPOINT])
        if isinstance(stages, str):
            known = _recorded(wanted, there)
        else:
            known = _checked(wanted, {*inputs.context.touchpoints, *log.TITLES, *there})
        return journeys.funnel(
            every, known, window=timedelta(days=window), order=order, until=until, ties=_TIES,
            horizons=[timedelta(days=days) for days in _HORIZONS if days < window], run=inputs.store().run,
            **bring.how(inputs),
        )  # fmt: skip

    words = [f"{name}: {', '.join(places)}" for name, places in wanted.items()]
    parts = [*words, str(window), order, str(months), *_taxonomy(inputs), *bring.limits(inputs)]
    return inputs.answer("funnel", parts, make)


def staged(inputs: Inputs, stages: Stages) -> dict[str, list[str]]:
    """Return the stages by their titles, with their touchpoints; `UsageError` for a funnel that there is not."""
    if isinstance(stages, str):
        if stages not in (BUYING, JOURNEY):
            raise UsageError(f"no funnel is called '{stages}'{did_you_mean(stages, (BUYING, JOURNEY))}",
                             hint=f"Name {BUYING} or {JOURNEY}, or give a list of touchpoints.")  # fmt: skip
        stages = _journey(inputs) if stages == JOURNEY else list(_BUYING)
    given = stages if isinstance(stages, Mapping) else {title_of(inputs, str(name)): name for name in stages}
    return {str(name): [str(place) for place in doors.names(places)] for name, places in given.items()}


def _journey(inputs: Inputs) -> dict[str, list[str]]:
    """Return the stages of the taxonomy, with the touchpoints of each."""
    found: dict[str, list[str]] = {}
    for stage in get_args(Touchpoint.model_fields["stage"].annotation):
        places = [name for name, point in inputs.context.touchpoints.items() if point.stage == stage]
        places += [name for name, own in _ENTERED.items() if own == stage and name not in places]
        found |= {stage.capitalize(): places} if places else {}
    return found


def _recorded(wanted: Mapping[str, Sequence[str]], there: Collection[str]) -> dict[str, list[str]]:
    """Return the stages that anything is recorded of; `Undefined` where they make no funnel."""
    found = {name: [place for place in places if place in there] for name, places in wanted.items()}
    kept = {name: places for name, places in found.items() if places}
    if len(kept) < 2:
        lacking = ", ".join(name for name in wanted if name not in kept)
        raise Undefined(f"a funnel needs two stages, and nothing is recorded of {lacking}")
    return kept


def _checked(wanted: dict[str, list[str]], known: Collection[str]) -> dict[str, list[str]]:
    """Return the stages as they are; `UsageError` for touchpoints of no taxonomy that nothing is recorded of."""
    strange = [place for own in wanted.values() for place in own if place.removeprefix(RATED) not in known]
    if strange:
        told = "; ".join(f"'{place}'{did_you_mean(place.removeprefix(RATED), known)}" for place in strange)
        raise UsageError(f"no touchpoint: {told}", hint="They are listed in touchpoints.yml.")
    return wanted


def _events(inputs: Inputs, months: int) -> ir.Table:
    """Return the log of the months that end with the run's period.

    Answers are told apart by what they are about; those about the whole are at the survey. Events of one moment are in
    the order of the taxonomy (`place`), then of their ids.
    """
    import ibis

    zone, periods = inputs.context.workspace.timezone, bring.reach(bring.own(inputs), months)
    found = log.events(inputs.store().tables, start=periods[0].bounds(zone)[0], until=periods[-1].bounds(zone)[1])
    about = found.about.nullif(log.SURVEY)
    place = ibis.coalesce(about, found.touchpoint).cases(*_places(inputs).items(), else_=_LAST)
    return found.mutate(touchpoint=ibis.coalesce(ibis.literal(RATED) + about, found.touchpoint), place=place)


def _places(inputs: Inputs) -> dict[str, int]:
    """Return where touchpoints stand in the taxonomy; an order and a subscription follow what comes while they buy."""
    points = inputs.context.touchpoints
    found = {name: 2 * place for place, name in enumerate(points)}
    bought = max((found[name] for name, point in points.items() if point.group in ("before", "during")), default=0) + 1
    return found | dict.fromkeys((log.ORDER, log.JOINED), bought)


def _known_until(inputs: Inputs) -> pd.Timestamp:
    """Return up to when events are known: the end of the run's period, or the newest event before it."""
    end = pd.Timestamp(bring.own(inputs).bounds(inputs.context.workspace.timezone)[1])
    newest = [moment for table, moment in inputs.store().latest().items() if table in _TIMED]
    return min(end, pd.Timestamp(max(newest))) if newest else end


def title_of(inputs: Inputs, name: str) -> str:
    """Return what people call a touchpoint of the log."""
    if name.startswith(RATED):
        return f"{title_of(inputs, name.removeprefix(RATED))} rating"
    point = inputs.context.touchpoints.get(name)
    return point.title if point else log.TITLES.get(name, name)


def _titled(found: pd.DataFrame, inputs: Inputs, columns: Sequence[str]) -> pd.DataFrame:
    """Return rows with the titles of touchpoints for their ids."""
    names: dict[str, str] = {name: title_of(inputs, name) for column in columns for name in set(found[column])}
    if len(set(names.values())) < len(names):
        names = {name: name for name in names}  # two that are called alike must stay two
    return results.conform(found.assign(**{column: found[column].map(names) for column in columns}))


def _taxonomy(inputs: Inputs) -> list[str]:
    """Return the words of an answer's key that hangs on what touchpoints are."""
    return [point.model_dump_json() for point in inputs.context.touchpoints.values()]
