"""What makes experiences bad: each cause that teams know as a measured indicator, with its change."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from cxlib.periods import Period
from cxlib.show import markup, rows
from cxlib.show.formats import Format, formatting, missing_words
from cxlib.show.markup import Cell, Html

_UNITS = {"share": "percent", "quantile": "seconds"}
_SHORT = 10  # seconds
_VERDICTS = {"moved": ("▲", "▼"), "not shown": ("○", "○")}


def bad_causes_table(frame: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row an indicator of a cause: how often it was met, of what, n, and the change to the period before.

    Parameters
    ----------
    frame
        Result frame of `journeys.causes`.
    title
        Heading; default the finding.
    locale
        As in `small_multiples`.
    """
    mine = frame[(frame["segment"] == "cause") & frame["metric"].isin(_UNITS)]
    changes = mine[mine["comparison"] == "difference"]
    before = next(iter(changes["against"]), "")
    now = rows.records(mine[(mine["comparison"] == "share") | (mine["comparison"] == "level")])
    now = [row for row in now if row["period"] != before]
    if not now:
        return markup.nothing(title or "Causes of bad experiences", rows.why_not(frame, "the frame holds no causes"))
    form = formatting(None, locale)
    known = {(row["metric"], row["level"], row["at"]): row for row in rows.records(changes)}
    pairs = [(row, known.get((row["metric"], row["level"], row["at"]))) for row in now]
    since = f"Since {Period.parse(before).title}" if before else "Change"
    columns: dict[str, list[Cell]] = {
        "How often": [_value_cell(row, form) for row in now],
        "Of": [markup.text_cell(_of(row)) for row in now],
        "n": [markup.n_cell(row, form) for row in now],
        since: [_change_cell(change, form) for _, change in pairs],
    }
    if not known:
        del columns[since]
    body = markup.table(columns, ["Cause", "Measured as"], [(row["level"], row["at"]) for row in now])
    below = (
        "Quantiles are waits and load times. A change is shown where chance among all of these would rarely make it."
    )
    return markup.figure(title or _finding(pairs, form), body, below=below if known else "")


def _of(row: rows.Row) -> str:
    """Return what a share is of: it stands in the method, last."""
    method = str(row["method"])
    return method.partition(", of ")[2] or method.removeprefix("of ") if row["metric"] == "share" else ""


def _told(row: rows.Row, form: Format, *, change: bool = False) -> tuple[str, str]:
    """Return a number and its limits; of seconds below ten two decimals, for pages load in less than two."""
    ends = [row[end] for end in ("estimate", "conf_low", "conf_high")]
    if row["metric"] == "quantile" and max(map(abs, ends)) < _SHORT:
        value, low, high = (form.number(end, 2, sign=change) for end in ends)
        return f"{value} s", f"{low} to {high} s"
    unit = _UNITS[row["metric"]]
    value = form.change(ends[0], unit) if change else form.value(ends[0], unit)
    return value, form.interval(ends[1], ends[2], unit, change=change)


def _value_cell(row: rows.Row, form: Format) -> Cell:
    if missing_words(row):
        return markup.missing_cell(row)
    value, limits = _told(row, form)
    return Cell(escape(value) + markup.small(limits), row=row, unit=_UNITS[row["metric"]])


def _change_cell(row: rows.Row | None, form: Format) -> Cell:
    """Return the change with its interval and whether it is shown."""
    if row is None or missing_words(row):
        return Cell('<span class="cx-missing">not compared</span>', row=row)
    value, limits = _told(row, form, change=True)
    tone = "flat" if row["verdict"] != "moved" else "worse" if row["estimate"] > 0 else "better"
    shape = _VERDICTS.get(row["verdict"], ("", ""))[row["estimate"] < 0]
    words = f"{'up' if row['estimate'] > 0 else 'down'}, {tone}" if row["verdict"] == "moved" else "no change shown"
    line = f'<br><span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {words}</span>' if shape else ""
    return Cell(escape(value) + markup.small(limits) + line, row=row, unit=_UNITS[row["metric"]])


def _finding(pairs: Sequence[tuple[rows.Row, rows.Row | None]], form: Format) -> str:
    """Say which indicators moved, or that none is shown to."""
    moved = [change for _, change in pairs if change is not None and change["verdict"] == "moved"]
    if moved:
        told = [
            f"{row['level'].lower()} ({row['at']}) {'up' if row['estimate'] > 0 else 'down'} "
            f"{_told(row, form, change=True)[0]}"
            for row in moved[:3]
        ]
        more = f"; {len(moved) - 3} more" if len(moved) > 3 else ""
        return f"Causes of bad experiences: {rows.listed(told)}{more}"
    known = [row for row, _ in pairs if not missing_words(row) and row["metric"] == "share"]
    if not known:
        return "Causes of bad experiences: none can be told"
    most = max(known, key=lambda row: (row["estimate"], row["level"]))
    if not most["estimate"] > 0:
        return "Causes of bad experiences: nobody met what can be told"
    tail = (
        "; no change is shown" if any(change is not None and not missing_words(change) for _, change in pairs) else ""
    )
    often = form.value(most["estimate"], "percent")
    return f"Causes of bad experiences: most often {most['level'].lower()}, {often}{tail}"
