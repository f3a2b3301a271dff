"""Lines of JSON as columns of text: each line one object, nested values as JSON."""

from __future__ import annotations

import json

import duckdb

from cxlib.data.reading.cells import in_style
from cxlib.data.reading.facts import COLUMN, FILE, LINE, REASON, ROW, TEXT
from cxlib.data.reading.quoting import name, text
from cxlib.params.intake import File

_MOST_KEYS = 2_000  # more are ids that stand as keys
_MARKS = ", ".join(map(name, (ROW, FILE, COLUMN, REASON, TEXT)))


def judged(source: str) -> str:
    """Return SQL for lines, with the reason where one is no object.

    CASE keeps what reads JSON away from lines that are none.
    """
    line = name(LINE)
    twice = f"len(json_keys({line})) <> len(list_distinct(json_keys({line})))"
    why = (
        f"CASE WHEN {name(REASON)} IS NOT NULL THEN {name(REASON)} WHEN NOT json_valid({line}) THEN 'it is no JSON'"
        f" WHEN json_type({line}) <> 'OBJECT' THEN 'it is no JSON object'"
        f" WHEN {twice} THEN 'it has a key more than once'"
        f" WHEN contains({line}, '\\u0000') THEN 'it holds NUL bytes' END"
    )
    words = f"CASE WHEN {name(REASON)} IS NOT NULL THEN coalesce({name(TEXT)}, left({line}, 2000)) END AS {name(TEXT)}"
    marks = f"{name(ROW)}, {name(FILE)}, {name(COLUMN)}, {name(REASON)}"
    return f"SELECT {line}, {marks}, {words} FROM (SELECT * REPLACE ({why} AS {name(REASON)}) FROM {source})"


def keys(connection: duckdb.DuckDBPyConnection, lines: str) -> list[str]:
    """Return the keys of all lines, sorted.

    Raises
    ------
    ValueError
        Where there are too many for columns.
    """
    good = f"SELECT {name(LINE)} AS line FROM {lines} WHERE {name(REASON)} IS NULL"
    query = f"SELECT DISTINCT unnest(json_keys(line)) FROM ({good}) LIMIT {_MOST_KEYS + 1}"
    found = sorted(key for (key,) in connection.execute(query).fetchall())
    if len(found) > _MOST_KEYS:
        raise ValueError(f"its objects have more than {_MOST_KEYS:,} keys; are ids among them?")
    return found


def columns(lines: str, found: list[str], titles: list[str], file: File) -> str:
    """Return SQL for the values of lines.

    Parameters
    ----------
    lines
        The relation of judged lines.
    found, titles
        The keys, and the column of each.
    file
        What the source says of it.
    """
    line = f"CASE WHEN {name(REASON)} IS NULL THEN {name(LINE)} END"
    small = [key.lower() for key in found]
    alone = [key for key in found if key and small.count(key.lower()) == 1]  # a struct does not tell Id from ID
    shape = text(json.dumps(dict.fromkeys(alone, "VARCHAR")))
    whole = f"SELECT *, json_transform({line}, {shape}) AS value FROM {lines}" if alone else f"SELECT * FROM {lines}"
    selects = []
    for key, title in zip(found, titles, strict=True):
        pointer = text("/" + key.replace("~", "~0").replace("/", "~1"))
        value = f"struct_extract(value, {text(key)})" if key in alone else f"json_extract_string({line}, {pointer})"
        if title in file.numbers:  # a number of JSON has one style, whatever the texts have
            styled = f"replace({value}, '.', {text(in_style('.', file.numbers[title]))})"
            number = f"json_type({line}, {pointer}) IN ('UBIGINT', 'BIGINT', 'DOUBLE')"
            value = f"CASE WHEN {number} THEN {styled} ELSE {value} END"
        selects.append(f"nullif({value}, '') AS {name(title)}")
    return f"SELECT {', '.join([*selects, _MARKS])} FROM ({whole})"
