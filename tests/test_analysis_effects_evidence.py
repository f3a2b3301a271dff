"""The grade of evidence: its stated rules, one by one, and that no check left out ever raises it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.analysis import effects
from cxlib.analysis.effects.evidence import GRADES
from cxlib.errors import UsageError


def effect(value: float = 1.0, error: float = 0.1, **more: Any) -> pd.DataFrame:
    shown = abs(value) > 2 * error
    return results.frame(
        metric="nps", comparison="difference", estimate=value, std_error=error, conf_low=value - 2 * error,
        conf_high=value + 2 * error, p_value=0.0001 if shown else 0.4, n=1_000, **more,
    )  # fmt: skip


def trend(p_value: float = 0.5, drift: float = 0.1, breakdown: float = 1.5, status: str = "ok") -> pd.DataFrame:
    common = {"comparison": "test", "status": status}
    return results.concat([
        results.frame(metric="pre_trend", estimate=1.0, p_value=p_value, note="nothing was found", **common),
        results.frame(
            metric="drift", comparison="difference", level=["a period", "average"], estimate=[drift / 9, drift],
            status=status,
        ),
        results.frame(metric="breakdown", level=["first period", "average"], estimate=[breakdown, 0.1], **common),
    ])  # fmt: skip


def tried(time: tuple[int, int] = (0, 12), space: tuple[int, int] = (0, 12), moved: int = 0) -> pd.DataFrame:
    """Return placebos in time and in space: how many as large as the effect, of how many; `moved` of them shown."""
    parts = []
    for at, (large, count) in (("in time", time), ("in space", space)):
        if not count:
            continue
        value, p = [2.0] * large + [0.1] * (count - large), [0.01] * moved + [0.5] * (count - moved)
        parts.append(results.frame(metric="nps", comparison="difference", at=at, estimate=value, p_value=p[:count]))
    return results.concat(parts)


def still(p_value: float = 0.5, half: float = 0.2) -> pd.DataFrame:
    return results.frame(
        metric="late deliveries", comparison="difference", estimate=0.0, conf_low=-half, conf_high=half, p_value=p_value
    )


GOOD: dict[str, Any] = {
    "pre_trend": trend(), "placebos": tried(), "negative_control": still(), "groups": (6, 6),
}  # fmt: skip


def graded(design: str = "did", given: pd.DataFrame | None = None, **facts: Any) -> tuple[str, float, dict[str, str]]:
    found = results.conform(effects.grade(effect() if given is None else given, design=design, **facts))
    head, rest = found.iloc[0], found.iloc[1:]
    assert head["metric"] == "evidence"
    assert head["note"].startswith(head["at"].capitalize())
    assert (rest["metric"] == "check").all()
    return head["at"], head["estimate"], dict(zip(rest["level"], rest["at"], strict=True))


class TestRules:
    def test_all_checks_pass(self) -> None:
        word, points, found = graded(**GOOD)
        assert (word, points) == ("strong", 0)
        assert set(found.values()) == {"passes"}

    @pytest.mark.parametrize(
        ("change", "check", "state", "points", "word"),
        [
            ({"pre_trend": trend(p_value=0.01)}, "trend", "fails", 4, "weak"),
            ({"pre_trend": trend(drift=0.6)}, "trend", "unclear", 0.5, "strong"),
            ({"pre_trend": trend(breakdown=0.6)}, "bias", "unclear", 0.5, "strong"),
            ({"pre_trend": trend(breakdown=0.4)}, "bias", "unclear", 0.5, "strong"),
            ({"placebos": tried(time=(4, 12))}, "in time", "fails", 2, "fair"),
            ({"placebos": tried(time=(1, 12))}, "in time", "unclear", 0.5, "strong"),
            ({"placebos": tried(time=(0, 4))}, "in time", "unclear", 0.5, "strong"),
            ({"placebos": tried(space=(3, 4))}, "in space", "fails", 2, "fair"),
            ({"placebos": tried(space=(0, 6))}, "in space", "unclear", 0.5, "strong"),
            ({"negative_control": still(p_value=0.01)}, "untouchable", "fails", 2, "fair"),
            ({"negative_control": still(half=1.5)}, "untouchable", "unclear", 1, "fair"),
            ({"groups": (4, 1)}, "size", "unclear", 0.5, "strong"),
            ({"groups": (1, 2)}, "size", "fails", 1, "fair"),
        ],
    )
    def test_each_check(self, change: dict[str, Any], check: str, state: str, points: float, word: str) -> None:
        """Points and limits are those of the docstring of `grade`."""
        found = graded(**(GOOD | change))
        assert found[2].pop(check) == state
        assert set(found[2].values()) == {"passes"}
        assert found[:2] == (word, points)

    def test_how_much_drift_it_bears_counts_where_none_could_be_seen(self) -> None:
        """Where `trend` passes a drift that mattered is ruled out, and the largest jump between two periods is luck."""
        word, points, found = graded(**GOOD | {"pre_trend": trend(drift=0.6, breakdown=0.4)})
        assert (found["trend"], found["bias"]) == ("unclear", "fails")
        assert (word, points) == ("fair", 1.5)

    @pytest.mark.parametrize(
        ("breakdown", "words"),
        [
            (0.00097, "an undetected drift far smaller than the swings between single periods seen before would"),
            (0.1, "an undetected drift a tenth as large as the swings"),
            (0.5, "an undetected drift half as large as the swings"),
            (1.6, "only an undetected drift 1.6 times as large as the swings"),
            (0.0, "the effect of the first period, taken by itself, cannot be told from none"),
            (np.inf, "no drift like the swings"),
        ],
    )
    def test_how_much_drift_it_bears_in_plain_words(self, breakdown: float, words: str) -> None:
        facts = GOOD | {"pre_trend": trend(drift=0.6, breakdown=min(breakdown, 1e300))}
        facts["pre_trend"] = facts["pre_trend"].replace({"estimate": {1e300: np.inf}})
        found = effects.grade(effect(), design="did", **facts)
        assert words in found.set_index("level").loc["bias", "note"]

    def test_how_much_drift_it_bears_never_leads(self) -> None:
        """It errs on the side of caution: what else speaks against the estimate is told before it."""
        facts = GOOD | {"pre_trend": trend(drift=0.6, breakdown=0.1), "groups": (4, 1)}
        told = effects.grade(effect(), design="did", **facts)["note"].iloc[0]
        assert told.index("no drift before the start was found") < told.index("4 groups") < told.index("an undetected")

    def test_a_drift_that_is_not_told_may_be_any(self) -> None:
        rows = GOOD["pre_trend"]
        assert graded(**GOOD | {"pre_trend": rows[rows["metric"] != "drift"]})[2]["trend"] == "unclear"

    def test_points_add_up(self) -> None:
        word, points, _ = graded(**GOOD | {"pre_trend": trend(p_value=0.01), "groups": (4, 1)})
        assert (word, points) == ("none", 4.5)

    def test_without_an_effect_the_estimate_is_graded_all_the_same(self) -> None:
        """A well-made nothing is worth something: how strong a confounder had to be is not asked."""
        null = effect(0.05, 0.1)
        word, _, found = graded(given=null, **GOOD)
        assert (word, found["bias"]) == ("strong", "not asked")
        assert graded(given=null, **GOOD | {"placebos": tried(moved=7)})[2]["in time"] == "fails"
        assert graded(given=null, **GOOD | {"placebos": tried(moved=3)})[2]["in space"] == "unclear"

    def test_no_estimate(self) -> None:
        lost = results.frame(metric="nps", comparison="difference", status="too_few", note="three answers")
        found = effects.grade(lost, design="did", **GOOD)
        assert found["at"].iloc[0] == "none"
        assert "three answers" in found["note"].iloc[0]

    def test_before_and_after_is_none(self) -> None:
        assert graded("before_after", **GOOD)[0] == "none"

    @pytest.mark.parametrize(
        ("design", "facts", "points", "word"),
        [
            ("synthetic", {"placebos": tried(), "negative_control": still(), "donors": 19, "before": 24}, 0, "strong"),
            ("synthetic", {"placebos": tried(), "negative_control": still(), "donors": 8, "before": 30}, 0.5, "strong"),
            ("synthetic", {"placebos": tried(), "negative_control": still(), "donors": 19, "before": 5}, 1, "fair"),
            ("counterfactual", {"placebos": tried(), "negative_control": still(), "before": 24}, 1, "fair"),
            ("interrupted", {"placebos": tried(), "negative_control": still(), "before": 24}, 1.5, "fair"),
            ("interrupted", {"placebos": tried(), "negative_control": still(), "before": 12}, 2, "fair"),
            ("interrupted", {"placebos": tried(), "negative_control": tried(time=(0, 0)), "before": 24}, 1.5, "fair"),
        ],
    )
    def test_other_designs(self, design: str, facts: dict[str, Any], points: float, word: str) -> None:
        assert graded(design, **facts)[:2] == (word, points)

    def test_series_in_space_are_of_another_scale(self) -> None:
        """Placebos of controls are larger than the effect, and nothing: they count only where they are shown."""
        large = tried(space=(12, 12))
        facts = {"negative_control": still(), "before": 24}
        assert graded("counterfactual", placebos=large, **facts)[2]["in space"] == "passes"
        assert graded("counterfactual", placebos=tried(space=(12, 12), moved=8), **facts)[2]["in space"] == "fails"

    def test_interrupted_takes_the_average(self) -> None:
        rows = results.concat([effect(9.0, at="level change"), effect(0.1, 0.2, at="average effect")])
        facts = {"placebos": tried(moved=12), "negative_control": still(), "before": 24}
        assert graded("interrupted", given=rows, **facts)[2]["in time"] == "fails"

    def test_untouchables_of_another_unit_are_compared_by_their_mean_before(self) -> None:
        """An effect of 1 on a mean of 10 is a tenth: .05 on a mean of .5, which +-.04 leaves out and +-.06 does not."""
        base = {"comparison": "level", "level": "treated", "at": "before"}
        mine = results.concat([effect(), results.frame(metric="nps", estimate=10.0, **base)])
        for half, state in ((0.04, "passes"), (0.06, "unclear")):
            other = results.concat([still(half=half), results.frame(metric="late deliveries", estimate=0.5, **base)])
            assert graded(given=mine, **GOOD | {"negative_control": other})[2]["untouchable"] == state

    def test_untouchables_by_their_effect_alone(self) -> None:
        """Rows by group, and the level change of a series, are not outcomes of their own."""
        groups = results.label(still(0.001), level="2026-02")
        assert graded(**GOOD | {"negative_control": results.concat([still(), groups])})[2]["untouchable"] == "passes"
        rows = [results.label(still(0.001), at="level change"), results.label(still(), at="average effect")]
        assert graded(**GOOD | {"negative_control": results.concat(rows)})[2]["untouchable"] == "passes"
        both = [still(), results.label(still(0.001), metric="outages")]
        assert graded(**GOOD | {"negative_control": results.concat(both)})[2]["untouchable"] == "fails"

    def test_randomised_is_above_all(self) -> None:
        health = results.frame(
            metric="shares as registered", comparison="test", at=["passes", "warns"], note="p = .0086"
        )
        word, points, _ = graded("randomised", health=health)
        assert (word, points) == ("randomised", 0)
        assert GRADES[-1] == word
        for bad in (None, results.label(health, at="fails")):
            assert graded("randomised", health=bad)[0] == "none"

    def test_faults(self) -> None:
        with pytest.raises(UsageError, match="did you mean 'did'"):
            effects.grade(effect(), design="dix")
        with pytest.raises(UsageError, match="holds no difference"):
            effects.grade(results.frame(metric="nps"), design="did")
        with pytest.raises(UsageError, match="Say"):
            effects.grade(effect(), design="did", groups=3)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="before -1"):
            effects.grade(effect(), design="interrupted", before=-1)


EACH: dict[str, list[Any]] = {
    "pre_trend": [
        trend(), trend(0.01), trend(drift=9.0), trend(breakdown=0.1), trend(0.01, 9.0, 0.1), trend(status="too_few"),
    ],
    "placebos": [tried(), tried((9, 12)), tried((0, 3), (0, 2)), tried((12, 12), (12, 12)), tried(moved=12)],
    "negative_control": [still(), still(0.001), still(half=9.0)],
    "groups": [(9, 9), (1, 1), (4, 1)],
    "donors": [30, 8, 2],
    "before": [30, 15, 3],
    "sensitivity": [
        results.concat([
            results.frame(metric="robustness", comparison="test", at="limit", estimate=0.1),
            results.frame(metric="benchmark", comparison="test", at=at, estimate=1.0),
        ])
        for at in ("stands", "undone")
    ],
    "balance": [
        results.concat([
            results.frame(metric="balance", comparison="index", at="after", level="x", estimate=worst),
            results.frame(metric="overlap", comparison="share", level="touched", estimate=share),
        ])
        for worst, share in ((0.01, 0.0), (0.15, 0.05), (0.5, 0.5))
    ],
}  # fmt: skip


DESIGNS = ("staggered", "did", "synthetic", "counterfactual", "interrupted", "matching", "before_after")
EFFECTS = (effect(n_eff=500), effect(0.05, 0.1, n_eff=20))


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("name", sorted(EACH))
def test_no_check_is_worse_than_none(design: str, name: str) -> None:
    """However it comes out, a check that was made never costs more points than one that was left out."""
    for row in EFFECTS:
        without = graded(design, given=row)[1]
        assert all(graded(design, given=row, **{name: value})[1] <= without for value in EACH[name])


@given(st.data(), st.sampled_from(DESIGNS), st.sampled_from(EFFECTS), st.sets(st.sampled_from(sorted(EACH))))
def test_leaving_checks_out_never_raises_the_grade(
    data: st.DataObject, design: str, row: pd.DataFrame, left_out: set[str]
) -> None:
    known = {name: values[data.draw(st.integers(0, len(values) - 1))] for name, values in EACH.items()}
    whole = graded(design, given=row, **known)
    less = graded(design, given=row, **{name: value for name, value in known.items() if name not in left_out})
    assert less[1] >= whole[1]
    assert GRADES.index(less[0]) <= GRADES.index(whole[0])


def panel(rng: np.random.Generator, drift: float = 0.0) -> pd.DataFrame:
    """Return twelve regions over sixteen months, six touched from the tenth on; the effect is 1."""
    spot = pd.MultiIndex.from_product([range(12), range(16), range(20)], names=["region", "month", "who"]).to_frame(
        False
    )
    touched = (spot["region"] < 6).astype(int)
    shock = rng.normal(0, 0.05, (12, 16))[spot["region"], spot["month"]]
    noise = rng.normal(size=(2, len(spot)))
    score = 5 + 0.1 * spot["month"] + touched * (drift * spot["month"] + (spot["month"] >= 10)) + shock + noise[0]
    return spot.assign(touched=touched, score=score, other=5 + noise[1])


class TestWithWhatDesignsReturn:
    """The rows that the designs themselves return are understood: nothing is missing that was given."""

    def of_panel(self, frame: pd.DataFrame) -> tuple[str, float, dict[str, str]]:
        common = {"outcome": "score", "time": "month", "treated": "touched", "start": 10}
        return graded(
            given=effects.did(frame, cluster="region", **common),
            pre_trend=effects.event_study(frame, cluster="region", **common),
            placebos=effects.placebos(frame, group="region", **common),
            negative_control=effects.did(frame, cluster="region", **common | {"outcome": "other"}),
            groups=(6, 6),
        )

    def test_parallel_regions(self, rng: np.random.Generator) -> None:
        word, _, found = self.of_panel(panel(rng))
        assert word in ("strong", "fair")
        assert "missing" not in found.values()
        assert found["trend"] == "passes"  # with so little noise a drift that matters would have been seen

    def test_regions_that_drift_apart(self, rng: np.random.Generator) -> None:
        word, _, found = self.of_panel(panel(rng, drift=0.15))
        assert found["trend"] == "fails"
        assert word in ("weak", "none")

    def test_series(self, rng: np.random.Generator) -> None:
        control = rng.normal(size=48)
        y = control + 0.3 * rng.normal(size=48) + 2 * (np.arange(48) >= 36)
        frame = pd.DataFrame({"y": y, "control": control, "month": np.arange(48)})
        fit = effects.fit_interrupted(frame, outcome="y", time="month", start=36)
        assert graded("interrupted", given=fit.frame, placebos=fit.placebos, before=36)[2]["in time"] != "missing"
        other = effects.fit_counterfactual(frame.set_index("month"), outcome="y", controls=["control"], start=36)
        found = graded("counterfactual", given=other.frame, placebos=other.placebos, before=36)
        assert found[2] == {"in time": "passes", "in space": "unclear", "untouchable": "missing", "size": "passes"}

    def test_synthetic_control(self, rng: np.random.Generator) -> None:
        waves, share = rng.normal(size=(36, 2)).cumsum(axis=0) * 0.3, rng.normal(size=(2, 21))
        values = waves @ share + 0.2 * rng.normal(size=(36, 21))
        values[30:, 0] += 2
        frame = pd.DataFrame(values, columns=[f"u{i}" for i in range(21)]).rename_axis("month").reset_index()
        frame = frame.melt("month", var_name="unit", value_name="y").assign(touched=lambda f: (f["unit"] == "u0") * 1)
        fit = effects.fit_synthetic_control(frame, outcome="y", unit="unit", time="month", treated="touched", start=30)
        found = graded("synthetic", given=fit.frame, placebos=fit.placebos, donors=20, before=30)
        assert found[2] == {"in time": "passes", "in space": "passes", "untouchable": "missing", "size": "passes"}

    def test_customers_alike(self, rng: np.random.Generator) -> None:
        x = rng.normal(size=400)
        t = (rng.random(400) < 1 / (1 + np.exp(0.5 - 0.5 * x))).astype(int)
        frame = pd.DataFrame({"x": x, "t": t, "y": x + t + rng.normal(size=400)})
        names: dict[str, Any] = {"outcome": "y", "treated": "t", "covariates": ["x"]}
        row = effects.weighting(frame, **names)
        word, _, found = graded(
            "matching", given=row, balance=effects.balance_table(frame, **names), negative_control=still(),
            sensitivity=effects.sensitivity(row, observed=effects.strengths(frame, **names)),
        )  # fmt: skip
        assert word == "fair"
        assert set(found.values()) <= {"passes", "unclear"}
