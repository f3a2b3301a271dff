"""What the benchmarks share. They assert no times: `make bench` prints one table at the end.

All is done in temporary folders. The ways that are compared take turns, so that whatever else the machine does
meanwhile hits all of them; medians are shown, and every single time beside them.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from stopwatch import ROOT, Board, cx

CUSTOMERS = 20_000


@pytest.fixture(scope="session")
def board() -> Iterator[Board]:
    """Collect the figures of all benchmarks and print them last."""
    found = Board()
    yield found
    memory = psutil.virtual_memory().total / 1e9
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    machine = f"{os.cpu_count()} processors, {memory:.0f} GB, {platform.system()} {platform.machine()}"
    print(f"\n\n{machine}, Python {platform.python_version()}{load}; demo company of {CUSTOMERS:,} customers")
    print("Peak MB adds up the resident memory of all processes of a run; pages that they share count in each.")
    print(found)


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a workspace with the project's params and notebooks, and the demo company in its store."""
    root = tmp_path_factory.mktemp("bench") / "workspace"
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, root / name)
    cx("demo", "--customers", str(CUSTOMERS), cwd=root)
    return root


@pytest.fixture(scope="session")
def customers() -> int:
    """Return the size of the demo company."""
    return CUSTOMERS
