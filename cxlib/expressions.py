"""The small expression language of `params/`: conditions and numbers over the columns of one table.

Python's own syntax, of which only this is allowed: column names, numbers, texts, `true`, `false`, comparisons, `in`,
`and`, `or`, `not`, `+ - * /`, and the functions in `FUNCTIONS`. An expression is data: it is parsed, its names and
types are checked against the contract, and `measure.plans` compiles it for whichever engine holds the rows. It is never
executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cxlib.contract import BOOLEAN, DATE, INTEGER, MONEY, NUMBER, TEXT, TIMESTAMP
from cxlib.errors import UsageError, did_you_mean

# name -> number of arguments (None: two or more)
FUNCTIONS: dict[str, int | None] = {
    "is_null": 1,
    "coalesce": None,
    "least": None,
    "greatest": None,
    "days_between": 2,  # whole days from the first to the second, as an integer
    "seconds_between": 2,
}
# What an expression may name beside the columns, with its type: the period's first day and the day after its last, the
# same as times in UTC, and the days of the metric's window.
PERIOD_TYPES = {
    "period_start": DATE,
    "period_end": DATE,
    "period_from": TIMESTAMP,
    "period_until": TIMESTAMP,
    "window": INTEGER,
}
PERIOD_NAMES = tuple(PERIOD_TYPES)

# Types that may be compared with each other have one family.
CONDITION = "condition"
FAMILIES = {
    TEXT: "text",
    TIMESTAMP: "time",
    DATE: "date",
    INTEGER: "number",
    NUMBER: "number",
    MONEY: "number",
    BOOLEAN: CONDITION,
}

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.Div, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Name, ast.Load,
    ast.Constant, ast.Tuple, ast.List, ast.Call,
)  # fmt: skip
_LONGEST = 500  # parts of one expression: far more than anybody reads, far less than recursion allows
# What people write by habit, and what to write here: in texts that do not parse, and in trees that hold too much.
_SLIPS = (
    (r"&&", "write 'and' for &&"),
    (r"\|\|", "write 'or' for ||"),
    (r"<>", "write != for <>"),
    (r"\b(AND|OR|NOT|IN|IS|LIKE|BETWEEN)\b", "and, or, not, in are written small; there is no IS, LIKE or BETWEEN"),
    (r"(?<![=<>!])=(?!=)", "write == to compare"),
)
_HABITS: dict[type[ast.AST], str] = {
    ast.Is: "'is': use is_null(...) or ==",
    ast.IsNot: "'is not': use not is_null(...) or !=",
    ast.BitAnd: "&: write 'and'",
    ast.BitOr: "|: write 'or'",
    ast.Invert: "~: write 'not'",
    ast.Attribute: "a dot: name a column alone",
}


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text, its tree, and the columns that it names."""

    text: str
    tree: ast.expr
    columns: frozenset[str]
    period_names: frozenset[str]


def parse(text: str) -> Expression:
    """Parse one expression.

    Raises
    ------
    UsageError
        Where the text is not an expression of this language; the message names the part that is not.
    """
    if not text.strip():
        raise UsageError("the expression is empty")
    try:
        tree = ast.parse(" ".join(text.strip().splitlines()), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        slip = next((advice for pattern, advice in _SLIPS if re.search(pattern, text)), "")
        advice = slip or "check its brackets, quotes and operators"
        raise UsageError(f"'{text}' is not an expression: {advice}") from None
    if sum(1 for _ in ast.walk(tree)) > _LONGEST:
        raise UsageError(f"'{text[:40]}...' is too long an expression: it has more than {_LONGEST} parts")
    lists = {id(side) for node in ast.walk(tree) if isinstance(node, ast.Compare) for side in node.comparators}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names: set[str] = set()
    for node in ast.walk(tree):
        _check(node, text)
        if isinstance(node, ast.Tuple | ast.List) and id(node) not in lists:
            raise UsageError(f"'{text}' has a list outside of 'in'")
        if isinstance(node, ast.Name) and id(node) not in called and node.id not in ("true", "false"):
            names.add(node.id)
    period = names & set(PERIOD_NAMES)
    return Expression(text, tree.body, frozenset(names - period), frozenset(period))


def _check(node: ast.AST, text: str) -> None:
    """Refuse what the language does not have."""
    if not isinstance(node, _ALLOWED):
        habit = _HABITS.get(type(node), f"{type(node).__name__}, which expressions do not have")
        raise UsageError(f"'{text}' uses {habit}")
    if isinstance(node, ast.Name) and node.id.lower() in ("null", "true", "false") and node.id not in ("true", "false"):
        raise UsageError(f"'{text}' names {node.id}: write true, false or is_null(...)")
    if isinstance(node, ast.Constant) and (
        isinstance(node.value, bool) or not isinstance(node.value, str | int | float)
    ):
        raise UsageError(f"'{text}' has the constant {node.value!r}: use texts, numbers, true, false or is_null(...)")
    if isinstance(node, ast.Compare):
        _check_in(node, text)
    if isinstance(node, ast.Call):
        _check_call(node, text)


def _check_in(node: ast.Compare, text: str) -> None:
    """Refuse `in` without a list of values, and a list anywhere else."""
    for operator, side in zip(node.ops, node.comparators, strict=True):
        is_list = isinstance(side, ast.Tuple | ast.List)
        if isinstance(operator, ast.In | ast.NotIn) and not (is_list and side.elts):  # type: ignore[attr-defined]
            raise UsageError(f"'{text}': what follows 'in' is a list of values, as in ('a', 'b')")
        if is_list and not isinstance(operator, ast.In | ast.NotIn):
            raise UsageError(f"'{text}' has a list outside of 'in'")


def _check_call(node: ast.Call, text: str) -> None:
    """Refuse unknown functions and wrong numbers of arguments."""
    if not isinstance(node.func, ast.Name) or node.keywords:
        raise UsageError(f"'{text}': only plain calls of {', '.join(FUNCTIONS)} are allowed")
    name, given = node.func.id, len(node.args)
    if name not in FUNCTIONS:
        advice = did_you_mean(name, FUNCTIONS) or f"; there are {', '.join(FUNCTIONS)}"
        raise UsageError(f"'{text}' calls '{name}', which does not exist{advice}")
    wanted = FUNCTIONS[name]
    if given != wanted if wanted is not None else given < 2:
        raise UsageError(f"'{text}': {name} takes {wanted or 'two or more'} arguments, not {given}")


def family_of(expression: Expression, types: Mapping[str, str]) -> str:
    """Return what an expression gives: `condition`, `number`, `text`, `date` or `time`.

    Parameters
    ----------
    expression
        From `parse`.
    types
        The contract's type of every column that it names; an empty text for a column of unknown type, which fits
        everywhere. An expression that is such a column gives an empty text too.

    Raises
    ------
    UsageError
        Where parts do not fit: a text compared with a number, a sum of texts, a number where a condition is due.
    """
    families = {name: FAMILIES.get(kind, "") for name, kind in {**types, **PERIOD_TYPES}.items()}
    return _family(expression.tree, families, expression.text)


def _family(node: ast.AST, families: Mapping[str, str], text: str) -> str:
    """Return the family of one node; see `family_of`."""
    if isinstance(node, ast.Constant):
        return "text" if isinstance(node.value, str) else "number"
    if isinstance(node, ast.Name):
        return CONDITION if node.id in ("true", "false") else families.get(node.id, "")
    if isinstance(node, ast.BoolOp):
        _all(node.values, (CONDITION,), families, text)
        return CONDITION
    if isinstance(node, ast.UnaryOp):
        wanted = (CONDITION,) if isinstance(node.op, ast.Not) else ("number", CONDITION)
        _all([node.operand], wanted, families, text)
        return wanted[0]
    if isinstance(node, ast.BinOp):  # a condition counts as 0 or 1 in a sum
        _all([node.left, node.right], ("number", CONDITION), families, text)
        return "number"
    if isinstance(node, ast.Compare):
        for side in node.comparators:
            _same([node.left, *(side.elts if isinstance(side, ast.Tuple | ast.List) else [side])], families, text)
        return CONDITION
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _family_of_call(node.func.id, node.args, families, text)
    raise UsageError(f"'{text}' has a list outside of 'in'")


def _family_of_call(name: str, arguments: list[ast.expr], families: Mapping[str, str], text: str) -> str:
    """Return the family of a function's value."""
    common = _same(arguments, families, text)
    if name == "is_null":
        return CONDITION
    if name in ("days_between", "seconds_between"):
        allowed = ("time", "date") if name == "days_between" else ("time",)
        _all(arguments, allowed, families, text)
        return "number"
    return common


def _all(nodes: list[ast.expr], wanted: tuple[str, ...], families: Mapping[str, str], text: str) -> None:
    """Refuse nodes that are of none of the families wanted."""
    for node in nodes:
        family = _family(node, families, text)
        if family and family not in wanted:
            raise UsageError(f"'{text}': {ast.unparse(node)} is a {family} where a {wanted[0]} is due")


def _same(nodes: list[ast.expr], families: Mapping[str, str], text: str) -> str:
    """Refuse nodes of different families; return the one that they share."""
    found = [(node, family) for node in nodes if (family := _family(node, families, text))]
    for node, family in found[1:]:
        if family != found[0][1]:
            parts = f"{ast.unparse(found[0][0])} is a {found[0][1]}, {ast.unparse(node)} a {family}"
            raise UsageError(f"'{text}' does not fit: {parts}")
    return found[0][1] if found else ""
