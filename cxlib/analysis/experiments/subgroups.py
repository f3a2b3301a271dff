"""Does an effect differ between segments? One test for all levels, and effects that luck is taken out of.

"Significant in the North, not in the South" compares two p-values, not two effects (Gelman and Stern 2006, American
Statistician 60:328). Here the levels are compared with each other, and no level has a verdict of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from cxlib import results
from cxlib.analysis.experiments.amounts import amount, chance
from cxlib.analysis.partners import pooling
from cxlib.errors import UsageError
from cxlib.measure import intervals, verdicts
from cxlib.measure.rows import Numbers

INTERACTION, SPREAD, SHARE = "interaction", "spread of effects", "variation beyond luck"
REST = "the other levels"

_OWN = "too few levels to learn how far they differ: each has its own effect, nothing is taken out"


@dataclass(frozen=True)
class _Levels:
    """The levels that can be compared, sorted: effects, their variances and what else their rows have in common."""

    rows: pd.DataFrame
    y: Numbers
    v: Numbers
    left_out: int

    @property
    def common(self) -> dict[str, str]:
        """Texts that all rows share."""
        return {name: str(self.rows[name].iloc[0]) for name in ("period", "segment", "at", "against", "definition")}

    @property
    def counted(self) -> dict[str, float]:
        """The units of all levels."""
        return {name: float(self.rows[name].sum(min_count=1)) for name in ("n", "n_eff")}


def subgroups(
    rows: pd.DataFrame, *, title: str = "", unit: str = "", confidence: float = 0.95, alpha: float = 0.05
) -> pd.DataFrame:
    """Compare the effects of one treatment on one outcome between the levels of one segment.

    Parameters
    ----------
    rows
        Differences, treatment less control, one per level, of disjoint units; the row over everybody and rows that are
        not `ok` are passed over (the latter are counted in the notes). All of one metric, arm and segment.
    title
        What people call the segment; its id where it is empty.
    unit
        Of the effect, for the notes, see `amounts.amount`.
    confidence
        That the intervals of `rows` were made with, and of those returned. Half their width over the normal quantile
        stands for the standard error, so that few answers (Welch's t) and skewed limits (Newcombe) count for less.
    alpha
        Below it the interaction test finds a difference.

    Returns
    -------
    pandas.DataFrame
        In this order, `segment`, `at` and `against` as in `rows`:

        1. metric `interaction`, `comparison = "test"`: Cochran's Q, its p-value, and in `note` how to read it.
        2. metric `variation beyond luck`, `share`: I-squared, 0 to 1, with its interval.
        3. metric `spread of effects`, `level`: the standard deviation of true effects between levels, restricted
           maximum likelihood, with its interval.
        4. The outcome's metric, `difference`, one row per level: the effect with luck taken out (shrunk towards the
           mean of all levels) and an interval that allows for not knowing the spread. Without p-values.
        5. The same, `against = "the other levels"`: the effect less that on the other levels, each weighted by its
           precision, with its p-value, adjusted by Benjamini and Hochberg.

        One row, `undefined`, where fewer than two levels can be compared. Of two levels neither share nor spread nor
        shrinkage can be learnt: rows 2 and 3 are `too_few`, and those of 4 are as given, and say so.

    Raises
    ------
    UsageError
        For rows of several metrics, arms, segments or periods, and for a level that comes twice.

    Notes
    -----
    The interaction test finds a difference that is not there in 3.4 to 5.2 % of experiments, with 6 units an arm and
    level, too; with standard errors in place of half widths it would be up to 19 % (2 to 20 levels; the tests).

    Cochran (1954) Biometrics 10:101; Higgins and Thompson (2002) Statist. Med. 21:1539; REML and the limits of the
    spread (Q profile) Viechtbauer (2005, 2007); shrinkage by the normal model of two levels, flat priors on mean
    and spread integrated out (Morris 1983, JASA 78:47; Gelman 2006, Bayesian Analysis 1:515). Of the intervals that
    plug an estimated spread in 27 to 94 % hold the truth; of these 97 to 99.7 % where levels do not differ, 93.5 to
    96 % where they differ by once to three times their errors (3 to 20 levels; the tests simulate it). A level that
    truly stands far from all others is held less often than its fellows: that is what shrinkage costs.
    """
    levels = _levels(rows, confidence)
    segment = _segment(rows)
    by = title or segment or "segment"
    if levels.y.size < 2:
        return results.frame(
            metric=INTERACTION, comparison="test", method="Cochran's Q", status=results.UNDEFINED,
            note=f"fewer than two levels of {by} can be compared{_left(levels.left_out)}",
            segment=segment or "all",
        )  # fmt: skip
    parts = [_interaction(levels, by, unit, confidence, alpha), _beyond(levels, confidence)]
    return results.concat([*parts, _shrunk(levels, by, confidence), _against_rest(levels, confidence)])


def _segment(rows: pd.DataFrame) -> str:
    """Return the segment that levels are of, whatever row comes first; empty where there is none."""
    mine = rows[(rows["comparison"] == "difference") & (rows["level"] != "all")]
    return str(min(mine["segment"], default=""))


def _levels(rows: pd.DataFrame, confidence: float) -> _Levels:
    """Check the rows and keep those that can be compared."""
    z = intervals.z_of(confidence)
    given = results.conform(rows)
    given = given[(given["comparison"] == "difference") & (given["level"] != "all")].sort_values("level")
    several = [name for name in ("metric", "period", "segment", "at", "against") if len(set(given[name])) > 1]
    twice = sorted(set(given.loc[given["level"].duplicated(), "level"])) if not several else []
    if several or twice:
        what = f"several of {', '.join(several)}" if several else f"level {', '.join(map(repr, twice))} twice"
        raise UsageError(f"the effects by level have {what}", hint="Give one outcome, arm and segment at a time.")
    half = (given["conf_high"] - given["conf_low"]).to_numpy(dtype=float) / 2 / z
    usable = (given["status"] == results.OK).to_numpy() & np.isfinite(half) & (half > 0)
    usable &= np.isfinite(given["estimate"].to_numpy(dtype=float))
    kept = given[usable].reset_index(drop=True)
    return _Levels(kept, kept["estimate"].to_numpy(dtype=float), half[usable] ** 2, int((~usable).sum()))


def _interaction(levels: _Levels, by: str, unit: str, confidence: float, alpha: float) -> pd.DataFrame:
    """Return the test that all levels have one effect."""
    q, count = float(pooling.cochran(levels.y, levels.v)), levels.y.size
    p_value = float(stats.chi2.sf(q, count - 1))
    if p_value < alpha:
        told = f"The effect differs by {by} ({chance(p_value)}): luck seldom makes levels differ so much. "
        told += "Read each level by its effect with luck taken out"
    else:
        told = f"No evidence that the effect differs by {by} ({chance(p_value)}): differences of this size between "
        told += "levels are what luck makes"
        if count >= pooling.FEWEST:
            most = amount(np.sqrt(pooling.q_profile(levels.y, levels.v, confidence)[1]), unit)
            told += f"; true effects may still differ, by a standard deviation of up to {most}"
    return results.frame(
        metric=INTERACTION, comparison="test", estimate=q, p_value=p_value, **levels.counted,
        method=f"Cochran's Q, {count - 1} degrees of freedom", note=f"{told}{_left(levels.left_out)}",
        **levels.common,
    )  # fmt: skip


def _beyond(levels: _Levels, confidence: float) -> pd.DataFrame:
    """Return the two rows on how far true effects differ: I-squared, and their standard deviation."""
    words = {**levels.common, **levels.counted, "metric": [SHARE, SPREAD], "comparison": ["share", "level"]}
    if levels.y.size < pooling.FEWEST:
        return results.frame(**words, method="REML", status=results.TOO_FEW, note="two levels do not tell a spread")
    weight = 1 / levels.v
    typical = (levels.y.size - 1) * weight.sum() / (weight.sum() ** 2 - (weight**2).sum())
    tau2 = float(pooling.reml(levels.y, levels.v))
    numbers = np.array([tau2, *pooling.q_profile(levels.y, levels.v, confidence)])
    rows = np.array([numbers / (numbers + typical), np.sqrt(numbers)])
    return results.frame(
        **words, estimate=rows[:, 0], conf_low=rows[:, 1], conf_high=rows[:, 2],
        method=["I-squared by REML, limits by the Q profile", "REML, limits by the Q profile"],
        note=_left(levels.left_out).lstrip("; "),
    )  # fmt: skip


def _shrunk(levels: _Levels, by: str, confidence: float) -> pd.DataFrame:
    """Return each level's effect with luck taken out."""
    kept = levels.rows[["level", "n", "n_eff"]].to_dict("list")
    words = {**levels.common, **kept, "metric": levels.rows["metric"], "comparison": "difference"}
    if levels.y.size < pooling.FEWEST:
        own = levels.rows[["estimate", "conf_low", "conf_high"]].to_dict("list")
        return results.frame(**words, **own, std_error=np.sqrt(levels.v), method="as measured", note=_OWN)
    posterior = pooling.Posterior.of(levels.y, levels.v)
    truth, own_part = posterior.truth, posterior.own
    low, high = truth.limits(confidence)
    note = [f"{100 * part:.0f} % its own figure, the rest the mean of all levels of {by}" for part in own_part]
    return results.frame(
        **words, estimate=truth.mean, std_error=truth.sd, conf_low=low, conf_high=high,
        method="shrunk, normal model of two levels, flat priors", note=note,
    )  # fmt: skip


def _against_rest(levels: _Levels, confidence: float) -> pd.DataFrame:
    """Return each level's effect less that on the others."""
    weight = 1 / levels.v
    others = weight.sum() - weight
    value = levels.y - ((weight * levels.y).sum() - weight * levels.y) / others
    error = np.sqrt(levels.v + 1 / others)
    low, high, p_value = intervals.by_z(value, error, confidence)
    return results.frame(
        **{**levels.common, **levels.counted, "against": REST}, level=levels.rows["level"],
        metric=levels.rows["metric"], comparison="difference", estimate=value, std_error=error, conf_low=low,
        conf_high=high, p_value=p_value, p_adjusted=verdicts.adjust(p_value, "bh"),
        method="z, against the others weighted by precision; Benjamini and Hochberg",
    )  # fmt: skip


def _left(count: int) -> str:
    if not count:
        return ""
    which = "1 level is" if count == 1 else f"{count} levels are"
    return f"; {which} left out, being hidden, too small or without spread"
