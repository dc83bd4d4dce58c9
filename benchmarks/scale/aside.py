"""What stands aside while a database is filled, and has to stand again afterwards: keys,
indexes, triggers, walls. For the owner of the tables, inside one transaction."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from store.connecting import one_connection
from store.guards import wrong_guard
from store.settings import Settings

CONSTRAINTS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid),
        contype::text
    FROM pg_constraint WHERE contype IN ('p', 'u', 'f')
        AND connamespace = quote_ident(current_schema())::regnamespace
        AND (conrelid::regclass::text = ANY($1::text[])
            OR confrelid::regclass::text = ANY($1::text[]))"""
INDEXES = """
    SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid)
    FROM pg_index x JOIN pg_class c ON c.oid = indrelid
    WHERE relnamespace = quote_ident(current_schema())::regnamespace AND relname = ANY($1::text[])
        AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid
            AND contype IN ('p', 'u'))"""
CATALOG = """
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT pg_get_indexdef(indexrelid) || ' ' || indisvalid FROM pg_index x
        JOIN pg_class c ON c.oid = indrelid
        WHERE relnamespace = quote_ident(current_schema())::regnamespace
    UNION ALL
    SELECT relname || ' ' || attname || ' ' || attnotnull || format_type(atttypid, atttypmod)
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = quote_ident(current_schema())::regnamespace AND attnum > 0
            AND relkind IN ('r', 'p')"""


@asynccontextmanager
async def unhurried(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A connection of the URL's own role whose statements may take long."""
    database = settings.database()
    if database.dialect == "postgresql":
        unlimited = database.connect_args | {"command_timeout": None}
        database = replace(database, connect_args=unlimited)
    async with one_connection(database) as connection:
        yield connection


@dataclass(frozen=True)
class Postgresql:
    connection: AsyncConnection
    tables: Sequence[str]

    @asynccontextmanager
    async def set(self) -> AsyncIterator[None]:
        await self._say("BEGIN")
        before = await self._catalog()
        constraints = await self._fetch(CONSTRAINTS, list(self.tables))
        indexes = await self._fetch(INDEXES, list(self.tables))
        # Foreign keys lean on the keys, so they go first and come last.
        for table, name, _said, _kind in sorted(constraints, key=lambda one: one[3] != "f"):
            await self._say(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _said in indexes:
            await self._say(f"DROP INDEX {name}")
        for table in self.tables:
            await self._say(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            await self._say(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        yield
        for table, name, said, _kind in sorted(constraints, key=lambda one: one[3] == "f"):
            await self._say(f"ALTER TABLE {table} ADD CONSTRAINT {name} {said}")
        for _name, said in indexes:
            await self._say(said)
        for table in self.tables:
            await self._say(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            await self._say(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        assert await self._catalog() == before
        await _require_guards(self.connection)
        await self._say("COMMIT")

    async def settle(self) -> None:
        # VACUUM takes nothing as visible to all whose commit is not on disk yet.
        await self._say("SET synchronous_commit = on")
        await self._say("VACUUM ANALYZE")
        await self._say("CHECKPOINT")

    async def bytes(self) -> int:
        [[size]] = await self._fetch("SELECT pg_database_size(current_database())")
        return int(size)

    async def _catalog(self) -> list[str]:
        return sorted(str(line) for [line] in await self._fetch(CATALOG))

    async def _say(self, statement: str) -> None:
        driver: Any = (await self.connection.get_raw_connection()).driver_connection
        await driver.execute(statement)

    async def _fetch(self, statement: str, *parameters: Any) -> list[Any]:
        driver: Any = (await self.connection.get_raw_connection()).driver_connection
        found: list[Any] = await driver.fetch(statement, *parameters)
        return found


@dataclass(frozen=True)
class Sqlite:
    """Its keys stay: rows come in their order. Nothing but the catalog is put into a journal,
    for there was nothing else before."""

    connection: AsyncConnection
    tables: Sequence[str]

    @asynccontextmanager
    async def set(self) -> AsyncIterator[None]:
        for pragma in ("foreign_keys = OFF", "journal_mode = DELETE", "synchronous = OFF"):
            await self._fetch(f"PRAGMA {pragma}")
        await self._fetch("PRAGMA cache_size = -1000000")
        await self._fetch("BEGIN EXCLUSIVE")
        before = await self._catalog()
        taken = [
            (kind, name, sql)
            for kind, name, sql, table in before
            if kind in ("trigger", "index") and sql and table in self.tables
        ]
        for kind, name, _sql in taken:
            await self._fetch(f"DROP {kind} {name}")
        yield
        for _kind, _name, sql in taken:
            await self._fetch(sql)
        assert await self._catalog() == before
        assert not await self._fetch("PRAGMA foreign_key_check")
        await _require_guards(self.connection)
        await self._fetch("COMMIT")

    async def settle(self) -> None:
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "ANALYZE"):
            await self._fetch(statement)

    async def bytes(self) -> int:
        [[pages]] = await self._fetch("PRAGMA page_count")
        [[size]] = await self._fetch("PRAGMA page_size")
        return int(pages) * int(size)

    async def _catalog(self) -> list[Any]:
        found = await self._fetch("SELECT type, name, sql, tbl_name FROM sqlite_master")
        return sorted(tuple(row) for row in found)

    async def _fetch(self, statement: str) -> list[Any]:
        driver: Any = (await self.connection.get_raw_connection()).driver_connection
        return list(await driver.execute_fetchall(statement))


async def _require_guards(connection: AsyncConnection) -> None:
    wrong = await wrong_guard(AsyncSession(connection))
    assert wrong is None, wrong
