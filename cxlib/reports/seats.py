"""The kernels of Explore: never more than the cap, each confined, and each ended soon after its viewer has left.

A seat is taken when a page is asked for, before anything is started, so that requests that come together cannot take
more than there are; it is free again when its kernel has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager, ServerKernelManager
from tornado.ioloop import PeriodicCallback

from cxlib.params.serving import Serving
from cxlib.reports.execute import kernel_name, talk
from cxlib.reports.sandbox import Sandbox

_LOOKS = 2.0  # seconds between two looks at who has left
_CONNECTS, _ASKS = 2.0, 0.4  # seconds that a page may take to connect, and then to ask for its widgets
_LIFE = 3600.0  # seconds after which a kernel ends whatever it does
_QUIET = 900.0  # seconds after which one ends whose viewer looks but asks for nothing
# What the kernel of a page gets of the server's environment, and of the request that Voila tells it about.
_ENVIRONMENT = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|VIRTUAL_ENV|PYTHON\w+|\w+_NUM_THREADS|XDG_\w+_HOME"
    r"|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|APPDATA|LOCALAPPDATA|USERPROFILE"
    r"|QUERY_STRING|SCRIPT_NAME|VOILA_PREHEAT|VOILA_BASE_URL",
    re.IGNORECASE,
)


class FullError(Exception):
    """All seats are taken; `own`: those of this viewer."""

    def __init__(self, *, own: bool) -> None:
        super().__init__("all seats are taken")
        self.own = own


class LeftError(Exception):
    """A viewer has left before there was a kernel."""


@dataclass(eq=False)
class Seat:
    """A place for one kernel.

    Attributes
    ----------
    viewer
        Who has taken it.
    idle
        Seconds that its kernel may go on without anybody.
    read
        Folders of reports that its kernel may read.
    kernel
        The kernel's id; '' before there is one.
    waited_for
        Whether its page is being made: somebody waits, though not yet connected.
    within
        Folder in which its kernel gets one of its own; None: that of the system for what is temporary.
    """

    viewer: str
    idle: float
    read: Sequence[Path] = ()
    kernel: str = ""
    waited_for: bool = True
    within: str | None = None
    folder: str = ""
    freed: Callable[[], object] = bool  # called when the seat is free again
    state: str = "taken"  # then "starting", "started", or "left" by a viewer while it was starting
    number: int = field(default_factory=itertools.count().__next__)
    met: asyncio.Event = field(default_factory=asyncio.Event)  # its page has connected
    taken: float = field(default_factory=time.monotonic)
    seen: float = field(default_factory=time.monotonic)


class Confined(ServerKernelManager):
    """One kernel, in the sandbox that its seat asks for, talked to through a folder that nobody else enters."""

    traceback_replacement_message = ""  # Jupyter's channel looks for it here; ours passes no error on

    async def start_kernel(self, *, seat: Seat, env: Mapping[str, str], **more: Any) -> None:  # type: ignore[override]
        """Start the kernel."""
        self.autorestart = False  # a page whose kernel died is opened again, not left with an empty one
        self.kernel_name = kernel_name()
        seat.folder = tempfile.mkdtemp(prefix="k", dir=seat.within)  # short, as names of sockets have to be
        talked = talk(seat.folder)
        for name, value in talked.items():
            setattr(self, name, value)
        given = {name: value for name, value in env.items() if _ENVIRONMENT.fullmatch(name)}
        given |= dict.fromkeys(("TMPDIR", "TEMP", "TMP", "IPYTHONDIR"), seat.folder)
        sandbox = Sandbox(tuple(map(str, seat.read)), (seat.folder,), ports="transport" not in talked)
        nowhere = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)  # whoever serves is no reader of notebooks
        await super().start_kernel(env={**given, **sandbox.variable()}, **nowhere, **more)


class Seats(AsyncMappingKernelManager):
    """All kernels of a server. Kernels are started for a seat only."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.kernel_manager_class = f"{__name__}.{Confined.__name__}"
        self.buffer_offline_messages = False
        self.allow_tracebacks = False
        self.seats: list[Seat] = []
        self.within: str | None = None
        self._looking: PeriodicCallback | None = None

    def take(self, viewer: str, serving: Serving) -> Seat:
        """Take a seat for a viewer.

        Raises
        ------
        FullError
            Where all are taken, or all that one viewer may have.
        """
        if sum(seat.viewer == viewer for seat in self.seats) >= min(serving.kernels_per_viewer, serving.kernels):
            raise FullError(own=bool(serving.kernels))
        if len(self.seats) >= serving.kernels:
            raise FullError(own=False)
        if self._looking is None:
            self._looking = PeriodicCallback(self.look, 1000 * _LOOKS)
            self._looking.start()
        seat = Seat(viewer, serving.idle_seconds, within=self.within)
        self.seats.append(seat)
        return seat

    def notify_connect(self, kernel_id: str) -> None:
        """Note that a page has connected to its kernel."""
        super().notify_connect(kernel_id)
        for seat in self.seats:
            if seat.kernel == kernel_id:
                seat.met.set()

    async def meet(self, number: int) -> None:
        """Wait until the page of a seat has connected and shows its widgets, but not long."""
        for seat in [seat for seat in self.seats if seat.number == number]:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(seat.met.wait(), _CONNECTS)
                await asyncio.sleep(_ASKS)

    async def start_kernel(self, *, seat: Seat | None = None, **more: Any) -> str:  # type: ignore[override]
        """Start the kernel of a seat, whatever kernel was named; return its id."""
        if seat is None:
            raise RuntimeError("kernels are started for a seat only")
        more.pop("kernel_name", None)
        if seat.state == "taken":
            seat.state = "starting"
        try:
            started: str = await super().start_kernel(seat=seat, kernel_name=kernel_name(), **more)
        except BaseException:
            self._free(seat)
            raise
        seat.kernel, seat.seen = started, time.monotonic()
        if seat.state == "left":
            await self.leave(seat)
            raise LeftError("the page was left before its kernel had started")
        seat.state = "started"
        return started

    async def shutdown_kernel(self, kernel_id: str, **_: Any) -> None:  # type: ignore[override]
        """End a kernel at once, and free its seat."""
        seat = next((seat for seat in self.seats if seat.kernel == kernel_id), None)
        try:
            await super().shutdown_kernel(kernel_id, now=True)
        finally:
            if seat is not None:
                self._free(seat)

    async def leave(self, seat: Seat) -> None:
        """End the kernel of a seat, if it has one, and free it; one that is starting ends when it has started."""
        seat.waited_for = False
        if seat.state == "starting":
            seat.state = "left"
            return
        if seat.kernel and seat.kernel in self:
            with contextlib.suppress(Exception):  # it may end by itself at this moment
                await self.shutdown_kernel(seat.kernel)
        self._free(seat)

    async def end(self, kernel_id: str) -> None:
        """End a kernel and free its seat, if it has not ended yet."""
        for seat in [seat for seat in self.seats if seat.kernel == kernel_id]:
            await self.leave(seat)

    def _free(self, seat: Seat) -> None:
        if seat in self.seats:
            self.seats.remove(seat)
            seat.freed()
        if seat.folder:
            shutil.rmtree(seat.folder, ignore_errors=True)

    async def look(self) -> None:
        """End the kernels that nobody looks at any more, that live too long, or that have died."""
        over = [seat for seat in self.seats if seat.kernel and await self._is_over(seat)]
        await asyncio.gather(*(self.leave(seat) for seat in over))

    async def _is_over(self, seat: Seat) -> bool:
        now, kernel = time.monotonic(), self._kernels.get(seat.kernel)
        if kernel is None or now - seat.taken > _LIFE or not await kernel.is_alive():
            return True
        if seat.waited_for or self._kernel_connections.get(seat.kernel, 0) > 0:
            seat.seen = now
            return bool((datetime.now(UTC) - kernel.last_activity).total_seconds() > _QUIET)
        return now - seat.seen > seat.idle


class Visit:
    """The kernel manager as Voila's handler sees it on one visit: what it starts sits on the seat that was taken."""

    notebook_data: Mapping[str, Any] = {}  # of Voila's preheated kernels

    def __init__(self, seats: Seats, seat: Seat, owners: Any, owner: Any) -> None:
        self._seats, self._seat, self._owners, self._owner = seats, seat, owners, owner

    def get_pool_size(self, _: str) -> int:
        """Return how many preheated kernels there are."""
        return 0

    async def start_kernel(self, *, path: str, env: Mapping[str, str], **_: Any) -> str:
        """Start the kernel of this visit."""
        started = await self._seats.start_kernel(seat=self._seat, path=path, env=env)
        self._owners[started] = self._owner
        self._seat.freed = lambda: self._owners.pop(started, None)
        return started

    def get_kernel(self, kernel_id: str) -> Any:
        """Return the manager of a kernel."""
        return self._seats.get_kernel(kernel_id)
