"""Does the ledger keep what it acknowledged, whatever is killed?

    python -m benchmarks.faults [--sqlite] [--postgres] [--kills 200] [--writers 20]
                                [--trades 100] [--seed 1]

Real processes record through the real commands, each under its caller's key, on SQLite and
on a PostgreSQL with full durability that this run starts for itself (fsync and
synchronous_commit on):

- kill -9 of the recording process, and of the whole database server, at random moments;
- many processes that record at once, for one user and for a user each;
- the database server stopped and killed under load, and started again.

After each, everything acknowledged has to be stored once and whole, every net P&L has to be
the cash flow of its fills, and the audit chain has to hold (checking.py). The first
contradiction is printed and ends the run with exit code 1.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from math import ceil

import click
from rich.console import Console
from rich.table import Table

from benchmarks.faults.checking import Contradiction
from benchmarks.faults.crowding import Crowd, crowd
from benchmarks.faults.killing import Killed, kill_recorders
from benchmarks.faults.ledgers import PostgreSQL, SQLite, postgresql, sqlite
from benchmarks.faults.outages import Outage, interrupt

KILLS = (
    "kill -9", "kills", "of the server", "acknowledged", "stored, not acknowledged", "checks",
    "seconds",
)  # fmt: skip
CROWDS = ("at once", "writers", "users", "trades", "trades/s", "p50 ms", "p99 ms", "longest ms")
OUTAGES = (
    "server gone", "how", "answered", "refused", "longest call ms", "first answer ms",
    "first recording ms",
)  # fmt: skip


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--sqlite", "on_sqlite", is_flag=True, help="Only on SQLite.")
@click.option("--postgres", "on_postgres", is_flag=True, help="Only on PostgreSQL.")
@click.option("--kills", type=click.IntRange(1), default=200, show_default=True)
@click.option("--writers", type=click.IntRange(1), default=20, show_default=True)
@click.option("--trades", type=click.IntRange(1), default=100, show_default=True, help="Of each.")
@click.option("--seed", type=int, default=1, show_default=True)
def main(
    on_sqlite: bool, on_postgres: bool, kills: int, writers: int, trades: int, seed: int
) -> None:
    """Kill real processes that record, and look whether the ledger kept its word."""
    tables = [Table(*headings) for headings in (KILLS, CROWDS, OUTAGES)]
    try:
        with ExitStack() as stack:
            for place in places(stack, on_sqlite, on_postgres):
                run(place, tables, kills, writers, trades, seed)
    except Contradiction as found:
        raise click.ClickException(str(found)) from None
    finally:
        for table in filter(lambda table: table.rows, tables):
            Console(width=130).print(table)
    print("All that was acknowledged is stored, once and whole; nothing else is.")


def places(stack: ExitStack, on_sqlite: bool, on_postgres: bool) -> Iterator[SQLite | PostgreSQL]:
    if on_sqlite or not on_postgres:
        yield stack.enter_context(sqlite())
    if on_postgres or not on_sqlite:
        try:
            from tests.postgres_server import NoPostgres
        except ImportError as missing:
            raise click.ClickException(
                f"PostgreSQL needs a checkout with requirements/dev.txt installed ({missing})."
            ) from None
        try:
            yield stack.enter_context(postgresql())
        except NoPostgres as reason:
            raise click.ClickException(str(reason)) from None


def run(
    place: SQLite | PostgreSQL,
    tables: list[Table],
    kills: int,
    writers: int,
    trades: int,
    seed: int,
) -> None:
    killing, crowding, going = tables
    postmaster = place.postmaster if isinstance(place, PostgreSQL) else None

    def restart() -> None:
        assert postmaster is not None
        postmaster.kill()
        postmaster.start()

    say(f"{place.name}: kill -9, {kills} times ...")
    begun = time.perf_counter()
    killed = kill_recorders(place.ledger("killed"), kills, seed, restart if postmaster else None)
    add_killed(killing, place.name, killed, time.perf_counter() - begun)
    for users in (1, writers):
        say(f"{place.name}: {writers} writers, {users} users ...")
        url = place.ledger(f"crowd_{users}", users)
        add_crowd(crowding, place.name, crowd(url, writers, trades, users, seed))
    if postmaster:
        say(f"{place.name}: stopped and killed under load ...")
        ends = {"fast shutdown": postmaster.stop, "kill -9": postmaster.kill}
        url = place.ledger("outages")
        for outage in asyncio.run(interrupt(url, ends, postmaster.start, seed)):
            add_outage(going, place.name, outage)


def add_killed(table: Table, name: str, killed: Killed, seconds: float) -> None:
    counts = (
        killed.kills, killed.server_kills, killed.acknowledged, killed.unheard, killed.checks
    )  # fmt: skip
    table.add_row(name, *map(str, counts), f"{seconds:.0f}")


def add_crowd(table: Table, name: str, found: Crowd) -> None:
    ranked = [
        found.waits[max(0, ceil(fraction * len(found.waits)) - 1)] for fraction in (0.5, 0.99, 1)
    ]
    table.add_row(
        name,
        *map(str, (found.writers, found.users, found.trades)),
        f"{found.trades / found.seconds:.0f}",
        *map(milliseconds, ranked),
    )


def add_outage(table: Table, name: str, found: Outage) -> None:
    times = (found.longest, found.recovered["ask"], found.recovered["record"])
    table.add_row(
        name, found.how, str(found.answered), str(found.refused), *map(milliseconds, times)
    )


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"


def say(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
