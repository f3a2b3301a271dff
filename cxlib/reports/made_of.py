"""What a run is made of, as digests: a run whose parts are all unchanged need not be made again.

Of the data these are the files that it may read. Files are never changed once written, so their names say which they
are. A month that is over is settled some months later (`settled_after_months` of `workspace.yml`): what arrives for
still later months does not touch it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cxlib.errors import StoreError
from cxlib.params.models import Framework, Params
from cxlib.periods import Period
from cxlib.reports import provenance
from cxlib.reports.build import Build

_MONTH = re.compile(r"\d{4}-\d\d")
_PARAMS = ("metrics", "segments", "touchpoints", "drivers", "experiments", "changes")


def made_of(build: Build) -> dict[str, Any]:
    """Return the parts of a run, as they are written into its manifest.

    Returns
    -------
    dict
        `code` (of cxlib), `packages` (of the versions that numbers depend on), `params` (file -> digest; the labels of
        the codebook's audit among them) and `tables` (table -> digest of the files that the run may read).
    """
    return {
        "code": code(),
        "packages": provenance.digest(repr(sorted(provenance.versions().items())).encode())[:12],
        "params": params_of(build.params, build.report.id) | labels_of(build.root, build.params),
        "tables": tables_of(build.root, build.params, build.snapshot, build.period),
    }


def changed(standing: Mapping[str, Any], build: Build) -> list[str]:
    """Say in words what a standing report was made of that is another now; nothing where it is up to date."""
    now = {
        "period": build.period.label,
        "made_of": made_of(build),
        "notebooks": build.notebook_hashes(),
        "parameters": {"given": build.given},
    }
    return parts_changed(standing, now)


def parts_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in words in what parts two manifests differ."""
    before, after = then.get("made_of", {}), now["made_of"]
    named = {
        "the data": (before.get("tables", {}), after["tables"]),
        "the notebooks": (then.get("notebooks", {}), now["notebooks"]),
        "the definitions": (before.get("params", {}), after["params"]),
    }
    plain = {
        "the period": (then.get("period", now["period"]), now["period"]),
        "the parameters": (then.get("parameters", {}).get("given"), now["parameters"]["given"]),
        "the code": (before.get("code"), after["code"]),
        "the packages": (before.get("packages"), after["packages"]),
    }
    found = [_named(what, one, other) for what, (one, other) in named.items() if one != other]
    return [*found, *(what for what, (one, other) in plain.items() if one != other)]


def _named(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what changed with the names of its parts, the first few of them."""
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{what} ({', '.join(names[:3])}{more})" if then else what


def params_of(params: Params, pack: str) -> dict[str, str]:
    """Return file below `params/` -> digest of what it says, for all that a run of the pack can read."""
    parts = {"workspace": params.workspace, f"reports/{pack}": params.reports[pack], "codebook": params.codebook}
    parts |= {"framework": Framework(goals=params.framework), "watch": params.watch}
    for kind in _PARAMS:
        parts |= {f"{kind}/{name}": one for name, one in getattr(params, kind).items()}
    without = {"serving", "retention"}  # how reports are shown, and for how long things stay, makes no report another
    return {
        name: provenance.digest(one.model_dump_json(exclude=without).encode())[:12]
        for name, one in sorted(parts.items())
    }


def labels_of(root: Path, params: Params) -> dict[str, str]:
    """Return the file of the labels of the codebook's audit -> its digest; nothing without one."""
    from cxlib.data import labelled

    path = root / labelled.AUDITS / f"{params.codebook.version}.csv"
    return {f"audits/{path.stem}": labelled.digest(path)} if path.is_file() else {}


def tables_of(root: Path, params: Params, snapshot: Mapping[str, Any], period: Period) -> dict[str, str]:
    """Return table -> digest of the files of a snapshot that a run of the period may read.

    A table without time lies in no month: it is always read whole.
    """
    end = period.next_day - timedelta(days=1)
    until = end.year * 12 + end.month - 1 + params.workspace.settled_after_months
    last = f"{until // 12:04}-{until % 12 + 1:02}"
    found = {}
    for table, version in sorted(snapshot["tables"].items()):
        files = _files(root, params.workspace.store, table, version["version"])
        read = [name for month, name in files if month <= last or not _MONTH.fullmatch(month)]
        if table == "customers":
            read += _left_out(root, params)
        found[table] = provenance.digest("\n".join(read).encode())[:12]
    return found


def _left_out(root: Path, params: Params) -> list[str]:
    """Return a digest of the people whose surveys a run leaves out now, whatever its snapshot; nothing without any."""
    from cxlib.data import consent
    from cxlib.data.store import location_of

    try:
        found = consent.digest(location_of(root, params.workspace.store), params.workspace.consent)
    except StoreError:
        return []
    return [found] if found else []


@cache
def _files(root: Path, store: str, table: str, version: int) -> tuple[tuple[str, str], ...]:
    """Return the files of one version of a table with their months; the version alone where it cannot be read.

    A file from which people were erased counts as the one before it: published reports stay, and are not made anew with
    one person less, which would tell about that person.

    That it cannot is told by the notebooks that need it.
    """
    from cxlib.data.store import location_of
    from cxlib.data.tables import origin, pin

    try:
        months = pin(location_of(root, store), table, version).months
    except StoreError:
        return (("", f"version {version}"),)
    return tuple(
        sorted((month, f"{month}/{origin(Path(file).name)}") for month, files in months.items() for file in files)
    )


@cache
def code() -> str:
    """Return a digest of the package's own source: what computes numbers and draws pages."""
    package = Path(__file__).resolve().parents[1]
    sources = sorted((*package.rglob("*.py"), *package.rglob("*.css")))
    each = [f"{path.relative_to(package).as_posix()} {provenance.digest(path.read_bytes())}" for path in sources]
    return provenance.digest("\n".join(each).encode())[:12]
