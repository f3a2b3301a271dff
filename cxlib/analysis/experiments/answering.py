"""Does a treatment change who answers? Response by arm, as a whole and by what was known before.

A treatment that changes who answers fakes an effect on any survey outcome: where 12 instead of 8 of 100 detractors
answer, the NPS falls by 12 points and nobody feels any different.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.experiments.answerers import control_of
from cxlib.errors import UsageError
from cxlib.measure import differences, estimates, propensity, verdicts
from cxlib.measure.intervals import check_confidence
from cxlib.measure.moments import Moments
from cxlib.measure.propensity import COUNTS
from cxlib.measure.raking import OTHER, small_levels
from cxlib.measure.response import METRIC

_LEAST = 10  # customers of a level, in each arm


def response_by_arm(
    frame: pd.DataFrame,
    *,
    arm: str = "arm",
    answered: str = "answered",
    invited: str = "",
    customer: str = "",
    control: str = "",
    segments: Sequence[str] = (),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare the share of invitations that are answered between arms, as a whole and by what was known before.

    Parameters
    ----------
    frame
        One row per invitation or exposed unit, or per cell of them.
    arm, answered
        Columns: the arm, and whether (how many times) it was answered.
    invited
        Column: how many invitations; 1 if left out.
    customer
        Column: whose they are, where customers are invited several times; intervals are then robust to that. Cells with
        `customers`, `yy`, `xy`, `xx` (see `propensity.cells`) are so without.
    control
        The arm that the others are compared with; by default the one named `control`, else the first in sorted order.
    segments
        Columns of what was known before anybody was asked. Levels with fewer than 10 customers in an arm are joined.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Metric `response_rate`. First the rate of each arm (`level`, `at` the arm); then, for each treatment (`at`,
        `against` the control), the `difference` (Newcombe; n invitations, n_eff what they are worth); then by segment
        the difference of each level, and a `test` of whether the differences are the same in all (chi-square of their
        weighted spread, Cochran 1954), `p_adjusted` Holm's over these tests: who answers differently, and where.

    Raises
    ------
    UsageError
        For columns that lack, counts that do not fit, fewer than two arms, a control that is none.
    """
    check_confidence(confidence)
    segments = doors.names(segments)
    known, faults = _invitations(frame, arm, answered, invited, customer, segments), []
    arms = sorted(known["_arm"].unique())
    first = control or (control_of(arms) if arms else "")
    faults += [f"{len(arms)} arms: a comparison needs two"] if len(arms) < 2 else []
    faults += [f"the control '{first}' is no arm; there are {', '.join(arms)}"] if first not in arms else []
    if faults:
        raise UsageError("; ".join(faults))
    others = [name for name in arms if name != first]
    whole = dict(_by(propensity.cells(known, ["_arm"], customer), ["_arm"]))
    parts = [_rate(whole[name], name, confidence) for name in (first, *others)]
    parts += [_difference(whole[first], whole[name], first, name, confidence) for name in others]
    for segment in segments:
        cells = propensity.cells(known, ["_arm", segment], customer)
        parts += [_within(cells, segment, first, name, confidence) for name in others]
    found = results.label(results.concat(parts), metric=METRIC)
    tests = found["p_value"].where(found["comparison"] == "test")
    return results.conform(found.assign(p_adjusted=verdicts.adjust(tests, "holm"))) if segments else found


def _invitations(
    frame: pd.DataFrame, arm: str, answered: str, invited: str, customer: str, segments: Sequence[str]
) -> pd.DataFrame:
    """Return the frame with `_arm`, `answered` and `invited`; refuse what does not fit."""
    wanted = [arm, answered, *filter(None, [invited, customer]), *segments]
    doors.require(doors.frame(frame, "invitations"), wanted, "invitations")
    number = doors.numbers_of(frame, [answered, *filter(None, [invited])])
    said, asked = number[answered], number[invited] if invited else np.ones(len(frame))
    bad = ~((said >= 0) & (said <= asked))
    faults = [f"{int(bad.sum()):,} rows have more answers than invitations, or missing ones"] if bad.any() else []
    lost = int(frame[arm].isna().sum())
    faults += [f"{lost:,} rows are in no arm"] if lost else []
    if faults:
        raise UsageError("; ".join(faults))
    own = frame if invited else frame.drop(columns=[name for name in COUNTS if name in frame.columns])
    return own.assign(_arm=frame[arm].astype(str), answered=said, invited=asked)


def _by(cells: pd.DataFrame, names: list[str]) -> list[tuple[str, pd.Series]]:
    """Return the sums of cells by one column."""
    sums = cells.groupby(names, sort=True)[list(COUNTS)].sum()
    return [(str(index[0] if isinstance(index, tuple) else index), row) for index, row in sums.iterrows()]


def _worth(cell: pd.Series) -> float:
    """Return how many independent invitations a cell is worth."""
    products = {("x", "x"): cell["xx"], ("x", "y"): cell["xy"], ("y", "y"): cell["yy"]}
    numbers = {pair: np.asarray(value, dtype=float) for pair, value in products.items()}
    sums = {"x": np.asarray(cell["invited"]), "y": np.asarray(cell["answered"])}
    rows, people = np.asarray(cell["invited"]), np.asarray(cell["customers"])
    return float(Moments(rows, people, sums, numbers, sums["y"]).effective_n[0])


def _rate(cell: pd.Series, arm: str, confidence: float) -> pd.DataFrame:
    row = estimates.share(cell["answered"], cell["invited"], confidence=confidence, n_eff=_worth(cell))
    return results.label(row, at=arm)


def _difference(one: pd.Series, other: pd.Series, control: str, arm: str, confidence: float) -> pd.DataFrame:
    """Return treatment (`other`) less control."""
    row = differences.share_difference(
        other["answered"], other["invited"], one["answered"], one["invited"], confidence=confidence,
        n_eff=(_worth(other), _worth(one)),
    )  # fmt: skip
    return results.label(row, at=arm, against=control)


def _within(cells: pd.DataFrame, segment: str, control: str, arm: str, confidence: float) -> pd.DataFrame:
    """Return the difference within each level of a segment, and the test of whether they are the same."""
    mine = cells[cells["_arm"].isin([control, arm])]
    people = mine.pivot_table(index=segment, columns="_arm", values="customers", aggfunc="sum", fill_value=0.0)
    least = people.reindex(columns=[control, arm], fill_value=0.0).min(axis=1)
    small = small_levels(least, least, _LEAST)
    joined = mine.assign(**{segment: mine[segment].where(~mine[segment].isin(small), OTHER)})
    sums = {name: dict(_by(part, [segment])) for name, part in joined.groupby("_arm", sort=True)}
    rows = [
        results.label(_difference(sums[control][level], cell, control, arm, confidence), segment=segment, level=level)
        for level, cell in sums[arm].items()
        if level in sums[control]
    ]
    found = results.concat(rows)
    return results.concat([found, _same(found, segment, control, arm)])


def _same(rows: pd.DataFrame, segment: str, control: str, arm: str) -> pd.DataFrame:
    """Test whether differences are the same in all levels of a segment."""
    words = {"segment": segment, "at": arm, "against": control, "comparison": "test", "method": "Cochran's Q"}
    known = rows[(rows["status"] == results.OK) & (rows["std_error"] > 0)]
    if len(known) < 2:
        note = "fewer than two levels can be compared"
        return results.frame(status=results.TOO_FEW, note=note, **words)
    value, weight = known["estimate"].to_numpy(), 1 / known["std_error"].to_numpy() ** 2
    statistic = float(weight @ (value - weight @ value / weight.sum()) ** 2)
    p_value = float(stats.chi2.sf(statistic, len(known) - 1))
    low, high = (known.loc[place] for place in (known["estimate"].idxmin(), known["estimate"].idxmax()))
    told = [f"{100 * row['estimate']:+.1f} percentage points in {row['level']}" for row in (low, high)]
    note = f"the difference in response goes from {told[0]} to {told[1]}"
    return results.frame(estimate=statistic, p_value=p_value, n=rows["n"].sum(), note=note, **words)
