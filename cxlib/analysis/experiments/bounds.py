"""Bounds on the effect for those who would answer in either arm, where the arms differ in how many answer.

Lee (2009), Training, Wages, and Sample Selection, Review of Economic Studies 76, 1071.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, special

from cxlib import results
from cxlib.analysis.experiments.answerers import LEAST_ANSWERS, Answerers, answerers
from cxlib.analysis.experiments.trimming import cells_of, rates, trimmed_ends
from cxlib.measure.intervals import check_confidence, z_of

_METHOD = "Lee bounds, Imbens-Manski interval"


def lee_bounds(
    outcome: ArrayLike,
    responded: ArrayLike,
    arm: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    by: Any = None,
    clusters: ArrayLike | None = None,
    control: Any = None,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Bound the effect on those who would answer in both arms, whoever else a treatment brings to answer.

    The arm where more answer has answers that the other has not. They are taken to be the highest of that arm, then the
    lowest: exactly that share of its answers is left out. No assumption is made on why people answer but one, which no
    data can test: a treatment moves everybody's willingness the same way.

    Parameters
    ----------
    outcome
        One number per unit, shape (n,), the mean of which is the metric (100, 0, -100 for an NPS). Looked at only where
        `responded`. Where a unit answers several times give its mean: the effect is then that on customers, each
        counting once.
    responded
        Whether the unit answered, shape (n,).
    arm
        Two values, shape (n,). The control is the one named `control`, else the first in sorted order (False, 0).
    weights
        What each unit counts, shape (n,); they must not depend on who answers.
    by
        Cells of what was known before: labels of shape (n,), or a frame of several columns. Bounds are taken within
        cells and averaged over those who would answer in either arm, which tightens them (Lee, Proposition 1b); the
        same arm is taken to answer more in all. Small cells are joined until each has 100 answers in both arms, and 25
        times as many as there are cells.
    clusters
        The customer of each unit where customers have several.
    control
        Which value of `arm` is the control.
    confidence
        Of the interval.

    Returns
    -------
    pandas.DataFrame
        Two rows, `comparison = "difference"`, `at = "lower"` and `"upper"`, `against` the control. The limits are those
        of Imbens and Manski (2004, Econometrica 72, 1845): from `conf_low` of the lower row to `conf_high` of the upper
        the interval holds the effect with the confidence given, wherever between the bounds it lies. `n` is the answers
        of both arms, `n_eff` those that are left. `too_few` where an arm has, or keeps, fewer than two answers.

    Raises
    ------
    UsageError
        See `answerers`.

    Notes
    -----
    Ties: with scores in few steps the answers at the cut count in part, so that exactly the share is left out; the
    trimmed mean is c - mean((c - y)+) / kept, with c the quantile. For outcomes without ties it is Lee's. Standard
    errors are his Proposition 3, from influence functions: the spread of what is left, that of the cut, and that of
    both response rates; where the outcome has few steps and the cut may pass from one to the next, an upper limit of
    them (see `trimming.Bound`).

    The interval reaches to the farther of two limits, one for each arm that may answer more: which one does is not
    known where response is nearly equal. Lee's errors take it as known, and then hold the truth in as few as 87 % of
    cases (two normal errors, that of response five times the other, a scale that reaches three times as far down as up,
    response one error apart). As it is, over 1,500 runs each with 200 to 500 answers an arm and every further answer at
    the bottom of the scale, a 95 % interval held the truth in 94.1 % (response three errors apart) to 99.8 % (equal);
    averaged over 4 to 8 cells that say nothing of the score in 93 to 95 %.
    """
    check_confidence(confidence)
    units = answerers(outcome, responded, arm, weights=weights, clusters=clusters, control=control)
    cells, said = cells_of(by, units), [float(count) for count in units.answers()]
    words: dict[str, Any] = {"comparison": "difference", "against": units.names[0], "at": np.array(["lower", "upper"])}
    parts = [_METHOD, f"averaged over {len(cells)} cells" if len(cells) > 1 else ""]
    words["method"] = "; ".join(filter(None, [*parts, "cluster-robust" if units.robust else ""]))
    if min(said) < LEAST_ANSWERS:
        return results.frame(status=results.TOO_FEW, note="an arm has fewer than two answers", **words)
    share = rates(units)
    more = int(share[1] > share[0])
    kept = share[1 - more] / share[more]
    said[more] *= kept
    if said[more] < LEAST_ANSWERS:
        note = "so many more answer in one arm than in the other that fewer than two answers are left"
        return results.frame(status=results.TOO_FEW, note=note, **words)
    sides = [trimmed_ends(units, cells, arm_) for arm_ in (more, 1 - more)]
    value = np.array([[end.value for end in ends] for ends in sides])
    error = np.array([[end.error(units) for end in ends] for ends in sides])
    if error.min() <= 0:
        return results.frame(status=results.UNDEFINED, note="all answers of an arm are alike", **words)
    far = reach((value[0, 0], value[0, 1]), (error[:, 0].max(), error[:, 1].max()), confidence)
    low, high = (value - far * error), (value + far * error)
    return results.frame(
        estimate=value[0], std_error=error[0], conf_low=[low[:, 0].min(), low[0, 1]],
        conf_high=[high[0, 0], high[:, 1].max()], n=int(units.answered.sum()), n_eff=sum(said),
        note=_told(units, share, kept, len(cells)), **words,
    )  # fmt: skip


def reach(bounds: tuple[float, float], errors: tuple[float, float], confidence: float = 0.95) -> float:
    """Return how many standard errors to add on both sides so that the interval holds what lies between two bounds.

    The C with Phi(C + width / largest error) - Phi(-C) = confidence (Imbens and Manski 2004, equation 7): between the
    one-sided quantile, for wide bounds, and the two-sided one.
    """
    width = max(bounds[1] - bounds[0], 0.0) / max(errors)
    least, most = float(z_of(2 * confidence - 1)) if confidence > 0.5 else 0.0, float(z_of(confidence))

    def lacking(far: float) -> float:
        return float(special.ndtr(far + width) - special.ndtr(-far)) - confidence

    if lacking(least) >= 0:
        return least
    return float(optimize.brentq(lacking, least, most + 1e-9, xtol=1e-12))


def _told(units: Answerers, share: tuple[float, float], kept: float, cells: int) -> list[str]:
    """Say for both bounds what was left out."""
    (control, treatment), more = units.names, int(share[1] > share[0])
    base = f"{100 * share[0]:.1f} % answered in {control}, {100 * share[1]:.1f} % in {treatment}"
    if kept == 1:
        return [f"{base}: nobody is left out"] * 2
    words = ("highest", "lowest") if more else ("lowest", "highest")
    part, where = f"{100 * (1 - kept):.1f} %", " within each cell" if cells > 1 else ""
    return [f"{base}: the {which} {part} of the answers in {units.names[more]} are left out{where}" for which in words]
