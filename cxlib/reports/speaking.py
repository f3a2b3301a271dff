"""Whom a survey's score speaks for: weighted to the customers, who answered at all, and what silence could hide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.contract import INSTRUMENTS, TABLES
from cxlib.expressions import parse
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.reports.inputs import Inputs

_ASKED = "asked for {}"  # `against` of the response rate behind one score


def spoken_for(inputs: Inputs, metric: Metric, segments: Sequence[Segment], against: Period, seed: int) -> pd.DataFrame:
    """Return what `Run.speaks_for` says."""
    context, period = inputs.context, inputs.context.period
    space = context.workspace.weighting
    if metric.table != "responses":
        from cxlib.measure import estimates

        return estimates.undefined(metric, [period], "only answers to surveys are weighted to those who did not answer")

    def make() -> pd.DataFrame:
        from cxlib.measure import decomposition, weights

        known = [segment for segment in segments if _tells(inputs, segment)]
        answered, whole = _people(inputs, metric, known)
        about: dict[str, Any] = {
            "metric": metric.id, "period": period, "definition": context.definition_of(metric),
            "confidence": context.workspace.confidence, "min_n": context.least(metric),
        }  # fmt: skip
        found = weights.speaks_for(
            answered, whole, [segment.id for segment in known], kind=metric.kind, scale=decomposition.scale_of(metric),
            bounds=(space.lowest, space.highest), rng=np.random.default_rng(seed), **about,
        ).frame  # fmt: skip
        return results.concat([found, _silence(inputs, metric, known, found, against)])

    parts = [period, against.label, str(seed), space.model_dump_json()]
    return inputs.result("speaks", metric, segments, parts, make)


def _tells(inputs: Inputs, segment: Segment) -> bool:
    """Say whether the workspace knows a segment of its customers."""
    from cxlib.measure import respondents
    from cxlib.measure.plans import Undefined

    try:
        period, zone = Period.parse(inputs.context.period), inputs.context.workspace.timezone
        respondents.population(inputs.store().tables, period, [segment], timezone=zone)
    except Undefined:
        return False
    return True


def _people(inputs: Inputs, metric: Metric, segments: Sequence[Segment]) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Return who answered and whom they should speak for; without segments nobody can be told apart."""
    from cxlib.measure import respondents

    context, store = inputs.context, inputs.store()
    period, zone = Period.parse(context.period), context.workspace.timezone
    answered = respondents.respondents(
        metric, store.tables, period, segments, timezone=zone, touchpoints=context.touchpoints
    )
    whole = store.run(respondents.population(store.tables, period, segments, timezone=zone)) if segments else None
    return store.run(answered), whole


def _silence(
    inputs: Inputs, metric: Metric, segments: Sequence[Segment], found: pd.DataFrame, against: Period
) -> pd.DataFrame:
    """Return who answers, and what those who did not would have to say; nothing without invitations."""
    from cxlib.measure import respondents, response
    from cxlib.measure.plans import Undefined

    context, store = inputs.context, inputs.store()
    period, least = Period.parse(context.period), context.least(metric)
    try:
        plan = respondents.invited(
            store.tables, period, segments, timezone=context.workspace.timezone, kept=_kept(metric),
            touchpoints=context.touchpoints,
        )  # fmt: skip
    except Undefined:
        return results.empty()
    cells = store.run(plan)
    if cells.empty:
        return results.empty()
    asked = response.who_answers(
        cells, [segment.id for segment in segments], confidence=context.workspace.confidence, min_n=least,
        period=period.label,
    )  # fmt: skip
    asked = results.label(asked, against=asked["against"].where(asked["against"] != "", _ASKED.format(metric.id)))
    return results.concat([asked, *_tipping(inputs, metric, found, asked, against)])


def _tipping(
    inputs: Inputs, metric: Metric, found: pd.DataFrame, asked: pd.DataFrame, against: Period
) -> list[pd.DataFrame]:
    """Return what those who did not answer would have to score to turn the target, or the change, round."""
    from cxlib.measure import response

    scale = scale_of(metric)
    here = (found["at"] == "unweighted") & (found["comparison"] == "level") & (found["status"] == results.OK)
    whole = (asked["segment"] == "all") & (asked["comparison"] == "level") & (asked["status"] == results.OK)
    if scale is None or not here.any() or not whole.any() or not 0 < asked.loc[whole, "estimate"].iloc[0] < 1:
        return []
    now, rate = found[here].iloc[0], float(asked.loc[whole, "estimate"].iloc[0])
    held = {} if metric.target is None else {"target": metric.target}
    other = _level(inputs, metric, against)
    held |= {} if other is None else {against.label: other}
    return [
        response.tipping_point(
            float(now["estimate"]), rate, value, scale=scale, conf=(float(now["conf_low"]), float(now["conf_high"])),
            name=name, metric=metric.id, period=now["period"], definition=now["definition"],
        ).assign(n=float(now["n"]))
        for name, value in held.items()
    ]  # fmt: skip


def _level(inputs: Inputs, metric: Metric, period: Period) -> float | None:
    """Return what the metric was in another period; None where it may not be shown."""
    from cxlib.measure import estimates

    moments = inputs.moments(metric, (), [period])
    if isinstance(moments, str):
        return None
    found = estimates.from_moments(metric, moments.dropna(subset=["rows"]), min_n=inputs.context.least(metric))
    return float(found["estimate"].iloc[0]) if len(found) and found["status"].iloc[0] == results.OK else None


def scale_of(metric: Metric) -> tuple[float, float] | None:
    """Return the lowest and highest that a metric of answers can be; None where it cannot be told."""
    if metric.kind in ("nps", "share"):
        return (-100.0, 100.0) if metric.kind == "nps" else (0.0, 1.0)
    asked = [name for name in INSTRUMENTS if f"'{name}'" in metric.filter]
    if metric.kind != "mean" or metric.numerator != "score" or len(asked) != 1:
        return None
    low, high = INSTRUMENTS[asked[0]]
    return low * metric.scale, high * metric.scale


def _kept(metric: Metric) -> str:
    """Return the metric's filter where invitations can be held to it, too."""
    names = parse(metric.filter or "true").columns
    return metric.filter if names <= {column.name for column in TABLES["invitations"].columns} else ""
