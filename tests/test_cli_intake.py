"""The commands of intake: what they print of hand-made reports, and what they do in a workspace."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cxlib import cli, errors
from cxlib.cli import told
from cxlib.data.counts import IngestReport, Refusal, Sample, TableCounts
from cxlib.data.ledger import Ledger
from cxlib.data.reading import FileRead, Read
from cxlib.data.snapshots import Batch, Dropped, Snapshot, TableVersion

ROOT = Path(__file__).resolve().parent.parent
ANSWERS = "id;customer;when;How likely are you to recommend us?;Why?\n" + "".join(
    f"r{n};c{n};{n % 28 + 1:02d}.03.2025 10:00;{n % 11};well, because\n" for n in range(40)
)


def cx(*words: str | Path) -> Result:
    return CliRunner().invoke(cli.main, list(map(str, words)))


def shown(path: Path) -> str:
    return path.as_posix()


def read(alias: str, *files: tuple[str, int, dict[str, int], int]) -> Read:
    return Read(alias, tuple(FileRead(Path(name), name, good, out, bad) for name, good, out, bad in files))


def report(**more: object) -> IngestReport:
    made = {
        "source": "survey",
        "batch": "survey-1a2b3c4d",
        "snapshot_id": "0007-ab12cd",
        "changed": True,
        "tables": {"responses": TableCounts(rows_in=1_200, accepted=1_190, rejected=10)},
    }
    return IngestReport(**(made | more))  # type: ignore[arg-type]


def test_a_report_in_full() -> None:
    files = {
        "answers": read(
            "answers", ("answers_1.csv", 900, {"preview": 4, "not finished": 3}, 2), ("answers_2.csv", 290, {}, 0)
        )
    }
    tables = {
        "customers": TableCounts(rows_in=300, accepted=12, unchanged=288),
        "responses": TableCounts(
            rows_in=1_190, accepted=1_100, corrected=3, rejected=10, duplicated=80, late=5, named=1_180, unresolved=59
        ),
    }
    refusals = (
        Refusal(
            "responses",
            "score ... is outside 0 to 10 for nps",
            8,
            "answers_1.csv, row 17",
            "score '11' is outside 0 to 10 for nps",
        ),
        Refusal("responses", "responded_at is missing", 2, "answers_2.csv, row 3", "responded_at is missing"),
    )
    unreadable = (Refusal("answers", "it has 4 values for 5 columns", 2, "answers_1.csv, row 40"),)
    warnings = ("responses: 0.8 % rejected; the limit is 0.5 %",)
    made = report(
        files=files, tables=tables, refusals=refusals, unreadable=unreadable, warnings=warnings, notes=("a note",)
    )
    assert told.ingest(made, shown) == [
        "File           rows  read  left out  unreadable",
        "answers_1.csv   909   900         7           2",
        "answers_2.csv   290   290         0           0",
        "left out of answers: 4 x preview",
        "left out of answers: 3 x not finished",
        "",
        "Table      rows in  accepted  unchanged  corrected  duplicated  rejected  late",
        "customers      300        12        288          0           0         0     0",
        "responses    1,190     1,100          0          3          80        10     5",
        "No row was stale or deleted.",
        "responses: 5.0% (59 of 1,180) of the rows that name a customer name one whom nobody knows.",
        "",
        "unreadable in answers: 2 x it has 4 values for 5 columns",
        "  first: answers_1.csv, row 40",
        "rejected from responses: 8 x score ... is outside 0 to 10 for nps",
        "  first: answers_1.csv, row 17: score '11' is outside 0 to 10 for nps",
        "rejected from responses: 2 x responded_at is missing",
        "  first: answers_2.csv, row 3",
        "",
        "warning: responses: 0.8 % rejected; the limit is 0.5 %",
        "note: a note",
        "",
        "New snapshot: the store is at snapshot 0007-ab12cd, the new one.",
    ]


@pytest.mark.parametrize(
    ("more", "last"),
    [
        ({"changed": False}, "Nothing new: the store is at snapshot 0007-ab12cd, as before."),
        ({"changed": False, "snapshot_id": ""}, "Nothing new: the store is empty, as before."),
        (
            {"changed": False, "dry_run": True},
            "A dry run: nothing was written. The store is at snapshot 0007-ab12cd, as before.",
        ),
        (
            {"changed": False, "dry_run": True, "snapshot_id": ""},
            "A dry run: nothing was written. The store is empty, as before.",
        ),
    ],
)
def test_the_last_line_says_at_which_snapshot_the_store_is(more: dict[str, object], last: str) -> None:
    assert told.ingest(report(**more), shown)[-1] == last


def test_refused_rows_and_how_to_mend_them(tmp_path: Path) -> None:
    (tmp_path / "survey-1a2b3c4d.xlsx").touch()
    made = report(quarantine=tmp_path, refusals=(Refusal("responses", "score is missing", 10),))
    lines = told.ingest(made, lambda path: path.name)
    assert f"Refused rows, with every reason: {tmp_path.name}/" in lines
    assert "Mend them in survey-1a2b3c4d.xlsx, then: cx ingest survey --mended survey-1a2b3c4d.xlsx" in lines
    only_unreadable = report(quarantine=tmp_path, unreadable=(Refusal("answers", "it is cut off", 1),))
    assert not any("--mended" in line for line in told.ingest(only_unreadable, shown))


def test_wide_numbers_stay_readable() -> None:
    most = dict.fromkeys(TableCounts.__dataclass_fields__, 123456789)
    tables = {"interactions": TableCounts(**most), "responses": TableCounts(**most)}
    files = {"days": read("days", *((f"events_{n:03d}.jsonl", 10_000_000, {}, n) for n in range(365)))}
    made = report(tables=tables, files=files)
    lines = told.ingest(made, shown)
    assert max(map(len, lines)) <= told.WIDTH
    assert "interactions" in lines
    assert f"  {'accepted':<12}{'123,456,789':>16}" in lines
    assert lines[1].split() == ["days:", "365", "files", "3,650,066,430", "3,650,000,000", "0", "66,430"]


def test_long_words_are_broken_between_them() -> None:
    words = " ".join(f"word{n}" for n in range(60))
    made = report(
        notes=(words,), warnings=(words,), refusals=(Refusal("responses", words, 1, "x.csv, row 2", words + "!"),)
    )
    lines = told.ingest(made, shown)
    assert max(map(len, lines)) <= told.WIDTH
    assert all(
        line.startswith((" ", "warning", "note", "rejected", "Table", "responses", "No row", "New")) or not line
        for line in lines
    )


def test_first_rows() -> None:
    narrow = Sample("customers", ("customer_id", "region"), (("c1", "North"), ("c2", "")))
    wide = Sample(
        "rejected from responses",
        ("reasons", "response_id", "comment", *(f"column_{n}" for n in range(12))),
        (("score is missing; responded_at is missing", "r1", "long\n" * 90, *["x" * 30] * 12),) * 5,
    )
    lines = told.ingest(report(samples=(narrow, wide), dry_run=True), shown)
    assert max(map(len, lines)) <= told.WIDTH
    at = lines.index("customers, first rows:")
    assert lines[at + 1 : at + 4] == ["  customer_id  region", "  c1           North", "  c2"]
    at = lines.index("rejected from responses, first rows:")
    assert lines[at + 1] == "  score is missing; responded_at is missing"
    assert lines[at + 2].split() == ["response_id", "r1", "r1", "r1", "r1"]


def test_the_ledger() -> None:
    batches = (
        Batch(
            "olist-11",
            "olist",
            "ab" * 32,
            {"orders.csv": "cd" * 32},
            {"orders": {"accepted": 120, "corrected": 20, "deleted": 2}},
        ),
        Batch("demo-22", "demo", "ef" * 32, {}, {"orders": {"accepted": 0}}),
    )
    tables = {"orders": TableVersion(3, 1_200, datetime(2026, 10, 31, 20, 0)), "identities": TableVersion(1, 7)}
    found = [
        Snapshot(
            "0001-aa",
            "2026-10-01T10:00:00Z",
            tables,
            batches[:1],
            Dropped("2026-11-01T00:00:00Z", "older than 30 days"),
        ),
        Snapshot("0002-bb", "2026-11-01T10:00:00Z", tables, batches),
    ]
    assert told.snapshots(found, full=False) == [
        "0001-aa  2026-10-01 10:00:00 UTC  olist, batch olist-11, compacted away 2026-11-01: older than 30 days",
        "  brought: orders 100 new, 20 corrected, 2 deleted",
        "  rows: identities 7, orders 1,200",
        "0002-bb  2026-11-01 10:00:00 UTC  demo, batch demo-22",
        "  brought: nothing",
        "  rows: identities 7, orders 1,200",
    ]
    assert f"  checksum: {'ab' * 32} of 1 files" in told.snapshots(found, full=True)
    whole = told.snapshot(found[0])
    assert any(line.split() == ["orders", "1,200", "2026-10-31", "20:00", "120", "20", "2", "-"] for line in whole)
    assert whole[-1].split() == ["cd" * 32, "orders.csv"]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workspace; the reader stands in it."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "workspace.yml").write_text(
        "company: Toy\nlocale: es\nretention_days: 30\n", encoding="utf-8"
    )
    shutil.copy(ROOT / "params" / "touchpoints.yml", tmp_path / "params")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_file_in_hand_to_the_store(room: Path) -> None:
    export = room / "exports" / "answers.csv"
    export.parent.mkdir()
    export.write_text(ANSWERS, encoding="utf-8")

    made = cx("new", "source", "nps_survey", "--from", export)
    assert made.exit_code == 0, made.output
    assert "answers.csv: CSV parted by ';', utf-8, 5 columns, 40 rows; fills responses (a score)" in made.output
    assert "Written to params/sources/nps_survey/: source.yml, responses.sql" in made.output
    assert "  - source.yml, licence: whose data this is" in made.output
    assert made.output.endswith("Next:\n  cx check\n  cx ingest nps_survey --dry-run\n")
    assert cx("check").exit_code == 0

    tried = cx("ingest", "nps_survey", "--dry-run")
    assert tried.exit_code == 0, tried.output
    assert "responses (times in UTC), first rows:" in tried.output
    assert "A dry run: nothing was written. The store is empty, as before." in tried.output
    assert not (room / "data" / "store" / "snapshots.json").exists()
    assert not (room / "data" / "quarantine").exists()

    done = cx("ingest", "nps_survey")
    assert done.exit_code == 0, done.output
    (snapshot,) = Ledger.read(room / "data" / "store")
    assert f"New snapshot: the store is at snapshot {snapshot.id}, the new one." in done.output
    assert f"Nothing new: the store is at snapshot {snapshot.id}, as before." in cx("ingest", "nps_survey").output

    again = cx("new", "source", "nps_survey", "--from", export)
    assert (again.exit_code, "--force" in again.output) == (2, True)
    assert cx("new", "source", "nps_survey", "--from", export, "--force").exit_code == 0
    assert cx("new", "source", "NPS survey", "--from", export).exit_code == 2
    assert cx("new", "source", "other", "--from", room / "none.csv").exit_code == 2


def test_a_file_from_elsewhere_is_named_in_the_next_command(
    room: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    export = tmp_path_factory.mktemp("down loads") / "answers.csv"
    export.write_text(ANSWERS, encoding="utf-8")
    made = cx("new", "source", "survey", "--from", export)
    assert made.output.endswith(f"  cx ingest survey --from '{export.parent}' --dry-run\n")
    assert "0 x" not in cx("ingest", "survey", "--from", export.parent, "--dry-run").output


def test_refused_rows_come_back_mended(room: Path) -> None:
    raw = room / "data" / "raw" / "survey"
    raw.mkdir(parents=True)
    (raw / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    assert cx("new", "source", "survey", "--from", raw).exit_code == 0
    (raw / "answers.csv").write_text(ANSWERS.replace(";10;well", ";11;well"), encoding="utf-8")
    done = cx("ingest", "survey")
    assert "rejected from responses: 3 x score '11' is outside 0 to 10 for nps" in done.output, done.output
    assert "  first: answers.csv, row 12" in done.output
    book = next((room / "data" / "quarantine").glob("*/*.xlsx"))
    assert f"cx ingest survey --mended {book.relative_to(room).as_posix()}" in done.output

    mended = room / "responses.csv"
    mended.write_text("response_id,responded_at,instrument,score\nr10,2025-03-11 10:00:00,nps,10\n", encoding="utf-8")
    back = cx("ingest", "survey", "--mended", mended)
    assert back.exit_code == 0, back.output
    assert "New snapshot" in back.output
    assert len(Ledger.read(room / "data" / "store")) == 2


def test_an_ingest_that_fails_says_where_the_store_is(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = room / "data" / "raw" / "survey"
    raw.mkdir(parents=True)
    (raw / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    cx("new", "source", "survey", "--from", raw)
    assert cx("ingest", "survey").exit_code == 0
    (snapshot,) = Ledger.read(room / "data" / "store")
    where = f"The store is at snapshot {snapshot.id}, as before."

    (raw / "answers.csv").write_text(ANSWERS.replace("customer", "client"), encoding="utf-8")
    failed = cx("ingest", "survey")
    assert failed.exit_code == errors.SourceError.exit_code
    assert "has no column 'customer'" in failed.output
    assert where in failed.output

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cxlib.data.intake.Intake.run", interrupted)
    (raw / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    stopped = cx("ingest", "survey")
    assert stopped.exit_code == cli.INTERRUPTED
    assert where in stopped.output
    assert stopped.output.endswith("interrupted\n")


def test_a_limit_that_stops_can_be_passed(room: Path) -> None:
    raw = room / "data" / "raw" / "survey"
    raw.mkdir(parents=True)
    (raw / "answers.csv").write_text(ANSWERS.replace(";10;well", ";11;well"), encoding="utf-8")
    cx("new", "source", "survey", "--from", raw)
    settings = room / "params" / "sources" / "survey" / "source.yml"
    limits = "limits: {rejected_share: {stop: 0.01}}\n"
    questions = settings.read_text(encoding="utf-8")
    assert "instrument: nps" not in questions  # 0 to 11 is no recommendation
    settings.write_text(limits + questions, encoding="utf-8")
    stopped = cx("ingest", "survey")
    assert stopped.exit_code == errors.SourceError.exit_code
    assert "The store is empty, as before." in stopped.output
    assert "nothing was accepted" in cx("ingest", "survey", "--despite-limits").output


def history(room: Path) -> list[Snapshot]:
    """Ingest twice, the first time long ago."""
    raw = room / "data" / "raw" / "survey"
    raw.mkdir(parents=True)
    (raw / "answers.csv").write_text(ANSWERS, encoding="utf-8")
    cx("new", "source", "survey", "--from", raw)
    cx("ingest", "survey")
    (raw / "answers.csv").write_text(ANSWERS.replace("r1;", "r1b;"), encoding="utf-8")
    cx("ingest", "survey")
    ledger = room / "data" / "store" / "snapshots.json"
    content = json.loads(ledger.read_text(encoding="utf-8"))
    content["snapshots"][0]["created_at"] = "2020-01-02T10:00:00Z"
    ledger.write_text(json.dumps(content), encoding="utf-8")
    return Ledger.read(room / "data" / "store")


def test_snapshots_are_listed_and_shown(room: Path) -> None:
    assert "No snapshot yet" in cx("snapshots").output
    first, second = history(room)
    listed = cx("snapshots").output
    assert [line.split()[0] for line in listed.splitlines() if not line.startswith(" ")] == [first.id, second.id]
    assert "  brought: responses 40 new" in listed
    assert second.batch.checksum in cx("snapshots", "--full").output
    for word in (first.id, "0001", "2020-01-31"):
        assert cx("snapshots", word).output.startswith(first.id), word
    assert "answers.csv" in cx("snapshots", first.id).output
    assert cx("snapshots", "0009").exit_code == errors.StoreError.exit_code


def test_compact_keeps_what_reports_were_made_of(room: Path) -> None:
    first, second = history(room)
    published = room / "reports" / "monthly" / "2020-01" / "run.json"
    published.parent.mkdir(parents=True)
    published.write_text(json.dumps({"snapshot": {"id": first.id}}), encoding="utf-8")
    kept = cx("compact", "--dry-run")
    assert kept.exit_code == 0, kept.output
    assert f"kept: 1 snapshot ({first.id}): a published report was made of it" in kept.output

    published.write_text("{", encoding="utf-8")
    unclear = cx("compact")
    assert (unclear.exit_code, "reports/monthly/2020-01/run.json cannot be read" in unclear.output) == (1, True)
    shutil.rmtree(room / "reports")
    assert f"would be dropped: 1 snapshot ({first.id})" in cx("compact", "--dry-run").output
    assert Ledger.read(room / "data" / "store")[0].dropped is None
    done = cx("compact")
    assert f"dropped: 1 snapshot ({first.id}): older than 30 days" in done.output
    assert "compacted away" in cx("snapshots").output
    assert cx("snapshots", first.id).exit_code == errors.StoreError.exit_code
    assert cx("ingest", "survey").exit_code == 0
    assert second.id in cx("snapshots").output


def test_the_lab_opens_at_a_snapshot(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = history(room)
    seen: list[str] = []

    def start(root: Path, **_: object) -> int:
        seen.append(os.environ.get("CX_AS_OF", ""))
        return 0

    monkeypatch.setattr("cxlib.reports.serve.lab", start)
    monkeypatch.setenv("CX_AS_OF", "")
    assert cx("lab", "--as-of", "2020-01-31", "--no-browser").exit_code == 0
    assert seen == [first.id]
    assert cx("lab", "--as-of", "0009").exit_code == errors.StoreError.exit_code
    assert len(seen) == 1


def test_a_notebook_opens_the_snapshot_that_the_lab_names(
    demo_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cxlib.reports.record import open_run

    monkeypatch.chdir(demo_workspace)
    (made,) = Ledger.read(demo_workspace / "data" / "store")
    today = datetime.now(UTC).date().isoformat()
    monkeypatch.setenv("CX_AS_OF", today)
    assert open_run().context.snapshot == made.id
    monkeypatch.setenv("CX_AS_OF", "2001-01-01")
    with pytest.raises(errors.StoreError):
        open_run()
    assert open_run(as_of=made.id[:4]).context.snapshot == made.id


def test_without_a_name_every_source_whose_files_are_there_comes_in(room: Path) -> None:
    for name in ("first", "second", "third"):
        export = room / "data" / "raw" / name / "answers.csv"
        export.parent.mkdir(parents=True)
        export.write_text(ANSWERS.replace("\nr", f"\n{name}-r"), encoding="utf-8")
        assert cx("new", "source", name, "--from", export).exit_code == 0
    (room / "data" / "raw" / "third" / "answers.csv").unlink()
    (room / "data" / "raw" / "first" / "answers.csv").write_text("nothing of the kind\n1\n", encoding="utf-8")
    done = cx("ingest")
    assert done.exit_code == errors.SourceError.exit_code
    assert "error: source first" in done.output  # and the other came in all the same
    assert "third" not in done.output
    assert [snapshot.batch.source for snapshot in Ledger.read(room / "data" / "store")] == ["second"]
    assert "Name it: cx ingest SOURCE" in cx("ingest", "--from", room).output


def test_without_a_name_and_without_files_it_is_said_where_they_belong(room: Path) -> None:
    done = cx("ingest")
    assert (done.exit_code, "data/raw/SOURCE/" in done.output) == (errors.SourceError.exit_code, True)
