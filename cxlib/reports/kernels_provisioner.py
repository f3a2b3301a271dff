"""What Jupyter asks for a kernel of the kernelspec `cx-warm` (entry point `cx-fork`)."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from cxlib.reports import kernels, sandbox
from cxlib.reports.kernels_link import Forked, RefusedError, ask

_ANSWERS = 120  # seconds; a template imports for three of them on a quiet machine
_KNOWN = {"stdin", "stdout", "stderr", "cwd", "env", "extra_arguments", "kernel_id", "independent"}


class ForkProvisioner(LocalProvisioner):
    """Gives kernels that are forked from the template; ordinary ones where none is to be had."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start a kernel and return its connection."""
        forked = await self._forked(cmd, kwargs)
        if forked is None:
            return await super().launch_kernel(_confined(cmd, kwargs), **kwargs)
        self.process: Any = forked
        self.pid = self.pgid = forked.pid
        self.cwd = kwargs.get("cwd") or Path.cwd()
        return self.connection_info

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and wait until it has; callers look again only after a tenth of a second."""
        process = self.process
        await super().kill(restart)
        for _ in range(20):
            if process is None or process.poll() is not None:
                return
            await asyncio.sleep(0.005)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of the ports and of the process."""
        await super().cleanup(restart)
        if isinstance(self.process, Forked):
            self.process.release()

    async def _forked(self, cmd: list[str], kwargs: dict[str, Any]) -> Forked | None:
        """Return a forked kernel; None, with a line in the debug log, where there is none."""
        template = kernels.start()
        opened: list[int] = []
        try:
            request = _request(cmd, kwargs)
            _open_streams(kwargs, opened)
            for _ in range(2):
                if not template.address:
                    raise RefusedError("there is no template")
                try:
                    return await ask(template.address, request, opened, _ANSWERS)
                except RefusedError as refused:
                    if not refused.stale:
                        raise
                except TimeoutError:
                    raise  # another would take as long
                except OSError as error:
                    self.log.debug("The template of warm kernels does not answer: %s", error)
                template = kernels.replaced(template)
            raise RefusedError("no template answers")
        except (RefusedError, OSError, ValueError) as error:
            self.log.debug("This kernel starts the ordinary way: %s", error)
            return None
        finally:
            for descriptor in opened:
                os.close(descriptor)


def _confined(cmd: list[str], kwargs: dict[str, Any]) -> list[str]:
    """Return the command of an ordinary kernel, of one that confines itself first where its environment asks for it."""
    if sandbox.VARIABLE not in (kwargs.get("env") or os.environ):
        return cmd
    return [cmd[0], "-m", sandbox.__name__, *cmd[3:]]


def _request(cmd: list[str], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return what the template is asked for.

    Raises
    ------
    RefusedError
        Where something is wanted that a forked kernel cannot give.
    """
    unknown = sorted(set(kwargs) - _KNOWN)
    if unknown or kwargs.get("independent"):
        raise RefusedError(f"no forked kernel takes {', '.join(unknown) or 'independent'}")
    environment = dict(os.environ if kwargs.get("env") is None else kwargs["env"])
    return {
        "command": [os.path.expanduser(word) for word in cmd],  # noqa: PTH111 - words, not paths
        "folder": str(Path(kwargs.get("cwd") or "").absolute()),
        "environment": {**environment, "JPY_PARENT_PID": str(os.getpid())},  # as an ordinary kernel has it
    }


def _open_streams(kwargs: dict[str, Any], opened: list[int]) -> None:
    """Add descriptors of the three standard streams to `opened`, as `jupyter_client.launcher` gives them.

    Raises
    ------
    ValueError, OSError
        Where a stream is wanted that has no descriptor yet, as a pipe.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = kwargs.get(name)
        if stream == subprocess.DEVNULL or (stream is None and number == 0):
            opened.append(os.open(os.devnull, os.O_RDWR))
            continue
        stream = number if stream is None else stream
        opened.append(os.dup(stream if isinstance(stream, int) else stream.fileno()))
