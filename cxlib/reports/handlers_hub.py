"""Where a JupyterHub sends a browser back to that has signed in there."""

from __future__ import annotations

from cxlib.reports.handlers_base import Ours
from cxlib.reports.handlers_login import local
from cxlib.reports.hub import ASKING, HubDoor


class Callback(Ours):
    """Opens a session for whom the hub names."""

    open_to_all = True

    async def get(self) -> None:
        """Open it, and lead to where the viewer wanted to go."""
        door = self.site.door
        if not isinstance(door, HubDoor):
            raise self.refusal(404, "no service of a hub")
        state, code = (self.get_query_argument(name, "") for name in ("state", "code"))
        try:
            entered = await door.enter(state, self.get_cookie(ASKING) or "", code)
        except Exception as error:  # whatever the hub or the way to it may raise
            raise self.refusal(502, f"the hub did not answer: {type(error).__name__}") from None
        if entered is None:
            raise self.refusal(403, "not sent by us, or not let in by the hub")
        session, there = entered
        door.open(self, session)
        self.redirect(local(there, self.site.base))
