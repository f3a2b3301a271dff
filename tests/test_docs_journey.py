"""What the pages about the journey and the voice show: files that pass, keys that are there, a tour that runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_docs import ROOT, blocks, yaml_blocks

import cxlib as cx
from cxlib import params
from cxlib.cli import main
from cxlib.params import places
from cxlib.params.models import Goal, Theme, Touchpoint

MAP, LISTEN = "map-the-journey.md", "listen-to-customers.md"
TOUR = ROOT / "notebooks" / "explore" / "journey_and_voice.ipynb"


def text(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


def add(workspace: Path, file: str, block: str) -> None:
    """Add what a page shows to a file whose only list it continues."""
    path, (_, _, entries) = workspace / "params" / file, block.partition("\n")
    path.write_text(path.read_text(encoding="utf-8").rstrip() + f"\n{entries}\n", encoding="utf-8")


def test_a_touchpoint_as_shown_is_read_by_its_other_names(workspace: Path) -> None:
    add(workspace, "touchpoints.yml", yaml_blocks(MAP)[0])
    points = params.load(workspace).touchpoints
    placed = [places.place(name, points).touchpoint for name in ("whatsapp", "WA ", "Whats up", "what")]
    assert placed == ["whatsapp", "whatsapp", "whatsapp", "what"]


def test_gaps_of_goals_as_shown_are_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(workspace, "framework.yml", yaml_blocks(MAP)[1])
    monkeypatch.chdir(workspace)
    [said] = [block.body.strip() for block in blocks(text(MAP)) if block.language == "text"]
    for words, code in ((["check"], 0), (["check", "--strict"], 3)):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == code
        assert said in " ".join(done.output.split())


def test_a_theme_as_shown_finds_what_the_page_says(workspace: Path) -> None:
    add(workspace, "codebook.yml", yaml_blocks(LISTEN)[0])
    theme = {"app_login": params.load(workspace).codebook.themes["app_login"]}
    said = [
        "It crashes",
        "It CRASHED!",
        "My password simply does not work",
        "loooogin fails",
        "A login bonus",
        "No crash",
    ]
    assert cx.voice.code(said, theme)["app_login"].tolist() == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("model", "page"), [(Touchpoint, MAP), (Goal, MAP), (Theme, LISTEN)], ids=["touchpoint", "goal", "theme"]
)
def test_every_key_is_explained(model: type[Touchpoint | Goal | Theme], page: str) -> None:
    told = text(page)
    assert [key for key in model.model_fields if key != "id" and not re.search(rf"`{key}|\b{key}:", told)] == []


def test_kinds_of_touchpoints_are_those_of_each_group() -> None:
    told = " ".join(text(MAP).split())
    for group, kinds in places.KINDS.items():
        assert f"{group} {', '.join(f'`{kind}`' for kind in kinds)}" in told


@pytest.mark.parametrize("page", [MAP, LISTEN])
def test_everything_that_may_be_asked_is_there(page: str) -> None:
    named = re.findall(r"\b(run|cx\.journeys|cx\.voice)\.(\w+)", text(page))
    owners = {"run": cx.Run, "cx.journeys": cx.journeys, "cx.voice": cx.voice}
    made = {"period", "context", "touchpoints"}  # of a run that is open
    assert [name for owner, name in named if name not in made and not hasattr(owners[owner], name)] == []


@pytest.mark.slow
def test_the_tour_runs_on_a_small_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells one after the other; any warning is an error here."""
    monkeypatch.chdir(demo_workspace)
    cells = json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
    found: dict[str, object] = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), found)
    [rate] = found["rate"].to_dict("records")
    assert rate["conf_low"] <= found["people"].mean() <= rate["conf_high"]  # the last cell but one says so
