"""What every question to a run needs: the metrics, segments and periods that are meant by a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cxlib.errors import UsageError, did_you_mean
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.reports.against import compared
from cxlib.reports.context import Context
from cxlib.reports.inputs import Inputs


class Named:
    """What questions share; `Run` says what the attributes are."""

    context: Context
    period: Period
    metrics: Mapping[str, Metric]
    _inputs: Inputs
    _seen: dict[str, tuple[float, float]]

    @property
    def titles(self) -> Mapping[str, str]:
        """Metric id -> its title, for charts that name an outcome."""
        return {name: metric.title for name, metric in self.metrics.items()}

    @property
    def places(self) -> Mapping[str, str]:
        """Touchpoint id -> its title, for charts that name touchpoints."""
        return {name: point.title for name, point in self.context.touchpoints.items()}

    @property
    def lead(self) -> str:
        """The id of the metric that the report leads with: of those measured so far, the pack's first with any rows."""
        names = self.context.report.metrics
        return next((name for name in names if self._seen.get(name, (0.0, 0.0))[0] > 0), names[0])

    def _metric(self, metric: str | Metric | None) -> Metric:
        """Return a metric by its id; the lead metric for None."""
        if isinstance(metric, Metric):
            return metric
        found: Metric = self._known(metric or self.lead, self.metrics, "metric")
        return found

    def _segment(self, name: str) -> Segment:
        """Return a segment by its id."""
        found: Segment = self._known(name, self.context.segments, "segment")
        return found

    def _against(self, name: str) -> Period:
        """Return the one period that a comparison names."""
        if not isinstance(name, str) or not name:
            raise UsageError(f"no period is called {name!r}", hint="Name one, as in against='year_ago' or '2025-10'.")
        others, target = compared(self.period, [name])
        if target:
            raise UsageError("a target has no answers to compare", hint="Name a period, as in against='year_ago'.")
        return others[0]

    @staticmethod
    def _known(name: Any, known: Mapping[str, Any], what: str) -> Any:
        if not isinstance(name, str):
            raise UsageError(f"a {what} is named by a text, not by {name!r}")
        if name not in known:
            raise UsageError(
                f"no {what} is called '{name}'{did_you_mean(name, known)}", hint=f"There are {', '.join(known)}."
            )
        return known[name]


def listed(names: Sequence[str] | str) -> list[str]:
    """Return names as a list, also where one was given by itself; each once."""
    if not isinstance(names, str | Sequence) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{names!r} is no name and no list of names")
    return list(dict.fromkeys([names] if isinstance(names, str) else names)) if names else []
