"""Charts and tables of frictions and causes: what is drawn, what is said, and what may not be said."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.analysis import journeys
from cxlib.show import canvas, style
from cxlib.show.bad_causes import bad_causes_table
from cxlib.show.friction import friction_chart, friction_table
from tests.test_analysis_journeys_causes import asked, contacts
from tests.test_analysis_journeys_friction import answers, friction, volumes


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(3)
    said = answers(rng, 2_000, {"late": -1.0, "unresolved": -0.6})
    done = said.assign(left=(rng.random(len(said)) < 0.1).astype(float), bought=(rng.random(len(said)) < 0.5) * 1.0)
    done = done.assign(amount=rng.exponential(50, len(said)), cost=20.0, costed=50.0)
    return journeys.friction(said, done, volumes(said, slow_page=4), ask=journeys.Ask(("region",), min_n=10))


def bars(chart: canvas.Chart) -> list[Any]:
    return list(chart.axes[0].patches)


def test_the_chart_tells_what_comes_first_and_how_sure(found: Any) -> None:
    chart = friction_chart(found)
    assert chart.finding.startswith("Delivered after the promise goes with the most lost satisfaction: ")
    assert "then not resolved at the first contact" in chart.finding
    assert "A slow page (hidden: too few customers)" in chart.alt
    assert "rank 1" in chart.alt
    assert "value at stake" in chart.alt
    assert "none of it is proof" in chart.alt
    assert "cost" not in chart.alt  # what goes with something is not what it does


def test_shown_bars_are_filled_and_to_their_side(found: Any) -> None:
    drawn = bars(friction_chart(found))
    colours = [to_hex(bar.get_facecolor()) for bar in drawn]
    assert colours[:2] == [style.ORANGE, style.ORANGE]
    assert colours.count(style.BLUE) == 1  # resolved at the first contact
    assert drawn[0].get_width() < drawn[1].get_width() < 0 < max(bar.get_width() for bar in drawn)
    assert all(colour == style.PAPER for bar, colour in zip(drawn[2:], colours[2:], strict=True) if bar.get_width() < 0)


def test_the_chart_leaves_no_trace_and_is_the_same_again(found: Any) -> None:
    before = dict(mpl.rcParams)
    assert canvas.png(friction_chart(found)) == canvas.png(friction_chart(found))
    assert dict(mpl.rcParams) == before


def test_two_that_may_be_first_are_both_named(found: Any) -> None:
    tied = found.copy()
    tied.loc[(tied["metric"] == "rank") & (tied["segment"] == "friction"), "conf_low"] = 1.0
    both = "Delivered after the promise and not resolved at the first contact"
    assert friction_chart(tied).finding == f"{both} may each go with the most lost satisfaction"


def test_nothing_shown_says_so() -> None:
    quiet = friction(answers(np.random.default_rng(5), 400))
    assert friction_chart(quiet).finding.startswith("No friction is shown to go with less satisfaction")


def test_the_table_has_every_number_with_its_interval(found: Any) -> None:
    table = friction_table(found)
    assert table.grid is not None
    assert table.grid.keys[0] == ("What goes wrong", "Delivered after the promise")
    first = {name: cells[0].text for name, cells in table.grid.columns.items()}
    assert first["Rank (may be)"].startswith("1")
    assert " to " in first["Goes with, satisfaction"]
    assert "EUR" in first["Value at stake"] or "€" in first["Value at stake"]
    assert "A slow page (hidden: too few customers)" in table.below
    where = dict(zip(table.grid.keys, table.grid.columns["Most of it at"], strict=True))
    assert where["What goes wrong", "Not resolved at the first contact"].text.startswith(("phone", "chat"))
    assert where["What goes wrong", "Passed on to somebody else"].text == ""
    assert "no proof" in table.below


def test_an_empty_frame_says_that_there_is_nothing() -> None:
    none = results.frame(metric="friction", status=results.UNDEFINED, note="this workspace has no contacts")
    assert friction_chart(none).finding == "Nothing to show: this workspace has no contacts"
    assert "this workspace has no contacts" in friction_table(none)
    assert "Nothing to show" in friction_chart(results.empty()).finding
    said = answers(np.random.default_rng(5), 400)
    silent = friction(said.iloc[:0], volumes=volumes(said))
    assert "no cause can be ranked. Not drawn: " in friction_chart(silent).finding
    assert "(no answer tells what goes with it)" in friction_table(silent)
    assert "the frame holds no causes" in bad_causes_table(results.empty())


def test_causes_show_what_moved_and_what_is_not_known() -> None:
    moved = asked(contacts(np.random.default_rng(1), 3_000, longer=1.6), labels=("2026-10", "2026-09"))
    table = bad_causes_table(moved)
    assert table.heading.startswith("Causes of bad experiences: long waits (waited more than 5 min) up ")
    assert table.grid is not None
    assert list(table.grid.columns) == ["How often", "Of", "n", "Since September 2026"]
    cells = dict(zip(table.grid.keys, zip(*table.grid.columns.values(), strict=True), strict=True))
    waits = cells["Long waits", "waited more than 5 min"]
    assert waits[1].text == "contacts with a known wait"
    assert waits[3].text.endswith("up, worse")
    late = cells["Unmet expectation", "delivered after the promised time, or not yet"]
    assert "this workspace has no orders" in late[0].text
    assert late[3].text == "not compared"


def test_without_a_period_before_there_is_no_column_of_changes() -> None:
    frame = contacts(np.random.default_rng(1), 300)
    from tests.journey_logs import in_engine
    from tests.test_analysis_journeys_causes import NOW, run

    alone = journeys.causes({"interactions": in_engine(frame)}, NOW, run=run, labels=("2026-10", ""))
    table = bad_causes_table(alone)
    assert table.grid is not None
    assert list(table.grid.columns) == ["How often", "Of", "n"]
    assert "most often" in table.heading
