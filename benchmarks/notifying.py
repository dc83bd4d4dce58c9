"""What does it cost writers to tell subscribers that something was recorded?

    python -m benchmarks.notifying [--writers 8] [--seconds 5] [--rounds 4] [--json FILE]

PostgreSQL keeps notifications in one queue in the order of their commits, so a transaction
that notifies holds a lock of the whole server while it commits. Three ways take turns on the
suite's own server, with its writes made durable:

- silent: a transaction inserts a row and commits;
- within: it also notifies, so that it holds the lock until its commit is on the disk;
- after: the message that commits goes on to notify, in a transaction that writes nothing.

The store notifies after.
"""

import asyncio
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import click

from tests.postgres_server import DURABLE, NoPostgres, postmaster

NOTIFY = "SELECT pg_notify('benchmark', '1')"
INSERT = "BEGIN; INSERT INTO entries VALUES (1, now())"
WAYS = {
    "silent": (INSERT, "COMMIT"),
    "within": (f"{INSERT}; {NOTIFY}", "COMMIT"),
    "after": (INSERT, f"COMMIT; {NOTIFY}"),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--writers", type=click.IntRange(1, 50), default=8, show_default=True)
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(writers: int, seconds: int, rounds: int, json_file: Path | None) -> None:
    """Measure commits a second without and with notifications."""
    try:
        with postmaster(DURABLE) as running:
            found = asyncio.run(measure(running.server.url("postgres"), writers, seconds, rounds))
    except NoPostgres as reason:
        raise click.ClickException(str(reason)) from None
    for way, rates in found.items():
        print(f"{way:7} {median(rates):8.0f} commits/s  ({', '.join(f'{r:.0f}' for r in rates)})")
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


async def measure(url: str, writers: int, seconds: int, rounds: int) -> dict[str, list[float]]:
    connections = [await asyncpg.connect(url) for _ in range(writers)]
    await connections[0].execute("CREATE TABLE entries (writer int, at timestamptz)")
    listener = await asyncpg.connect(url)
    await listener.add_listener("benchmark", lambda *_said: None)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds):
        for way in list(WAYS)[:: 1 if turn % 2 == 0 else -1]:
            until = time.perf_counter() + seconds
            work = (write(one, *WAYS[way], until) for one in connections)
            found[way].append(sum(await asyncio.gather(*work)) / seconds)
    for one in (*connections, listener):
        await one.close()
    return found


async def write(connection: Any, begin: str, end: str, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        await connection.execute(begin)
        await connection.execute(end)
        count += 1
    return count


if __name__ == "__main__":
    main()
