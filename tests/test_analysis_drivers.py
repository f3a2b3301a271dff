"""Importance of drivers: other software's figures, the definition itself, what may not matter, and what is promised."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from itertools import permutations

import hypothesis
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import strategies as st

from cxlib.analysis import drivers
from cxlib.analysis.drivers import shares
from cxlib.analysis.drivers.ranking import rank_limits
from cxlib.data import demo
from cxlib.errors import UsageError

EXACT = 1e-9  # two ways to the same least squares, in doubles


def company(rng: np.random.Generator, n: int = 300) -> pd.DataFrame:
    """Return correlated drivers of every kind, with weights and customers."""
    base = rng.normal(size=n)
    frame = pd.DataFrame({"a": base + rng.normal(size=n), "b": base + rng.normal(size=n), "c": rng.normal(size=n)})
    frame["d"] = rng.choice(["x", "y", "z"], n)
    frame["y"] = frame["a"] + 0.5 * frame["b"] - 0.4 * frame["c"] + (frame["d"] == "x") + rng.normal(size=n)
    frame["w"] = rng.uniform(0.5, 2.0, n)
    frame["who"] = rng.integers(0, n // 2, n)
    return frame


def estimates(frame: pd.DataFrame) -> pd.Series:
    return frame.set_index("level")["estimate"]


def by_definition(frame: pd.DataFrame, names: list[str], weights: pd.Series | None = None) -> dict[str, float]:
    """Return what each driver adds to R2, averaged over all orders, a regression of statsmodels for each set."""
    known: dict[frozenset[str], float] = {frozenset(): 0.0}

    def r2(used: frozenset[str]) -> float:
        if used not in known:
            columns = sm.add_constant(pd.get_dummies(frame[sorted(used)], drop_first=True).astype(float))
            known[used] = sm.WLS(frame["y"], columns, weights=1.0 if weights is None else weights).fit().rsquared
        return known[used]

    orders = list(permutations(names))
    found = dict.fromkeys(names, 0.0)
    for order in orders:
        for place, name in enumerate(order):
            found[name] += (r2(frozenset(order[: place + 1])) - r2(frozenset(order[:place]))) / len(orders)
    return found


class TestTypes:
    """Texts of pandas are read once each, objects one by one: whatever the type, the same to the last digit."""

    @pytest.mark.parametrize("kind", ["str", "string", "category"])
    def test_of_texts(self, kind: str, rng: np.random.Generator) -> None:
        frame = company(rng)
        frame["d"] = frame["d"].astype(object).where(rng.random(len(frame)) > 0.1, None)
        frame["who"] = ("C" + frame["who"].astype(str)).astype(object).where(rng.random(len(frame)) > 0.05, None)
        typed = frame.astype({"d": kind, "who": "str"})
        one, other = (drivers.fit(table, "y", ["a", "b", "d"], cluster="who", bootstrap=20) for table in (frame, typed))
        pd.testing.assert_frame_equal(one.importance(), other.importance())
        pd.testing.assert_frame_equal(one.coefficients(), other.coefficients())

    @pytest.mark.parametrize("kind", ["str", "Float64", "object"])
    def test_of_numbers(self, kind: str, rng: np.random.Generator) -> None:
        frame = company(rng).round({"a": 3})
        frame.loc[:9, "a"] = np.nan
        given = frame["a"].map(lambda number: None if np.isnan(number) else str(number))
        typed = frame.assign(a=given.astype("str") if kind == "str" else frame["a"].astype(kind))
        one, other = (drivers.fit(table, "y", ["a", "b"], bootstrap=20).importance() for table in (frame, typed))
        pd.testing.assert_frame_equal(one, other)

    def test_a_code_in_texts_does_not_apply(self, rng: np.random.Generator) -> None:
        frame = company(rng).round({"a": 3})
        frame.loc[:40, "a"] = 99.0
        texts = frame.assign(a=frame["a"].astype(str).astype("str"))
        one, other = (
            drivers.fit(table, "y", ["a", "b"], not_applicable=99, bootstrap=20).importance()
            for table in (frame, texts)
        )
        pd.testing.assert_frame_equal(one, other)

    def test_many_numbers_and_a_few_texts_are_refused(self, rng: np.random.Generator) -> None:
        texts = company(rng)["a"].astype(str).astype("str")
        texts[:3] = "n/a"
        with pytest.raises(UsageError, match="driver 'a' holds numbers, and 3 texts such as 'n/a'"):
            drivers.fit(company(rng).assign(a=texts), "y", ["a", "b"])


class TestOracles:
    @pytest.fixture
    def attitude(self, shared_data: Callable) -> pd.DataFrame:
        return pd.read_csv(shared_data("attitude") / "attitude.csv")

    @pytest.mark.parametrize("method", ["lmg", "johnson"])
    def test_attitude_in_r(self, attitude: pd.DataFrame, oracle: Callable, method: str) -> None:
        expected, names = oracle("drivers_attitude")["expected"], [n for n in attitude.columns if n != "rating"]
        found = estimates(drivers.importance(attitude, "rating", names, method=method, bootstrap=0))
        for name in names:
            assert found[name] == pytest.approx(expected[f"{method}.{name}"], rel=1e-6)  # the oracle's tolerance
        assert found.sum() == pytest.approx(expected["r2"], rel=1e-6)

    def test_attitude_s_slopes_and_inflation(self, attitude: pd.DataFrame, oracle: Callable) -> None:
        expected, names = oracle("drivers_attitude")["expected"], [n for n in attitude.columns if n != "rating"]
        fit = drivers.fit(attitude, "rating", names, bootstrap=50)
        slope, vif = estimates(fit.coefficients()), estimates(fit.vif())
        for name in names:
            assert slope[name] == pytest.approx(expected[f"coef.{name}"], rel=1e-6)
            assert vif[name] == pytest.approx(expected[f"vif.{name}"], rel=1e-6)
        assert fit.explained()["estimate"].iloc[0] == pytest.approx(expected["r2"], rel=1e-6)
        pd.testing.assert_frame_equal(drivers.vif(attitude, "rating", names), fit.vif())

    @pytest.mark.parametrize("model", ["Y~X+M", "Y~X+M+Ybin"])
    def test_relaimpo(self, shared_data: Callable, oracle: Callable, model: str) -> None:
        frame = pd.read_csv(shared_data("pingouin_mediation") / "mediation.csv")
        expected = oracle("drivers_relaimpo_pingouin")["expected"][model]
        found = estimates(drivers.importance(frame, "Y", list(expected), bootstrap=0))
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=1e-7)  # the oracle's tolerance


class TestDefinition:
    def test_all_orders_with_a_category(self, rng: np.random.Generator) -> None:
        frame, names = company(rng), ["a", "b", "c", "d"]
        found = estimates(drivers.importance(frame, "y", names, bootstrap=0))
        for name, value in by_definition(frame, names).items():
            assert found[name] == pytest.approx(value, abs=EXACT)

    def test_all_orders_with_weights(self, rng: np.random.Generator) -> None:
        frame, names = company(rng), ["a", "b", "c", "d"]
        found = estimates(drivers.importance(frame, "y", names, weights="w", bootstrap=0))
        for name, value in by_definition(frame, names, frame["w"]).items():
            assert found[name] == pytest.approx(value, abs=EXACT)

    def test_weights_are_repeated_rows(self, rng: np.random.Generator) -> None:
        frame = company(rng, 80).assign(w=rng.integers(1, 4, 80))
        repeated = frame.loc[frame.index.repeat(frame["w"])]
        for method in ("lmg", "johnson"):
            one = drivers.importance(frame, "y", ["a", "b", "d"], method=method, weights="w", bootstrap=0)
            other = drivers.importance(repeated, "y", ["a", "b", "d"], method=method, bootstrap=0)
            np.testing.assert_allclose(one["estimate"], other["estimate"], atol=EXACT)

    def test_slopes_of_a_category_are_those_of_statsmodels(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        usual = frame["d"].mode()[0]
        columns = pd.get_dummies(frame[["a", "d"]]).astype(float).drop(columns=f"d_{usual}")
        reference = sm.WLS(frame["y"], sm.add_constant(columns), weights=frame["w"]).fit().params
        found = drivers.coefficients(frame, "y", ["a", "d"], weights="w", bootstrap=50)
        for row in found.itertuples():
            assert row.estimate == pytest.approx(reference[row.level.replace(": ", "_")], abs=EXACT)
        assert set(found["against"]) == {"one point less", usual}

    def test_two_alike_share_evenly(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        frame["twin"] = 3 * frame["a"] + 1
        for method in ("lmg", "johnson"):
            found = estimates(drivers.importance(frame, "y", ["a", "twin", "c"], method=method, bootstrap=0))
            alone = estimates(drivers.importance(frame, "y", ["a", "c"], method=method, bootstrap=0))
            assert found["a"] == pytest.approx(found["twin"], abs=1e-7)  # the smaller eigenvalue is rounding
            assert found.sum() == pytest.approx(alone.sum(), abs=1e-7)

    def test_uncorrelated_drivers_have_their_own_r2(self) -> None:
        frame = pd.DataFrame([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)], columns=["a", "b", "c"])
        frame["y"] = 3 * frame["a"] + frame["b"] + np.array([0, 1, -1, 0, 0, -1, 1, 0])
        for method in ("lmg", "johnson"):
            found = estimates(drivers.fit(frame, "y", ["a", "b"], method=method, bootstrap=0).importance())
            correlation = frame.corr()["y"]
            assert found["a"] == pytest.approx(correlation["a"] ** 2, abs=EXACT)
            assert found["b"] == pytest.approx(correlation["b"] ** 2, abs=EXACT)

    def test_relative_weights_do_not_see_how_levels_are_coded(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        renamed = frame.assign(d=frame["d"].map({"x": "k", "y": "m", "z": "a"}))
        one, other = (
            drivers.importance(table, "y", ["a", "c", "d"], method="johnson", bootstrap=0) for table in (frame, renamed)
        )
        np.testing.assert_allclose(one["estimate"], other["estimate"], atol=EXACT)

    def test_twenty_drivers_are_exact(self, rng: np.random.Generator) -> None:
        table = rng.normal(size=(200, 21)) @ rng.normal(size=(21, 21))
        cov = np.cov(table.T)[None]
        found = shares.lmg(cov, [(place,) for place in range(1, 21)])[0]
        reference = sm.OLS(table[:, 0], sm.add_constant(table[:, 1:])).fit().rsquared
        assert found.sum() == pytest.approx(reference, abs=1e-8)  # sums of a million models
        few = shares.lmg(cov, [(1,), tuple(range(2, 21))])[0]
        both = shares.lmg(cov[:, [0, *range(2, 21), 1]][:, :, [0, *range(2, 21), 1]], [tuple(range(1, 20)), (20,)])[0]
        np.testing.assert_allclose(few, both[::-1], atol=1e-8)

    def test_many_at_once_are_each(self, rng: np.random.Generator) -> None:
        covs = np.stack([np.cov(rng.normal(size=(5, 40))) for _ in range(7)])
        blocks = [(1,), (2, 3), (4,)]
        for method in (shares.lmg, shares.johnson):
            whole = method(covs, blocks)
            np.testing.assert_allclose(whole, np.concatenate([method(one[None], blocks) for one in covs]), atol=1e-12)


tables = st.integers(0, 10_000).map(lambda seed: company(np.random.default_rng(seed), 60))


class TestProperties:
    @hypothesis.given(frame=tables, method=st.sampled_from(["lmg", "johnson"]), weights=st.sampled_from([None, "w"]))
    def test_shares_add_up_to_r2(self, frame: pd.DataFrame, method: str, weights: str | None) -> None:
        fit = drivers.fit(frame, "y", ["a", "b", "c", "d"], method=method, weights=weights, bootstrap=0)
        assert fit.importance()["estimate"].sum() == pytest.approx(fit.explained()["estimate"].iloc[0], abs=EXACT)
        assert (fit.importance()["estimate"] >= -1e-12).all()

    @hypothesis.settings(max_examples=10)
    @hypothesis.given(frame=tables, seed=st.integers(0, 99), method=st.sampled_from(["lmg", "johnson"]))
    def test_no_order_matters(self, frame: pd.DataFrame, seed: int, method: str) -> None:
        order = np.random.default_rng(seed)
        frame.loc[frame.index[:9], "b"] = np.nan
        names = [str(name) for name in order.permutation(["a", "b", "c", "d"])]
        shuffled = frame.iloc[order.permutation(len(frame))]
        how = {"method": method, "weights": "w", "cluster": "who" if seed % 2 else None, "bootstrap": 20}
        one = drivers.importance(frame, "y", ["a", "b", "c", "d"], rng=np.random.default_rng(1), **how)
        other = drivers.importance(shuffled, "y", names, rng=np.random.default_rng(1), **how)
        other = other.set_index("level").loc[one["level"]].reset_index()[list(one.columns)]
        pd.testing.assert_frame_equal(one, other, rtol=1e-7, atol=1e-10)

    @hypothesis.given(frame=tables, by=st.floats(0.01, 100), off=st.floats(-50, 50))
    def test_units_do_not_matter(self, frame: pd.DataFrame, by: float, off: float) -> None:
        moved = frame.assign(a=frame["a"] * by + off, y=frame["y"] * 7 - 3)
        for method in ("lmg", "johnson"):
            one, other = (
                drivers.importance(t, "y", ["a", "b", "d"], method=method, bootstrap=0) for t in (frame, moved)
            )
            np.testing.assert_allclose(one["estimate"], other["estimate"], atol=1e-8)


class TestIntervals:
    def test_the_same_seed_gives_the_same(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        one, other = (drivers.fit(frame, "y", ["a", "b"], bootstrap=50) for _ in range(2))
        pd.testing.assert_frame_equal(one.importance(), other.importance())
        drawn = drivers.importance(frame, "y", ["a", "b"], bootstrap=50, rng=np.random.default_rng(2))
        assert (drawn["conf_low"] != one.importance()["conf_low"]).all()

    def test_whole_customers_are_drawn(self, rng: np.random.Generator) -> None:
        frame = company(rng, 100).assign(who=range(100))
        copies = pd.concat([frame] * 4)
        alone = drivers.importance(frame, "y", ["a", "b"], bootstrap=400)
        together = drivers.importance(copies, "y", ["a", "b"], cluster="who", bootstrap=400)
        apart = drivers.importance(copies, "y", ["a", "b"], bootstrap=400)
        np.testing.assert_allclose(together["std_error"], alone["std_error"], rtol=0.15)  # 400 draws: 4 % of noise
        assert (apart["std_error"] < 0.65 * alone["std_error"]).all()  # a half, if rows were customers

    def test_rows_without_a_customer_are_their_own(self, rng: np.random.Generator) -> None:
        frame = company(rng, 100)
        lost = drivers.importance(frame.assign(who=None), "y", ["a", "b"], cluster="who", bootstrap=200)
        alone = drivers.importance(frame, "y", ["a", "b"], bootstrap=200)
        np.testing.assert_allclose(lost["std_error"], alone["std_error"], rtol=0.25)

    def test_errors_of_slopes_are_robust_ones(self, rng: np.random.Generator) -> None:
        frame = company(rng, 2_000)
        frame["y"] += frame["a"] * rng.normal(size=2_000)
        reference = sm.OLS(frame["y"], sm.add_constant(frame[["a", "b"]])).fit(cov_type="HC1").bse
        found = drivers.coefficients(frame, "y", ["a", "b"]).set_index("level")["std_error"]
        for name in ("a", "b"):
            assert found[name] == pytest.approx(reference[name], rel=0.10)  # 1,000 draws: 2 % of noise, and the HC form

    def test_no_bootstrap_no_interval(self, rng: np.random.Generator) -> None:
        fit = drivers.fit(company(rng), "y", ["a", "b"], bootstrap=0)
        for frame in (fit.importance(), fit.ranks(), fit.coefficients()):
            assert frame["estimate"].notna().all()
            assert frame[["conf_low", "conf_high"]].isna().all().all()

    @pytest.mark.simulation
    def test_intervals_hold_the_share(self, replicates: Callable) -> None:
        """The planted shares are those of the population's covariance; the last driver has none at all."""
        rng, times = np.random.default_rng(5), replicates(100, 2_000)
        cov = 0.4 + 0.6 * np.eye(5)
        cov[:4, 4] = cov[4, :4] = 0.0
        slope = np.array([0.6, 0.4, 0.2, 0.0, 0.0])
        whole = np.block(
            [[np.array([[slope @ cov @ slope + 2.0]]), (cov @ slope)[None]], [(cov @ slope)[:, None], cov]]
        )
        truth = shares.lmg(whole[None], [(place,) for place in range(1, 6)])[0]
        held, root = np.zeros(5), np.linalg.cholesky(whole)
        for _ in range(times):
            frame = pd.DataFrame(rng.normal(size=(200, 6)) @ root.T, columns=["y", *"abcde"])
            found = drivers.importance(frame, "y", list("abcde"), bootstrap=200, rng=rng)
            held += (found["conf_low"].to_numpy() <= truth + 1e-12) & (truth <= found["conf_high"].to_numpy())
        assert (held / times > 0.88).all(), held / times  # .92 to .96 in 2,000; three standard errors of 100 are .07
        assert truth[4] == pytest.approx(0, abs=1e-12)

    @pytest.mark.simulation
    def test_ranks_hold_where_drivers_are_equal(self, replicates: Callable) -> None:
        rng, times, held, sharp = np.random.default_rng(6), replicates(100, 2_000), np.zeros(4), 0
        for _ in range(times):
            table = rng.normal(size=(300, 4))
            y = table @ np.array([0.8, 0.4, 0.4, 0.4]) + rng.normal(size=300)
            frame = pd.DataFrame(table, columns=list("abcd")).assign(y=y)
            found = drivers.ranks(frame, "y", list("abcd"), bootstrap=200, rng=rng)
            # Equal drivers share the places 2 to 4: an interval that leaves one of them out has ranked what is equal.
            low, high = found["conf_low"].to_numpy(), found["conf_high"].to_numpy()
            held += np.where(np.arange(4) == 0, low == 1, (low <= 2) & (high >= 4))
            sharp += high[0] == 1
        assert (held / times > 0.90).all(), held / times
        assert sharp / times > 0.9  # and the first is known to be first

    def test_ranks_by_hand(self) -> None:
        draws = np.array([[10, 1, 1.1], [10.2, 1.1, 1.0], [9.8, 1.0, 0.9], [10, 0.9, 1.0]])
        rank, low, high = rank_limits(np.array([10.0, 1.0, 1.05]), draws, 0.95)
        assert rank.tolist() == [1, 3, 2]
        assert low.tolist() == [1, 2, 2]
        assert high.tolist() == [1, 3, 3]


class TestDoor:
    def test_all_faults_at_once(self, rng: np.random.Generator) -> None:
        frame = company(rng).assign(when=pd.Timestamp("2026-10-01"), mixed=[1.0] * 298 + ["n/a", "?"])
        with pytest.raises(UsageError, match="no column 'aa'; did you mean") as error:
            drivers.importance(frame, "y", ["aa", "b", "b", "y"], weights="nope")
        for words in ("no column 'nope'", "driver 'b' is named 2 times", "'y' is both driver and outcome"):
            assert words in str(error.value)
        with pytest.raises(UsageError, match="holds times") as error:
            drivers.importance(frame, "d", ["when", "mixed"])
        for words in (
            "outcome 'd' is no number in 300 rows, the first",
            "driver 'mixed' holds numbers, and 2 texts such as 'n/a'",
        ):
            assert words in str(error.value)

    @pytest.mark.parametrize(
        ("how", "words"),
        [
            ({"method": "lgm"}, "did you mean 'lmg'"),
            ({"bootstrap": -1}, "no number of draws"),
            ({"confidence": 95}, "not between 0 and 1"),
            ({"weights": [1.0]}, "weights has 1 rows"),
            ({"weights": "minus"}, "weights must be 0 or more"),
        ],
    )
    def test_what_cannot_be_asked(self, rng: np.random.Generator, how: dict, words: str) -> None:
        with pytest.raises(UsageError, match=words):
            drivers.importance(company(rng).assign(minus=-1.0), "y", ["a", "b"], **how)

    def test_times_and_ids_are_no_drivers(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        frame["day"] = pd.Series([date(2026, 10, 1)] * 300, dtype=object)
        frame["took"] = pd.to_timedelta(range(300), unit="s")
        frame["id"] = [f"C{place}" for place in range(300)]
        with pytest.raises(UsageError, match="driver 'day' holds times") as error:
            drivers.importance(frame, "y", ["day", "took", "id"])
        for words in ("driver 'took' holds times", "driver 'id' has 300 levels, more than 50: group them"):
            assert words in str(error.value)

    def test_no_drivers_or_a_text(self, rng: np.random.Generator) -> None:
        with pytest.raises(UsageError, match="drivers is a list"):
            drivers.importance(company(rng), "y", [])
        alone = drivers.importance(company(rng), "y", ["a"], bootstrap=0)
        assert alone["level"].tolist() == drivers.importance(company(rng), "y", "a", bootstrap=0)["level"].tolist()

    def test_more_than_twenty_are_for_johnson(self, rng: np.random.Generator) -> None:
        frame = pd.DataFrame(rng.normal(size=(100, 22)), columns=["y", *(f"x{i}" for i in range(21))])
        with pytest.raises(UsageError, match='Use method="johnson"'):
            drivers.importance(frame, "y", list(frame.columns[1:]))
        found = drivers.importance(frame, "y", list(frame.columns[1:]), method="johnson", bootstrap=20)
        assert (found["status"] == "ok").all()

    def test_columns_of_any_type(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        plain = pd.DataFrame({"y": frame["y"].round(2), "a": frame["a"].round(), "t": frame["c"] > 0, "d": frame["d"]})
        given = pd.DataFrame({
            "y": [Decimal(str(value)) for value in plain["y"]],
            "a": plain["a"].astype("Int64").astype(object).astype("str"),
            "t": plain["t"].astype("boolean"),
            "d": plain["d"].astype("category").cat.add_categories("never"),
        })  # fmt: skip
        one, other = (drivers.importance(table, "y", ["a", "t", "d"], bootstrap=0) for table in (plain, given))
        np.testing.assert_allclose(one["estimate"], other["estimate"], atol=EXACT)
        arrow = plain.convert_dtypes(dtype_backend="pyarrow")
        third = drivers.importance(arrow, "y", ["a", "t", "d"], bootstrap=0)
        np.testing.assert_allclose(one["estimate"], third["estimate"], atol=EXACT)

    def test_the_frame_is_left_as_it_was(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        before = frame.copy()
        drivers.importance(frame, "y", ["a", "d"], cluster="who", bootstrap=10)
        pd.testing.assert_frame_equal(frame, before)


class TestWithoutANumber:
    def test_a_driver_that_does_not_vary(self, rng: np.random.Generator) -> None:
        frame = company(rng).assign(flat=1.0, empty=np.nan)
        found = drivers.importance(frame, "y", ["a", "flat", "empty"], bootstrap=20).set_index("level")
        assert found["status"].tolist() == ["ok", "undefined", "undefined"]
        assert found.loc["flat", "note"] == "all its answers are equal"
        assert found.loc["empty", "note"] == "answered by 0 customers"

    @pytest.mark.parametrize(
        ("frame", "status", "note"),
        [
            (pd.DataFrame({"y": [], "a": []}), "undefined", "no answers to the outcome"),
            (pd.DataFrame({"y": [np.nan] * 3, "a": [1, 2, 3]}), "undefined", "no answers to the outcome"),
            (pd.DataFrame({"y": [1.0] * 30, "a": range(30)}), "undefined", "all answers to the outcome are equal"),
            (pd.DataFrame({"y": range(30), "a": [2.0] * 30}), "undefined", "no driver varies"),
            (pd.DataFrame({"y": [1, 2, 4], "a": [1, 2, 3]}), "too_few", "3 customers for 1 columns"),
        ],
    )
    def test_nothing_can_be_said(self, frame: pd.DataFrame, status: str, note: str) -> None:
        fit = drivers.fit(frame, "y", ["a"])
        for table in (fit.importance(), fit.ranks(), fit.coefficients(), fit.vif(), fit.explained()):
            assert table["status"].tolist() == [status]
            assert note in table["note"].iloc[0]
            assert table["estimate"].isna().all()

    def test_what_other_drivers_determine_has_no_slope(self, rng: np.random.Generator) -> None:
        frame = company(rng).assign(twin=lambda one: one["a"] * 2)
        fit = drivers.fit(frame, "y", ["a", "b", "twin"], bootstrap=50)
        for table in (fit.coefficients(), fit.vif()):
            assert table["status"].tolist() == ["undefined", "ok", "undefined"]
            assert table["note"].tolist() == ["other drivers determine it", "", "other drivers determine it"]
        assert (fit.importance()["status"] == "ok").all()

    def test_few_customers_are_not_shown(self, rng: np.random.Generator) -> None:
        frame = company(rng, 60)
        frame.loc[frame.index[20:], "b"] = np.nan
        found = drivers.fit(frame, "y", ["a", "b"], bootstrap=20, min_n=30)
        assert found.importance()["status"].tolist() == ["ok", "suppressed"]
        assert found.importance()["n"].isna().tolist() == [False, True]

    def test_rows_without_an_outcome_are_told(self, rng: np.random.Generator) -> None:
        frame = company(rng)
        frame.loc[frame.index[:7], "y"] = np.nan
        found = drivers.importance(frame, "y", ["a"], bootstrap=0)
        assert found["n"].iloc[0] == 293
        assert "7 rows without an outcome or weight left out" in found["note"].iloc[0]


class TestRealAndPlanted:
    def test_airline_zero_means_not_applicable(self, shared_data: Callable) -> None:
        frame = pd.read_csv(shared_data("airline_satisfaction_600") / "airline_passenger_satisfaction.csv")
        frame["satisfied"] = (frame["satisfaction"] == "satisfied").astype(int)
        items = list(frame.columns[7:21])
        found = drivers.fit(frame, "satisfied", items, not_applicable=0, bootstrap=200)
        table = found.importance().set_index("level")
        assert (table["n"] == 600).all()  # complete rows alone would be 493
        assert table["estimate"].idxmax() == "online_boarding"
        zeros = (frame["inflight_wifi_service"] == 0).mean()
        assert f"does not apply to {100 * zeros:.1f} %" in table.loc["inflight_wifi_service", "note"]
        ranks = found.ranks().set_index("level")
        assert ranks.loc["online_boarding", ["conf_low", "conf_high"]].tolist() == [1, 1]
        as_bad = drivers.importance(frame, "satisfied", items, bootstrap=0).set_index("level")["estimate"]
        assert as_bad["inflight_wifi_service"] < table.loc["inflight_wifi_service", "estimate"]  # the trap

    def test_the_demo_s_drivers_come_in_the_planted_order(self) -> None:
        asked = demo.simulate(2_500, seed=3).asked
        support = np.isin(asked.instrument, [1, 2]) & (asked.wait >= 0)
        frame = pd.DataFrame({
            "score": asked.score, "unresolved": asked.unresolved, "wait": np.minimum(asked.wait / 60, 30),
            "late": asked.late, "noise": np.random.default_rng(1).normal(size=len(asked.score)), "who": asked.who,
            "instrument": asked.instrument,
        })  # fmt: skip
        mine = frame[support & (frame["instrument"] == 1)]
        found = drivers.fit(mine, "score", ["wait", "noise", "unresolved"], cluster="who", bootstrap=300)
        ranks = found.ranks().set_index("level")
        assert ranks["estimate"].to_dict() == {"unresolved": 1, "wait": 2, "noise": 3}
        assert ranks.loc["unresolved", "conf_high"] == 1
        slope = found.coefficients().set_index("level")
        assert (slope.loc[["unresolved", "wait"], "conf_high"] < 0).all()
        assert found.importance().set_index("level").loc["noise", "conf_low"] == 0
        delivered = frame[asked.touchpoint == 1]
        first = drivers.ranks(delivered, "score", ["noise", "late"], cluster="who", bootstrap=300).set_index("level")
        assert first.loc["late", ["estimate", "conf_high"]].tolist() == [1, 1]
