"""What themes go with: the scores of those who name them, and which part they have in a score's change."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Part
from cxlib.periods import Period
from cxlib.reports import bring, voicing
from cxlib.reports.inputs import Inputs

_KINDS = ("nps", "mean", "share")


def scored(inputs: Inputs, metric: Metric, months: int) -> pd.DataFrame:
    """Return the score of those who name each theme beside those who do not; see `Run.theme_scores`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.voice import scored

        answers, codes = _answers(inputs, metric, bring.reach(bring.own(inputs), months))
        wrote = answers["wrote"].to_numpy()
        if not wrote.any():
            raise Undefined(f"no answer to {metric.title} has words in these months")
        found = scored.scores(
            metric, answers.loc[wrote, "y"], codes[wrote], answers.loc[wrote, bring.CUSTOMER], **bring.how(inputs)
        )
        return results.conform(found)

    return inputs.answer("theme_scores", [*_key(inputs, metric), str(months)], make)


def decomposed(inputs: Inputs, metric: Metric, against: Period) -> pd.DataFrame:
    """Return the change of a score split by what answers say; see `Run.theme_decomposition`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.voice import scored

        own = bring.own(inputs)
        answers, codes = _answers(inputs, metric, [against, own])
        if not answers["wrote"].any():
            raise Undefined(f"no answer to {metric.title} has words in {own.title} or {against.title}")
        return scored.decomposed(
            metric, answers["y"], scored.groups(codes, answers["wrote"]), answers["period"], answers[bring.CUSTOMER],
            now=own.label, before=against.label, **bring.how(inputs),
        )  # fmt: skip

    return inputs.answer("theme_decomposition", [*_key(inputs, metric), against.label], make)


def felt(inputs: Inputs, metric: Metric, months: int) -> pd.DataFrame:
    """Return how far the mood of words agrees with the score given, and the mood where it does; see `Run.sentiment`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import voice

        periods = bring.reach(bring.own(inputs), months)
        answers, _ = _answers(inputs, metric, periods)
        rows = voicing.said(inputs, periods).rows.set_index("verbatim_id")
        answers = answers[answers["wrote"]].join(rows[["text", "language"]], on="verbatim_id")
        if answers.empty:
            raise Undefined(f"no answer to {metric.title} has words in these months")
        how = bring.how(inputs)
        found = voice.sentiment(
            answers["text"], answers["y"], language=answers["language"], customer=answers[bring.CUSTOMER],
            redacted=True, **how,
        )  # fmt: skip
        return results.suppress(results.label(found, segment="language"), how["min_n"])

    return inputs.answer("sentiment", [*_key(inputs, metric), str(months)], make)


def _answers(inputs: Inputs, metric: Metric, periods: Sequence[Period]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the answers of a score, with words or without, and which themes each names."""
    from cxlib.analysis import extracts

    if metric.table != "responses" or metric.kind not in _KINDS or isinstance(metric.denominator, Part):
        raise Undefined(f"{metric.title} is no score of answers")
    said = voicing.said(inputs, periods)
    plan = extracts.rows(
        metric, inputs.store().tables, periods, timezone=inputs.context.workspace.timezone,
        columns={"verbatim_id": "response_id"}, touchpoints=inputs.context.touchpoints,
    )  # fmt: skip
    answers = bring.fetch(inputs, plan).dropna(subset="y").reset_index(drop=True)
    place = pd.Index(said.rows["verbatim_id"]).get_indexer(pd.Index(answers["verbatim_id"]))
    codes = said.codes.reindex(place).set_axis(answers.index)
    return answers.assign(wrote=place >= 0), codes


def _key(inputs: Inputs, metric: Metric) -> list[str]:
    return [inputs.context.definition_of(metric), *voicing.key(inputs)]
