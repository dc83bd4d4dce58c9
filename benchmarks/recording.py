"""How fast are trades recorded, one by one and in batches, with everything on?

    python -m benchmarks.recording [--trades 10000] [--singles 300] [--postgres] [--json FILE]

Everything is on: request keys, constraints, locks, the audit and its hashes. One by one a
trade is opened and closed by two commands, each in a durable transaction of its own, as an
application does; in batches `record_trades` takes 500 closed trades in one. Beside the batches
stands the database alone (`benchmarks/driver.py`).
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.driver import Took, beside, floors_postgresql, floors_sqlite
from benchmarks.machines import machine, settings_for
from store.accounts import AccountEntry, put_account
from store.batches import MOST, record_trades
from store.database import Store
from store.recording import close_trade, open_trade
from store.records import ByFills, FillEntry, LegEntry, TradeEntry
from store.schema import prepare, upgrade
from tests.postgres_server import NoPostgres, postgres_server

TICKERS = 200
LOT, FEE = Decimal(100), Decimal("0.65")
START = datetime(2020, 1, 2, 15, tzinfo=UTC)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trades", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--singles", type=click.IntRange(1), default=300, show_default=True)
@click.option("--postgres", is_flag=True, help="PostgreSQL in place of SQLite.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(trades: int, singles: int, postgres: bool, json_file: Path | None) -> None:
    """Measure recording beside the database alone."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            measured = (
                on_postgres(trades, singles) if postgres else on_sqlite(trades, singles, folder)
            )
            found = asyncio.run(measured)
        except NoPostgres as reason:
            raise click.ClickException(str(reason)) from None
    print(
        f"one by one: {singles / found['single_seconds']:,.0f} trades a second, opened and"
        f" closed by two commands ({found['single_cpu_seconds'] / singles * 1000:.1f} ms CPU each)"
    )
    print(
        f"in batches: {trades / found['batch_seconds']:,.0f} trades a second"
        f" ({found['batch_cpu_seconds'] / trades * 1000:.2f} ms CPU each);"
        f" {beside(found['rows'], found['batch_seconds'], found)}"
    )
    print(found["machine"])
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


async def on_sqlite(trades: int, singles: int, folder: str) -> dict[str, Any]:
    paths = [f"{folder}/{name}.db" for name in ("single", "batch", "empty")]
    single, batch, empty = (f"sqlite:///{path}" for path in paths)
    found = await recorded(single, batch, empty, trades, singles)
    return found | floors_sqlite(*paths[1:])


async def on_postgres(trades: int, singles: int) -> dict[str, Any]:
    with postgres_server() as server:
        names = ("single", "batch", "empty")
        for name in names:
            await server.create_database(name)
            await upgrade(settings_for(server.url(name), 1))
        single, batch, empty = map(server.url, names)
        found = await recorded(single, batch, empty, trades, singles)
        return found | await floors_postgresql(server.direct(batch), server.direct(empty))


async def recorded(
    single: str, batch: str, empty: str, trades: int, singles: int
) -> dict[str, Any]:
    entries = list(closed(trades))
    account = AccountEntry(name="Main", mode="live")
    for url in (single, batch):
        store = Store(settings_for(url, 1))
        await prepare(store)
        await store.record(partial(put_account, entry=account), keyed=True)
        await store.close()
    store = Store(settings_for(empty, 1))
    await prepare(store)
    await store.close()
    singly = await one_by_one(single, entries[:singles])
    together = await in_batches(batch, entries)
    return {
        "single_seconds": singly.seconds,
        "single_cpu_seconds": singly.cpu,
        "batch_seconds": together.seconds,
        "batch_cpu_seconds": together.cpu,
        "machine": await machine(settings_for(batch, 1)),
    }


def closed(count: int) -> Iterator[TradeEntry]:
    """Trades in shares, bought and sold in one fill each, two hours apart."""
    for number in range(count):
        at = START + timedelta(minutes=7 * number)
        price = Decimal(1000 + number % 997) / 100
        fills = (
            FillEntry(side="buy", quantity=LOT, price=price, filled_at=at, fee=FEE),
            FillEntry(
                side="sell", quantity=LOT, price=price + Decimal("0.13"),
                filled_at=at + timedelta(hours=2), fee=FEE,
            ),
        )  # fmt: skip
        leg = LegEntry(instrument="equity", fills=fills)
        yield TradeEntry(
            account="Main", ticker=f"T{number % TICKERS}", legs=(leg,), strategy="swing",
            scanner_score=Decimal(number % 101), source="benchmark", external_id=str(number),
        )  # fmt: skip


async def one_by_one(url: str, entries: list[TradeEntry]) -> Took:
    store = Store(settings_for(url, 1))
    began = Took.now()
    for place, entry in enumerate(entries):
        (leg,) = entry.legs
        opening = entry.model_copy(
            update={"legs": (leg.model_copy(update={"fills": leg.fills[:1]}),)}
        )
        how = ByFills(fills={1: leg.fills[1:]})
        work = partial(open_trade, entry=opening, key=f"open-{place}")
        opened = await store.record(work, keyed=True)
        ending = partial(close_trade, number=opened.number, how=how, key=f"close-{place}")
        await store.record(ending, keyed=True)
    took = began.until_now()
    await store.close()
    return took


async def in_batches(url: str, entries: list[TradeEntry]) -> Took:
    store = Store(settings_for(url, 1))
    began = Took.now()
    for start in range(0, len(entries), MOST):
        some = entries[start : start + MOST]
        keys = [f"batch-{start + place}" for place in range(len(some))]
        await store.record(partial(record_trades, entries=some, keys=keys), keyed=True)
    took = began.until_now()
    await store.close()
    return took


if __name__ == "__main__":
    main()
