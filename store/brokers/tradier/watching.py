"""Sync again and again, and mark what is open while the market is.

A network that is away is waited for, longer each time; a token that is refused ends it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from store.brokers.tradier.answers import text
from store.brokers.tradier.client import Tradier
from store.brokers.tradier.syncing import Synced, accounts_of, mark_account, sync_account
from store.connections import BrokerEnvironment
from store.database import Store
from store.errors import Unavailable

LONGEST_PAUSE_SECONDS = 900.0

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Round:
    """What one round did: accounts that were synced and trades that were marked, or why it
    came to nothing and in how many seconds the next one begins."""

    synced: tuple[Synced, ...] = ()
    marked: int = 0
    problem: str | None = None
    next_seconds: float = 0.0


async def rounds(
    store: Store,
    tradier: Tradier,
    environment: BrokerEnvironment,
    *,
    every_seconds: float,
    account: str | None = None,
    user_id: int | None = None,
    pause: Pause = asyncio.sleep,
) -> AsyncIterator[Round]:
    """One round after another, without end. Cancelled, what is under way is undone."""
    wait = every_seconds
    while True:
        try:
            synced = tuple(
                [
                    await sync_account(store, tradier, environment, number, user_id=user_id)
                    for number in await accounts_of(tradier, account)
                ]
            )
            marked = 0
            if text(await tradier.clock(), "state") == "open":
                for one in synced:
                    marked += await mark_account(store, tradier, one, user_id=user_id)
        except Unavailable as error:
            wait = min(wait * 2, max(LONGEST_PAUSE_SECONDS, every_seconds))
            yield Round(problem=str(error), next_seconds=wait)
        else:
            wait = every_seconds
            yield Round(synced, marked, next_seconds=wait)
        await pause(wait)
