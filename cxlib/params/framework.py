"""What the measurement framework leaves open: goals without a KPI, KPIs without source or owner, stages without goals.

A name that does not exist is a fault of the file (`references`); what is merely missing is a gap. Nothing is wrong with
a gap, but somebody has to close it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from cxlib.params.faults import Fault, key_of
from cxlib.params.models import Goal, Params, Report, Stage

STAGES: tuple[str, ...] = get_args(Stage)
NOBODY = "nobody measures this"


class Gap(NamedTuple):
    """One thing that the framework leaves open.

    Attributes
    ----------
    path
        Of the key in `framework.yml`; empty for the file as a whole.
    message
        What is open, in plain words.
    state
        `gap` is to be closed, `info` is worth knowing.
    stage
        Of the journey, where it is one.
    file, line
        Where it is open; empty and 0 where nobody looked.
    """

    path: tuple[str | int, ...]
    message: str
    state: Literal["gap", "info"] = "gap"
    stage: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return str(Fault(self.file, key_of(self.path), "", self.message, self.line))


def gaps(params: Params) -> list[Gap]:
    """Return all that the framework leaves open, gaps before what is worth knowing.

    Parameters
    ----------
    params
        What the company decided, checked.
    """
    if not params.framework:
        return []
    goals = params.framework
    return [*of_goals(goals), *_unwatched(goals), *_two_owners(goals), *_in_no_goal(goals, params.reports)]


def of_goals(goals: Iterable[Goal]) -> list[Gap]:
    """Return what single goals lack."""
    found = []
    for place, goal in enumerate(goals):
        if not goal.kpi:
            message = f"'{goal.goal}' has no KPI: {NOBODY}"
            found.append(Gap(("goals", place), message, stage=goal.stage))
            continue
        for key, words in (("source", "has no source"), ("owner", "has no owner")):
            if not getattr(goal, key):
                found.append(Gap(("goals", place), f"'{goal.kpi}' {words}", stage=goal.stage))
    return found


def unwatched(goals: Iterable[Goal]) -> list[str]:
    """Return the stages of the journey of which no goal has a KPI, in their order."""
    watched = {goal.stage for goal in goals if goal.kpi}
    return [stage for stage in STAGES if stage not in watched]


def _unwatched(goals: Sequence[Goal]) -> Iterator[Gap]:
    for stage in unwatched(goals):
        yield Gap((), f"the stage {stage} has no goal with a KPI: {NOBODY}", stage=stage)


def _two_owners(goals: Sequence[Goal]) -> Iterator[Gap]:
    """Name KPIs that two people answer for: then nobody does."""
    first: dict[str, Goal] = {}
    for place, goal in enumerate(goals):
        other = first.setdefault(goal.kpi, goal) if goal.kpi and goal.owner else goal
        if other.owner != goal.owner:
            message = f"'{goal.kpi}' is answered for by {other.owner} and by {goal.owner}: keep one"
            yield Gap(("goals", place, "owner"), message, stage=goal.stage)


def _in_no_goal(goals: Sequence[Goal], reports: Mapping[str, Report]) -> Iterator[Gap]:
    """Name the metrics that a report shows and no goal wants."""
    wanted = {goal.kpi for goal in goals}
    for name, report in reports.items():
        loose = [metric for metric in report.metrics if metric not in wanted]
        if loose:
            count = "one metric" if len(loose) == 1 else f"{len(loose)} metrics"
            yield Gap((), f"the report {name} shows {count} of no goal: {', '.join(loose)}", "info")
