"""The store as requests meet it: made ready at its first use, each as the user who asks.

Says for how long the database could not be reached, and keeps the log of calls.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import OWNER
from store.calls import CallLog, CallMade, Outcome
from store.database import Store
from store.errors import Refused, Unavailable
from store.fixed import content_hash
from store.tokens import Caller
from store.vocabulary import LABEL_LENGTH, visible

WALLS_SECONDS = 60.0

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Result]]

# Who asks, as far as the network's gate has found out; None is whoever runs this process.
caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


class MissingScope(Refused):
    """The token does not allow this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"The token lacks the scope {scope}.")
        self.scope = scope


class Door:
    """The way from a request to the store.

    With `many` users a request that no token speaks for is refused, and nothing is served
    while the walls between users do not stand.
    """

    def __init__(self, store: Store, *, many: bool = False) -> None:
        self.store = store
        self.calls = CallLog(store)
        self.many = many
        self._ready = False
        # A single user has no walls; those of many are looked at now and then.
        self._walls_seen_until = 0.0 if many else float("inf")
        self._attempt: asyncio.Task[None] | None = None
        self._down_since: float | None = None

    async def answer(self, work: "Work[Result]") -> Result:
        """What `work` reads as the user who asks.

        Raises:
            Unavailable: the database does not answer or is not migrated.
        """
        return await self.answer_as(self.user_id(), work)

    async def record(self, work: "Work[Result]", *, keyed: bool) -> Result:
        """What `work` wrote as the user who asks, on the record with the token; `keyed` as
        `Store.record` has it.

        Raises:
            Unavailable: the database does not answer or is not migrated.
        """
        asking, user_id = caller.get(), self.user_id()
        token = asking.token if asking else None
        return await self._served(
            lambda: self.store.record(work, user_id, keyed=keyed, token=token)
        )

    def author(self) -> str:
        """Who writes, for the record: the owner, or whoever holds the token."""
        asking = caller.get()
        if asking is None:
            return OWNER
        return " ".join(visible(f"token {asking.token}").split())[:LABEL_LENGTH]

    def require_scope(self, scope: str) -> None:
        """
        Raises:
            MissingScope: the token does not have it.
        """
        asking = caller.get()
        if asking is not None and scope not in asking.scopes:
            raise MissingScope(scope)

    async def answer_as(self, user_id: int, work: "Work[Result]") -> Result:
        return await self._served(lambda: self.store.answer(work, user_id))

    async def _served(self, do: Callable[[], Awaitable[Result]]) -> Result:
        try:
            await self.ready()
            result = await do()
        except Unavailable as error:
            if not error.away:
                raise
            # A new one: who waited for the same attempt shares its error.
            raise type(error)(f"{error}{self._for_how_long()}", again=error.again) from None
        self._down_since = None
        return result

    def user_id(self) -> int:
        """The user who asks.

        Raises:
            Refused: nobody has said who that is, and there are many.
        """
        asking = caller.get()
        if asking is not None:
            return asking.user_id
        if self.many:
            raise Refused("Nobody is signed in; a token is needed.")
        return self.store.settings.user_id

    def log(
        self,
        tool: str,
        arguments: dict[str, Any],
        began: float,
        outcome: Outcome,
        answer: dict[str, Any] | None = None,
    ) -> None:
        """Put a call on the log; `began` is the moment of `time.monotonic()`."""
        asking = caller.get()
        if asking is None and self.many:
            return  # Refused before it was known whose record it would go on.
        self.calls.add(
            CallMade(
                user_id=self.user_id(),
                called_at=datetime.now(UTC),
                tool=tool,
                token=asking.token if asking else None,
                arguments_hash=content_hash(arguments),
                outcome=outcome,
                result_hash=None if answer is None else content_hash(answer),
                trades_used=(answer or {}).get("scope", {}).get("trades"),
                milliseconds=round((time.monotonic() - began) * 1000),
            )
        )

    async def close(self) -> None:
        await self.calls.flush()
        await self.store.close()

    async def ready(self) -> None:
        """Make the store ready, as every request does that finds it unready. They share one
        attempt, and survive each other.

        Raises:
            Unavailable: the database does not answer, is not migrated, or has no walls.
        """
        if self._ready and time.monotonic() < self._walls_seen_until:
            return
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._prepare())
            self._attempt.add_done_callback(self._attempted)
        await asyncio.shield(self._attempt)

    async def _prepare(self) -> None:
        from store.guards import require_guards
        from store.schema import prepare  # Alembic costs a third of a second.

        if not self._ready:
            await prepare(self.store)
        if self.many:
            self._ready = False  # Until the walls are seen to stand.
            await self.store.answer(require_guards)
            self._walls_seen_until = time.monotonic() + WALLS_SECONDS
        self._ready = True

    def _attempted(self, attempt: asyncio.Task[None]) -> None:
        self._attempt = None
        if not attempt.cancelled():
            attempt.exception()  # Seen, even if all who waited for it have gone.

    def _for_how_long(self) -> str:
        now = time.monotonic()
        if self._down_since is None:
            self._down_since = now
        seconds = int(now - self._down_since)
        return f" This has lasted for {seconds} s." if seconds else ""
