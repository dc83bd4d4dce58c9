"""DATABASE_READ_URL: questions go to a replica that follows, everything else to the primary.

The replica is a real standby of PostgreSQL; where it has to be behind, its replay is paused.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.callers import Callers
from mcp_server.door import Door
from store import queries, replica
from store.changes import position
from store.database import Store
from store.errors import Invalid, Unavailable, Unwalled
from store.queries.get_trade_history import get_trade_history
from store.schema import prepare, upgrade
from store.settings import Settings
from tests.conftest import NUMBERS, in_own_loop, settings_for
from tests.ledger import record
from tests.postgres_server import (
    DISPOSABLE,
    NoPostgres,
    Postmaster,
    connect,
    postmaster,
    skip_or_fail,
)
from tests.server.asking import ask
from tests.server.signing_in import revoke, token, until
from tests.standby import standby_of

Pair = tuple[Postmaster, Postmaster]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A primary and its standby; `ledger` is a migrated database, to be copied."""
    try:
        with postmaster(DISPOSABLE) as primary:

            async def make() -> None:
                await primary.server.create_database("ledger")
                await upgrade(settings_for(primary.server.url("ledger")))

            in_own_loop(make())
            with standby_of(primary) as standby:
                yield primary, standby
    except NoPostgres as reason:
        skip_or_fail(reason)


@pytest.fixture
async def database(pair: Pair) -> AsyncIterator[str]:
    """A ledger with its local user, on both servers."""
    name = f"ledger_{next(NUMBERS)}"
    await pair[0].server.create_database(name, "ledger")
    alone = Store(settings_for(pair[0].server.url(name)))
    await prepare(alone)
    await alone.close()
    await caught_up(pair, name)
    yield name
    await pair[0].server.drop_database(name)


@pytest.fixture
async def store(pair: Pair, database: str) -> AsyncIterator[Store]:
    store = Store(reading_from(pair, database))
    yield store
    await store.close()


def reading_from(pair: Pair, database: str, url: str | None = None) -> Settings:
    primary, standby = (running.server.url(database) for running in pair)
    return Settings(
        _env_file=None,
        DATABASE_URL=SecretStr(primary),
        DATABASE_READ_URL=SecretStr(url or standby),
    )


async def caught_up(pair: Pair, database: str) -> None:
    primary = await connect(pair[0].server.url(database))
    standby = await until_connected(pair[1].server.url(database))
    written = await primary.fetchval("SELECT pg_current_wal_insert_lsn()::text")

    async def reached() -> bool:
        asked = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
        return bool(await standby.fetchval(asked, written))

    await until(reached)
    await primary.close()
    await standby.close()


async def until_connected(url: str) -> Any:
    """The database may not have arrived yet."""

    async def connected() -> Any:
        try:
            return await connect(url)
        except asyncpg.InvalidCatalogNameError:
            return None

    return await until(connected)


@asynccontextmanager
async def behind(pair: Pair, database: str) -> AsyncIterator[None]:
    """The standby takes in nothing more while the block lasts, and then everything."""
    standby = await connect(pair[1].server.url(database))
    await standby.execute("SELECT pg_wal_replay_pause()")

    async def paused() -> bool:
        state: str = await standby.fetchval("SELECT pg_get_wal_replay_pause_state()")
        return state == "paused"

    await until(paused)
    try:
        yield
    finally:
        await standby.execute("SELECT pg_wal_replay_resume()")
        await standby.close()
        await caught_up(pair, database)


async def on_standby(session: AsyncSession) -> bool:
    return bool(await session.scalar(text("SELECT pg_is_in_recovery()")))


async def trades(session: AsyncSession) -> int:
    return (await get_trade_history(session, mode="all")).scope.trades


async def test_questions_go_to_the_replica_and_nothing_else_does(store: Store) -> None:
    assert await store.answer(on_standby) is True

    assert await store.answer(on_standby, primary=True) is False
    assert await store.record(on_standby, keyed=True) is False
    assert await store.rehearse(on_standby) is False
    async with store.read() as session:
        assert await on_standby(session) is False
    async with store.operate() as session:
        assert await on_standby(session) is False


async def test_every_question_is_answered_by_a_standby(
    pair: Pair, database: str, store: Store
) -> None:
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL -1 scanner 80")
    await caught_up(pair, database)
    said: dict[str, dict[str, Any]] = {
        "get_trade": {"number": 2},
        "check_setup": {"ticker": "AAPL"},
    }

    for query in queries.load():
        name = query.__name__
        answer = await ask(store, name, **said.get(name, {}))
        assert answer["provenance"]["last_closed"].startswith("2026-01-06"), name
    assert await store.answer(on_standby) is True


async def test_who_recorded_here_finds_it_while_the_replica_is_behind(
    pair: Pair, database: str, store: Store
) -> None:
    await record(store, "2026-01-05 AAPL +1")
    await record(store, "2026-01-05 SPY +1", user_id=2)
    await caught_up(pair, database)

    async with behind(pair, database):
        await record(store, "2026-01-06 AAPL +1")

        assert await store.answer(trades) == 2
        assert await store.answer(on_standby) is False
        assert await store.answer(on_standby, 2) is True  # Nothing new of this user.
    assert await store.answer(trades) == 2
    assert await store.answer(on_standby) is True


async def test_who_looked_at_the_primary_does_not_go_back_in_time(
    pair: Pair, database: str, store: Store
) -> None:
    """As somebody does who was told of a change, wherever it was recorded."""
    elsewhere = Store(reading_from(pair, database))
    async with behind(pair, database):
        await record(elsewhere, "2026-01-05 AAPL +1")
        assert await store.answer(trades) == 0

        await store.answer(position, primary=True)

        assert await store.answer(trades) == 1
    await elsewhere.close()


async def test_a_token_revoked_elsewhere_opens_nothing_while_the_replica_is_behind(
    pair: Pair, database: str, store: Store
) -> None:
    elsewhere = Store(settings_for(pair[0].server.url(database)))
    theirs = await token(elsewhere)
    await caught_up(pair, database)
    async with behind(pair, database):
        assert await Callers(Door(store, many=True)).named_by(theirs) is not None

        await revoke(elsewhere, 1, 1)

        assert await Callers(Door(store, many=True)).named_by(theirs) is None
    await elsewhere.close()


async def test_while_the_replica_is_away_the_primary_answers(
    pair: Pair, store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Connections that wait are cut; the log says so once, and when it is over."""
    monkeypatch.setattr(replica, "AWAY_SECONDS", 0.0)
    caplog.set_level(logging.WARNING, "store.replica")
    assert await store.answer(on_standby) is True
    pair[1].stop()
    try:
        assert [await store.answer(on_standby) for _ in range(2)] == [False, False]
    finally:
        pair[1].start()

    assert await store.answer(on_standby) is True

    away, back = [entry.getMessage() for entry in caplog.records]
    where = f"127.0.0.1:{pair[1].server.port}"
    assert away.startswith("Questions go to the primary.")
    assert where in away
    assert back.startswith("Questions go to the replica")
    assert where in back
    assert pair[1].server.password not in caplog.text


async def test_one_question_in_a_while_tries_a_replica_that_is_away(
    pair: Pair, database: str
) -> None:
    nowhere = "postgresql://nobody:secret@127.0.0.1:1/nothing"
    store = Store(reading_from(pair, database, nowhere))
    tried: list[Any] = []
    assert store.replica is not None
    event.listen(
        store.replica.connections.engine.sync_engine, "do_connect", lambda *said: tried.append(said)
    )

    assert [await store.answer(on_standby) for _ in range(5)] == [False] * 5

    assert len(tried) == 1
    await store.close()


async def test_a_replica_without_walls_serves_nobody(pair: Pair, database: str) -> None:
    """As one made by logical copying would be."""
    bare = f"ledger_{next(NUMBERS)}"
    await pair[0].server.create_database(bare, "ledger")
    owner = await connect(pair[0].server.url(bare))
    await owner.execute("ALTER TABLE trades DISABLE ROW LEVEL SECURITY")
    await owner.close()
    store = Store(reading_from(pair, database, pair[0].server.url(bare)))

    with pytest.raises(Unwalled, match=f"This is the replica, postgresql://.*/{bare}"):
        await Door(store, many=True).ready()
    await store.close()
    await pair[0].server.drop_database(bare)


async def test_a_question_that_takes_too_long_is_not_asked_again_of_the_primary(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def slow(session: AsyncSession) -> None:
        await session.execute(text("SET LOCAL statement_timeout = 10"))
        await session.execute(text("SELECT pg_sleep(60)"))

    with pytest.raises(Unavailable, match="took too long"):
        await store.answer(slow)

    assert await store.answer(on_standby) is True
    assert not caplog.records


@pytest.mark.parametrize(
    ("url", "read_url", "refusal"),
    [
        ("sqlite:///a.db", "postgresql://a:s3cret@host/b", "SQLite has none; leave it unset"),
        ("postgresql://a:s3cret@host/b", "sqlite:///a.db", "SQLite has none; leave it unset"),
        ("postgresql://a:s3cret@host/b", "mysql://a:s3cret@host/b", "has the scheme 'mysql'"),
    ],
)
def test_an_address_that_is_no_replicas_is_refused(url: str, read_url: str, refusal: str) -> None:
    settings = Settings(
        _env_file=None, DATABASE_URL=SecretStr(url), DATABASE_READ_URL=SecretStr(read_url)
    )

    with pytest.raises(Invalid, match=f"^DATABASE_READ_URL .*{refusal}") as refused:
        Store(settings)

    assert "s3cret" not in str(refused.value)
