"""Which four means make up each group-time effect, and how effects hang on the parts of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cxlib.analysis.doors import Mask
from cxlib.analysis.effects.group_time_rows import Means
from cxlib.analysis.effects.panels import NEVER
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.rows import Codes, Numbers

NEVER_TREATED, NOT_YET = "never", "not_yet"
VARYING, UNIVERSAL, ALL, CENTRED = "varying", "universal", "all", "centred"


@dataclass(frozen=True, eq=False)
class Cells:
    """Effects of groups at times.

    Parameters
    ----------
    group, time, base
        Shape (C,): places of the group among the starts, of the time, and of the (last) period it is compared with.
    effect
        Shape (C,); NaN where there is none.
    lever
        Shape (2 K T, C): how each effect hangs on the parts of clusters.
    rows
        Rows of the group at these times, shape (C,).
    lead
        Periods from the mean of those it is compared with, shape (C,).
    reason
        Why there is no effect, shape (C,); empty where there is one.
    """

    group: Codes
    time: Codes
    base: Codes
    effect: Numbers
    lever: Numbers
    rows: Numbers
    lead: Numbers
    reason: tuple[str, ...]


def check_choice(what: str, given: str, allowed: Sequence[str]) -> None:
    """Raise `UsageError` for a choice that is none."""
    if given not in allowed:
        raise UsageError(
            f"{what} '{given}' is none of {', '.join(allowed)}{did_you_mean(str(given), allowed)}",
        )


def contrasts(means: Means, *, control: str, anticipation: int, base: str) -> Cells:
    """Return the effect of each group at each time that has a period to compare with.

    As R `did` has it: before the start (less anticipation) the base is the period before, or with `universal` the last
    period before the start; not yet treated are those who start after the later of the two periods, plus anticipation.
    `CENTRED` is `ALL` with the periods before the start, too, against the mean of them all.
    """
    never = means.starts == NEVER
    if control == NEVER_TREATED and means.starts.size and not never.any():
        raise UsageError("nobody is never treated", hint="Give control='not_yet': against those not treated yet.")
    found = []
    for group in np.flatnonzero(~never):
        start = int(means.starts[group])
        last = start - 1 - anticipation  # the last period before any effect
        for time in range(means.axis.size):
            late = base in (UNIVERSAL, CENTRED) or time >= start
            if last < 0 or (time == 0 and not late):
                continue
            bases = tuple(range(last + 1)) if base in (ALL, CENTRED) and late else (last if late else time - 1,)
            until = max(time, bases[-1]) + anticipation
            others = never if control == NEVER_TREATED else means.starts > until
            others = others & (np.arange(means.starts.size) != group)
            found.append(_contrast(means, int(group), time, bases, others))
    lever = np.column_stack([one[2] for one in found]) if found else np.empty((2 * means.mean.size, 0))
    codes = np.array([one[0] for one in found], dtype=np.int64).reshape(-1, 3)
    value, rows, lead = (np.array([one[place] for one in found], dtype=float) for place in (1, 3, 4))
    return Cells(codes[:, 0], codes[:, 1], codes[:, 2], value, lever, rows, lead, tuple(one[5] for one in found))


def _contrast(
    means: Means, group: int, time: int, bases: tuple[int, ...], others: Mask
) -> tuple[tuple[int, int, int], float, Numbers, float, float, str]:
    """Return place, effect, how it hangs on the parts, rows of the group, lead, and why there is no effect."""
    place, lever = (group, time, bases[-1]), np.zeros((2, *means.mean.shape))
    pool = np.where(others[:, None], means.weight, 0.0)
    total = pool.sum(axis=0)
    seen = (means.weight[group] > 0) & (total > 0)
    before = [base for base in bases if seen[base]]
    reason = _reason(means, group, (time, *bases), seen, time)
    if reason or not before or bases == (time,):
        return place, np.nan if reason else 0.0, lever.ravel(), float(means.rows[group, time]), 0.0, reason
    used = sorted({time, *before})
    sign = np.array([(when == time) - (when in before) / len(before) for when in used])
    share = pool[:, used] / total[used]
    own = np.where(share > 0, means.mean[:, used], 0.0)
    pooled = (share * own).sum(axis=0)
    lever[0][:, used] = -sign * share
    lever[0, group, used] += sign
    lever[1][:, used] = -sign * share * (own - pooled)
    effect = float(sign @ (means.mean[group, used] - pooled))
    return place, effect, lever.ravel(), float(means.rows[group, used].sum()), time - float(np.mean(before)), ""


def _reason(means: Means, group: int, times: tuple[int, ...], seen: Mask, time: int) -> str:
    """Say why there is no effect at `times`, the first of them and at least one other of which must be seen."""
    if seen[time] and seen[list(times[1:])].any():
        return ""
    own = means.weight[group] > 0
    if not own[time] or not own[list(times[1:])].any():
        return "nobody of the group is seen then and in the period it is compared with"
    return "nobody untreated is left to compare with"
