"""Stage one: each partner's figure as if all had the same customers, and how exact it is.

Case-mix slopes are learnt within partners, so that what a partner does is not taken for what its customers bring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cxlib.analysis.partners.rows import Rows
from cxlib.measure.rows import Codes, Numbers

_ALIASED = 1e-10  # share of a column's variance within partners below which partners alone determine it
_COMMON = 50.0  # rows that the common variance is worth against a partner's own


@dataclass(frozen=True)
class Summary:
    """What the answers say of each of K partners.

    Parameters
    ----------
    names, n, people
        Partners, their rows and their distinct customers.
    raw, adjusted
        Mean outcome as it is, and with the case mix of all rows.
    worth
        Independent rows that a partner's rows are worth, customers answering more than once.
    unit
        Variance of one independent row; `base` is that of all partners together.
    slope
        What the uncertainty of the case-mix slopes adds to the variance.
    note
        What could not be adjusted for, and what was filled or left out.
    """

    names: tuple[str, ...]
    n: Numbers
    people: Numbers
    raw: Numbers
    adjusted: Numbers
    worth: Numbers
    unit: Numbers
    base: float
    slope: Numbers
    columns: tuple[str, ...]
    note: str

    @property
    def variance(self) -> Numbers:
        """Variance of `adjusted`."""
        return self.unit / self.worth + self.slope

    @property
    def overall(self) -> float:
        """Mean outcome of all rows."""
        return float(self.n @ self.raw / self.n.sum())

    def binomial(self, level: Numbers) -> Summary:
        """Return the same with variances of shares at `level`, shape (K,): level (1 - level), less what case mix tells.

        The variance of a share follows from the share; the spread of a few zeros and ones does not show it.
        """
        full = level * (1 - level)
        rest = self.base / max(float(self.n @ full / self.n.sum()), 1e-300)
        return replace(self, unit=full * min(rest, 1.0))


def summarise(rows: Rows) -> Summary | None:
    """Return the partners' figures, or None where no partner has more answers than it takes to tell noise."""
    k = len(rows.names)
    n = np.bincount(rows.code, minlength=k).astype(float)
    raw, found = np.bincount(rows.code, rows.y, k) / n, slopes(rows)
    if found is None:
        return None
    middle = _sums(rows.code, rows.design[:, found.moves], k) / n[:, None]
    base, worth, people = _dependence(rows, found.rest, n, found.freedom)
    return Summary(
        rows.names, n, people, raw, raw - middle @ found.slope, worth, _units(rows, found.rest, n, base), base,
        np.einsum("ij,jk,ik->i", middle, found.cover, middle), *_told(rows, found.moves),
    )  # fmt: skip


@dataclass(frozen=True)
class Slopes:
    """Least squares within partners: slopes with their cluster-robust covariance, and the residuals of the rows.

    `moves` marks the columns of the design that vary within partners; the others have no slope.
    """

    moves: NDArray[np.bool_]
    slope: Numbers
    cover: Numbers
    rest: Numbers
    freedom: int


def slopes(rows: Rows) -> Slopes | None:
    """Return the slopes of the design (Stata `xtreg, fe vce(cluster)` without its small-sample factor), or None."""
    k = len(rows.names)
    n = np.bincount(rows.code, minlength=k)[:, None]
    freedom = rows.y.size - k
    if freedom <= 0:
        return None
    within = rows.design - (_sums(rows.code, rows.design, k) / n)[rows.code]
    moves = (within**2).mean(axis=0) > _ALIASED
    within = within[:, moves]
    if freedom <= within.shape[1]:
        return None
    bread = np.linalg.pinv(within.T @ within, hermitian=True)
    apart = rows.y - (_sums(rows.code, rows.y[:, None], k) / n)[rows.code, 0]
    slope = bread @ (within.T @ apart)
    rest = apart - within @ slope
    score = _sums(rows.people, within * rest[:, None], int(rows.people.max()) + 1)
    return Slopes(moves, slope, bread @ (score.T @ score) @ bread, rest, freedom - within.shape[1])


def _sums(code: Codes, columns: Numbers, k: int) -> Numbers:
    """Return the sums of columns, shape (N, p), by a code below k, shape (k, p)."""
    found = np.zeros((k, columns.shape[1]))
    for place, column in enumerate(columns.T):
        found[:, place] = np.bincount(code, column, k)
    return found


def _dependence(rows: Rows, rest: Numbers, n: Numbers, freedom: int) -> tuple[float, Numbers, Numbers]:
    """Return the variance of a row, the independent rows that each partner's are worth, and its customers.

    The variance has a part of the row and a part of the customer at this partner, found by equating two sums of
    squares to what is expected of them (Searle, Casella and McCulloch 1992, Variance Components, 5.3): with partners'
    means taken out, plain residual products of a customer's rows would be too small.
    """
    k, size = n.size, int(rows.people.max()) + 1
    cells, place = np.unique(rows.code * size + rows.people, return_inverse=True)
    count, owner = np.bincount(place).astype(float), cells // size
    squares = np.bincount(owner, count**2, k)
    people = np.bincount(owner, minlength=k).astype(float)
    alone, both = rest @ rest * (rows.y.size - k) / freedom, float((np.bincount(place, rest) ** 2).sum())
    cross = float((n - squares / n).sum())
    own = float((squares - 2 * np.bincount(owner, count**3, k) / n + squares**2 / n**2).sum())
    steps = np.array([[n.sum() - k, cross], [cross, own]])
    if np.linalg.det(steps) <= 1e-9 * steps[0, 0] * steps[1, 1]:  # hardly anybody answers twice
        return float(alone / steps[0, 0]), n.copy(), people
    row, customer = np.linalg.solve(steps, np.array([float(alone), both]))
    if customer <= 0:
        return float(alone / steps[0, 0]), n.copy(), people
    row = max(float(row), 0.0)
    return row + float(customer), n**2 * (row + customer) / (row * n + customer * squares), people


def _units(rows: Rows, rest: Numbers, n: Numbers, base: float) -> Numbers:
    """Return the variance of a row of each partner: the common one, and its own as far as it has many rows.

    A partner with three equal answers is not exact, and where answers pile up at the top of the scale those who do well
    vary little by chance: of few rows the own variance would lend weight to whoever was lucky.
    """
    return (_COMMON * base + np.bincount(rows.code, rest**2, n.size)) / (_COMMON + n - 1)


def _told(rows: Rows, moves: NDArray[np.bool_]) -> tuple[tuple[str, ...], str]:
    """Return the columns that were adjusted for, and in words which cannot be told from the partner or were filled."""
    used = tuple(dict.fromkeys(name for name, kept in zip(rows.columns, moves, strict=True) if kept))
    fixed = [name for name in dict.fromkeys(rows.columns) if name not in used]
    lost = [f"{', '.join(fixed)} does not vary within partners: not adjusted for"] * bool(fixed)
    return used, "; ".join([*([rows.note] if rows.note else []), *lost])
