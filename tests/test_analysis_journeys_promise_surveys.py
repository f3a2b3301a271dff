"""Surveys asked before the parcel came: the planted defect is found, and no defect is found where none is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.journeys import promise_surveys as surveys
from cxlib.data import demo

START = pd.Timestamp("2026-01-01")


def answered(rng: np.random.Generator, share: float, effect: float, n: int = 3_000, late: float = 0.0) -> pd.DataFrame:
    """Answers to deliveries: a share asked early differs by `effect`; a day late that is known of costs `late`."""
    promised = START + pd.to_timedelta(rng.uniform(0, 300, n), unit="D")
    days = np.where(rng.random(n) < 0.2, rng.exponential(3, n), -1.0)
    came = promised + pd.to_timedelta(days, unit="D")
    early = rng.random(n) < share
    asked = np.where(early, promised - pd.Timedelta(days=2), came + pd.Timedelta(days=1))
    score = 4 + effect * early - late * np.where(early, 0, np.clip(days, 0, 4)) + rng.normal(0, 1, n)
    return pd.DataFrame({"customer_id": rng.integers(0, n // 2, n), "touchpoint": "delivery", "score": score,
                         "asked_at": pd.to_datetime(asked), "promised_at": promised, "delivered_at": came})  # fmt: skip


def test_an_effect_is_recovered_and_the_delay_that_was_known_held_equal(rng: np.random.Generator) -> None:
    frame = answered(rng, 0.1, -0.6, 6_000, late=0.5)
    found = surveys.answers(frame, "csat").set_index(["level", "at"])
    raw, equal = (found.loc[(surveys.BEFORE, at)] for at in (surveys.RAW, surveys.EQUAL))
    equal = equal[equal["comparison"] == "difference"].iloc[0] if isinstance(equal, pd.DataFrame) else equal
    assert equal["conf_low"] <= -0.6 <= equal["conf_high"]
    assert abs(equal["estimate"] + 0.6) < 0.12
    assert raw["estimate"] > equal["estimate"] + 0.1  # those asked later know of delays and are worse off for them
    whole = found.loc[("all", "")]
    after = frame[surveys.early(frame) == 0]["score"].mean()
    assert whole["estimate"] == pytest.approx(frame["score"].mean() - after, abs=1e-12)


def test_the_inclusion_has_the_error_of_the_bootstrap(rng: np.random.Generator) -> None:
    frame = answered(rng, 0.1, -0.6, 800)
    found = surveys.answers(frame, "csat")
    row = found[found["level"] == "all"].iloc[0]
    groups = [own for _, own in frame.assign(early=surveys.early(frame)).groupby("customer_id")]
    sums = np.array([[g["score"].sum(), len(g), g.loc[g["early"] == 0, "score"].sum(), (g["early"] == 0).sum()]
                     for g in groups])  # fmt: skip
    drawn = sums[rng.integers(0, len(sums), (500, len(sums)))].sum(axis=1)
    boot = (drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]).std(ddof=1)
    assert row["std_error"] == pytest.approx(boot, rel=0.15)  # 500 resamples: 3 % of an error, three times


@pytest.mark.parametrize(("share", "said"), [(0.04, surveys.FOUND), (0.0, surveys.NOT_FOUND)])
def test_the_verdict(rng: np.random.Generator, share: float, said: str) -> None:
    frame = answered(rng, share, -0.6)
    rows = surveys.sent_early(frame)
    found = surveys.verdict(rows, surveys.answers(frame, "csat"), frame).iloc[0]
    assert found["at"] == said
    assert (found["p_value"] < 0.001) == (said == surveys.FOUND)


def test_an_order_that_has_not_come_was_asked_about_early() -> None:
    frame = pd.DataFrame({"asked_at": [START, START, pd.NaT], "delivered_at": [pd.NaT, START, START]})
    assert surveys.early(frame).tolist()[:2] == [1.0, 0.0]
    assert np.isnan(surveys.early(frame)[2])


def test_the_planted_defect_of_the_demo_is_found() -> None:
    """docs/demo.md 11: 4 % of delivery surveys are sent early, and their answers are 0.60 lower on the latent scale."""
    tables = demo.tables(3_000, seed=5, first="2025-11")
    sent, orders, given = (tables[name].to_pandas() for name in ("invitations", "orders", "responses"))
    when = orders[["order_id", "promised_at", "delivered_at"]]
    asked = sent[sent["order_id"].notna()].merge(when, on="order_id").rename(columns={"sent_at": "asked_at"})
    share = surveys.sent_early(asked)
    truth = demo.TRUTHS.surveys.sent_before_arrival
    assert share["conf_low"].iloc[0] <= truth <= share["conf_high"].iloc[0]
    both = asked.merge(given[["invitation_id", "score"]], on="invitation_id")
    effect = surveys.answers(both, "csat")
    row = effect[(effect["at"] == surveys.EQUAL)].iloc[0]
    assert row["conf_high"] < 0
    assert surveys.verdict(share, effect, asked)["at"].item() == surveys.FOUND


def test_by_touchpoint_and_too_few(rng: np.random.Generator) -> None:
    frame = answered(rng, 0.3, 0.0, 400)
    frame = frame.assign(touchpoint=rng.choice(["delivery", "returns"], 400))
    assert surveys.sent_early(frame)["level"].tolist() == ["all", "delivery", "returns"]
    few = surveys.answers(answered(rng, 0.0, 0.0, 200), "csat")
    assert few.iloc[-1]["status"] == results.TOO_FEW
