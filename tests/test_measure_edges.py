"""What must not be measured, and what must not be told as certain: inputs at the edge, through the public names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import changes, estimates, weights
from cxlib.measure.moments import Moments

TWO = Moments.of([1.0, 2.0])


def levels(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"seg": ["a", "b"], **columns})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: changes.share_difference(3, 5, 2, 5, correlation=2), "correlation 2 is not between"),
        (lambda: changes.mean_difference(TWO, TWO, correlation=-5), "correlation -5 is not between"),
        (lambda: changes.mean_difference([1, 2], [3, 4]), "takes Moments"),
        (lambda: changes.judge(results.empty(), [], alpha=2), "alpha 2 is not between"),
        (lambda: estimates.share([1, 2], [3, 4, 5]), "arrays of 2 and 3 elements"),
        (lambda: changes.share_difference([1, 2], 5, [1, 2, 3], 5), "do not go together"),
        (lambda: estimates.quantile([1, 2], 0.5, counts=[10, -10]), "a count of 0 or more"),
        (lambda: Moments.from_sums(-2, {"y": 0}, {("y", "y"): 0}), "fewer than 0"),
        (lambda: Moments.from_sums(10, {"y": 5}, {("y", "y"): 1}), "no y has the sum 5 and the sum of squares 1"),
        (lambda: changes.decompose(levels(n=[1, 1], y=[1, 0]).assign(seg=[None, "b"]), levels(n=1, y=0), "seg"),
         "rows without seg"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_words(call: Callable[[], object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call()


def test_an_answer_without_weight_does_not_count() -> None:
    """One answer that counts, and one that does not, are one answer: too few for an interval."""
    alone = estimates.mean(Moments.of([3, 9], weights=[1, 0]))
    assert alone["status"].item() == results.TOO_FEW
    assert weights.weighted_mean([1, 2], [1, 0])["status"].item() == results.TOO_FEW
    pd.testing.assert_frame_equal(
        estimates.mean(Moments.of([1, 2, 50], weights=[1, 2, 0])), estimates.mean(Moments.of([1, 2], weights=[1, 2]))
    )


def test_an_interval_that_leaves_out_the_estimate_says_so() -> None:
    """One promoter: 100, and limits about the centre of 1 + 3 answers, (1 + 3/4 - 3/4) / 4 = 25."""
    row = estimates.nps(1, 0, 0).iloc[0]
    assert row["conf_high"] < row["estimate"] == 100
    assert "leaves out the estimate" in row["note"]
    assert estimates.nps(50, 30, 20)["note"].item() == ""


@pytest.mark.parametrize("n_eff", [0, -1, np.nan])
def test_no_effective_answers_no_number(n_eff: float) -> None:
    for found in (estimates.share(5, 20, n_eff=n_eff), estimates.nps(5, 5, 5, n_eff=n_eff)):
        assert found["status"].item() == results.UNDEFINED
        assert "effective" in found["note"].item()


def test_a_wald_difference_without_width_says_so() -> None:
    same = changes.share_difference(0, 5, 0, 5, method="wald").iloc[0]
    assert (same["p_value"], same["note"][:10]) == (1.0, "all answer")
    apart = changes.share_difference(0, 5, 5, 5, method="wald").iloc[0]
    assert (apart["estimate"], apart["note"][:10]) == (-1.0, "all answer")


class TestDecompose:
    def test_a_level_with_nothing_in_it_is_absent(self) -> None:
        """METHODS: an absent level goes to mix, whether its row of zeros is there or not."""
        before, after = levels(n=[0, 10], y=[0, 5]), levels(n=[20, 10], y=[15, 5])
        with_row = changes.decompose(before, after, "seg")
        pd.testing.assert_frame_equal(with_row, changes.decompose(before.iloc[1:], after, "seg"))
        assert with_row.loc[with_row["comparison"] == "mix", "estimate"].sum() == pytest.approx(20 / 30 - 5 / 10)
        assert with_row.loc[with_row["comparison"] == "rate", "estimate"].tolist() == [0, 0]

    def test_what_is_assumed_without_squares_is_told(self) -> None:
        before, after = levels(n=[200, 100], y=[100, 50]), levels(n=[200, 100], y=[120, 40])
        assumed = changes.decompose(before, after, "seg")
        assert assumed["note"].str.contains("no squares were given").all()
        given = changes.decompose(before.assign(yy=before["y"]), after.assign(yy=after["y"]), "seg")
        assert not given["note"].str.contains("squares").any()
        assert (given["std_error"] <= assumed["std_error"]).all()

    def test_a_denominator_that_counts_the_rows_may_be_given_or_left_out(self) -> None:
        before, after = levels(n=[200, 100], y=[100, 50]), levels(n=[200, 150], y=[120, 40])
        plain = changes.decompose(before, after, "seg")
        for form in (lambda one: one.assign(x=one["n"]), lambda one: one.rename(columns={"n": "x"})):
            pd.testing.assert_frame_equal(changes.decompose(form(before), form(after), "seg"), plain)

    def test_levels_may_stand_in_the_index(self) -> None:
        before, after = levels(n=[200, 100], y=[100, 50]), levels(n=[200, 150], y=[120, 40])
        found = changes.decompose(before.set_index("seg"), after.set_index("seg"), "seg")
        pd.testing.assert_frame_equal(found, changes.decompose(before, after, "seg"))
