"""Scales that are answered in words: what each label counts, in the languages that surveys come in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cxlib.data.proposal.words import folded

# A scale a line, from the worst to the best. A bar parts words for the same step: the first is what it is written with.
_FIVE = """
Very dissatisfied|Extremely dissatisfied|Very unsatisfied; Dissatisfied|Somewhat dissatisfied|Unsatisfied; Neither
    satisfied nor dissatisfied|Neutral; Satisfied|Somewhat satisfied; Very satisfied|Extremely satisfied
Very poor|Terrible; Poor|Bad; Average|Fair|OK|Okay; Good; Excellent|Very good|Great
Sehr unzufrieden; Unzufrieden|Eher unzufrieden; Teils/teils|Neutral|Weder noch; Zufrieden|Eher zufrieden; Sehr
    zufrieden
Muy insatisfecho|Muy insatisfecha; Insatisfecho|Insatisfecha|Algo insatisfecho; Ni satisfecho ni
    insatisfecho|Neutral|Indiferente; Satisfecho|Satisfecha|Algo satisfecho; Muy satisfecho|Muy satisfecha
Très insatisfait|Pas du tout satisfait; Insatisfait|Plutôt insatisfait|Peu satisfait; Ni satisfait ni
    insatisfait|Neutre; Satisfait|Plutôt satisfait; Très satisfait
Molto insoddisfatto; Insoddisfatto|Abbastanza insoddisfatto; Neutrale|Né soddisfatto né insoddisfatto;
    Soddisfatto|Abbastanza soddisfatto; Molto soddisfatto
Muito insatisfeito; Insatisfeito; Neutro|Nem satisfeito nem insatisfeito; Satisfeito; Muito satisfeito
Zeer ontevreden; Ontevreden; Neutraal|Niet tevreden niet ontevreden; Tevreden; Zeer tevreden
"""
_SEVEN = """
Strongly disagree; Disagree; Somewhat disagree; Neither agree nor disagree|Neutral; Somewhat agree; Agree; Strongly
    agree
Extremely difficult|Very difficult; Moderately difficult|Difficult; Slightly difficult|Somewhat difficult; Neither
    easy nor difficult|Neutral; Slightly easy|Somewhat easy; Moderately easy|Easy; Extremely easy|Very easy
Stimme überhaupt nicht zu; Stimme nicht zu; Stimme eher nicht zu; Weder noch|Neutral; Stimme eher zu; Stimme zu;
    Stimme voll und ganz zu
Totalmente en desacuerdo; En desacuerdo; Algo en desacuerdo; Ni de acuerdo ni en desacuerdo|Neutral; Algo de
    acuerdo; De acuerdo; Totalmente de acuerdo
"""
_STARS = re.compile("[★⭐]+")
_LONE_NUMBER = re.compile(r"\D*?(\d{1,2})\D*")


def scores(labels: Iterable[str], steps: int) -> dict[str, int]:
    """Return what labels count, or nothing where they are no scale.

    Parameters
    ----------
    labels
        The answers that were seen.
    steps
        5 or 7.

    Returns
    -------
    dict
        Label -> score: those that were seen as they are written, and the steps of the same scale that were not.
    """
    seen = {_plain(label): label for label in labels}
    for scale in re.sub(r"\n +", " ", (_FIVE if steps == 5 else _SEVEN).strip()).splitlines():
        words = [step.strip().split("|") for step in scale.split(";")]
        ranks = {_plain(word): rank for rank, same in enumerate(words, start=1) for word in same}
        known = {word: label for word, label in seen.items() if word in ranks}
        if len(known) < 2 or len(known) < 0.6 * len(seen):
            continue
        found = {label: ranks[word] for word, label in known.items()}
        found |= {same[0]: rank for rank, same in enumerate(words, start=1) if rank not in found.values()}
        return dict(sorted(found.items(), key=lambda item: item[1]))
    return {}


def numbered(labels: Iterable[str]) -> dict[str, int]:
    """Return the number that stands in each label, as in `10 - Extremely likely`; nothing where one has none."""
    found: dict[str, int] = {}
    for label in labels:
        stars, number = _STARS.fullmatch(label), _LONE_NUMBER.fullmatch(label)
        if stars:
            found[label] = len(label)
        elif number:
            found[label] = int(number[1])
        else:
            return {}
    return {label: score for label, score in found.items() if label != str(score)}


def _plain(label: str) -> str:
    """Return a label without accents, case, punctuation or the second ending of `Satisfecho/a`."""
    return re.sub(r"[^a-z0-9]+", " ", re.sub(r"(/a|\(a\)|/in|\(e\))(?=\W|$)", "", folded(label))).strip()
