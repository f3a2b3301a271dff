"""Commands timed from outside, with the memory of all their processes, and the board that shows the figures."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 300  # seconds a single command may take before it is stopped


@dataclass(frozen=True)
class Taken:
    """What one run took: seconds, and the largest sum of resident memory of its processes, in MB."""

    seconds: float
    megabytes: float

    def __add__(self, other: Taken) -> Taken:
        """One after the other."""
        return Taken(self.seconds + other.seconds, max(self.megabytes, other.megabytes))


@dataclass
class Board:
    """What the table at the end will show."""

    lines: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def add(self, what: str, times: list[Taken]) -> float:
        """Add one way of doing something; return its median seconds."""
        median = statistics.median(one.seconds for one in times)
        each = " ".join(f"{one.seconds:.1f}" for one in times)
        memory = max(one.megabytes for one in times)
        self.lines.append((what, f"{median:.2f}", each, f"{memory:,.0f}", ""))
        return median

    def say(self, figure: str) -> None:
        """Add a figure to the last line."""
        self.lines[-1] = (*self.lines[-1][:-1], figure)

    def __str__(self) -> str:
        table = [("", "median s", "rounds", "peak MB", ""), *self.lines]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                         for line in table)  # fmt: skip


def cx(*words: str, cwd: Path, longest: float = LONGEST) -> Taken:
    """Time one `cx` command."""
    return python("-m", "cxlib.cli", *words, cwd=cwd, longest=longest)


def python(*words: str, cwd: Path, longest: float = LONGEST, **more: str) -> Taken:
    """Time one Python command from start to exit; a failing one fails the benchmark with its words."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH", ""))))
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        process = psutil.Popen([sys.executable, *words], cwd=cwd, env=env, stdout=said, stderr=subprocess.STDOUT)
        try:
            most = _watch(process, started, longest)
        finally:
            _stop(process)
        taken = Taken(time.perf_counter() - started, most)
        said.seek(0)
        assert process.returncode == 0, f"{' '.join(words)} failed:\n{said.read().decode(errors='replace')}"
    return taken


def _watch(process: psutil.Popen, started: float, longest: float) -> float:
    """Wait for a process; return the most memory that it and its children held at once, in MB."""
    most = 0.0
    while time.perf_counter() - started < longest:
        most = max(most, _resident(process) / 1e6)
        try:
            process.wait(0.2)  # looking at all processes costs some milliseconds: not more often
        except psutil.TimeoutExpired:
            continue
        return most
    raise AssertionError(f"stopped after {longest:g} s")


def _resident(process: psutil.Popen) -> int:
    """Return the resident bytes of a process and its children now."""
    total = 0
    for one in _family(process):
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue  # it has just gone
    return total


def _family(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def peer_python(folder: Path, named: str, packages: Sequence[str]) -> str | None:
    """Return a Python that has a peer's packages, in an environment of its own; None where it cannot be had.

    `named` is the environment variable that may name one.
    """
    if python := os.environ.get(named):
        return python
    home = folder / "peer"
    try:
        venv.create(home, with_pip=True)
        made = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        subprocess.run([made, "-m", "pip", "install", "-q", *packages], check=True, timeout=300, capture_output=True)
    except (OSError, subprocess.SubprocessError) as reason:
        print(f"{packages[0]} could not be installed, so it is not compared: {reason}")
        return None
    return str(made)


def _stop(process: psutil.Popen) -> None:
    """End a process and its children where they are still there."""
    for one in _family(process) if process.poll() is None else []:
        try:
            one.kill()
        except psutil.Error:
            continue
    process.wait()
