"""Why did it change? The change of an outcome as a tree: five leaves, their drivers, and what is left unexplained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from cxlib import results
from cxlib.analysis.drivers import shares
from cxlib.analysis.drivers.columns import Driver
from cxlib.analysis.drivers.covariance import spread
from cxlib.analysis.drivers.design import Design, design
from cxlib.analysis.drivers.fitted import percentiles
from cxlib.errors import UsageError, did_you_mean
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers
from cxlib.measure.verdicts import adjust
from cxlib.measure.weighted import weighted_mean

LEAVES = ("product", "service", "channel", "digital", "mix")
UNEXPLAINED, LEAF, BETWEEN = "unexplained", "leaf", "leaf x driver"
_AFTER = "\0after"  # no column of a frame is called so
_METHOD = "regression decomposition (Oaxaca-Blinder, pooled slopes), percentile bootstrap"
_SEED = 1


def root_causes(
    before: pd.DataFrame,
    after: pd.DataFrame,
    outcome: str,
    drivers: Sequence[str],
    leaves: Mapping[str, str],
    *,
    weights: str | None = None,
    cluster: str | None = None,
    not_applicable: Any = None,
    labels: tuple[str, str] = ("before", "after"),
    bootstrap: int = 1000,
    rng: np.random.Generator | None = None,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Split the change of a mean outcome into what each driver's change goes with, leaf by leaf.

    Parameters
    ----------
    before, after
        One row an answer, with the same columns.
    outcome
        Column of numbers (an NPS: -100, 0 and 100).
    drivers
        Columns; what customers bring with them (region, source) are drivers of the leaf `mix`.
    leaves
        Driver -> `product`, `service`, `channel`, `digital` or `mix`.
    weights, cluster
        Names of columns, as in `importance.fit`; a customer who answers in both periods is drawn once for both.
    not_applicable, bootstrap, rng, confidence, min_n
        As in `importance.fit`.
    labels
        Of the periods, such as ("2026-09", "2026-10").

    Returns
    -------
    pandas.DataFrame
        Result rows of the change: `segment = "leaf"`, one a leaf and one `unexplained`; `segment = "leaf x driver"`,
        one a driver (`service x wait`), its note saying how the driver itself moved; and the whole (`level = "all"`),
        after minus before. Drivers add up to their leaf, leaves and `unexplained` to the whole, to rounding. Two rows
        with `comparison = "level"` are the outcome's means. A leaf without drivers is undefined: nobody looked.

    Raises
    ------
    UsageError
        As `importance.fit`, for drivers without a leaf and for unknown leaves.

    Notes
    -----
    With b the slopes of one regression over both periods that has the period in it, a driver's part is b times the
    change of its mean, and the slope of the period is what no driver explains (Oaxaca 1973; Blinder 1973; pooled slopes
    with the group in the model: Fortin 2008, Jann 2008, Stata J. 8:453). A part says what the driver's change went
    with, not that it was the reason: the slopes are those of customers who differ, not of customers who were changed.
    """
    check_confidence(confidence)
    _check(drivers, leaves)
    if bootstrap < 2:
        raise UsageError(f"bootstrap {bootstrap} is no number of draws", hint="Take 1000.")
    frame = _both(before, after, [outcome, *drivers, *filter(None, [weights, cluster])])
    made = design(frame, outcome, [*drivers, _AFTER], weights=weights, cluster=cluster,
                  not_applicable=_only(not_applicable, drivers))  # fmt: skip
    words = {
        "metric": outcome,
        "period": labels[1],
        "against": labels[0],
        "comparison": "difference",
        "method": _METHOD,
    }
    trouble = _trouble(made, frame, outcome, labels)
    if trouble:
        return results.frame(status=trouble[0], note=trouble[1], **words)
    rng = np.random.default_rng(_SEED) if rng is None else rng
    found, drawn = _parts(made, bootstrap, rng)
    rows = [*_leaves(made, found, drawn, leaves), *_drivers(made, found, drawn, leaves)]
    table = results.concat([_rows(group, confidence, words, made) for group in rows])
    few = made.customers < min_n
    levels = _levels(made, labels, confidence, outcome)
    return results.suppress(results.concat([table, *levels]), np.iinfo(np.int64).max if few else 0)


def _check(drivers: Sequence[str], leaves: Mapping[str, str]) -> None:
    """Refuse drivers without a leaf, and leaves that do not exist."""
    wrong = [f"driver '{name}' has no leaf" for name in drivers if name not in leaves]
    wrong += [f"'{leaf}' is no leaf{did_you_mean(leaf, LEAVES)}" for leaf in dict.fromkeys(leaves.values())
              if leaf not in LEAVES]  # fmt: skip
    if wrong:
        raise UsageError("; ".join(wrong), hint=f"Leaves are {', '.join(LEAVES)}.")


def _both(before: pd.DataFrame, after: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Put both periods under each other, with a column that says which."""
    parts = [one[[name for name in dict.fromkeys(names) if name in one.columns]] for one in (before, after)]
    if not parts[0].dtypes.equals(parts[1].dtypes):
        parts = [part.astype(object) for part in parts]
    return pd.concat([part.assign(**{_AFTER: float(place)}) for place, part in enumerate(parts)], ignore_index=True)


def _only(given: Any, drivers: Sequence[str]) -> Any:
    """Keep codes for "not applicable" away from the period's own column, which is 0 and 1."""
    return given if given is None or isinstance(given, Mapping) else dict.fromkeys(drivers, given)


def _trouble(made: Design, frame: pd.DataFrame, outcome: str, labels: tuple[str, str]) -> tuple[str, str] | None:
    """Return status and note where there is nothing to split."""
    for place, label in enumerate(labels):
        if not frame.loc[frame[_AFTER] == place, outcome].notna().any():
            return results.UNDEFINED, f"no answers in {label}"
    return made.fault()


class _Parts:
    """Parts of a change: each driver's, what is unexplained, and the whole; shapes (B,) or (B, p)."""

    def __init__(self, cov: Numbers, period: int, used: Sequence[Driver]) -> None:
        moved = cov[:, 1:, period] / cov[:, [period], period]
        part = shares.slopes(cov) * moved
        self.by_driver = np.stack([part[:, np.array(one.columns) - 1].sum(axis=1) for one in used], axis=1)
        self.unexplained = part[:, period - 1]
        self.whole = cov[:, 0, period] / cov[:, period, period]


def _parts(made: Design, bootstrap: int, rng: np.random.Generator) -> tuple[_Parts, _Parts]:
    """Return the parts of the change, and their draws."""
    size = made.numbers.shape[1]
    fitted = spread(made, np.arange(size))
    used = [driver for driver in made.drivers if not driver.fault]
    period = used.pop().columns[0]
    return tuple(_Parts(cov, period, used) for cov in (fitted.cov[None], fitted.draws(bootstrap, rng)[1]))  # type: ignore[return-value]


Group = list[tuple[dict[str, str], float, Numbers]]  # texts, estimate and draws of rows that are one family


def _leaves(made: Design, found: _Parts, drawn: _Parts, leaves: Mapping[str, str]) -> list[Group]:
    """Return the whole, and one row a leaf."""
    used = [driver.name for driver in made.drivers if not driver.fault][:-1]
    rows: Group = []
    for leaf in LEAVES:
        mine = [place for place, name in enumerate(used) if leaves[name] == leaf]
        texts = {"segment": LEAF, "level": leaf}
        if not mine:
            texts |= {"status": results.UNDEFINED, "note": "no driver of this leaf was given"}
        rows.append((texts, found.by_driver[0, mine].sum(), drawn.by_driver[:, mine].sum(axis=1)))
    rows.append(({"segment": LEAF, "level": UNEXPLAINED}, found.unexplained[0], drawn.unexplained))
    return [[({}, found.whole[0], drawn.whole)], rows]


def _drivers(made: Design, found: _Parts, drawn: _Parts, leaves: Mapping[str, str]) -> list[Group]:
    """Return one row a driver."""
    rows: Group = []
    place = 0
    for driver in made.drivers[:-1]:
        texts = {"segment": BETWEEN, "level": f"{leaves[driver.name]} x {driver.name}"}
        if driver.fault:
            rows.append((texts | {"status": results.UNDEFINED, "note": driver.fault}, 0.0, np.zeros(len(drawn.whole))))
            continue
        texts["note"] = _moved(made, driver)
        rows.append((texts, found.by_driver[0, place], drawn.by_driver[:, place]))
        place += 1
    return [rows]


def _moved(made: Design, driver: Driver) -> str:
    """Say how a driver itself moved: its mean, or the level whose share moved most."""
    after = made.numbers[:, made.drivers[-1].columns[0]] > 0
    if driver.levels:
        table = made.numbers[:, np.array(driver.columns)]
        share = [np.average(table[side], axis=0, weights=made.weights[side]) for side in (~after, after)]
        share = [np.append(one, 1 - one.sum()) for one in share]
        most = int(np.argmax(np.abs(share[1] - share[0])))
        name = [*driver.levels, driver.reference][most]
        return f"{name}: {100 * share[0][most]:.1f} % to {100 * share[1][most]:.1f} %"
    value = made.numbers[:, driver.columns[0]]
    known = ~np.isnan(value)
    if len(driver.columns) > 1:
        known &= made.numbers[:, driver.columns[1]] == 0
    sides = [known & side for side in (~after, after)]
    if not all(side.any() for side in sides):
        return "answered in one period only"
    mean = [float(np.average(value[side], weights=made.weights[side])) for side in sides]
    return f"mean {mean[0]:.3g} to {mean[1]:.3g}"


def _rows(group: Group, confidence: float, words: Mapping[str, str], made: Design) -> pd.DataFrame:
    """Return result rows of parts that are one family of comparisons."""
    texts, estimate = [one[0] for one in group], np.array([one[1] for one in group], dtype=float)
    drawn = np.stack([one[2] for one in group], axis=1)
    error, (low, high) = drawn.std(axis=0, ddof=1), percentiles(drawn, confidence)
    known = np.array([one.get("status", results.OK) == results.OK for one in texts]) & (error > 0)
    p_value = np.where(known, 2 * special.ndtr(-np.abs(estimate) / np.where(error > 0, error, 1.0)), np.nan)
    columns = {name: [one.get(name, "all") for one in texts] for name in ("segment", "level")}
    columns |= {"note": [one.get("note", "") for one in texts], "status": [one.get("status", "ok") for one in texts]}
    return results.frame(
        estimate=estimate, std_error=error, conf_low=low, conf_high=high, p_value=p_value, p_adjusted=adjust(p_value),
        n=float(len(made.numbers)), n_eff=made.kish, **words, **columns,
    )  # fmt: skip


def _levels(made: Design, labels: tuple[str, str], confidence: float, outcome: str) -> list[pd.DataFrame]:
    """Return the outcome's mean in both periods."""
    after = made.numbers[:, made.drivers[-1].columns[0]] > 0
    rows = []
    for label, side in zip(labels, (~after, after), strict=True):
        row = weighted_mean(made.numbers[side, 0], made.weights[side], confidence=confidence, clusters=made.whose[side])
        rows.append(
            results.label(row.assign(n_eff=np.nan if not made.weighted else row["n_eff"]), metric=outcome, period=label)
        )
    return rows
