"""The link from satisfaction to leaving: a hazard per period, since a customer leaves once and cannot be compared with
herself. So it rests on comparing customers who are alike in what the panel knows, and less than `link` can be claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.doors import require
from cxlib.analysis.value.link import UNTOUCHED, controls_of, limits_of, named
from cxlib.analysis.value.link_panel import Names, Neighbours, Pairs, checked, paired, shifted
from cxlib.analysis.value.link_slopes import FEW, NEEDED, deviation
from cxlib.errors import UsageError
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers

HAZARD = "complementary log-log"
_METHOD = f"{HAZARD} by period, clustered by customer"
_ALIKE = 1e-9  # of the largest: what is left of a column that others make up
_STEPS, _SETTLED, _LEAST = 100, 1e-8, float(np.finfo(float).eps)  # of scoring, as statsmodels has them
_EVENTS = 5  # of the outcome per parameter below which a hazard model is not fitted (Vittinghoff and McCulloch 2007)


@dataclass(frozen=True, eq=False)
class ChurnFit:
    """What a point of satisfaction goes with in the hazard of leaving.

    Parameters
    ----------
    outcome, satisfaction
        What the columns are called.
    log_hazard, change, rate
        The logarithm of the hazard ratio per point; the change of the probability to leave in a period per point,
        on average over the rows; that probability.
    influence
        Each customer's influence on these three, shape (G, 3).
    ids
        The customers, shape (G,).
    rows, less, note, reason
        Rows used; what the effect is compared with; what a reader has to know; why there is no estimate.
    """

    outcome: str
    satisfaction: str
    log_hazard: float
    change: float
    rate: float
    influence: Numbers
    ids: Any
    rows: int
    less: str = Names().less
    note: str = ""
    reason: str = ""

    def error(self, place: int) -> float:
        """Standard error of the `place`-th number."""
        return deviation(self.influence[:, place], len(self.ids))


def fit_churn(
    panel: pd.DataFrame,
    *,
    customer: str = "customer_id",
    period: str = "period",
    satisfaction: str = "satisfaction",
    churned: str = "churned",
    segments: Sequence[str] = (),
    controls: Sequence[str] = (),
    past: bool = True,
    per: float = 1.0,
) -> ChurnFit:
    """Estimate the hazard of leaving in the period after an answer; parameters as in `link_churn`."""
    names, segments, controls = (
        Names(customer, period, satisfaction, churned, per=per), all_of(segments), all_of(controls)
    )  # fmt: skip
    table = _table(panel, names, segments, [churned, *controls])
    return _fit(table, names, churned, segments, controls, past)


def link_churn(
    panel: pd.DataFrame,
    *,
    customer: str = "customer_id",
    period: str = "period",
    satisfaction: str = "satisfaction",
    churned: str = "churned",
    segments: Sequence[str] = (),
    controls: Sequence[str] = (),
    past: bool = True,
    negative_control: str | Sequence[str] | None = UNTOUCHED,
    per: float = 1.0,
    fitted: ChurnFit | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate what leaving in the next period owes to a point of satisfaction, among customers who are alike.

    Parameters
    ----------
    panel, customer, period, satisfaction
        As in `link`; a customer has a row in the period in which he leaves.
    churned
        Column that is 1 in that period, else 0.
    segments
        Columns of labels that customers are compared within, of the period of the answer.
    controls
        Columns of numbers of that period.
    past
        Hold the mean of the customer's earlier answers constant (and whether there are any): what tells is then the
        deviation from what this customer used to say, as far as answers tell that without noise.
    negative_control
        Columns that satisfaction does not touch: whether there was any in the next period, in the same model.
    per, confidence, min_n
        As in `link`.
    fitted
        What `fit_churn` made of the same panel and arguments, where it is at hand.

    Returns
    -------
    pandas.DataFrame
        A result frame as that of `link`: for `churned` a row `relative` (hazard ratio less 1; std_error of its
        logarithm) and a row `difference` (change of the probability per period), per negative control a row `relative`,
        metric `any ` and its name.

    Raises
    ------
    UsageError
        As `link`, and where `churned` is neither 0 nor 1.

    Notes
    -----
    The complementary log-log model by period is the proportional-hazards model for grouped time (Prentice and Gloeckler
    1978, Biometrics 34:57); period effects are free. What is identified: customers alike in segments,
    controls and earlier answers must not differ in anything else that moves both answer and leaving.
    """
    intervals.check_confidence(confidence)
    must_be_frame(panel, "the panel")
    names, segments, controls = (
        Names(customer, period, satisfaction, churned, per=per), all_of(segments), all_of(controls)
    )  # fmt: skip
    held = controls_of(panel, negative_control)[1]
    table = _table(panel, names, segments, list(dict.fromkeys([churned, *controls, *held])))
    first = _fit(table, names, churned, segments, controls, past) if fitted is None else fitted
    parts = [_rows(first, confidence, both=True)]
    for name in held:
        found = _rows(_fit(table, names, name, segments, controls, past), confidence)
        parts.append(results.label(found, metric=f"any {name}"))
    rows = results.concat(parts)
    return results.conform(results.suppress(rows.assign(n=rows["n_eff"]), min_n).assign(n=rows["n"]))


def _table(panel: pd.DataFrame, names: Names, segments: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Return the checked panel with segments as labels and the mean of each customer's earlier answers."""
    must_be_frame(panel, "the panel")
    if names.churned not in panel.columns or named(panel, names).churned == "":
        raise UsageError(f"the panel has no column '{names.churned}' that tells who left")
    require(panel, segments, "the panel")
    coded = panel.assign(**{f"_{name}": _coded(panel[name]) for name in segments})
    table = checked(coded, names, [*numbers, *(f"_{name}" for name in segments)])
    if not table[names.churned].dropna().isin([0, 1]).all():
        raise UsageError(f"'{names.churned}' is neither 0 nor 1 throughout")
    answered = table[table[names.satisfaction].notna()]
    near = Neighbours(np.unique(answered["_who"], return_inverse=True)[1])
    table.loc[answered.index, "_earlier"] = near.earlier(answered[names.satisfaction].to_numpy())
    table.loc[answered.index, "_first"] = (near.before == 0).astype(float)
    return table


def _coded(labels: pd.Series) -> np.ndarray:
    """Number labels in the order of their names; those that are missing are called `unknown`."""
    codes, found = pd.factorize(labels)
    names = np.array([*map(str, found), "unknown"], dtype=object)
    return np.asarray(pd.factorize(names, sort=True)[0][codes])


def _fit(
    table: pd.DataFrame, names: Names, outcome: str, segments: Sequence[str], controls: Sequence[str], past: bool
) -> ChurnFit:
    wanted = dict.fromkeys([outcome, names.churned], "")
    later = shifted(table, {name: f"_next_{name}" for name in wanted}, 1)
    held = [*controls, *(["_earlier", "_first"] if past else [])]
    known = later[[names.satisfaction, f"_next_{outcome}", *held]].notna().all(axis=1)
    if outcome != names.churned:
        known &= ~(later[f"_next_{names.churned}"] > 0)
    rows = later[known].assign(_y=lambda t: (t[f"_next_{outcome}"] > 0).astype(float))
    rows = _telling(rows, [f"_{name}" for name in segments])
    used = paired(rows, names, "_y", held)
    codes = [rows[f"_{name}"].to_numpy(dtype=int) for name in segments]
    design = np.column_stack([used.x, *(_dummies(code) for code in codes), _dummies(used.period, every=True)])
    design = design[:, _apart(design)] if len(design) else design
    reason = _why_not(used, design)
    if reason:
        nothing = np.zeros((0, 3))
        return ChurnFit(
            outcome, names.satisfaction, np.nan, np.nan, np.nan, nothing, used.ids, 0, names.less, "", reason
        )
    return replace(_estimated(outcome, names.satisfaction, used, design), less=names.less)


def _telling(rows: pd.DataFrame, segments: Sequence[str]) -> pd.DataFrame:
    """Leave out periods and levels in which nobody, or everybody, did it: they tell nothing about a hazard ratio."""
    kept = rows
    while True:
        size = len(kept)
        for name in ("_at", *segments):
            share = kept.groupby(name)["_y"].transform("mean")
            kept = kept[(share > 0) & (share < 1)]
        if len(kept) == size:
            return kept


def _dummies(codes: np.ndarray, *, every: bool = False) -> Numbers:
    """Return one column per code, without the first unless `every` is asked for."""
    known, place = np.unique(codes, return_inverse=True)
    return np.asarray((place[:, None] == np.arange(0 if every else 1, known.size)).astype(float))


def _apart(design: Numbers) -> list[int]:
    """Return satisfaction's column and those of the rest that none of the others makes up (pivoted QR).

    Pivoting needs no more than the triangle of a plain QR, whose columns are as long and lie at the same angles.
    """
    from scipy.linalg import qr

    scaled = design[:, 1:] / np.maximum(np.abs(design[:, 1:]).max(axis=0), 1e-300)
    triangle, order = qr(np.linalg.qr(scaled, mode="r"), mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    return [0, *sorted(1 + order[: size.size][size > _ALIKE * size.max()])]


def _why_not(used: Pairs, design: Numbers) -> str:
    """Say why there can be no estimate."""
    if used.customers < FEW:
        return f"{used.customers} customers have an answer and a period after it; {FEW} are needed"
    events = min(used.y.sum(), (1 - used.y).sum())
    if events < _EVENTS * design.shape[1]:
        return f"{events:.0f} events for {design.shape[1]} parameters; {_EVENTS} each are needed"
    if _rank(design) < design.shape[1]:
        return "satisfaction does not vary beyond what is held constant"
    return ""


def _rank(design: Numbers) -> int:
    """Return the rank as numpy finds it, from the triangle: the singular values are the same."""
    sizes = np.linalg.svd(np.linalg.qr(design, mode="r"), compute_uv=False)
    return int((sizes > sizes[0] * max(design.shape) * np.finfo(float).eps).sum())


def _estimated(outcome: str, satisfaction: str, used: Pairs, design: Numbers) -> ChurnFit:
    """Fit the model; influences from its scores."""
    values = _hazard(design, used.y)
    if values is None:
        nothing, why = np.zeros((0, 3)), "the model did not settle"
        return ChurnFit(outcome, satisfaction, np.nan, np.nan, np.nan, nothing, used.ids, 0, reason=why)
    pull, bend = _scores(design @ values, used.y)
    lever = np.linalg.inv(-(design.T * bend) @ design)
    theta = (design * pull[:, None]) @ lever
    level, point = design @ values, float(values[0])
    chance, density = (_chance(level + step) for step in (0.0, point)), [_density(level), _density(level + point)]
    now, then = chance
    gradient = design.T @ (density[1] - density[0])
    gradient[0] += density[1].sum()
    change, rate, size = float((then - now).mean()), float(used.y.mean()), used.y.size
    rows = np.column_stack(
        [theta[:, 0], theta @ (gradient / size) + ((then - now) - change) / size, (used.y - rate) / size]
    )
    influence = np.column_stack([np.bincount(used.who, column, used.customers) for column in rows.T])
    return ChurnFit(outcome, satisfaction, point, change, rate, np.asarray(influence, dtype=float), used.ids, size)


def _hazard(design: Numbers, y: Numbers) -> Numbers | None:
    """Return the coefficients of the complementary log-log model; None where they do not settle.

    Fisher's scoring from and up to where statsmodels' `GLM` goes (deviance within 1e-8), on orthonormal columns: a
    small system each step instead of the singular values of all rows.
    """
    q, triangle = np.linalg.qr(design)
    chance = (y + 0.5) / 2
    level, deviance, at = np.log(-np.log1p(-chance)), np.inf, np.zeros(design.shape[1])
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            density = -np.log1p(-chance) * (1 - chance)
            weight = density**2 / (chance * (1 - chance))
            target = level + (y - chance) / density
            if not (np.isfinite(weight).all() and np.isfinite(target).all()):
                return None
            at = np.linalg.lstsq((q.T * weight) @ q, q.T @ (weight * target), rcond=None)[0]
            level = q @ at
            chance = np.clip(_chance(level), _LEAST, 1 - _LEAST)
            before, deviance = deviance, float(-2 * np.log(np.where(y > 0, chance, 1 - chance)).sum())
            if abs(before - deviance) <= _SETTLED:
                values: Numbers = np.linalg.solve(triangle, at)
                return values if np.isfinite(values).all() else None
    return None


def _scores(level: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """Return the first and second derivative of each row's log likelihood by its linear predictor."""
    hazard, chance = np.exp(level), _chance(level)
    pull = hazard * (y / chance - 1)
    return pull, pull - y * hazard**2 * (1 - chance) / chance**2


def _chance(level: Numbers) -> Numbers:
    return np.asarray(-np.expm1(-np.exp(level)))


def _density(level: Numbers) -> Numbers:
    return np.asarray(np.exp(level - np.exp(level)))


def _rows(fit: ChurnFit, confidence: float, *, both: bool = False) -> pd.DataFrame:
    """Return the row `relative` of a fit and, with `both`, the row `difference`."""
    kinds = ["relative", "difference"] if both else ["relative"]
    labels = {"metric": fit.outcome, "level": fit.satisfaction, "at": "1", "against": fit.less}
    methods = [f"hazard ratio less 1 (error of the log), {_METHOD}", f"average change of the probability, {_METHOD}"]
    if fit.reason:
        status = results.TOO_FEW if NEEDED in fit.reason else results.UNDEFINED
        return results.frame(
            **labels, comparison=kinds, method=methods[: len(kinds)], status=status, note=fit.reason
        )  # fmt: skip
    people = len(fit.ids)
    ratio = limits_of(fit.log_hazard, fit.error(0), people, confidence)
    parts = [
        tuple(
            value if name in ("std_error", "p_value") else float(np.expm1(value))
            for name, value in zip(_NUMBERS, ratio, strict=True)
        ),
        limits_of(fit.change, fit.error(1), people, confidence),
    ]
    found = [
        results.frame(
            **labels,
            comparison=kind,
            method=method,
            n=fit.rows,
            n_eff=people,
            note=fit.note,
            **dict(zip(_NUMBERS, part, strict=True)),
        )
        for kind, method, part in zip(kinds, methods, parts, strict=False)
    ]
    return results.concat(found)


_NUMBERS = ("estimate", "std_error", "conf_low", "conf_high", "p_value")
