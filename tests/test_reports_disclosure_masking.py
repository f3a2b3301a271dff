"""What is hidden in a table of sums: the small, the telling, and enough others, the same for the same table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import (
    CHANNEL,
    LATE,
    MEAN,
    METRICS,
    PLAN,
    REGION,
    SHARE,
    SPENT,
    look,
    masked,
    only,
    page,
    recovered,
    sums,
    whole,
)
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cxlib import params, results
from cxlib.params.models import Metric
from cxlib.reports import disclosure
from cxlib.reports.disclosure import masking, rows
from cxlib.reports.withheld import Cell

LEVELS = st.sampled_from(["North", "South", "East", "West", "Islands"])
CELLS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
TABLES = st.dictionaries(LEVELS, CELLS, min_size=1)
CROSSED = st.dictionaries(
    st.tuples(LEVELS, st.sampled_from(["Basic", "Plus", "Pro"])).map(" x ".join), CELLS, min_size=4, max_size=15
)


def gone(frame: pd.DataFrame) -> set[str]:
    return set(frame.loc[disclosure.hidden(frame), "level"])


@pytest.mark.parametrize(
    ("cells", "hides"),
    [
        ({"a": (40, 20), "b": (30, 9), "c": (20, 8)}, set()),
        ({"a": (40, 20), "b": (30, 9), "c": (4, 2)}, {"b", "c"}),  # b keeps c from being the whole less the rest
        ({"a": (40, 20), "b": (30, 9), "c": (4, 2), "d": (5, 1)}, {"b", "c", "d"}),  # nine are fewer than ten
        ({"a": (40, 20), "b": (30, 30), "c": (20, 8)}, {"b", "c"}),  # all of b are happy: so is each
        ({"a": (40, 20), "b": (30, 0), "c": (20, 0)}, {"a", "b", "c"}),  # nobody of b and c is, even together
        ({"a": (4, 2)}, {"a"}),
        ({"a": (40, 20), "b": (30, 9), "c": (0, 0)}, {"c"}),  # of nobody nothing can be learnt, nor is it shown
    ],
)
def test_by_hand(cells: dict[str, tuple[int, int]], hides: set[str]) -> None:
    assert gone(masked(cells, [REGION])) == hides


def test_what_was_done_to_customers_may_be_nothing_at_all() -> None:
    """That none of 4,000 orders was late tells of no one, and hiding it would hide the best there is to say."""
    cells = {"a": (4000, 0), "b": (30, 9), "c": (20, 20)}
    assert gone(masked(cells, [REGION], LATE)) == set()
    assert gone(masked(cells, [REGION], SHARE)) == {"a", "c"}
    assert gone(disclosure.mask(whole({"a": (50, 0)}), 10, metric=SHARE)) == {"all"}
    assert not gone(disclosure.mask(whole({"a": (50, 0)}), 10, metric=LATE))


@pytest.mark.parametrize(("largest", "hides"), [(20.0, set()), (60.0, {"a", "b"})])
def test_one_customers_money_is_not_told(largest: float, hides: set[str]) -> None:
    """Nineteen spend 1 and one 60: more than three quarters of the sum are that one's."""
    frame = sums({"a": (20, 20), "b": (30, 30), "c": (40, 40)})
    frame.loc[0, ["y", "yy"]] = [19 + largest, 19 + largest**2]
    found = disclosure.mask(frame, 10, metric=SPENT, segments=[REGION])
    assert gone(found) == hides


def test_of_events_the_same_customers_may_stand_in_every_level() -> None:
    """Three levels of nine customers each: of a segment of customers 27, of one of events perhaps but nine."""
    cells = {"a": (90, 30), "b": (9, 3), "c": (9, 3), "d": (9, 4)}
    assert gone(masked(cells, [REGION])) == {"b", "c", "d"}
    assert gone(masked(cells, [CHANNEL])) == {"a", "b", "c", "d"}


def test_every_metric_of_the_same_rows_hides_the_same_cells() -> None:
    cells = {"a": (40, 20), "b": (30, 9), "c": (4, 2)}
    other = disclosure.mask(sums(cells, each=4.0), 10, metric=MEAN, segments=[REGION])
    assert gone(other) == gone(masked(cells, [REGION])) == {"b", "c"}


def test_withheld_cells_are_hidden_and_stand_in_for_others() -> None:
    """Where last month's page hid d beside c, this one does, too, though b is smaller now."""
    cells = {"a": (40, 20), "b": (20, 9), "c": (4, 2), "d": (30, 5)}
    assert gone(masked(cells, [REGION])) == {"b", "c"}
    found = disclosure.mask(sums(cells), 10, metric=SHARE, segments=[REGION], withheld=[("2026-10", "d")])
    assert gone(found) == {"c", "d"}
    assert gone(disclosure.mask(sums(cells), 10, segments=[REGION], withheld=[("2026-09", "d")])) == {"b", "c"}


def test_a_crossed_cut_cannot_be_worked_out_from_its_margins() -> None:
    cells = {
        f"{region} x {plan}": (n, n // 2)
        for region, sizes in {"North": (50, 40, 30), "South": (60, 4, 35), "West": (45, 38, 42)}.items()
        for plan, n in zip(("Basic", "Plus", "Pro"), sizes, strict=True)
    }
    frame = masked(cells, [REGION, PLAN])
    assert gone(frame) == {"South x Plus", "South x Pro", "West x Plus", "West x Pro"}
    for which in (0, 1):
        sides = [level.split(" x ")[which] for level in gone(frame)]
        assert min(sides.count(one) for one in sides) > 1
    margins = _margins(cells)
    assert not recovered(look(page({"region x plan": frame, **margins})))
    bad = only(sums(cells), ["South x Plus"])
    assert ("rows", "plan x region", "Plus x South") in recovered(look(page({"region x plan": bad, **margins})))


@given(CROSSED)
@settings(max_examples=30, deadline=None, phases=(Phase.generate,))
def test_rows_and_columns_may_be_swapped(cells: dict[str, tuple[int, int]]) -> None:
    """A page by region and plan and one by plan and region hide the same, whatever ties there are."""
    turned = {" x ".join(level.split(" x ")[::-1]): pair for level, pair in cells.items()}
    other = gone(masked(turned, [PLAN, REGION]))
    assert {" x ".join(level.split(" x ")[::-1]) for level in other} == gone(masked(cells, [REGION, PLAN]))


def _margins(cells: dict[str, tuple[int, int]], metric: Metric = SHARE) -> dict[str, pd.DataFrame]:
    """The pages beside a crossed cut: each segment by itself, and the whole."""
    out = {"all": disclosure.mask(whole(cells), 10, metric=metric)}
    for which, name in enumerate(("region", "plan")):
        sides: dict[str, tuple[int, int]] = {}
        for level, (n, y) in cells.items():
            one = level.split(" x ")[which]
            sides[one] = (sides.get(one, (0, 0))[0] + n, sides.get(one, (0, 0))[1] + y)
        out[name] = masked(sides, [(REGION, PLAN)[which]], metric)
    return out


@given(TABLES, st.sampled_from([SHARE, MEAN, LATE]))
@settings(max_examples=80, deadline=None, phases=(Phase.generate,))
def test_no_hidden_level_can_be_worked_out(cells: dict[str, tuple[int, int]], metric: Metric) -> None:
    """The property that the whole is for; of a mean each happy answer is a 5, each other one a 1."""
    frame, total = sums(cells), whole(cells)
    if metric is MEAN:
        frame, total = (_scored(one) for one in (frame, total))
    frame = disclosure.mask(frame, 10, metric=metric, segments=[REGION])
    assert not recovered(look(page({"region": frame, "all": disclosure.mask(total, 10, metric=metric)}, metric)))
    shown = frame[~disclosure.hidden(frame)]
    assert (shown["clusters"] >= 10).all()


def _scored(frame: pd.DataFrame) -> pd.DataFrame:
    y = 5 * frame["y"] + (frame["rows"] - frame["y"])
    return frame.assign(y=y, y2=25 * frame["y"] + (frame["rows"] - frame["y"]))


@given(CROSSED)
@settings(max_examples=30, deadline=None, phases=(Phase.generate,))
def test_no_hidden_cell_of_a_crossed_cut_can(cells: dict[str, tuple[int, int]]) -> None:
    """What the mask cannot know, as a row with but one cell, the gate mends: it sees the margins, too."""
    found = look(page({"region x plan": masked(cells, [REGION, PLAN], LATE), **_margins(cells, LATE)}, LATE))
    assert found.repaired()
    assert not recovered(found)


@given(TABLES, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, phases=(Phase.generate,))
def test_the_order_of_rows_is_nothing(cells: dict[str, tuple[int, int]], random) -> None:  # type: ignore[no-untyped-def]
    frame = sums(cells)
    other = frame.sample(frac=1, random_state=random.randrange(1000))
    assert gone(disclosure.mask(frame, 10, segments=[REGION])) == gone(disclosure.mask(other, 10, segments=[REGION]))


def test_what_people_said_is_told_from_what_they_did(workspace: Path) -> None:
    found = {name for name, metric in params.load(workspace).metrics.items() if masking.of_answers(metric)}
    assert found == {"nps", "csat_top2", "csat_mean", "ces_mean", "ces_top3", "ces_net"}


class TestRowsOfResults:
    """Frames that are made of finer sums hide rows afterwards."""

    def frame(self) -> pd.DataFrame:
        levels = [f"{region} x {plan}" for region in ("North", "South", "West") for plan in ("Basic", "Plus", "Pro")]
        found = results.frame(
            metric="happy", period="2026-10", against="2026-09", segment="region x plan", comparison="difference",
            level=levels, estimate=1.0, n=np.arange(20.0, 29.0), at="against the rest",
        )  # fmt: skip
        small = found["level"] == "South x Plus"
        return results.conform(found.assign(status=found["status"].mask(small, "suppressed")))

    def test_none_is_hidden_alone_in_a_row_or_column(self) -> None:
        found = rows.conceal(self.frame(), (), 10)
        hides = set(found.loc[found["status"] == "suppressed", "level"])
        assert len(hides) == 4
        assert found.loc[found["status"] == "suppressed", "n"].isna().all()

    def test_withheld_cells_are_hidden_of_either_period(self) -> None:
        frame = results.frame(
            metric="happy", period="2026-10", against="2026-09", segment="region", comparison="mix",
            level=["all", "North", "South", "West"], estimate=1.0, n=[150.0, 50.0, 40.0, 60.0],
        )  # fmt: skip
        found = rows.conceal(frame, [Cell("happy", "region", "2026-09", "North")], 10)
        assert found["status"].tolist() == ["ok", "suppressed", "suppressed", "ok"]
        pd.testing.assert_frame_equal(rows.conceal(frame, [Cell("sad", "region", "2026-09", "North")], 10), frame)


def test_definitions_are_as_the_tests_say() -> None:
    assert [masking.of_answers(metric) for metric in METRICS.values()] == [True, True, False, False]
