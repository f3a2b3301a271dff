"""A real run's downloads: every link leads to a file, the files hold the report's numbers, no text is a formula."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import quick_workspace as quick
from python_calamine import CalamineWorkbook

from cxlib import results
from cxlib.reports import extras, offering, page, pdf
from cxlib.reports.inputs import Frozen
from cxlib.reports.runner import run_pack
from cxlib.reports.spreadsheets import is_formula
from cxlib.show.markup import Html

FORMULA = "=1+1"
SCORE = quick.SCORE + "\nrun.table(cx.tables.scorecard(scores, run.metrics), 'score')\nrun.check()"
LEVELS = (
    "answers = run.measure(by='channel')\nrun.table(cx.tables.levels(answers, run.metrics))\n"
    "run.show(cx.charts.interval_bars(answers, run.metrics, 'channel'), 'channels')\nrun.record(answers)"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, warm_module: None) -> Path:
    """A report in Spanish numbers whose channels are named like formulas; its pack asks for a PDF."""
    root = quick.workspace(tmp_path_factory.mktemp("extras"))
    quick.notebook(root, "01_score", SCORE)
    quick.notebook(root, "02_levels", LEVELS)
    for name, before, after in (
        ("segments/channel.yml", "level: Web", f"level: '{FORMULA}'"),
        ("segments/channel.yml", "otherwise: Other", "otherwise: '@SUM(A1)'"),
        ("workspace.yml", "min_n: 5", "min_n: 5\nlocale: es"),
        ("reports/quick.yml", "title: Quick", "title: Quick\npdf: true"),
    ):
        path = root / "params" / name
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.write_text(text.replace(before, after), encoding="utf-8")
    outcome = run_pack(root, "quick", "2026-09")
    assert outcome.state == "published", outcome.error
    return outcome.folder


def test_every_table_and_figure_has_its_links_and_every_link_its_file(made: Path) -> None:
    files = set()
    for name in ("index", "01_score", "02_levels"):
        html = (made / f"{name}.html").read_text(encoding="utf-8")
        found = re.findall(r'href="([^"#]+\.(?:csv|xlsx|png|svg|parquet|pdf))"', html)
        assert found
        assert [address for address in found if not (made / address).is_file()] == []
        assert html.count("<table") == len([one for one in found if one.startswith("tables/") and one.endswith("csv")])
        files |= set(found)
    written = {path.relative_to(made).as_posix() for kind in ("tables", "figures") for path in (made / kind).iterdir()}
    assert written == {one for one in files if "/" in one}
    assert {"tables/01_score-score.csv", "tables/01_score-checks.xlsx", "tables/index-all-metrics.csv"} <= written
    assert {"figures/02_levels-channels.png", "figures/02_levels-channels.svg"} <= written
    outputs = json.loads((made / "run.json").read_text(encoding="utf-8"))["outputs"]
    assert written | {"results.csv", "results.xlsx"} <= set(outputs)


def test_all_numbers_are_those_of_the_report(made: Path) -> None:
    frame = pd.read_parquet(made / "results.parquet")
    read = pd.read_csv(made / "results.csv", keep_default_na=False, na_values={name: [""] for name in results.NUMBERS})
    assert len(read) == len(frame)
    for name in results.NUMBERS:
        assert read[name].to_numpy() == pytest.approx(frame[name].to_numpy(), nan_ok=True, rel=0, abs=0), name
    book = CalamineWorkbook.from_path(str(made / "results.xlsx"))
    assert len(book.get_sheet_by_name("Rows").to_python()) == len(frame) + 1
    told = {str(line[0]): str(line[1]) for line in book.get_sheet_by_name("About").to_python()}
    assert told["Company"] == "Quick & Söhne"
    assert told["Period"] == "septiembre de 2026"
    assert "snapshot" in told["Data"]


def test_no_text_of_the_data_becomes_a_formula(made: Path) -> None:
    seen = set()
    for path in [*(made / "tables").glob("*.csv"), made / "results.csv"]:
        for line in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")):
            seen |= {line.get("level", "")}
            texts = [cell for name, cell in line.items() if name not in results.NUMBERS]
            assert not [cell for cell in texts if is_formula(cell) and not _number(cell)], path.name
    assert {f"'{FORMULA}", "'@SUM(A1)"} <= seen
    book = CalamineWorkbook.from_path(str(made / "results.xlsx"))
    assert FORMULA in {cell for line in book.get_sheet_by_name("Rows").to_python() for cell in line}


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_pages_follow_the_locale(made: Path) -> None:
    html = (made / "index.html").read_text(encoding="utf-8")
    assert "septiembre de 2026" in html
    assert "September" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    read = pd.read_parquet(made / "results.parquet")
    now = read[(read["period"] == "2026-09") & (read["level"] == "all") & (read["comparison"] == "level")]
    assert f"{abs(now['estimate'].iloc[0]):.1f}".replace(".", ",") in html


@pytest.mark.parametrize(("why", "linked"), [("", True), ("no PDF: no Chromium was found", False)])
def test_a_pdf_is_linked_where_there_is_one(
    made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, why: str, linked: bool
) -> None:
    printed: list[str] = []

    def write(html: str, path: Path, at: datetime) -> str:
        printed.extend((html, path.name))
        return why

    monkeypatch.setenv(pdf.CHROMIUM, "any")
    monkeypatch.setattr(pdf, "write", write)
    context = Frozen(made, "01_score").context()
    assert context is not None
    pages = {"index.html": "Overview", "01_score.html": "01_score"}
    build = SimpleNamespace(
        folder=tmp_path, name=("quick", "2026-09"), report=SimpleNamespace(pdf=True), alone=False,
        started_at=datetime(2026, 11, 1), shell=lambda: page.Shell("Quick", "Quick", "2026-09", pages),
    )  # fmt: skip
    manifest = {"code": {"commit": "0" * 40, "dirty": True}, "headline": ["NPS rose."], "title": "Quick"}
    assert extras.write(build, context, results.empty(), manifest, Html("<p>glance</p>")) == "<p>glance</p>"
    assert "NPS rose." in printed[0]
    assert printed[1] == "quick-2026-09.pdf"
    assert manifest["pdf"] == {"file": "quick-2026-09.pdf" if linked else "", "why": why}
    assert ('href="quick-2026-09.pdf"' in extras.links(manifest)) is linked
    code = extras._source(context, manifest).facts["Code"]
    assert code.endswith(f"commit {'0' * 12}, with changes not committed")


def test_what_failed_offers_nothing() -> None:
    assert extras.links({"title": "Quick"}) == ""


def test_a_replay_of_the_published_notebook_links_to_its_files(made: Path) -> None:
    frozen = Frozen(made, "02_levels")
    context = frozen.context()
    assert context is not None
    offers = offering.Offers(context, frozen)
    html = offers.figure("<figure></figure>", "channels", "Channels")
    assert 'href="../../../reports/quick/2026-09/figures/02_levels-channels.png"' in html
