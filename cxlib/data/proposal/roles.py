"""Find columns by what they are for, and write the SQL that makes a column of the contract of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb

from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.kinds import NO, YES
from cxlib.data.proposal.look import Look
from cxlib.data.proposal.numbers import PLAIN
from cxlib.data.proposal.words import means
from cxlib.data.sources import name, text

PERSONAL = ("email", "phone", "person", "address", "ip")
_PERSONAL_KINDS = ("email", "phone", "ip")
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_KEYS = ("integer", "text", "email")
GUESS, TODO = "guess", "TODO"


@dataclass(frozen=True)
class Field:
    """One line of a SELECT: a column of the contract, its SQL, and what is to be said of it.

    `mark` is `guess`, `TODO` or empty; `uses` are the raw columns that it reads.
    """

    target: str
    sql: str
    why: str = ""
    mark: str = GUESS
    uses: tuple[str, ...] = ()

    @property
    def is_missing(self) -> bool:
        """Say whether nothing was found for it."""
        return self.mark == TODO


def missing(target: str, why: str) -> Field:
    """Return a column that nothing was found for."""
    return Field(target, "NULL", why, TODO)


@dataclass
class Roles:
    """The columns of one file, and what was taken of them: times and numbers that `source.yml` must describe."""

    look: Look
    columns: Sequence[Column]
    times: dict[str, Column] = field(default_factory=dict)
    numbers: dict[str, Column] = field(default_factory=dict)

    def all(self, role: str, *kinds: str) -> list[Column]:
        """Return the filled columns that are called so, those of certain kinds only where kinds are given."""
        return [
            column
            for column in self.columns
            if any(means(word, role) for word in column.words)
            and (column.filled or not column.rows)
            and (not kinds or column.kind in kinds or (column.kind == "empty" and not column.rows))
        ]

    def first(self, role: str, *kinds: str) -> Column | None:
        """Return the first of `all`."""
        return next(iter(self.all(role, *kinds)), None)

    def keys(self, role: str) -> list[Column]:
        """Return the columns that are called a key of something, without those that a spreadsheet damaged."""
        return [column for column in self.all(role) if column.kind in _KEYS or not column.rows]

    def is_personal(self, column: Column) -> bool:
        """Say whether a column tells who somebody is."""
        return column.kind in _PERSONAL_KINDS or (
            any(means(word, role) for role in PERSONAL for word in column.words)
            and column.kind not in ("boolean", "time")
        )

    def ref(self, column: Column) -> str:
        """Return the SQL that reads a column."""
        if self.look.in_words:
            return f"word[{list(self.look.columns).index(column.name) + 1}]"
        return quoted(column.name)

    def moment(self, target: str, column: Column, why: str = "") -> Field:
        """Return a field for a time: said in `source.yml`, or read by the SQL where some values stand for nothing."""
        uses, reason = (column.name,), why or "by its name and its values"
        guess = column.time
        if column.native.startswith(("TIMESTAMP", "DATE")):
            return Field(target, self.ref(column), reason, uses=uses)
        if guess is None:
            return missing(target, f"'{column.name}' is called a time, but its values are none that is known")
        if not (column.missing or self.look.in_words):
            self.times[column.name] = column
            return Field(target, self.ref(column), reason, uses=uses)
        words = f", and {', '.join(map(repr, column.missing))} is no time" if column.missing else ""
        return Field(target, self._parsed(column), reason + words, uses=uses)

    def _parsed(self, column: Column) -> str:
        """Return SQL that reads a time by itself."""
        guess, ref = column.time, self.ref(column)
        assert guess is not None
        bare = self.without_missing(column)
        if guess.format in ("iso", "date"):
            kind = "DATE" if guess.is_date else "TIMESTAMPTZ" if guess.zoned else "TIMESTAMP"
            return f"try_cast({bare} AS {kind})"
        if guess.format.startswith("unix"):
            per_second = {"unix_seconds": 1, "unix_milliseconds": 1_000, "unix_microseconds": 1_000_000}[guess.format]
            return f"to_timestamp(try_cast({bare} AS BIGINT) / {per_second})"
        parsed = f"try_strptime({bare if column.missing else ref}, {text(guess.format)})"
        return f"{parsed}::DATE" if guess.is_date else parsed

    def is_text(self, sql: str) -> bool:
        """Say whether SQL is the text of a column as it stands."""
        if self.look.native:
            return False
        return any(sql == self.ref(column) for column in self.columns if column.name not in self.times)

    def without_missing(self, column: Column) -> str:
        """Return SQL for a column, null where its text stands for nothing."""
        ref = self.ref(column)
        if not column.missing:
            return ref
        if len(column.missing) == 1:
            return f"nullif({ref}, {text(column.missing[0])})"
        return f"CASE WHEN {ref} NOT IN ({', '.join(map(text, column.missing))}) THEN {ref} END"

    def figure(self, target: str, column: Column, why: str = "by its name and its values") -> Field:
        """Return a field for a number: its style stands in `source.yml`, or the SQL takes signs off it."""
        guess, uses = column.number, (column.name,)
        bare = self.without_missing(column)
        plain = guess is not None and guess.style == PLAIN and not (guess.signs or guess.other)
        if column.native or guess is None or plain:
            return Field(target, bare, why, uses=uses)
        if not (guess.signs or column.missing or self.look.in_words):
            self.numbers[column.name] = column
            return Field(target, self.ref(column), why, uses=uses)
        comma = guess.style.endswith(",56")
        digits = f"regexp_replace({bare}, {text('[^0-9,+-]' if comma else '[^0-9.+-]')}, '', 'g')"
        return Field(target, f"replace({digits}, ',', '.')" if comma else digits, why, uses=uses)

    def seconds(self, target: str, column: Column) -> Field:
        """Return a field for a duration in seconds."""
        ref, uses = self.ref(column), (column.name,)
        if column.kind == "duration":
            if all(value.count(":") == 2 for value, _ in column.counts):
                sql = f"date_part('epoch', try_cast({ref} AS INTERVAL))::BIGINT"
                return Field(target, sql, "hours, minutes and seconds", uses=uses)
            sql = f"date_part('epoch', try_cast('0:' || {ref} AS INTERVAL))::BIGINT"
            return Field(target, sql, "minutes and seconds; check that it is not hours and minutes", uses=uses)
        found = self.figure(target, column)
        if re.search(r"(^|_)(min|mins|minutes?|minuten|minutos)(_|$)", column.word):
            sql = f"round(try_cast({found.sql} AS DOUBLE) * 60)::BIGINT"
            return Field(target, sql, "its name says minutes", uses=uses)
        return Field(target, found.sql, "seconds; check the unit", uses=uses)

    def truth(self, target: str, column: Column) -> Field:
        """Return a field for true or false."""
        ref, uses, words = self.ref(column), (column.name,), {label.lower() for label in column.labels}
        why = "by its name and its values"
        if column.native == "BOOLEAN" or words <= {"yes", "no", "true", "false", "t", "f", "y", "n", "0", "1"}:
            return Field(target, self.without_missing(column), why, uses=uses)
        yes, no = (", ".join(map(text, sorted(words & known))) or "''" for known in (YES, NO))
        sql = f"CASE WHEN lower({ref}) IN ({yes}) THEN true WHEN lower({ref}) IN ({no}) THEN false END"
        return Field(target, sql, why, uses=uses)

    def word(self, target: str, column: Column, why: str = "by its name") -> Field:
        """Return a field for a text that is taken as it stands."""
        return Field(target, self.ref(column), why, uses=(column.name,))

    def customer(self) -> Field | None:
        """Return who a row is about: an id, or else an e-mail address, which becomes a hash; None for nobody."""
        found = [column for column in self.keys("customer_id") if column.kind != "email"]
        if found:
            named = [column for column in found if means(column.word, "customer_id")] or found
            return Field("customer_id", self.ref(named[0]), "by its name", uses=(named[0].name,))
        mail = [c for c in self.columns if c.kind == "email" or c in self.all("email", "email", "text", "empty")]
        theirs = [c for c in mail if not re.search(r"agent|assignee|recipient|_to_|_from_|support|owner", c.word)]
        if theirs:
            sql = f"sha256(lower(trim({self.ref(theirs[0])})))"
            return Field(
                "customer_id", sql, "an e-mail address is personal data: only its hash is kept", uses=(theirs[0].name,)
            )
        return None

    def damaged(self) -> list[Column]:
        """Return the columns whose long numbers a spreadsheet rounded."""
        return [column for column in self.columns if column.kind == "damaged"]


def quoted(column: str) -> str:
    """Return a name for SQL, in quotes only where it needs them."""
    return column if _PLAIN_NAME.fullmatch(column) and column not in _reserved() else name(column)


_RESERVED: set[str] = set()


def _reserved() -> set[str]:
    """Return the words that SQL keeps for itself."""
    if not _RESERVED:
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category <> 'unreserved'"
            ).fetchall()
        _RESERVED.update(word for (word,) in found)
    return _RESERVED
