"""The report server itself: Voila's application with our routes and no other, and limits on every connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
from collections import Counter
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop, PeriodicCallback
from tornado.iostream import IOStream
from tornado.web import Application, RequestHandler, stream_request_body
from voila.app import Voila

from cxlib.reports import temporary
from cxlib.reports.handlers import routes
from cxlib.reports.handlers_base import Doorman, Nothing, Ours, Site
from cxlib.reports.handlers_explore import furnish
from cxlib.reports.handlers_kernels import ALLOWED, LONGEST
from cxlib.reports.throttle import Allowance
from cxlib.reports.visits import MOMENT

_BODY = 65_536  # bytes: the longest that anybody may send is a token
_HEAD = 16_384
_ADDRESS = 4_096  # characters
_CONNECTIONS, _OF_ONE = 2_000, 400
_LOGINS = 10  # attempts a minute from one address
_STOPPING = 5.0  # seconds that answers under way are given at the end


@stream_request_body
class _TooLarge(Ours):
    """Answers before a body is read."""

    async def prepare(self, **_: Any) -> None:
        self.address = self.client()
        self.set_header("Connection", "close")
        status = 414 if len(self.request.uri or "") > _ADDRESS else 413
        self._why = "too large"
        self.send_error(status)

    def data_received(self, chunk: bytes) -> None:
        """Drop what comes."""


class _NoMethod(Ours):
    """Refuses a method that no handler knows, to whom the door lets in."""

    def initialize(self) -> None:
        """Know the method, so that Tornado lets `prepare` answer."""
        self.SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, self.request.method)

    async def prepare(self, **more: Any) -> None:
        """Refuse it; nothing else is ever called."""
        await super().prepare(**more)
        raise self.refusal(405, "no method of ours")

    def check_xsrf_cookie(self) -> None:
        """Ask for none: nothing is done."""


class _Routed(Application):
    """Routes requests, but for those that are too large or of no known method."""

    def find_handler(self, request: Any, **more: Any) -> Any:
        length = request.headers.get("Content-Length", "0")
        if len(request.uri or "") > _ADDRESS or (length.isascii() and length.isdigit() and int(length) > _BODY):
            return self.get_handler_delegate(request, _TooLarge)
        if request.method not in RequestHandler.SUPPORTED_METHODS:
            return self.get_handler_delegate(request, _NoMethod)
        return super().find_handler(request, **more)


class Listener(HTTPServer):
    """Takes so many connections and no more, and so many from one address."""

    def initialize(self, *args: Any, many: Any = (), **more: Any) -> None:
        """Take the settings; `many` are addresses that stand for many viewers."""
        super().initialize(*args, **more)
        self._many, self._open = many, Counter[str]()

    def handle_stream(self, stream: IOStream, address: tuple[str, Any]) -> None:
        """Serve a connection, or close it."""
        host = str(address[0])
        most = _CONNECTIONS if host in self._many else _OF_ONE
        if self._open.total() >= _CONNECTIONS or self._open[host] >= most:
            stream.close()
            return
        self._open[host] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """Count a connection no more."""
        host = server_conn.context.address[0] if hasattr(server_conn, "context") else ""
        self._open -= Counter([str(host)])
        super().on_close(server_conn)


class Server(Voila):
    """Voila with our routes."""

    site: Site
    listener: Listener

    def init_settings(self) -> dict[str, Any]:
        """Return Voila's settings with ours over them."""
        self.identity_provider_class = Doorman
        furnish(self)
        found: dict[str, Any] = super().init_settings()
        self.kernel_manager.allowed_message_types = list(ALLOWED)
        self.kernel_manager.allow_tracebacks = False
        ours = {
            "cx_site": self.site,
            "cx_allowance": Allowance(self.site.serving.requests_per_minute),
            "cx_logins": Allowance(_LOGINS),
            "allow_remote_access": False,
            "allow_unauthenticated_access": True,  # `Ours` has asked the door before Jupyter asks
            "xsrf_cookie_kwargs": {"samesite": "Strict", "path": self.site.base},
            "default_handler_class": Nothing,
            "websocket_max_message_size": LONGEST,
            "ws_ping_timeout": 30_000,
            "log_function": _silent,
        }
        return {**found, **ours}

    def init_handlers(self) -> list[Any]:
        """Return our routes: of Voila's and Jupyter's own only what these name."""
        found = routes(self)
        for _, handler, *_ in found:
            if not issubclass(handler, Ours):
                raise TypeError(f"{handler.__name__} does not ask the door")
        return found

    def start(self) -> None:
        """Serve until told to stop."""
        logging.getLogger("tornado.general").setLevel(logging.ERROR)  # what clients do wrong is in the audit log
        with temporary.folder() as made:
            self.connection_dir = tempfile.mkdtemp(prefix="voila_", dir=made)
            self.app = _Routed(**self.init_settings())
            self.app.add_handlers(".*$", self.init_handlers())
            self.kernel_manager.within = str(made)
            self.listen()

    def listen(self) -> None:
        """Listen, serve, and stop without breaking off an answer."""
        self.listener = Listener(
            self.app, many=self.site.proxies, max_body_size=_BODY, max_header_size=_HEAD, max_buffer_size=4 * _BODY,
            idle_connection_timeout=30, body_timeout=10,
        )  # fmt: skip
        self.listener.listen(self.port, self.ip)
        if self.open_browser:
            self.launch_browser()
        self.ioloop = IOLoop.current()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.ioloop.add_callback_from_signal(self._stopping))
        telling = PeriodicCallback(self.site.visits.tell, 1000 * MOMENT)
        telling.start()
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            pass
        finally:
            telling.stop()
            self.site.visits.tell(all_of_them=True)
            self.stop()

    async def _stopping(self) -> None:
        """Take no new connection, and let the answers under way end."""
        self.listener.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._answered(), _STOPPING)
        self.ioloop.stop()

    async def _answered(self) -> None:
        """Wait until no answer is under way."""
        while self.site.answering:
            await asyncio.sleep(0.05)


def _silent(_: RequestHandler) -> None:
    """Log no request of Tornado's own: there is the audit log."""
