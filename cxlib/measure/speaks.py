"""Whom a score speaks for: weighted and unweighted side by side, and which of the two leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import estimates, intervals
from cxlib.measure.moments import Numbers
from cxlib.measure.people import SUMS, Margins, People, margins_of
from cxlib.measure.raking import TOLERANCE, Bounds, Cells, raked
from cxlib.measure.replicates import ratios
from cxlib.measure.weighted import interval

UNWEIGHTED, WEIGHTED, DESIGN = "unweighted", "weighted", "design effect"
MINUS = "\u2212"
_KINDS = ("nps", "share", "mean", "ratio")


class Spoken(NamedTuple):
    """What `speaks_for` found.

    Attributes
    ----------
    frame
        Result rows: `level` at `unweighted` and at `weighted`, their `difference` (weighted less unweighted), and an
        `index` at `design effect` (Kish's). The note of the row that leads begins with `leads: `.
    leads
        `weighted` or `unweighted`.
    words
        The reason, one sentence.
    """

    frame: pd.DataFrame
    leads: str
    words: str


def speaks_for(
    respondents: pd.DataFrame,
    population: pd.DataFrame | None,
    columns: Sequence[str],
    *,
    kind: str,
    rng: np.random.Generator,
    scale: float = 1.0,
    bounds: Bounds | None = (0.2, 5.0),
    times: int = 1000,
    confidence: float = 0.95,
    min_n: int = 10,
    metric: str = "",
    period: str = "",
    definition: str = "",
) -> Spoken:
    """Weight those who answered to the population, and say whether the weighted or the plain estimate leads.

    Parameters
    ----------
    respondents
        What `respondents.respondents` brings: a column per segment; `rows`, `x`, `y` and `y2`, sums over one customer;
        and `customers`, how many are alike in all of this (1 if left out).
    population
        What `respondents.population` brings: the same segments and `customers`; None where it is not known.
    columns
        The segments to rake by; without any the unweighted estimate stands alone.
    kind
        `nps` (y sums -1, 0 and 1), `share`, `mean` or `ratio`.
    rng
        What draws the replicates.
    scale
        What means and ratios are multiplied by.
    bounds, times
        See `weights.rake` and `replicates.rao_wu`.
    confidence
        Of the intervals.
    min_n
        Levels with fewer respondents are joined into `other levels`, on both sides; with fewer in all, every row is
        suppressed.
    metric, period, definition
        Put into every row.

    Returns
    -------
    Spoken

    Raises
    ------
    UsageError
        For a kind that does not exist, and where a frame lacks a column.

    Notes
    -----
    With d the difference of the two, d^2 - Var(d), not below 0, estimates the squared bias of the plain estimate that
    the margins can see. Weighted leads where it exceeds what weighting adds to the variance: the smaller mean squared
    error (Kish 1992, J. Off. Stat. 8). All variances come from the same replicates, which repeat the raking.
    """
    _check(respondents, population, columns, kind)
    people = People.of(respondents, columns)
    plain = _plain(people, kind, scale, confidence)
    words = {"metric": metric, "period": period, "definition": definition}
    if people.count < max(min_n, 2):
        rows = results.concat([plain, _without(results.SUPPRESSED, "")])
        hidden = results.conform(rows.assign(status=results.SUPPRESSED, note="fewer answers than may be shown"))
        return Spoken(results.label(hidden, **words), UNWEIGHTED, "Too few answered to say whom they stand for.")
    margins = margins_of(people.levels, people.customers, population, columns, min_n)
    cells = Cells.of(margins.codes, margins.targets) if margins.codes else None
    factors, misfit = raked(cells, cells.add(people.customers), bounds) if cells else (np.ones(1), np.array(np.inf))
    if cells is None or misfit > TOLERANCE:
        reason = margins.reason if cells is None else _too_unlike(bounds)
        return _alone(plain, reason, margins.told, words)
    drawn = ratios(cells, people.customers, people.y, people.x, bounds=bounds, times=times, rng=rng)
    if not np.isfinite(drawn).all():
        return _alone(plain, "too few customers have anything to divide by", margins.told, words)
    found = _Pair.of(people, factors[cells.of_row], drawn)
    return _side_by_side(plain, found, people, margins, kind=kind, scale=scale, confidence=confidence, words=words)


@dataclass(frozen=True, eq=False)
class _Pair:
    """The two estimates on the scale of y over x, their variances, and what the weights cost."""

    plain: float
    weighted: float
    var_plain: float
    var_weighted: float
    var_difference: float
    parts: tuple[float, float]
    deff: float
    n_eff: float
    replicates: int

    @classmethod
    def of(cls, people: People, weight: Numbers, drawn: tuple[Numbers, Numbers]) -> _Pair:
        """Put together the estimates and their replicates, shape (R,) each."""
        plain = people.total(people.y) / people.total(people.x)
        whole = people.total(weight * people.x)
        value = people.total(weight * people.y) / whole
        ones, others = drawn
        squares = people.total(weight**2)
        n_eff = people.total(weight) ** 2 / squares
        parts = tuple(people.total(weight * (people.y2 + sign * people.y) / 2) / whole for sign in (1, -1))
        return cls(
            plain, value, float(np.mean((ones - plain) ** 2)), float(np.mean((others - value) ** 2)),
            float(np.mean((others - ones - value + plain) ** 2)), (parts[0], parts[1]), people.count / n_eff, n_eff,
            len(ones),
        )  # fmt: skip

    @property
    def bias(self) -> float:
        """Estimated bias of the plain estimate, not below 0."""
        return float(np.sqrt(max((self.weighted - self.plain) ** 2 - self.var_difference, 0.0)))

    @property
    def added(self) -> float:
        """Square root of the variance that weighting adds, not below 0."""
        return float(np.sqrt(max(self.var_weighted - self.var_plain, 0.0)))


def _check(respondents: pd.DataFrame, population: pd.DataFrame | None, columns: Sequence[str], kind: str) -> None:
    """Refuse frames that lack columns, and kinds that do not exist."""
    faults = []
    if kind not in _KINDS:
        faults.append(f"'{kind}' cannot be weighted; what can is {', '.join(_KINDS)}{did_you_mean(kind, _KINDS)}")
    wanted = [("respondents", respondents, [*columns, *SUMS])]
    wanted += [] if population is None else [("population", population, [*columns, "customers"])]
    for what, frame, names in wanted:
        lacking = [name for name in names if name not in frame.columns]
        faults += [f"{what} have no column '{name}'" for name in lacking]
    if faults:
        raise UsageError("; ".join(faults))


def _plain(people: People, kind: str, scale: float, confidence: float) -> pd.DataFrame:
    """Return the unweighted row as the scorecard has it."""
    moments = people.moments
    if kind == "nps":
        found = estimates.nps(*estimates.promoters_of(moments), confidence=confidence, n_eff=moments.effective_n)
    elif kind == "share":
        found = estimates.share(moments.sums["y"], moments.rows, confidence=confidence, n_eff=moments.effective_n)
    else:
        formula = estimates.mean if kind == "mean" else estimates.ratio
        found = estimates.scaled(formula(moments, confidence=confidence), scale)
    return results.conform(found.assign(at=UNWEIGHTED))


def _alone(plain: pd.DataFrame, reason: str, told: str, words: dict[str, str]) -> Spoken:
    """Return the unweighted estimate with the reason why no weighted one stands beside it."""
    sentence = f"Unweighted leads: {reason}."
    rows = results.concat([plain.assign(note=f"leads: {reason}"), _without(results.UNDEFINED, _joined(reason, told))])
    return Spoken(results.label(rows, **words), UNWEIGHTED, sentence)


def _without(status: str, note: str) -> pd.DataFrame:
    """Return the weighted row and the difference, without numbers."""
    return results.frame(
        at=WEIGHTED, comparison=["level", "difference"], against=["", UNWEIGHTED], status=status, note=note
    )


def _too_unlike(bounds: Bounds | None) -> str:
    """Say that raking failed."""
    within = f" with weights from {bounds[0]:g} to {bounds[1]:g} times the mean" if bounds else ""
    return f"those who answered are too unlike the population to be weighted to it{within}"


def _side_by_side(
    plain: pd.DataFrame, found: _Pair, people: People, margins: Margins, *, kind: str, scale: float,
    confidence: float, words: dict[str, str],
) -> Spoken:  # fmt: skip
    """Return both estimates, their difference, Kish's design effect, and which leads."""
    unit = 100.0 if kind == "nps" else 1.0 if kind == "share" else scale
    freedom, n = min(people.count, found.replicates) - 1, people.total(people.rows)
    form = kind if kind in ("nps", "share") else "mean"
    weighted = interval(
        form, found.weighted, found.parts, variance=found.var_weighted, freedom=freedom, n=n, n_eff=found.n_eff,
        confidence=confidence,
    )  # fmt: skip
    weighted = estimates.scaled(weighted, unit) if form == "mean" else weighted
    method = f"{weighted['method'].iloc[0]}, raked by {' and '.join(margins.names)}, replicates"
    leads = WEIGHTED if found.bias > found.added else UNWEIGHTED
    reason = _reason(leads, found, kind, unit)
    sides = (plain, weighted.assign(at=WEIGHTED, method=method, note=_joined(weighted["note"].iloc[0], margins.told)))
    told = [side.assign(note=_joined(f"leads: {reason}" if side["at"].iloc[0] == leads else "", side["note"].iloc[0]))
            for side in sides]  # fmt: skip
    more = {"n": n, "n_eff": found.n_eff}
    rows = results.concat([*told, _gap(found, unit, freedom, confidence).assign(**more), _design(found, people.count)])
    return Spoken(results.label(rows, **words), leads, f"{leads.capitalize()} leads: {reason}.")


def _gap(found: _Pair, unit: float, freedom: float, confidence: float) -> pd.DataFrame:
    """Return the difference, weighted less unweighted."""
    gap, error = unit * (found.weighted - found.plain), unit * float(np.sqrt(found.var_difference))
    low, high = intervals.student(np.array(gap), np.array(error), np.array(freedom), confidence)
    return results.frame(
        at=WEIGHTED, comparison="difference", against=UNWEIGHTED, method="replicates (t)", estimate=gap,
        std_error=error, conf_low=low, conf_high=high,
    )  # fmt: skip


def _design(found: _Pair, customers: float) -> pd.DataFrame:
    """Return Kish's design effect: a property of weights, which are known, so the interval has no width."""
    return results.frame(
        at=DESIGN, comparison="index", method="Kish", estimate=found.deff, std_error=0.0, conf_low=found.deff,
        conf_high=found.deff, n=customers, n_eff=found.n_eff,
    )  # fmt: skip


def _reason(leads: str, found: _Pair, kind: str, unit: float) -> str:
    """Say in words why one leads."""
    amounts = (found.weighted - found.plain, found.bias, found.added)
    gap, bias, added = (_amount(unit * value, kind) for value in amounts)
    moves = f"weighting moves it by {gap}"
    if leads == WEIGHTED:
        cost = f"more than the error of {added} that it adds" if found.added else "and adds no error"
        return f"{moves}, about {bias} of that by who answered, {cost}"
    if not found.bias:
        return f"{moves}, no more than chance would"
    return f"{moves}, about {bias} of that perhaps by who answered, less than the error of {added} that it adds"


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _amount(value: float, kind: str) -> str:
    """Return an amount in the unit of the kind."""
    size = 100 * value if kind == "share" else value
    told = (f"{size:.1f}" if kind in ("nps", "share") else f"{size:,.{3 if abs(size) < 1 else 2}f}").replace("-", MINUS)
    told = told.lstrip(MINUS) if not any(digit in "123456789" for digit in told) else told
    return told + {"nps": " points", "share": " percentage points"}.get(kind, "")
