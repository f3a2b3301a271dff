"""Candidates for themes: planted topics come back, the same to the digit, month after month under one name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from sklearn.decomposition import NMF
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from cxlib import results
from cxlib.analysis import voice
from cxlib.analysis.voice import matching, words
from cxlib.analysis.voice.factors import factors, nearest, start
from cxlib.analysis.voice.stability import first
from cxlib.analysis.voice.terms import learn
from cxlib.errors import UsageError
from cxlib.params.models import Theme

TOPICS = {
    "parcel": "parcel courier driver doorstep box delivered van depot",
    "bill": "invoice charged refund bank billing statement card euro",
    "app": "app login password crashes screen update button website",
    "staff": "agent phone queue hold rude helpful shift manager",
}
FILLER = ["today", "yesterday", "morning", "evening", "week", "month", "year", "company", "shop", "order", "friend"]


def planted(rng: np.random.Generator, size: int = 600, topics: dict[str, str] = TOPICS) -> tuple[pd.Series, np.ndarray]:
    """Return texts of five words, three of them of one topic, and the topic of each."""
    truth = rng.integers(len(topics), size=size)
    pools = [pool.split() for pool in topics.values()]
    texts = [" ".join([*rng.choice(pools[t], 3, replace=False), *rng.choice(FILLER, 2)]) for t in truth]
    return pd.Series(texts, index=rng.permutation(size)), truth


@pytest.fixture(scope="module")
def corpus() -> tuple[pd.Series, np.ndarray]:
    return planted(np.random.default_rng(3))


@pytest.fixture(scope="module")
def fit(corpus: tuple[pd.Series, np.ndarray]) -> voice.Themes:
    return voice.themes(corpus[0], n=4, rng=np.random.default_rng(1), language="en")


def test_planted_topics_come_back(corpus: tuple[pd.Series, np.ndarray], fit: voice.Themes) -> None:
    texts, truth = corpus
    assert adjusted_rand_score(truth, first(fit, texts)) > 0.95
    shares = fit.frame[fit.frame["metric"] == "theme candidate"]
    assert len(shares) == 4
    assert shares["estimate"].is_monotonic_decreasing
    assert (shares["conf_low"] < shares["estimate"]).all()
    assert (shares["n"] == len(texts)).all()
    for name in fit.names:  # each is named by words of one topic
        assert any(set(name.split(", ")) <= set(pool.split()) for pool in TOPICS.values())


def test_the_same_to_the_digit_whatever_the_order(corpus: tuple[pd.Series, np.ndarray], fit: voice.Themes) -> None:
    texts, _ = corpus
    again = voice.themes(texts.sample(frac=1, random_state=2), n=4, rng=np.random.default_rng(1), language="en")
    pd.testing.assert_frame_equal(again.frame, fit.frame, check_exact=True)
    pd.testing.assert_frame_equal(again.words, fit.words, check_exact=True)
    pd.testing.assert_frame_equal(again.memberships.loc[texts.index], fit.memberships)
    pd.testing.assert_frame_equal(fit.assign(texts), fit.memberships)
    alone = fit.assign(texts.iloc[:1])  # a text by itself is read as among others
    assert alone.iloc[0].tolist() == fit.memberships.iloc[0].tolist()


def test_as_near_to_the_texts_as_scikit_learn(corpus: tuple[pd.Series, np.ndarray]) -> None:
    """Texts alike are put together with weights: fitted row by row, scikit-learn comes no nearer than 0.5 %."""
    texts = pd.concat([corpus[0].iloc[:200]] * 3 + [corpus[0].iloc[200:]])
    written = words.read(texts)
    terms, table = learn(written, frozenset(), (), least=1, most=1.0, at_most=10_000)
    found = factors(terms, table, written.counts, 4)
    theirs = TfidfVectorizer(analyzer=lambda text: {term for term, _ in words.terms_of(text, frozenset())})
    x = theirs.fit_transform(texts)
    np.testing.assert_allclose(terms.idf, theirs.idf_, rtol=1e-12)  # the same formula
    np.testing.assert_array_equal(terms.names, theirs.get_feature_names_out())
    ours = np.linalg.norm(x - nearest(x, found.rows) @ found.rows)
    model = NMF(4, init="nndsvda", random_state=1, max_iter=400).fit(x)
    assert ours <= 1.005 * model.reconstruction_err_


@pytest.mark.parametrize(("n", "shape"), [(3, (40, 12)), (5, (6, 12)), (6, (6, 9))])
def test_the_start_is_that_of_scikit_learn_with_exact_vectors(
    rng: np.random.Generator, n: int, shape: tuple[int, int]
) -> None:
    """On few rows scikit-learn's drawn decomposition is exact: one step from there leads where ours leads."""
    x = csr_array(rng.random(shape) * (rng.random(shape) < 0.6))
    w, h = start(x, n)
    ours = NMF(n, init="custom", max_iter=500, tol=0.0)
    theirs = NMF(n, init="nndsvda", max_iter=500, tol=0.0, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit_transform(x, W=w, H=h)
        theirs.fit(x)
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-4)


def test_weights_are_the_least_squares_without_negatives(rng: np.random.Generator) -> None:
    from scipy.optimize import nnls

    rows = rng.random((3, 7))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    x = rng.random((5, 7))
    theirs = np.array([nnls(rows.T, line)[0] for line in x])
    np.testing.assert_allclose(nearest(x, rows), theirs, atol=1e-5)  # steps end below 1e-7


def test_month_after_month_under_one_name(fit: voice.Themes) -> None:
    rng = np.random.default_rng(8)
    topics = {
        **{name: pool for name, pool in TOPICS.items() if name != "bill"},
        "gift": "gift voucher wrapping ribbon birthday present note surprise",
    }
    texts, _ = planted(rng, topics=topics)
    now = voice.themes(texts, n=4, rng=rng, language="en", previous=fit)
    state = now.matches.set_index("level")["at"]
    assert sorted(state) == ["gone", "kept", "kept", "kept", "new"]
    assert set(state[state == "kept"].index) < set(fit.names)
    new = state.index[state == "new"][0]
    assert set(new.split(", ")) <= set(topics["gift"].split())
    assert set(state[state == "gone"].index[0].split(", ")) <= set(TOPICS["bill"].split())
    assert (
        set(now.names)
        == set(now.words["theme"])
        == set(now.frame.loc[now.frame["metric"] == "theme candidate", "level"])
    )
    assert now.frame.set_index("level")["note"][new].startswith("new; words: ")
    from_words = voice.themes(texts, n=4, rng=np.random.default_rng(8), language="en").matched(fit.words)
    assert set(from_words.names) == set(now.names)  # the words of last month are enough


def test_matching_is_the_assignment_of_the_largest_cosine() -> None:
    old = pd.DataFrame({"theme": ["a", "a", "b"], "term": ["x", "y", "z"], "weight": [3.0, 4.0, 1.0]})
    new = pd.DataFrame({"theme": ["p", "q", "q"], "term": ["Z", "x", "w"], "weight": [2.0, 1.0, 1.0]})
    np.testing.assert_allclose(matching.cosines(old, new, ["a", "b"], ["p", "q"]), [[0, 0.6 / np.sqrt(2)], [1, 0]])
    assert [(p.old, p.new) for p in matching.pairs(old, new, ["p", "q"])] == [("b", "p")]
    assert [(p.old, p.new) for p in matching.pairs(old, new, ["p", "q"], least=0.4)] == [("a", "q"), ("b", "p")]
    assert matching.titles(["a", "q"], [matching.Pair("a", "q", 1.0)]) == {"a": "a (2)", "q": "a"}


def test_an_entry_may_be_pasted_into_the_codebook(corpus: tuple[pd.Series, np.ndarray], fit: voice.Themes) -> None:
    texts, _ = corpus
    entries = yaml.safe_load("themes:\n" + "".join(fit.codebook_entry(name) for name in fit.names))["themes"]
    book = {name: Theme(id=name, **entry) for name, entry in entries.items()}
    assert len(book) == 4
    assert all(list(theme.stems) == ["en"] for theme in book.values())
    coded = voice.code(texts, book)
    for name, theme in zip(fit.names, book, strict=True):  # whom it finds are those of the candidate
        hit = coded[theme].to_numpy(dtype=float) > 0
        assert fit.memberships[name].to_numpy()[hit].mean() > 0.9
    with pytest.raises(UsageError, match="no theme 'parcels'"):
        fit.codebook_entry("parcels")


def test_phrases_are_told_by_their_language() -> None:
    texts = ["the parcel was late and it is broken"] * 20 + ["a encomenda chegou atrasada e não é o que comprei"] * 20
    fit = voice.themes(texts, n=2, language=("en", "pt"))
    spoken = {name: set(yaml.safe_load(fit.codebook_entry(name)).popitem()[1]["stems"]) for name in fit.names}
    assert sorted(map(tuple, spoken.values())) == [("en",), ("pt",)]


NASTY = (
    "<b>Bold</b> and <script>alert('parcel')</script> parcel",
    "Write to jane.doe@example.com about the parcel",
    "Call +44 7700 900123 about the PÁRCEL",
    '=HYPERLINK("http://example.com") parcel &amp; box',
)


def test_no_term_is_a_mark_a_tag_or_a_number() -> None:
    fit = voice.themes([f"{text} broken box {i % 3}" for text in NASTY for i in range(10)], n=2, language="en")
    used = {word for term in fit.words["term"] for word in term.split()}
    assert "broken" in used
    assert not used & {"e-mail", "mail", "phone", "script", "alert", "hyperlink", "b", "amp", "jane", "doe", "example"}
    assert not any(letter.isdigit() for word in used for letter in word)


def test_negated_words_are_not_the_words() -> None:
    terms = [term for term, _ in words.terms_of("It has NÃO chegou, didn't arrive; solved?", voice_stop())]
    assert terms == ["nao chegou", "didn't arrive", "solved"]


def test_forms_of_a_word_are_one_term_as_in_the_codebook() -> None:
    texts = ["parcels delayed", "parcel delay", "the parcel is delaying", "PARCEL delayed"] * 5 + ["nice staff"] * 20
    fit = voice.themes(texts, n=2, language="en")
    delay = fit.words[fit.words["key"] == "delay"].iloc[0]
    assert delay["term"] == "delayed"  # as mostly written
    assert delay["customers"] == 20
    assert next(words.terms_of("Delayed deliveries", frozenset(), "en"))[0] == "delay"


def voice_stop() -> frozenset[str]:
    return words.stop_words(("en", "pt"))


def test_words_of_few_customers_are_never_learnt() -> None:
    texts = ["parcel late", "box broken"] * 20 + ["zanzibar parcel"] * 30
    people = [*range(40), *[99] * 30]
    fit = voice.themes(texts, n=2, customer=people, language="en", min_share=0.0)
    assert "zanzibar" not in " ".join(fit.words["term"])
    assert (fit.words["customers"] >= 10).all()
    clustered = fit.frame[fit.frame["metric"] == "theme candidate"]
    assert (clustered["n"] == 70).all()
    assert (clustered["n_eff"] < 45).all()  # thirty texts of one customer are worth about one


@pytest.mark.parametrize(
    ("texts", "n", "said"),
    [
        ([], 3, "nothing was written"),
        ([None, "  ", np.nan], 3, "nothing was written"),
        (["only one"], 2, "allow 0"),
        (["red box", "blue box"] * 10, 9, "allow 2"),
        (["red", "blue", "green", "mauve"] * 10 + ["12", "34", "the"], 5, "allow 4"),
    ],
)
def test_too_little_is_said_and_never_an_error(texts: list, n: int, said: str) -> None:
    fit = voice.themes(pd.Series(texts, dtype="object"), n=n)
    assert fit.frame["status"].tolist() == [results.TOO_FEW]
    assert said in fit.frame["note"][0]
    assert fit.names == ()
    assert fit.memberships.shape == (len(texts), 0)
    assert fit.assign(["a box"]).shape == (1, 0)
    assert voice.themes(["red box", "blue van"] * 20, n=2, previous=fit).matches["at"].tolist() == ["new", "new"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n": 0}, "n 0"),
        ({"n": 2, "language": "xx"}, "no stop words for 'xx'"),
        ({"n": 2, "min_share": 2}, "min_share"),
        ({"n": 2, "customer": [1]}, "1 customers for 2 texts"),
        ({"n": 2, "rng": 3}, "Generator"),
    ],
)
def test_what_is_asked_wrongly(wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        voice.themes(["a", "b"], **wrong)
    with pytest.raises(UsageError, match="not a column"):
        voice.themes("one text", n=2)


def meaning(texts: list[str]) -> np.ndarray:
    """Return points as a language model might: one direction a topic, and a little of each word."""
    pools = [set(pool.split()) for pool in TOPICS.values()]
    return np.array([[float(len(pool & set(text.split()))) for pool in pools] + [len(text) / 500] for text in texts])


def test_clusters_of_embedded_texts(corpus: tuple[pd.Series, np.ndarray], fit: voice.Themes) -> None:
    texts, truth = corpus
    found = voice.themes(texts, n=4, rng=np.random.default_rng(1), language="en", embedder=meaning)
    assert adjusted_rand_score(truth, first(found, texts)) > 0.95
    assert "embeddings" in found.frame["method"][0]
    again = voice.themes(texts[::-1], n=4, rng=np.random.default_rng(1), language="en", embedder=meaning)
    pd.testing.assert_frame_equal(again.frame, found.frame, check_exact=True)
    assert (found.matched(fit).matches["at"] == "kept").all()  # the two ways find the same


def test_stability_tells_planted_themes_from_too_many(corpus: tuple[pd.Series, np.ndarray]) -> None:
    texts = corpus[0]
    right = voice.stability(texts, n=4, runs=3, language="en")
    rand = right[right["at"] == "adjusted Rand"].set_index("metric")["estimate"]
    assert rand.min() > 0.9
    assert (right.loc[right["metric"] == "theme comes back", "estimate"] == 1).all()
    many = voice.stability(texts, n=12, runs=3, language="en")
    assert many.loc[many["at"] == "adjusted Rand", "estimate"].iloc[1] < 0.8
    assert voice.stability(["one"], n=2)["status"].tolist() == [results.TOO_FEW]


@settings(max_examples=15)
@given(st.lists(st.text(max_size=40), max_size=40), st.integers(1, 4))
def test_any_texts_make_a_frame(texts: list[str], n: int) -> None:
    fit = voice.themes(texts, n=n, min_n=1)
    results.conform(fit.frame)
    assert len(fit.memberships) == len(texts)
    ok = fit.frame[fit.frame["status"] == "ok"]
    assert ok["estimate"].between(0, 1).all()
    assert ok["estimate"].notna().all()


def test_airline_tweets_agree_with_what_people_read_in_them(shared_data: Callable[[str], Path]) -> None:
    """NMI with the reasons that people gave: above that of shuffled labels, and of 0.1 at least."""
    tweets = pd.read_csv(shared_data("airline_tweets") / "Tweets.csv", usecols=["text", "negativereason"]).dropna()
    tweets = tweets[tweets["negativereason"] != "Can't Tell"].sample(3_000, random_state=1)
    fit = voice.themes(tweets["text"], n=12, rng=np.random.default_rng(1), language="en")
    found = first(fit, tweets["text"])
    nmi = normalized_mutual_info_score(tweets["negativereason"], found)
    chance = normalized_mutual_info_score(np.random.default_rng(1).permutation(tweets["negativereason"]), found)
    assert nmi > 0.12
    assert nmi > 5 * chance
