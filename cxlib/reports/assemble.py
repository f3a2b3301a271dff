"""Put a run together: tidy notebooks, pages, merged results, disclosure verdict, index, and `run.json` last."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.measure.audit import OUT_OF_RANGE
from cxlib.reports import disclosure, page, places, provenance
from cxlib.reports.build import Build, moment
from cxlib.reports.context import Context, least
from cxlib.reports.execute import Executed, libraries
from cxlib.reports.inputs import Frozen
from cxlib.reports.parameters import Value, declared
from cxlib.show import tables, words

RESULTS = "results.parquet"
HEADLINES = ("decision", "plan")  # rows whose note is a sentence that opens the report of an experiment


def write_page(build: Build, done: Executed) -> None:
    """Write the executed notebook and its page; an error stands on top of the page."""
    tidy(done.notebook, build.root, build.folder)
    libraries()[0].write(done.notebook, build.folder / f"{done.name}.ipynb")
    banner = page.failure(scrub(done.error, build.root, build.folder)) if done.error else ""
    title = page.first_heading(build.notebooks[done.name], done.name)
    text = page.page(title, banner + page.notebook_body(done.notebook), build.shell(), current=f"{done.name}.html")
    (build.folder / f"{done.name}.html").write_text(text, encoding="utf-8")


def tidy(notebook: Any, root: Path, folder: Path) -> None:
    """Take out of an executed notebook what is only true of this machine and this minute."""
    for cell in notebook.cells:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        for output in cell.get("outputs", []):
            for key in ("text", "evalue", "traceback"):
                if key in output:
                    output[key] = _scrub_any(output[key], root, folder)
            data = output.get("data", {})
            for kind in [kind for kind in data if kind.startswith("text/")]:
                data[kind] = _scrub_any(data[kind], root, folder)


def _scrub_any(value: Any, root: Path, folder: Path) -> Any:
    return [scrub(line, root, folder) for line in value] if isinstance(value, list) else scrub(value, root, folder)


def scrub(text: str, root: Path, folder: Path) -> str:
    """Take the folders of this machine out of a text, the longest first."""
    package = Path(__file__).resolve().parents[2]
    known = {
        folder: "",
        root: "",
        package: "",
        Path(sys.prefix): "python",
        Path(tempfile.gettempdir()): "temporary",
        Path.home(): "~",
    }
    for path, name in sorted(known.items(), key=lambda pair: -len(str(pair[0]))):
        for spelled in {str(path), os.path.realpath(path)}:
            if len(spelled) > 1:
                text = text.replace(f"{spelled}{os.sep}", f"{name}/" if name else "")
                text = text.replace(spelled, name or ".") if path in (folder, root) else text
    return text


def assemble(build: Build) -> dict[str, Any]:
    """Write all that is left of a run, its manifest last; return the manifest."""
    frame = _merge(build)
    counted = [*build.params.metrics.values(), OUT_OF_RANGE]
    small = {metric.id: least(build.params.workspace, metric) for metric in counted}
    manifest = _manifest(build, disclosure.check(build.folder, small, build.params.workspace.min_n))
    manifest["headline"], glance = _glance(build, frame)
    (build.folder / "index.html").write_text(_index(build, glance, manifest), encoding="utf-8")
    manifest["outputs"] = provenance.checksums(build.folder, leave_out=[places.MANIFEST])
    text = json.dumps(manifest, indent=1, ensure_ascii=False, default=str)
    unfinished = build.folder / f"{places.MANIFEST}.part"
    unfinished.write_text(text + "\n", encoding="utf-8")
    unfinished.replace(build.folder / places.MANIFEST)
    return manifest


def _merge(build: Build) -> pd.DataFrame:
    """Merge what the notebooks recorded, in reading order, into one file; what two of them show stands once."""
    files = [build.folder / "results" / f"{name}.parquet" for name in build.notebooks]
    frame = results.concat(pd.read_parquet(path) for path in files if path.is_file())
    frame = frame.drop_duplicates(list(results.TEXT), ignore_index=True)
    frame.to_parquet(build.folder / RESULTS, index=False)
    shutil.rmtree(build.folder / "results", ignore_errors=True)
    return frame


def _manifest(build: Build, verdict: dict[str, Any]) -> dict[str, Any]:
    """Return the content of `run.json` but for the checksums."""
    seconds = round(time.perf_counter() - build.started, 3)
    executed = [build.executed[name] for name in build.notebooks]
    errors = {done.name: scrub(done.error, build.root, build.folder) for done in executed if done.error}
    seeds = {name: values["seed"] for name, values in _seeds(build).items()}
    return {
        "format": 1,
        "pack": build.report.id,
        "title": build.report.title,
        "audience": build.report.audience,
        "period": build.period.label,
        "period_title": build.about,
        "experiment": build.experiment,
        "state": "failed" if errors or verdict["verdict"] != "passed" else "published",
        "errors": errors,
        "started_at": build.started_at.isoformat(),
        "snapshot": {key: build.snapshot[key] for key in ("id", "created_at", "tables")},
        "rows": build.snapshot["batches"],
        "code": {"cxlib": provenance.versions().get("cxlib", ""), **provenance.code(build.root)},
        "notebooks": build.notebook_hashes(),
        "pages": {name: page.first_heading(notebook, name) for name, notebook in build.notebooks.items()},
        "definitions": build.definitions(),
        "parameters": {"given": build.given, "resolved": build.resolved},
        "seeds": seeds,
        "disclosure": verdict,
        "versions": provenance.versions(),
        "seconds": {"total": seconds} | {done.name: round(done.seconds, 3) for done in executed},
    }


def _seeds(build: Build) -> Mapping[str, Mapping[str, Value]]:
    """Return the notebooks that have a seed among their parameters, with all that these resolve to."""
    found = {}
    for name, notebook in build.notebooks.items():
        values = {key: one.default for key, one in declared(notebook, name).items()} | build.resolved.get(name, {})
        if "seed" in values:
            found[name] = values
    return found


def _glance(build: Build, frame: pd.DataFrame) -> tuple[list[str], str]:
    """Return the headline in sentences, and the table of the pack's metrics."""
    context = _context(build)
    if build.experiment:
        told = [line for note in frame.loc[frame["metric"].isin(HEADLINES), "note"] for line in note.splitlines()]
        return told or [f"{build.about}: nothing could be told."], ""
    metrics = context.described if context else build.metrics()
    metrics = {name: metrics[name] for name in build.report.metrics}
    currency = context.currency if context else None
    how: dict[str, Any] = {"currency": currency, "locale": build.params.workspace.locale}
    whole = frame[(frame["segment"] == "all") & frame["metric"].isin(metrics)]
    lead, *rest = words.headline(whole, metrics, build.period, **how)
    why = words.reason(frame, metrics, **how)
    told = [lead, *filter(None, [why]), *rest]
    return told, tables.scorecard(whole, metrics, build.period.label, title="All metrics", **how)


def _index(build: Build, glance: str, manifest: Mapping[str, Any]) -> str:
    """Return the page that opens a report: headline, pages, table, provenance."""
    title = f"{build.report.title}, {build.about}"
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [page.failure(error, f"{name} stopped with an error") for name, error in manifest["errors"].items()]
    parts += [page.failure(reason, "Not published") for reason in manifest["disclosure"]["found"]]
    context = _context(build)
    told = ["This run is not published. The last good report, if there was one, still stands."]
    parts.append(page.warnings(told * (manifest["state"] == "failed") + (context.warnings if context else [])))
    lead, *rest = manifest["headline"]
    points = "".join(f"<li>{escape(sentence)}</li>" for sentence in rest)
    parts.append(f'<p class="lead">{escape(lead)}</p>' + (f"<ul>{points}</ul>" if points else ""))
    pages = [
        (f"{name}.html", page.first_heading(notebook, name), page.first_paragraph(notebook))
        for name, notebook in build.notebooks.items()
    ]
    parts += [page.links(pages), "<h2>At a glance</h2>" if glance else "", glance, "<h2>Where this comes from</h2>"]
    parts.append(_facts(build, manifest, [origin.title for origin in context.origins] if context else []))
    return page.page(title, "\n".join(parts), build.shell(), current="index.html")


def _context(build: Build) -> Context | None:
    """Return what the first notebook that got so far froze of its context."""
    found = (Frozen(build.folder, name).context() for name in build.notebooks)
    return next((context for context in found if context is not None), None)


def _facts(build: Build, manifest: Mapping[str, Any], sources: Sequence[str]) -> str:
    """Return the provenance of a run, for people."""
    code, last = manifest["code"], build.period.next_day - timedelta(days=1)
    commit = (
        f"commit {code['commit'][:12]}{', with changes not committed' if code['dirty'] else ''}"
        if code["commit"]
        else ""
    )
    tables = ", ".join(f"{name} {table['rows']:,}" for name, table in sorted(manifest["snapshot"]["tables"].items()))
    pairs = {
        "Period": f"{build.period.title} ({build.period.first_day} to {last}, {build.params.workspace.timezone})",
        "Data": f"snapshot {manifest['snapshot']['id']} of {moment(manifest['snapshot']['created_at'])}",
        "Sources": "; ".join(sources),
        "Rows": tables,
        "Code": ", ".join(filter(None, (f"cxlib {code['cxlib']}" if code["cxlib"] else "", commit))),
        "Parameters": ", ".join(f"{name} = {value}" for name, value in build.given.items()),
        "Small groups": f"below {build.params.workspace.min_n} customers no number is shown; metrics may ask for more",
        "Files": "results.parquet, run.json, figures/, inputs/",
    }
    return page.facts(pairs)
