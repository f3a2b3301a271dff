"""What a run answers about what customers say: redacted, frozen without anybody, replayed, and with its reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import cxlib as cx
from cxlib import params as parameters
from cxlib import results
from cxlib.analysis import voice
from cxlib.analysis.voice import rates
from cxlib.data import labelled
from cxlib.errors import RunError, UsageError
from cxlib.reports import audits, disclosure, made_of, voicing
from cxlib.reports.record import Run
from cxlib.show.theme_table import codebook_table

PERIOD = "2026-10"
EXACT = 1e-9

ANSWERS: dict[str, Callable[[Run], pd.DataFrame]] = {
    "themes": lambda run: run.themes(months=4),
    "theme_changes": lambda run: run.theme_changes("previous", window=6),
    "theme_scores": lambda run: run.theme_scores("csat_mean", window=6),
    "theme_decomposition": lambda run: run.theme_decomposition("csat_mean", against="previous"),
    "theme_costs": lambda run: run.theme_costs(months=12),
    "sentiment": lambda run: run.sentiment("csat_mean", window=12),
    "quotes": lambda run: run.quotes(window=6),
    "new_themes": lambda run: run.new_themes(months=7),
    "theme_candidates": lambda run: run.theme_candidates(window=6, n=2),
}


@pytest.fixture
def at_demo(demo_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo_workspace)
    return demo_workspace


@pytest.mark.parametrize("question", ANSWERS)
def test_answers_are_kept_without_anybody_and_replayed_for_ever(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    ask, folder = ANSWERS[question], tmp_path / "run"
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="04")
    frame = ask(recording)
    least = recording.context.workspace.min_n
    assert len(frame)
    assert set(frame["status"]) != {results.UNDEFINED}
    assert (frame["period"] != "").all()
    assert (frame["definition"] != "").all()
    assert not (frame["n"] < least).any()
    people = set(voicing.said(recording._inputs, recording.period.last(6)).rows["customer_id"])
    texts = pd.concat([frame[name] for name in (*results.TEXT, "note")])
    assert not texts.isin(people).any()
    assert disclosure.check(folder, dict.fromkeys(recording.metrics, least), least)["found"] == []
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    pd.testing.assert_frame_equal(ask(cx.open_run(PERIOD, run_folder=str(folder), notebook="04")), frame)


def test_texts_are_redacted_before_anything_else_and_nothing_planted_is_left(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    texts = voicing.said(run._inputs, run.period.last(36)).rows["text"].unique()
    raw = run.frame(run.tables["responses"].select("comment"))["comment"].dropna().unique()
    planted = [text for text in raw if voice.spans(text)]
    assert planted  # one comment in a hundred tells who somebody is
    assert not set(planted) & set(texts)
    assert not any(voice.spans(text) for text in texts)
    assert any("[address]" in text for text in texts)


def test_the_parts_of_a_change_add_up_to_what_is_measured(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    found = run.theme_decomposition("csat_mean", against="year_ago")
    measured = run.measure("csat_mean", compare="year_ago")
    change = measured.loc[measured["comparison"] == "difference", "estimate"].iloc[0]
    parts = found[found["comparison"].isin(["mix", "rate"]) & (found["level"] != "all") & (found["at"] == "")]
    assert parts["estimate"].sum() == pytest.approx(change, abs=EXACT)


def test_without_an_audit_it_says_so_and_with_one_rates_are_corrected(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "audited"
    shutil.copytree(at_demo, root)
    monkeypatch.chdir(root)
    before = cx.open_run(PERIOD)
    plain = before.themes(months=3)
    assert set(plain.loc[plain["status"] == results.OK, "note"]) == {rates.CODED}
    said = voicing.said(before._inputs, before.period.last(3))
    codes = said.codes.fillna(0).astype(int).set_axis(list(before.context.themes), axis=1)
    labels = before.audit_sample(n=1_000)
    assert list(labels.columns) == ["response_id", "text", "rater", *before.context.themes, "weight"]
    assert sorted(labels["response_id"]) == sorted(said.rows["verbatim_id"])
    place = pd.Index(said.rows["verbatim_id"]).get_indexer(pd.Index(labels["response_id"]))
    labels[codes.columns] = codes.iloc[place].to_numpy()
    path = root / labelled.AUDITS / f"{before.context.codebook_version}.csv"
    path.parent.mkdir()
    params = parameters.load(root)
    assert made_of.labels_of(root, params) == {}
    labels.to_csv(path, index=False)
    with pytest.raises(UsageError, match=r"data/audits/.*csv: column 'text' is neither .*\n?.*Leave the texts out"):
        cx.open_run(PERIOD).themes(months=3)
    labels = labels.drop(columns="text")
    labels.to_csv(path, index=False)
    assert list(made_of.labels_of(root, params)) == [f"audits/{path.stem}"]  # the report is made anew
    after = cx.open_run(PERIOD).themes(months=3)
    assert set(after.loc[after["level"] == "Price", "definition"]) == {
        voice.definition(before.context.codebook, "price")
    }
    right = after[(after["metric"] == rates.CORRECTED) & (after["at"] == "3 periods") & (after["status"] == results.OK)]
    coded = after[(after["metric"] == rates.SHARE) & (after["at"] == "3 periods")].set_index("level")["estimate"]
    assert len(right)
    assert right["estimate"].to_numpy() == pytest.approx(coded[right["level"]].to_numpy(), abs=0.02)  # languages
    assert set(right["note"].str.partition(";")[2]) == {""}  # all labels are of these months
    month = after[(after["metric"] == rates.CORRECTED) & (after["at"] == "") & (after["status"] == results.OK)]
    assert month["note"].str.contains(f"of the {len(labels)} labelled texts are of this time").all()
    gone = labels.assign(response_id=[f"gone {number}" for number in range(len(labels))])
    gone.to_csv(path, index=False)
    told = cx.open_run(PERIOD).themes(months=3)
    lost = f"{rates.CODED}: 0 of {len(labels)} labelled texts are among those up to October 2026"
    assert set(told.loc[told["status"] == results.OK, "note"]) == {lost}
    assert lost in str(codebook_table(told))
    pd.concat([labels, gone]).to_csv(path, index=False)
    told = cx.open_run(PERIOD).themes(months=3)
    more = told.loc[(told["metric"] == rates.CORRECTED) & (told["status"] == results.OK), "note"]
    assert more.str.endswith(f"; {len(labels)} more were labelled and are not among the texts up to this report").all()
    labels.head(0).to_csv(path, index=False)  # everybody in it was erased
    pd.testing.assert_frame_equal(cx.open_run(PERIOD).themes(months=3), plain)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "response_id,late,weight\nr1,1,x\n\nr2,1,\nr3,1,-1\nr4,0,2\n",
            "3 of 4 weights are no numbers above 0: line 2, 4, 5",
        ),
        (
            "response_id,late,weight\n" + "r,1,0\n" * 8,
            "8 of 8 weights are no numbers above 0: line 2, 3, 4, 5, 6 and 3 more",
        ),
        ("response_id,late,weight\nr1,1,inf\n", "1 of 1 weights"),
        (
            "response_id,lat\nr1,1\n",
            "column 'lat' is neither response_id, rater, weight nor one of the themes; did you",
        ),
        ("response_id,late,Text\nr1,1,hello\n", "column 'Text' is neither"),
        ("response_id,late\nr1,maybe\n", "'late' holds 'maybe' in 1 of 1 rows"),
        ("late\n1\n", "response_id"),
        ("response_id,late\nr1,1\nr1,0\n", "1 repeats"),
        ("", "cannot be read"),
    ],
)
def test_what_is_wrong_with_labels_names_the_file(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "7.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        audits.labels(path, ["late", "price"])
    assert error.value.message.startswith("data/audits/7.csv")
    assert said in error.value.message


def test_labels_without_weights_count_alike(tmp_path: Path) -> None:
    path = tmp_path / "7.csv"
    path.write_text("\ufeffresponse_id,rater,late\nr1,ann,yes\n,,\nr2,ann,\nr1,bob,no\n\n", encoding="utf-8")
    table, by_rater = audits.labels(path, ["late", "price"])
    assert list(by_rater) == ["ann", "bob"]
    assert (len(table), len(by_rater["ann"])) == (3, 2)


def test_what_cannot_be_told_is_undefined_with_its_reason(at_demo: Path) -> None:
    run = cx.open_run(PERIOD)
    assert run.theme_scores("churn_rate")["note"].tolist() == [
        f"{run.metrics['churn_rate'].title} is no score of answers"
    ]
    silent = cx.open_run("2020-01")
    assert set(silent.themes()["status"]) == {results.UNDEFINED}
    assert set(silent.quotes()["note"]) == {"nobody wrote anything in these months"}
    with pytest.raises(UsageError, match="window"):
        run.themes(window=0)


def test_a_published_run_does_not_look_for_labels(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    recording = cx.open_run(PERIOD, run_folder=str(folder), notebook="04")
    recording.themes(months=2)
    with pytest.raises(UsageError, match="no report may hold"):
        recording.audit_sample()
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    again = cx.open_run(PERIOD, run_folder=str(folder), notebook="04")
    with pytest.raises(RunError, match="holds no tables"):
        again.audit_sample()
    assert len(again.themes(months=2))
    with pytest.raises(RunError, match="does not hold"):
        again.themes(months=3)


def test_a_published_run_replays_what_labels_corrected(
    at_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, folder = tmp_path / "labelled", tmp_path / "run"
    shutil.copytree(at_demo, root)
    monkeypatch.chdir(root)
    theme = next(iter(cx.open_run(PERIOD).context.themes))
    path = root / labelled.AUDITS / f"{cx.open_run(PERIOD).context.codebook_version}.csv"
    path.parent.mkdir()
    path.write_text(f"response_id,{theme}\nnowhere,yes\n", encoding="utf-8")
    recorded = cx.open_run(PERIOD, run_folder=str(folder), notebook="04").themes(months=2)
    assert recorded["note"].str.contains("0 of 1 labelled").any()
    (folder / "run.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    replayed = cx.open_run(PERIOD, run_folder=str(folder), notebook="04").themes(months=2)
    pd.testing.assert_frame_equal(replayed, recorded)
