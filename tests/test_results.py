"""The one result frame: its columns and types, and what it refuses to hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.results import COLUMNS, NUMBERS, STATE, STATUSES, TEXT


def assert_conforms(table: pd.DataFrame) -> None:
    """Columns, order and types are the declared ones; what is not ok has no numbers."""
    assert tuple(table.columns) == COLUMNS
    assert all(isinstance(table[name].dtype, pd.StringDtype) for name in (*TEXT, *STATE))
    assert all(table[name].dtype == np.float64 for name in NUMBERS)
    assert table[[*TEXT, *STATE]].notna().all(axis=None)
    assert table.loc[table["status"] != results.OK, list(NUMBERS)].isna().all(axis=None)
    assert list(table.index) == list(range(len(table)))


def test_columns_are_those_of_the_design():
    assert COLUMNS == (
        "metric", "period", "segment", "level", "at", "comparison", "against", "method", "estimate", "std_error",
        "conf_low", "conf_high", "p_value", "p_adjusted", "n", "n_eff", "status", "verdict", "note", "definition",
    )  # fmt: skip


class TestFrame:
    def test_defaults(self):
        table = results.frame(metric="nps", estimate=31.5)
        assert_conforms(table)
        row = table.iloc[0]
        assert (row["segment"], row["level"], row["comparison"], row["status"]) == ("all", "all", "level", "ok")
        assert (row["estimate"], row["period"]) == (31.5, "")
        assert np.isnan(row["p_value"])

    def test_arrays_give_rows_and_scalars_repeat(self):
        table = results.frame(metric="nps", level=["North", "a longer name"], n=np.array([3, 4]))
        assert_conforms(table)
        assert list(table["level"]) == ["North", "a longer name"]
        assert list(table["metric"]) == ["nps", "nps"]
        assert list(table["n"]) == [3.0, 4.0]

    def test_series_are_taken_by_position(self):
        n = pd.Series([3, 4], index=[7, 9])
        assert list(results.frame(n=n, level=["a", "b"])["n"]) == [3.0, 4.0]

    @pytest.mark.parametrize("status", [status for status in STATUSES if status != "ok"])
    def test_no_numbers_where_the_status_is_not_ok(self, status):
        table = results.frame(status=[status, "ok"], estimate=0.0, p_value=1.0, n=5, note="why")
        assert_conforms(table)
        assert table["estimate"].tolist()[1] == 0.0

    def test_missing_texts_are_empty(self):
        table = results.frame(level=pd.Series(["a", None]), note=pd.Series([None, "x"], dtype="str"))
        assert_conforms(table)
        assert list(table["level"]) == ["a", ""]

    def test_an_array_without_elements_gives_no_rows(self):
        table = results.frame(metric="nps", estimate=[])
        assert_conforms(table)
        assert len(table) == 0

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"estimat": 1.0}, "has no column"),
            ({"status": "fine"}, r"status \['fine'\] is none of"),
            ({"comparison": "ratio"}, r"comparison \['ratio'\] is none of"),
            ({"verdict": "better"}, r"verdict \['better'\] is none of"),
            ({"estimate": [1, 2], "n": [1, 2, 3]}, "shape|broadcast"),
            ({"estimate": "many"}, "parse"),
        ],
    )
    def test_refusals(self, columns, said):
        with pytest.raises(ValueError, match=said):
            results.frame(**columns)


class TestCombine:
    def test_conform_refuses_what_is_no_result(self):
        with pytest.raises(ValueError, match="not a result frame"):
            results.conform(pd.DataFrame({"estimate": [1.0]}))

    def test_conform_drops_further_columns_and_keeps_the_input(self):
        table = results.frame(status="undefined").assign(estimate=3.0, extra=1)
        assert_conforms(results.conform(table))
        assert table["estimate"].tolist() == [3.0]

    @given(sizes=st.lists(st.integers(0, 4), max_size=4))
    def test_concat_keeps_all_rows_in_order(self, sizes):
        parts = [results.frame(estimate=np.arange(size) + 10.0 * place) for place, size in enumerate(sizes)]
        table = results.concat(iter(parts))
        assert_conforms(table)
        assert list(table["estimate"]) == [value for part in parts for value in part["estimate"]]

    def test_empty(self):
        assert_conforms(results.empty())
        assert len(results.empty()) == 0

    def test_label_sets_columns_of_a_copy(self):
        table = results.frame(estimate=[1.0, 2.0])
        named = results.label(table, metric="nps", level=["a", "b"])
        assert_conforms(named)
        assert list(named["level"]) == ["a", "b"]
        assert list(table["metric"]) == ["", ""]

    def test_parquet_and_back(self, tmp_path):
        table = results.frame(metric="nps", level=["é", "b"], estimate=[1.5, 2.0], status=["ok", "undefined"])
        table.to_parquet(tmp_path / "r.parquet")
        pd.testing.assert_frame_equal(results.conform(pd.read_parquet(tmp_path / "r.parquet")), table)


class TestSuppress:
    TABLE = results.frame(metric=["nps", "nps", "csat"], estimate=1.0, n=[9, 10, 9], conf_low=0.0, conf_high=2.0)

    def test_fewer_than_the_least_are_hidden_with_their_count(self):
        table = results.suppress(self.TABLE, 10)
        assert_conforms(table)
        assert list(table["status"]) == ["suppressed", "ok", "suppressed"]
        assert table["note"].tolist() == ["fewer answers than may be shown", "", "fewer answers than may be shown"]

    def test_per_metric(self):
        assert list(results.suppress(self.TABLE, {"csat": 10})["status"]) == ["ok", "ok", "suppressed"]

    def test_other_states_keep_their_reason(self):
        table = results.suppress(results.frame(status="undefined", note="no such table", n=3), 10)
        assert (table["status"].item(), table["note"].item()) == ("undefined", "no such table")

    @given(n=st.lists(st.integers(0, 30), min_size=1, max_size=8), least=st.integers(0, 30))
    def test_again_changes_nothing(self, n, least):
        once = results.suppress(results.frame(estimate=1.0, n=n), least)
        assert (once["n"].dropna() >= least).all()
        pd.testing.assert_frame_equal(results.suppress(once, least), once)
