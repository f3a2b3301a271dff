"""What tests share: where real data lies, a workspace to write in, seeds, and quick settings for hypothesis."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

os.environ["MPLBACKEND"] = "Agg"  # before anything imports matplotlib; kernels started by a test inherit it

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "Ünï cödé dir"  # workspaces of tests lie where a path with spaces and accents must work

# The same examples on every run and machine, and no deadline: a busy machine is not a failure. More with
# HYPOTHESIS_PROFILE=thorough.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs deaf to Ctrl-C and children inherit it: tests that send it would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _shared(kind: str, name: str) -> Path:
    """Return a path under the folder of shared real data, or skip with the reason."""
    folder = Path(os.environ.get("CX_SHARED", ROOT.parent / "shared"))
    path = folder / kind / name
    if not path.exists():
        pytest.skip(f"{kind}/{name} is not in {folder} (real data is not shipped; name its folder in CX_SHARED)")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("olist_tiny")`: the folder of a real data set; skips where it is absent."""
    return lambda name: _shared("data", name)


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], dict]:
    """`oracle("prop_ci_0_20")`: figures that other software or a paper gives; skips where they are absent."""
    return lambda name: json.loads(_shared("oracles", f"{name.removesuffix('.json')}.json").read_text(encoding="utf-8"))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace of its own for one test: the project's `params/` and `notebooks/`, no data yet."""
    return copy_workspace(tmp_path / FOLDER)


def copy_workspace(target: Path) -> Path:
    """Copy what the company decides into `target`, and return it."""
    for name in ("params", "notebooks"):
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return target


@pytest.fixture(scope="session")
def demo_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a small demo company ingested, one for each worker: read it, do not change it."""
    from click.testing import CliRunner

    root = copy_workspace(tmp_path_factory.mktemp("demo") / FOLDER)
    before = Path.cwd()
    os.chdir(root)
    try:
        from cxlib.cli import main

        result = CliRunner().invoke(main, ["demo", "--customers", "400"], catch_exceptions=False)
    finally:
        os.chdir(before)
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def rng() -> np.random.Generator:
    """The seeded generator of one test."""
    return np.random.default_rng(20261031)


@pytest.fixture(scope="session")
def replicates() -> Callable[[int, int], int]:
    """`replicates(200, 10_000)`: the small number in `make test`, the full one in `make simulate`."""
    full = os.environ.get("CX_SIMULATIONS") == "full"
    return lambda small, many: many if full else small


@pytest.fixture(autouse=True)
def _own_folder_and_figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test starts in the project's folder and leaves no figure open."""
    import sys

    monkeypatch.chdir(ROOT)
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
