"""How many name each theme, by period, and how that changed: shares of texts, of customers and of all answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.measure import changes, estimates, verdicts
from cxlib.measure.joint import Joint
from cxlib.params import Metric

SHARE, CUSTOMERS, PER_1000 = "theme_share", "theme_customers", "theme_per_1000_answers"
CORRECTED, PRECISION, RECALL = "theme_corrected", "theme_precision", "theme_recall"  # of an audit
SEGMENT, ANY, NOW, BEFORE = "theme", "any theme", "now", "before"
MATTERS = 0.02  # of a share of texts: from two percentage points on a change is worth knowing of
CODED = "as coded, error not measured"
NOBODY = "nobody names it in either"
_COMMON: dict[str, Any] = {"table": "responses", "higher_is_better": None, "owner": "the codebook"}
METRICS = {
    SHARE: Metric(
        id=SHARE, title="Share of texts that name it", question="Of all texts, how many name the theme?", kind="share",
        unit="percent", numerator="comment != ''", change_that_matters=MATTERS, **_COMMON,
    ),
    CUSTOMERS: Metric(
        id=CUSTOMERS, title="Share of customers who wrote that name it", kind="share", unit="percent",
        question="Of all customers who wrote, how many name the theme?", numerator="comment != ''", **_COMMON,
    ),
    PER_1000: Metric(
        id=PER_1000, title="Answers that name it, of 1,000", kind="rate", unit="count", scale=1000.0,
        question="Of 1,000 answers, with words or without, how many name the theme?", numerator="1", denominator="1",
        **_COMMON,
    ),
}  # fmt: skip


def rates(
    codes: pd.DataFrame,
    period: pd.Series,
    customer: pd.Series,
    *,
    answers: pd.DataFrame | None = None,
    window: Sequence[str] = (),
    confidence: float = 0.95,
    min_n: int = 10,
) -> pd.DataFrame:
    """Return how many name each theme in each period.

    Parameters
    ----------
    codes
        One row a text, one column a theme (its title): 1 where the text names it, 0 where not, missing where nobody
        can tell.
    period, customer
        Of each text, in the order of `codes`; a text without a customer stands for one by itself.
    answers
        `customer_id`, `period`, `rows`: all answers of each customer, with words or without; without them there are
        no rows of 1,000 answers. The texts of customers who are not in it, transcripts say, do not count there.
    window
        Periods that are also counted as one, the last of them its name: rows with `at`, as `3 periods`.
    confidence
        Of the intervals.
    min_n
        A number on fewer customers is hidden: where so few wrote, where so few name the theme (but for none at all)
        or so few do not.

    Returns
    -------
    pandas.DataFrame
        `segment` theme, `level` the theme or `any theme`, one row a period and metric: `theme_share` (of texts; Wilson
        with the effective size that customers who wrote several leave), `theme_customers` (of the customers who wrote)
        and `theme_per_1000_answers` (exact Poisson, cluster-robust where customers recur). Shares of themes do not add
        up: a text may name several.
    """
    doors.frame(codes, "the codes")
    if codes.empty:
        return results.empty()
    who, answers = _numbered(customer, answers)
    codes, period = _with_any(codes), _texts(period)
    people = named(codes, period, who)
    gone = beside(people.hidden(min_n), people.named, window, min_n)
    parts = [hide(_all(codes, period, who, answers, confidence), gone)]
    inside = period.isin(window).to_numpy()
    if len(window) > 1 and inside.any():
        codes, who, last = codes[inside].reset_index(drop=True), who[inside].reset_index(drop=True), max(window)
        pooled = pd.Series([last] * len(codes))
        if answers is not None:
            answers = answers[answers["period"].isin(window)].assign(period=last)
        found = hide(_all(codes, pooled, who, answers, confidence), named(codes, pooled, who).hidden(min_n))
        parts.append(found.assign(at=f"{len(window)} periods"))
    return results.concat(parts)


def moved(
    codes: pd.DataFrame,
    period: pd.Series,
    customer: pd.Series,
    *,
    now: Sequence[str],
    before: Sequence[str],
    confidence: float = 0.95,
    alpha: float = 0.05,
    min_n: int = 10,
) -> pd.DataFrame:
    """Return the change of each theme's share of texts between two periods, all themes judged as one family.

    Parameters
    ----------
    codes, period, customer, confidence, min_n
        As in `rates`.
    now, before
        The periods on either side, of which the last names the row.
    alpha
        Of the verdicts (Benjamini and Hochberg).

    Returns
    -------
    pandas.DataFrame
        `theme_share`, `comparison` difference, `against` the earlier period; customers who wrote in both are allowed
        for. `n` counts the texts of both.
    """
    doors.frame(codes, "the codes")
    where = _texts(period).isin([*now, *before]).to_numpy()
    if not codes[where].size:
        return results.empty()
    codes = codes[where].astype("float64").reset_index(drop=True)
    late = _texts(period[where]).isin(now)
    who = _numbered(customer[where], None)[0]
    y, theme, kept = stacked(codes)
    side = late.map({True: NOW, False: BEFORE})
    joint = Joint.of(y, period=theme, level=side.to_numpy()[kept], clusters=who.to_numpy()[kept])
    found = changes.levels(
        METRICS[SHARE], joint, [(NOW, BEFORE)], segment=SEGMENT, confidence=confidence, alpha=alpha, min_n=min_n
    )
    found = found.assign(level=found["period"], period=max(now), against=max(before), definition="")
    people = named(codes, side, who)
    hidden = people.hidden(min_n).any()
    nobody = found["level"].isin(people.named.columns[(people.named == 0).all()])
    found = found.assign(
        at=f"{len(now)} periods" if len(now) > 1 else "", status=found["status"].mask(nobody, results.UNDEFINED),
        note=found["note"].mask(nobody, NOBODY),
    )  # fmt: skip
    return judged(hide(found, pd.DataFrame([hidden], index=[max(now)])), alpha=alpha, confidence=confidence)


def judged(found: pd.DataFrame, *, alpha: float = 0.05, confidence: float = 0.95) -> pd.DataFrame:
    """Return differences with verdicts anew, of those that are shown: hidden ones have no part in the family."""
    shown = found["status"] == results.OK
    told = verdicts.judge(
        results.conform(found.assign(verdict=found["verdict"].where(shown, ""))), METRICS.values(), alpha=alpha,
        confidence=confidence,
    )  # fmt: skip
    return results.conform(told)


class People(NamedTuple):
    """Customers by period and theme: how many name it, how many wrote without, and how many wrote what can be coded."""

    named: pd.DataFrame
    silent: pd.DataFrame
    wrote: pd.DataFrame

    def hidden(self, min_n: int) -> pd.DataFrame:
        """Return whether a number would tell of fewer customers than may be shown; that nobody names it may be."""
        small = (self.named > 0) & ((self.named < min_n) | (self.silent < min_n))
        return small | (self.wrote < min_n)


def named(codes: pd.DataFrame, period: pd.Series, who: pd.Series) -> People:
    """Count the customers of each period and theme."""
    each = codes.groupby([period.to_numpy(), who.to_numpy()], sort=True)
    most, least = each.max(), each.min()
    return People(*((side.groupby(level=0).sum()) for side in (most == 1, least == 0, most.notna())))


def beside(gone: pd.DataFrame, people: pd.DataFrame, window: Sequence[str], min_n: int) -> pd.DataFrame:
    """Hide a second period of a window that is shown as a whole, where only one is hidden: it is the whole's rest."""
    out, within = gone.copy(), [label for label in gone.index if label in window]
    for theme in gone.columns if len(within) > 1 else ():
        count = people.loc[within, theme].astype(float)
        also = [label for label in within if gone.loc[label, theme]]
        out.loc[hiding.levels(count.to_dict(), min_n, also=also, apart=False), theme] = True
    return out


def hide(found: pd.DataFrame, gone: pd.DataFrame) -> pd.DataFrame:
    """Suppress the rows of a period and theme that `gone` names."""
    hidden = {(period, theme) for theme in gone.columns for period in gone.index[gone[theme]]}
    here = [cell in hidden for cell in zip(found["period"], found["level"], strict=True)]
    return suppressed(found, np.array(here, dtype=bool))


def suppressed(found: pd.DataFrame, small: NDArray[np.bool_]) -> pd.DataFrame:
    """Suppress the rows where `small` says so, of those that have a number."""
    small = small & (found["status"] == results.OK).to_numpy()
    status, note = found["status"].mask(small, results.SUPPRESSED), found["note"].mask(small, hiding.NOTE)
    return results.conform(found.assign(status=status, note=note))


def hidden_with(found: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """Suppress the rows of a period and theme whose share of texts is hidden."""
    names = ["period", "level", "at"]
    gone = told[(told["metric"] == SHARE) & (told["status"] == results.SUPPRESSED)]
    small = pd.MultiIndex.from_frame(found[names]).isin(pd.MultiIndex.from_frame(gone[names]))
    return suppressed(found, small & (found["metric"] == CORRECTED).to_numpy())


def stacked(codes: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[np.intp]]:
    """Return all columns one after the other: the values, the name of each, and the row it came from."""
    rows, themes = codes.shape
    names = np.repeat(np.array(codes.columns, dtype=object), rows)
    return codes.to_numpy(dtype=float).ravel(order="F"), names, np.tile(np.arange(rows), themes)


def _numbered(customer: pd.Series, answers: pd.DataFrame | None) -> tuple[pd.Series, pd.DataFrame | None]:
    """Return customers as numbers, the same of texts and of answers; a text without one has a number of its own."""
    told = [customer] if answers is None else [customer, answers["customer_id"]]
    codes, known = pd.factorize(pd.concat(told, ignore_index=True))
    alone = codes < 0
    codes = np.where(alone, len(known) + np.cumsum(alone) - 1, codes)
    own, rest = pd.Series(codes[: len(customer)]), codes[len(customer) :]
    return own, None if answers is None else answers.assign(customer_id=rest)


def _with_any(codes: pd.DataFrame) -> pd.DataFrame:
    plain = codes.astype("float64").reset_index(drop=True)
    plain.insert(0, ANY, plain.max(axis=1))
    return plain


def _texts(labels: pd.Series) -> pd.Series:
    return labels.astype("str").reset_index(drop=True)


def _all(
    codes: pd.DataFrame, period: pd.Series, who: pd.Series, answers: pd.DataFrame | None, confidence: float
) -> pd.DataFrame:
    """Return the three numbers of each period and theme."""
    each = codes.groupby([period, who], sort=True).max()  # missing only where all of a customer's texts are
    when, people = (each.index.get_level_values(place) for place in (0, 1))
    parts = [
        _of(METRICS[SHARE], codes, period, who, confidence),
        _of(METRICS[CUSTOMERS], each, when, people, confidence),
    ]
    if answers is not None and len(answers):
        parts.append(_per_answers(codes, period, who, answers, confidence))
    return results.concat(parts)


def _of(metric: Metric, codes: pd.DataFrame, period: Any, who: Any, confidence: float) -> pd.DataFrame:
    """Return a share by period and theme."""
    y, theme, kept = stacked(codes)
    joint = Joint.of(y, period=np.asarray(period)[kept], level=theme, clusters=np.asarray(who)[kept])
    return _told(metric, joint, confidence)


def _told(metric: Metric, joint: Joint, confidence: float) -> pd.DataFrame:
    found = estimates.estimate(metric, joint.moments(), confidence)
    return results.label(
        found, metric=metric.id, segment=SEGMENT, period=joint.keys["period"].tolist(),
        level=joint.keys["level"].tolist(),
    )  # fmt: skip


def _per_answers(
    codes: pd.DataFrame, period: pd.Series, who: pd.Series, answers: pd.DataFrame, confidence: float
) -> pd.DataFrame:
    """Return how many of 1,000 answers name each theme; `answers` names customers by the numbers in `who`."""
    said = codes.groupby([period, who]).sum()
    every = answers.groupby(["period", "customer_id"])["rows"].sum()
    both = said.reindex(every.index).fillna(0)
    y, theme, kept = stacked(both)
    when, people = (np.asarray(both.index.get_level_values(place)) for place in (0, 1))
    joint = Joint.of(y, every.to_numpy()[kept], period=when[kept], level=theme, clusters=people[kept])
    return _told(METRICS[PER_1000], joint, confidence)
