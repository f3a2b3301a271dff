"""The way to a kernel of Explore: for the viewer who started it, and for what widgets need to say.

A browser tells a kernel that a widget was set, and the kernel tells it what to draw. Nothing else passes: no code to
execute, no question about the kernel's names, no other target of a comm, no traceback, no source on its way back.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.connection.base import deserialize_binary_message, deserialize_msg_from_ws_v1
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.web import HTTPError
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from cxlib.reports.handlers_base import Ours
from cxlib.reports.seats import Seats
from cxlib.reports.throttle import Allowance

KERNEL = r"(?P<kernel_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
# What a browser may say to a kernel; none of it carries code.
ALLOWED = ("comm_open", "comm_msg", "comm_close", "comm_info_request", "kernel_info_request")
_CONTROL = "jupyter.widget.control"  # asks for the state of all widgets; no browser needs to make one of its own
# What a kernel may say to a browser; not what it executes, nor where it failed.
_BACK = frozenset({
    "status", "comm_open", "comm_msg", "comm_close", "comm_info_reply", "kernel_info_reply", "display_data",
    "update_display_data", "clear_output",
})  # fmt: skip
LONGEST = 65_536  # bytes of one message from a browser
_UNSENT = 32_000_000  # bytes that may wait for a page to take them in
_A_MINUTE = 600  # messages of one connection
_POLICY_VIOLATED = 1008
_MOMENT, _WATCHES = 1.0, 5.0  # seconds between two looks at who may see a report: of busy pages, and of silent ones
_WITHDRAWN = "not for this viewer any more"


class OfKernel(Ours):
    """What is about one kernel: there for its viewer alone."""

    def own(self, kernel_id: str) -> str:
        """Return the id of a kernel that this viewer started; 404 for any other."""
        owner = self.site.owners.get(kernel_id)
        if owner is None or owner.viewer != self.viewer.name or kernel_id not in self.kernel_manager:
            raise self.refusal(404, "not a kernel of this viewer")
        if not self.site.explores(self.viewer, owner):
            raise self.refusal(404, _WITHDRAWN)
        return kernel_id


class About(OfKernel):
    """Says that a kernel is there, as Voila's page asks before it connects."""

    told = False

    async def get(self, kernel_id: str) -> None:
        """Answer with what is known of it."""
        model = self.kernel_manager.kernel_model(self.own(kernel_id))
        known = {name: model[name] for name in ("id", "name", "execution_state", "connections")}
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(known | {"last_activity": str(model["last_activity"])}))


class Shutdown(OfKernel):
    """Ends a kernel when its page is left."""

    async def post(self, kernel_id: str) -> None:
        """End it."""
        await ensure_async(self.kernel_manager.shutdown_kernel(self.own(kernel_id)))
        self.set_status(204)


class RefusedError(ValueError):
    """A message that does not pass, and why."""


def checked(message: str | bytes, *, packed: bool) -> str:
    """Return the type of a message that may pass.

    Parameters
    ----------
    message
        As it came.
    packed
        Whether the connection speaks the binary protocol of Jupyter.

    Raises
    ------
    RefusedError
        For any other message, malformed ones among them.
    """
    try:
        channel, kind, content = _read(message, packed=packed)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, MemoryError, RecursionError):
        raise RefusedError("malformed") from None
    if channel != "shell" or kind not in ALLOWED:
        raise RefusedError(f"{kind} on {channel}")
    if kind == "comm_open" and content.get("target_name") != _CONTROL:
        raise RefusedError(f"comm_open of {content.get('target_name')}")
    return kind


def _read(message: str | bytes, *, packed: bool) -> tuple[str, str, dict[str, Any]]:
    """Return channel, type and content of a message."""
    if packed:
        if not isinstance(message, bytes) or int.from_bytes(message[:8], "little") > 64:
            raise ValueError(message[:8])
        channel, parts = deserialize_msg_from_ws_v1(message)
        header, content = json.loads(parts[0]), json.loads(parts[3])
    else:
        whole = deserialize_binary_message(message) if isinstance(message, bytes) else json.loads(message)
        channel, header, content = whole["channel"], whole["header"], whole["content"]
    kind = header["msg_type"]
    if not (isinstance(channel, str) and isinstance(kind, str) and isinstance(content, dict)):
        raise TypeError(kind)
    return channel, kind, content


class Channel(OfKernel, VoilaKernelWebsocketHandler):
    """The websocket between a page and its kernel."""

    async def prepare(self, **more: Any) -> Any:
        """Let in a page of this server and the viewer's own kernel, nobody else."""
        self._allowance, self._unsent = Allowance(_A_MINUTE), 0
        self._sees, self._look_at = True, 0.0
        self._watching = PeriodicCallback(self._watch, 1000 * _WATCHES)
        return await super().prepare(**more)

    async def get(self, kernel_id: str) -> None:
        """Open the websocket, or refuse it."""
        self.own(kernel_id)
        if not self.check_origin():
            raise self.refusal(403, "a websocket of another site")
        if self.site.sockets(self.viewer) >= 2 * self.site.serving.kernels_per_viewer:
            raise self.refusal(429, "too many websockets")
        await ensure_async(super().get(kernel_id=kernel_id))

    def check_origin(self, origin: str | None = None) -> bool:
        """Say whether the page that connects is one of ours; only a program says no origin, with a token of its own."""
        found = origin or self.get_origin()
        if found is None:
            return "Authorization" in self.request.headers
        parts = urlsplit(found.lower())
        return parts.netloc == self.request.host.lower() or (parts.hostname or "") in self.site.serving.names

    async def open(self, kernel_id: str) -> None:
        """Connect to the kernel."""
        self.site.connected[self] = self.viewer.name
        self.site.answering.discard(self)
        self.note("connected")
        self._watching.start()
        await super().open(kernel_id=kernel_id)

    def on_message(self, ws_message: str | bytes) -> None:
        """Pass a message on to the kernel, or end the connection."""
        if self.ws_connection is None:  # it has ended, and this was on its way
            return
        try:
            if why := self._ended():
                raise RefusedError(why)
            if len(ws_message) > LONGEST:
                raise RefusedError("too long")
            if self._allowance.wait(""):
                raise RefusedError("too many messages")
            checked(ws_message, packed=bool(self.selected_subprotocol))
        except RefusedError as refused:
            self._cut("message refused", str(refused))
            return
        super().on_message(ws_message)

    def _ended(self) -> str:
        """Say why who opened the connection has it no more: signed out, or the report was withdrawn; '' if neither."""
        try:
            found = self._enter()
        except HTTPError:
            found = None
        if found is None or found.name != self.viewer.name:
            return "signed out"
        owner, now = self.site.owners.get(self.kernel_id), time.monotonic()
        if owner is not None and now >= self._look_at:
            self._look_at, self._sees = now + _MOMENT, self.site.explores(found, owner)
        return "" if self._sees else _WITHDRAWN

    def _watch(self) -> None:
        """End the connection of a page that says nothing, too."""
        if self.ws_connection is not None and (why := self._ended()):
            self._cut("connection ended", why)

    def _cut(self, what: str, why: str) -> None:
        """End the connection, and the kernel with it where its report was withdrawn."""
        self.note(what, reason=why)
        if why == _WITHDRAWN:
            seats: Seats = self.settings["kernel_manager"]
            IOLoop.current().spawn_callback(seats.end, self.kernel_id)
        self.close(_POLICY_VIOLATED, "not allowed")

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Pass a message on to the page, if it is one that a page needs; a page that takes in nothing is left."""
        if self.ws_connection is None or not _may_go_back(message):
            return None
        size = len(message) if isinstance(message, str | bytes) else 0
        if self._unsent + size > _UNSENT:
            self.note("connection left", reason="takes in nothing")
            self.close(_POLICY_VIOLATED, "too slow")
            return None
        self._unsent += size
        sent = super().write_message(message, binary)
        if sent is not None:
            asyncio.ensure_future(sent).add_done_callback(lambda done: self._sent(done, size))
        return sent

    def _sent(self, done: asyncio.Future[None], size: int) -> None:
        self._unsent -= size
        if not done.cancelled():
            done.exception()  # who has left has left

    def on_close(self) -> None:
        """Disconnect from the kernel."""
        self.site.connected.pop(self, None)
        self._watching.stop()
        if getattr(self, "connection", None) is not None:
            super().on_close()


def _may_go_back(message: Any) -> bool:
    """Say whether a message of a kernel may reach a page."""
    try:
        if isinstance(message, bytes):
            _, parts = deserialize_msg_from_ws_v1(message)
            header = json.loads(parts[0])
        else:
            header = (json.loads(message) if isinstance(message, str) else message)["header"]
        return header["msg_type"] in _BACK
    except (ValueError, KeyError, TypeError, IndexError):
        return False
