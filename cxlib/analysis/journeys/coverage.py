"""Which share of events lies at a touchpoint of the taxonomy, by which rule, and which names nobody claims.

Everything is counted, nothing is sampled: the interval of a share is the share itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from cxlib import results
from cxlib.analysis import hiding, redaction
from cxlib.params.models import Touchpoint
from cxlib.params.places import ID, NAME, NOWHERE, PATTERN, place, sold_at

COLUMNS = ("table", "name", "events", "customers")
CHANNEL, NAMELESS = "channel of the order", "no name"
RULES = (ID, NAME, PATTERN, CHANNEL, NOWHERE, NAMELESS)
CLASSIFIED, BY_RULE, UNPLACED = "classified", "classified_by", "not_placed"
ORDERS = "orders"
_METHOD = "all events of the time, counted"
_FEW = "names of fewer customers than may be shown"


def coverage(counted: pd.DataFrame, touchpoints: Mapping[str, Touchpoint], *, min_n: int) -> pd.DataFrame:
    """Say which share of the events of each table is classified, and how.

    Parameters
    ----------
    counted
        `table`, `name` (of the touchpoint as sources say it, of an order its channel; missing where none is said),
        `events` and `customers` (how many have such events); each name of a table once.
    touchpoints
        The taxonomy.
    min_n
        Rows of fewer customers are hidden, and others so that no hidden one can be worked out.

    Returns
    -------
    pandas.DataFrame
        Result frame. Metric `classified` (share of all events of the table `level`), `classified_by` (share by the rule
        `level`, of the table `segment`: see `RULES`), and `not_placed` (events by name `level`, of the table
        `segment`, the most first). `n` counts events.
    """
    placed = _placed(counted, touchpoints)
    parts = [results.empty()]
    for table, mine in placed.groupby("table", sort=True):
        shares = _by_rule(mine, str(table), min_n)
        parts += [_classified(mine, str(table), shares), shares, _unplaced(mine, str(table), min_n)]
    return results.concat(parts)


def _placed(counted: pd.DataFrame, touchpoints: Mapping[str, Touchpoint]) -> pd.DataFrame:
    """Return counts with the rule that places each name."""
    channels, rules = sold_at(touchpoints), []
    for table, name in zip(counted["table"], counted["name"], strict=True):
        if not isinstance(name, str) or not name.strip():
            rules.append(NAMELESS)
        elif table == ORDERS:
            rules.append(CHANNEL if name in channels else NOWHERE)
        else:
            rules.append(place(name, touchpoints).rule)
    return counted.assign(rule=rules)


def _by_rule(mine: pd.DataFrame, table: str, min_n: int) -> pd.DataFrame:
    """Return the share of each rule; a rule has as many customers at least as its commonest name."""
    total, by = float(mine["events"].sum()), mine.groupby("rule")
    events = by["events"].sum()
    order = [rule for rule in RULES if events.get(rule, 0) > 0]
    shares = [float(events[rule]) / total for rule in order]
    found = results.frame(
        metric=BY_RULE, segment=table, level=order, comparison="share", method=_METHOD, estimate=shares,
        conf_low=shares, conf_high=shares, n=[float(events[rule]) for rule in order],
    )  # fmt: skip
    customers = {rule: float(by["customers"].max()[rule]) for rule in order}
    gone = hiding.levels(customers, min_n, apart=False)
    return _without(found, found["level"].isin(gone))


def _classified(mine: pd.DataFrame, table: str, shares: pd.DataFrame) -> pd.DataFrame:
    """Return the share of a table that is at a touchpoint; hidden where it would tell the share of a hidden rule."""
    inside = ~mine["rule"].isin([NOWHERE, NAMELESS])
    total = float(mine["events"].sum())
    share = float(mine.loc[inside, "events"].sum()) / total
    found = results.frame(
        metric=CLASSIFIED, segment="table", level=table, comparison="share", method=_METHOD, estimate=share,
        conf_low=share, conf_high=share, n=total,
    )  # fmt: skip
    hidden = shares["level"].isin([NOWHERE, NAMELESS]) & (shares["status"] != results.OK)
    return _without(found, pd.Series([bool(hidden.any())]))


def _unplaced(mine: pd.DataFrame, table: str, min_n: int) -> pd.DataFrame:
    """Return the names that nobody claims with their events; those of few customers stand together, without a count.

    The names' events add up to those of their rule: where some are hidden, so is the next name.
    """
    loose = mine[mine["rule"] == NOWHERE].sort_values(["events", "name"], ascending=[False, True])
    customers = {str(name): float(count) for name, count in zip(loose["name"], loose["customers"], strict=True)}
    gone = loose["name"].isin(hiding.levels(customers, min_n, apart=False))
    known, few = loose[loose["customers"] >= min_n], loose[loose["customers"] < min_n]
    events = known["events"].astype(float).tolist()
    about = {"metric": UNPLACED, "segment": table, "method": _METHOD}
    parts = [results.empty()]
    if events:
        names = redaction.redact_all(known["name"].tolist())  # whatever somebody typed into a tool
        found = results.frame(level=names, estimate=events, conf_low=events, conf_high=events, n=events, **about)
        parts.append(_without(found, gone[known.index].reset_index(drop=True)))
    if len(few):
        words = f"{len(few)} {_FEW}" if len(few) > 1 else "a name of fewer customers than may be shown"
        parts.append(results.frame(level=words, status=results.SUPPRESSED, note=hiding.NOTE, **about))
    return results.concat(parts)


def _without(found: pd.DataFrame, gone: pd.Series[bool]) -> pd.DataFrame:
    """Return rows of which some are hidden."""
    status = found["status"].mask(gone, results.SUPPRESSED)
    return results.conform(found.assign(status=status, note=found["note"].mask(gone, hiding.NOTE)))
