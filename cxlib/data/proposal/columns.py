"""What a column holds, from the rows that were looked at: its kind, how it is written, and whether it is a key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from cxlib.data.proposal import numbers, times
from cxlib.data.proposal.kinds import is_missing, kind_of
from cxlib.data.proposal.layout import Record
from cxlib.data.proposal.look import Look
from cxlib.data.proposal.numbers import NumberGuess
from cxlib.data.proposal.times import TimeGuess
from cxlib.data.proposal.words import means, normal

FEW = 30  # distinct values that are listed
_WORDY = 3  # mean blanks of a comment


@dataclass(frozen=True)
class Column:
    """One column: its name for SQL, its words for people, and what its values look like.

    `unique` says that no value stood twice and none was missing, in the rows that were looked at.
    """

    name: str
    title: str
    kind: str  # of most values: see `kinds.kind_of`; "empty" and "comment" beside them
    rows: int = 0
    filled: int = 0
    unique: bool = False
    counts: tuple[tuple[str, int], ...] = ()  # the values, the commonest first, at most FEW + 1
    time: TimeGuess | None = None
    number: NumberGuess | None = None
    missing: tuple[str, ...] = ()  # texts that stand for nothing
    misfit_row: int = 0
    native: str = ""  # the type that a Parquet file gives it

    @property
    def word(self) -> str:
        """The name in small letters, its words joined by `_`."""
        return normal(self.name)

    @property
    def words(self) -> tuple[str, ...]:
        """Name and title in small letters: a survey calls its column `V8` and its title `StartDate`."""
        return (self.word,) if self.title == self.name else (self.word, normal(self.title))

    @property
    def labels(self) -> tuple[str, ...]:
        """All values, where they are few."""
        return tuple(value for value, _ in self.counts) if len(self.counts) <= FEW else ()

    @property
    def wording(self) -> str:
        """Name and title as one text, for what questions say."""
        return f"{self.name} {self.title}" if self.title != self.name else self.name


def describe(look: Look, locale: str, today: date | None = None) -> tuple[Column, ...]:
    """Describe every column of a file; `times.guess` says what locale and today are for."""
    found, rows = [], look.rows
    for place, (name, title) in enumerate(zip(look.columns, look.header.titles, strict=True)):
        cells = [record.cells[place].strip() if place < len(record.cells) else "" for record in rows]
        column = _one(name, title, cells, look.native[place] if look.native else "", locale, today)
        found.append((replace(column, unique=column.unique and place not in look.repeated), cells))
    styles = {style for column, _ in found if (style := numbers.decisive(column.number))}
    orders = {order for column, _ in found if (order := times.decisive(column.time))}
    style, order = (habits.pop() if len(habits) == 1 else "" for habits in (styles, orders))
    settled = [(_by_habit(column, cells, style, order, locale), cells) for column, cells in found]
    return tuple(_with_row(column, cells, rows) for column, cells in settled)


def _one(name: str, title: str, cells: Sequence[str], native: str, locale: str, today: date | None) -> Column:
    """Describe one column."""
    every = Counter(cell for cell in cells if cell)
    missing = tuple(sorted(value for value in every if is_missing(value)))
    values = Counter({value: times for value, times in every.items() if value not in missing})
    filled = sum(values.values())
    column = Column(
        name,
        title,
        _kind(values, filled),
        len(cells),
        filled,
        filled == len(cells) == len(values) and filled > 0,
        tuple(values.most_common(FEW + 1)),
        missing=missing,
        native=native,
    )
    if native.startswith(("TIMESTAMP", "DATE")):
        return replace(column, kind="time")
    time = times.guess(values, named_so=any(means(word, "time") for word in column.words), locale=locale, today=today)
    number = None if time or column.kind == "damaged" else numbers.guess(values)
    return replace(column, time=time, number=number, kind="time" if time else column.kind)


def _kind(values: Counter[str], filled: int) -> str:
    """Return the kind of most values."""
    if not filled:
        return "empty"
    kinds: Counter[str] = Counter()
    for value, many in values.items():
        kinds[kind_of(value)] += many
    kind, most = kinds.most_common(1)[0]
    if kinds["integer"] + kinds["number"] > filled / 2:
        kind, most = ("number" if kinds["number"] else "integer"), filled
    if kinds["damaged"] and kind in ("integer", "number", "damaged"):
        return "damaged"
    if most <= filled / 2:
        return "text"
    blanks = sum(value.count(" ") * many for value, many in values.items())
    if kind == "text" and blanks > _WORDY * filled and len(values) > filled / 4:
        return "comment"
    return kind


def _by_habit(column: Column, cells: Sequence[str], style: str, order: str, locale: str) -> Column:
    """Read what leaves two readings as the other columns of the file are read."""
    values = Counter(cell for cell in cells if cell and not is_missing(cell))
    if column.number and column.number.other and style:
        return replace(column, number=numbers.guess(values, style))
    if column.time and column.time.other and order:
        return replace(column, time=times.guess(values, named_so=True, locale=locale, habit=order))
    return column


def _with_row(column: Column, cells: Sequence[str], rows: Sequence[Record]) -> Column:
    """Add the row of the first value that is written otherwise than the others."""
    guessed = column.time or column.number
    if guessed is None or not guessed.misfit:
        return column
    row = next((record.row for record, cell in zip(rows, cells, strict=True) if cell == guessed.misfit), 0)
    return replace(column, misfit_row=row)
