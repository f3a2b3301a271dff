"""Places for kernels: counted when they are asked for, and free again when their kernel is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cxlib.params.serving import Serving
from cxlib.reports import seats as seats_of
from cxlib.reports.seats import FullError, LeftError, Seat, Seats

SERVING = Serving(kernels=3, kernels_per_viewer=2, idle_seconds=500)


class Kernel:
    """A kernel as its manager sees it."""

    def __init__(self, *, alive: bool = True, quiet: float = 0.0) -> None:
        self.alive, self._quiet = alive, quiet

    @property
    def last_activity(self) -> datetime:  # seen from now, however late the test runs
        return datetime.now(UTC) - timedelta(seconds=self._quiet)

    async def is_alive(self) -> bool:
        return self.alive


@pytest.fixture
def found() -> Iterator[Seats]:
    made = Seats()
    made._looking = SimpleNamespace()  # type: ignore[assignment]
    try:
        yield made
    finally:
        made._kernels = {}
        made.context.destroy(linger=0)  # its own, which it would close whenever it is collected


def test_a_viewer_has_so_many_and_all_together_so_many(found: Seats) -> None:
    taken = [found.take("ada", SERVING), found.take("ada", SERVING)]
    with pytest.raises(FullError) as full:
        found.take("ada", SERVING)
    assert full.value.own
    found.take("bob", SERVING)
    with pytest.raises(FullError) as full:
        found.take("cy", SERVING)
    assert not full.value.own
    asyncio.run(found.leave(taken[0]))
    assert found.take("cy", SERVING).viewer == "cy"


def test_without_places_nobody_has_one(found: Seats) -> None:
    with pytest.raises(FullError) as full:
        found.take("ada", Serving(kernels=0))
    assert not full.value.own


@pytest.mark.parametrize(
    ("kernel", "seat", "connected", "over"),
    [
        (Kernel(), {}, 1, False),
        (Kernel(), {"seen": -600.0}, 1, False),  # somebody looks
        (Kernel(), {"seen": -600.0, "waited_for": True}, 0, False),  # its page is being made
        (Kernel(), {"seen": -100.0}, 0, False),  # may come back
        (Kernel(), {"seen": -600.0}, 0, True),
        (Kernel(quiet=1000.0), {}, 1, True),  # looks, and asks for nothing
        (Kernel(), {"taken": -4000.0}, 1, True),  # busy for ever, say
        (Kernel(alive=False), {}, 1, True),
        (None, {}, 0, True),
    ],
)
def test_when_a_kernel_is_over(found: Seats, kernel: Any, seat: dict[str, Any], connected: int, over: bool) -> None:
    now = seats_of.time.monotonic()
    times = {name: now + value for name, value in seat.items() if name != "waited_for"}
    one = Seat("ada", 500, kernel="k", waited_for=seat.get("waited_for", False), **times)
    found._kernels = {"k": kernel} if kernel else {}
    found._kernel_connections = {"k": connected}
    assert asyncio.run(found._is_over(one)) is over


def test_a_page_that_is_left_while_its_kernel_starts_leaves_none(found: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def starts(self: Seats, **_: Any) -> str:
        await found.leave(seat)  # the viewer leaves meanwhile
        assert found.seats == [seat]  # its place is taken until its kernel has ended
        self._kernels["k"] = Kernel()
        return "k"

    async def ends(self: Seats, kernel_id: str, **_: Any) -> None:
        ended.append(kernel_id)
        del self._kernels[kernel_id]

    base = Seats.__mro__[1]
    monkeypatch.setattr(base, "start_kernel", starts)
    monkeypatch.setattr(base, "shutdown_kernel", ends)
    seat = found.take("ada", SERVING)
    with pytest.raises(LeftError, match="left before"):
        asyncio.run(found.start_kernel(seat=seat, path="", env={}))
    assert ended == ["k"]
    assert found.seats == []


def test_a_kernel_is_ended_once_however_many_ask(found: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def ends(self: Seats, kernel_id: str, **_: Any) -> None:
        ended.append(self._kernels.pop(kernel_id))

    monkeypatch.setattr(Seats.__mro__[1], "shutdown_kernel", ends)
    seat, found._kernels = found.take("ada", SERVING), {"k": Kernel()}
    seat.kernel, seat.state = "k", "started"
    for _ in range(2):
        asyncio.run(found.end("k"))
    assert (len(ended), found.seats) == (1, [])


def test_a_kernel_that_does_not_start_frees_its_place(found: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Seats, **_: Any) -> str:
        raise OSError("no kernel")

    monkeypatch.setattr(Seats.__mro__[1], "start_kernel", fails)
    seat = found.take("ada", SERVING)
    with pytest.raises(OSError, match="no kernel"):
        asyncio.run(found.start_kernel(seat=seat, path="", env={}))
    assert found.seats == []
    with pytest.raises(RuntimeError, match="for a seat only"):
        asyncio.run(found.start_kernel(kernel_name="python3"))


def test_the_rest_of_a_page_waits_for_its_panel_but_not_long(found: Seats, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats_of, "_CONNECTS", 0.05)
    monkeypatch.setattr(seats_of, "_ASKS", 0.0)
    seat = found.take("ada", SERVING)
    asyncio.run(found.meet(seat.number))  # nobody connects
    found.seats[0].kernel = "k"
    found.notify_connect("k")
    assert seat.met.is_set()
    asyncio.run(found.meet(seat.number))


@pytest.mark.parametrize("name", ["PATH", "HOME", "LC_ALL", "PYTHONPATH", "OMP_NUM_THREADS", "QUERY_STRING"])
def test_what_a_kernel_is_told_of_its_server(name: str) -> None:
    assert seats_of._ENVIRONMENT.fullmatch(name)


@pytest.mark.parametrize(
    "name",
    ["CX_KERNELS", "CX_WORKSPACE", "CX_KEPT", "DBUS_SESSION_BUS_ADDRESS", "AWS_SECRET_ACCESS_KEY", "HTTP_COOKIE"],
)
def test_what_it_is_not_told(name: str) -> None:
    assert not seats_of._ENVIRONMENT.fullmatch(name)
