"""For whom an experiment worked: the primary outcome's effect within the registered segments."""

from __future__ import annotations

import pandas as pd

from cxlib import results
from cxlib.measure import changes, estimates
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Segment
from cxlib.reports import trial_effects
from cxlib.reports.tried import Tried

SHRUNK = "_shrunk"  # behind the metric of effects that luck is taken out of


def within(tried: Tried) -> pd.DataFrame:
    """Return the effect by level of each registered segment; see `Run.subgroups`."""

    def make() -> pd.DataFrame:
        metric = tried.metrics[tried.plan.primary_metric]
        if not tried.plan.segments:
            raise Undefined("no segments are registered: what is looked for afterwards is always found")
        if metric.kind == "quantile":
            raise Undefined(f"{metric.title} is a quantile: groups of it cannot be compared")
        cuts = [tried.inputs.context.segments[name] for name in tried.plan.segments]
        tried.check_exposed()
        seen = trial_effects.at_look(tried, metric)
        return results.concat(_by(seen, metric, arm, cut) for arm in tried.treatments for cut in cuts)

    return tried.answer("subgroups", tried.key(tried.plan.primary_metric), make)


def _by(tried: Tried, metric: Metric, arm: str, cut: Segment) -> pd.DataFrame:
    """Return the differences by level, those that luck is taken out of, and whether they differ at all."""
    from cxlib.analysis import experiments

    rows = by_level(tried, metric, arm, cut)
    found = experiments.subgroups(
        rows, title=cut.title, unit=metric.unit, confidence=trial_effects.confidence_of(tried), alpha=tried.plan.alpha
    )
    shrunk = (found["metric"] == metric.id) & (found["against"] == tried.control)
    names = {"metric": found["metric"].mask(shrunk, metric.id + SHRUNK), "at": arm}
    return results.concat([rows, results.conform(found.assign(**names))])


def by_level(tried: Tried, metric: Metric, arm: str, cut: Segment) -> pd.DataFrame:
    """Return the plain difference within each level that has customers in both arms; small ones are suppressed."""
    from cxlib.measure import exposed

    found = tried.sums(metric, [cut])
    sides = [found[found["arm"] == name].set_index("level").sort_index() for name in (tried.control, arm)]
    levels = sides[0].index.intersection(sides[1].index)
    control, treatment = (exposed.to_moments(side.loc[levels].reset_index()) for side in sides)
    rows = changes.difference(metric, control, treatment, trial_effects.confidence_of(tried))
    own = {"metric": metric.id, "period": tried.inputs.context.period, "segment": cut.id, "at": arm}
    own |= {"against": tried.control, "definition": tried.inputs.context.definition_of(metric)}
    people = pd.concat([side.loc[levels, "clusters"] for side in sides], axis=1).min(axis=1).to_numpy(dtype=float)
    rows = results.conform(rows.assign(level=list(levels), **own))
    return estimates.suppressed(rows, people, tried.inputs.context.least(metric))
