"""Do candidates come back? Fits with other starting values and of other texts, held against the fit of all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.voice import matching
from cxlib.analysis.voice.themes import Themes, themes
from cxlib.analysis.voice.words import read
from cxlib.measure.rows import Numbers

SEEDS, SAMPLES, THEME = "agreement between starts", "agreement between halves of the texts", "theme comes back"
_SHARE = 0.5


def stability(
    texts: Any, *, n: int, rng: np.random.Generator | None = None, runs: int = 10, customer: Any = None,
    confidence: float = 0.95, **settings: Any,
) -> pd.DataFrame:  # fmt: skip
    """Measure how stable candidates are.

    Parameters
    ----------
    texts, n, customer
        As in `themes`.
    rng
        Draws seeds and halves; default a fixed seed.
    runs
        Fits of each kind.
    confidence
        Share of the fits between the limits.
    settings
        Further keywords of `themes`.

    Returns
    -------
    pandas.DataFrame
        Comparison `index`. Metric `agreement between starts` and `agreement between halves of the texts`: the mean
        over runs of the adjusted Rand index (Hubert and Arabie 1985) between the first theme of each text by that fit
        and by the fit of all, `at` `adjusted Rand`; and of the cosine of matched themes, `at` `cosine`; the limits
        hold the middle of the runs. Starts agree wholly where nothing is drawn, see `themes`. Then for each theme
        (`level`) `theme comes back`: the share of the halves in which a theme of a cosine of 0.5 and more is found.
        `too_few` where there are no themes.
    """
    runs, rng = doors.whole("runs", runs, 2, 1_000), doors.generator(rng)
    written = read(texts, customer=customer, redacted=bool(settings.get("redacted")), ids=settings.get("ids", ()))
    told = np.array([*written.distinct, ""], dtype=object)[written.place]
    settings |= {"n": n, "redacted": True, "confidence": confidence}
    whole = themes(told, rng=_child(rng), customer=written.person, **settings)
    if not whole.names:
        return results.conform(whole.frame.assign(metric=SEEDS))
    starts = [themes(told, rng=_child(rng), customer=written.person, **settings) for _ in range(runs)]
    people = np.unique(written.person[written.place >= 0])
    halves = []
    for _ in range(runs):
        mine = np.isin(written.person, rng.permutation(people)[: max(int(_SHARE * len(people)), 1)])
        halves.append(themes(told[mine], rng=_child(rng), customer=written.person[mine], **settings))
    return results.concat([
        _agreement(SEEDS, whole, starts, told, confidence),
        _agreement(SAMPLES, whole, halves, told, confidence),
        _returns(whole, halves),
    ])  # fmt: skip


def _child(rng: np.random.Generator) -> np.random.Generator:
    return np.random.default_rng(int(rng.integers(2**31)))


def first(fit: Themes, texts: Any, *, redacted: bool = False) -> np.ndarray:
    """Return the number of the heaviest theme that each text names, -1 for none, shape (n,)."""
    named = fit.assign(texts, redacted=redacted).to_numpy(dtype=bool)
    weights = np.where(named, fit.weights(texts, redacted=redacted).to_numpy(), -1.0)
    return np.where(named.any(axis=1), weights.argmax(axis=1), -1) if named.shape[1] else np.full(len(named), -1)


def _agreement(metric: str, whole: Themes, others: list[Themes], texts: Any, confidence: float) -> pd.DataFrame:
    """Return how much fits agree with the fit of all."""
    from sklearn.metrics import adjusted_rand_score

    mine = first(whole, texts, redacted=True)
    rand = np.array([adjusted_rand_score(mine, first(other, texts, redacted=True)) for other in others])
    alike = np.array([_cosine(whole, other) for other in others])
    edges = [(1 - confidence) / 2, (1 + confidence) / 2]
    limits = [np.quantile(values, edges) for values in (rand, alike)]
    spread = [rand.std(), alike.std()]
    return results.frame(
        metric=metric, comparison="index", at=["adjusted Rand", "cosine"], estimate=[rand.mean(), alike.mean()],
        std_error=spread, conf_low=[low for low, _ in limits], conf_high=[high for _, high in limits],
        n=float(len(texts)), method=f"{len(others)} fits, {whole.method}",
    )  # fmt: skip


def _cosine(whole: Themes, other: Themes) -> float:
    """Return the mean cosine of the themes of two fits that were matched; a theme without another counts 0."""
    found = matching.pairs(whole.words, other.words, list(other.names), least=0.0)
    return sum(pair.cosine for pair in found) / max(len(whole.names), 1)


def _returns(whole: Themes, others: list[Themes]) -> pd.DataFrame:
    """Return for each theme the share of fits in which it was found again."""
    back: Numbers = np.zeros(len(whole.names))
    place = {name: number for number, name in enumerate(whole.names)}
    for other in others:
        for pair in matching.pairs(whole.words, other.words, list(other.names)):
            back[place[pair.old]] += 1
    return results.frame(
        metric=THEME, comparison="index", level=list(whole.names), estimate=back / len(others), n=float(len(others)),
        method=f"{len(others)} fits of half of the customers",
    )  # fmt: skip
