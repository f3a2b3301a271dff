"""Root causes: parts that add up, statsmodels' decomposition, planted causes, and what is not known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.oaxaca import OaxacaBlinder

from cxlib.analysis import drivers
from cxlib.data import demo
from cxlib.errors import UsageError

LEAVES = {"wait": "service", "ok": "service", "source": "mix", "fit": "product", "load": "digital"}
NAMES = list(LEAVES)
EXACT = 1e-9


def month(
    rng: np.random.Generator, n: int, *, wait: float = 5.0, partner: float = 0.1, off: float = 0.0
) -> pd.DataFrame:
    """Return a month's answers: waiting costs 2 points a minute, a partner's customer gives 20 fewer."""
    frame = pd.DataFrame({
        "wait": rng.exponential(wait, n), "ok": rng.random(n) < 0.7, "fit": rng.normal(3, 1, n),
        "source": rng.choice(["organic", "search", "partner"], n, p=[0.7 - partner, 0.3, partner]),
        "load": rng.gamma(2, 1, n), "who": rng.integers(0, 3 * n // 4, n), "w": rng.uniform(0.5, 2, n),
    })  # fmt: skip
    y = 50 + off - 2 * frame["wait"] + 10 * frame["ok"] - 20 * (frame["source"] == "partner") + 3 * frame["fit"]
    return frame.assign(y=y + rng.normal(0, 10, n))


def split(before: pd.DataFrame, after: pd.DataFrame, **how: object) -> pd.DataFrame:
    return drivers.root_causes(before, after, "y", NAMES, LEAVES, **{"bootstrap": 100, **how})


def whole(frame: pd.DataFrame) -> pd.Series:
    return frame[(frame["segment"] == "all") & (frame["comparison"] == "difference")].iloc[0]


def by(frame: pd.DataFrame, segment: str) -> pd.DataFrame:
    return frame[frame["segment"] == segment].set_index("level")


class TestAddsUp:
    @pytest.mark.parametrize("how", [{}, {"weights": "w"}, {"cluster": "who"}, {"weights": "w", "cluster": "who"}])
    def test_to_the_change(self, rng: np.random.Generator, how: dict) -> None:
        before, after = month(rng, 400), month(rng, 300, wait=7)
        found = split(before, after, **how)
        weights = [frame["w"] if "weights" in how else None for frame in (before, after)]
        change = np.average(after["y"], weights=weights[1]) - np.average(before["y"], weights=weights[0])
        assert whole(found)["estimate"] == pytest.approx(change, abs=EXACT)
        leaves, parts = by(found, "leaf"), by(found, "leaf x driver")
        assert leaves["estimate"].sum() == pytest.approx(change, abs=EXACT)
        for leaf in ("service", "mix", "product", "digital"):
            mine = parts.loc[[name for name in parts.index if name.startswith(f"{leaf} x ")], "estimate"]
            assert mine.sum() == pytest.approx(leaves.loc[leaf, "estimate"], abs=EXACT)

    def test_with_skipped_and_inapplicable_items(self, rng: np.random.Generator) -> None:
        before, after = month(rng, 400), month(rng, 300, wait=7)
        for frame in (before, after):
            frame.loc[rng.random(len(frame)) < 0.2, "fit"] = np.nan
            frame.loc[rng.random(len(frame)) < 0.1, "load"] = -1.0
        found = split(before, after, not_applicable={"load": -1})
        assert by(found, "leaf")["estimate"].sum() == pytest.approx(whole(found)["estimate"], abs=EXACT)
        assert whole(found)["estimate"] == pytest.approx(after["y"].mean() - before["y"].mean(), abs=EXACT)

    def test_back_again_is_the_opposite(self, rng: np.random.Generator) -> None:
        before, after = month(rng, 400), month(rng, 300, wait=7)
        there, back = split(before, after), split(after, before)
        np.testing.assert_allclose(by(there, "leaf")["estimate"], -by(back, "leaf")["estimate"], atol=EXACT)


class TestReference:
    def test_statsmodels_pooled_oaxaca_blinder(self, rng: np.random.Generator) -> None:
        before, after = month(rng, 400), month(rng, 300, wait=3)
        both = pd.concat([before.assign(after=0.0), after.assign(after=1.0)], ignore_index=True)
        numbers = [name for name in NAMES if name != "source"]
        columns = sm.add_constant(both[["after", *numbers]].astype(float))
        names = list(columns.columns)
        model = OaxacaBlinder(both["y"].to_numpy(), columns.to_numpy(), names.index("after"), hasconst=True, swap=False)
        unexplained, explained, gap = model.two_fold(two_fold_type="pooled").params
        sign = np.sign(after["y"].mean() - before["y"].mean()) * np.sign(gap)
        found = drivers.root_causes(before, after, "y", numbers, LEAVES, bootstrap=50)
        leaves = by(found, "leaf")["estimate"]
        assert whole(found)["estimate"] == pytest.approx(sign * gap, abs=EXACT)
        assert leaves["unexplained"] == pytest.approx(sign * unexplained, abs=EXACT)
        assert leaves.drop("unexplained").sum() == pytest.approx(sign * explained, abs=EXACT)

    def test_slopes_times_changes_of_means(self, rng: np.random.Generator) -> None:
        before, after = month(rng, 400), month(rng, 300, wait=7, partner=0.3)
        both = pd.concat([before.assign(after=0.0), after.assign(after=1.0)], ignore_index=True)
        columns = pd.get_dummies(both[["after", *NAMES]], columns=["source"]).astype(float)
        columns = columns.drop(columns="source_organic")
        slope = sm.OLS(both["y"], sm.add_constant(columns)).fit().params
        moved = columns[both["after"] == 1].mean() - columns[both["after"] == 0].mean()
        parts = by(split(before, after), "leaf x driver")["estimate"]
        for driver in ("wait", "ok", "fit", "load"):
            assert parts[f"{LEAVES[driver]} x {driver}"] == pytest.approx(slope[driver] * moved[driver], abs=EXACT)
        levels = ["source_partner", "source_search"]
        assert parts["mix x source"] == pytest.approx((slope[levels] * moved[levels]).sum(), abs=EXACT)


class TestPlanted:
    def test_causes_are_found(self, rng: np.random.Generator) -> None:
        found = split(
            month(rng, 4_000), month(rng, 4_000, wait=7, partner=0.25), bootstrap=300, labels=("2026-09", "2026-10")
        )
        leaves = by(found, "leaf")
        for leaf, truth in (("service", -4.0), ("mix", -3.0), ("unexplained", 0.0)):
            assert leaves.loc[leaf, "conf_low"] < truth < leaves.loc[leaf, "conf_high"]
        assert (leaves.loc[["service", "mix"], "p_adjusted"] < 0.001).all()
        assert abs(leaves.loc["product", "estimate"]) < 0.3
        assert whole(found)[["period", "against"]].tolist() == ["2026-10", "2026-09"]
        parts = by(found, "leaf x driver")
        assert " % to " in parts.loc["mix x source", "note"]
        assert parts.loc["service x wait", "note"].startswith("mean ")
        levels = found[found["comparison"] == "level"]
        assert levels["period"].tolist() == ["2026-09", "2026-10"]
        assert levels["estimate"].diff().iloc[1] == pytest.approx(whole(found)["estimate"], abs=EXACT)

    def test_the_demo_s_outage_was_service(self) -> None:
        """Planted: in 2025-03 waits triple and first contacts resolve less by 0.20; all else stays."""
        company = demo.simulate(8_000, seed=2, first="2024-09", last="2025-03")
        asked = company.asked
        support = (asked.instrument == 1) & (asked.wait >= 0)
        frame = pd.DataFrame({
            "score": asked.score, "unresolved": asked.unresolved, "wait": np.minimum(asked.wait / 60, 30),
            "source": company.people.source[asked.who].astype(str), "who": asked.who,
            "month": pd.to_datetime(asked.sent, unit="s").strftime("%Y-%m"),
        })[support]  # fmt: skip
        months = (frame[frame["month"].between("2024-09", "2025-02")], frame[frame["month"] == "2025-03"])
        leaves = {"unresolved": "service", "wait": "service", "source": "mix"}
        found = drivers.root_causes(*months, "score", list(leaves), leaves, cluster="who", bootstrap=200)
        parts = by(found, "leaf")
        assert whole(found)["conf_high"] < 0
        assert parts.loc["service", "conf_high"] < 0
        assert parts["estimate"].idxmin() == "service"
        assert parts.loc["mix", "p_adjusted"] > 0.05
        assert (by(found, "leaf x driver").loc[["service x unresolved", "service x wait"], "conf_high"] < 0).all()

    def test_what_no_driver_explains(self, rng: np.random.Generator) -> None:
        leaves = by(split(month(rng, 3_000), month(rng, 3_000, off=-5.0)), "leaf")
        assert leaves.loc["unexplained", "conf_high"] < 0
        assert leaves.loc["unexplained", "conf_low"] < -5 < leaves.loc["unexplained", "conf_high"]

    def test_customers_of_both_months_are_drawn_once(self, rng: np.random.Generator) -> None:
        before = month(rng, 500).assign(who=range(500))
        after = before.assign(y=before["y"] - 3 + rng.normal(0, 1, 500))
        together, apart = (whole(split(before, after, cluster=who)) for who in ("who", None))
        assert together["std_error"] < 0.1 * apart["std_error"]  # the same people, nearly the same answers
        assert together["std_error"] == pytest.approx(1 / np.sqrt(500), rel=0.35)

    @pytest.mark.simulation
    def test_intervals_hold_the_parts(self, replicates: Callable) -> None:
        rng, times, held = np.random.default_rng(13), replicates(60, 1_000), np.zeros(3)
        truth = np.array([-3.0, -2.0, 0.0])
        for _ in range(times):
            found = split(month(rng, 300), month(rng, 300, wait=6.5, partner=0.2), bootstrap=150, rng=rng)
            leaves = by(found, "leaf").loc[["service", "mix", "unexplained"]]
            held += (leaves["conf_low"].to_numpy() <= truth) & (truth <= leaves["conf_high"].to_numpy())
        assert (held / times > 0.85).all(), held / times


class TestWithoutANumber:
    def test_a_leaf_nobody_looked_at(self, rng: np.random.Generator) -> None:
        leaves = by(split(month(rng, 200), month(rng, 200)), "leaf")
        assert leaves.loc["channel", ["status", "note"]].tolist() == ["undefined", "no driver of this leaf was given"]

    def test_a_driver_that_does_not_vary(self, rng: np.random.Generator) -> None:
        before, after = (month(rng, 200).assign(load=1.0) for _ in range(2))
        found = split(before, after)
        row = by(found, "leaf x driver").loc["digital x load"]
        assert row[["status", "note"]].tolist() == ["undefined", "all its answers are equal"]
        assert by(found, "leaf")["estimate"].sum() == pytest.approx(whole(found)["estimate"], abs=EXACT)

    def test_an_empty_month(self, rng: np.random.Generator) -> None:
        found = split(month(rng, 200), month(rng, 200)[:0], labels=("2026-09", "2026-10"))
        assert found[["status", "note"]].to_numpy().tolist() == [["undefined", "no answers in 2026-10"]]

    def test_few_customers_are_not_shown(self, rng: np.random.Generator) -> None:
        found = split(month(rng, 30), month(rng, 30), min_n=100)
        assert set(found["status"]) == {"suppressed", "undefined"}
        assert found["n"].isna().all()

    def test_few_customers_with_many_answers(self, rng: np.random.Generator) -> None:
        before, after = (month(rng, 60).assign(who=rng.integers(0, 4, 60)) for _ in range(2))
        found = split(before, after, cluster="who")
        assert found[["status", "note"]].to_numpy().tolist() == [["too_few", "4 customers for 7 columns"]]

    def test_what_cannot_be_asked(self, rng: np.random.Generator) -> None:
        before, after = month(rng, 50), month(rng, 50)
        with pytest.raises(UsageError, match="driver 'load' has no leaf; 'servise' is no leaf; did you mean 'service'"):
            drivers.root_causes(before, after, "y", ["wait", "load"], {"wait": "servise"})
        with pytest.raises(UsageError, match="no column 'waits'"):
            drivers.root_causes(before, after, "y", ["waits"], {"waits": "service"})
        with pytest.raises(UsageError, match="no number of draws"):
            split(before, after, bootstrap=0)

    def test_no_order_matters(self, rng: np.random.Generator) -> None:
        before, after = month(rng, 200), month(rng, 200)
        one = split(before, after, cluster="who")
        other = drivers.root_causes(
            before.iloc[::-1], after.iloc[::-1], "y", NAMES[::-1], LEAVES, bootstrap=100, cluster="who"
        )
        order = ["segment", "level", "comparison", "period"]
        pd.testing.assert_frame_equal(*(t.sort_values(order, ignore_index=True) for t in (one, other)), rtol=1e-7)
