"""Where a run comes from: the code, the notebooks, the versions, and checksums of all that it wrote."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "cxlib", "pandas", "numpy", "scipy", "statsmodels", "seaborn", "matplotlib", "ibis-framework", "duckdb",
    "deltalake", "pyarrow", "papermill", "nbconvert", "ipykernel",
)  # fmt: skip


def digest(content: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def notebook_hash(notebook: Mapping[str, Any]) -> str:
    """Return 12 digits that change when a cell's kind, tags or text changes, and with nothing else."""
    cells = [
        (cell["cell_type"], "".join(cell["source"]), sorted(cell.get("metadata", {}).get("tags", [])))
        for cell in notebook["cells"]
    ]
    return digest(json.dumps(cells, ensure_ascii=False).encode())[:12]


def code(root: Path) -> dict[str, Any]:
    """Return the commit of the workspace and whether it has changes; empty where there is no git or no repository."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain") if commit else ""
    return {"commit": commit or "", "dirty": bool(changed) if commit else None}


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on; those not installed are left out."""
    found = {"python": platform.python_version(), "system": platform.system()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def checksums(folder: Path, *, leave_out: Iterable[str] = ()) -> dict[str, str]:
    """Return path below `folder` -> SHA-256 for every file in it."""
    skipped = set(leave_out)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    named = ((path.relative_to(folder).as_posix(), path) for path in files)
    return {name: digest(path.read_bytes()) for name, path in named if name not in skipped}


def to_disk(folder: Path) -> None:
    """Wait until all files of a folder are on the disk: no power cut may leave a manifest of files that are empty."""
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
