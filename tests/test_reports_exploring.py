"""The panel of an explored page: choices change what is shown, and nothing else that a browser sends does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import explored
import pandas as pd
import pytest

from cxlib.params.models import Segment, Touchpoint
from cxlib.reports import choices, choosing, exploring
from cxlib.reports.choices import Choices, Chosen
from cxlib.reports.context import Context
from cxlib.reports.exploring import Panel

LAST, BEFORE = explored.LAST, explored.BEFORE


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return explored.workspace(tmp_path_factory.mktemp("exploring"))


@pytest.fixture
def panel(root: Path) -> Panel:
    return Panel(Choices(root / "reports" / "toy", [LAST, BEFORE]), Chosen.asked({}, LAST))


def shown(panel: Panel) -> str:
    return str(panel.words.value)


@pytest.mark.parametrize("compare", ["none", "previous", "year_ago", "target", "over_time"])
def test_every_comparison_of_everyone_has_chart_and_table(panel: Panel, compare: str) -> None:
    panel.lists["compare"].value = compare
    assert panel.chosen.compare == compare
    assert "<img" in shown(panel)
    assert "<table" in shown(panel)
    assert 'alt="' in shown(panel)


@pytest.mark.parametrize(
    ("compare", "says"),
    [("none", "(interval "), ("previous", "North (+4.1 points)"), ("over_time", "period by period")],
)
def test_a_segment_is_shown_with_what_is_hidden_in_words(panel: Panel, compare: str, says: str) -> None:
    panel.lists["segment"].value = "region"
    panel.lists["compare"].value = compare
    assert panel.chosen == Chosen(LAST, "nps", "region", compare)
    assert says in shown(panel)
    assert "hidden: small group" in shown(panel)
    assert f'download="{LAST}-nps-region-' in shown(panel)
    assert f'href="?period={LAST}&amp;metric=nps&amp;segment=region&amp;compare={compare}"' in shown(panel)


def test_lists_follow_what_is_chosen(panel: Panel) -> None:
    assert [panel.lists[name].description for name in panel.lists] == ["Period", "Metric", "Segment", "Compared with"]
    panel.lists["segment"].value = "region"
    panel.lists["metric"].value = "csat_top2"
    assert [label for label, _ in panel.lists["segment"].options] == ["Everyone"]
    assert panel.chosen.segment == "all"
    assert "There is no segment “region” to choose here. Chosen instead: Everyone." in shown(panel)
    panel.lists["period"].value = BEFORE
    assert panel.chosen.period == BEFORE
    assert f"reports/toy/{BEFORE}/results.parquet" in shown(panel)


@pytest.mark.parametrize(
    "sent",
    [
        {"index": 99}, {"index": -1}, {"index": "0"}, {"index": None}, {"index": True}, {"_options_labels": ["a"]},
        {"index": 1, "_options_labels": ["a"]}, {"description": "<script>"}, {"value": "nps"}, {"disabled": True}, {},
    ],
)  # fmt: skip
def test_a_list_takes_a_place_and_nothing_else(panel: Panel, sent: dict[str, Any]) -> None:
    before = (shown(panel), panel.chosen)
    for widget in panel.lists.values():
        state = widget.get_state()
        widget.set_state(dict(sent))
        assert widget.get_state() == state
    assert (shown(panel), panel.chosen) == before
    panel.lists["segment"].set_state({"index": 1})
    assert panel.chosen.segment == "region"


def test_texts_and_boxes_take_nothing(panel: Panel) -> None:
    before = shown(panel)
    panel.words.set_state({"value": "<script>"})
    panel._boxes.set_state({"children": []})
    assert shown(panel) == before
    assert len(panel._boxes.children) == 2


def test_a_choice_that_fails_says_so_without_a_traceback(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    before = panel.chosen

    def fails(*_: object) -> None:
        monkeypatch.undo()  # the picture of what was shown before can be drawn
        raise RuntimeError("the inside of a callback")

    monkeypatch.setattr(exploring, "picture", fails)
    panel.lists["metric"].value = "csat_top2"
    assert panel.chosen == before
    assert panel.lists["metric"].value == "nps"
    assert exploring._SORRY in shown(panel)
    out = capfd.readouterr()
    assert "inside of a callback" not in shown(panel) + out.out + out.err


def test_what_an_address_says_is_shown_as_text(root: Path) -> None:
    found = Panel(
        Choices(root / "reports" / "toy", [LAST]), Chosen.asked({"metric": ["<img src=x onerror=alert(1)>"]}, LAST)
    )
    assert "<img src=x" not in shown(found)
    assert "&lt;img src=x" in shown(found)
    assert "Region &lt;b&gt;" not in shown(found)


def test_a_report_that_was_made_anew_is_to_be_opened_again(tmp_path: Path) -> None:
    pack = explored.workspace(tmp_path) / "reports" / "toy"
    panel = Panel(Choices(pack, [LAST, BEFORE]), Chosen.asked({}, LAST))
    for period in (LAST, BEFORE):
        (pack / period).rename(tmp_path / period)
        shutil.copytree(tmp_path / period, pack / period)
    panel.lists["segment"].value = "region"
    assert choices.ANEW in shown(panel)
    panel.lists["period"].value = BEFORE
    assert choices.ANEW in shown(panel)
    shutil.rmtree(pack / BEFORE)
    assert choices.ANEW in Panel(panel._of, Chosen.asked({"period": [BEFORE]}, LAST)).words.value
    assert "There is no period" not in shown(panel)


@pytest.mark.parametrize("compare", ["none", "previous", "over_time"])
def test_touchpoints_are_called_by_their_titles(tmp_path: Path, compare: str) -> None:
    root = explored.workspace(tmp_path)
    for period in (LAST, BEFORE):
        folder = root / "reports" / "toy" / period
        frame = pd.read_parquet(folder / "results.parquet")
        frame["segment"] = frame["segment"].where(frame["segment"] != "region", "touchpoint")
        frame["level"] = frame["level"].replace({"North": "web_care", "South": "twin"})
        frame.to_parquet(folder / "results.parquet")
        path = folder / "inputs" / "01_first" / "context.json"
        known = Context.model_validate_json(path.read_bytes())
        titles = {"web_care": "Care on the web", "twin": "A twin", "other": "A twin"}
        points = {
            name: Touchpoint(id=name, title=title, group="service", stage="awareness", stream="engage")
            for name, title in titles.items()
        }
        report = known.report.model_copy(update={"segments": ("touchpoint",)})
        segments = {"touchpoint": Segment(id="touchpoint", title="Touchpoint", column="touchpoint")}
        more = {"report": report, "segments": segments, "touchpoints": points}
        path.write_text(known.model_copy(update=more).model_dump_json(), encoding="utf-8")
    asked = Chosen(LAST, "nps", "touchpoint", compare)
    panel = Panel(Choices(root / "reports" / "toy", [LAST, BEFORE]), asked)
    assert panel.chosen == asked
    assert shown(panel).count("Care on the web") >= 2  # in the words of the chart, and in the table
    assert "web_care" not in shown(panel)
    assert "twin" in shown(panel)  # a title of two of them tells neither


def test_a_page_without_anything_to_choose_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    told: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda content, **_: told.append(content))
    exploring.explore("2026-10", [])
    assert exploring.NOTHING in told[0]["text/html"]


def test_the_panel_is_there_before_its_script(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "reports" / "toy" / LAST)
    monkeypatch.setenv("QUERY_STRING", "segment=region&compare=nonsense")
    told: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda content, **_: told.append(content))
    exploring.explore(LAST, [LAST, BEFORE])
    assert set(told[0]) == {"text/html", "application/vnd.jupyter.widget-view+json"}
    assert "<img" in told[0]["text/html"]
    assert "no comparison “nonsense”" in told[0]["text/html"]


def test_a_period_without_context_cannot_be_drawn(tmp_path: Path) -> None:
    (tmp_path / LAST).mkdir()
    with pytest.raises(ValueError, match=LAST):
        choosing.picture(Choices(tmp_path, [LAST]), Chosen(LAST, "nps", "all", "none"))
