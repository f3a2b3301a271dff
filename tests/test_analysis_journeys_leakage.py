"""Leads by source: leaked, open or converted, and what each outcome costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis.journeys import leakage as room


def leads(
    source: str, came: list[float], watched: list[float], month: str = "2026-01", kept: object = np.nan
) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": [f"{source}{i}" for i in range(len(came))], "source": source, "month": month,
                         "came": came, "watched": watched, "kept": kept})  # fmt: skip


def costs(**amounts: float) -> pd.DataFrame:
    return pd.DataFrame({"source": list(amounts), "month": "2026-01", "amount": list(amounts.values())})


def book(found: pd.DataFrame) -> pd.DataFrame:
    return found.set_index(["metric", "level"])


def test_worked_by_hand_where_nothing_is_open() -> None:
    """Ten leads of 200 days, four of which ordered within 90; 500 spent."""
    came = [1.0, 30, 89, 90, 120, np.nan, np.nan, np.nan, np.nan, np.nan]
    frame = leads("search", came, [200.0] * 10, kept=[1.0] * 5 + [0.0] * 5)
    found = book(room.leakage(frame, costs(search=500.0)))
    assert found.loc[(room.LEAKED, "search"), "estimate"] == pytest.approx(0.6)
    assert found.loc[(room.OPEN, "search"), "estimate"] == 0
    assert found.loc[(room.KEPT, "search"), "estimate"] == pytest.approx(0.5)
    assert found.loc[(room.PER_LEAD, "search"), "estimate"] == pytest.approx(50)
    order = found.loc[(room.PER_ORDER, "search")]
    assert order["estimate"] == pytest.approx(125)
    low, high = stats.chi2.ppf(0.025, 8) / 2, stats.chi2.ppf(0.975, 10) / 2  # exact limits of 4 events (R poisson.test)
    assert (order["conf_low"], order["conf_high"]) == pytest.approx((500 / high, 500 / low), rel=1e-9)
    assert found.loc[(room.PER_KEPT, "search"), "estimate"] == pytest.approx(100)
    assert found.loc[(room.LOST, "search"), "estimate"] == pytest.approx(300)


def test_open_leads_are_censored_not_lost(rng: np.random.Generator) -> None:
    """Kaplan-Meier by statsmodels."""
    from statsmodels.duration.survfunc import SurvfuncRight

    days, watched = rng.exponential(60, 300), rng.uniform(0, 300, 300)
    came = np.where(days <= watched, days, np.nan)
    row = book(room.leakage(leads("search", came.tolist(), watched.tolist()))).loc[(room.LEAKED, "search")]
    other = SurvfuncRight(np.minimum(days, watched), days <= watched)
    assert row["estimate"] == pytest.approx(other.surv_prob[np.searchsorted(other.surv_times, 90, side="right") - 1])
    assert not (came <= 90).mean() > 1 - row["estimate"]  # what counts the young ones as lost finds more


@pytest.mark.simulation
def test_the_cost_of_an_order_holds_its_truth(replicates: Callable[[int, int], int], rng: np.random.Generator) -> None:
    """Poisson leads of whom 1 - exp(-1.5) order within 90 days, a third of them young: 95.9 % of 4,000 draws."""
    times, hit, truth = replicates(100, 4_000), 0, 1_000 / (60 * (1 - np.exp(-1.5)))
    for _ in range(times):
        n = rng.poisson(60)
        days, watched = rng.exponential(60, n), rng.uniform(0, 270, n)
        frame = leads("a", np.where(days <= watched, days, np.nan).tolist(), watched.tolist())
        row = room._per_order("a", frame, 1_000.0, {"days": 90, "confidence": 0.95}).iloc[0]
        hit += bool(row["conf_low"] <= truth <= row["conf_high"])
    assert hit >= 0.89 * times


def test_sources_are_ranked_by_money_lost_and_those_without_costs_say_so() -> None:
    cheap = leads("cheap", [np.nan] * 30 + [5.0] * 10, [200.0] * 40)
    dear = leads("dear", [np.nan] * 10 + [5.0] * 30, [200.0] * 40)
    free = leads("free", [np.nan] * 20 + [5.0] * 20, [200.0] * 40)
    found = room.leakage(pd.concat([cheap, dear, free]), costs(cheap=100.0, dear=4_000.0, gone=50.0))
    assert list(room.sources(found)) == ["dear", "cheap", "free", "gone"]
    rows = book(found)
    assert rows.loc[(room.PER_LEAD, "free"), "note"] == "no costs are recorded for this source"
    assert rows.loc[(room.PER_LEAD, "gone"), "note"] == "money was spent, and nobody came"
    assert rows.loc[(room.LEAKED, "free"), "estimate"] == pytest.approx(0.5)
    assert rows.loc[(room.LOST, "all"), "estimate"] == pytest.approx(4_000 * 0.25 + 100 * 0.75)  # of sources with costs
    assert rows.loc[(room.LEAKED, "all"), "n"] == 120


def test_costs_count_for_the_months_that_have_them() -> None:
    """A month without costs would make a lead look cheap."""
    frame = pd.concat([leads("a", [5.0] * 20, [200.0] * 20), leads("a", [5.0] * 20, [170.0] * 20, month="2026-02")])
    row = book(room.leakage(frame.assign(customer_id=range(40)), costs(a=400.0))).loc[(room.PER_LEAD, "a")]
    assert (row["estimate"], row["n"]) == (pytest.approx(20), 20)
    assert row["note"] == "of 1 months that have costs"


def test_young_and_few_leads() -> None:
    young = book(room.leakage(leads("a", [5.0, np.nan], [20.0, 30.0]), costs(a=10.0)))
    for metric in (room.LEAKED, room.KEPT, room.PER_ORDER, room.LOST):
        assert young.loc[(metric, "a"), "status"] == results.TOO_FEW
    frame = pd.concat(
        [leads(name, [5.0, np.nan] * (n // 2), [200.0] * n) for name, n in (("a", 4), ("b", 20), ("c", 40))]
    )
    found = book(room.leakage(frame, costs(a=1.0, b=1.0, c=1.0), min_n=10))
    hidden = found.xs(room.LEAKED)["status"].to_dict()
    assert hidden == {"all": "ok", "c": "ok", "a": "suppressed", "b": "suppressed"}
    assert found.loc[(room.PER_LEAD, "b"), "status"] == results.SUPPRESSED
    assert room.leakage(frame.iloc[:0])["status"].item() == results.UNDEFINED
