"""The commands that question what was published: `cx verify` makes it again, `cx diff` says why it would be another."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from cxlib.cli import terminal, told
from cxlib.cli.making import JOBS_HELP, TIMEOUT
from cxlib.errors import DifferenceError

_LINES = 30  # that `cx diff` prints


@click.command()
@click.argument("pack")
@click.argument("names", nargs=-1, metavar="[PERIOD]...")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help=JOBS_HELP)
@TIMEOUT
def verify(pack: str, names: tuple[str, ...], jobs: int | None, timeout: float) -> None:
    """Make published reports of PACK once more, each in its own snapshot, and compare every digit.

    Without a PERIOD all that stand. Nothing that is published is touched.
    """
    root = terminal.workspace()
    from cxlib.reports.rebuilding import published
    from cxlib.reports.verifying import verify as verified

    wrong = []
    with (
        terminal.ended_by_sigterm(),
        terminal.progress(len(published(root, pack, names))) as progress,
        closing(verified(root, pack, names, jobs=jobs, timeout=timeout * 60, progress=progress)) as reports,
    ):
        for found in reports:
            equal = f"{found.numbers:,} numbers and {found.figures} figures equal"
            click.echo(f"{pack} {found.period}: {'; '.join(found.differences) if found.differences else equal}")
            if found.since:
                click.echo(f"  since then changed: {', '.join(found.since)}")
            wrong += [found.period] * bool(found.differences)
    if wrong:
        raise DifferenceError(
            f"not equal: {', '.join(f'{pack} {period}' for period in wrong)}",
            hint=f"cx diff {pack} {wrong[0]} splits each change into code, definitions and late data.",
        )


@click.command()
@click.argument("pack")
@click.argument("period")
@click.option(
    "--as-of",
    default="then/now",
    show_default=True,
    help="From the report as published (then) to the newest data (now), to its own (then), or to a snapshot.",
)
@click.option("--all", "everything", is_flag=True, help="Print every number that changed, not the largest changes.")
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), default=None, help="Write all of it to a CSV file."
)
@click.option("--jobs", type=click.IntRange(min=1), default=None, help=JOBS_HELP)
@TIMEOUT
def diff(
    pack: str, period: str, as_of: str, everything: bool, output: Path | None, jobs: int | None, timeout: float
) -> None:  # fmt: skip
    """Split what changed in each number of a published report into code, definitions and late data.

    The parts add up to the change.
    """
    root = terminal.workspace()
    from cxlib import params
    from cxlib.reports import restating, spreadsheets

    with terminal.ended_by_sigterm(), terminal.progress(2) as progress:
        found = restating.restate(root, pack, period, as_of, jobs=jobs, timeout=timeout * 60, progress=progress)
    if output is not None:
        output.write_bytes(spreadsheets.frame_csv(found.frame))
    count = f"{len(found.frame):,} of {found.compared:,} numbers"
    if found.frame.empty:
        click.echo(f"{pack} {period}: none of {found.compared:,} numbers would be another.")
        return
    for step, cause in found.causes.items():
        click.echo(f"{step}: {cause} changed")
    titles = {name: metric.title for name, metric in params.load(root).metrics.items()}
    shown = found.frame if everything else found.frame.head(_LINES)
    head = ("number", "then", "now", "change", *restating.STEPS)
    click.echo("\n".join(told.grid(head, restating.lines(shown, titles))))
    more = "" if len(shown) == len(found.frame) else f"; the {len(shown)} largest changes stand above (--all for all)"
    click.echo(f"{pack} {period}: {count} would be another{more}.")
