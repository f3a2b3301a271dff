"""Labels of an audit: those of some texts go, everything else stays to the byte and counts as what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxlib.data import labelled

PLAIN = "response_id,rater,late,weight\nr1,ann,yes,2.5\nr2,ann,no,1\nr1,bob,no,2.5\n"


def put(root: Path, content: str | bytes, name: str = "1.csv") -> Path:
    path = root / labelled.AUDITS / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (PLAIN, "response_id,rater,late,weight\nr2,ann,no,1\n"),
        ('\ufefflate;"response_id"\r\nyes; r1 \r\n\r\nno;"r2"\r\n', '\ufefflate;"response_id"\r\n\r\nno;"r2"\r\n'),
        ('response_id,text\nr1,"two\nlines, r2"\nr2,"r1 is\nnamed"\n', 'response_id,text\nr2,"r1 is\nnamed"\n'),
        ("response_id\tlate\nr2\tyes\nr1", "response_id\tlate\nr2\tyes\n"),
        (b"response_id,rater\nr1,Jos\xe9\nr2,Jos\xe9\n", b"response_id,rater\nr2,Jos\xe9\n"),  # not UTF-8
    ],
    ids=["raters", "semicolons", "lines", "tabs", "bytes"],
)
def test_rows_of_some_texts_go_and_all_others_stay_to_the_byte(tmp_path, content, left):
    path = put(tmp_path, content)
    rows = content.count("r1,") if content == PLAIN else 1
    assert labelled.holding(tmp_path, ["r1", "r77"]) == {path: ["r1"] * rows}
    assert labelled.named(tmp_path, ["r1", "r77"]) == ["r1"]
    labelled.take_out(path, ["r1", "r77"], tmp_path)
    assert path.read_bytes() == (left if isinstance(left, bytes) else left.encode())
    assert labelled.holding(tmp_path, ["r1"]) == {}


def test_labels_count_as_what_they_were_before_until_people_change_them(tmp_path):
    path = put(tmp_path, PLAIN)
    before = labelled.digest(path)
    for one in ("r1", "r2"):  # a second erasing is of the same file still
        labelled.take_out(path, [one], tmp_path)
        assert labelled.digest(path) == before
    assert path.read_text() == "response_id,rater,late,weight\n"
    path.write_text(PLAIN.replace("yes", "no"))
    assert labelled.digest(path) != before
    path.write_text(PLAIN)
    assert labelled.digest(path) == before


@pytest.mark.parametrize(
    "content", ["", "id,late\nr1,yes\n", PLAIN.encode("utf-16"), 'response_id,a\nr1,"' + "x" * 200_000]
)
def test_a_file_that_names_no_texts_is_told(tmp_path, content):
    path = put(tmp_path, content)
    assert labelled.unread(tmp_path) == [path]
    assert labelled.holding(tmp_path, ["r1"]) == {}
    assert labelled.unread(tmp_path / "elsewhere") == []
