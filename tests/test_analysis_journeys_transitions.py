"""Moves between touchpoints: an outside reference for counts, plain loops, clustered intervals that cover."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib.analysis import journeys
from cxlib.analysis.journeys.transitions import END, LOOP, START
from cxlib.errors import UsageError
from tests.journey_logs import NAMES, in_engine, log, moved, walks

EXACT = 1e-12
FIRST = log(("x", 0, "a"), ("x", 1, "b"), ("x", 2, "b"), ("x", 50, "a"), ("y", 0, "a"), ("y", 3, "b"), ("z", 0, "c"))


def counts(found: pd.DataFrame) -> dict[tuple[str, str], int]:
    moves = found[found["metric"] == "moves"]
    return {(a, b): int(n) for a, b, n in zip(moves["level"], moves["against"], moves["estimate"], strict=True)}


def shares(found: pd.DataFrame) -> pd.DataFrame:
    return found[found["metric"] == "transition"].set_index(["level", "against"])


@pytest.fixture(scope="module")
def clicks(shared_data) -> pd.DataFrame:
    frame = pd.read_csv(shared_data("ecom_clickstream") / "ecom.csv.gz")
    return frame.rename(columns={"user_id": "who", "timestamp": "when", "event": "where"})


def test_the_clickstream_is_counted_as_the_reference_does(clicks: pd.DataFrame, oracle) -> None:
    expected = oracle("journey_ecom_transitions")["expected"]
    found = counts(journeys.transitions(clicks, **NAMES, session="session_id"))
    top = {f"{a}->{b}": n for (a, b), n in sorted(found.items(), key=lambda pair: -pair[1])[:12]}
    assert top == expected["top_transitions_within_session"]
    assert sum(found.values()) == expected["rows"] - expected["sessions"]  # all but the last event of each session
    assert found == moved(clicks.assign(row=range(len(clicks))), ("who", "session_id"))


def test_intervals_are_those_of_a_regression_with_clustered_errors(clicks: pd.DataFrame) -> None:
    """The share of one target among an origin's moves is a mean; statsmodels knows its clustered standard error."""
    found = shares(journeys.transitions(clicks, **NAMES, session="session_id"))
    ordered = clicks.sort_values(["who", "session_id", "when"], kind="stable")
    target = ordered.groupby(["who", "session_id"])["where"].shift(-1)
    moves = ordered.assign(target=target)[target.notna() & (ordered["where"] == "catalog")]
    own = found.loc[("catalog", "product_view")]
    y, n, groups = (moves["target"] == "product_view").astype(float), len(moves), moves["who"].nunique()
    fit = sm.OLS(y, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": pd.factorize(moves["who"])[0]})
    few = (stats.t.isf(0.025, n - 1) / stats.t.isf(0.025, groups - 1)) ** 2  # Korn and Graubard's
    worth = y.mean() * (1 - y.mean()) / (n - 1) * n / fit.bse.iloc[0] ** 2 * few
    assert own["estimate"] == pytest.approx(y.mean(), abs=EXACT)
    assert own["n"] == n
    assert own["n_eff"] == pytest.approx(min(worth, n), rel=1e-9)


@pytest.mark.parametrize("given", [FIRST, in_engine(FIRST)], ids=["pandas", "ibis"])
def test_by_hand(given: object) -> None:
    found = journeys.transitions(given, **NAMES)
    assert counts(found) == {("a", "b"): 2, ("b", "a"): 1, ("b", "b"): 1}
    own = shares(found)
    assert own.loc[("b", "b"), "estimate"] == 0.5
    assert own.loc[("b", "b"), "note"] == LOOP
    assert own.loc[("b", "a"), "n"] == 2
    people = found[(found["metric"] == "moves") & (found["against"] == "b")].set_index("level")["n"]
    assert people.to_dict() == {"a": 2, "b": 1}  # customers who made the move
    assert set(found["segment"]) == {"touchpoint"}


def test_silence_ends_a_journey_and_ends_may_be_told() -> None:
    found = journeys.transitions(FIRST, **NAMES, gap=timedelta(minutes=10), ends=True)
    assert counts(found) == {
        ("a", "b"): 2, ("b", "b"): 1, ("b", END): 2, ("a", END): 1, ("c", END): 1,
        (START, "a"): 3, (START, "c"): 1,
    }  # fmt: skip
    plain = journeys.transitions(FIRST, **NAMES, gap=timedelta(minutes=10))
    assert counts(plain) == {("a", "b"): 2, ("b", "b"): 1}
    exact = journeys.transitions(FIRST, **NAMES, gap=timedelta(minutes=48))
    assert ("b", "a") in counts(exact)  # as long as the gap is not longer than it


EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 6), st.sampled_from("abc"), st.integers(0, 1)), min_size=1, max_size=25
)


@given(events=EVENTS, by_session=st.booleans(), gap=st.sampled_from([None, 1, 3]))
def test_any_log_is_counted_as_plain_loops_do(events: list, by_session: bool, gap: int | None) -> None:
    """Events of one moment stand in the order of the rows; an engine that has no order is told it."""
    frame = log(*[event[:3] for event in events]).assign(visit=[event[3] for event in events])
    session = "visit" if by_session else None
    limit = None if gap is None else timedelta(minutes=gap)
    wanted = moved(frame, ("who", "visit") if by_session else ("who",), limit and pd.Timedelta(limit))
    found = journeys.transitions(frame, **NAMES, session=session, gap=limit)
    same = journeys.transitions(in_engine(frame), **NAMES, session=session, gap=limit, ties=("row",))
    if not wanted:
        assert found["status"].tolist() == same["status"].tolist() == ["undefined"]
        return
    assert counts(found) == wanted
    pd.testing.assert_frame_equal(found, same)
    assert shares(found).groupby("level")["estimate"].sum().to_numpy() == pytest.approx(1.0, abs=EXACT)


def test_ties_are_broken_by_columns_then_rows_then_touchpoints() -> None:
    frame = log(("x", 0, "b"), ("x", 0, "a"), ("x", 0, "c"))
    assert counts(journeys.transitions(frame, **NAMES)) == {("b", "a"): 1, ("a", "c"): 1}
    late = journeys.transitions(frame.assign(rank=[3, 2, 1]), **NAMES, ties=["rank"])
    assert counts(late) == {("c", "a"): 1, ("a", "b"): 1}
    assert counts(journeys.transitions(in_engine(frame), **NAMES)) == {("a", "b"): 1, ("b", "c"): 1}


@pytest.mark.parametrize("engine", [False, True])
def test_events_that_lack_something_are_left_out_and_counted(engine: bool) -> None:
    frame = log(("x", 0, "a"), (None, 1, "b"), ("x", 2, None), ("x", 3, "c"), ("x", 4, ""))
    frame.loc[3, "when"] = pd.NaT
    given = in_engine(frame) if engine else frame
    whole = log(("x", 9, "d"))
    given = in_engine(pd.concat([frame, whole])) if engine else pd.concat([frame, whole])
    found = journeys.transitions(given, **NAMES)
    assert counts(found) == {("a", "d"): 1}
    assert (
        found["note"].iloc[0] == "left out of 6 events: 1 without a customer, 1 without a time, 2 without a touchpoint"
    )


def test_what_cannot_be_used_is_refused() -> None:
    frame = log((None, 0, "a"), (None, 1, "b"))
    with pytest.raises(UsageError, match="no event of 2 has customer, time and touchpoint") as told:
        journeys.transitions(frame, **NAMES)
    assert "2 lack a customer" in told.value.hint
    with pytest.raises(UsageError, match="did you mean 'who'"):
        journeys.transitions(FIRST, customer="wo", at="when", touchpoint="where")
    with pytest.raises(UsageError, match="when holds int64, not times"):
        journeys.transitions(in_engine(FIRST.assign(when=1)), **NAMES)
    with pytest.raises(UsageError, match="holds numbers, not dates"):
        journeys.transitions(FIRST.assign(when=1), **NAMES)
    with pytest.raises(UsageError, match=r"gap 30 is no span of time"):
        journeys.transitions(FIRST, **NAMES, gap=30)
    with pytest.raises(UsageError, match="neither a pandas DataFrame nor an Ibis table"):
        journeys.transitions([1, 2], **NAMES)


@pytest.mark.parametrize("frame", [FIRST.head(0), log(("x", 0, "a"), ("y", 0, "b"))], ids=["no events", "no moves"])
def test_no_moves_are_undefined(frame: pd.DataFrame) -> None:
    found = journeys.transitions(frame, **NAMES)
    assert found["status"].tolist() == ["undefined"]
    assert found["note"].iloc[0] == "no customer has two events that follow each other"


def test_a_move_of_few_is_hidden_and_left_out_of_the_shares() -> None:
    """Shares of an origin add up to 1: a hidden move that counted among them could be worked out."""
    people = [(f"{to}{who}", 0, "a") for to, many in (("b", 40), ("c", 20), ("d", 3)) for who in range(many)]
    people += [(f"{to}{who}", 1, to) for to, many in (("b", 40), ("c", 20), ("d", 3)) for who in range(many)]
    people += [(f"e{who}", minute, where) for who in range(5) for minute, where in enumerate("eb")]
    people += [("b0", 2, "a"), ("b0", 3, "d")]  # nobody's other moves count for less
    found = journeys.transitions(log(*people), **NAMES, min_n=10)
    own = shares(found)
    assert own["status"].to_dict() == {
        ("a", "b"): "ok", ("a", "c"): "ok",
        **dict.fromkeys([("a", "d"), ("b", "a"), ("e", "b")], "suppressed"),
    }  # fmt: skip
    assert own.loc[("a", "b"), ["estimate", "n", "n_eff"]].tolist() == [40 / 60, 60, 60]
    hidden = found[found["status"] == "suppressed"]
    assert set(hidden["metric"]) == {"transition", "moves"}
    assert hidden[["estimate", "n", "n_eff"]].isna().all(axis=None)
    more = [(f"d{who}", minute, "d") for who in range(3) for minute in (2, 3)]
    more += [(f"d{who}", minute, "a") for who in range(3) for minute in (2.5, 3.5)]
    lost = shares(journeys.transitions(log(*people, *more), **NAMES, min_n=10))
    assert set(lost.loc["a", "status"]) == {"suppressed"}  # 10 of 70 moves from a would be left out: more than a tenth
    whole = log(*(event for event in people if event[2] != "d" and event[0] != "b0"))
    same = shares(journeys.transitions(whole, **NAMES))
    assert same.loc[("a", "b"), "estimate"] == 39 / 59


@pytest.mark.simulation
def test_clustered_intervals_cover_where_naive_ones_do_not(rng, replicates) -> None:
    """Customers of unequal activity who lean each their own way; the truth is the share over very many of them."""
    matrix = np.array([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0.3, 0.3, 0.4]])
    truth = shares(journeys.transitions(walks(rng, matrix, replicates(20_000, 200_000), 0.9), **NAMES))["estimate"]
    count = replicates(40, 1_000)
    inside, naive = [], []
    for _ in range(count):
        own = shares(journeys.transitions(walks(rng, matrix, 150, 0.9), **NAMES)).reindex(truth.index)
        inside.append((own["conf_low"] <= truth) & (truth <= own["conf_high"]))
        half = stats.norm.isf(0.025) * np.sqrt(own["estimate"] * (1 - own["estimate"]) / own["n"])
        naive.append((own["estimate"] - truth).abs() <= half)
    covered, without = np.mean(inside), np.mean(naive)
    print(f"coverage {covered:.3f} clustered, {without:.3f} naive")
    assert 0.93 < covered < 0.97
    assert without < 0.90
