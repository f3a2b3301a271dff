"""One survival curve: Kaplan-Meier by statsmodels, and what is read off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cxlib.analysis.loyalty import doors
from cxlib.analysis.loyalty.doors import Labels
from cxlib.errors import UsageError
from cxlib.measure.intervals import z_of
from cxlib.measure.rows import Numbers

INTERVALS = ("log", "log-log")
_BEFORE = -1.0  # an entry from which on all is seen, times of 0 too
_TOUCH = np.sqrt(np.finfo(float).eps)  # as near to one half counts as one half (R survival, `minmin`)


class Watched(NamedTuple):
    """Customers as they were watched, those without a duration or an event left out."""

    time: Numbers
    event: Numbers
    entry: Numbers | None
    group: Labels
    note: str
    kept: NDArray[np.bool_]  # which of the rows given these are


@dataclass(frozen=True, eq=False)
class Curve:
    """A Kaplan-Meier curve at the times at which somebody left.

    Parameters
    ----------
    times, survival, error, at_risk, events
        Shape (m,): the share still there after each time, its Greenwood standard error, how many were watched just
        before it, how many left.
    n, last
        Customers, and until when the curve is known: the longest that any of them was watched.
    watched, entered
        When the watching of each ended and began, sorted; `entered` is empty where all were watched from 0.
    beyond
        Why nothing is known after `last`.
    """

    times: Numbers
    survival: Numbers
    error: Numbers
    at_risk: Numbers
    events: Numbers
    n: int
    last: float
    watched: Numbers
    entered: Numbers
    beyond: str

    def at(self, when: Numbers) -> tuple[Numbers, Numbers]:
        """Return the share still there at each time and its standard error; missing where nobody was watched on."""
        place = np.searchsorted(self.times, when, side="right")
        share, error = np.append(1.0, self.survival)[place], np.append(0.0, self.error)[place]
        beyond = (when > self.last) & (share > 0)
        return np.where(beyond, np.nan, share), np.where(beyond, np.nan, error)

    def left_at(self, when: Numbers) -> Numbers:
        """Return how many were watched just before each time."""
        gone = np.searchsorted(self.watched, when, side="left")
        begun = np.searchsorted(self.entered, when, side="left") if self.entered.size else self.n
        return np.asarray(begun - gone, dtype=float)

    def limits(self, confidence: float, interval: str) -> tuple[Numbers, Numbers]:
        """Return the pointwise limits at `times`; where nobody is left, 0 and the upper limit of the time before."""
        low, high = bounds(self.survival, self.error, confidence, interval)
        empty = self.survival <= 0
        if empty.any():
            first = int(np.argmax(empty))
            low[first:], high[first:] = 0.0, high[first - 1] if first else 1.0
        return low, high

    def half(self, values: Numbers) -> float:
        """Return where a falling curve reaches one half: the middle of a flat stretch at it, NaN where it does not."""
        reached = np.flatnonzero(values < 0.5 + _TOUCH)
        if not reached.size:
            return float("nan")
        first = int(reached[0])
        lower = np.flatnonzero(values < values[first])
        if abs(values[first] - 0.5) < _TOUCH and lower.size:
            return float((self.times[first] + self.times[lower[0]]) / 2)
        return float(self.times[first])

    def area(self, horizon: float) -> tuple[float, float]:
        """Return the area under the curve up to `horizon` and its standard error (R `print.survfit(rmean=)`)."""
        before = self.times < horizon
        knots = np.concatenate([[0.0], self.times[before], [horizon]])
        heights = np.append(1.0, self.survival[before])
        pieces = np.diff(knots) * heights
        rest = np.cumsum(pieces[::-1])[::-1][1:]  # the area beyond each time
        n, d = self.at_risk[before], self.events[before]
        worth = np.divide(d, n * (n - d), out=np.zeros_like(n), where=n > d)
        return float(pieces.sum()), float(np.sqrt((rest**2 * worth).sum()))


def bounds(share: Numbers, error: Numbers, confidence: float, interval: str) -> tuple[Numbers, Numbers]:
    """Return pointwise limits of survival on the scale of its logarithm, or of the logarithm of that."""
    z = z_of(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        if interval == "log":
            factor = np.exp(z * error / share)
            low, high = share / factor, np.minimum(share * factor, 1.0)
        else:
            power = np.exp(z * error / share / -np.log(share))
            low, high = share**power, share ** (1 / power)
    sure = share >= 1
    return np.where(sure, 1.0, low), np.where(sure, 1.0, high)


def check_interval(interval: str) -> None:
    """Raise `UsageError` for an interval of another name."""
    if interval not in INTERVALS:
        raise UsageError(f"'{interval}' is no interval of survival; there are {', '.join(INTERVALS)}")


def watch(durations: object, events: object, by: object = None, entry: object = None) -> Watched:
    """Check and convert what a survival analysis takes; rows that lack something are left out and counted.

    Raises `UsageError` for what cannot be used, and where nothing is left.
    """
    time = doors.spans("durations", durations)
    event = doors.flags("events", events, time.size)
    start = None if entry is None else doors.spans("entry", entry, time.size)
    everybody = Labels(np.zeros(time.size, dtype=np.int64), ("all",), "all")
    group = everybody if by is None else doors.labels(by, time.size)
    lacking = np.isnan(time) | np.isnan(event) | (np.isnan(start) if start is not None else False)
    nameless = ~lacking & (group.codes < 0)
    start = None if start is None else from_zero(start)
    late = ~lacking & ~nameless & (start >= time if start is not None else False)
    note = doors.listed([
        (int(lacking.sum()), "without a duration or an event"),
        (int(nameless.sum()), f"without {group.segment}"),
        (int(np.sum(late)), "that were not watched before they ended"),
    ])  # fmt: skip
    kept = ~(lacking | nameless | late)
    if not kept.any():
        raise UsageError("no customer has a duration and an event", hint=note)
    start = None if start is None else start[kept]
    return Watched(time[kept], event[kept], start, group._replace(codes=group.codes[kept]), note, kept)


def from_zero(entry: Numbers) -> Numbers:
    """Return entries with those at 0 before it: who was watched from the beginning was watched at 0."""
    return np.where(entry == 0, _BEFORE, entry)


def curve(time: Numbers, event: Numbers, entry: Numbers | None = None) -> Curve:
    """Return the Kaplan-Meier curve of checked arrays, shape (n,), by statsmodels' `SurvfuncRight`."""
    from statsmodels.duration.survfunc import SurvfuncRight

    fit = SurvfuncRight(time, event, entry=entry)
    times, share, risk, gone = fit.surv_times.astype(float), fit.surv_prob, fit.n_risk.astype(float), fit.n_events
    last, beyond = float(time.max()), f"nobody was watched for longer than {time.max():g}"
    empty = np.flatnonzero(risk == gone)
    if empty.size and last > times[empty[0]]:
        # All who were watched so early left, and others came later: the product is 0 for ever, which says nothing.
        first = int(empty[0])
        last, beyond = (
            float(np.nextafter(times[first], 0)),
            f"all {gone[first]:g} who were watched at {times[first]:g} left then",
        )
        times, share, risk, gone = times[:first], share[:first], risk[:first], gone[:first]
    error = np.where(share > 0, fit.surv_prob_se[: share.size], 0.0)
    return Curve(
        times, share, error, risk, gone.astype(float), time.size, last, np.sort(time),
        np.array([]) if entry is None else np.sort(entry), beyond,
    )  # fmt: skip


def curves(people: Watched) -> dict[str, Curve]:
    """Return the curve of each level that somebody of was watched."""
    found = {}
    for place, name in enumerate(people.group.names):
        own = people.group.codes == place
        if own.any():
            entry = None if people.entry is None else people.entry[own]
            found[name] = curve(people.time[own], people.event[own], entry)
    return found
