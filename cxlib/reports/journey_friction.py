"""Where customers lose patience and what goes well: causes measured, and ranked by what goes with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib.errors import UsageError
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Part, Segment
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    from cxlib.analysis.journeys import Limits

# Which cause a driver of a model measures: its experiment is one on the cause.
_MEASURED_BY = {"days_late": "late", "contact_wait_seconds": "waiting", "contact_resolved": "unresolved"}


def _checked(limits: Limits | None) -> Limits:
    """Return from where on something is too much, the usual where nothing is said."""
    from cxlib.analysis.journeys import Limits

    if limits is not None and not isinstance(limits, Limits):
        raise UsageError(
            f"limits is a {type(limits).__name__}, not Limits", hint="Write Limits(wait_seconds=300), say."
        )
    return limits or Limits()


def caused(inputs: Inputs, before: Period, limits: Limits | None) -> pd.DataFrame:
    """Return the causes of bad experiences as indicators; see `Run.causes`."""
    limits = _checked(limits)

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        own, zone = bring.own(inputs), inputs.context.workspace.timezone
        return journeys.causes(
            inputs.store().tables, own.bounds(zone), before.bounds(zone), run=inputs.store().run, limits=limits,
            labels=(own.label, before.label), **bring.how(inputs),
        )  # fmt: skip

    return inputs.answer("causes", [before.label, *_words(limits), *bring.limits(inputs)], make)


def ranked(
    inputs: Inputs,
    metric: Metric,
    segments: Sequence[Segment],
    months: tuple[int, int],
    limits: Limits | None,
    seed: int,
) -> pd.DataFrame:
    """Return frictions and wins, ranked; see `Run.friction`. `months` are those of answers, and of what was done."""
    limits = _checked(limits)

    def make() -> pd.DataFrame:
        from cxlib.analysis import journeys

        tables, worth = inputs.store().tables, inputs.context.workspace.worth
        known = journeys.known_causes(tables)
        if not known:
            raise Undefined("this workspace has neither contacts nor deliveries that tell how customers fared")
        ask = journeys.Ask(
            segments=tuple(segment.id for segment in segments), tested=_tested(inputs),
            places={name: place.title for name, place in inputs.context.touchpoints.items()},
            matters=metric.change_that_matters,
            money=journeys.Money(worth.margin, worth.horizon_months, worth.discount_rate),
            rng=np.random.default_rng(seed), **bring.how(inputs),
        )  # fmt: skip
        volumes = _volumes(inputs, known, limits)
        here = [name for name in known if name in set(volumes["cause"])]
        if not here:
            raise Undefined("no contact, delivery, visit, page or message is recorded in this period")
        said = _said(inputs, metric, segments, here, months[0], limits)
        done = _done(inputs, segments, here, months[1], limits)
        return journeys.friction(said, done, volumes, ask=ask)

    parts = [inputs.context.definition_of(metric), *(segment.model_dump_json() for segment in segments)]
    parts += [str(months), str(seed), *_words(limits), inputs.context.workspace.worth.model_dump_json()]
    parts += [f"{cause}: {title}" for cause, title in sorted(_tested(inputs).items())]
    return inputs.answer("friction", [*parts, *bring.limits(inputs)], make)


def _words(limits: Limits) -> list[str]:
    return [f"{name} {value}" for name, value in asdict(limits).items()]


def _said(
    inputs: Inputs, metric: Metric, segments: Sequence[Segment], known: Sequence[str], months: int, limits: Limits
) -> pd.DataFrame | None:
    """Return the answers of some months with what their customers had met; None where there are none."""
    from cxlib.analysis import extracts
    from cxlib.analysis.journeys import touched

    tables, zone = inputs.store().tables, inputs.context.workspace.timezone
    if metric.table != "responses" or isinstance(metric.denominator, Part) or "responses" not in tables:
        return None
    periods = bring.reach(bring.own(inputs), months)
    columns = {name: name for name in ("response_id", "touchpoint") if name in tables["responses"].columns}
    try:
        said = extracts.rows(
            metric, tables, periods, timezone=zone, columns=columns, segments=segments,
            touchpoints=inputs.context.touchpoints,
        )  # fmt: skip
    except Undefined:
        return None
    ends = {"start": periods[0].bounds(zone)[0], "until": periods[-1].bounds(zone)[1]}
    plan = touched.answers(said, tables, known, limits=limits, **ends)
    return bring.fetch(inputs, plan).dropna(subset="y").reset_index(drop=True)


def _done(
    inputs: Inputs, segments: Sequence[Segment], known: Sequence[str], months: int, limits: Limits
) -> pd.DataFrame | None:  # fmt: skip
    """Return customers by period with what they met and did in the 30 days after; None where nothing is known."""
    from cxlib.analysis.journeys import touched

    tables, own, zone = inputs.store().tables, bring.own(inputs), inputs.context.workspace.timezone
    if not {"orders", "subscriptions"} & set(tables):
        return None
    over = own.next_day - timedelta(days=touched.AFTER_DAYS)
    periods = [period for period in bring.reach(own, months + 2) if period.next_day <= over][-months:]
    if not periods:
        return None
    plan = touched.months(tables, known, periods, timezone=zone, segments=segments, limits=limits)
    found = inputs.store().run(plan)
    return bring.ordered(found, [bring.CUSTOMER, "period"])


def _volumes(inputs: Inputs, known: Sequence[str], limits: Limits) -> pd.DataFrame:
    """Return how many customers met each cause in the run's period."""
    from cxlib.analysis.journeys import touched
    from cxlib.analysis.journeys.occasions import occasions

    start, until = bring.own(inputs).bounds(inputs.context.workspace.timezone)
    rows = occasions(inputs.store().tables, known, start=start, until=until, limits=limits)
    return bring.fetch(inputs, touched.volumes(rows, known))


def _tested(inputs: Inputs) -> dict[str, str]:
    """Return the experiments on causes: those of drivers that measure one, by the cause."""
    found: dict[str, str] = {}
    about: Any = inputs.context
    for model in about.drivers.values():
        for driver in model.drivers.values():
            for column, cause in _MEASURED_BY.items():
                if driver.experiment in about.experiments and column in driver.value:
                    found[cause] = about.experiments[driver.experiment].title
    return found
