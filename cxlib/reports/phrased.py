"""Plans run by the SQL that they were compiled to before, for other periods: nothing is planned or compiled twice.

The text of a plan depends on the definitions, on the columns of the store's tables, on the code and on the shape of the
request, and on no period: so the first month of a pack has its queries compiled, and every later one takes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxlib.data.kept import PLACE, Kept
from cxlib.params.models import Metric
from cxlib.reports.context import Context

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from cxlib.data.store import Store
    from cxlib.measure.slots import Slots

_BETWEEN = "\n"


@dataclass(frozen=True)
class Phrased:
    """One request of a plan.

    Parameters
    ----------
    context
        Of the run.
    plan
        One of `measure.plans`.
    metrics, segments
        What it is asked of: a metric or several, and segments or cuts.
    what
        Periods, or pairs of them.
    more
        Further words of the plan.
    """

    context: Context
    plan: Callable[..., ir.Table]
    metrics: Metric | Sequence[Metric]
    what: Sequence[Any]
    segments: Sequence[Any]
    more: Mapping[str, Any]

    def planned(self, store: Store, slots: Slots | None = None) -> ir.Table:
        """Return the expression."""
        about = self.context
        return self.plan(
            self.metrics, store.tables, self.what, timezone=about.workspace.timezone, segments=self.segments,
            touchpoints=about.touchpoints, slots=slots, **self.more,
        )  # fmt: skip

    def run(self, store: Store, kept: Kept | None, code: str) -> pd.DataFrame:
        """Run the plan in a store, by the text that is kept where there is one.

        `code` names the code that makes texts.
        """
        from cxlib.data.texts import Text
        from cxlib.measure.slots import Slots

        slots = Slots(self.what, self.context.workspace.timezone) if kept and self.what else None
        if kept is None or slots is None or not slots.shape:
            return store.run(self.planned(store))
        shelf, key = self._shelf(), self._key(store, slots.shape, code)
        known = kept.read(shelf, [key]).frame
        if len(known):
            text = Text(known["sql"].iloc[0], tuple(known["views"].iloc[0].split(_BETWEEN)))
            found = store.fetch(text._replace(sql=slots.fill(text.sql)))
            if found is not None:
                return found
        text = store.text(self.planned(store, slots))
        entry = pd.DataFrame({PLACE: [0], "sql": [text.sql], "views": [_BETWEEN.join(text.views)]})
        kept.keep(shelf, [key], entry)
        found = store.fetch(text._replace(sql=slots.fill(text.sql)))
        return store.run(self.planned(store)) if found is None else found

    def _shelf(self) -> str:
        """Return the shelf of the texts of this plan and these metrics."""
        metrics = [self.metrics] if isinstance(self.metrics, Metric) else self.metrics
        return "-".join(["sql", self.plan.__name__, *(metric.id for metric in metrics)])[:100]

    def _key(self, store: Store, shape: str, code: str) -> str:
        """Return a digest of all that the text depends on."""
        words = [code, self.plan.__name__, shape, *(f"{name} {value}" for name, value in sorted(self.more.items()))]
        words += _said([self.metrics] if isinstance(self.metrics, Metric) else self.metrics)
        words += _said(self.segments)
        words += _said(list(self.context.touchpoints.values()))
        words.append(self.context.workspace.repeated_responses.model_dump_json())
        for table in store.tables:
            pinned = store.pinned(table)
            columns = sorted(pinned.columns.items()) if pinned else []
            words += [table, *(f"{name} {kind}" for name, kind in columns)]
        return hashlib.sha256(_BETWEEN.join(words).encode()).hexdigest()[:32]


def _said(definitions: Sequence[Any]) -> list[str]:
    """Return definitions in words; those of a cut stand together."""
    found = ["("]
    for one in definitions:
        found += _said(one) if isinstance(one, tuple | list) else [one.model_dump_json()]
    return [*found, ")"]
