"""The link to money in pictures and tables: what is said is what the rows hold, no more."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from link_panels import leavers, panel
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.analysis import value
from cxlib.errors import UsageError
from cxlib.show import canvas, style
from cxlib.show.canvas import Chart
from cxlib.show.money import link_effect, link_table
from cxlib.show.worth import worth_chart, worth_table


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


def rows(main: tuple[float, float, float, float], control: tuple[float, float, float, float]) -> pd.DataFrame:
    """Return a link as `value.link` gives it, from (estimate, limits, p) of the effect and of the control."""
    names = ("estimate", "conf_low", "conf_high", "p_value")
    base = {"level": "nps", "against": "a point less", "n": 900, "n_eff": 300}
    effect = {"metric": "spend", "at": "1", "method": "double-filter", **base}
    money = [part * 50 for part in main[:3]]
    return results.concat([
        results.frame(comparison="relative", **effect, **dict(zip(names, main, strict=True))),
        results.frame(comparison="difference", **effect, **dict(zip(names, [*money, main[3]], strict=True))),
        results.frame(metric="spend", at="-1", comparison="relative", estimate=0.01, conf_low=-0.02, conf_high=0.04,
                      p_value=0.5, method="fixed-effects Poisson", **base),
        results.frame(metric="bills", at="1", comparison="relative", **base, **dict(zip(names, control, strict=True))),
    ])  # fmt: skip


SHOWN, NOTHING = (0.10, 0.06, 0.14, 0.0001), (0.0, -0.02, 0.02, 0.9)
HELD = rows(SHOWN, NOTHING)


class TestEffect:
    def test_what_the_title_claims(self) -> None:
        cases = {
            "Spend +10.0 % (+€5.00 a period, +€3.00 to +€7.00) follows a point more of nps; 2 checks": HELD,
            "follows a point more of nps; 2 checks found nothing else": HELD,
            "goes with a point more of nps, but so does what it cannot touch: no effect is shown":
                rows(SHOWN, (0.05, 0.02, 0.08, 0.001)),
            "no check could have found anything else behind it": rows(SHOWN, (0.0, -0.3, 0.3, 0.9)),
            "Spend and nps: no link is shown (a point more: −1.0 to +5.0 %)": rows((0.02, -0.01, 0.05, 0.2), NOTHING),
        }  # fmt: skip
        for title, frame in cases.items():
            assert title in link_effect(frame).finding
            assert "cause" not in link_effect(frame).finding

    def test_a_check_that_finds_something_is_told_where_the_effect_is_not_shown(self) -> None:
        before = dict(zip(("estimate", "conf_low", "conf_high", "p_value"), (-0.05, -0.08, -0.02, 0.001), strict=True))
        frame = rows((0.02, -0.01, 0.05, 0.2), NOTHING)
        moving = frame.assign(**{key: frame[key].mask(frame["at"] == "-1", value) for key, value in before.items()})
        told = "Found by the checks to go with it: spend in the period before."
        assert told in link_table(moving)
        assert told in words(link_effect(moving))
        assert "Found by the checks" not in link_table(frame)

    def test_leaving_says_who_is_compared(self) -> None:
        leaving = HELD[HELD["at"] == "1"].assign(method="hazard ratio less 1, complementary log-log")
        leaving = results.conform(leaving.assign(metric=leaving["metric"].replace("spend", "churned")))
        title = link_effect(leaving).finding
        assert title.endswith("among customers alike in what is known of them follows a point more of nps; "
                              "one check found nothing else")  # fmt: skip

    def test_the_picture(self) -> None:
        fig = link_effect(HELD, titles={"spend": "Spend", "bills": "Invoices"})
        said = words(fig)
        for part in ("Spend in the period after", "Spend in the period before", "Invoices, which it cannot touch",
                     "finds nothing", "shown", "percent more or less", "+6.0 to +14.0 %"):  # fmt: skip
            assert part in said
        marks = [line for line in fig.axes[0].lines if line.get_marker() in ("o", "s")]
        assert [to_hex(mark.get_markerfacecolor()) for mark in marks] == [style.BLUE, style.PAPER, style.PAPER]
        assert [line.get_marker() for line in marks] == ["o", "s", "s"]

    def test_alt_text(self) -> None:
        alt = canvas.alt_text(link_effect(HELD))
        assert "bills, which it cannot touch: 0.0 % (interval −2.0 to +2.0 %, n 900), finds nothing" in alt
        assert "nan" not in alt
        assert alt.endswith(".")

    def test_two_links_in_one_frame(self, rng: np.random.Generator) -> None:
        frame = leavers(rng, 500)
        both = results.concat([value.link(frame), value.link_churn(frame, segments=["plan"])])
        with pytest.raises(UsageError, match="spend and churned"):
            link_effect(both)
        spend, left = (link_effect(both, outcome=name) for name in ("spend", "churned"))
        assert "spend in the period before" in words(spend)
        assert "any visits" not in words(spend)
        assert "any visits, which it cannot touch" in words(left)
        assert "customers who are alike" in words(left)
        assert "customers who are alike" in link_table(both, outcome="churned")

    def test_rows_without_a_number(self, rng: np.random.Generator) -> None:
        frame = panel(rng, 60, 8)
        fig = link_effect(value.link(frame.drop(columns="visits")))
        assert "no negative control" in words(fig)
        few = link_effect(value.link(frame[frame["customer_id"] < "C00005"]))
        assert few.finding.startswith("Nothing to show: Spend: 5 customers have an answer")
        assert link_effect(value.link(frame, min_n=1_000)).finding.startswith("Nothing to show")
        assert link_effect(results.empty()).finding.startswith("Nothing to show")

    def test_many_controls_and_long_names(self) -> None:
        extra = HELD[HELD["metric"] == "bills"]
        frame = results.concat(
            [HELD, *(results.label(extra, metric=f"control {n} {'long ' * 12}<b>") for n in range(24))]
        )
        fig = link_effect(frame)
        assert fig.get_size_inches()[1] < 16
        assert "<b>" not in canvas.html(fig)

    def test_same_bytes_and_any_order(self) -> None:
        assert canvas.png(link_effect(HELD)) == canvas.png(link_effect(HELD[::-1]))


class TestTable:
    def test_the_table(self) -> None:
        table = link_table(HELD.replace({"metric": {"bills": "<i>bills"}}))
        assert "<i>" not in table
        for part in ("+10.0 %", "+€5.00", "Evidence: held up", "double-filter", "spend in the period before"):
            assert part in table

    def test_noise_taken_out_is_a_row_of_its_own(self, rng: np.random.Generator) -> None:
        table = link_table(value.link(panel(rng, 300, 8, noise=0.4), second="second"))
        assert "noise of single answers taken out" in table
        assert "errors in variables" in table

    def test_nothing(self) -> None:
        assert "Nothing to show" in link_table(results.empty())


def worth(rng: np.random.Generator, horizon: int = 12) -> pd.DataFrame:
    panel_ = leavers(rng, 800)
    return value.worth(value.fit_link(panel_), value.fit_churn(panel_), customers=20_000, horizon=horizon, margin=0.4)


class TestWorth:
    def test_the_sum_is_the_title(self, rng: np.random.Generator) -> None:
        frame = worth(rng)
        fig = worth_chart(frame)
        assert "A point more for 20,000 customers over 12 periods" in fig.finding
        assert "stay longer" in words(fig)
        assert "EUR" in words(fig)
        bars = [patch for patch in fig.axes[0].patches if isinstance(patch, mpl.patches.Rectangle)]
        assert [bar.get_width() for bar in bars] == pytest.approx(frame["estimate"] / _factor(fig, frame))
        alt = canvas.alt_text(fig)
        assert "both: " in alt
        assert "nan" not in alt

    def test_the_evidence_stands_beside_the_money(self, rng: np.random.Generator) -> None:
        panel_ = leavers(rng, 500)
        money = value.worth(value.fit_link(panel_), value.fit_churn(panel_), customers=100)
        told = words(worth_chart(results.concat([value.link(panel_), value.link_churn(panel_), money])))
        assert "Evidence: spend not shown, churned " in told

    def test_hollow_where_nothing_is_shown(self, rng: np.random.Generator) -> None:
        frame = worth(rng).assign(p_value=0.4)
        fig = worth_chart(frame)
        assert "no gain is shown" in fig.finding
        faces = {to_hex(patch.get_facecolor()) for patch in fig.axes[0].patches}
        assert faces == {style.PAPER}

    def test_a_part_that_is_not_there_yet(self, rng: np.random.Generator) -> None:
        assert "from the second period on" in words(worth_chart(worth(rng, horizon=1)))

    def test_nothing(self) -> None:
        assert worth_chart(results.empty()).finding.startswith("Nothing to show")
        assert worth_chart(HELD).finding.startswith("Nothing to show")


class TestWorthTable:
    def test_the_sum_is_the_title(self, rng: np.random.Generator) -> None:
        frame = worth(rng)
        table = worth_table(frame)
        assert "A point more for 20,000 customers over 12 periods" in table
        for part in (f"€{frame['estimate'].iloc[-1]:,.0f}", "Stay longer", "Both", "to +€", ">shown<"):
            assert part in table

    def test_the_evidence_stands_beside_the_money(self, rng: np.random.Generator) -> None:
        panel_ = leavers(rng, 500)
        money = value.worth(value.fit_link(panel_), value.fit_churn(panel_), customers=100)
        table = worth_table(results.concat([value.link(panel_), value.link_churn(panel_), money]))
        assert "Evidence: spend not shown, churned " in table

    def test_hollow_where_nothing_is_shown(self, rng: np.random.Generator) -> None:
        table = worth_table(worth(rng).assign(p_value=0.4))
        assert "no gain is shown" in table
        assert table.count(">not shown<") == 3

    def test_a_part_that_is_not_there_yet(self, rng: np.random.Generator) -> None:
        table = worth_table(worth(rng, horizon=1))
        assert "from the second period on" in table
        assert "nan" not in table

    def test_nothing(self) -> None:
        assert "Nothing to show" in worth_table(results.empty())
        assert "Nothing to show" in worth_table(HELD)

    def test_text_is_escaped(self, rng: np.random.Generator) -> None:
        frame = worth(rng)
        table = worth_table(frame, titles={frame["level"].iloc[0]: "<b>more"})
        assert "<b>more" not in table
        assert "&lt;b&gt;more" in table


def _factor(fig: Chart, frame: pd.DataFrame) -> float:
    """Return what money on the axis is divided by: millions from a million on."""
    return 1e6 if "million" in fig.axes[0].get_xlabel() else 1.0
