"""Differences between periods, and between levels of one period, with the verdict on each.

A difference is after minus before, or the first level minus the second. Customers who answer on both sides make the two
estimates covary: where the overlap is known, twice its covariance is subtracted; where it is not, both sides are
treated as if they shared nobody, which makes intervals of like-minded returners too wide, not too narrow. `method` says
which of the two was done.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates
from cxlib.measure.decomposition import decompose
from cxlib.measure.differences import mean_difference, nps_difference, rate_difference, share_difference
from cxlib.measure.joint import Joint
from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.overlap import Overlap
from cxlib.measure.quantiles import Counts, counted_difference, quantile_difference
from cxlib.measure.targets import to_target
from cxlib.measure.verdicts import adjust, family, judge
from cxlib.params import Metric, definition_hash

__all__ = [
    "adjust", "between", "decompose", "difference", "family", "judge", "levels", "mean_difference", "nps_difference",
    "quantile_difference", "rate_difference", "share_difference", "to_target",
]  # fmt: skip

REST = "the rest"
_KNOWN, _UNKNOWN = ", respondents of both periods allowed for", ", independent periods"
_RECUR = "several values of one customer are treated as independent"


def between(
    metric: Metric,
    frame: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    *,
    overlaps: pd.DataFrame | None = None,
    relative: bool = False,
    confidence: float = 0.95,
    alpha: float = 0.05,
    min_n: int = 10,
    segment: str = "all",
    definition: str = "",
) -> pd.DataFrame:
    """Compare periods of one metric, level by level.

    Parameters
    ----------
    metric
        The definition that the moments were made by.
    frame
        What `plans.plan` brought back, of one segment.
    pairs
        (period, against) labels: the difference is the first minus the second.
    overlaps
        What `plans.overlaps` brought back for these pairs: sums over the customers who answer in both periods. A pair
        and level without a row shares nobody. Quantiles make no use of it.
    relative
        Add a row `comparison = "relative"` for each difference: after / before - 1 by the delta method. Not for NPS,
        which passes through 0, nor for quantiles. It has no verdict: it is the same change in another unit.
    confidence
        Of the intervals.
    alpha
        Of the verdicts; the rows of this call are the family (`judge` again over a larger one).
    min_n
        A row is suppressed where either side has fewer answers or fewer people.
    segment
        Name of the dimension, `all` for the whole.
    definition
        Hash of the definition; worked out if left out.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, `against` the other period; one row per pair and level that either
        side has, then the relative ones. Where one side is missing, rows are `undefined`.
    """
    frame = estimates.recorded(metric, frame, segment)
    sides = _sides(frame, pairs)
    if sides.empty:
        return results.empty()
    words = {"metric": metric.id, "segment": segment, "definition": definition or definition_hash(metric)}
    words |= {name: sides[name].astype(str) for name in ("period", "level", "against")}
    least = max(min_n, metric.min_n or 0)
    if metric.kind == "quantile":
        found, n = _quantiles(metric, frame, sides, confidence)
        return judge(_stated(found, sides, n, least, words), [metric], alpha=alpha, confidence=confidence)
    after, before = (Moments.from_frame(_side(sides, suffix)) for suffix in ("", "_before"))
    correlation, both = _shared(after, before, _overlap(sides, overlaps))
    rest = _UNKNOWN if overlaps is None else _KNOWN
    found = difference(metric, before, after, confidence, correlation, both)
    n = np.stack([estimates.n_of(metric, side) for side in (after, before)])
    found = _stated(found.assign(method=found["method"] + rest), sides, n, least, words)
    found = judge(found, [metric], alpha=alpha, confidence=confidence)
    if not relative or metric.kind == "nps":
        return found
    shared = {"correlation": correlation, "both": both}
    ratio = mean_difference(before, after, scale="relative", confidence=confidence, **shared)
    return results.concat([found, _stated(ratio.assign(method=ratio["method"] + rest), sides, n, least, words)])


def levels(
    metric: Metric,
    joint: Joint,
    pairs: Sequence[tuple[str, str]] | str = "rest",
    *,
    segment: str,
    confidence: float = 0.95,
    alpha: float = 0.05,
    min_n: int = 10,
    definition: str = "",
) -> pd.DataFrame:
    """Compare levels of a segment within each period.

    Parameters
    ----------
    metric
        The definition that the sums were made by; not a quantile, which has no sums.
    joint
        Sums of the levels with the products between them, of one or several periods.
    pairs
        (level, against): the difference is the first minus the second; or `rest`: each level against all others.
    segment
        Name of the dimension.
    confidence, alpha, min_n, definition
        As in `between`.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison = "difference"`, `against` the other level or `the rest`; the covariance of
        customers who lie in both is subtracted. A pair of which a period lacks one level has no row there.

    Raises
    ------
    UsageError
        For a quantile, a level that no period has, or anything but `rest` in place of pairs.
    """
    if metric.kind == "quantile":
        raise UsageError(f"levels of '{metric.id}' cannot be compared: a quantile has no sums")
    cells = _against_rest(joint) if isinstance(pairs, str) and pairs == "rest" else _pairs(joint, pairs)
    if not cells:
        return results.empty()
    labels = pd.DataFrame([names for names, *_ in cells], columns=["period", "level", "against"], dtype="str")
    first, second = (Moments.stacked([sums.moments(cell[k]) for _, sums, cell in cells]) for k in (0, 1))
    correlation, both = _shared(first, second, _of_cells([(sums, cell) for _, sums, cell in cells]))
    found = difference(metric, second, first, confidence, correlation, both)
    found = found.assign(method=found["method"] + ", customers of both allowed for")
    n = np.stack([estimates.n_of(metric, side) for side in (first, second)])
    sides = labels.assign(clusters=first.clusters, clusters_before=second.clusters, rows=n[0], rows_before=n[1])
    words = {"metric": metric.id, "segment": segment, "definition": definition or definition_hash(metric)}
    words |= {name: labels[name] for name in labels}
    found = _stated(found, sides, n, max(min_n, metric.min_n or 0), words)
    return judge(found, [metric], alpha=alpha, confidence=confidence)


def _sides(frame: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return one row per pair and level, the later period's sums beside the earlier one's (`_before`)."""
    frame = frame.drop_duplicates(["period", "level"])  # a quantile's counts have several rows each
    places = {key: place for place, key in enumerate(zip(frame["period"], frame["level"], strict=True))}
    keys = sorted(
        (period, against, level)
        for period, against in pairs
        for level in {level for label, level in places if label in (period, against)}
    )
    numbers = frame.drop(columns=["period", "level"]).reset_index(drop=True)
    after = numbers.reindex([places.get((period, level), -1) for period, _, level in keys])
    before = numbers.reindex([places.get((against, level), -1) for _, against, level in keys]).add_suffix("_before")
    labels = pd.DataFrame(keys, columns=["period", "against", "level"], dtype="str")
    return pd.concat([labels, after.reset_index(drop=True), before.reset_index(drop=True)], axis=1)


def _side(sides: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Return one side's sums under their own names."""
    names = [name.removesuffix("_before") for name in sides.columns if name.endswith("_before")]
    return pd.DataFrame({name: sides[f"{name}{suffix}"] for name in names})


def _stated(
    found: pd.DataFrame, sides: pd.DataFrame, n: Numbers, min_n: int, words: dict[str, pd.Series | str]
) -> pd.DataFrame:
    """Name the rows, say which side is missing, and suppress the small ones; `n` holds both sides' answers, (2, m)."""
    absent = sides["rows"].isna() | sides["rows_before"].isna()
    empty = sides["period"].where(sides["rows"].isna(), sides["against"]).map("no answers in {}".format)
    status, note = found["status"].mask(absent, results.UNDEFINED), found["note"].mask(absent, empty)
    people = np.fmin(sides["clusters"].to_numpy(dtype=float), sides["clusters_before"].to_numpy(dtype=float))
    found = results.conform(found.assign(status=status, note=note, n=n.sum(axis=0), **words))
    return estimates.suppressed(found, np.fmin(np.fmin(n[0], n[1]), people), min_n)


def _quantiles(
    metric: Metric, frame: pd.DataFrame, sides: pd.DataFrame, confidence: float
) -> tuple[pd.DataFrame, Numbers]:
    """Return the differences of a quantile, and the answers of both sides, (2, m)."""
    counts = []
    for period in ("period", "against"):
        keys = sides[[period, "level"]].set_axis(["period", "level"], axis=1).assign(cell=np.arange(len(sides)))
        values = keys.merge(frame[["period", "level", "value", "rows"]], on=["period", "level"])
        counts.append(Counts(values["cell"], values["value"], values["rows"], len(sides)))
    found = counted_difference(counts[1], counts[0], metric.quantile, confidence=confidence)
    n: Numbers = np.stack([side.n for side in counts])
    people = sides[["clusters", "clusters_before"]].to_numpy(dtype=float).T
    recur = (people < n).any(axis=0) & (found["note"] == "")
    method = found["method"] + _UNKNOWN
    return found.assign(note=found["note"].mask(recur, _RECUR), method=method), n


def difference(
    metric: Metric, before: Moments, after: Moments, confidence: float = 0.95, correlation: ArrayLike = 0.0,
    both: ArrayLike = 0.0,
) -> pd.DataFrame:  # fmt: skip
    """Return `after` less `before` by the formula of a metric's kind; quantiles are not made of moments.

    Parameters
    ----------
    metric
        The definition.
    before, after
        Moments of scalars or arrays of one shape: two periods, two levels, or control and treatment.
    confidence
        Of the interval.
    correlation, both
        Of the two sides, where they share customers, and how many these are; see `measure.differences`.

    Returns
    -------
    pandas.DataFrame
        Difference rows in the metric's unit, without names.
    """
    n_eff = (before.effective_n, after.effective_n)
    if metric.kind == "share":
        new, old = (estimates.successes_of(side) for side in (after, before))
        return share_difference(
            new, after.rows, old, before.rows, confidence=confidence, n_eff=n_eff[::-1], correlation=correlation
        )
    if metric.kind == "nps":
        counts = (estimates.promoters_of(before), estimates.promoters_of(after))
        return nps_difference(*counts, confidence=confidence, n_eff=n_eff, correlation=correlation, both=both)
    if metric.kind == "rate":
        shared = {"correlation": correlation, "both": both}
        return rate_difference(before, after, scale=metric.scale, confidence=confidence, **shared)
    found = mean_difference(before, after, confidence=confidence, correlation=correlation, both=both)
    return estimates.scaled(found, metric.scale)


def _overlap(sides: pd.DataFrame, overlaps: pd.DataFrame | None) -> Overlap:
    """Return the overlap of each row of `sides`; nobody where none is known."""
    names, keys = ("clusters", "yy", "yx", "xy", "xx"), ["period", "against", "level"]
    if overlaps is None or overlaps.empty:
        return Overlap(**{name: np.zeros(len(sides)) for name in names})
    places = {key: place for place, key in enumerate(zip(*(overlaps[key] for key in keys), strict=True))}
    where = [places.get(key, -1) for key in zip(*(sides[key] for key in keys), strict=True)]  # -1: the 0 at the end
    found = {name: np.append(overlaps[name].to_numpy(dtype=float), 0.0)[where] for name in names}
    return Overlap(**{name: np.nan_to_num(numbers) for name, numbers in found.items()})


def _shared(first: Moments, second: Moments, overlap: Overlap) -> tuple[Numbers, Numbers]:
    """Return the correlation of two sides' ratios, and how many customers they share."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = overlap.covariance(first, second) / np.sqrt(first.variance * second.variance)
    return np.clip(np.where(np.isfinite(found), found, 0.0), -1, 1), overlap.clusters


Cell = tuple[tuple[str, str, str], Joint, tuple[int, int]]


def _against_rest(joint: Joint) -> list[Cell]:
    """Return (period, level, `the rest`), the sums of both, and their places, for each cell that has others beside."""
    found: list[Cell] = []
    for period, cells in joint.keys.groupby("period", sort=True):
        own = joint.take(cells.index.to_numpy())
        for level in own.keys["level"] if len(cells) > 1 else ():
            two = own.merge(np.where(own.keys["level"] == level, level, REST).tolist())
            place = 0 if two.keys["level"].iloc[0] == level else 1
            found.append(((str(period), level, REST), two, (place, 1 - place)))
    return found


def _pairs(joint: Joint, pairs: Sequence[tuple[str, str]] | str) -> list[Cell]:
    """Return the same for named pairs of levels."""
    if isinstance(pairs, str):
        raise UsageError(f"'{pairs}' is neither 'rest' nor a list of pairs of levels")
    unknown = sorted({level for pair in pairs for level in pair} - set(joint.keys["level"]))
    if unknown:
        raise UsageError(f"no period has the levels {', '.join(unknown)}")
    places = {key: place for place, key in enumerate(zip(joint.keys["period"], joint.keys["level"], strict=True))}
    return [
        ((period, *pair), joint, (places[period, pair[0]], places[period, pair[1]]))
        for period in sorted(set(joint.keys["period"]))
        for pair in pairs
        if all((period, level) in places for level in pair)
    ]


def _of_cells(cells: Sequence[tuple[Joint, tuple[int, int]]]) -> Overlap:
    """Return the customers that both cells of each pair share."""
    pick = lambda name, flip=False: np.array([getattr(j, name)[c[::-1] if flip else c] for j, c in cells])  # noqa: E731
    return Overlap(pick("both"), pick("yy"), pick("xy", True), pick("xy"), pick("xx"))
