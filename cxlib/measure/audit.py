"""The survey questioned: what its defects do to a score.

A question of the audit is an ordinary share over `responses` (`params/metrics/survey_*.yml`): how often the defect
occurs is estimated like any metric. The condition that it counts is a segment as well, and the score cut by that
segment tells what the defect does. It does not tell that the defect is the cause: late answers, say, come from other
people.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes, formulas, intervals
from cxlib.measure.joint import Joint
from cxlib.params import Metric, Part, Rule, Segment, definition_hash

FLAGGED, CLEAR, APART = "flagged", "not flagged", "not in question"
WITHOUT = "without flagged"  # `against` of what including the flagged answers does to the score

# Such rows never reach the store, so no plan can count them: `refused` makes the estimate from intake's counts.
OUT_OF_RANGE = Metric(
    id="survey_out_of_range",
    title="Answers refused for a score outside its scale",
    question="How many answers had a score that the question does not have?",
    kind="share",
    unit="percent",
    table="responses",
    time="responded_at",
    higher_is_better=False,
    cluster="",
    change_that_matters=0.005,
    caveats=("Counted where answers are taken in: such a score is refused, never pressed into the scale.",),
    owner="Head of Customer Experience",
)

_SCORES = ("share", "mean", "ratio", "nps")
_BY_SPREAD = ("mean", "ratio")  # kinds whose error is nothing but the spread of the answers at hand
_ANGLES = 1001  # of an ellipse: limits to 6 digits
_NO_LINK = "nothing to link: none of its answers is flagged"
_ALL_FLAGGED = "nothing to compare with: all of its answers are flagged"
_NOBODY = "nothing to compare with: none of its answers in question is not flagged"
_ALIKE = "all flagged answers are alike: the interval is too narrow"


def segment_of(question: Metric) -> Segment:
    """Return the segment that a question of the audit cuts answers by.

    Parameters
    ----------
    question
        A share over the rows of one table.

    Returns
    -------
    Segment
        Of events, named like the metric: `flagged` where the metric counts a row in its numerator, `not flagged` where
        in its denominator only, `not in question` where in neither (a support survey when deliveries are asked about,
        or where the answer cannot be known).

    Raises
    ------
    UsageError
        Where the metric is no share.
    """
    if question.kind != "share" or not question.numerator:
        raise UsageError(f"metric '{question.id}' is a {question.kind}; only a share flags rows")
    asked = f"({question.filter}) and " if question.filter else ""
    rules = (
        Rule(level=FLAGGED, when=f"{asked}({question.numerator})"),
        Rule(level=CLEAR, when=f"{asked}not ({question.numerator})"),
    )
    return Segment(
        id=question.id, title=question.title, question=question.question, on="event", rules=rules, otherwise=APART
    )


def fits(score: Metric, question: Metric) -> bool:
    """Say whether `effect` can be worked out: for a share that flags rows, and a score of the same single rows."""
    return not _misfits(score, question)


def effect(
    score: Metric,
    question: Metric,
    joint: Joint | pd.DataFrame,
    *,
    confidence: float = 0.95,
    min_n: int = 10,
    definition: str = "",
) -> pd.DataFrame:
    """Estimate what the flagged answers do to a score, period by period.

    Parameters
    ----------
    score
        A share, mean, NPS or ratio over the rows of the question's table.
    question
        The share of the audit.
    joint
        What `plans.joint(score, ..., segments=[segment_of(question)])` brought back, or the `Joint` of it.
    confidence
        Of the intervals.
    min_n
        A row is suppressed where it stands on fewer customers, flagged or not.
    definition
        Hash of the score's definition; worked out if left out.

    Returns
    -------
    pandas.DataFrame
        Two rows a period, in the score's unit; `metric` is the score, `segment` the question, `comparison` is
        `difference`:

        - level `flagged`, against `not flagged`: how flagged answers differ from the others in question, by the
          formula of the score's kind, with the covariance of customers who are on both sides;
        - level `all`, against `without flagged`: the score as it is less the score without the flagged answers. That is
          the flagged part of the answers times the distance of the flagged from all others; the p-value is that
          distance's, limits are combined by recovered variances (MOVER, Zou and Donner 2008).

        No verdicts: `verdicts.judge` gives them, over the report's family. A period without flagged answers has
        `undefined` rows that say so.

    Raises
    ------
    UsageError
        Where the score cannot be cut by the question.
    """
    faults = _misfits(score, question)
    if faults:
        raise UsageError("; ".join(faults), hint=f"Take one of {', '.join(_SCORES)} over {question.table}.")
    intervals.check_confidence(confidence)
    cells = joint if isinstance(joint, Joint) else Joint.from_frame(joint)
    least, parts = max(min_n, score.min_n or 0), []
    for period in sorted(set(cells.keys["period"])):
        own = cells.take(((cells.keys["period"] == period) & (cells.rows > 0)).to_numpy())
        own = _joined(own, least)
        both = [_contrast(score, own, CLEAR, confidence, least), _inclusion(score, own, confidence, least)]
        parts.append(results.label(results.concat(both), period=period))
    about = {"metric": score.id, "segment": question.id, "definition": definition or definition_hash(score)}
    return results.label(results.concat(parts), **about)


def refused(counts: Mapping[str, tuple[int, int]], *, confidence: float = 0.95) -> pd.DataFrame:
    """Estimate the share of answers that intake refused for a score outside its scale.

    Parameters
    ----------
    counts
        Period label -> (refused for their score, accepted).
    confidence
        Of the Wilson interval.

    Returns
    -------
    pandas.DataFrame
        A result frame of the metric `OUT_OF_RANGE`, one `level` row a period; `undefined` where nothing came in.
    """
    labels = sorted(counts)
    bad, good = (np.array([counts[label][side] for label in labels], dtype=float) for side in (0, 1))
    if not labels:
        return results.empty()
    found = formulas.share(bad, bad + good, confidence=confidence)
    about = {"metric": OUT_OF_RANGE.id, "definition": definition_hash(OUT_OF_RANGE)}
    return results.label(found.assign(period=labels), **about)


def _misfits(score: Metric, question: Metric) -> list[str]:
    """Return why a question does not flag the rows of a score."""
    faults = []
    if question.kind != "share":
        faults.append(f"'{question.id}' is a {question.kind}; only a share flags rows")
    if score.table != question.table:
        faults.append(f"'{score.id}' is over {score.table} and '{question.id}' over {question.table}")
    if score.kind not in _SCORES:
        faults.append(f"'{score.id}' is a {score.kind}, whose sums tell no effect")
    if isinstance(score.denominator, Part) or score.denominator in ("customers", "calendar_days"):
        faults.append(f"the denominator of '{score.id}' does not belong to single rows")
    return faults


def _joined(cells: Joint, least: int) -> Joint:
    """Let answers not in question count as not flagged where they are so few that the rest would give them away."""
    apart = (cells.keys["level"] == APART).to_numpy()
    few = apart.any() and cells.clusters[apart][0] < least
    return cells.merge(np.where(apart, CLEAR, cells.keys["level"]).tolist()) if few else cells


def _contrast(score: Metric, cells: Joint, other: str, confidence: float, least: int) -> pd.DataFrame:
    """Return flagged less another level, or why it cannot be given."""
    flagged, rest = ((cells.keys["level"] == level).to_numpy() for level in (FLAGGED, other))
    if not flagged.any() or not rest.any():
        note = _NO_LINK if not flagged.any() else _ALL_FLAGGED if other == WITHOUT else _NOBODY
        about = {"level": FLAGGED, "against": other, "comparison": "difference"}
        return results.frame(status=results.UNDEFINED, note=note, **about)
    found = changes.levels(score, cells, [(FLAGGED, other)], segment="", confidence=confidence, min_n=least)
    alike = score.kind in _BY_SPREAD and bool(cells.moments(flagged).variance[0] == 0)
    note = found["note"].mask(found["status"] == results.OK, _ALIKE if alike else "")
    return results.conform(found.assign(note=note, verdict="", p_adjusted=np.nan))


def _inclusion(score: Metric, cells: Joint, confidence: float, min_n: int) -> pd.DataFrame:
    """Return the score of all answers less the score without the flagged ones.

    It is the flagged answers' part of the denominator times their distance from all others, and 0 if and only if that
    distance is 0: so the p-value is the distance's.
    """
    flagged = (cells.keys["level"] == FLAGGED).to_numpy()
    two = cells.merge(np.where(flagged, FLAGGED, WITHOUT).tolist())
    found = _contrast(score, two, WITHOUT, confidence, min_n).assign(level="all")
    if (found["status"] != results.OK).all():
        return results.conform(found)
    x = np.where(two.keys["level"] == FLAGGED, two.x, 0.0)
    part = x.sum() / two.x.sum()
    spread = two.variance(np.zeros(2), ((x > 0) - part) / two.x.sum())
    worth = part * (1 - part) / spread if spread > 0 else np.inf
    least, most = (limit.item() for limit in intervals.share_limits(np.asarray(part), np.asarray(worth), confidence))
    value, low, high, error = (found[name].item() for name in ("estimate", "conf_low", "conf_high", "std_error"))
    low, high = _product((part, least, most), (value, low, high))
    found = found.assign(
        estimate=part * value,
        std_error=np.hypot(part * error, value * np.sqrt(spread)),
        conf_low=low,
        conf_high=high,
        method="flagged part x distance: " + found["method"],
    )
    return results.conform(found)


def _product(part: tuple[float, ...], distance: tuple[float, ...]) -> tuple[float, float]:
    """Return the limits of part x distance from (estimate, low, high) of each.

    The extremes of the product on the ellipse that both pairs of limits span, the part on its log scale: variances
    recovered from limits (MOVER, Zou and Donner 2008). The limits leave 0 together with the distance's.
    """
    (size, least, most), (value, low, high) = part, distance
    angle = np.linspace(-np.pi / 2, np.pi / 2, _ANGLES)
    reach = np.where(angle > 0, np.log(most / size), np.log(size / least))
    parts = size * np.exp(np.sin(angle) * reach)
    sides = value - np.cos(angle) * (value - low), value + np.cos(angle) * (high - value)
    return float(np.min(parts * sides[0])), float(np.max(parts * sides[1]))
