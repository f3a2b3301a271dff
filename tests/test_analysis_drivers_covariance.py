"""Skipped items: maximum likelihood against closed forms and SciPy, its draws, and when which way is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from cxlib.analysis import drivers
from cxlib.analysis.drivers import shares
from cxlib.analysis.drivers.covariance import imputed, spread
from cxlib.analysis.drivers.design import Design, design

NAMES = ["a", "b", "c"]


def answers(rng: np.random.Generator, n: int = 400) -> pd.DataFrame:
    """Return an outcome and three correlated items, all answered."""
    cov = 0.4 + 0.6 * np.eye(3)
    table = rng.multivariate_normal([3.0, 3.5, 4.0], cov, n)
    return pd.DataFrame(table, columns=NAMES).assign(y=table @ [0.7, 0.4, 0.1] + rng.normal(size=n))


def skipped(frame: pd.DataFrame, rng: np.random.Generator, share: float = 0.4) -> pd.DataFrame:
    """Blank items at random within what was answered: the less satisfied, the more often."""
    chance = share * 2 / (1 + np.exp(1.5 * (frame["y"] - frame["y"].mean())))
    out = frame.copy()
    for name in NAMES[:2]:
        out.loc[rng.random(len(frame)) < chance, name] = np.nan
    return out


def made(frame: pd.DataFrame, **how: object) -> Design:
    return design(frame, "y", NAMES, **how)


def fitted(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    found = spread(made(frame), np.arange(4))
    return found.mean, found.cov


class TestMaximumLikelihood:
    def test_without_skips_it_is_the_plain_covariance(self, rng: np.random.Generator) -> None:
        frame = answers(rng)
        mean, cov = fitted(frame)
        columns = frame[["y", *NAMES]]
        np.testing.assert_allclose(mean, columns.mean(), atol=1e-10)
        np.testing.assert_allclose(cov, columns.cov(ddof=0), atol=1e-10)

    def test_one_item_skipped_has_a_closed_form(self, rng: np.random.Generator) -> None:
        """Anderson (1957, JASA 52:200): the item's regression on the rest where it was answered, then the rest."""
        frame = answers(rng)
        frame.loc[frame["y"] < frame["y"].quantile(0.4), "a"] = np.nan
        mean, cov = fitted(frame)
        known, rest = frame["a"].notna(), frame[["y", "b", "c"]]
        design_ = np.column_stack([np.ones(known.sum()), rest[known]])
        slope, *_ = np.linalg.lstsq(design_, frame.loc[known, "a"], rcond=None)
        left = np.mean((frame.loc[known, "a"] - design_ @ slope) ** 2)
        inner = rest.cov(ddof=0).to_numpy()
        assert mean[1] == pytest.approx(slope[0] + rest.mean() @ slope[1:], abs=1e-6)
        assert cov[1, 1] == pytest.approx(slope[1:] @ inner @ slope[1:] + left, abs=1e-6)
        np.testing.assert_allclose(cov[1, [0, 2, 3]], inner @ slope[1:], atol=1e-6)  # EM stops at steps of 1e-9

    def test_no_other_parameters_are_likelier(self, rng: np.random.Generator) -> None:
        frame = skipped(answers(rng, 150), rng)
        mean, cov = fitted(frame)
        table = frame[["y", *NAMES]].to_numpy()

        def likelihood(parameters: np.ndarray) -> float:
            middle, root = parameters[:4], np.zeros((4, 4))
            root[np.tril_indices(4)] = parameters[4:]
            total = 0.0
            for row in table:
                known = ~np.isnan(row)
                inner = (root @ root.T)[np.ix_(known, known)]
                total += stats.multivariate_normal.logpdf(row[known], middle[known], inner)
            return total

        best = np.concatenate([mean, np.linalg.cholesky(cov)[np.tril_indices(4)]])
        slope = optimize.approx_fprime(best, likelihood, 1e-6)
        np.testing.assert_allclose(slope, 0, atol=2e-2)  # a difference of sums of 150 at 1e-6, of which 1e-3 is noise

    def test_weights_are_repeated_rows(self, rng: np.random.Generator) -> None:
        frame = skipped(answers(rng, 100), rng).assign(w=rng.integers(1, 4, 100))
        one = spread(made(frame, weights="w"), np.arange(4))
        other = spread(made(frame.loc[frame.index.repeat(frame["w"])]), np.arange(4))
        np.testing.assert_allclose(one.cov, other.cov, atol=1e-7)

    def test_two_items_alike_do_no_harm(self, rng: np.random.Generator) -> None:
        frame = skipped(answers(rng), rng)
        found = drivers.fit(frame.assign(twin=frame["c"]), "y", [*NAMES, "twin"], bootstrap=50)
        table = found.importance().set_index("level")["estimate"]
        assert table["c"] == pytest.approx(table["twin"], abs=1e-6)
        assert table.sum() == pytest.approx(found.explained()["estimate"].iloc[0], abs=1e-9)

    def test_items_never_answered_together(self, rng: np.random.Generator) -> None:
        frame = answers(rng)
        frame.loc[:200, "a"], frame.loc[201:, "b"] = np.nan, np.nan
        found = drivers.importance(frame, "y", NAMES, bootstrap=20).set_index("level")
        assert found["status"].tolist() == ["undefined", "undefined", "ok"]
        assert found.loc["a", "note"] == "hardly ever answered together with b"


class TestDraws:
    def test_one_step_is_nearly_the_whole_way(self, rng: np.random.Generator) -> None:
        """The draws of 200 samples against 200 samples of their own, each fitted to the end."""
        frame = skipped(answers(rng, 800), rng)
        found = spread(made(frame), np.arange(4))
        drawn = found.draws(2_000, np.random.default_rng(1))[1]
        apart = []
        for _ in range(200):
            sample = frame.iloc[rng.integers(0, len(frame), len(frame))]
            apart.append(fitted(sample)[1])
        spread_of = np.stack(apart).std(axis=0)
        np.testing.assert_allclose(drawn.std(axis=0), spread_of, rtol=0.25)  # 200 samples: 5 % each, 16 of them
        off = np.abs(drawn.mean(axis=0) - np.stack(apart).mean(axis=0))
        assert (off < 0.35 * spread_of).all()

    def test_without_skips_a_draw_is_the_sample_s_own(self, rng: np.random.Generator) -> None:
        frame = answers(rng, 60)
        found = spread(made(frame), np.arange(4))
        mean, cov = (one[0] for one in found.draws(1, np.random.default_rng(3)))
        picked = np.random.default_rng(3).integers(0, 60, (1, 60))[0]
        sample = made(frame).numbers[picked]
        np.testing.assert_allclose(mean, sample.mean(axis=0), atol=1e-10)
        np.testing.assert_allclose(cov, np.cov(sample.T, ddof=0), atol=1e-10)

    def test_draws_are_those_of_all_numbers_at_once(self, rng: np.random.Generator) -> None:
        """Counted one draw at a time, with the numbers that one call for all of them gives."""
        found = spread(made(answers(rng, 301)), np.arange(4))
        drawn = np.random.default_rng(5).integers(0, 301, (40, 301))
        means = found.draws(40, np.random.default_rng(5))[0]
        for place, picked in enumerate(drawn):
            counts = np.bincount(picked, minlength=301)
            sums = counts @ found.moments
            np.testing.assert_allclose(means[place], found.mean + sums[1:5] / sums[0], rtol=1e-12)

    def test_groups_of_customers_vary_as_customers_do(self, rng: np.random.Generator) -> None:
        frame = answers(rng, 60_000)
        found = spread(made(frame), np.arange(4))
        assert len(found.moments) == 20_000
        drawn = found.draws(400, rng)[0]
        np.testing.assert_allclose(
            drawn.std(axis=0), frame[["y", *NAMES]].std() / np.sqrt(60_000), rtol=0.12
        )  # 3.5 % each

    def test_filled_tables_keep_what_was_answered(self, rng: np.random.Generator) -> None:
        frame = skipped(answers(rng), rng)
        whole = made(frame)
        tables = imputed(whole, np.arange(4), spread(whole, np.arange(4)), 5, rng)
        known = ~np.isnan(whole.numbers)
        assert len(tables) == 5
        for table in tables:
            np.testing.assert_array_equal(table[known], whole.numbers[known])
            assert not np.isnan(table).any()
        assert (np.stack(tables).std(axis=0)[~known] > 0).all()


def planted() -> np.ndarray:
    """Return the shares of the population that `answers` draws from."""
    cov, slope = 0.4 + 0.6 * np.eye(3), np.array([0.7, 0.4, 0.1])
    whole = np.block([[np.array([[slope @ cov @ slope + 1]]), (cov @ slope)[None]], [(cov @ slope)[:, None], cov]])
    return shares.lmg(whole[None], [(1,), (2,), (3,)])[0]


class TestWhichWay:
    """Two meanings of a blank, two ways; each is right in its own case and wrong in the other's."""

    def test_skipped_at_random_within_the_answers(self) -> None:
        rng, truth = np.random.default_rng(8), planted()
        frame = skipped(answers(rng, 20_000), rng)
        found = drivers.importance(frame, "y", NAMES, bootstrap=0)
        complete = drivers.importance(frame.dropna(), "y", NAMES, bootstrap=0)
        assert len(frame.dropna()) < 0.5 * len(frame)
        np.testing.assert_allclose(found["estimate"], truth, atol=0.015)  # three standard errors of 20,000 rows
        assert abs(complete["estimate"].iloc[0] - truth[0]) > 0.03  # dropping rows is biased here, besides wasteful
        as_code = drivers.importance(frame.fillna(-1), "y", NAMES, not_applicable=-1, bootstrap=0)
        assert np.abs(as_code["estimate"] - truth).max() > 0.03  # and so is a column that says "skipped"
        assert "skipped it, allowed for by maximum likelihood" in found["note"].iloc[0]

    def test_not_applicable_has_no_answer_to_fill_in(self) -> None:
        """Where an item does not apply it moves nothing: its part is its variance times the share it applies to."""
        rng, n, applies = np.random.default_rng(9), 20_000, 0.3
        table = rng.normal(size=(n, 2))
        away = rng.random(n) > applies
        y = np.where(away, 0, 1.0 * table[:, 0]) + 0.7 * table[:, 1] + rng.normal(size=n)
        frame = pd.DataFrame({"rare": np.where(away, 0, table[:, 0] + 10), "usual": table[:, 1], "y": y})
        whole = applies + 0.49 + 1
        right = drivers.importance(frame, "y", ["rare", "usual"], not_applicable={"rare": 0}, bootstrap=0)
        np.testing.assert_allclose(right["estimate"], [applies / whole, 0.49 / whole], atol=0.015)
        filled = drivers.importance(frame.replace({"rare": {0: np.nan}}), "y", ["rare", "usual"], bootstrap=0)
        assert filled["estimate"].iloc[0] > 1.5 * right["estimate"].iloc[0]  # as if it applied to all
        assert right["note"].iloc[0].startswith("does not apply to 7")

    def test_both_at_once(self) -> None:
        rng = np.random.default_rng(10)
        frame = skipped(answers(rng, 3_000), rng, 0.2)
        frame.loc[rng.random(3_000) < 0.1, "a"] = 0.0
        found = drivers.fit(frame, "y", NAMES, not_applicable=0, bootstrap=100)
        note = found.importance()["note"].iloc[0]
        assert "skipped it" in note
        assert "does not apply to" in note
        assert found.importance()["estimate"].sum() == pytest.approx(found.explained()["estimate"].iloc[0], abs=1e-9)

    @pytest.mark.simulation
    def test_intervals_hold_the_share(self, replicates: Callable) -> None:
        truth = planted()
        rng, times, held = np.random.default_rng(11), replicates(100, 1_000), np.zeros(3)
        for _ in range(times):
            frame = skipped(answers(rng, 250), rng, 0.3)
            found = drivers.importance(frame, "y", NAMES, bootstrap=200, rng=rng)
            held += (found["conf_low"].to_numpy() <= truth) & (truth <= found["conf_high"].to_numpy())
        assert (held / times > 0.86).all(), held / times
