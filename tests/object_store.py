"""A store at a URL for tests: moto's S3 server in a process of its own, on this machine alone, and a toy workspace."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from intake_workspace import Toy

from cxlib.data import tables
from cxlib.data.places import location_of
from cxlib.data.remote import Remote
from cxlib.data.store import Store
from cxlib.params.models import Params

BUCKET = "bucket"
# Every call of the room of data that a request follows.
STEPS: tuple[tuple[Any, str], ...] = (
    (Remote, "list"), (Remote, "fetch"), (Remote, "create"), (Remote, "upload"), (Remote, "remove"),
    (tables, "open_delta"), (tables, "_undo"), (tables, "_commit"), (DeltaTable, "restore"),
    (DeltaTable, "create_write_transaction"),
)  # fmt: skip


class Server:
    """A running S3 server; `environment` is what a process needs to speak with it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.environment = {
            "AWS_ENDPOINT_URL": address, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
        }  # fmt: skip

    def ask(self, path: str, method: str = "GET", content: bytes = b"") -> bytes:
        """Ask the server something, without a library."""
        request = urllib.request.Request(f"{self.address}/{path}", method=method, data=content or None)
        request.add_header("Content-Type", "text/plain")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def empty(self) -> None:
        """Forget everything, and make one bucket."""
        self.ask("moto-api/reset", "POST")
        self.ask(BUCKET, "PUT")

    @contextmanager
    def strict(self) -> Iterator[None]:
        """Check keys, of which none is known."""
        self.ask("moto-api/reset-auth", "POST", b"0")
        try:
            yield
        finally:
            self.ask("moto-api/reset-auth", "POST", b"inf")


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Run a server; it writes what it says into `folder`."""
    told = folder / "moto.log"
    with told.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + 60
        while not (found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", told.read_text(encoding="utf-8"))):
            assert process.poll() is None, told.read_text(encoding="utf-8")
            assert time.monotonic() < until, "moto does not start"
            time.sleep(0.05)
        yield Server(found[1])
    finally:
        process.kill()
        process.wait()


class Far(Toy):
    """A toy workspace whose store lies at a URL."""

    def __init__(self, root: Path, url: str = f"s3://{BUCKET}/l'été 2", **more: Any) -> None:
        super().__init__(root, **more)
        self.url = url

    @property
    def store(self) -> Remote:
        """The store."""
        found = location_of(self.root, self.url)
        assert isinstance(found, Remote)
        return found

    @property
    def params(self) -> Params:
        """The parameters that make it a workspace."""
        found = super().params
        return found.model_copy(update={"workspace": found.workspace.model_copy(update={"store": self.url})})

    def open(self, **more: Any) -> Store:
        """Open the store."""
        return Store.open(self.root, self.url, **more)


def at_step(patch: Callable[[Any, str, Any], None], act: Callable[[], None], nth: int) -> list[str]:
    """Do something before the n-th step from now on; return the list of steps, which grows as they are made."""
    made: list[str] = []

    def counting(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*given: Any, **more: Any) -> Any:
            made.append(name)
            if len(made) == nth:
                act()
            return real(*given, **more)

        return step

    for place, name in STEPS:
        patch(place, name, counting(name, getattr(place, name)))
    return made
