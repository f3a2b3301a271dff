"""The alarm for something new: silent while nothing is, loud when a theme comes that the codebook does not know."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis import voice
from cxlib.analysis.voice.novelty import exact, log_odds, predicted, rise, variation
from cxlib.data import demo
from cxlib.errors import UsageError

VOCABULARY = [
    a + b + c for a in ("ba", "ke", "li", "mo") for b in ("ran", "sel", "tik", "dor", "mun") for c in ("", "en", "os")
]
MONTHS = [f"2026-{month:02d}" for month in range(1, 10)]


def company(
    rng: np.random.Generator, *, new: float = 0.0, size: int = 150, drift: float = 0.0
) -> tuple[list[str], list[str], np.ndarray]:
    """Return nine months of comments of five words; in the last, a share of `new` names broken packaging.

    Words are as frequent as Zipf has them, and `drift` is the standard deviation of their log frequency by month. Seven
    in ten comments name a theme of the codebook, none of the new ones does.
    """
    usual = 1 / np.arange(1, len(VOCABULARY) + 1) ** 0.8
    texts, periods = [], []
    for month in MONTHS:
        often = usual * np.exp(rng.normal(0, drift, len(usual)))
        drawn = rng.choice(VOCABULARY, size=(rng.poisson(size), 5), p=often / often.sum())
        texts += [" ".join(row) for row in drawn]
        periods += [month] * len(drawn)
    fresh = (np.array(periods) == MONTHS[-1]) & (rng.random(len(texts)) < new)
    texts = [f"{text} broken packaging" if it else text for text, it in zip(texts, fresh, strict=True)]
    return texts, periods, (rng.random(len(texts)) < 0.7) & ~fresh


def alarmed(frame: pd.DataFrame) -> bool:
    assert frame["metric"].iloc[0] == "new theme alarm"
    return frame["verdict"].iloc[0] == "moved"


@pytest.mark.simulation
@pytest.mark.parametrize("drift", [0.0, 0.2])
def test_quiet_months_raise_no_more_alarms_than_promised(replicates: Callable[[int, int], int], drift: float) -> None:
    """At 10 % (1 % would need thousands of companies to be seen): exact tests keep well below it."""
    runs = replicates(25, 1_000)
    false = sum(
        alarmed(voice.novelty(texts, periods, coded=coded, redacted=True, alpha=0.1))
        for texts, periods, coded in (company(np.random.default_rng(seed), drift=drift) for seed in range(runs))
    )
    assert false <= stats.binom.ppf(0.999, runs, 0.1)


@pytest.mark.simulation
def test_a_new_theme_of_three_percent_is_found(replicates: Callable[[int, int], int]) -> None:
    """Of 600 comments in the month: 18 on average, twice the customers without whom no word is named."""
    runs = replicates(5, 200)
    found = 0
    for seed in range(runs):
        texts, periods, coded = company(np.random.default_rng(seed), new=0.03, size=600)
        frame = voice.novelty(texts, periods, coded=coded, redacted=True)
        terms = frame[frame["metric"] == "new term"]
        found += alarmed(frame) and bool(terms["level"].str.contains("broken|packaging").any())
    assert found / runs >= 0.8


def test_what_is_found_is_told_in_plain_words() -> None:
    texts, periods, coded = company(np.random.default_rng(1), new=0.12)
    frame = voice.novelty(texts, periods, coded=coded)
    assert alarmed(frame)
    assert frame["period"].eq("2026-09").all()
    assert "hardly used before" in frame["note"].iloc[0]
    term = frame[frame["metric"] == "new term"].iloc[0]
    assert term["against"] == "0.0 % before"
    assert {term["level"], *term["note"].removeprefix("said with: ").split(", ")} == {
        "broken",
        "packaging",
        "broken packaging",
    }
    last = pd.Series(
        [text for text, when, known in zip(texts, periods, coded, strict=True) if when == "2026-09" and not known]
    )
    assert term["n"] == len(last)
    assert term["estimate"] == pytest.approx(last.str.contains("broken").mean())
    assert term["conf_low"] < term["estimate"] < term["conf_high"]
    assert term["p_adjusted"] < 0.005
    earlier = voice.novelty(texts, periods, coded=coded, period="2026-08")
    assert not alarmed(earlier)  # what is later is not looked at
    assert earlier["note"].iloc[0] == "nothing new among the comments without a theme in 2026-08"
    shuffled = np.random.default_rng(2).permutation(len(texts))
    again = voice.novelty([texts[i] for i in shuffled], [periods[i] for i in shuffled], coded=coded[shuffled])
    pd.testing.assert_frame_equal(again, frame)


def test_more_comments_without_a_theme_raise_it_too() -> None:
    texts, periods, coded = company(np.random.default_rng(1))
    coded = coded & ~((np.array(periods) == "2026-09") & (np.random.default_rng(3).random(len(texts)) < 0.5))
    frame = voice.novelty(texts, periods, coded=coded)
    rest = frame[frame["metric"] == "comments without a theme"].iloc[0]
    assert alarmed(frame)
    assert rest["verdict"] == "moved"
    assert rest["against"].endswith("% expected")
    assert "of the comments name no theme" in frame["note"].iloc[0]


def test_one_customer_is_one_customer() -> None:
    texts, periods, coded = company(np.random.default_rng(1), new=0.12)
    people = [7 if "broken" in text else 1_000 + place for place, text in enumerate(texts)]
    assert not alarmed(voice.novelty(texts, periods, coded=coded, customer=people))


def test_the_test_is_fishers() -> None:
    cases = [(12, 3), (5, 40), (30, 90), (0, 10), (9, 0)]
    now, before = np.array(cases, dtype=float).T
    theirs = [stats.fisher_exact([[x, 100 - x], [y, 400 - y]], alternative="greater").pvalue for x, y in cases]
    np.testing.assert_allclose(exact(now, 100, before, 400), theirs, rtol=1e-9)


def test_where_words_vary_more_is_asked_for(rng: np.random.Generator) -> None:
    """As often as counts of rates drawn from a log-normal distribution, the mean known as if from endless months."""
    now, before = np.array([15.0, 25, 40]), np.full(3, 400.0)
    wide = np.log1p(0.5)
    drawn = rng.poisson(10.0125 * np.exp(np.sqrt(wide) * rng.standard_normal(1_000_000) - wide / 2))
    often = np.array([(drawn >= x).mean() for x in now])
    found = predicted(now, 100, before, 4_000, 0.5 - 1 / 400.5, 10**9)
    np.testing.assert_allclose(found, often, rtol=0.05)  # the rarest in 4,000 draws of a million: 1.6 % of error
    assert predicted(np.zeros(1), 100, before[:1], 4_000, 0.5, 10).tolist() == [1]
    assert not predicted(now, 100, before, 4_000, 0.0, 10).any()  # then Fisher's test alone decides


@pytest.mark.parametrize("squared", [0.0, 0.09, 0.25])
def test_the_variation_of_words_is_found(rng: np.random.Generator, squared: float) -> None:
    """Gamma frequencies make negative binomial counts, whose variance is E + v E^2: v within a tenth."""
    share = np.linspace(0.005, 0.1, 400)
    months = share * (rng.gamma(1 / squared, squared, size=(24, 400)) if squared else np.ones((24, 400)))
    used = rng.binomial(500, np.minimum(months, 1.0)).astype(float)
    assert variation(used, np.full(24, 500.0)) == pytest.approx(squared, abs=0.005 + 0.1 * squared)


def test_the_log_odds_are_those_of_the_paper() -> None:
    """Monroe, Colaresi and Quinn (2008), equations 15, 19, 20 and 21, word by word."""
    now, before, prior = [30.0, 5, 1], [60.0, 80, 1], 10.0
    both = [a + b for a, b in zip(now, before, strict=True)]
    expected = []
    for w in range(3):
        aw = prior * both[w] / sum(both)
        odds = [np.log((y[w] + aw) / (sum(y) + prior - y[w] - aw)) for y in (now, before)]
        expected.append((odds[0] - odds[1]) / np.sqrt(1 / (now[w] + aw) + 1 / (before[w] + aw)))
    np.testing.assert_allclose(log_odds(np.array(now), np.array(before), prior=prior), expected, rtol=1e-12)


@pytest.mark.simulation
@pytest.mark.parametrize(("between", "n"), [(0.0, 60), (0.0, 1_000), (0.03, 300)])
def test_the_share_without_a_theme_rises_by_chance_as_often_as_promised(
    replicates: Callable[[int, int], int], rng: np.random.Generator, between: float, n: int
) -> None:
    runs = replicates(1_000, 20_000)
    share = np.clip(0.3 + between * rng.standard_normal((runs, 9)), 0.05, 0.95)
    counts = rng.binomial(n, share).astype(float)
    false = np.mean([rise(row, np.full(9, float(n)))[0] < 0.05 for row in counts])
    assert false < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_two_quiet_years_of_the_demo() -> None:
    """No theme is new in the demo, the outage month among them: its long waits have words of their own already."""
    found = demo.simulate(1_500, seed=11)
    rows = found.tables["responses"].to_pandas()
    themes = found.themes.to_pandas()
    said = rows["comment"].notna().to_numpy()
    month = pd.to_datetime(rows["responded_at"]).dt.strftime("%Y-%m")[said]
    texts = voice.redact_series(rows["comment"][said])
    coded = ~themes["other"][said].astype(bool)
    months = sorted(month.unique())[12:]
    assert len(months) == 24
    raised = [
        when
        for when in months
        if alarmed(
            voice.novelty(texts, month, coded=coded, customer=rows["customer_id"][said], period=when, redacted=True)
        )
    ]
    assert raised == []


def test_too_little_is_said() -> None:
    nothing = voice.novelty(["parcel late", "van"], ["2026-01", "2026-01"], coded=[False, True])
    assert nothing["status"].iloc[0] == results.TOO_FEW
    assert nothing["note"].iloc[0] == "too few comments before to tell what is new"
    short = voice.novelty(["parcel late"] * 40, ["2026-01"] * 20 + ["2026-02"] * 20, coded=[False] * 40)
    assert "fewer than 6 periods" in short.set_index("metric").loc["comments without a theme", "note"]
    few = voice.novelty(["parcel late"] * 40, ["2026-01"] * 20 + ["2026-02"] * 20, coded=[True] * 37 + [False] * 3)
    assert few.set_index("metric").loc["comments without a theme", "status"] == results.SUPPRESSED


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"periods": ["2026-01"]}, "1 periods for 2 texts"),
        ({"periods": ["2026-01", "2026-02"], "period": "2027-01"}, "no text of the period '2027-01'"),
        ({"periods": ["2026-01", "2026-02"], "alpha": 1}, "alpha 1"),
        ({"periods": ["2026-01", "2026-02"], "coded": [True]}, "1 entries in coded for 2 texts"),
    ],
)
def test_what_is_asked_wrongly(wrong: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        voice.novelty(["a", "b"], **wrong)
