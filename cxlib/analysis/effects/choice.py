"""Which design fits a change that nobody randomised: stated rules, in order, each with its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.errors import UsageError

STAGGERED, DID, SYNTHETIC, COUNTERFACTUAL, INTERRUPTED, MATCHING, BEFORE_AFTER = DESIGNS = (
    "staggered", "did", "synthetic", "counterfactual", "interrupted", "matching", "before_after",
)  # fmt: skip
CHOSEN, SHOWN, NOT_APPLICABLE = "chosen", "shown", "not applicable"
TITLES = {
    STAGGERED: "roll-out against groups not yet touched",
    DID: "difference-in-differences",
    SYNTHETIC: "synthetic control",
    COUNTERFACTUAL: "forecast from what was not touched",
    INTERRUPTED: "interrupted series",
    MATCHING: "comparison with customers alike",
    BEFORE_AFTER: "before and after alone",
}
# What is shown beside a design and is none by itself: never chosen.
NEIGHBOURS, AS_THEY_ARE = "neighbours", "as_they_are"
BESIDE = {NEIGHBOURS: "nearest customers alike", AS_THEY_ARE: "touched against the others as they are"}
LEAST_CUSTOMERS = 30  # in each group, below which its means are noise
FEW_TOUCHED, SEVERAL_DONORS, LONG = 3, 5, 12
LEAST_BEFORE, ENOUGH_BEFORE, LEAST_AFTER = 12, 24, 3
_AVERAGE = "average effect"  # of an interrupted series, the third of its rows
_MANY = 1_000_000_000


@dataclass(frozen=True)
class Situation:
    """What is known of a change before any effect is looked at.

    Parameters
    ----------
    starts
        Touched group -> when it was touched: days, months as text, numbers; all written alike.
    untouched
        How many groups have not been touched by the end of the window.
    levels
        True: groups are levels that customers belong to whatever they do (regions). False: customers were touched one
        by one, by their own choice or somebody's.
    before, after
        Periods seen before the first start, and from it on.
    least
        Customers of the smallest group; with `levels=False` of the touched or the untouched, whichever are fewer.
    controls
        Titles of metrics that the change cannot touch and that share what else moves the outcome.
    covariates
        What is known of customers from before the change.
    """

    starts: Mapping[str, Any] = field(default_factory=dict)
    untouched: int = 0
    levels: bool = True
    before: int = 0
    after: int = 0
    least: int = 0
    controls: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("untouched", "before", "after", "least"):
            doors.whole(name, getattr(self, name), 0, _MANY)
        if not self.starts:
            raise UsageError("nobody was touched", hint="Give starts, each touched group with its start.")
        for name in ("controls", "covariates"):
            object.__setattr__(self, name, doors.names(getattr(self, name)))
        object.__setattr__(self, "starts", dict(self.starts))
        try:
            sorted(set(self.starts.values()))
        except TypeError as reason:
            raise UsageError(f"the starts cannot be put in order: {reason}", hint="Write all of them alike.") from None

    @property
    def touched(self) -> int:
        """The number of touched groups."""
        return len(self.starts)

    @property
    def dates(self) -> int:
        """The number of different starts."""
        return len(set(self.starts.values()))


@dataclass(frozen=True)
class Choice:
    """The design that fits, and what speaks against the others.

    Parameters
    ----------
    design
        One of `DESIGNS`; empty where none applies.
    why
        One sentence.
    others
        For each other design its id, whether it applies, and why or why not.
    """

    design: str
    why: str
    others: tuple[tuple[str, bool, str], ...]

    @property
    def frame(self) -> pd.DataFrame:
        """Test rows, metric `design`: level = design, at = `chosen`, `shown` or `not applicable`, note = why."""
        rows = [(self.design, CHOSEN, self.why)] * bool(self.design)
        rows += [(name, SHOWN if fits else NOT_APPLICABLE, why) for name, fits, why in self.others]
        levels, at, notes = zip(*rows, strict=True)
        return results.frame(
            metric="design", comparison="test", level=list(levels), at=list(at), note=list(notes),
            method="stated rules, in order", estimate=[float(place != NOT_APPLICABLE) for place in at],
        )  # fmt: skip


def choose(situation: Situation) -> Choice:
    """Choose the design for a change, by rules that know nothing of what it found.

    Parameters
    ----------
    situation
        What is known of the change.

    Returns
    -------
    Choice
        The first of these that applies; the others that apply are shown beside it:

        1. `staggered`: groups of customers with several starts: effects by start and period (Callaway and Sant'Anna
           2021), compared with groups never or not yet touched.
        2. `did`: one start, some groups untouched: difference-in-differences.
        3. `synthetic`: 1 to 3 groups touched at one time, at least 5 not, at least 12 periods before, 3 after
           (Abadie 2021, J. Econ. Lit. 59:391: long before, donors alike). Needs series, not customers.
        4. `counterfactual`: one start, all are touched (or those who are, followed alone), and something that cannot be
           touched moves with the outcome; at least 12 periods before.
        5. `interrupted`: the same, with nothing to compare with; at least 12 periods before, better 24 (Bernal, Cummins
           and Gasparrini 2017, Int. J. Epidemiol. 46:348: both sides and seasons seen), 3 after.
        6. `matching`: customers were touched one by one, and what they were like before is known.
        7. `before_after` is shown and never chosen: it takes for the effect all else that changed.

        Groups of customers need 30 in the smallest for 1, 2 and 6.
    """
    found = [(name, *rule(situation)) for name, rule in _RULES.items()]
    design = next((name for name, fits, _ in found if fits), "")
    why = next((told for name, _, told in found if name == design), "")
    others = tuple(row for row in found if row[0] != design)
    naive = "takes all that changed meanwhile for the effect; shown beside the others, never chosen"
    seen = situation.before > 0 and situation.after > 0
    others += ((BEFORE_AFTER, seen, naive if seen else _unseen(situation)),)
    return Choice(design, why or "No design applies: nothing tells the effect from what else changed", others)


def effect_of(table: Any, what: str) -> pd.Series:
    """Return the row of a design's effect: the first `difference`, or the average one where a level change comes first.

    Raises `UsageError` where there is none.
    """
    rows = doors.frame(table, what)
    rows = rows[rows["comparison"] == "difference"]
    if rows.empty:
        raise UsageError(f"{what}: the frame holds no difference", hint="Give what the design returned, whole.")
    average = rows[rows["at"] == _AVERAGE]
    return (average if len(average) else rows).iloc[0]


def _unseen(given: Situation) -> str:
    sides = [word for word, count in (("before", given.before), ("after", given.after)) if not count]
    return f"no period {' and none '.join(sides)} the change was seen"


def _staggered(given: Situation) -> tuple[bool, str]:
    fault = _not_groups(given)
    if fault:
        return False, fault
    if given.dates < 2:
        return False, "all touched groups started at one time"
    whom = "groups never or not yet touched" if given.untouched else "groups not yet touched"
    told = f"{_count(given.touched, 'group')} started at {given.dates} different times: each is compared with {whom}"
    return True, told


def _did(given: Situation) -> tuple[bool, str]:
    fault = _not_groups(given)
    if fault:
        return False, fault
    if given.dates > 1:
        return False, "groups started at different times: those touched early would stand in for untouched ones"
    if not given.untouched:
        return False, "no group was left untouched: there is nobody to compare with"
    few = "; one period before shows no trend" if given.before == 1 else ""
    told = f"one start, and {_count(given.untouched, 'group')} not touched: what changed there is taken off"
    return True, f"{told}{few}"


def _synthetic(given: Situation) -> tuple[bool, str]:
    if not given.levels:
        return False, "customers were touched one by one, not as groups that have a series each"
    if given.dates > 1:
        return False, "groups started at different times"
    if given.touched > FEW_TOUCHED:
        return False, f"{given.touched} groups were touched; it is made for at most {FEW_TOUCHED}"
    if given.untouched < SEVERAL_DONORS:
        return False, f"{_untouched(given)}; at least {SEVERAL_DONORS} are needed to mix a likeness from"
    fault = _too_short(given, LONG, LEAST_AFTER)
    if fault:
        return False, fault
    return True, f"few groups touched, {given.untouched} not, and {given.before} periods before to find a likeness in"


def _counterfactual(given: Situation) -> tuple[bool, str]:
    if not given.controls:
        return False, "nothing is known that the change cannot touch and that moves with the outcome"
    fault = _one_start(given) or _too_short(given, LEAST_BEFORE, 1)
    if fault:
        return False, fault
    return True, f"{_whom(given)}; {_listed(given.controls)} could not be, and tells what else moved"


def _interrupted(given: Situation) -> tuple[bool, str]:
    fault = _one_start(given) or _too_short(given, LEAST_BEFORE, LEAST_AFTER)
    if fault:
        return False, fault
    told = f"{_whom(given)}; {given.before} periods before say how the series would have gone on"
    return True, told + ("" if given.before >= ENOUGH_BEFORE else f"; fewer than {ENOUGH_BEFORE}: seasons are guesses")


def _matching(given: Situation) -> tuple[bool, str]:
    if given.levels:
        return False, "whole groups were touched, not customers one by one"
    if not given.untouched:
        return False, "nobody was left untouched: there is nobody to compare with"
    if not given.covariates:
        return False, "nothing is known of customers from before the change"
    if given.least < LEAST_CUSTOMERS:
        return False, _too_few(given)
    if not given.after:
        return False, "no period after the change was seen"
    told = "customers were touched one by one: those who were are compared with others who were like them before"
    return True, f"{told} in what is known ({_listed(given.covariates)})"


_RULES: dict[str, Callable[[Situation], tuple[bool, str]]] = {
    STAGGERED: _staggered, DID: _did, SYNTHETIC: _synthetic, COUNTERFACTUAL: _counterfactual,
    INTERRUPTED: _interrupted, MATCHING: _matching,
}  # fmt: skip


def _not_groups(given: Situation) -> str:
    """Say why groups of customers cannot be compared before and after; empty where they can."""
    if not given.levels:
        return "customers were touched one by one, not as groups"
    if not given.before or not given.after:
        return _unseen(given)
    return _too_few(given) if given.least < LEAST_CUSTOMERS else ""


def _too_few(given: Situation) -> str:
    return f"{_count(given.least, 'customer')} in the smallest group; at least {LEAST_CUSTOMERS} are needed"


def _one_start(given: Situation) -> str:
    if not given.levels:
        return "customers were touched one by one, not all together"
    return "groups started at different times: no single start" if given.dates > 1 else ""


def _too_short(given: Situation, before: int, after: int) -> str:
    sides = (("before", given.before, before), ("after", given.after, after))
    return " and ".join(
        f"{_count(count, 'period')} {word} the change; at least {least} needed"
        for word, count, least in sides
        if count < least
    )


def _whom(given: Situation) -> str:
    return "those touched are followed alone" if given.untouched else "all were touched"


def _untouched(given: Situation) -> str:
    return f"{_count(given.untouched, 'group')} {'was' if given.untouched == 1 else 'were'} not touched"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
