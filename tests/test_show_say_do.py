"""Say and do, and repeat purchase, in pictures and tables."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from said_frames import answers

from cxlib import results
from cxlib.analysis import loyalty
from cxlib.show import canvas
from cxlib.show.canvas import Chart
from cxlib.show.repeat import repeat_curve, repeat_table
from cxlib.show.say_do import said_and_did, said_and_did_table, stated_against_done

UNITS, TITLES = {"spend": "money"}, {"churned": "Left", "spend": "Spent"}


def words(fig: Chart) -> str:
    told = " ".join(text.get_text() for text in fig.findobj(mpl.text.Text) if text.get_visible())
    return told.replace("\n", " ").replace("\u00a0", " ")


@pytest.fixture
def frame(rng: np.random.Generator) -> pd.DataFrame:
    return loyalty.say_and_do(answers(rng), window="90 days")


class TestSaidAndDid:
    def test_the_finding_has_the_numbers_of_the_rows(self, frame: pd.DataFrame) -> None:
        fig = said_and_did(frame, units=UNITS, titles=TITLES)
        assert fig.finding.startswith("What they said shows in what they did (detractors against promoters): Left ")
        spent = frame[(frame["metric"] == "spend") & (frame["comparison"] == "level")].set_index("level")["estimate"]
        assert f"Spent €{spent['detractor']:.2f} against €{spent['promoter']:.2f}" in fig.finding

    def test_rare_things_are_told_for_100_answers(self) -> None:
        rows: dict[str, Any] = {"metric": "referrals", "segment": "said", "at": "180 days", "n": 900, "method": "t"}
        ends = {"conf_low": [0.03, 0.009], "conf_high": [0.043, 0.019]}
        level = results.frame(level=["promoter", "detractor"], estimate=[0.0361, 0.0138], **ends, **rows)
        change = results.frame(
            level="detractor", against="promoter", comparison="difference", estimate=-0.0223, conf_low=-0.03,
            conf_high=-0.015, **rows,
        )  # fmt: skip
        found = results.concat([level, change])
        assert said_and_did(found).finding.endswith(": recommendations made 1 against 4 in 100 answers")
        table = said_and_did_table(found)
        assert "recommendations made in 100 answers" in table
        assert "3.61<br><small>3.00 to 4.30</small>" in table
        often = found.assign(**{end: 10 * found[end] for end in ("estimate", "conf_low", "conf_high")})
        assert said_and_did(often).finding.endswith(": recommendations made 0.14 against 0.36 an answer")

    def test_the_picture(self, frame: pd.DataFrame) -> None:
        fig = said_and_did(frame, units=UNITS, titles=TITLES)
        assert len(fig.axes) == 3
        for part in ("Left, percent", "Spent, EUR", "promoter", "Within 90 days after the answer", "pp", "≠"):
            assert part in words(fig)
        assert all(axes.get_xlim()[0] == 0 for axes in fig.axes)
        alt = canvas.alt_text(fig)
        assert alt.count("interval") >= 15
        assert "nan" not in alt

    def test_nothing_that_is_not_shown_is_told(self, frame: pd.DataFrame) -> None:
        fig = said_and_did(frame.assign(conf_low=-1.0, conf_high=1.0))
        assert "is not shown to matter for what they did" in fig.finding
        judged = said_and_did(frame.assign(verdict=np.where(frame["comparison"] == "difference", "not shown", "")))
        assert "is not shown to matter" in judged.finding

    def test_hidden_and_missing_groups(self, rng: np.random.Generator) -> None:
        few = loyalty.say_and_do(answers(rng, 20), min_n=15)
        assert "hidden: small group" in words(said_and_did(few))
        all_hidden = said_and_did(loyalty.say_and_do(answers(rng, 8), min_n=100))
        assert all_hidden.finding == "What they did afterwards: too few answers to compare"
        assert said_and_did(results.empty()).finding.startswith("Nothing to show")

    def test_the_table(self, frame: pd.DataFrame) -> None:
        table = said_and_did_table(frame.replace({"level": {"passive": "<b>passive"}}), units=UNITS)
        assert "<b>" not in table
        for part in ("different", "Welch, cluster-robust", "Within 90 days after the answer", "€"):
            assert part in table
        assert "Nothing to show" in said_and_did_table(results.empty())

    def test_same_bytes_in_any_order(self, frame: pd.DataFrame) -> None:
        first, second = said_and_did(frame), said_and_did(frame.sort_values(["metric"], kind="stable"))
        assert first.finding.split(": ")[0] == second.finding.split(": ")[0]
        assert canvas.png(first) == canvas.png(said_and_did(frame))


class TestStated:
    def test_the_picture(self, rng: np.random.Generator) -> None:
        given = answers(rng).assign(referred=lambda t: (t["referrals"] > 0).astype(float))
        fig = stated_against_done(loyalty.calibration(given), what="referred somebody")
        assert "referred somebody: each point more goes with +" in fig.finding
        assert "of those who said 10" in fig.finding
        line = next(line for line in fig.axes[0].lines if len(line.get_xdata()) > 2)
        assert list(line.get_ydata()) == pytest.approx([10 * at for at in line.get_xdata()])
        assert "score given" in words(fig)

    def test_no_rise(self, rng: np.random.Generator) -> None:
        given = answers(rng, 100).assign(referred=lambda t: rng.integers(0, 2, len(t)))
        assert "no rise with the score is shown" in stated_against_done(loyalty.calibration(given)).finding
        hidden = stated_against_done(loyalty.calibration(given, min_n=1_000))
        assert "hidden: small group" in hidden.finding
        assert stated_against_done(results.empty()).finding.startswith("Nothing to show")


class TestRepeat:
    def orders(self, rng: np.random.Generator, people: int = 200, groups: int = 3) -> pd.DataFrame:
        who = np.tile(np.arange(people), 3)
        day = rng.integers(0, 300, who.size)
        names = np.array([f"channel {number} {'long ' * 8}" for number in range(groups)])
        return pd.DataFrame({
            "customer_id": who, "ordered_at": pd.Timestamp("2026-01-01") + pd.to_timedelta(day, unit="D"),
            "channel": names[who % groups],
        })  # fmt: skip

    def test_one_line(self, rng: np.random.Generator) -> None:
        found = loyalty.repeat_purchase(self.orders(rng), end="2026-11-30", windows=range(10, 201, 10))
        fig = repeat_curve(found)
        row = found[found["at"] == "200"].iloc[0]
        assert fig.finding.startswith(f"{100 * row['estimate']:.1f} % buy again within 200 days (")
        line = fig.axes[0].lines[0]
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (0, 0)
        assert line.get_ydata()[-1] == pytest.approx(100 * row["estimate"])
        assert "days since the purchase" in words(fig)

    def test_groups(self, rng: np.random.Generator) -> None:
        found = loyalty.repeat_purchase(self.orders(rng, 400, 9), end="2026-11-30", by="channel")
        fig = repeat_curve(found)
        assert "Not drawn: 4 smaller or hidden groups" in words(fig)
        assert "Within " in fig.finding
        styles = {(line.get_color(), line.get_linestyle()) for line in fig.axes[0].lines}
        assert len(styles) == 5
        table = repeat_table(found)
        assert "Median wait" in table
        assert "within 30 days" in table

    def test_nothing(self, rng: np.random.Generator) -> None:
        assert repeat_curve(results.empty()).finding.startswith("Nothing to show")
        hidden = loyalty.repeat_purchase(self.orders(rng), end="2026-11-30", min_n=10_000)
        assert repeat_curve(hidden).finding.startswith("Nothing to show")
        assert "hidden: small group" in repeat_table(hidden)
        assert "Nothing to show" in repeat_table(results.empty())

    def test_same_bytes(self, rng: np.random.Generator) -> None:
        found = loyalty.repeat_purchase(self.orders(rng), end="2026-11-30")
        assert canvas.png(repeat_curve(found)) == canvas.png(repeat_curve(found))
