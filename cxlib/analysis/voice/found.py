"""Where phrases stand in texts that were laid end to end: all of it arithmetic on arrays of token classes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cxlib.analysis.voice import negation, tokens
from cxlib.analysis.voice.phrases import CLAUSE, END, SENTENCE, Compiled, Phrase, Sought

FARTHEST = 5  # words that `...` leaves room for
Places = NDArray[np.int64]
Spans = tuple[Places, Places]  # first and last token of each


class Stream:
    """The tokens of some texts, each text followed by an end."""

    def __init__(self, texts: list[str], codebook: Compiled) -> None:
        words = tokens.split(tokens.BETWEEN.join([*map(tokens.mended, texts), ""]))
        classes = codebook.classes
        self.of = np.fromiter(map(classes.__getitem__, words), dtype=np.int32, count=len(words))
        self.stands = classes.stands()
        self.codebook, self.size = codebook, len(texts)
        self._starts: dict[int, Places] = {}
        self._reached: dict[str, tuple[Places, Places]] = {}

    @cached_property
    def text(self) -> Places:
        """Which text each token is of."""
        ends = self.of == END
        return np.cumsum(ends) - ends

    @cached_property
    def _sentence(self) -> Places:
        return np.cumsum((self.of == END) | (self.of == SENTENCE))

    @cached_property
    def _by_class(self) -> tuple[Places, Places]:
        """The places of all tokens of interest, class by class, and where each class begins."""
        places = np.flatnonzero(self.of > END)
        order = np.argsort(self.of[places], kind="stable")
        places = places[order]
        return places, np.searchsorted(self.of[places], np.arange(len(self.stands) + 1))

    def starts(self, symbol: int) -> Places:
        """Return where a symbol stands, in order."""
        if symbol not in self._starts:
            places, begin = self._by_class
            parts = [places[begin[one] : begin[one + 1]] for one in np.flatnonzero(self.stands[:, symbol])]
            self._starts[symbol] = np.sort(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)
        return self._starts[symbol]

    def spans(self, phrase: Phrase) -> Spans:
        """Return where a phrase stands; no break lies in it, but commas may lie in its gaps."""
        start = end = self.starts(phrase.symbols[0])
        for symbol, gap in zip(phrase.symbols[1:], phrase.gaps[1:], strict=True):
            if not len(start):
                break
            following = self._across(end, symbol) if gap else np.where(self._is(end + 1, symbol), end + 1, -1)
            start, end = start[following >= 0], following[following >= 0]
        return start, end

    def _is(self, places: Places, symbol: int) -> NDArray[np.bool_]:
        return self.stands[self.of[places], symbol]

    def _across(self, end: Places, symbol: int) -> Places:
        """Return the nearest place of a symbol behind each end, in its sentence; -1 where there is none."""
        nearest = np.full(len(end), -1, dtype=np.int64)
        for step in range(FARTHEST + 1, 0, -1):
            place = np.minimum(end + step, len(self.of) - 1)
            fits = self._is(place, symbol) & (self._sentence[place] == self._sentence[end])
            nearest[fits] = place[fits]
        return nearest

    def negated(self, start: Places, language: str) -> NDArray[np.bool_]:
        """Tell which of some places a negator of a language reaches."""
        if language not in self._reached:
            self._reached[language] = self._reach(language)
        negator, wall = self._reached[language]
        near = start - 1 - negator[start] < negation.REACH
        return near & (negator[start] > wall[start])

    def _reach(self, language: str) -> tuple[Places, Places]:
        """Return of each token where the last negator and the last break before it are."""
        codebook, size = self.codebook, len(self.of)
        last, wall = np.full(size + 1, -size - 1, dtype=np.int64), np.full(size + 1, -1, dtype=np.int64)
        for symbol in codebook.negators[language].tolist():
            last[self.starts(symbol) + 1] = self.starts(symbol)
        for phrase in codebook.emphatic[language]:
            last[self.spans(phrase)[0] + 1] = -size - 1
        breaks = [np.flatnonzero((self.of == END) | (self.of == SENTENCE) | (self.of == CLAUSE))]
        for places in [*breaks, *map(self.starts, codebook.turns[language].tolist())]:
            wall[places + 1] = places
        return np.maximum.accumulate(last), np.maximum.accumulate(wall)

    def texts_naming(self, theme: Sought) -> dict[str, NDArray[np.bool_]]:
        """Return by language which texts a theme's phrases of that language name."""
        covered = self._covered(theme)
        named = {language: np.zeros(self.size, dtype=bool) for language in sorted(theme.languages)}
        for phrase in theme.phrases:
            start, end = self.spans(phrase)
            counts = np.ones(len(start), dtype=bool)
            if phrase.negatable and len(start):
                counts &= ~self.negated(start, phrase.language)
            if covered is not None:
                counts &= covered[end + 1] == covered[start]
            named[phrase.language][self.text[start[counts]]] = True
        return named

    def _covered(self, theme: Sought) -> Places | None:
        """Return how many tokens before each place stand in what does not count; None where there are none."""
        spans = [self.spans(phrase) for phrase in theme.unless]
        if not any(len(start) for start, _ in spans):
            return None
        edges = np.zeros(len(self.of) + 1, dtype=np.int64)
        for start, end in spans:
            np.add.at(edges, start, 1)
            np.add.at(edges, end + 1, -1)
        return np.concatenate([[0], np.cumsum(np.cumsum(edges[:-1]) > 0)])
