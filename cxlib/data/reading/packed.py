"""The bytes of a text file, unpacked as they stream by; nothing is ever unpacked as a whole."""

from __future__ import annotations

import fnmatch
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BLOCK = 1 << 20
LARGEST, LARGEST_RATIO = 256 << 20, 200  # what unpacks beyond both of these is no export
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OverflowError)


@dataclass(frozen=True)
class Part:
    """One stream of text: a file, or a member of a zip archive."""

    path: Path
    label: str  # its name relative to the folder, with the member
    member: str = ""

    @property
    def hashed(self) -> bool:
        """Say whether `blocks` reads every byte of the file, so that it can be hashed on the way."""
        return not self.member


def is_packed(path: Path) -> bool:
    """Say whether a file is an archive, by its name."""
    return path.suffix.lower() in (".gz", ".zip")


def parts(path: Path, label: str, member: str) -> list[Part]:
    """Return the streams of text in a file.

    Parameters
    ----------
    path, label
        The file, and its name relative to the folder.
    member
        Which members of a zip archive: a name or a glob; empty for all.

    Raises
    ------
    ValueError
        Where an archive is damaged, lacks the member, or unpacks to more than any export.
    """
    if path.suffix.lower() != ".zip":
        return [Part(path, label)]
    try:
        with zipfile.ZipFile(path) as archive:
            every = [info for info in archive.infolist() if not info.is_dir() and not _of_macos(info.filename)]
    except _BROKEN_ZIP as error:
        raise ValueError(f"it is not a zip archive that can be opened: {error}") from None
    found = [info for info in every if not member or fnmatch.fnmatchcase(info.filename, member)]
    if not found:
        names = ", ".join(sorted(info.filename for info in every)[:5]) or "nothing"
        raise ValueError(f"it has no member {member or 'at all'}; it holds {names}")
    check_size(sum(info.file_size for info in found), path.stat().st_size)
    return [Part(path, f"{label}/{info.filename}", info.filename) for info in found]


def _of_macos(member: str) -> bool:
    """Say whether macOS put a member beside the real ones."""
    return member.startswith("__MACOSX/") or member.rsplit("/", 1)[-1] == ".DS_Store"


def check_size(unpacked: int, packed: int) -> None:
    """Raise ValueError where something packed grows beyond what an export grows to."""
    if unpacked > LARGEST and unpacked > LARGEST_RATIO * packed:
        size = f"{unpacked / 2**20:,.0f} MB, more than {LARGEST_RATIO} times its size"
        raise ValueError(f"it unpacks to {size}: no export does, so unpacking was stopped (a zip bomb?)")


def blocks(part: Part, digest: Any = None) -> Iterator[bytes]:
    """Yield the unpacked bytes of a stream.

    Parameters
    ----------
    part
        What to read.
    digest
        A hash of `hashlib` that takes in the file as it is on disk, on the way; not for members of archives.

    Raises
    ------
    ValueError
        Where an archive is damaged, cut off, or grows beyond what an export grows to.
    """
    if part.member:
        yield from _member(part)
        return
    raw = _raw(part.path, digest)
    yield from _gunzip(raw, part.path.stat().st_size) if part.path.suffix.lower() == ".gz" else raw


def _raw(path: Path, digest: Any) -> Iterator[bytes]:
    """Yield the bytes of a file, and hash them."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if digest is not None:
                digest.update(block)
            yield block


def _member(part: Part) -> Iterator[bytes]:
    """Yield the bytes of a member of a zip archive; zipfile never reads beyond the declared size."""
    try:
        with zipfile.ZipFile(part.path) as archive, archive.open(part.member) as file:
            while block := file.read(BLOCK):
                yield block
    except _BROKEN_ZIP as error:
        why = "a password protects it" if "encrypted" in str(error) else str(error) or "it ends early"
        raise ValueError(f"it cannot be unpacked: {why}") from None


def _gunzip(raw: Iterator[bytes], packed: int) -> Iterator[bytes]:
    """Yield the bytes that a gzip archive packs, of all its members."""
    unzip, unpacked, begun = zlib.decompressobj(31), 0, False
    for rest in raw:
        begun = True
        while True:
            if unzip.eof:
                rest = rest.lstrip(b"\0")  # some tools fill archives up
                if not rest:
                    break
                unzip = zlib.decompressobj(31)
            try:
                out = unzip.decompress(rest, BLOCK)
            except zlib.error:
                raise ValueError("its gzip is damaged" if unpacked else "it is no gzip, but for its name") from None
            unpacked += len(out)
            check_size(unpacked, packed)
            if out:
                yield out
            rest = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
            if not rest and len(out) < BLOCK:  # else more may wait inside
                break
    if begun and not unzip.eof:
        raise ValueError("its gzip ends early: it was cut off")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
