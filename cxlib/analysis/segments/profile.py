"""How large segments are and what sets each apart, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.errors import UsageError
from cxlib.measure import differences, formulas
from cxlib.measure.intervals import check_confidence
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Numbers

CLEARLY, FAR = 0.3, 0.8  # standard deviations from the rest: named, and named strongly
NAMED = 3  # features in the words of a segment
REST = "the rest"
UNREMARKABLE = "like the rest"
_DESCRIBES = "describes the segments: what made them differs by construction, so no p-value"


def sizes(labels: pd.Series, *, segment: str = "segment", confidence: float = 0.95, min_n: int = 1) -> pd.DataFrame:
    """Return the share of customers in each segment.

    Parameters
    ----------
    labels
        The segment of each customer, one row a customer; missing ones belong to none and are not counted.
    segment
        Name of the dimension, for the rows.
    confidence
        Of the Wilson intervals.
    min_n
        Segments of fewer customers are suppressed, with enough others that they cannot be worked out.

    Returns
    -------
    pandas.DataFrame
        Result rows, metric `segment_share`, `comparison = "share"`, the largest first; n counts all customers with a
        label.
    """
    names, _, note = _labelled(labels)
    count = names.value_counts()
    count = count.to_frame("n").reset_index(names="level").sort_values(["n", "level"], ascending=[False, True])
    if count.empty:
        return results.frame(
            metric="segment_share", segment=segment, comparison="share", status=results.UNDEFINED,
            note="no customer has a segment",
        )  # fmt: skip
    inside = count["n"].to_numpy(dtype=float)
    found = formulas.share(inside, np.full(len(count), inside.sum()), confidence=confidence)
    notes = [one or note for one in found["note"]]
    found = found.assign(
        metric="segment_share", segment=segment, level=count["level"].to_numpy(), comparison="share", note=notes
    )
    return hiding.hide(results.conform(found), dict(zip(count["level"], inside, strict=True)), min_n)


def profile(
    features: pd.DataFrame,
    labels: pd.Series,
    *,
    words: Mapping[str, tuple[str, str]] | None = None,
    segment: str = "segment",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Say how large segments are, what their means are, and how far each lies from the rest.

    Parameters
    ----------
    features
        One row a customer, indexed by customer; one numeric column a feature; missing values are left out of that
        feature's mean.
    labels
        The segment of each customer, by the same index; customers without one are left out.
    words
        Feature -> what to say where it is low and where it is high: `{"orders": ("buys seldom", "buys often")}`;
        default "low orders", "high orders".
    segment
        Name of the dimension, for the rows.
    confidence
        Of the intervals.
    min_n
        Segments of fewer customers are suppressed, with enough others that they cannot be worked out.

    Returns
    -------
    pandas.DataFrame
        Result rows, `level` the segment. Metric `segment_share`: its size, in whose `note` stand the words that set it
        apart. A feature's name as metric: `comparison = "level"` is its mean (t interval), `difference` against `the
        rest` how far it lies from all other customers in their common standard deviation (Cohen 1988; the interval is
        Welch's in the same unit). No p-values: segments made of features differ in them by construction.

    Raises
    ------
    UsageError
        For customers of the labels who are not among the features or are there twice, and for features that are no
        numbers.
    """
    check_confidence(confidence)
    names, kept, _ = _labelled(labels)
    place = features.index.get_indexer(kept) if features.index.is_unique else np.full(len(kept), -1)
    if (place < 0).any():
        raise UsageError(
            f"{int((place < 0).sum())} labelled customers are not among the features, or some are there twice",
            hint="Give one row a customer, with the same index as the labels.",
        )
    values = {
        name: numbers[place]
        for name, numbers in doors.numbers_of(features, features.columns, infinite_missing=True).items()
    }
    size = sizes(labels, segment=segment, confidence=confidence, min_n=min_n)
    codes, levels = pd.factorize(names, sort=True)
    rows = results.label(_apart(values, codes, list(levels), confidence), segment=segment)
    inside = np.bincount(codes, minlength=len(levels)).astype(float)
    rows = hiding.hide(rows, dict(zip(levels, inside.tolist(), strict=True)), min_n)
    told = described(rows, words)
    ok = size["status"] == results.OK
    size = size.assign(note=[told.get(level, "") if good else note for level, good, note in
                             zip(size["level"], ok, size["note"], strict=True)])  # fmt: skip
    return results.concat([size, rows])


def described(rows: pd.DataFrame, words: Mapping[str, tuple[str, str]] | None = None) -> dict[str, str]:
    """Return the words of each segment from its rows of `profile`: at most three features, the farthest first.

    A feature is named where the whole interval lies on one side of 0 and the estimate at least 0.3 standard deviations
    from the rest; from 0.8 on it is `much` so where no words are given.
    """
    apart = rows[(rows["comparison"] == "difference") & (rows["status"] == results.OK)]
    found = {}
    apart = apart.assign(size=apart["estimate"].abs())
    for level, mine in apart.groupby("level", sort=True):
        shown = (mine["conf_low"] > 0) | (mine["conf_high"] < 0)
        far = mine[shown & (mine["size"] >= CLEARLY)].sort_values(["size", "metric"], ascending=[False, True])
        far = far.head(NAMED)
        told = [_word(name, value, words or {}) for name, value in zip(far["metric"], far["estimate"], strict=True)]
        found[str(level)] = ", ".join(told) or UNREMARKABLE
    return found


def _word(name: str, value: float, words: Mapping[str, tuple[str, str]]) -> str:
    """Return what to say of a feature that is so far from the rest."""
    if name in words:
        return words[name][int(value > 0)]
    strong = "very " if abs(value) >= FAR else ""
    return f"{strong}{'high' if value > 0 else 'low'} {name.replace('_', ' ')}"


def _labelled(labels: pd.Series) -> tuple[pd.Series, pd.Index, str]:
    """Return the labels that there are, as text, their customers, and a note on those who have none."""
    if labels.index.has_duplicates:
        twice = int(labels.index.duplicated().sum())
        raise UsageError(f"{twice} labels are of a customer that has one already", hint="Give one row a customer.")
    known = labels.notna()
    lost = int((~known).sum())
    note = f"{lost} customers without a segment are left out" if lost else ""
    return labels[known].astype(str), labels.index[known], note


def _apart(
    values: Mapping[str, Numbers], codes: NDArray[np.int64], levels: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Return the rows of all features: of each the segments' means, and how far each lies from the rest."""
    mine, others, spread = [], [], []
    for numbers in values.values():
        known = ~np.isnan(numbers)
        spread += [float(numbers[known].std(ddof=1)) if known.sum() > 1 else np.nan] * len(levels)
        for code in range(len(levels)):
            mine.append(Moments.of(numbers[known & (codes == code)]))
            others.append(Moments.of(numbers[known & (codes != code)]))
    if not mine:
        return results.empty()
    words = {"metric": np.repeat(list(values), len(levels)), "level": np.tile(levels, len(values))}
    here = Moments.stacked(mine)
    means = formulas.mean(here, confidence=confidence).assign(**words)
    apart = differences.mean_difference(Moments.stacked(others), here, confidence=confidence)
    apart = _standardised(apart, np.array(spread)).assign(**words, against=REST)
    pairs = np.arange(2 * len(mine)).reshape(2, -1).T.ravel()  # a mean, and next to it how far it lies from the rest
    return results.conform(results.concat([means, apart]).iloc[pairs].reset_index(drop=True))


def _standardised(found: pd.DataFrame, spread: Numbers) -> pd.DataFrame:
    """Return differences in standard deviations, without p-values."""
    varied = spread > 0
    unit = np.where(varied, spread, 1.0)
    numbers = {name: found[name] / unit for name in ("estimate", "std_error", "conf_low", "conf_high")}
    told = found["note"].where(found["status"] != results.OK, _DESCRIBES)
    return found.assign(
        **numbers,
        p_value=np.nan,
        status=found["status"].where(varied, results.UNDEFINED),
        note=told.where(varied, "all customers are alike, or there is one only"),
        method=found["method"].where(~varied, "difference in standard deviations (Welch)"),
    )
