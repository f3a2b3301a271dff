"""The one result frame: every estimate, change and effect is a row with these columns, in this order.

No number exists without its interval, its n and its status. Charts, tables, records, disclosure control and pages take
this frame and nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

TEXT = ("metric", "period", "segment", "level", "at", "comparison", "against", "method")
NUMBERS = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "p_adjusted", "n", "n_eff")
STATE = ("status", "verdict", "note", "definition")
COLUMNS: tuple[str, ...] = (*TEXT, *NUMBERS, *STATE)

OK, SUPPRESSED, TOO_FEW, UNDEFINED = "ok", "suppressed", "too_few", "undefined"
STATUSES = (OK, SUPPRESSED, TOO_FEW, UNDEFINED)
COMPARISONS = ("level", "difference", "relative", "mix", "rate", "share", "index", "test")
VERDICTS = ("", "moved", "not shown", "could not have been seen")

_TEXT_TYPE = pd.Series(["x"], dtype="str").dtype
_DEFAULTS: dict[str, Any] = dict.fromkeys((*TEXT, *STATE), "") | dict.fromkeys(NUMBERS, np.nan)
_DEFAULTS |= {"segment": "all", "level": "all", "comparison": "level", "status": OK}


def frame(**columns: Any) -> pd.DataFrame:
    """Build a result frame from columns; arrays give one row per element, scalars are repeated.

    Parameters
    ----------
    columns
        Any of `COLUMNS`; those left out get their default (empty text, missing number, `segment = level = "all"`,
        `comparison = "level"`, `status = "ok"`). Numbers of rows whose status is not `ok` are set to missing.

    Returns
    -------
    pandas.DataFrame
        The columns of `COLUMNS` in their order: `str` for text and state, `float64` for numbers.

    Raises
    ------
    ValueError
        For a column that a result does not have, or a state or comparison that is not declared.
    """
    unknown = sorted(set(columns) - set(COLUMNS))
    if unknown:
        raise ValueError(f"a result has no column {unknown}; it has {list(COLUMNS)}")
    arrays = {name: np.atleast_1d(np.asarray(value)) for name, value in columns.items()}
    rows = max((a.size for a in arrays.values()), default=1)
    rows = 0 if any(a.size == 0 for a in arrays.values()) else rows
    data = {n: np.broadcast_to(arrays.get(n, np.asarray([_DEFAULTS[n]]))[: rows or 0], rows) for n in COLUMNS}
    ready = {n: _number(value) if n in NUMBERS else _text(value) for n, value in data.items()}
    return _checked(pd.DataFrame(ready, copy=False))


def _text(values: np.ndarray) -> Any:
    """Return a column of text, empty where missing; what is text already is not looked at twice."""
    plain = values.dtype.kind == "U" or all(type(value) is str for value in values.tolist())
    if plain:
        return pd.array(values.astype(object), dtype=_TEXT_TYPE)
    given = pd.Series(np.array(values))
    return given.astype("str").where(given.notna(), "").array


def _number(values: np.ndarray) -> np.ndarray:
    """Return a column of doubles that is its own."""
    if values.dtype == np.float64:
        return np.array(values)
    return np.array(pd.to_numeric(pd.Series(np.array(values))).astype("float64"))


def conform(table: pd.DataFrame) -> pd.DataFrame:
    """Return `table` with the declared columns, order and types; rows that are not `ok` lose their numbers.

    Raises `ValueError` where a column is missing or a status, verdict or comparison is not declared.
    """
    if tuple(table.columns) != COLUMNS:  # picking columns costs more than all the rest
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise ValueError(f"not a result frame: {missing} missing")
        table = table.loc[:, list(COLUMNS)]
    out = table.reset_index(drop=True)
    kinds = dict(zip(COLUMNS, out.dtypes.tolist(), strict=True))
    for name in (*TEXT, *STATE):
        if kinds[name] != _TEXT_TYPE or out[name].array.isna().any():
            out[name] = out[name].astype("str").where(out[name].notna(), "")
    for name in NUMBERS:
        if kinds[name] != np.float64:
            out[name] = pd.to_numeric(out[name]).astype("float64")
    return _checked(out)


def _checked(out: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of the declared columns and types; `ValueError` for states that are none, see `conform`."""
    found = {name: set(out[name].tolist()) for name in ("status", "comparison", "verdict")}
    for name, allowed in (("status", STATUSES), ("comparison", COMPARISONS), ("verdict", VERDICTS)):
        strange = sorted(found[name] - set(allowed))
        if strange:
            raise ValueError(f"{name} {strange} is none of {list(allowed)}")
    if found["status"] - {OK}:
        _emptied(out, np.array([status != OK for status in out["status"].tolist()]))
    return out


def _emptied(out: pd.DataFrame, hidden: np.ndarray) -> None:
    """Take the numbers out of some rows, in place; columns that hold none there are left alone."""
    for name in NUMBERS:
        values = out[name].to_numpy()
        if not np.isnan(values[hidden]).all():
            out[name] = np.where(hidden, np.nan, values)


def empty() -> pd.DataFrame:
    """Return a result frame without rows."""
    return _nothing().copy()


@functools.cache
def _nothing() -> pd.DataFrame:
    return frame(metric=np.array([], dtype=str))


def concat(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Stack result frames; no parts give the empty frame."""
    kept = [part for part in parts if len(part)]
    return conform(pd.concat(kept, ignore_index=True)) if kept else empty()


def label(table: pd.DataFrame, **values: str | Sequence[str]) -> pd.DataFrame:
    """Return a copy of `table` with text or state columns set, e.g. `label(frame, metric="nps", period="2026-10")`."""
    return conform(table.assign(**values))


def suppress(table: pd.DataFrame, min_n: int | Mapping[str, int]) -> pd.DataFrame:
    """Hide estimates and counts of rows with fewer than `min_n` answers (METHODS, Disclosure).

    Parameters
    ----------
    table
        A result frame.
    min_n
        The least n that may be shown, for all metrics or per metric id (missing ids are not suppressed).
    """
    least = table["metric"].map(min_n).fillna(0) if isinstance(min_n, Mapping) else min_n
    small = (table["n"] < least) & (table["status"] == OK)
    words = table["note"].where(~small, "fewer answers than may be shown")
    status = table["status"].where(~small, SUPPRESSED)
    return conform(table.assign(status=status, note=words))
