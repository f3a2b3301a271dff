"""Who delivers it: partners compared fairly, and what they deliver against what was intended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Part, Segment
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

_MANY = 10  # partners, from which on it can be told how far they differ anyway
_KINDS = ("nps", "mean", "share")


def compared(inputs: Inputs, metric: Metric, by: Segment, months: int, segments: Sequence[Segment], seed: int,
             intended: float | None) -> pd.DataFrame:  # fmt: skip
    """Return the partners' standing, ranks, control limits and gap to the intended; see `Run.partners`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import partners

        if metric.kind not in _KINDS or isinstance(metric.denominator, Part):
            raise Undefined(f"'{metric.id}' is a {metric.kind}: partners are compared by scores, shares and means")
        rows = bring.partners(inputs, metric, by, bring.reach(bring.own(inputs), months), {}, segments)
        if rows["partner"].notna().sum() == 0:
            raise Undefined(f"no row of {metric.id} names its {by.title.lower()}")
        mix = [segment.id for segment in segments]
        fit = partners.fit(
            rows, "y", "partner", case_mix=mix, kind=_kind(metric, rows["y"]), metric=metric.id, **bring.how(inputs)
        )
        better = metric.higher_is_better is not False
        usual = "additive" if rows["partner"].nunique() >= _MANY else "none"
        matters = metric.change_that_matters
        parts = [
            partners.league(fit, higher_is_better=better, matters=matters, rng=np.random.default_rng(seed)),
            partners.funnel(fit, overdispersion=usual), partners.funnel_limits(fit, overdispersion=usual),
            partners.spread(fit),
        ]  # fmt: skip
        if intended is not None:
            parts.append(partners.transfer_of(fit, intended))
        return _brief(results.concat(parts)).assign(segment=by.id)

    mixed = [segment.model_dump_json() for segment in (by, *segments)]
    parts = [inputs.context.definition_of(metric), *mixed, str(months), str(seed), str(intended)]
    parts += bring.limits(inputs)
    return inputs.answer("partners", parts, make)


def _brief(found: pd.DataFrame) -> pd.DataFrame:
    """Leave out what else is hidden of partners whose standing is: a marketplace has hundreds with a few answers."""
    more = (found["at"] != "") | found["metric"].str.startswith("transfer")
    return found[(found["status"] != results.SUPPRESSED) | ~more].reset_index(drop=True)


def _kind(metric: Metric, values: pd.Series[Any]) -> str:
    """Return how the rows are averaged; rows that are all passive cannot be told from worst scores: a mean of zeros."""
    return "mean" if metric.kind == "nps" and not values.any() else metric.kind
