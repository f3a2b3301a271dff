"""Frictions and wins: the planted lead, nothing else does, and where nothing is planted nothing is found."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import params, results
from cxlib.analysis import extracts, journeys
from cxlib.analysis.journeys import touched
from cxlib.analysis.journeys.friction_rows import FRICTION, MONEY, PRIORITY, RANK, SATISFACTION, VOLUME, WIN
from cxlib.analysis.journeys.named_causes import CAUSES
from cxlib.analysis.journeys.occasions import occasions
from cxlib.data import demo
from cxlib.periods import Period
from tests.conftest import ROOT

PLANTED = ("Delivered after the promise", "Not resolved at the first contact", "A long wait")
SEGMENTS = ("region", "plan", "acquisition_source")
ZONE = "Europe/Madrid"


def answers(
    rng: np.random.Generator, size: int = 600, effects: dict[str, float] | None = None, share: float = 0.1
) -> pd.DataFrame:
    """Return answers of customers, some of whom answer twice, with five causes met by chance."""
    who = rng.integers(0, int(size / 1.4), size)
    names = ("unresolved", "waiting", "late", "slow_page", "transferred", "at_once", "fast", "early")
    table = pd.DataFrame({touched.met(name): (rng.random(size) < share).astype(float) for name in names})
    table["met_at_once"] = 1 - table["met_unresolved"]
    y = 0.7 * rng.normal(0, 1, size)[who] + rng.normal(0, 1, size)
    for name, effect in (effects or {}).items():
        y = y + effect * table[touched.met(name)]
    more = {"region": rng.choice(["north", "south"], size), "period": rng.integers(0, 3, size)}
    return table.assign(customer_id=[f"C{n}" for n in who], y=y, touchpoint=rng.choice(["phone", "chat"], size), **more)


def volumes(said: pd.DataFrame, **changed: int) -> pd.DataFrame:
    """Return how many customers met each cause, at each touchpoint and in all."""
    rows = []
    for name in CAUSES:
        if touched.met(name) not in said:
            continue
        for place in ("all", "phone", "chat"):
            mine = said if place == "all" else said[said["touchpoint"] == place]
            hit = mine[mine[touched.met(name)] == 1]["customer_id"].nunique()
            spared = mine[mine[touched.met(name)] == 0]["customer_id"].nunique()
            hit = changed.get(name, hit) if place == "all" else hit
            rows.append((name, place, hit, spared, mine["customer_id"].nunique()))
    return pd.DataFrame(rows, columns=["cause", "touchpoint", "touched", "spared", "customers"])


def friction(said: pd.DataFrame | None, done: pd.DataFrame | None = None, **how: Any) -> pd.DataFrame:
    known = how.pop("volumes", None)
    base = said if said is not None else done
    assert base is not None
    return journeys.friction(
        said, done, volumes(base) if known is None else known, ask=journeys.Ask(("region",), **how)
    )


def whole(found: pd.DataFrame, metric: str, side: str = FRICTION) -> pd.DataFrame:
    """Return the rows of a metric, of all touchpoints together, by cause."""
    mine = found[(found["metric"] == metric) & (found["at"] == "all") & (found["segment"] == side)]
    return mine[mine["comparison"] != "share"].set_index("level")


def test_planted_effects_are_found_and_ranked_by_their_surer_end(rng: np.random.Generator) -> None:
    said = answers(rng, 3_000, {"unresolved": -1.0, "late": -0.4})
    found = friction(said)
    effect, rank = whole(found, SATISFACTION), whole(found, RANK)["estimate"]
    assert effect.loc["Not resolved at the first contact", "conf_low"] < -1.0
    assert effect.loc["Not resolved at the first contact", "conf_high"] > -1.0
    assert list(rank.sort_values().index[:2]) == ["Not resolved at the first contact", "Delivered after the promise"]
    assert set(effect[effect["verdict"] == "moved"].index) == set(rank.sort_values().index[:2])
    win = whole(found, SATISFACTION, WIN)
    assert win.loc["Resolved at the first contact", "verdict"] == "moved"
    assert win.loc["Resolved at the first contact", "estimate"] == pytest.approx(1.0, abs=0.3)  # three errors
    assert win.loc["Delivered early", "verdict"] != "moved"


def test_noise_met_by_many_does_not_lead_what_is_sure(rng: np.random.Generator) -> None:
    said = answers(rng, 2_000, {"late": -1.0})
    known = volumes(said, slow_page=5_000)
    known.loc[known["cause"] == "slow_page", "customers"] = 9_000
    rank = whole(friction(said, volumes=known), RANK)
    assert rank["estimate"].idxmin() == "Delivered after the promise"
    assert (rank["conf_low"] <= rank["estimate"]).all()
    assert (rank["conf_high"] >= rank["estimate"]).all()


def test_priority_is_volume_times_effect(rng: np.random.Generator) -> None:
    found = friction(answers(rng, 1_000, {"late": -0.5}))
    volume, effect, priority = (whole(found, name) for name in (VOLUME, SATISFACTION, PRIORITY))
    for name in ("estimate", "conf_low", "conf_high"):
        assert (priority[name] / effect[name] / volume["estimate"]).to_numpy() == pytest.approx(1.0)
    assert (priority["verdict"] == effect["verdict"]).all()


def test_an_effect_against_its_name_says_so(rng: np.random.Generator) -> None:
    effect = whole(friction(answers(rng, 2_000, {"late": 1.0})), SATISFACTION)
    assert effect.loc["Delivered after the promise", "verdict"] == "moved"
    assert effect.loc["Delivered after the promise", "note"] == "goes with more, not with less"


def test_few_customers_are_hidden_in_all_that_tells_of_them(rng: np.random.Generator) -> None:
    said = answers(rng, 900)
    said.loc[said["touchpoint"] == "chat", "met_waiting"] = 0.0
    said.loc[said.index[said["touchpoint"] == "chat"][:4], "met_waiting"] = 1.0
    found = friction(said, volumes=volumes(said, late=7), min_n=10)
    late = found[
        (found["level"] == "Delivered after the promise") & found["metric"].isin([VOLUME, PRIORITY, RANK, MONEY])
    ]
    assert set(late["status"]) <= {results.SUPPRESSED, results.UNDEFINED}
    waits = found[(found["level"] == "A long wait") & (found["at"] != "all")]
    assert set(waits.loc[waits["metric"] == VOLUME, "status"]) == {results.SUPPRESSED}  # one would tell the other
    assert (found["n"].dropna() >= 10).all()


def test_what_customers_did_is_told_in_money(rng: np.random.Generator) -> None:
    done = answers(rng, 6_000)
    done["left"] = (rng.random(len(done)) < 0.05 + 0.10 * done["met_late"]).astype(float)
    done["bought"] = (rng.random(len(done)) < 0.5).astype(float)
    done = done.assign(amount=100 * done["bought"], cost=60 * done["bought"], costed=100 * done["bought"])
    found = friction(None, done, money=journeys.Money(months=12, discount=0.0))
    late = "Delivered after the promise"
    assert whole(found, "leaving").loc[late, "estimate"] == pytest.approx(0.10, abs=0.04)  # three errors
    assert whole(found, "leaving").loc[late, "verdict"] == "moved"
    kept, many = 1 - done["left"].mean(), whole(found, VOLUME).loc[late, "estimate"]
    month = 40 * done.loc[done["left"] == 0, "bought"].mean()
    wanted = -many * 0.10 * month * sum(kept**step for step in range(1, 13))
    money = whole(found, MONEY).loc[late]
    assert money["conf_low"] < wanted < money["conf_high"] < 0
    assert set(whole(found, SATISFACTION)["status"]) == {results.UNDEFINED}


def test_nothing_known_is_said_and_nothing_raised(rng: np.random.Generator) -> None:
    said = answers(rng, 300)
    found = friction(said.iloc[:0], None, volumes=volumes(said))
    assert set(found.loc[found["metric"] == SATISFACTION, "note"]) == {"no answer tells what goes with it"}
    assert found.loc[found["metric"] != VOLUME, "estimate"].isna().all()
    assert friction(said, volumes=volumes(said).iloc[:0]).empty


@pytest.mark.simulation
def test_where_nothing_is_planted_nothing_is_found(replicates: Any) -> None:
    """Share of companies with any false `moved` in the score: at most 5 % (Holm), 3.5 binomial errors allowed."""
    times, false, placed = replicates(30, 2_000), 0, 0
    for seed in range(times):
        rng = np.random.default_rng(seed)
        found = friction(answers(rng), rng=rng, draws=20)
        moved = found[(found["verdict"] == "moved") & (found["metric"] == SATISFACTION)]
        false += bool((moved["at"] == "all").any())
        placed += bool((moved["at"] != "all").any())
    most = stats.binom.isf(2.3e-4, times, 0.05)
    assert false <= most
    assert placed <= most


def brought(company: dict[str, ibis.Table]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the answers of a year of a company, and how many met each cause in its last month."""
    run, known = ibis.duckdb.connect().to_pyarrow, touched.known_causes(company)
    book, last = params.load(ROOT), Period.parse("2026-10")
    periods = last.last(12)
    said = extracts.rows(
        book.metrics["csat_mean"], company, periods, timezone=ZONE, touchpoints=book.touchpoints,
        columns={name: name for name in ("response_id", "touchpoint")}, segments=[book.segments[s] for s in SEGMENTS],
    )  # fmt: skip
    start, until = periods[0].bounds(ZONE)[0], last.bounds(ZONE)[1]
    found = run(touched.answers(said, company, known, start=start, until=until)).to_pandas()
    rows = occasions(company, known, start=last.bounds(ZONE)[0], until=until)
    return found.sort_values("response_id", ignore_index=True), run(touched.volumes(rows, known)).to_pandas()


def test_what_is_planted_in_the_demo_company_leads_and_nothing_else_does() -> None:
    company = {name: ibis.memtable(table) for name, table in demo.tables(20_000, seed=4, first="2025-09").items()}
    said, met = brought(company)
    found = journeys.friction(said, None, met, ask=journeys.Ask(SEGMENTS, min_n=10, matters=0.1))
    rank, effect = whole(found, RANK).dropna(subset="estimate"), whole(found, SATISFACTION)
    assert tuple(rank["estimate"].sort_values().index[:3]) == PLANTED
    assert set(effect[effect["verdict"] == "moved"].index) == set(PLANTED)
    assert (effect.loc[list(PLANTED), "conf_high"] < 0).all()
    rest = rank.drop(index=list(PLANTED))
    assert len(rest) >= 3  # slow pages, messages and transfers are there, and nothing is planted behind them
    assert (rest["conf_low"] > rank.loc["Not resolved at the first contact", "conf_high"]).all()
    win = whole(found, RANK, WIN)["estimate"]
    assert win.idxmin() == "Resolved at the first contact"
