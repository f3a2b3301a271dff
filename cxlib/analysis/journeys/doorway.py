"""How a log of events comes in: a pandas frame or an Ibis table, brought to a few plain columns of an Ibis table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib.analysis import doors

if TYPE_CHECKING:
    import ibis.expr.types as ir

DAY = 86_400  # seconds


def seconds(value: Any) -> Any:
    """Return a moment of an Ibis table as whole seconds since 1970."""
    return value.cast("timestamp").epoch_seconds().cast("int64")


def stamp(name: str, value: Any) -> int | None:
    """Return a moment as seconds since 1970, None for None; `UsageError` for what is no date."""
    return None if value is None else int(doors.moment(name, value).timestamp())


def table(given: Any, *, texts: Mapping[str, str], times: Mapping[str, str], flags: Sequence[str] = ()) -> ir.Table:
    """Return events as an Ibis table of columns with names of their own.

    Parameters
    ----------
    given
        A pandas frame, or an Ibis table, of which nothing is brought here.
    texts, times
        Name here -> column: texts (as they are), moments (as seconds since 1970).
    flags
        Columns of true and false that keep their names; missing is false.

    Raises
    ------
    UsageError
        For what is no table, columns that are not there, and times that are none.
    """
    import ibis

    doors.table(given, "the events")
    doors.require(list(given.columns), {**texts, **times, **{name: name for name in flags}}, "the events")
    if isinstance(given, pd.DataFrame):
        given = ibis.memtable(_plain(given, texts, times, flags), schema=_schema(texts, times, flags))
        return given.mutate(**{name: seconds(given[name]) for name in times})
    return given.select(
        **{name: given[column].cast("string") for name, column in texts.items()},
        **{name: seconds(given[column]) for name, column in times.items()},
        **{name: given[name].cast("boolean").fill_null(False) for name in flags},
    )


def _plain(given: pd.DataFrame, texts: Mapping[str, str], times: Mapping[str, str], flags: Sequence[str]) -> Any:
    """Return a pandas frame's columns under their names here, in plain types."""
    found: dict[str, Any] = {}
    for name, column in texts.items():
        found[name] = given[column].astype(object).map(str, na_action="ignore").where(given[column].notna(), None)
    for name, column in times.items():
        found[name] = doors.moments(column, given[column])
    for name in flags:
        found[name] = doors.numbers(name, given[name]) > 0
    return pd.DataFrame(found).reset_index(drop=True)


def _schema(texts: Mapping[str, str], times: Mapping[str, str], flags: Sequence[str]) -> dict[str, str]:
    kinds = dict.fromkeys(texts, "string") | dict.fromkeys(times, "timestamp(6)") | dict.fromkeys(flags, "boolean")
    return {str(name): kind for name, kind in kinds.items()}


def known(value: Any) -> Any:
    """Return where a column of an Ibis table is not missing."""
    return value.notnull()  # noqa: PD004 (Ibis)


def fetch(plan: ir.Table) -> pd.DataFrame:
    """Return the rows of a plan, computed where its tables live (through Arrow: a fifth of the time)."""
    found: pd.DataFrame = plan.to_pyarrow().to_pandas()
    return found
