"""The table of whom scores speak for: what stands in it, in plain words, and that nothing foreign gets in."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxlib import results
from cxlib.measure import response, weights
from cxlib.params.models import Segment
from cxlib.reports.page import style as page_style
from cxlib.show.weighting import sentences, weighting
from tests.show_frames import LAST, METRICS, metric, with_status
from tests.test_show_tables import _Page, _row

SEGMENTS = {"age": Segment(id="age", title="Age band", column="age")}
AGES = ["18-29", "30-44", "45-59", "60+"]


def voices(name: str = "nps", *, lift: float = 1.2, evil: str = "") -> pd.DataFrame:
    """Return what a run has of one metric: too many of the old, who are happier by `lift`."""
    rng = np.random.default_rng(4)
    age = rng.choice(4, 600, p=[0.1, 0.2, 0.3, 0.4])
    latent = rng.normal(lift * (age - 1.5) / 1.5, 1)
    y = np.select([latent > 0.5, latent < -0.5], [1.0, -1.0], 0.0)
    answered = pd.DataFrame({"age": np.array(AGES)[age] + evil, "rows": 1.0, "x": 1.0, "y": y, "y2": y**2})
    whole = pd.DataFrame({"age": [one + evil for one in AGES], "customers": 250.0})
    found = weights.speaks_for(
        answered, whole, ["age"], kind="nps", rng=np.random.default_rng(1), metric=name, period=LAST
    ).frame
    asked = pd.DataFrame({"age": [one + evil for one in AGES], "invitations": [600.0] * 4, "customers": 600.0})
    asked["answered"] = asked["yy"] = asked["xy"] = np.bincount(age).astype(float)
    told = response.who_answers(asked.assign(xx=600.0), ["age"], period=LAST)
    score = found.iloc[0]["estimate"]
    turns = {"target": score - 5, "2026-09": -99.0}
    tips = [
        response.tipping_point(
            score, 0.25, value, scale=(-100, 100), conf=(score - 4, score + 4), name=name_, metric=name, period=LAST
        )
        for name_, value in turns.items()
    ]
    return results.concat([found, told, *tips])


def test_row_by_row() -> None:
    frame = voices()
    page = weighting(frame, METRICS, segments=SEGMENTS)
    plain, weighted, gap = (frame.iloc[number] for number in range(3))
    head = ["Metric", "Unweighted", "Weighted", "Weighted less unweighted", "Leads"]
    row = _row(page, "Net Promoter Score")
    assert _Page(page).rows[0] == head
    assert row[1].startswith(f"+{plain['estimate']:.1f} | ")
    assert row[1].endswith("n 600")
    assert f"{abs(weighted['estimate']):.1f}" in row[2]
    assert f"worth {weighted['n_eff']:,.0f} equal weights" in row[2]
    assert row[3].startswith(f"\u2212{-gap['estimate']:.1f} points")
    assert row[4] == "weighted"


def test_it_says_in_plain_words_what_it_means() -> None:
    told = sentences(voices(), METRICS, segments=SEGMENTS)
    assert told[0].startswith("Net Promoter Score: the weighted figure leads, because weighting moves it by \u2212")
    assert any(one.startswith("25.0 % of 2,400 invitations were answered (likely ") for one in told)
    assert any("far likelier to answer than others, as far as" in one and ": R-indicator 0." in one for one in told)
    assert any(one.startswith("Age band makes the most difference to who answers: from ") for one in told)
    assert any("would be below the target if those who did not answer scored" in one for one in told)
    assert told[-1] == (
        "Net Promoter Score against the figure of September 2026: no value of the scale from -100 to 100 turns the "
        "conclusion, whatever those who did not answer would say."
    )


def test_chance_is_not_called_a_difference() -> None:
    frame = voices()
    own = frame["at"] == "R-indicator"
    frame = results.conform(frame.assign(conf_high=frame["conf_high"].mask(own, 1.0)))
    assert any(
        one.startswith("That some customers are likelier to answer than others is not shown, as far as")
        and ": R-indicator" in one
        for one in sentences(frame, METRICS)
    )


def test_the_response_of_each_score_that_was_asked_for() -> None:
    """Two scores have two sets of invitations: each sentence says whose."""
    parts = []
    for name in ("nps", "csat_top2"):
        frame = voices(name)
        of = frame["metric"] == "response_rate"
        parts.append(results.label(frame, against=frame["against"].mask(of, f"asked for {name}")))
    told = sentences(results.concat(parts), METRICS)
    assert sum("invitations were answered" in one for one in told) == 2
    assert any(one.startswith("Customers satisfied (top two boxes): 25.0 %") for one in told)
    assert any("Age makes the most difference" in one for one in told)


def test_unweighted_leads_where_nothing_is_known_of_the_population() -> None:
    frame = voices()
    level = frame["at"] == "weighted"
    lone = with_status(frame, level, results.UNDEFINED, "the population is not known")
    note = lone["note"].mask(lone["at"] == "unweighted", "leads: the population is not known")
    page = weighting(results.label(lone, note=note), METRICS)
    row = _row(page, "Net Promoter Score")
    assert row[4] == "unweighted"
    assert "not available" in row[2]
    assert row[3] == "not compared"
    assert "the unweighted figure leads, because the population is not known." in page


def test_hidden_where_too_few_answered() -> None:
    frame = voices()
    page = weighting(with_status(frame, frame["metric"] == "nps", results.SUPPRESSED, "few"), METRICS)
    row = _row(page, "Net Promoter Score")
    assert row[1:3] == ["hidden: small group"] * 2
    assert row[4] == ""


def test_levels_that_were_joined_are_told() -> None:
    frame = voices()
    note = frame["note"] + "; joined in age: 18-29, unknown; left out: country, with one level of 10 or more"
    told = sentences(results.label(frame, note=note.where(frame["at"] == "weighted", frame["note"])), METRICS)
    assert "Segments, joined in age: 18-29, unknown; left out: country, with one level of 10 or more." in told


def test_well_formed_accessible_and_in_the_house_style() -> None:
    page = weighting(voices(), METRICS, segments=SEGMENTS)
    read = _Page(page)
    assert read.tags.count("table") == read.tags.count("figcaption") == 1
    assert set(read.scopes) <= {"col", "row"}
    assert " style=" not in page
    assert " id=" not in page
    assert "nan" not in page.lower().replace("finance", "")
    assert all(f".{name}" in page_style() or name == "mathjax_ignore" for name in read.classes)
    assert page._repr_html_() == str(page)


def test_numbers_are_written_as_the_workspace_writes_them() -> None:
    assert "25,0\u00a0% of 2.400 invitations" in weighting(voices(), METRICS, locale="de")


def test_an_empty_frame_says_so() -> None:
    page = weighting(results.empty(), METRICS)
    assert "Nothing to show: nothing was weighted." in page
    assert "<table" not in page
    assert sentences(results.empty(), METRICS) == []


def test_everything_is_escaped() -> None:
    evil = "<script>alert('x')</script>"
    frame = voices(evil=evil)
    frame = results.label(frame, method=evil, note=frame["note"].where(frame["note"] != "", evil))
    mine = {"nps": metric("nps", title=evil, question=evil, caveats=(evil,))}
    segments = {"age": Segment(id="age", title=evil, column="age")}
    page = weighting(frame, mine, segments=segments, title=evil)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    _Page(page)
