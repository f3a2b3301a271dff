"""Who looks, and what they may see: viewers, the doors that tell who they are, and the readers of a report.

Two doors are here: the machine's own, for a server that only this machine reaches, and that of a proxy which has asked
who somebody is. That of tokens is in `tokens.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cxlib.errors import UsageError

FORWARDED = ("X-Forwarded-For", "X-Real-Ip", "Forwarded")  # what a proxy adds
_NAME = re.compile(r"[^\s,;\x00-\x1f\x7f](?:[^,;\x00-\x1f\x7f]{0,198}[^\s,;\x00-\x1f\x7f])?")


@dataclass(frozen=True)
class Viewer:
    """Somebody who was let in."""

    name: str
    groups: frozenset[str] = frozenset()
    everything: bool = False  # sees every report, whatever its readers are


LOCAL = Viewer("local", everything=True)


@dataclass(frozen=True)
class Asked:
    """What a door looks at: the headers of a request, the address it really came from, its cookies."""

    headers: Mapping[str, str]
    address: str
    cookies: Mapping[str, str]


class Refused(Exception):  # noqa: N818 - not an error but an answer
    """A door's answer to somebody who will not be let in, whatever token they bring; the text is for the log."""


class Door(Protocol):
    """Says who asks."""

    login: bool  # whether the server offers a form to sign in

    def viewer(self, asked: Asked) -> Viewer | None:
        """Return who asks; None where nobody said it yet. Raises `Refused`."""


class LocalDoor:
    """The door of a server that only this machine reaches: one viewer, who sees everything."""

    login = False

    def viewer(self, asked: Asked) -> Viewer | None:
        """Return the local viewer; a request that came through a proxy did not come from this machine alone."""
        if any(name in asked.headers for name in FORWARDED):
            raise Refused("came through a proxy, and this server has no door: --tokens or --trust-proxy")
        return LOCAL


class Addresses:
    """Addresses and networks of proxies that are believed.

    Parameters
    ----------
    given
        Each an address as 10.0.0.7 or a network as 10.0.0.0/24.

    Raises
    ------
    UsageError
        For what is neither.
    """

    def __init__(self, given: Sequence[str]) -> None:
        try:
            self._networks = [ipaddress.ip_network(one.strip()) for one in given]
        except ValueError as error:
            raise UsageError(
                f"--trust-proxy: {error}", hint="Write an address as 10.0.0.7 or a network as 10.0.0.0/24."
            ) from None

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        try:
            found = ipaddress.ip_address(str(address))
        except ValueError:
            return False
        mapped = getattr(found, "ipv4_mapped", None)
        return any((mapped or found) in network for network in self._networks)

    def client(self, address: str, forwarded_for: str) -> str:
        """Return who asked first: the last address of the header that is not a believed proxy's own."""
        return self._first(address, forwarded_for)[0]

    def https(self, address: str, forwarded_for: str, forwarded_proto: str) -> bool:
        """Say whether who asked first came over https, by the word of the believed proxy that they came to.

        Of proxies in a row each adds to both headers; one that hands on what it was told adds nothing to the second.
        """
        if address not in self:
            return False
        told, between = forwarded_proto.lower().split(","), self._first(address, forwarded_for)[1]
        return told[max(len(told) - 1 - between, 0)].strip() == "https"

    def _first(self, address: str, forwarded_for: str) -> tuple[str, int]:
        """Return who asked first, and how many believed proxies the header names behind them."""
        if address not in self:
            return address, 0
        between = 0
        for one in reversed([part.strip() for part in forwarded_for.split(",")]):
            try:
                found = str(ipaddress.ip_address(one))
            except ValueError:
                break
            if found not in self:
                return found, between
            between += 1
        return address, between


@dataclass(frozen=True)
class ProxyDoor:
    """The door of a proxy that has asked who somebody is and says so in headers: believed from its addresses only."""

    proxies: Addresses
    user_header: str
    groups_header: str
    see_everything: Collection[str] = ()
    login = False

    def viewer(self, asked: Asked) -> Viewer | None:
        """Return whom the proxy names."""
        if asked.address not in self.proxies:
            forged = self.user_header in asked.headers or self.groups_header in asked.headers
            raise Refused("names a user, but does not come from the proxy" if forged else "did not come by the proxy")
        user = asked.headers.get(self.user_header, "")
        if not user:
            raise Refused(f"the proxy names nobody in {self.user_header}")
        if not _NAME.fullmatch(user):  # a comma: the header came twice
            raise Refused(f"{self.user_header} is not one name")
        groups = frozenset(filter(None, (one.strip() for one in asked.headers.get(self.groups_header, "").split(","))))
        return Viewer(user, groups, not groups.isdisjoint(self.see_everything))


def is_name(text: str) -> bool:
    """Say whether a text can be the name of a viewer or a group."""
    return bool(_NAME.fullmatch(text))


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a host."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_see(viewer: Viewer, manifest: Mapping[str, Any], now: Sequence[str] | None = None) -> bool:
    """Say whether a viewer may see a report.

    Parameters
    ----------
    viewer
        Who looks.
    manifest
        Of the report; its `readers` are groups. None named: everybody who was let in.
    now
        The pack's readers as params/ has them today, which lead; None where they cannot be read.
    """
    if viewer.everything:
        return True
    readers = manifest.get("readers", ()) if now is None else now
    if not isinstance(readers, (list, tuple)) or not all(isinstance(one, str) for one in readers):
        return False  # whom it is for cannot be told
    return not readers or not viewer.groups.isdisjoint(readers)
