"""Connections to one database, given to whoever has waited longest.

They are in autocommit: whoever opens one says BEGIN and COMMIT. What was begun and not
committed is rolled back, and whatever fails is said in a sentence with its remedy.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from store.database_url import Database
from store.errors import Unavailable
from store.faults import dropped, fault, faults, not_opened, unreachable

BUSY_SECONDS = 30  # For another program that writes to the same SQLite file: an import.
POOL_SECONDS = 30  # For a connection that others of this program use.
READS, WRITES = "PRAGMA query_only = ON", "PRAGMA query_only = OFF"
RECYCLE_SECONDS = 280  # Serverless databases drop idle connections after five minutes.


class Connections:
    """Up to `size` connections, each made when it is first needed: the database may be down
    until then. A ledger in memory is its one connection."""

    def __init__(self, database: Database, size: int = 1) -> None:
        self.database = database
        self._size = 1 if database.in_memory else size
        self.engine = _engine(database, self._size)
        # The pool gives what is free to whoever asks at that moment, before those who wait.
        self._turns = asyncio.Semaphore(self._size)
        self._returning: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(
        self, opening: Sequence[str] = (), role: str = ""
    ) -> AsyncIterator[AsyncConnection]:
        """A connection on which `opening` was said, which takes `role`.

        Raises:
            Unavailable: the database is away, busy, or refuses what was asked of it.
        """
        turns = await self._turn()
        try:
            connection = await self._connect()
        except BaseException:
            turns.release()
            raise
        begun = left = False
        try:
            try:
                await _open(connection, opening, role)
            except dropped():
                # The server hung up while the connection waited, and so it did on the others.
                await connection.invalidate()
                await connection.close()
                await self.engine.dispose()
                connection = await self._connect()
                await _open(connection, opening, role)
            begun = True
            yield connection
        except asyncio.CancelledError:
            left = not begun  # It may begin yet, in its own time; nobody waits for that.
            raise
        except faults() as error:
            if (unavailable := fault(error, self.database)) is None:
                raise
            raise unavailable from None
        finally:
            returning = asyncio.create_task(self._give_back(connection, turns, begun))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
            if not left:
                await asyncio.shield(returning)

    async def _turn(self) -> asyncio.Semaphore:
        turns = self._turns
        try:
            async with asyncio.timeout(POOL_SECONDS):
                await turns.acquire()
        except TimeoutError:
            raise Unavailable(
                f"The store is busy: no connection became free in {POOL_SECONDS} seconds.",
                away=False,
            ) from None
        return turns

    async def _connect(self) -> AsyncConnection:
        try:
            return await self.engine.connect()
        except faults(OSError) as error:
            raise unreachable(error, self.database) from None

    async def _give_back(
        self, connection: AsyncConnection, turns: asyncio.Semaphore, begun: bool
    ) -> None:
        try:
            await _undo(connection, begun)
            await connection.close()
        finally:
            turns.release()

    async def close(self) -> None:
        """Once what is on its way back has come; they may be opened again, by another loop."""
        await asyncio.gather(*self._returning, return_exceptions=True)
        await self.engine.dispose()
        self._turns = asyncio.Semaphore(self._size)


@asynccontextmanager
async def one_connection(database: Database) -> AsyncIterator[AsyncConnection]:
    """A connection of its own, which ends with the block."""
    connections = Connections(database)
    try:
        async with connections.open() as connection:
            yield connection
    finally:
        await connections.close()


def _engine(database: Database, size: int) -> AsyncEngine:
    if database.path is not None:
        # A folder that cannot be made is said at the first connection, not here.
        with suppress(OSError):
            database.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_async_engine(
        database.url,
        connect_args=database.connect_args,
        isolation_level="AUTOCOMMIT",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_recycle=-1 if database.in_memory else RECYCLE_SECONDS,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # `_undo` says ROLLBACK where there is anything to undo.
        hide_parameters=True,
    )
    if database.path is not None:
        event.listen(engine.sync_engine, "do_connect", _private(database.path))
    if database.dialect == "sqlite":
        event.listen(engine.sync_engine, "connect", _pragmas)
    return engine


def _private(path: Path) -> Callable[..., None]:
    """Make a file that is not there yet for its owner's eyes only; what SQLite puts beside it
    gets the same mode."""

    def make(*_connecting: Any) -> None:
        # What cannot be made is said by SQLite, which opens it next.
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    return make


def _pragmas(connection: Any, _record: Any) -> None:
    """What SQLite must be told on every connection (STRICT tables need nothing more).

    Without recursive_triggers INSERT OR REPLACE deletes rows unseen by DELETE triggers.
    """
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "recursive_triggers = ON",
        f"busy_timeout = {BUSY_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


async def _open(connection: AsyncConnection, opening: Sequence[str], role: str) -> None:
    """Say `opening`, but not again what SQLite's connection is set to already: whatever a
    PRAGMA sets, all prepared statements are prepared anew."""
    known = connection.sync_connection.info  # type: ignore[union-attr]
    try:
        for text in opening:
            if text == known.get("set"):
                continue
            setting = text in (READS, WRITES)
            if setting:
                known.pop("set", None)  # Whoever leaves now does not know what it is set to.
            await say(connection, [text])
            if setting:
                known["set"] = text  # At once: what follows it may fail.
    except faults() as error:
        if (unavailable := not_opened(error, role, BUSY_SECONDS)) is None:
            raise
        raise unavailable from None


async def _undo(connection: AsyncConnection, begun: bool) -> None:
    """Undo what is not committed; a connection that cannot say ROLLBACK is thrown away.

    Whether a transaction is open is not known until what was said is done: unless it had
    `begun`, BEGIN may be on its way still. SQLite's thread does what it is told in order.
    """
    if connection.invalidated or connection.closed:
        return
    try:
        await (_undo_sqlite if connection.dialect.name == "sqlite" else _undo_postgresql)(
            driver_connection(connection), begun
        )
    except Exception:
        await connection.invalidate()


async def _undo_sqlite(raw: Any, begun: bool) -> None:
    if begun and not raw.in_transaction:
        return
    try:
        await raw.execute("ROLLBACK")
    except sqlite3.OperationalError:
        if raw.in_transaction:
            raise  # Else there was nothing to undo: it never began, or is committed.


async def _undo_postgresql(raw: Any, begun: bool) -> None:
    if not begun or raw.is_closed():
        raise ConnectionError("nobody knows what it is doing")
    if raw.is_in_transaction():
        await raw.execute("ROLLBACK")


async def commit(connection: AsyncConnection, announcement: str | None = None) -> None:
    """Make what the transaction did durable, and only then announce it.

    In the same message, but not in the transaction: PostgreSQL lets those that notify commit
    only one after another, each for as long as its disk takes.
    """
    await say(connection, [f"COMMIT; {announcement}" if announcement else "COMMIT"])


async def say(connection: AsyncConnection, statements: Sequence[str]) -> None:
    """Say statements to the driver itself: several in one text make one round trip."""
    raw = driver_connection(connection)
    for statement in statements:
        await raw.execute(statement)


def driver_connection(connection: AsyncConnection) -> Any:
    """What is open already, so nothing is waited for."""
    return cast(Any, connection.sync_connection).connection.driver_connection
