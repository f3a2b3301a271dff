"""What may be published: small cells hidden, and no identifier among the frozen inputs. Publishing fails closed.

Secondary suppression, the scan for personal data in texts, and the remedies come with the publishing issue.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib import contract

IDENTIFIERS = frozenset(
    column.name for table in contract.TABLES.values() for column in table.columns if column.name.endswith("_id")
) | {"referred_by"}


def mask(moments: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Hide every number of the cells that hold fewer than `min_n` distinct customers.

    Parameters
    ----------
    moments
        One row per period and level, or one per value within these; with `clusters`, the cell's distinct customers.
    min_n
        The least number of customers that may be shown.

    Returns
    -------
    pandas.DataFrame
        The same columns; a hidden cell is one row with its labels and nothing else.
    """
    keys = ["period", "level"]
    small = moments["clusters"] < min_n
    blank = [name for name in moments.columns if name not in keys]
    if not small.any():
        return moments.astype(dict.fromkeys(blank, "float64")).reset_index(drop=True)
    hidden = moments.loc[small].drop_duplicates(keys)
    hidden = hidden.assign(**dict.fromkeys(blank, pd.NA)).astype(dict.fromkeys(blank, "Float64"))
    shown = moments.loc[~small].astype(dict.fromkeys(blank, "Float64"))
    return pd.concat([shown, hidden], ignore_index=True).astype(dict.fromkeys(blank, "float64"))


def hidden(moments: pd.DataFrame) -> pd.Series[Any]:
    """Tell which rows of masked moments are hidden cells."""
    return moments["rows"].isna()


def check(folder: Path, min_n: Mapping[str, int], otherwise: int | None = None) -> dict[str, Any]:
    """Look through the frozen inputs of a run.

    Parameters
    ----------
    folder
        Of the run; its `inputs/` are looked at.
    min_n
        Metric id -> the least number of customers that may be shown.
    otherwise
        The least number for results that are not of one metric; None refuses them.

    Returns
    -------
    dict
        `verdict` (`passed` or `refused`), `found` (every reason, with its file), `checked` (number of files).
    """
    files = sorted((folder / "inputs").rglob("*.parquet"))
    found = [
        f"{path.relative_to(folder).as_posix()}: {reason}"
        for path in files
        for reason in _faults(path, min_n, otherwise)
    ]
    return {"verdict": "refused" if found else "passed", "found": found, "checked": len(files)}


def _faults(path: Path, min_n: Mapping[str, int], otherwise: int | None) -> list[str]:
    """Return what may not be published in one frozen file; a file that cannot be read is a reason too."""
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        return [f"cannot be read ({type(error).__name__})"]
    faults = [f"holds the identifier {name}" for name in sorted(set(table.columns) & IDENTIFIERS)]
    counted = "n" if "estimate" in table.columns else "clusters"
    lacking = sorted({"metric", "period", "level", counted} - set(table.columns))
    if lacking:
        return [*faults, f"is no frame of sums or results: {', '.join(lacking)} missing"]
    for metric, part in table.groupby("metric"):
        least = min_n.get(str(metric), otherwise if counted == "n" else None)  # sums are always of a metric
        if least is None:
            faults.append(f"holds the unknown metric {metric}")
            continue
        small = int((part[counted] < least).sum())  # a hidden cell has no count at all
        if small:
            people = "answers" if counted == "n" else "customers"
            faults.append(f"{small} cells of {metric} with fewer than {least} {people}")
    return faults
