"""Many metrics at once: the same as one by one, from frames and from tables, in one pass or several."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from cxlib import results
from cxlib.analysis import experiments
from cxlib.analysis.experiments import several
from cxlib.errors import UsageError
from cxlib.measure import verdicts
from cxlib.measure.moments import Moments

NUMBERS = list(results.NUMBERS)
OUTCOMES = {"kept": "kept", "spend": "spend", "per_order": ("spend", "orders")}
BY = ("region", "plan")


@pytest.fixture
def units(rng: np.random.Generator) -> pd.DataFrame:
    size = 3_000
    frame = pd.DataFrame({"unit": np.arange(size) // 3, "arm": rng.choice(["a", "b", "c"], size, p=[0.5, 0.3, 0.2])})
    frame["region"] = rng.choice(np.array(["North", "South", None], dtype=object), size)
    frame["plan"] = rng.choice(["Basic", "Plus"], size)
    frame["kept"] = rng.random(size) < 0.3 + 0.1 * (frame["arm"] == "b")
    frame["before"] = rng.gamma(2, 10, size)
    frame["spend"] = np.where(rng.random(size) < 0.1, np.nan, frame["before"] + rng.gamma(2, 5, size))
    frame["orders"] = rng.poisson(2, size) + 1
    return frame


def at(found: pd.DataFrame, **where: str) -> pd.DataFrame:
    for name, value in where.items():
        found = found[found[name] == value]
    return found.reset_index(drop=True)


def unlike(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Return the columns of numbers in which two frames differ beyond rounding; their lengths, where these do."""
    if len(one) != len(other):
        return [f"{len(one)} and {len(other)} rows"]
    sides = {name: (one[name].to_numpy(float), other[name].to_numpy(float)) for name in NUMBERS}
    return [name for name, pair in sides.items() if not np.allclose(*pair, rtol=1e-9, atol=1e-12, equal_nan=True)]


class TestSameAsOneByOne:
    @pytest.mark.parametrize("how", [{}, {"scale": "relative"}, {"sequential": 1000}, {"alternative": "greater"}])
    def test_every_row(self, units: pd.DataFrame, how: dict[str, Any]) -> None:
        found = experiments.readings(experiments.summarise(units, OUTCOMES, arm="arm", by=BY), control="a", **how)
        assert len(found) == 3 * (1 + 3 + 2) * 2
        units = units.fillna({"region": "unknown"})
        for segment, level, arm in (("all", "all", "b"), ("region", "unknown", "c"), ("plan", "Plus", "b")):
            part = units if segment == "all" else units[units[segment] == level]
            sides = [part[part["arm"] == name] for name in ("a", arm)]
            for metric, made_of in OUTCOMES.items():
                y, x = (made_of, None) if isinstance(made_of, str) else made_of
                known = experiments.effect(*(Moments.of(side[y], side[x] if x else None) for side in sides), **how)
                row = at(found, metric=metric, segment=segment, level=level, at=arm)
                assert unlike(row.assign(p_adjusted=np.nan), known) == []
                assert row["method"].tolist() == known["method"].tolist()

    def test_covariates(self, units: pd.DataFrame) -> None:
        """Metrics with a covariate are read by CUPED, the others as ever; a missing past is one of nothing."""
        units.loc[units.index[::7], "before"] = None
        sums = experiments.summarise(units, OUTCOMES, arm="arm", covariates={"spend": "before"})
        found = experiments.readings(sums, control="a")
        sides = [units[units["arm"] == name] for name in ("a", "c")]
        known = experiments.cuped(*(Moments.of(side["spend"], y_pre=side["before"].fillna(0)) for side in sides))
        row = at(found, metric="spend", at="c")
        assert unlike(row.assign(p_adjusted=np.nan), known) == []
        assert row["note"].tolist() == known["note"].tolist()
        assert set(at(found, metric="per_order")["method"]) == {"Welch"}

    def test_ratio_covariates(self, units: pd.DataFrame) -> None:
        units["visits"] = np.arange(len(units)) % 4
        sums = experiments.summarise(
            units, {"per_order": ("spend", "orders")}, arm="arm", covariates={"per_order": ("before", "visits")}
        )
        sides = [units[units["arm"] == name] for name in ("a", "b")]
        known = experiments.cuped(
            *(Moments.of(s["spend"], s["orders"], y_pre=s["before"], x_pre=s["visits"]) for s in sides)
        )
        assert unlike(at(experiments.readings(sums, control="a"), at="b").assign(p_adjusted=np.nan), known) == []

    def test_rows_of_a_unit(self, units: pd.DataFrame) -> None:
        """Clustered rows, whose units lie in several levels: every level, and the whole, by its own units."""
        found = experiments.readings(
            experiments.summarise(units, OUTCOMES, arm="arm", by=BY, clusters="unit"), control="a"
        )
        for segment, level in (("all", "all"), ("plan", "Basic")):
            part = units if segment == "all" else units[units[segment] == level]
            sides = [part[part["arm"] == name] for name in ("a", "b")]
            for metric, (y, x) in {"spend": ("spend", None), "per_order": ("spend", "orders")}.items():
                known = experiments.effect(*(Moments.of(s[y], s[x] if x else None, clusters=s["unit"]) for s in sides))
                assert (
                    unlike(
                        at(found, metric=metric, segment=segment, level=level, at="b").assign(p_adjusted=np.nan), known
                    )
                    == []
                )

    def test_statsmodels(self, units: pd.DataFrame) -> None:
        """CompareMeans, unequal variances: interval and p-value of every level of a mean; to 1e-9."""
        found = experiments.readings(experiments.summarise(units, ["spend"], arm="arm", by=["plan"]), control="a")
        for level in ("Basic", "Plus"):
            part = units[units["plan"] == level].dropna(subset="spend")
            new, old = (DescrStatsW(part.loc[part["arm"] == name, "spend"]) for name in ("b", "a"))
            known = CompareMeans(new, old)
            row = at(found, segment="plan", level=level, at="b").iloc[0]
            assert row[["conf_low", "conf_high"]].tolist() == pytest.approx(
                known.tconfint_diff(usevar="unequal"), rel=1e-9
            )
            assert row["p_value"] == pytest.approx(known.ttest_ind(usevar="unequal")[1], rel=1e-9)


class TestTables:
    def test_tables_and_frames_and_their_order(self, units: pd.DataFrame, rng: np.random.Generator) -> None:
        """An Ibis table, the frame, its rows in another order and other types: the same, to the last digits."""
        how = {"arm": "arm", "by": BY, "covariates": {"spend": "before"}}
        first = experiments.readings(experiments.summarise(units, OUTCOMES, **how), control="a")
        shuffled = units.sample(frac=1, random_state=rng)
        typed = units.convert_dtypes().astype({"region": "category", "spend": "Float64", "orders": "object"})
        for table in (ibis.memtable(pa.Table.from_pandas(units)), shuffled, typed):
            found = experiments.readings(experiments.summarise(table, OUTCOMES, **how), control="a")
            assert unlike(found, first) == []
            pd.testing.assert_frame_equal(
                found[["metric", "segment", "level", "at"]], first[["metric", "segment", "level", "at"]]
            )

    def test_segments_beyond_one_pass(self, units: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = experiments.summarise(units, OUTCOMES, arm="arm", by=BY)
        for most in (2, 1):
            monkeypatch.setattr(several, "MOST_CELLS", most)
            found = experiments.summarise(units, OUTCOMES, arm="arm", by=BY)
            assert unlike(experiments.readings(found, control="a"), experiments.readings(whole, control="a")) == []

    def test_money_in_decimals_is_exact(self) -> None:
        amounts = [Decimal("0.10"), Decimal("0.20"), Decimal("0.70"), Decimal("0.05")]
        table = ibis.memtable(pa.table({"arm": ["a", "a", "b", "b"], "paid": pa.array(amounts, pa.decimal128(12, 2))}))
        sums = experiments.summarise(table, ["paid"], arm="arm")
        assert sums.moments.sums["y"].tolist() == [0.3, 0.75]
        assert sums.moments.products["y", "y"].tolist() == [0.05, 0.4925]
        both = experiments.summarise(table, ["paid"], arm="arm", clusters="arm")
        known = [Moments.of(one, clusters=[1, 1]) for one in ([0.1, 0.2], [0.7, 0.05])]
        for pair, products in both.moments.products.items():
            assert products.tolist() == pytest.approx([float(one.products[pair]) for one in known], rel=1e-12)

    def test_a_level_that_an_arm_lacks(self, units: pd.DataFrame) -> None:
        units.loc[(units["plan"] == "Plus") & (units["arm"] == "a"), "plan"] = "Basic"
        found = experiments.readings(experiments.summarise(units, ["kept"], arm="arm", by=["plan"]), control="a")
        row = at(found, level="Plus", at="b").iloc[0]
        assert (row["status"], row["note"], row["verdict"]) == (results.UNDEFINED, "an arm has no units", "")
        assert np.isnan(row["p_adjusted"])

    def test_nothing_known_of_an_outcome(self, units: pd.DataFrame) -> None:
        units["none"] = None
        found = experiments.readings(experiments.summarise(units, ["none", "kept"], arm="arm"), control="a")
        assert at(found, metric="none")["status"].tolist() == [results.UNDEFINED] * 2
        assert at(found, metric="kept")["status"].tolist() == [results.OK] * 2


class TestFamilies:
    def test_benjamini_and_hochberg_by_the_oracle(self, oracle: Callable[[str], dict]) -> None:
        """Oracle exp_padjust_bh1995, what `adjust` hands on to: BH, Holm and Bonferroni to 1e-10."""
        known = oracle("exp_padjust_bh1995")
        p_values = np.array(known["inputs"]["p"])
        for method, name in (("bh", "BH"), ("holm", "holm"), ("bonferroni", "bonferroni")):
            expected = [known["expected"][f"{name}.{place}"] for place in range(1, 16)]
            np.testing.assert_allclose(verdicts.adjust(p_values, method), expected, atol=1e-10)
        assert int((verdicts.adjust(p_values, "bh") < 0.05).sum()) == known["expected"]["rejected"]["fdr_bh"]

    @pytest.mark.parametrize("adjust", ["holm", "bh"])
    def test_each_segment_is_a_family(self, units: pd.DataFrame, adjust: str) -> None:
        sums = experiments.summarise(units, OUTCOMES, arm="arm", by=BY)
        found = experiments.readings(sums, control="a", adjust=adjust)
        for _, family in found.groupby("segment"):
            np.testing.assert_allclose(family["p_adjusted"], verdicts.adjust(family["p_value"], adjust))
        assert (found["verdict"] == np.where(found["p_adjusted"] < 0.05, "moved", "not shown")).all()
        assert found["verdict"].eq("moved").any()
        one = experiments.readings(sums, control="a", adjust=adjust, families=())
        np.testing.assert_allclose(one["p_adjusted"], verdicts.adjust(found["p_value"], adjust))

    def test_order_of_rows(self, units: pd.DataFrame) -> None:
        found = experiments.readings(experiments.summarise(units, OUTCOMES, arm="arm", by=BY), control="b")
        assert list(dict.fromkeys(found["metric"])) == list(OUTCOMES)
        assert list(dict.fromkeys(found["segment"])) == ["all", *BY]
        assert list(dict.fromkeys(found["at"])) == ["a", "c"]
        assert set(found["against"]) == {"b"}


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("outcomes", "how", "word"),
        [
            (["kepd"], {}, "kept"),
            (["kept"], {"arm": "arms"}, "arm"),
            (["region"], {}, "no number"),
            ([], {}, "no outcomes"),
            (["kept"], {"covariates": {"spent": "before"}}, "spent"),
            (["spend"], {"covariates": {"spend": "before"}, "clusters": "unit"}, "one row a unit"),
        ],
    )
    def test_columns(self, units: pd.DataFrame, outcomes: Any, how: dict[str, Any], word: str) -> None:
        with pytest.raises(UsageError, match=word):
            experiments.summarise(units, outcomes, **{"arm": "arm", **how})

    def test_rows(self, units: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match="list"):
            experiments.summarise([1, 2], ["kept"], arm="arm")
        with pytest.raises(UsageError, match="string"):
            experiments.summarise(ibis.memtable(pa.Table.from_pandas(units)), ["plan"], arm="arm")
        with pytest.raises(UsageError, match="called 'all'"):
            experiments.summarise(units.rename(columns={"plan": "all"}), ["kept"], arm="arm", by=["all"])
        units.loc[5, "arm"] = None
        with pytest.raises(UsageError, match="units without an arm, 1 "):
            experiments.summarise(units, ["kept"], arm="arm")

    def test_infinite_numbers(self, units: pd.DataFrame) -> None:
        units.loc[3, "spend"] = np.inf
        with pytest.raises(UsageError, match="spend"):
            experiments.summarise(units, ["kept", "spend"], arm="arm")
        for bad in (np.inf, np.nan):
            table = pa.table({"arm": ["a", "b"], "y": pa.array([1.0, bad])})
            with pytest.raises(UsageError, match="infinite numbers, or NaN, in y"):
                experiments.summarise(ibis.memtable(table), ["y"], arm="arm")

    def test_readings(self, units: pd.DataFrame) -> None:
        sums = experiments.summarise(units, ["kept"], arm="arm")
        for how, word in (
            ({"control": "d"}, "a, b, c"),
            ({"control": "a", "alpha": 5}, "between 0 and 1"),
            ({"control": "a", "adjust": "none"}, "bh"),
            ({"control": "a", "families": ["segments"]}, "segment"),
            ({"control": "a", "scale": "log"}, "scale"),
        ):
            with pytest.raises(UsageError, match=word):
                experiments.readings(sums, **how)
