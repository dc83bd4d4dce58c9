"""Which way the database takes to an answer, at a size where it has a choice.

20,000 trades of 20 users. The statements are those that the questions really send, caught
on their way to the driver; the plan is the database's own.
"""

import asyncio
import json
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event, insert

from store import queries
from store.accounts import AccountEntry, put_account
from store.database import Store, create_engine, driver_of
from store.models import Strategy, Trade
from store.schema import add_user, prepare
from tests.conftest import in_own_loop, settings_for
from tests.postgres_server import Server

USERS, TRADES = 20, 1_000
ASKING = 7
QUERIES = {query.__name__: query for query in queries.load()}
BOOK = "ix_trades_book"

AGGREGATES: list[tuple[str, dict[str, Any]]] = [
    ("get_strategy_performance", {}),
    ("get_strategy_performance", {"strategy": "leap"}),
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


def trades() -> list[dict[str, Any]]:
    """Closed trades as they are stored, with facts at random and P&L that adds up."""
    chance, start = random.Random(3), datetime(2025, 1, 1, 15, tzinfo=UTC)
    found = []
    for number in range(1, TRADES + 1):  # As they come in: users mixed, in order of time.
        for user_id in range(1, USERS + 1):
            opened = start + timedelta(hours=8 * number + user_id)
            net = Decimal(chance.choice([-80, -20, 30, 90]))
            found.append(
                {
                    "user_id": user_id, "number": number, "account_id": 1, "mode": "paper",
                    "currency": "USD", "status": "closed",
                    "ticker": chance.choice(["AAPL", "SPY", "TSLA", "MSFT"]),
                    "strategy": chance.choice(["leap", "swing", None]), "structure": "single",
                    "direction": "bullish", "opened_at": opened, "opened_on": date(2025, 1, 1),
                    "entry_weekday": chance.randint(1, 5), "entry_hour": 10,
                    "closed_at": opened + timedelta(hours=2), "closed_on": opened.date(),
                    "holding_seconds": 7200, "quantity": Decimal(100), "price_sign": 1,
                    "entry_price": Decimal(100), "exit_price": 100 + (net + 1) / 100,
                    "gross_pnl": net + 1, "fees": Decimal(1), "net_pnl": net,
                    "r_multiple": net / 100, "return_on_risk": net / 100,
                    "outcome": "win" if net > 0 else "loss", "exit_reason": "manual",
                    "scanner_score": Decimal(chance.randint(0, 100)),
                    "ai_score": Decimal(chance.randint(0, 100)),
                    "delta": Decimal("0.4"), "iv": Decimal("0.3"), "dte": 30,
                    "source": "plan", "recorded_at": opened,
                }
            )  # fmt: skip
    return found


async def fill(url: str) -> None:
    store = Store(settings_for(url))
    await prepare(store)
    for user_id in range(1, USERS + 1):
        await add_user(store, user_id, f"user {user_id}")
        async with store.write(user_id) as session:
            await put_account(session, AccountEntry(name="main", mode="paper"))
            for name in ("leap", "swing"):
                named = {"user_id": user_id, "name_key": name, "name": name}
                await session.execute(insert(Strategy).values(named))
    await store.close()
    # As the database's owner, which alone may write for many users at once.
    engine = create_engine(settings_for(url))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        sqlite = connection.dialect.name == "sqlite"
        # VACUUM sees nothing as visible to all whose commit is not on disk yet.
        await connection.exec_driver_sql("BEGIN" if sqlite else "SET synchronous_commit = on")
        await connection.execute(insert(Trade), trades())
        if sqlite:
            await connection.exec_driver_sql("COMMIT")
        await connection.exec_driver_sql("ANALYZE" if sqlite else "VACUUM ANALYZE trades")
    await engine.dispose()


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
        in_own_loop(fill(url))
    yield urls
    in_own_loop(server.drop_database(name))


async def plans(url: str, name: str, arguments: dict[str, Any], *, warm: bool = True) -> list[Any]:
    """How the database runs each statement of the question, asked as one of the users.

    Warm, what is worked out from a whole book is remembered from having asked before.
    """
    store = Store(settings_for(url))
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
        event.listen(store.engine.sync_engine, "before_cursor_execute", note)
        with driver.query_logger(lambda log: sent.append(Sent(log.query, log.args))):
            yield sent
            await asyncio.sleep(0)  # The logger is called a moment later.
        event.remove(store.engine.sync_engine, "before_cursor_execute", note)
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
    rows = await driver.execute_fetchall(f"EXPLAIN QUERY PLAN {sent.statement}")
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
    take their course and the order of exits, conditions the version."""
    for url in full.values():
        for name, more in (
            ("get_best_entry_conditions", 2),
            ("get_win_rate_by_score", 1),
            ("check_setup", 2),
            ("get_strategy_performance", 3),
        ):
            assert len(await plans(url, name, {}, warm=False)) == 1 + more, name
