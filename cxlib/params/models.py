"""The frozen objects that `params/` becomes: one model per kind of file, unknown keys refused.

Models check one file by itself; what ties files together (a report naming a metric, an expression naming a column) is
checked in `references.py`. YAML is read as text, so every number is converted here, by its declared type. An `id` is
never written in a file: it is the file's name, or the key that an entry stands under.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from cxlib.params.base import Currency, Day, Model, Name, Names, Null, Window, fault
from cxlib.params.codebook import Codebook, Theme
from cxlib.params.intake import File, Limits, Repeats, Source
from cxlib.params.retention import Consent, Retention
from cxlib.params.serving import Serving
from cxlib.params.trials import Change, Covariates, Experiment, Register, Traffic
from cxlib.params.watching import Watch

# told here too: whoever reads params finds every model in this place
__all__ = ["Change", "Covariates", "Experiment", "File", "Register", "Source", "Theme", "Traffic"]

ColumnType = Literal["text", "timestamp", "date", "integer", "number", "money", "boolean"]  # contract.TYPES
Kind = Literal["share", "mean", "ratio", "nps", "rate", "quantile"]
Unit = Literal["points", "percent", "score", "seconds", "days", "money", "count", "per_month", "per_1000_months"]


class Checks(Model):
    """Limits that a run checks its inputs against; beyond them a page says so."""

    max_missing_share: float = Field(0.2, ge=0, le=1)
    max_age_days: int = Field(45, ge=0)
    min_rows: int = Field(1, ge=0)


class Weighting(Model):
    """Whom surveys are weighted to: the customers, by these segments, each weight within bounds of the mean one."""

    segments: tuple[Name, ...] = ()
    lowest: float = Field(0.2, gt=0, le=1)
    highest: float = Field(5.0, ge=1)


class NegativeControl(Model):
    """Interactions that satisfaction cannot touch: where they move with it, something else is behind both."""

    title: Name
    when: Name


class Worth(Model):
    """How money of the future is counted: what of a sale is earned, and what a year's delay takes off."""

    margin: Annotated[float | None, Null] = Field(None, gt=0, le=1)  # share of an amount; default: amount less cost
    discount_rate: float = Field(0.1, ge=0, lt=1)  # a year
    horizon_months: int = Field(12, ge=1, le=120)
    negative_control: NegativeControl | None = None


class Workspace(Model):
    """`workspace.yml`: what holds for every report of the company."""

    company: Name
    store: Name = "data/store"
    reports: Name = "reports"  # a folder, or a URL of fsspec whose mirror the folder reports/ is then
    timezone: Name = "UTC"
    currency: Currency = "EUR"
    locale: Name = "en"
    confidence: float = Field(0.95, gt=0.5, lt=1)
    min_n: int = Field(10, ge=1)
    period: Literal["month", "quarter", "week"] = "month"
    attributes: dict[str, ColumnType] = Field(default_factory=dict)
    checks: Checks = Checks()
    limits: Limits = Limits()
    repeated_responses: Repeats = Repeats()
    weighting: Weighting = Weighting()
    worth: Worth = Worth()
    ends_recorded_since: Annotated[Day | None, Null] = None  # of subscriptions; default: as the ends themselves show
    retention_days: int = Field(400, ge=1)  # how long `cx compact` leaves a snapshot alone
    retention: Retention = Retention()  # how long it leaves texts, rows, refused rows and old reports alone
    consent: Consent = Consent()
    serving: Serving = Serving()  # how `cx serve` treats its viewers
    settled_after_months: int = Field(3, ge=0)  # data of still later months do not touch what was told of a period


class Part(Model):
    """The denominator of a ratio or a rate where it lies in another table than the numerator."""

    table: Name
    time: str = ""
    value: Name = "1"
    filter: str = ""


def _text_or_part(value: Any) -> str:
    """Tell the two forms of a denominator apart, so that faults are told about the one that was meant."""
    return "text" if isinstance(value, str) else "part"


Denominator = Annotated[Annotated[str, Tag("text")] | Annotated[Part, Tag("part")], Discriminator(_text_or_part)]


class Metric(Model):
    """`metrics/<id>.yml`: one reviewed definition; no second one exists anywhere.

    Expressions (`filter`, `numerator`, ...) are written in the small language of `cxlib.expressions`. Without `time`
    every row is looked at once per period, and the expressions say how the period matters (`period_start`,
    `period_end`: its first day and the day after its last).
    """

    id: str
    title: Name
    question: Name
    kind: Kind
    unit: Unit
    table: Name
    time: str = ""
    higher_is_better: Annotated[bool | None, Null]
    window: Window = ""  # "90 days": a row belongs to the period in which its window closes
    filter: str = ""
    value: str = ""  # nps, quantile: the score or duration
    promoters: Name = "score >= 9"
    detractors: Name = "score <= 6"
    numerator: str = ""  # share: a condition; mean, ratio, rate: a number per row
    denominator: Denominator = ""  # ratio, rate: a number per row, another table, "customers" or "calendar_days"
    scale: float = Field(1.0, gt=0)
    quantile: float = Field(0.5, gt=0, lt=1)
    cluster: str = "customer_id"  # empty: rows are independent
    min_n: Annotated[int | None, Null] = Field(None, ge=1)
    target: Annotated[float | None, Null] = None
    change_that_matters: Annotated[float | None, Null] = Field(None, gt=0)
    caveats: tuple[str, ...] = ()
    owner: Name
    version: int = Field(1, ge=1)

    @property
    def grows_with_time(self) -> bool:
        """Whether a longer period gives another number by itself: counts per person, shares of a start's cohort."""
        per = self.denominator.value if isinstance(self.denominator, Part) else self.denominator
        return per == "customers" or (self.kind == "share" and not self.time)

    @property
    def window_days(self) -> int:
        """Days of follow-up that `window` declares; 0 without one."""
        return int(self.window.split()[0]) if self.window else 0


class Rule(Model):
    """One ordered rule of a segment: rows that meet `when` and no earlier rule are `level`."""

    level: Name
    when: Name


class Segment(Model):
    """`segments/<id>.yml`: a dimension to cut metrics by.

    `on` is `customers` (an attribute, as valid at the event) or `event` (a column of the metric's own table). Either
    `column` (its values are the levels, missing ones become `otherwise`) or `rules` with the catch-all `otherwise`.
    """

    id: str
    title: Name
    question: str = ""
    on: Literal["customers", "event"] = "customers"
    column: str = ""
    rules: tuple[Rule, ...] = ()
    otherwise: Name = "unknown"
    owner: str = ""


Stage = Literal["awareness", "consideration", "purchase", "retention", "advocacy"]


class Touchpoint(Model):
    """One entry of the taxonomy in `touchpoints.yml`.

    `names` are other names that data use for it: `tel`, or a pattern as `web_*`. An order that came through one of its
    `order_channels` was placed here: orders name no touchpoint. See `cxlib.params.places`.
    """

    id: str
    title: Name
    group: Literal["before", "during", "after", "service"]
    kind: str = ""  # of its group: see `places.KINDS`
    stage: Stage
    stream: Literal["explore", "evaluate", "engage", "experience"]
    ownership: Literal["owned", "earned", "paid"] = "owned"
    direct: bool = True
    digital: bool = False
    partner: bool = False
    names: tuple[Name, ...] = ()
    order_channels: tuple[Name, ...] = ()


class Taxonomy(Model):
    """`touchpoints.yml`: the versioned taxonomy; the order of its entries is the order of the pages."""

    version: int = Field(1, ge=1)
    touchpoints: dict[str, Touchpoint] = Field(default_factory=dict)


class Goal(Model):
    """One line of the measurement framework: what is wanted, how it is seen, who answers for it.

    What is left out is a gap, which `cx check` and the page of the framework tell: see `cxlib.params.framework`.
    """

    goal: Name
    stage: Stage
    kpi: str = ""
    source: str = ""
    owner: str = ""
    team: str = ""
    cadence: Literal["week", "month", "quarter"] = "month"


class Framework(Model):
    """`framework.yml`: the goals, in the order of the page that shows them."""

    goals: tuple[Goal, ...] = ()


Leaf = Literal["product", "service", "channel", "digital", "mix"]


class Driver(Model):
    """One thing that may drive a score: `value` is a number, or a condition, of a row of the outcome's table."""

    id: str
    title: Name
    value: Name
    unit: str = ""
    leaf: Leaf  # of the root-cause tree
    worst: Annotated[float | None, Null] = None  # the values that are worth 0 and 100 of how well it goes
    best: Annotated[float | None, Null] = None
    theme: str = ""  # of the codebook: whoever names it in a comment states that it matters
    experiment: str = ""  # the one that changed it and nothing else


class DriverModel(Model):
    """`drivers/<id>.yml`: what may drive one outcome, among which of its rows.

    `segments` of customers belong to the leaf `mix`: a change may come from who is asked, not from what was done.
    """

    id: str
    title: Name
    question: Name
    outcome: Name
    filter: str = ""
    drivers: Annotated[dict[str, Driver], Field(min_length=1)]
    segments: tuple[Name, ...] = ()
    caveats: tuple[str, ...] = ()
    owner: Name
    version: int = Field(1, ge=1)


class Report(Model):
    """`reports/<pack>.yml`: which notebooks, which metrics, for whom."""

    id: str
    title: Name
    audience: Name
    pdf: bool = False  # whether a PDF of all pages is made, too
    readers: tuple[Name, ...] = ()  # groups that may see it on a server; none named: everybody who is let in
    folder: str = ""  # of the notebooks; default: notebooks/<id>
    notebooks: Names  # file names without .ipynb, in reading order
    of: Literal["period", "experiment"] = "period"  # what one report of the pack is about
    metrics: tuple[Name, ...] = ()  # of an experiment: those of its plan
    segments: tuple[Name, ...] = ()
    audit: tuple[Name, ...] = ()  # metrics that ask how well the survey itself was run
    drivers: tuple[Name, ...] = ()  # models of what drives a score

    @model_validator(mode="before")
    @classmethod
    def _readers_are_named(cls, data: Any) -> Any:
        """Take `readers:` without a value not for everybody: it is a list that somebody forgot to fill."""
        if isinstance(data, dict) and data.get("readers", [""]) == "":
            raise fault("`readers` names nobody: name groups, or leave it out where everybody may see the report")
        return data


class Params(Model):
    """Everything the company decides, read and checked."""

    workspace: Workspace
    metrics: dict[str, Metric] = Field(default_factory=dict)
    segments: dict[str, Segment] = Field(default_factory=dict)
    sources: dict[str, Source] = Field(default_factory=dict)
    reports: dict[str, Report] = Field(default_factory=dict)
    experiments: dict[str, Experiment] = Field(default_factory=dict)
    drivers: dict[str, DriverModel] = Field(default_factory=dict)
    touchpoints: dict[str, Touchpoint] = Field(default_factory=dict)
    framework: tuple[Goal, ...] = ()
    changes: dict[str, Change] = Field(default_factory=dict)
    codebook: Codebook = Codebook()
    watch: Watch = Watch()
