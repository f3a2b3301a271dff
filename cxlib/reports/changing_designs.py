"""One change and metric by every design that applies: the best that can be estimated leads, the others stand beside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure.plans import Undefined
from cxlib.periods import Period
from cxlib.reports import bring
from cxlib.reports.studied import REACH, Studied

# The roles of rows, in `segment`; `at` says which of it they are.
DESIGN, EFFECT, SINCE, GROUP, PATH, CHECK, PLACEBO, EVIDENCE, AGREEMENT = (
    "design", "effect", "since start", "by group", "path", "check", "placebo", "evidence", "agreement",
)  # fmt: skip
CHOSEN = "chosen"  # how the note of the design that leads begins
SEASONS = {"month": 12, "quarter": 4, "week": 52}  # periods of a year
_ERROR = "error"
_FEW = "fewer customers than may be shown"

Parts = list[pd.DataFrame]


@dataclass
class Designs:
    """One change and metric, by every design that applies."""

    studied: Studied
    checks: dict[str, Any] = field(default_factory=dict)  # of the design that leads, for the grade

    @property
    def confidence(self) -> float:
        """Of all intervals."""
        return self.studied.inputs.context.workspace.confidence

    @cached_property
    def controls(self) -> dict[str, Studied]:
        """What the change cannot have touched, by title."""
        metrics = self.studied.inputs.context.metrics
        named = [metrics[name] for name in self.studied.change.controls if name != self.studied.metric.id]
        return {metric.title: Studied(self.studied.inputs, self.studied.change, metric) for metric in named}

    def rows(self) -> pd.DataFrame:
        """Return everything that is known.

        The first design by the rules that can be estimated leads. Whether one can is known before what it finds is.
        """
        from cxlib.analysis import effects

        choice = effects.choose(self.situation())
        fitting = [choice.design, *(name for name, fits, _ in choice.others if fits and name != "before_after")]
        lead, found = "", {}
        for name in filter(None, fitting):
            found[name] = self._run(name, chosen=not lead)
            if fine(found[name][0]):
                lead = lead or name
        parts = [designs(choice, lead, found), *(rows for name in found for rows in found[name])]
        heads = {name: rows[0] for name, rows in found.items()}
        if any(name == "before_after" and fits for name, fits, _ in choice.others):
            [heads["before_after"]] = self._run("before_after", chosen=False)
            parts.append(heads["before_after"])
        if lead:
            parts += self._graded(heads.pop(lead), heads, lead)
        elif not choice.design:
            parts.append(nothing(choice.why))
        return results.concat(parts)

    def _graded(self, lead: pd.DataFrame, others: dict[str, pd.DataFrame], design: str) -> Parts:
        """Return the grade of the evidence, and whether the other designs find the same, in words."""
        from cxlib.analysis import effects

        unit = self.studied.metric.unit
        whole = results.concat([lead, *self.checks.pop("beside", [])])
        graded = effects.grade(whole, design=design, alpha=1 - self.confidence, **self.checks)
        return [role(graded, EVIDENCE), role(effects.agreement(lead, others, design=design, unit=unit), AGREEMENT)]

    def situation(self) -> Any:
        """Return what is known before any effect is looked at."""
        from cxlib.analysis import effects
        from cxlib.analysis.effects.choice import LEAST_CUSTOMERS

        studied, own = self.studied, bring.own(self.studied.inputs)
        values, first, levels = studied.by_group, studied.start, set(studied.by_group["group"])
        untouched, least = len(levels - set(studied.starts)) * bool(studied.segment), LEAST_CUSTOMERS
        if studied.segment:
            try:
                least = int(studied.rows.groupby("since")[bring.CUSTOMER].nunique().min())
                untouched = len(studied.untouched)
            except Undefined:  # only values by period are known: that shows when groups of customers are compared
                pass
        known = [Period.parse(label) for label in set(values["period"])]
        return effects.Situation(
            starts=studied.followed, untouched=untouched, least=least, controls=tuple(self.controls),
            before=sum(period < first for period in known), after=sum(first <= period <= own for period in known),
        )  # fmt: skip

    def _run(self, design: str, *, chosen: bool) -> Parts:
        """Return the rows of one design, the effect first; one that fails says why and nothing else."""
        ways: dict[str, Callable[[bool], Parts]] = {
            "staggered": self._groups, "did": self._groups, "synthetic": self._synthetic,
            "counterfactual": self._counterfactual, "interrupted": self._interrupted, "before_after": self._naive,
        }  # fmt: skip
        if chosen:
            self.checks = {}
        try:
            head, *rest = ways[design](chosen)
        except (Undefined, UsageError) as reason:
            note = str(reason) if isinstance(reason, Undefined) else reason.message
            head, rest = results.frame(comparison="difference", status=results.UNDEFINED, note=note), []
        named = results.label(role(head, EFFECT, design), metric=self.studied.metric.id)
        return [named, *rest] if fine(named) else [named]

    # Designs over groups of customers

    def _groups(self, chosen: bool) -> Parts:
        """Compare groups by their starts; rows of a score are in its unit already."""
        from cxlib.analysis import effects

        own = self.studied.touched
        att = self._att(own)
        simple = effects.aggregate(att, "simple", confidence=self.confidence)
        simple = self._hidden(simple, "level", self._people(own, "all"))
        if not chosen or not fine(simple):
            return [simple]
        told: dict[str, Any] = {"outcome": "y", "time": "period", "first_treated": "since", "control": "not_yet",
                                "confidence": self.confidence}  # fmt: skip
        study = effects.event_study(own, cluster=bring.CUSTOMER, base="all", **told)
        placebos = effects.placebos(own, unit=bring.CUSTOMER, group="group", base="all", **told)
        placebos = self._hidden(placebos, "level", own.groupby("group")[bring.CUSTOMER].nunique())
        tests = study[study["comparison"] == "test"]
        self.checks = {
            "pre_trend": study, "placebos": placebos, "negative_control": self._untouchable(self._by_att),
            "groups": (len(self.studied.compared), len(self.studied.untouched)), "beside": [self._before_of(own)],
        }  # fmt: skip
        checks = role(tests, CHECK, (tests["metric"] + " " + tests["level"]).tolist())
        return [simple, *self._drawn(att, own), checks, *_placebo(placebos)]

    def _att(self, rows: pd.DataFrame) -> Any:
        """Return the effects on groups in each period, against those not touched yet."""
        from cxlib.analysis import effects

        return effects.group_time_att(
            rows, outcome="y", unit=bring.CUSTOMER, time="period", first_treated="since", panel=False, base="all",
            control="not_yet", confidence=self.confidence,
        )  # fmt: skip

    def _by_att(self, other: Studied) -> pd.DataFrame:
        """Return the same comparison of what the change cannot touch, with the mean before to hold it against."""
        from cxlib.analysis import effects

        rows = other.touched
        simple = effects.aggregate(self._att(rows), "simple", confidence=self.confidence)
        return results.concat([simple, self._before_of(rows)])

    def _before_of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the mean of those touched before the start, as a row of levels."""
        from cxlib.analysis import effects

        found = effects.before_after(
            rows.dropna(subset="since"), outcome="y", time="period", first_treated="since", cluster=bring.CUSTOMER,
            confidence=self.confidence,
        )  # fmt: skip
        return results.label(found[found["comparison"] == "level"], metric=self.studied.metric.id)

    def _people(self, rows: pd.DataFrame, by: str) -> pd.Series[Any]:
        """Return how many touched customers were seen: `by` each time since the start, or after it by group or all."""
        place = {period.label: number for number, period in enumerate(self.studied.periods)}
        rows = rows.dropna(subset="since")
        when, start = (_mapped(rows[name], place) for name in ("period", "since"))
        since = when - start
        if by == "since":
            found = rows.groupby(since)[bring.CUSTOMER].nunique()
            return found.set_axis(found.index.astype(str))
        after = rows[since >= 0]
        keys = pd.Series("overall", index=after.index) if by == "all" else after[by]
        return after.groupby(keys)[bring.CUSTOMER].nunique()

    def _hidden(self, rows: pd.DataFrame, column: str, people: pd.Series[Any]) -> pd.DataFrame:
        """Return rows without the numbers of those whom fewer customers stand behind than may be shown."""
        least = self.studied.inputs.context.least(self.studied.metric)
        few = rows[column].map(people).lt(least) & (rows["status"] == results.OK)
        status, note = rows["status"].mask(few, results.SUPPRESSED), rows["note"].mask(few, _FEW)
        return results.conform(rows.assign(status=status, note=note))

    def _drawn(self, att: Any, rows: pd.DataFrame) -> Parts:
        """Return the effects by periods since the start, and by group, called by the levels that it is."""
        from cxlib.analysis import effects

        path = effects.aggregate(att, "dynamic", confidence=self.confidence)
        groups = effects.aggregate(att, "group", confidence=self.confidence)
        groups = groups[groups["level"] != "overall"]
        own = pd.Series(self.studied.compared)
        names = [", ".join(sorted(own.index[own == start])) or start for start in groups["level"]]
        path = self._hidden(path[path["level"] == "event"], "at", self._people(rows, "since"))
        groups = self._hidden(groups, "level", self._people(rows.assign(level=rows["since"]), "level"))
        return [role(path, SINCE), role(groups, GROUP, names)]

    def _untouchable(self, way: Callable[[Studied], pd.DataFrame]) -> pd.DataFrame | None:
        """Return what the design finds of what the change cannot touch; None where nothing of it is known."""
        parts = []
        for other in self.controls.values():
            try:
                parts.append(results.label(way(other), metric=other.metric.id))
            except (Undefined, UsageError):
                continue
        return results.concat(parts) if parts else None

    # Designs over series

    def _line(self, *, whole: bool) -> tuple[pd.DataFrame, list[str], int | None]:
        """Return the series with those of the controls beside it, their names, and the season where it can be told.

        With `whole` only periods in which all are known.
        """
        from cxlib.analysis.effects import series

        names: list[str] = []
        frame = self.studied.series.set_index("period")
        for title, other in self.controls.items():
            try:
                beside = other.series.set_index("period")["y"].rename(title)
            except Undefined:
                continue
            frame, names = frame.join(beside, how="inner" if whole else "left"), [*names, title]
        season = SEASONS[self.studied.first.kind]
        known = self._before(frame.index) >= max(2 * season, series.least_before(season, len(names) * whole))
        return frame, names, season if known else None

    def _interrupted(self, chosen: bool) -> Parts:
        from cxlib.analysis import effects

        frame, names, seasonal = self._line(whole=False)
        fit = effects.fit_interrupted(
            frame.reset_index(), outcome="y", time="period", start=self.studied.start.label, seasonal=seasonal,
            std_error=_ERROR if frame[_ERROR].notna().all() else None, controls=names if chosen else (),
            confidence=self.confidence,
        )  # fmt: skip
        return self._told(fit, fit.frame[fit.frame["at"] == "average effect"], frame, chosen=chosen)

    def _counterfactual(self, chosen: bool) -> Parts:
        from cxlib.analysis import effects

        frame, names, seasonal = self._line(whole=True)
        if not names:
            raise Undefined("nothing is known of what the change cannot have touched")
        fit = effects.fit_counterfactual(
            frame, outcome="y", controls=names, start=self.studied.start.label, seasonal=seasonal,
            confidence=self.confidence,
        )  # fmt: skip
        return self._told(fit, fit.frame.head(1), frame, chosen=chosen, donors=len(names))

    def _told(self, fit: Any, head: pd.DataFrame, frame: pd.DataFrame, *, chosen: bool, donors: int = 0) -> Parts:
        """Return the effect on a series, and for the design that leads its path, checks and placebos.

        Controls taken for the outcome are placebos, and outcomes that the change cannot touch.
        """
        head = _counted(head, frame)
        if not chosen or not fine(head):
            return [head]
        space = fit.placebos[fit.placebos["at"] == "in space"]
        self.checks = {
            "placebos": fit.placebos, "before": self._before(frame.index), "donors": donors or None,
            "negative_control": results.conform(space.assign(metric=space["level"])) if len(space) else None,
        }  # fmt: skip
        return [head, _path(fit.path), role(fit.checks, CHECK, list(fit.checks["at"])), *_placebo(fit.placebos)]

    def _synthetic(self, chosen: bool) -> Parts:
        fit, used = self._mixed(self.studied)
        head = _counted(fit.frame.head(1), used)
        if not chosen or not fine(head):
            return [head]
        self.checks = {
            "placebos": fit.placebos, "before": self._before(used["period"]),
            "donors": used.loc[~used["treated"], "group"].nunique(),
            "negative_control": self._untouchable(lambda other: self._mixed(other)[0].frame.head(1)),
        }  # fmt: skip
        return [head, _path(fit.path), *_placebo(fit.placebos)]

    def _mixed(self, studied: Studied) -> tuple[Any, pd.DataFrame]:
        """Return the touched beside a mixture of the untouched, of groups that are known in every period."""
        from cxlib.analysis import effects

        rows = studied.by_group
        rows = rows[~rows["group"].isin(set(studied.starts) - set(studied.followed))]
        whole = rows.groupby("group")["period"].transform("size") == rows["period"].nunique()
        rows = rows[whole].assign(treated=rows["group"].isin(set(studied.followed)))
        if not rows["treated"].any() or rows["treated"].all():
            raise Undefined("no group was known in every period both of those touched and of the others")
        fit = effects.fit_synthetic_control(
            rows, outcome="y", unit="group", time="period", treated="treated", start=studied.start.label,
            confidence=self.confidence,
        )  # fmt: skip
        return fit, rows

    def _naive(self, chosen: bool) -> Parts:
        """Compare after with before, of those touched, as a page without a design would."""
        from cxlib.analysis import effects

        del chosen
        told: dict[str, Any] = {"outcome": "y", "time": "period", "confidence": self.confidence}
        try:
            rows = self.studied.touched.dropna(subset="since")
            found = effects.before_after(rows, first_treated="since", cluster=bring.CUSTOMER, **told)
        except Undefined:
            line, first = self.studied.series, self.studied.start
            since = first.previous(REACH[first.kind][0])
            line = line[[Period.parse(label) >= since for label in line["period"]]]
            found = _counted(effects.before_after(line, start=first.label, **told), line)
        return [found[found["comparison"] == "difference"]]

    def _before(self, labels: Any) -> int:
        """Return how many periods before the start are among those known."""
        return sum(Period.parse(label) < self.studied.start for label in set(labels))


def _mapped(labels: pd.Series[Any], place: dict[str, int]) -> Any:
    """Return the place of each label, of which there are few."""
    codes, found = pd.factorize(labels)
    return np.array([place[label] for label in found], dtype=int)[codes]


def reading(studied: Studied) -> pd.DataFrame:
    """Return what a reader must know of how the change was read, a row each."""
    notes = studied.notes()
    if not notes:
        return results.empty()
    return results.frame(segment=CHECK, at="how it was read", comparison="test", estimate=1.0, note=notes)


def fine(rows: pd.DataFrame) -> bool:
    """Tell whether the first row, which holds the effect, could be estimated."""
    return len(rows) > 0 and rows["status"].iloc[0] == results.OK


def _counted(rows: pd.DataFrame, line: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a series with the rows behind its points for n, not the points."""
    return results.conform(rows.assign(n=rows["n"].where(rows["n"].isna(), float(line["n"].sum()))))


def role(rows: pd.DataFrame, name: str, at: Any = None) -> pd.DataFrame:
    """Return rows in a role of the page; `at` says which of it they are."""
    given = {} if at is None else {"at": at}
    return results.conform(rows.assign(segment=name, **given))


def nothing(why: str) -> pd.DataFrame:
    """Return the row of an effect that no design can tell."""
    return results.frame(segment=EFFECT, comparison="difference", status=results.UNDEFINED, note=why)


def designs(choice: Any, lead: str, found: dict[str, Parts]) -> pd.DataFrame:
    """Return the designs: `at` which, the note whether it was chosen, shown or not, and why; the one that leads first.

    Where none can be estimated the first by the rules stays the chosen one.
    """
    from cxlib.analysis.effects.choice import NOT_APPLICABLE, SHOWN, TITLES

    frame, notes = choice.frame, []
    for name, at, why in zip(frame["level"], frame["at"], frame["note"], strict=True):
        failed = name in found and not fine(found[name][0])
        told = f"{why}; but it could not be estimated: {found[name][0]['note'].iloc[0]}" if failed else why
        if not lead:
            notes.append(f"{at}: {told}")
        elif failed:
            notes.append(f"{NOT_APPLICABLE}: {told}")
        elif name == lead and name != choice.design:
            notes.append(
                f"{CHOSEN}: {why}; {TITLES[choice.design]} came first by the rules, but could not be estimated"
            )
        else:
            notes.append(f"{CHOSEN if name == lead else SHOWN if at == CHOSEN else at}: {told}")
    out = results.conform(frame.assign(segment=DESIGN, at=frame["level"], note=notes))
    order = (~out["note"].str.startswith(CHOSEN)).sort_values(kind="stable").index
    return results.conform(out.loc[order])


def _path(path: pd.DataFrame) -> pd.DataFrame:
    """Return what was, and what would have been, by period."""
    kept = path[path["comparison"] == "level"]
    return role(kept, PATH, [f"{at} {period}" for at, period in zip(kept["at"], kept["period"], strict=True)])


def _placebo(rows: pd.DataFrame) -> Parts:
    """Return effects where there can be none, and what they say together."""
    tests = rows["comparison"] == "test"
    named = rows.assign(at=[f"{at}: {level}" for at, level in zip(rows["at"], rows["level"], strict=True)])
    return [
        role(named[~tests], PLACEBO),
        role(rows[tests], CHECK, [f"placebos {at}" for at in rows.loc[tests, "at"]]),
    ]
