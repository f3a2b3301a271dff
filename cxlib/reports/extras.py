"""What a whole report offers besides its pages: all numbers as CSV and Excel, the opening table's files, one PDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from cxlib.reports import downloads, offering, pdf, spreadsheets
from cxlib.reports.build import RESULTS, Build
from cxlib.reports.context import Context
from cxlib.reports.downloads import COLUMNS, TABLES, Source
from cxlib.reports.spreadsheets import Sheet
from cxlib.show import rows
from cxlib.show.markup import Html

CSV, EXCEL = "results.csv", "results.xlsx"


def pdf_name(build: Build) -> str:
    """Return the file name of a report's PDF."""
    return f"{'-'.join(build.name)}.pdf"


def write(build: Build, context: Context, frame: pd.DataFrame, manifest: dict[str, Any], glance: str) -> str:
    """Write a report's downloads; return the opening table with its links.

    Parameters
    ----------
    build, context
        The run, and what its notebooks knew of it.
    frame
        All that they recorded.
    manifest
        With the headline and the code; gets `pdf`: the name of the file, or why there is none ('' where none is asked
        for).
    glance
        The table that opens the report; '' for none.
    """
    source = _source(context, manifest)
    all_numbers(build, frame, source)
    if isinstance(glance, Html) and glance.grid is not None:
        content = {"csv": downloads.table_csv(glance, source), "xlsx": downloads.table_workbook(glance, source)}
        offering.write(build.folder / TABLES, "index-all-metrics", content)
        path = f"{TABLES}/index-all-metrics"
        named = downloads.links({"CSV": f"{path}.csv", "Excel": f"{path}.xlsx"}, glance.heading)
        glance = downloads.inside(glance, named)
    manifest["pdf"] = {"file": "", "why": ""}
    if build.report.pdf and not build.alone and not pdf.switched_off():
        locale = context.workspace.locale
        html = pdf.combined(build.folder, build.shell(), manifest["headline"], glance, locale=locale)
        why = pdf.write(html, build.folder / pdf_name(build), build.started_at)
        manifest["pdf"] = {"file": "" if why else pdf_name(build), "why": why}
    return glance


def _source(context: Context, manifest: Mapping[str, Any]) -> Source:
    """Return where all numbers come from: with the commit, which the kernels do not know."""
    found, code = offering.source_of(context), manifest["code"]
    commit = f", commit {code['commit'][:12]}" if code["commit"] else ""
    changes = ", with changes not committed" if code["dirty"] else ""
    return replace(found, facts={**found.facts, "Code": f"{found.facts['Code']}{commit}{changes}"})


def all_numbers(build: Build, frame: pd.DataFrame, source: Source) -> None:
    """Write all rows of a report as CSV and as a workbook."""
    found = rows.records(frame)
    lines = [downloads.tidy(row, source) for row in found]
    (build.folder / CSV).write_bytes(spreadsheets.csv_bytes(COLUMNS, lines))
    sheets = [Sheet("Rows", COLUMNS, lines), downloads.about(source, found)]
    (build.folder / EXCEL).write_bytes(spreadsheets.workbook(sheets, _title(source), source.company))


def _title(source: Source) -> str:
    """Return what the workbook of all numbers calls itself."""
    return f"{source.facts['Report']}, {source.facts['Period']}"


def links(manifest: Mapping[str, Any]) -> str:
    """Return the links of the page that opens a report: all its numbers, and its PDF; none for one that failed."""
    if "pdf" not in manifest:
        return ""
    found = {"CSV": CSV, "Excel": EXCEL, "Parquet": RESULTS}
    numbers = downloads.links(found, "all numbers", "All numbers: ")
    name = manifest["pdf"]["file"]
    return numbers + (downloads.links({"All pages as PDF": name}, manifest["title"]) if name else "")
