"""From masked moments to rows of a result frame: levels, differences, and a reason for each absent number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import hiding
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.reports.disclosure import hidden

_HIDDEN, _NO_ROWS = hiding.NOTE, "no rows in this period"
_CUT = "\x1f"  # between a segment and its level, while several segments are measured at once


def measured(
    metric: Metric,
    moments: pd.DataFrame | str,
    shown: Sequence[Period],
    others: Sequence[Period],
    *,
    target: bool,
    confidence: float,
    min_n: int,
    segment: str,
    definition: str,
    overlaps: pd.DataFrame | None = None,
    relative: bool = False,
) -> pd.DataFrame:
    """Return the rows of one metric.

    Parameters
    ----------
    metric
        The definition.
    moments
        Masked moments of all periods, or the reason why there are none.
    shown
        The periods whose levels are wanted, oldest first; differences are of the last one.
    others
        The periods it is compared with.
    target
        Whether it is compared with the metric's target.
    confidence
        Of the intervals; differences are tested at one minus this.
    min_n
        The least number of customers that may be shown.
    segment
        Name of the dimension, `all` for the whole.
    definition
        Hash of the metric's definition.
    overlaps
        What customers who answered in both of two periods make of the differences (`Inputs.overlaps`).
    relative
        Whether differences are given in shares of the earlier value, too.
    """
    labels, own = [period.label for period in shown], shown[-1].label
    against = [period.label for period in others]
    about = {"metric": metric.id, "segment": segment, "definition": definition}
    if isinstance(moments, str):
        return _without(labels, own, against, results.UNDEFINED, moments, about)
    from cxlib.measure import changes, estimates

    moments = estimates.recorded(metric, moments, segment)
    visible = moments.loc[~hidden(moments)]
    parts = [_gaps(moments, labels, about), _masked_levels(moments, labels, about)]
    levels = estimates.from_moments(
        metric, visible, confidence=confidence, min_n=min_n, segment=segment, definition=definition
    )
    parts.append(levels.loc[levels["period"].isin(labels)])
    pairs = [(own, other) for other in against]
    found = changes.between(
        metric, visible, pairs, confidence=confidence, alpha=1 - confidence, min_n=min_n, segment=segment,
        definition=definition, overlaps=overlaps, relative=relative,
    )  # fmt: skip
    masked = _masked_differences(moments, pairs, about)
    parts += [_but(found, masked), masked]
    if target and metric.target is not None:
        now = levels.loc[levels["period"] == own]
        parts.append(changes.to_target(metric, now, counts=visible, confidence=confidence, alpha=1 - confidence))
    return _in_order(results.concat(parts), labels)


def measured_by(
    metric: Metric,
    moments: Mapping[str, pd.DataFrame | str],
    period: Period,
    others: Sequence[Period],
    *,
    target: bool,
    confidence: float,
    min_n: int,
    definition: str,
) -> pd.DataFrame:
    """Return the rows of one metric by each of several segments, as `measured` makes those of one period by one.

    All are made at once: what a formula costs hardly depends on how many rows it is asked for. Where there are no sums
    one row says why, and nothing is compared.

    Parameters
    ----------
    metric, others, target, confidence, min_n, definition
        As for `measured`.
    moments
        Name of a segment -> its masked moments, or the reason why there are none.
    period
        The one that is wanted.
    """
    label, about = period.label, {"metric": metric.id, "definition": definition}
    given = {segment: frame for segment, frame in moments.items() if not isinstance(frame, str)}
    reasons = {segment: found for segment, found in moments.items() if isinstance(found, str)}
    reasons |= {segment: _NO_ROWS for segment, frame in given.items() if label not in set(frame["period"])}
    parts = []
    if reasons:
        words = {"status": results.UNDEFINED, "segment": list(reasons), "note": list(reasons.values())}
        parts.append(results.frame(period=label, **words, **about))
    if given:
        stacked = [frame.assign(level=_CUT.join([segment, ""]) + frame["level"]) for segment, frame in given.items()]
        found = measured(
            metric, pd.concat(stacked, ignore_index=True), [period], others, target=target, confidence=confidence,
            min_n=min_n, segment="each", definition=definition,
        )  # fmt: skip
        parts.append(_parted(found))
    return results.concat(parts)


def by_segment(parts: Sequence[pd.DataFrame], segments: Sequence[str]) -> pd.DataFrame:
    """Return what `measured_by` made of several metrics, in the order of the segments, the metrics as they come."""
    frame, place = results.concat(parts), {name: number for number, name in enumerate(segments)}
    metric = {name: number for number, name in enumerate(dict.fromkeys(frame["metric"].tolist()))}
    names = ("segment", "metric", "comparison", "against", "level")
    keys = [
        (place[segment], metric[which], comparison != "level", against, level)
        for segment, which, comparison, against, level in zip(*(frame[name].tolist() for name in names), strict=True)
    ]
    return frame.take(sorted(range(len(keys)), key=keys.__getitem__)).reset_index(drop=True)


def _parted(found: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose levels name the segment, too, with both in their columns; without those of no segment."""
    names = found["level"].str.partition(_CUT)
    return found.assign(segment=names[0], level=names[2])[names[1] != ""]


def unfinished(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame without its comparisons: a part of a period is no better or worse than a whole one."""
    compared = frame["comparison"].isin(["difference", "relative"]) & (frame["status"] == results.OK)
    status, note = frame["status"].mask(compared, results.UNDEFINED), frame["note"].mask(compared, "it is not over")
    return results.conform(frame.assign(status=status, note=note, verdict=frame["verdict"].mask(compared, "")))


def _without(
    labels: Sequence[str], own: str, against: Sequence[str], status: str, note: str, about: dict[str, str]
) -> pd.DataFrame:
    """Return rows without numbers: one per period and one per comparison."""
    levels = results.frame(period=list(labels), status=status, note=note, **about)
    if not against:
        return levels
    rows = results.frame(period=own, against=list(against), comparison="difference", status=status, note=note, **about)
    return results.concat([levels, rows])


def _gaps(moments: pd.DataFrame, labels: Sequence[str], about: dict[str, str]) -> pd.DataFrame:
    """Return an undefined row for every period that has no rows at all."""
    found = set(moments["period"])
    absent = [label for label in labels if label not in found]
    return _without(absent, "", (), results.UNDEFINED, _NO_ROWS, about) if absent else results.empty()


def _masked_levels(moments: pd.DataFrame, labels: Sequence[str], about: dict[str, str]) -> pd.DataFrame:
    """Return a suppressed row for every hidden cell of the periods shown."""
    cells = moments.loc[hidden(moments) & moments["period"].isin(labels)]
    if cells.empty:
        return results.empty()
    periods, levels = cells["period"].to_numpy(), cells["level"].to_numpy()
    return results.frame(period=periods, level=levels, status=results.SUPPRESSED, note=_HIDDEN, **about)


def _masked_differences(moments: pd.DataFrame, pairs: Sequence[tuple[str, str]], about: dict[str, str]) -> pd.DataFrame:
    """Return a suppressed row for every difference with a hidden cell on either side."""
    cells = moments.loc[hidden(moments)]
    if cells.empty:
        return results.empty()
    by_period = {label: set(part["level"]) for label, part in cells.groupby("period")}
    parts = []
    for own, other in pairs:
        levels = np.array(sorted(by_period.get(own, set()) | by_period.get(other, set())), dtype=str)
        parts.append(
            results.frame(
                period=own,
                against=other,
                level=levels,
                comparison="difference",
                status=results.SUPPRESSED,
                note=_HIDDEN,
                **about,
            )
        )
    return results.concat(parts)


def _but(found: pd.DataFrame, masked: pd.DataFrame) -> pd.DataFrame:
    """Return the differences whose cells are not among the masked ones."""
    if masked.empty or found.empty:
        return found
    keys = ["period", "against", "level"]  # of relative changes, too
    taken = pd.MultiIndex.from_frame(masked[keys])
    return found.loc[~pd.MultiIndex.from_frame(found[keys]).isin(taken)]


def _in_order(frame: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Return levels before differences, periods oldest first, levels by name."""
    rank = {label: place for place, label in enumerate(labels)}
    names = ("comparison", "period", "against", "level")
    keys = [
        (comparison != "level", rank.get(period, len(rank)), against, level)
        for comparison, period, against, level in zip(*(frame[name].tolist() for name in names), strict=True)
    ]
    return frame.take(sorted(range(len(keys)), key=keys.__getitem__)).reset_index(drop=True)
