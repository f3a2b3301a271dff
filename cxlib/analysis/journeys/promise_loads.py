"""Slow pages: how long pages load, and what goes with it: whether the visit ends in an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import alike
from cxlib.measure import intervals
from cxlib.measure.moments import Moments
from cxlib.measure.quantiles import Counts
from cxlib.measure.rows import Numbers, numbered

LOAD, CONVERSION, BAND = "page_load", "visit_ends_in_order", "load band"
QUANTILES = (0.5, 0.75, 0.95)
EDGES = (1.0, 2.5, 4.0)  # seconds; 2.5 and 4 are where Google's Core Web Vitals call a page good and poor
RAW, EQUAL = "as it is", "all else equal"
_MS = 1_000.0


def bands(edges: Sequence[float] = EDGES) -> tuple[str, ...]:
    """Return the names of the bands, fastest first."""
    inner = [f"{low:g} to {high:g} s" for low, high in zip((0.0, *edges[:-1]), edges, strict=True)]
    return (*inner, f"more than {edges[-1]:g} s")


def loads(
    frame: pd.DataFrame, by: str = "", *, confidence: float = 0.95, min_n: int = 1
) -> pd.DataFrame:  # fmt: skip
    """Return quantiles of the loading time of pages.

    Parameters
    ----------
    frame
        One row a visit: `customer_id`, `load_ms`, and the column `by`.
    by
        Column of levels, say touchpoints; '' for the whole.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        Rows p50, p75 and p95 (`at`) of each level, in seconds. The limits are order statistics, free of any
        distribution (`measure.quantiles`), at the ranks of as many independent visits as the level's are worth: those
        that leave the share below the quantile as uncertain (Woodruff 1952, JASA 47:635).
    """
    doors.require(doors.frame(frame), ["customer_id", "load_ms", *([by] if by else [])])
    table = frame[frame["load_ms"].notna() & (frame[by].notna() if by else True)]
    if table.empty:
        return results.frame(metric=LOAD, segment=by or "all", status=results.UNDEFINED, note="no page loads are timed")
    code, names = pd.factorize(table[by], sort=True) if by else (np.zeros(len(table), dtype=int), ["all"])
    people, _ = numbered(table["customer_id"], np.ones(len(table), dtype=bool))
    seconds = table["load_ms"].to_numpy(dtype=float) / _MS
    cells = Counts(code, seconds, np.ones(seconds.size), len(names))
    parts = [_quantile(cells, (code, seconds, people), q, confidence) for q in QUANTILES]
    labelled = [
        results.label(part, metric=LOAD, segment=by or "all", level=[str(name) for name in names], at=f"p{100 * q:g}")
        for part, q in zip(parts, QUANTILES, strict=True)
    ]
    count = table.assign(_level=code).groupby("_level")["customer_id"].nunique()
    held = {str(name): float(count[place]) for place, name in enumerate(names)}
    return alike.suppressed(results.concat(labelled), alike.unseen(held, min_n, whole=not by))


def _quantile(cells: Counts, rows: tuple[Any, Numbers, Any], q: float, confidence: float) -> pd.DataFrame:
    """Return one quantile of every level."""
    code, seconds, people = rows
    n = cells.n
    point = cells.at(intervals.quantile_ranks(n, q, confidence)[0])
    below = (seconds <= point[code]).astype(float)
    worth = np.array([
        float(Moments.of(below[code == place], clusters=people[code == place]).effective_n[0])
        for place in range(n.size)
    ])  # fmt: skip
    size = np.maximum(np.floor(np.minimum(worth, n)), 1.0)
    _, first, last = intervals.quantile_ranks(size, q, confidence)
    few = (first < 1) | (last > size)
    low, high = cells.at(np.floor(first / size * n)), cells.at(np.minimum(np.ceil(last / size * n), n))
    return results.frame(
        estimate=point, conf_low=np.where(few, np.nan, low), conf_high=np.where(few, np.nan, high), n=n, n_eff=worth,
        method="order statistics, cluster-robust n_eff", status=np.where(few, results.TOO_FEW, results.OK),
        note=np.where(few, "too few visits for an interval of this quantile", ""),
    )  # fmt: skip


def conversion(
    frame: pd.DataFrame,
    *,
    case_mix: Sequence[str] = (),
    edges: Sequence[float] = EDGES,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return whether visits whose page loads slowly end in an order less often.

    Parameters
    ----------
    frame
        One row a visit whose day after is over: `customer_id`, `touchpoint`, `load_ms`, `ordered` (1 where the customer
        ordered within a day, else 0), and the columns of `case_mix`.
    case_mix
        Columns that are held equal beside the touchpoint: the month, say, for slow months may sell less.
    edges
        Seconds at which loading times are cut.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        Share that ordered by band (level rows, fastest first), and differences from the fastest band `at` "as it is"
        and "all else equal" (within touchpoints: nearly every visit to the payment page ends in an order).
    """
    doors.require(doors.frame(frame), ["customer_id", "touchpoint", "load_ms", "ordered", *case_mix])
    table = frame[frame["load_ms"].notna()]
    names = bands(edges)
    place = np.searchsorted(np.array(edges) * _MS, table["load_ms"].to_numpy(dtype=float), side="left")
    table = table.assign(**{BAND: np.array(names, dtype=object)[place]})
    how: dict[str, Any] = {"metric": CONVERSION, "confidence": confidence, "min_n": min_n}
    shares = alike.levels(table, "ordered", BAND, **how)
    gone = shares.loc[shares["status"] == results.SUPPRESSED, "level"].tolist()
    raw = alike.differences(table, "ordered", BAND, names[0], **how)
    equal = alike.differences(table, "ordered", BAND, names[0], within="touchpoint", case_mix=case_mix, **how)
    both = results.concat([results.label(raw, at=RAW), results.label(equal, at=EQUAL)])
    both = alike.suppressed(both, list(names) if names[0] in gone else gone)
    found = results.concat([shares, both])
    rank = {name: number for number, name in enumerate(names)}
    order = np.argsort(found["level"].map(rank).fillna(-1).to_numpy(), kind="stable")
    return found.iloc[order].reset_index(drop=True)
