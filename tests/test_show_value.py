"""Predicted against observed, by class, over time and by month: what is drawn, what is said, what may not be said."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.value import Calibration, calibrate, fit_bg_nbd, season, summarise_transactions
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.value import predicted_by_class, predicted_over_time, purchases_by_month
from tests.value_frames import orders

COLUMNS = ("customer_id", "ordered_at", "amount")


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def found() -> Calibration:
    rows = orders(np.random.default_rng(2), 800)
    return calibrate(rows, *COLUMNS, split="2024-12-31", end="2025-06-30", min_n=5)


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def classes(seen: list[float], guess: list[float], p: list[float], n: int = 100) -> pd.DataFrame:
    """Return rows as `calibrate` makes them: all customers first."""
    names, parts = ["all", *map(str, range(len(seen) - 1))], []
    for name, one, other, chance in zip(names, seen, guess, p, strict=True):
        what = {"segment": "all" if name == "all" else "purchases before the split", "level": name, "at": "26", "n": n}
        ends = {"std_error": 0.1, "conf_low": one - 0.2, "conf_high": one + 0.2}
        parts.append(results.frame(metric="purchases_observed", estimate=one, **ends, **what))
        ends = {"std_error": 0.05, "conf_low": other - 0.1, "conf_high": other + 0.1}
        parts.append(results.frame(metric="purchases_predicted", estimate=other, **ends, **what))
        parts.append(results.frame(
            metric="purchases_predicted", comparison="difference", against="observed", estimate=other - one,
            std_error=0.1, conf_low=other - one - 0.2, conf_high=other - one + 0.2, p_value=chance, p_adjusted=chance,
            **what,
        ))  # fmt: skip
    return results.concat(parts)


class TestByClass:
    def test_a_miss_is_the_title(self) -> None:
        fig = predicted_by_class(classes([1.2, 0.5, 2.0], [1.0, 0.5, 1.4], [0.001, 0.9, 0.001]))
        assert fig.finding == (
            "Customers bought 1.20 times in the 26 weeks held out, 20 % more than the 1.00 times predicted; "
            "1 of 2 classes is missed"
        )
        assert "▲ more" in words(fig)
        assert "1 repeat purchase: observed 2.00 (interval 1.80 to 2.20), predicted 1.40" in canvas.alt_text(fig)
        assert "more than predicted" in canvas.alt_text(fig)

    def test_what_is_not_shown_is_no_miss(self) -> None:
        fig = predicted_by_class(classes([1.2, 0.5, 2.0], [1.0, 0.5, 1.4], [0.2, 0.9, 0.3]))
        assert "as predicted (1.00 times); no class is shown to be missed" in fig.finding
        assert not {"▲ more", "▼ less"} & set(words(fig).split("  "))

    def test_less_than_predicted(self) -> None:
        fig = predicted_by_class(classes([0.8, 0.5, 1.0], [1.0, 0.5, 1.4], [0.001, 0.9, 0.001]))
        assert "20 % less than the 1.00 times predicted" in fig.finding
        assert "▼ less" in words(fig)

    def test_dots_and_intervals(self) -> None:
        axes = predicted_by_class(classes([1.2, 0.5, 2.0], [1.0, 0.5, 1.4], [0.2, 0.9, 0.3])).axes[0]
        drawn = sorted((line.get_marker(), line.get_ydata()[0]) for line in axes.lines)
        assert drawn == [("D", 0.5), ("D", 1.4), ("o", 0.5), ("o", 2.0)]
        assert axes.get_label() == "classes"
        assert axes.get_ylabel() == "purchases per customer"

    def test_real_rows(self, found: Calibration) -> None:
        fig = predicted_by_class(found.classes)
        assert fig.finding.startswith("Customers bought ")
        money = predicted_by_class(found.classes, metric="revenue", currency="USD")
        assert money.finding.startswith("Customers spent $")
        assert money.axes[0].get_ylabel() == "USD"
        shuffled = predicted_by_class(pd.concat([found.tracking, found.classes]))
        assert canvas.png(shuffled) == canvas.png(fig)

    def test_hidden_classes_are_told(self, found: Calibration) -> None:
        hidden = results.suppress(found.classes, 30)
        assert "hidden: small" in words(predicted_by_class(hidden))
        assert "hidden: small group" in canvas.alt_text(predicted_by_class(hidden))
        everything = predicted_by_class(results.suppress(found.classes, 10**6))
        assert everything.finding == "Predicted and observed by class"
        assert not everything.axes[0].lines

    def test_nothing_to_show(self) -> None:
        why = results.frame(metric="purchases_predicted", status="undefined", note="nobody bought a second time")
        assert predicted_by_class(why).finding == "Nothing to show: nobody bought a second time"
        assert predicted_by_class(results.empty()).finding.startswith("Nothing to show")


class TestOverTime:
    def test_lines_and_their_ends(self, found: Calibration) -> None:
        fig = predicted_over_time(found.tracking)
        last = found.tracking[found.tracking["at"] == found.tracking["at"].iloc[-1]].set_index("metric")
        seen = last.loc["cumulative_purchases_observed", "estimate"]
        assert f"{seen:,.0f} purchases came in 26 weeks" in fig.finding
        axes = fig.axes[0]
        assert axes.lines[0].get_ydata()[-1] == seen
        assert [line.get_ydata()[0] for line in axes.lines[:2]] == [0, 0]
        assert len(axes.collections) == 2  # the bands
        assert axes.get_xlabel() == "weeks since the split"
        assert f"observed {seen:,.0f}" in words(fig)

    @pytest.mark.parametrize(("p", "told"), [(0.5, "no difference beyond chance"), (0.001, "than predicted")])
    def test_a_difference_is_told_where_it_is_shown(self, found: Calibration, p: float, told: str) -> None:
        frame = found.tracking.assign(p_value=found.tracking["p_value"].where(found.tracking["p_value"].isna(), p))
        assert told in predicted_over_time(frame).finding

    def test_nothing_to_show(self, found: Calibration) -> None:
        assert predicted_over_time(found.classes).finding.startswith("Nothing to show")
        assert predicted_over_time(results.suppress(found.tracking, 10**6)).finding.startswith("Nothing to show")


class TestByMonth:
    def made(self, kept: np.ndarray | None = None) -> pd.DataFrame:
        rows = orders(np.random.default_rng(4), 1_500, season=kept)
        summary = summarise_transactions(rows, *COLUMNS[:2], end="2025-12-31")
        fit = fit_bg_nbd(summary["frequency"], summary["recency"], summary["T"])
        return season(rows, *COLUMNS[:2], fit, end="2025-12-31")

    def test_a_season_is_the_title(self) -> None:
        kept = np.full(12, 0.5)
        kept[11] = 1.0
        fig = purchases_by_month(self.made(kept))
        assert fig.finding.startswith("Purchases follow a calendar that the model does not know")
        assert "most of all December 202" in fig.finding
        assert {"^"} <= {line.get_marker() for line in fig.axes[0].lines}
        assert "Months that stand out: " in canvas.alt_text(fig)

    def test_none_is_none(self) -> None:
        frame = self.made()
        fig = purchases_by_month(frame.assign(note=frame["note"].str.replace("doubt", "holds")))
        assert fig.finding == "Purchases follow the model month by month: no calendar that matters is shown"

    def test_nothing_to_show(self) -> None:
        nobody = fit_bg_nbd([0, 0], [0, 0], [1, 1])
        rows = orders(np.random.default_rng(4), 30)
        fig = purchases_by_month(season(rows, *COLUMNS[:2], nobody, end="2025-12-31"))
        assert fig.finding.startswith("Nothing to show: refuses: the purchase model could not be fitted")
        assert not fig.axes
