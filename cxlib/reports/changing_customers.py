"""A change that touched customers one by one: those touched beside others who were like them before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments
from cxlib.measure.plans import Undefined
from cxlib.periods import Period
from cxlib.reports.changing_designs import (
    AGREEMENT,
    CHECK,
    DESIGN,
    EFFECT,
    EVIDENCE,
    PLACEBO,
    Designs,
    Parts,
    designs,
    fine,
    nothing,
    role,
)
from cxlib.reports.customers_alike import TREATED, Alike, People, Y
from cxlib.reports.studied import Studied

BALANCE, SENSITIVITY = "balance", "sensitivity"  # further roles of rows
_FEW = "fewer customers on a side than may be shown"
_COUNT = re.compile(r"^(\d[\d,]*)(?= )")


@dataclass
class OneByOne:
    """One change and metric, where customers were touched one by one: weighting leads, matching stands beside."""

    studied: Studied
    _found: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)  # effects, by way

    @property
    def confidence(self) -> float:
        """Of all intervals."""
        return self.studied.inputs.context.workspace.confidence

    @property
    def least(self) -> int:
        """The least number of customers that may be shown."""
        return self.studied.inputs.context.least(self.studied.metric)

    @cached_property
    def people(self) -> People:
        """Who was touched, and what is known of customers."""
        return People(self.studied.inputs, self.studied.change, self.studied.first)

    @cached_property
    def alike(self) -> Alike:
        """The customers who are compared."""
        return self.people.compared(self.studied, self.studied.first)

    def rows(self) -> pd.DataFrame:
        """Return everything that is known."""
        from cxlib.analysis import effects
        from cxlib.analysis.effects.choice import MATCHING

        try:
            situation = self._situation()
        except Undefined as reason:
            return _without(str(reason))
        choice = effects.choose(situation)
        if not choice.design:
            why = next(told for name, _, told in choice.others if name == MATCHING)
            return results.concat([designs(choice, "", {}), nothing(f"{choice.why}: {why}"), *self._naive()])
        head = self._effect(MATCHING)
        lead = MATCHING if fine(head) else ""
        parts = [designs(choice, lead, {MATCHING: [head]}), head]
        return results.concat([*parts, *(self._beside() if lead else self._naive()), *self._seen()])

    def _situation(self) -> Any:
        """Return what is known before any effect is looked at; raises `Undefined` where rows or customers are not."""
        from cxlib.analysis import effects

        alike, first = self.alike, self.studied.first.label
        touched = self.people.touched
        if not touched.any():
            raise Undefined("no customer meets the condition for being touched")
        if not touched.all() and not alike.fewest:
            raise Undefined("nobody who was not touched can be compared: none has a value and is of the same levels")
        periods = {str(label) for label in self.studied.rows["period"]}
        return effects.Situation(
            starts={"touched": first}, untouched=int((alike.frame[TREATED] == 0).any()), levels=False,
            least=alike.fewest, covariates=alike.covariates, before=sum(label < first for label in periods),
            after=sum(label >= first for label in periods),
        )  # fmt: skip

    # Effects

    def _effect(self, way: str) -> pd.DataFrame:
        """Return the effect in one way, as a row; where it cannot be told, why."""
        from cxlib.analysis import effects
        from cxlib.analysis.effects.choice import AS_THEY_ARE, BEFORE_AFTER, NEIGHBOURS

        ways = {NEIGHBOURS: effects.matching, AS_THEY_ARE: _as_they_are, BEFORE_AFTER: self._before_after}
        if way not in self._found:
            found = self._between(self.alike, ways.get(way, effects.weighting))
            self._found[way] = role(results.label(found, metric=self.studied.metric.id), EFFECT, way)
        return self._found[way]

    def _between(self, alike: Alike, design: Any) -> pd.DataFrame:
        """Return the row of an effect by a design of `cx.effects`, hidden where a side is too small to be shown."""
        told = {"outcome": Y, "treated": TREATED, "covariates": alike.covariates, "confidence": self.confidence}
        try:
            found = design(alike.whole if design is _as_they_are else alike.frame, **told)
        except (Undefined, UsageError) as reason:
            note = str(reason) if isinstance(reason, Undefined) else reason.message
            return results.frame(comparison="difference", status=results.UNDEFINED, note=note)
        found = found[found["comparison"] == "difference"].head(1)
        return self._shown(found, alike.fewest)

    def _shown(self, rows: pd.DataFrame, people: int) -> pd.DataFrame:
        """Return rows without the numbers that too few stand behind, and without counts of a few in their notes."""
        notes = [_rounded(note, self.least) for note in rows["note"]]
        if people >= self.least:
            return results.conform(rows.assign(note=notes))
        status = rows["status"].where(rows["status"] != results.OK, results.SUPPRESSED)
        return results.conform(rows.assign(status=status, note=_FEW))

    def _before_after(self, _frame: pd.DataFrame, **told: Any) -> pd.DataFrame:
        """Compare those touched after with those touched before, as a page without a design would."""
        from cxlib.analysis import effects

        rows = self.people.marked(self.studied.rows)
        return effects.before_after(
            rows[rows[TREATED] == 1], outcome="y", time="period", first_treated="since", cluster="customer_id",
            confidence=told["confidence"],
        )  # fmt: skip

    def _naive(self) -> Parts:
        """Return what a page without a design would say, where it can be told."""
        from cxlib.analysis.effects.choice import AS_THEY_ARE, BEFORE_AFTER

        return [row for row in map(self._effect, (AS_THEY_ARE, BEFORE_AFTER)) if fine(row)]

    # What stands beside the effect that leads

    def _beside(self) -> Parts:
        """Return the other ways, the balance, the checks, and how good the evidence is."""
        from cxlib.analysis import effects
        from cxlib.analysis.effects.choice import MATCHING, NEIGHBOURS

        metric, lead = self.studied.metric, self._effect(MATCHING)
        others = [self._effect(NEIGHBOURS), *self._naive()]
        balance, strong, before = self._balance(), self._sensitivity(lead), self._before()
        # A comparison before the change that finds nothing is no outcome that it cannot touch: it speaks only against.
        moved = [row for row in before[:1] if row["p_value"].iloc[0] < 1 - self.confidence]
        untouchable = results.concat([*(before if moved else []), *self._controls()])
        graded = effects.grade(
            results.concat([lead, self._level(self.alike)]), design=MATCHING, balance=balance,
            sensitivity=strong, negative_control=untouchable if len(untouchable) else None, alpha=1 - self.confidence,
        )  # fmt: skip
        told = effects.agreement(lead, {row["at"].iloc[0]: row for row in others}, design=MATCHING, unit=metric.unit)
        drawn = balance[balance["metric"] == "balance"]
        drawn = drawn.assign(against=drawn["at"], estimate=drawn["estimate"].round(9) + 0.0)  # exact, but for rounding
        return [
            *others, role(drawn, BALANCE, drawn["level"].tolist()),
            role(balance[balance["metric"] == "overlap"], CHECK, "customers like them"),
            role(strong, SENSITIVITY, (strong["metric"] + " " + strong["at"]).tolist()),
            *self._pretended(before), role(graded, EVIDENCE), role(told, AGREEMENT),
        ]  # fmt: skip

    def _balance(self) -> pd.DataFrame:
        """Return how far touched and others differ in what is known, before and after, and how many have nobody alike.

        Those who were left out before for want of anybody of their level are among the latter.
        """
        from cxlib.analysis import effects
        from cxlib.measure import estimates

        alike = self.alike
        found = effects.balance_table(
            alike.frame, outcome=Y, treated=TREATED, covariates=alike.covariates, confidence=self.confidence
        )
        row = found[found["metric"] == "overlap"]
        if alike.lost and fine(row):
            beyond = round(float(row["estimate"].iloc[0] * row["n"].iloc[0])) + alike.lost
            size = alike.touched + alike.lost
            note = f"{beyond:,} of {size:,} touched have nobody like them among the others"
            again = estimates.share(beyond, size, confidence=self.confidence)
            again = results.label(again, metric="overlap", comparison="share", level="touched", note=note)
            found = results.concat([found[found["metric"] != "overlap"], again])
        return self._shown(found, alike.fewest)

    def _sensitivity(self, lead: pd.DataFrame) -> pd.DataFrame:
        """Return how strong something unobserved would have to be; sizes in words of the metric's unit."""
        from cxlib.analysis import effects
        from cxlib.analysis.effects.sensitivity import STANDS
        from cxlib.analysis.experiments.amounts import signed

        frame, metric = self.alike.frame, self.studied.metric
        known = effects.strengths(frame, outcome=Y, treated=TREATED, covariates=self.alike.covariates)
        others = float(frame.loc[frame[TREATED] == 1, Y].mean() - lead["estimate"].iloc[0])
        share = metric.kind == "share" and 0 < others < 1
        scale = {"baseline": others} if share else {"sd": float(frame[Y].std())}
        found = effects.sensitivity(lead, observed=known, confidence=self.confidence, **scale)
        left = (found["metric"] == "benchmark") & (found["status"] == results.OK)
        notes = found["note"].copy()
        for place in found.index[left]:
            row = found.loc[place]
            end = "which still shows" if row["at"] == STANDS else "which could be nothing"
            size = signed(float(row["estimate"]), metric.unit)
            notes[place] = f"Something as strong as {row['level']}, the strongest observed, would leave {size}, {end}"
        return results.conform(found.assign(note=notes))

    def _controls(self) -> Parts:
        """Return the same comparison of what the change cannot have touched."""
        parts: Parts = []
        for other in Designs(self.studied).controls.values():
            try:
                parts += self._same(self._compared(other), other.metric.id)
            except Undefined:
                continue
        return parts

    def _before(self) -> Parts:
        """Return the same comparison as if it had begun earlier, up to its start: as far as rows reach, half of them.

        Nothing was changed then, so it is an outcome that the change cannot have touched.
        """
        first, last = self.studied.first, self.studied.periods[-1]
        known = [Period.parse(label) for label in sorted(set(self.studied.rows["period"])) if label < first.label]
        if not known:
            return []
        lasted = len(Period.range(first, last))
        start = known[-min(lasted, max(len(known) // 2, 1))]
        alike = self.people.compared(self.studied, start, first)
        return self._same(alike, f"{self.studied.metric.id} before")

    def _same(self, alike: Alike, name: str) -> Parts:
        """Return a comparison that should find nothing, called `name`, with the mean before to hold it against."""
        from cxlib.analysis import effects

        row = results.label(self._between(alike, effects.weighting), metric=name)
        return [row, results.label(self._level(alike), metric=name)] if fine(row) else []

    def _compared(self, other: Studied) -> Alike:
        """Return the customers of another metric, alike in what they had before of this one, too."""
        return self.people.compared(other, other.first, beside=[self.studied])

    def _level(self, alike: Alike) -> pd.DataFrame:
        """Return the mean of the touched before, which says how large an effect is; nothing where it is not known."""
        if alike.before is None:
            return results.empty()
        return results.frame(
            metric=self.studied.metric.id, comparison="level", level="treated", at="before", estimate=alike.before,
            n=alike.touched,
        )  # fmt: skip

    def _pretended(self, before: Parts) -> Parts:
        """Return the comparison before the change, and what it says; that there is none where nothing is known."""
        from cxlib.analysis.experiments.amounts import signed, span

        if not before:
            note = "before the change too little is known for the same comparison"
            return [_told("placebos in time", note)]
        row, unit = before[0].iloc[0], self.studied.metric.unit
        note = (
            f"the same comparison on the time before the change finds {signed(float(row['estimate']), unit)} "
            f"({span(float(row['conf_low']), float(row['conf_high']), unit)}), where there can be no effect"
        )
        return [role(before[0], PLACEBO, "in time: before the change"), _told("placebos in time", note)]

    def _seen(self) -> Parts:
        """Return what a reader must know of who is compared: who has a value at all, and what levels were joined."""
        alike, notes = self.alike, list(self.alike.notes)
        if alike.fewest >= self.least:
            one, other = (f"{100 * share:.0f} %" for share in alike.seen)
            notes.append(
                f"{one} of those touched and {other} of the others who were known before have a value after it; the "
                "others count for nothing"
            )
        return [_told("how they were compared", note) for note in notes]


def _told(at: str, note: str) -> pd.DataFrame:
    return results.frame(segment=CHECK, at=at, comparison="test", estimate=1.0, note=note)


def _without(why: str) -> pd.DataFrame:
    """Return the rows of a change of which customers cannot be compared: no design, and why."""
    from cxlib.analysis.effects.choice import MATCHING, NOT_APPLICABLE

    row = results.frame(
        segment=DESIGN, at=MATCHING, comparison="test", estimate=0.0, note=f"{NOT_APPLICABLE}: {why}",
        method="stated rules, in order",
    )  # fmt: skip
    return results.concat([row, nothing(why)])


def _as_they_are(frame: pd.DataFrame, *, outcome: str, treated: str, covariates: Any, confidence: float) -> Any:
    """Compare the means of touched and others, whatever they were like before."""
    from cxlib.analysis import experiments

    del covariates
    touched, others = (Moments.of(frame.loc[frame[treated] == side, outcome].to_numpy()) for side in (1, 0))
    found = experiments.effect(others, touched, confidence=confidence)
    note = "takes for the effect whatever they were like before"
    return results.label(found[found["comparison"] == "difference"], against="the others", note=note)


def _rounded(note: str, least: int) -> str:
    """Return a note without the exact number of fewer customers than may be shown."""
    parts = []
    for part in note.split("; "):
        count = _COUNT.match(part)
        few = count and 0 < int(count[1].replace(",", "")) < least
        parts.append(f"fewer than {least}{part[len(count[1]) :]}" if few and count else part)
    return "; ".join(parts)
