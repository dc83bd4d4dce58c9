"""Who hears of changes: each subscriber of its own user's trades, and of nobody else's.

Trades are recorded by other programs too, so the server looks, and only for users of whom
somebody listens, at two counters of the user's row: when PostgreSQL announces a recording of
the user, or every `LOOK_SECONDS` where nothing is announced. A stream belongs to the user of
the request that began it; what one user records reaches no other's streams.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import MCPError
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ListenHandler,
    ResourceUpdated,
    ServerEvent,
)
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.door import Door, caller
from mcp_server.resources import OVERVIEW, TRADE
from store.changes import Changes, Position, changes_since, position
from store.errors import StoreError
from store.news import may_be_heard, news
from store.tokens import is_open

LOOK_SECONDS = 2.0
ANNOUNCED_SECONDS = 30.0  # Between looks, and between tries to hear of a reason for one.
TOGETHER_SECONDS = 0.1  # What is recorded within it is told together.
# A token runs out, or is taken back by its issuer: a stream that needed one is begun anew.
STREAM_SECONDS = 3_600.0
STREAMS_MAX = 32  # Of a user.
URIS_MAX = 1_000  # Of a session of the older protocol.
SEND_SECONDS = 5.0  # For a client that does not read.
SUBSCRIBED = "subscribed"

log = logging.getLogger(__name__)

Tell = Callable[[ServerEvent], None]
End = Callable[[], None]
Request = ServerRequestContext[Any]


@dataclass(eq=False)
class Stream:
    """Somebody who listens: how to tell, how to end it, with which token and for how long."""

    tell: Tell
    end: End
    token: str | None
    until: float


@dataclass(eq=False)
class Watched:
    """A user of whom somebody listens, and how far was told."""

    since: Position
    reason: asyncio.Event = field(default_factory=asyncio.Event)  # To look at once.
    streams: list[Stream] = field(default_factory=list)
    looking: asyncio.Task[None] | None = None

    @property
    def tokens(self) -> set[str]:
        """Our own tokens, which can be revoked; an issuer's cannot be asked about."""
        return {one.token for one in self.streams if one.token and one.token.isdigit()}


@dataclass
class OneStream:
    """The SDK's bus of events, for a single stream."""

    join: Callable[[Tell], End]

    async def publish(self, event: ServerEvent) -> None:
        """Nothing in the server makes events but `Watch`."""

    def subscribe(self, listener: Tell) -> End:
        return self.join(listener)


class Watch:
    """Serves subscriptions, in both protocols."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._users: dict[int, Watched] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._hearing: asyncio.Task[None] | None = None
        self._announced = False

    def serve(self, server: MCPServer[Any]) -> None:
        # The SDK has no public way to these methods of a whole server.
        inner = server._lowlevel_server
        inner.add_request_handler(
            "subscriptions/listen", SubscriptionsListenRequestParams, self._listen
        )
        inner.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        inner.add_request_handler(
            "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )

    async def _listen(
        self, ctx: Request, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        since = await self._position()
        with anyio.CancelScope() as scope:
            bus = OneStream(lambda tell: self._join(since, tell, scope.cancel))
            return await ListenHandler(bus)(ctx, params)
        ended = {"_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}
        return SubscriptionsListenResult.model_validate(ended)

    async def _subscribe(self, ctx: Request, params: SubscribeRequestParams) -> EmptyResult:
        state = ctx.session._connection.state
        if SUBSCRIBED not in state:
            since = await self._position()
            if SUBSCRIBED not in state:  # Another request of the session may have been faster.
                self._join_session(ctx, since)
        uris: set[str] = state[SUBSCRIBED]
        if len(uris) >= URIS_MAX and params.uri not in uris:
            raise MCPError(
                code=INVALID_REQUEST,
                message=f"This session has {URIS_MAX} subscriptions, the most that are kept.",
            )
        uris.add(params.uri)
        return EmptyResult()

    async def _unsubscribe(self, ctx: Request, params: UnsubscribeRequestParams) -> EmptyResult:
        ctx.session._connection.state.get(SUBSCRIBED, set()).discard(params.uri)
        return EmptyResult()

    def _join_session(self, ctx: Request, since: Position) -> None:
        """Listen for a session of the older protocol, until it ends."""
        connection = ctx.session._connection
        uris: set[str] = connection.state.setdefault(SUBSCRIBED, set())

        def tell(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated) and event.uri in uris:
                sending = asyncio.create_task(send(event.uri))
                self._sending.add(sending)
                sending.add_done_callback(self._sending.discard)

        async def send(uri: str) -> None:
            with anyio.move_on_after(SEND_SECONDS):
                await ctx.session.send_resource_updated(uri)

        def end() -> None:
            connection.state.pop(SUBSCRIBED, None)
            leave()

        leave = self._join(since, tell, end)
        connection.exit_stack.callback(leave)

    async def _position(self) -> Position:
        """From where on the user who asks is told of changes: from before it is acknowledged.

        Raises:
            MCPError: the store is away, or enough streams of this user listen.
        """
        try:
            found = await self._door.answer_as(self._door.user_id(), position, primary=True)
        except StoreError as error:
            raise MCPError(code=INTERNAL_ERROR, message=str(error)) from None
        watched = self._users.get(self._door.user_id())
        if watched is not None and len(watched.streams) >= STREAMS_MAX:
            raise MCPError(
                code=INVALID_REQUEST,
                message=f"{STREAMS_MAX} streams of this user listen already; end one of them.",
            )
        return found

    def _join(self, since: Position, tell: Tell, end: End) -> End:
        """Let `tell` hear of what the user who asks records; gives back what ends that."""
        user_id, asking = self._door.user_id(), caller.get()
        watched = self._users.setdefault(user_id, Watched(since))
        stream = Stream(
            tell,
            end,
            token=asking.token if asking else None,
            until=time.monotonic() + STREAM_SECONDS if asking else float("inf"),
        )
        watched.streams.append(stream)
        if watched.looking is None:
            watched.looking = asyncio.create_task(self._look_again(user_id, watched))
        if self._hearing is None and may_be_heard(self._door.store):
            self._hearing = asyncio.create_task(self._hear())

        def leave() -> None:
            if stream in watched.streams:
                watched.streams.remove(stream)
            if not watched.streams and self._users.get(user_id) is watched:
                del self._users[user_id]
                if watched.looking is not None:
                    watched.looking.cancel()
            if not self._users and self._hearing is not None:
                self._hearing.cancel()
                self._hearing, self._announced = None, False

        return leave

    async def _hear(self) -> None:
        """Find out of whom something is recorded, on a connection that lasts as long as anybody
        listens here; a serverless database could not sleep otherwise."""

        def tell(user_id: int) -> None:
            if (watched := self._users.get(user_id)) is not None:
                watched.reason.set()

        while True:
            try:
                async with news(self._door.store, tell) as come_through:
                    while await come_through():
                        self._look_rarely(announced=True)
                        await asyncio.sleep(ANNOUNCED_SECONDS)
            except StoreError:
                pass  # Looking says more, and to those who ask.
            except Exception:
                log.exception("Announcements cannot be heard")
            self._look_rarely(announced=False)
            await asyncio.sleep(ANNOUNCED_SECONDS)

    def _look_rarely(self, *, announced: bool) -> None:
        """Or often, where nothing is announced; and now, for what was not heard till now."""
        if announced == self._announced:
            return
        self._announced = announced
        for watched in self._users.values():
            watched.reason.set()

    async def _look_again(self, user_id: int, watched: Watched) -> None:
        while True:  # Until the last who listens leaves, and cancels it.
            with suppress(TimeoutError):
                async with asyncio.timeout(ANNOUNCED_SECONDS if self._announced else LOOK_SECONDS):
                    await watched.reason.wait()
                    await asyncio.sleep(TOGETHER_SECONDS)
            watched.reason.clear()
            try:
                await self._look(user_id, watched)
            except StoreError:
                continue  # Away: what is recorded meanwhile is told when it is back.
            except Exception:
                log.exception("Changes cannot be looked up")

    async def _look(self, user_id: int, watched: Watched) -> None:
        async def changed(session: AsyncSession) -> tuple[Changes, set[str]]:
            revoked = {one for one in watched.tokens if not await is_open(session, int(one))}
            return await changes_since(session, watched.since), revoked

        changes, revoked = await self._door.answer_as(user_id, changed, primary=True)
        now = time.monotonic()
        over = {one for one in watched.streams if one.token in revoked or now > one.until}
        for stream in over:
            stream.end()
        watched.since = changes.position
        for event in events_of(changes):
            for stream in set(watched.streams) - over:
                stream.tell(event)


def events_of(changes: Changes) -> list[ResourceUpdated]:
    """What is to be read again."""
    overview = [ResourceUpdated(OVERVIEW)] if changes.answers else []
    return overview + [ResourceUpdated(TRADE.format(number=number)) for number in changes.trades]
