"""The command that erases people: `cx erase`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cxlib.cli import terminal
from cxlib.errors import CxError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cxlib.data.erasing import Erasure

_SHOWN = 20  # places that are listed


@click.command()
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@click.option(
    "--from",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="A file of ids, one a line; those that are nobody's are remembered, so that no export brings them.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; change nothing.")
def erase(customers: tuple[str, ...], listed: Path | None, dry_run: bool) -> None:
    """Erase CUSTOMERs for good, under all their ids.

    They go from every table of every snapshot, from refused rows, labels of audits and caches; everything is looked
    through afterwards. Published reports and raw exports stay: exports that still hold them are named, and cannot bring
    them back. Run again, it finishes what was cut off.
    """
    from datetime import UTC, datetime

    from cxlib import params
    from cxlib.data.erasing import erase as take_out
    from cxlib.reports.remote import mirrored

    root = terminal.workspace()
    found = params.load(root)
    with terminal.steps() as say, terminal.notes_of_failures():
        done = take_out(
            root,
            found,
            customers,
            listed=_ids(listed) if listed else (),
            reports=mirrored(root, found.workspace),
            dry_run=dry_run,
            now=datetime.now(UTC),
            progress=say,
        )
    for line in told(done):
        click.echo(line)
    if done.proof and done.proof.left:
        raise CxError(
            f"something is left of them in {len(done.proof.left):,} places: they are listed above",
            hint="Remove it there (make a report again, delete a file), then run the same command again.",
        )


def _ids(path: Path) -> Sequence[str]:
    """Return the ids of a file."""
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeError:
        raise UsageError(f"{path.name} is no text in UTF-8", hint="Save it with one id a line.") from None


def told(done: Erasure) -> Iterator[str]:
    """Yield what an erasing did, in words that name nobody."""
    would = "would be " if done.dry_run else ""
    also = f", with all their ids {done.ids:,}" if done.ids > done.people else ""
    yield f"{done.people:,} customer{'s' * (done.people > 1)}{also}{' (erased before)' if done.again else ''}"
    if done.absent:
        verb = "is" if done.absent == 1 else "are"
        yield f"{done.absent:,} of them {verb} nobody's here, and {would}remembered: no export brings them"
    for table in dict.fromkeys((*done.rows, *done.older)):
        older = f", and {done.older[table]:,} that only older snapshots have" if table in done.older else ""
        yield f"{would}erased from {table}: {done.rows.get(table, 0):,} rows{older}"
    for table, rows in done.unnamed.items():
        yield f"{would}made nameless in {table}: {rows:,} rows of others that name them"
    for batch, rows in done.refused.items():
        yield f"{would}erased from the quarantine of {batch}: {rows:,} rows"
    for file, rows in done.labels.items():
        yield f"{would}erased from the labels in {file}: {rows:,} rows"
    if done.snapshots:
        yield f"{would}rewritten: {done.snapshots:,} snapshot{'s' * (done.snapshots > 1)}, which keep their ids"
    if done.proof:
        from cxlib.data.proof import told as proof_told

        yield from proof_told(done.proof)
        yield from (f"  left: {place} ({count:,})" for place, count in list(done.proof.left.items())[:_SHOWN])
    if done.raw:
        yield f"{len(done.raw):,} raw exports still hold them; they are yours to clean, and cannot bring them back:"
        yield from (f"  {place}" for place in done.raw[:_SHOWN])
