"""Did a registered change work? Its effect by every design that applies, and how it came, period by period."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.analysis.effects.choice import AS_THEY_ARE, BEFORE_AFTER, BESIDE, TITLES
from cxlib.analysis.effects.evidence import GRADES
from cxlib.params.models import Change, Metric
from cxlib.periods import Period
from cxlib.show import rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.differences import inside, largest_of, plain, reading, sentences, span, unit_of
from cxlib.show.drivers import capital
from cxlib.show.formats import Format, brief, formatting, metric_of, missing_words, shortened

Key = tuple[str, str]  # change, metric
Strong = tuple[str, str]  # the chosen design, and how good the evidence is

_PLOT_AT, _VALUE_AT, _END = 3.1, 7.05, 9.64  # inches, columns of `designs_chart`
_ROW, _HEAD, _AXIS = 0.44, 0.36, 0.5
_MOST = 4  # effects on one chart
_TITLE = 60  # letters of a change in a title
_READ = (
    "Dot: effect, line: interval. Filled: the way of looking that was chosen by rules before any effect was seen; "
    "hollow: shown beside it.{} Each block has its own scale."
)
_HOPED = " Dotted: what was expected."


def chosen(frame: pd.DataFrame) -> dict[Key, str]:
    """Return the design that was chosen for each change and metric, in the frame's order."""
    mine = frame[(frame["segment"] == "design") & frame["note"].str.startswith("chosen")]
    return {(row["level"], row["metric"]): row["at"] for row in rows.records(mine)}


def studied(frame: pd.DataFrame) -> list[Key]:
    """Return the changes and metrics that the frame has effects of."""
    mine = frame[frame["segment"] == "effect"]
    return list(dict.fromkeys(zip(mine["level"], mine["metric"], strict=True)))


def effect_of(frame: pd.DataFrame, key: Key, design: str) -> rows.Row | None:
    """Return the effect by one design."""
    mine = frame[(frame["segment"] == "effect") & (frame["level"] == key[0]) & (frame["metric"] == key[1])]
    return next((row for row in rows.records(mine) if row["at"] == design), None)


def grade_of(frame: pd.DataFrame, key: Key) -> tuple[str, str]:
    """Return how far an effect may be called one, and the reasons; empty where nothing was graded."""
    mine = frame[(frame["segment"] == "evidence") & (frame["level"] == key[0]) & (frame["metric"] == key[1])]
    graded = mine[mine["at"].isin(GRADES)]
    return (str(graded["at"].iloc[0]), plain(str(graded["note"].iloc[0]))) if len(graded) else ("", "")


def effect_words(row: rows.Row | None, metric: Metric, form: Format) -> str:
    """Return an effect with its interval, or why there is none."""
    if row is None or missing_words(row):
        return plain(str(row["note"])) if row is not None and row["note"] else missing_words(row)
    return f"{brief(form.change(row['estimate'], metric.unit))} ({_limits(row, metric, form)})"


def finding_of(row: rows.Row | None, metric: Metric, form: Format) -> str:
    """Say in a clause what became of a metric."""
    if row is None or missing_words(row):
        return f"no effect on {metric.title} could be estimated"
    limits = _limits(row, metric, form)
    if row["verdict"] == "moved":
        size = brief(form.change(abs(row["estimate"]), metric.unit)).lstrip("+")
        return f"{metric.title} {'rose' if row['estimate'] > 0 else 'fell'} by {size} ({limits})"
    if inside(row, metric.change_that_matters):
        return f"{metric.title} did not change by what matters ({limits})"
    if row["verdict"] == "could not have been seen":
        return f"too few to tell whether {metric.title} changed ({limits})"
    return f"{metric.title} is not shown to change ({limits})"


def _limits(row: rows.Row, metric: Metric, form: Format) -> str:
    return brief(form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True))


def headline(
    frame: pd.DataFrame, register: Mapping[str, Change], metrics: Mapping[str, Metric], form: Format
) -> str:  # fmt: skip
    """Say what moved, with the evidence; where nothing did, that."""
    keys, lead = studied(frame), chosen(frame)
    found = [(key, effect_of(frame, key, lead.get(key, ""))) for key in keys]
    moved = [(key, row) for key, row in found if _moved(row)]
    if not moved and len(keys) > 1:
        return f"None of the {len(keys)} effects that were looked for is shown"
    key, row = (moved or found)[0]
    told = f"{shortened(register[key[0]].title, _TITLE)}: {finding_of(row, metric_of(metrics, key[1]), form)}"
    grade = grade_of(frame, key)[0]
    told += f", {_EVIDENCE.get(grade, '')}" if moved and grade else ""
    if len(keys) == 1:
        return told
    return told + (f"; {len(moved) - 1} more moved" if len(moved) > 1 else "; nothing else is shown")


_EVIDENCE = {
    "none": "without evidence", "weak": "weak evidence", "fair": "fair evidence", "strong": "strong evidence",
    "randomised": "randomised",
}  # fmt: skip


def _moved(row: rows.Row | None) -> bool:
    return row is not None and not missing_words(row) and row["verdict"] == "moved"


@themed
def designs_chart(
    frame: pd.DataFrame,
    register: Mapping[str, Change],
    metrics: Mapping[str, Metric],
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One block a change and metric: its effect by the chosen design, and by every other that applies.

    Parameters
    ----------
    frame
        Result frame of `Run.changes`.
    register
        Change id -> its entry.
    metrics
        Metric id -> definition.
    finding, currency, locale
        As in `small_multiples`.
    """
    keys, lead = studied(frame), chosen(frame)
    if not keys:
        return nothing(none_due(frame), finding)
    form = formatting(currency, locale)
    kept = sorted(keys, key=lambda key: not _moved(effect_of(frame, key, lead.get(key, ""))))[:_MOST]
    blocks = [(key, _designs(frame, key, lead.get(key, ""))) for key in kept]
    heights = [_HEAD + len(mine) * _ROW + _AXIS for _, mine in blocks]
    hoped = any(metric in register[change].expected_effect for change, metric in kept)
    read = _READ.format(_HOPED * hoped) + (f" Not drawn: {len(keys) - _MOST} more." if len(keys) > _MOST else "")
    sheet = Sheet(finding or headline(frame, register, metrics, form), read, sum(heights))
    top, told = 0.0, []
    for (key, mine), height in zip(blocks, heights, strict=True):
        change, metric = register[key[0]], metric_of(metrics, key[1])
        head, strong = (
            f"{change.title}: {metric.title}",
            (lead.get(key, ""), _EVIDENCE.get(grade_of(frame, key)[0], "")),
        )
        sheet.text(0, top + 0.04, wrap(head, 9.4, 9.5, bold=True, lines=1), size=9.5, weight="bold")
        _block(sheet, mine, (top + _HEAD, strong), (change, metric), form)
        told += [f"{head}: {_told(mine, strong, metric, form)}"]
        top += height
        if key != kept[-1]:
            sheet.rule(top - 0.04)
    return sheet.done(" ".join([f"{sheet.figure.finding}.", read, *told]))


def none_due(frame: pd.DataFrame) -> str:
    """Say that no change is due, and which one is next."""
    notes = frame.loc[frame["segment"] == "next", "note"].tolist()
    return "no registered change is due" + (f"; {plain(notes[0])}" if notes else "")


def _designs(frame: pd.DataFrame, key: Key, lead: str) -> list[rows.Row]:
    """Return the effects of one change and metric, the chosen first and those without a design last."""
    mine = frame[(frame["segment"] == "effect") & (frame["level"] == key[0]) & (frame["metric"] == key[1])]
    order = {lead: -1, AS_THEY_ARE: 98, BEFORE_AFTER: 99}
    return sorted(rows.records(mine), key=lambda row: (order.get(row["at"], 0), row["at"]))


def _block(
    sheet: Sheet, mine: Sequence[rows.Row], place: tuple[float, Strong], about: tuple[Change, Metric], form: Format
) -> None:
    """Draw the effects of one change on axes of their own."""
    (top, (lead, evidence)), (change, metric) = place, about
    axes = sheet.axes(_PLOT_AT, top, _VALUE_AT - 0.3 - _PLOT_AT, len(mine) * _ROW, label=f"{change.id} {metric.id}")
    known = [row for row in mine if not missing_words(row)]
    hoped = change.expected_effect.get(metric.id)
    ends = [row[end] for row in known for end in ("estimate", "conf_low", "conf_high")] + [hoped or 0.0, 0.0]
    ends = [end for end in ends if math.isfinite(end)]
    label, factor = unit_of(metric, form, largest_of(ends))
    pad = 0.05 * ((max(ends) - min(ends)) or 1.0)
    axes.set_xlim((min(ends) - pad) * factor, (max(ends) + pad) * factor)
    _frame_of(axes, len(mine))
    if hoped is not None:
        axes.axvline(hoped * factor, color=style.GREY, linewidth=1.2, linestyle=":")
    for number, row in enumerate(mine):
        _names(sheet, top + (number + 0.5) * _ROW, row, (metric, row["at"] == lead, evidence), form)
        if not missing_words(row):
            colour = style.BLUE if row["at"] == lead else style.GREY
            line = span(axes, (row["conf_low"] * factor, row["conf_high"] * factor))
            axes.hlines(number, *line, color=colour, linewidth=2)
            face = colour if row["at"] == lead else style.PAPER
            axes.plot(row["estimate"] * factor, number, "o", markersize=7, markerfacecolor=face, markeredgecolor=colour)
    axes.set_xlabel(label, fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _names(sheet: Sheet, middle: float, row: rows.Row, about: tuple[Metric, bool, str], form: Format) -> None:
    """Write what a row is called, and its figure; beneath that of the chosen one the verdict and the evidence."""
    metric, strong, evidence = about
    words = f"{capital(title_of(row['at']))}{' (chosen)' if strong else ''}"
    lines = wrap(words, _PLOT_AT - 0.2, SMALL, bold=strong, lines=2)
    sheet.text(0, middle - len(lines) * SMALL * LINE / 2, lines, weight="bold" if strong else "normal")
    shape, verdict, tone = reading(row, metric, metric.change_that_matters) if strong else ("", "", rows.FLAT)
    verdict += f"; {evidence}" if verdict and evidence else ""
    told = wrap(effect_words(row, metric, form), _END - _VALUE_AT, SMALL, lines=1 if verdict else 2)
    start = middle - (len(told) + bool(verdict)) * SMALL * LINE / 2
    sheet.text(_VALUE_AT, start, told, color=style.INK if strong else style.GREY)
    if verdict:
        under = start + len(told) * SMALL * LINE
        sheet.text(_VALUE_AT, under, f"{shape} {verdict}", color=style.TONES.get(tone, style.INK), size=8)


def _frame_of(axes: Axes, count: int) -> None:
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.axvline(0, color=style.INK, linewidth=1)


def title_of(design: str) -> str:
    """Return what people call a design."""
    return (TITLES | BESIDE).get(design, design)


def _told(mine: Sequence[rows.Row], strong: Strong, metric: Metric, form: Format) -> str:
    """Return the effects of one block in words."""
    (lead, evidence), named = strong, []
    for row in mine:
        verdict = reading(row, metric, metric.change_that_matters)[1] if row["at"] == lead else ""
        words = f"{title_of(row['at'])}{' (chosen)' if row['at'] == lead else ''} {effect_words(row, metric, form)}"
        named.append(", ".join([words, *[told for told in (verdict, evidence if verdict else "") if told]]))
    return "; ".join(named) + "."


@themed
def since_start_chart(
    frame: pd.DataFrame,
    register: Mapping[str, Change],
    metrics: Mapping[str, Metric],
    change: str = "",
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """The effect of a roll-out by periods since its start, with intervals; before the start there should be none.

    Parameters
    ----------
    frame, register, metrics
        As in `designs_chart`.
    change
        Its id; the first that was rolled out by groups for ''.
    finding, currency, locale
        As in `small_multiples`.
    """
    mine = frame[(frame["segment"] == "since start") & (frame["level"].eq(change) | (not change))]
    if mine.empty:
        return nothing("no change that is due was rolled out group by group", finding)
    key = (str(mine["level"].iloc[0]), str(mine["metric"].iloc[0]))
    found = rows.records(mine[(mine["level"] == key[0]) & (mine["metric"] == key[1])])
    found = sorted(found, key=lambda row: int(row["at"]))
    known = [row for row in found if not missing_words(row)]
    metric, form = metric_of(metrics, key[1]), formatting(currency, locale)
    kind = _kind(found)
    if not known:
        return nothing(f"{register[key[0]].title}: {missing_words(found[0])} in every {kind} since the start", finding)
    read = _PATH.format(kind) + _trend(frame, key) + _hidden(len(found) - len(known), kind)
    sheet = Sheet(finding or _path_title(known, register[key[0]], metric, kind), read, 3.4)
    axes = sheet.axes(0.55, 0.1, 8.9, 2.75, label="since start")
    _path(axes, known, metric, form, kind)
    told = [f"{plain(row['at'])}: {effect_words(row, metric, form)}" for row in known]
    return sheet.done(f"{sheet.figure.finding}. {read} {capital(kind)}s since the start: {'; '.join(told)}.")


_PATH = (
    "Dot: effect in that {} since the start, line: interval; hollow: before the start, where nothing should be. "
    "Compared with groups not touched at the time. By luck 1 interval in 20 misses zero."
)


def _kind(found: Sequence[rows.Row]) -> str:
    """Return what periods are called."""
    label = str(found[0]["period"])
    return Period.parse(label).kind if label else "period"


def _hidden(count: int, kind: str) -> str:
    return f" Not drawn: {count} {kind}{'s' * (count != 1)}, hidden: small group." if count else ""


def _trend(frame: pd.DataFrame, key: Key) -> str:
    """Return what the test of the time before says; empty without one."""
    mine = frame[(frame["segment"] == "check") & (frame["level"] == key[0]) & (frame["metric"] == key[1])]
    notes = mine.loc[mine["at"].str.startswith("pre_trend"), "note"].tolist()
    return f" {capital(sentences(plain(notes[0]))[0]).rstrip('.')}." if notes and notes[0] else ""


def _path(axes: Axes, found: Sequence[rows.Row], metric: Metric, form: Format, kind: str) -> None:
    """Draw the dots; what ends nowhere ends at the frame."""
    ends = [row[end] for row in found for end in ("estimate", "conf_low", "conf_high")] + [0.0]
    ends = [end for end in ends if math.isfinite(end)]
    label, factor = unit_of(metric, form, largest_of(ends))
    pad = 0.06 * ((max(ends) - min(ends)) or 1.0)
    places = [int(row["at"]) for row in found]
    axes.set(
        ylim=((min(ends) - pad) * factor, (max(ends) + pad) * factor),
        xlim=(min([*places, -1]) - 0.7, max([*places, 0]) + 0.7),
    )
    axes.axhline(0, color=style.INK, linewidth=1)
    axes.axvline(-0.5, color=style.GREY, linewidth=1, linestyle=":")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    for row, place in zip(found, places, strict=True):
        colour, face = (style.GREY, style.PAPER) if place < 0 else (style.BLUE, style.BLUE)
        line = span(axes, (row["conf_low"] * factor, row["conf_high"] * factor), upright=True)
        axes.vlines(place, *line, color=colour, linewidth=2)
        axes.plot(place, row["estimate"] * factor, "o", markersize=6, markerfacecolor=face, markeredgecolor=colour)
    step = max(1, -(-(max(places) - min(places)) // 26))
    axes.set_xticks([place for place in range(min(places), max(places) + 1) if place % step == 0])
    axes.set_xlabel(f"{kind}s since the start", fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    axes.xaxis.set_major_formatter(Ticks(form))
    axes.yaxis.set_major_formatter(Ticks(form))


def _path_title(found: Sequence[rows.Row], change: Change, metric: Metric, kind: str) -> str:
    """Say whether the effect is seen in the periods after the start, and whether something was there before."""
    after = [row for row in found if int(row["at"]) >= 0]
    before = [row for row in found if int(row["at"]) < 0]
    up, down = sum(row["conf_low"] > 0 for row in after), sum(row["conf_high"] < 0 for row in after)
    early = sum(row["conf_low"] > 0 or row["conf_high"] < 0 for row in before)
    how = "was higher than" if up and not down else "was lower than" if down and not up else "differed from what it was"
    told = f"{shortened(change.title, _TITLE)}: {metric.title} {how} in groups not touched in {up + down} of "
    return f"{told}{len(after)} {kind}s since" + (f", in {early} of {len(before)} before" if before else "")
