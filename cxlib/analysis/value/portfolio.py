"""Customers grouped by what the models know of them, so that a draw of parameters is worth all of them in one go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cxlib.analysis.value.door import alike, totals
from cxlib.analysis.value.gamma_gamma import spend_terms
from cxlib.analysis.value.purchases import alive
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
        return found * alive(parameters, self.x, self.t_x, self.end)[:, None]

    def spend(self, amounts: Numbers) -> tuple[Numbers, Numbers]:
        """Return by cell what a customer's own mean amount is multiplied by, and what is added."""
        own, all_ = (part[self.kinds.of_count][self.kind] for part in spend_terms(amounts, self.kinds.counts))
        return own, all_

    def totals(self, parameters: Numbers, amounts: Numbers, horizon: float, discount: float) -> Numbers:
        """Return the value to expect of each group, shape (groups,)."""
        own, all_ = self.spend(amounts)
        ahead = self.purchases(parameters, np.array([horizon]), discount)[:, 0]
        return self.by_group(ahead * (all_ * self.money[0] + own * self.money[1]))

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
