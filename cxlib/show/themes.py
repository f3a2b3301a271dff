"""What customers write about: each theme with its share, whether it changed, and how those who name it score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cxlib.params.models import Metric
from cxlib.show import rows, style
from cxlib.show.canvas import SMALL, Chart, Sheet, Ticks, nothing, themed, wrap
from cxlib.show.drivers import why
from cxlib.show.formats import Format, formatting, metric_of, missing_words
from cxlib.show.theme_lines import Line, basis, lines, since, size, when

_LEFT, _RIGHT, _TOP, _LINE = 2.75, 5.9, 0.28, 0.42  # inches: where the picture begins and ends, the height of a row
_SHARE_AT, _CHANGE_AT, _SCORE_AT = 6.05, 7.15, 8.55  # inches: columns of text beside it


@themed
def theme_shares(
    themes: pd.DataFrame,
    changes: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
    metrics: Mapping[str, Metric] | None = None,
    *,
    finding: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row a theme: share of texts with interval; its change with the verdict, and its score, in words beside it.

    Parameters
    ----------
    themes
        Result frame of `Run.themes`.
    changes, scores
        Of `Run.theme_changes` and `Run.theme_scores`; what is left out is not told.
    metrics
        Metric id -> definition, for the score.
    finding, locale
        As in `small_multiples`.
    """
    found, form = lines(themes, changes, scores), formatting(None, locale)
    known = [one for one in found if size(one.share) > 0]
    if not known:
        return nothing(why(themes, "the frame holds no themes"), finding)
    told = f"{when(known)}. Dot: share of texts that name the theme, line: interval. {basis(known)} "
    told += f"{_score(known, metrics)}{_silent(found)}"
    sheet = Sheet(finding or headline(known, form), told.strip(), len(known) * _LINE + _TOP + 0.45)
    axes = sheet.axes(_LEFT, _TOP, _RIGHT - _LEFT, len(known) * _LINE, label="themes")
    _draw(axes, known)
    _heads(sheet, known)
    for place, one in enumerate(known):
        _beside(sheet, _TOP + (place + 0.5) * _LINE, one, metrics, form)
    return sheet.done(" ".join([f"{sheet.figure.finding}.", told, *(_sentence(one, metrics, form) for one in known)]))


def headline(known: list[Line], form: Format) -> str:
    """Say which themes are named more or less often, and which most."""
    if not known:
        return "Too few customers wrote to tell what they write about"
    moved = [one for one in known if one.change is not None and one.change["verdict"] == "moved"]
    judged = any(one.change is not None for one in known)
    ways = [(word, [one.name for one in moved if one.change is not None and (one.change["estimate"] > 0) == up])
            for word, up in (("more", True), ("less", False))]  # fmt: skip
    parts = [f"{rows.listed(names)} named {word} often" for word, names in ways if names]
    first = f"{known[0].name} is what most write about ({form.value(known[0].share['estimate'], 'percent')} of texts)"
    if len(known) > 1 and not rows.apart(known[0].share, known[1].share):
        first = f"{known[0].name} and {known[1].name} are what most write about"
    if moved:
        return f"Since {since(known)}: {'; '.join(parts)}. {first}"
    return f"{first}; no theme is shown to be named more or less often since {since(known)}" if judged else first


def _silent(found: list[Line]) -> str:
    """Name the themes that are not drawn."""
    hidden = [one.name for one in found if missing_words(one.share)]
    nobody = [one.name for one in found if not missing_words(one.share) and not size(one.share)]
    told = [f"Not shown, as too few customers name them: {rows.listed(hidden)}."] if hidden else []
    return " ".join([*told, *([f"Nobody names: {rows.listed(nobody)}."] if nobody else [])])


def _draw(axes: Axes, known: list[Line]) -> None:
    """Draw dot and interval of each theme."""
    count = len(known)
    axes.set(ylim=(count - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for place, one in enumerate(known):
        tone = rows.verdict(one.change, one.metric)[2]
        moved = one.change is not None and one.change["verdict"] == "moved"
        colour = style.TONES[tone] if tone != rows.FLAT else style.INK if moved else style.GREY
        low, value, high = (100 * one.share[name] for name in ("conf_low", "estimate", "conf_high"))
        axes.hlines(place, low, high, color=colour, linewidth=2)
        axes.plot(value, place, "s" if tone == rows.WORSE else "o", color=colour, markersize=6.5,
                  markerfacecolor=colour if moved else style.PAPER, markeredgewidth=1.4)  # fmt: skip
    axes.set_xlim(left=0)
    axes.set_xlabel("percent of texts", fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(Ticks(formatting()))


def _heads(sheet: Sheet, known: list[Line]) -> None:
    how: dict[str, Any] = {"color": style.GREY, "size": 7.5}
    sheet.text(_SHARE_AT, 0, "Share of texts", **how)
    if any(one.change is not None for one in known):
        sheet.text(_CHANGE_AT, 0, "Change", **how)
    if any(one.apart is not None for one in known):
        sheet.text(_SCORE_AT, 0, "Their score", **how)


def _score(known: list[Line], metrics: Mapping[str, Metric] | None) -> str:
    """Say which score stands on the right."""
    name = next((one.apart["metric"] for one in known if one.apart is not None), "")
    return f"Their score: {metrics[name].title}, of those who name it. " if metrics and name in metrics else ""


def _beside(sheet: Sheet, middle: float, one: Line, metrics: Mapping[str, Metric] | None, form: Format) -> None:
    """Write the name on the left, and share, change and score on the right."""
    name = wrap(one.name, _LEFT - 0.2, SMALL, lines=2)
    sheet.text(0, middle - 0.085 * len(name), name)
    sheet.text(_SHARE_AT, middle - 0.16, form.value(one.share["estimate"], "percent"), weight="bold")
    limits = form.interval(one.share["conf_low"], one.share["conf_high"], "percent")
    sheet.text(_SHARE_AT, middle + 0.01, limits, size=7, color=style.GREY)
    if one.change is not None:
        shape, words, tone = rows.verdict(one.change, one.metric)
        missing = missing_words(one.change)
        head = missing or form.change(one.change["estimate"], "percent")
        sheet.text(_CHANGE_AT, middle - 0.16, head, color=style.GREY if missing else style.TONES[tone])
        sheet.text(_CHANGE_AT, middle + 0.01, f"{shape} {words}".strip(), size=7, color=style.TONES[tone])
    if one.apart is not None:
        head, under = _scored(one, metrics, form)
        sheet.text(_SCORE_AT, middle - 0.16, head)
        sheet.text(_SCORE_AT, middle + 0.01, under, size=7, color=style.GREY)


def _scored(one: Line, metrics: Mapping[str, Metric] | None, form: Format) -> tuple[str, str]:
    """Return the score of those who name a theme, and of the others."""
    if one.named is None or one.rest is None or missing_words(one.named) or missing_words(one.rest):
        return missing_words(one.apart), ""
    unit = metric_of(metrics, one.named["metric"]).unit if metrics else "score"
    with_, without = (form.value(row["estimate"], unit) for row in (one.named, one.rest))
    return with_, f"against {without} without"


def _sentence(one: Line, metrics: Mapping[str, Metric] | None, form: Format) -> str:
    """Return one theme in a sentence."""
    limits = form.interval(one.share["conf_low"], one.share["conf_high"], "percent")
    told = f"{one.name}: {form.value(one.share['estimate'], 'percent')} (interval {limits})"
    if one.change is not None and not missing_words(one.change):
        told += f", change {form.change(one.change['estimate'], 'percent')}, {rows.verdict(one.change, one.metric)[1]}"
    if one.apart is not None and not missing_words(one.apart):
        told += f"; score {' '.join(_scored(one, metrics, form))}"
    return f"{told}."
