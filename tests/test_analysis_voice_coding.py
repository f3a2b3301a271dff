"""Which themes a text names: hand-worked texts, a slow second reading of the same rules, and the demo's comments."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import params
from cxlib.analysis import voice
from cxlib.analysis.voice import coding, tokens
from cxlib.analysis.voice.negation import NEGATORS, REACH, TURNS
from cxlib.data import demo
from cxlib.errors import UsageError
from cxlib.params import Codebook, Theme
from tests.conftest import ROOT

LATE = Theme(
    id="late", title="Late",
    phrases={"en": ("late", "delay*", "took  too long", "wait* ... hour*", "never arrived"), "pt": ("não chegou",)},
    stems={"en": ("arrive", "die"), "pt": ("reclamação",)},
    unless={"en": ("late fee*", "on arrival")},
)  # fmt: skip


def named(text: object, theme: Theme = LATE, **more: object) -> bool | None:
    found = voice.code(pd.Series([text], index=["r1"], dtype="object"), {theme.id: theme}, **more)
    assert found.dtypes.tolist() == ["boolean"]
    value = found.loc["r1", theme.id]
    return None if pd.isna(value) else bool(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It came LATE.", True), ("chocolate", False), ("later", False), ("delayed again", True), ("a delay", True),
        ("it took too\tlong", True), ("it took far too long", False), ("Nao chegou", True), ("NÃO CHEGOU!", True),
        ("late?", True), ("", None), ("   ", None), (None, None), (np.nan, None), (pd.NA, None), (".*", False),
        ("took, too long", False), ("the train-late", True), ("late😡", True), ("#late @you", True), (17, False),
        ("the flight's late", True), ("late's", True), ("'late'", True), ("it is “late”", True), ("ｌａｔｅ", True),
        ("laaaate", True), ("DELAAAYED", True), ("1000000 late", True), ("n&atilde;o chegou", True),
        ("na\u0303o chegou", True), ("nÃ£o chegou", True), ("ñ chegou", True), ("n chegou", True),
        ("naum chegou", True), ("la\u200bte", True), ("late&nbsp;again", True), ("late\x00", True),
        ("call [phone] late", True), ("[late]", True),
        ("it arrives", True), ("arrived", True), ("arrival", True), ("on arrival", False), ("it is dying", True),
        ("reclamações", True), ("reclamacoes", True), ("reclamar", True), ("reclama", True),
        ("I waited for three hours", True), ("waiting an hour", True), ("wait hour", True),
        ("waited one two three four five hours", True), ("waited one two three four five six hours", False),
        ("I waited. Two hours!", False), ("waited, like, two hours", True), ("hours of waiting", False),
        ("a late fee", False), ("late fees and late", True), ("late. fee", True), ("late, fee", True),
    ],
)  # fmt: skip
def test_words_whatever_their_case_accents_and_spelling(text: object, expected: bool | None) -> None:
    assert named(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("not late", False), ("It wasn't late", False), ("it wasn’t late", False), ("it wasnt late", False),
        ("not at all so late", False), ("not by one single day late", True), ("not good, late", True),
        ("not good. Late", True), ("not good but late", True), ("never late", False), ("late, not early", True),
        ("without delay", False), ("not only late", True), ("I can't believe how late", True), ("no doubt late", True),
        ("never been so late", True), ("it never arrived", True), ("I am not sure why it never arrived", True),
        ("nobody said it never arrived", True), ("no late fee", False), ("not late\nlate", True),
        ("não, não chegou", True), ("não é verdade que não chegou", True), ("sem reclamação", False),
        ("no reclamação", True),  # Portuguese for "in the complaint": English negators are for English phrases
        ("nunca mais reclamar", True),
    ],
)  # fmt: skip
def test_negated_words_do_not_count(text: str, expected: bool) -> None:
    assert named(text) is expected


def test_a_theme_may_count_what_is_negated() -> None:
    price = Theme(id="price", title="Price", phrases={"en": ("expensive",)}, negation=False)
    assert named("not expensive", price)


def test_a_codebook_may_bring_negators_of_its_own() -> None:
    theme = Theme(id="teuer", title="Teuer", phrases={"de": ("teuer",)})
    book = Codebook(themes={"teuer": theme}, negators={"de": ("nicht", "kein*")})
    found = voice.code(["Nicht teuer", "keineswegs teuer", "teuer"], book)["teuer"]
    assert found.tolist() == [False, False, True]
    assert voice.code(["Nicht teuer"], book.themes)["teuer"].tolist() == [True]  # none of German are known


def test_emoji_and_letters_beyond_the_alphabet() -> None:
    """Casefolding makes ß into ss and the Turkish dotted I into i and a dot: phrases are folded alike."""
    theme = Theme(id="size", title="Size", phrases={"de": ("GRÖSSE", "İade*", "👎"), "el": ("μεγεθος",)})
    texts = ["die Größe passt", "iadesi zor", "grossen", "so👎🏽", "ΜΈΓΕΘΟΣ"]
    assert voice.code(texts, {"size": theme})["size"].tolist() == [True, True, False, True, True]


def test_languages_limit_the_phrases() -> None:
    texts, told = ["late", "late", "late", "não chegou", "late"], ["en", "pt-BR", None, "PT", "fr"]
    assert voice.code(texts, {"late": LATE}, languages=told)["late"].astype(object).tolist() == [
        True, False, True, True, pd.NA,
    ]  # fmt: skip
    with pytest.raises(UsageError, match="1 languages for 2 texts"):
        voice.code(["a", "b"], {"late": LATE}, languages=["en"])
    with pytest.raises(UsageError, match="the codebook is a list"):
        voice.code(["a"], [LATE])


def test_duplicates_blocks_and_nothing_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pd.Series(["late", "early", None, "late", "not", "late"], index=list("abcdea"))
    whole = voice.code(texts, {"late": LATE})
    monkeypatch.setattr(coding, "_BLOCK", 3)  # no negator reaches into the next text, whatever is read at once
    pd.testing.assert_frame_equal(voice.code(texts, {"late": LATE}), whole)
    assert whole["late"].astype(object).tolist() == [True, False, pd.NA, True, False, True]
    assert whole.index.tolist() == list("abcdea")
    assert voice.code([], {"late": LATE}).shape == (0, 1)
    assert voice.code(["late"], {}).shape == (1, 0)
    assert voice.code([None, " "], {"late": LATE})["late"].isna().all()
    arrow = pd.Series(["late", None], dtype="string[pyarrow]")
    assert voice.code(arrow, {"late": LATE})["late"].astype(object).tolist() == [True, pd.NA]


def test_long_texts_take_no_long_time() -> None:
    long = [
        "a" * 100_000,
        "late " * 20_000,
        "'" * 100_000,
        "&" * 100_000,
        "Ã" * 100_000,
        "(" * 100_000,
        "wait " * 20_000,
    ]
    started = time.perf_counter()
    found = voice.code([*long, "[" * 100_000], params.load(ROOT).codebook)
    assert time.perf_counter() - started < 10  # it takes a tenth of a second; a catastrophic pattern takes for ever
    assert found["delivery_delay"].tolist()[1]


def test_plain_and_mended() -> None:
    assert voice.plain("NÃO") == "nao"
    assert tokens.mended("â€œlateâ€\x9d &amp; Ã© [e-mail]") == "“late” & é , "
    assert tokens.mended("NÃO") == "NÃO"  # what only looks like a wrong encoding stays


def test_the_definition_changes_with_the_words_and_the_version_alone() -> None:
    book = Codebook(version=3, themes={"late": LATE})
    told = voice.definition(book, "late")
    assert told.startswith("codebook 3 ")
    again = LATE.model_copy(update={"title": "Too late"})
    assert voice.definition(book.model_copy(update={"themes": {"late": again}}), "late") == told
    other = LATE.model_copy(update={"unless": {}})
    assert voice.definition(book.model_copy(update={"themes": {"late": other}}), "late") != told
    assert voice.definition(book.model_copy(update={"version": 4}), "late") != told


def _slowly(text: str, phrase: list[str], negators: set[str], turns: set[str]) -> bool:
    """Read a text word by word, by the same rules: a second opinion for phrases without `*`."""
    words = text.split()
    for start in range(len(words)):
        if words[start : start + len(phrase)] != phrase:
            continue
        negated = False
        for word in reversed(words[max(start - REACH, 0) : start]):
            if word in turns | {",", "."}:
                break
            negated |= word in negators
        if not negated:
            return True
    return False


@given(st.lists(st.sampled_from(["late", "very", "not", "but", ",", ".", "never", "so"]), max_size=12))
def test_as_a_slow_reader_finds(words: list[str]) -> None:
    theme = Theme(id="t", title="T", phrases={"en": ("very late", "late so")}, unless={"en": ("zzz",)})
    text = " ".join([*words, "x"])
    negators, turns = set(NEGATORS["en"].split()), set(TURNS["en"].split())
    expected = any(_slowly(text, phrase, negators, turns) for phrase in (["very", "late"], ["late", "so"]))
    assert named(text, theme) is expected


def test_the_themes_that_comments_of_the_demo_were_made_from() -> None:
    """The codebook finds most of what was planted, and little else, in each language."""
    company = demo.simulate(5_000)
    answers = company.tables["responses"].to_pandas()
    book, truth = params.load(ROOT).codebook, company.themes.to_pandas()
    kept = answers["comment"].notna()
    found = voice.code(answers.loc[kept, "comment"], book, languages=answers.loc[kept, "language"])
    planted = truth.loc[kept.to_numpy()].set_axis(found.index)
    planted = planted.rename(columns={"late": "delivery_delay"})
    for language, least in (("en", 20), ("pt", 3), ("es", 3)):
        rows = (answers.loc[kept, "language"] == language).to_numpy()
        for theme in ("delivery_delay", "wait", "unresolved", "price", "praise"):
            said, meant = found.loc[rows, theme].astype(bool), planted.loc[rows, theme].astype(bool)
            assert meant.sum() > least
            assert (said & meant).sum() / meant.sum() > 0.9  # recall
            assert (said & meant).sum() / max(said.sum(), 1) > 0.9  # precision
