"""Winsorising: values beyond a quantile of both arms together count as that quantile, where the plan registered it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.measure.moments import Numbers


class Winsorised(NamedTuple):
    """Values of all arms, the largest ones capped.

    Parameters
    ----------
    values
        In the order and shape given; missing ones stay missing.
    cap
        The largest value left.
    capped
        How many were larger.
    note
        That, in words.
    """

    values: Numbers
    cap: float
    capped: int
    note: str


def winsorised(values: ArrayLike, limit: float | None) -> Winsorised:
    """Cap values at a quantile of the pooled sample.

    Only for what the plan registered before the start: a cap chosen with the effects in sight chooses the effect.

    Parameters
    ----------
    values
        Outcomes of the units of all arms together, shape (n,): a cap of each arm's own would hide an effect on the
        largest values, or make one.
    limit
        The quantile, above 0.5 and up to 1 (0.999 caps the largest of 1,000). None, nothing registered: nothing is
        changed.

    Returns
    -------
    Winsorised
        The cap is the smallest value that at least a share `limit` of the values do not exceed (an order statistic), so
        that what is capped counts as a value that was seen. The effect is then one on capped outcomes.

    Raises
    ------
    UsageError
        For a limit that is no such quantile, and values that are no numbers.
    """
    given = doors.numbers("values", values)
    if limit is None:
        return Winsorised(given, float("inf"), 0, "")
    if not 0.5 < limit <= 1:
        raise UsageError(f"limit {limit} is not above 0.5 and up to 1", hint="Write the 99.9 % quantile as 0.999.")
    known = given[~np.isnan(given)]
    if not known.size:
        return Winsorised(given, float("nan"), 0, "no values to cap")
    cap = float(np.quantile(known, limit, method="inverted_cdf"))
    capped = int(np.count_nonzero(known > cap))
    note = f"{capped:,} of {known.size:,} values above {cap:,.6g} counted as {cap:,.6g}, as registered"
    return Winsorised(np.minimum(given, cap), cap, capped, note)
