"""Charts and tables of what customers say: what is drawn, what is said, and what is escaped."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.analysis.voice import rates, scored, worth
from cxlib.analysis.voice.novelty import ALARM, REST, TERM
from cxlib.analysis.voice.sentiment import CHECK, SENTIMENT
from cxlib.show import canvas
from cxlib.show.mood import mood_table
from cxlib.show.novelty import candidates_table, new_words_table
from cxlib.show.quotes import quoted, quotes_table
from cxlib.show.theme_lines import lines
from cxlib.show.theme_table import codebook_table, theme_table
from cxlib.show.theme_time import theme_time
from cxlib.show.themes import theme_shares
from tests.show_frames import LAST, METRICS, MONTHS

SCORES = {"csat_mean": METRICS["ces_mean"].model_copy(update={"id": "csat_mean", "title": "Satisfaction"})}


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows(metric: str, estimates: dict[str, float | None], half: float = 0.01, **more: object) -> pd.DataFrame:
    """Return a row a theme; None for a hidden one."""
    names = list(estimates)
    value = np.array([np.nan if estimates[name] is None else estimates[name] for name in names])
    status = [results.SUPPRESSED if estimates[name] is None else results.OK for name in names]
    about = {"segment": "theme", "period": LAST, "n": 500.0, **more}
    return results.frame(
        metric=metric,
        level=names,
        estimate=value,
        conf_low=value - half,
        conf_high=value + half,
        status=status,
        **about,
    )


SHARES = {"Late": 0.12, "Price": 0.3, "Wait": None, "Never": 0.0, rates.ANY: 0.5}


def themes() -> pd.DataFrame:
    months = [rows(rates.SHARE, SHARES, period=month) for month in MONTHS]
    return results.concat([*months, rows(rates.SHARE, SHARES, at="3 periods")])


def changes(verdict: str = "moved") -> pd.DataFrame:
    found = rows(
        rates.SHARE, {"Late": 0.05, "Price": -0.01}, comparison="difference", against="2025-10", at="3 periods"
    )
    return found.assign(verdict=[verdict, "not shown"])


def scores() -> pd.DataFrame:
    apart = rows("csat_mean", {"Late": -1.2, "Price": 0.1}, 0.2, comparison="difference", against=scored.WITHOUT)
    return results.concat([
        rows("csat_mean", {"Late": 2.5, "Price": 4.0}, 0.2, at=scored.WITH),
        rows("csat_mean", {"Late": 3.7, "Price": 3.9}, 0.2, at=scored.WITHOUT),
        apart.assign(verdict=["moved", "not shown"]),
    ])  # fmt: skip


def test_more_of_what_goes_with_lower_scores_is_worse_and_the_title_says_what_moved() -> None:
    chart = theme_shares(themes(), changes(), scores(), SCORES)
    assert (
        chart.finding == "Since October 2025: Late named more often. Price is what most write about (30.0 % of texts)"
    )
    assert "Late: 12.0 % (interval 11.0 to 13.0 %), change +5.0 pp, up, worse; score 2.50 against 3.70" in chart.alt
    assert "Not shown, as too few customers name them: Wait. Nobody names: Never." in chart.alt
    assert "As the codebook has it: its error is not measured." in chart.alt
    assert "August 2026 to October 2026, change against August 2025 to October 2025" in chart.alt
    assert [one.name for one in lines(themes())] == ["Price", "Late", "Never", "Wait"]


def test_without_a_verdict_nothing_is_said_to_have_moved() -> None:
    told = theme_shares(themes(), changes("could not have been seen")).finding
    assert told.endswith("no theme is shown to be named more or less often since October 2025")
    near = results.concat([rows(rates.SHARE, {"Late": 0.295, "Price": 0.3})])
    assert theme_shares(near).finding == "Price and Late are what most write about"


def test_an_audit_brings_corrected_shares_and_what_it_measured() -> None:
    right = [rows(rates.CORRECTED, {"Late": 0.2}, at="3 periods"), rows(rates.PRECISION, {"Late": 0.9}, at="3 periods"),
             rows(rates.RECALL, {"Late": 0.6}, at="3 periods")]  # fmt: skip
    audited = results.concat([themes(), *right])
    assert theme_shares(audited, changes()).alt.count("changes are as coded") == 1
    assert lines(audited)[1].share["metric"] == rates.CORRECTED
    table = codebook_table(audited)
    assert table.grid is not None
    assert [cell.text[:6] for cell in table.grid.cells] == ["12.0 %", "20.0 %", "90.0 %", "60.0 %"]
    assert "nobody has labelled texts" in codebook_table(themes())
    partly = audited.assign(
        note=audited["note"].mask(audited["metric"] == rates.CORRECTED, "corrected; 5 of 9 labelled")
    )
    assert "<b>Corrected</b>: 5 of 9 labelled" in codebook_table(partly)
    assert "0 of 9 labelled" in codebook_table(themes().assign(note=f"{rates.CODED}: 0 of 9 labelled"))


def test_the_table_says_what_goes_with_a_theme() -> None:
    costs = results.concat([
        rows(worth.IN_ALL, {"Late": -1200.0}, 300.0, comparison="index", at="90 days", note="goes with the theme"),
        rows(worth.LEFT, {"Late": 0.02}, comparison="difference", at="90 days"),
    ])  # fmt: skip
    table = theme_table(themes(), changes(), scores(), costs, SCORES)
    assert table.heading == "Satisfaction: lowest among those who name Late, 2.50 against 3.70 of those who do not"
    assert theme_table(themes()).heading.startswith("Each theme")
    assert table.grid is not None
    columns = {head: column[1].text for head, column in table.grid.columns.items()}  # the second row is Late
    assert columns["Difference"].endswith("lower, worse")
    assert columns["Satisfaction, of those who name it"].endswith("3.70 of those who do not")
    assert columns["Left, against others (90 days)"].startswith("+2.0 pp")
    assert columns["Spent, in all, against others (90 days)"].startswith("−€1,200")
    assert table.grid.columns["Share of texts"][3].text == "hidden: small group"


def test_months_are_drawn_of_themes_that_enough_name() -> None:
    moving = themes()
    high = (moving["period"] == "2026-03") & (moving["level"] == "Late")
    moving.loc[high, ["estimate", "conf_low", "conf_high"]] = [0.4, 0.37, 0.43]
    chart = theme_time(moving)
    assert [axes.get_label() for axes in chart.axes] == ["Price", "Late"]
    assert "Late went furthest: between 12.0 % of texts" in chart.finding
    assert "40.0 % of texts in March 2026" in chart.finding
    assert len(canvas.png(chart)) > 10_000


def test_a_quote_is_escaped_and_what_was_taken_out_is_seen() -> None:
    words = "<b>Call</b> [name] & [phone] [x]"
    assert quoted(words) == (
        '“&lt;b&gt;Call&lt;/b&gt; <span class="cx-missing">[name]</span> &amp; '
        '<span class="cx-missing">[phone]</span> [x]”'
    )
    frame = results.concat([
        results.frame(metric="quote", segment="theme", level="Late", at="1", against="en", n=40.0, note=words,
                      comparison="index"),
        results.frame(metric="quote", segment="theme", level="Rare", at="1", status=results.TOO_FEW, note="few",
                      comparison="index"),
    ])  # fmt: skip
    table = quotes_table(frame)
    assert "<b>Call" not in table
    assert "Too few customers to be quoted: Rare." in table
    assert "40" in table


def test_the_alarm_is_the_heading_and_each_new_word_a_row() -> None:
    alarm = results.frame(
        metric=ALARM, comparison="test", estimate=1, verdict="moved", period=LAST, note="new words came up"
    )
    rest = results.frame(metric=REST, comparison="share", estimate=0.3, conf_low=0.2, conf_high=0.4, n=300.0,
                         against="29.0 % expected", verdict="not shown")  # fmt: skip
    term = results.frame(metric=TERM, level="app <crash>", comparison="share", estimate=0.1, conf_low=0.05,
                         conf_high=0.2, n=30.0, against="0.1 % before", verdict="moved",
                         note="with: login")  # fmt: skip
    table = new_words_table(results.concat([alarm, rest, term]))
    assert table.heading == "New words came up"
    assert "“app &lt;crash&gt;”" in table
    assert "▲ more than before" in table
    assert "○ as before" in table


def test_a_mood_is_told_only_where_it_goes_the_way_of_the_score() -> None:
    agrees = results.frame(metric=CHECK, segment="language", level=["English", "Portuguese"], at="concordance",
                           estimate=[0.8, 0.6], conf_low=[0.75, 0.5], conf_high=[0.85, 0.7], n=[300.0, 50.0],
                           comparison="index")  # fmt: skip
    mood = results.frame(metric=SENTIMENT, segment="language", level=["English", "Portuguese"], estimate=[0.3, np.nan],
                         conf_low=[0.2, np.nan], conf_high=[0.4, np.nan], n=300.0,
                         status=[results.OK, results.UNDEFINED], note="does not agree")  # fmt: skip
    table = mood_table(results.concat([agrees, mood]))
    assert table.heading == "The mood of words, in English"
    assert table.grid is not None
    assert [cell.text for cell in table.grid.columns["Mood, from −1 to 1"]] == ["0.30 · 0.20 to 0.40", "not told"]


@pytest.mark.parametrize("draw", [theme_shares, theme_time])
def test_an_empty_frame_gives_an_honest_empty_chart(draw) -> None:
    assert draw(results.empty()).finding.startswith("Nothing to show")


@pytest.mark.parametrize(
    "tell", [theme_table, codebook_table, quotes_table, new_words_table, candidates_table, mood_table]
)
def test_an_empty_frame_gives_an_honest_empty_table(tell) -> None:
    gone = results.frame(metric="themes", status=results.UNDEFINED, note="nobody wrote anything in these months")
    assert "Nothing to show" in tell(results.empty())
    assert "nobody wrote anything" in tell(gone)
