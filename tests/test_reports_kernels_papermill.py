"""Warm kernels under papermill, nbclient and the kernel manager of Jupyter's servers, each as it comes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager
from nbclient import NotebookClient
from traitlets.config import Config
from warm_kernels import QUIET, close_loop, environment, lives, own_code, parent

from cxlib.reports import kernels

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
PARENT = "import os; print(open(f'/proc/{os.getppid()}/cmdline').read())"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kernels.Template]:
    with own_code(tmp_path_factory.mktemp("code")):
        started = kernels.start()
        yield started
        started.close()


def notebook(*cells: str) -> nbformat.NotebookNode:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": spec})


def said(executed: nbformat.NotebookNode) -> list[str]:
    return ["".join(out.get("text", "") for out in cell.outputs) for cell in executed.cells if cell.cell_type == "code"]


def test_the_installation_knows_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(kernels.FOLDER))
    (found,) = entry_points(group="jupyter_client.kernel_provisioners", name="cx-fork")
    assert found.load().__name__ == "ForkProvisioner"
    spec = KernelSpecManager().get_kernel_spec(kernels.NAME)
    assert spec.metadata["kernel_provisioner"] == {"provisioner_name": "cx-fork", "config": {}}
    assert spec.argv[:5] == ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


@pytest.mark.parametrize("switch", ["", "off"])
def test_papermill_takes_the_kernel_by_its_name(template: kernels.Template, switch: str, tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("size = 1", metadata={"tags": ["parameters"]})
    source = notebook("print(size * 2)", PARENT, "import matplotlib.pyplot as plt; plt.plot([1]);")
    source.cells.insert(0, cell)
    nbformat.write(source, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "in.ipynb", "out.ipynb", "-k", kernels.NAME, "-p", "size", "21"]
    given = environment(CX_KERNELS=switch or template.address, MPLBACKEND=None)
    done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    executed = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    texts = said(executed)
    assert texts[2] == "42\n"
    assert ("kernels_template" in texts[3]) is not bool(switch)
    assert [output.output_type for output in executed.cells[-1].outputs] == ["display_data"]


def test_nbclient_runs_cells_in_it(template: kernels.Template, tmp_path: Path) -> None:
    outputs = []
    cells = ("import pandas as pd; frame = pd.DataFrame({'a': range(99)})", "frame", "frame.describe().T", "1 / 0")
    for name in (kernels.NAME, "python3"):
        made = notebook(PARENT, *cells)
        client = NotebookClient(made, kernel_name=name, resources={"metadata": {"path": str(tmp_path)}})
        client.allow_errors = True
        client.extra_arguments = [*QUIET, "--IPKernelApp.exec_lines=preset = 5"]
        made.cells.append(nbformat.v4.new_code_cell("preset"))
        client.execute()
        outputs.append([dict(output) for cell in made.cells[1:] for output in cell.outputs])
        assert ("kernels_template" in said(made)[0]) is (name == kernels.NAME)
        close_loop()
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 4


def test_servers_start_restart_and_stop_it(template: kernels.Template, tmp_path: Path) -> None:
    """With the manager that Jupyter's server and Voila build on, and its watch over kernels that die."""

    async def work() -> list[int]:
        manager = AsyncMultiKernelManager(
            kernel_manager_class="jupyter_client.ioloop.AsyncIOLoopKernelManager",
            connection_dir=str(tmp_path),
            config=Config({"KernelRestarter": {"time_to_dead": 0.1}}),
        )
        try:
            one = await manager.start_kernel(
                kernel_name=kernels.NAME, cwd=str(tmp_path), stderr=subprocess.DEVNULL, extra_arguments=QUIET
            )
            kernel = manager.get_kernel(one)
            pids = [kernel.provisioner.pid]
            os.kill(pids[0], 9)
            for _ in range(500):
                await asyncio.sleep(0.02)
                if kernel.has_kernel and kernel.provisioner.pid != pids[0]:
                    break
            await asyncio.wait_for(kernel.ready, 60)  # its watch is still about to set it up
            pids.append(kernel.provisioner.pid)
            await manager.restart_kernel(one, now=True)
            pids.append(kernel.provisioner.pid)
            assert all(parent(pid) == template.process.pid for pid in pids[-1:])
            return pids
        finally:
            await manager.shutdown_all(now=True)
            manager.context.destroy(linger=0)

    pids = asyncio.run(work())
    assert len(set(pids)) == 3
    assert not any(map(lives, pids))
