"""Names for the columns of a file that has none: said by their values alone, so every one of them is to be checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.look import Look

_FEW_UNITS = 1_000  # a larger whole number is no count of pieces


def baptised(look: Look, columns: Sequence[Column]) -> Look:
    """Return the look with names for columns that are called `column1`, `column2`, ...; others keep theirs."""
    if look.header.rows or not all(re.fullmatch(r"column\d+", column.name) for column in columns):
        return look
    roles: dict[str, str] = {}
    for column in columns:
        role = _role(column, roles)
        if role and role not in roles.values():
            roles[column.name] = role
    names = tuple(roles.get(column.name, column.name) for column in columns)
    return replace(look, header=replace(look.header, columns=names, titles=names))


def _role(column: Column, taken: dict[str, str]) -> str:
    """Say what a column seems to be, given what was found to its left."""
    if column.kind == "time":
        return "date" if column.time and column.time.is_date else "timestamp"
    if column.kind in ("email", "phone", "ip"):
        return column.kind
    if column.kind == "comment":
        return "comment"
    number = column.number
    if number and not number.whole:
        return "amount"
    if column.unique and column.kind in ("integer", "text"):
        return "customer_id" if "id" in taken.values() else "id"
    if column.kind == "integer" and number and number.high <= _FEW_UNITS and "date" in taken.values():
        return "units"
    keyed = column.kind in ("integer", "text") and not column.labels and not column.missing
    return "customer_id" if keyed else ""
