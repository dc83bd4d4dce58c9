"""`verify` finds whatever was altered behind the locks, and nothing where nothing was."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy import text

from store.cli import cli
from store.columns import Scaled
from store.connecting import say
from store.connections import put_connection
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.importing import import_file
from store.keyring import Keyring, MasterKey
from store.models import Base
from store.preferences import put_setting
from store.recording import add_fill, add_note, add_snapshots, close_trade, open_trade
from store.records import (
    ByDelivery,
    ByExpiry,
    ByFills,
    BySettlement,
    FillEntry,
    SnapshotEntry,
    TradeEntry,
)
from store.schema import add_user, connected, prepare
from store.tokens import create_token, revoke_token
from store.users import put_tier
from store.verifying import Head, verify_database, verify_user
from tests.conftest import in_own_loop, settings_for
from tests.importers.files import read_trades as read_import
from tests.ledger import moment, read, record, trade
from tests.postgres_server import Server
from tests.tampering import Owner, alter, owner_of

GENERIC = Path(__file__).parent / "importers" / "generic.csv"
KEYRING = Keyring([MasterKey(bytes(32))])
PARTS = ("legs", "fills", "conditions")


def fill(side: str, quantity: int, price: float | str, day: str = "2026-01-06") -> FillEntry:
    return FillEntry.model_validate(
        {"side": side, "quantity": quantity, "price": str(price), "filled_at": moment(day),
         "fee": "0.65"}
    )  # fmt: skip


def option(strike: int, side: str, price: str, kind: str = "put") -> dict[str, Any]:
    return {
        "instrument": "option", "option_type": kind, "strike": strike, "expiry": "2026-02-20",
        "fills": [fill(side, 1, price, "2026-01-05")],
    }  # fmt: skip


def entry(*legs: dict[str, Any], **said: Any) -> TradeEntry:
    return TradeEntry.model_validate({"account": "main", "ticker": "SPY", "legs": legs, **said})


async def fill_ledger(store: Store) -> None:
    """Every kind of trade and command; who reads along can count entries and trades."""
    # add_user was the first entry, put_account is the second. Trades 1 to 5.
    await record(
        store,
        """
        2026-01-05  AAPL  open  condition vix=18.5  condition regime=bull  scanner 70  stop 95
        2026-01-05  AAPL  +120.55  option call  fees 1.30
        2026-01-05  MSFT  -50  short
        2026-01-05  TSLA  +80
        2026-01-05  NVDA  open
        """,
    )  # 7 entries
    marks = [
        SnapshotEntry(taken_at=moment(at), mark_price=Decimal(price))
        for at, price in (("2026-01-06T12:00:00.25Z", "101.5"), ("2026-01-06T12:00:30Z", "99"))
    ]
    said = trade({"account": "main", **read("2026-01-05 TSLA +70")})
    again = trade({"account": "main", **read("2026-01-05 TSLA +60")})
    async with store.write() as session:
        await add_snapshots(session, 1, marks)
        await add_fill(session, 1, 1, fill("buy", 50, 102))
        await add_fill(session, 1, 1, fill("sell", 70, 103), exit_reason="target")
        await add_fill(session, 1, 1, fill("sell", 80, "103.12345678"), key="closes 1")
        await add_fill(session, 5, 1, fill("sell", 130, 99))  # Closes 5, opens 6.
        await add_snapshots(session, 6, marks)  # 13 entries
        await open_trade(session, entry(option(500, "sell", "5"), option(490, "buy", "3")))  # 7
        ends: dict[int, tuple[FillEntry, ...]] = {
            1: (fill("buy", 1, 1),),
            2: (fill("sell", 1, "0.5"),),
        }
        await close_trade(session, 7, ByFills(fills=ends))
        await open_trade(session, entry(option(500, "sell", "4")))  # 8
        at = moment("2026-02-20")
        await close_trade(session, 8, ByDelivery(at=at, leg=1))
        await add_fill(session, 8, 2, fill("sell", 100, 490, "2026-02-21"))
        await open_trade(session, entry(option(500, "buy", "4")))  # 9
        await close_trade(session, 9, ByExpiry(at=at))
        await open_trade(session, entry(option(500, "buy", "4", "call")))  # 10
        await close_trade(session, 10, BySettlement(at=at, underlying_price=Decimal(507)))
        await correct_trade(session, 4, said, reason="price", author="ann")  # 11
        await correct_trade(session, 11, again, reason="price again")  # 12
        await void_trade(session, 12, reason="never happened")
        await correct_trade(
            session, 3, entry({"instrument": "equity", "fills": [fill("buy", 1, 5)]}), reason="open"
        )  # 13, which is open
        await open_trade(session, said)  # 14
        await void_trade(session, 14, reason="twice")
        await open_trade(session, entry(option(500, "buy", "4")))  # 15
        await void_trade(session, 15, reason="opened by mistake")  # 30 entries
        await add_note(session, 1, "why so early? éß")
        await add_note(session, 1, "again")
        await add_note(session, 4, "on one that is superseded")
        await add_note(session, 6, "on one that is open")  # 34 entries
        await put_setting(session, "theme", "dark")
        await create_token(session, "laptop")
        await put_connection(session, KEYRING, "tradier", "live", SecretStr("canary"))  # 37 entries
    async with store.operate(write=True) as session:
        await put_tier(session, "pro")  # 38 entries


ENTRIES, TRADES = 38, 15


async def fill_database(url: str) -> None:
    store = Store(settings_for(url))
    await prepare(store)
    await fill_ledger(store)
    await record(store, "2026-01-05 AAPL +1 \n 2026-01-05 AAPL -1", user_id=2)
    await store.close()


@pytest.fixture(scope="module")
def sqlite_template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger is recorded once; each test has a copy of the database."""
    path = tmp_path_factory.mktemp("filled") / "trades.db"
    path.write_bytes(sqlite_template.read_bytes())
    in_own_loop(fill_database(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="module")
def postgres_template(server: Server, postgres_template: str) -> str:
    in_own_loop(server.create_database("filled", postgres_template))
    # Past a pooler, which would keep it in use.
    in_own_loop(fill_database(server.direct(server.url("filled"))))
    return "filled"


@pytest.fixture
def ledger(store: Store) -> Store:
    """User 1 has trades of every kind, user 2 has two."""
    return store


@pytest.fixture
async def owner(ledger: Store, database_url: str) -> AsyncIterator[Owner]:
    async with owner_of(database_url) as owner:
        await owner.remember()
        yield owner


async def wrong_after(owner: Owner, store: Store, *statements: str) -> str | None:
    """What `verify` says of user 1 once the owner has said `statements`, which are undone."""
    await owner.say(*statements)
    found = await verify_user(store, 1)
    await owner.put_back()
    return found.wrong


# --- Nothing is wrong


async def test_all_that_is_recorded_verifies(ledger: Store) -> None:
    found = await verify_user(ledger, 1)

    assert (found.wrong, found.entries, found.trades) == (None, ENTRIES, TRADES)
    assert (await verify_user(ledger, 2)).trades == 2
    assert await verify_database(ledger) is None


async def test_an_empty_ledger_verifies(store: Store) -> None:
    await add_user(store, 3, "new")

    found = await verify_user(store, 3)

    assert (found.wrong, found.entries, found.trades) == (None, 1, 0)


async def test_an_imported_file_verifies(store: Store) -> None:
    """Six trades in two accounts; all of them are one entry, a note in the file is another."""
    file = read_import(GENERIC, mode="live")
    await add_user(store, 3, "new")
    async with store.write(3) as session:
        await import_file(session, file)
    notes = sum(one.note is not None for one in file.trades)

    found = await verify_user(store, 3)

    assert (found.wrong, found.trades) == (None, 6)
    assert found.entries == 1 + len(file.accounts) + 1 + notes


async def test_verifying_changes_nothing(owner: Owner, ledger: Store) -> None:
    await verify_user(ledger, 1)

    assert {table: await owner.rows(table) for table in owner.found} == owner.found


# --- The hash of what is locked, worked out a second time, from the rows of the database


def plain(row: dict[str, Any], table: str) -> dict[str, str]:
    """A row as it is hashed: nulls left out, decimals with all digits, moments in UTC."""
    return {
        name: words(value, Base.metadata.tables[table].columns[name].type)
        for name, value in row.items()
        if value is not None
    }


def words(value: Any, kind: Any) -> str:
    if isinstance(kind, Scaled):
        digits = f"{abs(value):0{kind.digits + 1}d}"
        return f"{'-' * (value < 0)}{digits[: -kind.digits]}.{digits[-kind.digits :]}"
    if isinstance(value, str) and type(kind).__name__ == "Moment":
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(" ")
    return value.isoformat() if isinstance(value, date) else str(value)


def hash_of(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


async def trade_hash(owner: Owner, number: int) -> str:
    """SHA-256 of JSON with sorted keys: the trade without its status, and its parts' rows
    by name, each in the order of its key; a part without rows is left out."""
    (row,) = await owner.rows("trades", f"user_id = 1 AND number = {number}")
    del row["status"]
    content: dict[str, Any] = {"trade": plain(row, "trades")}
    for table in PARTS:
        rows = await owner.rows(table, f"user_id = 1 AND trade_number = {number}")
        if rows:
            content[table] = [plain(one, table) for one in rows]
    for path in await owner.rows("paths", f"user_id = 1 AND trade_number = {number}"):
        content["snapshots"] = [plain(one, "snapshots") for one in unpacked(path)]
    return hash_of(content)


def unpacked(path: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that were packed, by a second method."""
    begins_at = path["begins_at"]
    if isinstance(begins_at, str):
        begins_at = datetime.fromisoformat(begins_at)
    return [
        {
            "user_id": path["user_id"],
            "trade_number": path["trade_number"],
            "taken_at": begins_at + timedelta(microseconds=after * path["time_unit"]),
            "mark_price": mark * path["price_unit"],
            "underlying_price": None if underlying is None else underlying * path["price_unit"],
            "unrealised_pnl": pnl * path["money_unit"],
        }
        for after, mark, underlying, pnl in json.loads(path["packed"])
    ]


async def correction_hash(owner: Owner, number: int) -> str:
    (row,) = await owner.rows("corrections", f"user_id = 1 AND number = {number}")
    return hash_of(plain(row, "corrections"))


async def state_of(owner: Owner, command: str, **numbers: int) -> str:
    """The `state_hash` of the last entry of `command` for a trade's number."""
    found = [
        one
        for one in await owner.rows("audit", f"user_id = 1 AND command = '{command}'")
        if json.loads(one["result"])["number"] == numbers["number"]
    ]
    return str(found[-1]["state_hash"])


async def test_the_hash_of_a_locked_trade_follows_from_its_rows(
    owner: Owner, ledger: Store
) -> None:
    for number, command in ((1, "add_fill"), (2, "open_trade"), (7, "close_trade")):
        expected = hash_of({"trade": await trade_hash(owner, number)})
        assert await state_of(owner, command, number=number) == expected, number


KNOWN_AT_ENTRY = """user_id number account_id mode currency ticker strategy stop_loss take_profit
    scanner_score ai_score delta gamma theta vega iv stop_order_id target_order_id source
    recorded_at"""


async def entry_hash(owner: Owner, number: int) -> str:
    """The second method, for a trade that is open: from its raw rows."""
    (row,) = await owner.rows("trades", f"{MINE} AND number = {number}")
    said = {name: text for name, text in plain(row, "trades").items()
            if name in KNOWN_AT_ENTRY.split()}  # fmt: skip
    conditions = await owner.rows("conditions", f"{MINE} AND trade_number = {number}")
    return hash_of({"entry": said, "conditions": [plain(one, "conditions") for one in conditions]})


async def test_the_hash_of_a_correction_covers_the_trade_and_the_reason(
    owner: Owner, ledger: Store
) -> None:
    corrected = {
        "trade": await trade_hash(owner, 11), "correction": await correction_hash(owner, 4)
    }  # fmt: skip
    voided = {
        "trade": await trade_hash(owner, 14), "correction": await correction_hash(owner, 14)
    }  # fmt: skip

    assert await state_of(owner, "correct_trade", number=11) == hash_of(corrected)
    assert await state_of(owner, "void_trade", number=14) == hash_of(voided)
    # The restatement is still open: the reason is fixed, and what was known at entry.
    reopened = {
        "trade": await entry_hash(owner, 13), "correction": await correction_hash(owner, 3)
    }  # fmt: skip
    assert await state_of(owner, "correct_trade", number=13) == hash_of(reopened)


async def test_the_hash_of_a_note_follows_from_its_row(owner: Owner, ledger: Store) -> None:
    (row,) = await owner.rows("notes", "user_id = 1 AND trade_number = 4")

    assert await state_of(owner, "add_note", number=4) == hash_of(
        {"note": hash_of(plain(row, "notes"))}
    )


# --- Each alteration is found, and named


OTHER = {"Moment": "'2020-01-01T00:00:00.000000Z'", "Day": "'2020-01-01'", "Text": "'changed'"}


def changed(table: str) -> list[tuple[str, str]]:
    """Every column of a table, with a value that no row has."""
    return [
        (column.name, OTHER.get(type(column.type).__name__, f"coalesce({column.name}, 0) + 700"))
        for column in Base.metadata.tables[table].columns
    ]


@pytest.mark.parametrize("number", [1, 4, 11, 12, 15])
async def test_any_column_of_a_locked_trade(owner: Owner, ledger: Store, number: int) -> None:
    """Closed, superseded, corrected twice, void, void while open."""
    for column, value in changed("trades"):
        wrong = await wrong_after(
            owner, ledger,
            f"UPDATE trades SET {column} = {value} WHERE user_id = 1 AND number = {number}",
        )  # fmt: skip
        assert re.search(rf"trade {number} |trades after", wrong or ""), (column, wrong)


@pytest.mark.parametrize("table", PARTS)
async def test_any_column_of_the_parts_of_a_locked_trade(
    owner: Owner, ledger: Store, table: str
) -> None:
    here = "user_id = 1 AND trade_number = 1"
    (first, *_) = await owner.rows(table, here)
    key = {column.name for column in Base.metadata.tables[table].primary_key}
    for name in key - {"user_id", "trade_number"}:
        value = f"'{first[name]}'" if not isinstance(first[name], int) else first[name]
        here += f" AND {name} = {value}"
    for column, value in changed(table):
        wrong = await wrong_after(
            owner, ledger, f"UPDATE {table} SET {column} = {value} WHERE {here}"
        )
        assert "trade 1 " in (wrong or ""), (column, wrong)
    wrong = await wrong_after(owner, ledger, f"DELETE FROM {table} WHERE {here}")
    assert "trade 1 " in (wrong or "")


# Of trade 1: at 12:00:00.25 at 101.5, and at 12:00:30 at 99; it had bought 100 for 100.
PACKED = "[[250,10150,null,150],[30000,9900,null,-100]]"
LOST, UNREADABLE = "trade 1 is not what audit entry", "a value of the trades 1 to 15 cannot be read"
PATHS = {
    "DELETE FROM paths WHERE {}": LOST,
    "UPDATE paths SET user_id = 2 WHERE {}": LOST,
    "UPDATE paths SET trade_number = 2 WHERE {}": LOST,
    "UPDATE paths SET begins_at = '2026-01-06T12:00:01.000000Z' WHERE {}": LOST,
    "UPDATE paths SET time_unit = 1 WHERE {}": LOST,
    "UPDATE paths SET price_unit = price_unit * 2 WHERE {}": LOST,
    "UPDATE paths SET money_unit = money_unit * 2 WHERE {}": LOST,
    "UPDATE paths SET packed = replace(packed, '10150', '10250') WHERE {}": LOST,
    "UPDATE paths SET packed = replace(packed, '250,', '251,') WHERE {}": LOST,
    "UPDATE paths SET packed = replace(packed, '-100', '100') WHERE {}": LOST,
    "UPDATE paths SET packed = replace(packed, 'null', '0') WHERE {}": LOST,
    "UPDATE paths SET packed = '[]' WHERE {}": LOST,
    "UPDATE paths SET packed = '[[250,10150,null,150]]' WHERE {}": LOST,
    "UPDATE paths SET packed = 'changed' WHERE {}": UNREADABLE,
    # A point beside the packed ones.
    "INSERT INTO snapshots SELECT user_id, 1, taken_at, mark_price, underlying_price,"
    " unrealised_pnl FROM snapshots WHERE user_id = 1 AND trade_number = 6": LOST,
}


@pytest.mark.parametrize("statement", PATHS)
async def test_any_change_of_a_packed_path(owner: Owner, ledger: Store, statement: str) -> None:
    (path,) = await owner.rows("paths", "user_id = 1 AND trade_number = 1")
    assert path["packed"] == PACKED

    wrong = await wrong_after(owner, ledger, statement.format("user_id = 1 AND trade_number = 1"))

    assert PATHS[statement] in (wrong or "")


@pytest.mark.parametrize("column", [name for name, _ in changed("audit")])
async def test_any_column_of_an_audit_entry(owner: Owner, ledger: Store, column: str) -> None:
    value = dict(changed("audit"))[column]
    for entry_number in (1, 9, ENTRIES):
        wrong = await wrong_after(
            owner, ledger,
            f"UPDATE audit SET {column} = {value} WHERE user_id = 1"
            f" AND entry_number = {entry_number}",
        )  # fmt: skip
        assert f"audit entry {entry_number} " in (wrong or ""), wrong


@pytest.mark.parametrize("number", [4, 3, 14])
async def test_any_column_of_a_correction(owner: Owner, ledger: Store, number: int) -> None:
    for column, value in changed("corrections"):
        wrong = await wrong_after(
            owner, ledger,
            f"UPDATE corrections SET {column} = {value} WHERE user_id = 1 AND number = {number}",
        )  # fmt: skip
        assert re.search(r"correction|trade \d+ is superseded", wrong or ""), (column, wrong)


async def test_any_column_of_a_note(owner: Owner, ledger: Store) -> None:
    for column, value in changed("notes"):
        wrong = await wrong_after(
            owner, ledger,
            f"UPDATE notes SET {column} = {value}"
            " WHERE user_id = 1 AND trade_number = 1 AND note_number = 2",
        )  # fmt: skip
        assert "note of trade 1 " in (wrong or ""), (column, wrong)


def copied(table: str, where: str, **said: str) -> str:
    """A row inserted that is another one but for what is `said`."""
    columns = [column.name for column in Base.metadata.tables[table].columns]
    values = ", ".join(said.get(name, name) for name in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE {where}"


MINE = "user_id = 1"
COUNT_BACK = (
    f"UPDATE users SET last_audit = {ENTRIES - 1}, audit_head = (SELECT entry_hash FROM audit"
    f" WHERE user_id = 1 AND entry_number = {ENTRIES - 1}) WHERE user_id = 1"
)
VOIDED_BEHIND = (
    copied("corrections", f"{MINE} AND number = 14", number="2"),
    f"UPDATE trades SET status = 'void' WHERE {MINE} AND number = 2",
)


@dataclass(frozen=True)
class Alteration:
    statements: tuple[str, ...]
    said: str


def by(said: str, *statements: str) -> Alteration:
    return Alteration(statements, said)


ALTERATIONS = {
    "a profit that its fills agree with": by(
        r"trade 3 is not what audit entry \d+ \(open_trade\) locked",
        f"UPDATE fills SET price = price + 100000000 WHERE {MINE} AND trade_number = 3",
        f"UPDATE trades SET gross_pnl = gross_pnl, entry_price = entry_price + 100000000,"
        f" exit_price = exit_price + 100000000 WHERE {MINE} AND number = 3",
    ),
    "a loss made smaller with its fills": by(
        "trade 3 is not what",
        f"UPDATE fills SET price = price - 10000000 WHERE {MINE} AND trade_number = 3"
        " AND side = 'buy'",
        f"UPDATE trades SET gross_pnl = gross_pnl + 10000000, net_pnl = net_pnl + 10000000"
        f" WHERE {MINE} AND number = 3",
    ),
    "a fill added to a closed trade": by(
        "trade 2 is not what",
        copied("fills", f"{MINE} AND trade_number = 2 AND fill_number = 1", fill_number="9"),
    ),
    "a closed trade deleted with its parts": by(
        "trade 9 is missing",
        f"DELETE FROM fills WHERE {MINE} AND trade_number = 9",
        f"DELETE FROM legs WHERE {MINE} AND trade_number = 9",
        f"DELETE FROM trades WHERE {MINE} AND number = 9",
    ),
    "the last trade deleted and the counter put back": by(
        "last_trade of the user is 14, by the audit it is 15",
        f"DELETE FROM corrections WHERE {MINE} AND number = 15",
        f"DELETE FROM fills WHERE {MINE} AND trade_number = 15",
        f"DELETE FROM legs WHERE {MINE} AND trade_number = 15",
        f"DELETE FROM trades WHERE {MINE} AND number = 15",
        f"UPDATE users SET last_trade = 14 WHERE {MINE}",
    ),
    "an open trade deleted": by(
        "trade 6 is missing", f"DELETE FROM trades WHERE {MINE} AND number = 6"
    ),
    "a trade inserted": by(
        "there are trades after 15",
        copied("trades", f"{MINE} AND number = 2", number="16"),
    ),
    "a closed trade inserted and counted": by(
        "last_trade of the user is 16, by the audit it is 15",
        copied("trades", f"{MINE} AND number = 2", number="16"),
        f"UPDATE users SET last_trade = 16 WHERE {MINE}",
    ),
    "an open trade inserted and counted": by(
        "last_trade of the user is 16",
        copied("trades", f"{MINE} AND number = 6", number="16"),
        f"UPDATE users SET last_trade = 16 WHERE {MINE}",
    ),
    "a closed trade opened by its status alone": by(
        "trade 2 is open, by the record it is closed",
        f"UPDATE trades SET status = 'open' WHERE {MINE} AND number = 2",
    ),
    "an open trade closed by its status alone": by(
        "trade 6 is closed, by the record it is open",
        f"UPDATE trades SET status = 'closed' WHERE {MINE} AND number = 6",
    ),
    "a loss voided without a correction": by(
        "trade 2 is void, by the record it is closed",
        f"UPDATE trades SET status = 'void' WHERE {MINE} AND number = 2",
    ),
    "a loss voided with a correction that nobody made": by(
        "the correction of trade 2 is on no record", *VOIDED_BEHIND
    ),
    "a correction deleted with the status put back": by(
        "the correction that made trade 11 is missing",
        f"DELETE FROM corrections WHERE {MINE} AND number = 4",
        f"UPDATE trades SET status = 'closed' WHERE {MINE} AND number = 4",
    ),
    "a void trade that counts again": by(
        "the correction that made trade 14 is missing",
        f"DELETE FROM corrections WHERE {MINE} AND number = 14",
        f"UPDATE trades SET status = 'closed' WHERE {MINE} AND number = 14",
    ),
    "a superseded trade that counts beside its restatement": by(
        "trade 4 is closed, by the record it is superseded",
        f"UPDATE trades SET status = 'closed' WHERE {MINE} AND number = 4",
    ),
    "an audit entry deleted in the middle": by(
        "audit entry 9 is missing", f"DELETE FROM audit WHERE {MINE} AND entry_number = 9"
    ),
    "the first audit entry deleted": by(
        "audit entry 1 is missing", f"DELETE FROM audit WHERE {MINE} AND entry_number = 1"
    ),
    "the last audit entry deleted": by(
        f"audit entry {ENTRIES} is missing",
        f"DELETE FROM audit WHERE {MINE} AND entry_number = {ENTRIES}",
    ),
    "an audit entry appended outside of the chain": by(
        f"there are audit entries after {ENTRIES}",
        copied("audit", f"{MINE} AND entry_number = 9", entry_number=str(ENTRIES + 1)),
    ),
    "the audit cut off in the middle with its counters put back": by(
        "by the audit it is",
        f"DELETE FROM audit WHERE {MINE} AND entry_number > 20",
        "UPDATE users SET last_audit = 20, audit_head = (SELECT entry_hash FROM audit"
        " WHERE user_id = 1 AND entry_number = 20) WHERE user_id = 1",
    ),
    "the audit cut off before a trade was closed": by(
        "by the audit it is",
        f"DELETE FROM audit WHERE {MINE} AND entry_number > 11",
        "UPDATE users SET last_audit = 11, audit_head = (SELECT entry_hash FROM audit"
        " WHERE user_id = 1 AND entry_number = 11) WHERE user_id = 1",
    ),
    "a note deleted": by(
        "a note of trade 1 is missing", f"DELETE FROM notes WHERE {MINE} AND note_number = 2"
    ),
    "all notes of a trade deleted": by(
        "a note of trade 1 is missing", f"DELETE FROM notes WHERE {MINE} AND trade_number = 1"
    ),
    "a note added": by(
        "a note of trade 1 is on no record",
        copied("notes", f"{MINE} AND note_number = 2", note_number="3"),
    ),
    "a note added where there was none": by(
        "a note of trade 2 is on no record",
        copied("notes", f"{MINE} AND note_number = 2", trade_number="2"),
    ),
    "the account deleted": by("account 1 is missing", f"DELETE FROM accounts WHERE {MINE}"),
    "an account added": by(
        "there are accounts after 1",
        copied("accounts", MINE, account_id="2", name_key="'theirs'"),
    ),
    "an account added and counted": by(
        "last_account of the user is 2, by the audit it is 1",
        copied("accounts", MINE, account_id="2", name_key="'theirs'"),
        f"UPDATE users SET last_account = 2 WHERE {MINE}",
    ),
    "another tier": by("tier of the user is free", f"UPDATE users SET tier = 'free' WHERE {MINE}"),
    "another head": by("is not the head", f"UPDATE users SET audit_head = 'x' WHERE {MINE}"),
    **{
        f"{counter} {step}": by(said, f"UPDATE users SET {counter} = {counter} {step} WHERE {MINE}")
        for step in ("+ 1", "- 1")
        for counter, said in (
            ("last_trade", "last_trade of the user is"),
            ("last_account", "last_account of the user is"),
            ("ledger_version", "ledger_version of the user is"),
            ("last_audit", "audit entr"),
        )
    },
}


@pytest.mark.parametrize("name", ALTERATIONS)
async def test_what_an_owner_altered_is_found(owner: Owner, ledger: Store, name: str) -> None:
    altered = ALTERATIONS[name]

    wrong = await wrong_after(owner, ledger, *altered.statements)

    assert re.search(altered.said, wrong or ""), wrong
    assert (await verify_user(ledger, 1)).wrong is None


@pytest.mark.parametrize(
    ("table", "column", "said"),
    [
        ("trades", "opened_at", "a value of the trades 1 to 15 cannot be read"),
        ("fills", "filled_at", "a value of the trades 1 to 15 cannot be read"),
        ("trades", "opened_on", "a value of the trades 1 to 15 cannot be read"),
        ("audit", "made_at", f"a value of the audit entries 1 to {ENTRIES} cannot be read"),
        ("notes", "written_at", "a value of the notes of trades 1 to 15 cannot be read"),
        ("corrections", "made_at", "a value of the corrections cannot be read"),
        ("users", "created_at", "a value of the user cannot be read"),
    ],
)
async def test_a_value_that_no_program_of_ours_wrote_is_named_not_a_crash(
    owner: Owner, ledger: Store, table: str, column: str, said: str
) -> None:
    if not owner.sqlite:
        pytest.skip("PostgreSQL takes no moment that is none")
    assert await wrong_after(owner, ledger, f"UPDATE {table} SET {column} = 'soon'") == said


async def test_an_open_trade_may_grow(owner: Owner, ledger: Store) -> None:
    wrong = await wrong_after(
        owner, ledger,
        f"UPDATE trades SET quantity = 1 WHERE {MINE} AND number IN (6, 13)",
        f"UPDATE fills SET price = 1 WHERE {MINE} AND trade_number = 6",
        f"DELETE FROM snapshots WHERE {MINE} AND trade_number = 6",
    )  # fmt: skip

    assert wrong is None


OPEN_ONES = {
    6: "trade 6 began with a fill through zero, and more is said of its entry",
    13: "trade 13 or its correction is not what audit entry 26 (correct_trade) locked",
    16: "trade 16 is not what audit entry 39 (open_trade) locked",
}


@pytest.mark.parametrize("number", OPEN_ONES)
@pytest.mark.parametrize("statement", [
    "UPDATE trades SET scanner_score = 9500000000 WHERE user_id = 1 AND number = {}",
    "UPDATE trades SET stop_loss = 1 WHERE user_id = 1 AND number = {}",
    "INSERT INTO conditions VALUES (1, {}, 'regime', 'hindsight', NULL)",
])  # fmt: skip
async def test_what_was_known_at_entry_may_not_change_though_the_trade_is_open(
    owner: Owner, ledger: Store, statement: str, number: int
) -> None:
    await record(ledger, "2026-01-07 AAPL open condition vix=18.5 scanner 70")  # 16

    wrong = await wrong_after(owner, ledger, statement.format(number))

    assert wrong == OPEN_ONES[number]


async def test_what_is_wrong_with_another_user_is_not_mine(owner: Owner, ledger: Store) -> None:
    await owner.say("UPDATE trades SET net_pnl = 5 WHERE user_id = 2 AND number = 1")

    assert (await verify_user(ledger, 1)).wrong is None
    assert "trade 1 is not what" in str((await verify_user(ledger, 2)).wrong)


# --- A chain that was written anew from end to end, and one from before hashes were taken


async def rewrite(owner: Owner, states: dict[int, str | None]) -> None:
    """Chain all entries of user 1 anew, with other state hashes by entry number."""
    previous, statements = "0" * 64, []
    for row in await owner.rows("audit", MINE):
        row |= {"previous_hash": previous}
        row["state_hash"] = states.get(row["entry_number"], row["state_hash"])
        made = {name: value for name, value in row.items() if name != "entry_hash"}
        previous = hash_of(chained(made))
        state = "NULL" if row["state_hash"] is None else f"'{row['state_hash']}'"
        statements.append(
            f"UPDATE audit SET previous_hash = '{row['previous_hash']}', state_hash = {state},"
            f" entry_hash = '{previous}' WHERE {MINE} AND entry_number = {row['entry_number']}"
        )
    await owner.say(*statements, f"UPDATE users SET audit_head = '{previous}' WHERE {MINE}")


def chained(row: dict[str, Any]) -> dict[str, Any]:
    """An audit entry as it is hashed: its numbers stay numbers."""
    said = plain(row, "audit")
    return said | {name: row[name] for name in ("user_id", "entry_number")}


async def test_a_chain_that_is_written_anew_is_found_by_its_head_and_only_so(
    owner: Owner, ledger: Store
) -> None:
    head = (await verify_user(ledger, 1)).head
    await owner.say(f"UPDATE trades SET ticker = 'ZZZ' WHERE {MINE} AND number = 2")
    await rewrite(owner, {4: hash_of({"trade": await trade_hash(owner, 2)})})

    assert (await verify_user(ledger, 1)).wrong is None
    assert head is not None
    found = await verify_user(ledger, 1, expected=head)
    assert found.wrong == f"the chain does not contain the entry {head}"


async def test_a_head_that_was_kept_stays_in_a_chain_that_grows(ledger: Store) -> None:
    kept = (await verify_user(ledger, 1)).head
    await record(ledger, "2026-01-07 AAPL +1")

    found = await verify_user(ledger, 1, expected=kept)

    assert found.wrong is None
    assert kept == Head(ENTRIES, kept.hash if kept else "")
    assert found.head != kept
    assert (await verify_user(ledger, 1, expected=Head(0, "0" * 64))).wrong is None


BEFORE_HASHES = {
    "a profit its fills do not come to": by(
        "trade 9 has gross_pnl",
        f"UPDATE trades SET gross_pnl = gross_pnl + 5, net_pnl = net_pnl + 5 WHERE {MINE}"
        " AND number = 9",
    ),
    "a fee": by(
        "trade 9 has fees",
        f"UPDATE fills SET fee = fee + 5 WHERE {MINE} AND trade_number = 9 AND fill_number = 1",
    ),
    "a leg that is gone": by(
        "a leg of trade 9 is missing", f"DELETE FROM legs WHERE {MINE} AND trade_number = 9"
    ),
    "a correction that is gone": by(
        "the correction that made trade 14 is missing",
        f"DELETE FROM corrections WHERE {MINE} AND number = 14",
        f"UPDATE trades SET status = 'closed' WHERE {MINE} AND number = 14",
    ),
}


@pytest.mark.parametrize("name", BEFORE_HASHES)
async def test_entries_without_a_state_hash_verify_and_say_what_can_still_be_said(
    owner: Owner, ledger: Store, name: str
) -> None:
    await rewrite(owner, dict.fromkeys(range(1, ENTRIES + 1)))
    assert (await verify_user(ledger, 1)).wrong is None

    await owner.say(*BEFORE_HASHES[name].statements)

    assert BEFORE_HASHES[name].said in str((await verify_user(ledger, 1)).wrong)


# --- From the command line


async def trade_history(*arguments: str) -> Result:
    """The command runs a loop of its own."""
    result = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)


@pytest.mark.usefixtures("environment")
async def test_the_command_says_that_all_is_well_and_gives_the_head(ledger: Store) -> None:
    head = (await verify_user(ledger, 1)).head
    result = await trade_history("verify")

    async with ledger.read() as session:
        still_open = await session.scalar(
            text("SELECT count(*) FROM trades WHERE user_id = 1 AND status = 'open'")
        )
    assert still_open
    assert result.exit_code == 0
    assert result.stdout == (
        f"User 1: {ENTRIES} entries and {TRADES - still_open} trades are as they were recorded;"
        f" {still_open} more are open; head {head}\n"
    )
    assert (await trade_history("verify", "--expect", str(head))).exit_code == 0


@pytest.mark.usefixtures("environment")
async def test_the_command_names_what_is_wrong_and_exits_with_6(
    ledger: Store, database_url: str
) -> None:
    await alter(database_url, "UPDATE trades SET ticker = 'X' WHERE user_id = 2 AND number = 1")

    mine, both = await trade_history("verify"), await trade_history("verify", "--all")

    assert mine.exit_code == 0
    assert both.exit_code == 6
    assert f"User 1: {ENTRIES} entries" in both.stdout
    assert "WRONG: of user 2, trade 1 is not what audit entry 3 (open_trade) locked" in both.stdout
    told = json.loads((await trade_history("verify", "--all", "--json")).stdout)
    assert told["wrong"].startswith("n of ticker ")  # The sums of all users know it, too.
    assert [(one["user"], one["wrong"] is None) for one in told["users"]] == [(1, True), (2, False)]
    assert (told["users"][0]["entries"], told["users"][0]["trades"]) == (ENTRIES, TRADES)


@pytest.mark.usefixtures("environment")
async def test_the_command_names_a_lock_that_is_gone(ledger: Store, dialect: str) -> None:
    drop = "DROP TRIGGER fills_delete" if dialect == "sqlite" else "DROP TRIGGER guard ON fills"
    async with connected(ledger.settings) as connection:
        await say(connection, [drop])

    result = await trade_history("verify")

    assert result.exit_code == 6
    assert "WRONG: a lock or wall is missing or changed: trigger CREATE TRIGGER" in result.stdout


@pytest.mark.usefixtures("environment")
async def test_a_head_that_is_not_in_the_chain_is_wrong(ledger: Store) -> None:
    result = await trade_history("verify", "--expect", f"3:{'a' * 64}")

    assert result.exit_code == 6
    assert f"the chain does not contain the entry 3:{'a' * 64}" in result.stdout


@pytest.mark.usefixtures("environment", "ledger")
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--user", "99"), 3),
        (("--all", "--user", "1"), 2),
        (("--all", "--expect", f"1:{'a' * 64}"), 2),
        (("--expect", "1"), 2),
    ],
)
async def test_what_cannot_be_verified_is_refused(arguments: tuple[str, ...], code: int) -> None:
    result = await trade_history("verify", *arguments)

    assert result.exit_code == code
    assert "Traceback" not in result.output


async def test_what_was_recorded_before_users_and_accounts_were_on_the_record_is_right(
    store: Store,
) -> None:
    """Then an account raised the ledger version and nothing told of it."""
    async with store.write(7) as session:
        for statement in (
            "INSERT INTO users (user_id, name, created_at, last_account, last_trade, last_audit,"
            " ledger_version, tier) VALUES (7, 'seven', {at}, 1, 0, 0, 1, 'pro')",
            "INSERT INTO accounts (user_id, account_id, name, name_key, mode, currency, zone,"
            " tolerance, created_at)"
            " VALUES (7, 1, 'main', 'main', 'paper', 'USD', 'America/New_York', 0, {at})",
        ):
            await session.execute(text(statement.format(at="'2026-01-01T00:00:00.000000Z'")))
    await record(store, "2026-01-05 AAPL +10", user_id=7)

    found = await verify_user(store, 7)

    assert (found.wrong, found.entries, found.trades) == (None, 1, 1)


@pytest.mark.usefixtures("environment", "store")
async def test_the_record_of_nobody_is_not_found() -> None:
    assert (await trade_history("audit", "--user", "99")).exit_code == 3


CONTENT = {
    "UPDATE accounts SET name = 'other'": "account 1 is not what was made",
    "UPDATE accounts SET tolerance = 5000000": "account 1 is not what was made",
    "UPDATE accounts SET zone = 'Nowhere/Else'": "account 1 is none that could be made",
    "UPDATE api_tokens SET scopes = 'admin trades:read'": "token 1 is not what was made",
    "UPDATE api_tokens SET expires_at = NULL": "token 2 is not what was made",
    "UPDATE api_tokens SET revoked_at = NULL": "token 1 is not revoked as the audit tells",
    f"UPDATE api_tokens SET secret_hash = '{'a' * 64}'": "token 1 is not what was made",
    "DELETE FROM api_tokens": "token 1 is missing",
    "UPDATE requests SET result = '{}'": "a caller's key is kept of a command that was never",
}


@pytest.mark.parametrize("statement", CONTENT)
async def test_accounts_tokens_and_keys_are_what_the_audit_tells_of(
    statement: str, store: Store, database_url: str
) -> None:
    await record(store, "2026-01-05 AAPL +10")
    later = datetime(2100, 1, 1, tzinfo=UTC)
    async with store.write() as session:
        await create_token(session, "laptop", expires_at=later)
        await revoke_token(session, 1)
        await add_note(session, 1, "a note", key="one")
    assert (await verify_user(store, 1)).wrong is None

    await alter(database_url, statement)

    assert CONTENT[statement] in str((await verify_user(store, 1)).wrong)
