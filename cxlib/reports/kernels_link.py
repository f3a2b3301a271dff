"""How the owners of kernels and the template talk: over a private Unix socket, one connection for each kernel.

A message is a length and JSON. The owner asks once, with the standard streams of the kernel; the template answers with
the kernel's process or why there is none, and tells later how it ended. Whoever is gone closes the connection.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import select
import signal
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROTOCOL = 1  # raise it when messages change
_NAME = "socket"
_LENGTH = struct.Struct("<I")
_PEER = struct.Struct("3i")
_WAITING = 512  # requests that may queue while the template imports


class RefusedError(Exception):
    """The template gives no kernel for this request. `stale`: the template's code is no longer that on disk."""

    def __init__(self, reason: str, *, stale: bool = False) -> None:
        super().__init__(reason)
        self.stale = stale


@contextmanager
def _short(folder: str | Path) -> Iterator[str]:
    """Yield a path to the socket that is short enough for an address, wherever the folder lies."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{_NAME}"
    finally:
        os.close(descriptor)


def listen(folder: str) -> tuple[socket.socket, str]:
    """Return a socket that takes requests, in a folder that only its owner may enter, and its address."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as path:
            listener.bind(path)
        listener.listen(_WAITING)
    except OSError:
        listener.close()
        raise
    return listener, str(Path(folder, _NAME))


def connect(address: str) -> socket.socket:
    """Connect to a template.

    Raises
    ------
    OSError
        Where nobody listens there, or somebody else might.
    """
    folder = Path(address).parent
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.setblocking(False)
    try:
        found = folder.stat()
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(f"{folder} is not private")
        with _short(folder) as path:
            link.connect(path)
        if not trusted(link):
            raise PermissionError(f"{address} belongs to somebody else")
    except OSError:
        link.close()
        raise
    return link


def peer(link: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end."""
    process, user, _ = _PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return process, user


def trusted(link: socket.socket) -> bool:
    """Say whether the other end is ours."""
    return peer(link)[1] == os.getuid()


def packed(message: Any) -> bytes:
    """Return a message as it is sent."""
    content = json.dumps(message).encode("ascii")
    return _LENGTH.pack(len(content)) + content


def receive(link: socket.socket) -> tuple[Any, list[int]]:
    """Return a request and the descriptors that came with it; closes them where the request is broken."""
    descriptors = array.array("i")
    try:
        head, ancillary, _, _ = link.recvmsg(_LENGTH.size, socket.CMSG_SPACE(3 * descriptors.itemsize))
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        if len(head) < _LENGTH.size or len(descriptors) != 3:
            raise ValueError("no request")
        request = bytearray()
        while missing := _LENGTH.unpack(head)[0] - len(request):
            part = link.recv(missing)
            if not part:
                raise ValueError("half a request")
            request += part
        return json.loads(request), list(descriptors)
    except (OSError, ValueError):
        for descriptor in descriptors:
            os.close(descriptor)
        raise


async def ask(address: str, request: dict[str, Any], streams: Sequence[int], timeout: float) -> Forked:
    """Ask a template for a kernel.

    Parameters
    ----------
    address
        Of the template.
    request
        See `kernels_template`.
    streams
        Descriptors of the kernel's standard input, output and error.
    timeout
        Seconds until an answer; a template that still imports takes some.

    Returns
    -------
    Forked
        The kernel's process.

    Raises
    ------
    RefusedError
        Where the template gives none.
    OSError
        Where the template is gone or does not answer in time (`TimeoutError`).
    """
    link = connect(address)
    try:
        loop = asyncio.get_running_loop()
        message = packed({"protocol": PROTOCOL, **request})
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
        sent = link.sendmsg([message], rights)
        if sent < len(message):
            await loop.sock_sendall(link, message[sent:])
        answer = json.loads(await asyncio.wait_for(_answer(loop, link), timeout))
        if "pid" not in answer:
            raise RefusedError(answer.get("refused", "no reason"), stale=answer.get("stale", False))
        return Forked(link, answer["pid"])
    except BaseException:
        link.close()
        raise


async def _answer(loop: asyncio.AbstractEventLoop, link: socket.socket) -> bytes:
    """Read one message and nothing of the next."""
    (length,) = _LENGTH.unpack(await _exactly(loop, link, _LENGTH.size))
    return await _exactly(loop, link, length)


async def _exactly(loop: asyncio.AbstractEventLoop, link: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        part = await loop.sock_recv(link, length - len(content))
        if not part:
            raise ConnectionResetError("the template has ended")
        content += part
    return content


class Forked:
    """A forked kernel as its owner sees it; like `subprocess.Popen`, though its parent is the template.

    Until `release` its process number is its own, even after its end: a signal never reaches another.

    Attributes
    ----------
    pid
        Its process, and the group of it and of what it starts.
    returncode
        None while it runs; minus the signal that ended it.
    """

    stdin = stdout = stderr = None

    def __init__(self, link: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._link = link
        self._heard = b""
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        with self._lock:
            while self.returncode is None:
                try:
                    part = self._link.recv(4096, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    break
                except OSError:
                    part = b""
                self._heard += part
                self.returncode = self._status(gone=not part)
            return self.returncode

    def _status(self, *, gone: bool) -> int | None:
        """Return the status that was told; that of a killed process where the template is gone, and so its kernels."""
        if len(self._heard) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._heard)
            content = self._heard[_LENGTH.size :]
            if len(content) >= length:
                return int(json.loads(content[:length])["status"])
        return -signal.SIGKILL if gone else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, then let go of it.

        Raises
        ------
        TimeoutError
            Where it still runs after `timeout` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        told = select.poll()
        told.register(self._link, select.POLLIN)
        while (code := self.poll()) is None:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(f"kernel {self.pid} still runs after {timeout} s")
            told.poll(None if left is None else left * 1000)
        self.release()
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process, where it runs."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def release(self) -> None:
        """Let go of it: where it still runs, the template ends it, with what it started."""
        if self.poll() is None:
            self.returncode = -signal.SIGKILL
        self._link.close()
