"""Whether what is about to be published tells who somebody is, where this machine keeps things, or what is secret.

Everything is looked through: pages with their attributes and comments, notebooks, pictures, tables, frozen files and
the metadata of each. Nothing is mended here: what is found is said, with its place and what to do, and never shown.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cxlib.analysis.redaction import redact, spans_of
from cxlib.errors import CxError
from cxlib.reports.disclosure.texts import SHOWN, SOURCE, VALUE, Text, files, opened, walk

if TYPE_CHECKING:
    from cxlib.params.models import Params

LookUp = Callable[[Collection[str]], Mapping[str, str]]

# kind -> what one and several are called, what to do about it
_REDACT = "take it out of what the page shows, or redact the column first (cxlib.analysis.voice.redact_series)"
_KINDS: dict[str, tuple[str, str, str]] = {
    "e-mail": ("e-mail address", "e-mail addresses", _REDACT),
    "phone": ("telephone number", "telephone numbers", _REDACT),
    "card": ("card number", "card numbers", _REDACT),
    "account": ("bank account", "bank accounts", _REDACT),
    "id": ("personal number", "personal numbers", _REDACT),
    "address": ("postal address", "postal addresses", _REDACT),
    "ip": ("IP address", "IP addresses", _REDACT),
    "name": ("name of a person", "names of persons", _REDACT),
    "known": ("id of the store", "ids of the store", "show groups, not single customers, cases or agents"),
    "path": ("path of this machine", "paths of this machine", "print names of files without their folders"),
    "secret": ("secret", "secrets", "take it out, and change it wherever it is used"),
    "variable": ("variable of the environment", "variables of the environment", "do not print the environment"),
    "code": (
        "piece of source code",
        "pieces of source code",
        "pages show results: let no output hold code or a traceback",
    ),
}
_SECRET_NAME = re.compile(
    r"(?i)secret|token(?!s)|passw(?:or)?d|passphrase|api_?key|access_?key|private_?key|credential|_dsn$|_pwd$|_auth$"
)
_SHORT = 8  # letters of a variable's value that are too few to be looked for
_ENVIRONMENT = re.compile(r"\benviron(?:b)?\(\{")  # as Python prints it, whichever machine's it is
_EVERYWHERE = re.compile(r"LANG|LANGUAGE|LC_\w+|TZ|TERM|SHLVL")  # variables that say nothing of a machine
_PAIRED, _PAIRS = 4, 3  # letters of a value that is looked for beside its name; so many pairs are a print of them all
_PAIR_START = 80  # letters of a long value: its end may be cut off or wrapped
_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,251}\b|"
    r"\bgithub_pat_\w{22,255}\b|\bxox[abprs]-[\w-]{10,200}|\bglpat-[\w-]{20,64}\b|\bsk-[A-Za-z0-9_-]{20,200}\b|"
    r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}|\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/@]{1,200}@|"
    r"(?i:\b(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?token)[\"']?\s{0,3}[=:]\s{0,3}[\"']?[^\s\"',;<>]{6,200})"
)
_PATHS = re.compile(
    r"(?<![\w.~/:<-])/(?:home|Users|root|tmp|var|opt|mnt|srv|etc|usr|private|Volumes|workspaces?)/[\w.@+/-]{1,400}|"
    r"\bfile:///?[^\s\"'<>]{1,400}|(?<![\w])[A-Za-z]:\\{1,2}[\w.-][^\s\"'<>|]{0,400}|(?<![\w\\])\\\\[\w.-]{2,60}\\[\w$.-]{1,60}"
)
_CODE = re.compile(
    r"Traceback \(most recent call last\)|File \"[^\"\n]{1,400}\", line \d|Cell In\[\d|-{4,}> ?\d{1,5} |"
    r"\b(?:highlight hl-\w|jp-CodeCell\b|jp-InputArea|input_area\b|cm-editor|CodeMirror)"
)
_WORD = re.compile(r"[A-Za-z0-9](?:[\w.@+-]{2,62}\w)")
_NUMBER = re.compile(r"[\s\d.,:%+()/€$£−–-]*")
_COUNTED = re.compile(r"\d+\.\d+|\d{1,4}-\d{1,4}|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}(?:T[\d.:+Z-]*)?")  # and dates
_SHORTEST = 6  # ids of digits alone that are shorter cannot be told from numbers
_AT_ONCE = 3  # values of one kind and file that are shown, masked


@dataclass(frozen=True)
class Known:
    """What is known besides the folder.

    Attributes
    ----------
    look_up
        Returns those of some words that are ids in the store -> where they stand there; none without a store.
    own
        Texts that the company itself decided (`params/`): an owner's address in them may be published.
    machine
        Folders of this machine that no text may hold.
    secrets
        Name -> value of variables of the environment that are secret.
    environment
        Name -> value of the others, of which no text may hold several.
    """

    look_up: LookUp = lambda words: {}  # noqa: ARG005
    own: frozenset[str] = frozenset()
    machine: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def known(root: Path, params: Params, snapshot: str, folders: Iterable[Path] = ()) -> Known:
    """Return what is known of a workspace at one snapshot; `folders` are further ones that no text may name."""
    from cxlib.data.sought import sought

    texts = [text for _, text in _strings(params.model_dump(mode="json"))]
    own = frozenset(piece.casefold() for piece, _ in _pieces(texts))
    here = [root, *folders, Path.home(), Path(tempfile.gettempdir()), Path(sys.prefix), Path(__file__).parents[3]]
    machine = {spelled for path in here for spelled in (str(path), os.path.realpath(path)) if len(spelled) > 4}
    return Known(
        look_up=lambda words: sought(root, params.workspace.store, snapshot, words),
        own=own,
        machine=tuple(sorted(machine, key=len, reverse=True)),
        secrets={
            name: value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= _SHORT
        },
        environment={
            name: value
            for name, value in os.environ.items()
            if len(value.strip()) >= _PAIRED and not _EVERYWHERE.fullmatch(name)
        },
    )


class _Hit(NamedTuple):
    """Something that may not be published: its kind, and how it looks without telling it."""

    kind: str
    masked: str


def scan(folder: Path, known: Known | None = None, also: Mapping[str, Any] | None = None) -> list[str]:
    """Look through everything in a folder.

    Parameters
    ----------
    folder
        What is about to be published.
    known
        What is known besides, of `known(...)`; without it no id is looked up, and no folder or secret of this machine.
    also
        File -> what is yet to be written there as JSON, such as `run.json`, which comes last.

    Returns
    -------
    list of str
        One sentence for each file and kind: what was found, how often, where first, masked, and what to do. Empty
        where all may be published; a file that cannot be looked through is a finding.
    """
    known = known or Known()
    held, faults = _held(folder, also or {})
    try:
        ids = _ids(held, known)
    except (CxError, OSError, RuntimeError, ValueError) as error:  # of the store, whichever library meets it
        ids = {}
        faults.append(f"ids could not be looked up in the store ({type(error).__name__}); mend it and run again")
    return faults + sorted(_sentences(held, _hits(held, known, ids)))


_Held = dict[tuple[str, str], dict[str, tuple[int, str]]]  # (text, kind) -> file -> how often, where first


def _held(folder: Path, also: Mapping[str, Any]) -> tuple[_Held, list[str]]:
    """Return every text of a folder once, with its places, and the files that could not be looked through."""
    held: _Held = {}
    faults = []
    for file, value in also.items():
        _hold(held, (Text(file, where, text, kind) for where, text, kind in walk(value, "")))
    for path in files(folder):
        file = path.relative_to(folder).as_posix()
        try:
            _hold(held, [Text(file, "its name", file, VALUE)])
            _hold(held, opened(path, file))
        except Exception as error:  # whatever a broken file raises: what nobody has looked through is not published
            told = str(error) if str(error).startswith(("is of", "holds", "cannot")) else type(error).__name__
            faults.append(f"{file}: cannot be looked through ({told}); leave it out of the report")
    return held, faults


def _hold(held: _Held, texts: Iterable[Text]) -> None:
    """Add texts with their places."""
    for text in texts:
        places = held.setdefault((text.text, text.kind), {})
        count, where = places.get(text.file, (0, text.where))
        places[text.file] = count + 1, where


_Found = dict[tuple[str, str], list["_Hit"]]


def _hits(held: _Held, known: Known, ids: _Found) -> _Found:
    """Return what is found in each text, besides the ids that were looked up."""
    keys = list(held)
    found = {key: list(hits) for key, hits in ids.items()}
    for key, spans in zip(keys, spans_of([text for text, _ in keys], strict=True), strict=True):
        for start, end, kind in spans:
            value = key[0][start:end]
            if value.casefold() not in known.own:
                found.setdefault(key, []).append(_Hit(kind, mask(value)))
    for key in keys:
        hits = list(_other(*key, known))
        if hits:
            found.setdefault(key, []).extend(hits)
    return found


def _other(text: str, kind: str, known: Known) -> Iterator[_Hit]:
    """Find paths, secrets and code in one text."""
    if len(text) < 5:
        return
    for name, value in known.secrets.items():
        if _stands(value, text):
            yield _Hit("secret", f"the value of {name}")
        elif "_" in name and _stands(name, text):
            yield _Hit("variable", name)
    yield from (_Hit("variable", name) for name in _printed(text, known.environment))
    yield from (_Hit("secret", mask(found[0])) for found in _SECRETS.finditer(text))
    if "/" in text or "\\" in text:
        own = [folder for folder in known.machine if _stands(folder, text)]
        yield from (_Hit("path", mask(folder)) for folder in own[:1])
        yield from (_Hit("path", mask(found[0])) for found in _PATHS.finditer(text) if not own)
    if kind == SHOWN:
        yield from (_Hit("code", found[0][:20]) for found in _CODE.finditer(text))


def _printed(text: str, environment: Mapping[str, str]) -> list[str]:
    """Return the variables that a text lists with their values: a few may be chance, or meant."""
    if _ENVIRONMENT.search(text):
        return ["os.environ"]
    found = [name for name, value in environment.items() if name in text and _paired(name, value.strip(), text)]
    return found if len(found) >= _PAIRS else []


def _paired(name: str, value: str, text: str) -> bool:
    """Tell whether a name stands before its value: NAME=value, 'NAME': 'value', NAME value."""
    start = re.escape(value[:_PAIR_START])
    end = "" if len(value) > _PAIR_START else r"(?!\w)"
    return (
        re.search(rf"(?<!\w){re.escape(name)}[\"']?[ \t]{{0,40}}[=:, \t][ \t]{{0,40}}[\"']?{start}{end}", text)
        is not None
    )


def _stands(words: str, text: str) -> bool:
    """Tell whether some words stand in a text, not within longer ones."""
    return words in text and re.search(rf"(?<![\w.]){re.escape(words)}(?!\w)", text) is not None


def _ids(keys: Iterable[tuple[str, str]], known: Known) -> _Found:
    """Look up what may be an id; a number that stands alone on a page is none."""
    at: dict[str, set[tuple[str, str]]] = {}
    for key in keys:
        text, kind = key
        if kind == SOURCE or (kind == SHOWN and _NUMBER.fullmatch(text)):
            continue
        for word in _words(text):
            at.setdefault(word, set()).add(key)
    found: _Found = {}
    for word, where in known.look_up(at).items() if at else ():
        for key in at[word]:
            found.setdefault(key, []).append(_Hit("known", f"{mask(word)}, of {where}"))
    return found


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text that may be ids: none of letters alone, no number or date; short texts whole too."""
    for found in _WORD.finditer(text):
        word = found[0]
        if not (word.isalpha() or _COUNTED.fullmatch(word) or (word.isdecimal() and len(word) < _SHORTEST)):
            yield word
    whole = text.strip()
    if " " in whole and 5 <= len(whole) <= 60:
        yield whole


def _sentences(held: _Held, hits: Mapping[tuple[str, str], list[_Hit]]) -> Iterator[str]:
    """Tell what was found, by file and kind."""
    by: dict[tuple[str, str], list[tuple[int, str, str]]] = {}
    for key, found in hits.items():
        for file, (count, where) in held[key].items():
            for hit in found:
                by.setdefault((file, hit.kind), []).append((count, where, hit.masked))
    for (file, kind), places in by.items():
        page = by.get((f"{file.rpartition('.')[0]}.html", kind), [])
        if file.endswith(".ipynb") and {masked for _, _, masked in places} <= {masked for _, _, masked in page}:
            continue  # the page that is made of it tells the same
        one, several, remedy = _KINDS[kind]
        times = sum(count for count, _, _ in places)
        told = file if (file, VALUE) not in hits else redact(file)
        shown = ", ".join(sorted({masked for _, _, masked in places})[:_AT_ONCE])
        yield f"{told}: {times} {one if times == 1 else several} (first in {places[0][1]}: {shown}); {remedy}"


def mask(value: str) -> str:
    """Return a value as it may be told: its first letter, and of an e-mail address the ending."""
    value = value.strip()
    if "@" in value:
        return (
            f"{value[0]}***@***.{value.rsplit('.', 1)[-1]}" if "." in value.rsplit("@", 1)[-1] else f"{value[0]}***@***"
        )
    return f"{value[0]}***" + (value[-1] if len(value) > 6 else "")


def _pieces(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what the finders find in texts, and its kind."""
    for text, spans in zip(texts, spans_of(texts, strict=True), strict=True):
        yield from ((text[start:end], kind) for start, end, kind in spans)


def _strings(value: object) -> Iterator[tuple[str, str]]:
    """Yield the texts of nested JSON."""
    yield from ((where, text) for where, text, _ in walk(value, ""))
