"""Is there something new among the comments that name no theme of the codebook?

Two signals, each with half of the allowed false alarms:

1. *More comments without a theme* than the months before would lead one to expect: a one-sided prediction interval
   around them. Shares are taken by the arcsine of their root, whose spread between months is measured (t with as many
   degrees of freedom as there are months less one) and taken as no less than that of chance.
2. *Words that were not used before*: for each word and pair of words among the comments without a theme, the exact
   one-sided test of its share of customers now against the reference months (Fisher 1935), given how many used it in
   all; Benjamini and Hochberg over all words that so many used, those that fell among them. Words come and go by
   themselves: how much their frequency varies between the reference months beyond chance is measured, and a count must
   stand out from that too (Poisson log-normal prediction).

Words are ranked by the log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008, Political
Analysis 16, 372, section 3.5).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.voice.stopwords import LANGUAGES
from cxlib.analysis.voice.terms import held
from cxlib.analysis.voice.words import Written, read, stop_words, terms_of
from cxlib.errors import UsageError
from cxlib.measure import intervals, verdicts
from cxlib.measure.rows import Numbers

ALARM, REST, TERM = "new theme alarm", "comments without a theme", "new term"
LEAST_MONTHS, MOST_SAID = 6, 12  # reference months that a spread is measured from; findings that are listed
_TOGETHER = 0.5  # share of customers by which two words are said by the same ones
_METHOD_REST = "prediction interval from the months before, arcsine of the root"
_METHOD_TERM = "Fisher's exact test on customers, ranked by log-odds with informative Dirichlet prior"


@dataclass(frozen=True, eq=False)
class _Said:
    """Who used which term among the comments without a theme: customers of each period, shape (periods, terms)."""

    names: tuple[str, ...]
    used: Numbers
    people: Numbers
    now: Any  # the last period's customers by terms, sparse ones


def novelty(
    texts: Any,
    periods: Any,
    *,
    coded: Any = None,
    customer: Any = None,
    period: str = "",
    min_n: int = 10,
    alpha: float = 0.01,
    language: str | Sequence[str] = LANGUAGES,
    stop: Iterable[str] = (),
    redacted: bool = False,
    ids: Collection[str] = (),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Look for a new theme in a period, against the periods before it.

    Parameters
    ----------
    texts
        What customers wrote in this period and in those before, shape (n,).
    periods
        When each was written: names that sort in time ("2026-10"), shape (n,).
    coded
        Which name a theme already, shape (n,); None: none does, and only words are looked at.
    customer
        Who wrote each, shape (n,); a customer counts once a period. None counts every text as another's.
    period
        The one that is looked at, later ones are left out; default the last. All before it are the reference.
    min_n
        Customers who must use a word now for it to be named.
    alpha
        Share of periods with nothing new that raise the alarm, at most; half of it for each signal.
    language, stop, redacted, ids
        As in `themes`.
    confidence
        Of the intervals of shares.

    Returns
    -------
    pandas.DataFrame
        First the row `new theme alarm` (comparison `test`, `estimate` the number of signals, `verdict` `moved` where
        there is one, `note` in plain words). Then `comments without a theme`: the share now, its interval, `against`
        what was expected, verdict. Then a row `new term` for each finding, the clearest first: `level` the word,
        `estimate` the share of customers without a theme who used it now with its interval, `against` the share
        before, `n` customers now, `p_value`, `p_adjusted`, `note` the words said with it. Signals that cannot be
        told are `too_few`.

    Raises
    ------
    UsageError
        For columns of another length, a period that is not there, an alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha {alpha:g} is not between 0 and 1", hint="Write 1 % as 0.01.")
    intervals.check_confidence(confidence)
    min_n = doors.whole("min_n", min_n, 1, 1_000_000)
    written = read(texts, customer=customer, redacted=redacted, ids=ids)
    when, order = _when(periods, len(written.place), period)
    theme = _flags(coded, len(written.place))
    said = _said(written, when, ~theme, len(order), stop_words(doors.names(language), doors.names(stop)))
    fresh = _fresh(said, alpha / 2, min_n, confidence)
    rest = _rest(written, when, theme, len(order), (alpha / 2, min_n, confidence)) if coded is not None else None
    parts = [part for part in (rest, fresh) if part is not None]
    found = results.concat([_alarm(parts, order[-1], alpha), *parts])
    return results.conform(found.assign(period=order[-1]))


def _when(periods: Any, size: int, period: str) -> tuple[np.ndarray, list[str]]:
    """Return the number of each text's period, -1 for those later than the one looked at, and the periods in order."""
    given = doors.as_series(periods)
    if len(given) != size:
        raise UsageError(f"{len(given):,} periods for {size:,} texts: one each")
    told = given.astype("object").where(given.notna(), "").map(str)
    order = sorted(set(told) - {""})
    last = period or (order[-1] if order else "")
    if last not in order:
        raise UsageError(f"no text of the period '{last}'", hint=f"There are {', '.join(order) or 'none'}.")
    order = order[: order.index(last) + 1]
    return told.map({name: place for place, name in enumerate(order)}).fillna(-1).to_numpy(dtype=np.int64), order


def _flags(coded: Any, size: int) -> np.ndarray:
    """Return which texts name a theme; missing is no."""
    flags = np.zeros(size) if coded is None else doors.numbers("coded", coded)
    if flags.shape != (size,):
        raise UsageError(f"{flags.size:,} entries in coded for {size:,} texts: one each")
    return np.nan_to_num(flags) > 0


def _said(written: Written, when: np.ndarray, open_: np.ndarray, periods: int, stop: frozenset[str]) -> _Said:
    """Count which customers used which term in each period, among the texts without a theme."""
    from scipy.sparse import csr_array

    mine = np.flatnonzero((written.place >= 0) & (when >= 0) & open_)
    found = [{term for term, _ in terms_of(text, stop)} for text in written.distinct]
    names = tuple(sorted(set().union(*(found[place] for place in np.unique(written.place[mine])))))
    table = held(found, {term: place for place, term in enumerate(names)})
    used, people, now = np.zeros((periods, len(names))), np.zeros(periods), table[:0]
    for number in range(periods):
        own = mine[when[mine] == number]
        who, person = np.unique(written.person[own], return_inverse=True)
        rows = csr_array((np.ones(len(own)), (person, written.place[own])), shape=(len(who), len(written.distinct)))
        now = ((rows @ table) > 0).astype(float).tocsc()
        used[number], people[number] = np.asarray(now.sum(axis=0)).ravel(), len(who)
    return _Said(names, used, people, now)


def _fresh(said: _Said, alpha: float, min_n: int, confidence: float) -> pd.DataFrame:
    """Return the words that are new, one row for those said together."""
    shared: dict[str, Any] = {"metric": TERM, "comparison": "share", "method": _METHOD_TERM}
    if len(said.people) < 2 or not said.people[:-1].sum() or not said.people[-1]:
        return results.frame(**shared, status=results.TOO_FEW, note="no comments without a theme now, or before")
    now, before = said.used[-1], said.used[:-1].sum(axis=0)
    n, m = float(said.people[-1]), float(said.people[:-1].sum())
    tested = np.flatnonzero(now + before >= min_n)
    by_chance = exact(now[tested], n, before[tested], m)
    varies = variation(said.used[:-1][:, tested], said.people[:-1])
    months = int(np.count_nonzero(said.people[:-1]))
    p_value = np.maximum(by_chance, predicted(now[tested], n, before[tested], m, varies, months))
    adjusted = verdicts.adjust(p_value)
    hits = np.flatnonzero((adjusted < alpha) & (now[tested] >= min_n))
    z = log_odds(now, before)[tested]
    hits = hits[np.lexsort((tested[hits], -z[hits], np.round(np.log10(np.maximum(p_value[hits], 1e-300)))))]
    groups = _grouped(said.now, tested[hits])[:MOST_SAID]
    if not groups:
        return results.frame(metric=np.array([], dtype=str))
    place = {term: spot for spot, term in enumerate(tested.tolist())}
    lead = np.array([group[0] for group in groups])
    spot = np.array([place[term] for term in lead.tolist()])
    share = now[lead] / n
    low, high = intervals.share_limits(share, np.full(len(lead), n), confidence)
    return results.frame(
        **shared, level=[said.names[term] for term in lead], estimate=share, conf_low=low, conf_high=high,
        std_error=np.sqrt(share * (1 - share) / n), n=n, p_value=p_value[spot], p_adjusted=adjusted[spot],
        against=[f"{_percent(value)} before" for value in before[lead] / m], verdict="moved",
        note=[_with([said.names[term] for term in group[1:]]) for group in groups],
    )  # fmt: skip


def exact(now: Numbers, n: float, before: Numbers, m: float) -> Numbers:
    """Return the one-sided p-values that shares have risen (Fisher; R `fisher.test(alternative = "greater")`).

    Parameters
    ----------
    now, before
        Customers who used each word, shape (words,).
    n, m
        Customers in all.
    """
    return np.asarray(stats.hypergeom.sf(now - 1, n + m, now + before, n))


def predicted(now: Numbers, n: float, before: Numbers, m: float, varies: float, months: int) -> Numbers:
    """Return the probability of so many customers or more, where frequencies vary between months.

    A Poisson log-normal, whose tail is heavier than a negative binomial's: its mean is that of the months before (half
    a customer added), and the squared coefficient of variation of its rate that of a month, of the mean of so many
    months, and of chance in that mean.

    Parameters
    ----------
    now, n, before, m
        As in `exact`.
    varies
        See `variation`.
    months
        Behind `before`.
    """
    if varies == 0:
        return np.zeros(now.shape)
    usual = before + 0.5
    wide = np.log1p(varies * (1 + 1 / months) + 1 / usual)  # variance of the logarithm
    z = np.linspace(-9, 9, 361)
    rates = n * usual / m * np.exp(np.sqrt(wide) * z[:, None] - wide / 2)
    weights = np.exp(-(z**2) / 2)
    above = weights @ special.pdtrc(np.maximum(now - 1, 0), rates) / weights.sum()
    return np.where(now > 0, above, 1.0)


def variation(used: Numbers, people: Numbers) -> float:
    """Return the squared coefficient by which the frequency of words varies between months beyond chance, from 0 on.

    By moments over all words: what Pearson's statistic has beyond chance, over the counts expected (the
    variance of a count is E + v E^2).

    Parameters
    ----------
    used
        Customers who used each word in each month, shape (months, words).
    people
        Customers of each month.
    """
    some = people > 0
    used, people = used[some], people[some]
    if len(people) < 2:
        return 0.0
    share = used.sum(axis=0) / people.sum()
    expected = people[:, None] * share
    chance = (1 - share) * (1 - people / people.sum())[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        beyond = np.where(expected > 0, (used - expected) ** 2 / expected - chance, 0.0)
    return max(float(beyond.sum()) / max(float(expected.sum()), 1e-300) * len(people) / (len(people) - 1), 0.0)


def log_odds(now: Numbers, before: Numbers, *, prior: float = 500.0) -> Numbers:
    """Return z of the log-odds of each word now against before, with an informative Dirichlet prior.

    Monroe, Colaresi and Quinn (2008), equations 16, 20 and 22: the prior is `prior` words, spread as in both together.

    Parameters
    ----------
    now, before
        How often each word was used, shape (words,).
    prior
        Words that the prior is worth.
    """
    both = now + before
    alpha = prior * both / max(both.sum(), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = [np.log((y + alpha) / (y.sum() + alpha.sum() - y - alpha)) for y in (now, before)]
        z = (ratio[0] - ratio[1]) / np.sqrt(1 / (now + alpha) + 1 / (before + alpha))
    return np.where(np.isfinite(z), z, 0.0)


def _grouped(now: Any, terms: np.ndarray) -> list[list[int]]:
    """Return terms by who says them: each with the terms that mostly the same customers use, the clearest first."""
    groups: list[list[int]] = []
    if not len(terms):
        return groups
    said = now[:, terms].T @ now[:, terms]
    both, own = said.toarray(), said.diagonal()
    for place in range(len(terms)):
        for group in groups:
            lead = int(np.flatnonzero(terms == group[0])[0])
            if both[place, lead] >= _TOGETHER * min(own[place], own[lead]):
                group.append(int(terms[place]))
                break
        else:
            groups.append([int(terms[place])])
    return groups


def _rest(
    written: Written, when: np.ndarray, theme: np.ndarray, periods: int, rules: tuple[float, int, float]
) -> pd.DataFrame:
    """Return the share of comments without a theme, and whether it is more than was to be expected."""
    alpha, min_n, confidence = rules
    mine = (written.place >= 0) & (when >= 0)
    n = np.bincount(when[mine], minlength=periods).astype(float)
    x = np.bincount(when[mine & ~theme], minlength=periods).astype(float)
    last = mine & (when == periods - 1)
    people = [len(np.unique(written.person[last & side])) for side in (theme, ~theme)]
    share = x / np.maximum(n, 1)
    low, high = intervals.share_limits(share[-1:], n[-1:], confidence)
    row: dict[str, Any] = {"metric": REST, "comparison": "share", "method": _METHOD_REST}
    if sum(people) < min_n or any(0 < side < min_n for side in people):
        return results.frame(**row, status=results.SUPPRESSED, note="fewer customers than may be shown")
    row |= {"estimate": share[-1], "conf_low": low, "conf_high": high, "n": n[-1]}
    row |= {"std_error": np.sqrt(share[-1] * (1 - share[-1]) / n[-1])}
    if np.count_nonzero(n[:-1]) < LEAST_MONTHS:
        return results.frame(**row, note=f"fewer than {LEAST_MONTHS} periods before: no alarm can be raised from it")
    p_value, expected = rise(x, n)
    verdict = "moved" if p_value < alpha else "not shown"
    return results.frame(**row, p_value=p_value, verdict=verdict, against=f"{_percent(expected)} expected")


def rise(x: Numbers, n: Numbers) -> tuple[float, float]:
    """Return the one-sided p-value that the last share is above those before, and what was expected.

    Parameters
    ----------
    x, n
        Comments without a theme, and all, by period, oldest first; periods without comments do not count.
    """
    some = n > 0
    angle = np.arcsin(np.sqrt((x[some] + 3 / 8) / (n[some] + 3 / 4)))
    before, chance = angle[:-1], 1 / (4 * n[some] + 2)
    k = len(before)
    middle, between = float(before.mean()), float(before.var(ddof=1))
    by_months = (angle[-1] - middle) / np.sqrt(max(between * (1 + 1 / k), 1e-300))
    by_chance = (angle[-1] - middle) / np.sqrt(chance[-1] + float(chance[:-1].sum()) / k**2)
    p_value = max(float(stats.t.sf(by_months, k - 1)), float(special.ndtr(-by_chance)))
    return p_value, float(np.sin(middle) ** 2)


def _alarm(parts: Sequence[pd.DataFrame], period: str, alpha: float) -> pd.DataFrame:
    """Return the alarm in a row, in plain words."""
    told: list[str] = []
    rows = results.concat(parts)
    hit = rows[rows["verdict"] == "moved"]
    for row in hit[hit["metric"] == REST].itertuples():
        told.append(f"{_percent(row.estimate)} of the comments name no theme, {row.against}")
    words = hit.loc[hit["metric"] == TERM, "level"].tolist()
    if words:
        told.append(f"words that were hardly used before: {', '.join(words)}")
    judged = rows["verdict"].ne("").any() or not (rows["status"] == results.TOO_FEW).any()
    quiet = f"nothing new among the comments without a theme in {period}"
    often = f"raised in at most {100 * alpha:g} of 100 periods with nothing new"
    return results.frame(
        metric=ALARM, comparison="test", estimate=float(len(told)), verdict="moved" if told else "not shown",
        status=results.OK if judged else results.TOO_FEW, method=f"two signals, {often}",
        note="; ".join(told) if told else quiet if judged else "too few comments before to tell what is new",
    )  # fmt: skip


def _with(words: list[str]) -> str:
    return f"said with: {', '.join(words[:6])}" if words else ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
