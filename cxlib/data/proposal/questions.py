"""Which columns are questions of an instrument: 0 to 10 and "recommend", 1 to 5 and "satisfied", 1 to 7 and "easy"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cxlib.contract import INSTRUMENTS
from cxlib.data.proposal import scales
from cxlib.data.proposal.columns import Column
from cxlib.data.proposal.words import folded, means

_SAYS = {
    "nps": re.compile(
        r"recommend|empfehl|recomend|recommand|raccomand|consiglier|aanbevel|aanraden|anbefal|rekommend|polec|doporuc"
        r"|suosittel|tavsiye|(\b|_)nps(\b|_)|порекоменд|рекоменд|推荐|推薦|おすすめ|勧め|추천"
    ),
    "ces": re.compile(
        r"\beffort|\beas(y|ier|ily)\b|\bease\b|einfach war|aufwand|muhe\b|\bfacil|\bfacilidad|esfuerzo|\bsforzo"
        r"|\bfacilement|gemakkelijk|moeite|latwo|(^|_)ces(_|$)"
    ),
    "csat": re.compile(
        r"satisf|zufrieden|satisfech|satisfait|soddisf|tevred|nojd|tilfreds|zadowol|memnun|csat|удовлетвор|满意|満足|만족"
        r"|\brate (your|our|the)\b|review_score"
    ),
}
_BARE = re.compile(r"(.*_)?(score|rating|stars|sterne|bewertung|puntuacion|calificacion|nota)(_value)?")
_WHY = re.compile(
    r"\bwhy\b|reason|anything (else|to add)|sonst noch|algo mas|warum|grund|por que|porque|motiv|pourquoi|perche|waarom"
    r"|improve|verbesser|mejorar"
)
_ENOUGH = 20  # answers that show the ends of a scale


@dataclass(frozen=True)
class Asked:
    """A question: its column, its instrument ("" where that must be decided), and the column of its comment."""

    column: str
    instrument: str
    why: str = ""
    doubt: str = ""
    comment: str = ""
    scores: dict[str, int] = field(default_factory=dict)


def find(columns: Sequence[Column]) -> tuple[Asked, ...]:
    """Return the questions of a file, in the order of its columns."""
    found = [(place, asked) for place, column in enumerate(columns) if (asked := _asked(column))]
    comments = [(place, column.name) for place, column in enumerate(columns) if is_comment(column) or _asks_why(column)]
    given: dict[str, str] = {}
    for place, name in comments:
        before = [asked.column for at, asked in found if at < place and asked.instrument]
        later = [asked.column for at, asked in found if asked.instrument]
        nearest = (before[-1:] or later[:1]) if later else []
        for question in nearest:
            given.setdefault(question, name)
    return tuple(replace(a, comment=given.get(a.column, "")) for _, a in found)


def is_comment(column: Column) -> bool:
    """Say whether a column is free text that people wrote."""
    named = any(means(word, "comment") for word in column.words)
    return column.kind == "comment" or (column.kind in ("text", "empty") and named)


def _asks_why(column: Column) -> bool:
    """Say whether a column's question asks for a reason in words."""
    return column.kind in ("text", "comment", "empty") and bool(_WHY.search(folded(column.wording)))


def _asked(column: Column) -> Asked | None:
    """Say which instrument a column is a question of; None where it is none."""
    if column.kind in ("time", "email", "damaged", "comment", "url", "phone", "ip", "empty"):
        return None
    wording = folded(column.wording)
    says = next((name for name, shape in _SAYS.items() if shape.search(wording) or shape.search(column.word)), "")
    spoken = bool(column.labels) and not all(label.lstrip("-").isdigit() for label in column.labels)
    if says and spoken and scales.numbered(column.labels):
        return _labelled(column, says)
    if column.number and column.number.whole and not column.number.signs:
        return _numeric(column, says)
    return _labelled(column, says) if says else None


def _numeric(column: Column, says: str) -> Asked | None:
    """Judge a column of whole numbers by its range and its words."""
    number = column.number
    assert number is not None
    low, high = number.low, number.high
    if number.fits < 0.8 * number.seen or high > 10 or any(means(word, "any_id") for word in column.words):
        return None
    span = f"{low:.0f} to {high:.0f}"
    if not says:
        return _bare(column, low, high, span)
    least, most = INSTRUMENTS[says]
    few = number.seen < _ENOUGH
    if low >= least and high <= most and (few or high > {"nps": 5, "ces": 5, "csat": 1}[says]):
        doubt = f"only {number.seen} answers: is the scale {least} to {most}?" if few else ""
        return Asked(column.name, says, f"{span}, and its words", doubt)
    return Asked(column.name, "", "", f"its words are those of {says}, but it goes from {span}, not {least} to {most}")


def _bare(column: Column, low: float, high: float, span: str) -> Asked | None:
    """Judge a column that is called a score and says nothing more."""
    if not any(_BARE.fullmatch(word) for word in column.words):
        return None
    if low >= 1 and high <= 5:
        return Asked(column.name, "csat", span, "only by its range: is it satisfaction from 1 to 5?")
    if high > 7:
        return Asked(column.name, "nps", span, "only by its range: is it the recommendation from 0 to 10?")
    return Asked(column.name, "", "", f"a score from {span}: which instrument is it?")


def _labelled(column: Column, says: str) -> Asked | None:
    """Judge a column that is answered in words."""
    labels = column.labels
    if not labels:
        return None
    least, most = INSTRUMENTS[says]
    labels = tuple(label for label in labels if label.isprintable())
    found = scales.numbered(labels) or scales.scores(labels, 5 if says == "csat" else 7)
    if found and says != "nps" and set(found.values()) <= set(range(least, most + 1)):
        return Asked(column.name, says, "its words and its labels", "check what each label counts", scores=found)
    if found and says == "nps" and all(least <= score <= most for score in found.values()):
        return Asked(column.name, says, "its words and its labels", scores=found)
    if len(labels) > 1 and max(map(len, labels)) < 60 and not set(map(str.lower, labels)) <= {"yes", "no"}:
        shown = ", ".join(f"'{label}'" for label in labels[:7])
        return Asked(
            column.name, "", "", f"its words are those of {says}, its answers are {shown}: what do they count?"
        )
    return None
