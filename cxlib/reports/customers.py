"""The questions about customers that a run answers, as an analyst or a notebook asks them.

Each answer is a result frame, made of rows that name customers and frozen without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.params.models import DriverModel, Metric
from cxlib.reports import belonging, driving, partnering, staying, worth
from cxlib.reports.named import Named, listed

_MOST = 1_200  # months; a hundred years


class Customers(Named):
    """What `Run` answers about who customers are, what drives them, why they stay and what they are worth."""

    def drivers(self, model: str = "", months: int = 12, method: str = "lmg", seed: int = 1) -> pd.DataFrame:
        """Say what goes with a score: how much of its differences, how many points, and how well each thing goes.

        Parameters
        ----------
        model
            A model of `params/drivers`; '' for the pack's first.
        months
            How far back answers count.
        method
            `lmg` (up to 20 drivers) or `johnson`.
        seed
            Of the bootstrap and the imputations.

        Returns
        -------
        pandas.DataFrame
            Rows of a driver in `level`: metric `importance` (share of R2), `rank`, the outcome's own (an average effect
            in its points), `performance` (0 to 100); and one row `r_squared`. See `analysis.drivers`.
        """
        return driving.driven(self._inputs, self.model(model), _count("months", months), method, _seed(seed))

    def driver_evidence(self, model: str = "", months: int = 12, seed: int = 1) -> pd.DataFrame:
        """Put what customers say, what goes with the score and what experiments show side by side.

        `at` is `stated` (share of comments that name the driver's theme), `derived` or `experimental`. Parameters as in
        `drivers`; see `analysis.drivers.compare`.
        """
        return driving.evidence(self._inputs, self.model(model), _count("months", months), _seed(seed))

    def root_causes(self, model: str = "", against: str = "year_ago", months: int = 3, seed: int = 1) -> pd.DataFrame:
        """Split the change of a score into product, service, channel, digital, mix and what nothing explains.

        Parameters
        ----------
        model, seed
            As in `drivers`.
        against
            `previous`, `year_ago` or a period: the months up to its end are compared with those up to the run's.
        months
            How many answers' months stand on either side.

        Returns
        -------
        pandas.DataFrame
            Rows of leaves and of drivers that add up to the change. See `analysis.drivers.root_causes`.
        """
        other = self._against(against)
        return driving.caused(self._inputs, self.model(model), _count("months", months), other, _seed(seed))

    def partners(
        self, metric: str | Metric | None = None, by: str = "partner", months: int = 12,
        case_mix: Sequence[str] | str = (), intended: float | None = None, seed: int = 1,
    ) -> pd.DataFrame:  # fmt: skip
        """Compare sellers, carriers, sites or agents by a metric: shrunk, adjusted, with the ranks that each may have.

        Parameters
        ----------
        metric
            A score, share or mean; None for the lead metric.
        by
            A segment of events that names the partner.
        months
            How far back rows count.
        case_mix
            Segments of customers that partners do not choose.
        intended
            What the brand intends; None for the metric's target.
        seed
            Of the ranks' draws.

        Returns
        -------
        pandas.DataFrame
            See `analysis.partners.league`, `funnel`, `spread` and `transfer`.
        """
        found = self._metric(metric)
        segments = [self._segment(name) for name in listed(case_mix)]
        meant = found.target if intended is None else intended
        if meant is not None and (isinstance(meant, bool) or not isinstance(meant, int | float)):
            raise UsageError(f"intended {meant!r} is no number")
        return partnering.compared(
            self._inputs, found, self._segment(by), _count("months", months), segments, _seed(seed), meant
        )

    def rfm(self, bins: int = 5) -> pd.DataFrame:
        """Group customers by how lately, how often and for how much they bought, up to the end of the period.

        Returns
        -------
        pandas.DataFrame
            Segment `rfm`: size, share of all money and profile of each group; segment `r x f`: the cells of recency and
            frequency. See `analysis.segments.rfm` and `profile`.
        """
        return belonging.grouped(self._inputs, bins)

    def clusters(self, months: int = 12, k: int | None = None, seed: int = 1) -> pd.DataFrame:
        """Find clusters of customers by how they buy, or say that there are none.

        Parameters
        ----------
        months
            How far back orders count; customers with two or more are looked at.
        k
            Number of clusters; None lets the rule decide.
        seed
            Of starts and resamples.

        Returns
        -------
        pandas.DataFrame
            Profiles, a row `clusters` with the verdict in its note, and the stability of each number looked at. See
            `analysis.segments.cluster`.
        """
        return belonging.clustered(self._inputs, _count("months", months), k, _seed(seed))

    def migration(self, segment: str = "", against: str = "year_ago", bins: int = 5) -> pd.DataFrame:
        """Say where the customers of each level went since another period.

        Parameters
        ----------
        segment
            A segment of customers; '' for the groups of `rfm`, with `bins` scores.
        against
            `previous`, `year_ago` or a period.

        Returns
        -------
        pandas.DataFrame
            Shares of each origin (`level`) by target (`against`), and tests. See `analysis.segments.migration`.
        """
        found = self._segment(segment) if segment else None
        return belonging.moved(self._inputs, found, self._against(against), bins)

    def value_and_loyalty(self, metric: str | Metric | None = None, months: int = 12) -> pd.DataFrame:
        """Cross what customers spent in the last months with what they last said of us.

        `metric` is an NPS, None for the lead metric; shares of customers and of money in each cell. See
        `analysis.segments.grid`.
        """
        return belonging.crossed(self._inputs, self._said(metric), _count("months", months))

    def churn(self) -> pd.DataFrame:
        """Return churn of the period by each of its four denominators. See `analysis.loyalty.churn`."""
        return staying.left(self._inputs)

    def retention(self, cohorts: int = 13, kind: str = "bounded") -> pd.DataFrame:
        """Return the share of each cohort that is still there at each age. See `loyalty.retention_triangle`."""
        return staying.kept(self._inputs, _count("cohorts", cohorts), kind)

    def survival(self, by: str = "", horizon: float = 36) -> pd.DataFrame:
        """Return how long subscribers stay, in months, by a segment as it was when they began.

        Subscriptions from before ends were recorded count from then on (delayed entry). See `loyalty.survival`.
        """
        return staying.survived(self._inputs, self._segment(by) if by else None, _horizon(horizon))

    def hazard_ratios(self, by: Sequence[str] | str = ("plan", "region", "acquisition_source")) -> pd.DataFrame:
        """Return what goes with leaving sooner, all else equal (Cox), and tests that it stays so over time.

        `by` names segments, as they were when the subscription began. See `analysis.loyalty.hazard_ratios`.
        """
        return staying.hazards(self._inputs, [self._segment(name) for name in listed(by)])

    def reasons(self, horizon: float = 36) -> pd.DataFrame:
        """Return which share leaves for each reason within how many months. See `loyalty.competing_reasons`."""
        return staying.reasons(self._inputs, _horizon(horizon))

    def say_and_do(self, metric: str | Metric | None = None, days: int = 180, months: int = 18) -> pd.DataFrame:
        """Return what promoters, passives and detractors did in the days after they answered.

        Parameters
        ----------
        metric
            An NPS; None for the lead metric.
        days
            How long is looked after an answer; younger answers do not count.
        months
            How far back answers are taken.

        Returns
        -------
        pandas.DataFrame
            See `analysis.loyalty.say_and_do`.
        """
        found = self._said(metric)
        return staying.done(self._inputs, found, _count("months", months), _count("days", days))

    def repeat_purchase(self, windows: Sequence[int] = (30, 90, 180, 365), by: str = "") -> pd.DataFrame:
        """Return which share of customers buys again within so many days. See `analysis.loyalty.repeat_purchase`."""
        if isinstance(windows, str) or not isinstance(windows, Sequence):
            raise UsageError(f"windows is {windows!r}", hint="Give a list of days, as in (30, 90).")
        days = [_count("windows", window) for window in windows]
        return staying.again(self._inputs, days, self._segment(by) if by else None)

    def lifetime_value(self, by: str = "", seed: int = 1) -> pd.DataFrame:
        """Return what customers were worth so far and will be worth over the horizon of `worth` in `workspace.yml`.

        Parameters
        ----------
        by
            A segment of customers, as at the end of the period.
        seed
            Of the draws of the parameters.

        Returns
        -------
        pandas.DataFrame
            Rows `lifetime_value`, `historic_value` and their totals, and the checks that allow the first. See
            `analysis.value`.
        """
        return worth.lifetime(self._inputs, self._segment(by) if by else None, _seed(seed))

    def calibration(self, months: int = 6, seed: int = 1) -> pd.DataFrame:
        """Hold what the model of purchases foresaw for the last months against what came.

        See `analysis.value.calibrate`.
        """
        return worth.held_out(self._inputs, _count("months", months), _seed(seed))

    def worth_of_a_point(
        self, metric: str | Metric = "csat_mean", months: int = 24, by: Sequence[str] | str = ("plan",)
    ) -> pd.DataFrame:
        """Say what a point more of a score is worth: what the same customer spends and how long they stay afterwards.

        Parameters
        ----------
        metric
            A mean score of answers.
        months
            How far back the panel goes.
        by
            Segments within which those who leave are compared.

        Returns
        -------
        pandas.DataFrame
            The links with their controls, and `worth_of_a_point` in money for all customers. See `analysis.value.link`.
        """
        segments = [self._segment(name) for name in listed(by)]
        return worth.of_a_point(self._inputs, self._metric(metric), _count("months", months), segments)

    def keep(self, name: str, make: Callable[[], pd.DataFrame], *parts: str) -> pd.DataFrame:
        """Return a result frame of an analysis of your own: made once, frozen with the run, replayed for ever.

        Parameters
        ----------
        name
            Letters, digits and _: the first part of the frozen file's name.
        make
            Makes the result frame; only called where nothing is frozen.
        parts
            All that changes the answer beside the period and the data.

        Raises
        ------
        UsageError
            For a name that is no file name.
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise UsageError(f"{name!r} cannot be kept under that name", hint="Use letters, digits and _.")
        if not callable(make) or not all(isinstance(part, str) for part in parts):
            raise UsageError("an analysis is kept as a function without arguments, and texts that say what it is of")
        return self._inputs.answer(name, ["kept", *parts], make)

    def outcome(self, model: str = "") -> Metric:
        """Return the metric that a model of drivers explains, under the model's title: it is of these rows only."""
        found = self.model(model)
        return self.metrics[found.outcome].model_copy(update={"title": found.title})

    def model(self, name: str = "") -> DriverModel:
        """Return a model of drivers by its id; the pack's first for ''."""
        known = self.context.drivers
        chosen = name or next(iter((*self.context.report.drivers, *known)), "")
        if not chosen:
            raise UsageError("this workspace has no model of drivers", hint="Add params/drivers/<id>.yml.")
        found: DriverModel = self._known(chosen, known, "model of drivers")
        return found

    def _said(self, metric: str | Metric | None) -> Metric:
        """Return a metric that tells promoters, passives and detractors."""
        found = self._metric(metric)
        if found.kind != "nps":
            raise UsageError(
                f"'{found.id}' is a {found.kind}: what customers said is told by an NPS", hint="Name one, as in 'nps'."
            )
        return found


def _count(what: str, number: int) -> int:
    """Return a number of months or the like; `UsageError` where it counts none."""
    return doors.whole(what, number, 1, _MOST)


def _seed(seed: int) -> int:
    return doors.whole("seed", seed, 0, 2**32 - 1)


def _horizon(months: float) -> float:
    """Return how many months are looked ahead; `UsageError` for what is no such number."""
    if isinstance(months, bool) or not isinstance(months, int | float) or not 1 <= months <= _MOST:
        raise UsageError(f"horizon {months!r} is no number of months from 1 to {_MOST}")
    return float(months)
