"""Stage one against statsmodels, and by hand where customers answer more than once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from cxlib.analysis.partners.adjusting import slopes, summarise
from cxlib.analysis.partners.rows import Rows, rows_of


def shops(rng: np.random.Generator, n: int = 600, partners: int = 8, twice: bool = False) -> pd.DataFrame:
    """Return answers whose price and region differ between shops, and matter."""
    shop = rng.integers(0, partners, n)
    price = shop / 4 + rng.normal(0, 1, n)
    region = rng.choice(["N", "S", "E"], n, p=[0.5, 0.3, 0.2])
    y = 3 + 0.2 * shop - 0.5 * price + 0.4 * (region == "S") + rng.normal(0, 1, n)
    who = rng.integers(0, n // 3, n) if twice else np.arange(n)
    y = y + (rng.normal(0, 1, n)[who] if twice else 0)
    return pd.DataFrame({"y": y, "shop": [f"s{s}" for s in shop], "price": price, "region": region, "customer_id": who})


def rows(frame: pd.DataFrame, case_mix: tuple[str, ...] = ("price", "region")) -> Rows:
    return rows_of(frame, "y", "shop", case_mix=case_mix, kind="mean", cluster="customer_id")


def test_adjusted_figures_are_those_of_a_regression_at_the_mean_case_mix(rng: np.random.Generator) -> None:
    frame = shops(rng)
    model = smf.ols("y ~ C(shop) + price + C(region)", frame).fit()
    found = summarise(rows(frame))
    assert found is not None
    for place, name in enumerate(found.names):
        everybody = model.predict(frame.assign(shop=name)).mean()
        assert found.adjusted[place] == pytest.approx(everybody, abs=1e-9)
    assert found.base == pytest.approx(model.mse_resid, rel=1e-9)  # nobody answers twice
    assert found.columns == ("price", "region")


def test_slopes_and_their_cluster_robust_errors(rng: np.random.Generator) -> None:
    frame = shops(rng, twice=True)
    frame["price"] = (frame["price"] - frame["price"].mean()) / frame["price"].std(ddof=0)
    found = slopes(rows(frame, ("price",)))
    model = smf.ols("y ~ C(shop) + price", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["customer_id"], "use_correction": False}
    )
    assert found is not None
    assert found.slope[0] == pytest.approx(model.params["price"], abs=1e-9)
    assert np.sqrt(found.cover[0, 0]) == pytest.approx(model.bse["price"], rel=1e-9)


def test_a_column_that_is_the_partner_s_own_is_told_and_not_adjusted_for(rng: np.random.Generator) -> None:
    frame = shops(rng)
    frame["country"] = np.where(frame["shop"] < "s4", "ES", "PT")
    found = summarise(rows(frame, ("country",)))
    assert found is not None
    assert found.columns == ()
    assert found.note == "country does not vary within partners: not adjusted for"
    assert found.adjusted == pytest.approx(found.raw)


class TestDependence:
    def test_customers_who_answer_once_are_worth_their_rows(self, rng: np.random.Generator) -> None:
        found = summarise(rows(shops(rng)))
        assert found is not None
        assert found.worth.tolist() == found.n.tolist() == found.people.tolist()

    def test_balanced_by_hand(self, rng: np.random.Generator) -> None:
        """Customers nested in partners, m rows each: the nested analysis of variance (Searle et al. 1992, 3.6)."""
        partners, customers, m = 6, 30, 4
        shop, who = np.repeat(np.arange(partners), customers * m), np.repeat(np.arange(partners * customers), m)
        y = rng.normal(0, 0.7, partners * customers)[who] + rng.normal(0, 1, who.size)
        found = summarise(rows(pd.DataFrame({"y": y, "shop": shop, "customer_id": who}), ()))
        cell = y.reshape(partners, customers, m)
        within = ((cell - cell.mean(axis=2, keepdims=True)) ** 2).sum() / (partners * customers * (m - 1))
        between = m * ((cell.mean(axis=2) - cell.mean(axis=(1, 2))[:, None]) ** 2).sum() / (partners * (customers - 1))
        customer = (between - within) / m
        assert found is not None
        assert found.base == pytest.approx(within + customer, rel=1e-9)
        # the variance of a mean is within / (customers m) + customer / customers
        assert found.base / found.worth[0] == pytest.approx(within / (customers * m) + customer / customers, rel=1e-9)

    def test_alike_answers_of_a_customer_count_once(self, rng: np.random.Generator) -> None:
        base = shops(rng, 300)
        found = summarise(rows(pd.concat([base, base, base]), ()))
        once = summarise(rows(base, ()))
        assert found is not None
        assert once is not None
        assert found.worth == pytest.approx(once.n, rel=0.02)


class TestUnits:
    def test_alike_variances_are_one(self, rng: np.random.Generator) -> None:
        found = summarise(rows(shops(np.random.default_rng(2), 2_000), ()))
        assert found is not None
        assert np.ptp(found.unit) <= 0.3 * found.base  # four errors of a variance of 250 rows

    def test_a_partner_with_another_variance_keeps_it(self, rng: np.random.Generator) -> None:
        shop = np.repeat(np.arange(10), 200)
        y = rng.normal(0, np.where(shop == 3, 3.0, 1.0))
        found = summarise(rows(pd.DataFrame({"y": y, "shop": shop, "customer_id": np.arange(2_000)}), ()))
        assert found is not None
        for place in (0, 3):  # by hand: the common variance counts as fifty rows
            own = (50 * found.base + 199 * y[shop == place].var(ddof=1)) / 249
            assert found.unit[place] == pytest.approx(own, rel=1e-9)
        assert found.unit[3] > 4 * found.unit[0]

    def test_three_equal_answers_are_not_exact(self, rng: np.random.Generator) -> None:
        frame = shops(rng, 300)[["y", "shop", "customer_id"]]
        few = pd.DataFrame({"y": [4.0, 4, 4], "shop": ["few"] * 3, "customer_id": [900, 901, 902]})
        found = summarise(rows(pd.concat([frame, few]), ()))
        assert found is not None
        assert found.unit[found.names.index("few")] > 0.7 * found.base


def test_one_row_a_partner_tells_nothing() -> None:
    frame = pd.DataFrame({"y": [1.0, 2, 3], "shop": list("abc"), "customer_id": [1, 2, 3]})
    assert summarise(rows(frame, ())) is None
    assert slopes(rows(frame, ())) is None
