"""The database fails in every way it can: one plain sentence, a bounded wait, nothing half done."""

import asyncio
import socket
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, put_account
from store.connecting import driver_connection, say
from store.database import Store
from store.errors import Unavailable
from store.faults import ATTEMPTS, patiently
from store.models import Account, User
from store.queries.get_strategy_performance import get_strategy_performance
from store.recording import open_trade
from store.schema import prepare
from store.settings import Settings
from store.users import put_tier
from tests.conftest import settings_for
from tests.ledger import read, record, trade
from tests.postgres_server import Server, connect
from tests.server.running import free_port

ENTRY = trade({"account": "main", **read("2026-01-05 AAPL +10")})
# Minutes of work for either database, without any data.
ENDLESS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    " SELECT max(i) FROM n WHERE i < 0",
    "postgresql": "SELECT pg_sleep(600)",
}


async def open_one(session: AsyncSession) -> int:
    return (await open_trade(session, ENTRY, key="one")).number


async def account(store: Store) -> None:
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="paper"))


async def trades(store: Store) -> int:
    async with store.read() as session:
        found: int | None = await session.scalar(select(User.last_trade))
    assert found is not None
    return found


# The database cannot be reached.


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"password": "canary"}, "the password or user name is refused; check DATABASE_URL."),
        ({"user": "canary"}, "the password or user name is refused; check DATABASE_URL."),
        ({"database": "nowhere"}, "the database does not exist; create it or check DATABASE_URL."),
        ({"host": "nowhere.invalid"}, "its host name is not known; check DATABASE_URL, and"),
        ({"port": "free"}, "it does not answer; check that it runs and that host and port are"),
        ({"sslmode": "require"}, "it does not agree to the encryption asked for; check sslmode"),
    ],
)
async def test_each_way_to_miss_a_server_has_its_sentence(
    server: Server, change: dict[str, str], sentence: str
) -> None:
    said: dict[str, Any] = {
        "user": "me", "password": "canary", "host": server.host, "port": server.port,
        "database": "postgres", **change,
    }  # fmt: skip
    if "user" not in change and "password" not in change:
        url = server.direct(server.url(said["database"]))
    else:
        url = f"postgresql://{said['user']}:canary@{said['host']}:{said['port']}/postgres"
    if "host" in change:
        url = f"postgresql://me:canary@{said['host']}/postgres"
    if "port" in change:
        url = f"postgresql://me:canary@127.0.0.1:{free_port()}/postgres"
    if "sslmode" in change:
        url += "?sslmode=require"
    store = Store(settings_for(url))

    with pytest.raises(Unavailable, match="is unreachable: ") as refused:
        await store.answer(lambda session: session.execute(text("SELECT 1")))
    await store.close()

    assert sentence in str(refused.value)
    assert "canary" not in str(refused.value)


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Something listens, accepts and says nothing, as a dead tunnel does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        options = "connect_timeout=1&sslmode=disable"
        store = Store(settings_for(f"postgresql://me:canary@127.0.0.1:{port}/postgres?{options}"))
        with pytest.raises(Unavailable, match="it does not answer"):
            await store.answer(lambda session: session.execute(text("SELECT 1")))
        await store.close()


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "trades.db"
    path.write_text("these are not the bytes of a database" * 100)
    store = Store(settings_for(f"sqlite:///{path}"))

    with pytest.raises(Unavailable, match="the file is no SQLite database; check DATABASE_URL"):
        await prepare(store)
    await store.close()


async def test_a_disk_that_is_full_is_said_and_nothing_is_half_written(
    sqlite_template: Path, tmp_path: Path
) -> None:
    """SQLite says the same when a file may not grow as when its disk is full."""
    path = tmp_path / "trades.db"
    path.write_bytes(sqlite_template.read_bytes())
    store = Store(settings_for(f"sqlite:///{path}"))
    await prepare(store)
    await account(store)
    sentence = "has no space left on its disk; free some and repeat, nothing of this is recorded"
    recorded = 0

    async def one_more(session: AsyncSession) -> None:
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        async with raw.execute("PRAGMA page_count") as cursor:
            pages = (await cursor.fetchone())[0]
        await raw.execute(f"PRAGMA max_page_count = {pages}")
        for _ in range(200):
            await open_trade(session, ENTRY)

    with pytest.raises(Unavailable, match=sentence):
        await store.record(one_more, keyed=False)

    assert await trades(store) == recorded
    await store.close()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_file_that_may_not_be_written_is_said(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """Root writes whatever the rights say, so the file is said to be read-only to SQLite."""
    path = tmp_path / "trades.db"
    path.write_bytes(sqlite_template.read_bytes())
    store = Store(settings_for(f"sqlite:///{path}"))
    await prepare(store)

    async def written(session: AsyncSession) -> None:
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        await raw.execute("PRAGMA query_only = ON")
        await put_account(session, AccountEntry(name="main", mode="paper"))

    with pytest.raises(Unavailable, match="is read-only; the file, its folder and its disk must"):
        await store.record(written, keyed=False)
    await store.close()


# It takes too long, or nobody waits any more.


@pytest.fixture
def impatient(database_url: str) -> Settings:
    return settings_for(database_url).model_copy(update={"statement_timeout_seconds": 1})


async def test_a_statement_that_takes_too_long_is_stopped_in_the_database(
    impatient: Settings,
) -> None:
    store = Store(impatient)
    await prepare(store)
    endless = text(ENDLESS[store.database.dialect])

    with pytest.raises(Unavailable, match="took too long to answer and was stopped"):
        await store.answer(lambda session: session.execute(endless))

    assert await trades(store) == 0
    await store.close()


async def test_a_question_that_nobody_waits_for_is_stopped_in_the_database(
    store: Store, direct_url: str
) -> None:
    """The only connection is free again long before the statement would have ended."""
    settings = settings_for(direct_url).model_copy(
        update={"pool_size": 1, "statement_timeout_seconds": 600}
    )
    lonely = Store(settings)
    endless = text(ENDLESS[store.database.dialect])
    asked = asyncio.create_task(lonely.answer(lambda session: session.execute(endless)))
    await asyncio.sleep(0.3)

    asked.cancel()
    with suppress(asyncio.CancelledError):
        await asked

    async with asyncio.timeout(20):
        assert await trades(lonely) == 0
    if store.database.dialect == "postgresql":
        connection = await asyncpg.connect(direct_url)
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND state = 'active'"
        assert await connection.fetchval(running, ENDLESS["postgresql"]) == 0
        await connection.close()
    await lonely.close()


async def test_when_all_connections_are_taken_the_store_says_that_it_is_busy(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.connecting.POOL_SECONDS", 1)
    store = Store(settings_for(database_url).model_copy(update={"pool_size": 1}))
    await prepare(store)
    async with store.read():
        with pytest.raises(Unavailable, match="no connection became free in 1 seconds"):
            await trades(store)
    assert await trades(store) == 0
    await store.close()


async def test_a_connection_goes_to_whoever_has_waited_longest(database_url: str) -> None:
    """Also where somebody asks just as it becomes free."""
    store = Store(settings_for(database_url).model_copy(update={"pool_size": 1}))
    await prepare(store)
    asked, served = list[int](), list[int]()

    async def ask(name: int) -> None:
        for turns in range(10):
            asked.append(name)
            async with store.read():
                served.append(name)
            for _ in range(turns * name % 7):
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as crowd:
        for name in range(10):
            crowd.create_task(ask(name))

    assert served == asked
    await store.close()


@pytest.mark.parametrize("write", [False, True])
async def test_who_leaves_leaves_no_transaction_behind(store: Store, write: bool) -> None:
    """Wherever it is cancelled, while its error is still held by somebody; also no connection
    that writes where it is to read."""
    door = store.write if write else store.read

    async def enter() -> None:
        async with door() as session:
            await session.scalar(select(User.name))

    left = []
    for steps in range(75):
        async with (store.read if write else store.write)():
            pass
        left.append(asyncio.create_task(enter()))
        for _ in range(steps % 25):
            await asyncio.sleep(0)
        left[-1].cancel()
        await asyncio.gather(left[-1], return_exceptions=True)
        async with store.connections.open() as connection:
            await say(connection, ["SELECT 1"])  # What was on its way is done before it.
            assert not in_transaction(driver_connection(connection))
        async with asyncio.timeout(10):
            await account(store)

    async with AsyncExitStack() as held:
        for _ in range(store.settings.pool_size):
            session = await held.enter_async_context(store.read())
            with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
                await session.execute(update(User).values(ledger_version=9))


def in_transaction(raw: Any) -> bool:
    """The driver's connection, of either database."""
    postgresql = hasattr(raw, "is_in_transaction")
    return bool(raw.is_in_transaction() if postgresql else raw.in_transaction)


async def test_who_leaves_while_another_program_writes_does_not_take_the_lock_later(
    store: Store,
) -> None:
    if store.database.dialect == "postgresql":
        pytest.skip("PostgreSQL has many writers")
    async with store.write():
        pass
    other = sqlite3.connect(str(store.database.path), isolation_level=None, timeout=0.2)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5), store.write():
            pass
    other.execute("ROLLBACK")
    await trades(store)
    await store.close()

    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")
    other.close()


async def test_a_store_that_was_closed_is_used_by_another_loop(database_url: str) -> None:
    store = Store(settings_for(database_url).model_copy(update={"pool_size": 1}))

    async def crowd() -> list[int]:
        await prepare(store)
        found = await asyncio.gather(*(trades(store) for _ in range(3)))
        await store.close()
        return found

    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, crowd()) == [0, 0, 0]


async def test_what_adds_up_beyond_the_integers_of_sqlite_is_said(store: Store) -> None:
    """It keeps millionths in 64 bits: 9,223,372,036,854.775807 at most."""
    await record(store, "2026-01-05 AAPL +5000000000000\n2026-01-06 AAPL +5000000000000")

    if store.database.dialect == "postgresql":
        answer = await store.answer(get_strategy_performance)
        assert answer.overall.net_pnl == "10000000000000.00"
        return
    with pytest.raises(Unavailable, match=r"cannot add up more than 9\.2 trillion"):
        await store.answer(get_strategy_performance)


# It breaks off, and comes back.


async def test_a_write_whose_connection_breaks_is_done_once_under_its_key(
    store: Store, database_url: str
) -> None:
    if store.database.dialect == "sqlite":
        pytest.skip("a file has no connection that could break")
    await account(store)
    attempts = 0

    async def cut_at_first(session: AsyncSession) -> int:
        nonlocal attempts
        attempts += 1
        number = await open_one(session)
        if attempts == 1:
            await cut_others(database_url)
        return number

    assert await store.record(cut_at_first, keyed=True) == 1
    assert (attempts, await trades(store)) == (2, 1)


async def test_a_write_without_a_key_is_not_repeated(store: Store, database_url: str) -> None:
    if store.database.dialect == "sqlite":
        pytest.skip("a file has no connection that could break")
    await account(store)

    async def cut(session: AsyncSession) -> None:
        await open_trade(session, ENTRY)
        await cut_others(database_url)
        await session.execute(text("SELECT 1"))

    with pytest.raises(Unavailable, match="broke off; a write may be repeated safely under the"):
        await store.record(cut, keyed=False)
    assert await trades(store) == 0


async def test_a_question_is_asked_again_when_its_connection_breaks(
    store: Store, database_url: str
) -> None:
    if store.database.dialect == "sqlite":
        pytest.skip("a file has no connection that could break")
    attempts = 0

    async def cut_at_first(session: AsyncSession) -> Any:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            await cut_others(database_url)
        return await session.scalar(select(User.last_trade))

    assert await store.answer(cut_at_first) == 0
    assert attempts == 2


async def test_of_two_that_wait_for_each_other_both_succeed(store: Store) -> None:
    """A deadlock: the database undoes one of the two, which is then begun anew."""
    if store.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    await record(store, "2026-01-05 A +1", account="first")
    await record(store, "2026-01-05 A +1", account="second")
    both = asyncio.Barrier(2)
    met = 0

    def crossing(mine: int, theirs: int) -> Callable[[AsyncSession], Awaitable[None]]:
        async def work(session: AsyncSession) -> None:
            nonlocal met
            lock = select(Account).with_for_update()
            await session.execute(lock.where(Account.account_id == mine))
            if met < 2:
                met += 1
                await both.wait()
            await session.execute(lock.where(Account.account_id == theirs))

        return work

    await asyncio.gather(
        store.record(crossing(1, 2), keyed=False), store.record(crossing(2, 1), keyed=False)
    )


@pytest.mark.parametrize(
    ("again", "keyed", "attempts"),
    [("yes", False, ATTEMPTS), ("keyed", True, ATTEMPTS), ("keyed", False, 1), ("no", True, 1)],
)
async def test_only_what_is_safe_is_tried_again_and_not_for_ever(
    again: Any, keyed: bool, attempts: int
) -> None:
    made = 0

    async def fails() -> None:
        nonlocal made
        made += 1
        raise Unavailable("away", again=again)

    with pytest.raises(Unavailable, match="away"):
        await patiently(fails, keyed=keyed)
    assert made == attempts


async def test_a_recording_that_waited_for_a_change_of_tier_is_recorded(store: Store) -> None:
    if store.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    waiting = asyncio.Event()

    async def recorded() -> None:
        waiting.set()
        await account(store)

    async with store.operate(1, write=True) as session:
        await put_tier(session, "free")
        task = asyncio.create_task(recorded())
        await waiting.wait()
        await asyncio.sleep(0.3)  # For its statement to reach the lock.
    await task

    async with store.read() as session:
        assert await session.scalar(select(User.last_account)) == 1


async def cut_others(database_url: str) -> None:
    connection = await connect(database_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
