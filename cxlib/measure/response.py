"""Who answers: response rate, R-indicator, and what those who did not answer would have to say to turn a conclusion.

Works on cells: invitations counted by what is known of everybody who was invited, so a million of them cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import estimates, propensity
from cxlib.measure.intervals import check_confidence
from cxlib.measure.moments import Moments
from cxlib.measure.propensity import COUNTS
from cxlib.measure.raking import OTHER

__all__ = ["r_indicator", "rate", "tipping_point", "who_answers"]

METRIC = "response_rate"
OR_LESS, OR_MORE = "turns at this or less", "turns at this or more"
_STRANGE = "{} rows have more answers than invitations, or counts that are missing or below 0"


def rate(
    invited: ArrayLike, answered: ArrayLike, clusters: ArrayLike | None = None, *, confidence: float = 0.95
) -> pd.DataFrame:
    """Estimate the share of invitations that were answered (AAPOR's RR1 where every invitation reached its customer).

    Parameters
    ----------
    invited, answered
        How many invitations, and answers to them, per row, shape (n,).
    clusters
        The customer of each row; the interval then allows for customers who are invited often and answer always or
        never.
    confidence
        Of the Wilson interval.

    Returns
    -------
    pandas.DataFrame
        One result row, n the invitations.

    Raises
    ------
    UsageError
        For negative counts, or more answers than invitations in a row.
    """
    asked, said = np.broadcast_arrays(*(np.atleast_1d(np.asarray(one, dtype=float)) for one in (invited, answered)))
    bad = ~((said >= 0) & (said <= asked))
    if bad.any():
        raise UsageError(_STRANGE.format(f"{bad.sum():,}"))
    if clusters is None:
        return estimates.share(said.sum(), asked.sum(), confidence=confidence)
    whose = pd.factorize(np.asarray(clusters, dtype=object).ravel())[0]
    cells = propensity.cells(pd.DataFrame({"answered": said, "invited": asked, "whose": whose}), (), "whose")
    return _rates(cells, confidence)


def r_indicator(
    frame: pd.DataFrame,
    columns: Sequence[str],
    answered: str = "answered",
    *,
    invited: str = "",
    clusters: str = "",
    confidence: float = 0.95,
    min_n: int = 10,
    metric: str = METRIC,
    period: str = "",
    definition: str = "",
) -> pd.DataFrame:
    """Estimate how evenly people answer: 1 where everybody is equally likely to, less the more they differ.

    Parameters
    ----------
    frame
        One row per invitation, or per cell with `invited` naming the count; cells that `respondents.invited` brings
        carry `customers` and products (`yy`, `xy`, `xx`), which make the intervals robust to customers invited often.
    columns
        What is known of everybody invited; the propensity to answer is a logistic regression on them (main effects).
    answered
        Column: whether, or how many times, it was answered.
    invited
        Column: how many invitations; 1 if left out.
    clusters
        Column: the customer of each row, for frames of rows.
    confidence
        Of the intervals.
    min_n
        Levels with fewer customers are joined into `other levels`; with fewer in all, rows are suppressed.
    metric, period, definition
        Put into every row.

    Returns
    -------
    pandas.DataFrame
        Result rows, `comparison = "index"`: `at` says which. `R-indicator` of the whole, 1 - 2 S; and for each column
        (`segment`) `partial`, the spread of response rates between its levels, and `conditional partial`, what of the
        spread remains within the levels of the other columns: the column with the largest drives who answers. Last,
        `largest bias`: how far such uneven answering could at most move a mean, in standard deviations of the answers.

    Raises
    ------
    UsageError
        Where columns are missing or counts do not fit.

    Notes
    -----
    S is the standard deviation of the propensities (Schouten, Cobben and Bethlehem 2009, Survey Methodology 35), its
    square less the bias that estimating them brings (Shlomo, Skinner and Schouten 2012, J. Stat. Plan. Inference 142);
    partials as in Schouten, Shlomo and Skinner (2011, J. Off. Stat. 27). The largest bias, (1 - R) / (2 response
    rate), is the first paper's. The interval is that of S squared. The
    invitations that were sent are taken as given, as for a frame that was invited whole.
    """
    check_confidence(confidence)
    cells = propensity.cells(_named(frame, columns, answered, invited, clusters), columns, clusters)
    words = {"metric": metric, "period": period, "definition": definition}
    asked, people = float(cells["invited"].sum()), float(cells["customers"].sum())
    said = float(cells["answered"].sum())
    reason = "nobody was invited" if not asked else "nobody answered" if not said else "everybody answered"
    if people < min_n:
        hidden = results.frame(at="R-indicator", comparison="index", status=results.SUPPRESSED)
        return results.label(hidden, note="fewer customers than may be shown", **words)
    if not 0 < said < asked:
        return results.frame(at="R-indicator", comparison="index", status=results.UNDEFINED, note=reason, **words)
    joined, used, told = propensity.joined(cells, columns, min_n)
    if not used:
        note = f"no column has two levels of {min_n} or more customers"
        return results.frame(at="R-indicator", comparison="index", status=results.UNDEFINED, note=note, **words)
    rows = propensity.spreads(joined, used, confidence)
    rows = results.concat([rows, _largest_bias(rows.iloc[0], said / asked)])
    notes = ["; ".join(filter(None, [own, told])) for own in rows["note"]]
    return results.label(rows.assign(n=asked, n_eff=people), note=notes, **words)


def who_answers(
    cells: pd.DataFrame,
    columns: Sequence[str],
    *,
    confidence: float = 0.95,
    min_n: int = 10,
    metric: str = METRIC,
    period: str = "",
    definition: str = "",
) -> pd.DataFrame:
    """Return all that invitations tell: response rate of the whole and by level, R-indicator and partials.

    Parameters
    ----------
    cells
        What `respondents.invited` brings.
    columns
        The segments; without any there is no R-indicator.
    confidence, min_n, metric, period, definition
        As in `r_indicator`.

    Returns
    -------
    pandas.DataFrame
        Result rows: `level` rows of the whole and of each segment's levels, those with fewer than `min_n` customers
        joined into `other levels`; then the rows of `r_indicator`.
    """
    known = propensity.cells(cells.rename(columns={"invitations": "invited"}), columns)
    words = {"metric": metric, "period": period, "definition": definition}
    parts = [_shown(known.assign(level="all"), "all", confidence, min_n)]
    for name in columns:
        # Joined, not hidden: a single hidden level would be the whole less the others.
        joined, used, told = propensity.joined(known, [name], min_n)
        parts += [_shown(joined.rename(columns={name: "level"}), name, confidence, min_n, told)] if used else []
    levels = results.label(results.concat(parts), **words)
    more = {"invited": "invitations", "confidence": confidence, "min_n": min_n, **words}
    return results.concat([levels, r_indicator(cells, columns, **more)] if columns else [levels])  # type: ignore[arg-type]


def tipping_point(
    estimate: float,
    response_rate: float,
    against: float,
    *,
    scale: tuple[float, float],
    conf: tuple[float, float] | None = None,
    name: str = "target",
    metric: str = "",
    period: str = "",
    definition: str = "",
) -> pd.DataFrame:
    """Work out what those who did not answer would have to score for the conclusion to turn.

    Parameters
    ----------
    estimate
        What those who answered score: a mean, a share (0 to 1) or an NPS (points).
    response_rate
        Share of invitations answered, above 0 and below 1.
    against
        What the estimate is held against: the target, or the figure of another period (whose own non-respondents are
        then taken to have been like its respondents).
    scale
        The lowest and highest value that anybody could score, in the unit of `estimate`.
    conf
        Limits of the estimate; they give the limits of the tipping point.
    name
        What `against` is: `target` or a period.
    metric, period, definition
        Put into the row.

    Returns
    -------
    pandas.DataFrame
        One row, `at = "non-respondents"`, `comparison = "index"`: the score of non-respondents at which everybody
        together would be at `against`, (against - r estimate) / (1 - r); `note` says whether it turns there or below
        (`OR_LESS`), or there or above. `undefined`, saying so, where no value of the scale turns it.

    Raises
    ------
    UsageError
        For a response rate outside 0 to 1, or values outside the scale.
    """
    low, high = scale
    faults = [] if 0 < response_rate <= 1 else [f"response rate {response_rate:g} is not above 0 and at most 1"]
    pairs = (("estimate", estimate), ("against", against))
    faults += [
        f"{what} {value:g} is outside the scale {low:g} to {high:g}"
        for what, value in pairs
        if not low <= value <= high
    ]
    if faults:
        raise UsageError("; ".join(faults))
    words = {"metric": metric, "period": period, "definition": definition, "at": "non-respondents", "against": name}
    silent = 1 - response_rate
    turn = (against - response_rate * estimate) / silent if silent else np.inf
    if not low <= turn <= high:
        note = f"no value of the scale from {low:g} to {high:g} turns the conclusion"
        return results.frame(comparison="index", method="bounds", status=results.UNDEFINED, note=note, **words)
    ends = [np.nan, np.nan] if conf is None else [(against - response_rate * one) / silent for one in reversed(conf)]
    ends = [float(np.clip(one, low, high)) for one in ends]
    note = OR_LESS if estimate >= against else OR_MORE
    return results.frame(
        comparison="index", method="bounds", estimate=turn, conf_low=ends[0], conf_high=ends[1], note=note, **words
    )


def _named(frame: pd.DataFrame, columns: Sequence[str], answered: str, invited: str, clusters: str) -> pd.DataFrame:
    """Return the frame with its counts under their own names; refuse what does not fit."""
    wanted = [*columns, answered, *filter(None, [invited, clusters])]
    lacking = [name for name in wanted if name not in frame.columns]
    if lacking or not columns:
        told = [f"the frame has no column '{name}'" for name in lacking]
        raise UsageError("; ".join([*told, *([] if columns else ["no columns are named"])]))
    counts = {"answered": frame[answered].astype(float), "invited": frame[invited].astype(float) if invited else 1.0}
    known = frame if invited else frame.drop(columns=[name for name in COUNTS if name in frame.columns])
    known = known.assign(**counts)
    bad = ~((known["answered"] >= 0) & (known["answered"] <= known["invited"]))
    if bad.any():
        raise UsageError(_STRANGE.format(f"{bad.sum():,}"))
    return known


def _largest_bias(whole: pd.Series, rate: float) -> pd.DataFrame:
    """Return how far uneven answering could at most move a mean, in standard deviations of the answers."""
    far, near, middle = ((1 - whole[name]) / (2 * rate) for name in ("conf_low", "conf_high", "estimate"))
    return results.frame(
        at="largest bias", comparison="index", method="(1 - R) / (2 response rate)", estimate=middle,
        std_error=whole["std_error"] / (2 * rate), conf_low=near, conf_high=far,
    )  # fmt: skip


def _shown(cells: pd.DataFrame, segment: str, confidence: float, min_n: int, told: str = "") -> pd.DataFrame:
    """Return response rates per level, too small ones suppressed; `told` says what `other levels` are."""
    sums = cells.groupby("level", as_index=False, sort=True)[list(COUNTS)].sum()
    notes = [told if level == OTHER else "" for level in sums["level"]]
    found = results.label(_rates(sums, confidence), segment=segment, level=sums["level"].tolist(), note=notes)
    return estimates.suppressed(found, sums["customers"].to_numpy(dtype=float), min_n)


def _rates(cells: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the response rate of each row of cells."""
    column = {name: cells[name].to_numpy(dtype=float) for name in COUNTS}
    products = {("x", "x"): column["xx"], ("x", "y"): column["xy"], ("y", "y"): column["yy"]}
    sums = {"x": column["invited"], "y": column["answered"]}
    moments = Moments(column["invited"], column["customers"], sums, products, column["answered"])
    return estimates.share(column["answered"], column["invited"], confidence=confidence, n_eff=moments.effective_n)
