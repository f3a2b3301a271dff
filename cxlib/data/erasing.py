"""Erase people: from every table of every snapshot, refused rows, labels, caches, and prove that nothing is left.

In this order, so that an end at any moment leaves the old state or one that the same command finishes: a journal says
who is meant; successors of files and versions are written, which nobody sees; the hashes of the ids are remembered; the
ledger names the new versions, all at once; then the old files, refused rows, labels and caches go; the proof looks
through everything; the journal goes once nothing is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from cxlib.contract import TABLES
from cxlib.data import drafting, erased, labelled, person, quarantined, rewriting
from cxlib.data.ingest import told_of_disk
from cxlib.data.intake import QUARANTINE
from cxlib.data.ledger import Ledger, Snapshot, writer_lock
from cxlib.data.lock import TakenError
from cxlib.data.places import Where, location_of
from cxlib.data.proof import Proof, prove, raw_files
from cxlib.data.searching import Wanted
from cxlib.data.tidying import forget_sums, sweep
from cxlib.errors import BusyError, UsageError
from cxlib.params.models import Params

WHY = "people were erased"


@dataclass(frozen=True)
class Erasure:
    """What an erasing did, or would do where `dry_run`."""

    people: int  # ids that were asked for
    ids: int  # with all others of the same people
    rows: Mapping[str, int]  # table -> rows of the newest snapshot
    older: Mapping[str, int]  # table -> rows that only older snapshots had
    unnamed: Mapping[str, int]  # table -> rows of others that named them
    snapshots: int  # that were rewritten
    refused: Mapping[str, int]  # batch -> refused rows
    labels: Mapping[str, int] = field(default_factory=dict)  # file of an audit -> rows about what they wrote
    again: bool = False  # they had been erased before
    absent: int = 0  # listed ids that nothing here is of: remembered all the same
    dry_run: bool = False
    raw: tuple[str, ...] = ()  # files of exports that still hold them
    proof: Proof | None = None
    hashes: tuple[str, ...] = ()


@dataclass
class _Work:
    """One erasing at work."""

    root: Path
    params: Params
    store: Where
    scratch: Path
    connection: duckdb.DuckDBPyConnection
    snapshots: Sequence[Snapshot]
    say: Callable[[str], None]
    ids: list[str] = field(default_factory=list)
    tables: dict[str, rewriting.Table] = field(default_factory=dict)
    changes: dict[str, rewriting.Change] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)  # keys of their answers that name no customer
    batches: dict[Path, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)  # ids of what they wrote, those that labels of audits name
    labels: dict[Path, list[str]] = field(default_factory=dict)
    journals: list[Path] = field(default_factory=list)

    @property
    def wanted(self) -> Wanted:
        """Who is looked for."""
        return Wanted(tuple(self.ids), tuple(self.words), tuple(self.texts))

    def look(self, given: Sequence[str]) -> None:
        """Find all that is theirs; what an erasing that was cut off knew is taken up."""
        newest = self.snapshots[-1]
        self.ids = person.all_ids(self.connection, self.store, newest, given)
        for path, said in erased.Journal(self.root).unfinished(self.ids):
            self.journals.append(path)
            self.ids = sorted({*self.ids, *said["ids"]})
            self.words += said["words"]
            self.loose += said["loose"]
            self.texts += said.get("texts", [])
            self.batches |= {self.root / QUARANTINE / batch: 0 for batch in said["batches"]}
        person.list_ids(self.connection, self.ids)
        kept = [one for one in self.snapshots if one.dropped is None]
        known = [table for table in TABLES if any(table in one.tables for one in kept)]
        # What they own comes before the answers that may name it.
        for table in sorted(known, key=lambda one: one == "responses"):
            self._look_at(table, kept)
        self.words = sorted({*self.words, *person.words(self.connection, self.tables, self.changes)})
        self.batches |= quarantined.holding(self.connection, self.root / QUARANTINE, self.wanted)
        self._look_at_labels()

    def _look_at_labels(self) -> None:
        """Find the labels of what they wrote, in the files of audits."""
        if labelled.files(self.root):
            theirs = person.texts(self.connection, self.tables, self.changes)
            self.texts = sorted({*self.texts, *labelled.named(self.root, theirs)})
            self.labels = labelled.holding(self.root, self.texts)

    def _look_at(self, table: str, kept: Sequence[Snapshot]) -> None:
        """Find what is theirs in one table."""
        change = person.change(table, self.ids)
        if change is None:
            return
        self.say(f"looking through {table}")
        found = rewriting.look(self.connection, self.store, kept, table, change)
        if table in person.OWNED:
            person.list_owned(self.connection, table, found.files)
        if table == "responses":
            self.loose += person.loose_keys(self.connection, found.touched)
        self.tables[table], self.changes[table] = found, change

    def write_down(self) -> None:
        """Begin the journal, in place of those that are there."""
        said = {"ids": self.ids, "words": self.words, "loose": self.loose, "texts": self.texts}
        said["batches"] = [batch.name for batch in self.batches]
        journal = erased.Journal(self.root)
        before, self.journals = self.journals, [journal.begin(said)]
        journal.end(before)

    def take_out(self, now: datetime) -> int:
        """Write successors of files and versions, and let the ledger name them; return how many snapshots changed."""
        kept = [one for one in self.snapshots if one.dropped is None]
        made = {}
        for name, table in self.tables.items():
            if table.touched:
                self.say(f"rewriting {name}, {len(table.touched)} files")
                made[name] = rewriting.rewrite(self.connection, self.store, table, self.changes[name], self.scratch)
        hashes = erased.Erased(self.store)
        remembered = hashes.remember(self.ids, {"responses": self.loose})
        new = rewriting.renamed(kept, made)
        try:
            if new:
                Ledger.rewrite(self.store, new, WHY, now=now)
        except BaseException:
            hashes.forget(remembered)
            raise
        return len(new)

    def clean(self) -> None:
        """Remove what the ledger names no more, and everything of theirs that is no table."""
        self.say("removing what is left of them elsewhere")
        sweep(self.store, Ledger.read(self.store))
        zones = {name: source.timezone for name, source in self.params.sources.items()}
        for batch in self.batches:
            if batch.is_dir():
                quarantined.take_out(self.connection, batch, self.wanted, self.scratch, zones)
        for path in self.labels:
            labelled.take_out(path, self.texts, self.scratch)
        forget_sums(self.root)


def erase(
    root: Path,
    params: Params,
    ids: Sequence[str],
    *,
    listed: Sequence[str] = (),
    reports: Path | None = None,
    dry_run: bool = False,
    now: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> Erasure:
    """Erase people from a workspace; run again, it finishes what was cut off, and proves anew.

    Parameters
    ----------
    root
        The workspace folder.
    params
        Its parameters.
    ids
        Ids of customers; all other ids of the same people go with them.
    listed
        Further ids, as of a list of erasures that is repeated after a restore: those that are nobody's here are not
        refused but remembered, so that no export brings them.
    reports
        The folder of published reports, which the proof looks through; nothing in it is changed.
    dry_run
        Only say what would go.
    now
        The moment that ledger and log write down; default: the clock's.
    progress
        Called with one line of text at each step; it names nobody.

    Raises
    ------
    UsageError
        Where one of `ids` is nobody's: nothing was changed.
    BusyError
        Where another process is writing to the store.
    StoreError
        Where the disk or the store fails: each table is as it was, or the same command finishes.
    """
    named = _trimmed(ids)
    given = _trimmed([*named, *listed])
    if not given:
        raise UsageError("no customer is named", hint="Name one: cx erase CUSTOMER, or a file of ids: --from FILE.")
    root, now = Path(root).resolve(), now or datetime.now(UTC)
    store = location_of(root, params.workspace.store)
    Ledger.find(store)
    with _alone(store), told_of_disk(store), drafting.folder(root) as scratch, drafting.database(scratch) as connection:
        work = _Work(root, params, store, scratch, connection, Ledger.read(store), progress or (lambda _: None))
        work.look(given)
        before = erased.Erased(store).known(given)
        absent = _unknown(work, given, before)
        _refuse_unknown(named, absent)
        found = _found(work, given, bool(before)) | {"absent": len(absent)}
        if dry_run:
            return Erasure(**found, dry_run=True, raw=raw_files(connection, root, params, work.wanted))
        return _carry_out(work, found, reports, now)


def _carry_out(work: _Work, found: dict[str, Any], reports: Path | None, now: datetime) -> Erasure:
    """Erase, prove and log."""
    resumed = bool(work.journals)
    work.write_down()
    try:
        snapshots = work.take_out(now)
    except Exception:
        with suppress(Exception):
            sweep(work.store, Ledger.read(work.store))
        if not resumed:
            erased.Journal(work.root).end(work.journals)
        raise
    work.clean()
    work.say("looking through everything")
    proof = prove(work.connection, work.root, work.params, work.store, work.wanted, reports)
    raw = raw_files(work.connection, work.root, work.params, work.wanted)
    hashes = tuple(map(erased.Erased(work.store).hash, work.ids))
    done = Erasure(**{**found, "snapshots": snapshots or found["snapshots"]}, raw=raw, proof=proof, hashes=hashes)
    erased.log(work.store, _entry(done), now)
    if not proof.left:
        erased.Journal(work.root).end(work.journals)
    return done


def _entry(done: Erasure) -> dict[str, Any]:
    """Return what the log says: no id, no word of anybody."""
    proof = done.proof
    return {
        "people": list(done.hashes),
        "rows": dict(done.rows),
        "older_rows": dict(done.older),
        "unnamed_rows": dict(done.unnamed),
        "snapshots": done.snapshots,
        "refused_rows": sum(done.refused.values()),
        "labels": sum(done.labels.values()),
        "proof": {"files": proof.files, "values": proof.values, "found": len(proof.left)} if proof else {},
    }


def _found(work: _Work, given: Sequence[str], again: bool) -> dict[str, Any]:
    """Return in numbers what is theirs."""
    newest = {name: table.rows(newest=True) for name, table in work.tables.items()}
    total = {name: table.distinct_rows(work.connection, work.changes[name]) for name, table in work.tables.items()}
    changed = {name: table.changed_rows() for name, table in work.tables.items()}
    touched = {
        one.id
        for one in work.snapshots
        for name, version in one.tables.items()
        if one.dropped is None and name in work.tables and version.version in work.tables[name].affected()
    }
    return {
        "people": len(given),
        "ids": len(work.ids),
        "rows": {name: rows for name, rows in newest.items() if rows},
        "older": {name: total[name] - newest[name] for name in total if total[name] > newest[name]},
        "unnamed": {name: rows for name, rows in changed.items() if rows},
        "snapshots": len(touched),
        "refused": {batch.name: rows for batch, rows in work.batches.items() if rows},
        "labels": {path.relative_to(work.root).as_posix(): len(keys) for path, keys in work.labels.items()},
        "again": again or bool(work.journals),
    }


def _trimmed(ids: Iterable[str]) -> list[str]:
    """Return each id once, without blanks around it."""
    return list(dict.fromkeys(one.strip() for one in ids if one.strip()))


def _unknown(work: _Work, given: Sequence[str], before: Iterable[str]) -> list[str]:
    """Return ids that are nobody's; none of an erasing that was cut off, which has looked."""
    held = set(before)
    return [] if work.journals else [one for one in given if one not in held and not _is_known(work, one)]


def _refuse_unknown(named: Sequence[str], absent: Iterable[str]) -> None:
    """Raise for ids that are named one by one and are nobody's."""
    unknown = [one for one in absent if one in named]
    if unknown:
        raise UsageError(
            f"{len(unknown)} of {len(named)} ids are nobody's, the first: {unknown[0]!r};"
            " neither the store nor the quarantine holds it",
            hint="Nothing was changed. See that ids are written as in the table customers.",
        )


def _is_known(work: _Work, one: str) -> bool:
    """Say whether anything in the store or the quarantine is of an id."""
    for name, table in work.tables.items():
        columns = [column for column in ("customer_id", "source_id", "referred_by") if column in TABLES[name].names]
        rows = rewriting.relation(work.connection, table.touched, columns)
        where = " OR ".join(f"{column} = ?" for column in columns)
        if (
            rows
            and work.connection.execute(f"SELECT 1 FROM {rows} WHERE {where} LIMIT 1", [one] * len(columns)).fetchone()
        ):
            return True
    return bool(quarantined.holding(work.connection, work.root / QUARANTINE, Wanted((one,)), listed=False))


@contextmanager
def _alone(store: Where) -> Iterator[None]:
    """Hold the writer's place; that another process has it is nothing wrong, and later it can be had."""
    try:
        with writer_lock(store):
            yield
    except TakenError as error:
        raise BusyError(error.message, hint=error.hint) from None
