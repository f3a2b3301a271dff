"""Power over a range of sizes and effects: what a plan buys, and what it costs to hope for less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.experiments import power_terms
from cxlib.analysis.experiments.power_means import power_mean, power_ratio
from cxlib.analysis.experiments.power_nps import power_nps
from cxlib.analysis.experiments.power_shares import power_share
from cxlib.errors import UsageError, did_you_mean

_POWERS: Mapping[str, Callable[..., pd.DataFrame]] = {
    "share": power_share,
    "mean": power_mean,
    "nps": power_nps,
    "ratio": power_ratio,
}


def power_curve(
    kind: str, *, n: float | Iterable[float], effect: float | Iterable[float], **assumed: Any
) -> pd.DataFrame:
    """Work out the power of each size for each effect.

    Parameters
    ----------
    kind
        `share`, `mean`, `nps` or `ratio`.
    n
        Units of the control arm, one or several.
    effect
        Effects as the function of that kind takes them, one or several.
    assumed
        What it takes besides: `baseline`, `sd`, `promoters` and `detractors`, `past`, and the terms.

    Returns
    -------
    pandas.DataFrame
        A result row for each pair, ordered by effect and n: `metric = "power"`, `at` the effect, n the size.

    Raises
    ------
    UsageError
        For an unknown kind, and whatever the function of that kind refuses.
    """
    if kind not in _POWERS:
        raise UsageError(f"'{kind}' is no kind; there are {', '.join(_POWERS)}{did_you_mean(str(kind), _POWERS)}")
    sizes, effects = (sorted({float(value) for value in np.ravel(_listed(given))}) for given in (n, effect))
    return results.concat(
        power_terms.call(_POWERS[kind], size, effect=each, **assumed) for each in effects for size in sizes
    )


def _listed(given: Any) -> Any:
    return given if np.isscalar(given) else list(given)
