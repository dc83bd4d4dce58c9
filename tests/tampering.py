"""Whoever owns the database, and what they can do to it unseen by any lock.

Locks and foreign keys are taken away while a statement is said and stand again afterwards,
so that nothing but the data is wrong; checks that our tables make of a value are gone.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from store.models import Base
from tests.postgres_server import connect

TABLES = [table.name for table in Base.metadata.sorted_tables]
CHECKS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
    FROM pg_constraint WHERE contype = 'c' AND coninhcount = 0
        AND connamespace = 'public'::regnamespace"""


class Owner:
    """Says statements as the owner, and puts everything back as it was found."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.sqlite = isinstance(connection, sqlite3.Connection)
        self.found: dict[str, list[dict[str, Any]]] = {}

    async def rows(self, table: str, where: str = "true") -> list[dict[str, Any]]:
        """The rows as the database holds them, in the order of their key."""
        key = ", ".join(column.name for column in Base.metadata.tables[table].primary_key)
        query = f"SELECT * FROM {table} WHERE {where} ORDER BY {key}"
        found = (
            self.connection.execute(query).fetchall()
            if self.sqlite
            else await self.connection.fetch(query)
        )
        return [dict(row) for row in found]

    async def remember(self) -> None:
        self.found = {table: await self.rows(table) for table in TABLES}

    async def say(self, *statements: str) -> None:
        if not self.sqlite:
            async with self.connection.transaction():
                await self.connection.execute(";".join(statements))
            return
        with self.unlocked():
            for statement in statements:
                self.connection.execute(statement)

    async def put_back(self) -> None:
        if not self.sqlite:
            async with self.connection.transaction():
                for table in reversed(TABLES):
                    await self.connection.execute(f"DELETE FROM {table}")
                for table in TABLES:
                    await self.connection.copy_records_to_table(
                        table, records=[tuple(row.values()) for row in self.found[table]]
                    )
            return
        with self.unlocked():
            for table in TABLES:
                self.connection.execute(f"DELETE FROM {table}")
                for row in self.found[table]:
                    marks = ", ".join("?" * len(row))
                    values = tuple(row.values())
                    self.connection.execute(f"INSERT INTO {table} VALUES ({marks})", values)

    def unlocked(self) -> "Unlocked":
        return Unlocked(self.connection)


class Unlocked:
    """SQLite without its triggers, for one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.triggers: Sequence[Any] = ()

    def __enter__(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        self.triggers = self.connection.execute(query).fetchall()
        for trigger in self.triggers:
            self.connection.execute(f"DROP TRIGGER {trigger['name']}")

    def __exit__(self, *_: object) -> None:
        for trigger in self.triggers:
            self.connection.execute(trigger["sql"])
        self.connection.execute("COMMIT")


@asynccontextmanager
async def owner_of(database_url: str) -> AsyncIterator[Owner]:
    if database_url.startswith("sqlite"):
        raw = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
        raw.row_factory = sqlite3.Row
        raw.execute("PRAGMA ignore_check_constraints = ON")
        yield Owner(raw)
        raw.close()
        return
    connection = await connect(database_url)
    for (statement,) in await connection.fetch(CHECKS):
        await connection.execute(statement)
    await connection.execute("SET session_replication_role = replica")
    yield Owner(connection)
    await connection.close()


async def alter(database_url: str, *statements: str) -> None:
    """As the owner, who leaves every guard as it stood."""
    if database_url.startswith("sqlite"):
        async with owner_of(database_url) as owner:
            await owner.say(*statements)
        return
    connection = await connect(database_url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute(";".join(statements))
    await connection.close()
