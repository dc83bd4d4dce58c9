"""The server goes away under load and comes back: every call is answered or refused in time.

Tasks keep asking and recording through one store, as a server's clients do. A refusal is
`Unavailable`; a command that met one is repeated under its key until it is answered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from benchmarks.faults.checking import Contradiction, check
from benchmarks.faults.commands import Said, Trader, say
from benchmarks.faults.ledgers import settings_for
from store.audit import Recorded
from store.database import Store
from store.errors import Unavailable
from store.queries.get_overview import get_overview

USER = 1
TASKS = 5  # That ask, and as many that record: twice the connections of a store.
BOUND_SECONDS = 20  # A call that takes longer hangs.
DOWN_SECONDS = 1.0
PAUSE_SECONDS = 0.01  # Before a refused call is repeated.

T = TypeVar("T")


@dataclass
class Outage:
    """What callers met from the moment the server was ended until all had been answered.

    The recovery times count from the server's accepting connections to the end of the
    first call that was answered, and of the first that recorded.
    """

    how: str
    answered: int = 0
    refused: int = 0
    longest: float = 0.0
    up_at: float | None = None
    recovered: dict[str, float] = field(default_factory=dict)

    def met(self, kind: str, seconds: float, *, refused: bool) -> None:
        self.longest = max(self.longest, seconds)
        self.refused += refused
        self.answered += not refused
        if self.up_at is not None and not refused:
            self.recovered.setdefault(kind, time.monotonic() - self.up_at)


class Load:
    """The tasks, what they recorded, and what they meet in the outage at hand."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.seed = seed
        self.said: list[Said] = []
        self.now = Outage("before")
        self.over = False
        self.answered = dict.fromkeys(range(2 * TASKS), 0)  # Calls by task.
        self.news = asyncio.Condition()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(TASKS):
                    group.create_task(self.ask(number))
                    group.create_task(self.record(TASKS + number))
                yield
                self.over = True
        except* Contradiction as found:
            raise found.exceptions[0] from None

    async def ask(self, number: int) -> None:
        async def overview() -> Any:
            async with self.store.read(USER) as session:
                return await get_overview(session)

        while not self.over:
            await self.call(number, "ask", overview)

    async def record(self, number: int) -> None:
        trader = Trader(f"task {number}", self.seed)
        while not self.over:
            command = trader.next()
            answer: Recorded | None = None
            while answer is None and not self.over:
                answer = await self.call(number, "record", partial(say, self.store, USER, command))
            self.said.append(Said(command, answer))
            if answer is not None:
                trader.learn(command, answer)

    async def call(self, number: int, kind: str, make: Callable[[], Awaitable[T]]) -> T | None:
        """The answer, or None if the call was refused.

        Raises:
            Contradiction: neither came in time.
        """
        begun = time.monotonic()
        found = None
        try:
            async with asyncio.timeout(BOUND_SECONDS):
                found = await make()
        except Unavailable:
            pass
        except TimeoutError:
            raise Contradiction(f"A call to {kind} hung for {BOUND_SECONDS} s.") from None
        except Exception as error:
            name = type(error).__name__
            raise Contradiction(f"A call to {kind} met {name}: {error}") from error
        self.now.met(kind, time.monotonic() - begun, refused=found is None)
        if found is None:
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            self.answered[number] += 1
            async with self.news:
                self.news.notify_all()
        return found

    async def all_answered(self, times: int = 3) -> None:
        """Wait until every task has been answered so many times more."""
        goal = {number: count + times for number, count in self.answered.items()}
        async with asyncio.timeout(2 * BOUND_SECONDS), self.news:
            await self.news.wait_for(
                lambda: all(self.answered[number] >= goal[number] for number in goal)
            )


async def interrupt(
    url: str, ends: dict[str, Callable[[], None]], start: Callable[[], None], seed: int
) -> list[Outage]:
    """End the server in each of these ways under load, and start it again.

    Raises:
        Contradiction: a call hung or met another error, or something acknowledged is lost.
    """
    store = Store(settings_for(url))
    load = Load(store, seed)
    outages = []
    try:
        async with load.running():
            for how, end in ends.items():
                await load.all_answered()
                load.now = outage = Outage(how)
                await asyncio.to_thread(end)
                await asyncio.sleep(DOWN_SECONDS)
                await asyncio.to_thread(start)
                outage.up_at = time.monotonic()
                with suppress(TimeoutError):
                    await load.all_answered()
                if set(outage.recovered) != {"ask", "record"}:
                    raise Contradiction(f"After a {how} calls were not answered again.")
                outages.append(outage)
        await check(store, USER, load.said)
    finally:
        await store.close()
    return outages
