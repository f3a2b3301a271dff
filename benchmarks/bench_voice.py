"""Coding 1 million comments with the shipped codebook, against a regex per theme and pandas per phrase: time, memory.

Three ways, each a process of its own that reads the same Parquet file of different comments and writes one boolean
column per theme. `phrases` asks `str.contains` once per phrase and `regex` searches for one alternation per theme, both
in texts without case and accents, as one writes it by hand: whole words and `*`, but neither negation nor `unless`,
stems, gaps or spelling. So they find more; told is how much of it the codebook takes back.

Run as a script it is one of the ways: `bench_voice.py code FOLDER`.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from stopwatch import ROOT, Board, Taken, python

from cxlib import params
from cxlib.analysis import voice
from cxlib.data.demo.comments import SENTENCES

COMMENTS = int(os.environ.get("CX_BENCH_COMMENTS", 1_000_000))
ROUNDS = int(os.environ.get("CX_BENCH_ROUNDS", 3))
BY_PHRASE = 20  # the slowest way codes a twentieth of the comments, and is told times that
_FILLING = """
    the a and I my it was order service shop lamp table very really when they came with from in on for again last week
    people product quality colour box driver não mas muito com para uma foi loja produto veio minha casa cor
"""


def test_voice(board: Board, tmp_path: Path) -> None:
    python(__file__, "make", str(tmp_path), cwd=tmp_path)
    ways: dict[str, list[Taken]] = {"code": [], "regex": [], "phrases": []}
    for _ in range(ROUNDS):
        for way, times in ways.items():
            times.append(python(__file__, way, str(tmp_path), cwd=tmp_path, longest=1_200, OMP_NUM_THREADS="1"))
    what = f"{COMMENTS / 1e6:g} M comments"
    regex = board.add(f"{what}: a regex per theme", ways["regex"])
    phrases = board.add(f"{what} / {BY_PHRASE}: str.contains per phrase", ways["phrases"]) * BY_PHRASE
    ours = board.add(f"{what}: voice.code", ways["code"])
    found = {way: pd.read_parquet(tmp_path / f"{way}.parquet") for way in ways}
    back = 1 - found["code"].to_numpy(bool).sum() / found["regex"].to_numpy(bool).sum()
    board.say(
        f"a regex per theme takes {regex / ours:.1f} times as long, str.contains per phrase {phrases / ours:.0f} times;"
        f" {back:.0%} of what those find is negated or does not count"
    )
    first = found["regex"].iloc[: len(found["phrases"])]
    pd.testing.assert_frame_equal(found["phrases"], first, check_dtype=False)


def make(folder: Path) -> None:
    """Write different comments: a sentence of the demo, words, and in one of five a negated or misspelled phrase."""
    rng, pool = np.random.default_rng(1), [s for one in SENTENCES.values() for each in one.values() for s in each]
    extra = [
        "",
        "",
        "",
        "",
        "It was not late.",
        "sem atraso",
        "n&atilde;o chegou",
        "Sooo expensive!",
        "I can't recommend it",
    ]
    first = np.array(pool, dtype=object)[rng.integers(len(pool), size=COMMENTS)]
    filling = np.array(_FILLING.split(), dtype=object)
    words = filling[rng.integers(len(filling), size=(COMMENTS, 12))]
    long, last = rng.integers(3, 13, size=COMMENTS), np.array(extra, dtype=object)[rng.integers(9, size=COMMENTS)]
    texts = [f"{first[i]} {' '.join(words[i, : long[i]])} {last[i]} {i}" for i in range(COMMENTS)]
    pd.DataFrame({"text": texts}).to_parquet(folder / "comments.parquet")


def code(folder: Path) -> None:
    texts = pd.read_parquet(folder / "comments.parquet")["text"]
    voice.code(texts, params.load(ROOT).codebook).to_parquet(folder / "code.parquet")


def regex(folder: Path) -> None:
    texts = pd.read_parquet(folder / "comments.parquet")["text"].map(voice.plain)
    themes = {name: "|".join(each) for name, each in _patterns().items()}
    found = {name: texts.str.contains(rf"(?<!\w)(?:{each})(?!\w)", regex=True) for name, each in themes.items()}
    pd.DataFrame(found).to_parquet(folder / "regex.parquet")


def phrases(folder: Path) -> None:
    texts = pd.read_parquet(folder / "comments.parquet")["text"].iloc[: COMMENTS // BY_PHRASE].map(voice.plain)
    found = {}
    for name, each in _patterns().items():
        hits = [texts.str.contains(rf"(?<!\w)(?:{one})(?!\w)", regex=True) for one in each]
        found[name] = np.logical_or.reduce(hits)
    pd.DataFrame(found).to_parquet(folder / "phrases.parquet")


def _patterns() -> dict[str, list[str]]:
    """Return a pattern for each phrase of each theme; `...` is left to any two words that stand in a row."""
    themes = params.load(ROOT).codebook.themes.values()
    return {
        theme.id: [
            r"\s+".join(re.escape(word).replace(r"\*", r"\w*") for word in voice.plain(text).split() if word != "...")
            for texts in theme.phrases.values()
            for text in texts
        ]
        for theme in themes
    }


if __name__ == "__main__":
    WAYS = {"make": make, "code": code, "regex": regex, "phrases": phrases}
    WAYS[sys.argv[1]](Path(sys.argv[2]))
