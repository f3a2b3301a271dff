"""Exposures to an experiment that was not there: what planning one takes for those who would have been in it."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from cxlib.contract import TABLES
from cxlib.expressions import parse
from cxlib.measure.compiler import as_condition, compile_expression
from cxlib.measure.derived import Tables, rows_of
from cxlib.params import Touchpoint


def pretended(
    tables: Tables, table: str, when: str, *, experiment: str, variant: str,
    touchpoints: Mapping[str, Touchpoint] | None = None,
) -> ir.Table:  # fmt: skip
    """Return a table of exposures: each row of a table that meets a condition exposes its customer.

    Parameters
    ----------
    tables
        The contract's tables that the workspace has.
    table, when
        Whose rows they are, and which; '' for all.
    experiment, variant
        What the exposures are called.
    touchpoints
        The taxonomy, for derived columns.

    Returns
    -------
    ibis.expr.types.Table
        `experiment`, `customer_id`, `variant`, `exposed_at`; a customer has many rows, of which the first of a window
        counts. Put it in the place of the table `exposures`.

    Raises
    ------
    Undefined
        Where the workspace lacks the table or a column.
    UsageError
        For a condition that does not fit.
    """
    kept, time = parse(when or "true"), TABLES[table].time
    rows = rows_of(table, {*kept.columns, "customer_id", time}, tables, touchpoints or {})
    rows = rows.filter(as_condition(compile_expression(kept, {name: rows[name] for name in kept.columns}), kept.text))
    rows = rows.filter(rows.customer_id.notnull())
    return rows.select(
        "customer_id", experiment=ibis.literal(experiment), variant=ibis.literal(variant), exposed_at=rows[time]
    )
