"""Why a number moved: its change split into mix (who answered) and rate (how each level scored), each with an interval.

The formulas and their gradients are in `kitagawa`; customers who answer in both periods, or in several levels, are in
the variance by way of `Joint`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates, intervals, kitagawa, levelled
from cxlib.measure.joint import Joint
from cxlib.measure.kitagawa import Terms
from cxlib.measure.levelled import BETWEEN
from cxlib.measure.linearised import Book, Grid, grid
from cxlib.measure.told import ALL, OTHERS, Told, told
from cxlib.params import Metric, definition_hash

__all__ = ["ALL", "OTHERS", "Told", "decompose", "explain", "halves", "parts", "pooled", "scale_of", "told"]

SMALL = "small levels"
_NAMED = 2
_ONE = "Kitagawa (centred), delta method"
_TWO = "Kitagawa (centred), Shapley over the order, delta method"
_SHARED = "own change over one denominator, delta method"
_WHOLE = "delta method on customers' sums"
_WIDEST = "no squares were given: each answer is taken to lie within -1 to 1, and to vary as much as it can"


def parts(
    joint: Joint,
    before: str,
    after: str,
    *,
    scale: float = 1.0,
    confidence: float = 0.95,
    min_n: int = 10,
    metric: str = "",
    segment: str = "",
    named: int = _NAMED,
    people: bool = False,
) -> pd.DataFrame:
    """Split the change of a ratio between two periods by the levels of a segment.

    Parameters
    ----------
    joint
        Sums by period and level; all levels of a period are the whole.
    before, after
        Labels of the two periods; the change is after minus before.
    scale
        What the ratio is multiplied by (100 for NPS points).
    confidence
        Of the intervals.
    min_n
        Levels with fewer distinct customers in a period are pooled, see `pooled`.
    metric, segment
        Labels of the rows. A segment named `a x b` has levels like `North x web` and two dimensions.
    named
        How many levels a chart names beside the sum of the others.
    people
        Let n count customers, not rows: of rates over time at risk the rows are events.

    Returns
    -------
    pandas.DataFrame
        A result frame of the metric's unit, `against` the earlier period. Level `all`: the `difference`, and the totals
        of `mix` and of `rate`, which add up to it. Then one row each per level; of two dimensions `mix` has one row per
        dimension, named so, and `rate` one per joint level. Rows with `at = "other levels"` sum up all but the `named`
        largest; they are for charts and stand beside the levels, not among them. `share`: the level's share of the
        denominator in each period. n counts the answers of the level in both periods.

        A level that one period lacks is all mix. Over a shared denominator there is no mix: the rate rows are the
        levels' own changes. Where a period has no answers the totals are `undefined`, below `min_n` customers
        `suppressed`, and there are no other rows.

        Source: METHODS, Changes; see `kitagawa` for the formulas, `Joint.variance` for the errors and `Book` for the
        intervals.
    """
    intervals.check_confidence(confidence)
    joint = joint.take(joint.keys["period"].isin([before, after]).to_numpy())
    absent = _absent(joint, before, after, min_n)
    labels = {"metric": metric, "segment": segment or ALL}
    if absent:
        kinds = ["difference", "mix", "rate"]
        return results.frame(comparison=kinds, period=after, against=before, status=absent[0], note=absent[1], **labels)
    joint, notes = pooled(joint, before, after, min_n)
    cells = grid(joint, before, after)
    book = Book(joint, cells._replace(rows=cells.customers) if people else cells, scale, confidence)
    out = results.concat([*_rows(book, segment, named), *_shares(book)])
    period = out["period"].replace({"": after})
    against = out["against"].where(out["comparison"] == "share", before)
    note = [notes.get(level, one) for one, level in zip(out["note"], out["level"], strict=True)]
    return results.label(out, note=note, period=period, against=against, **labels)


def explain(
    metric: Metric,
    joint: Joint,
    before: str,
    after: str,
    *,
    segment: str = "",
    confidence: float = 0.95,
    min_n: int = 10,
    definition: str = "",
    named: int = _NAMED,
) -> pd.DataFrame:
    """Split the change of a metric, and bring the values that a reader needs beside it.

    Parameters
    ----------
    metric
        The definition that the joint was made by; quantiles are no ratio and cannot be split.
    joint, before, after, segment, confidence, min_n, named
        As in `parts`; a metric may ask for a larger `min_n`.
    definition
        Hash of the definition; worked out if left out.

    Returns
    -------
    pandas.DataFrame
        The rows of `parts`, and the metric's own value in each period, of the whole (level `all`) and of each level,
        by the metric's own method: what `told` and the waterfall need.

    Raises
    ------
    UsageError
        For a quantile.
    """
    if metric.kind == "quantile":
        raise UsageError(f"'{metric.id}' is a quantile: its change has no parts that add up")
    least = max(min_n, metric.min_n or 0)
    found = parts(
        joint, before, after, scale=scale_of(metric), confidence=confidence, min_n=least, segment=segment, named=named,
        people=estimates.counts_people(metric),
    )  # fmt: skip
    joint = joint.take(joint.keys["period"].isin([before, after]).to_numpy())
    values = []
    if (found["status"] == results.OK).any():
        levels = pooled(joint, before, after, least)[0]
        for one in (joint.merge([ALL] * len(joint.keys)), levels):
            rows = estimates.estimate(metric, one.moments(), confidence)
            values.append(rows.assign(period=one.keys["period"], level=one.keys["level"], segment=segment or ALL))
    definition = definition or definition_hash(metric)
    return results.label(results.concat([found, *values]), metric=metric.id, definition=definition)


def decompose(
    before: pd.DataFrame,
    after: pd.DataFrame,
    by: str | Sequence[str],
    *,
    scale: float = 1.0,
    confidence: float = 0.95,
    min_n: int = 1,
    metric: str = "",
    period: str = "after",
    against: str = "before",
) -> pd.DataFrame:
    """Split a change into mix and rate, from moments per level of two independent periods.

    Parameters
    ----------
    before, after
        One row per level: the columns of `by`, and either the sums that `plans.plan` brings (`rows`, also called `n`,
        `clusters`, `y`, `x`, `y2`, `yy`, `xy`, `xx`) or a column `moments` of `Moments`. Without `x` rows are counted,
        without `rows` x counts them, without `clusters` each row is a customer; the products follow then. Without any
        squares, and with no sum above the number of rows, each answer is taken to lie within -1 to 1 and to vary as
        much as it can: the intervals are the widest there can be (for a share give `yy`, which is `y`), and `note`
        says so.
    by
        The column of the levels; two columns split the mix between both dimensions.
    scale, confidence, min_n, metric
        As in `parts`; nothing is pooled unless asked for.
    period, against
        Labels of the two periods.

    Returns
    -------
    pandas.DataFrame
        The `mix` and `rate` rows of `parts`, without totals: their estimates add up to the change. One `undefined` row
        of each where a period has no answers.

    Raises
    ------
    UsageError
        For columns that lack and cannot be worked out, levels that occur twice, more than two dimensions.
    """
    names = [by] if isinstance(by, str) else list(by)
    if len(names) not in (1, 2) or period == against:
        raise UsageError(f"a change is split by one or two columns between two periods, not by {names} in '{period}'")
    joint = levelled.joint_of(before, after, names, (against, period))
    found = parts(
        joint, against, period, scale=scale, confidence=confidence, min_n=min_n, metric=metric,
        segment=BETWEEN.join(names),
    )  # fmt: skip
    kept = found["comparison"].isin(["mix", "rate"]) & (found["at"] == "")
    single = kept & (found["level"] != ALL)
    found = found[single if single.any() else kept]
    assumed = any(not {"y2", "yy", "moments"} & set(frame.columns) for frame in (before, after))
    note = found["note"].mask((found["note"] == "") & (found["status"] == results.OK), _WIDEST if assumed else "")
    return results.conform(found.assign(note=note))


def pooled(joint: Joint, before: str, after: str, min_n: int) -> tuple[Joint, dict[str, str]]:
    """Pool the levels that have fewer than `min_n` distinct customers in a period, so that no row stands on few.

    Parameters
    ----------
    joint
        Cells of the two periods.
    before, after
        Their labels.
    min_n
        A level with none at all in one period is new or gone, and small only where it has too few in the other one.

    Returns
    -------
    (Joint, dict)
        With the small levels as one level `small levels (k)`, which the next smallest joins as long as it is too small
        itself; and notes by level: what was pooled, and which levels a period lacks. A level that is called `all` is
        `all (level)` from here on, since rows of the whole bear that name.
    """
    if (joint.keys["level"] == ALL).any():
        joint = joint.merge([f"{ALL} (level)" if level == ALL else level for level in joint.keys["level"]])
    cells = grid(joint, before, after)
    least = np.where(cells.place >= 0, cells.customers, np.inf).min(axis=0)
    order = [cells.levels[place] for place in np.lexsort((np.arange(len(least)), least))]
    few = order[: np.count_nonzero(least < min_n)]
    while few and len(few) < len(order) and _customers(joint, few) < min_n:
        few = order[: len(few) + 1]
    notes = {}
    if few:
        name = f"{SMALL} ({len(few)})"
        notes[name] = f"fewer than {min_n} customers in a period, or joined to such: {', '.join(sorted(few))}"
        joint = joint.merge([name if level in few else level for level in joint.keys["level"]])
        cells = grid(joint, before, after)
    for period, there in zip((before, after), cells.place >= 0, strict=True):
        notes |= {level: f"none in {period}" for level, here in zip(cells.levels, there, strict=True) if not here}
    return joint, notes


def scale_of(metric: Metric) -> float:
    """Return what the ratio of a metric's sums is multiplied by to be in its unit."""
    return {"nps": 100.0, "share": 1.0}.get(metric.kind, metric.scale)


def halves(levels: Sequence[str]) -> list[tuple[str, str]]:
    """Take `North x web` apart; where a level's own name holds ` x `, so that its halves are among the others'."""
    pieces = [level.split(BETWEEN) for level in levels]
    ways = [[(BETWEEN.join(p[:i]), BETWEEN.join(p[i:])) for i in range(1, len(p))] or [(p[0], p[0])] for p in pieces]
    sure = [way[0] for way in ways if len(way) == 1]
    known = {one for one, _ in sure}, {other for _, other in sure}
    return [max(way, key=lambda two: (two[0] in known[0]) + (two[1] in known[1])) for way in ways]


def _customers(joint: Joint, levels: Sequence[str]) -> float:
    """Return the distinct customers that some levels have together, in the period where they are fewest."""
    mine = joint.take(joint.keys["level"].isin(levels).to_numpy())
    return float(mine.merge([SMALL] * len(mine.keys)).clusters.min())


def _absent(joint: Joint, before: str, after: str, min_n: int) -> tuple[str, str] | None:
    """Return status and note where a period has nothing, or too little, to compare; else nothing."""
    for period in (before, after):
        mine = (joint.keys["period"] == period).to_numpy()
        if not joint.rows[mine].sum() or not joint.x[mine].sum():
            return results.UNDEFINED, f"no answers in {period}"
    few = min(joint.customers[period] for period in (before, after)) < min_n
    return (results.SUPPRESSED, "fewer answers than may be shown") if few else None


def _rows(book: Book, segment: str, named: int) -> list[pd.DataFrame]:
    """Return the difference, the totals of mix and rate, and the rows of levels."""
    cells, n = book.cells, book.cells.rows.sum()
    if book.joint.shared:
        own = kitagawa.contributions(cells.y, cells.x)
        head = {"difference": own.total, "rate": own.total}
        methods = [_WHOLE, _SHARED]
        return [book.rows(Terms.stacked(*head.values()), list(head), [ALL] * 2, methods, n=n),
                *_each(book, {"rate": own}, _SHARED, named)]  # fmt: skip
    two = BETWEEN in segment
    (mix, rate), method = _split(cells, two), _TWO if two else _ONE
    head = {"difference": kitagawa.change(cells.y, cells.x), "mix": mix.total, "rate": rate.total}
    found = [book.rows(Terms.stacked(*head.values()), list(head), [ALL] * 3, [_WHOLE, method, method], n=n)]
    if two:
        found.append(book.rows(mix, "mix", segment.split(BETWEEN), method, n=n))
    return [*found, *_each(book, {"rate": rate} if two else {"mix": mix, "rate": rate}, method, named)]


def _split(cells: Grid, two: bool) -> tuple[Terms, Terms]:
    """Split by the levels, or by two dimensions at once."""
    if not two:
        return kitagawa.split(cells.y, cells.x)
    sides = [np.unique(side, return_inverse=True)[1] for side in zip(*halves(cells.levels), strict=True)]
    return kitagawa.by_two(cells.y, cells.x, sides[0], sides[1])


def _each(book: Book, parts: Mapping[str, Terms], method: str, named: int) -> list[pd.DataFrame]:
    """Return one row per level and part, and one per part for the sum of all but the `named` largest."""
    levels, n = book.cells.levels, book.cells.rows.sum(axis=0)
    every, kinds = Terms.stacked(*parts.values()), np.repeat(list(parts), len(levels)).tolist()
    found = [book.rows(every, kinds, levels * len(parts), method, n=np.tile(n, len(parts)), single=True)]
    rest = len(levels) - named
    if rest < 2:
        return found
    order = {kind: np.lexsort((np.arange(len(n)), -np.abs(terms.value))) for kind, terms in parts.items()}
    kept = {kind: np.isin(np.arange(len(n)), place[named:]).astype(float) for kind, place in order.items()}
    sums = Terms.stacked(*(terms.combined(kept[kind][None, :]) for kind, terms in parts.items()))
    counts = np.array([n @ kept[kind] for kind in parts])
    names = [f"{OTHERS} ({rest})"] * len(parts)
    return [*found, book.rows(sums, list(parts), names, method, n=counts, at=OTHERS)]


def _shares(book: Book) -> list[pd.DataFrame]:
    """Return each level's share of the denominator of each period, before any scale."""
    cells = book.cells
    if book.joint.shared:
        return []
    terms, labels = kitagawa.shares(cells.x), cells.levels * 2
    found = replace(book, scale=1.0).rows(terms, "share", labels, "delta method", n=cells.rows.ravel())
    limits = {name: found[name].clip(0, 1) for name in ("conf_low", "conf_high")}
    return [found.assign(period=np.repeat(cells.periods, len(cells.levels)), p_value=np.nan, **limits)]
