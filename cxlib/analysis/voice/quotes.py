"""Words of customers, to be shown: typical of a theme, without what tells who wrote them, and only where many did.

Typical is a text near the middle of all texts of the theme (TF-IDF, or a language model's space): what most of them
say, not what was put most strikingly. Never shown is a text as it was written where it could tell who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cxlib.analysis import doors
from cxlib.analysis.redaction import redact_all
from cxlib.analysis.voice.factors import Embedder, embedded
from cxlib.analysis.voice.stopwords import LANGUAGES
from cxlib.analysis.voice.terms import held, scaled
from cxlib.analysis.voice.words import PLACEHOLDER, Written, folded, read, series, stop_words, stripped, terms_of
from cxlib.errors import UsageError
from cxlib.measure.rows import Numbers

SHOWN, TOO_FEW = "ok", "too_few"
_LONGEST, _FULL = 240, 40  # letters of a quote at most, and from how many it says enough
_OTHERS = 0.5  # weight of what the other texts say, which is taken off what is typical
_SAME, _ALIKE = 0.8, 0.35  # cosine above which two quotes say one thing twice, and from which two customers say alike
_STOP = stop_words(LANGUAGES)
_STARTS = frozenset("=+-@|\t\r '\"`.,:;")  # that a sheet takes for a formula, or that hide one
_ADDRESSED = re.compile(r"^(?:[\s.,:;!\"'-]*(?:\[(?:handle|link)\]|@\w{2,30}))+[\s,:;.!-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff<>]")
_NUMBER, _MILD = re.compile(r"[\d@]"), re.compile(r"\[(?:handle|link)\]")
_INSIDE = re.compile(r"(?<=[^.!?…\s])\s+(?!I\b)[^\W\d_a-zß-öø-ÿ]")  # a capital within a sentence may be a name
_TYPES = {
    "theme": "str", "quote": "str", "language": "str", "alike": "float64", "customers": "float64", "status": "str",
    "note": "str",
}  # fmt: skip
_BLANK = {"theme": "", "quote": "", "language": "", "alike": np.nan, "customers": np.nan, "status": "", "note": ""}


def quotes(
    texts: Any,
    theme_member: Any,
    *,
    n: int = 3,
    min_text: int = 10,
    customer: Any = None,
    language: Any = None,
    redacted: bool = False,
    ids: Collection[str] = (),
    longest: int = _LONGEST,
    embedder: Embedder | None = None,
) -> pd.DataFrame:
    """Choose quotes that are typical of themes.

    Parameters
    ----------
    texts
        What customers wrote, shape (n,).
    theme_member
        Whether each names the theme: booleans of one theme, or a frame with a column a theme (`Themes.memberships`,
        or what the codebook assigned), row by row as the texts; missing is no.
    n
        Quotes of each theme at most.
    min_text
        Customers who must have named a theme for it to be quoted at all.
    customer
        Who wrote each text; None counts every text as another customer's.
    language
        Of each text, to be told beside the quote.
    redacted
        Personal data were taken out of the texts before. The quotes are looked through once more all the same.
    ids
        Ids of the workspace that are to go too, see `redact`.
    longest
        Letters of a quote at most; longer texts end at a sentence or a word, with "…".
    embedder
        Measures likeness instead of TF-IDF, see `embed`.

    Returns
    -------
    pandas.DataFrame
        A row a quote, theme by theme in the order given, the most typical first: `theme`, `quote` (plain text: no
        markup, no formula), `language`, `alike` (customers of the theme who said much the same; missing where they are
        fewer than `min_text`), `customers` (who named the theme), `status`, `note`. A theme without quotes has one row:
        `too_few`, no quote and no numbers.

    Raises
    ------
    UsageError
        For members, customers or languages of another length.
    """
    n, min_text = doors.whole("n", n, 1, 100), doors.whole("min_text", min_text, 1, 1_000_000)
    longest = doors.whole("longest", longest, 40, 2_000)
    written = read(texts, customer=customer, redacted=redacted, ids=ids)
    members, spoken = _members(theme_member, len(written.place)), _spoken(language, written)
    risk = _risk(texts, written)
    points, themes = _points(written.distinct, embedder), _themes(members, written)
    parts = [
        _of_theme(name, mask, written, risk, spoken, (n, min_text, longest), points, themes)
        for name, mask in members.items()
    ]
    return pd.concat([_none(), *parts], ignore_index=True).astype(_TYPES)


def _none() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _TYPES.items()})


def _members(given: Any, size: int) -> dict[str, np.ndarray]:
    """Return the mask of each theme over the texts."""
    columns = {str(k): given[k] for k in given.columns} if isinstance(given, pd.DataFrame) else {"": given}
    found = {}
    for name, values in columns.items():
        mask = doors.numbers(name or "theme_member", values)
        if mask.shape != (size,):
            raise UsageError(f"{mask.size:,} memberships for {size:,} texts: one each")
        found[name or str(getattr(given, "name", None) or "")] = np.nan_to_num(mask) > 0
    return found


def _spoken(language: Any, written: Written) -> np.ndarray:
    """Return the language of each distinct text, that of the first to write it; empty where it is not told."""
    found = np.full(len(written.distinct), "", dtype=object)
    if language is None:
        return found
    given = doors.as_series(language)
    if len(given) != len(written.place):
        raise UsageError(f"{len(given):,} languages for {len(written.place):,} texts: one each")
    told = given.astype("object").where(given.notna(), "").map(str).to_numpy()
    for place, name in sorted(zip(written.place.tolist(), told.tolist(), strict=True), reverse=True):
        if place >= 0 and name:
            found[place] = name
    return found


def _risk(texts: Any, written: Written) -> np.ndarray:
    """Return how much each distinct text may tell of who wrote it.

    0 nothing that shows, 1 numbers or capitals within a sentence, 2 marks of people or pages within it, 3 markup, a
    formula, or personal data that were taken out.
    """
    raw = series(texts).astype("object")
    marked = raw.map(lambda text: isinstance(text, str) and ("<" in text or text.lstrip()[:1] in tuple("=+-|")))
    mark = marked.to_numpy(dtype=bool)
    unclean = set(written.place[mark].tolist()) - set(written.place[~mark].tolist())
    found = []
    for place, text in enumerate(written.distinct):
        said = _ADDRESSED.sub("", text)
        bare = _MILD.sub("", said)
        telling = _NUMBER.search(bare) or _INSIDE.search(bare)
        grave = place in unclean or PLACEHOLDER.search(bare) is not None
        found.append(3 if grave else 2 if bare != said else 1 if telling else 0)
    return np.array(found, dtype=np.int64)


def _themes(members: dict[str, np.ndarray], written: Written) -> Numbers:
    """Return how many themes each distinct text names, 1 at least."""
    wrote = written.place >= 0
    named = np.array(
        [np.bincount(written.place[wrote & mask], minlength=len(written.distinct)) for mask in members.values()]
    )
    return np.maximum((named > 0).sum(axis=0), 1).astype(float)


def _of_theme(
    name: str, mask: np.ndarray, written: Written, risk: np.ndarray, spoken: np.ndarray, rules: tuple[int, int, int],
    points: Any, themes: Numbers,
) -> pd.DataFrame:  # fmt: skip
    """Return the quotes of one theme."""
    n, least, longest = rules
    mine = mask & (written.place >= 0)
    people = len(np.unique(written.person[mine]))
    if people < least:
        return _row(theme=name, status=TOO_FEW, note="fewer customers named it than may be quoted")
    counts = np.bincount(written.place[mine], minlength=len(written.distinct)).astype(float)
    score = _typical(points, counts, written.counts - counts) / themes
    chosen = _chosen(written.distinct, np.flatnonzero(counts), points, score, risk, n, longest)
    if not chosen:
        return _row(theme=name, status=TOO_FEW, note="no comment on it can be quoted without telling who wrote it")
    shared = {"theme": name, "customers": people, "status": SHOWN}
    return pd.concat([
        _row(quote=quote, language=spoken[place], alike=_alike(place, points, written, mine, least), **shared)
        for place, quote in chosen
    ])  # fmt: skip


def _row(**values: Any) -> pd.DataFrame:
    return pd.DataFrame([_BLANK | values]).astype(_TYPES)


def _points(texts: Sequence[str], embedder: Embedder | None) -> Any:
    """Return texts as rows of length 1 whose products say how alike they are."""
    if embedder is not None:
        return embedded(embedder, texts)
    found = [{term for term, _ in terms_of(text, _STOP)} for text in texts]
    names = sorted(set().union(*found))
    table = held(found, {term: place for place, term in enumerate(names)})
    return scaled(table, np.log((1 + len(texts)) / (1 + np.asarray(table.sum(axis=0)).ravel())) + 1)


def _typical(points: Any, inside: Numbers, outside: Numbers) -> Numbers:
    """Return how near each text is to the middle of the theme's, less how near to that of all others (Rocchio 1971)."""
    way = _middle(points, inside) - _OTHERS * _middle(points, outside)
    return np.asarray(points @ way).ravel()


def _middle(points: Any, counts: Numbers) -> Numbers:
    middle = np.asarray(counts @ points).ravel()
    return middle / max(float(np.linalg.norm(middle)), 1e-12)


def _chosen(
    texts: Sequence[str], places: np.ndarray, points: Any, score: Numbers, risk: np.ndarray, n: int, longest: int
) -> list[tuple[int, str]]:
    """Return places and words of the most typical texts, of those that tell least of who wrote them.

    None says what another says already.
    """
    length = np.array([len(texts[place]) for place in places], dtype=float)
    fit = np.minimum(length / _FULL, 1.0) * np.minimum(longest / np.maximum(length, 1), 1.0) ** 0.5
    worth = np.where(score[places] > 0, score[places] * fit, score[places] / np.maximum(fit, 0.01))
    order = places[np.lexsort((places, -np.round(worth, 9)))]
    out: list[tuple[int, str]] = []
    for place in order[risk[order] == risk[places].min()].tolist():
        quote = quotable(texts[place], longest)
        again = any(_cosine(points, place, other) > _SAME or folded(quote) == folded(said) for other, said in out)
        if quote and not again:
            out.append((place, quote))
        if len(out) == n:
            break
    return out


def _cosine(points: Any, one: int, other: int) -> float:
    return float((points[[one]] @ points[[other]].T).sum())


def _alike(place: int, points: Any, written: Written, mine: np.ndarray, least: int) -> float:
    """Return how many customers of a theme said much the same as one text; missing where fewer than may be told."""
    near = np.append(np.asarray((points @ points[[place]].T).sum(axis=1)).ravel() >= _ALIKE, False)
    near[place] = True
    people = len(np.unique(written.person[mine & near[written.place]]))
    return float(people) if people >= least else np.nan


def quotable(text: str, longest: int = _LONGEST) -> str:
    """Return a text as it may stand on a page or in a sheet: redacted, plain, no formula, not too long.

    Parameters
    ----------
    text
        What somebody wrote.
    longest
        Letters at most: the text ends with a sentence where one ends in its second half, else with a word and "…".
    """
    plain = _CONTROL.sub(" ", stripped(redact_all([text]))[0])
    plain = _ADDRESSED.sub("", plain)
    while plain[:1] in _STARTS and plain:
        plain = plain[1:]
    again = redact_all([" ".join(plain.split())])[0]
    if len(again) <= longest:
        return again
    cut = again[: longest - 1]
    ends = [found.end() for found in re.finditer(r"[.!?](?=\s|$)", cut)]
    if ends and ends[-1] >= longest / 2:
        return cut[: ends[-1]]
    return f"{cut.rsplit(' ', 1)[0].rstrip(' ,;:-')}…"
