"""What passes between a page and its kernel."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import hypothesis
import hypothesis.strategies as some
import pytest
from attacker import written

from cxlib.reports import handlers_kernels
from cxlib.reports.handlers_kernels import ALLOWED, Channel, RefusedError, checked


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
