"""The questions that a run answers beyond its levels and differences, as an analyst or a notebook asks them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pandas as pd

from cxlib.errors import UsageError
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.reports import watching, why
from cxlib.reports.named import Named, listed
from cxlib.reports.speaking import spoken_for


class Questions(Named):
    """What `Run` answers from sums that are too fine to be kept."""

    def clearest(self, changes: pd.DataFrame, metric: str | Metric | None = None) -> str:
        """Return the period against which a metric's change shows most: where it moved, else the smallest p-value.

        `changes` holds its differences (`measure` with `compare`); where none can be told, the period before.
        """
        return why.clearest(changes, self._metric(metric).id) or self.period.previous().label

    def explain(
        self, metric: str | Metric | None = None, by: str | Sequence[str] = "", against: str = "previous"
    ) -> pd.DataFrame:
        """Split the change of a metric into who answered (mix) and how they scored (rate).

        Parameters
        ----------
        metric
            Its id or definition; None for the lead metric.
        by
            A segment, or two at once; '' tries each of the pack's and returns the one whose mix stands out most.
        against
            `previous`, `year_ago`, or another period such as `2025-03`.

        Returns
        -------
        pandas.DataFrame
            A result frame: the `difference`, the totals of `mix` and `rate` (level `all`), and a row of each per level,
            whose parts add up to the difference. Rows with `at = "other levels"` sum small parts up for the chart:
            leave them out of sums. Levels' own values and shares stand beside. See `measure.decomposition`.
        """
        of, other = self._metric(metric), self._against(against)
        if by:
            names = listed(by)
            if len(names) > 2:
                raise UsageError(f"a change is split by one segment or by two, not by {', '.join(names)}")
            return why.explained(self._inputs, of, other, tuple(self._segment(name) for name in names))
        cuts = [(self._segment(name),) for name in self.context.report.segments]
        return why.most_telling([why.explained(self._inputs, of, other, cut, cuts) for cut in cuts])

    def find(
        self,
        metric: str | Metric | None = None,
        by: Sequence[str] | str = (),
        against: str = "previous",
        pairs: bool = True,
    ) -> pd.DataFrame:
        """Find the levels of many segments, and of their pairs, that moved differently from the rest.

        Parameters
        ----------
        metric, against
            As in `explain`.
        by
            Segments to look at; none for the pack's.
        pairs
            Whether two segments at once are looked at, too.

        Returns
        -------
        pandas.DataFrame
            A result frame with one row per level tested, false discoveries controlled over all. See `measure.finder`.
        """
        segments = [self._segment(name) for name in listed(by) or self.context.report.segments]
        return why.differing(self._inputs, self._metric(metric), self._against(against), segments, pairs=pairs)

    def contrast(self, by: str, metric: str | Metric | None = None, against: str = "rest") -> pd.DataFrame:
        """Compare the levels of a segment in the run's period: each against another level, or against the rest.

        Parameters
        ----------
        by
            The segment.
        metric
            Its id or definition; None for the lead metric.
        against
            A level, or `rest`: all other levels together.

        Returns
        -------
        pandas.DataFrame
            Difference rows with verdicts; customers who lie in both are allowed for. See `measure.changes.levels`.
        """
        return why.contrasted(self._inputs, self._metric(metric), self._segment(by), against)

    def over_time(self, metric: str | Metric | None = None, periods: int = 36) -> pd.DataFrame:
        """Return a metric's last periods: as they are, over rolling spans, and with the season taken out.

        Level rows, told apart by `at`: empty, `rolling 3` and `rolling 12` (months), `seasonally adjusted`. See
        `measure.seasonal`.
        """
        return why.over_time(self._inputs, self._metric(metric), self.period.last(periods))

    def watch(self, metric: str | Metric | None = None, weeks: int = 13) -> pd.DataFrame:
        """Return what a reader who looks every week may say: each week, all answers since the first of the weeks.

        Parameters
        ----------
        metric
            Its id or definition; None for the lead metric.
        weeks
            How many looks; the last is the last whole week of the run's period.

        Returns
        -------
        pandas.DataFrame
            Level rows, one per week, whose intervals hold at every look (always valid): the first week that lies beyond
            a target may be acted on. Narrowest at the number of customers who answered in as many weeks before. See
            `measure.sequential`.

        Raises
        ------
        UsageError
            For fewer than two weeks.
        """
        if weeks < 2:
            raise UsageError(f"weeks is {weeks}; whoever looks once needs no other interval")
        day = self.period.next_day - timedelta(days=7)
        last = Period(day - timedelta(days=day.weekday()), "week")
        return why.watched(self._inputs, self._metric(metric), last.last(weeks))

    def early_warnings(self) -> pd.DataFrame:
        """Return what `cx watch` would have said by the end of the run's period: one row per signal of `watch.yml`.

        Rows have the signal in `level`: its share in the period with its interval, `moved` where an alarm was raised or
        went on, `could not have been seen` where twice the usual would not be noticed within the period; the note says
        when, against what, and how soon. See `measure.alarms`.
        """
        return watching.warned(self._inputs)

    def audit(self, metric: str | Metric | None = None, questions: Sequence[str] | str = ()) -> pd.DataFrame:
        """Question the survey itself: how often each defect occurs, and what it does to a score.

        Parameters
        ----------
        metric
            The score, of answers; None for the first of the pack's that a defect can touch.
        questions
            Metrics that count a defect; none for those that the pack's YAML lists under `audit`.

        Returns
        -------
        pandas.DataFrame
            Level rows of the questions, and difference rows of the score. See `measure.audit`.
        """
        names = listed(questions) or list(self.context.report.audit)
        scores = [self._metric(metric)] if metric else [self.metrics[name] for name in self.context.report.metrics]
        return why.audited(self._inputs, scores, [self._metric(name) for name in names])

    def speaks_for(
        self, metric: str | Metric | None = None, by: Sequence[str] | str = (), against: str = "previous", seed: int = 1
    ) -> pd.DataFrame:
        """Say whom a score speaks for.

        Parameters
        ----------
        metric
            A share, mean or NPS of answers; None for the lead metric.
        by
            Segments of customers to weight by; none for those of `weighting` in `workspace.yml`.
        against
            The period whose figure those who did not answer would have to undo.
        seed
            Of the replicates.

        Returns
        -------
        pandas.DataFrame
            The score as it is and weighted to the customers, and which of the two leads and why; who answers
            (response rate, R-indicator); and the tipping point. See `measure.weights` and `measure.response`.
        """
        segments = [self._segment(name) for name in listed(by) or self.context.workspace.weighting.segments]
        return spoken_for(self._inputs, self._metric(metric), segments, self._against(against), seed)
