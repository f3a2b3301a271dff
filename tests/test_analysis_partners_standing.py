"""Rank intervals and tiers: what they say, and how often they are wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cxlib.analysis import partners
from cxlib.errors import UsageError
from tests.partner_frames import answers


def fit_of(rng: np.random.Generator, truth: np.ndarray, sizes: np.ndarray, **how) -> partners.Fit:
    return partners.fit(answers(rng, truth, sizes), "y", "partner", **how)


class TestRanks:
    def test_clear_differences_are_clear_ranks(self, rng: np.random.Generator) -> None:
        found = partners.ranks(fit_of(rng, np.array([1.0, 5, 3, 9]), np.full(4, 200)))
        assert found["estimate"].tolist() == [4, 2, 3, 1]
        assert found["conf_low"].tolist() == found["conf_high"].tolist() == [4, 2, 3, 1]

    def test_the_other_way_round(self, rng: np.random.Generator) -> None:
        fit = fit_of(rng, rng.normal(0, 0.3, 9), np.full(9, 20))
        up = partners.ranks(fit, rng=np.random.default_rng(2))
        down = partners.ranks(fit, higher_is_better=False, rng=np.random.default_rng(2))
        assert (up["estimate"] + down["estimate"]).to_numpy() == pytest.approx(np.full(9, 10.0))

    def test_equal_partners_may_have_almost_any_rank(self, rng: np.random.Generator) -> None:
        found = partners.ranks(fit_of(rng, np.zeros(20), np.full(20, 10)))
        assert (found["conf_high"] - found["conf_low"]).min() >= 14

    def test_ranks_add_up(self, rng: np.random.Generator) -> None:
        found = partners.ranks(fit_of(rng, rng.normal(0, 1, 11), rng.integers(2, 30, 11)))
        assert found["estimate"].sum() == pytest.approx(66)

    def test_the_same_seed_gives_the_same_ranks_in_any_order_of_rows(self, rng: np.random.Generator) -> None:
        frame = answers(rng, rng.normal(0, 1, 6), rng.integers(2, 30, 6))
        first, again = (
            partners.ranks(partners.fit(one, "y", "partner")) for one in (frame, frame.sample(frac=1, random_state=3))
        )
        pd.testing.assert_frame_equal(first, again, rtol=1e-3)  # sums in another order may swap a pair in a draw

    def test_too_few_draws_are_refused(self, rng: np.random.Generator) -> None:
        with pytest.raises(UsageError, match="too few"):
            partners.ranks(fit_of(rng, np.zeros(4), np.full(4, 9)), draws=10)


class TestTiers:
    def test_what_stands_out_and_what_does_not(self, rng: np.random.Generator) -> None:
        truth = np.r_[np.zeros(18), 2.0, -2.0]
        found = partners.tiers(fit_of(rng, truth, np.full(20, 80)))
        assert found.loc[[18, 19], "verdict"].tolist() == ["moved", "moved"]
        assert np.sign(found.loc[[18, 19], "estimate"]).tolist() == [1, -1]
        assert (found.loc[:17, "verdict"] == "moved").sum() <= 2

    def test_moved_is_what_the_interval_says(self, rng: np.random.Generator) -> None:
        found = partners.tiers(fit_of(rng, rng.normal(0, 0.5, 30), rng.integers(3, 80, 30)))
        outside = (found["conf_low"] > 0) | (found["conf_high"] < 0)
        assert ((found["verdict"] == "moved") == outside).all()

    def test_what_matters_decides_whether_answers_are_too_few(self, rng: np.random.Generator) -> None:
        fit = fit_of(rng, np.zeros(12), np.full(12, 60))
        wide, narrow = partners.tiers(fit, matters=2.0), partners.tiers(fit, matters=0.01)
        assert (wide["verdict"] == "not shown").all()
        assert (narrow["verdict"] == "could not have been seen").all()
        with pytest.raises(UsageError, match="not above 0"):
            partners.tiers(fit, matters=0.0)

    def test_the_differences_weighted_by_answers_cancel_out(self, rng: np.random.Generator) -> None:
        fit = fit_of(rng, rng.normal(0, 0.5, 9), rng.integers(3, 80, 9))
        assert fit.shares @ partners.tiers(fit)["estimate"] == pytest.approx(0, abs=1e-9)


def test_the_league_holds_all_that_a_page_needs(rng: np.random.Generator) -> None:
    found = partners.league(fit_of(rng, rng.normal(0, 1, 5), np.full(5, 20)), matters=0.5)
    kinds = found.groupby(["metric", "comparison", "at"]).size()
    assert kinds.to_dict() == {
        ("rank", "level", ""): 5, ("y", "difference", ""): 5, ("y", "level", ""): 5, ("y", "level", "raw"): 5,
    }  # fmt: skip


@pytest.mark.simulation
def test_ranks_hold_the_true_rank_and_claims_have_the_right_sign(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Over 250 worlds: 97 % of rank intervals hold the rank (whole numbers cover a little more); 2.5 % wrong signs."""
    held, wrong, claims, times = [], 0, 0, replicates(40, 1_000)
    for _ in range(times):
        truth = rng.normal(4, 0.3, 30)
        fit = fit_of(rng, truth, rng.choice([5, 20, 60], 30))
        rank, gap = partners.ranks(fit, rng=rng, draws=500), partners.tiers(fit)
        true = (-truth).argsort().argsort() + 1
        held.append(((rank["conf_low"] <= true) & (true <= rank["conf_high"])).mean())
        moved = (gap["verdict"] == "moved").to_numpy()
        claims += int(moved.sum())
        wrong += int((moved & (np.sign(gap["estimate"]) != np.sign(truth - fit.shares @ truth))).sum())
    assert np.mean(held) >= 0.94
    # At most 2.5 % are expected to have the wrong sign; three standard errors more.
    assert wrong <= 0.025 * claims + 3 * np.sqrt(0.025 * claims) + 1


@pytest.mark.simulation
def test_partners_that_are_all_alike_are_left_in_peace(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """A league of equals with any better or worse partner at all: 2 in 100 of 4 partners, 0.4 of 30 (250 each)."""
    times = replicates(40, 500)
    for k in (4, 12, 40):
        any_claim = [
            (partners.tiers(fit_of(rng, np.full(k, 3.0), rng.choice([5, 20, 60], k)))["verdict"] == "moved").any()
            for _ in range(times)
        ]
        assert np.mean(any_claim) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / times)
