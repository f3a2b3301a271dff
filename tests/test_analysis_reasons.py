"""Competing reasons: by hand, against statsmodels, and as parts of what Kaplan and Meier say of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import CumIncidenceRight

from cxlib.analysis import loyalty
from cxlib.data import demo

# Of six, one leaves for price at 1 and one for service; one for price at 3; one for service at 4.
TIME, EVENT = [1, 1, 2, 3, 4, 5], [1, 1, 0, 1, 1, 0]
WHY = ["price", "service", None, "price", "service", ""]


def shares(found: pd.DataFrame, level: str) -> list[float]:
    mine = found[(found["metric"] == "cumulative_incidence") & (found["level"] == level)]
    return mine["estimate"].to_list()


class TestByHand:
    def test_shares_by_reason(self) -> None:
        """By Aalen and Johansen: price 1/6, then + 4/6 x 1/3; service 1/6, then + 4/9 x 1/2."""
        found = loyalty.competing_reasons(TIME, EVENT, WHY, at=[0, 1, 3, 5])
        assert shares(found, "price") == pytest.approx([0, 1 / 6, 1 / 6 + 2 / 9, 1 / 6 + 2 / 9])
        assert shares(found, "service") == pytest.approx([0, 1 / 6, 1 / 6, 1 / 6 + 2 / 9])
        lost = found[found["metric"] == "restricted_mean_lost"].set_index("level")["estimate"]
        # price: 1/6 from 1 to 3 and 7/18 from 3 to 5; service: 1/6 from 1 to 4 and 7/18 from 4 to 5.
        assert lost.to_dict() == pytest.approx({"price": 2 / 6 + 14 / 18, "service": 3 / 6 + 7 / 18})

    def test_leavers_without_a_reason_are_a_reason(self) -> None:
        found = loyalty.competing_reasons(TIME, EVENT, ["price", " ", None, "price", None, "service"], at=[5])
        assert sorted(set(found["level"])) == ["not told", "price"]  # the last was still there, whatever it says

    def test_by_group(self) -> None:
        plan = pd.Series(["a", "b"] * 3, name="plan")
        found = loyalty.competing_reasons(TIME, EVENT, pd.Series(WHY, name="end_reason"), by=plan, at=[2])
        assert set(found["segment"]) == {"end_reason x plan"}
        assert set(found["level"]) == {"price x a", "price x b", "service x a", "service x b"}
        alone = loyalty.competing_reasons(TIME[::2], EVENT[::2], WHY[::2], at=[2])
        assert shares(found, "price x a") == shares(alone, "price")

    def test_nobody_left(self) -> None:
        found = loyalty.competing_reasons([1, 2], [0, 0], ["a", "b"])
        assert (found["status"].iloc[0], found["note"].iloc[0]) == ("undefined", "nobody has left")

    def test_beyond_and_before(self) -> None:
        found = loyalty.competing_reasons(TIME, EVENT, WHY, at=[0.5, 6], horizon=9).set_index(["level", "metric", "at"])
        before = found.loc[("price", "cumulative_incidence", "0.5")]
        assert (before["estimate"], before["note"].split(":")[0]) == (0, "nobody has left for this reason yet")
        assert found.loc[("price", "cumulative_incidence", "6"), "status"] == "undefined"
        assert found.loc[("price", "restricted_mean_lost", "9"), "status"] == "undefined"

    def test_everybody_left(self) -> None:
        found = loyalty.competing_reasons([1, 2], [1, 1], ["a", "b"], at=[2, 3])
        assert shares(found, "a") == [0.5, 0.5]
        assert shares(found, "b") == [0.5, 0.5]

    def test_few_are_hidden(self) -> None:
        assert set(loyalty.competing_reasons(TIME, EVENT, WHY, min_n=7)["status"]) == {"suppressed"}


SAMPLES = st.lists(st.tuples(st.integers(1, 8), st.sampled_from(["", "a", "b", "c"])), min_size=2, max_size=40)


@given(SAMPLES)
def test_against_statsmodels_and_the_parts_of_the_whole(sample: list[tuple[int, str]]) -> None:
    time, why = np.array([t for t, _ in sample]), np.array([r for _, r in sample])
    if not (why != "").any():
        return
    found = loyalty.competing_reasons(time, why != "", why)
    reasons = sorted(set(why) - {""})
    status = np.array([0 if r == "" else reasons.index(r) + 1 for r in why])
    with np.errstate(divide="ignore", invalid="ignore"):
        theirs = CumIncidenceRight(time, status)
    known = found[(found["metric"] == "cumulative_incidence") & (found["status"] == "ok")]
    for place, reason in enumerate(reasons):
        mine = known[known["level"] == reason]
        spots = np.searchsorted(theirs.times, mine["at"].astype(float))
        assert mine["estimate"].to_numpy() == pytest.approx(theirs.cinc[place][spots], abs=1e-12)
        last = np.isfinite(theirs.cinc_se[place][spots])  # theirs has none once nobody is left
        assert mine["std_error"].to_numpy()[last] == pytest.approx(theirs.cinc_se[place][spots][last], abs=1e-7)
        assert ((mine["conf_low"] <= mine["estimate"] + 1e-12) & (mine["estimate"] <= mine["conf_high"] + 1e-12)).all()
    whole = loyalty.survival(time, why != "")
    left = whole[(whole["metric"] == "survival") & (whole["status"] == "ok")].set_index("at")["estimate"]
    assert known.groupby("at")["estimate"].sum().to_dict() == pytest.approx((1 - left).to_dict(), abs=1e-9)
    lost = found.loc[found["metric"] == "restricted_mean_lost", "estimate"].sum()
    mean = whole.loc[whole["metric"] == "restricted_mean"].iloc[0]
    assert lost == pytest.approx(float(mean["at"]) - mean["estimate"], abs=1e-9)


def test_one_reason_is_kaplan_and_meier(rng: np.random.Generator) -> None:
    """With one reason all errors are Greenwood's, and the time lost is the horizon less the restricted mean."""
    time, event = rng.integers(1, 30, 200), rng.random(200) < 0.6
    found = loyalty.competing_reasons(time, event, np.full(200, "only"), horizon=20)
    whole = loyalty.survival(time, event, horizon=20)
    mine, theirs = (f[f["metric"] == m].iloc[:25] for f, m in ((found, "cumulative_incidence"), (whole, "survival")))
    assert mine["std_error"].to_numpy() == pytest.approx(theirs["std_error"].to_numpy(), rel=1e-9)
    lost, mean = found.iloc[-1], whole.iloc[-1]
    assert lost["estimate"] == pytest.approx(20 - mean["estimate"])
    assert lost["std_error"] == pytest.approx(mean["std_error"], rel=1e-9)


def draw(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, events and reasons: constant hazards of 0.6 (price) and 0.4, watched for 0.3 to 3."""
    left, watched = rng.exponential(1.0, size), rng.uniform(0.3, 3, size)
    return np.minimum(left, watched), left <= watched, np.where(rng.random(size) < 0.6, "price", "service")


@pytest.mark.simulation
def test_coverage(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """95 % limits hold the truth, 0.6 (1 - e^-1) at 1 and the area under it, in 95 of 100 samples of 200."""
    times = replicates(150, 4_000)
    truth = {"cumulative_incidence": 0.6 * (1 - np.exp(-1)), "restricted_mean_lost": 0.6 * np.exp(-1)}
    held = dict.fromkeys(truth, 0)
    for _ in range(times):
        found = loyalty.competing_reasons(*draw(rng, 200), at=[1], horizon=1)
        for metric, value in truth.items():
            row = found[(found["metric"] == metric) & (found["level"] == "price")].iloc[0]
            held[metric] += row["conf_low"] <= value <= row["conf_high"]
    for metric, count in held.items():
        assert count / times == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / times) + 0.005), metric


class TestHazardRatios:
    def test_one_model_a_reason(self, rng: np.random.Generator) -> None:
        """A covariate that doubles the hazard of one reason only."""
        x = rng.integers(0, 2, 2_000)
        price, service = rng.exponential(2 / 2.0**x), rng.exponential(2, 2_000)
        frame = pd.DataFrame({
            "x": x, "t": np.minimum(price, service), "why": np.where(price < service, "price", "service"), "e": True,
        })  # fmt: skip
        found = loyalty.reason_hazard_ratios(frame, "t", "e", "why", ["x"], confidence=0.999)
        assert found["level"].to_list() == ["x x price", "x x service"]
        assert set(found["segment"]) == {"covariate x reason"}
        price_row, service_row = found.iloc[0], found.iloc[1]
        assert price_row["conf_low"] <= 2 <= price_row["conf_high"]
        assert service_row["conf_low"] <= 1 <= service_row["conf_high"]
        assert (found["p_adjusted"] >= found["p_value"]).all()
        alone = loyalty.hazard_ratios(frame.assign(e=frame["why"] == "price"), "t", "e", ["x"]).iloc[0]
        assert price_row["estimate"] == alone["estimate"]

    def test_nobody_left(self) -> None:
        frame = pd.DataFrame({"t": [1, 2], "e": [0, 0], "why": ["a", "b"], "x": [1, 2]})
        assert loyalty.reason_hazard_ratios(frame, "t", "e", "why", ["x"])["note"].iloc[0] == "nobody left"


class TestDemo:
    def test_reasons_of_the_demo(self) -> None:
        """docs/demo.md, 2: `service` more often where satisfaction was low; the other reasons are drawn evenly."""
        table: Any = demo.tables(4_000)["subscriptions"].to_pandas()
        began, ended = (pd.to_datetime(table[name]) for name in ("started_on", "ended_on"))
        end, records = pd.Timestamp("2026-11-01"), pd.Timestamp("2023-11-01")
        day = pd.Timedelta(days=1)
        found = loyalty.competing_reasons(
            (ended.fillna(end) - began) / day, ended.notna(), table["end_reason"], at=[730],
            entry=((records - began) / day).clip(lower=0),
        )  # fmt: skip
        row = found[found["metric"] == "cumulative_incidence"].set_index("level")
        others = row.drop(index="service")
        assert row.loc["service", "conf_low"] > others["conf_high"].max()
        assert len(others) == len(demo.TRUTHS.churn.reasons) - 1
        assert others["estimate"].max() - others["estimate"].min() < 4 * np.sqrt(2) * others["std_error"].max()
