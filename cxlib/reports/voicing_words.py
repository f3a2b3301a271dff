"""The words themselves: quotes, what is new among them, and candidates for themes among those without one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.data.labelled import KEY
from cxlib.errors import UsageError
from cxlib.measure.plans import Undefined
from cxlib.periods import Period
from cxlib.reports import audits, bring, voicing
from cxlib.reports.inputs import Inputs

if TYPE_CHECKING:
    from cxlib.analysis.voice import Themes

QUOTE = "quote"
_TOKEN = re.compile(r"[^\W_][\w-]{2,63}")


def quoted(inputs: Inputs, months: int, n: int) -> pd.DataFrame:
    """Return typical quotes of each theme; see `Run.quotes`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import voice

        said, least = voicing.said(inputs, bring.reach(bring.own(inputs), months)), inputs.context.workspace.min_n
        found = voice.quotes(
            said.rows["text"], said.codes, n=n, min_text=least, customer=said.rows[bring.CUSTOMER],
            language=said.rows["language"], redacted=True,
        )  # fmt: skip
        ids = _ids(inputs, found["quote"])
        return _rows(found.assign(quote=voice.redact_series(found["quote"], ids=ids)))

    return inputs.answer("quotes", [str(months), str(n), *voicing.key(inputs)], make)


def new(inputs: Inputs, months: int) -> pd.DataFrame:
    """Return the alarm of a new theme and the words behind it; see `Run.new_themes`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis import voice

        own = bring.own(inputs)
        said = voicing.said(inputs, bring.reach(own, months))
        if not (said.rows["period"] == own.label).any():
            raise Undefined(f"nobody wrote anything in {own.title}")
        found = voice.novelty(
            said.rows["text"], said.rows["period"], coded=said.codes.max(axis=1), customer=said.rows[bring.CUSTOMER],
            period=own.label, stop=_own_words(inputs), redacted=True, **bring.how(inputs),
        )  # fmt: skip
        return results.label(found, note=found["note"].str.replace(own.label, own.title, regex=False))

    return inputs.answer("new_themes", [str(months), *voicing.key(inputs)], make)


def candidates(inputs: Inputs, window: int, n: int, seed: int) -> pd.DataFrame:
    """Return candidates for themes among the texts without one; see `Run.theme_candidates`."""

    def make() -> pd.DataFrame:
        found = found_themes(inputs, window, n, seed)
        return results.concat([found.frame, found.matches] if len(found.matches) else [found.frame])

    return inputs.answer("theme_candidates", [str(window), str(n), str(seed), *voicing.key(inputs)], make)


def entry(inputs: Inputs, theme: str, window: int, n: int, seed: int) -> str:
    """Return a candidate as an entry of `codebook.yml`; see `Run.codebook_entry`."""
    return found_themes(inputs, window, n, seed).codebook_entry(theme)


def to_label(inputs: Inputs, n: int, window: int, seed: int) -> pd.DataFrame:
    """Return texts for people to label, in the columns of the file of labels; see `Run.audit_sample`."""
    from cxlib.analysis import voice

    if inputs.frozen.recording:
        raise UsageError("texts to be labelled are for cx lab: no report may hold texts of single customers")
    said = voicing.said(inputs, bring.reach(bring.own(inputs), window))
    drawn = voice.audit_sample(said.rows["text"], said.codes.astype("boolean"), n=n, rng=np.random.default_rng(seed))
    rows = said.rows.loc[drawn.index]
    found = {KEY: rows["verbatim_id"], "text": rows["text"], audits.RATER: ""}
    found |= dict.fromkeys(inputs.context.themes, "") | {audits.WEIGHT: drawn["weight"]}
    return pd.DataFrame(found).reset_index(drop=True)


def found_themes(inputs: Inputs, window: int, n: int, seed: int) -> Themes:
    """Return the candidates of the months up to the run's end, named as those of a month before where they are alike.

    Raises `Undefined` where every text names a theme, or none was written.
    """
    own = bring.own(inputs)

    def fit(period: Period) -> Themes | None:
        from cxlib.analysis import voice

        try:
            said = voicing.said(inputs, bring.reach(period, window))
        except Undefined:
            return None
        rest = said.rows[~(said.codes.max(axis=1) == 1).to_numpy()]
        if rest.empty:
            return None
        for most in range(n, 0, -1):  # few texts hold fewer themes than were asked for
            found = voice.themes(
                rest["text"], n=most, rng=np.random.default_rng(seed), customer=rest[bring.CUSTOMER], redacted=True,
                stop=_own_words(inputs), **bring.how(inputs),
            )  # fmt: skip
            if found.names:
                break
        return found

    def make() -> Themes:
        now, before = fit(own), fit(own.previous())
        if now is None:
            raise Undefined("no text is left without a theme")
        return now if before is None or not before.names or not now.names else now.matched(before)

    return inputs.once(f"theme candidates {window} {n} {seed}", make)


def _own_words(inputs: Inputs) -> list[str]:
    """Return the company's name, which is no theme."""
    return re.findall(r"\w{3,}", inputs.context.workspace.company)


def _rows(found: pd.DataFrame) -> pd.DataFrame:
    """Return quotes as a result frame: the text in `note`, `n` the customers who name the theme."""
    if found.empty:
        return results.empty()
    rank = found.groupby("theme").cumcount() + 1
    ok = found["status"] == results.OK
    return results.frame(
        metric=QUOTE, segment="theme", level=found["theme"], at=rank.astype("str"), comparison="index",
        against=found["language"].where(ok, ""), method="typical of the theme, redacted", n=found["customers"],
        status=found["status"], note=found["quote"].where(ok, found["note"]),
    )  # fmt: skip


def _ids(inputs: Inputs, texts: Iterable[str]) -> list[str]:
    """Return the words of some texts that are ids in the store, of customers, orders or cases."""
    import ibis

    words = sorted({word for text in texts for word in _TOKEN.findall(str(text)) if any(map(str.isdigit, word))})
    if not words:
        return []
    parts = []
    for table in inputs.store().tables.values():
        for name in table.columns:
            if name.endswith("_id"):
                parts.append(table.filter(table[name].isin(words)).select(word=table[name].cast("string")).distinct())
    found = inputs.store().run(reduce(ibis.union, parts)) if parts else pd.DataFrame({"word": []})
    return sorted(set(found["word"]))
