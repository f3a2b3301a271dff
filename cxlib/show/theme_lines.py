"""Each theme with all that is known of it: share, audit, change, scores, and what came after."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from cxlib.analysis.voice.rates import ANY, CORRECTED, METRICS, PRECISION, RECALL, SHARE
from cxlib.analysis.voice.scored import WITH, WITHOUT
from cxlib.analysis.voice.worth import IN_ALL, LEFT
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.show import rows
from cxlib.show.formats import missing_words
from cxlib.show.rows import Row


class Line(NamedTuple):
    """One theme: its share (corrected where that is known), as coded, the audit, its change and the scores."""

    name: str
    share: Row
    coded: Row
    corrected: Row | None
    precision: Row | None
    recall: Row | None
    change: Row | None
    named: Row | None
    rest: Row | None
    apart: Row | None
    cost: Row | None
    left: Row | None

    @property
    def metric(self) -> Metric:
        """The share's definition: more of a theme is bad where those who name it are shown to score lower."""
        shown = self.apart is not None and self.apart["verdict"] == "moved"
        good = self.apart["estimate"] > 0 if shown and self.apart is not None else None
        return METRICS[SHARE].model_copy(update={"higher_is_better": good})


def lines(themes: pd.DataFrame, changes: pd.DataFrame | None = None, scores: pd.DataFrame | None = None,
          costs: pd.DataFrame | None = None) -> list[Line]:  # fmt: skip
    """Put each theme together, the one that most texts name first; hidden ones last."""
    last, at = _latest(themes)
    book = {(row["metric"], row["level"]): row for row in rows.records(themes)
            if row["period"] == last and row["at"] == at}  # fmt: skip
    moves, sides, apart = _by_theme(changes, SHARE), _sides(scores), _apart(scores)
    money, gone = _by_theme(costs, IN_ALL), _by_theme(costs, LEFT)
    found = []
    for (metric, name), coded in book.items():
        if metric != SHARE or name == ANY:
            continue
        corrected = book.get((CORRECTED, name))
        share = coded if corrected is None or missing_words(corrected) else corrected
        found.append(Line(
            name, share, coded, corrected, book.get((PRECISION, name)), book.get((RECALL, name)), moves.get(name),
            sides.get((name, WITH)), sides.get((name, WITHOUT)), apart.get(name), money.get(name), gone.get(name),
        ))  # fmt: skip
    return sorted(found, key=lambda one: (bool(missing_words(one.share)), -size(one.share), one.name))


def _latest(themes: pd.DataFrame) -> tuple[str, str]:
    """Return the latest period and the window to show: several months together where the frame has them."""
    mine = themes[(themes["metric"] == SHARE) & (themes["comparison"] == "level")]
    if mine.empty:
        return "", ""
    last = max(mine["period"], key=Period.parse)
    wide = sorted(set(mine.loc[mine["period"] == last, "at"]))
    return str(last), str(wide[-1])


def _by_theme(frame: pd.DataFrame | None, metric: str) -> dict[str, Row]:
    """Return the comparisons of a frame by theme."""
    if frame is None:
        return {}
    mine = frame[(frame["metric"] == metric) & frame["comparison"].isin(["difference", "index"])]
    return {row["level"]: row for row in rows.records(mine)}


def _sides(scores: pd.DataFrame | None) -> dict[tuple[str, str], Row]:
    mine = [] if scores is None else rows.records(scores[scores["comparison"] == "level"])
    return {(row["level"], row["at"]): row for row in mine}


def _apart(scores: pd.DataFrame | None) -> dict[str, Row]:
    mine = [] if scores is None else rows.records(scores[scores["comparison"] == "difference"])
    return {row["level"]: row for row in mine}


def since(found: list[Line]) -> str:
    """Return the period that shares are compared with."""
    one = next((one.change for one in found if one.change is not None and one.change["against"]), None)
    return Period.parse(one["against"]).title if one is not None else ""


def ok(row: Row | None) -> bool:
    """Say whether there is a row with a number."""
    return row is not None and not missing_words(row)


def size(row: Row) -> float:
    """Return an estimate, 0 where it is hidden or not known."""
    return 0.0 if missing_words(row) else float(row["estimate"])


def when(found: list[Line]) -> str:
    """Return `August to October 2026`, or the month, and what it is compared with."""
    period, at = Period.parse(found[0].coded["period"]), found[0].coded["at"]
    many = int(at.split()[0]) if at else 1
    other = next((one.change["against"] for one in found if one.change is not None and one.change["against"]), "")
    with_ = f", change against {rows.span_title(Period.parse(other).last(many))}" if other else ""
    return f"{rows.span_title(period.last(many))}{with_}"


def basis(found: list[Line]) -> str:
    """Say whether the codebook's error is known."""
    if any(one.share is not one.coded for one in found):
        return (
            "Shares are corrected for the error of the codebook, as an audit of texts read by people measured it; "
            "changes are as coded."
        )
    return "As the codebook has it: its error is not measured."
