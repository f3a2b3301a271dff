"""What may be published: small cells hidden and not to be worked out, and no identifier anywhere. Fails closed.

`mask` hides cells before anything is made of them; `check` is the gate that a run passes before it is published: it
looks at the run beside all reports that stand, as somebody would who has read them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib import contract, results
from cxlib.params.models import Metric, Segment, Touchpoint
from cxlib.reports.disclosure import small
from cxlib.reports.disclosure.masking import hidden, mask, upright
from cxlib.reports.withheld import Cell

__all__ = ["IDENTIFIERS", "Beside", "Cell", "check", "hidden", "mask"]

IDENTIFIERS = frozenset(
    column.name for table in contract.TABLES.values() for column in table.columns if column.name.endswith("_id")
) | {"referred_by"}
RESULTS, PARTS = "results.parquet", "results"  # what was recorded: merged, and before that by notebook
_SHOWN = 5  # findings of one kind that are told one by one
REMEDY = (
    "pool levels in params/segments/<id>.yml, leave the segment or the page out of the pack, or ask for a longer period"
)

HELPS = "what helps"  # how a remedy begins
RECORDED = "make the numbers with run.measure, which hides cells as small as these, or pool their levels"


@dataclass(frozen=True)
class Beside:
    """What a run is looked at beside: the definitions, the reports that stand, and what it hides already.

    Parameters
    ----------
    metrics, touchpoints
        The definitions.
    folders
        Of the reports that stand, its own predecessor left out.
    withheld
        Cells that the run hides in any case.
    segments
        The definitions of what numbers are cut by.
    """

    metrics: Mapping[str, Metric] = field(default_factory=dict)
    touchpoints: Mapping[str, Touchpoint] = field(default_factory=dict)
    folders: Sequence[Path] = ()
    withheld: Collection[Cell] = ()
    segments: Mapping[str, Segment] = field(default_factory=dict)


def check(
    folder: Path, min_n: Mapping[str, int], otherwise: int | None = None, beside: Beside | None = None
) -> dict[str, Any]:
    """Look through what a run has made, by itself and beside all reports that stand.

    Parameters
    ----------
    folder
        Of the run; its `inputs/` and its results are looked at.
    min_n
        Metric id -> the least number of customers that may be shown.
    otherwise
        The least number for results that are not of one metric; None refuses them.
    beside
        What it is looked at beside; nothing where left out.

    Returns
    -------
    dict
        `verdict` (`passed` or `refused`), `found` (every reason, with its file), `checked` (number of files), `hidden`
        (the cells that are hidden), `withheld` (those of them, or of what is made of them, that were to be in any
        case), and, where it would pass if more were hidden, `withhold` (these cells) and `notebooks` (that show them).
    """
    look = _Look(folder, min_n, otherwise, beside or Beside())
    found = [*look.faults, *look.leaks]
    return {
        "verdict": "refused" if found else "passed",
        "found": found,
        "checked": len(look.frames),
        "hidden": [list(cell) for cell in sorted(look.hidden)],
        "withheld": [list(cell) for cell in sorted(look.withheld)],
        "withhold": [list(cell) for cell in sorted(look.more)] if not look.faults else [],
        "notebooks": sorted(look.notebooks),
    }


@dataclass
class _Look:
    """One look at a run."""

    folder: Path
    min_n: Mapping[str, int]
    otherwise: int | None
    beside: Beside
    more: set[Cell] = field(default_factory=set)  # to be hidden besides

    @cached_property
    def frames(self) -> dict[str, pd.DataFrame | str]:
        """The frozen files and the results by name; why one cannot be read."""
        files = sorted((self.folder / "inputs").rglob("*.parquet"))
        files += [path for path in (self.folder / RESULTS,) if path.is_file()]
        files += sorted((self.folder / PARTS).glob("*.parquet"))
        return {path.relative_to(self.folder).as_posix(): _read(path) for path in files}

    @cached_property
    def faults(self) -> list[str]:
        """What no file may hold; of what is recorded the notebook's own file is named, and not what they make."""
        found: dict[str, list[str]] = {}
        for name, frame in self.frames.items():
            for reason in _faults(frame, self.min_n, self.otherwise, recorded=name.startswith(PARTS)):
                found.setdefault(reason, []).append(name)
        own = {reason: [name for name in names if name != RESULTS] or names for reason, names in found.items()}
        told = [f"{', '.join(names)}: {reason}" for reason, names in own.items() if not reason.startswith(HELPS)]
        return [*told, *(reason for reason in own if reason.startswith(HELPS))]

    @cached_property
    def sums(self) -> list[tuple[str, str, pd.DataFrame]]:
        """The sums of the run: file, cut, frame."""
        from cxlib.reports.disclosure import families

        return [
            (name, families.cut_of(name), found)
            for name, found in self.frames.items()
            if isinstance(found, pd.DataFrame) and families.of_sums(name, found)
        ]

    @cached_property
    def hidden(self) -> set[Cell]:
        """The cells that the run hides."""
        found = set()
        for _, cut, frame in self.sums:
            gone = frame.loc[hidden(frame), ["metric", "period", "level"]]
            name, levels = upright(cut, gone["level"].tolist())
            found |= {
                Cell(*one) for one in zip(gone["metric"], [name] * len(gone), gone["period"], levels, strict=True)
            }
        return found

    @cached_property
    def withheld(self) -> set[Cell]:
        """The cells that were hidden in any case, of those that the run tells of."""
        if not self.beside.withheld:
            return set()
        about = {
            (_metric(frame), upright(cut, [])[0], period)
            for _, cut, frame in self.sums
            for period in frame["period"].unique()
        }
        for found in self.frames.values():
            if isinstance(found, pd.DataFrame) and tuple(found.columns) == results.COLUMNS:
                for when in ("period", "against"):
                    rows = found[["metric", "segment", when]].drop_duplicates().itertuples(index=False, name=None)
                    about |= {(metric, upright(cut, [])[0], period) for metric, cut, period in rows}
        return {cell for cell in self.beside.withheld if cell[:3] in about}

    @cached_property
    def leaks(self) -> list[str]:
        """What can be worked out of what is hidden, and which populations that are shown differ by too few."""
        if self.faults:
            return []
        from cxlib.reports.disclosure import audit, families

        hidden, around = self._told()
        only = hidden | around
        if not only:
            return []
        frames = [(name, found) for name, found in self.frames.items() if families.of_results(found)]
        own = families.Page([one for one in self.sums if _metric(one[2]) in only], frames, standing=False)
        look = self._beside(own, hidden, self._counted(around - hidden), self._seen())
        if look.leaks():  # which of them reports that stand tell anyhow, takes all of these
            look = self._beside(own, hidden, self._counted(around - hidden), set())
        return [*self._elsewhere(audit.shown_elsewhere(look.published)), *self._worked_out(look), *self._alone()]

    def _beside(self, own: Any, only: set[str], counted: dict[str, str], seen: set[tuple[str, str]]) -> Any:
        """Return the attack on the run's own page beside what reports that stand tell of some metrics."""
        from cxlib.reports.disclosure import audit, families

        pages = [own, *(families.standing(folder, only, counted, seen) for folder in self.beside.folders)]
        told = families.gathered(pages, self.beside.metrics, self.beside.touchpoints, self.beside.segments)
        return audit.Audit(told, self.min_n)

    def _told(self) -> tuple[set[str], set[str]]:
        """Return the metrics that tell of hidden cells, and those of populations within or around those of the run."""
        from cxlib.reports.disclosure import families, nested

        metrics = self.beside.metrics
        rows = {families.population(metrics.get(cell.metric), cell.metric) for cell in self.hidden}
        only = {name for name in metrics if families.population(metrics[name], name) in rows}
        shown = {_metric(frame) for _, _, frame in self.sums}
        return only | {cell.metric for cell in self.hidden}, nested.related(metrics, shown)

    def _counted(self, names: Collection[str]) -> dict[str, str]:
        """Return metrics of which nothing is hidden with their populations: one tells the counts of all of a kind."""
        from cxlib.reports.disclosure import families

        return {name: families.population(self.beside.metrics[name], name) for name in names}

    def _seen(self) -> set[tuple[str, str]]:
        """Return the populations and cuts that the run shows itself in all periods in which it tells of the cut.

        What reports that stand tell of these is of no use to whoever subtracts; a cut by a column of the rows
        themselves may be set beside the whole, too.
        """
        from cxlib.reports.disclosure import families

        columns = families.columns(self.beside.segments)
        when: dict[str, set[str]] = {}
        own: dict[tuple[str, str], set[str]] = {}
        for _, cut, frame in self.sums:
            name = _metric(frame)
            periods = set(frame["period"].unique())
            when.setdefault(cut, set()).update(periods)
            of = families.population(self.beside.metrics.get(name), name)
            own.setdefault((of, cut), set()).update(periods)
        whole = when.get("all", set())
        return {
            (of, cut)
            for (of, cut), periods in own.items()
            if when[cut] | (whole if cut in columns else set()) <= periods
        }

    def _elsewhere(self, found: Mapping[Cell, set[str]]) -> list[str]:
        """Say which hidden cells other pages of the run show, and hide them there, too, unless that did not help."""
        self.more |= {cell for cell in found if cell not in self.beside.withheld}
        told = [
            f"{', '.join(sorted(files))}: {cell} is shown there and hidden elsewhere" for cell, files in found.items()
        ]
        return _few(told, "leave it out of that page, or hide it there: pass it through run.measure")

    def _worked_out(self, look: Any) -> list[str]:
        """Say what can be worked out; note what to hide besides where that helps."""
        leaks = look.leaks()
        if leaks and look.repaired():
            self.more |= look.hide
        return _few([leak.told() for leak in leaks], REMEDY)

    def _alone(self) -> list[str]:
        from cxlib.reports.disclosure import audit

        found = self.frames.get(RESULTS)
        told = audit.alone(found) if isinstance(found, pd.DataFrame) else []
        return _few([f"{RESULTS}: {one}" for one in told], "hide a second level of it (analysis/hiding.py)")

    @cached_property
    def notebooks(self) -> set[str]:
        """The notebooks that show what is to be hidden besides."""
        crossed = {(cell.metric, part) for cell in self.more for part in cell.segment.split(" x ")}
        whole = {(cell.metric, cell.segment) for cell in self.more}
        found = set()
        for file, frame in self.frames.items():
            if not isinstance(frame, pd.DataFrame) or "metric" not in frame or frame.empty or file == RESULTS:
                continue
            of_results = "segment" in frame
            own = _named(frame) if of_results else _cuts(file, _metric(frame))
            if not (whole if of_results else crossed).isdisjoint(own):
                found.add(Path(file).stem if file.startswith(PARTS) else file.split("/")[1])
        return found


def _named(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the metrics of results with what they are cut by."""
    rows = frame[["metric", "segment"]].drop_duplicates().itertuples(index=False, name=None)
    return [(metric, upright(cut, [])[0]) for metric, cut in rows]


def _cuts(file: str, metric: str) -> list[tuple[str, str]]:
    """Return a metric with each segment that a file of sums is cut by."""
    return [(metric, part) for part in Path(file).name.split(".")[1].split("-")]


def _few(told: Sequence[str], remedy: str) -> list[str]:
    """Return the first few findings, how many more there are, and what to do."""
    if not told:
        return []
    more = [f"and {len(told) - _SHOWN} more of this kind"] if len(told) > _SHOWN else []
    return [*told[:_SHOWN], *more, f"{HELPS}: {remedy}"]


def _metric(frame: pd.DataFrame) -> str:
    return str(frame["metric"].iloc[0]) if len(frame) else ""


def _read(path: Path) -> pd.DataFrame | str:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        return f"cannot be read ({type(error).__name__})"


def _faults(table: pd.DataFrame | str, min_n: Mapping[str, int], otherwise: int | None, *, recorded: bool) -> list[str]:
    """Return what may not be published in one frozen file; a file that cannot be read is a reason too."""
    if isinstance(table, str):
        return [table]
    faults = [f"holds the identifier {name}" for name in sorted(set(table.columns) & IDENTIFIERS)]
    counted = "n" if "estimate" in table.columns else "clusters"
    lacking = sorted({"metric", "period", "level", counted} - set(table.columns))
    if lacking:
        return [*faults, f"is no frame of sums or results: {', '.join(lacking)} missing"]
    if recorded:  # whatever notebooks made them from
        few = small.told(small.small(table, min_n, otherwise))
        return [*faults, *_few(few, RECORDED)] if few else faults
    for metric, part in table.groupby("metric"):
        least = min_n.get(str(metric), otherwise if counted == "n" else None)  # sums are always of a metric
        if least is None:
            faults.append(f"holds the unknown metric {metric}")
            continue
        gone = part[part[counted] < least]  # a hidden cell has no count at all
        people = "answers" if counted == "n" else "customers"
        about = [f"{metric} {when}, level {level}" for when, level in zip(gone["period"], gone["level"], strict=True)]
        faults += _few([f"{one}: fewer than {least} {people}" for one in about], RECORDED) if about else []
    return faults
