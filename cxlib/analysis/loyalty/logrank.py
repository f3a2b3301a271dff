"""Do groups leave at different speed? The log-rank test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from cxlib import results
from cxlib.analysis import hiding
from cxlib.analysis.loyalty.doors import Labels, labels
from cxlib.analysis.loyalty.kaplan import Watched, watch
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

_NAMED = 6


def log_rank(
    durations: ArrayLike | pd.Series,
    events: ArrayLike | pd.Series,
    by: ArrayLike | pd.Series,
    *,
    strata: ArrayLike | pd.Series | None = None,
    entry: ArrayLike | pd.Series | None = None,
    min_n: int = 1,
) -> pd.DataFrame:
    """Test whether groups leave at the same speed at every time.

    Parameters
    ----------
    durations, events, by, entry
        As in `survival`.
    strata
        Labels within which groups are compared, shape (n,): what is known to matter beside the groups.
    min_n
        A test over fewer customers is suppressed, and the note names no smaller group, nor the next ones where it could
        be worked out from them.

    Returns
    -------
    pandas.DataFrame
        One row, metric `log_rank`, `comparison = "test"`: the chi-square as estimate, its p-value; `method` has the
        degrees of freedom, `note` those who left and how many would have if all left alike. `undefined` where fewer
        than two groups were watched while anybody left.

    Raises
    ------
    UsageError
        As `survival`.

    Source: Mantel (1966); Peto and Peto (1972) J. R. Stat. Soc. A 135:185; as R survival, `survdiff`.
    """
    people, layer = _people(durations, events, by, strata, entry)
    size = len(people.group.names)
    observed, expected, variance = np.zeros(size), np.zeros(size), np.zeros((size, size))
    for place in np.unique(layer.codes):
        part = _one(people, layer.codes == place)
        observed, expected, variance = observed + part[0], expected + part[1], variance + part[2]
    alive = np.flatnonzero(expected > 0)
    name = "log-rank" if strata is None else f"log-rank, stratified by {layer.segment}"
    rows = {"metric": "log_rank", "segment": people.group.segment, "comparison": "test"}
    if alive.size < 2 or np.linalg.matrix_rank(variance[np.ix_(alive, alive)]) < alive.size - 1:
        note = "fewer than two groups were watched while somebody left"
        return results.frame(**rows, method=name, status=results.UNDEFINED, note=note)
    rest, kept = (observed - expected)[alive][:-1], alive[:-1]
    chi_square = float(rest @ np.linalg.solve(variance[np.ix_(kept, kept)], rest))
    freedom = alive.size - 1
    found = results.frame(
        **rows, estimate=chi_square, p_value=stats.chi2.sf(chi_square, freedom), n=float(people.time.size),
        method=f"{name}, chi-square with {freedom} degree{'s' * (freedom != 1)} of freedom",
        note=_told(people, observed, expected, min_n),
    )  # fmt: skip
    return results.suppress(found, min_n)


def _people(
    durations: ArrayLike | pd.Series, events: ArrayLike | pd.Series, by: ArrayLike | pd.Series,
    strata: ArrayLike | pd.Series | None, entry: ArrayLike | pd.Series | None,
) -> tuple[Watched, Labels]:  # fmt: skip
    """Return who was watched and the stratum of each."""
    if strata is None:
        people = watch(durations, events, by, entry)
        return people, Labels(np.zeros(people.time.size, dtype=np.int64), ("all",), "all")
    layer = labels(strata, np.size(durations), otherwise="stratum")
    if (layer.codes < 0).any():
        raise UsageError(f"{layer.segment} is missing in {int((layer.codes < 0).sum())} rows")
    people = watch(durations, events, by, entry)
    return people, layer._replace(codes=layer.codes[people.kept])


def _one(people: Watched, mine: np.ndarray) -> tuple[Numbers, Numbers, Numbers]:
    """Return observed and expected events of each group and their covariance, within one stratum."""
    time, event, codes = people.time[mine], people.event[mine], people.group.codes[mine]
    entry = None if people.entry is None else people.entry[mine]
    when, size = np.unique(time[event == 1]), len(people.group.names)
    risk, left = np.zeros((when.size, size)), np.zeros((when.size, size))
    for group in range(size):
        own = codes == group
        risk[:, group] = own.sum() - np.searchsorted(np.sort(time[own]), when, side="left")
        if entry is not None:
            risk[:, group] -= own.sum() - np.searchsorted(np.sort(entry[own]), when, side="left")
        gone = np.searchsorted(when, time[own & (event == 1)])
        left[:, group] = np.bincount(gone, minlength=when.size)
    n, d = risk.sum(1), left.sum(1)
    share = risk / n[:, None]
    weight = np.divide(d * (n - d), n - 1, out=np.zeros_like(n), where=n > 1)
    variance = np.diag(weight @ share) - (share * weight[:, None]).T @ share
    return left.sum(0), d @ share, variance


def _told(people: Watched, observed: Numbers, expected: Numbers, min_n: int) -> str:
    """Say who left and how many would have if all left alike; nothing of groups that are hidden."""
    names, size = people.group.names, np.bincount(people.group.codes, minlength=len(people.group.names))
    hidden = hiding.levels({name: float(n) for name, n in zip(names, size, strict=True)}, min_n)
    told = [
        f"{name} {had:g} left, {would:.1f} expected"
        for name, had, would in zip(names, observed, expected, strict=True)
        if name not in hidden
    ][:_NAMED]
    rest = len(names) - len(told)
    more = [f"{rest} group{'s' * (rest != 1)} more"] if rest > 0 else []
    return "; ".join([*told, *more, *([people.note] if people.note else [])])
