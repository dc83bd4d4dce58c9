"""Bars are kept by time on PostgreSQL, and old ones can be removed on both databases."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from store.database import Store
from store.guards import wrong_guard
from store.market_pruning import old_bars, prune_bars
from store.models import AuditEntry, Bar
from store.schema import connected, downgrade, prepare, upgrade
from store.settings import Settings
from store.verifying import verify_user
from tests.conftest import settings_for
from tests.server.running import trade_history

KEPT = "SELECT tableoid::regclass::text AS part, count(*) AS bars FROM bars GROUP BY 1 ORDER BY 1"


def bar(
    opens_at: str, period: str = "1d", ticker: str = "AAPL", close: int = 105
) -> dict[str, Any]:
    opened = datetime.fromisoformat(opens_at).astimezone(UTC)
    return {
        "ticker": ticker, "period": period, "opens_at": opened,
        "known_at": opened + timedelta(minutes=1), "open": Decimal(100), "high": Decimal(110),
        "low": Decimal(90), "close": Decimal(105), "volume": None,
    }  # fmt: skip


# The first and the last moment of a year, and what no year holds.
EDGES = [
    bar("1987-10-19T05:00+00:00"),
    bar("1999-12-31T23:59+00:00"),
    bar("2000-01-01T00:00+00:00"),
    bar("2025-12-31T23:59:59+00:00"),
    bar("2026-01-01T00:00+00:00"),
    bar("2026-01-01T00:00-05:00", ticker="SPY"),
    bar("2040-01-01T00:00+00:00"),
]


async def keep(store: Store, bars: Sequence[dict[str, Any]]) -> None:
    async with store.operate(write=True) as session:
        await session.execute(insert(Bar), list(bars))


async def everything(settings: Settings) -> list[dict[str, Any]]:
    async with connected(settings) as connection:
        found = await connection.execute(
            select(*Bar.__table__.columns).order_by(Bar.ticker, Bar.period, Bar.opens_at)
        )
        return [dict(row) for row in found.mappings()]


@pytest.fixture
async def postgres(server: Any, postgres_template: str) -> Any:
    """A store on PostgreSQL, where alone bars have partitions."""
    await server.create_database("bars_by_time", postgres_template)
    store = Store(settings_for(server.direct(server.url("bars_by_time"))))
    await prepare(store)
    yield store
    await store.close()
    await server.drop_database("bars_by_time")


async def test_a_bar_is_in_the_partition_of_its_year(postgres: Store) -> None:
    await keep(postgres, EDGES)

    async with postgres.read() as session:
        found = {row.part: row.bars for row in await session.execute(text(KEPT))}

    assert found == {"bars_other": 3, "bars_2000": 1, "bars_2025": 1, "bars_2026": 2}


async def test_a_partition_is_reached_through_its_table_only(postgres: Store) -> None:
    await keep(postgres, EDGES)
    async with postgres.operate() as session:
        rights = await session.execute(
            text("SELECT relname, relacl FROM pg_class WHERE relispartition AND relkind = 'r'")
        )
        granted = {row.relname: row.relacl for row in rights}

    assert len(granted) == 41  # 2000 to 2039, and what is neither.
    assert set(granted.values()) == {None}
    for door in (postgres.read, postgres.operate):
        async with door() as session:
            with pytest.raises(Exception, match="permission denied for table bars_2026"):
                await session.execute(text("SELECT * FROM bars_2026"))


async def test_the_bars_of_a_ticker_are_looked_for_in_their_years_only(postgres: Store) -> None:
    await keep(postgres, EDGES)
    statement = """EXPLAIN SELECT close FROM bars WHERE ticker = 'AAPL' AND period = '1d'
        AND opens_at BETWEEN '2025-06-01Z' AND '2026-06-01Z'"""
    async with postgres.read() as session:
        plan = " ".join((await session.scalars(text(statement))).all())

    assert set(re.findall(r" on (bars_\w+)", plan)) == {"bars_2025", "bars_2026"}


async def test_bars_of_before_are_moved_there_and_back(store: Store, dialect: str) -> None:
    """By the migration, which loses none and changes none; the walls stand afterwards."""
    await store.close()
    settings = store.settings
    await downgrade(settings, "0003")
    async with connected(settings) as connection:
        await connection.execute(insert(Bar), EDGES)
    before = await everything(settings)

    await upgrade(settings)
    there = await everything(settings)
    again = Store(settings)
    async with again.read() as session:
        wrong = await wrong_guard(session)
        parts = await session.scalar(text(KEPT)) if dialect == "postgresql" else None
    await again.close()
    await downgrade(settings, "0003")

    assert len(before) == len(EDGES)
    assert before == there == await everything(settings)
    assert wrong is None
    assert parts in (None, "bars_2000")


async def test_a_trigger_that_is_planted_on_a_partition_is_named(postgres: Store) -> None:
    """So is a right on one."""
    async with connected(postgres.settings) as connection:
        await connection.execute(
            text("CREATE TRIGGER evil BEFORE INSERT ON bars_2026 EXECUTE FUNCTION refuse('x')")
        )
    async with postgres.read() as session:
        assert "not ours: trigger CREATE TRIGGER evil" in str(await wrong_guard(session))
    async with connected(postgres.settings) as connection:
        await connection.execute(text("DROP TRIGGER evil ON bars_2026"))
        await connection.execute(text("GRANT INSERT ON bars_2026 TO trade_history_app"))
    async with postgres.read() as session:
        assert "not ours: grant INSERT ON bars_2026" in str(await wrong_guard(session))


# --- Old ones


OLD = [
    bar("2023-12-31T23:59+00:00", "1m"),
    bar("2024-01-01T00:00+00:00", "1m"),  # Not before that day.
    bar("2019-03-04T05:00+00:00"),
    bar("2023-12-29T05:00+00:00", ticker="SPY"),
    bar("2023-12-25T05:00+00:00", "1w"),
    bar("2026-01-02T05:00+00:00"),
]


async def test_old_bars_are_counted_and_removed_by_period(store: Store) -> None:
    await keep(store, OLD)
    day = date(2024, 1, 1)

    async with store.operate() as session:
        assert await old_bars(session, day) == {"1m": 1, "1d": 2, "1w": 1}
        assert await old_bars(session, day, ["1w"]) == {"1w": 1}
        assert await old_bars(session, date(1990, 1, 1)) == {}
    async with store.operate(write=True) as session:
        assert await prune_bars(session, day, ["1m", "1d"]) == {"1m": 1, "1d": 2}
    async with store.read() as session:
        left = (await session.execute(select(Bar.period, Bar.opens_at))).all()

    assert sorted((period, str(at)[:16]) for period, at in left) == [
        ("1d", "2026-01-02 05:00"),
        ("1m", "2024-01-01 00:00"),
        ("1w", "2023-12-25 05:00"),
    ]


async def test_that_bars_were_removed_is_on_the_record(store: Store) -> None:
    await keep(store, OLD)
    for _ in range(2):  # The second time there is nothing to remove, and nothing to say.
        async with store.operate(write=True) as session:
            await prune_bars(session, date(2024, 1, 1))
    async with store.read() as session:
        entry = AuditEntry.command == "prune_bars"
        found = await session.execute(select(AuditEntry.author, AuditEntry.result).where(entry))

        assert [tuple(row) for row in found] == [("operator", '{"1d":2,"1m":1,"1w":1}')]
    assert (await verify_user(store, 1)).wrong is None


async def test_who_only_records_removes_no_bars(postgres: Store) -> None:
    await keep(postgres, OLD)
    async with postgres.write() as session:
        with pytest.raises(Exception, match="permission denied for table bars"):
            await prune_bars(session, date(2024, 1, 1))


async def test_the_command_asks_before_it_removes(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await keep(store, OLD)

    async def says(*more: str, typed: str = "") -> tuple[int | None, str, str]:
        words = ("market", "prune", "--before", "2024-01-01", *more)
        return await trade_history(database_url, tmp_path, *words, typed=typed)

    bars = "4 bars (1 of 1m, 2 of 1d, 1 of 1w) from before 2024-01-01"
    assert await says("--preview") == (0, f"{bars} would be removed.\n", "")
    refused = await says(typed="n\n")
    assert refused[0] == 1
    assert f"Remove {bars}? [y/N]" in refused[2]
    done = await says("--period", "1w", "--yes", "--json")
    assert json.loads(done[1]) == {"before": "2024-01-01", "bars": {"1w": 1}, "removed": True}
    assert (await says(typed="y\n"))[1].startswith("3 bars (1 of 1m, 2 of 1d) from before 2024-")
    assert (await says())[1] == "0 bars from before 2024-01-01 are removed.\n"
