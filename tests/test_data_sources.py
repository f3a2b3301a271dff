"""Raw files are read as they stand: RFC 4180 for CSV, each format's own rules for the others."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from cxlib.data.sources import open_source, reason
from cxlib.errors import SourceError
from cxlib.params.models import File, Source


def source(**files: File) -> Source:
    return Source(id="toy", title="Toy", licence="none", files=files)


def read(folder: Path, file: File) -> list[tuple]:
    with open_source(source(one=file), folder) as opened:
        return opened.connection.execute("SELECT * FROM one").fetchall()


def fails(folder: Path, file: File) -> str:
    """Return what is said of a file that cannot be opened, or not read."""
    try:
        read(folder, file)
    except SourceError as error:
        return str(error)
    except duckdb.Error as error:
        return reason(error)
    raise AssertionError("it was read")


def test_csv_is_text_and_only_the_empty_field_is_missing(tmp_path):
    (tmp_path / "a.csv").write_text('id,word,when\n007,NA,01/02/2026\n1e5,None,\n"8",null,"x ""y"" z"\n')
    assert read(tmp_path, File(path="a.csv")) == [
        ("007", "NA", "01/02/2026"),
        ("1e5", "None", None),
        ("8", "null", 'x "y" z'),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quoted_newline_starts_no_row(tmp_path, end):
    (tmp_path / "a.csv").write_bytes(f'id,word{end}1,"a{end}b, c"{end}2,d{end}'.encode())
    assert read(tmp_path, File(path="a.csv")) == [("1", f"a{end}b, c"), ("2", "d")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_the_encoding_is_the_declared_one(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("città,n\nSão Paulo,1\n".encode(encoding))
    with open_source(source(one=File(path="a.csv", encoding=encoding)), tmp_path) as opened:
        assert opened.connection.execute('SELECT "città" FROM one').fetchall() == [("São Paulo",)]


def test_delimiters_and_headers_of_several_rows(tmp_path):
    (tmp_path / "a.csv").write_text("a;b\n1,5;x\n")
    (tmp_path / "b.tsv").write_text("a\tb\n1,5\tx\n")
    assert read(tmp_path, File(path="a.csv", delimiter=";")) == [("1,5", "x")]
    assert read(tmp_path, File(path="b.tsv", format="tsv")) == [("1,5", "x")]
    (tmp_path / "d.csv").write_text('Q1,Q2\n"How, or\nwhy?",Who\n"ImportId: 1",x\n1,x\n')
    assert read(tmp_path, File(path="d.csv", header_rows=3)) == [("1", "x")]


def test_a_glob_is_one_table_by_column_name(tmp_path):
    (tmp_path / "x-1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "x-2.csv").write_text("b,a\n4,3\n")
    assert read(tmp_path, File(path="x-*.csv")) == [("1", "2"), ("3", "4")]


def test_parquet_keeps_types_and_json_lines_are_text(tmp_path):
    pd.DataFrame({"n": [1, 2], "t": pd.to_datetime(["2026-01-01", None])}).to_parquet(tmp_path / "a.parquet")
    assert [type(value).__name__ for value in read(tmp_path, File(path="a.parquet", format="parquet"))[0]] == [
        "int",
        "datetime",
    ]
    lines = [{"id": "007", "n": 1}, {"n": 2.5, "more": {"x": [1]}}]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with open_source(source(one=File(path="b.jsonl", format="jsonl")), tmp_path) as opened:
        found = opened.connection.execute("SELECT id, n, more FROM one").fetchall()
    assert found == [("007", "1", None), (None, "2.5", '{"x":[1]}')]


def test_excel_is_text_where_pandas_can_read_it(tmp_path, monkeypatch):
    (tmp_path / "a.xlsx").write_bytes(b"")
    sheet = pd.DataFrame([["id", "score"], ["007", "9"], ["8", ""]], dtype=str)
    monkeypatch.setattr(pd, "read_excel", lambda path, **_: sheet)
    assert read(tmp_path, File(path="a.xlsx", format="excel")) == [("007", "9"), ("8", None)]

    def missing(path, **_):
        raise ImportError("no openpyxl")

    monkeypatch.setattr(pd, "read_excel", missing)
    assert "a.xlsx) cannot be read: Excel needs the package openpyxl" in fails(
        tmp_path, File(path="a.xlsx", format="excel")
    )


def test_a_missing_optional_file_is_an_empty_view_and_a_note(tmp_path):
    with open_source(source(sellers=File(path="s.csv", optional=True, columns=("id", "state"))), tmp_path) as opened:
        assert opened.connection.execute("SELECT id, state FROM sellers").fetchall() == []
        assert opened.notes == ("optional file sellers (s.csv) is not there: taken as empty",)
        assert opened.files == ()


def test_every_fault_of_a_source_is_said_at_once(tmp_path):
    (tmp_path / "orders2.csv").write_text("order_id,amount\n1,2\n")
    (tmp_path / "b.csv").write_text("id,scor,id\n1,2,3\n")
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.csv").write_bytes(b"caf\xe9\n1\n")
    files = {
        "orders": File(path="orders.csv"),
        "b": File(path="b.csv", columns=("id", "score")),
        "c": File(path="c.csv"),
        "d": File(path="d.csv"),
        "e": File(path="d.csv", encoding="utf-9"),
    }
    with pytest.raises(SourceError) as caught, open_source(source(**files), tmp_path):
        pass
    message = str(caught.value)
    for part in (
        "file orders (orders.csv) is missing; did you mean 'orders2.csv'?",
        "file b (b.csv) has the column 'id' more than once",
        "file b (b.csv) has no column 'score'; did you mean 'scor'?",
        "file c (c.csv) cannot be read: it is empty",
        "file d (d.csv) cannot be read: its header is not utf-8; say its encoding in source.yml",
        "file e (d.csv) cannot be read: unknown encoding: utf-9",
    ):
        assert part in message
    assert len(message.splitlines()) == 7


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id;score\n1;2\n", "its columns are split by ';': write delimiter: \";\" for it in source.yml"),
        (b'"id"\t"score"\n1\t2\n', "its columns are split by '\\t': write delimiter: \"\\t\" for it in source.yml"),
        ("id,score\n1,2\n".encode("utf-16"), "say its encoding in source.yml (it looks like utf-16)"),
        (gzip.compress(b"id,score\n1,2\n", mtime=0), "(it looks like a gzip archive: unpack it)"),
        (b"PK\x03\x04\x14\x00\x06\x00,\x00\n", "(it looks like a zip archive or a workbook"),
        (b"\0id,score\n1,2\n", "its header holds NUL bytes: it is damaged, or not utf-8"),
        ("id,score\n1,\u00e9\n".encode("latin-1"), "row 2: Invalid unicode (byte sequence mismatch) detected; say its"),
    ],
    ids=["semicolons", "tabs", "utf-16", "gzip", "zip", "nul", "latin-1"],
)
def test_a_file_of_another_make_is_recognised(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    message = fails(tmp_path, File(path="a.csv", columns=("id", "score")))
    assert said in message
    assert "has no column" not in message


def test_a_file_of_another_alias_is_not_suggested(tmp_path):
    (tmp_path / "olist_orders.csv").write_text("a\n1\n")
    files = {"orders": File(path="olist_orders.csv"), "customers": File(path="olist_customers.csv")}
    with pytest.raises(SourceError) as caught, open_source(source(**files), tmp_path):
        pass
    assert "file customers (olist_customers.csv) is missing" in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_a_file_without_rows_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("id,score\n")
    with open_source(source(a=File(path="a.csv")), tmp_path) as opened:
        assert opened.notes == ("file a (a.csv) has a header and no rows",)


def test_a_missing_folder_says_what_to_do(tmp_path):
    with (
        pytest.raises(SourceError, match="there is no folder"),
        open_source(source(a=File(path="a")), tmp_path / "nowhere"),
    ):
        pass


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'1,"a\nb"\n2,secret,3\n', "a.csv, row 3: Expected Number of Columns: 2 Found: 3"),
        (b"1,a\n2\n", "a.csv, row 3: Expected Number of Columns: 2 Found: 1"),
        (b'1,"secret\n2,b\n', "a.csv, row 2: Value with unterminated quote found"),
        (b"1,a\n2,secret\xe9\n", "a.csv, row 3: Invalid unicode (byte sequence mismatch) detected"),
    ],
)
def test_an_unreadable_row_is_named_without_its_content(tmp_path, body, why):
    (tmp_path / "a.csv").write_bytes(b"id,word\n" + body)
    message = fails(tmp_path, File(path="a.csv"))
    assert why in message
    assert "secret" not in message


def test_a_header_without_rows_is_no_fault(tmp_path):
    (tmp_path / "a.csv").write_text("id,word\n")
    assert read(tmp_path, File(path="a.csv")) == []


def test_folders_may_have_any_name(tmp_path):
    folder = tmp_path / "l'été [2026] *"
    folder.mkdir()
    (folder / "año [1].csv").write_text("a,b\n1,2\n")
    assert read(folder, File(path="año [1].csv")) == [("1", "2")]
