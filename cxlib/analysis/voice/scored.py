"""How answers that name a theme score beside those that do not, and groups of answers that add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.voice.rates import SEGMENT, stacked, suppressed
from cxlib.errors import UsageError
from cxlib.measure import changes, decomposition, estimates, intervals, verdicts
from cxlib.measure.joint import Joint
from cxlib.params import Metric

WITH, WITHOUT, IMPACT = "named", "not named", "theme_impact"
SEVERAL, NONE, SILENT, OTHER = "Several themes", "Words, but no theme", "No words", "Other themes"
_DESCRIBES = "what all answers score less what they score without it: describes, not what would be gained"


def scores(
    metric: Metric,
    y: pd.Series,
    codes: pd.DataFrame,
    customer: pd.Series,
    *,
    confidence: float = 0.95,
    alpha: float = 0.05,
    min_n: int = 10,
) -> pd.DataFrame:
    """Compare the answers whose words name a theme with those whose words do not.

    Parameters
    ----------
    metric
        The score: a mean, share or NPS.
    y
        Of each answer with words, in the metric's unit; missing ones do not count.
    codes
        Whether it names each theme, one column a theme; missing where nobody can tell.
    customer
        Who gave it.
    confidence, alpha
        Of intervals and verdicts; the themes are one family (Benjamini and Hochberg).
    min_n
        A theme that fewer customers name, or fewer do not, is hidden, and one that answers of a single score name; one
        that nobody names has no rows.

    Returns
    -------
    pandas.DataFrame
        `segment` theme, `level` the theme. Of the metric: two levels (`at` named, not named) and their difference
        (`against` not named), customers who gave several answers allowed for. Of `theme_impact`, comparison index:
        n_t (T - O) / (N - n_t), the overall score less that without the theme, which describes and is not what would
        be gained if nobody had reason to name it (METHODS, Drivers).
    """
    kept = y.notna().to_numpy()
    codes, y, customer = codes[kept], y[kept], customer[kept]
    if codes.empty:
        return results.empty()
    values, theme, row = stacked(codes)
    told = ~np.isnan(values)
    told &= np.isin(theme, [name for name in codes.columns if (codes[name] == 1).any()])
    if not told.any():
        return results.empty()
    values, theme, row = values[told], theme[told], row[told]
    scale = decomposition.scale_of(metric)
    joint = Joint.of(
        y.to_numpy(dtype=float)[row] / scale, period=theme, level=np.where(values > 0, WITH, WITHOUT),
        clusters=customer.to_numpy(dtype=object)[row],
    )  # fmt: skip
    gone = _gone(joint, min_n)
    sides = estimates.estimate(metric, joint.moments(), confidence)
    sides = sides.assign(level=joint.keys["period"], at=joint.keys["level"])
    apart = changes.levels(metric, joint, [(WITH, WITHOUT)], segment=SEGMENT, confidence=confidence, min_n=min_n)
    apart = apart.assign(level=apart["period"], period="", definition="", against=WITHOUT)
    found = results.concat([sides, _hidden(apart, gone), _impact(joint, scale, confidence)])
    found = found.assign(metric=found["metric"].where(found["metric"] != "", metric.id), segment=SEGMENT)
    return verdicts.judge(_hidden(found, gone), [metric], alpha=alpha, confidence=confidence)


def groups(codes: pd.DataFrame, wrote: pd.Series) -> pd.Series:
    """Return one group per answer, so that the groups add up to all answers.

    Parameters
    ----------
    codes
        Whether each answer names each theme, one column a theme; of answers without words nothing.
    wrote
        Whether it has words.

    Returns
    -------
    pandas.Series
        The theme where it is the only one named, else `Several themes`, `Words, but no theme` or `No words`.

    Raises
    ------
    UsageError
        Where a theme is called like one of these.
    """
    strange = sorted({SEVERAL, NONE, SILENT, OTHER} & set(codes.columns))
    if strange:
        raise UsageError(f"a theme may not be called '{strange[0]}': answers without or with several are")
    known = (codes.to_numpy(dtype=float) == 1) & wrote.to_numpy(dtype=bool)[:, None]
    count = known.sum(axis=1)
    names = np.array([*codes.columns, NONE], dtype=object)
    first = np.where(count > 0, known.argmax(axis=1) if known.shape[1] else 0, known.shape[1])
    label = np.where(count > 1, SEVERAL, names[first])
    return pd.Series(np.where(wrote.to_numpy(dtype=bool), label, SILENT), index=codes.index, dtype="str")


def decomposed(
    metric: Metric,
    y: pd.Series,
    group: pd.Series,
    period: pd.Series,
    customer: pd.Series,
    *,
    now: str,
    before: str,
    confidence: float = 0.95,
    min_n: int = 10,
) -> pd.DataFrame:
    """Split the change of a score by what answers say: mix (who says what) and rate (how those who say it score).

    Parameters
    ----------
    metric, y, customer, confidence, min_n
        As in `scores`, of all answers, with words or without.
    group
        From `groups`.
    period
        Of each answer: `now` or `before`.
    now, before
        The two periods.

    Returns
    -------
    pandas.DataFrame
        The rows of `measure.decomposition.explain` with segment `theme`: they add up to the change exactly. Groups
        whose answers are all alike in a period are put together as `Other themes`: their score would tell every answer.
    """
    kept = y.notna().to_numpy()
    y, group, period, customer = y[kept], group[kept], period[kept], customer[kept]
    joint = Joint.of(
        y.to_numpy(dtype=float) / decomposition.scale_of(metric), period=period.to_numpy(dtype=object),
        level=_mixed(y, group, period).to_numpy(dtype=object), clusters=customer.to_numpy(dtype=object),
    )  # fmt: skip
    return decomposition.explain(metric, joint, before, now, segment=SEGMENT, confidence=confidence, min_n=min_n)


def _mixed(y: pd.Series, group: pd.Series, period: pd.Series) -> pd.Series:
    """Return the groups, those whose answers are all alike in a period together, with others until they are not."""

    def alike(label: pd.Series) -> set[str]:
        spread = y.groupby([label, period]).agg(["min", "max"])
        return set(spread.index.get_level_values(0)[spread["min"] == spread["max"]])

    size = group.value_counts()
    bad = alike(group)
    rest = sorted(set(group) - bad, key=lambda name: (size[name], name))
    label = group.mask(group.isin(bad), OTHER)
    while bad and OTHER in alike(label) and rest:
        bad.add(rest.pop(0))
        label = group.mask(group.isin(bad), OTHER)
    return label


def _gone(joint: Joint, min_n: int) -> frozenset[str]:
    """Return the themes of which one side has too few customers or answers that are all alike."""
    spread = joint.y2 * joint.rows - joint.y**2
    small = (joint.clusters < min_n) | (spread <= 1e-9 * np.maximum(joint.y2 * joint.rows, 1e-12))
    alone = joint.keys.groupby("period")["level"].transform("size") < 2
    return frozenset(joint.keys["period"][small | alone.to_numpy()])


def _hidden(found: pd.DataFrame, gone: frozenset[str]) -> pd.DataFrame:
    """Suppress all rows of some themes: one side tells the other, as the score of all is known."""
    return suppressed(found, found["level"].isin(gone).to_numpy())


def _impact(joint: Joint, scale: float, confidence: float) -> pd.DataFrame:
    """Return the score of all less that of the answers without each theme, by the delta method."""
    parts = []
    for theme in joint.keys["period"].drop_duplicates():
        pair = joint.take((joint.keys["period"] == theme).to_numpy())
        if len(pair.keys) == 2:
            parts.append(_impact_of(str(theme), pair, scale, confidence))
    return results.concat(parts)


def _impact_of(theme: str, pair: Joint, scale: float, confidence: float) -> pd.DataFrame:
    rest = int(np.flatnonzero(pair.keys["level"] == WITHOUT)[0])
    x, whole, own = pair.x.sum(), pair.y.sum() / pair.x.sum(), pair.y[rest] / pair.x[rest]
    only = np.eye(2)[rest]
    dy = 1 / x - only / pair.x[rest]
    dx = -whole / x + only * own / pair.x[rest]
    value: Any = np.atleast_1d(scale * (whole - own))
    error = scale * np.sqrt(np.atleast_1d(pair.variance(dy[None, :], dx[None, :])))
    low, high, p_value = intervals.by_z(value, error, confidence)
    return results.frame(
        metric=IMPACT, level=theme, comparison="index", method="overall less without it, delta method", estimate=value,
        std_error=error, conf_low=low, conf_high=high, p_value=p_value, n=pair.rows.sum(), note=_DESCRIBES,
    )  # fmt: skip
