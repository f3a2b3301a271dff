"""The log of a Delta table: which of its entries nobody needs, and checkpoints that make reading it short.

To read a version takes the newest checkpoint up to it, and the commits from there on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from cxlib.data import tables
from cxlib.data.ledger import sync
from cxlib.data.places import Where
from cxlib.data.remote import Remote

FOLDER = "_delta_log"
_HINT = "_last_checkpoint"  # names one, so that a reader need not list the log
_ENTRY = re.compile(r"(\d{20})\.(json|crc|checkpoint\..*)")
_DRAFT = re.compile(r".*(#\d+|\.tmp)")  # of a writer that was killed
_CHECKPOINT = "checkpoint.parquet"
_WORTH_ONE = 10  # commits that a reader need not go through, or that can be removed


def spare(
    there: Sequence[str], oldest: int, newest: int, *, hinted: int, young: Callable[[str], bool], alone: bool = True
) -> tuple[list[str], list[int]]:
    """Work out what may go from a log of which the versions `oldest` to `newest` are needed.

    Entries beyond `newest` are of killed ingests, or of snapshots that were dropped. Entries before a checkpoint are
    needed by nobody but a reader who listed the log before that stood: so it must have stood for a while.

    Parameters
    ----------
    there
        What lies in the folder of the log.
    oldest
        The oldest version that must stay readable.
    newest
        The newest one.
    hinted
        The version of the checkpoint that the log's hint names; -1 without one.
    young
        Whether a file was written a moment ago.
    alone
        Whether nobody can be writing: else entries beyond `newest` may be of an ingest that is at work.

    Returns
    -------
    tuple[list[str], list[int]]
        Files, in the order in which to remove them: after each the versions can be read, and the table be written.
        And the versions at which a checkpoint is worth its while.
    """
    drafts = [name for name in sorted(there) if alone and _DRAFT.fullmatch(name)]
    matches = [(_ENTRY.fullmatch(name), name) for name in sorted(there) if name not in drafts]
    entries = [(int(match[1]), match[2], name) for match, name in matches if match]
    beyond = [one for one in entries if alone and one[0] > newest]
    # A hint at a checkpoint that is gone makes a table unreadable: it goes first. Commits go last, the newest first.
    files = [_HINT] if alone and hinted > newest else []
    files += [name for _, _, name in sorted(beyond, key=lambda one: (one[1] == "json", -one[0]))]
    checkpoints = {version: name for version, kind, name in entries if kind == _CHECKPOINT and version <= newest}
    covering = max((n for n, name in checkpoints.items() if n <= oldest and not young(name)), default=0)
    files += [*(name for version, _, name in entries if version < covering), *drafts]
    first = min((version for version, kind, _ in entries if kind == "json"), default=0)
    wanted: list[int] = []
    for version in sorted({oldest, newest}):
        before = max(first, *(one for one in (0, *checkpoints, *wanted) if one <= version))
        if version - before >= _WORTH_ONE:
            wanted.append(version)
    return files, wanted


def write_checkpoint(store: Where, table: str, version: int) -> None:
    """Write a checkpoint of one version of a table, and have it on the disk."""
    tables.open_delta(store, table, version).create_checkpoint()
    if not isinstance(store, Remote):
        sync(store / table / FOLDER / f"{version:020}.{_CHECKPOINT}")


def hinted(store: Where, table: str) -> int:
    """Return the version of the checkpoint that the hint of a table's log names; -1 without one, and at a URL."""
    if isinstance(store, Remote):
        return -1  # nothing beyond the newest version goes there, so the hint may stay
    try:
        return int(json.loads((store / table / FOLDER / _HINT).read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
