"""Put a run together: tidy notebooks, pages, merged results, disclosure verdict, index, and `run.json` last."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.measure.audit import OUT_OF_RANGE
from cxlib.reports import disclosure, extras, glance, page, places, provenance, withheld
from cxlib.reports.build import AGAIN, RESULTS, Build, moment
from cxlib.reports.context import Context, least
from cxlib.reports.inputs import Frozen
from cxlib.reports.made_of import made_of
from cxlib.reports.parameters import Value, declared
from cxlib.reports.writing import scrub
from cxlib.show import formats, words
from cxlib.show.scorecard import scorecard

REPAIRS = 3  # how often a run is made again with more hidden, before it is refused
PARTS = "results"  # the folder of what each notebook recorded
HEADLINES = ("decision", "plan")  # rows whose note is a sentence that opens the report of an experiment


def assemble(build: Build) -> dict[str, Any]:
    """Write all that is left of a run, its manifest last; return the manifest.

    Where it may be published once more is hidden, nothing is written: what is returned says what, and where.
    """
    frame = _merge(build)
    verdict = _verdict(build)
    if verdict["withhold"] and build.repairs < REPAIRS and not any(done.error for done in build.executed.values()):
        return {"state": AGAIN, "withhold": verdict["withhold"], "notebooks": verdict["notebooks"]}
    _parts_go(build)
    manifest = _manifest(build, verdict)
    manifest["headline"], manifest["glance"], table = _glance(build, frame)
    context = _context(build)
    if context is not None and manifest["state"] != "failed":
        table = extras.write(build, context, frame, manifest, table)
    index = build.folder / "index.html"
    index.write_text(_index(build, table, manifest), encoding="utf-8")
    people = [] if manifest["errors"] else _people(build, manifest)  # a page with an error is never published
    if people:
        verdict |= {"verdict": "refused", "found": [*verdict["found"], *people]}
        manifest["state"] = "failed"
        index.write_text(_index(build, table, manifest), encoding="utf-8")
    manifest["outputs"] = provenance.checksums(build.folder, leave_out=[places.MANIFEST])
    text = json.dumps(manifest, indent=1, ensure_ascii=False, default=str)
    unfinished = build.folder / f"{places.MANIFEST}.part"
    unfinished.write_text(text + "\n", encoding="utf-8")
    provenance.to_disk(build.folder)
    unfinished.replace(build.folder / places.MANIFEST)
    return manifest


def _merge(build: Build) -> pd.DataFrame:
    """Merge what the notebooks recorded, in reading order, into one file; what two of them show stands once.

    A worker that dies may leave this to be done again: the parts go only once the whole is there, and nothing of it is
    to be made again.
    """
    merged = build.folder / RESULTS
    if not (build.folder / PARTS).is_dir() and merged.is_file():
        return pd.read_parquet(merged)
    files = [build.folder / PARTS / f"{name}.parquet" for name in build.notebooks]
    frame = results.concat(pd.read_parquet(path) for path in files if path.is_file())
    frame = frame.drop_duplicates(list(results.TEXT), ignore_index=True)
    unfinished = merged.with_suffix(".part")
    frame.to_parquet(unfinished, index=False)
    unfinished.replace(merged)
    return frame


def _parts_go(build: Build) -> None:
    """Remove what is merged, or was but for the notebooks, in one step."""
    parts, gone = build.folder / PARTS, build.folder / f".{PARTS}"
    shutil.rmtree(gone, ignore_errors=True)
    if parts.is_dir():
        parts.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
    (build.folder / withheld.FILE).unlink(missing_ok=True)


def _people(build: Build, manifest: Mapping[str, Any]) -> list[str]:
    """Look through all that was made, the index and the manifest too, for what tells who somebody is, or may."""
    from cxlib.reports.disclosure import outputs, personal

    known = personal.known(build.root, build.params, build.snapshot["id"])
    return [*outputs.scan(build.folder), *personal.scan(build.folder, known, {places.MANIFEST: manifest})]


def _verdict(build: Build) -> dict[str, Any]:
    """Pass the run through the gate, beside all reports that stand."""
    space = build.params.workspace
    counted = [*build.params.metrics.values(), OUT_OF_RANGE]
    small = {metric.id: least(space, metric) for metric in counted}
    others = [] if build.alone else places.others(places.folder_of(build.root, space.reports), build.name)
    beside = disclosure.Beside(
        {metric.id: metric for metric in counted}, build.params.touchpoints, [one.folder for one in others],
        withheld.cells(build.withheld), build.params.segments,
    )  # fmt: skip
    return disclosure.check(build.folder, small, space.min_n, beside) | {"beside": places.named(others)}


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
        "readers": list(build.report.readers),
        "period": build.period.label,
        "period_title": build.about,
        "experiment": build.experiment,
        "state": "failed" if errors or verdict["verdict"] != "passed" else "published",
        "errors": errors,
        "retried": [done.name for done in executed if done.tries > 1],
        "started_at": build.started_at.isoformat(),
        "snapshot": {key: build.snapshot[key] for key in ("id", "created_at", "tables")},
        "rows": build.snapshot["batches"],
        "code": {"cxlib": provenance.versions().get("cxlib", ""), **provenance.code(build.root)},
        "notebooks": build.notebook_hashes(),
        "pages": {name: page.first_heading(notebook, name) for name, notebook in build.notebooks.items()},
        "definitions": build.definitions(),
        "made_of": made_of(build),
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


def _glance(build: Build, frame: pd.DataFrame) -> tuple[list[str], dict[str, Any], str]:
    """Return the headline in sentences, what the catalogue shows of the report, and the table of its metrics."""
    context = _context(build)
    if build.experiment:
        told = [line for note in frame.loc[frame["metric"].isin(HEADLINES), "note"] for line in note.splitlines()]
        return told or [f"{build.about}: nothing could be told."], {}, ""
    metrics = context.described if context else build.metrics()
    metrics = {name: metrics[name] for name in build.report.metrics}
    currency = context.currency if context else None
    how: dict[str, Any] = {"currency": currency, "locale": build.params.workspace.locale}
    formats.use(currency or build.params.workspace.currency, build.params.workspace.locale)
    whole = frame[(frame["segment"] == "all") & frame["metric"].isin(metrics)]
    lead, *rest = words.headline(whole, metrics, build.period, **how)
    why = words.reason(frame, metrics, **how)
    told = [lead, *filter(None, [why]), *rest]
    table = scorecard(whole, metrics, build.period.label, title="All metrics", **how)
    return told, glance.glance(frame, metrics, build.period, context, **how), table


def _index(build: Build, table: str, manifest: Mapping[str, Any]) -> str:
    """Return the page that opens a report: headline, pages, table, provenance."""
    title = f"{build.report.title}, {build.about}"
    parts = [f"<h1>{escape(title)}</h1>"]
    parts += [page.failure(error, f"{name} stopped with an error") for name, error in manifest["errors"].items()]
    parts += [page.failure(reason, "Not published") for reason in manifest["disclosure"]["found"]]
    context = _context(build)
    told = ["This run is not published. The last good report, if there was one, still stands."]
    parts.append(page.warnings(told * (manifest["state"] == "failed") + (context.warnings if context else [])))
    parts.append(page.headline(manifest["headline"]))
    pages = [
        (f"{name}.html", page.first_heading(notebook, name), _found(build, name))
        for name, notebook in build.notebooks.items()
    ]
    parts += [page.links(pages), "<h2>At a glance</h2>" if table else "", table, extras.links(manifest)]
    parts.append("<h2>Where this comes from</h2>")
    parts.append(_facts(build, manifest, [origin.title for origin in context.origins] if context else []))
    return page.page(title, "\n".join(parts), build.shell(), current="index.html")


def _found(build: Build, name: str) -> str:
    """Return what a page says first: what it found, else what it asks."""
    executed = build.folder / f"{name}.ipynb"
    found = page.findings(json.loads(executed.read_text(encoding="utf-8"))) if executed.is_file() else []
    return next(iter(found), page.first_paragraph(build.notebooks[name]))


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
    held = sorted(manifest["snapshot"]["tables"].items())
    tables = ", ".join(f"{name} {formats.counted(table['rows'])}" for name, table in held)
    pairs = {
        "Period": f"{build.period.title} ({build.period.first_day} to {last}, {build.params.workspace.timezone})",
        "Data": f"snapshot {manifest['snapshot']['id']} of {moment(manifest['snapshot']['created_at'])}",
        "Sources": "; ".join(sources),
        "Rows": tables,
        "Code": ", ".join(filter(None, (f"cxlib {code['cxlib']}" if code["cxlib"] else "", commit))),
        "Parameters": ", ".join(f"{name} = {value}" for name, value in build.given.items()),
        "Small groups": f"below {build.params.workspace.min_n} customers no number is shown; metrics may ask for more",
        "Files": "results.parquet, results.csv, results.xlsx, run.json, figures/, tables/, inputs/",
    }
    return page.facts(pairs)
