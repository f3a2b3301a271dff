"""The page about privacy, walked through: its commands run in their order on a small demo, its settings are read."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from cxlib.cli import main
from cxlib.params.models import Workspace
from tests.test_docs import ROOT, blocks, commands

PAGE = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
PERSON, OTHERS = "C0000012", ("C0000013", "C0000014")


@pytest.fixture(scope="module")
def walked(demo_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Result]]:
    """A copy of the demo in which every command of the page was run; what each said."""
    root = Path(shutil.copytree(demo_workspace, tmp_path_factory.mktemp("privacy") / "w"))
    (root / "leavers.txt").write_text("\n".join(OTHERS), encoding="utf-8")
    before = Path.cwd()
    os.chdir(root)
    try:
        said = {
            line: CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False) for line in commands(PAGE)
        }
    finally:
        os.chdir(before)
    return root, said


def test_every_command_does_what_the_page_says(walked):
    root, said = walked
    assert {line: result.output for line, result in said.items() if result.exit_code} == {}
    assert "would be erased from customers: 1 rows" in said[f"cx erase {PERSON} --dry-run"].output
    done = said[f"cx erase {PERSON}"].output
    assert "erased from customers: 1 rows" in done
    assert "found: nothing" in done
    assert "data/raw/demo/customers-0000.parquet" in done
    assert PERSON not in done
    assert "2 customers" in said["cx erase --from leavers.txt"].output
    assert "rejected from customers: 3 x erased" in said["cx ingest demo"].output
    log = (root / "data" / "store" / "erasures.jsonl").read_text(encoding="utf-8").splitlines()
    assert [len(json.loads(line)["people"]) >= people for people, line in enumerate(log, start=1)] == [True, True]


def test_nobody_of_them_is_in_the_store_any_more(walked):
    root, _ = walked
    for table in ("customers", "responses", "orders", "interactions", "invitations", "subscriptions"):
        files = [str(path) for path in (root / "data" / "store" / table).rglob("v*.parquet")]
        ids = set(duckdb.read_parquet(files, hive_partitioning=False).df()["customer_id"])
        assert not ids & {PERSON, *OTHERS}, table


def test_the_settings_of_the_page_are_read():
    given: dict[str, object] = {"company": "Lumen & Loom"}
    for block in blocks(PAGE):
        if block.language == "yaml":
            given |= yaml.load(block.body, Loader=yaml.BaseLoader)
    workspace = Workspace.model_validate(given)
    assert workspace.consent == Workspace(company="x").consent  # the page says that these are the defaults
    assert workspace.retention.comments == "24 months"
    assert workspace.retention.tables == {"interactions": "36 months"}
