"""How many customers come from stage to stage, and how fast; those whose time still runs do not count as lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import funnel_paths, funnel_times, log
from cxlib.analysis.journeys.rows import AT, TOUCH, Events, Run, opened
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.formulas import share
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers

CUSTOMERS, REACHED, CONVERSION, OPEN = "customers", "reached", "conversion", "still under way"
SEGMENT = "stage"
ORDERS = {"strict": funnel_paths.strict, "open": funnel_paths.in_order, "any": funnel_paths.in_any_order}
_FEW = "fewer customers than may be shown"
_MOST_STAGES = 20
_ALWAYS = pd.Timestamp("2262-01-01")  # of a log without events


def funnel(
    events: Any,
    stages: Sequence[str] | Mapping[str, str | Sequence[str]],
    *,
    window: timedelta | None = None,
    order: str = "strict",
    customer: str = log.CUSTOMER,
    at: str = log.AT,
    touchpoint: str = log.TOUCHPOINT,
    until: object = None,
    horizons: Sequence[timedelta] = (),
    ties: Sequence[str] = (),
    confidence: float = 0.95,
    min_n: int = 1,
    run: Run | None = None,
) -> pd.DataFrame:
    """Return which share of the customers who entered came to each stage, and how long each step took.

    A customer enters once, with the first event of the first stage, and counts once. A customer whose window is not
    over by `until` is not counted as lost: shares are of those whose window is over. Times are by Kaplan-Meier, of
    all, each counted for as long as watched; who goes elsewhere for good stays among those who have not gone on.

    Parameters
    ----------
    events
        One row an event: a pandas frame or an Ibis table, all events of the customers: `strict` needs those of no
        stage, too.
    stages
        Touchpoints in order, or name -> touchpoint or touchpoints of each stage. A touchpoint belongs to one stage.
    window
        How long a customer has from entry to the last stage; None for ever: then whoever entered counts, and those who
        entered lately have not had their time.
    order
        - `strict`: the customer's very next event each time is one of the next stage;
        - `open`: the stages in their order, whatever comes in between: the first event of a stage at or after the
          one that reached the stage before;
        - `any`: all stages up to that one, in whatever order; the window begins with the first event of any stage.

        Events of one moment count as in the order of the stages.
    customer, at, touchpoint
        The columns; default those of `events`.
    until
        Up to when events are known; default the time of the last. Later events are not looked at.
    horizons
        Spans of time for which the share that has taken each step is asked for.
    ties
        Further columns by which events of one moment are in order, before the stages.
    confidence
        Of the intervals.
    min_n
        Stages that fewer customers reached are suppressed, with all that is told of the way to and from them.
    run
        Computes a plan over an Ibis table; None for the table's own backend.

    Returns
    -------
    pandas.DataFrame
        A result frame, segment `stage`, level the stage:

        - `customers`, comparison `index`: how many came there, of those whose window is over;
        - `still under way`: how many entered whose window is not over, at the first stage;
        - `reached`, comparison `share`, from the second stage on: the share of those who entered (`against` the first
          stage), Wilson;
        - `conversion`: the share of those who reached the stage before (`against`), Wilson;
        - `time to next stage`, at `lower quartile`, `median`, `upper quartile`: by when so many of all who reached the
          stage before (`against`) had gone on, seconds; `undefined` where fewer ever did;
        - `time of those who got there`, at the same: order statistics over those who did within a closed window;
        - `reached within`, at each horizon: the share that had taken the step by then (Kaplan-Meier).

    Raises
    ------
    UsageError
        For columns that are not there, an order that there is not, fewer than two stages, a touchpoint of two stages,
        and spans that are none.

    Source: Kaplan and Meier (1958) JASA 53:457; who cannot go on any more stays at risk, so that one minus the curve is
    the share that had gone on (Fine and Gray 1999, JASA 94:496, with known censoring times); Wilson (1927).
    """
    check_confidence(confidence)
    names, touchpoints = _stages(stages)
    if order not in ORDERS:
        raise UsageError(f"'{order}' is no order of stages{did_you_mean(str(order), ORDERS)}",
                         hint=f"There are {', '.join(ORDERS)}.")  # fmt: skip
    for what, span in (("window", window), *(("horizon", one) for one in horizons)):
        _check_span(what, span)
    doors.whole("min_n", min_n, 0, 10**9)
    given = opened(events, customer=customer, at=at, touchpoint=touchpoint, session=None, ties=ties, run=run)
    end = _end(given, until)
    known = given._replace(table=given.table.filter(given.table[AT] <= end))
    paths = ORDERS[order](known, touchpoints)
    counts = given.run(funnel_paths.counted(paths, len(names), end, window))
    if counts.empty:
        return results.frame(
            metric=REACHED, segment=SEGMENT, level=names[-1], against=names[0], comparison="share",
            status=results.UNDEFINED, note=f"no customer was at the first stage, {names[0]}",
        )  # fmt: skip
    found = _unvisited(_rows(counts, names, confidence, horizons), known, names, touchpoints)
    method = f"{order} order" + (f" within {funnel_times.told(window.total_seconds())}" if window else "")
    told = [f"{method}, {how}" if how else method for how in found["method"]]
    notes = ["; ".join(filter(None, both)) for both in zip(found["note"], [given.note] * len(found), strict=True)]
    return _hidden(results.label(found, method=told, note=notes), min_n)


def _unvisited(
    found: pd.DataFrame, known: Events, names: Sequence[str], touchpoints: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Say of stages to which nobody came whether there is any event there at all: a name may be misspelt."""
    none = set(found.loc[(found["metric"] == CUSTOMERS) & (found["estimate"] == 0), "level"])
    places = {place: name for name, own in zip(names, touchpoints, strict=True) if name in none for place in own}
    if not places:
        return found
    there = known.run(known.table.filter(known.table[TOUCH].isin(list(places))).select(TOUCH).distinct())
    lost = {name for place, name in places.items()} - {places[place] for place in there[TOUCH]}
    note = "no event at all is at this stage: is its touchpoint spelt as in the events?"
    gone = found["level"].isin(lost) & (found["metric"] == CUSTOMERS)
    return results.conform(found.assign(note=found["note"].mask(gone, note)))


def _stages(given: Any) -> tuple[list[str], list[list[str]]]:
    """Return the names of the stages and their touchpoints; `UsageError` for what is no funnel."""
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
        raise UsageError(f"stages is {given!r}", hint="Give a list of touchpoints, or name -> touchpoints.")
    pairs = list(given.items()) if isinstance(given, Mapping) else [(name, name) for name in given]
    if not 2 <= len(pairs) <= _MOST_STAGES:
        raise UsageError(f"a funnel has 2 to {_MOST_STAGES} stages, not {len(pairs)}")
    touchpoints = [[str(one) for one in doors.names(places)] for _, places in pairs]
    every = [one for places in touchpoints for one in dict.fromkeys(places)]
    faults = [f"{one} in two stages" for one in sorted({one for one in every if every.count(one) > 1})]
    faults += [f"{name} without a touchpoint" for (name, _), own in zip(pairs, touchpoints, strict=True) if not own]
    if faults:
        raise UsageError(
            "; ".join(faults), hint="Each touchpoint belongs to one stage, and each stage has one or more."
        )
    return [str(name) for name, _ in pairs], touchpoints


def _check_span(what: str, span: Any) -> None:
    """Raise `UsageError` for a span of time that is none."""
    if span is not None and not (isinstance(span, timedelta) and span >= timedelta(seconds=1)):
        raise UsageError(f"{what} {span!r} is no span of time", hint="Give timedelta(days=30), say.")


def _end(given: Events, until: object) -> pd.Timestamp:
    """Return up to when events are known."""
    if until is not None:
        return doors.moment("until", until)
    last = pd.Timestamp(given.run(given.table.agg(last=given.table[AT].max()))["last"].iloc[0])
    return _ALWAYS if pd.isna(last) else last


def _rows(counts: pd.DataFrame, names: Sequence[str], confidence: float, horizons: Sequence[timedelta]) -> pd.DataFrame:
    """Return the rows of a funnel from counted steps."""
    counts = counts.sort_values(["step", "seconds", "reached", "closed"], ignore_index=True)
    closed = counts[counts["closed"]]
    first = closed.loc[closed["step"] == 1, "customers"].sum()
    reached = closed[closed["reached"]].groupby("step")["customers"].sum().reindex(range(1, len(names)), fill_value=0)
    people = np.concatenate([[first], reached.to_numpy()]).astype(float)
    parts = [
        results.frame(
            metric=CUSTOMERS, level=names, comparison="index", method="counted", estimate=people, n=_some(people)
        ),
        _still(counts, names),
        _shares(REACHED, people[1:], np.full(len(names) - 1, people[0]), [names[0]] * (len(names) - 1), confidence),
        _shares(CONVERSION, people[1:], people[:-1], names[:-1], confidence),
    ]
    parts = [part.assign(level=names[1:]) if set(part["level"]) == {"all"} else part for part in parts]
    for step, own in counts.groupby("step"):
        times = [funnel_times.quartiles(own, confidence), funnel_times.arrivals(own, confidence),
                 funnel_times.within(own, horizons, confidence)]  # fmt: skip
        parts += [part.assign(level=names[step], against=names[step - 1]) for part in times]
    return results.label(results.concat(parts), segment=SEGMENT)


def _still(counts: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return how many entered whose window is not over."""
    count = float(counts.loc[~counts["closed"] & (counts["step"] == 1), "customers"].sum())
    return results.frame(
        metric=OPEN, level=names[0], comparison="index", method="counted", estimate=count, n=_some(np.array(count)),
        note="not counted as lost: their window is not over",
    )  # fmt: skip


def _some(people: Numbers) -> Numbers:
    """Return how many customers a row is of, missing where of none: nobody is in a count of 0."""
    return np.where(people > 0, people, np.nan)


def _shares(metric: str, came: Numbers, of: Numbers, against: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return shares of customers, each of whom counts once."""
    found = share(came, of, confidence=confidence)
    note = np.where(of == 0, "no customer whose window is over came to the stage before", found["note"])
    return results.conform(found.assign(metric=metric, comparison="share", against=list(against), note=note))


def _hidden(found: pd.DataFrame, min_n: int) -> pd.DataFrame:
    """Suppress what is told of stages that few customers reached, and of moments at which few were still watched."""
    people = found[found["metric"] == CUSTOMERS].set_index("level")["estimate"]
    few = set(people.index[(people > 0) & (people < min_n)])
    gone = found["level"].isin(few) & (found["metric"] != OPEN) | found["against"].isin(few)
    gone |= found[["n", "n_eff"]].where(found[["n", "n_eff"]] > 0).lt(min_n).any(axis=1)
    gone &= found["status"] == results.OK
    return results.conform(
        found.assign(status=found["status"].mask(gone, results.SUPPRESSED), note=found["note"].mask(gone, _FEW))
    )
