"""What published folders say of cells: which are known, by which page, and which of their numbers add up.

A number is of a cell (a metric's rows or answers, cut by segments, of a period or a span of them). Metrics of the same
rows share their counts. Cells add up over the levels of a cut, over the second segment of a crossed one, over the
months of a span or a quarter, and over the touchpoints of a group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from cxlib import contract, results
from cxlib.params.models import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period
from cxlib.reports.disclosure import nested
from cxlib.reports.disclosure.masking import BETWEEN, split, straightened, upright
from cxlib.reports.disclosure.numbers import ANSWERS, ROWS, Key, Number
from cxlib.reports.withheld import Cell

_SUMS = 5  # parts of the name of a file of sums: metric, cut, period, digest, parquet
_READ = ("metric", "period", "level", "rows", "missing", "clusters", "y", "value", "span")  # as far as a file has them
_POOLED = ("small levels (", "other levels (")
_GROUPS = {"touchpoint_group": "group", "touchpoint_stage": "stage"}


@dataclass
class Told:
    """What is known of a number: its value, the metrics that tell it, and whether an older report tells it, too."""

    value: float
    metrics: set[str]
    standing: bool


@dataclass
class Published:
    """What the pages of some folders tell together."""

    metrics: Mapping[str, Metric]
    touchpoints: Mapping[str, Touchpoint]
    columns: Mapping[str, str] = field(default_factory=dict)  # cut -> the column whose values are its levels
    least: Mapping[str, int] = field(default_factory=dict)  # metric -> how few customers may be shown
    rests: dict[str, str] = field(default_factory=dict)  # what is left of a population -> the population
    known: dict[Number, Told] = field(default_factory=dict)
    levels: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    hidden: dict[Cell, set[str]] = field(default_factory=lambda: defaultdict(set))  # of this run, with the files
    sought: set[Number] = field(default_factory=set)  # that some page hides
    before: set[Cell] = field(default_factory=set)  # hidden in a report that stands
    shown: dict[Cell, set[str]] = field(default_factory=lambda: defaultdict(set))  # of this run, among results
    whole: set[str] = field(default_factory=set)  # metrics some of whose rows do not count

    def tell(self, number: Number, value: float, metric: str, *, standing: bool) -> None:
        """Note a number that a page tells; what this run tells is what holds now."""
        told = self.known.get(number)
        if told is None:
            self.known[number] = Told(value, {metric}, standing)
            return
        told.metrics.add(metric)
        if not standing and told.standing:
            told.value = value
        told.standing |= standing

    def counts(self, metric: str) -> list[str]:
        """Return whose rows a metric counts: the population's, or where some do not count its own."""
        return [metric] if metric in self.whole else [population(self.metrics.get(metric), metric)]

    def enough(self, of: str) -> int:
        """Return the least number of customers that may be shown of a population, or of what is left of one."""
        of = self.rests.get(of, of)
        found = [n for name, n in self.least.items() if of in (name, population(self.metrics.get(name), name))]
        return min(found, default=1)


def columns(segments: Mapping[str, Segment]) -> dict[str, str]:
    """Return the columns whose values are the levels of segments of the rows themselves."""
    return {name: one.column for name, one in segments.items() if one.on == "event" and one.column}


def population(metric: Metric | None, name: str) -> str:
    """Return a name of the rows that a metric looks at, the same for all metrics of the same rows."""
    if metric is None or metric.kind == "quantile":
        return name
    return "|".join((metric.table, metric.time, metric.filter, metric.window))


def range_of(metric: Metric | None) -> tuple[float, float]:
    """Return the lowest and the highest that one row can add to the sum of a metric."""
    if metric is None:
        return -np.inf, np.inf
    if metric.kind in ("share", "nps"):
        return (0.0, 1.0) if metric.kind == "share" else (-1.0, 1.0)
    if metric.kind == "mean" and metric.table == "responses" and metric.numerator.strip() == "score":
        asked = [ends for name, ends in contract.INSTRUMENTS.items() if f"'{name}'" in metric.filter]
        if len(asked) == 1:
            return float(asked[0][0]), float(asked[0][1])
    return 0.0, np.inf


def of_sums(file: str, frame: pd.DataFrame) -> bool:
    """Say whether a frozen file holds sums, by its name `metric.cut.period.digest.parquet`."""
    return len(file.rpartition("/")[2].split(".")) == _SUMS and {"clusters", "missing"} <= set(frame) and len(frame) > 0


def of_results(frame: object) -> bool:
    """Say whether a frame holds results."""
    return isinstance(frame, pd.DataFrame) and tuple(frame.columns) == results.COLUMNS


def cut_of(file: str) -> str:
    """Return what a frozen file is cut by, by its name."""
    return BETWEEN.join(file.rpartition("/")[2].split(".")[1].split("-"))


def standing(
    folder: Path, only: Collection[str], counted: Mapping[str, str] | None = None,
    seen: Collection[tuple[str, str]] = (),
) -> Page:  # fmt: skip
    """Read what a published folder tells of some metrics; what several notebooks hold once.

    Of the metrics of `counted` the counts alone matter: of each population, its value, and cut one metric is read,
    and none of those of `seen`.
    """
    paths = {path.name: path for path in sorted((folder / "inputs").glob("*/*.parquet"))}
    parts = {name: name.split(".") for name in paths}
    parts = {name: part for name, part in sorted(parts.items()) if len(part) == _SUMS}
    first: dict[tuple[str, str], str] = {}
    for part in parts.values():
        if counted and part[0] in counted and (counted[part[0]], BETWEEN.join(part[1].split("-"))) not in seen:
            first.setdefault((counted[part[0]], part[1]), part[0])
    chosen = {(name, cut) for (_, cut), name in first.items()}
    mine = [paths[name] for name, part in parts.items() if part[0] in only or tuple(part[:2]) in chosen]
    read = [(path.relative_to(folder).as_posix(), pq.ParquetFile(path).read(list(_READ)).to_pandas()) for path in mine]
    sums = [(file, cut_of(file), frame) for file, frame in read if of_sums(file, frame)]
    kept = folder / "results.parquet"
    rows = (
        pq.read_table(kept, filters=[("metric", "in", sorted({*only, *(counted or ())}))]).to_pandas()
        if kept.is_file()
        else None
    )
    return Page(sums, [] if rows is None else [(kept.name, rows)], standing=True)


@dataclass(frozen=True)
class Page:
    """What one folder holds: its sums (file, cut, frame) and its result frames (file, frame)."""

    sums: Sequence[tuple[str, str, pd.DataFrame]]
    frames: Sequence[tuple[str, pd.DataFrame]]
    standing: bool


def gathered(
    pages: Sequence[Page], metrics: Mapping[str, Metric], touchpoints: Mapping[str, Touchpoint],
    segments: Mapping[str, Segment] | None = None,
) -> Published:  # fmt: skip
    """Return what folders tell together."""
    out = Published(metrics, touchpoints, columns(segments or {}))
    for page in pages:
        out.whole |= {str(frame["metric"].iloc[0]) for _, _, frame in page.sums if (frame["missing"] > 0).any()}
    for page in pages:
        for file, cut, found in page.sums:
            _sums(file, cut, found, out, standing=page.standing)
    for page in pages:
        for file, found in page.frames:
            _results(file, found, out, standing=page.standing)
    return out


def _sums(file: str, cut: str, found: pd.DataFrame, into: Published, *, standing: bool) -> None:
    """Note the cells of a frame of sums."""
    name = str(found["metric"].iloc[0])
    cut, levels = upright(cut, found["level"].tolist())
    found = found.assign(level=levels)
    span = int(found["span"].iloc[0]) if "span" in found else 1
    rows = into.counts(name)[0]
    if "value" in found:
        found = found.groupby(["period", "level"], as_index=False)[["rows"]].sum(min_count=1)
    answers = found["y"].tolist() if "y" in found else [np.nan] * len(found)
    for period, level, n, y in zip(*(found[x].tolist() for x in ("period", "level", "rows")), answers, strict=True):
        into.levels[ROWS, rows, cut, span, period].add(level)
        into.levels[ANSWERS, name, cut, span, period].add(level)
        if n != n:  # hidden
            into.sought |= {
                Number(ROWS, rows, cut, span, period, level),
                Number(ANSWERS, name, cut, span, period, level),
            }
            if span == 1 and standing:
                into.before.add(Cell(name, cut, period, level))
            elif span == 1:
                into.hidden[Cell(name, cut, period, level)].add(file)
            continue
        into.tell(Number(ROWS, rows, cut, span, period, level), n, name, standing=standing)
        if y == y:
            into.tell(Number(ANSWERS, name, cut, span, period, level), y, name, standing=standing)


def _results(file: str, found: pd.DataFrame, into: Published, *, standing: bool) -> None:
    """Note the cells of a result frame: levels and shares with their counts, and what names a hidden cell at all."""
    mine = straightened(found[(found["status"] == results.OK) & found["metric"].isin(into.metrics)])
    if not standing:
        compared = mine[mine["against"] != ""]
        for part, when in ((mine, "period"), (compared, "against")):
            for cell in zip(part["metric"], part["segment"], part[when], part["level"], strict=True):
                into.shown[Cell(*cell)].add(file)
    plain = mine[(mine["at"] == "") & mine["comparison"].isin(["level", "share"]) & (mine["segment"] != "all")]
    plain = plain[(plain["level"] != "all") & ~plain["level"].str.startswith(_POOLED) & plain["n"].notna()]
    names = ("metric", "segment", "period", "level", "comparison", "estimate", "n")
    for name, cut, period, level, kind, estimate, n in zip(*(plain[x] for x in names), strict=True):
        metric = into.metrics[name]
        if metric.kind not in ("share", "mean", "nps") or isinstance(metric.denominator, Part):
            continue
        rows = into.counts(name)[0]
        into.tell(Number(ROWS, rows, cut, 1, period, level), float(n), name, standing=standing)
        if kind == "level":
            answers = float(estimate) * float(n) / (100.0 if metric.kind == "nps" else metric.scale)
            number = Number(ANSWERS, name, cut, 1, period, level)
            if number not in into.known:
                into.tell(number, answers, name, standing=standing)


def equations(published: Published, wanted: Collection[tuple[str, str]]) -> Iterator[list[tuple[Number, float]]]:
    """Yield numbers that add up to nothing: parts, and what they are parts of with a minus.

    `wanted` names what (`rows`, `answers`) of whom.
    """
    known = {key: levels for key, levels in published.levels.items() if key[:2] in wanted}
    for (what, of, cut, span, period), levels in known.items():
        if cut == "all":
            continue
        parts = [(Number(what, of, cut, span, period, level), 1.0) for level in sorted(levels)]
        yield [*parts, (Number(what, of, "all", span, period, "all"), -1.0)]
        yield from _margins(what, of, cut, span, period, levels, known)
        yield from _grouped(published.touchpoints, what, of, cut, span, period, levels, known)
    yield from _spans(known)
    yield from nested.sums(published)


def _margins(
    what: str, of: str, cut: str, span: int, period: str, levels: set[str], known: Mapping[Key, set[str]]
) -> Iterator[list[tuple[Number, float]]]:
    """Yield the rows and columns of a crossed cut, which add up to the levels of one segment."""
    names = cut.split(BETWEEN)
    if len(names) != 2:
        return
    places = split(sorted(levels), 2)
    for which, name in enumerate(names):
        if not any(key[:3] == (what, of, name) for key in known):
            continue
        for one in sorted({place[which] for place in places.values()}):
            parts = [(Number(what, of, cut, span, period, x), 1.0) for x, at in places.items() if at[which] == one]
            yield [*parts, (Number(what, of, name, span, period, one), -1.0)]


def _grouped(
    touchpoints: Mapping[str, Touchpoint], what: str, of: str, cut: str, span: int, period: str, levels: set[str],
    known: Mapping[Key, set[str]],
) -> Iterator[list[tuple[Number, float]]]:  # fmt: skip
    """Yield the touchpoints of each group and stage."""
    if cut != "touchpoint" or not levels <= set(touchpoints):
        return
    for name, attribute in _GROUPS.items():
        groups = known.get((what, of, name, span, period), set())
        for group in sorted(groups):
            inside = [level for level in sorted(levels) if getattr(touchpoints[level], attribute, None) == group]
            if inside:
                parts = [(Number(what, of, cut, span, period, level), 1.0) for level in inside]
                yield [*parts, (Number(what, of, name, span, period, group), -1.0)]


def _spans(known: Mapping[Key, set[str]]) -> Iterator[list[tuple[Number, float]]]:
    """Yield months that add up to what stands for several of them, and to quarters."""
    for (what, of, cut, span, period), levels in known.items():
        whole = Period.parse(period)
        if span > 1:
            months = [one.label for one in whole.last(span)]
        elif whole.kind == "quarter":
            months = whole.months()
        else:
            continue
        for level in sorted(levels):
            parts = [(what, of, cut, 1, month) for month in months]
            if all(level in known.get(key, ()) for key in parts):
                yield [
                    *((Number(*key, level), 1.0) for key in parts),
                    (Number(what, of, cut, span, period, level), -1.0),
                ]
