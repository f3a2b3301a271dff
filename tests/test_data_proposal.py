"""`cx new source` looks at a file: what it recognises, what it only guesses, and that what it writes can be used."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cxlib import params
from cxlib.data import proposal
from cxlib.data.ingest import ingest
from cxlib.data.proposal import Proposal, raw
from cxlib.data.proposal import numbers as number_styles
from cxlib.data.proposal import times as time_formats
from cxlib.data.proposal.words import means, normal
from cxlib.errors import SourceError, UsageError

ROOT = Path(__file__).resolve().parent.parent
TODAY = date(2026, 11, 21)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A workspace without any source: what is proposed in it is guessed, not copied."""
    root = tmp_path / "room"
    (root / "params").mkdir(parents=True)
    (root / "params" / "workspace.yml").write_text("company: Toy\ntimezone: Europe/Madrid\n", encoding="utf-8")
    shutil.copy(ROOT / "params" / "touchpoints.yml", root / "params")
    return root


def put(room: Path, content: str | bytes, name: str = "export.csv", encoding: str = "utf-8") -> Path:
    """Write a raw file."""
    path = room / "data" / "raw" / "new" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def propose(room: Path, *paths: Path, locale: str = "") -> Proposal:
    """Propose the source `new`, save it, and check that `cx check` finds no fault."""
    found = params.load(room)
    if locale:
        found = found.model_copy(update={"workspace": found.workspace.model_copy(update={"locale": locale})})
    made = proposal.propose("new", paths, root=room, params=found, today=TODAY)
    proposal.save(room, "new", made.texts, force=True)
    assert params.check(room) == []
    return made


def settings(made: Proposal) -> dict:
    """Return the one file of a proposed source.yml."""
    (file,) = yaml.load(made.texts["source.yml"], Loader=yaml.BaseLoader)["files"].values()
    return file


def tried(room: Path, folder: Path | None = None) -> dict[str, tuple[int, int, int]]:
    """Ingest the source `new` without writing; return by table the rows accepted, rejected and duplicated."""
    report = ingest(room, params.load(room), "new", folder=folder, today=TODAY, dry_run=True)
    return {table: (one.accepted, one.rejected, one.duplicated) for table, one in report.tables.items()}


def rows(head: str, *lines: str, times: int = 30) -> str:
    """Return a CSV whose lines are formatted with their number."""
    body = [lines[n % len(lines)].format(n=n, day=n % 28 + 1, low=n % 12 + 1) for n in range(times)]
    return "\n".join([head, *body]) + "\n"


ORDERS = rows("order_id;customer_id;ordered_at;total", "o{n};c{n};2026-03-{day:02d} 10:00:00;{n}.5")


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (ORDERS.encode("utf-8-sig"), "utf-8"),
        (ORDERS.encode("utf-16"), "utf-16"),
        (ORDERS.encode("utf-16-le"), "utf-16-le"),
        (ORDERS.encode("utf-16-be"), "utf-16-be"),
        (ORDERS.replace("c1;", "José;").encode(), "utf-8"),
        (ORDERS.replace("c1;", "José €;").encode("cp1252"), "cp1252"),
        (ORDERS.replace("c1;", "José\x8d;").encode("latin-1"), "latin-1"),
    ],
)
def test_encodings(room: Path, content: bytes, encoding: str) -> None:
    made = propose(room, put(room, content))
    assert (settings(made)["encoding"], settings(made)["delimiter"]) == (encoding, ";")
    assert tried(room) == {"orders": (30, 0, 0)}


def test_bytes_that_are_no_text_here_and_there_are_told(room: Path) -> None:
    content = ORDERS.replace("c1;", "José;").replace("c2;", "Zoë;").replace(";c", ";ñ").encode()
    made = propose(room, put(room, content.replace("Zoë".encode(), b"Zo\xeb")))
    assert settings(made)["encoding"] == "utf-8"
    assert any("1 of its bytes are not UTF-8" in words for words in made.decide)


def test_a_header_that_cannot_be_read_is_written_anew(room: Path) -> None:
    head, body = ORDERS.split("\n", 1)
    broken = head.replace("total", "total \0").encode().replace(b"ordered_at", b"ordered_at\xe9")
    made = propose(room, put(room, broken + b"\n" + body.replace(";c", ";ñ").encode()))
    assert settings(made)["names"] == ["order_id", "customer_id", "ordered_at_", "total _"]
    assert tried(room) == {"orders": (30, 0, 0)}


@pytest.mark.parametrize(
    ("content", "name", "wanted"),
    [
        (ORDERS.replace(";", ","), "x.csv", {"delimiter": ","}),
        (ORDERS.replace(";", "|"), "x.txt", {"delimiter": "|"}),
        (ORDERS.replace(";", "\t"), "x.csv", {"format": "tsv"}),
        ("sep=;\n" + ORDERS, "x.csv", {"delimiter": ";", "skip": "1"}),
        (",,,\n" + ORDERS.replace(";", ","), "x.csv", {"skip": "1"}),
        ("Orders of the shop\n\nMade on 1 April;;;\n" + ORDERS, "x.csv", {"skip": "3"}),
        (
            ORDERS.split("\n", 1)[1],
            "x.csv",
            {"header_rows": "0", "names": ["id", "customer_id", "timestamp", "amount"]},
        ),
        (
            ORDERS.replace("total", "ORDER_ID"),
            "x.csv",
            {"header_rows": "0", "skip": "1", "names": ["order_id", "customer_id", "ordered_at", "ORDER_ID 2"]},
        ),
    ],
)
def test_layouts(room: Path, content: str, name: str, wanted: dict[str, object]) -> None:
    made = propose(room, put(room, content, name))
    assert {key: settings(made)[key] for key in wanted} == wanted
    assert sum(map(sum, tried(room).values())) == 30


def test_a_table_of_words_is_cut_by_sql(room: Path) -> None:
    content = " customer_id  date  units  amount\n" + "".join(
        f" {n:05d} 1997{n % 12 + 1:02d}01  {n % 3}   {n}.5\n" for n in range(99)
    )
    made = propose(room, put(room, content, "printed.txt"))
    assert settings(made)["format"] == "text"
    assert "word[1] AS customer_id" in made.texts["orders.sql"]
    assert tried(room) == {"orders": (99, 0, 0)}


def test_survey_tools_header_rows(room: Path) -> None:
    made = propose(
        room,
        put(
            room,
            'ResponseId,RecordedDate,Status,Finished,Q2\nId,Recorded,Status,Finished,"Would you recommend us?"\n'
            '"{""ImportId"":""_recordId""}","{""ImportId"":""x""}","{}","{}","{}"\n'
            + rows("", "R_{n},2026-03-{day:02d} 10:00:00,0,1,{low}")
            .replace(",11\n", ",0\n")
            .replace(",12\n", ",0\n")[1:]
            + "R_x,2026-03-01 10:00:00,1,1,9\nR_y,2026-03-01 10:00:00,0,0,9\n",
        ),
    )
    assert settings(made)["header_rows"] == "3"
    assert settings(made)["questions"]["Q2"]["instrument"] == "nps"
    assert set(settings(made)["leave_out"]) == {"preview or test", "not finished"}
    assert tried(room) == {"responses": (30, 0, 0)}

    content = (
        "Respondent ID,Start Date,What did you buy?,,How satisfied are you?\n,,Shoes,Hats,Response\n"
        + rows("", "{n},03/13/2026 10:00:00,Shoes,,Satisfied", "{n},03/14/2026 10:00:00,,Hats,Very dissatisfied")[1:]
    )
    made = propose(room, put(room, content))
    assert (settings(made)["header_rows"], settings(made)["header"]) == ("2", "joined")
    assert settings(made)["questions"]["How satisfied are you?"]["scores"] == {
        "Very dissatisfied": "1",
        "Dissatisfied": "2",
        "Neither satisfied nor dissatisfied": "3",
        "Satisfied": "4",
        "Very satisfied": "5",
    }
    assert tried(room) == {"responses": (30, 0, 0)}


@pytest.mark.parametrize(
    ("values", "format_", "timezone"),
    [
        (["2026-03-01 10:00:00", "2026-03-02T10:00"], "iso", ""),
        (["2026-03-01T10:00:00Z", "2026-03-01 10:00:00 +0100"], "iso", ""),
        (["2026-03-01"], "date", ""),
        (["31/12/2025", "01/02/2026"], "%d/%m/%Y", ""),
        (["12/31/2025 3:10 PM"], "%m/%d/%Y %I:%M %p", ""),
        (["1.2.2026 09:05"], "%d.%m.%Y %H:%M", ""),
        (["31-12-25"], "%d-%m-%y", ""),
        (["2026/03/01 10:00:00.250"], "%Y/%m/%d %H:%M:%S.%f", ""),
        (["3 Mar 2026", "5 May 2026"], "%d %b %Y", ""),
        (["March 3, 2026 10:00AM", "May 3, 2026 10:00AM"], "%B %d, %Y %I:%M%p", ""),
        (["Tue, 03 Mar 2026 10:00:00 +0000"], "%a, %d %b %Y %H:%M:%S %z", ""),
        (["2026-03-01 10:00:00 UTC"], "%Y-%m-%d %H:%M:%S UTC", "UTC"),
        (["1772359200"], "unix_seconds", ""),
        (["1772359200123"], "unix_milliseconds", ""),
        (["20260301"], "%Y%m%d", ""),
    ],
)
def test_formats_of_times(values: list[str], format_: str, timezone: str) -> None:
    from collections import Counter

    found = time_formats.guess(Counter(values), named_so=True, locale="es", today=TODAY)
    assert found is not None
    assert (found.format, found.timezone, found.misfits, found.other) == (format_, timezone, 0, "")
    if found.format.startswith("%"):
        read = duckdb.sql(f"SELECT count(try_strptime(x, '{found.format}')) FROM (SELECT unnest({values!r}) AS x)")
        assert read.fetchone() == (len(values),)


@pytest.mark.parametrize(
    ("locale", "written"), [("en", "%m/%d/%Y"), ("en_US", "%m/%d/%Y"), ("en_GB", "%d/%m/%Y"), ("es", "%d/%m/%Y")]
)
def test_a_day_that_could_be_a_month_is_marked(room: Path, locale: str, written: str) -> None:
    content = rows("order_id,customer_id,order_date,total", "o{n},c{n},0{low:x}/02/2026,{n}.5", times=9)
    made = propose(room, put(room, content), locale=locale)
    assert settings(made)["times"] == {"order_date": written}
    (line,) = [line for line in made.texts["source.yml"].splitlines() if "AMBIGUOUS" in line]
    assert all(reading in line for reading in ("%d/%m/%Y", "%m/%d/%Y"))
    assert any("AMBIGUOUS" in words for words in made.decide)


def test_what_settles_day_and_month(room: Path) -> None:
    beside = rows("order_id,customer_id,order_date,delivered_at,total", "o{n},c{n},01/02/2026,{day}/02/2026,{n}.5")
    made = propose(room, put(room, beside))  # en: month first, were it not for the other column
    assert settings(made)["times"] == {"order_date": "%d/%m/%Y", "delivered_at": "%d/%m/%Y"}
    later = rows("order_id,customer_id,order_date,total", "o{n},c{n},01/12/2026,{n}.5")
    made = propose(room, put(room, later), locale="es")  # 1 December is still to come
    assert settings(made)["times"] == {"order_date": "%m/%d/%Y"}
    assert not any("AMBIGUOUS" in words for words in made.decide)


def test_what_stands_for_nothing_is_no_time(room: Path) -> None:
    content = rows(
        "ticket_id,customer_id,opened,closed", "t{n},c{n},2026-03-01,NULL", "t{n},c{n},2026-03-01,2026-03-02"
    )
    made = propose(room, put(room, content, "tickets.csv"))
    assert "nullif(closed, 'NULL')" in made.texts["interactions.sql"]
    assert tried(room) == {"interactions": (30, 0, 0)}


@pytest.mark.parametrize(
    ("values", "style"),
    [
        (["1234.56", "12"], "1234.56"),
        (["1.234,56", "12"], "1.234,56"),
        (["1,234.56", "12"], "1,234.56"),
        (["1234,56"], "1.234,56"),
        (["1 234,56"], "1 234,56"),
        (["1'234.56"], "1'234.56"),
        (["€ 12.50", "-3.20 EUR"], "1234.56"),
    ],
)
def test_styles_of_numbers(values: list[str], style: str) -> None:
    from collections import Counter

    found = number_styles.guess(Counter(values))
    assert found is not None
    assert (found.style, found.misfits, found.other) == (style, 0, "")


def test_three_figures_behind_a_sign_are_told_by_the_rest_of_the_file(room: Path) -> None:
    content = rows("order_id;customer_id;order_date;total;discount", "o{n};c{n};2026-03-01;1.234;{n},50")
    made = propose(room, put(room, content))
    assert settings(made)["numbers"] == {"total": "1.234,56", "discount": "1.234,56"}
    alone = rows("order_id;customer_id;order_date;total", "o{n};c{n};2026-03-01;1.234")
    assert any("1234.56 or 1.234,56?" in words for words in propose(room, put(room, alone)).decide)


@pytest.mark.parametrize(
    ("question", "answers", "instrument"),
    [
        ("How likely are you to recommend us?", "0 3 7 9 10", "nps"),
        ("¿Con qué probabilidad nos recomendaría?", "0 3 7 9 10", "nps"),
        ("Wie wahrscheinlich ist es, dass Sie uns weiterempfehlen?", "0 3 7 9 10", "nps"),
        ("Recommanderiez-vous notre entreprise ?", "0 3 7 9 10", "nps"),
        ("Quanto è probabile che ci raccomandi?", "0 3 7 9 10", "nps"),
        ("How likely are you to recommend us?", "10 - Extremely likely|0 - Not at all likely|7|5", "nps"),
        ("How satisfied were you?", "1 2 3 4 5", "csat"),
        ("Wie zufrieden waren Sie?", "Sehr zufrieden|Zufrieden|Unzufrieden", "csat"),
        ("¿Qué tan satisfecho está?", "Muy satisfecho/a|Satisfecho/a|Insatisfecho/a", "csat"),
        ("Rate our service", "★★★★★|★★★|★", "csat"),
        ("It was easy to solve my problem", "1 2 3 4 5 6 7", "ces"),
        ("Resolver mi problema fue fácil", "Totalmente de acuerdo|De acuerdo|En desacuerdo", "ces"),
        ("rating", "1 2 3 4 5", "csat"),
        ("score", "0 5 9 10", "nps"),
        # what may not be guessed
        ("Would you recommend us?", "1 2 3 4 5", ""),
        ("How satisfied were you?", "0 5 9 10", ""),
        ("Was it easy?", "1 2 3 4 5", ""),
        ("How satisfied were you?", "thrilled|so-so|cross", ""),
        ("rating", "1 2 3 4 5 6 7", ""),
    ],
)
def test_questions(room: Path, question: str, answers: str, instrument: str) -> None:
    given = answers.split("|") if "|" in answers else answers.split()
    content = f'response_id,submitted_at,"{question}",Comment\n' + "".join(
        f"r{n},2026-03-{n % 28 + 1:02d},{given[n % len(given)]},fine by me\n" for n in range(60)
    )
    made = propose(room, put(room, content))
    asked = settings(made).get("questions", {})
    assert {name: one["instrument"] for name, one in asked.items()} == ({question: instrument} if instrument else {})
    if instrument:
        assert asked[question]["comment"] == "Comment"
        assert tried(room) == {"responses": (60, 0, 0)}
    else:
        assert "# TODO" in made.texts["source.yml"]
        assert any(
            words.startswith(f"source.yml, question {question}"[:30]) or "question" in words for words in made.decide
        )
        assert tried(room) == {"responses": (0, 60, 0)}


def test_several_questions_of_one_survey(room: Path) -> None:
    content = rows(
        "response_id,submitted_at,Would you recommend us?,Why?,How satisfied were you?,Anything to add?",
        "r{n},2026-03-01,10,because,5,nothing",
        "r{n},2026-03-01,0,because,N/A,nothing",
        "r{n},2026-03-01,7,,1,",
    )
    made = propose(room, put(room, content))
    asked = settings(made)["questions"]
    assert [one["comment"] for one in asked.values()] == ["Why?", "Anything to add?"]
    assert tried(room) == {"responses": (50, 0, 0)}  # ten who gave no answer to the second


@pytest.mark.parametrize(
    ("name", "content", "table"),
    [
        ("a.csv", rows("order_id,customer_id,order_date,total", "o{n},c{n},2026-03-01,5"), "orders"),
        ("a.csv", rows("Bestellnummer;Kundennummer;Bestelldatum;Betrag", "{n};{n};{day}.03.2026;5,50"), "orders"),
        ("tickets.csv", rows("id,requester_id,created_at,status", "{n},{n},2026-03-01 10:00,open"), "interactions"),
        (
            "calls.csv",
            rows("call_id,customer_id,start_time,agent,duration", "{n},{n},2026-03-01 10:00,Al,60"),
            "interactions",
        ),
        ("web.csv", rows("user_id,timestamp,page", "{n},2026-03-01 10:00,home"), "interactions"),
        ("x.csv", rows("customer_id,started_on,ended_on,plan,mrr", "{n},2026-03-01,,pro,9"), "subscriptions"),
        (
            "x.csv",
            rows(
                "Kundennummer;Vertragsbeginn;Kündigungsdatum;Tarif", "{n};01.03.2026;;S", "{n};02.03.2026;31.03.2026;M"
            ),
            "subscriptions",
        ),
        ("crm.csv", rows("customer_id,country,plan,signup_date", "{n},DE,pro,2026-03-01"), "customers"),
        ("x.csv", rows("user_id,variant", "{n},a", "{n},b"), "exposures"),
        ("x.csv", rows("campaign,month,spend", "s{n},2026-03,12.5"), "costs"),
        ("x.csv", rows("crm_id,customer_id", "x{n},{n}"), "identities"),
        ("x.csv", rows("invitation_id,customer_id,sent_at", "{n},{n},2026-03-01 10:00"), "invitations"),
        (
            "x.csv",
            rows("response_id,customer_id,date,metric,score", "{n},{n},2026-03-01,NPS,5", "{n},{n},2026-03-01,CSAT,5"),
            "responses",
        ),
    ],
)
def test_tables(room: Path, name: str, content: str, table: str) -> None:
    made = propose(room, put(room, content, name))
    assert set(made.texts) == {"source.yml", f"{table}.sql"}
    assert tried(room) == {table: (30, 0, 0)}


def test_a_contact_with_a_score_fills_two_tables(room: Path) -> None:
    content = rows(
        "ticket_id,customer_id,created_at,agent,csat",
        "t{n},c{n},2026-03-01 10:00,Al,5",
        "t{n},c{n},2026-03-01 10:00,Al,",
    )
    made = propose(room, put(room, content, "tickets.csv"))
    assert set(made.texts) == {"source.yml", "interactions.sql", "responses.sql"}
    assert tried(room) == {"interactions": (30, 0, 0), "responses": (15, 0, 0)}


def test_personal_data_is_not_carried_over(room: Path) -> None:
    head = "Email,First name,Last name,Phone,IP,Street,Country,Signup date"
    content = rows(head, "a{n}@x.com,Ann,Lee,+44 20 7946 0958,192.0.2.1,1 High St,GB,2026-03-01")
    made = propose(room, put(room, content, "customers.csv"))
    sql = made.texts["customers.sql"]
    assert 'sha256(lower(trim("Email"))) AS customer_id' in sql
    statement = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    assert not any(word in statement for word in ("First", "Last", "Phone", "IP", "Street"))
    assert "-- Personal data, not carried over: First name, Last name, Phone, IP, Street" in sql
    assert any("e-mail" in words for words in made.decide)
    report = ingest(room, params.load(room), "new", today=TODAY, dry_run=True)
    assert not any("@" in cell for sample in report.samples for row in sample.rows for cell in row)


def test_ids_that_a_spreadsheet_rounded_are_no_keys(room: Path) -> None:
    made = propose(room, put(room, rows("order_id,customer_id,order_date,total", "5.70306E+17,c{n},2026-03-01,5")))
    sql = made.texts["orders.sql"]
    assert "md5(" in sql
    assert '"order_id"' not in sql.split("SELECT")[1]
    assert any("'order_id' was rounded by a spreadsheet" in words for words in made.decide)
    assert tried(room) == {"orders": (30, 0, 0)}


def test_rows_that_are_equal_in_everything_stay_several(room: Path) -> None:
    content = rows("Submitted,How satisfied were you?", "2026-03-01,5")
    propose(room, put(room, content))
    assert tried(room) == {"responses": (30, 0, 0)}


def test_a_file_without_any_date_is_true_for_the_day_of_its_name(room: Path) -> None:
    content = rows("customer_id,How likely are you to recommend us?", "c{n},{low}", times=9)
    made = propose(room, put(room, content, "export_2026-10-31.csv"))
    assert "as_of: 2026-10-31  # guess: the file's name" in made.texts["source.yml"]
    assert tried(room) == {"responses": (9, 0, 0)}
    assert '"export_*.csv" takes the next ones too' in made.texts["source.yml"]


def test_a_change_half_way_is_seen(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early = [f"{n},c{n % 77},2026-03-{n % 28 + 1:02d} 10:00:00,5" for n in range(40_000)]
    late = [f"{n},c{n % 77},{n % 28 + 1}/03/2026 10:00,5" for n in range(40_000, 60_000)]
    content = "\n".join(["order_id,customer_id,ordered_at,total", *early, *late])
    made = propose(room, put(room, content))
    assert any("values are written otherwise" in words and "in row 40,0" in words for words in made.decide)
    # the same where the change lies beyond what is read from the start
    monkeypatch.setattr(raw, "HEAD", 100_000)
    for name in ("far.csv", "far.csv.gz"):
        packed = content.encode() if name.endswith("csv") else gzip.compress(content.encode())
        monkeypatch.setattr(raw, "PIECE", 20_000)
        assert any("values are written otherwise" in w for w in propose(room, put(room, packed, name)).decide), name


def workbook(path: Path) -> None:
    """Write a workbook with a title, real dates and two sheets."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path)) as book:
        sheet, form = book.add_worksheet("Data"), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write(0, 0, "All orders")
        for place, title in enumerate(["Order no", "Customer no", "Ordered", "Total"]):
            sheet.write(2, place, title)
        for n in range(30):
            sheet.write_row(3 + n, 0, [1000 + n, f"c{n}"])
            sheet.write_datetime(3 + n, 2, datetime(2026, 3, n % 28 + 1, 10, 30), form)
            sheet.write(3 + n, 3, n + 0.5)
        book.add_worksheet("Notes").write(0, 0, "none")


def other_formats(folder: Path) -> dict[str, Path]:
    """Write the same orders in every format."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: folder / f"orders.{name}" for name in ("xlsx", "parquet", "jsonl", "csv.gz", "zip", "tsv")}
    workbook(found["xlsx"])
    found["csv.gz"].write_bytes(gzip.compress(ORDERS.encode()))
    found["tsv"].write_text(ORDERS.replace(";", "\t"))
    with zipfile.ZipFile(found["zip"], "w") as archive:
        archive.writestr("export/orders.csv", ORDERS)
        archive.writestr("small.csv", "a,b\n1,2\n")
    objects = (
        {"order_id": n, "customer_id": f"c{n}", "ordered_at": "2026-03-01T10:00:00Z", "total": n} for n in range(30)
    )
    found["jsonl"].write_text("\n".join(map(json.dumps, objects)))
    duckdb.sql(
        "SELECT 'o' || n AS order_id, 'c' || n AS customer_id, TIMESTAMP '2026-03-01 10:00:00' AS ordered_at,"
        " n * 1.5 AS total FROM range(30) t(n)"
    ).write_parquet(str(found["parquet"]))
    return found


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "jsonl", "csv.gz", "zip", "tsv"])
def test_formats_of_files(room: Path, kind: str) -> None:
    made = propose(room, other_formats(room / "data" / "raw" / "new")[kind])
    wanted = {"xlsx": "excel", "csv.gz": "csv", "zip": "csv"}.get(kind, kind)
    assert settings(made).get("format", "csv") == wanted
    assert tried(room) == {"orders": (30, 0, 0)}
    if kind == "zip":
        assert settings(made)["member"] == "export/orders.csv"
    if kind == "xlsx":
        assert (settings(made)["skip"], settings(made)["sheet"]) == ("2", "Data")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"", "is empty"),
        ("x.pdf", b"%PDF", "no source can read that"),
        ("x.xlsx", b"not a workbook", "cannot be read"),
        ("x.zip", b"PK\x03\x04 broken", "cannot be read"),
        ("x.csv.gz", b"no gzip", "cannot be read"),
        ("x.parquet", b"PAR1 broken", "cannot be read"),
        ("x.jsonl", b"no json\n", "no JSON objects"),
    ],
)
def test_what_cannot_be_looked_at_is_said(room: Path, name: str, content: bytes, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        propose(room, put(room, content, name))


def test_a_folder_of_files(room: Path) -> None:
    for month in ("01", "02", "03"):
        put(room, ORDERS.replace("\no", f"\no{month}-").replace("2026-03", f"2026-{month}"), f"orders_2026{month}.csv")
    put(room, rows("customer_id,country,signup_date", "c{n},DE,2026-01-01"), "customers.csv")
    put(room, "nothing,that,fits\n1,2,3\n", "other.csv")
    put(room, b"", "empty.csv")
    folder = put(room, "read me", "README.md").parent
    made = propose(room, folder)
    files = yaml.load(made.texts["source.yml"], Loader=yaml.BaseLoader)["files"]
    assert {alias: file["path"] for alias, file in files.items()} == {
        "orders": "orders_20260*.csv",
        "customers": "customers.csv",
    }
    assert any(words.startswith("other.csv: no table") for words in made.found)
    assert "empty.csv is empty" in made.found
    assert tried(room) == {"customers": (30, 0, 0), "orders": (90, 0, 0)}


def test_files_of_several_folders(room: Path) -> None:
    put(room, ORDERS, "shop/orders.csv")
    put(room, rows("customer_id,country,signup_date", "c{n},DE,2026-01-01"), "crm/customers.csv")
    raw = room / "data" / "raw" / "new"
    made = propose(room, raw / "shop" / "orders.csv", raw / "crm")
    files = yaml.load(made.texts["source.yml"], Loader=yaml.BaseLoader)["files"]
    assert {file["path"] for file in files.values()} == {"shop/orders.csv", "crm/customers.csv"}
    assert tried(room) == {"customers": (30, 0, 0), "orders": (30, 0, 0)}


def test_where_the_files_are(room: Path, tmp_path: Path) -> None:
    inside = propose(room, put(room, ORDERS))
    assert inside.inside
    assert "folder:" not in inside.texts["source.yml"]
    other = room / "exports" / "x.csv"
    other.parent.mkdir()
    other.write_text(ORDERS)
    assert "folder: exports\n" in propose(room, other).texts["source.yml"]
    outside = tmp_path / "x.csv"
    outside.write_text(ORDERS)
    made = propose(room, outside)
    assert not made.inside
    assert str(tmp_path) not in made.texts["source.yml"]  # params/ are shared: no path of this machine


@pytest.mark.parametrize("sample", ["zendesk", "shopify", "surveymonkey"])
def test_a_tool_that_another_source_reads_is_recognised(workspace: Path, sample: str) -> None:
    folder = workspace / "exports"
    shutil.copytree(ROOT / "tests" / "data" / sample, folder)
    made = propose(workspace, folder)
    assert any(f"of the source {sample}" in words for words in made.found)
    for path in (ROOT / "params" / "sources" / sample).glob("*.sql"):
        assert made.texts[path.name] == path.read_text(encoding="utf-8")
    assert "folder: exports" in made.texts["source.yml"]
    found = params.load(workspace)
    mine, theirs = (
        ingest(workspace, found, name, folder=folder, today=TODAY, dry_run=True) for name in ("new", sample)
    )
    assert mine.tables == theirs.tables


def test_a_survey_of_a_known_tool_keeps_its_own_questions(workspace: Path) -> None:
    """Q2 is the recommendation in the source qualtrics; here it is the satisfaction."""
    content = (
        "ResponseId,RecordedDate,Status,Finished,Q2\nId,Recorded,Status,Finished,How satisfied were you?\n"
        '"{""ImportId"":""_recordId""}","{""ImportId"":""x""}","{}","{}","{}"\n'
        + rows("", "R_{n},2026-03-{day:02d} 10:00:00,0,1,5", "R_{n},2026-03-{day:02d} 10:00:00,0,1,1")[1:]
    )
    made = propose(workspace, put(workspace, content))
    assert any("questions of answers" in words for words in made.decide)
    file = yaml.load(made.texts["source.yml"], Loader=yaml.BaseLoader)["files"]["answers"]
    assert {name: one["instrument"] for name, one in file["questions"].items()} == {"Q2": "csat"}
    assert "no consent" not in file["leave_out"]
    assert tried(workspace) == {"responses": (30, 0, 0)}


def test_a_file_that_a_source_needs_others_for_is_guessed(workspace: Path) -> None:
    path = workspace / "exports" / "olist_orders_dataset.csv"
    path.parent.mkdir()
    shutil.copy(ROOT / "tests" / "data" / "olist_by_hand" / path.name, path)
    made = propose(workspace, path)
    assert any("of the source olist, which also needs customers, items, reviews" in words for words in made.found)
    assert "orders.sql" in made.texts


def test_a_source_is_never_overwritten(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    propose(room, put(room, ORDERS))
    folder = room / "params" / "sources"
    (folder / "new" / "orders.sql").write_text("-- mine\n")
    with pytest.raises(UsageError, match="there is a source 'new' already"):
        proposal.save(room, "new", {"source.yml": "x"})
    assert (folder / "new" / "orders.sql").read_text() == "-- mine\n"

    def refuse(self: Path, target: Path) -> Path:
        if ".new-" in self.name:
            raise OSError(28, "No space left on device")
        return real(self, target)

    real = Path.rename
    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="No space"):
        proposal.save(room, "new", {"source.yml": "x"}, force=True)
    assert (folder / "new" / "orders.sql").read_text() == "-- mine\n"
    monkeypatch.undo()
    proposal.save(room, "new", {"source.yml": "x"}, force=True)
    assert [path.name for path in folder.rglob("*")] == ["new", "source.yml"]


@pytest.mark.parametrize(
    ("name", "better"), [("My Survey", "my_survey"), ("../x", "x"), ("2026", ""), ("", ""), (".x", "x")]
)
def test_names_that_no_source_can_have(room: Path, name: str, better: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a source") as refused:
        proposal.check_free(room, name)
    assert (f"as {better}." in refused.value.hint) == bool(better)
    assert not (room / "params" / "sources").exists()


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Customer ID", "customer_id"),
        ("customerID", "customer_id"),
        ("Kunden-Nr.", "customer_id"),
        ("Kundennummer", "customer_id"),
        ("id_cliente", "customer_id"),
        ("N° de client", "customer_id"),
        ("E-Mail-Adresse", "email"),
        ("Straße", "address"),
        ("Nom de famille", "person"),
        ("IPAddress", "ip"),
        ("Fecha de pedido", "ordered_at"),
        ("Gesamtbetrag", "amount"),
        ("Zeitstempel", "responded_at"),
    ],
)
def test_names_in_several_languages(name: str, role: str) -> None:
    assert means(normal(name), role), normal(name)


@given(st.text(max_size=400), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_no_text_breaks_it(tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str) -> None:
    room = tmp_path_factory.mktemp("any") / "room"
    (room / "params").mkdir(parents=True)
    (room / "params" / "workspace.yml").write_text("company: Toy\n")
    with contextlib.suppress(SourceError):  # it is empty
        assert propose(room, put(room, text.encode(encoding, "replace"))) is not None


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Return a file as it must not be."""
    place = dice.randrange(len(content))
    return dice.choice(
        [
            content[:place],
            content[:place] + b'"' + content[place:],
            content[:place] + bytes(dice.randrange(256) for _ in range(20)) + content[place:],
            content.replace(b",", b"\t").replace(b"\n", b"\r"),
            content[:place] + b"\0\0" + content[place:],
            b"x" * 70_000 + content,
            b"a,b\n\n" + content,
        ]
    )


def test_no_damage_breaks_it(room: Path) -> None:
    dice = random.Random(20261121)
    contents = [ORDERS.encode(), (ROOT / "tests/data/olist_by_hand/olist_order_reviews_dataset.csv").read_bytes()]
    for number in range(30):
        assert propose(room, put(room, damaged(contents[number % 2], dice))) is not None


# What the real files are: how they are written, the table they fill, and how many of their rows are accepted at once
# ("none" where nothing says whose row it is, or which instrument a score is of: no guess would be honest).
REAL = [
    ("zendesk_seed/ticket_data.csv", "utf-8", ",", 1, "interactions", "all"),
    ("zendesk_seed/ticket_comment_data.csv", "utf-8", ",", 1, "interactions", "all"),
    ("zendesk_seed/ticket_chat_data.csv", "utf-8", ",", 1, "interactions", "all"),
    ("zendesk_seed/user_data.csv", "utf-8", ",", 1, "customers", "all"),
    ("preppin_callcentre/input_01.csv", "utf-8", ",", 1, "interactions", "none"),
    ("preppin_callcentre/input_13.csv", "utf-8", ",", 1, "interactions", "none"),
    ("preppin_nps_airlines/airlines.csv", "utf-8", ",", 1, "responses", "all"),
    ("preppin_nps_airlines/prep_air.csv", "utf-8", ",", 1, "responses", "all"),
    ("qualtrics_sample/sample.csv", "utf-8", ",", 3, "responses", "none"),
    ("qualtrics_sample/sample_legacy.csv", "utf-8", ",", 2, "responses", "none"),
    ("surveymonkey_starwars/StarWars.csv", "cp1252", ",", 2, "responses", "none"),
    ("survey_steak_comma/comma-survey.csv", "utf-8", ",", 1, "responses", "none"),
    ("survey_steak_comma/steak-risk-survey.csv", "utf-8", ",", 2, "responses", "none"),
    ("airline_satisfaction_600/airline_passenger_satisfaction.csv", "utf-8", ",", 1, "customers", "all"),
    ("airline_tweets/Tweets.csv", "utf-8", ",", 1, "interactions", "none"),
    ("cdnow/cdnow_customers_summary.csv", "utf-8", ",", 1, "customers", "all"),
    ("cdnow/cdnow_customers_summary_with_transactions.csv", "utf-8", ",", 1, "customers", "all"),
    ("cdnow/CDNOW_master.txt", "utf-8", " ", 1, "orders", "all"),
    ("cdnow/CDNOW_sample.txt", "utf-8", " ", 0, "orders", "all"),
    ("cookie_cats/cookie_cats.csv", "utf-8", ",", 1, "exposures", "all"),
    ("telco_churn/WA_Fn-UseC_-Telco-Customer-Churn.csv", "utf-8", ",", 1, "customers", "all"),
    ("ecom_clickstream/ecom.csv.gz", "utf-8", ",", 1, "interactions", "all"),
    ("segmentation_small/Mall_Customers.csv", "utf-8", ",", 1, "customers", "all"),
    ("olist_tiny/olist_customers_dataset.csv", "utf-8", ",", 1, "customers", "all"),
    ("olist_tiny/olist_orders_dataset.csv", "utf-8", ",", 1, "orders", "none"),
    ("olist_tiny/olist_order_items_dataset.csv", "utf-8", ",", 1, "orders", "none"),
    ("olist_tiny/olist_order_payments_dataset.csv", "utf-8", ",", 1, "orders", "none"),
    ("olist_tiny/olist_order_reviews_dataset.csv", "utf-8", ",", 1, "responses", "all"),
    ("olist_tiny/product_category_name_translation.csv", "utf-8", ",", 1, "interactions", "none"),
]


@pytest.mark.parametrize(("name", "encoding", "delimiter", "header", "table", "taken"), REAL, ids=[r[0] for r in REAL])
def test_real_files(
    room: Path,
    shared_data: Callable[[str], Path],
    name: str,
    encoding: str,
    delimiter: str,
    header: int,
    table: str,
    taken: str,
) -> None:
    folder, file = name.split("/")
    path = shared_data(folder) / file
    made = propose(room, path)
    given = settings(made)
    found = (given["encoding"], given.get("delimiter", " "), int(given.get("header_rows", 1)))
    assert (*found, set(made.texts)) == (encoding, delimiter, header, {"source.yml", f"{table}.sql"})
    report = ingest(room, params.load(room), "new", folder=path.parent, today=TODAY, dry_run=True)
    counts = report.tables[table]
    assert (counts.rejected, counts.accepted) == ((0, counts.rows_in) if taken == "all" else (counts.rows_in, 0))
    assert counts.rows_in > 0
    assert all(read.unreadable == 0 for read in report.files.values())


KNOWN = [
    ("zendesk_seed", "zendesk"),
    ("preppin_nps_airlines", "airlines"),
    ("olist_tiny", "olist"),
    ("airline_tweets", "tweets"),
    ("telco_churn", "telco"),
    ("cdnow/CDNOW_master.txt", "cdnow"),
    ("preppin_callcentre", "call_centre"),
]


@pytest.mark.parametrize(("name", "known"), KNOWN, ids=[one[0] for one in KNOWN])
def test_real_files_of_known_tools(workspace: Path, shared_data: Callable[[str], Path], name: str, known: str) -> None:
    path = shared_data(name)
    made = propose(workspace, path)
    assert any(f"of the source {known}" in words for words in made.found)
    folder, found = path if path.is_dir() else path.parent, params.load(workspace)
    mine, theirs = (ingest(workspace, found, one, folder=folder, today=TODAY, dry_run=True) for one in ("new", known))
    assert mine.tables == theirs.tables


def test_the_day_of_the_look_is_not_the_clocks(room: Path) -> None:
    """Nothing in a proposal depends on when it was made but `today`, which is given."""
    path = put(room, ORDERS)
    first = propose(room, path).texts
    assert propose(room, path).texts == first
    assert str(datetime.now(UTC).date()) not in "".join(first.values())
