"""Raw files row by row: what can be read, what is left out, what cannot be read and why."""

from __future__ import annotations

from cxlib.data.reading.facts import FileRead, Read

__all__ = ["FileRead", "Read"]
