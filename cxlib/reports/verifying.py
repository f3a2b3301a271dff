"""`cx verify`: make a published report once more in its own snapshot, and compare every number and every figure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib.reports import places, provenance
from cxlib.reports.build import RESULTS
from cxlib.reports.jobs import Progress
from cxlib.reports.made_of import parts_changed
from cxlib.reports.rebuilding import Asked, published, rebuilt, versions_differ

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5  # differences of one kind that are told one by one


@dataclass(frozen=True)
class Verified:
    """What a comparison found: `differences` in words (nothing: equal), and what of the code is another than then."""

    period: str
    numbers: int
    figures: int
    differences: tuple[str, ...]
    since: tuple[str, ...]


def verify(
    root: Path, pack: str, names: Sequence[str] = (), *, jobs: int | None = None, timeout: float | None = None,
    progress: Progress,
) -> Generator[Verified, None, None]:  # fmt: skip
    """Make published reports once more, each in the snapshot and with the parameters that it was made with.

    Parameters
    ----------
    root
        The workspace.
    pack
        The pack.
    names
        Periods, or experiments; none for all that stand.
    jobs, timeout, progress
        As in `runner.run_pack`.

    Yields
    ------
    Verified
        For each report, oldest first. A number is equal where all its digits are.

    Raises
    ------
    UsageError
        Where a report is asked for that does not stand.
    StoreError
        Where a snapshot was compacted away.
    """
    standing = published(root, pack, names)
    asked = [Asked(one, one.manifest["snapshot"]["id"]) for one in standing]
    with rebuilt(root, asked, jobs=jobs, timeout=timeout, progress=progress) as outcomes:
        for one, outcome in zip(standing, outcomes, strict=True):
            yield _verified(one, outcome.folder, outcome.manifest)


def _verified(standing: places.Standing, folder: Path, manifest: dict[str, Any]) -> Verified:
    """Compare one report with its rebuild."""
    import pandas as pd

    then, now = pd.read_parquet(standing.folder / RESULTS), pd.read_parquet(folder / RESULTS)
    drawn = {name: digest for name, digest in standing.manifest["outputs"].items() if name.startswith("figures/")}
    found = [
        *_touched(standing),
        *(f"{name} failed: {error}" for name, error in manifest["errors"].items()),
        *numbers_differ(then, now),
        *_figures_differ(drawn, {n: d for n, d in manifest["outputs"].items() if n.startswith("figures/")}),
    ]
    since = parts_changed(standing.manifest, manifest)
    if standing.manifest["snapshot"]["tables"] != manifest["snapshot"]["tables"]:
        since.append("the snapshot, which people were erased from or old rows taken out of")
    versions = versions_differ(standing.manifest["versions"], manifest["versions"])
    return Verified(standing.period, len(then), len(drawn), tuple(found), (*since, *versions))


def _touched(standing: places.Standing) -> list[str]:
    """Say which published files are not what the run wrote."""
    now = provenance.checksums(standing.folder, leave_out=[places.MANIFEST])
    then = standing.manifest["outputs"]
    touched = sorted(name for name in then if name in now and now[name] != then[name])
    found = [f"{name} was changed after it was published" for name in touched]
    return found + [f"{name} is missing from the published report" for name in sorted(set(then) - set(now))]


def numbers_differ(then: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Say which rows of two result frames differ, and in which digits; the first few of each kind."""
    from cxlib import results

    keys = list(results.TEXT)
    before, after = then.set_index(keys).sort_index(), now.set_index(keys).sort_index()
    lost, new = before.index.difference(after.index), after.index.difference(before.index)
    found = _some([f"not there again: {_called(key, keys)}" for key in lost])
    found += _some([f"not there then: {_called(key, keys)}" for key in new])
    both = before.index.intersection(after.index)
    before, after = before.loc[both], after.loc[both]
    told = []
    for column in before.columns:
        one, other = before[column], after[column]
        unlike = ~((one == other) | (one.isna() & other.isna()))
        told += [f"{_called(key, keys)}: {column} is {other[key]!s}, then {one[key]!s}" for key in unlike.index[unlike]]
    return found + _some(told)


def _called(key: tuple[str, ...], keys: Sequence[str]) -> str:
    """Name a row by what tells it apart, without what is said by default."""
    parts = dict(zip(keys, map(str, key), strict=True))
    cut = f" by {parts['segment']} = {parts['level']}" if parts["segment"] != "all" else ""
    more = ", ".join(f"{parts[name]}" for name in ("at", "comparison", "against", "method") if parts[name])
    return f"{parts['metric']} {parts['period']}{cut} ({more})"


def _some(lines: list[str]) -> list[str]:
    """Return the first few lines, and how many more there are."""
    return lines[:_SHOWN] + ([f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])


def _figures_differ(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Say which figures are drawn otherwise."""
    names = sorted({*then, *now})
    return _some([f"{name} is drawn otherwise" for name in names if then.get(name) != now.get(name)])
