"""The floor of recording: the rows of a ledger, inserted again by the database alone.

Once into bare tables without keys, checks, locks or indexes, by the driver's own bulk path
(executemany on SQLite, COPY on PostgreSQL); once from there into the tables of an empty ledger,
inside of the database, so that what is added is its keys, checks, locks and indexes and
nothing of Python. Trades go in open and are ended when their parts are there, as the locks
demand. Both are committed.
"""

import sqlite3
import time
from typing import Any, NamedTuple

from store.batches import AT_LAST
from tests.postgres_server import connect

TABLES = ("trades", "legs", "fills", "executions")


class Took(NamedTuple):
    """Seconds by the clock, and of this process's CPU: what others did meanwhile is not in it."""

    seconds: float
    cpu: float

    @classmethod
    def now(cls) -> "Took":
        return cls(time.perf_counter(), time.process_time())

    def until_now(self) -> "Took":
        return Took(time.perf_counter() - self.seconds, time.process_time() - self.cpu)


def floors_sqlite(ledger: str, empty: str) -> dict[str, Any]:
    """`ledger` and `empty` are files; the second is left full."""
    source, target = sqlite3.connect(ledger), sqlite3.connect(empty)
    try:
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON"):
            target.execute(f"PRAGMA {pragma}")
        bare_seconds = rows = 0.0
        for table in ("accounts", *TABLES):
            some = source.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            target.execute(f"CREATE TABLE bare_{table} AS SELECT * FROM {table} LIMIT 0")  # noqa: S608
            if not some:
                continue
            marks = ", ".join("?" * len(some[0]))
            began = time.perf_counter()
            with target:
                target.executemany(f"INSERT INTO bare_{table} VALUES ({marks})", some)  # noqa: S608
            bare_seconds += time.perf_counter() - began
            rows += len(some)
        columns = [row[1] for row in target.execute("PRAGMA table_info(trades)")]
        began = time.perf_counter()
        with target:
            for statement in from_bare(columns):
                target.execute(statement)
        kept_seconds = time.perf_counter() - began
    finally:
        source.close()
        target.close()
    return {"rows": int(rows), "bare_seconds": bare_seconds, "kept_seconds": kept_seconds}


async def floors_postgresql(ledger: str, empty: str) -> dict[str, Any]:
    """As `floors_sqlite`, of addresses; the ledger's tables are written as its application does."""
    source, target = await connect(ledger), await connect(empty)
    try:
        bare_seconds = rows = 0.0
        for table in ("accounts", *TABLES):
            some = [tuple(row) for row in await source.fetch(f"SELECT * FROM {table}")]  # noqa: S608
            await target.execute(
                f"CREATE TABLE bare_{table} AS SELECT * FROM {table} LIMIT 0;"  # noqa: S608
                f" GRANT SELECT ON bare_{table} TO trade_history_app"
            )
            began = time.perf_counter()
            await target.copy_records_to_table(f"bare_{table}", records=some)
            bare_seconds += time.perf_counter() - began
            rows += len(some)
        named = await target.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'trades'::regclass AND attnum > 0"
            " ORDER BY attnum"
        )
        began = time.perf_counter()
        async with target.transaction():
            await target.execute("SET LOCAL ROLE trade_history_app; SET LOCAL app.user_id = '1'")
            for statement in from_bare([row["attname"] for row in named]):
                await target.execute(statement)
        kept_seconds = time.perf_counter() - began
    finally:
        await source.close()
        await target.close()
    return {"rows": int(rows), "bare_seconds": bare_seconds, "kept_seconds": kept_seconds}


def from_bare(columns: list[str]) -> list[str]:
    """Statements that fill a ledger from its bare tables; `columns` are those of trades."""
    begun = ", ".join(
        "'open'" if name == "status" else "NULL" if name in AT_LAST else name for name in columns
    )
    ended = ", ".join(f"{name} = b.{name}" for name in AT_LAST)
    return [
        "INSERT INTO accounts SELECT * FROM bare_accounts",
        f"INSERT INTO trades SELECT {begun} FROM bare_trades",  # noqa: S608
        *(f"INSERT INTO {table} SELECT * FROM bare_{table}" for table in TABLES[1:]),  # noqa: S608
        f"UPDATE trades AS t SET {ended} FROM bare_trades AS b"  # noqa: S608
        " WHERE t.user_id = b.user_id AND t.number = b.number",
    ]


def beside(rows: int, seconds: float, floors: dict[str, Any]) -> str:
    """Rows a second beside both floors, as a sentence."""
    bare, kept = floors["bare_seconds"], floors["kept_seconds"]
    return (
        f"{rows:,} rows, {rows / seconds:,.0f} a second; the database alone, with all keys, checks"
        f" and locks, {rows / kept:,.0f} ({seconds / kept:.1f} times as fast); into bare tables"
        f" {rows / bare:,.0f} ({seconds / bare:.0f} times)"
    )
