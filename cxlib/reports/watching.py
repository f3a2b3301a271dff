"""Early warning: the signals of `watch.yml`, day by day up to the last whole day of the data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import hiding
from cxlib.measure import intervals
from cxlib.measure.plans import Undefined
from cxlib.params import Metric, Params, Workspace
from cxlib.params.models import Touchpoint
from cxlib.params.watching import Signal, Watch
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.context import open_store
from cxlib.reports.inputs import Inputs
from cxlib.show import formats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cxlib.data.store import Store
    from cxlib.measure.alarms import Watched

STATE = "data/watch.json"  # below the workspace: the alarms that were told already
WARNING = "early_warning"
_TWICE, _MOST = 2.0, 0.99  # the rise whose delay is stated
_RECENT = 28  # days whose number says how many there are a day
_LONG = 60  # days: a delay that is no early warning


@dataclass(frozen=True)
class Found:
    """One signal: what its days say, or why nothing can be said of it.

    `last` is the last whole day that it was looked at; `people` says how many customers stand behind the days from one
    to before another, while the store is open.
    """

    signal: Signal
    watched: Watched | None = None
    last: date | None = None
    reason: str = ""
    people: Callable[[date, date], int] = field(default=lambda *_: 0, repr=False)

    @property
    def days(self) -> pd.DataFrame:
        """The days that were looked at; none where nothing can be said."""
        return pd.DataFrame() if self.watched is None else self.watched.days

    def since(self, began: int, until: int | None = None) -> tuple[float, float, int]:
        """Return what went wrong since a day, of how much, and of how many customers."""
        days = self.days.iloc[began : None if until is None else until + 1]
        after = pd.Timestamp(days["day"].iloc[-1]).date() + timedelta(days=1)
        return float(days["bad"].sum()), float(days["n"].sum()), self.people(self.calendar(began), after)

    def calendar(self, place: int) -> date:
        """Return the day at a place."""
        day: date = pd.Timestamp(self.days["day"].iloc[place]).date()
        return day

    def delay(self) -> float:
        """Return after how many days twice the usual would be noticed, about; infinite where it would not."""
        from cxlib.measure import alarms

        if self.watched is None or not np.isfinite(self.days["usual"].iloc[-1]):
            return np.inf
        day, recent = self.days.iloc[-1], float(self.days["n"].tail(_RECENT).mean())
        worse = min(_TWICE * day["centre"], _MOST)
        return float(alarms.delay(recent, day["usual"], worse, threshold=self.watched.threshold, phi=day["phi"]))

    def soon(self, locale: str = "en") -> str:
        """Say what is usual, and after how many days twice as many would be noticed."""
        if self.watched is None or not np.isfinite(self.days["usual"].iloc[-1]):
            return "no three weeks yet to hold a day against"
        form = formats.formatting(None, locale)
        usual, days = form.value(float(self.days["usual"].iloc[-1]), "percent"), self.delay()
        when = f"after about {days:.0f} days" if days <= _LONG else "too late to be of use: there are too few"
        return f"usual is up to {usual}; twice as many would be noticed {when}"


def look(
    store: Store, rules: Watch, workspace: Workspace, touchpoints: Mapping[str, Touchpoint], until: date | None = None
) -> list[Found]:
    """Look at every signal up to the last whole day of its table, or to a day before it.

    The days are counted anew each time: rows that came late count where they belong.
    """
    return [_look(store, one, rules, workspace, touchpoints, until) for one in rules.signals.values()]


def _look(
    store: Store, signal: Signal, rules: Watch, workspace: Workspace, touchpoints: Mapping[str, Touchpoint],
    until: date | None,
) -> Found:  # fmt: skip
    from cxlib.measure import alarms, daily

    newest = store.latest().get(signal.table)
    if newest is None:
        return Found(signal, reason=f"the store has no {signal.table}")
    whole = _local(newest, workspace.timezone)  # this day is not over yet: what is newest is of it
    end = min(whole, until) if until else whole
    first = _first(store, signal, workspace.timezone)
    if first is None or first >= end:
        return Found(signal, reason="no whole day yet")
    metric, how = metric_of(signal), dict[str, Any](timezone=workspace.timezone, touchpoints=touchpoints)

    def people(begin: date, after: date) -> int:
        return int(store.run(daily.customers(metric, store.tables, begin, after, **how))["people"].iloc[0])

    try:
        found = store.run(daily.daily(metric, store.tables, first, end, **how))
    except Undefined as reason:
        return Found(signal, reason=str(reason))
    days = pd.DataFrame({"day": pd.date_range(first, end, inclusive="left")})
    days = days.assign(number=np.arange(len(days))).merge(found, how="left", on="number").drop(columns="number")
    watched = alarms.watch(
        days.fillna({"n": 0.0, "bad": 0.0, "people": 0}), threshold=threshold_of(rules), baseline=rules.baseline_days,
        gap=rules.gap_days, matters=signal.matters,
    )  # fmt: skip
    return Found(signal, watched, end - timedelta(days=1), people=people)


def threshold_of(rules: Watch) -> float:
    """Return the days between false alarms of one signal, so that all together keep to the years promised."""
    return max(rules.years_between_false_alarms * 365.25 * max(len(rules.signals), 1), 2.0)


def metric_of(signal: Signal) -> Metric:
    """Return a signal as the share that it is."""
    return Metric(
        id=signal.id, title=signal.title, question=signal.title, kind="share", unit="percent", table=signal.table,
        time=signal.time, filter=signal.among, numerator=signal.bad, higher_is_better=False, owner=signal.owner,
    )  # fmt: skip


def _local(moment: datetime, timezone: str) -> date:
    return moment.replace(tzinfo=ZoneInfo("UTC")).astimezone(ZoneInfo(timezone)).date()


def _first(store: Store, signal: Signal, timezone: str) -> date | None:
    """Return the day of a table's first event."""
    table = store.tables.get(signal.table)
    if table is None or signal.time not in table.columns:
        return None
    found = store.run(table.aggregate(first=table[signal.time].cast("timestamp").min()))["first"].iloc[0]
    return None if pd.isna(found) else _local(pd.Timestamp(found).to_pydatetime(), timezone)


@dataclass(frozen=True)
class Alarm:
    """One alarm in words' parts: the share since it began against the usual, and when it was noticed."""

    signal: Signal
    began: date
    noticed: date
    ended: date | None
    share: float | None  # None where too few customers stand behind it
    usual: float
    n: int
    new: bool

    @property
    def delay(self) -> int:
        """Days from the beginning to the alarm."""
        return (self.noticed - self.began).days + 1


def alarms_of(found: Iterable[Found], least: int, told: Iterable[str] = ()) -> list[Alarm]:
    """Return every alarm, the newest last; `told` are the keys of those that were told before."""
    known, out = set(told), []
    for one in found:
        for episode in one.watched.episodes if one.watched else ():
            bad, n, people = one.since(episode.began, episode.ended)
            began, noticed = one.calendar(episode.began), one.calendar(episode.alarm)
            ended = one.calendar(episode.ended) if episode.ended is not None else None
            usual = float(one.days["usual"].iloc[episode.alarm])
            share = bad / n if n and people >= least else None
            new = key_of(one.signal, noticed) not in known
            out.append(Alarm(one.signal, began, noticed, ended, share, usual, int(n), new))
    return sorted(out, key=lambda alarm: (alarm.noticed, alarm.signal.id))


def key_of(signal: Signal, noticed: date) -> str:
    """Return the name of an alarm in the file of those that were told."""
    return f"{signal.id} {noticed}"


def told(root: Path) -> list[str]:
    """Return the keys of the alarms that were told before; none where the file is not there or no longer readable."""
    try:
        found = json.loads((root / STATE).read_text(encoding="utf-8"))["told"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [key for key in found if isinstance(key, str)] if isinstance(found, list) else []


def remember(root: Path, alarms: Iterable[Alarm]) -> None:
    """Note alarms as told; a reader sees the old file or the new one."""
    path = root / STATE
    keys = sorted({*told(root), *(key_of(alarm.signal, alarm.noticed) for alarm in alarms)})
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps({"told": keys}, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)


def watch(root: Path, params: Params, as_of: str = "") -> tuple[str, list[Found], list[Alarm]]:
    """Look once: return the snapshot, every signal, and every alarm with whether it is new."""
    with open_store(root, params, as_of) as store:
        found = look(store, params.watch, params.workspace, params.touchpoints)
        return store.snapshot.id, found, alarms_of(found, params.workspace.min_n, told(root))


def warned(inputs: Inputs) -> pd.DataFrame:
    """Return what `Run.early_warnings` says."""
    context, period = inputs.context, bring.own(inputs)

    def make() -> pd.DataFrame:
        if not context.watch.signals:
            raise Undefined("params/watch.yml names no signal")
        found = look(inputs.store(), context.watch, context.workspace, context.touchpoints, period.next_day)
        return results.concat([_rows(one, period, inputs) for one in found])

    return inputs.answer(WARNING, [context.watch.model_dump_json(), *bring.limits(inputs)], make)


def _rows(found: Found, period: Period, inputs: Inputs) -> pd.DataFrame:
    """Return a signal's row of the period: its share, and the alarm that falls into it."""
    about: dict[str, Any] = {"metric": WARNING, "level": found.signal.title, "segment": "signal"}
    if found.watched is None:
        return results.frame(**about, status=results.UNDEFINED, note=found.reason)
    days = found.days
    mine = days[(days["day"] >= pd.Timestamp(period.first_day)) & (days["day"] < pd.Timestamp(period.next_day))]
    n, bad = float(mine["n"].sum()), float(mine["bad"].sum())
    if n == 0:
        return results.frame(**about, status=results.UNDEFINED, note="nothing of the kind in this period")
    if found.people(period.first_day, period.next_day) < inputs.context.workspace.min_n:
        return results.frame(**about, status=results.SUPPRESSED, note=hiding.NOTE)
    if mine["usual"].isna().all():
        return results.frame(**about, status=results.TOO_FEW, note="no three weeks before it to hold it against")
    phi = float(mine["phi"].max())
    low, high = intervals.wilson(np.asarray(bad / n), np.asarray(n / phi), inputs.context.workspace.confidence)
    raised = [one for one in alarms_of([found], 0) if one.began < period.next_day and _reaches(one, period)]
    unseen = "could not have been seen" if found.delay() > len(mine) else "not shown"
    return results.frame(
        **about, estimate=bad / n, conf_low=low, conf_high=high, n=n, n_eff=n / phi,
        method="Wilson, days allowed for; alarms: Shiryaev-Roberts", verdict="moved" if raised else unseen,
        note=_words(found, raised),
    )  # fmt: skip


def _reaches(alarm: Alarm, period: Period) -> bool:
    return alarm.ended is None or alarm.ended >= period.first_day


def _words(found: Found, raised: list[Alarm]) -> str:
    """Say what was alarming, or how soon it would have been."""
    if not raised:
        return f"no alarm; {found.soon()}"
    first = raised[0]
    over = f", over by {first.ended:%d %B %Y}" if first.ended else ""
    days = "the same day" if first.delay == 1 else f"after {first.delay} days"
    return f"alarm on {first.noticed:%d %B %Y}, {days}{over}; {found.soon()}"
