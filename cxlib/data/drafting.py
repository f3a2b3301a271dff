"""The folder where a writer of the store puts drafts aside, and a database for them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from cxlib.data.intake import SCRATCH
from cxlib.data.sources import connect


@contextmanager
def folder(root: Path, part: str = "") -> Iterator[Path]:
    """Give an empty folder for drafts; what a killed process left there goes, too, so the writer's lock must be held.

    Parameters
    ----------
    root
        The workspace.
    part
        Name of a folder in the one that is meant for this; then nothing else there is touched.
    """
    path = root / SCRATCH / part
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        if part:
            with suppress(OSError):  # what a killed ingest left there is not ours
                path.parent.rmdir()


@contextmanager
def database(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database that keeps the order of rows, whose own drafts go into `scratch`."""
    connection = connect(scratch)
    try:
        connection.execute("SET preserve_insertion_order = true")
        yield connection
    finally:
        connection.close()
