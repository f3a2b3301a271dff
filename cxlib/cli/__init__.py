"""The command `cx`: parse, call, print. Everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cxlib.cli import erasing, intake, making, serving, terminal, told, tracing, watching
from cxlib.errors import CxError, ParamsError, UsageError

INTERRUPTED = 130
WORKSPACE_HELP = "A folder of the workspace; by default the current one, upward."


class Commands(click.Group):
    """The commands; every ending has its exit code, and what a user can mend no traceback."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; see `click.Command.main`."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        words = list(sys.argv[1:] if args is None else args)
        try:
            super().main(words, prog_name or "cx", complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.exceptions.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except CxError as error:
            click.echo(f"error: {error.message}", err=True)
            if error.hint:
                click.echo(error.hint, err=True)
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, click.exceptions.Abort):
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # the reader of our output has left, as in `cx snapshots | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as error:
            if "--debug" in words:
                raise
            sys.exit(terminal.refused(error) or terminal.unexpected(error, words))
        sys.exit(0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--workspace", "-w", type=click.Path(file_okay=False, path_type=Path), default=None, help=WORKSPACE_HELP)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an unexpected error.")
@click.version_option(package_name="cxlib", prog_name="cx", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, workspace: Path | None) -> None:
    """Customer-experience reports: raw exports in, a published report per period out."""
    context.obj = {"workspace": workspace}


for _command in (
    intake.ingest, intake.new, intake.snapshots, intake.compact, making.run, making.backfill,
    tracing.verify, tracing.diff, erasing.erase, serving.serve, serving.token,
    watching.watch,
):  # fmt: skip
    main.add_command(_command)


def _root() -> Path:
    """Return the workspace that the command is for."""
    return terminal.workspace()


@main.command()
@click.option("--strict", is_flag=True, help="End as with faults where the measurement framework has gaps.")
def check(strict: bool) -> None:
    """Check every file of params/ and list all faults.

    What the measurement framework leaves open is told, too: goals without a KPI, KPIs without source or owner, stages
    of the journey that nobody measures.
    """
    from cxlib import params

    root = _root()
    found = params.load(root)
    counts = {
        "metric": len(found.metrics), "segment": len(found.segments), "source": len(found.sources),
        "report": len(found.reports), "experiment": len(found.experiments), "touchpoint": len(found.touchpoints),
    }  # fmt: skip
    listed = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items())
    click.echo(f"params/ of {found.workspace.company}: no faults ({listed})")
    left_open = params.open_in(root, found)
    for line in told.framework(left_open):
        click.echo(line)
    if strict and any(gap.state == "gap" for gap in left_open):
        sys.exit(ParamsError.exit_code)


@main.command()
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True, help="Size of the company.")
@click.option(
    "--seed", type=int, default=None, help="Seed of the random numbers; the default is the documented company."
)
@click.option("--force", is_flag=True, help="Write the files again even where the same demo stands.")
def demo(customers: int, seed: int | None, force: bool) -> None:
    """Make the demo company and ingest it."""
    from cxlib import params
    from cxlib.data import demo as company
    from cxlib.data.ingest import ingest as take_in

    root, seed = _root(), company.SEED if seed is None else seed
    found = params.load(root)
    folder = root / "data" / "raw" / "demo"
    if not force and _demo_stands(root, found.workspace.store, customers, seed):
        click.echo(f"The demo of {customers:,} customers stands already; --force makes it again.")
        return
    anew = _demo_is_another(root, found.workspace.store, customers, seed)
    with terminal.steps() as say:
        say(f"writing a company of {customers:,} customers")
        company.write(folder, customers=customers, seed=seed)
        report = take_in(root, found, "demo", anew=anew, progress=say)
    intake.show(report)
    if anew:
        click.echo("It takes the place of the demo before it, which older snapshots still hold.")


def _demo_stands(root: Path, store: str, customers: int, seed: int) -> bool:
    """Say whether this very demo is in the store, from the files and the SQL that lie there now."""
    from hashlib import sha256

    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    folder, sql = root / "data" / "raw" / "demo", root / "params" / "sources" / "demo"
    batches = [one.batch for one in Ledger.read(location_of(root, store)) if one.batch.source == "demo"]
    if not batches or _demo_made(folder) != (customers, seed):
        return False
    for name, checksum in batches[-1].files.items():
        path = sql / name.removeprefix("params/") if name.startswith("params/") else folder / name
        if not path.is_file() or sha256(path.read_bytes()).hexdigest() != checksum:
            return False
    return True


def _demo_made(folder: Path) -> tuple[object, object]:
    """Return customers and seed of the demo whose files lie in a folder."""
    import json

    from cxlib.data.demo.files import MANIFEST

    try:
        made = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, None
    return made.get("customers"), made.get("seed")


def _demo_is_another(root: Path, store: str, customers: int, seed: int) -> bool:
    """Say whether the store holds another demo: with both in it, it would be a company of neither size nor truth."""
    from cxlib.data.ledger import Ledger
    from cxlib.data.places import location_of

    sources = {one.batch.source for one in Ledger.read(location_of(root, store))}
    if "demo" not in sources or _demo_made(root / "data" / "raw" / "demo") == (customers, seed):
        return False
    if sources != {"demo"}:
        raise UsageError(
            f"the store holds another demo, beside {', '.join(sorted(sources - {'demo'}))}: two demos cannot be mixed",
            hint="Make this one in a workspace of its own: copy params/ and notebooks/ into an empty folder, go there.",
        )
    return True


@main.command()
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--as-of", default="", help=making.AS_OF_HELP)
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
def lab(no_browser: bool, as_of: str, more: tuple[str, ...]) -> None:
    """Open JupyterLab in the workspace.

    Options after -- go to JupyterLab itself.
    """
    from cxlib.reports.serve import lab as start

    root = _root()
    if as_of:
        os.environ["CX_AS_OF"] = intake.resolved(root, as_of)  # kernels inherit it; `open_run` reads it
    sys.exit(start(root, browser=not no_browser, more=more))
