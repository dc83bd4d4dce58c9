"""Who presents this token? One verifier for every way in.

Answers are believed for a few seconds, so that a burst of requests asks the database once:
a token that is revoked is refused after `REMEMBERED_SECONDS` at the latest.
"""

import time
from collections import OrderedDict
from hashlib import sha256

from mcp_server.door import Door
from mcp_server.oauth import Issuer
from store.tokens import Caller, caller_by_issuer, caller_of, user_named_by

REMEMBERED_SECONDS = 5.0
REMEMBERED = 1_000


class Callers:
    """The callers that tokens speak for: our own, and those of an OAuth issuer, if any."""

    def __init__(self, door: Door, issuer: Issuer | None = None) -> None:
        self.issuer = issuer
        self._door = door
        # By the hash of the token: a dump of memory gives no token that is not in flight.
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def named_by(self, text: str) -> Caller | None:
        """The caller that `text` speaks for; None if it is not to be believed.

        Raises:
            Unavailable: the store cannot be asked.
            KeysUnreachable: the issuer cannot be asked.
        """
        key = sha256(text.encode("utf-8", "surrogatepass")).digest()
        kept = self._known.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        found = await self._asked(text)
        if found is None:
            self._known.pop(key, None)
        else:
            self._known[key] = (time.monotonic() + REMEMBERED_SECONDS, found)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return found

    async def _asked(self, text: str) -> Caller | None:
        # A replica may not have heard yet that a token is revoked.
        if (user_id := user_named_by(text)) is not None:
            return await self._door.answer_as(
                user_id, lambda session: caller_of(session, text), primary=True
            )
        if self.issuer is None or (claims := await self.issuer.claims(text)) is None:
            return None
        return await self._door.answer_as(
            claims.user_id,
            lambda session: caller_by_issuer(session, claims.scopes, claims.client),
            primary=True,
        )
