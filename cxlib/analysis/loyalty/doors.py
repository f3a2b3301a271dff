"""The door of the room: durations, events, labels and days as they come, converted and checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib.errors import UsageError, did_you_mean

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]

_DAY = np.timedelta64(1, "D")
_EPOCH = np.datetime64("1970-01-01", "us")


class Labels(NamedTuple):
    """Labels of rows: codes (-1 where missing), the names in order, and what they are labels of."""

    codes: Codes
    names: tuple[str, ...]
    segment: str


def require(frame: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Raise `UsageError` naming every column of `columns` (what for -> name) that the frame does not have."""
    known = [str(name) for name in frame.columns]
    lacking = [
        f"'{name}' ({role}){did_you_mean(name, known)}" for role, name in columns.items() if name not in frame.columns
    ]
    if lacking:
        raise UsageError(f"the frame has no column {', '.join(lacking)}", hint=f"It has: {', '.join(known)}.")


def numbers(name: str, values: ArrayLike | pd.Series, size: int | None = None) -> Numbers:
    """Return one number per row, NaN where missing; text that reads as a number counts as one.

    Raises `UsageError` for another length than `size`, for what is no number, for infinite ones and for time spans.
    """
    given = _series(values)
    _check_size(name, given, size)
    if pd.api.types.is_timedelta64_dtype(given.dtype):
        raise UsageError(f"{name} holds time spans", hint="Divide them by their unit: spans / pd.Timedelta(days=1).")
    found = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = np.isnan(found) & given.notna().to_numpy()
    if wrong.any():
        raise UsageError(f"{name} holds {int(wrong.sum())} values that are no numbers, such as {_first(given, wrong)}")
    if np.isinf(found).any():
        raise UsageError(f"{name} is infinite in {int(np.isinf(found).sum())} rows")
    return found


def spans(name: str, values: ArrayLike | pd.Series, size: int | None = None) -> Numbers:
    """Return lengths of time as numbers, NaN where missing; raises `UsageError` where one is below 0."""
    found = numbers(name, values, size)
    if (found < 0).any():
        raise UsageError(
            f"{name} is below 0 in {int((found < 0).sum())} rows, such as {found[found < 0].min():g}",
            hint="Somebody left before coming: look at the two dates.",
        )
    return found


def flags(name: str, values: ArrayLike | pd.Series, size: int) -> Numbers:
    """Return 1 where it happened and 0 where it did not, NaN where missing; raises `UsageError` for other values."""
    given = _series(values)
    _check_size(name, given, size)
    found = pd.to_numeric(given, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = given.notna().to_numpy() & ~np.isin(found, (0.0, 1.0))
    if wrong.any():
        raise UsageError(
            f"{name} is neither true nor false in {int(wrong.sum())} rows, such as {_first(given, wrong)}",
            hint="Give True for those to whom it happened, e.g. frame['churn'] == 'Yes'.",
        )
    return found


def labels(values: Any, size: int, *, otherwise: str = "group") -> Labels:
    """Number the labels of rows: in the order of a categorical, else sorted (numbers by size); -1 for none, or blank.

    `otherwise` is what they are labels of where a Series has no name.
    """
    given = _series(values)
    _check_size("by", given, size)
    segment = str(getattr(values, "name", None) or otherwise)
    if isinstance(given.dtype, pd.CategoricalDtype):
        given = given.cat.remove_categories([name for name in given.cat.categories if _blank(name)])
        given = given.cat.remove_unused_categories()
        names = [str(name) for name in given.cat.categories]
        return Labels(given.cat.codes.to_numpy(dtype=np.int64), tuple(names), segment)
    known = given.notna() & ~given.astype(object).map(_blank).astype(bool)
    codes, unique = pd.factorize(given.astype(object).where(known, None))
    order = sorted(range(len(unique)), key=lambda place: _rank(unique[place]))
    place = np.empty(len(unique) + 1, dtype=np.int64)
    place[order], place[-1] = np.arange(len(unique)), -1
    return Labels(place[codes], tuple(_named(unique[at]) for at in order), segment)


def days(name: str, values: ArrayLike | pd.Series, size: int | None = None) -> Numbers:
    """Return days since 1970, with fractions, NaN where missing; times with a zone are taken in UTC.

    Raises `UsageError` for what is no date; text has to be of the form 2026-10-31.
    """
    given = _series(values)
    _check_size(name, given, size)
    text = given.where(given.notna() & (given.astype(str).str.strip() != ""), None) if _wordy(given) else given
    moments = pd.to_datetime(text, errors="coerce", utc=True, format="ISO8601" if _wordy(given) else None)
    wrong = (moments.isna() & text.notna()).to_numpy()
    if wrong.any() or pd.api.types.is_numeric_dtype(given.dtype):
        wrong = wrong | pd.api.types.is_numeric_dtype(given.dtype)
        raise UsageError(
            f"{name} holds {int(wrong.sum())} values that are no dates, such as {_first(given, wrong)}",
            hint="Write dates as 2026-10-31.",
        )
    found = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(found), np.nan, (found - _EPOCH) / _DAY)


def day(name: str, value: Any) -> float:
    """Return one date as days since 1970; raises `UsageError` for what is none."""
    return float(days(name, pd.Series([value], dtype=object if isinstance(value, str) else None))[0])


def customers(values: ArrayLike | pd.Series, size: int | None = None) -> Codes:
    """Number the customers of rows, in the order of their ids; -1 where missing."""
    given = _series(values)
    _check_size("customer", given, size)
    codes, unique = pd.factorize(given, sort=False)
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


def _series(values: Any) -> pd.Series:
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    return pd.Series(np.ravel(values) if isinstance(values, np.ndarray) else values)


def _check_size(name: str, given: pd.Series, size: int | None) -> None:
    if size is not None and len(given) != size:
        raise UsageError(f"{name} has {len(given)} rows and the durations have {size}")


def _wordy(given: pd.Series) -> bool:
    """Tell whether a column may hold text: dates in it are read by their form."""
    return pd.api.types.is_object_dtype(given.dtype) or pd.api.types.is_string_dtype(given.dtype)


def _first(given: pd.Series, which: NDArray[np.bool_]) -> str:
    value = given[which].iloc[0]
    return repr(value.item() if isinstance(value, np.generic) else value)


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
