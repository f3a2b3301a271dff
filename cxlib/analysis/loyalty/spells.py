"""Subscriptions as spells: those of one customer that touch or overlap are one, so a change of plan is no loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib.analysis.doors import require
from cxlib.analysis.loyalty import doors
from cxlib.errors import UsageError
from cxlib.measure.rows import Codes, Numbers


class Spells(NamedTuple):
    """Spells sorted by customer and start, in days since 1970; an open one ends at infinity."""

    who: Codes
    start: Numbers
    end: Numbers
    note: str


def spells(frame: pd.DataFrame, customer: str, started_on: str, ended_on: str) -> Spells:
    """Return the spells of a frame; raises `UsageError` for columns that lack, and ends before their starts."""
    require(frame, {"customer": customer, "start": started_on, "end": ended_on})
    who, start = doors.customers(frame[customer]), doors.days(started_on, frame[started_on])
    end = doors.days(ended_on, frame[ended_on])
    end = np.where(np.isnan(end), np.inf, end)
    wrong = end < start
    if wrong.any():
        raise UsageError(f"{ended_on} is before {started_on} in {int(wrong.sum())} rows")
    kept = (who >= 0) & ~np.isnan(start)
    note = doors.listed([(int((~kept).sum()), f"without {customer} or {started_on}")])
    return _merged(who[kept], start[kept], end[kept], note)


def _merged(who: Codes, start: Numbers, end: Numbers, note: str) -> Spells:
    """Join the spells of one customer that touch or overlap."""
    order = np.lexsort((end, start, who))
    who, start, end = who[order], start[order], end[order]
    table = pd.DataFrame({"who": who, "end": end})
    before = table.groupby("who")["end"].cummax().shift(fill_value=-np.inf).to_numpy()
    new = (np.diff(who, prepend=-1) != 0) | (start > before)
    number = np.cumsum(new) - 1
    last = np.full(int(new.sum()), -np.inf)
    np.maximum.at(last, number, end)
    return Spells(who[new], start[new], last, note)
