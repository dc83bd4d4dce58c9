"""A day of a user and of an operator: every kind of thing that the product does with a ledger.

What follows from what is tested elsewhere; here it is done once, so that all the statements
are sent that the product has.
"""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from store import commands
from store.audit_trail import questions, writes
from store.calls import CallMade, keep_calls
from store.changes import Position, changes_since
from store.comparing import compare
from store.connections import connection_token, list_connections, put_connection, remove_connection
from store.context import context
from store.database import Store
from store.errors import Conflict
from store.exporting import ALL, Export
from store.folding import report
from store.importers import read
from store.importing import import_file
from store.keyring import Keyring, MasterKey
from store.market_data import keep_bars, keep_fundamentals, read_bars, read_fundamentals
from store.preferences import (
    put_secret_setting,
    put_setting,
    remove_setting,
    secret_setting,
    settings_of,
)
from store.recording import add_fill, add_snapshots, close_trade, extend_trade, open_trade
from store.records import ByPrices, FillEntry, LegEntry, LegPrice, SnapshotEntry
from store.restating import add_market_facts, without_market_facts
from store.rotating import reseal_everything, used_key_ids
from store.schema import add_user
from store.tokens import any_token, caller_of, create_token, is_open, list_tokens, revoke_token
from store.users import list_tiers, list_users, next_user, put_tier, require_user, set_limits
from store.verifying import verify_database, verify_user
from tests.ledger import read as line
from tests.ledger import record, trade
from tests.statements import dealing
from tests.test_isolation import every_answer_by_rest, everything_read, fill

OLD, NEW = MasterKey(bytes(32)), MasterKey(bytes(31) + b"\x01")
GENERIC = Path(__file__).parent / "importers" / "generic.csv"
USERS = (1, 2, 3)
COMMANDS = {command.__name__: command for command in commands.load()}
BARS = "ticker,date,open,high,low,close\nAAPL,2026-01-02,1,2,1,2\nAAPL,2026-01-05,2,2,1,2\n"
COMPANIES = "ticker,known_on,sector\nAAPL,2025-01-01,tech\n"


async def whole_day(store: Store, folder: Path) -> None:
    """Of user 1, in a ledger where it has nothing yet; user 2 records something, too."""
    await fill(store, 1, 3)
    await fill(store, 2, 13)
    await trading(store)
    await by_commands(store)
    await importing(store)
    await secrets(store)
    await operating(store, folder)
    await reading(store)


async def trading(store: Store) -> None:
    """A trade from its first fill to its correction, step by step, and the same again."""
    async with store.write(1) as session:
        entry = trade({"account": "main", **line("2026-01-20T15:00Z MSFT open")})
        number = (await open_trade(session, entry, key="day-1")).number
        await add_fill(session, number, 1, dealt("buy", 10, 16), key="day-2")
        await add_snapshots(session, number, [mark(16), mark(17)], key="day-3")
        added = LegEntry(instrument="crypto", symbol="MSFTX", fills=(dealt("buy", 1, 17),))
        await extend_trade(session, number, {1: [dealt("sell", 10, 17)]}, [added], key="day-4")
        prices = {leg: LegPrice(price=Decimal(101)) for leg in (1, 2)}
        ending = ByPrices(at=at(18), prices=prices)
        await close_trade(session, number, ending, key="day-5")
    async with store.write(1) as session:
        assert (await open_trade(session, entry, key="day-1")).replayed
        assert (await close_trade(session, number, ending, key="day-5")).replayed
    async with store.read(1) as session:
        assert number in (await changes_since(session, Position())).trades


async def by_commands(store: Store) -> None:
    """As people and agents say it."""
    said: dict[str, Any] = {
        "account": "main", "ticker": "NVDA", "opened_at": "2026-01-05T10:15:00-05:00",
        "quantity": "100", "entry_price": "10.00",
    }  # fmt: skip
    closed_at = {"closed_at": "2026-01-08T15:30:00-05:00"}
    closed = {**closed_at, "exit_price": "12.00"}

    async def say(name: str, **words: Any) -> Any:
        return await store.record(lambda session: COMMANDS[name](session, **words), keyed=False)

    number = (await say("record_trade", **said)).number
    await say("add_fill", number=number, side="buy", quantity="1", price="11",
              filled_at="2026-01-06T10:00:00-05:00")  # fmt: skip
    await say("close_trade", number=number, price="12", **closed_at)
    await say("add_note", number=number, body="calm")
    twin = (await say("record_trade", **said, **closed)).number
    with pytest.raises(Conflict):  # The same again without a key of its own.
        await say("record_trade", **said, **closed)
    await say("correct_trade", number=twin, reason="the price was wrong", exit_price="12.50")
    await say("void_trade", number=number, reason="twice")


async def importing(store: Store) -> None:
    """Files of trades and of executions, and one that overlaps with what came before."""
    first = dealing.bought(10, 10, "2026-01-05 10:00", id="e1")
    then = dealing.sold(10, 12, "2026-01-06 10:00", id="e2")
    files = [
        read(GENERIC),
        dealing.statement(first, account="Broker"),
        dealing.statement(first, then, account="Broker"),
    ]
    for file in files:
        async with store.write(1) as session:
            await import_file(session, file)


async def secrets(store: Store) -> None:
    keyring = Keyring([OLD])
    async with store.write(1) as session:
        await put_setting(session, "theme", "dark")
        await put_setting(session, "theme", "light")
        await put_secret_setting(session, keyring, "api key", SecretStr("canary"))
        await put_connection(session, keyring, "tradier", "live", SecretStr("canary"))
        await put_connection(session, keyring, "tradier", "sandbox", SecretStr("canary"))
        await remove_connection(session, "tradier", "sandbox")
        token, other = [await create_token(session, name) for name in ("laptop", "phone")]
        await revoke_token(session, other.number)
        await keep_calls(
            session,
            [
                CallMade(
                    user_id=1, called_at=at(9), tool="get_overview", token=str(token.number),
                    arguments_hash="0" * 64, outcome="answered", result_hash="1" * 64,
                    trades_used=1, milliseconds=3,
                )
            ],
        )  # fmt: skip
    async with store.read(1) as session:
        assert await caller_of(session, token.text)
        assert await is_open(session, token.number)
        assert await list_tokens(session)
        assert await list_connections(session)
        await connection_token(session, keyring, "tradier", "live")
        await secret_setting(session, keyring, "api key")
        assert await settings_of(session)
    await reseal_everything(store, Keyring([NEW, OLD]))
    async with store.write(1) as session:
        await remove_setting(session, "theme")


async def operating(store: Store, folder: Path) -> None:
    bars, companies = folder / "bars.csv", folder / "companies.csv"
    bars.write_text(BARS)
    companies.write_text(COMPANIES)
    async with store.operate(1, write=True) as session:
        await keep_bars(session, read_bars(bars, "1d"))
        await keep_fundamentals(session, read_fundamentals(companies))
        await put_tier(session, "basic")
        await set_limits(session, "basic", calls_per_minute=60, accounts=None, trades=None)
    async with store.operate() as session:
        assert await any_token(session)
        assert await list_users(session)
        assert await list_tiers(session)
        new = await next_user(session)
    await add_user(store, new, "new")
    assert await used_key_ids(store) == {NEW.id}
    async with store.write(1) as session:
        for number in (await without_market_facts(session))[:1]:
            await add_market_facts(session, number)


async def reading(store: Store) -> None:
    await every_answer_by_rest(store)
    await store.survey(report)
    await everything_read(store)
    async with store.read(1) as session:
        await require_user(session)
        await context(session, ticker="AAPL", scanner_score=70.0, conditions=["regime=bull"])
        await compare(session, "main", "second")
        exports = (
            Export("csv"),
            Export("csv", "fills"),
            Export("jsonl", filters=ALL, notes=True, snapshots=True),
        )
        for export in exports:
            assert [chunk async for chunk in export.chunks(session)]
        assert [row async for row in writes(session)]
        assert [row async for row in questions(session)]
    assert await verify_database(store) is None
    for user_id in (1, 2):
        assert (await verify_user(store, user_id)).wrong is None
    # A question that is asked first works out what it remembers from then on.
    await record(store, "2026-01-30 AAPL +1", user_id=1)


def at(hour: int) -> datetime:
    return datetime(2026, 1, 20, hour, tzinfo=UTC)


def dealt(side: str, quantity: int, hour: int) -> FillEntry:
    return FillEntry.model_validate(
        {"side": side, "quantity": quantity, "price": 100, "filled_at": at(hour)}
    )


def mark(hour: int) -> SnapshotEntry:
    return SnapshotEntry(taken_at=at(hour), mark_price=Decimal(100))
