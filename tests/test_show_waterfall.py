"""The waterfall and the levels against the rest: what is drawn, what is said, and what may not be said."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.measure import decomposition, finder
from cxlib.measure.joint import Joint
from cxlib.show import canvas, style
from cxlib.show.canvas import Chart
from cxlib.show.standing import standing, standing_table
from cxlib.show.waterfall import waterfall
from tests.show_frames import METRICS, metric

BEFORE, AFTER = "2025-10", "2026-10"
NPS = metric("nps", kind="nps", change_that_matters=5.0)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def nps(
    shares: dict[str, tuple[int, int]], scores: dict[str, tuple[float, float]], segment: str = "source"
) -> pd.DataFrame:
    """Return the split of an NPS: answers by level before and after, and the share of promoters, the rest passive."""
    y, period, level = [], [], []
    for name, sizes in shares.items():
        for label, size, score in zip((BEFORE, AFTER), sizes, scores[name], strict=True):
            up = round(size * abs(score))
            y += [int(np.sign(score))] * up + [0] * (size - up)
            period += [label] * size
            level += [name] * size
    return decomposition.explain(NPS, Joint.of(y, period=period, level=level), BEFORE, AFTER, segment=segment)


def hidden_improvement() -> pd.DataFrame:
    return nps({"organic": (900, 700), "partner": (80, 300)}, {"organic": (0.4, 0.5), "partner": (-0.5, -0.3)})


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def bars(fig: Chart) -> list[mpl.patches.Rectangle]:
    return [patch for patch in fig.axes[0].patches if isinstance(patch, mpl.patches.Rectangle)]


class TestSentence:
    def test_a_mix_that_hides_an_improvement_is_told_in_one_sentence(self) -> None:
        assert waterfall(hidden_improvement(), NPS).finding == (
            "Net Promoter Score fell 6.7 points against October 2025 (+32.7 to +26.0): a different mix by source took "
            "18.6 points, above all partner (8.2 % to 30.0 % of the answers); like for like it rose 11.9 points"
        )  # by hand: -.693 x .218 + .157 x -.218 = -.186, and .809 x .1 + .191 x .2 = .119

    def test_two_shifts_that_cancel(self) -> None:
        frame = nps({"organic": (900, 740), "partner": (80, 240)}, {"organic": (0.4, 0.5), "partner": (-0.5, -0.2)})
        said = waterfall(frame, NPS).finding
        assert said.startswith(
            "Net Promoter Score: no change shown against October 2025 (+32.7 to +32.9), but a different"
        )
        assert "took" in said
        assert "like for like it rose" in said

    def test_only_the_scores_moved(self) -> None:
        frame = nps({"a": (500, 500), "b": (500, 500)}, {"a": (0.5, 0.2), "b": (0.3, 0.3)})
        assert waterfall(frame, NPS).finding == (
            "Net Promoter Score fell 15.0 points against October 2025 (+40.0 to +25.0): no effect of the mix is shown; "
            "like for like it fell 15.0 points, above all a (−15.0 points)"
        )

    def test_nothing_shown_is_not_told_as_a_fact(self) -> None:
        frame = nps({"a": (50, 60), "b": (50, 50)}, {"a": (0.5, 0.45), "b": (0.3, 0.32)})
        assert waterfall(frame, NPS).finding == (
            "Net Promoter Score: no change shown against October 2025 (+40.0 to +39.1): "
            "neither a different mix by source nor a like-for-like change is shown"
        )

    def test_a_verdict_of_the_report_outranks_the_interval(self) -> None:
        frame = hidden_improvement()
        change = frame[frame["comparison"] == "difference"].assign(segment="all", verdict="not shown")
        said = waterfall(results.concat([frame, change]), NPS).finding
        assert said.startswith(
            "Net Promoter Score: no change shown against October 2025 (+32.7 to +26.0), but a different mix"
        )

    def test_two_dimensions(self) -> None:
        levels = ["web x N", "web x S", "shop x N", "shop x S"]
        sizes = dict(zip(levels, [(500, 200), (300, 200), (100, 400), (100, 200)], strict=True))
        scores = dict(zip(levels, [(0.5, 0.5), (0.5, 0.5), (0.1, 0.1), (0.1, 0.1)], strict=True))
        fig = waterfall(nps(sizes, scores, "sales_channel x region"), NPS)
        assert "a different mix by sales channel and region took" in fig.finding
        assert "above all sales channel; like for like no change is shown" in fig.finding

    def test_each_part_of_a_shared_denominator(self) -> None:
        level = np.repeat(["chat", "mail"] * 2, [400, 200, 900, 210])
        joint = Joint.of(
            np.ones(1_710), np.ones(1_710), period=np.repeat([BEFORE, AFTER], [600, 1_110]), level=level, shared=True
        )
        items = metric("items", kind="ratio")
        frame = decomposition.explain(items, joint, BEFORE, AFTER, segment="touchpoint")
        fig = waterfall(frame, items)
        assert "What each level added" in words(fig)
        assert "mix" not in words(fig)


class TestPicture:
    def test_bars_lead_from_the_value_before_to_the_value_after(self) -> None:
        frame = hidden_improvement()
        fig, told = waterfall(frame, NPS), decomposition.told(frame)
        drawn = bars(fig)
        assert len(drawn) == 4
        ends = [told.value[0].value]
        for bar in drawn:
            assert bar.get_x() + bar.get_width() * (bar.get_width() < 0) <= ends[-1] + 1e-9
            ends.append(ends[-1] + bar.get_width())
        assert ends[-1] == pytest.approx(told.value[1].value, abs=1e-9)
        assert fig.axes[0].get_label() == "waterfall"
        assert "points" in fig.axes[0].get_xlabel()

    def test_words_of_the_picture(self) -> None:
        said = words(waterfall(hidden_improvement(), NPS))
        for part in (
            "October 2025", "October 2026", "Who answered (mix)", "How they scored, like for like (rate)", "Change",
            "from 8.2 % to 30.0 % of the answers", "from −50.0 to −30.0", "n 980",
        ):  # fmt: skip
            assert part in said

    def test_colour_says_nothing_that_shape_does_not(self) -> None:
        frame = nps({"a": (500, 400), "b": (60, 160)}, {"a": (0.5, 0.49), "b": (-0.3, -0.28)})
        told, drawn = decomposition.told(frame), bars(waterfall(frame, NPS))
        amounts = [level.mix for level in told.mix_by] + [level.rate for level in told.rate_by]
        for bar, amount in zip(drawn, amounts, strict=True):
            good = style.BLUE if amount.value > 0 else style.ORANGE
            assert to_hex(bar.get_facecolor()) == (good if amount.shown else style.PAPER)
        assert {amount.shown for amount in amounts} == {True, False}

    def test_lower_may_be_better(self) -> None:
        frame = hidden_improvement()
        drawn = bars(waterfall(frame, NPS.model_copy(update={"higher_is_better": False})))
        assert to_hex(drawn[0].get_facecolor()) == style.BLUE  # it took points

    def test_sixty_levels_stay_readable(self) -> None:
        rng = np.random.default_rng(3)
        sizes = {f"level {i:02}": tuple(rng.integers(20, 60, 2)) for i in range(60)}
        frame = nps(sizes, dict.fromkeys(sizes, (0.4, 0.45)))
        fig = waterfall(frame, NPS)
        assert len(bars(fig)) == 6
        assert words(fig).count("other levels (58)") == 2
        assert fig.get_size_inches()[1] < 9

    def test_alt_text_has_every_number_of_the_picture(self) -> None:
        frame = hidden_improvement()
        fig = waterfall(frame, NPS)
        alt = canvas.alt_text(fig)
        assert alt.startswith(fig.finding)
        assert alt.endswith(".")
        assert "nan" not in alt
        for line in (
            "October 2025: +32.7 (interval",
            "partner: −15.1 points (interval",
            "Change: −6.7 points (interval",
        ):
            assert line in alt
        for words_ in ("Who answered (mix): −18.6 points", "like for like (rate): +11.9 points"):
            assert words_ in alt

    def test_same_bytes_and_no_figure_left_open(self) -> None:
        import matplotlib.pyplot as plt

        frame = hidden_improvement()
        assert canvas.png(waterfall(frame, NPS)) == canvas.png(waterfall(frame.iloc[::-1], NPS))
        assert plt.get_fignums() == []

    def test_level_names_of_any_kind(self) -> None:
        names = ['<script>alert("1")</script>', "$x_1$ 顧客 " + "long " * 40]
        frame = nps(dict.fromkeys(names, (100, 200)), dict.fromkeys(names, (0.5, 0.1)))
        page = canvas.html(waterfall(frame, NPS))
        assert "<script>" not in page
        assert "&lt;script&gt;" in page

    def test_pooled_levels_are_named(self) -> None:
        frame = nps({"a": (500, 400), "b": (5, 4), "c": (30, 8)}, {"a": (0.5, 0.4), "b": (0.3, 0.2), "c": (0.3, 0.2)})
        assert "Small levels: fewer than 10 customers in a period, or joined to such: b, c." in words(
            waterfall(frame, NPS)
        )

    def test_an_author_s_finding(self) -> None:
        assert waterfall(hidden_improvement(), NPS, finding="Partners came in").finding == "Partners came in"

    def test_nothing_to_show(self) -> None:
        assert (
            waterfall(results.empty(), METRICS).finding == "Nothing to show: the frame holds no change that was split"
        )
        one = nps({"a": (0, 40)}, {"a": (0.5, 0.4)})
        assert waterfall(one, NPS).finding == (
            "Nothing to show: Net Promoter Score by source, October 2026 against October 2025: no answers in 2025-10"
        )
        bare = hidden_improvement()
        bare = bare[bare["comparison"] != "level"]
        assert waterfall(bare, NPS).finding.startswith("Nothing to show: the frame holds no values of the two periods")


def compared(rng: np.random.Generator, struck: float, people: int = 4_000, **changed: Any) -> pd.DataFrame:
    """Return levels of two segments and their pair against the rest; a share of South's answers turned bad."""
    region, plan = rng.choice(["North", "South", "East"], people), rng.choice(["Basic", "Pro"], people, p=[0.7, 0.3])
    who = np.tile(np.arange(people), 2)
    period = np.repeat([BEFORE, AFTER], people)
    y = rng.choice([-1, 0, 1], 2 * people, p=[0.2, 0.3, 0.5])
    y = np.where((region[who] == "South") & (period == AFTER) & (rng.random(len(who)) < struck), -1, y)
    pair = np.char.add(np.char.add(region, " x "), plan)
    joints = {
        name: Joint.of(y, period=period, level=level[who], clusters=who)
        for name, level in {"region": region, "plan": plan, "region x plan": pair}.items()
    }
    return finder.find(joints, BEFORE, AFTER, NPS, **changed)


class TestStanding:
    def test_levels_that_moved_differently(self, rng: np.random.Generator) -> None:
        frame = compared(rng, 0.5)
        fig = standing(frame, NPS)
        assert fig.finding.startswith("Net Promoter Score: ")
        assert (
            "of 10 levels moved differently from the rest since October 2025, above all South (region, −" in fig.finding
        )
        said = words(fig)
        assert "worse than the rest" in said
        assert "South x Basic" not in said  # it only repeats South
        assert "Looked at 10 levels of 2 segments and 1 pair" in said
        assert "Not listed: " in said
        assert "points more than the rest (interval" in canvas.alt_text(fig)

    def test_none_moved(self, rng: np.random.Generator) -> None:
        fig = standing(compared(rng, 0.0), NPS)
        assert "none of 10 levels is shown to have moved differently from the rest since October 2025" in fig.finding
        assert not {"better than the rest", "worse than the rest"} & set(words(fig).split("  "))
        markers = [line for line in fig.axes[0].lines if line.get_marker() == "D"]
        assert {to_hex(line.get_markerfacecolor()) for line in markers} == {style.PAPER}
        table = standing_table(compared(rng, 0.0), NPS)
        assert "none of 10 levels is shown to have moved differently" in table
        assert "<table" not in table

    def test_the_table(self, rng: np.random.Generator) -> None:
        frame = compared(rng, 0.5)
        table = standing_table(frame.replace({"level": {"South": "<b>South</b>"}}), NPS)
        assert "<b>South" not in table
        assert "&lt;b&gt;South" in table
        assert 'class="cx-worse">worse than the rest' in table
        assert "Looked at 10 levels of 2 segments and 1 pair" in table
        assert "difference of differences, like for like, delta method" in table

    def test_what_could_not_be_looked_at_is_counted(self, rng: np.random.Generator) -> None:
        frame = compared(rng, 0.5, min_n=1_000)
        assert "more too small" in standing_table(frame, NPS)
        nothing = standing(compared(rng, 0.5, min_n=10_000), NPS)
        assert nothing.finding.startswith("Nothing to show: Net Promoter Score: No level has enough answers")

    def test_nothing_to_show(self) -> None:
        assert standing(results.empty(), METRICS).finding.startswith("Nothing to show")
        assert "Nothing to show" in standing_table(results.empty(), METRICS)

    def test_same_bytes(self, rng: np.random.Generator) -> None:
        frame = compared(rng, 0.5)
        assert canvas.png(standing(frame, NPS)) == canvas.png(standing(frame.iloc[::-1], NPS))
