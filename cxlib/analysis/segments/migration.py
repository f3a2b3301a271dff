"""Who moves between segments: transition shares with intervals, and whether the moves stay the same over time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cxlib import results
from cxlib.analysis import doors, hiding
from cxlib.errors import UsageError
from cxlib.measure.intervals import check_confidence
from cxlib.measure.rows import Numbers

NEW, GONE = "new", "gone"
_METHOD = "share, Dirichlet-multinomial interval"


def migration(
    before: pd.Series | pd.DataFrame,
    after: pd.Series | pd.DataFrame,
    *,
    segment: str = "segment",
    confidence: float = 0.95,
    min_n: int = 1,
) -> pd.DataFrame:
    """Return where the customers of each segment went.

    Parameters
    ----------
    before, after
        The segment of each customer, by customer: a Series, or a frame of one column. A customer who is missing (or
        has no segment) in one of them is `new` or `gone`.
    segment
        Name of the dimension, for the rows.
    confidence
        Of the intervals.
    min_n
        Origins of fewer customers are suppressed, all their targets, with enough others that they cannot be worked out.

    Returns
    -------
    pandas.DataFrame
        Result rows, metric `transition`, `comparison = "share"`, one for each origin (`level`) and target (`against`),
        also where nobody moved; the shares of an origin add up to 1. n counts the origin's customers. Segments lose to
        the target `gone`; those of the origin `new` can only arrive. The interval is that of the target's share under
        a Dirichlet prior of 1/K for each of K targets (Berger, Bernardo and Sun 2015, Bayesian Analysis 10:189): the
        equal-tailed limits of Beta(x + 1/K, n - x + 1 - 1/K), at the ends as Brown, Cai and DasGupta (2001) mend them:
        where none went the upper limit is 1 - (a/2)^(1/n), where none or one did the lower is 0, and so from above.

    Raises
    ------
    UsageError
        For a customer who is there twice, a frame of several columns, a segment that is called `new` or `gone`, and ids
        of two types of which none is in both.
    """
    check_confidence(confidence)
    one, other = _levels(before, "before"), _levels(after, "after")
    _check_ids(one, other, ("before", "after"))
    counts = _counts(one, other)
    if not len(one) and not len(other):
        return results.frame(
            metric="transition", segment=segment, comparison="share", status=results.UNDEFINED,
            note="no customer has a segment",
        )  # fmt: skip
    moved = counts.rename_axis("level").reset_index().melt("level", var_name="against", value_name="moved")
    moved = moved.iloc[np.argsort(moved["level"].map({name: place for place, name in enumerate(counts.index)}),
                                  kind="stable")]  # fmt: skip
    moved = moved[~((moved["level"] == NEW) & (moved["against"] == GONE))]
    x, n = moved["moved"].to_numpy(dtype=float), moved.groupby("level")["moved"].transform("sum").to_numpy(dtype=float)
    targets = moved.groupby("level")["moved"].transform("size").to_numpy(dtype=float)
    some = n > 0
    low, high = limits(x, np.where(some, n, 1.0), targets, confidence)
    share = x / np.where(some, n, 1.0)
    error = np.sqrt(share * (1 - share) / np.where(some, n, 1.0))
    found = results.frame(
        metric="transition", segment=segment, level=moved["level"].to_numpy(), against=moved["against"].to_numpy(),
        comparison="share", method=_METHOD, estimate=share, std_error=error,
        conf_low=low, conf_high=high, n=n, n_eff=n, status=np.where(some, results.OK, results.UNDEFINED),
        note=np.where(some, "", "nobody was in this segment"),
    )  # fmt: skip
    return hiding.hide(found, counts.sum(axis=1).astype(float).to_dict(), min_n)


def limits(x: Numbers, n: Numbers, targets: Numbers, confidence: float) -> tuple[Numbers, Numbers]:
    """Return the limits of shares x / n of one of so many targets; see `migration`.

    Parameters
    ----------
    x, n, targets
        Customers who went there, all of the origin (above 0), and targets that there are; of one shape.
    confidence
        Of the interval.
    """
    prior, tail = 1 / np.maximum(targets, 2), (1 - confidence) / 2
    a, b = x + prior, n - x + 1 - prior
    end = 1 - tail ** (1 / n)
    low = np.where(x <= 1, 0.0, stats.beta.ppf(tail, a, b))
    high = np.where(x >= n - 1, 1.0, stats.beta.isf(tail, a, b))
    low, high = np.where(x == n, 1 - end, low), np.where((x == 0) & (n > 1), end, high)
    return np.where(targets == 1, 1.0, low), high


def _levels(given: pd.Series | pd.DataFrame, name: str) -> pd.Series:
    """Return the segments that there are, as text, by customer."""
    if not isinstance(given, pd.Series):
        doors.frame(given, name)
        if given.shape[1] != 1:
            raise UsageError(f"{name} has {given.shape[1]} columns; one names the segment")
        given = given.iloc[:, 0]
    known = given.dropna().astype(str)
    if known.index.has_duplicates:
        twice = int(known.index.duplicated().sum())
        raise UsageError(f"{name} has {twice} rows of customers who are there already", hint="Give one row a customer.")
    taken = sorted({NEW, GONE} & set(known.unique()))
    if taken:
        raise UsageError(
            f"{name} has a segment called {' and '.join(taken)}, which means who came and who left here",
            hint="Rename it, as in `labels.replace({'new': 'newcomers'})`.",
        )
    return known


def _check_ids(one: pd.Series, other: pd.Series, names: tuple[str, str]) -> None:
    """Raise `UsageError` where nobody is in both because ids are numbers in one and texts in the other."""
    kinds = [_kind(known.index) for known in (one, other)]
    if len(one) and len(other) and kinds[0] != kinds[1] and one.index.intersection(other.index).empty:
        raise UsageError(
            f"no customer is in both {names[0]} and {names[1]}: the ids of one are {kinds[0]}, of the other {kinds[1]}",
            hint="Give both the same type, as in `labels.index.astype(str)`.",
        )


def _kind(ids: pd.Index) -> str:
    """Return what ids are, in a word."""
    found = pd.api.types.infer_dtype(ids)
    if found in ("integer", "floating", "mixed-integer-float", "decimal"):
        return "numbers"
    return "texts" if found == "string" else found


def _counts(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Return how many went from each segment (rows, `new` last) to each (columns, `gone` last)."""
    levels, moved = _moved(before, after)
    rows = [*levels, *([NEW] if moved[-1].any() else [])]
    return pd.DataFrame(moved[: len(rows)], index=rows, columns=[*levels, GONE])


def _moved(before: pd.Series, after: pd.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Return all segments, and how many went from each (a row) to each (a column); those new and those gone last."""
    levels = sorted({*before.unique(), *after.unique()})
    codes = [pd.Categorical(one, categories=levels).codes.astype(np.int64) for one in (before, after)]
    there, last = after.index.get_indexer(before.index), len(levels)
    new = np.ones(len(after), dtype=bool)
    new[there[there >= 0]] = False
    origin = np.concatenate([codes[0], np.full(int(new.sum()), last)])
    target = np.concatenate([np.append(codes[1], last)[there], codes[1][new]])
    return levels, np.bincount(origin * (last + 1) + target, minlength=(last + 1) ** 2).reshape(last + 1, last + 1)


def stationarity(
    before: pd.Series | pd.DataFrame,
    after: pd.Series | pd.DataFrame,
    *later: pd.Series | pd.DataFrame,
    segment: str = "segment",
    min_n: int = 1,
) -> pd.DataFrame:
    """Test whether segments keep their sizes, and whether the moves between them stay the same.

    Parameters
    ----------
    before, after, later
        The segment of each customer at two or more times, in order; only customers who have one at both ends of a step
        are looked at.
    segment
        Name of the dimension, for the rows.
    min_n
        Tests over fewer customers are suppressed; of origins enough others, too, that they cannot be worked out.

    Returns
    -------
    pandas.DataFrame
        Result rows, `comparison = "test"`; n counts customers, of the moves customer-steps.

        - `marginal_homogeneity`, from first to last: do the segments keep their sizes among those who stayed? Stuart
          (1955) and Maxwell (1970), over the two-by-two case of McNemar.
        - `symmetry`, from first to last: do as many move from A to B as from B to A? Bowker (1948).
        - `stationary_transitions`, with three times or more: are the shares of moves the same in each step? Anderson
          and Goodman (1957), likelihood's chi-square by Pearson; one row over all origins and one for each (`level`).

        `undefined` where nobody moved or a test has no degree of freedom; a note warns where expected counts are small.
    """
    waves = [_levels(wave, f"time {place + 1}") for place, wave in enumerate((before, after, *later))]
    for place, (one, other) in enumerate(pairwise(waves), start=1):
        _check_ids(one, other, (f"time {place}", f"time {place + 1}"))
    steps = [_stayed(one, other) for one, other in pairwise(waves)]
    rows = _margins(_stayed(waves[0], waves[-1]))
    found = results.concat([*rows, *(_moves(steps, min_n) if len(steps) > 1 else [])])
    return results.suppress(results.label(found, segment=segment), min_n)


def _stayed(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    """Return the square table of moves of those who have a segment at both times."""
    levels, moved = _moved(before, after)
    stayed = pd.DataFrame(moved[:-1, :-1], index=levels, columns=levels)
    here = (stayed.sum(axis=0) + stayed.sum(axis=1)) > 0
    return stayed.loc[here, here]


def _margins(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the tests of one square table; levels that nobody moved to or from tell nothing and are left out."""
    counts, n = table.to_numpy(dtype=float), float(table.to_numpy().sum())
    moved = counts - np.diag(np.diag(counts))
    counts = counts[np.ix_(moved.sum(axis=0) + moved.sum(axis=1) > 0, moved.sum(axis=0) + moved.sum(axis=1) > 0)]
    pairs = (counts + counts.T)[np.triu_indices(len(counts), 1)]
    gaps = (counts - counts.T)[np.triu_indices(len(counts), 1)]
    kept = pairs > 0
    bowker = float((gaps[kept] ** 2 / pairs[kept]).sum())
    difference = (counts.sum(axis=1) - counts.sum(axis=0))[:-1]
    spread = (np.diag(counts.sum(axis=0) + counts.sum(axis=1)) - counts - counts.T)[:-1, :-1]
    # The pseudo-inverse, and its rank as freedom: groups of segments that do not trade with each other.
    freedom = int(np.linalg.matrix_rank(spread)) if len(spread) else 0
    stuart = float(difference @ np.linalg.pinv(spread) @ difference) if freedom else 0.0
    small = "few moved: the p-value is rough" if kept.any() and pairs[kept].min() < 10 else ""
    found = [
        ("marginal_homogeneity", stuart, freedom, "Stuart-Maxwell"),
        ("symmetry", bowker, int(kept.sum()), "McNemar-Bowker"),
    ]
    return [_test(metric, "all", value, df, n, name, small, "nobody moved") for metric, value, df, name in found]


def _moves(steps: list[pd.DataFrame], min_n: int) -> list[pd.DataFrame]:
    """Return the tests of equal moves in each step, of each origin and of all."""
    levels = sorted(set().union(*(step.index for step in steps)))
    cube = np.stack([step.reindex(index=levels, columns=levels, fill_value=0).to_numpy(dtype=float) for step in steps])
    rows, total, freedom, rough = [], 0.0, 0, False
    for place, level in enumerate(levels):
        table = cube[:, place, :]
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        df = (table.shape[0] - 1) * (table.shape[1] - 1)
        value, small = 0.0, False
        if df > 0:
            value, _, _, expected = stats.chi2_contingency(table, correction=False)
            small = bool((expected < 5).mean() > 0.2 or (expected < 1).any())
        rows.append(_step_test(level, float(value), df, float(cube[:, place, :].sum()), small))
        total, freedom, rough = total + float(value), freedom + df, rough or small
    sizes = dict(zip(levels, cube.sum(axis=(0, 2)).tolist(), strict=True))
    own = [hiding.hide(row, sizes, min_n) for row in rows]
    return [_step_test("all", total, freedom, float(cube.sum()), rough), *own]


def _step_test(level: str, value: float, freedom: int, n: float, small: bool) -> pd.DataFrame:
    """Return the row of one test of equal moves."""
    note = (
        "expected counts below 5 in more than a fifth of the cells, or below 1: the p-value is rough" if small else ""
    )
    why = "fewer than two steps, or fewer than two targets, have customers"
    return _test("stationary_transitions", level, value, freedom, n, "Anderson-Goodman", note, why)


def _test(
    metric: str, level: str, value: float, freedom: int, n: float, name: str, note: str, why_not: str
) -> pd.DataFrame:
    """Return one row of a chi-square test, undefined without a degree of freedom."""
    method = f"{name}, chi-square {value:.4g} on {freedom} df" if freedom else name
    same = {"metric": metric, "level": level, "comparison": "test", "method": method}
    if freedom == 0:
        return results.frame(**same, status=results.UNDEFINED, note=why_not)
    return results.frame(**same, p_value=stats.chi2.sf(value, freedom), n=n, note=note)
