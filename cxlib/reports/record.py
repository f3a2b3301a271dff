"""The run as a notebook holds it: what it is about, its numbers by name, its checks, and what it leaves behind.

One object for three lives: exploring (nothing is written), recording (inputs, figures and results go into the run
folder) and replaying (a published run folder is read, nothing else is touched).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cxlib import params as parameters
from cxlib import results
from cxlib.errors import UsageError
from cxlib.params.models import Goal, Metric, Segment, Touchpoint
from cxlib.periods import Period
from cxlib.reports import boxes, checks, goals
from cxlib.reports.against import compared
from cxlib.reports.asking import Questions
from cxlib.reports.boxes import Shown
from cxlib.reports.context import Context, gather, open_store
from cxlib.reports.customers import Customers
from cxlib.reports.execute import WORKSPACE
from cxlib.reports.inputs import Frozen, Inputs
from cxlib.reports.journeying import Journeys
from cxlib.reports.levels import by_segment, measured, measured_by, unfinished
from cxlib.reports.listening import Voices
from cxlib.reports.named import listed
from cxlib.reports.offering import Offers
from cxlib.reports.trials import Trials
from cxlib.show import formats

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.data.store import Store
    from cxlib.show.charts import Chart


AS_OF = "CX_AS_OF"


def open_run(
    period: str = "last", *, as_of: str = "", pack: str = "monthly", experiment: str = "", run_folder: str = "",
    notebook: str = "",
) -> Run:  # fmt: skip
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
    experiment
        The experiment that a pack of experiments is about.
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
        context = gather(params, pack, period, opened, experiment)
        frozen.keep_context(context)

    def reopen() -> Store:
        if opened is not None:
            return opened
        root = _workspace()
        return open_store(root, parameters.load(root), context.snapshot)

    formats.use(context.currency, context.workspace.locale)
    run = Run(context, Inputs(context, frozen, reopen))
    boxes.display(run._repr_html_(), str(run))
    return run


def _workspace() -> Path:
    """Return the workspace that a run was started for, or else the one around the working directory."""
    named = os.environ.get(WORKSPACE)
    return parameters.find_workspace(Path(named) if named else None)


class Run(Questions, Customers, Journeys, Voices, Trials):
    """An open run. Made by `open_run`.

    Attributes
    ----------
    period
        The period it is about.
    metrics
        Metric id -> definition, as frozen with the run; the pack's own first, in its order.
    segments, touchpoints
        The dimensions by id, likewise, and the taxonomy.
    goals
        The measurement framework, in its order.
    """

    def __init__(self, context: Context, inputs: Inputs) -> None:
        self.context = context
        self.period = Period.parse(context.period)
        described = context.described
        self.metrics: Mapping[str, Metric] = {name: described[name] for name in context.report.metrics} | described
        cuts = {name: context.segments[name] for name in context.report.segments}
        self.segments: Mapping[str, Segment] = cuts | context.segments
        self.touchpoints: Mapping[str, Touchpoint] = context.touchpoints
        self.goals: Sequence[Goal] = context.framework
        self._inputs = inputs
        self._offers = Offers(context, inputs.frozen)
        self._seen: dict[str, tuple[float, float]] = {}  # metric -> rows, missing rows of the period

    def measure(
        self,
        metrics: Sequence[str | Metric] | str | Metric | None = None,
        by: str | Sequence[str] = "all",
        periods: int = 1,
        compare: Sequence[str] | str = (),
        relative: bool = False,
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
            Any of `previous`, `year_ago`, `target`, or other periods such as `2025-03`: differences of the run's own.
        relative
            Whether differences are given in shares of the earlier value, too.

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
        wanted = [self._metric(one) for one in given]
        cuts = [] if by == "all" else [by] if isinstance(by, str) else list(by)
        segments = [self._segment(name) for name in cuts]
        if len(set(cuts)) < len(cuts):
            raise UsageError(f"a segment is named twice: {', '.join(cuts)}")
        others, target = compared(self.period, [compare] if isinstance(compare, str) else list(compare))
        if periods < 1:
            raise UsageError(f"periods is {periods}; it counts periods, from 1")
        from cxlib.measure import changes

        shown = self.period.last(periods)
        self._inputs.prepare(wanted, segments, sorted({*shown, *others}))
        parts = [self._one(metric, segments, shown, others, target=target, relative=relative) for metric in wanted]
        level = self.context.workspace.confidence
        lead = self.lead if len(wanted) > 1 and not cuts else ""
        found = changes.judge(results.concat(parts), wanted, alpha=1 - level, confidence=level, lead=lead)
        return unfinished(found) if self.context.partial else found

    def by_segments(
        self, by: Sequence[str] | str = (), compare: Sequence[str] | str = ("previous", "year_ago")
    ) -> pd.DataFrame:
        """Return the pack's metrics in the run's period by each of several segments, judged as one family.

        Parameters
        ----------
        by
            Segments; none for the pack's.
        compare
            As in `measure`. Customers who lie in both periods are not allowed for: changes of few customers have
            intervals that are rather too wide.

        Returns
        -------
        pandas.DataFrame
            A result frame: `level` and `difference` rows. What a workspace cannot cut so is one `undefined` row.
        """
        from cxlib.measure import changes

        wanted = [self._metric(name) for name in self.context.report.metrics]
        others, target = compared(self.period, listed(compare))
        segments = [self._segment(name) for name in listed(by) or self.context.report.segments]
        self._inputs.prepare_apart(wanted, segments, sorted({self.period, *others}))
        level = self.context.workspace.confidence
        found = by_segment(
            [self._cuts(metric, segments, others, target) for metric in wanted], [s.id for s in segments]
        )
        bare = (found["status"] == results.UNDEFINED) & (found["comparison"] != "level")
        judged = changes.judge(found[~bare].reset_index(drop=True), wanted, alpha=1 - level, confidence=level)
        return unfinished(judged) if self.context.partial else judged

    def framework(self, measured: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return today's value of the KPI of every goal, with its changes and how it stands to its target.

        Parameters
        ----------
        measured
            What `measure` gave for the page, compared with `previous`, `year_ago` and `target`: KPIs among it are taken
            as they are. Default: the pack's metrics so compared.

        Returns
        -------
        pandas.DataFrame
            Rows of `measure`, KPI by KPI in the order of `goals`, of the run's period. KPIs that the pack does not show
            are measured all the same and judged as a family of their own.
        """
        shown = self.measure(compare=goals.COMPARE) if measured is None else measured
        return goals.measured(
            self.goals, self.period.label, shown, lambda names: self.measure(names, compare=goals.COMPARE)
        )

    def _cuts(
        self, metric: Metric, segments: Sequence[Segment], others: Sequence[Period], target: bool
    ) -> pd.DataFrame:
        """Return the rows of one metric by each of several segments; `by_segments` says the rest."""
        periods = sorted({self.period, *others})
        moments = {segment.id: self._inputs.moments(metric, [segment], periods) for segment in segments}
        for found in moments.values():
            self._remember(metric, found)
        return measured_by(
            metric, moments, self.period, others, target=target, confidence=self.context.workspace.confidence,
            min_n=self.context.least(metric), definition=self.context.definition_of(metric),
        )  # fmt: skip

    def _one(
        self, metric: Metric, segments: Sequence[Segment], shown: Sequence[Period], others: Sequence[Period], *,
        target: bool, relative: bool,
    ) -> pd.DataFrame:  # fmt: skip
        """Return the rows of one metric; `measure` says the rest."""
        moments = self._inputs.moments(metric, segments, sorted({*shown, *others}))
        self._remember(metric, moments)
        both = None
        if others and metric.cluster and metric.kind != "quantile" and not isinstance(moments, str):
            found = self._inputs.overlaps(metric, segments, [(self.period, other) for other in others])
            both = None if isinstance(found, str) else found
        return measured(
            metric,
            moments,
            shown,
            others,
            target=target,
            confidence=self.context.workspace.confidence,
            min_n=self.context.least(metric),
            segment=" x ".join(segment.id for segment in segments) or "all",
            definition=self.context.definition_of(metric),
            overlaps=both,
            relative=relative,
        )

    def _remember(self, metric: Metric, moments: pd.DataFrame | str) -> None:
        """Keep the row counts of the run's own period for `check`; the first request of a metric counts."""
        if isinstance(moments, str) or metric.id in self._seen:
            return
        own = moments.loc[moments["period"] == self.period.label]
        missing = own.drop_duplicates("level")["missing"] if metric.kind == "quantile" else own["missing"]
        self._seen[metric.id] = (float(own["rows"].sum()), float(missing.sum()))

    @property
    def tables(self) -> Mapping[str, ir.Table]:
        """The contract's tables of the pinned snapshot as lazy Ibis tables, for exploring.

        Raises
        ------
        UsageError
            While a run is recorded: rows of customers are never published.
        """
        self._exploring("run.tables")
        return self._inputs.store().tables

    def frame(self, expression: ir.Table) -> pd.DataFrame:
        """Compute an Ibis expression over `tables` and return it as a pandas frame, for exploring alone."""
        self._exploring("run.frame")
        return self._inputs.store().run(expression)

    def _exploring(self, asked: str) -> None:
        """Refuse rows of customers to what is to be published."""
        if self._inputs.frozen.recording:
            raise UsageError(
                f"{asked} gives rows of customers, which no report may hold",
                hint="Define a metric in params/metrics/ and ask run.measure; run.tables is for notebooks in cx lab.",
            )

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
        frame = checks.checked(self.context, self._seen)
        return Shown(frame, boxes.checks_html(frame, self.metrics, self._offers.table))

    def show(self, fig: Chart, name: str) -> None:
        """Show a chart with its alt text; while recording save it to `figures/` (PNG and SVG), linked beneath."""
        from cxlib.show import canvas, charts

        frozen, title = self._inputs.frozen, getattr(fig, "finding", "") or name
        if frozen.recording and frozen.run_folder:
            saved, _ = charts.save(fig, frozen.run_folder / "figures", f"{frozen.notebook}-{name}")
            picture = saved.read_bytes()  # drawn once: the page and the file hold the same picture
        else:
            picture = canvas.png(fig)
        html = charts.html(fig, name=name, picture=picture)
        boxes.display(self._offers.figure(html, name, title, picture), charts.alt_text(fig))

    def table(self, html: str, name: str = "") -> None:
        """Show a table that `cxlib.tables` made; while exploring any other HTML text, too.

        While recording the table is written to `tables/` (CSV and Excel), linked beneath. The files are named by the
        notebook and `name`, which stays the same from month to month; without one by the table's title.

        Raises
        ------
        UsageError
            While recording, for HTML that `cxlib.tables` did not make, and for rows of too few customers.
        """
        boxes.display(self._offers.table(html, name), "a table")

    def record(self, *frames: pd.DataFrame) -> None:
        """Record result frames as this notebook's numbers, and say what was recorded; always the last cell.

        A row that several frames hold is recorded once.
        """
        frame, frozen = results.concat(frames).drop_duplicates(ignore_index=True), self._inputs.frozen
        words = f"{formats.counted(len(frame))} rows of {frame['metric'].nunique()} metrics"
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
        return boxes.run_box(self.context, self._offers.table)
