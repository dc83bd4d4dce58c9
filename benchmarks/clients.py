"""Do many clients at once get their answers, and does the server stay as it is?

    python -m benchmarks.clients [--clients 64] [--seconds 60] [--trades 1000] [--postgres]
                                 [--json FILE]

The real server is started on Streamable HTTP, with tokens asked for. Each client is the SDK's,
with a token of a user of its own who has `--trades` closed trades, and asks one question after
another without a pause. The clients share one process, which checks every answer against the
announced shape as the SDK does: on a small machine they work harder than the server, and
what is timed includes how long they wait for each other. So the server's own CPU time a
question is said as well.

The run fails if any question does.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import click
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.machines import machine, say, settings_for
from benchmarks.scale.filling import fill, sizes
from benchmarks.tools import a_database
from store.database import Store
from store.tokens import create_token
from store.users import set_limits
from tests.server.running import Listening, listening
from tests.server.signing_in import bearer

QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("get_trade_history", {"limit": 20}),
    ("get_win_rate_by_score", {"min": 60, "max": 80}),
    ("get_best_entry_conditions", {}),
    ("get_strategy_performance", {}),
    ("get_overview", {}),
    ("get_trade", {"number": 1}),
]
PATIENCE_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What the clients saw."""

    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--clients", type=click.IntRange(1), default=64, show_default=True)
@click.option("--seconds", type=click.IntRange(3), default=60, show_default=True)
@click.option("--trades", type=click.IntRange(1), default=1_000, show_default=True, help="A user.")
@click.option("--postgres", is_flag=True, help="The test suite's own server, else SQLite.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(clients: int, seconds: int, trades: int, postgres: bool, json_file: Path | None) -> None:
    """Ask mixed questions as many clients at once."""
    with a_database(None, postgres) as url, tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(url, clients, seconds, trades, Path(folder)))
    for name, value in found.items():
        print(f"{name}: {value}")
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    sys.exit(1 if found["errors"] else 0)


async def measure(
    url: str, clients: int, seconds: int, trades: int, folder: Path
) -> dict[str, Any]:
    settings = settings_for(url, 1)
    say(f"Recording {trades} trades of each of {clients} users ...")
    await fill(settings, sizes(clients, trades))
    store = Store(settings)
    texts = [await token_of(store, user) for user in range(1, clients + 1)]
    await store.close()
    on = {"TRADE_HISTORY_AUTH": "on"}
    async with listening("streamable-http", url, folder, **on) as server, AsyncExitStack() as open_:
        say("Connecting, and asking each question once ...")
        run = Run()
        crowd = [await connected(server, text, open_) for text in texts]
        await together(ask_each(client, seed, run) for seed, client in enumerate(crowd))
        run.milliseconds.clear()
        memory, cpu = [resident(server)], cpu_seconds(server)
        own, began = time.process_time(), time.perf_counter()
        say(f"Asking for {seconds} seconds ...")
        asking = asyncio.create_task(
            together(
                ask_on(client, began + seconds, seed, run) for seed, client in enumerate(crowd)
            )
        )
        await asyncio.sleep(seconds / 2)
        memory.append(resident(server))
        await asking
        taken, cpu = time.perf_counter() - began, cpu_seconds(server) - cpu
        memory.append(resident(server))
        log = server.log.read_text()
    every = sorted(one for times in run.milliseconds.values() for one in times)
    return {
        "clients": clients,
        "seconds": seconds,
        "trades_each": trades,
        **await machine(settings),
        "questions": len(every),
        "errors": dict(run.errors),
        "questions_a_second": round(len(every) / taken, 1),
        "p50_ms": at(every, 0.5),
        "p99_ms": at(every, 0.99),
        "p99_ms_by_tool": {
            name: at(sorted(times), 0.99) for name, times in run.milliseconds.items()
        },
        "server_cpu_ms_a_question": round(cpu / max(1, len(every)) * 1_000, 2),
        "clients_cpu_share_of_a_core": round((time.process_time() - own) / taken, 2),
        "server_cpu_share_of_a_core": round(cpu / taken, 2),
        "server_mb_start_middle_end": memory,
        "server_log": log.splitlines()[1:],
    }


async def token_of(store: Store, user_id: int) -> str:
    async with store.operate(user_id, write=True) as session:
        await set_limits(session, "pro", calls_per_minute=None, accounts=None, trades=None)
    async with store.write(user_id) as session:
        return (await create_token(session, "a client", ["trades:read"])).text


async def connected(server: Listening, text: str, open_: AsyncExitStack) -> Client:
    """A client with the token `text`, until `open_` closes."""
    http = httpx2.AsyncClient(headers=bearer(text), timeout=PATIENCE_SECONDS)
    await open_.enter_async_context(http)
    return await open_.enter_async_context(
        Client(streamable_http_client(server.url, http_client=http))
    )


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


async def ask_each(client: Client, seed: int, run: Run) -> None:
    """Each question once: the server judges the book, the client reads the announced shapes."""
    for name, said in random.Random(seed).sample(QUESTIONS, len(QUESTIONS)):
        await ask(client, name, said, run)


async def ask_on(client: Client, until: float, seed: int, run: Run) -> None:
    chance = random.Random(seed)
    while time.perf_counter() < until:
        await ask(client, *chance.choice(QUESTIONS), run)


async def ask(client: Client, name: str, said: dict[str, Any], run: Run) -> None:
    begun = time.perf_counter()
    try:
        result = await client.call_tool(name, said)
    except Exception as error:
        run.errors[f"{name}: {type(error).__name__}: {error}"[:200]] += 1
        return
    run.milliseconds.setdefault(name, []).append((time.perf_counter() - begun) * 1_000)
    if result.is_error:
        run.errors[f"{name}: {result.content}"[:200]] += 1


def resident(server: Listening) -> float:
    """Megabytes of memory that the server has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def cpu_seconds(server: Listening) -> float:
    # The name before the last parenthesis may hold anything.
    told = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / TICKS


def at(ranked: list[float], fraction: float) -> float:
    """The nearest-rank quantile."""
    return round(ranked[max(0, ceil(fraction * len(ranked)) - 1)], 1) if ranked else 0.0


if __name__ == "__main__":
    main()
