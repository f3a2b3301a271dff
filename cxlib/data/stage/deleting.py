"""Rows that a tool has no longer: their keys are given, or a full extract does not bring them."""

from __future__ import annotations

from cxlib.data.sources import name, text
from cxlib.data.stage.loading import judge, typed_key
from cxlib.data.stage.staged import MONTH, SOURCE, Staged


def delete(staged: Staged, keys_view: str | None, full: bool, source: str) -> None:
    """Take rows out of the store; call it after `compare`.

    Stored rows that go are counted as `deleted`. A row that the same batch brings goes too: where it would have been
    stored, it is `stale` now.

    Parameters
    ----------
    staged
        The table.
    keys_view
        The quoted name of a view of keys whose rows are to go, whichever source brought them; None for none.
    full
        The batch is all that the source has: its rows of which the batch does not bring the key go. A refused row keeps
        the stored one, since the tool still has it.
    source
        The source, as the rows name it.
    """
    asked = [sql for sql in (_listed(staged, keys_view), _absent(staged, source) if full else "") if sql]
    if not asked:
        return
    keys = staged.relation("delete")
    staged.connection.execute(f"CREATE TABLE {keys} AS SELECT DISTINCT {staged.key} FROM ({' UNION ALL '.join(asked)})")
    _drop_new(staged, keys)
    if staged.has_old:
        _drop_old(staged, keys)
    staged.counts["accepted"] = sum(staged.fresh.values())


def _listed(staged: Staged, view: str | None) -> str:
    """Return SQL for the keys that a view yields, typed as the table's own."""
    if view is None:
        return ""
    given = {column: str(kind) for column, kind, *_ in staged.connection.execute(f"DESCRIBE {view}").fetchall()}
    pairs = zip(typed_key(staged, given), staged.table.key, strict=True)
    return f"SELECT {', '.join(f'{sql} AS {name(column)}' for sql, column in pairs)} FROM {view}"


def _absent(staged: Staged, source: str) -> str:
    """Return SQL for the keys of a source's stored rows that the batch does not bring."""
    if not staged.has_old:
        return ""
    brought = f"SELECT {staged.key} FROM {staged.new}"
    if staged.counts["rejected"]:
        typed = ", ".join(f"{name(f't:{column}')} AS {name(column)}" for column in staged.table.key)
        brought += f" UNION ALL SELECT {typed} FROM ({judge(staged)}) WHERE _bad"
    held = f"SELECT {staged.key} FROM {staged.old} WHERE {SOURCE} = {text(source)}"
    return f"SELECT * FROM ({held}) ANTI JOIN ({brought}) USING ({staged.key})"


def _drop_new(staged: Staged, keys: str) -> None:
    """Drop rows of the batch itself that would be stored."""
    months = [month for month, rows in staged.fresh.items() if rows]
    if not months:
        return
    out = staged.relation("out")
    rows = f"SELECT {MONTH}, {staged.key} FROM ({staged.stay(months)}) SEMI JOIN {keys} USING ({staged.key})"
    staged.connection.execute(f"CREATE TABLE {out} AS {rows}")
    staged.counts["stale"] += staged.drop(out)
    # Their stored rows, which they would have replaced, are deleted instead.
    replaced = f"{staged.relation('gone')} SEMI JOIN {out} USING ({staged.key})"
    staged.counts["corrected"] -= staged.one(f"SELECT count(*) FROM {replaced}")
    staged.connection.execute(f"DROP TABLE {out}")


def _drop_old(staged: Staged, keys: str) -> None:
    """Drop rows of the store; those that a row of the batch would have replaced are among them already."""
    gone = staged.relation("gone")
    stored = f"SELECT {MONTH}, {staged.key} FROM {staged.old} SEMI JOIN {keys} USING ({staged.key})"
    found = staged.relation("found")
    staged.counts["deleted"] = staged.one(f"CREATE TABLE {found} AS {stored}")
    fresh = f"{found} ANTI JOIN {gone} USING ({staged.key})"
    staged.gone.update(staged.by_month(fresh))
    staged.connection.execute(f"INSERT INTO {gone} SELECT {MONTH}, {staged.key}, NULL FROM {fresh}; DROP TABLE {found}")
