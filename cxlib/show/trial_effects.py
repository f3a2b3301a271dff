"""What an experiment changed: each outcome in both arms, the difference with its interval, and the guardrails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from cxlib.params.models import Experiment, Metric
from cxlib.show import markup, rows, style
from cxlib.show.canvas import LINE, SMALL, Chart, Sheet, nothing, themed, wrap
from cxlib.show.differences import inside, largest_of, plain, reading, span
from cxlib.show.drivers import capital
from cxlib.show.formats import Format, brief, formatting, headed, metric_of, missing_words
from cxlib.show.markup import Cell, Html

_PLOT_AT, _VALUE_AT, _END = 3.0, 6.7, 9.64  # inches, columns of the chart
_ROW = 0.62
_READ = (
    "Dot: with the change less without it, line: interval; filled: shown to move. Better is to the right; what lies in "
    "the band is too small to matter. Each row has its own scale."
)
_NEUTRAL = " Where neither direction is better, more is to the right."
_NAMED = 2  # outcomes that a title names
Found = tuple[Metric, str, rows.Row | None]  # outcome, arm, difference


def arm_name(arm: str) -> str:
    """Return an arm as people call it."""
    return arm.replace("_", " ")


def pick(frame: pd.DataFrame, comparison: str, metric: str, arm: str) -> rows.Row | None:
    """Return a row of everybody: an arm's level, or its difference from the control."""
    mine = frame[(frame["comparison"] == comparison) & (frame["metric"] == metric) & (frame["at"] == arm)]
    mine = mine[(mine["segment"] == "all") & (mine["level"] == "all")]
    return rows.records(mine.head(1))[0] if len(mine) else None


def effects_table(
    effects: pd.DataFrame,
    guardrails: pd.DataFrame,
    metrics: Mapping[str, Metric],
    plan: Experiment,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row an outcome and arm: both values, the difference, the relative difference, the verdict, the guardrail.

    Parameters
    ----------
    effects, guardrails
        Result frames of `Run.effects` and `Run.guardrails`.
    metrics
        Metric id -> definition.
    plan
        The registered plan; its primary outcome comes first.
    title
        Heading.
    currency, locale
        As in `charts.small_multiples`.
    """
    form, several = formatting(currency, locale), len(plan.arms) > 2
    keys = [(metric_of(metrics, name), arm) for name in plan.outcomes for arm in plan.arms[1:]]
    lines = [_cells((effects, guardrails), metric, arm, plan, form) for metric, arm in keys]
    heads = (arm_name(plan.arms[0]).capitalize(), "With the change", "Difference", "Relative to the control", _GUARD)
    columns = {head: [line[place] for line in lines] for place, head in enumerate(heads)}
    names = [
        (f"{headed(metric)}{_role(plan, metric.id)}", *[arm_name(arm)] * several) for metric, arm in keys
    ]  # fmt: skip
    notes = [_note(effects, guardrails, metric, arm) for metric, arm in keys]
    notes.append(escape(
        "Relative differences: delta method over the control's value. The outcome that decides is judged by itself; "
        f"all others are one family ({'Holm' if plan.adjust == 'holm' else 'Benjamini and Hochberg'})."
    ))  # fmt: skip
    body = markup.table(columns, ["Outcome", *["Arm"] * several], names)
    return markup.figure(title or _heading(effects, guardrails, metrics, plan), body, list(dict.fromkeys(notes)))


_GUARD = "Must not get worse"


def _cells(
    frames: tuple[pd.DataFrame, pd.DataFrame], metric: Metric, arm: str, plan: Experiment, form: Format
) -> list[Cell]:
    """Return one line of the table: both values, the difference, the relative one, the guardrail."""
    (effects, guardrails), name = frames, metric.id
    return [
        markup.value_cell(pick(effects, "level", name, plan.arms[0]), metric, form),
        markup.value_cell(pick(effects, "level", name, arm), metric, form),
        difference_cell(pick(effects, "difference", name, arm), metric, matters_of(plan, metric), form),
        _relative(pick(effects, "relative", name, arm), form),
        _guard(pick(guardrails, "difference", name, arm), name in plan.guardrails),
    ]


def matters_of(plan: Experiment, metric: Metric) -> float | None:
    """Return the smallest effect that matters of an outcome; of a guardrail the harm that is put up with."""
    if metric.id == plan.primary_metric:
        return plan.smallest_effect_that_matters
    return plan.margins.get(metric.id, metric.change_that_matters)


def difference_cell(row: rows.Row | None, metric: Metric, matters: float | None, form: Format) -> Cell:
    """Return a difference with its interval and how it reads beside what matters."""
    if row is None or missing_words(row):
        return markup.missing_cell(row)
    shape, words, tone = reading(row, metric, matters)
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
    told = escape(brief(form.change(row["estimate"], metric.unit))) + markup.small(brief(limits))
    mark = f'<br><span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {words}</span>' if words else ""
    return Cell(told + mark, row=row, unit=metric.unit)


def _heading(
    effects: pd.DataFrame, guardrails: pd.DataFrame, metrics: Mapping[str, Metric], plan: Experiment
) -> str:  # fmt: skip
    """Say how many outcomes moved, and what became of the guardrails."""
    arms = plan.arms[1:]
    moved = [
        metric_of(metrics, name).title
        for name in plan.outcomes
        if any(_has_moved(pick(effects, "difference", name, arm)) for arm in arms)
    ]
    told = f"{len(moved) or 'None'} of {len(plan.outcomes)} outcomes moved{f': {_few(moved)}' if moved else ''}"
    if len(plan.outcomes) == 1:
        told = f"{metric_of(metrics, plan.primary_metric).title} {'moved' if moved else 'is not shown to move'}"
    found = [pick(guardrails, "difference", name, arm) for name in plan.guardrails for arm in arms]
    held = sum(_holds(row) for row in found)
    if not found:
        return told
    held_words = f"all {len(found)} guardrails hold" if len(found) > 1 else "the guardrail holds"
    count = f"{held} of {len(found)} guardrails {'is' if held == 1 else 'are'} shown to hold"
    return f"{told}; {held_words if held == len(found) else count}"


def _few(titles: Sequence[str]) -> str:
    """Return some titles, and how many more there are."""
    rest = len(titles) - _NAMED
    return rows.listed([*titles[:_NAMED], f"{rest} more"] if rest > 0 else titles)


def _holds(row: rows.Row | None) -> bool:
    return row is not None and not missing_words(row) and row["note"].startswith("not worse")


def _role(plan: Experiment, name: str) -> str:
    return " (decides)" if name == plan.primary_metric else ""


def _relative(row: rows.Row | None, form: Format) -> Cell:
    if row is None or missing_words(row):
        return markup.NOT_MEASURED
    limits = form.interval(row["conf_low"], row["conf_high"], "percent", change=True)
    told = escape(_share(form.change(row["estimate"], "percent"), form)) + markup.small(_share(limits, form))
    return Cell(told, row=row, unit="percent")


def _share(words: str, form: Format) -> str:
    """Return points of a share as the share that a relative difference is."""
    return form.percent(words.removesuffix(" pp")) if words.endswith(" pp") else words


def _guard(row: rows.Row | None, wanted: bool) -> Cell:
    """Return how a guardrail reads; nothing for other outcomes."""
    if not wanted:
        return markup.text_cell("")
    if row is None or missing_words(row):
        return markup.missing_cell(row)
    words = plain(row["note"].partition(" (registered")[0].partition("; ")[0])
    mark, tone = ("●", "better") if _holds(row) else ("■" if words.startswith("worse") else "◇", "worse")
    return Cell(f'<span class="cx-{tone}"><span aria-hidden="true">{mark}</span> {escape(words)}</span>', number=False)


def _note(effects: pd.DataFrame, guardrails: pd.DataFrame, metric: Metric, arm: str) -> str:
    found = [pick(effects, "difference", metric.id, arm), pick(guardrails, "difference", metric.id, arm)]
    return markup.note(metric, [row for row in found if row is not None])


def estimators_table(
    estimators: pd.DataFrame,
    metrics: Mapping[str, Metric],
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """The effect on the outcome that decides by each registered method, and what each saved.

    Parameters
    ----------
    estimators
        Result frame of `Run.estimators`.
    metrics
        Metric id -> definition.
    title, currency, locale
        As in `effects_table`.
    """
    mine = rows.records(estimators[estimators["comparison"] == "difference"])
    if not mine:
        return markup.nothing(title or "The effect by other methods", rows.why_not(estimators, "none was registered"))
    form, told = formatting(currency, locale), [metric_of(metrics, row["metric"]) for row in mine]
    columns = {
        "Difference": [difference_cell(row, metric, None, form) for row, metric in zip(mine, told, strict=True)],
        "What it saved": [markup.text_cell(plain(row["note"]) or "–") for row in mine],
    }
    several = len({row["at"] for row in mine}) > 1
    keys = [(" · ".join([capital(row["method"]), *[arm_name(row["at"])] * several]),) for row in mine]
    body = markup.table(columns, [f"Method, {told[0].title}"], keys)
    return markup.figure(title or _methods(mine), body, [escape(_WHAT_THEY_ARE)])


_WHAT_THEY_ARE = (
    "Welch: means compared as they are. CUPED: less what each customer's own past already told. Post-stratified: "
    "compared within registered groups. All three look for the same effect; a method that saves makes it surer."
)


def _methods(mine: Sequence[rows.Row]) -> str:
    """Say whether methods tell the same."""
    known = [row for row in mine if not missing_words(row)]
    signs = [1 if row["conf_low"] > 0 else -1 if row["conf_high"] < 0 else 0 for row in known]
    if not known:
        return "By no method could the effect be told"
    if len({row["at"] for row in known}) > 1:
        return "The effects of each arm, method by method"
    if len(known) == 1:
        return "The effect by one method" + ("" if signs[0] else ": it is not shown")
    if len(set(signs)) == 1:
        return f"By all {len(known)} methods alike {'an effect is' if signs[0] else 'no effect is'} shown"
    return f"Methods differ: an effect is shown by {sum(sign != 0 for sign in signs)} of {len(known)}"


@themed
def effect_chart(
    effects: pd.DataFrame,
    metrics: Mapping[str, Metric],
    plan: Experiment,
    *,
    finding: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Chart:
    """One row an outcome and arm: the difference from the control with its interval; better is always to the right.

    Parameters
    ----------
    effects
        Result frame of `Run.effects`.
    metrics
        Metric id -> definition.
    plan
        The registered plan.
    finding, currency, locale
        As in `small_multiples`.
    """
    form, arms = formatting(currency, locale), plan.arms[1:]
    found = [
        (metric_of(metrics, name), arm, pick(effects, "difference", name, arm))
        for name in plan.outcomes
        for arm in arms
    ]
    if all(missing_words(row) for _, _, row in found):
        return nothing(rows.why_not(effects, "no effect could be estimated"), finding)
    read = _READ + _NEUTRAL * any(metric.higher_is_better is None for metric, _, _ in found)
    sheet = Sheet(finding or _finding(found, plan, form), read, 0.3 + len(found) * _ROW)
    _heads(sheet)
    told = []
    for number, (metric, arm, row) in enumerate(found):
        who, matters = arm_name(arm) if len(arms) > 1 else "", matters_of(plan, metric)
        name = metric.title, who, metric.id == plan.primary_metric
        _row(sheet, 0.3 + number * _ROW, name, row, (metric, matters), form)
        said = [_words(row, metric, form), reading(row, metric, matters)[1]]
        told.append(f"{metric.title}{f' with {who}' if who else ''}: {', '.join(filter(None, said))}")
    return sheet.done(f"{sheet.figure.finding}. {'. '.join(told)}.")


def _heads(sheet: Sheet) -> None:
    how: dict[str, Any] = {"color": style.GREY, "size": 8}
    sheet.text(_PLOT_AT, 0.02, "← worse", **how)
    sheet.text((_PLOT_AT + _VALUE_AT - 0.3) / 2, 0.02, "no difference", ha="center", **how)
    sheet.text(_VALUE_AT - 0.3, 0.02, "better →", ha="right", **how)


def _row(
    sheet: Sheet, top: float, name: tuple[str, str, bool], row: rows.Row | None, about: tuple[Metric, float | None],
    form: Format,
) -> None:  # fmt: skip
    """Draw one outcome."""
    (title, who, strong), (metric, matters), middle = name, about, top + _ROW / 2
    lines = wrap(title, _PLOT_AT - 0.2, 9, bold=strong, lines=2 if who else 3)
    lines += wrap(f"with {who}", _PLOT_AT - 0.2, 9, bold=strong, lines=1) if who else []
    sheet.text(0, middle - len(lines) * 9 * LINE / 2, lines, size=9, weight="bold" if strong else "normal")
    axes = sheet.axes(_PLOT_AT, top, _VALUE_AT - 0.3 - _PLOT_AT, _ROW, label=metric.id)
    _dot(axes, row, metric, matters)
    shape, verdict, tone = reading(row, metric, matters)
    told = wrap(_words(row, metric, form), _END - _VALUE_AT, SMALL, bold=strong, lines=2)
    start = middle - (len(told) + bool(verdict)) * SMALL * LINE / 2
    sheet.text(_VALUE_AT, start, told, weight="bold" if strong else "normal")
    if verdict:
        colour = style.TONES.get(tone, style.INK)
        sheet.text(_VALUE_AT, start + len(told) * SMALL * LINE, f"{shape} {verdict}", color=colour, size=8)
    sheet.rule(top)


def _dot(axes: Axes, row: rows.Row | None, metric: Metric, matters: float | None) -> None:
    """Draw the difference about a zero in the middle, worse to the left."""
    axes.set(ylim=(-1, 1), xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.axvline(0, color=style.INK, linewidth=1)
    axes.set_xlim(-1, 1)
    if row is None or missing_words(row):
        return
    half = largest_of([row["estimate"], row["conf_low"], row["conf_high"], 1.3 * (matters or 0.0)]) * 1.1
    axes.set_xlim((half, -half) if metric.higher_is_better is False else (-half, half))
    if matters:
        axes.axvspan(-matters, matters, color="#eeeeee", linewidth=0, zorder=0)
    moved = _has_moved(row)
    colour = style.TONES.get(rows.verdict(row, metric)[2] if moved else "", style.GREY)
    axes.hlines(0, *span(axes, (row["conf_low"], row["conf_high"])), color=colour, linewidth=2.2)
    face = colour if moved else style.PAPER
    axes.plot(row["estimate"], 0, "o", markersize=8, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.6)


def _words(row: rows.Row | None, metric: Metric, form: Format) -> str:
    """Return the difference with its interval, or why there is none."""
    if row is None or missing_words(row):
        return missing_words(row)
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
    return f"{brief(form.change(row['estimate'], metric.unit))} ({brief(limits)})"


def _finding(found: Sequence[Found], plan: Experiment, form: Format) -> str:
    """Say what the outcome that decides did, and how many others moved."""
    first = [(metric, arm, row) for metric, arm, row in found if metric.id == plan.primary_metric]
    told = [_moved(row, metric, plan.smallest_effect_that_matters, form) for metric, _, row in first]
    if len(first) > 1:
        each = [f"{_in_short(row, metric, form)} with {arm_name(arm)}" for metric, arm, row in first]
        told = [f"{first[0][0].title} {', '.join(each)}"]
    others = [metric.title for metric, _, row in found if metric.id != plan.primary_metric and _has_moved(row)]
    others = list(dict.fromkeys(others))
    rest = f"{_few(others)} moved, too" if others else "nothing else is shown to move"
    if others and not any(_has_moved(row) for _, _, row in first):
        rest = f"but {_few(others)} moved"
    if not others and (_runs(first) or all(missing_words(row) for _, _, row in first)):
        return "; ".join(told)  # what is hidden, or not known yet, did not move "nothing else"
    return "; ".join([*told, rest] if len(found) > len(first) else told)


def _in_short(row: rows.Row | None, metric: Metric, form: Format) -> str:
    """Say what became of one outcome in one of several arms."""
    if row is None or missing_words(row):
        return "could not be compared"
    if row["verdict"] != "moved":
        return "is not shown to change" if row["verdict"] else "has no verdict before the end"
    size = brief(form.change(abs(row["estimate"]), metric.unit)).lstrip("+")
    return f"{'rose' if row['estimate'] > 0 else 'fell'} by {size}"


def _runs(found: Sequence[Found]) -> bool:
    """Say whether the experiment runs still: then effects have no verdict."""
    known = [row for _, _, row in found if row is not None and not missing_words(row)]
    return bool(known) and all(not row["verdict"] and row["p_value"] == row["p_value"] for row in known)


def _has_moved(row: rows.Row | None) -> bool:
    return row is not None and not missing_words(row) and row["verdict"] == "moved"


def _moved(row: rows.Row | None, metric: Metric, matters: float, form: Format) -> str:
    """Say what became of one outcome."""
    if row is None or missing_words(row):
        return f"{metric.title} could not be compared ({missing_words(row)})"
    limits = brief(form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True))
    if row["verdict"] == "moved":
        size = brief(form.change(abs(row["estimate"]), metric.unit)).lstrip("+")
        return f"{metric.title} {'rose' if row['estimate'] > 0 else 'fell'} by {size} ({limits})"
    if not row["verdict"] and row["p_value"] == row["p_value"]:
        return f"{metric.title}: no verdict before the end; so far {limits}"
    if inside(row, matters):
        return f"{metric.title} did not change by what matters ({limits})"
    if row["verdict"] == "could not have been seen":
        return f"Too few to tell whether {metric.title} changed ({limits})"
    return f"{metric.title} is not shown to change ({limits})"
