"""Write a proposed source into a workspace, whole or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from cxlib.data.proposal.words import normal
from cxlib.errors import UsageError

_NAME = re.compile(r"[a-z][a-z0-9_]*")  # as the ids of all files of params/


def check_free(root: Path, name: str, *, force: bool = False) -> None:
    """Refuse a name that no source can have, or that one has already.

    Parameters
    ----------
    root
        The workspace folder.
    name
        Of the new source.
    force
        It may take the place of another.

    Raises
    ------
    UsageError
        Where it may not be used.
    """
    if not _NAME.fullmatch(name):
        better = re.sub(r"^[^a-z]+", "", normal(name))
        hint = f"Small letters, digits and _, a letter first{f', as {better}' if better else ''}."
        raise UsageError(f"'{name}' cannot be the name of a source", hint=hint)
    if (root / "params" / "sources" / name).exists() and not force:
        raise UsageError(
            f"there is a source '{name}' already, in params/sources/{name}/",
            hint="Choose another name, or take its place with --force: what stands there is then gone.",
        )


def save(root: Path, name: str, texts: Mapping[str, str], *, force: bool = False) -> Path:
    """Write a source into the workspace, whole or not at all.

    Parameters
    ----------
    root
        The workspace folder.
    name, texts
        Of the source; its files by name.
    force
        Take the place of a source of this name.

    Returns
    -------
    Path
        The source's folder.

    Raises
    ------
    UsageError
        Where the name may not be used.
    """
    check_free(root, name, force=force)
    # Names with a dot are no sources: whoever checks params/ meanwhile passes them over.
    final, draft, old = (root / "params" / "sources" / f"{lead}{name}" for lead in ("", ".new-", ".old-"))
    if old.exists() and not final.exists():  # a killed --force left it so
        old.rename(final)
    for left in (draft, old):
        shutil.rmtree(left, ignore_errors=True)
    draft.mkdir(parents=True)
    for file, text in texts.items():
        (draft / file).write_text(text, encoding="utf-8", newline="\n")
    if final.exists():
        final.rename(old)
    try:
        draft.rename(final)
    except OSError:
        if old.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return final
