"""The key of a row: one that the file has, or one made of all that the row says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cxlib.data.proposal.roles import GUESS, TODO, Field, Roles, missing

UPDATED = "_updated_at"
_OWN_KEY = {
    "responses": "response_id",
    "interactions": "interaction_id",
    "orders": "order_id",
    "invitations": "invitation_id",
}
_FOREIGN = ("customer_id", "agent_id", "partner_id", "account_id")


def keyed(roles: Roles, table: str, fields: list[Field], *, questions: int) -> list[Field]:
    """Return the columns of a table with its key, where it has one of its own.

    Parameters
    ----------
    roles
        The columns of the file.
    table, fields
        A table of the contract, and its other columns.
    questions
        How many questions the rows are read by; 0 where a row is a row of the file.
    """
    target = _OWN_KEY.get(table)
    if target is None:
        return fields
    key = _own(roles, target, fields) or _made_up(roles, target, fields, questions)
    if questions > 1 and not key.is_missing and "q_name" not in key.sql:
        key = replace(key, sql=f"{key.sql} || ':' || q_name")
    return [key, *(one for one in fields if one.target != "case_id" or one.sql != key.sql)]


PER_FILE = "_file"  # of the view "<alias> placed"


def _own(roles: Roles, target: str, fields: Sequence[Field]) -> Field | None:
    """Return the key that the file has: one of the row's own, or its customer where each answers once and for all."""
    others = {column.name for role in _FOREIGN for column in roles.keys(role)}
    named = [column for column in roles.keys(target) if column.unique]
    spare = [column for column in roles.keys("any_id") if column.unique and column.name not in others]
    if named or spare:
        return roles.word(target, (named or spare)[0], "no value stands twice")
    who = next((one for one in fields if one.target == "customer_id" and target == "response_id"), None)
    dated = any(one.target == "responded_at" and one.uses for one in fields)  # then they may answer again another day
    once = who is not None and not dated and any(column.unique for column in roles.columns if column.name in who.uses)
    return replace(who, target=target, why="each customer answers once") if who and once else None


def _made_up(roles: Roles, target: str, fields: Sequence[Field], questions: int) -> Field:
    """Make a key of all that a row says; rows of one file that are equal in everything are numbered.

    Numbered by file: an overlapping export brings the same rows under the same keys.
    """
    said = [one for one in fields if one.uses and one.target != UPDATED]
    said += [roles.word("", column) for column in roles.all("event") if target == "interaction_id"]
    parts = list(dict.fromkeys(one.sql for one in said))
    parts += ["q_score"] * (questions > 0) + ["q_name"] * (questions > 1)
    if not parts:
        return missing(target, "no column can be a key")
    texts = [f"coalesce({part}{'' if roles.is_text(part) else '::VARCHAR'}, '')" for part in parts]
    whole = ",\n        ".join(["'|'", *texts])
    sql = f"md5(concat_ws({whole}\n    )) || '-' || row_number() OVER (PARTITION BY {PER_FILE}, {', '.join(parts)})"
    repeated = [column.name for column in roles.keys(target) if not column.unique and column.filled]
    why = f"'{repeated[0]}' repeats" if repeated else "the file has no key"
    why += ", so it is made of all that a row says: one that is corrected later counts as another"
    mark = TODO if repeated and target == "order_id" else GUESS
    return Field(target, sql, why, mark, tuple(dict.fromkeys(column for one in said for column in one.uses)))
