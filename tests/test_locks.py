"""What is locked stays as it is, whatever a client says, and whichever client says it.

Four clients try: SQLite with our pragmas and without any, PostgreSQL as the application's
role and as the superuser that owns the tables.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from store.corrections import correct_trade, void_trade
from store.database import ROLE, Store
from store.models import Base, Trade
from store.recording import add_fill, add_note, open_trade
from store.records import FillEntry
from tests.ledger import moment, read, record, trade

CLIENTS = ("sqlite-pragmas", "sqlite-raw", "postgresql-app", "postgresql-owner")
PRAGMAS = ("foreign_keys", "recursive_triggers")
PARTS = ("legs", "fills", "conditions")
APPENDED = ("paths", "corrections", "notes", "requests", "audit")
TABLES = Base.metadata.tables
REFUSED = (
    sqlite3.Error,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.InsufficientPrivilegeError,
)


class Client:
    """Says one statement, in a transaction of its own, to the database itself."""

    def __init__(self, kind: str, connection: Any) -> None:
        self.kind = kind
        self.connection = connection
        self.sqlite = kind.startswith("sqlite")

    async def say(self, statement: str) -> None:
        if self.sqlite:
            with self.connection:
                self.connection.execute(statement)
            return
        async with self.connection.transaction():
            if self.kind == "postgresql-app":
                await self.connection.execute(f"SET LOCAL ROLE {ROLE}")
                await self.connection.execute("SET LOCAL app.user_id = '1'")
            await self.connection.execute(statement)

    async def everything(self) -> list[Any]:
        if self.sqlite:
            rows: list[Any] = []
            for table in TABLES:
                rows += self.connection.execute(f"SELECT '{table}', * FROM {table}").fetchall()
        else:
            every = " UNION ALL ".join(
                f"SELECT '{table}', t::text FROM {table} t" for table in TABLES
            )
            rows = [tuple(row) for row in await self.connection.fetch(every)]
        return sorted(rows, key=repr)

    async def refused(self, *statements: str) -> None:
        """Each is refused, and every row of every table is what it was."""
        before = await self.everything()
        for statement in statements:
            with pytest.raises(REFUSED) as refusal:
                await self.say(statement)
            assert await self.everything() == before, statement
            if isinstance(refusal.value, sqlite3.OperationalError):
                # There is no hidden key by which a row could be replaced (but of paths).
                assert "rowid" in str(refusal.value), statement


@pytest.fixture(params=CLIENTS)
def client_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def dialect(client_kind: str) -> str:
    return client_kind.split("-")[0]


@pytest.fixture
async def client(client_kind: str, direct_url: str, ledger: Store) -> AsyncIterator[Client]:
    if client_kind.startswith("sqlite"):
        connection = sqlite3.connect(direct_url.removeprefix("sqlite:///"))
        for pragma in PRAGMAS:
            said = "ON" if client_kind == "sqlite-pragmas" else "OFF"
            connection.execute(f"PRAGMA {pragma} = {said}")
        yield Client(client_kind, connection)
        connection.close()
        return
    postgres = await asyncpg.connect(direct_url)
    yield Client(client_kind, postgres)
    await postgres.close()


@pytest.fixture
async def ledger(store: Store) -> Store:
    """1 is closed, 2 open, 3 superseded by 4, 5 void; 1 and 2 have all that trades can have."""
    await record(
        store,
        """
        2026-01-05  AAPL  +5  open  external T-1  broker_order B-1  condition vix=18
        2026-01-05  AAPL  +5  open  external T-2  broker_order B-2  condition vix=19
        2026-01-05  MSFT  -50
        """,
    )
    exit_ = FillEntry.model_validate(
        {"side": "sell", "quantity": 100, "price": 90, "filled_at": moment("2026-01-06"),
         "execution_id": "E-1"}
    )  # fmt: skip
    scale_in = exit_.model_copy(update={"side": "buy", "execution_id": "E-2"})
    said = trade({"account": "main", **read("2026-01-05 MSFT -40")})
    async with store.write() as session:
        await add_fill(session, 1, 1, exit_, key="close 1")
        await add_fill(session, 2, 1, scale_in, key="grow 2")
        await add_note(session, 1, "a note")
        await correct_trade(session, 3, said, reason="price")
        await open_trade(session, said)
        await void_trade(session, 5, reason="twice")
    return store


def copied(table: str, where: str, **changed: str) -> str:
    """The SELECT of a table's rows with some columns said otherwise."""
    columns = [column.name for column in TABLES[table].columns]
    said = ", ".join(changed.get(name, name) for name in columns)
    return f"({', '.join(columns)}) SELECT {said} FROM {table} WHERE {where}"


def changes(table: str) -> list[tuple[str, str]]:
    """Every column of a table, with a value that it does not have."""
    other = {"Moment": "'2020-01-01T00:00:00.000000Z'", "Day": "'2020-01-01'", "Text": "'changed'"}
    return [
        (column.name, other.get(type(column.type).__name__, f"coalesce({column.name}, 0) + 1"))
        for column in TABLES[table].columns
    ]


@pytest.mark.parametrize("number", [1, 3, 5])
async def test_no_column_of_a_locked_trade_changes(client: Client, number: int) -> None:
    changed = changes("trades")
    assert len(changed) == len(Trade.__table__.columns) > 40
    await client.refused(
        *(
            f"UPDATE trades SET {column} = {value} WHERE user_id = 1 AND number = {number}"
            for column, other in changed
            for value in (other, "NULL")
        )
    )


async def test_no_status_is_flipped_and_no_trade_deleted(client: Client) -> None:
    await client.refused(
        "UPDATE trades SET ticker = ticker WHERE number = 1",
        "UPDATE trades SET status = 'open' WHERE number = 1",
        "UPDATE trades SET status = 'superseded' WHERE number = 1",
        "UPDATE trades SET status = 'void' WHERE number = 1",
        "UPDATE trades SET status = 'superseded' WHERE number = 2",
        "UPDATE trades SET status = 'void' WHERE number = 2",
        "UPDATE trades SET status = 'closed' WHERE number = 3",
        "UPDATE trades SET status = 'void' WHERE number = 3",
        "UPDATE trades SET status = 'open', closed_at = NULL WHERE number = 3",
        "UPDATE trades SET status = 'closed' WHERE number = 5",
        "UPDATE trades SET status = 'superseded' WHERE number = 5",
        "UPDATE trades SET number = 9 WHERE number = 2",
        "UPDATE trades SET ticker = 'X'",
        "DELETE FROM trades WHERE number = 1",
        "DELETE FROM trades WHERE number = 3",
        "DELETE FROM trades WHERE number = 5",
        "DELETE FROM trades",
        "DELETE FROM accounts",
        "UPDATE accounts SET mode = 'live'",
        "UPDATE accounts SET currency = 'EUR'",
        "UPDATE accounts SET account_id = 9",
    )


async def test_no_locked_trade_is_replaced(client: Client) -> None:
    upserted = copied("trades", "number = 1", ticker="'X'")
    statements = [
        f"INSERT INTO trades {upserted} ON CONFLICT (user_id, number) DO UPDATE SET ticker = 'X'",
        f"INSERT INTO trades {copied('trades', 'number = 2', number='1')}"
        " ON CONFLICT (user_id, number) DO UPDATE SET status = 'open'",
        "UPDATE trades SET number = 1 WHERE number = 2",
        "UPDATE trades SET external_id = 'T-1' WHERE number = 2",
        "UPDATE trades SET broker_order_id = 'B-1' WHERE number = 2",
    ]
    if client.sqlite:
        by_external = copied("trades", "number = 2", number="99", external_id="'T-1'")
        by_broker = copied("trades", "number = 2", number="99", broker_order_id="'B-1'")
        by_rowid = copied("trades", "number = 2", number="99", external_id="NULL",
                          broker_order_id="NULL").replace("(", "(rowid, ", 1)  # fmt: skip
        statements += [
            f"INSERT OR REPLACE INTO trades {copied('trades', 'number = 1', ticker='9')}",
            f"REPLACE INTO trades {copied('trades', 'number = 2', number='1')}",
            "REPLACE INTO trades " + copied("trades", "number = 2", number="'1'"),
            f"INSERT OR REPLACE INTO trades {by_external}",
            f"INSERT OR REPLACE INTO trades {by_broker}",
            "INSERT OR REPLACE INTO trades " + by_rowid.replace("SELECT ", "SELECT 1, ", 1),
            "UPDATE OR REPLACE trades SET number = 1 WHERE number = 2",
            "UPDATE OR REPLACE trades SET external_id = 'T-1' WHERE number = 2",
            "UPDATE OR REPLACE trades SET broker_order_id = 'B-1' WHERE number = 2",
            "UPDATE OR REPLACE trades SET rowid = 1 WHERE number = 2",
            "UPDATE OR IGNORE trades SET ticker = 'X' WHERE number = 1",
            "INSERT OR REPLACE INTO accounts SELECT * FROM accounts",
        ]
    await client.refused(*statements)


KEYS = {
    "legs": {"leg_number": "7"},
    "fills": {"fill_number": "77", "execution_id": "NULL"},
    "conditions": {"name": "'added'"},
    "snapshots": {"taken_at": "'2026-01-05T17:00:00.000000Z'"},
}


@pytest.mark.parametrize("table", PARTS)
async def test_no_part_of_a_locked_trade_changes(client: Client, table: str) -> None:
    key = ", ".join(column.name for column in TABLES[table].primary_key)
    last = list(TABLES[table].columns)[-1].name
    moved = copied(table, "trade_number = 2", trade_number="1", **KEYS[table])
    statements = [
        f"UPDATE {table} SET {column} = {value} WHERE trade_number = 1"
        for column, value in changes(table)
    ]
    statements += [
        f"DELETE FROM {table} WHERE trade_number = 1",
        f"DELETE FROM {table}",
        f"INSERT INTO {table} {moved}",
        f"INSERT INTO {table} {copied(table, 'trade_number = 1')}"
        f" ON CONFLICT ({key}) DO UPDATE SET {last} = excluded.{last}",
        f"UPDATE {table} SET trade_number = 2 WHERE trade_number = 1",
        f"UPDATE {table} SET trade_number = 1 WHERE trade_number = 2",
    ]
    if client.sqlite:
        statements += [
            f"INSERT OR REPLACE INTO {table} {copied(table, 'trade_number = 1')}",
            f"REPLACE INTO {table} {copied(table, 'trade_number = 2', trade_number='1')}",
            f"REPLACE INTO {table} " + copied(table, "trade_number = 2", trade_number="'1'"),
            f"UPDATE OR REPLACE {table} SET trade_number = 1 WHERE trade_number = 2",
            f"UPDATE OR REPLACE {table} SET rowid = 1 WHERE trade_number = 2",
            f"UPDATE OR IGNORE {table} SET {last} = NULL WHERE trade_number = 1",
        ]
    await client.refused(*statements)


@pytest.mark.parametrize("table", APPENDED)
async def test_what_is_appended_never_changes(client: Client, table: str) -> None:
    key = ", ".join(column.name for column in TABLES[table].primary_key)
    last = list(TABLES[table].columns)[-1].name
    statements = [f"UPDATE {table} SET {column} = {value}" for column, value in changes(table)]
    statements += [
        f"DELETE FROM {table}",
        f"INSERT INTO {table} {copied(table, 'true')}"
        f" ON CONFLICT ({key}) DO UPDATE SET {last} = excluded.{last}",
    ]
    if client.sqlite:
        statements += [
            f"INSERT OR REPLACE INTO {table} {copied(table, 'true')}",
            f"UPDATE OR REPLACE {table} SET {last} = {last}",
            f"UPDATE OR REPLACE {table} SET rowid = 1",
        ]
    await client.refused(*statements)


async def test_no_table_is_emptied(client: Client) -> None:
    if client.sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    for table in ("users", "accounts", "trades", "snapshots", *PARTS, *APPENDED):
        await client.refused(f"TRUNCATE {table} CASCADE")


async def test_no_snapshot_comes_to_a_locked_trade_or_goes_without_its_path(
    client: Client,
) -> None:
    """Nor from an open one, whose snapshots are in no path."""
    statements = [
        f"INSERT INTO snapshots {copied('snapshots', 'trade_number = 2', trade_number='1')}",
        "UPDATE snapshots SET trade_number = 1 WHERE trade_number = 2",
        "DELETE FROM snapshots",
        "DELETE FROM snapshots WHERE trade_number = 2",
    ]
    if client.sqlite:
        moved = copied("snapshots", "trade_number = 2", trade_number="1")
        statements += [
            f"REPLACE INTO snapshots {moved}",
            "UPDATE OR REPLACE snapshots SET trade_number = 1 WHERE trade_number = 2",
        ]
    await client.refused(*statements)


PLANTED = (
    "INSERT INTO paths (user_id, trade_number, begins_at, time_unit, price_unit, money_unit,"
    " packed) VALUES (1, {}, '2026-01-05T12:00:00.000000Z', 1, 1, 1, '{}')"
)


async def test_no_path_is_planted(client: Client) -> None:
    """Of trade 2, which is open, not even the true one: it was marked at noon at 100.05, and
    had bought 100 for 100."""
    await client.refused(
        PLANTED.format(2, "[[0,10005000000,null,5000000]]"),
        PLANTED.format(1, "[[0,10005000000,null,5000000]]"),
        PLANTED.format(4, "[[0,10005000000,null,5000000]]"),
        PLANTED.format(4, "[]"),
        PLANTED.format(99, "[[0,1,null,1]]"),
        f"INSERT INTO paths {copied('paths', 'trade_number = 1', trade_number='4')}",
    )


@pytest.mark.parametrize("client_kind", ["sqlite-raw"])
async def test_no_path_is_replaced_by_its_hidden_key(client: Client) -> None:
    """Without foreign keys a client makes a locked trade whose snapshot is in no path: it may
    pack that one, and take the place of no other's."""
    await client.say(f"INSERT INTO snapshots {copied('snapshots', 'true', trade_number='9')}")
    await client.say(
        f"INSERT INTO trades {copied('trades', 'number = 5', number='9', external_id='NULL')}"
    )
    packed = PLANTED.format(9, "[[0,10005000000,null,5000000]]")

    await client.refused(
        *(
            packed.replace("INSERT", said).replace("(user_id", "(rowid, user_id").replace(
                "VALUES (1", f"VALUES ({rowid}, 1"
            )
            for said in ("INSERT", "REPLACE", "INSERT OR REPLACE", "INSERT OR IGNORE")
            for rowid in ("1", "'1'", "1.0")
        )
    )  # fmt: skip
    await client.say(packed)


async def test_a_correction_of_the_wrong_shape_is_refused(client: Client) -> None:
    await client.refused(
        correction(1, "NULL", "''"),
        correction(1, "NULL", "NULL"),
        correction(1, "1", "'itself'"),
        correction(4, "2", "'an older one'"),
        correction(1, "99", "'nothing'"),
        correction(1, "4", "'what restates another'"),
        correction(2, "4", "'an open one is not superseded'"),
        correction(3, "NULL", "'already superseded'"),
        correction(5, "NULL", "'already void'"),
        correction(99, "NULL", "'no trade'"),
    )


async def test_no_correction_is_slipped_past_the_guards(client: Client) -> None:
    if not client.sqlite:
        pytest.skip("PostgreSQL has no such INSERT")
    await client.refused(
        *(
            correction(number, replacement, "'hidden'").replace("INSERT", f"INSERT OR {policy}")
            for policy in ("REPLACE", "IGNORE", "FAIL")
            for number, replacement in ((3, "NULL"), (1, "99"), (2, "4"), (1, "4"))
        )
    )


def correction(number: int, replacement: str, reason: str) -> str:
    return (
        "INSERT INTO corrections (user_id, number, replacement, reason, author, made_at)"
        f" VALUES (1, {number}, {replacement}, {reason}, 'x', '2026-01-07T00:00:00.000000Z')"
    )


@pytest.mark.parametrize(("number", "replacement", "status"), [
    (1, "2", "superseded"), (1, "NULL", "void"), (2, "NULL", "void"),
])  # fmt: skip
async def test_a_correction_of_the_right_shape_ends_its_trade_by_itself(
    client: Client, number: int, replacement: str, status: str
) -> None:
    await client.say(correction(number, replacement, "'explained'"))

    found = f"SELECT status FROM trades WHERE user_id = 1 AND number = {number}"
    if client.sqlite:
        assert client.connection.execute(found).fetchone()[0] == status
    else:
        assert await client.connection.fetchval(found) == status


async def test_an_open_trade_can_be_added_to(client: Client) -> None:
    for table in (*PARTS, "snapshots"):
        await client.say(
            f"INSERT INTO {table} {copied(table, 'trade_number = 2', **KEYS[table])}"
            + (" LIMIT 1" if table == "fills" else "")
        )


CLOSE = """UPDATE trades SET status = 'closed', closed_at = opened_at, closed_on = opened_on,
    exit_price = entry_price, gross_pnl = 0, fees = 0, net_pnl = 0, outcome = 'breakeven',
    exit_reason = 'manual', holding_seconds = 0, unrealised_pnl = NULL WHERE number = 2"""
FIRST_FILL = "trade_number = 2 AND fill_number = 1"
FILL = f"INSERT INTO fills {copied('fills', FIRST_FILL, fill_number='9')}"


@pytest.fixture
async def two_clients(ledger: Store, direct_url: str) -> AsyncIterator[tuple[Any, Any]]:
    if ledger.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    first, second = await asyncpg.connect(direct_url), await asyncpg.connect(direct_url)
    yield first, second
    await first.close()
    await second.close()


async def waits(task: "asyncio.Task[Any]", watcher: Any) -> bool:
    """Whether the task's statement comes to wait for a lock (and is not done instead)."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    while not task.done():
        if await watcher.fetchval(blocked):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_fill_that_meets_a_close_is_refused_after_it(
    two_clients: tuple[Any, Any],
) -> None:
    closing, filling = two_clients
    async with closing.transaction():
        await closing.execute(CLOSE)
        fill = asyncio.create_task(filling.execute(FILL))
        assert await waits(fill, closing)

    with pytest.raises(asyncpg.RestrictViolationError, match="trade_locked"):
        await fill


async def test_a_close_that_meets_a_fill_waits_for_it(two_clients: tuple[Any, Any]) -> None:
    closing, filling = two_clients
    async with filling.transaction():
        await filling.execute(FILL)
        close = asyncio.create_task(closing.execute(CLOSE))
        assert await waits(close, filling)

    await close
    count = "SELECT count(*) FROM fills WHERE trade_number = 2"
    assert await closing.fetchval(count) == 3
    with pytest.raises(asyncpg.RestrictViolationError, match="trade_locked"):
        await filling.execute(FILL.replace("9", "10"))
