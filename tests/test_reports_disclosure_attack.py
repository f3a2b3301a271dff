"""The attacker: what is determined, within which bounds the rest lies, and over which pages it adds up."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import LATE, METRICS, REGION, SHARE, look, masked, only, page, recovered, sums, whole
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cxlib import results
from cxlib.params.models import Touchpoint
from cxlib.reports import disclosure
from cxlib.reports.disclosure import attack, audit, families
from cxlib.reports.disclosure.attack import Scores, Sum

CELLS = {"a": (40, 20), "b": (30, 9), "c": (20, 8), "d": (4, 2)}


def test_a_published_example() -> None:
    """Fischetti and Salazar (2000, JASA 95, figure 1): investments by activity and region, four cells hidden.

    Rows 49 and 61 with 19 and 32 shown, columns 45 and 44 with 20 and 10 shown: the cell of 22 lies within 5 to 30.
    """
    names = ["IIA", "IIC", "IIIA", "IIIC"]
    rows = [
        Sum({"IIA": 1.0, "IIC": 1.0}, 30.0), Sum({"IIIA": 1.0, "IIIC": 1.0}, 29.0),
        Sum({"IIA": 1.0, "IIIA": 1.0}, 25.0), Sum({"IIC": 1.0, "IIIC": 1.0}, 34.0),
    ]  # fmt: skip
    found = attack.intervals(rows)
    assert sorted(found) == names
    assert found["IIC"] == pytest.approx((5, 30))
    assert found["IIA"] == pytest.approx((0, 25))
    assert attack.determined(rows) == set()
    assert attack.determined([*rows, Sum({"IIA": 1.0, "IIIC": 1.0}, 20.0)]) == set(names)


@given(st.integers(1, 6), st.integers(1, 6), st.data())
@settings(max_examples=40, deadline=None, phases=(Phase.generate,))
def test_bounds_of_a_pool_are_those_of_every_table_there_is(n: int, m: int, data: st.DataObject) -> None:
    """Against all whole numbers of answers and of happy ones that two hidden cells can have; the linear bounds are no
    wider than real numbers make them, and every table lies within.
    """
    happy = data.draw(st.integers(0, n + m))
    scores = {name: Scores(count, 0.0, 1.0) for name, count in (("ya", "na"), ("yb", "nb"))}
    found = attack.intervals([Sum({"na": 1.0, "nb": 1.0}, n + m), Sum({"ya": 1.0, "yb": 1.0}, happy)], scores)
    tables = [(a, y) for a, y in product(range(n + m + 1), range(happy + 1)) if y <= a and 0 <= happy - y <= n + m - a]
    assert found["na"] == pytest.approx((min(a for a, _ in tables), max(a for a, _ in tables)))
    assert found["ya"] == pytest.approx((min(y for _, y in tables), max(y for _, y in tables)))


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)), st.floats(0.05, 0.95), st.sampled_from([(-1.0, 1.0), (1.0, 5.0)])
)
@settings(max_examples=25, deadline=None, phases=(Phase.generate,))
def test_the_formula_for_a_pool_is_the_programmes(sizes: tuple[int, int], at: float, ends: tuple[float, float]) -> None:
    low, high = ends
    n = float(sum(sizes))
    rows = [Sum({"na": 1.0, "nb": 1.0}, n), Sum({"ya": 1.0, "yb": 1.0}, n * (low + at * (high - low)))]
    scores = {name: Scores(count, low, high) for name, count in (("ya", "na"), ("yb", "nb"))}
    names = ["na", "nb", "ya", "yb"]
    slow = attack._programmes(names, rows, scores, attack._never)
    quick = attack._pool(names, rows, scores)
    assert all(quick[name] == pytest.approx(slow[name], abs=1e-6) for name in names)


def test_counts_that_another_metric_shows_narrow_the_answers() -> None:
    """All 12 of one hidden cell are happy; where 14 and 13 stand in the pool with it, 11 or 12 of these are."""
    rows = [Sum({"ya": 1.0, "yb": 1.0}, 25.0)]
    found = attack.intervals(rows, {"ya": Scores(12.0, 0.0, 1.0), "yb": Scores(14.0, 0.0, 1.0)})
    assert found["ya"] == pytest.approx((11, 12))


def test_pages_that_contradict_each_other_leave_what_is_determined() -> None:
    rows = [Sum({"a": 1.0, "b": 1.0}, 5.0), Sum({"a": 1.0, "b": 1.0}, 9.0), Sum({"c": 1.0, "d": 1.0}, -3.0)]
    found = attack.intervals(rows)
    assert found["a"] == (-np.inf, np.inf)
    assert attack.intervals([*rows, Sum({"a": 1.0}, 1.0)])["b"] == (0.0, 0.0)


class TestTeeth:
    """Bad choices, each of which an attacker who reads enough sees through."""

    def test_one_hidden_beside_its_total(self) -> None:
        found = recovered(look(page({"region": only(sums(CELLS), "d"), "all": whole(CELLS)})))
        assert found == {("rows", "region", "d"), ("answers", "region", "d")}
        assert not recovered(look(page({"region": masked(CELLS, [REGION]), "all": whole(CELLS)})))

    def test_two_hidden_of_too_few(self) -> None:
        cells = {"a": (40, 20), "b": (4, 2), "c": (4, 2)}
        assert ("rows", "region", "b") in recovered(
            look(page({"region": only(sums(cells), "bc"), "all": whole(cells)}))
        )

    def test_two_hidden_of_which_nobody_is_happy(self) -> None:
        cells = {"a": (40, 20), "b": (30, 0), "c": (8, 0)}
        frames = {"region": only(sums(cells), "bc"), "all": whole(cells)}
        assert recovered(look(page(frames))) == {("answers", "region", "b"), ("answers", "region", "c")}
        assert not recovered(look(page(frames, LATE)))  # that nothing was late is no secret

    def test_another_page_that_hides_others(self) -> None:
        one, other = only(sums(CELLS), "cd"), only(sums(CELLS), "bd")
        found = look(page({"region": one, "all": whole(CELLS), "region/2": other}))
        assert ("rows", "region", "d") in recovered(found)
        assert found.repaired()
        assert found.hide

    def test_last_months_page_that_hides_others(self) -> None:
        before = page({"region": only(sums(CELLS), "bd"), "all": whole(CELLS)}, standing=True)
        now = page({"region": only(sums(CELLS), "cd")})
        found = look(before, now)
        assert ("rows", "region", "d") in recovered(found)
        assert not recovered(look(before, page({"region": only(sums(CELLS), "bd")})))

    def test_what_leaked_before_is_not_this_runs(self) -> None:
        before = page({"region": only(sums(CELLS), "d"), "all": whole(CELLS)}, standing=True)
        assert not recovered(look(before, page({"region": masked(CELLS, [REGION])})))

    def test_months_and_what_stands_for_several(self) -> None:
        months = ("2026-08", "2026-09", "2026-10")
        sizes = (30, 6, 40)
        each = pd.concat([whole({"x": (n, n // 2)}, month) for n, month in zip(sizes, months, strict=True)])
        each.loc[each["period"] == "2026-09", each.columns[2:]] = np.nan
        rolled = whole({"x": (76, 38)}).assign(span=3)
        found = look(page({"all": each.reset_index(drop=True), "all/3": rolled}))
        assert {(leak.number.period, leak.number.what) for leak in found.leaks()} == {
            ("2026-09", "rows"), ("2026-09", "answers"),
        }  # fmt: skip
        quarter = page({"all": each.reset_index(drop=True)}), page({"all": whole({"x": (76, 38)}, "2026-Q3")})
        assert not recovered(look(*quarter))  # July, August and September are that quarter

    def test_a_quarter_less_two_months(self) -> None:
        months = ("2026-07", "2026-08", "2026-09")
        each = pd.concat(
            [whole({"x": (n, n // 2)}, m) for n, m in zip((30, 6, 40), months, strict=True)], ignore_index=True
        )
        each.loc[1, each.columns[2:]] = np.nan
        found = look(page({"all": each}), page({"all": whole({"x": (76, 38)}, "2026-Q3")}))
        assert recovered(found) == {("rows", "all", "all"), ("answers", "all", "all")}

    def test_touchpoints_of_a_group(self) -> None:
        told = {"title": "T", "stage": "purchase", "stream": "engage"}
        known = {name: Touchpoint(id=name, group="before", **told) for name in ("a", "b")}
        known |= {name: Touchpoint(id=name, group="after", **told) for name in ("c", "d")}
        groups = {"before": (70, 29), "after": (24, 10)}
        pages = [page({"touchpoint": only(sums(CELLS), "bd"), "touchpoint_group": sums(groups)})]
        found = audit.Audit(families.gathered(pages, METRICS, known), dict.fromkeys(METRICS, 10))
        assert {leak.number.level for leak in found.leaks()} == {"b", "d"}

    def test_result_frames_tell_levels_and_their_counts(self) -> None:
        """What explains a change shows each level's answers, also of one that another page hides."""
        values = results.frame(
            metric="happy", period="2026-10", segment="region", level=["a", "b", "c"], estimate=[0.5, 0.3, 0.4],
            n=[40.0, 30.0, 20.0],
        )  # fmt: skip
        shown = page({"region": masked(CELLS, [REGION]), "all": whole(CELLS)})
        pages = [families.Page(shown.sums, [("results.parquet", values)], False)]
        found = audit.Audit(families.gathered(pages, METRICS, {}), dict.fromkeys(METRICS, 10))
        assert ("rows", "region", "d") in recovered(found)
        assert {cell.level for cell in audit.shown_elsewhere(found.published)} == {"c"}


@given(st.lists(st.dictionaries(st.sampled_from("abcde"), st.integers(1, 40), min_size=2), min_size=2, max_size=4))
@settings(max_examples=25, deadline=None, phases=(Phase.generate,))
def test_months_beside_each_other_tell_no_more(months: list[dict[str, int]]) -> None:
    """Each report shows its month and those before; what was hidden stays hidden, so all together tell no more."""
    labels = [f"2026-{number + 1:02}" for number in range(len(months))]
    frames = {}
    for number, (label, sizes) in enumerate(zip(labels, months, strict=True)):
        cells = {level: (n, (n + number) // 2) for level, n in sizes.items()}
        frames[f"region/{label}"] = masked(cells, [REGION], SHARE, period=label)
        frames[f"all/{label}"] = disclosure.mask(whole(cells, label), 10, metric=SHARE)
    found = look(page(frames))
    leaks = [leak for leak in found.leaks() if leak.number.what == "rows"]
    assert not leaks
    assert found.repaired()


def test_the_only_hidden_row_beside_its_total() -> None:
    about = {"metric": "groups", "segment": "group", "period": "2026-10"}
    frame = results.frame(level=["all", "x", "y", "z"], estimate=1.0, n=[100.0, 60.0, 31.0, 9.0], **about)
    hidden = results.conform(frame.assign(status=frame["status"].mask(frame["level"] == "z", "suppressed")))
    assert audit.alone(frame) == []
    assert audit.alone(hidden) == ["groups 2026-10 by group = z is the only hidden one beside its total"]
