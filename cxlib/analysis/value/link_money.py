"""What one point more of satisfaction would be worth to a population, in money, with an interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.value.link import LinkFit, limits_of
from cxlib.analysis.value.link_churn import ChurnFit
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

MORE, LONGER, BOTH = "spend more", "stay longer", "both"


def worth(
    spend: LinkFit,
    churn: ChurnFit | None = None,
    *,
    customers: float,
    horizon: int = 12,
    margin: float = 1.0,
    metric: str = "worth_of_a_point",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Scale a point of satisfaction to a population: what it spends more, and what staying longer adds.

    All customers are taken to be so many points more satisfied from now on as the fits are of, at the same mean outcome
    and hazard as those of the panel; nothing is discounted and nobody new comes.

    Parameters
    ----------
    spend
        Of `fit_link`: money per period.
    churn
        Of `fit_churn` on the same panel; without it only the first part is told.
    customers
        How many there are now.
    horizon
        Periods looked ahead, from 1.
    margin
        What is left of each unit of money: 1 tells revenue.
    metric
        Name of the rows.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame, `comparison` `difference` `against` "a point less", `at` the periods: level `spend more` (a
        period's effect times those still there), `stay longer` (further customer-periods at the mean outcome) and
        `both`, which is their sum. By the delta method on customers' influences, so that the two parts may covary;
        t with customers - 1 degrees of freedom. Undefined where one of the fits is.

    Raises
    ------
    UsageError
        For a negative number of customers, a horizon below 1, a margin of 0 or less, and fits of different points.
    """
    intervals.check_confidence(confidence)
    if not (customers >= 0 and horizon >= 1 and horizon == int(horizon) and margin > 0):
        raise UsageError(
            f"{customers:g} customers over {horizon:g} period(s) at a margin of {margin:g} cannot be scaled"
        )
    labels = {
        "metric": metric, "at": f"{horizon:g}", "comparison": "difference", "against": spend.less,
        "method": f"delta method, {customers:,.0f} customers over {horizon:g} period{'s' * (horizon > 1)}",
    }  # fmt: skip
    levels = [MORE] if churn is None else [MORE, LONGER, BOTH]
    reason = spend.slopes.reason or (churn.reason if churn else "")
    if reason:
        return results.frame(**labels, level=levels, status=results.UNDEFINED, note=reason)
    if churn is not None and churn.less != spend.less:
        raise UsageError(f"one fit is against {spend.less} and the other against {churn.less}")
    values, influence, people = _parts(spend, churn, int(horizon))
    parts = [
        _scaled(values[place], influence[:, place], people, customers * margin, confidence)
        for place in range(len(levels))
    ]
    counted = labels | {"n": spend.slopes.pairs.y.size, "n_eff": people}
    return results.concat(
        [
            results.frame(**{"note": spend.note, **counted, **part}, level=level)
            for level, part in zip(levels, parts, strict=True)
        ]
    )


def _scaled(value: float, influence: Numbers, people: int, scale: float, confidence: float) -> dict[str, Any]:
    """Return one part in money with its interval; undefined where there is none yet."""
    error = float(np.sqrt(influence @ influence * people / (people - 1)))
    if error == 0:
        return {"status": results.UNDEFINED, "note": "leaving shows in what is bought from the second period on"}
    numbers = limits_of(value, error, people, confidence)
    names = ("estimate", "std_error", "conf_low", "conf_high")
    return {name: scale * number for name, number in zip(names, numbers, strict=False)} | {"p_value": numbers[-1]}


def _parts(spend: LinkFit, churn: ChurnFit | None, horizon: int) -> tuple[Numbers, Numbers, int]:
    """Return what a customer brings more, stays longer for, and both, each customer's influence, and how many count."""
    more, its = spend.amount
    people = spend.slopes.people
    if churn is None:
        return np.array([more * horizon]), its[:, None] * horizon, people
    mean, stays = spend.slopes.mean, 1 - churn.rate
    then = stays - churn.change
    now_sum, now_slope = _periods(stays, horizon)
    then_sum, then_slope = _periods(then, horizon)
    values = np.array([now_sum * more, (then_sum - now_sum) * (mean + more)])
    # Derivatives by: the amount more, the mean amount, the rate, its change.
    by = np.array(
        [
            [now_sum, 0.0, -now_slope * more, 0.0],
            [
                then_sum - now_sum,
                then_sum - now_sum,
                (now_slope - then_slope) * (mean + more),
                -then_slope * (mean + more),
            ],
        ]
    )
    joint = _joined(spend, churn, np.column_stack([its, spend.slopes.mean_influence]), churn.influence[:, [2, 1]])
    influence = joint @ by.T
    return np.append(values, values.sum()), np.column_stack([influence, influence.sum(axis=1)]), people


def _periods(stays: float, horizon: int) -> tuple[float, float]:
    """Return the periods that a customer is there for over the horizon, and how they move with the share that stays."""
    power = np.arange(horizon)
    slope = power * np.where(power > 0, stays ** np.maximum(power - 1, 0), 0.0)
    return float((stays**power).sum()), float(slope.sum())


def _joined(spend: LinkFit, churn: ChurnFit, first: Numbers, second: Numbers) -> Numbers:
    """Match two fits' influences by customer; one who is in one fit only moves only that."""
    left = pd.DataFrame(first, index=pd.Index(spend.slopes.pairs.ids)).add_prefix("a")
    right = pd.DataFrame(second, index=pd.Index(churn.ids)).add_prefix("b")
    return left.join(right, how="outer").fillna(0.0).to_numpy()
