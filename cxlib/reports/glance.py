"""What the catalogue shows of a report without opening it: small enough to stand in `run.json`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.reports.context import EVENTS, Context
from cxlib.show import rows
from cxlib.show.formats import Format, formatting, missing_words

COUNTED = ("better", "worse", "moved", "flat", "few")


def glance(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: Period,
    context: Context | None = None,
    *,
    currency: str | None = None,
    locale: str | None = None,
) -> dict[str, Any]:
    """Return a report's verdicts, its lead metric, and how far its data reach.

    Parameters
    ----------
    frame
        The disclosed result frame of the run.
    metrics
        The pack's metrics, the first with a figure leads.
    period
        The period of the report.
    context
        What the run froze of its data; None where no notebook got so far.
    currency, locale
        Of amounts and numbers.

    Returns
    -------
    dict
        `verdicts`: what was compared with (`2026-09`, `target`) -> how many metrics are `better`, `worse`, `moved`
        (where neither way is better), `flat` (no change shown) and `few` (could not have been seen). `lead`: title,
        value and its interval in words, and per comparison its verdict as shape, words and tone. `metrics`: title ->
        owner.
        `data_until`: the newest event, naive UTC; `closed`: the last period that these data hold whole.
    """
    whole = frame[(frame["segment"] == "all") & frame["metric"].isin(metrics)]
    entries = rows.book(whole)
    others = [period.previous().label, period.year_ago().label, "target"]
    verdicts = {
        other: counts for other in others if any((counts := _counted(entries, metrics, period, other)).values())
    }
    named = {metric.title: metric.owner for metric in metrics.values()}
    lead = _lead(entries, metrics, period, others, formatting(currency, locale))
    return {"verdicts": verdicts, "lead": lead, "metrics": named} | _reach(context, period)


def _counted(entries: rows.Book, metrics: Mapping[str, Metric], period: Period, other: str) -> dict[str, int]:
    """Return how many metrics came out which way against another period, or the target."""
    found = {name: len(titles) for name, titles in rows.tally(entries, metrics, period, other).items()}
    moved = found["up"] + found["down"] - found["better"] - found["worse"]
    found |= {"moved": moved, "flat": found["flat"] - found["few"]}
    return {name: found[name] for name in COUNTED}


def _lead(
    entries: rows.Book, metrics: Mapping[str, Metric], period: Period, others: list[str], form: Format
) -> dict[str, Any]:
    """Return where the lead metric stands and its verdicts; empty where no metric has a figure."""
    for metric in metrics.values():
        row = rows.level(entries, metric.id, str(period))
        if row is None or missing_words(row):
            continue
        changes = {other: rows.verdict(rows.change(entries, metric.id, str(period), other), metric) for other in others}
        return {
            "title": metric.title,
            "value": form.value(row["estimate"], metric.unit),
            "likely": form.interval(row["conf_low"], row["conf_high"], metric.unit),
            "verdicts": {other: list(told) for other, told in changes.items() if told[0]},
        }
    return {}


def _reach(context: Context | None, period: Period) -> dict[str, str]:
    """Return how far the data reach; empty where nothing is known of them."""
    newest = [item.newest for item in context.freshness if item.newest and item.table in EVENTS] if context else []
    if context is None or not newest:
        return {}
    latest = max(datetime.fromisoformat(text) for text in newest)
    closed = Period.last_closed(latest, period.kind, context.workspace.timezone)
    return {"data_until": latest.isoformat(timespec="minutes"), "closed": closed.label}
