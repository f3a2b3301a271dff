"""Customers grouped by what the models know of them, so that a draw of parameters is worth all of them in one go."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cxlib.analysis.value.door import alike, distinct, totals
from cxlib.analysis.value.gamma_gamma import spend_terms
from cxlib.analysis.value.rates import Kinds, of_kinds
from cxlib.measure.rows import Codes, Numbers


@dataclass(frozen=True, eq=False)
class Portfolio:
    """Customers of equal group, repeat count and times in one cell, shape (cells,); `money` holds their sums.

    Parameters
    ----------
    group
        Code of each cell's group, from 0.
    x, t_x, end
        Repeat purchases and times of each cell.
    money
        Sums over a cell's customers of m, m z, m^2, m^2 z and m^2 z^2: margin m, mean amount z; shape (5, cells).
    kinds, kind
        Distinct pairs of repeat count and time observed, and which of them each cell is.
    of
        The cell of each customer, shape (n,).
    """

    group: Codes
    x: Numbers
    t_x: Numbers
    end: Numbers
    money: Numbers
    kinds: Kinds
    kind: Codes
    of: Codes

    @classmethod
    def made(cls, x: Numbers, t_x: Numbers, end: Numbers, mean: Numbers, margin: Numbers, group: Codes) -> Portfolio:
        """Group customers; all arrays of shape (n,)."""
        (code, x, t_x, end), at, _ = alike(group.astype(float), x, t_x, end)
        own = np.nan_to_num(mean)  # of customers without repeats nothing need be known
        parts = (margin, margin * own, margin**2, margin**2 * own, (margin * own) ** 2)
        money = np.array([totals(at, part, code.size) for part in parts])
        return cls(code.astype(np.int64), x, t_x, end, money, *Kinds.of(x, end), at)

    def by_group(self, values: Numbers) -> Numbers:
        """Return the sums over the cells of each group, shape (groups,)."""
        return totals(self.group, values, int(self.group.max(initial=-1)) + 1)

    def purchases(self, parameters: Numbers, ahead: Numbers, discount: float, *, pairs: bool = False) -> Numbers:
        """Return the discounted purchases to expect of a customer of each cell within each of `ahead`, (cells, t).

        With `pairs` the ordered pairs of two purchases; see `rates.of_kinds`.
        """
        found = of_kinds(parameters, self.kinds, ahead, discount, pairs=pairs)[self.kind]
        return found * self.alive(parameters)[:, None]

    def alive(self, parameters: Numbers) -> Numbers:
        """Return the chance that a customer of each cell is still there, as `purchases.alive`, shape (cells,).

        Logarithms are taken of distinct times and counts only: with the parameters drawn hundreds of times they would
        be most of the work.
        """
        r, alpha, a, b = parameters
        early, late = np.log(alpha + self._early[0]), np.log(alpha + self.kinds.times)
        counts = self.kinds.counts
        odds = np.where(counts > 0, a / np.where(counts > 0, b + counts - 1, 1.0), 0.0)
        with np.errstate(over="ignore"):
            gone = np.exp((r + self.x) * (late[self._late] - early[self._early[1]]))
        return 1 / (1 + odds[self._count] * gone)

    @cached_property
    def _early(self) -> tuple[Numbers, Codes]:
        """The distinct times of the last purchase, and which of them each cell has."""
        return distinct(self.t_x)

    @cached_property
    def _late(self) -> Codes:
        """Which of the times observed each cell has."""
        return self.kinds.of_time[self.kind]

    @cached_property
    def _count(self) -> Codes:
        """Which of the repeat counts each cell has."""
        return self.kinds.of_count[self.kind]

    @cached_property
    def _runs(self) -> Codes:
        """Where cells of another group or count begin: they are sorted by both."""
        return np.flatnonzero(np.diff(self.group, prepend=-1) | np.diff(self._count, prepend=-1))

    def expected(self, parameters: Numbers, ahead: Numbers) -> Numbers:
        """Return the purchases to expect of all, each times its customer's margin, within each of `ahead`, (t,)."""
        weight = totals(self.kind, self.money[0] * self.alive(parameters), self.kinds.of_count.size)
        return np.asarray(weight @ of_kinds(parameters, self.kinds, ahead))

    def spend(self, amounts: Numbers) -> tuple[Numbers, Numbers]:
        """Return by cell what a customer's own mean amount is multiplied by, and what is added."""
        own, all_ = (part[self.kinds.of_count][self.kind] for part in spend_terms(amounts, self.kinds.counts))
        return own, all_

    def totals(self, parameters: Numbers, amounts: Numbers, horizon: float, discount: float) -> Numbers:
        """Return the value to expect of each group, shape (groups,)."""
        ahead = self.purchases(parameters, np.array([horizon]), discount)[:, 0]
        all_money, own_money = (np.add.reduceat(ahead * part, self._runs) for part in self.money[:2])
        own, all_ = (part[self._count[self._runs]] for part in spend_terms(amounts, self.kinds.counts))
        return totals(self.group[self._runs], all_ * all_money + own * own_money, int(self.group[-1]) + 1)

    def luck(self, parameters: Numbers, amounts: Numbers, horizon: float, discount: float) -> Numbers:
        """Return the variance of each group's value that is left when the parameters are known, shape (groups,).

        Customers are independent; of each the second moment of the discounted purchases, and of the amounts, which are
        gamma about a mean that is not known exactly: E[mean^2] = E[mean]^2 (p x + q - 1) / (p x + q - 2).
        """
        p, q, _ = amounts
        ahead = np.array([horizon])
        squares = self.purchases(parameters, ahead, 2 * discount)[:, 0]
        pairs = self.purchases(parameters, ahead, discount, pairs=True)[:, 0]
        own, all_ = self.spend(amounts)
        spent = all_**2 * self.money[2] + 2 * all_ * own * self.money[3] + own**2 * self.money[4]
        wider = (p * self.x + q - 1) / (p * self.x + q - 2)
        varied = wider * ((1 + 1 / p) * squares + pairs) - self.purchases(parameters, ahead, discount)[:, 0] ** 2
        return self.by_group(spent * varied)
