"""One file of a proposed source with all that was made of it, and how texts become comments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cxlib.contract import TABLES
from cxlib.data.proposal.choice import Choice
from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.drafts import Draft
from cxlib.data.proposal.look import Look
from cxlib.data.proposal.questions import Asked
from cxlib.data.proposal.roles import Roles, quoted

_LONGEST = 300  # characters of a comment


@dataclass(frozen=True)
class Described:
    """One file of a proposed source: what it is called in SQL, and what was made of it."""

    alias: str
    path: str  # a name or a glob, relative to the source's folder
    look: Look
    columns: tuple[Column, ...]
    asked: tuple[Asked, ...]
    roles: Roles
    choice: Choice
    drafts: tuple[Draft, ...]
    leave_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def questions(self) -> list[Asked]:
        """The questions whose instrument is known and that a draft reads."""
        reads = any(draft.scores for draft in self.drafts)
        return [one for one in self.asked if one.instrument and reads]

    @property
    def is_undated(self) -> bool:
        """Say whether a table that has a time gets none: the source's `as_of` stands for it."""
        dated = [(TABLES[draft.table].time, [one.target for one in draft.fields]) for draft in self.drafts]
        return any(time and time not in targets for time, targets in dated)

    @property
    def needed(self) -> list[str]:
        """The columns that its SQL and its settings need, in the file's order."""
        used = {column for draft in self.drafts for column in draft.uses}
        used |= {name for one in self.questions for name in (one.column, one.comment) if name}
        used |= {c.name for c in self.columns if any(quoted(c.name) in sql for sql in self.leave_out.values())}
        return [column for column in self.look.columns if column in used]


def said(words: str) -> str:
    """Return a text as a comment can hold it: on one line, of letters that can be seen, and not endless."""
    line = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(words.split()))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
