"""What to mend first, and what to keep: causes ranked by how many met them, what goes with that, and how sure it is.

Nothing here is a cause in the sense of an experiment: all of it says what goes with what, others held.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys.friction_deeds import of_deeds
from cxlib.analysis.journeys.friction_places import by_place
from cxlib.analysis.journeys.friction_rows import (
    BUYING,
    FRICTION,
    LEAVING,
    MONEY,
    PRIORITY,
    SATISFACTION,
    WIN,
    Ask,
    Money,
    effects,
    of_score,
    priorities,
    volume_rows,
    who_met,
)  # fmt: skip
from cxlib.analysis.journeys.named_causes import CAUSES
from cxlib.measure import intervals
from cxlib.measure.verdicts import adjust

__all__ = ["Ask", "Money", "friction"]

_POWER = 0.8


def friction(
    said: pd.DataFrame | None,
    done: pd.DataFrame | None,
    volumes: pd.DataFrame,
    *,
    causes: Sequence[str] | None = None,
    ask: Ask | None = None,
) -> pd.DataFrame:
    """Rank frictions and wins: volume x effect, by the bound of the effect that is nearest to none.

    Parameters
    ----------
    said
        One row an answer: `customer_id`, `y` (the score), `period`, `touchpoint`, `met_<cause>` each and the segments;
        from `touched.answers`. None where nobody is asked.
    done
        One row a customer and month: `customer_id`, `period`, `met_<cause>` each, the segments, `left`, `bought`,
        `amount`, `cost`, `costed`; from `touched.months`. None where nothing is known of what customers do.
    volumes
        Customers who met each cause in the time asked about, by touchpoint; from `touched.volumes`.
    causes
        Ids of `named_causes.CAUSES` to keep to. What nobody could have met, by `volumes`, is left out.
    ask
        `segments` held (names of columns), `places` (touchpoint -> title), `matters` (the least change of the score
        that matters), `tested` (cause -> the experiment on it), `money`, `alpha` (of each family of outcomes, Holm
        1979), `confidence`, `min_n`, `draws` and `rng` of the multiplier bootstrap behind rank intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame; `segment` is `friction` or `win`, `level` the cause, `at` `all` or the title of a touchpoint.
        Metrics `volume` (customers, and their share of those who could have met it), `effect` (of the score), `leaving`
        and `buying again` (shares within 30 days), `value at stake` (money, of those who met it in this period),
        `priority` (volume x effect, points of the score added up over customers) and `rank` (1: the worst friction, the
        best win; by the bound of `priority` nearest to none, so that noise does not lead; with the ranks that chance
        allows, see `drivers.ranking`). n counts customers: of a volume who could have met the cause, else who met it in
        the answers or months that are compared. What fewer than `min_n` customers met is suppressed.

    Notes
    -----
    Frictions are fitted together; wins are fitted beside the frictions that are not just their absence. Outcomes of one
    kind are a family over all frictions and wins: the score, and what customers do. If nothing goes with anything, at
    most a share alpha of such families has any `moved`.
    """
    ask = ask or Ask()
    intervals.check_confidence(ask.confidence)
    doors.require(volumes.columns, ("cause", "touchpoint", "touched", "spared", "customers"), "the volumes")
    asked = set(volumes["cause"]) & set(CAUSES if causes is None else causes)
    names = [name for name in CAUSES if name in asked]
    sides = [(FRICTION, [n for n in names if not CAUSES[n].good]), (WIN, [n for n in names if CAUSES[n].good])]
    parts = [_side(side, mine, names, said, done, volumes, ask) for side, mine in sides if mine]
    return _judged(results.concat(parts), ask)


def _side(
    side: str, mine: Sequence[str], names: Sequence[str], said: pd.DataFrame | None, done: pd.DataFrame | None,
    volumes: pd.DataFrame, ask: Ask,
) -> pd.DataFrame:  # fmt: skip
    """Return the rows of all frictions, or of all wins."""
    mirrors = {CAUSES[name].mirror for name in mine}
    others = [] if side == FRICTION else [n for n in names if not CAUSES[n].good and n not in mirrors]
    touched = who_met(volumes, mine, ask)
    parts = [volume_rows(touched, ask)]
    score = of_score(said, mine, others, ask)
    parts += [effects(score, touched, SATISFACTION, ask), priorities(score, touched, side, ask)]
    parts += of_deeds(done, mine, others, touched, ask)
    parts.append(by_place(said, mine, others, volumes, touched, ask))
    return results.concat(parts).assign(segment=side)


def _judged(rows: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Adjust each family, and say what is shown: effects on the score, at touchpoints, and what customers do."""
    ready = (rows["status"] == results.OK) & rows["p_value"].notna()
    whole = rows["at"] == "all"
    families = (
        whole & (rows["metric"] == SATISFACTION), ~whole & (rows["metric"] == SATISFACTION),
        whole & rows["metric"].isin([LEAVING, BUYING, MONEY]),
    )  # fmt: skip
    adjusted, verdict = rows["p_adjusted"].to_numpy(dtype=float, copy=True), rows["verdict"].to_numpy(dtype=object)
    for family in families:
        mine = (ready & family).to_numpy()
        if mine.any():
            adjusted[mine] = adjust(rows.loc[mine, "p_value"], "holm")
            cut = ask.alpha / max(1, int((adjusted[mine] >= ask.alpha).sum()))
            verdict[mine] = np.where(adjusted[mine] < ask.alpha, "moved", "not shown")
            blind = mine & (verdict == "not shown") & (rows["metric"] == SATISFACTION).to_numpy()
            if ask.matters is not None:
                seen = rows["std_error"].to_numpy() * (stats.norm.isf(cut / 2) + stats.norm.isf(1 - _POWER))
                verdict[blind & (seen > ask.matters)] = "could not have been seen"
    return _read(results.conform(rows.assign(p_adjusted=adjusted, verdict=verdict)))


def _read(rows: pd.DataFrame) -> pd.DataFrame:
    """Give priorities the verdict of their effects, and say where an effect runs against its name."""
    effects = rows[rows["metric"] == SATISFACTION].set_index(["segment", "level", "at"])["verdict"]
    priority = (rows["metric"] == PRIORITY) & (rows["status"] == results.OK)
    keys = pd.MultiIndex.from_frame(rows.loc[priority, ["segment", "level", "at"]])
    rows.loc[priority, "verdict"] = effects.reindex(keys).fillna("").to_numpy()
    wrong = (rows["verdict"] == "moved") & rows["metric"].isin([SATISFACTION, PRIORITY])
    wrong &= (rows["estimate"] > 0) == (rows["segment"] == FRICTION)
    words = np.where(rows["segment"] == FRICTION, "goes with more, not with less", "goes with less, not with more")
    return results.conform(rows.assign(note=rows["note"].mask(wrong, words)))
