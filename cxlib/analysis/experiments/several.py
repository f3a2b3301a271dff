"""Many metrics, arms and segments of one experiment at once: one pass over the units, then arithmetic on their sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.experiments.arrays import each, stacked
from cxlib.analysis.experiments.covariates import cuped
from cxlib.analysis.experiments.effect import effect
from cxlib.analysis.experiments.unit_sums import ARM, PAIRS, Outcome, cells_of, level, units_of
from cxlib.errors import UsageError
from cxlib.measure import verdicts
from cxlib.measure.moments import Moments, Numbers

ALL = "all"
MOST_CELLS = 20_000  # of all segments crossed: up to so many, sums of cells are faster than a pass a segment
_KEYS = ["metric", "segment", "level", "arm"]

Columns = Mapping[str, str | tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Sums:
    """What effects are worked out from.

    Parameters
    ----------
    keys
        Columns metric, segment, level and arm, one row per element; of the whole segment and level are `all`.
    moments
        Arrays of as many elements: of y and x, and of y_pre and x_pre where a metric has a covariate (0 for others).
    adjusted
        The metrics with a covariate.
    """

    keys: pd.DataFrame
    moments: Moments
    adjusted: frozenset[str] = frozenset()


def summarise(
    table: Any,
    outcomes: Sequence[str] | Columns,
    *,
    arm: str,
    by: Sequence[str] = (),
    covariates: Columns | None = None,
    clusters: str | None = None,
) -> Sums:
    """Sum many outcomes per arm, of the whole and of every segment's levels.

    Parameters
    ----------
    table
        Ibis table or pandas frame, one row a unit, a column a metric; numbers or true and false, None where missing.
    outcomes
        Columns to take the means of; or metric -> column, or (numerator, denominator) of a ratio. A unit that lacks
        either does not count for that metric.
    arm
        The column that names each unit's arm.
    by
        Columns of segments, known of each unit before it was assigned; a missing level is `unknown`.
    covariates
        Metric -> column of before, or (numerator, denominator); missing ones count as 0.
    clusters
        The column of the unit where rows are not units: orders, say. Sums per unit are taken first, in a pass of its
        own for each segment. Covariates then need one row a unit.

    Returns
    -------
    Sums
        Of all arms. Levels are counted, and then every outcome is read once while the segments crossed have at most
        `MOST_CELLS` cells, whose sums are added up; segments beyond are read again in as few passes as that allows.
        Sums of whole numbers and decimals are exact; those of doubles differ in the last digit with the order that
        threads bring.

    Raises
    ------
    UsageError
        For columns that are not there or hold no numbers, units without an arm, infinite numbers.
    """
    asked, segments = _asked(outcomes, covariates), doors.names(by)
    _check(table, asked, arm, segments, clusters)
    units = units_of(table, asked, arm, segments, clusters)
    parts: list[pd.DataFrame] = []
    for crossed in _passes(units, len(segments), clusters is not None):
        cells = cells_of(units, asked, crossed, clusters=clusters is not None)
        _check_finite(cells, asked)
        whole = not parts
        parts += [_rolled(cells, None)] if whole else []
        parts += [_rolled(cells, number) for number in crossed]
    frame = pd.concat(parts, ignore_index=True)
    names = [ALL, *segments]
    frame = frame.assign(segment=[names[number] for number in frame["segment"]])
    return _sums(frame, asked)


def readings(
    sums: Sums,
    *,
    control: str,
    scale: str = "absolute",
    alternative: str = "two-sided",
    sequential: float | None = None,
    confidence: float = 0.95,
    alpha: float = 0.05,
    adjust: str = "holm",
    families: Sequence[str] = ("segment",),
) -> pd.DataFrame:
    """Read every arm against the control, by metric and level.

    Parameters
    ----------
    sums
        What `summarise` returned.
    control
        The arm that all others are compared with.
    scale, alternative, sequential, confidence
        As for `effect`; metrics with a covariate are read by `cuped`.
    alpha
        `moved` where the adjusted p-value is below.
    adjust
        `holm` (of all families at most a share alpha has any false finding), `bh` (at most a share alpha of what is
        found is false) or `bonferroni`; see `measure.verdicts.adjust`.
    families
        Columns of the result whose every combination is a family of its own: by default the whole is one, with all
        metrics and arms, and every segment another. None, `()`: all comparisons are one family.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row per metric, segment, level and arm: `at` the arm `against` the control, with
        `p_adjusted` and the verdict `moved` or `not shown`. Levels that an arm does not have are `undefined`.

    Raises
    ------
    UsageError
        For a control that is no arm, and unknown words.
    """
    arms = sorted(set(sums.keys["arm"]))
    if control not in arms or len(arms) < 2:
        raise UsageError(f"control '{control}' and another arm are needed; there are {', '.join(arms)}")
    if not 0 < alpha < 1:
        raise UsageError(f"alpha {alpha:g} is not between 0 and 1", hint="Write 5 % as 0.05.")
    doors.require(results.COLUMNS, doors.names(families), "families")
    asked = {"scale": scale, "alternative": alternative, "sequential": sequential, "confidence": confidence}
    rows = [_against(sums, control, other, asked) for other in arms if other != control]
    found = results.concat(rows)
    order = {name: place for place, name in enumerate(dict.fromkeys(sums.keys["metric"] + "\n" + sums.keys["segment"]))}
    place = (found["metric"] + "\n" + found["segment"]).map(order)
    found = found.assign(_place=place).sort_values(["_place", "level", "at"], ignore_index=True).drop(columns="_place")
    return _judged(found, alpha, adjust, list(doors.names(families)))


def _against(sums: Sums, control: str, arm: str, asked: Mapping[str, Any]) -> pd.DataFrame:
    """Return the effects of one arm, a row per metric, segment and level that either has."""
    numbered = sums.keys.assign(place=np.arange(len(sums.keys)))
    places = numbered.pivot_table(index=_KEYS[:-1], columns="arm", values="place", aggfunc="first")
    places = places[[control, arm]].dropna(how="all").fillna(len(sums.keys)).astype(int)
    padded = each(sums.moments, lambda number: np.append(number, 0.0))
    keys = places.index.to_frame(index=False)
    covered = keys["metric"].isin(sums.adjusted).to_numpy()
    parts = []
    for chosen, compare in ((~covered, effect), (covered, cuped)):
        if chosen.any():
            old, new = (padded[places[side].to_numpy()[chosen]] for side in (control, arm))
            parts.append(results.label(compare(old, new, **asked), **keys[chosen].to_dict("list")))
    return results.label(results.concat(parts), at=arm, against=control)


def _judged(found: pd.DataFrame, alpha: float, adjust: str, families: list[str]) -> pd.DataFrame:
    """Adjust the p-values of every family and give the rows with one their verdict."""
    p_values = found["p_value"].to_numpy(dtype=float)
    adjusted = np.full(len(found), np.nan)
    groups = found.groupby(families, sort=False).indices.values() if families else [np.arange(len(found))]
    for family in groups:
        adjusted[family] = verdicts.adjust(p_values[family], adjust)
    verdict = np.where(np.isnan(adjusted), "", np.where(adjusted < alpha, "moved", "not shown"))
    return results.conform(found.assign(p_adjusted=adjusted, verdict=verdict))


def _asked(outcomes: Sequence[str] | Columns, covariates: Columns | None) -> list[Outcome]:
    """Return the outcomes by metric, each with the columns that it is made of."""
    given = dict(outcomes) if isinstance(outcomes, Mapping) else {name: name for name in doors.names(outcomes)}
    before = dict(covariates or {})
    strange = sorted(set(before) - set(given))
    if strange or not given:
        raise UsageError(f"covariates of {', '.join(strange)}, which is no outcome" if strange else "no outcomes")
    found = []
    for metric, made_of in given.items():
        columns = dict(zip(("y", "x"), doors.names(made_of), strict=False))
        columns |= dict(zip(("y_pre", "x_pre"), doors.names(before.get(metric)), strict=False))
        found.append(Outcome(str(metric), columns))
    return found


def _check(table: Any, asked: Iterable[Outcome], arm: str, segments: Sequence[str], clusters: str | None) -> None:
    """Refuse tables that lack a column, and covariates of units in several rows."""
    columns = [name for outcome in asked for name in outcome.columns.values()]
    labels = [arm, *segments, *([clusters] if clusters else [])]
    doors.require(doors.table(table).columns, list(dict.fromkeys([*labels, *columns])), "the table of units")
    if ALL in segments:
        raise UsageError(f"a segment cannot be called '{ALL}': that is the whole")
    if clusters and any("y_pre" in outcome.columns for outcome in asked):
        raise UsageError(
            "covariates need one row a unit", hint="Sum the rows of each unit first, outcome and covariate each."
        )


def _check_finite(cells: pd.DataFrame, asked: Sequence[Outcome]) -> None:
    """Refuse numbers that are infinite or not a number, which one sum of squares at least shows."""
    wrong = []
    for place, outcome in enumerate(asked):
        sums = cells.loc[cells[f"rows {place}"] > 0, [name for name in cells if name.endswith(f" {place}")]]
        wrong += [] if np.isfinite(sums.to_numpy()).all() else [outcome.metric]
    if wrong:
        raise UsageError(f"infinite numbers, or NaN, in {', '.join(wrong)}", hint="Write None where one is missing.")


def _passes(units: Any, segments: int, clusters: bool) -> Iterator[tuple[int, ...]]:
    """Yield the segments to be crossed in each pass; the first pass also gives the whole."""
    if clusters or not segments:
        # A unit whose rows lie in two levels is one unit of the whole: levels do not add up.
        yield ()
        yield from ((number,) for number in range(segments if clusters else 0))
        return
    counts = units.aggregate(**{level(i): units[level(i)].approx_nunique() for i in range(segments)})
    counts = counts.to_pyarrow().to_pandas()
    crossed: tuple[int, ...] = ()
    cells = 1
    for number in range(segments):
        levels = max(int(counts[level(number)].iloc[0]), 1)
        if crossed and cells * levels > MOST_CELLS:
            yield crossed
            crossed, cells = (), 1
        crossed, cells = (*crossed, number), cells * levels
    yield crossed


def _rolled(cells: pd.DataFrame, number: int | None) -> pd.DataFrame:
    """Add cells up to the levels of a segment, or to the whole; `segment` is its place among the names."""
    keys = [ARM] if number is None else [ARM, level(number)]
    labels = [name for name in cells.columns if name == ARM or name.startswith("_level")]
    if cells[ARM].isna().any():
        count = int(cells.loc[cells[ARM].isna(), "rows 0"].sum())
        raise UsageError(f"units without an arm, {count:,} of them with the first outcome", hint="Leave them out.")
    found = cells.drop(columns=[name for name in labels if name not in keys]).groupby(keys, as_index=False).sum()
    names = {ARM: "arm"} if number is None else {ARM: "arm", level(number): "level"}
    return found.rename(columns=names).assign(
        segment=0 if number is None else number + 1, **({"level": ALL} if number is None else {})
    )


def _sums(frame: pd.DataFrame, asked: Sequence[Outcome]) -> Sums:
    """Return rows of sums, a column per outcome and sum, as moments, an element per outcome and row."""
    before = any("y_pre" in outcome.columns for outcome in asked)
    parts = [_moments(frame, place, outcome, before=before) for place, outcome in enumerate(asked)]
    keys = [frame[["segment", "level", "arm"]].assign(metric=outcome.metric) for outcome in asked]
    adjusted = frozenset(outcome.metric for outcome in asked if "y_pre" in outcome.columns)
    return Sums(pd.concat(keys, ignore_index=True)[_KEYS], stacked(parts), adjusted)


def _moments(frame: pd.DataFrame, place: int, outcome: Outcome, *, before: bool) -> Moments:
    """Return the moments of one outcome; without covariate these are 0 where others have one."""
    found = {name.rsplit(" ", 1)[0]: frame[name].to_numpy() for name in frame if name.endswith(f" {place}")}
    rows = found["rows"]
    found = {what: np.where(rows > 0, value, 0.0) for what, value in found.items()}
    found = {"y y": found["squares"], **found}  # of units in one row each
    names = ("y", "x", "y_pre", "x_pre") if before else ("y", "x")
    ones = {"x", "x_pre"} if "y_pre" in outcome.columns else {"x"}

    def of(*what: str) -> Numbers:
        """Return a sum or product; what is not there counts each unit 1, and is 0 for want of a covariate."""
        known = tuple(name for name in what if name in found)
        if any(name not in found and name not in ones for name in what):
            return np.zeros(rows.shape)
        return found[" ".join(known)] if known else rows

    sums = {name: of(name) for name in names}
    products = {pair: of(*pair) for pair in PAIRS if set(pair) <= set(names)}
    return Moments(rows, found.get("clusters", rows), sums, products, found["squares"])
