"""The table of registered changes: dates of a roll-out, effect beside evidence, everything else folded, all escaped."""

from __future__ import annotations

import pytest

from cxlib import results
from cxlib.show.change_table import changes_table
from tests.show_frames import METRICS, metric
from tests.trial_frames import change, changed, missing

REGISTER = {"new_desk": change()}


def test_one_row() -> None:
    table = changes_table(changed(), REGISTER, METRICS)
    shown, _, folded = table.partition("<details>")
    for part in ("Due this time: 1 change, 1 effect looked for, 1 shown (Customers satisfied (top two boxes))",
                 "New desk (Feb to Jul 2026)", "+5.0 pp", "+8.0 pp", "+5.0 to +11.0 pp", "▲</span> up, better",
                 "Fair<br><small>4 groups only</small>", "groups started apart"):  # fmt: skip
        assert part in shown
    for part in ("A desk was opened.", "Evidence: Fair (by months).", "Drift before the start: no drift apart",
                 "(p = 0.880)", "For it: a lot."):  # fmt: skip
        assert part in folded


@pytest.mark.parametrize(
    ("levels", "when"),
    [
        ({"North": "2026-02-01", "South": "2026-07-01"}, "(Feb to Jul 2026)"),
        ({"North": "2025-11-01", "South": "2026-02-01"}, "(Nov 2025 to Feb 2026)"),
        ({"North": "2026-02-01", "South": "2026-02-15"}, "(Feb 2026)"),
        ({}, "(Feb 2026)"),
    ],
)
def test_when_it_began(levels: dict[str, str], when: str) -> None:
    assert f"New desk {when}" in changes_table(changed(), {"new_desk": change(levels=levels)}, METRICS)


def test_read_again() -> None:
    again = results.frame(metric="csat_top2", segment="read again", level="new_desk", comparison="test", estimate=1.0)
    table = changes_table(results.concat([changed(), again]), REGISTER, METRICS)
    assert "(Feb to Jul 2026; read again a year later)" in table


def test_nothing_is_shown() -> None:
    parts = [changed(verdict="not shown"), changed(metric="nps", verdict="could not have been seen")]
    table = changes_table(results.concat(parts), REGISTER, METRICS)
    assert "1 change, 2 effects looked for, none shown" in table
    assert "◇</span> too few to tell" in table
    assert "Fewer waits." in table


def test_few_is_never_said_of_an_interval_within_what_matters() -> None:
    matters = {**METRICS, "csat_top2": metric("csat_top2", change_that_matters=0.02)}
    table = changes_table(
        changed(estimate=0.0, half=0.01, verdict="could not have been seen"), REGISTER, matters
    )  # fmt: skip
    assert "too few to tell" not in table
    assert "no change that matters" in table


def test_no_design_and_no_evidence() -> None:
    frame = changed()
    none = results.conform(frame[frame["segment"] == "check"])
    lost = results.frame(metric="csat_top2", segment="effect", level="new_desk", comparison="difference",
                         status=results.UNDEFINED, note="none of the touched levels is in the data")  # fmt: skip
    table = changes_table(results.concat([none, lost]), REGISTER, METRICS)
    assert "none of the touched levels is in the data" in table
    assert "No way applies" in table
    assert "Not graded" in table
    assert "nan" not in table


def test_hidden() -> None:
    frame = changed()
    which = frame["segment"] == "effect"
    hidden = results.concat([missing(results.conform(frame[which]), "suppressed"), frame[~which]])
    table = changes_table(hidden, REGISTER, METRICS)
    assert "hidden: small group" in table
    assert "none shown" in table


def test_none_is_due() -> None:
    due = results.frame(metric="changes", segment="next", level="new_desk", comparison="test", estimate=1.0,
                        note="New desk is due next: its window ends before 1 November 2027")  # fmt: skip
    table = changes_table(due, REGISTER, METRICS)
    assert "Nothing to show: no registered change is due; New desk is due next" in table
    beneath = changes_table(results.concat([changed(), due]), REGISTER, METRICS)
    assert "New desk is due next: its window ends before 1 November 2027.</p>" in beneath


def test_no_ids_nor_raw_figures() -> None:
    frame = changed()
    tiny = frame["note"].where(frame["segment"] != "check", "a drift of 5.2e-06 a month in new_desk, -0.3 before")
    table = changes_table(results.conform(frame.assign(note=tiny)), REGISTER, METRICS)
    assert "a drift of under 0.001 a month in new desk, \u22120.3 before" in table
    for name in ("new_desk", "csat_top2", "before_after", "pre_trend"):
        assert name not in table


def test_checks_in_words() -> None:
    common = {"metric": "csat_top2", "segment": "check", "level": "new_desk", "comparison": "test", "estimate": 1.0}
    rest = {"at": "left over", "note": "a small p-value: it hangs together"}
    for p_value, told in (
        (0.4, "no sign that it still hangs together (p = 0.400)"),
        (0.0001, "hangs together still (p"),
    ):
        table = changes_table(
            results.concat([changed(), results.frame(p_value=p_value, **common, **rest)]), REGISTER, METRICS
        )
        assert f"What the model leaves over: {told}" in table
    drift = results.frame(at="breakdown average", note="apart by less than 0.00097 times as much", **common)
    table = changes_table(results.concat([changed(), drift]), REGISTER, METRICS)
    assert "Drift that would undo the effect: apart by less than 0.001 times as much." in table


def test_text_is_escaped() -> None:
    risky = {"new_desk": change(title="<script>", what="<i>", expected="<u>", where="<s>", expected_effect={})}
    table = changes_table(changed(), risky, {"csat_top2": metric("csat_top2", title="<em>")})
    for tag in ("<script>", "<i>", "<u>", "<s>", "<em>"):
        assert tag not in table
