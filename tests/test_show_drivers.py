"""Charts and tables of drivers: what is drawn, what is said, and what may not be said."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cxlib import results
from cxlib.analysis import drivers
from cxlib.show import canvas, style
from cxlib.show.canvas import Chart
from cxlib.show.causes import cause_table, cause_tree
from cxlib.show.compared import importance_compared, importance_compared_table
from cxlib.show.drivers import driver_effects, driver_importance, driver_table, narrowed
from cxlib.show.priorities import importance_performance
from tests.show_frames import metric

NAMES = {"y": "satisfaction", "wait": "waiting time", "staff": "friendly staff"}
LEAVES = {"wait": "service", "staff": "service", "source": "mix"}
CHARTS = (driver_importance, driver_effects, importance_performance, importance_compared, cause_tree)
TABLES = (driver_table, importance_compared_table, cause_table)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def answers(rng: np.random.Generator, n: int = 600, wait: float = 5.0, partner: float = 0.2) -> pd.DataFrame:
    frame = pd.DataFrame(
        {"wait": rng.exponential(wait, n), "staff": rng.normal(4, 1, n), "colour": rng.normal(3, 1, n)}
    )
    frame["source"] = rng.choice(["organic", "partner"], n, p=[1 - partner, partner])
    y = 70 - 2 * frame["wait"] + 3 * frame["staff"] - 15 * (frame["source"] == "partner")
    return frame.assign(y=y + rng.normal(0, 6, n))


def fitted(rng: np.random.Generator, **how: object) -> drivers.DriverFit:
    return drivers.fit(answers(rng), "y", ["wait", "staff", "colour"], **{"bootstrap": 200, **how})


def whole(rng: np.random.Generator) -> pd.DataFrame:
    fit = fitted(rng)
    return results.concat([fit.importance(), fit.ranks(), fit.coefficients()])


def given(importance: dict[str, float], performance: dict[str, float], half: float) -> pd.DataFrame:
    """Return importance and performance with intervals of `half` to both sides (importance: a tenth of it)."""
    parts = []
    for name, values, scale, kind in (
        ("importance", importance, 0.1, "share"),
        ("performance", performance, 1.0, "level"),
    ):
        value = np.array(list(values.values()))
        parts.append(results.frame(
            metric=name, segment="driver", level=list(values), comparison=kind, against="y", estimate=value, n=500.0,
            conf_low=np.maximum(value - half * scale, 0), conf_high=value + half * scale,
        ))  # fmt: skip
    return results.concat(parts)


def changed(rng: np.random.Generator, **how: object) -> pd.DataFrame:
    before, after = answers(rng, 1_500), answers(rng, 1_500, wait=7.0, partner=0.4)
    names = list(LEAVES)
    return drivers.root_causes(
        before, after, "y", names, LEAVES, labels=("2026-09", "2026-10"), **{"bootstrap": 200, **how}
    )


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


class TestImportance:
    def test_finding_and_figures(self, rng: np.random.Generator) -> None:
        frame = whole(rng)
        fig = driver_importance(frame, names=NAMES)
        assert fig.finding.startswith("Waiting time goes most with satisfaction: ")
        assert "all 3 drivers together" in fig.finding
        said, alt = words(fig), canvas.alt_text(fig)
        for part in ("waiting time", "friendly staff", "colour", "1 to 1", "percent of the variance of satisfaction"):
            assert part in said
        assert "waiting time: " in alt
        assert "rank 1 (may be 1 to 1)" in alt
        assert "one point more −2" in alt
        assert "nan" not in alt + said

    def test_bars_are_the_shares(self, rng: np.random.Generator) -> None:
        frame = whole(rng)
        fig = driver_importance(frame)
        shares = frame[frame["comparison"] == "share"].sort_values("estimate", ascending=False)
        bars = [patch for patch in fig.axes[0].patches if isinstance(patch, mpl.patches.Rectangle)]
        assert [bar.get_width() for bar in bars] == pytest.approx((100 * shares["estimate"]).tolist())
        # "perhaps none" is pale, and its interval begins at 0: no colour says what the line does not.
        assert [to_hex(bar.get_facecolor()) == style.BLUE for bar in bars] == (shares["conf_low"] > 0).tolist()
        assert (shares["conf_low"] > 0).tolist() == [True, True, False]

    def test_no_leader_is_named_where_none_is_shown(self, rng: np.random.Generator) -> None:
        table = rng.normal(size=(80, 3))
        frame = pd.DataFrame(table, columns=list("abc")).assign(y=table.sum(axis=1) + rng.normal(size=80))
        fit = drivers.fit(frame, "y", list("abc"), bootstrap=200)
        fig = driver_importance(results.concat([fit.importance(), fit.ranks()]))
        assert "may each go most with y" in fig.finding

    def test_a_unit_of_the_outcome(self, rng: np.random.Generator) -> None:
        fit = fitted(rng)
        frame = results.concat([fit.importance(), fit.coefficients()])
        assert "points" in words(driver_importance(frame, unit="points"))

    def test_hidden_and_unknown_drivers_are_told(self, rng: np.random.Generator) -> None:
        frame = answers(rng).assign(flat=1.0)
        frame.loc[frame.index[30:], "colour"] = np.nan
        found = drivers.importance(frame, "y", ["wait", "flat", "colour"], bootstrap=50, min_n=100)
        fig, table = driver_importance(found), driver_table(found)
        assert "Not shown: flat (all its answers are equal) and colour (fewer answers than may be shown)." in words(fig)
        assert "hidden: small group" in table
        assert "not available" in table

    def test_without_intervals(self, rng: np.random.Generator) -> None:
        fit = fitted(rng, bootstrap=0)
        fig = driver_importance(results.concat([fit.importance(), fit.ranks(), fit.coefficients()]))
        assert "no interval" in words(fig)
        assert "nan" not in canvas.alt_text(fig)

    def test_the_table(self, rng: np.random.Generator) -> None:
        frame = whole(rng).replace({"level": {"staff": "<b>staff</b>"}})
        table = driver_table(frame)
        assert "&lt;b&gt;staff" in table
        assert "<b>staff" not in table
        assert "more of it goes with less y" in table
        assert "LMG, share of R2, percentile bootstrap" in table
        bare = driver_table(frame[frame["comparison"] == "share"])
        assert "Rank" not in bare
        assert "Per point" not in bare

    def test_names_keep_their_ends(self) -> None:
        lines = narrowed("how satisfied were you with the people at counter 7", 1.6, 8.5, 1)
        assert len(lines) == 1
        assert lines[0].startswith("how")
        assert lines[0].endswith("… 7")


class TestEffects:
    def test_finding_and_figures(self, rng: np.random.Generator) -> None:
        fig = driver_effects(fitted(rng).coefficients(), names=NAMES)
        assert fig.finding.startswith(
            "One point more goes with a different satisfaction above all for friendly staff (+"
        )
        assert "waiting time (−" in fig.finding
        assert "1 of 3 not shown to matter" in fig.finding
        assert "against one point less" in canvas.alt_text(fig)
        marks = {
            line.get_marker(): to_hex(line.get_markerfacecolor())
            for line in fig.axes[0].lines
            if line.get_marker() in "os"
        }
        assert style.ORANGE in marks.values()

    def test_levels_of_a_category(self, rng: np.random.Generator) -> None:
        found = drivers.coefficients(answers(rng), "y", ["wait", "source"], bootstrap=100)
        fig = driver_effects(found, names={"source": "where from"}, unit="points")
        assert "where from: partner" in words(fig)
        assert "against organic" in canvas.alt_text(fig)

    def test_nothing_shown(self, rng: np.random.Generator) -> None:
        frame = pd.DataFrame({"y": rng.normal(size=60), "a": rng.normal(size=60)})
        found = drivers.coefficients(frame, "y", ["a"], bootstrap=100)
        assert driver_effects(found).finding == "None of 1 drivers is shown to go with more or less y"


class TestPriorities:
    def test_what_to_mend_first(self) -> None:
        importance = {"wait": 0.3, "staff": 0.2, "colour": 0.01, "music": 0.02}
        frame = given(importance, {"wait": 40.0, "staff": 80.0, "colour": 50.0, "music": 90.0}, 0.1)
        fig = importance_performance(frame, names=NAMES)
        assert (
            fig.finding
            == "Mend first: waiting time, which matters more for satisfaction than the average driver and goes worse"
        )
        alt = canvas.alt_text(fig)
        for part in (
            "waiting time: importance 30.0 %",
            "mend first.",
            "friendly staff",
            "keep up.",
            "can wait.",
            "more than needed.",
        ):
            assert part in alt

    def test_what_may_be_chance_is_not_told_as_a_fact(self) -> None:
        frame = given({"wait": 0.3, "staff": 0.2, "colour": 0.01}, {"wait": 60.0, "staff": 62.0, "colour": 61.5}, 20.0)
        fig = importance_performance(frame)
        assert fig.finding == "Nothing is shown to matter more for y and go worse than average; perhaps wait"
        faces = {
            to_hex(line.get_markerfacecolor())
            for line in fig.axes[0].lines
            if line.get_marker() in ("s", "o", "D", "^")
        }
        assert faces == {style.PAPER}

    def test_all_goes_well(self) -> None:
        frame = given({"wait": 0.3, "staff": 0.01}, {"wait": 90.0, "staff": 10.0}, 1.0)
        assert (
            importance_performance(frame).finding
            == "No driver that matters more than average for y goes worse than average"
        )

    def test_twenty_five_drivers_have_each_their_number(self, rng: np.random.Generator) -> None:
        names = [f"driver {i}" for i in range(25)]
        frame = given(
            dict(zip(names, rng.uniform(0, 0.1, 25), strict=True)),
            dict(zip(names, rng.uniform(3, 4, 25), strict=True)),
            0.1,
        )
        said = [text.get_text() for text in importance_performance(frame).findobj(mpl.text.Text)]
        assert all(said.count(str(number)) >= 2 for number in range(1, 26))  # in the picture and in the list


class TestSteps:
    """A driver that is yes or no has no point more."""

    def frame(self, rng: np.random.Generator) -> pd.DataFrame:
        return answers(rng).assign(late=lambda t: (t["wait"] > 8).astype(float))

    def test_yes_or_no_beside_points(self, rng: np.random.Generator) -> None:
        fit = drivers.fit(self.frame(rng), "y", ["staff", "late"], bootstrap=100)
        frame = results.concat([fit.importance(), fit.coefficients()])
        assert dict(zip(frame["level"], frame["against"], strict=True)) == {"staff": "one point less", "late": "no"}
        table = driver_table(frame)
        assert "Per point or yes instead of no" in table
        assert table.count("<small>yes instead of no</small>") == table.count("<small>one point more</small>") == 1
        fig = driver_importance(frame)
        assert "late: " in fig.alt
        assert ", yes instead of no " in fig.alt
        assert "(yes)" in words(fig)

    def test_alone(self, rng: np.random.Generator) -> None:
        fit = drivers.fit(self.frame(rng), "y", ["late"], bootstrap=100)
        frame = results.concat([fit.importance(), fit.coefficients()])
        assert ">Yes instead of no</th>" in driver_table(frame)
        assert driver_effects(frame).finding.startswith("Yes instead of no goes with a different y above all for late")

    def test_effects_of_an_ordered_logit_say_so_too(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng).assign(y=lambda t: pd.cut(t["y"], [-np.inf, 55, 65, 75, np.inf], labels=False) + 1.0)
        found = drivers.effects(frame, "y", ["staff", "late"])
        assert found["against"].tolist() == ["one point less", "no"]
        assert "against no." in driver_effects(found).alt

    def test_more_goes_with_less_only_where_shown(self, rng: np.random.Generator) -> None:
        noise = pd.DataFrame({name: rng.normal(size=200) for name in "abcdefy"})
        fit = drivers.fit(noise, "y", list("abcdef"), bootstrap=200)
        told = fit.importance().set_index("level")["note"].str.contains("goes with less")
        high = fit.coefficients().set_index("level")["conf_high"]
        assert (told == (high < 0)).all()
        assert (fit.coefficients()["estimate"] < 0).sum() > told.sum()

    def test_the_reason_of_a_whole_frame_is_told(self) -> None:
        note = "no driver has an answer"
        why = results.frame(metric="drivers", level="all", status=results.UNDEFINED, note=note)
        assert driver_importance(why).finding == driver_effects(why).finding == f"Nothing to show: {note}"
        assert f"Nothing to show: {note}." in driver_table(why)


class TestFewThemes:
    def frame(self, rng: np.random.Generator) -> pd.DataFrame:
        """Two drivers of one theme, so that what customers say of them is the same; an experiment on one."""
        base: dict[str, Any] = {"n": 500.0, "std_error": 0.01}
        stated = results.frame(
            level=["wait", "staff"], estimate=0.05, conf_low=0.04, conf_high=0.06, method="stated, wilson", **base
        )
        tried = results.frame(
            level="wait", estimate=0.27, conf_low=0.17, conf_high=0.38, comparison="difference", method="Welch",
            note="Faster lines, 2026-04-01 to 2026-06-30", **base,
        )  # fmt: skip
        return drivers.compare(stated, fitted(rng), tried)

    def test_no_order_is_compared(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng)
        assert importance_compared(frame).finding == "Too few drivers with a theme to compare orders"
        table = importance_compared_table(frame)
        assert "Too few drivers with a theme to compare orders" in table
        assert "Kendall" not in table.partition("<details>")[0]
        assert "rank 1" not in table
        assert "5.0 %" in table

    def test_an_experiment_is_named(self, rng: np.random.Generator) -> None:
        table = importance_compared_table(self.frame(rng))
        assert "+0.27 by Faster lines<br><small>+0.17 to +0.38</small><br><small>2026-04-01 to 2026-06-30" in table


class TestCompared:
    def frame(self, rng: np.random.Generator) -> pd.DataFrame:
        stated = results.frame(
            metric="importance", level=["wait", "staff", "colour"], estimate=[3.0, 4.0, 5.0], std_error=0.05, n=300.0,
            conf_low=[2.9, 3.9, 4.9], conf_high=[3.1, 4.1, 5.1], method="stated, t",
        )  # fmt: skip
        return drivers.compare(stated, fitted(rng))

    def test_what_disagrees(self, rng: np.random.Generator) -> None:
        frame = self.frame(rng)
        fig = importance_compared(frame, names=NAMES)
        assert fig.finding == "Stated and derived importance disagree about waiting time and colour, of 3 drivers"
        said, alt = words(fig), canvas.alt_text(fig)
        assert "colour: said to matter more than it shows (stated 1, derived 3)" in said
        assert "Kendall's tau, from −1 to +1): stated and derived −1.00" in said
        assert "waiting time: stated rank 3 (sure), derived rank 1 (sure); matters more than customers say" in alt
        table = importance_compared_table(frame, names=NAMES)
        assert "Customers say it matters" in table
        assert "3.00" in table
        assert "rank 3, sure" in table
        assert "matters more than customers say (stated 3, derived 1)" in table

    def test_one_experiment_stands_beside_the_ranks(self, rng: np.random.Generator) -> None:
        tried = results.frame(level=["wait"], estimate=[0.4], conf_low=[0.2], conf_high=[0.6], std_error=0.1, n=900.0)
        frame = results.concat([self.frame(rng), results.label(tried, metric="importance", at="experimental")])
        fig = importance_compared(frame)
        assert "experiment +0.40 (+0.20 to +0.60)" in words(fig)
        assert "experiment +0.40 (+0.20 to +0.60)" in canvas.alt_text(fig)
        table = importance_compared_table(frame)
        assert "Experiments: points" in table
        assert "+0.40" in table

    def test_agreement(self) -> None:
        one = results.frame(level=["a", "b"], estimate=[1.0, 2.0], std_error=0.01, n=99.0)
        fig = importance_compared(drivers.compare(derived=one, experimental=one))
        assert fig.finding == "No disagreement about what matters is shown between derived and experimental importance"


class TestCauses:
    def test_the_tree(self, rng: np.random.Generator) -> None:
        frame = changed(rng)
        fig = cause_tree(frame, names=NAMES)
        assert fig.finding.startswith("Satisfaction: −")
        assert "against September 2026; it went with service −" in fig.finding
        assert "(waiting time) and mix −" in fig.finding
        said, alt = words(fig), canvas.alt_text(fig)
        for part in ("Service", "Mix", "Unexplained", "Change", "mean ", "product (no driver of this leaf was given)"):
            assert part in said
            assert part in alt
        bars = [patch for patch in fig.axes[0].patches if isinstance(patch, mpl.patches.Rectangle)]
        parts = frame[(frame["status"] == "ok") & (frame["comparison"] == "difference")]
        assert sorted(bar.get_width() for bar in bars) == pytest.approx(sorted(parts["estimate"]))
        filled = [bar for bar in bars if to_hex(bar.get_facecolor()) == style.ORANGE]
        assert all(bar.get_width() < 0 for bar in filled)

    def test_a_metric_s_own_words(self, rng: np.random.Generator) -> None:
        of = metric("wait_p50", unit="percent", higher_is_better=False)
        fig = cause_tree(changed(rng), of)
        assert fig.finding.startswith(of.title)
        assert " pp" in fig.finding
        filled = {to_hex(bar.get_facecolor()) for bar in fig.axes[0].patches}
        assert style.BLUE in filled  # less of it is better
        assert style.ORANGE not in filled

    def test_nothing_is_claimed_where_nothing_is_shown(self, rng: np.random.Generator) -> None:
        frame = drivers.root_causes(answers(rng, 200), answers(rng, 200), "y", list(LEAVES), LEAVES, bootstrap=100)
        assert cause_tree(frame).finding == "Y: no change shown against before, nor for any leaf"

    def test_the_table(self, rng: np.random.Generator) -> None:
        table = cause_table(changed(rng), names={"wait": "<i>wait</i>"})
        assert "&lt;i&gt;wait" in table
        assert 'scope="rowgroup" rowspan="3"' in table  # service and its two drivers
        assert "Oaxaca-Blinder" in table
        assert "Not looked at or not known: channel, digital and product (no driver of this leaf was given)." in table


class TestAll:
    @pytest.mark.parametrize("draw", CHARTS)
    def test_nothing_to_show(self, draw) -> None:
        assert (
            draw(results.empty()).finding.startswith("Nothing to show: the frame holds no")
            or draw is importance_performance
        )
        assert draw(results.empty(), finding="Ours").finding == "Ours"

    @pytest.mark.parametrize("draw", [*CHARTS, *TABLES])
    def test_all_hidden(self, rng: np.random.Generator, draw) -> None:
        fit = fitted(rng, min_n=10_000)
        frames = {cause_tree: changed(rng, min_n=10_000), cause_table: changed(rng, min_n=10_000)}
        frame = frames.get(draw, results.concat([fit.importance(), fit.coefficients()]))
        said = draw(frame)
        assert "fewer answers than may be shown" in (said if isinstance(said, str) else said.finding)

    def test_same_bytes_whatever_the_order(self, rng: np.random.Generator) -> None:
        import matplotlib.pyplot as plt

        frame, moved = whole(rng), changed(rng)
        assert canvas.png(driver_importance(frame)) == canvas.png(driver_importance(frame.iloc[::-1]))
        assert canvas.png(cause_tree(moved)) == canvas.png(cause_tree(moved.iloc[::-1]))
        assert plt.get_fignums() == []

    def test_names_of_any_kind(self, rng: np.random.Generator) -> None:
        names = ['<script>alert("1")</script>', "$x_1$ 顧客 " + "long " * 40]
        frame = pd.DataFrame(rng.normal(size=(60, 2)), columns=names).assign(y=rng.normal(size=60))
        fit = drivers.fit(frame, "y", names, bootstrap=50)
        page = canvas.html(driver_importance(results.concat([fit.importance(), fit.ranks()])))
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
