"""How long do the four tools take, and how much of it is the database's own time?

    python -m benchmarks.tools [--trades 100000] [--users 100] [--calls 200]
                               [--postgres | --database-url URL] [--json FILE]

Each tool is asked of one user among many in four ways, which take turns call by call, so
that noise of the machine meets all alike:

- floor: one prepared statement over the same rows through the same driver (floors.py);
- store: the question put to the store in this process, answer model included;
- end to end: the real server, a process on stdio, asked by the SDK's client;
- empty call: a plain SDK server's tool that does nothing, asked the same way.

The design's targets (DESIGN.md 9) for aggregates: store/floor at most 3, end to end at most
1.5 x (empty call + store), p99 under 100 ms. The entry conditions have their own.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from mcp import Client

from benchmarks.floors import TOOLS, Tool, floors
from benchmarks.machines import machine, on_stdio, say, settings_for
from benchmarks.measures import KINDS, Measured, table
from benchmarks.scale.filling import fill, sizes
from store import queries
from store.database import Store
from store.errors import StoreError
from store.queries.answer import Answer

WARM_UP = 10  # PostgreSQL settles on a plan after five runs.

Call = Callable[[], Awaitable[Any]]


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
    store = Store(settings)
    try:
        async with (
            floors(settings) as floor_of,
            Client(on_stdio(folder, url, settings.user_id, "-m", "mcp_server")) as server,
            Client(on_stdio(folder, url, settings.user_id, "-m", "benchmarks.empty_server")) as sdk,
        ):
            asked = [(tool, ways(tool, await floor_of(tool), store, server, sdk)) for tool in TOOLS]
            return facts, await time_all(asked, calls)
    finally:
        await store.close()


def ways(tool: Tool, floor: Call, store: Store, server: Client, sdk: Client) -> dict[str, Call]:
    query = next(query for query in queries.load() if query.__name__ == tool.name)

    async def ask_store() -> Answer:
        async with store.read() as session:
            return await query(session, **tool.arguments)

    async def ask_server() -> Any:
        return await server.call_tool(tool.name, tool.arguments)

    async def ask_nothing() -> Any:
        return await sdk.call_tool("empty", {})

    return dict(zip(KINDS, (floor, ask_store, ask_server, ask_nothing), strict=True))


async def time_all(asked: list[tuple[Tool, dict[str, Call]]], calls: int) -> list[Measured]:
    for tool, by_kind in asked:
        await require_agreement(tool, by_kind)
        for _ in range(WARM_UP):
            for call in by_kind.values():
                await call()
    found = [Measured(tool.name, {kind: [] for kind in KINDS}) for tool, _ in asked]
    for turn in range(calls):
        if turn % max(1, calls // 5) == 0:
            say(f"Asking: {turn} of {calls}")
        for one, (_, by_kind) in zip(found, asked, strict=True):
            for kind, call in by_kind.items():
                begun = time.perf_counter()
                await call()
                one.calls[kind].append((time.perf_counter() - begun) * 1_000)
    return found


async def require_agreement(tool: Tool, by_kind: dict[str, Call]) -> None:
    """Times compare only if all read the same trades, and none of them is an error's."""
    floor = tool.counted(await by_kind["floor"]())
    store = (await by_kind["store"]()).scope.trades
    answer = await by_kind["end_to_end"]()
    assert not answer.is_error, answer.content
    server = answer.structured_content["scope"]["trades"]
    assert floor == store == server > 0, (tool.name, floor, store, server)
    assert not (await by_kind["empty"]()).is_error


if __name__ == "__main__":
    main()
