"""The questions about experiments that a run answers, as an analyst or a notebook asks them."""

from __future__ import annotations

import pandas as pd

from cxlib.errors import UsageError
from cxlib.params.models import Experiment
from cxlib.reports import (
    changing,
    trial_decision,
    trial_design,
    trial_effects,
    trial_health,
    trial_looks,
    trial_segments,
)
from cxlib.reports.named import Named
from cxlib.reports.tried import Tried


class Trials(Named):
    """What `Run` answers about experiments: how to size them, whether to believe them, what they did, what to do."""

    def experiment(self, name: str = "") -> Experiment:
        """Return a registered plan by its id; the report's own for ''."""
        chosen = name or self.context.experiment
        if not chosen:
            raise UsageError("this report is not about an experiment", hint="Name one, as in run.health('new_layout').")
        found: Experiment = self._known(chosen, self.context.experiments, "experiment")
        return found

    def design(self, experiment: str = "") -> pd.DataFrame:
        """Size an experiment before it starts, from what the data showed until then.

        Parameters
        ----------
        experiment
            Its id; '' for the report's own.

        Returns
        -------
        pandas.DataFrame
            The rows of `analysis.experiments.plan` (units, weeks, smallest effect, power, what a covariate would save,
            the guardrails' power), `smallest_effect` by weeks (segment `week`), `power` by effect (segment `effect`),
            and one row `plan` whose note says it in a sentence.
        """
        return trial_design.planned(self._tried(experiment))

    def health(self, experiment: str = "") -> pd.DataFrame:
        """Check an experiment before any effect is read: its arms' sizes, exposures, missing outcomes, the time before.

        Parameters
        ----------
        experiment
            Its id; '' for the report's own.

        Returns
        -------
        pandas.DataFrame
            Rows whose `at` is `passes`, `warns` or `fails`, the gravest first; a failed check withholds the verdict.
            See `analysis.experiments.health`.
        """
        return trial_health.checked(self._tried(experiment))

    def effects(self, experiment: str = "") -> pd.DataFrame:
        """Return what an experiment did to each outcome of its plan.

        Returns
        -------
        pandas.DataFrame
            Per outcome the value of each arm (`level` rows, the arm in `at`), the `difference` of each treatment
            `against` the control, and the `relative` one. Where the plan registered a covariate the difference is
            adjusted for it. The primary outcome is judged by itself (Holm over arms), all others as one family.
        """
        return trial_effects.effects(self._tried(experiment))

    def guardrails(self, experiment: str = "") -> pd.DataFrame:
        """Return whether each guardrail holds: harm as large as its margin is ruled out.

        See `analysis.experiments.non_inferior`.
        """
        return trial_effects.guarded(self._tried(experiment))

    def estimators(self, experiment: str = "") -> pd.DataFrame:
        """Return the primary outcome's effect by each registered method, and the variance that each saved."""
        return trial_effects.methods(self._tried(experiment))

    def answering(self, experiment: str = "") -> pd.DataFrame:
        """Say whether the effect on a survey outcome could be who answered.

        Response by arm, Lee bounds, the effect reweighted to all who were exposed, and what the same customers did.
        See `analysis.experiments.answers_or_experience`.
        """
        return trial_health.answered(self._tried(experiment))

    def subgroups(self, experiment: str = "") -> pd.DataFrame:
        """Return the primary outcome's effect within the segments that the plan registered.

        Returns
        -------
        pandas.DataFrame
            Per segment the plain difference by level, the one that luck is taken out of (metric `<outcome>_shrunk`),
            each level against the others, and a row `interaction` that says whether levels differ at all. See
            `analysis.experiments.subgroups`.
        """
        return trial_segments.within(self._tried(experiment))

    def looks(self, experiment: str = "") -> pd.DataFrame:
        """Return the primary outcome at each registered look, with limits that hold at all of them together.

        See `analysis.experiments.looks`.
        """
        return trial_looks.looked(self._tried(experiment))

    def decision(self, experiment: str = "") -> pd.DataFrame:
        """Return the verdict against the registered plan: `ship`, `do not ship` or `no call`, with reasons in words.

        See `analysis.experiments.decide`; `analysis.experiments.read_decision` has the words back.
        """
        return trial_decision.decided(self._tried(experiment))

    def changes(self) -> pd.DataFrame:
        """Say whether the registered changes whose window ends in the period worked, where nobody randomised.

        Returns
        -------
        pandas.DataFrame
            Per change (`level`) and metric, told apart by `segment`: `design` (which was chosen and why), `effect` by
            each design (`at`), `since start`, `by group`, `path`, `check`, `placebo`, `evidence`, `agreement`; a change
            of a year ago is read again. Of chosen designs' effects verdicts are given, as one family. A row `next` says
            what is due next. See `analysis.effects`.
        """
        return changing.changed(self._inputs)

    def _tried(self, name: str) -> Tried:
        return Tried(self._inputs, self.experiment(name))
