"""The slow, obvious engine: the same plans in plain Python, row by row, to hold every other engine against.

Rows are dicts, null is None, truth has three values. Nothing here shares code with `cxlib.measure`.
"""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cxlib.params.models import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]

KEYS = {
    "responses": ("response_id",),
    "orders": ("order_id",),
    "interactions": ("interaction_id",),
    "invitations": ("invitation_id",),
    "subscriptions": ("customer_id", "started_on"),
}


def evaluate(node: ast.AST | str, row: Mapping[str, Any]) -> Any:
    """Return the value of an expression for one row; None where SQL says null."""
    if isinstance(node, str):
        return evaluate(ast.parse(node.strip(), mode="eval").body, row)
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id="true" | "false" as word):
            return word == "true"
        case ast.Name(id=name):
            return row[name]
        case ast.BoolOp(op=op, values=values):
            found = [evaluate(value, row) for value in values]
            decisive = isinstance(op, ast.Or)
            return decisive if decisive in found else None if None in found else not decisive
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            value = evaluate(operand, row)
            return None if value is None else not value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = evaluate(operand, row)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(op, evaluate(left, row), evaluate(right, row))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            sides = [left, *comparators]
            parts = [_compare(op, a, b, row) for op, a, b in zip(ops, sides, sides[1:], strict=False)]
            return False if False in parts else None if None in parts else True
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, [evaluate(arg, row) for arg in args])
    raise AssertionError(ast.dump(node))


def _arithmetic(op: ast.operator, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    if isinstance(op, ast.Div):
        return None if b == 0 else float(a) / float(b)
    return a + b if isinstance(op, ast.Add) else a - b if isinstance(op, ast.Sub) else a * b


def _compare(op: ast.cmpop, left: ast.AST, right: ast.AST, row: Mapping[str, Any]) -> bool | None:
    a = evaluate(left, row)
    if isinstance(op, ast.In | ast.NotIn):
        values = [evaluate(one, row) for one in right.elts]  # type: ignore[attr-defined]
        if a is None:
            return None
        return (a in values) == isinstance(op, ast.In)
    b = evaluate(right, row)
    if a is None or b is None:
        return None
    return {
        ast.Eq: a == b, ast.NotEq: a != b, ast.Lt: a < b if not isinstance(a, str) else None,
        ast.LtE: a <= b if not isinstance(a, str) else None, ast.Gt: a > b if not isinstance(a, str) else None,
        ast.GtE: a >= b if not isinstance(a, str) else None,
    }[type(op)]  # fmt: skip


def _call(name: str, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if name == "is_null":
        return values[0] is None
    if name == "coalesce":
        return known[0] if known else None
    if name in ("least", "greatest"):
        return (min if name == "least" else max)(known) if known else None
    if len(known) < 2:
        return None
    a, b = values
    if not isinstance(a, datetime):
        return (b - a).days
    seconds = int((b.replace(microsecond=0) - a.replace(microsecond=0)).total_seconds())
    return seconds // 86_400 if name == "days_between" else seconds


def rows_of(table: str, tables: Tables, touchpoints: Mapping[str, Touchpoint]) -> list[Row]:
    """Return copies of a table's rows with every derived column that can be worked out."""
    rows = [dict(row) for row in tables[table]]
    for row in rows:
        if "touchpoint" in row:
            place = touchpoints.get(row["touchpoint"] or "")
            row["touchpoint_group"] = place.group if place else "unclassified"
            row["touchpoint_stage"] = place.stage if place else "unclassified"
            row["digital"] = place.digital if place else None
        if table == "orders":
            row["delivered_late"] = _late(row)
        if table == "responses":
            order = [one for one in tables.get("orders", []) if one["order_id"] == row.get("order_id")]
            row["delivered_late"] = _late(order[0]) if order else None
            row |= _surveyed(row, tables) | _experienced(row, order, tables)
        if table == "invitations":
            answers = tables.get("responses", [])
            row["responded"] = any(one["invitation_id"] == row["invitation_id"] for one in answers)
    if table == "orders":
        for row in rows:
            own = sorted((o for o in rows if o["customer_id"] == row["customer_id"]), key=_order_key)
            place = own.index(row)
            row["order_number"] = place + 1
            row["next_ordered_at"] = own[place + 1]["ordered_at"] if place + 1 < len(own) else None
    if table == "interactions":
        for row in rows:
            case = [o for o in rows if o["case_id"] == row["case_id"]]
            earlier = sorted(case, key=lambda o: (o["started_at"], o["interaction_id"]))
            row["contact_of_case"] = 1 if row["case_id"] is None else earlier.index(row) + 1
    return rows


def _surveyed(row: Row, tables: Tables) -> Row:
    """Return what a response says of its survey, one loop a question."""
    sent, orders, every = tables.get("invitations", []), tables.get("orders", []), tables["responses"]
    given = tables.get("all responses", every)
    named, customer, at = row.get("invitation_id"), row.get("customer_id"), _second(row["responded_at"])
    invitation = next((one for one in sent if one["invitation_id"] == named), None)
    asked = invitation["sent_at"] if invitation else None if named else row["responded_at"]
    order_id = row.get("order_id") or (invitation or {}).get("order_id")
    arrived = next((one["delivered_at"] for one in orders if one["order_id"] == order_id), None)
    found: Row = dict.fromkeys(
        ("sent_before_delivery", "hours_to_answer", "invitations_30_days", "days_since_last_answer",
         "answers_of_survey", "straight_lined")
    )  # fmt: skip
    if asked and arrived:
        found["sent_before_delivery"] = asked < arrived
    if invitation:
        found["hours_to_answer"] = (at - _second(asked)) // timedelta(hours=1)
    whom = invitation["customer_id"] if invitation else None if named else customer
    if whom:
        ages = [_second(asked) - _second(one["sent_at"]) for one in sent if one["customer_id"] == whom]
        found["invitations_30_days"] = sum(timedelta(0) <= age < timedelta(days=30) for age in ages)
    mine = [one for one in given if customer and one.get("customer_id") == customer]
    before = [(one["responded_at"], one["response_id"]) for one in mine if one["instrument"] == row["instrument"]]
    before = [one for one in before if one < (row["responded_at"], row["response_id"])]
    if before:
        found["days_since_last_answer"] = (at - _second(max(before)[0])) // timedelta(days=1)
    if named or customer:
        key = _survey_key(row)
        scores = [one["score"] for one in every if _survey_key(one) == key and one["score"] is not None]
        found["answers_of_survey"] = len(scores)
        found["straight_lined"] = len(set(scores)) == 1 if len(scores) >= 3 else None
    return found


def _experienced(row: Row, order: list[Row], tables: Tables) -> Row:
    """Return what a response is about: its order, and the last contact at its touchpoint before it was sent."""
    found: Row = dict.fromkeys(("days_late", "partner_id", "contact_wait_seconds", "contact_resolved", "agent_id"))
    if order:
        found["partner_id"] = order[0].get("partner_id")
        if _late(order[0]) is not None:
            late = _second(order[0]["delivered_at"]) - _second(order[0]["promised_at"])
            found["days_late"] = max(late.total_seconds() / 86_400, 0.0)
    sent = [o["sent_at"] for o in tables.get("invitations", []) if o["invitation_id"] == row.get("invitation_id")]
    asked = _second(sent[0] if sent else row["responded_at"])
    mine = [
        (-_second(o["started_at"]).timestamp(), o["interaction_id"], o)
        for o in tables.get("interactions", [])
        if o["kind"] == "contact" and o["customer_id"] == row.get("customer_id")
        and o["touchpoint"] == row["touchpoint"]
        and timedelta(0) <= asked - _second(o["started_at"]) <= timedelta(days=14)
    ]  # fmt: skip
    if mine:
        contact = min(mine)[2]
        found |= {"contact_wait_seconds": contact["wait_seconds"], "contact_resolved": contact["resolved"],
                  "agent_id": contact["agent_id"]}  # fmt: skip
    return found


def _survey_key(row: Row) -> tuple[Any, ...]:
    named = row.get("invitation_id")
    return (named,) if named else (None, row.get("customer_id"), row["responded_at"])


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


def _order_key(row: Row) -> tuple[datetime, str]:
    return row["ordered_at"], row["order_id"]


def _late(order: Row) -> bool | None:
    return _none_or(order["delivered_at"], order["promised_at"])


def _none_or(late: Any, early: Any) -> bool | None:
    return None if late is None or early is None else late > early


def _level(segment: Segment, row: Row, period: Row, moment: datetime, tables: Tables) -> str:
    source: Row | None = row
    if segment.on == "customers":
        history = [c for c in tables["customers"] if c["customer_id"] == row["customer_id"]]
        history.sort(key=lambda c: c["valid_from"])
        before = [c for c in history if c["valid_from"] <= moment]
        source = before[-1] if before else history[0] if history else None
    if source is None:
        return segment.otherwise
    if segment.column:
        value = source[segment.column]
        return segment.otherwise if value is None else str(value)
    for rule in segment.rules:
        if evaluate(rule.when, source | period) is True:
            return rule.level
    return segment.otherwise


def _selected(
    table: str, when: str, kept: str, window: int, periods: Sequence[Period], timezone: str,
    segments: Sequence[Segment], tables: Tables, touchpoints: Mapping[str, Touchpoint], cluster: str,
) -> list[tuple[str, tuple[str, ...], str, Row]]:  # fmt: skip
    """Return (period, levels, customer, row with the period's names) of every row that belongs to a period."""
    found = []
    for row in rows_of(table, tables, touchpoints):
        for period in periods:
            start, end = period.bounds(timezone)
            names = {
                "period_start": period.first_day, "period_end": period.next_day, "period_from": start,
                "period_until": end, "window": window,
            }  # fmt: skip
            moment = row[when] if when else start
            if when and (moment is None or not start <= moment + timedelta(days=window) < end):
                continue
            if evaluate(kept or "true", row | names) is not True:
                continue
            levels = tuple(_level(segment, row, names, moment, tables) for segment in segments)
            key = "\x1f" + "/".join(str(row[name]) for name in KEYS[table])
            who = row.get(cluster) if cluster else None
            found.append((period.label, levels, key if who is None else who, row | names))
    return found


@dataclass
class Cell:
    """The rows of one period and level: y and x of every customer who counts, and the rows they came from."""

    people: dict[str, tuple[Decimal, Decimal]]
    known: list[Any]
    missing: int
    x: Decimal | None = None  # where it is a constant of the period

    @property
    def sums(self) -> dict[str, float]:
        """The columns of a plan."""
        pairs = list(self.people.values())
        x = sum((x for _, x in pairs), Decimal(0)) if self.x is None else self.x
        return {
            "rows": len(self.known), "missing": self.missing, "clusters": len(pairs),
            "y": float(sum(y for y, _ in pairs)), "x": float(x), "y2": float(sum(_decimal(y) ** 2 for y in self.known)),
        } | products(self, self, ("yy", "xy", "xx"))  # fmt: skip


def products(one: Cell, other: Cell, names: Sequence[str] = ("yy", "xy", "yx", "xx")) -> dict[str, float]:
    """Return the sums over the customers of both cells of products of their sums."""
    both = [(one.people[who], other.people[who]) for who in one.people if who in other.people]
    place = {"y": 0, "x": 1}
    return {name: float(sum(a[place[name[0]]] * b[place[name[1]]] for a, b in both)) for name in names}


def cells(
    metric: Metric, tables: Tables, periods: Sequence[Period], *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None, rolling: int = 1,
) -> dict[tuple[str, str], Cell]:  # fmt: skip
    """Return the cells of each period, or of the `rolling` periods that end with it, by period and level."""
    groups = _groups(metric, tables, periods, timezone, segments, touchpoints or {}, rolling)
    found = {}
    if isinstance(metric.denominator, Part):
        found = _over_part(metric, metric.denominator, groups, periods, timezone, segments, tables, touchpoints or {},
                           rolling)  # fmt: skip
    else:
        for key, group in groups.items():
            found[key] = _cell(metric, group)
    if metric.denominator == "calendar_days":
        days = {period.label: sum((p.next_day - p.first_day).days for p in period.last(rolling)) for period in periods}
        for (period, _), cell in found.items():
            cell.x, cell.people = Decimal(days[period]), {who: (y, Decimal(0)) for who, (y, _) in cell.people.items()}
    return {(period, " x ".join(levels) or "all"): cell for (period, levels), cell in found.items()}


def measure(
    metric: Metric, tables: Tables, periods: Sequence[Period], *, timezone: str, segments: Sequence[Segment] = (),
    touchpoints: Mapping[str, Touchpoint] | None = None, rolling: int = 1,
) -> dict[tuple[str, ...], dict[str, float]]:  # fmt: skip
    """Return {(period, level): sums}, or {(period, level, value): counts} for a quantile, as `plans.plan` does."""
    if metric.kind == "quantile":
        return _counted(_groups(metric, tables, periods, timezone, segments, touchpoints or {}, rolling))
    found = cells(
        metric, tables, periods, timezone=timezone, segments=segments, touchpoints=touchpoints, rolling=rolling
    )  # fmt: skip
    return {key: cell.sums for key, cell in found.items()}


def _groups(
    metric: Metric, tables: Tables, periods: Sequence[Period], timezone: str, segments: Sequence[Segment],
    touchpoints: Mapping[str, Touchpoint], rolling: int,
) -> dict[tuple[str, tuple[str, ...]], list[tuple[str, Any, Any]]]:  # fmt: skip
    """Return (customer, y, x) of every row of each period and levels."""
    groups: dict[tuple[str, tuple[str, ...]], list[tuple[str, Any, Any]]] = defaultdict(list)
    for period, levels, who, row in _rolled(
        periods, rolling, metric.table, metric.time, metric.filter, metric.window_days, timezone=timezone,
        segments=segments, tables=tables, touchpoints=touchpoints, cluster=metric.cluster,
    ):  # fmt: skip
        groups[period, levels].append((who, *_numbers(metric, row)))
    return groups


def _rolled(
    periods: Sequence[Period], rolling: int, table: str, when: str, kept: str, window: int, **rest: Any
) -> list[tuple[str, tuple[str, ...], str, Row]]:
    """Return each period's own rows, and those of the periods before it, under its label."""
    return [
        (period.label, *row[1:])
        for period in periods
        for part in period.last(rolling)
        for row in _selected(table, when, kept, window, [part], **rest)
    ]


def _numbers(metric: Metric, row: Row) -> tuple[Any, Any]:
    """Return y and x of one row; both None where either is."""
    if metric.kind == "nps":
        score = evaluate(metric.value, row)
        if score is None:
            return None, None
        return (1 if evaluate(metric.promoters, row) else -1 if evaluate(metric.detractors, row) else 0), 1
    if metric.kind == "quantile":
        return evaluate(metric.value, row), 1
    y = evaluate(metric.numerator, row)
    text = metric.denominator if isinstance(metric.denominator, str) else ""
    x = 1 if text in ("", "1", "customers", "calendar_days") else evaluate(text, row)
    return (None, None) if y is None or x is None else (y, x)


def _cell(metric: Metric, group: list[tuple[str, Any, Any]]) -> Cell:
    per = defaultdict(lambda: (Decimal(0), Decimal(0)))
    known = [row for row in group if row[1] is not None]
    for who, y, x in known:
        before = per[who]
        per[who] = (
            before[0] + _decimal(y),
            Decimal(1) if metric.denominator == "customers" else before[1] + _decimal(x),
        )
    return Cell(dict(per), [y for _, y, _ in known], len(group) - len(known))


def _decimal(value: Any) -> Decimal:
    return (
        value if isinstance(value, Decimal) else Decimal(int(value)) if not isinstance(value, float) else Decimal(value)
    )


def _over_part(
    metric: Metric, part: Part, groups: Mapping[Any, Any], periods: Sequence[Period], timezone: str,
    segments: Sequence[Segment], tables: Tables, places: Mapping[str, Touchpoint], rolling: int,
) -> dict[Any, Cell]:  # fmt: skip
    shared = [number for number, segment in enumerate(segments) if segment.on == "customers"]
    below: dict[Any, dict[str, Decimal]] = defaultdict(dict)
    for period, levels, who, row in _rolled(
        periods, rolling, part.table, part.time, part.filter, 0, timezone=timezone,
        segments=[segments[n] for n in shared], tables=tables, touchpoints=places, cluster=metric.cluster,
    ):  # fmt: skip
        people = part.value == "customers"
        x = 1 if people else evaluate(part.value, row)
        if x is not None:
            sums = below[period, levels]
            sums[who] = Decimal(1) if people else sums.get(who, Decimal(0)) + _decimal(x)
    keys = set(groups) | (set(below) if len(shared) == len(segments) else set())
    found = {}
    for period, levels in keys:
        cell = _cell(metric, groups.get((period, levels), []))
        under = below.get((period, tuple(levels[n] for n in shared)), {})
        zero = Decimal(0)
        people = {who: (cell.people.get(who, (zero, zero))[0], under.get(who, zero)) for who in {*cell.people, *under}}
        found[period, levels] = Cell(people, cell.known, cell.missing)
    return found


def _counted(groups: Mapping[Any, Any]) -> dict[tuple[str, ...], dict[str, float]]:
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for (period, levels), group in groups.items():
        known = [(who, y) for who, y, _ in group if y is not None]
        for value in {y for _, y in known}:
            found[period, " x ".join(levels) or "all", float(value)] = {  # type: ignore[index]
                "rows": sum(y == value for _, y in known), "missing": len(group) - len(known),
                "clusters": len({who for who, _ in known}),
            }  # fmt: skip
    return found


def quantile(values: Sequence[float], q: float) -> float:
    """Return the smallest value that at least a share q of the values do not exceed."""
    ordered = sorted(values)
    return next(v for n, v in enumerate(ordered, 1) if n / len(ordered) >= q or math.isclose(n / len(ordered), q))
