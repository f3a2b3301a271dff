"""The worker's side of a run: what one step leaves to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import quick_workspace as quick

ROOT = Path(__file__).resolve().parent.parent
TWICE = """
import os, sys
from pathlib import Path
from cxlib.reports import runner, work
from cxlib.reports.build import Done
root = Path(sys.argv[1])
(build,) = runner.builds(root, "quick", ["2026-09"], parameters={})
for name in ("figures", "inputs", "results"):
    (build.folder / name).mkdir(parents=True)
before = dict(os.environ)
build.executed.update({name: Done(name, 0.0) for name in build.notebooks})
assert work.carry_out(work.Step(build), print)["state"] == "published"
assert "pandas" in sys.modules
assert dict(os.environ) == before, set(os.environ) ^ set(before)
"""


def test_putting_a_report_together_leaves_the_environment_of_later_kernels_alone(tmp_path: Path) -> None:
    root = quick.workspace(tmp_path / "w", ("2026-09",))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", TWICE, str(root)], env=env, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
