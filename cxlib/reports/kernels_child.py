"""How a process forked from the template becomes a Jupyter kernel like any other.

What an interpreter and the libraries set up when they start is set up again as the environment of the kernel says.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from cxlib.reports import sandbox
from cxlib.reports.kernels_stack import Stack, search_path

_INLINE = "module://matplotlib_inline.backend_inline"


@dataclass
class Request:
    """What a forked process needs to become a kernel."""

    command: list[str]
    folder: str
    environment: dict[str, str]
    streams: list[int]
    stack: Stack


def become(request: Request) -> None:
    """Be a kernel until it is shut down."""
    environment = request.environment
    _take_streams(request.streams)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update({**request.stack.set, **environment})
    time.tzset()
    tempfile.tempdir = None
    sys.path[:] = dict.fromkeys([*search_path(environment, request.folder), *request.stack.path])
    launcher = find_spec("ipykernel_launcher")
    sys.argv = [str(launcher.origin if launcher else ""), *request.command[3:]]
    sys.orig_argv[:] = request.command
    _new_random_state()
    _use_threads(environment)
    gc.enable()
    confined = sandbox.asked(os.environ)
    tidy = None
    if confined is not None:
        tidy = _giving_back()
        del os.environ[sandbox.VARIABLE]
        sandbox.enter(confined)  # while there is one thread: those that are started later are bound with it
    _start(environment, request.stack.kernel, tidy)


def _take_streams(streams: list[int]) -> None:
    """Make the descriptors given the standard streams."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for written in (sys.stdout, sys.stderr):
        _by_line(written)


def _by_line(stream: Any) -> None:
    if stream is not None:
        stream.reconfigure(line_buffering=os.isatty(stream.fileno()) or stream is sys.stderr)


def _new_random_state() -> None:
    """Draw new seeds, as a new process has; `random` does so by itself, at the fork."""
    import numpy as np

    np.random.seed()  # noqa: NPY002 - what all share who name no generator


def _use_threads(environment: Mapping[str, str]) -> None:
    """Give linear algebra and OpenMP as many threads as they would take; the template has one."""
    from threadpoolctl import threadpool_limits

    processors = len(os.sched_getaffinity(0))
    openmp = _number(environment.get("OMP_NUM_THREADS")) or processors
    blas = _number(environment.get("OPENBLAS_NUM_THREADS")) or openmp
    if (blas, openmp) != (1, 1):
        threadpool_limits({"blas": blas, "openmp": openmp})


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _giving_back() -> Callable[..., None]:
    """Return what gives memory back that is not needed any more: the kernel of a page stays for as long as its viewer.

    What a chart or a table took is free after its cell, but kept by the allocator: a third of all that a kernel has for
    itself. Arrow's own allocator keeps some more, so the common one is used.
    """
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def tidy(*_: object) -> None:
        gc.collect()
        if trim is not None:
            trim(0)

    return tidy


def _start(environment: Mapping[str, str], modules: list[str], after_cell: Callable[..., None] | None) -> None:
    from ipykernel import ipkernel
    from ipykernel.kernelapp import IPKernelApp

    if "matplotlib" in sys.modules:  # it would look when it is imported
        sys.modules["matplotlib"].rcParams["backend"] = environment.get("MPLBACKEND") or _INLINE
    app = IPKernelApp.instance(
        parent_handle=os.getppid(),  # read from the environment at import, and it is the template
        ignore_cwd=bool(environment.get("PYTHONSAFEPATH")),  # a flag of the interpreter
        **({"log_level": sandbox.QUIET} if after_cell else {}),
    )
    # The kernel notes the modules that it came with, for its debugger. To look at all that are imported would copy the
    # pages of each: a third of the time of a start.
    vars(ipkernel)["sys"] = _Few(modules)
    app.initialize()
    vars(ipkernel)["sys"] = sys
    if "ipywidgets" in sys.modules:  # it would do so when it is imported: else a page must ask for each widget alone
        sys.modules["ipywidgets"].register_comm_target()
    if after_cell is not None and app.shell is not None:
        app.shell.events.register("post_run_cell", after_cell)
    app.start()


class _Few(ModuleType):
    """`sys` with the modules that an ordinary kernel has when it starts."""

    def __init__(self, names: list[str]) -> None:
        super().__init__("sys")
        self.modules = {name: sys.modules[name] for name in names}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)
