"""What customers say of the drivers themselves: how important they are (stated), and how well they go (performance)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import require
from cxlib.analysis.drivers.columns import Given, column_of, names_of
from cxlib.analysis.drivers.fitted import DRIVER, IMPORTANCE
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import estimates
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Numbers, weight_of
from cxlib.measure.weighted import weighted_mean

STATED, PERFORMANCE = "stated", "performance"
_KINDS = {"ratings": "mean", "mentions": "share"}
Ends = tuple[float, float]


def stated(
    frame: pd.DataFrame,
    drivers: Sequence[str] | Mapping[str, str],
    *,
    kind: str = "ratings",
    weights: Given = None,
    cluster: Given = None,
    not_applicable: Any = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """How important customers say that each driver is.

    Parameters
    ----------
    frame
        One row an answer.
    drivers
        Columns that ask for the importance, or driver -> such a column, so that the rows bear the drivers' names.
    kind
        `ratings`: numbers, the estimate is their mean; `mentions`: true (1) where the driver was named as one that
        matters, the estimate is the share.
    weights, cluster, not_applicable, confidence, min_n
        As in `importance.fit`; codes of `not_applicable` do not count as answers.

    Returns
    -------
    pandas.DataFrame
        Result rows, one a driver in `level`, `metric = "importance"`, `at = "stated"`; n counts the answers.

    Raises
    ------
    UsageError
        For columns that are not there or not numbers, and an unknown kind.

    Notes
    -----
    Intervals as in `measure.estimates`, with weights `measure.weights.weighted_mean`: t or Wilson, whole customers.
    Stated importance is high for nearly everything (Myers and Alpert 1977, Adv. Consumer Res. 4:106): read its ranks
    beside the derived ones (`compare`).
    """
    if kind not in _KINDS:
        raise UsageError(f"kind '{kind}' is not known; there are {', '.join(_KINDS)}{did_you_mean(kind, _KINDS)}")
    found = _means(frame, drivers, _KINDS[kind], (weights, cluster), not_applicable, confidence, min_n, {})
    return results.label(found, metric=IMPORTANCE, at=STATED, method="stated, " + found["method"])


def performance(
    frame: pd.DataFrame,
    drivers: Sequence[str] | Mapping[str, str],
    *,
    ends: Ends | Mapping[str, Ends] | None = None,
    weights: Given = None,
    cluster: Given = None,
    not_applicable: Any = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """How well each driver goes: its mean, with interval.

    Parameters
    ----------
    frame, drivers, weights, cluster, not_applicable, confidence, min_n
        As in `stated`.
    ends
        The worst and the best value, of all drivers or by driver: the mean is brought to 0 to 100 between them, so that
        drivers on different scales stand beside one another (`{"wait": (600, 0)}`: no wait is 100). Beyond the ends an
        answer counts as the end. Without it means are those of the answers.

    Returns
    -------
    pandas.DataFrame
        Result rows, one a driver in `level`, `metric = "performance"`.

    Raises
    ------
    UsageError
        As `stated`, and for ends that are equal or are lacking for a driver.
    """
    given = names_of(drivers)
    by_name = dict(ends) if isinstance(ends, Mapping) else dict.fromkeys(given, ends) if ends is not None else {}
    lacking = [name for name in given if by_name and name not in by_name]
    wrong = [f"no ends for driver '{name}'" for name in lacking]
    wrong += [f"the ends of driver '{name}' are equal" for name, (worst, best) in by_name.items() if worst == best]
    if wrong:
        raise UsageError("; ".join(wrong))
    found = _means(frame, given, "mean", (weights, cluster), not_applicable, confidence, min_n, by_name)
    return results.label(found, metric=PERFORMANCE, method=found["method"] + (", 0 to 100" if by_name else ""))


def _means(
    frame: pd.DataFrame, drivers: Sequence[str] | Mapping[str, str], kind: str, who: tuple[Given, Given],
    not_applicable: Any, confidence: float, min_n: int, ends: Mapping[str, Ends],
) -> pd.DataFrame:  # fmt: skip
    """Return a mean or share of each driver's own column."""
    given = names_of(drivers)
    require(frame, [*given.values(), *(one for one in who if isinstance(one, str))])
    weight, cluster = (frame[one].to_numpy() if isinstance(one, str) else one for one in who)
    weighed, rows = weight_of(weight, len(frame)), []
    people = None if cluster is None else np.asarray(cluster, dtype=object).ravel()
    for name, column in given.items():
        value = column_of(frame[column], name, column, not_applicable)
        known = ~np.isnan(value) & (weighed > 0)
        if name in ends:
            value = _between(value, ends[name])
        if not known.any():
            rows.append(results.frame(level=name, status=results.UNDEFINED, note="no answers"))
            continue
        if kind == "share" and (strange := np.setdiff1d(value[known], [0.0, 1.0])).size:
            raise UsageError(f"mentions are 0 or 1; '{column}' holds {strange[-1]:g}")
        whose = None if people is None else people[known]
        if weight is None:
            row = _bare(kind, Moments.of(value[known], clusters=whose), confidence)
        else:
            row = weighted_mean(value[known], weighed[known], confidence=confidence, clusters=whose, kind=kind)
        row = row.assign(level=name)
        heads = int(known.sum()) if people is None else pd.Series(people[known]).nunique(dropna=True)
        rows.append(results.suppress(row, np.iinfo(np.int64).max if heads < min_n else 0))
    return results.label(results.concat(rows), segment=DRIVER)


def _bare(kind: str, moments: Moments, confidence: float) -> pd.DataFrame:
    """Return a mean or a share without weights."""
    if kind == "mean":
        return estimates.mean(moments, confidence=confidence)
    successes = estimates.successes_of(moments)
    return estimates.share(successes, moments.rows, confidence=confidence, n_eff=moments.effective_n)


def _between(value: Numbers, ends: Ends) -> Numbers:
    """Return values on a scale from 0, the worst, to 100, the best."""
    worst, best = ends
    return 100 * np.clip((value - worst) / (best - worst), 0.0, 1.0)
