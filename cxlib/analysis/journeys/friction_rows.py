"""The rows of frictions and wins: how many met each cause, what goes with it, and which comes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.drivers.ranking import rank_limits
from cxlib.analysis.hiding import NOTE
from cxlib.analysis.journeys.adjusted import Design, Fit
from cxlib.analysis.journeys.named_causes import CAUSES
from cxlib.analysis.journeys.touched import COUNTED, met, times_of
from cxlib.measure.estimates import share
from cxlib.measure.rows import Codes, Numbers

SATISFACTION, LEAVING, BUYING, MONEY = "effect", "leaving", "buying again", "value at stake"
VOLUME, PRIORITY, RANK = "volume", "priority", "rank"
FRICTION, WIN = "friction", "win"
SPARED = "who were spared it"
_OFTEN = 4  # times, from which on one more tells nothing new
HOW = "association; least squares, other causes and segments held, by customer (CR3, t)"


@dataclass(frozen=True)
class Money:
    """What customers are worth.

    Parameters
    ----------
    margin
        Share of an amount that is earned; None where no order tells: then what orders cost says it.
    months
        How far ahead the worth of who leaves is looked at.
    discount
        The year's discount rate.
    """

    margin: float | None = None
    months: int = 12
    discount: float = 0.1


@dataclass(frozen=True)
class Ask:
    """How `friction` is to be worked out; see there."""

    segments: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    matters: float | None = None
    tested: Mapping[str, str] = field(default_factory=dict)
    money: Money = field(default_factory=Money)
    alpha: float = 0.05
    confidence: float = 0.95
    min_n: int = 1
    draws: int = 400
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))


class Told(NamedTuple):
    """Rows of one kind of outcome for each cause, with what is behind them."""

    fit: Fit | None
    why: Mapping[str, str]


def who_met(volumes: pd.DataFrame, mine: Sequence[str], ask: Ask) -> pd.DataFrame:
    """Return one row a cause: how many customers met it, whether that may be told, and why not."""
    whole = volumes[volumes["touchpoint"] == "all"].set_index("cause")
    found = whole.reindex(mine)[["touched", "spared", "customers"]].astype(float).fillna(0.0)
    few = ((found[["touched", "spared"]] > 0) & (found[["touched", "spared"]] < ask.min_n)).any(axis=1)
    return found.assign(
        status=np.where(few, results.SUPPRESSED, np.where(found["customers"] == 0, results.UNDEFINED, results.OK)),
        why=np.where(few, NOTE, np.where(found["customers"] == 0, "nobody could have met it in this period", "")),
    )


def volume_rows(touched: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Return how many customers met each cause, and which share of those who could have."""
    shares = share(touched["touched"], touched["customers"], confidence=ask.confidence)
    status = np.where(shares["status"] == results.OK, touched["status"], shares["status"])
    shares = shares.assign(metric=VOLUME, comparison="share", level=titles(touched), at="all", status=status,
                           note=np.where(status == results.OK, "", touched["why"]))  # fmt: skip
    ends = {name: shares[name] * touched["customers"].to_numpy() for name in ("estimate", "conf_low", "conf_high")}
    counts = shares.assign(comparison="level", std_error=np.nan, n_eff=np.nan,
                           method="customers who met it; limits of the share", **ends)  # fmt: skip
    return results.concat([results.conform(counts), results.conform(shares)])


def titles(touched: pd.DataFrame) -> np.ndarray:
    """Return the titles of the causes of some rows."""
    return np.array([CAUSES[name].title for name in touched.index], dtype=object)


def design_of(frame: pd.DataFrame, names: Sequence[str], held: Sequence[str], least: int) -> Design:
    """Return what was met in rows, with what is held constant."""
    columns = {name: frame[met(name)].to_numpy(dtype=float) for name in names if met(name) in frame}
    return Design.of(columns, controls(frame, held), customers(frame), least=least)


def controls(frame: pd.DataFrame, held: Sequence[str]) -> pd.DataFrame:
    """Return what is held: labels, and how often something could have happened, for who comes often meets more."""
    often = [name for name in map(times_of, COUNTED) if name in frame]
    capped = frame[often].fillna(0).clip(upper=_OFTEN).add_suffix("_")
    known = [name for name in held if name in frame]
    return pd.concat([frame[known], capped], axis=1)


def customers(frame: pd.DataFrame) -> Codes:
    """Return the customer of each row, numbered from 0."""
    return np.asarray(pd.factorize(frame["customer_id"])[0], dtype=np.int64)


def whys(design: Design, frame: pd.DataFrame, mine: Sequence[str]) -> dict[str, str]:
    """Return why causes have no effect told."""
    never = {name for name in mine if met(name) not in frame or not (frame[met(name)] == 1).any()}
    words = dict.fromkeys(design.few, "too few customers met it, or were spared it, to tell what goes with it")
    words |= dict.fromkeys(design.lost, "it comes with others that are held: nothing tells them apart")
    return words | dict.fromkeys(never, "nobody of those compared met it")


def effects(told: Told, touched: pd.DataFrame, metric: str, ask: Ask) -> pd.DataFrame:
    """Return one difference a cause between who met it and who was spared.

    What is made of how many met it in this period is hidden where that is; effects themselves are of more.
    """
    found = numbers(told, touched.index, ask)
    hidden = (touched["status"] == results.SUPPRESSED).to_numpy() & (metric in (PRIORITY, MONEY))
    known = np.isfinite(found["estimate"])
    why = np.array([told.why.get(name, "") for name in touched.index], dtype=object)
    tested = [f"an experiment on it: {ask.tested[name]}" if name in ask.tested else "" for name in touched.index]
    return results.frame(
        metric=metric, comparison="difference", level=titles(touched), at="all", against=SPARED, method=HOW, **found,
        status=np.where(hidden, results.SUPPRESSED, np.where(known, results.OK, lacking(why))),
        note=np.where(hidden, NOTE, np.where(known, np.array(tested, dtype=object), why)),
    )  # fmt: skip


def lacking(why: np.ndarray) -> np.ndarray:
    """Return the status of rows without a number, by the reason."""
    return np.array([results.TOO_FEW if words.startswith("too few") else results.UNDEFINED for words in why])


def numbers(told: Told, names: Sequence[str] | pd.Index, ask: Ask) -> dict[str, Numbers]:
    """Return the numbers of effects in the order of the causes, missing where there is none."""
    empty = np.full(len(names), np.nan)
    columns = ("estimate", "std_error", "conf_low", "conf_high", "p_value", "n")
    if told.fit is None or not told.fit.names:
        return {name: empty.copy() for name in columns}
    place = [told.fit.names.index(name) if name in told.fit.names and name not in told.why else -1 for name in names]
    found = told.fit.numbers(ask.confidence) | {"n": told.fit.touched}
    return {name: np.append(found[name], np.nan)[place] for name in columns}


def priorities(told: Told, touched: pd.DataFrame, side: str, ask: Ask) -> pd.DataFrame:
    """Return volume x effect and the ranks: by the bound nearest to none."""
    rows = effects(told, touched, PRIORITY, ask)
    many = touched["touched"].to_numpy()
    ends = ("estimate", "std_error", "conf_low", "conf_high")
    rows = rows.assign(**{name: rows[name] * many for name in ends}, p_value=np.nan,
                       method=f"customers who met it in this period x effect; {HOW}")  # fmt: skip
    shown = (rows["status"] == results.OK).to_numpy() & (many > 0)
    return results.concat([rows, ranks(told, touched, rows, shown, 1.0 if side == WIN else -1.0, ask)])


def ranks(
    told: Told, touched: pd.DataFrame, rows: pd.DataFrame, shown: np.ndarray, sign: float, ask: Ask
) -> pd.DataFrame:
    """Return the rank of each cause that has an effect, with the ranks that chance allows."""
    rank, low, high = (np.full(len(touched), np.nan) for _ in range(3))
    if shown.any() and told.fit is not None:
        bound = np.where(sign > 0, rows["conf_low"], -rows["conf_high"])[shown]
        place = [told.fit.names.index(name) for name in touched.index[shown]]
        moved = (told.fit.draws(ask.draws, ask.rng) - told.fit.value)[:, place]
        again = bound + sign * touched["touched"].to_numpy()[shown] * moved
        rank[shown], low[shown], high[shown] = rank_limits(bound, again, ask.confidence)
    return results.frame(
        metric=RANK, comparison="index", level=titles(touched), at="all", estimate=rank, conf_low=low, conf_high=high,
        n=rows["n"], status=np.where(shown | (rows["status"] != results.OK), rows["status"], results.UNDEFINED),
        note=np.where(shown, "", np.where(rows["status"] == results.OK, "nobody met it in this period", rows["note"])),
        method="by the bound of volume x effect nearest to none; marginal confidence sets, multiplier bootstrap",
    )  # fmt: skip


def of_score(said: pd.DataFrame | None, mine: Sequence[str], others: Sequence[str], ask: Ask) -> Told:
    """Return what goes with each cause in the score."""
    if said is None or said.empty:
        return Told(None, dict.fromkeys(mine, "no answer tells what goes with it"))
    design = design_of(said, [*mine, *others], ["touchpoint", *ask.segments, "period"], ask.min_n)
    return Told(design.fit(said["y"].to_numpy(dtype=float)), whys(design, said, mine))
