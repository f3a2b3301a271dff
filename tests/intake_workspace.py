"""A workspace made by hand for the tests of intake: a source whose SQL and files are written line by line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from cxlib.data.counts import IngestReport
from cxlib.data.ingest import ingest
from cxlib.data.store import Store
from cxlib.params.models import File, Params, Source, Workspace

TODAY = date(2026, 11, 1)
# What each table's file needs at least; SQL selects everything.
CUSTOMERS = "customer_id,valid_from,region\nc1,2026-01-01 00:00:00,North\nc2,2026-01-01 00:00:00,South\n"


class Toy:
    """One source `toy`: `files` maps a table to the text of its CSV; each SQL is SELECT * unless `sql` says more."""

    def __init__(self, root: Path, *, timezone: str = "UTC", attributes: dict[str, str] | None = None) -> None:
        self.root, self.raw = root, root / "raw"
        self.sql = root / "params" / "sources" / "toy"
        for folder in (self.raw, self.sql):
            folder.mkdir(parents=True, exist_ok=True)
        self.timezone, self.attributes = timezone, attributes or {}
        self.formats: dict[str, str] = {}

    def put(self, table: str, content: str, sql: str | None = None) -> Toy:
        """Write the file of a table, and its SQL."""
        (self.raw / f"{table}.csv").write_text(content, encoding="utf-8")
        (self.sql / f"{table}.sql").write_text(sql or f"SELECT * FROM {table}\n", encoding="utf-8")
        return self

    def drop(self, table: str) -> Toy:
        """Take a table out of the source."""
        (self.raw / f"{table}.csv").unlink()
        (self.sql / f"{table}.sql").unlink()
        return self

    @property
    def params(self) -> Params:
        """The parameters that make it a workspace."""
        files = {path.stem: File(path=path.name) for path in sorted(self.raw.glob("*.csv"))}
        source = Source(id="toy", title="Toy", timezone=self.timezone, licence="none", files=files)
        return Params(workspace=Workspace(company="Toy", attributes=self.attributes), sources={"toy": source})

    def ingest(self, **more: Any) -> IngestReport:
        """Ingest what lies there."""
        return ingest(self.root, self.params, "toy", **{"folder": self.raw, "today": TODAY} | more)

    def open(self, **more: Any) -> Store:
        """Open the store."""
        return Store.open(self.root, **more)

    def rows(self, table: str, *columns: str, as_of: str | None = None) -> list[tuple]:
        """Return the rows of a table as plain tuples, sorted."""
        with self.open(as_of=as_of) as store:
            return _plain(store, table, columns)

    def content(self) -> dict[str, list[tuple]]:
        """Return all tables: two stores of the same content are equal, whatever their history."""
        with self.open() as store:
            return {name: _plain(store, name, ()) for name in store.tables}


def _plain(store: Store, table: str, columns: tuple[str, ...]) -> list[tuple]:
    """Return rows with None for what is missing."""
    frame = store.run(store.tables[table].select(*(columns or store.tables[table].columns)))
    plain = frame.astype(object).where(frame.notna(), None)
    return sorted((tuple(row) for row in plain.itertuples(index=False)), key=repr)
