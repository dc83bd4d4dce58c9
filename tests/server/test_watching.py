"""News of changes: who subscribed to a resource hears of it, and only of its own user's.

Trades are recorded by this process, past the server, as an import or another server does.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.shared.subscriptions import ResourceUpdated
from mcp.types import INTERNAL_ERROR, ResourceUpdatedNotification

from mcp_server import watching
from mcp_server.door import caller
from mcp_server.server import build
from mcp_server.watching import STREAMS_MAX
from store.corrections import correct_trade
from store.database import Store
from store.tokens import Caller
from tests.conftest import settings_for
from tests.ledger import read as line
from tests.ledger import record, trade
from tests.server.running import Listening, listening, on_stdio
from tests.server.signing_in import bearer, revoke, signed_in, token, until

ON = {"TRADE_HISTORY_AUTH": "on"}
OVERVIEW = "trades://overview"
TRADES = [f"trades://trade/{number}" for number in (1, 2, 3)]
WITHIN_SECONDS = 60


class Heard(list[str]):
    """The addresses that a session of the older protocol was told of."""

    async def take(self, message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            self.append(message.params.uri)

    async def of(self, uri: str) -> list[str]:
        """All that was heard, once `uri` was."""

        async def told() -> bool:
            return uri in self

        await until(told)
        return list(self)


@asynccontextmanager
async def older_session(target: Any, *uris: str) -> AsyncIterator[Heard]:
    heard = Heard()
    async with Client(target, mode="legacy", message_handler=heard.take) as client:
        for uri in uris:
            await subscribe(client, uri)
        yield heard


async def subscribe(client: Client, uri: str) -> None:
    with pytest.warns(MCPDeprecationWarning):
        await client.subscribe_resource(uri)


async def heard_until(stream: Any, uri: str) -> list[str]:
    """What a stream of today's protocol tells, up to `uri`."""
    told = []
    async with asyncio.timeout(WITHIN_SECONDS):
        async for event in stream:
            assert isinstance(event, ResourceUpdated)
            told.append(event.uri)
            if event.uri == uri:
                break
    return told


async def test_a_stream_tells_of_the_overview_and_of_each_trade(store: Store) -> None:
    """Trade 1 closed before, trade 2 is recorded, trade 3 corrects trade 1."""
    await record(store, "2026-01-05 AAPL +1")
    restated = trade({"account": "main", **line("2026-01-05 AAPL +2")})

    async with (
        Client(build(store)) as client,
        client.listen(resource_subscriptions=[OVERVIEW, *TRADES]) as stream,
    ):
        await record(store, "2026-01-06 SPY +1")
        first = await heard_until(stream, TRADES[1])
        async with store.write() as session:
            await correct_trade(session, 1, restated, reason="the fill was wrong")
        then = await heard_until(stream, TRADES[2])

    assert first == [OVERVIEW, TRADES[1]]
    assert then == [OVERVIEW, TRADES[0], TRADES[2]]


async def test_only_what_was_subscribed_to_is_told(store: Store) -> None:
    async with (
        Client(build(store)) as client,
        client.listen(resource_subscriptions=[TRADES[1]]) as stream,
    ):
        await record(store, "2026-01-05 AAPL +1\n2026-01-06 SPY +1")

        assert await heard_until(stream, TRADES[1]) == [TRADES[1]]


async def test_a_session_of_the_older_protocol_is_told_until_it_unsubscribes(
    store: Store,
) -> None:
    heard = Heard()
    async with Client(build(store), mode="legacy", message_handler=heard.take) as client:
        for uri in (OVERVIEW, TRADES[0], TRADES[1]):
            await subscribe(client, uri)
        await record(store, "2026-01-05 AAPL +1")
        assert await heard.of(TRADES[0]) == [OVERVIEW, TRADES[0]]

        with pytest.warns(MCPDeprecationWarning):
            await client.unsubscribe_resource(OVERVIEW)
        await record(store, "2026-01-06 SPY +1")

        assert await heard.of(TRADES[1]) == [OVERVIEW, TRADES[0], TRADES[1]]


async def test_the_store_is_looked_at_only_while_somebody_listens(store: Store) -> None:
    def looking() -> int:
        return sum("_look_again" in repr(task) for task in asyncio.all_tasks())

    async def nobody() -> bool:
        return looking() == 0

    async with Client(build(store)) as client:
        async with client.listen(resource_subscriptions=[OVERVIEW]):
            assert looking() == 1
            async with client.listen(resource_subscriptions=[TRADES[0]]):
                assert looking() == 1
        await until(nobody)
    async with older_session(build(store), OVERVIEW):
        assert looking() == 1
    await until(nobody)


async def test_a_user_has_so_many_streams_and_no_more(store: Store) -> None:
    async with Client(build(store)) as client, AsyncExitStack() as streams:
        for _ in range(STREAMS_MAX):
            await streams.enter_async_context(client.listen(resource_subscriptions=[OVERVIEW]))

        with pytest.raises(MCPError, match=f"{STREAMS_MAX} streams of this user listen already"):
            await streams.enter_async_context(client.listen(resource_subscriptions=[OVERVIEW]))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_program_on_stdio_tells_too(store: Store, database_url: str, mode: Any) -> None:
    if mode == "legacy":
        async with older_session(on_stdio(database_url), TRADES[0]) as heard:
            await record(store, "2026-01-05 AAPL +1")
            assert await heard.of(TRADES[0]) == [TRADES[0]]
        return
    async with (
        Client(on_stdio(database_url)) as client,
        client.listen(resource_subscriptions=[TRADES[0]]) as stream,
    ):
        await record(store, "2026-01-05 AAPL +1")
        assert await heard_until(stream, TRADES[0]) == [TRADES[0]]


async def test_over_http_each_user_hears_of_its_own_trades_only(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """The other user records first and has heard of it; then the first one does."""
    mine, theirs = await token(store, 1), await token(store, 2)
    await record(store, "2026-01-05 AAPL +1")
    wanted = [OVERVIEW, *TRADES]

    async with (
        listening("streamable-http", database_url, tmp_path, **ON) as server,
        signed_in(server, mine) as me,
        signed_in(server, theirs) as them,
        me.listen(resource_subscriptions=wanted) as my_stream,
        them.listen(resource_subscriptions=wanted) as their_stream,
    ):
        await record(store, "2026-01-05 THEIRS +1", user_id=2)
        assert await heard_until(their_stream, TRADES[0]) == [OVERVIEW, TRADES[0]]
        await record(store, "2026-01-06 SPY +1")

        assert await heard_until(my_stream, TRADES[1]) == [OVERVIEW, TRADES[1]]


@pytest.mark.parametrize("transport", ["streamable-http", "sse"])
async def test_so_does_each_session_of_the_older_protocol(
    store: Store, database_url: str, tmp_path: Path, transport: str
) -> None:
    mine, theirs = await token(store, 1), await token(store, 2)
    await record(store, "2026-01-05 AAPL +1")
    wanted = [OVERVIEW, *TRADES]

    async with (
        listening(transport, database_url, tmp_path, **ON) as server,
        reaching(server, mine) as my_way,
        reaching(server, theirs) as their_way,
        older_session(my_way, *wanted) as i_heard,
        older_session(their_way, *wanted) as they_heard,
    ):
        await record(store, "2026-01-05 THEIRS +1", user_id=2)
        assert await they_heard.of(TRADES[0]) == [OVERVIEW, TRADES[0]]
        await record(store, "2026-01-06 SPY +1")

        assert await i_heard.of(TRADES[1]) == [OVERVIEW, TRADES[1]]


@asynccontextmanager
async def reaching(server: Listening, text: str) -> AsyncIterator[Any]:
    if server.url.endswith("/sse"):
        yield sse_client(server.url, headers=bearer(text))
        return
    async with httpx2.AsyncClient(headers=bearer(text)) as http:
        yield streamable_http_client(server.url, http_client=http)


@pytest.mark.parametrize("uris", [[OVERVIEW], []])
async def test_a_stream_that_needed_a_token_ends_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, uris: list[str]
) -> None:
    """Whose token cannot be asked about is asked for it again."""
    monkeypatch.setattr(watching, "STREAM_SECONDS", 0.0)
    signed_in = caller.set(Caller(1, frozenset({"trades:read"}), "oauth:app", "pro", None))

    async with (
        Client(build(store)) as client,
        client.listen(resource_subscriptions=uris) as stream,
        asyncio.timeout(WITHIN_SECONDS),
    ):
        assert [event async for event in stream] == []
    caller.reset(signed_in)


async def test_without_a_store_the_reason_is_said() -> None:
    away = Store(settings_for("postgresql://nobody:secret@127.0.0.1:1/nothing"))

    async with Client(build(away)) as client:
        with pytest.raises(MCPError) as unread:
            await client.read_resource(OVERVIEW)
        with pytest.raises(MCPError) as unheard:
            await client.listen(resource_subscriptions=[OVERVIEW]).__aenter__()
    await away.close()

    for refused in (unread, unheard):
        assert refused.value.error.code == INTERNAL_ERROR
        assert "is unreachable" in refused.value.error.message
        assert "secret" not in refused.value.error.message


async def test_a_revoked_token_hears_nothing_more(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """The other token of the same user still hears of the trade recorded afterwards."""
    revoked, kept = await token(store), await token(store)

    async with (
        listening("streamable-http", database_url, tmp_path, **ON) as server,
        signed_in(server, revoked) as one,
        signed_in(server, kept) as other,
        one.listen(resource_subscriptions=[OVERVIEW]) as ended,
        other.listen(resource_subscriptions=[OVERVIEW]) as going_on,
    ):
        await revoke(store, 1, 1)
        await record(store, "2026-01-05 AAPL +1")

        assert await heard_until(going_on, OVERVIEW) == [OVERVIEW]
        with suppress(StopAsyncIteration):
            pytest.fail(f"heard {await anext(aiter(ended))}")
