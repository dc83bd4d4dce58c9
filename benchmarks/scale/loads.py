"""Many questions at once to the server that listens: how many it answers, and what of."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from mcp import Client

from benchmarks.floors import TOOLS, Tool
from benchmarks.measures import summed_up
from benchmarks.scale.asking import calling, timed
from tests.server.running import Listening

CONCURRENT = (1, 8)
TICKS = os.sysconf("SC_CLK_TCK")


async def loads(served: Listening, seconds: float) -> list[dict[str, Any]]:
    """For every tool and number of clients: answers a second, milliseconds of an answer, and
    the processor's milliseconds that the server spent on one (the database's come on top)."""
    found = []
    for tool in TOOLS:
        for clients in CONCURRENT:
            async with AsyncExitStack() as stack:
                asked = [
                    await stack.enter_async_context(Client(served.url)) for _ in range(clients)
                ]
                found.append(await _load(served, tool, asked, seconds))
    return found


async def _load(
    served: Listening, tool: Tool, clients: list[Client], seconds: float
) -> dict[str, Any]:
    times: list[float] = []
    processor, begun = processor_seconds(served.process.pid), time.perf_counter()

    async def ask(client: Client) -> None:
        call = calling(client, tool.name, tool.arguments)
        while time.perf_counter() - begun < seconds:
            times.append(await timed(call))

    await asyncio.gather(*map(ask, clients))
    taken = time.perf_counter() - begun
    processor = processor_seconds(served.process.pid) - processor
    return {
        "tool": tool.name,
        "clients": len(clients),
        "answers": len(times),
        "per_second": len(times) / taken,
        "server_cpu_ms": processor / len(times) * 1_000,
        **summed_up(times),
    }


def processor_seconds(process: int) -> float:
    """What a process has used of the processors so far, in its own code and the system's."""
    # The name before the last parenthesis may hold anything.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(process: int) -> dict[str, float]:
    """Megabytes that a process has in memory now, and had at most."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    kept = dict(line.split(":", 1) for line in lines)
    read: Callable[[str], float] = lambda name: int(kept[name].split()[0]) / 1024  # noqa: E731
    return {"now_mb": read("VmRSS"), "most_mb": read("VmHWM")}
