"""The headline of a report in plain sentences, as the frame's intervals and verdicts have it; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from cxlib.measure.told import told
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import rows
from cxlib.show.finding import behind
from cxlib.show.formats import Format, formatting, missing_words

_NAMED = 5  # metrics that a sentence names; the rest it counts
_STILL = {
    "not shown": "no change is shown since {}",
    "could not have been seen": "too few answers to tell whether it moved since {}",
}


def headline(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    period: Period,
    *,
    currency: str | None = None,
    locale: str | None = None,
) -> list[str]:
    """Return two to five texts: what the lead metric did and where it stands, what moved, what is off target.

    Parameters
    ----------
    frame
        Result frame; rows of the whole. Difference rows against the period before, a year ago and `target` are told.
    metrics
        Metric id -> definition; the first with a figure leads. Rows of other metrics are left out.
    period
        The period that is told about.
    currency, locale
        Of amounts and numbers; default what `formats.use` set.

    Returns
    -------
    list of str
        Plain text; one sentence that says so where no metric has a figure.
    """
    entries = rows.book(frame[(frame["segment"] == "all") & frame["metric"].isin(metrics)])
    lead = next((m for m in metrics.values() if not missing_words(rows.level(entries, m.id, str(period)))), None)
    if lead is None:
        return [f"No metric of this report has a figure in {period.title}."]
    others = [period.previous(), period.year_ago()]
    found = [_lead(entries, lead, period, others, formatting(currency, locale))]
    found += [_moved(rows.tally(entries, metrics, period, str(other)), other) for other in others]
    return [*filter(None, found), *_targets(rows.tally(entries, metrics, period, "target"))]


def reason(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    *,
    currency: str | None = None,
    locale: str | None = None,
) -> str:
    """Return what is behind the change of a metric in one sentence, where the frame holds one decomposition.

    Parameters
    ----------
    frame
        Result frame; rows of `decomposition.explain`, and the verdict on the change where it has one.
    metrics
        Metric id -> definition.
    currency, locale
        Of amounts and numbers.
    """
    parts = frame[frame["comparison"].isin(["mix", "rate"])]
    names, segments = set(parts["metric"]), set(parts["segment"])
    if len(names) != 1 or not names <= set(metrics) or len(segments) != 1:
        return ""
    found = told(frame[frame["metric"].isin(names)])
    return "" if found.missing else f"{behind(found, metrics[found.metric], formatting(currency, locale))}."


def _lead(entries: rows.Book, metric: Metric, period: Period, others: Sequence[Period], form: Format) -> str:
    """Return what the lead metric did, where that is shown, and its level; each with its interval."""
    row = rows.level(entries, metric.id, str(period)) or {}
    level = f"{form.value(row['estimate'], metric.unit)}, likely "
    level += form.interval(row["conf_low"], row["conf_high"], metric.unit)
    moves, still = [], dict[str, list[str]]()
    for other in others:
        change = rows.change(entries, metric.id, str(period), str(other))
        if change is None or not change["verdict"]:
            continue
        if change["verdict"] in _STILL:
            still.setdefault(change["verdict"], []).append(other.title)
        else:
            moves.append(_move(change, metric, other, form))
    rest = [_STILL[name].format(" or ".join(titles)) for name, titles in still.items()]
    if not moves:
        return "; ".join([f"{metric.title}: {level}", *rest]) + "."
    return "; ".join([f"{metric.title} {', and '.join(moves)}", *rest]) + f". It stands at {level}."


def _move(change: rows.Row, metric: Metric, other: Period, form: Format) -> str:
    """Return `rose 4.0 points since September 2026, likely 1.0 to 7.0 points`; signs only where the limits differ."""
    size, low, high = change["estimate"], change["conf_low"], change["conf_high"]
    up, across = size > 0, low * high < 0
    if not across:
        size, (low, high) = abs(size), sorted([abs(low), abs(high)])
    likely = form.interval(low, high, metric.unit, change=True)
    told = form.change(abs(size), metric.unit).replace("+", "")
    return (
        f"{'rose' if up else 'fell'} {told} since {other.title}, likely {likely if across else likely.replace('+', '')}"
    )


def _moved(found: Mapping[str, Sequence[str]], other: Period) -> str:
    """Return which metrics moved since another period; empty where none was compared."""
    named = [
        f"{title} ({', '.join([way, *(tone for tone in (rows.BETTER, rows.WORSE) if title in found[tone])])})"
        for way in ("up", "down")
        for title in found[way]
    ]
    if named:
        return f"Moved since {other.title}: {_some(named)}."
    return f"No change is shown since {other.title}{_still(found)}." if found["flat"] else ""


def _still(found: Mapping[str, Sequence[str]]) -> str:
    """Say for how many metrics nothing is shown, and for how many of them too few answered to tell."""
    few, size = len(found["few"]), len(found["flat"])
    return f" for any metric ({size} compared{f', {few} with too few answers to tell' if few else ''})"


def _targets(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Return which metrics are worse and which are better than their targets, a sentence each."""
    worse, better, still = found[rows.WORSE], found[rows.BETTER], len(found["flat"])
    told = [f"Worse than target: {_some(worse)}."] if worse else []
    told += [f"Better than target: {_some(better)}."] if better else []
    return told or [f"No difference from target is shown{_still(found)}."] * bool(still)


def _some(names: Sequence[str]) -> str:
    """Return names in a sentence, the first of them where they are many."""
    rest = len(names) - _NAMED
    return rows.listed([*names[:_NAMED], f"{rest} more"] if rest > 0 else names)
