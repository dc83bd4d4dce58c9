"""How many bytes do trades and their snapshots take?

    python -m benchmarks.storage [--trades 10000] [--points 60] [--postgres] [--json FILE]

Options, bought and sold again, with everything that can be known at entry and the ids that a
broker gives, are recorded through the store's own commands: opened in batches, marked every
half hour or so to the second, and closed by a fill. On PostgreSQL VACUUM runs after each
batch, as autovacuum would in the years that such a ledger takes.

Bytes are those of whole pages, as the disk has them. The audit, a fifth of a kilobyte or more
for every command, is told apart.
"""

import asyncio
import json
import random
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import click

from benchmarks.imports import migrated
from benchmarks.machines import machine, settings_for
from store.accounts import AccountEntry, put_account
from store.batches import MOST, record_trades
from store.database import Store
from store.models import Base
from store.recording import add_snapshots, close_trade
from store.records import ByFills, FillEntry, SnapshotEntry, TradeEntry
from store.schema import prepare
from tests.postgres_server import NoPostgres, connect, postgres_server

SEED = 20_261_122
FIRST_DAY = datetime(2020, 1, 2, 15, tzinfo=UTC)
TARGET = 45_000_000  # For 10,000 trades with 60 snapshots each, on PostgreSQL.
TICKERS = ("AAPL", "SPY", "NVDA", "TSLA", "QQQ", "MSFT", "AMD", "META")
STRATEGIES = ("leap_call", "breakout", "swing", "earnings")

Sizes: TypeAlias = dict[str, int]  # Bytes by table or index, as `table` or `table index`.
Weigh: TypeAlias = Callable[[], Awaitable[Sizes]]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trades", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--points", type=click.IntRange(1), default=60, show_default=True)
@click.option("--postgres", is_flag=True, help="PostgreSQL in place of SQLite.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(trades: int, points: int, postgres: bool, json_file: Path | None) -> None:
    """Weigh tables and indexes of a ledger of closed trades with snapshots."""
    try:
        with tempfile.TemporaryDirectory() as folder, database(folder, postgres) as (url, weigh):
            found = asyncio.run(weighed(url, weigh, trades, points))
    except NoPostgres as reason:
        raise click.ClickException(str(reason)) from None
    for line in lines(found):
        print(line)
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


@contextmanager
def database(folder: str, postgres: bool) -> Iterator[tuple[str, Weigh]]:
    """The URL of an empty database, and how it is weighed."""
    if not postgres:
        file = f"{folder}/trades.db"

        async def of_file() -> Sizes:
            return sqlite_sizes(file)

        yield f"sqlite:///{file}", of_file
        return
    with postgres_server() as server:
        url = asyncio.run(migrated(server, "weighed"))

        async def of_server() -> Sizes:
            return await postgres_sizes(server.direct(url))

        yield url, of_server


async def weighed(url: str, weigh: Weigh, trades: int, points: int) -> dict[str, Any]:
    chance = random.Random(SEED)
    store = Store(settings_for(url, 1))
    marks = 0
    try:
        await prepare(store)
        async with store.write() as session:
            await put_account(session, AccountEntry(name="main", mode="live"))
        for first in range(0, trades, MOST):
            entries = [entry(chance, place) for place in range(first, min(first + MOST, trades))]
            async with store.write() as session:
                numbers = await record_trades(session, entries)
                for number, said in zip(numbers, entries, strict=True):
                    await add_snapshots(session, number, path(chance, said, points))
            if not first:
                as_rows = part(await weigh(), "snapshots") / (len(entries) * points)
            async with store.write() as session:
                for number, said in zip(numbers, entries, strict=True):
                    await close_trade(session, number, exit_of(chance, said, points))
            sizes = await weigh()
            marks += len(entries) * points
    finally:
        await store.close()
    return {
        "trades": trades,
        "points": marks,
        "point_as_row": as_rows,
        "sizes": dict(sorted(sizes.items(), key=lambda size: -size[1])),
        "machine": await machine(settings_for(url, 1)),
    }


def entry(chance: random.Random, place: int) -> TradeEntry:
    """An option bought, one every few hours."""
    bought = FillEntry(
        side="buy",
        quantity=Decimal(chance.randint(1, 10)),
        price=cents(chance.randrange(200, 900)),
        fee=cents(chance.randint(65, 650)),
        filled_at=FIRST_DAY + timedelta(hours=4 * place, seconds=chance.randrange(3_600)),
        execution_id=f"0000e215.{place:08x}.01.01",
    )
    strike = chance.randrange(50, 600)
    return TradeEntry.model_validate(
        {
            "account": "main",
            "ticker": chance.choice(TICKERS),
            "strategy": chance.choice(STRATEGIES),
            "stop_loss": bought.price / 2,
            "take_profit": bought.price * 2,
            "scanner_score": chance.randint(40, 99),
            "ai_score": chance.randint(40, 99),
            "delta": cents(chance.randrange(20, 80)),
            "gamma": cents(chance.randrange(1, 9)),
            "theta": cents(-chance.randrange(1, 30)),
            "vega": cents(chance.randrange(1, 40)),
            "iv": cents(chance.randrange(15, 90)),
            "external_id": f"order-{place}",
            "source": "weighed",
            "legs": [
                {
                    "instrument": "option",
                    "option_type": chance.choice(("call", "put")),
                    "strike": strike,
                    "expiry": (bought.filled_at + timedelta(days=45)).date(),
                    "fills": [bought],
                }
            ],
        }
    )


def path(chance: random.Random, said: TradeEntry, points: int) -> list[SnapshotEntry]:
    """A walk of the option's price and its underlying's, in cents."""
    bought = said.legs[0].fills[0]
    at, mark = bought.filled_at, int(bought.price * 100)
    underlying = chance.randrange(5_000, 60_000)
    found = []
    for _ in range(points):
        at += timedelta(seconds=chance.randint(1_500, 2_100))
        mark = max(1, mark + chance.randint(-15, 15))
        underlying = max(1, underlying + chance.randint(-80, 80))
        found.append(
            SnapshotEntry(taken_at=at, mark_price=cents(mark), underlying_price=cents(underlying))
        )
    return found


def exit_of(chance: random.Random, said: TradeEntry, points: int) -> ByFills:
    bought = said.legs[0].fills[0]
    change = {
        "side": "sell",
        "price": cents(chance.randrange(50, 1_500)),
        "filled_at": bought.filled_at + timedelta(seconds=2_100 * (points + 1)),
        "execution_id": f"{bought.execution_id}.exit",
    }
    return ByFills(fills={1: (bought.model_copy(update=change),)})


def cents(value: int) -> Decimal:
    return Decimal(value).scaleb(-2)


async def postgres_sizes(url: str) -> Sizes:
    connection = await connect(url)
    # VACUUM takes nothing as gone for all whose commit is not on disk yet.
    await connection.execute("SET synchronous_commit = on")
    await connection.execute("VACUUM ANALYZE")
    rows = await connection.fetch("""
        SELECT relname AS name, pg_table_size(oid) AS bytes FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT c.relname || ' ' || i.relname, pg_relation_size(i.oid)
            FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
            WHERE c.relnamespace = 'public'::regnamespace""")
    await connection.close()
    return ours({row["name"]: row["bytes"] for row in rows})


def sqlite_sizes(file: str) -> Sizes:
    connection = sqlite3.connect(file)
    # A table without a hidden key is its primary key, and has an index's name.
    rows = connection.execute("""
        SELECT CASE WHEN m.type = 'index' AND m.name NOT LIKE 'sqlite_autoindex%_1'
                THEN m.tbl_name || ' ' || m.name ELSE m.tbl_name END, sum(s.pgsize)
            FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY 1""")
    sizes = ours(dict(rows.fetchall()))
    connection.close()
    return sizes


def ours(sizes: Sizes) -> Sizes:
    return {name: size for name, size in sizes.items() if name.split()[0] in Base.metadata.tables}


def part(sizes: Sizes, *tables: str) -> int:
    """Bytes of these tables with their indexes."""
    return sum(size for name, size in sizes.items() if name.split()[0] in tables)


def lines(found: dict[str, Any]) -> Iterator[str]:
    sizes, trades, points = found["sizes"], found["trades"], found["points"]
    told_apart = part(sizes, "audit", "requests")
    total = sum(sizes.values()) - told_apart
    packed = part(sizes, "paths", "snapshots")
    for name, size in sizes.items():
        if size >= trades:
            yield f"{size:>12,}  {size / trades:8.1f} a trade  {name}"
    yield f"{total:>12,}  {total / trades:8.1f} a trade  in all, without the audit"
    yield f"{told_apart:>12,}  {told_apart / trades:8.1f} a trade  audit"
    yield (
        f"{packed / points:.1f} bytes a snapshot of a closed trade,"
        f" {found['point_as_row']:.1f} while it was open"
    )
    yield (
        f"{(total - packed) / trades:.0f} bytes a trade with legs, fills and indexes,"
        " without snapshots"
    )
    if (trades, points) == (10_000, 600_000):
        yield f"{total / 1e6:.1f} MB; the target on PostgreSQL is {TARGET / 1e6:.0f} MB at most"
    yield str(found["machine"])


if __name__ == "__main__":
    main()
