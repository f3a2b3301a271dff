"""What customers do at the same time: streams of activity as overlapping intervals, the funnel only as a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import special

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.analysis.journeys import doorway, sweeps
from cxlib.errors import UsageError
from cxlib.measure import intervals

if TYPE_CHECKING:
    import ibis.expr.types as ir

ORDER = ("explore", "evaluate", "engage", "experience")  # the textbook's
ACTIVE, CONCURRENT, TIME, PARALLEL = "active", "concurrent", "active_time", "parallel"
FUNNEL, BEFORE = "funnel_order", "entered_before"
SEVERAL, ONE = "several streams at once", "one stream at a time"
FOLLOWS, OTHERWISE = "in the textbook order", "in another order"
_MOST = 12  # streams: each pair is a sum of its own
_SHARE, _RATIO = "share of customers, Wilson interval", "ratio of sums over customers, logit interval"
_NOBODY = "no customer was active in any of these streams"
_SILENT = "nothing is recorded of this stream"


def streams(
    events: Any,
    *,
    customer: str,
    start: str,
    end: str | None = None,
    stream: str,
    order: Sequence[str] = ORDER,
    reach: float = 7.0,
    since: object = None,
    until: object = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Say which streams customers are in at the same time, and whether they enter them in the textbook's order.

    Parameters
    ----------
    events
        A pandas frame or an Ibis table, one row an event; an Ibis table is summed where it lives. Rows without
        customer, beginning or stream do not count.
    customer, start, end, stream
        Its columns. An event lasts from its start to its end. One without an end, or whose end is not after its start,
        is an instant: activity counts as going on for `reach` days after it.
    order
        The streams that are looked at, in the order of the textbook's funnel.
    reach
        Days, above 0. All overlap of instants is a matter of this choice: look at another one, too.
    since, until
        What is looked at: activity is cut there. Events before tell who is new. None does not cut.
    confidence
        Of each interval; they are not adjusted for their number.
    min_n
        Rows on fewer customers are suppressed, and all that names a stream of fewer.

    Returns
    -------
    pandas.DataFrame
        Result rows of segment `stream`, `comparison = "share"`, n in customers:

        - `active`: share of active customers who were in stream `level`;
        - `concurrent`: of those in stream `level`, the share who were at some moment in `against`, too;
        - `active_time`: share of all active time in several streams at once (`level`), and in one at a time;
        - `parallel`: of customers in two streams or more, the share who were ever in several at once;
        - `funnel_order`: of customers first seen from `since` on who entered two streams or more, the share whose first
          entries follow `order` (no stream before an earlier one; those at the same second do), and the others; the
          note says what pure chance would give;
        - `entered_before`: of those new ones who entered both, the share who entered `level` before `against`.

    Raises
    ------
    UsageError
        For columns that are not there, times that are none, a reach that is not above 0, fewer than 2 streams.

    Notes
    -----
    Intervals of a customer and stream are merged (gaps and islands) before anything is counted. Shares of customers
    have Wilson intervals; the share of time is a ratio of sums over customers, its variance by the delta method.
    """
    names, last = _names(order), (doorway.stamp("since", since), doorway.stamp("until", until))
    intervals.check_confidence(confidence)
    spans = _spans(events, customer, start, end, stream, names, _reach(reach))
    together, entered = (doorway.fetch(plan) for plan in plans(spans, names, *last))
    return told(together.iloc[0], entered.iloc[0], names, reach=reach, confidence=confidence, min_n=min_n)


def _names(order: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(doors.names(order)))
    if not 2 <= len(names) <= _MOST or not all(isinstance(name, str) for name in names):
        raise UsageError(f"order names {len(names)} streams, not from 2 to {_MOST}", hint=f"As in order={ORDER}.")
    return names


def _reach(days: float) -> int:
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days < math.inf:
        raise UsageError(f"reach {days!r} is no number of days above 0", hint="An instant overlaps nothing.")
    return max(round(days * doorway.DAY), 1)


def _spans(
    events: Any, customer: str, start: str, end: str | None, stream: str, names: Sequence[str], reach: int
) -> ir.Table:
    """Return the intervals of all events of the streams, as they are."""
    import ibis

    times = {sweeps.FROM: start} | ({"_end": end} if end is not None else {})
    found = doorway.table(events, texts={sweeps.WHO: customer, sweeps.STREAM: stream}, times=times)
    found = found.drop_null([sweeps.WHO, sweeps.STREAM, sweeps.FROM])
    found = found.filter(found[sweeps.STREAM].isin(list(names)))
    over = found[sweeps.FROM] + reach
    if end is not None:
        over = ibis.ifelse(found["_end"] > found[sweeps.FROM], found["_end"], over)
    return found.select(sweeps.WHO, sweeps.STREAM, sweeps.FROM, **{sweeps.TO: over})


def plans(spans: ir.Table, names: Sequence[str], since: int | None, until: int | None) -> tuple[ir.Table, ir.Table]:
    """Return the sums over customers, one row each: of what goes on at once, and of the order of first entries."""
    before = spans if until is None else spans.filter(spans[sweeps.FROM] < until)
    return _sums_together(_cut(before, since, until), names), _sums_entered(before, names, since)


def _cut(spans: ir.Table, since: int | None, until: int | None) -> ir.Table:
    """Return intervals within the time that is looked at."""
    import ibis

    if since is not None:
        spans = spans.filter(spans[sweeps.TO] > since)
        spans = spans.mutate(**{sweeps.FROM: ibis.greatest(spans[sweeps.FROM], since)})
    return spans if until is None else spans.mutate(**{sweeps.TO: ibis.least(spans[sweeps.TO], until)})


def _sums_together(spans: ir.Table, names: Sequence[str]) -> ir.Table:
    """Return customers by stream and by pair, and the sums, squares and product of their active and shared time."""
    each = sweeps.together(sweeps.merged(spans), names)
    days = {name: each[name].cast("float64") / doorway.DAY for name in ("any", "several")}
    several = sum((each[f"in {i}"] > 0).cast("int64") for i in range(len(names))) > 1
    counts = {name: (each[name] > 0).sum() for name in each.columns if name.startswith("in ")}
    return each.aggregate(
        n=each.count(), two=several.sum(), parallel=(each["most"] > 1).sum(),
        **counts, **{name: value.sum() for name, value in days.items()},
        any_any=(days["any"] ** 2).sum(), several_several=(days["several"] ** 2).sum(),
        any_several=(days["any"] * days["several"]).sum(),
    ).pipe(_filled)  # fmt: skip


def _sums_entered(spans: ir.Table, names: Sequence[str], since: int | None) -> ir.Table:
    """Return how many of the customers who are new entered which stream first, and how many in the order."""
    import ibis

    each = sweeps.entered(spans, names)
    each = each if since is None else each.filter(each["_first"] >= since)
    places = range(len(names))
    at = {i: each[f"in {i}"] for i in places}
    count: Any = sum((doorway.known(at[i]).cast("int64") for i in places), start=ibis.literal(0))
    wrong: Any = ibis.literal(False)
    for i, j in combinations(places, 2):
        wrong = wrong | (at[i] > at[j]).fill_null(False)
    chance = ibis.cases(*((count == k, 1 / math.factorial(k)) for k in range(2, len(names) + 1)), else_=0.0)
    pairs = {f"both {i} {j}": (doorway.known(at[i]) & doorway.known(at[j])).sum() for i, j in combinations(places, 2)}
    first = {f"first {i} {j}": (at[i] < at[j]).sum() for i, j in permutations(places, 2)}
    return each.aggregate(
        two=(count > 1).sum(), follows=((count > 1) & ~wrong).sum(), chance=chance.sum(), **pairs, **first
    ).pipe(_filled)


def _filled(sums: ir.Table) -> ir.Table:
    """Return sums as doubles: 0 where there is nothing to sum."""
    return sums.select(**{name: sums[name].cast("float64").fill_null(0.0) for name in sums.columns})


def told(
    together: Mapping[str, float], entered: Mapping[str, float], names: Sequence[str], *, reach: float,
    confidence: float, min_n: int,
) -> pd.DataFrame:  # fmt: skip
    """Return the result rows of the sums of `plans`; see `streams`."""
    if not together["n"]:
        return results.frame(
            metric=CONCURRENT, segment="stream", comparison="share", status=results.UNDEFINED, note=_NOBODY
        )
    inside = {name: together[f"in {i}"] for i, name in enumerate(names)}
    pairs = list(permutations(range(len(names)), 2))
    levels, others = ([names[pair[side]] for pair in pairs] for side in (0, 1))
    both = np.array([together[f"in {min(pair)} {max(pair)}"] for pair in pairs])
    entries = np.array([entered[f"both {min(pair)} {max(pair)}"] for pair in pairs])
    first = np.array([entered[f"first {i} {j}"] for i, j in pairs])
    parts = [
        _shares(ACTIVE, names, "", np.array(list(inside.values())), together["n"], confidence),
        _shares(CONCURRENT, levels, others, both, np.array([inside[name] for name in levels]), confidence),
        _time(together, confidence),
        _shares(PARALLEL, [SEVERAL], ONE, np.array([together["parallel"]]), together["two"], confidence),
        _funnel(entered, confidence), _shares(BEFORE, levels, others, first, entries, confidence),
    ]  # fmt: skip
    found = results.concat(parts)
    found = found.assign(method=found["method"] + f", activity goes on for {reach:g} days after an event")
    return _hidden(results.conform(found), inside, min_n)


def _shares(metric: str, level: Any, against: Any, x: Any, n: Any, confidence: float, note: str = "") -> pd.DataFrame:
    """Return shares x / n of customers with Wilson intervals; undefined where there is nobody."""
    x, n = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(n, dtype=float))
    some = n > 0
    size = np.where(some, n, 1.0)
    share = np.where(some, x / size, 0.0)
    low, high = intervals.wilson(share, size, confidence)
    return results.frame(
        metric=metric, segment="stream", level=level, against=against, comparison="share", method=_SHARE,
        estimate=share, std_error=np.sqrt(share * (1 - share) / size), conf_low=low, conf_high=high, n=n, n_eff=n,
        status=np.where(some, results.OK, results.UNDEFINED), note=np.where(some, note, _NOBODY),
    )  # fmt: skip


def _time(sums: Mapping[str, float], confidence: float) -> pd.DataFrame:
    """Return the share of active time in several streams at once and in one, by the delta method on sums."""
    n, whole = sums["n"], sums["any"]
    share = min(sums["several"] / whole, 1.0)
    spread = sums["several_several"] - 2 * share * sums["any_several"] + share**2 * sums["any_any"]
    error = math.sqrt(max(spread, 0.0) * n / (n - 1)) / whole if n > 1 else math.nan
    if 0 < share < 1 and error > 0:
        half = intervals.z_of(confidence) * error / (share * (1 - share))
        low, high = (float(special.expit(special.logit(share) + side * half)) for side in (-1, 1))
    else:  # nobody, or everybody all the time: as if each customer were one yes or no
        low, high = (float(end) for end in intervals.wilson(np.array(share), np.array(n), confidence))
    return results.frame(
        metric=TIME, segment="stream", level=[SEVERAL, ONE], comparison="share", method=_RATIO,
        estimate=[share, 1 - share], std_error=error, conf_low=[low, 1 - high], conf_high=[high, 1 - low], n=n, n_eff=n,
    )  # fmt: skip


def _funnel(sums: Mapping[str, float], confidence: float) -> pd.DataFrame:
    """Return how many follow the order; the two rows are one share and what is left of it."""
    two, follows = sums["two"], sums["follows"]
    chance = 100 * sums["chance"] / two if two else 0.0
    note = f"in an order of pure chance {chance:.0f} % would follow it"
    return _shares(FUNNEL, [FOLLOWS, OTHERWISE], "", np.array([follows, two - follows]), two, confidence, note)


def _hidden(found: pd.DataFrame, inside: Mapping[str, float], min_n: int) -> pd.DataFrame:
    """Suppress rows on few customers, and all that names a stream with few; say so of streams with nobody."""
    named = found[["level", "against"]]
    empty = named.isin([name for name, count in inside.items() if not count]).any(axis=1)
    few = named.isin([name for name, count in inside.items() if 0 < count < min_n]).any(axis=1)
    gone = (few | (found["n"] < min_n)) & (found["status"] == results.OK) & ~empty
    status = found["status"].mask(gone, results.SUPPRESSED).mask(empty, results.UNDEFINED)
    return results.conform(found.assign(status=status, note=found["note"].mask(gone, hiding.NOTE).mask(empty, _SILENT)))
