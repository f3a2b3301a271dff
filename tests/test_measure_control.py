"""XmR charts: published limits, the rules against a plain re-implementation, gaps, ties, and false alarms on noise."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxlib import results
from cxlib.errors import UsageError
from cxlib.measure import control
from cxlib.periods import Period
from tests.show_frames import METRICS, level_rows

# R: set.seed(123); rnorm(20)
NOISE = [
    -0.56047565, -0.23017749, 1.55870831, 0.07050839, 0.12928774, 1.71506499, 0.46091621, -1.26506123, -0.68685285,
    -0.44566197, 1.22408180, 0.35981383, 0.40077145, 0.11068272, -0.55584113, 1.78691314, 0.49785048, -1.96661716,
    0.70135590, -0.47279141,
]  # fmt: skip
# Wheeler and Chambers 1992, Understanding Statistical Process Control, p. 215
P215 = [
    905, 930, 865, 895, 905, 885, 890, 930, 915, 910, 920, 915, 925, 860, 905, 925, 925, 905, 915, 930, 890, 940, 860,
    875, 985, 970, 940, 975, 1000, 1035, 1020, 985, 960, 945, 965, 940, 900, 920, 980, 950, 955, 970, 970, 1035, 1040,
]  # fmt: skip
# Twelve with mean 0 and mean moving range 2: limits -5.32 and 5.32, near from 3.55 on.
CALM = [1.0, -1.0] * 6


def flagged(values: object, baseline: int | None = None) -> dict[str, list[int]]:
    """Return the places that each rule flags, signed by direction, counted from 1."""
    found = control.limits(values, baseline=baseline)
    assert found is not None
    out: dict[str, list[int]] = {"outside": [], "run": [], "trend": [], "near": []}
    for signal in control.signals(values, found):
        out[signal.rule] += [signal.way * (place + 1) for place in range(signal.start, signal.end)]
    return out


def series(values: object, last: str = "2026-10", half: float = 0.5, name: str = "nps") -> pd.DataFrame:
    months = [str(period) for period in Period.parse(last).last(len(values))]
    return level_rows(name, months, values, half, np.full(len(values), 500))


def notes(frame: pd.DataFrame, against: str = control.LIMITS) -> dict[str, str]:
    own = frame[(frame["comparison"] == "index") & (frame["against"] == against)]
    return dict(zip(own["period"], own["note"], strict=True))


# -- limits as published


def test_wheelers_data_set_for_verifying_software() -> None:
    """Wheeler, Making Sense of Data (2003), p. 382, "Data Set to Use When Verifying Software"; to the cents printed."""
    y = [5045, 4350, 4350, 3975, 4290, 4430, 4485, 4285, 3980, 3925, 3645, 3760, 3300, 3685, 3463, 5200]
    found = control.limits(y)
    assert found is not None
    printed = (4135.50, 3188.72, 5082.28, 355.93, 1163.19)
    assert found[:5] == pytest.approx(printed, abs=0.005)


def test_limits_of_the_book_of_wheeler_and_chambers() -> None:
    """P. 49 and p. 215, as printed; the book rounds the mean moving range before it multiplies."""
    assert control.limits([39, 41, 41, 41, 43, 44, 41, 42, 40, 41, 44, 40])[:3] == pytest.approx(
        (41.42, 36.82, 46.01), abs=0.01
    )
    assert control.limits(P215, baseline=45)[:4] == pytest.approx((936.89, 862.84, 1010.93, 27.84), abs=0.02)


def test_points_of_page_215() -> None:
    """From 1: below the limit 14 and 23, above it 30, 31, 44, 45; below the mean 1 to 21, above it 25 to 36.

    Those are the book's runs of 8; the last 7 above the mean are a run by the rule of the NHS.
    """
    found = flagged(P215, baseline=45)
    assert found["outside"] == [-14, -23, 30, 31, 44, 45]
    assert found["run"] == [*range(-1, -22, -1), *range(25, 37), *range(39, 46)]


def test_limits_of_the_package_of_the_nhs() -> None:
    """NHSRplotthedots, tests/testthat/_snaps/ptd_spc.md: `mean_col` 0.142, `lpl` -3.01, `upl` 3.29, nothing flagged."""
    found = control.limits(NOISE)
    assert found[:3] == pytest.approx((0.142, -3.01, 3.29), abs=0.005)
    assert flagged(NOISE) == {"outside": [], "run": [], "trend": [], "near": []}


def test_two_of_three_on_two_sides_is_no_signal() -> None:
    """NHSRplotthedots, test-ptd_spc_standard.R: near the limits, but on opposite sides of the mean: common cause."""
    y = [1.0, -1.0] * 7 + [5.5, -5.5]
    assert flagged(y)["near"] == []
    y[-2:] = [5.5, 1.0, 5.5]
    assert flagged(y)["near"] == [15, 17]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ([1] * 6, []),
        ([1] * 6 + [-1], []),
        ([1] * 8 + [-1], list(range(1, 9))),
        ([-1] * 8 + [1], list(range(-1, -9, -1))),
        ([-1] + [1] * 8 + [-1], list(range(2, 10))),
    ],
)
def test_runs_as_in_the_tests_of_that_package(sides: list[int], expected: list[int]) -> None:
    """NHSRplotthedots, test-ptd_calculate_point_type.R: `ptd_seven_point_one_side_mean`, `ptd_part_of_seven_trend`."""
    found = control.limits(CALM)
    runs = [s for s in control.signals(np.array(sides) * 0.5, found) if s.rule == "run"]
    assert [s.way * (place + 1) for s in runs for place in range(s.start, s.end)] == expected


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], []),
        ([1, 2, 3, 3, 4, 5, 6], []),
        ([1, 2, 3, 4, 5, 6, 7], list(range(1, 8))),
        ([2, 1, 2, 3, 4, 5, 6, 7, 3], list(range(2, 9))),
        ([7, 6, 5, 4, 3, 2, 1], list(range(-1, -8, -1))),
    ],
)
def test_trends_as_in_the_tests_of_that_package(y: list[int], expected: list[int]) -> None:
    """The same file, `ptd_seven_point_trend`."""
    trends = [s for s in control.signals(y, control.limits(CALM)) if s.rule == "trend"]
    assert [s.way * (place + 1) for s in trends for place in range(s.start, s.end)] == expected


# -- rules against a plain re-implementation


def plainly(y: list[float], found: control.Limits) -> dict[str, set[int]]:
    """Return what the rules flag, place by place, window by window, with no cleverness."""
    out: dict[str, set[int]] = {"outside": set(), "run": set(), "trend": set(), "near": set()}
    third = (found.high - found.mean) / 3
    for place, value in enumerate(y):
        if value > found.high or value < found.low:
            out["outside"].add(place)
    for start in range(len(y) - 6):
        window = y[start : start + 7]
        if all(v > found.mean for v in window) or all(v < found.mean for v in window):
            out["run"] |= set(range(start, start + 7))
        steps = [b - a for a, b in pairwise(window)]
        if all(s > 0 for s in steps) or all(s < 0 for s in steps):
            out["trend"] |= set(range(start, start + 7))
    for start in range(len(y) - 2):
        three = y[start : start + 3]
        for way in (1, -1):
            above = [way * (v - found.mean) for v in three]
            near = [2 * third < a <= 3 * third for a in above]
            if all(a > 0 for a in above) and sum(near) >= 2:
                out["near"] |= {start + k for k in range(3) if near[k]}
    return out


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=60), st.integers(0, 3))
def test_rules_equal_a_plain_search(y: list[int], gaps: int) -> None:
    values = [v + 0.25 for v in y]  # off the limits and the mean, which are 0 and 5.32: no tie is decided by rounding
    values = [np.nan if gaps and place % 7 == gaps else v for place, v in enumerate(values)]
    found = control.limits(CALM)
    mine: dict[str, set[int]] = {"outside": set(), "run": set(), "trend": set(), "near": set()}
    for signal in control.signals(values, found):
        mine[signal.rule] |= set(range(signal.start, signal.end))
    assert mine == plainly(values, found)


@given(st.lists(st.floats(-100, 100), min_size=12, max_size=40), st.floats(-50, 50), st.sampled_from([1.0, -1.0, 3.0]))
def test_limits_follow_the_scale(y: list[float], shift: float, scale: float) -> None:
    one, other = control.limits(y), control.limits([scale * v + shift for v in y])
    ends = sorted((scale * one.low + shift, scale * one.high + shift))
    assert (other.mean, other.low, other.high) == pytest.approx((scale * one.mean + shift, *ends), abs=1e-9)


# -- baseline, gaps, ties


def test_the_baseline_is_kept_once_it_is_full() -> None:
    rng = np.random.default_rng(3)
    y = rng.normal(0, 1, 40)
    assert control.limits(y) == control.limits(y[:24]) == control.limits(np.r_[y[:24], 99.0])
    assert control.limits(y[:23]) != control.limits(y[:22])
    assert control.limits(y, baseline=12) == control.limits(y[:12])
    frame = control.xmr(series(y[:20]))
    assert frame["method"].iloc[-1].endswith("from 20 figures, 2025-03 to 2026-10, trial limits")
    assert "trial" not in control.xmr(series(y))["method"].iloc[-1]


def test_fewer_than_twelve_are_too_few() -> None:
    assert control.limits(CALM[:11]) is None
    assert control.limits(CALM, baseline=13) is None
    frame = control.xmr(series(CALM[:11]))
    index = frame[frame["comparison"] == "index"]
    assert set(index["status"]) == {results.TOO_FEW}
    assert set(index["note"]) == {"limits need 12 periods with a figure; there are 11"}
    assert index["estimate"].isna().all()
    with pytest.raises(UsageError, match="baseline of 11"):
        control.limits(CALM, baseline=11)


def test_a_gap_is_told_and_not_bridged() -> None:
    """Without the gap: a run of 8, a step of 9, limits from 15 steps."""
    y = [*CALM, 1.0, 1.0, 1.0, 1.0, np.nan, 2.0, 2.0, 2.0, 2.0, -4.0]
    assert flagged(y)["run"] == []
    known = [v for v in y if not np.isnan(v)]
    assert flagged(known)["run"] != []
    steps = np.abs(np.diff(y))
    assert control.limits(y).step == pytest.approx(np.nanmean(steps))
    frame = control.xmr(series(y))
    gap = str(Period.parse("2026-10").previous(5))
    assert notes(frame)[gap] == "no figure: runs and steps start anew after it"
    ranges = frame[frame["against"] == control.STEPS].set_index("period")
    assert set(ranges.index[ranges["status"] == results.UNDEFINED]) == {
        str(Period.parse("2026-10").previous(back)) for back in (21, 5, 4)
    }


def test_a_period_without_a_row_is_a_gap_too() -> None:
    full = series([*CALM, *CALM])
    hole = full[full["period"] != "2026-03"]
    frame = control.xmr(hole)
    assert notes(frame)["2026-03"].startswith("no figure")
    assert len(notes(frame)) == 24
    lost = full.assign(status=full["status"].where(full["period"] != "2026-03", results.SUPPRESSED))
    assert control.limits(results.conform(lost)["estimate"]) == control.limits(
        np.where(full["period"] == "2026-03", np.nan, full["estimate"])
    )


def test_too_many_gaps_leave_no_limits() -> None:
    y = [v for value in CALM for v in (value, np.nan)]
    assert control.limits(y) is None
    assert set(notes(control.xmr(y)).values()) == {"limits need 8 pairs of neighbouring periods with a figure"}


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, -7.7, 1e9])
def test_a_constant_series_is_calm_and_has_limits_without_width(value: float) -> None:
    """A mean of 0.1s is not 0.1 to the last digit: that is no run below it."""
    frame = control.xmr(series([value] * 14))
    own = frame[frame["against"] == control.LIMITS]
    assert own["conf_low"].to_numpy() == pytest.approx(own["conf_high"].to_numpy())
    assert set(own["note"]) == {""}
    moved = notes(control.xmr(series([value] * 13 + [value + 1 + abs(value)]), higher_is_better=True))
    # The last one is part of the baseline: it widens the limits that it is judged by.
    assert moved["2026-09"].startswith("concern: 13 months in a row below the mean")
    kept = notes(control.xmr(series([value] * 24 + [value + 1 + abs(value)]), higher_is_better=True))
    assert kept["2026-10"] == "improvement: above the upper limit"


def test_values_on_the_mean_break_a_run() -> None:
    y = [*CALM, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]
    found = control.limits(CALM)
    assert [s for s in control.signals(y, found) if s.rule == "run"] == []


def test_two_trends_that_share_a_turning_point_stay_two() -> None:
    y = [0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1, 0]
    found = [s[1:] for s in control.signals(y, control.limits(CALM)) if s.rule == "trend"]
    assert found == [(0, 7, 1), (6, 13, -1)]
    y = [0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 12]
    assert [s[1:] for s in control.signals(y, control.limits(CALM)) if s.rule == "trend"] == [(0, 7, 1), (7, 14, 1)]


# -- the frame


def test_the_frame_and_its_words() -> None:
    y = [*CALM, *CALM, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 6.0]
    given_rows = series(y)
    frame = control.xmr(given_rows, METRICS)
    pd.testing.assert_frame_equal(frame[frame["comparison"] == "level"].reset_index(drop=True), given_rows)
    last = frame[(frame["against"] == control.LIMITS) & (frame["period"] == "2026-10")].iloc[0]
    assert last["estimate"] == 0
    assert (last["conf_low"], last["conf_high"]) == pytest.approx((-2 * 2.66, 2 * 2.66))
    assert last["n"] == 500
    assert last["note"] == (
        "improvement: above the upper limit; 8 months in a row above the mean since 2026-03; "
        "9 months in a row rising since 2026-02"
    )
    wide = notes(control.xmr(series(y, half=2.0), METRICS))["2026-10"]
    assert "above the upper limit, though its interval reaches inside" in wide
    steps = frame[(frame["against"] == control.STEPS)].set_index("period")
    assert steps.loc["2026-10", "estimate"] == pytest.approx(4.9)
    assert steps.loc["2026-10", "conf_high"] == pytest.approx(2 * 3.268)
    assert steps.loc["2026-10", "note"] == ""


def test_good_news_depends_on_the_metric() -> None:
    y = [*CALM, *CALM, 9.0]
    for better, tone in ((True, "improvement"), (False, "concern"), (None, "signal")):
        assert notes(control.xmr(series(y), higher_is_better=better))["2026-10"].startswith(f"{tone}: ")
    assert notes(control.xmr(series(y, name="churn"), METRICS))["2026-10"].startswith("concern: ")
    assert notes(control.xmr(series(y, name="items"), METRICS))["2026-10"].startswith("signal: ")


def test_limits_end_where_the_scale_does() -> None:
    share = METRICS["csat_top2"].model_copy(update={"kind": "share"})
    y = [0.96, 0.99] * 12
    frame = control.xmr(series(y, name="csat_top2", half=0.01), {"csat_top2": share})
    own = frame[frame["against"] == control.LIMITS]
    assert set(own["conf_high"]) == {1.0}
    assert own["conf_low"].iloc[0] == pytest.approx(0.975 - 2.66 * 0.03)
    assert control.xmr(series(y))["conf_high"].max() > 1


def test_a_fall_that_is_still_above_the_mean_is_no_improvement() -> None:
    """The package of the NHS would call it one: it looks at the side of the mean alone."""
    y = [*CALM, *CALM, 3.4, 3.0, 2.6, 2.2, 1.8, 1.4, -0.1]
    found = notes(control.xmr(series(y), higher_is_better=True))
    assert found["2026-10"] == "concern: 7 months in a row falling since 2026-04"
    y = [*CALM, *CALM, 3.4, 3.0, 2.6, 2.2, 1.8, 1.4, 1.0]
    assert notes(control.xmr(series(y), higher_is_better=True))["2026-10"].startswith("mixed: ")


def test_each_series_has_limits_of_its_own_whatever_the_order(rng: np.random.Generator) -> None:
    parts = [series(rng.normal(30, 2, 20)), series(rng.normal(0.05, 0.002, 20), name="churn")]
    parts.append(results.label(series(rng.normal(20, 2, 20)), segment="region", level="North"))
    parts.append(results.label(series(rng.normal(20, 2, 20)), at="rolling 3"))  # not of this chart
    both = results.concat(parts)
    frame = control.xmr(both, METRICS)
    shuffled = control.xmr(both.sample(frac=1, random_state=4), METRICS)
    pd.testing.assert_frame_equal(frame, shuffled)
    index = frame[frame["against"] == control.LIMITS]
    assert index.groupby(["metric", "segment", "level"])["estimate"].nunique().tolist() == [1, 1, 1]
    alone = control.xmr(parts[1], METRICS)
    pd.testing.assert_frame_equal(frame[frame["metric"] == "churn"].reset_index(drop=True).sort_index(), alone)


def test_series_that_are_none_are_refused() -> None:
    weeks = [str(period) for period in Period.parse("2026-W40").last(3)]
    mixed = results.concat([series(CALM), level_rows("nps", weeks, [1.0, 2.0, 3.0], 1.0, [9, 9, 9])])
    with pytest.raises(UsageError, match="several kinds"):
        control.xmr(mixed)
    twice = results.concat([series(CALM), series([2.0])])
    with pytest.raises(UsageError, match="several figures for 2026-10"):
        control.xmr(twice)
    assert len(control.xmr(results.concat([series(CALM), series(CALM)]))) == 36  # the same rows twice are one
    assert control.xmr(results.empty()).empty


def test_bare_numbers_are_one_series() -> None:
    frame = control.xmr([*CALM, *CALM, 9.0], higher_is_better=True)
    own = frame[frame["against"] == control.LIMITS]
    assert own["at"].tolist() == [str(place) for place in range(1, 26)]
    assert own["note"].iloc[-1] == "improvement: above the upper limit"


# -- false alarms


@pytest.mark.simulation
def test_false_alarms_on_noise_are_those_that_the_module_states(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """Shares of series whose last of 36 periods each rule flags, and whose any; limits from 24 periods."""
    times = replicates(1_500, 20_000)
    stated_last = {"outside": 0.010, "run": 0.025, "trend": 0.0004, "near": 0.003, "any": 0.037}
    stated_some = {"outside": 0.14, "run": 0.19, "trend": 0.01, "near": 0.05, "any": 0.32}
    last, some = dict.fromkeys(stated_last, 0), dict.fromkeys(stated_some, 0)
    for y in rng.normal(0, 1, (times, 36)):
        found = control.signals(y, control.limits(y))
        rules, at_end = {s.rule for s in found}, {s.rule for s in found if s.end == 36}
        for tally, seen in ((some, rules), (last, at_end)):
            for rule in seen | ({"any"} if seen else set()):
                tally[rule] += 1
    for tally, stated in ((last, stated_last), (some, stated_some)):
        for rule, share in stated.items():
            # Rounding of what is stated, and four standard errors of this simulation.
            slack = 0.005 + 4 * np.sqrt(share * (1 - share) / times)
            assert tally[rule] / times == pytest.approx(share, abs=slack), rule
