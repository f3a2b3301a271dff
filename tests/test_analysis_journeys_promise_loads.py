"""Loading times: exact order statistics, and orders by band with the touchpoint held equal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import promise_loads as loads
from cxlib.measure import formulas


def test_quantiles_are_order_statistics_where_every_visit_is_a_customer(rng: np.random.Generator) -> None:
    ms = np.round(900 * np.exp(rng.normal(0, 0.5, 500)))
    found = loads.loads(pd.DataFrame({"customer_id": range(500), "load_ms": ms})).set_index("at")
    for at, q in (("p50", 0.5), ("p75", 0.75), ("p95", 0.95)):
        exact = formulas.quantile(ms / 1_000, q).iloc[0]
        for name in ("estimate", "conf_low", "conf_high"):
            assert found.loc[at, name] == pytest.approx(exact[name], abs=1e-12)


def test_visits_of_one_customer_that_resemble_each_other_widen_the_interval(rng: np.random.Generator) -> None:
    who = np.repeat(np.arange(50), 10)
    ms = 900 * np.exp(rng.normal(0, 0.5, 50)[who] + rng.normal(0, 0.05, 500))
    frame = pd.DataFrame({"customer_id": who, "load_ms": ms})
    wide, narrow = (loads.loads(one).iloc[0] for one in (frame, frame.assign(customer_id=range(500))))
    assert wide["n_eff"] < 120
    assert wide["conf_high"] - wide["conf_low"] > 1.8 * (narrow["conf_high"] - narrow["conf_low"])


def test_levels_with_too_few_say_so() -> None:
    frame = pd.DataFrame(
        {"customer_id": range(30), "load_ms": np.arange(1.0, 31.0), "touchpoint": ["a"] * 20 + ["b"] * 10}
    )
    found = loads.loads(frame, "touchpoint")
    p95 = found[found["at"] == "p95"]
    assert (p95["status"] == results.TOO_FEW).all()
    assert (loads.loads(frame, "touchpoint", min_n=15)["status"] == results.SUPPRESSED).all()  # one alone would be told
    assert loads.loads(frame.iloc[:0])["status"].item() == results.UNDEFINED


def test_a_slow_touchpoint_is_not_taken_for_slowness(rng: np.random.Generator) -> None:
    """Payment is slow and always sells; what slowness does is -0.10 at either touchpoint."""
    n = 4_000
    pay = rng.random(n) < 0.5
    ms = np.where(rng.random(n) < np.where(pay, 0.8, 0.2), 2_000.0, 500.0)
    sold = rng.random(n) < np.where(pay, 0.9, 0.3) - 0.10 * (ms > 1_000)
    frame = pd.DataFrame({"customer_id": rng.integers(0, 2_000, n), "touchpoint": np.where(pay, "payment", "website"),
                          "load_ms": ms, "ordered": sold.astype(float)})  # fmt: skip
    found = loads.conversion(frame)
    raw, equal = (found[found["at"] == at].iloc[0] for at in (loads.RAW, loads.EQUAL))
    assert raw["conf_low"] > 0
    assert equal["conf_low"] <= -0.10 <= equal["conf_high"]
    assert equal["conf_high"] < 0
    assert found.loc[found["comparison"] == "level", "level"].tolist() == ["0 to 1 s", "1 to 2.5 s"]


def test_bands() -> None:
    assert loads.bands() == ("0 to 1 s", "1 to 2.5 s", "2.5 to 4 s", "more than 4 s")
