"""The aggregated inputs of a notebook: brought from the store once, small cells hidden, frozen, and replayed for ever.

Sums are frozen where small cells can be hidden among them; where that would spoil what is made of them (a change that
must add up, weights), the result is frozen instead. A frozen file is read with no store, no `params/` and no other
file: what a page may show is what lies in its folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from cxlib import results
from cxlib.errors import RunError, UsageError
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.reports import disclosure, places, withheld
from cxlib.reports.context import Context
from cxlib.reports.disclosure import rows
from cxlib.reports.sums import Sums

if TYPE_CHECKING:
    from cxlib.data.store import Store

CONTEXT = "context.json"
PRIVATE = {"store", "reports", "serving"}  # of the workspace
SPAN = "span"  # of frozen sums: how many periods each stands for, where it is more than one
Once = TypeVar("Once")  # a frame, or what is fitted to one


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
        """Freeze the context, but for where things lie and who is let in: nobody's business who reads the report."""
        if self.recording and self.folder:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / CONTEXT).write_text(
                context.model_dump_json(indent=1, exclude={"workspace": PRIVATE}), encoding="utf-8"
            )

    def read(self, key: str) -> pd.DataFrame | str | None:
        """Return frozen sums or results, or the reason why a metric is undefined, or None where nothing is frozen."""
        if self.folder is None:
            return None
        moments, reason = self.folder / f"{key}.parquet", self.folder / f"{key}.json"
        if moments.is_file():
            return pd.read_parquet(moments)
        return str(json.loads(reason.read_text(encoding="utf-8"))["undefined"]) if reason.is_file() else None

    def keep(self, key: str, found: pd.DataFrame | str, metric: str) -> None:
        """Freeze sums that are masked already, results, or the reason why there are none."""
        if not (self.recording and self.folder):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if isinstance(found, str):
            text = json.dumps({"metric": metric, "undefined": found}, ensure_ascii=False)
            (self.folder / f"{key}.json").write_text(text + "\n", encoding="utf-8")
        else:
            named = found if "metric" in found else found.assign(metric=metric)
            named.to_parquet(self.folder / f"{key}.parquet", index=False)


@dataclass
class Inputs:
    """Moments by metric, segments and periods: replayed where frozen, else brought from the store."""

    context: Context
    frozen: Frozen
    open: Callable[[], Store]
    sums: Sums = field(init=False, repr=False)
    _store: Store | None = field(default=None, repr=False)
    _brought: dict[str, Any] = field(default_factory=dict, repr=False)
    _ready: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)  # brought, and not yet asked for
    _hidden: dict[tuple[str, ...], set[Any]] = field(default_factory=dict, repr=False)  # cells, by metric and cut
    _away: frozenset[withheld.Cell] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        from cxlib.data import kept

        self.sums = Sums(self.context, self.store, kept.opened())

    def moments(
        self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period], rolling: int = 1
    ) -> pd.DataFrame | str:
        """Return masked moments, or the reason why the workspace cannot give them.

        Parameters
        ----------
        metric
            The definition.
        segments
            None for the whole, or the dimensions to cut by.
        periods
            The periods, in any order.
        rolling
            How many periods each of them stands for, itself the last.

        Returns
        -------
        pandas.DataFrame or str
            The columns of `measure.plans.plan`; hidden cells have labels and nothing else.

        Raises
        ------
        RunError
            Where a published run is asked for what it did not freeze.
        """
        parts = [period.label for period in sorted(periods)] + ([f"rolling {rolling}"] if rolling > 1 else [])

        def bring() -> pd.DataFrame:
            ready = self._ready.pop(self._key("", metric, segments, parts), None)
            found = self.sums.moments(metric, segments, periods, rolling) if ready is None else ready
            masked = disclosure.mask(
                found, self.context.least(metric), metric=metric, segments=segments,
                withheld=[(cell.period, cell.level) for cell in self._withheld(metric, segments)],
            )  # fmt: skip
            return masked.assign(**{SPAN: rolling}) if rolling > 1 else masked

        kept = self._once("", metric, segments, parts, bring)
        if isinstance(kept, str):
            return kept
        gone = kept.loc[disclosure.hidden(kept), ["period", "level"]]
        self._hidden.setdefault((metric.id, *(s.id for s in segments)), set()).update(gone.itertuples(False, None))
        return kept.drop(columns=SPAN, errors="ignore")

    def _withheld(self, metric: Metric, segments: Sequence[Segment]) -> list[withheld.Cell]:
        """Return the cells of a metric by segments that this run hides in any case."""
        ids = [segment.id for segment in segments]
        cut = " x ".join(sorted(ids) if len(ids) == 2 else ids) or "all"
        return sorted(cell for cell in self._hidden_anyhow() if (cell.metric, cell.segment) == (metric.id, cut))

    def _hidden_anyhow(self) -> frozenset[withheld.Cell]:
        """Return the cells that this run hides in any case, since others do or the gate asks for it."""
        if self._away is None:
            self._away = withheld.read(self.frozen.run_folder) if self.frozen.recording else frozenset()
        return self._away

    def prepare(self, metrics: Sequence[Metric], segments: Sequence[Segment], periods: Sequence[Period]) -> None:
        """Bring the moments of metrics that are sums of the same rows in one query each, for `moments` to take."""
        parts = [period.label for period in sorted(periods)]
        if self.frozen.published:
            return
        lacking = {self._key("", metric, segments, parts): metric for metric in metrics}
        lacking = {key: metric for key, metric in lacking.items() if self.frozen.read(key) is None}
        keys = {metric.id: key for key, metric in lacking.items()}
        if len(keys) == len(lacking):
            found = self.sums.together(list(lacking.values()), segments, periods)
            self._ready |= {keys[name]: frame for name, frame in found.items()}

    def prepare_apart(self, metrics: Sequence[Metric], segments: Sequence[Segment], periods: Sequence[Period]) -> None:
        """Bring the moments of metrics by each of several segments, all segments in one query, for `moments`."""
        if self.frozen.published or len({metric.id for metric in metrics}) < len(metrics):
            return
        parts = [period.label for period in sorted(periods)]
        by_id = {metric.id: metric for metric in metrics}
        cuts = {segment.id: segment for segment in segments}
        for (metric, segment), frame in self.sums.apart(metrics, segments, periods).items():
            self._ready[self._key("", by_id[metric], [cuts[segment]], parts)] = frame

    def overlaps(
        self, metric: Metric, segments: Sequence[Segment], pairs: Sequence[tuple[Period, Period]]
    ) -> pd.DataFrame | str:
        """Return what customers who answered in both periods of a pair make of the two numbers' errors.

        The columns of `measure.plans.overlaps`. Of fewer customers than may be shown there is no row: so few cannot
        change an interval much, and their products would tell their answers. Nor of a level that is hidden in either
        period.
        """
        parts = [f"{one.label}-{other.label}" for one, other in pairs]

        def bring() -> pd.DataFrame:
            found = self.sums.overlaps(metric, segments, list(pairs))
            gone = self._hidden.get((metric.id, *(segment.id for segment in segments)), set())
            both = zip(found["period"], found["against"], found["level"], strict=True)
            known = pd.Series([not {(one, level), (other, level)} & gone for one, other, level in both], dtype=bool)
            enough = found["clusters"].to_numpy() >= self.context.least(metric)
            return found.loc[enough & known.to_numpy()].reset_index(drop=True)

        return self._once("overlap", metric, segments, parts, bring)

    def joint(self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period]) -> pd.DataFrame:
        """Return the products of every two cells. They are never frozen: what is made of them is (see `result`).

        Raises
        ------
        Undefined
            Where the workspace cannot give them.
        """
        key = self._key("joint", metric, segments, [period.label for period in periods])
        return self.once(key, lambda: self.sums.joint(metric, segments, periods))

    def prepare_joints(self, metric: Metric, cuts: Sequence[tuple[Segment, ...]], periods: Sequence[Period]) -> None:
        """Bring the joint sums of a metric by several cuts in one query, for `joint` to take."""
        labels = [period.label for period in periods]
        keys = {cut: self._key("joint", metric, cut, labels) for cut in cuts}
        lacking = [cut for cut, key in keys.items() if key not in self._brought]
        found = self.sums.joints(metric, lacking, periods)
        self._brought |= {keys[cut]: frame for cut, frame in found.items()}

    def once(self, key: str, bring: Callable[[], Once]) -> Once:
        """Bring a frame that several answers are made of but once; it is never frozen and not to be changed."""
        if key not in self._brought:
            self._brought[key] = bring()
        found: Once = self._brought[key]
        return found

    def result(
        self, kind: str, metric: Metric, segments: Sequence[Segment], parts: Sequence[str],
        make: Callable[[], pd.DataFrame],
    ) -> pd.DataFrame:  # fmt: skip
        """Return a result frame: frozen where it was made before, else made and frozen; `undefined` with its reason.

        Parameters
        ----------
        kind
            What was asked, the first part of the file's name.
        metric, segments, parts
            What it was asked of; `parts` are all other words that change the answer.
        make
            Makes it from the store.
        """
        from cxlib.measure import estimates

        def concealed() -> pd.DataFrame:
            """Of several segments each row says of which it is."""
            return rows.conceal(make(), self._hidden_anyhow(), self.context.least(metric))

        found = self._once(kind, metric, segments, parts, concealed)
        if isinstance(found, str):
            return estimates.undefined(metric, [self.context.period], found)
        return results.conform(found)

    def answer(self, name: str, parts: Sequence[str], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a result frame that is not of one metric: frozen where it was made before, else made and frozen.

        Parameters
        ----------
        name
            What it is, the first part of the file's name and the metric of a row that says why there is none.
        parts
            All that changes the answer beside the period and the data; their hash is the rows' definition.
        make
            Makes it from the store; rows without a period are of the run's own.
        """
        period = self.context.period
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

        def bring() -> pd.DataFrame:
            found = make()
            if not isinstance(found, pd.DataFrame) or tuple(found.columns) != results.COLUMNS:
                raise UsageError(
                    f"{name} is no result frame", hint="Make one with cx.results.frame or a function of cx."
                )
            own = {"period": found["period"].where(found["period"] != "", period)}
            own["definition"] = found["definition"].where(found["definition"] != "", digest)
            found, away = results.conform(found.assign(**own)), self._hidden_anyhow()
            # What an analysis has hidden is its own affair; a cell that other pages hide is hidden here as they do.
            return rows.conceal(found, away, self.context.workspace.min_n) if rows.tells(found, away) else found

        found = self._kept(f"{name}.{period}.{digest[:8]}", name, bring, name)
        if isinstance(found, str):
            return results.frame(metric=name, period=period, status=results.UNDEFINED, note=found, definition=digest)
        return results.conform(found)

    def _once(
        self, kind: str, metric: Metric, segments: Sequence[Segment], parts: Sequence[str],
        bring: Callable[[], pd.DataFrame],
    ) -> pd.DataFrame | str:  # fmt: skip
        """Replay what a metric has frozen; else bring it, and freeze it or the reason why there is none."""
        words = f"{kind or 'the sums'} of {metric.id} by {_words(segments)}"
        found = self._kept(self._key(kind, metric, segments, parts), metric.id, bring, words)
        return found if isinstance(found, str) or "estimate" in found else found.drop(columns="metric", errors="ignore")

    def _kept(self, key: str, metric: str, bring: Callable[[], pd.DataFrame], words: str) -> pd.DataFrame | str:
        """Replay what is frozen under a key; else bring it, and freeze it or the reason why there is none."""
        from cxlib.measure.plans import Undefined

        found = self.frozen.read(key)
        if found is None and self.frozen.published:
            raise RunError(
                f"the published run does not hold {words}",
                hint="Run the pack again, or explore in JupyterLab with cx lab.",
            )
        if found is None:
            try:
                found = bring()
            except Undefined as reason:
                found = str(reason)
            self.frozen.keep(key, found, metric)
        return found

    def _key(self, kind: str, metric: Metric, segments: Sequence[Segment], parts: Sequence[str]) -> str:
        """Return the file name of one request: readable, and different for different definitions."""
        words = [self.context.definition_of(metric), kind, *parts, *(s.model_dump_json() for s in segments)]
        digest = hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]
        name = f"{metric.id}.{'-'.join(s.id for s in segments) or 'all'}.{self.context.period}.{digest}"
        return f"{name}.{kind}" if kind else name

    def store(self) -> Store:
        """Return the open store; `RunError` in a published run, which holds aggregates only."""
        if self.frozen.published:
            raise RunError("a published run holds no tables", hint="Explore in JupyterLab with cx lab.")
        if self._store is None:
            self._store = self.open()
        return self._store


def _words(segments: Sequence[Segment]) -> str:
    return " and ".join(segment.id for segment in segments) or "the whole"
