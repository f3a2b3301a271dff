"""What customers who name a theme did afterwards, beside others who wrote at the same place and time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from cxlib import results
from cxlib.analysis import hiding
from cxlib.analysis.voice.rates import SEGMENT
from cxlib.analysis.voice.scored import WITHOUT
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

SPEND, LEFT, IN_ALL = "theme_spend", "theme_left", "theme_spend_in_all"
_ALONE = "nothing to compare with at the same place and time"
_GOES = "goes with the theme, and need not be because of it"


def afterwards(
    outcome: pd.Series,
    codes: pd.DataFrame,
    customer: pd.Series,
    stratum: pd.Series,
    *,
    metric: str,
    days: int,
    before: pd.Series | None = None,
    confidence: float = 0.95,
    min_n: int = 10,
) -> pd.DataFrame:
    """Compare what those who name each theme did in the days after with what the others did.

    Parameters
    ----------
    outcome
        Of each text: what its customer spent afterwards, or 1 for leaving; missing ones do not count.
    codes
        Whether each text names each theme, one column a theme; missing where nobody can tell.
    customer
        Who wrote it: errors are clustered by customer.
    stratum
        Only texts of one stratum are compared with each other: of one month and touchpoint, say.
    metric
        Name of the rows.
    days
        How long was looked at, for the rows' `at`.
    before
        What is held equal besides: what was spent in the days before, say.
    confidence
        Of the intervals (t, as many degrees of freedom as customers less one).
    min_n
        A theme that fewer customers name, or fewer do not, is hidden.

    Returns
    -------
    pandas.DataFrame
        `comparison` difference, `level` the theme, `against` not named: least squares within strata (Frisch and Waugh
        1933), variance robust to clusters (Liang and Zeger 1986, with G / (G - 1)).
    """
    parts = []
    for theme in codes.columns:
        kept = (outcome.notna() & codes[theme].notna()).to_numpy()
        who = pd.factorize(customer[kept])[0]
        named = codes.loc[kept, theme].to_numpy(dtype=float)
        about = {"metric": metric, "segment": SEGMENT, "level": theme, "comparison": "difference", "against": WITHOUT,
                 "at": f"{days} days"}  # fmt: skip
        sides = [len(np.unique(who[named == side])) for side in (0, 1)]
        if not sides[1]:
            continue
        if min(sides) < min_n:
            parts.append(results.frame(**about, status=results.SUPPRESSED, note=hiding.NOTE))
            continue
        held = [] if before is None else [before[kept].to_numpy(dtype=float)]
        found = _slope(outcome[kept].to_numpy(dtype=float), [named, *held], who, stratum[kept])
        parts.append(_row(found, len(np.unique(who)), kept.sum(), about, confidence))
    return results.concat(parts)


def in_all(spend: pd.DataFrame, named: pd.Series) -> pd.DataFrame:
    """Return what all who name a theme spent more or less than others: the difference times these customers.

    Parameters
    ----------
    spend
        From `afterwards`, of amounts.
    named
        Theme -> customers who name it.

    Returns
    -------
    pandas.DataFrame
        Metric `theme_spend_in_all`, comparison index; below 0 they spent less. `n` counts the customers.
    """
    many, ok = spend["level"].map(named).to_numpy(dtype=float), spend["status"] == results.OK
    words = [
        f"what the {count:,.0f} customers who name it spent against others who wrote of the same and had spent as "
        f"much before; it {_GOES}" for count in np.nan_to_num(many)
    ]  # fmt: skip
    numbers = {name: spend[name].to_numpy() * many for name in ("estimate", "conf_low", "conf_high", "std_error")}
    return results.conform(spend.assign(
        metric=IN_ALL, comparison="index", note=spend["note"].where(~ok, words), n=np.where(ok, many, np.nan), **numbers
    ))  # fmt: skip


def _slope(y: Numbers, x: list[Numbers], who: Numbers, stratum: pd.Series) -> tuple[float, float]:
    """Return the slope of the first of x and its standard error, within strata."""
    group = stratum.to_numpy(dtype=object)
    inside = pd.DataFrame({"y": y, **{str(place): values for place, values in enumerate(x)}})
    inside = inside - inside.groupby(group).transform("mean")
    design, target = inside.drop(columns="y").to_numpy(), inside["y"].to_numpy()
    bread = np.linalg.pinv(design.T @ design)
    slopes = bread @ design.T @ target
    scores = pd.DataFrame(design * (target - design @ slopes)[:, None]).groupby(who).sum().to_numpy()
    count = len(scores)
    spread = bread @ (scores.T @ scores) @ bread * count / max(count - 1, 1)
    return float(slopes[0]), float(np.sqrt(spread[0, 0]))


def _row(
    found: tuple[float, float], customers: int, rows: int, about: dict[str, str], confidence: float
) -> pd.DataFrame:
    """Return the row of one theme; undefined where no stratum has texts of both kinds, or nothing varies."""
    value, error = found
    if not error > 0:
        return results.frame(
            **about, status=results.UNDEFINED, note="nothing to compare with at the same place and time"
        )
    low, high = intervals.student(np.array(value), np.array(error), np.array(customers - 1.0), confidence)
    p_value = 2 * special.stdtr(customers - 1.0, -abs(value) / error)
    return results.frame(
        **about, method="least squares within month and touchpoint, cluster-robust", estimate=value, std_error=error,
        conf_low=low, conf_high=high, p_value=p_value, n=rows, note=_GOES,
    )  # fmt: skip
