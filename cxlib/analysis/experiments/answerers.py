"""Units of a survey experiment: all who could have answered, in which arm, whether they did, and what they said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

Mask = NDArray[np.bool_]

CONTROL = "control"
LEAST_ANSWERS = 2  # of an arm: one has no spread


@dataclass(frozen=True, eq=False)
class Answerers:
    """Two arms of units, one element per unit.

    Parameters
    ----------
    outcome
        What they said; 0 where they did not answer.
    answered, treated
        Whether they answered, and whether they are in the treatment arm.
    weight
        What each counts; who counts nothing did not answer.
    cluster
        Numbers of customers from 0, a customer of both arms being two.
    names
        Control and treatment.
    """

    outcome: Numbers
    answered: Mask
    treated: Mask
    weight: Numbers
    cluster: NDArray[np.int64]
    names: tuple[str, str]

    def __getitem__(self, which: Any) -> Answerers:
        """Return the units `which` (a mask or places)."""
        cut = {name: getattr(self, name)[which] for name in ("outcome", "answered", "treated", "weight", "cluster")}
        return replace(self, **cut)

    @property
    def robust(self) -> bool:
        """Whether a customer has several units."""
        return bool(np.bincount(self.cluster, minlength=1).max() > 1)

    def answers(self) -> tuple[int, int]:
        """Return how many customers answered, control and treatment."""
        told = [
            int(np.count_nonzero(np.bincount(self.cluster[self.answered & (self.treated == arm)])))
            for arm in (False, True)
        ]
        return told[0], told[1]

    def error(self, influence: Numbers) -> float:
        """Return the standard error of an estimate from what each unit moves it by, shape (units,).

        Squares of customers' sums, each arm times m / (m - 1), m its customers who answered: Welch's error where
        everybody answers once.
        """
        total = 0.0
        for arm, count in zip((False, True), self.answers(), strict=True):
            mine = self.treated == arm
            sums = np.bincount(self.cluster[mine], influence[mine])
            total += float(sums @ sums) * count / max(count - 1, 1)
        return float(np.sqrt(total))


def answerers(
    outcome: ArrayLike,
    responded: ArrayLike,
    arm: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    control: Any = None,
) -> Answerers:
    """Check columns of units and return them as `Answerers`.

    Parameters
    ----------
    outcome
        Shape (n,), numbers; looked at only where `responded`.
    responded
        Shape (n,), true and false, or 1 and 0.
    arm
        Shape (n,), two values.
    weights
        Shape (n,); 1 if left out.
    clusters
        The customer of each unit, shape (n,); a missing one, or none at all, makes each unit a customer.
    control
        Which value of `arm` is the control; by default as `control_of`.

    Raises
    ------
    UsageError
        For lengths that differ, arms that are not two, answers without an outcome, and weights below 0.
    """
    columns = {"outcome": outcome, "responded": responded, "arm": arm, "weights": weights, "clusters": clusters}
    size = {name: len(doors.as_series(values)) for name, values in columns.items() if values is not None}
    if len(set(size.values())) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in size.items())
        raise UsageError(f"units of several lengths: {told}", hint="Give one element per unit in each.")
    named, treated = _arms(doors.as_series(arm), control)
    said, weight = _answered(responded), _weights(weights, size["arm"])
    value, fault = doors.tried("outcome", doors.as_series(outcome).where(said, None))
    faults = [fault] if fault else []
    silent = said & np.isnan(value) if not fault else np.zeros(0, dtype=bool)
    if silent.any():
        faults.append(f"{int(silent.sum()):,} units answered, and have no outcome")
    if faults:
        raise UsageError("; ".join(faults), hint="Who did not give a score did not respond.")
    said = said & (weight > 0)
    return Answerers(np.where(said, value, 0.0), said, treated, weight, _numbered(clusters, treated), named)


def said(units: pd.DataFrame, arms: tuple[str, str] | None = None, *, scale: float = 1.0) -> dict[str, Any]:
    """Return what `lee_bounds` takes from one row per exposed unit: `lee_bounds(**said(units, ...))`.

    Parameters
    ----------
    units
        What `exposed.units` brought: `arm`, `rows` (0: no outcome), `y`, `x`.
    arms
        Control and treatment; units of other arms are left out.
    scale
        What y over x is multiplied by: 100 for an NPS.

    Returns
    -------
    dict
        `outcome`, each unit's own y over x; `responded`, whether it has one; `arm`; and `control`, if `arms` are given.
    """
    doors.require(doors.frame(units, "units"), ["arm", "rows", "y", "x"], "units")
    mine = units if arms is None else units[units["arm"].isin(list(arms))]
    number = doors.numbers_of(mine, ["rows", "y", "x"])
    has = (number["rows"] > 0) & (number["x"] != 0)
    outcome = np.divide(scale * number["y"], number["x"], out=np.full(len(mine), np.nan), where=has)
    own = {"outcome": outcome, "responded": has, "arm": mine["arm"].to_numpy()}
    return own if arms is None else own | {"control": arms[0]}


def control_of(arms: Sequence[Any]) -> Any:
    """Return which arm the others are compared with where nobody says.

    The one named `control`, in capitals or not; else the first in the order given, which is sorted: False, 0, A.
    """
    named = (arm for arm in arms if isinstance(arm, str) and arm.strip().lower() == CONTROL)
    return next(named, arms[0])


def _arms(given: pd.Series, control: Any) -> tuple[tuple[str, str], Mask]:
    """Return the names of control and treatment, and who is treated."""
    lacking = int(given.isna().sum())
    if lacking:
        raise UsageError(f"{lacking:,} units are in no arm", hint="Leave them out.")
    found = given.astype(object).unique().tolist()
    try:
        found.sort()
    except TypeError:  # words and numbers
        found.sort(key=str)
    if len(found) != 2:
        told = ", ".join(map(str, found[:10]))
        raise UsageError(f"{len(found)} arms, not two: {told}", hint="Choose the control and one treatment.")
    if control is not None and control not in found:
        raise UsageError(f"the control '{control}' is no arm; there are {found[0]} and {found[1]}")
    first = control_of(found) if control is None else control
    other = found[1] if found[0] == first else found[0]
    return (str(first), str(other)), (given.astype(object) != first).to_numpy(dtype=bool)


def _answered(responded: ArrayLike) -> Mask:
    said = doors.numbers("responded", responded).ravel()
    wrong = ~((said == 0) | (said == 1))
    if wrong.any():
        raise UsageError(
            f"responded is neither 0 nor 1 in {int(wrong.sum()):,} rows", hint="Write true or false for every unit."
        )
    return said == 1


def _weights(weights: ArrayLike | None, size: int) -> Numbers:
    if weights is None:
        return np.ones(size)
    found = doors.numbers("weights", weights).ravel()
    wrong = ~(found >= 0)
    if wrong.any():
        raise UsageError(f"weights are missing or below 0 in {int(wrong.sum()):,} rows")
    return found


def _numbered(clusters: ArrayLike | None, treated: Mask) -> NDArray[np.int64]:
    """Number customers within arms; units without one are customers of their own."""
    if clusters is None:
        return np.arange(len(treated))
    number = pd.factorize(doors.as_series(clusters).astype(object))[0].astype(np.int64)
    alone = number < 0
    number = np.where(alone, number.max(initial=0) + 1 + np.cumsum(alone), number)
    return np.asarray(pd.factorize(2 * number + treated)[0], dtype=np.int64)
