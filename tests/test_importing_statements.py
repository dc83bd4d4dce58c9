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
