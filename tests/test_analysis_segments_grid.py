"""Value against loyalty: parts of equal size, shares that add up, outcomes with SciPy's intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cxlib.analysis import segments
from cxlib.errors import UsageError


@pytest.fixture
def people(rng: np.random.Generator) -> pd.DataFrame:
    spent = rng.lognormal(4, 1, 600)
    said = rng.choice(["detractor", "passive", "promoter"], 600, p=[0.2, 0.3, 0.5])
    left = rng.random(600) < np.where(said == "detractor", 0.4, 0.1)
    return pd.DataFrame({"spent": spent, "said": said, "left": left, "visits": rng.poisson(3, 600)})


def pick(found: pd.DataFrame, metric: str) -> pd.DataFrame:
    return found[found["metric"] == metric].set_index("level")


class TestGrid:
    def test_shares_add_up(self, people: pd.DataFrame) -> None:
        found = segments.grid(people, "spent", "said", outcome="left")
        assert set(found["segment"]) == {"spent x said"}
        people_share, value_share = pick(found, "people_share"), pick(found, "value_share")
        assert len(people_share) == len(value_share) == 9
        assert people_share["estimate"].sum() == pytest.approx(1)
        assert value_share["estimate"].sum() == pytest.approx(1)
        assert people_share.filter(like="high x", axis=0)["estimate"].sum() == pytest.approx(1 / 3)
        top = people["spent"] > people["spent"].quantile(2 / 3)
        assert value_share.filter(like="high x", axis=0)["estimate"].sum() == pytest.approx(
            people.loc[top, "spent"].sum() / people["spent"].sum()
        )

    def test_outcomes_against_scipy(self, people: pd.DataFrame) -> None:
        cells = pd.qcut(people["spent"], 3, labels=["low", "middle", "high"]).astype(str) + " x " + people["said"]
        share = pick(segments.grid(people, "spent", "said", outcome="left"), "left")
        mean = pick(segments.grid(people, "spent", "said", outcome="visits"), "visits")
        for level, mine in people.groupby(cells):
            reference = stats.binomtest(int(mine["left"].sum()), len(mine)).proportion_ci(method="wilson")
            row = share.loc[level]
            assert (row["conf_low"], row["conf_high"], row["n"]) == pytest.approx((*reference, len(mine)))
            limits = stats.t.interval(0.95, len(mine) - 1, mine["visits"].mean(), stats.sem(mine["visits"]))
            row = mean.loc[level]
            assert (row["conf_low"], row["conf_high"]) == pytest.approx(limits)

    def test_share_of_value_by_the_delta_method(self, people: pd.DataFrame) -> None:
        found = pick(segments.grid(people, "spent", "said"), "value_share")
        inside = (people["said"] == "promoter") & (people["spent"] > people["spent"].quantile(2 / 3))
        y, x = people["spent"] * inside, people["spent"]
        ratio = y.sum() / x.sum()
        error = np.sqrt(600 / 599 * ((y - ratio * x) ** 2).sum()) / x.sum()
        row = found.loc["high x promoter"]
        assert (row["estimate"], row["std_error"]) == pytest.approx((ratio, error))

    def test_few_values_and_ordered_categories_keep_their_names(self, people: pd.DataFrame) -> None:
        table = people.assign(
            stars=np.arange(600) % 2 + 4, plan=pd.Categorical(["Plus", "Basic"] * 300, ["Basic", "Plus"], ordered=True)
        )
        found = segments.grid(table, "stars", "plan")
        assert pick(found, "people_share").index.tolist() == ["4 x Basic", "4 x Plus", "5 x Basic", "5 x Plus"]
        empty = found[found["level"] == "4 x Basic"].set_index("metric")
        assert empty.loc["people_share", "estimate"] == 0

    def test_equal_numbers_stay_together(self) -> None:
        table = pd.DataFrame({"orders": [1] * 70 + [2] * 10 + [3] * 10 + [4] * 10, "said": "yes"})
        found = pick(segments.grid(table, "orders", "said"), "people_share")["estimate"]
        assert found.to_dict() == {"low x yes": 0.7, "middle x yes": 0.0, "high x yes": 0.3}

    def test_hidden_cells_and_empty_ones(self, people: pd.DataFrame) -> None:
        table = people.assign(said=np.where(np.arange(600) < 14, "rare", people["said"]))
        found = segments.grid(table, "spent", "said", outcome="left", min_n=10)
        rare = found["level"].str.endswith("rare")
        assert set(found.loc[rare, "status"]) == {"suppressed"}  # 14 customers in three cells, each below 10
        assert (found.loc[~rare, "status"] == "ok").all()

    def test_customers_without_a_side_are_told(self, people: pd.DataFrame) -> None:
        table = people.assign(said=people["said"].where(np.arange(600) >= 50))
        found = segments.grid(table, "spent", "said")
        assert set(found.loc[found["metric"] == "people_share", "n"]) == {550}
        assert set(found["note"]) == {"50 customers without spent or said are left out"}

    def test_order_of_rows(self, people: pd.DataFrame) -> None:
        mixed = segments.grid(people.sample(frac=1, random_state=3), "spent", "said", outcome="visits")
        pd.testing.assert_frame_equal(mixed, segments.grid(people, "spent", "said", outcome="visits"))

    def test_worth_of_another_column(self, people: pd.DataFrame) -> None:
        table = people.assign(group=people["said"].str[0])
        assert "value_share" not in set(segments.grid(table, "group", "said")["metric"])
        found = pick(segments.grid(table, "group", "said", worth="spent"), "value_share")
        assert found["estimate"].sum() == pytest.approx(1)

    def test_refusals(self, people: pd.DataFrame) -> None:
        with pytest.raises(UsageError, match=r"no column 'spend'; did you mean 'spent'.*'sayd'"):
            segments.grid(people, "spend", "sayd")
        with pytest.raises(UsageError, match="bins 1"):
            segments.grid(people, "spent", "said", bins=1)
        with pytest.raises(UsageError, match="has ' x ' in its name"):
            segments.grid(people.assign(said="4 x 4"), "spent", "said")
        with pytest.raises(UsageError, match="no customer has both"):
            segments.grid(people.assign(said=None), "spent", "said")
        with pytest.raises(UsageError, match="said is no number in 600 rows"):
            segments.grid(people, "spent", "said", outcome="said")
