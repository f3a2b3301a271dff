"""The columns of a table of the contract, each made of a column of the file as far as it can be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from cxlib.contract import TABLES
from cxlib.data.proposal.choice import event_times, instrument_column, variant_column
from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.keys import UPDATED, keyed
from cxlib.data.proposal.questions import Asked, is_comment
from cxlib.data.proposal.roles import Field, Roles, missing
from cxlib.data.proposal.touchpoints import touchpoint
from cxlib.data.sources import text

_TIME_ROLES = {
    "responses": ("responded_at", "ended_at"),
    "interactions": ("started_at",),
    "orders": ("ordered_at",),
    "invitations": ("sent_at",),
    "exposures": ("exposed_at",),
    "subscriptions": ("started_on",),
    "costs": ("month",),
    "customers": ("valid_from", "joined_on"),
}
# The optional columns of each table that names can tell, and how they are read.
_MORE: dict[str, str] = {
    "customers": "joined_on:moment account_id:word region:label plan:label acquisition_source:label referred_by:word"
    " consent:truth",
    "invitations": "order_id:word",
    "responses": "invitation_id:word order_id:word channel:label language:label",
    "interactions": "ended_at:moment channel:label case_id:word wait_seconds:seconds handle_seconds:seconds"
    " resolved:truth transferred:truth load_ms:figure agent_id:word partner_id:word sentiment:label reason:label",
    "orders": "units:figure cost:figure discount:figure promised_at:moment delivered_at:moment channel:label"
    " partner_id:word",
    "subscriptions": "ended_on:moment end_reason:label plan:label monthly_amount:figure",
}
_FULL = 0.9  # of the rows have the time that says when something happened
_MONTH = re.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])")
_SOLVED = {"solved", "closed", "resolved", "done", "gelost", "geschlossen", "resuelto", "cerrado"}


@dataclass(frozen=True)
class Draft:
    """One `<table>.sql` in the making; `scores` says that it reads the questions, one row for each answer."""

    table: str
    fields: tuple[Field, ...]
    scores: bool = False
    no_answer: tuple[str, ...] = ()  # what stands where a question was passed over

    @property
    def uses(self) -> list[str]:
        """The raw columns that it reads, each once."""
        return list(dict.fromkeys(column for one in self.fields for column in one.uses))


@dataclass
class Drafter:
    """What the drafts of one file have in common."""

    roles: Roles
    asked: Sequence[Asked]
    stem: str
    source: str  # its name
    touchpoints: Collection[str]
    attributes: Mapping[str, str]

    def draft(self, table: str) -> Draft:
        """Write down the columns of one table."""
        special: dict[str, Callable[[], list[Field]]] = {
            "responses": self._responses,
            "identities": self._identities,
            "exposures": self._exposures,
            "costs": self._costs,
            "customers": self._customers,
            "subscriptions": self._subscriptions,
        }
        fields = special.get(table, lambda: self._events(table))()
        asked = [one.instrument for one in self.asked if one.instrument] if self._by_question else []
        fields = keyed(self.roles, table, fields, questions=len(asked) if table == "responses" else 0)
        order = [*TABLES[table].names, *self.attributes, UPDATED]
        fields.sort(key=lambda one: order.index(one.target))
        scores = table == "responses" and self._by_question
        named = {one.column for one in self.asked if one.instrument}
        none = {word for column in self.roles.columns if column.name in named for word in column.missing}
        return Draft(table, tuple(fields), scores, tuple(sorted(none)) if scores else ())

    @property
    def _by_question(self) -> bool:
        """Say whether answers are read one row for each question."""
        return any(one.instrument for one in self.asked) and instrument_column(self.roles) is None

    def _time(self, table: str) -> Field | None:
        """Return the time of a table; None where the file has none, so that `as_of` stands for it."""
        target = TABLES[table].time
        called = [column for role in _TIME_ROLES[table] for column in self.roles.all(role, "time")]
        full = [column for column in called if column.filled >= _FULL * column.rows]
        if full:
            return self.roles.moment(target, full[0])
        left = called if table == "customers" else event_times(self.roles)
        if left:
            best = max(left, key=lambda column: column.filled)
            return self.roles.moment(target, best, "the only time; check it" if len(left) == 1 else "the fullest time")
        return None

    def _who(self, table: str) -> Field | None:
        """Return the customer of a row."""
        found = self.roles.customer()
        keys = [c for c in self.roles.keys("any_id") if c.unique and c.kind != "email"] if table == "customers" else []
        if keys and (found is None or found.sql.startswith("sha256(")):
            return self.roles.word("customer_id", keys[0], "a key that stands there once")
        if found:
            return found
        required = "customer_id" in TABLES[table].required
        return missing("customer_id", "no column says whose row it is") if required else None

    def _more(self, table: str, taken: Collection[str]) -> list[Field]:
        """Return the optional columns that names can tell."""
        fields, used = [], set(taken)
        for words in _MORE.get(table, "").split():
            target, how = words.split(":")
            for column in self.roles.all(target):
                field = (
                    None if column.name in used or self.roles.is_personal(column) else self._read(target, how, column)
                )
                if field:
                    fields.append(field)
                    used.update(field.uses)
                    break
        return fields

    def _read(self, target: str, how: str, column: Column) -> Field | None:
        """Read one optional column; None where its values are not what its name promises."""
        number = column.kind in ("integer", "number") or column.native
        fits = {
            "moment": column.kind == "time",
            "figure": bool(column.number) or bool(number),
            "seconds": column.kind in ("integer", "number", "duration"),
            "truth": column.kind == "boolean" or set(column.labels) <= {"0", "1"},
            "label": column.kind in ("text", "boolean", "empty") and bool(column.labels),
            "word": column.kind in ("text", "integer"),
        }[how]
        if not fits or not column.filled:
            return None
        method = "word" if how == "label" else how
        found: Field = getattr(self.roles, method)(target, column)
        return found

    def _events(self, table: str) -> list[Field]:
        """Return the columns of interactions, orders and invitations."""
        when, who = self._time(table), self._who(table)
        fields = [one for one in (who, when) if one]
        if table == "orders":
            fields.append(self._amount("amount"))
        taken = [column for one in fields for column in one.uses]
        fields += self._more(table, taken)
        if table == "interactions":
            fields += self._contact([column for one in fields for column in one.uses])
        updated = self.roles.first("updated", "time")
        if updated and table != "invitations" and updated.name not in taken:
            fields.append(self.roles.moment(UPDATED, updated, "of two rows with one key the later counts"))
        return fields

    def _amount(self, target: str) -> Field:
        """Return the amount of an order."""
        found = self.roles.all("amount", "integer", "number") or self.roles.all("amount", "text")
        if not found:
            return missing(target, "no column looks like an amount")
        several = f"; others are {', '.join(repr(c.name) for c in found[1:4])}" if len(found) > 1 else ""
        return self.roles.figure(target, found[0], f"by its name and its values{several}")

    def _contact(self, taken: Collection[str]) -> list[Field]:
        """Return what only contacts have: where they took place, their kind, their text."""
        place, kind = touchpoint(self.roles, self.stem, self.touchpoints)
        fields = [place, Field("kind", text(kind), "by the file's name and columns")]
        words = [c for c in self.roles.columns if is_comment(c) or c in self.roles.all("transcript", "text", "comment")]
        free = [c for c in words if c.name not in taken and c.filled and not self.roles.is_personal(c)]
        if free and not self._by_question:
            best = max(free, key=lambda column: (column.kind == "comment", column.filled))
            fields.append(self.roles.word("transcript", best, "free text, which may name people"))
        status = next((c for c in self.roles.columns if c.word.endswith("status") and c.name not in taken), None)
        solved = [label for label in status.labels if label.lower() in _SOLVED] if status else []
        if status and solved and not self.roles.all("resolved", "boolean"):
            sql = f"{self.roles.ref(status)} IN ({', '.join(map(text, sorted(solved)))})"
            fields.append(Field("resolved", sql, "by its status", uses=(status.name,)))
        return fields

    def _responses(self) -> list[Field]:
        """Return the columns of answers."""
        who, when, long = self._who("responses"), self._time("responses"), instrument_column(self.roles)
        fields = [one for one in (who, when) if one]
        score = self.roles.first("score")
        if self._by_question:
            questions = [one for one in self.asked if one.instrument]
            fields += [Field("instrument", "q_instrument", "", ""), Field("score", "q_score", "", "")]
            fields += [Field("question", "q_name", "", "")] if len(questions) > 1 else []
            fields += [Field("comment", "q_comment", "", "")] if any(one.comment for one in questions) else []
        elif long and score:
            fields.append(Field("instrument", f"lower({self.roles.ref(long)})", "it names them", uses=(long.name,)))
            fields.append(self.roles.figure("score", score))
        else:
            why = "no column is a score that is known: write it under `questions` in source.yml"
            fields += [missing("instrument", "nps, csat or ces"), missing("score", why)]
        if not self._by_question:
            free = next((column for column in self.roles.columns if is_comment(column) and column.filled), None)
            fields += [self.roles.word("comment", free)] if free else []
        place = next((c for c in self.roles.columns if c.labels and set(c.labels) <= set(self.touchpoints)), None)
        fields += [self.roles.word("touchpoint", place, "its values are touchpoints")] if place else []
        return fields + self._more("responses", [column for one in fields for column in one.uses])

    def _identities(self) -> list[Field]:
        """Return the columns of identities."""
        other = self.roles.keys("source_id")[0]
        return [self.roles.word("source_id", other), *filter(None, [self._who("identities")])]

    def _exposures(self) -> list[Field]:
        """Return the columns of exposures."""
        variant, named = variant_column(self.roles), self.roles.first("experiment", "text")
        assert variant is not None
        experiment = Field("experiment", text(self.source), "the source's name: write the id of the experiment")
        if named and named.labels:
            experiment = self.roles.word("experiment", named)
        fields = [experiment, self._who("exposures"), self.roles.word("variant", variant), self._time("exposures")]
        return [one for one in fields if one]

    def _costs(self) -> list[Field]:
        """Return the columns of costs."""
        spend, source = self.roles.all("spend", "integer", "number")[0], self.roles.all("source", "text")[0]
        months = [c for c in self.roles.all("month") if c.labels and all(_MONTH.fullmatch(one) for one in c.labels)]
        when = self._time("costs") or missing("month", "no column is a month")
        if months:
            sql = f"try_strptime({self.roles.ref(months[0])} || '-01', '%Y-%m-%d')::DATE"
            when = Field("month", sql, "by its name and its values", uses=(months[0].name,))
        elif not when.is_missing:
            when = replace(when, sql=f"date_trunc('month', {when.sql})")
        return [self.roles.word("source", source), when, self.roles.figure("amount", spend)]

    def _customers(self) -> list[Field]:
        """Return the columns of customers, with the attributes that the workspace declares."""
        fields = [one for one in (self._who("customers"), self._time("customers")) if one]
        taken = [fields[0].uses[0]] if fields[0].uses else []
        fields += self._more("customers", taken)
        have = {one.target for one in fields}
        for name in self.attributes:
            column = next((c for c in self.roles.columns if c.word == name and name not in have and c.filled), None)
            if column and not self.roles.is_personal(column):
                fields.append(self.roles.word(name, column, "an attribute of workspace.yml"))
        return fields

    def _subscriptions(self) -> list[Field]:
        """Return the columns of subscriptions."""
        fields = [one for one in (self._who("subscriptions"), self._time("subscriptions")) if one]
        taken = [column for one in fields for column in one.uses]
        updated = self.roles.first("updated", "time")
        more = [self.roles.moment(UPDATED, updated, "of two rows with one key the later counts")] if updated else []
        return fields + self._more("subscriptions", taken) + more
