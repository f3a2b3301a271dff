"""The headline in sentences: cases worked by hand from the frame, and a property over any verdicts."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.periods import Period
from cxlib.show import words
from tests.show_frames import LAST, METRICS, difference, history, level_rows, scorecard, with_status

PERIOD = Period.parse(LAST)


def told(frame: pd.DataFrame, *names: str) -> list[str]:
    return words.headline(frame, {name: METRICS[name] for name in names or METRICS}, PERIOD)


def nps(*changes: pd.DataFrame) -> pd.DataFrame:
    return results.concat([level_rows("nps", [LAST], [27.0], 4.0, [1538]), *changes])


def test_a_lead_metric_that_too_few_answers_tell_about() -> None:
    few = "could not have been seen"
    frame = nps(difference("nps", "2026-09", -1.7, 5.7, few), difference("nps", "2025-10", -7.1, 6.2, few))
    assert told(frame) == [
        (
            "Net Promoter Score: +27.0, likely +23.0 to +31.0; too few answers to tell whether it moved since "
            "September 2026 or October 2025."
        ),
        "No change is shown since September 2026 for any metric (1 compared, 1 with too few answers to tell).",
        "No change is shown since October 2025 for any metric (1 compared, 1 with too few answers to tell).",
    ]


def test_a_lead_metric_that_moved() -> None:
    frame = nps(
        difference("nps", "2026-09", 4.0, 3.0, "moved"),
        difference("nps", "2025-10", 0.5, 3.0, "not shown"),
        difference("nps", "target", -13.0, 4.0, "moved"),
    )
    assert told(frame) == [
        (
            "Net Promoter Score rose 4.0 points since September 2026, likely 1.0 to 7.0 points; no change is shown "
            "since October 2025. It stands at +27.0, likely +23.0 to +31.0."
        ),
        "Moved since September 2026: Net Promoter Score (up, better).",
        "No change is shown since October 2025 for any metric (1 compared).",
        "Worse than target: Net Promoter Score.",
    ]


def test_what_moved_and_what_is_off_target_is_named_a_few_at_a_time() -> None:
    moved = results.concat([difference(name, "2026-09", 1.0, 0.5, "moved") for name in METRICS])
    lead, since = told(results.concat([history(), moved]))
    assert lead.startswith("Net Promoter Score rose 1.0 points since September 2026, likely 0.5 to 1.5 points. ")
    assert since.startswith("Moved since September 2026: Net Promoter Score (up, better); ")
    assert since.endswith(" and 4 more.")
    assert "Effort, mean agreement that it was easy (up, better)" in since


def test_without_figures_it_says_so_and_the_next_metric_leads() -> None:
    frame = with_status(scorecard(), scorecard()["metric"] == "nps", results.SUPPRESSED)
    assert told(frame)[0].startswith("Customers satisfied (top two boxes): ")
    assert told(results.empty()) == ["No metric of this report has a figure in October 2026."]
    assert told(history(["nps"]), "csat_top2") == ["No metric of this report has a figure in October 2026."]


def test_metrics_that_the_pack_lacks_are_left_out() -> None:
    assert told(scorecard(), "nps") == told(scorecard()[scorecard()["metric"] == "nps"], "nps")


@given(st.lists(st.sampled_from(["", *results.VERDICTS]), min_size=9, max_size=9))
def test_every_verdict_gives_plain_sentences(verdicts: list[str]) -> None:
    changes = [difference(name, "2026-09", 1.0, 0.5, v) for name, v in zip(METRICS, verdicts, strict=True)]
    found = told(results.concat([history(), *changes]))
    assert 1 <= len(found) <= 5
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in found)
    named = " ".join(found[1:])
    assert ("Moved since" in named) == ("moved" in verdicts)


def test_amounts_are_in_the_currency_of_the_data() -> None:
    frame = level_rows("aov", [LAST], [174.92], 34.8, [169])
    said = words.headline(frame, METRICS, PERIOD, currency="BRL", locale="en")
    assert said == ["Average order value: R$ 174.92, likely R$ 140.12 to R$ 209.72."]


def split(**more: object) -> pd.DataFrame:
    """A fall of 7.1 points, of which the mix took 18.9: what `decomposition.explain` returns, in short."""
    about = {"metric": "nps", "segment": "source", "n": 2560.0, "period": LAST, "against": "2025-10"} | more
    rows = [("difference", "all", -7.1, 6.2), ("mix", "all", -18.9, 3.3), ("rate", "all", 11.8, 6.0)]
    rows += [("mix", "partner", -18.9, 3.3), ("rate", "partner", 11.8, 6.0)]
    parts = [
        results.frame(comparison=kind, level=level, estimate=e, conf_low=e - h, conf_high=e + h, p_value=0.001, **about)
        for kind, level, e, h in rows
    ]
    own = {"metric": "nps", "period": ["2025-10", LAST], "n": 1000.0}
    values = results.frame(estimate=[34.1, 27.0], conf_low=[29.3, 23.0], conf_high=[38.8, 31.0], **own)
    shares = results.frame(
        estimate=[0.07, 0.311], conf_low=[0.05, 0.28], conf_high=[0.09, 0.34], comparison="share", segment="source",
        level="partner", **own,
    )  # fmt: skip
    return results.concat([*parts, values, shares])


def test_the_reason_is_told_in_one_sentence() -> None:
    moved = difference("nps", "2025-10", -7.1, 6.2, "moved")
    assert words.reason(results.concat([moved, split()]), METRICS) == (
        "Since October 2025 a different mix by source took 18.9 points, above all partner (7.0 % to 31.1 % of the "
        "answers); like for like it rose 11.8 points."
    )


def test_a_part_that_is_surely_half_of_a_change_is_most_of_it() -> None:
    def parted(mix: float, rate: float, half: float) -> str:
        about = {"metric": "nps", "segment": "source", "n": 2560.0, "period": LAST, "against": "2025-10"}
        rows = [("difference", -7.0, 2.0), ("mix", mix, half), ("rate", rate, half)]
        parts = [
            results.frame(
                comparison=kind, level="all", estimate=e, conf_low=e - h, conf_high=e + h, p_value=0.001, **about
            )
            for kind, e, h in rows
        ]
        return words.reason(results.concat([difference("nps", "2025-10", -7.0, 2.0, "moved"), *parts]), METRICS)

    took, fell = "a different mix by source took 5.0 points", "like for like it fell 2.0 points"
    assert parted(-5.0, -2.0, 1.0) == f"Most of the change since October 2025: {took}; {fell}."
    assert parted(-2.0, -5.0, 1.0).startswith(
        "Most of the change since October 2025: like for like it fell 5.0 points;"
    )
    assert parted(-5.0, -2.0, 1.9) == f"Since October 2025 {took}; {fell}."  # its near end is 3.1 of 7


def test_no_reason_without_one_decomposition() -> None:
    assert words.reason(history(), METRICS) == ""
    assert words.reason(results.concat([split(), split(segment="region")]), METRICS) == ""
    assert words.reason(split(), {"csat_top2": METRICS["csat_top2"]}) == ""
