"""News of what is recorded, from whichever program recorded it, within moments.

Every recording is announced on PostgreSQL after its commit, with the number of its user and
nothing else; whoever can connect to the database can hear that. An announcement is lost with
the connection that was to bring it, so it only says when to look.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from store.connecting import driver_connection, one_connection, say
from store.database import NEWS, Store

ECHO_SECONDS = 5.0


def may_be_heard(store: Store) -> bool:
    """Whether the database announces: not SQLite, nor through a transaction pooler, where a
    connection of the server that listens is nobody's."""
    return store.database.dialect == "postgresql" and not store.database.pooled


@asynccontextmanager
async def news(
    store: Store, tell: Callable[[int], None]
) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Call `tell` with the number of every user of whom something is recorded, while the block
    lasts, on a connection of its own. Gives what asks whether announcements come through.

    Raises:
        Unavailable: the database cannot be reached, or hung up.
    """
    own, echoed = uuid4().hex, asyncio.Event()

    def hear(_connection: Any, _process: int, _channel: str, said: str) -> None:
        if said == own:
            echoed.set()
        elif said.isdecimal():
            tell(int(said))

    async def come_through() -> bool:
        """By saying something on another connection: a pooler that nobody mentioned would
        bring it to whoever speaks at that moment."""
        echoed.clear()
        async with store.connections.open() as connection:
            await say(connection, [f"SELECT pg_notify('{NEWS}', '{own}')"])
        try:
            async with asyncio.timeout(ECHO_SECONDS):
                return await echoed.wait()
        except TimeoutError:
            return False

    async with one_connection(store.database) as connection:
        await driver_connection(connection).add_listener(NEWS, hear)
        yield come_through
