"""The codebook as it is written: what it may hold, and what is said of what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxlib import params
from cxlib.params.codebook import STEMMERS
from tests.conftest import ROOT

KEYS = ("title", "phrases", "stems", "unless", "negation")


def said(root: Path, codebook: str) -> list[str]:
    folder = root / "params"
    folder.mkdir(exist_ok=True)
    (folder / "workspace.yml").write_text("company: Acme\n", encoding="utf-8")
    (folder / "codebook.yml").write_text(codebook, encoding="utf-8")
    return [str(fault).removeprefix("params/codebook.yml:") for fault in params.check(root)]


def test_a_theme_with_all_its_keys(tmp_path: Path) -> None:
    text = """\
version: 3
negators: {de: [nicht]}
themes:
  late:
    title: Late
    phrases: {en: [late, wait* … hour*, 10, '👎', "don't"]}
    stems: {en: [arrive], pt: [reclamação]}
    unless: {en: [late fee*]}
    negation: false
"""
    assert said(tmp_path, text) == []
    book = params.load(tmp_path).codebook
    assert (book.version, book.negators) == (3, {"de": ("nicht",)})
    late = book.themes["late"]
    assert late.phrases == {"en": ("late", "wait* ... hour*", "10", "👎", "don't")}
    assert (late.stems, late.unless, late.negation) == (
        {"en": ("arrive",), "pt": ("reclamação",)}, {"en": ("late fee*",)}, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("theme", "fault"),
    [
        ("title: T", "2: themes.t: no comment can name it: give phrases or stems"),
        ("title: T, stem: {en: [a]}",
         f"2: themes.t.stem: no such key; the keys here are {', '.join(KEYS)}; did you mean 'stems'?"),
        ("title: T, phrases: {en: ['...']}", "2: themes.t.phrases.en[1]: '...' holds no word"),
        ("title: T, phrases: {en: [a, 'so*me']}",
         "2: themes.t.phrases.en[2]: 'so*me': * stands once, at the end of a word: deliver*"),
        ("title: T, phrases: {en: ['... late']}",
         "2: themes.t.phrases.en[1]: '... late': ... stands alone between two words: wait* ... hour*"),
        ("title: T, phrases: {en: ['wait...hour']}",
         "2: themes.t.phrases.en[1]: 'wait...hour': ... stands alone between two words: wait* ... hour*"),
        ("title: T, phrases: {english: [a]}",
         "2: themes.t.phrases: 'english' is not a language: write its two small letters, as in en"),
        ("title: T, phrases: {en: [late, LATE]}", "2: themes.t.phrases: 'late' stands twice in en: keep one"),
        ("title: T, stems: {en: [on hold]}",
         "2: themes.t.stems.en[1]: 'on hold' is not one word: a stem is any form of one word, as in deliver"),
        ("title: T, stems: {pl: [kot]}",
         f"2: themes.t.stems: 'pl' is none of the languages that have stems: {', '.join(STEMMERS)}"),
        ("title: T, phrases: {en: [a]}, negation: maybe", "2: themes.t.negation: 'maybe' is neither true nor false"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, theme: str, fault: str) -> None:
    found = said(tmp_path, f"themes:\n  t: {{{theme}}}\n")
    assert fault in found, found


def test_the_shipped_codebook_speaks_two_languages_throughout() -> None:
    book = params.load(ROOT).codebook
    assert book.version >= 2
    for theme in book.themes.values():
        assert {"en", "pt"} <= set(theme.phrases), theme.id
