"""Whether customers who are compared are alike, in a picture: what differed most leads, and the title says so."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.show import style
from cxlib.show.canvas import Chart
from cxlib.show.change_balance import balance_chart
from tests.show_frames import METRICS
from tests.trial_frames import change

REGISTER = {"new_desk": change(), "letter": change("letter", title="A letter")}
SIDES = {"Plan = Plus": (0.36, 0.0), "Satisfaction before": (-0.8, 0.02), "Region = West": (0.05, -0.01)}


def balance(sides: dict[str, tuple[float, float]] | None = None, name: str = "new_desk", **more: Any) -> pd.DataFrame:
    """Return what a run knows of how alike customers are."""
    return results.concat(
        results.frame(metric="csat_top2", segment="balance", level=name, at=known, against=["before", "after"],
                      comparison="index", estimate=list(pair), n=400.0, **more)
        for known, pair in (sides or SIDES).items()
    )  # fmt: skip


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def test_what_differed_most_leads_and_is_the_title() -> None:
    fig = balance_chart(balance(), REGISTER, METRICS)
    assert fig.finding == (
        "New desk: they differed most in Satisfaction before (−0.80 standard deviations); "
        "those compared are alike in all that is known"
    )
    marks = [line for line in fig.axes[0].lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx([-0.8, 0.02, 0.36, 0.0, 0.05, -0.01])
    assert [to_hex(mark.get_markerfacecolor()) for mark in marks[:2]] == [style.PAPER, style.BLUE]
    assert fig.alt.index("Satisfaction before: −0.80 before, +0.02 after") < fig.alt.index("Region = West")
    assert METRICS["csat_top2"].title in words(fig)


def test_what_is_left_is_said() -> None:
    apart = balance_chart(balance({"Plan = Plus": (0.5, 0.31)}), REGISTER, METRICS)
    assert apart.finding.endswith("those compared are still up to 0.31 apart")
    alike = balance_chart(balance({"Plan = Plus": (0.05, 0.0)}), REGISTER, METRICS)
    assert alike.finding == "New desk: touched and others were alike in what is known of them already"


def test_the_change_that_is_asked_for_is_shown() -> None:
    both = results.concat([balance(), balance({"Plan = Plus": (0.5, 0.0)}, "letter")])
    assert balance_chart(both, REGISTER, METRICS, "letter").finding.startswith("A letter: ")
    assert balance_chart(both, REGISTER, METRICS, "another").finding.startswith("New desk: ")


def test_many_are_counted() -> None:
    many = {f"Region = {number:02d}": (number / 100, 0.0) for number in range(1, 21)}
    fig = balance_chart(balance(many), REGISTER, METRICS)
    assert "Not drawn: 6 that differed less." in words(fig)
    assert "Region = 20" in words(fig)
    assert "Region = 06" not in words(fig)
    assert "Region = 06" in fig.alt


def test_nothing_to_draw_says_why() -> None:
    none = balance_chart(results.empty(), REGISTER, METRICS)
    assert "no change that is due touched customers one by one" in none.alt
    hidden = balance_chart(balance(status=results.SUPPRESSED), REGISTER, METRICS)
    assert "may not be shown or is not known" in hidden.alt
