"""The audit's table and sentence: what stands in them, the worst first, every text escaped."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import audit
from cxlib.show.audit import sentence, survey_audit
from tests.show_frames import LAST, level_rows, metric
from tests.test_show_tables import _Page

QUESTIONS = {
    "early": ("Delivery surveys sent before the order arrived", 0.04),
    "often": ("Answers of customers asked more than 3 times", 0.08),
    "slow": ("Answers a week or more after the survey", 0.01),
}
METRICS = {
    name: metric(name, title=title, unit="percent", higher_is_better=False, question="Why?")
    for name, (title, _) in QUESTIONS.items()
} | {
    "nps": metric("nps", title="Net Promoter Score", unit="points", change_that_matters=5.0),
    "csat": metric("csat", title="Satisfaction", unit="score", change_that_matters=0.1),
}  # fmt: skip


def rates() -> pd.DataFrame:
    return results.concat([level_rows(name, [LAST], [rate], 0.01, [800]) for name, (_, rate) in QUESTIONS.items()])


def effect(question: str, score: str, apart: float, pull: float, verdict: str = "moved", **more: Any) -> pd.DataFrame:
    """Return the two rows of one question and score."""
    fields = {
        "metric": score, "period": LAST, "segment": question, "comparison": "difference", "p_value": 0.001, "n": 800.0,
        "method": "delta method (t)", "definition": "0123456789ab", "verdict": verdict, **more,
    }  # fmt: skip
    rows = []
    for level, against, value in ((audit.FLAGGED, audit.CLEAR, apart), ("all", audit.WITHOUT, pull)):
        half = abs(value) / 2
        numbers = {"estimate": value, "conf_low": value - half, "conf_high": value + half, "std_error": half / 2}
        rows.append(results.frame(level=level, against=against, **numbers, **fields))
    return results.concat(rows)


FRAME = results.concat([
    rates(), effect("slow", "nps", -2.0, -0.1, "not shown"), effect("often", "nps", -20.0, -1.5),
    effect("early", "csat", -0.5, -0.06), effect("early", "nps", -31.25, -1.25, "could not have been seen"),
])  # fmt: skip


def headed(page: str) -> list[list[str]]:
    return _Page(page).rows[1:]


class TestTable:
    def test_the_furthest_pull_is_on_top(self) -> None:
        """In changes that matter: 0.06 of 0.1 on CSAT outweighs 1.5 of 5 points of NPS; nothing shown comes last."""
        titles = [QUESTIONS[name][0] for name in ("early", "often", "slow")]
        rows = headed(survey_audit(FRAME, METRICS))
        assert [row[0] for row in rows if len(row) == 5] == titles
        assert [row[-4] for row in rows] == [
            "Satisfaction", "Net Promoter Score", "Net Promoter Score", "Net Promoter Score"
        ]  # fmt: skip

    def test_cells(self) -> None:
        rows = headed(survey_audit(FRAME, METRICS))
        assert rows[0][2:] == [
            "4.0 % | 3.0 to 5.0 % | n 800", "−0.50 | −0.75 to −0.25 | ▼ lower",
            "−0.06 | −0.09 to −0.03 | ▼ pulls it down",
        ]  # fmt: skip
        assert rows[1][-1].endswith("◇ too few to tell")
        assert rows[3][-2].endswith("○ no difference shown")
        assert rows[3][-1].endswith("○ no pull shown")

    def test_what_is_missing_says_why(self) -> None:
        nothing = effect("early", "nps", 0, 0, "", status=results.UNDEFINED, note="nothing to link: none is flagged")
        hidden = effect("slow", "nps", 0, 0, "", status=results.SUPPRESSED, note="fewer customers than may be shown")
        rows = headed(survey_audit(results.concat([rates(), nothing, hidden]), METRICS))
        by_title = {row[0]: row for row in rows}
        assert by_title[QUESTIONS["early"][0]][1:] == [
            "no score", "4.0 % | 3.0 to 5.0 % | n 800", *["nothing to link | none is flagged"] * 2
        ]  # fmt: skip
        assert by_title[QUESTIONS["slow"][0]][-1] == "hidden: small group | fewer customers than may be shown"
        assert by_title[QUESTIONS["often"][0]][1:] == [
            "no score", "8.0 % | 7.0 to 9.0 % | n 800", "not linked to a score", "not linked to a score"
        ]  # fmt: skip

    def test_scores_without_flagged_answers_are_left_out(self) -> None:
        """Where another score is touched; where none is, one line says so."""
        nothing = [
            effect("early", name, 0, 0, "", status=results.UNDEFINED, note="nothing") for name in ("csat", "nps")
        ]
        touched = results.concat([rates(), nothing[0], effect("early", "nps", -30.0, -1.2)])
        assert headed(survey_audit(touched, METRICS))[0][1] == "Net Promoter Score"
        assert len(headed(survey_audit(touched, METRICS))) == 3
        assert len(headed(survey_audit(results.concat([rates(), *nothing]), METRICS))) == 3

    def test_refused_scores_need_no_definition(self) -> None:
        frame = audit.refused({LAST: (3, 297)})
        assert headed(survey_audit(frame, {})) == [
            [audit.OUT_OF_RANGE.title, "no score", "1.0 % | 0.3 to 2.9 % | n 300", *["not linked to a score"] * 2]
        ]

    def test_texts_are_escaped(self) -> None:
        evil = {name: m.model_copy(update={"title": f"<b>{m.title}</b>"}) for name, m in METRICS.items()}
        page = survey_audit(FRAME, evil, title="<script>")
        assert "<script>" not in page
        assert "<b>Net" not in page
        assert "&lt;b&gt;Net" in page
        assert set(_Page(page).scopes) == {"col", "row", "rowgroup"}

    def test_scores_of_the_whole_are_no_questions(self) -> None:
        frame = results.concat([level_rows("nps", [LAST], [27.0], 3.0, [800]), FRAME])
        assert headed(survey_audit(frame, METRICS)) == headed(survey_audit(FRAME, METRICS))

    def test_a_period_can_be_named(self) -> None:
        assert "Nothing to show" in survey_audit(FRAME, METRICS, "2026-09")
        assert "Nothing to show" in survey_audit(results.empty(), METRICS)

    def test_unknown_metrics_are_named(self) -> None:
        with pytest.raises(UsageError, match="'early', which is not described"):
            survey_audit(FRAME, {"nps": METRICS["nps"], "csat": METRICS["csat"]})


class TestSentence:
    def test_the_worst(self) -> None:
        assert sentence(FRAME, METRICS) == (
            "Delivery surveys sent before the order arrived: 4.0 %. They score 0.50 lower than the others and pull "
            "Satisfaction down by 0.06."
        )
        nps = results.concat([rates(), effect("early", "nps", -31.25, -1.25)])
        assert sentence(nps, METRICS).endswith(
            "They score 31.2 points lower than the others and pull Net Promoter Score down by 1.2 points."
        )
        assert sentence(nps, METRICS) in survey_audit(nps, METRICS)

    def test_shares_differ_by_percentage_points(self) -> None:
        share = METRICS | {"csat": METRICS["csat"].model_copy(update={"unit": "percent"})}
        found = sentence(results.concat([rates(), effect("early", "csat", -0.2, -0.011)]), share)
        assert "score 20.0 percentage points lower than the others" in found
        assert found.endswith("pull Satisfaction down by 1.1 percentage points.")

    def test_good_and_half_known(self) -> None:
        up = effect("early", "nps", 12.0, 0.5)
        up = results.conform(up.assign(status=["suppressed", "ok"]))
        assert sentence(results.concat([rates(), up]), METRICS) == (
            "Delivery surveys sent before the order arrived: 4.0 %. They pull Net Promoter Score up by 0.5 points."
        )

    def test_nothing_shown(self) -> None:
        still = results.concat([rates(), effect("slow", "nps", -2.0, -0.1, "not shown")])
        assert sentence(still, METRICS) == "No defect of the surveys is shown to pull a score (1 looked at)."
        assert sentence(results.empty(), METRICS) == "Nothing is known of how the surveys were run."
