"""The attacker: how closely hidden numbers can be worked out from sums that are known.

Two questions about a system of sums (Hundepool et al. 2012, Statistical Disclosure Control, section 4.3; Fischetti and
Salazar 2001, Solving the cell suppression problem): which hidden numbers are determined exactly, by linear algebra, and
within which bounds each of the others must lie, by two linear programmes each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_EXACT = 1e-7
Var = TypeVar("Var", bound=Hashable)
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Sum(Generic[Var]):
    """Hidden numbers that add up, each times its factor, to something known."""

    factors: Mapping[Var, float]
    total: float


@dataclass(frozen=True)
class Scores(Generic[Var]):
    """What is known of a hidden sum of answers: how many there are, or which hidden number says so, and their range."""

    count: Var | float
    low: float
    high: float


def determined(sums: Sequence[Sum[Var]]) -> set[Var]:
    """Return the hidden numbers that the sums determine, whatever their bounds: unit vectors of the row space."""
    found: set[Var] = set()
    for names, rows in _parts(sums, {}):
        matrix = _matrix(names, rows)
        _, size, right = np.linalg.svd(matrix, full_matrices=True)
        rank = int((size > _EXACT * max(matrix.shape) * size.max(initial=0)).sum())
        free = np.abs(right[rank:]).max(axis=0, initial=0)  # how much each can move without any sum changing
        found |= {name for name, move in zip(names, free, strict=True) if move < _EXACT}
    return found


def intervals(
    sums: Sequence[Sum[Var]],
    scores: Mapping[Var, Scores[Var]] | None = None,
    enough: Callable[[Var, float, float], bool] | None = None,
    memo: dict[Any, dict[Var, Bounds]] | None = None,
) -> dict[Var, Bounds]:
    """Return within which bounds each hidden number must lie.

    Parameters
    ----------
    sums
        What is known of them together. None is below zero, but for those that `scores` says otherwise of.
    scores
        Hidden sums of answers: each lies between its count times the lowest and the highest answer there is.
    enough
        Says of a number and two values that it may have whether bounds as wide need not be found any wider.
    memo
        Answers of earlier calls, by what they were about: most of a system is as it was after one number is hidden.

    Returns
    -------
    dict
        Number -> lowest and highest value. Where what is known contradicts itself (pages of different data), numbers
        that are determined exactly have equal bounds and all others none.
    """
    scores = scores or {}
    found: dict[Var, Bounds] = {}
    for names, rows in _parts(sums, scores):
        counts = [name for name in names if name not in scores]
        if len(rows) == 1 and len(counts) == len(names) and set(rows[0].factors.values()) == {1.0}:
            found |= dict.fromkeys(names, (0.0 if len(names) > 1 else rows[0].total, rows[0].total))
            continue
        found |= _pool(names, rows, scores) or _remembered(names, rows, scores, enough or _never, memo)
    return found


def _remembered(
    names: Sequence[Var], rows: Sequence[Sum[Var]], scores: Mapping[Var, Scores[Var]],
    enough: Callable[[Var, float, float], bool], memo: dict[Any, dict[Var, Bounds]] | None,
) -> dict[Var, Bounds]:  # fmt: skip
    """Return the bounds of one part of a system; those found before where it is the same and asks of the same."""
    if memo is None:
        return _programmes(names, rows, scores, enough)
    passed = frozenset(name for name in names if enough(name, np.inf, -np.inf))
    told = frozenset((name, scores[name]) for name in names if name in scores)
    key = frozenset((frozenset(row.factors.items()), row.total) for row in rows), told, passed
    if key not in memo:
        memo[key] = _programmes(names, rows, scores, enough)
    return memo[key]


def _pool(names: Sequence[Var], rows: Sequence[Sum[Var]], scores: Mapping[Var, Scores[Var]]) -> dict[Var, Bounds]:
    """Return the bounds where the counts of some cells add up, and so do their answers: without a programme.

    Of one cell and all others together. With n for its count, N for that of all and Y for their answers, its own
    answers y lie between max(low n, Y - high (N - n)) and min(high n, Y - low (N - n)): both are extreme at n = 0,
    n = N or where the two lines meet.
    """
    answers = [name for name in names if name in scores]
    sizes = [scores[name].count for name in answers]
    ranges = {(scores[name].low, scores[name].high) for name in answers}
    if len(rows) != 2 or len(ranges) != 1 or any(set(row.factors.values()) != {1.0} for row in rows):
        return {}
    by_kind = {frozenset(row.factors): row.total for row in rows}
    mine, theirs = frozenset(answers), frozenset(name for name in names if name not in scores)
    if set(by_kind) != {mine, theirs} or set(sizes) != theirs or len(answers) < 2:
        return {}
    ((low, high),), total, n = ranges, by_kind[mine], by_kind[theirs]
    if not 0 < n < np.inf or high <= low or total < low * n or total > high * n:
        return {}
    if low == 0 and not np.isfinite(high):
        return dict.fromkeys(theirs, (0.0, n)) | dict.fromkeys(mine, (0.0, total))
    meet_high, meet_low = (total - low * n) / (high - low), (high * n - total) / (high - low)
    upper, lower = max(0.0, total, high * meet_high), min(0.0, total, low * meet_low)
    return dict.fromkeys(theirs, (0.0, n)) | dict.fromkeys(mine, (lower, upper))


def _programmes(
    names: Sequence[Var],
    rows: Sequence[Sum[Var]],
    scores: Mapping[Var, Scores[Var]],
    enough: Callable[[Var, float, float], bool],
) -> dict[Var, Bounds]:
    """Return the bounds by two linear programmes for each number (HiGHS).

    Each solution says a possible value of every number: what is seen to be wide enough needs no programme of its own.
    """
    from scipy.optimize import linprog

    place = {name: number for number, name in enumerate(names)}
    known = {"A_eq": _matrix(names, rows), "b_eq": np.array([row.total for row in rows])}
    limits: list[NDArray[np.float64]] = []
    caps: list[float] = []
    for name in (name for name in names if name in scores):
        for line, cap in _between(place, name, scores[name]):
            limits.append(line)
            caps.append(cap)
    more = {"A_ub": np.array(limits), "b_ub": np.array(caps)} if limits else {}
    bounds = [(None if name in scores else 0.0, None) for name in names]
    lowest, highest = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for name in names:
        if enough(name, lowest[place[name]], highest[place[name]]):
            continue
        aim = np.zeros(len(names))
        aim[place[name]] = 1.0
        ends = [linprog(sign * aim, **known, **more, bounds=bounds, method="highs") for sign in (1, -1)]
        if any(end.status == 2 for end in ends):
            exact = determined(rows)
            return {one: (0.0, 0.0) if one in exact else (-np.inf, np.inf) for one in names}
        for end in (end for end in ends if end.status == 0):
            lowest, highest = np.minimum(lowest, end.x), np.maximum(highest, end.x)
        low, high = (float(end.fun) if end.status == 0 else -np.inf for end in ends)
        lowest[place[name]], highest[place[name]] = low, -high
    return {name: (float(lowest[at]), float(highest[at])) for name, at in place.items()}


def _never(*_: object) -> bool:
    """Say that bounds are wanted as they are."""
    return False


def _between(place: Mapping[Var, int], name: Var, told: Scores[Var]) -> Iterable[tuple[NDArray[np.float64], float]]:
    """Yield that a sum of answers is at most its count times the highest, and at least its count times the lowest."""
    for sign, end in ((1.0, told.high), (-1.0, told.low)):
        if not np.isfinite(end):
            continue
        line = np.zeros(len(place))
        line[place[name]] = sign
        if isinstance(told.count, float):
            yield line, sign * end * told.count
            continue
        line[place[told.count]] = -sign * end
        yield line, 0.0


def _matrix(names: Sequence[Var], rows: Sequence[Sum[Var]]) -> NDArray[np.float64]:
    place = {name: number for number, name in enumerate(names)}
    matrix = np.zeros((len(rows), len(names)))
    for number, row in enumerate(rows):
        for name, factor in row.factors.items():
            matrix[number, place[name]] = factor
    return matrix


def _parts(sums: Sequence[Sum[Var]], scores: Mapping[Var, Scores[Var]]) -> list[tuple[list[Var], list[Sum[Var]]]]:
    """Split a system into parts that say nothing of each other."""
    root: dict[Var, Var] = {}

    def find(name: Var) -> Var:
        while root.setdefault(name, name) != name:
            root[name] = name = root[root[name]]
        return name

    ties = [list(row.factors) for row in sums]
    ties += [[name, told.count] for name, told in scores.items() if not isinstance(told.count, float)]
    for names in ties:
        for name in names[1:]:
            root[find(name)] = find(names[0])
        find(names[0])
    members: dict[Var, list[Var]] = {}
    for name in list(root):
        members.setdefault(find(name), []).append(name)
    rows: dict[Var, list[Sum[Var]]] = {}
    for row in sums:
        rows.setdefault(find(next(iter(row.factors))), []).append(row)
    return [(names, rows[top]) for top, names in members.items() if top in rows]
