"""CSV and workbooks: no text is a formula, every number comes back as it was.

What counts as the beginning of a formula is OWASP's list (CSV Injection), with the full-width forms.
"""

from __future__ import annotations

import csv
import io
import math
import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from cxlib.reports.spreadsheets import Number, Sheet, csv_bytes, frame_csv, is_formula, neutral, workbook

STARTS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
ATTACKS = [
    "=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", '"=1"', "\u200b=1", "\ufeff@x", "＝1", "＋1",
    "－1", "＠x", '=HYPERLINK("http://x","y")', "=cmd|' /C calc'!A0", "\u00a0-1",
]  # fmt: skip
PLAIN = ["", "Web", "2026-10", "'=1", "n = 5", "a+b", "—", "−3.1", "(=1)", "0", "ß"]


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def read_sheet(content: bytes, place: int = 0) -> list[list[object]]:
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(place).to_python()


@pytest.mark.parametrize("text", ATTACKS)
def test_what_looks_like_a_formula_is_told_and_made_a_text(text: str) -> None:
    assert is_formula(text)
    assert neutral(text) == f"'{text}"
    assert neutral(neutral(text)) == neutral(text)


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_stay(text: str) -> None:
    assert neutral(text) == text


@given(st.lists(st.lists(st.text() | st.sampled_from(ATTACKS), min_size=2, max_size=2), max_size=5))
def test_no_text_cell_of_a_csv_begins_a_formula(lines: list[list[str]]) -> None:
    for line in read_csv(csv_bytes(["a", "=b"], lines)):
        for cell in line:
            assert not is_formula(cell)
            assert not cell.startswith(tuple(STARTS))
            assert not cell.lstrip(' "\u00a0').startswith(tuple(STARTS))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_of_a_csv_come_back_to_the_last_digit(value: float) -> None:
    ((_,), (cell,)) = read_csv(csv_bytes(["x"], [[value]]))
    assert float(cell) == value


def test_a_csv_is_utf_8_with_a_mark_and_whole_numbers_without_a_point() -> None:
    content = csv_bytes(["who", "n", "low"], [["Söhne, & Co", 1428.0, Number(-4.1, "0.0")], ["é", None, math.nan]])
    assert content.startswith(b"\xef\xbb\xbfwho,n,low\r\n")
    assert read_csv(content)[1:] == [["Söhne, & Co", "1428", "-4.1"], ["é", "", ""]]


def test_a_workbook_holds_texts_numbers_and_no_formula() -> None:
    lines = [[attack, Number(-4.1, "0.0%"), None] for attack in ATTACKS]
    content = workbook([Sheet("Table", ["=Head", "n", "none"], lines, title="+Title", below=["@below"])], "=t", "=c")
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        styles = parts.read("xl/styles.xml").decode()
        assert not any("externalLink" in name or "hyperlink" in name for name in parts.namelist())
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert 'quotePrefix="1"' in styles  # a text stays one where its cell is edited
    assert "<pane " in sheet  # the headings stay in sight
    rows = read_sheet(content)
    assert [rows[0][0], *rows[2]] == ["+Title", "=Head", "n", "none"]
    assert {row[1] for row in rows[3 : 3 + len(ATTACKS)]} == {-4.1}
    assert rows[-1][0] == "@below"


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300, allow_subnormal=False))
def test_numbers_of_a_workbook_come_back(value: float) -> None:
    """A workbook holds 16 digits of a number, as Excel writes them."""
    ((_,), (cell,)) = read_sheet(workbook([Sheet("s", ["x"], [[value]])], "t"))
    assert cell == pytest.approx(value, rel=1e-15)


def test_the_same_content_gives_the_same_bytes() -> None:
    made = [workbook([Sheet("s", ["x"], [["a", 1.5]])], "t", "c") for _ in range(2)]
    assert made[0] == made[1]


def test_what_is_infinite_or_missing_is_no_number() -> None:
    rows = read_sheet(workbook([Sheet("s", ["x", "y"], [[math.inf, "z"], [-math.inf, math.nan]])], "t"))
    assert rows[1:] == [["∞", "z"], ["−∞", ""]]


def test_a_frame_is_written_as_its_texts_and_numbers() -> None:
    frame = pd.DataFrame({"level": ["=1+1", None], "estimate": [0.1 + 0.2, math.nan], "n": [3, 4]})
    assert read_csv(frame_csv(frame)) == [
        ["level", "estimate", "n"],
        ["'=1+1", "0.30000000000000004", "3"],
        ["", "", "4"],
    ]
