"""`watch.yml`: what is looked at every day, between reports."""

from __future__ import annotations

from pydantic import Field

from cxlib.params.base import Model, Name


class Signal(Model):
    """One thing that may go wrong: of the rows of `among` those that are `bad`, day by day."""

    id: str
    title: Name
    table: Name
    time: Name
    among: str = ""  # the rows that could go wrong; default: all
    bad: Name  # the condition of those that did
    matters: float = Field(0.0, ge=0, lt=1)  # a rise of the share by less is no change
    owner: Name


class Watch(Model):
    """`watch.yml`: the signals, how often all of them together may be wrong, and what a day is held against."""

    version: int = Field(1, ge=1)
    years_between_false_alarms: float = Field(20.0, gt=0)
    baseline_days: int = Field(180, ge=21)
    gap_days: int = Field(7, ge=0)
    signals: dict[str, Signal] = Field(default_factory=dict)
