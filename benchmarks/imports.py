"""How fast is a broker's file imported, and does memory grow with it?

    python -m benchmarks.imports [--fills 100000] [--postgres] [--json FILE]

A file of executions in Interactive Brokers' Flex layout (200 tickers, positions opened, added
to and closed) is imported by a process of its own, a quarter of it and the whole, from
reading to the last check of the reconciliation. Beside that stand the same rows of trades,
legs, fills and executions, inserted by the database alone (`benchmarks/driver.py`). What lies
between is what it costs to read the file, to work out trades, to hash for the audit, and to
read everything back.
"""

import asyncio
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from benchmarks.driver import Took, beside, floors_postgresql, floors_sqlite
from benchmarks.machines import machine, settings_for
from store.database import Store
from store.importers import Statement, read
from store.importing import import_file
from store.schema import prepare, upgrade
from tests.postgres_server import NoPostgres, Server, postgres_server

SEED = 20_261_121
TICKERS = 200
HEADER = (
    "ClientAccountID,AssetClass,Symbol,Conid,DateTime,Quantity,TradePrice,IBCommission,Buy/Sell,"
    "LevelOfDetail,IBOrderID,IBExecID,TradeID,CurrencyPrimary"
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--fills", type=click.IntRange(100), default=100_000, show_default=True)
@click.option("--postgres", is_flag=True, help="PostgreSQL in place of SQLite.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--alone", hidden=True, help="The database of one import, and its file.", nargs=2)
def main(fills: int, postgres: bool, json_file: Path | None, alone: tuple[str, str] | None) -> None:
    """Measure the import of a broker's file beside the driver's own bulk insert."""
    if alone is not None:
        print(json.dumps(asyncio.run(imported(*alone))))
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = on_postgres(fills, folder) if postgres else on_sqlite(fills, folder)
        except NoPostgres as reason:
            raise click.ClickException(str(reason)) from None
    for run in found["runs"]:
        print(
            f"{run['fills']:,} fills, {run['trades']:,} trades: {run['seconds']:.1f} s"
            f" ({run['cpu_seconds']:.1f} s CPU),"
            f" {run['fills'] / run['seconds']:,.0f} fills/s; memory at most {run['mb']:.0f} MB"
        )
    last = found["runs"][-1]
    print(beside(found["rows"], last["seconds"], found))
    print(found["machine"])
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


def on_sqlite(fills: int, folder: str) -> dict[str, Any]:
    paths = [f"{folder}/{name}.db" for name in ("quarter", "whole", "empty")]
    urls = [f"sqlite:///{path}" for path in paths]
    found = measured(fills, folder, urls[:2])
    asyncio.run(prepared(urls[2]))
    return found | floors_sqlite(*paths[1:])


def on_postgres(fills: int, folder: str) -> dict[str, Any]:
    with postgres_server() as server:
        names = ("quarter", "whole", "empty")
        urls = [asyncio.run(migrated(server, name)) for name in names]
        found = measured(fills, folder, urls[:2])
        asyncio.run(prepared(urls[2]))
        return found | asyncio.run(floors_postgresql(*map(server.direct, urls[1:])))


async def prepared(url: str) -> None:
    store = Store(settings_for(url, 1))
    await prepare(store)
    await store.close()


async def migrated(server: Server, name: str) -> str:
    await server.create_database(name)
    url = server.url(name)
    await upgrade(settings_for(url, 1))
    return url


def measured(fills: int, folder: str, urls: list[str]) -> dict[str, Any]:
    """A quarter of the file and the whole, each imported by a process of its own."""
    runs = []
    for url, count in zip(urls, (fills // 4, fills), strict=True):
        file = Path(folder, f"flex{count}.csv")
        file.write_text("\n".join([HEADER, *flex_rows(count)]) + "\n", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.imports", "--alone", url, str(file)],
            stdout=subprocess.PIPE,
            check=True,
            env=os.environ | {"TRADE_HISTORY_DATA_DIR": folder},
        )
        runs.append(json.loads(done.stdout))
    return {"runs": runs, "machine": asyncio.run(machine(settings_for(urls[0], 1)))}


def flex_rows(count: int) -> Iterator[str]:
    """Executions of one account, oldest first; three in five close a position."""
    chance = random.Random(SEED)
    at = datetime(2020, 1, 2, 10)  # noqa: DTZ001
    held = dict.fromkeys(range(TICKERS), 0)
    for number in range(1, count + 1):
        at += timedelta(seconds=chance.randint(1, 300))
        if at.hour >= 16:  # The market is open from 10 to 16 here, every day.
            at = at.replace(hour=10, minute=0, second=0) + timedelta(days=1)
        ticker = chance.randrange(TICKERS)
        position = held[ticker]
        if position and chance.random() < 0.6:
            quantity = -position
        else:
            quantity = chance.choice([10, 50, 100]) * (1 if position >= 0 else -1)
        held[ticker] += quantity
        price = chance.randint(1000, 2000) / 100
        side = "BUY" if quantity > 0 else "SELL"
        yield (
            f"U1,STK,T{ticker},{ticker},{at:%Y%m%d;%H%M%S},{quantity},{price},-0.65,{side},"
            f"EXECUTION,O{number},E{number},{number},USD"
        )


async def imported(url: str, file: str) -> dict[str, Any]:
    """Import `file` into the empty database `url`, as the command does."""
    store = Store(settings_for(url, 1))
    try:
        await prepare(store)
        began = Took.now()
        statement = read(file)
        if not isinstance(statement, Statement):
            raise TypeError("the file is none of executions")
        with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("Importing", total=len(statement.executions))
            result = await store.record(
                lambda session: import_file(
                    session,
                    statement,
                    progress=lambda done, _all: bar.update(task, completed=done),
                ),
                keyed=True,
            )
        took = began.until_now()
    finally:
        await store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "fills": result.new,
        "trades": result.recorded,
        "seconds": took.seconds,
        "cpu_seconds": took.cpu,
        "mb": peak,
    }


if __name__ == "__main__":
    main()
