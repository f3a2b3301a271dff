"""Cells that a run hides in any case, since other pages or months hide them: a small file beside what it makes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

FILE = "withheld.json"


class Cell(NamedTuple):
    """One cell of what is published: of a metric, cut by segments (`all`, `region`, `region x plan`)."""

    metric: str
    segment: str
    period: str
    level: str

    def __str__(self) -> str:
        cut = "" if self.segment == "all" else f" by {self.segment} = {self.level}"
        return f"{self.metric} {self.period}{cut}"


def cells(listed: Iterable[Iterable[str]]) -> tuple[Cell, ...]:
    """Return what a manifest or a file lists, in order and once."""
    return tuple(sorted({Cell(*one) for one in listed}))


def write(folder: Path, hide: Iterable[Cell]) -> None:
    """Lay the list where notebooks look for it; several processes may do so at once."""
    found = cells(hide)
    if not found:
        return
    unfinished = folder / f"{FILE}.{os.getpid()}.part"
    unfinished.write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    unfinished.replace(folder / FILE)


def read(folder: Path | None) -> frozenset[Cell]:
    """Return the list of a run; nothing where there is none."""
    path = folder / FILE if folder else None
    return frozenset(cells(json.loads(path.read_text(encoding="utf-8")))) if path and path.is_file() else frozenset()
