"""The tables of an open snapshot: of people who agree, under the ids of persons and of touchpoints, answers that count.

Views upon views, in three schemas: `held` has the tables as the store holds them, `main` shows what readers see, and
`spare` shows the same rows under the ids that came, for a query that asks for no person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from cxlib import contract
from cxlib.data import consent, identity, placing, repeats, rules, tables
from cxlib.data.columns import needed
from cxlib.data.ledger import Snapshot
from cxlib.data.places import Where
from cxlib.data.sources import name
from cxlib.data.texts import SPARE, Text, fits, text_of
from cxlib.params.intake import Repeats
from cxlib.params.models import Touchpoint
from cxlib.params.retention import Consent

_HELD = "held"
_PEOPLE, _LEFT_OUT = f'{_HELD}."people"', f'{_HELD}."people left out"'
ANSWERS = "all responses"  # those too that do not count, where a rule leaves any out


class Tables(Mapping[str, ir.Table]):
    """The tables of a snapshot, in the contract's order, each opened when it is first asked for.

    Where a rule says which of repeated answers count, `responses` has those, and `all responses` may be asked for by
    name: whether an invitation was answered does not depend on the rule.
    """

    def __init__(
        self, store: Where, snapshot: Snapshot, newest: Snapshot, connection: Any, rule: Repeats, agreed: Consent,
        timezone: str, touchpoints: Mapping[str, Touchpoint],
    ) -> None:  # fmt: skip
        self._store, self._connection, self._rule, self._timezone = store, connection, rule, timezone
        self._touchpoints = touchpoints
        self._newest, self._agreed = newest, agreed
        self._versions = {n: snapshot.tables[n] for n in contract.TABLES if n in snapshot.tables}
        self._pinned: dict[str, tables.Pinned] = {}
        self._open: dict[str, ir.Table] = {}
        self._spare: dict[str, ir.Table] = {}  # of tables that are read by person
        self._told: dict[str, str] = {}  # what is shown of a table, before touchpoints have their ids
        self._people = ""
        connection.raw_sql(f"CREATE SCHEMA {_HELD}; CREATE SCHEMA {SPARE}")

    def __getitem__(self, table: str) -> ir.Table:
        if table not in self._open:
            if table not in self:
                raise KeyError(table)
            self._show("responses" if table == ANSWERS else table)
        return self._open[table]

    def __contains__(self, table: object) -> bool:
        return table in self._versions or (
            table == ANSWERS and "responses" in self._versions and self._rule.keep != "all"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)

    def pinned(self, table: str) -> tables.Pinned:
        """Return the files of a table of the snapshot, as the store holds them."""
        if table not in self._pinned:
            self._pinned[table] = tables.pin(self._store, table, self._versions[table].version)
        return self._pinned[table]

    @cached_property
    def left_out(self) -> consent.LeftOut | None:
        """Whose surveys and texts are in none of these tables; None where all are."""
        own = self._connection.con
        if not consent.list_people(own, self._store, self._newest, self._agreed, _LEFT_OUT):
            return None
        return consent.LeftOut(own, self._agreed, _LEFT_OUT, self._select)

    def _select(self, table: str) -> str:
        """Return SQL for the rows of a table of the snapshot as the store holds them; empty without the table."""
        return tables.select(contract.TABLES[table], self.pinned(table)) if table in self._versions else ""

    def spare(self, expression: ir.Table) -> ir.Table:
        """Return an expression without the look-up of persons in tables of which it asks for none."""
        if not (self._spare and isinstance(expression, ir.Table)):
            return expression
        ours = {self._open[table].op(): spare.op() for table, spare in self._spare.items()}
        if not any(table in ours for table in expression.op().find(ops.DatabaseTable)):
            return expression
        unasked = (table for table, columns in needed(expression).items() if not columns & {*identity.PERSON})
        instead = {table: ours[table] for table in unasked if table in ours}
        return expression.op().replace(instead).to_expr() if instead else expression

    def text(self, expression: ir.Table) -> Text:
        """Compile an expression over these tables."""
        return text_of(self._connection, self.spare(expression))

    def serves(self, text: Text) -> bool:
        """Say whether a text that was compiled elsewhere finds all that it reads."""
        return fits(text, self, self._spare)

    def _show(self, table: str) -> None:
        """Make the views of a table."""
        pinned = self.pinned(table)
        shape = rules.shape(table, pinned.columns)
        held = f"{_HELD}.{name(table)}"
        select = tables.select(shape, pinned)
        if table in consent.TABLES_ASKED and self.left_out is not None:
            select = self.left_out.agreed(table, select)
        self._connection.raw_sql(f"CREATE VIEW {held} AS {select}")
        persons = self._by_person(shape, held)
        shown = f"({persons})" if persons else held
        kept = ""
        if table == "responses" and self._rule.keep != "all":
            self._view(ANSWERS, shape, shown, held if persons else "")
            kept = self._leave_out(f"(SELECT {placing.reading(shape, self._touchpoints) or '*'} FROM {shown})")
        self._view(table, shape, shown + kept, held + kept if persons else "")
        self._told[table] = shown + kept

    def _view(self, table: str, shape: contract.Table, shown: str, spare: str) -> None:
        """Show a relation as a table, and where `spare` is one, the same rows under the ids that came."""
        taken = placing.reading(shape, self._touchpoints) or "*"
        self._connection.raw_sql(f"CREATE VIEW {name(table)} AS SELECT {taken} FROM {shown}")
        self._open[table] = self._connection.table(table)
        if spare:
            self._connection.raw_sql(f"CREATE VIEW {SPARE}.{name(table)} AS SELECT {taken} FROM {spare}")
            self._spare[table] = self._connection.table(table, database=SPARE)

    def as_told(self, table: str) -> ir.Table:
        """Return a table with the names of touchpoints that sources use, all else as in the table that is shown."""
        as_told = f"told {self[table].get_name()}"
        self._connection.raw_sql(f"CREATE OR REPLACE VIEW {_HELD}.{name(as_told)} AS FROM {self._told[table]}")
        return self._connection.table(as_told, database=_HELD)

    def _by_person(self, shape: contract.Table, held: str) -> str:
        """Return SQL for the rows of a table under the ids of persons; empty where they are right as they are."""
        if "identities" not in self._versions or shape.name == "identities" or "customer_id" not in shape.names:
            return ""
        if not self._people:
            select = tables.select(contract.TABLES["identities"], self.pinned("identities"))
            identity.resolve(self._connection.con, [select], _PEOPLE)
            self._people = _PEOPLE
        merged = f"{_HELD}.{name(f'merged {shape.name}')}"
        return identity.reading(self._connection.con, shape, held, self._people, merged)

    def _leave_out(self, rows: str) -> str:
        """Return SQL that leaves out the answers that do not count, empty where all do."""
        gone = f'{_HELD}."repeated responses"'
        some = repeats.list_left_out(self._connection.con, rows, self._rule, self._timezone, gone)
        return f" ANTI JOIN {gone} USING (response_id)" if some else ""
