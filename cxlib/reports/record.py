"""The run as a notebook holds it: what it is about, its numbers by name, its checks, and what it leaves behind.

One object for three lives: exploring (nothing is written), recording (inputs, figures and results go into the run
folder) and replaying (a published run folder is read, nothing else is touched).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib import params as parameters
from cxlib import results
from cxlib.errors import UsageError, did_you_mean
from cxlib.params.models import Metric, Segment, Touchpoint
from cxlib.periods import Period
from cxlib.reports import boxes
from cxlib.reports.boxes import Shown
from cxlib.reports.context import Context, gather, open_store
from cxlib.reports.execute import WORKSPACE
from cxlib.reports.inputs import Frozen, Inputs
from cxlib.reports.levels import COMPARE, measured

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.data.store import Store
    from cxlib.show.charts import Chart


AS_OF = "CX_AS_OF"


def open_run(
    period: str = "last", *, as_of: str = "", pack: str = "monthly", run_folder: str = "", notebook: str = ""
) -> Run:
    """Open a run and show what it is about.

    Parameters
    ----------
    period
        `2026-10`, `2026-Q3`, `2026-W40`, or `last`: the last complete period of the data.
    as_of
        A snapshot: its id, the beginning of it, or a day as 2026-10-31; '' for the one that `cx lab --as-of` names,
        else the newest.
    pack
        A pack of `params/reports/`; its metrics are the default of `Run.measure`.
    run_folder
        Where a run is recorded or replayed; '' while exploring: then nothing is written.
    notebook
        The notebook's own name, `01_scorecard`; needed with a run folder.

    Returns
    -------
    Run

    Raises
    ------
    UsageError, ParamsError, StoreError
        For an unknown pack or period, faults in `params/`, or a store that is empty or lacks the snapshot.
    """
    if run_folder and not notebook:
        raise UsageError("open_run got a run_folder but no notebook name", hint='Add notebook="01_scorecard".')
    frozen = Frozen(Path(run_folder) if run_folder else None, notebook)
    context, opened = frozen.context(), None
    if context is None:
        root = _workspace()
        params = parameters.load(root)
        opened = open_store(root, params, as_of or os.environ.get(AS_OF, ""))
        context = gather(params, pack, period, opened)
        frozen.keep_context(context)

    def reopen() -> Store:
        if opened is not None:
            return opened
        root = _workspace()
        return open_store(root, parameters.load(root), context.snapshot)

    from cxlib.show import formats

    formats.use(context.currency, context.workspace.locale)
    run = Run(context, Inputs(context, frozen, reopen))
    boxes.display(run._repr_html_(), str(run))
    return run


def _workspace() -> Path:
    """Return the workspace that a run was started for, or else the one around the working directory."""
    named = os.environ.get(WORKSPACE)
    return parameters.find_workspace(Path(named) if named else None)


class Run:
    """An open run. Made by `open_run`.

    Attributes
    ----------
    period
        The period it is about.
    metrics
        Metric id -> definition, as frozen with the run; the pack's own first, in its order.
    touchpoints
        The taxonomy, likewise.
    """

    def __init__(self, context: Context, inputs: Inputs) -> None:
        self.context = context
        self.period = Period.parse(context.period)
        described = context.described
        self.metrics: Mapping[str, Metric] = {name: described[name] for name in context.report.metrics} | described
        self.touchpoints: Mapping[str, Touchpoint] = context.touchpoints
        self._inputs = inputs
        self._seen: dict[str, tuple[float, float]] = {}  # metric -> rows, missing rows of the period

    @property
    def lead(self) -> str:
        """The id of the metric that the report leads with: of those measured so far, the pack's first with any rows."""
        names = self.context.report.metrics
        return next((name for name in names if self._seen.get(name, (0.0, 0.0))[0] > 0), names[0])

    def measure(
        self,
        metrics: Sequence[str | Metric] | str | Metric | None = None,
        by: str | Sequence[str] = "all",
        periods: int = 1,
        compare: Sequence[str] | str = (),
    ) -> pd.DataFrame:
        """Return estimates and differences of named metrics.

        Parameters
        ----------
        metrics
            Metric ids, or definitions that are being tried out; None for the pack's own.
        by
            `all`, a segment, or two segments at once.
        periods
            How many, the run's own the last of them.
        compare
            Any of `previous`, `year_ago`, `target`: differences of the run's own period.

        Returns
        -------
        pandas.DataFrame
            A result frame: a `level` row per metric, period and level, then the `difference` rows. Cells that are too
            small are `suppressed`, what the workspace cannot give is `undefined` with a note.

        Raises
        ------
        UsageError
            For an unknown metric, segment or comparison.
        """
        given = [metrics] if isinstance(metrics, str | Metric) else list(metrics or self.context.report.metrics)
        wanted = [one if isinstance(one, Metric) else self._known(one, self.metrics, "metric") for one in given]
        cuts = [] if by == "all" else [by] if isinstance(by, str) else list(by)
        segments = [self._known(name, self.context.segments, "segment") for name in cuts]
        against = [compare] if isinstance(compare, str) else list(compare)
        for name in against:
            self._known(name, COMPARE, "comparison")
        if periods < 1:
            raise UsageError(f"periods is {periods}; it counts periods, from 1")
        from cxlib.measure import changes

        parts = [self._one(metric, segments, self.period.last(periods), against) for metric in wanted]
        level = self.context.workspace.confidence
        return changes.judge(results.concat(parts), wanted, alpha=1 - level, confidence=level)

    def _one(
        self, metric: Metric, segments: Sequence[Segment], shown: Sequence[Period], against: Sequence[str]
    ) -> pd.DataFrame:
        """Return the rows of one metric; `measure` says the rest."""
        others = [COMPARE[name](self.period) for name in against if name != "target"]
        moments = self._inputs.moments(metric, segments, sorted({*shown, *others}))
        self._remember(metric, moments)
        return measured(
            metric,
            moments,
            shown,
            others,
            target="target" in against,
            confidence=self.context.workspace.confidence,
            min_n=self.context.least(metric),
            segment=" x ".join(segment.id for segment in segments) or "all",
            definition=self.context.definition_of(metric),
        )

    @staticmethod
    def _known(name: str, known: Mapping[str, Any], what: str) -> Any:
        if name not in known:
            raise UsageError(
                f"no {what} is called '{name}'{did_you_mean(name, known)}", hint=f"There are {', '.join(known)}."
            )
        return known[name]

    def _remember(self, metric: Metric, moments: pd.DataFrame | str) -> None:
        """Keep the row counts of the run's own period for `check`; the first request of a metric counts."""
        if isinstance(moments, str) or metric.id in self._seen:
            return
        own = moments.loc[moments["period"] == self.period.label]
        missing = own.drop_duplicates("level")["missing"] if metric.kind == "quantile" else own["missing"]
        self._seen[metric.id] = (float(own["rows"].sum()), float(missing.sum()))

    @property
    def tables(self) -> Mapping[str, ir.Table]:
        """The contract's tables of the pinned snapshot as lazy Ibis tables, for exploring; a published run has none."""
        return self._inputs.store().tables

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        """Compute an Ibis expression over `tables` and return it as a pandas frame."""
        return self._inputs.store().run(expression)

    def freshness(self) -> pd.DataFrame:
        """Return one row per table: `table`, `rows`, `newest` (UTC), `warning`."""
        return pd.DataFrame([item.model_dump() for item in self.context.freshness])

    def check(self) -> Shown:
        """Check rows, missing share and freshness against the limits of `workspace.yml`.

        What was measured so far is checked; before anything was, the pack's own metrics are.

        Returns
        -------
        Shown
            Its `frame` has the columns `check`, `what`, `found`, `limit`, `state` (`ok` or `look`).
        """
        for name in () if self._seen else self.context.report.metrics:
            metric = self.metrics[name]
            self._remember(metric, self._inputs.moments(metric, (), [self.period]))
        limits = self.context.workspace.checks
        lines = []
        for name, (count, missing) in self._seen.items():
            share = missing / (count + missing) if count + missing else 0.0
            few, lost = count < limits.min_rows, share > limits.max_missing_share
            lines.append(("rows", name, f"{count:,.0f}", f"at least {limits.min_rows:,}", "look" if few else "ok"))
            lines.append(
                ("missing", name, f"{share:.1%}", f"at most {limits.max_missing_share:.0%}", "look" if lost else "ok")
            )
        for item in self.context.freshness:
            state = "look" if item.warning else "ok"
            lines.append(("freshness", item.table, item.warning or item.newest, f"{limits.max_age_days} days", state))
        frame = pd.DataFrame(lines, columns=["check", "what", "found", "limit", "state"])
        return Shown(frame, boxes.checks_html(frame, self.metrics))

    def show(self, fig: Chart, name: str) -> None:
        """Show a chart with its alt text, and save it to `figures/` (PNG and SVG) while recording."""
        from cxlib.show import charts

        frozen, picture = self._inputs.frozen, None
        if frozen.recording and frozen.run_folder:
            saved, _ = charts.save(fig, frozen.run_folder / "figures", f"{frozen.notebook}-{name}")
            picture = saved.read_bytes()  # drawn once: the page and the file hold the same picture
        boxes.display(charts.html(fig, name=name, picture=picture), charts.alt_text(fig))

    def table(self, html: str) -> None:
        """Show a table that `cxlib.tables` made, or any other HTML text."""
        boxes.display(html, "a table")

    def record(self, *frames: pd.DataFrame) -> None:
        """Record result frames as this notebook's numbers, and say what was recorded; always the last cell."""
        frame, frozen = results.concat(frames), self._inputs.frozen
        words = f"{len(frame):,} rows of {frame['metric'].nunique()} metrics"
        if not (frozen.recording and frozen.run_folder):
            why = "a published run is shown again" if frozen.published else "no run folder, nothing is written"
            return boxes.display(f'<p class="soft">{words} ({why}).</p>', f"{words} ({why})")
        folder = frozen.run_folder / "results"
        folder.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(folder / f"{frozen.notebook}.parquet", index=False)
        return boxes.display(f'<p class="soft">Recorded: {words}.</p>', f"Recorded: {words}.")

    def __str__(self) -> str:
        return boxes.run_line(self.context)

    def _repr_html_(self) -> str:
        return boxes.run_box(self.context)
