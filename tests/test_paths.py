"""The snapshots of a trade are rows while it is open, and one row from then on.

What was packed is what was recorded, to the last digit and microsecond, however the trade
came to be locked; and it reads the same before and after.
"""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, put_account
from store.columns import LARGEST
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.models import Point, PricePath, Snapshot
from store.queries.get_trade import OneTrade, get_trade
from store.recording import add_fill, add_snapshots, close_trade, extend_trade, open_trade
from store.records import ByExpiry, ByFills, ByPrices, FillEntry, SnapshotEntry, TradeEntry
from store.schema import connected, downgrade, upgrade
from store.verifying import verify_user
from tests.ledger import moment, read, record, trade

OPTION = {"instrument": "option", "option_type": "call", "strike": 100, "expiry": "2026-02-20"}
SOLD = FillEntry.model_validate(
    {"side": "sell", "quantity": 2, "price": 9, "filled_at": moment("2026-01-08")}
)
Points = list[tuple[Any, ...]]


@pytest.fixture
async def ledger(store: Store) -> Store:
    """Trade 1 is open: two calls for 5 each, a dollar of fees."""
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="live"))
        await open_trade(session, long_calls())
    return store


def long_calls() -> TradeEntry:
    bought = {"side": "buy", "quantity": 2, "price": 5, "fee": 1, "filled_at": moment("2026-01-05")}
    return TradeEntry.model_validate(
        {"account": "main", "ticker": "AAPL", "legs": [{**OPTION, "fills": [bought]}]}
    )


def mark(at: str, price: str, underlying: str | None = None) -> SnapshotEntry:
    said = {"taken_at": moment(at), "mark_price": price, "underlying_price": underlying}
    return SnapshotEntry.model_validate(said)


MARKS = [
    mark("2026-01-06T15:00:30Z", "5.5", "101.25"),
    mark("2026-01-06T15:00:30.5Z", "5.45"),
    mark("2026-01-07T15:00:30Z", "4", "99"),
]


async def marked(store: Store, *marks: SnapshotEntry) -> None:
    async with store.write() as session:
        await add_snapshots(session, 1, marks)


async def rows_of(store: Store, model: Any) -> Points:
    table = model.__table__
    async with store.read() as session:
        answer = await session.execute(select(table).order_by(*table.primary_key))
        return [tuple(row) for row in answer]


async def answer(store: Store, number: int = 1) -> OneTrade:
    async with store.read() as session:
        return await get_trade(session, number=number, marks=60)


# --- How a path is kept


async def test_a_path_is_one_row_in_the_largest_units_that_lose_nothing(ledger: Store) -> None:
    """At 5.5 the calls earn 2 x 100 x 0.5 - 1 = 99; at 5.45 they earn 89, at 4 lose 201.

    Half a second is 500 thousandths, a day and nothing 86,400,000; prices are in cents,
    money in dollars.
    """
    await marked(ledger, *MARKS)
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)

    assert await rows_of(ledger, PricePath) == [
        (
            1, 1, moment("2026-01-06T15:00:30Z"), 1_000, 1_000_000, 1_000_000,
            "[[0,550,10125,99],[500,545,null,89],[86400000,400,9900,-201]]",
        )
    ]  # fmt: skip
    assert await rows_of(ledger, Snapshot) == []
    assert await rows_of(ledger, Point) == [
        (1, 1, moment("2026-01-06T15:00:30Z"), Decimal("5.5"), Decimal("101.25"), Decimal(99)),
        (1, 1, moment("2026-01-06T15:00:30.5Z"), Decimal("5.45"), None, Decimal(89)),
        (1, 1, moment("2026-01-07T15:00:30Z"), Decimal(4), Decimal(99), Decimal(-201)),
    ]


async def test_a_trade_that_was_never_marked_has_no_path(ledger: Store) -> None:
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)

    assert await rows_of(ledger, PricePath) == await rows_of(ledger, Point) == []


async def test_the_first_mark_of_a_moment_is_the_one_that_is_packed(ledger: Store) -> None:
    await marked(ledger, MARKS[0])
    await marked(ledger, MARKS[0].model_copy(update={"mark_price": Decimal(6)}), MARKS[2])
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)

    points = await rows_of(ledger, Point)
    assert [point[3] for point in points] == [Decimal("5.5"), Decimal(4)]


# --- However a trade is locked


Locking = Callable[[AsyncSession], Awaitable[Any]]
LOCKED: dict[str, Locking] = {
    "the last fill": lambda session: add_fill(session, 1, 1, SOLD),
    "a close by fills": lambda session: close_trade(session, 1, ByFills(fills={1: (SOLD,)})),
    "a close by prices": lambda session: close_trade(
        session, 1,
        ByPrices.model_validate({"at": moment("2026-01-08"), "prices": {1: {"price": 9}}}),
    ),
    "expiry": lambda session: close_trade(session, 1, ByExpiry(at=moment("2026-02-20"))),
    "an import that goes on": lambda session: extend_trade(session, 1, {1: [SOLD]}),
    "a fill through zero": lambda session: add_fill(
        session, 1, 1, SOLD.model_copy(update={"quantity": Decimal(3)})
    ),
    "a void": lambda session: void_trade(session, 1, reason="twice"),
}  # fmt: skip


@pytest.mark.parametrize("how", LOCKED)
async def test_what_reads_back_is_what_was_recorded(ledger: Store, how: str) -> None:
    await marked(ledger, *MARKS)
    before, asked = await rows_of(ledger, Point), await answer(ledger)
    assert before == await rows_of(ledger, Snapshot)

    async with ledger.write() as session:
        await LOCKED[how](session)

    assert await rows_of(ledger, Snapshot) == []
    assert len(await rows_of(ledger, PricePath)) == 1
    assert await rows_of(ledger, Point) == before
    now = await answer(ledger)
    assert now.trade.status != "open"
    assert (now.marks, now.worst_mark, now.best_mark) == (
        asked.marks, asked.worst_mark, asked.best_mark,
    )  # fmt: skip
    assert (await verify_user(ledger, 1)).wrong is None


async def test_a_close_that_is_undone_leaves_the_rows_as_they_were(ledger: Store) -> None:
    await marked(ledger, *MARKS)
    before = await rows_of(ledger, Snapshot)

    async def closing(session: AsyncSession) -> int:
        await add_fill(session, 1, 1, SOLD)
        return len((await session.execute(select(Snapshot))).all())

    assert await ledger.rehearse(closing) == 0
    assert await rows_of(ledger, Snapshot) == before
    assert await rows_of(ledger, PricePath) == []


async def test_a_correction_leaves_the_path_with_the_trade_that_was_marked(ledger: Store) -> None:
    await marked(ledger, *MARKS)
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)
    before = await rows_of(ledger, Point)

    async with ledger.write() as session:
        said = trade({"account": "main", **read("2026-01-05 AAPL +70")})
        await correct_trade(session, 1, said, reason="price")

    assert await rows_of(ledger, Point) == before
    assert (await answer(ledger, 2)).marks == []
    assert (await verify_user(ledger, 1)).wrong is None


async def test_the_paths_of_two_users_stay_apart(ledger: Store) -> None:
    """Both have a trade 1; only the first one's is closed."""
    await marked(ledger, *MARKS)
    await record(ledger, "2026-01-05 AAPL +5 open", user_id=2)
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)

    async with ledger.read(2) as session:
        mine = Point.user_id == 2
        theirs = (await session.execute(select(Point.mark_price).where(mine))).all()
        rows = (await session.execute(select(Snapshot).where(Snapshot.user_id == 2))).all()
    assert len(theirs) == len(rows) == 1


# --- Every value there can be


START = datetime(2026, 1, 6, 15, tzinfo=UTC)
BOUNDS = (-LARGEST, -1, 0, 1, 99, 100, 10**6, 10**8, 10**16 + 1, LARGEST)


def whole(digits: int, value: int) -> Decimal:
    return Decimal(value).scaleb(-digits)


def odd_points(chance: random.Random, count: int) -> Points:
    """Moments by the microsecond, from 1901 on, and values of any size."""
    start = chance.choice((START, datetime(1901, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)))
    step = chance.choice((1, 999, 1_000, 10**6, 86_400 * 10**6 + 1))
    value: Callable[[], int] = chance.choice((
        lambda: chance.choice(BOUNDS),
        lambda: chance.randrange(-(10**12), 10**12),
        lambda: chance.randrange(-(10**5), 10**5) * 10**6,
    ))  # fmt: skip
    return [
        (
            1, 1, start + timedelta(microseconds=step * place), whole(8, value()),
            chance.choice((None, whole(8, value()))), whole(6, value()),
        )
        for place in range(count)
    ]  # fmt: skip


async def insert_points(session: AsyncSession, points: Points) -> None:
    names = [column.name for column in Snapshot.__table__.columns]
    said = [dict(zip(names, point, strict=True)) for point in points]
    await session.execute(insert(Snapshot), said)


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_is_rounded_whatever_was_recorded(ledger: Store, seed: int) -> None:
    chance = random.Random(seed)
    points = odd_points(chance, chance.choice((1, 2, 60)))
    async with ledger.write() as session:
        await insert_points(session, points)

    async with ledger.write() as session:
        await void_trade(session, 1, reason="twice")

    assert await rows_of(ledger, Snapshot) == []
    assert await rows_of(ledger, Point) == points


async def test_ten_thousand_points_are_packed(ledger: Store) -> None:
    points: Points = [
        (1, 1, START + timedelta(seconds=place), whole(8, place * 10**6), None, Decimal(place))
        for place in range(10_000)
    ]
    async with ledger.write() as session:
        await insert_points(session, points)

    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)

    assert await rows_of(ledger, Point) == points
    [path] = await rows_of(ledger, PricePath)
    assert path[-1].startswith("[[0,0,null,0],[1,1,null,1],[2,2,null,2],")  # In order of time.
    assert path[-1].endswith(",[9999,9999,null,9999]]")


# --- For people


async def test_the_readable_view_shows_open_and_locked_trades(ledger: Store) -> None:
    await marked(ledger, MARKS[0])
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)
    await record(ledger, "2026-01-05 MSFT +5 open")

    async with ledger.read() as session:
        shown = await session.execute(
            text(
                "SELECT trade_number, mark_price, underlying_price, unrealised_pnl"
                " FROM snapshots_readable WHERE user_id = 1 ORDER BY trade_number"
            )
        )
        plain = [tuple(None if value is None else float(value) for value in row) for row in shown]

    # 100 shares at 100 earn 5 at 100.05.
    assert plain == [(1, 5.5, 101.25, 99), (2, 100.05, None, 5)]


# --- A database from before


@pytest.fixture
async def older(ledger: Store) -> Store:
    """A database of the older schema, with the rows of locked trades and of an open one."""
    await marked(ledger, *MARKS)
    async with ledger.write() as session:
        await add_fill(session, 1, 1, SOLD)
    await record(
        ledger,
        """
        2026-01-05  MSFT  +5  open
        2026-01-05  TSLA  +5  open
        """,
    )
    async with ledger.write() as session:
        await void_trade(session, 2, reason="twice")
    await record(ledger, "2026-01-05 AAPL +5 open", user_id=2)
    async with ledger.write(2) as session:
        await void_trade(session, 1, reason="twice")
    await ledger.close()
    await downgrade(ledger.settings, "0003")
    return Store(ledger.settings)


async def everything(store: Store, table: str) -> list[str]:
    async with connected(store.settings) as connection:
        found = await connection.execute(text(f"SELECT * FROM {table}"))
        return sorted(str(tuple(row)) for row in found)


async def test_an_older_database_keeps_every_point_and_every_hash(older: Store) -> None:
    """5 of user 1, of which one is of an open trade, and 1 of user 2."""
    before = await everything(older, "snapshots")
    assert len(before) == 6

    await upgrade(older.settings)

    assert await everything(older, "points") == before
    assert len(await everything(older, "snapshots")) == 1
    assert len(await everything(older, "paths")) == 3
    for user_id in (1, 2):
        assert (await verify_user(older, user_id)).wrong is None
    await downgrade(older.settings, "0003")
    assert await everything(older, "snapshots") == before
    await upgrade(older.settings)
    await older.close()
