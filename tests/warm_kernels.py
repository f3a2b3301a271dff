"""What tests of warm kernels share: a kernel to talk to, and what can be seen of processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

from cxlib.reports import kernels

ROOT = Path(__file__).resolve().parent.parent
QUIET = ["--log-level=50"]


class Talk:
    """A kernel that runs cells and gives back what they print."""

    def __init__(self, name: str, cwd: Path, **options: Any) -> None:
        self.manager = KernelManager(kernel_name=name)
        try:
            self.manager.start_kernel(cwd=str(cwd), stderr=subprocess.DEVNULL, extra_arguments=QUIET, **options)
            self.connect()
        except BaseException:
            self.end()
            raise

    def connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        return self.manager.provisioner.pid

    @property
    def warm(self) -> bool:
        return parent(self.pid) not in (os.getpid(), 0)

    def run(self, code: str) -> str:
        """Run a cell; return what it prints, or raise its error."""
        return "".join(message["text"] for _, message in self.messages(code) if message.get("name") == "stdout")

    def messages(self, code: str) -> list[tuple[str, dict]]:
        found: list[tuple[str, dict]] = []
        reply = self.client.execute_interactive(
            code, output_hook=lambda message: found.append((message["msg_type"], message["content"])), timeout=60
        )
        if reply["content"]["status"] == "error":
            raise RuntimeError(f"{reply['content']['ename']}: {reply['content']['evalue']}")
        return found

    def close(self) -> None:
        self.end()
        close_loop()

    def end(self) -> None:
        if hasattr(self, "client"):
            self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


def close_loop() -> None:
    """Close the event loop that Jupyter opens for a thread, and leaves open."""
    ensure_event_loop().close()


@contextlib.contextmanager
def own_code(folder: Path) -> Iterator[Path]:
    """Have templates and kernels import a copy of our code: nobody changes it while the tests run."""
    shutil.copytree(ROOT / "cxlib", folder / "cxlib")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_PACKAGE", folder)
        patch.setattr(kernels, "_current", None)  # that of earlier tests of this process has other code
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("JUPYTER_PATH", str(kernels.FOLDER))
        patch.delenv(kernels.VARIABLE, raising=False)
        yield folder


@contextlib.contextmanager
def talk(name: str, cwd: Path, **options: Any) -> Iterator[Talk]:
    kernel = Talk(name, cwd, **options)
    try:
        yield kernel
    finally:
        kernel.close()


def environment(**more: str) -> dict[str, str]:
    """This process's environment with other values; None leaves a name out."""
    found = {**os.environ, "JUPYTER_PATH": str(kernels.FOLDER), **more}
    return {name: value for name, value in found.items() if value is not None}


def status(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; none where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def parent(pid: int) -> int:
    return int(status(pid)[1]) if status(pid) else 0


def lives(pid: int) -> bool:
    return bool(status(pid)) and status(pid)[0] not in "ZX"


def children(pid: int) -> list[int]:
    """The children of a process that nobody has taken yet, the dead among them."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [int(child) for child in found]


def open_files(pid: int | str = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def eventually(holds: Callable[[], Any], seconds: float = 10) -> bool:
    """Whether something comes true in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
