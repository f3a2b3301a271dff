"""What is told of files that were read: how many rows ended how, and which cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROW, FILE, OUT, COLUMN, REASON, TEXT = "cx row", "cx file", "cx out", "cx column", "cx reason", "cx text"
KEPT_NAMES = (ROW, FILE, OUT, COLUMN, REASON, TEXT)  # columns that stand beside those of a file
LINE = "line"  # the one column of plain lines
LONGEST_TEXT = 2_000  # characters of an unreadable row that are kept


@dataclass(frozen=True)
class FileRead:
    """The rows of one file, or of one member of an archive, and what became of them."""

    path: Path
    label: str  # its name relative to the folder, with the member; as in `_file` and in the table `unreadable`
    readable: int
    left_out: dict[str, int]  # reason -> rows
    unreadable: int

    @property
    def rows(self) -> int:
        """All rows of data: no header, no blank line."""
        return self.readable + sum(self.left_out.values()) + self.unreadable


@dataclass(frozen=True)
class Read:
    """What was read under one alias of a source."""

    alias: str
    files: tuple[FileRead, ...]

    @property
    def rows(self) -> int:
        """All rows of data in all its files."""
        return sum(file.rows for file in self.files)

    @property
    def readable(self) -> int:
        """The rows that its view has."""
        return sum(file.readable for file in self.files)

    @property
    def unreadable(self) -> int:
        """The rows that stand in the table `unreadable`."""
        return sum(file.unreadable for file in self.files)

    @property
    def left_out(self) -> dict[str, int]:
        """The rows that the source leaves out, by reason."""
        reasons = dict.fromkeys(reason for file in self.files for reason in file.left_out)
        return {reason: sum(file.left_out.get(reason, 0) for file in self.files) for reason in reasons}


@dataclass(frozen=True)
class Bad:
    """A row that cannot be read: why, in which column where that is known, and the row as it came."""

    reason: str
    column: str | None
    text: str

    @classmethod
    def of(cls, reason: str, column: str | None, raw: bytes) -> Bad:
        """Make one of the row's bytes, cut and free of what no text may hold."""
        # A letter of UTF-8 has four bytes at most.
        words = raw[: 4 * LONGEST_TEXT].decode("utf-8", "replace").replace("\0", "\ufffd")
        return cls(reason, column, words.rstrip("\r\n")[:LONGEST_TEXT])


@dataclass(frozen=True)
class Layout:
    """How the rows of a text file are cut: `delimiter` and `"` for columns, or none of both for whole lines."""

    columns: tuple[str, ...]
    delimiter: str = ","
    quoted: bool = True
    encoding: str = "utf-8"  # as declared; the bytes are UTF-8 by now

    def column(self, place: int) -> str | None:
        """Name the column at a place, counted from 0; None beyond the last."""
        return self.columns[place] if place < len(self.columns) else None

    def uneven(self, found: int, raw: bytes) -> Bad:
        """Say of a row how many values it has, and at which column it ends too early."""
        return Bad.of(f"it has {found} values for {len(self.columns)} columns", self.column(found), raw)
