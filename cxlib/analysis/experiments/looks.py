"""Looks at a running experiment that were agreed on beforehand: group-sequential boundaries that spend the error.

Few looks, fixed before the launch (say one a week for four weeks), are cheap: with O'Brien and Fleming's spending the
last look is nearly as sharp as a single one, and an experiment planned so needs 2 to 3 % more units. Who wants to look
every day, or cannot say when, takes always-valid intervals instead (`effect(..., sequential=N)`): they hold at any
number of looks, are half as wide again, and take up to twice the units. The two are not mixed: whoever has looked
outside the plan has spent error that the boundaries do not know of.

All is for statistics that are normal, from some hundred units an arm on; `fractions` are units seen over units planned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, special

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.experiments import limits, power_terms
from cxlib.analysis.experiments.looks_crossing import exits, spent, upper_boundaries
from cxlib.errors import UsageError
from cxlib.measure import sequential
from cxlib.measure.moments import Numbers

_NAMES = {"obrien-fleming": "O'Brien and Fleming's", "pocock": "Pocock's"}
_MOST = 100  # looks
STOP, CONTINUE, END, AFTER = "stop: there is an effect", "continue", "end: no effect was shown", "after the stop"


def boundaries(
    fractions: int | Iterable[float],
    *,
    alpha: float = 0.05,
    spending: str = "obrien-fleming",
    alternative: str = "two-sided",
) -> pd.DataFrame:
    """Work out how far from 0, in standard errors, an effect must lie at each look for the experiment to stop.

    Parameters
    ----------
    fractions
        Units seen at each look over units planned, rising, above 0; or the number of looks, evenly spaced. The last
        look spends all that is left of alpha; only it may lie above 1, where more units came than were planned.
    alpha
        Share of experiments without an effect that stop at any look.
    spending
        `obrien-fleming` (default: hardly any error early, nearly all at the end) or `pocock` (as much at each look).
    alternative
        `two-sided`, or `greater` or `less` to stop on that side only.

    Returns
    -------
    pandas.DataFrame
        A result row a look, `metric = "boundary"`, `segment = "look"`, `level` its number, `at` its fraction: the
        estimate is the boundary in standard errors (at most 8), `p_value` the p-value of a single look to stay below.

    Raises
    ------
    UsageError
        For fractions that do not rise, an alpha outside 0 to 1, an unknown spending.

    Notes
    -----
    Lan and DeMets (1983), Biometrika 70:659. R `ldbounds`, `gsDesign` (`sfLDOF`, `sfLDPocock`).
    """
    at, two_sided = _fractions(fractions), _two_sided(alternative, alpha)
    z = upper_boundaries(at, alpha, spending, two_sided=two_sided)
    sides = 2 if two_sided else 1
    used = [*(sides * spent(t, alpha / sides, spending) for t in at[:-1]), alpha]
    return results.frame(
        metric="boundary", segment="look", level=_numbers(at), at=_told(at), estimate=z,
        p_value=sides * special.ndtr(-z), method=_method(spending, alpha, alternative),
        note=[f"{share:.2g} of alpha is spent by then" for share in np.array(used) / alpha],
    )  # fmt: skip


def looks(
    effects: pd.DataFrame | ArrayLike,
    fractions: int | Iterable[float],
    *,
    spending: str = "obrien-fleming",
    alternative: str = "two-sided",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Read the looks taken so far: stop or go on, with intervals that hold whenever one stops.

    Parameters
    ----------
    effects
        Result rows of one effect, a look each, every one with all units since the start: `effect(...)` or
        `cuped(...)`; they are put in order of their n. Or the statistics (effect over standard error), shape (k,).
    fractions
        Of all looks that are planned, as of `boundaries`; those taken so far come first. Put in what was really seen
        for looks that were not on time.
    spending, alternative
        As of `boundaries`, decided before the first look.
    confidence
        Of all intervals together; 1 - confidence is the alpha of the boundaries.

    Returns
    -------
    pandas.DataFrame
        The rows, `segment = "look"`, `level` its number. Limits are those of repeated confidence intervals (effect +-
        boundary x standard error; they hold at all looks together, so whether or not one stops as planned); `p_value`
        is that of a single look, `p_adjusted` the repeated p-value: the least alpha at which one would stop there.
        `note` says `stop`, `continue`, `end` or `after the stop`; the verdict is `moved` at the stop, `not shown` at
        the end. A look without a standard error stays as it is: nothing stops there.

    Raises
    ------
    UsageError
        For more rows than looks, rows of several effects, rows without n.

    Notes
    -----
    Jennison and Turnbull (2000), Group Sequential Methods, sections 9.1 and 9.2. The effect at an early stop lies too
    far from 0 on average: experiments that stop early are those in which chance helped.
    """
    alpha = 1 - confidence
    at, two_sided = _fractions(fractions), _two_sided(alternative, alpha)
    rows = _rows(effects, len(at))
    value, error = (rows[name].to_numpy(dtype=float) for name in ("estimate", "std_error"))
    sign = -1.0 if alternative == "less" else 1.0
    z = sign * np.divide(value, error, out=np.full(value.shape, np.nan), where=error > 0)
    bound = upper_boundaries(at, alpha, spending, two_sided=two_sided)[: len(rows)]
    away = np.abs(z) if two_sided else z
    low = value - bound * error if alternative != "less" else np.full(z.shape, -np.inf)
    high = value + bound * error if alternative != "greater" else np.full(z.shape, np.inf)
    p_values = [_repeated(float(away[k]), k, at, spending, two_sided) for k in range(len(rows))]
    words = _words(away >= bound, len(at))
    known = (rows["status"] == results.OK).to_numpy()
    verdicts = np.array([{STOP: "moved", END: "not shown"}.get(word, "") for word in words])
    return results.conform(
        rows.assign(
            segment="look", level=_numbers(at[: len(rows)]), conf_low=low, conf_high=high,
            p_value=(2 if two_sided else 1) * special.ndtr(-away), p_adjusted=p_values,
            method=[f"{name}; {_method(spending, alpha, alternative)}".lstrip("; ") for name in rows["method"]],
            verdict=np.where(known, verdicts, ""), note=np.where(known, words, rows["note"]),
        )
    )  # fmt: skip


def inflation(
    fractions: int | Iterable[float],
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    spending: str = "obrien-fleming",
    alternative: str = "two-sided",
) -> float:
    """Return what the units of a single look are multiplied by to keep the power with these looks.

    Parameters
    ----------
    fractions, alpha, spending, alternative
        As of `boundaries`.
    power
        That the effect is found at any of the looks, above alpha and below 1.

    Returns
    -------
    float
        At least 1 (Jennison and Turnbull 2000, section 2.3): the square of the drift that has the power over that
        which has it at a single look.
    """
    at, two_sided = _fractions(fractions), _two_sided(alternative, alpha)
    single = _single(power, alpha, 2 if two_sided else 1)
    bound = upper_boundaries(at, alpha, spending, two_sided=two_sided)
    short = lambda drift: exits(at, bound, drift, two_sided=two_sided)[0].sum() - power  # noqa: E731
    drift = optimize.brentq(short, 0.5 * single, 4 * single, xtol=1e-9)
    return max(float((drift / single) ** 2) * at[-1], 1.0)


def always_valid_inflation(*, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return what the units of a single look are multiplied by to keep the power with always-valid intervals.

    Parameters
    ----------
    power, alpha
        As of `inflation`, two-sided.

    Returns
    -------
    float
        1.91 at 80 % power and 5 %: ((b + z_power) / (z_(alpha / 2) + z_power))^2, b being the half width at N* in
        standard errors (Howard et al. 2021; see `measure.sequential`). Tune them to that number of units of both arms.
        It keeps the power at the last look; whoever looks earlier, too, finds somewhat more, and mostly earlier.
    """
    _two_sided("two-sided", alpha)
    single = _single(power, alpha, 2)
    far = float(sequential.boundary(1.0, sequential.best_rho(1.0, 1 - alpha), 1 - alpha))
    return float(((far + special.ndtri(power)) / single) ** 2)


def plan_looks(
    n: float | pd.DataFrame,
    looks: int | Iterable[float],
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    spending: str = "obrien-fleming",
    alternative: str = "two-sided",
) -> pd.DataFrame:
    """Plan looks: how many units each comes at, how far the effect must lie from 0, and how likely one stops there.

    Parameters
    ----------
    n
        Units of the control arm that a single look needs at this power and alpha, or the rows of a sample size
        function.
    looks
        The number of looks, evenly spaced, or fractions up to 1.
    power, alpha, spending, alternative
        As of `inflation`.

    Returns
    -------
    pandas.DataFrame
        Result rows: `sample_size` (more than n), `expected_size` (units of the control arm on average, if the effect is
        as planned); then for each look (`segment = "look"`, `level` its number) `look_size` (units of the control
        arm), `boundary`, and `stopped` (share of experiments that have stopped by then, if the effect is as planned).
        Where no number of units would do, those rows of n alone.
    """
    at = _fractions(looks)
    if abs(at[-1] - 1) > 1e-9:
        raise UsageError(f"the last look is at {at[-1]:g} of the units planned, not at 1")
    sizes = power_terms.sizes(n)
    if (sizes["status"] != results.OK).any():
        return sizes
    factor = inflation(at, power=power, alpha=alpha, spending=spending, alternative=alternative)
    rows = boundaries(at, alpha=alpha, spending=spending, alternative=alternative)
    two_sided = alternative == "two-sided"
    single = _single(power, alpha, 2 if two_sided else 1)
    bound = rows["estimate"].to_numpy(dtype=float)
    ways = exits(at, bound, single * np.sqrt(factor), two_sided=two_sided)
    units = np.asarray(at) * factor * float(sizes["estimate"].iloc[0])
    stopping = (ways[0] + ways[1])[:-1]
    expected = float(stopping @ units[:-1] + (1 - stopping.sum()) * units[-1])
    more = f"{100 * (factor - 1):.1f} % more than for a single look"
    exact = sizes["estimate"] * factor
    whole = np.ceil(units * (1 - 1e-12))
    head = results.conform(sizes.assign(estimate=exact, n=np.ceil(exact * (1 - 1e-12)), note=more))
    shared: dict[str, Any] = {"method": rows["method"].iloc[0], "segment": "look"}
    shared |= {"level": rows["level"].to_numpy(), "at": rows["at"].to_numpy(), "n": whole}
    return results.concat(
        [
            head,
            results.frame(metric="expected_size", estimate=expected, method=rows["method"].iloc[0], note=_IF_PLANNED),
            results.frame(metric="look_size", estimate=units, **shared),
            results.conform(rows.assign(n=whole)),
            results.frame(metric="stopped", estimate=np.cumsum(ways[0] + ways[1]), **shared, note=_IF_PLANNED),
        ]
    )


_IF_PLANNED = "if the effect is as planned"


def _single(power: float, alpha: float, sides: int) -> float:
    """Return the expected z at which a single look has the power."""
    if not (power_terms.is_number(power) and alpha < power < 1):
        raise UsageError(f"power {power!r} is not between alpha {alpha:g} and 1", hint="Write 80 % as 0.8.")
    return float(special.ndtri(power) - special.ndtri(alpha / sides))


def _repeated(away: float, look: int, fractions: list[float], spending: str, two_sided: bool) -> float:
    """Return the least alpha at which a look lies on its boundary."""
    if np.isnan(away):
        return float("nan")

    def beyond(log_alpha: float) -> float:
        bound = upper_boundaries(fractions, float(np.exp(log_alpha)), spending, two_sided=two_sided)[look]
        return away - float(bound)

    least, most = -30.0, -1e-9
    if beyond(most) <= 0:
        return 1.0
    return 0.0 if beyond(least) >= 0 else float(np.exp(optimize.brentq(beyond, least, most, xtol=1e-8)))


def _words(crossed: Any, planned: int) -> list[str]:
    """Return what is to be done at each look."""
    words: list[str] = []
    for number, over in enumerate(crossed, start=1):
        stopped = STOP in words
        going = END if number == planned else CONTINUE
        words.append(AFTER if stopped else STOP if over else going)
    return words


def _rows(effects: Any, planned: int) -> pd.DataFrame:
    """Return the rows of the looks taken, in order; raise `UsageError` where they are not of one effect."""
    if isinstance(effects, pd.DataFrame):
        rows = results.conform(effects)
        several = [name for name in ("metric", "at", "against", "comparison") if len(set(rows[name])) > 1]
        if several:
            raise UsageError("looks are read one effect at a time", hint=f"These differ in {' and '.join(several)}.")
        if len(rows) > 1 and (rows["n"].isna().any() or rows["n"].duplicated().any()):
            raise UsageError("each look needs its number of units, more from look to look")
        rows = rows.sort_values("n", kind="stable", ignore_index=True)
    else:
        z: Numbers = np.atleast_1d(doors.numbers("the statistics", effects))
        status = np.where(np.isnan(z), results.UNDEFINED, results.OK)
        rows = results.frame(comparison="test", estimate=z, std_error=1.0, method="z", status=status)
    if not 0 < len(rows) <= planned:
        raise UsageError(f"{len(rows)} looks taken, {planned} planned", hint="Name the fraction of every look.")
    return rows


def _fractions(given: int | Iterable[float]) -> list[float]:
    """Return the information fractions of looks, checked."""
    if isinstance(given, int | np.integer):
        count = doors.whole("the number of looks", given, 1, _MOST)
        return [float(t) for t in np.arange(1, count + 1) / count]
    at = np.atleast_1d(doors.numbers("fractions", list(given) if isinstance(given, Iterable) else given))
    rising = at.size > 0 and bool(np.all(np.diff(at, prepend=0.0) > 1e-6)) and bool(np.all(at[:-1] < 1))
    if not rising or at.size > _MOST or at[-1] > 10:
        raise UsageError(
            f"fractions {', '.join(f'{t:g}' for t in at[:10])} do not rise from above 0, all but the last below 1",
            hint="They are units seen at each look over units planned, as 0.25, 0.5, 0.75, 1.",
        )
    return [float(t) for t in at]


def _two_sided(alternative: str, alpha: float) -> bool:
    faults = []
    if alternative not in limits.ALTERNATIVES:
        faults.append(f"alternative '{alternative}' is none of {', '.join(limits.ALTERNATIVES)}")
    if not (power_terms.is_number(alpha) and 1e-9 < alpha < 1 - 1e-9):
        faults.append(f"alpha {alpha!r} is not between 0 and 1")
    power_terms.refuse(faults)
    return alternative == "two-sided"


def _method(spending: str, alpha: float, alternative: str) -> str:
    side = "two-sided" if alternative == "two-sided" else "one-sided"
    return f"{_NAMES[spending]} spending (Lan and DeMets), {side} {100 * alpha:g} % over all looks"


def _numbers(at: list[float]) -> list[str]:
    return [str(number) for number in range(1, len(at) + 1)]


def _told(at: list[float]) -> list[str]:
    return [f"{100 * t:.4g} % of the units" for t in at]
