"""Result frames of an experiment and of registered changes, as a run hands them to `show`, for its tests."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cxlib import results
from cxlib.params.models import Change, Experiment
from tests.show_frames import LAST, METRICS

UNITS = {"nps": 6.0, "csat_top2": 0.02, "ces_mean": 0.1, "churn": 0.004, "wait_p50": 30.0, "aov": 2.0,
         "complaint_rate": 2.0, "items": 0.08}  # fmt: skip
"""A metric of each unit, and an effect of it that is worth drawing."""


def plan(**changed: Any) -> Experiment:
    """Return a registered plan of two arms; `changed` overrides fields."""
    fields: dict[str, Any] = {
        "id": "new_page_test", "title": "New page", "hypothesis": "A clearer page pleases.",
        "variants": {"control": 0.5, "new_page": 0.5}, "start": "2026-04-01", "stop": "2026-06-30",
        "primary_metric": "csat_top2", "metrics": ("nps",), "guardrails": ("complaint_rate",),
        "margins": {"complaint_rate": 3.0}, "smallest_effect_that_matters": 0.02, "registered_on": "2026-03-01",
        "owner": "Head of Shop", "decision": "Roll out if satisfaction rises.",
    }  # fmt: skip
    return Experiment(**{**fields, **changed})


def level(name: str, arm: str, estimate: float, half: float, **more: Any) -> pd.DataFrame:
    """Return the value of an outcome in one arm."""
    return _rows(name, estimate, half, at=arm, **more)


def difference(
    name: str, arm: str, estimate: float, half: float, verdict: str = "not shown", **more: Any
) -> pd.DataFrame:
    """Return how far an arm is from the control."""
    told = {"comparison": "difference", "against": "control", "verdict": verdict, "p_value": 0.012, **more}
    return _rows(name, estimate, half, at=arm, **told)


def _rows(name: str, estimate: float, half: float, **more: Any) -> pd.DataFrame:
    given = {"conf_low": estimate - half, "conf_high": estimate + half, "n": 900.0, "method": "Welch", **more}
    return results.frame(metric=name, period=LAST, estimate=estimate, **given)


def missing(frame: pd.DataFrame, status: str, note: str = "") -> pd.DataFrame:
    """Return the frame without any number."""
    return results.conform(frame.assign(status=status, note=note, verdict=""))


def effects(verdicts: dict[str, str] | None = None, arms: tuple[str, ...] = ("new_page",)) -> pd.DataFrame:
    """Return outcomes of every unit in all arms; by default only the one that decides moved."""
    told, parts = {"csat_top2": "moved", **(verdicts or {})}, []
    for name, size in UNITS.items():
        parts += [level(name, arm, 3 * size, size / 4) for arm in ("control", *arms)]
        verdict = told.get(name, "not shown")
        half = size / 2 if verdict == "moved" else 2 * size
        parts += [difference(name, arm, size, half, verdict) for arm in arms]
        parts += [difference(name, arm, 0.1, 0.05, "", comparison="relative") for arm in arms]
    return results.concat(parts)


def change(name: str = "new_desk", **changed: Any) -> Change:
    """Return one entry of the register."""
    fields: dict[str, Any] = {
        "id": name, "title": "New desk", "date": "2026-02-01", "what": "A desk was opened.", "where": "Everywhere",
        "expected": "Fewer waits.", "metrics": ("csat_top2",), "segment": "region",
        "levels": {"North": "2026-02-01", "South": "2026-07-01"}, "expected_effect": {"csat_top2": 0.05},
    }  # fmt: skip
    return Change(**{**fields, **changed})


def changed(
    name: str = "new_desk", metric: str = "csat_top2", *, estimate: float = 0.08, half: float = 0.03,
    verdict: str = "moved", grade: str = "fair",
) -> pd.DataFrame:  # fmt: skip
    """Return what a run knows of one change and metric: two designs, checks, evidence."""
    common: dict[str, Any] = {"metric": metric, "period": LAST, "level": name}
    effect = {"comparison": "difference", "segment": "effect", "n": 900.0, **common}
    test = {"comparison": "test", **common}
    return results.concat([
        results.frame(at="staggered", estimate=estimate, conf_low=estimate - half, conf_high=estimate + half,
                      verdict=verdict, **effect),
        results.frame(at="before_after", estimate=2 * estimate, conf_low=estimate, conf_high=3 * estimate, **effect),
        results.frame(at="staggered", segment="design", estimate=1.0, note="chosen: groups started apart", **test),
        results.frame(at="did", segment="design", estimate=0.0, note="not applicable: groups started apart", **test),
        results.frame(at="pre_trend all", segment="check", estimate=0.6, p_value=0.88, **test,
                      note="no drift apart before the start was found, which proves nothing. More words."),
        results.frame(at=grade, segment="evidence", estimate=1.5, **test,
                      note=f"{grade.capitalize()} (by months). Against it: 4 groups only; no placebo. For it: a lot."),
        results.frame(at="passes", segment="evidence", estimate=0.0, note="a lot", **test),
    ])  # fmt: skip


def since_start(
    periods: range = range(-3, 4), name: str = "new_desk", metric: str = "csat_top2", effect: float = 0.08
) -> pd.DataFrame:
    """Return effects by months since the start: none before it."""
    return results.concat(
        difference(metric, str(at), effect if at >= 0 else 0.0, 0.03, "", level=name, segment="since start")
        for at in periods
    )


TITLES = {name: METRICS[name].title for name in METRICS}
