"""The doubt of a fit's parameters: draws of them and the limits that these give, and the delta method."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.value.bg_nbd import PARAMETERS, BgNbdFit
from cxlib.analysis.value.gamma_gamma import PARAMETERS as AMOUNTS
from cxlib.analysis.value.gamma_gamma import GammaGammaFit
from cxlib.measure.intervals import check_confidence, z_of
from cxlib.measure.rows import Numbers

Fit = BgNbdFit | GammaGammaFit
_STEP = 1e-3  # of a logarithm, either way


def log_covariance(fit: Fit) -> Numbers:
    """Return the covariance of the logarithms of the parameters, by the delta method."""
    return fit.covariance / np.outer(fit.parameters, fit.parameters)


def draw(fit: Fit, count: int, rng: np.random.Generator) -> Numbers:
    """Draw parameters: their logarithms are normal about the estimates; shape (count, k).

    Two standard normals with opposite signs follow each other (antithetic), so that the mean of a nearly linear
    figure over the draws is that of the estimate.
    """
    size = fit.parameters.size
    half = rng.standard_normal(((count + 1) // 2, size))
    normal = np.stack([half, -half], axis=1).reshape(-1, size)[:count]
    return fit.parameters * np.exp(normal @ np.linalg.cholesky(log_covariance(fit)).T)


def limits(samples: Numbers, confidence: float) -> tuple[Numbers, Numbers, Numbers]:
    """Return standard error, low and high of samples (draws, ...): their spread and their quantiles."""
    tail = (1 - check_confidence(confidence)) / 2
    low, high = np.quantile(samples, [tail, 1 - tail], axis=0)
    return np.asarray(samples.std(axis=0, ddof=1)), np.asarray(low), np.asarray(high)


def delta(fits: Sequence[Fit], figure: Callable[..., Numbers]) -> Numbers:
    """Return the standard error of figures of fitted parameters by the delta method.

    Parameters
    ----------
    fits
        Independent fits.
    figure
        Parameters of each fit, to figures of any shape; differentiated by central differences on the logarithms.
    """
    known, variance = [fit.parameters for fit in fits], np.zeros(())
    for place, fit in enumerate(fits):
        slopes = []
        for step in np.diag(np.full(fit.parameters.size, _STEP)):
            up, down = (figure(*[*known[:place], known[place] * np.exp(side * step), *known[place + 1 :]])
                        for side in (1, -1))  # fmt: skip
            slopes.append((up - down) / (2 * _STEP))
        bend = np.stack(slopes, axis=-1)
        variance = variance + np.einsum("...i,ij,...j->...", bend, log_covariance(fit), bend)
    return np.sqrt(np.maximum(variance, 0.0))


def above_zero(value: Numbers, error: Numbers, confidence: float) -> tuple[Numbers, Numbers]:
    """Return limits of a figure that cannot be below 0, symmetric on its logarithm."""
    spread = np.exp(z_of(confidence) * error / np.maximum(value, 1e-300))
    return value / spread, value * spread


def parameters(fit: Fit, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return the parameters of a fit with their intervals, one row each.

    Parameters
    ----------
    fit
        Of `fit_bg_nbd` or `fit_gamma_gamma`.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame: metric `parameter`, its name in `level`; the interval is symmetric on the logarithm. `undefined`
        with the reason where the fit did not converge.
    """
    bg = isinstance(fit, BgNbdFit)
    names, model = (PARAMETERS, "BG/NBD") if bg else (AMOUNTS, "Gamma-Gamma")
    n = float(fit.customers if isinstance(fit, BgNbdFit) else fit.repeat_buyers)
    error = np.sqrt(np.diag(fit.covariance))
    low, high = above_zero(fit.parameters, error, confidence)
    return results.frame(
        metric="parameter", segment="parameter", level=list(names), method=f"{model}, maximum likelihood, log interval",
        estimate=fit.parameters, std_error=error, conf_low=low, conf_high=high,
        n=n, status=results.OK if fit.converged else results.UNDEFINED, note=fit.note,
    )  # fmt: skip
