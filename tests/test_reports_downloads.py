"""What is downloaded beside tables and figures: files, links, what stands in them, and what never does."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest
import show_frames as frames
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from show_frames import LAST, METRICS

from cxlib import results
from cxlib.errors import UsageError
from cxlib.params.models import Report, Workspace
from cxlib.reports import downloads, page
from cxlib.reports.context import Context, Freshness
from cxlib.reports.downloads import COLUMNS, Source
from cxlib.reports.inputs import Frozen
from cxlib.reports.offering import Offers, carried, source_of
from cxlib.reports.spreadsheets import is_formula
from cxlib.show import markup, tables
from cxlib.show.formats import Format
from cxlib.show.markup import Html

SOURCE = Source("Toy & Söhne", Format(), {"Company": "Toy & Söhne", "Data": "snapshot 0001-abcdef"}, METRICS)
ATTACK = '=HYPERLINK("http://x","<script>alert(1)</script>")'


def read_csv(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_book(content: bytes) -> dict[str, list[list[object]]]:
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


@pytest.fixture
def context() -> Context:
    return Context(
        workspace=Workspace(company="Toy & Söhne"),
        report=Report(id="toy", title="Toy", audience="tests", notebooks=["a"], metrics=list(METRICS)),
        period=LAST, snapshot="0001-abcdef", created_at="2026-11-01T00:00:00Z", origins=(),
        freshness=(Freshness(table="responses", rows=60, newest="2026-10-31T10:00:00"),), metrics=METRICS,
        segments={}, touchpoints={}, definitions={},
    )  # fmt: skip


class TestTable:
    def test_its_rows_go_with_it_and_change_nothing_of_its_look(self) -> None:
        frame = frames.scorecard()
        made = tables.scorecard(frame, METRICS)
        assert isinstance(made, Html)
        assert made.heading == "Scorecard, October 2026"
        shown = [(row["metric"], row["comparison"], row["against"]) for row in made.rows]
        assert shown[:4] == [
            ("nps", "level", ""), ("nps", "difference", "target"), ("nps", "difference", "2026-09"),
            ("nps", "difference", "2025-10"),
        ]  # fmt: skip
        assert len(shown) == len(set(shown))
        assert {name for name, *_ in shown} == set(METRICS)

    def test_csv_has_every_number_to_the_last_digit(self) -> None:
        made = tables.scorecard(frames.scorecard(), METRICS)
        read = read_csv(downloads.table_csv(made, SOURCE))
        assert tuple(read[0]) == COLUMNS
        for line, row in zip(read, made.rows, strict=True):
            assert line["title"] == METRICS[row["metric"]].title
            assert line["period"] == row["period"]
            for name in ("estimate", "conf_low", "conf_high", "n"):
                assert float(line[name]) == row[name]
        assert read[0]["unit"] == "points"
        assert {line["unit"] for line in read} >= {"share of 1", "share of 1 a month", "EUR", "seconds"}

    def test_what_is_hidden_has_no_number_anywhere(self) -> None:
        made = tables.touchpoints(frames.journey(), METRICS, frames.TOUCHPOINTS)
        hidden = [row for row in read_csv(downloads.table_csv(made, SOURCE)) if row["status"] == "suppressed"]
        assert {row["level"] for row in hidden} == {"billing"}
        assert not any(row[name] for row in hidden for name in results.NUMBERS)
        book = read_book(downloads.table_workbook(made, SOURCE))
        (shown,) = [line for line in book["Table"] if "Billing" in line]
        assert not [cell for cell in shown if isinstance(cell, float)]
        assert "hidden: small group" in shown
        (tidy, *_) = [line for line in book["Rows"] if line[COLUMNS.index("level")] == "billing"]
        assert not [cell for cell in tidy if isinstance(cell, float)]

    def test_workbook_shows_the_table_its_rows_and_where_it_comes_from(self) -> None:
        made = tables.scorecard(frames.scorecard(), METRICS)
        book = read_book(downloads.table_workbook(made, SOURCE))
        assert list(book) == ["Table", "Rows", "About"]
        assert book["Table"][0][0] == "Scorecard, October 2026"
        heads = book["Table"][2]
        assert heads[:5] == ["Metric", "October 2026", "October 2026: low", "October 2026: high", "n"]
        assert "Since September 2026: reading" in "".join(map(str, heads)).replace(" (0.01 is 1 pp)", "")
        assert not any("Last" in str(head) for head in heads)  # pictures are not for cells
        first = made.rows[0]
        assert book["Table"][3][1:5] == pytest.approx(
            [first["estimate"], first["conf_low"], first["conf_high"], first["n"]], rel=1e-15
        )
        assert book["Rows"][0] == list(COLUMNS)
        told = dict(line[:2] for line in book["About"])
        assert told["Company"] == "Toy & Söhne"
        assert "definition 0123456789ab" in str(told["Net Promoter Score"])

    def test_a_table_of_no_results_is_given_as_shown(self) -> None:
        made = tables.definitions(METRICS)
        lines = read_csv(downloads.table_csv(made, SOURCE))
        assert lines[0]["Metric"] == "Net Promoter Score"
        assert lines[0]["Target"] == "40"  # a number, not "+40.0"
        assert read_book(downloads.table_workbook(made, SOURCE))["Table"][3][3] == 40.0

    @given(st.text(max_size=20) | st.just(ATTACK), st.sampled_from(["=", "+", "-", "@", "\t", "＝", ""]))
    def test_no_level_of_the_data_becomes_a_formula_or_html(self, words: str, start: str) -> None:
        level = f"{start}{words}"
        frame = frames.levels(count=2)
        frame["level"] = frame["level"].where(frame["level"] != "North", level)
        made = tables.levels(results.conform(frame), METRICS)
        for line in csv.reader(io.StringIO(downloads.table_csv(made, SOURCE).decode("utf-8-sig"), newline="")):
            assert not [cell for cell in line if not _number(cell) and is_formula(cell)]
        assert "<script" not in made

    def test_the_same_table_gives_the_same_files(self) -> None:
        made = [tables.scorecard(frames.scorecard(), METRICS) for _ in range(2)]
        assert downloads.table_csv(made[0], SOURCE) == downloads.table_csv(made[1], SOURCE)
        assert downloads.table_workbook(made[0], SOURCE) == downloads.table_workbook(made[1], SOURCE)


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("comparison", "unit", "expected"),
    [
        ("level", "percent", "share of 1"), ("difference", "percent", "share of 1"), ("level", "money", "EUR"),
        ("relative", "money", "share of the earlier value"), ("test", "", ""), ("share", "", "share of 1"),
        ("level", "points", "points"),
    ],
)  # fmt: skip
def test_units_of_a_program(comparison: str, unit: str, expected: str) -> None:
    assert downloads.unit_words({"comparison": comparison}, unit, "EUR") == expected


@pytest.mark.parametrize(
    ("form", "unit", "sign", "expected"),
    [
        (Format(), "percent", False, "0.0%"), (Format(), "percent", True, "+0.0%;-0.0%;0.0%"),
        (Format(), "money", False, '"€"#,##0.00'), (Format("EUR", "es"), "money", False, '#,##0.00"\u00a0€"'),
        (Format("JPY", "ja"), "money", False, '"¥"#,##0'), (Format(), "no such unit", True, "General"),
    ],
)  # fmt: skip
def test_number_formats_of_a_workbook(form: Format, unit: str, sign: bool, expected: str) -> None:
    assert downloads.excel_form(unit, form, sign=sign) == expected


def test_slugs() -> None:
    assert downloads.slug("Net Promoter Score: +27.2 (Übersicht)") == "net-promoter-score-27-2-ubersicht"
    assert downloads.slug("東京") == "table"
    long = downloads.slug("a point more for customers over the months " * 3)
    assert len(long) <= 50
    assert not long.endswith("-")


class TestOffers:
    def test_while_recording_files_are_written_and_linked(self, tmp_path: Path, context: Context) -> None:
        offers = Offers(context, Frozen(tmp_path, "01_score"))
        html = offers.table(tables.scorecard(frames.scorecard(), METRICS), "scorecard")
        assert re.findall(r'href="([^"]*)"', html)[-2:] == [
            "tables/01_score-scorecard.csv", "tables/01_score-scorecard.xlsx",
        ]  # fmt: skip
        assert html.endswith("</p></figure>")
        assert page.clean(html).count("<a ") == 2  # the links outlive the cleaning of a page
        for name in ("csv", "xlsx"):
            assert (tmp_path / "tables" / f"01_score-scorecard.{name}").is_file()

    def test_two_tables_of_one_title_have_files_of_their_own(self, tmp_path: Path, context: Context) -> None:
        offers = Offers(context, Frozen(tmp_path, "a"))
        for name in ("nps", "aov", "nps"):
            offers.table(tables.scorecard(frames.history([name]), METRICS, title="Score"))
        assert sorted(path.name for path in (tmp_path / "tables").glob("*.csv")) == ["a-score-2.csv", "a-score.csv"]

    def test_a_replay_links_to_the_published_report_and_carries_what_it_lacks(
        self, tmp_path: Path, context: Context
    ) -> None:
        folder = tmp_path / "toy" / LAST
        made = tables.scorecard(frames.scorecard(), METRICS)
        Offers(context, Frozen(folder, "a")).table(made, "score")
        (folder / "run.json").write_text("{}")
        replay = Offers(context, Frozen(folder, "a"))
        assert f'href="../../../reports/toy/{LAST}/tables/a-score.csv"' in replay.table(made, "score")
        other = tables.scorecard(frames.history(["nps"]), METRICS)
        html = replay.table(other, "score")
        name, held = re.findall(r'download="([^"]*)"[^>]*href="data:text/csv;charset=utf-8;base64,([^"]*)"', html)[0]
        assert name == "score.csv"
        assert base64.b64decode(held) == downloads.table_csv(other, source_of(context))
        assert len(list((folder / "tables").iterdir())) == 2  # a replay writes nothing
        assert carried("<p>words</p>", context) == "<p>words</p>"

    def test_figures(self, tmp_path: Path, context: Context) -> None:
        folder = tmp_path / "toy" / LAST
        recording = Offers(context, Frozen(folder, "a"))
        assert 'href="figures/a-map.svg"' in recording.figure("<figure></figure>", "map", "A map")
        folder.mkdir(parents=True)
        (folder / "run.json").write_text("{}")
        assert 'href="data:image/png;base64,eA=="' in Offers(context, Frozen(folder, "a")).figure("", "map", "", b"x")

    def test_while_exploring_nothing_is_offered(self, context: Context) -> None:
        offers, made = Offers(context, Frozen(None, "")), tables.definitions(METRICS)
        assert offers.table(made) == made
        assert offers.figure("<figure></figure>", "map", "A map", b"x") == "<figure></figure>"

    def test_html_of_no_table_stays(self, tmp_path: Path, context: Context) -> None:
        offers = Offers(context, Frozen(tmp_path, "a"))
        assert Offers(context, Frozen(None, "a")).table("<p>words</p>") == "<p>words</p>"
        with pytest.raises(UsageError, match="does not carry its rows"):
            offers.table("<p>words</p>")
        nothing = markup.nothing("Empty", "nothing came")
        assert offers.table(nothing) == nothing
        assert not (tmp_path / "tables").exists()


def test_cells_as_text() -> None:
    cell = markup.Cell(
        '<span class="cx-better"><span aria-hidden="true">▲</span> up &amp; away</span><br><small>n 5</small>'
    )
    assert cell.text == "up & away · n 5"
    frame = pd.DataFrame([{"table": "t", "rows": 1200, "newest": "2026-10-31T10:00:00", "warning": ""}])
    (line,) = read_csv(downloads.table_csv(tables.freshness(frame), SOURCE))
    assert line["Rows"] == "1200"
    assert line["Newest event (UTC)"] == "31 October 2026, 10:00"
