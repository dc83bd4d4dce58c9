"""What is recorded through one server is heard of at every other, at once, on PostgreSQL.

The servers that listen here never look by themselves, so what they tell was announced.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from mcp import Client
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server import watching
from mcp_server.server import build
from store.accounts import AccountEntry, put_account
from store.database import Store
from store.news import may_be_heard, news
from tests.conftest import settings_for
from tests.ledger import record
from tests.postgres_server import connect
from tests.server.asking import answer_in
from tests.server.running import Listening, listening
from tests.server.signing_in import revoke, signed_in, token, until
from tests.server.test_watching import OVERVIEW, TRADES, heard_until

HEARING = ("-m", "tests.server.hearing")
ON = {"TRADE_HISTORY_AUTH": "on", "TRADE_HISTORY_WRITING": "on"}
WRITE = ("trades:read", "trades:write")
ENTRY = {
    "account": "main", "ticker": "AAPL", "opened_at": "2026-01-05T10:15:00-05:00",
    "quantity": 100, "entry_price": 10.1, "key": "1",
}  # fmt: skip
LISTENS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
async def store(direct_url: str, store: Store) -> AsyncIterator[Store]:
    """Past a pooler, through which nothing is announced."""
    direct = Store(settings_for(direct_url))
    yield direct
    await direct.close()


@pytest.fixture
def never_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 86_400.0)


@asynccontextmanager
async def hearing(url: str, folder: Path) -> AsyncIterator[Listening]:
    async with listening("streamable-http", url, folder, program=HEARING, **ON) as server:
        yield server


async def until_listening(url: str) -> None:
    """A server told what it was told before, and now listens."""
    connection = await connect(url)

    async def listens() -> bool:
        return bool(await connection.fetchval(LISTENS))

    await until(listens)
    await connection.close()


async def test_a_subscriber_at_one_server_hears_of_what_another_recorded(
    store: Store, direct_url: str, tmp_path: Path
) -> None:
    """And of what a program without any server did; nobody hears of another user's trades."""
    mine, theirs = await token(store, 1, WRITE), await token(store, 2)
    await store.record(add_account, keyed=True)
    wanted = [OVERVIEW, *TRADES]

    async with (
        hearing(direct_url, tmp_path) as one,
        listening("streamable-http", direct_url, tmp_path, **ON) as another,
        signed_in(one, mine) as me,
        signed_in(one, theirs) as them,
        signed_in(another, mine) as i_record,
        me.listen(resource_subscriptions=wanted) as my_stream,
        them.listen(resource_subscriptions=wanted) as their_stream,
    ):
        answer_in(await i_record.call_tool("record_trade", ENTRY))
        assert await heard_until(my_stream, TRADES[0]) == [OVERVIEW, TRADES[0]]

        await record(store, "2026-01-06 SPY +1")
        assert await heard_until(my_stream, TRADES[1]) == [OVERVIEW, TRADES[1]]

        await record(store, "2026-01-05 THEIRS +1", user_id=2)
        assert await heard_until(their_stream, TRADES[0]) == [OVERVIEW, TRADES[0]]


async def test_a_stream_ends_when_its_token_is_revoked_elsewhere(
    store: Store, direct_url: str, tmp_path: Path
) -> None:
    revoked = await token(store)

    async with (
        hearing(direct_url, tmp_path) as server,
        signed_in(server, revoked) as client,
        client.listen(resource_subscriptions=[OVERVIEW]) as stream,
    ):
        await until_listening(direct_url)
        await revoke(store, 1, 1)

        assert [event async for event in stream] == []


async def test_who_lost_the_connection_listens_again_and_misses_nothing(
    store: Store, direct_url: str, monkeypatch: pytest.MonkeyPatch, never_looking: None
) -> None:
    monkeypatch.setattr(watching, "ANNOUNCED_SECONDS", 0.2)

    async with (
        Client(build(store)) as client,
        client.listen(resource_subscriptions=[*TRADES]) as stream,
    ):
        await until_listening(direct_url)
        owner = await connect(direct_url)
        await owner.execute(
            LISTENS.replace("count(*)", "pg_terminate_backend(pid)")
            + " AND pid <> pg_backend_pid()"
        )
        await owner.close()
        await record(store, "2026-01-05 AAPL +1")

        assert await heard_until(stream, TRADES[0]) == [TRADES[0]]


async def test_nothing_is_announced_that_was_undone_or_only_read(
    store: Store, direct_url: str
) -> None:
    heard: list[int] = []
    async with news(store, heard.append) as come_through:
        await store.rehearse(add_account)
        with suppress(ZeroDivisionError):
            async with store.write() as session:
                await add_account(session)
                raise ZeroDivisionError
        await store.answer(lambda session: session.connection())
        assert await come_through()
        assert heard == []

        await record(store, "2026-01-05 THEIRS +1", user_id=2)
        assert await come_through()
        assert set(heard) == {2}


async def add_account(session: AsyncSession) -> None:
    await put_account(session, AccountEntry(name="main", mode="live"))


async def test_the_server_listens_only_while_somebody_does(store: Store, direct_url: str) -> None:
    async with Client(build(store)) as client:
        assert await listeners(direct_url) == 0
        async with client.listen(resource_subscriptions=[OVERVIEW]):
            await until_listening(direct_url)

        async def nobody() -> bool:
            return await listeners(direct_url) == 0

        await until(nobody)


async def listeners(url: str) -> int:
    connection = await connect(url)
    found: int = await connection.fetchval(f"{LISTENS} AND pid <> pg_backend_pid()")
    await connection.close()
    return found


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://a:b@host/c?pgbouncer=true"])
def test_where_nothing_can_be_heard_nobody_listens(url: str) -> None:
    assert not may_be_heard(Store(settings_for(url)))
