"""Value against loyalty: how many customers each cell has, what they are worth, and how they fare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.errors import UsageError
from cxlib.measure import formulas
from cxlib.measure.intervals import check_confidence
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Codes, Numbers

BETWEEN = " x "
NAMES = {2: ("low", "high"), 3: ("low", "middle", "high"), 4: ("low", "lower middle", "upper middle", "high")}


def grid(
    frame: pd.DataFrame,
    value: str,
    loyalty: str,
    *,
    outcome: str = "",
    worth: str = "",
    bins: int = 3,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Cross two sides of customers, their value and their loyalty.

    Parameters
    ----------
    frame
        One row a customer. Customers without value or loyalty are left out.
    value, loyalty
        Columns to cross. Numbers with more than `bins` distinct values are cut into `bins` parts of equal size (equal
        numbers stay together), named low, middle and high, or by place; anything else is taken as it is.
    outcome
        A column of numbers, or of yes and no, to estimate in each cell.
    worth
        The column whose sum is shared out; default `value`, where it holds numbers.
    bins
        Parts of a column of numbers, 2 to 10.
    confidence
        Of the intervals.
    min_n
        Cells of fewer customers are suppressed, with enough others that they cannot be worked out.

    Returns
    -------
    pandas.DataFrame
        Result rows, `segment` "value x loyalty" (the columns' names), `level` "high x middle"; n counts customers. For
        each cell: metric `people_share` (Wilson), metric `value_share` (share of the sum of `worth`; a ratio by the
        delta method, customers being drawn), and the outcome's own name (a share by Wilson where it is yes or no, else
        a mean with a t interval). Cells without customers have people_share 0 and no outcome.

    Raises
    ------
    UsageError
        For columns that lack or hold no numbers, names with " x " in them, or bins that make no sense.
    """
    check_confidence(confidence)
    doors.require(frame, [name for name in (value, loyalty, outcome, worth) if name])
    bins = doors.whole("bins", bins, 2, 10)
    one, ones = _cut(frame[value], value, bins)
    other, others = _cut(frame[loyalty], loyalty, bins)
    known = (one >= 0) & (other >= 0)
    if not known.any():
        raise UsageError(f"no customer has both {value} and {loyalty}")
    named = (one < len(ones)) & (other < len(others))
    cells = np.where(named, one * len(others) + other, len(ones) * len(others))[known]
    levels = [f"{a}{BETWEEN}{b}" for a in ones for b in others]
    if len({level.count(BETWEEN) for level in levels} - {1}):
        raise UsageError(f"a level of {value} or {loyalty} has '{BETWEEN}' in its name, which stands between two sides")
    inside = np.bincount(cells, minlength=len(levels))[: len(levels)].astype(float)
    parts = [_people(inside, len(cells), levels, confidence)]
    summed = worth or (value if pd.api.types.is_numeric_dtype(frame[value].dtype) else "")
    given = {name: doors.numbers(name, frame[name], infinite_missing=True)[known] for name in (summed, outcome) if name}
    if summed:
        parts.append(_worth(given[summed], cells, levels, confidence))
    if outcome:
        parts.append(_outcome(outcome, given[outcome], cells, levels, confidence))
    rows = results.label(results.concat(parts), segment=f"{value}{BETWEEN}{loyalty}")
    hidden = hiding.hide(rows, dict(zip(levels, inside.tolist(), strict=True)), min_n)
    lost = int((~known).sum())
    note = f"{lost} customers without {value} or {loyalty} are left out" if lost else ""
    return results.conform(hidden.assign(note=hidden["note"].where(hidden["note"] != "", note)))


def _cut(column: pd.Series, name: str, bins: int) -> tuple[Codes, list[str]]:
    """Return the part of each row, below 0 where missing and beyond the last where it has no name, and all parts."""
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        codes, found = pd.factorize(column)
        texts = [str(level) for level in found]
        ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered
        parts = [str(level) for level in column.cat.categories] if ordered else sorted({x for x in texts if x})
        place = {part: number for number, part in enumerate(parts)}
        return np.array([*(place.get(text, len(parts)) for text in texts), -1], dtype=np.int64)[codes], parts
    values = doors.numbers(name, column, infinite_missing=True)
    missing = np.isnan(values)
    distinct = np.unique(values[~missing])
    if len(distinct) <= bins:
        return np.where(missing, -1, np.searchsorted(distinct, values)), [f"{x:g}" for x in distinct]
    edges = np.quantile(values[~missing], np.arange(1, bins) / bins, method="inverted_cdf")
    places = np.searchsorted(edges, values, side="left")
    names = list(NAMES.get(bins, tuple(f"part {number}" for number in range(1, bins + 1))))
    return np.where(missing, -1, places), names


def _people(inside: Numbers, size: int, levels: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return the share of customers in each cell."""
    found = formulas.share(inside, np.full(len(levels), float(size)), confidence=confidence)
    return results.label(found, metric="people_share", level=levels, comparison="share", note="")


def _worth(values: Numbers, cells: Codes, levels: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return each cell's share of a sum over customers; those without a number have none to share."""
    parts = [Moments.of(np.where(cells == cell, values, values * 0), values) for cell in range(len(levels))]
    found = formulas.ratio(Moments.stacked(parts), confidence=confidence)
    return results.label(found, metric="value_share", level=levels, comparison="share", note="")


def _outcome(name: str, values: Numbers, cells: Codes, levels: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return the outcome of each cell: a share where it is yes or no, else a mean."""
    yes_or_no = bool(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all())
    mine = [values[(cells == cell) & ~np.isnan(values)] for cell in range(len(levels))]
    found = (
        formulas.share([part.sum() for part in mine], [part.size for part in mine], confidence=confidence)
        if yes_or_no
        else formulas.mean(Moments.stacked([Moments.of(part) for part in mine]), confidence=confidence)
    )
    return results.label(found, metric=name, level=levels)
