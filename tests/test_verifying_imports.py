"""What imports recorded is verified too: executions as they were kept, trades by batches."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.database import Store
from store.importing import import_file
from store.models import Base
from store.verifying import verify_user
from tests.importers.files import read_trades
from tests.statements.dealing import bought, option, sold, statement
from tests.tampering import Owner, owner_of
from tests.test_verifying import OTHER

SAMPLES = Path(__file__).parent / "importers"
PUT = option("put 450 2026-01-16")


@pytest.fixture
async def imported(store: Store) -> Store:
    """Three trades in one batch, a later file that closes the open one, one restated."""
    files = (
        statement(
            bought(100, "10", "2026-01-05 10:00", fee="1", order="a"),
            sold(100, "11", "2026-01-05 11:00", fee="1"),
            bought(1, "2", "2026-01-05 12:00", instrument=PUT),
            bought(5, "10", "2026-01-06 10:00"),
        ),
        statement(sold(1, "3", "2026-01-07 12:00", instrument=PUT)),
        statement(sold(100, "9.50", "2026-01-02 11:00", fee="1", effect="open")),
    )
    for file in files:
        async with store.write() as session:
            await import_file(session, file)
    return store


@pytest.fixture
async def owner(imported: Store, database_url: str) -> AsyncIterator[Owner]:
    async with owner_of(database_url) as owner:
        await owner.remember()
        yield owner


async def wrong_after(owner: Owner, store: Store, statement: str) -> str:
    await owner.say(statement)
    found = await verify_user(store, 1)
    await owner.put_back()
    return found.wrong or ""


async def test_what_imports_recorded_verifies(imported: Store) -> None:
    found = await verify_user(imported, 1)
    assert found.wrong is None
    # The short sale before makes of trade 1 its covering (4); the open 3 began earlier than was
    # known, with the hundred that were sold: it is void, and 5 begins there.
    assert (found.trades, found.open_trades) == (5, 1)


@pytest.mark.parametrize("column", [one.name for one in Base.metadata.tables["executions"].columns])
async def test_any_column_of_an_execution(owner: Owner, imported: Store, column: str) -> None:
    kind = Base.metadata.tables["executions"].columns[column].type
    value = OTHER.get(type(kind).__name__, f"coalesce({column}, 0) + 700")
    wrong = await wrong_after(
        owner, imported, f"UPDATE executions SET {column} = {value} WHERE entry_place = 2"
    )
    assert "execution" in wrong, wrong


@pytest.mark.parametrize("where", ["entry_place = 4", "audit_entry > 5"])
async def test_an_execution_that_is_gone(owner: Owner, imported: Store, where: str) -> None:
    wrong = await wrong_after(owner, imported, f"DELETE FROM executions WHERE {where}")
    assert wrong.startswith("the executions are not what audit entry "), wrong


async def test_an_execution_that_was_added(owner: Owner, imported: Store) -> None:
    columns = ", ".join(
        {"audit_entry": "1", "execution_id": "'planted'"}.get(column.name, column.name)
        for column in Base.metadata.tables["executions"].columns
    )
    wrong = await wrong_after(
        owner,
        imported,
        f"INSERT INTO executions SELECT {columns} FROM executions WHERE entry_place = 2",
    )
    assert wrong == "an execution is on no record"


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_trade_of_a_batch(owner: Owner, imported: Store, number: int) -> None:
    """Superseded or closed since, or open still: of this one what was known at entry."""
    for said in ("stop_loss = 700", "source = 'other'", "strategy = 'other'"):
        wrong = await wrong_after(
            owner, imported, f"UPDATE trades SET {said} WHERE number = {number}"
        )
        assert "trades 1 to 3" in wrong or f"trade {number} " in wrong, (said, wrong)


@pytest.fixture
async def keyed(store: Store) -> Store:
    """The trades of two files, each under a key of its own."""
    for name in ("generic.csv", "option_omega.csv"):
        async with store.write() as session:
            await import_file(session, read_trades(SAMPLES / name))
    return store


@pytest.fixture
async def owner_of_keyed(keyed: Store, database_url: str) -> AsyncIterator[Owner]:
    async with owner_of(database_url) as owner:
        await owner.remember()
        yield owner


async def test_the_keys_of_a_batch(owner_of_keyed: Owner, keyed: Store) -> None:
    """A key that is altered, gone, added, or of another trade."""
    found = await verify_user(keyed, 1)
    assert found.wrong is None
    of_batches = "command = 'record_trades'"
    keys = await owner_of_keyed.rows("requests", of_batches)
    assert len(keys) == found.trades
    one = f"{of_batches} AND request_key = '{keys[0]['request_key']}'"
    copied = "user_id, 'planted', command, content_hash, {}, made_at FROM requests WHERE " + one
    for altering, said in {
        f"UPDATE requests SET content_hash = 'other' WHERE {one}": "are not as they were recorded",
        f"UPDATE requests SET request_key = 'other' WHERE {one}": "are not as they were recorded",
        f"DELETE FROM requests WHERE {one}": "are not as they were recorded",
        f"DELETE FROM requests WHERE {of_batches}": "are not as they were recorded",
        f"UPDATE requests SET result = '{{\"number\":700}}' WHERE {one}": "was never done",
        f"UPDATE requests SET result = '[]' WHERE {one}": "was never done",
        f"UPDATE requests SET command = 'open_trade' WHERE {one}": "was never done",
        f"INSERT INTO requests SELECT {copied.format('result')}": "was never done",
    }.items():
        wrong = await wrong_after(owner_of_keyed, keyed, altering)
        assert said in wrong, (altering, wrong)


async def test_a_fill_of_a_batch(owner: Owner, imported: Store) -> None:
    wrong = await wrong_after(
        owner, imported, "UPDATE fills SET fee = fee + 1 WHERE trade_number = 1"
    )
    assert "trade 1 " in wrong
