"""Workbooks, Parquet, lines of JSON, plain lines and archives are read as they stand, within bounds."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb
import pytest
import xlsxwriter

from cxlib.data.reading import packed, workbook
from cxlib.data.sources import Opened, open_source
from cxlib.errors import SourceError
from cxlib.params.models import File, Source


@contextmanager
def opened(folder: Path, zone: str = "UTC", **keys: object) -> Iterator[Opened]:
    source = Source(id="toy", title="Toy", licence="none", timezone=zone, files={"one": File(**keys)})
    with open_source(source, folder) as found:
        yield found


def rows(folder: Path, **keys: object) -> list[tuple]:
    with opened(folder, **keys) as found:
        return found.connection.execute("FROM one").fetchall()


def unreadable(found: Opened) -> list[tuple]:
    return found.connection.execute('SELECT file, "row", "column", reason FROM unreadable').fetchall()


def fails(folder: Path, **keys: object) -> str:
    with pytest.raises(SourceError) as caught, opened(folder, **keys):
        pass
    return str(caught.value)


def book(path: Path, **sheets: list[list[object]]) -> Path:
    """Write a workbook: dates and times as real ones, a text that begins with `=` as a formula that fails."""
    with xlsxwriter.Workbook(str(path)) as out:
        formats = {
            datetime: out.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
            date: out.add_format({"num_format": "d/m/yy"}),
            time: out.add_format({"num_format": "hh:mm"}),
            timedelta: out.add_format({"num_format": "[h]:mm:ss"}),
        }
        for title, lines in sheets.items():
            sheet = out.add_worksheet(title)
            for row, line in enumerate(lines):
                for column, cell in enumerate(line):
                    if isinstance(cell, str) and cell.startswith("="):
                        sheet.write_formula(row, column, cell, None, "#DIV/0!")
                    elif type(cell) in formats:
                        sheet.write_datetime(row, column, cell, formats[type(cell)])
                    elif isinstance(cell, str):
                        sheet.write_string(row, column, cell)
                    elif cell is not None:
                        sheet.write(row, column, cell)
    return path


def test_a_sheet_is_text_as_a_person_would_type_it(tmp_path):
    cells = [5.0, 0.1 + 0.2, 1e15, 123456789012345678, 1e-7, True, "007", " x ", "NA", date(2026, 10, 31)]
    cells += [datetime(2026, 10, 31, 23, 59), time(3, 4), timedelta(hours=30), None, "São\nPaulo", -0.0]
    book(tmp_path / "a.xlsx", One=[[f"c{n}" for n in range(len(cells))], cells])
    numbers = ("5", "0.3", "1E+15", "1.23456789012346E+17", "1E-07")
    others = ("TRUE", "007", " x ", "NA", "2026-10-31", "2026-10-31 23:59:00", "03:04:00", "30:00:00")
    expected = (*numbers, *others, None, "São\nPaulo", "0")
    assert rows(tmp_path, path="a.xlsx", format="excel") == [expected]


def test_sheets_headers_and_blank_rows(tmp_path):
    lines = [["Export"], ["id", "score", ""], ["", "", ""], ["Q", "Q", ""], [], [1, 9, None], [], [2, None, "x"]]
    book(tmp_path / "a.xlsx", First=[["other"]], Data=lines)
    keys = {"path": "a.xlsx", "format": "excel", "sheet": "Data", "skip": 1, "header_rows": 3}
    with opened(tmp_path, **keys) as found:
        assert found.connection.execute('FROM "one placed"').fetchall() == [
            ("1", "9", None, "a.xlsx", 6),
            ("2", None, "x", "a.xlsx", 8),
        ]
        assert [name for name, *_ in found.connection.execute("DESCRIBE one").fetchall()] == ["id", "score", "column3"]
    assert rows(tmp_path, path="a.xlsx", format="excel") == []
    names = {"header_rows": 0, "names": ("a",)}
    assert rows(tmp_path, path="a.xlsx", format="excel", **names) == [("other",)]
    assert "has no sheet 'Dara'; did you mean 'Data'?" in fails(tmp_path, path="a.xlsx", format="excel", sheet="Dara")
    assert "has no column 'scor'; did you mean 'score'?" in fails(tmp_path, **keys, columns=("scor",))
    assert "ends before row 11, which belongs to" in fails(tmp_path, **{**keys, "header_rows": 10})
    assert "row 5 is blank" in fails(tmp_path, **{**keys, "skip": 4})


def test_cells_of_a_sheet_that_cannot_be_read(tmp_path):
    lines = [["id", "n", "at"], [1, "=1/0", None], [2, "x", None], [3, 5, "31/10/2026"], [4, 5, date(2026, 10, 31)]]
    lines += [[5, 1234.5, datetime(2026, 10, 31, 9)], [6, "1.234,5", "31/10/2026"], [7, 1e-5, None]]
    book(tmp_path / "a.xlsx", One=lines)
    keys = {"numbers": {"n": "1.234,56"}, "times": {"at": "%d/%m/%Y"}}
    with opened(tmp_path, path="a.xlsx", format="excel", **keys) as found:
        day = date(2026, 10, 31)
        assert found.connection.execute("FROM one").fetchall() == [
            ("3", "5", day),
            ("4", "5", day),
            ("5", "1234.5", day),
            ("6", "1234.5", day),
            ("7", "0.00001", None),
        ]
        assert unreadable(found) == [
            ("a.xlsx", 2, "n", "the formula of a cell failed"),
            ("a.xlsx", 3, "n", "n 'x' is not a number written as 1.234,56"),
        ]


def test_real_date_cells_are_moments_in_the_zone_whatever_the_pattern(tmp_path):
    book(tmp_path / "a.xlsx", One=[["at"], [datetime(2026, 10, 31, 9)], ["31/10/2026 09:00"], [date(2026, 10, 31)]])
    keys = {"path": "a.xlsx", "format": "excel", "times": {"at": "%d/%m/%Y %H:%M"}}
    with opened(tmp_path, "Europe/Madrid", **keys) as found:
        nine, midnight = datetime(2026, 10, 31, 8, tzinfo=UTC), datetime(2026, 10, 30, 23, tzinfo=UTC)
        assert found.connection.execute('SELECT "at" FROM one').fetchall() == [(nine,), (nine,), (midnight,)]


def test_several_workbooks_are_one_table_by_column_name(tmp_path):
    book(tmp_path / "a-1.xlsx", One=[["id", "x"], [1, 2]])
    book(tmp_path / "a-2.xlsx", One=[["y", "id", "X"], [3, 4, 5]])
    with opened(tmp_path, path="a-*.xlsx", format="excel", columns=("id",)) as found:
        run = found.connection.execute
        assert run('SELECT id, x, y, _file, _row FROM "one placed"').fetchall() == [
            ("1", "2", None, "a-1.xlsx", 2),
            ("4", "5", "3", "a-2.xlsx", 2),
        ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"id,score\n1,2\n", "it is no workbook that can be read"),
        (b"PK\x03\x04junk", "it is no workbook that can be read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1junk", "it is no workbook that can be read"),
    ],
)
def test_what_is_no_workbook_is_told(tmp_path, content, said):
    (tmp_path / "a.xlsx").write_bytes(content)
    assert f"file one (a.xlsx) cannot be read: {said}" in fails(tmp_path, path="a.xlsx", format="excel")


def remade(path: Path, member: str, change: dict[bytes, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> None:
    """Write a workbook again with a part of it changed."""
    with zipfile.ZipFile(path) as old:
        parts = {info.filename: old.read(info) for info in old.infolist()}
    for before, after in change.items():
        assert before in parts[member]
        parts[member] = parts[member].replace(before, after)
    with zipfile.ZipFile(path, "w", method) as new:
        for name, content in parts.items():
            new.writestr(name, content)


def test_a_sheet_of_few_cells_far_apart_is_refused_before_it_fills_memory(tmp_path):
    book(tmp_path / "a.xlsx", One=[["id", "x"], [1, 2]])
    remade(tmp_path / "a.xlsx", "xl/worksheets/sheet1.xml", {b'r="B2"': b'r="XFD1048576"'})
    message = fails(tmp_path, path="a.xlsx", format="excel")
    assert "has 1,048,576 rows and 16,384 columns: more than can be held; save it as CSV" in message


def test_a_workbook_that_unpacks_to_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "LARGEST", 1 << 20)
    book(tmp_path / "a.xlsx", One=[["id"], [1]])
    remade(tmp_path / "a.xlsx", "xl/worksheets/sheet1.xml", {b"<sheetData>": b" " * (8 << 20) + b"<sheetData>"})
    assert "no export does, so unpacking was stopped" in fails(tmp_path, path="a.xlsx", format="excel")


def test_a_workbook_that_lies_about_its_size_is_refused(tmp_path):
    book(tmp_path / "a.xlsx", One=[["id"], [1]])
    content = (tmp_path / "a.xlsx").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        info = archive.getinfo("xl/worksheets/sheet1.xml")
    size = info.file_size.to_bytes(4, "little")
    (tmp_path / "a.xlsx").write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    assert "it is no workbook that can be read: Bad CRC-32" in fails(tmp_path, path="a.xlsx", format="excel")


def test_other_archives_are_no_workbooks(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as archive:
        archive.writestr("content.xml", "<x/>")
    assert "of the kind .xlsx or .xls: save it as one" in fails(tmp_path, path="a.ods", format="excel")


def test_cells_are_text_in_the_style_of_their_column():
    assert workbook.words(1234.5, "1.234,56") == "1234,5"
    assert workbook.words(1e-7, "1234.56") == "0.0000001"
    assert workbook.words(1e20, "1234.56") == "1e+20"  # no number of any style: its digits are lost
    assert workbook.words(-3, "1,234.56") == "-3"
    assert workbook.words("", "1,234.56") is None


def test_parquet_keeps_its_types_and_is_read_where_it_lies(tmp_path):
    table = "SELECT 1 AS n, TIMESTAMP '2026-01-01' AS t, 1.50::DECIMAL(4,2) AS x, [1] AS l, 'a' AS filename"
    duckdb.sql(f"{table} UNION ALL SELECT 2, NULL, 2.00::DECIMAL(4,2), [], 'b'").write_parquet(
        str(tmp_path / "a-1.parquet")
    )
    duckdb.sql("SELECT 3 AS n, 'z' AS more").write_parquet(str(tmp_path / "a-2.parquet"))
    with opened(tmp_path, path="a-*.parquet", format="parquet") as found:
        run = found.connection.execute
        kinds = {name: kind for name, kind, *_ in run("DESCRIBE one").fetchall()}
        assert kinds == {
            "n": "INTEGER",
            "t": "TIMESTAMP",
            "x": "DECIMAL(4,2)",
            "l": "INTEGER[]",
            "filename": "VARCHAR",
            "more": "VARCHAR",
        }
        assert run('SELECT n, filename, more, _file, _row FROM "one placed" ORDER BY n').fetchall() == [
            (1, "a", None, "a-1.parquet", 1),
            (2, "b", None, "a-1.parquet", 2),
            (3, None, "z", "a-2.parquet", 1),
        ]
        assert [(file.rows, file.label) for file in found.read["one"].files] == [(2, "a-1.parquet"), (1, "a-2.parquet")]
    duckdb.sql("SELECT 8 AS file_row_number").write_parquet(str(tmp_path / "b.parquet"))
    with opened(tmp_path, path="b.parquet", format="parquet") as found:
        assert found.connection.execute('FROM "one placed"').fetchall() == [(8, "b.parquet", None)]


def test_times_and_conditions_of_parquet(tmp_path):
    query = (
        "FROM (VALUES (1, TIMESTAMP '2026-07-01 12:00', DATE '2026-07-01', '1/7/2026', 1761955200, 2.5, '1,234.5'),"
        " (2, NULL, NULL, 'x', NULL, NULL, '1,2'), (3, NULL, NULL, NULL, NULL, NULL, NULL)) AS t(id, a, b, c, d, e, f)"
    )
    duckdb.sql(query).write_parquet(str(tmp_path / "a.parquet"))
    keys = {
        "times": {"a": "iso", "b": "iso", "c": "%d/%m/%Y", "d": "unix_seconds"},
        "numbers": {"e": "1.234,56", "f": "1,234.56"},
        "leave_out": {"third": "id = 3"},
    }
    with opened(tmp_path, "Europe/Madrid", path="a.parquet", format="parquet", **keys) as found:
        noon, midnight = datetime(2026, 7, 1, 10, tzinfo=UTC), datetime(2026, 6, 30, 22, tzinfo=UTC)
        unix = datetime(2025, 11, 1, tzinfo=UTC)
        expected = (1, noon, midnight, date(2026, 7, 1), unix, "2.5", "1234.5")
        assert found.connection.execute("FROM one").fetchall() == [expected]
        assert unreadable(found) == [
            (
                "a.parquet",
                2,
                "c",
                "c 'x' is not a date written as %d/%m/%Y; f '1,2' is not a number written as 1,234.56",
            )
        ]
        assert found.read["one"].left_out == {"third": 1}
    duckdb.sql("SELECT TIMESTAMPTZ '2026-07-01 23:30:00+00' AS a, TIMESTAMP '2026-07-01 12:00' AS b").write_parquet(
        str(tmp_path / "b.parquet")
    )
    with opened(
        tmp_path, "Europe/Madrid", path="b.parquet", format="parquet", times={"a": "date", "b": "date"}
    ) as found:
        assert found.connection.execute("FROM one").fetchall() == [(date(2026, 7, 2), date(2026, 7, 1))]


def test_damaged_parquet_is_told(tmp_path):
    duckdb.sql("SELECT 1 AS n").write_parquet(str(tmp_path / "a.parquet"))
    content = (tmp_path / "a.parquet").read_bytes()
    for damaged in (b"", b"n\n1\n", content[:-5], content[:50] + content[60:]):
        (tmp_path / "a.parquet").write_bytes(damaged)
        assert "file one (a.parquet) cannot be read" in fails(tmp_path, path="a.parquet", format="parquet")


def test_lines_of_json_are_text(tmp_path):
    lines = [{"id": "007", "n": 1, "big": 12345678901234567890123, "no": None, "yes": True, "e": ""}]
    lines += [{"n": 2.5, "more": {"x": [1, "é"]}, "a/b": 1, "a~b": 2, 'q"z': 3, "$x": 4, "": 5, " ": 6}]
    (tmp_path / "a.jsonl").write_text("\n\n".join(map(json.dumps, lines)), encoding="utf-8")
    with opened(tmp_path, path="a.jsonl", format="jsonl") as found:
        run = found.connection.execute
        names = [name for name, *_ in run("DESCRIBE one").fetchall()]
        assert names == ["column1", "column2", "$x", "a/b", "a~b", "big", "e", "id", "more", "n", "no", 'q"z', "yes"]
        assert run('SELECT id, n, big, "no", yes, e, more, _row FROM "one placed"').fetchall() == [
            ("007", "1", "12345678901234567890123", None, "true", None, None, 1),
            (None, "2.5", None, None, None, None, '{"x":[1,"é"]}', 3),
        ]
        assert run('SELECT column1, column2, "$x", "a/b", "a~b", "q""z" FROM one').fetchall()[1] == tuple("564123"[:6])


def test_lines_that_are_no_objects_are_unreadable(tmp_path):
    lines = ['{"id":1}', "{", "[1]", "7", '{"id":2,"id":3}', '{"id":"a\\u0000"}', "", '{"id":4} x', '{"id":5}', "\xff"]
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines).encode("latin-1"))
    with opened(tmp_path, path="a.jsonl", format="jsonl") as found:
        assert found.connection.execute("FROM one").fetchall() == [("1",), ("5",)]
        assert [(row, reason) for _, row, _, reason in unreadable(found)] == [
            (2, "it is no JSON"),
            (3, "it is no JSON object"),
            (4, "it is no JSON object"),
            (5, "it has a key more than once"),
            (6, "it holds NUL bytes"),
            (8, "it is no JSON"),
            (10, "its bytes are not utf-8; say its encoding in source.yml"),
        ]
        assert found.read["one"].rows == 9


def test_keys_of_json(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"Id":1,"at":1761955200,"n":1.234}\n{"id":2,"n":"1.234"}\n{"Id":3,"at":"x"}\n')
    keys = {"times": {"at": "unix_seconds"}, "numbers": {"n": "1.234,56"}, "columns": ("n",)}
    with opened(tmp_path, path="a.jsonl", format="jsonl", **keys) as found:
        day = datetime(2025, 11, 1, tzinfo=UTC)
        rows_found = found.connection.execute('SELECT "Id", "id 2", "at", n FROM one').fetchall()
        assert rows_found == [("1", None, day, "1.234"), (None, "2", None, "1234")]
        assert unreadable(found) == [("a.jsonl", 3, "at", "at 'x' is not a time written as unix_seconds")]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps({f"k{n}": 1}) for n in range(2_001)))
    assert "have more than 2,000 keys; are ids among them?" in fails(tmp_path, path="b.jsonl", format="jsonl")
    (tmp_path / "c.jsonl").write_text("\n\n")
    assert rows(tmp_path, path="c.jsonl", format="jsonl", columns=("id", "n")) == []
    assert "has no column 'idd'; did you mean 'Id'?" in fails(
        tmp_path, path="a.jsonl", format="jsonl", columns=("idd",)
    )


def test_plain_lines(tmp_path):
    (tmp_path / "a.txt").write_text(' 00001 19970101  1   11.77\n\n 0"002, 19970112\r\n  \n')
    assert rows(tmp_path, path="a.txt", format="text", header_rows=0) == [
        (" 00001 19970101  1   11.77",),
        (' 0"002, 19970112',),
        ("  ",),
    ]
    with opened(tmp_path, path="a.txt", format="text", leave_out={"blank": "trim(line) = ''"}) as found:
        assert found.connection.execute('FROM "one placed"').fetchall() == [(' 0"002, 19970112', "a.txt", 3)]


def test_real_fixed_width_lines(shared_data):
    with opened(shared_data("cdnow"), path="CDNOW_master.txt", format="text") as found:
        query = "SELECT count(*), count(DISTINCT substr(line, 2, 5)) FROM one"
        assert found.connection.execute(query).fetchall() == [(69_659, 23_570)]


def packed_files(folder: Path) -> None:
    """Write the same rows plain, in gzip (of two members, and filled up with zeros) and in zip."""
    content = "id,word\n" + "".join(f"{nth},é\n" for nth in range(1_000))
    (folder / "a.csv").write_text(content, encoding="utf-8")
    data = content.encode()
    (folder / "a.csv.gz").write_bytes(gzip.compress(data[:500]) + gzip.compress(data[500:]) + b"\0" * 99)
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/b.csv", data)
        archive.writestr("__MACOSX/in/._b.csv", b"\0\0")


@pytest.mark.parametrize("block", [1, 100, 1 << 22])
def test_archives_are_opened_as_they_stream(tmp_path, monkeypatch, block):
    packed_files(tmp_path)
    expected = rows(tmp_path, path="a.csv")
    monkeypatch.setattr(packed, "BLOCK", block)
    assert rows(tmp_path, path="a.csv.gz") == expected
    assert rows(tmp_path, path="a.zip") == expected


def test_members_of_archives(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("jan.csv", "id\n1\n")
        archive.writestr("feb.csv", "id\n2\n3,4\n")
        archive.writestr("read me.txt", "hello")
        archive.mkdir("empty")
    with opened(tmp_path, path="a.zip", member="*.csv") as found:
        run = found.connection.execute
        assert run('FROM "one placed"').fetchall() == [("1", "a.zip/jan.csv", 2), ("2", "a.zip/feb.csv", 2)]
        assert unreadable(found) == [("a.zip/feb.csv", 3, None, "it has 2 values for 1 columns")]
        assert [file.label for file in found.read["one"].files] == ["a.zip/jan.csv", "a.zip/feb.csv"]
        assert found.files == (tmp_path / "a.zip",)
    assert rows(tmp_path, path="a.zip", member="feb.csv") == [("2",)]
    assert "no member mar.csv; it holds feb.csv, jan.csv, read me.txt" in fails(
        tmp_path, path="a.zip", member="mar.csv"
    )
    assert "file one (a.zip/read me.txt) has no column 'id'" in fails(tmp_path, path="a.zip", columns=("id",))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv.gz", b"id\n1\n", "it is no gzip, but for its name"),
        ("a.csv.gz", b"", "it is empty"),
        ("a.csv.gz", gzip.compress(b"id\n" + b"1\n" * 9_000, mtime=0)[:-9], "its gzip ends early: it was cut off"),
        ("a.csv.gz", gzip.compress(b"id\n" + b"1\n" * 9_000, mtime=0) + b"more", "its gzip is damaged"),
        ("a.zip", b"id\n1\n", "it is not a zip archive that can be opened"),
        ("a.zip", b"", "it is not a zip archive that can be opened"),
    ],
)
def test_damaged_archives_are_told(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    assert f"file one ({name}) cannot be read: {said}" in fails(tmp_path, path=name)


def test_damaged_members_are_told(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x.csv", "id\n123456\n")
    (tmp_path / "a.zip").write_bytes(out.getvalue().replace(b"123456", b"123457", 1))
    assert "file one (a.zip/x.csv) cannot be read: it cannot be unpacked: Bad CRC-32" in fails(tmp_path, path="a.zip")
    locked = bytearray(out.getvalue())
    for start in (locked.find(b"PK\x03\x04") + 6, locked.find(b"PK\x01\x02") + 8):
        locked[start] |= 1
    (tmp_path / "a.zip").write_bytes(locked)
    assert "a password protects it" in fails(tmp_path, path="a.zip")


def test_bombs_are_stopped_while_they_unpack(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "LARGEST", 1 << 20)
    data = b"id,word\n" + b"1,a\n" * (1 << 20)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(data))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", data)
    for name in ("a.csv.gz", "a.zip"):
        message = fails(tmp_path, path=name)
        assert "more than 200 times its size: no export does, so unpacking was stopped (a zip bomb?)" in message


def test_what_is_packed_well_is_no_bomb(tmp_path):
    data = b"id,word\n" + b"1,a\n" * (1 << 16)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(data))
    assert (tmp_path / "a.csv.gz").stat().st_size * 200 < len(data)
    assert len(rows(tmp_path, path="a.csv.gz")) == 1 << 16
