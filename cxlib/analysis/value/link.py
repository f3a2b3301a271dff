"""The link from satisfaction to money: what follows, within a customer, when satisfaction is a point higher.

Beside the effect stand two things that must be nothing: what was bought before the answer, and an outcome that
satisfaction does not touch (a negative control). Where they are something, the effect is no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import names as all_of
from cxlib.analysis.doors import require
from cxlib.analysis.value.link_panel import Names, checked, pairs, shifted
from cxlib.analysis.value.link_slopes import (
    ADDITIVE,
    MULTIPLICATIVE,
    NEEDED,
    Slopes,
    check_model,
    deviation,
    predetermined,
)
from cxlib.analysis.value.link_within import within
from cxlib.errors import UsageError
from cxlib.measure import intervals

UNTOUCHED = "visits"  # the negative control of a panel that has it
PREDETERMINED, FIXED = "predetermined", "fixed effects"
CLEAN, KEPT = "without noise", "not_noise"
_PAST = "_past"
_METHODS = {
    (PREDETERMINED, MULTIPLICATIVE): "double-filter quasi-differences, log rate (error of the log), by customer",
    (PREDETERMINED, ADDITIVE): "double-filter IV, by customer",
    (FIXED, MULTIPLICATIVE): "fixed-effects Poisson (error of the log), by customer",
    (FIXED, ADDITIVE): "two-way fixed effects, by customer",
}
_ESTIMATORS = {PREDETERMINED: predetermined, FIXED: within}
_INCOMPLETE = "the panel does not tell who left: periods in which a customer left count as whole ones"


@dataclass(frozen=True, eq=False)
class LinkFit:
    """A slope of an outcome on satisfaction within customers.

    Parameters
    ----------
    outcome, satisfaction
        What the columns are called.
    ahead
        How many periods after the answer the outcome is (before, where below 0).
    model, method
        As asked for in `link`.
    slopes
        Estimates with each customer's influence.
    less
        What the effect is compared with: so many points less.
    note
        What a reader has to know.
    """

    outcome: str
    satisfaction: str
    ahead: int
    model: str
    method: str
    slopes: Slopes
    less: str
    note: str = ""

    @property
    def relative(self) -> tuple[float, np.ndarray]:
        """How much more, as a share, goes with a point more, and each customer's influence on it."""
        slope, rate = self.slopes, float(self.slopes.value[0])
        if self.model == MULTIPLICATIVE:
            return float(np.expm1(rate)), np.exp(rate) * slope.influence[:, 0]
        value = rate / slope.mean
        return value, (slope.influence[:, 0] - value * slope.mean_influence) / slope.mean

    @property
    def amount(self) -> tuple[float, np.ndarray]:
        """How much more a period, in the outcome's unit, goes with a point more, and each customer's influence."""
        slope = self.slopes
        if self.model == ADDITIVE:
            return float(slope.value[0]), slope.influence[:, 0]
        value, influence = self.relative
        return value * slope.mean, influence * slope.mean + value * slope.mean_influence


def fit_link(
    panel: pd.DataFrame,
    *,
    customer: str = "customer_id",
    period: str = "period",
    satisfaction: str = "satisfaction",
    outcome: str = "spend",
    controls: Sequence[str] = (),
    churned: str = "churned",
    second: str = "",
    model: str = MULTIPLICATIVE,
    method: str = PREDETERMINED,
    ahead: int = 1,
    per: float = 1.0,
) -> LinkFit:
    """Estimate one slope; parameters as in `link`, `second` takes noise out, `ahead` says how many periods later."""
    names, controls = named(panel, Names(customer, period, satisfaction, churned, second, per)), all_of(controls)
    table = checked(panel, names, list(dict.fromkeys([outcome, *controls])))
    return _fit(table, names, outcome, controls, model, method, ahead)


def link(
    panel: pd.DataFrame,
    *,
    customer: str = "customer_id",
    period: str = "period",
    satisfaction: str = "satisfaction",
    outcome: str = "spend",
    controls: Sequence[str] = (),
    negative_control: str | Sequence[str] | None = UNTOUCHED,
    churned: str = "churned",
    second: str = "",
    model: str = MULTIPLICATIVE,
    method: str = PREDETERMINED,
    per: float = 1.0,
    fitted: LinkFit | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate what an outcome of the next period owes to a point of satisfaction, within customers.

    Parameters
    ----------
    panel
        One row per customer and period in which they were there, in any order, with zeros where nothing was bought.
    customer, period
        Key columns; periods are labels such as "2026-10" or whole numbers.
    satisfaction
        Column; missing where there was no answer.
    outcome
        Column, of the same period as its row: the next period's is taken.
    controls
        Columns of the period of the answer that may move both; treated as satisfaction is.
    negative_control
        Columns that satisfaction does not touch; None or empty for none. A row says so where the panel has no `visits`.
    churned
        Column that is 1 in the period in which the customer left: that period's outcome is left out, it is no whole
        period. What satisfaction does to leaving is told by `link_churn`.
    second
        Column of a second answer of the same period, missing where there was none: adds rows with the noise of single
        answers taken out. Noise makes a slope too small, by as much as the share of noise in what varies.
    model
        `multiplicative` (rates, amounts: a point more multiplies what the customer buys) or `additive`.
    method
        `predetermined` (right where what is bought changes the satisfaction that follows) or `fixed effects` (of
        customers and periods; narrower, and wrong then).
    per
        Of how many points effects are told: 10 for a score of -100 to 100, say.
    fitted
        What `fit_link` made of the same panel and arguments, where it is at hand: it is not fitted again.
    confidence
        Of the intervals, by t with customers - 1 degrees of freedom.
    min_n
        Rows of fewer customers are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame, `level` the satisfaction column, `against` "a point less" (or so many as `per` says). For the
        outcome at `1` a row `relative` (a share more per point) and a row `difference` (in its unit, per period and
        customer); at `-1` a row `relative` for the outcome *before* the answer (fixed effects; strict exogeneity,
        Wooldridge 2010, 10.7.1); per negative control a row `relative` at `1`. With `second` both rows of the outcome
        once more, segment `without noise`, and a row `not_noise`: the share of what varies within customers that is not
        noise. n counts pairs of an answer and an outcome, n_eff the customers that tell something.

    Raises
    ------
    UsageError
        For columns that lack, repeated keys, text in place of numbers, outcomes below 0 in a multiplicative model.

    Notes
    -----
    See `link_slopes` for the estimators and their sources. What is assumed: nothing that changes within a customer
    over time moves both satisfaction and the next period's outcome, once `controls` and period effects are held
    constant. The two checks can refute that, not prove it.
    """
    intervals.check_confidence(confidence)
    names, controls = named(panel, Names(customer, period, satisfaction, churned, second, per)), all_of(controls)
    others, held = controls_of(panel, negative_control)
    table = checked(panel, names, list(dict.fromkeys([outcome, *controls, *held])))
    plain = names._replace(second="")
    first = _fit(table, plain, outcome, controls, model, method, 1) if fitted is None else fitted
    fits = [first, _before(table, plain, outcome, controls, model)]
    fits += [_fit(table, plain, name, controls, model, method, 1) for name in held]
    found = [effect_rows(fits[0], confidence, both=True), *(effect_rows(fit, confidence) for fit in fits[1:])]
    found += [_lacking(name, names) for name in others if name not in held]
    if second:
        found.append(_without_noise(_fit(table, names, outcome, controls, model, PREDETERMINED, 1), confidence))
    rows = results.concat(found)
    return results.conform(results.suppress(rows.assign(n=rows["n_eff"]), min_n).assign(n=rows["n"]))


def named(panel: pd.DataFrame, names: Names) -> Names:
    """Return the names, without the column that tells who left where the panel has none by its usual name."""
    must_be_frame(panel, "the panel")
    absent = names.churned == Names().churned and names.churned not in panel.columns
    return names._replace(churned="") if absent else names


def controls_of(panel: pd.DataFrame, given: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the negative controls asked for and those that there are; `UsageError` for one that lacks.

    The usual one may lack: who did not ask for it is told in a row.
    """
    others = [name for name in all_of(given) if name]
    held = [name for name in others if name in panel.columns]
    require(panel.columns, {f"negative_control {name}": name for name in others if name != UNTOUCHED}, "the panel")
    return others, held


def _fit(
    table: pd.DataFrame, names: Names, outcome: str, controls: Sequence[str], model: str, method: str, ahead: int
) -> LinkFit:
    if method not in _ESTIMATORS:
        raise UsageError(f"'{method}' is no method of the link; there are {', '.join(_ESTIMATORS)}")
    check_model(model, outcome, table[outcome].to_numpy())
    given = pairs(table, names, outcome, controls, ahead)
    slopes = predetermined(given, model, noisy=True) if names.second else _ESTIMATORS[method](given, model)
    note = "" if names.churned else _INCOMPLETE
    return LinkFit(outcome, names.satisfaction, ahead, model, method, slopes, names.less, note)


def _before(table: pd.DataFrame, names: Names, outcome: str, controls: Sequence[str], model: str) -> LinkFit:
    """Look whether satisfaction goes with what was bought before, the answer before that held constant where known.

    Satisfaction lasts: without the earlier answer, which may have moved the outcome, an effect would look like its own
    forerunner. Where most pairs have none, it is left out, and told.
    """
    both = shifted(table, {names.satisfaction: _PAST}, -2)
    answered = both[both[names.satisfaction].notna()]
    known = bool(len(answered)) and answered[_PAST].notna().mean() >= 0.5
    held = [*controls, _PAST] if known else list(controls)
    fit = _fit(both, names, outcome, held, model, FIXED, -1)
    told = "the answer before held constant" if known else "the answer before it is rarely known and not held constant"
    return LinkFit(outcome, names.satisfaction, -1, model, FIXED, fit.slopes, names.less, told)


def effect_rows(fit: LinkFit, confidence: float, *, both: bool = False) -> pd.DataFrame:
    """Return the row `relative` of a fit and, with `both`, the row `difference`."""
    slopes = fit.slopes
    labels = {
        "metric": fit.outcome, "level": fit.satisfaction, "at": f"{fit.ahead:g}", "against": fit.less,
        "method": _METHODS[fit.method, fit.model],
    }  # fmt: skip
    kinds = ["relative", "difference"] if both else ["relative"]
    if slopes.reason or (fit.model == ADDITIVE and slopes.mean == 0):
        status = results.TOO_FEW if NEEDED in slopes.reason else results.UNDEFINED
        return results.frame(**labels, comparison=kinds, status=status, note=slopes.reason or "the mean outcome is 0")
    parts = [_ratio(fit, confidence), _amount(fit, confidence)][: len(kinds)]
    found = [
        results.frame(
            **labels, comparison=kind, n=slopes.pairs.y.size, n_eff=slopes.people, note=fit.note,
            **dict(zip(("estimate", "std_error", "conf_low", "conf_high", "p_value"), part, strict=True)),
        )
        for kind, part in zip(kinds, parts, strict=True)
    ]  # fmt: skip
    return results.concat(found)


def _ratio(fit: LinkFit, confidence: float) -> tuple[float, ...]:
    """Return estimate, error, limits and p-value of the relative effect; of a log rate by its logarithm."""
    slopes = fit.slopes
    if fit.model == ADDITIVE:
        value, influence = fit.relative
        return limits_of(value, deviation(influence, slopes.people), slopes.people, confidence)
    value, error, low, high, p_value = limits_of(float(slopes.value[0]), slopes.error, slopes.people, confidence)
    return float(np.expm1(value)), error, float(np.expm1(low)), float(np.expm1(high)), p_value


def _amount(fit: LinkFit, confidence: float) -> tuple[float, ...]:
    value, influence = fit.amount
    return limits_of(value, deviation(influence, fit.slopes.people), fit.slopes.people, confidence)


def limits_of(value: float, error: float, people: int, confidence: float) -> tuple[float, ...]:
    """Return estimate, error, t limits and the two-sided p-value of nothing."""
    from scipy import stats

    low, high = intervals.student(np.array(value), np.array(error), np.array(people - 1.0), confidence)
    p_value = float(2 * stats.t.sf(abs(value) / error, people - 1)) if error > 0 else np.nan
    return value, error, float(low), float(high), p_value


def _without_noise(fit: LinkFit, confidence: float) -> pd.DataFrame:
    """Return the rows of the outcome with noise taken out, and how much of satisfaction is none."""
    slopes = fit.slopes
    method = f"{_METHODS[PREDETERMINED, fit.model]}, errors in variables"
    found = results.label(effect_rows(fit, confidence, both=True), method=method)
    share = {"metric": KEPT, "level": fit.satisfaction, "method": "second answers of a period, by customer"}
    if slopes.kept_influence is None:
        note = "nothing tells how much of an answer is noise"
        part = results.frame(**share, comparison="share", status=results.UNDEFINED, note=note)
    else:
        error = deviation(slopes.kept_influence, slopes.people)
        value, error, low, high, _ = limits_of(slopes.kept, error, slopes.people, confidence)
        note = "estimated below 0: no sign of anything but noise" if value < 0 else ""
        part = results.frame(
            **share, comparison="share", estimate=value, std_error=error, conf_low=low, conf_high=high,
            n=slopes.pairs.y.size, n_eff=slopes.people, note=note,
        )  # fmt: skip
    return results.label(results.concat([found, part]), segment=CLEAN)


def _lacking(name: str, names: Names) -> pd.DataFrame:
    return results.frame(
        metric=name, level=names.satisfaction, at="1", comparison="relative", against=names.less,
        status=results.UNDEFINED, note=f"the panel has no column '{name}': no negative control",
    )  # fmt: skip
