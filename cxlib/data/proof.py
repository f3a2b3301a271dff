"""The proof that nothing is left of somebody: everything is looked through that the workspace has, decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from cxlib.contract import TABLES
from cxlib.data import erased, labelled
from cxlib.data.intake import SCRATCH
from cxlib.data.lock import LOCK
from cxlib.data.places import Where, walk
from cxlib.data.remote import Remote
from cxlib.data.searching import Search, Wanted, files_below, other, parquet, small_parquet
from cxlib.params.models import Params

RAW = "data/raw"
_SMALL = 200_000  # bytes of a Parquet file that is read at once


@dataclass(frozen=True)
class Proof:
    """What was looked through, and where something is left."""

    files: int
    values: int  # cells of Parquet files
    bytes: int  # of all other files, unpacked
    left: dict[str, int]  # place -> how many values
    unread: tuple[str, ...]


def prove(
    connection: duckdb.DuckDBPyConnection,
    root: Path,
    params: Params,
    store: Where,
    wanted: Wanted,
    reports: Path | None,
) -> Proof:
    """Look through the store, its copies on this machine, all else below data/, and the reports.

    Left out are the exports (`raw_files` tells of them), and the drafts and the journal of this very erasing.
    """
    search = Search()
    folder = _store_files(connection, store, wanted, search)
    raw = _raw_folders(root, params)
    out = [*raw, root / SCRATCH, root / erased.JOURNALS, *(folder / table for table in TABLES)]
    below = [root / "data", *([folder] if root / "data" not in folder.parents else []), *([reports] if reports else [])]
    for path in dict.fromkeys(files_below(below, out)):
        if path.name != LOCK:
            _look(connection, path, wanted, search)
    _labels(root, wanted, search)
    left = {_named(place, root): count for place, count in sorted(search.found.items())}
    return Proof(search.files, search.values, search.bytes, left, tuple(_named(one, root) for one in search.unread))


def _store_files(connection: duckdb.DuckDBPyConnection, store: Where, wanted: Wanted, into: Search) -> Path:
    """Look through the tables of a store, table by table, which is faster; return where its files lie here."""
    if isinstance(store, Remote):
        there = walk(store)
        data = {name: item for name, item in there.items() if name.split("/")[0] in TABLES}
        plain = {
            name: type(item)(item.size) for name, item in data.items() if name.endswith(".parquet") and "=" in name
        }
        fetched = store.fetch(plain) | store.fetch({name: item for name, item in data.items() if name not in plain})
        found = dict(fetched)
    else:
        names = [name for table in TABLES if (store / table).is_dir() for name in walk(store, table)]
        found = {name: store / name for name in names}
    for table in TABLES:
        own = {name: path for name, path in found.items() if name.split("/")[0] == table}
        rows = [path for name, path in own.items() if name.endswith(".parquet") and "_delta_log" not in name]
        parquet(connection, rows, wanted, into)
        for path in (path for path in own.values() if path not in set(rows)):
            _look(connection, path, wanted, into)
    return store.cache.folder if isinstance(store, Remote) else store


def _labels(root: Path, wanted: Wanted, into: Search) -> None:
    """Look for labels of their texts: in the column that names texts, and an id that is no other word anywhere."""
    rows, ids = labelled.holding(root, wanted.texts), Wanted(wanted.texts)
    for path in labelled.files(root):
        into.add(str(path), len(rows.get(path, ())) or other(path, ids, Search()))
    into.unread += map(str, labelled.unread(root))


def _look(connection: duckdb.DuckDBPyConnection, path: Path, wanted: Wanted, into: Search) -> None:
    """Look through one file as what it is."""
    if path.suffix == ".parquet":
        try:
            if path.stat().st_size < _SMALL:
                small_parquet(path, wanted, into)
            else:
                parquet(connection, [path], wanted, into)
            return
        except (duckdb.Error, pa.ArrowException):
            into.unread.append(str(path))
    other(path, wanted, into)


def raw_files(connection: duckdb.DuckDBPyConnection, root: Path, params: Params, wanted: Wanted) -> tuple[str, ...]:
    """Return the files of exports that still hold somebody: they are the company's own, and nothing changes them."""
    search = Search()
    for path in dict.fromkeys(files_below(_raw_folders(root, params), [])):
        _look(connection, path, wanted, search)
    return tuple(sorted(_named(place, root) for place in search.found))


def _raw_folders(root: Path, params: Params) -> Sequence[Path]:
    """Return where exports lie: data/raw, and folders that sources name."""
    named = [root / source.folder for source in params.sources.values() if source.folder]
    return [root / RAW, *(folder for folder in named if root / RAW not in (folder, *folder.parents))]


def _named(place: str, root: Path) -> str:
    """Name a file from the workspace on."""
    path = Path(place)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def told(proof: Proof) -> Iterator[str]:
    """Yield the proof in words."""
    yield f"looked through {proof.files:,} files, {proof.values:,} cells and {proof.bytes / 1e6:,.1f} MB of other text"
    if proof.unread:
        yield f"{len(proof.unread):,} files cannot be read as what they are: {', '.join(proof.unread[:5])}"
    yield "found: nothing" if not proof.left else f"found: in {len(proof.left):,} places"
