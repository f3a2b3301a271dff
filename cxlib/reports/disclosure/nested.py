"""Populations within populations: whose rows are all among another's, by the conditions of their filters.

What is shown of all answers less what is shown of those to one question is the answers to the others. A filter is split
into the conditions that are joined by `and`; of two filters on the same table, time and window the one with more of
them has fewer rows. That a column is filled in is no condition here: often it always is, and who subtracts will try.

Only what people said and were asked is looked at so (`ASKED`): of what they did and what was done to them, metrics
overlap in so many ways that a small company could publish nothing, and how many calls were no complaints tells of
nobody's words.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cxlib import contract
from cxlib.errors import UsageError
from cxlib.expressions import parse
from cxlib.params.models import Metric
from cxlib.reports.disclosure.numbers import ROWS, Key, Number

if TYPE_CHECKING:
    from cxlib.reports.disclosure.families import Published

Family = list[tuple[Number, float]]
ASKED = ("responses", "invitations")
_NEAR = 1e-6
_MOST = 64  # sets of disjoint parts that are looked at for one population


@dataclass(frozen=True)
class Condition:
    """One condition of a filter: a column that has, or has not, one of some values; else its tree as text."""

    about: str
    values: frozenset[str] = frozenset()
    among: bool = True

    def implies(self, other: Condition) -> bool:
        """Whether each row that meets this meets the other."""
        if self.about != other.about or not (self.values and other.values):
            return self == other
        if self.among:
            return self.values <= other.values if other.among else self.values.isdisjoint(other.values)
        return not other.among and other.values <= self.values

    def excludes(self, other: Condition) -> bool:
        """Whether no row meets both."""
        if not (self.values and other.values):
            return self.about == f"not {other.about}" or other.about == f"not {self.about}"
        if self.about != other.about or not (self.among or other.among):
            return False
        if self.among and other.among:
            return self.values.isdisjoint(other.values)
        return self.values <= other.values if self.among else other.values <= self.values

    def met(self, value: str) -> bool:
        """Whether a value of the column meets it."""
        return (value in self.values) == self.among


@dataclass(frozen=True)
class Rows:
    """The rows of a population: their source, and the conditions that they meet."""

    source: tuple[str, str, str]
    conditions: frozenset[Condition]

    def inside(self, other: Rows) -> bool:
        """Whether these rows are among the other's, and need not be all of them."""
        return self != other and self.source == other.source and all(
            any(mine.implies(theirs) for mine in self.conditions) for theirs in other.conditions
        )  # fmt: skip

    def apart(self, other: Rows) -> bool:
        """Whether no row is of both."""
        return any(mine.excludes(theirs) for mine in self.conditions for theirs in other.conditions)


def rows_of(metric: Metric) -> Rows:
    """Return the rows that a metric looks at."""
    return Rows((metric.table, metric.time, metric.window), conditions(metric.filter))


@lru_cache(maxsize=4096)
def conditions(text: str) -> frozenset[Condition]:
    """Return the conditions of a filter, but for those that a column is filled in."""
    if not text.strip():
        return frozenset()
    try:
        tree: ast.expr = parse(text).tree
    except UsageError:  # a definition that is not of this version: as one condition
        return frozenset({Condition(text)})
    return frozenset(_condition(part) for part in _joined(tree) if not _filled(part))


def _joined(tree: ast.expr) -> Iterator[ast.expr]:
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        for part in tree.values:
            yield from _joined(part)
    else:
        yield tree


def _filled(tree: ast.expr) -> bool:
    """Tell `not is_null(column)`, and `true`."""
    return ast.unparse(tree).startswith("not is_null(") or (isinstance(tree, ast.Name) and tree.id == "true")


def _condition(tree: ast.expr) -> Condition:
    whole = Condition(ast.unparse(tree))
    if not (isinstance(tree, ast.Compare) and len(tree.ops) == 1 and isinstance(tree.left, ast.Name)):
        return whole
    operator, side = tree.ops[0], tree.comparators[0]
    values = side.elts if isinstance(side, ast.Tuple | ast.List) else [side]
    if not isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
        return whole
    if not all(isinstance(one, ast.Constant) for one in values):
        return whole
    named = frozenset(str(one.value) for one in values if isinstance(one, ast.Constant))
    among = isinstance(operator, ast.Eq | ast.In)
    if tree.left.id == "instrument" and not among:
        left = frozenset(contract.INSTRUMENTS) - named
        return Condition("instrument", left) if left else whole
    return Condition(tree.left.id, named, among)


def disjoint(parts: Mapping[str, Rows]) -> list[tuple[str, ...]]:
    """Return the largest sets of parts of which no two have a row in common; no more than some."""
    found: list[tuple[str, ...]] = []

    def grow(chosen: tuple[str, ...], left: Sequence[str], passed: Sequence[str]) -> None:
        if len(found) >= _MOST:
            return
        if not left and not passed:
            found.append(chosen)
        for at, name in enumerate(left):
            free = [one for one in left[at + 1 :] if parts[one].apart(parts[name])]
            gone = [one for one in (*passed, *left[:at]) if parts[one].apart(parts[name])]
            grow((*chosen, name), free, gone)

    grow((), sorted(parts), ())
    return [one for one in found if one]


def related(metrics: Mapping[str, Metric], names: Collection[str]) -> set[str]:
    """Return the metrics that have rows within those of some, or around them, or beside them within a third's."""
    rows = {name: rows_of(metric) for name, metric in metrics.items() if metric.table in ASKED}
    known = set(rows.values())
    mine = {rows[name] for name in names if name in rows}
    around = {one for one in known if one in mine or any(own.inside(one) for own in mine)}
    pairs = {(one, other) for other in around for one in known if one.inside(other)}
    both = {one for pair in pairs for one in pair}
    return {name for name, one in rows.items() if one in both}


def by_level(inner: Rows, outer: Rows, column: str) -> list[Condition]:
    """Return the conditions on a column that make the inner rows of the outer ones; none where it takes others too."""
    more = [one for one in inner.conditions if not any(theirs.implies(one) for theirs in outer.conditions)]
    return more if all(one.about == column and one.values for one in more) else []


def sums(published: Published) -> Iterator[Family]:
    """Yield populations less disjoint parts of them, cell by cell: what is left are people, too.

    Where all of a period is in the parts nothing is left in any cell. Where everything is known only a rest of too few
    customers is worth telling; the rest's name is in `published.rests`.
    """
    known = {key for key in published.levels if key[0] == ROWS}
    named = _populations(published, {key[1] for key in known})
    for outer, rows in named.items():
        parts = {name: one for name, one in named.items() if one.inside(rows) and name != outer}
        if not parts or outer in published.metrics:  # a metric's own counts leave out some of its rows
            continue
        sets: dict[frozenset[str], list[tuple[str, ...]]] = {}
        for key in sorted(key for key in known if key[1] == outer):
            here = frozenset(name for name in parts if (ROWS, name, *key[2:]) in known)
            if here not in sets:
                sets[here] = disjoint({name: parts[name] for name in here})
            for chosen in sets[here]:
                yield from _rests(published, key, chosen)
        yield from _over_levels(published, outer, rows, parts)


def _populations(published: Published, names: Collection[str]) -> dict[str, Rows]:
    """Return the populations that are shown, or some of whose rows are, by whose counts they are."""
    found = {}
    asked = {name: metric for name, metric in published.metrics.items() if metric.table in ASKED}
    for name, metric in asked.items():
        for of in published.counts(name):
            if of in names:
                found[of] = rows_of(metric)
    return found


def _rests(published: Published, key: Key, chosen: Sequence[str]) -> Iterator[Family]:
    """Yield what is left of each cell of a population once some parts are taken from it."""
    outer, of = key[1], " less ".join((key[1], *chosen))
    whole = _left(published, Number(ROWS, outer, "all", *key[3:], "all"), chosen)
    if whole is not None and whole < -_NEAR:  # they are no parts of it, or not of the same day
        return
    for level in sorted(published.levels[key]):
        number = Number(*key, level)
        family = [(number, 1.0), *((number._replace(of=name), -1.0) for name in _having(published, key, chosen, level))]
        left = _left(published, number, chosen)
        if len(family) == 1 or (left is not None and not _NEAR < left < published.enough(outer) - _NEAR):
            continue  # nobody, or enough
        published.rests[of] = outer
        if whole is not None and abs(whole) <= _NEAR:
            yield family
            continue
        rest = number._replace(of=of)
        if left is not None:
            published.sought.add(rest)
        yield [*family, (rest, -1.0)]


def _having(published: Published, key: Key, chosen: Sequence[str], level: str) -> list[str]:
    """Return the parts that have anybody in a cell."""
    return [name for name in chosen if level in published.levels[ROWS, name, *key[2:]]]


def _left(published: Published, number: Number, chosen: Sequence[str]) -> float | None:
    """Return how many are left in a cell; None where a number is not known."""
    key = number[:5]
    if key not in published.levels or any((ROWS, name, *key[2:]) not in published.levels for name in chosen):
        return None
    names = _having(published, key, chosen, number.level)
    told = [published.known.get(one) for one in (number, *(number._replace(of=name) for name in names))]
    if any(one is None for one in told):
        return None
    first, *rest = (one.value for one in told if one is not None)
    return first - sum(rest)


def _over_levels(published: Published, outer: str, rows: Rows, parts: Mapping[str, Rows]) -> Iterator[Family]:
    """Yield parts that are the sum of some levels of a cut, by a filter on the column of that cut."""
    for key in sorted(key for key in published.levels if key[:2] == (ROWS, outer)):
        column = published.columns.get(key[2], "")
        if not column:
            continue
        for name, part in parts.items():
            found, whole = by_level(part, rows, column), (ROWS, name, "all", *key[3:])
            if not found or whole not in published.levels:
                continue
            inside = [x for x in sorted(published.levels[key]) if all(one.met(x) for one in found)]
            if inside:
                yield [*((Number(*key, x), 1.0) for x in inside), (Number(*whole, "all"), -1.0)]
