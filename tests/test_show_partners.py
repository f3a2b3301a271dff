"""Partners on the page: tiers and never a naked order, funnels, days late, delivered against intended."""

from __future__ import annotations

import re
import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis import partners
from cxlib.errors import UsageError
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.delays import by_delay
from cxlib.show.partner_funnel import partner_funnel
from cxlib.show.partners import partner_league, partner_league_table
from cxlib.show.transfers import brand_transfer, brand_transfer_table
from tests.partner_frames import answers
from tests.show_frames import metric

SCORE = metric("y", title="Review score", unit="score", target=None)
LATE = metric("y", title="Delivered late", unit="percent", kind="share", higher_is_better=False, target=None)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def fit_of(truth: Any, sizes: Any, kind: str = "mean", **how: Any) -> partners.Fit:
    frame = answers(np.random.default_rng(4), np.asarray(truth), np.asarray(sizes), kind=kind)
    return partners.fit(frame, "y", "partner", kind=kind, **how)


OUTLIERS = [4.0, 4.0, 4.0, 4.0, 4.0, 5.5, 2.5]
SIZES = [80, 80, 80, 80, 4, 80, 80]


class TestLeague:
    def test_tiers_not_places(self) -> None:
        chart = partner_league(partners.league(fit_of(OUTLIERS, SIZES)), SCORE)
        said = words(chart)
        assert chart.finding.startswith(
            "Review score: 1 better and 1 worse than all 7 partners together: p005 and p006"
        )
        for tier in ("Better", "As expected", "Worse"):
            assert tier in said
        places = [said.rindex(name) for name in ("p005", "p000", "p001", "p002", "p003", "p006")]
        assert places == sorted(places)  # by name within a tier
        assert "1 of 7" in said
        assert "7 of 7" in said
        assert re.search(r"n 80", said)

    def test_a_naked_table_is_refused(self) -> None:
        fit = fit_of(OUTLIERS, SIZES)
        for frame in (partners.shrunk(fit), results.concat([partners.shrunk(fit), partners.ranks(fit)])):
            with pytest.raises(UsageError, match="7 partners have a figure without tier or rank interval, p000 first"):
                partner_league(frame, SCORE)
            with pytest.raises(UsageError, match="without tier or rank"):
                partner_league_table(frame, SCORE)

    def test_lower_is_better(self) -> None:
        fit = fit_of([0.2] * 6 + [0.05, 0.35], [300] * 8, kind="share")
        chart = partner_league(partners.league(fit, higher_is_better=False), LATE)
        assert "p006, better" in chart.alt
        assert "p007, worse" in chart.alt
        assert "pp against all" in words(chart)

    def test_without_a_direction_nobody_is_better(self) -> None:
        chart = partner_league(
            partners.league(fit_of(OUTLIERS, SIZES)), metric("y", title="Items", unit="count", higher_is_better=None)
        )
        assert chart.finding.startswith("Items: 1 above and 1 below all 7 partners together")
        assert "better" not in chart.finding
        assert "worse" not in chart.finding

    def test_the_alt_text_says_what_the_picture_says(self) -> None:
        frame = partners.league(fit_of(OUTLIERS, SIZES))
        chart = partner_league(frame, SCORE)
        for name in frame["level"].unique():
            assert name in chart.alt
        assert "interval" in chart.alt
        assert "rank 1 of 7" in chart.alt

    def test_many_partners_are_counted_not_drawn(self) -> None:
        rng = np.random.default_rng(1)
        frame = partners.league(fit_of(rng.normal(4, 0.2, 60), np.full(60, 12)))
        chart = partner_league(frame, SCORE)
        assert "Not shown: 35 partners with fewer answers." in words(chart)
        table = partner_league_table(frame, SCORE)
        assert table.count("<tr>") == 26
        assert "Not shown: 35" in table

    def test_hidden_partners_are_counted_and_not_named(self) -> None:
        fit = fit_of(OUTLIERS, SIZES, min_n=5)
        chart = partner_league(partners.league(fit), SCORE)
        assert "Hidden: 2 partners with few customers, or hidden with them." in words(chart)
        assert "p004" not in words(chart)
        assert "p004" not in partner_league_table(partners.league(fit), SCORE)

    def test_many_partners_of_whom_none_stands_out_are_one_sentence(self) -> None:
        found = partners.league(fit_of([4.0] * 12, [30] * 12))
        outside = found["verdict"].where(found["verdict"] != "moved", "not shown")
        table = partner_league_table(found.assign(verdict=outside), SCORE)
        assert re.search(r"Of 12 partners: .*\. None is listed: any order would be chance\.", table)
        assert "<table" not in table

    @pytest.mark.parametrize(
        ("frame", "reason"),
        [
            (
                partners.league(fit_of(OUTLIERS, SIZES, min_n=500)),
                "every partner has fewer customers than may be shown",
            ),
            (partners.league(fit_of([4.0] * 3, [1, 1, 1])), "no partner has more answers"),
            (results.empty(), "the frame holds no partners"),
        ],
    )
    def test_nothing_to_show_says_why(self, frame: pd.DataFrame, reason: str) -> None:
        assert reason in partner_league(frame, SCORE).alt
        assert reason in partner_league_table(frame, SCORE)

    def test_two_partners_are_shown_with_what_is_known(self) -> None:
        chart = partner_league(partners.league(fit_of([3.0, 4.0], [30, 30])), SCORE)
        assert "none of 2 partners is shown to differ" in chart.finding
        assert "Too few to tell" in words(chart)

    def test_partners_of_two_kinds_are_refused(self) -> None:
        frame = partners.league(fit_of(OUTLIERS, SIZES))
        with pytest.raises(UsageError, match="2 kinds"):
            partner_league(results.concat([frame, frame.assign(segment="site")]), SCORE)

    def test_the_table_is_accessible_and_escaped(self) -> None:
        frame = partners.league(fit_of(OUTLIERS, SIZES)).replace({"level": {"p005": "<b>R&D</b>"}})
        table = partner_league_table(frame, SCORE)
        assert "<b>R&amp;D" not in table
        assert "&lt;b&gt;R&amp;D&lt;/b&gt;" in table
        assert '<th scope="rowgroup"' in table
        for head in ("Rank", "Against all partners", "As it is", "n"):
            assert f">{head}</th>" in table

    def test_the_same_picture_twice(self) -> None:
        frame = partners.league(fit_of(OUTLIERS, SIZES))
        first, again = (canvas.png(partner_league(one, SCORE)) for one in (frame, frame.sample(frac=1, random_state=2)))
        assert first == again


class TestFunnel:
    def funnel(self, fit: partners.Fit, **how: Any) -> Chart:
        both = [partners.funnel(fit, overdispersion="none"), partners.funnel_limits(fit, overdispersion="none")]
        return partner_funnel(results.concat(both), SCORE, **how)

    def test_those_outside_are_named(self) -> None:
        chart = self.funnel(fit_of([4.0] * 20 + [5.5], np.arange(20, 83, 3)))
        assert chart.finding == "Review score: 1 of 21 partners lies outside what chance explains"
        assert "p020" in words(chart)
        assert "outside: p020" in chart.alt
        assert "95 % limits" in chart.alt
        assert "99.8 %" in words(chart)
        assert "no overdispersion" in words(chart)

    def test_nobody_outside(self) -> None:
        chart = self.funnel(fit_of([4.0] * 12, [30] * 12))
        assert chart.finding == "Review score: none of 12 partners lies outside what chance explains"

    def test_limits_that_allow_for_usual_differences_say_so(self) -> None:
        fit = fit_of([4.0] * 12, [30] * 12)
        chart = partner_funnel(results.concat([partners.funnel(fit), partners.funnel_limits(fit)]), SCORE)
        assert chart.finding.endswith("none of 12 partners lies outside what chance and the usual differences explain")

    def test_hidden_partners_are_counted(self) -> None:
        chart = self.funnel(fit_of([4.0] * 12, [30] * 10 + [2, 2], min_n=5))
        assert "Hidden: 3 partners with few customers, or hidden with them." in words(chart)
        assert len(chart.axes[0].lines[-1].get_xdata()) <= 12

    def test_wide_volumes_are_logarithmic(self) -> None:
        assert self.funnel(fit_of([4.0] * 6, [3, 10, 30, 100, 300, 1000])).axes[0].get_xscale() == "log"
        assert self.funnel(fit_of([4.0] * 6, [30, 40, 50, 60, 70, 80])).axes[0].get_xscale() == "linear"

    def test_nothing_to_show_says_why(self) -> None:
        assert "fewer customers" in self.funnel(fit_of([4.0] * 5, [9] * 5, min_n=50)).alt
        assert "no partners with limits" in partner_funnel(results.empty(), SCORE).alt
        assert "no partner has more answers" in self.funnel(fit_of([4.0] * 3, [1, 1, 1])).alt


def orders(n: int = 900) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    days = rng.normal(-3, 5, n)
    return pd.DataFrame(
        {"y": 4 - 1.5 * (days > 0) + rng.normal(0, 1, n), "days": days, "shop": rng.integers(0, 12, n).astype(str),
         "customer_id": np.arange(n)}
    )  # fmt: skip


class TestDelay:
    def test_levels_effects_and_what_they_explain(self) -> None:
        frame = orders()
        frame["y"] += np.where(frame["shop"] < "3", 0.8, 0)
        frame["late"] = (frame["days"] > 0).astype(str)
        chart = by_delay(
            results.concat(
                [
                    partners.delay(frame, "y", "days"), partners.delay_effect(frame, "y", "days", "shop"),
                    partners.explained(frame, "y", "shop", ["late"], bootstrap=50),
                ]
            ),
            SCORE,
        )  # fmt: skip
        assert re.match(r"Review score: from 4\.\d\d \(more than 7 days early\) to \d\.\d\d \(", chart.finding)
        assert "up to 3 days late" in words(chart)
        assert "what the others are against" in words(chart)
        assert "of the variance between partners" in words(chart)
        assert "at the same partner" in chart.alt

    def test_without_effects(self) -> None:
        chart = by_delay(partners.delay(orders(), "y", "days", edges=(0,)), SCORE)
        assert "Right:" not in words(chart)
        assert "on time" in words(chart)

    def test_overlapping_ends_are_not_ranked(self) -> None:
        frame = orders(60).assign(y=lambda f: np.random.default_rng(1).normal(4, 1, len(f)))
        assert by_delay(partners.delay(frame, "y", "days", edges=(0,)), SCORE).finding.endswith("overlap")

    def test_nothing_to_show_says_why(self) -> None:
        assert "fewer customers" in by_delay(partners.delay(orders(50), "y", "days", min_n=500), SCORE).alt
        assert "no levels of days late" in by_delay(results.empty(), SCORE).alt


class TestTransfer:
    def frame(self, measure: str = "gap", **how: Any) -> pd.DataFrame:
        rng = np.random.default_rng(3)
        site = np.repeat(np.arange(5), 70)
        got = np.array([3.4, 4.2, 4.2, 4.2, 4.8])[site] + rng.normal(0, 0.6, site.size)
        table = pd.DataFrame({"got": got, "site": site.astype(str), "customer_id": np.arange(site.size)})
        return partners.transfer(table, "got", 4.2, "site", measure=measure, metric="y", **how)

    def test_gaps(self) -> None:
        chart = brand_transfer(self.frame(), SCORE)
        assert chart.finding == "Review score: worse at 1 and better at 1 of 5 partners than intended"
        assert "worse than intended" in words(chart)
        assert "no difference shown" in chart.alt
        table = brand_transfer_table(self.frame(), SCORE)
        assert "Against 4.20<" in table
        assert table.count("<tr>") == 6

    def test_shares_are_in_percent_whatever_was_delivered(self) -> None:
        chart = brand_transfer(self.frame("share"), SCORE)
        assert re.search(r"0: 8\d\.\d % \(interval", chart.alt)
        assert "Review score: share of the intended that arrives, percent" in words(chart)

    def test_more_is_not_always_better(self) -> None:
        """More minutes than intended are worse: words and colour say so, the shape says that they are more."""
        from cxlib.show import style

        chart = brand_transfer(self.frame(), metric("y", title="Wait", unit="score", higher_is_better=False))
        tones = {text.get_text(): text.get_color() for text in chart.texts}
        assert tones["worse than intended"] == style.ORANGE
        assert tones["better than intended"] == style.BLUE

    def test_without_a_direction_the_words_are_more_and_less(self) -> None:
        plain = metric("y", title="Visits", unit="score", higher_is_better=None)
        table = brand_transfer_table(self.frame(), plain)
        assert "Visits: less at 1 and more at 1 of 5 partners than intended" in table
        assert "more than intended" in table

    def test_many_partners_of_whom_none_differs_are_one_sentence(self) -> None:
        share = metric("y", title="Late", unit="percent", higher_is_better=False)
        found = results.frame(
            metric="transfer_gap", comparison="difference", against="0.08", level=[f"s{n:02}" for n in range(12)],
            estimate=0.01, conf_low=-0.02, conf_high=0.04, n=40, segment="partner", verdict="not shown",
        )  # fmt: skip
        table = brand_transfer_table(found, share)
        assert "Intended: 8.0 %. The interval of each of 12 partners holds it." in table
        assert "<table" not in table
        assert "Against 8.0 %" in brand_transfer_table(found.head(10), share)

    def test_nothing_to_show_says_why(self) -> None:
        assert "fewer customers" in brand_transfer(self.frame(min_n=500), SCORE).alt
        assert "no partners against what was intended" in brand_transfer(results.empty(), SCORE).alt
        assert "fewer customers" in brand_transfer_table(self.frame(min_n=500), SCORE)


def test_all_pages_from_one_frame_of_all_rows() -> None:
    """A run keeps everything about partners in one frame; each page takes its own rows."""
    frame = answers(np.random.default_rng(4), np.array(OUTLIERS), np.array(SIZES))
    fit = partners.fit(frame, "y", "partner")
    gaps = partners.transfer(frame, "y", 4.0, "partner")
    parts = [partners.league(fit), partners.funnel(fit), partners.funnel_limits(fit), partners.spread(fit)]
    whole = results.concat([*parts, gaps])
    for page, own in (
        (partner_league, parts[0]), (partner_league_table, parts[0]), (partner_funnel, results.concat(parts[1:3])),
        (brand_transfer, gaps), (brand_transfer_table, gaps),
    ):  # fmt: skip
        one, other = page(whole, {"y": SCORE}, metric="y"), page(own, {"y": SCORE}, metric="y")
        assert getattr(one, "alt", one) == getattr(other, "alt", other)
    other = partners.league(partners.fit(frame.assign(y=-frame["y"]), "y", "partner", metric="z"))
    both = results.concat([parts[0], other])  # two outcomes: each with its own ranks
    assert partner_league(both, {"y": SCORE}, metric="y").alt == partner_league(parts[0], SCORE).alt


@pytest.mark.parametrize("length", [1, 60])
def test_names_of_any_length_stay_on_the_sheet(length: int) -> None:
    frame = partners.league(fit_of(OUTLIERS, SIZES))
    long = frame.assign(level=frame["level"] + "W" * length)
    chart = partner_league(long, SCORE)
    canvas.png(chart)
    renderer = chart.canvas.get_renderer()
    for text in chart.texts:
        box = text.get_window_extent(renderer)
        assert box.x1 <= chart.bbox.x1
        assert box.y1 <= chart.bbox.y1
