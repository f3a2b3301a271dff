"""Quotes: typical, of many, and never anything that tells who wrote them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib.analysis import voice
from cxlib.data import demo
from cxlib.errors import UsageError

LATE = [
    "My parcel arrived days late.",
    "Late delivery again, the order was delayed.",
    "The parcel came late, as always.",
]
THEMES = ["late", "wait", "unresolved", "price", "praise", "other"]


@pytest.fixture(scope="module")
def company() -> pd.DataFrame:
    """Comments of a small company, the themes that they were made from, and what was planted in them."""
    found = demo.simulate(4_000, seed=7)
    rows = found.tables["responses"].to_pandas()[["comment", "customer_id", "language"]]
    rows = rows.join(found.themes.to_pandas())
    return rows[rows["comment"].notna()].reset_index(drop=True)


def test_no_quote_holds_what_was_planted(company: pd.DataFrame) -> None:
    """Each person who tells who they are is made three, so that even they make themes above the minimum."""
    telling = company[company["planted"].notna()]
    assert len(telling) > 30
    rows = pd.concat([company, telling, telling], ignore_index=True)
    members = rows[THEMES].assign(telling=rows["planted"].notna())
    found = voice.quotes(rows["comment"], members, customer=rows["customer_id"], language=rows["language"], n=20)
    said = " ".join(found["quote"])
    assert not [value for value in telling["planted"].unique() if value in said]
    shown = found[found["status"] == "ok"]
    assert set(shown["theme"]) == {*THEMES, "telling"}
    clean = shown[shown["theme"] != "telling"]["quote"]
    assert not clean.str.contains(r"\[|\d|@").any()  # nothing was taken out of them: there are others
    assert shown.loc[shown["theme"] == "telling", "quote"].str.contains(r"\[[a-z-]+\]").all()
    assert not shown["quote"].str.contains(r"[<>]|^[=+@|-]").any()
    assert not any(column.startswith("customer_id") for column in found)
    assert (shown["alike"].dropna() >= 10).all()


def test_quotes_are_of_their_theme_and_typical(company: pd.DataFrame) -> None:
    found = voice.quotes(company["comment"], company[THEMES], customer=company["customer_id"], n=2)
    english = {
        "late": "late|delay|promised",
        "wait": "wait|hold|speak",
        "price": "price|expensive",
        "praise": "love|great|friend",
    }
    for theme, pattern in english.items():
        own = found.loc[found["theme"] == theme, "quote"]
        assert own.str.lower().str.contains(pattern).all()
        assert own.is_unique
    again = voice.quotes(company["comment"][::-1], company[THEMES][::-1], customer=company["customer_id"][::-1], n=2)
    pd.testing.assert_frame_equal(again, found)


def test_a_theme_of_few_customers_has_none() -> None:
    texts, people = LATE * 5, [1, 2, 3] * 5
    found = voice.quotes(texts, pd.Series([True] * 15, name="late"), customer=people)
    assert found["status"].tolist() == ["too_few"]
    assert found.loc[0, "quote"] == ""
    assert found[["alike", "customers"]].isna().all(axis=None)
    assert (voice.quotes(texts, [True] * 15)["customers"] == 15).all()  # each by somebody else


def test_how_many_said_alike() -> None:
    texts = ["The parcel was late."] * 12 + ["Nobody answers your telephone."] * 11
    found = voice.quotes(texts, [True] * 23, customer=[*range(11), 0, *range(50, 61)])
    assert dict(zip(found["quote"], found["alike"], strict=True)) == {texts[0]: 11, texts[-1]: 11}
    assert (found["customers"] == 22).all()


def test_texts_with_personal_data_are_the_last_resort() -> None:
    telling = [
        "The parcel was late, write to jane@example.com.",
        "The parcel 4711 was late.",
        "The parcel to Maria was late.",
    ]
    clean = "The parcel was late, and the box was broken."
    found = voice.quotes([*telling * 10, clean], [True] * 31, n=3)
    assert found["quote"].tolist() == [clean]
    only = voice.quotes(telling[:1] * 10, [True] * 10)
    assert only["quote"].tolist() == ["The parcel was late, write to [e-mail]."]


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ('=HYPERLINK("http://example.com") It was late.', "It was late."),
        ("+cmd|' /C calc'!A0 Nothing to add.", "Nothing to add."),
        ("@SUM(A1:A9) OK.", "OK."),
        ("=1+1 OK.", "OK."),
        ("- it was late", "it was late"),
        ("It was late. <script>alert(1)</script>", "It was late."),
        ("<b>bold</b> <img src=x onerror=alert(1)> late", "bold late"),
        ("&lt;script&gt;alert(1)&lt;/script&gt; late", "late"),
        ("late\u202egnol\x07", "late gnol"),
        ("@shop thanks", "thanks"),
        ("I&#39;m jane&#64;example.com", "I'm [e-mail]"),
        ("Write to jane<b>@</b>example.com", "Write to [e-mail]"),
    ],
)  # fmt: skip
def test_quotes_are_plain_text(text: str, quote: str) -> None:
    assert voice.quotable(text) == quote


def test_long_texts_end_at_a_sentence_or_a_word() -> None:
    first = "The parcel came four days after the date that was promised to me."
    assert voice.quotable(f"{first} And then nobody could say where it was.", 100) == first
    short = voice.quotable("word " * 100, 52)
    assert short == f"{'word ' * 9}word…"
    assert len(short) <= 52


@given(st.text(max_size=120), st.sampled_from(["jane.doe@example.com", "+44 7700 900123", "4111 1111 1111 1111"]))
def test_whatever_stands_around_it(text: str, secret: str) -> None:
    quote = voice.quotable(f"{text} {secret} {text}", 2_000)
    assert secret not in quote
    assert not re.match(r"[=+@|\-\t]", quote)
    assert not re.search(r"[<>\x00-\x1f]", quote)


@given(st.text(max_size=300), st.integers(40, 120))
def test_never_longer_than_asked(text: str, longest: int) -> None:
    assert len(voice.quotable(text, longest)) <= longest


def test_likeness_by_a_model_of_meaning() -> None:
    texts = ["The parcel was late."] * 10 + ["O pacote atrasou muito."] * 10
    found = voice.quotes(texts, [True] * 20, embedder=lambda known: np.ones((len(known), 3)))
    assert len(found) == 1  # the model takes both for the same
    assert found["alike"].tolist() == [20]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"theme_member": [True]}, "1 memberships for 2 texts"),
        ({"theme_member": [1, 0], "language": ["en"]}, "1 languages for 2 texts"),
        ({"theme_member": [1, 0], "n": 0}, "n 0"),
    ],
)
def test_what_is_asked_wrongly(wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        voice.quotes(["a", "b"], **wrong)
    assert voice.quotes([], [])["status"].tolist() == ["too_few"]
