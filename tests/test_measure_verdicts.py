"""The verdict on each difference, what a family of verdicts claims, and whether the claims are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from change_frames import BEFORE, PAIR, UNITS, both, many, metric
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes
from cxlib.measure.joint import Joint
from cxlib.measure.quantiles import Counts, counted_difference

Oracle = Callable[[str], dict[str, Any]]
Replicates = Callable[[int, int], int]
SMALLEST = "smallest change that could be seen: "


def noise(share: float, times: int) -> float:
    """Three standard errors of a simulated share."""
    return 3 * float(np.sqrt(share * (1 - share) / times))


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

    @pytest.mark.parametrize(("method", "key"), [("bh", "BH"), ("holm", "holm"), ("bonferroni", "bonferroni")])
    def test_benjamini_and_hochberg_1995(self, method: str, key: str, oracle: Oracle) -> None:
        """Their 15 p-values (J. R. Stat. Soc. B 57:289, section 3.2), R p.adjust; 4, 3 and 3 rejections at 5 %."""
        given = oracle("exp_padjust_bh1995")
        found = changes.adjust(given["inputs"]["p"], method)
        assert found.tolist() == pytest.approx([given["expected"][f"{key}.{k}"] for k in range(1, 16)], abs=1e-10)
        rejected = given["expected"]["rejected"]["fdr_bh" if method == "bh" else method]
        assert np.count_nonzero(found < 0.05) == rejected

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["bh", "holm", "bonferroni"]), st.data())
    def test_monotone_never_smaller_and_in_order(self, p_values: list[float], method: str, data: Any) -> None:
        order = data.draw(st.permutations(range(len(p_values))))
        found = changes.adjust(p_values, method)
        assert changes.adjust([p_values[k] for k in order], method).tolist() == found[order].tolist()
        rank = np.argsort(p_values, kind="stable")
        assert (np.diff(found[rank]) >= 0).all()
        assert (found >= np.asarray(p_values) - 1e-15).all()
        assert (found <= 1).all()

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.sampled_from(["fdr_bh", "holm", "bonferroni"]))
    def test_as_statsmodels(self, p_values: list[float], method: str) -> None:
        found = changes.adjust(p_values, method.removeprefix("fdr_"))
        assert found == pytest.approx(multipletests(p_values, method=method)[1], abs=1e-12)

    def test_weights_by_hand(self) -> None:
        """p / w is .02, .005, .0667: sorted .005, .02, .0667 times 3/1, 3/2, 3/3."""
        found = changes.adjust([0.03, 0.006, 0.04], weights=[1.5, 1.2, 0.6])
        # Means of 1.1: p w_mean / w = .022, .0055, .0733.
        assert found.tolist() == pytest.approx([0.033, 0.0165, 0.22 / 3], abs=1e-12)
        assert (
            changes.adjust([0.03, 0.006, 0.04], weights=[2, 2, 2]).tolist()
            == changes.adjust([0.03, 0.006, 0.04]).tolist()
        )

    def test_no_weight_makes_a_p_value_smaller(self) -> None:
        assert changes.adjust([0.2, 0.001, 0.002, 0.9], weights=[10, 1, 1, 1]).min() >= 0.001
        assert changes.adjust([0.2, 0.001, 0.002, 0.9], weights=[10, 1, 1, 1])[0] >= 0.2
        with pytest.raises(UsageError, match="above 0"):
            changes.adjust([0.2, 0.1], weights=[1, 0])

    def test_missing_ones_do_not_count(self) -> None:
        assert changes.adjust([0.02, np.nan]).tolist() == pytest.approx([0.02, np.nan], nan_ok=True)
        assert changes.adjust([]).size == 0
        with pytest.raises(UsageError, match="no adjustment"):
            changes.adjust([0.1], "fdr")
        with pytest.raises(UsageError, match="between 0 and 1"):
            changes.adjust([0.1, 1.2])


class TestJudge:
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

    def test_other_rows_pass_through(self) -> None:
        level = results.frame(metric="m", estimate=1.0, conf_low=0.0, conf_high=2.0, note="kept")
        pd.testing.assert_frame_equal(changes.judge(level, [metric()]), level)
        relative = level.assign(comparison="relative", p_value=0.001)
        assert changes.judge(relative, [metric()])["verdict"].item() == ""

    def test_the_smallest_change_of_two_means(self, oracle: Oracle) -> None:
        """R: power.t.test(power = .8, delta = .2) needs n = 393.4057; so many see a change of .2 standard deviations.

        1e-3: R integrates the non-central t, ours adds two quantiles of t (Cochran and Cox 1957, 2.21).
        """
        n = oracle("power_R_docs")["expected"]["n_pow.8_d.2"]
        error = np.sqrt(2 / n)
        assert self.smallest("mean", error, stats.t.isf(0.025, 2 * n - 2) * error) == pytest.approx(0.2, rel=1e-3)

    def test_the_smallest_change_of_few(self, oracle: Oracle) -> None:
        """R: power.t.test(n = 20, delta = 1) has .869; at .8 it sees .909 (power.t.test(n = 20, power = .8)): 1 %."""
        assert oracle("power_R_docs")["expected"]["power_n20_d1"] > 0.8
        error = np.sqrt(2 / 20)
        assert self.smallest("mean", error, stats.t.isf(0.025, 38) * error) == pytest.approx(0.9091, rel=0.01)

    def test_the_smallest_change_of_shares(self, oracle: Oracle) -> None:
        """R: power.prop.test(p1 = .10, p2 = .11, power = .8) needs n = 14750.8; R pools the variance under H0: 1 %."""
        n = oracle("power_R_docs")["expected"]["n_.10_.11_pow.8"]
        found = changes.share_difference(0.11 * n, n, 0.10 * n, n)
        half = (found["conf_high"] - found["conf_low"]).item() / 2
        assert self.smallest("share", found["std_error"].item(), half) == pytest.approx(1.0, rel=0.01)

    @staticmethod
    def smallest(kind: str, error: float, half: float) -> float:
        """Return what the note names, of a single row without a change."""
        row = results.frame(
            metric="m", comparison="difference", estimate=0.0, std_error=error, conf_low=-half, conf_high=half,
            p_value=1.0, n=100.0,
        )  # fmt: skip
        note = changes.judge(row, [metric(kind, change_that_matters=1e-9)])["note"].item()
        return float(note.removeprefix(SMALLEST).split()[0])


class TestFamily:
    @staticmethod
    def rows(periods: int, targets: int) -> pd.DataFrame:
        against = [BEFORE] * periods + ["target"] * targets
        blank = {"metric": "m", "comparison": "difference", "estimate": 1.0, "conf_low": 0.0, "conf_high": 2.0}
        return changes.judge(results.frame(**blank, against=against, p_value=0.5), [metric()])

    def test_what_is_claimed(self) -> None:
        assert changes.family(self.rows(22, 0)) == (
            "Verdicts allow for 22 comparisons with other periods or segments (Benjamini and Hochberg, 5 %): if "
            "nothing had really changed, at most 1 report in 20 would call any of them moved; if some had, at most "
            "5 % of those called moved would be false on average."
        )

    def test_targets_are_counted_apart(self) -> None:
        text = changes.family(self.rows(22, 18))
        assert text.endswith(
            "18 comparisons with targets are allowed for apart, in the same way (Benjamini and Hochberg, 5 %)."
        )
        assert changes.family(self.rows(0, 1)).startswith("1 comparison with targets is allowed for apart")

    def test_other_levels_and_methods(self) -> None:
        text = changes.family(self.rows(3, 0), alpha=0.03, method="holm")
        assert "(Holm, 3 %)" in text
        assert "at most 3 % of reports would call" in text
        assert "false on average" not in text
        assert changes.family(self.rows(1, 0)).endswith("at most 1 report in 20 would call it moved.")

    def test_nothing_compared_nothing_said(self) -> None:
        assert changes.family(results.empty()) == ""
        assert changes.family(results.frame(metric="m", estimate=1.0)) == ""


NPS_TRUTHS = [(0.5, 0.3, 0.2), (0.8, 0.15, 0.05), (0.95, 0.04, 0.01)]


def outcomes(n: int) -> np.ndarray:
    """Return every (promoters, passives, detractors) of n answers, one row each."""
    return np.array([(up, mid, n - up - mid) for up in range(n + 1) for mid in range(n + 1 - up)])


def called(n1: int, n2: int, one: Any, other: Any, method: str, alpha: float = 0.05) -> float:
    """Return exactly how often two samples from (one, other) are called different."""
    a, b = outcomes(n1), outcomes(n2)
    left, right = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    found = changes.nps_difference(tuple(left.T), tuple(right.T), method=method)
    chance = np.outer(stats.multinomial.pmf(a, n1, one), stats.multinomial.pmf(b, n2, other)).ravel()
    return float(chance[found["p_value"].to_numpy() < alpha].sum())


class TestSize:
    """How often a single comparison without any change is called different: at most alpha, give or take."""

    @pytest.mark.simulation
    @pytest.mark.parametrize("kind", sorted(UNITS))
    def test_pure_noise_moves_in_five_of_a_hundred(
        self, kind: str, rng: np.random.Generator, replicates: Replicates
    ) -> None:
        """Two months of the same truth: `moved` in at most alpha of single comparisons, give or take three errors."""
        times = replicates(600, 20_000)
        frame, _ = many(*rng.integers(0, 2, (2, times, 60)).astype(float))
        found = changes.between(metric(kind), frame, PAIR)
        assert (found["p_value"] < 0.05).mean() <= 0.05 + noise(0.05, times) + 0.005

    @pytest.mark.parametrize("truth", NPS_TRUTHS)
    @pytest.mark.parametrize("sizes", [(5, 5), (5, 10), (10, 10), (10, 20)])
    def test_nps_of_few_answers(self, sizes: tuple[int, int], truth: Any) -> None:
        """By enumeration, no noise. At most 6 % from ten answers a side on, and at five no more either."""
        assert called(*sizes, truth, truth, "welch") <= 0.06

    def test_nps_by_z_was_too_sure(self) -> None:
        """Why `welch` is the default: 8 % at ten answers a side, 6.6 times alpha at the first step of a family of 40.

        The price: 24 instead of 37 of 100 changes from (80/15/5) to (50/30/20) at ten answers.
        """
        truth = NPS_TRUTHS[0]
        assert called(10, 10, truth, truth, "wald") > 0.08
        assert called(10, 10, truth, truth, "wald", 0.00125) > 6 * 0.00125
        assert called(10, 10, truth, truth, "welch", 0.00125) < 0.00125
        power = {method: called(10, 10, NPS_TRUTHS[1], truth, method) for method in ("wald", "welch")}
        assert power == {"wald": pytest.approx(0.37, abs=0.01), "welch": pytest.approx(0.24, abs=0.01)}

    @pytest.mark.simulation
    @pytest.mark.parametrize("truth", NPS_TRUTHS)
    @pytest.mark.parametrize("sizes", [(5, 100), (10, 100), (30, 30), (30, 100), (100, 100), (30, 1_000)])
    def test_nps_of_more_answers(
        self, sizes: tuple[int, int], truth: Any, rng: np.random.Generator, replicates: Replicates
    ) -> None:
        times = replicates(4_000, 200_000)
        sides = [tuple(rng.multinomial(size, truth, times).T) for size in sizes]
        found = changes.nps_difference(*sides)
        assert (found["p_value"] < 0.05).mean() <= 0.06 + noise(0.06, times)

    @pytest.mark.simulation
    @pytest.mark.parametrize("truth", [0.5, 0.9])
    @pytest.mark.parametrize(("n", "returning"), [(10, 1.0), (30, 0.5), (30, 1.0), (100, 1.0)])
    def test_shares_of_the_same_few(
        self, n: int, returning: float, truth: float, rng: np.random.Generator, replicates: Replicates
    ) -> None:
        """Pairs alike with correlation one half. Without Newcombe's correction 7 to 11 % were called different."""
        times, k = replicates(4_000, 200_000), int(returning * n)
        alike, rest = truth**2 + 0.5 * truth * (1 - truth), 0.5 * truth * (1 - truth)
        pairs = rng.multinomial(k, [alike, rest, rest, 1 - alike - 2 * rest], times)
        lone = rng.binomial(n - k, truth, (2, times))
        x = (pairs[:, 0] + pairs[:, 1] + lone[0], pairs[:, 0] + pairs[:, 2] + lone[1])
        p, q = x[0] / n, x[1] / n
        products = pairs[:, 0] - q * (pairs[:, 0] + pairs[:, 1]) - p * (pairs[:, 0] + pairs[:, 2]) + k * p * q
        spread = n * np.sqrt(p * (1 - p) * q * (1 - q))
        rho = np.divide(products, spread, out=np.zeros(times), where=spread > 0)
        found = changes.share_difference(x[0], n, x[1], n, correlation=np.clip(rho, -1, 1))
        assert (found["p_value"] < 0.05).mean() <= 0.05 + noise(0.05, times) + 0.002

    @pytest.mark.simulation
    @pytest.mark.parametrize("people", [12, 30, 100])
    def test_rates_of_the_same_few(self, people: int, rng: np.random.Generator, replicates: Replicates) -> None:
        """The same customers both months, some given to complaining. With z for t 7 of 100 were called different."""
        times = replicates(3_000, 20_000)
        often = rng.gamma(1, 2, (times, people))
        frame, shared = many(*(rng.poisson(often).astype(float) for _ in range(2)), people)
        found = changes.between(metric("rate"), frame, PAIR, overlaps=shared)
        assert (found["p_value"] < 0.05).mean() <= 0.055 + noise(0.055, times)

    @pytest.mark.simulation
    @pytest.mark.parametrize("n", [20, 100])
    @pytest.mark.parametrize("kind", ["mean", "nps", "share"])
    def test_weighted_returners(self, kind: str, n: int, rng: np.random.Generator, replicates: Replicates) -> None:
        """Half answer again, true to their mood, with lasting weights from .4 to 2.5 (Kish deff 1.4)."""
        times = replicates(3_000, 20_000)
        mood = rng.beta(0.5, 0.5, (times, 3 * n // 2))
        weight = np.exp(0.6 * rng.normal(size=mood.shape))
        parts = (slice(0, n), slice(n // 2, None))
        y = [answers(kind, mood[:, part], rng) for part in parts]
        frame, shared = many(y[0], y[1], n // 2, (weight[:, parts[0]], weight[:, parts[1]]))
        found = changes.between(metric(kind), frame, PAIR, overlaps=shared)
        assert (found["p_value"] < 0.05).mean() <= 0.055 + noise(0.055, times)

    @pytest.mark.simulation
    def test_levels_that_share_customers(self, rng: np.random.Generator, replicates: Replicates) -> None:
        """Sixty customers answer three times in any of three channels, true to their mood: a channel less the rest.

        By customers: at most 5 %, and not for want of power: 3 % at least.
        """
        times, who = replicates(120, 1_500), np.repeat(np.arange(60), 3)
        called = 0
        for _ in range(times):
            y = np.repeat(rng.normal(size=60), 3) + 0.5 * rng.normal(size=180)
            joint = Joint.of(y, period=np.full(180, BEFORE), level=rng.choice(["a", "b", "c"], 180), clusters=who)
            called += changes.levels(metric(), joint, segment="channel")["p_value"].iloc[0] < 0.05
        assert 0.03 - noise(0.03, times) <= called / times <= 0.05 + noise(0.05, times)

    @pytest.mark.simulation
    @pytest.mark.parametrize("q", [0.5, 0.9])
    @pytest.mark.parametrize("sizes", [(36, 36), (36, 200), (100, 100)])
    @pytest.mark.parametrize("draw", ["skewed", "in two heaps", "coarse"])
    def test_quantiles(
        self, draw: str, sizes: tuple[int, int], q: float, rng: np.random.Generator, replicates: Replicates
    ) -> None:
        """Exact limits combined are at most as sure as they say: 3 % or less are called different at 5 %."""
        times = replicates(1_000, 20_000)
        draws: dict[str, Callable[[Any], np.ndarray]] = {
            "skewed": lambda shape: np.exp(rng.normal(0, 1.2, shape)),
            "in two heaps": lambda shape: (rng.random(shape) > q) + 0.01 * rng.normal(size=shape),
            "coarse": lambda shape: rng.poisson(2, shape).astype(float),
        }
        sides = []
        for size in sizes:
            values, cell = draws[draw]((times, size)).ravel(), np.repeat(np.arange(times), size)
            sides.append(Counts(cell, values, np.ones(values.size), times))
        found = counted_difference(*sides, q)
        assert (found["p_value"] < 0.05).mean() <= 0.035 + noise(0.035, times)


def answers(kind: str, mood: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one answer a customer, true to a lasting mood between 0 and 1."""
    chance = rng.random(mood.shape)
    if kind == "share":
        return (chance < mood).astype(float)
    if kind == "nps":
        return np.where(chance < 0.7 * mood, 1.0, np.where(chance > 1 - 0.4 * (1 - mood), -1.0, 0.0))
    return rng.gamma(1 + 4 * mood)  # money: skewed


def monthly(
    kind: str, rng: np.random.Generator, panels: int, months: int = 24, segments: int = 40
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield sums and overlaps of each month and the one before, panels x segments levels; nothing ever changes.

    Each segment has 120 customers with moods that last, of whom 30 to 60 % answer in a month: the same share of those
    who answer now answered the month before.
    """
    mood = rng.beta(0.8, 0.8, (panels * segments, 120))
    often = rng.uniform(0.3, 0.6, (panels * segments, 1))
    before = None
    for _ in range(months + 1):
        now = np.where(rng.random(mood.shape) < often, answers(kind, mood, rng), np.nan)
        if before is not None:
            yield many(before, now, mood.shape[1])
        before = now


@pytest.mark.simulation
@pytest.mark.parametrize("kind", ["mean", "nps", "share"])
def test_a_year_or_two_of_reports_without_any_change(
    kind: str, rng: np.random.Generator, replicates: Replicates
) -> None:
    """24 monthly reports of 40 segments, pure noise, recurring respondents: the share with any false `moved`.

    At most 5 %, as `family` claims. Treating the months as independent is safe where moods last (well below 5 %), and
    pays for it: the next test.
    """
    panels = replicates(10, 100)
    false = {"allowed for": 0, "ignored": 0}
    for sums, shared in monthly(kind, rng, panels):
        for name, overlaps in (("allowed for", shared), ("ignored", None)):
            found = changes.between(metric(kind), sums, PAIR, overlaps=overlaps)
            p_values = found["p_value"].to_numpy().reshape(panels, 40)
            false[name] += sum(bool((changes.adjust(report) < 0.05).any()) for report in p_values)
    reports = 24 * panels
    assert false["allowed for"] / reports <= 0.05 + noise(0.05, reports)
    assert false["ignored"] / reports < 0.03 + noise(0.03, reports)


def forty(p_values: np.ndarray) -> pd.DataFrame:
    """Return one difference of a lead metric and 39 of another, as they are before they are judged."""
    names = ["nps", *["csat"] * 39]
    return results.frame(
        metric=names, comparison="difference", against="2026-09", n=100.0, estimate=1.0, conf_low=-1.0, conf_high=3.0,
        p_value=p_values,
    )  # fmt: skip


@pytest.mark.simulation
def test_a_lead_costs_no_false_moves_and_finds_its_own(rng: np.random.Generator, replicates: Replicates) -> None:
    """Half of the error for one of 40: still any false `moved` in at most 5 % of reports, and its own found oftener."""
    times = replicates(300, 4_000)
    known = [metric("nps", id="nps"), metric("share", id="csat")]
    noise_only, found = 0, {"nps": 0, "": 0}
    for _ in range(times):
        p_values = rng.random(40)
        noise_only += (changes.judge(forty(p_values), known, lead="nps")["verdict"] == "moved").any()
        p_values[0] = 2 * stats.norm.sf(abs(rng.normal(2.8)))
        for lead in found:
            found[lead] += changes.judge(forty(p_values), known, lead=lead)["verdict"].iloc[0] == "moved"
    assert noise_only / times <= 0.05 + noise(0.05, times)
    assert found["nps"] / times > found[""] / times + 0.2


def test_the_family_names_the_metric_that_leads(rng: np.random.Generator) -> None:
    known = [metric("nps", id="nps", title="Net Promoter Score"), metric("share", id="csat")]
    frame = forty(rng.random(40) / 4)
    judged = changes.judge(frame, known, lead="nps")
    said = changes.family(judged, {one.id: one for one in known})
    assert "Half of the allowed error is kept for Net Promoter Score, which leads the report." in said
    assert "Half of" not in changes.family(changes.judge(frame, known))
    assert judged["p_adjusted"].iloc[0] < changes.judge(frame, known)["p_adjusted"].iloc[0]
    assert (judged["p_adjusted"] >= judged["p_value"]).all()


@pytest.mark.simulation
def test_what_ignoring_returners_costs(rng: np.random.Generator, replicates: Replicates) -> None:
    """Half of 100 answer again, true to their mood: of real changes one standard error apart more are found."""
    times = replicates(1_000, 20_000)
    mood = rng.beta(0.5, 0.5, (times, 150))
    before, after = (answers("mean", mood[:, part], rng) for part in (slice(0, 100), slice(50, 150)))
    frame, shared = many(before, after + 0.7, 50)
    power = {
        name: (changes.between(metric(), frame, PAIR, overlaps=overlaps)["p_value"] < 0.05).mean()
        for name, overlaps in (("allowed for", shared), ("ignored", None))
    }
    assert power["allowed for"] > power["ignored"] + 0.05


@pytest.mark.simulation
class TestPower:
    """METHODS, Verdict: the smallest change that could be seen is `moved` in four of five cases, as given."""

    @pytest.mark.parametrize("others", [0, 39])
    def test_by_z(self, others: int, rng: np.random.Generator, replicates: Replicates) -> None:
        """The verdict as it is given among others, not a test by itself."""
        times, half = replicates(250, 2_500), stats.norm.isf(0.025)
        blank = {"metric": "m", "comparison": "difference", "against": "2026-09", "n": 100.0, "p_value": 1.0}
        quiet = results.frame(**blank, estimate=np.zeros(others + 1), conf_low=-half, conf_high=half)
        note = changes.judge(quiet, [metric("rate", change_that_matters=1e-9)])["note"].iloc[0]
        seen = 0
        for _ in range(times):
            z = rng.normal(size=others + 1)
            z[0] += float(note.removeprefix(SMALLEST))
            frame = quiet.assign(estimate=z, conf_low=z - half, conf_high=z + half, p_value=2 * stats.norm.sf(abs(z)))
            seen += changes.judge(frame, [metric()])["verdict"].iloc[0] == "moved"
        assert seen / times >= 0.8 - noise(0.8, times)

    @pytest.mark.parametrize("others", [0, 39])
    @pytest.mark.parametrize(("kind", "n"), [("mean", 12), ("mean", 100), ("nps", 200), ("nps", 400), ("share", 150)])
    def test_by_answers(self, kind: str, n: int, others: int, rng: np.random.Generator, replicates: Replicates) -> None:
        """From answers: the first of a family changes by what quiet families' notes name, the others do not.

        The error is estimated, and shares and scores change theirs as they move: 80 % give or take 6. Scores fall
        here; a rise by so much leaves few detractors, less variance, and is seen in 90 of 100 cases.
        """
        times = replicates(150, 3_000)
        quiet, _ = many(self.draw(kind, (400, n), 0.0, rng), self.draw(kind, (400, n), 0.0, rng))
        asked, unit = metric(kind, change_that_matters=1e-9), 100 if kind == "share" else 1
        rows = changes.between(asked, quiet, PAIR).assign(p_value=1.0)
        families = [rows.iloc[k : k + others + 1] for k in range(0, 400, max(others + 1, 10))]
        notes = pd.concat([changes.judge(family, [asked])["note"] for family in families])
        named = notes.str.removeprefix(SMALLEST).str.split().str[0].astype(float).mean() / unit
        shift = np.zeros((times * (others + 1), 1))
        shift[:: others + 1] = -named if kind == "nps" else named
        size = (times * (others + 1), n)
        frame, _ = many(self.draw(kind, size, 0.0, rng), self.draw(kind, size, shift, rng))
        p_values = changes.between(metric(kind), frame, PAIR)["p_value"].to_numpy().reshape(times, others + 1)
        seen = np.mean([changes.adjust(report)[0] < 0.05 for report in p_values])
        assert seen == pytest.approx(0.8, abs=0.06 + noise(0.8, times))

    @pytest.mark.parametrize("kind", ["mean", "nps", "share"])
    def test_nobody_who_can_see_is_called_blind(
        self, kind: str, rng: np.random.Generator, replicates: Replicates
    ) -> None:
        """Where the change that matters is 1.3 times the smallest, not one in a hundred of quiet rows is blind."""
        times, n = replicates(1_000, 20_000), 200
        frame, _ = many(*(self.draw(kind, (times, n), 0.0, rng) for _ in range(2)))
        found = changes.between(metric(kind), frame, PAIR).assign(p_value=1.0)
        cutoff = (stats.norm.isf(0.025 / times) + stats.norm.isf(0.2)) * found["std_error"].mean()
        blind = changes.judge(found, [metric(kind, change_that_matters=1.3 * cutoff)])["verdict"]
        assert (blind == "could not have been seen").mean() < 0.01
        seeing = changes.judge(found, [metric(kind, change_that_matters=cutoff / 1.3)])["verdict"]
        assert (seeing == "could not have been seen").mean() > 0.99

    @staticmethod
    def draw(kind: str, shape: tuple[int, int], shift: Any, rng: np.random.Generator) -> np.ndarray:
        """Return answers with mean shift (mean), 40 % (share) or a score of 20 points (NPS) more than without."""
        if kind == "mean":
            return rng.normal(size=shape) + shift
        chance = rng.random(shape)
        if kind == "share":
            return (chance < 0.4 + shift).astype(float)
        half = np.asarray(shift) / 200  # of a promoter more and a detractor less
        return np.where(chance < 0.45 + half, 1.0, np.where(chance > 0.75 + half, -1.0, 0.0))
