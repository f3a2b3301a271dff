"""From comments to terms: redacted first, without markup, without accents and case; words and pairs of words.

A number, a placeholder of redaction ("[e-mail]") or a tag never becomes a term, and no pair of words spans one.
"""

from __future__ import annotations

import functools
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.redaction import KINDS, redact_all
from cxlib.analysis.voice.phrases import stemmed
from cxlib.analysis.voice.stopwords import LANGUAGES, NEGATIONS, STOP_WORDS
from cxlib.errors import UsageError, did_you_mean

PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")
_HIDDEN = re.compile(r"<(script|style)\b.{0,2000}?</\1\s{0,9}>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>|<!--.{0,1000}?-->", re.DOTALL)
_CALL = re.compile(
    r"^\s*[=+@-]+(?:[A-Za-z.]{1,30}\([^()]{0,200}\)|\w{1,30}\|[^!]{0,200}![A-Za-z]{1,3}\d{1,7}|[\d+*/.-]+)"
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|[^\s\w']+|\d+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Written:
    """Texts that are read: those alike once, in an order that does not depend on how they came.

    Parameters
    ----------
    distinct
        The texts without personal data and markup, sorted.
    place
        Of each text given: where it is in `distinct`, -1 where nothing was written.
    person
        Of each text given: the number of who wrote it; texts without a customer count as written by one each.
    index
        The index of the texts given.
    """

    distinct: tuple[str, ...]
    place: np.ndarray
    person: np.ndarray
    index: pd.Index

    @property
    def counts(self) -> np.ndarray:
        """How often each distinct text was written."""
        return np.bincount(self.place[self.place >= 0], minlength=len(self.distinct)).astype(float)

    @property
    def people(self) -> int:
        """Customers who wrote."""
        return len(np.unique(self.person[self.place >= 0]))

    def people_of(self, chosen: np.ndarray) -> int:
        """Return how many customers wrote one of the distinct texts that are `chosen`, a mask over them."""
        mine = (self.place >= 0) & np.append(chosen, False)[self.place]
        return len(np.unique(self.person[mine]))


def read(texts: Any, *, customer: Any = None, redacted: bool = False, ids: Collection[str] = ()) -> Written:
    """Read texts: personal data and markup taken out, those alike put together.

    Parameters
    ----------
    texts
        What customers wrote, shape (n,); missing or blank where nothing was written.
    customer
        Who wrote each, shape (n,); None counts every text as another customer's.
    redacted
        Personal data were taken out before, by `redact`.
    ids
        Ids of the workspace that are to go too, see `redact`.
    """
    given = series(texts)
    whole = given.astype("object").where(given.notna(), "").map(str)
    known = sorted(set(whole))
    clean = dict(zip(known, stripped(known if redacted else redact_all(known, ids=ids)), strict=True))
    ready = whole.map(clean)
    distinct = tuple(sorted(set(ready) - {""}))
    number = {text: place for place, text in enumerate(distinct)}
    place = np.array([number.get(text, -1) for text in ready], dtype=np.int64)
    return Written(distinct, place, _people(customer, len(given)), given.index)


def series(texts: Any) -> pd.Series:
    """Return texts as a column; raises `UsageError` for one text by itself, and for a frame."""
    if isinstance(texts, str | pd.DataFrame) or texts is None:
        raise UsageError(f"the texts are a {type(texts).__name__}, not a column of texts")
    return doors.as_series(texts if isinstance(texts, pd.Series | pd.Index | np.ndarray) else list(texts))


def _people(customer: Any, size: int) -> np.ndarray:
    """Return a number for each customer; who is missing is somebody else each time."""
    if customer is None:
        return np.arange(size)
    given = doors.as_series(customer)
    if len(given) != size:
        raise UsageError(f"{len(given):,} customers for {size:,} texts: one each")
    codes = pd.factorize(given.astype("object"), sort=False)[0]
    return np.where(codes < 0, size + np.arange(size), codes)


def stripped(texts: Iterable[str]) -> list[str]:
    """Return texts without tags, formulas at their start, and runs of spaces."""
    return [_stripped(text) for text in texts]


def _stripped(text: str) -> str:
    bare = html.unescape(text) if "&" in text else text
    if "<" in bare:
        bare = _TAG.sub(" ", _HIDDEN.sub(" ", bare))
    return _SPACE.sub(" ", _CALL.sub(" ", bare)).strip()


def folded(text: str) -> str:
    """Return a text without case and accents."""
    return _folded(text.casefold())


@functools.lru_cache(maxsize=200_000)
def _folded(text: str) -> str:
    return text if text.isascii() else "".join(c for c in unicodedata.normalize("NFKD", text) if not _mark(c))


def _mark(letter: str) -> bool:
    return unicodedata.combining(letter) > 0


def stop_words(languages: Sequence[str], more: Iterable[str] = ()) -> frozenset[str]:
    """Return the stop words of languages, and `more`, all folded; raises `UsageError` for a language without a list."""
    unknown = sorted(set(languages) - set(LANGUAGES))
    if unknown:
        near = did_you_mean(unknown[0], LANGUAGES)
        raise UsageError(f"no stop words for '{unknown[0]}'; there are {', '.join(LANGUAGES)}{near}")
    return frozenset().union(*(STOP_WORDS[name] for name in languages), (folded(word) for word in more))


def words_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield the words of a text, folded and as written in small letters; empty ones where a pair may not go on."""
    walled = PLACEHOLDER.sub(" | ", unicodedata.normalize("NFC", text).replace("’", "'").casefold())
    for found in _WORD.findall(walled):
        yield (_folded(found.removesuffix("'s")), found.removesuffix("'s")) if found[0].isalpha() else ("", "")


def terms_of(text: str, stop: frozenset[str], language: str = "") -> Iterator[tuple[str, str]]:
    """Yield the terms of a text, folded and as written: words, and pairs of neighbours that may begin with a negation.

    Words of one letter, stop words and negations by themselves are none; a word that is negated is one only together
    with its negation: "arrived" and "not arrived" are two. With a language all forms of a word are one term, its stem.
    """
    before, before_written, negated = "", "", False
    for word, written in words_of(text):
        negates = word in NEGATIONS or word.endswith("n't")
        carries = len(word) > 1 and not negates and word not in stop
        term = _stem(word, language) if carries and language else word
        if carries and not negated:
            yield term, written
        if carries and before:
            yield f"{before} {term}", f"{before_written} {written}"
        before, before_written = (term, written) if carries or negates else ("", "")
        negated = negates


@functools.lru_cache(maxsize=200_000)
def _stem(word: str, language: str) -> str:
    return stemmed(word, language)


def languages_of(texts: Iterable[str], languages: Sequence[str] = LANGUAGES) -> list[str]:
    """Guess the language of each text by the stop words that it holds; empty where none or two as many.

    A guess for sorting phrases of many texts, not for one text: "late again" holds no stop word at all.
    """
    found = []
    for text in texts:
        held = Counter(word for word, _ in words_of(text) if word)
        votes = {name: sum(held[word] for word in held.keys() & (STOP_WORDS[name])) for name in languages}
        best = max(votes.values(), default=0)
        names = [name for name, count in votes.items() if count == best > 0]
        found.append(names[0] if len(names) == 1 else "")
    return found
