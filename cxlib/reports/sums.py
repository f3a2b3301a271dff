"""Sums of metrics by period: what was made before is taken as it was kept, the rest is brought from the store.

Sums add, and a period's are made of its own rows, so each period is kept by itself: a run of the next month brings one
period, however far back its charts look. The key of an entry is a digest of the rules (definition, segments, timezone,
the code that sums) and of the files that its rows lie in, which are never changed once they are written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib.data.kept import PLACE, Kept
from cxlib.errors import UsageError
from cxlib.params.models import Metric, Part, Segment
from cxlib.periods import Period
from cxlib.reports.context import Context
from cxlib.reports.phrased import Phrased

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.data.store import Store
    from cxlib.measure.reads import Read

Cut = tuple[Segment, ...]

# What makes sums, and the packages that they run on.
_ROWS = ("columns", "consent", "identity", "repeats", "rules", "tables", "views")
_SOURCES = ("measure/**/*.py", "contract.py", "expressions.py", "periods.py", *(f"data/{name}.py" for name in _ROWS))
_PACKAGES = ("duckdb", "ibis-framework", "pandas", "pyarrow", "sqlglot", "tzdata")
# What of a definition changes no sum: words, and what is made of the sums afterwards. All else is taken to change them.
_WORDS = {
    "id", "title", "question", "caveats", "owner", "version", "target", "change_that_matters", "higher_is_better",
    "min_n", "unit", "scale", "quantile",
}  # fmt: skip


@dataclass
class Sums:
    """Brings sums, and keeps them where there is a cache.

    Parameters
    ----------
    context
        Of the run.
    store
        Opens the store, or returns the open one.
    kept
        The cache; None for none.
    """

    context: Context
    store: Callable[[], Store]
    kept: Kept | None = None
    _digests: dict[tuple[str, frozenset[str] | None], str] = field(default_factory=dict, repr=False)
    _people: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)  # left out, by table and month

    def moments(
        self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period], rolling: int = 1
    ) -> pd.DataFrame:
        """Return the frame of `plans.plan`."""
        from cxlib.measure import plans

        asked = self._asked("moments", metric, segments, _by_label(periods, rolling), str(rolling))
        return asked.frame(lambda new: self.run(plans.plan, metric, new, segments, rolling=rolling), _by_period)

    def together(
        self, metrics: Sequence[Metric], segments: Sequence[Segment], periods: Sequence[Period]
    ) -> dict[str, pd.DataFrame]:
        """Return metric id -> the frame of `plans.plan`, for those that need no query of their own.

        Left out are metrics of no family, and those that cannot be given: asked for by itself each says why.
        """
        found: dict[str, pd.DataFrame] = {}
        lacking: dict[tuple[Period, ...], list[_Asked]] = {}
        for metric in metrics:
            asked = self._asked("moments", metric, segments, _by_label(periods, 1), "1")
            if asked.missing:
                lacking.setdefault(tuple(asked.missing), []).append(asked)
            else:
                found[metric.id] = asked.frame(None, _by_period)
        for new, group in lacking.items():
            found |= self._families(group, segments, new)
        return found

    def _families(
        self, group: Sequence[_Asked], segments: Sequence[Segment], new: Sequence[Period]
    ) -> dict[str, pd.DataFrame]:
        """Bring the same periods of several metrics, those of a family in one query."""
        from cxlib.measure import plans

        found: dict[str, pd.DataFrame] = {}
        asked_by = {asked.metric.id: asked for asked in group}
        for family in plans.families([asked.metric for asked in group]):
            if len(family) == 1:
                continue
            try:
                frame = self.run(plans.together, family, new, segments)
            except (plans.Undefined, UsageError):
                continue
            for metric in family:
                own = frame[frame["metric"] == metric.id].drop(columns="metric").reset_index(drop=True)
                found[metric.id] = asked_by[metric.id].frame(_given(own), _by_period)
        return found

    def apart(
        self, metrics: Sequence[Metric], segments: Sequence[Segment], periods: Sequence[Period]
    ) -> dict[tuple[str, str], pd.DataFrame]:
        """Return (metric id, segment id) -> the frame of `plans.plan` by this segment, all segments in one query.

        Left out are those that the workspace cannot give, and what cannot be brought so.
        """
        from cxlib.measure.derived import holds

        found: dict[tuple[str, str], pd.DataFrame] = {}
        lacking: dict[tuple[tuple[Period, ...], Cut], dict[str, _Asked]] = {}
        twins: dict[str, list[Metric]] = {}  # two quantiles of the same values are made of the same counts
        for metric in metrics:
            twins.setdefault(metric.model_dump_json(exclude=_WORDS), []).append(metric)
        for metric, *_ in twins.values():
            cuts = [segment for segment in segments if holds(self.store().tables, metric.table, segment)]
            for cut in _sides(cuts, at_once=not isinstance(metric.denominator, Part)):
                asked = self._asked("apart", metric, cut, _by_label(periods, 1))
                if asked.missing:
                    lacking.setdefault((tuple(asked.missing), cut), {})[metric.id] = asked
                else:
                    found |= _parted(metric, cut, asked.frame(None, _by_period))
        for (new, cut), group in lacking.items():
            found |= self._each_apart(group, cut, new)
        first = {metric.id: one.id for one, *others in twins.values() for metric in (one, *others)}
        both = product(first.items(), segments)
        return {(name, s.id): found[one, s.id] for (name, one), s in both if (one, s.id) in found}

    def _each_apart(
        self, asked: Mapping[str, _Asked], cut: Cut, new: Sequence[Period]
    ) -> dict[tuple[str, str], pd.DataFrame]:
        """Bring the same periods of several metrics by the same segments, those of a family in one query."""
        from cxlib.measure import plans

        found: dict[tuple[str, str], pd.DataFrame] = {}
        for family in plans.families([one.metric for one in asked.values()]):
            frame = self._by_each(family, cut, new)
            if frame is None:
                continue
            for metric in family:
                own = frame[frame["metric"] == metric.id].drop(columns="metric").reset_index(drop=True)
                found |= _parted(metric, cut, asked[metric.id].frame(_given(own), _by_period))
        return found

    def _by_each(
        self, family: Sequence[Metric], segments: Sequence[Segment], new: Sequence[Period]
    ) -> pd.DataFrame | None:
        """Return the frame of `plans.together` by each of several segments; None where it cannot be brought."""
        from cxlib.measure import plans

        try:
            if len(family) > 1:
                return self.run(plans.together, family, new, segments, apart=True)
            return self.run(plans.plan, family[0], new, segments, apart=True).assign(metric=family[0].id)
        except (plans.Undefined, UsageError):
            return None

    def overlaps(
        self, metric: Metric, segments: Sequence[Segment], pairs: Sequence[tuple[Period, Period]]
    ) -> pd.DataFrame:
        """Return the frame of `plans.overlaps`."""
        from cxlib.measure import plans

        items = {f"{one.label} {other.label}": ((one, other), [one, other]) for one, other in pairs}
        asked = self._asked("overlaps", metric, segments, dict(sorted(items.items())))
        return asked.frame(lambda new: self.run(plans.overlaps, metric, new, segments), _by_pair)

    def joint(self, metric: Metric, segments: Sequence[Segment], periods: Sequence[Period]) -> pd.DataFrame:
        """Return the frame of `plans.joint`: products of every two cells, so all periods are one entry."""
        from cxlib.measure import plans

        label = " ".join(period.label for period in sorted(set(periods)))
        asked = self._asked("joint", metric, segments, {label: (label, list(periods))}, label)
        return asked.frame(lambda _: self.run(plans.joint, metric, periods, segments), lambda _: label)

    def joints(self, metric: Metric, cuts: Sequence[Cut], periods: Sequence[Period]) -> dict[Cut, pd.DataFrame]:
        """Return the frame of `plans.joint` for each cut, all brought in one query.

        Left out are cuts that cannot be given so: asked for by itself each says why.
        """
        from cxlib.measure.joints import fits

        label = " ".join(period.label for period in sorted(set(periods)))
        items = {label: (label, list(periods))}
        asked = {cut: self._asked("joint", metric, cut, items, label) for cut in cuts} if fits(metric) else {}
        brought = self._cut_apart(metric, [cut for cut, one in asked.items() if one.missing], periods)
        return {
            cut: one.frame(_given(brought[cut]) if cut in brought else None, lambda _: label)
            for cut, one in asked.items()
            if cut in brought or not one.missing
        }

    def _cut_apart(self, metric: Metric, cuts: Sequence[Cut], periods: Sequence[Period]) -> dict[Cut, pd.DataFrame]:
        """Bring the joint sums of those cuts that the workspace can give, in one query."""
        from cxlib.measure import plans
        from cxlib.measure.joints import CUT

        if len(cuts) < 2:
            return {}
        try:
            frame = self.run(plans.joints, metric, periods, cuts)
        except (plans.Undefined, UsageError):
            given = [cut for cut in cuts if all(self._gives(metric, segment, periods) for segment in cut)]
            return self._cut_apart(metric, given, periods) if len(given) < len(cuts) else {}
        parts = {number: part.drop(columns=CUT).reset_index(drop=True) for number, part in frame.groupby(CUT)}
        return {cut: parts.get(number, frame.iloc[:0].drop(columns=CUT)) for number, cut in enumerate(cuts)}

    def _gives(self, metric: Metric, segment: Segment, periods: Sequence[Period]) -> bool:
        """Say whether the workspace has what a metric needs to be cut by a segment."""
        from cxlib.measure import plans

        about = self.context
        try:
            plans.plan(
                metric, self.store().tables, periods, timezone=about.workspace.timezone, segments=[segment],
                touchpoints=about.touchpoints,
            )  # fmt: skip
        except (plans.Undefined, UsageError):
            return False
        return True

    def run(
        self, plan: Callable[..., ir.Table], metric: Any, what: Sequence[Any], segments: Sequence[Any], **more: Any
    ) -> pd.DataFrame:
        """Run a plan of a metric, or of several, in the store."""
        asked = Phrased(self.context, plan, metric, what, segments, more)
        return asked.run(self.store(), self.kept, _code())

    def _asked(
        self, kind: str, metric: Metric, segments: Sequence[Segment],
        items: Mapping[str, tuple[Any, Sequence[Period]]], *more: str,
    ) -> _Asked:  # fmt: skip
        """Look up what is kept of a request."""
        if self.kept is None:
            return _Asked(metric, items, None, "", [])
        from cxlib.measure import reads

        about = self.context.workspace
        words = [_code(), kind, metric.model_dump_json(exclude=_WORDS), about.timezone, *more]
        words += [segment.model_dump_json(exclude=_WORDS) for segment in segments]
        words.append(about.repeated_responses.model_dump_json())
        places = self.context.touchpoints.values()
        if reads.asks_taxonomy(metric, segments):
            words += [touchpoint.model_dump_json() for touchpoint in places]
        words += [touchpoint.model_dump_json(include={"id", "names"}) for touchpoint in places if touchpoint.names]
        needed = sorted(reads.reads(metric, segments, about.repeated_responses))
        keys = [self._key(label, periods, needed) for label, (_, periods) in items.items()]
        return _Asked(metric, items, self.kept, f"{kind}-{_digest(words)}", keys)

    def _key(self, label: str, periods: Sequence[Period], needed: Sequence[Read]) -> str:
        """Return the key of one entry: which periods, and the files that they are made of."""
        from cxlib.measure import reads

        zone = self.context.workspace.timezone
        words = [label, *(str(period.bounds(zone)) for period in periods)]
        for one in needed:
            months = None if one.whole else frozenset(reads.months(one, periods, zone))
            words.append(self._content(one.table, months))
        return _digest(words)

    def _content(self, table: str, months: frozenset[str] | None) -> str:
        """Return a digest of a table's columns and of its files of some months, or of all."""
        known = self._digests.get((table, months))
        if known is None:
            pinned = self.store().pinned(table)
            words = [table]
            if pinned is not None:
                words += [f"{name} {kind}" for name, kind in sorted(pinned.columns.items())]
                for month, files in sorted(pinned.months.items()):
                    if months is None or month in months or not _is_month(month):
                        words += [f"{month}/{Path(file).name}" for file in files]
                if table not in self._people:
                    self._people[table] = dict(sorted(self.store().left_out(table).items()))
                people = self._people[table].items()
                words += [f"without {some}" for month, some in people if months is None or month in months]
            known = self._digests[table, months] = _digest(words)
        return known


class _Asked:
    """One request: what of it is kept, and what has to be brought."""

    def __init__(
        self, metric: Metric, items: Mapping[str, tuple[Any, Sequence[Period]]], kept: Kept | None, shelf: str,
        keys: Sequence[str],
    ) -> None:  # fmt: skip
        self.metric, self._items, self._kept, self._shelf = metric, items, kept, shelf
        self._keys = dict(zip(items, keys, strict=False))
        self._found = kept.read(shelf, keys) if kept else None
        known = self._found.keys if self._found else frozenset()
        self._labels = [label for label in items if self._keys.get(label) not in known]

    @property
    def missing(self) -> list[Any]:
        """What has to be brought, in order."""
        return [self._items[label][0] for label in self._labels]

    def frame(
        self, bring: Callable[[list[Any]], pd.DataFrame] | None, label_of: Callable[[pd.DataFrame], Any]
    ) -> pd.DataFrame:
        """Return all rows in the order of the items; what `bring` has to fetch is kept.

        `label_of` says which item each row of what was brought belongs to.
        """
        found = bring(self.missing) if bring and (self._labels or not self._items) else None
        if self._kept is None or self._found is None:
            return found if found is not None else pd.DataFrame()
        order = {label: place for place, label in enumerate(self._items)}
        parts = [self._found.frame] if self._found.keys else []
        if found is not None:
            label = pd.Series(label_of(found), index=found.index)
            own = {label: place for place, label in enumerate(self._labels)}
            self._kept.keep(
                self._shelf, [self._keys[label] for label in self._labels],
                found.assign(**{PLACE: label.map(own).astype("int64")}),
            )  # fmt: skip
            if not parts:
                return found
            parts.append(found.assign(**{PLACE: label.map(order).astype("int64")}))
        frames = [part for part in parts if len(part)] or parts[-1:]
        both = pd.concat(frames, ignore_index=True).sort_values(PLACE, kind="stable", ignore_index=True)
        return both.drop(columns=PLACE)


def _sides(segments: Sequence[Segment], *, at_once: bool) -> list[Cut]:
    """Return the cuts of one query: all segments at once, or those of customers and those of events."""
    sides = [segments] if at_once else [[one for one in segments if one.on == on] for on in ("customers", "event")]
    return [tuple(side) for side in sides if side]


def _parted(metric: Metric, cut: Cut, frame: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Return (metric id, segment id) -> the rows of each segment of a plan that was cut by all of them apart."""
    names = frame["level"].str.partition(" x ").reindex(columns=range(3), fill_value="")  # of no row: no columns
    frame, place = frame.assign(level=names[2]), names[0]
    return {
        (metric.id, segment.id): frame[place == str(number)].reset_index(drop=True)
        for number, segment in enumerate(cut)
    }


def _given(frame: pd.DataFrame) -> Callable[[list[Any]], pd.DataFrame]:
    """Return what brings a frame that is there already."""
    return lambda _: frame


def _by_label(periods: Sequence[Period], rolling: int) -> dict[str, tuple[Period, list[Period]]]:
    """Return label -> a period and all that it stands for, in the order of a plan's rows."""
    return {period.label: (period, period.last(rolling)) for period in sorted(set(periods), key=lambda one: one.label)}


def _by_period(frame: pd.DataFrame) -> pd.Series[str]:
    return frame["period"]


def _by_pair(frame: pd.DataFrame) -> pd.Series[str]:
    return frame["period"] + " " + frame["against"]


def _is_month(name: str) -> bool:
    return len(name) == 7 and name[4] == "-" and (name[:4] + name[5:]).isdigit()


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


@cache
def _code() -> str:
    """Return a digest of what makes sums: the source of this package, and the versions of what it runs on."""
    package = Path(__file__).resolve().parents[1]
    paths = sorted(path for pattern in _SOURCES for path in package.glob(pattern))
    words = [
        f"{path.relative_to(package).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths
    ]
    return _digest([*words, *(f"{name} {_version(name)}" for name in _PACKAGES)])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
