"""Limits on every connection of the report server, and what its settings are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tornado.web import Application, RequestHandler

from cxlib.reports import server
from cxlib.reports.handlers_base import Nothing
from cxlib.reports.server import Listener, Server
from cxlib.reports.viewers import Addresses


class _Hello(RequestHandler):
    def get(self) -> None:
        self.finish("hello")

    post = get


def served(work: Callable[[int], Awaitable[None]], **settings: Any) -> None:
    """Listen on a free port while `work` is done with it."""

    async def whole() -> None:
        listener = Listener(Application([("/", _Hello)], log_function=lambda _: None), **settings)
        listener.listen(0, "127.0.0.1")
        port = next(iter(listener._sockets.values())).getsockname()[1]
        try:
            await asyncio.wait_for(work(port), 20)
        finally:
            listener.stop()
            await listener.close_all_connections()

    asyncio.run(whole())


async def ended(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""


def test_who_sends_slowly_is_left() -> None:
    async def slow(port: int) -> None:
        for sent in (
            b"",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: ",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert b"hello" not in await ended(reader)
            writer.close()

    served(slow, idle_connection_timeout=0.3, body_timeout=0.3)


def test_connections_of_one_address_and_of_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_OF_ONE", 3)

    async def many(port: int) -> None:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader) == b""
        writer.close()
        for _, one in opened:
            one.close()
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)  # there is room again
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert (await ended(reader)).endswith(b"hello")
        writer.close()

    async def through_a_proxy(port: int) -> None:
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        await asyncio.sleep(0.05)
        for reader, writer in opened:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await ended(reader)).endswith(b"hello")
            writer.close()

    served(many)
    served(through_a_proxy, many=Addresses(["127.0.0.1"]))


def test_no_handler_goes_past_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "routes", lambda _: [("/ours", Nothing), ("/theirs", _Hello)])
    with pytest.raises(TypeError, match="_Hello does not ask the door"):
        Server().init_handlers()
