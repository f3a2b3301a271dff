"""Outputs that came past `run.show` and `run.table`, and rows of too few people in tables: refused, with a remedy."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import quick_workspace as quick
import toy_workspace as toy

import cxlib as cx
from cxlib import results
from cxlib.errors import UsageError
from cxlib.reports.disclosure import outputs, small

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n a chart").decode()
IMG = f'<img alt="x" src="data:image/png;base64,{PNG}">'


def result(**data: str) -> dict:
    return {"output_type": "execute_result", "metadata": {}, "execution_count": 1, "data": data}


def stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def scanned(folder: Path, output: dict) -> list[str]:
    one = toy.cell("1") | {"outputs": [output]}
    toy.notebook(folder / "01.ipynb", one)
    return outputs.scan(folder)


@pytest.mark.parametrize(
    "output",
    [
        result(**{"text/html": '<table border="1" class="dataframe"><tr><td>Islands</td></tr></table>'}),
        result(**{"text/html": "<table><tr><td>Islands</td><td>1</td></tr></table>"}),
        result(**{"image/png": PNG, "text/plain": "<Figure size 640x480 with 1 Axes>"}),
        result(**{"image/svg+xml": "<svg/>"}),
        result(**{"text/html": IMG}),
        result(**{"text/plain": "0    12\n1    47\n2    91\nName: customer_id, dtype: int64"}),
        result(**{"text/plain": "array([1, 2, 3])"}),
        result(**{"text/markdown": "| region | n |\n|---|---|\n| Islands | 1 |"}),
        stream(str([7, 3, 10, 9, -1, 4, 8])),
        stream("   score  age\n0      7   31\n1      3   45\n2     10   52\n"),
    ],
)
def test_what_nobody_can_look_through_is_refused(tmp_path: Path, output: dict) -> None:
    (found,) = scanned(tmp_path, output)
    assert found.startswith("01.ipynb, cell 1: ")
    assert found.endswith(outputs.REMEDY)


@pytest.mark.parametrize(
    "output",
    [
        stream("value 3\nsecond 2026-10\nBetween 12 and 40 of 100 answers, see pages 1, 2, 3"),
        result(**{"text/plain": "42"}),
        result(**{"text/html": f'<figure class="cx-figure">{IMG}<table></table></figure>', "text/plain": "HTML"}),
    ],
)
def test_words_and_our_own_figures_stay(tmp_path: Path, output: dict) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.png").write_bytes(base64.b64decode(PNG))
    assert scanned(tmp_path, output) == []


def test_rows_of_customers_and_tables_by_hand_are_for_exploring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(quick.workspace(tmp_path))
    exploring = cx.open_run("2026-09", pack="quick")
    assert len(exploring.frame(exploring.tables["responses"].limit(5))) == 5
    run = cx.open_run("2026-09", pack="quick", run_folder=str(tmp_path / "out"), notebook="01_score")
    with pytest.raises(UsageError, match="rows of customers") as fault:
        _ = run.tables
    assert "run.measure" in fault.value.hint
    with pytest.raises(UsageError, match="rows of customers"):
        run.frame(exploring.tables["responses"])
    with pytest.raises(UsageError, match="does not carry its rows"):
        run.table("<table><tr><td>Islands</td><td>1</td></tr></table>", "few")
    rows = run.measure()
    run.table(cx.tables.scorecard(rows, run.metrics))
    with pytest.raises(UsageError, match=r"nps 2026-09, the whole: fewer than 5 answers"):
        run.table(cx.tables.scorecard(rows.assign(n=3.0), run.metrics))


def test_every_row_about_people_is_looked_at() -> None:
    about = {"metric": "nps", "period": "2026-10", "segment": "region", "level": "Islands", "estimate": 1.0, "n": 3.0}
    kinds = ("level", "difference", "relative", "share", "test")
    frame = results.concat([results.frame(comparison=kind, **about) for kind in kinds])
    found = small.small(frame, {"nps": 10})
    assert found["comparison"].tolist() == ["level", "difference", "relative", "share"]
    assert small.told(found)[1] == "nps 2026-10, region = Islands (difference): fewer than 10 answers"
    placebo = results.frame(comparison="difference", **(about | {"segment": "placebo"}))
    assert small.small(placebo, {"nps": 10}).empty
    assert small.small(frame, {}).empty
    assert len(small.small(frame, {}, 10)) == 4
