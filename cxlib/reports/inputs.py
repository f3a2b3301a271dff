"""The aggregated inputs of a notebook: brought from the store once, small cells hidden, frozen, and replayed for ever.

A frozen file is read with no store, no `params/` and no other file: what a page may show is what lies in its folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cxlib.errors import RunError
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.reports import disclosure, places
from cxlib.reports.context import Context

if TYPE_CHECKING:
    from cxlib.data.store import Store

CONTEXT = "context.json"


@dataclass(frozen=True)
class Frozen:
    """The folder `inputs/<notebook>/` of a run; without a run folder (exploring in JupyterLab) nothing is kept.

    A run folder that holds a `run.json` is published: it is read and never written to.
    """

    run_folder: Path | None
    notebook: str

    @property
    def folder(self) -> Path | None:
        """Where this notebook's inputs lie."""
        return self.run_folder / "inputs" / self.notebook if self.run_folder else None

    @property
    def published(self) -> bool:
        """Say whether the run folder is a published one."""
        return self.run_folder is not None and (self.run_folder / places.MANIFEST).is_file()

    @property
    def recording(self) -> bool:
        """Say whether what the notebook makes is written into the run folder."""
        return self.run_folder is not None and not self.published

    def context(self) -> Context | None:
        """Return the frozen context, None where there is none."""
        path = self.folder / CONTEXT if self.folder else None
        return Context.model_validate_json(path.read_bytes()) if path and path.is_file() else None

    def keep_context(self, context: Context) -> None:
        """Freeze the context."""
        if self.recording and self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / CONTEXT).write_text(context.model_dump_json(indent=1), encoding="utf-8")

    def read(self, key: str) -> pd.DataFrame | str | None:
        """Return frozen moments, or the reason why a metric is undefined, or None where nothing is frozen."""
        if self.folder is None:
            return None
        moments, reason = self.folder / f"{key}.parquet", self.folder / f"{key}.json"
        if moments.is_file():
            return pd.read_parquet(moments)
        return str(json.loads(reason.read_text(encoding="utf-8"))["undefined"]) if reason.is_file() else None

    def keep(self, key: str, found: pd.DataFrame | str, metric: str) -> None:
        """Freeze moments that are masked already, or the reason why there are none."""
        if not (self.recording and self.folder):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(found, str):
            text = json.dumps({"metric": metric, "undefined": found}, ensure_ascii=False)
            (self.folder / f"{key}.json").write_text(text + "\n", encoding="utf-8")
        else:
            found.assign(metric=metric).to_parquet(self.folder / f"{key}.parquet", index=False)


@dataclass
class Inputs:
    """Moments by metric, segments and periods: replayed where frozen, else brought from the store."""

    context: Context
    frozen: Frozen
    open: Callable[[], Store]
    _store: Store | None = field(default=None, repr=False)

    def moments(self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period]) -> pd.DataFrame | str:
        """Return masked moments, or the reason why the workspace cannot give them.

        Parameters
        ----------
        metric
            The definition.
        segments
            None for the whole, or the dimensions to cut by.
        periods
            The periods, in any order.

        Returns
        -------
        pandas.DataFrame or str
            The columns of `measure.plans.plan`; hidden cells have labels and nothing else.

        Raises
        ------
        RunError
            Where a published run is asked for what it did not freeze.
        """
        key = self.key(metric, segments, periods)
        found = self.frozen.read(key)
        if found is None and self.frozen.published:
            raise RunError(
                f"the published run does not hold {metric.id} by {_words(segments)} for these periods",
                hint="Run the pack again, or explore in JupyterLab with cx lab.",
            )
        if found is None:
            found = self._bring(metric, segments, periods)
            self.frozen.keep(key, found, metric.id)
        return found if isinstance(found, str) else found.drop(columns="metric", errors="ignore")

    def store(self) -> Store:
        """Return the open store; `RunError` in a published run, which holds aggregates only."""
        if self.frozen.published:
            raise RunError("a published run holds no tables", hint="Explore in JupyterLab with cx lab.")
        if self._store is None:
            self._store = self.open()
        return self._store

    def key(self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period]) -> str:
        """Return the file name of one request: readable, and different for different definitions."""
        labels = [period.label for period in sorted(periods)]
        parts = [self.context.definition_of(metric), *labels, *(s.model_dump_json() for s in segments)]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
        return f"{metric.id}.{'-'.join(s.id for s in segments) or 'all'}.{labels[-1]}.{digest}"

    def _bring(self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period]) -> pd.DataFrame | str:
        """Run the plan in the store and hide small cells, before anything else sees them."""
        from cxlib.measure import plans

        store = self.store()
        try:
            plan = plans.plan(
                metric,
                store.tables,
                periods,
                timezone=self.context.workspace.timezone,
                segments=segments,
                touchpoints=self.context.touchpoints,
            )
        except plans.Undefined as reason:
            return str(reason)
        return disclosure.mask(store.run(plan), self.context.least(metric))


def _words(segments: Sequence[Segment]) -> str:
    return " and ".join(segment.id for segment in segments) or "the whole"
