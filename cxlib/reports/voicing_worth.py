"""What themes cost: what those who name them did in the days after, beside others who wrote of the same."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.reports import bring, voicing
from cxlib.reports.inputs import Inputs


def cost(inputs: Inputs, months: int, days: int) -> pd.DataFrame:
    """Return what those who name each theme spent and whether they left, beside others; see `Run.theme_costs`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.voice import worth

        said = voicing.said(inputs, bring.reach(bring.own(inputs), months))
        rows = said.rows.assign(answered_at=_local(inputs, said.rows["at"]))
        until = pd.Timestamp(bring.own(inputs).next_day)
        over = rows[bring.CUSTOMER].notna() & (rows["answered_at"] + pd.Timedelta(days=days) < until)
        rows, codes, how = rows[over].reset_index(drop=True), said.codes[over].reset_index(drop=True), bring.how(inputs)
        if rows.empty:
            raise Undefined(f"no text of {months} months is {days} days old by the end of the period")
        place = rows["period"] + " " + rows["touchpoint"].fillna("") + " " + rows["instrument"].fillna("")
        tables, shared = inputs.store().tables, {"days": days, **how}
        who, parts, span = rows[bring.CUSTOMER], [], f", texts of {months} months"
        if "orders" in tables:
            after, before = _spent(bring.orders(inputs), rows, days)
            spend = worth.afterwards(after, codes, who, place, metric=worth.SPEND, before=before, **shared)
            parts += [spend, worth.in_all(spend, codes.apply(lambda named: who[named == 1].nunique()))]
        if "subscriptions" in tables:
            left = bring.left_after(rows, bring.spells(inputs), days)
            parts.append(worth.afterwards(left, codes, who, place, metric=worth.LEFT, **shared))
        if not parts:
            raise Undefined("this workspace does not tell what customers did afterwards")
        found = results.concat(parts)
        return results.label(found, method=found["method"].mask(found["method"] != "", found["method"] + span))

    return inputs.answer("theme_costs", [str(months), str(days), *voicing.key(inputs)], make)


def _local(inputs: Inputs, times: pd.Series) -> pd.Series:
    return times.dt.tz_localize("UTC").dt.tz_convert(inputs.context.workspace.timezone).dt.tz_localize(None)


def _spent(bought: pd.DataFrame, rows: pd.DataFrame, days: int) -> tuple[pd.Series, pd.Series]:
    """Return what each text's customer spent in the days after it, and in as many before."""
    number, known = pd.factorize(rows[bring.CUSTOMER])
    own = bought.assign(who=known.get_indexer(bought[bring.CUSTOMER]))[["who", "ordered_at", "amount"]]
    own = own[own["who"] >= 0].sort_values("ordered_at", kind="stable")
    own = own.assign(total=own.groupby("who")["amount"].cumsum(), at=own["ordered_at"].astype("datetime64[us]"))

    def upto(shift: int) -> np.ndarray:
        at = (rows["answered_at"] + pd.Timedelta(days=shift)).astype("datetime64[us]")
        asked = pd.DataFrame({"who": number, "at": at, "row": np.arange(len(rows))}).sort_values("at", kind="stable")
        found = pd.merge_asof(asked, own[["who", "at", "total"]], on="at", by="who").sort_values("row")
        return found["total"].fillna(0.0).to_numpy()

    first, now, last = (upto(shift) for shift in (-days, 0, days))
    return pd.Series(last - now, rows.index), pd.Series(now - first, rows.index)
