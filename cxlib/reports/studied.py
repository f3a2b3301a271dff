"""What a registered change is studied from: rows of its metric by customer, period and group, and series of periods.

The rows name customers. They live while an answer is made of them; what is frozen is the answer.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure import estimates, intervals
from cxlib.measure.plans import Undefined
from cxlib.params.models import Change, Metric, Part, Segment
from cxlib.periods import Period, midnight
from cxlib.reports import bring, disclosure
from cxlib.reports.inputs import Inputs

REACH = {"month": (12, 36), "quarter": (8, 24), "week": (26, 156)}  # periods before the start: of rows, and of series
NEVER = ""  # the start of a group that was never touched


@dataclass(frozen=True)
class Studied:
    """One change and one of its metrics, as they can be read at the end of the run's period."""

    inputs: Inputs
    change: Change
    metric: Metric

    @property
    def segment(self) -> Segment | None:
        """The segment by whose levels it was given; None where all were touched at once."""
        return self.inputs.context.segments[self.change.segment] if self.change.segment else None

    @cached_property
    def starts(self) -> dict[str, str]:
        """Level -> the period in which it was given it, as registered."""
        return {level: self._period(dt.date.fromisoformat(day)).label for level, day in self.change.levels.items()}

    @cached_property
    def first(self) -> Period:
        """The period in which it began."""
        return self._period(self.change.starts[0])

    @property
    def periods(self) -> list[Period]:
        """The periods of rows: before the first start, and up to the end of the run's own."""
        return self._reach(0)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Rows of the metric: `customer_id` (categories), `period`, `y`, `group` (level), `since` (start, or NEVER).

        Customers of whom the level is not known are out, and so are groups that cannot be compared: see `compared`.
        Raises `Undefined` for a metric that is not made of rows: a quantile, or what is divided by another table.
        """
        rows = self._levelled
        if not self.segment:
            return rows.assign(since=self.first.label)
        out = set(self.starts) - set(self.compared)
        people = rows[~rows["group"].isin(set(self.starts))].groupby("group")[bring.CUSTOMER].nunique()
        if (people >= self._least).any():
            out |= set(people.index[people < self._least])
        codes, groups = pd.factorize(rows["group"])
        kept = ~np.isin(codes, np.flatnonzero(groups.isin(list(out))))
        since = np.array([self.compared.get(group, NEVER) for group in groups], dtype=object)
        return rows[kept].assign(since=pd.array(since[codes[kept]], dtype="str"))

    @cached_property
    def touched(self) -> pd.DataFrame:
        """The rows, `since` missing where they were never touched."""
        since = self.rows["since"]
        return self.rows.assign(since=since.where(since != NEVER, None))

    @cached_property
    def compared(self) -> dict[str, str]:
        """Touched level -> its start, of those that can be compared: seen before it, and of customers enough.

        Where none can be, all that are in the data.
        """
        seen = self._levelled.groupby("group").agg(people=(bring.CUSTOMER, "nunique"), begun=("period", "min"))
        here = {level: start for level, start in self.starts.items() if level in seen.index}
        fine = {
            level: start
            for level, start in here.items()
            if seen.loc[level, "people"] >= self._least and seen.loc[level, "begun"] < start
        }
        return fine or here

    @cached_property
    def followed(self) -> dict[str, str]:
        """Touched level -> its start, of those that are looked at; raises `Undefined` where none is in the data."""
        if self.segment is None:
            return {"all": self.first.label}
        try:
            found = self.compared
        except Undefined:  # no rows to compare: its value by period may be known
            levels = set(self.by_group["group"])
            found = {level: start for level, start in self.starts.items() if level in levels}
        if not found:
            raise Undefined(f"none of the touched levels of {self.segment.title} is in the data")
        return found

    @property
    def start(self) -> Period:
        """The period in which it began for the first of those that are looked at."""
        return Period.parse(min(self.followed.values()))

    @property
    def untouched(self) -> list[str]:
        """Groups that were never touched."""
        return sorted(self.rows.loc[self.rows["since"] == NEVER, "group"].unique())

    @cached_property
    def by_group(self) -> pd.DataFrame:
        """The value of each group and period: `group`, `period`, `y`, `error`, `n`; what may not be shown is out."""
        found = self._estimated(self._moments)
        return found if self.segment is None else found[found["group"] != self._unknown].reset_index(drop=True)

    @cached_property
    def series(self) -> pd.DataFrame:
        """The value of those touched in each period, as `by_group`; of everybody where all were touched."""
        if self.segment is None:
            return self.by_group
        if self.metric.kind == "quantile":
            raise Undefined(f"{self.metric.title} of those touched alone is not known: it does not add up of groups")
        cells = self._moments
        mine = cells[cells["level"].isin(set(self.followed)) & ~disclosure.hidden(cells)]
        return self._estimated(mine.drop(columns="level").groupby("period", as_index=False).sum().assign(level="all"))

    def notes(self) -> list[str]:
        """Return what a reader must know of how the change was read."""
        within = [day for day in self.change.starts if self._period(day).first_day != day]
        kind, told = self.first.kind, []
        if within:
            which = " and ".join(spelled(day) for day in within)
            told.append(
                f"it began on {which}, within a {kind}: the whole {kind} counts as touched, which makes the effect of "
                f"that {kind} look smaller than it is"
            )
        return told + (self._left_out() if self.segment else [])

    def _left_out(self) -> list[str]:
        """Say which groups are not in the comparison of groups; nothing where groups are not compared."""
        try:
            known, used = set(self._levelled["group"].unique()), set(self.rows["group"].unique())
        except Undefined:
            return []
        gone = sorted(set(self.starts) - known)
        told = [f"nothing is known of {', '.join(gone)}: not in the data, or misspelled in the register"] * bool(gone)
        few = ", ".join(sorted(known - used))
        why = "too few customers or none before the start"
        told += [f"left out of the comparison, {why}: {few}"] * bool(few)
        return told

    @property
    def _least(self) -> int:
        from cxlib.analysis.effects.choice import LEAST_CUSTOMERS

        return LEAST_CUSTOMERS

    @property
    def _unknown(self) -> str | None:
        """The level of customers of whom it is not known whether they were touched; None where it is registered."""
        cut = self.segment
        return cut.otherwise if cut and cut.column and cut.otherwise not in self.change.levels else None

    @cached_property
    def _levelled(self) -> pd.DataFrame:
        """Rows of the metric with their group."""
        from cxlib.analysis import extracts

        metric, about = self.metric, self.inputs.context
        if metric.kind not in ("share", "mean", "nps") or isinstance(metric.denominator, Part):
            raise Undefined(
                f"groups of customers cannot be compared in {metric.title}: only its value by period is known"
            )
        cuts = [self.segment] if self.segment else []

        def bringing() -> pd.DataFrame:
            plan = extracts.rows(
                metric, self.inputs.store().tables, self.periods, timezone=about.workspace.timezone, segments=cuts,
                touchpoints=about.touchpoints,
            )  # fmt: skip
            found = bring.fetch(self.inputs, plan).dropna(subset="y")
            who, ids = pd.factorize(found[bring.CUSTOMER], sort=True)
            return found.assign(**{bring.CUSTOMER: pd.Categorical.from_codes(who, ids)})

        span = f"{self.periods[0].label} to {self.periods[-1].label}"
        words = [about.definition_of(metric), *(cut.model_dump_json() for cut in cuts)]
        found = self.inputs.once("\n".join(["rows", span, *words]), bringing)
        found = found.assign(group=found[self.change.segment] if self.segment else "all")
        found = found[found["group"].notna() & (found["group"] != self._unknown)]
        if found.empty:
            raise Undefined(f"there is nothing of {metric.title} in these periods")
        return found.reset_index(drop=True)

    @cached_property
    def _moments(self) -> pd.DataFrame:
        """Sums by group and period, those of small cells hidden."""
        cuts = (self.segment,) if self.segment else ()
        found = self.inputs.moments(self.metric, cuts, self._reach(1))
        if isinstance(found, str):
            raise Undefined(found)
        return found

    def _estimated(self, moments: pd.DataFrame) -> pd.DataFrame:
        """Return values by group and period; `error` is missing where nothing varied."""
        about = self.inputs.context
        level, shown = about.workspace.confidence, moments[~disclosure.hidden(moments)]
        rows = estimates.from_moments(self.metric, shown, confidence=level, min_n=about.least(self.metric))
        rows = rows[rows["status"] == results.OK].sort_values(["level", "period"], ignore_index=True)
        if rows.empty:
            raise Undefined(f"nothing of {self.metric.title} that may be shown is known in these periods")
        wide = (rows["conf_high"] - rows["conf_low"]) / (2 * intervals.z_of(level))
        error = rows["std_error"].fillna(wide)
        return pd.DataFrame({
            "group": rows["level"], "period": rows["period"], "y": rows["estimate"], "error": error.where(error > 0),
            "n": rows["n"],
        })  # fmt: skip

    def _reach(self, which: int) -> list[Period]:
        """Return the periods of rows (0) or of series (1): before the first start, and up to the end of the run."""
        return Period.range(self.first.previous(REACH[self.first.kind][which]), bring.own(self.inputs))

    def _period(self, day: dt.date) -> Period:
        """Return the period that a local day lies in."""
        zone = self.inputs.context.workspace.timezone
        return Period.containing(midnight(day, zone), bring.own(self.inputs).kind, zone)


def spelled(day: dt.date) -> str:
    """Return a day as people write it, whatever the machine's language."""
    return f"{day.day} {Period(day.replace(day=1), 'month').title}"


def window_end(change: Change, *, reread: bool = False) -> dt.date:
    """Return the first day after the window in which a change should show; a year later where it is read again."""
    last, months = change.starts[-1], change.months + (12 if reread else 0)
    place = last.month - 1 + months
    year, month = last.year + place // 12, place % 12 + 1
    days = (dt.date(year + month // 12, month % 12 + 1, 1) - dt.date(year, month, 1)).days
    return dt.date(year, month, min(last.day, days))


def due(changes: Sequence[Change], period: Period) -> list[tuple[Change, bool]]:
    """Return the changes whose window ends in a period, those that are read again a year later last.

    What should move no metric is not looked at.
    """
    found = []
    for reread in (False, True):
        for change in sorted(changes, key=lambda one: (one.date, one.id)):
            last_day = window_end(change, reread=reread) - dt.timedelta(days=1)
            if change.metrics and period.first_day <= last_day < period.next_day:
                found.append((change, reread))
    return found


def coming(changes: Sequence[Change], period: Period) -> tuple[Change, dt.date, bool] | None:
    """Return the change that is due next after a period, when its window ends, and whether it is read again then.

    None where none is.
    """
    ends = [
        (window_end(change, reread=again), change.id, again, change)
        for change in changes
        for again in (False, True)
        if change.metrics
    ]
    later = [end for end in ends if end[0] - dt.timedelta(days=1) >= period.next_day]
    if not later:
        return None
    end, _, again, change = min(later, key=lambda one: one[:3])
    return change, end, again
