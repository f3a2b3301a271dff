"""Group-time effects drawn together: one figure for all, one per group, one per time since the start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects.group_time_cells import check_choice
from cxlib.analysis.effects.group_time_fit import GroupTime, table
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Codes, Numbers

SIMPLE, GROUP, DYNAMIC = "simple", "group", "dynamic"
KINDS = (SIMPLE, GROUP, DYNAMIC)
OVERALL = "overall"
_DRAWS = 20_000


@dataclass(frozen=True, eq=False)
class Drawn:
    """Effects drawn together.

    Parameters
    ----------
    names
        What each is of: `overall`, then groups or times since the start; shape (m,).
    effect, lever, rows
        As in `Cells`; the lever holds the estimated sizes of groups, too.
    lead
        The mean of the cells' leads, shape (m,).
    """

    names: tuple[str, ...]
    effect: Numbers
    lever: Numbers
    rows: Numbers
    lead: Numbers


def aggregate(
    att: GroupTime,
    kind: str,
    *,
    simultaneous: bool = False,
    confidence: float = 0.95,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Draw group-time effects together.

    Parameters
    ----------
    att
        What `group_time_att` returned.
    kind
        `simple`: the mean of all effects from the start on, weighted by the groups' sizes. `group`: each group's mean
        effect; overall, their mean by size. `dynamic`: the effect by periods since the start, groups by size, -1, -2
        and so on before it; overall, the plain mean from the start on.
    simultaneous
        Widen the intervals of the rows after the first until all of them hold together (sup-t: Montiel Olea and
        Plagborg-Moller 2019, J. Applied Econometrics 34:1). Read so, the rows before the start are one check.
    confidence
        Of the intervals.
    rng
        Draws for simultaneous intervals; None: `numpy.random.default_rng(1)`.

    Returns
    -------
    pandas.DataFrame
        Result rows: level `overall` first; then level = g (`group`), or level `event` with at = periods since the start
        (`dynamic`). Errors allow for the groups' sizes being estimated. Times that no group has are not there; effects
        that could not be had are left out and counted in the note.

    Raises
    ------
    UsageError
        For another kind, and for anything but what `group_time_att` returned.

    References
    ----------
    Callaway and Sant'Anna (2021), section 3.1.1 and corollary 2.

    Measured on 400 panels of 40 never treated and 3 x 40 treated units (errors AR(1) with .6 within units, effects that
    grow and differ by group): 95 % intervals of the overall effect held the truth in 94 % of cases, of single times
    since the start in 95 %, where two-way fixed effects did in 4 %. With 4 units to a group they are wide: 97 to 98 %.
    """
    if not isinstance(att, GroupTime):
        raise UsageError(f"att is a {type(att).__name__}", hint="Give what group_time_att returned itself, not .frame.")
    check_choice("kind", kind, KINDS)
    intervals.check_confidence(confidence)
    found = drawn(att, kind)
    if not found.effect.size or np.isnan(found.effect[0]):
        return results.frame(
            metric=att.outcome, comparison="difference", level=OVERALL, method=f"{att.method}, {kind}",
            status=results.UNDEFINED if att.means.rows.size else results.TOO_FEW,
            note="no group has an effect from its start on" if att.means.rows.size else "no rows to compare",
        )  # fmt: skip
    level = np.array([name if kind != DYNAMIC or name == OVERALL else "event" for name in found.names], dtype=object)
    at = np.array([name if kind == DYNAMIC and name != OVERALL else "" for name in found.names], dtype=object)
    lost = int((np.isnan(att.cells.effect) & (event_times(att) >= 0)).sum())
    frame = table(att, found.effect, found.lever, found.rows, [""] * level.size, confidence, level=level, at=at)
    frame = frame.assign(method=f"{att.method}, {kind}")
    if lost:
        told = f"{lost} effects of groups at times since their start could not be had and are left out"
        frame["note"] = [f"{note}; {told}" if note else told for note in frame["note"]]
    return _together(att, frame, found, confidence, doors.generator(rng)) if simultaneous else results.conform(frame)


def drawn(att: GroupTime, kind: str) -> Drawn:
    """Return effects drawn together, and how they hang on the parts of clusters."""
    known = ~np.isnan(att.cells.effect)
    since = event_times(att)
    if kind == DYNAMIC:
        parts = {str(time): _by_size(att, known & (since == time)) for time in np.unique(since[known]).tolist()}
        after = [name for name in parts if int(name) >= 0]
        return _all(att, parts, _mean([parts[name] for name in after]))
    starts = np.unique(att.cells.group[known & (since >= 0)]).tolist()
    if kind == GROUP:
        parts = {att.names[0][g]: _plain(att, known & (since >= 0) & (att.cells.group == g)) for g in starts}
        groups = np.array(starts, dtype=np.int64)
        return _all(att, parts, _weighed(att, list(parts.values()), groups) if parts else None)
    return _all(att, {}, _by_size(att, known & (since >= 0)) if starts else None)


def event_times(att: GroupTime) -> Codes:
    """Return the periods since the group's start of each cell; the last one seen before it is -1."""
    since = att.cells.time - att.means.starts[att.cells.group]
    return np.asarray(since + np.where(since >= 0, att.means.early[att.cells.group], 0), dtype=np.int64)


_Part = tuple[float, Numbers, float, float]  # effect, lever, rows, lead


def _all(att: GroupTime, parts: dict[str, _Part], overall: _Part | None) -> Drawn:
    if overall is None:
        return Drawn((), np.empty(0), np.empty((2 * att.means.mean.size, 0)), np.empty(0), np.empty(0))
    rows = [overall, *parts.values()]
    count = np.array([row[2] for row in rows])
    count[0] = _rows(att, ~np.isnan(att.cells.effect) & (event_times(att) >= 0))
    return Drawn(
        (OVERALL, *parts), np.array([row[0] for row in rows]), np.column_stack([row[1] for row in rows]), count,
        np.array([row[3] for row in rows]),
    )  # fmt: skip


def _plain(att: GroupTime, chosen: Mask) -> _Part:
    places = np.flatnonzero(chosen)
    lever, lead = att.cells.lever[:, places].mean(axis=1), float(att.cells.lead[places].mean())
    return float(att.cells.effect[places].mean()), lever, _rows(att, chosen), lead


def _rows(att: GroupTime, chosen: Mask) -> float:
    """Return how many rows of the groups stand behind cells; each counted once."""
    used = att.cells.lever[: att.means.mean.size, chosen].reshape(*att.means.rows.shape, -1) != 0
    own = np.zeros(att.means.rows.shape, dtype=bool)
    for place, group in enumerate(att.cells.group[chosen]):
        own[group] |= used[group, :, place]
        own[group, att.cells.time[chosen][place]] = True
    return float(att.means.rows[own].sum())


def _mean(parts: list[_Part]) -> _Part | None:
    if not parts:
        return None
    lever = np.column_stack([part[1] for part in parts]).mean(axis=1)
    return float(np.mean([part[0] for part in parts])), lever, 0.0, float(np.mean([part[3] for part in parts]))


def _by_size(att: GroupTime, chosen: Mask) -> _Part:
    """Return the mean of cells, of which there are some, weighted by the size of their groups."""
    places = np.flatnonzero(chosen)
    parts = [(float(att.cells.effect[i]), att.cells.lever[:, i], 0.0, float(att.cells.lead[i])) for i in places]
    effect, lever, _, lead = _weighed(att, parts, att.cells.group[places])
    return effect, lever, _rows(att, chosen), lead


def _weighed(att: GroupTime, parts: list[_Part], groups: Codes) -> _Part:
    """Return the mean of effects by the size of their groups, which are estimated.

    A size is a sum of weights, so its own part in the error is linear in the parts of clusters, too: with shares p_g
    and mean m, d m / d p_g = sum over the group's effects of (effect - m) / sum of p, in units of the weight of all.
    """
    size = att.means.weight.sum(axis=1)[groups]
    share = size / size.sum()
    effects = np.array([part[0] for part in parts])
    mean = float(share @ effects)
    lever = np.column_stack([part[1] for part in parts]) @ share
    pull = np.zeros(att.means.starts.size)
    np.add.at(pull, groups, (effects - mean) / size.sum())
    lever = lever + np.concatenate([np.zeros(att.means.mean.size), (pull[:, None] * att.means.weight).ravel()])
    return mean, lever, 0.0, float(share @ np.array([part[3] for part in parts]))


def _together(
    att: GroupTime, frame: pd.DataFrame, found: Drawn, confidence: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Widen the intervals after the first row until they hold together."""
    wide = (frame["status"] == results.OK).to_numpy() & (frame["level"] != OVERALL).to_numpy()
    wide &= (frame["std_error"] > 0).to_numpy()
    places = np.flatnonzero(wide)
    if places.size < 2:
        return results.conform(frame)
    cov = att.covariance(found.lever[:, places])
    error = np.sqrt(np.diag(cov))
    values, vectors = np.linalg.eigh(cov / np.outer(error, error))
    draws = rng.standard_normal((_DRAWS, places.size)) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    _, freedom, _ = att.errors(found.lever[:, places])
    chi = np.sqrt(rng.chisquare(freedom.min(), _DRAWS) / freedom.min())
    reach = float(np.quantile(np.abs(draws).max(axis=1) / chi, confidence))
    low, high = frame["conf_low"].to_numpy(copy=True), frame["conf_high"].to_numpy(copy=True)
    low[places], high[places] = found.effect[places] - reach * error, found.effect[places] + reach * error
    note = [f"{old}; held together" if old else "limits hold together" for old in frame["note"]]
    told = np.where(wide, note, frame["note"].to_numpy(dtype=object))
    return results.conform(frame.assign(conf_low=low, conf_high=high, note=told))
