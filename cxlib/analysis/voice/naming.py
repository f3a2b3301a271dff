"""What themes are called and which words they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis.voice.terms import Terms, spoken_in, users
from cxlib.analysis.voice.words import Written
from cxlib.measure.rows import Numbers

KEPT, NAMED, TOLD = 30, 3, 6  # terms of a theme that are kept, that make its name, that its note tells
_LIGHT, _HEAVY = 0.1, 0.3  # of the heaviest term's weight: what is lighter is noise, or makes no name
_NEARLY = 0.6  # of a word's weight, from which a pair stands for it
_COLUMNS = {
    "theme": "str", "term": "str", "key": "str", "weight": "float64", "precision": "float64", "customers": "int64",
    "language": "str",
}  # fmt: skip


def no_words() -> pd.DataFrame:
    """Return the words of no theme."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _COLUMNS.items()})


def weights(table: Any, terms: Terms, counts: Numbers, named: np.ndarray) -> Numbers:
    """Return weights of terms for themes that were not made of terms: how often its texts hold one, times its idf.

    The class-based TF-IDF of Grootendorst (2022, arXiv:2203.05794), rows of length 1.
    """
    held = np.asarray((named.T * counts) @ table) * terms.idf**2
    length = np.linalg.norm(held, axis=1, keepdims=True)
    return held / np.where(length > 0, length, 1.0)


def words(
    terms: Terms, rows: Numbers, table: Any, written: Written, named: np.ndarray, kept: np.ndarray,
) -> pd.DataFrame:  # fmt: skip
    """Return the heaviest terms of each theme that is kept, see `Themes.words`."""
    counts, used = written.counts, users(written, table)
    texts, spoken = np.asarray(counts @ table).ravel(), _spoken(table, written, terms.languages)
    parts, taken = [], set[str]()
    for theme in kept.tolist():
        inside = np.asarray((counts * named[:, theme]) @ table).ravel()
        order = np.lexsort((np.arange(rows.shape[1]), -rows[theme]))[:KEPT]
        order = order[rows[theme][order] > _LIGHT * rows[theme].max()]
        part = pd.DataFrame({
            "theme": "", "term": [terms.spelled[place] for place in order],
            "key": [terms.names[place] for place in order], "weight": rows[theme][order],
            "precision": inside[order] / np.maximum(texts[order], 1), "customers": used[order].astype(np.int64),
            "language": spoken[order],
        })  # fmt: skip
        heavy = part[part["weight"] > _HEAVY * part["weight"].max()]
        name = _unique(called(list(zip(heavy["term"], heavy["weight"], strict=True))), taken)
        taken.add(name)
        parts.append(part.assign(theme=name))
    return pd.concat([no_words(), *parts], ignore_index=True).astype(_COLUMNS) if parts else no_words()


def _spoken(table: Any, written: Written, languages: Sequence[str]) -> np.ndarray:
    """Return the language of most texts that hold each term."""
    if len(languages) < 2:
        return np.full(table.shape[1], languages[0] if languages else "", dtype=object)
    spoken = np.array(spoken_in(written.distinct, languages), dtype=object)
    votes = np.stack([np.asarray(((spoken == name) * written.counts) @ table).ravel() for name in languages])
    return np.array(languages, dtype=object)[votes.argmax(axis=0)]


def called(terms: Sequence[tuple[str, float]]) -> str:
    """Return a name made of the heaviest terms, a pair in place of its words where it weighs nearly as much."""
    chosen: list[tuple[str, float]] = []
    for term, weight in terms:
        inside = [one for one in chosen if one[0] in term.split()]
        if inside and weight >= _NEARLY * inside[0][1]:
            chosen = list(dict.fromkeys((term, weight) if one in inside else one for one in chosen))
        elif len(chosen) < NAMED and not any(set(term.split()) & set(one.split()) for one, _ in chosen):
            chosen.append((term, weight))
    return ", ".join(one for one, _ in chosen) or "unnamed"


def _unique(name: str, taken: set[str]) -> str:
    """Return a name that is not taken."""
    number, found = 2, name
    while found in taken:
        found, number = f"{name} ({number})", number + 1
    return found


def told(words: pd.DataFrame, theme: str) -> str:
    """Return the words of a theme in a row."""
    return f"words: {', '.join(words.loc[words['theme'] == theme, 'term'].head(TOLD))}"
