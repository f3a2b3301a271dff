"""How many name a theme, what may not be told of it, and how it changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from cxlib import results
from cxlib.analysis.voice import audited, rates

NOW, BEFORE = "2026-10", "2026-09"
EXACT = 1e-12


def drawn(rng: np.random.Generator, share: float, n: int = 400, period: str = NOW) -> tuple[pd.DataFrame, ...]:
    """Return codes of two themes, periods and customers who wrote once each."""
    codes = pd.DataFrame({"Late": rng.random(n) < share, "Price": rng.random(n) < 0.2}).astype(float)
    return codes, pd.Series([period] * n), pd.Series([f"{period} c{i}" for i in range(n)])


def row(frame: pd.DataFrame, metric: str, level: str = "Late", **where: str) -> pd.Series:
    """Return the one row of a metric and theme."""
    mine = frame[(frame["metric"] == metric) & (frame["level"] == level)]
    for name, value in where.items():
        mine = mine[mine[name] == value]
    assert len(mine) == 1
    return mine.iloc[0]


def test_shares_are_wilson_s_and_customers_who_wrote_several_count_once(rng) -> None:
    codes, period, customer = drawn(rng, 0.3)
    found = row(rates.rates(codes, period, customer), rates.SHARE)
    count = codes["Late"].sum()
    assert found["estimate"] == pytest.approx(count / 400, abs=EXACT)
    assert (found["conf_low"], found["conf_high"]) == pytest.approx(
        proportion_confint(count, 400, method="wilson"), abs=1e-9
    )
    twice = pd.concat([codes, codes], ignore_index=True), pd.concat([period] * 2), pd.concat([customer] * 2)
    told = rates.rates(*twice)
    assert row(told, rates.SHARE)["n_eff"] == pytest.approx(400, rel=0.01)  # 800 texts that say what 400 say
    assert row(told, rates.CUSTOMERS)["n"] == 400


def test_answers_without_words_are_in_what_is_told_of_a_thousand(rng) -> None:
    codes, period, customer = drawn(rng, 0.3)
    silent = pd.DataFrame({"customer_id": [f"s{i}" for i in range(600)], "period": NOW, "rows": 1})
    wrote = pd.DataFrame({"customer_id": customer, "period": NOW, "rows": 1})
    found = rates.rates(codes, period, customer, answers=pd.concat([silent, wrote], ignore_index=True))
    assert row(found, rates.PER_1000)["estimate"] == pytest.approx(codes["Late"].sum(), abs=1e-9)
    assert row(found, rates.PER_1000)["n"] == 1000


def test_texts_in_a_language_that_a_theme_has_no_words_of_are_no_part_of_its_share(rng) -> None:
    codes, period, customer = drawn(rng, 0.3)
    codes.loc[:99, "Late"] = np.nan
    found = row(rates.rates(codes, period, customer), rates.SHARE)
    assert found["n"] == 300
    assert found["estimate"] == pytest.approx(codes["Late"].mean(), abs=EXACT)


def test_few_who_name_a_theme_are_hidden_and_nobody_is_told(rng) -> None:
    codes, period, customer = drawn(rng, 0.3)
    codes["Late"] = [1.0] * 9 + [0.0] * 391
    codes["Never"] = 0.0
    found = rates.rates(codes, period, customer)
    assert set(found.loc[found["level"] == "Late", "status"]) == {results.SUPPRESSED}
    assert row(found, rates.SHARE, "Never")["estimate"] == 0
    assert row(found, rates.SHARE, "Price")["status"] == results.OK


def test_the_one_hidden_month_of_a_window_is_not_the_rest_of_the_window(rng) -> None:
    months = ["2026-08", "2026-09", "2026-10"]
    parts = [drawn(rng, 0.3, period=month) for month in months]
    codes, period, customer = (pd.concat([part[i] for part in parts], ignore_index=True) for i in range(3))
    codes.loc[period == "2026-09", "Late"] = [1.0] * 5 + [0.0] * 395
    found = rates.rates(codes, period, customer, window=months)
    assert row(found, rates.SHARE, at="3 periods")["status"] == results.OK
    shown = found[(found["metric"] == rates.SHARE) & (found["level"] == "Late") & (found["at"] == "")]
    assert (shown["status"] == results.SUPPRESSED).sum() == 2


def test_a_change_is_found_judged_with_all_themes_and_none_is_made_up(rng) -> None:
    parts = [drawn(rng, 0.1, period=BEFORE), drawn(rng, 0.3, period=NOW)]
    codes, period, customer = (pd.concat([part[i] for part in parts], ignore_index=True) for i in range(3))
    codes["Never"] = 0.0
    found = rates.moved(codes, period, customer, now=[NOW], before=[BEFORE])
    late = found.set_index("level").loc["Late"]
    means = codes["Late"].groupby(period).mean()
    assert late["estimate"] == pytest.approx(means[NOW] - means[BEFORE], abs=EXACT)
    assert (late["verdict"], late["period"], late["against"]) == ("moved", NOW, BEFORE)
    assert found.set_index("level").loc["Price", "p_adjusted"] >= found.set_index("level").loc["Price", "p_value"]
    assert found.set_index("level").loc["Never", ["status", "note"]].tolist() == [results.UNDEFINED, rates.NOBODY]


def test_an_audit_brings_the_share_back_to_what_people_say(rng) -> None:
    n = 4000
    true = pd.Series((rng.random(n) < 0.2).astype(float))
    coded = pd.DataFrame({"Late": np.where(rng.random(n) < 0.25, 0.0, true)})  # a quarter is not found
    ids, period = pd.Series([f"r{i}" for i in range(n)]), pd.Series([NOW] * n)
    some = rng.permutation(n)[:600]
    labels = [frame.iloc[some].set_axis(ids[some]) for frame in (coded, true.to_frame("Late"))]
    for chosen, method in ((slice(None), "ppi"), (~ids.isin(ids[some]), "rogan")):
        found = audited.corrected(coded[chosen], period[chosen], ids[chosen], *labels)
        share = row(found, rates.CORRECTED)
        assert share["conf_low"] < true.mean() < share["conf_high"]
        assert method in share["method"]
        assert coded["Late"].mean() < share["conf_low"]
        elsewhere = (
            "; 0 of the 600 labelled texts are of this time: the codebook is taken to err as it does in all of them"
        )
        assert share["note"].partition("people labelled")[2] == (elsewhere if method == "rogan" else "")
    assert row(found, rates.RECALL)["estimate"] == pytest.approx(0.75, abs=0.1)
    assert row(found, rates.PRECISION)["estimate"] == 1


@pytest.mark.parametrize(("here", "told"), [(5, "fewer than 10 of the 200"), (50, "50 of the 200"), (200, "")])
def test_a_rate_says_how_many_labels_are_of_its_time(rng, here: int, told: str) -> None:
    codes, period, _ = drawn(rng, 0.3)
    ids = pd.Series([f"r{i}" for i in range(400)])
    some = pd.Index([*ids[:here], *(f"before {i}" for i in range(200 - here))])
    labels = codes.iloc[:200].set_axis(some)
    found = audited.corrected(codes, period, ids, labels, labels, labelled=209)  # nine are lost: too few to be told
    note = row(found, rates.CORRECTED)["note"]
    words = " labelled texts are of this time: the codebook is taken to err as it does in all of them"
    assert note.partition("; ")[2] == (f"{told}{words}" if told else "")
    more = row(audited.corrected(codes, period, ids, labels, labels, labelled=210), rates.CORRECTED)["note"]
    assert more == f"{note}; 10 more were labelled and are not among the texts up to this report"
