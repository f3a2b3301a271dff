"""Differences against published figures and other software; the comparison of periods, levels and targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from change_frames import AFTER, BEFORE, PAIR, UNITS, both, many, metric, overlap, sums
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes, estimates, intervals, plans
from cxlib.measure.joint import Joint
from cxlib.measure.moments import Moments
from cxlib.measure.overlap import Overlap
from cxlib.params import Segment
from cxlib.periods import Period

Oracle = Callable[[str], dict[str, Any]]
counts = st.tuples(*[st.integers(0, 30)] * 3)


def limits(frame: pd.DataFrame) -> list[float]:
    return [frame["conf_low"].item(), frame["conf_high"].item()]


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
        """R: t.test(extra ~ group, data = sleep), group 1 minus group 2."""
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

    def test_the_paired_t_on_student_s_sleep(self, oracle: Oracle, shared_data: Callable[[str], Path]) -> None:
        """R: t.test(Pair(extra[group == 1], extra[group == 2]) ~ 1): the same ten patients in both."""
        expected = oracle("exp_welch_sleep")["expected"]
        sleep = pd.read_csv(shared_data("sleep") / "sleep.csv")
        y, who = ([sleep.loc[sleep["group"] == group, name].to_numpy() for group in (1, 2)] for name in ("extra", "ID"))
        one, two = (Moments.of(y[side], clusters=who[side]) for side in (0, 1))
        shared = Overlap.of((y[0], None, who[0]), (y[1], None, who[1]))
        rho = shared.covariance(one, two) / np.sqrt(one.variance * two.variance)
        found = changes.mean_difference(before=two, after=one, correlation=rho, both=shared.clusters)
        assert (found["estimate"] / found["std_error"]).item() == pytest.approx(expected["paired_t"], rel=1e-8)
        assert found["p_value"].item() == pytest.approx(expected["paired_p"], rel=1e-8)
        half = stats.t.isf(0.025, 9) * found["std_error"].item()
        assert limits(found) == pytest.approx([found["estimate"].item() - half, found["estimate"].item() + half])

    @pytest.mark.parametrize(("shared", "expected"), [(0, "welch"), (12, 11.0)])
    def test_freedom_at_both_ends(self, shared: int, expected: Any) -> None:
        """None shared: Welch and Satterthwaite; all shared: pairs - 1 (Derrick, Russ, Toher and White 2017)."""
        welch = (0.2 + 0.7) ** 2 / (0.2**2 / 11 + 0.7**2 / 11)
        sizes = (np.array([12.0]), np.array([12.0]))
        found = intervals.freedom((np.array([0.2]), np.array([0.7])), sizes, np.array([float(shared)]))
        assert found.item() == pytest.approx(welch if expected == "welch" else expected)

    def test_freedom_between_by_hand(self) -> None:
        """Derrick et al. 2017, (n_c - 1) + (g - n_c + 1) (n_a + n_b) / (n_a + n_b + 2 n_c), of 10 and 8 with 4 both."""
        variances, sizes = (np.array([1.0]), np.array([1.0])), (np.array([10.0]), np.array([8.0]))
        welch = 4 / (1 / 9 + 1 / 7)
        found = intervals.freedom(variances, sizes, np.array([4.0])).item()
        assert found == pytest.approx(3 + (welch - 3) * 10 / 18)

    def test_newcombe_of_paired_shares(self) -> None:
        """R contingencytables, Newcombe_square_and_add_CI_paired_2x2(rbind(c(59, 6), c(16, 80))): -0.1186 to -0.0046.

        Complete response before and after therapy (Cavo 2012), in Fagerland, Lydersen and Laake, Statistical Analysis
        of Contingency Tables, 8.6; the package's own test prints four places.
        """
        phi = (59 * 80 - 6 * 16) / np.sqrt(65.0 * 96 * 75 * 86)
        found = changes.share_difference(65, 161, 75, 161, correlation=phi)
        assert found["estimate"].item() == pytest.approx(-0.0621, abs=5e-5)
        assert limits(found) == pytest.approx([-0.1186, -0.0046], abs=5e-5)

    def test_wald_of_paired_shares(self) -> None:
        """Fagerland et al., 8.6.1: se^2 = (n12 + n21 - (n12 - n21)^2 / n) / n^2 of the same table."""
        phi = (59 * 80 - 6 * 16) / np.sqrt(65.0 * 96 * 75 * 86)
        found = changes.share_difference(65, 161, 75, 161, method="wald", correlation=phi)
        assert found["std_error"].item() == pytest.approx(np.sqrt(6 + 16 - 100 / 161) / 161, rel=1e-12)

    def test_relative_by_the_delta_method(self, oracle: Oracle) -> None:
        """GrowthBook's test of 14 / 28 against 16 / 30, delta method on control: lift .0667, se .2717, p .807.

        Theirs divides a variance by n, ours by n - 1: their se is had with both sides' variance times (n - 1) / n.
        """
        expected = oracle("exp_gb_prop_relative")["expected"]
        before, after = Moments.of([1.0] * 14 + [0.0] * 14), Moments.of([1.0] * 16 + [0.0] * 14)
        found = changes.mean_difference(before, after, scale="relative")
        assert found["estimate"].item() == pytest.approx(expected["lift"], abs=1e-5)
        old, new = before.variance * 27 / 28, after.variance * 29 / 30
        theirs = np.sqrt(new / 0.5**2 + old * (16 / 30 / 0.5**2) ** 2)
        assert theirs == pytest.approx(expected["se"], abs=1e-5)
        ours = np.sqrt(after.variance / 0.5**2 + before.variance * (16 / 30 / 0.5**2) ** 2)
        assert found["std_error"].item() == pytest.approx(ours, rel=1e-12)
        assert found["p_value"].item() == pytest.approx(expected["p"], abs=0.005)  # 2 % of the standard error

    def test_relative_of_the_same_people(self, rng: np.random.Generator) -> None:
        """Delta method with covariance (Casella and Berger, 5.5.24), against 4,000 draws of paired lognormals."""
        n, times = 200, 4_000
        mood = rng.normal(size=(times, n))
        y = [np.exp(0.3 * (mood + rng.normal(size=(times, n)))) for _ in range(2)]
        frame, shared = many(y[0], y[1], n)
        found = changes.between(metric(), frame, PAIR, overlaps=shared, relative=True)
        ratio = found[found["comparison"] == "relative"]
        # 3 standard errors of a simulated standard deviation: 3 / sqrt(2 x 4,000) = 3.4 %.
        assert ratio["std_error"].mean() == pytest.approx(ratio["estimate"].std(), rel=0.034)

    def test_relative_says_when_not_to_be_relied_on(self) -> None:
        """Fieller (1954): where the value before is not clearly different from 0 a ratio has no finite limits."""
        after = Moments.of([3.0, 6.0, 9.0])
        near = changes.mean_difference(Moments.of([-1.0, 2.0, 1.0]), after, scale="relative")
        assert near["note"].item() == "the value before is not clearly different from 0"
        below = changes.mean_difference(Moments.of([-2.0, -4.0, -3.0]), after, scale="relative")
        assert below["note"].item() == "the value before is negative: read the sign with care"
        flat = changes.mean_difference(Moments.of([2.0, 4.0, 3.0]), Moments.of([0.0] * 3), scale="relative")
        assert flat["status"].item() == "undefined"
        assert "one side" in flat["note"].item()

    def test_nps_by_welch(self) -> None:
        """By hand: variances (.7 - .3^2) / 99 and (.7 - .5^2) / 99, both above those of n + 3; t with 196.6 degrees.

        .61 / 99 = .0061616 and .45 / 99 = .0045455; (.0107071)^2 / ((.0061616^2 + .0045455^2) / 99) = 193.6.
        """
        found = changes.nps_difference((50, 30, 20), (60, 30, 10))
        assert found["std_error"].item() == pytest.approx(100 * np.sqrt(1.06 / 99))
        half = stats.t.isf(0.025, 1.06**2 / (0.61**2 + 0.45**2) * 99) * 100 * np.sqrt(1.06 / 99)
        assert limits(found) == pytest.approx([20 - half, 20 + half])

    def test_nps_by_z(self) -> None:
        """METHODS, Changes: z, unpooled: se^2 = (.7 - .3^2 + .7 - .5^2) / 100 = .0106; 20 +- 1.959964 x 10.2956."""
        found = changes.nps_difference((50, 30, 20), (60, 30, 10), method="wald")
        assert found["std_error"].item() == pytest.approx(100 * np.sqrt(0.0106))
        assert limits(found) == pytest.approx([20 - 1.959964 * 10.29563, 20 + 1.959964 * 10.29563], abs=1e-4)
        with pytest.raises(UsageError, match="no method for differences of NPS"):
            changes.nps_difference((1, 1, 1), (1, 1, 1), method="z")

    def test_nps_of_the_same_customers_is_the_paired_t(self, rng: np.random.Generator) -> None:
        """R: t.test(after, before, paired = TRUE) on -1, 0, 1, where no variance is below that of n + 3."""
        before = rng.choice([-1.0, 0.0, 1.0], 60)
        after = np.where(rng.random(60) < 0.5, before, rng.choice([-1.0, 0.0, 1.0], 60))
        who = np.arange(60)
        found = changes.between(metric("nps"), both(before, after), PAIR, overlaps=overlap(before, who, after, who))
        expected = stats.ttest_rel(after, before)
        assert (found["estimate"] / found["std_error"]).item() == pytest.approx(expected.statistic, rel=1e-8)
        assert found["p_value"].item() == pytest.approx(expected.pvalue, rel=1e-6)  # n_eff is found by a root of t

    def test_nps_all_promoters_twice_is_no_certainty(self) -> None:
        found = changes.nps_difference((10, 0, 0), (10, 0, 0))
        assert limits(found)[0] < -30
        assert found["p_value"].item() == 1

    def test_one_answer_says_nothing(self) -> None:
        """A single answer has no variance: the limits are all there is, and p is above any level in use."""
        found = changes.nps_difference((1, 0, 0), (0, 0, 1))
        assert found["p_value"].item() > 0.05
        assert limits(found)[0] == -200

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

    def test_returners_are_allowed_for(self, rng: np.random.Generator) -> None:
        """The paired t of R where all return (NPS is above); without the overlap the two sides stand alone."""
        before = rng.normal(3, 1, 80)
        after, who = before + rng.normal(0.1, 0.5, 80), np.arange(80)
        shared = overlap(before, who, after, who)
        known = changes.between(metric(), both(before, after), PAIR, overlaps=shared)
        alone = changes.between(metric(), both(before, after), PAIR)
        expected = stats.ttest_rel(after, before)
        assert known["p_value"].item() == pytest.approx(expected.pvalue, rel=1e-8)
        assert limits(known) == pytest.approx(list(expected.confidence_interval()), rel=1e-8)
        assert known["method"].item() == "Welch, respondents of both periods allowed for"
        assert alone["p_value"].item() == pytest.approx(stats.ttest_ind(after, before, equal_var=False).pvalue)
        assert alone["method"].item() == "Welch, independent periods"
        nobody = changes.between(metric(), both(before, after), PAIR, overlaps=shared.iloc[:0])
        assert nobody["p_value"].item() == alone["p_value"].item()

    @pytest.mark.parametrize("kind", sorted(UNITS))
    def test_returners_of_every_kind(self, kind: str, rng: np.random.Generator) -> None:
        """Alike in both months: narrower. The reverse of themselves: wider. Neither moves the estimate."""
        before, who = rng.integers(0, 2, 120).astype(float), np.arange(120)
        found = []
        for after in (before, 1 - before):
            after = np.where(rng.random(120) < 0.6, after, rng.integers(0, 2, 120))
            frame, shared = both(before, after), overlap(before, who, after, who)
            one, other = (changes.between(metric(kind), frame, PAIR, overlaps=found) for found in (shared, None))
            assert one["estimate"].item() == other["estimate"].item()
            found.append(np.diff(limits(one)).item() / np.diff(limits(other)).item())
        assert found[0] < 0.95 < 1.05 < found[1]

    def test_overlaps_of_others_or_hidden_ones_change_nothing(self, rng: np.random.Generator) -> None:
        """Another pair, another level, or sums that disclosure has taken out: as if nobody were shared."""
        frame, shared = many(*rng.normal(size=(2, 1, 50)), shared=30)
        alone = changes.between(metric(), frame, PAIR, overlaps=shared.iloc[:0])
        hidden = shared.assign(**dict.fromkeys(("clusters", "yy", "yx", "xy", "xx"), np.nan))
        for other in (shared.assign(against="2025-10"), shared.assign(level="North"), hidden):
            pd.testing.assert_frame_equal(changes.between(metric(), frame, PAIR, overlaps=other), alone)

    @pytest.mark.parametrize("kind", sorted(set(UNITS) - {"nps"}))
    def test_relative_rows_follow_without_a_verdict(self, kind: str) -> None:
        frame = both([0.0, 1.0] * 100, [0.0, 1.0, 1.0, 1.0] * 50)
        found = changes.between(metric(kind), frame, PAIR, relative=True)
        assert found["comparison"].tolist() == ["difference", "relative"]
        assert found["estimate"].tolist()[1] == pytest.approx(0.5)
        assert found["verdict"].tolist() == ["moved", ""]
        assert found["method"].tolist()[1] == "delta method on before, independent periods"

    def test_a_score_has_no_relative_change(self) -> None:
        """NPS passes through 0: from 1 to 3 points it would have tripled."""
        frame = both([0.0, 1.0] * 100, [0.0, 1.0, 1.0, 1.0] * 50)
        assert changes.between(metric("nps"), frame, PAIR, relative=True)["comparison"].tolist() == ["difference"]

    def test_weighted_shares_are_compared(self) -> None:
        """40 of weight 3 and 40 of weight 1: the share after is 3 / 4, not 1 / 2.

        Before, weights tell nothing of the answers: 80 are worth 160^2 / 400 = 64 (Kish). After, the heavy ones are all
        alike, and 80 x (sum w^2 (y - R)^2 = 45) / 160^2 is below R (1 - R) = 3 / 16: n_eff stays at 80.
        """
        frame = both([1.0, 1.0, 0.0, 0.0] * 20, [1.0, 0.0] * 40, weights=[3.0, 1.0] * 40)
        found = changes.between(metric("share"), frame, PAIR)
        assert found["estimate"].item() == pytest.approx(0.25)
        assert (found["n"].item(), found["n_eff"].item()) == (160, pytest.approx(144))

    def test_no_rows_give_no_rows(self) -> None:
        assert changes.between(metric(), sums("2026-10", [1.0]).iloc[:0], PAIR).empty
        assert changes.between(metric(), sums("2026-10", [1.0] * 20), []).empty

    def test_recurring_customers_are_named_in_the_method(self) -> None:
        frame = pd.concat([sums(label, [1.0, 2.0, 4.0] * 20, clusters=[*range(30)] * 2) for label in PAIR[0]])
        assert "cluster-robust" in changes.between(metric(), frame, PAIR)["method"].item()


class TestEngine:
    """From rows in a table to the paired t: plan, overlaps and joint sums as the engine brings them back."""

    PERIODS = (Period.parse(BEFORE), Period.parse(AFTER))

    @pytest.fixture
    def answers(self, rng: np.random.Generator) -> pd.DataFrame:
        before = rng.integers(0, 6, 60)
        after = np.clip(before + rng.integers(-1, 3, 60), 0, 10)
        times = pd.to_datetime([f"{BEFORE}-10"] * 60 + [f"{AFTER}-10"] * 60).astype("datetime64[us]")
        return pd.DataFrame(
            {
                "response_id": [f"r{k}" for k in range(120)], "responded_at": times, "instrument": "csat",
                "customer_id": [f"c{k}" for k in range(60)] * 2, "score": [*before, *after],
                "channel": ["app", "web"] * 60,
            }
        )  # fmt: skip

    def test_periods(self, answers: pd.DataFrame) -> None:
        """R: t.test(after, before, paired = TRUE)."""
        tables, asked = {"responses": ibis.memtable(pa.Table.from_pandas(answers))}, metric(cluster="customer_id")
        sums = plans.plan(asked, tables, self.PERIODS, timezone="UTC").to_pyarrow().to_pandas()
        shared = plans.overlaps(asked, tables, [self.PERIODS[::-1]], timezone="UTC").to_pyarrow().to_pandas()
        found = changes.between(asked, sums, PAIR, overlaps=shared)
        before, after = answers["score"].to_numpy().reshape(2, 60)
        expected = stats.ttest_rel(after, before)
        assert found["p_value"].item() == pytest.approx(expected.pvalue, rel=1e-8)
        assert found["estimate"].item() == pytest.approx((after - before).mean())

    def test_levels(self, answers: pd.DataFrame) -> None:
        """R: t.test(score ~ channel) within each month: nobody answers on both."""
        channel = Segment(id="channel", title="Channel", on="event", column="channel")
        tables, asked = {"responses": ibis.memtable(pa.Table.from_pandas(answers))}, metric(cluster="customer_id")
        sums = plans.joint(asked, tables, self.PERIODS, timezone="UTC", segments=(channel,)).to_pyarrow().to_pandas()
        found = changes.levels(asked, Joint.from_frame(sums), [("app", "web")], segment="channel")
        scores = answers["score"].to_numpy().reshape(2, 60)
        expected = [stats.ttest_ind(month[::2], month[1::2], equal_var=False).pvalue for month in scores]
        assert found["p_value"].tolist() == pytest.approx(expected, rel=1e-8)


class TestQuantiles:
    @staticmethod
    def frame(before: Any, after: Any, level: str = "all") -> pd.DataFrame:
        """Return counts of distinct values, as a plan brings them back."""
        parts = []
        for period, values in ((BEFORE, before), (AFTER, after)):
            distinct, often = np.unique(values, return_counts=True)
            columns = {"value": distinct, "rows": often.astype(float), "clusters": float(len(values))}
            parts.append(pd.DataFrame({"period": period, "level": level, "missing": 0.0, **columns}))
        return pd.concat(parts, ignore_index=True)

    def test_limits_by_hand(self) -> None:
        """1 to 25 against 101 to 125: medians 13 and 113, limits 8 and 18, 108 and 118 (Conover, table A3).

        MOVER: 100 -+ sqrt(5^2 + 5^2).
        """
        found = changes.quantile_difference(np.arange(1, 26), np.arange(101, 126), 0.5)
        assert found["estimate"].item() == 100
        assert limits(found) == pytest.approx([100 - np.sqrt(50), 100 + np.sqrt(50)])
        assert found["method"].item() == "MOVER on order statistics"

    def test_between_counts_the_same(self) -> None:
        """From counts of values, two levels at once, the sides each with its own number of answers."""
        rng = np.random.default_rng(5)
        waits = [rng.geometric(0.02, size) for size in (120, 90, 150, 60)]
        frame = pd.concat([self.frame(waits[0], waits[1], "North"), self.frame(waits[2], waits[3], "South")])
        found = changes.between(metric("quantile", quantile=0.9), frame.sample(frac=1, random_state=1), PAIR)
        alone = [changes.quantile_difference(waits[k], waits[k + 1], 0.9) for k in (0, 2)]
        columns = ["estimate", "conf_low", "conf_high", "p_value", "n"]
        pd.testing.assert_frame_equal(found[columns], pd.concat(alone, ignore_index=True)[columns])
        assert found["level"].tolist() == ["North", "South"]
        assert found["method"].unique().tolist() == ["MOVER on order statistics, independent periods"]

    def test_too_few_and_none(self) -> None:
        """p90 has no interval at 95 % below 36 answers: neither has its difference."""
        few = changes.between(metric("quantile", quantile=0.9), self.frame(range(35), range(100)), PAIR)
        assert (few["status"].item(), few["p_value"].isna().item()) == ("too_few", True)
        assert few["note"].item() == "fewer than 36 on one side: no exact 95% interval for this quantile"
        one = self.frame(range(100), range(100)).iloc[:100]
        assert changes.between(metric("quantile"), one, PAIR)["note"].item() == "no answers in 2026-10"
        assert changes.quantile_difference([], [1.0], 0.5)["status"].item() == "undefined"
        with pytest.raises(UsageError, match="not between 0 and 1"):
            changes.quantile_difference([1.0], [1.0], 90)

    def test_small_sides_are_suppressed_and_recurring_callers_told_of(self) -> None:
        frame = self.frame(range(40), range(40))
        assert changes.between(metric("quantile"), frame, PAIR, min_n=41)["status"].item() == "suppressed"
        found = changes.between(metric("quantile"), frame.assign(clusters=30.0), PAIR)
        assert "one customer" in found["note"].item()

    @given(*[st.lists(st.integers(0, 30), min_size=6, max_size=40)] * 2)
    def test_sides_change_places_and_p_agrees(self, before: list[int], after: list[int]) -> None:
        one, other = changes.quantile_difference(before, after, 0.5), changes.quantile_difference(after, before, 0.5)
        assert_mirrored(one, other)
        low, high = limits(one)
        assert (one["p_value"].item() < 0.05) == (not low <= 0 <= high)


class TestLevels:
    """Levels of one period against each other: parts of a sample that may share customers."""

    WHO = np.repeat(np.arange(60), 3)  # each customer answers three times, in one, two or three of the channels

    def joint(self, rng: np.random.Generator) -> tuple[Joint, np.ndarray, np.ndarray]:
        mood = np.repeat(rng.normal(size=60), 3)
        y = 3 + mood + 0.5 * rng.normal(size=180)
        channel = rng.choice(["app", "phone", "shop"], 180)
        return Joint.of(y, period=np.full(180, AFTER), level=channel, clusters=self.WHO), y, channel

    def test_apart_it_is_welch(self, rng: np.random.Generator) -> None:
        """R: t.test(y ~ level): customers lie in one level only."""
        y, level = rng.normal(size=90), np.repeat(["a", "b", "c"], 30)
        joint = Joint.of(y, period=np.full(90, AFTER), level=level)
        found = changes.levels(metric(), joint, [("a", "b"), ("c", "a")], segment="plan")
        expected = [
            stats.ttest_ind(y[:30], y[30:60], equal_var=False), stats.ttest_ind(y[60:], y[:30], equal_var=False)
        ]  # fmt: skip
        assert found["p_value"].tolist() == pytest.approx([test.pvalue for test in expected], rel=1e-8)
        assert found[["level", "against", "segment"]].to_numpy().tolist() == [["a", "b", "plan"], ["c", "a", "plan"]]
        rest = changes.levels(metric(), joint, segment="plan")
        assert rest["against"].unique().tolist() == ["the rest"]
        expected_rest = stats.ttest_ind(y[:30], y[30:], equal_var=False)
        assert rest["p_value"].tolist()[0] == pytest.approx(expected_rest.pvalue, rel=1e-8)

    def test_together_it_is_the_paired_t(self, rng: np.random.Generator) -> None:
        """R: t.test(app, phone, paired = TRUE): every customer answers once on either channel."""
        app = rng.normal(3, 1, 40)
        phone = app + rng.normal(0.2, 0.6, 40)
        joint = Joint.of(
            np.concatenate([app, phone]), period=np.full(80, AFTER), level=np.repeat(["app", "phone"], 40),
            clusters=[*range(40)] * 2,
        )  # fmt: skip
        found = changes.levels(metric(), joint, [("app", "phone")], segment="channel")
        expected = stats.ttest_rel(app, phone)
        assert found["p_value"].item() == pytest.approx(expected.pvalue, rel=1e-8)
        assert "customers of both" in found["method"].item()
        rest = changes.levels(metric(), joint, segment="channel")
        assert rest["p_value"].tolist() == pytest.approx([expected.pvalue] * 2, rel=1e-8)
        assert rest["estimate"].tolist() == pytest.approx([found["estimate"].item(), -found["estimate"].item()])

    def test_in_part_it_is_the_linearised_sum_over_customers(self, rng: np.random.Generator) -> None:
        """Binder (1983): the variance of a difference is that of the sum of each customer's two residuals.

        G/(G-1) is taken per level (and its geometric mean), so the two agree to 1 / G.
        """
        joint, y, channel = self.joint(rng)
        found = changes.levels(metric(), joint, [("app", "phone")], segment="channel")
        parts = np.zeros(60)
        for level, sign in (("app", 1), ("phone", -1)):
            own = channel == level
            np.add.at(parts, self.WHO[own], sign * (y[own] - y[own].mean()) / own.sum())
        assert found["std_error"].item() == pytest.approx(np.sqrt((parts**2).sum()), rel=1 / 40)

    @pytest.mark.parametrize("kind", sorted(UNITS))
    def test_every_kind(self, kind: str, rng: np.random.Generator) -> None:
        y = rng.integers(0, 2, 180).astype(float)
        joint = Joint.of(y, period=np.repeat([BEFORE, AFTER], 90), level=["a", "b", "c"] * 60, clusters=self.WHO)
        found = changes.levels(metric(kind), joint, segment="plan")
        assert found["status"].unique().tolist() == ["ok"]
        assert list(zip(found["period"], found["level"], strict=True)) == [
            (period, level) for period in (BEFORE, AFTER) for level in "abc"
        ]
        assert set(found["verdict"]) <= {"moved", "not shown"}

    def test_small_levels_are_suppressed(self) -> None:
        y, level = np.arange(30.0), np.repeat(["big", "small"], [25, 5])
        found = changes.levels(metric(), Joint.of(y, period=[AFTER] * 30, level=level), segment="plan")
        assert found["status"].tolist() == ["suppressed"] * 2

    def test_faults_and_nothing(self) -> None:
        joint = Joint.of(np.arange(30.0), period=[AFTER] * 30, level=["one"] * 30)
        assert changes.levels(metric(), joint, segment="plan").empty
        with pytest.raises(UsageError, match="no period has the levels other"):
            changes.levels(metric(), joint, [("one", "other")], segment="plan")
        with pytest.raises(UsageError, match="neither 'rest' nor"):
            changes.levels(metric(), joint, "others", segment="plan")
        with pytest.raises(UsageError, match="a quantile has no sums"):
            changes.levels(metric("quantile"), joint, segment="plan")


class TestProperties:
    @given(kind=st.sampled_from(sorted(UNITS)), seed=st.integers(0, 10**6), share=st.floats(0, 1))
    def test_periods_change_places(self, kind: str, seed: int, share: float) -> None:
        """Before and after swapped, overlap and all: signs flip, p-values stay."""
        rng = np.random.default_rng(seed)
        y, who = rng.integers(0, 2, (2, 40)).astype(float), np.arange(40)
        assume(all(0 < row.mean() < 1 for row in y))
        there = np.where(rng.random(40) < share, who, who + 100)
        one = changes.between(
            metric(kind),
            both(
                *y,
            ),
            PAIR,
            overlaps=overlap(y[0], who, y[1], there),
        )
        other = changes.between(metric(kind), both(*y[::-1]), PAIR, overlaps=overlap(y[1], there, y[0], who))
        assume(one["status"].item() == "ok")
        assert_mirrored(one, other)

    @given(kind=st.sampled_from(sorted(UNITS)), seed=st.integers(0, 10**6))
    def test_rows_in_any_order(self, kind: str, seed: int) -> None:
        """Sums, overlaps and answers in another order: the same rows, in the same order, to the last bit of sums."""
        rng = np.random.default_rng(seed)
        frame, shared = many(*rng.integers(0, 2, (2, 6, 30)).astype(float), shared=12)
        found = changes.between(metric(kind), frame, PAIR, overlaps=shared, relative=True)
        mixed = [part.sample(frac=1, random_state=seed) for part in (frame, shared)]
        again = changes.between(metric(kind), mixed[0], PAIR, overlaps=mixed[1], relative=True)
        pd.testing.assert_frame_equal(found, again)
        pd.testing.assert_frame_equal(found, results.conform(found))


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


def test_a_quantile_against_its_target_is_scipys(rng: np.random.Generator) -> None:
    """SciPy `quantile_test` (Conover 1999): twice the smaller of its one-sided p-values."""
    for q, target in ((0.5, 60), (0.9, 120), (0.9, 90)):
        values = rng.geometric(0.015, 80)
        metric_ = metric("quantile", quantile=q, target=float(target), value="score")
        kept, often = np.unique(values, return_counts=True)
        counts = pd.DataFrame({"period": "2026-10", "level": "all", "value": kept, "rows": often, "missing": 0.0})
        counts = counts.assign(clusters=80.0).astype({"value": float, "rows": float})
        level = estimates.from_moments(metric_, counts)
        found = changes.to_target(metric_, level, counts=counts)
        sides = [stats.quantile_test(values, q=target, p=q, alternative=way).pvalue for way in ("less", "greater")]
        assert found["p_value"].item() == pytest.approx(min(1, 2 * min(sides)), rel=1e-9)
        assert (found["conf_low"].item() <= 0 <= found["conf_high"].item()) == (found["p_value"].item() > 0.05)
