"""What says a codebook: any form that an analyst has it in, and everything wrong with one at once."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from cxlib import params
from cxlib.analysis import voice
from cxlib.errors import UsageError

TEXTS = ["It came late", "the price is high", None]


@pytest.mark.parametrize(
    "given",
    [
        {"late": ["late", "delay*"]},
        {"late": "late"},
        {"late": {"phrases": {"en": ["late"]}}},
        {"late": {"id": "late", "title": "Late", "phrases": {"en": ["late"]}}},
        {"late": voice.Theme(id="late", title="Late", phrases={"en": ("late",)})},
        {"version": 3, "themes": {"late": {"title": "Late", "stems": {"en": ["late"]}}}},
        voice.Codebook(themes={"late": voice.Theme(id="late", title="Late", phrases={"en": ("late",)})}),
    ],
)
def test_every_form_codes_alike(given: object) -> None:
    found = voice.code(TEXTS, given)
    assert found.columns.tolist() == ["late"]
    assert found["late"].tolist() == [True, False, pd.NA]


def test_a_file_read_by_hand_is_the_workspaces_codebook() -> None:
    held = yaml.safe_load((ROOT / "params" / "codebook.yml").read_text(encoding="utf-8"))
    assert voice.book(held) == params.load(ROOT).codebook


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        voice.code(TEXTS, {"late": {"title": "Late"}, "price": {"phrases": {"english": ["price"]}}, "a": [3]})
    for words in ("late", "price", "themes.a"):
        assert words in str(caught.value)
    assert "pydantic" not in str(caught.value)
    with pytest.raises(UsageError, match="themes by their ids"):
        voice.code(TEXTS, ["late"])


def test_what_is_no_text_is_refused_and_lists_are_texts() -> None:
    with pytest.raises(UsageError, match="no text"):
        voice.redact(None)  # type: ignore[arg-type]
    found = voice.redact_series(["write to a@example.com", None])  # type: ignore[arg-type]
    assert found[0] == "write to [e-mail]"
    assert pd.isna(found[1])
