"""Customers who were touched one by one and others, a row each, with what was known of them before.

The rows name customers. They live while an answer is made of them; what is frozen is the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from cxlib.measure.plans import Undefined
from cxlib.measure.raking import OTHER, small_levels
from cxlib.params.models import Change, Rule, Segment
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs
from cxlib.reports.studied import Studied

Y, TREATED = "outcome after", "was touched"  # columns; no segment is called so
_TOUCHED, _OTHERS, _UNKNOWN = "touched", "not touched", "not known"


@dataclass(frozen=True, eq=False)
class Alike:
    """Customers who can be compared.

    Parameters
    ----------
    frame
        One row a customer: `Y` (mean of the rows after), `TREATED` (1 or 0), and `covariates`.
    whole
        `Y` and `TREATED` of all customers with rows after, of whom nothing else need be known.
    covariates
        What is known of them from before.
    lost
        Touched customers who were left out: no other customer is of one of their levels.
    before
        Mean of the touched before; None where nobody has one.
    seen
        Share of the touched, and of the others, known before who have a value after.
    notes
        Which levels were joined, and which segments left out.
    """

    frame: pd.DataFrame
    whole: pd.DataFrame
    covariates: tuple[str, ...]
    lost: int
    before: float | None
    seen: tuple[float, float]
    notes: tuple[str, ...]

    @property
    def touched(self) -> int:
        """How many of those touched are compared."""
        return int((self.frame[TREATED] == 1).sum())

    @property
    def fewest(self) -> int:
        """The number of the touched or of the others, whichever are fewer."""
        return min(self.touched, len(self.frame) - self.touched)


@dataclass(frozen=True)
class People:
    """The customers of a change that touched them one by one."""

    inputs: Inputs
    change: Change
    first: Period

    @property
    def segments(self) -> list[Segment]:
        """What customers are made alike in."""
        return covariates(self.inputs)

    @cached_property
    def touched(self) -> pd.Series[Any]:
        """Customer -> 1 where touched, 0 where not; those of whom it is not known are not there."""
        rules = (
            Rule(level=_TOUCHED, when=self.change.customers), Rule(level=_OTHERS, when=f"not ({self.change.customers})")
        )  # fmt: skip
        one = Segment(id="touched", title=TREATED, rules=rules, otherwise=_UNKNOWN)
        found = bring.levels(self.inputs, self.first, [one])[TREATED]
        return found[found != _UNKNOWN].eq(_TOUCHED).astype(float)

    def marked(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows of customers of whom it is known whether they were touched, with that."""
        known = rows[rows[bring.CUSTOMER].isin(self.touched.index)].reset_index(drop=True)
        who = known[bring.CUSTOMER].astype("str")  # rows may hold categories: those of customers without rows are none
        return known.assign(**{bring.CUSTOMER: who, TREATED: who.map(self.touched)})

    def compared(
        self, studied: Studied, start: Period, stop: Period | None = None, *, beside: Sequence[Studied] = ()
    ) -> Alike:
        """Return the customers known before a start, with what they had from it on, up to `stop` or the run's end.

        They are made alike in their own mean before of the metric, and of those `beside` it. Raises `Undefined` for a
        metric without rows of customers.
        """
        rows, when = self._placed(studied)
        begun, end = studied.periods.index(start), studied.periods.index(stop) if stop else len(studied.periods)
        after = rows[(when >= begun) & (when < end)].groupby(bring.CUSTOMER)["y"].mean()
        whole = pd.DataFrame({Y: after, TREATED: self.touched.reindex(after.index)})
        known = self._known(start.previous()).join(self.touched.rename(TREATED), how="inner")
        seen = pd.Series(known.index.isin(after.index), index=known.index)
        shares = [float(seen[known[TREATED] == side].mean()) for side in (1, 0)]  # NaN of nobody, whom nobody tells of
        past = {one.metric.title: self._past(one, start) for one in (studied, *beside)}
        least = self.inputs.context.least(studied.metric)
        return self._alike(known[seen].join(after.rename(Y)), whole, past, (shares[0], shares[1]), least)

    def _placed(self, studied: Studied) -> tuple[pd.DataFrame, pd.Series[Any]]:
        """Return the rows of a metric, and the place of the period of each among those studied; not to be changed."""
        if studied.metric.cluster != bring.CUSTOMER:
            raise Undefined(f"the rows of {studied.metric.title} do not say which customer they are of")
        if studied.metric.id not in self._met:
            rows = self.marked(studied.rows)
            codes, labels = pd.factorize(rows["period"])
            place = pd.Index([period.label for period in studied.periods]).get_indexer(labels)
            self._met[studied.metric.id] = rows, pd.Series(place[codes], index=rows.index)
        return self._met[studied.metric.id]

    @cached_property
    def _met(self) -> dict[str, tuple[pd.DataFrame, pd.Series[Any]]]:
        """What `_placed` has returned, by metric: the same rows are compared several times."""
        return {}

    def _past(self, studied: Studied, start: Period) -> pd.Series[Any]:
        """Return the mean of a metric of each customer who has rows of it before a start."""
        rows, when = self._placed(studied)
        return rows[when < studied.periods.index(start)].groupby(bring.CUSTOMER)["y"].mean()

    def _known(self, period: Period) -> pd.DataFrame:
        """Return the customers known at the end of a period, with their levels then."""
        names = "-".join(segment.id for segment in self.segments)
        key = f"levels at the end of {period.label} of {names}"
        return self.inputs.once(key, lambda: bring.levels(self.inputs, period, self.segments))

    def _alike(
        self, frame: pd.DataFrame, whole: pd.DataFrame, past: Mapping[str, pd.Series[Any]], seen: tuple[float, float],
        least: int,
    ) -> Alike:  # fmt: skip
        """Return those who have others of their levels, small levels joined, with their own means before.

        Who has no mean has that of all, and a column says so.
        """
        names = [segment.title for segment in self.segments]
        own = {f"{title} before": found.reindex(frame.index) for title, found in past.items()}
        flags = {f"{title} known before": own[f"{title} before"].notna().astype(float) for title in past}
        kept = _shared(frame.assign(**own, **flags), [*names, *flags])
        lost = int((frame[TREATED] == 1).sum() - (kept[TREATED] == 1).sum())
        kept, names, notes = _joined(kept, names, least)
        mine = kept.loc[kept[TREATED] == 1, next(iter(own))]
        kept = kept.fillna({name: kept[name].mean() for name in own})
        more = [name for pair in zip(own, flags, strict=True) for name in pair if len(set(kept[name].dropna())) > 1]
        return Alike(
            kept[[Y, TREATED, *names, *more]].reset_index(drop=True), whole.reset_index(drop=True), (*names, *more),
            lost, float(mine.mean()) if mine.notna().any() else None, seen, tuple(notes),
        )  # fmt: skip


def covariates(inputs: Inputs) -> list[Segment]:
    """Return the segments that customers are made alike in: those of weighting, else those of the report, else all."""
    about = inputs.context
    named = (about.workspace.weighting.segments, about.report.segments, tuple(about.segments))
    mine = ([about.segments[name] for name in names if about.segments[name].on == "customers"] for names in named)
    return next(filter(None, mine), [])


def _shared(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return customers of levels that some of the touched and some of the others have."""
    kept, size = frame, -1
    while len(kept) != size:
        size = len(kept)
        for name in names:
            sides = [set(kept.loc[kept[TREATED] == side, name]) for side in (1, 0)]
            kept = kept[kept[name].isin(sides[0] & sides[1])]
    return kept


def _joined(frame: pd.DataFrame, names: Sequence[str], least: int) -> tuple[pd.DataFrame, list[str], list[str]]:
    """Return customers with levels joined that too few of a side have, which segments are left, and what was done."""
    left, notes = [], []
    for name in names:
        sides = pd.crosstab(frame[name], frame[TREATED])
        fewest = sides.min(axis=1)
        small = small_levels(fewest, fewest, least)
        joined = frame[name].where(~frame[name].isin(small), OTHER)
        several = len(set(joined)) > 1
        if not several and len(sides) > 1:
            notes.append(f"left out of what customers are made alike in, for want of customers: {name}")
        elif len(small) > 1:
            notes.append(f"levels of {name} with few customers are taken together: {', '.join(small)}")
        left += [name] * several
        frame = frame.assign(**{name: joined})
    return frame, left, notes
