"""The questions about customers' journeys that a run answers, as an analyst or a notebook asks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from cxlib.analysis import doors
from cxlib.params.models import Metric
from cxlib.reports import (
    journey_consistency,
    journey_coverage,
    journey_friction,
    journey_leakage,
    journey_moves,
    journey_paths,
    journey_promise,
)
from cxlib.reports.named import Named, listed

if TYPE_CHECKING:
    from cxlib.analysis.journeys import Limits


class Journeys(Named):
    """What `Run` answers about how customers move, where they lose time and patience, and what was promised."""

    def transitions(self, months: int = 12, gap: int = 30) -> pd.DataFrame:
        """Say where customers go next from each touchpoint, and how often to the same one again.

        Parameters
        ----------
        months
            How far back events count.
        gap
            Days of silence that end a journey: what comes later is no next step.

        Returns
        -------
        pandas.DataFrame
            Shares of the moves from each touchpoint (`level`) to each (`against`), and their numbers. See
            `analysis.journeys.transitions`.
        """
        return journey_moves.moved(self._inputs, journey_paths.months(months), gap)

    def funnel(
        self, stages: journey_moves.Stages = "buying", window: int = 30, order: str = "open", months: int = 12
    ) -> pd.DataFrame:
        """Say which share of customers comes from stage to stage, and how long each step takes.

        Parameters
        ----------
        stages
            `buying` (website, checkout, payment, order, delivery), `journey` (the stages of the taxonomy), or
            touchpoints in order, or title -> touchpoints; `rated:delivery` is an answer about the delivery. Of the
            first two, stages that nothing is recorded of are left out.
        window
            Days that a customer has; those whose time is not over are not counted as lost.
        order
            `strict`, `open` or `any`.
        months
            How far back events count: a customer enters with the first visit in them.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.funnel`.
        """
        return journey_moves.converted(self._inputs, stages, window, order, journey_paths.months(months))

    def coverage(self, months: int = 12) -> pd.DataFrame:
        """Say which share of events lies at a touchpoint of the taxonomy, by which rule, and what nobody claims.

        Parameters
        ----------
        months
            How far back events count.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.coverage`.
        """
        return journey_coverage.covered(self._inputs, doors.whole("months", months, 1, 1_200))

    def streams(self, months: int = 12, reach: float = 7) -> pd.DataFrame:
        """Say which streams of activity customers are in at the same time, and in which order they enter them.

        Parameters
        ----------
        months
            What is looked at, up to the end of the period; who was there before is not new.
        reach
            Days that activity counts as going on after an event.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.streams`.
        """
        return journey_paths.streams(self._inputs, journey_paths.months(months), journey_paths.days("reach", reach))

    def paths(
        self, outcome: str = "complaint", months: int | None = None, window: float = 90, seed: int = 1
    ) -> pd.DataFrame:
        """Compare the paths that end in a complaint, an order or leaving with those that do not, step by step.

        Parameters
        ----------
        outcome
            `complaint`, `order` or `left`.
        months
            In which ends count; default 12, of orders 1.
        window
            Days before the end that are looked at.
        seed
            Of the matching and the bootstrap.

        Returns
        -------
        pandas.DataFrame
            Differences of shares with intervals that hold for all of them together. See `analysis.journeys.paths`.
        """
        return journey_paths.paths(self._inputs, outcome, months, journey_paths.days("window", window), seed)

    def moments_of_truth(self, months: int = 12, window: float = 180, target: float | None = None) -> pd.DataFrame:
        """Judge journeys beside their touchpoints, and say which of its moments a recommendation goes with.

        Parameters
        ----------
        months
            What is judged, up to the end of the period; as many before are what it is compared with.
        window
            Days: answers so near to each other are one journey.
        target
            The share of good answers that is wanted; None for the target of `csat_top2`, if it has one.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.moments`.
        """
        usual = self.metrics["csat_top2"].target if "csat_top2" in self.metrics else None
        aim = usual if target is None else target
        span = journey_paths.months(months)
        return journey_paths.moments(self._inputs, span, journey_paths.days("window", window), aim)

    def promise(self, months: int = 12, lost_after: int = 30, within: int = 7) -> pd.DataFrame:
        """Hold what was promised against what came: deliveries, surveys sent too early, bills, loading times.

        Parameters
        ----------
        months
            How far back orders, surveys, bills and visits count.
        lost_after
            Days after its promise at which an order that has not come counts as lost.
        within
            Days after a bill in which a contact counts as led to by it.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.promise`, `promise_surveys`, `promise_bills` and `promise_loads`; a part that the
            workspace has no data for is one row that says so.
        """
        days = [doors.whole(name, value, 1, 365) for name, value in (("lost_after", lost_after), ("within", within))]
        return journey_promise.kept(self._inputs, doors.whole("months", months, 1, 1_200), days[0], days[1])

    def consistency(
        self, metric: str | Metric | None = None, by: Sequence[str] | str = ("touchpoint", "channel", "partner"),
        months: int = 12,
    ) -> pd.DataFrame:  # fmt: skip
        """Say how far channels and partners lie apart in a score, against how far answers differ within them.

        Parameters
        ----------
        metric
            A mean score or an NPS of answers; None for the first mean score of the pack.
        by
            Segments of answers; those that the workspace's answers do not tell are left out.
        months
            How far back answers count.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.consistency`; and digital against other touchpoints, with a verdict.
        """
        packed = [self.metrics[name] for name in self.context.report.metrics]
        found = journey_consistency.scored([*packed, *self.metrics.values()]) if metric is None else None
        segments = [self._segment(name) for name in listed(by) if isinstance(by, str) or name in self.context.segments]
        span = doors.whole("months", months, 1, 1_200)
        return journey_consistency.compared(self._inputs, found or self._metric(metric), segments, span)

    def leakage(self, months: int = 12, days: int = 90, stayed: int = 180) -> pd.DataFrame:
        """Say by source how many leads do not buy in time, and what a lead, a first order and a kept customer cost.

        Parameters
        ----------
        months
            How far back leads count, in calendar months.
        days
            How soon a lead has to order.
        stayed
            After how many days a customer counts as kept.

        Returns
        -------
        pandas.DataFrame
            See `analysis.journeys.leakage`; the source on which most money is lost first.
        """
        spans = [doors.whole(name, value, 1, 3_650) for name, value in (("days", days), ("stayed", stayed))]
        return journey_leakage.leaked(self._inputs, doors.whole("months", months, 1, 1_200), spans[0], spans[1])

    def causes(self, against: str = "previous", limits: Limits | None = None) -> pd.DataFrame:
        """Say how often customers met each cause of bad experiences that teams know, and whether that changed.

        Parameters
        ----------
        against
            `previous`, `year_ago` or a period to compare with.
        limits
            From where on something is too much, as in `Limits(wait_seconds=300)`.

        Returns
        -------
        pandas.DataFrame
            Shares of occasions, and quantiles of waits and page loads. See `analysis.journeys.causes`.
        """
        return journey_friction.caused(self._inputs, self._against(against), limits)

    def friction(
        self, metric: str | Metric | None = None, by: Sequence[str] | str | None = None, months: int = 12,
        after: int = 6, limits: Limits | None = None, seed: int = 1,
    ) -> pd.DataFrame:  # fmt: skip
        """Rank what goes wrong and what goes well: how many met it, what goes with it, and how sure that is.

        Parameters
        ----------
        metric
            A score of answers; None for the first mean score of the pack.
        by
            Segments held constant; None for those of the first model of drivers.
        months
            How far back answers count.
        after
            How many months are looked at for what customers did in the 30 days after each.
        limits
            As in `causes`.
        seed
            Of the bootstrap of ranks.

        Returns
        -------
        pandas.DataFrame
            Volume, effect, value at stake, priority and rank of each cause. See `analysis.journeys.friction`.
        """
        packed = [self.metrics[name] for name in self.context.report.metrics]
        found = journey_consistency.scored([*packed, *self.metrics.values()]) if metric is None else None
        usual = next((model.segments for model in self.context.drivers.values()), ())
        segments = [self._segment(name) for name in (usual if by is None else listed(by))]
        spans = tuple(doors.whole(name, value, 1, 1_200) for name, value in (("months", months), ("after", after)))
        return journey_friction.ranked(
            self._inputs, found or self._metric(metric), segments, (spans[0], spans[1]), limits,
            doors.whole("seed", seed, 0, 2**32 - 1),
        )  # fmt: skip
