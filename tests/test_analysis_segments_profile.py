"""Sizes and profiles of segments: against SciPy's intervals, in words, and what may not be shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib import results
from cxlib.analysis import hiding, segments
from cxlib.errors import UsageError

WORDS = {"orders": ("buys seldom", "buys often"), "amount": ("small baskets", "large baskets")}


@pytest.fixture
def people(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.Series]:
    """Four hundred customers in three segments; `orders` sets A apart, `noise` nobody."""
    labels = pd.Series(rng.choice(list("ABC"), 400, p=[0.5, 0.3, 0.2]), index=[f"c{i}" for i in range(400)])
    orders = rng.poisson(np.where(labels == "A", 12, 4)).astype(float)
    amount = rng.lognormal(3, 0.4, 400) * np.where(labels == "C", 2.5, 1.0)
    return pd.DataFrame({"orders": orders, "amount": amount, "noise": rng.normal(size=400)}, labels.index), labels


class TestSizes:
    def test_against_scipy(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        labels = people[1]
        found = segments.sizes(labels).set_index("level")
        assert found.index.tolist() == ["A", "B", "C"]
        assert set(found["metric"]) == {"segment_share"}
        assert set(found["comparison"]) == {"share"}
        for level, row in found.iterrows():
            reference = stats.binomtest(int((labels == level).sum()), 400).proportion_ci(method="wilson")
            assert (row["conf_low"], row["conf_high"]) == pytest.approx(tuple(reference), abs=1e-12)
        assert found["estimate"].sum() == pytest.approx(1)
        assert set(found["n"]) == {400}

    def test_customers_without_a_segment_are_told(self) -> None:
        found = segments.sizes(pd.Series(["A", None, "B", "A"]))
        assert found["n"].tolist() == [3, 3]
        assert found["note"].tolist() == ["1 customers without a segment are left out"] * 2

    def test_small_segments_are_hidden(self) -> None:
        found = segments.sizes(pd.Series(["A"] * 30 + ["B"] * 20 + ["C"] * 9), min_n=10)
        assert found["status"].tolist() == ["ok", "suppressed", "suppressed"]  # C is 59 - 30 - 20: B goes with it
        assert found["estimate"].notna().tolist() == found["n"].notna().tolist() == [True, False, False]
        assert found["note"].tolist()[1:] == [hiding.NOTE] * 2
        pair = segments.sizes(pd.Series(["A"] * 30 + ["B"] * 6 + ["C"] * 6), min_n=10)
        assert pair["status"].tolist() == ["ok", "suppressed", "suppressed"]
        few = segments.sizes(pd.Series(["A"] * 30 + ["B"] * 20 + ["C"] * 2 + ["D"] * 3), min_n=10)
        assert few["status"].tolist() == ["ok", "suppressed", "suppressed", "suppressed"]

    def test_nobody(self) -> None:
        found = segments.sizes(pd.Series([None, None], dtype=object))
        assert found["status"].tolist() == ["undefined"]

    def test_a_customer_twice(self) -> None:
        with pytest.raises(UsageError, match="1 labels are of a customer that has one already"):
            segments.sizes(pd.Series(["A", "B"], index=["c1", "c1"]))


class TestProfile:
    def test_means_against_scipy(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        features, labels = people
        found = segments.profile(features, labels)
        means = found[(found["comparison"] == "level")].set_index(["metric", "level"])
        for name in features:
            for level in "ABC":
                mine = features.loc[labels == level, name]
                low, high = stats.t.interval(0.95, len(mine) - 1, mine.mean(), stats.sem(mine))
                row = means.loc[(name, level)]
                assert (row["estimate"], row["conf_low"], row["conf_high"]) == pytest.approx((mine.mean(), low, high))

    def test_distance_from_the_rest_against_scipy(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        features, labels = people
        found = segments.profile(features, labels)
        apart = found[found["comparison"] == "difference"].set_index(["metric", "level"])
        assert set(apart["against"]) == {"the rest"}
        for name in features:
            spread = features[name].std()
            for level in "ABC":
                mine, rest = features.loc[labels == level, name], features.loc[labels != level, name]
                reference = stats.ttest_ind(mine, rest, equal_var=False).confidence_interval()
                row = apart.loc[(name, level)]
                assert row["estimate"] == pytest.approx((mine.mean() - rest.mean()) / spread)
                assert row["conf_low"] == pytest.approx(reference.low / spread)
                assert row["conf_high"] == pytest.approx(reference.high / spread)
                assert np.isnan(row["p_value"])

    def test_words(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        found = segments.profile(*people, words=WORDS)
        told = found[found["metric"] == "segment_share"].set_index("level")["note"]
        assert told["A"].startswith("buys often")
        assert told["C"].startswith("large baskets")
        assert "noise" not in " ".join(told)
        plain = segments.profile(*people)
        assert plain.loc[plain["level"] == "A", "note"].iloc[0].startswith("very high orders")

    def test_segments_that_are_like_the_rest(self, rng: np.random.Generator) -> None:
        features = pd.DataFrame(rng.normal(size=(900, 3)), columns=["a", "b", "c"])
        found = segments.profile(features, pd.Series(rng.choice(["x", "y"], 900)))
        assert found.loc[found["metric"] == "segment_share", "note"].tolist() == ["like the rest"] * 2

    def test_order_of_rows_and_columns(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        features, labels = people
        mixed = segments.profile(features.sample(frac=1, random_state=2)[features.columns[::-1]], labels[::-1])
        keys = ["metric", "level", "comparison"]
        pd.testing.assert_frame_equal(
            mixed.sort_values(keys, ignore_index=True),
            segments.profile(features, labels).sort_values(keys, ignore_index=True),
        )

    def test_missing_values_and_labels(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        features, labels = people
        features = features.astype("Float64")
        features.loc[features.index[:100], "orders"] = pd.NA
        found = segments.profile(features, labels.where(labels != "C"))
        sizes = found[found["metric"] == "segment_share"].set_index("level")["n"]
        assert set(sizes.index) == {"A", "B"}
        orders = found[(found["metric"] == "orders") & (found["comparison"] == "level")].set_index("level")["n"]
        assert orders["A"] == (labels[100:] == "A").sum()

    def test_hidden_and_undefined(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        features, labels = people
        found = segments.profile(features.assign(flat=1.0), labels, min_n=100)
        small = found[found["level"] == "C"]
        assert (small["status"] != results.OK).all()
        assert small["estimate"].isna().all()
        assert (small["note"] != "").all()
        flat = found[(found["metric"] == "flat") & (found["comparison"] == "difference") & (found["level"] == "A")]
        assert flat["status"].tolist() == ["undefined"]
        assert flat["note"].tolist() == ["all customers are alike, or there is one only"]

    def test_one_segment_has_no_rest(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        found = segments.profile(people[0], people[1].map(lambda _: "all of them"))
        assert (found.loc[found["comparison"] == "difference", "status"] == "undefined").all()

    def test_refusals(self, people: tuple[pd.DataFrame, pd.Series]) -> None:
        features, labels = people
        with pytest.raises(UsageError, match="10 labelled customers are not among the features"):
            segments.profile(features[10:], labels)
        with pytest.raises(UsageError, match="orders is no number in 400 rows"):
            segments.profile(features.assign(orders="many"), labels)
        with pytest.raises(UsageError, match="confidence"):
            segments.profile(features, labels, confidence=95)
