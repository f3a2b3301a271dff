"""Survey tools, each on a sample after its public documentation or on a real file, against what a person reads there.

The pages that the samples follow:
Qualtrics     https://www.qualtrics.com/support/survey-platform/data-and-analysis-module/data/download-data/understanding-your-dataset/
SurveyMonkey  https://help.surveymonkey.com/en/surveymonkey/analyze/exports/
Google Forms  https://support.google.com/docs/answer/139706
Delighted     https://delighted.com/docs/api/listing-survey-responses
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import re
import shutil
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml

from cxlib.data.counts import IngestReport
from cxlib.data.ingest import ingest
from cxlib.data.sources import open_source
from cxlib.data.store import Store
from cxlib.measure import estimates, plans
from cxlib.params.models import Metric, Params, Segment, Source, Touchpoint, Workspace
from cxlib.periods import Period
from tests.conftest import ROOT

SAMPLES = Path(__file__).resolve().parent / "data"
TOOLS = ("qualtrics", "surveymonkey", "google_forms", "delighted")
TODAY = date(2026, 11, 21)
COLUMNS = ("responded_at", "instrument", "score", "customer_id", "touchpoint", "channel", "comment")
# What the samples know of people and the store must not.
PERSONAL = ("example.com", "192.0.2", "Soto", "Lind", "Moss")
ANA, BO, CAI = (
    hashlib.sha256(f"{name}@example.com".encode()).hexdigest() for name in ("ana.soto", "bo.lind", "cai.moss")
)


def said(path: str) -> dict[str, Any]:
    return yaml.load((ROOT / "params" / path).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def source(tool: str, **changes: Any) -> Source:
    return Source(id=tool, **(said(f"sources/{tool}/source.yml") | changes))


class Company:
    """A workspace with one tool's source as it is shipped, or as `changes` adapt it."""

    def __init__(self, root: Path, tool: str, **changes: Any) -> None:
        self.root, self.tool, self.raw = root, tool, root / "raw"
        self.raw.mkdir(parents=True)
        shutil.copytree(ROOT / "params" / "sources" / tool, root / "params" / "sources" / tool)
        taxonomy = said("touchpoints.yml")["touchpoints"]
        self.params = Params(
            workspace=Workspace(company="Toy"),
            sources={tool: source(tool, **changes)},
            touchpoints={key: Touchpoint(id=key, **entry) for key, entry in taxonomy.items()},
        )

    def take_in(self, *files: Path) -> IngestReport:
        """Ingest some files and no others."""
        shutil.rmtree(self.raw)
        self.raw.mkdir()
        for file in files:
            shutil.copy(file, self.raw / file.name)
        return ingest(self.root, self.params, self.tool, folder=self.raw, today=TODAY)

    def rows(self, table: str, *columns: str) -> list[tuple]:
        with Store.open(self.root) as store:
            frame = store.run(store.tables[table].select(*columns))
        plain = frame.astype(object).where(frame.notna(), None)
        return sorted((tuple(row) for row in plain.itertuples(index=False)), key=repr)

    def answers(self) -> dict[str, tuple]:
        """Return the responses by id."""
        return {row[0]: row[1:] for row in self.rows("responses", "response_id", *COLUMNS)}


@pytest.fixture
def company(tmp_path: Path) -> Callable[..., Company]:
    numbers = itertools.count()
    return lambda tool, **changes: Company(tmp_path / f"{tool} {next(numbers)}", tool, **changes)


def table(text: str) -> dict[str, tuple]:
    """Read what is expected: a row's id, then `COLUMNS`; ↵ stands for a new line in a comment."""
    found: dict[str, tuple] = {}
    for line in filter(None, text.splitlines()):
        key, moment, instrument, score, *rest = (cell.strip() for cell in line.split("|"))
        plain = (cell.replace("↵", "\n") or None for cell in rest)
        found[key] = (datetime.fromisoformat(moment), instrument, int(score), *plain)
    return found


def samples(tool: str) -> list[Path]:
    return sorted((SAMPLES / tool).iterdir())


def left_out(report: IngestReport) -> dict[str, int]:
    """Return reason -> rows, over all files."""
    found: dict[str, int] = {}
    for read in report.files.values():
        for file in read.files:
            assert file.rows == file.readable + file.unreadable + sum(file.left_out.values())
            for reason, rows in file.left_out.items():
                found[reason] = found.get(reason, 0) + rows
    return {reason: rows for reason, rows in found.items() if rows}


def refused(report: IngestReport) -> list[tuple[str, int]]:
    return sorted((refusal.reason, refusal.rows) for refusal in report.refusals)


@pytest.mark.parametrize("tool", TOOLS)
def test_nothing_personal_is_stored(company, tool):
    here = company(tool)
    here.take_in(*samples(tool))
    with Store.open(here.root) as store:
        text = "".join(store.run(table).to_csv() for table in store.tables.values())
    assert [word for word in PERSONAL if word in text] == []


@pytest.mark.parametrize("tool", TOOLS)
def test_the_same_export_twice_changes_nothing(company, tool):
    here = company(tool)
    first, again = here.take_in(*samples(tool)), here.take_in(*samples(tool))
    assert (first.changed, again.changed, again.snapshot_id) == (True, False, first.snapshot_id)
    assert again.tables["responses"].unchanged == first.tables["responses"].accepted


@pytest.mark.parametrize("tool", TOOLS)
def test_the_order_of_overlapping_exports_plays_no_part(company, tool):
    whole = company(tool)
    whole.take_in(*samples(tool))
    files = said(f"sources/{tool}/source.yml")["files"]
    alone = {alias: file | {"optional": "true"} for alias, file in files.items()}
    for order in (samples(tool), samples(tool)[::-1]):
        parts = company(tool, files=alone)
        for file in order:
            parts.take_in(file)
        assert parts.answers() == whole.answers()


def test_a_fingerprint_is_mapped_to_the_customer_and_strangers_count_too(company):
    """The company knows C-1001, and whose address Bo's is; it loses no answer because it does not know the others."""
    here = company("qualtrics")
    people = here.root / "people"
    people.mkdir()
    (people / "customers.csv").write_text("customer_id,valid_from\nC-1001,2016-01-01\nC-2000,2016-01-01\n")
    (people / "identities.csv").write_text(f"source_id,customer_id\n{BO},C-2000\n")
    sql = here.root / "params" / "sources" / "people"
    sql.mkdir()
    for name in ("customers", "identities"):
        (sql / f"{name}.sql").write_text(f"SELECT * FROM {name}")
    files = {name: {"path": f"{name}.csv"} for name in ("customers", "identities")}
    here.params.sources["people"] = Source(id="people", title="People", licence="our own", files=files)
    ingest(here.root, here.params, "people", folder=people, today=TODAY)
    report = here.take_in(*samples("qualtrics"))
    assert refused(report) == [("score 'Sehr zufrieden' is not an integer", 1)]
    persons = {key.split(":")[0]: row[3] for key, row in here.answers().items()}
    assert {key: persons[key] for key in ("R_1aQfT7", "R_2bWmK3", "R_19sFjR", "R_9iUwF5", "R_3cLpX9")} == {
        "R_1aQfT7": "C-1001", "R_2bWmK3": "C-2000", "R_19sFjR": "C-2000", "R_9iUwF5": "C-1002", "R_3cLpX9": None
    }  # fmt: skip


# Qualtrics: America/Denver, six hours behind UTC in summer, seven in winter.
QUALTRICS = f"""
R_1aQfT7:Q2 | 2026-09-30 15:15:42 | nps  | 10 | C-1001 | survey       | email     | Fast, friendly and on time
R_1aQfT7:Q4 | 2026-09-30 15:15:42 | csat |  5 | C-1001 | delivery     | email     |
R_1aQfT7:Q5 | 2026-09-30 15:15:42 | ces  |  7 | C-1001 | support_chat | email     |
R_2bWmK3:Q2 | 2026-10-03 00:40:05 | nps  |  6 | {BO}   | survey       | email     | Came twice,↵"no one in"
R_2bWmK3:Q4 | 2026-10-03 00:40:05 | csat |  2 | {BO}   | delivery     | email     |
R_2bWmK3:Q5 | 2026-10-03 00:40:05 | ces  |  3 | {BO}   | support_chat | email     |
R_3cLpX9:Q2 | 2026-10-03 13:05:11 | nps  |  8 |        | survey       | anonymous |
R_3cLpX9:Q4 | 2026-10-03 13:05:11 | csat |  4 |        | delivery     | anonymous |
R_3cLpX9:Q5 | 2026-10-03 13:05:11 | ces  |  6 |        | support_chat | anonymous |
R_9iUwF5:Q2 | 2026-10-09 17:20:20 | nps  |  9 | C-1002 | survey       | sms       |
R_10jVaG:Q2 | 2026-10-15 14:59:59 | nps  |  0 | C-1003 | survey       | offline   | Nobody answered the chat
R_10jVaG:Q4 | 2026-10-15 14:59:59 | csat |  1 | C-1003 | delivery     | offline   |
R_10jVaG:Q5 | 2026-10-15 14:59:59 | ces  |  2 | C-1003 | support_chat | offline   |
R_11kXbH:Q2 | 2026-10-20 19:13:13 | nps  |  7 | C-1004 | survey       | anonymous | Imported from paper
R_11kXbH:Q4 | 2026-10-20 19:13:13 | csat |  3 | C-1004 | delivery     | anonymous |
R_11kXbH:Q5 | 2026-10-20 19:13:13 | ces  |  4 | C-1004 | support_chat | anonymous |
R_13mZdK:Q2 | 2026-11-01 05:30:00 | nps  |  9 | C-1005 | survey       | email     | Late on the last day
R_13mZdK:Q4 | 2026-11-01 05:30:00 | csat |  5 | C-1005 | delivery     | email     |
R_14nAeL:Q2 | 2026-11-02 13:00:01 | nps  | 10 | C-1001 | survey       | email     |
R_14nAeL:Q4 | 2026-11-02 13:00:01 | csat |  4 | C-1001 | delivery     | email     |
R_14nAeL:Q5 | 2026-11-02 13:00:01 | ces  |  6 | C-1001 | support_chat | email     |
R_19sFjR:Q2 | 2026-11-07 05:15:00 | nps  |  4 | {BO}   | survey       | email     | Still waiting
R_19sFjR:Q4 | 2026-11-07 05:15:00 | csat |  2 | {BO}   | delivery     | email     |
R_19sFjR:Q5 | 2026-11-07 05:15:00 | ces  |  1 | {BO}   | support_chat | email     |
R_20tGkS:Q2 | 2026-11-07 17:10:10 | nps  |  7 |        | survey       | anonymous |
R_20tGkS:Q5 | 2026-11-07 17:10:10 | ces  |  4 |        | support_chat | anonymous |
R_0aKmU1:Q2 | 2016-12-01 00:00:30 | nps  |  9 | C-0901 | survey       |           |
R_0aKmU1:Q4 | 2016-12-01 00:00:30 | csat |  4 | C-0901 | delivery     |           |
R_0aKmU1:Q5 | 2016-12-01 00:00:30 | ces  |  5 | C-0901 | support_chat |           |
R_0bLnV2:Q2 | 2016-12-01 15:08:08 | nps  |  2 | {CAI}  | survey       |           | Too expensive
R_0bLnV2:Q4 | 2016-12-01 15:08:08 | csat |  3 | {CAI}  | delivery     |           |
"""


def test_qualtrics_row_by_row(company):
    """R_13mZdK, sent on the last evening of October, is in two exports, R_1aQfT7 in both layouts."""
    here = company("qualtrics")
    report = here.take_in(*samples("qualtrics"))
    assert here.answers() == table(QUALTRICS)
    assert left_out(report) == {
        "preview or test": 4, "spam": 2, "status not known": 1, "not finished": 3, "no consent": 2
    }  # fmt: skip
    assert refused(report) == [("score 'Sehr zufrieden' is not an integer", 1)]
    languages = dict(here.rows("responses", "response_id", "language"))
    assert (languages["R_1aQfT7:Q2"], languages["R_20tGkS:Q2"], languages["R_0aKmU1:Q2"]) == ("es", "de", None)


def test_a_real_export_of_qualtrics_in_both_layouts(company, shared_data):
    """One answer to a survey of two questions: what is adapted is the files' names, the questions and no consent."""
    files = said("sources/qualtrics/source.yml")["files"]
    for alias, path in (("answers", "sample.csv"), ("legacy", "sample_legacy.csv")):
        del files[alias]["leave_out"]["no consent"]
        files[alias] |= {"path": path, "questions": {"Q1": {"instrument": "csat", "comment": "Q2"}}}
    here = company("qualtrics", files=files, timezone="Europe/Berlin")
    folder = shared_data("qualtrics_sample")
    report = here.take_in(folder / "sample.csv", folder / "sample_legacy.csv")
    assert here.answers() == {
        "R_2YPOQ602ER1jkf1:Q1": (datetime(2017, 7, 18, 6, 28, 48), "csat", 2, None, None, "anonymous", "Hello World!")
    }
    assert (report.tables["responses"].accepted, report.tables["responses"].duplicated) == (1, 1)


# New York: UTC-4 until 1 November 2026, then UTC-5; UTC-5 in early March 2013. The second came at midnight, the third
# half an hour past noon; the fourth was ours, and the fifth tells no end, so its start counts.
SURVEYMONKEY = f"""
118203344501 likely    | 2026-10-05 13:14:02 | nps  | 10 | C-1001 | survey   | email | Great café corner
118203344501 satisfied | 2026-10-05 13:14:02 | csat |  5 | C-1001 | delivery | email |
118203344502 likely    | 2026-10-05 04:00:00 | nps  |  0 | {BO}   | survey   | email | Late, and nobody called
118203344502 satisfied | 2026-10-05 04:00:00 | csat |  1 | {BO}   | delivery | email |
118203344503 likely    | 2026-10-05 16:30:00 | nps  |  7 |        | survey   | web   |
118203344503 satisfied | 2026-10-05 16:30:00 | csat |  3 |        | delivery | web   |
118203344505 likely    | 2026-10-06 15:58:00 | nps  |  8 |        | survey   | web   |
118203344505 satisfied | 2026-10-06 15:58:00 | csat |  4 |        | delivery | web   |
118203344506 likely    | 2026-11-01 01:05:10 | nps  |  9 |        | survey   | web   |
118203344507 satisfied | 2026-11-01 13:00:00 | csat |  2 |        | delivery | web   |
118203344508 likely    | 2026-11-02 22:45:59 | nps  |  6 | C-1002 | survey   | email | Line one↵line two
2087001      likely    | 2013-03-04 15:03:30 | nps  | 10 | C-0412 | survey   | web   | Très bien – merci
2087002      likely    | 2013-03-05 05:01:10 | nps  |  4 | {CAI}  | survey   | web   | “Too expensive” at 20 €
"""


def test_surveymonkey_row_by_row(company):
    here = company("surveymonkey")
    report = here.take_in(*samples("surveymonkey"))
    words = {
        "How likely is it that you would recommend us to a friend or colleague?": "likely",
        "How satisfied were you with the delivery?": "satisfied",
    }
    asked = {key: words[question] for key, question in here.rows("responses", "response_id", "question")}
    found = {f"{key.split(':')[0]:12} {asked[key]}": row for key, row in here.answers().items()}
    assert found == table(SURVEYMONKEY)
    assert left_out(report) == {"our own tests": 2}
    assert refused(report) == [("score 'Satisfied' is not an integer", 1)]  # a label that `scores` does not have


def questions_of(sheet: Path) -> tuple[list[str], list[list[str]]]:
    with sheet.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def as_workbook(sheet: Path, target: Path) -> Path:
    """Save a Sheet as Excel does: the timestamp is a date cell, a score a number."""
    head, rows = questions_of(sheet)
    book = xlsxwriter.Workbook(str(target))
    page, clock = book.add_worksheet("Form Responses 1"), book.add_format({"num_format": "m/d/yyyy h:mm:ss"})
    page.write_row(0, 0, head)
    for place, row in enumerate(rows, start=1):
        page.write_datetime(place, 0, datetime.strptime(row[0], "%m/%d/%Y %H:%M:%S"), clock)
        for column, cell in enumerate(row[1:], start=1):
            page.write(place, column, int(cell) if cell.isdigit() else cell)
    book.close()
    return target


# Madrid: UTC+2 until 25 October 2026, three o'clock. Two people gave a 9 in one second.
FORMS = f"""
a1 | 2026-09-30 21:59:59 | nps  | 10 | {ANA} | survey        |  | Everything just works
a2 | 2026-09-30 21:59:59 | csat |  5 | {ANA} | delivery      |  |
a3 | 2026-09-30 21:59:59 | ces  |  7 | {ANA} | support_email |  |
b1 | 2026-09-30 22:00:00 | nps  |  3 |       | survey        |  | Could not reach anyone
b2 | 2026-09-30 22:00:00 | csat |  2 |       | delivery      |  |
b3 | 2026-09-30 22:00:00 | ces  |  1 |       | support_email |  |
c1 | 2026-10-05 01:14:07 | nps  |  8 | {BO}  | survey        |  |
c2 | 2026-10-05 01:14:07 | csat |  4 | {BO}  | delivery      |  |
d1 | 2026-10-05 13:14:07 | nps  |  9 |       | survey        |  | Friendly staff
d2 | 2026-10-05 13:14:07 | csat |  5 |       | delivery      |  |
d3 | 2026-10-05 13:14:07 | ces  |  6 |       | support_email |  |
e1 | 2026-10-12 06:30:00 | nps  |  9 |       | survey        |  |
f1 | 2026-10-12 06:30:00 | nps  |  9 |       | survey        |  |
g1 | 2026-10-25 01:30:00 | nps  |  5 |       | survey        |  | In the hour that comes twice
g2 | 2026-10-25 01:30:00 | csat |  3 |       | delivery      |  |
g3 | 2026-10-25 01:30:00 | ces  |  4 |       | support_email |  |
h1 | 2026-10-31 20:05:10 | nps  |  0 | {CAI} | survey        |  | Cancelled without a word
h2 | 2026-10-31 20:05:10 | csat |  1 | {CAI} | delivery      |  |
h3 | 2026-10-31 20:05:10 | ces  |  2 | {CAI} | support_email |  |
"""
LATER = """
i1 | 2026-11-01 11:00:00 | nps  | 10 |       | survey        |  | New since the sheet was saved
i2 | 2026-11-01 11:00:00 | csat |  4 |       | delivery      |  |
i3 | 2026-11-01 11:00:00 | ces  |  5 |       | support_email |  |
"""


def in_order(answers: dict[str, tuple]) -> list[tuple]:
    """Return answers without their ids, which are made of content."""
    return sorted(answers.values(), key=lambda row: tuple(map(str, row)))


def test_google_forms_row_by_row(company):
    sheet, download = SAMPLES / "google_forms" / "sheet.csv", SAMPLES / "google_forms" / "download.csv"
    here = company("google_forms")
    here.take_in(sheet)
    assert in_order(here.answers()) == in_order(table(FORMS))
    report = here.take_in(sheet, download)
    assert in_order(here.answers()) == in_order(table(FORMS + LATER))
    assert report.tables["responses"].accepted == 3
    assert refused(report) == [
        ("score '11' is outside 0 to 10 for nps", 1),
        ("score '8' is outside 1 to 7 for ces", 1),
        ("score 'Happy' is not an integer", 1),
    ]


def test_a_sheet_saved_as_csv_as_workbook_or_twice_doubles_nothing(company, tmp_path):
    sheet = SAMPLES / "google_forms" / "sheet.csv"
    workbook = as_workbook(sheet, tmp_path / "sheet.xlsx")
    here = company("google_forms")
    here.take_in(workbook)
    assert in_order(here.answers()) == in_order(table(FORMS))
    copy = Path(shutil.copy(sheet, tmp_path / "sheet of yesterday.csv"))
    report = here.take_in(workbook, sheet, copy)
    counts, rows = report.tables["responses"], len(table(FORMS))
    assert (report.changed, counts.unchanged, counts.duplicated) == (False, rows, 2 * rows)


def test_a_download_from_forms_is_opened_in_its_zip_and_read_in_any_zone(company, tmp_path):
    head, _ = questions_of(SAMPLES / "google_forms" / "sheet.csv")
    hours = {"3:14:07 PM GMT": 15, "3:14:07 AM GMT+5:30": -2.5, "12:14:07 AM EST": 5, "12:14:07 PM GMT-3": 15,
             "1:14:07 PM GMT+10": 3}  # fmt: skip
    folder = tmp_path / "packed"
    folder.mkdir()
    with (folder / "Our form.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *([f"2026/10/05 {clock}", "", "9", clock, "", "", ""] for clock in hours)])
    packed = shutil.make_archive(str(tmp_path / "download.csv"), "zip", folder)
    here = company("google_forms")
    here.take_in(Path(packed))
    found = {row[-1]: row[0] - datetime(2026, 10, 5, 0, 14, 7) for row in here.answers().values()}
    assert found == {clock: timedelta(hours=after) for clock, after in hours.items()}


def test_a_form_that_asks_for_no_address(company, tmp_path):
    head, rows = questions_of(SAMPLES / "google_forms" / "sheet.csv")
    anonymous = tmp_path / "sheet.csv"
    with anonymous.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([row[0], *row[2:]] for row in (head, *rows))
    here = company("google_forms")
    here.take_in(anonymous)
    nobody = {key: (*row[:3], None, *row[4:]) for key, row in table(FORMS).items()}
    assert in_order(here.answers()) == in_order(nobody)


DELIGHTED = """
501 | 2026-10-01 08:30:00 | nps  | 10 | C-1001       | store_visit | Email | Love the store
502 | 2026-10-01 23:59:59 | nps  |  3 | delighted:11 | website     | Web   | They made up for it
503 | 2026-10-03 12:00:00 | csat |  4 | delighted:12 | survey      |       | Quick
505 | 2026-10-04 06:00:00 | ces  |  7 | C-1002       | survey      |       | No effort at all
506 | 2026-10-31 23:30:00 | ces  |  1 | delighted:15 | survey      |       |
509 | 2026-11-01 00:00:00 | nps  |  7 | delighted:18 | survey      |       | Two lines:↵the second
510 | 2026-11-02 07:07:07 | nps  |  9 | delighted:19 | survey      |       |
511 | 2026-11-05 05:05:05 | ces  |  5 | C-1002       | survey      |       |
"""


def test_delighted_row_by_row(company):
    here = company("delighted")
    report = here.take_in(*samples("delighted"))
    assert here.answers() == table(DELIGHTED)
    assert left_out(report) == {"a scale that is no instrument here": 2}  # enps and thumbs
    assert refused(report) == [("score '6' is outside 1 to 5 for csat", 1)]


def test_a_score_changed_later_stays_changed_when_the_older_export_comes_again(company):
    here = company("delighted")
    lines, later = samples("delighted")
    here.take_in(lines)
    assert here.answers()["502"][1:3] == ("nps", 0)
    assert here.take_in(lines, later).tables["responses"].corrected == 1
    counts = here.take_in(lines).tables["responses"]
    assert (here.answers()["502"][1:3], counts.stale, counts.corrected) == (("nps", 3), 1, 0)


@pytest.fixture
def airlines(company, shared_data) -> Company:
    here = company("airlines")
    folder = shared_data("preppin_nps_airlines")
    report = here.take_in(folder / "airlines.csv", folder / "prep_air.csv")
    assert {table: counts.accepted for table, counts in report.tables.items()} == {"customers": 5907, "responses": 5907}
    assert [counts.rows_in for counts in report.tables.values()] == [5907, 5907]  # no id comes twice
    return here


def test_a_cross_section_is_dated_by_its_as_of(airlines):
    day = datetime(2021, 6, 9)
    assert {row[0] for row in airlines.rows("responses", "responded_at")} == {day}
    assert {row[0] for row in airlines.rows("customers", "valid_from")} == {day}


def test_prep_air_in_its_league(airlines, oracle):
    """R on the raw files; 1e-6 is the oracle's own tolerance."""
    expected = oracle("nps_airlines_preppin")["expected"]
    metric = Metric(id="nps", **said("metrics/nps.yml"))
    airline = Segment(id="airline", title="Airline", column="account_id")
    with Store.open(airlines.root) as store:
        plan = plans.plan(metric, store.tables, [Period.parse("2021-06")], timezone="UTC", segments=[airline])
        frame = store.run(plan)
    assert len(frame) == expected["n_airlines_total"]
    found = estimates.from_moments(metric, frame, min_n=50, segment="airline").set_index("level")
    league = found[found["status"] == "ok"]
    assert len(league) == expected["n_airlines_ge50"]
    prep_air = league.loc["Prep Air"]
    assert prep_air["n"] == expected["prep_air_n"]
    assert prep_air["estimate"] == pytest.approx(expected["prep_air_nps"], abs=1e-6)
    mean, sd = league["estimate"].mean(), league["estimate"].std(ddof=1)
    assert mean == pytest.approx(expected["mean_nps"], abs=1e-6)
    assert sd == pytest.approx(expected["sd_nps"], abs=1e-6)
    assert (prep_air["estimate"] - mean) / sd == pytest.approx(expected["prep_air_z"], abs=1e-6)
    _agrees(prep_air, expected, "adjusted_wald")
    people = {
        person for person, account in airlines.rows("customers", "customer_id", "account_id") if account == "Prep Air"
    }
    scores = [score for person, score in airlines.rows("responses", "customer_id", "score") if person in people]
    counts = (sum(s > 8 for s in scores), sum(7 <= s <= 8 for s in scores), sum(s < 7 for s in scores))
    _agrees(estimates.nps(*counts, method="wald").iloc[0], expected, "wald")


def _agrees(row: Any, expected: dict[str, float], method: str) -> None:
    for column, key in (("std_error", "se"), ("conf_low", "lo"), ("conf_high", "hi")):
        assert row[column] == pytest.approx(expected[f"prep_air_{method}.{key}"], abs=1e-6)


def test_labels_of_tweets_can_be_counted_again(company, shared_data, oracle):
    here = company("tweets")
    folder = shared_data("airline_tweets")
    report = here.take_in(folder / "Tweets.csv")
    assert (report.tables["interactions"].rows_in, report.tables["interactions"].accepted) == (14640, 14640)
    expected = oracle("voc_airline_labels")["expected"]
    rows = here.rows("interactions", "sentiment", "reason", "partner_id", "kind", "transcript")
    assert counted(row[0] for row in rows) == expected["sent"]
    assert counted(row[1] for row in rows if row[1]) == expected["reason"]
    assert {airline: counted(row[0] for row in rows if row[2] == airline) for airline in expected["by_airline"]} == (
        expected["by_airline"]
    )
    assert {row[3] for row in rows if row[0] == "negative"} == {"complaint"}
    words = " ".join(row[4] for row in rows)
    assert set(re.findall(r"@\w+", words)) == {"@someone"}
    assert re.findall(r"[\w.]@\w+\.\w|\d{3}[-. ]\d{3}[-. ]\d{4}", words) == []  # addresses, telephone numbers
    assert not here.take_in(folder / "Tweets.csv").changed


def counted(values: Iterable[Any]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return found


# Real exports of SurveyMonkey without dates and without an instrument: they are read, and nothing is stored.
EXPORT = {"title": "An export", "licence": "CC BY 4.0 (FiveThirtyEight)", "as_of": "2014-06-06"}


def test_a_real_export_of_surveymonkey_with_checkboxes_and_the_bytes_of_windows(shared_data):
    films = "Which of the following Star Wars films have you seen? Please select all that apply."
    ranks = "Please rank the Star Wars films in order of preference"
    file = {"path": "StarWars.csv", "encoding": "cp1252", "header_rows": "2", "header": "joined"}
    opened = open_source(Source(id="films", files={"answers": file}, **EXPORT), shared_data("surveymonkey_starwars"))
    with opened as source:
        names = [column for column, *_ in source.connection.execute("DESCRIBE answers").fetchall()]
        seen = [name for name in names if name.startswith(films)]
        assert (len(names), len(seen), sum(name.startswith(ranks) for name in names)) == (38, 6, 6)
        assert seen[3] == f"{films} / Star Wars: Episode IV  A New Hope"
        assert "Gender" in names
        ids = source.connection.execute('SELECT count(*), count(DISTINCT "RespondentID") FROM answers').fetchone()
        assert ids == (1186, 1186)
        empire = f'"{films} / Star Wars: Episode V The Empire Strikes Back"'
        # As FiveThirtyEight printed it: of the 835 who had seen any film, 91 % had seen this one.
        row = source.connection.execute(f"SELECT count({empire}), count(DISTINCT {empire}) FROM answers").fetchone()
        assert row == (758, 1)
        fan = source.connection.execute(
            "SELECT count(*) FROM answers"
            ' WHERE "Do you consider yourself to be a fan of the Expanded Universe?Œæ" IS NOT NULL'
        ).fetchone()
        assert fan == (213,)


def test_a_real_export_of_surveymonkey_with_commas_in_its_questions(shared_data):
    file = {"path": "steak-risk-survey.csv", "header_rows": "2", "header": "joined"}
    opened = open_source(Source(id="steak", files={"answers": file}, **EXPORT), shared_data("survey_steak_comma"))
    with opened as source:
        names = [column for column, *_ in source.connection.execute("DESCRIBE answers").fetchall()]
        assert (len(names), names[0], names[-1]) == (15, "RespondentID", "Location (Census Region)")
        lotteries = dict(source.connection.execute(f'SELECT "{names[1]}", count(*) FROM answers GROUP BY 1').fetchall())
        assert sum(lotteries.values()) == 550
        assert lotteries == {"Lottery A": 267, "Lottery B": 279, None: 4}
