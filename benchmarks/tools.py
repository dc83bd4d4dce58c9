"""How long do the four tools take, and how much of it is the database's own time?

    python -m benchmarks.tools [--trades 100000] [--users 100] [--calls 200]
                               [--postgres | --database-url URL] [--json FILE]

Each tool is asked of one user among many in the ways that scale/asking.py describes, over
stdio. `benchmarks.scale` has the larger sizes, HTTP, plans and the network.

The design's targets (DESIGN.md 9) for aggregates: store/floor at most 3, end to end at most
1.5 x (empty call + store), p99 under 100 ms. The entry conditions have their own.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.machines import machine, say, settings_for
from benchmarks.measures import Measured, table
from benchmarks.scale.asking import doors, warm
from benchmarks.scale.filling import fill, sizes
from store.errors import StoreError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trades", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--users", type=click.IntRange(1), default=100, show_default=True)
@click.option("--calls", type=click.IntRange(1), default=200, show_default=True)
@click.option("--database-url", help="An empty database of any kind; it is filled for good.")
@click.option("--postgres", is_flag=True, help="The test suite's own server, for this run.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(
    trades: int,
    users: int,
    calls: int,
    database_url: str | None,
    postgres: bool,
    json_file: Path | None,
) -> None:
    """Measure the four tools beside the database's floor and an empty SDK call.

    Without --postgres or --database-url a temporary SQLite file is used.
    """
    if postgres and database_url:
        raise click.UsageError("--postgres and --database-url exclude each other.")
    with a_database(database_url, postgres) as url, tempfile.TemporaryDirectory() as folder:
        try:
            facts, measured = asyncio.run(measure(url, trades, users, calls, Path(folder)))
        except StoreError as error:
            raise click.ClickException(str(error)) from None
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    print()
    print(table(measured))
    if json_file:
        found = {"facts": facts, "tools": [one.numbers() for one in measured]}
        json_file.write_text(json.dumps(found, indent=2) + "\n")


@contextmanager
def a_database(url: str | None, postgres: bool) -> Iterator[str]:
    """The URL given, or a database that lasts as long as the block."""
    if url:
        yield url
    elif postgres:
        try:
            from tests.postgres_server import NoPostgres, postgres_server
        except ImportError as missing:
            raise click.ClickException(
                f"--postgres needs a checkout with requirements/dev.txt installed ({missing})."
            ) from None
        try:
            with postgres_server() as server:
                asyncio.run(server.create_database("benchmark"))
                yield server.url("benchmark")
        except NoPostgres as reason:
            raise click.ClickException(str(reason)) from None
    else:
        with tempfile.TemporaryDirectory(prefix="trade-history-") as folder:
            yield f"sqlite:///{folder}/trades.db"


async def measure(
    url: str, trades: int, users: int, calls: int, folder: Path
) -> tuple[dict[str, Any], list[Measured]]:
    """The facts of the run, and every tool's times."""
    settings = settings_for(url, user_id=users // 2 + 1)
    begun = time.perf_counter()
    say(f"Recording {trades} trades of {users} users ...")
    await fill(settings, sizes(users, -(-trades // users)))
    loaded = time.perf_counter() - begun
    say(f"  {loaded:.1f} s")
    facts = {
        "trades": trades,
        "users": users,
        "calls": calls,
        "measured_user": settings.user_id,
        "load_seconds": round(loaded, 1),
        **await machine(settings),
    }
    async with doors(settings, folder, http=False) as of_user:
        return facts, await warm(of_user, calls)


if __name__ == "__main__":
    main()
