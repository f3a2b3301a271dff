"""How do partners stand? Never a naked league table: tiers, intervals and rank intervals; no order within a tier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib import results
from cxlib.errors import UsageError
from cxlib.params.models import Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.finding import plain
from cxlib.show.formats import Format, brief, counted, formatting, missing_words, one_metric, shortened
from cxlib.show.markup import Cell, Html

_SPREAD = ("partner_sd", "reliability")
RANK, RAW, AVERAGE = "rank", "raw", "all partners"
AS_EXPECTED, FEW, HIDDEN, ABOVE, BELOW = "as expected", "too few to tell", "hidden", "above", "below"
_MOST = 25  # partners drawn or listed
MANY = 10  # more than so many are not listed in a table where nobody stands out
_LEFT, _RIGHT, _TOP, _LINE, _HEAD = 2.85, 6.35, 0.28, 0.4, 0.32  # inches
_NUMBER, _PLACE = 6.5, 8.35
_SORTED = "Within a group by name, not by figure."
_READ = "Dot: adjusted and shrunk figure, line: interval, ring: as it is, dashes: all partners together."


class Partner(NamedTuple):
    """One partner: its tier, its figure, its difference from all, its rank and its raw figure."""

    name: str
    tier: str
    tone: str
    level: rows.Row
    gap: rows.Row
    rank: rows.Row
    raw: rows.Row | None


@themed
def partner_league(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a partner, in tiers: dot and interval of the adjusted, shrunk figure, difference, rank interval, n.

    Parameters
    ----------
    frame
        Result frame of `partners.league`; of one outcome and one kind of partner.
    metrics
        The metric, or all by id.
    metric
        Id of the metric to show; needed only where the frame holds several.
    finding, currency, locale
        As in `small_multiples`.

    Raises
    ------
    UsageError
        Where the frame has figures without tiers and ranks: they are not shown alone.
    """
    found, shown = _partners(frame, metrics, metric)
    if not any(not missing_words(one.level) for one in found):
        return nothing(_why(frame), finding)
    kept, form = chosen(found), formatting(currency, locale)
    heads = list(dict.fromkeys(one.tier for one in kept))
    height = len(kept) * _LINE + len(heads) * _HEAD
    told = f"{_READ} {_SORTED} {_left_out(found, kept)}".strip()
    sheet = Sheet(finding or headline(found, shown), told, _TOP + height + 0.5)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, height, label="league")
    _draw(sheet, axes, kept, shown, form, height)
    return sheet.done(_alt(sheet.figure.finding, found, kept, shown, form))


def partner_league_table(
    frame: pd.DataFrame,
    metrics: Metric | Mapping[str, Metric],
    *,
    metric: str = "",
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a partner, in tiers: figure with interval, difference from all, rank interval, as it is, n.

    Parameters
    ----------
    frame, metrics, metric, currency, locale
        As in `partner_league`.
    title
        Heading; default the finding.
    """
    found, shown = _partners(frame, metrics, metric)
    if not any(not missing_words(one.level) for one in found):
        return markup.nothing(title or "Partners", _why(frame))
    kept, form = chosen(found), formatting(currency, locale)
    if len(found) > MANY and not any(one.tier in _STANDING_OUT for one in found):
        return markup.figure(title or headline(found, shown), _tiers(found))
    columns: dict[str, list[Cell]] = {
        "Adjusted, shrunk": [markup.value_cell(one.level, shown, form) for one in kept],
        "Against all partners": [_gap_cell(one, shown, form) for one in kept],
        "Rank": [_rank_cell(one, form) for one in kept],
        "As it is": [markup.value_cell(one.raw, shown, form) for one in kept],
        "n": [markup.n_cell(one.level, form) for one in kept],
    }
    keys = [(one.tier.capitalize(), one.name) for one in kept]
    body = markup.table(columns, ["Standing", plain(str(kept[0].level["segment"])).capitalize()], keys)
    first = next(one for one in kept if not missing_words(one.level))
    notes = [markup.note(shown, [first.level])]
    return markup.figure(title or headline(found, shown), body, notes, f"{_SORTED} {_left_out(found, kept)}".strip())


def _partners(frame: pd.DataFrame, metrics: Metric | Mapping[str, Metric], metric: str) -> tuple[list[Partner], Metric]:
    """Return the partners of the frame with what belongs to each, and the metric they are measured by."""
    figures = frame[~frame["metric"].isin([RANK, *_SPREAD]) & (frame["comparison"] == "level") & (frame["at"] == "")]
    shown = one_metric(metrics, metric, rows.ids(figures) or rows.ids(frame) or [metric])
    mine = frame[(frame["metric"] == shown.id) | ((frame["metric"] == RANK) & (frame["against"] == shown.id))]
    kinds = set(mine["segment"])
    if len(kinds) > 1:
        raise UsageError(f"the frame holds partners of {len(kinds)} kinds: give one at a time")
    levels, gaps, ranks, raws = (
        {str(row["level"]): row for row in part.to_dict("records")}
        for part in (
            mine[(mine["metric"] == shown.id) & (mine["comparison"] == "level") & (mine["at"] == "")],
            mine[(mine["comparison"] == "difference") & (mine["against"] == AVERAGE)],
            mine[mine["metric"] == RANK],
            mine[(mine["metric"] == shown.id) & (mine["at"] == RAW)],
        )
    )
    naked = [name for name in levels if name not in gaps or name not in ranks]
    if naked:
        raise UsageError(
            f"{counted(len(naked))} partners have a figure without tier or rank interval, {naked[0]} first",
            hint="Show partners.league(fit): a bare order of partners is mostly chance.",
        )
    return [_partner(name, levels, gaps, ranks, raws, shown) for name in sorted(levels)], shown


def _partner(
    name: str, levels: Mapping[str, Any], gaps: Mapping[str, Any], ranks: Mapping[str, Any], raws: Mapping[str, Any],
    metric: Metric,
) -> Partner:  # fmt: skip
    """Put one partner together and name its tier."""
    gap = gaps[name]
    if gap["status"] == results.SUPPRESSED:
        tier, tone = HIDDEN, rows.FLAT
    elif missing_words(gap) or gap["verdict"] == "could not have been seen":
        tier, tone = FEW, rows.FLAT
    elif gap["verdict"] == "moved":
        tone = rows.better(metric, gap["estimate"])
        tier = tone if tone != rows.FLAT else (ABOVE if gap["estimate"] > 0 else BELOW)
    else:
        tier, tone = AS_EXPECTED, rows.FLAT
    return Partner(name, tier, tone, levels[name], gap, ranks[name], raws.get(name))


_ORDER = (rows.BETTER, ABOVE, AS_EXPECTED, FEW, HIDDEN, BELOW, rows.WORSE)
_STANDING_OUT = (rows.BETTER, rows.WORSE, ABOVE, BELOW)


def chosen(found: Sequence[Partner]) -> list[Partner]:
    """Return at most 25 partners, those that stand out first, then those with the most answers; by tier and name."""
    known = [one for one in found if one.tier != HIDDEN]
    size = lambda one: (one.tier not in _STANDING_OUT, -_n(one), one.name)  # noqa: E731
    return sorted(sorted(known, key=size)[:_MOST], key=lambda one: (_ORDER.index(one.tier), one.name))


def _n(one: Partner) -> float:
    return 0.0 if missing_words(one.level) else float(one.level["n"])


def headline(found: Sequence[Partner], metric: Metric) -> str:
    """Return the finding in one sentence: how many stand out, and for how many there are too few answers."""
    count = {tier: sum(one.tier == tier for one in found) for tier in _ORDER}
    out = [(count[tier], tier) for tier in _STANDING_OUT if count[tier]]
    total = f"{counted(len(found))} partner{'s' * (len(found) != 1)}"
    few = f"; for {counted(count[FEW])} the answers are too few to tell" if count[FEW] else ""
    if not out:
        return f"{metric.title}: none of {total} is shown to differ from all together{few}"
    ways = rows.listed([f"{counted(size)} {tier}" for size, tier in out])
    names = [shortened(one.name, 30) for one in found if one.tier in _STANDING_OUT]
    named = f": {rows.listed(names)}" if len(names) <= 2 else ""
    than = "all" if metric.higher_is_better is None else "than all"
    return f"{metric.title}: {ways} {than} {total} together{named}{few}"


def _tiers(found: Sequence[Partner]) -> str:
    """Say in place of a long list how many partners stand where."""
    counts = {tier: sum(one.tier == tier for one in found) for tier in (AS_EXPECTED, FEW, HIDDEN)}
    told = [f"{counted(size)} {tier}" for tier, size in counts.items() if size]
    words = f"Of {counted(len(found))} partners: {rows.listed(told)}. None is listed: any order would be chance."
    return f"<p>{escape(words)}</p>"


def _left_out(found: Sequence[Partner], kept: Sequence[Partner]) -> str:
    """Say how many partners are not shown, and why."""
    hidden = sum(one.tier == HIDDEN for one in found)
    return rows.left_out(len(found) - hidden - len(kept), hidden)


def _why(frame: pd.DataFrame) -> str:
    """Return why there is nothing to show."""
    if len(frame) and (frame["status"] == results.SUPPRESSED).any():
        return "every partner has fewer customers than may be shown"
    notes = [note for note in frame["note"] if note] if len(frame) else []
    return str(notes[0]) if notes else "the frame holds no partners"


def _draw(sheet: Sheet, axes: Axes, kept: Sequence[Partner], metric: Metric, form: Format, height: float) -> None:
    """Draw tiers and partners from top to bottom."""
    known = [one.level for one in kept if not missing_words(one.level)]
    known += [one.raw for one in kept if one.raw is not None and not missing_words(one.raw)]
    ends = [abs(row["estimate"]) for row in known]
    name, factor = form.axis(metric.unit, max(ends))
    axes.set(ylim=(height, 0), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    sheet.text(_NUMBER, 0, "Figure, and against all", color=style.GREY, size=7.5)
    sheet.text(_PLACE, 0, "Rank, 1 is best", color=style.GREY, size=7.5)
    top, tier = 0.0, ""
    for one in kept:
        if one.tier != tier:
            tier = one.tier
            sheet.rule(_TOP + top)
            sheet.text(0, _TOP + top + 0.08, tier.capitalize(), weight="bold", color=style.TONES[one.tone])
            top += _HEAD
        _row(sheet, axes, top + _LINE / 2, one, (metric, form, factor))
        top += _LINE
    _average(axes, kept, factor)
    axes.set_xlabel(metric.title if name in metric.title else f"{metric.title}, {name}", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(form))


def _average(axes: Axes, kept: Sequence[Partner], factor: float) -> None:
    """Draw the mean of all partners: a partner's figure less its difference."""
    one = next((one for one in kept if not missing_words(one.level) and not missing_words(one.gap)), None)
    if one is not None:
        at = (one.level["estimate"] - one.gap["estimate"]) * factor
        axes.axvline(at, color=style.INK, linewidth=1, dashes=(4, 3), zorder=1)
        axes.annotate("all", (at, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                      ha="center", fontsize=7.5)  # fmt: skip


_MARKS = {rows.BETTER: "o", rows.WORSE: "s", rows.FLAT: "o"}


def _row(sheet: Sheet, axes: Axes, middle: float, one: Partner, how: tuple[Metric, Format, float]) -> None:
    """Draw one partner: name and n, dot with interval, numbers, rank."""
    metric, form, factor = how
    at, words = _TOP + middle, missing_words(one.level)
    sheet.text(0.12, at - 0.16, wrap(one.name, _LEFT - 0.3, SMALL, lines=1))
    if words:
        sheet.text(0.12, at + 0.01, words, size=7.5, color=style.GREY, style="italic")
        return
    sheet.text(0.12, at + 0.01, f"n {form.count(one.level['n'])}", size=7.5, color=style.GREY)
    out = one.tier in _STANDING_OUT
    colour = style.TONES[one.tone] if one.tone != rows.FLAT else style.INK if out else style.GREY
    if one.raw is not None and not missing_words(one.raw):
        axes.plot(one.raw["estimate"] * factor, middle, "o", color=style.GREY, markerfacecolor="none", markersize=4.5,
                  markeredgewidth=0.8)  # fmt: skip
    axes.hlines(middle, one.level["conf_low"] * factor, one.level["conf_high"] * factor, color=colour, linewidth=1.8)
    face = colour if out else style.PAPER
    axes.plot(
        one.level["estimate"] * factor, middle, _MARKS[one.tone], color=colour, markerfacecolor=face, markersize=6.5
    )
    value = form.short(one.level["estimate"], metric.unit)
    limits = brief(form.interval(one.level["conf_low"], one.level["conf_high"], metric.unit))
    sheet.text(_NUMBER, at - 0.16, f"{value}  ({limits})", weight="bold" if out else "normal")
    gap = "" if missing_words(one.gap) else f"{form.change(one.gap['estimate'], metric.unit)} against all"
    sheet.text(_NUMBER, at + 0.01, brief(gap), size=7.5, color=style.GREY)
    sheet.text(_PLACE, at - 0.16, _rank(one, form))


def _rank(one: Partner, form: Format) -> str:
    """Return the rank interval in words."""
    if missing_words(one.rank):
        return ""
    low, high = (form.count(one.rank[end]) for end in ("conf_low", "conf_high"))
    total = str(one.rank["note"]).split(" partners")[0].removeprefix("of ")
    return f"{low} of {total}" if low == high else f"{low} to {high} of {total}"


def _gap_cell(one: Partner, metric: Metric, form: Format) -> Cell:
    """Return the difference from all partners with its interval."""
    if missing_words(one.gap):
        return Cell(f'<span class="cx-missing">{escape(missing_words(one.gap))}</span>', row=one.gap)
    limits = form.interval(one.gap["conf_low"], one.gap["conf_high"], metric.unit, change=True)
    word = f'<br><span class="cx-{one.tone}">{escape(one.tier)}</span>'
    told = escape(brief(form.change(one.gap["estimate"], metric.unit))) + markup.small(brief(limits)) + word
    return Cell(told, row=one.gap, unit=metric.unit)


def _rank_cell(one: Partner, form: Format) -> Cell:
    return Cell(escape(_rank(one, form)))


def _alt(finding: str, found: Sequence[Partner], kept: Sequence[Partner], metric: Metric, form: Format) -> str:
    """Return the chart in words."""
    told = []
    for one in kept:
        if missing_words(one.level):
            told.append(f"{one.name}: {missing_words(one.level)}")
            continue
        limits = form.interval(one.level["conf_low"], one.level["conf_high"], metric.unit)
        rank = f"; rank {_rank(one, form)}" if _rank(one, form) else ""
        value = form.value(one.level["estimate"], metric.unit)
        told.append(f"{one.name}, {one.tier}: {value} (interval {limits}; n {form.count(one.level['n'])}{rank})")
    return f"{finding}. Partners in tiers, dots with intervals. {_left_out(found, kept)} {'. '.join(told)}."
