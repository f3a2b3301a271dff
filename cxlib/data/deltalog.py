"""The log of a Delta table: which of its entries nobody needs, and checkpoints that make reading it short.

To read a version takes the newest checkpoint up to it, and the commits from there on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from deltalake import DeltaTable

from cxlib.data.ledger import sync

FOLDER = "_delta_log"
_HINT = "_last_checkpoint"  # names one, so that a reader need not list the log
_ENTRY = re.compile(r"(\d{20})\.(json|crc|checkpoint\..*)")
_DRAFT = re.compile(r".*(#\d+|\.tmp)")  # of a writer that was killed
_CHECKPOINT = "checkpoint.parquet"
_WORTH_ONE = 10  # commits that a reader need not go through, or that can be removed


def spare(log: Path, oldest: int, newest: int, young: Callable[[Path], bool]) -> tuple[list[Path], list[int]]:
    """Work out what may go from a log of which the versions `oldest` to `newest` are needed.

    Entries beyond `newest` are of killed ingests, or of snapshots that were dropped. Entries before a checkpoint are
    needed by nobody but a reader who listed the log before that stood: so it must have stood for a while.

    Parameters
    ----------
    log
        The folder of the log.
    oldest
        The oldest version that must stay readable.
    newest
        The newest one.
    young
        Whether a file was written a moment ago.

    Returns
    -------
    tuple[list[Path], list[int]]
        Files, in the order in which to remove them: after each the versions can be read, and the table be written.
        And the versions at which a checkpoint is worth its while.
    """
    there = sorted(log.iterdir()) if log.is_dir() else []
    drafts = [path for path in there if _DRAFT.fullmatch(path.name)]
    matches = [(_ENTRY.fullmatch(path.name), path) for path in there if path not in drafts]
    entries = [(int(match[1]), match[2], path) for match, path in matches if match]
    beyond = [one for one in entries if one[0] > newest]
    # A hint at a checkpoint that is gone makes a table unreadable: it goes first. Commits go last, the newest first.
    files = [log / _HINT] if _hinted(log) > newest else []
    files += [path for _, _, path in sorted(beyond, key=lambda one: (one[1] == "json", -one[0]))]
    checkpoints = {version: path for version, kind, path in entries if kind == _CHECKPOINT and version <= newest}
    covering = max((n for n, path in checkpoints.items() if n <= oldest and not young(path)), default=0)
    files += [*(path for version, _, path in entries if version < covering), *drafts]
    first = min((version for version, kind, _ in entries if kind == "json"), default=0)
    wanted: list[int] = []
    for version in sorted({oldest, newest}):
        before = max(first, *(one for one in (0, *checkpoints, *wanted) if one <= version))
        if version - before >= _WORTH_ONE:
            wanted.append(version)
    return files, wanted


def write_checkpoint(table: Path, version: int) -> None:
    """Write a checkpoint of one version of a table, and have it on the disk."""
    DeltaTable(table, version=version).create_checkpoint()
    sync(table / FOLDER / f"{version:020}.{_CHECKPOINT}")


def _hinted(log: Path) -> int:
    """Return the version of the checkpoint that the log's hint names; -1 without one."""
    try:
        return int(json.loads((log / _HINT).read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
