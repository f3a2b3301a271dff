"""Whether the models may be used: what they assume, looked at before a value is given."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special, stats

from cxlib import results
from cxlib.analysis.value.bg_nbd import BgNbdFit
from cxlib.analysis.value.door import counts, spending
from cxlib.analysis.value.gamma_gamma import GammaGammaFit
from cxlib.measure import estimates
from cxlib.measure.intervals import z_of
from cxlib.measure.rows import Numbers

LEAST_REPEAT = 100  # repeat buyers; see tests/test_analysis_value_checks.py for what fewer do
MOST_CORRELATION = 0.3  # of frequency and mean amount, in size, that the interval must reach down to
_SEEN = 0.1  # a correlation below this is not worth a word
_CLASSES = 7  # 0 to 6 repeat purchases, and more
_LEAST_EXPECTED = 5.0  # customers in a class of the chi-square test (Cochran 1954)
HOLDS, DOUBT, REFUSES = "holds", "doubt", "refuses"


def checks(
    summary: pd.DataFrame,
    purchases: BgNbdFit,
    spend: GammaGammaFit | None = None,
    *,
    season: pd.DataFrame | None = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Look at what the models assume, one row a check.

    Parameters
    ----------
    summary
        Of `summarise_transactions`: the customers whose value is asked for.
    purchases, spend
        The fits.
    season
        Result frame of `season`, whose tests are added.
    confidence
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        A result frame; the check in `metric`: `repeat_buyers` (share of customers, with their number), `purchase_fit`
        (chi-square test of how many customers bought how often), `frequency_value_correlation` (Pearson, of repeat
        buyers), `spend_fit` (Kolmogorov-Smirnov test of the mean amounts), and of `season` `calendar` and `trend`.
        `note` begins with `holds`, `doubt` (use the value with care) or `refuses` (`lifetime_value` gives none).

    Source: what Fader and Hardie (2005, 2013) test on CDNOW; thresholds are ours and are said in the notes.
    """
    x, _, end = counts(summary["frequency"], summary["recency"], summary["T"])
    repeat, size = int(np.count_nonzero(x)), x.size
    if purchases.customers:  # whom the fit stands on; the summary may be of others
        repeat, size = purchases.repeat_buyers, purchases.customers
    parts = [_repeat_buyers(repeat, size, confidence), _purchase_fit(x, end, purchases)]
    if spend is not None:
        x, mean = spending(x, summary["monetary_value"])
        kept = (x > 0) & (np.where(x > 0, mean, 0.0) > 0)
        parts += [_correlation(x[kept], mean[kept], confidence), _spend_fit(x[kept], mean[kept], spend)]
    if season is not None:
        parts.append(season[season["metric"].isin(["calendar", "trend"])])
    return results.concat(parts)


def refusals(found: pd.DataFrame) -> list[str]:
    """Return the reasons in the rows of `checks` for which no value may be given."""
    return [note.removeprefix(f"{REFUSES}: ") for note in found["note"] if note.startswith(REFUSES)]


def _repeat_buyers(repeat: int, size: int, confidence: float) -> pd.DataFrame:
    """Return the share of customers who bought again, and whether they are enough."""
    enough = repeat >= LEAST_REPEAT
    words = f"{repeat:,} repeat buyers" + ("" if enough else f", fewer than the {LEAST_REPEAT} that a fit needs")
    found = estimates.share(repeat, size, confidence=confidence)
    return results.label(found, metric="repeat_buyers", note=f"{HOLDS if enough else REFUSES}: {words}")


def _purchase_fit(x: Numbers, end: Numbers, fit: BgNbdFit) -> pd.DataFrame:
    """Compare how many customers bought how often with what the model expects of them."""
    what = {"metric": "purchase_fit", "comparison": "test", "method": "chi-square of repeat purchases", "n": x.size}
    if not fit.converged:
        return _unfitted(what, f"the purchase model could not be fitted: {fit.note}")
    expected = _expected(fit.parameters, end)
    observed = np.bincount(np.minimum(x, _CLASSES).astype(int), minlength=_CLASSES + 1).astype(float)
    observed, expected = _pooled(observed, expected)
    freedom = observed.size - 1 - 4
    if freedom < 1:
        return results.frame(
            **what, status=results.TOO_FEW, note=f"{DOUBT}: too few classes of purchases to test the fit"
        )
    statistic = float(((observed - expected) ** 2 / expected).sum())
    p = float(special.chdtrc(freedom, statistic))
    away = float(np.abs(observed - expected).sum() / 2 / x.size)
    told = f"chi-square {statistic:.2f}, {freedom} degrees of freedom; {away * 100:.1f} % of customers in another class"
    doubt = p < 0.05 and away > 0.02
    return results.frame(**what, p_value=p, note=f"{DOUBT if doubt else HOLDS}: {told} than expected")


def _expected(parameters: Numbers, end: Numbers) -> Numbers:
    """Return the customers to expect with 0, 1, ... repeat purchases, the last class open, shape (classes,)."""
    r, alpha, a, b = parameters
    times, often = np.unique(end, return_counts=True)
    x, w = np.arange(_CLASSES)[:, None], times / (alpha + times)
    exactly = np.exp(
        special.betaln(a, b + x) - special.betaln(a, b) + special.gammaln(r + x) - special.gammaln(r)
        - special.gammaln(x + 1) + r * np.log1p(-w) + special.xlogy(x, w)
    )  # fmt: skip
    before = np.where(x > 0, x, 1)
    stopped = np.exp(special.betaln(a + 1, b + before - 1) - special.betaln(a, b)) * special.betainc(before, r, w)
    found = (exactly + np.where(x > 0, stopped, 0.0)) @ often
    return np.append(found, end.size - found.sum())


def _pooled(observed: Numbers, expected: Numbers) -> tuple[Numbers, Numbers]:
    """Add up the last classes until each is expected to hold five customers."""
    while expected.size > 1 and expected[-1] < _LEAST_EXPECTED:
        observed, expected = (np.append(part[:-2], part[-2:].sum()) for part in (observed, expected))
    return observed, expected


def _correlation(x: Numbers, mean: Numbers, confidence: float) -> pd.DataFrame:
    """Correlate how often and how much: the value model assumes that the two have nothing to do with each other."""
    what = {"metric": "frequency_value_correlation", "method": "Pearson, repeat buyers, Fisher's z", "n": x.size}
    if x.size < 4 or np.ptp(x) == 0 or np.ptp(mean) == 0:
        return results.frame(
            **what, status=results.TOO_FEW, note=f"{DOUBT}: too few different repeat buyers to correlate"
        )
    r = float(np.clip(np.corrcoef(x, mean)[0, 1], -1 + 1e-12, 1 - 1e-12))
    half = z_of(confidence) / np.sqrt(x.size - 3)
    low, high = np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)
    p = 2 * stats.norm.sf(abs(np.arctanh(r)) * np.sqrt(x.size - 3))
    near = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    who = "more" if r > 0 else "less"
    word = REFUSES if near > MOST_CORRELATION else DOUBT if near > 0 and abs(r) > _SEEN else HOLDS
    told = (
        f"those who buy more often spend {who} per purchase (correlation {r:.2f})" if near else "no correlation shown"
    )
    told += "; fit groups of customers who buy alike apart" if word == REFUSES else ""
    return results.frame(
        **what, estimate=r, std_error=(1 - r**2) / np.sqrt(x.size - 3), conf_low=low, conf_high=high, p_value=p,
        note=f"{word}: {told}",
    )  # fmt: skip


def _spend_fit(x: Numbers, mean: Numbers, fit: GammaGammaFit) -> pd.DataFrame:
    """Compare the distribution of mean amounts with the model's: x z / (x z + v) is beta (p x, q)."""
    what = {"metric": "spend_fit", "comparison": "test", "method": "Kolmogorov-Smirnov, fitted parameters", "n": x.size}
    if not fit.converged:
        return _unfitted(what, f"the value model could not be fitted: {fit.note}")
    p, q, v = fit.parameters
    if q <= 1:
        return _unfitted(what, f"the value model has no mean amount (q is {q:.2f}, at most 1)")
    found = stats.kstest(special.betainc(p * x, q, x * mean / (x * mean + v)), "uniform")
    far = float(found.statistic)
    word = DOUBT if found.pvalue < 0.05 and far > 0.05 else HOLDS
    left = f"; without {fit.left_out:,} whose mean amount is not above 0" if fit.left_out else ""
    told = f"at most {far * 100:.1f} % of mean amounts lie elsewhere than expected{left}"
    return results.frame(**what, p_value=float(found.pvalue), note=f"{word}: {told}")


def _unfitted(what: dict[str, object], reason: str) -> pd.DataFrame:
    return results.frame(**what, status=results.UNDEFINED, note=f"{REFUSES}: {reason}")
