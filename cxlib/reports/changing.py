"""Whether registered changes worked where nobody randomised: those that are due, their designs, their verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes
from cxlib.measure.plans import Undefined
from cxlib.params.models import Change, Metric
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.changing_customers import OneByOne
from cxlib.reports.changing_designs import CHOSEN, DESIGN, EFFECT, PATH, Designs, reading
from cxlib.reports.customers_alike import covariates
from cxlib.reports.inputs import Inputs
from cxlib.reports.studied import Studied, coming, due, spelled

AGAIN, NEXT = "read again", "next"  # further roles of rows


def changed(inputs: Inputs) -> pd.DataFrame:
    """Return what is known of every change that is due; see `Run.changes`."""
    about = inputs.context
    register, own = list(about.changes.values()), bring.own(inputs)

    def make() -> pd.DataFrame:
        parts = [
            _one(inputs, change, about.metrics[name], again=again)
            for change, again in due(register, own)
            for name in change.metrics
        ]
        return _judged(inputs, results.concat([*parts, _next(register, own)]))

    named = sorted({name for change in register for name in (*change.metrics, *change.controls)})
    definitions = [about.definition_of(about.metrics[name]) for name in named]
    cuts = [about.segments[change.segment].model_dump_json() for change in register if change.segment]
    cuts += [cut.model_dump_json() for cut in covariates(inputs) if any(change.customers for change in register)]
    parts = [change.model_dump_json() for change in register]
    return inputs.answer("changes", [*parts, *definitions, *cuts, about.partial, *bring.limits(inputs)], make)


def _one(inputs: Inputs, change: Change, metric: Metric, *, again: bool) -> pd.DataFrame:
    """Return the rows of one change and metric: designs, effects, checks, evidence; why there are none at the least."""
    studied = Studied(inputs, change, metric)
    try:
        if inputs.context.partial:
            raise Undefined(inputs.context.partial)
        found = OneByOne(studied).rows() if change.customers else Designs(studied).rows()
        parts = [found, reading(studied)]
    except (Undefined, UsageError) as reason:
        told = str(reason) if isinstance(reason, Undefined) else reason.message
        parts = [results.frame(segment=EFFECT, comparison="difference", status=results.UNDEFINED, note=told)]
    if again:
        note = "read again a year after its window"
        parts.append(results.frame(segment=AGAIN, comparison="test", estimate=1.0, note=note))
    found = results.concat(parts).assign(level=change.id, metric=metric.id, period=inputs.context.period)
    found = found.assign(definition=inputs.context.definition_of(metric))
    return _shown(found, inputs.context.least(metric))


def _shown(found: pd.DataFrame, least: int) -> pd.DataFrame:
    """Return rows without the counts that are of no customers, and without numbers that too few stand behind."""
    other = (found["comparison"] == "test") | (found["segment"] == PATH)  # these count placebos and periods
    counts = {name: found[name].mask(other, np.nan) for name in ("n", "n_eff")}
    return results.suppress(results.conform(found.assign(**counts)), least)


def _next(register: list[Change], own: Period) -> pd.DataFrame:
    """Return a row that says which change is due next; none where none is."""
    found = coming(register, own)
    if found is None:
        return results.empty()
    change, end, again = found
    what = "is read again next: the year after its window" if again else "is due next: its window"
    note = f"{change.title} {what} ends before {spelled(end)}"
    return results.frame(metric="changes", segment=NEXT, level=change.id, comparison="test", estimate=1.0, note=note)


def _judged(inputs: Inputs, frame: pd.DataFrame) -> pd.DataFrame:
    """Give the effects of the chosen designs their verdicts, as one family; all others have none."""
    lead = (frame["segment"] == DESIGN) & frame["note"].str.startswith(CHOSEN)
    keys = set(frame.loc[lead, ["level", "metric", "at"]].itertuples(index=False, name=None))
    places = list(zip(frame["level"], frame["metric"], frame["at"], strict=True))
    mine = (frame["segment"] == EFFECT) & pd.Series([place in keys for place in places], dtype=bool, index=frame.index)
    level = inputs.context.workspace.confidence
    judged = changes.judge(
        results.conform(frame[mine]), list(inputs.context.metrics.values()), alpha=1 - level, confidence=level
    )
    return results.concat([judged, results.conform(frame[~mine])])
