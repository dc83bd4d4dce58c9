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

from store.calls import CallLog, CallMade, Outcome
from store.database import Store
from store.errors import Refused, StoreError, Unavailable
from store.fixed import content_hash
from store.queries.answer import Answer
from store.tokens import Caller, Scope
from store.vocabulary import LABEL_LENGTH

WALLS_SECONDS = 60.0
AGENT = "agent"  # How the record names a client of this server.
READ: Scope = "trades:read"
WRITE: Scope = "trades:write"
ADMIN: Scope = "admin"

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Result]]

# Who asks, as far as the network's gate has found out; None is whoever runs this process.
caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


class MissingScope(Refused):
    """The token is not for what is asked."""

    def __init__(self, scope: Scope, therefore: str) -> None:
        super().__init__(
            f"The token lacks the scope {scope}, {therefore}: trade-history tokens create NAME"
            f" --scope {READ} --scope {scope}."
        )
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

    async def answer_as(
        self, user_id: int, work: "Work[Result]", *, primary: bool = False
    ) -> Result:
        return await self._reached(lambda: self.store.answer(work, user_id, primary=primary))

    async def survey(self, work: "Work[Result]") -> Result:
        """What `work` reads of all users, for an operator.

        Raises:
            MissingScope: the token is one user's.
            Unavailable: the database does not answer or is not migrated.
        """
        user_id, asking = self.user_id(), caller.get()
        if asking is not None and ADMIN not in asking.scopes:
            raise MissingScope(
                ADMIN,
                "without which nothing of other users is told. Whoever runs the store makes one",
            )
        return await self._reached(lambda: self.store.survey(work, user_id))

    async def record(self, work: "Work[Result]", *, keyed: bool) -> Result:
        """What `work` wrote for the user who asks; `keyed` says that it happens only once,
        however often it is begun.

        Raises:
            MissingScope: the token may only read.
            Unavailable: the database does not answer or is not migrated.
        """
        user_id, token = self._writer()
        return await self._reached(
            lambda: self.store.record(work, user_id, keyed=keyed, token=token)
        )

    async def rehearse(self, work: "Work[Result]") -> Result:
        """What `work` would write for the user who asks; nothing is written."""
        user_id, _token = self._writer()
        return await self._reached(lambda: self.store.rehearse(work, user_id))

    def author(self, kind: str = AGENT) -> str:
        """Who writes, for the record: an agent or a program, and with which token."""
        asking = caller.get()
        return kind if asking is None else f"{kind}, token {asking.token}"[:LABEL_LENGTH]

    def _writer(self) -> tuple[int, str | None]:
        """The user who asks and the token, if both may write."""
        user_id, asking = self.user_id(), caller.get()
        if asking is not None and WRITE not in asking.scopes:
            raise MissingScope(
                WRITE, "so it only reads; nothing was written. Its user makes one that writes"
            )
        return user_id, None if asking is None else asking.token

    async def _reached(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        try:
            await self.ready()
            result = await attempt()
        except Unavailable as error:
            if not error.away:
                raise
            # A new one: who waited for the same attempt shares its error.
            raise type(error)(f"{error}{self._for_how_long()}", again=error.again) from None
        self._down_since = None
        return result

    async def logged(
        self, tool: str, arguments: dict[str, Any], work: "Work[Answer]"
    ) -> dict[str, Any]:
        """The answer of `work` as JSON has it; it goes on the log whatever becomes of it.

        Raises:
            StoreError: the store refuses, or cannot be asked.
        """
        began = time.monotonic()
        outcome: Outcome = "failed"
        told = None
        try:
            told = (await self.answer(work)).model_dump(mode="json")
            outcome = "answered"
        except Unavailable:
            raise
        except StoreError:
            outcome = "refused"
            raise
        finally:
            self.log(tool, arguments, began, outcome, told)
        return told

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
            await self.store.answer(require_guards, primary=True)
            await self.store.answer(require_guards)  # A replica may be one by logical copying.
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
