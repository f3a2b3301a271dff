"""What `source.yml` says of a file decides how it is read: every key, and nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from cxlib.contract import Column
from cxlib.data.rules import SQL_TYPES, typed
from cxlib.data.sources import Opened, open_source
from cxlib.errors import SourceError
from cxlib.params.models import File, Source


@contextmanager
def opened(folder: Path, content: str, *, zone: str = "UTC", **keys: object) -> Iterator[Opened]:
    """Open one file `f` as the alias `one`."""
    (folder / "f").write_bytes(content.encode())
    file = File(path="f", **keys)
    with open_source(
        Source(id="toy", title="Toy", licence="none", timezone=zone, files={"one": file}), folder
    ) as found:
        yield found


def rows(folder: Path, content: str, **keys: object) -> list[tuple]:
    with opened(folder, content, **keys) as found:
        return found.connection.execute("FROM one").fetchall()


def columns(folder: Path, content: str, **keys: object) -> list[str]:
    with opened(folder, content, **keys) as found:
        return [name for name, *_ in found.connection.execute("DESCRIBE one").fetchall()]


def unreadable(found: Opened) -> list[tuple]:
    return found.connection.execute('SELECT "row", "column", reason FROM unreadable').fetchall()


def fails(folder: Path, content: str, **keys: object) -> str:
    with pytest.raises(SourceError) as caught, opened(folder, content, **keys):
        pass
    return str(caught.value)


def test_text_is_text_and_only_the_empty_field_is_missing(tmp_path):
    assert rows(tmp_path, 'id,word,when\n007,NA,01/02/2026\n1e5,None,\n"8",null,"x ""y"" z"\n9,"", \n') == [
        ("007", "NA", "01/02/2026"),
        ("1e5", "None", None),
        ("8", "null", 'x "y" z'),
        ("9", None, " "),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_quoted_newline_starts_no_row(tmp_path, end):
    assert rows(tmp_path, f'id,word{end}1,"a{end}b, c"{end}2,d{end}') == [("1", f"a{end}b, c"), ("2", "d")]


ENCODINGS = ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-be", "utf-32", "UTF8"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_encoding_is_the_declared_one(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("città,n\nSão Paulo,1\n".encode(encoding))
    source = Source(id="toy", title="Toy", licence="none", files={"one": File(path="a.csv", encoding=encoding)})
    with open_source(source, tmp_path) as found:
        assert found.connection.execute('SELECT "città" FROM one').fetchall() == [("São Paulo",)]


def test_delimiters(tmp_path):
    assert rows(tmp_path, "a;b\n1,5;x\n", delimiter=";") == [("1,5", "x")]
    assert rows(tmp_path, "a\tb\n1,5\tx\n", format="tsv") == [("1,5", "x")]
    assert rows(tmp_path, "a|b\n1^5|x.\n", delimiter="|") == [("1^5", "x.")]
    assert rows(tmp_path, "a^b\n1]5^\\x\n", delimiter="^") == [("1]5", "\\x")]
    assert rows(tmp_path, "a b\n1 2\n", delimiter=" ") == [("1", "2")]
    for sign in ("", "§", '"', "\n", "ab"):
        with pytest.raises((SourceError, ValueError), match="delimiter"):
            rows(tmp_path, "a,b\n1,2\n", delimiter=sign)


def test_a_glob_is_one_table_by_column_name(tmp_path):
    (tmp_path / "x-1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "x-2.csv").write_text("b,a,c\n4,3,5\n\n6\n")
    source = Source(id="toy", title="Toy", licence="none", files={"x": File(path="x-*.csv", columns=("a",))})
    with open_source(source, tmp_path) as found:
        run = found.connection.execute
        assert run('FROM "x placed"').fetchall() == [("1", "2", None, "x-1.csv", 2), ("3", "4", "5", "x-2.csv", 2)]
        assert run("SELECT file, row FROM unreadable").fetchall() == [("x-2.csv", 4)]
        assert [(one.label, one.rows, one.unreadable) for one in found.read["x"].files] == [
            ("x-1.csv", 1, 0),
            ("x-2.csv", 2, 1),
        ]


def test_columns_of_several_files_are_one_whatever_their_case(tmp_path):
    for name, content in {"x-1.csv": "Id,A\n1,2\n", "x-2.csv": "a,ID,b\n4,3,5\n"}.items():
        (tmp_path / name).write_text(content)
    source = Source(id="toy", title="Toy", licence="none", files={"x/y": File(path="x-*.csv")})
    with open_source(source, tmp_path) as found:
        assert [name for name, *_ in found.connection.execute('DESCRIBE "x/y"').fetchall()] == ["Id", "A", "b"]
        assert found.connection.execute('FROM "x/y"').fetchall() == [("1", "2", None), ("3", "4", "5")]


def test_lines_before_the_header_and_headers_of_several_rows(tmp_path):
    content = 'Export of "May\n\nQ1,Q2\n"How, or\nwhy?",Who\n"ImportId: 1",x\n1,x\n2\n'
    with opened(tmp_path, content, skip=2, header_rows=3) as found:
        assert found.connection.execute('FROM "one placed"').fetchall() == [("1", "x", "f", 6)]
        assert unreadable(found) == [(7, "Q2", "it has 1 values for 2 columns")]
    assert rows(tmp_path, "1;2\n3;4\n", delimiter=";", header_rows=0, names=("a", "b")) == [("1", "2"), ("3", "4")]
    assert columns(tmp_path, "Frage 1,Frage 2\n1,2\n", names=("q1", "q2")) == ["q1", "q2"]
    assert "it ends before row 5" in fails(tmp_path, "a,b\n1,2\n", skip=4)
    assert "it ends before row 3, which belongs to its header" in fails(tmp_path, "a,b\nc,d\n", header_rows=3)


def test_names_of_all_header_rows_joined(tmp_path):
    content = (
        "RespondentID,Which did you see?,,,How old?,Anything else?,\n"
        ",Alien,Brazil,,Response,Open-Ended Response,\n"
        "1,Alien,,,30,no,\n"
    )
    assert columns(tmp_path, content, header_rows=2, header="joined") == [
        "RespondentID",
        "Which did you see? / Alien",
        "Which did you see? / Brazil",
        "column4",
        "How old?",
        "Anything else? / Open-Ended Response",
        "column7",
    ]
    assert columns(tmp_path, content, header_rows=2)[1:4] == ["Which did you see?", "column3", "column4"]


def test_real_survey_headers(tmp_path, shared_data):
    folder = shared_data("surveymonkey_starwars")
    keys = {"header_rows": 2, "header": "joined", "encoding": "latin-1"}
    file = File(path="StarWars.csv", **keys)
    with open_source(Source(id="toy", title="Toy", licence="none", files={"one": file}), folder) as found:
        names = [name for name, *_ in found.connection.execute("DESCRIBE one").fetchall()]
        assert (found.read["one"].readable, found.read["one"].unreadable, len(names)) == (1_186, 0, 38)
        assert any(
            re.fullmatch(r"Which of the following.* / Star Wars: Episode IV +A New Hope", name) for name in names
        )


def test_two_columns_of_one_name(tmp_path):
    twice = "id,Score,score,SCORE\n1,2,3,4\n"
    assert "has the column 'score' more than once" in fails(tmp_path, twice)
    assert "has the column 'score' more than once" in fails(tmp_path, twice, columns=("id", "Score"))
    assert "has the column 'score' more than once" in fails(
        tmp_path, twice, columns=("id",), numbers={"Score": "1234.56"}
    )
    assert columns(tmp_path, twice, columns=("id",)) == ["id", "Score", "score 2", "SCORE 3"]
    assert "has a column 'cx row', a name that is taken" in fails(tmp_path, "cx row\n1\n")
    assert columns(tmp_path, "_file,_row\n1,2\n") == ["_file", "_row"]


MADRID = [  # clocks go forward on 29 March 2026 and back on 25 October
    ("2026-03-29 02:30:00", "2026-03-29 01:30:00"),
    ("2026-10-25 02:30:00", "2026-10-25 01:30:00"),
    ("2026-07-01 12:00:00", "2026-07-01 10:00:00"),
]


@pytest.mark.parametrize(
    ("pattern", "cell", "expected"),
    [
        ("iso", "2026-10-31", "2026-10-30 23:00:00"),
        ("iso", " 2026-10-31T23:59:00Z ", "2026-10-31 23:59:00"),
        ("iso", "2026-10-31 23:59:00 -0530", "2026-11-01 05:29:00"),
        ("iso", "2026-10-31 23:59 UTC", "2026-10-31 23:59:00"),
        ("iso", "2026-10-31T23:59Z", "2026-10-31 23:59:00"),
        ("iso", "2026-10-31 23:59+02:00", "2026-10-31 21:59:00"),
        ("iso", "2026-10-31T23:59:00.5+02", "2026-10-31 21:59:00.5"),
        ("iso", "2026-10-31 12:00 America/Sao_Paulo", "2026-10-31 15:00:00"),
        ("%d/%m/%Y %H:%M", "1/2/2026 9:05", "2026-02-01 08:05:00"),
        ("%m/%d/%Y %I:%M %p", "01/02/2026 12:05 AM", "2026-01-01 23:05:00"),
        ("%Y%m%d%H%M%S", "20260201090500", "2026-02-01 08:05:00"),
        ("%Y-%m-%d %H:%M:%S %z", "2026-10-31 23:59:00 -0500", "2026-11-01 04:59:00"),
        ("%Y-%m-%d %H:%M:%S.%n", "2026-02-01 09:05:00.123456789", "2026-02-01 08:05:00.123456"),
        ("unix_seconds", "1761955200", "2025-11-01"),
        ("unix_seconds", "1761955200.25", "2025-11-01 00:00:00.25"),
        ("unix_milliseconds", "1761955200123", "2025-11-01 00:00:00.123"),
        ("unix_microseconds", "1761955200123456", "2025-11-01 00:00:00.123456"),
        *(("iso", local, moment) for local, moment in MADRID),
        *(("%Y-%m-%d %H:%M:%S", local, moment) for local, moment in MADRID),
    ],
)
def test_moments_come_out_of_every_format(tmp_path, pattern, cell, expected):
    with opened(tmp_path, f"seen\n{cell}\n", zone="Europe/Madrid", times={"seen": pattern}) as found:
        assert found.connection.execute("SELECT typeof(seen), timezone('UTC', seen) FROM one").fetchall() == [
            ("TIMESTAMP WITH TIME ZONE", datetime.fromisoformat(expected))
        ]


@pytest.mark.parametrize(("local", "_"), MADRID)
@pytest.mark.parametrize("zone", ["Europe/Madrid", "America/Sao_Paulo", "UTC"])
def test_changing_clocks_are_read_as_the_contract_reads_them(tmp_path, local, _, zone):
    sql = typed(Column("seen", "timestamp"), "VARCHAR", zone)
    assert SQL_TYPES["timestamp"] == "TIMESTAMP"
    contract = duckdb.sql(f"SET TimeZone = 'UTC'; SELECT {sql} FROM (SELECT '{local}' AS seen)").fetchall()
    with opened(tmp_path, f"seen\n{local}\n", zone=zone, times={"seen": "iso"}) as found:
        assert found.connection.execute("SELECT timezone('UTC', seen) FROM one").fetchall() == contract


@pytest.mark.parametrize(
    ("pattern", "cell"),
    [
        ("iso", "31/10/2026"),
        ("iso", "2026-02-30"),
        ("iso", "infinity"),
        ("iso", "2026-10-31 25:00:00"),
        ("date", "2026-10-31 00:00:00"),
        ("date", "20261031"),
        ("%d/%m/%Y", "31/12/26"),
        ("%d/%m/%Y", "12/31/2026"),
        ("%d/%m/%Y", "31/12/2026 10:00"),
        ("%Y%m%d", "2026111"),
        ("%d/%m/%y", "31/12/2026"),
        ("unix_seconds", "1761955200123"),
        ("unix_seconds", "1.76e9"),
        ("unix_milliseconds", "2026-10-31"),
    ],
)
def test_a_time_that_is_written_otherwise_makes_its_row_unreadable(tmp_path, pattern, cell):
    kind = "date" if pattern in ("date", "%d/%m/%Y", "%Y%m%d", "%d/%m/%y") else "time"
    with opened(tmp_path, f"id,seen\n1,{cell}\n2,\n3,  \n", times={"seen": pattern}) as found:
        assert unreadable(found) == [(2, "seen", f"seen '{cell}' is not a {kind} written as {pattern}")]
        assert found.connection.execute("FROM one").fetchall() == [("2", None), ("3", None)]


def test_dates_and_a_timezone_of_a_column(tmp_path):
    times = {"day": "%d.%m.%Y", "seen": {"format": "iso", "timezone": "Asia/Tokyo"}, "iso": "date"}
    with opened(
        tmp_path, "day,seen,iso\n31.10.2026,2026-11-01 08:00,2026-1-2\n", zone="Europe/Madrid", times=times
    ) as found:
        moment = datetime(2026, 10, 31, 23, tzinfo=UTC)
        assert found.connection.execute("FROM one").fetchall() == [(date(2026, 10, 31), moment, date(2026, 1, 2))]


@pytest.mark.parametrize(
    ("style", "good", "bad"),
    [
        ("1234.56", {"1234.5": "1234.5", "-7": "-7", "+.5": ".5", " 3 ": "3"}, ["1,234", "1,5", "1e5", "5.", "1 2"]),
        ("1234,56", {"1234,5": "1234.5", "-7": "-7", ",5": ".5"}, ["1.234", "1.234,5", "5,"]),
        ("1,234.56", {"1,234.5": "1234.5", "1234.5": "1234.5", "-1,234,567": "-1234567"}, ["1,23", "1.234,5"]),
        ("1.234,56", {"1.234,5": "1234.5", "1234,5": "1234.5", "1.234": "1234"}, ["1.23", "1,234.5", "12.34"]),
        ("1 234,56", {"1 234,5": "1234.5", "1\u00a0234": "1234", "1\u202f234": "1234", "5": "5"}, ["1 23", "1.5"]),
        ("1'234.56", {"1'234.5": "1234.5", "1\u2019234": "1234", "5": "5"}, ["1'23", "1,5"]),
    ],
)  # fmt: skip
def test_numbers_come_out_in_one_style_or_not_at_all(tmp_path, style, good, bad):
    cells = [*good, *bad, ""]
    content = "id;n\n" + "".join(f'{nth};"{cell}"\n' for nth, cell in enumerate(cells))
    with opened(tmp_path, content, delimiter=";", numbers={"n": style}) as found:
        assert [n for _, n in found.connection.execute("FROM one").fetchall()] == [*good.values(), None]
        says = f"is not a number written as {style}"
        assert [reason for *_, reason in unreadable(found)] == [f"n '{cell}' {says}" for cell in bad]


def test_every_cell_that_cannot_be_read_is_told(tmp_path):
    content = 'id,seen,n,word\n1,x,y,"a, ""b"""\n'
    with opened(tmp_path, content, times={"seen": "iso"}, numbers={"n": "1234.56"}) as found:
        (row,) = found.connection.execute('SELECT "row", "column", reason, "text" FROM unreadable').fetchall()
    reason = "seen 'x' is not a time written as iso; n 'y' is not a number written as 1234.56"
    assert row == (2, "seen", reason, '1,x,y,"a, ""b"""')


def test_reasons_hold_nothing_that_a_terminal_would_obey(tmp_path):
    with opened(tmp_path, 'seen\n"\x1b[31m' + "x" * 100 + '"\n', times={"seen": "iso"}) as found:
        assert unreadable(found) == [(2, "seen", f"seen '\ufffd[31m{'x' * 55}' is not a time written as iso")]


def test_rows_are_left_out_for_the_first_reason_that_holds(tmp_path):
    content = "id,status,seen\n1,test,2026-01-01\n2,done,2026-01-02\n3,test,x\n4,done,1999-01-01\nTotal,,x\n"
    content += "5,,2026-01-01\n6\n"
    reasons = {"tests": "status = 'test'", "old": "seen < DATE '2000-01-01' OR id = '1'", "totals": "id = 'Total'"}
    with opened(tmp_path, content, times={"seen": "date"}, leave_out=reasons) as found:
        assert found.read["one"].left_out == {"tests": 2, "old": 1, "totals": 1}
        assert found.connection.execute("SELECT id FROM one").fetchall() == [("2",), ("5",)]
        assert unreadable(found) == [(8, "status", "it has 1 values for 3 columns")]


@pytest.mark.parametrize(
    "condition", ["", "statu = 'x'", "status", "1", "status = 'x' -- no", "true) FROM one --", ")"]
)
def test_a_condition_that_is_none_names_file_and_key(tmp_path, condition):
    if not condition:
        with pytest.raises(ValueError, match="leave_out"):
            File(path="f", leave_out={"test": condition})
        return
    message = fails(tmp_path, "id,status\n1,x\n", leave_out={"test": condition})
    assert "file one (f): leave_out 'test'" in message


def test_a_condition_that_fails_on_a_row_names_file_and_key(tmp_path):
    message = fails(tmp_path, "id,n\n1,x\n", leave_out={"small": "n::INT < 5"})
    assert "file one (f) cannot be read: a condition of leave_out (small) fails on a row; use try_cast: " in message


def test_questions_make_a_row_of_each_answer(tmp_path):
    content = "id,Q1,Q1 why,Q2\n1,9,good,Very satisfied\n2,,nothing, 2 \n3,x,,Unheard of\n"
    questions = {
        "Q1": {"instrument": "nps", "touchpoint": "delivery", "comment": "Q1 why"},
        "Q2": {"instrument": "csat", "scores": {"Very satisfied": 5, "Unhappy": 1}},
    }
    with opened(tmp_path, content, questions=questions) as found:
        run = found.connection.execute
        assert run("FROM one_scores ORDER BY q_name, id").fetchall() == [
            ("1", "9", "good", "Very satisfied", "Q1", "nps", "delivery", "9", "good"),
            ("3", "x", None, "Unheard of", "Q1", "nps", "delivery", "x", None),
            ("1", "9", "good", "Very satisfied", "Q2", "csat", None, "5", None),
            ("2", None, "nothing", " 2 ", "Q2", "csat", None, "2", None),
            ("3", "x", None, "Unheard of", "Q2", "csat", None, "Unheard of", None),
        ]
        placed = 'SELECT id, q_name, q_score, _file, _row FROM "one_scores placed" ORDER BY 1, 2 LIMIT 2'
        assert run(placed).fetchall() == [("1", "Q1", "9", "f", 2), ("1", "Q2", "5", "f", 2)]


def test_columns_that_are_asked_for_must_be_there(tmp_path):
    keys = {
        "columns": ("id",),
        "times": {"when": "iso"},
        "numbers": {"prize": "1234.56"},
        "questions": {"Q1": {"instrument": "nps", "comment": "why"}},
    }
    message = fails(tmp_path, "ID,wen,price\n1,2,3\n", **keys)
    assert message.splitlines()[1:] == [
        "  file one (f) has no column 'id'; did you mean 'ID'?",
        "  file one (f) has no column 'when'; did you mean 'wen'?",
        "  file one (f) has no column 'prize'; did you mean 'price'?",
        "  file one (f) has no column 'Q1'",
        "  file one (f) has no column 'why'",
    ]
