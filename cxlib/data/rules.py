"""The contract as SQL: how a raw column becomes a typed one, and every reason why a row is refused.

All is text here; `ingest` runs it. A rule is a pair of SQL expressions: when it is broken, and what to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from cxlib import contract
from cxlib.contract import BOOLEAN, DATE, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP, Column, Table
from cxlib.data.sources import name, text
from cxlib.errors import did_you_mean

UPDATED = "_updated_at"  # what SQL may yield beside the contract: when the tool itself last changed the row

# Money is exact: sums of cents do not depend on the order of rows.
SQL_TYPES = {
    TEXT: "VARCHAR",
    TIMESTAMP: "TIMESTAMP",
    DATE: "DATE",
    INTEGER: "BIGINT",
    NUMBER: "DOUBLE",
    MONEY: "DECIMAL(18,2)",
    BOOLEAN: "BOOLEAN",
}
_WORDS = {
    TEXT: "a text",
    TIMESTAMP: "a time (as 2026-10-31 23:59:00)",
    DATE: "a date (as 2026-10-31)",
    INTEGER: "an integer",
    NUMBER: "a number",
    MONEY: "an amount",
    BOOLEAN: "true or false",
}
CONSENT = "consent"
_AGREEMENT = {
    "false": (
        "withdrawn", "revoked", "denied", "declined", "refused", "rejected", "unsubscribed", "opted out", "opted-out",
        "opted_out", "opt-out", "opt out", "opt_out", "optout", "off",
    ),
    "true": (
        "given", "granted", "agreed", "accepted", "subscribed", "opted in", "opted-in", "opted_in", "opt-in", "opt in",
        "opt_in", "optin", "on",
    ),
}  # fmt: skip
# A spreadsheet saves a long number as 1.23E+15: many ids become one, and their rows would be lost as duplicates.
_DAMAGED = r"(^|\W)\d([.,]\d+)?[eE]\+\d+(\W|$)"
_CONTROL = r"[\x00-\x1f\x7f]"
_FIRST_YEAR, _LAST_YEAR = 1900, 2999  # what a period can be made of
_LONGEST = 60  # characters of a value that a reason quotes
_DAY = r"\d{4}-\d{1,2}-\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_ZONE = r"\s*(Z|[+-]\d{2}(:?\d{2})?|UTC|[A-Za-z]+/[A-Za-z_/]+)"


def shape(table: str, attributes: Mapping[str, str]) -> Table:
    """Return the contract's table as this workspace has it: `customers` with its declared attributes."""
    base = contract.TABLES[table]
    if table != "customers":
        return base
    more = tuple(Column(n, kind) for n, kind in attributes.items() if n not in base.names)
    return replace(base, columns=base.columns + more)


def column_faults(table: Table, given: Mapping[str, str], where: str) -> list[str]:
    """Say which columns a source's SQL lacks, and which it has that the contract does not know."""
    spare = set(given) - set(table.names)
    missing = sorted(set(table.required) - set(given))
    faults = [f"{where} yields no column '{column}'{did_you_mean(column, spare)}" for column in missing]
    for column in (c for c in given if c not in table.names):
        hint = did_you_mean(column, table.names)
        if not hint and table.name == "customers":
            hint = "; declare it under attributes in workspace.yml to keep it"
        faults.append(f"{where} yields a column '{column}' that {table.name} does not have{hint}")
    return faults


def typed(column: Column, given: str | None, timezone: str) -> str:
    """Return SQL that gives a column its contract type, null where that cannot be.

    Parameters
    ----------
    column
        The column of the contract.
    given
        The DuckDB type that the source's SQL yields, or None where it does not have the column.
    timezone
        Of times without a zone; they become naive UTC. Where clocks go back, the second of the two moments is meant;
        a time that clocks jump over is read by the offset before the jump. Times that carry a zone or an offset keep
        the moment that they name.
    """
    kind = SQL_TYPES[column.type]
    if given is None:
        return f"NULL::{kind}"
    raw = name(column.name)
    if column.type == TIMESTAMP:
        return _moment(raw, given, timezone)
    if column.type == DATE:
        return _date(raw, given, timezone)
    words = f"trim({raw}::VARCHAR)"
    if column.type == TEXT:
        return f"nullif({raw}::VARCHAR, '')"
    if column.type == INTEGER and not given.endswith(("INT", "INTEGER")):
        # A cast alone would round 4.7 to 5.
        return f"CASE WHEN regexp_full_match({words}, '[+-]?\\d+(\\.0*)?') THEN try_cast({words} AS BIGINT) END"
    if column.type == NUMBER:
        return f"CASE WHEN isfinite(try_cast({raw} AS DOUBLE)) THEN try_cast({raw} AS DOUBLE) END"
    if column.name == CONSENT and given == "VARCHAR":
        return _agreement(words)
    return f"try_cast({words if given == 'VARCHAR' else raw} AS {kind})"


def _agreement(words: str) -> str:
    """Return SQL for a consent from the words of a tool: one that was withdrawn must never be refused as unreadable."""
    listed = {answer: ", ".join(map(text, said)) for answer, said in _AGREEMENT.items()}
    said = f"lower({words})"
    cases = " ".join(f"WHEN {said} IN ({these}) THEN {answer}" for answer, these in listed.items())
    return f"CASE {cases} ELSE try_cast({words} AS BOOLEAN) END"


def _moment(raw: str, given: str, timezone: str) -> str:
    """Return SQL for naive UTC from a time of any type."""
    if given == "TIMESTAMP WITH TIME ZONE":
        return f"timezone('UTC', {raw})"
    if given == "DATE" or given.startswith("TIMESTAMP"):
        return _to_utc(f"{raw}::TIMESTAMP", timezone)
    words = f"trim({raw}::VARCHAR)"
    local = f"regexp_full_match({words}, '{_DAY}([ T]{_CLOCK})?')"
    # A cast to TIMESTAMP would drop an offset without a word.
    zoned = f"regexp_full_match({words}, '{_DAY}[ T]{_CLOCK}{_ZONE}')"
    return (
        f"CASE WHEN {local} THEN {_to_utc(f'try_cast({words} AS TIMESTAMP)', timezone)}"
        f" WHEN {zoned} THEN timezone('UTC', try_cast({words} AS TIMESTAMPTZ)) END"
    )


def _to_utc(local: str, timezone: str) -> str:
    """Return SQL for naive UTC from a local time."""
    return local if timezone == "UTC" else f"timezone('UTC', timezone({text(timezone)}, {local}))"


def _date(raw: str, given: str, timezone: str) -> str:
    """Return SQL for a date: a time loses its clock, in the source's timezone."""
    if given == "TIMESTAMP WITH TIME ZONE":
        return f"timezone({text(timezone)}, {raw})::DATE"
    if given == "DATE" or given.startswith("TIMESTAMP"):
        return f"{raw}::DATE"
    words = f"trim({raw}::VARCHAR)"
    local = f"regexp_full_match({words}, '{_DAY}([ T]{_CLOCK})?')"
    zoned = f"regexp_full_match({words}, '{_DAY}[ T]{_CLOCK}{_ZONE}')"
    return (
        f"CASE WHEN {local} THEN try_cast({words} AS DATE)"
        f" WHEN {zoned} THEN timezone({text(timezone)}, try_cast({words} AS TIMESTAMPTZ))::DATE END"
    )


@dataclass(frozen=True)
class Rule:
    """`broken` is SQL for a condition over raw columns (`a`) and typed ones (`t:a`); `says` is SQL for the reason."""

    broken: str
    says: str


def rules(
    table: Table,
    given: Mapping[str, str],
    *,
    today: date | None,
    known: Mapping[str, str],
    touchpoints: Collection[str] = (),
    other_names: str = "",
) -> list[Rule]:
    """Return everything that refuses a row of `table`.

    Parameters
    ----------
    table
        The table, with the workspace's attributes.
    given
        The columns that the source yields, with their DuckDB types.
    today
        Events later than the day after it lie in the future; None leaves that open.
    known
        Column -> SQL condition that the row it refers to is there.
    touchpoints
        The taxonomy's ids; none leaves touchpoints open.
    other_names
        SQL that a cell is another name of one of them (`placing.known`); empty where they have none.
    """
    found = [rule for c in table.columns if c.name in given for rule in _column_rules(c, given[c.name])]
    ids = [c.name for c in table.columns if c.type == TEXT and c.name in (*table.key, *table.references)]
    found += [rule for column in ids if given.get(column) == "VARCHAR" for rule in _id_rules(column)]
    if "instrument" in given and "score" in given:
        found += _score_rules()
    if touchpoints and "touchpoint" in given:
        listed = ", ".join(map(text, touchpoints))
        says = f"'touchpoint ' || {_cell('touchpoint')} || ' is not in touchpoints.yml'"
        unknown = f"{_t('touchpoint')} NOT IN ({listed})"
        found.append(Rule(f"{unknown} AND NOT {other_names}" if other_names else unknown, says))
    for earlier, later in table.orders:
        if later in given:
            says = f"{text(later + ' ')} || {_cell(later)} || {text(f' is before {earlier} ')} || {_cell(earlier)}"
            found.append(Rule(f"{_t(later)} < {_t(earlier)}", says))
    if table.time:
        found += _time_rules(table.time, today)
    for column, there in known.items():
        says = f"{text(column + ' ')} || {_cell(column)} || {text(f' is not in {table.references[column]}')}"
        found.append(Rule(f"{_t(column)} IS NOT NULL AND NOT {there}", says))
    return found


def judged(table: Table, given: Mapping[str, str], rules: Sequence[Rule], timezone: str, relation: str) -> str:
    """Return SQL for the rows of `relation` (which yields `given`) with typed twins `t:<column>`, and `_bad`."""
    casts = ", ".join(f"{typed(c, given.get(c.name), timezone)} AS {_t(c.name)}" for c in table.columns)
    bad = " OR ".join(f"({rule.broken})" for rule in rules) or "false"
    return f"SELECT *, coalesce({bad}, false) AS _bad FROM (SELECT *, {casts} FROM {relation})"


def reasons(rules: Sequence[Rule]) -> str:
    """Return SQL for all reasons against a judged row, joined by `; `."""
    said = ", ".join(f"CASE WHEN {rule.broken} THEN {rule.says} END" for rule in rules) or "NULL"
    return f"concat_ws('; ', {said})"


def _column_rules(column: Column, given: str) -> list[Rule]:
    """Return what one column by itself must obey; `given` is the type that the source yields."""
    raw, value, found = name(column.name), _t(column.name), []
    empty = f"nullif(trim({raw}), '') IS NULL" if given == "VARCHAR" else f"{raw} IS NULL"
    says = f"{text(column.name + ' ')} || {_cell(column.name)} || "
    if column.required:
        found.append(Rule(empty, text(f"{column.name} is missing")))
    if column.type != TEXT:
        found.append(Rule(f"{value} IS NULL AND NOT ({empty})", says + text(f" is not {_WORDS[column.type]}")))
    if column.allowed:
        allowed = ", ".join(text(word) for word in column.allowed)
        words = text(f" is not one of {', '.join(column.allowed)}")
        found.append(Rule(f"{value} NOT IN ({allowed})", says + words))
    if column.low is not None:
        found.append(Rule(f"{value} < {column.low}", says + text(f" is below {column.low:g}")))
    return found


def _id_rules(column: str) -> list[Rule]:
    """Return what an id must obey beyond being there: it is whole."""
    says = f"{text(column + ' ')} || {_cell(column)} || "
    return [
        Rule(f"regexp_matches({_t(column)}, {text(_DAMAGED)})", says + text(" was rounded by a spreadsheet")),
        Rule(f"regexp_matches({_t(column)}, {text(_CONTROL)})", says + text(" holds control characters")),
    ]


def _score_rules() -> list[Rule]:
    """Return, for each instrument, the range of its scores."""
    return [
        Rule(
            f"{_t('instrument')} = {text(instrument)} AND {_t('score')} NOT BETWEEN {low} AND {high}",
            f"'score ' || {_cell('score')} || {text(f' is outside {low} to {high} for {instrument}')}",
        )
        for instrument, (low, high) in contract.INSTRUMENTS.items()
    ]


def _time_rules(column: str, today: date | None) -> list[Rule]:
    """Return what an event's time must obey: it can be put into a month, and it has happened."""
    says = f"{text(column + ' ')} || {_cell(column)} || "
    years = f"year({_t(column)}) NOT BETWEEN {_FIRST_YEAR} AND {_LAST_YEAR}"
    found = [Rule(years, says + text(f" is not between the years {_FIRST_YEAR} and {_LAST_YEAR}"))]
    if today is not None:
        after = today + timedelta(days=1)
        future = f"{_t(column)}::DATE > DATE '{after}' AND year({_t(column)}) <= {_LAST_YEAR}"
        found.append(Rule(future, says + text(f" is in the future (after {after})")))
    return found


def _t(column: str) -> str:
    """Name the typed twin of a raw column."""
    return name(f"t:{column}")


def _cell(column: str) -> str:
    """Return SQL that quotes a raw value, cut where it is long, without what a terminal would obey."""
    plain = f"regexp_replace(left({name(column)}::VARCHAR, {_LONGEST}), {text(_CONTROL)}, '\ufffd', 'g')"
    return f"'''' || {plain} || ''''"
