"""Whoever has withdrawn consent is in no survey and no text that a reader opens, from the next run on."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from intake_workspace import Toy

from cxlib.data import consent
from cxlib.data.ledger import Ledger
from cxlib.data.places import location_of
from cxlib.params.models import Workspace
from cxlib.params.retention import Consent
from cxlib.periods import Period
from cxlib.reports import context, made_of
from cxlib.reports.context import Context
from cxlib.reports.made_of import parts_changed

CUSTOMERS = "customer_id,valid_from,region,consent\n"
RESPONSES = "response_id,customer_id,responded_at,instrument,score,comment,invitation_id\n"
NEVER_ASKED = Consent(missing="left_out")


def toy(root: Path, *customers: str) -> Toy:
    """Four customers with an invitation, an answer and a call each, and an answer of nobody known."""
    made = Toy(root)
    made.put("customers", CUSTOMERS + "".join(f"{row}\n" for row in customers))
    invitations = "".join(f"i{n},c{n},2026-01-10\n" for n in range(1, 5))
    made.put("invitations", f"invitation_id,customer_id,sent_at\n{invitations}")
    answers = "".join(f"r{n},c{n},2026-01-1{n},nps,{n},words of {n},i{n}\n" for n in range(1, 5))
    made.put("responses", RESPONSES + answers + "r5,,2026-01-20,nps,5,words of 5,\n")
    calls = "".join(f"x{n},c{n},2026-01-1{n},call,spoken by {n}\n" for n in range(1, 5))
    made.put("interactions", f"interaction_id,customer_id,started_at,touchpoint,transcript\n{calls}")
    made.ingest()
    return made


def plain(*said: str) -> list[str]:
    """Return a first row for each of four customers, with what it says of consent."""
    return [f"c{n},2026-01-01,North,{word}" for n, word in enumerate(said, start=1)]


def seen(toy: Toy, **how) -> dict[str, list]:
    """Return which ids a reader sees, and whose words."""
    with toy.open(**how) as store:
        responses = store.run(store.tables["responses"])
        invitations = store.run(store.tables["invitations"])
        calls = store.run(store.tables["interactions"])
    return {
        "responses": sorted(responses["response_id"]),
        "comments": sorted(responses["comment"].dropna()),
        "invitations": sorted(invitations["invitation_id"]),
        "calls": sorted(calls["interaction_id"]),
        "transcripts": sorted(calls["transcript"].dropna()),
    }


ALL = {
    "responses": ["r1", "r2", "r3", "r4", "r5"],
    "comments": [f"words of {n}" for n in range(1, 6)],
    "invitations": ["i1", "i2", "i3", "i4"],
    "calls": ["x1", "x2", "x3", "x4"],
    "transcripts": [f"spoken by {n}" for n in range(1, 5)],
}


def without(number: int) -> dict[str, list]:
    """Return what is seen where one customer's surveys and texts are left out: the call itself stays."""
    lost = {f"r{number}", f"i{number}", f"words of {number}", f"spoken by {number}"}
    return {kind: [one for one in ids if one not in lost] for kind, ids in ALL.items()}


def test_without_a_word_of_consent_nothing_changes(tmp_path):
    made = toy(tmp_path, *plain("", "", "", ""))
    assert seen(made) == ALL
    assert consent.digest(location_of(tmp_path, "data/store"), Consent()) == ""
    with made.open() as store:
        assert store.left_out("responses") == {}


@pytest.mark.parametrize("word", ["false", "no", "0", "withdrawn", "Revoked", "opted out", "F"])
def test_who_has_withdrawn_is_left_out_in_whatever_words_a_tool_says_so(tmp_path, word):
    assert seen(toy(tmp_path, *plain("true", word, "yes", "granted"))) == without(2)


def test_a_word_that_says_neither_is_refused(tmp_path):
    made = toy(tmp_path, *plain("true", "", "", ""), "c4,2026-01-02,North,perhaps")
    assert made.ingest().refusals[0].reason == "consent 'perhaps' is not true or false"


def test_the_newest_word_counts_and_a_row_that_says_nothing_is_none(tmp_path):
    rows = plain("false", "true", "true", "true")
    rows += ["c1,2026-01-05,North,true", "c2,2026-01-05,North,false", "c2,2026-01-06,South,", "c3,2026-01-05,North,"]
    assert seen(toy(tmp_path, *rows)) == without(2)


def test_of_two_words_of_one_moment_the_one_that_withdraws_counts(tmp_path):
    rows = plain("true", "true", "true", "true")
    made = toy(tmp_path, *rows)
    made.put("identities", "source_id,customer_id\nold2,c2\n")
    made.put("customers", CUSTOMERS + "".join(f"{row}\n" for row in [*rows, "old2,2025-01-01,North,false"])).ingest()
    assert seen(made) == without(2)  # one id of the person is enough, however old its word


def test_a_snapshot_from_before_is_read_without_who_has_withdrawn_since(tmp_path):
    rows = plain("true", "true", "true", "true")
    made = toy(tmp_path, *rows)
    made.put("customers", CUSTOMERS + "".join(f"{row}\n" for row in [*rows, "c3,2026-02-01,North,withdrawn"])).ingest()
    assert seen(made, as_of="0001") == without(3) == seen(made)
    made.put("customers", CUSTOMERS + "".join(f"{row}\n" for row in [*rows, "c3,2026-03-01,North,given"])).ingest()
    assert seen(made, as_of="0002") == ALL  # and with whoever agreed again


def test_an_answer_without_a_customer_is_of_whom_it_was_asked(tmp_path):
    made = toy(tmp_path, *plain("true", "false", "true", "true"))
    answers = "r6,,2026-01-21,nps,6,words of 6,i2\nr7,,2026-01-21,nps,7,words of 7,i3\n"
    made.put("responses", RESPONSES + answers).ingest()
    found = seen(made)
    assert found["responses"] == ["r1", "r3", "r4", "r5", "r7"]
    assert "words of 6" not in found["comments"]


def test_of_whom_nothing_is_known_the_workspace_decides(tmp_path):
    made = toy(tmp_path, *plain("true", "false", "", "true"))
    assert seen(made) == without(2)
    found = seen(made, consent=NEVER_ASKED)
    assert found["responses"] == ["r1", "r4", "r5"]
    assert found["transcripts"] == ["spoken by 1", "spoken by 4"]


@pytest.mark.parametrize(
    ("needed", "answers", "comments", "transcripts"),
    [((), 5, 5, 4), (("surveys",), 4, 4, 4), (("texts",), 5, 4, 3), (("surveys", "texts"), 4, 4, 3)],
)
def test_what_consent_is_needed_for_is_the_workspaces_to_say(tmp_path, needed, answers, comments, transcripts):
    found = seen(toy(tmp_path, *plain("", "no", "", "")), consent=Consent(needed_for=needed))
    assert [len(found[kind]) for kind in ("responses", "comments", "transcripts")] == [answers, comments, transcripts]


def test_sums_and_reports_from_before_a_withdrawal_are_of_another_content(tmp_path):
    rows = plain("true", "true", "true", "true")
    made = toy(tmp_path, *rows)
    place = location_of(tmp_path, "data/store")
    before = consent.digest(place, Consent())
    made.put("customers", CUSTOMERS + "".join(f"{row}\n" for row in [*rows, "c3,2026-02-01,North,no"])).ingest()
    assert before == ""
    assert consent.digest(place, Consent()) not in ("", consent.digest(place, NEVER_ASKED))
    with made.open() as store:
        assert set(store.left_out("responses")) == set(store.left_out("interactions")) == {"2026-01"}
        assert store.left_out("customers") == store.left_out("orders") == {}
        assert store.answers_left_out(datetime(2026, 1, 1), datetime(2026, 2, 1)) == 1
        assert store.answers_left_out(datetime(2026, 2, 1), datetime(2026, 3, 1)) == 0


def test_a_run_notices_that_somebody_has_withdrawn_however_late(tmp_path):
    rows = plain("true", "true", "true", "true")
    made = toy(tmp_path, *rows)
    month = Period.parse("2026-01")

    def parts() -> dict[str, str]:
        versions = Ledger.read(location_of(tmp_path, "data/store"))[0].tables
        return made_of.tables_of(tmp_path, made.params, {"tables": {n: vars(v) for n, v in versions.items()}}, month)

    before = parts()
    late = [*rows, "c1,2026-10-01,South,true", "c3,2026-10-02,North,no"]  # long after the month was settled
    made.put("customers", CUSTOMERS + "".join(f"{row}\n" for row in late)).ingest()
    after = parts()
    assert {table for table in after if after[table] != before[table]} == {"customers"}
    then, now = ({"made_of": {"tables": one, "params": {}, "code": "", "packages": ""}} for one in (before, after))
    rest = {"notebooks": {}, "parameters": {"given": {}}, "period": "2026-01"}
    assert parts_changed(then | rest, now | rest) == ["the data (customers)"]


def test_a_page_says_how_many_answers_are_left_out_where_they_are_enough_to_tell():
    about = Context.model_construct(workspace=Workspace(company="Toy"), left_out=12)
    assert about.answers == "12 are left out, as their people do not agree"
    assert Context.model_construct(workspace=Workspace(company="Toy"), left_out=0).answers == ""
    first = Workspace(company="Toy", repeated_responses={"keep": "first", "per": "month"})
    assert Context.model_construct(workspace=first, left_out=12).answers == (
        "of several answers to one question in a month, the first counts; 12 are left out, as their people do not agree"
    )


def test_few_answers_that_are_left_out_are_not_told(tmp_path):
    made = toy(tmp_path, *plain("no", "no", "yes", "yes"))
    with made.open() as store:
        told = [context._left_out(Workspace(company="Toy", min_n=n), store, Period.parse("2026-01")) for n in (2, 3)]
    assert told == [2, 0]
