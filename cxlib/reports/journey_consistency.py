"""Is the experience the same at every channel and partner: the answers brought, and what lies between and within."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cxlib import results
from cxlib.analysis import hiding
from cxlib.measure import verdicts
from cxlib.measure.derived import holds
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Part, Segment
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs
from cxlib.reports.journey_promise import customers_mix

_KINDS = ("mean", "nps")


def compared(inputs: Inputs, metric: Metric, by: Sequence[Segment], months: int) -> pd.DataFrame:
    """Return variance of a score between groups against within, and digital against physical; see `Run.consistency`."""
    mix = customers_mix(inputs)

    def make() -> pd.DataFrame:
        if metric.kind not in _KINDS or metric.table != "responses" or isinstance(metric.denominator, Part):
            raise Undefined(f"{metric.title} is no score of single answers: there is nothing between and within groups")
        tables = inputs.store().tables
        cuts = [segment for segment in by if holds(tables, metric.table, segment)]
        held = [segment for segment in mix if holds(tables, metric.table, segment)]
        found = _answers(inputs, metric, cuts, held, months)
        if found.empty:
            raise Undefined(f"nobody answered in {months} months")
        return _told(inputs, metric, found, cuts, [segment.title for segment in held])

    words = [segment.model_dump_json() for segment in (*by, *mix)]
    digital = [name for name, point in inputs.context.touchpoints.items() if point.digital]
    parts = [inputs.context.definition_of(metric), *words, *digital, str(months), *bring.limits(inputs)]
    return inputs.answer("consistency", parts, make)


def scored(metrics: Sequence[Metric]) -> Metric | None:
    """Return the score that is looked at where none is named: the first mean of answers, else the first NPS."""
    told = [metric for kind in _KINDS for metric in metrics if metric.kind == kind and metric.table == "responses"]
    return told[0] if told else None


def _answers(
    inputs: Inputs, metric: Metric, cuts: Sequence[Segment], mix: Sequence[Segment], months: int
) -> pd.DataFrame:
    """Return answers with their groups, missing where none is named, and who the customers are, by title."""
    from cxlib.analysis import extracts

    tables, about = inputs.store().tables, inputs.context
    known = "touchpoint" in tables["responses"].columns
    plan = extracts.rows(
        metric, tables, bring.reach(bring.own(inputs), months), timezone=about.workspace.timezone,
        columns={"is_digital": "digital"} if known else {}, segments=[*cuts, *mix], touchpoints=about.touchpoints,
    )  # fmt: skip
    found = bring.fetch(inputs, plan).dropna(subset="y")
    levels = {segment.id: found[segment.id].where(found[segment.id] != segment.otherwise) for segment in cuts}
    people = pd.factorize(found[bring.CUSTOMER])[0]
    digital = {} if known else {"is_digital": float("nan")}
    return found.assign(**levels, **digital, **{bring.CUSTOMER: people}).rename(columns={s.id: s.title for s in mix})


def _told(
    inputs: Inputs, metric: Metric, found: pd.DataFrame, cuts: Sequence[Segment], mix: Sequence[str]
) -> pd.DataFrame:
    from cxlib.analysis.journeys import consistency

    how = {**bring.how(inputs), "metric": metric.id}
    kind = metric.kind if found["y"].any() else "mean"
    varied = [name for name in mix if len(found[name].unique()) > 1]
    parts = []
    for segment in cuts:
        if found[segment.id].notna().any():
            one = consistency.consistency(found, "y", segment.id, case_mix=varied, kind=kind, **how)
            parts.append(one)
    digital = consistency.digital_or_not(found, "y", "is_digital", case_mix=varied, kind=metric.kind, **how)
    digital = _beside(parts, results.label(_judged(inputs, metric, digital), segment="digital"))
    return results.concat([*parts, digital])


def _beside(parts: Sequence[pd.DataFrame], digital: pd.DataFrame) -> pd.DataFrame:
    """Hide digital against physical where a touchpoint is hidden: less those that are shown they would tell of it."""
    hidden = any(
        ((part["segment"] == "touchpoint") & (part["status"] == results.SUPPRESSED)).any()
        for part in parts
        if len(part)
    )
    gone = (digital["status"] == results.OK) & hidden
    return results.conform(
        digital.assign(
            status=digital["status"].mask(gone, results.SUPPRESSED), note=digital["note"].mask(gone, hiding.NOTE)
        )
    )


def _judged(inputs: Inputs, metric: Metric, found: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison with its verdict on the difference that holds most equal."""
    apart = found[found["comparison"] == "difference"]
    last = apart.index[-1:]
    own = verdicts.judge(apart.loc[last], [metric], alpha=1 - inputs.context.workspace.confidence)
    return results.concat([found.drop(index=last), own])
