"""From coded arrays to Arrow columns in the contract's types."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def ids(prefix: str, numbers: np.ndarray, width: int = 7) -> pa.Array:
    """Return texts such as `C0000012`; null where the number is negative."""
    numbers = np.asarray(numbers, dtype=np.int64)
    digits = pc.utf8_lpad(pa.array(numbers, mask=numbers < 0).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "")


def names(codes: np.ndarray, known: Sequence[str]) -> pa.Array:
    """Return the name of each code; null where the code is negative."""
    codes = np.asarray(codes, dtype=np.int32)
    return pc.take(pa.array(known, pa.string()), pa.array(codes, mask=codes < 0))


def moments(seconds: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    """Return UTC seconds as naive timestamps; null where not known."""
    values = np.asarray(seconds, dtype=np.int64) * 1_000_000
    return pa.array(values, mask=None if known is None else ~known).cast(pa.timestamp("us"))


def days(numbers: np.ndarray) -> pa.Array:
    """Return days since 1970 as dates; null where negative."""
    numbers = np.asarray(numbers, dtype=np.int32)
    return pa.array(numbers, mask=numbers < 0).cast(pa.date32())


def whole(numbers: np.ndarray) -> pa.Array:
    """Return whole numbers; null where negative."""
    numbers = np.asarray(numbers, dtype=np.int64)
    return pa.array(numbers, mask=numbers < 0)


def money(cents: np.ndarray) -> pa.Array:
    """Return whole cents as exact amounts; null where negative."""
    cents = np.asarray(cents, dtype=np.int64)
    return pa.array(cents / 100, mask=cents < 0).cast(pa.decimal128(18, 2))


def flags(values: np.ndarray, known: np.ndarray | None = None) -> pa.Array:
    """Return true and false; null where not known."""
    return pa.array(np.asarray(values, dtype=bool), mask=None if known is None else ~known)


def nothing(n: int) -> pa.Array:
    """Return a text column without values."""
    return pa.nulls(n, pa.string())
