"""Does who reads wait for another program that writes, on SQLite?

    python -m benchmarks.readers [--trades 1000] [--seconds 10] [--readers 4] [--json FILE]

Readers ask for the history of a user through the store, each on a connection of its own, while
a second process records closed trades for another user in batches, as an import does; and
while it does not. The two ways take turns. The run fails if a reader does.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import click
from sqlalchemy import select

from benchmarks.clients import at
from benchmarks.machines import ROOT, machine, say, settings_for
from benchmarks.scale.filling import fill, sizes
from store.batches import record_trades
from store.database import Store
from store.models import Account
from store.queries.get_trade_history import get_trade_history
from store.records import TradeEntry

ROUNDS = 2
BATCH = 500  # Trades that an import records in one statement.
AT = datetime(2026, 1, 5, 15, tzinfo=UTC)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trades", type=click.IntRange(1), default=1_000, show_default=True)
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True)
@click.option("--readers", type=click.IntRange(1, 20), default=4, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--write", hidden=True, help="The database that the writer writes to.")
def main(
    trades: int, seconds: int, readers: int, json_file: Path | None, write: str | None
) -> None:
    """Measure readers of a SQLite file with and without a writer beside them."""
    if write is not None:
        print(asyncio.run(write_on(write)))
        return
    with tempfile.TemporaryDirectory(prefix="trade-history-") as folder:
        found = asyncio.run(measure(f"sqlite:///{folder}/trades.db", trades, seconds, readers))
    for name, value in found.items():
        print(f"{name}: {value}")
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


async def measure(url: str, trades: int, seconds: int, readers: int) -> dict[str, Any]:
    settings = settings_for(url, 1)
    say(f"Recording {trades} trades ...")
    await fill(settings, sizes(2, trades))
    store = Store(settings.model_copy(update={"pool_size": readers}))
    times: dict[str, list[float]] = {"alone": [], "beside a writer": []}
    written = 0
    for turn in range(ROUNDS * 2):
        way = list(times)[turn % 2]
        say(f"Reading {way} ...")
        writer = None if way == "alone" else start_writer(url)
        until = time.perf_counter() + seconds
        found = await asyncio.gather(*(read_on(store, until) for _ in range(readers)))
        times[way] += [one for taken in found for one in taken]
        written += 0 if writer is None else stopped(writer)
    await store.close()
    return {
        "trades": trades,
        "readers": readers,
        **await machine(settings),
        "recorded_beside": written,
        **{
            f"{way}, ms": {
                "answers": len(taken),
                "p50": round(median(taken), 2),
                "p99": at(sorted(taken), 0.99),
                "longest": round(max(taken), 1),
            }
            for way, taken in times.items()
        },
    }


async def read_on(store: Store, until: float) -> list[float]:
    taken = []
    while time.perf_counter() < until:
        begun = time.perf_counter()
        await store.answer(lambda session: get_trade_history(session, ticker="AAPL"))
        taken.append((time.perf_counter() - begun) * 1_000)
    return taken


def start_writer(url: str) -> "subprocess.Popen[str]":
    """Another process, which has begun to write and goes on until its stdin ends."""
    command = [sys.executable, "-m", "benchmarks.readers", "--write", url]
    writer = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "writing"
    return writer


def stopped(writer: "subprocess.Popen[str]") -> int:
    """How many trades it recorded."""
    return int(writer.communicate()[0])


async def write_on(url: str) -> int:
    store = Store(settings_for(url, 2))
    [name] = await store.answer(
        lambda session: session.scalars(select(Account.name).where(Account.user_id == 2).limit(1))
    )
    batch = [closed_trade(name, number) for number in range(BATCH)]
    recorded = 0
    print("writing", flush=True)
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not ended.done():
        await store.record(lambda session: record_trades(session, batch), keyed=False)
        recorded += BATCH
    await store.close()
    return recorded


def closed_trade(account: str, number: int) -> TradeEntry:
    fills = [
        {"side": side, "quantity": 10, "price": 100 + number % 7, "filled_at": AT + later}
        for side, later in (("buy", timedelta(0)), ("sell", timedelta(hours=1)))
    ]
    leg = {"instrument": "equity", "fills": fills}
    return TradeEntry.model_validate({"account": account, "ticker": "AAPL", "legs": [leg]})


if __name__ == "__main__":
    main()
