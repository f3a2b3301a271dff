"""What makes experiences bad, as measured indicators: how often each cause is met, and whether that has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import ibis
import numpy as np
import pandas as pd

from cxlib import results
from cxlib.analysis import doors
from cxlib.analysis.journeys.named_causes import CAUSES, Cause, Limits, missing, told
from cxlib.analysis.journeys.occasions import listed, occasions
from cxlib.measure import intervals
from cxlib.measure.differences import share_difference
from cxlib.measure.estimates import share
from cxlib.measure.moments import Moments, Numbers
from cxlib.measure.overlap import Overlap
from cxlib.measure.quantiles import Counts, counted_difference, counted_quantile
from cxlib.measure.verdicts import adjust

if TYPE_CHECKING:
    import ibis.expr.types as ir

Run = Callable[[Any], pd.DataFrame]
Span = tuple[object, object]
BAD: tuple[str, ...] = tuple(name for name, cause in CAUSES.items() if not cause.good)
NOTHING = "nothing of the kind is recorded in this period"
FEW = "too few customers met it, or were spared it"


class _Quantile(NamedTuple):
    """A quantile told beside a share: of which column, of which rows, which parts, divided by what."""

    cause: str
    column: str
    quantiles: tuple[float, ...]
    kind: str = ""
    scale: float = 1.0


QUANTILES = (
    _Quantile("waiting", "wait_seconds", (0.9,), "contact"),
    _Quantile("slow_page", "load_ms", (0.75, 0.95), scale=1000.0),
)


def causes(
    tables: Mapping[str, ir.Table],
    span: Span,
    before: Span | None = None,
    *,
    run: Run | None = None,
    which: Sequence[str] = BAD,
    limits: Limits | None = None,
    labels: tuple[str, str] = ("now", "before"),
    alpha: float = 0.05,
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Measure how often customers met each cause of bad experiences, and how that changed.

    Parameters
    ----------
    tables
        The contract's tables that the workspace has, as Ibis tables.
    span, before
        First moment and end (naive UTC) of the time asked about, and of the time it is compared with.
    run
        Brings a small expression back; default the expression's own engine.
    which
        Ids of `named_causes.CAUSES`.
    limits
        From where on something is too much.
    labels
        What the two times are called.
    alpha
        Of the family of all changes (Holm 1979).
    confidence
        Of the intervals.
    min_n
        What fewer customers met, or were spared, is not told; that nobody was is.

    Returns
    -------
    pandas.DataFrame
        A result frame, `level` the cause as teams name it, `at` the definition: rows `share` (of occasions; clustered
        by customer: Wilson with the effective n of Korn and Graubard 1998) and `quantile` (seconds; exact order
        statistics), each a level now and before and a difference (Newcombe 1998; MOVER); `segment` is `cause`, `method`
        ends in what a share is of, n counts occasions.
    """
    how, run = limits or Limits(), run or (lambda plan: plan.to_pandas())
    spans = [span] + ([before] if before is not None else [])
    ends = [tuple(doors.moment("span", end).to_pydatetime() for end in one) for one in spans]
    intervals.check_confidence(confidence)
    known = [name for name in which if not missing(tables, name)]
    sums = _sums(tables, known, ends, how, run) if known else pd.DataFrame({"cause": []})
    counts = _counts(tables, known, ends, run)
    parts = []
    for name in which:
        cause = CAUSES[name]
        why, mine = missing(tables, name), sums[sums["cause"] == name]
        if why or mine.empty:
            parts.append(_undefined(cause, how, why or NOTHING))
            continue
        shares = _shares(_Met.of(mine.iloc[0], len(ends)), cause, how, confidence, min_n)
        parts.append(shares)
        if (shares["status"] == results.OK).any():
            parts += [_of_quantiles(one, cause, counts, shares, confidence) for one in QUANTILES if one.cause == name]
    return _judged(_labelled(results.concat(parts), labels), alpha)


class _Met(NamedTuple):
    """Sums of the occasions of one cause in each time, the customers who met it, and who lies in both times."""

    moments: list[Moments]
    hit: list[float]
    spared: list[float]
    overlap: Overlap | None

    @classmethod
    def of(cls, row: pd.Series[Any], times: int) -> _Met:
        """Take a row of `_sums`."""
        found = {name: np.atleast_1d(np.asarray(row[name], dtype=float)) for name in row.index if name != "cause"}
        moments = [
            Moments(found[f"n{t}"], found[f"g{t}"], {"y": found[f"y{t}"], "x": found[f"n{t}"]},
                    {("x", "x"): found[f"nn{t}"], ("x", "y"): found[f"ny{t}"], ("y", "y"): found[f"yy{t}"]},
                    found[f"y{t}"])
            for t in range(times)
        ]  # fmt: skip
        both = Overlap(found["both"], *(found[f"c_{pair}"] for pair in ("yy", "yn", "ny", "nn"))) if times > 1 else None
        hit, spared = ([float(found[f"{name}{t}"][0]) for t in range(times)] for name in "km")
        return cls(moments, hit, spared, both)

    def told(self, place: int, min_n: int) -> bool:
        """Say whether a share may be told: nobody, or enough customers, met the cause, and were spared it."""
        few = [0 < count < min_n for count in (self.hit[place], self.spared[place])]
        return bool(self.moments[place].clusters[0] >= min_n) and not any(few)


def _sums(tables: Mapping[str, ir.Table], known: Sequence[str], ends: Sequence[Any], how: Limits, run: Run) -> Any:
    """Return one row a cause: per time occasions, hits, customers, customers hit and products of a customer's sums."""
    wide = occasions(tables, known, start=min(one[0] for one in ends), until=max(one[1] for one in ends), limits=how)
    rows = listed(wide, known)
    each = rows.cause.isin([name for name in known if CAUSES[name].each])
    columns: dict[str, Any] = {}
    for t, (first, last) in enumerate(ends):
        here = (rows.at >= ibis.literal(first, type="timestamp")) & (rows.at < ibis.literal(last, type="timestamp"))
        n, y = here.cast("int64").sum(), (here & (rows.hit > 0)).cast("int64").sum()
        columns |= {f"n{t}": ibis.ifelse(each.max(), ibis.least(n, 1), n),
                    f"y{t}": ibis.ifelse(each.max(), ibis.least(y, 1), y)}  # fmt: skip
    people = rows.group_by("cause", "customer_id").aggregate(**columns)
    people = people.mutate(**{name: people[name].cast("float64") for name in columns})
    totals: dict[str, Any] = {}
    for t in range(len(ends)):
        n, y = people[f"n{t}"], people[f"y{t}"]
        totals |= {f"n{t}": n.sum(), f"y{t}": y.sum(), f"g{t}": (n > 0).cast("float64").sum()}
        totals |= {f"k{t}": (y > 0).cast("float64").sum(), f"m{t}": (n > y).cast("float64").sum()}
        totals |= {f"nn{t}": (n * n).sum(), f"ny{t}": (n * y).sum(), f"yy{t}": (y * y).sum()}
    if len(ends) > 1:
        totals["both"] = ((people.n0 > 0) & (people.n1 > 0)).cast("float64").sum()
        totals |= {f"c_{a}{b}": (people[f"{a}0"] * people[f"{b}1"]).sum() for a in "yn" for b in "yn"}
    return run(people.group_by("cause").aggregate(**totals).order_by("cause"))


def _counts(tables: Mapping[str, ir.Table], known: Sequence[str], ends: Sequence[Any], run: Run) -> pd.DataFrame:
    """Return how often each value of a column occurs in each time: `column`, `time`, `value`, `often`."""
    parts = []
    for one in QUANTILES:
        if one.cause not in known:
            continue
        rows = tables["interactions"]
        rows = rows.filter(rows[one.column] >= 0, *([rows.kind == one.kind] if one.kind else []))
        for t, (first, last) in enumerate(ends):
            here = rows.filter(rows.started_at >= ibis.literal(first, type="timestamp"),
                               rows.started_at < ibis.literal(last, type="timestamp"))  # fmt: skip
            found = here.group_by(value=here[one.column].cast("int64")).aggregate(often=here.count())
            parts.append(found.mutate(column=ibis.literal(one.column), time=ibis.literal(t, "int64")))
    if not parts:
        return pd.DataFrame({"value": [], "often": [], "column": [], "time": []})
    return run(ibis.union(*parts) if len(parts) > 1 else parts[0])


def _shares(met: _Met, cause: Cause, how: Limits, confidence: float, min_n: int) -> pd.DataFrame:
    """Return the share of occasions on which a cause was met in each time, and the difference."""
    parts, sure = [], [met.told(t, min_n) for t in range(len(met.moments))]
    sizes = [np.minimum(one.effective_n, one.rows) for one in met.moments]
    for t, (one, size) in enumerate(zip(met.moments, sizes, strict=True)):
        found = share(one.sums["y"], one.rows, confidence=confidence, n_eff=size)
        parts.append(found.assign(period=str(t)))
    if len(met.moments) > 1:
        (now, then), (own, other) = met.moments, sizes
        found = share_difference(
            now.sums["y"], now.rows, then.sums["y"], then.rows, confidence=confidence, n_eff=(own, other),
            correlation=_correlation(met),
        )  # fmt: skip
        parts.append(found.assign(period="0", against="1"))
        sure.append(all(sure))
    rows = results.concat(parts)
    hidden = np.array([not one for one in sure]) & (rows["status"] == results.OK).to_numpy()
    rows = rows.assign(
        metric="share", segment="cause", level=cause.group, at=told(cause, how),
        method=rows["method"] + f", of {cause.of}",
        status=np.where(hidden, results.SUPPRESSED, rows["status"]), note=np.where(hidden, FEW, rows["note"]),
    )  # fmt: skip
    return results.conform(rows)


def _correlation(met: _Met) -> Numbers:
    """Return how the two shares go together, for customers of both times."""
    now, then = met.moments
    if met.overlap is None:
        return np.zeros(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = met.overlap.covariance(now, then) / np.sqrt(now.variance * then.variance)
    return np.clip(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)


def _of_quantiles(
    one: _Quantile, cause: Cause, counts: pd.DataFrame, shares: pd.DataFrame, confidence: float
) -> pd.DataFrame:
    """Return quantiles of a column in each time, and their differences, in seconds; hidden as the shares are."""
    mine = counts[counts["column"] == one.column]
    sides = [mine[mine["time"] == t] for t in (0, 1)]
    cells = [Counts(np.zeros(len(s), dtype=int), s["value"], s["often"], 1) for s in sides]
    parts = []
    for q in one.quantiles:
        found = [counted_quantile(cells[0], q, confidence=confidence).assign(period="0")]
        if len(shares) > 1:
            found.append(counted_quantile(cells[1], q, confidence=confidence).assign(period="1"))
            change = counted_difference(cells[1], cells[0], q, confidence=confidence)
            found.append(change.assign(period="0", against="1"))
        rows = results.concat(found).assign(at=f"{100 * q:g} of 100 within")
        gone = (shares["status"] == results.SUPPRESSED).to_numpy() & (rows["status"] == results.OK).to_numpy()
        parts.append(rows.assign(status=np.where(gone, results.SUPPRESSED, rows["status"]),
                                 note=np.where(gone, FEW, rows["note"])))  # fmt: skip
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    whole = pd.concat(parts, ignore_index=True)
    whole[numbers] = whole[numbers] / one.scale
    return results.conform(whole.assign(metric="quantile", segment="cause", level=cause.group))


def _undefined(cause: Cause, how: Limits, why: str) -> pd.DataFrame:
    return results.frame(
        metric="share", segment="cause", level=cause.group, at=told(cause, how), period="0",
        method=f"of {cause.of}", status=results.UNDEFINED, note=why,
    )  # fmt: skip


def _labelled(rows: pd.DataFrame, labels: tuple[str, str]) -> pd.DataFrame:
    """Name the times."""
    names = dict(zip(("0", "1"), labels, strict=True))
    return rows.assign(period=rows["period"].replace(names), against=rows["against"].replace(names))


def _judged(rows: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Adjust the changes as one family, and say which moved."""
    changed = (rows["comparison"] == "difference") & rows["p_value"].notna()
    if not changed.any():
        return results.conform(rows)
    adjusted = rows["p_adjusted"].to_numpy(dtype=float, copy=True)
    adjusted[changed] = adjust(rows.loc[changed, "p_value"], "holm")
    verdict = np.where(adjusted < alpha, "moved", "not shown")
    return results.conform(rows.assign(p_adjusted=adjusted, verdict=np.where(changed, verdict, rows["verdict"])))
