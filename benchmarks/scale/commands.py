"""The commands, and which database they mean."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import click

from benchmarks.machines import say, settings_for
from benchmarks.scale.curve import Place, measure, write
from benchmarks.scale.distance import far_away
from benchmarks.scale.filling import Filled, Sizes, fill, sizes
from benchmarks.scale.kept_server import FILLING, SETTINGS, kept_server
from benchmarks.scale.peers import compare, install
from benchmarks.scale.plans import save_plans
from benchmarks.scale.running import run as run_over
from benchmarks.scale.telling import told
from store.database import Store
from store.errors import StoreError
from store.folding import rebuild_fold
from store.settings import Settings
from tests.pgbouncer import behind_pgbouncer
from tests.postgres_server import NoPostgres, Server

DATABASE = "scale"
Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure the store and the server at scale."""


def on_database(command: Command) -> Command:
    """The options that say which database is meant."""
    url = click.option("--database-url", help="A database of any kind, whose owner you are.")
    data = click.option(
        "--postgres-data",
        type=click.Path(file_okay=False, path_type=Path),
        help="A folder with a PostgreSQL of its own, started for as long as the command lasts.",
    )
    file = click.option(
        "--sqlite", type=click.Path(dir_okay=False, path_type=Path), help="A SQLite file."
    )
    return url(data(file(command)))


@dataclass(frozen=True)
class Ledger:
    """A database, and the server that is kept for it."""

    url: str
    server: Server | None = None


@contextmanager
def the_database(
    database_url: str | None,
    postgres_data: Path | None,
    sqlite: Path | None,
    *,
    filling: bool = False,
) -> Iterator[Ledger]:
    """The one database that was named."""
    if [database_url, postgres_data, sqlite].count(None) != 2:
        raise click.UsageError("Name one of --database-url, --postgres-data and --sqlite.")
    if postgres_data is None:
        yield Ledger(database_url or f"sqlite:///{sqlite.resolve() if sqlite else ''}")
        return
    try:
        with kept_server(postgres_data, FILLING if filling else SETTINGS) as server:
            with suppress(asyncpg.DuplicateDatabaseError):
                asyncio.run(server.create_database(DATABASE))
            yield Ledger(server.url(DATABASE), server)
    except NoPostgres as reason:
        raise click.ClickException(str(reason)) from None


@main.command()
@on_database
@click.option("--users", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--trades", type=click.IntRange(1), default=1_000, show_default=True, help="Of each user."
)
@click.option(
    "--heavy",
    type=click.IntRange(0),
    default=0,
    help="More users with 100 times as many trades; the last of them has 1,000 times as many.",
)
@click.option(
    "--snapshots", type=click.IntRange(0, 200), default=0, help="Marks of each trade's price path."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def generate(
    database_url: str | None,
    postgres_data: Path | None,
    sqlite: Path | None,
    users: int,
    trades: int,
    heavy: int,
    snapshots: int,
    json_file: Path | None,
) -> None:
    """Fill an empty database with the ledgers of many users, for good."""
    with the_database(database_url, postgres_data, sqlite, filling=True) as ledger:
        try:
            settings = settings_for(ledger.url, 1)
            found = asyncio.run(filled(settings, sizes(users, trades, heavy), snapshots))
        except StoreError as error:
            raise click.ClickException(str(error)) from None
    for table, rows in found.rows.items():
        print(f"{table:12} {rows:>14,} rows")
    per_trade = found.bytes / found.rows["trades"]
    print(
        f"{found.seconds:,.0f} s, {found.rows['trades'] / found.seconds:,.0f} trades/s;"
        f" {found.bytes / 1e6:,.0f} MB, {per_trade:,.0f} bytes a trade with all its parts"
    )
    if json_file:
        json_file.write_text(json.dumps(found.__dict__, indent=2) + "\n")


async def filled(settings: Settings, sizes: Sizes, snapshots: int) -> Filled:
    """The ledgers, folded for the operator's report."""
    found = await fill(settings, sizes, snapshots)
    store = Store(settings.model_copy(update={"statement_timeout_seconds": 3_600}))
    try:
        await rebuild_fold(store)
    finally:
        await store.close()
    return found


@main.command()
@on_database
def serve(database_url: str | None, postgres_data: Path | None, sqlite: Path | None) -> None:
    """Print the address of the database, and keep its server up until you press Enter."""
    with the_database(database_url, postgres_data, sqlite) as ledger:
        print(f"DATABASE_URL='{ledger.url}'", flush=True)
        say("Press Enter to stop.")
        sys.stdin.readline()


@main.command()
@on_database
@click.option("--calls", type=click.IntRange(1), default=200, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=3.0, help="Of each load.")
@click.option("--ordinary", is_flag=True, help="Leave out those with very many trades.")
@click.option(
    "--plans",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder for every statement and its plan.",
)
@click.option(
    "--round-trip",
    type=click.FloatRange(0),
    help="Also measure with a network of so many milliseconds before PostgreSQL.",
)
@click.option("--pooler", help="The program of a PgBouncer to measure that through, too.")
@click.option(
    "--peers",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also ask other servers on the same rows; they are installed into this folder once.",
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def run(
    database_url: str | None,
    postgres_data: Path | None,
    sqlite: Path | None,
    calls: int,
    seconds: float,
    ordinary: bool,
    plans: Path | None,
    round_trip: float | None,
    pooler: str | None,
    peers: Path | None,
    json_file: Path | None,
) -> None:
    """Measure a ledger that `generate` filled."""
    with the_database(database_url, postgres_data, sqlite) as ledger:
        try:
            found = asyncio.run(run_over(ledger.url, calls, seconds, heavy_too=not ordinary))
            user = found["warm"][0]["user"]
            if round_trip is not None:
                found["far"] = far(ledger, user, round_trip, calls, pooler)
            if peers:
                install(peers)
                found["peers"] = asyncio.run(compare(peers, ledger.url, user, calls))
            if plans:
                plans.mkdir(parents=True, exist_ok=True)
                for one in found["warm"]:
                    asyncio.run(save_plans(settings_for(ledger.url, one["user"]), plans))
        except StoreError as error:
            raise click.ClickException(str(error)) from None
    print("\n".join(told(found)))
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")


def far(
    ledger: Ledger, user: int, milliseconds: float, calls: int, pooler: str | None
) -> dict[str, Any]:
    """Round trips and times of each tool, directly and through a pooler."""
    calls = max(3, calls // 10)
    if not ledger.url.startswith("postgres"):
        raise click.UsageError("--round-trip is for PostgreSQL: SQLite is a file.")
    found = {
        "direct": asyncio.run(far_away(ledger.url, user, milliseconds, calls)),
        "nothing stays prepared": asyncio.run(
            far_away(f"{ledger.url}?pgbouncer=true", user, milliseconds, calls)
        ),
    }
    if pooler and ledger.server:
        with behind_pgbouncer(ledger.server, pooler) as pooled:
            found["PgBouncer"] = asyncio.run(
                far_away(pooled.url(DATABASE), user, milliseconds, calls)
            )
    return {"milliseconds": milliseconds, "ways": found}


@main.command()
@click.option(
    "--postgres-data",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder with a PostgreSQL of its own; its databases are used again.",
)
@click.option(
    "--sqlite-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="A folder of SQLite files, which are used again.",
)
@click.option(
    "--largest", type=click.IntRange(1_000), default=1_000_000, show_default=True, help="Trades."
)
@click.option("--calls", type=click.IntRange(1), default=100, show_default=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
def curve(
    postgres_data: Path | None, sqlite_folder: Path | None, largest: int, calls: int, out: Path
) -> None:
    """Measure how answers grow, into curve.json, curve.csv, curve.md and curve.svg."""
    if (postgres_data is None) == (sqlite_folder is None):
        raise click.UsageError("Name one of --postgres-data and --sqlite-folder.")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with places(postgres_data, sqlite_folder) as place:
            found = asyncio.run(measure(place, largest, calls))
    except (NoPostgres, StoreError) as error:
        raise click.ClickException(str(error)) from None
    (out / "curve.json").write_text(json.dumps(found, indent=2) + "\n")
    write(found, out)
    print((out / "curve.md").read_text())


@contextmanager
def places(postgres_data: Path | None, sqlite_folder: Path | None) -> Iterator[Place]:
    """Where databases of a name are: in the folder's PostgreSQL, or files of it."""
    if sqlite_folder is not None:
        folder = sqlite_folder.resolve()

        async def file(name: str) -> str:
            return f"sqlite:///{folder / name}.db"

        yield file
        return
    assert postgres_data
    with kept_server(postgres_data, FILLING) as server:

        async def database(name: str) -> str:
            with suppress(asyncpg.DuplicateDatabaseError):
                await server.create_database(name)
            return server.url(name)

        yield database
