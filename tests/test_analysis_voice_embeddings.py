"""Embeddings: an extra that says so where it is missing, and points of length 1 in the order given."""

from __future__ import annotations

import importlib.util
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cxlib.analysis import voice
from cxlib.analysis.voice import embeddings
from cxlib.errors import UsageError


class Model:
    """What a model of sentence-transformers does, in three dimensions: how often a text holds a, e and o."""

    def __init__(self, name: str, device: str = "", local_files_only: bool = False) -> None:
        assert local_files_only
        assert device == "cpu"
        if name == "absent":
            raise OSError("no network")
        self.seen: list[str] = []

    def encode(self, texts: list[str], **how: Any) -> np.ndarray:
        assert how["normalize_embeddings"]
        assert how["batch_size"] == 64
        self.seen += texts
        points = np.array([[text.count(letter) + 0.1 for letter in "aeo"] for text in texts])
        return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package as a stand-in, and no model kept from before or for later."""
    embeddings._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.SimpleNamespace(SentenceTransformer=Model))
    yield
    embeddings._loaded.cache_clear()


@pytest.mark.usefixtures("package")
def test_points_stand_in_the_order_of_the_texts() -> None:
    texts = ["banana", None, "bored", "banana", "<b>bored</b>"]
    points = voice.embed(texts, model="here")
    assert points.dtype == np.float32
    assert points.shape == (5, 3)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), [1, 0, 1, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(points[0], points[3])
    np.testing.assert_array_equal(points[2], points[4])  # without its tags
    np.testing.assert_array_equal(voice.embed(texts[::-1], model="here")[::-1], points)
    assert voice.embed([], model="here").shape == (0, 3)


@pytest.mark.usefixtures("package")
def test_the_model_sees_no_personal_data() -> None:
    voice.embed(["Write to jane.doe@example.com", "Write to jane.doe@example.com"], model="here")
    assert embeddings._loaded("here").seen == ["Write to [e-mail]"]


@pytest.mark.usefixtures("package")
def test_what_embeds_may_be_given_to_themes_and_quotes() -> None:
    texts = ["a banana salad"] * 20 + ["three bees here"] * 20
    embedder = voice.embedder("here")
    fit = voice.themes(texts, n=2, embedder=embedder, language="en")
    assert len(fit.names) == 2
    assert fit.assign(["an avocado salad"]).sum(axis=1).tolist() == [0]  # as near as the theme's own texts are: not
    quotes = voice.quotes(texts, fit.memberships, embedder=embedder)
    assert quotes["alike"].tolist() == [20, 20]


@pytest.mark.usefixtures("package")
def test_a_model_that_is_not_here_is_told() -> None:
    with pytest.raises(UsageError, match="the model 'absent' is not on this machine") as told:
        voice.embed(["a"], model="absent")
    assert "where there is a network" in told.value.hint


def test_without_the_extra_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UsageError, match="sentence-transformers") as told:
        voice.embedder("here")
    assert "cxlib[embeddings]" in told.value.hint


def test_a_real_model_puts_alike_together() -> None:
    """Runs where the extra is installed and CX_EMBEDDINGS names a model of sentence-transformers on this machine."""
    if importlib.util.find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed (extra embeddings)")
    if not (model := os.environ.get("CX_EMBEDDINGS")):
        pytest.skip("no model here: name the folder of one in CX_EMBEDDINGS")
    texts = ["The parcel came late.", "Delivery was delayed.", "The staff was friendly."]
    points = voice.embed(texts, model=model)
    assert points.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)
    assert points[0] @ points[1] > points[0] @ points[2]
    np.testing.assert_allclose(voice.embed(texts[::-1], model=model)[::-1], points, atol=1e-5)
