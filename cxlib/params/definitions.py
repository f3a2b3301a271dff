"""Whether metrics and segments can be computed: tables, columns, expressions, and the keys that each kind takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cxlib.contract import DATE, TABLES, TIMESTAMP, types_of
from cxlib.errors import UsageError, did_you_mean
from cxlib.expressions import CONDITION, PERIOD_NAMES, family_of, parse
from cxlib.params.draft import Draft, Entry
from cxlib.params.faults import none_of
from cxlib.params.models import DriverModel, Metric, Part

Types = Mapping[str, Mapping[str, str]]
Path_ = tuple[str | int, ...]

# The keys that say what is counted: needed, and allowed, by kind.
_NEEDED = {
    "share": ("numerator",),
    "mean": ("numerator",),
    "ratio": ("numerator", "denominator"),
    "rate": ("numerator", "denominator"),
    "nps": ("value",),
    "quantile": ("value", "quantile"),
}
_ALLOWED = {"nps": ("promoters", "detractors"), "mean": ("scale",), "ratio": ("scale",), "rate": ("scale",)}
_OF_KINDS = ("numerator", "denominator", "value", "promoters", "detractors", "quantile", "scale")
_UNITS = {"share": "percent", "nps": "points"}  # kinds with one unit only
_RANGES = {"share": (0.0, 1.0), "nps": (-100.0, 100.0)}  # of a target; a share is a fraction, shown in percent
_OUTCOMES = ("nps", "share", "mean")  # kinds that a row has a value of
# Denominators that are no expressions.
_WORDS = {"ratio": "customers", "rate": "calendar_days"}


def known_types(attributes: Mapping[str, str], known_columns: Mapping[str, Iterable[str]]) -> Types:
    """Return the type of every column of every table: contract, derived, attributes, and what the store also holds."""
    return {table: dict.fromkeys(known_columns.get(table, ()), "") | types_of(table, attributes) for table in TABLES}


def check_metric(draft: Draft, entry: Entry, types: Types) -> None:
    """Check one metric's table, time, window, cluster, kind and expressions."""
    metric: Metric = entry.content
    _kind(draft, entry)
    columns = _table(draft, entry, (), metric.table, metric.time, types)
    if columns is None:
        return
    if metric.window and not metric.time:
        draft.blame(entry, ("window",), "a window needs 'time': it runs from each row's own time", metric.window)
    if metric.cluster and metric.cluster not in columns:
        draft.blame(entry, ("cluster",), _no_column(metric.cluster, metric.table, columns), metric.cluster)
    names = set[str]()
    for key, text, wanted in _expressions(metric):
        names |= _expression(draft, entry, (key,), text, wanted, metric.table, columns)
    if "window" in names and not entry.text.data.get("window"):
        draft.blame(entry, (), "an expression names 'window', which this metric does not set")
    if not metric.time:
        _mind_period(draft, entry, (), names)
    if isinstance(metric.denominator, Part):
        _part(draft, entry, metric.denominator, types)


def check_signals(draft: Draft, entry: Entry, types: Types) -> None:
    """Check the table, the time and the conditions of each signal of `watch.yml`."""
    for name, signal in (entry.content.signals or {}).items():
        columns = _table(draft, entry, ("signals", name), signal.table, signal.time, types)
        for key in ("among", "bad"):
            text = getattr(signal, key)
            if text and columns is not None:
                names = _expression(draft, entry, ("signals", name, key), text, CONDITION, signal.table, columns)
                if names:
                    message = f"a day has no {' and no '.join(sorted(names))}: conditions are about rows alone"
                    draft.blame(entry, ("signals", name, key), message, text)


def _expressions(metric: Metric) -> list[tuple[str, str, str]]:
    """Return key, text and wanted family of each expression over the metric's own table."""
    found = [("filter", metric.filter, CONDITION)]
    found += [("numerator", metric.numerator, CONDITION if metric.kind == "share" else "number")]
    found += [("value", metric.value, "number")]
    if metric.kind == "nps":
        found += [("promoters", metric.promoters, CONDITION), ("detractors", metric.detractors, CONDITION)]
    if isinstance(metric.denominator, str) and metric.denominator != _WORDS.get(metric.kind):
        found += [("denominator", metric.denominator, "number")]
    return [(key, text, wanted) for key, text, wanted in found if text]


def _kind(draft: Draft, entry: Entry) -> None:
    """Check that the keys and the unit go with the kind."""
    metric: Metric = entry.content
    if metric.kind not in _NEEDED:
        return
    article = "an" if metric.kind == "nps" else "a"
    given = entry.text.data
    for key in _NEEDED[metric.kind]:
        if given.get(key, "") == "":
            draft.blame(entry, (key,), f"is missing: {article} {metric.kind} needs it")
    allowed = (*_NEEDED[metric.kind], *_ALLOWED.get(metric.kind, ()))
    for key in _OF_KINDS:
        if key in given and key not in allowed:
            message = f"{article} {metric.kind} does not use it: leave it out (it uses {', '.join(allowed)})"
            draft.blame(entry, (key,), message, str(given[key]))
    unit = _UNITS.get(metric.kind)
    if unit and metric.unit and metric.unit != unit:
        draft.blame(entry, ("unit",), f"'{metric.unit}': {article} {metric.kind} is in {unit}", metric.unit)
    low, high = _RANGES.get(metric.kind, (float("-inf"), float("inf")))
    if metric.target is not None and not low <= metric.target <= high:
        message = f"'{metric.target:g}' is out of range: the target of {article} {metric.kind} is {low:g} to {high:g}"
        draft.blame(entry, ("target",), message, str(given["target"]))


def _table(
    draft: Draft, entry: Entry, path: Path_, table: str | None, time: str | None, types: Types
) -> Mapping[str, str] | None:
    """Return the columns of a table; say so where the table or its time column does not exist."""
    if not table:
        return None
    if table not in TABLES:
        draft.blame(entry, (*path, "table"), none_of(table, TABLES, "the contract's tables:"), table)
        return None
    columns = types[table]
    if time and time not in columns:
        draft.blame(entry, (*path, "time"), _no_column(time, table, columns), time)
    elif time and columns[time] not in (DATE, TIMESTAMP, ""):
        times = ", ".join(name for name, kind in columns.items() if kind in (DATE, TIMESTAMP))
        message = f"'{time}' holds {columns[time]}, no times; the times of {table} are {times}"
        draft.blame(entry, (*path, "time"), message, time)
    return columns


def _part(draft: Draft, entry: Entry, part: Part, types: Types) -> None:
    """Check a denominator that lies in another table."""
    path: Path_ = ("denominator",)
    columns = _table(draft, entry, path, part.table, part.time, types)
    if columns is None:
        return
    names = set[str]()
    if part.value and part.value != "customers":
        names |= _expression(draft, entry, (*path, "value"), part.value, "number", part.table, columns)
    if part.filter:
        names |= _expression(draft, entry, (*path, "filter"), part.filter, CONDITION, part.table, columns)
    if not part.time:
        _mind_period(draft, entry, path, names)


def _mind_period(draft: Draft, entry: Entry, path: Path_, names: set[str]) -> None:
    """Refuse rows without time and without period: every period would give the same number."""
    if not names & (set(PERIOD_NAMES) - {"window"}):
        message = "is missing: give a time column, or name period_start or period_end in an expression"
        draft.blame(entry, (*path, "time"), message)


def _expression(
    draft: Draft, entry: Entry, path: Path_, text: str, wanted: str, table: str, columns: Mapping[str, str]
) -> set[str]:
    """Check one expression; return the period names that it uses."""
    try:
        expression = parse(text)
    except UsageError as error:
        draft.blame(entry, path, str(error), text)
        return {name for name in PERIOD_NAMES if name in text}  # what it means to name, as far as can be told
    unknown = sorted(expression.columns - set(columns))
    for name in unknown:
        draft.blame(entry, path, _no_column(name, table, (*columns, *PERIOD_NAMES)), text)
    if unknown:
        return set(expression.period_names)
    try:
        family = family_of(expression, columns)
        # A condition counts as 0 or 1 where a number is due.
        if family and family != wanted and (family, wanted) != (CONDITION, "number"):
            draft.blame(entry, path, f"'{text}' is a {family} where a {wanted} is due", text)
    except UsageError as error:
        draft.blame(entry, path, str(error), text)
    return set(expression.period_names)


def _no_column(name: str, table: str, known: Iterable[str]) -> str:
    """Return the message for a column that does not exist; where nothing is near, all of them."""
    known = list(known)
    head = f"{table} has no column '{name}'" if table else f"no table has a column '{name}'"
    return head + (did_you_mean(name, known) or f"; it has {', '.join(known)}")


def check_condition(draft: Draft, entry: Entry, path: Path_, text: str, table: str, types: Types) -> None:
    """Check one condition over the rows of a table."""
    _expression(draft, entry, path, text, CONDITION, table, types[table])


def check_segment(draft: Draft, entry: Entry, types: Types) -> None:
    """Check one segment's column or rules."""
    segment = entry.content
    if bool(segment.column) == bool(segment.rules) and segment.rules is not None and segment.column is not None:
        draft.blame(entry, (), "a segment has either 'column' or 'rules'")
    if segment.on not in ("customers", "event"):
        return
    tables = ["customers"] if segment.on == "customers" else [name for name in TABLES if name != "customers"]
    columns = {name: kind for table in tables for name, kind in types[table].items()}
    place = "customers" if segment.on == "customers" else ""
    if segment.column and segment.column not in columns:
        draft.blame(entry, ("column",), _no_column(segment.column, place, columns), segment.column)
    for number, rule in enumerate(segment.rules or ()):
        if rule.when:
            _expression(draft, entry, ("rules", number, "when"), rule.when, CONDITION, place, columns)
    _levels(draft, entry)


def _levels(draft: Draft, entry: Entry) -> None:
    """Check that rules name different levels and have a catch-all."""
    segment = entry.content
    if segment.rules and "otherwise" not in entry.text.data:
        draft.blame(entry, ("otherwise",), "is missing: rules need a catch-all level for the rows that meet none")
    taken: set[str] = set()
    for number, rule in enumerate(segment.rules or ()):
        path: Path_ = ("rules", number, "level")
        if rule.level in taken:
            draft.blame(
                entry, path, f"the level '{rule.level}' is given twice: join the two rules with 'or'", rule.level
            )
        if rule.level == "all" or " x " in (rule.level or ""):
            draft.blame(entry, path, f"'{rule.level}' cannot be a level: 'all' and ' x ' have a meaning in results")
        taken.add(rule.level)
    if segment.otherwise in taken:
        draft.blame(entry, ("otherwise",), f"'{segment.otherwise}' is the level of a rule already", segment.otherwise)


def check_drivers(draft: Draft, entry: Entry, metric: Metric, types: Types) -> None:
    """Check the conditions and values of a model of drivers over the rows of its outcome."""
    model: DriverModel = entry.content
    columns = types.get(metric.table or "")
    if columns is None:
        return
    if metric.kind not in _OUTCOMES or isinstance(metric.denominator, Part):
        message = f"'{metric.id}' is a {metric.kind}: drivers are sought of a score, a share or a mean of rows"
        draft.blame(entry, ("outcome",), message, metric.id)
    if model.filter:
        _expression(draft, entry, ("filter",), model.filter, CONDITION, metric.table, columns)
    for name, driver in (model.drivers or {}).items():
        if driver is not None and driver.value:
            _expression(draft, entry, ("drivers", name, "value"), driver.value, "number", metric.table, columns)
