"""A tiny workspace for the tests of runs, pages and commands: two notebooks in plain Python, no data of its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

PARAMETERS = 'period: str = "2026-10"  # month\nas_of: str = ""\nrun_folder: str = ""\npack: str = "toy"\n'
PERIOD = "2026-10"

METRIC = """\
title: Net promoter score
question: Would customers recommend us?
kind: nps
unit: points
table: responses
time: responded_at
filter: "instrument == 'nps'"
value: score
higher_is_better: true
owner: Insight
"""


def cell(source: str, *tags: str) -> dict:
    """Return a code cell."""
    return {
        "cell_type": "code",
        "id": f"c{abs(hash(source)) % 10**8}",
        "metadata": {"tags": list(tags)} if tags else {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def prose(source: str) -> dict:
    """Return a markdown cell."""
    return {"cell_type": "markdown", "id": f"m{abs(hash(source)) % 10**8}", "metadata": {}, "source": source}


def notebook(path: Path, *cells: dict) -> None:
    """Write a notebook file."""
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def workspace(root: Path, first: str = "print('value', size)", second: str = "print('second', period)") -> Path:
    """Write a workspace with the pack `toy`: `01_first` (parameters `size`, `share`, `flag`) and `02_second`."""
    files = {
        "params/workspace.yml": "company: Toy & Söhne\ntimezone: Europe/Madrid\n",
        "params/metrics/nps.yml": METRIC,
        "params/reports/toy.yml": (
            "title: Toy report\naudience: tests\nnotebooks: [01_first, 02_second]\nmetrics: [nps]\n"
        ),
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    more = "size: int = 3  # how many\nshare: float = 0.5\nflag: bool = False\n"
    folder = root / "notebooks" / "toy"
    intro = "# First page\n\nIs everything well?"
    notebook(folder / "01_first.ipynb", prose(intro), cell(PARAMETERS + more, "parameters"), cell(first))
    notebook(folder / "02_second.ipynb", prose("# Second page"), cell(PARAMETERS, "parameters"), cell(second))
    return root


TRIAL = """\
title: Gate at level 40
hypothesis: A later gate pleases more.
variants: {now: 0.5, later: 0.5}
start: "2026-08-01"
stop: "2026-09-30"
primary_metric: nps
smallest_effect_that_matters: 2
registered_on: "2026-07-15"
owner: Insight
"""


def with_trial(root: Path) -> Path:
    """Add the experiment `gate` to a workspace, and the pack `readout` about it."""
    files = {
        "params/experiments/gate.yml": TRIAL,
        "params/reports/readout.yml": "title: Readout\naudience: tests\nof: experiment\nnotebooks: [readout]\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    own = PARAMETERS.replace('"toy"', '"readout"') + 'experiment: str = ""\n'
    told = cell("print('about', experiment, period)")
    notebook(root / "notebooks" / "readout" / "readout.ipynb", prose("# Did it work?"), cell(own, "parameters"), told)
    return root


def with_snapshot(root: Path) -> Path:
    """Give a workspace a store with one snapshot of no tables, whose newest event is at the end of `PERIOD`."""
    from cxlib.data.ledger import Batch, Ledger, TableVersion

    store = root / "data" / "store"
    store.mkdir(parents=True, exist_ok=True)
    tables = {"responses": TableVersion(0, 0, datetime(2026, 10, 31, 20, 0))}
    Ledger.commit(store, tables, Batch("toy-1", "toy", "0"), now=datetime(2026, 11, 1, 9, 0, tzinfo=UTC))
    return root
