"""How long what is kept of people stays, and what they must agree to: `retention` and `consent` of workspace.yml."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator

from cxlib.params.base import Model, Null, fault

EVENTS = ("invitations", "responses", "interactions", "orders", "exposures")
_WRITTEN = re.compile(r"([1-9][0-9]{0,3}) (day|month|year)s?")


def _span(text: str) -> str:
    """Accept a length of time written as `24 months`."""
    if not _WRITTEN.fullmatch(text):
        raise fault(f"'{text}' is no length of time: write it as 30 days, 24 months or 3 years")
    return text


Span = Annotated[str, AfterValidator(_span)]


class Consent(Model):
    """What needs the consent of customers (`consent`, true or false, in the table customers).

    Whoever has withdrawn it is left out of all that it is needed for. `missing` says what becomes of people of whom it
    is not known.
    """

    missing: Literal["kept", "left_out"] = "kept"
    needed_for: tuple[Literal["surveys", "texts"], ...] = ("surveys", "texts")


class Retention(Model):
    """How long things are kept, carried out by `cx compact`. What is not named is kept for good.

    Spans count in days of the workspace's timezone, from the day on which `cx compact` runs: what happened on that day
    so long ago still stays. A month is a month of the calendar; where its last day does not exist, the one before is
    meant (a month before 31 March is 28 February).
    """

    comments: Annotated[Span | None, Null] = None  # of answers: the words go, the answer stays
    transcripts: Annotated[Span | None, Null] = None  # of interactions
    tables: dict[str, Span] = Field(default_factory=dict)  # whole rows of a table of events
    quarantine: Annotated[Span | None, Null] = None  # refused rows, from their ingest on
    superseded: Annotated[Span | None, Null] = None  # reports that newer ones took the place of
    failed: Annotated[Span | None, Null] = None  # runs that were not published

    @field_validator("tables")
    @classmethod
    def _are_events(cls, tables: dict[str, str]) -> dict[str, str]:
        """Refuse tables whose rows say what still holds, however long ago it began."""
        unfit = sorted(set(tables) - set(EVENTS))
        if unfit:
            known = ", ".join(EVENTS)
            raise fault(f"rows of {', '.join(unfit)} cannot be let go of by their age; those of {known} can")
        return tables


def first_day(span: str, today: date) -> date:
    """Return the first day that is still kept: `span` before a day, of the calendar."""
    match = _WRITTEN.fullmatch(span)
    if match is None:
        raise ValueError(span)
    count, unit = int(match[1]), match[2]
    if unit == "day":
        return date.fromordinal(max(1, today.toordinal() - count))
    months = max(12, today.year * 12 + today.month - 1 - count * (12 if unit == "year" else 1))
    year, month = divmod(months, 12)
    return date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))


def kept_since(span: str, now: datetime, timezone: str) -> datetime:
    """Return the first moment that is still kept, naive UTC as in the store.

    Parameters
    ----------
    span
        As `24 months`.
    now
        The moment to count from, with a zone.
    timezone
        In which days begin.
    """
    return midnight_of(span, now.astimezone(ZoneInfo(timezone)).date(), timezone)[1]


def midnight_of(span: str, today: date, timezone: str) -> tuple[date, datetime]:
    """Return the first day that is still kept, and its first moment, naive UTC."""
    day = first_day(span, today)
    return day, datetime.combine(day, time(), ZoneInfo(timezone)).astimezone(UTC).replace(tzinfo=None)
