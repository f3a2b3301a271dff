"""What a source says of itself: its files, how their tool writes them, and what an ingest must beware of.

Nothing of this is ever guessed while reading: `cx new source` may propose it, a person signs it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from cxlib.params.base import Currency, Day, Model, Name, Null, fault

FORMATS = ("csv", "tsv", "text", "excel", "parquet", "jsonl")
Format = Literal["csv", "tsv", "text", "excel", "parquet", "jsonl"]  # text: one column, `line`
Instrument = Literal["nps", "csat", "ces"]  # contract.INSTRUMENTS
NumberStyle = Literal["1234.56", "1234,56", "1,234.56", "1.234,56", "1 234,56", "1'234.56"]

# How a time is written, other than by a strptime pattern. `date` is a day without a clock, as 2026-10-31.
TIME_WORDS = ("iso", "date", "unix_seconds", "unix_milliseconds", "unix_microseconds")
_DIRECTIVES = re.compile(r"%(-?[a-zA-Z%])")
_KNOWN_DIRECTIVES = {*"aAbBdmyYHIpMSfgnzZjUWucxXG%", "-d", "-m", "-H", "-I", "-M", "-S", "-y", "-j"}


def _time_format(text: str) -> str:
    """Accept one of `TIME_WORDS` or a strptime pattern that DuckDB knows."""
    if text in TIME_WORDS:
        return text
    used = _DIRECTIVES.findall(text)
    if not used:
        words = ", ".join(TIME_WORDS)
        raise fault(f"'{text}' says no format: write a pattern as %d/%m/%Y %H:%M, or one of {words}")
    unknown = [f"%{directive}" for directive in used if directive not in _KNOWN_DIRECTIVES]
    if unknown:
        raise fault(f"'{text}' has {', '.join(unknown)}, which no pattern knows")
    return text


class Time(Model):
    """How the times of one column are written.

    With a clock in `format` the column becomes a moment (of `timezone`, or of the source's, unless the text itself
    carries a zone); without one it becomes a date, which no zone moves.
    """

    format: Annotated[Name, AfterValidator(_time_format)]
    timezone: str = ""  # default: the source's

    @property
    def is_date(self) -> bool:
        """Say whether it is a day without a clock."""
        if self.format in TIME_WORDS:
            return self.format == "date"
        return not re.search(r"%-?[HIcX]", self.format)


def _as_time(value: Any) -> Any:
    """Read `column: FORMAT` as `column: {format: FORMAT}`."""
    return {"format": value} if isinstance(value, str) else value


class Question(Model):
    """One question of a survey: which instrument it is, where it is asked, and what its labels count.

    It stands under its column's name. `scores` maps answers that are not plain integers, as `"Very satisfied": 5`.
    """

    instrument: Instrument
    touchpoint: str = ""
    comment: str = ""  # the column of the comment that goes with it
    scores: dict[str, int] = Field(default_factory=dict)


class File(Model):
    """One raw file of a source: where it is and how its tool writes it.

    A path ending in `.gz` or `.zip` is opened. `header: joined` makes each column's name of all header rows
    (`question / option`, the first row holding on to the right), as SurveyMonkey writes check-all-that-apply;
    `header_rows: 0` means none, and `names` gives the names. `leave_out` maps a reason to an SQL condition over the
    file's columns: rows that meet it are counted under the reason and go no further.
    """

    path: Name  # a name or a glob, relative to the folder
    format: Format = "csv"
    encoding: Name = "utf-8"
    delimiter: Annotated[str, StringConstraints(min_length=1, strip_whitespace=False)] = ","
    skip: int = Field(0, ge=0)  # lines before the header
    header_rows: int = Field(1, ge=0)
    header: Literal["first", "joined"] = "first"
    names: tuple[Name, ...] = ()  # of the columns, where there is no header
    sheet: str = ""  # of a workbook; default: its first
    member: str = ""  # of a zip archive, a name or a glob; default: all of its files
    optional: bool = False
    columns: tuple[str, ...] = ()  # the columns its SQL needs; checked before anything is read
    times: dict[str, Annotated[Time, BeforeValidator(_as_time)]] = Field(default_factory=dict)
    numbers: dict[str, NumberStyle] = Field(default_factory=dict)
    leave_out: dict[str, Name] = Field(default_factory=dict)
    questions: dict[str, Question] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_without_header(self) -> File:
        if self.header_rows == 0 and not self.names and self.format in ("csv", "tsv", "excel"):
            raise fault("header_rows is 0, so names must name the columns, in their order")
        return self


class Limit(Model):
    """Beyond `warn` an ingest says so; beyond `stop` it leaves the store as it was."""

    warn: Annotated[float | None, Null] = Field(None, ge=0)
    stop: Annotated[float | None, Null] = Field(None, ge=0)


class Limits(Model):
    """What an ingest may be like. Shares are of 1; each limit that a source gives takes the workspace's place."""

    rejected_share: Limit = Limit(warn=0.01)  # of the rows of one table
    unreadable_share: Limit = Limit(warn=0)  # of the rows of one file
    unresolved_share: Limit = Limit(warn=0.1)  # of the rows that name a customer nobody knows
    deleted_share: Limit = Limit(warn=0.05, stop=0.2)  # of what the source had in a table
    age_days: Limit = Limit()  # from the newest event to the day of the ingest
    volume_change: Limit = Limit(warn=0.5)  # of a day against the same weekday of the weeks before


class Unknown(Model):
    """What happens to rows that name a customer, or a touchpoint, which nobody knows."""

    customers: Literal["reject", "keep"] = "reject"
    touchpoints: Literal["reject", "keep"] = "reject"


class Repeats(Model):
    """Which answers count where one customer answers one question several times.

    `all` counts every one (inference is clustered by customer, so none pretends to be another person); `first` and
    `last` count one per customer, instrument, question and touchpoint in each `per`.
    """

    keep: Literal["all", "first", "last"] = "all"
    per: Literal["invitation", "month", "quarter", "year", "ever"] = "month"


class Source(Model):
    """`sources/<name>/source.yml`; its SQL lies beside it, one `<table>.sql` per contract table.

    `<table>.delete.sql` yields keys whose rows are to go. A table in `full_extract` is given whole each time: what this
    source brought before and no longer brings is deleted.
    """

    id: str
    title: Name
    folder: str = ""  # default: data/raw/<id>
    timezone: Name = "UTC"  # of the times in the files
    currency: Currency | Literal[""] = ""  # of its amounts; default: the workspace's
    licence: Name
    as_of: Day = ""  # a cross-section: the date its rows are true for
    settle_hours: int = Field(0, ge=0)  # how long the tool itself still adds to what it exported
    full_extract: tuple[Name, ...] = ()
    unknown: Unknown = Unknown()
    limits: Limits = Limits()
    files: Annotated[dict[str, File], Field(min_length=1)]

    def limits_over(self, workspace: Limits) -> Limits:
        """Return the limits of an ingest: the workspace's, and in their place those that this source gives."""
        given = {name: getattr(self.limits, name) for name in self.limits.model_fields_set}
        return workspace.model_copy(update=given)
