"""Frictions and wins of contacts at each touchpoint: volume, effect and priority there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis.hiding import NOTE, levels
from cxlib.analysis.journeys.adjusted import Design
from cxlib.analysis.journeys.friction_rows import (
    HOW,
    PRIORITY,
    SATISFACTION,
    SPARED,
    Ask,
    Told,
    controls,
    customers,
    lacking,
    numbers,
    volume_rows,
)  # fmt: skip
from cxlib.analysis.journeys.named_causes import CAUSES, CONTACT
from cxlib.analysis.journeys.touched import met
from cxlib.measure.rows import Numbers

_PLACE = "\x1f"  # parts a cause from a touchpoint


def by_place(
    said: pd.DataFrame | None, mine: Sequence[str], others: Sequence[str], volumes: pd.DataFrame,
    touched: pd.DataFrame, ask: Ask,
) -> pd.DataFrame:  # fmt: skip
    """Return the effects of causes of contacts at each touchpoint, volumes and priorities with them."""
    split = [name for name in mine if CAUSES[name].scope == CONTACT and touched.loc[name, "status"] == results.OK]
    if said is None or said.empty or "touchpoint" not in said or not split:
        return results.empty()
    columns, pairs = _split(said, split)
    if not pairs:
        return results.empty()
    rest = {name: said[met(name)].to_numpy(dtype=float) for name in [*mine, *others] if met(name) in said}
    held = {name: values for name, values in rest.items() if name not in {cause for cause, _ in pairs}}
    design = Design.of(columns | held, controls(said, ["touchpoint", *ask.segments, "period"]), customers(said),
                       least=ask.min_n)  # fmt: skip
    why = dict.fromkeys(design.few, "too few customers met it here, or were spared it, to tell what goes with it")
    why |= dict.fromkeys(design.lost, "it comes with others that are held: nothing tells them apart")
    told = Told(design.fit(said["y"].to_numpy(dtype=float)), why)
    return _placed(told, pairs, volumes, ask)


def _split(said: pd.DataFrame, names: Sequence[str]) -> tuple[dict[str, Numbers], list[tuple[str, str]]]:
    """Return a column for each cause and touchpoint at which it could be met, where there are two of them or more."""
    columns, pairs = {}, []
    for name in names:
        values, where = said[met(name)].to_numpy(dtype=float), said["touchpoint"]
        places = sorted(where[~np.isnan(values)].dropna().unique())
        if len(places) < 2:
            continue
        for place in places:
            columns[f"{name}{_PLACE}{place}"] = np.where((where == place).to_numpy(), values, np.nan)
            pairs.append((name, place))
    return columns, pairs


def _placed(told: Told, pairs: Sequence[tuple[str, str]], volumes: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Return volume, effect and priority at each touchpoint, hidden so that none can be worked out from the rest."""
    parts = []
    for cause in dict.fromkeys(name for name, _ in pairs):
        places = [place for name, place in pairs if name == cause]
        known = volumes[volumes["cause"] == cause].set_index("touchpoint")
        met_here = known["touched"].reindex(places).fillna(0.0)
        few = known["spared"].reindex(places).fillna(0.0).between(1, ask.min_n - 1)
        gone = levels(met_here.to_dict(), ask.min_n, also=list(few[few].index), apart=False)
        here = known["customers"].reindex(places).fillna(0.0)
        touched = pd.DataFrame({
            "touched": met_here.astype(float), "customers": here.astype(float),
            "status": [results.SUPPRESSED if place in gone else results.OK for place in places], "why": NOTE,
        }, index=places)  # fmt: skip
        fit = told.fit and replace(told.fit, names=tuple(_here(name, cause) for name in told.fit.names))
        told_here = Told(fit, {_here(name, cause): why for name, why in told.why.items()})
        parts.append(_at_places(told_here, cause, touched, ask))
    return results.concat(parts)


def _here(name: str, cause: str) -> str:
    """Return the touchpoint of a column of a cause; other columns keep their names."""
    head, mark, place = name.partition(_PLACE)
    return place if mark and head == cause else name


def _at_places(told: Told, cause: str, touched: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Return the rows of one cause at its touchpoints."""
    plain = replace(ask, tested={})
    titles = np.array([ask.places.get(place, place.replace("_", " ")) for place in touched.index], dtype=object)
    rows = []
    found = numbers(told, touched.index, plain)
    hidden, known = (touched["status"] == results.SUPPRESSED).to_numpy(), np.isfinite(found["estimate"])
    why = np.array([told.why.get(place, "") for place in touched.index], dtype=object)
    status = np.where(hidden, results.SUPPRESSED, np.where(known, results.OK, lacking(why)))
    about = {"level": CAUSES[cause].title, "at": titles, "status": status,
             "note": np.where(hidden, NOTE, np.where(known, "", why))}  # fmt: skip
    many = touched["touched"].to_numpy()
    rows.append(
        results.frame(metric=SATISFACTION, comparison="difference", against=SPARED, method=HOW, **about, **found)
    )
    ends = {name: found[name] * many for name in ("estimate", "std_error", "conf_low", "conf_high")}
    rows.append(results.frame(metric=PRIORITY, comparison="difference", against=SPARED, n=found["n"], **about, **ends,
                              method=f"customers who met it in this period x effect; {HOW}"))  # fmt: skip
    counts = volume_rows(
        touched.assign(status=np.where(hidden, results.SUPPRESSED, results.OK)).rename(lambda _: cause), ask
    )
    rows.append(counts.assign(at=np.tile(titles, 2)))
    return results.concat(rows)
