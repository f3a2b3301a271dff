"""An audit of the codebook: which comments people should label, and the labels that come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.errors import UsageError, did_you_mean

NONE = "none of the themes"
RATER = "rater"
_YES = frozenset(("1", "1.0", "true", "yes", "y", "x", "sim", "s", "sí", "si"))
_NO = frozenset(("0", "0.0", "false", "no", "n", "não", "nao"))


def audit_sample(texts: Any, coded: pd.DataFrame, *, n: int, rng: np.random.Generator | None = None) -> pd.DataFrame:
    """Choose the comments that a person should label, so that rare themes are seen too.

    Half of them name a theme, as many of each as there are (a comment of several counts for the rarest); the other half
    name none, for what the codebook misses is there. Each is drawn by chance alone, and its weight says how many it
    stands for: `corrected_rate(..., audit_weights=...)` and `accuracy(..., weights=...)` need it.

    Parameters
    ----------
    texts
        What customers wrote, shape (m,), personal data taken out.
    coded
        What `code` says of them, shape (m, themes).
    n
        How many to choose; all of them where there are no more.
    rng
        What draws; `numpy.random.default_rng(1)` by default.

    Returns
    -------
    pandas.DataFrame
        One row per comment in the order drawn, under the index of `coded`: `text`, `stratum` (the theme it was drawn
        for) and `weight`. Give a person the texts alone: who knows what was found does not judge freely.
    """
    rng, given = doors.generator(rng), pd.Series(texts).reset_index(drop=True)
    if len(given) != len(coded):
        raise UsageError(f"{len(given)} texts for {len(coded)} rows of codes: they are of the same comments")
    doors.whole("n", n, 1, 10_000_000)
    named = coded.fillna(False).to_numpy(dtype=bool)
    written = coded.notna().to_numpy().any(axis=1)
    rarest = np.argsort(named.sum(axis=0), kind="stable")
    stratum = np.where(named.any(axis=1), rarest[np.argmax(named[:, rarest], axis=1)] if named.size else 0, -1)
    drawn, weight = [], []
    sizes = {int(one): int((written & (stratum == one)).sum()) for one in np.unique(stratum[written])}
    for one, wanted in _allocated(sizes, n).items():
        members = np.flatnonzero(written & (stratum == one))
        drawn.append(rng.choice(members, wanted, replace=False))
        weight.append(np.full(wanted, sizes[one] / max(wanted, 1)))
    order = rng.permutation(sum(map(len, drawn)))
    places = np.concatenate([*drawn, np.empty(0, dtype=np.int64)])[order].astype(np.int64)
    names = [*map(str, coded.columns), NONE]
    columns = {
        "text": given.iloc[places].to_numpy(dtype=object),
        "stratum": [names[one] for one in stratum[places]],
        "weight": np.concatenate([*weight, np.empty(0)])[order],
    }
    return pd.DataFrame(columns, index=coded.index[places])


def _allocated(sizes: Mapping[int, int], n: int) -> dict[int, int]:
    """Return how many to draw of each stratum: half without theme, the rest alike among themes, no more than are."""
    taken = dict.fromkeys(sizes, 0)
    without = min(sizes.get(-1, 0), max(n - n // 2, n - sum(size for one, size in sizes.items() if one >= 0)))
    left = min(n, sum(sizes.values())) - without
    if without:
        taken[-1] = without
    while left > 0:
        open_ = [one for one in sorted(sizes) if one >= 0 and taken[one] < sizes[one]]
        for place, one in enumerate(open_):
            share = -(-left // (len(open_) - place))
            step = min(share, sizes[one] - taken[one])
            taken[one], left = taken[one] + step, left - step
    return {one: many for one, many in taken.items() if many}


def labels(frame: pd.DataFrame, themes: Iterable[str], *, key: str = "response_id") -> dict[str, pd.DataFrame]:
    """Check the labels that came back, and return them by rater.

    Parameters
    ----------
    frame
        One row per comment and rater: the column `key`, perhaps `rater`, and a column per theme that was judged: yes or
        no, 1 or 0, true or false, x; blank where it was not judged. Columns `text`, `stratum` and `weight` may stay.
    themes
        The ids of the codebook's themes.
    key
        What tells comments apart.

    Returns
    -------
    dict of str to pandas.DataFrame
        Rater ("" where the frame names none) -> a nullable boolean column per theme judged, under the key.

    Raises
    ------
    UsageError
        With everything that is wrong at once: unknown themes, unreadable labels, rows without key, comments that one
        rater labelled twice.
    """
    known, judged = list(themes), []
    doors.require(doors.frame(frame, "the labels").columns, [key], "the labels")
    faults = []
    for column in map(str, frame.columns):
        if column in known:
            judged.append(column)
        elif column not in (key, RATER, "text", "stratum", "weight"):
            faults.append(f"'{column}' is none of the themes{did_you_mean(column, known)}")
    table, wrong = _judged(frame, judged)
    faults += wrong
    rater = frame[RATER].fillna("").astype(str).str.strip() if RATER in frame else pd.Series("", index=frame.index)
    who = pd.DataFrame({key: frame[key].to_numpy(), RATER: rater.to_numpy()})
    for count, what in ((int(who[key].isna().sum()), f"rows without {key}"), (int(who.duplicated().sum()), "repeats")):
        faults += [f"{count} {what}: one row per comment and rater"] if count else []
    if not judged:
        faults.append(f"no column is one of the themes {', '.join(known)}")
    if faults:
        raise UsageError(f"the labels cannot be read: {'; '.join(faults)}", hint="Write yes or no, or leave it blank.")
    return {
        str(one): table[(who[RATER] == one).to_numpy()].set_axis(pd.Index(rows[key], name=key))
        for one, rows in who.groupby(RATER, sort=True)
    }


def _judged(frame: pd.DataFrame, themes: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """Return what was judged as yes and no, and what cannot be read."""
    found, faults = {}, []
    for theme in themes:
        words = (
            frame[theme].astype("object").where(frame[theme].notna(), "").map(lambda value: str(value).strip().lower())
        )
        said = words.map(lambda word: True if word in _YES else False if word in _NO else None)
        strange = words[said.isna() & (words != "")]
        if len(strange):
            faults.append(f"'{theme}' holds '{strange.iloc[0]}' in {len(strange)} of {len(words)} rows")
        found[theme] = said.astype("boolean").reset_index(drop=True)
    return pd.DataFrame(found), faults


def settled(by_rater: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one label per comment and theme: what most raters say, missing where they are even.

    Ties are for people to settle; how often they come, `agreement` tells.
    """
    stacked = pd.concat([frame.astype("Float64") for frame in by_rater.values()])
    share = stacked.groupby(level=0, sort=True).mean()
    return (share > 0.5).mask(share == 0.5).astype("boolean")
