"""Through a transaction pooler: who shares a connection shares nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import asyncpg
import pytest
from sqlalchemy import select, text

from store.database import Store
from store.models import User
from store.schema import add_user, prepare
from tests.conftest import settings_for
from tests.pgbouncer import CONNECTIONS

pytestmark = pytest.mark.skipif(
    not os.environ.get("TEST_PGBOUNCER"), reason="TEST_PGBOUNCER names no pooler"
)
USERS = range(1, 3 * CONNECTIONS + 1)


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
async def processes(store: Store, database_url: str) -> AsyncIterator[list[Store]]:
    """One for each user, all at the same pooler."""
    for user in USERS:
        await add_user(store, user, f"user {user}")
    stores = [Store(settings_for(database_url)) for _ in USERS]
    yield stores
    for one in stores:
        await one.close()


async def seen_by(store: Store, user: int) -> tuple[int, list[int]]:
    """The server's connection that was met, and the users who could be read on it."""
    async with store.read(user) as session:
        connection = await session.scalar(text("SELECT pg_backend_pid()"))
        return int(connection or 0), list(await session.scalars(select(User.user_id)))


async def repeat(work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await work()


@asynccontextmanager
async def busy(processes: list[Store]) -> AsyncIterator[None]:
    """All of them ask without pause, so that no connection waits for its last client."""
    tasks = [
        asyncio.create_task(repeat(partial(seen_by, store, user)))
        for user, store in zip(USERS, processes, strict=True)
    ]
    try:
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_users_who_share_connections_see_only_themselves(processes: list[Store]) -> None:
    async def look(store: Store, user: int) -> set[int]:
        met = set()
        for _ in range(20):
            connection, users = await seen_by(store, user)
            assert users == [user]
            met.add(connection)
        return met

    met = await asyncio.gather(*map(look, processes, USERS))

    assert len(set().union(*met)) <= CONNECTIONS < len(USERS)


async def test_a_program_starts_while_others_keep_every_connection_busy(
    processes: list[Store], database_url: str
) -> None:
    async with busy(processes):
        for _ in range(5):
            store = Store(settings_for(database_url))
            await prepare(store)
            await store.close()


async def test_a_transaction_leaves_nothing_on_its_connection(
    processes: list[Store], database_url: str
) -> None:
    await asyncio.gather(*(seen_by(*one) for one in zip(processes, USERS, strict=True)))

    address = database_url.partition("?")[0]
    clients = [await asyncpg.connect(address, statement_cache_size=0) for _ in range(CONNECTIONS)]
    for client in clients:
        await client.execute("BEGIN")  # Together they hold every connection there is.
    left = [
        await client.fetchrow(
            "SELECT pg_backend_pid(), current_user::text, current_setting('app.user_id', true),"
            " current_setting('statement_timeout'),"
            " (SELECT count(*) FROM pg_prepared_statements)"
        )
        for client in clients
    ]
    for client in clients:
        await client.close()

    assert len({connection for connection, *_ in left}) == CONNECTIONS
    for _connection, *settings in left:
        # Once set, an identity that is gone reads as empty, not as null.
        assert settings in (["postgres", "", "0", 0], ["postgres", None, "0", 0])
