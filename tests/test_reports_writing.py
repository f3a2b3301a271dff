"""What is taken out of an executed notebook before it is kept: folders always, persons where a message quotes a row."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cxlib.reports.writing import scrub, tidy

MAIL = "maria.lopez.134@example.com"
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ+4111111111111111"


def notebook(**output: Any) -> SimpleNamespace:
    cell: dict[str, Any] = {"outputs": [output]}
    kept = SimpleNamespace(metadata={"papermill": 1, "execution": 2, "tags": []}, get=cell.get, outputs=cell["outputs"])
    return SimpleNamespace(cells=[kept])


def test_a_message_tells_neither_folders_nor_persons(tmp_path: Path) -> None:
    told = (
        f"ConversionError: could not read '{MAIL}' of C0000012 in {tmp_path}/run/inputs/x.parquet, call +44 7700 900123"
    )
    assert scrub(told, tmp_path, tmp_path / "run") == (
        "ConversionError: could not read '[e-mail]' of [id] in inputs/x.parquet, call [phone]"
    )


@pytest.mark.parametrize("failed", [False, True])
def test_tracebacks_are_always_redacted(failed: bool, tmp_path: Path) -> None:
    one = notebook(
        output_type="error", ename="ValueError", evalue=MAIL, traceback=[f"ValueError: {MAIL}", f"{tmp_path}/x"]
    )
    tidy(one, tmp_path, tmp_path / "run", failed=failed)
    (output,) = one.cells[0].outputs
    assert output["evalue"] == "[e-mail]"
    assert output["traceback"] == ["ValueError: [e-mail]", "x"]
    assert one.cells[0].metadata == {"tags": []}


def test_what_is_to_be_published_is_left_to_the_gate(tmp_path: Path) -> None:
    """Were it redacted silently, nobody would learn that a notebook shows what it must not."""
    one = notebook(output_type="stream", text=f"{MAIL} in {tmp_path}/x", data={"text/html": [f"<p>{MAIL}</p>"]})
    tidy(one, tmp_path, tmp_path / "run")
    assert one.cells[0].outputs[0]["text"] == f"{MAIL} in x"
    assert one.cells[0].outputs[0]["data"]["text/html"] == [f"<p>{MAIL}</p>"]


def test_of_a_notebook_that_failed_nothing_tells_persons(tmp_path: Path) -> None:
    html = f'<p title="{MAIL}">ask Maria Silva</p><img src="{PICTURE}">'
    one = notebook(output_type="stream", text=MAIL, data={"text/html": html, "text/plain": MAIL, "image/png": "x"})
    tidy(one, tmp_path, tmp_path / "run", failed=True)
    (output,) = one.cells[0].outputs
    assert output["text"] == output["data"]["text/plain"] == "[e-mail]"
    assert output["data"]["text/html"] == f'<p title="[e-mail]">ask [name]</p><img src="{PICTURE}">'
