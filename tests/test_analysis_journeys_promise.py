"""Promise against actual: what is under way is not forgotten, and the curve is Kaplan and Meier's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import promise
from cxlib.errors import UsageError
from cxlib.measure.moments import Moments

END = datetime(2026, 11, 1)


def orders(rng: np.random.Generator, n: int = 400, people: int = 150, days: float = 30.0) -> pd.DataFrame:
    """Promises over the last days, delivered a day early on average, some lost; nothing is known after the end."""
    promised = pd.Timestamp(END) - pd.to_timedelta(rng.uniform(-4, days, n), unit="D")
    late = rng.normal(-1.0, 2.0, n)
    came = pd.Series(promised + pd.to_timedelta(late, unit="D"))
    came = came.where((rng.random(n) > 0.02) & (came < pd.Timestamp(END)))
    return pd.DataFrame({"customer_id": rng.integers(0, people, n), "promised_at": promised, "delivered_at": came,
                         "period": "2026-10"})  # fmt: skip


def hand() -> pd.DataFrame:
    """Eight orders: three in time, two late, one late and to come, one lost, one under way."""
    at = pd.to_datetime(["2026-09-01", "2026-09-02", "2026-09-03", "2026-09-04", "2026-09-05", "2026-10-25",
                         "2026-09-01", "2026-11-03"])  # fmt: skip
    came = pd.to_datetime(["2026-08-30", "2026-09-02", "2026-09-01", "2026-09-05", "2026-09-08", None, None, None])
    return pd.DataFrame({"customer_id": range(8), "promised_at": at, "delivered_at": came, "period": "2026-09"})


def test_what_became_of_each_order() -> None:
    found = promise.delivery(hand(), END)
    kept = found[(found["metric"] == promise.KEPT) & (found["at"] == "")].iloc[0]
    assert (kept["estimate"], kept["n"]) == (pytest.approx(3 / 7), 7)  # the one under way has nothing to answer for yet
    assert "1 orders under way" in kept["note"]
    became = found[found["metric"] == promise.OUTCOME].set_index("level")["estimate"]
    assert became.to_dict() == pytest.approx(
        {promise.IN_TIME: 3 / 8, promise.LATE: 2 / 8, promise.TO_COME: 1 / 8, promise.GONE: 1 / 8, promise.OPEN: 1 / 8}
    )
    lost = found[found["metric"] == promise.LOST].iloc[0]
    assert (lost["estimate"], lost["n"]) == (pytest.approx(1 / 6), 6)
    days = found[found["metric"] == promise.DAYS].set_index("at")["status"]
    assert days["p95"] == results.TOO_FEW  # two of eight have not come: nobody knows when 95 % will have


def test_the_curve_is_kaplan_and_meiers(rng: np.random.Generator) -> None:
    """statsmodels' `SurvfuncRight`; with every order a customer the jackknife's error is about Greenwood's."""
    from statsmodels.duration.survfunc import SurvfuncRight

    frame = orders(rng)
    promised = frame["promised_at"]
    days = ((frame["delivered_at"] - promised).dt.total_seconds() / 86_400).to_numpy()
    watched = ((pd.Timestamp(END) - promised).dt.total_seconds() / 86_400).to_numpy()
    found = promise.curve(days, watched, np.arange(len(frame)))
    other = SurvfuncRight(np.where(np.isnan(days), watched, days), ~np.isnan(days))
    for when in (-2.0, 0.0, 1.5, 4.0):  # errors: of one variance in two ways
        place = np.searchsorted(other.surv_times, when, side="right") - 1
        share, worth = found.at(when)
        assert share == pytest.approx(1 - other.surv_prob[place], abs=1e-12)
        assert np.sqrt(share * (1 - share) / worth) == pytest.approx(other.surv_prob_se[place], rel=0.01)


def test_where_all_is_known_it_is_a_share_with_clusters(rng: np.random.Generator) -> None:
    people, days = rng.integers(0, 60, 300), rng.normal(0, 2, 300)
    found = promise.curve(days, np.full(300, 90.0), people)
    sums = Moments.of((days <= 0).astype(float), clusters=people)
    share, worth = found.at(0.0)
    assert share == pytest.approx(float(sums.ratio))
    assert worth == pytest.approx(float(sums.effective_n[0]), rel=1e-9)


@pytest.mark.simulation
def test_quantiles_hold_their_truth_with_repeated_customers_and_open_orders(
    replicates: Callable[[int, int], int], rng: np.random.Generator
) -> None:
    """Days late are a customer's part and an order's, both normal: true quantiles are known."""
    from scipy import stats

    times, hit = replicates(60, 2_000), {"p50": 0, "p90": 0}
    for _ in range(times):
        who = np.repeat(np.arange(60), 5)
        days = rng.normal(0, 1, 60)[who] + rng.normal(0, 1, 300)
        watched = rng.uniform(-1.0, 30.0, 300)
        frame = promise.curve(np.where(days < watched, days, np.nan), watched, who)
        for q, name in ((0.5, "p50"), (0.9, "p90")):
            row = promise._quantile(frame, q, 0.95).iloc[0]
            truth = stats.norm.ppf(q) * np.sqrt(2)
            hit[name] += bool(row["status"] == results.OK and row["conf_low"] <= truth <= row["conf_high"])
    assert all(count >= 0.87 * times for count in hit.values())


def test_small_groups_stay_hidden_also_where_another_row_would_tell_them() -> None:
    frame = pd.concat([hand().assign(customer_id=range(8 * k, 8 * k + 8)) for k in range(4)])
    found = promise.delivery(frame, END, min_n=10)
    became = found[found["metric"] == promise.OUTCOME].set_index("level")["status"]
    assert became[promise.GONE] == results.SUPPRESSED
    assert found.loc[found["metric"] == promise.LOST, "status"].item() == results.SUPPRESSED
    assert found.loc[found["status"] != results.OK, list(results.NUMBERS)].isna().all().all()


def test_nothing_promised_and_what_cannot_be_used() -> None:
    assert promise.delivery(hand().assign(promised_at=pd.NaT), END)["status"].item() == results.UNDEFINED
    with pytest.raises(UsageError, match="no column 'promised_at'"):
        promise.delivery(hand().drop(columns="promised_at"), END)
