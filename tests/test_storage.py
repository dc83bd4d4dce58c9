"""How large the database is, how fast it grows, and when a quota is full.

Expected numbers are worked out by hand beside the rows that they stand on.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from store.byte_sizes import bytes_of, shown_bytes
from store.database import Store, driver_of
from store.errors import Unavailable
from store.growth import Activity, Storage, forecast, window_start
from store.models import Account, AuditEntry, Bar, Call, Trade, User
from store.schema import connected
from store.storage import storage
from tests.conftest import settings_for
from tests.ledger import record
from tests.postgres_server import Server, connect
from tests.server.running import trade_history
from tests.test_plans import Sent, on_trades, plan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MB = 1_000_000
LARGE = Storage(
    total=100 * MB,
    groups={
        "trades": 40 * MB, "executions": 10 * MB, "audit": 20 * MB, "requests": 10 * MB,
        "calls": 6 * MB, "market_data": 10 * MB, "other": 4 * MB,
    },
    closed_trades=20_000,
    sampled=None,
    activity=Activity(days=20.0, trades=0.1, commands=0.2, calls_days=60.0),
)  # fmt: skip


# --- Sizes as they are written


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("500MB", 500_000_000),
        (" 8 gb ", 8_000_000_000),
        ("1GiB", 1_073_741_824),
        ("0.5GB", 500_000_000),
        ("1.5 KiB", 1536),
        ("1024 B", 1024),
    ],
)
def test_a_size_is_read_as_it_is_written(written: str, size: int) -> None:
    assert bytes_of(written) == size


@pytest.mark.parametrize("written", ["", "500", "MB", "0MB", "-1MB", "1e3MB", "0.0001 B", "1 PB"])
def test_what_is_no_size_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no size"):
        bytes_of(written)


def test_a_size_is_shown_in_its_unit() -> None:
    sizes = (0, 999, 1000, 1_550_000, 8_000_000_000)
    assert [shown_bytes(size) for size in sizes] == ["0 B", "999 B", "1.0 kB", "1.6 MB", "8.0 GB"]


# --- The forecast


def test_each_group_grows_by_what_was_recorded_of_it() -> None:
    """(50 MB x 0.1 + 30 MB x 0.2) / 20 days, and 6 MB of calls in 60 days."""
    assert LARGE.growth_per_day == 650_000
    assert LARGE.per_closed_trade == 2_000


def test_a_quota_is_full_when_what_is_left_is_grown() -> None:
    """400 MB at 0.65 MB a day are 615.4 days; of 500 MB a fifth is used."""
    found = forecast(LARGE, 500 * MB, NOW)

    assert (found.used, found.warning) == (0.2, False)
    assert found.reached_at == NOW + timedelta(days=400 / 0.65)


@pytest.mark.parametrize(("quota", "warning"), [(126, False), (125, True), (100, True)])
def test_from_four_fifths_on_it_warns(quota: int, warning: bool) -> None:
    assert forecast(LARGE, quota * MB, NOW).warning is warning


def test_a_quota_that_is_full_is_reached_now() -> None:
    assert forecast(LARGE, 99 * MB, NOW).reached_at == NOW


@pytest.mark.parametrize(
    "activity",
    [
        None,
        Activity(days=6.9, trades=0.1, commands=0.2, calls_days=None),  # Too little is known.
        Activity(days=30.0, trades=0.0, commands=0.0, calls_days=None),  # Nothing grows.
        Activity(days=30.0, trades=0.0001, commands=0.0, calls_days=None),  # Not in a century.
    ],
)
def test_where_nothing_can_be_said_nothing_is(activity: Activity | None) -> None:
    """50 MB x 0.0001 in 30 days are 167 bytes a day, and 400 MB take 6,575 years."""
    assert forecast(replace(LARGE, activity=activity), 500 * MB, NOW).reached_at is None


def test_a_pace_needs_seven_days() -> None:
    week = Activity(days=7.0, trades=0.07, commands=0.0, calls_days=None)
    assert replace(LARGE, activity=week).growth_per_day == 500_000  # 50 MB x 0.07 / 7
    assert replace(LARGE, activity=replace(week, days=6.99)).growth_per_day is None


def test_without_its_groups_a_database_grows_as_its_trades_do() -> None:
    assert replace(LARGE, groups=None).growth_per_day == 500_000  # 100 MB x 0.1 / 20
    assert replace(LARGE, groups=None).per_closed_trade is None


def test_what_is_recorded_on_the_first_day_shows_no_pace() -> None:
    ago = NOW - timedelta(days=10)
    assert window_start(ago, NOW) == NOW - timedelta(days=9)
    assert window_start(NOW - timedelta(days=400), NOW) == NOW - timedelta(days=30)


# --- What is counted

DAY = timedelta(days=1)
SINCE = NOW - 30 * DAY
HISTORY = datetime(2026, 1, 1, tzinfo=UTC)


def trades(user_id: int, numbers: range, recorded_at: datetime, status: str = "closed") -> Any:
    closed: dict[str, Any] = {
        "closed_at": HISTORY, "closed_on": HISTORY.date(), "holding_seconds": 0,
        "exit_price": Decimal(1), "gross_pnl": Decimal(0), "fees": Decimal(0),
        "net_pnl": Decimal(0), "outcome": "breakeven", "exit_reason": "manual",
    }  # fmt: skip
    return [
        {
            "user_id": user_id, "number": number, "account_id": 1, "mode": "paper",
            "currency": "USD", "status": status, "ticker": "AAPL", "direction": "bullish",
            "opened_at": HISTORY, "opened_on": HISTORY.date(), "entry_weekday": 1,
            "entry_hour": 10, "quantity": Decimal(1), "price_sign": 1,
            "entry_price": Decimal(1), "source": "test", "recorded_at": recorded_at,
            **(closed if status == "closed" else {}),
        }
        for number in numbers
    ]  # fmt: skip


def entries(user_id: int, numbers: range, made_at: datetime) -> Any:
    return [
        {
            "user_id": user_id, "entry_number": number, "made_at": made_at, "author": "owner",
            "command": "open_trade", "content_hash": "-", "result": "{}", "previous_hash": "-",
            "entry_hash": "-",
        }
        for number in numbers
    ]  # fmt: skip


def calls(user_id: int, moments: Iterable[datetime]) -> Any:
    return [
        {
            "user_id": user_id, "called_at": called_at, "call_id": "a", "tool": "get_overview",
            "arguments_hash": "-", "outcome": "answered", "milliseconds": 1,
        }
        for called_at in moments
    ]  # fmt: skip


def user(user_id: int, last_trade: int, last_audit: int) -> dict[str, Any]:
    return {
        "user_id": user_id, "name": f"user {user_id}", "created_at": HISTORY, "last_account": 1,
        "last_trade": last_trade, "last_audit": last_audit, "ledger_version": 1,
    }  # fmt: skip


async def fill(store: Store, users: Sequence[dict[str, Any]], *rows: tuple[Any, Any]) -> None:
    """As the database's owner, who alone may write for many users at once."""
    async with connected(store.settings) as connection:
        await connection.execute(insert(User), list(users))
        for one in users:
            await connection.execute(
                insert(Account).values(
                    user_id=one["user_id"], account_id=1, name="main", name_key="main",
                    mode="paper", currency="USD", zone="UTC", tolerance=0, created_at=HISTORY,
                )
            )  # fmt: skip
        for model, content in rows:
            await connection.execute(insert(model), list(content))


async def measured(store: Store, *, thorough: bool = False) -> Storage:
    async with store.operate() as session:
        return await storage(session, NOW, thorough=thorough)


async def test_what_is_new_is_counted_to_the_trade(store: Store) -> None:
    """User 2 imported 80 trades in January and recorded 20 since, of which 10 are open; user 3
    recorded 20, of which 15 lie a microsecond before the 30 days. User 1 has recorded nothing.
    Of the commands 4 of 10 and 2 of 5 are new."""
    new, last_moment = NOW - 15 * DAY, SINCE - timedelta(microseconds=1)
    await fill(
        store,
        [user(2, 100, 10), user(3, 20, 5)],
        (Trade, trades(2, range(1, 81), HISTORY)),
        (Trade, trades(2, range(81, 91), new)),
        (Trade, trades(2, range(91, 101), new, "open")),
        (Trade, trades(3, range(1, 16), last_moment)),
        (Trade, trades(3, range(16, 21), SINCE)),
        (AuditEntry, entries(2, range(1, 7), HISTORY)),
        (AuditEntry, entries(2, range(7, 11), new)),
        (AuditEntry, entries(3, range(1, 4), last_moment)),
        (AuditEntry, entries(3, range(4, 6), SINCE)),
        (Call, calls(3, [NOW - days * DAY for days in (1, 10, 4)])),
    )

    found = await measured(store)

    assert found.activity == Activity(
        days=30.0,
        trades=pytest.approx(25 / 120),  # type: ignore[arg-type]
        commands=pytest.approx(6 / 15),  # type: ignore[arg-type]
        calls_days=10.0,
    )
    assert (found.closed_trades, found.sampled) == (110, None)


async def test_of_many_trades_a_sample_says_how_many_are_closed(store: Store) -> None:
    """Every third of 2,700 (the sample is at most 1,000), of which the first 1,350 are closed."""
    await fill(
        store,
        [user(2, 2700, 1)],
        (Trade, trades(2, range(1, 1351), HISTORY)),
        (Trade, trades(2, range(1351, 2701), HISTORY, "open")),
        (AuditEntry, entries(2, range(1, 2), HISTORY)),
    )

    found = await measured(store)

    assert (found.closed_trades, found.sampled) == (1350, 900)


async def test_the_days_begin_after_the_first_day(store: Store) -> None:
    """600 trades imported 9 days ago, one recorded 5 days ago: 8 days, 1 of 601."""
    await fill(
        store,
        [user(2, 601, 1)],
        (Trade, trades(2, range(1, 601), NOW - 9 * DAY)),
        (Trade, trades(2, range(601, 602), NOW - 5 * DAY)),
        (AuditEntry, entries(2, range(1, 2), NOW - 9 * DAY)),
    )

    found = (await measured(store)).activity

    assert found is not None
    assert (found.days, found.calls_days) == (8.0, None)
    assert found.trades == pytest.approx(1 / 601)


async def test_an_empty_ledger_has_a_size_and_no_pace(store: Store) -> None:
    found = await measured(store)

    assert (found.closed_trades, found.activity, found.growth_per_day) == (0, None, None)
    assert found.total > 100_000


async def sizes(store: Store, tables: str) -> int:
    """What the database itself says of tables, indexes with them."""
    async with connected(store.settings) as connection:
        if store.database.dialect == "sqlite":
            statement = f"""SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name IN (
                SELECT name FROM sqlite_master WHERE tbl_name IN ({tables}))"""
        else:
            statement = f"""SELECT sum(pg_total_relation_size(oid)) FROM pg_class
                WHERE relkind = 'r' AND (relname IN ({tables}) OR relispartition)"""
        return int(await connection.scalar(text(statement)) or 0)


async def test_the_groups_are_their_tables_and_add_up(store: Store) -> None:
    opened = [HISTORY + n * timedelta(minutes=1) for n in range(2000)]
    bar = {"ticker": "SPY", "period": "1m", "open": 1, "high": 1, "low": 1, "close": 1}
    bars = [{**bar, "opens_at": at, "known_at": at + timedelta(minutes=1)} for at in opened]
    await fill(
        store,
        [user(2, 900, 1)],
        (Trade, trades(2, range(1, 901), HISTORY)),
        (AuditEntry, entries(2, range(1, 2), HISTORY)),
        (Bar, bars),
    )

    found = await measured(store)

    assert found.groups is not None
    assert found.groups["market_data"] == await sizes(store, "'bars', 'fundamentals'")
    assert found.groups["market_data"] > 2000 * 60
    assert found.groups["trades"] > 900 * 200
    assert found.groups["other"] > 0
    assert sum(found.groups.values()) == found.total
    async with connected(store.settings) as connection:
        total = await connection.scalar(
            text("SELECT pg_database_size(current_database())")
            if store.database.dialect == "postgresql"
            else text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        )
    assert found.total == total


async def test_what_is_free_in_a_file_is_a_group_of_its_own(store: Store, dialect: str) -> None:
    """SQLite keeps the pages of what was removed; PostgreSQL does not say."""
    async with connected(store.settings) as connection:
        await connection.execute(text("CREATE TABLE filler (a TEXT)"))
        statement = "INSERT INTO filler VALUES (:a)"
        await connection.execute(text(statement), {"a": "x" * 1_000_000})
    async with connected(store.settings) as connection:
        await connection.execute(text("DROP TABLE filler"))

    found = (await measured(store)).groups

    assert found is not None
    assert ("free" in found) == (dialect == "sqlite")
    assert 1_000_000 <= found.get("free", 1_000_000) < 1_020_000


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_large_file_is_read_to_its_end_only_if_that_is_asked(store: Store) -> None:
    async with connected(store.settings) as connection:
        await connection.execute(text("CREATE TABLE filler (a BLOB)"))
        await connection.execute(text("INSERT INTO filler VALUES (zeroblob(65000000))"))

    found, thorough = await measured(store), await measured(store, thorough=True)

    assert found.total == thorough.total > 65_000_000
    assert found.groups is None
    assert thorough.groups is not None
    assert thorough.groups["other"] > 65_000_000


async def test_no_table_is_read_from_end_to_end(store: Store) -> None:
    """Of 20,000 trades, entries and calls of 20 users: 1,000 trades that are looked at, and for
    each user the first trade, the first call and 11 steps of each search (2 to the 10th
    and down)."""
    users = [user(number, 1000, 1000) for number in range(2, 22)]
    moments = [HISTORY + minute * timedelta(minutes=1) for minute in range(1000)]
    await fill(
        store,
        users,
        *((Trade, trades(one["user_id"], range(1, 1001), HISTORY)) for one in users),
        *((AuditEntry, entries(one["user_id"], range(1, 1001), HISTORY)) for one in users),
        *((Call, calls(one["user_id"], moments)) for one in users),
    )
    sqlite, sent = store.database.dialect == "sqlite", list[Sent]()
    async with connected(store.settings) as connection:
        for table in ("users", "trades", "audit", "calls"):
            await connection.execute(text(f"ANALYZE {table}"))

    def note(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        sent.append(Sent(statement, parameters))

    event.listen(store.connections.engine.sync_engine, "before_cursor_execute", note)
    async with store.operate() as session:
        await storage(session, NOW)
        event.remove(store.connections.engine.sync_engine, "before_cursor_execute", note)
        steps = [
            step
            for one in sent
            if "PRAGMA" not in one.statement
            for step in await plan(driver_of(session), one)
        ]

    assert on_trades(steps)
    if sqlite:
        tables = ("SCAN trades", "SCAN audit", "SCAN calls")
        assert [step for step in steps if step.startswith(tables)] == []
        return
    kept = [step for step in steps if step.get("Relation Name") in ("trades", "audit", "calls")]
    assert {step["Node Type"] for step in kept} <= {"Index Scan", "Index Only Scan"}
    assert sum(step["Actual Loops"] for step in kept) <= 1_000 + 20 * (2 + 2 * 11)


# --- The command


async def test_status_says_how_large_the_store_is(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, "2026-01-05 A +1")
    await store.close()

    code, said, errors = await trade_history(
        database_url, tmp_path, "status", "--json", STORE_QUOTA="100MB"
    )
    plain = (await trade_history(database_url, tmp_path, "status", STORE_QUOTA="1kB"))[1]
    wrong = await trade_history(database_url, tmp_path, "status", STORE_QUOTA="much")

    assert (code, errors) == (0, "")
    found = json.loads(said)["storage"]
    assert (found["closed_trades"], found["sampled_trades"]) == (1, None)
    assert found["growth"] == {"days": 0.0, "enough": False, "bytes_per_day": None}
    assert found["bytes_per_closed_trade"] == found["groups"]["trades"]
    assert found["quota"] == {
        "bytes": 100_000_000,
        "used": round(found["bytes"] / 100_000_000, 4),
        "reached_on": None,
        "warning": False,
    }
    assert "growth    not enough to tell: 0.0 days of recording, 7 are needed\n" in plain
    assert " % of 1.0 kB, reached\nwarning   80 % of the quota are used or more\n" in plain
    assert wrong[0] == 2
    assert "STORE_QUOTA is not usable; a size such as 500MB, 8GB or 1GiB is" in wrong[2]


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_login_that_may_only_record_is_told_why_nothing_is_measured(
    store: Store, server: Server, database_url: str, tmp_path: Path
) -> None:
    await store.close()
    secret = server.password.replace("'", "''")
    async with connected(settings_for(server.direct(database_url))) as connection:
        await connection.execute(text(f"CREATE ROLE recorder LOGIN PASSWORD '{secret}'"))
        await connection.execute(text("GRANT trade_history_app TO recorder"))
    url = server.direct(database_url).replace(f"//{server.user}:", "//recorder:", 1)

    code, said, _ = await trade_history(url, tmp_path, "status")

    assert code == 0
    assert "up to date\nsize      not measured: The database has no usable role" in said


async def test_a_schema_that_is_not_up_to_date_is_not_measured(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'trades.db'}"

    code, said, _ = await trade_history(url, tmp_path, "status", "--json")

    assert (code, json.loads(said)["storage"]) == (0, None)


async def test_rows_on_other_machines_are_not_measured(
    store: Store, database_url: str, dialect: str
) -> None:
    """What Citus distributes is in a catalogue of this name."""
    if dialect == "sqlite":
        return
    owner = await connect(database_url)
    await owner.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass)")
    await owner.execute("GRANT SELECT ON pg_dist_partition TO trade_history_operator")
    assert (await measured(store)).total > 0
    await owner.execute("INSERT INTO pg_dist_partition VALUES ('trades')")
    await owner.close()

    with pytest.raises(Unavailable, match="`SELECT \\* FROM citus_tables` gives their sizes"):
        await measured(store)
