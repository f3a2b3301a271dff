"""What a page asks beyond levels and differences: why a number moved, where, whom it speaks for, how it was asked.

Each answer is made from sums that are too fine to be kept; what is frozen is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.params.models import Metric, Part, Segment
from cxlib.periods import Period
from cxlib.reports import disclosure
from cxlib.reports.context import Context
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    from cxlib.measure.joint import Joint

Cut = tuple[Segment, ...]
SPANS = {"month": (3, 12), "quarter": (4,), "week": (4, 13)}  # periods that the long views cover


def clearest(changes: pd.DataFrame, metric: str) -> str:
    """Return the other period of the difference that shows most; empty where none can be told."""
    whole = (changes["segment"] == "all") & (changes["comparison"] == "difference") & (changes["against"] != "target")
    found = changes[whole & (changes["metric"] == metric) & changes["p_value"].notna()]
    if found.empty:
        return ""
    ordered = found.assign(still=found["verdict"] != "moved").sort_values(["still", "p_value", "against"])
    return str(ordered["against"].iloc[0])


def explained(inputs: Inputs, metric: Metric, against: Period, cut: Cut, others: Sequence[Cut] = ()) -> pd.DataFrame:
    """Return the change of a metric split into mix and rate by one segment, or by two at once; see `Run.explain`.

    `others` are cuts that are asked for next: their sums come in the same query.
    """
    context, period = inputs.context, Period.parse(inputs.context.period)
    if metric.kind == "quantile":
        return _unsplit(metric, period)

    def make() -> pd.DataFrame:
        from cxlib.measure import decomposition
        from cxlib.measure.joint import Joint

        inputs.prepare_joints(metric, [cut, *others], [against, period])
        joint = Joint.from_frame(inputs.joint(metric, cut, [against, period]))
        return decomposition.explain(
            metric, joint, against.label, period.label, segment=_named(cut), **_how(context, metric)
        )

    return inputs.result("why", metric, cut, [period.label, against.label], make)


def most_telling(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the split whose mix part stands out most from its error; the first where none can be told.

    Several splits of one change are tried, so the p-values of their totals are adjusted for that.
    """
    from cxlib.measure import changes

    mixes = [frame[(frame["comparison"] == "mix") & (frame["level"] == "all")] for frame in frames]
    p_values = np.array([mix["p_value"].min() if len(mix) else np.nan for mix in mixes], dtype=float)
    if np.isnan(p_values).all():
        return frames[0]
    best = int(np.nanargmin(p_values))
    chosen = frames[best]
    total = (chosen["comparison"] == "mix") & (chosen["level"] == "all")
    adjusted = changes.adjust(p_values, "holm")[best]
    return results.conform(chosen.assign(p_adjusted=chosen["p_adjusted"].mask(total, adjusted)))


def differing(
    inputs: Inputs, metric: Metric, against: Period, segments: Sequence[Segment], *, pairs: bool
) -> pd.DataFrame:
    """Return which levels moved differently from the rest; see `Run.find`."""
    context, period = inputs.context, Period.parse(inputs.context.period)
    if metric.kind == "quantile":
        return _unsplit(metric, period)

    def make() -> pd.DataFrame:
        from cxlib.measure import finder

        joints = dict(_joints(inputs, metric, (against, period), segments, pairs=pairs))
        alpha = 1 - context.workspace.confidence
        return finder.find(joints, against.label, period.label, metric, alpha=alpha, **_how(context, metric))

    return inputs.result("where", metric, segments, [period.label, against.label, f"pairs {pairs}"], make)


def contrasted(inputs: Inputs, metric: Metric, segment: Segment, against: str) -> pd.DataFrame:
    """Return each level of a segment less another level, or less the rest; see `Run.contrast`."""
    context, period = inputs.context, Period.parse(inputs.context.period)

    def make() -> pd.DataFrame:
        from cxlib.measure import changes
        from cxlib.measure.joint import Joint

        joint = Joint.from_frame(inputs.joint(metric, (segment,), [period]))
        pairs = "rest" if against == "rest" else [(n, against) for n in joint.keys["level"] if n != against]
        alpha = 1 - context.workspace.confidence
        return changes.levels(metric, joint, pairs, segment=segment.id, alpha=alpha, **_how(context, metric))

    return inputs.result("levels", metric, (segment,), [period.label, against], make)


def over_time(inputs: Inputs, metric: Metric, periods: Sequence[Period]) -> pd.DataFrame:
    """Return a metric period by period, over rolling spans, and with the season taken out; see `Run.over_time`."""
    from cxlib.measure import estimates, seasonal

    context, how, spans = inputs.context, _how(inputs.context, metric), SPANS[periods[-1].kind]
    labels = [period.label for period in periods]
    plain = inputs.moments(metric, (), periods[-1].last(len(periods) + max(spans) - 1))  # what the first span covers
    if isinstance(plain, str):
        return estimates.undefined(metric, labels, plain)
    levels = estimates.from_moments(metric, plain.loc[~disclosure.hidden(plain)], **how)
    first = levels["period"].min() if len(levels) else ""
    levels = levels.loc[levels["period"].isin(labels)]
    parts = [levels]
    for span in spans if first and not metric.grows_with_time else ():
        # Spans that begin before the first month shown are of no use, and less each other tell of single months.
        full = [period for period in periods if period.last(span)[0] >= Period.parse(first)]
        rolled = inputs.moments(metric, (), full, rolling=span) if full else ""
        if not isinstance(rolled, str):
            parts.append(seasonal.rolling(metric, rolled.loc[~disclosure.hidden(rolled)], span, first=first, **how))
    if periods[-1].kind != "week":
        parts.append(seasonal.adjusted(levels, confidence=context.workspace.confidence))
    return results.concat(parts)


def watched(inputs: Inputs, metric: Metric, looks: Sequence[Period]) -> pd.DataFrame:
    """Return a metric look by look, all answers since the first in each; see `Run.watch`."""
    from cxlib.measure import estimates, sequential

    before = looks[0].previous()
    past = inputs.moments(metric, (), [before], rolling=len(looks))
    parts = [inputs.moments(metric, (), [look], rolling=number) for number, look in enumerate(looks, start=1)]
    known = [part for part in parts if not isinstance(part, str)]
    if isinstance(past, str) or not known:
        return estimates.undefined(
            metric, [look.label for look in looks], past if isinstance(past, str) else "no answers"
        )
    # How long the looks will go on was known beforehand, and how many answer in so long a time from the time before.
    customers = float(past["clusters"].fillna(0).sum())
    frame = pd.concat(known, ignore_index=True)
    frame = frame.loc[~disclosure.hidden(frame)].reset_index(drop=True)
    n_star = max(customers, inputs.context.least(metric))
    found = sequential.looks(metric, frame, n_star=n_star, **_how(inputs.context, metric))
    few = [look.label for look in looks if look.label not in set(found["period"])]
    rest = results.frame(
        period=few, metric=metric.id, status=results.SUPPRESSED, note="fewer customers than may be shown"
    )
    return results.label(results.concat([rest, found]), at=f"since {looks[0].label}")


def audited(inputs: Inputs, scores: Sequence[Metric], questions: Sequence[Metric]) -> pd.DataFrame:
    """Return how often each defect of the survey occurs, and what it does to a score; see `Run.audit`."""
    from cxlib.measure import changes, estimates

    context, period = inputs.context, inputs.context.period
    parts = [_refused(inputs)]
    for question in questions:
        found = inputs.moments(question, (), [Period.parse(period)])
        if not isinstance(found, str) and found.empty:
            found = "no answers in question in this period"
        if isinstance(found, str):
            parts.append(estimates.undefined(question, [period], found))
            continue
        parts.append(estimates.from_moments(question, found.loc[~disclosure.hidden(found)], **_how(context, question)))
        parts.append(_effect(inputs, scores, question))
    alpha, confidence = 1 - context.workspace.confidence, context.workspace.confidence
    return changes.judge(results.concat(parts), [*scores, *questions], alpha=alpha, confidence=confidence)


def _refused(inputs: Inputs) -> pd.DataFrame:
    """Return the share of answers that intake refused for a score outside its scale; intake counts them by month."""
    from cxlib.measure import audit, estimates

    period, question = Period.parse(inputs.context.period), audit.OUT_OF_RANGE
    if period.kind == "week":
        return estimates.undefined(question, [period.label], "refused answers are counted by the month")

    def make() -> pd.DataFrame:
        store = inputs.store()
        if "responses" not in store.tables:
            return audit.refused({period.label: (0, 0)})
        start, until = period.bounds(inputs.context.workspace.timezone)
        answers = store.tables["responses"]
        kept = store.run(answers.filter(answers.responded_at >= start, answers.responded_at < until).count().as_table())
        months = [month for batch in store.snapshot.batches for month in batch.out_of_range.items()]
        bad = sum(
            count for label, count in months if period.first_day <= Period.parse(label).first_day < period.next_day
        )
        return audit.refused(
            {period.label: (bad, int(kept.iloc[0, 0]))}, confidence=inputs.context.workspace.confidence
        )

    found = inputs.result("refused", question, (), [period.label], make)
    return estimates.suppressed(found, found["n"].to_numpy(), inputs.context.workspace.min_n)


def _effect(inputs: Inputs, scores: Sequence[Metric], question: Metric) -> pd.DataFrame:
    """Return what flagged answers do to the first score that any of them belong to."""
    from cxlib.measure import audit

    context, period = inputs.context, Period.parse(inputs.context.period)
    found = results.empty()
    for score in (one for one in scores if audit.fits(one, question)):
        segment = audit.segment_of(question)
        parts = [period.label, context.definition_of(question)]

        def make(score: Metric = score, segment: Segment = segment) -> pd.DataFrame:
            return audit.effect(score, question, inputs.joint(score, (segment,), [period]), **_how(context, score))

        found = inputs.result("audit", score, (segment,), parts, make)
        if (found["status"] != results.UNDEFINED).any():
            break
    return found


def _joints(
    inputs: Inputs, metric: Metric, periods: Sequence[Period], segments: Sequence[Segment], *, pairs: bool
) -> Iterator[tuple[str, Joint]]:
    """Yield the joint sums of every segment, and of every two, that the workspace can give."""
    from cxlib.measure.joint import Joint
    from cxlib.measure.plans import Undefined

    inputs.prepare_joints(metric, _cuts(metric, segments, pairs=pairs), periods)
    known = []
    for segment in segments:
        try:
            yield segment.id, Joint.from_frame(inputs.joint(metric, (segment,), periods))
        except Undefined:
            continue
        known.append(segment)
    for cut in _cuts(metric, known, pairs=pairs)[len(known) :]:
        yield _named(cut), Joint.from_frame(inputs.joint(metric, cut, periods))


def _cuts(metric: Metric, segments: Sequence[Segment], *, pairs: bool) -> list[Cut]:
    """Return every segment by itself, and every two of them that leave levels a denominator."""
    single: list[Cut] = [(segment,) for segment in segments]
    two = list(combinations(segments, 2)) if pairs else []
    apart = isinstance(metric.denominator, Part)
    return [*single, *(cut for cut in two if not apart or cut[0].on == cut[1].on)]


def _unsplit(metric: Metric, period: Period) -> pd.DataFrame:
    """Return the row of a quantile, of which no parts add up."""
    from cxlib.measure import estimates

    return estimates.undefined(metric, [period.label], "a quantile is not made of sums: its change has no parts")


def _how(context: Context, metric: Metric) -> dict[str, Any]:
    """Return what every method is told of the workspace and the metric."""
    return {
        "confidence": context.workspace.confidence,
        "min_n": context.least(metric),
        "definition": context.definition_of(metric),
    }


def _named(cut: Sequence[Segment]) -> str:
    return " x ".join(segment.id for segment in cut)
