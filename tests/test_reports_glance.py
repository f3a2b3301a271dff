"""What the catalogue knows of a report, counted by hand from the verdicts of a frame."""

from __future__ import annotations

import json

from cxlib import results
from cxlib.params.models import Workspace
from cxlib.periods import Period
from cxlib.reports.context import Context, Freshness
from cxlib.reports.glance import glance
from tests.show_frames import LAST, METRICS, difference, history, scorecard, with_status

PERIOD = Period.parse(LAST)


def context(**newest: str) -> Context:
    tables = tuple(Freshness(table=name, rows=1, newest=moment) for name, moment in newest.items())
    return Context.model_construct(freshness=tables, workspace=Workspace.model_construct(timezone="Europe/Madrid"))


def test_verdicts_are_counted_by_what_they_were_compared_with() -> None:
    few, none = "could not have been seen", "not shown"
    frame = results.concat([
        history(),
        difference("nps", "2026-09", 4.0, 3.0, "moved"),
        difference("wait_p50", "2026-09", 9.0, 3.0, "moved"),  # longer is worse
        difference("items", "2026-09", 0.3, 0.1, "moved"),  # neither way is better
        difference("aov", "2026-09", 0.3, 0.9, none),
        difference("churn", "2026-09", 0.1, 0.9, few),
        difference("ces_mean", "2026-09", 0.1, 0.9, few),
        difference("nps", "target", -9.0, 3.0, "moved"),
    ])  # fmt: skip
    found = glance(frame, METRICS, PERIOD)
    assert found["verdicts"] == {
        "2026-09": {"better": 1, "worse": 1, "moved": 1, "flat": 1, "few": 2},
        "target": {"better": 0, "worse": 1, "moved": 0, "flat": 0, "few": 0},
    }
    assert found["lead"]["title"] == "Net Promoter Score"
    assert found["lead"]["verdicts"]["2026-09"] == ["▲", "up, better", "better"]
    assert found["lead"]["verdicts"]["target"] == ["▼", "below target, worse", "worse"]
    assert found["metrics"]["Average order value"] == "cx"


def test_it_is_small_and_tells_nothing_that_is_hidden() -> None:
    hidden = with_status(scorecard(), scorecard()["metric"] == "nps", results.SUPPRESSED)
    found = glance(hidden, METRICS, PERIOD)
    assert found["lead"]["title"] == "Customers satisfied (top two boxes)"
    assert len(json.dumps(found)) < 4000
    assert glance(results.empty(), METRICS, PERIOD)["lead"] == {}
    assert glance(results.empty(), METRICS, PERIOD)["verdicts"] == {}


def test_how_far_the_data_reach_is_that_of_events() -> None:
    reach = context(responses="2026-10-31 22:54", orders="2026-10-30 10:00", customers="2026-12-01 00:00", costs="")
    found = glance(results.empty(), METRICS, PERIOD, reach)
    assert (found["data_until"], found["closed"]) == ("2026-10-31T22:54", "2026-10")
    assert glance(results.empty(), METRICS, PERIOD, context(orders="2026-10-15 10:00"))["closed"] == "2026-09"
    assert "closed" not in glance(results.empty(), METRICS, PERIOD, context(customers="2026-12-01 00:00"))
