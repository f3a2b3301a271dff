"""One table of one batch on its way in: typed, judged, freed of duplicates, compared with what the store holds.

Everything is SQL inside one DuckDB that spills to disk. Rows are written once: accepted ones go straight into one
Parquet file per month in the scratch folder, and where the store has nothing of that month yet, this file is moved into
it. All that comes after works on keys: where not all rows of a month are to be stored, `kept` holds the keys of those
that are; `gone` holds those of stored rows that must not stay. Only months that this changes are written again.
"""

from __future__ import annotations

from cxlib.data.stage.comparing import compare, count_late, newest, touched
from cxlib.data.stage.deleting import delete
from cxlib.data.stage.loading import load
from cxlib.data.stage.months import write
from cxlib.data.stage.staged import BATCH, MONTH, SOURCE, WHOLE, Files, Staged, is_date, month_files

__all__ = [
    "BATCH",
    "MONTH",
    "SOURCE",
    "WHOLE",
    "Files",
    "Staged",
    "compare",
    "count_late",
    "delete",
    "is_date",
    "load",
    "month_files",
    "newest",
    "touched",
    "write",
]
