"""Expressions of `params/` -> Ibis values, so written that every engine gives the same number.

Nulls are SQL's: a comparison with a missing value is neither true nor false, and only `is_null` and `coalesce` see it;
`least` and `greatest` pass over missing values. Division is by floating point and by zero gives null. A day between two
times is 86,400 whole seconds, between two dates a calendar day.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import reduce
from operator import add, and_, eq, ge, gt, le, lt, mul, ne, or_, sub
from typing import Any

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.expressions import Expression

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: eq,
    ast.NotEq: ne,
    ast.Lt: lt,
    ast.LtE: le,
    ast.Gt: gt,
    ast.GtE: ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {ast.Add: add, ast.Sub: sub, ast.Mult: mul}
_DAY_SECONDS = 86_400.0


def compile_expression(expression: Expression, values: Mapping[str, ir.Value]) -> ir.Value:
    """Return the Ibis value of a parsed expression.

    Parameters
    ----------
    expression
        From `cxlib.expressions.parse`.
    values
        Every column and period name that it uses, as Ibis values of one table.

    Raises
    ------
    UsageError
        Where the types do not fit: a sum of texts, a date compared with a time, a number used as a condition.
    """
    return _Compiler(expression.text, values).value(expression.tree)


def as_condition(value: ir.Value, text: str) -> ir.BooleanValue:
    """Return `value` if it is a condition; else raise `UsageError`."""
    if not value.type().is_boolean():
        raise UsageError(f"'{text}' is a {value.type()}, not a condition", hint="Compare it with something.")
    return value


def as_number(value: ir.Value, text: str) -> ir.NumericValue:
    """Return `value` as a number; a condition counts 1 where true, 0 where false, null where neither."""
    if value.type().is_boolean():
        return ibis.cases((value, 1), (~value, 0)).cast("int64")
    if not value.type().is_numeric():
        raise UsageError(f"'{text}' is a {value.type()}, not a number")
    return value


class _Compiler:
    """Walks one tree; `text` is kept for messages."""

    def __init__(self, text: str, values: Mapping[str, ir.Value]) -> None:
        self.text, self.values = text, values

    def value(self, node: ast.AST) -> Any:
        """Return the Ibis value of any node."""
        if isinstance(node, ast.Constant):
            return ibis.literal(node.value)
        if isinstance(node, ast.Name):
            return ibis.literal(node.id == "true") if node.id in ("true", "false") else self.values[node.id]
        if isinstance(node, ast.BoolOp):
            return reduce(and_ if isinstance(node.op, ast.And) else or_, map(self.condition, node.values))
        if isinstance(node, ast.UnaryOp):
            return ~self.condition(node.operand) if isinstance(node.op, ast.Not) else -self.number(node.operand)
        if isinstance(node, ast.BinOp):
            return self.arithmetic(node)
        if isinstance(node, ast.Compare):
            return self.comparison(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        raise UsageError(f"'{self.text}' uses a list outside of 'in'")

    def condition(self, node: ast.AST) -> Any:
        return as_condition(self.value(node), ast.unparse(node))

    def number(self, node: ast.AST) -> Any:
        return as_number(self.value(node), ast.unparse(node))

    def arithmetic(self, node: ast.BinOp) -> Any:
        left, right = self.number(node.left), self.number(node.right)
        if isinstance(node.op, ast.Div):
            return left.cast("float64") / right.cast("float64").nullif(0.0)
        return _ARITHMETIC[type(node.op)](left, right)

    def comparison(self, node: ast.Compare) -> Any:
        """Return `a < b <= c` as `(a < b) and (b <= c)`."""
        parts, left = [], node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            parts.append(self.compare(left, operator, right))
            left = right
        return reduce(and_, parts)

    def compare(self, left: ast.AST, operator: ast.cmpop, right: ast.AST) -> Any:
        if isinstance(operator, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List) or not right.elts:
                raise UsageError(f"'{self.text}': what follows 'in' is a list of values, as in (1, 2)")
            found = reduce(or_, [self.compare(left, ast.Eq(), one) for one in right.elts])
            return found if isinstance(operator, ast.In) else ~found
        one, other = self.value(left), self.value(right)
        self.fits(one, other)
        return _COMPARISONS[type(operator)](one, other)

    def fits(self, one: ir.Value, other: ir.Value) -> None:
        """Refuse to compare what engines would convert each in its own way."""
        families = [_family(value) for value in (one, other)]
        if families[0] != families[1]:
            raise UsageError(
                f"'{self.text}' compares a {families[0]} with a {families[1]}",
                hint="Dates go with period_start and period_end, times with period_from and period_until.",
            )

    def call(self, node: ast.Call) -> Any:
        name = node.func.id  # type: ignore[attr-defined]
        values = [self.value(argument) for argument in node.args]
        if name == "is_null":
            return values[0].isnull()
        for other in values[1:]:
            self.fits(values[0], other)
        if name in ("days_between", "seconds_between"):
            return self.distance(name, *values)
        return {"coalesce": ibis.coalesce, "least": ibis.least, "greatest": ibis.greatest}[name](*values)

    def distance(self, name: str, first: Any, second: Any) -> Any:
        """Return whole seconds or days from `first` to `second`; half seconds are cut off before, not after."""
        kind = first.type()
        if kind.is_date() and name == "days_between":
            return (second.epoch_days() - first.epoch_days()).cast("int64")
        if not kind.is_timestamp():
            raise UsageError(f"'{self.text}': {name} takes two times" + (" or two dates" if "days" in name else ""))
        seconds = _epoch(second) - _epoch(first)
        return (seconds / _DAY_SECONDS).floor().cast("int64") if name == "days_between" else seconds.cast("int64")


def _epoch(moment: Any) -> Any:
    """Whole seconds since 1970 as a double, which every engine divides and floors alike."""
    return moment.truncate("s").epoch_seconds().cast("float64")


def _family(value: ir.Value) -> str:
    kind = value.type()
    for name in ("boolean", "string", "date", "timestamp"):
        if getattr(kind, f"is_{name}")():
            return {"string": "text", "timestamp": "time"}.get(name, name)
    return "number" if kind.is_numeric() else str(kind)
