"""The log of questions asked: who, when, with which token, and hashes of what was said.

A question changes nothing, so it is logged outside of the answer's path, in batches
through a bounded queue: what waits there when the process is killed is lost, at most
`CAPACITY` calls of some seconds.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import uuid4

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import Store, user_of
from store.errors import StoreError
from store.models import ApiToken, Call

CAPACITY = 2_000
PAUSE_SECONDS = 1.0
FAREWELL_SECONDS = 5.0

log = logging.getLogger(__name__)


Outcome: TypeAlias = Literal["answered", "refused", "failed"]


@dataclass(frozen=True)
class CallMade:
    """One call of a tool. Hashes, which show that nothing else was asked or answered; what is
    short can be guessed from them."""

    user_id: int
    called_at: datetime
    tool: str
    token: str | None
    arguments_hash: str
    outcome: Outcome
    result_hash: str | None
    trades_used: int | None
    milliseconds: int


class CallLog:
    """Takes calls without waiting and writes them down by and by.

    When the queue is full, because the database is away or slower than its callers, the
    newest calls are dropped and their number is said in the process's own log.
    """

    def __init__(self, store: Store) -> None:
        self._store = store.beside()
        self._waiting: asyncio.Queue[CallMade] = asyncio.Queue(CAPACITY)
        self._writer: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._dropped = 0
        self._under_way = 0

    def add(self, call: CallMade) -> None:
        try:
            self._waiting.put_nowait(call)
        except asyncio.QueueFull:
            self._dropped += 1
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())

    async def flush(self) -> None:
        """Write what waits now; give up after a few seconds."""
        self._hurry.set()
        try:
            if self._writer is not None:
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._writer
        except TimeoutError:
            lost = self._waiting.qsize() + self._under_way
            log.warning("%d calls are not logged: no time was left", lost)
        finally:
            self._hurry.clear()

    async def _write(self) -> None:
        """All that waits, again and again, until nothing does. In a pause more is gathered, for
        each user's calls take a transaction, however many they are."""
        while not self._waiting.empty():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), PAUSE_SECONDS)
            many = self._under_way = self._waiting.qsize()
            await self._keep([self._waiting.get_nowait() for _ in range(many)])
            self._under_way = 0

    async def _keep(self, batch: Sequence[CallMade]) -> None:
        by_user: dict[int, list[CallMade]] = defaultdict(list)
        for call in batch:
            by_user[call.user_id].append(call)
        for user_id, calls in by_user.items():
            try:
                async with self._store.write(user_id) as session:
                    await keep_calls(session, calls)
            except StoreError as error:
                self._dropped += len(calls)
                log.warning("Calls are not logged: %s", error)
            except Exception:
                self._dropped += len(calls)
                log.exception("Calls are not logged")
        if self._dropped:
            log.warning("%d calls were answered and are missing in the log of calls", self._dropped)
            self._dropped = 0


async def keep_calls(session: AsyncSession, calls: Sequence[CallMade]) -> None:
    """Append calls of the session's user, and when its tokens were used last."""
    await session.execute(
        insert(Call), [{**asdict(call), "call_id": uuid4().hex} for call in calls]
    )
    used = {call.token: call.called_at for call in calls if call.token and call.token.isdigit()}
    for token, called_at in used.items():
        await session.execute(
            update(ApiToken)
            .where(
                ApiToken.user_id == user_of(session),
                ApiToken.token_number == int(token),
                # Another server's calls may have come first.
                ApiToken.last_used_at.is_(None) | (ApiToken.last_used_at < called_at),
            )
            .values(last_used_at=called_at)
        )
