"""Who the customers are: groups by what they bought, clusters by how, who moved, and value against loyalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    from cxlib.analysis.segments import ClusterFit

RFM = "rfm"
SAID = {100.0: "promoter", 0.0: "passive", -100.0: "detractor"}
# What is said of a customer far to one side of a habit.
_WORDS = {
    "orders a month": ("buys seldom", "buys often"),
    "amount of an order": ("small orders", "large orders"),
    "share bought with a discount": ("rarely at a discount", "mostly at a discount"),
}
_SCORES = {"recency": ("bought lately", "bought long ago"), "frequency": ("few orders", "many orders"),
           "monetary": ("spent little", "spent much")}  # fmt: skip


def grouped(inputs: Inputs, bins: int) -> pd.DataFrame:
    """Return the groups of customers by how lately, how often and for how much they bought; see `Run.rfm`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import segments

        scored = _scored(bring.orders(inputs), bring.own(inputs), bins)
        how = bring.how(inputs)
        table = scored.reset_index()
        profile = segments.profile(
            scored[["recency", "frequency", "monetary"]], scored["group"], words=_SCORES, segment=RFM, **how
        )
        cells = segments.grid(table, "r", "f", worth="monetary", bins=bins, **how)
        shares = segments.grid(table.assign(whole="all"), "group", "whole", worth="monetary", bins=bins, **how)
        shares = shares[shares["metric"] == "value_share"]
        shares = shares.assign(level=shares["level"].str.removesuffix(" x all"), segment=RFM)
        return results.concat([profile, shares, cells.assign(segment="r x f")])

    return inputs.answer(RFM, [str(bins), *bring.limits(inputs)], make)


def clustered(inputs: Inputs, months: int, k: int | None, seed: int) -> pd.DataFrame:
    """Return clusters of customers by how they buy, or the reason why there are none; see `Run.clusters`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import segments

        own, how = bring.own(inputs), bring.how(inputs)
        features = bring.habits(bring.orders(inputs), bring.since(inputs, months), pd.Timestamp(own.next_day))
        if len(features) < _least_rows(inputs):
            raise Undefined(f"{len(features)} customers bought twice in {months} months: too few for clusters")
        fit = segments.cluster(features, k, np.random.default_rng(seed), confidence=how["confidence"])
        found = segments.profile(features, fit.labels, words=_WORDS, segment="cluster", **how)
        return results.concat([found, _verdict(fit), fit.stability])

    return inputs.answer("clusters", [str(months), str(k), str(seed), *bring.limits(inputs)], make)


def moved(inputs: Inputs, segment: Segment | None, against: Period, bins: int) -> pd.DataFrame:
    """Return where the customers of each level went since another period; see `Run.migration`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import segments

        times = (against, bring.own(inputs))
        levels = [bring.levels(inputs, period, [segment])[segment.title] for period in times] if segment else []
        known = segment is not None and any(_known(one, segment) for one in levels)
        before, after = levels if known else _by_purchases(inputs, times, bins)
        name, how = segment.id if segment and known else RFM, bring.how(inputs)
        moves = _without_gone(inputs, segments.migration(before, after, segment=name, **how), against)
        if segment and not known:
            note = f"nothing is known of customers' {segment.title.lower()}: their groups by purchases instead"
            moves = moves.assign(note=moves["note"].where(moves["note"] != "", note))
        tests = segments.stationarity(before, after, min_n=how["min_n"])
        return results.label(results.concat([moves, tests]), segment=name, at=against.label)

    words = segment.model_dump_json() if segment else f"{RFM} {bins}"
    return inputs.answer("migration", [words, against.label, *bring.limits_of_ends(inputs)], make)


def crossed(inputs: Inputs, metric: Metric, months: int) -> pd.DataFrame:
    """Return customers by what they spent and what they last said; see `Run.value_and_loyalty`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import extracts, segments

        own, zone = bring.own(inputs), inputs.context.workspace.timezone
        plan = extracts.rows(
            metric, inputs.store().tables, bring.reach(own, months), timezone=zone,
            columns={"answered_at": "responded_at", "answer": "response_id"},
        )  # fmt: skip
        said = bring.fetch(inputs, plan).dropna(subset="y").sort_values(["answered_at", "answer"])
        last = said.groupby(bring.CUSTOMER)["y"].last()
        bought = bring.orders(inputs)
        spent = bought[bought["ordered_at"] >= bring.since(inputs, months)].groupby(bring.CUSTOMER)["amount"].sum()
        table = pd.DataFrame({"value": spent.reindex(last.index).fillna(0.0), "loyalty": last.map(SAID)})
        if table.empty:
            raise Undefined(f"nobody answered {metric.id} in {months} months")
        return segments.grid(table, "value", "loyalty", **bring.how(inputs))

    parts = [inputs.context.definition_of(metric), str(months), *bring.limits(inputs)]
    return inputs.answer("value_and_loyalty", parts, make)


def _scored(bought: pd.DataFrame, period: Period, bins: int) -> pd.DataFrame:
    """Return the scores of the customers who bought by the end of a period."""
    from cxlib.analysis import segments

    bought = bought[bought["ordered_at"] < pd.Timestamp(period.next_day)]
    if bought.empty:
        raise Undefined(f"nothing was bought by the end of {period.title}")
    return segments.rfm(bought, bring.last_day(period), bins=bins)


def _by_purchases(inputs: Inputs, periods: Sequence[Period], bins: int) -> list[pd.Series[Any]]:
    """Return the group of each customer by purchases at the end of each period."""
    bought = bring.orders(inputs)
    return [_scored(bought, period, bins)["group"] for period in periods]


def _known(levels: pd.Series[Any], segment: Segment) -> bool:
    """Say whether any customer has a level of a segment other than its catch-all."""
    return bool((levels != segment.otherwise).any())


def _without_gone(inputs: Inputs, moves: pd.DataFrame, against: Period) -> pd.DataFrame:
    """Take out who left where the workspace cannot tell: without ends of subscriptions recorded from then on."""
    if "subscriptions" in inputs.store().tables:
        recorded = bring.since_when(inputs, bring.spells(inputs)["ended_on"])
        if recorded is not None and pd.Timestamp(against.next_day) >= recorded:
            return moves
    left = (moves["metric"] == "transition") & (moves["against"] == "gone")
    note = "this workspace does not tell who left since then"
    return results.conform(
        moves.assign(status=moves["status"].mask(left, results.UNDEFINED), note=moves["note"].mask(left, note))
    )


def _verdict(fit: ClusterFit) -> pd.DataFrame:
    """Return the verdict on the clusters as a row: how many, and why they are clear or not."""
    return results.frame(
        metric="clusters", segment="cluster", comparison="index", estimate=float(fit.k if fit.clear else 1),
        n=float(fit.labels.notna().sum()), method=fit.method, note=f"{fit.verdict}: {fit.why}",
    )  # fmt: skip


def _least_rows(inputs: Inputs) -> int:
    return max(50, inputs.context.workspace.min_n)
