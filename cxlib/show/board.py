"""The measurement framework at one glance: a tile a goal, a row a stage of the journey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.patches import Rectangle

from cxlib.params.framework import NOBODY
from cxlib.params.models import Goal, Metric
from cxlib.periods import Period
from cxlib.show import goals as standing
from cxlib.show import rows, style
from cxlib.show.canvas import MARGIN, SMALL, WIDTH, Chart, Sheet, nothing, themed, width_of, wrap
from cxlib.show.formats import Format, brief, formatting, missing_words
from cxlib.show.goals import MET, MISSED, MOVED, OPEN, SILENT, UNMEASURED, Standing

_GAP, _ACROSS = 0.12, 4  # inches between tiles; tiles in a row
_WIDE = (WIDTH - 2 * MARGIN - _GAP * (_ACROSS - 1)) / _ACROSS
_INSIDE = 0.13  # inches from the edge of a tile to its words
_ROOM = (_WIDE - 1.5 * _INSIDE) * 0.91  # letters this small are a little wider than they are measured
_HEAD, _TITLE, _REST = 0.34, 0.16, 0.97  # inches: name of a stage, a line of a tile's title, all else in a tile
_TINY = 7.4
_STATES = {  # what a state is called where goals are counted
    MET: "met", MISSED: "missed", MOVED: "moved", OPEN: "open", SILENT: "no figure", UNMEASURED: "not measured"
}  # fmt: skip
_ABOUT = (
    "Each tile is a goal: its KPI with the interval of the estimate, how it stands to its target, its last shown "
    "change, and who answers for it. Blue bar (met): better than its target or, without one, moved for the better; "
    "orange (missed): worse; grey (open): nothing is shown; dashed: nobody measures it."
)


@themed
def framework_board(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric],
    goals: Sequence[Goal],
    period: str | None = None,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One tile a goal, along the journey: value with interval, verdict on the target, last shown change, owner.

    Parameters
    ----------
    frame, metrics, goals, period
        As in `tables.framework_table`.
    finding, currency, locale
        As in `small_multiples`.
    """
    last = Period.parse(period) if period else rows.latest(frame)
    if not goals or last is None:
        reason = "the frame holds no estimates" if goals else "this workspace has no framework.yml"
        return nothing(reason, finding)
    found, form = standing.standings(frame, metrics, goals, last), formatting(currency, locale)
    titles = [wrap(_title(one), _ROOM, SMALL, lines=2, bold=True) for one in found]
    high = max(map(len, titles)) * _TITLE + _REST
    lines = -(-len(found) // _ACROSS)
    sheet = Sheet(
        finding or standing.finding(found, last),
        f"{last.title[:1].upper()}{last.title[1:]}. {_ABOUT}",
        lines * (high + _HEAD),
    )
    for number, one in enumerate(found):
        line, column = divmod(number, _ACROSS)
        x, y = column * (_WIDE + _GAP), line * (high + _HEAD)
        if column == 0 or one.stage != found[number - 1].stage:
            _stage(sheet, x, y, found, number)
        beside = titles[line * _ACROSS : (line + 1) * _ACROSS]
        _tile(sheet, x, y + _HEAD - 0.08, high, titles[number], max(map(len, beside)), one, form)
    told = " ".join(_said(one, form) for one in found)
    return sheet.done(f"{sheet.figure.finding}. {last.title}. {told}")


def _title(one: Standing) -> str:
    return one.metric.title if one.metric else one.goal.goal if one.goal else "No goal"


def _stage(sheet: Sheet, x: float, y: float, found: Sequence[Standing], number: int) -> None:
    """Write the name of a stage over its tiles, and how its goals stand; briefly where it goes on in another row."""
    name = found[number].stage
    mine = [place for place, one in enumerate(found) if one.stage == name]
    here = sum(place >= number for place in mine if place // _ACROSS == number // _ACROSS)
    goes_on = number > mine[0]
    heading = f"{name.capitalize()}{', continued' if goes_on else ''}"
    sheet.text(x, y, heading, size=10, weight="bold")
    told = "" if goes_on else ", ".join(_counts([found[place] for place in mine]))
    wide, left = here * _WIDE + (here - 1) * _GAP, width_of(heading, 10, bold=True) * 1.06 + 0.1
    counts = wrap(told, (wide - left) * 0.94, _TINY, lines=1)
    sheet.text(x + left, y + 0.025, counts, size=_TINY, color=style.GREY)
    sheet.figure.add_artist(_rectangle(sheet, x, y + 0.19, wide, 0.012, facecolor=style.GREY, edgecolor="none"))


def _counts(stage: Sequence[Standing]) -> list[str]:
    """Return how many goals of a stage stand how."""
    counts = {state: sum(one.state == state for one in stage) for state in _STATES}
    return [f"{counts[state]} {words}" for state, words in _STATES.items() if counts[state]]


def _tile(
    sheet: Sheet,
    x: float,
    y: float,
    high: float,
    title: Sequence[str],
    lines_of_titles: int,
    one: Standing,
    form: Format,
) -> None:
    """Draw one goal; values of one row stand at one height."""
    mark, told, tone = standing.words(one)
    bare = one.metric is None
    how: dict[str, Any] = {"linestyle": (0, (4, 3)), "edgecolor": style.GREY} if bare else {"edgecolor": style.RULE}
    sheet.figure.add_artist(_rectangle(sheet, x, y, _WIDE, high - 0.1, facecolor="none", linewidth=1, **how))
    if not bare:
        bar = _rectangle(sheet, x, y, 0.06, high - 0.1, facecolor=style.TONES[tone], edgecolor="none")
        sheet.figure.add_artist(bar)
    left, (value, limits) = x + _INSIDE, _value(one, form)
    sheet.text(left, y + 0.06, title, weight="bold")
    y += 0.08 + lines_of_titles * _TITLE
    if value:
        sheet.text(left, y, value, size=12, weight="bold")
    words: dict[str, Any] = {"color": style.TONES[tone], "weight": "bold" if tone != rows.FLAT and mark else "normal"}
    owner = (one.goal.owner or "nobody answers for it") if one.goal else ""
    grey, moved = {"color": style.GREY}, {"color": style.TONES[one.moved()] if one.moved() != rows.FLAT else style.INK}
    lines = [(limits, grey), (f"{mark} {told}", words), (_change(one, form), moved), (owner, grey)]
    for place, (line, look) in enumerate(lines):
        spot = y + 0.21 + 0.13 * place
        sheet.text(left, spot, wrap(line, _ROOM, _TINY, lines=1), size=_TINY, **look)


def _rectangle(sheet: Sheet, x: float, y: float, wide: float, high: float, **how: Any) -> Rectangle:
    """Return a rectangle; inches, its top left corner from the top left of the body."""
    corner = (x + MARGIN) / WIDTH, 1 - (y + sheet.top + high) / sheet.height
    return Rectangle(corner, wide / WIDTH, high / sheet.height, transform=sheet.figure.transFigure, **how)


def _value(one: Standing, form: Format) -> tuple[str, str]:
    """Return today's value, and its interval with the target."""
    if one.metric is None or one.level is None or missing_words(one.level):
        return "", ""
    unit = one.metric.unit
    aim = f", target {form.short(one.metric.target, unit)}" if one.metric.target is not None else ""
    limits = brief(form.interval(one.level["conf_low"], one.level["conf_high"], unit))
    return form.short(one.level["estimate"], unit), f"{limits}{aim}"


def _change(one: Standing, form: Format) -> str:
    """Return the latest change that is shown."""
    if one.metric is None or missing_words(one.level):
        return ""
    for row, far in zip(one.moves, ("", "year"), strict=True):
        if row is not None and row["verdict"] == "moved":
            shape, _, tone = rows.verdict(row, one.metric)
            size = brief(form.change(row["estimate"], one.metric.unit))
            told = f"{shape} {tone}:" if tone != rows.FLAT else shape
            return f"{told} {size} in a {far or Period.parse(row['period']).kind}"
    return "no change shown" if any(row is not None and row["verdict"] for row in one.moves) else ""


def _said(one: Standing, form: Format) -> str:
    """Return one goal in words."""
    stage = one.stage.capitalize()
    if one.goal is None or one.metric is None:
        return f"{stage}, {one.goal.goal if one.goal else 'no goal'}: {NOBODY}."
    value, limits = _value(one, form)
    told = [f"{value} ({limits})" if value else "", standing.words(one)[1] if value else missing_words(one.level)]
    told += [_change(one, form), one.goal.owner or "nobody answers for it"]
    return f"{stage}, {one.goal.goal}: {one.metric.title} {'; '.join(filter(None, told))}."
