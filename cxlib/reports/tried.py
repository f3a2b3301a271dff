"""What a registered experiment is read from: the engine's sums and units of each outcome, brought once a run.

The units name customers. They live while an answer is made of them; what is frozen is the answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Experiment, Metric, Segment
from cxlib.periods import midnight
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    from cxlib.measure.exposed import Trial
    from cxlib.measure.moments import Moments


@dataclass(frozen=True)
class Tried:
    """One experiment as it can be read at the end of the run's period, or at an earlier moment (naive UTC)."""

    inputs: Inputs
    plan: Experiment
    look: dt.datetime | None = None

    @property
    def control(self) -> str:
        """The arm that nothing was done to."""
        return self.plan.arms[0]

    @property
    def treatments(self) -> tuple[str, ...]:
        """The other arms."""
        return self.plan.arms[1:]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metric id -> definition."""
        return self.inputs.context.metrics

    @property
    def zone(self) -> str:
        """The reporting timezone."""
        return self.inputs.context.workspace.timezone

    def moment(self, day: str) -> dt.datetime:
        """Return the beginning of a local day as naive UTC."""
        return midnight(dt.date.fromisoformat(day), self.zone)

    @cached_property
    def seen_until(self) -> dt.datetime:
        """The end of the run's period, or the look before it: nothing later is looked at."""
        end = bring.own(self.inputs).bounds(self.zone)[1]
        return end if self.look is None else min(self.look, end)

    @cached_property
    def ends(self) -> dt.datetime:
        """When the last outcome that counts is known: the end of the last day, and of the window after it."""
        stop = dt.date.fromisoformat(self.plan.stop) + dt.timedelta(days=1 + self.plan.window_days)
        return midnight(stop, self.zone)

    @property
    def over(self) -> bool:
        """Whether all outcomes that count can be known."""
        return self.ends <= self.seen_until

    @property
    def begun(self) -> bool:
        """Whether anybody can have been exposed."""
        return self.moment(self.plan.start) < self.seen_until

    @cached_property
    def trial(self) -> Trial:
        """What the engine must know."""
        from cxlib.measure.exposed import Trial

        plan = self.plan
        if plan.unit != bring.CUSTOMER:
            raise Undefined(f"its units are drawn by {plan.unit}: only experiments that draw customers can be read yet")
        if not self.begun:
            raise Undefined(f"it starts on {plan.start}, after the end of {self.inputs.context.period}")
        first = self.moment(plan.start)
        last = midnight(dt.date.fromisoformat(plan.stop) + dt.timedelta(days=1), self.zone)
        until = min(self.seen_until, self.ends)
        return Trial(plan.id, plan.arms, first, last, until, plan.window_days, plan.days_before)

    def leads(self, metric: Metric) -> bool:
        """Say whether a metric is the one that decides and may be read before the end, at looks or at any time.

        A quantile has no limits that hold at several looks: it is read once, at the end.
        """
        several = self.plan.any_time or bool(self.plan.looks)
        return several and metric.id == self.plan.primary_metric and metric.kind != "quantile"

    def looked(self) -> list[Tried]:
        """Return the experiment at each registered look that has been, and as it is now once it is over."""
        days = [self.moment(day) + dt.timedelta(days=1) for day in sorted(self.plan.looks)]
        been = [Tried(self.inputs, self.plan, day) for day in days if day <= self.seen_until and day < self.ends]
        return [*been, self] if self.over else been

    def sums(self, metric: Metric, segments: Sequence[Segment] = ()) -> pd.DataFrame:
        """Return the moments of a metric by arm and level; see `measure.exposed.moments`. Not frozen."""
        from cxlib.measure import exposed

        return self._once("sums", exposed.moments, metric, segments)

    def moments(self, metric: Metric) -> dict[str, Moments]:
        """Return the moments of a metric by arm, of scalars."""
        from cxlib.measure import exposed

        found = self.sums(metric)
        whole = exposed.to_moments(found)
        return {str(arm): whole[place] for place, arm in enumerate(found["arm"])}

    def units(self, metric: Metric, segments: Sequence[Segment] = ()) -> pd.DataFrame:
        """Return one row per exposed unit; see `measure.exposed.units`."""
        from cxlib.measure import exposed

        return self._once("units", exposed.units, metric, segments)

    def values(self, metric: Metric) -> pd.DataFrame:
        """Return the counts of a quantile's values by arm; see `measure.exposed.values`."""
        from cxlib.measure import exposed

        return self._once("values", exposed.values, metric, ())

    def each_value(self, metric: Metric) -> pd.DataFrame:
        """Return a quantile's values with their customers; see `measure.exposed.each_value`."""
        from cxlib.measure import exposed

        return self._once("each value", exposed.each_value, metric, ())

    def check_exposed(self) -> None:
        """Raise `Undefined` where nobody was exposed."""
        if self.exposures().empty:
            raise Undefined(f"nobody was exposed to {self.plan.title}")

    def exposures(self) -> pd.DataFrame:
        """Return who was exposed, one row per customer; see `measure.exposed.exposures`."""
        from cxlib.measure import exposed

        store, key = self.inputs.store(), f"exposures {self.trial!r}"
        return self.inputs.once(key, lambda: store.run(exposed.exposures(store.tables, self.trial, timezone=self.zone)))

    def daily(self) -> pd.DataFrame:
        """Return how many were exposed by day and arm; see `measure.exposed.daily`."""
        from cxlib.measure import exposed

        store, key = self.inputs.store(), f"daily {self.trial!r}"
        return self.inputs.once(key, lambda: store.run(exposed.daily(store.tables, self.trial, timezone=self.zone)))

    def key(self, *metrics: str) -> list[str]:
        """Return all that makes another answer beside the words of the question."""
        about = self.inputs.context
        named = metrics or self.plan.outcomes
        definitions = [about.definition_of(about.metrics[name]) for name in named]
        cuts = dict.fromkeys((*self.plan.segments, *self.plan.covariates.segments))
        segments = [about.segments[name].model_dump_json() for name in cuts]
        return [self.plan.model_dump_json(), *definitions, *segments, *bring.limits(self.inputs)]

    def answer(self, name: str, parts: Sequence[str], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return an answer, frozen where it was made before; rows of fewer than may be shown are suppressed."""

        def safe() -> pd.DataFrame:
            found, about = make(), self.inputs.context
            least = dict.fromkeys(found["metric"].unique(), about.workspace.min_n)
            least |= {name: about.least(metric) for name, metric in about.metrics.items() if name in least}
            return results.suppress(found, least)

        return self.inputs.answer(name, parts, safe)

    def _once(self, what: str, plan: Any, metric: Metric, segments: Sequence[Segment]) -> pd.DataFrame:
        """Run one of the engine's plans, or take what it brought before."""
        about, store = self.inputs.context, self.inputs.store()
        words = [what, repr(self.trial), metric.model_dump_json(), *(s.model_dump_json() for s in segments)]
        return self.inputs.once(
            " ".join(words),
            lambda: store.run(
                plan(
                    metric, store.tables, self.trial, timezone=self.zone, segments=segments,
                    touchpoints=about.touchpoints,
                )
            ),
        )  # fmt: skip
