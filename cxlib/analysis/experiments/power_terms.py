"""What all sample sizes, powers and smallest effects have in common: the terms of the test, and how they are solved.

Everything is a function of one design: a difference of two independent arms, tested at a level. Its power is

    z:  Phi((gap sqrt(n) - z_level sqrt(V0)) / sqrt(V1))        t:  P(T[f, gap sqrt(n / V1)] > t[f]_level)

where n are the control's units, `gap` is how far the truth lies from what the test refutes, V0 and V1 are n times the
variance of the difference where there is no effect and where there is one, and T is Student's noncentral t with f
degrees of freedom. Only findings on the effect's own side count as found (R `power.prop.test`, `power.t.test` with
`strict = FALSE`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from cxlib import results
from cxlib.analysis.experiments.limits import ALTERNATIVES, CONTROL, SCALES, TREATMENT
from cxlib.errors import UsageError, did_you_mean

_LEAST = 2.0  # units of the smaller arm: with fewer there is no variance
_FARTHEST = 1e15  # units: beyond, doubles do not tell one more from none
_LARGEST = 1e100
_FAR = 1e3  # standard errors
_ASSUMED = "worked out from what was assumed, so without an interval"


class Terms(TypedDict, total=False):
    """Keywords that every sample size, power and smallest effect takes.

    Parameters
    ----------
    alpha
        Share of tests without an effect that find one, 0.05 if left out.
    alternative
        `two-sided` (default), `greater` or `less`: the treatment's side that is to be found. One-sided tests spend all
        of alpha on it.
    ratio
        Units of the treatment for each unit of the control, 1 if left out.
    deff
        What the variance is multiplied by, 1 if left out: above 1 for units that come in clusters (`design_effect`),
        1 less the squared correlation where CUPED is planned (`cuped_saving`).
    comparisons
        Variants times primary metrics, 1 if left out: alpha is divided by it (Bonferroni; Holm needs no more).
    margin
        How much worse the treatment may be and still pass, not negative, in the unit of the effect; needs an
        `alternative` of one side, the good one. 0 (left out) tests against no difference.
    """

    alpha: float
    alternative: str
    ratio: float
    deff: float
    comparisons: int
    margin: float


@dataclass(frozen=True)
class Rules:
    """The terms, checked: see `Terms`."""

    alpha: float = 0.05
    alternative: str = "two-sided"
    ratio: float = 1.0
    deff: float = 1.0
    comparisons: int = 1
    margin: float = 0.0

    def __post_init__(self) -> None:
        faults = [
            f"{name} {value!r} is no number above 0"
            for name, value in (("ratio", self.ratio), ("deff", self.deff))
            if not (is_number(value) and value > 0)
        ]
        if not (is_number(self.alpha) and 0 < self.alpha < 1):
            faults.append(f"alpha {self.alpha!r} is not between 0 and 1")
        if self.alternative not in ALTERNATIVES:
            faults.append(f"alternative '{self.alternative}' is none of {', '.join(ALTERNATIVES)}")
        if not is_number(self.comparisons) or self.comparisons < 1 or self.comparisons != int(self.comparisons):
            faults.append(f"comparisons {self.comparisons!r} is no whole number from 1")
        if not (is_number(self.margin) and self.margin >= 0):
            faults.append(f"margin {self.margin!r} is no number from 0")
        elif self.margin > 0 and self.alternative == "two-sided":
            faults.append("a margin needs an alternative of one side, 'greater' where more is better, else 'less'")
        refuse(faults)

    @classmethod
    def of(cls, terms: Mapping[str, Any]) -> Rules:
        """Take terms by name; raises `UsageError` for a name that is none."""
        known = Terms.__annotations__
        refuse([f"'{name}' is no term{did_you_mean(name, known)}" for name in terms if name not in known])
        return cls(**{name: value.item() if isinstance(value, np.generic) else value for name, value in terms.items()})

    @property
    def level(self) -> float:
        """The level of the side that is to be found, after Bonferroni."""
        return self.alpha / self.comparisons / (2 if self.alternative == "two-sided" else 1)

    @property
    def least(self) -> float:
        """Units of the control arm without which an arm has no variance."""
        return max(_LEAST, _LEAST / self.ratio) * max(self.deff, 1.0)

    def sign(self, effect: float = 1.0) -> float:
        """Return the side that is to be found: that of the effect where both are tested."""
        return {"greater": 1.0, "less": -1.0}.get(self.alternative, math.copysign(1.0, effect))

    def told(self) -> str:
        """Return the terms in words."""
        words = [f"{'two' if self.alternative == 'two-sided' else 'one'}-sided {100 * self.alpha:g} %"]
        if self.comparisons > 1:
            words.append(f"Bonferroni over {self.comparisons} comparisons")
        if self.ratio != 1:
            words.append(f"{self.ratio:g} treated for each control")
        if self.deff != 1:
            words.append(f"variance times {self.deff:.4g}")
        if self.margin > 0:
            words.append(f"non-inferiority, margin {self.margin:g}")
        return ", ".join(words)


class Spread(NamedTuple):
    """Variances of one unit's outcome: of control and treatment, and n times that of their difference under none."""

    control: float
    treatment: float
    null: float


@dataclass(frozen=True)
class Case:
    """One kind of outcome, with what is assumed of it.

    Parameters
    ----------
    rules
        The terms of the test.
    spread
        Effect, in the outcome's own unit -> variances.
    test
        `z`, `t` (pooled) or `Welch`.
    convention
        What `method` is called by.
    reach
        The least and the largest effect that there can be.
    unit
        What an effect is multiplied by to be in the outcome's own unit: the baseline on the relative scale.
    """

    rules: Rules
    spread: Callable[[float], Spread]
    test: str
    convention: str
    reach: tuple[float, float] = (-math.inf, math.inf)
    unit: float = 1.0

    def power(self, n: float, effect: float) -> float:
        """Return the power of n units in the control arm for an effect in its own unit."""
        gap = self.rules.sign(effect) * effect + self.rules.margin * self.unit
        found, units = self.spread(effect), n / self.rules.deff
        variance = found.control + found.treatment / self.rules.ratio
        if self.test == "z":
            with np.errstate(divide="ignore"):
                away = np.float64(gap * math.sqrt(units) - self._z(self.rules.level) * math.sqrt(found.null))
                return float(special.ndtr(away / math.sqrt(variance))) if variance else float(away > 0)
        if not variance > 0:
            return float(gap > 0)
        # What CUPED saves is variance, not units: a deff below 1 adds no degrees of freedom.
        freedom = self._freedom(n / max(self.rules.deff, 1.0), found)
        far, limit = gap * math.sqrt(units / variance), float(stats.t.isf(self.rules.level, freedom))
        if far < _FAR:
            return float(stats.nct.sf(limit, freedom, far))
        # Beyond what SciPy sums up: the normal approximation (Johnson and Welch 1940), 0 or 1 but for the last digits.
        return float(special.ndtr((far - limit) / math.sqrt(1 + limit**2 / (2 * freedom))))

    def size(self, effect: float, power: float) -> float:
        """Return the units of the control arm that reach a power for an effect in its own unit."""
        gap = self.rules.sign(effect) * effect + self.rules.margin * self.unit
        found = self.spread(effect)
        variance = found.control + found.treatment / self.rules.ratio
        tails = self._z(self.rules.level) * math.sqrt(found.null) + self._z(1 - power) * math.sqrt(variance)
        with np.errstate(over="ignore", divide="ignore"):
            low = max(float((np.float64(max(tails, 0.0)) / gap) ** 2 * self.rules.deff), self.rules.least)
        if self.test == "z" or low > _FARTHEST or self.power(low, effect) >= power:
            return low
        high = 2 * low
        while self.power(high, effect) < power:
            high *= 2
        return float(optimize.brentq(lambda n: self.power(n, effect) - power, low, high, xtol=1e-9, rtol=1e-12))

    def smallest(self, n: float, power: float) -> float | None:
        """Return the effect, in its own unit, that n units find with a power; None where no effect that can be does."""
        sign, margin = self.rules.sign(), self.rules.margin * self.unit
        low, high = sorted(sign * end for end in self.reach)
        low = max(low, -margin)
        short = lambda away: self.power(n, sign * away) - power  # noqa: E731
        near = low + 1e-12 * max(abs(low), 1e-12)
        if near >= high:
            return None
        if short(near) >= 0:
            return sign * near
        if math.isinf(high):
            high = low + 1.0
            while short(high) < 0:
                high = low + 2 * (high - low)
        elif short(high) < 0:
            return None
        return sign * float(optimize.brentq(lambda away: short(away), near, high, xtol=1e-300, rtol=1e-12))

    def _freedom(self, units: float, found: Spread) -> float:
        """Return the degrees of freedom; pooled, or Welch's."""
        ratio = self.rules.ratio
        if self.test == "t":
            return units * (1 + ratio) - 2
        part = found.control / (found.control + found.treatment / ratio)
        return 1 / (part**2 / (units - 1) + (1 - part) ** 2 / (units * ratio - 1))

    @staticmethod
    def _z(level: float) -> float:
        return float(-special.ndtri(level))


def sample_size(case: Case, effect: float, power: float, scale: str = "absolute") -> pd.DataFrame:
    """Return the rows of control and treatment: units needed, exact, and rounded up as n."""
    _check_power(power, case.rules)
    effect = _effect(case, effect)
    n = case.size(effect * case.unit, power)
    exact = np.array([n, n * case.rules.ratio])
    whole = np.ceil(exact * (1 - 1e-12))
    words = np.array([f"{count:,.0f} units, rounded up; {_ASSUMED}" for count in whole])
    possible = exact <= _FARTHEST
    return results.frame(
        metric="sample_size", segment="arm", level=np.array([CONTROL, TREATMENT]), at=told_effect(effect, scale),
        estimate=exact, n=whole, method=f"{case.convention}; {case.rules.told()}, power {100 * power:g} %",
        status=np.where(possible, results.OK, results.UNDEFINED),
        note=np.where(possible, words, "the effect is so small that no number of units could show it"),
    )  # fmt: skip


def power_row(case: Case, n: float, effect: float, scale: str = "absolute") -> pd.DataFrame:
    """Return the row of the power that n units in the control arm have."""
    n, effect = _units(n, case.rules), _effect(case, effect)
    return results.frame(
        metric="power", at=told_effect(effect, scale), estimate=case.power(n, effect * case.unit), n=n,
        method=f"{case.convention}; {case.rules.told()}", note=_ASSUMED,
    )  # fmt: skip


def smallest_effect(case: Case, n: float, power: float, scale: str = "absolute") -> pd.DataFrame:
    """Return the row of the smallest effect that n units in the control arm find with a power."""
    _check_power(power, case.rules)
    n = _units(n, case.rules)
    found = case.smallest(n, power)
    shown = {
        "metric": "smallest_effect", "comparison": "difference" if scale == "absolute" else "relative", "n": n,
        "method": f"{case.convention}; {case.rules.told()}, power {100 * power:g} %",
    }  # fmt: skip
    if found is None:
        words = "so few units show not even the largest effect that there could be"
        return results.frame(**shown, status=results.UNDEFINED, note=words)
    return results.frame(**shown, estimate=found / case.unit, note=_ASSUMED)


def call(function: Callable[..., pd.DataFrame], *given: Any, **named: Any) -> pd.DataFrame:
    """Call a function of an outcome's kind; `UsageError` where it lacks something."""
    try:
        inspect.signature(function).bind(*given, **named)
    except TypeError as fault:
        raise UsageError(f"{function.__name__}: {fault}") from None
    return function(*given, **named)


def sizes(needed: float | pd.DataFrame) -> pd.DataFrame:
    """Return units needed as rows, control first: those to expose where there are any, else those of the sample size.

    One row for a number, that of each arm. Raises `UsageError` for frames without either.
    """
    if isinstance(needed, pd.DataFrame):
        rows = results.conform(needed)
        for name in ("exposed", "sample_size"):
            if (rows["metric"] == name).any():
                return rows[rows["metric"] == name].reset_index(drop=True)
        raise UsageError("the frame has no sample sizes", hint="Give what a sample size function returned.")
    if not (is_number(needed) and 0 < needed <= _FARTHEST):
        raise UsageError(f"{needed!r} is no number of units above 0")
    return results.frame(
        metric="sample_size", segment="arm", level="each", estimate=needed, n=math.ceil(needed), method="given"
    )


def told_effect(effect: float, scale: str) -> str:
    """Return an effect as the rows name it: `0.02`, or `10 % of the control`."""
    return f"{effect:g}" if scale == "absolute" else f"{100 * effect:g} % of the control"


def is_number(value: Any) -> bool:
    """Tell whether a value is one finite number, so small that a double holds its square."""
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool) and abs(float(value)) <= _LARGEST


def refuse(faults: list[str]) -> None:
    """Raise `UsageError` where there are faults."""
    if faults:
        raise UsageError("; ".join(faults))


def check_scale(scale: str) -> list[str]:
    """Return what is wrong with a scale."""
    return [] if scale in SCALES else [f"scale '{scale}' is neither absolute nor relative"]


def _check_power(power: float, rules: Rules) -> None:
    if not (is_number(power) and rules.level < power < 1):
        raise UsageError(f"power {power!r} is not between the level {rules.level:g} and 1", hint="Write 80 % as 0.8.")


def _units(n: float, rules: Rules) -> float:
    """Return the units of the control arm, or raise `UsageError` where an arm has fewer than a test needs."""
    if not (is_number(n) and rules.least <= n <= _FARTHEST):
        raise UsageError(f"n {n!r} is no number of units from {rules.least:g}")
    return float(n)


def _effect(case: Case, effect: float) -> float:
    """Return an effect that there can be and that the test is to find, or raise `UsageError`."""
    if not is_number(effect):
        raise UsageError(f"effect {effect!r} is no number")
    rules, own = case.rules, effect * case.unit
    low, high = case.reach
    if not low - 1e-12 <= own <= high + 1e-12:
        raise UsageError(
            f"an effect of {effect:g} cannot be: at most {high / case.unit:g}, at least {low / case.unit:g}",
            hint="The outcome would leave its scale: look at the baseline and at the unit of the effect.",
        )
    if not rules.sign(effect) * effect + rules.margin > 0:
        raise UsageError(
            f"an effect of {effect:g} is none that a test for '{rules.alternative}' finds",
            hint="Name an effect other than 0, on the side of the alternative, or above minus the margin.",
        )
    return float(min(max(own, low), high) / case.unit)
