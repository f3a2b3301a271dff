"""Execute one notebook with papermill, in a kernel of its own, and nothing else: no files are written here.

Several may run at once from threads of one process: the work is in the kernels, so papermill is imported once.
"""

from __future__ import annotations

import copy
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxlib.reports import kernels
from cxlib.reports.parameters import Value

KERNEL = "python3"
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_START = 300  # seconds that a kernel may take to answer, on a machine that is busy with other runs
_ENGINE = "cx"
_LONGEST = 80  # bytes that the folder of a socket may have: systems take names of some 100
# Planning makes and drops many small objects: Python's default looks for garbage among them every 700, a twentieth of
# a notebook's time.
_LESS_GARBAGE = "__import__('gc').set_threshold(100_000, 50, 100)"
WORKSPACE, KEPT = "CX_WORKSPACE", "CX_KEPT"
_register_once = threading.Lock()
_clients: set[Any] = set()  # of the notebooks under way

# called with the cells done and the cells of the notebook
OnCell = Callable[[int, int], None]


@dataclass(frozen=True)
class Executed:
    """An executed notebook: its content with outputs, its seconds, and the error that stopped it ('' for none)."""

    name: str
    notebook: Any
    seconds: float
    error: str = ""


def execute(
    name: str,
    notebook: Any,
    parameters: Mapping[str, Value],
    folder: Path,
    on_cell: OnCell,
    *,
    workspace: Path | None = None,
    kept: str = "",
) -> Executed:
    """Run all cells of a notebook with `folder` as working directory.

    Parameters
    ----------
    name
        For messages.
    notebook
        As nbformat reads it; it is not changed.
    parameters
        Checked values of declared parameters only (`parameters.resolve`).
    folder
        Working directory of the kernel.
    on_cell
        Told after every cell.
    workspace
        The workspace that the notebook opens; None for the one around `folder`, which a linked `reports/` is not in.
    kept
        The folder of sums that were brought before; '' for none.

    Returns
    -------
    Executed
        With `error` set where a cell failed, the kernel died or did not start; never raises for these.
    """
    papermill = libraries()[1]
    held: dict[str, Any] = {"notebook": notebook}
    started, error = time.perf_counter(), ""
    try:
        papermill.execute_notebook(
            _named(copy.deepcopy(notebook)), None, parameters=dict(parameters), engine_name=_ENGINE,
            kernel_name=kernel_name(), progress_bar=False, log_output=False, held=held, folder=str(folder),
            on_cell=on_cell, env=kernel_environment(workspace, kept),
        )  # fmt: skip
    except papermill.PapermillExecutionError as failure:
        error = f"{failure.ename}: {failure.evalue}".strip(": ")
    except Exception as failure:  # a dead kernel, a timeout: whatever nbclient and the kernel may raise
        error = f"{type(failure).__name__}: {failure}"
    finally:
        _close_loop()
    return Executed(name, _named(held["notebook"]), time.perf_counter() - started, _first_line(error))


def _close_loop() -> None:
    """Close the event loop that nbclient opened for this thread; it leaves it open."""
    from jupyter_core.utils import ensure_event_loop

    ensure_event_loop().close()


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""


def _named(notebook: Any) -> Any:
    """Give the executed notebook the ordinary kernel, so that it opens anywhere."""
    notebook.metadata["kernelspec"] = {"name": KERNEL, "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook.metadata.pop("papermill", None)  # paths of this machine, and a verdict not to be trusted (`TRAPS`)
    return notebook


def kernel_name() -> str:
    """Return the kernel to execute in: one that is forked where this installation has it, else the ordinary one."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    paths = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    if str(kernels.FOLDER) not in paths:
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(kernels.FOLDER), *paths]))
    try:
        KernelSpecManager().get_kernel_spec(kernels.NAME)
    except NoSuchKernel:
        return KERNEL
    return kernels.NAME


def kernel_environment(workspace: Path | None = None, kept: str = "") -> dict[str, str]:
    """Return the environment of a kernel.

    This process's own, one thread for linear algebra, this very package importable, the workspace, where sums are kept,
    and this process's folder for what is put aside: a kernel is killed in the end, and would leave its files there.
    """
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    threads = {name: os.environ.get(name, "1") for name in _THREADS}
    named = {WORKSPACE: str(workspace)} if workspace else {}
    named |= {KEPT: kept} if kept else {}
    return {
        **os.environ,
        **threads,
        **named,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        "PYTHONSAFEPATH": "1",
        "TMPDIR": tempfile.gettempdir(),
    }


def libraries() -> tuple[Any, Any]:
    """Import nbformat and papermill, the latter with our engine registered; return both.

    `jsonschema` compiles the grammars of `rfc3987_syntax` on import, 1.2 s of processor time, to check IRIs that no
    notebook schema has. Hidden for the time of the import it goes without, as it does where the package is absent.
    """
    with _register_once:
        if "jsonschema" not in sys.modules and "rfc3987_syntax" not in sys.modules:
            sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
            try:
                import papermill
            finally:
                del sys.modules["rfc3987_syntax"]
        import nbformat
        import papermill
        from papermill.engines import papermill_engines

        papermill_engines.register(_ENGINE, _engine())
    return nbformat, papermill


def stop_all() -> None:
    """Kill the kernels of all notebooks under way; their `execute` returns with an error."""
    for client in list(_clients):
        process = getattr(getattr(client.km, "provisioner", None), "process", None)
        if process is not None:
            process.kill()


def _engine() -> type:
    """Return the engine: papermill's own, with our kernel settings and without its save at every cell."""
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine
    from traitlets.config import Config

    class Engine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(
            cls, nb_man: Any, kernel_name: str, *, held: dict[str, Any], folder: str, on_cell: OnCell,
            env: dict[str, str], **_: Any
        ) -> None:  # fmt: skip
            held["notebook"] = nb_man.nb
            _report_cells(nb_man, on_cell)
            with tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True) as own:
                client = PapermillNotebookClient(
                    nb_man,
                    kernel_name=kernel_name,
                    timeout=None,  # of a cell; the time of a whole notebook is its owner's to watch
                    startup_timeout=_START,
                    shutdown_kernel="immediate",  # a graceful stop takes a second; nothing is left to be saved
                    resources={"metadata": {"path": folder}},
                    config=Config({"KernelManager": talk(own)}),
                )
                client.extra_arguments = [f"--IPKernelApp.exec_lines={_LESS_GARBAGE}"]
                _clients.add(client)
                try:
                    client.execute(env=env)
                finally:
                    _clients.discard(client)

    return Engine


def talk(folder: str) -> dict[str, str]:
    """Return how a kernel is talked to: through sockets in a folder of its own where the system has them.

    Ports are chosen before they are taken, so of kernels that several processes start at once two can meet at one.
    Where there is nothing but ports they are encrypted: ipykernel warns about plain ones into the outputs, rightly.
    """
    if os.name == "posix" and len(os.fsencode(folder)) < _LONGEST:
        return {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
    return {"transport_encryption": "auto"}


def _report_cells(nb_man: Any, on_cell: OnCell) -> None:
    """Tell `on_cell` of every cell that completes."""
    total, complete = len(nb_man.nb.cells), nb_man.cell_complete

    def tell(cell: Any, cell_index: int | None = None, **rest: Any) -> None:
        complete(cell, cell_index=cell_index, **rest)
        on_cell((cell_index or 0) + 1, total)

    nb_man.cell_complete = tell
