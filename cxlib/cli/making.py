"""The commands that make reports: `cx run` one, `cx backfill` many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxlib.cli import terminal
from cxlib.errors import BusyError, UsageError

if TYPE_CHECKING:
    from cxlib.reports.jobs import RunOutcome

AS_OF_HELP = "A snapshot: its id, the beginning of it, or a day as 2026-10-31; by default the newest."
JOBS_HELP = "How many notebooks at once; by default as many as there are processors."

TIMEOUT = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    show_default=True,
    metavar="MINUTES",
    help="How long one notebook may take.",
)


def _making(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that makes reports."""
    options = (
        click.option("--force", is_flag=True, help="Make it even where nothing has changed; what stood is kept aside."),
        click.option("--as-of", default="", help=AS_OF_HELP),
        click.option(
            "--parameter", "-p", "given", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the notebooks."
        ),
        click.option("--jobs", type=click.IntRange(min=1), default=None, help=JOBS_HELP),
        TIMEOUT,
        click.option("--cluster", default="", metavar="ADDRESS", help="A Dask scheduler, as tcp://10.0.0.1:8786."),
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.argument("pack")
@click.option(
    "--period", default="last", show_default=True, help="2026-10, 2026-Q3, 2026-W40, or last: the last complete one."
)
@click.option("--experiment", default="", metavar="ID", help="For design and readout: of which experiment.")
@_making
def run(
    pack: str, period: str, experiment: str, force: bool, as_of: str, given: tuple[str, ...], jobs: int | None,
    timeout: float, cluster: str,
) -> None:  # fmt: skip
    """Make the report of PACK for a period, or of an experiment.

    A report that stands and of which nothing has changed is left alone.
    """
    values = _pairs(given)
    root = terminal.workspace()
    from cxlib.reports.runner import run_pack

    with terminal.ended_by_sigterm(), terminal.progress() as progress:
        outcome = run_pack(
            root, pack, period, experiment=experiment, force=force, as_of=as_of, parameters=values, jobs=jobs,
            timeout=timeout * 60, cluster=cluster, progress=progress,
        )  # fmt: skip
    _print_outcome(outcome)


@click.command()
@click.argument("pack")
@click.option("--from", "first", default="", metavar="PERIOD", help="The first period, as 2024-01.")
@click.option("--to", "last", default="last", show_default=True, metavar="PERIOD", help="The last period.")
@click.option("--resume", is_flag=True, help="Go on with the back-fill that was interrupted, from the same snapshot.")
@_making
def backfill(
    pack: str, first: str, last: str, resume: bool, force: bool, as_of: str, given: tuple[str, ...], jobs: int | None,
    timeout: float, cluster: str,
) -> None:  # fmt: skip
    """Make the reports of PACK for all periods of a range, those left alone of which nothing has changed.

    One that fails stops no other.
    """
    values = _pairs(given)
    root = terminal.workspace()
    from cxlib.reports import backfilling

    plan = backfilling.resumed(root, pack) if resume else None
    if plan is not None and (first or as_of or values or force or last != "last"):
        raise UsageError("--resume goes on with what was asked then: leave the range, snapshot and parameters out")
    if plan is None:
        plan = backfilling.planned(root, pack, first, last, as_of=as_of, parameters=values, force=force)
    failed: list[RunOutcome] = []
    last_made: RunOutcome | None = None
    counts = dict.fromkeys(("published", "kept", "failed"), 0)
    with terminal.ended_by_sigterm(), _goes_on(root, pack), terminal.progress(len(plan.periods)) as progress:
        made = backfilling.backfill(root, plan, jobs=jobs, timeout=timeout * 60, cluster=cluster, progress=progress)
        with closing(made):
            for outcome in made:
                counts[outcome.state] += 1
                failed += [outcome] * (outcome.state == "failed")
                last_made = outcome if outcome.state == "published" else last_made
                progress(outcome.period, "", 0, 0, _words(outcome))
    kept = f", {counts['kept']} stood already with nothing changed" if counts["kept"] else ""
    click.echo(
        f"{pack} {plan.periods[0]} to {plan.periods[-1]}: {counts['published']} made{kept}, {len(failed)} failed."
    )
    if last_made is not None:
        _say_no_pdf(last_made)  # once for all: they were made on one machine
    _fail(failed)


@contextmanager
def _goes_on(root: Path, pack: str) -> Iterator[None]:
    """Say how to go on where something ends a back-fill before its end."""
    from cxlib.reports.backfilling import queue_of

    try:
        yield
    except BaseException as error:
        if not isinstance(error, BusyError) and queue_of(root, pack).exists():
            click.echo(f"The back-fill is not done. cx backfill {pack} --resume goes on with it.", err=True)
        raise


def _words(outcome: RunOutcome) -> str:
    """Say what became of one period of a back-fill, in a line."""
    if outcome.state == "kept":
        return "stands already"
    if outcome.state == "failed":
        return f"failed: {getattr(outcome.error, 'message', outcome.error)}"
    again = f", made again: {outcome.reason}" if outcome.reason else ""
    return f"made{again}"


def _fail(failed: Sequence[RunOutcome]) -> None:
    """End with the gravest error of several reports, all of them told."""
    if not failed:
        return
    codes = [getattr(outcome.error, "exit_code", terminal.UNEXPECTED) for outcome in failed]
    graver = [code for code in codes if code != BusyError.exit_code]
    for outcome in failed:
        hint = getattr(outcome.error, "hint", "")
        click.echo(f"error: {outcome.period}: {getattr(outcome.error, 'message', outcome.error)}", err=True)
        if hint:
            click.echo(hint, err=True)
    raise SystemExit(max(graver or codes))


def _pairs(given: Sequence[str]) -> dict[str, str]:
    """Read `name=value` options; a repeated name is an error, not a guess."""
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"-p {text} is not name=value")
        if name in values:
            raise UsageError(f"-p {name} is given twice")
        values[name] = value
    return values


def _say_no_pdf(outcome: RunOutcome) -> None:
    """Say why a report that asks for a PDF has none."""
    why = outcome.manifest.get("pdf", {}).get("why", "")
    if why:
        click.echo(f"{why[:1].upper()}{why[1:]}.", err=True)


def _print_outcome(outcome: RunOutcome) -> None:
    """Say what stands and what to open."""
    where = terminal.relative(outcome.folder / "index.html")
    if outcome.state == "kept":
        click.echo(f"{outcome.pack} {outcome.period} stands already, {outcome.reason}. --force makes it again.")
    else:
        seconds = outcome.manifest["seconds"]["total"]
        snapshot = outcome.manifest["snapshot"]["id"]
        again = f" because {outcome.reason}" if outcome.reason else ""
        click.echo(f"{outcome.pack} {outcome.period} made from snapshot {snapshot} in {seconds:.1f} s{again}.")
    _say_no_pdf(outcome)
    if outcome.superseded:
        click.echo(f"The report before it is kept in {terminal.relative(outcome.superseded)}/.")
    click.echo(f"Open {where}, or run cx serve.")
