"""The commands that bring data in and look after the store: ingest, new source, snapshots, compact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxlib.cli import terminal, told
from cxlib.errors import CxError, SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cxlib.data.counts import IngestReport
    from cxlib.data.proposal import Proposal
    from cxlib.params.models import Params

_NEWEST = 20  # snapshots that are listed without --full
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("source", required=False, default="")
@click.option(
    "--from", "folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of the raw files."
)
@click.option("--dry-run", is_flag=True, help="Show what would happen, with first rows; nothing is written.")
@click.option("--mended", type=_FILE, default=None, help="Refused rows that you mended, instead of the raw files.")
@click.option("--despite-limits", is_flag=True, help="Go on where a limit of params would stop it.")
def ingest(source: str, folder: Path | None, dry_run: bool, mended: Path | None, despite_limits: bool) -> None:
    """Bring in the raw files of SOURCE, or of every source whose files are there.

    Every row is validated; rejected ones are kept with their reasons. All tables change in one snapshot, or none.
    """
    from cxlib import params

    root = terminal.workspace()
    found = params.load(root)
    if not source and (folder or mended):
        raise UsageError("--from and --mended need to know whose files they are", hint="Name it: cx ingest SOURCE ...")
    if folder and mended:
        raise UsageError("--mended takes the place of the raw files: leave --from out")
    how = {"folder": folder, "mended": mended, "dry_run": dry_run, "despite_limits": despite_limits}
    failed: list[CxError] = []
    for name in [source] if source else _waiting(root, found):
        try:
            _take_in(root, found, name, **how)
        except CxError as error:
            if source:
                raise
            click.echo(f"error: {error}\n", err=True)  # the other sources are no worse for it
            failed.append(error)
    if failed:
        sys.exit(failed[0].exit_code)


def _waiting(root: Path, found: Params) -> list[str]:
    """Return the sources whose folder has files of theirs."""
    folders = {name: root / (source.folder or f"data/raw/{name}") for name, source in found.sources.items()}
    names = [
        name
        for name, source in found.sources.items()
        if any(next(folders[name].glob(file.path), None) for file in source.files.values())
    ]
    if not names:
        hint = "Put them into data/raw/SOURCE/, or name their folder: cx ingest SOURCE --from FOLDER."
        raise SourceError("no source has files in its folder", hint=hint)
    return names


def _take_in(root: Path, found: Params, name: str, **how: Any) -> None:
    """Bring in one source, and print what became of it."""
    from datetime import UTC, datetime

    from cxlib.data.ingest import ingest as take_in

    # The demo company's months are fixed: it has no future, whatever the clock of this machine says.
    today = None if name == "demo" else datetime.now(UTC).date()
    with terminal.steps() as say, terminal.notes_of_failures():
        report = take_in(root, found, name, today=today, progress=say, **how)
    show(report)


def show(report: IngestReport) -> None:
    """Print what an ingest did.

    Raises
    ------
    SourceError
        Where the store is empty after it: nothing was ever accepted.
    """
    for line in told.ingest(report, terminal.relative):
        click.echo(line)
    if not (report.snapshot_id or report.dry_run):
        raise SourceError("nothing was accepted; the store is empty", hint="Read the reasons above, then try again.")


@click.group()
def new() -> None:
    """Write a first draft of something into params/."""


@new.command()
@click.argument("name")
@click.option(
    "--from",
    "given",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    required=True,
    metavar="FILE",
    help="An export as its tool writes it, or a folder of them; may be given several times.",
)
@click.option("--force", is_flag=True, help="Take the place of a source of that name.")
def source(name: str, given: tuple[Path, ...], force: bool) -> None:
    """Look at FILEs and write the source NAME that reads them.

    Its source.yml and SQL lie in params/sources/NAME/, each guess marked. CSV, TSV, text, workbooks, Parquet, JSON
    lines, gzip and zip.
    """
    from datetime import UTC, datetime, timedelta

    from cxlib import params
    from cxlib.data import proposal

    root = terminal.workspace()
    proposal.check_free(root, name, force=force)
    with terminal.steps() as say:
        say(f"looking at {', '.join(path.name for path in given)}")
        today = datetime.now(UTC).date() + timedelta(days=1)  # somewhere it is tomorrow
        made = proposal.propose(name, given, root=root, params=params.load(root), today=today)
        folder = proposal.save(root, name, made.texts, force=force)
    for line in proposed(made, terminal.relative(folder), terminal.relative(made.folder)):
        click.echo(line)


def proposed(made: Proposal, folder: str, raw: str) -> list[str]:
    """Return what is told of a new source: what was found, what to decide, and the two commands that come next."""
    lines = [*made.found, f"Written to {folder}/: {', '.join(made.texts)}", ""]
    if made.decide:
        lines += ["To decide, marked there:", *(f"  - {' '.join(words.split())}" for words in made.decide), ""]
    where = "" if made.inside else f" --from {raw if ' ' not in raw else repr(raw)}"
    return [*lines, "Next:", "  cx check", f"  cx ingest {made.name}{where} --dry-run"]


@click.command()
@click.argument("snapshot", required=False, default="")
@click.option("--full", is_flag=True, help="All of them, with their checksums.")
def snapshots(snapshot: str, full: bool) -> None:
    """List the snapshots of the store, or show one in full.

    SNAPSHOT is an id, the beginning of one, or a day as 2026-10-31.
    """
    from cxlib import params
    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    root = terminal.workspace()
    store = location_of(root, params.load(root).workspace.store)
    if snapshot:
        lines: Sequence[str] = told.snapshot(Ledger.find(store, snapshot))
    else:
        found = Ledger.read(store)
        lines = told.snapshots(found if full else found[-_NEWEST:], full=full)
        if len(found) > _NEWEST and not full:
            lines = [f"{len(found) - _NEWEST:,} older ones: cx snapshots --full", *lines]
    for line in lines or ["No snapshot yet: run cx demo, or cx ingest SOURCE."]:
        click.echo(line)


def resolved(root: Path, as_of: str) -> str:
    """Return the id of the snapshot that an id, the beginning of one or a day means; `StoreError` where none is."""
    from cxlib import params
    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    return Ledger.find(location_of(root, params.load(root).workspace.store), as_of).id


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
def compact(dry_run: bool) -> None:
    """Remove what no kept snapshot needs.

    Snapshots younger than `retention_days` of workspace.yml are kept, and those that published reports were made of.
    Texts, rows, refused rows and runs laid aside go from all of them after their time in `retention`.
    """
    from datetime import UTC, datetime

    from cxlib import params
    from cxlib.data.compact import compact as tidy
    from cxlib.data.retaining import Term
    from cxlib.reports import places
    from cxlib.reports.remote import mirrored

    root = terminal.workspace()
    workspace = params.load(root).workspace
    reports = mirrored(root, workspace)
    runs = {"superseded": reports / places.SUPERSEDED, "failed": reports / places.FAILED}
    with terminal.notes_of_failures():
        report = tidy(
            root,
            workspace.store,
            retention_days=workspace.retention_days,
            now=datetime.now(UTC),
            keep=_published(reports),
            dry_run=dry_run,
            term=Term(workspace.retention, workspace.timezone, runs),
        )
    for line in report.lines():
        click.echo(line)


def _published(reports: Path) -> set[str]:
    """Return the snapshots that the published reports in a folder were made of.

    Raises
    ------
    CxError
        Where a report's run.json cannot be read: what it needs is not known.
    """
    import json

    found = set()
    for path in sorted(reports.glob("[!_.]*/[!_.]*/run.json")):
        try:
            found.add(str(json.loads(path.read_text(encoding="utf-8"))["snapshot"]["id"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise CxError(
                f"{terminal.relative(path)} cannot be read, so the snapshot that it needs is not known",
                hint="Make that report again, or remove its folder.",
            ) from None
    return found
