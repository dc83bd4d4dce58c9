"""Doors to the database: `read()` and `write()`, each one transaction of one user.

On PostgreSQL a transaction opens with a single message that carries BEGIN, the role and
the user's identity together, so that an answer costs three round trips: begin, statement,
commit. The role is neither owner nor exempt from row-level security, whatever role the
URL names. Everything is local to the transaction: nothing can leak through a pooler.

On SQLite readers use a plain BEGIN with query_only, writers BEGIN IMMEDIATE; the user's
identity is the predicate that every statement carries.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from store.database_url import Database
from store.errors import Unavailable
from store.memory import Memory
from store.settings import Settings

ROLE = "trade_history_app"
BUSY_SECONDS = 30
# What a driver raises when the other side has gone.
DROPPED = (
    ConnectionError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
RECYCLE_SECONDS = 280  # Serverless databases drop idle connections after five minutes.


class Store:
    """The ledger of one database; `read()` and `write()` give a session bound to a user.

    The engine connects lazily: a Store can be made while the database is down.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database: Database = settings.database()
        self.engine: AsyncEngine = create_engine(settings)
        self.memory = Memory()
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def read(self, user_id: int | None = None) -> AsyncIterator[AsyncSession]:
        """A read-only transaction as `user_id` (the configured local user by default)."""
        async with self._transaction(user_id, write=False) as session:
            yield session

    @asynccontextmanager
    async def write(self, user_id: int | None = None) -> AsyncIterator[AsyncSession]:
        """One unit of work: committed at the end of the block, undone by any exception."""
        if self.database.dialect == "postgresql":
            async with self._transaction(user_id, write=True) as session:
                yield session
            return
        # SQLite has one writer; waiting here is fair, waiting in the file is not.
        async with self._writing, self._transaction(user_id, write=True) as session:
            yield session

    @asynccontextmanager
    async def _transaction(
        self, user_id: int | None, *, write: bool
    ) -> AsyncIterator[AsyncSession]:
        user = int(self.settings.user_id if user_id is None else user_id)
        opening = self._opening(user, write=write)
        async with open_connection(self.engine, self.database, opening) as connection:
            # What a writer has not committed yet is nothing to remember.
            info = {"user_id": user, "memory": Memory() if write else self.memory}
            yield AsyncSession(connection, expire_on_commit=False, info=info)
            await commit(connection)

    def _opening(self, user: int, *, write: bool) -> list[str]:
        if self.database.dialect == "sqlite":
            # query_only is left on by readers, so writers say theirs too.
            only, begin = ("OFF", "BEGIN IMMEDIATE") if write else ("ON", "BEGIN")
            return [f"PRAGMA query_only = {only}", begin]
        # SET LOCAL takes no parameters; `user` and the timeout are integers.
        timeout = int(self.settings.statement_timeout_seconds * 1000)
        # One snapshot for all statements of a reader, as SQLite gives it.
        kind = "READ WRITE" if write else "ISOLATION LEVEL REPEATABLE READ READ ONLY"
        return [
            f"BEGIN {kind};"
            f" SET LOCAL ROLE {ROLE};"
            f" SET LOCAL app.user_id = '{user}';"
            f" SET LOCAL statement_timeout = {timeout}"
        ]

    async def close(self) -> None:
        await self.engine.dispose()


def user_of(session: AsyncSession) -> int:
    """The user whose transaction this is; every statement names it."""
    user: int = session.info["user_id"]
    return user


def memory_of(session: AsyncSession) -> Memory:
    """What this process remembers of this database."""
    memory: Memory = session.info["memory"]
    return memory


def create_engine(settings: Settings) -> AsyncEngine:
    """An engine in autocommit, for the doors above say BEGIN and COMMIT themselves."""
    database = settings.database()
    if database.path is not None:
        # A folder that cannot be made is said at the first connection, not here.
        with suppress(OSError):
            database.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    in_memory = database.dialect == "sqlite" and database.path is None
    engine = create_async_engine(
        database.url,
        connect_args=database.connect_args,
        isolation_level="AUTOCOMMIT",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1 if in_memory else settings.pool_size,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
        pool_recycle=-1 if in_memory else RECYCLE_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    if database.dialect == "sqlite":
        event.listen(engine.sync_engine, "connect", _pragmas)
    return engine


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


@asynccontextmanager
async def open_connection(
    engine: AsyncEngine, database: Database, opening: Sequence[str] = ()
) -> AsyncIterator[AsyncConnection]:
    """A connection on which `opening` was said, or a sentence that says why there is none.

    Whatever the block began and did not commit is rolled back; a connection that cannot
    say ROLLBACK is thrown away.
    """
    connection = await _connect(engine, database)
    try:
        try:
            await _open(connection, opening)
        except DROPPED:
            # The server hung up while the connection waited, and so it did on the others.
            await connection.invalidate()
            await connection.close()
            await engine.dispose()
            connection = await _connect(engine, database)
            await _open(connection, opening)
        yield connection
    except (DBAPIError, *DROPPED) as error:
        if (reason := _why_it_failed(error)) is None:
            raise
        raise Unavailable(f"The store {database.name} {reason}") from None
    finally:
        await asyncio.shield(_give_back(connection))


async def _connect(engine: AsyncEngine, database: Database) -> AsyncConnection:
    try:
        return await engine.connect()
    except PoolTimeout:
        raise Unavailable(
            f"The store is busy: no connection became free in {BUSY_SECONDS} seconds."
        ) from None
    except (DBAPIError, OSError, TimeoutError) as error:
        raise _unreachable(error, database) from None


async def _open(connection: AsyncConnection, opening: Sequence[str]) -> None:
    try:
        await say(connection, opening)
    except asyncpg.PostgresError as error:
        # The role is missing, or may not be taken.
        if error.sqlstate in ("22023", "42704", "42501"):
            raise Unavailable(
                f"The database has no usable role {ROLE}: run `trade-history migrate`."
            ) from None
        raise
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise Unavailable(
            f"The store is busy: another program has been writing to it for {BUSY_SECONDS} seconds."
        ) from None


def _why_it_failed(error: BaseException) -> str | None:
    """What happened to a connection under way; None if the fault is not the connection's."""
    state = getattr(getattr(error, "driver_exception", error), "sqlstate", None)
    if state == "57014":
        return "took too long to answer and was stopped; ask for less, or raise the limit."
    if isinstance(error, DROPPED) or getattr(error, "connection_invalidated", False):
        return "broke off; a write may be repeated safely under the same key."
    return None


async def _give_back(connection: AsyncConnection) -> None:
    if not (connection.invalidated or connection.closed):
        try:
            if await _in_transaction(connection):
                await say(connection, ["ROLLBACK"])
        except Exception:
            await connection.invalidate()
    await connection.close()


async def _in_transaction(connection: AsyncConnection) -> bool:
    raw: Any = (await connection.get_raw_connection()).driver_connection
    if connection.dialect.name == "sqlite":
        return bool(raw.in_transaction)
    if raw.is_closed():
        raise asyncpg.InterfaceError("the connection is closed")
    return bool(raw.is_in_transaction())


def _unreachable(error: BaseException, database: Database) -> Unavailable:
    """Plain words for a refused connection; the driver's text may carry secrets."""
    state = getattr(getattr(error, "driver_exception", None), "sqlstate", None)
    reasons = {
        "28P01": "the password or user name is refused; check DATABASE_URL",
        "28000": "the user may not connect; check DATABASE_URL",
        "3D000": "the database does not exist; create it or check DATABASE_URL",
        "53300": "it has no connection left; lower TRADE_HISTORY_POOL_SIZE",
        "57P03": "it is starting up; try again shortly",
    }
    if state in reasons:
        reason = reasons[state]
    elif database.dialect == "sqlite":
        reason = "the file cannot be opened; check that its folder exists and is writable"
    else:
        reason = "it does not answer; check that it runs and that host and port are right"
    return Unavailable(f"The store {database.name} is unreachable: {reason}.")


async def commit(connection: AsyncConnection) -> None:
    """Make what the transaction did durable."""
    await say(connection, ["COMMIT"])


async def say(connection: AsyncConnection, statements: Sequence[str]) -> None:
    """Say statements to the driver itself: several in one text make one round trip."""
    raw: Any = (await connection.get_raw_connection()).driver_connection
    for statement in statements:
        await raw.execute(statement)
