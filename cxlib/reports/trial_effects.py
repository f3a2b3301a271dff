"""What an experiment did to each outcome of its plan: arm by arm, by every method that was registered, by segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure import changes, estimates
from cxlib.measure.moments import Moments
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Segment
from cxlib.reports import bring, trial_quantiles
from cxlib.reports.tried import Tried

_UNITS = {"nps": 100.0, "share": 1.0}  # by kind; other metrics have a scale of their own
_UNITS_UNPLANNED = 10_000  # of all arms, at which limits that hold at any time are narrowest where no number is planned


def unit_of(metric: Metric) -> float:
    """Return what a ratio of sums is multiplied by."""
    return _UNITS.get(metric.kind, metric.scale)


def confidence_of(tried: Tried) -> float:
    """Return the confidence that belongs to the alpha of the plan."""
    return 1 - tried.plan.alpha


def effects(tried: Tried) -> pd.DataFrame:
    """Return the value of each arm and the leading effect on each outcome; see `Run.effects`."""

    def make() -> pd.DataFrame:
        parts = []
        for name in tried.plan.outcomes:
            try:
                tried.check_exposed()
                parts += _outcome(tried, tried.metrics[name])
            except Undefined as reason:
                parts.append(estimates.undefined(tried.metrics[name], [""], str(reason)))
        return _judged(tried, results.concat(parts))

    return tried.answer("effects", tried.key(), make)


def _outcome(tried: Tried, metric: Metric) -> list[pd.DataFrame]:
    """Return the levels of one outcome's arms, the differences, and the relative ones."""
    if metric.kind == "quantile":
        parts = [trial_quantiles.levels(tried, metric, confidence_of(tried))]
        return [*parts, *(_of_quantile(tried, metric, arm) for arm in tried.treatments)]
    return [
        _levels(at_look(tried, metric), metric),
        *(leading(tried, metric, arm) for arm in tried.treatments),
        *(() if metric.kind == "nps" else (leading(tried, metric, arm, relative=True) for arm in tried.treatments)),
    ]


def at_look(tried: Tried, metric: Metric) -> Tried:
    """Return the experiment at its last registered look, where the metric is one that is looked at."""
    if not (tried.plan.looks and tried.leads(metric)):
        return tried
    taken = tried.looked()
    if not taken:
        raise Undefined(f"the first registered look is on {min(tried.plan.looks)}")
    return taken[-1]


def _levels(tried: Tried, metric: Metric) -> pd.DataFrame:
    """Return the value of each arm."""
    found = tried.sums(metric)
    least, own = tried.inputs.context.least(metric), bring.own(tried.inputs).label
    rows = estimates.from_moments(
        metric, found.assign(period=own, level=found["arm"]).drop(columns=["arm", "units", "waiting"]),
        confidence=confidence_of(tried), min_n=least, definition=tried.inputs.context.definition_of(metric),
    )  # fmt: skip
    return results.conform(rows.assign(at=rows["level"], level="all"))


def leading(tried: Tried, metric: Metric, arm: str, *, relative: bool = False) -> pd.DataFrame:
    """Return the effect that the plan leads with: of an outcome that is looked at that of the last look.

    Limits hold at all looks together. Where one was crossed earlier, the last look is of more customers and less of the
    luck that ended the experiment.
    """
    if not (tried.plan.looks and tried.leads(metric)):
        return relative_once(tried, metric, arm) if relative else leading_once(tried, metric, arm)
    from cxlib.reports import trial_looks

    at_look(tried, metric)
    last = results.conform(trial_looks.at_looks(tried, arm, relative=relative).tail(1))
    said = last["note"].where(last["status"] != results.OK, "")
    return results.label(last.assign(note=said), segment="all", level="all", verdict="")


def leading_once(tried: Tried, metric: Metric, arm: str) -> pd.DataFrame:
    """Return the effect at one look: with the covariate of before where one was registered."""
    sides = tried.moments(metric)
    rows = plain(tried, metric, arm)
    if tried.plan.winsorise and metric.kind in ("mean", "ratio"):
        rows = _capped(tried, metric, arm)
    elif tried.plan.days_before:
        adjusted = with_covariate(tried, metric, sides[tried.control], sides[arm])
        rows = rows if adjusted["status"].iloc[0] != results.OK else adjusted
    return named(tried, metric, arm, rows, (sides[tried.control], sides[arm]))


def relative_once(tried: Tried, metric: Metric, arm: str) -> pd.DataFrame:
    """Return the effect as a share of the control's value; an NPS has none, for its zero is nobody's nothing.

    With the covariate of before where the effect that leads has it: two figures beside each other are of one estimate.
    """
    from cxlib.analysis import experiments

    sides = tried.moments(metric)
    pair = (sides[tried.control], sides[arm])
    how: dict[str, Any] = {"sequential": lasting(tried, metric), "confidence": confidence_of(tried)}
    found = experiments.effect(*pair, scale="relative", **how)
    capped = tried.plan.winsorise and metric.kind in ("mean", "ratio")
    if tried.plan.days_before and not capped:
        adjusted = experiments.cuped(*pair, scale="relative", **how)
        found = found if adjusted["status"].iloc[0] != results.OK else adjusted
    return named(tried, metric, arm, found, pair)


def plain(tried: Tried, metric: Metric, arm: str) -> pd.DataFrame:
    """Return the difference of two arms as reports make it for a metric of this kind, or valid at any time."""
    from cxlib.analysis import experiments

    control, treatment = (tried.moments(metric)[name] for name in (tried.control, arm))
    until = lasting(tried, metric)
    if until is None:
        return changes.difference(metric, control, treatment, confidence_of(tried))
    found = experiments.effect(control, treatment, sequential=until, confidence=confidence_of(tried))
    return estimates.scaled(found, unit_of(metric))


def with_covariate(tried: Tried, metric: Metric, control: Moments, treatment: Moments) -> pd.DataFrame:
    """Return the difference adjusted for the outcome's own value before exposure."""
    from cxlib.analysis import experiments

    found = experiments.cuped(control, treatment, sequential=lasting(tried, metric), confidence=confidence_of(tried))
    return estimates.scaled(found, unit_of(metric))


def lasting(tried: Tried, metric: Metric) -> float | None:
    """Return at how many units an interval that holds at any time is narrowest; None for one that holds once.

    It must be fixed before anything is seen: the planned units (else 10,000), times the share of them that had the
    outcome before the start.
    """
    if not (tried.plan.any_time and tried.leads(metric)):
        return None
    from cxlib.reports import trial_design

    planned = float(tried.plan.planned_units or _UNITS_UNPLANNED)
    try:
        return max(planned * trial_design.share_known(tried, metric), 2.0)
    except Undefined:
        return planned


def _of_quantile(tried: Tried, metric: Metric, arm: str) -> pd.DataFrame:
    """Return the difference of a quantile."""
    found = trial_quantiles.difference(tried, metric, arm, confidence_of(tried))
    return _labelled(tried, metric, arm, found, trial_quantiles.fewest(tried, metric, arm))


def named(
    tried: Tried, metric: Metric, arm: str, rows: pd.DataFrame, sides: tuple[Moments, Moments],
    segment: str = "all", level: str = "all",
) -> pd.DataFrame:  # fmt: skip
    """Return a difference with its names; suppressed where one arm has too few answers or customers."""
    n = [np.asarray(estimates.n_of(metric, side), dtype=float) for side in sides]
    fewest = min(float(np.fmin(own, side.clusters)) for own, side in zip(n, sides, strict=True))
    own_n = rows["n"].where(rows["status"] != results.OK, float(sum(n)))
    return _labelled(tried, metric, arm, results.conform(rows.assign(n=own_n)), fewest, segment, level)


def _labelled(
    tried: Tried, metric: Metric, arm: str, rows: pd.DataFrame, fewest: float, segment: str = "all", level: str = "all"
) -> pd.DataFrame:
    words = {"metric": metric.id, "period": bring.own(tried.inputs).label, "segment": segment, "level": level}
    words |= {"at": arm, "against": tried.control, "definition": tried.inputs.context.definition_of(metric)}
    return estimates.suppressed(
        results.label(rows, **words), np.full(len(rows), fewest), tried.inputs.context.least(metric)
    )


def _judged(tried: Tried, frame: pd.DataFrame) -> pd.DataFrame:
    """Give each difference its verdict: the primary outcome by itself, all others as one family; before the end none.

    Where looks were registered the p-value that is judged is the one that allows for them.
    """
    plan = tried.plan
    first = tried.metrics[plan.primary_metric]
    first = first.model_copy(update={"change_that_matters": plan.smallest_effect_that_matters})
    mine = frame["metric"] == first.id
    how: dict[str, Any] = {"alpha": plan.alpha, "confidence": confidence_of(tried)}
    own = results.conform(frame[mine])
    p_values = own["p_value"]
    own = own.assign(p_value=own["p_adjusted"].where(own["p_adjusted"].notna(), p_values))
    own = changes.judge(results.conform(own), [first], method="holm", **how)
    own = results.conform(own.assign(p_value=p_values))
    others = [_guarded(tried, metric) for name, metric in tried.metrics.items() if name != first.id]
    rest = changes.judge(results.conform(frame[~mine]), others, method=plan.adjust, **how)
    return _running(tried, results.concat([own, rest]), ended(tried, own))


def ended(tried: Tried, primary: pd.DataFrame) -> set[str]:
    """Return the treatments that may be decided on: all at the end; before it those that a look, or limits that hold at
    any time, have told enough of.
    """
    metric = tried.metrics[tried.plan.primary_metric]
    if tried.over or not tried.leads(metric):
        return set(tried.treatments) if tried.over else set()
    rows = primary[(primary["comparison"] == "difference") & (primary["status"] == results.OK)]
    told = rows["p_adjusted"] < tried.plan.alpha
    if tried.plan.any_time and metric.higher_is_better is not None:
        most = rows["conf_high"] if metric.higher_is_better else -rows["conf_low"]
        told |= most < tried.plan.smallest_effect_that_matters
    return set(rows.loc[told, "at"]) | _crossed(tried)


def _crossed(tried: Tried) -> set[str]:
    """Return the treatments for which a registered look has crossed its limit: the experiment ended there."""
    from cxlib.reports import trial_looks

    if not tried.plan.looks:
        return set()
    return {arm for arm in tried.treatments if "moved" in trial_looks.at_looks(tried, arm)["verdict"].tolist()}


def _running(tried: Tried, frame: pd.DataFrame, done: set[str]) -> pd.DataFrame:
    """Take verdicts back where the experiment goes on: what is not shown yet may still come, what is shown may go."""
    on = (frame["comparison"] == "difference") & ~frame["at"].isin(done) & (frame["status"] == results.OK)
    said = f"continues until {tried.plan.stop}: no verdict before the end"
    return results.conform(frame.assign(verdict=frame["verdict"].mask(on, ""), note=frame["note"].mask(on, said)))


def _guarded(tried: Tried, metric: Metric) -> Metric:
    """Return a guardrail with its margin as the change that matters: who accepts that much asks for no less."""
    return metric.model_copy(update={"change_that_matters": margin_of(tried, metric)})


def guarded(tried: Tried) -> pd.DataFrame:
    """Return whether each guardrail holds; see `Run.guardrails`."""

    def make() -> pd.DataFrame:
        return results.concat(
            _guard(tried, tried.metrics[name], arm) for name in tried.plan.guardrails for arm in tried.treatments
        )

    if not tried.plan.guardrails:
        return results.empty()
    return tried.answer("guardrails", tried.key(*tried.plan.guardrails), make)


def margin_of(tried: Tried, metric: Metric) -> float | None:
    """Return the harm that a guardrail puts up with: the plan's, else the change that matters of the metric."""
    return tried.plan.margins.get(metric.id, metric.change_that_matters)


def _guard(tried: Tried, metric: Metric, arm: str) -> pd.DataFrame:
    margin = margin_of(tried, metric)
    reasons = {
        "nobody has said how much harm would matter": margin is None,
        "nobody has said which way is better": metric.higher_is_better is None,
    }
    lacking = "; ".join(reason for reason, holds in reasons.items() if holds)
    if lacking or margin is None or metric.higher_is_better is None:
        found = results.frame(comparison="difference", status=results.UNDEFINED, note=lacking)
        return _labelled(tried, metric, arm, found, np.inf)
    try:
        tried.check_exposed()
        return _held(tried, metric, arm, margin)
    except Undefined as reason:
        found = results.frame(comparison="difference", status=results.UNDEFINED, note=str(reason))
        return _labelled(tried, metric, arm, found, np.inf)


def _held(tried: Tried, metric: Metric, arm: str, margin: float) -> pd.DataFrame:
    """Return whether harm as large as the margin is ruled out."""
    from cxlib.analysis import experiments

    if metric.kind == "quantile":
        found = trial_quantiles.held(tried, metric, arm, margin)
        return _labelled(tried, metric, arm, found, trial_quantiles.fewest(tried, metric, arm))
    sides = tried.moments(metric)
    pair = (sides[tried.control], sides[arm])
    found = experiments.non_inferior(
        *pair, margin, higher_is_better=bool(metric.higher_is_better), alpha=tried.plan.alpha, kind=metric.kind,
        scale=unit_of(metric) if metric.kind != "nps" else 1.0, unit=metric.unit,
    )  # fmt: skip
    return named(tried, metric, arm, found, pair)


def methods(tried: Tried) -> pd.DataFrame:
    """Return the primary outcome's effect by each method there is; see `Run.estimators`."""

    def make() -> pd.DataFrame:
        metric = tried.metrics[tried.plan.primary_metric]
        if metric.kind == "quantile":
            raise Undefined("a quantile has one method")
        tried.check_exposed()
        seen = at_look(tried, metric)
        return results.concat(row for arm in tried.treatments for row in _by_method(seen, metric, arm))

    return tried.answer("estimators", tried.key(tried.plan.primary_metric), make)


def _by_method(tried: Tried, metric: Metric, arm: str) -> list[pd.DataFrame]:
    from cxlib.analysis import experiments

    sides = tried.moments(metric)
    pair = (sides[tried.control], sides[arm])
    found = [plain(tried, metric, arm)]
    if tried.plan.days_before:
        found.append(with_covariate(tried, metric, *pair))
    cuts = [tried.inputs.context.segments[name] for name in tried.plan.covariates.segments]
    if cuts:
        strata = _strata(tried, metric, cuts)
        rows = experiments.post_stratified(
            strata[tried.control], strata[arm], sequential=lasting(tried, metric), confidence=confidence_of(tried)
        )
        found.append(estimates.scaled(rows, unit_of(metric)))
    if tried.plan.winsorise:
        found.append(_capped(tried, metric, arm))
    return [named(tried, metric, arm, rows, pair) for rows in found]


def _strata(tried: Tried, metric: Metric, cuts: Sequence[Segment]) -> dict[str, Moments]:
    """Return moments of arrays by arm, one element per level of the segments; levels are the same in all arms."""
    from cxlib.measure import exposed

    found = tried.sums(metric, cuts).sort_values(["arm", "level"], ignore_index=True)
    whole = exposed.to_moments(found)
    return {str(arm): whole[rows.index.to_numpy()] for arm, rows in found.groupby("arm")}


def _capped(tried: Tried, metric: Metric, arm: str) -> pd.DataFrame:
    """Return the difference of units' sums, each capped at a quantile of both arms."""
    from cxlib.analysis import experiments

    units = tried.units(metric)
    mine = units[units["arm"].isin([tried.control, arm]) & (units["x"] != 0)]
    capped = experiments.winsorised(mine["y"], tried.plan.winsorise or 1.0)
    treated, sums = (mine["arm"] == arm).to_numpy(), capped[0]
    sides = [Moments.of(sums[which], mine["x"].to_numpy()[which]) for which in (~treated, treated)]
    found = experiments.effect(*sides, sequential=lasting(tried, metric), confidence=confidence_of(tried))
    words = (found["note"] + "; " + capped.note).str.removeprefix("; ")
    return estimates.scaled(found.assign(note=words, method=found["method"] + ", winsorised"), unit_of(metric))
