"""Rows of a result frame from moments: several segments measured at once."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import results
from cxlib.reports.levels import by_segment, measured, measured_by

SEGMENTS = ("plan", "region", "touchpoint")


@pytest.mark.parametrize("name", ["nps", "average_order_value", "wait_p90"])
def test_several_segments_at_once_are_what_each_is_alone(
    name: str, demo_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(demo_workspace)
    run = cx.open_run("2026-10")
    metric, others = run.metrics[name], [run.period.previous(), run.period.year_ago()]
    given = {
        one: run._inputs.moments(metric, [run.segments[one]], sorted({run.period, *others})) for one in SEGMENTS
    }  # fmt: skip
    region = given["region"]
    assert isinstance(region, pd.DataFrame)
    given["region"] = region[region["period"] != run.period.label]  # a segment with no rows in the period
    words = {"target": True, "confidence": 0.9, "min_n": 10, "definition": "d"}
    alone = [measured(metric, given[one], [run.period], others, segment=one, **words) for one in SEGMENTS]
    plain = results.concat(alone)
    bare = (plain["comparison"] != "level") & (plain["level"] == "all")  # of no sums: left out
    names = ["p_adjusted", "verdict", "note"]  # of one family each, and to be judged again
    found = by_segment([measured_by(metric, given, run.period, others, **words)], SEGMENTS)
    want = plain[~bare].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns=names), want.drop(columns=names), check_exact=True)
    assert set(found["segment"]) == set(SEGMENTS)
    gap = found[(found["segment"] == "region") & (found["comparison"] == "level")]
    assert gap["note"].tolist() == ["no rows in this period"]
