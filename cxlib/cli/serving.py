"""`cx serve` and `cx token`: showing the reports, and who may look."""

from __future__ import annotations

from pathlib import Path

import click

from cxlib.cli import terminal


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; others than this machine's own need a door.",
)
@click.option("--port", type=int, default=8866, show_default=True)
@click.option(
    "--tokens",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="Let in who has a token of this file; see cx token.",
)
@click.option(
    "--trust-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Believe a proxy at this address or network: who asks and, without --tokens, who they are. Repeatable.",
)
@click.option("--name", "names", multiple=True, help="A host name that viewers use for this server. Repeatable.")
@click.option("--base", default="/", help="The path below which a proxy passes requests on, as /reports/.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
def serve(
    host: str,
    port: int,
    tokens: Path | None,
    proxies: tuple[str, ...],
    names: tuple[str, ...],
    base: str,
    no_browser: bool,
) -> None:
    """Show the reports in a browser.

    For the person at this machine; where others reach it, for those whom --tokens or --trust-proxy let in. Each page
    is also an app, whose notebook is executed anew. How viewers are treated is in `serving` of params/workspace.yml.
    """
    from cxlib.reports.serve import Doors, based
    from cxlib.reports.serve import serve as start

    doors = Doors(host, port, tokens, proxies, names, based(base))
    start(terminal.workspace(), doors, browser=not no_browser, say=click.echo)


@click.command()
@click.argument("name")
@click.option(
    "--groups", default="", help="Groups of the viewer, with commas between; reports name theirs in `readers`."
)
@click.option(
    "--file",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The file of tokens, made where there is none; it holds no token, only its digest.",
)
def token(name: str, groups: str, path: Path) -> None:
    """Make a token for the viewer NAME and print it, once.

    To take it back, delete its entry in the file; a running server sees it.
    """
    from cxlib.reports import tokens

    click.echo(tokens.make(path, name, [one.strip() for one in groups.split(",") if one.strip()]))
    click.echo(f"The token of {name}: shown here once and kept nowhere. {path} lets it in.", err=True)
