"""Many periods of one pack from one snapshot, as a queue on disk: what a crash interrupts can be gone on with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cxlib import params
from cxlib.errors import UsageError
from cxlib.periods import Period
from cxlib.reports import places
from cxlib.reports.crew import processors
from cxlib.reports.jobs import Progress, RunOutcome, carry_out
from cxlib.reports.runner import at_work, builds, jobs_of

QUEUE = ".backfill.json"
_FORMAT = 1
PATIENCE = 300.0  # seconds to wait for reports that other runs are making


@dataclass(frozen=True)
class Plan:
    """A back-fill: its periods, the snapshot that all of them are made from, and those that are made already.

    `done` is only of use where all are made whether they changed or not (`force`): else what stands tells by itself.
    """

    pack: str
    periods: tuple[str, ...]
    snapshot: str
    parameters: Mapping[str, str]
    force: bool = False
    done: tuple[str, ...] = ()


def planned(
    root: Path, pack: str, first: str, last: str = "last", *, as_of: str = "", parameters: Mapping[str, str],
    force: bool = False,
) -> Plan:  # fmt: skip
    """Return the plan of a range of periods, checked as a whole before anything is made.

    Raises
    ------
    UsageError
        For a range without a beginning, one that runs backwards, and whatever one run would refuse.
    """
    if not first:
        raise UsageError("a back-fill needs its first period", hint="Name it, as in --from 2024-01, or use --resume.")
    begin = Period.parse(first)
    if last != "last":
        labels = [period.label for period in Period.range(begin, Period.parse(last))]
    else:
        (newest,) = builds(root, pack, ["last"], as_of=as_of, parameters=parameters)
        labels = [period.label for period in Period.range(begin, newest.period)]
    made = builds(root, pack, labels, as_of=as_of, parameters=parameters)
    return Plan(pack, tuple(labels), made[0].snapshot["id"], dict(parameters), force)


def resumed(root: Path, pack: str) -> Plan:
    """Return the plan of the back-fill that was interrupted.

    Raises
    ------
    UsageError
        Where there is none, or a newer release wrote it down.
    """
    path = queue_of(root, pack)
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ValueError
        lists: dict[str, Any] = {key: tuple(value) for key, value in content.items() if isinstance(value, list)}
        return Plan(**(content | lists))
    except OSError:
        raise UsageError(
            f"no back-fill of {pack} was interrupted", hint=f"Begin one: cx backfill {pack} --from 2024-01."
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UsageError(
            f"{path} is not readable", hint="Begin anew with --from: what is made already is left alone."
        ) from None


def backfill(
    root: Path, plan: Plan, *, jobs: int | None = None, timeout: float | None = None, cluster: str = "",
    progress: Progress,
) -> Generator[RunOutcome, None, None]:  # fmt: skip
    """Make the reports of a plan and yield what became of each; the plan lies on disk until all is done.

    Parameters
    ----------
    root
        The workspace.
    plan
        From `planned` or `resumed`.
    jobs, timeout, cluster, progress
        As in `runner.run_pack`.

    Raises
    ------
    BusyError
        Where another back-fill of the pack is under way.
    OSError
        Where the disk is full. What is published stands, and `resumed` goes on.
    """
    folder = queue_of(root, plan.pack).parent
    with places.lock(places.Place(folder.parent, plan.pack, "backfill")):
        left = [label for label in plan.periods if label not in plan.done]
        made = builds(root, plan.pack, left, as_of=plan.snapshot, parameters=plan.parameters) if left else []
        done, failed = [*plan.done], False
        _write(folder, plan)
        with at_work(jobs or processors(), timeout, cluster) as hands:
            for outcome in carry_out(jobs_of(made, force=plan.force), hands, progress, patience=PATIENCE):
                failed |= outcome.state == "failed"
                if plan.force and outcome.state == "published":
                    done.append(outcome.period)
                    _write(folder, Plan(**(asdict(plan) | {"done": tuple(done)})))
                yield outcome
        if not failed:
            with contextlib.suppress(OSError):
                (folder / QUEUE).unlink()


def queue_of(root: Path, pack: str) -> Path:
    """Return where the plan of a back-fill lies until it is done."""
    return places.folder_of(root, params.load(root).workspace.reports) / pack / QUEUE


def _write(folder: Path, plan: Plan) -> None:
    """Put the plan in the place of the one before, whole or not at all."""
    draft = folder / f"{QUEUE}.part"
    draft.write_text(json.dumps({"format": _FORMAT, **asdict(plan)}, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / QUEUE)
