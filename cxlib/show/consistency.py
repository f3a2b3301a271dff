"""Is the experience the same everywhere? Channels and partners side by side, and what lies between and within them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.analysis.journeys import consistency
from cxlib.params.models import Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import capital, named
from cxlib.show.finding import plain
from cxlib.show.formats import Format, formatting, missing_words, one_metric
from cxlib.show.markup import Cell, Html
from cxlib.show.promise import Names

_LEFT, _RIGHT, _LINE, _HEAD, _MOST = 2.3, 6.1, 0.25, 0.42, 10
_PARTS = (consistency.BETWEEN, consistency.WITHIN, consistency.ICC, consistency.GAP, consistency.TEST)
_SEGMENT = "digital"
_PLACES = {consistency.DIGITAL: "Digital touchpoints", consistency.PHYSICAL: "Other touchpoints"}


@themed
def consistency_chart(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    names: Names = None,
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """Each channel's and partner's score with its interval; beside them how far they differ, between and within.

    Parameters
    ----------
    frame
        Of `Run.consistency`.
    metrics
        The metric, or all by id.
    names
        Segment or level -> its title.
    finding, locale
        As in `small_multiples`.
    """
    groups = _groups(frame)
    if not groups:
        return nothing(rows.why_not(frame, "the frame holds no score by channel or partner"), finding)
    metric, form = one_metric(metrics, "", [_score(frame)]), formatting(None, locale)
    title = finding or _finding(frame, metric, form)
    about = (
        f"{metric.title}: dot, figure; line, interval. Right: how far they truly differ, and how much of the variance "
    )
    about += "of all answers that is."
    about += f" Of many the {_MOST} with the most answers." * any(len(mine) == _MOST for mine in groups.values())
    about += _left_out(frame, groups, names)
    high = sum(_HEAD + _LINE * len(mine) for mine in groups.values())
    sheet = Sheet(title, about, high + 0.5)
    axes = sheet.axes(_LEFT, 0.05, _RIGHT - _LEFT, high, label="consistency")
    top, told = 0.05, []
    for segment, mine in groups.items():
        told.append(_group(sheet, axes, top, segment, mine, frame, metric, names, form))
        top += _HEAD + _LINE * len(mine)
    axes.set(ylim=(high + 0.05, 0.05), yticks=[])
    axes.spines["left"].set_visible(False)
    name, _ = form.axis(metric.unit, 1)
    axes.set_xlabel(f"{metric.title}" + f", {name}" * (name not in metric.title), fontsize=8)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))
    return sheet.done(f"{title}. {about} {' '.join(told)}")


def consistency_table(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    names: Names = None,
    title: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a kind of group: typical gap between two, share of variance between, whether all may be alike.

    Parameters
    ----------
    frame, metrics, names, locale
        As in `consistency_chart`; the last row compares digital with other touchpoints.
    title
        Heading; default the finding.
    """
    kinds = [name for name in dict.fromkeys(frame["segment"]) if name not in (_SEGMENT, "all")]
    digital = _digital(frame)
    if not kinds and digital is None:
        return markup.nothing(title or "Consistency", rows.why_not(frame, "the frame holds no score by channel"))
    metric, form = one_metric(metrics, "", [_score(frame)]), formatting(None, locale)
    heads = ("Typical gap between two", "Difference within", "Share of variance between", "All alike?", "n")
    columns: dict[str, list[Cell]] = {head: [] for head in heads}
    for segment in kinds:
        told = _told(frame, segment)
        gap, within, share, test = (told.get(part) for part in (_PARTS[3], _PARTS[1], _PARTS[2], _PARTS[4]))
        columns[heads[0]].append(_size_cell(gap, metric, form))
        columns[heads[1]].append(_size_cell(within, metric, form))
        columns[heads[2]].append(markup.estimate_cell(share, "percent", form))
        columns[heads[3]].append(markup.text_cell(_test_words(test)))
        columns[heads[4]].append(markup.n_cell(share, form))
    keys = [(capital(named(segment, names)),) for segment in kinds]
    if digital is not None:
        keys.append(("Digital against physical",))
        cells = [markup.change_cell(digital, metric, form), Cell(""), Cell(""), Cell("", number=False)]
        for head, cell in zip(heads, [*cells, markup.n_cell(digital, form)], strict=True):
            columns[head].append(cell)
    notes = [escape(f"{row['metric']}: {row['method']}") for row in _told(frame, kinds[0]).values()] if kinds else []
    notes = [plain(note) for note in notes] + [escape(f"held equal: {one}") for one in _held(frame)]
    heading = title or _finding(frame, metric, form)
    return markup.figure(heading, markup.table(columns, ["Between"], keys), notes)


def _groups(frame: pd.DataFrame) -> dict[str, list[rows.Row]]:
    """Return the levels that are shown of each segment, digital ones last; of many those with the most answers."""
    mine = frame[(frame["comparison"] == "level") & ~frame["metric"].isin(_PARTS) & (frame["segment"] != "all")]
    found = {}
    for segment in dict.fromkeys(mine["segment"]):
        own = mine[(mine["segment"] == segment) & (mine["status"] == results.OK)]
        own = own.sort_values(["n", "level"], ascending=[False, True]).head(_MOST)
        if len(own) > 1:
            found[segment] = rows.records(own.sort_values(["estimate", "level"], ascending=[False, True]))
    return found


def _left_out(frame: pd.DataFrame, drawn: Mapping[str, list[rows.Row]], names: Names) -> str:
    """Name the kinds of groups that are not drawn."""
    rest = [name for name in dict.fromkeys(frame["segment"]) if name not in drawn and name != "all"]
    listed = rows.listed([capital(named(name, names)) for name in rest])
    return f" Not shown: {listed}: one level only, or hidden." * bool(rest)


def _group(
    sheet: Sheet, axes: Axes, top: float, segment: str, mine: Sequence[rows.Row], frame: pd.DataFrame, metric: Metric,
    names: Names, form: Format,
) -> str:  # fmt: skip
    """Draw the levels of one segment and say how far they lie apart; return it all in words."""
    sheet.text(0, top + 0.14, capital(named(segment, names)), weight="bold")
    words = _apart_words(frame, segment, metric, form)
    lines = [line for part in words for line in wrap(part, 3.3, SMALL)]
    sheet.text(_RIGHT + 0.2, top + 0.14, lines[: max(2, len(mine) + 1)])
    said, called = [], _PLACES if segment == _SEGMENT else names
    for place, row in enumerate(mine):
        y = top + _HEAD - 0.05 + (place + 0.5) * _LINE
        sheet.text(0.12, y - 0.08, wrap(named(row["level"], called), _LEFT - 0.25, SMALL, lines=1))
        axes.hlines(y, row["conf_low"], row["conf_high"], color=style.SKY, linewidth=4)
        axes.plot(row["estimate"], y, "o", color=style.BLUE, markersize=6)
        limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
        said.append(f"{named(row['level'], called)} {form.value(row['estimate'], metric.unit)} ({limits})")
    if top > 0.06:
        axes.axhline(top + 0.04, color=style.RULE, linewidth=0.8)
    return f"{capital(named(segment, names))}: {'; '.join(said)}. {' '.join(words)}"


def _apart_words(frame: pd.DataFrame, segment: str, metric: Metric, form: Format) -> list[str]:
    """Say how far the levels of a segment truly differ."""
    if segment == _SEGMENT:
        row = _digital(frame)
        if row is None or missing_words(row):
            return [row["note"] if row else ""]
        limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
        verdict = rows.verdict(row, metric)[1]
        return [
            f"Digital {form.change(row['estimate'], metric.unit)} ({limits})",
            capital(f"{verdict}.") if verdict else "",
        ]
    told = _told(frame, segment)
    gap, share, test = (told.get(part) for part in (consistency.GAP, consistency.ICC, consistency.TEST))
    if gap is None or share is None or missing_words(gap):
        return [capital(gap["note"]) if gap else ""]
    words = f"Typical gap between two {_size(gap['estimate'], metric, form)}"
    limits = f"({_size(gap['conf_low'], metric, form)} to {_size(gap['conf_high'], metric, form)})"
    of = form.interval(share["conf_low"], share["conf_high"], "percent")
    return [f"{words} {limits}", f"{form.value(share['estimate'], 'percent')} of the variance ({of})",
            f"{capital(_test_words(test))}."]  # fmt: skip


def _finding(frame: pd.DataFrame, metric: Metric, form: Format) -> str:
    """Say where the score differs most between, and how little that is of all."""
    told = {segment: _told(frame, segment) for segment in dict.fromkeys(frame["segment"])}
    known = {
        segment: parts for segment, parts in told.items()
        if consistency.ICC in parts and not missing_words(parts[consistency.ICC])
    }  # fmt: skip
    if not known:
        return f"{metric.title}: too few channels or partners to say how far they differ"
    shown = {name: parts for name, parts in known.items() if parts[consistency.ICC]["conf_low"] > 0}
    least = max(parts[consistency.ICC]["conf_high"] for parts in known.values())
    if not shown:
        kinds = rows.listed([plain(name) for name in known]).replace(" and ", " or ")
        return (
            f"{metric.title}: no difference by {kinds} is shown; at most {form.value(least, 'percent')} of its variance"
        )
    most = max(shown, key=lambda name: shown[name][consistency.ICC]["estimate"])
    gap, share = shown[most][consistency.GAP], shown[most][consistency.ICC]
    size = _size(gap["estimate"], metric, form)
    head = "differs" if len(shown) == 1 else "differs most"
    return (
        f"{metric.title} {head} by {plain(most)}, typically {size} between two: "
        f"{form.value(share['estimate'], 'percent')} of its variance; the rest lies within"
    )


def _told(frame: pd.DataFrame, segment: str) -> dict[str, rows.Row]:
    mine = frame[(frame["segment"] == segment) & frame["metric"].isin(_PARTS)]
    return {row["metric"]: row for row in rows.records(mine)}


def _digital(frame: pd.DataFrame) -> rows.Row | None:
    """Return the difference of digital touchpoints that holds most equal."""
    mine = rows.records(frame[(frame["segment"] == _SEGMENT) & (frame["comparison"] == "difference")])
    return mine[-1] if mine else None


def _score(frame: pd.DataFrame) -> str:
    """Return the id of the score."""
    return next((name for name in rows.ids(frame) if name not in _PARTS), "")


def _held(frame: pd.DataFrame) -> list[str]:
    mine = frame[frame["metric"].isin(_PARTS) & (frame["at"] != "")]
    return [one.removesuffix(" held equal") for one in dict.fromkeys(mine["at"])]


def _test_words(row: rows.Row | None) -> str:
    """Say whether all may be alike."""
    if row is None or missing_words(row):
        return "cannot be told"
    return "may all be alike" if row["note"].startswith("may all be alike") else "not all alike"


def _size(value: float, metric: Metric, form: Format) -> str:
    """Return how far something differs, without a sign."""
    return form.change(value, metric.unit).lstrip("+")


def _size_cell(row: rows.Row | None, metric: Metric, form: Format) -> Cell:
    if row is None or missing_words(row):
        return markup.missing_cell(row)
    limits = f"{_size(row['conf_low'], metric, form)} to {_size(row['conf_high'], metric, form)}"
    return Cell(escape(_size(row["estimate"], metric, form)) + markup.small(limits), row=row, unit=metric.unit)
