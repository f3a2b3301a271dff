"""Sentiment of comments: a secondary signal beside the score given, shown only where it agrees with it.

A scoring of words says what it says only as far as it has been held against what the same customers scored. So each
language is checked first: the chance that of two comments the one with the higher score has the higher sentiment
(concordance; with two classes the area under the ROC curve) and Spearman's correlation. Where the lower limit of the
first is below a bar set beforehand, nothing is shown for that language.

The scoring by default counts the words of `lexicon`, turned round by a negation up to three words before. VADER (Hutto
and Gilbert 2014) is not built in: it is English only, was last released in 2020, and is made for social media; any
other scoring may be given as a function.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.voice.lexicon import BAD, GOOD
from cxlib.analysis.voice.stopwords import NEGATIONS
from cxlib.analysis.voice.words import Written, languages_of, read, words_of
from cxlib.errors import UsageError
from cxlib.measure.intervals import check_confidence, z_of
from cxlib.measure.rows import Numbers

Scorer = Callable[[Sequence[str], Sequence[str]], Any]

SENTIMENT, CHECK = "sentiment", "sentiment against the score"
BAR = 0.7
_REACH, _FEWEST = 3, 30  # words that a negation turns round; customers without whom nothing can be checked
_NAMES = {"en": "English", "pt": "Portuguese", "es": "Spanish", "de": "German"}
_OF_WORDS, _OF_OWN = "good less bad words, over one more than both", "a scoring given as a function"


def score_words(texts: Sequence[str], languages: Sequence[str]) -> Numbers:
    """Score texts by the words of `lexicon`: good less bad ones, over one more than both; between -1 and 1.

    Parameters
    ----------
    texts
        Redacted texts, shape (n,).
    languages
        Of each; missing where there is no list for it.

    Returns
    -------
    numpy.ndarray
        Shape (n,); 0 where no word of the lists is found.
    """
    return np.array([_scored(text, name) for text, name in zip(texts, languages, strict=True)], dtype=float)


def _scored(text: str, language: str) -> float:
    if language not in GOOD:
        return np.nan
    good = bad = 0
    since = _REACH  # words since a negation
    for word, _ in words_of(text):
        value = _value(word, language)
        good += (value > 0) if since >= _REACH else (value < 0)
        bad += (value < 0) if since >= _REACH else (value > 0)
        since = 0 if word in NEGATIONS or word.endswith("n't") else since + 1 if word else _REACH
    return (good - bad) / (good + bad + 1)


@functools.lru_cache(maxsize=100_000)
def _value(word: str, language: str) -> int:
    """Return 1 for a good word, -1 for a bad one, 0 for any other."""
    exact, stems = _lists(language)
    if word in exact:
        return exact[word]
    return next((stems[word[:size]] for size in range(len(word), 2, -1) if word[:size] in stems), 0)


@functools.cache
def _lists(language: str) -> tuple[dict[str, int], dict[str, int]]:
    words = [(word, 1) for word in GOOD[language]] + [(word, -1) for word in BAD[language]]
    return (
        {word: value for word, value in words if not word.endswith("*")},
        {word[:-1]: value for word, value in words if word.endswith("*")},
    )


def sentiment(
    texts: Any,
    score: Any,
    *,
    language: Any = None,
    customer: Any = None,
    scorer: Scorer = score_words,
    bar: float = BAR,
    min_n: int = 10,
    redacted: bool = False,
    ids: Collection[str] = (),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Check sentiment against the scores given, and tell it where it holds.

    Parameters
    ----------
    texts
        What customers wrote, shape (n,).
    score
        What they scored, on one scale, the higher the better; missing where they did not.
    language
        Of each text ("en"); None guesses it from the text.
    customer
        Who wrote each; None counts every text as another customer's.
    scorer
        Scores redacted texts, given with their languages: higher is better, missing where it cannot.
    bar
        The lower limit of the concordance below which sentiment is not shown; .5 is chance.
    min_n
        Customers of a language without whom nothing is told of it.
    redacted, ids
        As in `themes`.
    confidence
        Of the intervals, robust to several texts of one customer.

    Returns
    -------
    pandas.DataFrame
        For each language (`level`), the most frequent first: metric `sentiment against the score`, `at` `concordance`
        and `correlation` (comparison `index`); metric `sentiment`, the mean over all texts of the language, `undefined`
        where the concordance's lower limit is below the bar or could not be worked out, with the reason as its note.

    Raises
    ------
    UsageError
        For columns of another length, scores that are no numbers, a bar outside .5 to 1.
    """
    if not 0.5 <= bar < 1:
        raise UsageError(f"bar {bar:g} is not between 0.5 and 1", hint="A concordance of 0.5 is chance.")
    check_confidence(confidence)
    written = read(texts, customer=customer, redacted=redacted, ids=ids)
    given = doors.numbers("score", score)
    if given.shape != (len(written.place),):
        raise UsageError(f"{given.size:,} scores for {len(written.place):,} texts: one each")
    spoken = _spoken(language, written)
    told = _told(written, spoken, scorer)
    wrote = written.place >= 0
    names, counts = np.unique(spoken[wrote].astype(str), return_counts=True)
    order = names[np.lexsort((names, -counts))].tolist()
    method = _OF_WORDS if scorer is score_words else _OF_OWN
    rules = (bar, doors.whole("min_n", min_n, 1, 1_000_000), confidence, method)
    return results.concat(
        _of_language(name, (told[mine], given[mine], written.person[mine]), rules)
        for name in order
        if (mine := wrote & (spoken == name)).any()
    )


def _spoken(language: Any, written: Written) -> np.ndarray:
    """Return the language of each text, empty where it is not known."""
    if language is None:
        guess = np.array([*languages_of(written.distinct), ""], dtype=object)
        return guess[written.place]
    given = doors.as_series(language)
    if len(given) != len(written.place):
        raise UsageError(f"{len(given):,} languages for {len(written.place):,} texts: one each")
    return given.astype("object").where(given.notna(), "").map(lambda name: str(name)[:2].lower()).to_numpy()


def _told(written: Written, spoken: np.ndarray, scorer: Scorer) -> Numbers:
    """Return the sentiment of each text; each distinct text is scored once a language."""
    pairs = sorted({(place, name) for place, name in zip(written.place.tolist(), spoken, strict=True) if place >= 0})
    values = doors.numbers(
        "the scorer's values", scorer([written.distinct[p] for p, _ in pairs], [n for _, n in pairs])
    )
    known = dict(zip(pairs, values.tolist(), strict=True))
    return np.array([known.get(pair, np.nan) for pair in zip(written.place.tolist(), spoken, strict=True)], dtype=float)


def _of_language(
    name: str, columns: tuple[Numbers, Numbers, np.ndarray], rules: tuple[float, int, float, str]
) -> pd.DataFrame:
    """Return the rows of one language."""
    told, given, person = columns
    bar, min_n, confidence, method = rules
    level = _NAMES.get(name, name) or "language not known"
    known = ~np.isnan(told)
    if not known.any():
        return results.frame(metric=SENTIMENT, level=level, status=results.UNDEFINED, note="no list of words for it")
    if len(np.unique(person[known])) < min_n:
        return results.frame(
            metric=SENTIMENT, level=level, status=results.SUPPRESSED, note="fewer customers wrote than may be shown"
        )
    both = known & ~np.isnan(given)
    checks = check(told[both], given[both], person[both], confidence=confidence)
    checks = results.conform(checks.assign(level=level))
    low = float(checks["conf_low"].iloc[0])
    row = _mean(told[known], person[known], confidence).assign(level=level, method=method)
    if not low >= bar:
        why = (
            checks["note"].iloc[0]
            or f"does not agree well enough with the score given: {low:.2f} at least, {bar:.2f} asked for"
        )
        row = row.assign(status=results.UNDEFINED, note=why)
    return results.concat([checks, results.conform(row)])


def _mean(told: Numbers, person: np.ndarray, confidence: float) -> pd.DataFrame:
    """Return the mean sentiment, its variance from customers."""
    mean, n = float(told.mean()), told.size
    _, code = np.unique(person, return_inverse=True)
    sums = np.bincount(code, told - mean)
    people = sums.size
    error = float(np.sqrt((sums**2).sum() * people / max(people - 1, 1))) / n
    half = z_of(confidence) * error
    return results.frame(
        metric=SENTIMENT, estimate=mean, std_error=error, conf_low=mean - half, conf_high=mean + half, n=n,
        n_eff=people, note="a secondary signal: the score given comes first",
    )  # fmt: skip


def check(told: Numbers, given: Numbers, person: np.ndarray, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return how well sentiment agrees with scores: two rows, `concordance` and `correlation`.

    Parameters
    ----------
    told, given, person
        Sentiment, score and customer of each text, shape (n,), none missing.
    confidence
        Of the intervals: of the concordance by linearisation over customers (with two classes and one text each that
        of DeLong, DeLong and Clarke-Pearson 1988, up to 1 / n), on the scale of its log-odds; of the correlation by
        Fisher's z with the error of Bonett and Wright (2000), customers as n.
    """
    people = len(np.unique(person))
    shared: dict[str, Any] = {"metric": CHECK, "comparison": "index", "at": ["concordance", "correlation"]}
    fault = (
        f"fewer than {_FEWEST} customers wrote and scored" if people < _FEWEST
        else "all scores are equal" if np.ptp(given) == 0
        else "all texts score alike" if np.ptp(told) == 0 else ""
    )  # fmt: skip
    if fault:
        return results.frame(**shared, status=results.TOO_FEW, note=fault)
    value, error = concordance(told, given, person)
    inside = min(max(value, 1e-9), 1 - 1e-9)
    odds, half = np.log(inside / (1 - inside)), z_of(confidence) * error / (inside * (1 - inside))
    rho = float(np.corrcoef(_ranks(told), _ranks(given))[0, 1])
    z, wide = np.arctanh(np.clip(rho, -0.999999, 0.999999)), z_of(confidence) * np.sqrt((1 + rho**2 / 2) / (people - 3))
    return results.frame(
        **shared, estimate=[value, rho], std_error=[error, np.nan], n=told.size, n_eff=people,
        conf_low=[1 / (1 + np.exp(half - odds)), np.tanh(z - wide)],
        conf_high=[1 / (1 + np.exp(-half - odds)), np.tanh(z + wide)],
        method=["concordance, linearised over customers", "Spearman, Fisher z, Bonett and Wright"],
    )  # fmt: skip


def _ranks(values: Numbers) -> Numbers:
    return pd.Series(values).rank().to_numpy()


def concordance(told: Numbers, given: Numbers, person: np.ndarray) -> tuple[float, float]:
    """Return the share of pairs with different scores whose sentiment differs in the same way, and its error.

    Ties of sentiment count half. The error takes what each customer's texts add as one.
    """
    values, at = np.unique(told, return_inverse=True)
    levels, of = np.unique(given, return_inverse=True)
    table = np.zeros((len(levels), len(values)))
    np.add.at(table, (of, at), 1.0)
    below = np.cumsum(table, axis=1) - table / 2  # texts of a score with lower sentiment, ties half
    under = np.cumsum(below, axis=0) - below  # and of lower scores
    above = table.sum(axis=1, keepdims=True) - below
    over = above.sum(axis=0) - np.cumsum(above, axis=0)
    agree = (under + over)[of, at]
    size = table.sum(axis=1)
    pairs = (size.sum() - size)[of]
    share = agree.sum() / pairs.sum()
    _, who = np.unique(person, return_inverse=True)
    moved = np.bincount(who, (agree - share * pairs) / (pairs.sum() / 2))
    return float(share), float(np.sqrt((moved**2).sum()))
