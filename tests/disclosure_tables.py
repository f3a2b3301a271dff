"""Tables of sums for tests of what can be worked out: answers of a company by cells, as the engine would bring them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from cxlib.params.models import Metric, Segment
from cxlib.reports import disclosure
from cxlib.reports.disclosure import audit, families

ABOUT = {"question": "What?", "higher_is_better": True, "owner": "tests"}
SHARE = Metric(
    id="happy", title="Happy", kind="share", unit="percent", table="responses", time="responded_at",
    numerator="score >= 4", filter="instrument == 'csat'", **ABOUT,
)  # fmt: skip
MEAN = SHARE.model_copy(update={"id": "mean", "kind": "mean", "unit": "score", "numerator": "score"})
LATE = SHARE.model_copy(update={"id": "late", "table": "orders", "numerator": "late", "filter": ""})
SPENT = LATE.model_copy(update={"id": "spent", "kind": "ratio", "unit": "money", "numerator": "amount"})
METRICS = {metric.id: metric for metric in (SHARE, MEAN, LATE, SPENT)}
REGION, PLAN = (Segment(id=name, title=name.title()) for name in ("region", "plan"))
CHANNEL = Segment(id="channel", title="Channel", on="event")
Cells = Mapping[str, tuple[int, int]]  # level -> its answers, and those of them that are happy


def sums(cells: Cells, period: str = "2026-10", *, each: float = 1.0) -> pd.DataFrame:
    """Return the sums of cells of customers who answered once; `each` is what every happy one adds."""
    n, y = ([float(pair[which]) for pair in cells.values()] for which in (0, 1))
    return pd.DataFrame(
        {
            "period": period, "level": list(cells), "rows": n, "missing": 0.0, "clusters": n,
            "y": [each * one for one in y], "x": n, "yy": [each**2 * one for one in y], "xy": [each * one for one in y],
            "xx": n, "y2": [each**2 * one for one in y],
        }
    )  # fmt: skip


def whole(cells: Cells, period: str = "2026-10") -> pd.DataFrame:
    """Return the sums of all cells together."""
    n, y = (sum(pair[which] for pair in cells.values()) for which in (0, 1))
    return sums({"all": (n, y)}, period)


def masked(
    cells: Cells, segments: Sequence[Segment], metric: Metric = SHARE, least: int = 10, **more: str
) -> pd.DataFrame:
    """Return the sums of cells with what may not be known hidden."""
    return disclosure.mask(sums(cells, **more), least, metric=metric, segments=segments)


def only(frame: pd.DataFrame, gone: Iterable[str]) -> pd.DataFrame:
    """Hide nothing but some levels: a bad choice, for the attacker."""
    blank = [name for name in frame if name not in ("period", "level")]
    out = frame.copy()
    out.loc[out["level"].isin(list(gone)), blank] = float("nan")
    return out


def page(frames: Mapping[str, pd.DataFrame], metric: Metric = SHARE, *, standing: bool = False) -> families.Page:
    """Return a page that shows sums: cut -> frame; of several frames of one cut `cut/1`, `cut/2`."""
    shown = [
        (f"inputs/nb/{metric.id}.{cut}.parquet", cut.partition("/")[0], frame.assign(metric=metric.id))
        for cut, frame in frames.items()
    ]
    return families.Page(shown, [], standing)


def look(*pages: families.Page, least: int = 10) -> audit.Audit:
    """Return what an attacker sees who reads some pages."""
    return audit.Audit(families.gathered(pages, METRICS, {}), dict.fromkeys(METRICS, least))


def recovered(found: audit.Audit) -> set[tuple[str, str, str]]:
    """Return what can be worked out: what, cut and level."""
    return {(leak.number.what, leak.number.segment, leak.number.level) for leak in found.leaks()}
