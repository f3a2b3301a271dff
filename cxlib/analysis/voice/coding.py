"""Which themes of the codebook a comment names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from cxlib.params import Theme


def mentions(comments: pd.Series, themes: Mapping[str, Theme]) -> pd.DataFrame:
    """Say which themes each comment names.

    Parameters
    ----------
    comments
        Texts, shape (n,); missing or empty where nothing was written.
    themes
        Theme id -> theme. A phrase matches whole words, whatever their case or accents; a word that ends in `*`
        matches every word that begins so. The phrases of all languages count.

    Returns
    -------
    pandas.DataFrame
        A column per theme: 1 where it is named, 0 where not, missing where nothing was written; the comments' index.
    """
    texts = comments.astype("object").where(comments.notna(), "").map(lambda text: plain(str(text)))
    written = (texts.str.strip() != "").to_numpy(dtype=bool)
    found = {}
    for name, theme in themes.items():
        pattern = _pattern(phrase for phrases in theme.phrases.values() for phrase in phrases)
        named = texts.map(lambda text, pattern=pattern: pattern.search(text) is not None).to_numpy(dtype=float)
        found[name] = np.where(written, named, np.nan)
    return pd.DataFrame(found, index=comments.index, columns=list(themes))


def plain(text: str) -> str:
    """Return a text without case and accents."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    """Return what finds any of the phrases as whole words."""
    words = [[re.escape(word) for word in plain(phrase).split()] for phrase in phrases]
    alternatives = {r"\s+".join(re.sub(r"\\\*$", r"\\w*", word) for word in each) for each in words if each}
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(alternatives))})(?!\w)")
