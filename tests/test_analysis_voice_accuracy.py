"""How well the codebook does what people do: counts by hand, reference implementations, weights and samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from cxlib import results
from cxlib.analysis import voice
from cxlib.analysis.voice.audit import NONE
from cxlib.errors import UsageError
from cxlib.measure import intervals


def test_precision_recall_and_f1_as_scikit_learn_has_them(rng: np.random.Generator) -> None:
    true = rng.random(300) < 0.3
    said = np.where(rng.random(300) < 0.2, ~true, true)
    weight = rng.uniform(0.5, 4, 300)
    for given in (None, weight):
        found = voice.accuracy(said, true, weights=given).set_index("metric")
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            true, said, average="binary", sample_weight=given
        )
        np.testing.assert_allclose(found.loc[["precision", "recall", "f1"], "estimate"], [precision, recall, f1])
        np.testing.assert_allclose(found.loc["prevalence", "estimate"], np.average(true, weights=given))
        assert ((found["conf_low"] < found["estimate"]) & (found["estimate"] < found["conf_high"])).all()


def test_wilson_limits_by_hand() -> None:
    """8 of 10 found are right, 8 of 16 true ones found, 8 of 18 found or true."""
    said, true = np.repeat([1, 1, 0, 0], [8, 2, 8, 82]), np.repeat([1, 0, 1, 0], [8, 2, 8, 82])
    found = voice.accuracy(said, true).set_index("metric")
    for metric, hits, n in (("precision", 8, 10), ("recall", 8, 16), ("prevalence", 16, 100)):
        low, high = intervals.wilson(np.array([hits / n]), np.array([n]), 0.95)
        np.testing.assert_allclose(found.loc[metric, ["conf_low", "conf_high"]].tolist(), [low[0], high[0]])
        assert found.loc[metric, "n"] == n
    low, high = intervals.wilson(np.array([8 / 18]), np.array([18]), 0.95)
    np.testing.assert_allclose(
        found.loc["f1", ["estimate", "conf_low", "conf_high"]].tolist(),
        [16 / 26, 2 * low[0] / (1 + low[0]), 2 * high[0] / (1 + high[0])],
    )


def test_what_cannot_be_told_is_said() -> None:
    found = voice.accuracy(pd.DataFrame({"a": [0, 0], "b": [1, 1]}), pd.DataFrame({"a": [0, 0], "b": [1, pd.NA]}))
    status = found.set_index(["level", "metric"])["status"]
    assert status["a", "precision"] == status["a", "recall"] == status["a", "f1"] == results.UNDEFINED
    assert status["a", "prevalence"] == status["b", "precision"] == results.OK
    assert found.set_index(["level", "metric"]).loc[("b", "precision"), "n"] == 1
    nobody = voice.accuracy([], [])
    assert nobody["status"].eq(results.UNDEFINED).all()


def test_kappa_by_hand() -> None:
    """20 both yes, 15 both no, 5 and 10 apart: 0.7 agree, 0.5 would by luck, kappa 0.4."""
    first, second = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    row = voice.agreement(first, second).iloc[0]
    np.testing.assert_allclose(row["estimate"], 0.4)
    # Fleiss, Cohen and Everitt (1969): sum p_ii (1 - (p_i. + p_.i)(1 - k))^2 + (1 - k)^2 sum p_ij (p_.i + p_j.)^2
    # - (k - p_e (1 - k))^2, over n (1 - p_e)^2; rows are 0.5, columns 0.4 no and 0.6 yes.
    k, e = 0.4, 0.5
    agree = 0.4 * (1 - 1.1 * 0.6) ** 2 + 0.3 * (1 - 0.9 * 0.6) ** 2
    apart = 0.36 * (0.1 * (0.6 + 0.5) ** 2 + 0.2 * (0.4 + 0.5) ** 2)
    variance = (agree + apart - (k - e * (1 - k)) ** 2) / (50 * (1 - e) ** 2)
    np.testing.assert_allclose(row["std_error"], variance**0.5)
    np.testing.assert_allclose(row["conf_high"] - row["estimate"], 1.959964 * variance**0.5, rtol=1e-6)
    assert voice.agreement(np.ones(5), np.ones(5))["status"].tolist() == [results.UNDEFINED]
    same = voice.agreement(np.tile([1, 0], 10), np.tile([1, 0], 10)).iloc[0]
    assert same["estimate"] == same["conf_high"] == 1
    assert 0.6 < same["conf_low"] < 0.7  # 2 * 0.839 - 1: Wilson's lower limit of 20 in 20
    assert voice.agreement(np.ones(20), np.tile([1, 0], 10)).loc[0, "estimate"] == 0


def coded(rng: np.random.Generator, n: int) -> tuple[pd.Series, pd.DataFrame]:
    codes = pd.DataFrame({"often": rng.random(n) < 0.3, "rare": rng.random(n) < 0.01}).astype("boolean")
    codes.iloc[:5] = pd.NA
    codes.index = [f"r{place}" for place in range(n)]
    texts = pd.Series([f"text {place}" for place in range(n)])
    return texts, codes


def test_an_audit_sees_rare_themes_and_its_weights_add_up(rng: np.random.Generator) -> None:
    texts, codes = coded(rng, 4_000)
    found = voice.audit_sample(texts, codes, n=200, rng=np.random.default_rng(7))
    pd.testing.assert_frame_equal(found, voice.audit_sample(texts, codes, n=200, rng=np.random.default_rng(7)))
    assert found.index.is_unique
    assert not set(found.index) & {f"r{place}" for place in range(5)}
    counts = found["stratum"].value_counts()
    assert counts[NONE] == 100
    rare = int(codes["rare"].sum())
    assert counts["rare"] == min(rare, 50)
    assert (found["text"] == [f"text {name[1:]}" for name in found.index]).all()
    np.testing.assert_allclose(found["weight"].sum(), 3_995)
    everything = voice.audit_sample(texts, codes, n=10_000)
    assert len(everything) == 3_995
    assert everything["weight"].eq(1).all()
    assert voice.audit_sample([], codes.iloc[:0], n=5).shape == (0, 3)
    with pytest.raises(UsageError, match="3 texts for 4000 rows"):
        voice.audit_sample(texts[:3], codes, n=10)


@pytest.mark.simulation
def test_precision_recall_and_rates_of_such_a_sample_cover(
    rng: np.random.Generator, replicates: Callable[[int, int], int]
) -> None:
    tries, hits = replicates(60, 2_000), []
    for _ in range(tries):
        true = pd.DataFrame({"often": rng.random(5_000) < 0.25, "rare": rng.random(5_000) < 0.03})
        said = pd.DataFrame({name: rng.random(5_000) < np.where(true[name], 0.8, 0.01) for name in true})
        sample = voice.audit_sample(pd.Series([""] * 5_000), said.astype("boolean"), n=300, rng=rng)
        known, labels = said.loc[sample.index], true.loc[sample.index]
        found = voice.accuracy(known, labels, weights=sample["weight"])
        rates = voice.corrected_rate(said.drop(sample.index), known, labels, audit_weights=sample["weight"])
        table = pd.concat([found, rates]).set_index(["level", "metric"])
        for theme, rate in (("often", 0.25), ("rare", 0.03)):
            precision = 0.8 * rate / (0.8 * rate + 0.01 * (1 - rate))
            for metric, value in (("precision", precision), ("recall", 0.8), ("theme_rate", rate)):
                row = table.loc[theme, metric]
                hits.append((theme, metric, row["conf_low"] <= value <= row["conf_high"]))
    covered = pd.DataFrame(hits, columns=["theme", "metric", "hit"]).groupby(["theme", "metric"])["hit"].mean()
    # The recall of a rare theme stands on a few heavy labels: it is the worst, and said to be so.
    assert (covered > 0.90 - 3 * (0.9 * 0.1 / tries) ** 0.5).all(), covered


def test_labels_come_back_by_rater() -> None:
    frame = pd.DataFrame({
        "response_id": ["a", "b", "c", "a"], "rater": ["Ana", "Ana", "Ana", "Bo"], "text": "x",
        "late": ["yes", "No", None, 1], "price": [True, 0, "x", ""],
    })  # fmt: skip
    found = voice.labels(frame, ["late", "price", "wait"])
    assert list(found) == ["Ana", "Bo"]
    assert found["Ana"]["late"].astype(object).tolist() == [True, False, pd.NA]
    assert found["Ana"]["price"].tolist() == [True, False, True]
    assert found["Bo"].loc["a", "late"]
    first, second = (pd.DataFrame({"late": [True, last]}, index=["a", "b"]).astype("boolean") for last in (True, False))
    together = voice.settled({"1": first, "2": second})
    assert together["late"].astype(object).tolist() == [True, pd.NA]
    assert voice.labels(frame.drop(columns=["rater", "text"]).iloc[:3], ["late", "price"])[""].shape == (3, 2)


def test_labels_that_cannot_be_read_are_told_at_once() -> None:
    frame = pd.DataFrame({"response_id": ["a", "a", None], "lat": 1, "price": ["maybe", "yes", "no"]})
    with pytest.raises(UsageError) as told:
        voice.labels(frame, ["late", "price"])
    for part in ("'lat' is none of the themes; did you mean 'late'", "'price' holds 'maybe' in 1 of 3 rows",
                 "1 rows without response_id", "1 repeats"):  # fmt: skip
        assert part in str(told.value)
    with pytest.raises(UsageError, match="no column 'response_id'"):
        voice.labels(pd.DataFrame({"late": [1]}), ["late"])
