"""Delivered against intended: by hand, as the house's ratio, and through the rest of the room."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib.analysis import partners
from cxlib.errors import UsageError
from cxlib.measure import formulas
from cxlib.measure.moments import Moments


def visits(rng: np.random.Generator, arrives: np.ndarray, n: int = 60) -> pd.DataFrame:
    """Return visits to sites at which a share of the intended warmth arrives."""
    site = np.repeat(np.arange(arrives.size), n)
    intended = rng.uniform(3, 5, site.size)
    return pd.DataFrame(
        {
            "site": [f"s{s}" for s in site], "intended": intended, "customer_id": np.arange(site.size),
            "delivered": intended * arrives[site] + rng.normal(0, 0.4, site.size),
        }
    )  # fmt: skip


ARRIVES = np.array([0.8, 0.9, 1.0, 1.0, 1.1])


def test_the_share_of_a_partner_is_the_house_s_ratio(rng: np.random.Generator) -> None:
    frame = visits(rng, ARRIVES)
    frame["customer_id"] = rng.integers(0, 120, len(frame))
    found = partners.raw(partners.transfer_fit(frame, "delivered", "intended", "site", measure="share"))
    for row in found.to_dict("records"):
        mine = frame[frame["site"] == row["level"]]
        ratio = formulas.ratio(Moments.of(mine["delivered"], mine["intended"], clusters=mine["customer_id"]))
        for name in ("estimate", "std_error", "conf_low", "conf_high"):
            assert row[name] == pytest.approx(ratio[name].iloc[0], rel=1e-9), name


def test_what_was_planted_is_found(rng: np.random.Generator) -> None:
    frame = visits(rng, ARRIVES)
    share = partners.transfer(frame, "delivered", "intended", "site", measure="share")
    assert share["estimate"].to_numpy() == pytest.approx(ARRIVES, abs=0.03)  # a standard error is 0.013
    assert share["verdict"].tolist()[::4] == ["moved", "moved"]
    assert set(share["metric"]) == {"transfer_share"}
    assert set(share["comparison"]) == {"share"}
    gap = partners.transfer(frame, "delivered", "intended", "site")
    assert gap["estimate"].to_numpy() == pytest.approx(4 * (ARRIVES - 1), abs=0.2)
    assert gap["estimate"].iloc[0] < 0
    assert set(gap["against"]) == {"intended"}
    assert set(gap["comparison"]) == {"difference"}


def test_verdicts_are_what_the_intervals_say(rng: np.random.Generator) -> None:
    for measure, goal in (("gap", 0.0), ("share", 1.0)):
        found = partners.transfer(visits(rng, ARRIVES), "delivered", "intended", "site", measure=measure)
        outside = (found["conf_low"] > goal) | (found["conf_high"] < goal)
        assert ((found["verdict"] == "moved") == outside).all()


def test_one_number_may_be_intended_for_all(rng: np.random.Generator) -> None:
    frame = visits(rng, ARRIVES)
    one = partners.transfer(frame.assign(goal=4.2), "delivered", "goal", "site", metric="warmth")
    other = partners.transfer(frame, "delivered", 4.2, "site", metric="warmth")
    pd.testing.assert_frame_equal(one.drop(columns="against"), other.drop(columns="against"))
    assert other["against"].iloc[0] == "4.2"


def test_of_a_fit_it_is_the_same(rng: np.random.Generator) -> None:
    """What was fitted to the delivered already tells the gap to one number, to the last digit."""
    frame = visits(rng, ARRIVES).assign(plan=rng.choice(["Basic", "Pro", None], 300))
    frame.loc[:5, "delivered"] = np.nan
    found = partners.transfer_of(partners.fit(frame, "delivered", "site", case_mix=["plan"], min_n=2), 4)
    plain = partners.transfer(frame, "delivered", 4, "site", case_mix=["plan"], min_n=2)
    pd.testing.assert_frame_equal(found, plain)


def test_ranks_tiers_and_limits_follow(rng: np.random.Generator) -> None:
    fit = partners.transfer_fit(visits(rng, ARRIVES), "delivered", "intended", "site", measure="share")
    assert partners.ranks(fit)["estimate"].iloc[[0, 4]].round().tolist() == [5, 1]
    assert partners.tiers(fit)["verdict"].iloc[0] == "moved"
    assert len(partners.funnel(fit)) == 5


def test_rows_without_either_number_do_not_count(rng: np.random.Generator) -> None:
    frame = visits(rng, ARRIVES)
    holes = frame.copy()
    holes.loc[:4, "delivered"] = np.nan
    holes.loc[60:64, "intended"] = np.nan
    for measure in ("gap", "share"):
        found = partners.transfer(holes, "delivered", "intended", "site", measure=measure)
        assert found["n"].tolist() == [55, 55, 60, 60, 60]
        assert found["note"].str.contains("10 rows without").all()


@pytest.mark.parametrize(
    ("changed", "how", "words"),
    [
        ({}, {"measure": "ratio"}, "no measure of transfer; there are gap, share"),
        ({"intended": 0.0}, {"measure": "share"}, "adds up to nothing or less"),
        ({"delivered": "warm"}, {}, "delivered is no number in .* rows, the first 'warm'"),
    ],
)
def test_what_cannot_be_used_is_refused(changed: dict, how: dict, words: str, rng: np.random.Generator) -> None:
    with pytest.raises(UsageError, match=words):
        partners.transfer(visits(rng, ARRIVES).assign(**changed), "delivered", "intended", "site", **how)


def test_few_customers_and_no_rows(rng: np.random.Generator) -> None:
    frame = visits(rng, ARRIVES)
    frame.loc[frame["site"] == "s1", "customer_id"] = 7
    found = partners.transfer(frame, "delivered", "intended", "site", min_n=3).set_index("level")
    assert found.loc["s1", "status"] == "suppressed"
    assert found.loc["s1", "verdict"] == ""
    none = partners.transfer(frame.iloc[:0], "delivered", "intended", "site", measure="share")
    assert none["status"].tolist() == ["undefined"]
