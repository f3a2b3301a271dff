"""Rates of themes corrected by an audit, period by period, and how right the codebook was in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis.voice.accuracy import accuracy
from cxlib.analysis.voice.corrected import LEAST, corrected_rate
from cxlib.analysis.voice.rates import CORRECTED, PRECISION, RECALL, SEGMENT

_METRICS = {"precision": PRECISION, "recall": RECALL}


def corrected(
    codes: pd.DataFrame,
    period: pd.Series,
    text: pd.Series,
    predicted: pd.DataFrame,
    true: pd.DataFrame,
    *,
    weight: pd.Series | None = None,
    labelled: int = 0,
    window: Sequence[str] = (),
    confidence: float = 0.95,
    min_n: int = 10,
) -> pd.DataFrame:
    """Return the share of texts that really name each theme, by period, and the audit's precision and recall.

    Parameters
    ----------
    codes, period, window, confidence, min_n
        As in `rates`; texts count as independent.
    text
        The id of each text.
    predicted, true
        What the codebook and what people say of the labelled texts, by their ids, a column a theme.
    weight
        Of each labelled text, as it was drawn; all alike if left out.
    labelled
        How many texts people labelled in all, where some of them are known no more.

    Returns
    -------
    pandas.DataFrame
        Metric `theme_corrected` by period and theme: prediction-powered inference where the audit was drawn from these
        very texts, else Rogan and Gladen's correction, which takes the codebook's errors to be those of the audit: the
        note says how many of its texts are of that time;
        `theme_precision` and `theme_recall` of the last period. Rows of the window have `at`, as in `rates`.
    """
    themes = [name for name in codes.columns if name in true.columns]
    if not themes or not len(true):
        return results.empty()
    codes, ids = codes[themes].reset_index(drop=True), pd.Series(text.to_numpy(dtype=object))
    when = period.astype("str").reset_index(drop=True)
    case = _Labels(predicted[themes], true[themes], weight, min_n)
    spans = [([label], label, "") for label in sorted(when.unique())]
    spans += [(list(window), max(window), f"{len(window)} periods")] if len(window) > 1 else []
    parts = []
    for labels, name, at in spans:
        here = when.isin(labels).to_numpy()
        if here.any():
            found = case.corrected(codes[here], ids[here], confidence)
            parts.append(found.assign(period=name, at=at, note=found["note"] + _lost(labelled - len(true), min_n)))
    last, at = spans[-1][1:]
    right = accuracy(case.predicted, case.true, confidence=confidence, weights=case.weight)
    right = right[right["metric"].isin(_METRICS)]
    right = right.assign(metric=right["metric"].map(_METRICS), period=last, at=at)
    found = results.label(results.concat([*parts, right]), segment=SEGMENT)
    return results.suppress(found, min_n)


def _lost(many: int, min_n: int) -> str:
    """Say how many labelled texts are known no more; fewer than may be shown could tell of somebody."""
    return f"; {many:,} more were labelled and are not among the texts up to this report" if many >= min_n else ""


class _Labels:
    """The labelled texts."""

    def __init__(self, predicted: pd.DataFrame, true: pd.DataFrame, weight: pd.Series | None, min_n: int) -> None:
        self.predicted, self.true, self.min_n = predicted, true, min_n
        self.weight = None if weight is None else weight.to_numpy(dtype=float)

    def corrected(self, codes: pd.DataFrame, ids: pd.Series, confidence: float) -> pd.DataFrame:
        """Return the corrected rates of some texts."""
        read = ids.isin(self.true.index).to_numpy()
        here = self.true.index.isin(ids)
        whole = int(read.sum()) >= LEAST and bool(here.all())
        found = corrected_rate(
            codes[~read] if whole else codes, self.predicted, self.true, confidence=confidence,
            method="ppi" if whole else "rogan-gladen", audit_weights=self.weight,
        )  # fmt: skip
        told = found["note"].where(found["status"] != results.OK, found["note"] + self._elsewhere(here, whole))
        return found.assign(metric=CORRECTED, note=told)

    def _elsewhere(self, here: NDArray[np.bool_], whole: bool) -> str:
        """Say how many labelled texts are of the time that a rate is of, where not all are."""
        if whole:
            return ""
        many, all_ = int(here.sum()), f"{here.size:,} labelled texts"
        few = f"fewer than {self.min_n} of the" if 0 < many < self.min_n else f"{many:,} of the"
        return f"; {few} {all_} are of this time: the codebook is taken to err as it does in all of them"
