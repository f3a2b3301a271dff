"""Which design is chosen, rule by rule, and what is said where designs agree or not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects import choice
from cxlib.analysis.effects.choice import DESIGNS, Situation
from cxlib.errors import UsageError

REGIONS = {"North": "2026-02", "East": "2026-03", "Centre": "2026-05"}
ONE = {"North": "2026-02"}


def designed(**facts: Any) -> effects.Choice:
    return effects.choose(Situation(**{"starts": ONE, "before": 24, "after": 6, "least": 200} | facts))


class TestRules:
    """Each rule of the issue, in order; what is wanted is written in the docstring of `choose`."""

    @pytest.mark.parametrize(
        ("design", "facts"),
        [
            ("staggered", {"starts": REGIONS, "untouched": 1}),
            ("staggered", {"starts": REGIONS, "untouched": 0, "controls": "late deliveries"}),
            ("did", {"untouched": 1}),
            ("did", {"untouched": 9, "before": 1}),
            ("synthetic", {"untouched": 9, "least": 0}),
            ("counterfactual", {"controls": ("late deliveries",)}),
            ("counterfactual", {"controls": ("late deliveries",), "before": 12, "least": 0}),
            ("interrupted", {}),
            ("interrupted", {"before": 12}),
            ("interrupted", {"untouched": 2, "least": 5}),
            ("matching", {"levels": False, "untouched": 1, "covariates": ("plan", "tenure")}),
        ],
    )
    def test_chosen(self, design: str, facts: dict[str, Any]) -> None:
        assert designed(**facts).design == design

    @pytest.mark.parametrize(
        "facts",
        [
            {"before": 11},
            {"before": 0, "untouched": 3},
            {"after": 0},
            {"levels": False, "untouched": 1},
            {"levels": False, "covariates": "plan"},
            {"starts": REGIONS, "least": 29},
        ],
    )
    def test_none_applies(self, facts: dict[str, Any]) -> None:
        found = designed(**facts)
        assert found.design == ""
        assert found.why
        assert not (found.frame["at"] == "chosen").any()

    @pytest.mark.parametrize(
        ("design", "facts", "why"),
        [
            ("did", {"starts": REGIONS, "untouched": 1}, "different times"),
            ("did", {}, "nobody to compare with"),
            ("did", {"untouched": 1, "least": 29}, "29 customers in the smallest group; at least 30"),
            ("synthetic", {"untouched": 4}, "4 groups were not touched; at least 5"),
            ("synthetic", {"untouched": 1}, "1 group was not touched"),
            ("synthetic", {"untouched": 9, "before": 11}, "11 periods before the change; at least 12"),
            ("synthetic", {"starts": dict.fromkeys("abcd", 1), "untouched": 9}, "4 groups were touched"),
            ("interrupted", {"before": 3, "after": 2}, "and 2 periods after the change; at least 3"),
            ("matching", {}, "whole groups"),
            ("matching", {"levels": False, "untouched": 1, "covariates": "plan", "least": 3}, "3 customers"),
            ("staggered", {"before": 0}, "no period before"),
        ],
    )
    def test_why_not(self, design: str, facts: dict[str, Any], why: str) -> None:
        told = {name: (fits, text) for name, fits, text in designed(**facts).others}
        assert told[design][0] is False
        assert why in told[design][1]

    def test_seasons_are_guesses_below_24(self) -> None:
        assert "seasons are guesses" in designed(before=23).why
        assert "seasons" not in designed(before=24).why


whole = st.integers(0, 40)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    starts = draw(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 3), min_size=1, max_size=5))
    names = st.lists(st.sampled_from(["plan", "tenure"]), unique=True).map(tuple)
    return Situation(
        starts, draw(whole), draw(st.booleans()), draw(whole), draw(whole), draw(st.integers(0, 100)), draw(names),
        draw(names),
    )  # fmt: skip


@given(situations())
def test_each_design_is_told_once_and_the_first_that_applies_is_chosen(situation: Situation) -> None:
    found = effects.choose(situation)
    named = [name for name, _, _ in found.others]
    assert sorted([*named, *[found.design] * bool(found.design)]) == sorted(DESIGNS)
    assert found.design != "before_after"
    fits = [name for name, applies, _ in found.others if applies and name != "before_after"]
    if found.design:
        assert all(DESIGNS.index(found.design) < DESIGNS.index(name) for name in fits)
    else:
        assert not fits
    assert all(text for _, _, text in found.others)
    frame = results.conform(found.frame)
    assert set(frame["at"]) <= {"chosen", "shown", "not applicable"}
    assert (frame["metric"] == "design").all()
    assert list(frame["level"][frame["at"] == "chosen"]) == [found.design] * bool(found.design)


@given(situations(), st.permutations(range(5)))
def test_order_of_groups_does_not_matter(situation: Situation, order: list[int]) -> None:
    items = list(situation.starts.items())
    turned = dict(sorted(items, key=lambda item: order[items.index(item) % 5]))
    again = Situation(
        turned, situation.untouched, situation.levels, situation.before, situation.after, situation.least,
        situation.controls, situation.covariates,
    )  # fmt: skip
    assert effects.choose(again) == effects.choose(situation)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"starts": {}}, "nobody was touched"),
        ({"before": -1}, "before -1 is no whole number"),
        ({"least": 2.5}, "least 2.5"),
        ({"starts": {"a": 1, "b": "2026-02"}}, "cannot be put in order"),
    ],
)
def test_faults(facts: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        designed(**facts)


def test_every_design_has_a_title() -> None:
    assert set(choice.TITLES) == set(DESIGNS)


def row(value: float, error: float = 1.0, **more: Any) -> Any:
    return results.frame(metric="nps", comparison="difference", estimate=value, std_error=error, **more)


class TestAgreement:
    def test_the_naive_comparison_is_explained(self) -> None:
        found = effects.agreement(
            row(6.9), {"before_after": row(11.2), "did": row(7.4)}, design="staggered", unit="points"
        )
        note = found["note"].iloc[0]
        assert "Before and after differ by 11.2 points, the chosen design finds +6.9 points" in note
        assert "the rest, +4.3 points, came with what moved everywhere" in note
        assert found["at"].iloc[0] == "agrees"
        assert found["estimate"].iloc[0] == pytest.approx(0.5 / 2**0.5)  # (7.4 - 6.9) / sqrt(1 + 1)

    @pytest.mark.parametrize(
        ("naive", "effect", "told"),
        [
            (2.0, 7.0, "−5 points, hid some of it"),
            (-3.0, 7.0, "−10 points, hid it"),
            (7.5, 7.0, "not far off"),
            (-12.0, -7.0, "differ by −12 points, the chosen design finds −7 points: the rest, −5 points"),
        ],
    )
    def test_which_way_it_errs(self, naive: float, effect: float, told: str) -> None:
        note = effects.agreement(row(effect), {"before_after": row(naive)}, unit="points")["note"].iloc[0]
        assert told in note

    def test_touched_against_others_as_they_are_is_told_and_not_counted(self) -> None:
        others = {"as_they_are": row(43.0), "neighbours": row(-58.0), "before_after": row(-70.0)}
        found = effects.agreement(row(-60.0), others, design="matching", unit="seconds")
        note = found["note"].iloc[0]
        assert "nearest customers alike (−58 seconds) agrees" in note
        assert "Touched and untouched as they are differ by 43 seconds" in note
        assert "what they were like before, +103 seconds, hid it." in note
        assert "Before and after differ by −70 seconds" in note
        assert (found["at"].iloc[0], found["n"].iloc[0]) == ("agrees", 1)

    def test_designs_that_differ(self) -> None:
        found = effects.agreement(row(1.0, 0.1), {"interrupted": row(2.0, 0.1), "did": row(1.1, 0.1)})
        assert found["at"].iloc[0] == "differs"
        assert "interrupted series (+2) differs by more than chance" in found["note"].iloc[0]
        assert "difference-in-differences (+1.1) agrees" in found["note"].iloc[0]
        assert found["n"].iloc[0] == 2

    def test_alone_and_unknown(self) -> None:
        lost = results.frame(metric="nps", comparison="difference", status="too_few", note="three answers")
        assert effects.agreement(row(1.0), {"did": lost})["at"].iloc[0] == "alone"
        found = effects.agreement(lost, {"did": row(1.0)})
        assert found["at"].iloc[0] == "unknown"
        assert found["status"].iloc[0] == "undefined"
        assert "three answers" in found["note"].iloc[0]

    def test_no_standard_error_takes_the_interval(self) -> None:
        bare = results.frame(metric="nps", comparison="difference", estimate=1.0, conf_low=-1.0, conf_high=3.0)
        assert effects.agreement(row(1.0, 1.0), {"synthetic": bare})["at"].iloc[0] == "agrees"

    def test_shares_are_told_in_percentage_points(self) -> None:
        note = effects.agreement(row(0.069, 0.01), {"did": row(0.07, 0.01)}, unit="percent")["note"].iloc[0]
        assert "+6.9 percentage points" in note

    def test_faults(self) -> None:
        with pytest.raises(UsageError, match="did you mean 'synthetic'"):
            effects.agreement(row(1.0), {"syntetic": row(1.0)})
        with pytest.raises(UsageError, match="no difference"):
            effects.agreement(results.frame(metric="nps"), {})
