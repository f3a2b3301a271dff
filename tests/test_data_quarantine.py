"""Refused rows go into a workbook as they are, and come back from it as a person left them."""

from __future__ import annotations

import csv
import zipfile
from datetime import date, datetime, time
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from cxlib import contract
from cxlib.data import quarantine, rules
from cxlib.data.mended import read_mended
from cxlib.data.quarantine import commonest, write
from cxlib.errors import SourceError

TEXT_FORMAT = "49"  # of SpreadsheetML: @
TODAY = date(2026, 11, 1)
LONG_ID = "570306123456789012345"
# Texts that spreadsheets, terminals or XML do something with.
STRANGE = [
    "=1+1", "@SUM(A1)", "+1", "-1", "<script>alert(1)</script>", "http://example.com", "00123", LONG_ID, "1e5", "TRUE",
    "2026-01-02", "  kept  ", "a\nb", "a\r\nb", "a\tb", "a\x01b\x1fc", "a\0b", "_x0041_", "#N/A", "it's; score 'x'",
    "é😀",
]  # fmt: skip

# How each rule of `rules.py` speaks.
REASONS = [
    "is missing", "is not a time", "is not a date", "is not an integer", "is not an amount", "is not true or false",
    "is not one of", "is below 0", "was rounded by a spreadsheet", "holds control characters", "is outside 0 to 10",
    "is not in touchpoints.yml", "is before", "is not between the years", "is in the future", "is not in customers",
]  # fmt: skip
# Per table: the raw rows, each refused; and the cells that mend them, row by row.
REFUSED: dict[str, list[dict[str, str | None]]] = {
    "responses": [
        {"response_id": "r1", "responded_at": "2026-10-01 10:00:00", "instrument": "nps", "score": "11"},
        {"response_id": "r2", "responded_at": "2026-10-01 10:00:00", "instrument": "csat", "score": "0"},
        {"response_id": "r3", "responded_at": "2026-10-01 10:00:00", "instrument": "ces", "score": "n/a"},
        {"response_id": "r4", "responded_at": "2026-10-01 10:00:00", "instrument": "osat", "score": "3"},
        {"response_id": "r5", "responded_at": "2026-10-01", "instrument": "nps", "score": "9", "customer_id": "x"},
        {"response_id": "r6", "responded_at": None, "instrument": "nps", "score": "9"},
        {"response_id": "r7", "responded_at": "2027-10-01", "instrument": "nps", "score": "9"},
        {"response_id": "r8", "responded_at": "31.10.2026", "instrument": "nps", "score": "9", "touchpoint": "pantry"},
        {"response_id": "5.70306E+17", "responded_at": "2026-10-01", "instrument": "nps", "score": "9"},
        {"response_id": "r\x0110", "responded_at": "2026-10-01", "instrument": "nps", "score": "9"},
    ],
    "orders": [
        {"order_id": "o1", "customer_id": "c1", "ordered_at": "3026-01-01", "amount": "12,50 EUR"},
        {"order_id": "o2", "customer_id": "c1", "ordered_at": "2026-01-02", "amount": "-1",
         "delivered_at": "2026-01-01"},
    ],
    "interactions": [
        {"interaction_id": "i1", "customer_id": "c1", "started_at": "2026-01-01", "touchpoint": "web", "kind": "fax",
         "wait_seconds": "-60", "resolved": "perhaps"},
    ],
    "subscriptions": [{"customer_id": "c1", "started_on": "2026-13-01", "ended_on": "1.1.2026"}],
}  # fmt: skip
MENDED: dict[str, list[dict[str, object]]] = {
    "responses": [
        {"score": 10}, {"score": 1.0}, {"score": "4"}, {"instrument": "csat"}, {"customer_id": "c1"},
        {"responded_at": datetime(2026, 10, 1, 10, 30)}, {"responded_at": date(2026, 10, 1)},
        {"responded_at": "2026-10-31", "touchpoint": "web"}, {"response_id": LONG_ID}, {"response_id": "r10"},
    ],
    "orders": [{"ordered_at": datetime(2026, 1, 1, 23, 59, 59), "amount": 12.5}, {"amount": 1, "delivered_at": None}],
    "interactions": [{"kind": "contact", "wait_seconds": 60, "resolved": True}],
    "subscriptions": [{"started_on": date(2026, 2, 1), "ended_on": None}],
}  # fmt: skip


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect()
    made.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    return made


def shapes(*names: str) -> dict[str, contract.Table]:
    return {name: contract.TABLES[name] for name in names}


def judge(connection: duckdb.DuckDBPyConnection, table: contract.Table, relation: str, given: dict[str, str]) -> str:
    """Make the table `refused <t>` of what the contract refuses; return its quoted name."""
    known = {"customer_id": "\"t:customer_id\" = 'c1'"}
    found = rules.rules(table, given, today=TODAY, known=known, touchpoints=["web"])
    judged = rules.judged(table, given, found, "UTC", relation)
    columns = ", ".join(f'"{column}"' for column in given)
    connection.execute(
        f"CREATE OR REPLACE TABLE \"refused {table.name}\" AS SELECT {columns}, 'f.csv' AS _file,"
        f" row_number() OVER () + 1 AS _row, {rules.reasons(found)} AS reasons FROM ({judged}) WHERE _bad"
    )
    return f'"refused {table.name}"'


def put(connection: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, str | None]]) -> dict[str, str]:
    """Make the table `raw <t>`; return its columns."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    connection.execute(f'CREATE TABLE "raw {name}" ({", ".join(f"{column} VARCHAR" for column in columns)})')
    marks = ", ".join("?" * len(columns))
    connection.executemany(
        f'INSERT INTO "raw {name}" VALUES ({marks})', [[row.get(c) for c in columns] for row in rows]
    )
    return dict.fromkeys(columns, "VARCHAR")


def wrote(connection: duckdb.DuckDBPyConnection, folder: Path, relations: dict[str, str], **more: bool) -> Path:
    path = write(connection, folder, relations, batch="toy-1", source="toy", timezone="Europe/Madrid", **more)
    assert path is not None
    return path


def cells(path: Path, sheet: str) -> list[list[object]]:
    with CalamineWorkbook.from_path(path) as book:
        return book.get_sheet_by_name(sheet).to_python()


def looks(archive: zipfile.ZipFile) -> list[tuple[str | None, bool]]:
    """Return of each style of a workbook its number format, and whether it has a colour."""
    styles = ET.fromstring(archive.read("xl/styles.xml"))
    fills = [fill.find("{*}patternFill").get("patternType") for fill in styles.find("{*}fills")]
    return [(xf.get("numFmtId"), fills[int(xf.get("fillId", "0"))] == "solid") for xf in styles.find("{*}cellXfs")]


def save(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    """Write a workbook as a person saves it: each cell of its own type."""
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        formats = {kind: book.add_format({"num_format": f}) for kind, f in
                   ((datetime, "dd/mm/yyyy hh:mm:ss"), (date, "dd/mm/yyyy"), (time, "hh:mm"))}  # fmt: skip
        for title, rows in sheets.items():
            page = book.add_worksheet(title)
            for number, row in enumerate(rows):
                for place, cell in enumerate(row):
                    if isinstance(cell, date | time):
                        page.write_datetime(number, place, cell, formats[type(cell)])
                    elif isinstance(cell, str):
                        page.write_string(number, place, cell)
                    elif cell is not None:
                        page.write(number, place, cell)
    return path


def rows(connection: duckdb.DuckDBPyConnection, relation: str) -> list[tuple]:
    return connection.execute(f'SELECT * FROM "{relation}" ORDER BY ALL').fetchall()


def test_rows_of_every_reason_are_mended_and_taken(connection, tmp_path):
    relations, said = {}, ""
    for name, refused in REFUSED.items():
        relations[name] = judge(connection, contract.TABLES[name], f'"raw {name}"', put(connection, name, refused))
        assert connection.execute(f"SELECT count(*) FROM {relations[name]}").fetchone() == (len(refused),)
        said += repr(connection.execute(f"SELECT reasons FROM {relations[name]}").fetchall())
    assert [reason for reason in REASONS if reason not in said] == []
    path = wrote(connection, tmp_path / "aside", relations)
    sheets = {}
    for name, refused in REFUSED.items():
        head, *body = cells(path, name)
        at = {title: place for place, title in enumerate(head)}
        key = contract.TABLES[name].key[0]
        order = [row[key].replace("\x01", "\u2401") for row in refused]
        for row in body:
            for column, value in MENDED[name][order.index(row[at[key]])].items():
                row[at[column]] = value
        sheets[name] = [head, *body]
    sheets["read me"] = [["left as it is"]]
    queries = read_mended(connection, save(tmp_path / "toy-1.xlsx", sheets), shapes(*REFUSED))
    assert [query.table.name for query in queries] == list(REFUSED)
    for query in queries:
        again = judge(connection, query.table, query.view, query.given)
        assert connection.execute(f"SELECT reasons FROM {again}").fetchall() == []
        assert connection.execute(f"SELECT count(*) FROM {query.view}").fetchone() == (len(REFUSED[query.table.name]),)
    assert rows(connection, "sql orders") == [
        ("o1", "c1", "2026-01-01 23:59:59", "12.5", None),
        ("o2", "c1", "2026-01-02", "1", None),
    ]
    assert rows(connection, "sql interactions") == [("i1", "c1", "2026-01-01", "web", "contact", "60", "true")]


def test_whatever_a_cell_holds_comes_back_literally(connection, tmp_path):
    put(connection, "responses", [{"response_id": str(n), "comment": value} for n, value in enumerate(STRANGE)])
    connection.execute(
        "CREATE TABLE refused AS SELECT *, 5 AS score, NULL AS x, 'why' AS reasons FROM \"raw responses\""
    )
    path = wrote(connection, tmp_path, {"responses": "(SELECT * EXCLUDE (x, score) FROM refused)"})
    more = "'2026-10-01' AS responded_at, 'nps' AS instrument, '5' AS score"
    full = wrote(connection, tmp_path / "full", {"responses": f"(SELECT * EXCLUDE (x, score), {more} FROM refused)"})
    [query] = read_mended(connection, full, shapes("responses"))
    found = connection.execute(f"SELECT comment FROM {query.view} ORDER BY response_id::INT").fetchall()
    assert [value for (value,) in found] == STRANGE
    raw = duckdb.sql(f"SELECT comment FROM '{path.parent}/responses.parquet' ORDER BY response_id::INT").fetchall()
    assert [value for (value,) in raw] == STRANGE
    shown = {row[1]: row[2] for row in cells(path, "responses")[1:]}
    assert shown[str(STRANGE.index("a\x01b\x1fc"))] == "a\u2401b\u241fc"


def test_cells_that_reasons_name_are_marked(connection, tmp_path):
    relations = {
        name: judge(connection, contract.TABLES[name], f'"raw {name}"', put(connection, name, REFUSED[name]))
        for name in ("orders", "interactions")
    }
    path = wrote(connection, tmp_path, relations)
    marked = {}
    with zipfile.ZipFile(path) as archive:
        formats = looks(archive)
        for number, name in enumerate(relations, start=2):
            sheet = ET.fromstring(archive.read(f"xl/worksheets/sheet{number}.xml"))
            head, *body = sheet.iterfind(".//{*}row")
            titles = {cell.get("r", "").rstrip("1"): "".join(cell.itertext()) for cell in head}
            found = [{titles[cell.get("r", "").rstrip("0123456789")]: cell for cell in row} for row in body]
            marked[name] = [{title for title, cell in row.items() if formats[int(cell.get("s"))][1]} for row in found]
            assert (
                sheet.find(".//{*}pane").attrib | {"ySplit": "1", "state": "frozen"} == sheet.find(".//{*}pane").attrib
            )
            drawn = [cell for row in found for cell in row.values()]
            assert {cell.get("t") for cell in drawn} <= {"inlineStr", None}
            assert not [cell for cell in drawn if cell.find("{*}v") is not None or cell.find("{*}f") is not None]
            assert {formats[int(cell.get("s"))][0] for cell in drawn} == {TEXT_FORMAT}
    assert marked == {
        "orders": [{"ordered_at", "amount"}, {"amount", "delivered_at", "ordered_at"}],
        "interactions": [{"kind", "wait_seconds", "resolved"}],
    }


def test_the_first_sheet_explains_and_counts(connection, tmp_path):
    given = put(connection, "responses", REFUSED["responses"])
    relation = judge(connection, contract.TABLES["responses"], '"raw responses"', given)
    connection.execute(
        "CREATE TABLE unreadable AS SELECT 'a.csv' AS file, 7 AS \"row\", NULL AS \"column\", 'not utf-8' AS reason,"
        " 'a;b' AS \"text\""
    )
    path = wrote(connection, tmp_path, {"responses": relation}, unreadable=True)
    page = cells(path, "read me")
    words = "\n".join(str(row[0]) for row in page)
    assert "cx ingest toy --mended toy-1.xlsx" in words
    assert "Europe/Madrid" in words
    counts = {(row[0], row[2]): row[1] for row in page if row[1] and row[0] != "sheet"}
    assert counts["responses", "score ... is outside 0 to 10 for nps"] == 1
    assert counts["responses", "touchpoint ... is not in touchpoints.yml"] == 1
    assert counts["unreadable", "not utf-8"] == 1
    assert cells(path, "unreadable") == [
        ["reasons", "file", "row", "column", "text"],
        ["not utf-8", "a.csv", "7", "", "a;b"],
    ]
    assert rows(connection, "unreadable") == [("a.csv", 7, None, "not utf-8", "a;b")]
    assert (tmp_path / "unreadable.parquet").is_file()


def test_what_a_sheet_does_not_hold_is_told(connection, tmp_path, monkeypatch):
    monkeypatch.setattr(quarantine, "ROWS_A_SHEET", 3)
    connection.execute(
        "CREATE TABLE refused AS SELECT n::VARCHAR AS order_id, CASE WHEN n = 1 THEN repeat('x', 40000) ELSE 'y' END AS"
        " channel, 'f.csv' AS _file, n AS _row, 'amount is missing' AS reasons FROM range(5) AS t(n)"
    )
    path = wrote(connection, tmp_path, {"orders": "refused"})
    assert [row[3] for row in cells(path, "orders")] == ["order_id", "0", "2", "3"]
    words = "\n".join(str(row[0]) for row in cells(path, "read me"))
    assert "orders: the first 3 of 5 rows are here, all are in orders.parquet" in words
    assert "orders: 1 rows with a text too long for a cell are in orders.parquet only" in words
    assert duckdb.sql(f"SELECT count(*) FROM '{tmp_path}/orders.parquet'").fetchone() == (5,)


def test_the_same_rows_make_the_same_files(connection, tmp_path):
    connection.execute("CREATE TABLE refused AS SELECT n::VARCHAR AS order_id, 'x' AS reasons FROM range(500) AS t(n)")
    first, second = (wrote(connection, tmp_path / place, {"orders": "refused"}) for place in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert (first.parent / "orders.parquet").read_bytes() == (second.parent / "orders.parquet").read_bytes()


def test_nothing_refused_leaves_nothing(connection, tmp_path):
    connection.execute("CREATE TABLE refused (order_id VARCHAR, reasons VARCHAR)")
    found = write(connection, tmp_path / "a", {"orders": "refused"}, batch="b", source="s", timezone="UTC")
    assert (found, (tmp_path / "a").exists()) == (None, False)


def test_a_full_disk_is_an_os_error(connection, tmp_path, monkeypatch):
    from xlsxwriter.exceptions import FileCreateError

    close = xlsxwriter.Workbook.close

    def full(book: xlsxwriter.Workbook) -> None:
        close(book)
        raise FileCreateError("[Errno 28] No space left on device")

    monkeypatch.setattr(xlsxwriter.Workbook, "close", full)
    connection.execute("CREATE TABLE refused AS SELECT 'o' AS order_id, 'x' AS reasons")
    with pytest.raises(OSError, match="No space left"):
        wrote(connection, tmp_path, {"orders": "refused"})


def test_reasons_are_told_with_the_place_of_the_first(connection):
    connection.execute(
        "CREATE TABLE refused AS SELECT 'f.csv' AS _file, n AS _row, format('amount ''-{}'' is below 0', n) AS reasons"
        " FROM range(2, 5) AS t(n) UNION ALL SELECT NULL, NULL, 'order_id is missing'"
    )
    assert [(r.table, r.reason, r.rows, r.place, r.example) for r in commonest(connection, "orders", "refused")] == [
        ("orders", "amount ... is below 0", 3, "f.csv, row 2", "amount '-2' is below 0"),
        ("orders", "order_id is missing", 1, "", "order_id is missing"),
    ]
    plain = commonest(connection, "orders", "(SELECT reasons FROM refused)")
    assert [(r.reason, r.place) for r in plain] == [("amount ... is below 0", ""), ("order_id is missing", "")]


HEAD = ["order_id", "customer_id", "ordered_at", "amount"]


def test_typed_cells_come_back_as_the_rules_read_them(connection, tmp_path):
    values = [5.0, 5.5, 0.00001, 5.70306e17, 123456789012345, True, datetime(2026, 10, 31, 9, 5), date(2026, 10, 31)]
    body = [[str(n), "c1", "2026-10-01", value] for n, value in enumerate(values)]
    path = save(tmp_path / "mended.xlsx", {"orders": [[*HEAD, "reasons"], *body, ["", "", "", "", "only a reason"]]})
    [query] = read_mended(connection, path, shapes("customers", "orders"))
    assert query.given == dict.fromkeys(HEAD, "VARCHAR")
    assert [row[3] for row in rows(connection, "sql orders")] == [
        "5", "5.5", "0.00001", "5.70306e+17", "123456789012345", "true", "2026-10-31 09:05:00", "2026-10-31",
    ]  # fmt: skip
    found = connection.execute('SELECT _file, _row FROM "mended orders placed" ORDER BY 2').fetchall()
    assert found[0] == ("mended.xlsx", 2)
    assert len(found) == len(values)


def test_a_table_that_begins_further_down_is_counted_as_the_spreadsheet_counts(connection, tmp_path):
    sheet = [[], [None, *HEAD], [None, "o1", "c1", "2026-10-01", 1]]
    read_mended(connection, save(tmp_path / "a.xlsx", {"orders": sheet}), shapes("orders"))
    assert rows(connection, "mended orders placed") == [("o1", "c1", "2026-10-01", "1", "a.xlsx", 3)]


def test_a_csv_named_after_a_table_is_read_as_text(connection, tmp_path):
    path = tmp_path / "orders.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(
            [[*HEAD, "_row"], ["007", "c1", "2026-10-01", "1e5", "9"], [], ["a\nb", "", "", "", ""]]
        )
    read_mended(connection, path, shapes("orders"))
    assert rows(connection, "sql orders") == [("007", "c1", "2026-10-01", "1e5"), ("a\nb", None, None, None)]
    assert [row[-1] for row in rows(connection, "mended orders placed")] == [2, 4]


@pytest.mark.parametrize(
    ("sheets", "message"),
    [
        ({"order": [HEAD]}, "sheet order: this source fills no table 'order'; did you mean 'orders'"),
        ({"orders": [[*HEAD, "unit"]]}, "yields a column 'unit' that orders does not have; did you mean 'units'"),
        ({"orders": [HEAD[:3]]}, "yields no column 'amount'"),
        ({"orders": [[*HEAD, "amount"]]}, "sheet orders has the column 'amount' 2 times"),
        ({"orders": [HEAD, ["o1", "c1", "2026-01-01", "1", "stray"]]}, "row 2 has 'stray' in column 5, which has no"),
        ({"read me": [["x"]]}, "no sheet with a row is there"),
        ({"orders": []}, "no sheet with a row is there"),
    ],
)
def test_sheets_and_columns_that_no_table_has_are_refused(connection, tmp_path, sheets, message):
    with pytest.raises(SourceError, match=message):
        read_mended(connection, save(tmp_path / "a.xlsx", sheets), shapes("orders"))


def test_all_faults_are_told_at_once(connection, tmp_path):
    path = save(tmp_path / "a.xlsx", {"ordes": [HEAD], "orders": [["order_id"]], "notes": [["x"]]})
    with pytest.raises(SourceError) as caught:
        read_mended(connection, path, shapes("orders"))
    assert [line.strip().split(":")[0] for line in caught.value.message.splitlines()[1:]] == [
        "sheet ordes", "sheet orders yields no column 'amount'", "sheet orders yields no column 'customer_id'",
        "sheet orders yields no column 'ordered_at'", "sheet notes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("orders.csv", b"order_id;customer_id;ordered_at;amount\n1;2;3;4\n", "split by ';'"),
        ("orders.csv", b"order_id,customer_id,ordered_at,amount\no1,c1\n", "row 2 has 2 cells, the header has 4"),
        (
            "orders.csv",
            b"order_id,customer_id,ordered_at,amount\n\xe9,c1,2026-01-01,1\n",
            "cannot be read: 'utf-8' codec",
        ),
        ("orders.csv", b'order_id,customer_id,ordered_at,amount\n"a"b,c,d,e\n', "cannot be read"),
        ("orders.xlsx", b"order_id,customer_id\n", "cannot be read"),
        ("orders.xlsx", b"PK\x03\x04 broken", "cannot be read"),
        ("gone.xlsx", None, "cannot be read"),
        ("gone.csv", None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(connection, tmp_path, file, content, message):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(SourceError, match=message):
        read_mended(connection, tmp_path / file, shapes("orders"))
