"""Which levels are hidden, so that no small one can be worked out from what is shown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cxlib import results

_SMALL, _WITH = "fewer answers than may be shown", "hidden so that a smaller level cannot be worked out"


def levels(customers: Mapping[str, float], min_n: int) -> list[str]:
    """Return the levels to hide: those with fewer than `min_n` customers, and enough others.

    Levels add up to all customers: one hidden alone could be worked out from the rest. So at least two are hidden, of
    `min_n` customers together, the smallest first. Levels without customers hide nobody and are not counted.

    Parameters
    ----------
    customers
        Level -> its customers.
    min_n
        The least number that may be shown.
    """
    order = sorted((level for level in customers if customers[level] > 0), key=lambda level: (customers[level], level))
    hidden = [level for level in order if customers[level] < min_n]
    while hidden and len(hidden) < len(order) and (len(hidden) < 2 or sum(customers[x] for x in hidden) < min_n):
        hidden.append(order[len(hidden)])
    return hidden


def hide(rows: pd.DataFrame, customers: Mapping[str, float], min_n: int) -> pd.DataFrame:
    """Suppress the rows of the `levels` to hide.

    Parameters
    ----------
    rows
        A result frame.
    customers, min_n
        As in `levels`.
    """
    hidden = levels(customers, min_n)
    here, known = rows["level"].isin(hidden), rows["status"] == results.OK
    words = np.where(rows["level"].isin([level for level in hidden if customers[level] < min_n]), _SMALL, _WITH)
    return results.conform(
        rows.assign(
            status=rows["status"].mask(here & known, results.SUPPRESSED), note=rows["note"].mask(here & known, words)
        )
    )
