"""Which levels are hidden, so that no small one can be worked out from what is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import pandas as pd

from cxlib import results

# One note for all: that a level was hidden with another says that it is not small, and then how small the other is.
NOTE = "too few customers or all of one answer, or hidden so that such a level cannot be worked out"


def levels(
    customers: Mapping[str, float],
    min_n: int,
    *,
    also: Collection[str] = (),
    apart: bool = True,
    fit: Callable[[Sequence[str]], bool] | None = None,
) -> list[str]:
    """Return the levels to hide: those with fewer than `min_n` customers, and enough others.

    Levels add up to all customers: one hidden alone could be worked out from the rest. So at least two are hidden, of
    `min_n` customers together, the smallest first. Levels without customers hide nobody and are not counted.

    Parameters
    ----------
    customers
        Level -> its customers.
    min_n
        The least number that may be shown.
    also
        Levels that are hidden for another reason.
    apart
        Whether a customer is of one level only. Where customers recur, those of several levels together may be no more
        than those of the largest: that one alone has to be enough.
    fit
        Says of hidden levels whether all of them together may be known; whatever is, where left out.
    """
    order = sorted((level for level in customers if customers[level] > 0), key=lambda level: (customers[level], level))
    hidden = [level for level in order if customers[level] < min_n or level in also]
    rest = [level for level in order if level not in set(hidden)]
    together = sum if apart else max
    while hidden and rest:
        enough = len(hidden) > 1 and together(customers[level] for level in hidden) >= min_n
        if enough and (fit is None or fit(hidden)):
            break
        hidden.append(rest.pop(0))
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
    gone = rows["level"].isin(levels(customers, min_n)) & (rows["status"] == results.OK)
    return results.conform(
        rows.assign(status=rows["status"].mask(gone, results.SUPPRESSED), note=rows["note"].mask(gone, NOTE))
    )
