"""SQLite's statements, stopped where PostgreSQL stops them by itself: when they take too long,
and when nobody waits for them any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

stopping: set[asyncio.Task[None]] = set()  # Held here, for a task that nobody holds may vanish.


def limit_statements(engine: AsyncEngine, seconds: int) -> None:
    """Give SQLite what PostgreSQL has: a statement that takes longer is stopped, and so is one
    that nobody waits for any more."""

    def begin(connection: Any, *_statement: Any) -> None:
        raw = connection.connection.driver_connection
        loop = asyncio.get_running_loop()
        connection.info["limit"] = loop.call_later(seconds, _interrupt, raw)

    def end(connection: Any, *_statement: Any) -> None:
        if limit := connection.info.pop("limit", None):
            limit.cancel()

    def failed(context: ExceptionContext) -> None:
        if context.connection is None:
            return  # None could be opened.
        end(context.connection)
        if isinstance(context.original_exception, asyncio.CancelledError):
            _interrupt(cast(Any, context.connection).connection.driver_connection)
            # SQLAlchemy would close the connection, and SQLite keeps a closed one with its
            # transaction, and so its lock, while anything holds a cursor of it.
            context.is_disconnect = False

    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", failed)


@asynccontextmanager
async def stopped_in_time(driver: Any, seconds: float) -> AsyncIterator[None]:
    """The same for a statement that is said to the driver itself within the block."""
    limit = asyncio.get_running_loop().call_later(seconds, _interrupt, driver)
    try:
        yield
    except asyncio.CancelledError:
        _interrupt(driver)
        raise
    finally:
        limit.cancel()


def _interrupt(raw: Any) -> None:
    """Stop what an aiosqlite connection is working on."""
    stopping.add(task := asyncio.get_running_loop().create_task(raw.interrupt()))
    task.add_done_callback(stopping.discard)
