"""What an answer costs when the database is a network away: round trips, and their time."""

from typing import Any

from benchmarks.floors import TOOLS
from benchmarks.machines import settings_for
from benchmarks.measures import summed_up
from benchmarks.scale.asking import QUERIES, Call, timed
from benchmarks.scale.proxy import counted
from store.database import Store

WARM_UP = 2


async def far_away(url: str, user: int, milliseconds: float, calls: int) -> list[dict[str, Any]]:
    """Of each tool: the round trips of a warm answer, and how long it takes."""
    found = []
    async with counted(url, milliseconds) as trips:
        store = Store(settings_for(trips.url, user))
        try:
            for tool in TOOLS:
                ask = _asking(store, tool.name, tool.arguments)
                for _ in range(WARM_UP):
                    await ask()
                before = trips.count
                times = [await timed(ask) for _ in range(calls)]
                taken = (trips.count - before) / calls
                found.append({"tool": tool.name, "round_trips": taken, **summed_up(times)})
        finally:
            await store.close()
    return found


def _asking(store: Store, name: str, arguments: dict[str, Any]) -> Call:
    async def ask() -> None:
        async with store.read() as session:
            await QUERIES[name](session, **arguments)

    return ask
