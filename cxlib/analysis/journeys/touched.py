"""Who met which cause, and what they said and did then: one row an answer, one row a customer and month.

They are Ibis expressions: nothing runs here. They name customers, so they are computed, used and let go of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import ibis

from cxlib.analysis.journeys.log import SURVEY
from cxlib.analysis.journeys.named_causes import CAUSES, CONTACT, CUSTOMER, ORDER, Limits, missing
from cxlib.analysis.journeys.occasions import listed, occasions
from cxlib.measure.derived import level_of, with_customers
from cxlib.measure.spans import Spans
from cxlib.measure.surveys import asked, seconds

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.params import Segment
    from cxlib.periods import Period

ABOUT_DAYS, LATELY_DAYS, AFTER_DAYS = 14, 30, 30
COUNTED = ("waiting", "late", "asked_again", "slow_page", "messages", "circles")  # one of each kind of occasion
_DAY = 86_400
Tables = Mapping[str, "ir.Table"]


def met(name: str) -> str:
    """Return the column that is 1 where a cause was met, 0 where it was spared, missing where it could not be."""
    return f"met_{name}"


def times_of(name: str) -> str:
    """Return the column that says how often something could have gone wrong: of those of `COUNTED`."""
    return f"times_{name}"


def known_causes(tables: Tables) -> tuple[str, ...]:
    """Return the causes that a workspace can tell of."""
    return tuple(name for name in CAUSES if not missing(tables, name))


def answers(
    said: ir.Table, tables: Tables, causes: Sequence[str], *, start: Any, until: Any, limits: Limits | None = None
) -> ir.Table:
    """Return answers with what their customers had met of each cause when they were asked.

    Parameters
    ----------
    said
        One row an answer: `response_id` and more; kept as it is.
    tables
        The contract's tables that the workspace has.
    causes
        Ids of causes that it can tell of.
    start, until
        Of the answers, naive UTC.
    limits
        From where on something is too much.

    Returns
    -------
    ibis.expr.types.Table
        The rows of `said` with a column `met_<cause>` each. Of a contact it is the last one at the touchpoint asked
        about in the 14 days before the survey was sent; of an order the one that the answer names (without such a
        column, the customer's in 14 days); of anything else whatever came in the 30 days before, with how often it
        could have: `times_<cause>`. An answer about no touchpoint (`survey`) is about all that came in those 30 days.
    """
    responses = asked(tables["responses"], tables)
    moment = seconds(ibis.coalesce(responses._sent_at, responses.responded_at))
    named = "order_id" in responses.columns
    order = responses.order_id if named else ibis.null("string")
    place = responses.touchpoint if "touchpoint" in responses.columns else ibis.null("string")
    asks = responses.select(_response="response_id", _who="customer_id", _when=moment, _order=order, _place=place)
    asks = asks.semi_join(said, asks._response == said.response_id)
    found = occasions(tables, causes, start=start - timedelta(days=LATELY_DAYS), until=until, limits=limits)
    found = found.mutate(_at=seconds(found.at))
    joined = asks.inner_join(found, [asks._who == found.customer_id, found._at <= asks._when,
                                     found._at > asks._when - LATELY_DAYS * _DAY])  # fmt: skip
    lately = joined._at > joined._when - ABOUT_DAYS * _DAY
    at_large = joined._order.isnull() & (joined._place.isnull() | (joined._place == SURVEY))
    of = {
        CONTACT: at_large | (lately & (joined.touchpoint == joined._place)),
        ORDER: at_large | ((joined.about == joined._order) if named else lately),
        CUSTOMER: ibis.literal(True),
    }
    columns = {}
    for name in causes:
        hit, scope = joined[name], CAUSES[name].scope
        last = (2 * joined._at + hit).max(where=of[scope]) % 2  # of several in one second the one that was met
        columns[met(name)] = (last if scope == CONTACT else hit.max(where=of[scope])).cast("float64")
        if scope == CUSTOMER and name in COUNTED:
            columns[times_of(name)] = hit.count().cast("float64")
    about = joined.group_by("_response").aggregate(**columns)
    return said.left_join(about, said.response_id == about._response).drop("_response")


def volumes(rows: ir.Table, causes: Sequence[str]) -> ir.Table:
    """Return how many customers met each cause, and could have: by touchpoint, and `all` for the whole.

    Parameters
    ----------
    rows, causes
        From `occasions`, of one period, and what of.

    Returns
    -------
    ibis.expr.types.Table
        `cause`, `touchpoint`, `touched`, `spared` (customers who were spared it at least once), `customers`, `hits`.
    """
    rows = listed(rows, causes)
    whole = rows.mutate(touchpoint=ibis.literal("all"))
    both = rows.filter(rows.touchpoint.notnull()).union(whole)
    people = both.group_by("cause", "touchpoint", "customer_id").aggregate(
        hits=both.hit.sum(), misses=(1 - both.hit).sum()
    )
    return people.group_by("cause", "touchpoint").aggregate(
        touched=(people.hits > 0).cast("int64").sum(), spared=(people.misses > 0).cast("int64").sum(),
        customers=people.count(), hits=people.hits.sum(),
    )  # fmt: skip


def months(
    tables: Tables, causes: Sequence[str], periods: Sequence[Period], *, timezone: str,
    segments: Sequence[Segment] = (), limits: Limits | None = None,
) -> ir.Table:  # fmt: skip
    """Return customers by period with what they met in it and what they did in the 30 days after.

    Parameters
    ----------
    tables, causes, limits
        As in `answers`.
    periods
        Which do not overlap; the 30 days after each must be over.
    timezone
        The reporting timezone.
    segments
        Of customers; levels as valid at the period's end.

    Returns
    -------
    ibis.expr.types.Table
        Customers who subscribe when a period ends (without subscriptions: who could have met any cause in it):
        `customer_id`, `period` (a number), columns `met_<cause>` and `times_<cause>`, the segments by id, `left` (no
        longer subscribes 30 days later; null without subscriptions), `bought` (1 or 0), `amount` of what was bought,
        `cost` of what is known to have cost something and `costed`, the amount of that (null without orders).
    """
    spans = Spans(sorted(periods), timezone)
    start, until = spans.bounds[0][0], spans.bounds[-1][1]
    found = occasions(tables, causes, start=start, until=until, limits=limits)
    found = found.mutate(_p=spans.number(found, "at", 0)).filter(spans.within(found.at, 0))
    columns = {met(name): found[name].max().cast("float64") for name in causes}
    columns |= {times_of(name): found[name].count().cast("float64") for name in COUNTED if name in causes}
    touched = found.group_by("customer_id", "_p").aggregate(**columns)
    people = _present(tables, spans) if "subscriptions" in tables else touched.select("customer_id", "_p", left=_none())
    people = people.mutate(_end=_ends(people._p, spans))
    rows = with_customers(people, segments, "_end", tables)
    rows = rows.select("customer_id", "_p", "left", **{s.id: level_of(s, rows, {}) for s in segments})
    rows = _beside(rows, touched, list(columns))
    bought = ["bought", "amount", "cost", "costed"]
    if "orders" not in tables:
        return rows.mutate(period=rows._p, **dict.fromkeys(bought, _none())).drop("_p")
    rows = _beside(rows, _bought(tables["orders"], spans), bought)
    rows = rows.mutate(**{name: ibis.coalesce(rows[name], 0.0) for name in bought})
    return rows.mutate(period=rows._p).drop("_p")


def _none() -> Any:
    return ibis.null("float64")


def _beside(rows: ir.Table, more: ir.Table, columns: Sequence[str]) -> ir.Table:
    """Join columns by customer and period."""
    right = more.select(_who="customer_id", _q="_p", **{name: name for name in columns})
    joined = rows.left_join(right, [rows.customer_id == right._who, rows._p == right._q])
    return joined.drop("_who", "_q")


def _ends(number: Any, spans: Spans) -> Any:
    """Return the last moment of each number's period."""
    ends = [ibis.literal(end - timedelta(seconds=1), type="timestamp") for _, end in spans.bounds]
    return number.cases(*enumerate(ends), else_=ends[-1])


def _present(tables: Tables, spans: Spans) -> ir.Table:
    """Return who subscribes when each period ends, and whether they no longer do 30 days later."""
    subs = tables["subscriptions"]
    subs = subs.select("customer_id", "started_on", ended_on=subs.ended_on if "ended_on" in subs.columns
                       else ibis.null("date"))  # fmt: skip
    rows = spans.cross(subs)
    last = rows.period_end - ibis.interval(days=1)
    later = rows.period_end + ibis.interval(days=AFTER_DAYS)

    def here(day: Any) -> Any:
        return (rows.started_on <= day) & (rows.ended_on.isnull() | (rows.ended_on > day))

    rows = rows.mutate(_now=here(last).cast("int64"), _then=here(later).cast("int64"))
    found = rows.group_by("customer_id", "_p").aggregate(now=rows._now.max(), then=rows._then.max())
    return found.filter(found.now == 1).select("customer_id", "_p", left=(1 - found.then).cast("float64"))


def _bought(orders: ir.Table, spans: Spans) -> ir.Table:
    """Return what each customer bought in the 30 days after each period."""
    first, last = spans.bounds[0][1], spans.bounds[-1][1] + timedelta(days=AFTER_DAYS)
    orders = orders.select("customer_id", "ordered_at", amount=orders.amount.cast("float64"),
                           cost=orders.cost.cast("float64") if "cost" in orders.columns else _none())  # fmt: skip
    orders = orders.filter(orders.ordered_at >= ibis.literal(first, type="timestamp"),
                           orders.ordered_at < ibis.literal(last, type="timestamp"))  # fmt: skip
    rows = spans.cross(orders)
    after = rows.period_until + ibis.interval(days=AFTER_DAYS)
    rows = rows.filter(reduce(and_, [rows.ordered_at >= rows.period_until, rows.ordered_at < after]))
    return rows.group_by("customer_id", "_p").aggregate(
        bought=ibis.least(rows.count(), 1).cast("float64"), amount=rows.amount.sum(), cost=rows.cost.sum(),
        costed=rows.amount.sum(where=rows.cost.notnull()),
    )  # fmt: skip
