"""How likely people are to answer, by what is known of all who were invited, and how far that varies.

The arithmetic of `response.r_indicator`, on cells of invitations.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import sparse

from cxlib import results
from cxlib.measure.intervals import z_of
from cxlib.measure.moments import Numbers
from cxlib.measure.raking import OTHER, small_levels

# Counts of a cell, and sums over its customers of products of a customer's answers (y) and invitations (x).
COUNTS = ("invited", "answered", "customers", "yy", "xy", "xx")
_EVEN = "even: no spread is left once chance is taken off"
_HELPED = "all or none of a level answered: one invitation was added, spread over all cells"


def cells(frame: pd.DataFrame, columns: Sequence[str], clusters: str = "") -> pd.DataFrame:
    """Count invitations, answers and customers per combination of levels, with the customers' products.

    Parameters
    ----------
    frame
        With `answered` and `invited`; cells may bring `customers`, `yy`, `xy`, `xx` besides. Without these, and without
        `clusters`, each invitation is a customer of its own.
    columns
        The levels; missing ones are the level `unknown`.
    clusters
        Column of the customer.

    Returns
    -------
    pandas.DataFrame
        `columns`, as text, and `COUNTS`; sorted. A customer with rows in several cells counts in each.
    """
    names = list(columns)
    own = frame[names].astype("str").where(frame[names].notna(), "unknown")
    own = own.assign(_all="all", answered=frame["answered"].astype(float), invited=frame["invited"].astype(float))
    if set(COUNTS) <= set(frame.columns):
        own = own.assign(**{name: frame[name].astype(float) for name in COUNTS[2:]})
    elif clusters:
        own = own.assign(_whose=frame[clusters])
        own = own.groupby([*names, "_all", "_whose"], as_index=False, sort=True)[["answered", "invited"]].sum()
        y, x = own["answered"], own["invited"]
        own = own.assign(customers=1.0, yy=y * y, xy=y * x, xx=x * x)
    else:
        y, x = own["answered"], own["invited"]
        own = own.assign(customers=x, yy=y, xy=y, xx=x)
    return own.groupby([*names, "_all"], as_index=False, sort=True)[list(COUNTS)].sum().drop(columns="_all")


def joined(cells: pd.DataFrame, columns: Sequence[str], min_n: int) -> tuple[pd.DataFrame, list[str], str]:
    """Join levels with fewer than `min_n` customers, column by column.

    Returns
    -------
    cells, columns, told
        The cells anew, the columns that still have two levels, and what was joined or left out, in words.
    """
    own, used, told = cells, [], []
    for name in columns:
        people = own.groupby(name, sort=True)["customers"].sum()
        small = small_levels(people, people, min_n)
        if len(people) - len(small) + bool(small) < 2:
            told.append(f"left out: {name}, with one level of {min_n} or more customers")
            continue
        told += [f"joined in {name}: {', '.join(small)}"] if len(small) > 1 else []
        own = own.assign(**{name: own[name].where(~own[name].isin(small), OTHER)})
        used.append(name)
    return own.groupby(used, as_index=False, sort=True)[list(COUNTS)].sum() if used else own, used, "; ".join(told)


def spreads(cells: pd.DataFrame, columns: Sequence[str], confidence: float) -> pd.DataFrame:
    """Return the R-indicator and the partial ones of each column, as result rows.

    The propensities are p = expit(X b), their errors Z d with d ~ N(0, V), Z the gradient and V robust to customers.
    Each figure is a weighted sum of squares T of centred propensities D p. Of T the expected excess tr(D Z V Z' D) is
    taken off; its variance is that of a quadratic form in normal errors, 4 a' V a + 2 tr(B V B V).
    """
    design = np.hstack([np.ones((len(cells), 1)), *(_dummies(cells[name])[:, 1:] for name in columns)])
    invited, answered = (cells[name].to_numpy(dtype=float) for name in ("invited", "answered"))
    chance, note = _fitted(design, invited, answered, extreme=_extreme(cells, columns))
    slope = (chance * (1 - chance))[:, None] * design
    errors = _covariance(cells, design, chance)
    share = invited / invited.sum()
    both = np.column_stack([chance, slope])  # centred together: the gradient of what is centred is the centred gradient
    none = np.zeros(len(cells), dtype=int)
    figures = [("all", "R-indicator", both - _mean(both, none, share))]
    for name in columns:
        own = cells.groupby(name, sort=True).ngroup().to_numpy()
        others = [column for column in columns if column != name]
        rest = cells.groupby(others, sort=True).ngroup().to_numpy() if others else none
        figures.append((name, "partial", _mean(both, own, share) - _mean(both, none, share)))
        figures.append((name, "conditional partial", both - _mean(both, rest, share)))
    rows = [
        _spread(centred, errors, share, confidence, whole=name == "all").assign(at=at, segment=name)
        for name, at, centred in figures
    ]
    found = results.concat(rows)
    notes = ["; ".join(filter(None, [own, note])) for own in found["note"]]
    return results.label(found, comparison="index", method="logistic regression, bias-adjusted", note=notes)


def _extreme(cells: pd.DataFrame, columns: Sequence[str]) -> bool:
    """Say whether all or none of any level answered."""
    sums = (cells.groupby(name)[["invited", "answered"]].sum() for name in columns)
    return any(bool(((one["answered"] == 0) | (one["answered"] == one["invited"])).any()) for one in sums)


def _dummies(levels: pd.Series) -> Numbers:
    code = pd.factorize(levels, sort=True)[0]
    return (np.arange(code.max() + 1) == code[:, None]).astype(float)


def _fitted(design: Numbers, invited: Numbers, answered: Numbers, *, extreme: bool) -> tuple[Numbers, str]:
    """Return the propensity of each cell, shape (cells,), and a note where the data had to be helped.

    Where all or none of a level answered (`extreme`) the likelihood has no maximum. One more invitation, spread over
    all cells as the invitations are and answered as the whole is, gives it one and moves the rest by next to nothing.
    """
    counts = np.column_stack([answered, invited - answered])
    more = np.outer(invited / invited.sum(), counts.sum(axis=0) / counts.sum())
    chance, fine = (np.empty(0), False) if extreme else _logistic(counts, design)
    if fine:
        return chance, ""
    return _logistic(counts + more, design)[0], _HELPED


def _logistic(counts: Numbers, design: Numbers) -> tuple[Numbers, bool]:
    """Return fitted propensities, and whether they are within reach of the data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cells predicted exactly: the second answer says so
        fit = sm.GLM(counts, design, family=sm.families.Binomial()).fit(tol=1e-12, maxiter=200)
    chance = np.asarray(fit.mu, dtype=float)
    return chance, bool(fit.converged and np.all((chance > 1e-9) & (chance < 1 - 1e-9)))


def _covariance(cells: pd.DataFrame, design: Numbers, chance: Numbers) -> Numbers:
    """Return the covariance of the coefficients, robust to customers: shape (k, k)."""
    invited, people = (cells[name].to_numpy(dtype=float) for name in ("invited", "customers"))
    yy, xy, xx = (cells[name].to_numpy(dtype=float) for name in ("yy", "xy", "xx"))
    bread = np.linalg.pinv(design.T @ (design * (invited * chance * (1 - chance))[:, None]), hermitian=True)
    meat = design.T @ (design * (yy - 2 * chance * xy + chance**2 * xx)[:, None])
    count = people.sum()
    return bread @ meat @ bread * (count / (count - 1))


def _mean(values: Numbers, groups: Numbers, share: Numbers) -> Numbers:
    """Return the mean of its group for each cell, groups numbered from 0; shape of `values`, (cells, k)."""
    adder = sparse.csr_matrix((share, (groups, np.arange(len(groups)))))
    return ((adder @ values) / (adder @ np.ones((len(groups), 1))))[groups]


def _spread(centred: Numbers, errors: Numbers, share: Numbers, confidence: float, *, whole: bool) -> pd.DataFrame:
    """Return one figure from centred propensities and, beside them, their centred gradients, shape (cells, 1 + k)."""
    chance, slope = centred[:, 0], centred[:, 1:]
    across = slope.T @ (slope * share[:, None]) @ errors
    along = slope.T @ (share * chance)
    excess = float(np.trace(across))
    square = float(share @ chance**2) - excess
    error = float(np.sqrt(4 * along @ errors @ along + 2 * np.trace(across @ across)))
    half = float(z_of(confidence)) * error
    middle, low, high = (float(np.sqrt(max(one, 0.0))) for one in (square, square - half, square + half))
    note = "" if square > 0 else _EVEN
    if whole:
        middle, low, high = 1 - 2 * middle, max(1 - 2 * high, 0.0), 1 - 2 * low
    width = (high - low) / (2 * float(z_of(confidence)))
    return results.frame(estimate=middle, std_error=width, conf_low=low, conf_high=high, note=note)
