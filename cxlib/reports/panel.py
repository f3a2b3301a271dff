"""What customers who answered at all said, spent and did, period by period: numbered and summed in arrays.

A panel of some years has a hundred times as many rows as customers: ids and labels are numbered once and not written
into it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cxlib.measure.rows import Codes, Numbers
from cxlib.params.models import Metric, Segment
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.inputs import Inputs


class _Grid:
    """Cells of customers, in the order of their ids, and periods, in the order of time."""

    def __init__(self, customers: pd.Series, periods: Sequence[Period]) -> None:
        self.labels = [period.label for period in periods]
        self.ids = pd.Index(pd.factorize(customers, sort=True)[1])

    @property
    def size(self) -> int:
        """How many cells there are."""
        return self.ids.size * len(self.labels)

    def of(self, customers: pd.Series, periods: pd.Series) -> Codes:
        """Return the cell of each row; -1 for another customer."""
        codes, found = pd.factorize(periods)
        place = pd.Index(self.labels).get_indexer(found)[codes]
        who = self.numbers(customers)
        return np.where(who >= 0, who * len(self.labels) + place, -1)

    def numbers(self, customers: pd.Series) -> Codes:
        """Return the number of each row's customer, -1 for another."""
        codes, found = pd.factorize(customers)
        return self.ids.get_indexer(found)[codes].astype(np.int64)

    def spread(self, cell: Codes, values: Numbers, otherwise: float) -> Numbers:
        """Return values by cell, those of no row being `otherwise`."""
        out = np.full(self.size, otherwise)
        out[cell[cell >= 0]] = values[cell >= 0]
        return out


def panel(inputs: Inputs, metric: Metric, periods: Sequence[Period], segments: Sequence[Segment] = ()) -> pd.DataFrame:
    """Return what customers who answered at all said, spent and did, month by month.

    Parameters
    ----------
    inputs
        Of the run.
    metric
        The satisfaction asked for.
    periods
        In order, without gaps.
    segments
        Of customers, as they were when the subscription began.

    Returns
    -------
    pandas.DataFrame
        `customer_id` (a number in the order of the ids), `period` (its label), `satisfaction` (mean of the answers,
        missing without one), `spend`, `churned` (the subscription ended in the period), and the negative control by its
        title; a row for each period at whose start the customer subscribed, or knew us where nobody subscribes. What a
        workspace cannot tell is not there.
    """
    from cxlib.analysis import extracts

    tables, zone = inputs.store().tables, inputs.context.workspace.timezone
    said = bring.fetch(inputs, extracts.rows(metric, tables, periods, timezone=zone)).dropna(subset="y")
    grid = _Grid(said[bring.CUSTOMER], periods)
    each = said["y"].groupby(grid.of(said[bring.CUSTOMER], said["period"])).agg(["mean", "size"])
    cell, found = _present(inputs, grid, periods, segments)
    for name, column in (("satisfaction", "mean"), ("answers", "size")):
        found[name] = grid.spread(each.index.to_numpy(), each[column].to_numpy(dtype=float), np.nan)[cell]
    asked = {"spend": ("orders", "ordered_at", "amount", "")}
    control = inputs.context.workspace.worth.negative_control
    if control is not None:
        asked[control.title] = ("interactions", "started_at", "1", control.when)
    for name, (table, time, value, kept) in asked.items():
        if table not in tables:
            continue
        done = inputs.store().run(extracts.totals(tables, periods, table, time, value, kept, timezone=zone))
        total = done["total"].fillna(0.0).to_numpy(dtype=float)
        found[name] = grid.spread(grid.of(done[bring.CUSTOMER], done["period"]), total, 0.0)[cell]
    return found


def _present(
    inputs: Inputs, grid: _Grid, periods: Sequence[Period], segments: Sequence[Segment]
) -> tuple[Codes, pd.DataFrame]:
    """Return the cells at whose start the customer was there, in order, and who, when, and whether it was the last."""
    if "subscriptions" in inputs.store().tables:
        cell, churned, people = _subscribed(bring.spells(inputs, segments), grid, periods)
    else:
        known = [bring.levels(inputs, period, segments).reset_index() for period in periods]
        people = pd.concat(known, ignore_index=True)
        when = pd.Series(np.repeat(grid.labels, [len(part) for part in known]))
        cell, churned = grid.of(people[bring.CUSTOMER], when), np.full(len(people), np.nan)
        people, cell, churned = people[cell >= 0], cell[cell >= 0], churned[cell >= 0]
    cell, first = np.unique(cell, return_index=True)
    titles = [segment.title for segment in segments]
    found = people[titles].iloc[first].reset_index(drop=True)
    who, place = np.divmod(cell, len(grid.labels))
    found.insert(0, bring.CUSTOMER, who)
    found["period"] = pd.Categorical.from_codes(place, grid.labels)
    found["churned"] = churned[first]
    return cell, found


def _subscribed(known: pd.DataFrame, grid: _Grid, periods: Sequence[Period]) -> tuple[Codes, Numbers, pd.DataFrame]:
    """Return the cell of each spell that ran at the start of a period, whether it ended in it, and the spells' rows."""
    who = grid.numbers(known[bring.CUSTOMER])
    known, who = known[who >= 0], who[who >= 0]
    began, ended = (known[name].to_numpy(dtype="datetime64[s]") for name in ("started_on", "ended_on"))
    cells, left, rows = [], [], []
    for place, period in enumerate(periods):
        start, end = np.datetime64(period.first_day, "s"), np.datetime64(period.next_day, "s")
        here = np.flatnonzero((began < start) & (np.isnat(ended) | (ended >= start)))
        cells.append(who[here] * len(periods) + place)
        left.append((ended[here] < end).astype(float))
        rows.append(here)
    return np.concatenate(cells), np.concatenate(left), known.iloc[np.concatenate(rows)]
