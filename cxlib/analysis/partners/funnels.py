"""Who stands out for so few answers? Control limits against volume, with what no case mix explains allowed for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from cxlib import results
from cxlib.analysis.partners.fits import Fit, hidden, nothing, table_of
from cxlib.analysis.partners.rows import SCALE
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure import intervals
from cxlib.measure.rows import Numbers
from cxlib.measure.verdicts import adjust

OVERDISPERSIONS = ("additive", "multiplicative", "none")
LIMITS = (0.95, 0.998)
_WORDS = {way: f"{way} overdispersion" for way in OVERDISPERSIONS} | {"none": "no overdispersion"}
_WINSORISED, _HALVINGS, _POINTS = 0.1, 50, 60


@dataclass(frozen=True)
class Dispersion:
    """How much more the partners' figures scatter about the centre than their answers alone would make them.

    Parameters
    ----------
    centre
        The mean of all rows.
    base
        Variance of one independent row of a partner that stands at the centre.
    phi
        Mean squared z, the outermost tenth on either side drawn in (Spiegelhalter 2005b, 3.1).
    tau2
        Variance between partners that phi speaks for.
    kind, way
        Of the outcome; `additive`, `multiplicative` or `none`.
    """

    centre: float
    base: float
    phi: float
    tau2: float
    kind: str
    way: str

    def variance(self, sampling: Numbers) -> Numbers:
        """Return the variance of a figure about the centre that is in control."""
        if self.way == "additive":
            return sampling + self.tau2
        return sampling * (max(self.phi, 1.0) if self.way == "multiplicative" else 1.0)

    def z(self, value: Numbers, sampling: Numbers) -> Numbers:
        """Return how far a figure lies from the centre in standard errors; of shares by binomial mid-p.

        A share of p with a variance V counts as one of centre (1 - centre) / V answers.
        """
        total = self.variance(sampling)
        if self.kind != "share":
            return (value - self.centre) / np.sqrt(total)
        size = self.centre * (1 - self.centre) / total
        hits = np.clip(value, 0, 1) * size
        more = np.where(hits < size, special.betainc(hits + 1, np.maximum(size - hits, 1e-300), self.centre), 0.0)
        least = np.where(hits > 0, special.betainc(np.maximum(hits, 1e-300), size - hits + 1, self.centre), 1.0)
        return -special.ndtri(np.clip((more + least) / 2, 1e-300, 1 - 1e-16))

    def limits(self, sampling: Numbers, confidence: float) -> intervals.Limits:
        """Return between which figures a partner in control lies."""
        far = float(intervals.z_of(confidence))
        if self.kind != "share":
            half = far * np.sqrt(self.variance(sampling))
            return tuple(np.clip(self.centre + sign * half, *SCALE[self.kind]) for sign in (-1, 1))  # type: ignore[return-value]
        return self._where(sampling, -far), self._where(sampling, far)

    def _where(self, sampling: Numbers, z: float) -> Numbers:
        """Return the share whose z is `z`, by bisection; 0 or 1 where even these are nearer."""
        low, high = np.zeros(sampling.shape), np.ones(sampling.shape)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            under = self.z(middle, sampling) < z
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return (low + high) / 2


def dispersion(found: Fit, overdispersion: str = "additive") -> Dispersion:
    """Return the centre of the funnel and how far partners scatter beyond chance.

    Spiegelhalter (2005a) Statist. Med. 24:1185, and (2005b) Qual. Saf. Health Care 14:347: z winsorised at 10 %, phi
    its mean square; additive, the random effect of DerSimonian and Laird at that phi.
    """
    if overdispersion not in OVERDISPERSIONS:
        near = did_you_mean(overdispersion, OVERDISPERSIONS)
        raise UsageError(f"'{overdispersion}' is no overdispersion; there are {', '.join(OVERDISPERSIONS)}{near}")
    summary = found.summary
    assert summary is not None
    centre, base = summary.overall, summary.base
    if found.kind == "share":
        base = float(summary.binomial(np.full(summary.n.size, centre)).unit[0])
    plain = Dispersion(centre, base, 1.0, 0.0, found.kind, "none")
    sampling = sampling_of(found, base)
    z = plain.z(summary.adjusted, sampling)
    z = np.clip(z, *np.quantile(z, [_WINSORISED, 1 - _WINSORISED]))
    phi, weight, k = float((z**2).mean()), 1 / sampling, z.size
    spare = weight.sum() - (weight**2).sum() / weight.sum()
    tau2 = max(0.0, (k * phi - (k - 1)) / spare) if k > 1 else 0.0
    return Dispersion(centre, base, phi, tau2, found.kind, overdispersion)


def sampling_of(found: Fit, base: float) -> Numbers:
    """Return the variance of each partner's figure if its rows vary as those of all do."""
    assert found.summary is not None
    return np.maximum(base, 1e-12) / found.summary.worth + found.summary.slope


def funnel(found: Fit, *, overdispersion: str = "additive", alpha: float = 0.05) -> pd.DataFrame:
    """Say which partners lie outside what their volume explains, allowing for the number of partners.

    Parameters
    ----------
    found
        From `fit`.
    overdispersion
        `additive` (partners differ for reasons that no column holds, by a common variance), `multiplicative` (every
        variance is phi times as large) or `none` (any true difference from the mean is to be found).
    alpha
        Share of the partners called outside that may be so by chance (Benjamini and Hochberg).

    Returns
    -------
    pandas.DataFrame
        One row a partner: the adjusted figure, not shrunk, with its interval; `p_value` of being in control, by z (of
        shares: binomial mid-p), `p_adjusted`, and the verdict `moved` where the partner is outside. `at` says "funnel".
        `n_eff` is the volume that the limits depend on.
    """
    if found.summary is None:
        return nothing(found, at="funnel")
    about = dispersion(found, overdispersion)
    summary, z = found.summary, about.z(found.summary.adjusted, sampling_of(found, about.base))
    p_value = 2 * special.ndtr(-np.abs(z))
    p_value[np.isin(summary.names, found.unseen)] = np.nan  # nobody looks at these
    outer = adjust(p_value)
    half = intervals.z_of(found.confidence) * np.sqrt(summary.variance)
    told = {"additive": f" (tau {np.sqrt(about.tau2):.3g})", "multiplicative": f" (phi {max(about.phi, 1):.3g})"}
    method = f"funnel, {_WORDS[overdispersion]}{told.get(overdispersion, '')}"
    table = table_of(
        found, summary.adjusted, np.sqrt(summary.variance), (summary.adjusted - half, summary.adjusted + half), method,
        at="funnel", p_value=p_value, p_adjusted=outer, verdict=np.where(outer < alpha, "moved", "not shown"),
    )  # fmt: skip
    return results.conform(table.assign(verdict=table["verdict"].where(table["status"] == results.OK, "")))


def funnel_limits(found: Fit, *, overdispersion: str = "additive", limits: Sequence[float] = LIMITS) -> pd.DataFrame:
    """Return the control limits over the range of the volumes shown, for the lines of a funnel plot.

    Parameters
    ----------
    found, overdispersion
        As in `funnel`.
    limits
        Shares of partners in control that lie within; 95 and 99.8 % are two and three standard errors.

    Returns
    -------
    pandas.DataFrame
        60 rows a limit: `level` says which ("95 % limits"), `at` and `n_eff` the volume, the estimate is the centre,
        `conf_low` and `conf_high` the limits.
    """
    if found.summary is None:
        return nothing(found, at="limits")
    for one in limits:
        intervals.check_confidence(one)
    about, shown = dispersion(found, overdispersion), ~np.isin(found.summary.names, found.unseen)
    if not shown.any():
        return hidden(nothing(found, at="limits").assign(status=results.OK), found)
    worth = found.summary.worth[shown]
    volume = np.geomspace(max(worth.min(), 1.0), max(worth.max(), 2.0), _POINTS)
    parts = []
    for one in limits:
        low, high = about.limits(np.maximum(about.base, 1e-12) / volume, one)
        parts.append(
            results.frame(
                metric=found.metric, segment=found.partner, level=f"{100 * one:g} % limits",
                at=np.array([f"{size:.4g}" for size in volume], dtype=object), estimate=about.centre, conf_low=low,
                conf_high=high, n_eff=volume, method=f"control limits, {_WORDS[overdispersion]}",
            )
        )  # fmt: skip
    return results.concat(parts)
