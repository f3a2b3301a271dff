"""Where do customers go next? Moves from touchpoint to touchpoint, counted in the engine, with clustered intervals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys.rows import AT, SESSION, TOUCH, WHO, Events, Run, opened
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.formulas import share
from cxlib.measure.intervals import check_confidence
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Numbers

if TYPE_CHECKING:
    import ibis.expr.types as ir

TRANSITION, MOVES, SEGMENT = "transition", "moves", "touchpoint"
START, END = "start of the journey", "end of the journey"
_START, _END = -2, -1  # their numbers; those of touchpoints begin with 0
LOOP = "the same touchpoint again"
_METHOD, _METHOD_OF_SHOWN = "share of moves", "share of the moves that may be shown"
_MOST_LEFT_OUT = 0.1  # of the moves from an origin
_FEW = "fewer customers than may be shown moved so, or did more than a tenth of the moves from there"


def transitions(
    events: Any,
    *,
    customer: str,
    at: str,
    touchpoint: str,
    session: str | None = None,
    gap: timedelta | None = None,
    ends: bool = False,
    ties: Sequence[str] = (),
    confidence: float = 0.95,
    min_n: int = 1,
    run: Run | None = None,
) -> pd.DataFrame:
    """Return which share of the moves from each touchpoint goes to each other, and to itself.

    A move leads from an event of a customer to that customer's next one. All is counted where the events lie: one
    window, then sums by customer and pair; a row for each pair comes back.

    Parameters
    ----------
    events
        One row an event: a pandas frame or an Ibis table. Events without customer, time or touchpoint are left out and
        counted in the note.
    customer, at, touchpoint
        Its columns.
    session
        The column of the session: moves are those within a customer's session.
    gap
        The silence that ends a journey: a next event that comes later than this after the one before is no move.
    ends
        Whether a journey's beginning and end count as touchpoints (`START`, `END`) that moves lead from and to. The
        last event that is known of a customer ends the journey, also where more may follow later.
    ties
        Further columns by which events of one moment are in order. What they leave open is decided by the order of the
        rows in a pandas frame, and by touchpoint in an Ibis table, whose rows have no order.
    confidence
        Of the intervals.
    min_n
        Moves that fewer customers made are suppressed and left out of the shares: those of the others add up to 1
        without them, so that no hidden one can be worked out. Where more than a tenth of the moves from an origin would
        be left out, all of them are suppressed: the shares of the others would mislead.
    run
        Computes a plan over an Ibis table; None for the table's own backend.

    Returns
    -------
    pandas.DataFrame
        A result frame, segment `touchpoint`, sorted, suppressed rows last; for each origin (`level`) and target
        (`against`) between which anybody moved a row of metric

        - `transition`, comparison `share`: the share of the moves from the origin that go to the target; those of an
          origin add up to 1. n counts the moves from the origin, n_eff is what they are worth where customers move
          several times; Wilson's interval at n_eff.
        - `moves`, comparison `index`: how many moves, without an interval: they are counted. n counts customers.

        For 150 customers of very unequal activity, each with leanings of their own, the 95 % intervals cover 94 %,
        those that take moves for independent 86 %.

        A move to the same touchpoint says so in its note. `undefined` where no customer has two events.

    Raises
    ------
    UsageError
        For columns that are not there, times that are none, events of which none is whole, and a gap of no time.

    Notes
    -----
    Where one customer in ten makes eight times the moves of the others, 95 of 100 limits hold (30 and 100 customers).
    Where one in thirty makes half of all moves and goes a way of its own, 87 do with 100 customers and 62 with 30: no
    interval knows how other such customers would go.

    Source: the share is a ratio of sums over customers, linearised (Lumley 2010, Complex Surveys, 2.2; Moments); n_eff
    by Korn and Graubard (1998), Survey Methodology 24:193, with the degrees of freedom of unequal clusters.
    """
    check_confidence(confidence)
    doors.whole("min_n", min_n, 0, 10**9)
    if gap is not None and not (isinstance(gap, timedelta) and gap > timedelta(0)):
        raise UsageError(f"gap {gap!r} is no span of time", hint="Give timedelta(days=30), say.")
    given = opened(events, customer=customer, at=at, touchpoint=touchpoint, session=session, ties=ties, run=run)
    counts = given.run(counted(given, gap=gap, ends=ends, min_n=min_n))
    if counts.empty:
        return results.frame(
            metric=TRANSITION, segment=SEGMENT, comparison="share", status=results.UNDEFINED,
            note="no customer has two events that follow each other",
        )  # fmt: skip
    few = _few(counts, min_n)
    method = _METHOD_OF_SHOWN if few.any() else _METHOD
    parts = [_rows(counts[~few], given.note, confidence, method)] if not few.all() else []
    return results.concat([*parts, _suppressed(counts[few])]) if few.any() else parts[0]


def counted(events: Events, *, gap: timedelta | None, ends: bool, min_n: int) -> ir.Table:
    """Return the plan that counts moves: for each origin and target the sums that intervals are made of.

    Returns
    -------
    ibis.expr.types.Table
        `origin`, `target`; `moves`; `people` who made them; `squares`: the sum over customers of their moves squared;
        `products`: of their moves times their moves from the origin that may be shown; `first`: customers with such,
        counted once for each origin.
    """
    import ibis

    names = _names(events.table)
    moves = _moves(events, names, gap, ends)
    cells = moves.group_by(WHO, "origin", "target").agg(c=moves.count())
    cells = cells.mutate(n=cells.c, to=cells.target)  # of moves that may be shown
    if min_n > 1:
        shown = cells.count().over(ibis.window(group_by=["origin", "target"])) >= min_n
        cells = cells.mutate(n=shown.ifelse(cells.c, 0), to=shown.ifelse(cells.target, None))
    own = ibis.window(
        group_by=[WHO, "origin"]
    )  # without a condition: engines know a sum of the whole from one of a part
    cells = cells.mutate(x=cells.n.sum().over(own), lead=cells.target == cells.to.min().over(own))
    found = cells.group_by("origin", "target").agg(
        moves=cells.c.sum().cast("int64"),
        people=cells.count(),
        squares=(cells.c * cells.c).sum().cast("float64"),
        products=(cells.c * cells.x).sum().cast("float64"),
        first=cells.lead.sum().cast("int64"),
    )
    return _told(_told(found, names, "origin"), names, "target")


def _names(table: ir.Table) -> ir.Table:
    """Return the touchpoints with a number each: sorting and grouping numbers takes a third less time than words."""
    import ibis

    names = table.select(name=table[TOUCH]).distinct()
    return names.mutate(code=ibis.row_number().over(ibis.window(order_by=names.name)).cast("int32"))


def _told(found: ir.Table, names: ir.Table, column: str) -> ir.Table:
    """Return rows with the touchpoint for its number."""
    import ibis

    known = names.select(_code=names.code, _name=names.name)
    both = found.left_join(known, found[column] == known._code)
    ends = ibis.cases((both[column] == _START, START), (both[column] == _END, END), else_=both._name)
    return both.mutate(**{column: ends}).drop("_code", "_name")


def _moves(events: Events, names: ir.Table, gap: timedelta | None, ends: bool) -> ir.Table:
    """Return one row a move: customer, and the numbers of origin and target."""
    import ibis

    table = events.table.inner_join(names, events.table[TOUCH] == names.name)
    by = [WHO, SESSION] if SESSION in table.columns else [WHO]
    order = [table.code if name == TOUCH else table[name] for name in events.order]
    path = ibis.window(group_by=by, order_by=order)
    steps = {"origin": table.code, "target": table.code.lead().over(path)}
    if gap is not None or ends:
        steps |= {"wait": table[AT].lead().over(path).epoch_seconds() - table[AT].epoch_seconds()}
        steps |= {"before": table[AT].epoch_seconds() - table[AT].lag().over(path).epoch_seconds()}
    found = table.select(**{WHO: table[WHO]}, **steps)
    if gap is not None:
        far = ibis.literal(gap.total_seconds())
        found = found.mutate(target=(found.wait <= far).ifelse(found.target, None))
        found = found.mutate(before=(found.before <= far).ifelse(found.before, None))
    if not ends:
        return found.drop_null("target").select(WHO, "origin", "target")
    begun = found.filter(found.before.isnull()).select(  # noqa: PD003 (Ibis)
        WHO, origin=ibis.literal(_START, "int32"), target="origin"
    )
    return ibis.union(found.select(WHO, "origin", target=found.target.fill_null(ibis.literal(_END, "int32"))), begun)


def _rows(counts: pd.DataFrame, note: str, confidence: float, method: str) -> pd.DataFrame:
    """Return the rows of counted pairs."""
    counts = counts.sort_values(["origin", "target"], ignore_index=True)
    moments = _moments(counts)
    found = share(moments.sums["y"], moments.rows, confidence=confidence, n_eff=moments.effective_n)
    wide = share(moments.sums["y"], moments.rows, confidence=confidence, n_eff=_worth(moments, confidence))
    found = found.assign(conf_low=wide["conf_low"], conf_high=wide["conf_high"])
    origin, target = counts["origin"].to_numpy(), counts["target"].to_numpy()
    told = np.where(origin == target, LOOP, "")
    told = np.array([". ".join(filter(None, (one, note))) for one in told])
    named = {"segment": SEGMENT, "level": origin, "against": target}
    shares = found.assign(
        **named, metric=TRANSITION, comparison="share", method=method + ", " + found["method"],
        note=[". ".join(filter(None, both)) for both in zip(told, found["note"], strict=True)],
    )  # fmt: skip
    sizes = results.frame(
        **named, metric=MOVES, comparison="index", method="counted", estimate=counts["moves"].to_numpy(dtype=float),
        n=counts["people"].to_numpy(dtype=float), note=told,
    )  # fmt: skip
    return results.concat([shares, sizes])


def _worth(moments: Moments, confidence: float) -> Numbers:
    """Return how many independent moves the moves from an origin are worth for an interval by t.

    The spread between customers is learnt from as many as are equally active, the square of the sum over the sum of
    squares of their moves: where a few make most moves that is a few, and t with so many degrees of freedom is long.
    """
    n, x = moments.effective_n, moments.sums["x"]
    alike = x**2 / np.maximum(moments.products["x", "x"], 1.0)
    length = special.stdtrit(np.maximum(alike - 1, 1.0), (1 + confidence) / 2) / intervals.z_of(confidence)
    return np.where(n < moments.rows * (1 - 1e-9), np.maximum(n / length**2, np.minimum(n, 1.0)), n)


def _moments(counts: pd.DataFrame) -> Moments:
    """Return the moments of each pair: of moves to the target (y) among the moves from the origin (x).

    What is asked of the origin is the sum over its targets: x of the moves, x squared of moves times moves from it.
    """
    number = {name: counts[name].to_numpy(dtype=float) for name in ("moves", "squares", "products")}
    whole = counts.groupby("origin")[["moves", "products", "first"]].transform("sum").to_numpy(dtype=float).T
    products = {("y", "y"): number["squares"], ("x", "y"): number["products"], ("x", "x"): whole[1]}
    return Moments(whole[0], whole[2], {"y": number["moves"], "x": whole[0]}, products, number["moves"])


def _few(counts: pd.DataFrame, min_n: int) -> NDArray[np.bool_]:
    """Tell the pairs to suppress: of few customers, and all of an origin of which too many moves are such."""
    few = counts["people"] < min_n
    every = counts.groupby("origin")["moves"].transform("sum")
    lost = counts["moves"].where(few, 0).groupby(counts["origin"]).transform("sum")
    return (few | (lost > _MOST_LEFT_OUT * every)).to_numpy()


def _suppressed(counts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of moves that few customers made: that there are such, and no number."""
    counts = counts.sort_values(["origin", "target"])
    rows = {"segment": SEGMENT, "level": counts["origin"].to_numpy(), "against": counts["target"].to_numpy()}
    kinds = ((TRANSITION, "share"), (MOVES, "index"))
    return results.concat([
        results.frame(**rows, metric=metric, comparison=kind, status=results.SUPPRESSED, note=_FEW)
        for metric, kind in kinds
    ])  # fmt: skip
