"""Which themes a comment names: hand-worked texts, and the themes that the demo's comments were made from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxlib import params
from cxlib.analysis import voice
from cxlib.data import demo
from cxlib.params import Theme
from tests.conftest import ROOT

LATE = Theme(id="late", title="Late", phrases={"en": ("late", "delay*", "took  too long"), "pt": ("não chegou",)})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("It came LATE.", 1.0), ("chocolate", 0.0), ("later", 0.0), ("delayed again", 1.0), ("a delay", 1.0),
        ("it took too\nlong", 1.0), ("it took far too long", 0.0), ("Nao chegou", 1.0), ("NÃO CHEGOU!", 1.0),
        ("late?", 1.0), ("", np.nan), ("   ", np.nan), (None, np.nan), (".*", 0.0),
    ],
)  # fmt: skip
def test_whole_words_whatever_case_and_accents(text: str | None, named: float) -> None:
    found = voice.mentions(pd.Series([text], index=["r1"], dtype="object"), {"late": LATE})
    np.testing.assert_array_equal(found.loc["r1", "late"], named)


def test_letters_beyond_the_alphabet_are_letters() -> None:
    """Casefolding makes ß into ss and the Turkish dotted I into i and a dot: phrases are folded alike."""
    theme = Theme(id="size", title="Size", phrases={"de": ("GRÖSSE", "İade*")})
    found = voice.mentions(pd.Series(["die Größe passt", "iadesi zor", "grossen"]), {"size": theme})
    assert found["size"].tolist() == [1.0, 1.0, 0.0]


def test_the_themes_that_comments_of_the_demo_were_made_from() -> None:
    """The codebook finds most of what was planted, and little else."""
    company = demo.simulate(5_000)
    answers = company.tables["responses"].to_pandas()
    themes, truth = params.load(ROOT).codebook.themes, company.themes.to_pandas()
    kept = answers["comment"].notna() & (answers["language"] == "en")
    found = voice.mentions(answers.loc[kept, "comment"], themes)
    planted = truth.loc[kept.to_numpy()].set_axis(found.index)
    for theme, name in (("delivery_delay", "late"), ("wait", "wait"), ("unresolved", "unresolved"), ("price", "price")):
        said, meant = found[theme] == 1, planted[name].astype(bool)
        assert meant.sum() > 20
        assert (said & meant).sum() / meant.sum() > 0.5  # recall; sentences and phrases were written apart
        assert (said & meant).sum() / max(said.sum(), 1) > 0.8  # precision
