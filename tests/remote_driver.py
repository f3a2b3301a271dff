"""What the tests of a store at a URL run in processes of their own: the parent imports all and asks no store anything.

It is called as `python remote_driver.py JOB`, where JOB is JSON, and prints one line of JSON a result.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import obstore.store  # noqa: F401  (so that no child has to)
import pyarrow.compute  # noqa: F401
from crash_driver import fork, in_child, say
from object_store import Far, at_step

from cxlib.data.ledger import Ledger
from cxlib.errors import StoreError


def look(root: Path, url: str) -> dict[str, Any]:
    """Return what a reader sees."""
    toy = Far(root, url)
    ids = [one.id for one in Ledger.read(toy.store)]
    return {"ids": ids, "content": repr(toy.content()) if ids else ""}


def kill_ingest(root: str, url: str, stride: int) -> None:
    """Kill an ingest at its steps, one after the other upon the same store; tell what is seen after each."""
    place = Path(root)
    for nth in range(1, 1_000, stride):

        def die() -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        def work(nth: int = nth) -> None:
            at_step(setattr, die, nth)
            Far(place, url).ingest()

        killed = os.WIFSIGNALED(os.waitpid(fork(work), 0)[1])
        say(killed=killed, **in_child(lambda: look(place, url)))
        if not killed:
            break


def race(root: str, url: str, writers: int) -> None:
    """Let several workspaces ingest at the same time, each until it is in; tell how often each was too late."""

    def work(number: int) -> None:
        toy = Far(Path(root) / str(number), url)
        toy.put("costs", f"source,month,amount\nads {number},2026-01-01,{number}\nads {number},2026-02-01,1\n")
        refused: list[str] = []
        while True:
            try:
                say(made=toy.ingest().snapshot_id, refused=refused)
                return
            except StoreError as error:
                refused.append(error.message)

    pids = [fork(lambda number=number: work(number)) for number in range(writers)]
    assert not any(os.waitpid(pid, 0)[1] for pid in pids)
    say(**in_child(lambda: look(Path(root) / "0", url)))


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    globals()[job.pop("job")](**job)
