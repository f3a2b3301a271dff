"""Which themes of the codebook a comment names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.voice.book import book
from cxlib.analysis.voice.found import Stream
from cxlib.analysis.voice.phrases import Compiled, Sought, compiled
from cxlib.analysis.voice.tokens import plain
from cxlib.errors import UsageError
from cxlib.params import Codebook

__all__ = ["code", "definition", "plain"]

_BLOCK = 2_000_000  # characters looked through at once: what is held beside the texts does not grow with them


def code(texts: Any, codebook: Codebook | Mapping[str, Any], *, languages: Any = None) -> pd.DataFrame:
    """Say which themes each text names.

    Case, accents, curly quotes, HTML entities, text that was read in the wrong encoding ("nÃ£o") and drawn-out
    letters ("laaate") make no difference; what redaction put in place of personal data is not read. A phrase stands in
    whole words, in a row, with no punctuation in it; `deliver*` begins so; `wait* ... hour*` leaves room for up to
    five words within a sentence; a stem finds every form of its word (Snowball, Porter 2001).

    A word that a negator of the phrase's language reaches does not count ("not late", "sem atraso"): up to four words
    on, at most to the next punctuation mark or "but". A phrase that negates by itself ("never arrived") counts as it
    stands, and so does all of a theme with `negation: false`. Words that stand in a phrase of `unless` do not count.

    Parameters
    ----------
    texts
        Texts, shape (n,): a Series, or anything it can be made of; missing or blank where nothing was written.
    codebook
        The codebook, or themes by their ids: see `book`.
    languages
        The language of each text ("en", "pt-BR"), shape (n,): only phrases of that language count, and a theme that
        has none is missing there, for nobody can tell. Without it, and where missing, phrases of all languages count.

    Returns
    -------
    pandas.DataFrame
        One nullable boolean column per theme, missing where nothing was written; the texts' index.

    Raises
    ------
    UsageError
        Where languages are not one per text, and for anything else than a codebook.
    """
    given = texts if isinstance(texts, pd.Series) else pd.Series(texts, dtype="object")
    if not isinstance(codebook, Codebook | Mapping):
        raise UsageError(f"the codebook is a {type(codebook).__name__}, neither a Codebook nor themes by their ids")
    themes = book(codebook)
    spoken = _spoken(languages, len(given))
    place, distinct, written = _distinct(given)
    ready = compiled(themes.themes, themes.negators)
    unknown, told = spoken == "", {}
    for name, by_language in _named(distinct, ready).items():
        named = np.zeros(len(given), dtype=bool)
        for language, texts_naming in by_language.items():
            named |= texts_naming[place] & (unknown | (spoken == language))
        known = written & (unknown | np.isin(spoken, sorted(ready.themes[name].languages)))
        told[name] = pd.arrays.BooleanArray(named & known, ~known)
    return pd.DataFrame(told, index=given.index, columns=list(themes.themes))


def definition(codebook: Codebook, theme: str) -> str:
    """Return what a rate of a theme is defined by: the codebook's version, and a hash of the words that assign it."""
    words = codebook.themes[theme].model_dump(exclude={"id", "title"}) | {"negators": codebook.negators}
    text = json.dumps(words, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"codebook {codebook.version} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _spoken(languages: Any, n: int) -> NDArray[np.str_]:
    """Return the language of each text, two small letters; empty where it is not known."""
    if languages is None:
        return np.full(n, "", dtype="<U2")
    given = pd.Series(languages).reset_index(drop=True)
    if len(given) != n:
        raise UsageError(f"{len(given)} languages for {n} texts", hint="Give one language per text, None if unknown.")
    told = given.astype("object").where(given.notna(), "").map(lambda name: str(name).strip().casefold()[:2])
    return told.to_numpy(dtype="<U2")


def _distinct(given: pd.Series) -> tuple[NDArray[np.int64], list[str], NDArray[np.bool_]]:
    """Return of each text its place among the distinct ones, those, and whether anything was written."""
    values = given.astype("object").where(given.notna(), "")
    place, distinct = pd.factorize(values.to_numpy(dtype=object))
    texts = [str(text) for text in distinct]
    blank = np.array([not text.strip() for text in texts], dtype=bool)
    return place, texts, ~blank[place] if len(texts) else np.zeros(0, dtype=bool)


def _named(texts: list[str], codebook: Compiled) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Return by theme and language which texts are named, block by block."""
    parts = [_block(block, codebook) for block in _blocks(texts)]

    def joined(theme: str, sought: Sought) -> dict[str, NDArray[np.bool_]]:
        return {
            language: np.concatenate([part[theme][language] for part in parts] or [np.zeros(0, dtype=bool)])
            for language in sorted(sought.languages)
        }

    return {theme: joined(theme, sought) for theme, sought in codebook.themes.items()}


def _block(texts: list[str], codebook: Compiled) -> dict[str, dict[str, NDArray[np.bool_]]]:
    stream = Stream(texts, codebook)
    return {theme: stream.texts_naming(sought) for theme, sought in codebook.themes.items()}


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Cut texts into blocks of a bounded number of characters."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text) + 1
        if size >= _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block
