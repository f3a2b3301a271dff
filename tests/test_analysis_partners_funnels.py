"""Control limits: by hand, against SciPy's binomial, and how often partners in control are called outside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from cxlib.analysis import partners
from cxlib.analysis.partners.funnels import Dispersion, dispersion
from cxlib.errors import UsageError
from tests.partner_frames import answers


def share(centre: float = 0.9, **how) -> Dispersion:
    return Dispersion(**{"centre": centre, "base": centre * (1 - centre), "phi": 1.0, "tau2": 0.0, "kind": "share",
                         "way": "none", **how})  # fmt: skip


class TestShares:
    @pytest.mark.parametrize(("x", "n", "p"), [(7, 10, 0.9), (0, 5, 0.1), (5, 5, 0.6), (95, 100, 0.9), (3, 40, 0.1)])
    def test_z_is_that_of_the_binomial_mid_p(self, x: int, n: int, p: float) -> None:
        above = stats.binom.sf(x, n, p) + 0.5 * stats.binom.pmf(x, n, p)
        z = share(p).z(np.array([x / n]), np.array([p * (1 - p) / n]))
        assert z == pytest.approx([stats.norm.isf(above)], abs=1e-9)

    def test_limits_are_where_z_is(self) -> None:
        about, sampling = share(), 0.09 / np.array([5.0, 20, 100, 1_000])
        low, high = about.limits(sampling, 0.95)
        assert about.z(low, sampling) == pytest.approx(np.full(4, -1.959964), abs=1e-6)
        assert about.z(high[2:], sampling[2:]) == pytest.approx(np.full(2, 1.959964), abs=1e-6)
        assert high[:2].tolist() == pytest.approx([1, 1])  # five and twenty of .9 are never too many
        assert low[3] == pytest.approx(0.9 - 1.96 * np.sqrt(0.09 / 1_000), abs=1e-3)

    def test_more_dispersion_counts_as_fewer_answers(self) -> None:
        """Additive: variance p q / n + tau^2; the limits are those of n / (1 + n tau^2 / p q) answers."""
        wide = share(tau2=0.001, way="additive").limits(np.array([0.09 / 100]), 0.95)
        fewer = share().limits(np.array([0.09 / (100 / (1 + 100 * 0.001 / 0.09))]), 0.95)
        assert [float(end[0]) for end in wide] == pytest.approx([float(end[0]) for end in fewer])


class TestDispersion:
    def test_phi_and_tau_by_hand(self, rng: np.random.Generator) -> None:
        """Spiegelhalter (2005) Qual. Saf. Health Care 14:347: winsorised z, their mean square, and the tau^2 of it."""
        fit = partners.fit(answers(rng, rng.normal(0, 0.5, 25), rng.integers(5, 60, 25)), "y", "partner")
        assert fit.summary is not None
        s2 = fit.summary.base / fit.summary.n
        z = (fit.summary.raw - fit.rows.y.mean()) / np.sqrt(s2)
        z = z.clip(*np.quantile(z, [0.1, 0.9]))
        w = 1 / s2
        tau2 = (25 * (z**2).mean() - 24) / (w.sum() - (w**2).sum() / w.sum())
        found = dispersion(fit)
        assert found.phi == pytest.approx((z**2).mean())
        assert found.tau2 == pytest.approx(tau2)

    def test_without_outliers_it_is_near_that_of_dersimonian_and_laird(self, rng: np.random.Generator) -> None:
        truth = np.tile([-0.4, 0.4], 20)  # the outermost tenth is not further out than the rest
        fit = partners.fit(answers(rng, truth, np.full(40, 400)), "y", "partner")
        assert fit.summary is not None
        whole = combine_effects(fit.summary.adjusted, fit.summary.base / fit.summary.n, method_re="dl").tau2
        assert dispersion(fit).tau2 == pytest.approx(whole, rel=0.1)

    def test_alike_partners_have_none(self, rng: np.random.Generator) -> None:
        fit = partners.fit(answers(rng, np.zeros(30), np.full(30, 30)), "y", "partner")
        assert dispersion(fit).tau2 < 0.01

    def test_an_unknown_way_is_refused(self, rng: np.random.Generator) -> None:
        fit = partners.fit(answers(rng, np.zeros(5), np.full(5, 9)), "y", "partner")
        with pytest.raises(UsageError, match="did you mean 'additive'"):
            partners.funnel(fit, overdispersion="aditive")


class TestFunnel:
    def test_the_one_that_stands_out(self, rng: np.random.Generator) -> None:
        truth = np.r_[np.zeros(29), 1.5]
        fit = partners.fit(answers(rng, truth, rng.integers(20, 90, 30)), "y", "partner")
        for way in ("additive", "multiplicative", "none"):
            found = partners.funnel(fit, overdispersion=way).set_index("level")
            assert found.loc["p029", "verdict"] == "moved"
            assert (found["verdict"] == "moved").sum() <= 2

    def test_partners_that_all_differ_are_in_control_of_their_spread(self, rng: np.random.Generator) -> None:
        """Overdispersion asks who is unusual among partners that differ; `none` finds whoever is not the mean."""
        fit = partners.fit(answers(rng, rng.normal(0, 0.5, 40), np.full(40, 200)), "y", "partner")
        count = {way: (partners.funnel(fit, overdispersion=way)["verdict"] == "moved").sum()
                 for way in ("additive", "multiplicative", "none")}  # fmt: skip
        assert count["none"] > 20
        assert count["additive"] <= 3
        assert count["multiplicative"] <= 3

    def test_who_is_beyond_the_line_has_a_small_p_value(self, rng: np.random.Generator) -> None:
        """Limits and tests are one: without case mix p < 0.05 exactly where the figure leaves the 95 % limits."""
        for kind, truth in (("mean", rng.normal(0, 0.4, 40)), ("share", rng.uniform(0.6, 0.95, 40))):
            fit = partners.fit(answers(rng, truth, np.full(40, 30), kind=kind), "y", "partner", kind=kind)
            for way in ("additive", "multiplicative", "none"):
                found = partners.funnel(fit, overdispersion=way)
                about = dispersion(fit, way)
                low, high = about.limits(about.base / found["n_eff"].to_numpy(), 0.95)
                value = fit.summary.adjusted if fit.summary else np.array([])
                outside = (value < low) | (value > high)
                assert ((found["p_value"] < 0.05).to_numpy() == outside).all(), (kind, way)

    def test_limits_cover_the_volumes_shown(self, rng: np.random.Generator) -> None:
        fit = partners.fit(answers(rng, np.zeros(9), np.r_[3, 10 * np.arange(1, 9)]), "y", "partner", min_n=5)
        found = partners.funnel_limits(fit)
        assert set(found["level"]) == {"95 % limits", "99.8 % limits"}
        assert found["n_eff"].agg(["min", "max"]).tolist() == pytest.approx([20, 80])  # 3 is hidden, and 10 with it
        assert (found["conf_low"] < found["estimate"]).all()
        narrow = found[found["level"] == "95 % limits"].sort_values("n_eff")
        assert np.diff(narrow["conf_high"] - narrow["conf_low"]).max() < 0

    def test_where_all_are_hidden_there_are_no_limits(self, rng: np.random.Generator) -> None:
        fit = partners.fit(answers(rng, np.zeros(5), np.full(5, 9)), "y", "partner", min_n=50)
        for found in (partners.funnel_limits(fit), partners.funnel(fit)):
            assert (found["status"] == "suppressed").all()


@pytest.mark.simulation
@pytest.mark.parametrize("kind", ["mean", "share"])
@pytest.mark.parametrize("way", ["additive", "none"])
def test_partners_in_control_are_rarely_called_outside(
    kind: str, way: str, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Any of 30 alike partners outside: 2 to 4 of 100 funnels (250 each); Benjamini and Hochberg promise 5."""
    times, hits = replicates(60, 1_000), []
    for _ in range(times):
        frame = answers(rng, np.full(30, 0.85), rng.choice([10, 40, 160], 30), kind=kind)
        fit = partners.fit(frame, "y", "partner", kind=kind)
        hits.append(bool((partners.funnel(fit, overdispersion=way)["verdict"] == "moved").any()))
    assert np.mean(hits) <= 0.06 + 3 * np.sqrt(0.06 * 0.94 / times)


def test_hidden_partners_do_not_count_among_those_compared(rng: np.random.Generator) -> None:
    frame = answers(rng, np.zeros(12), np.r_[np.full(6, 40), np.full(6, 3)])
    found = partners.funnel(partners.fit(frame, "y", "partner", min_n=5))
    shown = found[found["status"] == "ok"]
    expected = stats.false_discovery_control(shown["p_value"])
    assert shown["p_adjusted"].to_numpy() == pytest.approx(expected)
    assert isinstance(found, pd.DataFrame)
