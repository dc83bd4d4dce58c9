"""What has changed since: the trades that each command touched, of one user only."""

from store.accounts import AccountEntry, put_account
from store.changes import Changes, Position, changes_since, position
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.importing import import_file
from store.recording import add_note
from tests.ledger import read as line
from tests.ledger import record, trade
from tests.statements.dealing import bought, sold, statement

LEDGER = "2026-01-05 AAPL +1\n2026-01-06 SPY +1\n2026-01-07 QQQ open"


async def now(store: Store, user_id: int = 1) -> Position:
    async with store.read(user_id) as session:
        return await position(session)


async def since(store: Store, before: Position, user_id: int = 1) -> Changes:
    async with store.read(user_id) as session:
        return await changes_since(session, before)


async def test_recorded_trades_are_named_by_number(store: Store) -> None:
    before = await now(store)

    await record(store, LEDGER)

    found = await since(store, before)
    assert (found.answers, found.trades) == (True, (1, 2, 3))
    assert await since(store, found.position) == Changes(found.position, False, ())


async def test_an_import_names_the_trades_of_its_batch(store: Store) -> None:
    before = await now(store)

    async with store.write() as session:
        await import_file(
            session,
            statement(
                bought(1, 10, "2026-01-05 10:00"),
                sold(1, 11, "2026-01-05 11:00"),
                bought(1, 10, "2026-01-06 10:00"),
            ),
        )

    assert (await since(store, before)).trades == (1, 2)


async def test_a_correction_names_the_old_trade_and_the_new_one(store: Store) -> None:
    await record(store, LEDGER)
    before = await now(store)
    restated = trade({"account": "main", **line("2026-01-05 AAPL +2")})

    async with store.write() as session:
        await correct_trade(session, 1, restated, reason="the fill was wrong")

    assert (await since(store, before)).trades == (1, 4)


async def test_a_void_trade_and_a_note_name_their_trade(store: Store) -> None:
    await record(store, LEDGER)
    before = await now(store)

    async with store.write() as session:
        await void_trade(session, 2, reason="never happened")
        await add_note(session, 3, "a note")

    assert (await since(store, before)).trades == (2, 3)


async def test_an_account_changes_answers_and_no_trade(store: Store) -> None:
    before = await now(store)

    async with store.write() as session:
        await put_account(session, AccountEntry(name="new", mode="live"))

    found = await since(store, before)
    assert (found.answers, found.trades) == (True, ())


async def test_what_another_user_records_is_no_change(store: Store) -> None:
    before = await now(store)

    await record(store, LEDGER, user_id=2)

    assert await since(store, before) == Changes(before, False, ())


async def test_a_user_that_does_not_exist_has_recorded_nothing(store: Store) -> None:
    assert await now(store, 7) == Position()
