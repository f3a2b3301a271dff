"""What customers write about, as tables: what goes with each theme, and how right the codebook is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from cxlib import results
from cxlib.analysis.voice.rates import CODED
from cxlib.params.models import Metric
from cxlib.show import markup, rows
from cxlib.show.drivers import why
from cxlib.show.formats import Format, formatting, metric_of, missing_words
from cxlib.show.markup import Cell, Html
from cxlib.show.rows import Row
from cxlib.show.theme_lines import Line, basis, lines, ok, since, when

_LABELLED = "Measured on an audit: texts that people read and labelled."


def theme_table(
    themes: pd.DataFrame,
    changes: pd.DataFrame | None = None,
    scores: pd.DataFrame | None = None,
    costs: pd.DataFrame | None = None,
    metrics: Mapping[str, Metric] | None = None,
    *,
    title: str | None = None,
    currency: str | None = None,
    locale: str | None = None,
) -> Html:
    """One row a theme: share, change, score with and without it, and what those who name it did afterwards.

    Parameters
    ----------
    themes, changes, scores, metrics, locale
        As in `theme_shares`.
    costs
        Of `Run.theme_costs`.
    title
        Heading; default who scores lowest.
    currency
        Of amounts.
    """
    found, form = lines(themes, changes, scores, costs), formatting(currency, locale)
    if not found:
        return markup.nothing(title or "What customers write about", why(themes, "the frame holds no themes"))
    columns = {"Share of texts": [markup.estimate_cell(one.share, "percent", form) for one in found]}
    columns |= _moved(found, form) | _scores(found, metrics, form)
    columns |= _after(found, form)
    heading = title or _lowest(found, metrics, form)
    body = markup.table(columns, ["Theme"], [(one.name,) for one in found])
    return markup.figure(heading, body, _notes(found), f"{when(found)}{_many(found, form)}. {basis(found)}")


def codebook_table(themes: pd.DataFrame, *, title: str | None = None, locale: str | None = None) -> Html:
    """One row a theme: share as coded and corrected, and how right the codebook was in the audit.

    Parameters
    ----------
    themes, locale
        As in `theme_shares`.
    title
        Heading.
    """
    found, form = [one for one in lines(themes) if one.precision is not None], formatting(None, locale)
    if not found:
        lost = [str(one.coded["note"]) for one in lines(themes) if str(one.coded["note"]).startswith(f"{CODED}:")]
        told = lost[0] if lost else "nobody has labelled texts for this codebook yet"
        told = why(themes[themes["status"] == results.UNDEFINED], told)
        return markup.nothing(title or "How right the codebook is, is not measured", told)
    columns = {
        "Share as coded": [markup.estimate_cell(one.coded, "percent", form) for one in found],
        "Corrected": [markup.estimate_cell(one.corrected, "percent", form) for one in found],
        "Right, of those coded": [_brief(one.precision, form) for one in found],
        "Found, of those who name it": [_brief(one.recall, form) for one in found],
    }
    body = markup.table(columns, ["Theme"], [(one.name,) for one in found])
    shown = [one.corrected for one in found if one.corrected and ok(one.corrected)][:1]
    notes = [f"<b>Corrected</b>: {escape('; '.join(filter(None, (str(row['method']), _labels_of(row)))))}"
             for row in shown]  # fmt: skip
    return markup.figure(title or "How right the codebook is", body, notes, f"{when(found)}. {_LABELLED}")


def _labels_of(row: Row) -> str:
    """Return what a corrected rate says of its labels, the same of all themes; '' where all are of its time."""
    return str(row["note"]).partition("; ")[2]


def _brief(row: Row | None, form: Format) -> Cell:
    """Return a share of labelled texts, or in few words that there is none."""
    if row is None or row["status"] == results.UNDEFINED:
        return Cell('<span class="cx-missing">no such text labelled</span>', row=row)
    return markup.estimate_cell(row, "percent", form)


def _lowest(found: list[Line], metrics: Mapping[str, Metric] | None, form: Format) -> str:
    """Say who scores lowest, of those who are shown to score lower than others."""
    known = [(one.name, one.named, one.rest) for one in found if one.apart and one.named and one.rest and ok(one.apart)
             and ok(one.named) and ok(one.rest) and one.apart["verdict"] == "moved"
             and one.apart["estimate"] < 0]  # fmt: skip
    if not known:
        return "Each theme: how many name it, whether that changed, and what goes with it"
    name, row, rest = min(known, key=lambda one: float(one[1]["estimate"]))
    metric = metric_of(metrics or {}, row["metric"])
    values = [form.value(side["estimate"], metric.unit) for side in (row, rest)]
    return f"{metric.title}: lowest among those who name {name}, {values[0]} against {values[1]} of those who do not"


def _many(found: list[Line], form: Format) -> str:
    """Return how many texts there were; of a theme that has no words of a language, there were fewer."""
    many = [one.coded["n"] for one in found if not missing_words(one.coded)]
    return f", of {form.count(max(many))} texts" if many else ""


def _moved(found: list[Line], form: Format) -> dict[str, list[Cell]]:
    """Return the column of changes."""
    if not any(one.change is not None for one in found):
        return {}
    return {f"Change since {since(found)}": [
        markup.NOT_MEASURED if one.change is None else markup.change_cell(one.change, one.metric, form) for one in found
    ]}  # fmt: skip


def _scores(found: list[Line], metrics: Mapping[str, Metric] | None, form: Format) -> dict[str, list[Cell]]:
    """Return the columns of scores."""
    name = next((one.apart["metric"] for one in found if one.apart is not None), "")
    if not name:
        return {}
    metric = metric_of(metrics or {}, name)
    return {
        f"{metric.title}, of those who name it": [_value(one, metric, form) for one in found],
        "Difference": [
            markup.NOT_MEASURED if one.apart is None else _apart_cell(one.apart, metric, form) for one in found
        ],
    }


def _value(one: Line, metric: Metric, form: Format) -> Cell:
    """Return the score of those who name a theme, and of those who do not."""
    if one.named is None or missing_words(one.named):
        return markup.NOT_MEASURED if one.named is None else markup.missing_cell(one.named)
    limits = form.interval(one.named["conf_low"], one.named["conf_high"], metric.unit)
    rest = f"{form.value(one.rest['estimate'], metric.unit)} of those who do not" if one.rest and ok(one.rest) else ""
    told = f"{escape(form.value(one.named['estimate'], metric.unit))}{markup.small(limits, rest)}"
    return Cell(told, row=one.named, unit=metric.unit)


def _apart_cell(row: Row, metric: Metric, form: Format) -> Cell:
    """Return the difference between those who name a theme and the others: nothing rose or fell."""
    shape, words, _ = rows.verdict(row, metric)
    cell = markup.change_cell(row, metric, form)
    said = {"no change shown": "no difference shown"}.get(words, words.replace("up", "higher").replace("down", "lower"))
    return cell._replace(html=cell.html.replace(f"</span> {words}<", f"</span> {said}<")) if shape else cell


def _after(found: list[Line], form: Format) -> dict[str, list[Cell]]:
    """Return the columns of what those who name a theme did afterwards."""
    columns = {}
    for head, name, unit in (("Left", "left", "percent"), ("Spent, in all", "cost", "money")):
        cells = [getattr(one, name) for one in found]
        if any(cells):
            at = next(row["at"] for row in cells if row)
            columns[f"{head}, against others ({at})"] = [_after_cell(row, unit, form) for row in cells]
    return columns


def _after_cell(row: Row | None, unit: str, form: Format) -> Cell:
    if row is None or missing_words(row):
        return markup.NOT_MEASURED if row is None else markup.missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit, change=True)
    return Cell(f"{escape(form.change(row['estimate'], unit))}{markup.small(limits)}", row=row, unit=unit)


def _notes(found: list[Line]) -> list[str]:
    """Return what stands behind the numbers."""
    heads = {"change": "Change", "apart": "Difference of scores", "left": "Left", "cost": "Spent"}
    told = {"Share": str(found[0].coded["method"])}
    for name, head in heads.items():
        row: Row | None = next((getattr(one, name) for one in found if ok(getattr(one, name))), None)
        told[head] = "; ".join(word for word in (row["method"], row["note"]) if word) if row else ""
    return [f"<b>{escape(name)}</b>: {escape(words)}" for name, words in told.items() if words]
