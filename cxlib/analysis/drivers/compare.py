"""Stated, derived and experimental importance in one frame: estimates, ranks, and what disagrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.drivers.asked import STATED
from cxlib.analysis.drivers.fitted import DRIVER, IMPORTANCE, RANK, DriverFit
from cxlib.analysis.drivers.ranking import rank_limits
from cxlib.errors import UsageError
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers

DERIVED, EXPERIMENTAL, AGREEMENT = "derived", "experimental", "agreement"
_DRAWS, _SEED = 4_000, 1
# What it means that a driver stands higher in the first source than in the second.
_MEANING = {
    (STATED, DERIVED): ("said to matter more than it shows", "matters more than customers say"),
    (STATED, EXPERIMENTAL): ("said to matter more than experiments show", "experiments show more than customers say"),
    (DERIVED, EXPERIMENTAL): (
        "goes with the outcome more than changing it does: something else may stand behind both",
        "changing it does more than goes with the outcome",
    ),
}


@dataclass(frozen=True)
class _Source:
    """What one source says of the drivers that all sources know: estimates and n, shape (p,), and draws (B, p)."""

    estimate: Numbers
    draws: Numbers
    n: Numbers


def compare(
    stated: pd.DataFrame | None = None,
    derived: DriverFit | pd.DataFrame | None = None,
    experimental: pd.DataFrame | None = None,
    *,
    confidence: float = 0.95,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Put what customers say, what goes with the outcome and what experiments show side by side.

    Parameters
    ----------
    stated
        Rows of `asked.stated`.
    derived
        A `DriverFit`, or rows of `importance.importance`; the fit knows how its drivers' shares depend on each other.
    experimental
        Result rows with the driver in `level` and what changing it did in `estimate`: larger is more.
    confidence
        Of the intervals of ranks and agreement.
    rng
        What draws from estimates that come without draws; without one `numpy.random.default_rng(1)`.

    Returns
    -------
    pandas.DataFrame
        The sources' own rows with `at` = `stated`, `derived` or `experimental` (`metric = "importance"`); one `rank`
        row for each source and driver that all of them know, whose note says where two sources' rank intervals have no
        rank in common; and one `agreement` row for each two sources: Kendall's tau of their orders, 1 the same, -1
        reversed.
        A source that knows fewer than half as many drivers as another (one experiment, say) is not ranked: its rows
        stand for themselves.

    Raises
    ------
    UsageError
        For fewer than two sources, or several rows of one driver.

    Notes
    -----
    Ranks as in `ranking.rank_limits`; the interval of tau is that of its draws. Estimates of a frame are drawn from
    normal distributions, each by itself. Estimates of different sources have different units: only ranks compare.
    """
    check_confidence(confidence)
    given = {STATED: stated, DERIVED: derived, EXPERIMENTAL: experimental}
    frames = {name: _rows(name, one) for name, one in given.items() if one is not None}
    if len(frames) < 2:
        raise UsageError(f"{len(frames)} sources of importance: there is nothing to compare", hint="Give two or three.")
    ranked = _ranking(frames)
    shared, parts = _shared(ranked), [*frames.values()]
    if len(ranked) < 2 or len(shared) < 2:
        note = f"{len(_shared(frames))} drivers are known to all of {', '.join(frames)}"
        undefined = results.frame(metric=AGREEMENT, comparison="index", status=results.UNDEFINED, note=note)
        return results.concat([*parts, undefined])
    rng = np.random.default_rng(_SEED) if rng is None else rng
    fits = {name: one for name, one in given.items() if isinstance(one, DriverFit)}
    sources = {name: _source(table, fits.get(name), shared, rng) for name, table in ranked.items()}
    ranks = {name: rank_limits(one.estimate, one.draws, confidence) for name, one in sources.items()}
    parts += [_ranked(name, ranks, shared, source.n) for name, source in sources.items()]
    parts += [_agreement(names, sources, confidence) for names in combinations(sources, 2)]
    return results.concat(parts)


def _rows(name: str, given: DriverFit | pd.DataFrame) -> pd.DataFrame:
    """Return a source's rows under its name."""
    table = given.importance() if isinstance(given, DriverFit) else results.conform(given)
    table = table[table["metric"] != RANK]
    twice = sorted(set(table.loc[table["level"].duplicated(), "level"]))
    if twice:
        raise UsageError(f"{name} has several rows of {', '.join(twice)}", hint="Give one row a driver.")
    return results.label(table, metric=IMPORTANCE, segment=DRIVER, at=name)


def _ranking(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the sources that are ranked: those that know at least half as many drivers as the one that knows most.

    Where that leaves one alone, the one that knows fewest is left out until the others share two drivers.
    """
    known = {name: len(_shared({name: one})) for name, one in frames.items()}
    chosen = {name: one for name, one in frames.items() if known[name] and 2 * known[name] >= max(known.values())}
    if len(chosen) < 2:
        chosen = {name: one for name, one in frames.items() if known[name]}
        while len(chosen) > 1 and len(_shared(chosen)) < 2:
            chosen.pop(min(chosen, key=lambda name: known[name]))
    return chosen


def _shared(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the drivers with a number in all sources, by name."""
    known = [set(one.loc[one["status"] == results.OK, "level"]) for one in frames.values()]
    return sorted(set.intersection(*known))


def _source(table: pd.DataFrame, fit: DriverFit | None, shared: Sequence[str], rng: np.random.Generator) -> _Source:
    """Return estimates and draws of the shared drivers."""
    rows = table.set_index("level").loc[list(shared)]
    estimate, n = rows["estimate"].to_numpy(dtype=float), rows["n"].to_numpy(dtype=float)
    if fit is not None and len(fit.share_draws):
        names = [driver.name for driver in fit.drivers]
        return _Source(estimate, fit.share_draws[:, [names.index(name) for name in shared]], n)
    error = rows["std_error"].fillna(0.0).to_numpy(dtype=float)
    return _Source(estimate, estimate + error * rng.standard_normal((_DRAWS, len(shared))), n)


def _ranked(
    name: str, ranks: Mapping[str, tuple[Numbers, Numbers, Numbers]], shared: Sequence[str], n: Numbers
) -> pd.DataFrame:
    """Return the ranks of one source; the note says which other source disagrees, and what that means."""
    (rank, low, high), others = ranks[name], [other for other in ranks if other != name]
    notes = [
        "; ".join(filter(None, [_apart(name, ranks[name], other, ranks[other], place) for other in others]))
        for place in range(len(shared))
    ]
    return results.frame(
        metric=RANK, segment=DRIVER, level=list(shared), at=name, estimate=rank, conf_low=low, conf_high=high, n=n,
        method="rank, pairwise differences", note=notes,
    )  # fmt: skip


def _apart(
    name: str, found: tuple[Numbers, Numbers, Numbers], other: str, ranks: tuple[Numbers, Numbers, Numbers], place: int
) -> str:
    """Say what it means that two sources' rank intervals have no rank in common; empty where they have."""
    (_, low, high), (_, below, above) = found, ranks
    if low[place] <= above[place] and below[place] <= high[place]:
        return ""
    first, second = (name, other) if (name, other) in _MEANING else (other, name)
    spans = {name: _span(low[place], high[place]), other: _span(below[place], above[place])}
    higher = name if high[place] < below[place] else other
    words = _MEANING[first, second][0 if higher == first else 1]
    return f"{words} ({first} {spans[first]}, {second} {spans[second]})"


def _span(low: float, high: float) -> str:
    return f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}"


def _agreement(names: tuple[str, str], sources: Mapping[str, _Source], confidence: float) -> pd.DataFrame:
    """Return Kendall's tau of two sources with the interval of its draws."""
    one, other = (sources[name] for name in names)
    size = min(len(one.draws), len(other.draws))
    drawn = _tau(one.draws[:size], other.draws[:size])
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    tau = float(_tau(one.estimate[None], other.estimate[None])[0])
    return results.frame(
        metric=AGREEMENT, level=f"{names[0]} and {names[1]}", comparison="index", estimate=tau, conf_low=min(low, tau),
        conf_high=max(high, tau), std_error=float(drawn.std(ddof=1)), n=min(one.n.min(), other.n.min()),
        method="Kendall's tau",
    )  # fmt: skip


def _tau(one: Numbers, other: Numbers) -> Numbers:
    """Return the share of pairs in the same order minus that in reversed order, shape (B,)."""
    first, second = np.triu_indices(one.shape[1], 1)
    same = np.sign(one[:, first] - one[:, second]) * np.sign(other[:, first] - other[:, second])
    return same.mean(axis=1)
