"""What customers say: the texts brought month by month, redacted before anything else, coded, and counted.

A month's raw texts live while they are redacted; what is kept of them is the redacted text and its codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure.plans import Undefined
from cxlib.periods import Period
from cxlib.reports import audits, bring
from cxlib.reports.inputs import Inputs

EARNED = "earned"  # an answer at a touchpoint that others own is a review


class Said(NamedTuple):
    """Texts of some periods: what is known of each, and by the title of each theme whether it names it.

    `rows` has the columns of `analysis.voice.verbatims` with `text` redacted, and `period`; `codes` has 1 and 0, and is
    missing where the codebook has no words of the text's language, by the same index.
    """

    rows: pd.DataFrame
    codes: pd.DataFrame


def said(inputs: Inputs, periods: Sequence[Period]) -> Said:
    """Return the texts of some periods, redacted and coded. Brought once, not to be changed."""
    known: dict[str, Said] = inputs.once("what was said", dict)
    new = [period for period in sorted(periods) if period.label not in known]
    if new:
        each = [_redacted(inputs, period) for period in new]  # raw texts of one period at a time
        codes = _coded(inputs, pd.concat(each, ignore_index=True))
        ends = np.cumsum([0, *map(len, each)])
        for period, rows, first, last in zip(new, each, ends, ends[1:], strict=False):
            known[period.label] = Said(rows, codes.iloc[first:last].reset_index(drop=True))
    found = [known[period.label] for period in sorted(periods)]
    rows = pd.concat([one.rows for one in found], ignore_index=True)
    if rows.empty:
        raise Undefined("nobody wrote anything in these months")
    return Said(rows, pd.concat([one.codes for one in found], ignore_index=True))


def counted(inputs: Inputs, months: int, window: int) -> pd.DataFrame:
    """Return how many name each theme, month by month and in the last `window` months; see `Run.themes`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.voice import audited, rates

        periods = bring.reach(bring.own(inputs), max(months, window))
        found, how = said(inputs, periods), bring.how(inputs)
        when, pooled = found.rows["period"], labels(bring.own(inputs), window)
        told = rates.rates(
            found.codes, when, found.rows[bring.CUSTOMER], answers=_answers(inputs, periods), window=pooled, **how
        )
        audit = audits.audited(inputs)
        if audit is None or audit.true.empty:
            return defined(inputs, told.assign(note=told["note"].where(told["note"] != "", _unmeasured(inputs, audit))))
        right = audited.corrected(found.codes, when, found.rows["verbatim_id"], *audit[:2], weight=audit.weight,
                                  labelled=audit.labelled, window=pooled, **how)  # fmt: skip
        return defined(inputs, results.concat([told, rates.hidden_with(right, told)]))

    return inputs.answer("themes", [str(months), str(window), *key(inputs)], make)


def _unmeasured(inputs: Inputs, audit: audits.Audit | None) -> str:
    """Say that the error of the codebook is not known, and of labels of other texts why."""
    from cxlib.analysis.voice import rates

    if audit is None:
        return rates.CODED
    return f"{rates.CODED}: 0 of {audit.labelled:,} labelled texts are among those up to {bring.own(inputs).title}"


def moved(inputs: Inputs, against: Period, window: int) -> pd.DataFrame:
    """Return the change of each theme against another period; see `Run.theme_changes`."""

    def make() -> pd.DataFrame:
        from cxlib.analysis.voice import rates

        now, before = (bring.reach(period, window) for period in (bring.own(inputs), against))
        found = said(inputs, sorted({*now, *before}))
        sides = [[period.label for period in side] for side in (now, before)]
        if not all(found.rows["period"].isin(side).any() for side in sides):
            raise Undefined(f"nobody wrote anything in the months up to {against.title}, or in those of this report")
        told = rates.moved(
            found.codes, found.rows["period"], found.rows[bring.CUSTOMER], now=sides[0], before=sides[1],
            **bring.how(inputs),
        )  # fmt: skip
        return defined(inputs, told)

    return inputs.answer("theme_changes", [against.label, str(window), *key(inputs)], make)


def defined(inputs: Inputs, found: pd.DataFrame) -> pd.DataFrame:
    """Say of each theme's rows by which words it was assigned: months are comparable while these stay the same."""
    from cxlib.analysis import voice

    book = inputs.context.codebook
    words = {theme.title: voice.definition(book, name) for name, theme in book.themes.items()}
    return results.label(found, definition=found["level"].map(words).fillna(""))


def labels(period: Period, months: int) -> list[str]:
    """Return the labels of the periods that end with one and reach back over so many months."""
    return [one.label for one in bring.reach(period, months)]


def key(inputs: Inputs) -> list[str]:
    """Return all that makes another answer beside the words of the question."""
    return [*bring.limits(inputs), inputs.context.codebook.model_dump_json()]


def _redacted(inputs: Inputs, period: Period) -> pd.DataFrame:
    """Bring the texts of one period; what tells who somebody is is taken out before anything else is done."""
    from cxlib.analysis import voice
    from cxlib.analysis.voice.verbatims import verbatims

    about = inputs.context
    start, until = period.bounds(about.workspace.timezone)
    reviewed = [name for name, point in about.touchpoints.items() if point.ownership == EARNED]
    plan = verbatims(inputs.store().tables, start=start, until=until, reviewed=reviewed)
    found = bring.fetch(inputs, plan)
    return found.assign(text=voice.redact_series(found["text"]).astype("str"), period=period.label)


def _coded(inputs: Inputs, rows: pd.DataFrame) -> pd.DataFrame:
    """Return which themes redacted texts name, by the themes' titles."""
    from cxlib.analysis import voice

    codes = voice.code(rows["text"], inputs.context.codebook, languages=rows["language"]).astype("float64")
    return codes.rename(columns={name: theme.title for name, theme in inputs.context.themes.items()})


def _answers(inputs: Inputs, periods: Sequence[Period]) -> pd.DataFrame | None:
    """Return how often each customer answered in each period; None where the workspace has no answers."""
    from cxlib.analysis import extracts

    tables = inputs.store().tables
    if "responses" not in tables:
        return None
    plan = extracts.totals(tables, periods, "responses", "responded_at", timezone=inputs.context.workspace.timezone)
    return bring.fetch(inputs, plan)
