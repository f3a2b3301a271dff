"""The long view: rolling periods, and months with the season taken out.

Seasonal adjustment is STL (Cleveland, Cleveland, McRae and Terpenning 1990, Journal of Official Statistics 6) as in
statsmodels, not robust and with one seasonal pattern for all years (R: `s.window = "periodic"`). So it is linear in the
figures, and the sampling variances go through it exactly: the operator is had by adjusting unit vectors.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates, intervals
from cxlib.params import Metric
from cxlib.periods import Period

Numbers = NDArray[np.float64]

ADJUSTED = "seasonally adjusted"
_YEAR = {"month": 12, "quarter": 4}
_YEARS = 2  # with fewer a season cannot be told from a movement
_ESTIMATED = "the seasonal pattern is itself estimated"


def rolled(k: int) -> str:
    """Return what `at` says of rolling rows: `rolling 3`."""
    return f"rolling {k}"


def rolling(
    metric: Metric,
    frame: pd.DataFrame,
    k: int,
    *,
    first: str = "",
    confidence: float = 0.95,
    min_n: int = 10,
    segment: str = "all",
    definition: str = "",
) -> pd.DataFrame:
    """Estimate periods that each cover `k` of their kind.

    Parameters
    ----------
    metric
        The definition.
    frame
        Moments of `plans.plan(..., rolling=k)`: each row covers its period and the k - 1 before it, every
        customer once.
    k
        How many periods each row covers.
    first
        Label of the first period with data: rows that would reach back beyond it are `too_few`. Empty does not check.
    confidence, min_n, segment, definition
        As in `estimates.from_moments`.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "level"`, `at = "rolling <k>"`. Neighbouring rows share k - 1 of their periods:
        they are no independent observations, and a step between them is a k-th of what came less what went.
    """
    found = estimates.from_moments(
        metric, frame, confidence=confidence, min_n=min_n, segment=segment, definition=definition
    )
    if found.empty:
        return found
    kind = Period.parse(found["period"].iloc[0]).kind
    start = Period.parse(first).next(k - 1) if first else None
    short = np.array([start is not None and Period.parse(label) < start for label in found["period"]])
    return results.conform(
        found.assign(
            at=rolled(k), method=found["method"] + f", rolling {k} {kind}s",
            status=found["status"].mask(short, results.TOO_FEW),
            note=found["note"].mask(short, f"the data hold fewer than {k} {kind}s up to here"),
        )
    )  # fmt: skip


def adjusted(frame: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Take the season out of monthly or quarterly figures.

    Parameters
    ----------
    frame
        A result frame; its `level` rows without `at` are taken, each metric, segment and level a series of its own. The
        last stretch without a gap counts: two full years at least, three are better.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "level"`, `at = "seasonally adjusted"`, one row per period of each series. The
        standard errors are those of the figures, taken as independent between periods, through the linear operator;
        n is the period's. `too_few` before two full years are there, and before the last gap.

    Raises
    ------
    UsageError
        For weeks, for a series with periods of several kinds, or with several figures for one period.
    """
    rows = frame[(frame["comparison"] == "level") & (frame["at"] == "") & (frame["period"] != "")].drop_duplicates()
    parts = []
    for (metric, segment, level), own in rows.groupby(["metric", "segment", "level"], sort=True):
        words = {"metric": metric, "segment": segment, "level": level, "definition": own["definition"].iloc[0]}
        parts.append(_one(own.sort_values("period"), confidence).assign(**words))
    return results.concat(parts)


def _one(own: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Adjust one series."""
    labels, season = _calendar(own), _season(own)
    full = own.set_index("period").reindex(labels)
    y, error = full["estimate"].to_numpy(dtype=float), full["std_error"].to_numpy(dtype=float)
    gaps = np.flatnonzero(np.isnan(y) | np.isnan(error))
    start = int(gaps[-1]) + 1 if gaps.size else 0
    size = len(labels) - start
    value, spread = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    enough = size >= _YEARS * season
    if enough:
        weights = operator(size, season)
        value[start:], spread[start:] = weights @ y[start:], np.sqrt(weights**2 @ error[start:] ** 2)
    half = intervals.z_of(confidence) * spread
    few = f"a season needs {_YEARS * season} periods in a row with a figure and a standard error; there are {size}"
    status = np.where(np.isnan(value), results.TOO_FEW, results.OK)
    return results.frame(
        period=np.array(labels, dtype=object), at=ADJUSTED, estimate=value, std_error=spread, conf_low=value - half,
        conf_high=value + half, n=full["n"].to_numpy(dtype=float), method=f"STL, periodic season of {season}",
        status=status, note=np.where(status == results.OK, _ESTIMATED, "before the last gap" if enough else few),
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def operator(size: int, season: int = 12) -> Numbers:
    """Return the matrix that takes the season out of a series of `size` periods, shape (size, size).

    Parameters
    ----------
    size
        Periods of the series, two seasons at least.
    season
        Periods of a year: 12 or 4.
    """
    if size < _YEARS * season:
        raise UsageError(f"{size} periods are fewer than {_YEARS} years of {season}")
    columns = [unit - _stl(unit, season) for unit in np.eye(size)]
    found = np.column_stack(columns)
    found.flags.writeable = False  # it is shared by all callers
    return found


def _stl(y: Numbers, season: int) -> Numbers:
    """Return the seasonal component."""
    from statsmodels.tsa.seasonal import STL  # costs a second, and charts import this module for a name

    # A window far longer than the series and a flat fit: each month's factor is the mean of its years.
    return np.asarray(STL(y, period=season, seasonal=10 * y.size + 1, seasonal_deg=0, robust=False).fit().seasonal)


def _calendar(own: pd.DataFrame) -> list[str]:
    """Return the labels of every period from first to last."""
    if not own["period"].is_unique:
        raise UsageError(f"{own['metric'].iloc[0]} has several figures for one period")
    periods = [Period.parse(label) for label in own["period"]]
    return [str(period) for period in Period.range(min(periods), max(periods))]


def _season(own: pd.DataFrame) -> int:
    """Return how many periods make a year."""
    kinds = {Period.parse(label).kind for label in own["period"]}
    if len(kinds) > 1 or not kinds <= set(_YEAR):
        raise UsageError(
            f"{own['metric'].iloc[0]} has {' and '.join(sorted(kinds))} periods", hint="Adjust months, or quarters."
        )
    return _YEAR[kinds.pop()]
