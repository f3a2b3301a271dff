"""What the commands of intake print, as lines of plain text: the same on a terminal, in a log and in a mail."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxlib.data.counts import IngestReport, Refusal, Sample, TableCounts
    from cxlib.data.snapshots import Snapshot
    from cxlib.params.framework import Gap

WIDTH = 100
_MOST_FILES = 12  # of one alias that are listed one by one
_ROWS_SHOWN = 4  # of a sample
_ALWAYS = ("rows_in", "accepted", "rejected")
_MORE = ("unchanged", "corrected", "stale", "duplicated", "late", "deleted")
_ORDER = ("rows_in", "accepted", "unchanged", "corrected", "stale", "duplicated", "rejected", "late", "deleted")
Shown = Callable[[Path], str]  # a path as the reader may type it


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Return rows as columns of text: the first `left` of them from the left, numbers to the right."""
    widths = [max(len(line[place]) for line in (head, *rows)) for place in range(len(head))]
    lines = []
    for line in (head, *rows):
        cells = (
            text.ljust(size) if place < left else text.rjust(size)
            for place, (text, size) in enumerate(zip(line, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return lines


def ingest(report: IngestReport, shown: Shown) -> list[str]:
    """Return what an ingest did.

    Parameters
    ----------
    report
        What it did.
    shown
        Writes a path as the reader may type it.

    Returns
    -------
    list of str
        Files, tables, refusals, warnings, first rows of a dry run, and last at which snapshot the store is.
    """
    parts = [_files(report), _tables(report), _refused(report), _told(report)]
    parts += [_sample(one) for one in report.samples]
    parts.append([*_quarantine(report, shown), _standing(report)])
    return [line for part in parts if part for line in (*part, "")][:-1]


def _files(report: IngestReport) -> list[str]:
    """Return what was read, by file."""
    rows, reasons = [], []
    for alias, read in report.files.items():
        many = len(read.files) > _MOST_FILES
        for file in () if many else read.files:
            rows.append((file.label, file.rows, file.readable, sum(file.left_out.values()), file.unreadable))
        if many:
            name = f"{alias}: {len(read.files):,} files"
            rows.append((name, read.rows, read.readable, sum(read.left_out.values()), read.unreadable))
        for reason, count in read.left_out.items():
            reasons.append(f"left out of {alias}: {count:,} x {reason}")
    if not rows:
        return []
    cells = [(_cut(name, WIDTH - 48), *(f"{count:,}" for count in counts)) for name, *counts in rows]
    return [*grid(("File", "rows", "read", "left out", "unreadable"), cells), *reasons]


def _tables(report: IngestReport) -> list[str]:
    """Return what became of the rows of each table; columns in which nothing happened are named below."""
    counts = report.tables
    if not counts:
        return []
    quiet = [name for name in _MORE if not any(getattr(one, name) for one in counts.values())]
    names = [name for name in _ORDER if name in _ALWAYS or name not in quiet]
    rows = [(table, *(f"{getattr(one, name):,}" for name in names)) for table, one in counts.items()]
    lines = grid(("Table", *(name.replace("_", " ") for name in names)), rows)
    if max(map(len, lines)) > WIDTH:
        lines = [line for table, one in counts.items() for line in _upright(table, one, names)]
    if quiet:
        lines.append(f"No row was {_listed(quiet, 'or')}.")
    for table, one in counts.items():
        if one.unresolved and one.named:
            share = f"{one.unresolved / one.named:.1%} ({one.unresolved:,} of {one.named:,})"
            lines += _filled(f"{table}: {share} of the rows that name a customer name one whom nobody knows.")
    return lines


def _upright(table: str, counts: TableCounts, names: Sequence[str]) -> list[str]:
    """Return the counts of one table below each other, where numbers are too long for a line."""
    return [table, *(f"  {name.replace('_', ' '):<12}{getattr(counts, name):>16,}" for name in names)]


def _refused(report: IngestReport) -> list[str]:
    """Return each kind of refusal with its count and its first place."""
    lines = [line for one in report.unreadable for line in _refusal("unreadable in", one)]
    return lines + [line for one in report.refusals for line in _refusal("rejected from", one)]


def _refusal(what: str, one: Refusal) -> list[str]:
    """Return one kind of refusal: what and how often, then where it was met first."""
    lines = _filled(f"{what} {one.table}: {one.rows:,} x {one.reason}")
    first = ": ".join(part for part in (one.place, one.example if one.example != one.reason else "") if part)
    return [*lines, *_filled(f"  first: {first}")] if first else lines


def _told(report: IngestReport) -> list[str]:
    """Return warnings and notes."""
    told = [f"warning: {warning}" for warning in report.warnings] + [f"note: {note}" for note in report.notes]
    return [line for words in told for line in _filled(words)]


def _sample(sample: Sample) -> list[str]:
    """Return the first rows of something: as a table where it fits, else with a column for each row.

    Reasons are sentences: they stand above.
    """
    shown = sample.rows[:_ROWS_SHOWN]
    places = [place for place, name in enumerate(sample.columns) if name != "reasons"]
    names = [sample.columns[place] for place in places]
    rows = [[_cut(" ".join(row[place].split()), WIDTH // 2) for place in places] for row in shown]
    lines = grid(names, rows, left=len(names))
    if max(map(len, lines)) > WIDTH:
        room = max(10, (WIDTH - 2 - max(map(len, names))) // len(rows) - 2)
        turned = [(name, *(_cut(row[place], room) for row in rows)) for place, name in enumerate(names)]
        lines = grid(turned[0], turned[1:], left=len(rows) + 1)
    why = (
        dict.fromkeys(row[sample.columns.index("reasons")] for row in shown)
        if len(places) < len(sample.columns)
        else {}
    )
    told = [line for reason in why for line in _filled(f"  {reason}")]
    return [f"{sample.title}, first rows:", *told, *(f"  {line}" for line in lines)]


def _quarantine(report: IngestReport, shown: Shown) -> list[str]:
    """Say where refused rows lie, and how to mend them."""
    if report.quarantine is None:
        return []
    book = next(iter(sorted(report.quarantine.glob("*.xlsx"))), None)
    lines = [f"Refused rows, with every reason: {shown(report.quarantine)}/"]
    if book is not None and report.refusals:
        lines.append(f"Mend them in {book.name}, then: cx ingest {report.source} --mended {shown(book)}")
    return lines


def _standing(report: IngestReport) -> str:
    """Say at which snapshot the store is."""
    where = f"at snapshot {report.snapshot_id}" if report.snapshot_id else "empty"
    if report.dry_run:
        return f"A dry run: nothing was written. The store is {where}, as before."
    if report.changed:
        return f"New snapshot: the store is {where}, the new one."
    return f"Nothing new: the store is {where}, as before."


def snapshots(found: Sequence[Snapshot], *, full: bool) -> list[str]:
    """Return the snapshots of a ledger, the newest last; `full` with checksums and rows by table."""
    lines = []
    for one in found:
        batch = one.batch
        made = one.created_at.replace("T", " ").removesuffix("Z")
        gone = f", compacted away {one.dropped.when[:10]}: {one.dropped.why}" if one.dropped else ""
        lines.append(f"{one.id}  {made} UTC  {batch.source}, batch {batch.id}{gone}")
        lines += _filled(f"  brought: {_brought(batch.counts)}")
        lines += _filled(f"  rows: {', '.join(f'{name} {table.rows:,}' for name, table in sorted(one.tables.items()))}")
        for why in dict.fromkeys(mark.why for mark in one.rewritten):
            times = [mark.when[:10] for mark in one.rewritten if mark.why == why]
            lines.append(f"  since then {why}, {len(times):,} time{'s' * (len(times) > 1)}, last on {times[-1]}")
        if full:
            lines.append(f"  checksum: {batch.checksum} of {len(batch.files):,} files")
    return lines


def snapshot(one: Snapshot) -> list[str]:
    """Return one snapshot in full: its tables, what its batch brought, and the files of that with their checksums."""
    lines = snapshots([one], full=True)
    latest = {name: f"{table.latest:%Y-%m-%d %H:%M}" if table.latest else "" for name, table in one.tables.items()}
    rows = [
        (name, f"{table.rows:,}", latest[name], *_counted(one.batch.counts.get(name, {})))
        for name, table in sorted(one.tables.items())
    ]
    lines += ["", *grid(("Table", "rows", "newest (UTC)", "accepted", "corrected", "deleted", "rejected"), rows)]
    files = [(checksum, name) for name, checksum in sorted(one.batch.files.items())]
    return [*lines, "", *grid(("SHA-256", "File"), files, left=2)] if files else lines


def _counted(counts: Mapping[str, int]) -> list[str]:
    """Return what a batch did to one table."""
    names = ("accepted", "corrected", "deleted", "rejected")
    return [f"{counts[name]:,}" if counts.get(name) else "-" for name in names]


def _brought(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Say what a batch changed, table by table."""
    told = []
    for table, one in counts.items():
        new = one.get("accepted", 0) - one.get("corrected", 0)
        parts = [f"{new:,} new"] if new else []
        parts += [f"{one[name]:,} {name}" for name in ("corrected", "deleted") if one.get(name)]
        told += [f"{table} {', '.join(parts)}"] if parts else []
    return "; ".join(told) or "nothing"


def framework(found: Sequence[Gap]) -> list[str]:
    """Return what the measurement framework leaves open, one fault a line as faults are told, what to know last."""
    words = {"gap": "warning", "info": "note"}
    return [line for gap in found for line in _filled(f"{words[gap.state]}: {gap}")]


def _filled(words: str) -> list[str]:
    """Return a sentence as lines that fit; words longer than a line stay whole."""
    inside = " " * (len(words) - len(words.lstrip()) + 4)
    return textwrap.wrap(
        words, WIDTH, subsequent_indent=inside, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    ) or [words]


def _cut(text: str, size: int) -> str:
    """Return a text, cut where it is too long."""
    return text if len(text) <= size else f"{text[: size - 3]}..."


def _listed(names: Sequence[str], last: str) -> str:
    """Return `a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
