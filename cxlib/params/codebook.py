"""`codebook.yml`: the themes that comments are assigned to, and the words that assign them, by language."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from cxlib.params.base import Model, Name, Names, fault
from cxlib.params.faults import none_of

GAP = "..."  # stands between words of a phrase that others may lie between
# Language -> the Snowball stemmer of that name; stems are written for these languages only.
STEMMERS = {
    "da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french",
    "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ro": "romanian", "sv": "swedish",
}  # fmt: skip


def _phrase(text: str) -> str:
    """Accept words, `*` at the end of some, `...` between some."""
    words = text.replace("…", GAP).split()
    if not re.search(r"[^\W_]|[^\x00-\x7f]", text):
        raise fault(f"'{text}' holds no word")
    if any("*" in word.rstrip("*") or word.count("*") > 1 or word == "*" for word in words):
        raise fault(f"'{text}': * stands once, at the end of a word: deliver*")
    if re.search(r"\w[.,;:!?/@&+]\w", text.replace(GAP, " ")):
        raise fault(f"'{text}': a phrase is words in a row, without signs between them")
    if GAP in (words[0], words[-1]) or any(GAP in word and word != GAP for word in words):
        raise fault(f"'{text}': ... stands alone between two words: wait* ... hour*")
    return " ".join(words)


def _stem(text: str) -> str:
    """Accept one word."""
    if not re.fullmatch(r"[\w'’-]+", text):
        raise fault(f"'{text}' is not one word: a stem is any form of one word, as in deliver")
    return text


def _by_language(found: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Accept two letters for each language, and every text once."""
    for language, texts in found.items():
        if not re.fullmatch(r"[a-z]{2}", language):
            raise fault(f"'{language}' is not a language: write its two small letters, as in en")
        twice = [text for text, times in Counter(text.casefold() for text in texts).items() if times > 1]
        if twice:
            raise fault(f"'{twice[0]}' stands twice in {language}: keep one")
    return found


def _stemmed(found: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Accept languages that there is a stemmer for."""
    for language in found:
        if language not in STEMMERS:
            raise fault(none_of(language, STEMMERS, "the languages that have stems:"))
    return found


_Listed = Annotated[tuple[Annotated[str, AfterValidator(_phrase)], ...], Field(min_length=1)]
_Stems = Annotated[tuple[Annotated[str, AfterValidator(_stem)], ...], Field(min_length=1)]
Phrases = Annotated[dict[str, _Listed], AfterValidator(_by_language)]
Stems = Annotated[dict[str, _Stems], AfterValidator(_by_language), AfterValidator(_stemmed)]


class Theme(Model):
    """One theme of the codebook: what assigns it, by language."""

    id: str
    title: Name
    phrases: Phrases = Field(default_factory=dict)  # whole words; deliver* begins so; ... leaves room for up to five
    stems: Stems = Field(default_factory=dict)  # any form of a word: wait also finds waits, waited, waiting
    unless: Phrases = Field(default_factory=dict)  # words that do not count where they stand in one of these
    negation: bool = True  # whether "not late" does not count; false: whoever speaks of it at all names it

    @model_validator(mode="after")
    def _assigned_by_something(self) -> Theme:
        """Refuse a theme that no comment could name."""
        if not self.phrases and not self.stems:
            raise fault("no comment can name it: give phrases or stems")
        return self


class Codebook(Model):
    """`codebook.yml`: the versioned list of themes."""

    version: int = Field(1, ge=1)
    negators: dict[str, Names] = Field(default_factory=dict)  # further words that negate, by language
    themes: dict[str, Theme] = Field(default_factory=dict)
