"""The template: imports the stack, touches nothing else, and forks a kernel for each request.

It has one thread for as long as it lives and refuses to fork with more. A kernel is a child of the template; it ends
when its owner has gone or let go of it, and all end when the process that started the template has.

A request: `command` as an ordinary kernel is started, `folder` to work in, `environment`, all of it, and `protocol`.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from cxlib.reports import kernels_link
from cxlib.reports.kernels_child import Request, become
from cxlib.reports.kernels_stack import Stack

_REQUEST_TAKES = 5  # seconds; it is sent at once
_END_TAKES = 2  # seconds that killed kernels may take
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


@dataclass(eq=False)
class _Kernel:
    pid: int
    link: socket.socket
    watched: list[int | socket.socket] = field(default_factory=list)  # first what tells of its end


def main(owner: int, listener: int, folder: str) -> None:
    """Be the template of process `owner`; a forked child leaves here to become a kernel."""
    template = Template(owner, socket.socket(fileno=listener), folder)
    template.warm_up()
    request = template.serve()
    if request is None:
        template.end()
    become(request)


class Template:
    """The state of the template process."""

    def __init__(self, owner: int, listener: socket.socket, folder: str) -> None:
        self._owner, self._listener, self._folder = owner, listener, folder
        self._kernels: set[_Kernel] = set()
        self._selector = selectors.PollSelector()
        self._stack = Stack()
        self._failure = ""
        self._stale = False
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    def warm_up(self) -> None:
        """Import the stack."""
        gc.disable()  # all that is made stays
        try:
            self._watch(0, self.end)  # our owner holds the other end; so may others that it forked, hence:
            self._watch(os.pidfd_open(self._owner), self.end)
            for _ in self._stack.import_all():
                for key, _ in self._selector.select(0):
                    key.data()
        except Exception as error:
            self._failure = f"{type(error).__name__}: {error}"
        gc.freeze()  # no collection of garbage writes to these pages: kernels go on sharing them
        self._watch(self._listener, self._accept)

    def serve(self) -> Request | None:
        """Serve until there is nothing left to serve; return the request in a forked child only."""
        while not (self._stale and not self._kernels):
            key, _ = self._selector.select()[0]  # one at a time: what it does may void the others
            request = key.data()
            if request is not None:
                return request
        return None

    def end(self) -> NoReturn:
        """End all kernels, then this process."""
        for kernel in self._kernels:
            _kill(kernel.pid)
        end = time.monotonic() + _END_TAKES
        for kernel in self._kernels:
            while not _reaped(kernel.pid) and time.monotonic() < end:
                time.sleep(0.005)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)

    def _watch(self, what: int | socket.socket, then: Callable[[], Request | None]) -> None:
        self._selector.register(what, selectors.EVENT_READ, then)

    # ------------------------------------------------------------------------------------------------------ requests

    def _accept(self) -> Request | None:
        """Take one request; returns it in the child."""
        try:
            link, _ = self._listener.accept()
        except OSError:  # no descriptors left: the request waits
            time.sleep(0.05)
            return None
        streams: list[int] = []
        try:
            link.settimeout(_REQUEST_TAKES)
            if kernels_link.trusted(link):
                message, streams = kernels_link.receive(link)
                refused = self._refusal(message)
                if not refused:
                    given = message["command"], message["folder"], message["environment"]
                    return self._fork(Request(*given, streams, self._stack), link)
                link.sendall(kernels_link.packed({"refused": refused, "stale": self._stale}))
        except (OSError, ValueError, KeyError, TypeError) as error:
            with contextlib.suppress(OSError):
                link.sendall(kernels_link.packed({"refused": f"{type(error).__name__}: {error}"}))
        for descriptor in streams:
            os.close(descriptor)
        link.close()
        return None

    def _refusal(self, message: dict[str, Any]) -> str:
        """Say why a kernel cannot be forked as asked for; '' where it can."""
        if message["protocol"] != kernels_link.PROTOCOL or self._failure:
            return self._failure or "the template speaks another protocol"
        self._stale = self._stale or self._stack.stale()
        if self._stale:
            return "the code has changed"
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads != 1:
            return f"the template has {threads} threads"
        command, folder = message["command"], message["folder"]
        if command[:3] != [sys.executable, "-m", "ipykernel_launcher"]:
            return f"the template does not know {' '.join(command)}"
        if not Path(folder).is_dir():
            return f"{folder} is no folder"
        return self._stack.differs(folder, message["environment"])

    # ------------------------------------------------------------------------------------------------------- kernels

    def _fork(self, request: Request, link: socket.socket) -> Request | None:
        template = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._leave(template, link)
            return request
        for descriptor in request.streams:
            os.close(descriptor)
        request.streams.clear()
        kernel = _Kernel(pid, link)
        try:
            self._watch_kernel(kernel, os.pidfd_open(pid), self._ended)
        except OSError:  # no descriptors left
            _kill(pid)
            os.waitpid(pid, 0)
            raise
        self._kernels.add(kernel)
        with contextlib.suppress(OSError):  # of another process namespace: then the connection alone tells
            self._watch_kernel(kernel, os.pidfd_open(kernels_link.peer(link)[0]), self._abandoned)
        self._watch_kernel(kernel, link, self._abandoned)
        self._tell(kernel, {"pid": pid})
        return None

    def _watch_kernel(self, kernel: _Kernel, what: int | socket.socket, then: Callable[[_Kernel], None]) -> None:
        kernel.watched.append(what)
        self._watch(what, lambda: then(kernel))

    def _leave(self, template: int, link: socket.socket) -> None:
        """Be no part of the template any more, in a child: close all that is its, die with it."""
        try:
            os.setsid()
            self._prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            for what in [link, *(key.fileobj for key in self._selector.get_map().values() if key.fd)]:
                _close(what)
            self._selector.close()
            if os.getppid() != template:
                os._exit(1)
        except BaseException:
            os._exit(1)  # never two templates

    def _tell(self, kernel: _Kernel, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # the owner is gone: its connection tells
            kernel.link.sendall(kernels_link.packed(message))

    def _ended(self, kernel: _Kernel) -> None:
        """Tell the owner how its kernel ended. The process number stays taken until the owner lets go."""
        self._drop(kernel, kernel.watched[:1])
        found = os.waitid(os.P_PID, kernel.pid, os.WEXITED | os.WNOWAIT)
        if found is not None:
            self._tell(kernel, {"status": found.si_status * (1 if found.si_code == os.CLD_EXITED else -1)})

    def _abandoned(self, kernel: _Kernel) -> None:
        """End a kernel that nobody holds any more."""
        _kill(kernel.pid)
        self._drop(kernel, list(kernel.watched))
        if _reaped(kernel.pid):
            self._kernels.discard(kernel)
        else:
            self._watch_kernel(kernel, os.pidfd_open(kernel.pid), self._abandoned)

    def _drop(self, kernel: _Kernel, dropped: Iterable[int | socket.socket]) -> None:
        """Watch something no longer, and close it."""
        for what in dropped:
            kernel.watched.remove(what)
            self._selector.unregister(what)
            _close(what)


def _close(what: Any) -> None:
    if isinstance(what, socket.socket):
        what.close()
    else:
        os.close(what)


def _kill(pid: int) -> None:
    """End a kernel and what it started; `pid` is a child that is not reaped yet."""
    for end in (os.killpg, os.kill):  # no group yet, right after the fork
        with contextlib.suppress(OSError):
            end(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    """Take the status of a child that has ended; False where it has not."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
