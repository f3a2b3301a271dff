"""One step of a run as a worker process does it: execute a notebook and write its page, or put a run together.

`python -m cxlib.reports.work FOLDER` reads steps from its standard input and answers on its standard output, pickled,
until the input ends: then its owner is gone, and it leaves at once with its kernel. Both ends are the same program.
What it and its kernels put aside lies in the folder, which goes with it.
"""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
import struct
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from cxlib import periods
from cxlib.reports import withheld
from cxlib.reports.build import Build, Done

_LENGTH = struct.Struct("<Q")
DEAD = ("DeadKernelError", "RuntimeError: Kernel died")  # while it worked, or as it started

# called with the cells done and the cells of the notebook
Say = Callable[[int, int], None]


@dataclass(frozen=True)
class Step:
    """One thing to do for a build: the notebook of that name, or, without one, all that comes after the notebooks."""

    build: Build
    name: str = ""
    kept: str = ""  # the folder of kept sums; '' for none


def carry_out(step: Step, say: Say) -> Any:
    """Do one step; return a `Done` for a notebook, the manifest for the rest."""
    periods.name_months(step.build.params.workspace.locale)
    if step.name:
        return _notebook(step, say)
    before = dict(os.environ)
    from cxlib.reports.assemble import assemble

    # Importing sets variables (scikit-learn does). A kernel that is given them too is another than those before it, and
    # cannot be forked.
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    return assemble(step.build)


def _notebook(step: Step, say: Say) -> Done:
    """Execute a notebook and write its page.

    A kernel that died is given one more chance: the system may have taken its memory for something else.
    """
    from cxlib.reports.execute import execute
    from cxlib.reports.writing import write_page

    build, name = step.build, step.name
    withheld.write(build.folder, withheld.cells(build.withheld))
    seconds = 0.0
    for tries in (1, 2):
        found = execute(
            name, build.notebooks[name], build.resolved[name], build.folder, say, workspace=build.root, kept=step.kept
        )
        seconds += found.seconds
        if not found.error.startswith(DEAD) or tries == 2:
            break
        take_back(build, name)
    done = Done(name, seconds, found.error, tries, len(found.notebook.cells))
    write_page(build, done, found.notebook)
    return done


def take_back(build: Build, name: str) -> None:
    """Remove what a notebook left that did not come to its end: what it froze half would be replayed."""
    shutil.rmtree(build.folder / "inputs" / name, ignore_errors=True)
    left = [build.folder / "results" / f"{name}.parquet"]
    left += [path for where in ("figures", "tables") for path in (build.folder / where).glob(f"{name}-*")]
    for path in left:
        path.unlink(missing_ok=True)


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message; `EOFError` where the other end is gone."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return pickle.loads(content)  # of our own parent or child, through a pipe that nobody else has


def main() -> None:
    """Work until the owner is gone."""
    tempfile.tempdir = sys.argv[1]
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the messages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the owner decides
    signal.signal(signal.SIGTERM, lambda *_: _leave(143))
    steps: queue.Queue[Step] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, steps), daemon=True).start()
    threading.Thread(target=_warm_up, daemon=True).start()
    while True:
        step = steps.get()
        try:
            send(out, ("done", carry_out(step, lambda done, cells: send(out, ("cell", (done, cells))))))
        except Exception as error:
            send(out, ("error", _portable(error)))


def _listen(stream: IO[bytes], steps: queue.Queue[Step]) -> None:
    try:
        while True:
            steps.put(receive(stream))
    except BaseException:  # whatever it is: without an owner there is nothing left to do
        shutil.rmtree(sys.argv[1], ignore_errors=True)  # else the owner does, once no kernel uses it
        _leave(1)


def _leave(code: int) -> None:
    """End now, and the kernel under way with us."""
    if "cxlib.reports.execute" in sys.modules:
        sys.modules["cxlib.reports.execute"].stop_all()
    os._exit(code)


def _warm_up() -> None:
    """Import what pages are made with while the kernel works."""
    from cxlib.reports import page
    from cxlib.reports.execute import libraries

    libraries()
    page.warm_up()


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent: where it cannot be pickled, its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    main()
