"""`serving:` of workspace.yml: how `cx serve` treats its viewers."""

from __future__ import annotations

from pydantic import Field

from cxlib.params.base import Model, Name


class Serving(Model):
    """What a server gives to its viewers, and what it believes of a proxy before it.

    `names` are the host names under which the server is reached; a request for another one is refused. Viewers of a
    group in `see_everything` see every report, whatever its `readers` are.
    """

    names: tuple[Name, ...] = ()
    see_everything: tuple[Name, ...] = ()
    user_header: Name = "X-Forwarded-User"
    groups_header: Name = "X-Forwarded-Groups"
    session_hours: int = Field(12, ge=1, le=720)  # how long a viewer who signed in with a token stays so
    requests_per_minute: int = Field(600, ge=10)  # of one viewer
    kernels: int = Field(20, ge=0)  # of Explore, of all viewers together; 0 turns Explore off
    kernels_per_viewer: int = Field(3, ge=1)
    idle_seconds: int = Field(90, ge=5)  # after which the kernel of a viewer who left ends
    log: Name = "logs/serve.log.jsonl"  # who looked at what, and what was refused
