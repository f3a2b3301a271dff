"""Coverage by simulation: how often an interval holds the truth. Few replicates here, all in `make simulate`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib.measure import estimates, intervals
from cxlib.measure.moments import Moments
from cxlib.params import Metric

# Coverage. A 95 % interval covers the truth in 95 % of samples, give or take: what each method may fall short by is
# said beside it; above that comes the simulation's own error, three standard errors.
CASES: dict[str, tuple[Callable[..., pd.DataFrame], float]] = {
    "share .5": (lambda rng, size: estimates.share(rng.binomial(size[1], 0.5, size[0]), size[1]), 0.03),
    "share .9": (lambda rng, size: estimates.share(rng.binomial(size[1], 0.9, size[0]), size[1]), 0.03),
    "nps 50/30/20": (lambda rng, size: estimates.nps(*rng.multinomial(size[1], [0.5, 0.3, 0.2], size[0]).T), 0.02),
    "nps 80/15/5": (lambda rng, size: estimates.nps(*rng.multinomial(size[1], [0.8, 0.15, 0.05], size[0]).T), 0.03),
    "mean of normals": (lambda rng, size: _means(rng.normal(0, 1, size)), 0.01),
    "rate 0.4": (lambda rng, size: estimates.rate(rng.poisson(0.4 * size[1], size[0]), size[1]), 0.0),
}
TRUTHS = {
    "share .5": 0.5, "share .9": 0.9, "nps 50/30/20": 30.0, "nps 80/15/5": 75.0, "mean of normals": 0.0,
    "rate 0.4": 0.4,
}  # fmt: skip


def _means(y: np.ndarray) -> pd.DataFrame:
    n = np.full(len(y), y.shape[1])
    return estimates.mean(Moments.from_sums(n, {"y": y.sum(axis=1)}, {("y", "y"): (y**2).sum(axis=1)}))


def covered(found: pd.DataFrame, truth: float) -> float:
    """Return the share of intervals that hold the truth; those not given do not."""
    return float(((found["conf_low"] <= truth + 1e-12) & (found["conf_high"] >= truth - 1e-12)).mean())


@pytest.mark.simulation
@pytest.mark.parametrize("n", [10, 30, 100])
@pytest.mark.parametrize("case", sorted(CASES))
def test_coverage(case: str, n: int, rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    draw, short = CASES[case]
    times = replicates(2_000, 100_000)
    noise = 3 * np.sqrt(0.05 * 0.95 / times)
    assert covered(draw(rng, (times, n)), TRUTHS[case]) >= 0.95 - short - noise


@pytest.mark.simulation
@pytest.mark.parametrize(("n", "q"), [(10, 0.5), (30, 0.5), (100, 0.5), (40, 0.9), (100, 0.9)])
def test_coverage_of_quantiles(
    n: int, q: float, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Exact: at least 95 %, ties or none."""
    times = replicates(2_000, 100_000)
    values = np.sort(rng.geometric(0.01, (times, n)), axis=1)
    _, low, high = (int(rank) for rank in intervals.quantile_ranks(n, q, 0.95))
    truth = stats.geom.ppf(q, 0.01)
    found = pd.DataFrame({"conf_low": values[:, low - 1], "conf_high": values[:, high - 1]})
    assert covered(found, truth) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / times)


@pytest.mark.simulation
@pytest.mark.parametrize("people", [10, 30, 100])
@pytest.mark.parametrize("kind", ["share", "nps", "mean"])
def test_coverage_with_recurring_customers(
    kind: str, people: int, rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Customers answer three times, each true to a mood of her own: intervals that ignore it cover 86 to 88 %."""
    times = replicates(1_000, 30_000)
    mood = rng.beta(1, 1, (times, people, 1))
    happy = rng.random((times, people, 3)) < mood
    y = {"share": happy, "mean": happy * 4.0 + 1, "nps": happy * 2.0 - 1}[kind].astype(float)
    per = y.sum(axis=2)
    full = lambda values: np.asarray(values.sum(axis=1), dtype=float)  # noqa: E731
    constant = lambda value: np.full(times, float(value))  # noqa: E731
    products = {("y", "y"): full(per**2), ("x", "y"): full(3 * per), ("x", "x"): constant(9 * people)}
    sums = {"y": full(per), "x": constant(3 * people)}
    moments = Moments(constant(3 * people), constant(people), sums, products, (y**2).sum(axis=(1, 2)))
    unit = {"share": "percent", "nps": "points", "mean": "score"}[kind]
    found = estimates.estimate(_metric(kind, unit), moments, 0.95)
    truth = {"share": 0.5, "nps": 0.0, "mean": 3.0}[kind]
    assert covered(found, truth) >= 0.93 - 3 * np.sqrt(0.05 * 0.95 / times)


def _metric(kind: str, unit: str) -> Metric:
    fields = {"id": "m", "title": "M", "question": "?", "table": "responses", "owner": "cx", "higher_is_better": True}
    return Metric(**fields, kind=kind, unit=unit, numerator="score")
