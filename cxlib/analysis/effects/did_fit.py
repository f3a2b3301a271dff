"""The regressions behind a difference-in-differences, with the errors that their clusters bear."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from cxlib import results
from cxlib.analysis.doors import Mask
from cxlib.analysis.effects.clusters import (
    CLASSICAL,
    CLUSTER,
    FEW,
    NO_ERROR,
    Fitted,
    effects_absorbed,
    least_squares,
    sound,
    without_both,
    without_units,
)
from cxlib.analysis.effects.did_rows import Rows
from cxlib.measure.rows import Codes, Numbers

_PLACEBOS = 200  # with more untreated clusters, this many of them, evenly spaced
_LEAST_PLACEBOS = 4
_WORDS = {CLASSICAL: "classical errors", "hc1": "robust errors (HC1)", CLUSTER: "errors by cluster (CR1)"}
_CR2 = "errors by cluster (CR2, Bell-McCaffrey)"
Regression = tuple[Numbers, Numbers, int]  # columns, the effect first; outcome; fixed effects taken out


class Form(Protocol):
    """How rows become a regression."""

    def regression(self, rows: Rows) -> Regression:
        """Return the regression."""

    def whole(self, rows: Rows) -> Regression:
        """Return it with the columns of all effects that lie across clusters, as CR2 needs it."""

    def sides(self, rows: Rows) -> tuple[Mask, Mask]:
        """Return which clusters hold treated rows and which untreated ones to compare them with."""

    def pretended(self, rows: Rows, treated: Mask, one: int) -> Rows:
        """Return the rows without the treated clusters, as if cluster `one` were treated in their place."""


@dataclass(frozen=True)
class InGroups:
    """Group x period: who is treated is the same throughout; treatment runs from the place `start` on."""

    start: int

    def regression(self, rows: Rows) -> Regression:
        """Return the interaction, group, period, constant, covariates about their means."""
        after = (rows.time >= self.start).astype(float)
        extra = rows.extra - rows.extra.mean(axis=0)
        return np.column_stack([rows.treated * after, rows.treated, after, np.ones(after.size), extra]), rows.y, 0

    def whole(self, rows: Rows) -> Regression:
        """Return the same: nothing is taken out."""
        return self.regression(rows)

    def sides(self, rows: Rows) -> tuple[Mask, Mask]:
        """Return the clusters with treated rows, and those with untreated ones."""
        return _any(rows, rows.treated == 1), _any(rows, rows.treated == 0)

    def pretended(self, rows: Rows, treated: Mask, one: int) -> Rows:
        """Return the untreated clusters, one of them as if it were treated."""
        return _without(replace(rows, treated=np.equal(rows.cluster, one).astype(float)), treated)


@dataclass(frozen=True)
class InBoth:
    """Effects of units and periods: who is treated when stands in the rows."""

    def regression(self, rows: Rows) -> Regression:
        """Return treatment and covariates less the effects of units and periods."""
        values, unit = self._columns(rows)
        found = without_both(values, unit, rows.time)
        return found[:, 1:], found[:, 0], effects_absorbed(unit, rows.time)

    def whole(self, rows: Rows) -> Regression:
        """Return treatment, covariates and periods less the effects of units, which lie within clusters."""
        values, unit = self._columns(rows)
        periods = np.equal.outer(rows.time, np.unique(rows.time)[1:]).astype(float)
        found = without_units(np.column_stack([values, periods]), unit)
        return found[:, 1:], found[:, 0], int(unit.max()) + 1

    def _columns(self, rows: Rows) -> tuple[Numbers, Codes]:
        assert rows.unit is not None  # without units nothing varies within them
        return np.column_stack([rows.y, rows.treated, rows.extra]), rows.unit

    def sides(self, rows: Rows) -> tuple[Mask, Mask]:
        """Return the clusters that are ever treated and, where there are any, those that never are."""
        ever = _any(rows, rows.treated == 1)
        return ever, ~ever if not ever.all() else ever

    def pretended(self, rows: Rows, treated: Mask, one: int) -> Rows:
        """Return the never treated clusters, one of them as if treated when the treated one was."""
        when = np.zeros(rows.axis.size)
        np.maximum.at(when, rows.time, rows.treated)
        return _without(replace(rows, treated=when[rows.time] * (rows.cluster == one)), treated)


@dataclass(frozen=True)
class OverTime(InGroups):
    """Group x time: an effect at each of `times` but one, before which all is compared with."""

    times: tuple[int, ...]

    def regression(self, rows: Rows) -> Regression:
        """Return the group at each time, then covariates, less the effects of units, or of the group, and of times."""
        values = np.column_stack([rows.y, self._apart(rows), rows.extra])
        unit = rows.treated.astype(np.int64) if rows.unit is None else rows.unit
        found = without_both(values, unit, rows.time)
        return found[:, 1:], found[:, 0], int(rows.time.max()) + 2  # effects of units lie within clusters

    def whole(self, rows: Rows) -> Regression:
        """Return it with columns of the times and, without units, of the group."""
        periods = np.equal.outer(rows.time, np.unique(rows.time)[1:]).astype(float)
        values = np.column_stack([rows.y, self._apart(rows), rows.extra, periods])
        if rows.unit is None:
            own = np.column_stack([values[:, 1:], rows.treated, np.ones(rows.y.size)])
            return own, rows.y, 0
        found = without_units(values, rows.unit)
        return found[:, 1:], found[:, 0], int(rows.unit.max()) + 1

    def _apart(self, rows: Rows) -> Numbers:
        return np.equal.outer(rows.time, np.array(self.times)) * rows.treated[:, None]


def _any(rows: Rows, which: Mask) -> Mask:
    """Return the clusters that have any of some rows."""
    return np.asarray(np.bincount(rows.cluster, which) > 0)


def _without(rows: Rows, clusters: Mask) -> Rows:
    return rows.take(~clusters[rows.cluster])


@dataclass(frozen=True, eq=False)
class Found:
    """A regression, which errors it has, and what must be said of them; without `fit`, why there is none."""

    fit: Fitted | None
    words: str = ""
    note: str = ""
    status: str = results.UNDEFINED


def fitted(rows: Rows, form: Form, effects: int = 1) -> Found:
    """Fit with the errors that the clusters bear: CR1 for many, CR2 for few, placebos for a single treated one.

    The first columns are the `effects`; placebos measure the errors of these alone.
    """
    found = _fitted(rows, form, effects)
    if found.fit is None:
        return found
    chosen = slice(0, effects)
    fine = sound(np.diag(found.fit.cov)[chosen], found.fit.freedom[chosen], rows.y).all()
    return found if fine else Found(None, note=NO_ERROR, status=results.TOO_FEW)


def _fitted(rows: Rows, form: Form, effects: int) -> Found:
    if rows.errors != CLUSTER:
        fit = least_squares(*form.regression(rows)[:2], errors=rows.errors)
        return Found(fit, _WORDS[rows.errors]) if fit else _no_fit()
    treated, untreated = form.sides(rows)
    counts = int(treated.sum()), int(untreated.sum())
    if min(counts) == 1:
        return _from_placebos(rows, form, treated, counts, effects)
    few = min(counts) < FEW
    x, y, absorbed = form.whole(rows) if few else form.regression(rows)
    fit = least_squares(x, y, errors=CLUSTER, cluster=rows.cluster, absorbed=absorbed, few=few)
    if fit is None:
        return _no_fit()
    side = "treated" if counts[0] <= counts[1] else "untreated"
    note = f"{min(counts)} {side} clusters: the interval is wide for their number" if few else ""
    return Found(fit, _CR2 if few else _WORDS[CLUSTER], note)


def _no_fit() -> Found:
    return Found(None, note="the effect cannot be told from groups, periods and covariates, or no row is left over")


def _from_placebos(rows: Rows, form: Form, treated: Mask, counts: tuple[int, int], effects: int) -> Found:
    """Return the effect on a single cluster, its error from taking each other one for it."""
    told = f"{counts[0]} treated and {counts[1]} untreated cluster{'s' * (counts[1] != 1)}"
    if counts[0] != 1 or counts[1] < _LEAST_PLACEBOS or (treated & form.sides(rows)[1]).any():
        return Found(None, note=f"{told}: nothing tells how much clusters differ", status=results.TOO_FEW)
    fit = least_squares(*form.regression(rows)[:2], errors=CLASSICAL)
    others = np.flatnonzero(~treated)
    chosen = others[np.unique(np.linspace(0, others.size - 1, min(others.size, _PLACEBOS)).astype(int))]
    found = [_alone(form.pretended(rows, treated, int(one)), form, effects) for one in chosen]
    spread = np.array([one for one in found if np.isfinite(one).all()]).reshape(-1, effects)
    if fit is None or len(spread) < _LEAST_PLACEBOS:
        return _no_fit()
    cov = np.full((fit.beta.size,) * 2, np.nan)
    cov[:effects, :effects] = spread.T @ spread / len(spread)
    freedom = np.full(fit.beta.size, len(spread) - 1.0)
    note = f"{told}: the error is the spread of {len(spread)} placebos, and takes the treated one to be as noisy"
    return Found(replace(fit, cov=cov, freedom=freedom, clusters=sum(counts)), "errors from placebos in space", note)


def _alone(rows: Rows, form: Form, effects: int) -> Numbers:
    fit = least_squares(*form.regression(rows)[:2], errors=CLASSICAL)
    return np.full(effects, np.nan) if fit is None else fit.beta[:effects]
