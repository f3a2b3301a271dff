"""Serve the reports: the published pages as they are, and each notebook as a Voila app beside its page.

One server, Voila's own, with our routes and no other. Alone it is for the person at this machine; where others reach
it, a door says who they are: tokens, a proxy that has asked, or a JupyterHub.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cxlib import params as parameters_of
from cxlib.errors import CxError, UsageError
from cxlib.params.models import Report
from cxlib.params.serving import Serving
from cxlib.reports import hub, places, remote
from cxlib.reports.build import KEPT
from cxlib.reports.execute import kernel_environment
from cxlib.reports.tokens import TokenDoor
from cxlib.reports.viewers import Addresses, Door, LocalDoor, ProxyDoor, is_loopback
from cxlib.reports.visits import Visits

if TYPE_CHECKING:
    from cxlib.reports.handlers_base import Site
    from cxlib.reports.server import Server

HOST = "127.0.0.1"
PORT = 8866
# Kernels inherit the server's environment: they get these and nothing else.
_ENVIRONMENT = re.compile(
    r"PATH|HOME|USER|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV|PYTHON(?:PATH|SAFEPATH|UTF8|IOENCODING)"
    r"|JUPYTER_\w*(?:PATH|DIR)|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|APPDATA|LOCALAPPDATA|USERPROFILE"
    r"|DISPLAY|WAYLAND_DISPLAY|XDG_\w+|BROWSER|DBUS_SESSION_BUS_ADDRESS|\w+_NUM_THREADS",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Doors:
    """How a server is reached, and who is let in.

    Attributes
    ----------
    host, port
        The address to listen on.
    tokens
        A file of tokens.
    proxies
        Addresses of proxies that are believed: who asks, and, without tokens, who they are.
    names
        Host names under which it is reached, beside those in workspace.yml.
    base
        The path below which all addresses lie.
    """

    host: str = HOST
    port: int = PORT
    tokens: Path | None = None
    proxies: Sequence[str] = ()
    names: Sequence[str] = ()
    base: str = "/"


def serve(root: Path, doors: Doors, *, browser: bool = True, say: Callable[[str], object] = print) -> None:
    """Serve the workspace's reports until told to stop.

    Parameters
    ----------
    root
        The workspace.
    doors
        How the server is reached, and who is let in.
    browser
        Whether to open a browser at the home page.
    say
        Told where the reports are served.

    Raises
    ------
    UsageError
        Where the address is in use or may not be used, and where others could reach a server that lets in everybody.
    """
    params = parameters_of.load(root)
    serving = params.workspace.serving
    asked = hub.service(os.environ)
    doors = replace(doors, host=asked.host, port=asked.port, base=asked.base) if asked else doors
    door = hub_door(asked, serving) if asked else door_of(doors, serving, say)
    names = () if isinstance(door, LocalDoor) else (*serving.names, *doors.names)
    serving = serving.model_copy(update={"names": names})
    check_port(doors.port, doors.host)
    reports = places.folder_of(root, params.workspace.reports)
    reports.mkdir(parents=True, exist_ok=True)
    mirror = remote.Mirror(remote.of(params.workspace), reports, say)
    mirror.look()  # while the credentials are still there
    for name in [name for name in os.environ if not _ENVIRONMENT.fullmatch(name)]:
        del os.environ[name]
    os.environ.update(kernel_environment())
    from cxlib.reports.handlers_base import Site
    from cxlib.reports.handlers_explore import fences

    site = Site(
        reports.resolve(), params.workspace.company, mirror, Visits(root / serving.log, say), serving=serving,
        door=door, proxies=Addresses(doors.proxies), readers=Readers(root), exposed=not is_loopback(doors.host),
        base=doors.base,
    )  # fmt: skip
    app = _application(site, doors, browser=browser)
    address = f"[{doors.host}]" if ":" in doors.host else doors.host
    say(f"Reports of {site.company}: http://{address}:{doors.port}{doors.base} (stop with Ctrl-C)")
    if fences():
        say(f"warning: {fences()}")
    app.start()


def hub_door(asked: hub.Service, serving: Serving) -> Door:
    """Return the door of the hub that has started this server as a service."""
    return hub.HubDoor(asked.hub, asked.base, serving.see_everything, serving.session_hours)


def door_of(doors: Doors, serving: Serving, say: Callable[[str], object]) -> Door:
    """Return the door that the options ask for.

    Raises
    ------
    UsageError
        Where a server that others reach would let in everybody.
    """
    proxies = Addresses(doors.proxies)
    if doors.tokens is not None:
        return TokenDoor(doors.tokens, serving.see_everything, serving.session_hours, say)
    if proxies:
        return ProxyDoor(proxies, serving.user_header, serving.groups_header, serving.see_everything)
    reached = [] if is_loopback(doors.host) else [f"at {doors.host}"]
    reached += [f"as {name}" for name in doors.names if not is_loopback(name)]
    if reached:
        raise UsageError(
            f"others reach this server {reached[0]}, and it would let in everybody",
            hint="Say who may come in: --tokens FILE (see cx token), or --trust-proxy ADDRESS of a proxy that asks.",
        )
    return LocalDoor()


def based(path: str) -> str:
    """Return a path below which all addresses lie as a server takes it: /services/cx/.

    Raises
    ------
    UsageError
        For what is no path.
    """
    if not re.fullmatch(r"/?(?:[\w~-][\w.~-]*/)*(?:[\w~-][\w.~-]*)?", path, re.ASCII):
        raise UsageError(f"--base {path} is no path", hint="Write it as /reports/.")
    return f"/{path.strip('/')}/" if path.strip("/") else "/"


class Readers:
    """The readers of packs as params/ name them today.

    Parameters
    ----------
    root
        The workspace; it need not have params/.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / "params" / "reports"
        self._known: dict[str, tuple[int, tuple[str, ...] | None]] = {}

    def __call__(self, pack: str) -> tuple[str, ...] | None:
        """Return the readers of a pack; None where params/ do not say them."""
        path = self._folder / f"{pack}.yml"
        try:
            mark = path.stat().st_mtime_ns
            if self._known.get(pack, (0, None))[0] != mark:
                content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
                self._known[pack] = (mark, tuple(Report.model_validate({"id": pack, **content}).readers))
        except (OSError, ValueError, TypeError, yaml.YAMLError):
            pass  # what was read before holds
        return self._known.get(pack, (0, None))[1]


def check_port(port: int, host: str = HOST) -> None:
    """Raise `UsageError` where nothing can listen on the port."""
    if not 0 < port < 65536:
        raise UsageError(f"port {port} is none; ports go from 1 to 65535")
    try:
        kind = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror:
        raise UsageError(f"--host {host} is no address of this machine") from None
    with socket.socket(kind[0]) as probe:
        if os.name == "posix":  # a port that was just left may be taken again
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(kind[4])
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}", hint=f"Choose another: cx serve --port {port + 1}"
            ) from None


def _application(site: Site, doors: Doors, *, browser: bool) -> Server:
    """Return the configured server; `start()` blocks until it is told to stop."""
    from cxlib.reports.server import Server

    app = Server()
    app.config_file_paths = []  # never a voila.json that lies about
    app.initialize(["--no-browser"])
    app.site = site
    settings = {
        "root_dir": str(site.reports), "ip": doors.host, "port": doors.port, "base_url": site.base,
        "server_url": site.base, "open_browser": browser, "log_level": 40,
    }  # fmt: skip
    for name, value in settings.items():
        setattr(app, name, value)
    for name, value in _VOILA.items():
        setattr(app.voila_configuration, name, value)
    app.config.KernelManager.transport_encryption = "auto"
    return app


_VOILA: dict[str, Any] = {
    "allow_theme_override": "NO",
    "allow_template_override": "NO",
    "file_allowlist": [],
    "strip_sources": True,
    "show_tracebacks": False,
    "theme": "light",
}


def lab(root: Path, *, browser: bool = True, more: Sequence[str] = ()) -> int:
    """Open JupyterLab in the workspace at the tour for analysts; return its exit code.

    Raises `CxError` where JupyterLab is not installed.
    """
    from importlib.util import find_spec

    if find_spec("jupyterlab") is None:
        raise CxError("JupyterLab is not installed", hint="Install it: pip install jupyterlab.")
    start = Path("notebooks/explore/start_here.ipynb")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    # JupyterLab loads Voila's server extension too: the same settings belong there
    command += [f"--VoilaConfiguration.{name}={value}" for name, value in _VOILA.items()]
    if (root / start).is_file():
        command.append(f"--LabApp.default_url=/lab/tree/{start.as_posix()}")
    if not browser:
        command.append("--no-browser")
    env = kernel_environment(kept=str(root / KEPT))
    return subprocess.run([*command, *more], cwd=root, env=env, check=False).returncode
