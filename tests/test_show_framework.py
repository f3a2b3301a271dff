"""The measurement framework as a table and at one glance: targets, changes, owners, and what nobody measures."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from cxlib import results
from cxlib.params.models import Goal
from cxlib.periods import Period
from cxlib.show import charts, goals, tables
from cxlib.show.formats import use
from tests.show_frames import LAST, METRICS, difference, level_rows

OWN = Period.parse(LAST)
BEFORE, YEAR = str(OWN.previous()), str(OWN.year_ago())
GOALS = [
    Goal(goal="They buy", stage="purchase", kpi="aov", source="Shop", owner="Head of Shop"),
    Goal(goal="They recommend us", stage="advocacy", kpi="nps", source="Survey", owner="Ana", team="Voice"),
    Goal(goal="They are content", stage="retention", kpi="csat_top2", source="Survey", owner="Ben", cadence="week"),
    Goal(goal="They do not wait", stage="retention", kpi="wait_p50", source="Desk"),
    Goal(goal="They find it easy", stage="retention", kpi="ces_mean", source="Survey", owner="Eva"),
    Goal(goal="They look around", stage="consideration", owner="Dan"),
]


@pytest.fixture(autouse=True)
def house() -> None:
    use("EUR", "en")


def frame() -> pd.DataFrame:
    """Rows of the KPIs: one goal met, one missed, one moved without a target, one open, one without a figure."""
    return results.concat(
        [
            level_rows("aov", [LAST], [64.2], 1.9, [900]), difference("aov", YEAR, 3.0, 1.0, "moved"),
            difference("aov", BEFORE, 0.4, 1.0, "not shown"),
            level_rows("nps", [LAST], [27.0], 4.0, [1500]), difference("nps", "target", -13.0, 4.0, "moved"),
            difference("nps", BEFORE, -6.0, 4.0, "moved"),
            level_rows("csat_top2", [LAST], [0.9], 0.02, [1500]),
            difference("csat_top2", "target", 0.08, 0.02, "moved"),
            level_rows("wait_p50", [LAST], [182.0], 9.0, [400]),
            difference("wait_p50", "target", 2.0, 9.0, "not shown"),
            results.frame(metric="ces_mean", period=LAST, status=results.SUPPRESSED),
        ]
    )  # fmt: skip


def found() -> list[goals.Standing]:
    return goals.standings(frame(), METRICS, GOALS, OWN)


def test_goals_stand_in_the_order_of_the_journey_and_a_stage_without_any_has_its_place() -> None:
    assert [(one.stage, one.state) for one in found()] == [
        ("awareness", goals.UNMEASURED), ("consideration", goals.UNMEASURED), ("purchase", goals.MET),
        ("retention", goals.MET), ("retention", goals.OPEN), ("retention", goals.SILENT), ("advocacy", goals.MISSED),
    ]  # fmt: skip
    assert goals.finding(found(), OWN) == (
        "1 of 3 targets met, 1 missed; moved for the better: Average order value; for the worse: Net Promoter "
        "Score; nobody measures awareness; 1 goal has no KPI; 1 has no figure"
    )


def test_what_moved_without_being_better_or_worse_is_neither_met_nor_missed() -> None:
    rows = [level_rows("items", [LAST], [1.5], 0.1, [90]), difference("items", BEFORE, 0.3, 0.1, "moved")]
    (one,) = [
        one
        for one in goals.standings(results.concat(rows), METRICS, [Goal(goal="G", stage="purchase", kpi="items")], OWN)
        if one.goal
    ]
    assert one.state == goals.MOVED
    assert goals.finding([one], OWN) == "none of 1 KPIs is shown to have moved for better or worse"


def test_the_table_says_kpi_target_change_and_owner_and_shows_gaps() -> None:
    made = tables.framework_table(frame(), METRICS, GOALS)
    assert made.heading == "What we want, how it stands and who answers for it, October 2026"
    assert made.grid is not None
    assert made.grid.keys[:3] == (
        ("Awareness", "Nobody measures this"), ("Consideration", "They look around"), ("Purchase", "They buy"),
    )  # fmt: skip
    cells = {
        key[1]: [column[row].text for column in made.grid.columns.values()] for row, key in enumerate(made.grid.keys)
    }
    assert cells["They look around"] == ["nobody measures this", "–", "–", "–", "Dan"]
    assert cells["They buy"][0] == "Average order value · from Shop · read every month"
    assert cells["They buy"][2] == "no target"
    assert cells["They buy"][3].startswith("+€3.00")
    assert cells["They buy"][3].endswith("since October 2025")
    assert cells["They recommend us"][1].startswith("+27.0 · +23.0 to +31.0 · n 1,500")
    assert "below, worse" in cells["They recommend us"][2]
    assert cells["They recommend us"][4] == "Ana · Voice"
    assert cells["They do not wait"][4] == "nobody named"
    assert cells["They find it easy"][1] == "hidden: small group"
    assert cells["They are content"][3] == "not compared"


def test_one_source_of_all_is_told_once_and_a_missing_one_stands_out() -> None:
    alike = [goal.model_copy(update={"source": "Shop"}) for goal in GOALS]
    assert tables.framework_table(frame(), METRICS, alike).below.startswith("All of it is from Shop. ")
    bare = [GOALS[0].model_copy(update={"source": ""}), *GOALS[1:]]
    assert "no source named" in tables.framework_table(frame(), METRICS, bare)


def test_the_board_tells_all_of_it_in_words_too() -> None:
    chart = charts.framework_board(frame(), METRICS, GOALS)
    assert chart.finding.startswith("1 of 3 targets met, 1 missed")
    assert "Awareness, no goal: nobody measures this." in chart.alt
    assert (
        "Advocacy, They recommend us: Net Promoter Score +27.0 (+23.0 to +31.0, target +40.0); below target, worse; "
        in (chart.alt)
    )
    assert "nobody answers for it" in chart.alt
    drawn = [text.get_text() for text in chart.texts]
    assert {"Awareness", "Retention", "Retention, continued"} & set(drawn) == {
        "Awareness",
        "Retention",
        "Retention, continued",
    }
    assert "▼ below target, worse" in drawn
    assert charts.framework_board(frame(), METRICS, GOALS).alt == chart.alt


def test_no_words_run_over_the_edge_of_their_tile_or_of_the_sheet() -> None:
    chart = charts.framework_board(frame(), METRICS, GOALS)
    chart.canvas.draw()
    boxes = [patch.get_window_extent() for patch in chart.findobj(Rectangle)]
    tiles = [box for box in boxes if 100 < box.width < chart.bbox.width / 2 and box.height > 60]
    assert len(tiles) == 7
    for text in chart.texts:
        words = text.get_window_extent()
        around = [box for box in tiles if box.x0 <= words.x0 <= box.x1 and box.y0 <= words.y0 <= box.y1]
        assert all(words.x1 <= box.x1 and words.y1 <= box.y1 for box in [*around, chart.bbox]), text.get_text()


def test_goals_without_any_figure_are_told_in_one_sentence() -> None:
    bare = results.concat([results.frame(metric=name, period=LAST, status=results.UNDEFINED) for name in METRICS])
    assert charts.framework_board(bare, METRICS, GOALS).finding == "No goal has a figure in October 2026"


def test_without_a_framework_or_figures_both_say_so() -> None:
    assert "no framework.yml" in tables.framework_table(frame(), METRICS, [])
    assert "no framework.yml" in charts.framework_board(frame(), METRICS, []).alt
    assert "no estimates" in charts.framework_board(results.empty(), METRICS, GOALS).alt
    assert "no estimates" in tables.framework_table(results.empty(), METRICS, GOALS)
