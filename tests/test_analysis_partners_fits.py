"""Partners compared: real data, planted truths, properties, and how often the intervals hold the truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.analysis import partners
from cxlib.data import demo
from cxlib.errors import UsageError
from cxlib.measure import formulas
from cxlib.measure.moments import Moments
from tests.partner_frames import answers


def league(frame: pd.DataFrame, **how) -> pd.DataFrame:
    return partners.compare(frame, "y", "partner", **how).set_index("level")


class TestRaw:
    def test_nps_of_the_airlines(self, shared_data: Callable[[str], Path], oracle: Callable[[str], dict]) -> None:
        """R on the raw answers (nps_airlines_preppin): 99 airlines with Prep Air, 59 of them with 50 answers."""
        expected = oracle("nps_airlines_preppin")["expected"]
        frame = airlines(shared_data)
        found = partners.raw(partners.fit(frame, "score", "airline", kind="nps")).set_index("level")
        assert len(found) == expected["n_airlines_total"]
        large = found[found["n"] >= 50]
        assert len(large) == expected["n_airlines_ge50"]
        assert large["estimate"].mean() == pytest.approx(expected["mean_nps"], abs=1e-6)
        assert large["estimate"].std() == pytest.approx(expected["sd_nps"], abs=1e-6)
        ours = found.loc["Prep Air"]
        assert ours["estimate"] == pytest.approx(expected["prep_air_wald.nps"], abs=1e-6)
        assert ours["conf_low"] == pytest.approx(expected["prep_air_adjusted_wald.lo"], abs=1e-6)
        assert ours["conf_high"] == pytest.approx(expected["prep_air_adjusted_wald.hi"], abs=1e-6)
        assert (large["estimate"].loc["Prep Air"] - large["estimate"].mean()) / large["estimate"].std() == (
            pytest.approx(expected["prep_air_z"], abs=1e-6)
        )

    def test_points_of_an_nps_are_an_nps(self, rng: np.random.Generator) -> None:
        """Scores and their points are one; limits stay on the scale, and equal answers are not certain."""
        size = np.array([40, 30, 20, 15, 9])
        score = np.concatenate([rng.choice([10, 8, 3], n, p=[0.9, 0.05, 0.05]) for n in size[:-1]] + [np.full(9, 10)])
        frame = pd.DataFrame({"partner": np.repeat(list("abcde"), size), "score": score})
        frame["points"] = np.select([score >= 9, score <= 6], [100, -100], 0)
        one, other = (partners.fit(frame, name, "partner", kind="nps", cluster=None, metric="nps")
                      for name in ("score", "points"))  # fmt: skip
        pd.testing.assert_frame_equal(partners.league(one), partners.league(other))
        for table in (partners.raw(other), partners.shrunk(other)):
            assert table[["conf_low", "conf_high"]].abs().max().max() <= 100
        row = partners.raw(other).set_index("level").loc["e"]
        assert row["estimate"] == 100
        assert row["conf_low"] < 90
        assert row["note"] != ""

    @pytest.mark.parametrize("kind", ["mean", "share", "nps"])
    def test_equal_answers_of_a_partner_are_told(self, kind: str, rng: np.random.Generator) -> None:
        frame = pd.DataFrame({"y": [1.0] * 12 + [0.0, 1.0] * 20, "partner": ["a"] * 12 + ["b"] * 20 + ["c"] * 20})
        frame["y"] *= 100 if kind == "nps" else 1
        row = partners.raw(partners.fit(frame, "y", "partner", kind=kind, cluster=None)).set_index("level").loc["a"]
        assert kind == "mean" or row["conf_low"] < row["conf_high"]  # the t interval of a mean has none, and says so
        assert "all its answers are equal" in row["note"] or "no width" in row["note"]

    @pytest.mark.parametrize("kind", ["mean", "share"])
    def test_each_row_is_what_the_house_gives_of_that_partner_alone(self, kind: str, rng: np.random.Generator) -> None:
        frame = answers(rng, rng.uniform(0.3, 0.7, 5), np.array([1, 4, 30, 50, 80]), kind=kind)
        frame["customer_id"] = rng.integers(0, 60, len(frame))
        found = partners.raw(partners.fit(frame, "y", "partner", kind=kind))
        for row in found.to_dict("records"):
            mine = frame[frame["partner"] == row["level"]]
            sums = Moments.of(mine["y"], clusters=mine["customer_id"])
            alone = (
                formulas.mean(sums)
                if kind == "mean"
                else formulas.share(sums.sums["y"], sums.rows, n_eff=sums.effective_n)
            )
            for name in ("estimate", "std_error", "conf_low", "conf_high", "n", "n_eff"):
                assert row[name] == pytest.approx(alone[name].iloc[0], nan_ok=True), name
            assert row["status"] == alone["status"].iloc[0]


def airlines(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    folder = shared_data("preppin_nps_airlines")
    parts = [pd.read_csv(folder / name) for name in ("airlines.csv", "prep_air.csv")]
    return pd.concat(parts).set_axis(["airline", "customer_id", "score"], axis=1)


class TestShrunk:
    def test_the_league_of_the_airlines_is_mostly_chance(self, shared_data: Callable[[str], Path]) -> None:
        """Raw scores spread by 14 points, true ones by 4 (0 to 9): the best and the worst are drawn together."""
        fit = partners.fit(airlines(shared_data), "score", "airline", kind="nps")
        raw, found = (table.set_index("level") for table in (partners.raw(fit), partners.shrunk(fit)))
        spread = partners.spread(fit).set_index("metric")
        assert raw["estimate"].std() > 14
        assert spread.loc["partner_sd", "conf_low"] == 0
        assert spread.loc["partner_sd", "conf_high"] < 10
        assert found["estimate"].std() < 3
        assert (partners.tiers(fit)["verdict"] == "could not have been seen").all()

    def test_balanced_partners_as_a_mixed_model(self, rng: np.random.Generator) -> None:
        """REML on the answers themselves: statsmodels MixedLM; alike where the two stages hold the same information."""
        import statsmodels.formula.api as smf

        frame = answers(rng, rng.normal(3, 0.8, 25), np.full(25, 20))
        fit = partners.fit(frame, "y", "partner")
        assert fit.summary is not None
        model = smf.mixedlm("y ~ 1", frame, groups="partner").fit(reml=True)
        assert fit.summary.base == pytest.approx(model.scale, rel=1e-5)
        assert fit.tau2 == pytest.approx(float(model.cov_re.iloc[0, 0]), rel=1e-4)
        effects = np.array([float(model.random_effects[name].iloc[0]) for name in fit.summary.names])
        blup = effects + float(model.params["Intercept"])
        # Ours have the partners' own variances in part, and tau integrated out: a tenth of the standard error of 0.22.
        assert partners.shrunk(fit)["estimate"].to_numpy() == pytest.approx(blup, abs=0.03)

    def test_case_mix_explains_what_it_made(self, rng: np.random.Generator) -> None:
        """Shops are alike; one has the difficult customers."""
        shop = np.repeat(np.arange(10), 200)
        hard = rng.random(shop.size) < np.where(shop == 0, 0.8, 0.2)
        frame = pd.DataFrame({"y": 4 - 1.5 * hard + rng.normal(0, 1, shop.size), "partner": shop, "hard": hard})
        alone = partners.fit(frame, "y", "partner", cluster=None)
        fair = partners.fit(frame, "y", "partner", case_mix=["hard"], cluster=None)
        assert alone.tau2**0.5 > 0.2
        assert fair.tau2**0.5 < 0.1
        assert partners.tiers(alone).set_index("level").loc["0", "verdict"] == "moved"
        assert partners.tiers(fair).set_index("level").loc["0", "verdict"] != "moved"

    def test_limits_stay_on_the_scale(self, rng: np.random.Generator) -> None:
        found = league(answers(rng, np.full(12, 0.985), np.full(12, 8), kind="share"), kind="share")
        assert found["conf_high"].max() <= 1
        assert (found["conf_low"] < found["estimate"]).all()

    def test_two_partners_are_not_shrunk_and_that_is_said(self, rng: np.random.Generator) -> None:
        fit = partners.fit(answers(rng, np.array([3.0, 4.0]), np.array([30, 30])), "y", "partner")
        found = partners.shrunk(fit)
        assert found["estimate"].tolist() == partners.adjusted(fit)["estimate"].tolist()
        assert found["note"].str.contains("fewer than 3 partners").all()
        for table in (partners.ranks(fit), partners.tiers(fit), partners.spread(fit)):
            assert (table["status"] == results.TOO_FEW).all()


class TestStatus:
    @pytest.mark.parametrize(
        ("y", "names", "status"),
        [([4.0] * 6, list("aabbcc"), "undefined"), ([1.0, 2, 3], list("abc"), "too_few"), ([], [], "undefined")],
    )
    def test_where_nothing_can_be_compared(self, y: list, names: list, status: str) -> None:
        frame = pd.DataFrame({"y": np.array(y, dtype=float), "partner": names})
        fit = partners.fit(frame, "y", "partner", cluster=None)
        tables = [partners.shrunk, partners.adjusted, partners.ranks, partners.tiers, partners.funnel]
        for table in (found(fit) for found in tables):
            assert (table["status"] == status).all()
            assert (table["note"] != "").all()
            assert table["level"].tolist() == (sorted(set(names)) or ["all"])

    def test_partners_whose_answers_never_vary(self) -> None:
        frame = pd.DataFrame({"y": np.repeat([1.0, 2, 3, 5], 5), "partner": np.repeat(list("abcd"), 5)})
        found = partners.compare(frame, "y", "partner", cluster=None)
        assert found["estimate"].tolist() == pytest.approx([1, 2, 3, 5], abs=1e-3)

    def test_few_customers_are_hidden_everywhere(self, rng: np.random.Generator) -> None:
        frame = answers(rng, np.array([3.0, 3.5, 4, 5]), np.array([40, 41, 30, 12]))
        frame.loc[frame["partner"] == "p003", "customer_id"] = 1
        fit = partners.fit(frame, "y", "partner", min_n=5)
        tables = [partners.league(fit), partners.adjusted(fit), partners.raw(fit), partners.funnel(fit)]
        for table in tables:
            hidden = table[table["level"].isin(["p002", "p003"])]  # the next smallest, too: n of all is told
            assert (hidden["status"] != results.OK).all()  # a single customer is too few for the raw interval, too
            assert hidden["estimate"].isna().all()
            assert (hidden["verdict"] == "").all()
            assert (table.loc[~table["level"].isin(["p002", "p003"]), "status"] == results.OK).all()

    def test_no_hidden_partner_can_be_worked_out_from_the_totals(self, rng: np.random.Generator) -> None:
        size = np.array([400, 300, 200, 6])
        frame = answers(rng, np.full(4, 0.2), size, kind="share")
        fit = partners.fit(frame, "y", "partner", kind="share", min_n=10)
        tables = [partners.raw(fit), partners.adjusted(fit), partners.shrunk(fit), partners.funnel(fit)]
        tables += [partners.ranks(fit), partners.tiers(fit)]
        for table in tables:
            told = table.set_index("level")["status"]
            assert told.to_dict() == {"p000": "ok", "p001": "ok", "p002": "suppressed", "p003": "suppressed"}
        rest = partners.spread(fit)["n"].iloc[0] - tables[0]["n"].sum()
        assert rest == 206
        assert partners.funnel_limits(fit)["n_eff"].min() > 200

    def test_partners_of_few_customers_in_all_have_no_spread(self, rng: np.random.Generator) -> None:
        frame = answers(rng, np.arange(4.0), np.full(4, 9)).assign(customer_id=np.tile(np.arange(9), 4))
        found = partners.spread(partners.fit(frame, "y", "partner", min_n=10))
        assert set(found["status"]) == {"suppressed"}

    def test_a_wrong_confidence_and_min_n_are_refused(self, rng: np.random.Generator) -> None:
        frame = answers(rng, np.zeros(4), np.full(4, 5))
        with pytest.raises(UsageError, match="confidence"):
            partners.fit(frame, "y", "partner", confidence=95)
        with pytest.raises(UsageError, match="min_n"):
            partners.fit(frame, "y", "partner", min_n=0)


class TestProperties:
    @given(seed=st.integers(0, 1_000), kind=st.sampled_from(["mean", "share"]))
    def test_the_order_of_rows_and_the_names_do_not_matter(self, seed: int, kind: str) -> None:
        rng = np.random.default_rng(seed)
        frame = answers(rng, rng.uniform(0.3, 0.7, 6), rng.integers(2, 20, 6), kind=kind)
        if frame["y"].nunique() == 1:
            return
        frame["customer_id"] = rng.integers(0, 50, len(frame))
        frame["mix"] = rng.choice(["x", "y"], len(frame))
        first = league(frame, kind=kind, case_mix=["mix"])
        again = league(frame.sample(frac=1, random_state=seed), kind=kind, case_mix=["mix"])
        other = league(frame.assign(partner="z" + frame["partner"].str[::-1]), kind=kind, case_mix=["mix"])
        numbers = ["estimate", "std_error", "conf_low", "conf_high", "n_eff"]
        pd.testing.assert_frame_equal(first[numbers], again[numbers], rtol=1e-7)
        renamed = other[numbers].rename(index=lambda name: name[1:][::-1]).sort_index()
        pd.testing.assert_frame_equal(first[numbers], renamed, rtol=1e-7)

    @given(seed=st.integers(0, 1_000), shift=st.floats(-50, 50), scale=st.floats(0.1, 30))
    def test_another_unit_is_another_unit(self, seed: int, shift: float, scale: float) -> None:
        rng = np.random.default_rng(seed)
        frame = answers(rng, rng.normal(0, 1, 5), rng.integers(3, 20, 5))
        first, other = league(frame), league(frame.assign(y=shift + scale * frame["y"]))
        assert other["estimate"].to_numpy() == pytest.approx(shift + scale * first["estimate"].to_numpy(), abs=1e-4)
        assert other["std_error"].to_numpy() == pytest.approx(scale * first["std_error"].to_numpy(), rel=1e-4)

    @given(seed=st.integers(0, 1_000))
    def test_limits_hold_the_estimate_and_shrinking_never_widens_the_field(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        fit = partners.fit(answers(rng, rng.normal(0, 0.5, 8), rng.integers(3, 30, 8)), "y", "partner")
        found, plain = partners.shrunk(fit), partners.adjusted(fit)
        assert (found["conf_low"] < found["estimate"]).all()
        assert (found["estimate"] < found["conf_high"]).all()
        assert np.ptp(found["estimate"]) <= np.ptp(plain["estimate"]) + 1e-9


class TestPlanted:
    def test_agents(self) -> None:
        """Agents differ evenly from -0.04 to 0.04 in resolution (docs/demo.md, 5): found again within the intervals."""
        company = demo.simulate(6_000, seed=5)
        fit = partners.fit(first_contacts(company), "resolved", "agent_id", kind="share", case_mix=["region", "month"])
        spread, truth = partners.spread(fit).set_index("metric"), planted_agents()
        assert spread.loc["partner_sd", "conf_low"] <= truth.std(ddof=0) <= spread.loc["partner_sd", "conf_high"]
        gap, rank = partners.tiers(fit), partners.ranks(fit)
        inside = (gap["conf_low"] <= truth) & (truth <= gap["conf_high"])
        places = np.arange(truth.size, 0, -1)
        ranked = (rank["conf_low"] <= places) & (places <= rank["conf_high"])
        # 40 agents at 95 %: 34 or fewer inside once in a thousand.
        least = stats.binom.ppf(0.001, truth.size, 0.95)
        assert inside.sum() >= least
        assert ranked.sum() >= least
        shrunk = partners.shrunk(fit)["estimate"].to_numpy()
        assert np.corrcoef(shrunk, truth)[0, 1] > 0.5

    def test_carriers(self) -> None:
        """Late with 0.05 to 0.18, more in November and December (docs/demo.md, 7): all six inside, in order."""
        orders = demo.simulate(6_000, seed=6).tables["orders"].to_pandas()
        orders = orders[orders["delivered_at"].notna() & orders["promised_at"].notna()]
        month = orders["ordered_at"].dt.month
        frame = orders.assign(late=orders["delivered_at"] > orders["promised_at"], month=month.astype(str))
        fit = partners.fit(frame, "late", "partner_id", kind="share", case_mix=["month"])
        seasons = np.asarray(demo.TRUTHS.orders.late_season)[month - 1].mean()
        truth = np.asarray(demo.TRUTHS.orders.carrier_late) * seasons
        found = partners.shrunk(fit)
        wide = stats.norm.ppf(1 - 0.005 / 6) / stats.norm.ppf(0.975)  # six at once, once in two hundred
        assert (np.abs(found["estimate"] - truth) <= wide * 1.96 * found["std_error"]).all()
        assert partners.ranks(fit, higher_is_better=False)["estimate"].round().tolist() == [1, 2, 3, 4, 5, 6]
        verdicts = partners.tiers(fit).set_index("level")
        assert (verdicts.loc[["carrier_alba", "carrier_ebro", "carrier_faro"], "verdict"] == "moved").all()


def first_contacts(company: demo.Company) -> pd.DataFrame:
    """Return the first contact of every case with the customer's region: only there agents differ."""
    contacts = company.tables["interactions"].to_pandas()
    contacts = contacts[contacts["kind"] == "contact"].sort_values("started_at").drop_duplicates("case_id")
    people = company.tables["customers"].to_pandas().drop_duplicates("customer_id")
    found = contacts.merge(people[["customer_id", "region"]], on="customer_id")
    return found.assign(month=found["started_at"].dt.strftime("%Y-%m"))


def planted_agents() -> np.ndarray:
    truth = demo.TRUTHS.support
    return np.linspace(-truth.agent_spread, truth.agent_spread, truth.agents)


def low_shares(rng: np.random.Generator, k: int) -> np.ndarray:
    return rng.beta(2, 38, k)  # 5 % on average, standard deviation 3.4 points, skewed


def high_shares(rng: np.random.Generator, k: int) -> np.ndarray:
    return rng.normal(0.85, 0.04, k).clip(0.02, 0.98)


def means(rng: np.random.Generator, k: int) -> np.ndarray:
    return rng.normal(4, 0.3, k)


WORLDS = [
    (30, means, (3, 10, 30), "mean"),
    (6, means, (20, 60), "mean"),
    (40, high_shares, (20, 60, 200), "share"),
    (60, low_shares, (3, 10, 30), "share"),
]


@pytest.mark.simulation
@pytest.mark.parametrize(("k", "world", "sizes", "kind"), WORLDS)
def test_shrunk_intervals_hold_the_truth(
    k: int, world: Callable, sizes: tuple, kind: str, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Measured over 100 to 250 worlds each, figure and difference from all: 93.9 to 94.9 %; claimed: 93."""
    inside, apart, times = [], [], replicates(30, 1_000)
    for _ in range(times):
        truth = world(rng, k)
        fit = partners.fit(answers(rng, truth, rng.choice(sizes, k), kind=kind, sd=1.2), "y", "partner", kind=kind)
        found, gap = partners.shrunk(fit), partners.tiers(fit)
        beyond = truth - fit.shares @ truth
        inside.append(((found["conf_low"] <= truth) & (truth <= found["conf_high"])).mean())
        apart.append(((gap["conf_low"] <= beyond) & (beyond <= gap["conf_high"])).mean())
    for held in (inside, apart):
        assert np.mean(held) >= 0.93 - 3 * np.std(held) / np.sqrt(times)
