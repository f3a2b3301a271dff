"""Sentiment is shown only where it agrees with the score given, and the agreement is measured rightly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from cxlib import results
from cxlib.analysis import voice
from cxlib.analysis.voice.lexicon import BAD, GOOD
from cxlib.analysis.voice.sentiment import check, concordance, score_words
from cxlib.analysis.voice.words import folded
from cxlib.errors import UsageError


@pytest.mark.parametrize(
    ("text", "language", "way"),
    [
        ("Great service, thank you!", "en", 1),
        ("Terrible, I waited for hours.", "en", -1),
        ("not good", "en", -1),
        ("It isn't bad", "en", 1),
        ("ÓTIMO, recomendo!", "pt", 1),
        ("Péssimo, não recomendo.", "pt", -1),
        ("Muy amable, gracias", "es", 1),
        ("The parcel is here.", "en", 0),
        ("", "en", 0),
    ],
)
def test_words_tell_the_mood(text: str, language: str, way: int) -> None:
    assert np.sign(score_words([text], [language])[0]) == way


def test_lists_are_folded_and_of_two_minds_about_nothing() -> None:
    for language in GOOD:
        good, bad = GOOD[language], BAD[language]
        assert all(word == folded(word) for word in (*good, *bad))
        assert not set(good) & set(bad)
    assert np.isnan(score_words(["gut"], ["de"])[0])  # no list: no sentiment, never 0


def test_with_two_classes_it_is_the_area_under_the_curve(rng: np.random.Generator) -> None:
    good = rng.integers(0, 2, 400).astype(float)
    told = np.round(rng.normal(good, 1.2), 1)
    value, error = concordance(told, good, np.arange(400))
    assert value == pytest.approx(roc_auc_score(good, told), abs=1e-12)
    assert error == pytest.approx(delong(told, good), rel=0.01)  # they divide by n - 1, we by n


def delong(told: np.ndarray, good: np.ndarray) -> float:
    """Return the standard error of DeLong, DeLong and Clarke-Pearson (1988), by their placement values."""
    x, y = told[good == 1], told[good == 0]
    over = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    return float(np.sqrt(over.mean(axis=1).var(ddof=1) / len(x) + over.mean(axis=0).var(ddof=1) / len(y)))


def test_with_several_scores_it_is_the_share_of_pairs(rng: np.random.Generator) -> None:
    told, given = rng.integers(-3, 4, 60).astype(float), rng.integers(0, 11, 60).astype(float)
    a, b = np.triu_indices(60, 1)
    way = np.sign(told[a] - told[b]) * np.sign(given[a] - given[b])
    share = ((way + 1) / 2)[given[a] != given[b]].mean()
    assert concordance(told, given, np.arange(60))[0] == pytest.approx(share, abs=1e-12)
    rows = check(told, given, np.arange(60)).set_index("at")
    assert rows.loc["correlation", "estimate"] == pytest.approx(stats.spearmanr(told, given).statistic)


@pytest.mark.simulation
@pytest.mark.parametrize("several", [1, 4])
def test_the_interval_holds_the_truth(
    replicates: Callable[[int, int], int], rng: np.random.Generator, several: int
) -> None:
    """Normal sentiment one apart: the area is Phi(1 / sqrt(2)); also where customers write several times."""
    runs, truth, hits = replicates(200, 5_000), stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(runs):
        good = rng.integers(0, 2, 120).astype(float)
        told = good + rng.standard_normal(120)
        rows = check(np.repeat(told, several), np.repeat(good, several), np.repeat(np.arange(120), several))
        hits += rows["conf_low"][0] <= truth <= rows["conf_high"][0]
    assert hits / runs > 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_what_does_not_hold_is_not_shown(rng: np.random.Generator) -> None:
    texts = ["Great service, thank you!", "Terrible service."] * 50
    right = voice.sentiment(texts, [5, 1] * 50, language=["en"] * 100)
    assert right["status"].eq("ok").all()
    assert right["level"].eq("English").all()
    assert right.set_index("at").loc["concordance", "estimate"] == 1
    shown = right[right["metric"] == "sentiment"].iloc[0]
    assert shown["conf_low"] <= shown["estimate"] <= shown["conf_high"]
    chance = voice.sentiment(texts, rng.permutation([5, 1] * 50), language=["en"] * 100)
    hidden = chance[chance["metric"] == "sentiment"].iloc[0]
    assert hidden["status"] == results.UNDEFINED
    assert np.isnan(hidden["estimate"])
    assert "does not agree well enough with the score given" in hidden["note"]
    assert chance.set_index("at").loc["concordance", "status"] == "ok"  # how well it does is told all the same


def test_each_language_is_checked_by_itself() -> None:
    texts = (
        ["Great, thank you!", "Awful."] * 40 + ["Ótimo, obrigado!", "Péssimo."] * 10 + ["Sehr gut"] * 12 + ["Bien"] * 3
    )
    scores = [5, 1] * 40 + [5, 1] * 10 + [5] * 12 + [4] * 3
    spoken = ["en"] * 80 + ["pt-BR"] * 20 + ["de"] * 12 + ["es"] * 3
    rows = voice.sentiment(texts, scores, language=spoken)
    mean = rows[rows["metric"] == "sentiment"].set_index("level")
    assert mean["status"].to_dict() == {
        "English": "ok", "Portuguese": "undefined", "German": "undefined", "Spanish": "suppressed",
    }  # fmt: skip
    assert "fewer than 30 customers" in mean["note"]["Portuguese"]
    assert mean["note"]["German"] == "no list of words for it"
    guessed = voice.sentiment(
        ["The parcel was great and it is good", "It was awful and the box broke"] * 40, [5, 1] * 40
    )
    assert guessed["level"].unique().tolist() == ["English"]


def test_another_scoring_may_be_given() -> None:
    rows = voice.sentiment(
        ["a", "bb"] * 30, [1, 5] * 30, language=["xx"] * 60, scorer=lambda texts, _: [len(t) for t in texts]
    )
    assert rows["status"].eq("ok").all()
    assert "given as a function" in rows["method"].iloc[-1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"score": [1]}, "1 scores for 2 texts"),
        ({"score": [1, 2], "bar": 0.3}, "bar 0.3"),
        ({"score": ["good", 1]}, "no number"),
    ],
)
def test_what_is_asked_wrongly(wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        voice.sentiment(["a", "b"], **wrong)
    assert voice.sentiment([], []).empty


def test_airline_tweets_against_what_people_read_in_them(shared_data: Callable[[str], Path]) -> None:
    """Negative against positive, by people: an area of 0.85 at least, and a correlation above that of chance."""
    tweets = pd.read_csv(shared_data("airline_tweets") / "Tweets.csv", usecols=["text", "airline_sentiment"])
    tweets = tweets[tweets["airline_sentiment"] != "neutral"].sample(3_000, random_state=1)
    good = (tweets["airline_sentiment"] == "positive").astype(float)
    rows = voice.sentiment(tweets["text"], good, language=["en"] * len(tweets)).set_index("at")
    assert rows.loc["concordance", "conf_low"] > 0.85
    assert rows.loc["correlation", "conf_low"] > 0.4
