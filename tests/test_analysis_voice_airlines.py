"""Real tweets that people labelled (Crowdflower, 14,640 tweets to US airlines): how well a codebook that was written on
one half does on the other, and whether a few hundred labels correct its rates.

A tweet has one label only, the main reason, though it may name several: precision and recall are lower bounds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxlib.analysis import voice
from cxlib.params import Codebook, yamltext
from tests.conftest import ROOT

REASONS = {
    "late_flight": "Late Flight", "cancelled_flight": "Cancelled Flight", "lost_luggage": "Lost Luggage",
    "damaged_luggage": "Damaged Luggage", "customer_service": "Customer Service Issue",
    "booking_problems": "Flight Booking Problems", "bad_flight": "Bad Flight",
    "flight_attendant": "Flight Attendant Complaints", "long_lines": "longlines",
}  # fmt: skip


@pytest.fixture(scope="module")
def tweets(shared_data: Callable[[str], Path]) -> pd.DataFrame:
    return pd.read_csv(shared_data("airline_tweets") / "Tweets.csv", dtype={"tweet_id": str})


@pytest.fixture(scope="module")
def coded(tweets: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Codes and labels of the half that the codebook was not written on."""
    data = yamltext.read(ROOT / "tests" / "data" / "codebook_airlines.yml").data
    themes = {name: theme | {"id": name} for name, theme in data["themes"].items()}
    odd = tweets["tweet_id"].map(lambda name: int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2) == 1
    held = tweets[odd].reset_index(drop=True)
    codes = voice.code(held["text"], Codebook(version=data["version"], themes=themes))
    labels = pd.DataFrame({name: held["negativereason"].eq(reason) for name, reason in REASONS.items()})
    return codes, labels


def test_the_labels_are_those_that_were_published(tweets: pd.DataFrame, oracle: Callable[[str], dict]) -> None:
    expected = oracle("voc_airline_labels")["expected"]
    assert tweets["airline_sentiment"].value_counts().to_dict() == expected["sent"]
    assert tweets["negativereason"].value_counts().to_dict() == expected["reason"]
    by_airline = tweets.groupby("airline")["airline_sentiment"].value_counts().unstack().to_dict("index")
    assert by_airline == expected["by_airline"]


def test_what_is_found_on_the_other_half(coded: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    codes, labels = coded
    found = voice.accuracy(codes, labels).set_index(["level", "metric"])
    assert len(codes) == 7_338
    # Far better than luck wherever there are enough labels to tell: precision is above how common the theme is.
    for theme in REASONS:
        precision, prevalence = found.loc[(theme, "precision")], found.loc[(theme, "prevalence")]
        assert precision["conf_low"] > 3 * prevalence["estimate"], theme
    for theme, precision, recall in (
        ("late_flight", 0.6, 0.5), ("cancelled_flight", 0.6, 0.65), ("lost_luggage", 0.6, 0.4),
        ("customer_service", 0.65, 0.35),
    ):  # fmt: skip
        assert found.loc[(theme, "precision"), "conf_low"] > precision, theme
        assert found.loc[(theme, "recall"), "conf_low"] > recall, theme


def test_corrected_rates_cover_the_true_ones(coded: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """Audits of 400 tweets drawn from that half: what is found is far off, what is corrected is not."""
    codes, labels = coded
    truth, naive, rng = labels.mean(), codes.mean().astype(float), np.random.default_rng(20261122)
    covered, widths, errors = [], [], []
    for _ in range(20):
        chosen = np.zeros(len(codes), dtype=bool)
        chosen[rng.choice(len(codes), 400, replace=False)] = True
        rates = voice.corrected_rate(codes[~chosen], codes[chosen], labels[chosen]).set_index("level")
        covered.append((rates["conf_low"] <= truth) & (truth <= rates["conf_high"]))
        widths.append(rates["conf_high"] - rates["conf_low"])
        errors.append(rates["estimate"] - truth)
    # 180 intervals that should cover 95 times in 100: three standard errors less is 0.90.
    assert np.mean(covered) > 0.90
    assert abs(naive["customer_service"] - truth["customer_service"]) > 0.05
    assert abs(np.mean([error["customer_service"] for error in errors])) < 0.015
    alone = 2 * 1.96 * (truth * (1 - truth) / 400) ** 0.5
    mean = pd.concat(widths, axis=1).mean(axis=1)
    for theme in ("late_flight", "cancelled_flight", "lost_luggage"):  # labels alone would tell less
        assert mean[theme] < alone[theme], theme


def test_a_planned_audit_covers_too(coded: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    codes, labels = coded
    truth, covered = labels.mean(), []
    for seed in range(12):
        sample = voice.audit_sample(pd.Series([""] * len(codes)), codes, n=400, rng=np.random.default_rng(seed))
        rates = voice.corrected_rate(
            codes.drop(sample.index), codes.loc[sample.index], labels.loc[sample.index], audit_weights=sample["weight"]
        ).set_index("level")
        covered.append((rates["conf_low"] <= truth) & (truth <= rates["conf_high"]))
    assert np.mean(covered) > 0.88  # 108 intervals: three standard errors less than 0.95
