"""Rates of themes corrected by an audit: the formulas of the papers, the ends of the scale, and their coverage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxlib import results
from cxlib.analysis import voice
from cxlib.errors import UsageError
from cxlib.measure import intervals

Z = stats.norm.ppf(0.975)


def drawn(rng: np.random.Generator, n: int, rate: float, sensitivity: float, alarms: float, columns: int = 1):
    """What is true of n comments, and what was predicted, by theme."""
    true = rng.random((n, columns)) < rate
    said = rng.random((n, columns)) < np.where(true, sensitivity, alarms)
    return pd.DataFrame(said).rename(columns=str), pd.DataFrame(true).rename(columns=str)


def ppi_py(y: np.ndarray, f: np.ndarray, rest: np.ndarray) -> tuple[float, float]:
    """The mean as the package ppi_py has it: gradients theta - y, lambda as in `_calc_lhat_glm`, its two variances."""
    n, big = len(y), len(rest)
    theta = y.mean()
    gradients, imputed, others = theta - y, theta - f, theta - rest
    covariance = np.mean((gradients - gradients.mean()) * (imputed - imputed.mean()))
    lean = np.clip(2 * covariance / (2 * (1 + n / big) * np.cov(np.concatenate([imputed, others]))), 0, 1)
    estimate = lean * rest.mean() + (y - lean * f).mean()
    return float(estimate), float(np.sqrt(np.var(lean * rest) / big + np.var(y - lean * f) / n))


@pytest.mark.parametrize(("rate", "sensitivity", "alarms", "n"), [(0.2, 0.7, 0.05, 200), (0.5, 0.9, 0.3, 60)])
def test_prediction_powered_inference_as_its_package_has_it(
    rng: np.random.Generator, rate: float, sensitivity: float, alarms: float, n: int
) -> None:
    said, true = drawn(rng, n + 900, rate, sensitivity, alarms)
    f, y = said["0"].to_numpy(float), true["0"].to_numpy(float)
    estimate, error = ppi_py(y[:n], f[:n], f[n:])
    row = voice.corrected_rate(f[n:], f[:n], y[:n], method="ppi-wald").iloc[0]
    # Arithmetic in another order: nothing but rounding lies between them.
    np.testing.assert_allclose([row["estimate"], row["std_error"]], [estimate, error], rtol=1e-12)
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [estimate - Z * error, estimate + Z * error])
    assert row["n"] == n + 900
    np.testing.assert_allclose(row["n_eff"], estimate * (1 - estimate) / error**2)
    # With the audit's own variance in lambda it differs by a fraction of the standard error only.
    assert abs(voice.corrected_rate(f[n:], f[:n], y[:n]).loc[0, "estimate"] - estimate) < error / 3


def test_it_is_post_stratification_by_hand() -> None:
    """Of 20 found 15 are right, of 80 others 4 were missed; 130 of all 500 were found: 0.26 0.75 + 0.74 0.05."""
    predicted = np.repeat([1, 0], [110, 290])
    said, true = np.repeat([1, 1, 0, 0], [15, 5, 4, 76]), np.repeat([1, 0, 1, 0], [15, 5, 4, 76])
    row = voice.corrected_rate(predicted, said, true).iloc[0]
    np.testing.assert_allclose(row["estimate"], 0.26 * 0.75 + 0.74 * 0.05)
    (low_1, low_0), (high_1, high_0) = intervals.wilson(np.array([0.75, 0.05]), np.array([20.0, 80.0]), 0.95)
    share = (Z * 0.7) ** 2 * 0.26 * 0.74 / 500
    below = (0.26 * (0.75 - low_1)) ** 2 + (0.74 * (0.05 - low_0)) ** 2 + share
    above = (0.26 * (high_1 - 0.75)) ** 2 + (0.74 * (high_0 - 0.05)) ** 2 + share
    np.testing.assert_allclose(row["estimate"] - row["conf_low"], below**0.5)
    np.testing.assert_allclose(row["conf_high"] - row["estimate"], above**0.5)
    assert row["n"] == 500


def test_rogan_and_gladen_by_hand() -> None:
    """100 of 400 found; 18 of 20 true ones found (0.9), 4 of 80 others (0.05): (0.25 - 0.05) / 0.85."""
    predicted = np.repeat([1, 0], [100, 300])
    true, said = np.repeat([1, 0], [20, 80]), np.repeat([1, 0, 1, 0], [18, 2, 4, 76])
    row = voice.corrected_rate(predicted, said, true, method="rogan-gladen").iloc[0]
    p = 0.2 / 0.85
    variance = (0.25 * 0.75 / 400 + p**2 * 0.9 * 0.1 / 20 + (1 - p) ** 2 * 0.95 * 0.05 / 80) / 0.85**2
    np.testing.assert_allclose([row["estimate"], row["std_error"]], [p, variance**0.5])
    # Lang and Reiczigel (2014), as the R package asht (prevSeSp) has it.
    many, positives, negatives = 400 + Z**2, 22, 82
    share, se, sp = (100 + Z**2 / 2) / many, 19 / 22, 77 / 82
    p = (share + sp - 1) / (se + sp - 1)
    off = 2 * Z**2 * (p * se * (1 - se) / positives - (1 - p) * sp * (1 - sp) / negatives)
    variance = share * (1 - share) / many + p**2 * se * (1 - se) / positives + (1 - p) ** 2 * sp * (1 - sp) / negatives
    half = Z * variance**0.5 / (se + sp - 1)
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [max(p + off - half, 0), p + off + half])


def test_useless_predictions_leave_the_share_of_the_audit() -> None:
    true = np.repeat([1, 0], [30, 70])
    for said in (np.ones(100), np.zeros(100)):
        row = voice.corrected_rate(np.ones(500), said, true).iloc[0]
        low, high = intervals.wilson(np.array([0.3]), np.array([100.0]), 0.95)
        np.testing.assert_allclose([row["estimate"], row["conf_low"], row["conf_high"]], [0.3, low[0], high[0]])
        assert "too alike" in row["note"]


@pytest.mark.parametrize("method", ["ppi", "rogan-gladen"])
def test_the_ends_of_the_scale(method: str) -> None:
    predicted = np.repeat([1, 0], [50, 450])
    nobody = voice.corrected_rate(predicted, np.repeat([1, 0], [10, 90]), np.zeros(100), method=method).iloc[0]
    perfect = voice.corrected_rate(predicted, *[np.repeat([1, 0], [10, 90])] * 2, method=method).iloc[0]
    few = voice.corrected_rate(predicted, np.ones(19), np.ones(19), method=method).iloc[0]
    wrong = voice.corrected_rate(predicted, np.tile([1, 0], 50), np.tile([0, 1], 50), method=method).iloc[0]
    assert (few["status"], few["note"]) == (results.TOO_FEW, "19 comments were labelled; at least 20 are needed")
    assert abs(perfect["estimate"] - 0.1) < 0.01
    assert perfect["conf_low"] < 0.09  # a perfect audit of 100 does not make a perfect codebook
    assert perfect["conf_high"] > 0.12
    if method == "ppi":
        assert (nobody["status"], nobody["estimate"], nobody["conf_low"]) == (results.OK, 0, 0)
        assert 0.01 < nobody["conf_high"] < 0.1
        assert wrong["estimate"] == 0.5  # predictions that are always wrong are not leaned upon
    else:
        assert nobody["status"] == wrong["status"] == results.UNDEFINED
        assert "no better than luck" in wrong["note"]


def test_all_comments_labelled_is_their_share() -> None:
    row = voice.corrected_rate([], np.tile([1, 0], 25), np.repeat([1, 0], [10, 40])).iloc[0]
    assert row["estimate"] == 0.2
    assert row["n"] == 50
    undefined = voice.corrected_rate([], np.tile([1, 0], 25), np.tile([1, 0], 25), method="rogan-gladen")
    assert undefined["status"].tolist() == [results.UNDEFINED]


def test_frames_missing_values_and_order(rng: np.random.Generator) -> None:
    said, true = drawn(rng, 400, 0.3, 0.8, 0.1, columns=2)
    found = voice.corrected_rate(said[200:], said[:200], true[:200])
    assert found["level"].tolist() == ["0", "1"]
    one = voice.corrected_rate(said["1"][200:], said["1"][:200], true["1"][:200])
    np.testing.assert_allclose(found.loc[1, "estimate"], one.loc[0, "estimate"])
    holes = pd.concat([said[200:].astype("boolean"), pd.DataFrame({"0": [pd.NA], "1": [pd.NA]}, dtype="boolean")])
    audit = pd.concat([said[:200].astype("boolean"), pd.DataFrame({"0": [pd.NA], "1": [True]}, dtype="boolean")])
    truth = pd.concat([true[:200].astype("boolean"), pd.DataFrame({"0": [True], "1": [pd.NA]}, dtype="boolean")])
    pd.testing.assert_frame_equal(voice.corrected_rate(holes, audit.iloc[::-1], truth.iloc[::-1]), found)


def test_wrong_input_is_told() -> None:
    good = np.tile([1, 0], 20)
    with pytest.raises(UsageError, match="'pip' is none of ppi, ppi-wald, rogan-gladen; did you mean 'ppi'"):
        voice.corrected_rate(good, good, good, method="pip")
    with pytest.raises(UsageError, match="1 or 0; 1 are not, the first is 2"):
        voice.corrected_rate(good, good, [2, *good[1:]])
    with pytest.raises(UsageError, match="audit_predicted are 40, audit_true 39"):
        voice.corrected_rate(good, good, good[1:])
    with pytest.raises(UsageError, match="not of the same themes: only one of them has a, b"):
        voice.corrected_rate(pd.DataFrame({"a": good}), pd.DataFrame({"b": good}), pd.DataFrame({"b": good}))
    with pytest.raises(UsageError, match="audit_weights are positive numbers; 1 are not"):
        voice.corrected_rate(good, good, good, audit_weights=[0, *np.ones(39)])
    with pytest.raises(UsageError, match="confidence"):
        voice.corrected_rate(good, good, good, confidence=95)


def test_equal_weights_change_nothing(rng: np.random.Generator) -> None:
    said, true = drawn(rng, 1_200, 0.3, 0.8, 0.1)
    plain = voice.corrected_rate(said[200:], said[:200], true[:200]).iloc[0]
    heavy = voice.corrected_rate(
        said[200:], said[:200], true[:200], weights=np.full(1_000, 3.0), audit_weights=np.full(200, 6.0)
    ).iloc[0]
    for name in ("estimate", "std_error", "conf_low", "conf_high", "n"):
        np.testing.assert_allclose(heavy[name], plain[name])


@pytest.mark.simulation
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.4])
@pytest.mark.parametrize(("sensitivity", "alarms"), [(0.95, 0.002), (0.6, 0.03), (0.3, 0.1)])
@pytest.mark.parametrize("n", [30, 100, 300])
def test_limits_cover_the_rate(
    rate: float, sensitivity: float, alarms: float, n: int,
    rng: np.random.Generator, replicates: Callable[[int, int], int],
) -> None:  # fmt: skip
    """Of 95 % limits at least 93 % cover, less what chance takes from so few tries; 91 % where 30 labels hold fewer
    than one true comment, as of Wilson's own.
    """
    tries, least = replicates(150, 2_000), 0.93 if n * rate > 1 else 0.91
    said, true = drawn(rng, 1_500 + n, rate, sensitivity, alarms, columns=tries)
    found = voice.corrected_rate(said[n:], said[:n], true[:n])
    covered = ((found["conf_low"] <= rate) & (rate <= found["conf_high"])).mean()
    assert covered > least - 3 * (0.95 * 0.05 / tries) ** 0.5
    if n * rate > 5:  # else half of the audits hold no comment that was found, and say nothing of it
        assert abs(found["estimate"].mean() - rate) < 5 * found["estimate"].std() / tries**0.5


@pytest.mark.simulation
def test_a_sample_of_known_weights_covers_too(rng: np.random.Generator, replicates: Callable[[int, int], int]) -> None:
    """Half of the audit from the few that were found: the weights undo it, and the interval is narrower for it."""
    tries, widths, covered = replicates(120, 2_000), [], []
    for _ in range(tries):
        said, true = (frame["0"].to_numpy() for frame in drawn(rng, 3_000, 0.06, 0.8, 0.02))
        few, many = np.flatnonzero(said), np.flatnonzero(~said)
        chosen = np.concatenate([rng.choice(few, 75, replace=False), rng.choice(many, 75, replace=False)])
        weights = np.repeat([len(few) / 75, len(many) / 75], 75)
        rest = np.delete(said, chosen)
        row = voice.corrected_rate(rest, said[chosen], true[chosen], audit_weights=weights).iloc[0]
        covered.append(row["conf_low"] <= 0.06 <= row["conf_high"])
        widths.append(row["conf_high"] - row["conf_low"])
    assert np.mean(covered) > 0.93 - 3 * (0.95 * 0.05 / tries) ** 0.5
    assert np.mean(widths) < 0.09


@pytest.mark.simulation
def test_rogan_and_gladen_hold_where_the_rate_has_moved(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    """The audit is of a month with 40 %, this month has 10 %: prediction-powered inference would be misled."""
    tries = replicates(150, 3_000)
    said, _ = drawn(rng, 1_500, 0.1, 0.8, 0.05, columns=tries)
    audit, true = drawn(rng, 300, 0.4, 0.8, 0.05, columns=tries)
    found = {method: voice.corrected_rate(said, audit, true, method=method) for method in ("ppi", "rogan-gladen")}
    covered = {name: ((x["conf_low"] <= 0.1) & (x["conf_high"] >= 0.1)).mean() for name, x in found.items()}
    assert covered["rogan-gladen"] > 0.93 - 3 * (0.95 * 0.05 / tries) ** 0.5
    assert covered["ppi"] < 0.5


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.floats(0.1, 50)), min_size=20, max_size=60),
    st.integers(0, 40), st.integers(0, 40), st.sampled_from(["ppi", "ppi-wald", "rogan-gladen"]),
)  # fmt: skip
def test_whatever_comes_limits_are_in_order(
    audit: list[tuple[bool, bool, float]], found: int, others: int, method: str
) -> None:
    said, true, weights = (np.array(column, dtype=float) for column in zip(*audit, strict=True))
    predicted = np.repeat([1.0, 0.0], [found, others])
    row = voice.corrected_rate(predicted, said, true, method=method, audit_weights=weights).iloc[0]
    numbers = row[["conf_low", "estimate", "conf_high", "std_error", "n", "n_eff"]].astype(float)
    if row["status"] != results.OK:
        assert numbers.isna().all()
        return
    assert np.isfinite(numbers).all()
    assert 0 <= row["conf_low"] <= row["estimate"] <= row["conf_high"] <= 1
    assert row["n_eff"] <= row["n"]
    if method == "ppi":
        assert row["conf_high"] - row["conf_low"] > 0.01  # 60 labels never tell a rate exactly
