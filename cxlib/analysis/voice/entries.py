"""A candidate as a person may paste it into the codebook."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from cxlib.analysis.voice.words import folded
from cxlib.params.codebook import STEMMERS

_PRECISE, _AT_LEAST = 0.7, 3  # share of the texts with a phrase that name the theme; phrases where none is so precise


def entry(name: str, words: pd.DataFrame, most: int) -> str:
    """Return an entry of `themes:` in `codebook.yml`, indented as it stands there: words as stems, pairs as phrases.

    Parameters
    ----------
    name
        The theme.
    words
        Its terms, the heaviest first, see `Themes.words`.
    most
        Phrases at most.
    """
    import yaml

    precise = words[words["precision"] >= _PRECISE]
    if precise.empty:
        precise = words.nlargest(_AT_LEAST, ["precision", "weight"])
    body: dict[str, Any] = {"title": name[:1].upper() + name[1:]}
    for row in precise[_needed(precise["key"].tolist())].head(most).itertuples():
        kind = "stems" if " " not in row.key and row.language in STEMMERS else "phrases"
        body.setdefault(kind, {}).setdefault(row.language or "en", []).append(row.term)
    text = yaml.safe_dump({_id(name): body}, allow_unicode=True, sort_keys=False, default_flow_style=None, width=110)
    return "".join(f"  {line}\n" for line in text.splitlines())


def _needed(keys: list[str]) -> list[bool]:
    """Tell which terms find more than the words before them do: not a pair of which one is a word before."""
    return [not any(word in keys[:place] for word in key.split()) for place, key in enumerate(keys)]


def _id(name: str) -> str:
    """Return a name as an id: small letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", folded(name)).strip("_") or "theme"
