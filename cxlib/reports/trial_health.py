"""Whether an experiment can be believed, and whether a survey's effect could be who answered."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure import estimates
from cxlib.measure.moments import Moments
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Part
from cxlib.reports import trial_effects
from cxlib.reports.tried import Tried

READING = "reading"  # the metric of the row that says whether an effect could be who answered


def checked(tried: Tried) -> pd.DataFrame:
    """Return the health checks of an experiment; see `Run.health`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import experiments

        seen = tried.exposures()
        tried.check_exposed()
        counts = seen["arm"].value_counts()
        split = {arm: float(counts.get(arm, 0)) for arm in tried.plan.arms}
        looks = tried.plan.any_time or not tried.over
        parts = [
            experiments.sample_ratio(split, dict(tried.plan.variants), sequential=looks),
            experiments.exposure(seen, arms=tried.plan.arms, confidence=trial_effects.confidence_of(tried)),
        ]
        before: dict[str, dict[str, Moments]] = {}
        for name in tried.plan.outcomes:
            metric = tried.metrics[name]
            if metric.kind == "quantile":
                continue
            try:
                found = tried.sums(metric).set_index("arm")
            except Undefined:
                continue  # the table of effects says why
            if (found["units"] > 0).all():
                parts.append(_known(metric, found))
                before |= _before(tried, metric, found)
        if before:
            parts.append(experiments.balance(before, control=tried.control))
        return experiments.health(*parts)

    return tried.answer("health", tried.key(), make)


def _known(metric: Metric, found: pd.DataFrame) -> pd.DataFrame:
    """Compare of how many units the outcome is known.

    Where rows are what a customer does (answers, buys) an arm may change who has any: bounds and words tell of that.
    """
    from cxlib.analysis import experiments

    chosen = bool(metric.time) and not isinstance(metric.denominator, Part) and metric.denominator != "calendar_days"
    return experiments.missingness(
        found["units"].to_dict(), found["clusters"].to_dict(), metric=metric.id, title=metric.title, survey=chosen
    )


def _before(tried: Tried, metric: Metric, found: pd.DataFrame) -> dict[str, dict[str, Moments]]:
    """Return the moments of the outcome before exposure, by arm; nothing where no covariate was registered."""
    from cxlib.analysis import experiments

    if not tried.plan.days_before:
        return {}
    sides = tried.moments(metric)
    unit, least = trial_effects.unit_of(metric), tried.inputs.context.least(metric)
    if any(float(sides[arm].sums["x_pre"]) < least for arm in tried.plan.arms):
        return {}
    before = {arm: experiments.earlier(sides[arm], found.loc[arm, "units"]) for arm in tried.plan.arms}
    return {metric.id: {arm: _times(moments, unit) for arm, moments in before.items()}}


def _times(moments: Moments, unit: float) -> Moments:
    """Return moments whose y is in the unit of the metric."""
    sums = {name: value * unit if name == "y" else value for name, value in moments.sums.items()}
    products = {pair: value * unit ** pair.count("y") for pair, value in moments.products.items()}
    return Moments(moments.rows, moments.clusters, sums, products, moments.squares * unit**2)


def asked_of(tried: Tried) -> Metric | None:
    """Return the primary outcome where it is of answers, which an arm may change the givers of."""
    metric = tried.metrics[tried.plan.primary_metric]
    return metric if metric.table == "responses" and metric.kind in ("share", "mean", "nps") else None


def answered(tried: Tried) -> pd.DataFrame:
    """Return whether the effect on a survey could be who answered; see `Run.answering`."""
    metric = asked_of(tried)

    def make() -> pd.DataFrame:
        if metric is None:
            title = tried.metrics[tried.plan.primary_metric].title
            raise Undefined(f"{title} is not asked for: nobody can leave it unanswered")
        tried.check_exposed()
        return results.concat(part for arm in tried.treatments for part in _answered(tried, metric, arm))

    return tried.answer("answering", tried.key(), make)


def _answered(tried: Tried, metric: Metric, arm: str) -> list[pd.DataFrame]:
    """Return response by arm, the bounds, the reweighted effect and the reading of them all."""
    from cxlib.analysis import experiments

    cuts = [tried.inputs.context.segments[name] for name in tried.plan.covariates.segments]
    confidence, names = trial_effects.confidence_of(tried), [segment.id for segment in cuts]
    units = trial_effects.at_look(tried, metric).units(metric, cuts)
    lacking = [name for name in (tried.control, arm) if name not in set(units["arm"])]
    if lacking:
        words = {"metric": READING, "segment": "arm", "level": arm, "comparison": "test", "against": tried.control}
        return [results.frame(**words, status=results.UNDEFINED, note=f"nobody was exposed to {', '.join(lacking)}")]
    units = units[units["arm"].isin([tried.control, arm])].assign(answered=lambda frame: (frame["rows"] > 0) * 1.0)
    response = experiments.response_by_arm(units, control=tried.control, segments=names, confidence=confidence)
    if (response["n"] < tried.inputs.context.workspace.min_n).any():  # the note of the test names hidden levels
        response = results.conform(response.assign(note=response["note"].mask(response["comparison"] == "test", "")))
    own = experiments.said(units, (tried.control, arm), scale=trial_effects.unit_of(metric))
    within = units[names] if names else None
    bounds = experiments.lee_bounds(**own, by=within, confidence=confidence)
    bounds = _shown(tried, metric, units, results.conform(bounds.assign(metric=f"{metric.id}_bounds", segment=arm)))
    effect = trial_effects.leading(tried, metric, arm)
    weighted = _reweighted(tried, metric, arm, units, own, names)
    weighted = None if weighted is None else _shown(tried, metric, units, weighted)
    reading = experiments.answers_or_experience(
        effect, bounds, response, reweighted=weighted, metrics=tried.metrics, alpha=tried.plan.alpha,
    )  # fmt: skip
    parts = [response, bounds, results.label(effect, metric=f"{metric.id}_answered", segment=arm)]
    parts += [part for part in (weighted, _behaviour(tried, effect, arm)) if part is not None]
    return [*parts, results.label(reading, metric=READING, against=tried.control)]


def _shown(tried: Tried, metric: Metric, units: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Suppress what is made of the answers where one arm has fewer than may be shown."""
    fewest = float(units.groupby("arm")["answered"].sum().min())
    return estimates.suppressed(rows, np.full(len(rows), fewest), tried.inputs.context.least(metric))


def _reweighted(
    tried: Tried, metric: Metric, arm: str, units: pd.DataFrame, own: dict[str, object], names: list[str]
) -> pd.DataFrame | None:
    """Return the effect as if all units had answered alike within what was known before."""
    from cxlib.analysis import experiments

    if not names:
        return None
    found = experiments.inverse_probability(
        units.assign(outcome=own["outcome"]), names, control=tried.control,
        confidence=trial_effects.confidence_of(tried),
    )  # fmt: skip
    return results.label(found, metric=f"{metric.id}_reweighted", segment=arm)


def _behaviour(tried: Tried, effect: pd.DataFrame, arm: str) -> pd.DataFrame | None:
    """Return the effects on what everybody has, beside that on what was said."""
    from cxlib.analysis import experiments

    kinds = ("mean", "ratio", "rate", "share", "nps")
    outcomes = [tried.metrics[name] for name in tried.plan.outcomes]
    mine = [one for one in outcomes if one.table not in ("responses", "invitations") and one.kind in kinds]
    rows = []
    for metric in mine:
        try:
            rows.append(trial_effects.leading(tried, metric, arm))
        except Undefined:
            continue  # the table of effects says why
    known = results.concat(rows)
    known = results.conform(known[known["status"] == results.OK])
    if known.empty:
        return None
    return experiments.behavioural_guardrail(effect, known, metrics=tried.metrics)
