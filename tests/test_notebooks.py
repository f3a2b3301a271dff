"""The shape of notebooks: nothing stored in them, and those of the pack short, plain and parameterised."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
PACK = [path for path in NOTEBOOKS if path.parent.name in ("monthly", "experiments") or path.name == "_template.ipynb"]
MOST_CELLS, MOST_LINES, MOST_ROUNDS = 16, 60, 3

PARAMETER = re.compile(r"[a-z_][a-z0-9_]*: (str|int|float|bool) = \S.*  # \S.*")
NOT_IN_A_NOTEBOOK = {
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef), "defines something"),
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.While), "loops"),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), "loops"),
}

Cells = list[dict[str, Any]]


def read(path: Path) -> dict[str, Any]:
    """Return a notebook as it lies in the file."""
    return json.loads(path.read_text(encoding="utf-8"))


def text(cell: dict[str, Any]) -> str:
    """Return the source of a cell."""
    return "".join(cell["source"])


def code(cells: Cells) -> Cells:
    """Return the code cells."""
    return [cell for cell in cells if cell["cell_type"] == "code"]


def tree(cell: dict[str, Any]) -> ast.Module:
    """Return the syntax of a code cell, magics left out."""
    return ast.parse(re.sub(r"(?m)^[%!].*$", "", text(cell)))


def stored(notebook: dict[str, Any]) -> list[str]:
    """What a run has left in the file."""
    faults = []
    for number, cell in enumerate(notebook["cells"], 1):
        if cell.get("outputs") or cell.get("execution_count"):
            faults.append(f"cell {number} has stored outputs or an execution count: run `nbstripout` on the file")
        if cell.get("attachments"):
            faults.append(f"cell {number} has an attachment")
    if "papermill" in notebook["metadata"] or "widgets" in notebook["metadata"]:
        faults.append("its metadata are those of a run")
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        faults.append("its kernelspec is not python3")
    return faults


def shape(cells: Cells) -> list[str]:
    """How large it is, and what stands first and last."""
    faults = []
    lines = sum(1 for cell in code(cells) for line in text(cell).splitlines() if line.strip())
    if len(cells) > MOST_CELLS:
        faults.append(f"{len(cells)} cells; at most {MOST_CELLS}")
    if lines > MOST_LINES:
        faults.append(f"{lines} lines of code; at most {MOST_LINES}")
    if cells[0]["cell_type"] != "markdown" or not re.match(r"# \S+.*\n\s*\n.*\w", text(cells[0])):
        faults.append("the first cell must be prose: a `# Title`, then the question and who decides with it")
    if not code(cells) or not re.search(r"\.record\(", text(code(cells)[-1])):
        faults.append("the last code cell must record: `run.record(...)`")
    if sum(text(cell).count(".show(") for cell in cells) > MOST_ROUNDS:
        faults.append(f"more than {MOST_ROUNDS} charts")
    return faults


def parameters(cells: Cells) -> list[str]:
    """Exactly one parameters cell, the first code cell, a typed and explained parameter a line, with `period` in it."""
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1 or tagged[0] is not code(cells)[0]:
        return ["exactly one cell, the first with code, must be tagged `parameters`"]
    lines = [line for line in text(tagged[0]).splitlines() if line.strip()]
    faults = [f"not `name: type = default  # help`: {line}" for line in lines if not PARAMETER.fullmatch(line)]
    for node in ast.walk(tree(tagged[0])):
        if isinstance(node, ast.AnnAssign) and not isinstance(node.value, ast.Constant | ast.UnaryOp):
            faults.append(f"the default must be a plain value: {ast.unparse(node)}")
    return faults


def contents(cells: Cells) -> list[str]:
    """Only cxlib is imported; nothing is defined and nothing loops: that belongs into cxlib."""
    faults = []
    for cell in code(cells):
        for node in ast.walk(tree(cell)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            faults += [f"imports {name}; only cxlib" for name in names if name.split(".")[0] != "cxlib"]
            if type(node) in NOT_IN_A_NOTEBOOK:
                faults.append(f"{NOT_IN_A_NOTEBOOK[type(node)]}: {ast.unparse(node).splitlines()[0]}")
    return faults


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT / "notebooks"))


def test_there_are_notebooks() -> None:
    assert PACK
    assert any(path.parent.name == "explore" for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=identity)
def test_nothing_is_stored_and_all_parses(path: Path) -> None:
    notebook = read(path)
    assert stored(notebook) == []
    assert [tree(cell) for cell in code(notebook["cells"])]


@pytest.mark.parametrize("path", PACK, ids=identity)
def test_a_pack_notebook_has_the_agreed_shape(path: Path) -> None:
    cells = read(path)["cells"]
    assert shape(cells) + parameters(cells) + contents(cells) == []


def cell(kind: str, source: str, **more: Any) -> dict[str, Any]:
    made = {"cell_type": kind, "metadata": {}, "source": source, **more}
    return made | ({"outputs": [], "execution_count": None} | more if kind == "code" else {})


def good() -> Cells:
    """A notebook that keeps every rule."""
    return [
        cell("markdown", "# The month\n\nWhat changed? The head of service decides."),
        cell("code", 'period: str = "last"  # the month', metadata={"tags": ["parameters"]}),
        cell("code", "import cxlib as cx\nrun = cx.open_run(period)"),
        cell("code", "frame = run.measure('nps')\nrun.record(frame)"),
    ]


def test_the_checks_leave_a_good_notebook_alone() -> None:
    cells = good()
    assert shape(cells) + parameters(cells) + contents(cells) == []
    assert stored({"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}}) == []


@pytest.mark.parametrize(
    ("position", "planted", "says"),
    [
        (0, cell("code", "x = 1"), "first cell"),
        (0, cell("markdown", "# Title only"), "first cell"),
        (1, cell("code", 'period: str = "last"  # the month'), "tagged"),
        (1, cell("code", "period = 1", metadata={"tags": ["parameters"]}), "name: type = default"),
        (1, cell("code", "n: int = f(1)  # n", metadata={"tags": ["parameters"]}), "plain value"),
        (2, cell("code", "import pandas as pd"), "imports pandas"),
        (2, cell("code", "from os import path"), "imports os"),
        (2, cell("code", "def f():\n    return 1"), "defines"),
        (2, cell("code", "for metric in ('nps',):\n    print(metric)"), "loops"),
        (2, cell("code", "[run.measure(m) for m in metrics]"), "loops"),
        (2, cell("code", "a = 1\n" * (MOST_LINES + 1)), "lines of code"),
        (2, cell("code", "run.show(1)\n" * 4), "charts"),
        (3, cell("code", "print('no record')"), "record"),
    ],
)
def test_the_checks_see_a_planted_fault(position: int, planted: dict[str, Any], says: str) -> None:
    cells = good()
    cells[position] = planted
    assert says in " ".join(shape(cells) + parameters(cells) + contents(cells))


def test_the_checks_see_too_many_cells_and_stored_outputs() -> None:
    assert "cells; at most" in shape([*good()[:1], *[cell("markdown", "x")] * MOST_CELLS, *good()[1:]])[0]
    ran = [cell("code", "1", outputs=[{"output_type": "stream"}]), cell("code", "1", execution_count=3)]
    assert len(stored({"cells": ran, "metadata": {"kernelspec": {"name": "python3"}}})) == 2
    assert stored({"cells": [], "metadata": {"kernelspec": {"name": "conda-x"}}})
