"""What is registered before it is tried: the plan of an experiment, and a change that nobody randomised."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from cxlib.params.base import Day, Model, Name, Null, Share, Window


class Covariates(Model):
    """What was known of a unit before its exposure; it makes effects surer, and was named before anything was seen."""

    before: Window = ""  # each outcome's own value in so many days before exposure (CUPED)
    segments: tuple[Name, ...] = ()  # of customers, as at exposure (post-stratification)


class Traffic(Model):
    """What brings a unit into an experiment: its first row of a table that meets a condition."""

    table: Literal["orders", "interactions", "responses", "invitations"] = "orders"
    when: str = ""


class Experiment(Model):
    """`experiments/<id>.yml`: the registered plan.

    `variants` gives the share of units that each arm should get; the first is the control. Effects and margins are in
    the unit of their metric: 0.02 is two percentage points of a share.
    """

    id: str
    title: Name
    hypothesis: Name
    unit: Name = "customer_id"
    variants: dict[str, Share]
    start: Day
    stop: Day
    window: Window = ""  # what counts after a unit's exposure; without it, all until the end of the last day
    primary_metric: Name
    metrics: tuple[Name, ...] = ()  # further outcomes, told with their number allowed for
    guardrails: tuple[Name, ...] = ()
    margins: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)  # default: what matters of a metric
    smallest_effect_that_matters: float = Field(gt=0)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    power: float = Field(0.8, gt=0.5, lt=1)
    adjust: Literal["holm", "bh"] = "holm"
    planned_units: Annotated[int | None, Null] = Field(None, ge=2)  # of all arms together
    looks: tuple[Day, ...] = ()  # days on which results are looked at before the end
    any_time: bool = False  # whoever likes looks whenever they like: intervals hold at every look
    covariates: Covariates = Covariates()
    traffic: Traffic = Traffic()  # for planning: who would have been exposed in the past
    segments: tuple[Name, ...] = ()  # within which effects are compared
    winsorise: Annotated[float | None, Null] = Field(None, gt=0.5, lt=1)  # a unit's sum is capped at this quantile
    registered_on: Day
    owner: Name
    decision: str = ""

    @property
    def arms(self) -> tuple[str, ...]:
        """The variants, the control first."""
        return tuple(self.variants)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The metrics of the plan: the primary one, further ones, guardrails; each once."""
        return tuple(dict.fromkeys((self.primary_metric, *self.metrics, *self.guardrails)))

    @property
    def window_days(self) -> int:
        """Days after exposure that count; 0 where all count until the end."""
        return _days(self.window)

    @property
    def days_before(self) -> int:
        """Days before exposure that covariates are taken of; 0 for none."""
        return _days(self.covariates.before)

    @property
    def registered(self) -> bool:
        """Whether the plan was written before the first unit was exposed."""
        return self.registered_on <= self.start


class Change(Model):
    """One entry of `changes.yml`: what was changed for customers, when, where and for whom.

    `levels` says which levels of `segment` were given it, and since when; levels that are not named never were. Or
    `customers` says which customers were, one by one: a condition as in a segment's rule, as at the end of the period
    in which it began.
    """

    id: str
    title: Name
    date: Day
    what: Name
    where: str = ""
    touched: str = ""
    expected: str = ""
    metrics: tuple[Name, ...] = ()
    segment: str = ""
    levels: dict[str, Day] = Field(default_factory=dict)
    customers: str = ""
    months: int = Field(3, ge=1, le=60)  # after its last start, within which it should show
    expected_effect: dict[str, float] = Field(default_factory=dict)  # by metric, in its unit
    controls: tuple[Name, ...] = ()  # metrics that it cannot have touched
    owner: str = ""

    @property
    def starts(self) -> tuple[dt.date, ...]:
        """The days on which it began, in order: one, or one for each step of a roll-out."""
        return tuple(sorted({dt.date.fromisoformat(day) for day in (self.levels.values() or (self.date,))}))


class Register(Model):
    """`changes.yml`: the register of changes."""

    changes: dict[str, Change] = Field(default_factory=dict)


def _days(window: str) -> int:
    return int(window.split()[0]) if window else 0
