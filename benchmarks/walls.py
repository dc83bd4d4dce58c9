"""What do the walls between users cost, row-level security that is?

    python -m benchmarks.walls [--trades 100000] [--users 100] [--blocks 100] [--json FILE]

A ledger is loaded into the test suite's own PostgreSQL and copied file by file; in the copy
its owner switches row-level security off. Of both, the same user asks the four questions
through the store, as the server does, from BEGIN to COMMIT; and sends the statements they
are made of through the driver alone, prepared, in a transaction opened in the same way of
which only the statements are timed. Walled and open take turns, A B B A and then B A A B, so
that noise of the machine meets both alike.

Entry conditions are worked out anew each time; the other questions remember what they
worked out from the whole book, as they do in use.

The run fails if a ratio of medians is above 1.15 for sure, its 95 % interval included.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import click
from sqlalchemy import event

from benchmarks.floors import TOOLS, Tool
from benchmarks.machines import machine, say, settings_for
from benchmarks.ratios import Compared, table
from benchmarks.scale.asking import WARM_UP
from benchmarks.scale.filling import fill, sizes
from store import queries
from store.database import ROLE, Store
from store.memory import Memory
from store.models import Base
from tests.postgres_server import NoPostgres, Server, postgres_server

ALLOWED = 1.15
NEVER_REMEMBERED = {"get_best_entry_conditions"}
QUERIES = {query.__name__: query for query in queries.load()}

Call = Callable[[], Awaitable[float]]  # Gives the milliseconds that it took.


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--trades", type=click.IntRange(1), default=100_000, show_default=True)
@click.option("--users", type=click.IntRange(2), default=100, show_default=True)
@click.option("--blocks", type=click.IntRange(1), default=100, show_default=True)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
def main(trades: int, users: int, blocks: int, json_file: Path | None) -> None:
    """Measure the four questions with and without row-level security."""
    try:
        with postgres_server() as server:
            found = asyncio.run(measure(server, trades, users, blocks))
    except NoPostgres as reason:
        raise click.ClickException(str(reason)) from None
    print("\n".join(f"{name}: {value}" for name, value in found["facts"].items()))
    print("", table(found["ratios"]), "", *plans_told(found["plans"]), sep="\n")
    if json_file:
        json_file.write_text(json.dumps(found, indent=2) + "\n")
    above = [one for one in found["ratios"] if one["low"] > ALLOWED]
    for one in above:
        print(f"Above {ALLOWED}: the {one['what']} of {one['question']}.")
    sys.exit(1 if above else 0)


@dataclass(frozen=True)
class Side:
    """A ledger, as the product reads it and as the bare driver does."""

    store: Store
    driver: Any

    @property
    def opening(self) -> str:
        """What `store.read()` says, too."""
        return (
            f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL ROLE {ROLE};"
            f" SET LOCAL app.user_id = '{self.store.settings.user_id}';"
            " SET LOCAL statement_timeout = 5000"
        )


@dataclass(frozen=True)
class Sent:
    """A statement as it reached the driver."""

    text: str
    parameters: tuple[Any, ...]


async def measure(server: Server, trades: int, users: int, blocks: int) -> dict[str, Any]:
    """The facts of the run, every ratio, and the plan of every statement on both sides."""
    user = users // 2 + 1
    say(f"Recording {trades} trades of {users} users ...")
    await make_ledgers(server, trades, users)
    async with reading(server, "walled", user) as walled, reading(server, "open", user) as opened:
        await require_difference(walled, opened)
        compared: list[Compared] = []
        calls: list[tuple[Call, Call]] = []
        plans: dict[str, list[tuple[list[str], list[str]]]] = {}
        for tool in TOOLS:
            sent = await sent_by(walled.store, tool)
            plans[tool.name] = [(await plan(walled, one), await plan(opened, one)) for one in sent]
            compared += [Compared(tool.name, "question"), Compared(tool.name, "statements")]
            calls.append((asking(walled.store, tool), asking(opened.store, tool)))
            calls.append((await sending(walled, sent), await sending(opened, sent)))
        await time_all(compared, calls, blocks)
        facts = {"trades": trades, "users": users, "blocks": blocks}
        return {
            "facts": facts | await machine(walled.store.settings),
            "ratios": [one.numbers() for one in compared],
            "plans": plans,
        }


async def make_ledgers(server: Server, trades: int, users: int) -> None:
    await server.create_database("walled")
    await fill(settings_for(server.url("walled"), 1), sizes(users, -(-trades // users)))
    await server.create_database("open", template="walled")
    owner = await asyncpg.connect(server.url("open"))
    for name in Base.metadata.tables:
        await owner.execute(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
        await owner.execute(f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY")
    await owner.close()


@asynccontextmanager
async def reading(server: Server, database: str, user: int) -> AsyncIterator[Side]:
    url = server.url(database)
    store, driver = Store(settings_for(url, user)), await asyncpg.connect(url)
    try:
        yield Side(store, driver)
    finally:
        await driver.close()
        await store.close()


async def require_difference(walled: Side, opened: Side) -> None:
    """A statement that names no user reads one user's trades here and everybody's there."""
    seen = []
    for side in (walled, opened):
        await side.driver.execute(side.opening)
        seen.append(await side.driver.fetchval("SELECT count(DISTINCT user_id) FROM trades"))
        await side.driver.execute("COMMIT")
    assert seen[0] == 1 < seen[1], seen


async def sent_by(store: Store, tool: Tool) -> list[Sent]:
    """What the question sends when it is asked as it will be measured."""
    ask, found = asking(store, tool), list[Sent]()

    def note(_conn: Any, _cursor: Any, text: str, parameters: Any, *_more: Any) -> None:
        found.append(Sent(text, tuple(parameters)))

    await ask()
    event.listen(store.connections.engine.sync_engine, "before_cursor_execute", note)
    await ask()
    event.remove(store.connections.engine.sync_engine, "before_cursor_execute", note)
    return found


def asking(store: Store, tool: Tool) -> Call:
    async def ask() -> float:
        if tool.name in NEVER_REMEMBERED:
            store.memory = Memory()
        begun = time.perf_counter()
        async with store.read() as session:
            await QUERIES[tool.name](session, **tool.arguments)
        return (time.perf_counter() - begun) * 1_000

    return ask


async def sending(side: Side, sent: list[Sent]) -> Call:
    driver, opening = side.driver, side.opening
    # Under the role that will run them, or the first run would plan them again.
    await driver.execute(opening)
    prepared = [(await driver.prepare(one.text), one.parameters) for one in sent]
    await driver.execute("COMMIT")

    async def send() -> float:
        await driver.execute(opening)
        begun = time.perf_counter()
        for statement, parameters in prepared:
            await statement.fetch(*parameters)
        taken = time.perf_counter() - begun
        await driver.execute("COMMIT")
        return taken * 1_000

    return send


async def plan(side: Side, sent: Sent) -> list[str]:
    """The steps, outermost first, each with the index or table that it reads."""
    await side.driver.execute(side.opening)
    told = await side.driver.fetchval(f"EXPLAIN (FORMAT JSON) {sent.text}", *sent.parameters)
    await side.driver.execute("COMMIT")
    return list(steps(json.loads(told)[0]["Plan"]))


def steps(node: dict[str, Any]) -> Iterator[str]:
    read = node.get("Index Name") or node.get("Relation Name")
    yield f"{node['Node Type']} {read}" if read else node["Node Type"]
    for inner in node.get("Plans", []):
        yield from steps(inner)


async def time_all(compared: list[Compared], calls: list[tuple[Call, Call]], blocks: int) -> None:
    for both in calls:
        for _ in range(WARM_UP):
            for call in both:
                await call()
    for block in range(blocks):
        if block % max(1, blocks // 5) == 0:
            say(f"Asking: block {block} of {blocks}")
        for one, both in zip(compared, calls, strict=True):
            walled, opened = await take_turns(*both, walled_first=block % 2 == 0)
            one.walled.append(walled)
            one.open.append(opened)


async def take_turns(
    walled: Call, opened: Call, *, walled_first: bool
) -> tuple[list[float], list[float]]:
    """Two calls of each, the side that begins also ending."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for is_walled in (walled_first, not walled_first, not walled_first, walled_first):
        times[is_walled].append(await (walled if is_walled else opened)())
    return times[True], times[False]


def plans_told(plans: dict[str, list[tuple[list[str], list[str]]]]) -> Iterator[str]:
    """What each statement reads of trades, and the steps that only one side takes.

    A policy that compares two constants is a Result, which is checked once before its scan.
    """
    for question, statements in plans.items():
        for walled, opened in statements:
            reads = counted(Counter(step for step in opened if "trades" in step))
            more, less = Counter(walled) - Counter(opened), Counter(opened) - Counter(walled)
            yield f"{question}: {reads or 'no trades'};"
            yield f"    only walled: {counted(more) or '-'}; only open: {counted(less) or '-'}"


def counted(steps: Counter[str]) -> str:
    return ", ".join(f"{count} x {step}" for step, count in sorted(steps.items()))


if __name__ == "__main__":
    main()
