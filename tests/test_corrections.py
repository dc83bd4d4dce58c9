"""A closed trade is restated or voided, never changed; the original stays readable."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select

from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import Conflict, Invalid, NotFound
from store.models import Correction, Trade
from store.recording import add_note, open_trade
from store.records import TradeEntry
from tests.ledger import read, record, trade


def entry(line: str) -> TradeEntry:
    return trade({"account": "main", **read(line)})


async def all_trades(store: Store) -> list[Trade]:
    async with store.read() as session:
        return list(await session.scalars(select(Trade).order_by(Trade.number)))


async def closed_net(store: Store) -> Decimal | None:
    async with store.read() as session:
        statement = select(func.sum(Trade.net_pnl)).where(Trade.status == "closed")
        return await session.scalar(statement)


async def correct(store: Store, number: int, line: str, reason: str = "wrong price") -> int:
    async with store.write() as session:
        return (await correct_trade(session, number, entry(line), reason=reason)).number


async def test_the_restatement_counts_and_the_original_does_not(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100 \n 2026-01-05 MSFT +1")

    assert await correct(store, 1, "2026-01-05 AAPL -20") == 3

    assert [one.status for one in await all_trades(store)] == ["superseded", "closed", "closed"]
    assert await closed_net(store) == -19


async def test_the_original_stays_readable_with_the_reason(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100 fees 1 scanner 70 strategy leap_call")
    await correct(store, 1, "2026-01-05 AAPL -20", "the  broker\nrestated it")

    original, _ = await all_trades(store)
    async with store.read() as session:
        why = (await session.scalars(select(Correction))).one()

    assert original.net_pnl == 100
    assert (original.fees, original.scanner_score) == (Decimal(1), Decimal(70))
    assert (why.number, why.replacement) == (1, 2)
    assert (why.reason, why.author) == ("the broker restated it", "owner")


async def test_a_correction_is_corrected(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100")
    second = await correct(store, 1, "2026-01-05 AAPL -20")
    await correct(store, second, "2026-01-05 AAPL +100", "it was right")

    trades = await all_trades(store)

    assert [one.status for one in trades] == ["superseded", "superseded", "closed"]
    assert await closed_net(store) == 100


async def test_only_the_newest_statement_can_be_corrected(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100")
    await correct(store, 1, "2026-01-05 AAPL -20")

    with pytest.raises(Conflict, match="Trade 1 is superseded"):
        await correct(store, 1, "2026-01-05 AAPL +5")
    with pytest.raises(Conflict, match="Trade 1 is superseded already"):
        async with store.write() as session:
            await void_trade(session, 1, reason="no")


async def test_an_open_trade_is_not_restated(store: Store) -> None:
    await record(store, "2026-01-05 AAPL open")

    with pytest.raises(Conflict, match="Trade 1 is open; only a closed"):
        await correct(store, 1, "2026-01-05 AAPL +5")


@pytest.mark.parametrize("line", ["2026-01-05 AAPL +100", "2026-01-05 AAPL +7 open"])
async def test_a_void_trade_does_not_count_but_keeps_its_numbers(store: Store, line: str) -> None:
    await record(store, line)
    (before,) = await all_trades(store)

    async with store.write() as session:
        done = await void_trade(session, 1, reason="a test of the broker")

    (after,) = await all_trades(store)
    kept = [column.key for column in Trade.__table__.columns if column.key != "status"]
    assert (done.status, after.status) == ("void", "void")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]
    assert await closed_net(store) is None


async def test_an_unknown_trade_is_not_corrected(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100")
    await record(store, "2026-01-05 AAPL +100 \n 2026-01-05 AAPL +100", user_id=2)

    with pytest.raises(NotFound, match="No trade 2"):
        await correct(store, 2, "2026-01-05 AAPL +5")


@pytest.mark.parametrize("reason", ["", " \n ", "x" * 501, "a\0b", "\u202egone", "\ud800"])
async def test_a_reason_is_required_and_printable(store: Store, reason: str) -> None:
    await record(store, "2026-01-05 AAPL +100")

    with pytest.raises(Invalid, match="1 to 500"):
        await correct(store, 1, "2026-01-05 AAPL +5", reason)

    assert len(await all_trades(store)) == 1


IDS = "external T-1 source ibkr broker_order B-1"


async def test_external_ids_pass_on_to_the_restatement(store: Store) -> None:
    await record(store, f"2026-01-05 AAPL +100 {IDS}")
    await correct(store, 1, "2026-01-05 AAPL -20")

    for one in await all_trades(store):
        assert (one.source, one.external_id, one.broker_order_id) == ("ibkr", "T-1", "B-1")


async def test_a_restatement_may_say_its_own_ids(store: Store) -> None:
    await record(store, f"2026-01-05 AAPL +100 {IDS}")
    await correct(store, 1, "2026-01-05 AAPL -20 external T-2 source csv")

    restated = (await all_trades(store))[1]
    found = (restated.source, restated.external_id, restated.broker_order_id)
    assert found == ("csv", "T-2", "B-1")


@pytest.mark.parametrize("ids", ["external T-1 source ibkr", "broker_order B-1"])
@pytest.mark.parametrize("again", ["+100", "open"])
async def test_recorded_again_a_corrected_trade_is_a_conflict(
    store: Store, ids: str, again: str
) -> None:
    await record(store, f"2026-01-05 AAPL +100 {ids}")
    await correct(store, 1, "2026-01-05 AAPL -20")

    with pytest.raises(Conflict, match=r"id of this trade belongs to another trade"):
        await record(store, f"2026-01-05 AAPL {again} {ids}")

    assert len(await all_trades(store)) == 2


async def test_a_void_trade_frees_its_ids(store: Store) -> None:
    await record(store, f"2026-01-05 AAPL +100 {IDS}")
    async with store.write() as session:
        await void_trade(session, 1, reason="a copy")

    assert await record(store, f"2026-01-05 AAPL +90 {IDS}") == [2]


async def test_imported_again_under_its_key_a_corrected_trade_is_found(store: Store) -> None:
    said = f"2026-01-05 AAPL +100 {IDS}"
    await record(store, "2026-01-04 ETC +1")
    async with store.write() as session:
        first = await open_trade(session, entry(said), key="ibkr:T-1")
    await correct(store, first.number, "2026-01-05 AAPL -20")

    async with store.write() as session:
        again = await open_trade(session, entry(said), key="ibkr:T-1")

    assert (again.number, again.replayed) == (first.number, True)
    assert len(await all_trades(store)) == 3
    assert await closed_net(store) == -19


async def test_a_repeated_correction_restates_once(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100")
    numbers = []
    for _ in range(2):
        async with store.write() as session:
            done = await correct_trade(
                session, 1, entry("2026-01-05 AAPL -20"), reason="price", key="fix 1"
            )
            numbers.append(done.number)

    assert numbers == [2, 2]


async def test_a_note_stays_with_the_number_it_was_made_for(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +100")
    await correct(store, 1, "2026-01-05 AAPL -20")

    async with store.write() as session:
        noted = await add_note(session, 1, "I sold too early")

    assert (noted.number, noted.status) == (1, "superseded")
