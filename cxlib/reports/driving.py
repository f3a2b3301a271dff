"""What drives a score: the answers of a model brought from the store, and what each analysis makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure import changes
from cxlib.measure.plans import Undefined
from cxlib.params.models import DriverModel, Experiment
from cxlib.periods import Period
from cxlib.reports import bring, trial_health
from cxlib.reports.inputs import Inputs
from cxlib.reports.tried import Tried

if TYPE_CHECKING:
    from cxlib.analysis.drivers.fitted import DriverFit


def driven(inputs: Inputs, model: DriverModel, months: int, method: str, seed: int) -> pd.DataFrame:
    """Return importance, ranks, effects in points and performance of a model's drivers; see `Run.drivers`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import drivers

        answers, names = _answers(inputs, model, months), _names(inputs, model)
        fit = _fitted(inputs, model, months, method, seed)
        outcome, points = _scored(inputs, model, answers)
        effects = drivers.effects(answers, outcome, names, points=points, cluster=bring.CUSTOMER, **_how(inputs, seed))
        found = [fit.importance(), fit.ranks(), fit.explained(), effects, _performance(inputs, model, answers)]
        return _about(results.concat(found), model)

    return inputs.answer("drivers", [*_key(inputs, model), str(months), method, str(seed)], make)


def evidence(inputs: Inputs, model: DriverModel, months: int, seed: int) -> pd.DataFrame:
    """Return stated, derived and experimental importance side by side; see `Run.driver_evidence`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import drivers

        answers, fit = _answers(inputs, model, months), _fitted(inputs, model, months, "lmg", seed)
        said, tried = _stated(inputs, model, answers), _tried(inputs, model)
        if said is None and tried is None:
            raise Undefined("no driver of this model has a theme that comments name, or an experiment")
        found = drivers.compare(said, fit, tried, confidence=inputs.context.workspace.confidence)
        return _about(found, model)

    parts = [*_key(inputs, model), str(months), str(seed), inputs.context.codebook.model_dump_json()]
    parts += [plan.model_dump_json() for plan in _plans(inputs, model).values()]
    return inputs.answer("driver_evidence", parts, make)


def caused(inputs: Inputs, model: DriverModel, months: int, against: Period, seed: int) -> pd.DataFrame:
    """Return why the outcome changed, leaf by leaf; see `Run.root_causes`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import drivers

        now, before = bring.reach(bring.own(inputs), months), bring.reach(against, months)
        both = bring.answers(inputs, model, sorted({*before, *now}), comments=True).rename(columns={"y": model.title})
        labels = {period.label for period in now}, {period.label for period in before}
        after, earlier = (both[both["period"].isin(names)] for names in labels)
        about = inputs.context
        leaves = {driver.title: driver.leaf for driver in model.drivers.values()}
        leaves |= {about.segments[name].title: "mix" for name in model.segments}
        found = drivers.root_causes(
            earlier, after, model.title, _names(inputs, model), leaves, cluster=bring.CUSTOMER,
            labels=(against.label, bring.own(inputs).label), **_how(inputs, seed),
        )  # fmt: skip
        return _about(found.assign(at=f"{months} months"), model)

    parts = [*_key(inputs, model), str(months), against.label, str(seed)]
    return inputs.answer("root_causes", parts, make)


def _answers(inputs: Inputs, model: DriverModel, months: int) -> pd.DataFrame:
    """Return the answers of some months with their words, the outcome under its title: notes name it."""
    periods = bring.reach(bring.own(inputs), months)
    return bring.answers(inputs, model, periods, comments=True).rename(columns={"y": model.title})


def _fitted(inputs: Inputs, model: DriverModel, months: int, method: str, seed: int) -> DriverFit:
    """Return the fitted drivers, of which several answers are made."""
    from cxlib.analysis import drivers

    key = " ".join([*_key(inputs, model), "fitted", str(months), method, str(seed)])
    answers, names, how = _answers(inputs, model, months), _names(inputs, model), _how(inputs, seed)
    return inputs.once(
        key, lambda: drivers.fit(answers, model.title, names, method=method, cluster=bring.CUSTOMER, **how)
    )


def _about(found: pd.DataFrame, model: DriverModel) -> pd.DataFrame:
    """Name the outcome by its id where rows are of it; what is explained keeps the model's title."""
    names = {model.title: model.outcome, bring.SCORE: model.outcome}
    return results.conform(found.assign(metric=found["metric"].replace(names)))


def _stated(inputs: Inputs, model: DriverModel, answers: pd.DataFrame) -> pd.DataFrame | None:
    """Return how many comments name each driver's theme; None where no driver has one, or nobody writes."""
    from cxlib.analysis import drivers, voice

    named = {driver.title: driver.theme for driver in model.drivers.values() if driver.theme}
    if not named or "comment" not in answers or not answers["comment"].notna().any():
        return None
    themes = {name: inputs.context.themes[name] for name in dict.fromkeys(named.values())}
    written = answers[answers["comment"].notna()]
    book = inputs.context.codebook.model_copy(update={"themes": themes})
    said = voice.code(written["comment"], book).assign(**{bring.CUSTOMER: written[bring.CUSTOMER]})
    return drivers.stated(said, named, kind="mentions", cluster=bring.CUSTOMER, **bring.how(inputs))


def _tried(inputs: Inputs, model: DriverModel) -> pd.DataFrame | None:
    """Return what experiments that are over by the end of the period did to the outcome, by the driver they changed."""
    parts = []
    for title, plan in _plans(inputs, model).items():
        if Tried(inputs, plan).over and "exposures" in inputs.store().tables:
            effect = _effect(inputs, model, plan)
            parts += [] if effect is None else [results.label(effect, level=title)]
    return results.concat(parts) if parts else None


def _plans(inputs: Inputs, model: DriverModel) -> dict[str, Experiment]:
    """Return the experiments of a model's drivers, by the driver's title."""
    known = inputs.context.experiments
    return {driver.title: known[driver.experiment] for driver in model.drivers.values() if driver.experiment in known}


def _effect(inputs: Inputs, model: DriverModel, plan: Experiment) -> pd.DataFrame | None:
    """Return the size of the difference between the last arm and the control; None where it may not be believed."""
    from cxlib.analysis.experiments.health import FAILS, gravity

    tried, own = Tried(inputs, plan), inputs.context.metrics[model.outcome]
    if gravity(trial_health.checked(tried)) == FAILS:
        return None
    kept = " and ".join(f"({text})" for text in (own.filter, model.filter) if text)
    metric = own.model_copy(update={"filter": kept})
    sides = tried.moments(metric)
    control, treatment = sides[tried.control], sides[plan.arms[-1]]
    if min(float(side.clusters) for side in (control, treatment)) < max(inputs.context.least(metric), 2):
        return None
    found = changes.difference(metric, control, treatment, inputs.context.workspace.confidence)
    return results.label(found, against=tried.control, note=f"{plan.title}, {plan.start} to {plan.stop}")


def _performance(inputs: Inputs, model: DriverModel, answers: pd.DataFrame) -> pd.DataFrame:
    """Return how well each driver goes, from 0 to 100, of those whose ends are declared."""
    from cxlib.analysis import drivers

    ends = {
        driver.title: (driver.worst, driver.best)
        for driver in model.drivers.values()
        if driver.worst is not None and driver.best is not None
    }
    if not ends:
        return results.empty()
    return drivers.performance(answers, list(ends), ends=ends, cluster=bring.CUSTOMER, **bring.how(inputs))


def _scored(inputs: Inputs, model: DriverModel, answers: pd.DataFrame) -> tuple[str, str]:
    """Return the column that an ordered logit explains, and what its levels are worth."""
    metric = inputs.context.metrics[model.outcome]
    return (bring.SCORE, "nps") if metric.kind == "nps" and bring.SCORE in answers else (model.title, "score")


def _names(inputs: Inputs, model: DriverModel) -> list[str]:
    """Return the columns of a model's drivers, the customers' mix last."""
    titles = [driver.title for driver in model.drivers.values()]
    return [*titles, *(inputs.context.segments[name].title for name in model.segments)]


def _how(inputs: Inputs, seed: int) -> dict[str, Any]:
    return {**bring.how(inputs), "rng": np.random.default_rng(seed)}


def _key(inputs: Inputs, model: DriverModel) -> list[str]:
    """Return all that makes another answer beside the words of the question."""
    about = inputs.context
    outcome = about.definition_of(about.metrics[model.outcome])
    segments = [about.segments[name].model_dump_json() for name in model.segments]
    return [model.model_dump_json(), outcome, *bring.limits(inputs), *segments]
