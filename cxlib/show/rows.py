"""Picking rows of a result frame, and the short phrases that charts and tables share."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.params.models import Metric, Touchpoint
from cxlib.periods import Period
from cxlib.show.formats import Format, counted, metric_of, missing_words

Row = dict[str, Any]
Book = dict[tuple[str, str, str, str, str, str], Row]  # comparison, metric, period, against, segment, level -> row
BETTER, WORSE, FLAT = "better", "worse", "flat"
PERIODS_SHOWN = 13


def book(frame: pd.DataFrame | Book) -> Book:
    """Return the frame's rows by what they are about; the first of several alike. A book is returned as it is.

    Rows with a horizon or a variant (`at`: rolling months, weighted figures) are no figures of the period itself.
    """
    if isinstance(frame, dict):
        return frame
    found: Book = {}
    for row in records(frame):
        if row["at"]:
            continue
        against = row["against"] if row["comparison"] != "level" else ""
        found.setdefault((row["comparison"], row["metric"], row["period"], against, row["segment"], row["level"]), row)
    return found


def level(frame: pd.DataFrame | Book, metric: str, period: str, *, segment: str = "all", of: str = "all") -> Row | None:
    """Return the estimate of a metric in a period, of one level of a segment."""
    return book(frame).get(("level", metric, period, "", segment, of))


def change(
    frame: pd.DataFrame | Book, metric: str, period: str, against: str, *, segment: str = "all", of: str = "all"
) -> Row | None:
    """Return the difference of a metric in a period to another period, or to `target`."""
    return book(frame).get(("difference", metric, period, against, segment, of))


def ids(frame: pd.DataFrame) -> list[str]:
    """Return the metric ids in the order in which the frame brings them."""
    return list(dict.fromkeys(frame["metric"]))


def latest(frame: pd.DataFrame) -> Period | None:
    """Return the latest period of the frame's estimates, None without any."""
    labels = set(frame.loc[frame["comparison"] == "level", "period"]) - {""}
    return max((Period.parse(label) for label in labels), default=None)


def span(frame: pd.DataFrame, shown: int = PERIODS_SHOWN) -> list[Period]:
    """Return the last periods up to the latest, without a gap, at most `shown` and none before the frame's first."""
    last = latest(frame)
    if last is None:
        return []
    seen = {Period.parse(label) for label in set(frame.loc[frame["comparison"] == "level", "period"]) - {""}}
    first = min(period for period in seen if period.kind == last.kind)
    return [period for period in last.last(shown) if period >= first]


def with_data(frame: pd.DataFrame, periods: Iterable[Period]) -> tuple[list[str], list[str]]:
    """Return the ids of the metrics that have an answer, or too few, in any of the periods, and of those that do not.

    A metric without an answer is named once in words; a row of blanks for it would only hide the others.
    """
    labels = {str(period) for period in periods}
    mine = frame[(frame["comparison"] == "level") & frame["period"].isin(labels)]
    known = set(mine.loc[mine["status"] != results.UNDEFINED, "metric"])
    return [name for name in ids(mine) if name in known], [name for name in ids(mine) if name not in known]


def segment_of(frame: pd.DataFrame, segment: str = "") -> str:
    """Return the one segment that the frame is cut by; `UsageError` where there are several and none is named."""
    found = sorted(set(frame["segment"]) - {"all"})
    if segment or len(found) <= 1:
        return segment or (found[0] if found else "all")
    raise UsageError(f"the frame holds {len(found)} segments ({', '.join(found)}): name the one to show")


def better(metric: Metric, difference: float) -> str:
    """Return whether a difference of this sign is good news; `flat` where the metric has no direction."""
    if metric.higher_is_better is None or difference == 0:
        return FLAT
    return BETTER if (difference > 0) == metric.higher_is_better else WORSE


def verdict(row: Row | None, metric: Metric) -> tuple[str, str, str]:
    """Return shape, words and tone of a difference's verdict; empty texts where it has none.

    The shape and the words say all that the colour says.
    """
    if row is None or missing_words(row) or not row["verdict"]:
        return "", "", FLAT
    if row["verdict"] == "not shown":
        return "○", "no difference shown" if row["against"] == "target" else "no change shown", FLAT
    if row["verdict"] == "could not have been seen":
        return "◇", "too few to tell", FLAT
    up, tone = row["estimate"] > 0, better(metric, row["estimate"])
    where = ("above target" if up else "below target") if row["against"] == "target" else "up" if up else "down"
    return "▲" if up else "▼", where + ("" if tone == FLAT else f", {tone}"), tone


def movement(frame: pd.DataFrame | Book, metric: Metric, period: Period, form: Format) -> str:
    """Return `+31.4, up from +27.0 the month before`; a direction only where the frame's verdict shows one."""
    now = level(frame, metric.id, str(period))
    if missing_words(now) or now is None:
        return f"{period.title} {missing_words(now)}"
    value, before = form.value(now["estimate"], metric.unit), level(frame, metric.id, str(period.previous()))
    if missing_words(before) or before is None:
        return f"{value} in {period.title}"
    earlier = f"{form.short(before['estimate'], metric.unit)} the {period.kind} before"
    moved = change(frame, metric.id, str(period), str(period.previous()))
    if moved is None or not moved["verdict"]:
        return f"{value}; {earlier}"
    if moved["verdict"] == "moved":
        return f"{value}, {'up' if moved['estimate'] > 0 else 'down'} from {earlier}"
    return f"{value}; {earlier}, {verdict(moved, metric)[1]}"


def tally(
    frame: pd.DataFrame | Book, metrics: Mapping[str, Metric], period: Period, against: str
) -> dict[str, list[str]]:
    """Return titles of metrics by what became of them: `up`, `down`, `flat`; once more `few`, `better`, `worse`."""
    found: dict[str, list[str]] = {name: [] for name in ("up", "down", "flat", "few", BETTER, WORSE)}
    entries = book(frame)
    for name in dict.fromkeys(key[1] for key in entries):
        row, metric = change(entries, name, str(period), against), metric_of(metrics, name)
        shape, _, tone = verdict(row, metric)
        if row is None or not shape:
            continue
        found["up" if shape == "▲" else "down" if shape == "▼" else "flat"].append(metric.title)
        found["few"] += [metric.title] * (shape == "◇")
        if tone != FLAT:
            found[tone].append(metric.title)
    return found


def apart(first: Row, last: Row) -> bool:
    """Return whether the intervals of two rows have no value in common: only then may a title rank them."""
    return bool(first["conf_low"] > last["conf_high"] or first["conf_high"] < last["conf_low"])


def left_out(rest: int, hidden: int) -> str:
    """Say how many partners are not shown: those beyond the most that are, and those with few customers."""
    told = [f"Not shown: {counted(rest)} partners with fewer answers."] if rest else []
    told += (
        [f"Hidden: {counted(hidden)} partner{'s' * (hidden != 1)} with few customers, or hidden with them."]
        if hidden
        else []
    )
    return " ".join(told)


def why_not(frame: pd.DataFrame, otherwise: str) -> str:
    """Return the reason that the frame's last row gives for having no number, else other words."""
    last = frame.iloc[-1] if len(frame) else None
    return str(last["note"]) if last is not None and last["status"] == results.UNDEFINED and last["note"] else otherwise


def mentioned(frame: pd.DataFrame, touchpoints: Container[str]) -> set[str]:
    """Return the touchpoints that any metric of the frame has a row for."""
    return {level for level in frame.loc[frame["segment"] == "touchpoint", "level"] if level in touchpoints}


def level_title(segment: str, level: str, taxonomy: Mapping[str, Touchpoint] | None) -> str:
    """Return a level as people call it: a touchpoint by its title."""
    point = (taxonomy or {}).get(level) if segment == "touchpoint" else None
    return point.title if point else level


def records(frame: pd.DataFrame) -> list[Row]:
    """Return the rows of a result frame, in its order."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def listed(words: Sequence[str]) -> str:
    """Return `a, b and c`; `a; b, b and c` where a comma stands in one of them."""
    between = "; " if any("," in word for word in words) else ", "
    return " and ".join([between.join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def ranked(found: pd.DataFrame, metric: Metric, most: int) -> list[Row]:
    """Return at most `most` rows, those with the largest n, the best first and those without a number last."""
    kept = found.sort_values(["n", "level"], ascending=[False, True], na_position="last").head(most)
    lower = metric.higher_is_better is False
    kept = kept.sort_values(["estimate", "level"], ascending=[lower, True], na_position="last")
    return records(kept)


def span_title(shown: Sequence[Period]) -> str:
    """Return `October 2025 to October 2026`."""
    return shown[0].title if len(shown) == 1 else f"{shown[0].title} to {shown[-1].title}"
