"""Indicators of causes: shares and quantiles against plain pandas, changes, and what is hidden or not known."""

from __future__ import annotations

import ibis
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis import journeys
from cxlib.measure.estimates import share
from cxlib.measure.moments import Moments
from tests.journey_logs import in_engine

NOW = (pd.Timestamp("2026-10-01"), pd.Timestamp("2026-11-01"))
BEFORE = (pd.Timestamp("2026-09-01"), pd.Timestamp("2026-10-01"))
EXACT = 1e-12  # the same sums in another order


def run(plan: ibis.Table) -> pd.DataFrame:
    return ibis.duckdb.connect().to_pyarrow(plan).to_pandas()


def contacts(rng: np.random.Generator, size: int = 900, longer: float = 1.0) -> pd.DataFrame:
    """Return contacts of two months; customers differ in how long they wait, and so do the months."""
    who = rng.integers(0, size // 3, size)
    day = rng.uniform(0, 61, size)
    waits = rng.exponential(150 * (1 + who % 3)) * np.where(day >= 30, longer, 1.0)
    return pd.DataFrame(
        {
            "interaction_id": [f"I{n:05}" for n in range(size)], "customer_id": [f"C{n}" for n in who],
            "started_at": BEFORE[0] + pd.to_timedelta(np.round(day * 86_400), unit="s"), "touchpoint": "phone",
            "kind": "contact", "wait_seconds": waits.astype(int), "transferred": rng.random(size) < 0.1,
        }
    ).astype({"started_at": "datetime64[us]"})  # fmt: skip


def asked(frame: pd.DataFrame, **how: object) -> pd.DataFrame:
    return journeys.causes({"interactions": in_engine(frame)}, NOW, BEFORE, run=run, **how)  # type: ignore[arg-type]


def row(found: pd.DataFrame, at: str, comparison: str = "level", period: str = "now") -> pd.Series:
    mine = found[(found["at"] == at) & (found["comparison"] == comparison) & (found["period"] == period)]
    assert len(mine) == 1
    return mine.iloc[0]


def test_shares_are_those_of_clustered_rows_in_pandas(rng: np.random.Generator) -> None:
    frame = contacts(rng)
    found = asked(frame)
    mine = frame[(frame["started_at"] >= NOW[0]) & (frame["started_at"] < NOW[1])]
    moments = Moments.of((mine["wait_seconds"] > 300).astype(float), clusters=mine["customer_id"])
    wanted = share(moments.sums["y"], moments.rows, n_eff=moments.effective_n).iloc[0]
    told = row(found, "waited more than 5 min", "level")
    for name in ("estimate", "conf_low", "conf_high", "n", "n_eff"):
        assert told[name] == pytest.approx(wanted[name], abs=EXACT, rel=EXACT)


def test_quantiles_are_order_statistics(rng: np.random.Generator) -> None:
    frame = contacts(rng)
    told = row(asked(frame), "90 of 100 within", "level")
    mine = frame.loc[(frame["started_at"] >= NOW[0]) & (frame["started_at"] < NOW[1]), "wait_seconds"]
    assert told["estimate"] == np.sort(mine)[int(np.ceil(0.9 * len(mine))) - 1]
    assert told["conf_low"] < told["estimate"] < told["conf_high"]
    assert told["n"] == len(mine)


def test_a_change_that_is_there_is_shown_and_others_are_not(rng: np.random.Generator) -> None:
    found = asked(contacts(rng, 3_000, longer=1.6))
    changed = found[found["comparison"] == "difference"].set_index("at")
    assert changed.loc["waited more than 5 min", "verdict"] == "moved"
    assert changed.loc["waited more than 5 min", "estimate"] > 0
    assert changed.loc["passed on to somebody else", "verdict"] == "not shown"
    assert (changed["p_adjusted"].dropna() >= changed["p_value"].dropna()).all()


def test_small_groups_are_hidden_and_none_is_told(rng: np.random.Generator) -> None:
    frame = contacts(rng, 300)
    frame["transferred"] = False
    now = frame["started_at"] >= NOW[0]
    frame.loc[frame.index[now][:4], "wait_seconds"] = 10_000
    frame.loc[frame.index[now][4:], "wait_seconds"] = 20
    found = asked(frame, min_n=10)
    waits = found[found["level"] == "Long waits"]
    assert row(found, "waited more than 5 min", "level")["status"] == results.SUPPRESSED
    assert set(waits.loc[(waits["period"] == "now"), "status"]) == {results.SUPPRESSED}
    nobody = row(found, "passed on to somebody else", "level")
    assert (nobody["status"], nobody["estimate"]) == (results.OK, 0.0)


def test_what_is_not_known_is_undefined_with_a_reason(rng: np.random.Generator) -> None:
    found = asked(contacts(rng).drop(columns="wait_seconds"))
    notes = found[found["status"] == results.UNDEFINED].set_index("at")["note"]
    assert notes["waited more than 5 min"] == "the interactions of this workspace do not tell how long customers waited"
    assert notes["delivered after the promised time, or not yet"] == "this workspace has no orders"
    assert notes["followed by a contact within 7 days"] == "nothing of the kind is recorded in this period"
    assert set(journeys.causes({}, NOW)["status"]) == {results.UNDEFINED}


def test_customers_who_recur_make_months_covary(rng: np.random.Generator) -> None:
    frame = contacts(rng)
    twice = pd.concat([frame.assign(started_at=BEFORE[0]), frame.assign(started_at=NOW[0], interaction_id="n")])
    told = row(asked(twice), "waited more than 5 min", "difference")
    assert told["estimate"] == 0
    apart = twice.assign(customer_id=twice["customer_id"] + twice["started_at"].astype(str))
    alone = row(asked(apart), "waited more than 5 min", "difference")
    assert told["conf_high"] - told["conf_low"] < 0.5 * (alone["conf_high"] - alone["conf_low"])
