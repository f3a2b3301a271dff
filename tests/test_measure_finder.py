"""Levels that moved differently from the rest: the statistic, what is tested, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from cxlib import results
from cxlib.measure import finder, kitagawa
from cxlib.measure.joint import Joint
from tests.show_frames import metric

BEFORE, AFTER = "2026-09", "2026-10"
NPS = metric("nps", kind="nps", change_that_matters=5.0)
Levels = Mapping[str, np.ndarray]


def answers(rng: np.random.Generator, people: int, months: int = 2, each: float = 0.8) -> dict[str, Any]:
    """Return NPS answers of customers who recur over months, each true to a mood of her own; nothing ever changes."""
    mood = rng.beta(1.5, 1, people)
    came = [np.flatnonzero(rng.random(people) < each) for _ in range(months)]
    who, month = np.concatenate(came), np.repeat(np.arange(months), [len(one) for one in came])
    luck = rng.random(len(who))
    y = np.where(luck < 0.7 * mood[who], 1, np.where(luck > 0.8, -1, 0))
    return {"y": y, "month": month, "who": who}


def joints(rows: Mapping[str, Any], segments: Levels, months: tuple[int, int] = (0, 1)) -> dict[str, Joint]:
    kept = np.isin(rows["month"], months)
    who, y = rows["who"][kept], rows["y"][kept]
    period = np.where(rows["month"][kept] == months[0], BEFORE, AFTER)
    return {n: Joint.of(y, period=period, level=level[who], clusters=who) for n, level in segments.items()}


def crossed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.char.add(np.char.add(one, " x "), other)


def dimensions(rng: np.random.Generator, people: int, names: str = "abcde") -> dict[str, np.ndarray]:
    """Return five segments of eight levels, the smallest of 3 % of the customers."""
    sizes = np.array([0.3, 0.2, 0.15, 0.12, 0.09, 0.06, 0.05, 0.03])
    return {name: np.array([f"{name}{i}" for i in rng.choice(8, people, p=sizes)]) for name in names}


class TestTheStatistic:
    def test_by_hand(self) -> None:
        """Level a goes from 50 to 75, each of the others from 20 to 30: 15 points more."""
        parts = [("a", BEFORE, 50, 100), ("a", AFTER, 75, 100), ("b", BEFORE, 20, 100), ("b", AFTER, 45, 150),
                 ("c", BEFORE, 10, 50), ("c", AFTER, 15, 50)]  # fmt: skip
        y = np.concatenate([np.repeat([1, 0], [up, n - up]) for _, _, up, n in parts])
        level, period = (np.repeat([p[i] for p in parts], [p[3] for p in parts]) for i in (0, 1))
        found = finder.find({"region": Joint.of(y, period=period, level=level)}, BEFORE, AFTER, NPS)
        row = found[found["level"] == "a"]
        assert row["estimate"].item() == pytest.approx(15, abs=1e-9)
        p = np.array([0.5, 0.75, 0.2, 0.3])
        by_hand = 100 * np.sqrt((p * (1 - p) / (np.array([100, 100, 150, 200]) - 1)).sum())
        assert row["std_error"].item() == pytest.approx(by_hand, rel=0.01)  # the rest's G/(G-1) is the period's
        assert (row["comparison"].item(), row["at"].item(), row["against"].item()) == (
            "difference", "against the rest", BEFORE
        )  # fmt: skip
        assert row["n"].item() == 200

    def test_the_mix_of_the_others_is_not_held_against_a_level(self) -> None:
        """Nobody's own score changes, but poor c doubles: b and c together fall from 56 to 44, and a stood still."""
        parts = [("a", BEFORE, 60, 100), ("a", AFTER, 60, 100), ("b", BEFORE, 80, 100), ("b", AFTER, 80, 100),
                 ("c", BEFORE, 10, 60), ("c", AFTER, 20, 120)]  # fmt: skip
        y = np.concatenate([np.repeat([1, 0], [up, n - up]) for _, _, up, n in parts])
        level, period = (np.repeat([p[i] for p in parts], [p[3] for p in parts]) for i in (0, 1))
        found = finder.find({"source": Joint.of(y, period=period, level=level)}, BEFORE, AFTER, NPS)
        np.testing.assert_allclose(found["estimate"], 0, atol=1e-12)

    def test_gradients_are_those_of_numerical_differentiation(self, rng: np.random.Generator) -> None:
        y, x = rng.uniform(5, 30, (2, 4)), rng.uniform(40, 90, (2, 4))
        terms, step = kitagawa.against_rest(y, x), 1e-5
        for place in np.ndindex(2, 4):
            moved = np.zeros((2, 4))
            moved[place] = step
            for slope, up, down in (
                (terms.dy, (y + moved, x), (y - moved, x)), (terms.dx, (y, x + moved), (y, x - moved))
            ):  # fmt: skip
                found = (kitagawa.against_rest(*up).value - kitagawa.against_rest(*down).value) / (2 * step)
                np.testing.assert_allclose(slope[:, place[0], place[1]], found, rtol=1e-5, atol=1e-9)

    def test_the_error_is_that_of_a_cluster_bootstrap(self, rng: np.random.Generator) -> None:
        """Customers recur over both periods; 800 resamples, SD sure to 2.5 %, the tolerance is four of that."""
        people = 1_000
        rows, segments = answers(rng, people), {"plan": rng.choice(["u", "v", "w"], people, p=[0.6, 0.3, 0.1])}
        found = finder.find(joints(rows, segments), BEFORE, AFTER, NPS)
        code = np.unique(segments["plan"], return_inverse=True)[1]
        y, x = (np.zeros((people, 6)) for _ in range(2))
        np.add.at(y, (rows["who"], code[rows["who"]] + 3 * rows["month"]), rows["y"])
        np.add.at(x, (rows["who"], code[rows["who"]] + 3 * rows["month"]), 1)
        draws = rng.multinomial(people, np.full(people, 1 / people), 800).astype(float)
        values = [
            kitagawa.against_rest(a.reshape(2, 3), b.reshape(2, 3)).value
            for a, b in zip(draws @ y, draws @ x, strict=True)
        ]
        np.testing.assert_allclose(found["std_error"] / 100, np.std(values, axis=0, ddof=1), rtol=0.1)

    def test_over_a_shared_denominator_growth_is_compared(self) -> None:
        """All touchpoints' contacts double and phone's too: nothing stands out, large or small."""
        count = {"chat": 400, "mail": 40, "phone": 160}
        level = np.repeat(list(count) * 2, [*count.values(), *(2 * n for n in count.values())])
        period = np.repeat([BEFORE, AFTER], [600, 1200])
        joint = Joint.of(np.ones(1800), period=period, level=level, shared=True)
        found = finder.find({"touchpoint": joint}, BEFORE, AFTER, metric("items", kind="ratio"))
        np.testing.assert_allclose(found["estimate"], 0, atol=1e-12)


class TestWhatIsTested:
    def test_the_family_is_every_level_of_every_segment(self, rng: np.random.Generator) -> None:
        found = finder.find(joints(answers(rng, 2_000), dimensions(rng, 2_000)), BEFORE, AFTER, NPS)
        assert len(found) == 40
        np.testing.assert_allclose(found["p_adjusted"], multipletests(found["p_value"], method="fdr_bh")[1])
        assert set(found["verdict"]) <= {"not shown", "could not have been seen"}
        assert found["note"].str.startswith("smallest change that could be seen").any()

    def test_order_of_rows_and_segments_changes_nothing(self, rng: np.random.Generator) -> None:
        rows, segments = answers(rng, 800), dimensions(rng, 800, "ab")
        found = finder.find(joints(rows, segments), BEFORE, AFTER, NPS)
        order = rng.permutation(len(rows["y"]))
        again = joints({n: v[order] for n, v in rows.items()}, dict(reversed(segments.items())))
        pd.testing.assert_frame_equal(found, finder.find(again, BEFORE, AFTER, NPS))
        assert found["segment"].tolist() == sorted(found["segment"])

    def test_small_levels_are_counted_and_not_tested(self, rng: np.random.Generator) -> None:
        plan = np.array(["u"] * 500 + ["v"] * 480 + ["w"] * 9 + ["new"] * 11)
        rows = answers(rng, 1_000)
        late = {n: v[~((rows["month"] == 0) & (plan[rows["who"]] == "new"))] for n, v in rows.items()}
        found = finder.find(joints(late, {"plan": plan}), BEFORE, AFTER, NPS).set_index("level")
        assert found.loc["w", "status"] == "suppressed"
        assert found.loc["new", ["status", "note"]].tolist() == ["undefined", f"none in {BEFORE}"]
        assert found["p_value"].notna().sum() == 2
        assert found.loc["w", ["estimate", "n"]].isna().all()

    def test_a_level_whose_rest_is_small_is_not_tested(self, rng: np.random.Generator) -> None:
        found = finder.find(joints(answers(rng, 500), {"p": np.array(["u"] * 494 + ["v"] * 6)}), BEFORE, AFTER, NPS)
        assert set(found["status"]) == {"suppressed"}

    def test_nothing_is_counted_twice(self, rng: np.random.Generator) -> None:
        people = 1_500
        region = rng.choice(["N", "S", "E"], people, p=[0.5, 0.3, 0.2])
        plan = rng.choice(["Basic", "Pro"], people, p=[0.7, 0.3])
        area = np.where(region == "N", "up", "down")  # nested in region
        segments = {
            "region": region, "plan": plan, "same": region, "one": np.full(people, "x"), "area": area,
            "plan x region": crossed(plan, region), "area x region": crossed(area, region),
            "one x plan": crossed(np.full(people, "x"), plan),
        }  # fmt: skip
        found = finder.find(joints(answers(rng, people), segments), BEFORE, AFTER, NPS)
        own = found.groupby("segment")["level"].apply(list).to_dict()
        assert own == {
            "area": ["up"],  # the same test as of the other level: the smaller or the first stands for both
            "plan": ["Pro"],
            "region": ["E", "N", "S"],
            "plan x region": [f"{p} x {r}" for p in ("Basic", "Pro") for r in ("E", "N", "S")],
        } or own == {**own, "area": ["down"]}

    def test_an_absent_period_gives_no_rows(self, rng: np.random.Generator) -> None:
        found = finder.find(joints(answers(rng, 500), dimensions(rng, 500, "a")), "2025-10", AFTER, NPS)
        assert found.empty
        assert tuple(found.columns) == results.COLUMNS
        assert finder.find({}, BEFORE, AFTER, NPS).empty


class TestHowOftenItIsWrong:
    @pytest.mark.simulation
    def test_noise(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """Monthly reports over 40 levels of 25 months in which nothing changes, customers recurring.

        At most 5 % of the reports call any level different. Small levels (18 to 30 customers) make the tails a little
        heavy: 0.02 is allowed for that, and three standard errors of the simulation.
        """
        years, wrong = replicates(1, 60), []
        for _ in range(years):
            segments, rows = dimensions(rng, 600), answers(rng, 600, months=25)
            for month in range(24):
                found = finder.find(joints(rows, segments, (month, month + 1)), BEFORE, AFTER, NPS)
                assert len(found) == 40
                wrong.append((found["verdict"] == "moved").any())
        assert np.mean(wrong) <= 0.05 + 0.02 + 3 * np.sqrt(0.05 * 0.95 / len(wrong))

    @pytest.mark.simulation
    def test_power(self, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
        """One of 40 levels falls by 3.23 (p of .05 / 40) + 0.84 standard errors: it is found in 80 % of cases.

        Less 0.1, since the error that the fall is measured in is itself an estimate; and the simulation's own error.
        """
        times, hits, people = replicates(8, 1_500), [], 1_500
        for _ in range(times):
            segments, rows = dimensions(rng, people), answers(rng, people)
            mine = (segments["b"][rows["who"]] == "b2") & (rows["month"] == 1)
            y, luck = rows["y"], rng.random(len(mine))
            for _ in range(3):  # what is struck varies more: the error that counts is that of the struck answers
                found = finder.find(joints(rows, {"b": segments["b"]}), BEFORE, AFTER, NPS).set_index("level")
                drop = (3.23 + 0.84) * found.loc["b2", "std_error"] / 100
                rows["y"] = np.where(mine & (luck < drop / (1 + y[mine].mean())), -1, y)
            found = finder.find(joints(rows, segments), BEFORE, AFTER, NPS).set_index("level")
            hits.append(found.loc["b2", "verdict"] == "moved" and found.loc["b2", "estimate"] < 0)
        assert np.mean(hits) >= 0.8 - 0.1 - 3 * np.sqrt(0.16 / times)
