"""One page before the launch: how many units, how many weeks, what is found by then and what the guardrails see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.experiments import power_means, power_nps, power_shares, power_terms
from cxlib.analysis.experiments.duration import by_traffic, duration, units_by_week
from cxlib.analysis.experiments.looks import inflation, plan_looks
from cxlib.analysis.experiments.power_saving import cuped_saving
from cxlib.analysis.experiments.power_units import exposed_for
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.moments import Moments

_Function = Callable[..., pd.DataFrame]
_KINDS: Mapping[str, tuple[_Function, _Function, _Function]] = {
    "share": (power_shares.sample_size_share, power_shares.power_share, power_shares.smallest_effect_share),
    "mean": (power_means.sample_size_mean, power_means.power_mean, power_means.smallest_effect_mean),
    "nps": (power_nps.sample_size_nps, power_nps.power_nps, power_nps.smallest_effect_nps),
    "ratio": (power_means.sample_size_ratio, power_means.power_ratio, power_means.smallest_effect_ratio),
}


@dataclass(frozen=True)
class Planned:
    """An outcome of an experiment that is planned.

    Parameters
    ----------
    metric
        Its id; rows carry it as `segment`.
    kind
        `share`, `mean`, `nps` or `ratio`.
    effect
        What is to be found: the smallest effect that matters, or for a guardrail what is expected, mostly 0.
    assumed
        What the functions of that kind take besides: `baseline`; `sd`; `promoters` and `detractors`; `past`; and the
        terms, as `margin` and `alternative` for a guardrail.
    response_rate, lost
        Share of the units that have this outcome, and that drop out before they could; see `exposed_for`.
    """

    metric: str
    kind: str
    effect: float
    assumed: Mapping[str, Any] = field(default_factory=dict)
    response_rate: float = 1.0
    lost: float = 0.0

    def __post_init__(self) -> None:
        """Check the kind; the rest is checked by what works with it."""
        if self.kind not in _KINDS:
            near = did_you_mean(str(self.kind), _KINDS)
            raise UsageError(f"{self.metric}: '{self.kind}' is no kind; there are {', '.join(_KINDS)}{near}")

    @property
    def part(self) -> float:
        """Share of the exposed units that have the outcome."""
        return self.response_rate * (1 - self.lost)

    def sample_size(self, power: float, **more: Any) -> pd.DataFrame:
        """Return the units (answers) needed in each arm."""
        return power_terms.call(_KINDS[self.kind][0], effect=self.effect, power=power, **{**more, **self.assumed})

    def power(self, n: float, **more: Any) -> pd.DataFrame:
        """Return the power of n units (answers) in the control arm."""
        return power_terms.call(_KINDS[self.kind][1], n, effect=self.effect, **{**more, **self.assumed})

    def smallest(self, n: float, power: float, **more: Any) -> pd.DataFrame:
        """Return the smallest effect that n units (answers) in the control arm find."""
        return power_terms.call(_KINDS[self.kind][2], n, power=power, **{**more, **self.assumed})


def plan(
    primary: Planned,
    daily: pd.DataFrame,
    *,
    guardrails: Sequence[Planned] = (),
    arms: int = 2,
    window: int = 0,
    weeks: int | None = None,
    looks: int = 1,
    spending: str = "obrien-fleming",
    past: Moments | None = None,
    power: float = 0.8,
    confidence: float = 0.95,
    **traffic: Any,
) -> pd.DataFrame:
    """Plan an experiment: the rows of one page.

    Parameters
    ----------
    primary
        The outcome that decides.
    daily
        Traffic, as for `units_by_week`.
    guardrails
        Outcomes that may not suffer; their power is that of so many units, they ask for none.
    arms, window
        As for `duration`. Comparisons are the treatments, unless `assumed` says otherwise.
    weeks
        Weeks of exposure that are decided on already; by default as many as the primary outcome needs.
    looks, spending
        Looks at the primary outcome, evenly spaced, and how they spend alpha; see `plan_looks`.
    past
        Moments with a covariate from before, of the primary outcome: adds what CUPED would save. Units, weeks and power
        are told without it, so what it saves comes on top.
    power
        That the primary outcome is to have.
    confidence
        Of the limits of traffic and of what CUPED would save.
    traffic
        `arrivals`, `share`, `day`, `units` and `longest`, as for `duration`.

    Returns
    -------
    pandas.DataFrame
        Result rows, each outcome's with its metric as `segment`: `sample_size` (control, treatment; with looks those
        of `plan_looks` instead), `exposed` where not all units have the outcome, `duration` and `exposure` (weeks),
        `units` (of all arms, by the last week of exposure), `smallest_effect` and `power` of the primary at that time,
        with limits for a bad and a good run of traffic, `cuped_saving`, `size_factor`, `sample_size_cuped`, and the
        `power` of each guardrail. Where traffic is too little the last rows are those of `longest` weeks.
    """
    more = {"comparisons": max(arms - 1, 1)}
    answers = primary.sample_size(power, **more)
    alone = {"alpha": _alpha(primary, more), "alternative": primary.assumed.get("alternative", "two-sided")}
    factor, needed = 1.0, answers
    if looks > 1:
        needed = plan_looks(answers, looks, power=power, spending=spending, **alone)
        factor = inflation(looks, power=power, spending=spending, **alone)
    parts = [needed]
    if primary.part < 1:
        needed = exposed_for(needed, primary.response_rate, lost=primary.lost)
        parts.append(needed)
    named = [results.label(part, segment=_within(part, primary.metric)) for part in parts]
    saved = _saved(past, answers, primary.metric, confidence) if past is not None else results.empty()
    length = duration(needed, daily, arms=arms, window=window, confidence=confidence, **traffic)
    until = weeks or _weeks(length, traffic)
    coming = units_by_week(daily, weeks=until, confidence=confidence, **_only(traffic)).tail(1)
    found = [_at(each, coming, until, arms, power, more, 1.0 if number else factor, lead=not number)
             for number, each in enumerate((primary, *guardrails))]  # fmt: skip
    return results.concat([*named, length, coming, found[0], saved, *found[1:]])


def _at(
    outcome: Planned, coming: pd.DataFrame, week: int, arms: int, power: float, more: Mapping[str, Any], factor: float,
    *, lead: bool,
) -> pd.DataFrame:  # fmt: skip
    """Return smallest effect (of the primary) and power of an outcome, of the units that will have come."""
    if (coming["status"] != results.OK).any():
        names = ["smallest_effect", "power"] if lead else ["power"]
        return results.frame(
            metric=np.array(names), segment=outcome.metric, status=results.TOO_FEW, note=coming["note"].iloc[0]
        )
    shares = 1 + (arms - 1) * float(outcome.assumed.get("ratio", 1.0))
    units = coming[["estimate", "conf_low", "conf_high"]].to_numpy(dtype=float)[0]
    control = (units * outcome.part / shares / factor).tolist()
    rows = [by_traffic(lambda n: outcome.power(n, **(more if lead else {})), week, control)]
    if lead:
        rows.insert(0, by_traffic(lambda n: outcome.smallest(n, power, **more), week, control))
    found = results.concat(rows)
    return results.conform(found.assign(segment=outcome.metric, n=found["n"] * factor))


def _saved(past: Moments, answers: pd.DataFrame, name: str, confidence: float) -> pd.DataFrame:
    """Return what CUPED would save, and the units of the control arm that would do."""
    saving = cuped_saving(past, confidence=confidence)
    last = saving.iloc[[1]]
    size = float(answers["estimate"].iloc[0])
    scaled = {column: last[column] * size for column in ("estimate", "conf_low", "conf_high")}
    status = last["status"] if answers["status"].iloc[0] == results.OK else results.UNDEFINED
    rest = last.assign(
        metric="sample_size_cuped", comparison="level", level="control", status=status, **scaled,
        n=np.ceil(scaled["estimate"]),
    )  # fmt: skip
    return results.label(results.concat([saving, results.conform(rest)]), segment=name)


def _weeks(length: pd.DataFrame, traffic: Mapping[str, Any]) -> int:
    """Return the weeks of exposure; the longest that may be where those do not do."""
    row = length[length["metric"] == "exposure"].iloc[0]
    return int(row["estimate"]) if row["status"] == results.OK else int(traffic.get("longest", 52))


def _alpha(outcome: Planned, more: Mapping[str, Any]) -> float:
    terms = {
        key: value for key, value in {**more, **outcome.assumed}.items() if key in power_terms.Terms.__annotations__
    }
    rules = power_terms.Rules.of(terms)
    return rules.alpha / rules.comparisons


def _within(rows: pd.DataFrame, name: str) -> list[str]:
    """Return the outcome's name where rows are of all looks or arms, and `look` where they are of one."""
    return [name if segment != "look" else segment for segment in rows["segment"]]


def _only(traffic: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in traffic.items() if name != "longest"}
