"""What customers are worth, whether the model of it can be trusted, and what a point of satisfaction is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.params.models import Metric, Segment
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs
from cxlib.reports.panel import panel as panel_of

_PER = {"nps": 10.0}  # how many points of a score an effect is told for
_DAY = pd.Timedelta(days=1)
_WEEKS = 52.1775 / 12  # of a month


@dataclass(frozen=True)
class Bought:
    """Orders up to the end of a period, the last day of these, and what is earned of an amount.

    The orders tell customers by numbers, which are places in `ids`, sorted.
    """

    orders: pd.DataFrame
    end: pd.Timestamp
    margin: float
    ids: pd.Index


def lifetime(inputs: Inputs, by: Segment | None, seed: int) -> pd.DataFrame:
    """Return what customers were and will be worth, with the checks that allow it; see `Run.lifetime_value`."""
    worth = inputs.context.workspace.worth

    def make() -> pd.DataFrame:
        from cxlib.analysis import value

        bought = _bought(inputs)
        columns = (bring.CUSTOMER, "ordered_at", "amount")
        summary = value.summarise_transactions(bought.orders, *columns, end=bought.end)
        purchases = value.fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
        spend = value.fit_gamma_gamma(summary["frequency"], summary["monetary_value"])
        season = value.season(bought.orders, *columns[:2], purchases, end=bought.end)
        people = bought.ids[summary.index]
        here = _staying(inputs, people)
        groups = _groups(inputs, by, people[here], summary.index[here])
        named: dict[str, Any] = {"segment": by.id if by else "group", "groups": groups}
        how: dict[str, Any] = {"discount": worth.discount_rate, "margin": bought.margin, **bring.how(inputs)}
        ahead = value.lifetime_value(
            purchases, spend, summary[here], horizon=worth.horizon_months * _WEEKS, rng=np.random.default_rng(seed),
            **named, **how,
        )  # fmt: skip
        theirs = bought.orders[np.isin(bought.orders[bring.CUSTOMER], summary.index[here])]
        past = value.historic_value(theirs, columns[0], columns[1], columns[2], end=bought.end, **named, **how)
        checked = value.checks(summary, purchases, spend, season=season)
        left = [_without(rows, int((~here).sum())) for rows in (_doubted(ahead.rows, checked), past.rows)]
        return results.concat([*left, checked])

    return inputs.answer("lifetime_value", [*_key(inputs), by.model_dump_json() if by else "", str(seed)], make)


def _staying(inputs: Inputs, customers: pd.Index) -> Any:
    """Say which customers are not known to have left: no subscription of theirs runs any more, where there are any."""
    return bring.levels(inputs, bring.own(inputs), []).index.get_indexer(customers) >= 0


def _doubted(rows: pd.DataFrame, checked: pd.DataFrame) -> pd.DataFrame:
    """Say in each value what it hangs on: the assumptions that are in doubt."""
    doubts = int(checked["note"].str.startswith("doubt").sum())
    return (
        _told(rows, f"holds if the model does: {doubts} of {len(checked)} assumptions are in doubt") if doubts else rows
    )


def _without(rows: pd.DataFrame, left: int) -> pd.DataFrame:
    """Say in each value who is not in it."""
    return _told(rows, f"{left:,} who are known to have left are not in it") if left else rows


def _told(rows: pd.DataFrame, words: str) -> pd.DataFrame:
    """Add words to the notes of rows that have a number."""
    notes = (rows["note"] + "; " + words).str.removeprefix("; ")
    return results.conform(rows.assign(note=rows["note"].mask(rows["status"] == results.OK, notes)))


def held_out(inputs: Inputs, months: int, seed: int) -> pd.DataFrame:
    """Return what the model foresaw for the last months against what came; see `Run.calibration`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import value

        bought = _bought(inputs)
        split = bought.end + _DAY - pd.DateOffset(months=months) - _DAY
        found = value.calibrate(
            bought.orders, bring.CUSTOMER, "ordered_at", "amount", split=split, end=bought.end,
            **bring.how(inputs),
        )  # fmt: skip
        return results.concat([found.classes, found.tracking])

    return inputs.answer("calibration", [*_key(inputs), str(months), str(seed)], make)


def of_a_point(inputs: Inputs, metric: Metric, months: int, segments: list[Segment]) -> pd.DataFrame:
    """Return what a point more of a score is worth in money; see `Run.worth_of_a_point`."""
    points, settings = _PER.get(metric.kind, 1.0), inputs.context.workspace.worth

    def make() -> pd.DataFrame:
        from cxlib.analysis import value

        own = bring.own(inputs)
        panel = panel_of(inputs, metric, bring.reach(own, months), segments)
        if "spend" not in panel:
            raise Undefined("this workspace has no table 'orders'")
        titles = [segment.title for segment in segments]
        leaves = panel["churned"].notna().any()
        spend = value.fit_link(panel, per=points)
        leaving = value.fit_churn(panel, segments=titles, per=points) if leaves else None
        total = value.worth(
            spend, leaving,
            customers=float(_present(inputs)), horizon=len(bring.reach(own, settings.horizon_months)),
            margin=_bought(inputs).margin, metric="worth_of_a_point", confidence=inputs.context.workspace.confidence,
        )  # fmt: skip
        links = _links(inputs, panel, titles, (spend, leaving), points)
        grades = [f"{name} {_grade(one, name)}" for one, name in zip(links, ("spend", "churned"), strict=True)]
        words = total["method"].str.replace("periods", f"{own.kind}s")
        total = total.assign(
            method=words, note=total["note"].where(total["note"] != "", f"evidence: {', '.join(grades)}")
        )
        return results.concat([*links, total])

    parts = [inputs.context.definition_of(metric), str(months), *(s.model_dump_json() for s in segments)]
    parts += _key(inputs)
    return inputs.answer("worth_of_a_point", parts, make)


def _links(
    inputs: Inputs, panel: pd.DataFrame, titles: list[str], fits: tuple[Any, Any], points: float
) -> list[pd.DataFrame]:
    """Return what a point goes with in spending and, where that is fitted, in leaving, with its checks."""
    from cxlib.analysis import value

    control = inputs.context.workspace.worth.negative_control
    known = [control.title] if control is not None and control.title in panel else []
    how: dict[str, Any] = {"negative_control": known, "per": points, **bring.how(inputs)}
    spend, leaving = fits
    if leaving is None:
        left = results.frame(
            metric="churned", level="satisfaction", at="1", comparison="relative", against="a point less",
            status=results.UNDEFINED, note="nobody was seen to leave",
        )  # fmt: skip
    else:
        left = _graded(value.link_churn(panel, segments=titles, fitted=leaving, **how), "churned")
    return [_graded(value.link(panel, fitted=spend, **how), "spend"), left]


def _bought(inputs: Inputs) -> Bought:
    """Return the orders and the mean margin; `Undefined` where nothing was bought."""
    orders = bring.orders(inputs)
    if orders.empty:
        raise Undefined("nothing was bought by the end of this period")
    total = float(orders["amount"].sum())
    margin = float(orders["margin"].sum()) / total if total > 0 else 1.0
    who, ids = pd.factorize(orders[bring.CUSTOMER], sort=True)
    numbered = orders[["ordered_at", "amount"]].assign(**{bring.CUSTOMER: who})
    return Bought(numbered, pd.Timestamp(bring.last_day(bring.own(inputs))), margin, pd.Index(ids))


def _groups(inputs: Inputs, by: Segment | None, customers: pd.Index, numbers: pd.Index) -> pd.Series[Any] | None:
    """Return the level of each customer, by number; None where all are alike."""
    if by is None:
        return None
    found = bring.levels(inputs, bring.own(inputs), [by])[by.title].reindex(customers)
    return found.set_axis(numbers) if len(found.unique()) > 1 else None


def _present(inputs: Inputs) -> int:
    """Return how many customers there are at the end of the period."""
    return len(bring.levels(inputs, bring.own(inputs), []))


def _grade(found: pd.DataFrame, outcome: str) -> str:
    """Return the grade of a link in a word; that nothing is known where there is none."""
    from cxlib.analysis import value

    known = found.loc[found["metric"] == outcome, "status"] == results.OK
    return value.evidence(found, outcome=outcome).grade if known.any() else "unknown"


def _graded(found: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Write what may be said of a link into the rows of its outcome."""
    from cxlib.analysis import value

    grade = value.evidence(found, outcome=outcome)
    main = (found["metric"] == outcome) & (found["at"] == "1") & (found["segment"] == "all") & (found["note"] == "")
    return results.conform(found.assign(note=found["note"].mask(main, f"{grade.grade}: {grade.why}")))


def _key(inputs: Inputs) -> list[str]:
    return [inputs.context.workspace.worth.model_dump_json(), *bring.limits(inputs)]
