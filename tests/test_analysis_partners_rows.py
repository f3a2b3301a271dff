"""The door: what comes in, in which type, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from cxlib.analysis.partners.rows import rows_of
from cxlib.errors import UsageError

FRAME = pd.DataFrame(
    {
        "score": [5, 4, 1, 3, 2, 5],
        "shop": ["b", "a", "a", "b", "b", "a"],
        "customer_id": ["x", "y", "x", "z", "z", "w"],
        "region": ["N", "N", "S", None, "S", "N"],
        "price": [1.0, 2.0, 3.0, 4.0, np.nan, 6.0],
    }
)


def taken(frame: pd.DataFrame, outcome: str = "score", **how: object):
    how = {"case_mix": (), "kind": "mean", "cluster": "customer_id", **how}
    return rows_of(frame, outcome, "shop", **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "convert",
    [
        lambda s: s.astype("Int64"),
        lambda s: s.astype("Float64"),
        lambda s: s.astype("int64[pyarrow]"),
        lambda s: s.astype(str),
        lambda s: s.map(Decimal),
        lambda s: s.astype(object),
    ],
)
def test_numbers_of_every_kind(convert) -> None:
    assert taken(FRAME.assign(score=convert(FRAME["score"]))).y.tolist() == [5, 4, 1, 3, 2, 5]


@pytest.mark.parametrize("convert", [lambda s: s.astype("boolean"), lambda s: s.astype(bool), lambda s: s.astype(int)])
def test_truths_are_shares(convert) -> None:
    frame = FRAME.assign(done=convert(FRAME["score"] > 3))
    assert taken(frame, "done", kind="share").y.tolist() == [1, 1, 0, 0, 0, 1]


def test_nps_is_in_points() -> None:
    frame = FRAME.assign(score=[10, 9, 8, 7, 6, 0])
    assert taken(frame, kind="nps").y.tolist() == [100, 100, 0, 0, -100, -100]


def test_points_stay_points() -> None:
    frame = FRAME.assign(score=[100, 0, -100, None, 0, 100])
    assert taken(frame, kind="nps").y.tolist() == [100, 0, -100, 0, 100]
    with pytest.raises(UsageError, match="is 0 in all rows, which is the worst score or a passive's points"):
        taken(frame.assign(score=0), kind="nps")


def test_rows_without_outcome_or_partner_are_left_out_and_told() -> None:
    found = taken(FRAME.assign(score=[5, None, 1, 3, 2, 5], shop=["b", "a", None, "b", "b", "a"]))
    assert found.y.size == 4
    assert found.note == "2 rows without outcome or partner left out"


def test_partners_are_sorted_texts() -> None:
    found = taken(FRAME.assign(shop=[10, 9, 9, 10, 10, 9]))
    assert found.names == ("10", "9")
    assert found.code.tolist() == [0, 1, 1, 0, 0, 1]


def test_missing_case_mix_is_a_level_of_its_own_and_told() -> None:
    found = taken(FRAME, case_mix=["region", "price"])
    assert found.columns == ("region", "region", "price", "price")
    assert found.note == (
        "region is missing in 17% of rows: a level of its own; price is missing in 17% of rows: a level of its own"
    )
    assert found.design.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)


def test_a_missing_customer_is_one_of_its_own() -> None:
    found = taken(FRAME.assign(customer_id=["x", None, None, "x", "z", "z"]))
    assert np.unique(found.people).size == 4


def test_an_empty_frame_has_no_partners() -> None:
    assert taken(FRAME.iloc[:0]).names == ()


@pytest.mark.parametrize(
    ("changed", "how", "words"),
    [
        ({}, {"case_mix": ["regoin", "prise"]}, "no column 'regoin'; did you mean 'region'.; no column 'prise'"),
        ({}, {"kind": "npss"}, "no kind of outcome; there are mean, share, nps; did you mean 'nps'"),
        ({}, {"case_mix": ["shop"]}, "neither the outcome nor the partner"),
        ({}, {"kind": "share"}, "is not 0 or 1 in 6 rows|is not 0 or 1 in 5 rows"),
        (
            {"score": [5, 4, 11, 3, 2, 5]},
            {"kind": "nps"},
            "not a whole number from 0 to 10, nor are all -100, 0 or 100, in 1 rows: 11",
        ),
        ({"score": ["five", 4, 1, 3, 2, 5]}, {}, "score is no number in 1 row, the first 'five'"),
        ({"score": [np.inf, 4, 1, 3, 2, 5]}, {}, "score is infinite in 1 row, the first inf"),
        ({}, {"cluster": "nobody"}, "no column 'nobody'"),
    ],
)
def test_what_cannot_be_used_is_refused(changed: dict, how: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        taken(FRAME.assign(**changed), **how)
