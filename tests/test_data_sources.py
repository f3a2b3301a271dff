"""A source's files stand as views, or everything that is wrong with them is said at once."""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
from pathlib import Path

import duckdb
import pytest

from cxlib.data.sources import Opened, Read, open_source, reason
from cxlib.errors import SourceError
from cxlib.params.models import File, Source


def source(**files: File) -> Source:
    return Source(id="toy", title="Toy", licence="none", files=files)


def read(folder: Path, file: File) -> list[tuple]:
    with open_source(source(one=file), folder) as opened:
        return opened.connection.execute("SELECT * FROM one").fetchall()


def fails(folder: Path, file: File) -> str:
    """Return what is said of a file that cannot be opened."""
    with pytest.raises(SourceError) as caught, open_source(source(one=file), folder):
        pass
    return str(caught.value)


def unreadable(opened: Opened) -> list[tuple]:
    return opened.connection.execute('SELECT file, "row", "column", reason FROM unreadable').fetchall()


def test_every_row_of_a_file_ends_somewhere(tmp_path):
    (tmp_path / "a.csv").write_text(
        "id,kind,at\n1,x,2026-01-01\n2,test,\n3\n4,x,01/02/2026\n\n5,x,\n", encoding="utf-8"
    )
    file = File(path="a.csv", times={"at": "date"}, leave_out={"tests": "kind = 'test'"})
    with open_source(source(one=file), tmp_path) as opened:
        found = opened.read["one"]
        assert (found.rows, found.readable, found.left_out, found.unreadable) == (5, 2, {"tests": 1}, 2)
        assert opened.connection.execute("SELECT id FROM one").fetchall() == [("1",), ("5",)]
        placed = opened.connection.execute('SELECT id, _file, _row FROM "one placed"').fetchall()
        assert placed == [("1", "a.csv", 2), ("5", "a.csv", 7)]
        assert unreadable(opened) == [
            ("a.csv", 4, "kind", "it has 1 values for 3 columns"),
            ("a.csv", 5, "at", "at '01/02/2026' is not a date written as date"),
        ]
        assert opened.connection.execute('SELECT "text", alias FROM unreadable').fetchall() == [
            ("3", "one"),
            ("4,x,01/02/2026", "one"),
        ]


def test_a_missing_optional_file_is_an_empty_view_and_a_note(tmp_path):
    file = File(
        path="s.csv",
        optional=True,
        columns=("id", "state"),
        times={"at": "iso"},
        questions={"q": {"instrument": "nps"}},
    )
    with open_source(source(sellers=file), tmp_path) as opened:
        run = opened.connection.execute
        assert run("SELECT id, state, q FROM sellers").fetchall() == []
        assert run('SELECT id, _file, _row FROM "sellers placed"').fetchall() == []
        assert run("SELECT id, q_name, q_score FROM sellers_scores").fetchall() == []
        assert run('SELECT id, q_name, _row FROM "sellers_scores placed"').fetchall() == []
        assert [kind for name, kind, *_ in run("DESCRIBE sellers").fetchall() if name == "at"] == [
            "TIMESTAMP WITH TIME ZONE"
        ]
        assert opened.notes == ("optional file sellers (s.csv) is not there: taken as empty",)
        assert (opened.files, opened.checksums, opened.read) == ((), {}, {"sellers": Read("sellers", ())})


def test_every_fault_of_a_source_is_said_at_once(tmp_path):
    (tmp_path / "orders2.csv").write_text("order_id,amount\n1,2\n")
    (tmp_path / "b.csv").write_text("id,scor,id\n1,2,3\n")
    (tmp_path / "c.csv").write_text("")
    (tmp_path / "d.csv").write_bytes(b"caf\xe9\n1\n")
    (tmp_path / "h.csv").write_text("a,b\n")
    (tmp_path / "i.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 50)[:-20])
    files = {
        "orders": File(path="orders.csv"),
        "b": File(path="b.csv", columns=("id", "score")),
        "c": File(path="c.csv"),
        "d": File(path="d.csv"),
        "e": File(path="d.csv", encoding="utf-9"),
        "f": File(path="d.csv", encoding="hex"),
        "g": File(path="b.csv", delimiter="||"),
        "h": File(path="h.csv", leave_out={"old": "year < 2020", "b": "b"}),
        "i": File(path="i.csv.gz"),
        "j": File(path="/somewhere/*.csv"),
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
        "file f (d.csv) cannot be read: unknown encoding: hex",
        "file g (b.csv) cannot be read: delimiter '||' is not one ASCII letter",
        "file h (h.csv): leave_out 'old' cannot be worked out: Binder Error: Referenced column \"year\" not found",
        "file h (h.csv): leave_out 'b' is no condition, but a VARCHAR: b",
        "file i (i.csv.gz) cannot be read: its gzip ends early: it was cut off",
        "file j (/somewhere/*.csv) cannot be looked for: Non-relative patterns are unsupported",
    ):
        assert part in message
    assert len(message.splitlines()) == 13


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id;score\n1;2\n", "its columns are split by ';': write delimiter: \";\" for it in source.yml"),
        (b'"id"\t"score"\n1\t2\n', "its columns are split by '\\t': write delimiter: \"\\t\" for it in source.yml"),
        ("id,score\n1,2\n".encode("utf-16"), "say its encoding in source.yml (it looks like utf-16)"),
        (gzip.compress(b"id,score\n1,2\n", mtime=0), "(it looks like a gzip archive: unpack it, or let its name end"),
        (b"PK\x03\x04\x14\x00\x06\x00,\x00\n", "(it looks like a zip archive or a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "(it looks like an old workbook: say format: excel for it)"),
        (b"PAR1\x15\x00", "(it looks like Parquet: say format: parquet for it)"),
        (b"\0id,score\n1,2\n", "its header holds NUL bytes: it is damaged, or not utf-8"),
        (b'id,"score\n1,2\n', "the quotes of its header (row 1) are broken"),
        (b"x" * 50_000 + b",score\n1,2\n", "its header (row 1) is none: a title longer than 10,000 letters"),
        (b"x," * 6_000 + b"\n1,2\n", "has 6,001 columns, more than any export"),
        (b"\nid,score\n1,2\n", "row 1 is blank, where its header should be; say how many lines to skip"),
        (b"id,score\n" + "1,\u00e9\n".encode("latin-1") * 10, "no letter beyond ASCII in it is utf-8; say its"),
    ],
    ids=[
        "semicolons",
        "tabs",
        "utf-16",
        "gzip",
        "zip",
        "xls",
        "parquet",
        "nul",
        "quotes",
        "long",
        "wide",
        "blank",
        "latin-1",
    ],
)
def test_a_file_of_another_make_is_recognised(tmp_path, content, said):
    (tmp_path / "a.csv").write_bytes(content)
    message = fails(tmp_path, File(path="a.csv", columns=("id", "score")))
    assert said in message
    assert "has no column" not in message


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "utf-16"])
def test_utf8_is_told_from_what_is_declared(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes(b"id,word\n" + "1,São Paulo\n".encode() * 10)
    (tmp_path / "b.csv").write_bytes("\ufeffid,word\n".encode())
    message = fails(tmp_path, File(path="a.csv", encoding=encoding, columns=("id",)))
    assert ("say encoding: utf-8" in message) == (encoding != "utf-16")  # which cannot be read as that at all
    assert "say its encoding" in fails(tmp_path, File(path="b.csv", encoding=encoding))


def test_a_file_of_another_alias_is_not_suggested(tmp_path):
    (tmp_path / "olist_orders.csv").write_text("a\n1\n")
    files = {"orders": File(path="olist_orders.csv"), "customers": File(path="olist_customers.csv")}
    with pytest.raises(SourceError) as caught, open_source(source(**files), tmp_path):
        pass
    assert "file customers (olist_customers.csv) is missing" in str(caught.value)
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("text", ["id,score\n", "id,score", "\ufeffid,score\r\n\r\n"])
def test_a_file_without_rows_is_told(tmp_path, text):
    (tmp_path / "a.csv").write_bytes(text.encode())
    with open_source(source(a=File(path="a.csv", columns=("id",))), tmp_path) as opened:
        assert opened.notes == ("file a (a.csv) has a header and no rows",)
        assert opened.connection.execute("SELECT * FROM a").fetchall() == []


def test_a_missing_folder_says_what_to_do(tmp_path):
    with (
        pytest.raises(SourceError, match="there is no folder"),
        open_source(source(a=File(path="a")), tmp_path / "nowhere"),
    ):
        pass


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    (tmp_path / "a.csv").chmod(0)
    assert "file one (a.csv) cannot be read: Permission denied" in fails(tmp_path, File(path="a.csv"))


def test_a_disk_error_is_told_of_its_file(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("id\n1\n")
    true_open = Path.open

    def refuse(path, *args, **more):
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied", str(path))
        return true_open(path, *args, **more)

    monkeypatch.setattr(Path, "open", refuse)
    assert "file one (a.csv) cannot be read: Permission denied" in fails(tmp_path, File(path="a.csv"))


def test_reading_stops_before_the_disk_is_full(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("id\n1\n")
    monkeypatch.setattr("cxlib.data.reading.stream._LEAST_FREE", 1 << 62)
    with pytest.raises(OSError, match="No space left on device"), open_source(source(a=File(path="a.csv")), tmp_path):
        pass


def test_an_error_of_the_reader_itself_is_not_blamed_on_the_file(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("id\n1\n")
    monkeypatch.setattr("cxlib.data.reading.stream.parse", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), open_source(source(a=File(path="a.csv")), tmp_path):
        pass


def test_folders_may_have_any_name(tmp_path):
    folder = tmp_path / "l'été [2026] *"
    (folder / "sub").mkdir(parents=True)
    (folder / "año [1].csv").write_text("a,b\n1,2\n")
    (folder / "sub" / "x.csv").write_text("a\n1\n")
    duckdb.sql("SELECT 7 AS n").write_parquet(str(folder / "p'[1].parquet"))
    assert read(folder, File(path="año [1].csv")) == [("1", "2")]
    files = {"a": File(path="*/x.csv"), "p": File(path="p'[[]1].parquet", format="parquet")}
    with open_source(source(**files), folder) as opened:
        assert opened.connection.execute('SELECT * FROM "a placed"').fetchall() == [("1", "sub/x.csv", 2)]
        assert opened.connection.execute('SELECT * FROM "p placed"').fetchall() == [(7, "p'[1].parquet", 1)]


def test_checksums_are_those_of_the_raw_files(tmp_path):
    content = b"id\n1\n"
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("x.csv", content)
    duckdb.sql("SELECT 7 AS n").write_parquet(str(tmp_path / "d.parquet"))
    kinds = {"d": "parquet"}
    names = {"a": "a.csv", "b": "b.csv.gz", "c": "c.zip", "d": "d.parquet"}
    files = {alias: File(path=name, format=kinds.get(alias, "csv")) for alias, name in names.items()}
    with open_source(source(**files), tmp_path) as opened:
        expected = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names.values()}
        assert opened.checksums == expected
        opened.check_unchanged()


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path):
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        (tmp_path / name).write_text("id\n1\n")
    with open_source(source(all=File(path="*.csv")), tmp_path) as opened:
        opened.check_unchanged()
        (tmp_path / "b.csv").write_text("id\n2\n")
        (tmp_path / "c.csv").unlink()
        with (tmp_path / "d.csv").open("a") as file:
            file.write("2\n")
        with pytest.raises(SourceError, match=r"^b\.csv, c\.csv, d\.csv changed while being read"):
            opened.check_unchanged()


def test_what_the_engine_says_is_one_line():
    with pytest.raises(duckdb.Error) as caught:
        duckdb.sql("SELECT 'x'::INT").fetchall()
    assert reason(caught.value) == "Conversion Error: Could not convert string 'x' to INT32"
    assert reason(ValueError()) == "ValueError"
