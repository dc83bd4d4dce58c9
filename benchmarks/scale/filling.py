"""Fill an empty database with the ledgers of many users, as large as the machine bears.

A book of some thousand trades is recorded through the store, into a file of its own. Every
user then gets some of its trades, numbered anew and set apart by seconds, by statements that
run inside the database. So every column is as the store derives it, and every constraint of
the schema is checked on every row. On PostgreSQL all users' first trades come first, then all
second ones: one user's thousand trades lie on a thousand pages, as recording would leave them.

Keys, foreign keys and indexes are taken away and made again, triggers and walls stand aside,
all of it inside one transaction, at whose end the catalog has to be what it was. Of the audit
and of callers' keys there is nothing: these trades were not recorded one by one. Nor are they
noted for the operator's report: its sums have to be made anew afterwards.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.machines import say, settings_for
from benchmarks.scale.aside import Postgresql, Sqlite, unhurried
from benchmarks.scale.book import record_book
from store.columns import Moment
from store.database import Store
from store.errors import Conflict
from store.models import Base
from store.schema import upgrade
from store.settings import Settings

DAYS, EACH = 500, 16  # Of the book: trading days, and trades of a day.
WITH_SNAPSHOTS = 60  # Days, where each trade has a price path, too.
ROUNDS = 1_000  # Of recording: in each, every user records a part of their trades.
BLOCK = 50_000  # Trades that SQLite is given at once, user by user.
OF_USERS = ("users", "accounts", "strategies")

Book = dict[Table, list[dict[str, Any]]]


@dataclass(frozen=True)
class Filled:
    """How many rows each table has now, and what it took."""

    rows: dict[str, int]
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Sizes:
    """How many closed trades each user has, the first user first."""

    trades: tuple[int, ...]

    @property
    def rounds(self) -> int:
        return min(ROUNDS, max(self.trades))


def sizes(users: int, trades: int, heavy: int = 0) -> Sizes:
    """`users` with `trades` each; then `heavy` more with a hundred times as many, of whom the
    last has a thousand times as many."""
    many = [100 * trades] * (heavy - 1) + [1_000 * trades] if heavy else []
    return Sizes((*[trades] * users, *many))


async def fill(settings: Settings, sizes: Sizes, snapshots: int = 0, days: int = DAYS) -> Filled:
    """Migrate the database and fill it with the ledgers of users 1, 2, 3 ..., whose trades are
    copies of a book of so many `days`.

    Raises:
        Conflict: somebody's trades are in it; those of a benchmark could never be removed.
    """
    begun = time.perf_counter()
    await upgrade(settings)
    days = min(WITH_SNAPSHOTS if snapshots else days, max(sizes.trades))
    each = min(EACH, max(1, sum(sizes.trades) // days))
    async with unhurried(settings) as connection:
        await _require_empty(settings, connection)
        say(f"Recording a book of {days * each:,} trades ...")
        book = await _recorded(days, each, snapshots)
        aside: Postgresql | Sqlite
        tables = [table.name for table in book]
        if connection.dialect.name == "postgresql":
            aside = Postgresql(connection, tables)
            blocks = _rounds(sizes)
        else:
            aside = Sqlite(connection, tables)
            blocks = _users(sizes)
        async with aside.set():
            await _stage(connection, book, sizes)
            rows = await _multiply(connection, book, Picking(days, each), list(blocks))
            say(f"Making keys and indexes ({time.perf_counter() - begun:,.0f} s so far) ...")
        await aside.settle()
        size = await aside.bytes()
    return Filled(rows, time.perf_counter() - begun, size)


async def _require_empty(settings: Settings, connection: AsyncConnection) -> None:
    found = await connection.exec_driver_sql("SELECT count(*) FROM users")
    if count := found.scalar_one():
        raise Conflict(
            f"{settings.database().name} already has {count} users. A benchmark's trades cannot"
            " be removed again; name an empty database."
        )


async def _recorded(days: int, each: int, snapshots: int) -> Book:
    """The rows of a book, by table: of the user, and of everything that is part of a trade."""
    with tempfile.TemporaryDirectory(prefix="trade-history-book-") as folder:
        store = Store(settings_for(f"sqlite:///{Path(folder, 'book.db')}", 1))
        try:
            await record_book(store, days, each, snapshots)
            async with store.connections.engine.connect() as connection:
                found = {}
                for table in Base.metadata.sorted_tables:
                    if table.name in (*OF_USERS, "trades") or "trade_number" in table.c:
                        rows = (await connection.execute(select(table))).mappings()
                        found[table] = [dict(row) for row in rows]
        finally:
            await store.close()
    return {table: rows for table, rows in found.items() if rows}


async def _stage(connection: AsyncConnection, book: Book, sizes: Sizes) -> None:
    """The book, and who gets how many of its trades, into temporary tables."""
    for table, rows in book.items():
        staged = table.to_metadata(MetaData(), name=f"book_{table.name}")
        await connection.exec_driver_sql(
            f"CREATE TEMPORARY TABLE book_{table.name} AS SELECT * FROM {table.name} LIMIT 0"  # noqa: S608
        )
        await connection.execute(insert(staged), rows)
        if number := _number(table):
            await connection.exec_driver_sql(
                f"CREATE INDEX found_{table.name} ON book_{table.name} ({number})"
            )
    await connection.exec_driver_sql(
        "CREATE TEMPORARY TABLE members (user_id BIGINT PRIMARY KEY, trades BIGINT NOT NULL)"
    )
    members = enumerate(sizes.trades, start=1)
    values = ", ".join(f"({user}, {trades})" for user, trades in members)
    await connection.exec_driver_sql(f"INSERT INTO members VALUES {values}")  # noqa: S608
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql(
            "CREATE TEMPORARY TABLE numbers AS WITH RECURSIVE counted (n) AS"  # noqa: S608
            f" (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {max(sizes.trades)})"
            " SELECT n FROM counted"
        )
        await connection.exec_driver_sql("CREATE UNIQUE INDEX found_numbers ON numbers (n)")
    else:
        for name in ("members", *(f"book_{table.name}" for table in book)):
            await connection.exec_driver_sql(f"ANALYZE {name}")


def _number(table: Table) -> str | None:
    return next((name for name in ("trade_number", "number") if name in table.c), None)


def _rounds(sizes: Sizes) -> Iterator[str]:
    """Members and the numbers of their trades, as they would have recorded them."""
    for place in range(sizes.rounds):
        yield (
            f"members m CROSS JOIN LATERAL generate_series({place} * m.trades / {sizes.rounds} + 1,"
            f" {place + 1} * m.trades / {sizes.rounds}) AS s (n) JOIN"
        )


def _users(sizes: Sizes) -> Iterator[str]:
    """Members and the numbers of their trades, user by user: SQLite keeps them so."""
    first, waiting = 1, 0
    for user, trades in enumerate(sizes.trades, start=1):
        waiting += trades
        if waiting >= BLOCK or user == len(sizes.trades):
            yield (
                f"(SELECT * FROM members WHERE user_id BETWEEN {first} AND {user}) m"  # noqa: S608
                " CROSS JOIN numbers s ON s.n <= m.trades CROSS JOIN"
            )
            first, waiting = user + 1, 0


@dataclass(frozen=True)
class Picking:
    """Which trade of the book a user's trade `s.n` is: of the day that is as far along, one
    that differs from user to user and from trade to trade."""

    days: int
    each: int

    @property
    def number(self) -> str:
        return (
            f"((s.n - 1) * {self.days} / m.trades) * {self.each}"
            f" + (m.user_id * 7 + s.n * 5) % {self.each} + 1"
        )


async def _multiply(
    connection: AsyncConnection, book: Book, picking: Picking, blocks: Sequence[str]
) -> dict[str, int]:
    """Insert everything; gives how many rows each table got."""
    rows = dict.fromkeys((table.name for table in book), 0)
    into = {table: _insert(table, connection.dialect.name) for table in book}
    for table in book:
        if _number(table) is None:
            made = await connection.exec_driver_sql(
                f"{into[table]} members m CROSS JOIN book_{table.name} t"
            )
            rows[table.name] = made.rowcount
    begun = time.perf_counter()
    for done, block in enumerate(blocks):
        if done % max(1, len(blocks) // 20) == 0:
            seconds = time.perf_counter() - begun
            say(f"  {rows['trades']:,} trades, {done} of {len(blocks)} parts, {seconds:,.0f} s")
        for table in book:
            if number := _number(table):
                made = await connection.exec_driver_sql(
                    f"{into[table]} {block} book_{table.name} t ON t.{number} = {picking.number}"
                )
                rows[table.name] += made.rowcount
    return rows


def _insert(table: Table, dialect: str) -> str:
    taken = {column.name: f"t.{column.name}" for column in table.c} | {"user_id": "m.user_id"}
    if number := _number(table):
        taken |= {column.name: _shifted(column.name, dialect) for column in _moments(table)}
        taken[number] = "s.n"
    if "external_id" in taken:
        taken["external_id"] = "'T' || s.n"
    if table.name == "users":
        taken |= {
            "name": "'user ' || m.user_id", "last_trade": "m.trades", "last_audit": "0",
            "audit_head": "NULL", "ledger_version": "1",
        }  # fmt: skip
    return f"INSERT INTO {table.name} ({', '.join(taken)}) SELECT {', '.join(taken.values())} FROM"


def _moments(table: Table) -> Iterator[Any]:
    return (column for column in table.c if isinstance(column.type, Moment))


def _shifted(name: str, dialect: str) -> str:
    """Later by up to 59 seconds: moments of the book are whole minutes, so no hour changes."""
    seconds = "(m.user_id * 31 + s.n * 17) % 60"
    if dialect == "postgresql":
        return f"t.{name} + {seconds} * interval '1 second'"
    return f"substr(t.{name}, 1, 17) || printf('%02d', {seconds}) || substr(t.{name}, 20)"
