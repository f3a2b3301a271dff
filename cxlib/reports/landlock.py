"""Landlock: a Linux process gives up, for ever and for all it starts, what it does not need of files and network.

The three system calls have no wrapper in the C library, so they are made by number, the same on every architecture.
What the running kernel cannot enforce yet is left out of the request; `version` says what it can.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # include/uapi/asm-generic/unistd.h
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS
_PATH_BENEATH = 1
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_DEVICES = 1 << 6 | 1 << 11  # to make character and block devices
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_TCP = 0b11  # to bind and to connect
_OUTSIDE = 0b11  # abstract Unix sockets and signals of processes outside
_OF_A_FILE = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL


class _Handled(ctypes.Structure):
    """What the rules are about: all of it is refused but for what a rule allows (`landlock_ruleset_attr`)."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    """What is allowed below a path (`landlock_path_beneath_attr`)."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("path", ctypes.c_int32))


def version() -> int:
    """Return the version of Landlock that this system enforces; 0 for none."""
    if sys.platform != "linux":
        return 0
    found = ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return max(int(found), 0)


def restrict(read: Iterable[Path], write: Iterable[Path], *, ports: bool = False) -> int:
    """Restrict the calling thread and what it starts; call it while there is only one.

    Parameters
    ----------
    read
        Folders and files that may still be read, with all below them; those that do not exist are passed over.
    write
        Folders that may be read and written.
    ports
        Whether TCP ports may still be listened at; connecting to one never is.

    Returns
    -------
    int
        The version of Landlock; 0 where there is none and nothing is restricted. From 1 on files, from 4 on TCP, from
        6 on signals and abstract sockets. Programs cannot be started: no path may be executed.

    Raises
    ------
    OSError
        Where Landlock is there and refuses.
    """
    known = version()
    if not known:
        return 0
    handled = _handled(known, ports=ports)
    size = 8 if known < 4 else 16 if known < 6 else 24
    rules = _call(_CREATE, ctypes.byref(handled), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        for path in read:
            _allow(rules, path, (_READ | _LIST) & handled.files)
        for path in write:
            _allow(rules, path, handled.files & ~(_EXECUTE | _DEVICES | _IOCTL))
        for device in ("null", "zero", "urandom", "random"):
            _allow(rules, Path("/dev", device), (_READ | _WRITE) & handled.files)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no new privileges")
        _call(_RESTRICT, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)
    return known


def _handled(known: int, *, ports: bool) -> _Handled:
    """Return all that this version knows to refuse."""
    bits = next(bits for least, bits in ((5, 16), (3, 15), (2, 14), (1, 13)) if known >= least)
    network = 0 if known < 4 else _TCP & ~1 if ports else _TCP
    return _Handled((1 << bits) - 1, network, _OUTSIDE if known >= 6 else 0)


def _allow(rules: int, path: Path, allowed: int) -> None:
    """Allow something below a path that exists."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = _Beneath(allowed if path.is_dir() else allowed & _OF_A_FILE, descriptor)
        _call(_ADD, ctypes.c_int(rules), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    """Make a system call; `OSError` where it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    found = int(libc.syscall(ctypes.c_long(number), *arguments))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found
