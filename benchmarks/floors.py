"""The floor of each tool: what the driver itself takes for the same rows.

One statement, prepared once, in the transaction that the store opens too (BEGIN, role and
identity in one message on PostgreSQL; query_only and BEGIN on SQLite), on a connection made
by the store's own settings. Plain counts and sums where the tool aggregates, with the page
beside them for the history; for the entry conditions, which need every column, the rows.
No intervals, no other books, no zones, no models.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from store.connecting import driver_connection, one_connection
from store.database import ROLE
from store.settings import Settings

Call = Callable[[], Awaitable[Any]]

COUNTS = (
    "count(*) AS n, count(*) FILTER (WHERE outcome = 'win') AS wins,"
    " count(*) FILTER (WHERE outcome = 'loss') AS losses,"
    " sum(gross_pnl) AS gross, sum(fees) AS fees, sum(net_pnl) AS net"
)
LINE = (
    "number, strategy, structure, direction, opened_on, closed_on, quantity, entry_price,"
    " exit_price, net_pnl, outcome, exit_reason"
)
BOOK = "FROM trades WHERE user_id = $1 AND mode = 'live' AND status = 'closed'"


@dataclass(frozen=True)
class Tool:
    """A tool, what it is asked, and the statement that is its floor.

    `counted` is how many trades the rows of the floor stand for: the tool must agree.
    """

    name: str
    arguments: dict[str, Any]
    statement: str
    parameters: tuple[Any, ...]
    counted: Callable[[Sequence[Any]], int]


TOOLS = (
    Tool(
        "get_trade_history",
        {"ticker": "AAPL"},
        f"WITH totals AS (SELECT {COUNTS} {BOOK} AND ticker = $2),"  # noqa: S608
        f" page AS (SELECT {LINE} {BOOK} AND ticker = $2"
        " ORDER BY closed_at DESC, number DESC LIMIT 6)"
        " SELECT * FROM totals CROSS JOIN page",
        ("AAPL",),
        lambda rows: int(rows[0][0]),
    ),
    Tool(
        "get_win_rate_by_score",
        {"min": 60, "max": 80},
        f"SELECT {COUNTS}, scanner_score / 1000000000 AS band,"
        f" scanner_score BETWEEN $2 AND $3 AS inside {BOOK} GROUP BY 7, 8",
        (6_000_000_000, 8_000_000_000),
        lambda rows: sum(int(row[0]) for row in rows),
    ),
    Tool(
        "get_best_entry_conditions",
        {"ticker": "AAPL"},
        "SELECT number, ticker, strategy, structure, direction, option_type, entry_weekday,"
        " entry_hour, scanner_score, ai_score, delta, iv, dte, outcome, return_on_risk"
        f" {BOOK}",
        (),
        len,
    ),
    Tool(
        "get_strategy_performance",
        {"strategy": "leap_call"},
        f"SELECT {COUNTS}, sum(r_multiple) AS r, sum(holding_seconds) AS held"
        f" {BOOK} AND strategy = $2",
        ("leap_call",),
        lambda rows: int(rows[0][0]),
    ),
)


@asynccontextmanager
async def floors(settings: Settings) -> Any:
    """A function that gives each tool's floor as a call, of the settings' user or another one,
    while the block lasts."""
    database = settings.database()
    prepare = _on_postgresql if database.dialect == "postgresql" else _on_sqlite
    async with one_connection(database) as connection:
        driver = driver_connection(connection)
        yield lambda tool, user=settings.user_id: prepare(driver, tool, user)


async def _on_postgresql(driver: Any, tool: Tool, user: int) -> Call:
    begin = (
        f"BEGIN READ ONLY; SET LOCAL ROLE {ROLE}; SET LOCAL app.user_id = '{user}';"
        " SET LOCAL statement_timeout = 60000"
    )
    # Under the role that will run it, or the first run would plan it again.
    await driver.execute(begin)
    prepared = await driver.prepare(tool.statement)
    await driver.execute("COMMIT")

    async def floor() -> Any:
        await driver.execute(begin)
        try:
            return await prepared.fetch(user, *tool.parameters)
        finally:
            await driver.execute("COMMIT")

    return floor


async def _on_sqlite(driver: Any, tool: Tool, user: int) -> Call:
    statement = tool.statement.replace("$", "?")  # The driver keeps what it has prepared.
    await driver.execute("PRAGMA query_only = ON")

    async def floor() -> Any:
        await driver.execute("BEGIN")
        rows = await driver.execute_fetchall(statement, (user, *tool.parameters))
        await driver.execute("COMMIT")
        return rows

    return floor
