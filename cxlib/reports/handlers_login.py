"""Signing in with a token, and out again."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from cxlib.reports.handlers_base import Ours
from cxlib.reports.hub import HubDoor
from cxlib.reports.tokens import COOKIE, SECURE_COOKIE, TokenDoor

_WRONG = '<p class="warning" role="alert">This is not a valid token.</p>'
_LOCAL = re.compile(r"/(?:[^/\\\x00-\x1f\x7f][^\\\x00-\x1f\x7f]*)?")


def local(address: str, home: str = "/") -> str:
    """Return an address of this server, that of its home page for any other."""
    parts = urlsplit(address) if len(address) <= 2000 and _LOCAL.fullmatch(address) else None
    return address if parts is not None and not parts.scheme and not parts.netloc else home


class Login(Ours):
    """The form for a token, which any address shows to who has not signed in."""

    open_to_all = True

    async def get(self) -> None:
        """Show the form, where there is one; a hub has its own."""
        if isinstance(self.site.door, HubDoor):
            self.redirect(self.site.base)
            return
        self._door()
        self.ask_for_token(200, self.site.base)

    async def post(self) -> None:
        """Open a session."""
        door, there = self._door(), local(self.get_body_argument("next", ""), self.site.base)
        waiting = self.settings["cx_logins"].wait(self.address)
        if waiting:
            raise self.too_often(waiting, "too many attempts to sign in")
        session = door.enter(self.get_body_argument("token", ""))
        if session is None:
            self._why = "a wrong token"
            self.ask_for_token(401, there, _WRONG)
            return
        name = SECURE_COOKIE if self.secure else COOKIE
        self.set_cookie(name, session, path="/", httponly=True, samesite="Strict")
        self.redirect(there, status=303)

    def _door(self) -> TokenDoor:
        """Return the door that takes tokens; 404 where another lets in."""
        if not isinstance(self.site.door, TokenDoor):
            raise self.refusal(404, "no tokens are asked for")
        return self.site.door


class Logout(Ours):
    """Ends a session."""

    async def post(self) -> None:
        """End it, and go home."""
        if isinstance(self.site.door, HubDoor):
            self.site.door.leave(self)
        for name in (COOKIE, SECURE_COOKIE):
            session = self.get_cookie(name)
            if session and isinstance(self.site.door, TokenDoor):
                self.site.door.leave(session)
            self.clear_cookie(name, path="/", httponly=True, samesite="Strict", secure=name == SECURE_COOKIE)
        self.redirect(self.site.base, status=303)
