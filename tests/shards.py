"""A ledger over three PostgreSQL servers: one that plans, two that hold the users' rows.

Each shard is a whole ledger of its own, migrated as any other. On the coordinator every table
of users' data is partitioned by the hash of `user_id`, and its two partitions are the tables of
the shards, reached by postgres_fdw. What the planner leaves out of a plan is never asked.

Row-level security does not travel: settings of a transaction stay on the coordinator, so the
statements run as the owner here, and their own predicate is all that keeps users apart.
"""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

from store.models import Base
from tests.postgres_server import Server, connect, quoted

USERS_TABLES = tuple(table for table in Base.metadata.sorted_tables if "user_id" in table.columns)
NOBODYS = tuple(table for table in Base.metadata.sorted_tables if table not in USERS_TABLES)
OF_USERS = re.compile(rf"\b({'|'.join(table.name for table in USERS_TABLES)})\b")
VERB = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
ROLE = re.compile(r"SET LOCAL ROLE (\w+)")
LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (\w+):  ", re.MULTILINE)
STATEMENT = re.compile(r"(?:statement|execute [^:]+): ")
VALUE = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')")
NUMBERS = count(1)
PARTITION = re.compile(r"\b\w+_on_shard_([0-9])\b")


@dataclass(frozen=True)
class Sent:
    """A statement as the server got it, under which of our roles; its values as SQL says them."""

    role: str
    text: str
    values: tuple[str, ...]

    @property
    def of_users(self) -> bool:
        """Whether it reads or writes rows of users; a name that only sounds so counts, too, but
        not what is asked of the catalogue."""
        said = VERB.match(self.text) and OF_USERS.search(self.text)
        return bool(said) and "pg_class" not in self.text


@asynccontextmanager
async def overheard(server: Server, database: str) -> AsyncIterator[list[Sent]]:
    """What is sent to the database by connections of this block, from the server's own log:
    nothing that a program does to reach its driver can pass it by."""
    sent: list[Sent] = []
    owner = await connect(server.direct(server.url(database)))
    await owner.execute(f"ALTER DATABASE {quoted(database)} SET log_statement = 'all'")
    begin = server.log.stat().st_size
    yield sent
    await owner.execute(f"ALTER DATABASE {quoted(database)} RESET log_statement")
    await owner.close()
    sent += logged(server.log.read_bytes()[begin:].decode())


def logged(log: str) -> Iterator[Sent]:
    """The statements of a log, whose lines go on behind a tab."""
    marks = [*LINE.finditer(log)]
    ends = [mark.start() for mark in marks[1:]] + [len(log)]
    said = [
        (mark[1], mark[2], log[mark.end() : end].rstrip("\n").replace("\n\t", "\n"))
        for mark, end in zip(marks, ends, strict=True)
    ]
    roles: dict[str, str] = {}
    for (process, level, words), (_, after, values) in pairwise([*said, ("", "", "")]):
        if level == "LOG" and (found := STATEMENT.match(words)):
            text = words[found.end() :]
            if taken := ROLE.search(text):
                roles[process] = taken[1]
            given = VALUE.findall(values) if after == "DETAIL" else []
            yield Sent(roles.get(process, "owner"), text, tuple(given))


@dataclass(frozen=True)
class Sharded:
    """The coordinator, and the ledger whose rows it has."""

    coordinator: Any
    ledger: Any

    async def shards(self, sent: Sent) -> set[int]:
        """The shards that the plan of the statement asks."""
        async with prepared(self.coordinator, sent) as execute:
            plan = await self.coordinator.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) {execute}")
        return {int(number) for number in PARTITION.findall(plan)}

    async def answers(self, sent: Sent) -> list[list[Any]]:
        """What the coordinator answers, and what the ledger does."""
        found = []
        for connection in (self.coordinator, self.ledger):
            async with prepared(connection, sent) as execute:
                found.append(await connection.fetch(execute))
        return found

    async def shard_of(self, user_id: int) -> int:
        found = await self.coordinator.fetchval(
            "SELECT tableoid::regclass::text FROM users WHERE user_id = $1", user_id
        )
        return int(PARTITION.findall(found)[0])


@asynccontextmanager
async def prepared(connection: Any, sent: Sent) -> AsyncIterator[str]:
    """How to execute the statement with its values, whose types the server works out."""
    name = f"sent_{next(NUMBERS)}"  # The driver remembers what one name answers.
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    await connection.execute(f"PREPARE {name} AS {sent.text}")
    yield f"EXECUTE {name}({', '.join(sent.values)})" if sent.values else f"EXECUTE {name}"


@asynccontextmanager
async def sharded(ledger: str, coordinator: str) -> AsyncIterator[Sharded]:
    """Connections to the coordinator and to the ledger that was spread."""
    first, second = await connect(ledger), await connect(coordinator)
    try:
        yield Sharded(second, first)
    finally:
        await first.close()
        await second.close()


async def spread(ledger: str, coordinator: str, shards: Sequence[tuple[Server, str]]) -> None:
    """Spread the rows of `ledger` over `shards`, migrated databases by server and name;
    `coordinator`, migrated too, becomes what plans."""
    async with sharded(ledger, coordinator) as both:
        await lay_out(both.coordinator, shards)
        for table in Base.metadata.sorted_tables:
            rows = await both.ledger.fetch(f"SELECT * FROM {table.name}")
            await both.coordinator.copy_records_to_table(table.name, records=rows)
        await both.coordinator.execute("ANALYZE")


async def lay_out(coordinator: Any, shards: Sequence[tuple[Server, str]]) -> None:
    await coordinator.execute("ALTER SCHEMA public RENAME TO migrated")
    await coordinator.execute("CREATE SCHEMA public; CREATE EXTENSION postgres_fdw")
    for number, (server, database) in enumerate(shards):
        # Rows are copied as they are: their guards did their work when they were recorded.
        options = {
            "host": server.host, "port": server.port, "dbname": database,
            "options": "-c session_replication_role=replica", "use_remote_estimate": "true",
        }  # fmt: skip
        login = {"user": server.user, "password": server.password}
        await coordinator.execute(
            f"CREATE SERVER shard_{number} FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS ({written(options)});"
            f" CREATE USER MAPPING FOR CURRENT_USER SERVER shard_{number}"
            f" OPTIONS ({written(login)})"
        )
    for table in NOBODYS:
        await coordinator.execute(f"CREATE TABLE {table.name} (LIKE migrated.{table.name})")
    for table in USERS_TABLES:
        await coordinator.execute(
            f"CREATE TABLE {table.name} (LIKE migrated.{table.name}) PARTITION BY HASH (user_id)"
        )
        for number in range(len(shards)):
            await coordinator.execute(
                f"CREATE FOREIGN TABLE {table.name}_on_shard_{number} PARTITION OF {table.name}"
                f" FOR VALUES WITH (MODULUS {len(shards)}, REMAINDER {number})"
                f" SERVER shard_{number} OPTIONS (table_name {literal(table.name)})"
            )
    # Views say their tables without a schema where it is the first that is looked in.
    await coordinator.execute("SET search_path = migrated")
    views = await coordinator.fetch("SELECT * FROM pg_views WHERE schemaname = 'migrated'")
    await coordinator.execute("SET search_path = public")
    for view in views:
        await coordinator.execute(f"CREATE VIEW {view['viewname']} AS {view['definition']}")


def written(options: dict[str, Any]) -> str:
    return ", ".join(f"{quoted(name)} {literal(str(value))}" for name, value in options.items())


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
