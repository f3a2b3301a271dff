"""What an explored page may show: the published periods of its pack, and what each holds of metrics by segments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.params.models import Metric
from cxlib.periods import Period
from cxlib.reports.context import Context

FIELDS = ("period", "metric", "segment", "compare")
NONE, PREVIOUS, YEAR_AGO, TARGET, TIME = "none", "previous", "year_ago", "target", "over_time"
_ORDER = (NONE, PREVIOUS, YEAR_AGO, TARGET, TIME)
ANEW = "This report was made anew since this page was opened: reload the page."
_LONGEST = 60  # letters of an unknown value that are told
_KEYS = ["metric", "period", "segment", "level", "at", "comparison", "against"]


@dataclass(frozen=True)
class Chosen:
    """What a reader chose; '' where nothing was said."""

    period: str = ""
    metric: str = ""
    segment: str = ""
    compare: str = ""

    @classmethod
    def asked(cls, query: Mapping[str, Sequence[str]], period: str) -> Chosen:
        """Return what an address asks for; the page's own period where it names none."""
        return cls(**{"period": period} | {name: query[name][0] for name in FIELDS if query.get(name)})

    def but(self, name: str, value: str) -> Chosen:
        """Return the same with one field changed."""
        return replace(self, **{name: value})

    def query(self) -> dict[str, str]:
        """Return it as an address says it."""
        return asdict(self)


class Published:
    """One published period: its numbers and what they mean, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._opened = folder, _identity(folder)

    @property
    def anew(self) -> bool:
        """Whether another report stands here now than when it was opened: a confined kernel cannot read that."""
        return _identity(self.folder) != self._opened

    @cached_property
    def context(self) -> Context | None:
        """The frozen context of the run; None where the folder holds none."""
        for path in sorted(self.folder.glob("inputs/*/context.json")):
            return Context.model_validate_json(path.read_bytes())
        return None

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """The definitions, the pack's own first."""
        context = self.context
        if context is None:
            return {}
        described = context.described
        return {name: described[name] for name in context.report.metrics if name in described} | described

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The published levels and differences of metrics, of the whole and by one segment; each once."""
        path = self.folder / "results.parquet"
        if self.context is None or not path.is_file():
            return results.empty()
        found = results.conform(pd.read_parquet(path))
        kept = found["metric"].isin(list(self.metrics)) & (found["at"] == "")
        kept &= found["comparison"].isin(["level", "difference"])
        kept &= found["segment"].isin(["all", *self.context.report.segments])
        kept &= (found["segment"] == "all") == (found["level"] == "all")  # no total of a split: the whole stands
        kept &= (found["against"] == "") | (found["comparison"] == "difference")
        # of rows that several notebooks record, one that was judged
        found = found[kept].sort_values("p_adjusted", key=lambda column: column.isna(), kind="stable")
        return found.drop_duplicates(_KEYS, ignore_index=True)

    @cached_property
    def levels(self) -> pd.DataFrame:
        """The published levels of the folder's own period, read without the context: a look back needs no more."""
        try:
            found = results.conform(pd.read_parquet(self.folder / "results.parquet"))
        except (OSError, ValueError):
            return results.empty()
        own = (found["period"] == self.folder.name) & (found["comparison"] == "level")
        own &= (found["at"] == "") & (found["against"] == "")
        own &= (found["segment"] == "all") == (found["level"] == "all")
        return found[own].drop_duplicates(_KEYS, ignore_index=True)

    @cached_property
    def offered(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Metric -> segment (`all` for the whole) -> comparisons, of what has an answer in the period."""
        if self.context is None or self.frame.empty:
            return {}
        period, frame = Period.parse(self.context.period), self.frame
        mine = frame[(frame["period"] == period.label) & (frame["status"] != results.UNDEFINED)]
        names = {period.previous().label: PREVIOUS, period.year_ago().label: YEAR_AGO, TARGET: TARGET}
        found: dict[str, dict[str, list[str]]] = {}
        for metric, segment in (
            mine.loc[mine["comparison"] == "level", ["metric", "segment"]].drop_duplicates().itertuples(index=False)
        ):
            found.setdefault(metric, {})[segment] = [NONE]
        compared = mine.loc[mine["comparison"] == "difference", ["metric", "segment", "against"]].drop_duplicates()
        for metric, segment, against in compared.itertuples(index=False):
            if against in names and segment in found.get(metric, {}):
                found[metric][segment].append(names[against])
        counted = frame[frame["comparison"] == "level"].groupby(["metric", "segment"])["period"].nunique()
        for (metric, segment), count in counted.items():
            if count > 1 and segment == "all" and metric in found:
                found[metric][segment].append(TIME)
        order = ("all", *self.context.report.segments)
        return {
            name: {one: tuple(sorted(found[name][one], key=_ORDER.index)) for one in order if one in found[name]}
            for name in self.metrics
            if name in found
        }


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from one that takes its place; None where there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Choices:
    """What may be chosen.

    Parameters
    ----------
    pack
        The folder of the pack.
    periods
        Names of the folders in it that may be looked at; the first is the page's own.
    """

    def __init__(self, pack: Path, periods: Sequence[str]) -> None:
        self.periods = {name: Published(pack / name) for name in periods}

    def of(self, period: str) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Return what a period offers; nothing for one that cannot be read or holds nothing to choose."""
        try:
            return self.periods[period].offered if period in self.periods else {}
        except (OSError, ValueError, KeyError, UsageError):
            return {}

    def title(self, period: str) -> str:
        """Return the name of a period as its own manifest has it."""
        try:
            return str(
                json.loads((self.periods[period].folder / "run.json").read_text(encoding="utf-8"))["period_title"]
            )
        except (OSError, ValueError, KeyError):
            return period

    def entries(self, chosen: Chosen) -> dict[str, list[tuple[str, str]]]:
        """Return the entries of each list, value and label, for what is chosen in those before it."""
        held, offered = self.periods[chosen.period], self.of(chosen.period)
        segments = offered.get(chosen.metric, {})
        known = held.context.segments if held.context else {}
        names = {"all": "Everyone"} | {name: segment.title for name, segment in known.items()}
        return {
            "period": [(name, self.title(name)) for name in sorted(self.periods, reverse=True)],
            "metric": [(name, held.metrics[name].title) for name in offered],
            "segment": [(name, names[name]) for name in segments],
            "compare": [(name, self._compared(held, name)) for name in self._comparisons(chosen)],
        }

    def _comparisons(self, chosen: Chosen) -> list[str]:
        """Return the comparisons of a metric by a segment; over time also where several periods were published."""
        found = list(self.of(chosen.period).get(chosen.metric, {}).get(chosen.segment, ()))
        if TIME not in found and chosen.segment != "all" and len(self.back(chosen)) > 1:
            found.append(TIME)
        return found

    def back(self, chosen: Chosen) -> list[pd.DataFrame]:
        """Return the levels of a metric by a segment as they were published, period by period up to the chosen one."""
        now = Period.parse(chosen.period)
        earlier = [name for name in self.periods if name == chosen.period or _is_before(name, now)]
        found = []
        for name in sorted(earlier):
            levels = self.periods[name].levels
            found.append(levels[(levels["metric"] == chosen.metric) & (levels["segment"] == chosen.segment)])
        return [part for part in found if len(part)]

    def download(self, chosen: Chosen) -> str:
        """Return the address of a period's numbers, seen from the page."""
        folder = self.periods[chosen.period].folder
        return f"../../../reports/{folder.parent.name}/{folder.name}/results.parquet"

    @staticmethod
    def _compared(held: Published, name: str) -> str:
        period = Period.parse(held.context.period) if held.context else None
        if period is None or name in (NONE, TARGET, TIME):
            return {NONE: "nothing", TARGET: "the target", TIME: "itself over time"}.get(name, name)
        return (period.previous() if name == PREVIOUS else period.year_ago()).title


def _is_before(name: str, now: Period) -> bool:
    try:
        period = Period.parse(name)
    except UsageError:
        return False
    return period.kind == now.kind and period < now


def settled(of: Choices, asked: Chosen) -> tuple[Chosen, list[str]]:
    """Return what is shown for what was asked, and in words what of it is not there.

    Parameters
    ----------
    of
        What may be chosen.
    asked
        What was; anything at all, it may come from an address.
    """
    told, own = [], next(iter(of.periods))
    chosen = Chosen(asked.period if of.of(asked.period) else own)
    if asked.period in of.periods and of.periods[asked.period].anew:
        told.append(ANEW)
    elif chosen.period != asked.period:
        told.append(_not_there("period", asked.period, of.title(own)))
    usual = {"metric": "", "segment": "all", "compare": PREVIOUS}
    for name in FIELDS[1:]:
        entries, wanted = dict(of.entries(chosen)[name]), getattr(asked, name)
        value = next((one for one in (wanted, usual[name]) if one in entries), next(iter(entries)))
        if wanted and value != wanted:
            told.append(_not_there(_WORDS[name], wanted, entries[value]))
        chosen = chosen.but(name, value)
    return chosen, told


_WORDS = {"metric": "metric", "segment": "segment", "compare": "comparison"}


def _not_there(what: str, asked: str, shown: str) -> str:
    """Say that something is not published; what an address said is cut and shown as text."""
    said = "".join(letter for letter in asked if letter.isprintable())[:_LONGEST]
    return f"There is no {what} “{said}” to choose here. Chosen instead: {shown}."
