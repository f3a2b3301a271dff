"""Find a workspace, read its `params/`, and hand out either frozen objects or every fault at once."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from cxlib.errors import CxError, ParamsError, UsageError
from cxlib.expressions import parse
from cxlib.params import draft as drafts
from cxlib.params import framework, yamltext
from cxlib.params.faults import Fault
from cxlib.params.framework import Gap
from cxlib.params.models import Metric, Params, Part
from cxlib.params.references import check_references

# What decides the number of a metric, by its kind; all else (title, owner, caveats, target, version) only tells of it.
_COMMON = ("kind", "unit", "table", "time", "window", "filter", "cluster", "scale")
_DECIDES = {
    "share": ("numerator",),
    "mean": ("numerator",),
    "ratio": ("numerator", "denominator"),
    "rate": ("numerator", "denominator"),
    "nps": ("value", "promoters", "detractors"),
    "quantile": ("value", "quantile"),
}
_WORDS = ("kind", "unit", "table", "time", "window", "cluster")


def find_workspace(start: Path | None = None) -> Path:
    """Return the folder that holds `params/workspace.yml`, looking upward from `start`.

    Parameters
    ----------
    start
        Where to begin; the working directory by default.

    Raises
    ------
    CxError
        Where no folder above holds one.
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if any((folder / "params" / name).is_file() for name in ("workspace.yml", "workspace.yaml")):
            return folder
    raise CxError(
        f"no workspace at or above {start}: none of these folders holds params/workspace.yml",
        hint="Go into a workspace first, or name its folder: cx --workspace FOLDER ...",
    )


def check(root: Path, *, known_columns: Mapping[str, Iterable[str]] | None = None) -> list[Fault]:
    """Return every fault in every file of `root`/params, in the order of files and lines.

    Parameters
    ----------
    root
        The workspace.
    known_columns
        Further columns per table that the store is known to hold beside the contract's and `workspace.yml`'s
        attributes; expressions and segments may name them.
    """
    return _checked(root, known_columns or {})[1]


def load(root: Path) -> Params:
    """Return everything that `root`/params decides, frozen.

    Raises
    ------
    ParamsError
        With all faults of all files in `faults`.
    """
    draft, faults = _checked(root, {})
    if faults:
        raise ParamsError(faults)
    content = {name: entry.content for name, entry in draft.singles.items()}
    folders = {name: {key: entry.content for key, entry in found.items()} for name, found in draft.folders.items()}
    params = Params(workspace=content["workspace"], **folders)
    touchpoints, framework, changes = (content.get(name) for name in ("touchpoints", "framework", "changes"))
    return params.model_copy(
        update={
            "touchpoints": touchpoints.touchpoints if touchpoints else {},
            "framework": framework.goals if framework else (),
            "changes": changes.changes if changes else {},
            "codebook": content.get("codebook", params.codebook),
            "watch": content.get("watch", params.watch),
        }
    )


def open_in(root: Path, params: Params) -> list[Gap]:
    """Return what the measurement framework leaves open, each with its place in the file.

    Parameters
    ----------
    root
        The workspace.
    params
        What `load` made of it.
    """
    found = framework.gaps(params)
    path = next(iter(sorted((Path(root) / "params").glob("framework.y*ml"))), None)
    if path is None or not found:
        return found
    text, file = yamltext.read(path), path.relative_to(root).as_posix()
    return [gap._replace(file=file, line=text.line(gap.path) if gap.path else 0) for gap in found]


def _checked(root: Path, known_columns: Mapping[str, Iterable[str]]) -> tuple[drafts.Draft, list[Fault]]:
    """Read and check all files."""
    draft = drafts.read(Path(root))
    check_references(draft, known_columns)
    return draft, sorted(set(draft.faults), key=lambda fault: (fault.file, fault.line, fault.key, fault.message))


def definition_hash(metric: Metric) -> str:
    """Return 12 hexadecimal digits that change exactly when the number of a metric may change.

    The text is canonical: keys in order, expressions without regard to blanks and brackets, and only the keys that the
    metric's kind uses.
    """
    found: dict[str, object] = {}
    for name in (*_COMMON, *_DECIDES[metric.kind]):
        value = getattr(metric, name)
        found[name] = value if name in _WORDS else _canonical(value)
    if isinstance(metric.denominator, Part) and "denominator" in found:
        part = metric.denominator
        found["denominator"] = [part.table, part.time, _canonical(part.value), _canonical(part.filter)]
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _canonical(value: object) -> object:
    """Return an expression's tree as text; numbers as they are."""
    if not isinstance(value, str) or not value:
        return value
    try:
        return ast.unparse(parse(value).tree)
    except UsageError:
        return value
