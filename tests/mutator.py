"""Exports as they should not be: seeded damage to the first rows of real files, one kind or several at a time."""

from __future__ import annotations

import csv
import gzip
import io
import random
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_ROWS = 120  # of a real file that are used
LONG = 32 << 20  # bytes of a line that is longer than any row may be
BOMB = 264 << 20  # bytes that a bomb unpacks to, at least


@dataclass(frozen=True)
class Base:
    """A clean file: its header and rows as cells, and which columns hold what."""

    name: str
    header: list[list[str]]
    rows: list[list[str]]
    encoding: str
    ids: Sequence[int] = ()
    times: Sequence[int] = ()
    numbers: Sequence[int] = ()
    texts: Sequence[int] = ()

    @classmethod
    def of(
        cls, name: str, path: Path, *, header_rows: int = 1, encoding: str = "utf-8", **columns: Sequence[str]
    ) -> Base:
        """Take the beginning of a real file; columns are named as in its first row."""
        with path.open(encoding=encoding, newline="") as file:
            lines = [row for _, row in zip(range(MOST_ROWS + header_rows), csv.reader(file), strict=False) if row]
        header, rows = lines[:header_rows], lines[header_rows:]
        header[0][0] = header[0][0].removeprefix("\ufeff")
        places = {role: [header[0].index(column) for column in names] for role, names in columns.items()}
        return cls(name, header, rows, encoding, **places)


@dataclass
class Draft:
    """A file in work: cells first, then text, then what it is packed in."""

    base: Base
    rng: random.Random
    header: list[list[str]]
    rows: list[list[str]]
    delimiter: str = ","
    end: str = "\n"
    data: bytes | None = None  # the text, once it is written
    packed: bytes | None = None  # the file, where it is not the text itself
    suffix: str = ".csv"
    text: bytes | None = None  # what stands for `data` where that is too long to be counted slowly

    def written(self) -> bytes:
        """Return the text."""
        if self.data is None:
            out = io.StringIO()
            for row in [*self.header, *self.rows]:
                out.write(self.delimiter.join(self.cell(cell) for cell in row) + self.end)
            self.data = out.getvalue().encode(self.base.encoding, "replace")
        return self.data

    def cell(self, cell: str) -> str:
        """Quote a cell where it must be."""
        return '"' + cell.replace('"', '""') + '"' if set(cell) & {self.delimiter, '"', "\r", "\n"} else cell

    def some(self, share: float = 0.2) -> list[list[str]]:
        """Return some rows, at least one where there is any."""
        return self.rng.sample(self.rows, min(len(self.rows), 1 + int(len(self.rows) * share * self.rng.random())))

    def later(self) -> list[list[str]]:
        """Return the rows from somewhere in the middle on."""
        return self.rows[len(self.rows) // 2 :]

    def place(self) -> int:
        """Return a place in the text behind its header, at a line's beginning."""
        data = self.written()
        starts = [at + 1 for at, byte in enumerate(data[:-1]) if byte == 10]
        return self.rng.choice(starts[len(self.header) - 1 :] or [len(data)])

    def put(self, at: int, what: bytes, *, instead: int = 0) -> None:
        """Put bytes into the text."""
        data = self.written()
        self.data = data[:at] + what + data[at + instead :]


@dataclass(frozen=True)
class Mutant:
    """A malformed file."""

    number: int
    kinds: tuple[str, ...]
    base: Base
    name: str  # of the file
    content: bytes
    text: bytes | None  # what it unpacks to; None where nobody can tell
    whole: bool  # it may be refused as a whole

    def __str__(self) -> str:
        """Name it in a message."""
        return f"{self.number} {self.base.name}: {' + '.join(self.kinds)}"


Kind = Callable[[Draft], None]
ROWS: dict[str, Kind] = {}  # damage to cells, which leaves every other row as it was
TEXT: dict[str, Kind] = {}  # damage to the text of some rows
WHOLE: dict[str, Kind] = {}  # damage that may make the file as a whole useless
PACKED: dict[str, Kind] = {}  # what the file is packed in


def kind(group: dict[str, Kind]) -> Callable[[Kind], Kind]:
    """List a kind of damage under its name."""

    def listed(function: Kind) -> Kind:
        group[function.__name__.replace("_", " ")] = function
        return function

    return listed


def change(draft: Draft, places: Sequence[int], how: Callable[[str], str], rows: list[list[str]] | None = None) -> None:
    """Change cells of some rows, in the columns that hold what is meant, or in any."""
    for row in draft.some() if rows is None else rows:
        place = draft.rng.choice(list(places) or range(len(row))) if row else 0
        if place < len(row):
            row[place] = how(row[place])


@kind(ROWS)
def thousands_separators(draft: Draft) -> None:
    change(draft, draft.base.numbers, lambda cell: f"{draft.rng.randint(1, 9)},{draft.rng.randint(100, 999)}.50")


@kind(ROWS)
def rounded_ids(draft: Draft) -> None:
    change(draft, draft.base.ids, lambda cell: f"{draft.rng.uniform(1, 9):.5f}E+17")


@kind(ROWS)
def dates_in_the_wrong_order(draft: Draft) -> None:
    change(draft, draft.base.times, lambda cell: f"{draft.rng.randint(1, 28):02}/02/2026")


@kind(ROWS)
def dates_that_do_not_exist(draft: Draft) -> None:
    change(
        draft,
        draft.base.times,
        lambda cell: draft.rng.choice(["2018-02-30 00:00:00", "0000-00-00", "20180101T", "now"]),
    )


@kind(ROWS)
def words_for_numbers(draft: Draft) -> None:
    change(draft, draft.base.numbers, lambda cell: draft.rng.choice(["NaN", "-", "five", "1e999", "4.7", "-1", "٥"]))


@kind(ROWS)
def another_type_half_way_down(draft: Draft) -> None:
    place = draft.rng.randrange(len(draft.header[0]))
    for row in draft.later():
        if place < len(row):
            row[place] = draft.rng.choice(["n/a", "True", "2026-01-01", "3.14", '{"a": [1]}'])


@kind(ROWS)
def formulas(draft: Draft) -> None:
    cells = ["=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "@SUM(1,1)", "+1+1", "-2+3", "\t=1"]
    change(draft, draft.base.texts, lambda cell: draft.rng.choice(cells))


@kind(ROWS)
def script(draft: Draft) -> None:
    cells = ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "'; DROP TABLE rows; --", "${7*7}", "{{7*7}}"]
    change(draft, draft.base.texts, lambda cell: draft.rng.choice(cells))


@kind(ROWS)
def letters_that_obey(draft: Draft) -> None:
    cells = ["\x1b[2J\x1b[31m", "a\x08\x08", "\u202ereversed", "\ufeffx", "é\u0301", "😀" * 50, "\x7f", "a\u2028b"]
    change(draft, draft.base.texts, lambda cell: draft.rng.choice(cells))


@kind(ROWS)
def rows_twice(draft: Draft) -> None:
    draft.rows += [list(row) for row in draft.some(0.5)]


@kind(ROWS)
def keys_twice(draft: Draft) -> None:
    for row in draft.some():
        other = list(row)
        change(draft, draft.base.texts, lambda cell: cell + "!", [other])
        draft.rows.append(other)


@kind(ROWS)
def empty_cells(draft: Draft) -> None:
    for row in draft.some():
        row[:] = ["" if draft.rng.random() < 0.5 else cell for cell in row]


@kind(ROWS)
def quotes_and_newlines_in_cells(draft: Draft) -> None:
    cells = ['He said "no"', "two\nlines", "two\r\nlines", '"', '""', ',"', "\n\n", "a,b\nc,d"]
    change(draft, draft.base.texts, lambda cell: draft.rng.choice(cells))


@kind(ROWS)
def a_column_missing_half_way_down(draft: Draft) -> None:
    place = draft.rng.randrange(len(draft.header[0]))
    for row in draft.later():
        del row[place : place + 1]


@kind(ROWS)
def a_column_doubled_half_way_down(draft: Draft) -> None:
    place = draft.rng.randrange(len(draft.header[0]))
    for row in draft.later():
        row[place:place] = row[place : place + 1]


@kind(ROWS)
def columns_in_another_order_half_way_down(draft: Draft) -> None:
    for row in draft.later():
        row.reverse()


@kind(ROWS)
def the_header_again_half_way_down(draft: Draft) -> None:
    draft.rows[len(draft.rows) // 2 : len(draft.rows) // 2] = [list(row) for row in draft.header]


@kind(ROWS)
def rows_of_other_lengths(draft: Draft) -> None:
    for row in draft.some():
        row[:] = (
            row[: draft.rng.randrange(len(row) + 1)]
            if draft.rng.random() < 0.5
            else row + ["x"] * draft.rng.randint(1, 5)
        )


@kind(ROWS)
def a_total_at_the_end(draft: Draft) -> None:
    draft.rows += [[], ["Total", str(len(draft.rows))], ["Exported by someone"]]


@kind(TEXT)
def a_quote_that_never_closes(draft: Draft) -> None:
    draft.put(draft.place(), b'"')


@kind(TEXT)
def quotes_astray(draft: Draft) -> None:
    for _ in range(draft.rng.randint(1, 5)):
        at = draft.rng.randrange(draft.place(), len(draft.written()) + 1)
        draft.put(at, draft.rng.choice([b'"', b'""', b'"x', b',"', b'"\n']))


@kind(TEXT)
def a_quote_lost(draft: Draft) -> None:
    data = draft.written()
    found = [at for at in range(draft.place(), len(data)) if data[at] == 34]
    draft.put(draft.rng.choice(found or [len(data)]), b"", instead=1)


@kind(TEXT)
def nul(draft: Draft) -> None:
    draft.put(draft.rng.randrange(draft.place(), len(draft.written()) + 1), b"\0" * draft.rng.choice([1, 7, 4096]))


@kind(TEXT)
def bytes_that_are_no_letters(draft: Draft) -> None:
    for _ in range(draft.rng.randint(1, 5)):
        draft.put(draft.place(), draft.rng.choice([b"\xff", b"\xc3", b"\xe2\x82", b"\x81"]))


@kind(TEXT)
def line_ends_of_all_kinds(draft: Draft) -> None:
    head, *lines = draft.written().split(b"\n")
    draft.data = head + b"".join(draft.rng.choice([b"\n", b"\r\n", b"\r", b"\r\r\n", b"\n\n"]) + line for line in lines)


@kind(TEXT)
def a_line_that_is_too_long(draft: Draft) -> None:
    at = draft.place()
    quote = draft.rng.choice([b"", b'"'])
    short = draft.written()
    draft.put(at, quote + b"x" * LONG + quote + b"\n")
    draft.text = short[:at] + b"x\n" + short[at:]


@kind(TEXT)
def a_byte_flipped(draft: Draft) -> None:
    at = draft.rng.randrange(draft.place(), len(draft.written()) + 1)
    draft.put(at, bytes([draft.rng.randrange(256)]), instead=1)


@kind(WHOLE)
def truncated(draft: Draft) -> None:
    draft.data = draft.written()[: draft.rng.randrange(1, len(draft.written()))]


@kind(WHOLE)
def another_delimiter(draft: Draft) -> None:
    draft.delimiter = draft.rng.choice([";", "\t", "|"])


@kind(WHOLE)
def another_delimiter_half_way_down(draft: Draft) -> None:
    data, at = draft.written(), draft.place()
    draft.data = data[:at] + data[at:].replace(b",", b";")


@kind(WHOLE)
def a_mark_of_byte_order(draft: Draft) -> None:
    draft.data = b"\xef\xbb\xbf" + draft.written()


@kind(WHOLE)
def utf_16(draft: Draft) -> None:
    draft.data = (
        draft.written().decode(draft.base.encoding).encode(draft.rng.choice(["utf-16", "utf-16-le", "utf-16-be"]))
    )


@kind(WHOLE)
def utf_16_half_way_down(draft: Draft) -> None:
    data, at = draft.written(), draft.place()
    draft.data = data[:at] + data[at:].decode(draft.base.encoding, "replace").encode("utf-16-le")


@kind(WHOLE)
def another_encoding(draft: Draft) -> None:
    change(draft, draft.base.texts, lambda cell: cell + " São – café ŝ", draft.rows)
    text = draft.written().decode(draft.base.encoding)
    draft.data = text.encode("cp1252" if draft.base.encoding == "utf-8" else "utf-8", "replace")


@kind(WHOLE)
def mixed_encodings(draft: Draft) -> None:
    change(draft, draft.base.texts, lambda cell: cell + " São – café", draft.rows)
    data, at = draft.written(), draft.place()
    draft.data = data[:at] + data[at:].decode(draft.base.encoding).encode(
        draft.rng.choice(["cp1252", "utf-8"]), "replace"
    )


@kind(WHOLE)
def a_column_missing(draft: Draft) -> None:
    place = draft.rng.randrange(len(draft.header[0]))
    for row in [*draft.header, *draft.rows]:
        del row[place : place + 1]


@kind(WHOLE)
def a_column_renamed(draft: Draft) -> None:
    place = draft.rng.randrange(len(draft.header[0]))
    draft.header[0][place] = draft.rng.choice([draft.header[0][place].upper() + " ", "", "x", "cx row", "_row"])


@kind(WHOLE)
def a_column_doubled(draft: Draft) -> None:
    place = draft.rng.randrange(len(draft.header[0]))
    for row in [*draft.header, *draft.rows]:
        row += row[place : place + 1]


@kind(WHOLE)
def no_header(draft: Draft) -> None:
    draft.header = []


@kind(WHOLE)
def lines_before_the_header(draft: Draft) -> None:
    draft.data = draft.rng.choice([b"\n", b"Export of 2026\n\n", b"sep=,\n"]) + draft.written()


@kind(WHOLE)
def header_only(draft: Draft) -> None:
    draft.rows = []


@kind(WHOLE)
def empty(draft: Draft) -> None:
    draft.data = draft.rng.choice([b"", b"\n", b" ", b"\xef\xbb\xbf"])


@kind(WHOLE)
def carriage_returns(draft: Draft) -> None:
    draft.end = "\r"


@kind(WHOLE)
def noise(draft: Draft) -> None:
    draft.data = draft.rng.randbytes(draft.rng.choice([10, 5_000]))


@kind(WHOLE)
def quotes_in_the_header(draft: Draft) -> None:
    draft.data = draft.rng.choice([b'"', b'"x"y,']) + draft.written()


@kind(PACKED)
def gzip_as_it_should_be(draft: Draft) -> None:
    draft.packed, draft.suffix = gzip.compress(draft.written(), mtime=0), ".csv.gz"


@kind(PACKED)
def gzip_under_the_name_csv(draft: Draft) -> None:
    draft.packed = gzip.compress(draft.written(), mtime=0)


@kind(PACKED)
def gzip_cut_off(draft: Draft) -> None:
    packed = gzip.compress(draft.written(), mtime=0)
    draft.packed, draft.suffix = packed[: draft.rng.randrange(1, len(packed) - 8)], ".csv.gz"


@kind(PACKED)
def gzip_bomb(draft: Draft) -> None:
    # Members of a gzip stand one behind the other, so that a bomb need not be packed as a whole.
    member = gzip.compress(draft.rng.choice([b"\0", b"x"]) * (1 << 20), mtime=0)
    draft.packed = gzip.compress(draft.written(), mtime=0) + member * (BOMB >> 20)
    draft.suffix = ".csv.gz"


@kind(PACKED)
def zip_as_it_should_be(draft: Draft) -> None:
    draft.packed, draft.suffix = zipped(draft.written()), ".zip"


@kind(PACKED)
def zip_bomb(draft: Draft) -> None:
    draft.packed, draft.suffix = zipped(draft.written() + bytes(BOMB)), ".zip"


@kind(PACKED)
def zip_damaged(draft: Draft) -> None:
    packed = bytearray(zipped(draft.written()))
    packed[draft.rng.randrange(len(packed))] ^= 0x55
    draft.packed, draft.suffix = bytes(packed), ".zip"


def zipped(data: bytes) -> bytes:
    """Return a zip archive with one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=zlib.Z_BEST_SPEED) as archive:
        archive.writestr("rows.csv", data)
    return out.getvalue()


GROUPS = (ROWS, TEXT, WHOLE, PACKED)
KINDS = {name: function for group in GROUPS for name, function in group.items()}


def mutant(bases: Sequence[Base], number: int, seed: int) -> Mutant:
    """Return one malformed file: each kind by itself in turn, then two or three kinds at a time."""
    rng = random.Random(f"{seed} {number}")
    if number < 2 * len(KINDS):
        names = [list(KINDS)[number % len(KINDS)]]
    else:
        rows = [
            name for name in (*ROWS, *TEXT) if name != "a line that is too long"
        ]  # what it is counted by goes stale
        names = rng.sample(rows, rng.randint(1, 2)) + rng.sample([*WHOLE, *PACKED], rng.randint(0, 1))
    base = bases[number % len(bases)]
    draft = Draft(base, rng, [list(row) for row in base.header], [list(row) for row in base.rows])
    for group in GROUPS:  # cells before text before what it is packed in
        for name in (name for name in names if name in group):
            group[name](draft)
    text = (
        None if {"gzip cut off", "gzip bomb", "zip bomb", "zip damaged"} & set(names) else draft.text or draft.written()
    )
    whole = bool(set(names) & ({*WHOLE, *PACKED} - {"gzip as it should be", "zip as it should be"}))
    content = draft.written() if draft.packed is None else draft.packed
    return Mutant(number, tuple(names), base, f"rows{draft.suffix}", content, text, whole)


def mutants(bases: Sequence[Base], count: int, seed: int) -> Iterator[Mutant]:
    """Yield malformed files."""
    return (mutant(bases, number, seed) for number in range(count))


def small(seed: int) -> Base:
    """Return a file that is made here, for where no real one is."""
    rng = random.Random(seed)
    words = ["fine", "", 'a "so-called" service', "late,\nand cold", "très bien", "😀"]
    rows = []
    for nth in range(80):
        day = f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)} 12:00:00"
        person, basket = f"c{rng.randint(0, 40)}", f"{rng.uniform(1, 99):.2f}"
        rows.append([f"r{nth:04}", day, str(rng.randint(0, 10)), person, rng.choice(words), basket])
    header = ["response_id", "responded_at", "score", "customer_id", "comment", "basket"]
    return Base("made here", [header], rows, "utf-8", ids=[0, 3], times=[1], numbers=[2, 5], texts=[4])
