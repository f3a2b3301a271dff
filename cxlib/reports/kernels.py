"""Warm kernels: Jupyter kernels forked from one plain process, the template, that has imported the stack.

A kernel of the kernelspec `cx-warm` (its folder on `JUPYTER_PATH`) is ready in a fraction of the time, and shares the
memory of all that was imported. A process has one template, started with its first kernel or early with `start()`; its
child processes find it through the environment variable `CX_KERNELS`. Where there is none to be had (another system
than Linux, `CX_KERNELS=off`, whatever fails), a kernel starts the ordinary way.

The parts: here, the template's owner; `kernels_provisioner`, what Jupyter asks for a kernel; `kernels_link`, how they
talk; `kernels_template`, the template itself; `kernels_child`, how a forked process becomes a kernel.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

NAME = "cx-warm"
FOLDER = Path(__file__).resolve().parent / "jupyter"  # put it on JUPYTER_PATH
VARIABLE = "CX_KERNELS"  # the address of the template to use, or "off"
_PACKAGE = Path(__file__).resolve().parents[2]
_ENDS = 5  # seconds that a template may take to end its kernels and itself
_FAILURES = 3  # templates that may die on a process before it goes without
_COMMAND = """\
import sys
sys.path[:] = [{package!r}, *filter(None, sys.path)]
from cxlib.reports.kernels_template import main
main({owner}, {listener}, {folder!r})
"""
# At the import of the stack no thread may start: one thread for linear algebra, and nobody who gives memory back in the
# background. A kernel sets the threads that its own environment asks for.
_SINGLE = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # the jemalloc of pyarrow
    "_RJEM_MALLOC_CONF": "background_thread:false",  # the jemalloc of deltalake
}


class Template:
    """A template process: one that this process started, one of a parent process, or none at all.

    Attributes
    ----------
    address
        Path of its socket; '' where kernels start the ordinary way.
    process
        Where this process started it.
    """

    def __init__(self, address: str = "", process: subprocess.Popen[bytes] | None = None) -> None:
        self.address = address
        self.process = process
        self._owner = os.getpid()

    @property
    def alive(self) -> bool:
        """Whether it may be asked; that of a parent process is taken at its word."""
        return self.process is None or self.process.poll() is None

    @property
    def crashed(self) -> bool:
        """Whether it has ended otherwise than by its own will."""
        return self.process is not None and self.process.poll() not in (None, 0)

    def close(self) -> None:
        """End the template and all its kernels; only the process that started it does."""
        if self.process is None or self._owner != os.getpid():
            return
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()  # it watches the other end
        try:
            self.process.wait(_ENDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(Path(self.address).parent, ignore_errors=True)
        if os.environ.get(VARIABLE) == self.address:
            del os.environ[VARIABLE]
        atexit.unregister(self.close)


_lock = threading.Lock()
_current: Template | None = None
_left: list[Template] = []  # those with older code, for as long as they have kernels
_died = 0


def start() -> Template:
    """Return the template of this process, started where there is none; comes back before it is ready.

    Returns
    -------
    Template
        That which `CX_KERNELS` names where it answers, else one of this process' own.
    """
    global _current
    if os.environ.get(VARIABLE) == "off" or sys.platform != "linux":
        return Template()
    with _lock:
        if _current is not None and not _current.alive:
            _drop(_current)
        if _current is None:
            _current = _inherited() or _started()
        return _current


def replaced(failed: Template) -> Template:
    """Return another template than one that did not answer, or whose code is no longer that on disk."""
    with _lock:
        if _current is failed:
            _drop(failed)
    return start()


def _drop(failed: Template) -> None:
    """Use a template no longer, and clear away what is left of those that have ended."""
    global _current, _died
    _died += failed.crashed
    _current = None
    if os.environ.get(VARIABLE) == failed.address:
        del os.environ[VARIABLE]
    _left.append(failed)
    for template in [template for template in _left if not template.alive]:
        template.close()
        _left.remove(template)


def _inherited() -> Template | None:
    """Return the template of a parent process; None where it does not answer."""
    from cxlib.reports import kernels_link

    try:
        kernels_link.connect(os.environ.get(VARIABLE, "")).close()
    except OSError:
        return None
    return Template(os.environ[VARIABLE])


def _started() -> Template:
    """Start a template and name it to child processes. Its socket takes requests while it still imports."""
    from cxlib.reports import kernels_link

    if _died >= _FAILURES:
        return Template()
    try:
        folder = tempfile.mkdtemp(prefix="cx-kernels-")  # for its owner only
        listener, address = kernels_link.listen(folder)
    except OSError:
        return Template()
    with listener:
        process = _spawned(listener, folder)
    if process is None:
        shutil.rmtree(folder, ignore_errors=True)
        return Template()
    template = Template(address, process)
    os.environ[VARIABLE] = address
    atexit.register(template.close)
    return template


def _spawned(listener: socket.socket, folder: str) -> subprocess.Popen[bytes] | None:
    """Start the process of a template."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MPLBACKEND")}
    command = _COMMAND.format(package=str(_PACKAGE), owner=os.getpid(), listener=listener.fileno(), folder=folder)
    try:
        return subprocess.Popen(
            [sys.executable, "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**environment, **_SINGLE},
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    except OSError:
        return None


def _forget() -> None:
    """Start anew in a forked child of this process: its parent's template is found by its address."""
    global _lock, _current
    _lock, _current = threading.Lock(), None
    _left.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
