"""What customers say of the drivers, and what three sources of importance say beside each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis import drivers
from cxlib.errors import UsageError
from cxlib.measure import estimates
from cxlib.measure.moments import Moments


def asked(rng: np.random.Generator, n: int = 200) -> pd.DataFrame:
    """Return stated importance from 1 to 5: price is said to matter most, then speed, then staff."""
    chances = {"price": [0, 0, 0.1, 0.2, 0.7], "speed": [0, 0.1, 0.3, 0.4, 0.2], "staff": [0.2, 0.3, 0.3, 0.2, 0]}
    frame = pd.DataFrame({name: rng.choice([1, 2, 3, 4, 5], n, p=p) for name, p in chances.items()})
    return frame.assign(who=rng.integers(0, n // 2, n))


def answers(rng: np.random.Generator, n: int = 800) -> pd.DataFrame:
    """Return answers in which staff moves satisfaction most, then speed, and price hardly."""
    table = rng.normal(size=(n, 3))
    y = table @ [1.0, 0.6, 0.05] + rng.normal(size=n)
    return pd.DataFrame(table, columns=["staff", "speed", "price"]).assign(y=y)


def measured(**effects: float) -> pd.DataFrame:
    """Return effects of experiments, each with a standard error of 0.1."""
    value = np.array(list(effects.values()))
    return results.frame(
        metric="y", level=list(effects), comparison="difference", against="control", estimate=value, std_error=0.1,
        conf_low=value - 0.2, conf_high=value + 0.2, n=900.0,
    )  # fmt: skip


class TestStated:
    def test_ratings_are_means(self, rng: np.random.Generator) -> None:
        frame = asked(rng)
        found = drivers.stated(frame, ["price", "speed"]).set_index("level")
        assert found.loc["price", "estimate"] == pytest.approx(frame["price"].mean())
        low, high = stats.ttest_1samp(frame["price"], 0).confidence_interval()
        assert found.loc["price", ["conf_low", "conf_high"]].tolist() == pytest.approx([low, high])
        assert set(found["metric"]) == {"importance"}
        assert set(found["at"]) == {"stated"}

    def test_mentions_are_shares(self, rng: np.random.Generator) -> None:
        frame = pd.DataFrame({"price": [True] * 81 + [False] * 182})
        found = drivers.stated(frame, ["price"], kind="mentions").iloc[0]
        assert found["estimate"] == pytest.approx(81 / 263)
        # Newcombe (1998), Statist. Med. 17:857, table I, method 3.
        assert [found["conf_low"], found["conf_high"]] == pytest.approx([0.2553, 0.3662], abs=5e-5)

    def test_columns_may_be_named_after_drivers(self, rng: np.random.Generator) -> None:
        frame = asked(rng).rename(columns={"price": "q7_1"})
        assert drivers.stated(frame, {"price": "q7_1"})["level"].tolist() == ["price"]

    def test_customers_count_once(self, rng: np.random.Generator) -> None:
        frame = asked(rng)
        found = drivers.stated(frame, ["price"], cluster="who").iloc[0]
        moments = Moments.of(frame["price"], clusters=frame["who"])
        assert found["std_error"] == pytest.approx(float(np.sqrt(moments.variance)))
        assert estimates.mean(moments)["conf_low"].iloc[0] == pytest.approx(found["conf_low"])

    def test_codes_and_blanks_are_no_answers(self) -> None:
        frame = pd.DataFrame({"a": [0, 1, 2, 3, None], "b": [None] * 5})
        found = drivers.stated(frame, ["a", "b"], not_applicable=0).set_index("level")
        assert found.loc["a", ["estimate", "n"]].tolist() == [2, 3]
        assert found.loc["b", ["status", "note"]].tolist() == ["undefined", "no answers"]

    def test_few_customers_are_not_shown(self, rng: np.random.Generator) -> None:
        found = drivers.stated(asked(rng, 30), ["price"], cluster="who", min_n=20)
        assert found["status"].tolist() == ["suppressed"]

    @pytest.mark.parametrize(
        ("names", "how", "words"),
        [
            (["prise"], {}, "no column 'prise'; did you mean 'price'"),
            (["price"], {"kind": "rating"}, "did you mean 'ratings'"),
            (["price"], {"cluster": "whom"}, "no column 'whom'"),
            ("price", {}, "drivers is a list"),
            (["text"], {}, "column 'text' does not hold numbers"),
            (["price"], {"kind": "mentions"}, "mentions are 0 or 1; 'price' holds 5"),
        ],
    )
    def test_what_cannot_be_asked(self, rng: np.random.Generator, names: object, how: dict, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            drivers.stated(asked(rng).assign(text="x"), names, **how)


class TestPerformance:
    def test_from_worst_to_best(self) -> None:
        frame = pd.DataFrame({"wait": [0.0, 150, 300, 900], "rating": [1, 3, 5, 0]})
        found = drivers.performance(frame, ["wait", "rating"], ends={"wait": (600, 0), "rating": (1, 5)},
                                    not_applicable={"rating": 0}).set_index("level")  # fmt: skip
        assert found.loc["wait", "estimate"] == pytest.approx((100 + 75 + 50 + 0) / 4)
        assert found.loc["rating", "estimate"] == pytest.approx(50)
        assert found.loc["rating", "n"] == 3
        assert found["method"].str.endswith("0 to 100").all()

    def test_weights(self, rng: np.random.Generator) -> None:
        frame = asked(rng).assign(w=rng.uniform(0.5, 2, 200))
        found = drivers.performance(frame, ["price"], weights="w").iloc[0]
        assert found["estimate"] == pytest.approx(np.average(frame["price"], weights=frame["w"]))
        assert found["n_eff"] < found["n"] == 200

    def test_ends_must_be_known(self, rng: np.random.Generator) -> None:
        with pytest.raises(UsageError, match="no ends for driver 'speed'; the ends of driver 'price' are equal"):
            drivers.performance(asked(rng), ["price", "speed"], ends={"price": (5, 5)})


class TestCompare:
    def test_what_disagrees_is_said(self, rng: np.random.Generator) -> None:
        fit = drivers.fit(answers(rng), "y", ["staff", "speed", "price"], bootstrap=300)
        frame = drivers.compare(drivers.stated(asked(rng), ["price", "speed", "staff"]), fit)
        ranks = frame[frame["metric"] == "rank"].set_index(["at", "level"])
        assert ranks.loc["stated", "estimate"].to_dict() == {"price": 1, "speed": 2, "staff": 3}
        assert ranks.loc["derived", "estimate"].to_dict() == {"price": 3, "speed": 2, "staff": 1}
        assert ranks.loc[("derived", "price"), "note"] == "said to matter more than it shows (stated 1, derived 3)"
        assert ranks.loc[("stated", "staff"), "note"] == "matters more than customers say (stated 3, derived 1)"
        assert ranks.loc[("stated", "speed"), "note"] == ""
        tau = frame[frame["metric"] == "agreement"].iloc[0]
        assert tau["level"] == "stated and derived"
        assert tau["estimate"] == pytest.approx(stats.kendalltau([1, 2, 3], [3, 2, 1]).statistic)
        assert -1 <= tau["conf_low"] <= tau["estimate"] <= tau["conf_high"] <= 1
        importance = frame[frame["metric"] == "importance"].set_index(["at", "level"])["estimate"]
        assert importance["derived"].sum() == pytest.approx(fit.explained()["estimate"].iloc[0])

    def test_three_sources(self, rng: np.random.Generator) -> None:
        fit = drivers.fit(answers(rng), "y", ["staff", "speed", "price"], bootstrap=300)
        frame = drivers.compare(drivers.stated(asked(rng), ["price", "speed", "staff"]), fit,
                                measured(staff=0.0, speed=2.0, price=0.9))  # fmt: skip
        note = frame[(frame["metric"] == "rank") & (frame["level"] == "staff")].set_index("at")["note"]
        assert "goes with the outcome more than changing it does" in note["derived"]
        assert len(frame[frame["metric"] == "agreement"]) == 3

    def test_noise_disagrees_about_nothing(self, rng: np.random.Generator) -> None:
        frame = drivers.compare(derived=measured(a=0.1, b=0.12, c=0.11), experimental=measured(a=0.12, b=0.1, c=0.11))
        ranks = frame[frame["metric"] == "rank"]
        assert (ranks["note"] == "").all()
        assert (ranks["conf_low"] == 1).all()
        assert (ranks["conf_high"] == 3).all()

    def test_only_what_all_know_is_ranked(self) -> None:
        frame = drivers.compare(derived=measured(a=1.0, b=2.0, c=3.0), experimental=measured(b=2.0, c=1.0, d=5.0))
        assert set(frame.loc[frame["metric"] == "rank", "level"]) == {"b", "c"}
        one = drivers.compare(derived=measured(a=1.0, b=2.0), experimental=measured(b=2.0, d=5.0))
        last = one.iloc[-1]
        assert [last["status"], last["note"]] == ["undefined", "1 drivers are known to all of derived, experimental"]

    def test_one_experiment_does_not_end_the_comparison(self, rng: np.random.Generator) -> None:
        fit = drivers.fit(answers(rng), "y", ["staff", "speed", "price"], bootstrap=200)
        frame = drivers.compare(drivers.stated(asked(rng), ["price", "speed", "staff"]), fit, measured(speed=0.4))
        ranks = frame[frame["metric"] == "rank"]
        assert set(ranks["at"]) == {"stated", "derived"}
        assert len(ranks) == 6
        tried = frame[(frame["metric"] == "importance") & (frame["at"] == "experimental")]
        assert tried[["level", "estimate"]].to_numpy().tolist() == [["speed", 0.4]]
        alone = drivers.compare(derived=fit, experimental=measured(speed=0.4))
        assert alone.iloc[-1]["status"] == "undefined"

    def test_what_cannot_be_compared(self) -> None:
        with pytest.raises(UsageError, match="1 sources of importance"):
            drivers.compare(derived=measured(a=1.0))
        twice = results.concat([measured(a=1.0), measured(a=2.0)])
        with pytest.raises(UsageError, match="derived has several rows of a"):
            drivers.compare(derived=twice, experimental=measured(a=1.0, b=2.0))

    def test_no_order_matters(self, rng: np.random.Generator) -> None:
        one = drivers.compare(derived=measured(a=1.0, b=2.0), experimental=measured(b=2.0, a=1.5))
        other = drivers.compare(derived=measured(b=2.0, a=1.0), experimental=measured(a=1.5, b=2.0))
        order = ["metric", "at", "level"]
        pd.testing.assert_frame_equal(*(t.sort_values(order, ignore_index=True) for t in (one, other)))

    @pytest.mark.simulation
    def test_equal_drivers_are_rarely_said_to_disagree(self, replicates: Callable) -> None:
        rng, times, false = np.random.default_rng(12), replicates(100, 2_000), 0
        for _ in range(times):
            frames = [measured(**dict(zip("abc", 1 + 0.1 * rng.normal(size=3), strict=True))) for _ in range(2)]
            frame = drivers.compare(derived=frames[0], experimental=frames[1], rng=rng)
            false += (frame["note"] != "").any()
        assert false / times < 0.05


def test_a_source_that_knows_one_driver_does_not_keep_the_others_from_being_ranked() -> None:
    """Two drivers are named in comments, one was in an experiment, seven were measured: the two are ranked."""
    known = {"derived": list("abcdefg"), "stated": ["a", "b"], "experimental": ["a"]}
    frames = {
        name: results.frame(level=levels, estimate=np.arange(1.0, len(levels) + 1), std_error=0.01, n=99.0)
        for name, levels in known.items()
    }
    found = drivers.compare(**frames)
    ranked = found[found["metric"] == "rank"]
    assert set(ranked["at"]) == {"stated", "derived"}
    assert set(ranked["level"]) == {"a", "b"}
    assert (found["at"] == "experimental").sum() == 1  # told, not ranked
