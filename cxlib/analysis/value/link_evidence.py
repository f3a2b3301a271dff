"""How far a link may be called an effect: what its own checks say, in one of a few words."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from cxlib import results
from cxlib.analysis.value.link_churn import HAZARD
from cxlib.errors import UsageError

UNKNOWN, NOT_SHOWN, CONFOUNDED, BOTH_WAYS, UNTESTED, HELD = (
    "unknown", "not shown", "more than an effect", "runs both ways", "untested", "held up",
)  # fmt: skip
GRADES = (UNKNOWN, NOT_SHOWN, CONFOUNDED, BOTH_WAYS, UNTESTED, HELD)


_ROBUST = "double-filter"


class Evidence(NamedTuple):
    """What may be said of a link.

    Parameters
    ----------
    grade
        One of `GRADES`. `unknown`: there is no estimate. `not shown`: it may be nothing. `more than an effect`: what
        satisfaction cannot touch moves with it, too, so that something else is behind both. `runs both ways`: what was
        bought before goes with the answer after it (orders bring experiences); the method `predetermined` allows for
        that, but not for anything that moves both. `untested`: no control could have found anything. `held up`: the
        controls found nothing, and would have seen an effect of this size.
    why
        One sentence.
    """

    grade: str
    why: str


def linked(frame: pd.DataFrame) -> list[str]:
    """Return the outcomes that a frame holds links to: effects have a row `difference`, checks have none."""
    own = frame[(frame["segment"] == "all") & frame["against"].str.endswith(" less") & (frame["at"] == "1")]
    effects = own.loc[own["comparison"] == "difference", "metric"]
    return [name for name in dict.fromkeys(own.loc[own["comparison"] == "relative", "metric"]) if name in set(effects)]


def one_link(frame: pd.DataFrame, outcome: str = "") -> pd.DataFrame:
    """Return the rows `relative` of one link, its effect first, then its checks; no rows where there is no link.

    Parameters
    ----------
    frame
        What `link` or `link_churn` returned, or both together, among other rows.
    outcome
        Which link; needed only where there are several.

    Raises
    ------
    UsageError
        Where there are several and none is named.
    """
    rows = frame[
        (frame["segment"] == "all") & frame["against"].str.endswith(" less") & (frame["comparison"] == "relative")
    ]
    outcomes = rows["metric"].isin(linked(frame))
    leads = outcomes & (rows["at"] == "1") & ((rows["metric"] == outcome) | (outcome == ""))
    if leads.sum() > 1:
        raise UsageError(f"the frame holds links to {_listed(rows[leads])}: name the outcome of one")
    if not leads.any():
        return rows[leads]
    lead, kind = rows[leads].iloc[0], rows["method"].str.contains(HAZARD, regex=False)
    before = rows[(rows["metric"] == lead["metric"]) & ~leads]
    controls = rows[~outcomes & (kind == (HAZARD in lead["method"]))].drop_duplicates(["metric", "at"])
    checks = pd.concat([before, controls]).sort_values(["at", "metric"], key=_by_time)
    return pd.concat([rows[leads], checks], ignore_index=True)


def _by_time(column: pd.Series) -> pd.Series:
    return column.astype(float) if column.name == "at" else column


def evidence(frame: pd.DataFrame, *, outcome: str = "", alpha: float = 0.05) -> Evidence:
    """Grade a link by its own checks.

    Parameters
    ----------
    frame, outcome
        As in `one_link`.
    alpha
        A row is something where its p-value is below.

    Returns
    -------
    Evidence
        The word and the reason. A control that finds nothing only counts where its interval leaves out a relative
        effect as large as the one estimated: a blind control proves nothing.

    Raises
    ------
    UsageError
        Where there is no link, or several and none is named.
    """
    rows = one_link(frame, outcome)
    if rows.empty:
        raise UsageError("evidence is judged on the result of a link, and the frame holds none")
    main, others = rows.iloc[0], rows.iloc[1:]
    if main["status"] != results.OK:
        return Evidence(UNKNOWN, str(main["note"]) or "there is no estimate")
    if not main["p_value"] < alpha:
        return Evidence(NOT_SHOWN, "the interval of the effect holds nothing at all")
    known = others[others["status"] == results.OK]
    before = known[known["at"].astype(float) < 0]
    controls = known[known["at"].astype(float) > 0]
    found = controls[controls["p_value"] < alpha]
    if len(found):
        return Evidence(CONFOUNDED, f"{_listed(found)} moves with it, which satisfaction does not touch")
    if (before["p_value"] < alpha).any():
        allows = (
            "the estimate allows for that" if _ROBUST in main["method"] else "this estimate does not allow for that"
        )
        return Evidence(BOTH_WAYS, f"{main['metric']} before an answer goes with it: each moves the other; {allows}")
    blind = controls[(controls["conf_low"] <= main["estimate"]) & (controls["conf_high"] >= main["estimate"])]
    if controls.empty or len(blind) == len(controls):
        why = "no negative control was looked at" if controls.empty else f"{_listed(blind)} is too uncertain to tell"
        return Evidence(UNTESTED, why)
    return Evidence(HELD, f"{_listed(controls.drop(blind.index))} does not move with it, and could have been seen to")


def _listed(rows: pd.DataFrame) -> str:
    return " and ".join(dict.fromkeys(rows["metric"]))
