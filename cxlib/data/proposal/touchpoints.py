"""Where a contact took place: a touchpoint of the taxonomy, by the file's name or by what its channel column says."""

from __future__ import annotations

import re
from collections.abc import Collection

from cxlib.data.proposal.roles import Field, Roles, missing
from cxlib.data.proposal.words import normal
from cxlib.data.sources import text

# What a file or a channel is called -> the touchpoint of the taxonomy that is delivered, and the kind of contact.
_KNOWN = (
    (r"chatbot|bot", "chatbot", "contact"),
    (r"chats?|whatsapp|messag\w*|messenger", "support_chat", "contact"),
    (r"calls?|phone|voice|telef\w*|anruf\w*|llamadas?", "support_phone", "contact"),
    (r"e?_?mails?|tickets?|web_?form|case\w*|api|incident\w*", "support_email", "contact"),
    (r"complaint\w*|beschwerde\w*|quejas?|reclam\w*", "complaint_desk", "complaint"),
    (r"tweets?|twitter|facebook|instagram|social\w*|reviews?", "social_post", "message"),
    (r"app|ios|android|mobile", "mobile_app", "visit"),
    (r"stores?|shop|branch|filiale", "store_visit", "visit"),
    (r"deliver\w*|shipment\w*|liefer\w*", "delivery", "visit"),
    (r"sessions?|pages?|events?|clicks?\w*|web\w*|visits?|desktop|ecom\w*", "website", "visit"),
    (r"help\w*|self_service|faq", "self_service", "visit"),
)
_DEFAULT = ("website", "visit")


def _known(words: str) -> tuple[str, str] | None:
    """Return touchpoint and kind of a name; None where it says nothing."""
    for shape, place, kind in _KNOWN:
        if re.search(rf"(^|_)({shape})(_|$)", words):
            return place, kind
    return None


def touchpoint(roles: Roles, stem: str, taxonomy: Collection[str]) -> tuple[Field, str]:
    """Return the touchpoint of the rows of a file, and the kind of contact that they are.

    Parameters
    ----------
    roles
        Its columns.
    stem
        Its name in small letters.
    taxonomy
        The ids of `touchpoints.yml`; none where the workspace has no such file.
    """
    names = " ".join(column.word for column in roles.columns).replace(" ", "_")
    place, kind = _known(stem) or _known(names) or _DEFAULT
    own = next((c for c in roles.columns if c.labels and taxonomy and set(c.labels) <= set(taxonomy)), None)
    if own:
        return roles.word("touchpoint", own, "its values are touchpoints"), kind
    if taxonomy and place not in taxonomy:
        return missing("touchpoint", f"write one of touchpoints.yml, as {text(sorted(taxonomy)[0])}"), kind
    cases, column = _by_channel(roles, taxonomy, place, kind), roles.first("channel", "text")
    if column and cases and kind == "contact":
        sql = f"CASE {roles.ref(column)} {cases} ELSE {text(place)} END"
        return Field("touchpoint", sql, "by the channel; check each", uses=(column.name,)), kind
    return Field("touchpoint", text(place), "by the file's name and columns; any id of touchpoints.yml"), kind


def _by_channel(roles: Roles, taxonomy: Collection[str], place: str, kind: str) -> str:
    """Return the branches of a CASE over the channel column, for its values that say another place than the file."""
    column = roles.first("channel", "text")
    found = {label: known for label in (column.labels if column else ()) if (known := _known(normal(label)))}
    other = {label: its for label, (its, same) in found.items() if same == kind and its != place}
    there = {label: its for label, its in other.items() if its in taxonomy or not taxonomy}
    return " ".join(f"WHEN {text(label)} THEN {text(its)}" for label, its in sorted(there.items()))
