"""Serve the reports on this machine: the published pages as they are, and each notebook as a Voila app beside its page.

One server, Voila's own, with our handlers before its own: the catalogue is the home page, files of published reports
come from a list of kinds, Voila renders published notebooks only and its tree and file listing are gone.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxlib import params as parameters_of
from cxlib.errors import CxError, UsageError
from cxlib.reports import places, remote
from cxlib.reports.build import KEPT
from cxlib.reports.execute import kernel_environment

if TYPE_CHECKING:
    from cxlib.reports.handlers import Server, Site

HOST = "127.0.0.1"
PORT = 8866
# Kernels inherit the server's environment: they get these and nothing else.
_ENVIRONMENT = re.compile(
    r"PATH|HOME|USER|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV|PYTHON(?:PATH|SAFEPATH|UTF8|IOENCODING)"
    r"|JUPYTER_\w*(?:PATH|DIR)|SYSTEMROOT|SYSTEMDRIVE|WINDIR|COMSPEC|PATHEXT|APPDATA|LOCALAPPDATA|USERPROFILE"
    r"|DISPLAY|WAYLAND_DISPLAY|XDG_\w+|BROWSER|DBUS_SESSION_BUS_ADDRESS|\w+_NUM_THREADS",
    re.IGNORECASE,
)


def serve(root: Path, port: int = PORT, *, browser: bool = True, say: Callable[[str], object] = print) -> None:
    """Serve the workspace's reports until interrupted.

    Parameters
    ----------
    root
        The workspace.
    port
        On the loopback address.
    browser
        Whether to open a browser at the home page.
    say
        Told where the reports are served.

    Raises
    ------
    UsageError
        Where the port is in use or may not be used.
    """
    params = parameters_of.load(root)
    reports = places.folder_of(root, params.workspace.reports)
    reports.mkdir(parents=True, exist_ok=True)
    check_port(port)
    mirror = remote.Mirror(remote.of(params.workspace), reports, say)
    mirror.look()  # while the credentials are still there
    for name in [name for name in os.environ if not _ENVIRONMENT.fullmatch(name)]:
        del os.environ[name]
    os.environ.update(kernel_environment())
    from cxlib.reports.handlers import Site

    app = _application(Site(reports, params.workspace.company, mirror), port, browser=browser)
    say(f"Reports of {params.workspace.company}: http://{HOST}:{port}/ (stop with Ctrl-C)")
    app.start()


def check_port(port: int) -> None:
    """Raise `UsageError` where nothing can listen on the port."""
    if not 0 < port < 65536:
        raise UsageError(f"port {port} is none; ports go from 1 to 65535")
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was just left may be taken again
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(
                f"port {port} cannot be used: {error.strerror}", hint=f"Choose another: cx serve --port {port + 1}"
            ) from None


def _application(site: Site, port: int, *, browser: bool) -> Server:
    """Return the configured server; `start()` blocks until it is told to stop."""
    from cxlib.reports.handlers import Server

    app = Server()
    app.config_file_paths = []  # never a voila.json that lies about
    app.initialize(["--no-browser"])
    app.site = site
    for name, value in _settings(site.reports, port, browser=browser).items():
        setattr(app, name, value)
    for name, value in _VOILA.items():
        setattr(app.voila_configuration, name, value)
    # End kernels whose viewers have left: without it they stay for ever.
    app.config.MappingKernelManager.update({"cull_idle_timeout": 120, "cull_interval": 30, "cull_connected": False})
    app.config.KernelManager.transport_encryption = "auto"
    app.config.VoilaExecutor.cell_error_instruction = _SORRY
    return app


_SORRY = "This page cannot be made again from what was published. The published page still stands: see its link above."
_VOILA: dict[str, Any] = {
    "allow_theme_override": "NO",
    "allow_template_override": "NO",
    "file_allowlist": [],
    "strip_sources": True,
    "show_tracebacks": False,
    "theme": "light",
}


def _settings(reports: Path, port: int, *, browser: bool) -> dict[str, Any]:
    """Return the settings of the server itself."""
    return {
        "root_dir": str(reports),
        "ip": HOST,
        "port": port,
        "port_retries": 0,  # another port than the one asked for helps nobody
        "open_browser": browser,
        "log_level": 40,
        "tornado_settings": {"headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}},
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
