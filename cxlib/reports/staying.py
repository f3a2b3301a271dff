"""Why customers stay: churn, retention, survival, reasons, and what they did after what they said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Segment
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

_TIMES = (3, 6, 12, 24, 36)  # months at which the curves are read


def left(inputs: Inputs) -> pd.DataFrame:
    """Return churn of the period by each of its four denominators; see `Run.churn`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        own, spells = bring.own(inputs), _recorded(inputs)
        recorded = bring.since_when(inputs, spells["ended_on"])
        if recorded is None or pd.Timestamp(own.first_day) < recorded:
            raise Undefined("this period begins before ends of subscriptions were recorded")
        return loyalty.churn(spells, own.first_day, own.next_day, **bring.how(inputs))

    return inputs.answer("churn", bring.limits_of_ends(inputs), make)


def kept(inputs: Inputs, cohorts: int, kind: str) -> pd.DataFrame:
    """Return which share of each cohort is still there at each age; see `Run.retention`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        own, spells = bring.own(inputs), _recorded(inputs)
        # Of those who came before ends were recorded only the ones who stayed are known.
        known = spells.loc[spells["watched"] == 0, "started_on"].min()
        since = max(pd.Timestamp(own.previous(cohorts - 1).first_day), pd.Timestamp(known))
        unit = own.kind if own.kind in ("month", "quarter", "week") else "month"
        return loyalty.retention_triangle(spells, own.next_day, since=since, unit=unit, kind=kind, **bring.how(inputs))

    return inputs.answer("retention", [str(cohorts), kind, *bring.limits_of_ends(inputs)], make)


def survived(inputs: Inputs, by: Segment | None, horizon: float) -> pd.DataFrame:
    """Return how long customers stay, by group; see `Run.survival`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        known, how = _recorded(inputs, [by] if by else []), bring.how(inputs)
        spells = _watched(known)
        times = [float(t) for t in range(int(horizon) + 1)]
        group = spells[by.title] if by else None
        who: dict[str, Any] = {"by": group, "entry": spells["watched"]}
        found = loyalty.survival(spells["months"], spells["ended"], at=times, horizon=horizon, **who, **how)
        parts = [found]
        if group is not None and len(group.unique()) > 1:
            tested = loyalty.log_rank(
                spells["months"], spells["ended"], group, entry=spells["watched"], min_n=how["min_n"]
            )
            parts.append(tested)
        return _named(_since(inputs, results.concat(parts), known["ended_on"]), by)

    return inputs.answer("survival", [_words(by), f"{horizon:g}", *bring.limits_of_ends(inputs)], make)


def hazards(inputs: Inputs, segments: Sequence[Segment]) -> pd.DataFrame:
    """Return what goes with leaving sooner, all else equal, and whether it stays so; see `Run.hazard_ratios`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        spells, titles = _watched(_recorded(inputs, segments)), [segment.title for segment in segments]
        how = bring.how(inputs)
        fit = loyalty.cox(spells, "months", "ended", titles, entry="watched", cluster=bring.CUSTOMER)
        ratios = fit.ratios(how["confidence"], how["min_n"])
        return results.concat([ratios, loyalty.proportional_hazards(fit, confidence=how["confidence"])])

    return inputs.answer("hazard_ratio", [*map(_words, segments), *bring.limits_of_ends(inputs)], make)


def reasons(inputs: Inputs, horizon: float) -> pd.DataFrame:
    """Return which share has left for each reason by each age; see `Run.reasons`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        spells = _watched(_recorded(inputs))
        if not (spells["end_reason"].dropna() != "not told").any():
            raise Undefined("this workspace does not tell why customers leave")
        return loyalty.competing_reasons(
            spells["months"], spells["ended"], spells["end_reason"], at=[t for t in _TIMES if t <= horizon],
            horizon=horizon, entry=spells["watched"], **bring.how(inputs),
        )  # fmt: skip

    return inputs.answer("reasons", [f"{horizon:g}", *bring.limits_of_ends(inputs)], make)


def done(inputs: Inputs, metric: Metric, months: int, days: int) -> pd.DataFrame:
    """Return what promoters, passives and detractors did in the days after; see `Run.say_and_do`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        answers = bring.afterwards(inputs, metric, months, days).rename(columns={"y": "said"})
        if answers.empty:
            raise Undefined(f"no answer of {months} months is {days} days old by the end of the period")
        told = [name for name in ("churned", "spend", "referrals") if answers[name].notna().any()]
        kinds = {name: kind for name, kind in
                 (("churned", "share"), ("spend", "mean"), ("referrals", "mean")) if name in told}  # fmt: skip
        if not told:
            raise Undefined("this workspace does not tell what customers did afterwards")
        frame = answers.astype(dict.fromkeys(told, float))
        return loyalty.say_and_do(frame, outcomes=told, kinds=kinds, window=f"{days} days", **bring.how(inputs))

    parts = [inputs.context.definition_of(metric), str(months), str(days), *bring.limits(inputs)]
    return inputs.answer("say_and_do", parts, make)


def again(inputs: Inputs, windows: Sequence[int], by: Segment | None) -> pd.DataFrame:
    """Return the share of customers who buy again within each window; see `Run.repeat_purchase`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import loyalty

        bought, end = bring.orders(inputs, [by] if by else []), bring.last_day(bring.own(inputs))
        if bought.empty:
            raise Undefined("nothing was bought by the end of this period")
        name = by.title if by else ""
        found = loyalty.repeat_purchase(bought, end=end, windows=list(windows), by=name, **bring.how(inputs))
        return _named(found, by)

    return inputs.answer("repeat_purchase", [_words(by), *map(str, windows), *bring.limits(inputs)], make)


def _recorded(inputs: Inputs, segments: Sequence[Segment] = ()) -> pd.DataFrame:
    """Return spells of subscribing; `Undefined` where there are none, or none has ended: silence is no loyalty."""
    found = bring.spells(inputs, segments)
    if found.empty:
        raise Undefined("nobody has subscribed by the end of this period")
    if not found["ended"].any():
        raise Undefined("no subscription is known to have ended by the end of this period")
    return found


def _watched(known: pd.DataFrame) -> pd.DataFrame:
    """Return the spells that anybody could be seen to end: not those that were over before records began."""
    return known[known["months"] > known["watched"]].reset_index(drop=True)


def _since(inputs: Inputs, found: pd.DataFrame, ends: pd.Series[Any]) -> pd.DataFrame:
    """Say in the method since when ends are recorded: subscriptions from before count from then on."""
    when = bring.since_when(inputs, ends)
    words = f"{when:%Y-%m-%d}" if when is not None else "never"
    return found.assign(
        method=found["method"].where(found["method"] == "", found["method"] + f", ends known from {words}")
    )


def _named(found: pd.DataFrame, by: Segment | None) -> pd.DataFrame:
    """Name the dimension by the segment's id."""
    return results.conform(found.assign(segment=found["segment"].replace({by.title: by.id}))) if by else found


def _words(segment: Segment | None) -> str:
    return segment.model_dump_json() if segment else "all"
