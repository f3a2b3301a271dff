"""HTML of tables: classes in place of inline style and ids, headings that say what they head, all text escaped.

Written out rather than by pandas' Styler, which knows no `scope`, numbers its ids and refuses repeated row headings.
The caption is a `<figcaption>`: nbconvert's sanitiser removes `<caption>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Any, NamedTuple

from cxlib import results
from cxlib.params.models import Metric
from cxlib.show import rows
from cxlib.show.formats import Format, brief, formatting, missing_words
from cxlib.show.rows import Row

# A notebook or an app may load MathJax, which takes "R$ 58 to R$ 64" for a formula: it is told to keep away.
FIGURE = "cx-figure mathjax_ignore"
_TAG, _BREAK = re.compile(r"<[^>]*>"), re.compile(r"<br\s*/?>")
_HIDDEN_SHAPE = re.compile(r'<span aria-hidden="true">[^<]*</span>|<svg\b.*?</svg>', re.DOTALL)


class Cell(NamedTuple):
    """One cell: escaped HTML, and whether it is a number (right-aligned).

    `row` is the row of a result frame that it shows, in `unit` where it is an estimate; `shows` says which number of
    the row stands first. `value` is a number that stands in no row: a count, a target. Cells of words have neither.
    """

    html: str
    number: bool = True
    row: Row | None = None
    unit: str = ""
    shows: str = "estimate"
    value: float | None = None

    @property
    def text(self) -> str:
        """What the cell says without its markup; lines are parted by ` · `."""
        words = _TAG.sub("", _BREAK.sub(" · ", _HIDDEN_SHAPE.sub("", self.html)))
        return " ".join(unescape(words).split()).strip("· ")


@dataclass(frozen=True)
class Grid:
    """What a table holds, as it stands on the page: row headings `keys` under `heads`, and columns by their heading."""

    heads: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    columns: Mapping[str, Sequence[Cell]]

    @property
    def cells(self) -> list[Cell]:
        """All cells, row by row."""
        return [column[place] for place in range(len(self.keys)) for column in self.columns.values()]


class Html(str):
    """Text that a notebook shows as HTML; that of a table carries its heading, its grid and the sentence below."""

    heading: str = ""
    below: str = ""
    grid: Grid | None = None

    @property
    def rows(self) -> list[Row]:
        """The rows of result frames that the table shows, each once, in its order."""
        found: dict[tuple[str, ...], Row] = {}
        for cell in self.grid.cells if self.grid else ():
            if cell.row is not None:
                found.setdefault(key_of(cell.row), cell.row)
        return list(found.values())

    def _repr_html_(self) -> str:
        return str(self)


def key_of(row: Row) -> tuple[str, ...]:
    """Return what tells a row of a result frame from the others."""
    return tuple(row[name] for name in results.TEXT)


NOT_MEASURED = Cell('<span class="cx-missing" title="not measured here">–</span>')


def small(*lines: str) -> str:
    """Return lines in small type, each on a line of its own; escaped."""
    return "".join(f"<br><small>{escape(line)}</small>" for line in lines if line)


def missing_cell(row: rows.Row | None) -> Cell:
    """Return the words for the absence of an estimate, with the reason where it has none."""
    why = row["note"] if row is not None and row["status"] == results.UNDEFINED else ""
    return Cell(f'<span class="cx-missing">{escape(missing_words(row))}{small(why)}</span>', row=row)


def estimate_cell(row: rows.Row | None, unit: str, form: Format) -> Cell:
    """Return an estimate in a unit with its interval beneath, or the words for its absence."""
    if row is None or missing_words(row):
        return missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], unit)
    return Cell(f"{escape(form.value(row['estimate'], unit))}{small(limits)}", row=row, unit=unit)


def value_cell(row: rows.Row | None, metric: Metric, form: Format, *, with_n: bool = False) -> Cell:
    """Return the estimate with its interval beneath (and n), or the words for its absence."""
    if row is None or missing_words(row):
        return missing_cell(row)
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
    n = f"n {form.count(row['n'])}" if with_n else ""
    told = f"{escape(form.short(row['estimate'], metric.unit))}{small(brief(limits), n)}"
    return Cell(told, row=row, unit=metric.unit)


def change_cell(row: rows.Row | None, metric: Metric, form: Format) -> Cell:
    """Return the difference with interval and verdict, or the words for its absence."""
    if row is None or missing_words(row):
        words = "not compared" if row is None or row["status"] == results.UNDEFINED else missing_words(row)
        return Cell(f'<span class="cx-missing">{escape(words)}</span>', row=row)
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit, change=True)
    told = escape(brief(form.change(row["estimate"], metric.unit)))
    return Cell(f"{told}{small(brief(limits))}{verdict_line(row, metric)}", row=row, unit=metric.unit)


def told(row: rows.Row | None, metric: Metric, form: Format) -> str:
    """Return the estimate with its interval and n in words, or the words for its absence; not escaped."""
    words = missing_words(row)
    if row is None or words:
        return words
    limits = form.interval(row["conf_low"], row["conf_high"], metric.unit)
    return f"{form.value(row['estimate'], metric.unit)} ({limits}; n {form.count(row['n'])})"


def verdict_line(row: rows.Row | None, metric: Metric) -> str:
    """Return shape and words of a verdict on a line of its own; empty without one."""
    shape, words, tone = rows.verdict(row, metric)
    return f'<br><span class="cx-{tone}"><span aria-hidden="true">{shape}</span> {words}</span>' if words else ""


def n_cell(row: rows.Row | None, form: Format) -> Cell:
    """Return the number of answers; nothing where it is hidden with the estimate."""
    if row is None or missing_words(row):
        return Cell("")
    return Cell(escape(form.count(row["n"])), row=row, shows="n")


def text_cell(words: object) -> Cell:
    """Return left-aligned text, escaped."""
    return Cell(escape(str(words)), number=False)


def table(columns: Mapping[str, Sequence[Cell]], heads: Sequence[str], keys: Sequence[Sequence[str]]) -> Html:
    """Return an accessible `<table>`: every heading says what it heads. It carries what it holds as its `grid`.

    Parameters
    ----------
    columns
        Heading -> cells, one a row.
    heads
        Headings of the row headings: one, or group and row.
    keys
        Row headings, one or two texts a row; rows of one group stand together.
    """
    top = [f'<th scope="col">{escape(head)}</th>' for head in heads]
    top += [f'<th scope="col"{_kind(cells[0]) if cells else ""}>{escape(name)}</th>' for name, cells in columns.items()]
    body, spans = [], _spans([key[0] for key in keys]) if len(heads) > 1 else {}
    for place, key in enumerate(keys):
        group = f'<th scope="rowgroup" rowspan="{spans[place]}">{escape(key[0])}</th>' if place in spans else ""
        cells = "".join(f"<td{_kind(column[place])}>{column[place].html}</td>" for column in columns.values())
        body.append(f'<tr>{group}<th scope="row">{escape(key[-1])}</th>{cells}</tr>')
    starts = [place for place in range(len(keys)) if place in spans or place == 0]
    groups = [body[start:end] for start, end in zip(starts, [*starts[1:], len(body)], strict=True)]
    bodies = "\n".join("<tbody>\n" + "\n".join(group) + "\n</tbody>" for group in groups)
    made = Html(f'<table class="cx-table">\n<thead><tr>{"".join(top)}</tr></thead>\n{bodies}\n</table>')
    made.grid = Grid(tuple(heads), tuple(tuple(key) for key in keys), dict(columns))
    return made


def _kind(cell: Cell) -> str:
    """Return the class attribute of a cell or its heading."""
    return ' class="cx-num"' if cell.number else ""


def _spans(groups: Sequence[str]) -> dict[int, int]:
    """Return where each group starts and how many rows it has."""
    starts = [place for place, name in enumerate(groups) if place == 0 or groups[place - 1] != name]
    return {start: end - start for start, end in zip(starts, [*starts[1:], len(groups)], strict=True)}


def figure(
    title: str, body: str, notes: Sequence[str] = (), below: str = "", *, before: str = "", after: str = ""
) -> Html:
    """Return the table under its title, scrollable on small screens, with notes folded beneath.

    `notes`, `before` and `after` are escaped HTML, `title` and the sentence `below` the table are text. What `table`
    made and is given as `body` goes with the result, for downloads.
    """
    heading, sentence = escape(title), f'<p class="soft">{escape(below)}</p>' if below else ""
    told = "".join(f"<li>{note}</li>" for note in notes)
    folded = f"<details><summary>Methods and definitions</summary><ul>{told}</ul></details>" if told else ""
    made = Html(
        f'<figure class="{FIGURE}"><figcaption>{heading}</figcaption>'
        f'<div class="cx-scroll" role="region" aria-label="{heading}" tabindex="0">{before}{body}{after}</div>'
        f"{sentence}{folded}</figure>"
    )
    made.heading, made.below, made.grid = title, below, getattr(body, "grid", None)
    return made


def nothing(title: str, reason: str) -> Html:
    """Return the place of a table that has no rows, saying why."""
    words = escape(f"Nothing to show: {reason}.")
    return Html(f'<figure class="{FIGURE}"><figcaption>{escape(title)}</figcaption><p>{words}</p></figure>')


def note(metric: Metric, found: Sequence[Mapping[str, Any]]) -> str:
    """Return what stands behind a metric's numbers: question, methods, p-values, definition, caveats; escaped."""
    parts = [metric.question] if metric.question else []
    for row in found:
        what = f"against {row['against']}" if row["comparison"] == "difference" else "estimate"
        told = [row["method"]] if row["method"] else []
        told += [
            f"{name} {p_words(row[key])}"
            for name, key in (("p", "p_value"), ("adjusted p", "p_adjusted"))
            if row[key] == row[key]
        ]
        told += [row["note"]] if row["status"] == results.UNDEFINED and row["note"] else []
        parts += [f"{what}: {', '.join(told)}"] if told else []
    hashes = sorted({row["definition"] for row in found} - {""})
    parts += [f"definition {', '.join(hashes)} (version {metric.version})"] if hashes else []
    return f"<b>{escape(metric.title)}</b>: {escape('; '.join([*parts, *metric.caveats]))}"


def p_words(value: float) -> str:
    """Return a p-value as it is written; empty without one."""
    form = formatting()
    return "" if value != value else f"below {form.number(0.001, 3)}" if value < 0.001 else form.number(value, 3)


def p_cell(row: rows.Row) -> Cell:
    """Return an adjusted p-value; nothing without one."""
    return Cell(p_words(row["p_adjusted"]), row=row, shows="p_adjusted")


def count_cell(n: float | None, form: Format) -> Cell:
    """Return a number of customers or rows that no result row holds; nothing where it is not known."""
    return Cell("") if n is None or n != n else Cell(form.count(n), value=float(n))
