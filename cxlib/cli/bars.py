"""The progress of runs on a terminal: a bar for each notebook under way, and one for all reports with the time left."""

from __future__ import annotations

from threading import Lock
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft


class Bars:
    """Bars that tell of one report, or of many.

    Parameters
    ----------
    reports
        How many will be made. Of several each notebook's bar goes when it is done; of one they stay.
    """

    def __init__(self, reports: int) -> None:
        counted = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
        columns = (TextColumn("{task.description}"), *counted, TimeElapsedColumn(), TimeLeft())
        self._bars = Progress(*columns, console=Console(stderr=True))
        self._reports = reports
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._lock = Lock()
        self._all = self._bars.add_task("all reports", total=reports, unit="reports") if reports > 1 else None

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def tell(self, period: str, name: str, done: int, cells: int, state: str) -> None:
        """Tell one step of a notebook, or without a name what became of a report."""
        with self._lock:
            if not name:
                self._bars.console.print(f"{period}: {state}", markup=False, highlight=False)
                if self._all is not None:
                    self._bars.advance(self._all)
                return
            key = (period, name)
            label = name if self._reports == 1 else f"{period} {name}"
            if key not in self._tasks:
                self._tasks[key] = self._bars.add_task(label, total=cells, unit="cells")
            words = label if state == "running" else f"{label}: {state}"
            self._bars.update(self._tasks[key], completed=done, total=cells, description=words)
            if state != "running" and self._reports > 1:
                self._bars.remove_task(self._tasks.pop(key))
