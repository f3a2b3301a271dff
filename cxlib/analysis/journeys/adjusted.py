"""What goes with having met something rare, all else that is known being equal: least squares that few do not fool.

Errors are clustered by customer. What only few customers met is decided by them alone: the sandwich is then too small
and its t too sure. So each customer's part is blown up by what the fit hides of it, 1 / (1 - leverage) as the jackknife
does (Bell and McCaffrey 2002, Survey Methodology 28:169, CR3), and t has the degrees of freedom of the customers that
count, (sum of leverages)^2 / sum of squared leverages - 1 (after Carter, Schnepel and Steigerwald 2017, Rev. Econ.
Stat. 99:698).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib.analysis.doors import Mask
from cxlib.analysis.effects.clusters import numbers_of
from cxlib.measure.rows import Codes, Numbers

_LARGE = 2**40
_ALIKE = 1e-7  # of a column's length: what is left of one that others make up


@dataclass(frozen=True, eq=False)
class Fit:
    """Effects of several things on one outcome.

    Parameters
    ----------
    names
        Of the things, in order.
    value, freedom
        Shape (k,).
    influence
        Of each customer on each effect, shape (G, k): its cross product is the covariance.
    touched
        Customers who met each thing, shape (k,).
    """

    names: tuple[str, ...]
    value: Numbers
    freedom: Numbers
    influence: Numbers
    touched: Numbers

    def numbers(self, confidence: float) -> dict[str, Numbers]:
        """Return estimates with errors, limits and p-values by t, each of shape (k,)."""
        return numbers_of(self.value, (self.influence**2).sum(axis=0), self.freedom, confidence)

    def draws(self, times: int, rng: np.random.Generator) -> Numbers:
        """Return the effects drawn again, shape (times, k): a multiplier bootstrap of customers (Rademacher)."""
        felt = self.influence[np.abs(self.influence).sum(axis=1) > 0]
        signs = rng.integers(0, 2, (times, len(felt)), dtype=np.int8) * 2.0 - 1.0
        return np.asarray(self.value + signs @ felt)


@dataclass(frozen=True, eq=False)
class Design:
    """What was met and what is held, ready for several outcomes of the same rows.

    Rows that are alike in all of it are worked out once.

    Parameters
    ----------
    names, touched
        As in `Fit`.
    away
        Columns of what was met less what the controls make of them, a row a kind, shape (p, k).
    held
        Controls, independent of one another, shape (p, c).
    kind, often
        Which kind each row is of, shape (n,), and how many rows are, shape (p,).
    who, count
        Customer of each row, numbered from 0, and their number.
    few, lost
        Things that too few met or were spared, and those that nothing tells from the others.
    """

    names: tuple[str, ...]
    touched: Numbers
    away: Numbers
    held: Numbers
    kind: Codes
    often: Numbers
    who: Codes
    count: int
    few: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @classmethod
    def of(cls, met: Mapping[str, Numbers], labels: pd.DataFrame, who: Codes, *, least: int = 2) -> Design:
        """Take what was met.

        Parameters
        ----------
        met
            Name -> 1 where it was met, 0 where it was spared, missing where it could not be met; shape (n,) each.
        labels
            What is held, each column by its levels; a constant, and whether each thing could be met, are added.
        who
            Customer of each row, numbered from 0.
        least
            Things that fewer customers met, or were spared, have no effect told, and are held all the same.
        """
        hit = {name: np.where(np.isnan(values), 2, values).astype(np.int64) for name, values in met.items()}
        codes = {name: _codes(labels[name]) for name in labels.columns}
        kind, first = _kinds([*hit.values(), *codes.values()], len(who))
        often = np.bincount(kind, minlength=len(first)).astype(float)
        enough = {name: min(people(who, met[name] == side) for side in (0, 1)) >= max(least, 2) for name in met}
        told, could = {}, []
        for name, values in hit.items():
            told[name] = (values[first] == 1).astype(float)
            could.append((values[first] == 2).astype(float))
        rare = [told[name] for name in met if not enough[name]]
        columns = [
            np.ones(len(first)),
            *(one for code in codes.values() for one in _dummies(code, first)),
            *could,
            *rare,
        ]
        held = _independent(np.column_stack(columns), often)
        names = [name for name in met if enough[name]]
        x = np.column_stack([told[name] for name in names]) if names else np.empty((len(first), 0))
        away = x - held @ _through(held, often, x * often[:, None])
        kept = _pivots(away.T @ (away * often[:, None]), (x**2 * often[:, None]).sum(axis=0))
        left = tuple(name for name, here in zip(names, kept, strict=True) if here)
        touched = np.array([people(who, met[name] == 1) for name in left], dtype=float)
        return cls(
            left, touched, away[:, kept], held, kind, often, who, int(who.max()) + 1 if len(who) else 0,
            tuple(name for name in met if not enough[name]),
            tuple(name for name, here in zip(names, kept, strict=True) if not here),
        )  # fmt: skip

    def fit(self, y: Numbers) -> Fit:
        """Estimate what goes with each thing in an outcome, shape (n,), without missing values."""
        if not self.names:
            return Fit((), np.empty(0), np.empty(0), np.empty((self.count, 0)), self.touched)
        weight = self.away @ np.linalg.inv(self.away.T @ (self.away * self.often[:, None]))  # of a row in each effect
        total = np.asarray(np.bincount(self.kind, y, len(self.often)), dtype=float)
        value = weight.T @ total
        made = self.held @ _through(self.held, self.often, total[:, None])[:, 0] + self.away @ value
        lever, scores = (np.empty((self.count, len(self.names))) for _ in range(2))
        rest = y - made[self.kind]
        for place in range(len(self.names)):
            mine = weight[:, place][self.kind]
            lever[:, place] = np.bincount(self.who, mine**2, self.count)
            scores[:, place] = np.bincount(self.who, mine * rest, self.count)
        lever /= lever.sum(axis=0)
        freedom = np.maximum(1 / (lever**2).sum(axis=0) - 1, 1.0)
        return Fit(self.names, value, freedom, scores / np.maximum(1 - lever, 1e-6), self.touched)


def people(who: Codes, rows: Mask) -> int:
    """Return how many customers some rows are of."""
    return int(np.count_nonzero(np.bincount(who[rows]))) if rows.any() else 0


def few_events(y: Numbers, met: Mapping[str, Numbers], who: Codes, least: float = 10.0) -> list[str]:
    """Return what is met so rarely beside an outcome of yes and no that a straight line tells nothing of it.

    Of those who met it and of those who were spared, at least `least` customers must be expected with the outcome and
    as many without, at the rate of all: where nobody of a small group has it, its error would be taken for none.
    (Cochran 1954, Biometrics 10:417, asks for five; rare outcomes lean to one side, and ten keep the level better.)
    What is expected counts, not what was found: to keep what was found often is to find more.
    """
    rate = float(y.mean()) if y.size else 0.0
    return [
        name
        for name, values in met.items()
        if min(people(who, values == side) for side in (0, 1)) * min(rate, 1 - rate) < least
    ]


def _codes(values: pd.Series) -> Codes:
    """Return the number of each row's level, sorted; a missing one is a level of its own."""
    return np.asarray(pd.factorize(values, sort=True)[0] + 1, dtype=np.int64)


def _kinds(columns: Sequence[Codes], size: int) -> tuple[Codes, Codes]:
    """Return which rows are alike in all columns, by number, and the first row of each."""
    key = np.zeros(size, dtype=np.int64)
    for column in columns:
        key = key * (int(column.max(initial=0)) + 1) + column
        if key.max(initial=0) > _LARGE:
            key = np.unique(key, return_inverse=True)[1].ravel()
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    return kind.ravel(), first


def _dummies(codes: Codes, first: Codes) -> list[Numbers]:
    """Return a column of 1 and 0 for each level but the commonest, a row a kind."""
    often = np.bincount(codes)
    rest = [code for code in np.argsort(-often, kind="stable")[1:] if often[code]]
    return [(codes[first] == code).astype(float) for code in rest]


def _through(z: Numbers, often: Numbers, sums: Numbers) -> Numbers:
    """Return the coefficients of sums of rows on the columns of z, which are independent."""
    return np.asarray(np.linalg.solve(z.T @ (z * often[:, None]), z.T @ sums))


def _independent(z: Numbers, often: Numbers) -> Numbers:
    """Return the columns, of length one, that those before them do not make up."""
    size = np.sqrt((z**2 * often[:, None]).sum(axis=0))
    z = z[:, size > 0] / size[size > 0]
    return z[:, _pivots(z.T @ (z * often[:, None]), np.ones(z.shape[1]))]


def _pivots(gram: Numbers, size: Numbers) -> Mask:
    """Tell which columns are independent of those before them: by Cholesky, in order, against their squared lengths."""
    left, kept = gram.astype(float).copy(), np.zeros(len(gram), dtype=bool)
    for place in range(len(gram)):
        pivot = left[place, place]
        kept[place] = pivot > _ALIKE * size[place]
        if kept[place]:
            row = left[place] / np.sqrt(pivot)
            left -= np.outer(row, row)
    return kept
