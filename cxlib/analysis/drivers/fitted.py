"""A fitted set of drivers: one set of draws, and every table that is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from cxlib import results
from cxlib.analysis.drivers import shares
from cxlib.analysis.drivers.columns import Driver
from cxlib.analysis.drivers.design import Design
from cxlib.analysis.drivers.ranking import rank_limits
from cxlib.measure.rows import Numbers

DRIVER = "driver"  # the segment of a row that is about a driver
IMPORTANCE, RANK = "importance", "rank"
ONE_LESS, NO = "one point less", "no"  # what a slope is against: of a number, of a driver that is 0 or 1
METHODS: dict[str, tuple[Callable[[Numbers, shares.Blocks], Numbers], str]] = {
    "lmg": (shares.lmg, "LMG, share of R2"),
    "johnson": (shares.johnson, "Johnson relative weight, share of R2"),
}


@dataclass(frozen=True)
class DriverFit:
    """One set of draws, and every table that is made of it.

    Parameters
    ----------
    made
        What was fitted.
    method
        `lmg` or `johnson`.
    confidence
        Of all intervals.
    min_n
        Rows about fewer customers are suppressed.
    cov, draws
        Covariances of the outcome and the columns: shapes (k, k) and (B, k, k).
    share, share_draws
        Shapes (p,) and (B, p), in the order of `drivers`.
    drivers
        The drivers that something can be said of; their columns are places in `cov`.
    trouble
        Status and note where nothing can be said at all.
    """

    made: Design
    method: str
    confidence: float
    min_n: int
    cov: Numbers
    draws: Numbers
    share: Numbers
    share_draws: Numbers
    drivers: tuple[Driver, ...]
    trouble: tuple[str, str] | None = None

    def importance(self) -> pd.DataFrame:
        """Return each driver's share of R2, a row each, in the caller's order; `comparison = "share"`."""
        low, high = percentiles(self.share_draws, self.confidence)
        low = np.where(low <= self._noise(), 0.0, low)
        words = METHODS[self.method][1] + (", percentile bootstrap" if len(self.draws) else ", no interval asked for")
        found = self._numbers(self.share, self.share_draws, (low, high))
        below = dict.fromkeys(self._falling(), f"more of it goes with less {self.made.outcome}")
        return self._rows(found, self._names(), IMPORTANCE, "share", words, below)

    def ranks(self) -> pd.DataFrame:
        """Return each driver's rank by importance with its interval, a row each; `metric = "rank"`."""
        rank, low, high = rank_limits(self.share, self.share_draws, self.confidence)
        found = {"estimate": rank, "conf_low": low, "conf_high": high}
        method = f"rank by {METHODS[self.method][1]}, pairwise differences"
        return self._rows(found, self._names(), RANK, "level", method)

    def explained(self) -> pd.DataFrame:
        """Return R2 of the full model, one row; `metric = "r_squared"`."""
        words = {
            "metric": "r_squared",
            "against": self.made.outcome,
            "method": "R2, least squares, percentile bootstrap",
        }
        if self.trouble:
            return results.frame(status=self.trouble[0], note=self.trouble[1], **words)
        drawn = shares.r_squared(self.draws)[:, None]
        limits = percentiles(drawn, self.confidence)
        found = self._numbers(shares.r_squared(self.cov[None]), drawn, limits)
        return self._counted(results.frame(**found, **words), self.made.customers)

    def coefficients(self) -> pd.DataFrame:
        """Return slopes of the full model in points of the outcome, a row each (a row per level of a category).

        `comparison = "difference"`, `against` is `one point less` of the driver, `no` of one that is 0 or 1, or its
        reference level.
        """
        names = self._names(levels=True)
        by_name = {driver.name: driver for driver in self.drivers}
        places = [by_name[name].place_of(level) - 1 for name, level in names]
        drawn, slope = self._draws_of_slopes()[:, places], self._all_slopes()[places]
        found = self._numbers(slope, drawn, percentiles(drawn, self.confidence))
        with np.errstate(invalid="ignore", divide="ignore"):
            found["p_value"] = 2 * special.ndtr(-np.abs(slope) / found["std_error"])
        against = {driver.name: step(driver, self.made) for driver in self.made.drivers}
        found["against"] = np.array([against[name] for name, _ in names])
        found["status"], more = self._told_apart(np.array(places, dtype=np.int64), [name for name, _ in names])
        return self._rows(found, names, self.made.outcome, "difference", "least squares, percentile bootstrap", more)

    def vif(self) -> pd.DataFrame:
        """Return variance inflation factors, a row each; `comparison = "index"`.

        Of a driver with several columns it is the generalised factor to the power 1 / columns (Fox and Monette 1992,
        JASA 87:178: GVIF^(1/df), on the scale of a single column's factor).
        """
        inner, found = _correlations(self.cov[1:, 1:]), []
        whole = np.linalg.slogdet(inner)[1]
        for driver in self.drivers:
            mine = np.isin(np.arange(len(inner)), np.array(driver.columns) - 1)
            parts = [np.linalg.slogdet(inner[np.ix_(side, side)])[1] for side in (mine, ~mine)]
            with np.errstate(over="ignore", invalid="ignore"):
                found.append(np.exp((sum(parts) - whole) / len(driver.columns)))
        places = np.array([driver.columns[0] - 1 for driver in self.drivers], dtype=np.int64)
        status, more = self._told_apart(places, [driver.name for driver in self.drivers])
        table = {"estimate": np.array(found), "status": status}
        return self._rows(table, self._names(), "vif", "index", "variance inflation factor", more)

    def _told_apart(self, places: NDArray[np.int64], names: Sequence[str]) -> tuple[np.ndarray, dict[str, str]]:
        """Return the status of each column's slope, and a note for drivers whose columns others determine."""
        if self.trouble:
            return np.empty(0, dtype=object), {}
        apart = shares.identified(self.cov)[places]
        more = {name: "other drivers determine it" for name, known in zip(names, apart, strict=True) if not known}
        return np.where(apart, results.OK, results.UNDEFINED).astype(object), more

    def _noise(self) -> Numbers:
        """Return the share that a driver would hardly pass if it had nothing to do with the outcome.

        (1 - R2) chi-square / customers: no draw is below 0, so that without it no interval would ever reach 0.
        """
        columns = np.array([len(driver.columns) for driver in self.drivers], dtype=float)
        left = 1 - float(shares.r_squared(self.cov[None])[0]) if self.drivers else 0.0
        return left * stats.chi2.ppf(self.confidence, columns) / max(self.made.customers, 1)

    def _names(self, *, levels: bool = False) -> list[tuple[str, str]]:
        """Return driver and level of each row; levels only where they are wanted, empty for a number."""
        return [(one.name, level) for one in self.drivers for level in (levels and one.levels) or ("",)]

    def _all_slopes(self) -> Numbers:
        return np.empty(0) if self.trouble else shares.slopes(self.cov[None])[0]

    def _draws_of_slopes(self) -> Numbers:
        return np.empty((0, 0)) if self.trouble else shares.slopes(self.draws)

    def _falling(self) -> list[str]:
        """Return the drivers that are numbers, have a slope of their own, and whose slope is shown to lie below 0."""
        if self.trouble or not len(self.draws):
            return []
        high, known = percentiles(self._draws_of_slopes(), self.confidence)[1], shares.identified(self.cov)
        mine = [(one.name, one.columns[0] - 1) for one in self.drivers if one.number]
        return [name for name, place in mine if known[place] and high[place] < 0]

    def _numbers(self, estimate: Numbers, drawn: Numbers, limits: tuple[Numbers, Numbers]) -> dict[str, np.ndarray]:
        """Return the numbers of rows; without draws no errors."""
        error = drawn.std(axis=0, ddof=1) if len(drawn) > 1 else np.full(len(estimate), np.nan)
        return {"estimate": estimate, "std_error": error, "conf_low": limits[0], "conf_high": limits[1]}

    def _counted(self, table: pd.DataFrame, people: int) -> pd.DataFrame:
        """Add n, and suppress where fewer customers than may be shown stand behind a row."""
        counted = table.assign(n=float(len(self.made.numbers)), n_eff=self.made.kish)
        return results.suppress(results.conform(counted), np.iinfo(np.int64).max if people < self.min_n else 0)

    def _rows(
        self, found: dict[str, np.ndarray], names: Sequence[tuple[str, str]], metric: str, comparison: str, method: str,
        more: Mapping[str, str] | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return rows of drivers in the caller's order, those that nothing can be said of among them.

        `more` has a further note by driver.
        """
        words = {"metric": metric, "segment": DRIVER, "comparison": comparison, "against": self.made.outcome,
                 "method": method}  # fmt: skip
        parts = []
        for driver in self.made.drivers:
            mine = [place for place, (name, _) in enumerate(names) if name == driver.name]
            if not mine:
                status, note = self.trouble or (results.UNDEFINED, driver.fault)
                parts.append(results.frame(level=driver.name, status=status, note=note, **words))
                continue
            labels = [f"{driver.name}: {names[place][1]}" if names[place][1] else driver.name for place in mine]
            note = "; ".join(filter(None, [(more or {}).get(driver.name), *told(driver, self.made)]))
            numbers = {key: value[mine] for key, value in found.items()}
            parts.append(self._counted(results.frame(level=labels, note=note, **{**words, **numbers}), driver.known))
        return results.concat(parts)


def step(driver: Driver, made: Design) -> str:
    """Return what an effect of a driver is against: its reference level, `no` where it is 0 or 1, one point less."""
    return driver.reference or (NO if driver.number and driver.columns and is_binary(made, driver) else ONE_LESS)


def is_binary(made: Design, driver: Driver) -> bool:
    """Tell whether all answers to a number are 0 or 1; filled ones need not be."""
    value = made.numbers[:, driver.columns[0]]
    known = ~np.isnan(value)
    if len(driver.columns) > 1:
        known &= made.numbers[:, driver.columns[1]] == 0
    return set(np.unique(value[known])) <= {0.0, 1.0}


def percentiles(drawn: Numbers, confidence: float) -> tuple[Numbers, Numbers]:
    """Return the limits that leave (1 - confidence) / 2 of the draws beyond each; missing without draws."""
    if not len(drawn):
        return np.full(drawn.shape[1], np.nan), np.full(drawn.shape[1], np.nan)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return low, high


def _correlations(cov: Numbers) -> Numbers:
    unit = 1 / np.sqrt(np.diag(cov))
    return cov * np.outer(unit, unit)


def told(driver: Driver, made: Design, how: str = "maximum likelihood") -> list[str]:
    """Say what of a driver was missing, and how it was allowed for."""
    words = []
    if driver.skipped > 0 and driver.number:
        words.append(f"{100 * driver.skipped:.1f} % skipped it, allowed for by {how}")
    if driver.inapplicable > 0:
        words.append(f"does not apply to {100 * driver.inapplicable:.1f} %")
    if made.dropped:
        words.append(f"{made.dropped:,} rows without an outcome or weight left out")
    return words
