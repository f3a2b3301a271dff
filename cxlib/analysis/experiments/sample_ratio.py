"""Do the arms hold the shares of units that were planned? Where they do not, something else than chance chose.

An effect read from arms that differ in more than their treatment is worth nothing, however small its p-value: this
check comes before any other (Kohavi, Tang and Xu 2020, Trustworthy Online Controlled Experiments, chapters 3 and 21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from cxlib import results
from cxlib.analysis import doors
from cxlib.errors import UsageError
from cxlib.measure.moments import Numbers

METRIC = "sample_ratio_mismatch"
SAMPLE_RATIO_WARNS = 0.01  # a smaller p-value leads the page ...
SAMPLE_RATIO_WITHHOLDS = 0.001  # ... and below this one there is no verdict
_PRIOR = 100.0
_FEWEST = 5  # expected units of an arm; with fewer the chi-square distribution is a rough guide

Counts = Mapping[str, Any] | Sequence[Any] | ArrayLike


def sample_ratio(
    counts: Counts, expected: Counts | None = None, *, sequential: bool = False, prior: float = _PRIOR
) -> pd.DataFrame:
    """Test whether units were assigned to the arms in the shares planned.

    Parameters
    ----------
    counts
        Units assigned to each arm so far: arm -> count, or counts in an order; with `sequential` also arm -> counts at
        every look, or an array of looks x arms, all since the start and the oldest first. Without it the last look
        counts.
    expected
        Share planned for each arm, by the same names or in the same order; only their ratios count. Equal by default.
    sequential
        False: the chi-square test of goodness of fit, for who looks once. True: the sequential multinomial test
        (Lindon and Malek 2022, arXiv:2011.03567), whose p-value is the smallest over the looks given and may be looked
        at after every single unit: of experiments without a fault at most a share p ever show one so small.
    prior
        The concentration of the Dirichlet prior of the sequential test, times the expected shares. With 100 it finds
        the mismatches of some per cent that bugs leave; with 10,000 it looks for smaller ones in larger experiments.

    Returns
    -------
    pandas.DataFrame
        One result row of `comparison = "test"`: `estimate` is chi-square, or the largest log Bayes factor against the
        planned shares (natural log); n the units of the last look. `note` says how the p-value reads: below
        `SAMPLE_RATIO_WARNS` it is a warning, below `SAMPLE_RATIO_WITHHOLDS` no effect should be read. `undefined`
        where no unit was assigned.

    Raises
    ------
    UsageError
        For fewer than two arms, counts that are negative, missing, not whole or shrink from look to look, shares not
        above 0, and arms that differ between the two.
    """
    given, shares = _given(counts, expected)
    if not (np.isfinite(prior) and prior > 0):
        raise UsageError(f"prior {prior} is not above 0", hint="It is 100 unless you have a reason.")
    last = given[-1]
    name = f"sequential multinomial, Dirichlet prior {prior:g}" if sequential else "chi-square goodness of fit"
    if not last.sum():
        note = "no unit has been assigned yet"
        return results.frame(metric=METRIC, comparison="test", method=name, status=results.UNDEFINED, note=note)
    if sequential:
        statistic = float(_log_bayes_factors(given, shares, prior).max())
        p_value = float(np.exp(min(-statistic, 0.0)))
    else:
        planned = shares * last.sum()
        statistic = float(((last - planned) ** 2 / planned).sum())
        p_value = float(stats.chi2.sf(statistic, last.size - 1))
    few = not sequential and bool((shares * last.sum() < _FEWEST).any())
    return results.frame(
        metric=METRIC, comparison="test", estimate=statistic, p_value=p_value, n=last.sum(), n_eff=last.sum(),
        method=name, note=_reading(p_value, last, shares) + (_ROUGH if few else ""),
    )  # fmt: skip


def _log_bayes_factors(looks: Numbers, shares: Numbers, prior: float) -> Numbers:
    """Return the log Bayes factor of each look, Dirichlet alternatives against the planned shares; shape (looks,)."""
    alpha, total = prior * shares, looks.sum(axis=1)
    fitted = special.gammaln(prior) - special.gammaln(prior + total)
    each = special.gammaln(alpha + looks) - special.gammaln(alpha) - looks * np.log(shares)
    return np.asarray(fitted + each.sum(axis=1))


_ROUGH = f"; fewer than {_FEWEST} units are expected in an arm, so the test is rough"


def _reading(p_value: float, last: Numbers, shares: Numbers) -> str:
    """Say what a p-value means for the experiment, and what was found where what was planned."""
    found = ", ".join(f"{100 * share:.2f} %" for share in last / last.sum())
    planned = ", ".join(f"{100 * share:.2f} %" for share in shares)
    split = f"{found} of units where {planned} were planned"
    if p_value < SAMPLE_RATIO_WITHHOLDS:
        return f"the arms are not split as planned ({split}): find the fault before any effect is read"
    if p_value < SAMPLE_RATIO_WARNS:
        return f"the arms may not be split as planned ({split}): a warning, so look for a fault in the assignment"
    return f"no sign that the arms are split otherwise than planned ({split})"


def _given(counts: Counts, expected: Counts | None) -> tuple[Numbers, Numbers]:
    """Return counts as looks x arms and the expected shares, both checked."""
    arms, looks = _by_arm("counts", counts)
    looks = looks.T if isinstance(counts, Mapping) else looks
    looks = np.atleast_2d(looks)
    if looks.ndim > 2 or looks.shape[1] < 2:
        raise UsageError(f"counts of {looks.shape[-1]} arm; a split needs two", hint="Give the control arm, too.")
    if not looks.size or np.any(~(looks >= 0) | (looks != np.floor(looks))):
        raise UsageError("counts of units are whole numbers of 0 or more")
    if np.any(np.diff(looks, axis=0) < 0):
        raise UsageError("counts shrink from one look to the next", hint="Give counts since the start, oldest first.")
    if expected is None:
        return looks, np.full(looks.shape[1], 1 / looks.shape[1])
    names, shares = _by_arm("expected", expected)
    if arms and names:
        if set(arms) != set(names):
            raise UsageError(f"counts are of {sorted(arms)} and expected shares of {sorted(names)}")
        shares = shares[[names.index(arm) for arm in arms]]
    if shares.shape != looks.shape[1:] or not np.all((shares > 0) & np.isfinite(shares)):
        raise UsageError(
            f"{looks.shape[1]} arms need as many expected shares above 0", hint="Write (0.25, 0.25, 0.5), say."
        )
    return looks, shares / shares.sum()


def _by_arm(name: str, given: Any) -> tuple[list[str], Numbers]:
    """Return the names of the arms, if they have any, and the numbers."""
    if isinstance(given, pd.Series):
        given = given.to_dict()
    named = isinstance(given, Mapping)
    return list(given) if named else [], doors.numbers(name, list(given.values()) if named else given)
