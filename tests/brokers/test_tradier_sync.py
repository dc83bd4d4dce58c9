"""A Tradier account in the ledger: day after day, cut off in the middle, and once more.

Amounts are worked out by hand beside them.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from store.brokers.tradier.client import Tradier
from store.brokers.tradier.comparing import Difference
from store.brokers.tradier.syncing import Synced, mark_account, sync_account
from store.brokers.tradier.watching import Round, rounds
from store.database import Store
from store.errors import StoreError
from store.models import Snapshot, Trade
from store.recording import add_fill
from store.records import FillEntry
from store.verifying import verify_user
from tests.brokers.tradier_fake import TOKEN, Book, FakeTradier, Reply, serving
from tests.server.running import environment, trade_history

CALL, PUT = "AAPL270115C00250000", "AAPL270115P00200000"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTradier]:
    with serving() as fake:
        fake.accounts["VA1"] = Book()
        monkeypatch.setenv("TRADE_HISTORY_TRADIER_URL", fake.url)
        yield fake


def order(id: int, side: str, quantity: float, price: float, at: str, **more: Any) -> Any:
    return {
        "id": id, "type": "limit", "symbol": "AAPL", "side": side, "quantity": quantity,
        "status": "filled", "duration": "day", "price": price, "avg_fill_price": price,
        "exec_quantity": quantity, "last_fill_price": price, "last_fill_quantity": quantity,
        "remaining_quantity": 0.0, "create_date": f"{at}:00.000Z",
        "transaction_date": f"{at}:01.000Z", "class": "equity", **more,
    }  # fmt: skip


def event(day: str, amount: float, quantity: float, price: float, symbol: str = "AAPL") -> Any:
    trade = {
        "commission": 0.0, "description": "X", "price": price, "quantity": quantity,
        "symbol": symbol, "trade_type": "Equity",
    }  # fmt: skip
    return {"amount": amount, "date": f"{day}T00:00:00Z", "type": "trade", "trade": trade}


def position(symbol: str, quantity: float) -> Any:
    return {
        "cost_basis": 1.0, "date_acquired": "2026-01-05T15:00:00.000Z", "id": 1,
        "quantity": quantity, "symbol": symbol,
    }  # fmt: skip


def gain(symbol: str, amount: float, day: str) -> Any:
    return {
        "close_date": f"{day}T00:00:00.000Z", "cost": 1.0, "gain_loss": amount,
        "gain_loss_percent": 1.0, "open_date": "2026-01-05T00:00:00.000Z", "proceeds": 1.0,
        "quantity": 1.0, "symbol": symbol, "term": 1,
    }  # fmt: skip


def book(**said: list[Any]) -> Book:
    return Book(**{name: json.dumps(rows) for name, rows in said.items()})


@asynccontextmanager
async def connected() -> AsyncIterator[Tradier]:
    async with Tradier.connect(SecretStr(TOKEN), "live", pause_seconds=0.01) as tradier:
        yield tradier


async def synced(store: Store, since: date | None = None) -> Synced:
    async with connected() as tradier:
        return await sync_account(store, tradier, "live", "VA1", since=since)


async def ledger(store: Store) -> list[tuple[Any, ...]]:
    """The trades that count, by number."""
    async with store.read() as session:
        rows = await session.execute(
            select(
                Trade.status, Trade.ticker, Trade.structure, Trade.quantity, Trade.gross_pnl,
                Trade.fees, Trade.net_pnl,
            )
            .where(Trade.status.in_(["open", "closed"]))
            .order_by(Trade.number)
        )  # fmt: skip
        return [tuple(row) for row in rows]


BOUGHT = order(1, "buy", 100, 10.0, "2026-01-05T15:30")
SOLD = order(2, "sell", 100, 12.0, "2026-01-06T15:30")
DAY_1 = book(orders=[BOUGHT], positions=[position("AAPL", 100)])
DAY_2 = book(orders=[SOLD], history=[event("2026-01-05", -1000.50, 100, 10.0)])
DAY_3 = book(
    history=[event("2026-01-06", 1199.25, -100, 12.0), event("2026-01-05", -1000.50, 100, 10.0)],
    gain_loss=[gain("AAPL", 198.75, "2026-01-06")],
)


async def test_a_trade_from_order_to_posted_costs(store: Store, fake: FakeTradier) -> None:
    """100 x (12 - 10) = 200; it cost 0.50 to buy and 0.75 to sell, posted a night later."""
    fake.accounts["VA1"] = DAY_1
    first = await synced(store)
    opened = await ledger(store)
    fake.accounts["VA1"] = DAY_2
    second = await synced(store)
    closed = await ledger(store)
    fake.accounts["VA1"] = DAY_3
    third = await synced(store)

    assert (first.result.recorded, first.unposted, first.positions) == (1, 1, ())
    assert opened == [("open", "AAPL", "single", 100, None, None, None)]
    assert (second.result.extended, second.unposted, second.restated) == (1, 1, ())
    assert closed == [("closed", "AAPL", "single", 100, 200, 0, 200)]
    assert (third.unposted, len(third.restated), third.gains) == (0, 1, ())
    assert await ledger(store) == [
        ("closed", "AAPL", "single", 100, 200, Decimal("1.25"), Decimal("198.75"))
    ]
    assert (await verify_user(store, 1)).wrong is None


async def test_a_second_run_changes_nothing(store: Store, fake: FakeTradier) -> None:
    for day in (DAY_1, DAY_2, DAY_3):
        fake.accounts["VA1"] = day
        await synced(store)
    before, head = await ledger(store), (await verify_user(store, 1)).head

    again = await synced(store)

    assert (again.result.new, again.result.recorded, again.restated) == (0, 0, ())
    assert (await ledger(store), (await verify_user(store, 1)).head) == (before, head)


@pytest.mark.parametrize("failing", range(4))
async def test_a_run_that_breaks_off_is_made_good_by_the_next(
    store: Store, fake: FakeTradier, failing: int
) -> None:
    """Whichever of the four questions of a run is not answered."""
    for day in (DAY_1, DAY_2, DAY_3):
        fake.accounts["VA1"] = day
        fake.asked.clear()
        fake.in_turn = []
        original = FakeTradier.answer

        def cut(self: FakeTradier, target: str, token: str, answer: Any = original) -> Reply:
            if len(self.asked) == failing:
                self.asked.append(target)
                return Reply(401)
            reply: Reply = answer(self, target, token)
            return reply

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(FakeTradier, "answer", cut)
            with pytest.raises(StoreError):
                await synced(store)
        await synced(store)

    assert [row[-1] for row in await ledger(store)] == [Decimal("198.75")]
    assert (await verify_user(store, 1)).wrong is None


async def test_the_whole_history_the_first_time(store: Store, fake: FakeTradier) -> None:
    """A call bought for 129.05 that expired, shares bought for 13.05 and sold for 10.06, a
    dividend; a put sold for 99.95 is open."""
    expired = {
        "amount": 0, "date": "2018-06-22T00:00:00Z", "type": "option",
        "symbol": "GE180622C00014000",
        "option": {"option_type": "OPTEXP", "description": "Expired", "quantity": -1.0},
    }  # fmt: skip
    dividend = {
        "amount": 0.12, "date": "2018-10-25T00:00:00Z", "type": "dividend",
        "adjustment": {"description": "GENERAL ELECTRIC COMPANY", "quantity": 0.0},
    }  # fmt: skip
    fake.accounts["VA1"] = book(
        history=[
            event("2018-10-31", 10.06, -1, 10.06, "GE"), dividend, expired,
            event("2018-06-19", -13.05, 1, 13.05, "GE"),
            event("2018-05-23", -129.05, 1, 1.29, "GE180622C00014000"),
            event("2018-05-23", 99.95, -1, 1.0, PUT),
        ],
        gain_loss=[
            gain("GE", -2.99, "2018-10-31"), gain("GE180622C00014000", -129.05, "2018-06-22"),
        ],
        positions=[position(PUT, -1)],
    )  # fmt: skip

    done = await synced(store)

    closed = sorted(row[-1] for row in await ledger(store) if row[0] == "closed")
    assert closed == [Decimal("-129.05"), Decimal("-2.99")]
    assert done.result.other_cash == {"dividend": Decimal("0.12")}
    assert (done.since, done.unposted, done.positions, done.gains) == (None, 0, (), ())
    assert (done.result.recorded, done.result.left_open, done.rejected) == (3, 1, ())


def spread(at: str = "2026-01-05T15:30") -> Any:
    """A call bought at 3 and one 10 above sold at 1, twice: 2 of a unit."""
    return {
        **order(10, "buy", 2, 2.0, at), "class": "multileg", "num_legs": 2, "strategy": "spread",
        "leg": [
            order(11, "buy_to_open", 2, 3.0, at, option_symbol=CALL, **{"class": "option"}),
            order(12, "sell_to_open", 2, 1.0, at, option_symbol="AAPL270115C00260000",
                  **{"class": "option"}),
        ],
    }  # fmt: skip


async def test_a_spread_is_one_trade(store: Store, fake: FakeTradier) -> None:
    fake.accounts["VA1"] = book(
        orders=[spread()],
        positions=[position(CALL, 2), position("AAPL270115C00260000", -2)],
    )

    done = await synced(store)

    ((status, ticker, structure, quantity, *_),) = await ledger(store)
    assert (status, ticker, structure, quantity) == ("open", "AAPL", "vertical", 2)
    assert done.positions == ()


async def test_the_orders_that_wait_to_end_a_trade_are_known_with_it(
    store: Store, fake: FakeTradier
) -> None:
    """A bracket: 21 buys, 22 takes profit at 12, 23 stops out at 9."""
    waiting = {"status": "open", "exec_quantity": 0.0, "avg_fill_price": 0.0}
    bracket = {
        "id": 20, "class": "otoco", "num_legs": 3,
        "leg": [
            order(21, "buy", 100, 10.0, "2026-01-05T15:30"),
            order(22, "sell", 100, 12.0, "2026-01-05T15:30", **waiting),
            order(23, "sell", 100, 9.0, "2026-01-05T15:30", **{**waiting, "type": "stop"}),
        ],
    }  # fmt: skip
    fake.accounts["VA1"] = book(orders=[bracket], positions=[position("AAPL", 100)])
    done = await synced(store)
    again = await synced(store)

    async with store.read() as session:
        rows = await session.execute(
            select(Trade.broker_order_id, Trade.stop_order_id, Trade.target_order_id)
        )
        assert [tuple(row) for row in rows] == [("21", "23", "22")]
    assert done.ignored == {"orders that were not filled": 2}
    assert again.result.recorded == 0
    assert (await verify_user(store, 1)).wrong is None


async def test_differences_are_told(store: Store, fake: FakeTradier) -> None:
    """Tradier holds 90 and MSFT, the ledger 100; it says 198.70 where the ledger has 198.75."""
    fake.accounts["VA1"] = DAY_1
    await synced(store)
    fake.accounts["VA1"] = book(positions=[position("AAPL", 90), position("MSFT", 5)])
    held = (await synced(store)).positions
    fake.accounts["VA1"] = DAY_2
    await synced(store)
    fake.accounts["VA1"] = Book(DAY_3.orders, DAY_3.history)
    fake.accounts["VA1"].gain_loss = json.dumps([gain("AAPL", 198.70, "2026-01-06")])
    gains = (await synced(store)).gains

    assert held == (
        Difference("AAPL", Decimal(100), Decimal(90)), Difference("MSFT", Decimal(0), Decimal(5)),
    )  # fmt: skip
    assert gains == (Difference("AAPL", Decimal("198.75"), Decimal("198.70")),)


async def test_rows_that_are_not_understood_are_told_and_stop_nothing(
    store: Store, fake: FakeTradier
) -> None:
    nameless = {
        "amount": 0, "date": "2026-01-05T00:00:00Z", "type": "option",
        "option": {"option_type": "OPTEXP", "description": "Expired", "quantity": -1.0},
    }  # fmt: skip
    fake.accounts["VA1"] = book(orders=[BOUGHT], history=[nameless], positions=[position("?", 1)])

    done = await synced(store)

    assert [(one.file, one.column) for one in done.rejected] == [
        ("history", "symbol"), ("positions", "symbol"),
    ]  # fmt: skip
    assert len(await ledger(store)) == 1


async def test_a_trade_recorded_by_hand_is_not_recorded_again(
    store: Store, fake: FakeTradier
) -> None:
    """What a user added to a synced trade stands, and a run does not undo it."""
    fake.accounts["VA1"] = DAY_1
    await synced(store)
    sold = {
        "side": "sell", "quantity": 100, "price": 12, "filled_at": "2026-01-06T15:30:01Z",
    }  # fmt: skip
    async with store.write() as session:
        await add_fill(session, 1, 1, FillEntry.model_validate(sold))
    fake.accounts["VA1"] = DAY_2
    await synced(store)

    assert [row[0] for row in await ledger(store)] == ["closed"]


# Marks.


QUOTES = [
    {"symbol": CALL, "bid": 3.4, "ask": 3.6, "last": 9.0, "type": "option"},
    {"symbol": "AAPL270115C00260000", "bid": 0, "ask": 0, "last": 1.1, "type": "option"},
    {"symbol": "AAPL", "bid": 249.9, "ask": 250.1, "last": 200.0, "type": "stock"},
]


async def marks(store: Store) -> list[tuple[Any, ...]]:
    async with store.read() as session:
        rows = await session.execute(
            select(
                Snapshot.trade_number, Snapshot.mark_price, Snapshot.underlying_price,
                Snapshot.unrealised_pnl,
            ).order_by(Snapshot.trade_number, Snapshot.taken_at)
        )  # fmt: skip
        return [tuple(row) for row in rows]


async def test_open_trades_are_marked_at_the_middle(store: Store, fake: FakeTradier) -> None:
    """A unit of the spread cost 2. It is worth 3.5 (between 3.4 and 3.6) less 1.1 (nobody bids:
    the last), so 2.4: 2 x 100 x 0.4 = 80 ahead."""
    fake.accounts["VA1"] = book(
        orders=[spread()],
        positions=[position(CALL, 2), position("AAPL270115C00260000", -2)],
    )
    fake.quotes = json.dumps(QUOTES)
    done = await synced(store)
    async with connected() as tradier:
        marked = await mark_account(store, tradier, done)
        fake.quotes = json.dumps(QUOTES[:1])
        half = await mark_account(store, tradier, done)

    assert (marked, half) == (1, 0)
    assert await marks(store) == [(1, Decimal("2.4"), 250, 80)]


async def watched(store: Store, count: int, pauses: list[float]) -> list[Round]:
    async def no_pause(seconds: float) -> None:
        pauses.append(seconds)

    found: list[Round] = []
    async with connected() as tradier:
        async for one in rounds(
            store, tradier, "live", every_seconds=60, account="VA1", pause=no_pause
        ):
            found.append(one)
            if len(found) == count:
                break
    return found


async def test_marks_are_taken_while_the_market_is_open(store: Store, fake: FakeTradier) -> None:
    fake.accounts["VA1"] = DAY_1
    fake.quotes = json.dumps(QUOTES)
    fake.clock = '{"state": "postmarket"}'
    (shut,) = await watched(store, 1, [])
    fake.clock = '{"state": "open"}'
    first, second = await watched(store, 2, [])

    assert (shut.marked, first.marked, second.marked) == (0, 1, 1)
    assert [mark[1:] for mark in await marks(store)] == [(250, 250, 24_000)] * 2


async def test_a_network_that_is_away_is_waited_for(store: Store, fake: FakeTradier) -> None:
    """Twice as long each time; after a round that works as long as is said again."""
    fake.accounts["VA1"] = DAY_1
    fake.in_turn = [Reply(None)] * 8  # A question is asked four times.
    pauses: list[float] = []

    away, still, back, after = await watched(store, 4, pauses)

    assert away.problem is not None
    assert "Tradier cannot be reached" in away.problem
    assert (still.problem is None, back.problem, after.problem) == (False, None, None)
    assert [one.next_seconds for one in (away, still, back, after)] == [120, 240, 60, 60]
    assert pauses == [120, 240, 60]


# From the command line.


@pytest.fixture
async def connection(
    store: Store, database_url: str, tmp_path: Path, fake: FakeTradier,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """A data folder whose keys open the connection's token."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("TRADE_HISTORY_DATA_DIR", str(folder))
    code, _, errors = await trade_history(
        database_url, folder, "connections", "set", "tradier", typed=f"{TOKEN}\n",
        TRADE_HISTORY_DATA_DIR=str(folder),
    )  # fmt: skip
    assert code == 0, errors
    return folder


async def says(folder: Path, url: str, fake: FakeTradier, *words: str) -> tuple[Any, str, str]:
    return await trade_history(
        url, folder, "sync", "tradier", *words,
        TRADE_HISTORY_DATA_DIR=str(folder), TRADE_HISTORY_TRADIER_URL=fake.url,
    )  # fmt: skip


async def test_an_account_is_synced_from_the_command_line(
    store: Store, database_url: str, connection: Path, fake: FakeTradier
) -> None:
    fake.accounts["VA1"] = book(orders=[BOUGHT], positions=[position("AAPL", 90)])

    first = await says(connection, database_url, fake)
    second = await says(connection, database_url, fake, "--json")
    unknown = await says(connection, database_url, fake, "--account", "VA9")
    nobody = await says(connection, database_url, fake, "--environment", "sandbox")
    fake.in_turn = [Reply(401)]
    refused = await says(connection, database_url, fake)

    assert first[:2] == (
        0,
        "Tradier VA1: the whole history: 1 executions are new; 1 trades recorded, 0 extended,"
        " 0 restated, 1 are open.\n"
        "  not posted  1 orders count without fees until Tradier posts them\n"
        "  position    AAPL: 100 in the ledger, 90 at Tradier\n",
    )
    (account,) = json.loads(second[1])
    assert (account["new"], account["positions"]) == (
        0, [{"instrument": "AAPL", "ledger": "100", "tradier": "90"}],
    )  # fmt: skip
    assert (unknown[0], nobody[0], refused[0]) == (3, 3, 2)
    assert "No account 'VA9' at Tradier. Its accounts: VA1." in unknown[2]
    assert "No connection to tradier (sandbox)" in nobody[2]
    assert "Tradier refuses the token (401)" in refused[2]
    for _, output, errors in (first, second, unknown, nobody, refused):
        assert TOKEN not in output + errors
        assert "Traceback" not in errors


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
async def test_a_watch_that_is_stopped_or_killed_leaves_a_whole_ledger(
    store: Store, database_url: str, connection: Path, fake: FakeTradier, stop: signal.Signals
) -> None:
    fake.accounts["VA1"] = DAY_1
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "store", "sync", "tradier", "--watch",
        env=environment(
            database_url, TRADE_HISTORY_DATA_DIR=str(connection),
            TRADE_HISTORY_TRADIER_URL=fake.url,
        ),
        cwd=connection, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = await process.stdout.readline()
    process.send_signal(stop)
    output, errors = await process.communicate()
    fake.accounts["VA1"] = DAY_2
    await synced(store)

    assert b"1 trades recorded" in line
    assert process.returncode == (-stop if stop == signal.SIGKILL else 0)
    assert b"Traceback" not in errors
    assert TOKEN.encode() not in line + output + errors
    assert [row[0] for row in await ledger(store)] == ["closed"]
    assert (await verify_user(store, 1)).wrong is None


async def test_a_history_file_and_the_network_say_the_same(
    store: Store, database_url: str, fake: FakeTradier, tmp_path: Path
) -> None:
    """What was imported from a file is not recorded again."""
    events = [
        event("2026-01-06", 1199.25, -100, 12.0), event("2026-01-05", -1000.50, 100, 10.0),
        event("2026-01-05", -1000.50, 100, 10.0),
    ]  # fmt: skip
    file = tmp_path / "history.json"
    file.write_text(json.dumps({"history": {"event": events}}))
    code, _, errors = await trade_history(
        database_url, tmp_path, "import", str(file), "--account", "Tradier VA1", "--mode", "live"
    )
    fake.accounts["VA1"] = book(history=events, positions=[position("AAPL", 100)])

    done = await synced(store)

    assert (code, errors) == (0, "")
    assert (done.result.executions, done.result.new, done.positions) == (3, 0, ())
