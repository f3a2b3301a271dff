"""A first `source.yml` and SQL for files that nobody has described: every guess is marked, for a person to sign."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cxlib.data.proposal import known, questions
from cxlib.data.proposal.choice import choose, event_times
from cxlib.data.proposal.columns import describe
from cxlib.data.proposal.described import Described
from cxlib.data.proposal.drafts import Drafter
from cxlib.data.proposal.files import alias, as_of, collected, currency, flags, grouped, looked, stem
from cxlib.data.proposal.look import Look
from cxlib.data.proposal.nameless import baptised
from cxlib.data.proposal.roles import Roles
from cxlib.data.proposal.saving import check_free, save
from cxlib.data.proposal.settings import Head, settings
from cxlib.data.proposal.statements import statement, tables_of
from cxlib.data.proposal.summary import sentence, to_decide
from cxlib.params.models import Params

__all__ = ["Proposal", "check_free", "propose", "save"]


@dataclass(frozen=True)
class Proposal:
    """A source as proposed: its texts by file name, what was found, and what a person must decide."""

    name: str
    texts: dict[str, str]
    folder: Path  # of the raw files
    inside: bool  # in the workspace, so that `cx ingest` finds them by itself
    found: tuple[str, ...]
    decide: tuple[str, ...]


def propose(name: str, given: Sequence[Path], *, root: Path, params: Params, today: date | None = None) -> Proposal:
    """Look at files and propose the source that reads them; nothing is written.

    Parameters
    ----------
    name
        Of the new source.
    given
        Files, and folders of files.
    root
        The workspace folder.
    params
        Its parameters: the sources that are known, the taxonomy, attributes, timezone and locale.
    today
        The day of the look: no event lies after it, which tells day and month apart in some columns.

    Returns
    -------
    Proposal

    Raises
    ------
    UsageError
        For files that are not there.
    SourceError
        Where none of the files can be read.
    """
    paths, base = collected(given)
    looks, notes = looked(paths)
    work = _Work(name, root, params, base, today)
    described = [work.describe(one) for one in looks]
    others = {other: source for other, source in params.sources.items() if other != name}
    best, partial = known.match(looks, {one.look.path: one.asked for one in described}, others)
    if best is not None:
        return work.copied(best, looks, notes)
    return work.guessed(described, [*notes, *map(known.hint, partial[:2])])


@dataclass
class _Work:
    """One proposal in the making."""

    name: str
    root: Path
    params: Params
    base: Path
    today: date | None

    def describe(self, found: Look) -> Described:
        """Make out columns, questions and tables of one file."""
        locale = self.params.workspace.locale
        columns = describe(found, locale, self.today)
        named = baptised(found, columns)
        columns = columns if named is found else describe(named, locale, self.today)
        asked, roles, word = questions.find(columns), Roles(named, columns), stem(found.path)
        choice = choose(roles, asked, word)
        attributes = self.params.workspace.attributes
        drafter = Drafter(roles, asked, word, self.name, tuple(self.params.touchpoints), attributes)
        return Described(
            alias(word),
            found.path.relative_to(self.base).as_posix(),
            named,
            columns,
            asked,
            roles,
            choice,
            tuple(drafter.draft(table) for table in choice.tables),
            flags(roles) if "responses" in choice.tables else {},
        )

    def guessed(self, described: Sequence[Described], notes: Sequence[str]) -> Proposal:
        """Write a source of our own guesses; of several files, those that fit no table are only told."""
        files = grouped(described, self._names)
        fit = [one for one in files if not one.choice.doubt] or files
        notes = [*notes, *(f"{one.path}: {one.choice.doubt}; left out" for one in files if one not in fit)]
        texts = {"source.yml": settings(self._head(fit), fit)}
        texts |= {f"{table}.sql": statement(table, fit) for table in tables_of(fit)}
        decide = [words for one in fit for words in to_decide(one)]
        head = self._head(fit)
        if head.timezone != "UTC" and any(event_times(one.roles) for one in fit):
            decide.append(f"source.yml, timezone: {head.timezone}, {head.timezone_why}")
        decide.append("source.yml, licence: whose data this is, and what it may be used for")
        return self._made(texts, [*map(sentence, fit), *notes], decide)

    def copied(self, best: known.Match, looks: Sequence[Look], notes: Sequence[str]) -> Proposal:
        """Write a source after one that reads such files."""
        own = best.source
        folder = self.root / "params" / "sources" / own.id
        paths, passed = known.paths(best, self.base, self._names)
        day, why = as_of([look.path for found in best.files.values() for look in found])
        written = next(path for path in sorted(folder.glob("source.y*ml")))
        text = written.read_text(encoding="utf-8-sig")
        texts = {"source.yml": known.retold(text, best, paths, folder=self._folder, as_of=day)}
        texts |= {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}
        found = [
            f"{path}: {one} of the source {own.id}, whose SQL and settings are copied" for one, path in paths.items()
        ]
        taken = {look.path for found in best.files.values() for look in found}
        found += [f"{look.path.name}: the source {own.id} does not use it" for look in looks if look.path not in taken]
        sql = "\n".join(text for name, text in texts.items() if name.endswith(".sql"))
        idle = [one for one in paths if not re.search(rf"\b{one}(_scores)?\b", sql)]
        found += [f"{paths[one]}: {one} fills no table; source.yml says why" for one in idle]
        decide = [f"source.yml, path of {one}: it leaves out {', '.join(names)}" for one, names in passed.items()]
        decide += [f"source.yml: title, licence and timezone ({own.timezone}) are those of {own.id}"]
        decide += [f"source.yml, as_of: {day}, by {why}"] if own.as_of else []
        decide += [f"source.yml, questions of {one}: guessed by their words" for one in best.asked]
        decide += ["source.yml: what is marked ADAPT"] if "ADAPT" in text else []
        return self._made(texts, [*found, *notes], decide)

    def _made(self, texts: dict[str, str], found: Sequence[str], decide: Sequence[str]) -> Proposal:
        """Return the proposal."""
        return Proposal(self.name, texts, self.base, self._inside, tuple(found), tuple(decide))

    @property
    def _names(self) -> list[str]:
        """The names of all files in the folder of the raw files."""
        return sorted(path.name for path in self.base.iterdir() if path.is_file())

    @property
    def _inside(self) -> bool:
        """Whether the raw files lie in the workspace."""
        return self.base.is_relative_to(self.root.resolve())

    @property
    def _folder(self) -> str:
        """The folder to write down: none where it is the default, or outside of the workspace."""
        folder = self.base.relative_to(self.root.resolve()).as_posix() if self._inside else ""
        return "" if folder == f"data/raw/{self.name}" else folder

    def _head(self, files: Sequence[Described]) -> Head:
        """Return what stands above the files."""
        workspace = self.params.workspace
        moments = [c.time for one in files for c in event_times(one.roles) if c.time and not c.time.is_date]
        zoned = bool(moments) and all(guess.zoned or guess.timezone for guess in moments)
        undated = [one.look.path for one in files if one.is_undated]
        day, day_why = as_of(undated) if undated else ("", "")
        refers = {table for one in files for table in one.choice.tables} - {"customers", "identities", "costs"}
        return Head(
            title=self.name.replace("_", " ").capitalize(),
            timezone="UTC" if zoned else workspace.timezone,
            timezone_why="each time carries its own zone"
            if zoned
            else "the workspace's; what does the tool export in?",
            folder=self._folder,
            as_of=day,
            as_of_why=f"{day_why}; its rows have no date",
            currency=next(filter(None, map(currency, files)), ""),
            keep_customers=bool(refers) and "customers" not in tables_of(files),
        )
