"""What being late costs: the outcome by days late, and how much of the partners' differences that explains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis.doors import generator, numbers
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.partners import pooling
from cxlib.analysis.partners.adjusting import Slopes, slopes
from cxlib.analysis.partners.fits import Fit, fit, raw, spread
from cxlib.analysis.partners.rows import Rows, check_columns, rows_of
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

EDGES = (-7.0, 0.0, 3.0, 7.0)
_SHARE_LOST = 0.05  # of resamples without a spread: more, and the share explained has no interval


def late_levels(days: pd.Series, edges: Sequence[float] = EDGES) -> pd.Series:
    """Cut days late into levels, earliest first; negative days are early.

    Parameters
    ----------
    days
        Days between the promised and the real moment, shape (n,); missing where nothing was delivered.
    edges
        Increasing; each level holds days above one edge up to the next. One edge must be 0: on time is not late.

    Returns
    -------
    pandas.Series
        Ordered categories: "more than 7 days early", "up to 7 days early", "up to 3 days late", ...
    """
    ends = [float(edge) for edge in edges]
    if ends != sorted(set(ends)) or 0.0 not in ends:
        raise UsageError(f"edges {list(edges)} must increase and hold 0", hint="Say, (-7, 0, 3, 7).")
    names = [f"more than {-ends[0]:g} days early" if ends[0] < 0 else "on time"]
    for low, high in pairwise(ends):
        early = f"up to {-low:g} days early" if high == 0 else f"{-high:g} to {-low:g} days early"
        names.append(
            early if high <= 0 else f"up to {high:g} days late" if low == 0 else f"{low:g} to {high:g} days late"
        )
    names.append(f"more than {ends[-1]:g} days late" if ends[-1] > 0 else "late")
    value = numbers(str(days.name), days)
    code = np.where(np.isnan(value), -1, np.searchsorted(ends, value, side="left"))
    return pd.Series(pd.Categorical.from_codes(code, names, ordered=True), index=days.index, name=days.name)


def delay(
    frame: pd.DataFrame,
    outcome: str,
    days: str,
    *,
    edges: Sequence[float] = EDGES,
    kind: str = "mean",
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return the outcome by days late, one row a level, earliest first.

    Parameters
    ----------
    frame, outcome, kind, cluster, metric, confidence, min_n
        As in `fits.fit`.
    days, edges
        Column of days late and where to cut it; see `late_levels`. Rows without days are left out.

    Returns
    -------
    pandas.DataFrame
        Result rows with the house's intervals, segment the column of days, level the words. What partners make is in
        these figures, too: `delay_effect` compares within partners.
    """
    check_columns(frame, [outcome, days])
    levels = late_levels(frame[days], edges)
    found = raw(
        fit(
            frame.assign(**{days: levels.astype(object)}), outcome, days, kind=kind, cluster=cluster, metric=metric,
            confidence=confidence, min_n=min_n,
        )
    )  # fmt: skip
    place = {name: number for number, name in enumerate(levels.cat.categories)}
    order = found["level"].map(place).to_numpy()
    return found.iloc[np.argsort(order, kind="stable")].reset_index(drop=True)


def delay_effect(
    frame: pd.DataFrame,
    outcome: str,
    days: str,
    partner: str,
    *,
    edges: Sequence[float] = EDGES,
    case_mix: Sequence[str] = (),
    kind: str = "mean",
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return what being late goes with at one and the same partner, against the level that ends on time.

    Parameters
    ----------
    frame, outcome, partner, case_mix, kind, cluster, metric, confidence, min_n
        As in `fits.fit`.
    days, edges
        As in `delay`.

    Returns
    -------
    pandas.DataFrame
        One row a level but the one on time, `comparison = "difference"`: least squares with a fixed effect a partner,
        errors robust to clusters of customers (with G / (G - 1)), t with customers - 1 degrees. n counts the level's
        rows. It compares orders that nobody delayed at random: an effect only as far as orders are otherwise alike.
    """
    check_columns(frame, [outcome, days, partner])
    levels = late_levels(frame[days], edges)
    known = frame[[outcome, days, partner]].notna().all(axis=1).to_numpy()
    rows = rows_of(frame.loc[known], outcome, partner, case_mix=case_mix, kind=kind, cluster=cluster)
    code, names = levels[known].cat.codes.to_numpy(), list(levels.cat.categories)
    base = int(np.searchsorted([float(edge) for edge in edges], 0.0))
    others = [place for place in range(len(names)) if place != base and (code == place).any()]
    blank = {"metric": metric or outcome, "segment": days, "comparison": "difference", "against": names[base]}
    dummies = (code[:, None] == np.array(others, dtype=int)[None, :]).astype(float)
    both = replace(rows, design=np.hstack([dummies - dummies.mean(axis=0), rows.design])) if rows.y.size else rows
    found = slopes(both) if rows.y.size and (code == base).any() and others else None
    if found is None:
        note = f"no answers to compare with '{names[base]}'"
        return results.frame(**blank, status=results.TOO_FEW, note=note)
    return _effects(both, dummies, found, [names[place] for place in others], blank, (confidence, min_n))


def _effects(
    rows: Rows, dummies: Numbers, found: Slopes, names: Sequence[str], blank: dict[str, str], how: tuple[float, int]
) -> pd.DataFrame:
    """Return the slopes of the dummies as result rows; of those that do not vary within partners, why there is none."""
    place = np.cumsum(found.moves) - 1
    groups = np.unique(rows.people).size
    parts = []
    for number, name in enumerate(names):
        mine = dummies[:, number] > 0
        people, size = np.unique(rows.people[mine]).size, int(mine.sum())
        if not found.moves[number] or groups < 2:
            note = "no partner has answers both on time and in this level"
            parts.append(results.frame(**blank, level=name, status=results.TOO_FEW, note=note))
            continue
        at = int(place[number])
        value = float(found.slope[at])
        error = float(np.sqrt(found.cover[at, at] * groups / (groups - 1)))
        low, high = intervals.student(np.array(value), np.array(error), np.array(groups - 1.0), how[0])
        row = results.frame(
            **blank, level=name, estimate=value, std_error=error, conf_low=low, conf_high=high, n=size,
            p_value=2 * stats.t.sf(abs(value) / error, groups - 1) if error > 0 else np.nan,
            method="least squares within partners, cluster-robust",
        )  # fmt: skip
        parts.append(row if people >= how[1] else _hide(row))
    return results.concat(parts)


def _hide(row: pd.DataFrame) -> pd.DataFrame:
    return results.label(row, status=results.SUPPRESSED, note="fewer customers than may be shown")


def explained(
    frame: pd.DataFrame,
    outcome: str,
    partner: str,
    by: Sequence[str],
    *,
    case_mix: Sequence[str] = (),
    kind: str = "mean",
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    bootstrap: int = 500,
    rng: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Say how much of the partners' differences goes with what they do, say with being late.

    Parameters
    ----------
    frame, outcome, partner, case_mix, kind, cluster, metric, confidence
        As in `fits.fit`.
    by
        Columns of what partners do; days late best as `late_levels`.
    bootstrap
        Resamples of partners.
    rng
        Default `np.random.default_rng(1)`.

    Returns
    -------
    pandas.DataFrame
        `partner_sd` at "before" and at "after" adjusting for `by` (see `fits.spread`), and `share_explained`: one minus
        the ratio of the two variances, with percentile limits from resampled partners. It may be negative, where
        partners lie further apart once made equal in `by`. `too_few` where partners hardly differ before.
    """
    case_mix, by = all_of(case_mix), all_of(by)
    fits = [
        fit(frame, outcome, partner, case_mix=columns, kind=kind, cluster=cluster, metric=metric, confidence=confidence)
        for columns in (case_mix, (*case_mix, *by))
    ]
    spreads = [spread(one).iloc[:1].assign(at=at) for one, at in zip(fits, ("before", "after"), strict=True)]
    rng = generator(rng)
    return results.concat([*spreads, _share(fits, confidence, bootstrap, rng, ", ".join(by))])


def _share(fits: Sequence[Fit], confidence: float, bootstrap: int, rng: np.random.Generator, by: str) -> pd.DataFrame:
    """Return the share of the variance between partners that goes, with limits from resampled partners."""
    what = {"metric": "share_explained", "segment": fits[0].partner, "at": by, "comparison": "share"}
    if any(one.posterior is None for one in fits):
        return results.frame(**what, status=results.TOO_FEW, note=fits[0].reason or fits[1].reason)
    (y, v), (fair, exact) = (one.figures for one in fits)
    k = y.size
    pick = rng.integers(0, k, (bootstrap, k))
    old, new = (pooling.reml(np.vstack([a, a[pick]]), np.vstack([b, b[pick]])) for a, b in ((y, v), (fair, exact)))
    if (old[1:] <= 0).mean() > _SHARE_LOST or old[0] <= 0:
        note = "the partners hardly differ: there is next to nothing to explain"
        return results.frame(**what, status=results.TOO_FEW, note=note)
    kept = np.flatnonzero(old > 0)
    share = 1 - new[kept] / old[kept]
    low, high = np.quantile(share[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    n = float(fits[0].rows.y.size)
    return results.frame(
        **what, estimate=share[0], std_error=share[1:].std(ddof=1), conf_low=low, conf_high=high, n=n, n_eff=k,
        method=f"ratio of REML variances, {bootstrap:,} resamples of partners", note="n_eff counts partners",
    )  # fmt: skip
