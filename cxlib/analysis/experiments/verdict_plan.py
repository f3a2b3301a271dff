"""What was registered before launch, as far as the verdict needs it, and what the verdict is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError

SHIP, DO_NOT_SHIP, NO_CALL = "ship", "do not ship", "no call"
CALLS = (SHIP, DO_NOT_SHIP, NO_CALL)
DECISION = "decision"  # the metric of the rows that hold calls

ALTERNATIVES = ("two-sided", "greater", "less")


@dataclass(frozen=True)
class Outcome:
    """One metric of a plan.

    Parameters
    ----------
    metric
        Its id, as in the rows.
    title
        What people call it; the id where it is empty.
    unit
        For sentences, see `amounts.amount`.
    higher_is_better
        None where nobody has said: then nothing can be decided by it.
    margin
        Of a guardrail: the largest harm put up with, above 0 (shares 0 to 1); None where none was registered.
    """

    metric: str
    title: str = ""
    unit: str = ""
    higher_is_better: bool | None = True
    margin: float | None = None

    @property
    def name(self) -> str:
        """The title, or the id."""
        return self.title or self.metric


@dataclass(frozen=True)
class Plan:
    """The registered plan.

    Parameters
    ----------
    primary
        The one metric that decides.
    smallest_effect_that_matters
        In its unit, above 0.
    start, stop
        First and last day of exposure.
    registered_on
        The day the plan was written down; None where nobody knows.
    alpha
        The chance that an arm without any effect moves the primary metric.
    alternative
        As in `effect`.
    arms
        The treatment arms; those of the rows where it is empty.
    guardrails
        Metrics that must not get worse.
    looks
        How often the data may be looked at, the last time included.
    units
        What was randomised, in words.
    decision
        What was promised to be done.
    file_newer_than_start
        Whether the plan's file was changed after the start.
    """

    primary: Outcome
    smallest_effect_that_matters: float
    start: dt.date
    stop: dt.date
    registered_on: dt.date | None
    alpha: float = 0.05
    alternative: str = "two-sided"
    arms: tuple[str, ...] = ()
    guardrails: tuple[Outcome, ...] = ()
    looks: int = 1
    units: str = "customers"
    decision: str = ""
    file_newer_than_start: bool = False

    def __post_init__(self) -> None:
        """Raise `UsageError` with everything that is wrong."""
        faults = []
        if not 0 < self.smallest_effect_that_matters < float("inf"):
            faults.append(f"smallest effect that matters {self.smallest_effect_that_matters!r} is not above 0")
        if not 0 < self.alpha < 0.5:
            faults.append(f"alpha {self.alpha!r} is not between 0 and 0.5")
        if self.alternative not in ALTERNATIVES:
            faults.append(f"alternative '{self.alternative}' is none of {', '.join(ALTERNATIVES)}")
        if self.stop < self.start:
            faults.append(f"stop {self.stop} is before the start, {self.start}")
        faults += [
            f"margin {one.margin!r} of {one.name} is not above 0"
            for one in self.guardrails
            if one.margin is not None and not 0 < one.margin < float("inf")
        ]
        if faults:
            raise UsageError("the plan: " + "; ".join(faults), hint="Mend the experiment's file.")

    @property
    def registered(self) -> bool:
        """Whether it was written down no later than the day of the start, and not changed since."""
        return self.registered_on is not None and self.registered_on <= self.start and not self.file_newer_than_start


@dataclass(frozen=True)
class ArmDecision:
    """The call on one treatment arm: `ship`, `do not ship` or `no call`, in one line that begins with it, and why."""

    arm: str
    call: str
    headline: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Decision:
    """The call on an experiment.

    Parameters
    ----------
    arms
        The call on each treatment arm, sorted by name; at most one of them is `ship`.
    frame
        A result row for each, from which `read_decision` has the calls back: metric `decision`, `comparison =
        "test"`, `at` the arm, estimate, interval, p-values and n those of the primary metric, `note` the headline and
        the reasons, one to a line.
    """

    arms: tuple[ArmDecision, ...]
    frame: pd.DataFrame = field(repr=False)

    @property
    def call(self) -> str:
        """`ship` where one arm ships, `do not ship` where none may, else `no call`."""
        calls = {one.call for one in self.arms}
        return SHIP if SHIP in calls else NO_CALL if NO_CALL in calls or not calls else DO_NOT_SHIP

    @property
    def arm(self) -> str:
        """The arm to ship; empty where none is."""
        return next((one.arm for one in self.arms if one.call == SHIP), "")

    @property
    def calls(self) -> dict[str, str]:
        """The call on each arm."""
        return {one.arm: one.call for one in self.arms}

    @property
    def headline(self) -> str:
        """The line that leads the page: of the arm that ships, else of the first with the call on the whole."""
        return self._leading.headline

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences, the strongest first, of the arm that leads."""
        return self._leading.reasons

    @property
    def _leading(self) -> ArmDecision:
        return next(one for one in self.arms if one.call == self.call)


def note_of(one: ArmDecision) -> str:
    """Return the headline, which begins with the call, and the reasons as the note of a row, one to a line."""
    return "\n".join(" ".join(line.split()) for line in (one.headline, *one.reasons))


def read_decision(table: pd.DataFrame) -> Decision:
    """Return the decision that the rows of a frozen frame hold.

    Parameters
    ----------
    table
        A result frame; rows of other metrics than `decision` are passed over.

    Returns
    -------
    Decision
        As `decide` returned it. A row that disclosure control has hidden is `no call`.

    Raises
    ------
    UsageError
        Where there is no such row, or one whose note tells no call.
    """
    rows = results.conform(table[table["metric"] == DECISION]).sort_values("at", ignore_index=True)
    if rows.empty:
        raise UsageError("the frame holds no decision", hint="Freeze the frame of decide with the other rows.")
    columns = (rows["at"], rows["note"], rows["status"])
    return Decision(tuple(_read(*one) for one in zip(*columns, strict=True)), rows)


def _read(arm: str, note: str, status: str) -> ArmDecision:
    """Return the call that a note tells."""
    headline, *reasons = note.split("\n")
    call = next((call for call in CALLS if headline.startswith(call.capitalize())), "")
    if call:
        return ArmDecision(arm, call, headline, tuple(reasons))
    if status == results.SUPPRESSED:
        return ArmDecision(arm, NO_CALL, note)
    raise UsageError(f"the decision on '{arm}' tells no call: {headline[:60]!r}", hint="Its note was changed.")


def listed(names: Iterable[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
