"""What an explored page offers: what was published and nothing else, whatever an address asks for."""

from __future__ import annotations

from pathlib import Path

import explored
import pytest
import show_frames as frames
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.reports.choices import FIELDS, Choices, Chosen, settled

LAST, BEFORE = explored.LAST, explored.BEFORE


@pytest.fixture(scope="module")
def offers(tmp_path_factory: pytest.TempPathFactory) -> Choices:
    root = explored.workspace(tmp_path_factory.mktemp("choices"))
    return Choices(root / "reports" / "toy", [LAST, BEFORE])


def test_offers_what_was_published(offers: Choices) -> None:
    everything = ("none", "previous", "year_ago", "target", "over_time")
    assert offers.of(LAST) == {
        "nps": {"all": everything, "region": ("none", "previous")},
        "csat_top2": {"all": everything},
    }
    assert offers.of("2020-01") == {}
    entries = offers.entries(Chosen(LAST, "nps", "region", "none"))
    assert entries["period"] == [(LAST, f"Month {LAST}"), (BEFORE, f"Month {BEFORE}")]
    assert entries["segment"] == [("all", "Everyone"), ("region", "Region <b>")]
    assert entries["compare"] == [
        ("none", "nothing"),
        ("previous", "September 2026"),
        ("over_time", "itself over time"),
    ]
    assert [len(part) for part in offers.back(Chosen(LAST, "nps", "region"))] == [5, 6]
    assert offers.download(Chosen(BEFORE)) == f"../../../reports/toy/{BEFORE}/results.parquet"


def test_without_results_or_context_nothing_is_offered(tmp_path: Path) -> None:
    (tmp_path / LAST).mkdir()
    assert Choices(tmp_path, [LAST]).of(LAST) == {}
    folder = explored.publish(tmp_path, LAST, explored.rows())
    (folder / "results.parquet").write_bytes(b"no parquet")
    assert Choices(folder.parent, [LAST]).of(LAST) == {}
    assert Choices(folder.parent, [LAST]).back(Chosen(LAST, "nps", "region")) == []


def test_the_total_of_a_split_is_no_level_of_its_segment(tmp_path: Path) -> None:
    total = frames.difference("nps", BEFORE, 3.0, 2.0, "moved", segment="region", level="all")
    folder = explored.publish(tmp_path, LAST, results.concat([explored.rows(), total]))
    held = Choices(folder.parent, [LAST]).periods[LAST].frame
    assert set(held.loc[held["segment"] == "region", "level"]) >= {"North", "South"}
    assert "all" not in set(held.loc[held["segment"] == "region", "level"])


def test_a_deep_link_is_followed(offers: Choices) -> None:
    asked = Chosen.asked({"period": [LAST], "metric": ["nps"], "segment": ["region"], "compare": ["previous"]}, LAST)
    assert settled(offers, asked) == (asked, [])
    assert asked.query() == {"period": LAST, "metric": "nps", "segment": "region", "compare": "previous"}
    assert settled(offers, Chosen.asked({}, LAST)) == (Chosen(LAST, "nps", "all", "previous"), [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("period", "../../etc"),
        ("period", "2020-01"),
        ("metric", "__import__('os')"),
        ("segment", "<script>"),
        ("compare", "x" * 500),
    ],
)
def test_what_is_not_there_is_told_and_passed_over(offers: Choices, field: str, value: str) -> None:
    chosen, told = settled(offers, Chosen.asked({field: [value]}, LAST))
    assert chosen == Chosen(LAST, "nps", "all", "previous")
    assert len(told) == 1
    assert value[:60] in told[0]
    assert len(told[0]) < 160


@given(st.fixed_dictionaries({name: st.text(max_size=20) for name in FIELDS}))
def test_anything_that_is_asked_settles_on_an_offer(offers: Choices, asked: dict[str, str]) -> None:
    chosen, told = settled(offers, Chosen(**asked))
    assert chosen.segment in offers.of(chosen.period)[chosen.metric]
    assert chosen.compare in dict(offers.entries(chosen)["compare"])
    assert all(line.isprintable() for line in told)
