"""One user's questions, asked in several ways that take turns call by call, so that noise of
the machine meets all alike:

- floor: one prepared statement over the same rows through the same driver (floors.py);
- store: the question put to the store in this process, worked out, answer model included;
- again: the same, where the store remembers the answer and makes sure that it still holds;
- stdio, HTTP: the real server, a process of its own that works each answer out, asked by the
  SDK's client;
- empty: a plain SDK server's tool that does nothing, asked the same way.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from mcp import Client

from benchmarks.floors import TOOLS, Tool, floors
from benchmarks.machines import WORKED_OUT, on_stdio, say
from benchmarks.measures import Measured
from store import queries
from store.database import Store
from store.errors import StoreError
from store.queries.answer import Answer
from store.settings import Settings
from tests.server.running import SERVER, Listening, listening

ANSWERS = 500  # As many as a server remembers.
WARM_UP = 10  # PostgreSQL settles on a plan after five runs.
QUERIES = {query.__name__: query for query in queries.load()}
EMPTY = ("-m", "benchmarks.empty_server")

Call = Callable[[], Awaitable[Any]]


class RefusedError(Exception):
    """A question was not answered: the sentence says why."""


FAULTS = (RefusedError, StoreError, asyncpg.PostgresError)


@dataclass(frozen=True)
class Doors:
    """Everything of one user that can be asked; `remembering` keeps its answers, `store` and
    the servers do not; `served` is the server that listens."""

    store: Store
    remembering: Store
    floor_of: Callable[[Tool], Awaitable[Call]]
    clients: dict[str, Client]  # By transport; those of the empty server too.
    served: Listening | None

    async def ways(self, tool: Tool) -> dict[str, Call]:
        def asking(store: Store) -> Call:
            async def ask() -> Answer:
                async with store.read() as session:
                    return await QUERIES[tool.name](session, **tool.arguments)

            return ask

        found: dict[str, Call] = {
            "floor": await self.floor_of(tool),
            "store": asking(self.store),
            "again": asking(self.remembering),
        }
        for way, client in self.clients.items():
            empty = way.startswith("empty")
            name, arguments = ("empty", {}) if empty else (tool.name, tool.arguments)
            found[way] = calling(client, name, arguments)
        return found


def calling(client: Client, name: str, arguments: dict[str, Any]) -> Call:
    async def ask() -> Any:
        answer = await client.call_tool(name, arguments)
        if answer.is_error:
            raise RefusedError(getattr(answer.content[0], "text", "refused"))
        return answer

    return ask


@asynccontextmanager
async def doors(settings: Settings, folder: Path, *, http: bool) -> AsyncIterator[Doors]:
    """The doors of the settings' user: to servers that run in `folder` meanwhile."""
    assert settings.database_url
    url, user = settings.database_url.get_secret_value(), settings.user_id
    store, served = Store(settings), None
    remembering = Store(settings.model_copy(update={"answers_remembered": ANSWERS}))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        stack.push_async_callback(remembering.close)
        floor_of = await stack.enter_async_context(floors(settings))
        clients = {
            "stdio": Client(on_stdio(folder, url, user, "-m", "mcp_server")),
            "empty_stdio": Client(on_stdio(folder, url, user, *EMPTY)),
        }
        if http:
            who = {"TRADE_HISTORY_USER_ID": str(user), **WORKED_OUT}
            serving = [
                await stack.enter_async_context(
                    listening("streamable-http", url, folder, program=program, **who)
                )
                for program in (SERVER, EMPTY)
            ]
            served = serving[0]
            clients |= {"http": Client(served.url), "empty_http": Client(serving[1].url)}
        for client in clients.values():
            await stack.enter_async_context(client)
        yield Doors(store, remembering, floor_of, clients, served)


async def warm(doors: Doors, calls: int, warm_up: int = WARM_UP) -> list[Measured]:
    """Every tool's times, asked again and again."""
    asked = [(Measured(tool.name), tool, await doors.ways(tool)) for tool in TOOLS]
    for one, tool, by_kind in asked:
        try:
            await require_agreement(tool, by_kind)
            for _ in range(warm_up):
                for call in by_kind.values():
                    await call()
        except FAULTS as error:
            one.refused = str(error)
        else:
            one.calls = {kind: [] for kind in by_kind}
    for turn in range(calls):
        if turn % max(1, calls // 5) == 0:
            say(f"Asking: {turn} of {calls}")
        for one, _tool, by_kind in asked:
            if one.refused:
                continue
            try:
                for kind, times in one.calls.items():
                    times.append(await timed(by_kind[kind]))
            except FAULTS as error:
                one.refused = str(error)
    return [one for one, _tool, _by_kind in asked]


async def timed(call: Call) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    await call()
    return (time.perf_counter() - begun) * 1_000


async def require_agreement(tool: Tool, by_kind: dict[str, Call]) -> None:
    """Times compare only if all read the same trades, and none of them is an error's."""
    floor = tool.counted(await by_kind["floor"]())
    store = (await by_kind["store"]()).scope.trades
    assert floor == store > 0, (tool.name, floor, store)
    for way in ("stdio", "http"):
        if way in by_kind:
            served = (await by_kind[way]()).structured_content["scope"]["trades"]
            assert floor == served, (tool.name, floor, way, served)


async def cold(settings: Settings, users: list[int]) -> list[dict[str, Any]]:
    """The first question of each of many users, on warm connections: half of them ask the
    store, and for the other half it is the floor's turn."""
    store, found = Store(settings), []
    try:
        async with floors(settings) as floor_of:
            for place, tool in enumerate(TOOLS):
                of_tool = users[place :: len(TOOLS)]
                one = Measured(tool.name, {"floor": [], "store": []})
                await _first_question(store, tool, settings.user_id)
                for turn, user in enumerate(of_tool):
                    if turn % 2:
                        call = await floor_of(tool, user)
                        one.calls["floor"].append(await timed(call))
                    else:
                        one.calls["store"].append(await _first_question(store, tool, user))
                found.append(one.numbers())
    finally:
        await store.close()
    return found


async def _first_question(store: Store, tool: Tool, user: int) -> float:
    async def ask() -> None:
        async with store.read(user) as session:
            await QUERIES[tool.name](session, **tool.arguments)

    return await timed(ask)
