"""Adjusted effects: least squares as statsmodels has it, and errors that few do not fool."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from cxlib.analysis.journeys.adjusted import Design, few_events

EXACT = 1e-9  # the same equations, solved another way
CLOSE = 0.03  # of a standard error: CR3 against the plain sandwich with hundreds of customers on either side


def frame(rng: np.random.Generator, size: int = 800, share: float = 0.3) -> tuple[pd.DataFrame, np.ndarray]:
    who = rng.integers(0, size // 2, size)
    table = pd.DataFrame(
        {"region": rng.choice(["north", "south", "west"], size), "a": (rng.random(size) < share).astype(float)}
    )
    table["b"] = np.where(rng.random(size) < 0.4, np.nan, (rng.random(size) < share).astype(float))
    own = rng.normal(0, 1, size // 2)
    table["y"] = own[who] + rng.normal(0, 1, size) - table["a"] + 0.5 * (table["region"] == "west")
    return table, who


def met(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: table[name].to_numpy() for name in ("a", "b")}


def test_effects_and_errors_are_those_of_statsmodels(rng: np.random.Generator) -> None:
    table, who = frame(rng)
    found = Design.of(met(table), table[["region"]], who).fit(table["y"].to_numpy())
    x = pd.get_dummies(table["region"], drop_first=True, dtype=float)
    x = sm.add_constant(x.assign(none=table["b"].isna().astype(float), a=table["a"], b=table["b"].fillna(0)))
    fit = sm.OLS(table["y"], x).fit(cov_type="cluster", cov_kwds={"groups": who})
    assert found.names == ("a", "b")
    assert found.value == pytest.approx(fit.params[["a", "b"]].to_numpy(), abs=EXACT)
    assert found.numbers(0.95)["std_error"] == pytest.approx(fit.bse[["a", "b"]].to_numpy(), rel=CLOSE)
    assert found.touched[0] == len(np.unique(who[table["a"] == 1]))


def test_what_nothing_tells_apart_is_named(rng: np.random.Generator) -> None:
    table, who = frame(rng)
    columns = met(table) | {"again": table["a"].to_numpy(), "rare": (np.arange(len(table)) < 3).astype(float)}
    design = Design.of(columns, table[["region"]], who, least=10)
    assert (design.names, design.lost, design.few) == (("a", "b"), ("again",), ("rare",))


def test_a_share_of_few_events_is_not_told() -> None:
    who = np.arange(40)
    hit = (who < 20).astype(float)
    assert few_events((who % 2 == 0).astype(float), {"met": hit}, who) == []  # ten are expected on either side
    assert few_events((who % 5 == 0).astype(float), {"met": hit}, who) == ["met"]
    assert few_events((who % 5 > 0).astype(float), {"met": hit}, who) == ["met"]


@pytest.mark.simulation
def test_few_who_met_it_are_not_taken_for_many(replicates, rng: np.random.Generator) -> None:
    """Of 1,000 answers of 500 customers 12 customers met it, and nothing goes with it: the sandwich is too sure.

    Bounds: 3.5 binomial errors about 5 %. The plain sandwich finds something in 8 to 9 % of such samples.
    """
    times, found = replicates(400, 4_000), 0
    for _ in range(times):
        who = rng.integers(0, 500, 1_000)
        hit = np.isin(who, rng.choice(500, 12, replace=False)).astype(float)
        y = rng.normal(0, 1, 500)[who] + rng.normal(0, 1, 1_000)
        fit = Design.of({"met": hit}, pd.DataFrame(index=range(1_000)), who).fit(y)
        found += fit.numbers(0.95)["p_value"][0] < 0.05
    assert found / times < 0.05 + 3.5 * np.sqrt(0.05 * 0.95 / times)
    assert found / times > 0.05 - 3.5 * np.sqrt(0.05 * 0.95 / times)
