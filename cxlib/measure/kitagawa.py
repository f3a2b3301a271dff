"""The arithmetic of a split change: parts of a difference of two ratios, each with its gradient.

Sums stand as arrays of shape (2, L): two periods, before and after, by L levels; 0 where a period lacks a level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cxlib.measure.moments import Numbers

_SIGN = np.array([-1.0, 1.0])[None, :, None]


@dataclass(frozen=True, eq=False)
class Terms:
    """Numbers made of the sums, and how each changes with them.

    Parameters
    ----------
    value
        Shape (m,).
    dy, dx
        Derivatives with respect to the sums of y and of x, shape (m, 2, L).
    """

    value: Numbers
    dy: Numbers
    dx: Numbers

    def combined(self, weights: Numbers) -> Terms:
        """Return weighted sums of the numbers; `weights` of shape (k, m)."""
        return Terms(
            weights @ self.value, np.tensordot(weights, self.dy, axes=1), np.tensordot(weights, self.dx, axes=1)
        )

    @property
    def total(self) -> Terms:
        """Return the sum of all, as one number."""
        return self.combined(np.ones((1, self.value.size)))

    def beneath(self, place: NDArray[np.intp]) -> Terms:
        """Return the same numbers as functions of finer levels; `place` (L,) says where each finer level was added."""
        return Terms(self.value, self.dy[:, :, place], self.dx[:, :, place])

    @classmethod
    def stacked(cls, *parts: Terms) -> Terms:
        """Return all numbers of several terms one after the other."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("value", "dy", "dx")))


def change(y: Numbers, x: Numbers) -> Terms:
    """Return the change of sum y / sum x, after minus before; m = 1."""
    whole = x.sum(axis=1, keepdims=True)
    ratio = y.sum(axis=1, keepdims=True) / whole
    dy = np.broadcast_to(_SIGN / whole, (1, *x.shape))
    return Terms(np.atleast_1d(ratio[1, 0] - ratio[0, 0]), dy, -ratio * dy)


def split(y: Numbers, x: Numbers) -> tuple[Terms, Terms]:
    """Split the change of sum y / sum x into mix and rate, level by level.

    With w the levels' shares of x and r their ratios y / x, bars for the mean of both periods and R for the whole:
    mix = (r_bar - R_bar) (w1 - w0), rate = w_bar (r1 - r0). All of them add up to R1 - R0. A level without x in one
    period takes its ratio there from the other one, so that it is all mix; a y that stands over no x at all is rate.

    Parameters
    ----------
    y, x
        Sums, shape (2, L).

    Returns
    -------
    (Terms, Terms)
        Mix and rate, m = L each. Source: Kitagawa (1955) JASA 50, 1168, with a level's mix measured from the whole, so
        that more of a level counts by how far it lies above or below; the sum over levels is Kitagawa's.
    """
    whole, here = x.sum(axis=1, keepdims=True), x != 0
    share, unit = x / whole, np.divide(1.0, x, out=np.zeros_like(x), where=here)
    part = here / np.maximum(here.sum(axis=0), 1)  # what each period gives to r_bar: a half, or all
    level, moved = (part * y * unit).sum(axis=0), share[1] - share[0]
    ratio, per = y.sum(axis=1, keepdims=True) / whole, y / whole
    own = np.eye(x.shape[1])[:, None, :]
    d_share = _SIGN * (own - share.T[:, :, None]) / whole
    d_level_y = own * part * unit
    d_level_x = -d_level_y * y * unit
    by, away = moved[:, None, None], (level - ratio.mean())[:, None, None]
    mix = Terms(
        (level - ratio.mean()) * moved,
        (d_level_y - 0.5 / whole) * by,
        (d_level_x + 0.5 * ratio / whole) * by + away * d_share,
    )
    rate = Terms(
        per[1] - per[0] - level * moved,
        _SIGN * own / whole - d_level_y * by,
        -_SIGN * per.T[:, :, None] / whole - d_level_x * by - level[:, None, None] * d_share,
    )
    apart = (here | (y != 0)).all(axis=0).astype(float)  # a level that one period lacks has no rate, to the last digit
    return mix, Terms(rate.value * apart + 0.0, rate.dy * apart[:, None, None], rate.dx * apart[:, None, None])


def by_two(y: Numbers, x: Numbers, first: NDArray[np.intp], second: NDArray[np.intp]) -> tuple[Terms, Terms]:
    """Split a change by two dimensions at once.

    Parameters
    ----------
    y, x
        Sums of the joint levels, shape (2, L).
    first, second
        Which level of each dimension a joint level belongs to, numbered from 0, shape (L,).

    Returns
    -------
    (Terms, Terms)
        The mix of the joint levels, m = 2: the part of each dimension, averaged over the two orders in which they can
        be brought in (Shapley 1953; Shorrocks 2013, J. Econ. Inequality 11, 99); and rate, m = L.
    """
    mix, rate = split(y, x)
    alone = [split(*(_added(sums, place) for sums in (y, x)))[0].total.beneath(place) for place in (first, second)]
    every = Terms.stacked(*alone, mix.total)
    return every.combined(np.array([[0.5, -0.5, 0.5], [-0.5, 0.5, 0.5]])), rate


def contributions(y: Numbers, x: Numbers) -> Terms:
    """Return each level's own change where all levels share one denominator; they add up to the whole's.

    Parameters
    ----------
    y
        Sums of the levels, shape (2, L).
    x
        The denominator of each period, shape (2, 1) or repeated for each level.
    """
    per, own = y / x, np.eye(y.shape[1])[:, None, :]
    dy = _SIGN * own / x
    return Terms(per[1] - per[0], dy, -dy * per)


def against_rest(y: Numbers, x: Numbers) -> Terms:
    """Return how much more each level changed than the others did like for like; m = L.

    The others' change is the mean of their own changes, each weighted by its average share of x: what they have to do
    with one another's becoming more or fewer is mix and is left out. Taken together as they are, they would fall where
    a poor level among them grows, and every other level would seem to have risen against them. Levels that a period
    lacks are no part of the others.
    """
    size, here = x.shape[1], (x != 0).all(axis=0)
    others, own = (1 - np.eye(size)) * here, np.eye(size)[:, None, :]
    moved = split(y, x)[1].combined(others)
    weight = shares(x).combined(others @ np.hstack([np.eye(size)] * 2) / 2)
    ratio, rest = y / x, moved.value / weight.value
    by, per = _SIGN * own / x.T[:, :, None], 1 / weight.value[:, None, None]
    return Terms(
        ratio[1] - ratio[0] - rest,
        by - per * moved.dy,
        -by * ratio.T[:, :, None] - per * (moved.dx - rest[:, None, None] * weight.dx),
    )


def beyond_rest(y: Numbers, x: Numbers) -> Terms:
    """Return how much more each level changed than in proportion to all others, over one shared denominator; m = L.

    With c the levels' parts y / x of the whole: c1 - c0 (rest1 / rest0). `y` and `x` as in `contributions`.
    """
    others, own = y.sum(axis=1, keepdims=True) - y, np.eye(y.shape[1])
    share = (y[0] / others[0])[:, None]
    grown = (others[1] / x[1])[:, None]
    value = (y[1] - share[:, 0] * others[1]) / x[1]
    after = (own - (1 - own) * share) / x[1]
    before = grown / others[0][:, None] * ((1 - own) * share - own)
    back = np.stack([np.zeros_like(own), -own * (value / x[1])[:, None]], axis=1)
    return Terms(value, np.stack([before, after], axis=1), back)


def shares(x: Numbers) -> Terms:
    """Return each level's share of the x of its period; m = 2 L, the levels before, then the levels after."""
    whole, own = x.sum(axis=1, keepdims=True), np.eye(x.shape[1])
    share = x / whole
    slopes = (own - share[:, :, None]) / whole[:, :, None]
    dx = np.stack([np.concatenate([slopes[0], 0 * slopes[1]]), np.concatenate([0 * slopes[0], slopes[1]])], axis=1)
    return Terms(share.ravel(), np.zeros_like(dx), dx)


def _added(sums: Numbers, place: NDArray[np.intp]) -> Numbers:
    """Add the columns that have the same number in `place`."""
    into = np.zeros((sums.shape[1], place.max() + 1))
    into[np.arange(len(place)), place] = 1
    return sums @ into
