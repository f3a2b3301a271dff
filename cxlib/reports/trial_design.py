"""An experiment before it starts: how many units, how many weeks, and what it will not show, from the past."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure import estimates
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric
from cxlib.periods import midnight
from cxlib.reports import trial_effects
from cxlib.reports.tried import Tried

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.measure.exposed import Trial
    from cxlib.measure.moments import Moments

LEAST_WEEKS = 8  # of traffic that is looked back at; else as many as the experiment is to take
WEEKS = (1, 2, 3, 4, 6, 8, 10, 13, 17, 21, 26)  # for which it is told what could be seen
STEPS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # effects for which the power is told, times the one that matters


def planned(tried: Tried) -> pd.DataFrame:
    """Return the plan of an experiment in numbers; see `Run.design`."""

    def make() -> pd.DataFrame:
        return results.concat(_rows(Past(tried)))

    return tried.answer("design", tried.key(), make)


def share_known(tried: Tried, metric: Metric) -> float:
    """Return of what share of those who would have been exposed before the start a metric is known.

    Raises `Undefined` where the past does not tell.
    """
    return Past(tried).moments(metric)[1]


class Past:
    """An experiment that was not there: whoever would have been exposed in the time before the start, in one arm."""

    def __init__(self, tried: Tried) -> None:
        self.tried = tried
        self.plan = tried.plan
        if self.plan.traffic.table not in tried.inputs.store().tables:
            raise Undefined(f"this workspace has no table '{self.plan.traffic.table}' to tell the traffic")

    @cached_property
    def until(self) -> dt.datetime:
        """The start, or the end of the run's period where that is earlier."""
        return min(self.tried.moment(self.plan.start), self.tried.seen_until)

    @cached_property
    def tables(self) -> dict[str, ir.Table]:
        """The workspace's tables, with exposures as they would have been."""
        from cxlib.measure.exposed_past import pretended

        about, traffic = self.tried.inputs.context, self.plan.traffic
        tables = dict(self.tried.inputs.store().tables)
        exposures = pretended(
            tables, traffic.table, traffic.when, experiment=self.plan.id, variant=self.plan.arms[0],
            touchpoints=about.touchpoints,
        )  # fmt: skip
        return tables | {"exposures": exposures}

    def trial(self, days: int, *, before: int = 0) -> Trial:
        """Return a trial of so many days that ends when the real one starts."""
        from cxlib.measure.exposed import Trial

        plan, until = self.plan, self.until
        first = until - dt.timedelta(days=days + plan.window_days)
        last = until - dt.timedelta(days=plan.window_days) if plan.window_days else until
        return Trial(plan.id, plan.arms, first, last, until, plan.window_days, before)

    @cached_property
    def days(self) -> int:
        """How long units are exposed by the plan."""
        start, stop = (dt.date.fromisoformat(day) for day in (self.plan.start, self.plan.stop))
        return (stop - start).days + 1

    def moments(self, metric: Metric) -> tuple[Moments, float]:
        """Return the moments of a metric over pretended units, and the share of these that have it."""
        from cxlib.measure import exposed

        store, trial = self.tried.inputs.store(), self.trial(self.days, before=self.plan.days_before)
        words = f"past {trial!r} {self.plan.traffic.model_dump_json()} {metric.model_dump_json()}"
        found = self.tried.inputs.once(
            words,
            lambda: store.run(
                exposed.moments(
                    metric, self.tables, trial, timezone=self.tried.zone,
                    touchpoints=self.tried.inputs.context.touchpoints,
                )
            ),
        )  # fmt: skip
        row = found[found["arm"] == self.plan.arms[0]]
        units = float(row["units"].iloc[0])
        if units < max(self.tried.inputs.context.least(metric), 2):
            raise Undefined(f"before the start nearly nobody would have been exposed ({units:,.0f})")
        moments, known = exposed.to_moments(row)[0], float(row["clusters"].iloc[0])
        if known < max(self.tried.inputs.context.least(metric), 2):
            raise Undefined(f"before the start too few of those who would have been exposed have {metric.title}")
        if not (moments.variance > 0).all():
            raise Undefined(f"{metric.title} did not vary before the start: there is nothing to size by")
        return moments, known / units

    def daily(self) -> pd.DataFrame:
        """Return how many units would have come first on each day of as long a time before the start."""
        from cxlib.measure import exposed

        trial = self.trial(7 * max(LEAST_WEEKS, round(self.days / 7)))
        found = self.tried.inputs.store().run(exposed.daily(self.tables, trial, timezone=self.tried.zone))
        first, last = (_day(moment, self.tried.zone) for moment in (trial.first, trial.last))
        days = pd.date_range(first, last, inclusive="left")
        counts = pd.Series(found["units"].to_numpy(), index=pd.to_datetime(found["day"]))
        return pd.DataFrame({"day": days, "units": counts.reindex(days, fill_value=0).to_numpy()})


def _day(moment: dt.datetime, zone: str) -> dt.date:
    """Return the local day that begins at, or holds, a moment."""
    day = moment.date()
    return day + dt.timedelta(days=1) if midnight(day + dt.timedelta(days=1), zone) <= moment else day


def _rows(past: Past) -> list[pd.DataFrame]:
    """Return the rows of the page: the plan, what each length could see, and the power of each effect."""
    from cxlib.analysis import experiments

    tried, plan = past.tried, past.plan
    metric = _measurable(tried.metrics[plan.primary_metric])
    moments, part = past.moments(metric)
    terms = _terms(tried)
    primary = experiments.Planned(
        metric.id, "ratio", _own(metric, plan.smallest_effect_that_matters), {"past": moments, **terms}, part
    )
    daily, arms = past.daily(), len(plan.arms)
    guardrails = [found for name in plan.guardrails if (found := _guardrail(past, tried.metrics[name])) is not None]
    page = experiments.plan(
        primary, daily, guardrails=guardrails, arms=arms, window=plan.window_days, looks=len(plan.looks) + 1,
        weeks=max(round(past.days / 7), 1), past=moments if plan.days_before else None, power=plan.power,
        confidence=trial_effects.confidence_of(tried), arrivals="first seen",
    )  # fmt: skip
    more: dict[str, Any] = {**terms, "comparisons": max(arms - 1, 1)}
    seen = experiments.detectable(
        daily, lambda n: experiments.smallest_effect_ratio(n, moments, power=plan.power, **more), weeks=WEEKS,
        arms=arms, ratio=terms["ratio"], response_rate=part, arrivals="first seen",
        confidence=trial_effects.confidence_of(tried),
    )  # fmt: skip
    curve = _curve(page, metric, plan.smallest_effect_that_matters, moments, more)
    return [*_in_units(tried, page, guardrails), _scaled(metric, seen), curve, _words(tried, page, metric)]


def _terms(tried: Tried) -> dict[str, Any]:
    """Return alpha, and units of a treatment for one of the control."""
    control, *others = tried.plan.variants.values()
    return {"alpha": tried.plan.alpha, "ratio": float(np.mean(others)) / control}


def _measurable(metric: Metric) -> Metric:
    if metric.kind == "quantile":
        raise Undefined(f"{metric.title} is a quantile: no formula says how many units it needs")
    return metric


def _own(metric: Metric, value: float) -> float:
    """Return an effect as a difference of ratios of sums."""
    return value / trial_effects.unit_of(metric)


def _guardrail(past: Past, metric: Metric) -> Any:
    """Return a guardrail as it is planned: no harm is expected, harm of its margin is to be ruled out."""
    from cxlib.analysis import experiments

    margin = trial_effects.margin_of(past.tried, metric)
    if metric.kind == "quantile" or margin is None or metric.higher_is_better is None:
        return None
    try:
        moments, part = past.moments(metric)
    except Undefined:
        return None
    side = "greater" if metric.higher_is_better else "less"
    assumed = {"past": moments, "margin": _own(metric, margin), "alternative": side, **_terms(past.tried)}
    return experiments.Planned(metric.id, "ratio", 0.0, assumed, part)


def _in_units(tried: Tried, page: pd.DataFrame, guardrails: Sequence[Any]) -> list[pd.DataFrame]:
    """Return the plan's rows with effects in the unit of their metric, and each guardrail that could not be planned."""
    mine = page["metric"] == "smallest_effect"
    metric = tried.metrics[tried.plan.primary_metric]
    known = {one.metric for one in guardrails}
    lost = [name for name in tried.plan.guardrails if name not in known]
    rest = results.frame(
        metric="power", segment=np.array(lost, dtype=object), status=results.UNDEFINED,
        note="its margin, its direction or its past is not known",
    )  # fmt: skip
    weeks = page["metric"] == "units"  # their n counts weeks of traffic, which nobody has to be protected from
    page = page.assign(n=page["n"].mask(weeks))
    return [results.conform(page[~mine]), _scaled(metric, results.conform(page[mine])), rest]


def _scaled(metric: Metric, rows: pd.DataFrame) -> pd.DataFrame:
    return results.conform(estimates.scaled(rows, trial_effects.unit_of(metric)))


def _curve(page: pd.DataFrame, metric: Metric, matters: float, moments: Moments, more: dict[str, Any]) -> pd.DataFrame:
    """Return the power for effects smaller and larger than the one that matters, with the units that will have come."""
    from cxlib.analysis import experiments

    power = page[(page["metric"] == "power") & (page["segment"] == metric.id) & (page["status"] == results.OK)]
    if power.empty:
        return results.empty()
    n = float(power["n"].iloc[0])
    rows = [experiments.power_ratio(n, moments, _own(metric, matters * step), **more) for step in STEPS]
    found = results.concat(rows)
    return results.label(found, segment="effect", at=[f"{matters * step:g}" for step in STEPS])


def _words(tried: Tried, page: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return the sentence that opens the page, as the note of a row."""
    from cxlib.analysis.experiments.amounts import amount

    size = page[(page["metric"] == "sample_size") & (page["segment"] == metric.id)]
    weeks = page[page["metric"] == "duration"]
    power = page[(page["metric"] == "power") & (page["segment"] == metric.id)]
    parts = []
    if (size["status"] == results.OK).any():
        parts.append(f"{float(size['n'].max()):,.0f} customers with an answer or event in each group")
    if len(weeks) and weeks["status"].iloc[0] == results.OK:
        parts.append(f"{float(weeks['estimate'].iloc[0]):.0f} weeks")
    told = f"To see {amount(tried.plan.smallest_effect_that_matters, metric.unit)} of {metric.title} it takes "
    told = told + " and ".join(parts) if parts else f"Whether {metric.title} can be tested cannot be told from the past"
    if len(power) and power["status"].iloc[0] == results.OK:
        told += f"; as planned it would be seen in {100 * float(power['estimate'].iloc[0]):.0f} of 100 experiments"
    return results.frame(metric="plan", comparison="test", note=f"{told}.", n=np.nan, estimate=np.nan)
