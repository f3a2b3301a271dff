"""Contacts after a bill against those before it: the same bills, so who pays them cancels out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import promise_bills as bills


def paid(rng: np.random.Generator, n: int, more: float) -> pd.DataFrame:
    """Customers differ in how often they call; a bill adds `more` calls."""
    who = rng.integers(0, n // 4, n)
    often = rng.beta(1, 9, n // 4)[who]
    return pd.DataFrame({"customer_id": who, "after": (rng.random(n) < often + more).astype(float),
                         "before": (rng.random(n) < often).astype(float)})  # fmt: skip


def test_it_is_the_paired_t_of_bills(rng: np.random.Generator) -> None:
    """R `t.test(after, before, paired = TRUE)`: SciPy's `ttest_rel`, where each bill is a customer of its own."""
    from scipy import stats

    frame = paid(rng, 400, 0.05).assign(customer_id=range(400))
    row = bills.bills(frame).set_index("metric").loc[bills.EXCESS]
    other = stats.ttest_rel(frame["after"], frame["before"])
    assert row["estimate"] == pytest.approx(frame["after"].mean() - frame["before"].mean())
    assert row["p_value"] == pytest.approx(other.pvalue, rel=1e-9)
    assert (row["conf_low"], row["conf_high"]) == pytest.approx(tuple(other.confidence_interval()), rel=1e-9)


def test_an_effect_is_found_and_none_where_there_is_none(rng: np.random.Generator) -> None:
    found, none = (bills.bills(paid(rng, 4_000, more)).set_index("metric").loc[bills.EXCESS] for more in (0.05, 0.0))
    assert found["conf_low"] > 0
    assert found["conf_low"] <= 0.05 <= found["conf_high"]
    assert none["conf_low"] <= 0 <= none["conf_high"]


def test_too_few_and_all_alike() -> None:
    frame = pd.DataFrame({"customer_id": range(20), "after": 0.0, "before": 0.0})
    assert bills.bills(frame).iloc[-1]["status"] == results.TOO_FEW
    assert (bills.bills(frame, min_n=30)["status"] == results.SUPPRESSED).all()
