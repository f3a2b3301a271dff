"""Do bills lead to questions? Contacts in the days after a bill against those in the days before it.

No table of the contract has the amount of a bill, so whether bills are right cannot be looked up. What can be measured
is a proxy: a bill that is not understood, or is wrong, brings a contact or a complaint.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys import alike
from cxlib.measure import intervals
from cxlib.measure.moments import Moments

LED, BEFORE, EXCESS = "bills_with_contact", "contacts_before_bill", "bills_leading_to_contact"
WITHIN = 7


def bills(
    frame: pd.DataFrame, days: int = WITHIN, *, confidence: float = 0.95, min_n: int = 1
) -> pd.DataFrame:  # fmt: skip
    """Return which share of bills is followed by a contact, and how many more contacts that is than before the bill.

    Parameters
    ----------
    frame
        One row a bill whose days after are over and whose customer was there in the days before: `customer_id`,
        `after` and `before`, 1 where the customer made contact or complained in so many days after or before, else 0.
    days
        How many days are looked at on either side.
    confidence, min_n
        As in `alike.levels`.

    Returns
    -------
    pandas.DataFrame
        Levels `bills_with_contact` and `contacts_before_bill`, and the difference `bills_leading_to_contact`: the same
        bills, so what customers are like cancels out (case-crossover, Maclure 1991, Am. J. Epidemiol. 133:144); errors
        robust to customers. It cannot tell a wrong bill from one that is not understood.
    """
    doors.require(doors.frame(frame), ["customer_id", "after", "before"])
    how: dict[str, Any] = {"confidence": confidence, "min_n": min_n}
    when = ((LED, "after"), (BEFORE, "before"))
    parts = [
        results.label(alike.levels(frame, name, metric=metric, **how), at=f"{days} days") for metric, name in when
    ]  # fmt: skip
    if (parts[0]["status"] != results.OK).any():
        return results.concat(parts)
    both = Moments.of(frame["after"] - frame["before"], clusters=frame["customer_id"])
    value, error, groups = (float(np.atleast_1d(x)[0]) for x in (both.ratio, np.sqrt(both.variance), both.clusters))
    about = {"metric": EXCESS, "at": f"{days} days", "against": "before the bill", "comparison": "difference"}
    if not error > 0:
        alike_ = results.frame(**about, status=results.TOO_FEW, note="no bill has a contact on one side only")
        return results.concat([*parts, alike_])
    low, high = intervals.student(np.array(value), np.array(error), np.array(groups - 1), confidence)
    row = results.frame(
        **about, estimate=value, std_error=error, conf_low=low, conf_high=high, n=float(len(frame)), n_eff=groups,
        p_value=2 * stats.t.sf(abs(value) / error, groups - 1), method="paired, cluster-robust",
        note=f"contacts and complaints in {days} days after a bill less those in {days} days before, a share of bills",
    )  # fmt: skip
    return results.concat([*parts, row])
