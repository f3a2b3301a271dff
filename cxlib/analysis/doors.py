"""What every room checks of the columns that come in: are they there, are they numbers, are they dates.

One wording for all: what is wrong, which column, in how many rows, the first value, and what to do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.rows import Numbers

Mask = NDArray[np.bool_]

WRITE_NUMBERS = "Write numbers as 12.50, and None for those that are missing or not finite."
WRITE_DATES = "Write dates as 2026-10-31 or 2026-10-31 17:05:00."
MOST_LEVELS = 50  # of a category: with more it is an id, and explains anything
_MOST_NAMED, _LONGEST = 20, 60
_NOT_NUMBERS = {
    **dict.fromkeys(("timedelta64", "timedelta"), "time spans: divide them by their unit, pd.Timedelta(days=1)"),
    **dict.fromkeys(("datetime64", "datetime", "date"), "dates: count the days since one of them"),
    "period": "periods: count them from one of them",
}
_MAY_BE_DATES = ("string", "datetime64", "datetime", "date", "empty")
_CLOCK = ("now", "today")  # pandas takes these words for the hour at which it reads them


def lacking(found: Iterable[Any], wanted: Iterable[str] | Mapping[str, str]) -> list[str]:
    """Return `no column 'amuont' (amount); did you mean 'amount'?` for each wanted column that is not there just once.

    Parameters
    ----------
    found
        Names of the columns that there are.
    wanted
        Names of columns, or what for -> name.
    """
    have = list(found)
    roles = list(wanted.items()) if isinstance(wanted, Mapping) else [("", name) for name in wanted]
    faults = []
    for role, name in dict.fromkeys(roles):
        if name not in have:
            told = f" ({role})" if role and role != name else ""
            faults.append(f"no column '{name}'{told}{did_you_mean(str(name), map(str, have))}")
        elif have.count(name) > 1:
            faults.append(f"several columns '{name}'")
    return faults


def require(
    found: Iterable[Any], wanted: Iterable[str] | Mapping[str, str], what: str = "the frame", *, hint: str = ""
) -> None:
    """Raise `UsageError` naming every column of `wanted` that `found` lacks or has several times.

    Parameters
    ----------
    found, wanted
        As in `lacking`.
    what
        Where they were looked for: the orders, the panel.
    hint
        What else can be done about it, one sentence.
    """
    have = list(found)
    faults = lacking(have, wanted)
    if faults:
        more = ", ..." if len(have) > _MOST_NAMED else ""
        there = f"There are {', '.join(map(str, have[:_MOST_NAMED])) or 'no columns'}{more}."
        raise UsageError(f"{what}: {'; '.join(faults)}", hint=f"{there} {hint}".strip())


def frame(given: Any, what: str = "the frame") -> pd.DataFrame:
    """Return a pandas frame as it is; raises `UsageError` for anything else."""
    if not isinstance(given, pd.DataFrame):
        raise UsageError(f"{what} is a {type(given).__name__}, not a pandas DataFrame")
    return given


def table(given: Any, what: str = "the frame") -> Any:
    """Return a pandas frame or an Ibis table as it is; raises `UsageError` for anything else."""
    if not isinstance(given, pd.DataFrame) and type(given).__module__.partition(".")[0] != "ibis":
        raise UsageError(f"{what} is a {type(given).__name__}, neither a pandas DataFrame nor an Ibis table")
    return given


def generator(rng: Any) -> np.random.Generator:
    """Return what draws, for None `numpy.random.default_rng(1)`; raises `UsageError` for anything else."""
    if rng is None:
        return np.random.default_rng(1)
    if not isinstance(rng, np.random.Generator):
        raise UsageError(
            f"rng is a {type(rng).__name__}, not a numpy Generator", hint="Give numpy.random.default_rng(1), say."
        )
    return rng


def names(given: Iterable[str] | None) -> tuple[str, ...]:
    """Return names that are gone through several times: a text is one name, None is none."""
    if isinstance(given, str):
        return (given,)
    if given is not None and not isinstance(given, Iterable):
        raise UsageError(f"'{given}' is no list of names")
    return () if given is None else tuple(given)


def numbers(name: str, values: Any, *, infinite_missing: bool = False) -> Numbers:
    """Return numbers as doubles, in the shape given; NaN where missing.

    Parameters
    ----------
    name
        What they are called where something is wrong.
    values
        A column, an array or one value: numbers, nullable or of Arrow, Decimal, true and false, text that reads as a
        number.
    infinite_missing
        Take infinite ones as missing instead of refusing them.

    Raises
    ------
    UsageError
        For what is no number, infinite ones, dates and time spans.
    """
    found, fault = tried(name, values, infinite_missing=infinite_missing)
    if fault:
        raise UsageError(fault, hint=WRITE_NUMBERS)
    return found


def numbers_of(frame: pd.DataFrame, names: Iterable[Any], *, infinite_missing: bool = False) -> dict[str, Numbers]:
    """Return columns of a frame as `numbers`, by name; what is wrong with any of them is told at once."""
    names = list(names)
    require(frame, names)
    found = {str(name): tried(str(name), frame[name], infinite_missing=infinite_missing) for name in names}
    faults = [fault for _, fault in found.values() if fault]
    if faults:
        raise UsageError("; ".join(faults), hint=WRITE_NUMBERS)
    return {name: values for name, (values, _) in found.items()}


def tried(name: str, values: Any, *, infinite_missing: bool = False) -> tuple[Numbers, str]:
    """Return `numbers` and what is wrong with them, an empty text where nothing is."""
    try:
        given, shape = as_series(values), np.shape(values)
    except ValueError:
        return np.empty(0), f"{name} holds lists of several lengths"
    if pd.api.types.is_numeric_dtype(given.dtype) and not pd.api.types.is_complex_dtype(given.dtype):
        found, wrong = given.to_numpy(dtype=float, na_value=np.nan), np.zeros(len(given), dtype=bool)
    else:
        told = given.astype(object)
        kind = _NOT_NUMBERS.get(pd.api.types.infer_dtype(told, skipna=True))
        if kind:
            return np.full(shape, np.nan), f"{name} holds {kind}"
        found, wrong = _parsed(told)
    if wrong.any():
        return found.reshape(shape), in_rows(name, "no number", wrong, given)
    endless = np.isinf(found)
    if endless.any() and not infinite_missing:
        return found.reshape(shape), in_rows(name, "infinite", endless, given)
    return np.where(endless, np.nan, found).reshape(shape), ""


def _parsed(told: pd.Series) -> tuple[Numbers, Mask]:
    """Return what objects read as, and where something is that is no number."""
    known = told.notna().to_numpy()
    try:
        read = pd.to_numeric(told[known], errors="coerce").to_numpy()
    except OverflowError:  # a whole number beyond the largest double
        read = pd.to_numeric(told[known].map(str), errors="coerce").to_numpy()
    found = np.full(len(told), np.nan)
    found[known] = np.where(read.imag == 0, read.real, np.nan) if np.iscomplexobj(read) else read.astype(float)
    return found, known & np.isnan(found)


def moments(name: str, values: Any, *, zones: bool = True) -> pd.Series:
    """Return moments without a zone, datetime64[us], with the index given; NaT where missing or blank.

    Parameters
    ----------
    name
        What they are called where something is wrong.
    values
        A column or array: times, dates, or text in ISO 8601, where day and month cannot be taken for each other.
    zones
        Bring times with a zone to UTC; False refuses them. Those without one stay as they are.

    Raises
    ------
    UsageError
        For numbers, for what is no date, and for zones where they are not wanted.
    """
    given = as_series(values)
    if pd.api.types.is_numeric_dtype(given.dtype):
        raise UsageError(f"{name} holds numbers, not dates", hint="Turn them into dates with their own format first.")
    if isinstance(given.dtype, np.dtype) and given.dtype.kind == "M":
        return given.astype("datetime64[us]")
    found, wrong = _read(given)
    if wrong.any():
        raise UsageError(in_rows(name, "no date", wrong, given), hint=WRITE_DATES)
    if not zones and _zoned(given, found):
        raise UsageError(f"{name} has a time zone", hint="Bring times to the reporting time zone and drop the zone.")
    return found


def days(name: str, values: Any, *, zones: bool = True) -> pd.Series:
    """Return the days, as midnights, of what `moments` returns."""
    return moments(name, values, zones=zones).dt.normalize()


def moment(name: str, value: Any, *, zones: bool = True) -> pd.Timestamp:
    """Return one moment, as `moments` does; raises `UsageError` for none, too."""
    given = pd.Series([value], dtype=object)
    found, wrong = _read(given)
    if wrong.any() or found.isna().any():
        raise UsageError(f"{name} {value!r} is no date", hint=WRITE_DATES)
    return moments(name, given, zones=zones).iloc[0]


def _read(given: pd.Series) -> tuple[pd.Series, Mask]:
    """Return what times, dates and texts read as, in UTC without a zone, and where something is that is no date."""
    told, barred = _datable(given)
    found = pd.to_datetime(told, errors="coerce", utc=True, format="ISO8601")
    lost = given[(given.notna() & found.isna()).to_numpy()]
    blank = lost.astype(object).map(lambda value: isinstance(value, str) and not value.strip()).to_numpy(dtype=bool)
    wrong = barred.copy()
    wrong[np.flatnonzero(given.notna() & found.isna())] = ~blank
    return found.dt.tz_localize(None).astype("datetime64[us]"), wrong


def _datable(given: pd.Series) -> tuple[pd.Series, Mask]:
    """Return a column without the values that are neither times nor text, or name the clock, and where those were."""
    if pd.api.types.is_datetime64_any_dtype(given.dtype):
        return given, np.zeros(len(given), dtype=bool)
    told = given.astype(object).where(given.notna(), None)
    barred = told.isin(_CLOCK).to_numpy()
    if pd.api.types.infer_dtype(told, skipna=True) not in _MAY_BE_DATES:
        kinds = told.map(lambda value: value is None or isinstance(value, str | dt.date | np.datetime64))
        barred = barred | ~kinds.to_numpy(dtype=bool)
    return told.where(~barred, None), barred


def _zoned(given: pd.Series, found: pd.Series) -> bool:
    """Tell whether any of the dates that were `found` in a column has a zone."""
    try:
        plain = pd.to_datetime(_datable(given)[0], errors="coerce", format="ISO8601")
    except ValueError:  # of several zones, or with and without
        return True
    return plain.dt.tz is not None or int(plain.isna().sum()) > int(found.isna().sum())


def whole(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number between two limits, or raise `UsageError`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise UsageError(f"{name} {value!r} is no whole number from {least} to {most}")
    return int(value)


def in_rows(name: str, what: str, wrong: Mask, given: pd.Series) -> str:
    """Return `amount is no number in 3 rows, the first 'ten'`."""
    count, first = int(np.count_nonzero(wrong)), given[wrong].iloc[0]
    told = repr(first.item() if isinstance(first, np.generic) else first)
    short = told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."
    return f"{name} is {what} in {count:,} row{'s' * (count != 1)}, the first {short}"


def as_series(values: Any) -> pd.Series:
    """Return a column as it is, and anything else as one, flat."""
    if isinstance(values, pd.Series):
        return values
    if isinstance(values, pd.Index | pd.api.extensions.ExtensionArray):
        return pd.Series(values)
    flat = values if isinstance(values, list | tuple) and np.ndim(values) == 1 else np.ravel(values)
    return pd.Series(flat, dtype=object if not len(flat) else None)
