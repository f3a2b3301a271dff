"""Published numbers questioned: made once more to the digit, and their changes split into what caused them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import quick_workspace as quick
from click.testing import CliRunner, Result

from cxlib import cli, errors
from cxlib.reports import places
from cxlib.reports.restating import STEPS, restate
from cxlib.reports.runner import run_pack

PERIOD = "2026-09"


def cx(root: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["-w", str(root), *words])


def quiet(*_: object) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, warm_module: None) -> Path:
    root = quick.workspace(tmp_path_factory.mktemp("made") / "w", ("2026-08", PERIOD))
    run_pack(root, "quick", PERIOD)
    return root


@pytest.fixture
def published(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "w")


def test_a_report_is_equal_to_its_rebuild_until_somebody_touches_it(published: Path) -> None:
    quick.take_in(published, (PERIOD,), first=60)  # late answers: it is made again in its own snapshot
    before = sorted((published / "reports").rglob("*"))
    done = cx(published, "verify", "quick")
    assert done.exit_code == 0, done.output
    assert f"quick {PERIOD}: 5 numbers and 0 figures equal" in done.output
    assert sorted((published / "reports").rglob("*")) == before  # nothing is left behind

    folder = published / "reports" / "quick" / PERIOD
    frame = pd.read_parquet(folder / "results.parquet")
    frame.loc[0, "estimate"] += 0.5
    frame.to_parquet(folder / "results.parquet", index=False)
    (folder / "01_score.html").unlink()
    touched = cx(published, "verify", "quick", PERIOD)
    assert touched.exit_code == errors.DifferenceError.exit_code == 8
    assert "results.parquet was changed after it was published" in touched.output
    assert "01_score.html is missing" in touched.output
    assert "estimate is " in touched.output
    assert "did you mean" in cx(published, "verify", "quick", "2026-9").output


def test_every_change_is_split_and_adds_up(published: Path) -> None:
    folder = published / "reports" / "quick" / PERIOD
    then = pd.read_parquet(folder / "results.parquet").set_index(["metric", "period", "segment", "level", "comparison"])
    nothing = cx(published, "diff", "quick", PERIOD)
    assert "none of 5 numbers would be another" in nothing.output

    # What the code gave then is played by a published number that today's code does not give.
    manifest = json.loads((folder / places.MANIFEST).read_text(encoding="utf-8"))
    manifest["made_of"]["code"] = "older"
    (folder / places.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    frame = pd.read_parquet(folder / "results.parquet")
    frame["estimate"] += 0.25
    frame.to_parquet(folder / "results.parquet", index=False)
    metric = published / "params" / "metrics" / "nps.yml"
    metric.write_text(
        metric.read_text(encoding="utf-8").replace("'nps'\"", "'nps' and channel == 'web'\""), encoding="utf-8"
    )
    quick.take_in(published, (PERIOD,), first=60, shift=3)

    told = cx(published, "diff", "quick", PERIOD, "--output", str(published / "diff.csv"))
    assert told.exit_code == 0, told.output
    for words in (
        "code: the code changed",
        "definitions: the definitions (metrics/nps) changed",
        "late data: the data (responses) changed",
        "5 of 5 numbers would be another",
    ):
        assert words in told.output
    found = pd.read_csv(published / "diff.csv", keep_default_na=False, na_values=[""])
    gone, table = found.loc[found["cause"].notna()], found.loc[found["cause"].isna()]
    assert list(gone["level"]) == ["Other"]
    assert list(gone["cause"]) == ["definitions"]  # of other channels there are no answers any more
    assert len(table) == 4
    assert (table[list(STEPS)].sum(axis=1) - table["change"]).abs().max() < 1e-9
    whole = (table["period"] == PERIOD) & (table["segment"] == "all") & (table["comparison"] == "level")
    own = table.loc[whole].iloc[0]
    assert own["code"] == pytest.approx(-0.25)
    assert own["then"] - 0.25 == pytest.approx(then.loc[("nps", PERIOD, "all", "all", "level"), "estimate"])
    assert own["definitions"] != 0
    assert own["late data"] != 0

    assert set(restate(published, "quick", PERIOD, "then", progress=quiet).causes) == {"code", "definitions"}
    assert "is no path" in cx(published, "diff", "quick", PERIOD, "--as-of", "now").output
