"""Themes that customers name by themselves: candidates for the codebook, found by TF-IDF and NMF.

A candidate counts nothing by itself: a person reads its words and comments and, if it says something, promotes it into
the codebook (`Themes.codebook_entry`), whose rules then count the same thing every month. Until then candidates of one
month are matched with the month's before (`matching`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.voice import entries, matching, naming
from cxlib.analysis.voice.factors import Clusters, Embedder, Factors, clusters, factors, nearest
from cxlib.analysis.voice.stopwords import LANGUAGES
from cxlib.analysis.voice.terms import Terms, learn, scaled
from cxlib.analysis.voice.words import Written, read, stop_words
from cxlib.errors import UsageError
from cxlib.measure.intervals import check_confidence, share_limits
from cxlib.measure.rows import Numbers

CANDIDATE, REST = "theme candidate", "no theme"
MOST_SAY, MOST_TERMS, FITTED = 0.6, 5_000, 50_000  # share of texts with a term; terms; distinct texts that are fitted
_METHODS = ("TF-IDF and NMF", "sentence embeddings and k means")


@dataclass(frozen=True, eq=False)
class Themes:
    """Candidates found in texts.

    Parameters
    ----------
    frame
        Result rows, the most frequent first: metric `theme candidate`, `level` its name, `estimate` the share of texts
        that name it, `n` the texts, `n_eff` what they are worth where customers wrote several, `note` its words and,
        where matched, whether it is `new` or `kept`. Last the metric `no theme`: texts that name none. One row
        `too_few` where nothing could be found.
    words
        The terms of each theme, the heaviest first: `theme`, `term` (as mostly written), `key` (its stem, folded),
        `weight` (of a row of length 1), `precision` (share of the texts with this term that name the theme),
        `customers` (who used it), `language`.
    memberships
        Which theme each text names, one boolean column a theme, by the index of the texts.
    matches
        What became of the themes of the period before, see `matched`; empty until then.
    method
        How they were found.
    """

    frame: pd.DataFrame
    words: pd.DataFrame
    memberships: pd.DataFrame
    matches: pd.DataFrame
    method: str
    _parting: Factors | Clusters | None = field(default=None, repr=False)
    _rows: tuple[int, ...] = field(default=(), repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The themes, the most frequent first."""
        return tuple(self.memberships.columns)

    def weights(self, texts: Any, *, redacted: bool = False) -> pd.DataFrame:
        """Return how much of each theme each text holds, 0 or more; a column a theme, by the index of the texts."""
        written = read(texts, redacted=redacted)
        return _spread(written, self._weights(written)[:, list(self._rows)], list(self.names), 0.0)

    def assign(self, texts: Any, *, redacted: bool = False) -> pd.DataFrame:
        """Return which theme each text names, also texts that were not there at the fit; a boolean column a theme."""
        written = read(texts, redacted=redacted)
        named = _named(self._parting, self._weights(written))[:, list(self._rows)]
        return _spread(written, named, list(self.names), False)

    def _weights(self, written: Written) -> Numbers:
        if self._parting is None or not written.distinct:
            return np.zeros((len(written.distinct), max(self._rows, default=-1) + 1))
        return self._parting.weights(written.distinct)

    def matched(self, previous: Themes | pd.DataFrame, *, least: float = matching.ALIKE) -> Themes:
        """Return the same themes, those that were there before under their old names.

        Parameters
        ----------
        previous
            The fit of the period before, or its `words`.
        least
            Cosine of the weights of terms from which two themes are one.

        Returns
        -------
        Themes
            With `matches`: metric `theme match`, `level` the theme, `at` `kept`, `new` or `gone`, `against` its old
            name, `estimate` the cosine (comparison `index`).
        """
        old = previous if isinstance(previous, pd.DataFrame) else previous.words
        pairs = matching.pairs(old, self.words, list(self.names), least)
        titles = matching.titles(list(self.names), pairs)
        rows = matching.rows(old, list(self.names), pairs, titles)
        state = dict(zip(rows["level"], rows["at"], strict=True))
        frame = self.frame.assign(level=[titles.get(name, name) for name in self.frame["level"]])
        mine = (frame["metric"] == CANDIDATE).to_numpy()
        told = [f"{state[name]}; {note}" if own and name in state else note
                for name, note, own in zip(frame["level"], frame["note"], mine, strict=True)]  # fmt: skip
        return replace(
            self, frame=results.conform(frame.assign(note=told)), matches=rows,
            words=self.words.assign(theme=[titles[name] for name in self.words["theme"]]),
            memberships=self.memberships.rename(columns=titles),
        )  # fmt: skip

    def codebook_entry(self, theme: str, *, phrases: int = 8) -> str:
        """Return a candidate as an entry of `codebook.yml`, to be read, mended and pasted below `themes:`.

        Parameters
        ----------
        theme
            One of `names`.
        phrases
            Phrases at most: the heaviest terms of which seven in ten texts or more name the theme.
        """
        doors.whole("phrases", phrases, 1, 100)
        if theme not in self.names:
            raise UsageError(f"no theme '{theme}'; there are {', '.join(self.names) or 'none'}")
        return entries.entry(theme, self.words[self.words["theme"] == theme], phrases)


def themes(
    texts: Any,
    *,
    n: int,
    rng: np.random.Generator | None = None,
    language: str | Sequence[str] = LANGUAGES,
    stop: Iterable[str] = (),
    previous: Themes | pd.DataFrame | None = None,
    min_share: float = 0.01,
    min_n: int = 10,
    customer: Any = None,
    redacted: bool = False,
    ids: Collection[str] = (),
    embedder: Embedder | None = None,
    confidence: float = 0.95,
) -> Themes:
    """Find candidates for themes in texts.

    Parameters
    ----------
    texts
        What customers wrote, shape (n,), any index; missing and blank ones count as not written. Personal data are
        taken out before anything else.
    n
        Candidates looked for; those that too few texts name are left out.
    rng
        Draws which texts are fitted where more than 50,000 differ, and the starts of clusters; default a fixed seed.
        Otherwise nothing is drawn: the same texts give the same themes to the digit, whatever their order.
    language
        Of the texts: whose stop words are left out, and whose forms of a word are one term. Texts of several languages
        make themes of one language each; give those of one language where they should be parted further.
    stop
        Further words that are no terms, such as the company's name.
    previous
        The fit of the period before, or its `words`: themes that are still there keep their names, see
        `Themes.matched`.
    min_share
        Share of the texts that must name a theme.
    min_n
        Customers who must use a term for it to be learnt, and name a theme for it to be shown.
    customer
        Who wrote each text, shape (n,): several texts of one customer are not counted as several customers.
    redacted
        Personal data were taken out of the texts before, by `redact`.
    ids
        Ids of the workspace that are to go too, see `redact`.
    embedder
        Turns texts into points of one language-independent space, see `embed`: then themes are clusters there.
    confidence
        Of the intervals, which take the themes as given: Wilson, on the effective number of texts.

    Returns
    -------
    Themes
        Without any theme, and a row `too_few` that says why, where the texts have too few words in common.

    Raises
    ------
    UsageError
        For an `n` below 1, shares outside 0 to 1, a language without stop words, customers of another length.
    """
    n, min_n = doors.whole("n", n, 1, 100), doors.whole("min_n", min_n, 1, 1_000_000)
    check_confidence(confidence)
    if not 0 <= min_share < 1:
        raise UsageError(f"min_share {min_share:g} is not between 0 and 1", hint="Write 1 % as 0.01.")
    spoken = doors.names(language)
    barred, draw = stop_words(spoken, doors.names(stop)), doors.generator(rng)
    written = read(texts, customer=customer, redacted=redacted, ids=ids)
    method = _METHODS[embedder is not None]
    terms, table = learn(written, barred, spoken, least=min_n, most=MOST_SAY, at_most=MOST_TERMS)
    rows = np.flatnonzero(np.diff(table.tocsr().indptr) > 0) if embedder is None else np.arange(len(written.distinct))
    most = min(len(rows), len(terms.names))
    if n > most:
        few = f"{n} themes asked for, but the texts that differ and the words that enough customers share allow {most}"
        return _nothing(written, few if written.distinct else "nothing was written", method)
    parting = _fitted(written, terms, table, rows, n, draw, embedder)
    found = _told(written, terms, table, parting, (min_share, min_n, confidence), method)
    return found if previous is None else found.matched(previous)


def _nothing(written: Written, why: str, method: str) -> Themes:
    """Return a fit without themes."""
    frame = results.frame(metric=CANDIDATE, status=results.TOO_FEW, note=why, method=method)
    return Themes(frame, naming.no_words(), pd.DataFrame(index=written.index), results.empty(), method)


def _fitted(
    written: Written, terms: Terms, table: Any, rows: np.ndarray, n: int, rng: np.random.Generator,
    embedder: Embedder | None,
) -> Factors | Clusters:  # fmt: skip
    """Fit these rows of the distinct texts, or as many of them as are fitted at most."""
    if len(rows) > FITTED:
        rows = np.sort(rng.permutation(rows)[:FITTED])
    counts = written.counts[rows]
    if embedder is not None:
        return clusters(embedder, [written.distinct[row] for row in rows], counts, n, int(rng.integers(2**31)))
    return factors(terms, table[rows], counts, n)


def _named(parting: Factors | Clusters | None, weights: Numbers) -> np.ndarray:
    return np.zeros(weights.shape, dtype=bool) if parting is None else parting.belongs(weights)


def _told(
    written: Written, terms: Terms, table: Any, parting: Factors | Clusters, rules: tuple[float, int, float],
    method: str,
) -> Themes:  # fmt: skip
    """Return what was found: themes that enough name, the most frequent first."""
    min_share, min_n, confidence = rules
    known = scaled(table, terms.idf)
    weights = nearest(known, parting.rows) if isinstance(parting, Factors) else parting.weights(written.distinct)
    named, counts = parting.belongs(weights), written.counts
    texts = counts @ named
    people = np.array([written.people_of(named[:, place]) for place in range(named.shape[1])])
    kept = np.flatnonzero((texts >= min_share * counts.sum()) & (people >= min_n))
    kept = kept[np.lexsort((kept, -texts[kept]))]
    rows = parting.rows if isinstance(parting, Factors) else naming.weights(table, terms, counts, named)
    words = naming.words(terms, rows, table, written, named, kept)
    names = list(dict.fromkeys(words["theme"]))
    parts = [
        _share(written, named[:, place], CANDIDATE, name, confidence) for place, name in zip(kept, names, strict=True)
    ]
    rest = np.asarray(~named[:, kept].any(axis=1))
    parts.append(_share(written, rest, REST, "all", confidence))
    frame = results.concat(parts)
    notes = [
        naming.told(words, level) if metric == CANDIDATE else ""
        for metric, level in zip(frame["metric"], frame["level"], strict=True)
    ]
    few = (frame["metric"] == REST).to_numpy() & (0 < written.people_of(rest) < min_n)
    status = np.where(few, results.SUPPRESSED, frame["status"])
    frame = results.conform(frame.assign(method=method, note=notes, status=status))
    members = _spread(written, named[:, kept], names, False)
    return Themes(frame, words, members, results.empty(), method, parting, tuple(kept.tolist()))


def _spread(written: Written, values: np.ndarray, names: list[str], missing: Any) -> pd.DataFrame:
    """Return a row for each text given, from one for each distinct text."""
    blank = np.full((1, len(names)), missing)
    rows = np.concatenate([values.reshape(len(written.distinct), len(names)), blank])[written.place]
    return pd.DataFrame(rows, index=written.index, columns=names)


def _share(written: Written, chosen: np.ndarray, metric: str, level: str, confidence: float) -> pd.DataFrame:
    """Return the share of the texts that are chosen, a mask over the distinct ones."""
    wrote = written.place >= 0
    yes, person = chosen[written.place[wrote]].astype(float), written.person[wrote]
    n, share = float(yes.size), float(yes.mean())
    worth = _worth(yes, person)
    low, high = share_limits(np.array([share]), np.array([worth]), confidence)
    error = np.sqrt(share * (1 - share) / worth)
    return results.frame(
        metric=metric, level=level, comparison="share", estimate=share, std_error=error, conf_low=low, conf_high=high,
        n=n, n_eff=worth,
    )  # fmt: skip


def _worth(yes: Numbers, person: np.ndarray) -> float:
    """Return the effective number of texts: by how much those of one customer are alike (linearised, clustered)."""
    _, code = np.unique(person, return_inverse=True)
    n, people, share = yes.size, int(code.max()) + 1, float(yes.mean())
    if people == n or not 0 < share < 1:
        return float(people)
    sums = np.bincount(code, yes - share)
    variance = float((sums**2).sum()) * people / max(people - 1, 1) / n**2
    return min(share * (1 - share) / variance, float(n)) if variance > 0 else float(people)
