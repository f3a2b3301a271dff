"""What the kernel of an explored page may do: read the report that it is about, and nothing else worth having.

Two fences, told apart because they do not hold the same. Landlock (`landlock`), where the system has it, is kept by the
kernel of the system against any code, in Python or not. The audit hook is kept by Python against Python code on
every system: it stops what goes through Python's own functions, with words, and is no wall against code that was made
to break out.

                                        Landlock (Linux)            audit hook (everywhere)
read outside the allowed folders        refused (5.13 on)           refused
write outside the own folder            refused (5.13, truncating 6.2)  refused
start a program                         refused                     refused
connect to or listen at TCP             refused (6.7 on)            refused, and UDP and look-ups of names
signals, abstract sockets               refused (6.12 on)           signals refused
load a library by hand (ctypes)         -                           refused
memory, processor, size of files        limits of the system (POSIX), below
"""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from cxlib.reports import landlock

VARIABLE = "CX_SANDBOX"  # in the environment that a kernel starts with: a `Sandbox` as JSON
QUIET = 50  # the level of a kernel's log: at its end it would tell that it may not look for programs to end
_MEMORY = 1 << 30  # bytes of address space beyond what it has when it starts
_FILE = 64 << 20  # bytes of a file
_PROCESSOR = 600  # seconds of processor time
_DESCRIPTORS = 512
# What Python and the libraries read of the system: code, fonts, zones, names of locales and the format of numbers.
_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/share", "/usr/local/lib", "/usr/local/share", "/lib", "/lib64",
    "/etc/fonts", "/etc/localtime", "/etc/timezone", "/etc/ld.so.cache", "/etc/mime.types",
)  # fmt: skip


@dataclass(frozen=True)
class Sandbox:
    """What a kernel keeps: folders to read, folders to write, and whether it is reached through TCP ports."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    ports: bool = False

    def variable(self) -> dict[str, str]:
        """Return it as a variable of the environment."""
        return {VARIABLE: json.dumps(asdict(self))}


def asked(environment: Mapping[str, str]) -> Sandbox | None:
    """Return the sandbox that an environment asks for, None where it asks for none."""
    if VARIABLE not in environment:
        return None
    found = json.loads(environment[VARIABLE])
    return Sandbox(tuple(found["read"]), tuple(found["write"]), bool(found["ports"]))


def enter(sandbox: Sandbox) -> int:
    """Confine this process for good; call it while it has one thread.

    Returns
    -------
    int
        The version of Landlock that holds; 0 where only the audit hook does.
    """
    warnings.filterwarnings("ignore", "Couldn't bind IOPub Pipe")  # for the output of programs, and none is started
    _limit()
    read = (*_python(), *(Path(path) for path in _SYSTEM), *(Path(path) for path in sandbox.read))
    write = tuple(Path(path) for path in sandbox.write)
    held = landlock.restrict(read, write, ports=sandbox.ports)
    sys.addaudithook(_Hook([*read, *write], write, ports=sandbox.ports))
    return held


def _python() -> tuple[Path, ...]:
    """Return where this Python and its packages lie, and this package; not what lies beside it."""
    paths = sysconfig.get_paths()
    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    places: list[str] = [sys.prefix, sys.base_prefix, *(paths[name] for name in kinds)]
    places += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    own = Path(__file__).resolve().parents[1]
    return tuple(dict.fromkeys([*(Path(path) for path in places), own]))


def _limit() -> None:
    """Limit memory, processor time, files and descriptors, where the system can."""
    if os.name != "posix":
        return
    import resource

    wanted = {"RLIMIT_CPU": _PROCESSOR, "RLIMIT_FSIZE": _FILE, "RLIMIT_NOFILE": _DESCRIPTORS, "RLIMIT_CORE": 0}
    statm = Path("/proc/self/statm")
    if statm.exists():
        wanted["RLIMIT_AS"] = int(statm.read_text().split()[0]) * resource.getpagesize() + _MEMORY
    for name, value in wanted.items():
        kind = getattr(resource, name)
        most = resource.getrlimit(kind)[1]
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (least, least))


# Events of Python's audit table: those that are never allowed, and those that change files.
_NEVER = frozenset({
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "os.kill",
    "os.killpg", "pty.spawn", "subprocess.Popen", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getaddrinfo",
    "socket.getnameinfo", "ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "sqlite3.enable_load_extension",
    "webbrowser.open", "urllib.Request", "ftplib.connect", "http.client.connect", "smtplib.connect",
    "winreg.OpenKey", "winreg.ConnectRegistry",
})  # fmt: skip
_CHANGING = frozenset({
    "os.remove", "os.rmdir", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "os.setxattr", "os.removexattr", "shutil.rmtree", "shutil.move", "sqlite3.connect", "tempfile.mkstemp",
    "tempfile.mkdtemp",
})  # fmt: skip
_LISTING = frozenset({"os.listdir", "os.scandir", "os.chdir"})
_SENDING = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Hook:
    """Python's audit hook: it is asked before each of the events, and cannot be taken away again."""

    def __init__(self, read: list[Path], write: tuple[Path, ...], *, ports: bool) -> None:
        self._read = tuple(os.path.realpath(path) for path in read)
        self._write = tuple(os.path.realpath(path) for path in write)
        self._families = {1, *((2, 10, 23, 30) if ports else ())}  # Unix; and IPv4 and IPv6 as systems number them
        self._checks: dict[str, Callable[[tuple[Any, ...]], bool]] = {
            "open": self._opening,
            "socket.__new__": lambda given: int(given[1]) in self._families,
            **dict.fromkeys(_NEVER, lambda _: False),
            **dict.fromkeys(_CHANGING, self._changing),
            **dict.fromkeys(_LISTING, lambda given: self._within(given[0], self._read)),
            **dict.fromkeys(_SENDING, self._sending),
        }

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check is not None and not check(given):
            raise PermissionError(f"not allowed in an explored page: {event}")

    def _opening(self, given: tuple[Any, ...]) -> bool:
        path, _, flags = given
        changing = bool((flags or 0) & _TO_WRITE) and path not in (os.devnull, os.devnull.encode())
        return self._within(path, self._write if changing else (*self._read, "/dev"))

    def _changing(self, given: tuple[Any, ...]) -> bool:
        paths = [one for one in given[:2] if isinstance(one, str | bytes | os.PathLike)]
        return all(self._within(path, self._write) or path == ":memory:" for path in paths)

    def _sending(self, given: tuple[Any, ...]) -> bool:
        """Allow a socket in the own folder, and what is connected already."""
        to = given[1] if len(given) > 1 else None
        return to is None or (isinstance(to, str | bytes) and self._within(to, self._write))

    @staticmethod
    def _within(path: Any, places: tuple[str, ...]) -> bool:
        """Say whether a path leads into one of the places; a descriptor was asked for when it was opened."""
        if isinstance(path, int) or path is None:
            return True
        found = os.path.realpath(os.fsdecode(path))
        return any(found == place or found.startswith(place + os.sep) for place in places)


def main() -> None:
    """Be an ordinary kernel in the sandbox that the environment asks for; for systems that cannot fork one."""
    for name in ("matplotlib.pyplot", "pandas", "pyarrow.parquet"):
        import_module(name)  # libraries that load others by hand do so now
    from ipykernel import kernelapp

    found = asked(os.environ)
    if found is None:
        raise SystemExit(f"{VARIABLE} is not set")
    del os.environ[VARIABLE]
    enter(found)
    kernelapp.launch_new_instance(log_level=QUIET)


if __name__ == "__main__":
    main()
