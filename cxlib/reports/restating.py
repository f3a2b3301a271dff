"""`cx diff`: what a published number would be today, and how much of the change is code, definitions and late data.

From the published number to today's leads a path of three steps, each a rebuild that differs from the one before in one
thing: today's code in the report's own snapshot by its own definitions, then today's definitions, then today's data.
The steps add up to the change. A step whose thing has not changed is not made: it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib import results
from cxlib.errors import RunError, UsageError
from cxlib.reports import places
from cxlib.reports.build import RESULTS
from cxlib.reports.jobs import Progress, RunOutcome
from cxlib.reports.made_of import changed
from cxlib.reports.rebuilding import Asked, build_of, published, rebuilt

if TYPE_CHECKING:
    import pandas as pd

THEN, NOW = "then", "now"
CODE, DEFINITIONS, DATA = "code", "definitions", "late data"
STEPS = (CODE, DEFINITIONS, DATA)
_LIMITS = ("conf_low", "conf_high")
_COLUMNS = ("then", *_LIMITS, "now", "change", *STEPS, "cause")
_ROUNDING = 1e-9  # of a number: sums in another order end in other digits, and nobody is told


@dataclass(frozen=True)
class Restated:
    """A published report beside what it would be now.

    Attributes
    ----------
    frame
        One row per number that differs beyond its ninth digit, the largest changes beside their intervals first: the
        text columns of a result, `then` with `conf_low` and `conf_high`, `now`, `change`, and one column per step
        (`code`, `definitions`, `late data`), which add up to `change`; `cause` is the step that made a number appear
        or go.
    compared
        How many numbers were compared.
    causes
        Step -> what changed, in words; only the steps that were made.
    """

    period: str
    frame: pd.DataFrame
    compared: int
    causes: Mapping[str, str]


def restate(
    root: Path, pack: str, name: str, as_of: str = "then/now", *, jobs: int | None = None,
    timeout: float | None = None, progress: Progress,
) -> Restated:  # fmt: skip
    """Split the change of every number of a published report since it was published.

    Parameters
    ----------
    root
        The workspace.
    pack, name
        The pack, and the period or experiment of the report.
    as_of
        `then/now`: all three steps, up to the newest data. `then`: code and definitions alone, in the report's own
        snapshot. `then/<snapshot>`: up to the data of that snapshot.
    jobs, timeout, progress
        As in `runner.run_pack`.

    Raises
    ------
    UsageError
        Where the report does not stand, or `as_of` is none of these.
    RunError
        Where a notebook fails on the way.
    """
    (standing,) = published(root, pack, [name])
    last = _last(as_of, standing)
    made = _steps(root, standing, last)
    with rebuilt(root, list(made.values()), jobs=jobs, timeout=timeout, progress=progress) as outcomes:
        found = {step: _numbers(outcome) for step, outcome in zip(made, outcomes, strict=True)}
        causes = _causes(root, standing, made)
    import pandas as pd

    return _split(name, pd.read_parquet(standing.folder / RESULTS), found, causes)


def _last(as_of: str, standing: places.Standing) -> str:
    """Return the snapshot that the path ends at; '' for the newest."""
    first, _, last = as_of.partition("/")
    if first != THEN or (as_of.endswith("/") and not last):
        raise UsageError(
            f"--as-of {as_of} is no path from the published report",
            hint="Use then/now, then (its own snapshot), or then/SNAPSHOT.",
        )
    own: str = standing.manifest["snapshot"]["id"]
    return own if last in ("", THEN) else "" if last == NOW else last


def _steps(root: Path, standing: places.Standing, last: str) -> dict[str, Asked]:
    """Return the steps that can change anything, in order."""
    own = standing.manifest["snapshot"]["id"]
    parts = changed(standing.manifest, build_of(root, Asked(standing, last)))

    def any_of(*names: str) -> bool:
        return any(part.startswith(tuple(f"the {name}" for name in names)) for part in parts)

    found = {}
    if any_of("code", "packages", "notebooks"):
        found[CODE] = Asked(standing, own, defined_then=True)
    if any_of("definitions"):
        found[DEFINITIONS] = Asked(standing, own)
    if any_of("data"):
        found[DATA] = Asked(standing, last)
    return found


def _causes(root: Path, standing: places.Standing, made: Mapping[str, Asked]) -> dict[str, str]:
    """Say what each step stands for."""
    found = {}
    for step, asked in made.items():
        parts = changed(standing.manifest, build_of(root, asked))
        start = {CODE: ("the code", "the packages", "the notebooks"), DEFINITIONS: ("the definitions",)}
        named = [part for part in parts if part.startswith(start.get(step, ("the data",)))]
        found[step] = ", ".join(named)
    return found


def _numbers(outcome: RunOutcome) -> pd.DataFrame:
    """Return the numbers of a rebuild."""
    import pandas as pd

    errors = outcome.manifest["errors"]
    if errors:
        told = "; ".join(f"{name}: {error}" for name, error in errors.items())
        raise RunError(f"the report cannot be made again, so its change cannot be split: {told}")
    return pd.read_parquet(outcome.folder / RESULTS)


def _split(name: str, then: pd.DataFrame, steps: Mapping[str, pd.DataFrame], causes: Mapping[str, str]) -> Restated:
    """Put the numbers of all steps side by side and take the differences of neighbours.

    A number that a step does not have, or gives no estimate of, cannot be split: the step is its `cause`.
    """
    import pandas as pd

    path = {one: _keyed(frame) for one, frame in {THEN: then, **steps}.items()}
    wide = pd.concat({one: frame["estimate"] for one, frame in path.items()}, axis=1)
    neighbours = list(zip(wide.columns, wide.columns[1:], strict=False))
    limits = path[THEN][list(_LIMITS)].reindex(wide.index)
    table = limits.assign(then=wide[THEN], now=wide.iloc[:, -1], change=wide.iloc[:, -1] - wide[THEN])
    table = table.assign(**dict.fromkeys(STEPS, 0.0), cause="")
    for before, step in neighbours:
        table[step] = wide[step] - wide[before]
        shown = wide[step].notna() != wide[before].notna()
        table["cause"] = table["cause"].mask((table["cause"] == "") & shown, step)
    rounding = _ROUNDING * wide[THEN].abs()
    unlike = (table["change"].abs() > rounding) | (table["cause"] != "")
    shown = table.loc[unlike].reset_index()
    shown = shown.loc[_size(shown).sort_values(ascending=False, kind="stable").index, [*results.TEXT, *_COLUMNS]]
    return Restated(name, shown.reset_index(drop=True), len(wide), causes)


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return rows under what tells them apart: the method only where one question is answered by several.

    Other data may ask for another method (customers who answer twice, say), and the number is the same one.
    """
    keys = list(results.TEXT)
    several = frame.duplicated([name for name in keys if name != "method"], keep=False)
    return frame.assign(method=frame["method"].where(several, "")).set_index(keys)


def _size(table: pd.DataFrame) -> pd.Series[Any]:
    """Return how large changes are beside the width of the intervals, or without one beside the number itself.

    What appeared or went counts as largest.
    """
    width = (table["conf_high"] - table["conf_low"]).where(lambda value: value > 0)
    beside = width.fillna(table["then"].abs().where(lambda value: value > 0)).fillna(1.0)
    return (table["change"].abs() / beside).fillna(float("inf"))


def lines(frame: pd.DataFrame, titles: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return the lines of a table for people: what, then with its interval, now, change, and the three parts of it."""
    return [_line(row, titles) for row in frame.to_dict("records")]


def _line(row: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[str, ...]:
    cut = "" if row["segment"] == "all" else f" · {row['level']}"
    kind = row["comparison"] if row["comparison"] != "level" else ""
    more = " ".join(filter(None, [row["at"], kind, row["against"]]))
    what = f"{titles.get(row['metric'], row['metric'])} {row['period']}{cut}{f' ({more})' if more else ''}"
    then = _digits(row["then"])
    if row["conf_low"] == row["conf_low"]:
        then += f" ({_digits(row['conf_low'])} to {_digits(row['conf_high'])})"
    if row["cause"]:
        return (what, then, _digits(row["now"]), f"by {row['cause']}", "", "", "")
    return (what, then, *(_digits(row[name]) for name in ("now", "change", *STEPS)))


def _digits(value: float) -> str:
    """Return a number as people read it; missing is `none`."""
    return "none" if value != value else f"{value:.4g}"
