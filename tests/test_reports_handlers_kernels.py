"""What passes between a page and its kernel."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, ClassVar

import hypothesis
import hypothesis.strategies as some
import pytest
from attacker import written
from tornado.ioloop import IOLoop

from cxlib.reports import handlers_kernels
from cxlib.reports.handlers_base import Owner
from cxlib.reports.handlers_kernels import ALLOWED, Channel, RefusedError, checked
from cxlib.reports.viewers import Viewer


@pytest.mark.parametrize("packed", [True, False])
def test_what_widgets_say_passes(packed: bool) -> None:
    for kind in ALLOWED:
        content = {"target_name": "jupyter.widget.control", "comm_id": "c", "data": {}}
        assert checked(written(kind, content, packed=packed), packed=packed) == kind


@hypothesis.given(some.binary(max_size=300))
def test_bytes_pass_or_are_refused(sent: bytes) -> None:
    with pytest.raises(RefusedError):
        checked(sent, packed=True)


_JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@hypothesis.given(some.dictionaries(some.sampled_from(["channel", "header", "content", "msg_type"]), _JSON))
def test_any_json_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        checked(json.dumps(sent), packed=False)


def test_a_silent_page_of_a_withdrawn_report_is_left_and_its_kernel_ended() -> None:
    told: list[Any] = []
    owner, ada = Owner("ada", "toy", "2026-10"), Viewer("ada")
    seen = [True, True, False]

    class Silent(Channel):
        ws_connection: Any = object()
        kernel_id, viewer, found = "k", ada, ada
        _sees, _look_at = True, 0.0
        settings: ClassVar[Any] = {"kernel_manager": SimpleNamespace(end="the end")}
        site: Any = SimpleNamespace(owners={"k": owner}, explores=lambda *_: seen.pop(0))

        def __init__(self) -> None:  # none of a request
            pass

        def _enter(self) -> Viewer | None:
            return self.found

        def note(self, what: str, **more: Any) -> None:
            told.append((what, more["reason"]))

        def close(self, code: int | None = None, reason: str | None = None) -> None:
            told.append(code)

    async def watches() -> None:
        silent = Silent()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(IOLoop, "spawn_callback", lambda _, *work: told.append(work))
            silent._watch()
            silent._watch()  # within a second nothing is looked at again
            assert len(seen) == 2
            silent._look_at = 0.0
            silent._watch()
            assert told == []
            silent._look_at = 0.0
            silent._watch()
            assert told == [("connection ended", "not for this viewer any more"), ("the end", "k"), 1008]
            silent.found = None
            silent._watch()
            assert told[3:] == [("connection ended", "signed out"), 1008]  # who signs in again may go on with it

    asyncio.run(watches())


def test_a_page_that_takes_in_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers_kernels, "_UNSENT", 1_000)
    message, closed = written("comm_msg", {"data": "x" * 300}, "iopub"), []

    class Stuck(Channel):
        def __init__(self) -> None:  # none of a request
            self.ws_connection = object()
            self._unsent, self.never = 0, asyncio.get_running_loop().create_future()

        def note(self, what: str, **more: Any) -> None:
            closed.append(more["reason"])

        def close(self, code: int | None = None, reason: str | None = None) -> None:
            closed.append(code)

    async def writes() -> None:
        stuck = Stuck()
        monkeypatch.setattr(handlers_kernels.VoilaKernelWebsocketHandler, "write_message", lambda *_, **__: stuck.never)
        stuck.write_message(message, binary=True)
        assert not closed
        stuck.write_message(message, binary=True)
        assert closed == ["takes in nothing", 1008]
        stuck.never.set_result(None)
        await asyncio.sleep(0)
        assert stuck._unsent == 0
        assert stuck.write_message(written("execute_input", {}, "iopub"), binary=True) is None
        assert stuck._unsent == 0

    asyncio.run(writes())
