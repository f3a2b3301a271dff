"""A run in the making, as the runner and the pages share it. Light: no pandas, so that kernels start first."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cxlib import params as parameters_of
from cxlib.params.models import Metric, Params, Report
from cxlib.periods import Period
from cxlib.reports import page, provenance
from cxlib.reports.parameters import Value

RESULTS = "results.parquet"
AGAIN = "again"  # the state of a run that is made again with more hidden
KEPT = "data/kept"  # sums that were brought once, below the workspace


def moment(text: str) -> str:
    """Return an ISO time as people read it, to the minute."""
    return text[:16].replace("T", " ")


@dataclass(frozen=True)
class Done:
    """An executed notebook: its seconds, what stopped it ('' for nothing), how often it was tried, its cells."""

    name: str
    seconds: float
    error: str = ""
    tries: int = 1
    cells: int = 0


@dataclass
class Build:
    """A run in the making: what was asked, from what it is made, and what has been executed so far."""

    root: Path
    params: Params
    report: Report
    period: Period
    snapshot: dict[str, Any]
    folder: Path
    notebooks: dict[str, Any]
    given: dict[str, Any]
    experiment: str = ""  # the one that the report is about; '' for a report of a period
    resolved: dict[str, dict[str, Value]] = field(default_factory=dict)
    executed: dict[str, Done] = field(default_factory=dict)
    withheld: tuple[tuple[str, str, str, str], ...] = ()  # cells that are hidden in any case (`withheld.Cell`)
    repairs: int = 0  # how often it was made again with more hidden
    alone: bool = False  # whether it is looked at without the reports that stand: what stands is made once more
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    started: float = field(default_factory=time.perf_counter)

    @property
    def name(self) -> tuple[str, str]:
        """The pack, and the period or experiment: where the report stands."""
        return self.report.id, self.experiment or self.period.label

    def begin(self) -> None:
        """Count its time from now: of many reports most wait for their turn."""
        self.started_at, self.started = datetime.now(UTC).replace(microsecond=0), time.perf_counter()

    @property
    def about(self) -> str:
        """What the report is about, for its titles: the period, or the experiment."""
        return self.params.experiments[self.experiment].title if self.experiment else self.period.title

    def notebook_hashes(self) -> dict[str, str]:
        """Return notebook name -> hash of its cells as they stand in the workspace."""
        return {name: provenance.notebook_hash(notebook) for name, notebook in self.notebooks.items()}

    def definitions(self) -> dict[str, str]:
        """Return metric id -> hash of its definition; with the plan's own where the report is about an experiment."""
        found = {name: parameters_of.definition_hash(metric) for name, metric in self.params.metrics.items()}
        if self.experiment:
            plan = self.params.experiments[self.experiment].model_dump_json()
            found[f"experiments/{self.experiment}"] = provenance.digest(plan.encode())[:12]
        return found

    def metrics(self) -> dict[str, Metric]:
        """Return the pack's metrics, in the order of its YAML."""
        return {name: self.params.metrics[name] for name in self.report.metrics}

    def shell(self) -> page.Shell:
        """Return what the pages of this run share."""
        pages = {f"{name}.html": page.first_heading(notebook, name) for name, notebook in self.notebooks.items()}
        data = f"Snapshot {self.snapshot['id']} of {moment(self.snapshot['created_at'])}"
        line = f"{data} · made {self.started_at:%Y-%m-%d %H:%M} UTC"
        space = self.params.workspace
        return page.Shell(space.company, self.report.title, self.about, {"index.html": "Overview"} | pages, line)
