"""A store at a URL: objects that are listed, fetched, put and removed. Nothing renames there, and nobody locks.

What keeps two writers apart is put-if-absent: of two who put an object of one name, one is told that it is there.
Credentials and endpoints come from the environment (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and so on), as obstore and
deltalake read them, both through the library object_store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from cxlib.data import faults
from cxlib.data.cache import Cache
from cxlib.errors import StoreError

_AT_ONCE = 16  # requests under way
_CONNECT, _ANSWER, _CARRY = "3s", "15s", "120s"  # patience for a connection, an answer, and while files are carried
_RETRIES, _RETRYING = 3, 10  # how often a request is tried again, and for how many seconds at most
_PIECE = 1 << 20  # bytes of a download that are held in memory
_PROOF = "snapshots/put-if-absent"
_One = TypeVar("_One")
_users: set[int] = set()  # processes that have spoken to a store; a child that they fork would wait for ever


@dataclass(frozen=True)
class Item:
    """A file or an object: its bytes, when it was written, and a tag that changes with its content, if need be."""

    size: int
    modified: float = 0.0  # seconds since 1970
    tag: str = ""


@dataclass(frozen=True)
class Remote:
    """A store at a URL.

    Parameters
    ----------
    url
        Without a slash at its end.
    desk
        A folder of this machine: whoever writes to the store from this workspace holds its lock.
    """

    url: str
    desk: Path
    _carried: dict[str, Item] = field(default_factory=dict, compare=False, repr=False)  # what was fetched so far

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> str:
        """Return the URL of what lies in the store by that name."""
        return f"{self.url}/{name}"

    @property
    def options(self) -> dict[str, str]:
        """How deltalake is to speak with it."""
        waits = {"connect_timeout": _CONNECT, "timeout": _CARRY}
        return waits | {"max_retries": str(_RETRIES), "retry_timeout": f"{_RETRYING}s"}

    @cached_property
    def cache(self) -> Cache:
        """The copies of its files on this machine."""
        endpoints = (f"{name}={os.environ[name]}" for name in sorted(os.environ) if "ENDPOINT" in name)
        return Cache("\n".join([self.url, *endpoints]))

    def list(self, prefix: str = "") -> dict[str, Item]:
        """Return the objects below a folder, by name."""
        with self.told():
            found = [meta for batch in self._asking.list(prefix or None) for meta in batch]
        return {
            meta["path"]: Item(
                meta["size"],
                meta["last_modified"].timestamp(),
                sha256((meta["e_tag"] or str(meta["last_modified"])).encode()).hexdigest()[:16],
            )
            for meta in found
        }

    def folders(self) -> set[str]:
        """Return the names of the folders that the store has."""
        with self.told():
            prefixes = self._asking.list_with_delimiter()["common_prefixes"]
        return {prefix.rstrip("/").rpartition("/")[2] for prefix in prefixes}

    def fetch(self, wanted: Mapping[str, Item]) -> dict[str, Path]:
        """Bring objects to this machine, all at once, those that are not there yet; return where each lies.

        Raises
        ------
        StoreError
            Where one is missing, or the store or the disk fails.
        """
        self._carried.update(wanted)
        local = {name: f"{name}.{item.tag}" if item.tag else name for name, item in wanted.items()}
        missing = [name for name, item in wanted.items() if not self.cache.holds(local[name], item.size)]

        def get(name: str) -> None:
            content = map(bytes, self._carrying.get(name).stream(min_chunk_size=_PIECE))
            self.cache.keep(local[name], content, wanted[name].size)

        if missing:
            with self.told():
                _all(get, missing)
            self.cache.trim()
        return {name: self.cache.path(place) for name, place in local.items()}

    def fetch_again(self) -> bool:
        """Bring back copies that were removed from this machine since they were fetched; say whether any was."""
        files = {name: item for name, item in self._carried.items() if not item.tag}
        lost = {name: item for name, item in files.items() if not self.cache.holds(name, item.size)}
        self.fetch(lost)
        return bool(lost)

    def create(self, name: str, content: bytes) -> bool:
        """Put an object where none is; say whether it is this one that lies there now.

        A request whose answer was lost is made again, and meets its own object: so contents must be one of a kind.
        """
        with self.told():
            client = self._asking  # first of all, as it says what to install
            from obstore.exceptions import AlreadyExistsError

            try:
                client.put(name, content, mode="create")
            except AlreadyExistsError:
                return bytes(client.get(name).bytes()) == content
        return True

    def upload(self, files: Mapping[str, Path]) -> None:
        """Put local files into the store, and keep them as copies; they are moved."""

        def put(name: str) -> None:
            self._carrying.put(name, files[name], max_concurrency=2)
            self.cache.adopt(name, files[name])

        with self.told():
            _all(put, files)
        self.cache.trim()

    def remove(self, names: Iterable[str]) -> Iterator[str]:
        """Remove objects; yield what went wrong. Those that are not there are no fault."""
        wanted = list(names)
        self.cache.forget(wanted)
        try:
            with self.told():
                self._asking.delete(wanted)
        except StoreError as error:
            yield error.message

    def prove(self) -> None:
        """See that the store can be written to and keeps a second writer out.

        Raises
        ------
        StoreError
            Where it cannot be reached or written to, or where it overwrites an object that must be absent.
        """
        for _ in range(2):  # the first time in the life of a store, nothing is there
            if not self.create(_PROOF, uuid4().bytes):
                return
        raise StoreError(
            f"{self.url} overwrites objects that were to be put where none is: two writers would destroy a ledger",
            hint="Name a store that honours `If-None-Match: *`, as S3, Google Cloud Storage and Azure do.",
        )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say plainly what the store refused."""
        if _users - {os.getpid()}:
            raise StoreError(f"this process was forked from one that had used {self.url}", hint="Please report this.")
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            if not faults.is_of_storage(error):
                raise
            raise faults.explain(self.url, error) from None

    @cached_property
    def _asking(self) -> Any:
        """The client of short questions."""
        return self._client(_ANSWER)

    @cached_property
    def _carrying(self) -> Any:
        """The client that carries files."""
        return self._client(_CARRY)

    def _client(self, patience: str) -> Any:
        """Return a client of this store."""
        try:
            from obstore.store import from_url
        except ModuleNotFoundError:
            raise StoreError(
                f"for a store at {self.url} the package obstore is missing",
                hint='Install it: pip install "cxlib[remote]".',
            ) from None
        _users.add(os.getpid())
        return from_url(self.url, **client_settings(patience))


def client_settings(patience: str = _CARRY) -> dict[str, Any]:
    """Return how a client of obstore is to be made; `patience` is how long it waits for an answer."""
    allowed = {value.lower() for name, value in os.environ.items() if name.endswith("ALLOW_HTTP")}
    return {
        "client_options": {
            "allow_http": bool(allowed & {"true", "1", "yes", "on"}),  # of the environment, obstore forgets it here
            "connect_timeout": _CONNECT,
            "read_timeout": patience,
            "timeout": "1h",
        },
        "retry_config": {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRYING)},
    }


def _all(work: Callable[[str], _One], names: Iterable[str]) -> list[_One]:
    """Do the same for many names at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, names))
