"""Charts and tables of segments: what is drawn, what is said, and what may not be said."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch, Rectangle
from scipy import stats

from cxlib import results
from cxlib.analysis import segments
from cxlib.errors import UsageError
from cxlib.show import canvas, style
from cxlib.show.canvas import Chart
from cxlib.show.migration import flows, transitions_table
from cxlib.show.segment_grid import cluster_stability, value_grid
from cxlib.show.segments import profile_table, segment_profile, segment_sizes

WORDS = {"orders": ("buys seldom", "buys often")}


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def labels(**counts: int) -> pd.Series:
    return pd.Series([name for name, count in counts.items() for _ in range(count)])


def profiled() -> pd.DataFrame:
    rng, named = np.random.default_rng(4), labels(A=200, B=100)
    features = pd.DataFrame({"orders": rng.poisson(np.where(named == "A", 10, 3)), "age": rng.normal(40, 9, 300)})
    return segments.profile(features.astype(float), named, words=WORDS)


def moved() -> pd.DataFrame:
    before = pd.Series(["Pro"] * 60 + ["Basic"] * 140, [f"c{i}" for i in range(200)])
    after = pd.Series(["Pro"] * 40 + ["Basic"] * 130, [f"c{i}" for i in range(30, 200)])
    return segments.migration(before, pd.concat([after, pd.Series(["Basic"] * 20, [f"n{i}" for i in range(20)])]))


def crossed(min_n: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(9)
    table = pd.DataFrame({"spent": rng.lognormal(4, 1, 400), "said": rng.choice(["low", "high"], 400)})
    return segments.grid(table.assign(left=rng.random(400) < 0.2), "spent", "said", outcome="left", min_n=min_n)


class TestSizes:
    def test_the_largest_is_named_only_where_it_is_shown(self) -> None:
        clear = segment_sizes(segments.sizes(labels(Pro=300, Basic=100)))
        assert clear.finding == "The largest of 2 segments is Pro (75.0 % of customers)"
        even = segment_sizes(segments.sizes(labels(Pro=105, Basic=100)))
        assert even.finding == "No segment is clearly the largest: the intervals of Pro and Basic overlap"
        one = segment_sizes(segments.sizes(labels(Pro=5)))
        assert one.finding == "One segment can be shown: Pro (100.0 % of customers)"

    def test_bars_are_as_long_as_shares(self) -> None:
        fig = segment_sizes(segments.sizes(labels(Pro=300, Basic=100)))
        bars = [patch for patch in fig.axes[0].patches if isinstance(patch, Rectangle)]
        assert [bar.get_width() for bar in bars] == pytest.approx([75, 25])
        assert fig.axes[0].get_xlabel() == "share of customers, percent"
        assert "70.5 to 79.0 %" in words(fig)

    def test_many_and_hidden(self) -> None:
        many = labels(**{f"a segment with a name that is far too long for one line {i:02}": 50 - i for i in range(30)})
        fig = segment_sizes(segments.sizes(many, min_n=30))
        assert "Not drawn: the 5 smallest" in words(fig)
        assert "hidden: small group" in words(fig)
        assert fig.get_size_inches()[1] < 13
        assert "nan" not in fig.alt

    def test_nothing(self) -> None:
        hidden = segments.sizes(labels(Pro=5, Basic=4), min_n=10)
        assert segment_sizes(hidden).finding == "Nothing to show: the frame holds no sizes of segments"
        nobody = segments.sizes(pd.Series([None], dtype=object))
        assert segment_sizes(nobody).finding == "Nothing to show: no customer has a segment"
        assert segment_sizes(results.empty()).finding.startswith("Nothing to show")


class TestProfile:
    def test_the_finding_says_what_sets_segments_apart(self) -> None:
        fig = segment_profile(profiled(), {"orders": "orders a year"})
        assert fig.finding == "2 segments. A: buys often; B: buys seldom"
        assert "orders a year" in words(fig)
        assert [axes.get_label() for axes in fig.axes] == ["A", "B"]
        assert fig.axes[-1].get_xlabel() == "standard deviations from the rest"
        assert "A, 66.7 % (interval" in fig.alt
        assert fig.alt.endswith(".")

    def test_marks_say_what_colours_say(self) -> None:
        fig = segment_profile(profiled())
        marks = {(line.get_marker(), to_hex(line.get_color())) for axes in fig.axes for line in axes.lines
                 if line.get_marker() in ("o", "s", "D")}  # fmt: skip
        assert marks == {("o", style.BLUE), ("s", style.ORANGE), ("D", style.GREY)}

    def test_far_dots_stay_on_the_axis(self) -> None:
        rng, named = np.random.default_rng(4), labels(A=400, B=4)
        far = pd.DataFrame({"x": np.where(named == "B", 1e3, 0) + rng.normal(size=404)})
        fig = segment_profile(segments.profile(far, named))
        assert all(abs(x) <= 3 for axes in fig.axes for line in axes.lines for x in line.get_xdata())
        assert "+10.0" in words(fig)  # the number beside it is the true one: 1,000 over a deviation of 99

    def test_hidden_segments_are_told(self) -> None:
        rng, named = np.random.default_rng(4), labels(A=100, B=6, C=5)
        frame = segments.profile(pd.DataFrame({"x": rng.normal(size=111)}), named, min_n=10)
        assert "hidden: small group" in words(segment_profile(frame))
        assert "nan" not in segment_profile(frame).alt
        assert "hidden: small group" in profile_table(frame)

    def test_table(self) -> None:
        page = profile_table(profiled(), {"orders": "orders a year"})
        assert "buys often" in page
        assert '<th scope="col" class="cx-num">Orders a year, mean</th>' in page
        assert "66.7 %" in page
        assert "Nothing to show" in profile_table(results.empty())

    def test_clusters_that_are_not_clear_are_told(self) -> None:
        why = results.frame(
            metric="clusters", comparison="index", estimate=2, note="no clear segments: 2, 3: no valley"
        )
        told = results.concat(
            [profiled(), why, results.frame(metric="adjusted_rand", level="2 segments", estimate=0.5)]
        )
        assert "No clear segments: of 2 and 3 segments no valley" in words(segment_profile(told))
        assert "adjusted" not in profile_table(told)
        one = segments.profile(pd.DataFrame({"x": np.arange(30.0)}), labels(A=30))
        fig = segment_profile(results.concat([one, why]))
        assert fig.finding == "No clear segments: of 2 and 3 segments no valley"

    def test_share_of_value(self) -> None:
        worth = results.frame(metric="value_share", level=["A", "B"], comparison="share", estimate=[0.9, 0.1])
        table = profile_table(results.concat([profiled(), worth]))
        assert "90.0 %" in table
        assert "A, 66.7 % of customers, hold 90.0 % of the value" in table

    def test_counts_and_money(self) -> None:
        shares = segments.profile(pd.DataFrame({"monetary": np.arange(30.0)}), labels(A=20, B=10))
        table = profile_table(shares)
        assert '<th scope="col" class="cx-num">Customers</th>' in table
        assert '<td class="cx-num">20</td>' in table
        assert "Of 30 customers who have a segment." in table
        assert "€9.50" in table
        assert "€" not in profile_table(shares, units={"monetary": "count"})
        assert "Of 300 customers who have a segment." in words(segment_profile(profiled()))
        assert "Of 400 customers who have spent and said." in words(value_grid(crossed()))

    def test_a_hidden_neighbour_reads_as_the_one_it_protects(self) -> None:
        table = profile_table(segments.profile(pd.DataFrame({"x": np.arange(42.0)}), labels(A=25, B=15, C=2), min_n=5))
        assert "would tell" not in table  # which of two is the small one would tell how small

    def test_the_reason_of_a_whole_frame_is_told(self) -> None:
        why = results.frame(metric="grid", level="all", status=results.UNDEFINED, note="nobody answered nps")
        assert value_grid(why).finding == "Nothing to show: nobody answered nps"

    def test_nothing(self) -> None:
        assert segment_profile(results.empty()).finding == "Nothing to show: the frame holds no profiles of segments"


class TestFlows:
    def test_the_finding(self) -> None:
        fig = flows(moved(), ("September", "October"))
        # Of 200, 30 Pro stayed and 130 Basic; of 60 Pro 30 left; 10 Basic became Pro.
        low, high = (100 * end for end in stats.beta(30 + 1 / 3, 30 + 2 / 3).interval(0.95))
        told = f"80.0 % stayed in their segment; the largest move: 50.0 % ({low:.1f} to {high:.1f} %) of Pro left"
        assert fig.finding == told
        said = words(fig)
        for part in ("September", "October", "Pro 60", "Basic 140", "new 20", "gone 30", "Basic 150", "Pro 40"):
            assert part in said
        assert "Pro (60 customers): 50.0 % to Pro, 50.0 % to gone" in fig.alt

    def test_bands_are_as_wide_as_the_customers(self) -> None:
        bands = [patch for patch in flows(moved()).axes[0].patches if isinstance(patch, PathPatch)]
        wide = sorted(patch.get_path().vertices[6, 1] - patch.get_path().vertices[1, 1] for patch in bands)
        assert np.array(wide) / wide[-1] == pytest.approx(np.array([10, 20, 30, 30, 130]) / 130)
        hatched = {patch.get_hatch() for patch in bands}
        assert hatched == {"", "....", "////"}  # not by colour alone

    def test_hidden_origins_are_told(self) -> None:
        frame = results.suppress(moved(), 30)
        assert "Not drawn, hidden or without customers: new." in words(flows(frame))

    def test_many_long_names(self) -> None:
        rng = np.random.default_rng(2)
        names = [f"{'a segment with a name that is far too long, ' * 2}{i}" for i in range(12)]
        one, other = (pd.Series(rng.choice(names, 600)) for _ in range(2))
        fig = flows(segments.migration(one, other))
        assert fig.get_size_inches()[1] < 9.5
        assert "… 5" in words(fig) or "… 4" in words(fig)  # names are cut, counts are not

    def test_table(self) -> None:
        page = transitions_table(moved())
        assert '<th scope="row">Pro</th>' in page
        assert ">to gone</th>" in page
        assert "37.3 to 62.1 %" in page  # as in the finding of the chart
        assert "Dirichlet-multinomial" in page.partition("<details>")[2]
        assert "Dirichlet-multinomial" not in page.partition("<details>")[0]
        assert "Nothing to show" in transitions_table(results.empty())

    def test_nothing(self) -> None:
        frame = results.suppress(moved(), 1_000)
        assert flows(frame).finding == "Nothing to show: the frame holds no moves that may be shown"
        assert flows(results.empty()).finding.startswith("Nothing to show")

    def test_all_new_and_all_stayed(self) -> None:
        new = segments.migration(pd.Series([], dtype=object), labels(A=3, B=4))
        assert flows(new).finding == "All are new"
        assert flows(segments.migration(labels(A=3), labels(A=3))).finding == "100.0 % stayed in their segment"


class TestGrid:
    def test_the_cell_with_most_value(self) -> None:
        fig = value_grid(crossed(), {"spent": "spend", "said": "likelihood to recommend", "left": "left"})
        assert fig.finding.endswith("likelihood to recommend")
        assert "of customers hold" in fig.finding
        assert "left " in words(fig)
        assert fig.axes[0].get_label() == "grid"
        assert "high x high:" in fig.alt

    def test_hidden_cells(self) -> None:
        fig = value_grid(crossed(min_n=65))
        assert "hidden" in words(fig)
        assert any(patch.get_hatch() for patch in fig.axes[0].patches)
        assert "nan" not in fig.alt
        assert value_grid(crossed(min_n=1_000)).finding.startswith("Nothing to show")
        assert value_grid(results.empty()).finding.startswith("Nothing to show")

    def test_people_only_and_several_outcomes(self) -> None:
        frame = crossed()
        with pytest.raises(UsageError, match="2 grids"):
            value_grid(results.concat([frame, frame.assign(segment="a x b")]))
        assert value_grid(results.concat([profiled(), frame])).finding == value_grid(frame).finding
        people = frame[frame["metric"] == "people_share"]
        assert "of the customers lie in one cell" in value_grid(people).finding
        twice = results.concat([frame, results.label(frame[frame["metric"] == "left"], metric="stayed")])
        with pytest.raises(UsageError, match="2 outcomes"):
            value_grid(twice)
        assert value_grid(twice, outcome="stayed").finding


class TestStability:
    def test_clear_and_not(self) -> None:
        rng = np.random.default_rng(3)
        cloud = pd.DataFrame(rng.normal(size=(120, 2)), columns=["x", "y"])
        none = cluster_stability(segments.cluster(cloud, most=3, bootstrap=4).stability)
        assert none.finding == "No clear segments: no number of segments looked at meets the rule"
        cloud.loc[:60, "x"] += 7
        two = cluster_stability(segments.cluster(cloud, most=3, bootstrap=4).stability)
        assert two.finding == "2 segments are clear: a valley parts every two, and resamples find them again"
        assert "meets the rule" in words(two)
        assert "below 0.001" in two.alt
        assert cluster_stability(results.empty()).finding.startswith("Nothing to show")


@pytest.mark.parametrize(
    ("draw", "make"),
    [
        (segment_sizes, lambda: segments.sizes(labels(Pro=30, Basic=20, Plus=10))),
        (segment_profile, profiled),
        (flows, moved),
        (value_grid, crossed),
    ],
)
def test_same_bytes_no_figure_left_open_and_an_author_s_finding(
    draw: Callable[..., Chart], make: Callable[[], pd.DataFrame]
) -> None:
    import matplotlib.pyplot as plt

    frame = make()
    assert canvas.png(draw(frame)) == canvas.png(draw(frame))
    assert plt.get_fignums() == []
    assert draw(frame, finding="So it is").finding == "So it is"
    assert "nan" not in canvas.alt_text(draw(frame)).lower().split()


def test_names_of_any_kind() -> None:
    name = '<script>alert("1")</script> $x_1$ 顧客'
    frame = segments.migration(pd.Series([name, name, "b"]), pd.Series([name, "b", "b"]))
    assert "<script>" not in canvas.html(flows(frame))
    assert "<script>" not in transitions_table(frame)
    assert "<script>" not in profile_table(segments.sizes(pd.Series([name, name, "b"])))
