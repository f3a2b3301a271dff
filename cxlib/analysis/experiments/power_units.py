"""From independent answers to units to expose: units that come in clusters, answers that are not given, attrition."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.experiments import power_terms
from cxlib.errors import UsageError


def design_effect(size: float, icc: float, cv: float = 0.0) -> float:
    """Return what the variance is multiplied by where whole clusters are assigned: 1 + ((1 + cv^2) m - 1) icc.

    Parameters
    ----------
    size
        Mean number of units (answers, orders) in a cluster, at least 1.
    icc
        Intraclass correlation: the share of the variance that lies between clusters, 0 to 1.
    cv
        Standard deviation of the cluster sizes over their mean; 0 for clusters of one size.

    Returns
    -------
    float
        To be given as `deff`. Units needed are then counted over all clusters; divide by `size` for clusters. It
        allows for the spread of clusters, not for the few degrees of freedom of few: with ten clusters an arm and more
        the test finds what is planned, with five or six 69 to 80 of 100 effects instead of 80, with three 61 to 63.

    Raises
    ------
    UsageError
        For a size below 1, an icc outside 0 to 1, or a negative cv.

    Notes
    -----
    Donner and Klar (2000), Design and Analysis of Cluster Randomization Trials, section 5.2; sizes that differ:
    Eldridge, Ashby and Kerry (2006), Int. J. Epidemiology 35:1292, equation 2 - the upper bound, as each unit weighs
    the same.
    """
    faults = []
    if not (power_terms.is_number(size) and size >= 1):
        faults.append(f"size {size!r} is no number from 1")
    if not (power_terms.is_number(icc) and 0 <= icc <= 1):
        faults.append(f"icc {icc!r} is not between 0 and 1")
    if not (power_terms.is_number(cv) and cv >= 0):
        faults.append(f"cv {cv!r} is no number from 0")
    power_terms.refuse(faults)
    return float(1 + ((1 + cv**2) * size - 1) * icc)


def exposed_for(answers: float | pd.DataFrame, response_rate: float, *, lost: float = 0.0) -> pd.DataFrame:
    """Work out how many units must be exposed so that enough of them have an outcome.

    Parameters
    ----------
    answers
        Answers needed in an arm, or the rows that a sample size function returned.
    response_rate
        Share of the exposed who answer, above 0 up to 1.
    lost
        Share of the exposed who drop out before they could (moved away, left, bounced), from 0 to below 1.

    Returns
    -------
    pandas.DataFrame
        Rows `metric = "exposed"`, as many as there were: answers / (response_rate (1 - lost)), n rounded up. Rows
        without a number stay without one. It says how many answers there will be, not whom they come from: an arm that
        changes who answers fakes an effect, whatever its size.

    Raises
    ------
    UsageError
        For answers that are no number above 0 and no sample sizes, a rate outside 0 to 1.
    """
    faults = []
    if not (power_terms.is_number(response_rate) and 0 < response_rate <= 1):
        faults.append(f"response rate {response_rate!r} is no share above 0 and up to 1")
    if not (power_terms.is_number(lost) and 0 <= lost < 1):
        faults.append(f"lost {lost!r} is no share from 0 to below 1")
    power_terms.refuse(faults)
    rows = power_terms.sizes(answers)
    if (rows["metric"] == "exposed").any():
        raise UsageError("these are units to expose already")
    exact = rows["estimate"] / (response_rate * (1 - lost))
    words = f"for {100 * response_rate:g} of 100 who answer" + (f", after {100 * lost:g} of 100 lost" if lost else "")
    ok = rows["status"] == results.OK
    return results.conform(
        rows.assign(
            metric="exposed", estimate=exact, n=np.ceil(exact * (1 - 1e-12)),
            note=rows["note"].where(~ok, f"{words}; rounded up"),
        )
    )  # fmt: skip
