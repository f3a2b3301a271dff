"""Texts as points of one space of meaning, whatever their language, by a model of sentence-transformers (an extra).

Nothing is downloaded: a model is a folder, or a name that was downloaded before. Without the extra all else works.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxlib.analysis import doors
from cxlib.analysis.voice.words import read
from cxlib.errors import UsageError

Points = NDArray[np.float32]

MODEL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
_EXTRA = "Install the extra: pip install 'cxlib[embeddings]'."
_OFFLINE = "Nothing is downloaded here: download the model where there is a network, and give the folder it is in."


def embed(
    texts: Any, *, model: str = MODEL, batch: int = 64, redacted: bool = False, ids: Collection[str] = ()
) -> Points:
    """Return each text as a point at distance 1 from 0.

    Parameters
    ----------
    texts
        What customers wrote, shape (n,). Personal data and markup are taken out first.
    model
        Folder or name of a model of sentence-transformers, see `embedder`.
    batch
        Texts that the model is given at once.
    redacted, ids
        As in `themes`.

    Returns
    -------
    numpy.ndarray
        float32, shape (n, dimensions), rows of length 1; of zeros where nothing was written. The same for the same
        texts in any order, to the last digits of a float.

    Raises
    ------
    UsageError
        Where the extra is not installed, or the model is not on this machine.
    """
    written = read(texts, redacted=redacted, ids=ids)
    points = embedder(model, batch=batch)(written.distinct)
    width = points.shape[1] if points.ndim == 2 else 0
    return np.concatenate([points.reshape(-1, width), np.zeros((1, width), dtype=np.float32)])[written.place]


def embedder(model: str = MODEL, *, batch: int = 64) -> Callable[[Sequence[str]], Points]:
    """Return what embeds redacted texts, for `themes(..., embedder=...)` and `quotes(..., embedder=...)`.

    Parameters
    ----------
    model
        Folder of a model of sentence-transformers, or its name where it has been downloaded.
    batch
        Texts that the model is given at once.

    Raises
    ------
    UsageError
        As `embed`.
    """
    doors.whole("batch", batch, 1, 10_000)
    return functools.partial(_embedded, _loaded(model), batch)


def _embedded(model: Any, batch: int, texts: Sequence[str]) -> Points:
    """Return the points of texts; each distinct one is worked out once, in an order of its own."""
    known = sorted(set(texts)) or [""]  # without texts: how wide the points would be
    found = model.encode(
        known, batch_size=batch, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
    )
    points = np.asarray(found, dtype=np.float32)
    place = {text: number for number, text in enumerate(known)}
    return points[np.array([place[text] for text in texts], dtype=np.int64)]


@functools.lru_cache(maxsize=1)
def _loaded(model: str) -> Any:
    """Return a model, loaded once; never from the network."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise UsageError("sentence embeddings need the package sentence-transformers", hint=_EXTRA) from error
    try:
        return SentenceTransformer(model, device="cpu", local_files_only=True)
    except (OSError, ValueError) as error:
        raise UsageError(f"the model '{model}' is not on this machine", hint=_OFFLINE) from error
