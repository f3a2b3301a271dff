"""Which touchpoint of the taxonomy a row is at: by its id, by another name that data use for it, or by a pattern.

A name is looked for in this order: the ids as they are written, then exact names, then patterns in the order of
`touchpoints.yml`. Names and patterns take small and capital letters for the same, and pass over blanks around a name;
in a pattern `*` stands for any letters and `?` for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from cxlib.errors import did_you_mean
from cxlib.params.draft import Draft, Entry
from cxlib.params.models import Touchpoint

Path_ = tuple[str | int, ...]

# What a group is made of; the order is that of a journey.
KINDS: Mapping[str, tuple[str, ...]] = {
    "before": ("social", "advertising", "events", "referrals"),
    "during": ("staff", "store", "online", "catalogue", "reviews", "point_of_sale"),
    "after": ("delivery", "returns", "surveys", "thank_you_notes", "messages", "billing", "renewals"),
    "service": ("support", "loyalty_programme", "onboarding", "self_service", "chatbot"),
}
ID, NAME, PATTERN, NOWHERE = "id", "other name", "pattern", "not placed"
_ANY = "*?"  # what makes a name a pattern


class Placed(NamedTuple):
    """Where a name belongs: the touchpoint's id, or the name itself where nobody claims it, and by which rule."""

    touchpoint: str
    rule: str


def names(touchpoints: Mapping[str, Touchpoint]) -> dict[str, str]:
    """Return exact other name, as `folded`, -> id."""
    return {word: point.id for point, word in _claimed(touchpoints) if not is_pattern(word)}


def patterns(touchpoints: Mapping[str, Touchpoint]) -> dict[str, str]:
    """Return pattern, as `folded`, -> id, in the order in which they are tried."""
    found: dict[str, str] = {}
    for point, word in _claimed(touchpoints):
        if is_pattern(word):
            found.setdefault(word, point.id)
    return found


def sold_at(touchpoints: Mapping[str, Touchpoint]) -> dict[str, str]:
    """Return channel of orders -> id of the touchpoint where such an order is placed."""
    return {channel: point.id for point in touchpoints.values() for channel in point.order_channels}


def place(name: str, touchpoints: Mapping[str, Touchpoint]) -> Placed:
    """Return where a name that data use belongs."""
    if name in touchpoints:
        return Placed(name, ID)
    word, exact = folded(name), names(touchpoints)
    if word in exact:
        return Placed(exact[word], NAME)
    met = next((point for pattern, point in patterns(touchpoints).items() if fnmatchcase(word, pattern)), "")
    return Placed(met, PATTERN) if met else Placed(name, NOWHERE)


def folded(name: str) -> str:
    """Return a name as names are compared: in small letters, without blanks around it."""
    return name.strip(" ").lower()


def is_pattern(name: str) -> bool:
    """Tell whether a name is a pattern."""
    return any(letter in name for letter in _ANY)


def _claimed(touchpoints: Mapping[str, Touchpoint]) -> Iterator[tuple[Touchpoint, str]]:
    """Return each touchpoint with each of its other names, folded."""
    return ((point, folded(name)) for point in touchpoints.values() for name in point.names)


def check(draft: Draft, entry: Entry) -> None:
    """Refuse kinds that the group does not have, and names and channels that say two things."""
    points = {name: point for name, point in (entry.content.touchpoints or {}).items() if point is not None}
    for name, point in points.items():
        known = KINDS.get(point.group or "", ())
        if point.kind and known and point.kind not in known:
            words = f"'{point.kind}' is no kind of {point.group}: {', '.join(known)}"
            elsewhere = next((group for group, kinds in KINDS.items() if point.kind in kinds), "")
            advice = f"; it is one of {elsewhere}" if elsewhere else did_you_mean(point.kind, known)
            draft.blame(entry, ("touchpoints", name, "kind"), words + advice, point.kind)
    ids = {folded(name): name for name in points}
    claimed: dict[tuple[str, str], str] = {}
    for name, point in points.items():
        for key in ("names", "order_channels"):
            for number, word in enumerate(getattr(point, key) or ()):
                path: Path_ = ("touchpoints", name, key, number)
                fault = _fault(key, word, name, ids)
                owner = claimed.setdefault((key, folded(word) if key == "names" else word), name)
                if not fault and (owner != name or word in getattr(point, key)[:number]):
                    fault = f"'{word}' is claimed by '{owner}', too" if owner != name else f"'{word}' is listed twice"
                    fault += ": keep one"
                if fault:
                    draft.blame(entry, path, fault, word)


def _fault(key: str, word: str, own: str, ids: Mapping[str, str]) -> str:
    """Return what is wrong with another name by itself; empty where nothing is."""
    if key != "names":
        return ""
    if word == own:
        return f"'{word}' is the touchpoint's own id: leave it out"
    other = ids.get(folded(word), own)
    if other != own:
        return f"'{word}' is the id of another touchpoint: a row with that name is there"
    if is_pattern(word) and not word.strip(f"{_ANY} "):
        return f"'{word}' takes every name there is"
    odd = is_pattern(word) and ("[" in word or "\\" in word)
    return f"'{word}': a pattern has * and ?, no brackets and no backslash" if odd else ""
