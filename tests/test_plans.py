"""Which way the database takes to an answer, at a size where it has a choice.

40,000 trades of 40 users with all their parts, as benchmarks.scale generates them. The
statements are those that the questions really send, caught on their way to the driver; the
plan is the database's own.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from benchmarks.scale.filling import Sizes, fill
from store import queries
from store.database import Store, driver_of
from tests.conftest import in_own_loop, settings_for
from tests.postgres_server import Server

USERS, TRADES, BOOK_DAYS = 40, 1_000, 60
ASKING = 7
QUERIES = {query.__name__: query for query in queries.load()}
BOOK = "ix_trades_book"

AGGREGATES: list[tuple[str, dict[str, Any]]] = [
    ("get_strategy_performance", {}),
    ("get_strategy_performance", {"strategy": "leap_call"}),
    ("get_win_rate_by_score", {"min": 60, "max": 80}),
    ("get_overview", {}),
]
# A page of rows, facts beyond the index, or a ticker, which has an index of its own.
LISTS: list[tuple[str, dict[str, Any]]] = [
    ("get_win_rate_by_score", {"score": "ai", "ticker": "AAPL"}),
    ("get_trade_history", {}),
    ("get_trade_history", {"ticker": "AAPL"}),
    ("get_trade_history", {"order": "worst", "limit": 20}),
    ("get_trade_history", {"status": "all"}),
    ("get_best_entry_conditions", {}),
    ("get_trade", {"number": 500}),
]


@dataclass(frozen=True)
class Sent:
    statement: str
    parameters: Any


@pytest.fixture(scope="module")
def full(
    server: Server,
    postgres_template: str,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, str]]:
    """A full database of each kind."""
    path, name = tmp_path_factory.mktemp("plans") / "trades.db", "ledger_plans"
    shutil.copy(sqlite_template, path)
    in_own_loop(server.create_database(name, postgres_template))
    urls = {"sqlite": f"sqlite:///{path}", "postgresql": server.direct(server.url(name))}
    for url in urls.values():
        in_own_loop(fill(settings_for(url), Sizes((TRADES,) * USERS), days=BOOK_DAYS))
    yield urls
    in_own_loop(server.drop_database(name))


async def plans(url: str, name: str, arguments: dict[str, Any], *, warm: bool = True) -> list[Any]:
    """How the database runs each statement of the question, asked as one of the users and
    worked out.

    Warm, what is worked out from a whole book is remembered from having asked before.
    """
    store = Store(settings_for(url).model_copy(update={"answers_remembered": 0}))
    if warm:
        async with store.read(ASKING) as session:
            await QUERIES[name](session, **arguments)
    async with store.read(ASKING) as session:
        driver = driver_of(session)
        async with caught(store, driver) as sent:
            await QUERIES[name](session, **arguments)
        found = [await plan(driver, one) for one in sent]
    await store.close()
    return found


@asynccontextmanager
async def caught(store: Store, driver: Any) -> AsyncIterator[list[Sent]]:
    """What the driver sends within the block."""
    sent = list[Sent]()

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        sent.append(Sent(statement, parameters))

    if isinstance(driver, asyncpg.Connection):
        # The driver does not log what SQLAlchemy has it prepare first.
        event.listen(store.connections.engine.sync_engine, "before_cursor_execute", note)
        with driver.query_logger(lambda log: sent.append(Sent(log.query, log.args))):
            yield sent
            await asyncio.sleep(0)  # The logger is called a moment later.
        event.remove(store.connections.engine.sync_engine, "before_cursor_execute", note)
        return
    # SQLite tells the statement with its parameters in their places.
    await driver.set_trace_callback(lambda statement: sent.append(Sent(statement, ())))
    yield sent
    await driver.set_trace_callback(None)


async def plan(driver: Any, sent: Sent) -> Any:
    if isinstance(driver, asyncpg.Connection):
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sent.statement}"
        told = await driver.fetchval(explained, *sent.parameters)
        return list(nodes((json.loads(told) if isinstance(told, str) else told)[0]["Plan"]))
    rows = await driver.execute_fetchall(f"EXPLAIN QUERY PLAN {sent.statement}", sent.parameters)
    return [detail for *_, detail in rows]


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from nodes(inner)


def on_trades(plan: list[Any]) -> list[Any]:
    """The steps that read the table of trades, or an index of it."""
    if plan and isinstance(plan[0], str):
        return [step for step in plan if step.startswith(("SEARCH trades", "SCAN trades"))]
    return [
        node
        for node in plan
        if node.get("Relation Name") == "trades" or "_trades" in node.get("Index Name", "")
    ]


@pytest.mark.parametrize(("name", "arguments"), AGGREGATES)
async def test_sqlite_answers_aggregates_from_the_index_alone(
    full: dict[str, str], name: str, arguments: dict[str, Any]
) -> None:
    [plan] = await plans(full["sqlite"], name, arguments)

    steps = on_trades(plan)
    assert steps
    for step in steps:
        assert step.startswith(f"SEARCH trades USING COVERING INDEX {BOOK} (user_id=?"), step


@pytest.mark.parametrize(("name", "arguments"), AGGREGATES)
async def test_postgresql_answers_aggregates_from_the_index_alone(
    full: dict[str, str], name: str, arguments: dict[str, Any]
) -> None:
    [plan] = await plans(full["postgresql"], name, arguments)

    steps = on_trades(plan)
    assert steps
    for step in steps:
        assert (step["Node Type"], step["Index Name"]) == ("Index Only Scan", BOOK)
        assert step["Heap Fetches"] == 0


@pytest.mark.parametrize(("name", "arguments"), LISTS)
async def test_sqlite_finds_listed_trades_by_an_index_of_the_user(
    full: dict[str, str], name: str, arguments: dict[str, Any]
) -> None:
    for plan in await plans(full["sqlite"], name, arguments, warm=False):
        for step in on_trades(plan):
            assert step.startswith("SEARCH trades USING"), step
            assert "(user_id=?" in step, step


@pytest.mark.parametrize(("name", "arguments"), AGGREGATES + LISTS)
async def test_postgresql_touches_no_row_of_another_user(
    full: dict[str, str], name: str, arguments: dict[str, Any]
) -> None:
    """No step reads more than the user's own trades, those it throws away included."""
    for plan in await plans(full["postgresql"], name, arguments, warm=False):
        for step in on_trades(plan):
            assert step["Node Type"] != "Seq Scan"
            removed = step.get("Rows Removed by Filter", 0)
            assert step["Actual Rows"] + removed <= TRADES, step


@pytest.mark.parametrize("name", sorted(QUERIES))
async def test_an_answer_is_one_statement(full: dict[str, str], name: str) -> None:
    given = {"number": 500} if name == "get_trade" else {}

    for url in full.values():
        assert len(await plans(url, name, given)) == 1


async def test_a_book_is_read_once_for_a_version_of_the_ledger(full: dict[str, str]) -> None:
    """Asked first, evidence takes the book's rows in one statement more; strategies also
    take their course and the order of exits, a setup the values of its facts."""
    for url in full.values():
        for name, more in (
            ("get_best_entry_conditions", 1),
            ("get_win_rate_by_score", 1),
            ("check_setup", 2),
            ("get_strategy_performance", 3),
        ):
            assert len(await plans(url, name, {}, warm=False)) == 1 + more, name
