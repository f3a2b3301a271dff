"""The codebook as it is looked for: every word of it a symbol, every phrase a row of symbols, every word of a text a
class, which is the set of symbols that it stands for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from cxlib.analysis.voice import negation, tokens
from cxlib.params.codebook import GAP, STEMMERS, Theme

OTHER, SENTENCE, CLAUSE, END = range(4)  # classes: words of no interest, full stops, commas, ends of texts
_MOST = 500_000  # words whose classes are remembered
# Endings that the stemmers know by their accents only, which customers leave out.
_ACCENTED = {"pt": {"cao": "ção", "coes": "ções"}, "es": {"cion": "ción"}}


@dataclass(frozen=True)
class Phrase:
    """Words in a row, as symbols; `gaps` tells before which of them others may stand."""

    symbols: tuple[int, ...]
    gaps: tuple[bool, ...]
    language: str
    negatable: bool = True


@dataclass(frozen=True)
class Sought:
    """What assigns one theme."""

    phrases: tuple[Phrase, ...]
    unless: tuple[Phrase, ...]
    languages: frozenset[str]


@dataclass
class Symbols:
    """The words of a codebook, numbered."""

    exact: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    begins: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    stems: dict[str, defaultdict[str, list[int]]] = field(default_factory=dict)
    known: dict[tuple[str, ...], int] = field(default_factory=dict)

    def of(self, word: str, language: str) -> int:
        """Return the symbol of a word of a phrase, which may end in `*` or be spelled in other ways."""
        wild, plain = word.endswith("*"), tokens.folded(word.rstrip("*"))
        spelled = () if wild else negation.SPELLINGS.get(language, {}).get(plain, "").split()
        table = self.begins if wild else self.exact
        return self._numbered(table, ("*" if wild else "", language if spelled else "", plain), (plain, *spelled))

    def stem(self, word: str, language: str) -> int:
        """Return the symbol of all forms of a word."""
        table = self.stems.setdefault(language, defaultdict(list))
        return self._numbered(table, ("stem", language, word), (stemmed(tokens.folded(word), language),))

    def _numbered(self, table: defaultdict[str, list[int]], key: tuple[str, ...], words: Iterable[str]) -> int:
        if key not in self.known:
            self.known[key] = len(self.known)
            for word in dict.fromkeys(map(tokens.folded, words)):
                table[word].append(self.known[key])
        return self.known[key]

    @cached_property
    def heads(self) -> dict[str, frozenset[str]]:
        """How the words begin that have a stem of interest: a dying lamp has the stem of die."""
        return {language: frozenset(map(_head, table)) for language, table in self.stems.items()}

    def strange(self, number: str) -> bool:
        """Tell whether a number is in no phrase."""
        return number not in self.exact and not self._numbers_begin

    @cached_property
    def _numbers_begin(self) -> bool:
        return any(begin[:1].isdecimal() for begin in self.begins)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """How long the beginnings are that are looked for."""
        return tuple(sorted({len(begin) for begin in self.begins}))

    def standing_for(self, word: str) -> frozenset[int]:
        """Return the symbols that a word of a text stands for."""
        found: list[int] = []
        for form in tokens.forms(tokens.folded(word)):
            found += self.exact.get(form, ())
            for length in self.lengths:
                if length > len(form):
                    break
                found += self.begins.get(form[:length], ())
            for language, table in self.stems.items():
                if _head(form) in self.heads[language]:
                    found += table.get(stemmed(form, language), ())
        return frozenset(found)


class Classes(dict[str, int]):
    """Word -> class, worked out when a word is first met; forgets all when there are too many."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols, self._sets = symbols, {frozenset[int](): OTHER}
        self.rows: list[frozenset[int]] = [frozenset()] * (END + 1)

    def __missing__(self, token: str) -> int:
        if token.isdecimal() and self.symbols.strange(token):  # a million order numbers: not looked at, not remembered
            return OTHER
        if len(self) >= _MOST:
            self.clear()
        self[token] = found = self._class(token)
        return found

    def _class(self, token: str) -> int:
        if token == tokens.BETWEEN:
            return END
        if tokens.ends_clause(token):
            return SENTENCE if tokens.ends_sentence(token) else CLAUSE
        found = self.symbols.standing_for(token)
        if found not in self._sets:
            self._sets[found] = len(self.rows)
            self.rows.append(found)
        return self._sets[found]

    def stands(self) -> np.ndarray:
        """Return which class stands for which symbol, shape (classes, symbols)."""
        table = np.zeros((len(self.rows), len(self.symbols.known)), dtype=bool)
        for number, symbols in enumerate(self.rows):
            table[number, list(symbols)] = True
        return table


@dataclass(frozen=True)
class Compiled:
    """A codebook, ready to be looked for."""

    themes: Mapping[str, Sought]
    classes: Classes
    negators: Mapping[str, np.ndarray]  # language -> symbols
    turns: Mapping[str, np.ndarray]
    emphatic: Mapping[str, tuple[Phrase, ...]]


def compiled(themes: Mapping[str, Theme], negators: Mapping[str, Iterable[str]] | None = None) -> Compiled:
    """Return themes and their languages' negators as symbols; `negators` come on top of those known."""
    symbols = Symbols()
    languages = sorted({language for theme in themes.values() for language in (*theme.phrases, *theme.stems)})
    words = {name: [*negation.NEGATORS.get(name, "").split(), *(negators or {}).get(name, ())] for name in languages}
    negating = {name: np.array([symbols.of(word, name) for word in words[name]], dtype=int) for name in languages}
    turns = {
        name: np.array([symbols.of(word, name) for word in negation.TURNS.get(name, "").split()], dtype=int)
        for name in languages
    }
    emphatic = {name: tuple(_phrases(symbols, {name: negation.EMPHATIC.get(name, ())}, {})) for name in languages}
    sought = {name: _sought(symbols, theme, negating) for name, theme in themes.items()}
    return Compiled(sought, Classes(symbols), negating, turns, emphatic)


def stemmed(word: str, language: str) -> str:
    """Return the stem of a folded word by Snowball's stemmer, itself without accents."""
    for ending, accented in _ACCENTED.get(language, {}).items():
        if word.endswith(ending):
            word = word.removesuffix(ending) + accented
    return tokens.plain(_stemmer(language).stemWord(word))


_STEMMERS: dict[str, Any] = {}


def _stemmer(language: str) -> Any:
    if language not in _STEMMERS:
        import snowballstemmer

        _STEMMERS[language] = snowballstemmer.stemmer(STEMMERS[language])
    return _STEMMERS[language]


def _head(word: str) -> str:
    return word[:2].replace("y", "i")


def _sought(symbols: Symbols, theme: Theme, negating: Mapping[str, np.ndarray]) -> Sought:
    phrases = _phrases(symbols, theme.phrases, negating if theme.negation else None)
    for language, words in theme.stems.items():
        phrases += [Phrase((symbols.stem(word, language),), (False,), language, theme.negation) for word in words]
    return Sought(
        tuple(phrases),
        tuple(_phrases(symbols, theme.unless, {})),
        frozenset((*theme.phrases, *theme.stems)),
    )


def _phrases(
    symbols: Symbols, texts: Mapping[str, Iterable[str]], negating: Mapping[str, np.ndarray] | None
) -> list[Phrase]:
    """Return phrases as symbols. One that negates by itself ("never arrived") is not negated by what stands before it;
    without `negating` none is.
    """
    found = []
    for language, phrases in texts.items():
        for text in phrases:
            row = _row(symbols, text, language)
            own = set((negating or {}).get(language, np.empty(0)).tolist())
            negatable = negating is not None and not own & set(row[0])
            found += [Phrase(*row, language, negatable)] if row[0] else []
    return found


def _row(symbols: Symbols, text: str, language: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return the symbols of a phrase, and before which of them a gap is."""
    row: list[int] = []
    gaps: list[bool] = []
    gap = False
    for part in tokens.mended(text).split():
        if part == GAP:
            gap = True
            continue
        for place, word in enumerate(tokens.split(part)):
            if tokens.ends_clause(word):
                continue
            star = part.endswith(word + "*")
            row.append(symbols.of(word + "*" * star, language))
            gaps.append(gap and place == 0)
        gap = False
    return tuple(row), tuple(gaps)
