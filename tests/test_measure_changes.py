"""Differences against published figures; verdicts; the comparison of periods and of targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes, estimates
from cxlib.measure.moments import Moments
from cxlib.params import Metric

Oracle = Callable[[str], dict[str, Any]]
counts = st.tuples(*[st.integers(0, 30)] * 3)
PAIR = [("2026-10", "2026-09")]
UNITS = {"share": "percent", "nps": "points", "mean": "score", "ratio": "money", "rate": "per_1000_months"}


def limits(frame: pd.DataFrame) -> list[float]:
    return [frame["conf_low"].item(), frame["conf_high"].item()]


def metric(kind: str = "mean", **changed: Any) -> Metric:
    fields = {
        "id": "m", "title": "M", "question": "?", "kind": kind, "unit": UNITS.get(kind, "seconds"), "owner": "cx",
        "table": "responses", "time": "responded_at", "higher_is_better": True, "numerator": "score",
    }  # fmt: skip
    fields |= {"denominator": "1"} if kind in ("ratio", "rate") else {}
    return Metric(**{**fields, **changed})


def sums(period: str, y: Any, x: Any = None, *, clusters: Any = None, level: str = "all") -> pd.DataFrame:
    """Return one row as a plan brings it back."""
    m = Moments.of(y, x, clusters=clusters)
    numbers = {
        "rows": m.rows,
        "missing": 0,
        "clusters": m.clusters,
        "y": m.sums["y"],
        "x": m.sums["x"],
        "y2": m.squares,
    }
    numbers |= {"yy": m.products["y", "y"], "xy": m.products["x", "y"], "xx": m.products["x", "x"]}
    row = {"period": period, "level": level} | {name: float(value) for name, value in numbers.items()}
    return pd.DataFrame([row])


def both(y_before: Any, y_after: Any) -> pd.DataFrame:
    return pd.concat([sums("2026-09", y_before), sums("2026-10", y_after)], ignore_index=True)


class TestFormulas:
    def test_newcombe_1998_method_10(self, oracle: Oracle) -> None:
        """Newcombe (1998) Statist. Med. 17:873, 56 of 70 against 48 of 80: 0.0524 to 0.3339."""
        found = oracle("prop_diff_newcombe_56_70_48_80")
        inputs = found["inputs"]
        share = changes.share_difference(inputs["x1"], inputs["n1"], inputs["x2"], inputs["n2"])
        assert share["estimate"].item() == pytest.approx(0.2)
        assert limits(share) == pytest.approx([found["expected"]["ci.1"], found["expected"]["ci.2"]], abs=5e-5)

    def test_wald_of_statsmodels(self, oracle: Oracle) -> None:
        """statsmodels confint_proportions_2indep(56, 70, 48, 80, method="wald")."""
        expected = oracle("prop_diff_newcombe_56_70_48_80")["recomputed"]["statsmodels"]["wald"]
        assert limits(changes.share_difference(56, 70, 48, 80, method="wald")) == pytest.approx(expected, rel=1e-8)

    def test_welch_on_student_s_sleep(self, oracle: Oracle, shared_data: Callable[[str], Path]) -> None:
        """R: t.test(extra ~ group, data = sleep), group 1 minus group 2; pairs are not ours."""
        expected = oracle("exp_welch_sleep")["expected"]
        sleep = pd.read_csv(shared_data("sleep") / "sleep.csv")
        one, two = (Moments.of(sleep.loc[sleep["group"] == group, "extra"]) for group in (1, 2))
        found = changes.mean_difference(before=two, after=one)
        assert limits(found) == pytest.approx([expected["welch_ci.1"], expected["welch_ci.2"]], rel=1e-8)
        assert found["p_value"].item() == pytest.approx(expected["welch_p"], rel=1e-8)
        assert (found["estimate"] / found["std_error"]).item() == pytest.approx(expected["welch_t"], rel=1e-8)

    def test_relative_is_by_the_mean_before(self) -> None:
        before, after = Moments.of([2.0, 4.0, 6.0]), Moments.of([3.0, 6.0, 9.0])
        found = changes.mean_difference(before, after, scale="relative")
        assert (found["comparison"].item(), found["estimate"].item()) == ("relative", pytest.approx(0.5))
        nothing = changes.mean_difference(Moments.of([-1.0, 1.0]), after, scale="relative")
        assert nothing["status"].item() == "undefined"

    def test_nps_by_z(self) -> None:
        """By hand: se^2 = (.7 - .3^2 + .7 - .5^2) / 100 = .0106; 20 +- 1.959964 x 10.2956."""
        found = changes.nps_difference((50, 30, 20), (60, 30, 10))
        assert found["std_error"].item() == pytest.approx(100 * np.sqrt(0.0106))
        assert limits(found) == pytest.approx([20 - 1.959964 * 10.29563, 20 + 1.959964 * 10.29563], abs=1e-4)

    def test_nps_all_promoters_twice_is_no_certainty(self) -> None:
        found = changes.nps_difference((10, 0, 0), (10, 0, 0))
        assert limits(found)[0] < -30
        assert found["p_value"].item() == 1

    @given(st.integers(1, 60), st.integers(1, 60), st.data())
    def test_shares_change_places(self, n1: int, n2: int, data: Any) -> None:
        x1, x2 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n2))
        one, other = changes.share_difference(x1, n1, x2, n2), changes.share_difference(x2, n2, x1, n1)
        assert_mirrored(one, other)
        low, high = limits(one)
        assert (one["p_value"].item() < 0.05) == (not low <= 0 <= high) or min(abs(low), abs(high)) < 1e-9

    @given(counts.filter(any), counts.filter(any))
    def test_nps_changes_places(self, before: Any, after: Any) -> None:
        assert_mirrored(changes.nps_difference(before, after), changes.nps_difference(after, before))

    @given(*[st.lists(st.integers(0, 9), min_size=2, max_size=12)] * 2)
    def test_means_and_rates_change_places(self, before: list[int], after: list[int]) -> None:
        assume(len(set(before)) + len(set(after)) > 2)
        one, other = Moments.of(before), Moments.of(after)
        for formula in (changes.mean_difference, changes.rate_difference):
            assert_mirrored(formula(one, other), formula(other, one))

    def test_faults_are_told(self) -> None:
        with pytest.raises(UsageError, match="no method for differences of shares"):
            changes.share_difference(1, 2, 1, 2, method="score")
        with pytest.raises(UsageError, match="neither absolute nor relative"):
            changes.mean_difference(Moments.of([1.0, 2.0]), Moments.of([1.0, 2.0]), scale="log")
        for inputs in ((11, 10, 5, 10), (5, 10, -1, 10)):
            with pytest.raises(UsageError, match="0 <= successes <= n"):
                changes.share_difference(*inputs)
        with pytest.raises(UsageError, match="cannot be negative"):
            changes.nps_difference((-1, 30, 20), (60, 25, 15))

    def test_constant_data_have_no_test(self) -> None:
        """R: t.test(c(3, 3, 3), c(4, 4, 4)) stops with "data are essentially constant"."""
        found = changes.mean_difference(Moments.of([3.0] * 3), Moments.of([4.0] * 3))
        assert (found["status"].item(), found["note"].item()) == ("undefined", "all are alike on both sides")
        nothing = changes.mean_difference(Moments.of([-1.0, 1.0]), Moments.of([4.0, 5.0]), scale="relative")
        assert nothing["note"].item() == "the value before is 0"


def assert_mirrored(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Before and after swapped: the sign flips, all else stays. 1e-9: both are computed anew."""
    assert one["estimate"].item() == pytest.approx(-other["estimate"].item(), abs=1e-9)
    assert limits(one) == pytest.approx([-limit for limit in limits(other)[::-1]], abs=1e-9)
    assert one["p_value"].item() == pytest.approx(other["p_value"].item(), abs=1e-9)


class TestAdjust:
    P = (0.001, 0.008, 0.039, 0.041, 0.042)

    @pytest.mark.parametrize(
        ("method", "expected"),
        [
            ("bh", [0.005, 0.02, 0.042, 0.042, 0.042]),
            ("holm", [0.005, 0.032, 0.117, 0.117, 0.117]),
            ("bonferroni", [0.005, 0.04, 0.195, 0.205, 0.21]),
        ],
    )
    def test_by_hand(self, method: str, expected: list[float]) -> None:
        """R: p.adjust(c(.001, .008, .039, .041, .042), "BH"): min over j >= i of p_j m / j; order is kept."""
        found = changes.adjust(self.P[::-1], method)
        assert found.tolist() == pytest.approx(expected[::-1])

    def test_missing_ones_do_not_count(self) -> None:
        assert changes.adjust([0.02, np.nan]).tolist() == pytest.approx([0.02, np.nan], nan_ok=True)
        assert changes.adjust([]).size == 0
        with pytest.raises(UsageError, match="no adjustment"):
            changes.adjust([0.1], "fdr")
        with pytest.raises(UsageError, match="between 0 and 1"):
            changes.adjust([0.1, 1.2])


class TestBetween:
    @pytest.mark.parametrize("kind", sorted(UNITS))
    def test_every_kind_compares_two_periods(self, kind: str) -> None:
        before, after = [0.0, 1.0] * 100, [0.0, 1.0, 1.0, 1.0] * 50
        found = changes.between(metric(kind), both(before, after), PAIR)
        points = 100 if kind == "nps" else 1
        assert found["estimate"].item() == pytest.approx(0.25 * points)
        assert (found["period"].item(), found["against"].item(), found["comparison"].item()) == (*PAIR[0], "difference")
        assert found["verdict"].item() == "moved"
        assert "independent periods" in found["method"].item()
        assert found["n"].item() == 400
        assert found["definition"].item()

    def test_levels_are_compared_with_themselves(self) -> None:
        parts = [
            sums(period, [base + shift, base + shift + 1.0] * 20, level=level)
            for period, shift in (("2026-09", 0.0), ("2026-10", 2.0))
            for level, base in (("North", 1.0), ("South", 5.0))
        ]
        found = changes.between(metric(), pd.concat(parts), PAIR, segment="region")
        assert found[["level", "estimate"]].to_numpy().tolist() == [["North", 2.0], ["South", 2.0]]
        assert found["segment"].unique().tolist() == ["region"]

    def test_a_side_without_answers_is_undefined_and_named(self) -> None:
        found = changes.between(metric(), sums("2026-10", [1.0, 2.0] * 20), PAIR)
        assert found["status"].item() == "undefined"
        assert found["note"].item() == "no answers in 2026-09"

    def test_a_side_with_few_answers_is_suppressed(self) -> None:
        found = changes.between(metric(), both([1.0, 2.0] * 3, [1.0, 2.0] * 30), PAIR)
        assert found["status"].item() == "suppressed"
        assert found["n"].isna().all()

    def test_quantiles_are_not_offered(self) -> None:
        frame = pd.DataFrame(
            {"period": ["2026-09", "2026-10"], "level": "all", "value": 3.0, "rows": 40.0, "clusters": 40.0}
        )
        found = changes.between(metric("quantile", value="wait_seconds", numerator=""), frame, PAIR)
        assert found["status"].tolist() == ["undefined"]
        assert "not offered" in found["note"].item()

    def test_no_rows_give_no_rows(self) -> None:
        assert changes.between(metric(), sums("2026-10", [1.0]).iloc[:0], PAIR).empty
        assert changes.between(metric(), sums("2026-10", [1.0] * 20), []).empty

    def test_recurring_customers_are_named_in_the_method(self) -> None:
        frame = pd.concat([sums(label, [1.0, 2.0, 4.0] * 20, clusters=[*range(30)] * 2) for label in PAIR[0]])
        assert "cluster-robust" in changes.between(metric(), frame, PAIR)["method"].item()


class TestVerdict:
    def test_the_three(self) -> None:
        """200 answers a month see a change of some 0.14 in a share (80 % power): 0.2 matters and is seen, 0.05 not."""
        same = both([0.0, 1.0] * 100, [0.0, 1.0] * 100)
        blind = changes.between(metric("share", change_that_matters=0.05), same, PAIR)
        seen = changes.between(metric("share", change_that_matters=0.2), same, PAIR)
        moved = changes.between(metric("share", change_that_matters=0.05), both([0.0, 1.0] * 100, [1.0] * 200), PAIR)
        verdicts = [frame["verdict"].item() for frame in (blind, seen, moved)]
        assert verdicts == ["could not have been seen", "not shown", "moved"]
        assert blind["note"].item() == "smallest change that could be seen: 13.9 percentage points"

    def test_without_a_change_that_matters_nothing_is_blind(self) -> None:
        assert changes.between(metric(), both([1.0, 2.0] * 6, [1.0, 2.0] * 6), PAIR)["verdict"].item() == "not shown"

    def test_a_larger_family_is_harder_and_can_be_judged_again(self) -> None:
        rows = results.frame(
            metric="m", comparison="difference", p_value=[0.04, *np.linspace(0.2, 0.9, 19)], estimate=1.0, conf_low=0.1,
            conf_high=1.9, n=100.0,
        )  # fmt: skip
        alone = changes.judge(rows.iloc[:1], [metric(change_that_matters=0.5)])
        family = changes.judge(rows, [metric(change_that_matters=0.5)])
        assert alone["verdict"].tolist() == ["moved"]
        assert set(family["verdict"]) == {"could not have been seen"}
        pd.testing.assert_frame_equal(changes.judge(family, [metric(change_that_matters=0.5)]), family)

    def test_missed_targets_do_not_pay_for_false_moves(self) -> None:
        """Benjamini and Hochberg (1995): .03 is below .05 x 19 / 20 beside 18 findings, not below .05 x 1 / 2 without.

        In 400 scorecards of pure noise, customers of one demo month drawn anew, one family with 12 missed targets of
        18 called a false move between periods in 26 % of reports; two families do in 3 %.
        """
        against = ["target"] * 18 + ["2026-09", "2025-10"]
        rows = results.frame(
            metric="m", comparison="difference", against=against, p_value=[1e-9] * 18 + [0.03, 0.8], estimate=1.0,
            conf_low=0.1, conf_high=1.9, n=100.0,
        )  # fmt: skip
        assert changes.adjust(rows["p_value"])[18] < 0.05
        assert changes.judge(rows, [metric()])["verdict"].tolist() == ["moved"] * 18 + ["not shown"] * 2

    @pytest.mark.simulation
    @pytest.mark.parametrize("others", [0, 39])
    def test_the_change_that_could_be_seen_is_seen_in_four_of_five(
        self, others: int, rng: np.random.Generator, replicates: Callable[[int, int], int]
    ) -> None:
        """METHODS, Verdict: 80 % power, of the verdict as it is given among others and not of a test by itself."""
        times, half = replicates(400, 4_000), stats.norm.isf(0.025)
        blank = {"metric": "m", "comparison": "difference", "against": "2026-09", "n": 100.0, "p_value": 1.0}
        quiet = results.frame(**blank, estimate=np.zeros(others + 1), conf_low=-half, conf_high=half)
        note = changes.judge(quiet, [metric(change_that_matters=1e-9)])["note"].iloc[0]
        seen = 0
        for _ in range(times):
            z = rng.normal(size=others + 1)
            z[0] += float(note.removeprefix("smallest change that could be seen: "))
            frame = quiet.assign(estimate=z, conf_low=z - half, conf_high=z + half, p_value=2 * stats.norm.sf(abs(z)))
            seen += changes.judge(frame, [metric()])["verdict"].iloc[0] == "moved"
        assert seen / times >= 0.8 - 3 * np.sqrt(0.8 * 0.2 / times)

    def test_other_rows_pass_through(self) -> None:
        level = results.frame(metric="m", estimate=1.0, conf_low=0.0, conf_high=2.0, note="kept")
        pd.testing.assert_frame_equal(changes.judge(level, [metric()]), level)


class TestTarget:
    @pytest.mark.parametrize("clusters", [None, np.repeat(np.arange(12), 5)], ids=["once", "recurring"])
    @pytest.mark.parametrize("kind", sorted(UNITS))
    def test_the_p_value_agrees_with_the_interval(self, kind: str, clusters: Any) -> None:
        """For shares the score test is Wilson's inversion, for rates the exact tails are Garwood's."""
        y = [0.0, 1.0, 1.0, 1.0] * 15
        probe = estimates.from_moments(metric(kind), sums("2026-10", y, clusters=clusters))
        low, high = limits(probe)
        nudge = 1e-6 * (high - low)
        for target, significant in (
            (low - nudge, True),
            (low + nudge, False),
            (high - nudge, False),
            (high + nudge, True),
        ):
            found = changes.to_target(metric(kind, target=target), probe)
            assert (found["p_value"].item() < 0.05) == significant
            assert limits(found) == pytest.approx([low - target, high - target])

    def test_rows_say_what_they_are_against(self) -> None:
        probe = estimates.from_moments(metric(), sums("2026-10", [1.0, 2.0] * 20))
        found = changes.to_target(metric(target=3.0), probe)
        assert (found["against"].item(), found["comparison"].item()) == ("target", "difference")
        assert found["estimate"].item() == pytest.approx(-1.5)
        assert found["verdict"].item() == "moved"
        assert changes.to_target(metric(), probe).empty

    def test_hidden_rows_stay_hidden(self) -> None:
        probe = estimates.from_moments(metric(), sums("2026-10", [1.0, 2.0]))
        found = changes.to_target(metric(target=3.0), probe)
        assert found["status"].item() == "suppressed"
        assert found["estimate"].isna().all()

    def test_zero_events_have_a_p_value(self) -> None:
        probe = estimates.from_moments(metric("rate"), sums("2026-10", [0.0] * 60))
        assert changes.to_target(metric("rate", target=0.2), probe)["p_value"].item() < 0.001


@pytest.mark.simulation
@pytest.mark.parametrize("kind", sorted(UNITS))
def test_pure_noise_moves_in_five_of_a_hundred(
    kind: str, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Two months of the same truth: `moved` in at most alpha of single comparisons, give or take three errors."""
    times, n = replicates(600, 20_000), 60
    y = rng.integers(0, 2, (2 * times, n)).astype(float)
    columns = {"period": np.repeat(PAIR[0], times), "level": [str(k) for k in range(times)] * 2, "missing": 0}
    total = y.sum(axis=1)
    columns |= {name: np.full(2 * times, float(n)) for name in ("rows", "clusters", "x", "xx")}
    columns |= dict.fromkeys(("y", "yy", "xy", "y2"), total)
    found = changes.between(metric(kind), pd.DataFrame(columns), PAIR)
    share = (found["p_value"] < 0.05).mean()
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times) + 0.005
