"""What tests share: where real data lies, a workspace to write in, seeds, and quick settings for hypothesis."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# One thread for linear algebra in each worker of pytest, as kernels have it, said before anything imports NumPy: on a
# busy machine, threads that wait for each other made k-means alone take a hundred times as long.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("CX_CHROMIUM", "none")  # a PDF takes seconds; its own tests ask for it
os.environ["MPLBACKEND"] = "Agg"  # before anything imports matplotlib; kernels started by a test inherit it

import hypothesis  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "Ünï cödé dir"  # workspaces of tests lie where a path with spaces and accents must work

# The same examples on every run and machine, and no deadline: a busy machine is not a failure. These being the same,
# 25 find what a change broke about as well as 40; new ones are looked for with HYPOTHESIS_PROFILE=thorough.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts background jobs deaf to Ctrl-C and children inherit it: tests that send it would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors for every four: some always wait for a process that they have started."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + processors // 4


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


@pytest.fixture(scope="session")
def template() -> Iterator[Any]:
    """A template of warm kernels for all tests of a worker that ask for it: each run would start one of its own."""
    from cxlib.reports import kernels

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.VARIABLE, "")  # and what it was comes back: who wants the template says so
        found = kernels._started()
    yield found
    found.close()


@pytest.fixture(scope="session")
def crew(template: Any) -> Iterator[Any]:
    """Worker processes for all runs of a worker of pytest that ask for them: each run would start its own."""
    from cxlib.reports.crew import Crew

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CX_KERNELS", template.address or "off")
        found = Crew(2)
        for worker in found._workers:
            worker._started()
    yield found
    found.close()


@contextlib.contextmanager
def _warmed(template: Any, crew: Any) -> Iterator[None]:
    from cxlib.reports import kernels, runner

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CX_KERNELS", template.address or "off")
        patch.setattr(kernels, "_current", None)  # and what these tests find there is left to no other
        patch.setattr(runner, "Crew", lambda jobs, timeout: Borrowed(crew))
        yield


@pytest.fixture
def warm(template: Any, crew: Any) -> Iterator[None]:
    """Runs in this process take shared workers; their kernels and those of child processes a shared template.

    To start them is four fifths of what a run of a toy pack takes. That every run starts and ends its own is what the
    tests of crews, kernels and unattended runs look at.
    """
    with _warmed(template, crew):
        yield


@pytest.fixture(scope="module")
def warm_module(template: Any, crew: Any) -> Iterator[None]:
    """The same for all of a module, and for its fixtures."""
    with _warmed(template, crew):
        yield


class Borrowed:
    """Hands that are not let go."""

    def __init__(self, crew: Any) -> None:
        self.jobs, self.submit = crew.jobs, crew.submit

    def close(self) -> None:
        """Leave them to the next."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, to open pages in; skips where it is not installed."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra e2e)")
    found = next(filter(None, (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no chromium on this machine")
    with sync.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


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
