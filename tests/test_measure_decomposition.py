"""A change split into mix and rate: by hand, against statsmodels and a bootstrap, and what always holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.oaxaca import OaxacaBlinder

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes, decomposition, kitagawa
from cxlib.measure.joint import Joint
from cxlib.measure.moments import Moments
from cxlib.params import Metric
from tests.show_frames import metric

BEFORE, AFTER = "2025-10", "2026-10"


def shares(**levels: tuple[int, int]) -> pd.DataFrame:
    """Return moments of shares by level, from (successes, answers)."""
    rows = [{"source": name, "n": n, "y": y, "yy": y} for name, (y, n) in levels.items()]
    return pd.DataFrame(rows, columns=["source", "n", "y", "yy"])


def estimate(found: pd.DataFrame, comparison: str, level: str = "all", at: str = "") -> float:
    row = found[(found["comparison"] == comparison) & (found["level"] == level) & (found["at"] == at)]
    return float(row["estimate"].item())


def levels_of(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that add up to the change."""
    return found[found["comparison"].isin(["mix", "rate"]) & (found["level"] != "all") & (found["at"] == "")]


def company(
    rng: np.random.Generator, people: int = 600, answers: int = 2, levels: str = "ABCD", **changed: Any
) -> dict[str, Any]:
    """Return rows of customers who may answer in both periods, most in the same level; the mix moves to the last."""
    who = np.repeat(np.arange(people), answers)
    period = rng.choice([BEFORE, AFTER], who.size)
    home, other = rng.integers(0, len(levels), people)[who], rng.integers(0, len(levels), who.size)
    level = np.where(rng.random(who.size) < 0.8, home, other)
    level = np.where((period == AFTER) & (rng.random(who.size) < 0.2), len(levels) - 1, level)
    mood = rng.normal(0, 0.7, people)[who] - 0.5 * level + 0.3 * (period == AFTER) + rng.normal(0, 1, who.size)
    y = np.select([mood > 0, mood < -1], [1.0, -1.0], 0.0)
    return {"y": y, "period": period, "level": np.array(list(levels))[level], "clusters": who, **changed}


class TestFormulas:
    def test_by_hand(self) -> None:
        """R: .50 to .42. w bar .35 and .65, r bar .85 and .25, R bar .46: each product by hand."""
        found = changes.decompose(shares(a=(40, 50), b=(10, 50)), shares(a=(18, 20), b=(24, 80)), "source")
        assert set(found["comparison"]) == {"mix", "rate"}
        assert estimate(found, "mix", "a") == pytest.approx((0.85 - 0.46) * -0.3, abs=1e-12)
        assert estimate(found, "mix", "b") == pytest.approx((0.25 - 0.46) * 0.3, abs=1e-12)
        assert estimate(found, "rate", "a") == pytest.approx(0.35 * 0.1, abs=1e-12)
        assert estimate(found, "rate", "b") == pytest.approx(0.65 * 0.1, abs=1e-12)
        assert found["estimate"].sum() == pytest.approx(-0.08, abs=1e-12)
        assert (found["status"] == "ok").all()
        assert (found["conf_low"] < found["estimate"]).all()
        assert found.loc[found["level"] == "a", "n"].tolist() == [70, 70]

    def test_totals_are_those_of_statsmodels_oaxaca_blinder(self, rng: np.random.Generator) -> None:
        """Three-fold: endowments, coefficients, interaction; Kitagawa gives half of the interaction to each."""
        rows = company(rng)
        dummies = pd.get_dummies(rows["level"]).to_numpy(dtype=float)
        first = (rows["period"] == AFTER).astype(float)
        exog = np.column_stack([dummies, first])
        with np.errstate(all="ignore"):
            endow, coef, both, gap = OaxacaBlinder(rows["y"], exog, 4, hasconst=True, swap=False).three_fold().params
        if np.sign(gap) != np.sign(rows["y"][first == 1].mean() - rows["y"][first == 0].mean()):
            endow, coef, both = -endow, -coef, -both
        found = decomposition.parts(Joint.of(**rows), BEFORE, AFTER)
        assert estimate(found, "mix") == pytest.approx(endow + both / 2, abs=1e-9)
        assert estimate(found, "rate") == pytest.approx(coef + both / 2, abs=1e-9)

    @pytest.mark.parametrize(
        ("name", "formula", "full"),
        [
            ("mix", lambda y, x: kitagawa.split(y, x)[0], False),
            ("rate", lambda y, x: kitagawa.split(y, x)[1], False),
            ("change", kitagawa.change, False),
            ("two", lambda y, x: kitagawa.by_two(y, x, FIRST, SECOND)[0], False),
            ("shares", lambda y, x: kitagawa.shares(x), False),
            ("rest", kitagawa.against_rest, True),
        ],
    )
    def test_gradients_are_those_of_numerical_differentiation(
        self, name: str, formula: Callable[..., kitagawa.Terms], full: bool, rng: np.random.Generator
    ) -> None:
        """Central differences, step 1e-5 of sums near 50: their own error is about 1e-9."""
        y, x = rng.uniform(5, 50, (2, 5)), rng.uniform(50, 100, (2, 5))
        if not full:
            y[0, 1] = x[0, 1] = y[1, 2] = x[1, 2] = 0  # a new level, and one that is gone
        terms = formula(y, x)
        for which, slope in ((0, terms.dy), (1, terms.dx)):
            for p, k in zip(*np.nonzero(x), strict=True):
                step = np.zeros_like(y)
                step[p, k] = 1e-5
                up, down = ((y + s * step, x) if which == 0 else (y, x + s * step) for s in (1, -1))
                numeric = (formula(*up).value - formula(*down).value) / 2e-5
                np.testing.assert_allclose(slope[:, p, k], numeric, atol=1e-7, err_msg=name)

    @pytest.mark.parametrize("formula", [kitagawa.contributions, kitagawa.beyond_rest])
    def test_gradients_over_a_shared_denominator(
        self, formula: Callable[..., kitagawa.Terms], rng: np.random.Generator
    ) -> None:
        """The whole weight of a period's x lies on the level's own cell, so all cells' x are moved at once."""
        y, x = rng.uniform(5, 50, (2, 5)), np.repeat(rng.uniform(50, 100, (2, 1)), 5, axis=1)
        terms = formula(y, x)
        for p in (0, 1):
            step = np.zeros_like(x)
            step[p] = 1e-5
            numeric = (formula(y, x + step).value - formula(y, x - step).value) / 2e-5
            np.testing.assert_allclose(terms.dx[:, p].sum(axis=1), numeric, atol=1e-7)
            for k in range(5):
                step = np.zeros_like(y)
                step[p, k] = 1e-5
                numeric = (formula(y + step, x).value - formula(y - step, x).value) / 2e-5
                np.testing.assert_allclose(terms.dy[:, p, k], numeric, atol=1e-7)


FIRST, SECOND = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 1])
cells = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8)


class TestWhatAlwaysHolds:
    @settings(max_examples=15)
    @given(cells, cells, st.randoms())
    def test_the_parts_add_up_and_no_order_matters(self, one: Any, other: Any, random: Any) -> None:
        sides = [{f"L{i}": (min(y, n), n) for i, (y, n) in enumerate(side) if n} for side in (one, other)]
        if not all(sides):
            return
        before, after = (shares(**side) for side in sides)
        found = changes.decompose(before, after, "source")
        change = after["y"].sum() / after["n"].sum() - before["y"].sum() / before["n"].sum()
        assert found["estimate"].sum() == pytest.approx(change, abs=1e-9)
        places = list(range(len(after)))
        random.shuffle(places)
        pd.testing.assert_frame_equal(found, changes.decompose(before.iloc[::-1], after.iloc[places], "source"))
        back = changes.decompose(after, before, "source")
        np.testing.assert_allclose(back["estimate"], -found["estimate"], atol=1e-12)
        np.testing.assert_allclose(back["std_error"], found["std_error"], atol=1e-12)

    @settings(max_examples=20)
    @given(st.integers(0, 2**32 - 1), st.booleans())
    def test_with_weights_clusters_and_ratios(self, seed: int, ratio: bool) -> None:
        rng = np.random.default_rng(seed)
        rows = company(rng, people=40, answers=3)
        size = rows["y"].size
        x = rng.uniform(0.5, 5, size) if ratio else None
        weights = rng.uniform(0.2, 4, size)
        joint = Joint.of(rows.pop("y"), x, weights=weights, **rows)
        found = decomposition.parts(joint, BEFORE, AFTER, scale=100, min_n=5)
        total = estimate(found, "difference")
        whole = joint.merge(["all"] * len(joint.keys)).moments().ratio
        assert total == pytest.approx(100 * (whole[1] - whole[0]), abs=1e-9)
        assert levels_of(found)["estimate"].sum() == pytest.approx(total, abs=1e-9)
        assert estimate(found, "mix") + estimate(found, "rate") == pytest.approx(total, abs=1e-9)

    def test_names_of_levels_change_nothing(self, rng: np.random.Generator) -> None:
        rows = company(rng)
        found = decomposition.parts(Joint.of(**rows), BEFORE, AFTER)
        swapped = {"A": "z", "B": "y", "C": "all", "D": "w"}
        other = decomposition.parts(
            Joint.of(**{**rows, "level": [swapped[level] for level in rows["level"]]}), BEFORE, AFTER
        )
        for kind in ("mix", "rate"):
            for old, new in (swapped | {"C": "all (level)"}).items():
                assert estimate(other, kind, new) == pytest.approx(estimate(found, kind, old), abs=1e-12)
            assert estimate(other, kind) == pytest.approx(estimate(found, kind), abs=1e-12)

    def test_sixty_levels(self, rng: np.random.Generator) -> None:
        size = 6_000
        names = np.array([f"level {i:02}" for i in range(60)])
        joint = Joint.of(
            rng.integers(0, 2, size), period=rng.choice([BEFORE, AFTER], size), level=names[rng.integers(0, 60, size)]
        )
        found = decomposition.parts(joint, BEFORE, AFTER)
        assert len(levels_of(found)) == 120
        assert levels_of(found)["estimate"].sum() == pytest.approx(estimate(found, "difference"), abs=1e-9)
        others = found[found["at"] == "other levels"]
        assert others["level"].tolist() == ["other levels (58)"] * 2
        for kind in ("mix", "rate"):
            own = levels_of(found)[levels_of(found)["comparison"] == kind]["estimate"]
            named = own[own.abs().nlargest(2).index].sum()
            assert estimate(found, kind, "other levels (58)", "other levels") == pytest.approx(own.sum() - named)


class TestErrors:
    def test_the_change_has_the_interval_of_welch(self, rng: np.random.Generator) -> None:
        """Customers of one period each, several answers each: `mean_difference` knows nothing of levels."""
        rows = company(rng)
        rows["clusters"] = [f"{p} {c}" for p, c in zip(rows["period"], rows["clusters"], strict=True)]
        sides = [Moments.of(rows["y"][m], clusters=np.array(rows["clusters"])[m]) for m in _halves(rows)]
        welch = changes.mean_difference(*sides)
        found = decomposition.parts(Joint.of(**rows), BEFORE, AFTER)
        own = found[found["comparison"] == "difference"]
        for name in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
            assert own[name].item() == pytest.approx(welch[name].item(), rel=1e-9), name

    def test_the_change_of_nps_has_the_error_of_z(self, rng: np.random.Generator) -> None:
        """The z of NPS divides by n, the moments' variance by n - 1: the same but for that, sqrt(n / (n - 1))."""
        y, period = rng.integers(-1, 2, 900), np.repeat([BEFORE, AFTER], [400, 500])
        found = decomposition.parts(
            Joint.of(y, period=period, level=rng.choice(list("ab"), 900)), BEFORE, AFTER, scale=100
        )
        counts = [tuple((y[period == label] == kind).sum() for kind in (1, 0, -1)) for label in (BEFORE, AFTER)]
        z = changes.nps_difference(*counts)["std_error"].item()
        assert found[found["comparison"] == "difference"]["std_error"].item() == pytest.approx(z, rel=1 / 390)

    def test_errors_are_those_of_a_cluster_bootstrap(self, rng: np.random.Generator) -> None:
        """800 resamples of customers, who recur; their SD is sure to 2.5 %, the tolerance is four of that."""
        rows = company(rng, people=1_500)
        joint = Joint.of(**rows)
        found = decomposition.parts(joint, BEFORE, AFTER)
        code = {(p, k): i for i, (p, k) in enumerate((p, k) for p in (BEFORE, AFTER) for k in "ABCD")}
        cell = np.array([code[key] for key in zip(rows["period"], rows["level"], strict=True)])
        y, x = (np.zeros((1_500, 8)) for _ in range(2))
        np.add.at(y, (rows["clusters"], cell), rows["y"])
        np.add.at(x, (rows["clusters"], cell), 1)
        draws = rng.multinomial(1_500, np.full(1_500, 1 / 1_500), 800).astype(float)
        values = []
        for one, other in zip(draws @ y, draws @ x, strict=True):
            mix, rate = kitagawa.split(one.reshape(2, 4), other.reshape(2, 4))
            change = kitagawa.change(one.reshape(2, 4), other.reshape(2, 4))
            values.append([change.value[0], mix.value.sum(), rate.value.sum(), *mix.value, *rate.value])
        own = found[(found["at"] == "") & (found["comparison"] != "share")]["std_error"].to_numpy()
        np.testing.assert_allclose(own, np.std(values, axis=0, ddof=1), rtol=0.1)

    def test_of_two_dimensions_too(self, rng: np.random.Generator) -> None:
        people = 1_200
        rows = company(rng, people=people)
        plan = np.where(rng.random(rows["y"].size) < np.where(rows["period"] == AFTER, 0.7, 0.4), "u", "v")
        rows["y"] = np.where((plan == "u") & (rng.random(plan.size) < 0.4), 1.0, rows["y"])
        rows["level"] = np.array([f"{one} x {two}" for one, two in zip(rows["level"], plan, strict=True)])
        found = decomposition.parts(Joint.of(**rows), BEFORE, AFTER, segment="source x plan")
        names = sorted(set(rows["level"]))
        first, second = (np.unique([n.split(" x ")[i] for n in names], return_inverse=True)[1] for i in (0, 1))
        cell = np.array([names.index(level) for level in rows["level"]]) + len(names) * (rows["period"] == AFTER)
        y, x = (np.zeros((people, 2 * len(names))) for _ in range(2))
        np.add.at(y, (rows["clusters"], cell), rows["y"])
        np.add.at(x, (rows["clusters"], cell), 1)
        draws = rng.multinomial(people, np.full(people, 1 / people), 800).astype(float)
        shape = (2, len(names))
        pairs = zip(draws @ y, draws @ x, strict=True)
        values = [kitagawa.by_two(a.reshape(shape), b.reshape(shape), first, second)[0].value for a, b in pairs]
        own = found[(found["comparison"] == "mix") & (found["level"] != "all")]
        assert own["level"].tolist() == ["source", "plan"]
        np.testing.assert_allclose(own["std_error"], np.std(values, axis=0, ddof=1), rtol=0.1)

    @pytest.mark.simulation
    def test_coverage(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """250 answers a period of customers who recur; parts and levels, the smallest of 13 answers, hold 95 %.

        Less 0.03 for the mix of single levels: where both its factors are small their product is skewed.
        """
        times, hits = replicates(40, 20_000), []
        weight = {BEFORE: np.array([0.5, 0.3, 0.15, 0.05]), AFTER: np.array([0.35, 0.3, 0.25, 0.1])}
        happy = {BEFORE: np.array([0.7, 0.6, 0.4, 0.2]), AFTER: np.array([0.75, 0.6, 0.5, 0.25])}
        terms = kitagawa.split(*(np.stack([f(p) for p in (BEFORE, AFTER)]) for f in (
            lambda p: weight[p] * happy[p], lambda p: weight[p])))  # fmt: skip
        truth = np.concatenate([[t.value.sum() for t in terms], *(t.value for t in terms)])
        for _ in range(times):
            rows = []
            for label in (BEFORE, AFTER):
                who = rng.choice(400, 250)  # some twice, many in both periods
                level = rng.choice(4, 250, p=weight[label])
                # Each customer's answers lean one way, and still come out right on average.
                lean = 0.15 * np.where(who % 2, 1, -1)
                rows.append((rng.random(250) < happy[label][level] + lean, [label] * 250, level, who))
            y, period, level, who = (np.concatenate(column) for column in zip(*rows, strict=True))
            found = decomposition.parts(
                Joint.of(y, period=period, level=level.astype(str), clusters=who), BEFORE, AFTER, min_n=2
            )
            own = found[found["comparison"].isin(["mix", "rate"]) & (found["at"] == "")]
            assert len(own) == len(truth)
            hits.append((own["conf_low"].to_numpy() <= truth) & (own["conf_high"].to_numpy() >= truth))
        noise = 3 * np.sqrt(0.05 * 0.95 / times)
        covered = np.mean(hits, axis=0)
        assert (covered >= 0.95 - 0.03 - noise).all(), covered


def _halves(rows: dict[str, Any]) -> list[np.ndarray]:
    return [rows["period"] == BEFORE, rows["period"] == AFTER]


class TestEdges:
    def test_a_new_level_and_one_that_is_gone_are_all_mix(self) -> None:
        found = changes.decompose(shares(a=(30, 60), gone=(30, 40)), shares(a=(36, 60), new=(2, 20)), "source")
        for level, told in (("new", "none in before"), ("gone", "none in after")):
            rows = found[found["level"] == level].set_index("comparison")
            assert rows.loc["rate", "estimate"] == 0
            assert rows.loc["mix", "estimate"] != 0
            assert rows["note"].tolist() == [told] * 2
            assert np.isnan(rows.loc["rate", "p_value"])  # nothing was tested
        assert found["estimate"].sum() == pytest.approx(38 / 80 - 60 / 100, abs=1e-12)

    def test_a_numerator_over_nothing_is_rate(self) -> None:
        """Contacts in a region without orders: the sum holds, and nobody's share of the orders moved."""
        sums = {"rows": 40, "clusters": 40, "yy": 30, "xy": 20, "y2": 30}
        before = pd.DataFrame(
            [{"r": "N", "y": 20, "x": 40, "xx": 40, **sums}, {"r": "S", "y": 5, "x": 0, "xx": 0, **sums}]
        )
        after = pd.DataFrame(
            [{"r": "N", "y": 22, "x": 40, "xx": 40, **sums}, {"r": "S", "y": 9, "x": 0, "xx": 0, **sums}]
        )
        found = changes.decompose(before, after, "r")
        assert estimate(found, "mix", "S") == 0
        assert estimate(found, "rate", "S") == pytest.approx(4 / 40, abs=1e-12)
        assert found["estimate"].sum() == pytest.approx(6 / 40, abs=1e-12)

    def test_one_level_is_all_rate(self) -> None:
        found = changes.decompose(shares(a=(30, 60)), shares(a=(30, 40)), "source")
        assert estimate(found, "mix", "a") == 0
        assert estimate(found, "rate", "a") == pytest.approx(0.25, abs=1e-12)

    def test_no_change_at_all(self) -> None:
        found = changes.decompose(shares(a=(30, 60), b=(5, 40)), shares(a=(30, 60), b=(5, 40)), "source")
        np.testing.assert_allclose(found["estimate"], 0, atol=1e-15)
        assert (found["conf_low"] < 0).all()
        assert (found["p_value"] == 1).all()

    def test_nothing_but_promoters_is_no_certainty_told_as_one(self) -> None:
        found = changes.decompose(shares(a=(30, 30), b=(40, 40)), shares(a=(50, 50), b=(20, 20)), "source")
        assert (found["status"] == "ok").all()
        assert found["note"].unique().tolist() == ["nothing varied here: the interval has no width"]
        assert found["p_value"].isna().all()

    def test_a_level_of_like_answers_borrows_from_the_whole(self) -> None:
        """Ten promoters of ten before and after are no proof that a level stands still."""
        found = changes.decompose(shares(a=(10, 10), b=(50, 90)), shares(a=(10, 10), b=(50, 90)), "source")
        rate = found[(found["comparison"] == "rate") & (found["level"] == "a")]
        # V of the whole is p q = .24; 3 / 13 of it over 10 customers, twice, at a share of .1
        assert rate["std_error"].item() == pytest.approx(0.1 * np.sqrt(2 * 3 / 13 * 0.24 / 10), rel=0.01)

    def test_a_period_without_answers(self) -> None:
        for sides in ((shares(), shares(a=(1, 2))), (shares(a=(1, 2)), shares()), (shares(a=(0, 0)), shares(a=(1, 2)))):
            found = changes.decompose(*sides, "source")
            assert found["status"].tolist() == ["undefined"] * 2
            assert found["note"].str.startswith("no answers in ").all()
            assert found["estimate"].isna().all()

    def test_one_respondent(self) -> None:
        found = changes.decompose(shares(a=(1, 1)), shares(a=(1, 2), b=(0, 1)), "source")
        assert set(found["status"]) == {"undefined"}
        assert found["note"].iloc[0] == "fewer than two customers in a period"


class TestSmallLevels:
    def test_they_are_pooled_visibly(self) -> None:
        before = shares(a=(30, 60), b=(5, 40), c=(2, 3), d=(4, 9))
        after = shares(a=(30, 50), b=(5, 40), c=(9, 20), d=(9, 20), e=(1, 4))
        found = changes.decompose(before, after, "source", min_n=10)
        assert sorted(set(found["level"])) == ["a", "b", "small levels (3)"]
        assert "c, d, e" in found[found["level"] == "small levels (3)"]["note"].iloc[0]
        assert found["estimate"].sum() == pytest.approx(54 / 134 - 41 / 112, abs=1e-12)

    def test_the_next_smallest_joins_a_pool_that_is_too_small_itself(self) -> None:
        found = changes.decompose(
            shares(a=(30, 60), b=(5, 12), c=(1, 3)), shares(a=(30, 50), b=(5, 15), c=(1, 30)), "source", min_n=10
        )
        assert sorted(set(found["level"])) == ["a", "small levels (2)"]

    def test_a_large_new_level_stays(self) -> None:
        found = changes.decompose(shares(a=(30, 60)), shares(a=(30, 50), new=(5, 10)), "source", min_n=10)
        assert sorted(set(found["level"])) == ["a", "new"]

    def test_if_all_are_small_one_level_is_left(self) -> None:
        sides = [shares(**dict.fromkeys("ab", (4, 8))), shares(**dict.fromkeys("ab", (3, 7)))]
        assert set(changes.decompose(*sides, "source", min_n=10)["level"]) == {"small levels (2)"}

    def test_a_period_of_few_customers_is_suppressed(self) -> None:
        found = changes.decompose(shares(a=(3, 9)), shares(a=(30, 60)), "source", min_n=10)
        assert found["status"].tolist() == ["suppressed"] * 2

    def test_distinct_customers_count_not_answers(self, rng: np.random.Generator) -> None:
        """Four customers give forty answers of level b: four are too few."""
        who = np.concatenate([np.arange(400), np.repeat(np.arange(4), 10), np.arange(400)])
        level = np.repeat(["a", "b", "a"], [400, 40, 400])
        period = np.repeat([BEFORE, AFTER], [440, 400])
        found = decomposition.parts(
            Joint.of(rng.integers(0, 2, who.size), period=period, level=level, clusters=who), BEFORE, AFTER
        )
        assert set(levels_of(found)["level"]) == {"small levels (2)"}

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=20)
    def test_nothing_shown_stands_on_fewer(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        joint = Joint.of(
            rng.integers(0, 2, 150), period=rng.choice([BEFORE, AFTER], 150), level=rng.geometric(0.3, 150).astype(str),
            clusters=rng.integers(0, 90, 150),
        )  # fmt: skip
        kept, _ = decomposition.pooled(joint, BEFORE, AFTER, 10)
        assert kept.clusters.min() >= 10
        found = decomposition.parts(joint, BEFORE, AFTER)
        assert levels_of(found)["estimate"].sum() == pytest.approx(estimate(found, "difference"), abs=1e-9)


class TestTwoDimensions:
    def frames(self, rng: np.random.Generator) -> list[pd.DataFrame]:
        sides = []
        for _ in range(2):
            n = rng.integers(20, 90, 6)
            y = rng.binomial(n, rng.uniform(0.1, 0.9, 6))
            names = {"region": ["N", "N", "S", "S", "E", "E"], "plan": ["Basic", "Pro"] * 3}
            sides.append(pd.DataFrame({**names, "n": n, "y": y, "yy": y}))
        return sides

    def test_they_add_up(self, rng: np.random.Generator) -> None:
        before, after = self.frames(rng)
        found = changes.decompose(before, after, ["region", "plan"])
        assert found[found["comparison"] == "mix"]["level"].tolist() == ["region", "plan"]
        assert found[found["comparison"] == "rate"]["level"].tolist() == sorted(
            f"{r} x {p}" for r, p in zip(before["region"], before["plan"], strict=True)
        )
        change = after["y"].sum() / after["n"].sum() - before["y"].sum() / before["n"].sum()
        assert found["estimate"].sum() == pytest.approx(change, abs=1e-9)
        assert (found["segment"] == "region x plan").all()

    def test_shapley_by_its_definition(self, rng: np.random.Generator) -> None:
        before, after = self.frames(rng)

        def mix(by: str | list[str]) -> float:
            one, other = (frame.groupby(by, as_index=False)[["n", "y", "yy"]].sum() for frame in (before, after))
            if isinstance(by, list):
                one, other = (f.assign(cell=f["region"] + f["plan"]).drop(columns=by) for f in (one, other))
            found = changes.decompose(one, other, "cell" if isinstance(by, list) else by)
            return float(found[found["comparison"] == "mix"]["estimate"].sum())

        alone, both = {name: mix(name) for name in ("region", "plan")}, mix(["region", "plan"])
        found = changes.decompose(before, after, ["region", "plan"])
        assert estimate(found, "mix", "region") == pytest.approx(
            (alone["region"] + both - alone["plan"]) / 2, abs=1e-12
        )
        assert estimate(found, "mix", "plan") == pytest.approx((alone["plan"] + both - alone["region"]) / 2, abs=1e-12)

    def test_neither_order_nor_copies_matter(self, rng: np.random.Generator) -> None:
        before, after = self.frames(rng)
        one, other = (changes.decompose(before, after, by) for by in (["region", "plan"], ["plan", "region"]))
        for name in ("region", "plan"):
            assert estimate(one, "mix", name) == pytest.approx(estimate(other, "mix", name), abs=1e-12)
        sides = [frame.groupby("region", as_index=False)[["n", "y", "yy"]].sum() for frame in (before, after)]
        copied = changes.decompose(*(side.assign(again=side["region"]) for side in sides), ["region", "again"])
        assert estimate(copied, "mix", "region") == pytest.approx(estimate(copied, "mix", "again"), abs=1e-12)
        idle = changes.decompose(*(side.assign(always="x") for side in sides), ["region", "always"])
        assert estimate(idle, "mix", "always") == pytest.approx(0, abs=1e-12)

    def test_levels_that_hold_the_sign_between(self) -> None:
        levels = ["4 x 4 x web", "4 x 4 x shop", "van x web", "van x shop"]
        assert decomposition.halves(levels) == [("4 x 4", "web"), ("4 x 4", "shop"), ("van", "web"), ("van", "shop")]


class TestSharedDenominator:
    def test_each_level_s_own_change(self, rng: np.random.Generator) -> None:
        """Contacts per order by touchpoint: what each adds; there is no mix."""
        size = 4_000
        period = rng.choice([BEFORE, AFTER], size)
        level = rng.choice(["chat", "mail", "phone"], size)
        y = rng.poisson(np.where((level == "chat") & (period == AFTER), 0.9, 0.4))
        x, who = rng.integers(0, 3, size), rng.integers(0, 900, size)
        joint = Joint.of(y, x, period=period, level=level, clusters=who, shared=True)
        found = decomposition.parts(joint, BEFORE, AFTER)
        assert "mix" not in set(found["comparison"])
        whole = {p: x[period == p].sum() for p in (BEFORE, AFTER)}
        for name in ("chat", "mail", "phone"):
            mine = {p: y[(period == p) & (level == name)].sum() / whole[p] for p in whole}
            assert estimate(found, "rate", name) == pytest.approx(mine[AFTER] - mine[BEFORE], abs=1e-12)
        total = y[period == AFTER].sum() / whole[AFTER] - y[period == BEFORE].sum() / whole[BEFORE]
        assert estimate(found, "difference") == pytest.approx(total, abs=1e-12)
        assert levels_of(found)["estimate"].sum() == pytest.approx(total, abs=1e-9)
        ratios = Joint.of(y, x, period=period, level=np.full(size, "all"), clusters=who)
        plain = decomposition.parts(ratios, BEFORE, AFTER)
        own, other = (f[f["comparison"] == "difference"]["std_error"].item() for f in (found, plain))
        assert own == pytest.approx(other, rel=1e-9)


class TestFrames:
    def test_all_forms_are_the_same(self, rng: np.random.Generator) -> None:
        sides: dict[str, list[pd.DataFrame]] = {"moments": [], "sums": [], "counts": []}
        for _ in range(2):
            y = {name: rng.integers(0, 2, 30) for name in "ab"}
            moments = {name: Moments.of(values) for name, values in y.items()}
            sides["moments"].append(pd.DataFrame({"by": list(y), "moments": list(moments.values())}))
            sides["counts"].append(
                pd.DataFrame([{"by": k, "n": v.size, "y": v.sum(), "yy": v.sum()} for k, v in y.items()])
            )
            rows = [
                {
                    "by": k, "period": "p", "missing": 0, "rows": m.rows, "clusters": m.clusters, "y2": m.squares,
                    **m.sums, "yy": m.products["y", "y"], "xy": m.products["x", "y"], "xx": m.products["x", "x"],
                }
                for k, m in moments.items()
            ]  # fmt: skip
            sides["sums"].append(pd.DataFrame(rows))
        first, *others = (changes.decompose(*side, "by") for side in sides.values())
        for other in others:
            pd.testing.assert_frame_equal(first, other)

    def test_without_squares_the_widest_interval(self) -> None:
        known = changes.decompose(shares(a=(30, 60)), shares(a=(30, 40)), "source")
        wide = changes.decompose(*(s.drop(columns="yy") for s in (shares(a=(30, 60)), shares(a=(30, 40)))), "source")
        assert estimate(wide, "rate", "a") == estimate(known, "rate", "a")
        assert wide["std_error"].max() > known["std_error"].max()

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda f: f.rename(columns={"source": "other"}), "has no column source"),
            (lambda f: pd.concat([f, f]), "several rows for a"),
            (lambda f: f.drop(columns="n"), "lacks rows"),
            (lambda f: f.assign(y=1e6).drop(columns="yy"), "lacks y2, yy"),
            (lambda f: f.assign(clusters=3), "lacks"),
        ],
    )
    def test_what_lacks_is_said(self, change: Callable[[pd.DataFrame], pd.DataFrame], said: str) -> None:
        with pytest.raises(UsageError, match=said):
            changes.decompose(shares(a=(30, 60)), change(shares(a=(30, 40))), "source")

    def test_labels_and_scale(self) -> None:
        found = changes.decompose(
            shares(a=(30, 60)), shares(a=(30, 40)), "source", scale=100, metric="m", period=AFTER, against=BEFORE
        )
        assert set(found["metric"]) == {"m"}
        assert (set(found["period"]), set(found["against"])) == ({AFTER}, {BEFORE})
        assert estimate(found, "rate", "a") == pytest.approx(25, abs=1e-9)
        assert tuple(found.columns) == results.COLUMNS
        for by in ([], ["a", "b", "c"]):
            with pytest.raises(UsageError, match="one or two columns"):
                changes.decompose(shares(a=(1, 2)), shares(a=(1, 2)), by)


NPS = metric("nps", kind="nps")


class TestTold:
    def company(self, rng: np.random.Generator) -> pd.DataFrame:
        """A mix shift that hides an improvement: partner, who score far lower, come in; everybody scores better."""
        n = {BEFORE: (900, 100), AFTER: (700, 500)}
        share = {BEFORE: [(0.6, 0.15), (0.2, 0.6)], AFTER: [(0.7, 0.1), (0.35, 0.5)]}
        rows = [
            (period, level, 1 if u < up else -1 if u > 1 - down else 0)
            for period in n
            for level, size, (up, down) in zip(("organic", "partner"), n[period], share[period], strict=True)
            for u in rng.random(size)
        ]
        period, level, y = zip(*rows, strict=True)
        return decomposition.explain(NPS, Joint.of(y, period=period, level=level), BEFORE, AFTER, segment="source")

    def test_the_finding(self, rng: np.random.Generator) -> None:
        found = self.company(rng)
        told = decomposition.told(found)
        assert (told.metric, told.period, told.against, told.segment) == ("nps", AFTER, BEFORE, "source")
        assert told.opposed
        assert told.mix.value < 0 < told.rate.value
        assert told.mix.value + told.rate.value == pytest.approx(told.change.value, abs=1e-9)
        assert told.value[1].value - told.value[0].value == pytest.approx(told.change.value, abs=1e-9)
        partner = told.mix_by[0]
        assert partner.name == "partner"
        assert partner.share[0].value == pytest.approx(0.1)
        assert partner.share[1].value == pytest.approx(500 / 1200)
        assert partner.value[0].value < partner.value[1].value
        assert partner.mix.shown

    def test_what_is_adjusted_or_judged_is_believed(self, rng: np.random.Generator) -> None:
        found = self.company(rng)
        mix = (found["comparison"] == "mix") & (found["level"] == "all")
        assert not decomposition.told(found.assign(p_adjusted=found["p_adjusted"].mask(mix, 0.2))).mix.shown
        change = found["comparison"] == "difference"
        for verdict, shown in (("moved", True), ("not shown", False)):
            judged = found.assign(verdict=found["verdict"].mask(change, verdict))
            assert decomposition.told(judged).change.shown is shown

    def test_the_whole_s_own_rows_come_first(self, rng: np.random.Generator) -> None:
        found = self.company(rng)
        whole = found[(found["comparison"] == "difference")].assign(segment="all", conf_low=-99.0)
        assert decomposition.told(results.concat([found, whole])).change.low == -99

    def test_nothing_to_tell(self, rng: np.random.Generator) -> None:
        joint = Joint.of([1, 0, 1], period=[AFTER] * 3, level=list("aab"))
        found = decomposition.explain(NPS, joint, BEFORE, AFTER, segment="source")
        assert decomposition.told(found).missing == f"no answers in {BEFORE}"
        with pytest.raises(UsageError, match="0 decompositions"):
            decomposition.told(results.empty())
        one = self.company(rng)
        with pytest.raises(UsageError, match="2 decompositions"):
            decomposition.told(results.concat([one, results.label(one, segment="other")]))

    def test_a_quantile_cannot_be_split(self) -> None:
        with pytest.raises(UsageError, match="quantile"):
            decomposition.explain(
                Metric(**{**NPS.model_dump(), "kind": "quantile"}), Joint.of([1], period=["a"], level=["b"]), "a", "b"
            )
