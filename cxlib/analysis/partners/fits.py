"""Partners side by side: raw, with equal case mix, and shrunk by what chance alone would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cxlib import results
from cxlib.analysis import hiding
from cxlib.analysis.partners import pooling
from cxlib.analysis.partners.adjusting import Summary, summarise
from cxlib.analysis.partners.betas import BetaPosterior, Drawn
from cxlib.analysis.partners.pooling import Mixture, Posterior
from cxlib.analysis.partners.rows import SCALE, Rows, rows_of
from cxlib.errors import UsageError
from cxlib.measure import formulas, intervals
from cxlib.measure.moments import Moments
from cxlib.measure.rows import Numbers

_EQUAL = "all answers are equal: there is nothing to compare"
_ALIKE = "all its answers are equal"
_FEW_ROWS = "no partner has more answers than it takes to tell noise from difference"
_FEW_PARTNERS = f"fewer than {pooling.FEWEST} partners: their spread cannot be learnt, so nothing is shrunk"


@dataclass(frozen=True)
class Fit:
    """What `fit` found; `raw`, `adjusted`, `shrunk`, `ranks`, `tiers`, `funnel` and `spread` read it.

    Parameters
    ----------
    metric, partner, kind
        Name of the outcome, the column of the partners, and mean, share or nps.
    rows, summary
        The answers, and what they say of each partner; no summary where the answers cannot tell.
    posterior
        Of the true values; None with fewer than three partners.
    confidence, min_n
        Of all intervals; the least distinct customers of a row that is shown.
    """

    metric: str
    partner: str
    kind: str
    rows: Rows
    summary: Summary | None
    posterior: Posterior | BetaPosterior | None
    confidence: float
    min_n: int
    reason: str

    @property
    def tau2(self) -> float:
        """Between-partner variance by restricted maximum likelihood; NaN where it cannot be had."""
        return float(pooling.reml(*self.figures)) if self.posterior else float("nan")

    @property
    def figures(self) -> tuple[Numbers, Numbers]:
        """The adjusted figures and the variances that the spread is learnt with, shape (K,): the common one of a row.

        A partner's own would weigh those who happen to vary little, and where they score high is no accident.
        """
        found = self.summary
        assert found is not None
        variance = found.variance if self.kind == "share" else found.base / found.worth + found.slope
        return found.adjusted, np.maximum(variance, 1e-9 * float(np.var(self.rows.y)))

    @property
    def model(self) -> str:
        """What the true values are taken for."""
        return "beta-binomial" if self.kind == "share" else "normal"

    @property
    def shares(self) -> Numbers:
        """Each partner's share of the answers, shape (K,)."""
        n = np.bincount(self.rows.code, minlength=len(self.rows.names)).astype(float)
        return n / n.sum()

    @property
    def unseen(self) -> list[str]:
        """The partners that are not shown: of few customers, and enough others that none can be worked out."""
        return hiding.levels(self.people, self.min_n)

    @cached_property
    def people(self) -> dict[str, float]:
        """Each partner's distinct customers."""
        size = int(self.rows.people.max(initial=0)) + 1
        owner = pd.unique(self.rows.code * size + self.rows.people) // size
        count = np.bincount(owner, minlength=len(self.rows.names))
        return {name: float(n) for name, n in zip(self.rows.names, count, strict=True)}


def fit(
    frame: pd.DataFrame,
    outcome: str,
    partner: str,
    *,
    case_mix: Sequence[str] = (),
    kind: str = "mean",
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> Fit:
    """Learn the partners' figures, how exact they are, and how far partners truly differ.

    Parameters
    ----------
    frame
        One row an answer. Rows without outcome or partner are left out.
    outcome
        Column of numbers; for `share` 0 or 1, for `nps` 0 to 10, or points: -100, 0 and 100.
    partner
        Column that names the seller, site, carrier or agent.
    case_mix
        Columns of what customers bring and the partner does not make: numbers enter as they are, texts and truths as
        levels; missing values are a level of their own. Slopes are learnt within partners.
    kind
        `mean`, `share` or `nps`.
    cluster
        Column of the customer; None where each row is one of its own.
    metric
        Name of the outcome in the results; default the column.
    confidence
        Of all intervals.
    min_n
        Partners of fewer distinct customers are suppressed in what is shown, with enough others that they cannot be
        worked out from totals (`hiding.levels`); they still help to learn the spread.

    Raises
    ------
    UsageError
        For columns, values or a kind that cannot be used.

    Notes
    -----
    Two stages. First ordinary least squares with a fixed effect a partner: y = theta_j + x'b; each partner's figure is
    predicted at the mean x of all rows (direct standardisation without interactions; Normand and Shahian 2007, Statist.
    Sci. 22:206). Its variance has the residual variance (the common one, and of many rows the partner's own; of shares
    that of their level) over the independent rows that its rows are worth (a customer's answers to one partner resemble
    each other), and the cluster-robust variance of the slopes. Then theta_j ~ N(mu, tau^2), see `pooling.Posterior`;
    for shares theta_j is beta, see `betas.BetaPosterior`, and an adjusted share counts as so many answers as have its
    variance. Customers who answer for several partners make these slightly dependent; that is left out.
    """
    intervals.check_confidence(confidence)
    rows = rows_of(frame, outcome, partner, case_mix=case_mix, kind=kind, cluster=cluster)
    return fit_rows(rows, metric or outcome, partner, kind, confidence=confidence, min_n=min_n)


def fit_rows(rows: Rows, metric: str, partner: str, kind: str, *, confidence: float, min_n: int) -> Fit:
    """Fit rows that are made already."""
    if min_n < 1:
        raise UsageError(f"min_n {min_n} is below 1")
    found, posterior, reason = None, None, ""
    if not rows.y.size:
        reason = "no answers"
    elif np.ptp(rows.y) == 0:
        reason = _EQUAL
    else:
        found = summarise(rows)
        reason = "" if found else _FEW_ROWS
    if found:
        found, posterior = _pooled(found, kind, float(np.var(rows.y)))
        reason = "" if posterior else _FEW_PARTNERS
    return Fit(metric, partner, kind, rows, found, posterior, confidence, min_n, reason)


def _pooled(found: Summary, kind: str, total: float) -> tuple[Summary, Posterior | BetaPosterior | None]:
    """Return the summary with the variances that its kind has, and the posterior of the true values."""
    enough = found.n.size >= pooling.FEWEST
    if kind != "share":
        # Where no partner's answers vary there is no noise, and still a variance above 0.
        return found, Posterior.of(found.adjusted, np.maximum(found.variance, 1e-9 * total)) if enough else None
    centre = np.full(found.n.size, found.overall)
    spread = centre * (1 - centre)
    size = spread / np.maximum(found.binomial(centre).variance, 1e-9 * spread)  # answers that tell as much
    posterior = BetaPosterior.of(np.clip(found.adjusted, 0, 1) * size, size) if enough else None
    return found.binomial(posterior.truth.mean if posterior else centre), posterior


def compare(
    frame: pd.DataFrame,
    outcome: str,
    partner: str,
    *,
    case_mix: Sequence[str] = (),
    kind: str = "mean",
    cluster: str | None = "customer_id",
    metric: str = "",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Compare partners fairly: one row a partner, adjusted for case mix and shrunk towards the mean of all.

    Parameters
    ----------
    frame, outcome, partner, case_mix, kind, cluster, metric, confidence, min_n
        As in `fit`.

    Returns
    -------
    pandas.DataFrame
        Result rows as of `shrunk`. Show them with `ranks` and `tiers`, never alone in order.
    """
    found = fit(
        frame, outcome, partner, case_mix=case_mix, kind=kind, cluster=cluster, metric=metric, confidence=confidence,
        min_n=min_n,
    )  # fmt: skip
    return shrunk(found)


def raw(found: Fit) -> pd.DataFrame:
    """Return each partner's figure as it is, with the house's interval (t, Wilson or adjusted Wald), cluster-robust."""
    if not found.rows.names:
        return nothing(found)
    sums = moments_of(found.rows)
    if found.kind == "mean":
        table = formulas.mean(sums, confidence=found.confidence)
    elif found.kind == "share":
        table = formulas.share(sums.sums["y"], sums.rows, n_eff=sums.effective_n, confidence=found.confidence)
    else:
        total = sums.products["y", "y"] * 0 + np.bincount(found.rows.code, np.abs(found.rows.y) / 100)
        up = (total + sums.sums["y"] / 100) / 2
        table = formulas.nps(up, sums.rows - total, total - up, n_eff=sums.effective_n, confidence=found.confidence)
    y, code, k = found.rows.y, found.rows.code, len(found.rows.names)
    low, high = np.full(k, np.inf), np.full(k, -np.inf)
    np.minimum.at(low, code, y)
    np.maximum.at(high, code, y)
    untold = ((low == high) & (table["status"] == results.OK) & ~table["note"].str.contains("equal")).to_numpy()
    table = table.assign(note=[f"{_ALIKE}; {note}" if one and note else _ALIKE if one else note
                               for note, one in zip(table["note"], untold, strict=True)])  # fmt: skip
    table = results.label(table, metric=found.metric, segment=found.partner, level=list(found.rows.names))
    return hidden(table, found)


def moments_of(rows: Rows) -> Moments:
    """Return the moments of all partners, one element each."""
    k, size = len(rows.names), int(rows.people.max()) + 1
    cells, place = np.unique(rows.code * size + rows.people, return_inverse=True)
    owner, y, x = cells // size, np.bincount(place, rows.y), np.bincount(place).astype(float)

    def add(values: NDArray[Any]) -> Numbers:
        return np.bincount(owner, values, k).astype(float)

    products = {("y", "y"): add(y * y), ("x", "y"): add(x * y), ("x", "x"): add(x * x)}
    squares = np.bincount(rows.code, rows.y**2, k).astype(float)
    return Moments(add(x), add(np.ones(x.size)), {"y": add(y), "x": add(x)}, products, squares)


def adjusted(found: Fit) -> pd.DataFrame:
    """Return each partner's figure with the case mix of all rows, not shrunk; interval by the normal distribution."""
    if found.summary is None:
        return nothing(found)
    half = intervals.z_of(found.confidence) * np.sqrt(found.summary.variance)
    value = found.summary.adjusted
    name = "least squares within partners" if found.summary.columns else "mean"
    return table_of(found, value, np.sqrt(found.summary.variance), (value - half, value + half), name)


def shrunk(found: Fit) -> pd.DataFrame:
    """Return one row a partner: adjusted, and drawn towards the mean of all by as much as chance explains.

    The estimate is the posterior mean, `std_error` the posterior standard deviation, the interval equal-tailed. Over
    partners, 95 of 100 intervals hold the truth; that of one partner picked for being extreme is honest too, as long
    as the true values spread about normally. With fewer than three partners rows are as of `adjusted`, and say so.
    """
    if found.posterior is None:
        table = adjusted(found)
        told = table["note"].where(table["note"] == "", table["note"] + "; ") + found.reason
        return results.conform(table.assign(note=table["note"].where(table["status"] != results.OK, told)))
    truth = found.posterior.truth
    return table_of(found, truth.mean, truth.sd, truth.limits(found.confidence), f"shrunk ({found.model})")


def table_of(
    found: Fit, value: Numbers, error: Numbers, limits: intervals.Limits, method: str, **more: object
) -> pd.DataFrame:
    """Return one row a partner, limits on the scale of the outcome, those of few customers hidden."""
    assert found.summary is not None
    low, high = (np.clip(end, *SCALE[found.kind]) for end in limits)
    about = f", adjusted for {', '.join(found.summary.columns)}" if found.summary.columns else ""
    columns = {
        "metric": found.metric, "segment": found.partner, "level": np.array(found.summary.names, dtype=object),
        "estimate": np.clip(value, *SCALE[found.kind]), "std_error": error, "conf_low": low, "conf_high": high,
        "n": found.summary.n, "n_eff": found.summary.worth, "method": method + about, "note": found.summary.note,
    }  # fmt: skip
    return hidden(results.frame(**(columns | more)), found)


def hidden(table: pd.DataFrame, found: Fit) -> pd.DataFrame:
    """Suppress the rows of partners of few customers, and of enough others: the same in every table of a fit."""
    return hiding.hide(table, found.people, found.min_n)


def nothing(found: Fit, **more: object) -> pd.DataFrame:
    """Return rows without numbers that say why: one a partner, or one for all where there is none."""
    status = results.UNDEFINED if found.reason in ("no answers", _EQUAL) else results.TOO_FEW
    names = np.array(found.rows.names or ("all",), dtype=object)
    columns = {"metric": found.metric, "segment": found.partner, "level": names, "status": status, "note": found.reason}
    return results.frame(**(columns | more))


def spread(found: Fit) -> pd.DataFrame:
    """Say how far partners truly differ.

    Returns
    -------
    pandas.DataFrame
        `partner_sd`: standard deviation of the true values by REML, limits by Q-profile (Viechtbauer 2007).
        `reliability`: share of the differences between the partners' figures that is no chance (Higgins and Thompson's
        I^2 from the same variance). `heterogeneity`: Cochran's Q, a test that all partners are alike.
    """
    if found.posterior is None:
        names = np.array(["partner_sd", "reliability", "heterogeneity"], dtype=object)
        return nothing(found, metric=names, level="all", status=results.TOO_FEW)
    (y, v), n = found.figures, found.shares * found.rows.y.size
    ends = np.array([found.tau2, *pooling.q_profile(y, v, found.confidence)])
    weight = 1 / v
    typical = (y.size - 1) * weight.sum() / (weight.sum() ** 2 - (weight**2).sum())
    parts = np.stack([np.sqrt(ends), ends / (ends + typical)])
    rows = results.frame(
        metric=np.array(["partner_sd", "reliability"], dtype=object), segment=found.partner, estimate=parts[:, 0],
        conf_low=parts[:, 1], conf_high=parts[:, 2], n=n.sum(), n_eff=y.size, method="REML, Q-profile limits",
        note="n_eff counts partners",
    )  # fmt: skip
    test = results.frame(
        metric="heterogeneity", segment=found.partner, comparison="test", n=n.sum(), n_eff=y.size,
        p_value=stats.chi2.sf(pooling.cochran(y, v), y.size - 1), method="Cochran's Q", note="n_eff counts partners",
    )  # fmt: skip
    both, people = results.concat([rows, test]), float(np.unique(found.rows.people).size)
    return results.conform(results.suppress(both.assign(n=people), found.min_n).assign(n=both["n"]))


def beside(found: Fit, rng: np.random.Generator) -> Mixture | Drawn:
    """Return the posterior of each partner's true value less the mean of all answers' partners."""
    if isinstance(found.posterior, BetaPosterior):
        return found.posterior.beside(found.shares, rng)
    assert found.posterior is not None
    return found.posterior.beside(found.shares)
