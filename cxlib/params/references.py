"""What ties the files of `params/` together: names that must exist elsewhere, and rules between keys of one file.

Objects may come from faulty files: a key that is at fault is None, and what hangs on it is passed over.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from typing import TypeGuard
from zoneinfo import ZoneInfo, available_timezones

from cxlib.contract import TABLES, TYPES
from cxlib.errors import did_you_mean
from cxlib.params import places
from cxlib.params.definitions import (
    check_condition,
    check_drivers,
    check_metric,
    check_segment,
    check_signals,
    known_types,
)
from cxlib.params.draft import Draft, Entry
from cxlib.params.faults import none_of
from cxlib.params.models import Change, Driver, File
from cxlib.periods import known_locale

Path_ = tuple[str | int, ...]
Types = Mapping[str, Mapping[str, str]]


def check_references(draft: Draft, known_columns: Mapping[str, Iterable[str]]) -> None:
    """Add to `draft.faults` what no file shows by itself."""
    workspace = draft.singles.get("workspace")
    written = (workspace.text.data or {}).get("attributes") if workspace else None
    attributes = {name: kind if kind in TYPES else "" for name, kind in written.items()} if _is_map(written) else {}
    types = known_types(attributes, known_columns)
    if workspace and workspace.content:
        _workspace(draft, workspace)
        _worth(draft, workspace, types)
    for name, check in _CHECKS.items():
        for entry in draft.folders[name].values():
            if entry.content is not None:
                check(draft, entry)
    for entry in draft.folders["experiments"].values():
        if entry.content is not None:
            _experiment(draft, entry, types)
    for entry in draft.folders["metrics"].values():
        if entry.content is not None:
            check_metric(draft, entry, types)
    for entry in draft.folders["segments"].values():
        if entry.content is not None and workspace and workspace.content:  # else no attribute is known
            check_segment(draft, entry, types)
    for entry in draft.folders["drivers"].values():
        if entry.content is not None:
            _drivers(draft, entry, types)
    for name, check in _OF_SINGLES.items():
        if name in draft.singles and draft.singles[name].content is not None:
            check(draft, draft.singles[name])
    if "watch" in draft.singles and draft.singles["watch"].content is not None:
        check_signals(draft, draft.singles["watch"], types)
    if "changes" in draft.singles and draft.singles["changes"].content is not None:
        _changes(draft, draft.singles["changes"], types if workspace and workspace.content else None)


def _is_map(value: object) -> TypeGuard[dict[str, str]]:
    """Tell whether a key holds `key: value` lines."""
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _exists(draft: Draft, entry: Entry, path: Path_, folder: str, name: str | None) -> None:
    """Refuse a name of a file that does not exist."""
    known = draft.folders[folder]
    if name and name not in known:
        draft.blame(
            entry, path, f"there is no params/{folder}/{name}{_suffix(folder)}{did_you_mean(name, known)}", name
        )


def _suffix(folder: str) -> str:
    """Return how the files of a folder end."""
    return "/source.yml" if folder == "sources" else ".yml"


def _all_exist(draft: Draft, entry: Entry, key: Path_, folder: str, names: Iterable[str] | None) -> None:
    """Refuse names in a list that do not exist or stand there twice."""
    seen: set[str] = set()
    for place, name in enumerate(names or ()):
        _exists(draft, entry, (*key, place), folder, name)
        if name in seen:
            draft.blame(entry, (*key, place), f"'{name}' is listed twice: keep one", name)
        seen.add(name)


def _timezone(draft: Draft, entry: Entry, key: Path_, name: str | None) -> None:
    """Refuse a timezone that does not exist."""
    try:
        ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        advice = did_you_mean(str(name), available_timezones()) or "; write one as Europe/Madrid"
        draft.blame(entry, key, f"'{name}' is not a timezone{advice}", str(name))


def _locale(draft: Draft, entry: Entry) -> None:
    """Refuse a locale that CLDR does not know: its numbers would be written in English."""
    name = str(entry.content.locale or "en")
    if name != "en" and known_locale(name) is None:
        from babel.localedata import locale_identifiers

        advice = did_you_mean(name.replace("-", "_"), locale_identifiers()) or "; write one as es, pt-BR or en-GB"
        draft.blame(entry, ("locale",), f"'{name}' is not a locale{advice}", name)


def _workspace(draft: Draft, entry: Entry) -> None:
    """Check the timezone, the locale, the segments of weighting, and that attributes are no columns of the contract."""
    _timezone(draft, entry, ("timezone",), entry.content.timezone)
    _locale(draft, entry)
    if entry.content.weighting is not None:
        _weighting(draft, entry)
    for name in entry.content.attributes or {}:
        if TABLES["customers"].column(name):
            draft.blame(
                entry, ("attributes", name), f"'{name}' is a column of the contract already: leave it out", name
            )
        elif not name.isidentifier():
            draft.blame(entry, ("attributes", name), f"'{name}' is not a column name: letters, digits and _", name)


def _weighting(draft: Draft, entry: Entry) -> None:
    """Check that surveys are weighted by segments of customers: nothing else has a population."""
    _of_customers(draft, entry, ("weighting", "segments"), entry.content.weighting.segments, "carry weights")


def _worth(draft: Draft, entry: Entry, types: Types) -> None:
    """Check the condition of what satisfaction cannot touch."""
    control = entry.content.worth.negative_control if entry.content.worth else None
    if control is not None and control.when:
        path: Path_ = ("worth", "negative_control", "when")
        check_condition(draft, entry, path, control.when, "interactions", types)


def _of_customers(draft: Draft, entry: Entry, key: Path_, names: Iterable[str] | None, use: str) -> None:
    """Refuse segments that do not exist, or that are not of customers."""
    _all_exist(draft, entry, key, "segments", names)
    for place, name in enumerate(names or ()):
        found = draft.folders["segments"].get(name)
        if found is not None and found.content is not None and found.content.on == "event":
            message = f"'{name}' is a segment of events: only segments of customers {use}"
            draft.blame(entry, (*key, place), message, name)


def _report(draft: Draft, entry: Entry) -> None:
    """Check that a report's notebooks, metrics and segments exist."""
    report = entry.content
    _all_exist(draft, entry, ("metrics",), "metrics", report.metrics)
    if not report.metrics and report.of == "period":
        draft.blame(entry, ("metrics",), "is missing: name one metric at least")
    _all_exist(draft, entry, ("segments",), "segments", report.segments)
    _all_exist(draft, entry, ("audit",), "metrics", report.audit)
    _all_exist(draft, entry, ("drivers",), "drivers", report.drivers)
    for place, name in enumerate(report.audit or ()):
        metric = draft.folders["metrics"][name].content if name in draft.folders["metrics"] else None
        if metric is not None and metric.table not in (None, "responses", "invitations"):
            message = f"'{name}' counts {metric.table}: an audit asks of responses or invitations"
            draft.blame(entry, ("audit", place), message, name)
    folder = report.folder or f"notebooks/{report.id}"
    found = [path.stem for path in sorted((draft.root / folder).glob("*.ipynb"))]
    for place, name in enumerate(report.notebooks or ()):
        if name not in found:
            advice = did_you_mean(name, found)
            draft.blame(entry, ("notebooks", place), f"there is no notebook {folder}/{name}.ipynb{advice}", name)
        if name in report.notebooks[:place]:
            draft.blame(entry, ("notebooks", place), f"'{name}' is listed twice: keep one", name)


def _drivers(draft: Draft, entry: Entry, types: Types) -> None:
    """Check that a model's outcome, segments, themes and experiments exist, and what it says of their rows."""
    model = entry.content
    _exists(draft, entry, ("outcome",), "metrics", model.outcome)
    _of_customers(draft, entry, ("segments",), model.segments, "belong to the customers' mix")
    codebook = draft.singles.get("codebook")
    themes = codebook.content.themes if codebook and codebook.content else {}
    for name, driver in (model.drivers or {}).items():
        if driver is None:
            continue
        _exists(draft, entry, ("drivers", name, "experiment"), "experiments", driver.experiment)
        _ends(draft, entry, name, driver)
        if driver.theme and themes is not None and driver.theme not in themes:
            message = none_of(driver.theme, themes, "the themes of codebook.yml:")
            draft.blame(entry, ("drivers", name, "theme"), message, driver.theme)
    outcome = draft.folders["metrics"].get(model.outcome or "")
    if outcome is not None and outcome.content is not None:
        check_drivers(draft, entry, outcome.content, types)


def _ends(draft: Draft, entry: Entry, name: str, driver: Driver) -> None:
    """Check that a driver has both ends of how well it goes, or neither, and that they differ."""
    given = [key for key in ("worst", "best") if getattr(driver, key) is not None]
    if len(given) == 1:
        message = f"'{given[0]}' stands alone: how well it goes needs both worst and best"
        draft.blame(entry, ("drivers", name, given[0]), message)
    elif given and driver.worst == driver.best:
        draft.blame(entry, ("drivers", name, "best"), f"'{driver.best:g}' is the worst value, too", f"{driver.best:g}")


def _experiment(draft: Draft, entry: Entry, types: Types) -> None:
    """Check an experiment's arms, dates, unit and metrics."""
    plan = entry.content
    shares = plan.variants
    if shares is not None and len(shares) < 2:
        draft.blame(entry, ("variants",), f"an experiment has two variants or more, not {len(shares)}")
    elif shares and None not in shares.values() and abs(sum(shares.values()) - 1) > 1e-3:
        draft.blame(entry, ("variants",), f"the shares of the variants add up to {sum(shares.values()):g}, not to 1")
    if plan.start and plan.stop and plan.stop < plan.start:
        draft.blame(entry, ("stop",), f"'{plan.stop}' is before the start, {plan.start}", plan.stop)
    units = [column.name for column in TABLES["customers"].columns if column.name.endswith("_id")]
    if plan.unit and plan.unit not in units:
        draft.blame(entry, ("unit",), none_of(plan.unit, units), plan.unit)
    _exists(draft, entry, ("primary_metric",), "metrics", plan.primary_metric)
    for key in ("metrics", "guardrails"):
        _all_exist(draft, entry, (key,), "metrics", getattr(plan, key))
    for name in plan.margins or {}:
        if name not in (plan.guardrails or ()):
            draft.blame(entry, ("margins", name), none_of(name, plan.guardrails or (), "the guardrails:"), name)
    _of_customers(draft, entry, ("segments",), plan.segments, "were there before a unit was exposed")
    if plan.covariates is not None:
        path: Path_ = ("covariates", "segments")
        _of_customers(draft, entry, path, plan.covariates.segments, "were there before a unit was exposed")
    for place, day in enumerate(plan.looks or ()):
        if day and plan.start and plan.stop and not plan.start < day <= plan.stop:
            draft.blame(entry, ("looks", place), f"'{day}' is not between the start and the stop", day)
    if plan.traffic is not None and plan.traffic.table and plan.traffic.when:
        check_condition(draft, entry, ("traffic", "when"), plan.traffic.when, plan.traffic.table, types)
    if plan.looks and plan.any_time:
        draft.blame(entry, ("any_time",), "looks are planned, or taken at any time: keep one of the two")


def _source(draft: Draft, entry: Entry) -> None:
    """Check a source's timezones, encodings, tables and SQL files."""
    source = entry.content
    _timezone(draft, entry, ("timezone",), source.timezone)
    for place, table in enumerate(source.full_extract or ()):
        if table not in TABLES:
            draft.blame(entry, ("full_extract", place), none_of(table, TABLES, "the contract's tables:"), table)
    for alias, file in (source.files or {}).items():
        if not alias.isidentifier():
            message = f"'{alias}' cannot be used as a name in SQL: letters, digits and _"
            draft.blame(entry, ("files", alias), message, alias)
        if file is not None:
            _file(draft, entry, ("files", alias), file)
    queries = sorted(entry.path.parent.glob("*.sql"))
    for path in queries:
        table = path.name.removesuffix(".sql").removesuffix(".delete")
        if table not in TABLES:
            draft.blame_file(path, none_of(table, TABLES, "the contract's tables:"))
    if not queries:
        draft.blame(entry, (), f"no SQL beside it: add one <table>.sql for each of {', '.join(TABLES)} that it fills")


def _file(draft: Draft, entry: Entry, key: Path_, file: File) -> None:
    """Check one file's encoding, its columns' timezones, and where its questions are asked."""
    if file.encoding and not _is_encoding(file.encoding):
        message = f"'{file.encoding}' is not an encoding; most are utf-8, latin-1 or cp1252"
        draft.blame(entry, (*key, "encoding"), message, file.encoding)
    for column, time in (file.times or {}).items():
        if time is not None and time.timezone:
            _timezone(draft, entry, (*key, "times", column, "timezone"), time.timezone)
    taxonomy = draft.singles.get("touchpoints")
    known = taxonomy.content.touchpoints if taxonomy and taxonomy.content else None
    for column, question in (file.questions or {}).items():
        if question is not None and question.touchpoint and known and question.touchpoint not in known:
            message = none_of(question.touchpoint, known, "the touchpoints:")
            draft.blame(entry, (*key, "questions", column, "touchpoint"), message, question.touchpoint)


def _is_encoding(name: str) -> bool:
    """Tell whether Python knows the encoding."""
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True


def _framework(draft: Draft, entry: Entry) -> None:
    """Check that each goal's number and source exist."""
    for place, goal in enumerate(entry.content.goals or ()):
        _exists(draft, entry, ("goals", place, "kpi"), "metrics", goal.kpi)
        _exists(draft, entry, ("goals", place, "source"), "sources", goal.source)


def _changes(draft: Draft, entry: Entry, types: Types | None) -> None:
    """Check that each change's metrics and segment exist, and that what it says of levels goes together.

    Without `types` no attribute of customers is known: conditions are passed over.
    """
    for name, change in (entry.content.changes or {}).items():
        path = ("changes", name)
        for key in ("metrics", "controls"):
            _all_exist(draft, entry, (*path, key), "metrics", getattr(change, key))
        _exists(draft, entry, (*path, "segment"), "segments", change.segment)
        for metric in change.expected_effect or {}:
            _exists(draft, entry, (*path, "expected_effect", metric), "metrics", metric)
        if bool(change.segment) != bool(change.levels):
            draft.blame(entry, path, "levels are of a segment: name both, or neither where all were touched")
        if change.customers and (change.segment or change.levels):
            message = "customers were touched one by one, or levels of a segment were: keep one of the two"
            draft.blame(entry, (*path, "customers"), message, change.customers)
        if change.customers and types is not None:
            _touched(draft, entry, (*path, "customers"), change.customers, types)
        _levels(draft, entry, path, change)


def _touched(draft: Draft, entry: Entry, path: Path_, text: str, types: Types) -> None:
    """Check the condition for customers touched one by one; it names none of them, for the register is published."""
    check_condition(draft, entry, path, text, "customers", types)
    if re.search(r"\bcustomer_id\b", text):
        message = "'customer_id' would publish who they are: mark them in an attribute of customers, and name that"
        draft.blame(entry, path, message, text)


def _levels(draft: Draft, entry: Entry, path: Path_, change: Change) -> None:
    """Refuse levels that the rules of a segment do not make; a segment by column may have any."""
    segment = draft.folders["segments"][change.segment].content if change.segment in draft.folders["segments"] else None
    if segment is None or not segment.rules:
        return
    known = [*(rule.level for rule in segment.rules if rule is not None), segment.otherwise]
    for level in change.levels or {}:
        if level not in known:
            draft.blame(entry, (*path, "levels", level), none_of(level, known, "the levels of the segment:"), level)


_CHECKS = {"reports": _report, "sources": _source}
_OF_SINGLES = {"touchpoints": places.check, "framework": _framework}
