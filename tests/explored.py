"""A published report as Explore finds it, written by hand: no run is needed for it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd
import show_frames as frames
import toy_workspace as toy

from cxlib import results
from cxlib.params.models import Report, Segment, Workspace
from cxlib.reports.context import Context

LAST, BEFORE = frames.LAST, "2026-09"
COMPANY = "Toy & Söhne"
NAMES = ("nps", "csat_top2")


def rows() -> pd.DataFrame:
    """Return what the last period's report records: two metrics, one of them by region."""
    found = frames.scorecard()
    region = frames.levels("nps")
    region = frames.with_status(region, region["level"] == "Islands", "suppressed", "few")
    parts = [found[found["metric"].isin(NAMES)], region[region["segment"] != "all"]]
    parts += [
        frames.difference("nps", BEFORE, size, 2.0, verdict, segment="region", level=level)
        for level, size, verdict in (("North", 4.1, "moved"), ("South", -1.0, "not shown"))
    ]
    parts.append(frames.level_rows("nps", LAST, [1.0], 0.5, [40], segment="driver", level="delivery"))  # not offered
    return results.concat(parts)


def earlier() -> pd.DataFrame:
    """Return what the report before it records."""
    found = rows()
    levels = found[(found["comparison"] == "level") & ((found["segment"] == "all") | (found["level"] != "West"))]
    kept = levels[(levels["period"] < LAST) | (levels["segment"] != "all")]
    return results.conform(kept.assign(period=kept["period"].where(kept["segment"] == "all", BEFORE)))


def context(period: str) -> Context:
    """Return the frozen context of a period."""
    report = Report(
        id="toy", title="Toy report", audience="tests", notebooks=("01_first",), metrics=NAMES, segments=("region",)
    )
    region = Segment(id="region", title="Region <b>", column="region")
    return Context(
        workspace=Workspace(company=COMPANY), report=report, period=period, snapshot="0001-abc", freshness=(),
        created_at="2026-11-01 09:00:00", origins=(), metrics={name: frames.METRICS[name] for name in NAMES},
        segments={"region": region}, touchpoints={}, definitions=dict.fromkeys(NAMES, "0123456789ab"),
    )  # fmt: skip


def publish(root: Path, period: str, frame: pd.DataFrame, *cells: str, pack: str = "toy") -> Path:
    """Write one published report with a page `01_first` whose code cells are given; return its folder."""
    folder = root / "reports" / pack / period
    inputs = folder / "inputs" / "01_first"
    inputs.mkdir(parents=True)
    (inputs / "context.json").write_text(context(period).model_dump_json(), encoding="utf-8")
    frame.to_parquet(folder / "results.parquet", index=False)
    shown = [toy.cell(cell) for cell in cells]
    toy.notebook(folder / "01_first.ipynb", toy.prose("# First page\n\n**Is everything well?**"), *shown)
    (folder / "01_first.html").write_text("<!DOCTYPE html><title>First page</title><p>As published.", encoding="utf-8")
    title = context(period).period
    manifest = {
        "pack": pack, "period": period, "period_title": f"Month {title}", "title": "Toy report", "audience": "tests",
        "state": "published", "started_at": "2026-11-01T09:00:00+00:00", "snapshot": {"id": "0001-abc"},
        "notebooks": {"01_first": {}}, "pages": {"01_first": "First page"}, "headline": ["All is well."], "readers": [],
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def workspace(root: Path, *cells: str, serving: str = "") -> Path:
    """Write a workspace with two published periods of the pack `toy`, and a store that no page may read."""
    toy.workspace(root)
    settings = root / "params" / "workspace.yml"
    settings.write_text(f"{settings.read_text(encoding='utf-8')}serving:\n{serving}", encoding="utf-8")
    (root / "data" / "store").mkdir(parents=True)
    (root / "data" / "store" / "secret.txt").write_text("customer 4711", encoding="utf-8")
    publish(root, BEFORE, earlier())
    publish(root, LAST, rows(), *cells)
    publish(root, LAST, rows(), pack="other")
    return root


def until(what: object, seconds: float = 30.0) -> bool:
    """Wait until something callable says yes; tell whether it did in time."""
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
