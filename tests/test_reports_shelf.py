"""Pages that many viewers share."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from pathlib import Path

import pytest

from cxlib.reports.shelf import Shelf


def test_a_page_is_made_once_however_many_ask() -> None:
    made: list[int] = []
    going = threading.Event()

    def make() -> bytes:
        going.wait(5)
        made.append(1)
        return b"content " * 1000

    async def many() -> None:
        shelf = Shelf()
        asking = [asyncio.ensure_future(shelf.page(("a", 1), make)) for _ in range(50)]
        await asyncio.sleep(0.01)
        going.set()
        found = await asyncio.gather(*asking)
        assert len({id(one) for one in found}) == 1
        assert gzip.decompress(found[0].packed) == found[0].plain == b"content " * 1000
        again = await shelf.page(("a", 2), make)  # another time of the file
        assert again.etag == found[0].etag
        assert made == [1, 1]

    asyncio.run(many())


def test_what_fails_or_is_left_is_not_kept() -> None:
    async def fails() -> None:
        shelf = Shelf()

        def missing() -> bytes:
            raise FileNotFoundError

        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                await shelf.page(("a",), missing)
        left = asyncio.ensure_future(shelf.page(("b",), lambda: b"b"))
        await asyncio.sleep(0)
        left.cancel()
        assert (await shelf.page(("b",), lambda: b"other")).plain == b"b"  # who left took nothing from the others

    asyncio.run(fails())


def test_the_room_is_bounded() -> None:
    async def fills() -> None:
        shelf = Shelf(room=20_000)
        for number in range(10):
            await shelf.page((number,), lambda: b"x" * 5_000)
        assert shelf._used <= 20_000
        assert shelf._used == sum(one.size for one in shelf._pages.values())
        assert (9,) in shelf._pages
        assert (0,) not in shelf._pages
        huge = await shelf.page(("huge",), lambda: b"x" * 50_000)
        assert len(huge.plain) == 50_000
        assert ("huge",) not in shelf._pages

    asyncio.run(fills())


def test_a_manifest_is_read_anew_when_it_is_another(tmp_path: Path) -> None:
    folder, shelf = tmp_path / "toy" / "2026-10", Shelf()
    assert shelf.manifest(folder) is None
    folder.mkdir(parents=True)
    for text, expected in (('{"a": 1}', {"a": 1}), ("[1]", None), ("{", None), ('{"a": 22}', {"a": 22})):
        path = folder / "run.json.part"
        path.write_text(text, encoding="utf-8")
        path.replace(folder / "run.json")
        assert shelf.manifest(folder) == expected
    assert shelf.manifest(folder) is shelf.manifest(folder)
    assert json.loads((folder / "run.json").read_text(encoding="utf-8")) == {"a": 22}
