"""The looks at a running experiment that its plan agreed on, and what may be said at the last of them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.reports import trial_effects
from cxlib.reports.tried import Tried

_UNREAD = "no more was known than at the look before: not counted as a look"


def looked(tried: Tried) -> pd.DataFrame:
    """Return the primary outcome at each registered look so far; see `Run.looks`."""

    def make() -> pd.DataFrame:
        if not tried.plan.looks:
            raise Undefined("no looks are registered: the result is read once, at the end")
        metric = tried.metrics[tried.plan.primary_metric]
        if not tried.leads(metric):
            raise Undefined(
                f"{metric.title} is a quantile, which has no limits for several looks: it is read at the end"
            )
        if not tried.looked():
            raise Undefined(f"the first registered look is on {min(tried.plan.looks)}")
        tried.check_exposed()
        return results.concat(at_looks(tried, arm) for arm in tried.treatments)

    return tried.answer("looks", tried.key(tried.plan.primary_metric), make)


def at_looks(tried: Tried, arm: str, *, relative: bool = False) -> pd.DataFrame:
    """Return one row per look so far of one arm, with limits that hold at all looks; without a look, no row.

    A look at which nothing could be told, or no more than before, has spent nothing and is left out of the limits.
    """
    from cxlib.analysis import experiments

    metric, taken = tried.metrics[tried.plan.primary_metric], tried.looked()
    if not taken:
        return results.empty()
    once = trial_effects.relative_once if relative else trial_effects.leading_once
    rows = results.concat(once(look, metric, arm) for look in taken)
    rows = results.conform(rows.assign(segment="look", level=[str(number + 1) for number in range(len(rows))]))
    told = _told(rows)
    found = results.conform(rows[~told].assign(note=rows["note"].mask(rows["status"] == results.OK, _UNREAD)[~told]))
    if told.any():
        read = experiments.looks(
            results.conform(rows[told]), _fractions(tried, taken, np.flatnonzero(~told)),
            confidence=trial_effects.confidence_of(tried),
        )  # fmt: skip
        found = results.concat([found, results.conform(read.assign(level=rows.loc[told, "level"].to_numpy()))])
    order = found["level"].astype(int).sort_values().index
    return results.conform(found.loc[order].reset_index(drop=True))


def _told(rows: pd.DataFrame) -> np.ndarray:
    """Say of each look whether it has a result, of more answers than the one before."""
    known, most, told = (rows["status"] == results.OK).to_numpy(), 0.0, []
    for n, may in zip(rows["n"].to_numpy(dtype=float), known, strict=True):
        told.append(bool(may and n > most))
        most = n if told[-1] else most
    return np.array(told)


def _fractions(tried: Tried, taken: Sequence[Tried], left_out: np.ndarray) -> list[float]:
    """Return what share of the planned units each look had, or will have; by days where no number was planned.

    They are the same whenever they are worked out, so that a look that ended the experiment stays one that did.
    """
    first, last = (dt.date.fromisoformat(day) for day in (tried.plan.start, tried.plan.stop))
    days = [dt.date.fromisoformat(day) for day in sorted(tried.plan.looks)]
    planned = np.array([((day - first).days + 1) / ((last - first).days + 2) for day in days] + [1.0])
    by_days = np.delete(planned, left_out).tolist()
    whole = tried.plan.planned_units
    if not whole:
        return by_days
    seen = np.array([len(look.exposures()) for look in taken]) / whole
    shares = np.delete(np.append(seen, np.fmax(planned[len(seen) :], seen[-1])), left_out).tolist()
    rising = shares[0] > 0 and all(a < b for a, b in itertools.pairwise(shares)) and all(a < 1 for a in shares[:-1])
    return shares if rising else by_days
