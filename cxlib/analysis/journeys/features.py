"""What a path was like before it ended: where it touched the company, in which order, how often, and what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib.analysis.journeys.at_risk import TOUCH
from cxlib.measure.rows import Codes

TOUCHED, AGAIN, THEN, COUNT, MARK = "touch", "touch again", "pair", "touches", "event"
_COUNTS = (1, 2, 3, 5, 10)
_MOST_PAIRS = 25  # the commonest: each more makes all others harder to show


class Features(NamedTuple):
    """Names and kinds of features, and which path has which: shape (paths, features)."""

    names: list[str]
    kinds: list[str]
    found: NDArray[np.bool_]


def features(events: pd.DataFrame, paths: int, marks: Mapping[str, str]) -> Features:
    """Return the features of paths.

    Parameters
    ----------
    events
        Of `at_risk.touches`: sorted by path and time.
    paths
        How many there are.
    marks
        Column of true and false -> what it means, in words.
    """
    every = events["path"].to_numpy(dtype=np.int64)
    step = events[TOUCH].notna().to_numpy()
    path = every[step]
    code, names = pd.factorize(events.loc[step, TOUCH], sort=True)
    some = len(names)
    counts = np.bincount(path * some + code, minlength=paths * some).reshape(paths, some)
    parts = [
        (TOUCHED, [str(name) for name in names], counts > 0),
        (AGAIN, [f"{name}, twice or more" for name in names], counts > 1),
        _pairs(path, code.astype(np.int64), [str(name) for name in names], paths),
    ]
    size = counts.sum(axis=1)
    parts.append(
        (
            COUNT,
            ["any touch" if k == 1 else f"{k} touches or more" for k in _COUNTS],
            size[:, None] >= np.array(_COUNTS),
        )
    )
    marked = [np.bincount(every[events[name].to_numpy(dtype=bool)], minlength=paths) > 0 for name in marks]
    if marked:
        parts.append((MARK, list(marks.values()), np.stack(marked, axis=1)))
    kinds = [kind for kind, labels, _ in parts for _ in labels]
    return Features([label for _, labels, _ in parts for label in labels], kinds, np.hstack([has for *_, has in parts]))


def _pairs(path: Codes, code: Codes, names: list[str], paths: int) -> tuple[str, list[str], NDArray[np.bool_]]:
    """Return the commonest pairs of touchpoints, one directly after the other; the same twice is told by itself."""
    step = np.flatnonzero((path[1:] == path[:-1]) & (code[1:] != code[:-1]))
    pair = code[step] * len(names) + code[step + 1]
    own = np.unique(path[step] * len(names) ** 2 + pair)
    where, what = np.divmod(own, len(names) ** 2) if names else (own, own)
    kinds, count = np.unique(what, return_counts=True)
    kept = np.sort(kinds[np.lexsort((kinds, -count))[:_MOST_PAIRS]])
    out = np.zeros((paths, kept.size), dtype=bool)
    spot = np.searchsorted(kept, what)
    held = (spot < kept.size) & (kept[np.minimum(spot, max(kept.size - 1, 0))] == what) if kept.size else spot < 0
    out[where[held], spot[held]] = True
    labels = [f"{names[one // len(names)]}, then {names[one % len(names)]}" for one in kept]
    return THEN, labels, out


def common(features: Features, inside: NDArray[np.bool_], least: float) -> Features:
    """Return the features that are neither too rare nor too common in both groups together to be compared.

    In the smaller group at least `least` paths with the feature, and as many without, are expected if the groups are
    alike. That looks at both groups together only, so it favours neither. Features that the same paths have count once.
    """
    share, small = features.found.mean(axis=0), min(inside.sum(), (~inside).sum())
    kept = np.flatnonzero((share * small >= least) & ((1 - share) * small >= least))
    if kept.size:
        _, first = np.unique(np.packbits(features.found[:, kept], axis=0), axis=1, return_index=True)
        kept = kept[np.sort(first)]
    return Features([features.names[i] for i in kept], [features.kinds[i] for i in kept], features.found[:, kept])
