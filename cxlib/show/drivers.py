"""What drives an outcome: how much, in which direction, how well it goes, and what other sources say of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.analysis.drivers.fitted import NO, ONE_LESS
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words, shortened
from cxlib.show.markup import Cell, Html

Names = Mapping[str, str] | None
_LEFT, _RIGHT, _TOP, _LINE = 2.75, 5.6, 0.32, 0.36  # inches: where bars begin and end, and the height of a row
_SHARE_AT, _RANK_AT, _POINT_AT = 5.75, 7.2, 8.25  # inches: columns of text beside the bars
_FADED = "#9fc3da"
_MORE, _YES, _OTHER = "one point more", "yes instead of no", "another level"  # what an effect is of


@themed
def driver_importance(
    frame: pd.DataFrame,
    *,
    names: Names = None,
    unit: str = "",
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One bar a driver: its share of what explains the outcome, with interval; rank and direction in words beside it.

    Parameters
    ----------
    frame
        Rows of `drivers.importance`; where it holds rows of `ranks()`, and of `coefficients()` or `effects`, too, they
        stand beside the bars.
    names
        Driver or outcome -> its title; default the name as words.
    unit
        Of the outcome, for the slopes: `score`, `points`, `percent`, ...; default none.
    finding, locale
        As in `small_multiples`.
    """
    mine = frame[(frame["metric"] == "importance") & (frame["comparison"] == "share")]
    known = _sorted(mine)
    if not known:
        return nothing(why(mine if len(mine) else frame, "the frame holds no importance of drivers"), finding)
    form, outcome = formatting(None, locale), named(known[0]["against"], names)
    silent = _silent(mine, names)
    about = (
        f"Share of the differences in {outcome} that goes with each driver (R²), interval as a line. {silent}".strip()
    )
    sheet = Sheet(finding or _leader(known, frame, names, form), about, len(known) * _LINE + _TOP + 0.5)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(known) * _LINE, label="importance")
    _bars(sheet, axes, known, names)
    axes.set_xlabel(f"percent of the variance of {shortened(outcome, 30)}", fontsize=8)
    beside = _beside(frame, unit)
    steps = _steps(beside, known)
    _heads(sheet, beside, steps, outcome)
    told = []
    for place, row in enumerate(known):
        words = _words(row, beside, form)
        mixed = f"{words['points']} (yes)" if len(steps) > 1 and words["step"] == _YES else words["points"]
        _texts(sheet, _TOP + (place + 0.5) * _LINE, {**words, "points": mixed})
        told.append(_sentence(named(row["level"], names), words))
    return sheet.done(" ".join([f"{sheet.figure.finding}.", about, *told]))


@themed
def driver_effects(
    frame: pd.DataFrame,
    *,
    names: Names = None,
    unit: str = "score",
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a driver: what one point more of it goes with in points of the outcome, dot and interval.

    Parameters
    ----------
    frame
        Rows of `drivers.effects` or of `coefficients()`.
    names, finding, locale
        As in `driver_importance`.
    unit
        Of the outcome: `score`, `points`, `percent`, ...
    """
    mine = frame[(frame["comparison"] == "difference") & (frame["segment"] == "driver")]
    known = _sorted(mine)
    if not known:
        return nothing(why(mine if len(mine) else frame, "the frame holds no effects of drivers"), finding)
    form, outcome = formatting(None, locale), named(known[0]["metric"], names)
    title = finding or _strongest(known, names, outcome, unit, form)
    about = (
        f"Dot: change of {outcome} that goes with {_either(_of(known))} of a driver, the others held; line: "
        f"interval. Filled: shown to differ from none. {_silent(mine, names)}"
    ).rstrip()
    sheet = Sheet(title, about, len(known) * _LINE + _TOP + 0.35)
    axes = sheet.axes(_LEFT, _TOP - 0.1, 6.6 - _LEFT, len(known) * _LINE, label="effects")
    told = _dots(sheet, axes, known, names, unit, form)
    return sheet.done(" ".join([f"{title}.", about, *told]))


def driver_table(
    frame: pd.DataFrame, *, names: Names = None, unit: str = "", title: str | None = None, locale: str | None = None
) -> Html:
    """One row a driver, the most important first: share with interval, rank, slope, n, and what to know.

    Parameters
    ----------
    frame, names, unit, locale
        As in `driver_importance`.
    title
        Heading; default the finding.
    """
    mine = frame[(frame["metric"] == "importance") & (frame["comparison"] == "share")]
    known, form = _sorted(mine), formatting(None, locale)
    if mine.empty:
        return markup.nothing(title or "Drivers", why(frame, "the frame holds no importance of drivers"))
    rest = rows.records(mine[mine["status"] != "ok"])
    beside = _beside(frame, unit)
    steps = _steps(beside, [*known, *rest])
    slopes = " or ".join({_MORE: "per point"}.get(one, one) for one in steps).capitalize() or "Per point"
    columns: dict[str, list[Cell]] = {"Share": [], "Rank": [], slopes: [], "n": [], "To know": []}
    for row in [*known, *rest]:
        words = _words(row, beside, form)
        rank, point = (beside[what].get(row["level"]) if words[what] else None for what in ("rank", "point"))
        step = words["step"] if len(steps) > 1 else ""
        columns["Share"].append(_cell(row, "percent", words["share"], words["limits"]))
        columns["Rank"].append(_cell(rank, "rank", words["rank"], words["ranks"]))
        columns[slopes].append(_cell(point, point["at"] if point else "", words["point"], words["points"], step))
        columns["n"].append(markup.n_cell(row, form))
        columns["To know"].append(markup.text_cell(row["note"]))
    for name, extra in (("Rank", beside["rank"]), (slopes, steps)):
        if not extra:
            del columns[name]
    heading = title or (_leader(known, frame, names, form) if known else "Drivers")
    body = markup.table(columns, ["Driver"], [(named(row["level"], names),) for row in [*known, *rest]])
    return markup.figure(heading, body, [escape(one) for one in dict.fromkeys(row["method"] for row in known)])


def _sorted(found: pd.DataFrame) -> list[rows.Row]:
    """Return the rows with a number, the largest first; slopes and effects too, from most to least."""
    kept = found[found["status"] == results.OK].sort_values(["estimate", "level"], ascending=[False, True])
    return rows.records(kept)


def why(found: pd.DataFrame, otherwise: str) -> str:
    """Return the words for rows that have no number, by status."""
    notes = [note for note in dict.fromkeys(found.loc[found["status"] != results.OK, "note"]) if note]
    return "; ".join(notes) if notes else otherwise


def _silent(found: pd.DataFrame, names: Names) -> str:
    """Name the drivers without a number, with the reason."""
    rest = found[found["status"] != results.OK]
    told = [
        f"{named(row.level, names)} ({row.note or missing_words({'status': row.status})})" for row in rest.itertuples()
    ]
    return f"Not shown: {rows.listed(told)}." if told else ""


def named(name: str, names: Names) -> str:
    """Return the title of a driver, or of a driver's level, or its name as words."""
    if names and name in names:
        return names[name]
    head, colon, level = name.partition(": ")
    return f"{names[head]}: {level}" if names and colon and head in names else plain(name)


def capital(words: str) -> str:
    """Return a sentence's first words with a capital."""
    return words[:1].upper() + words[1:]


def titled(name: str, names: Names) -> str:
    """Return the name of a driver as a title takes it: not longer than 40 letters."""
    return shortened(named(name, names))


def narrowed(words: str, width: float, size: float, lines: int) -> list[str]:
    """Break a name into lines; where it is too long its middle is left out, for items often differ in their ends."""
    parts, found = words.split(), wrap(words, width, size)
    for kept in range(len(parts) - 1, 1, -1):
        if len(found) <= lines:
            return found
        found = wrap(" ".join([*parts[: (kept + 1) // 2], "…", *parts[len(parts) - kept // 2 :]]), width, size)
    return found if len(found) <= lines else wrap(words, width, size, lines=lines)


def by_level(frame: pd.DataFrame, metric: str) -> dict[str, rows.Row]:
    """Return the rows of a metric that have a number by driver."""
    mine = frame[(frame["metric"] == metric) & (frame["status"] == results.OK)]
    return {row["level"]: row for row in rows.records(mine)}


def _leader(known: Sequence[rows.Row], frame: pd.DataFrame, names: Names, form: Format) -> str:
    """Say which driver comes first, where its rank is shown, and how much all of them explain."""
    outcome, first, whole = named(known[0]["against"], names), known[0], sum(row["estimate"] for row in known)
    every = f"{len(known)} drivers together {form.value(whole, 'percent')}"
    ranks = {name: row for name, row in _beside(frame)["rank"].items() if name in {row["level"] for row in known}}
    tied = [row for row in known if ranks.get(row["level"], {}).get("conf_low") == 1]
    share, lead = form.value(first["estimate"], "percent"), capital(titled(first["level"], names))
    if len(known) == 1:
        return f"{lead} goes with {share} of the differences in {outcome}"
    if len(tied) > 1 and ranks[first["level"]]["conf_high"] > 1:
        some = [titled(row["level"], names) for row in tied[:3]] + [f"{len(tied) - 3} more"] * (len(tied) > 3)
        return f"{capital(rows.listed(some))} may each go most with {outcome}: all {every} of its differences"
    return f"{lead} goes most with {outcome}: {share} of its differences, all {every}"


def _beside(frame: pd.DataFrame, unit: str = "") -> dict[str, dict[str, rows.Row]]:
    """Return the rows of ranks and of slopes by driver; the slopes bear the unit in `at`."""
    slopes = frame[(frame["comparison"] == "difference") & (frame["segment"] == "driver")]
    slopes = slopes.assign(metric="slope", at=unit)
    return {"rank": by_level(frame[frame["at"] == ""], "rank"), "point": by_level(slopes, "slope")}


def _words(row: rows.Row, beside: Mapping[str, Mapping[str, rows.Row]], form: Format) -> dict[str, str]:
    """Return what stands beside a bar: share, rank and slope, each with its limits."""
    missing = missing_words(row)
    words = dict.fromkeys(("share", "limits", "rank", "ranks", "point", "points", "step"), "")
    words["share"] = missing or form.value(row["estimate"], "percent")
    words["limits"] = "" if missing else form.interval(row["conf_low"], row["conf_high"], "percent")
    rank, point = beside["rank"].get(row["level"]), beside["point"].get(row["level"])
    if rank is not None and not missing:
        words["rank"] = f"{rank['estimate']:.0f}"
        words["ranks"] = "" if math.isnan(rank["conf_low"]) else f"{rank['conf_low']:.0f} to {rank['conf_high']:.0f}"
    if point is not None and not missing:
        words["point"], words["points"] = _slope(point, form)
        words["step"] = _step(point)
    return words


def _slope(row: rows.Row, form: Format) -> tuple[str, str]:
    """Return a slope and its limits: in its unit, or with two digits where it has none."""
    if row["at"]:
        limits = form.interval(row["conf_low"], row["conf_high"], row["at"], change=True)
        return form.change(row["estimate"], row["at"]), limits
    places = _places(row["estimate"])
    ends = [form.number(row[name], places, sign=True) for name in ("conf_low", "conf_high")]
    limits = "no interval" if math.isnan(row["conf_low"]) else " to ".join(ends)
    return form.number(row["estimate"], places, sign=True), limits


def _places(value: float) -> int:
    """Return the decimals that two digits of a number need."""
    return max(0, min(3, 1 - math.floor(math.log10(abs(value))))) if value else 1


def _bars(sheet: Sheet, axes: Axes, known: Sequence[rows.Row], names: Names) -> None:
    """Draw bars with intervals and the drivers' names."""
    axes.set(ylim=(len(known) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_color(style.INK)
    for place, row in enumerate(known):
        low, high = 100 * row["conf_low"], 100 * row["conf_high"]
        sure = row["conf_low"] > 0
        axes.barh(place, 100 * row["estimate"], 0.52, color=style.BLUE if sure else _FADED, zorder=2)
        if not math.isnan(low):
            for colour, width in ((style.PAPER, 3.4), (style.INK, 1.3)):
                axes.hlines(place, low, high, color=colour, linewidth=width, zorder=3)
        top = _TOP + (place + 0.5) * _LINE
        lines = narrowed(named(row["level"], names), _LEFT - 0.15, SMALL, 2)
        sheet.text(0, top - 0.09 * len(lines), lines)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(formatting()))
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _heads(
    sheet: Sheet, beside: Mapping[str, Mapping[str, rows.Row]], steps: Sequence[str], outcome: str
) -> None:  # fmt: skip
    """Write the heads of the columns beside the bars."""
    how: dict[str, Any] = {"color": style.GREY, "size": 7.5}
    sheet.text(_SHARE_AT, 0, ["Share", "(interval)"], **how)
    if beside["rank"]:
        sheet.text(_RANK_AT, 0, ["Rank", "(may be)"], **how)
    if steps:
        head = capital(f"{steps[0]}: change of {outcome}")
        head = "Change by one point more, or yes for no" if len(steps) > 1 else head
        sheet.text(_POINT_AT, 0, wrap(head, 1.45, 7.5, lines=2), **how)


def _texts(sheet: Sheet, middle: float, words: Mapping[str, str]) -> None:
    """Write the numbers beside a bar, each with its limits in small type beneath."""
    for x, main, under in ((_SHARE_AT, "share", "limits"), (_RANK_AT, "rank", "ranks"), (_POINT_AT, "point", "points")):
        sheet.text(x, middle - 0.16, words[main], weight="bold")
        sheet.text(x, middle, words[under], size=7, color=style.GREY)


def _sentence(name: str, words: Mapping[str, str]) -> str:
    """Return one driver in a sentence."""
    told = f"{name}: {words['share']} (interval {words['limits']})"
    told += (
        f", rank {words['rank']}" + (f" (may be {words['ranks']})" if words["ranks"] else "") if words["rank"] else ""
    )
    told += f", {words['step']} {words['point']} (interval {words['points']})" if words["point"] else ""
    return f"{told}."


def _cell(row: rows.Row | None, unit: str, main: str, *under: str) -> Cell:
    return Cell(escape(main) + markup.small(*under), row=row, unit=unit)


def _step(row: rows.Row) -> str:
    """Return what an effect is of: `one point more`, `yes instead of no`, or another level of a category."""
    return {ONE_LESS: _MORE, NO: _YES}.get(row["against"], _OTHER)


def _of(found: Iterable[rows.Row]) -> list[str]:
    """Return what effects are of, each once, points first."""
    return sorted({_step(row) for row in found}, key=(_MORE, _YES, _OTHER).index)


def _either(words: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _steps(beside: Mapping[str, Mapping[str, rows.Row]], shown: Iterable[rows.Row]) -> list[str]:
    """Return what the slopes beside the drivers that are shown are of."""
    return _of(beside["point"][row["level"]] for row in shown if row["level"] in beside["point"])


def _strongest(known: Sequence[rows.Row], names: Names, outcome: str, unit: str, form: Format) -> str:
    """Say which drivers go with more and which with less of the outcome, and how many are not shown to."""
    shown = sorted((row for row in known if _differs(row)), key=lambda row: -abs(row["estimate"]))
    if not shown:
        return f"None of {len(known)} drivers is shown to go with more or less {outcome}"
    told = [f"{titled(row['level'], names)} ({form.change(row['estimate'], unit)})" for row in shown[:3]]
    rest = f"; {len(known) - len(shown)} of {len(known)} not shown to matter" if len(shown) < len(known) else ""
    return f"{capital(_either(_of(known)))} goes with a different {outcome} above all for {rows.listed(told)}{rest}"


def _differs(row: rows.Row) -> bool:
    return bool(row["conf_low"] > 0 or row["conf_high"] < 0)


def _dots(sheet: Sheet, axes: Axes, known: Sequence[rows.Row], names: Names, unit: str, form: Format) -> list[str]:
    """Draw the rows of `driver_effects`, and return them in words."""
    ends = [row[name] for row in known for name in ("conf_low", "conf_high", "estimate") if not math.isnan(row[name])]
    label, factor = form.axis(unit, max(abs(end) for end in ends))
    axes.set(ylim=(len(known) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=style.INK, linewidth=1, dashes=(4, 3))
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    told = []
    for place, row in enumerate(known):
        colour = style.GREY if not _differs(row) else style.BLUE if row["estimate"] > 0 else style.ORANGE
        face = colour if _differs(row) else style.PAPER
        mark = "o" if row["estimate"] > 0 else "s"
        axes.hlines(place, row["conf_low"] * factor, row["conf_high"] * factor, color=colour, linewidth=1.8)
        axes.plot(row["estimate"] * factor, place, mark, color=colour, markerfacecolor=face, markersize=6.5)
        top, name = _TOP - 0.1 + (place + 0.5) * _LINE, named(row["level"], names)
        lines = narrowed(name, _LEFT - 0.15, SMALL, 2)
        sheet.text(0, top - 0.09 * len(lines), lines)
        value, limits = (
            form.change(row["estimate"], unit),
            form.interval(row["conf_low"], row["conf_high"], unit, change=True),
        )
        sheet.text(6.75, top - 0.09, value, weight="bold")
        sheet.text(8.0, top - 0.09, limits, color=style.GREY)
        told.append(f"{name}: {value} (interval {limits}), against {row['against']}.")
    axes.set_xlabel(label.replace("percent", "percentage points", 1), fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    return told
