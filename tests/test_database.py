"""The doors to the database: one transaction, one user, few round trips."""

import sqlite3

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from store.database import Store, driver_of
from store.errors import Unavailable
from store.models import User
from store.schema import add_user


async def test_a_block_that_raises_leaves_nothing_behind(store: Store) -> None:
    async def write_and_stop() -> None:
        async with store.write() as session:
            await session.execute(update(User).values(ledger_version=9))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await write_and_stop()

    async with store.read() as session:
        assert await session.scalar(select(User.ledger_version)) == 0


async def test_what_a_block_wrote_is_there_for_the_next(store: Store) -> None:
    async with store.write() as session:
        await session.execute(update(User).values(ledger_version=9))

    async with store.read() as session:
        assert await session.scalar(select(User.ledger_version)) == 9


async def test_a_reader_cannot_write(store: Store) -> None:
    async with store.read() as session:
        with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
            await session.execute(update(User).values(ledger_version=9))


async def test_sqlite_is_told_only_what_changes_between_reading_and_writing(
    store: Store,
) -> None:
    """Whatever a PRAGMA says, all statements of its connection are prepared anew."""
    if store.database.dialect == "postgresql":
        pytest.skip("PostgreSQL hears it with BEGIN")
    said = list[str]()
    async with store.read() as session:
        await driver_of(session).set_trace_callback(said.append)

    for doors in ((store.read, store.read), (store.write, store.write), (store.read,)):
        for door in doors:
            async with door():
                pass

    reads, writes = ["BEGIN", "COMMIT"], ["BEGIN IMMEDIATE", "COMMIT"]
    assert said == [
        "COMMIT", *reads, *reads,
        "PRAGMA query_only = OFF", *writes, *writes,
        "PRAGMA query_only = ON", *reads,
    ]  # fmt: skip


async def test_a_reader_cannot_write_after_a_writer_of_the_same_connection(store: Store) -> None:
    async with store.write() as session:
        await session.execute(update(User).values(ledger_version=9))

    async with store.read() as session:
        with pytest.raises(DBAPIError, match=r"(?i)read-?only"):
            await session.execute(update(User).values(ledger_version=10))


async def test_a_reader_cannot_write_after_a_writer_that_could_not_begin(
    store: Store,
) -> None:
    if store.database.dialect == "postgresql":
        pytest.skip("PostgreSQL hears it with BEGIN")
    async with store.read() as session:
        await driver_of(session).execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(str(store.database.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        async with store.write():
            pass
    other.execute("ROLLBACK")
    other.close()

    async with store.read() as session:
        with pytest.raises(DBAPIError, match="readonly"):
            await session.execute(update(User).values(ledger_version=9))


async def test_on_postgresql_a_user_sees_its_own_rows_whatever_the_statement_says(
    store: Store,
) -> None:
    if store.database.dialect == "sqlite":
        pytest.skip("SQLite has no row-level security; there the statements carry the user")
    await add_user(store, 2, "other")

    async with store.read(2) as session:
        seen = (await session.scalars(select(User.user_id))).all()
        role = await session.scalar(text("SELECT current_user"))

    assert seen == [2]
    assert role == "trade_history_app"
