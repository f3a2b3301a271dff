"""What goes with leaving sooner? Cox's proportional hazards, one hazard ratio a covariate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from cxlib import results
from cxlib.analysis.doors import frame as must_be_frame
from cxlib.analysis.doors import require
from cxlib.analysis.loyalty import design, doors
from cxlib.analysis.loyalty.design import Column, Design
from cxlib.analysis.loyalty.kaplan import from_zero
from cxlib.analysis.loyalty.risksets import RiskSets, Solved
from cxlib.errors import UsageError
from cxlib.measure.intervals import check_confidence, z_of
from cxlib.measure.rows import Codes, Numbers

TIES = ("efron", "breslow")
_ENOUGH = 10  # events a coefficient (Peduzzi et al. 1995, J. Clin. Epidemiol. 48:1503)
_CLUSTERS = 30  # below so many customers the sandwich is too sure
_NOBODY = "nobody left: nothing tells what goes with leaving"
_UNTOLD = "the same, beside the covariates before it, for all who were watched when somebody left"
_ALONE = "too few customers for robust errors"
_ENDLESS = "no finite ratio: nobody left on one side of it, or everybody did before the others"


class Sample(NamedTuple):
    """The rows that a fit uses, those that lack something left out."""

    time: Numbers
    event: Numbers
    entry: Numbers | None
    stratum: Codes
    cluster: Codes | None
    note: str


@dataclass(frozen=True, eq=False)
class CoxFit:
    """A fitted proportional hazards model.

    Parameters
    ----------
    columns
        Covariates in the order given; of labels one column a level but the base.
    coefficients, covariance
        Logarithms of the hazard ratios and their covariance, shapes (p,) and (p, p); missing where `idle` says why.
    log_likelihood, log_likelihood_null
        Of the partial likelihood, at the coefficients and at 0.
    n, events
        Customers (rows without `cluster`) and those who left.
    ties
        `efron` or `breslow`.
    idle
        Why a coefficient has no number, an empty text where it has one.
    """

    columns: tuple[Column, ...]
    coefficients: Numbers
    covariance: Numbers
    log_likelihood: float
    log_likelihood_null: float
    n: int
    events: int
    ties: str
    idle: tuple[str, ...]
    sample: Sample
    risk: RiskSets
    solved: Solved
    counts: Numbers

    def ratios(self, confidence: float = 0.95, min_n: int = 1) -> pd.DataFrame:
        """Return the hazard ratios as result rows, see `hazard_ratios`."""
        z = z_of(check_confidence(confidence))
        beta, error = self.coefficients, np.sqrt(np.diagonal(self.covariance))
        none = np.array([bool(why) for why in self.idle])
        robust = "" if self.sample.cluster is None else ", cluster-robust"
        with np.errstate(over="ignore"):
            value, low, high = np.exp(beta), np.exp(beta - z * error), np.exp(beta + z * error)
        live = int((~none).sum())
        few = self.events < _ENOUGH * live
        alone = bool(robust) and self.n < _CLUSTERS
        told = [f"{self.events} events for {live} coefficients: read with care"] if few else []
        told += [f"{self.n} customers: robust errors are too small with so few"] if alone else []
        note = "; ".join([*told, *([self.sample.note] if self.sample.note else [])])
        found = results.frame(
            metric="hazard_ratio", segment="covariate", level=[column.name for column in self.columns],
            against=[column.against for column in self.columns],
            method=f"Cox, {self.ties.capitalize()} ties, Wald{robust}; std_error of the logarithm",
            estimate=value, std_error=error, conf_low=low, conf_high=high, n=float(self.n), n_eff=float(self.events),
            p_value=2 * special.ndtr(-np.abs(beta / error)),
            status=np.where(none, results.UNDEFINED, results.OK), note=np.where(none, self.idle, note),
        )  # fmt: skip
        least = np.fmin(found["n"], self.counts)
        return results.conform(results.suppress(found.assign(n=least), min_n).assign(n=found["n"]))


def hazard_ratios(
    frame: pd.DataFrame,
    duration: str,
    event: str,
    covariates: Sequence[str],
    *,
    ties: str = "efron",
    entry: str | None = None,
    cluster: str | None = None,
    strata: str | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Estimate by how much the hazard of leaving is multiplied by one unit more of each covariate, the others equal.

    Parameters
    ----------
    frame
        One row a customer; or several, each a stretch of time (`entry` to `duration`) with the covariates of it.
    duration
        Column of the time at which the row ends, in any unit.
    event
        Column that says whether the customer left then (true or 1) or not (false or 0).
    covariates
        Columns. Levels are compared with the first of a categorical, in its own order, and with the commonest of text,
        among the rows that lack nothing.
    ties
        `efron` (default, as R) or `breslow`: what to do with customers who left at the same time.
    entry
        Column of the time from which on the row was watched; a row is at risk after `entry` and up to `duration`,
        and from 0 on where `entry` is 0.
    cluster
        Column of the customer where one may leave several times: robust errors (Lin and Wei 1989 JASA 84:1074).
    strata
        Column within whose levels customers are compared, each with a hazard of its own over time.
    confidence
        Of the intervals, Wald's on the logarithm.
    min_n
        Rows with fewer customers (of `cluster`), fewer of the level or fewer of its base are suppressed.

    Returns
    -------
    pandas.DataFrame
        A result frame, one row a covariate (`plan: Pro` for a level, its base in `against`): estimate and limits are
        hazard ratios, `std_error` is that of the logarithm, `n` customers, `n_eff` events. `undefined` where nobody
        left, a covariate is the same for all, is a combination of others, or has no finite ratio.

    Raises
    ------
    UsageError
        For columns that do not exist or hold what they may not, an unknown way with ties, and no rows.

    Source: Cox (1972) J. R. Stat. Soc. B 34:187; Efron (1977) JASA 72:557; as R survival, `coxph`.
    """
    check_confidence(confidence)
    found = cox(frame, duration, event, covariates, ties=ties, entry=entry, cluster=cluster, strata=strata)
    return found.ratios(confidence, min_n)


def cox(
    frame: pd.DataFrame,
    duration: str,
    event: str,
    covariates: Sequence[str],
    *,
    ties: str = "efron",
    entry: str | None = None,
    cluster: str | None = None,
    strata: str | None = None,
) -> CoxFit:
    """Fit proportional hazards once, for `hazard_ratios`, `proportional_hazards` and `concordance`.

    Parameters, errors and source as `hazard_ratios`.
    """
    if ties not in TIES:
        raise UsageError(f"'{ties}' is no way with ties; there are {', '.join(TIES)}")
    names = design.check(must_be_frame(frame), covariates)
    roles = {"duration": duration, "event": event, "entry": entry, "cluster": cluster, "strata": strata}
    require(frame, {role: name for role, name in roles.items() if name is not None})
    both = [f"covariate '{name}' is both covariate and {role}" for role, name in roles.items()
            if role in ("duration", "event") and name in names]  # fmt: skip
    if both:
        raise UsageError("; ".join(both), hint="What is to be explained explains itself: leave it out.")
    sample, kept = _sample(frame, roles, names)
    columns, values = design.columns_of(frame, names, kept)
    found = design.standardise(columns, values, sample.cluster)
    risk = RiskSets.of(found.x, sample.time, sample.event, sample.entry, sample.stratum, efron=ties == "efron")
    if sample.event.any():
        told = risk.identified()
        found, risk = design.without(found, ~told, _UNTOLD), replace(risk, x=risk.x[:, told])
    return _fit(found, risk, risk.solve(), sample, ties)


def _fit(found: Design, risk: RiskSets, solved: Solved, sample: Sample, ties: str) -> CoxFit:
    """Bring a solution back from the scale of standardised covariates, and say which coefficients are none."""
    live = np.array([not column.idle for column in found.columns])
    places, events = np.flatnonzero(live), int(sample.event.sum())
    beta, covariance = np.full(live.size, np.nan), np.full((live.size, live.size), np.nan)
    beta[places] = solved.beta / found.scale
    covariance[np.ix_(places, places)] = _covariance(risk, solved, sample) / np.outer(found.scale, found.scale)
    idle = [column.idle for column in found.columns]
    people = sample.time.size if sample.cluster is None else int(sample.cluster.max()) + 1
    few = sample.cluster is not None and people <= int((~solved.endless).sum())
    for place, endless in zip(places, solved.endless, strict=True):
        alone = few or not covariance[place, place] > 0
        idle[place] = _NOBODY if not events else _ENDLESS if endless else _ALONE if alone else ""
    none = np.array([bool(why) for why in idle])
    beta[none], covariance[none, :], covariance[:, none] = np.nan, np.nan, np.nan
    return CoxFit(
        found.columns, beta, covariance, solved.at.value, solved.null, people, events, ties, tuple(idle), sample,
        risk, solved, found.counts,
    )  # fmt: skip


def _covariance(risk: RiskSets, solved: Solved, sample: Sample) -> Numbers:
    """Return the inverse information, or what customers' residuals make of it where one may leave several times."""
    finite = np.flatnonzero(~solved.endless)
    here = np.ix_(finite, finite)
    out = np.full(solved.at.information.shape, np.nan)
    plain = np.linalg.pinv(solved.at.information[here], rcond=1e-13, hermitian=True)
    out[here] = plain
    if sample.cluster is not None and finite.size:
        pull = risk.score_residuals(solved.beta)[:, finite] @ plain
        count = int(sample.cluster.max()) + 1
        total = np.stack([np.bincount(sample.cluster, column, count) for column in pull.T], axis=1)
        out[here] = total.T @ total
    return out


def _sample(
    frame: pd.DataFrame, roles: Mapping[str, str | None], names: Sequence[str]
) -> tuple[Sample, NDArray[np.bool_]]:
    """Return what is known of the rows that lack nothing, and which these are."""
    size, start, customer, layer = len(frame), roles["entry"], roles["cluster"], roles["strata"]
    time = doors.spans(str(roles["duration"]), frame[roles["duration"]])
    event = doors.flags(str(roles["event"]), frame[roles["event"]], size)
    entry = None if start is None else from_zero(doors.spans(start, frame[start]))
    who = None if customer is None else doors.customers(frame[customer])
    stratum = np.zeros(size, dtype=np.int64) if layer is None else doors.labels(frame[layer], size).codes
    blank = {name: design.missing(frame, name) for name in names}
    blank |= {str(roles["duration"]): np.isnan(time), str(roles["event"]): np.isnan(event)}
    blank |= {} if entry is None else {str(start): np.isnan(entry)}
    blank |= {} if who is None else {str(customer): who < 0}
    blank |= {} if layer is None else {str(layer): stratum < 0}
    lacking = np.logical_or.reduce(list(blank.values()))
    early = ~lacking & (time <= (-np.inf if entry is None else entry))
    kept = ~(lacking | early)
    most = sorted(((int(mask.sum()), name) for name, mask in blank.items() if mask.any()), reverse=True)
    why = f"of {size} lacking a value ({', '.join(f'{name} {count}' for count, name in most[:3])})"
    note = doors.listed([(int(lacking.sum()), why), (int(early.sum()), "that end where they begin")])
    if not kept.any():
        raise UsageError("no row has all the covariates, a duration and an event", hint=note)
    entry, who = (None if part is None else part[kept] for part in (entry, who))
    if who is not None:
        who = np.unique(who, return_inverse=True)[1]
    return Sample(time[kept], event[kept], entry, stratum[kept], who, note), kept
