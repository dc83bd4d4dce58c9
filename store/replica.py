"""A replica of the database: it follows behind, and questions may be put to it.

Each user's audit entries are counted, and every recording appends one. The number that this
process saw last, by recording or by looking, is the least that a replica must have before it
answers that user here; until then the primary does. So a program that asks where it recorded
finds what it recorded. Another process knows nothing of that: there an answer may be as old
as the replica is behind.
"""

import logging
import time
from collections import OrderedDict

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from store.connecting import Connections
from store.errors import Unavailable, Unwalled

KNOWN = 10_000  # Users whose last entry is remembered.
SETTLED_SECONDS = 60.0  # Replicas under one address differ by less than that.
AWAY_SECONDS = 30.0  # Until a replica that failed is tried again.

# The tables are described above the doors to the database.
REACHED = text("SELECT last_audit FROM users WHERE user_id = :user_id")

log = logging.getLogger(__name__)


class Behind(Exception):  # noqa: N818
    """The replica lacks what is known to be recorded."""


class Replica:
    """How far a replica must have come, and whether it is there."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.name = connections.database.name
        self._entries: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._away_until: float | None = None

    def must_have(self, user_id: int, entry: int) -> None:
        """Whoever is asked as this user from now on has to know this audit entry."""
        if entry > self._entries.get(user_id, (0, 0.0))[0]:
            self._entries[user_id] = (entry, time.monotonic())
            self._entries.move_to_end(user_id)
            while len(self._entries) > KNOWN:
                self._entries.popitem(last=False)

    async def require(self, session: AsyncSession, user_id: int) -> None:
        """Costs a round trip, and only where something was recorded lately.

        Raises:
            Behind: the replica has not come so far.
        """
        needed, since = self._entries.get(user_id, (0, 0.0))
        if not needed:
            return
        reached = await session.scalar(REACHED, {"user_id": user_id})
        if (reached or 0) < needed:
            raise Behind
        if time.monotonic() - since > SETTLED_SECONDS:
            self._entries.pop(user_id, None)

    def is_there(self) -> bool:
        """Whether to ask it; one that failed is tried by one question now and then."""
        if self._away_until is None:
            return True
        if time.monotonic() < self._away_until:
            return False
        self._away_until = time.monotonic() + AWAY_SECONDS
        return True

    def failed(self, error: Unavailable) -> None:
        """Let the primary answer; what it would refuse just so is refused.

        Raises:
            Unavailable: the question itself takes too long, or there are too many; or the
                replica has no walls, and nobody must be sent there.
        """
        if isinstance(error, Unwalled):
            raise Unwalled(f"{error} This is the replica, {self.name}.") from None
        if not error.away:
            if error.again == "no":
                raise error
            return  # Undone, for what it read was cleaned up on the primary.
        if self._away_until is None:
            why = str(error).replace("DATABASE_URL", "DATABASE_READ_URL")
            log.warning("Questions go to the primary. %s", why)
        self._away_until = time.monotonic() + AWAY_SECONDS

    def answered(self) -> None:
        if self._away_until is not None:
            log.warning("Questions go to the replica %s again.", self.name)
        self._away_until = None
