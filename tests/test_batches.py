"""record_trades: many trades at once are what each would be by itself."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest
from sqlalchemy import Table, select

from store.accounts import AccountEntry, put_account
from store.audit import Recorded
from store.batches import record_trades
from store.database import Store
from store.errors import Conflict, Invalid
from store.models import AuditEntry, Condition, Fill, Leg, Trade
from store.recording import open_trade
from store.records import FillEntry, LegEntry, TradeEntry
from store.schema import add_user
from store.verifying import verify_user

ONE_BY_ONE, TOGETHER = 2, 3
# What differs between two users who say the same.
OWN = {"user_id", "recorded_at"}


def fill(side: str, price: str, hour: int, **said: Any) -> FillEntry:
    at = datetime(2026, 1, 5, hour, tzinfo=UTC)
    return FillEntry.model_validate(
        {"side": side, "quantity": Decimal(2), "price": Decimal(price), "filled_at": at, **said}
    )


def trade(*legs: LegEntry, **said: Any) -> TradeEntry:
    return TradeEntry(account="Main", ticker="AAPL", legs=legs, **said)


def option(strike: int, *fills: FillEntry) -> LegEntry:
    return LegEntry(
        instrument="option",
        option_type="put",
        strike=Decimal(strike),
        expiry=date(2026, 1, 16),
        fills=fills,
    )


SHARES = LegEntry(
    instrument="equity",
    fills=(
        fill("buy", "190.10", 15, fee=Decimal("0.65"), execution_id="e1"),
        fill("sell", "191", 16, fee=Decimal("-0.000001"), execution_id="e2"),
    ),
)
FUTURE = LegEntry(
    instrument="future",
    symbol="/ESH6",
    multiplier=Decimal(50),
    fills=(fill("sell", "-1.5", 15), fill("buy", "-1.25", 16)),
)
ENTRIES = [
    trade(
        SHARES,
        strategy="Swing",
        stop_loss=Decimal(188),
        scanner_score=Decimal("81.5"),
        external_id="x1",
        broker_order_id="o1",
        # Databases put these names in an order of their own.
        conditions={"vix": Decimal("17.5"), "Regime": "bull", "_gap": "up", "Ärger": "none"},
    ),
    trade(
        option(190, fill("sell", "2.50", 15)),
        option(185, fill("buy", "1", 15)),
        ai_score=Decimal(0),
    ),
    trade(FUTURE, strategy="swing", exit_reason="target"),
]


@pytest.fixture
async def users(store: Store) -> Store:
    for user_id in (ONE_BY_ONE, TOGETHER):
        await add_user(store, user_id, f"user {user_id}")
        async with store.write(user_id) as session:
            await put_account(session, AccountEntry(name="Main", mode="live"))
    return store


async def rows_of(store: Store, user_id: int) -> dict[str, list[dict[str, Any]]]:
    found = {}
    models: tuple[Any, ...] = (Trade, Leg, Fill, Condition)
    async with store.read(user_id) as session:
        for model in models:
            columns = [one for one in model.__table__.columns if one.name not in OWN]
            rows = await session.execute(
                select(*columns)
                .where(model.user_id == user_id)
                .order_by(*cast(Table, model.__table__).primary_key.columns)
            )
            found[model.__tablename__] = [dict(row) for row in rows.mappings()]
    return found


async def test_a_batch_is_what_its_trades_are_one_by_one(users: Store) -> None:
    for entry in ENTRIES:
        async with users.write(ONE_BY_ONE) as session:
            await open_trade(session, entry)
    async with users.write(TOGETHER) as session:
        numbers = await record_trades(session, ENTRIES)

    assert numbers == [1, 2, 3]
    assert await rows_of(users, TOGETHER) == await rows_of(users, ONE_BY_ONE)
    # By hand: 2 x 0.90 - 0.649999, a credit of 1.50 still open, 2 x 0.25 x 50 against us.
    found = (await rows_of(users, TOGETHER))["trades"]
    assert [one["net_pnl"] for one in found] == [Decimal("1.150001"), None, Decimal(-25)]
    for user_id in (ONE_BY_ONE, TOGETHER):
        assert (await verify_user(users, user_id)).wrong is None


async def test_a_batch_is_one_entry_of_the_audit(users: Store) -> None:
    async with users.write(TOGETHER) as session:
        await record_trades(session, ENTRIES, keys=["a", "b", "c"])

    async with users.read(TOGETHER) as session:
        mine = select(AuditEntry.command).where(AuditEntry.user_id == TOGETHER)
        commands = (await session.scalars(mine.order_by(AuditEntry.entry_number))).all()
    assert commands == ["add_user", "put_account", "record_trades"]


async def test_a_key_of_a_batch_finds_its_trade(users: Store) -> None:
    async with users.write(TOGETHER) as session:
        await record_trades(session, ENTRIES, keys=["a", "b", "c"])

    async with users.write(TOGETHER) as session:
        again = await open_trade(session, ENTRIES[1], key="b")
    assert again == Recorded(2, "open", replayed=True)
    with pytest.raises(Conflict, match="recorded before under the same key with other content"):
        async with users.write(TOGETHER) as session:
            await open_trade(session, ENTRIES[2], key="b")
    with pytest.raises(Conflict, match="A key of these trades was used before"):
        async with users.write(TOGETHER) as session:
            await record_trades(session, [trade(FUTURE)], keys=["c"])
    assert len((await rows_of(users, TOGETHER))["trades"]) == 3


async def test_a_key_that_can_be_none_is_refused(users: Store) -> None:
    with pytest.raises(Invalid, match="The key has 0 characters; 1 to 200 printable ones"):
        async with users.write(TOGETHER) as session:
            await record_trades(session, [trade(FUTURE)], keys=[""])


@pytest.mark.parametrize("said", [{"external_id": "x1"}, {"broker_order_id": "o1"}])
async def test_an_id_that_another_trade_has_is_a_conflict(
    users: Store, said: dict[str, str]
) -> None:
    with pytest.raises(Conflict, match=f"The {next(iter(said))} of a trade belongs to another"):
        async with users.write(TOGETHER) as session:
            await record_trades(session, [*ENTRIES, trade(FUTURE, **said)])

    assert (await rows_of(users, TOGETHER))["trades"] == []
