"""Other names of touchpoints, as SQL: the store keeps what sources said, and tables are read by the taxonomy's ids.

The rules are those of `cxlib.params.places`, which says them for a name in Python.
"""

from __future__ import annotations

from collections.abc import Mapping

from cxlib import contract
from cxlib.data.sources import name, text
from cxlib.params import places
from cxlib.params.models import Touchpoint

COLUMN = "touchpoint"


def reading(shape: contract.Table, touchpoints: Mapping[str, Touchpoint]) -> str:
    """Return what a SELECT of a table takes, touchpoints by their ids; empty where its rows are right as they are.

    Parameters
    ----------
    shape
        The table.
    touchpoints
        The taxonomy; without other names in it nothing is looked up.
    """
    column = name(COLUMN)
    branches = _branches(column, touchpoints) if COLUMN in shape.names else []
    if not branches:
        return ""
    own = f"WHEN {column} IN ({', '.join(map(text, touchpoints))}) THEN {column}"
    return f"* REPLACE (CASE {' '.join([own, *branches])} ELSE {column} END AS {column})"


def known(column: str, touchpoints: Mapping[str, Touchpoint]) -> str:
    """Return SQL that a cell is another name of a touchpoint; empty where the taxonomy has none."""
    word, exact = _folded(column), places.names(touchpoints)
    found = [f"{word} IN ({', '.join(map(text, exact))})"] if exact else []
    found += [f"{word} GLOB {text(pattern)}" for pattern in places.patterns(touchpoints)]
    return f"({' OR '.join(found)})" if found else ""


def _branches(column: str, touchpoints: Mapping[str, Touchpoint]) -> list[str]:
    """Return the branches of a CASE over other names: exact ones first, then patterns."""
    word, by_id = _folded(column), dict[str, list[str]]()
    for other, point in places.names(touchpoints).items():
        by_id.setdefault(point, []).append(other)
    found = [f"WHEN {word} IN ({', '.join(map(text, others))}) THEN {text(point)}" for point, others in by_id.items()]
    patterns = places.patterns(touchpoints).items()
    return [*found, *(f"WHEN {word} GLOB {text(pattern)} THEN {text(point)}" for pattern, point in patterns)]


def _folded(column: str) -> str:
    """Return SQL for a cell as names are compared."""
    return f"lower(trim({column}))"
