"""Where did it move differently? Every level of many segments, and of pairs of them, against all others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.measure import intervals, kitagawa
from cxlib.measure.decomposition import scale_of
from cxlib.measure.joint import Joint
from cxlib.measure.levelled import BETWEEN
from cxlib.measure.linearised import Book, Grid, grid
from cxlib.measure.moments import Numbers
from cxlib.measure.verdicts import judge
from cxlib.params import Metric, definition_hash

__all__ = ["AGAINST", "find"]

Prints = dict[str, tuple[float, ...]]

AGAINST = "against the rest"
_METHOD = "difference of differences, like for like, delta method"
_SHARED = "difference from the rest's growth, delta method"
_FEW, _ALONE = "fewer customers than may be shown", "too few others to compare with"


def find(
    joints: Mapping[str, Joint],
    before: str,
    after: str,
    metric: Metric,
    *,
    alpha: float = 0.05,
    confidence: float = 0.95,
    min_n: int = 10,
    definition: str = "",
) -> pd.DataFrame:
    """Find the levels that moved differently from the rest.

    Parameters
    ----------
    joints
        Segment -> sums by period and level. A pair of segments is named `region x plan` and has levels `North x Pro`.
    before, after
        Labels of the two periods.
    metric
        The definition that the joints were made by.
    alpha
        Of the false discovery rate.
    confidence
        Of the intervals, which are not adjusted.
    min_n
        Levels with fewer answers or distinct customers in a period are counted, not tested; nor are those whose rest
        has so few. A metric may ask for more.
    definition
        Hash of the definition; worked out if left out.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, `at = "against the rest"`, `against` the earlier period: by how
        much more the level changed than the others of its segment did like for like (`kitagawa.against_rest`: their mix
        is left out); over a shared denominator, than it would have in proportion to the others. `p_adjusted` by
        Benjamini and Hochberg (1995) over every level tested in all segments; `verdict` by `changes.judge`: `moved`
        means differently from the rest. n counts the level's answers in both periods. Levels that were not tested are
        `suppressed`, those that a period lacks `undefined`.

        Nothing is tested twice: of two levels the smaller stands for both, a level of a pair that is the same as one of
        its segments is left out, and so is a segment that is the same as an earlier one. Segments by name, pairs last.

    Raises
    ------
    UsageError
        For a confidence outside (0, 1).
    """
    intervals.check_confidence(confidence)
    least, parts = max(min_n, metric.min_n or 0), []
    known: dict[str, Prints] = {}
    for segment in sorted(joints, key=lambda name: (name.count(BETWEEN), name)):
        joint = joints[segment]
        joint = joint.take(joint.keys["period"].isin([before, after]).to_numpy())
        prints = _prints(joint, grid(joint, before, after))
        fresh = _fresh(segment, prints, known)
        if len(prints) > 1 and fresh and set(joint.keys["period"]) == {before, after}:
            parts.append(_tested(joint, segment, fresh, (before, after), scale_of(metric), confidence, least))
        known[segment] = prints
    found = results.concat(parts)
    labels = {"metric": metric.id, "definition": definition or definition_hash(metric)}
    return judge(results.label(found, **labels), [metric], alpha=alpha, confidence=confidence)


def _prints(joint: Joint, cells: Grid) -> Prints:
    """Return what tells the rows of a level from those of another: all sums of both periods."""
    diagonals = [np.diag(one) for one in (joint.both, joint.yy, joint.xy, joint.xx)]
    columns = np.stack([joint.rows, joint.y, joint.x, joint.y2, *diagonals])
    padded = np.append(columns, np.zeros((len(columns), 1)), axis=1)
    return {level: tuple(padded[:, cells.place[:, i]].ravel().tolist()) for i, level in enumerate(cells.levels)}


def _fresh(segment: str, prints: Prints, known: Mapping[str, Prints]) -> list[str]:
    """Return the levels that are not another segment's already."""
    if any(sorted(prints.values()) == sorted(other.values()) for other in known.values()):
        return []
    names = segment.split(BETWEEN)
    one, other = (known.get(name, {}) for name in names) if len(names) == 2 else ({}, {})
    taken = {
        level
        for level, own in prints.items()
        if any(own == whole and level.startswith(name + BETWEEN) for name, whole in one.items())
        or any(own == whole and level.endswith(BETWEEN + name) for name, whole in other.items())
    }
    return [level for level in prints if level not in taken]


def _tested(
    joint: Joint, segment: str, fresh: list[str], periods: tuple[str, str], scale: float, confidence: float, least: int
) -> pd.DataFrame:
    """Return the rows of one segment, before they are judged."""
    cells = grid(joint, *periods)
    formula = kitagawa.beyond_rest if joint.shared else kitagawa.against_rest
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = formula(cells.y, cells.x)
        book = Book(joint, cells, scale, confidence)
        found = book.rows(
            terms, "difference", cells.levels, _SHARED if joint.shared else _METHOD, n=cells.rows.sum(axis=0),
            single=True, at=AGAINST,
        )  # fmt: skip
    own, rest = _sizes(joint, cells)
    lacks = (cells.place < 0).any(axis=0)
    small, alone = ~lacks & (own < least), ~lacks & (own >= least) & (rest < least)
    gone = np.where(cells.place[0] < 0, f"none in {periods[0]}", f"none in {periods[1]}")
    status = np.select([lacks, small | alone], [results.UNDEFINED, results.SUPPRESSED], found["status"])
    note = np.select([lacks, small, alone], [gone, _FEW, _ALONE], found["note"])
    found = found.assign(status=status, note=note, segment=segment, period=periods[1], against=periods[0])
    return results.conform(found[_once(cells, fresh)])


def _sizes(joint: Joint, cells: Grid) -> tuple[Numbers, Numbers]:
    """Return how many customers each level has in the period where it has fewest, and at least all others together."""
    people = np.array([[joint.customers[name]] for name in cells.periods], dtype=float)
    alike = np.sort(cells.customers, axis=1)
    largest = np.where(cells.customers == alike[:, -1:], alike[:, -2:-1], alike[:, -1:])
    rest = np.maximum(people - cells.customers, largest)
    return np.minimum(cells.customers, cells.rows).min(axis=0), rest.min(axis=0)


def _once(cells: Grid, fresh: list[str]) -> NDArray[np.bool_]:
    """Tell which levels have a row: of two levels, whose tests are one, only the smaller."""
    kept = np.isin(cells.levels, fresh)
    if len(cells.levels) == 2:
        size = cells.rows.sum(axis=0)
        kept &= np.array([size[0] <= size[1], size[1] < size[0]])
    return np.asarray(kept)
