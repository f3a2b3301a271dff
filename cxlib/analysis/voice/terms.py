"""Texts as a table of terms: who uses a word, how much it tells (TF-IDF), how it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from cxlib.analysis.voice.words import Written, languages_of, terms_of
from cxlib.measure.rows import Numbers


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of texts and what they weigh.

    Parameters
    ----------
    names
        The terms, folded, sorted.
    spelled
        Each as it is mostly written.
    idf
        Inverse document frequency, ln((1 + texts) / (1 + texts with the term)) + 1, as scikit-learn's.
    stop
        Words that are none.
    languages
        Of the texts, the one of most texts first: forms of a word are one term.
    """

    names: tuple[str, ...]
    spelled: tuple[str, ...]
    idf: Numbers
    stop: frozenset[str]
    languages: tuple[str, ...]
    _number: dict[str, int] = field(repr=False, default_factory=dict)

    def counted(self, texts: Sequence[str]) -> Any:
        """Return which text holds which term, a sparse table of ones, shape (texts, terms)."""
        spoken = spoken_in(texts, self.languages)
        found = [{term for term, _ in terms_of(*each)} for each in zip(texts, repeat(self.stop), spoken)]
        return held(found, self._number)

    def weighed(self, texts: Sequence[str]) -> Any:
        """Return the TF-IDF of texts, sparse, each row of length 1, of length 0 where no term is held."""
        return scaled(self.counted(texts), self.idf)


def spoken_in(texts: Sequence[str], languages: Sequence[str]) -> list[str]:
    """Return the language of each text, the first one's where the text does not tell."""
    if len(languages) < 2:
        return [languages[0] if languages else ""] * len(texts)
    return [guess or languages[0] for guess in languages_of(texts, languages)]


def held(found: Sequence[set[str]], number: dict[str, int]) -> Any:
    """Return a sparse table of ones: which row holds which of the numbered terms."""
    from scipy.sparse import csr_array

    columns = [sorted(number[term] for term in row if term in number) for row in found]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in columns])]).astype(np.int64)
    flat = np.array([place for row in columns for place in row], dtype=np.int64)
    return csr_array((np.ones(len(flat)), flat, starts), shape=(len(found), len(number)))


def scaled(counted: Any, idf: Numbers) -> Any:
    """Return a table of ones times `idf`, its rows of length 1."""
    from scipy.sparse import diags_array

    weighed = counted @ diags_array(idf)
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    return (diags_array(1 / np.where(length > 0, length, 1.0)) @ weighed).tocsr()


def learn(
    written: Written, stop: frozenset[str], languages: Sequence[str], *, least: int, most: float, at_most: int
) -> tuple[Terms, Any]:
    """Choose the terms of texts, and return them with the table of which distinct text holds which.

    Parameters
    ----------
    written
        The texts.
    stop
        Words that are none.
    languages
        Of the texts: whose forms of a word are one term; without any, each form is one.
    least
        Customers who use a term, at least: nobody's own words are learnt.
    most
        Share of the texts that hold it, at most: what all say parts nothing.
    at_most
        Terms in all; those that most texts hold are kept.
    """
    known = by_use(written, languages)
    table, every, forms = _counted(written, stop, known)
    texts = np.asarray(written.counts @ table).ravel()
    kept = np.flatnonzero((users(written, table) >= least) & (texts <= most * max(written.counts.sum(), 1)))
    kept = np.sort(kept[np.lexsort((kept, -texts[kept]))][:at_most])
    names = tuple(every[place] for place in kept)
    idf = np.log((1 + written.counts.sum()) / (1 + texts[kept])) + 1
    number = {name: place for place, name in enumerate(names)}
    return Terms(names, _spelled(forms, names), idf, stop, known, number), table[:, kept]


def _counted(
    written: Written, stop: frozenset[str], languages: Sequence[str]
) -> tuple[Any, list[str], dict[tuple[str, str], float]]:
    """Return which distinct text holds which term, the terms, sorted, and how often each was written how."""
    from scipy.sparse import csr_array

    seen: dict[str, int] = {}
    forms: dict[tuple[str, str], float] = {}
    rows = []
    for text, count, spoken in zip(
        written.distinct, written.counts, spoken_in(written.distinct, languages), strict=True
    ):
        pairs = list(terms_of(text, stop, spoken))
        for pair in pairs:
            forms[pair] = forms.get(pair, 0.0) + count
        rows.append(np.array(sorted({seen.setdefault(term, len(seen)) for term, _ in pairs}), dtype=np.int64))
    every = sorted(seen)
    place = np.empty(len(every), dtype=np.int64)
    place[[seen[term] for term in every]] = np.arange(len(every))
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat = place[np.concatenate([np.zeros(0, dtype=np.int64), *rows])]
    return csr_array((np.ones(len(flat)), flat, starts), shape=(len(rows), len(every))), every, forms


def _spelled(forms: Mapping[tuple[str, str], float], names: Sequence[str]) -> tuple[str, ...]:
    """Return each term as it is mostly written, of several the first by the alphabet."""
    best: dict[str, tuple[float, str]] = {}
    wanted = set(names)
    for (term, form), count in forms.items():
        if term in wanted:
            best[term] = min(best.get(term, (0.0, "")), (-count, form))
    return tuple(best[name][1] for name in names)


def by_use(written: Written, languages: Sequence[str]) -> tuple[str, ...]:
    """Return languages, the one of most texts first."""
    if len(languages) < 2:
        return tuple(languages)
    votes: Counter[str] = Counter()
    for guess, count in zip(languages_of(written.distinct, languages), written.counts, strict=True):
        votes[guess] += count
    return tuple(sorted(languages, key=lambda name: (-votes[name], languages.index(name))))


def users(written: Written, table: Any) -> Numbers:
    """Return how many customers wrote a text in which each column of a table of ones is held, shape (columns,)."""
    from scipy.sparse import csr_array

    wrote = written.place >= 0
    people, person = np.unique(written.person[wrote], return_inverse=True)
    shape = (len(people), len(written.distinct))
    who = csr_array((np.ones(int(wrote.sum())), (person, written.place[wrote])), shape=shape)
    said = (who @ table).tocsc()
    return np.diff(said.indptr).astype(float)
