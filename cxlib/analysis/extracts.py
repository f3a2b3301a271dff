"""What an analysis takes from the tables: Ibis expressions of rows and of customers; nothing runs here.

They name customers, so they are computed, used and let go of: what is kept of them are results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import ibis
import ibis.expr.types as ir

from cxlib.errors import UsageError
from cxlib.measure.cells import Side, cells_of, counted_rows, levels_of
from cxlib.measure.derived import Tables, Undefined, level_of, period_names_of, with_customers
from cxlib.measure.respondents import levelled, people_of
from cxlib.measure.spans import Spans
from cxlib.measure.sums import double, texts_of
from cxlib.params import Metric, Part, Segment, Touchpoint
from cxlib.periods import Period

_SCALES = {"nps": 100.0}  # a row of a score is -100, 0 or 100 points: their mean is the score


def rows(
    metric: Metric, tables: Tables, periods: Sequence[Period], *, timezone: str,
    columns: Mapping[str, str] | None = None, segments: Sequence[Segment] = (), kept: str = "",
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Return the rows of a metric, one each, with what else is asked of them.

    Parameters
    ----------
    metric
        A share, mean or NPS; of a ratio or a rate the numerator.
    tables
        The contract's tables that the workspace has.
    periods
        Which do not overlap.
    timezone
        The reporting timezone.
    columns
        Name -> expression over the metric's table.
    segments
        Further columns, named by their ids: levels as valid at the row.
    kept
        A condition on rows beside the metric's own filter.
    touchpoints
        The taxonomy.

    Returns
    -------
    ibis.expr.types.Table
        `period` (label), `customer_id` (a row without a customer stands by itself), `y` in the metric's unit, null
        where the row has none, the columns (conditions as 1 and 0) and the segments; in no order.

    Raises
    ------
    Undefined
        Where the workspace lacks a table or column.
    """
    if isinstance(metric.denominator, Part):
        raise UsageError(f"'{metric.id}' has its denominator in another table: its rows have no value of their own")
    filters = " and ".join(f"({text})" for text in (metric.filter, kept) if text)
    spans = Spans(sorted(periods), timezone)
    side = Side(
        metric.table, metric.time, filters, metric.window_days, metric.cluster, tuple(segments), tables,
        touchpoints or {}, spans, texts_of(metric), dict(columns or {}),
    )  # fmt: skip
    found = counted_rows(side)
    names = dict(zip((segment.id for segment in segments), levels_of(segments), strict=True))
    scale = _SCALES.get(metric.kind, metric.scale if metric.kind == "mean" else 1.0)
    return found.select(
        period=spans.label(found._p), customer_id=found._cluster, y=found.y.cast("float64") * scale,
        **{name: _plain(found[name]) for name in columns or {}},
        **{name: found[level] for name, level in names.items()},
    )  # fmt: skip


def totals(
    tables: Tables, periods: Sequence[Period], table: str, time: str, value: str = "1", kept: str = "", *, timezone: str
) -> ir.Table:
    """Return what each customer has of a table in each period: `customer_id`, `period`, `rows`, `total`.

    `value` is a number per row, of which `total` is the sum; `kept` is a condition. Raises `Undefined` where the
    workspace lacks the table or a column.
    """
    spans = Spans(sorted(periods), timezone)
    side = Side(table, time, kept, 0, "customer_id", (), tables, {}, spans, {"y": value})
    found, per = cells_of(side)
    return found.select(
        customer_id=found._cluster, period=spans.label(found._p), rows=found._rows.cast("int64"),
        total=double(found._y, "y", per),
    )  # fmt: skip


def orders(tables: Tables, until: Period, *, timezone: str, segments: Sequence[Segment] = ()) -> ir.Table:
    """Return all orders up to the end of a period.

    They have `customer_id`, `ordered_at`, `amount`, `cost`, `discount` (doubles; null where a workspace's orders do not
    tell) and the customer's level of each segment when the order was placed, by id.
    """
    _of_no_period(segments)
    found = _table(tables, "orders")
    money = {
        name: found[name].cast("float64") if name in found.columns else ibis.null("float64")
        for name in ("amount", "cost", "discount")
    }
    before = found.mutate(**{f"_{name}": value for name, value in money.items()})
    before = with_customers(
        before.filter(before.ordered_at < until.bounds(timezone)[1]), segments, "ordered_at", tables
    )
    return before.select(
        "customer_id", "ordered_at", **{name: before[f"_{name}"] for name in money},
        **{segment.id: level_of(segment, before, {}) for segment in segments},
    )  # fmt: skip


def subscriptions(tables: Tables, until: Period, *, segments: Sequence[Segment] = ()) -> ir.Table:
    """Return subscriptions that began by the end of a period.

    They have `customer_id`, `started_on`, `ended_on`, `end_reason`, `monthly_amount` and the customer's level of each
    segment when it began, by id. An end after the period is not known yet: null. Reasons are 'not told' where the
    workspace does not have them.
    """
    _of_no_period(segments)
    found = _table(tables, "subscriptions")
    end = found.ended_on if "ended_on" in found.columns else ibis.null("date")
    reason = found.end_reason if "end_reason" in found.columns else ibis.null("string")
    amount = found.monthly_amount.cast("float64") if "monthly_amount" in found.columns else ibis.null("float64")
    last = ibis.literal(until.next_day, type="date")
    begun = found.filter(found.started_on < last)
    begun = begun.mutate(_end=ibis.ifelse(end < last, end, ibis.null("date")), _why=reason, _amount=amount)
    begun = begun.mutate(_at=begun.started_on.cast("timestamp"))
    begun = with_customers(begun, segments, "_at", tables)
    why = ibis.ifelse(begun._end.isnull(), ibis.null("string"), ibis.coalesce(begun._why, "not told"))
    return begun.select(
        customer_id=begun.customer_id, started_on=begun.started_on, ended_on=begun._end, end_reason=why,
        monthly_amount=begun._amount, **{segment.id: level_of(segment, begun, {}) for segment in segments},
    )  # fmt: skip


def people(tables: Tables, period: Period, segments: Sequence[Segment], *, timezone: str) -> ir.Table:
    """Return the customers of a period with their level of each segment at its end; see `respondents.population`."""
    found = levelled(people_of(tables, period, timezone), segments, period, timezone, tables)
    return found.select("customer_id", *(segment.id for segment in segments))


def afterwards(
    metric: Metric, tables: Tables, periods: Sequence[Period], days: int, *, timezone: str, end: Period
) -> ir.Table:
    """Return each answer with what its customer did in the `days` after it.

    Parameters
    ----------
    metric
        A score of answers.
    tables, periods, timezone
        As in `rows`.
    days
        How long is looked after an answer.
    end
        What comes after this period is not known.

    Returns
    -------
    ibis.expr.types.Table
        `customer_id`, `y` (-100, 0 or 100 for NPS), `answered_at`, `followed` (the days had passed by the end),
        `spend`, `referrals`; what the workspace cannot tell is null.
    """
    answers = rows(
        metric, tables, periods, timezone=timezone, columns={"answered_at": "responded_at", "answer": "response_id"}
    )
    until = end.bounds(timezone)[1] - timedelta(days=days)
    answers = answers.mutate(followed=answers.answered_at < ibis.literal(until, type="timestamp"))
    answers = answers.drop("period")
    asked = answers.select("answer", "customer_id", "answered_at", until=answers.answered_at + ibis.interval(days=days))
    answers = _after(answers, asked, tables, "orders", "ordered_at", "spend", "amount")
    answers = _after(answers, asked, tables, "interactions", "started_at", "referrals", "", "referral")
    return answers.drop("answer")


def _after(
    answers: ir.Table, asked: ir.Table, tables: Tables, table: str, time: str, name: str, value: str, kind: str = ""
) -> ir.Table:
    """Add the sum of a column, or the number of rows, of each answer's customer after the answer.

    `asked` holds no more of the answers than that: the sums of one table need not wait for those of another.
    """
    if table not in tables or (kind and "kind" not in tables[table].columns):
        return answers.mutate(**{name: ibis.null("float64")})
    events = tables[table]
    events = events.filter(events.kind == kind) if kind else events
    amount = events[value] if value else ibis.literal(1, "int64")  # cents and counts: sums that no order changes
    events = events.select(_who=events.customer_id, _when=events[time], _amount=amount)
    same = [
        asked.customer_id == events._who, events._when > asked.answered_at, events._when <= asked.until,
    ]  # fmt: skip
    met = asked.inner_join(events, same)
    found = met.group_by("answer").aggregate(_total=met._amount.sum().cast("float64")).rename(_answer="answer")
    joined = answers.left_join(found, answers.answer == found._answer)
    return joined.mutate(**{name: ibis.coalesce(joined._total, 0.0)}).drop("_total", "_answer")


def _of_no_period(segments: Sequence[Segment]) -> None:
    """Refuse segments that are told of a period: orders and subscriptions begin in any."""
    named = [segment.id for segment in segments if period_names_of([segment])]
    if named:
        raise UsageError(f"segments {', '.join(named)} hang on the period, and what is asked of is of many")


def _table(tables: Tables, name: str) -> ir.Table:
    if name not in tables:
        raise Undefined(f"this workspace has no table '{name}'")
    return tables[name]


def _plain(value: ir.Value) -> ir.Value:
    """Return conditions as 1 and 0 and numbers as doubles; texts and times as they are."""
    kind = value.type()
    if kind.is_boolean():
        return ibis.cases((value, 1.0), (~value, 0.0))
    return value.cast("float64") if kind.is_numeric() else value
