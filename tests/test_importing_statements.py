"""Brokers' executions into the ledger: kept once, made into trades, reconciled to the cent.

Expected amounts are worked out by hand beside each case.
"""

import asyncio
from collections import Counter
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from store.accounts import AccountEntry, put_account, require_account
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import Conflict
from store.importing import RowsRefused, StatementResult, import_file
from store.models import AuditEntry, Fill, Leg, Trade
from store.models import Execution as ExecutionRow
from store.recording import add_note, open_trade
from store.records import FillEntry, LegEntry, TradeEntry
from store.statements.execution import CashRow, Execution, Instrument, Statement
from store.verifying import verify_user
from tests.conftest import settings_for
from tests.statements.dealing import SHARES, at, bought, ended, option, sold, statement


async def imported(store: Store, file: Statement, **options: Any) -> StatementResult:
    return await store.record(lambda session: import_file(session, file, **options), keyed=True)


async def trades_of(store: Store) -> list[Trade]:
    async with store.read() as session:
        return list(await session.scalars(select(Trade).order_by(Trade.number)))


async def nets(store: Store) -> list[tuple[str, Decimal | None]]:
    return [(one.status, one.net_pnl) for one in await trades_of(store)]


async def sound(store: Store) -> None:
    found = await verify_user(store, 1)
    assert found.wrong is None, found.wrong


async def test_buys_and_sells_become_trades_from_flat_to_flat(store: Store) -> None:
    result = await imported(
        store,
        statement(
            bought(100, "10.00", "2026-01-05 10:00", fee="1"),
            sold(60, "11.00", "2026-01-05 11:00", fee=".60"),
            sold(40, "12.00", "2026-01-06 10:00", fee=".40"),
            sold(50, "12.00", "2026-01-07 10:00", fee=".50"),
            bought(50, "11.50", "2026-01-07 15:00", fee=".50"),
            bought(10, "11.00", "2026-01-08 10:00", fee=".10"),
            cash=[CashRow(9, "dividend", Decimal("24.00"))],
        ),
    )

    # 60 x 1 + 40 x 2 - 2 = 138; short 50 x .5 - 1 = 24; the last is open.
    assert await nets(store) == [
        ("closed", Decimal(138)), ("closed", Decimal(24)), ("open", None),
    ]  # fmt: skip
    # -1001 + 659.40 + 479.60 + 599.50 - 575.50 - 110.10 = 51.90
    assert result.cash == result.in_trades == Decimal("51.90")
    assert result.fees == Decimal("3.10")
    assert (result.new, result.recorded, result.left_open) == (6, 3, 1)
    assert result.other_cash == {"dividend": Decimal("24.00")}
    await sound(store)


async def test_a_fill_through_zero_is_split_and_its_fee_with_it(store: Store) -> None:
    await imported(
        store,
        statement(
            bought(100, "10", "2026-01-05 10:00"),
            sold(150, "11", "2026-01-05 11:00", fee="1.00"),
            bought(50, "10", "2026-01-05 12:00"),
        ),
    )

    # 100 - 1.00 x 100/150 = 99.333333; 50 - .333333 (the rest of 1.00 is .333333 + .000001)
    assert await nets(store) == [
        ("closed", Decimal("99.333333")), ("closed", Decimal("49.666667")),
    ]  # fmt: skip
    await sound(store)


async def test_what_was_opened_before_the_file_is_reported_and_not_invented(store: Store) -> None:
    result = await imported(
        store,
        statement(
            sold(100, "12", "2026-01-05 10:00", effect="close", fee="1"),
            bought(10, "11", "2026-01-06 10:00"),
        ),
    )

    assert [(one.ticker, one.executions, one.cash) for one in result.unopened] == [
        ("AAPL", 1, Decimal(1199))
    ]
    assert (result.recorded, result.left_open, result.cash) == (1, 1, Decimal(1199 - 110))
    # The earlier file comes later: now both are a trade.
    result = await imported(store, statement(bought(100, "10", "2026-01-02 10:00", fee="1")))
    assert (result.recorded, result.unopened) == (1, ())
    assert await nets(store) == [("open", None), ("closed", Decimal(198))]
    await sound(store)


async def test_legs_of_one_order_are_one_spread(store: Store) -> None:
    short, long = option("put 450 2026-01-16"), option("put 440 2026-01-16")
    await imported(
        store,
        statement(
            sold(2, "3.10", "2026-01-05 10:00:01", instrument=short, order="7", fee="1.30"),
            bought(2, "1.00", "2026-01-05 10:00:03", instrument=long, order="7", fee="1.30"),
            bought(2, "1.50", "2026-01-09 10:00", instrument=short, order="8", fee="1.30"),
            sold(2, ".40", "2026-01-09 10:00", instrument=long, order="9", fee="1.30"),
        ),
    )

    (trade,) = await trades_of(store)
    # (3.10 - 1.00 - 1.50 + .40) x 200 - 5.20 = 194.80
    assert (trade.structure, trade.net_pnl) == ("vertical", Decimal("194.80"))
    assert trade.broker_order_id == "7"
    await sound(store)


async def test_without_orders_only_what_has_a_name_is_one_trade(store: Store) -> None:
    calls = [option(f"call {strike} 2026-01-16") for strike in (450, 455, 460, 470)]
    when = "2026-01-05 10:00:00"
    await imported(
        store,
        statement(
            bought(1, "3", when, instrument=calls[0]),
            sold(1, "2", when, instrument=calls[1]),
            bought(1, "1", "2026-01-06 10:00", instrument=calls[2]),
            bought(1, ".5", "2026-01-06 10:00", instrument=calls[3]),
        ),
    )

    assert [(one.structure, one.quantity) for one in await trades_of(store)] == [
        ("vertical", Decimal(1)), ("single", Decimal(1)), ("single", Decimal(1)),
    ]  # fmt: skip


async def test_an_expiry_without_a_side_ends_what_is_open(store: Store) -> None:
    call = option("call 450 2026-01-16")
    await imported(
        store,
        statement(
            sold(3, "1.20", "2026-01-05 10:00", instrument=call, fee="1.95"),
            ended("expired", 3, "2026-01-16 16:00", call),
        ),
    )

    (trade,) = await trades_of(store)
    assert (trade.net_pnl, trade.exit_reason) == (Decimal("358.05"), "expired")  # 360 - 1.95


async def test_shares_of_an_assignment_live_in_the_trade_of_the_option(store: Store) -> None:
    put = option("put 180 2026-01-16", "AAPL")
    await imported(
        store,
        statement(
            sold(1, "2.00", "2026-01-05 10:00", instrument=put, fee=".65"),
            ended("assigned", 1, "2026-01-16 16:00", put),
            bought(100, "180", "2026-01-16 16:00", delivery=True),
        ),
    )
    (trade,) = await trades_of(store)
    assert trade.status == "open"

    await imported(store, statement(sold(100, "185", "2026-01-20 10:00", fee="1")))

    (trade,) = await trades_of(store)
    # 200 - .65 + (185 - 180) x 100 - 1 = 698.35, in the trade that was recorded first.
    assert (trade.number, trade.status, trade.net_pnl) == (1, "closed", Decimal("698.35"))
    assert (trade.structure, trade.option_type) == ("single", "put")
    async with store.read() as session:
        legs = (await session.scalars(select(Leg).order_by(Leg.leg_number))).all()
    assert [(leg.instrument, leg.delivered) for leg in legs] == [("option", 0), ("equity", 1)]
    await sound(store)


async def test_shares_called_away_close_those_that_are_held(store: Store) -> None:
    call = option("call 190 2026-01-16", "AAPL")
    await imported(
        store,
        statement(
            bought(100, "180", "2026-01-02 10:00"),
            sold(1, "1.50", "2026-01-05 10:00", instrument=call),
            ended("assigned", 1, "2026-01-16 16:00", call),
            sold(100, "190", "2026-01-16 16:00", delivery=True),
        ),
    )

    assert await nets(store) == [("closed", Decimal(1000)), ("closed", Decimal(150))]


async def test_the_same_file_again_changes_nothing(store: Store) -> None:
    file = statement(
        bought(100, "10", "2026-01-05 10:00", id="a"),
        bought(100, "10", "2026-01-05 10:00", id="b"),
        sold(200, "11", "2026-01-05 11:00", id="c"),
    )
    await imported(store, file)
    before = await counted(store)

    result = await imported(store, file)

    assert (result.executions, result.new, result.recorded, result.there) == (3, 0, 0, 1)
    assert result.in_trades == Decimal(200)
    assert await counted(store) == before


async def counted(store: Store) -> dict[str, int]:
    async with store.read() as session:
        return {
            model.__tablename__: await session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Trade, Leg, Fill, ExecutionRow, AuditEntry)
        }


async def test_two_imports_at_once_keep_everything_once(store: Store, database_url: str) -> None:
    file = statement(
        *(bought(1, 10 + number, f"2026-01-05 10:{number:02}") for number in range(50))
    )
    await imported(store, statement(bought(1, 10, "2026-01-02 10:00")))  # The account is there.
    other = Store(settings_for(database_url))
    try:
        results = await asyncio.gather(imported(store, file), imported(other, file))
    finally:
        await other.close()

    assert sorted(one.new for one in results) == [0, 50]
    assert (await counted(store))["executions"] == 51
    await sound(store)


async def test_equal_rows_without_ids_are_as_many_executions(store: Store) -> None:
    twice = bought(50, "10", "2026-01-05 10:00")
    result = await imported(store, statement(twice, twice, sold(100, "11", "2026-01-05 11:00")))
    assert (result.new, (await trades_of(store))[0].net_pnl) == (3, Decimal(100))
    # An overlapping file has them again.
    result = await imported(store, statement(twice, twice))
    assert (result.new, len(await trades_of(store))) == (0, 1)


async def test_an_order_that_was_filled_further_grows(store: Store) -> None:
    part = bought(60, "10.00", "2026-01-05 10:00", id="o1", order="o1", partial=True, fee=".60")
    whole = bought(100, "10.10", "2026-01-05 10:00", id="o1", order="o1", partial=True, fee="1")
    await imported(store, statement(part))
    await imported(store, statement(whole))
    again = await imported(store, statement(part))
    await imported(store, statement(sold(100, "11", "2026-01-06 10:00", id="o2", order="o2")))

    assert again.new == 0
    trades = [one for one in await trades_of(store) if one.status != "void"]
    assert [(one.status, one.net_pnl) for one in trades] == [("closed", Decimal(89))]  # 90 - 1
    await sound(store)


async def test_an_execution_with_other_content_under_its_id_is_refused(store: Store) -> None:
    await imported(store, statement(bought(100, "10", "2026-01-05 10:00", id="a")))
    before = await counted(store)
    with pytest.raises(RowsRefused, match=r"row 2, id 'a': .* imported before with another"):
        await imported(store, statement(bought(100, "11", "2026-01-05 10:00", id="a")))
    assert await counted(store) == before


async def test_a_row_that_no_ledger_takes_is_refused_before_anything_is_kept(
    store: Store,
) -> None:
    file = statement(
        bought(100, "10", "2026-01-05 10:00"),
        bought(100, "-10", "2026-01-05 10:00"),
        bought(1, "10", "2026-01-05 10:00", instrument=Instrument("future", "ES")),
    )
    with pytest.raises(RowsRefused) as refusal:
        await imported(store, file)
    assert [one.row for one in refusal.value.rejected] == [3, 4]
    assert (await counted(store))["executions"] == 0

    result = await imported(store, file, take_good=True)
    assert (result.new, len(result.rejected)) == (1, 2)


async def test_a_trade_that_was_corrected_by_hand_stays_as_it_was_corrected(store: Store) -> None:
    file = statement(
        bought(100, "10", "2026-01-05 10:00"), sold(100, "11", "2026-01-05 11:00"),
        bought(5, "20", "2026-02-05 10:00"), sold(5, "21", "2026-02-05 11:00"),
    )  # fmt: skip
    await imported(store, file)
    fills = [
        FillEntry(
            side="buy", quantity=Decimal(100), price=Decimal(10), filled_at=at("2026-01-05 10:00")
        ),
        FillEntry(
            side="sell", quantity=Decimal(100), price=Decimal(12), filled_at=at("2026-01-05 11:00")
        ),
    ]
    entry = TradeEntry(
        account="Broker", ticker="AAPL",
        legs=(LegEntry(instrument="equity", fills=tuple(fills)),),
    )  # fmt: skip
    async with store.write() as session:
        await correct_trade(session, 1, entry, reason="the exit was at 12")
        await void_trade(session, 2, reason="not mine")

    result = await imported(store, file)

    assert [one.status for one in await trades_of(store)] == ["superseded", "void", "closed"]
    assert (result.recorded, result.restated, result.by_hand) == (0, 0, Decimal(105))
    await sound(store)


async def test_a_correction_by_hand_leaves_the_trade_that_a_fill_through_zero_began(
    store: Store,
) -> None:
    file = statement(
        bought(100, "10", "2026-01-05 10:00", id="a"),
        sold(150, "11", "2026-01-05 11:00", id="b"),
    )
    await imported(store, file)
    async with store.write() as session:
        await void_trade(session, 1, reason="not mine")

    again = await imported(store, file)
    await imported(store, statement(bought(50, "10", "2026-01-06 10:00", id="c")))

    # Of what b sold, 50 began the short that c closes: 50 x 1.
    assert [(one.status, one.net_pnl) for one in await trades_of(store)] == [
        ("void", Decimal(100)), ("closed", Decimal(50)),
    ]  # fmt: skip
    # -1000 + 1100 by hand, 550 in the short.
    assert (again.by_hand, again.in_trades) == (Decimal(100), Decimal(550))
    await sound(store)


async def test_a_trade_recorded_at_entry_is_found_again_in_the_brokers_file(store: Store) -> None:
    """Its score stays; what the broker knows better, its fees, is restated once it is closed."""
    entry = TradeEntry(
        account="Broker", ticker="AAPL", strategy="breakout", scanner_score=Decimal(81),
        broker_order_id="o1", conditions={"regime": "calm"},
        legs=(
            LegEntry(
                instrument="equity",
                fills=(
                    FillEntry(side="buy", quantity=Decimal(100), price=Decimal(10),
                              filled_at=at("2026-01-05 10:00")),
                ),
            ),
        ),
    )  # fmt: skip
    await imported(store, statement())  # Makes nothing.
    file = statement(
        bought(100, "10", "2026-01-05 10:00:03", id="a", order="o1", fee="1"),
        sold(100, "11", "2026-01-05 11:00", id="b", order="o2", fee="1"),
    )
    async with store.write() as session:
        await put_account(session, file.accounts[None])
        await open_trade(session, entry)
        await add_note(session, 1, "looked strong")

    result = await imported(store, file)

    found = await trades_of(store)
    assert [(one.status, one.net_pnl) for one in found] == [
        ("superseded", Decimal(99)), ("closed", Decimal(98)),
    ]  # fmt: skip
    assert (found[1].strategy, found[1].scanner_score) == ("breakout", Decimal(81))
    assert result.in_trades == Decimal(98)
    assert (await imported(store, file)).there == 1
    assert len(await trades_of(store)) == 2
    await sound(store)


async def test_a_long_file_is_made_into_trades_period_by_period(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Periods of two executions: a trade that is open at the end of one goes on in the next."""
    monkeypatch.setattr("store.importing.statements.PERIOD", 2)
    executions = [
        side(100, price, f"2026-01-{day:02} 10:00", id=f"{day}", instrument=instrument)
        for day, (side, price, instrument) in enumerate(
            [
                (bought, "10", SHARES), (bought, "20", Instrument("equity", "MSFT")),
                (bought, "11", SHARES), (sold, "12", SHARES), (sold, "12", SHARES),
                (sold, "21", Instrument("equity", "MSFT")), (bought, "13", SHARES),
            ],
            start=1,
        )
    ]  # fmt: skip
    result = await imported(store, statement(*executions))

    # 200 + 100, 100, open.
    assert await nets(store) == [
        ("closed", Decimal(300)), ("closed", Decimal(100)), ("open", None),
    ]  # fmt: skip
    # The file says 7; two trades go on in later periods.
    assert (result.executions, result.recorded, result.there, result.left_open) == (7, 3, 3, 1)
    assert result.cash == Decimal(300 + 100 - 1300)
    await sound(store)


async def test_what_was_recorded_in_the_evening_is_of_the_markets_day(store: Store) -> None:
    """20:30 in New York is the next day in UTC; the broker's file has the day only."""
    entry = TradeEntry(
        account="Broker", ticker="AAPL",
        legs=(
            LegEntry(
                instrument="equity",
                fills=(
                    FillEntry(side="buy", quantity=Decimal(3), price=Decimal(10),
                              filled_at=at("2026-01-05 20:30")),
                ),
            ),
        ),
    )  # fmt: skip
    file = statement(bought(3, "10", "2026-01-05 12:00", dated=True))
    async with store.write() as session:
        await put_account(session, file.accounts[None])
        await open_trade(session, entry)

    assert (await imported(store, file)).recorded == 0
    assert len(await trades_of(store)) == 1


async def test_an_id_twice_in_a_file_is_one_execution_or_a_contradiction(store: Store) -> None:
    one = bought(60, "10", "2026-01-05 10:00", id="a")
    with pytest.raises(RowsRefused, match="row 2 has the same id and says something else"):
        await imported(store, statement(one, bought(40, "10", "2026-01-05 10:00", id="a")))

    result = await imported(store, statement(one, one))

    assert (result.executions, result.cash) == (1, Decimal(-600))


async def test_an_order_that_goes_on_stays_the_same_instrument_and_side(store: Store) -> None:
    await imported(store, statement(bought(60, "10", "2026-01-05 10:00", id="o1", partial=True)))
    with pytest.raises(RowsRefused, match="imported before with another"):
        await imported(store, statement(sold(100, "10", "2026-01-05 10:00", id="o1", partial=True)))


async def test_a_strike_is_one_however_it_is_written(store: Store) -> None:
    one, same = option("put 180 2026-01-16", "AAPL"), option("put 180.00 2026-01-16", "AAPL")
    await imported(store, statement(bought(1, "2", "2026-01-05 10:00", instrument=one)))
    result = await imported(store, statement(bought(1, "2.0", "2026-01-05 10:00", instrument=same)))
    assert (result.new, len(await trades_of(store))) == (0, 1)


async def test_what_follows_a_trade_that_was_voided_flat_is_traded_on(store: Store) -> None:
    await imported(
        store,
        statement(
            bought(60, "10", "2026-01-05 10:00", id="a"),
            sold(60, "11", "2026-01-05 11:00", id="b"),
        ),
    )
    async with store.write() as session:
        await void_trade(session, 1, reason="not mine")
    result = await imported(
        store,
        statement(
            bought(60, "10", "2026-01-05 10:00", id="a"),
            bought(50, "20", "2026-03-05 10:00", id="c"),
            sold(50, "25", "2026-03-05 11:00", id="d"),
        ),
    )
    assert await nets(store) == [("void", Decimal(60)), ("closed", Decimal(250))]
    assert (result.by_hand, result.in_trades) == (Decimal(-600), Decimal(250))


async def recorded_by_hand(store: Store, *fills: FillEntry, **said: Any) -> None:
    async with store.write() as session:
        await put_account(session, AccountEntry(name="Broker", mode="live"))
        leg = LegEntry(instrument="equity", fills=fills)
        await open_trade(session, TradeEntry(account="Broker", ticker="AAPL", legs=(leg,), **said))


def noted(side: Any, quantity: int, price: str, when: str) -> FillEntry:
    return FillEntry(
        side=side, quantity=Decimal(quantity), price=Decimal(price), filled_at=at(when)
    )


async def test_what_an_import_extended_is_not_counted_twice_when_it_began_earlier(
    store: Store,
) -> None:
    await recorded_by_hand(store, noted("buy", 100, "10", "2026-01-05 10:00"))
    await imported(
        store,
        statement(
            bought(100, "10", "2026-01-05 10:00", id="a"),
            sold(100, "12", "2026-01-05 11:00", id="b"),
        ),
    )
    await imported(store, statement(bought(50, "9", "2026-01-02 10:00", id="x")))

    # 150 bought, 100 sold: one open trade; the one that was closed is superseded by it.
    assert [one.status for one in await trades_of(store)] == ["superseded", "open"]
    await sound(store)


async def test_a_trade_that_somebody_closed_before_the_file_knows_is_there(store: Store) -> None:
    await recorded_by_hand(
        store,
        noted("buy", 100, "10", "2026-01-05 10:00"),
        noted("sell", 100, "11", "2026-01-05 15:00"),
        broker_order_id="o1",
    )
    entry = bought(100, "10", "2026-01-05 10:00", id="a", order="o1")
    first = await imported(store, statement(entry))
    then = await imported(store, statement(sold(100, "11", "2026-01-05 15:00", id="b")))

    assert (first.recorded, first.restated, then.recorded) == (0, 0, 0)
    assert await nets(store) == [("closed", Decimal(100))]


async def test_shares_delivered_twice_are_one_leg_of_the_options_trade(store: Store) -> None:
    put = option("put 180 2026-02-20", "AAPL")
    file = statement(
        sold(2, "2.00", "2026-01-05 10:00", instrument=put),
        ended("assigned", 1, "2026-01-16 16:00", put),
        bought(100, "180", "2026-01-16 16:00", delivery=True),
        sold(100, "185", "2026-01-20 10:00"),
        ended("assigned", 1, "2026-02-02 16:00", put),
        bought(100, "180", "2026-02-02 16:00", delivery=True),
        sold(100, "175", "2026-02-03 10:00"),
    )
    await imported(store, file)
    await imported(store, file)

    # 400 + 500 - 500
    assert await nets(store) == [("closed", Decimal(400))]
    await sound(store)


async def test_shares_go_to_the_option_that_deals_them(store: Store) -> None:
    """A short put is assigned (100 bought) on the day and at the strike of a long put that is
    exercised (100 sold), and before either a two-contract call is assigned in two rows."""
    short, long = option("put 180 2026-01-16", "AAPL"), option("put 180 2026-01-23", "AAPL")
    await imported(
        store,
        statement(
            bought(1, "1.00", "2026-01-02 10:00", instrument=long, id="long"),
            sold(1, "2.00", "2026-01-05 10:00", instrument=short, id="short"),
            ended("exercised", 1, "2026-01-16 16:00", long, id="x"),
            ended("assigned", 1, "2026-01-16 16:00", short, id="y"),
            bought(100, "180", "2026-01-16 16:00", delivery=True, id="s"),
        ),
    )
    assert [(one.external_id, one.status) for one in await trades_of(store)] == [
        ("long", "closed"), ("short", "open"),
    ]  # fmt: skip


async def test_shares_in_two_rows_belong_to_one_assignment(store: Store) -> None:
    put = option("put 180 2026-01-16", "AAPL")
    await imported(
        store,
        statement(
            sold(2, "2.00", "2026-01-05 10:00", instrument=put),
            ended("assigned", 2, "2026-01-16 16:00", put),
            bought(100, "180", "2026-01-16 16:00", delivery=True),
            bought(100, "180", "2026-01-16 16:00", delivery=True),
            sold(200, "181", "2026-01-20 10:00"),
        ),
    )
    assert await nets(store) == [("closed", Decimal(600))]  # 400 + 200


async def test_shares_that_are_called_away_beyond_those_held_are_a_short_of_their_own(
    store: Store,
) -> None:
    """A buy-write of 100 shares and 2 calls in one order: both are assigned."""
    call = option("call 190 2026-01-16", "AAPL")
    await imported(
        store,
        statement(
            bought(100, "180", "2026-01-05 10:00", order="o"),
            sold(2, "1.50", "2026-01-05 10:00", instrument=call, order="o"),
            ended("assigned", 2, "2026-01-16 16:00", call),
            sold(200, "190", "2026-01-16 16:00", delivery=True),
        ),
    )
    # 300 + 1000, and 100 short at 190.
    assert await nets(store) == [("closed", Decimal(1300)), ("open", None)]
    await sound(store)


async def test_an_options_trade_is_itself_though_its_shares_were_known_first(store: Store) -> None:
    put = option("put 180 2026-01-16", "AAPL")
    later = statement(
        ended("assigned", 1, "2026-01-16 16:00", put, id="b"),
        bought(100, "180", "2026-01-16 16:00", delivery=True, id="c"),
    )
    await imported(store, later)
    await imported(store, statement(sold(1, "2.00", "2026-01-05 10:00", instrument=put, id="a")))
    await imported(store, statement(sold(100, "181", "2026-01-20 10:00", id="d")))

    (trade,) = [one for one in await trades_of(store) if one.status == "closed"]
    assert (trade.structure, trade.entry_price, trade.net_pnl, trade.exit_reason) == (
        "single", Decimal(2), Decimal(300), "manual",
    )  # fmt: skip
    await sound(store)


async def test_a_vertical_of_a_day_stays_one_though_a_leg_is_dealt_again(store: Store) -> None:
    low, high = option("call 450 2026-01-16"), option("call 455 2026-01-16")
    day = "2026-01-05 12:00"
    await imported(
        store,
        statement(
            bought(1, "3", day, instrument=low, dated=True),
            sold(1, "1", day, instrument=high, dated=True),
            sold(1, "3.5", day, instrument=low, dated=True),
            bought(1, ".5", day, instrument=high, dated=True),
            bought(1, "3.2", day, instrument=low, dated=True),
            sold(1, "3.4", day, instrument=low, dated=True),
        ),
    )
    assert [(one.structure, one.net_pnl) for one in await trades_of(store)] == [
        ("vertical", Decimal(100)), ("single", Decimal(20)),
    ]  # fmt: skip


async def test_an_account_keeps_what_the_file_does_not_say(store: Store) -> None:
    entry = AccountEntry(name="Broker", mode="paper", currency="EUR", zone="Europe/Berlin")
    async with store.write() as session:
        await put_account(session, entry)

    result = await imported(store, statement(bought(1, "10", "2026-01-05 10:00")))

    assert result.accounts == (entry,)
    assert [(one.mode, one.currency, one.entry_hour) for one in await trades_of(store)] == [
        ("paper", "EUR", 16)  # 10:00 in New York.
    ]


async def test_an_account_of_another_mode_or_currency_is_refused(store: Store) -> None:
    await imported(store, statement(bought(1, "10", "2026-01-05 10:00")))
    with pytest.raises(Conflict, match="paper"):
        await imported(store, statement(bought(1, "10", "2026-01-06 10:00"), mode="paper"))
    with pytest.raises(Conflict, match="EUR"):
        await imported(store, statement(bought(1, "10", "2026-01-06 10:00"), currency="EUR"))


# Any split of a history into files, in any order, some twice, gives the same trades.

CASES = count(1)
SOME = (SHARES, option("call 200 2026-06-19", "AAPL"), option("put 200 2026-06-19", "AAPL"))


@st.composite
def histories(draw: Any) -> list[Execution]:
    """Fills of a few instruments, some of one moment, with and without the broker's ids."""
    with_ids = draw(st.booleans())
    found = []
    for number in range(draw(st.integers(2, 14))):
        minute = draw(st.integers(0, 9))
        side = draw(st.sampled_from([bought, sold]))
        found.append(
            side(
                draw(st.integers(1, 3)),
                draw(st.integers(1, 4)),
                f"2026-01-05 10:0{minute}",
                instrument=draw(st.sampled_from(SOME)),
                fee=draw(st.sampled_from(["0", "1", ".01"])),
                effect=draw(st.sampled_from([None, None, "open", "close"])),
                order=draw(st.sampled_from([None, "o1", "o2"])),
                id=f"e{number}" if with_ids else None,
            )
        )
    return sorted(found, key=lambda one: one.at)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(history=histories(), draw=st.data())
async def test_any_split_into_files_in_any_order_gives_the_same_trades(
    store: Store, history: list[Execution], draw: st.DataObject
) -> None:
    """What happened at one moment stands in one file, as exports of a period have it."""
    case = next(CASES)  # One ledger serves all cases, in accounts of their own.
    whole = statement(*history, account=f"Whole {case}")
    await imported(store, whole)
    moments = sorted({one.at for one in history})
    parts: dict[int, set[Any]] = {}
    for moment in moments:
        parts.setdefault(draw.draw(st.integers(0, 3)), set()).add(moment)
    order = draw.draw(st.permutations(sorted(parts)))
    order += draw.draw(st.lists(st.sampled_from(sorted(parts)), max_size=2))

    for part in order:
        some = [one for one in history if one.at in parts[part]]
        await imported(store, statement(*some, account=f"Parts {case}"))

    async with store.read() as session:
        shapes = []
        for name in ("Whole", "Parts"):
            account = await require_account(session, f"{name} {case}")
            rows = (
                await session.execute(
                    select(
                        Trade.number, Trade.status, Trade.structure, Trade.net_pnl,
                        Leg.option_type, Leg.instrument, Fill.side, Fill.quantity, Fill.price,
                        Fill.fee, Fill.filled_at,
                    )
                    .join(Leg, Leg.trade_number == Trade.number)
                    .join(
                        Fill,
                        (Fill.trade_number == Leg.trade_number)
                        & (Fill.leg_number == Leg.leg_number),
                    )
                    .where(
                        Trade.account_id == account.account_id,
                        Trade.status.in_(["open", "closed"]),
                    )
                )
            ).all()  # fmt: skip
            trades: dict[int, list[str]] = {}
            for row in rows:
                trades.setdefault(row.number, []).append(str(tuple(row)[1:]))
            shapes.append(Counter(tuple(sorted(fills)) for fills in trades.values()))
    assert shapes[0] == shapes[1]
