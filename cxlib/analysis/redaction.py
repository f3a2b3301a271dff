"""Personal data taken out of what customers write, before anything else is done with it.

What is found is replaced by its kind: [e-mail], [phone], [card], [account], [id], [address], [ip], [link], [handle],
[name]. English, Portuguese, Spanish and German. Rules and word lists, no model: what they find and miss is measured on
labelled lines in `tests/test_analysis_redaction.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import pandas as pd

from cxlib.analysis.redaction_names import named
from cxlib.analysis.redaction_shapes import GATES, Span, shaped
from cxlib.errors import UsageError

# The kinds, the most telling first: where two overlap, both go and the first one's name is written.
KINDS = ("account", "card", "link", "e-mail", "address", "phone", "id", "ip", "name", "handle")
_PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(KINDS)})\]")
_WALL = "\ue000"  # of a range that no language uses: nothing is found across it
_BLOCK = 1 << 20  # characters looked through at once
_TOKEN = re.compile(r"[^\W_][\w-]{2,63}")


def redact(text: str, *, ids: Collection[str] = (), leave: Collection[str] = ()) -> str:
    """Replace personal data in a text by their kinds.

    Parameters
    ----------
    text
        What somebody wrote.
    ids
        Ids of the workspace that are to go too, whatever they look like.
    leave
        Kinds that may stay, such as "link".

    Returns
    -------
    str
        The text with placeholders; redacting it again changes nothing.

    Raises
    ------
    UsageError
        For what is no text.
    """
    if not isinstance(text, str):
        raise UsageError(f"{text!r} is no text", hint="Of many texts, missing ones too: redact_series.")
    return redact_all([text], ids=ids, leave=leave)[0]


def redact_series(texts: pd.Series, *, ids: Collection[str] = (), leave: Collection[str] = ()) -> pd.Series:
    """Replace personal data in texts, shape (n,); what is missing stays missing. Same index and name, dtype object."""
    texts = texts if isinstance(texts, pd.Series) else pd.Series(texts, dtype="object")
    written = texts.dropna()
    distinct = [str(text) for text in pd.unique(written.astype("object"))]
    clean = dict(zip(distinct, redact_all(distinct, ids=ids, leave=leave), strict=True))
    return texts.astype("object").map(lambda text: clean[str(text)], na_action="ignore")


def redact_all(texts: Sequence[str], *, ids: Collection[str] = (), leave: Collection[str] = ()) -> list[str]:
    """Replace personal data in many texts, as `redact` does in one: many together take a fraction of the time."""
    done = list(texts)
    open_: Sequence[int] = range(len(done))
    while open_:  # what was taken out may uncover more: until nothing changes
        found = spans_of([done[place] for place in open_], ids=ids, leave=leave)
        changed = [(place, spans) for place, spans in zip(open_, found, strict=True) if spans]
        for place, spans in changed:
            done[place] = _written(done[place], spans)
        open_ = [place for place, _ in changed]
    return done


def spans(text: str, *, ids: Collection[str] = (), strict: bool = False) -> list[Span]:
    """Find personal data in one text: `(start, end, kind)` in order, none overlapping another.

    `strict` is for finished pages, which are full of numbers, times and sums: then only what cannot be one of these
    counts, and names only with a word before them that says so or a surname behind them.
    """
    return spans_of([text], ids=ids, strict=strict)[0]


def spans_of(
    texts: Sequence[str], *, ids: Collection[str] = (), strict: bool = False, leave: Collection[str] = ()
) -> list[list[Span]]:
    """Find personal data in many texts, as `spans` does in one; without the kinds to `leave`."""
    found: list[list[Span]] = []
    for block in _blocks(texts):
        found += _spans(block, frozenset(ids), strict)
    return [_merged([span for span in raw if span.kind not in leave]) for raw in found]


def _blocks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield texts by some that are looked through together."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text) + 1
        if size > _BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _spans(texts: list[str], ids: frozenset[str], strict: bool) -> list[list[Span]]:
    """Find personal data in texts put together with walls between them, each kind where there is any sign of it.

    What is found may overlap.
    """
    walled = [_PLACEHOLDER.sub(lambda found: _WALL * len(found[0]), text) for text in texts]
    found: list[list[Span]] = [[] for _ in texts]
    for gate, sign in GATES.items():
        some = [number for number, text in enumerate(walled) if sign.search(text)]
        _share(found, walled, some, shaped(_WALL.join(walled[number] for number in some), gate, strict=strict))
    whole, every = _WALL.join(walled), range(len(walled))
    _share(found, walled, every, named(whole, strict=strict))
    _share(found, walled, every, _known(whole, ids))
    return found


def _share(found: list[list[Span]], texts: list[str], of: Sequence[int], spans: Iterable[Span]) -> None:
    """Add to each text what was found in it, where the texts `of` these numbers were looked through together."""
    place, first = 0, 0
    for span in sorted(spans):
        while span.start > first + len(texts[of[place]]):
            first += len(texts[of[place]]) + 1
            place += 1
        found[of[place]].append(Span(span.start - first, span.end - first, span.kind))


def _known(text: str, ids: frozenset[str]) -> Iterator[Span]:
    """Find ids that are known."""
    for found in _TOKEN.finditer(text) if ids else ():
        if found[0] in ids:
            yield Span(*found.span(), "id")


def _merged(raw: list[Span]) -> list[Span]:
    """Return spans in order, those that overlap as one."""
    merged: list[Span] = []
    for span in sorted(raw):
        if merged and span.start < merged[-1].end:
            last = merged.pop()
            kind = min(last.kind, span.kind, key=KINDS.index)
            span = Span(last.start, max(last.end, span.end), kind)
        merged.append(span)
    return merged


def _written(text: str, found: list[Span]) -> str:
    """Return a text with placeholders for what was found."""
    parts, place = [], 0
    for span in found:
        parts += [text[place : span.start], f"[{span.kind}]"]
        place = span.end
    return "".join([*parts, text[place:]])
