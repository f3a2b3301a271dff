"""A small real company for tests of runs: answers in a store, one metric, a pack of two quick notebooks."""

from __future__ import annotations

import csv
from calendar import monthrange
from pathlib import Path

import toy_workspace as toy

from cxlib import params
from cxlib.data.ingest import ingest

SOURCE = "title: Answers\ntimezone: UTC\nlicence: none\nfiles: {responses: {path: responses.csv}}\n"
OPEN = 'import cxlib as cx\nrun = cx.open_run(period, as_of=as_of, pack=pack, run_folder=run_folder, notebook="{name}")'
SCORE = "scores = run.measure(periods=2, compare='previous')\nrun.record(scores)"
LEVELS = "answers = run.measure(by='channel')\nrun.record(answers)"
SEGMENT = (
    "title: Channel\nquestion: Where?\non: event\nrules:\n  - {level: Web, when: \"channel == 'web'\"}\n"
    "otherwise: Other\nowner: Insight\n"
)


def workspace(root: Path, months: tuple[str, ...] = ("2026-07", "2026-08", "2026-09")) -> Path:
    """Write the workspace, and take in 60 answers a month."""
    toy.workspace(root)
    files = {
        "params/workspace.yml": "company: Quick & Söhne\nmin_n: 5\n",
        "params/metrics/nps.yml": toy.METRIC,
        "params/segments/channel.yml": SEGMENT,
        "params/sources/answers/source.yml": SOURCE,
        "params/sources/answers/responses.sql": "SELECT * FROM responses\n",
        "params/reports/quick.yml": "title: Quick\naudience: tests\nnotebooks: [01_score, 02_levels]\nmetrics: [nps]\n",
    }
    (root / "params" / "reports" / "toy.yml").unlink()
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, ask in (("01_score", SCORE), ("02_levels", LEVELS)):
        notebook(root, name, ask)
    return take_in(root, months)


def notebook(root: Path, name: str, ask: str) -> None:
    """Write one of the pack's notebooks; `ask` computes and records."""
    parameters = toy.PARAMETERS.replace('"toy"', '"quick"')
    cells = (
        toy.prose(f"# {name}"),
        toy.cell(parameters, "parameters"),
        toy.cell(OPEN.format(name=name)),
        toy.cell(ask),
    )
    toy.notebook(root / "notebooks" / "quick" / f"{name}.ipynb", *cells)


def take_in(root: Path, months: tuple[str, ...], *, shift: int = 0, first: int = 0) -> Path:
    """Ingest 60 answers for each month, numbered from `first`; `shift` makes them another score."""
    raw = root / "data" / "raw" / "answers"
    raw.mkdir(parents=True, exist_ok=True)
    with (raw / "responses.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["response_id", "responded_at", "instrument", "score", "customer_id", "channel"])
        for month in months:
            days = monthrange(int(month[:4]), int(month[5:]))[1]
            for n in range(first, first + 60):
                day = f"{month}-{days - n % 28:02} 10:00:00"
                score = (n * 7 + int(month[-2:]) * 3 + shift) % 11
                out.writerow([f"{month}-{n}", day, "nps", score, f"c{n % 40}", "web" if n % 3 else "shop"])
    ingest(root, params.load(root), "answers", folder=raw)
    return root
