"""The two sides that weights bring together: respondents counted by sort, and the population's levels to weight to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.raking import OTHER, Codes, small_levels

SUMS = ["rows", "x", "y", "y2"]


@dataclass(frozen=True, eq=False)
class People:
    """Respondents by sort: their levels, how many there are, and what one of each adds to the sums."""

    levels: pd.DataFrame
    customers: Numbers
    rows: Numbers
    x: Numbers
    y: Numbers
    y2: Numbers

    @classmethod
    def of(cls, frame: pd.DataFrame, columns: Sequence[str]) -> People:
        """Count respondents who are alike, in an order of their own; those without any answer do not count."""
        own = frame if "customers" in frame.columns else frame.assign(customers=1.0)
        own = own[own["rows"] > 0]
        own = own.assign(**{name: named(own[name]) for name in columns})
        own = own.groupby([*columns, *SUMS], as_index=False, sort=True)["customers"].sum()
        return cls(own[list(columns)], *(own[name].to_numpy(dtype=float) for name in ("customers", *SUMS)))

    @property
    def count(self) -> float:
        """How many there are."""
        return float(self.customers.sum())

    def total(self, values: Numbers) -> float:
        """Sum over all customers what one of each sort adds."""
        return float(self.customers @ values)

    @property
    def moments(self) -> Moments:
        """Moments without weights, as the engine would bring them."""
        pairs = {("x", "x"): self.x**2, ("x", "y"): self.x * self.y, ("y", "y"): self.y**2}
        sums = {"x": np.array(self.total(self.x)), "y": np.array(self.total(self.y))}
        products = {pair: np.array(self.total(values)) for pair, values in pairs.items()}
        return Moments(
            np.array(self.total(self.rows)), np.array(self.count), sums, products, np.array(self.total(self.y2))
        )


@dataclass(frozen=True, eq=False)
class Margins:
    """What is raked to: per column the level number of each sort of respondent, and the population of each level."""

    names: list[str]
    codes: list[Codes]
    targets: list[list[float]]
    told: str  # which levels were joined and which columns left out
    reason: str  # why there is no margin at all


def named(levels: pd.Series) -> pd.Series:
    """Return levels as text; a missing one is the level `unknown`."""
    return levels.astype("str").where(levels.notna(), "unknown")


def margins_of(
    levels: pd.DataFrame, customers: Numbers, population: pd.DataFrame | None, columns: Sequence[str], min_n: int
) -> Margins:
    """Return the margins that can be raked to, small levels joined on both sides."""
    found = Margins(
        [], [], [], "", "the population is not known" if columns else "no segment of the customers is known"
    )
    if not columns or population is None or not population["customers"].sum() > 0:
        return found
    told = []
    for name in columns:
        people = population.groupby(named(population[name]))["customers"].sum()
        people = people[people > 0]
        answers = pd.Series(customers).groupby(levels[name].to_numpy()).sum()
        small = small_levels(answers, people, min_n)
        known = sorted(set(people.index) - set(small)) + ([OTHER] if small else [])
        if len(known) < 2:
            told.append(f"left out: {name}, with one level of {min_n} or more respondents")
            continue
        told += [f"joined in {name}: {', '.join(small)}"] if len(small) > 1 else []
        found.names.append(name)
        found.codes.append(pd.Index(known).get_indexer(levels[name].where(~levels[name].isin(small), OTHER)))
        rest = float(people[people.index.isin(small)].sum())
        found.targets.append([rest if level == OTHER and small else float(people[level]) for level in known])
    reason = f"no segment has two levels of {min_n} or more respondents"
    return Margins(found.names, found.codes, found.targets, "; ".join(told), reason)
