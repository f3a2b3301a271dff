"""The door of the room: durations, events, labels and days as they come, converted and checked once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib.analysis.doors import as_series, in_rows, moment, moments, numbers, tried
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers

_DAY = np.timedelta64(1, "D")
_EPOCH = np.datetime64("1970-01-01", "us")


class Labels(NamedTuple):
    """Labels of rows: codes (-1 where missing), the names in order, and what they are labels of."""

    codes: Codes
    names: tuple[str, ...]
    segment: str


def spans(name: str, values: ArrayLike | pd.Series, size: int | None = None) -> Numbers:
    """Return lengths of time as numbers, NaN where missing; raises `UsageError` where one is below 0."""
    given = _rows(name, values, size)
    found = numbers(name, given)
    if (found < 0).any():
        raise UsageError(
            in_rows(name, "below 0", found < 0, given), hint="Somebody left before coming: look at the two dates."
        )
    return found


def flags(name: str, values: ArrayLike | pd.Series, size: int) -> Numbers:
    """Return 1 where it happened and 0 where it did not, NaN where missing; raises `UsageError` for other values."""
    given = _rows(name, values, size)
    found, _ = tried(name, given)
    wrong = given.notna().to_numpy() & ~np.isin(found, (0.0, 1.0))
    if wrong.any():
        raise UsageError(
            in_rows(name, "neither true nor false", wrong, given),
            hint="Give True for those to whom it happened, e.g. frame['churn'] == 'Yes'.",
        )
    return found


def labels(values: Any, size: int, *, otherwise: str = "group") -> Labels:
    """Number the labels of rows: in the order of a categorical, else sorted (numbers by size); -1 for none, or blank.

    `otherwise` is what they are labels of where a Series has no name.
    """
    given = _rows("by", values, size)
    segment = str(getattr(values, "name", None) or otherwise)
    if isinstance(given.dtype, pd.CategoricalDtype):
        given = given.cat.remove_categories([name for name in given.cat.categories if _blank(name)])
        given = given.cat.remove_unused_categories()
        names = [str(name) for name in given.cat.categories]
        return Labels(given.cat.codes.to_numpy(dtype=np.int64), tuple(names), segment)
    codes, found = pd.factorize(given if isinstance(given.dtype, pd.StringDtype) else given.astype(object))
    unique = np.asarray(found, dtype=object)
    told = [place for place in range(len(unique)) if not _blank(unique[place])]
    order = sorted(told, key=lambda place: _rank(unique[place]))
    place = np.full(len(unique) + 1, -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    return Labels(place[codes], tuple(_named(unique[at]) for at in order), segment)


def days(name: str, values: ArrayLike | pd.Series) -> Numbers:
    """Return days since 1970, with fractions, NaN where missing; times with a zone are taken in UTC."""
    found = moments(name, values).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(found), np.nan, (found - _EPOCH) / _DAY)


def day(name: str, value: Any) -> float:
    """Return one date as days since 1970; raises `UsageError` for what is none."""
    return float((moment(name, value).to_datetime64() - _EPOCH) / _DAY)


def customers(values: ArrayLike | pd.Series) -> Codes:
    """Number the customers of rows, in the order of their ids; -1 where missing."""
    codes, unique = pd.factorize(as_series(values), sort=False)
    place = np.empty(len(unique) + 1, dtype=np.int64)
    place[np.argsort(np.asarray(unique).astype(str), kind="stable")] = np.arange(len(unique))
    place[-1] = -1
    return place[codes]


def listed(counts: Sequence[tuple[int, str]]) -> str:
    """Return `3 rows without a duration left out; ...` for the counts above 0, else an empty text."""
    return "; ".join(f"{count} row{'s' * (count != 1)} {why} left out" for count, why in counts if count)


def noted(found: pd.DataFrame, note: str) -> pd.DataFrame:
    """Return result rows with one more thing in their notes: what was left out."""
    if not note:
        return found
    return found.assign(note=[f"{words}; {note}" if words else note for words in found["note"]])


def _rows(name: str, values: Any, size: int | None) -> pd.Series:
    """Return one value per row; raises `UsageError` for another length than `size`."""
    given = as_series(values)
    if size is not None and len(given) != size:
        raise UsageError(f"{name} has {len(given)} rows and the durations have {size}")
    return given


def _blank(value: Any) -> bool:
    """Tell whether a label is text without a letter."""
    return isinstance(value, str) and not value.strip()


def _rank(value: Any) -> tuple[int, float, str]:
    """Order numbers by size before everything else by name."""
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return (0, float(value), "") if number else (1, 0.0, str(value))


def _named(value: Any) -> str:
    """Return a label as text; `1` for 1.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)
