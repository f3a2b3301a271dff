"""What customers are worth by group, and whether the models may be used: what is drawn and said."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.value import (
    checks,
    fit_bg_nbd,
    fit_gamma_gamma,
    historic_value,
    lifetime_value,
    summarise_transactions,
)
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.lifetime import value_checks_table, worth_by_group
from tests.value_frames import orders

COLUMNS = ("customer_id", "ordered_at", "amount")


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def checked() -> pd.DataFrame:
    rows = orders(np.random.default_rng(2), 900)
    summary = summarise_transactions(rows, *COLUMNS, end="2025-12-31")
    purchases = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
    spend = fit_gamma_gamma(summary["frequency"], summary["monetary_value"])
    return checks(summary, purchases, spend)


@pytest.fixture(scope="module")
def worth() -> pd.DataFrame:
    rows = orders(np.random.default_rng(2), 900)
    summary = summarise_transactions(rows, *COLUMNS, end="2025-12-31")
    purchases = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
    spend = fit_gamma_gamma(summary["frequency"], summary["monetary_value"])
    often = pd.Series(np.where(summary["frequency"] >= 4, "often", "seldom"), index=summary.index)
    often.iloc[:3] = "tiny"
    how = {"groups": often, "segment": "loyalty", "min_n": 10}
    ahead = lifetime_value(purchases, spend, summary, horizon=52.1775, draws=60, **how)
    past = historic_value(rows, *COLUMNS, end="2025-12-31", **how)
    return results.concat([ahead.rows, past.rows])


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


class TestWorth:
    def test_the_finding(self, worth: pd.DataFrame) -> None:
        fig = worth_by_group(worth, currency="EUR")
        whole = worth[(worth["metric"] == "lifetime_value") & (worth["level"] == "all")].iloc[0]
        assert fig.finding.startswith(
            f"A customer will be worth €{whole['estimate']:.2f} (€{whole['conf_low']:.2f} to "
        )
        assert "in the next 52 weeks, all 900 together €" in fig.finding
        assert "One model for all" in words(fig)
        drawn = [text.get_text() for text in fig.texts]
        assert drawn.index("often") < drawn.index("seldom")  # by value

    def test_what_is_drawn(self, worth: pd.DataFrame) -> None:
        fig = worth_by_group(worth)
        drawn = [line.get_marker() for line in fig.axes[0].lines]
        assert drawn.count("o") == drawn.count("s") == 3  # all, often, seldom; tiny is hidden
        said = words(fig)
        for part in (
            "All customers",
            "often",
            "seldom",
            "tiny",
            "hidden: small",
            "to come",
            "so far",
            "all together",
        ):
            assert part in said
        assert "tiny: to come hidden: small group" in canvas.alt_text(fig)
        assert "what customers may do otherwise, not that of a model that does not fit" in said

    def test_assumptions_in_doubt_stand_in_the_title(self, worth: pd.DataFrame, checked: pd.DataFrame) -> None:
        word = checked["note"].str.partition(": ")[0]
        sure = checked.assign(note=checked["note"].str.replace("^doubt", "holds", regex=True))
        assert "with care" not in worth_by_group(results.concat([worth, sure])).finding
        first = sure.index == sure.index[0]
        doubtful = sure.assign(note=sure["note"].mask(first, "doubt: 12.3 expected"))
        fig = worth_by_group(results.concat([worth, doubtful]))
        assert fig.finding.endswith(f"(with care: 1 of {len(word)} assumptions in doubt)")

    def test_without_the_past(self, worth: pd.DataFrame) -> None:
        fig = worth_by_group(worth[worth["metric"].str.startswith("lifetime")])
        assert "so far" not in words(fig)
        assert {line.get_marker() for line in fig.axes[0].lines} == {"o"}

    def test_many_groups_with_long_names(self) -> None:
        names = [f"a rather long name of region number {number:02d}" for number in range(30)]
        values = np.linspace(10, 40, 30)
        rows = results.frame(
            metric="lifetime_value", segment="region", level=names, at="52", estimate=values, std_error=1.0,
            conf_low=values - 2, conf_high=values + 2, n=np.arange(30) + 20.0,
        )  # fmt: skip
        fig = worth_by_group(rows)
        assert "5 smaller groups not drawn" in words(fig)
        assert len(fig.axes[0].lines) == 25
        assert fig.finding == "Lifetime value of 25 groups"

    def test_the_order_of_rows_changes_nothing(self, worth: pd.DataFrame) -> None:
        assert canvas.png(worth_by_group(worth)) == canvas.png(worth_by_group(worth.iloc[::-1]))

    def test_a_refusal_is_said(self, worth: pd.DataFrame) -> None:
        refused = results.label(worth, status="undefined", note="45 repeat buyers, fewer than the 100 that a fit needs")
        said = worth_by_group(refused).finding
        assert (
            said == "Nothing to show: no lifetime value is given: 45 repeat buyers, fewer than the 100 that a fit needs"
        )
        assert worth_by_group(results.empty()).finding.startswith("Nothing to show")


class TestChecks:
    def test_the_table(self, checked: pd.DataFrame) -> None:
        table = value_checks_table(checked)
        assert "What the lifetime value rests on holds" in table or "in doubt" in table
        assert 'scope="row">Enough customers bought again' in table
        assert "Fisher" in table

    @pytest.mark.parametrize(
        ("note", "heading", "tone"),
        [
            ("refuses: 45 repeat buyers", "No lifetime value is given", "cx-worse"),
            ("doubt: something", "Use the lifetime value with care: 1 of 1 assumptions is in doubt", "cx-flat"),
            ("holds: 4,500 repeat buyers", "What the lifetime value rests on holds", "cx-better"),
        ],
    )
    def test_verdicts(self, note: str, heading: str, tone: str) -> None:
        table = value_checks_table(results.frame(metric="repeat_buyers", estimate=0.4, n=900, note=note))
        assert heading in table
        assert tone in table

    def test_text_is_escaped_and_nothing_is_said(self) -> None:
        table = value_checks_table(results.frame(metric="repeat_buyers", n=3, note="doubt: <b>x</b>"))
        assert "<b>" not in table
        assert "the frame holds no checks" in value_checks_table(results.empty())
