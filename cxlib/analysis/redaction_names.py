"""People's names in texts: by the words before them, and by a list of given names where they are written as names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from cxlib.analysis.redaction_shapes import Span
from cxlib.analysis.redaction_words import (
    AMBIGUOUS,
    GIVEN,
    I_AM,
    PLACE,
    PLAIN,
    SELF,
    SHORT_TITLES,
    SIGN_OFF,
    SMALL,
    SPOKEN_TO,
    SURE_TITLES,
    SURNAMES,
    TITLES,
    TO,
    TO_PAIRS,
)

_CAPITAL = r"[A-ZÀ-ÖØ-ÞŁŚŠŽČÇ]"
_WORD = rf"{_CAPITAL}[^\W\d_]{{0,30}}(?:['’-][^\W\d_]{{1,30}}){{0,2}}"
_BETWEEN = r"(?:(?:de|da|do|dos|das|del|la|van|von|der|den|di|e|y) ){0,2}"
_NAMES = re.compile(rf"(?<![\w@./-]){_WORD}(?:(?:(?<=\b[A-Z])\.)? {_BETWEEN}(?:{_WORD}|[A-Z](?=\.))){{0,5}}(?!\w|@)")
_PART = re.compile(r"[^\s.]+")
_SMALL = re.compile(rf"(?<!\w)(?i:{SMALL}) ([^\W\d_]{{2,30}}(?: (?:de|da|do|del|la|von|van)?[^\W\d_]{{2,30}})?)(?!\w)")
_INITIALS = re.compile(rf"(?<![\w.])(?:[A-Z]\. ?){{1,3}}({_WORD})(?!\w)")
_LOOK_BACK = 40
_AT_MOST = 4  # words of a name


def plain(word: str) -> str:
    """Return a word without case, accents and a possessive."""
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part)).removesuffix("'s").removesuffix("’s")


def named(text: str, *, strict: bool = False) -> Iterator[Span]:
    """Find names; `strict` keeps to those that words before them or a surname of the list tell."""
    for found in _NAMES.finditer(text):
        parts = [(m.start() + found.start(), m.end() + found.start(), m[0]) for m in _PART.finditer(found[0])]
        yield from _in_row(text, parts, strict)
    for found in _SMALL.finditer(text):
        words = found[1].split()
        if plain(words[0]) in GIVEN or plain(words[0]) in AMBIGUOUS:
            long = len(words) > 1 and (plain(words[-1]) in SURNAMES or (len(words[-1]) > 3 and words[-1] not in PLAIN))
            yield Span(found.start(1), found.end(1) if long else found.start(1) + len(words[0]), "name")
    for found in _INITIALS.finditer(text):
        if plain(found[1]) in SURNAMES:
            yield Span(*found.span(), "name")


def _in_row(text: str, parts: list[tuple[int, int, str]], strict: bool) -> Iterator[Span]:
    """Find the names in words in a row that begin with capitals."""
    place = 0
    while place < len(parts):
        how = _begins(text, parts, place, strict)
        if not how:
            place += 1
            continue
        last = _last(parts, place)
        yield Span(parts[place][0], parts[last][1], "name")
        place = last + 1


def _begins(text: str, parts: list[tuple[int, int, str]], place: int, strict: bool) -> bool:
    """Tell whether a name begins with this word of a row."""
    start, _, word = parts[place]
    bare, behind = plain(word), parts[place + 1][2] if place + 1 < len(parts) else ""
    if not word[0].isupper() or bare in TITLES or (len(word) < 2 and not _is_name(behind)):
        return False
    known, doubtful = bare in GIVEN, bare in AMBIGUOUS
    surname = _is_name(behind) and plain(behind) in SURNAMES
    if surname and (known or (doubtful and not strict)) and not _shouted(word, behind):
        return True
    before = _before(text, start)
    if len(word) == 1:
        return _told(before, word, True, strict) or (not strict and _signs_off(text, parts, place))
    if before and before[-1] in PLACE:
        return False
    if bare not in PLAIN and _told(before, word, known or doubtful or plain(word) in SURNAMES, strict):
        return True
    if strict:
        return False
    sure = known and not (word.isupper() and len(word) < 4)  # "ANA" is an airline, "MIA" an airport
    said = doubtful and _addressed(before)
    return bare not in PLAIN and (sure or said or _signs_off(text, parts, place) or _introduced(before, word, behind))


def _told(before: list[str], word: str, listed: bool, strict: bool) -> bool:
    """Tell whether the words before say that a name follows; `strict` only by words that can say nothing else."""
    last, two, three = (" ".join(before[-n:]) for n in (1, 2, 3))
    if last in (SURE_TITLES if strict else TITLES) or three in SELF or two in SELF or last in SELF:
        return True
    spoken = last in SPOKEN_TO or two in SPOKEN_TO or three in SPOKEN_TO
    return not strict and spoken and (listed or not word.isupper())


def _addressed(before: list[str]) -> bool:
    """Tell whether somebody is greeted, thanked or pointed at."""
    return bool(before) and (before[-1] in TO or " ".join(before[-2:]) in TO_PAIRS or before[-1] in TO_PAIRS)


def _introduced(before: list[str], word: str, behind: str) -> bool:
    """Tell whether somebody says who they are, by two words at least, or by one that may be a name."""
    told = " ".join(before[-1:]) in I_AM or " ".join(before[-2:]) in I_AM
    return told and (plain(word) in AMBIGUOUS or (_is_name(word) and _is_name(behind) and not word.isupper()))


def _signs_off(text: str, parts: list[tuple[int, int, str]], place: int) -> bool:
    """Tell whether a word ends a text after a formula as "regards"."""
    end = parts[_last(parts, place)][1]
    rest = text[end : end + 3].lstrip(" .!")
    if rest and rest[0] not in "\n\ue000":
        return False
    words = re.findall(r"[^\W\d_]+", text[max(0, parts[place][0] - _LOOK_BACK) : parts[place][0]])
    return bool(words) and plain(words[-1]) in SIGN_OFF


def _before(text: str, start: int) -> list[str]:
    """Return the words before a place on its line, without case; none where a sentence has ended."""
    piece = text[max(0, start - _LOOK_BACK) : start]
    piece = piece.rsplit("\n", 1)[-1].rsplit("\ue000", 1)[-1]
    raw = piece.replace(",", " ").replace(":", " ").split()
    state = [len(word) == 2 and word.isupper() for word in raw]  # "MS" is a state, "Ms" a title
    words = [word if short else word.casefold() for word, short in zip(raw, state, strict=True)]
    if words and words[-1][-1] in ".!?" and words[-1].rstrip(".") not in SHORT_TITLES | {"st"}:
        return []
    return [word.removesuffix(".") for word in words[-4:]]


def _is_name(word: str) -> bool:
    """Tell whether a word may go on with a name."""
    return len(word) > 1 and word[0].isupper() and plain(word) not in PLAIN and word.casefold() not in PLAIN


def _last(parts: list[tuple[int, int, str]], place: int) -> int:
    """Return the last word of the name that begins at `place`; in words all in capitals only known ones go on."""
    last = place
    for number in range(place + 1, min(len(parts), place + 2 * _AT_MOST)):
        word = parts[number][2]
        if word[0].islower() or (len(word) == 1 and word.isupper() and word != "I"):
            continue  # "da", or an initial: it belongs to the name where another word follows
        known = plain(word) in SURNAMES or plain(word) in GIVEN or plain(word) in AMBIGUOUS
        if not _is_name(word) or (word.isupper() and not known) or number - place > _AT_MOST:
            break
        last = number
    return last


def _shouted(word: str, behind: str) -> bool:
    """Tell whether two words in capitals are rather two shouted words, of those that are both names and words."""
    return word.isupper() and behind.isupper() and plain(word) in AMBIGUOUS
