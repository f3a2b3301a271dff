"""Estimates against published figures and other software; edges; coverage by simulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes, estimates, intervals, plans
from cxlib.measure.moments import Moments
from cxlib.params import Metric, Segment
from cxlib.periods import Period

REL = 1e-8  # the oracles' own tolerance against R
NAMES = {
    "wilson": "wilson",
    "clopper_pearson": "clopper-pearson",
    "agresti_coull": "agresti-coull",
    "jeffreys": "jeffreys",
}
Oracle = Callable[[str], dict[str, Any]]


def limits(frame: pd.DataFrame) -> list[float]:
    return [frame["conf_low"].item(), frame["conf_high"].item()]


def metric(kind: str = "nps", unit: str = "points", **changed: Any) -> Metric:
    fields = {
        "id": "m", "title": "M", "question": "?", "kind": kind, "unit": unit, "table": "responses", "owner": "cx",
        "time": "responded_at", "higher_is_better": True,
    }  # fmt: skip
    fields |= {"value": "score"} if kind in ("nps", "quantile") else {"numerator": "score"}
    return Metric(**{**fields, **changed})


class TestShare:
    @pytest.mark.parametrize("name", ["prop_ci_0_20", "prop_ci_81_263"])
    @pytest.mark.parametrize("method", sorted(NAMES))
    def test_newcombe_1998_table_1(self, name: str, method: str, oracle: Oracle) -> None:
        """Newcombe (1998) Statist. Med. 17:857; R `prop.test(x, n, correct = FALSE)`, `binom.test(x, n)`.

        R's Agresti-Coull goes below 0 for 0 of 20; ours is clipped to the scale.
        """
        found = oracle(name)
        share = estimates.share(found["inputs"]["x"], found["inputs"]["n"], method=NAMES[method])
        expected = [max(0.0, found["expected"][f"{method}.{side}"]) for side in (1, 2)]
        assert limits(share) == pytest.approx(expected, rel=REL)
        note = "limit clipped to the scale" if found["expected"][f"{method}.1"] < 0 else ""
        if expected[0] > share["estimate"].item():  # Jeffreys at 0 of 20
            note = "the interval leaves out the estimate, as this method does at none and at all"
        assert share["note"].item() == note

    @pytest.mark.parametrize("name", ["prop_ci_0_20", "prop_ci_81_263"])
    def test_adjusted_wald_is_agresti_coull_s(self, name: str, oracle: Oracle) -> None:
        """Sauro and Lewis (2005), Proc. HFES 49: the adjusted Wald of usability is Agresti and Coull's (1998)."""
        found = oracle(name)
        share = estimates.share(found["inputs"]["x"], found["inputs"]["n"], method="adjusted-wald")
        expected = [max(0.0, found["expected"][f"agresti_coull.{side}"]) for side in (1, 2)]
        assert limits(share) == pytest.approx(expected, rel=REL)
        assert share["method"].item() == "adjusted-wald"

    @pytest.mark.parametrize("name", ["prop_ci_0_20", "prop_ci_81_263"])
    def test_wald_of_statsmodels(self, name: str, oracle: Oracle) -> None:
        """statsmodels proportion_confint(x, n, method="normal"); without width at 0 of 20, which is said."""
        found = oracle(name)
        share = estimates.share(found["inputs"]["x"], found["inputs"]["n"], method="wald")
        assert limits(share) == pytest.approx(found["recomputed"]["statsmodels"]["normal"], abs=1e-12)
        assert ("no width" in share["note"].item()) == (found["inputs"]["x"] == 0)

    @pytest.mark.parametrize("method", ["agresti-coull", "adjusted-wald", "wald"])
    @pytest.mark.parametrize("x", [1, 19])
    def test_limits_that_leave_the_scale_are_clipped_and_said(self, method: str, x: int) -> None:
        """Agresti and Coull (1998), section 4: 1 of 20 has a lower limit below 0, 19 of 20 an upper one above 1."""
        found = estimates.share(x, 20, method=method)
        assert limits(found)[0 if x == 1 else 1] == (0 if x == 1 else 1)
        assert found["note"].item() == "limit clipped to the scale"

    @given(st.integers(0, 40), st.integers(1, 40), st.sampled_from(sorted(intervals.SHARE_METHODS)))
    def test_success_and_failure_change_places(self, x: int, rest: int, method: str) -> None:
        """Brown, Cai and DasGupta (2001): all of these are equivariant; 1e-9: each is computed anew."""
        one, other = estimates.share(x, x + rest, method=method), estimates.share(rest, x + rest, method=method)
        assert limits(one) == pytest.approx([1 - limit for limit in limits(other)[::-1]], abs=1e-9)
        assert one["note"].item() == other["note"].item()

    @pytest.mark.parametrize("method", sorted(intervals.SHARE_METHODS))
    def test_fewer_effective_answers_are_fewer_answers(self, method: str) -> None:
        """Korn and Graubard (1998): 60 of 100 answers worth 50 have the interval of 30 of 50."""
        worth, plain = estimates.share(60, 100, method=method, n_eff=50), estimates.share(30, 50, method=method)
        assert limits(worth) == pytest.approx(limits(plain), rel=1e-12)
        assert worth["method"].item() == f"{method}, cluster-robust n_eff"

    def test_a_number_that_is_missing_is_no_result(self) -> None:
        """Beside it stands a whole one; no row is `ok` without an estimate."""
        for found in (
            estimates.share([np.nan, 3], 10),
            estimates.nps([np.nan, 3], 1, 1),
            estimates.rate([np.nan, 3], 10),
        ):
            assert found["status"].tolist() == ["undefined", "ok"]
            assert found["note"].tolist() == ["a number is missing", ""]

    def test_wald_without_width_says_so(self) -> None:
        found = estimates.share(10, 10, method="wald")
        assert limits(found) == [1, 1]
        assert "no width" in found["note"].item()

    def test_telco_churn(self, oracle: Oracle) -> None:
        """IBM Telco, 1,869 of 7,043 lost; R `prop.test(correct = FALSE)`, `binom.test`."""
        expected = oracle("telco_churn_rate")["expected"]
        wilson = estimates.share(1869, 7043)
        assert wilson["estimate"].item() == pytest.approx(expected["churn_rate"], rel=REL)
        assert limits(wilson) == pytest.approx([expected["wilson_ci.1"], expected["wilson_ci.2"]], rel=REL)
        exact = estimates.share(1869, 7043, method="clopper-pearson")
        assert limits(exact) == pytest.approx([expected[f"clopper_pearson_ci.{side}"] for side in (1, 2)], rel=REL)

    @given(st.integers(0, 60), st.integers(0, 60), st.sampled_from(sorted(intervals.SHARE_METHODS)))
    def test_limits_lie_on_the_scale_around_the_estimate(self, x: int, rest: int, method: str) -> None:
        found = estimates.share(x, x + rest, method=method)
        if x + rest == 0:
            assert (found["status"].item(), found["note"].item()) == ("undefined", "no answers")
            return
        low, high = limits(found)
        assert 0 <= low <= high <= 1
        # Jeffreys leaves the estimate outside at 0 of n and n of n (Brown, Cai and DasGupta 2001); ours too.
        assert method == "jeffreys" or low - 1e-12 <= found["estimate"].item() <= high + 1e-12

    def test_arrays_give_rows(self) -> None:
        found = estimates.share([1, 2, 0], [10, 20, 0])
        assert found["estimate"].tolist()[:2] == [0.1, 0.1]
        assert found["status"].tolist() == ["ok", "ok", "undefined"]

    def test_faults_are_told(self) -> None:
        with pytest.raises(UsageError, match="did you mean 'wilson'"):
            estimates.share(1, 2, method="wilsn")
        with pytest.raises(UsageError, match="not between 0 and 1"):
            estimates.share(1, 2, confidence=95)
        with pytest.raises(UsageError, match="0 <= successes <= n"):
            estimates.share(3, 2)


class TestNps:
    def test_rocks_2016(self, oracle: Oracle) -> None:
        """Rocks (2016), arXiv:1601.07235, 50 / 30 / 20. The oracle's shifted centre is not the score to report."""
        expected = oracle("nps_ci_50_30_20")["expected"]
        for method, key in (("wald", "wald"), ("adjusted-wald", "adjusted_wald_rocks")):
            found = estimates.nps(50, 30, 20, method=method)
            assert found["estimate"].item() == pytest.approx(30, abs=1e-12)
            assert limits(found) == pytest.approx([expected[f"{key}.lo"], expected[f"{key}.hi"]], abs=1e-6)
            assert found["std_error"].item() == pytest.approx(expected[f"{key}.se"], abs=1e-6)

    def test_prep_air(self, oracle: Oracle, shared_data: Callable[[str], Path]) -> None:
        """Preppin' Data; R: `y <- (s >= 9) - (s <= 6); 100 * mean(y)`, `sd` over airlines with 50 answers or more."""
        expected = oracle("nps_airlines_preppin")["expected"]
        folder = shared_data("preppin_nps_airlines")
        answers = pd.concat([pd.read_csv(folder / name) for name in ("airlines.csv", "prep_air.csv")])
        answers.columns = ["airline", "customer", "score"]
        up, down = answers["score"].ge(9), answers["score"].le(6)
        counts = (
            answers.assign(up=up, down=down)
            .groupby("airline")
            .agg(n=("score", "size"), up=("up", "sum"), down=("down", "sum"))
        )
        assert len(counts) == expected["n_airlines_total"]
        counts = counts[counts["n"] >= 50]
        found = estimates.nps(counts["up"], counts["n"] - counts["up"] - counts["down"], counts["down"])
        scores = found["estimate"].set_axis(counts.index)
        assert [len(counts), scores["Prep Air"], scores.mean(), scores.std()] == pytest.approx(
            [expected[key] for key in ("n_airlines_ge50", "prep_air_nps", "mean_nps", "sd_nps")], abs=1e-6
        )
        row = found[counts.index == "Prep Air"]
        assert limits(row) == pytest.approx(
            [expected[f"prep_air_adjusted_wald.{side}"] for side in ("lo", "hi")], abs=1e-6
        )

    @given(st.tuples(*[st.integers(0, 30)] * 3), st.sampled_from(["wald", "adjusted-wald"]))
    def test_limits_lie_on_the_scale(self, counts: tuple[int, int, int], method: str) -> None:
        found = estimates.nps(*counts, method=method)
        assert found["status"].item() == ("ok" if sum(counts) else "undefined")
        if sum(counts):
            low, high = limits(found)
            assert -100 <= low <= high <= 100
            assert low <= found["estimate"].item() + 1e-9
            assert high >= found["estimate"].item() - 1e-9

    def test_counts_of_weights_may_be_rounding_below_0(self) -> None:
        """Weighted sums of a class that nobody is in leave -1e-17 as easily as 0."""
        pd.testing.assert_frame_equal(estimates.nps(7, 3, -1e-16), estimates.nps(7, 3, 0))
        with pytest.raises(UsageError, match="cannot be negative"):
            estimates.nps(7, 3, -0.1)

    def test_all_promoters(self) -> None:
        """Wald has no width, and says so; the adjusted upper limit would pass 100, and says so."""
        wald, adjusted = (estimates.nps(10, 0, 0, method=method) for method in ("wald", "adjusted-wald"))
        assert limits(wald) == [100, 100]
        assert "no width" in wald["note"].item()
        assert limits(adjusted)[0] < 80
        assert adjusted["note"].item() == "limit clipped to the scale"

    @given(st.tuples(*[st.integers(0, 30)] * 3).filter(any))
    def test_promoters_and_detractors_change_places(self, counts: tuple[int, int, int]) -> None:
        one, other = estimates.nps(*counts), estimates.nps(*counts[::-1])
        assert one["estimate"].item() == pytest.approx(-other["estimate"].item(), abs=1e-9)
        assert limits(one) == pytest.approx([-limit for limit in limits(other)[::-1]], abs=1e-9)


class TestMeanAndRatio:
    def test_missing_values_do_not_count(self) -> None:
        """R: t.test(c(1, NA, 3)) leaves the missing one out; a row without a denominator goes as well."""
        pd.testing.assert_frame_equal(
            estimates.mean(Moments.of([1.0, np.nan, 3.0], clusters=["ann", "ann", "bob"])),
            estimates.mean(Moments.of([1.0, 3.0], clusters=["ann", "bob"])),
        )
        pd.testing.assert_frame_equal(
            estimates.ratio(Moments.of([1.0, 2.0, 3.0, 5.0], [1.0, np.nan, 2.0, 1.0], weights=[1, 9, 2, 1])),
            estimates.ratio(Moments.of([1.0, 3.0, 5.0], [1.0, 2.0, 1.0], weights=[1, 2, 1])),
        )

    def test_no_answers_one_answer_one_customer(self) -> None:
        none, one, same = Moments.of([]), Moments.of([3.0]), Moments.of([3.0, 4.0], clusters=["ann", "ann"])
        found = results.concat(estimates.mean(moments) for moments in (none, one, same))
        assert found["status"].tolist() == ["undefined", "too_few", "too_few"]
        assert found["note"].tolist() == ["no answers", "fewer than two customers", "fewer than two customers"]

    def test_equal_answers_say_that_the_interval_has_no_width(self) -> None:
        found = estimates.mean(Moments.of([4.0] * 12))
        assert limits(found) == [4, 4]
        assert "no width" in found["note"].item()

    def test_a_ratio_over_nothing_is_undefined(self) -> None:
        found = estimates.ratio(Moments.of([1.0, 2.0], [0.0, 0.0]))
        assert (found["status"].item(), found["note"].item()) == ("undefined", "the denominator is 0")

    def test_ratio_by_the_delta_method(self, rng: np.random.Generator) -> None:
        """Cochran, Sampling Techniques, 6.3: se(R) = sqrt(sum (y - R x)^2 / (n - 1) / n) / mean(x)."""
        x = rng.integers(1, 5, 40).astype(float)
        y = 2 * x + rng.normal(size=40)
        value = y.sum() / x.sum()
        error = np.sqrt(((y - value * x) ** 2).sum() / 39 / 40) / x.mean()
        assert estimates.ratio(Moments.of(y, x))["std_error"].item() == pytest.approx(error, rel=1e-12)


class TestRate:
    def test_garwood_1936(self) -> None:
        """Garwood (1936) Biometrika 28:437, table 1, as R's `poisson.test(x)$conf.int` prints it to four places."""
        found = estimates.rate([0, 1, 5, 10], 1)
        assert found["conf_low"].tolist() == pytest.approx([0, 0.0253, 1.6235, 4.7954], abs=5e-5)
        assert found["conf_high"].tolist() == pytest.approx([3.6889, 5.5716, 11.6683, 18.3904], abs=5e-5)

    def test_events_that_come_together_widen_it(self) -> None:
        one, five = (limits(estimates.rate(50, 10, deff=deff)) for deff in (1, 5))
        assert five[0] < one[0] < 5 < one[1] < five[1]

    def test_scale_and_nothing_to_count_over(self) -> None:
        found = estimates.rate([3, 1], [93, 0], scale=30437.5)
        assert found["estimate"].tolist()[0] == pytest.approx(3 / 93 * 30437.5)
        assert found["status"].tolist() == ["ok", "undefined"]


class TestQuantile:
    @pytest.mark.parametrize(("n", "ranks"), [(6, (1, 6)), (10, (2, 9)), (20, (6, 15)), (25, (8, 18)), (50, (18, 33))])
    def test_the_median_s_ranks(self, n: int, ranks: tuple[int, int]) -> None:
        """Tables of the sign test, e.g. Conover, Practical Nonparametric Statistics, table A3; n = 5 has none."""
        found = estimates.quantile(range(1, n + 1), 0.5)
        assert tuple(limits(found)) == ranks

    @given(st.integers(6, 400), st.sampled_from([0.25, 0.5, 0.75, 0.9]))
    def test_scipy(self, n: int, q: float) -> None:
        """scipy.stats.quantile_test(x, q=0, p=q).confidence_interval(): the same order statistics, nan for none."""
        found = estimates.quantile(range(n), q)
        expected = stats.quantile_test(np.arange(n), q=0, p=q).confidence_interval(0.95)
        if np.isnan(expected.low) or np.isnan(expected.high):
            assert found["status"].item() == "too_few"
        else:
            assert limits(found) == [expected.low, expected.high]

    def test_the_ninetieth_needs_36(self) -> None:
        """1 - 0.9^36 is the first above 0.975 (METHODS: p90 below n = 36 is too_few)."""
        assert estimates.quantile(range(35), 0.9)["status"].item() == "too_few"
        assert estimates.quantile(range(36), 0.9)["status"].item() == "ok"
        assert "fewer than 36" in estimates.quantile(range(35), 0.9)["note"].item()

    @given(st.lists(st.integers(0, 5), min_size=6, max_size=40), st.sampled_from([0.5, 0.75]))
    def test_counts_are_values(self, values: list[int], q: float) -> None:
        often = pd.Series(values).value_counts()
        pd.testing.assert_frame_equal(
            estimates.quantile(values, q), estimates.quantile(often.index, q, counts=often.to_numpy())
        )

    def test_the_estimate_is_a_value_that_occurred(self) -> None:
        """R: quantile(x, 0.7, type = 1); 0.7 * 10 is 7.000000000000001 in doubles, and the 7th value all the same."""
        assert estimates.quantile(range(1, 11), 0.7, confidence=0.8)["estimate"].item() == 7
        assert estimates.quantile([], 0.5)["status"].item() == "undefined"

    def test_missing_values_do_not_count(self) -> None:
        """R: quantile(x, 0.5, type = 1, na.rm = TRUE); NumPy sorts a missing value last, as if it were the longest."""
        assert np.nanquantile([1, 2, np.nan], 0.5, method="inverted_cdf") == 1
        found = estimates.quantile([1, 2, np.nan] * 20, 0.5)
        assert (found["estimate"].item(), found["n"].item()) == (1, 40)
        assert estimates.quantile([np.nan], 0.5)["note"].item() == "no answers"


class TestFromMoments:
    def frame(self, **columns: Any) -> pd.DataFrame:
        base = {"period": "2026-10", "level": "all", "missing": 0.0}
        return pd.DataFrame(
            {**base, **{name: np.atleast_1d(np.asarray(v, dtype=object)) for name, v in columns.items()}}
        )

    def sums(self, y: list[float], clusters: Any = None, **columns: Any) -> pd.DataFrame:
        m = Moments.of(y, clusters=clusters)
        numbers = {"rows": m.rows, "clusters": m.clusters, "y": m.sums["y"], "x": m.sums["x"], "y2": m.squares}
        numbers |= {"yy": m.products["y", "y"], "xy": m.products["x", "y"], "xx": m.products["x", "x"]}
        return self.frame(**{name: [float(value)] for name, value in numbers.items()}, **columns)

    def test_few_answers_are_suppressed(self) -> None:
        found = estimates.from_moments(metric(), self.sums([1, 0, -1] * 3), min_n=10)
        assert found["status"].tolist() == ["suppressed"]
        assert found[list(results.NUMBERS)].isna().all(axis=None)

    def test_few_people_are_suppressed_however_often_they_answer(self) -> None:
        many = self.sums([1, 0, -1] * 30, clusters=["ann", "bob", "cem"] * 30)
        assert estimates.from_moments(metric(), many, min_n=10)["status"].item() == "suppressed"

    def test_a_metric_may_ask_for_more_never_for_less(self) -> None:
        frame = self.sums([1, 0, -1] * 5)
        assert estimates.from_moments(metric(min_n=20), frame, min_n=10)["status"].item() == "suppressed"
        assert estimates.from_moments(metric(min_n=2), frame, min_n=16)["status"].item() == "suppressed"
        assert estimates.from_moments(metric(min_n=2), frame, min_n=15)["status"].item() == "ok"

    def test_repeated_answers_widen_the_interval_and_the_method_says_so(self) -> None:
        y = [1, 0, -1, 1] * 5
        once = estimates.from_moments(metric(), self.sums(y), min_n=1)
        twice = estimates.from_moments(metric(), self.sums(y * 2, clusters=list(range(20)) * 2), min_n=1)
        assert once["method"].item() == "adjusted-wald"
        assert twice["method"].item() == "adjusted-wald, cluster-robust n_eff"
        assert twice["estimate"].item() == once["estimate"].item()
        assert twice["n_eff"].item() < 20 < twice["n"].item()
        assert np.diff(limits(twice)) > np.diff(limits(once))

    def test_a_frame_without_rows_gives_no_rows(self) -> None:
        frame = self.sums([1.0]).iloc[:0]
        for kind, unit in (("nps", "points"), ("share", "percent"), ("mean", "score")):
            assert estimates.from_moments(metric(kind, unit), frame).empty
        assert estimates.from_moments(metric("quantile", "seconds"), frame.assign(value=[])).empty

    def test_no_event_at_all_is_no_rate_of_zero(self) -> None:
        """Nobody complained, or nobody wrote it down: a total cannot tell. A level beside others can."""
        rate = metric("rate", "count", numerator="1", denominator={"table": "subscriptions", "value": "1", "time": "t"})
        silent = self.sums([0.0] * 40).assign(rows=0.0)
        assert estimates.from_moments(rate, silent).empty
        assert estimates.from_moments(rate, silent, segment="region")["estimate"].item() == 0
        assert changes.between(rate, silent, [("2026-10", "2026-09")]).empty
        masked = silent.assign(rows=np.nan)
        assert len(estimates.recorded(rate, masked, "all")) == 1

    def test_undefined_says_why(self) -> None:
        found = estimates.undefined(metric(), ["2026-09", "2026-10"], "this workspace has no table 'orders'")
        assert found["status"].tolist() == ["undefined"] * 2
        assert found["period"].tolist() == ["2026-09", "2026-10"]

    def test_recurring_callers_are_told_of_in_a_quantile(self) -> None:
        frame = self.frame(value=list(range(12)), rows=[1.0] * 12, clusters=[11.0] * 12)
        found = estimates.from_moments(metric("quantile", "seconds", quantile=0.5), frame)
        assert found["status"].item() == "ok"
        assert "one customer" in found["note"].item()


@pytest.fixture(scope="module")
def olist(shared_data: Callable[[str], Path]) -> dict[str, Any]:
    folder = shared_data("olist_sample_a")
    reviews = pd.read_csv(folder / "olist_order_reviews_dataset.csv", dtype=str, keep_default_na=False)
    orders = pd.read_csv(folder / "olist_orders_dataset.csv", dtype=str)
    customers = pd.read_csv(folder / "olist_customers_dataset.csv", dtype=str).set_index("customer_id")
    person = orders["customer_id"].map(customers["customer_unique_id"])
    when = lambda column: pd.to_datetime(column, format="%Y-%m-%d %H:%M:%S")  # noqa: E731
    responses = {
        "response_id": reviews["review_id"] + reviews["order_id"], "instrument": ["csat"] * len(reviews),
        "responded_at": when(reviews["review_answer_timestamp"]),
        "score": reviews["review_score"].astype("int64"),
        "customer_id": reviews["order_id"].map(dict(zip(orders["order_id"], person, strict=True))),
        "order_id": reviews["order_id"],
    }  # fmt: skip
    bought = {
        "order_id": orders["order_id"], "customer_id": person,
        "ordered_at": when(orders["order_purchase_timestamp"]),
        "promised_at": when(orders["order_estimated_delivery_date"]),
        "delivered_at": when(orders["order_delivered_customer_date"]),
    }  # fmt: skip
    return {"responses": memory(responses), "orders": memory(bought)}


class TestOlist:
    """R on the sample: `t.test(score)`, `prop.test(sum(score >= 4), n, correct = FALSE)`, `t.test(score ~ late)`."""

    def measured(self, tables: dict[str, Any], definition: Metric, segments: tuple[Segment, ...] = ()) -> pd.DataFrame:
        """Measure the whole range, each review its own cluster: quarters summed without regard to who recurs."""
        quarters = Period.range("2016-Q3", "2018-Q4")
        query = plans.plan(definition, tables, quarters, timezone="America/Sao_Paulo", segments=segments)
        sums = query.to_pyarrow().to_pandas().drop(columns="period").groupby("level", as_index=False).sum()
        return sums.assign(period="all", clusters=sums["rows"], yy=sums["y2"], xx=sums["rows"], xy=sums["y"])

    def test_scores(self, olist: dict[str, Any], oracle: Oracle) -> None:
        expected = oracle("olist_a_csat")["expected"]
        satisfied = metric("share", "percent", numerator="score >= 4")
        top2 = estimates.from_moments(satisfied, self.measured(olist, satisfied))
        assert top2["n"].item() == expected["n_reviews"]
        assert top2["estimate"].item() == pytest.approx(expected["csat_top2"], abs=1e-6)
        assert limits(top2) == pytest.approx([expected["csat_wilson.1"], expected["csat_wilson.2"]], abs=1e-6)
        score = metric("mean", "score")
        mean = estimates.from_moments(score, self.measured(olist, score))
        assert mean["estimate"].item() == pytest.approx(expected["mean_score"], abs=1e-6)
        assert limits(mean) == pytest.approx([expected["mean_t_ci.1"], expected["mean_t_ci.2"]], abs=1e-6)

    def test_late_and_on_time(self, olist: dict[str, Any], oracle: Oracle) -> None:
        expected = oracle("olist_a_csat")["expected"]
        late = metric("share", "percent", numerator="delivered_late")
        share = estimates.from_moments(late, self.measured(olist, late))
        assert share["estimate"].item() == pytest.approx(expected["late_share"], abs=1e-6)
        cut = Segment(id="delivered_late", title="Late", on="event", column="delivered_late")
        sums = self.measured(olist, metric("mean", "score"), (cut,)).set_index("level")
        both = {level: Moments.from_frame(sums.loc[[level]]) for level in ("true", "false")}
        assert both["true"].ratio.item() == pytest.approx(expected["mean_score_late"], abs=1e-6)
        assert both["false"].ratio.item() == pytest.approx(expected["mean_score_ontime"], abs=1e-6)
        welch = changes.mean_difference(before=both["false"], after=both["true"])
        expected_limits = [expected["late_diff_welch_ci.1"], expected["late_diff_welch_ci.2"]]
        assert limits(welch) == pytest.approx(expected_limits, abs=1e-6)


def memory(columns: dict[str, Any]) -> Any:
    """Return an Ibis table; pandas' nanoseconds become the store's microseconds."""
    arrays = {name: pa.Array.from_pandas(pd.Series(values)) for name, values in columns.items()}
    times = {name: array.cast("timestamp[us]") for name, array in arrays.items() if pa.types.is_timestamp(array.type)}
    return ibis.memtable(pa.table(arrays | times))
