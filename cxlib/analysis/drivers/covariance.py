"""Means and covariances of outcome and drivers, where some items were skipped too, and draws of them.

Skipped items are allowed for by maximum likelihood under the normal distribution (the EM algorithm): every answer that
was given counts, and none is made up. It is right where skipping depends on what was answered (missing at random).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cxlib.analysis.drivers.design import Design
from cxlib.measure.rows import Codes, Numbers

_MOST_STEPS, _CLOSE = 1_000, 1e-9  # of the EM algorithm, on standardised columns
_AT_ONCE = 20_000_000  # numbers held together
_GROUPS, _SEED = 20_000, 1  # more customers than these are drawn in as many groups, made once and at random
_RIDGE = 1e-12  # keeps the inverse of two columns alike, too small to be seen


@dataclass(frozen=True)
class Spread:
    """Mean, shape (k,), and covariance, shape (k, k), of the outcome and the columns; and what a draw needs.

    Parameters
    ----------
    mean, cov
        Maximum-likelihood (divided by n).
    moments
        Shape (customers or groups of them, 1 + k + k (k + 1) / 2): sums of weight, and of expected values and products
        about the mean, of each pair of columns once.
    gain
        Shape (k + k k, k + k k): how far the estimate moves with its expectation; None where nothing was skipped.
    """

    mean: Numbers
    cov: Numbers
    moments: Numbers
    gain: Numbers | None

    def draws(self, times: int, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
        """Draw customers with replacement and return means and covariances, shapes (times, k) and (times, k, k).

        Where items were skipped a draw takes the first step from the whole's estimate towards its own, in full length
        (one-step bootstrap of a maximum-likelihood estimate; the rate matrix of EM: Meng and Rubin 1991, JASA 86:899):
        what it leaves out is of the order of 1 / customers. Above 20,000 customers, random groups of them are drawn.
        """
        size, count = len(self.mean), len(self.moments)
        step = max(1, _AT_ONCE // max(count, size * size))
        parts = []
        for done in range(0, times, step):
            sums = _counts(count, min(step, times - done), rng) @ self.moments
            parts.append(self._moved(sums[:, 1:] / sums[:, :1]))
        if not parts:
            return np.empty((0, size)), np.empty((0, size, size))
        means, covs = zip(*parts, strict=True)
        return np.concatenate(means), np.concatenate(covs)

    def _moved(self, found: Numbers) -> tuple[Numbers, Numbers]:
        """Return means and covariances of draws from their means and products about the whole's mean."""
        size = len(self.mean)
        mean, products = found[:, :size], found[:, size:][:, _whole(size)]
        if self.gain is not None:
            away = np.concatenate([mean, (products - self.cov).reshape(len(found), -1)], axis=1) @ self.gain.T
            mean, products = away[:, :size], self.cov + away[:, size:].reshape(-1, size, size)
        cov = products - mean[:, :, None] * mean[:, None, :]
        return self.mean + mean, (cov + cov.transpose(0, 2, 1)) / 2


def spread(made: Design, columns: Codes) -> Spread:
    """Return mean and covariance of some columns of the design, the outcome first.

    Parameters
    ----------
    made
        The design.
    columns
        Places of the columns in the matrix, shape (k,).

    Source: Dempster, Laird and Rubin (1977) JRSS B 39:1; Little and Rubin (2002), Statistical Analysis with Missing
    Data, 11.2.
    """
    values, weight = made.numbers[:, columns], made.weights / made.weights.sum()
    known = ~np.isnan(values)
    counted = weight @ known
    middle = (weight @ np.where(known, values, 0.0)) / counted
    scale = np.sqrt((weight @ np.where(known, values - middle, 0.0) ** 2) / counted)
    scale = np.where(scale > 0, scale, 1.0)
    table = (values - middle) / scale
    if known.all():
        mean, cov, gain = np.zeros(len(columns)), (table * weight[:, None]).T @ table, None
        expected, left = table, None
    else:
        patterns = _Patterns.of(table, weight)
        mean, cov = patterns.fitted()
        expected, left, gain = patterns.expected(table, mean, cov), patterns.left(cov), patterns.gain(mean, cov)
    moments = _by_customer(made, expected - mean, left)
    outer, size = np.outer(scale, scale), len(columns)
    by = np.concatenate([scale, outer.ravel()])
    moments[:, 1:] *= np.concatenate([scale, outer[np.triu_indices(size)]])
    gain = None if gain is None else gain * by[:, None] / by[None, :]
    return Spread(middle + scale * mean, cov * outer, moments, gain)


def imputed(made: Design, columns: Codes, found: Spread, times: int, rng: np.random.Generator) -> list[Numbers]:
    """Draw what was skipped, given what each row answered, and return `times` filled tables, shape (n, k) each.

    Every table has parameters of its own, so that what is not known of them is part of what the tables differ by
    (proper imputation; Rubin 1987, Multiple Imputation for Nonresponse in Surveys, ch. 5). Nothing is rounded.
    """
    table = made.numbers[:, columns]
    known, of_row = np.unique(~np.isnan(table), axis=0, return_inverse=True)
    patterns, filled = [np.flatnonzero(of_row.ravel() == place) for place in range(len(known))], []
    for mean, cov in zip(*found.draws(times, rng), strict=True):
        done = table.copy()
        for have, rows in zip(known, patterns, strict=True):
            if have.all():
                continue
            lack = ~have
            carry = np.linalg.lstsq(cov[np.ix_(have, have)], cov[np.ix_(have, lack)], rcond=1e-12)[0]
            left = cov[np.ix_(lack, lack)] - cov[np.ix_(lack, have)] @ carry
            value, vector = np.linalg.eigh((left + left.T) / 2)
            noise = rng.standard_normal((len(rows), len(value))) @ (vector * np.sqrt(np.maximum(value, 0.0))).T
            done[np.ix_(rows, lack)] = mean[lack] + (table[np.ix_(rows, have)] - mean[have]) @ carry + noise
        filled.append(done)
    return filled


def _by_customer(made: Design, away: Numbers, left: tuple[Codes, Numbers] | None) -> Numbers:
    """Return sums per customer: weight, expected distances from the mean, and their expected products.

    Of very many customers random groups stand for them: their sums vary as much, and fit into memory.
    """
    size, unit = away.shape[1], np.arange(made.customers)
    if made.customers > _GROUPS:
        fixed = np.random.default_rng(_SEED)
        unit = fixed.permutation(made.customers) % _GROUPS
    one, other = np.triu_indices(size)
    found = np.zeros((int(unit.max()) + 1, 1 + size + len(one)))
    step = max(1, _AT_ONCE // (4 * size * size))
    for first in range(0, len(away), step):
        rows = slice(first, first + step)
        table = np.empty((len(away[rows]), found.shape[1]))
        table[:, 0], table[:, 1 : 1 + size] = 1.0, away[rows]
        np.multiply(away[rows][:, one], away[rows][:, other], out=table[:, 1 + size :])
        if left is not None:
            table[:, 1 + size :] += left[1][:, one, other][left[0][rows]]
        table *= made.weights[rows, None]
        starts = np.flatnonzero(np.r_[True, np.diff(made.whose[rows]) != 0])
        sums, group = np.add.reduceat(table, starts, axis=0), unit[made.whose[rows][starts]]
        order = np.argsort(group, kind="stable")
        ends = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0])
        found[group[order][ends]] += np.add.reduceat(sums[order], ends, axis=0)
    return found


def _whole(size: int) -> Codes:
    """Return where each entry of a symmetric matrix stands among its pairs of columns, shape (size, size)."""
    place = np.zeros((size, size), dtype=np.int64)
    place[np.triu_indices(size)] = np.arange(size * (size + 1) // 2)
    return np.maximum(place, place.T)


def _counts(count: int, times: int, rng: np.random.Generator) -> Numbers:
    """Return how often each customer is in each draw, shape (times, count)."""
    found = np.empty((times, count))
    for draw in found:  # one at a time: counters that fit into the processor's cache
        draw[:] = np.bincount(rng.integers(0, count, count), minlength=count)
    return found


@dataclass(frozen=True)
class _Patterns:
    """Rows with the same items answered, summed up.

    Parameters
    ----------
    known
        Shape (patterns, k), 1 where answered.
    weight
        Shape (patterns,), adding up to 1.
    sums, products
        Shapes (patterns, k) and (patterns, k, k): weighted, 0 where not answered.
    of_row
        The pattern of each row.
    """

    known: Numbers
    weight: Numbers
    sums: Numbers
    products: Numbers
    of_row: Codes

    @classmethod
    def of(cls, table: Numbers, weight: Numbers) -> _Patterns:
        """Sum up the rows of each pattern."""
        known, place = np.unique(~np.isnan(table), axis=0, return_inverse=True)
        of_row = place.ravel().astype(np.int64)
        filled, order = np.nan_to_num(table), np.argsort(of_row, kind="stable")
        ends = np.searchsorted(of_row[order], np.arange(len(known) + 1))
        groups = [order[first:last] for first, last in pairwise(ends)]
        products = np.stack([(filled[rows] * weight[rows, None]).T @ filled[rows] for rows in groups])
        sums = np.stack([weight[rows] @ filled[rows] for rows in groups])
        return cls(known.astype(np.float64), np.bincount(of_row, weight).astype(float), sums, products, of_row)

    def inverse(self, cov: Numbers) -> Numbers:
        """Return the inverse of the answered part of the covariance, 0 elsewhere, shape (patterns, k, k)."""
        both, size = self.known[:, :, None] * self.known[:, None, :], len(cov)
        rest = np.eye(size) * (1 - self.known)[:, None, :] + _RIDGE * np.eye(size)
        return np.linalg.inv(cov * both + rest) * both

    def scatter(self, mean: Numbers) -> tuple[Numbers, Numbers]:
        """Return sums and products of the answered items about a mean."""
        middle = self.known * mean
        away, cross = self.sums - self.weight[:, None] * middle, self.sums[:, :, None] * middle[:, None, :]
        squares = self.weight[:, None, None] * middle[:, :, None] * middle[:, None, :]
        return away, self.products - cross - cross.transpose(0, 2, 1) + squares

    def step(self, mean: Numbers, cov: Numbers) -> tuple[Numbers, Numbers]:
        """Take one step of the EM algorithm."""
        away, scatter = self.scatter(mean)
        carry = cov @ self.inverse(cov)
        moved = np.einsum("pij,pj->i", carry, away)
        rest = (np.eye(len(cov)) - carry) @ cov
        products = (carry @ scatter @ carry.transpose(0, 2, 1)).sum(axis=0) + np.tensordot(self.weight, rest, axes=1)
        found = products - np.outer(moved, moved)
        return mean + moved, (found + found.T) / 2

    def fitted(self) -> tuple[Numbers, Numbers]:
        """Return the maximum-likelihood mean and covariance."""
        mean, cov = np.zeros(self.known.shape[1]), np.eye(self.known.shape[1])
        for _ in range(_MOST_STEPS):
            after = self.step(mean, cov)
            change = max(float(np.abs(after[0] - mean).max()), float(np.abs(after[1] - cov).max()))
            mean, cov = after
            if change < _CLOSE:
                break
        return mean, cov

    def expected(self, table: Numbers, mean: Numbers, cov: Numbers) -> Numbers:
        """Return the expected value of every item of every row."""
        carry, away = cov @ self.inverse(cov), np.nan_to_num(table - mean)
        found = np.empty_like(table)
        for place in range(len(self.known)):
            rows = self.of_row == place
            found[rows] = mean + away[rows] @ carry[place].T
        return found

    def left(self, cov: Numbers) -> tuple[Codes, Numbers]:
        """Return the pattern of each row, and the covariance that the answers of each pattern leave."""
        return self.of_row, cov - cov @ self.inverse(cov) @ cov

    def gain(self, mean: Numbers, cov: Numbers) -> Numbers:
        """Return (1 - J)^-1 with J the derivative of an EM step by mean and covariance, at its fixed point.

        With Q the inverse of the answered part, K = cov Q and R = 1 - K: dK = R dcov Q, and the covariance left moves
        by R dcov R'.
        """
        size = len(mean)
        inverse, (away, scatter) = self.inverse(cov), self.scatter(mean)
        carry = cov @ inverse
        rest, pulled = np.eye(size) - carry, carry @ scatter @ inverse
        jacobian = np.zeros((size + size * size, size + size * size))
        jacobian[:size, :size] = np.eye(size) - np.tensordot(self.weight, carry, axes=1)
        toward = np.einsum("pij,pj->pi", inverse, away)
        jacobian[:size, size:] = np.einsum("pij,pk->ijk", rest, toward).reshape(size, -1)
        one = np.einsum("pij,pk->ikj", carry, np.einsum("pij,pj->pi", carry, away))
        jacobian[size:, :size] = -(one + one.transpose(1, 0, 2)).reshape(-1, size)
        parts = _kron(rest, pulled) + _kron(pulled, rest) + _kron(rest * self.weight[:, None, None], rest)
        jacobian[size:, size:] = parts
        return np.asarray(np.linalg.inv(np.eye(len(jacobian)) - jacobian), dtype=np.float64)


def _kron(left: Numbers, right: Numbers) -> Numbers:
    """Return the sum over patterns of what takes D to left D right', as a matrix on the entries of D."""
    count, size = len(left), left.shape[1]
    found = left.reshape(count, -1).T @ right.reshape(count, -1)
    return found.reshape(size, size, size, size).transpose(0, 2, 1, 3).reshape(size * size, size * size)
