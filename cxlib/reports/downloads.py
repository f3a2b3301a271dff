"""Every table of a page as CSV and Excel, every figure as PNG and SVG: written while recording, linked beneath.

CSV is for programs: one row a number, the column names of `results.parquet`, decimal points and ISO dates whatever the
locale. Excel is for people: the table as it stands on the page with numbers that are numbers, then the same rows as in
the CSV, then where it comes from and what the words mean.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from cxlib import results
from cxlib.params.models import Metric
from cxlib.reports import spreadsheets
from cxlib.reports.spreadsheets import Number, Sheet, Value
from cxlib.show.formats import Format
from cxlib.show.locales import money_places
from cxlib.show.markup import Cell, Grid, Html, key_of

TABLES, FIGURES = "tables", "figures"
COLUMNS = (
    "title", "period", "segment", "level", "comparison", "against", "at", "estimate", "conf_low", "conf_high", "unit",
    "n", "verdict", "status", "note", "definition", "method", "metric", "std_error", "p_value", "p_adjusted", "n_eff",
)  # fmt: skip
_UNITS = {
    "percent": "share of 1",
    "per_month": "share of 1 a month",
    "per_1000_months": "per 1,000 customer-months",
}
_PERCENT = ("percent", "per_month")
_FORMS = {"score": "0.00", "count": "#,##0.0#", "rank": "0", "points": "0.0", "days": "0.0", "seconds": "#,##0.0"}
_READING = (
    ("Numbers", "as they were computed; Excel shows them rounded. Shares are parts of 1: 0.808 is 80.8 %."),
    ("conf_low, conf_high", "the interval of the estimate"),
    ("status suppressed", "hidden: a small group, or one could be worked out from it. Neither number nor n."),
    ("status too_few", "too few answers to say anything"),
    ("status undefined", "not available; the note says why"),
    ("verdict could not have been seen", "a change that matters would have escaped this many answers"),
    ("An apostrophe before = + - @", "in CSV, so that no spreadsheet takes a text for a formula"),
)
_TYPES = {
    "csv": "text/csv;charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "png": "image/png",
}
_LONGEST = 50


@dataclass(frozen=True)
class Source:
    """Where the numbers of a download come from, for its last sheet.

    `facts` are named sentences: the company, the report, the period, the snapshot, the code. `metrics` describe the
    ids of the rows.
    """

    company: str
    form: Format
    facts: Mapping[str, str]
    metrics: Mapping[str, Metric] = field(default_factory=dict)


def slug(title: str) -> str:
    """Return a title as a part of a file name: small letters, digits and hyphens, at most 50 of them."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    cut = words if len(words) <= _LONGEST else words[:_LONGEST].rpartition("-")[0]
    return cut or words[:_LONGEST] or "table"


def links(addresses: Mapping[str, str], title: str, before: str = "") -> str:
    """Return quiet links under a table or a figure: what they are called -> address; `before` is text before them."""
    named = (
        f'<a href="{escape(address)}" aria-label="{escape(f"{name}: {title}")}">{name}</a>'
        for name, address in addresses.items()
    )
    return f'<p class="soft cx-files">{escape(before)}{" · ".join(named)}</p>'


def inside(figure: str, words: str) -> str:
    """Return the HTML of a figure with something more at its end."""
    head, end, rest = figure.rpartition("</figure>")
    return f"{head}{words}{end}{rest}" if end else figure + words


def inline(contents: Mapping[str, tuple[str, bytes]], title: str) -> str:
    """Return links that carry their file: what they are called -> (file name, content)."""
    named = (
        f'<a download="{escape(name)}" aria-label="{escape(f"{word}: {title}")}" '
        f'href="data:{_TYPES[name.rpartition(".")[2]]};base64,{base64.b64encode(content).decode("ascii")}">{word}</a>'
        for word, (name, content) in contents.items()
    )
    return f'<p class="soft cx-files">{" · ".join(named)}</p>'


def table_csv(html: Html, source: Source) -> bytes:
    """Return a table as CSV: its tidy rows, or the cells as shown where it is made of no result rows."""
    heads, lines = _rows(html, source)
    return spreadsheets.csv_bytes(heads, lines)


def table_workbook(html: Html, source: Source) -> bytes:
    """Return a table as a workbook of three sheets."""
    heads, lines = _rows(html, source)
    people, shown = as_shown(html.grid, source.form) if html.grid else ((), [])
    sheets = [
        Sheet("Table", people, shown, title=html.heading, below=[html.below] if html.below else ()),
        Sheet("Rows", heads, lines),
        about(source, html.rows),
    ]
    return spreadsheets.workbook(sheets, html.heading, source.company)


def _rows(html: Html, source: Source) -> tuple[Sequence[str], list[list[Value]]]:
    """Return what a program reads of a table."""
    if html.rows:
        units = {key_of(cell.row): cell.unit for cell in html.grid.cells if cell.row and cell.unit} if html.grid else {}
        return COLUMNS, [tidy(row, source, units.get(key_of(row), "")) for row in html.rows]
    if html.grid is None:
        return ("text",), [[html.heading]]
    heads = [*html.grid.heads, *html.grid.columns]
    body = [
        [*key, *(_plain(column[place]) for column in html.grid.columns.values())]
        for place, key in enumerate(html.grid.keys)
    ]
    return heads, body


def _plain(cell: Cell) -> Value:
    return cell.value if cell.value is not None else cell.text


def tidy(row: Mapping[str, Any], source: Source, unit: str = "") -> list[Value]:
    """Return a row of a result frame as a line under `COLUMNS`; `unit` where its metric is not described."""
    metric = source.metrics.get(row["metric"])
    title = metric.title if metric else str(row["metric"]).replace("_", " ")
    said = {"title": title, "unit": unit_words(row, metric.unit if metric else unit, source.form.currency)}
    hidden = row["status"] != results.OK
    return [said[name] if name in said else "" if name in results.NUMBERS and hidden else row[name] for name in COLUMNS]


def unit_words(row: Mapping[str, Any], unit: str, currency: str) -> str:
    """Return what the estimate of a row is counted in."""
    if row["comparison"] == "relative":
        return "share of the earlier value"
    if row["comparison"] == "test":
        return ""
    if row["comparison"] == "share" and not unit:
        return _UNITS["percent"]
    return currency if unit == "money" else _UNITS.get(unit, unit)


def as_shown(grid: Grid, form: Format) -> tuple[list[str], list[list[Value]]]:
    """Return the headings and lines of a table as people see it, what stands beneath a number in columns of its own."""
    heads, parts = list(grid.heads), [list(column) for column in zip(*grid.keys, strict=True)] or [[]]
    columns: list[list[Value]] = [list(part) for part in parts]
    for name, cells in grid.columns.items():
        if any("<svg" in cell.html or "<img" in cell.html for cell in cells):
            continue  # a picture of numbers that stand in the rows
        main, limits, words = zip(*(_split(cell, form) for cell in cells), strict=True) if cells else ((), (), ())
        change = any(_in_points(cell) for cell in cells)
        head = f"{name} (0.01 is 1 pp)" if change else name
        heads.append(head)
        columns.append(list(main))
        for place, end in enumerate(("low", "high")):
            if any(limits):
                heads.append(f"{name}: {end}")
                columns.append([pair[place] if pair else None for pair in limits])
        if any(words):
            heads.append(f"{name}: reading")
            columns.append(list(words))
    return heads, [list(line) for line in zip(*columns, strict=True)]


def _in_points(cell: Cell) -> bool:
    """Say whether a cell shows a difference of shares: percentage points on the page, a part of 1 in the file."""
    differs = cell.row is not None and cell.row["comparison"] == "difference"
    return differs and cell.value is None and cell.shows == "estimate" and cell.unit in _PERCENT


def _split(cell: Cell, form: Format) -> tuple[Value, tuple[Value, Value] | None, str]:
    """Return the number of a cell, its limits, and the words that stand beneath; only words where it has no number."""
    said = cell.text.split(" · ")
    if cell.value is not None:
        return Number(cell.value, excel_form(cell.unit, form) if cell.unit else "#,##0"), None, " · ".join(said[1:])
    row = cell.row
    if row is None or row["status"] != results.OK or row[cell.shows] is None or row[cell.shows] != row[cell.shows]:
        return cell.text, None, ""
    if cell.shows != "estimate":
        return Number(float(row[cell.shows]), "#,##0" if cell.shows.startswith("n") else "0.000"), None, ""
    change = row["comparison"] in ("difference", "relative")
    how = excel_form(cell.unit, form, sign=change or cell.unit == "points")
    low, high = (Number(float(row[end]), how) for end in ("conf_low", "conf_high"))
    return Number(float(row["estimate"]), how), (low, high), " · ".join(said[2:])


def excel_form(unit: str, form: Format, *, sign: bool = False) -> str:
    """Return Excel's number format of a unit; Excel puts in the separators of who opens the file."""
    if unit in _PERCENT:
        digits = "0.0%"
    elif unit == "money":
        before, after = (f'"{part}"' if part else "" for part in form.around_money())
        places = money_places(form.currency)
        decimals = f".{'0' * places}" if places else ""
        digits = f"{before}#,##0{decimals}{after}"
    else:
        digits = _FORMS.get(unit, "General")
    if not sign or digits == "General":
        return digits
    return f"+{digits};-{digits};{digits}"


def about(source: Source, shown: Sequence[Mapping[str, Any]]) -> Sheet:
    """Return the sheet that says where numbers come from, how they are defined and what the words mean."""
    lines: list[list[Value]] = [[name, words] for name, words in source.facts.items() if words]
    hashes: dict[str, set[str]] = {}
    for row in shown:
        hashes.setdefault(row["metric"], set()).update({row["definition"]} - {""})
    for name, found in hashes.items():
        metric = source.metrics.get(name)
        if metric is not None:
            version = f"definition {', '.join(sorted(found))} (version {metric.version})" if found else ""
            lines.append([metric.title, "; ".join(filter(None, [metric.question, version, *metric.caveats]))])
    return Sheet("About", ["What", "Words"], [*lines, *([name, words] for name, words in _READING)])
