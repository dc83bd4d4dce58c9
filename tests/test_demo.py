"""The demo ledger: the same everywhere, plausible, with one real edge and a tempting false one.

Counts are made here from the recorded fills, by cash paid and received, not by our queries.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase

from store.database import Store
from store.demo import record_demo
from store.evidence.book import Book
from store.evidence.conditions import judge
from store.evidence.verdicts import CLAIMS, Verdict
from store.models import (
    Account,
    Condition,
    Correction,
    Fill,
    Leg,
    Note,
    Point,
    Trade,
    User,
)
from store.schema import prepare
from tests.conftest import NUMBERS, settings_for
from tests.postgres_server import Server

# The demo is recorded twice by the first test, some 1,300 commands each.
pytestmark = pytest.mark.timeout(300)

TABLES = (Account, Trade, Leg, Fill, Condition, Point, Note, Correction)
CLOCK = {"created_at", "recorded_at", "written_at", "made_at"}  # When it was recorded.
NEW_YORK = ZoneInfo("America/New_York")
TOLERANCE = 10
Row = dict[str, Any]
Rows = dict[str, list[Row]]


@asynccontextmanager
async def recorded(url: str) -> AsyncIterator[Store]:
    store = Store(settings_for(url))
    try:
        await prepare(store)
        await record_demo(store)
        yield store
    finally:
        await store.close()


@pytest.fixture(scope="module")
async def sqlite_ledger(
    sqlite_template: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Store]:
    path = tmp_path_factory.mktemp("demo") / "trades.db"
    shutil.copy(sqlite_template, path)
    async with recorded(f"sqlite:///{path}") as store:
        yield store


@pytest.fixture(scope="module")
async def postgresql_ledger(server: Server, postgres_template: str) -> AsyncIterator[Store]:
    name = f"demo_{next(NUMBERS)}"
    await server.create_database(name, postgres_template)
    async with recorded(server.url(name)) as store:
        yield store
    await server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> Store:
    """The demo, recorded once for all tests that only read it."""
    store: Store = request.getfixturevalue(f"{request.param}_ledger")
    return store


@pytest.fixture
async def rows(ledger: Store) -> Rows:
    return await rows_of(ledger)


async def rows_of(store: Store) -> Rows:
    """Every row of the ledger, without the moments at which it was recorded."""
    async with store.read() as session:
        found = {}
        for table in TABLES:
            whole: Any = table.__table__
            answer = await session.execute(select(whole).order_by(*whole.primary_key))
            found[table.__tablename__] = [
                {name: value for name, value in row.items() if name not in CLOCK}
                for row in answer.mappings()
            ]
        return found


def of_trade(rows: Rows, table: type[DeclarativeBase], number: int) -> list[Row]:
    return [row for row in rows[table.__tablename__] if row["trade_number"] == number]


def closed(rows: Rows, mode: str | None = None) -> list[Row]:
    return [
        trade
        for trade in rows["trades"]
        if trade["status"] == "closed" and mode in (None, trade["mode"])
    ]


def cash(rows: Rows) -> dict[int, Decimal]:
    """Money received less money paid, fees included, by trade number."""
    multiplier = {
        (leg["trade_number"], leg["leg_number"]): leg["multiplier"] for leg in rows["legs"]
    }
    total: dict[int, Decimal] = defaultdict(Decimal)
    for fill in rows["fills"]:
        number = fill["trade_number"]
        value = fill["price"] * fill["quantity"] * multiplier[number, fill["leg_number"]]
        total[number] += (value if fill["side"] == "sell" else -value) - fill["fee"]
    return total


def verdicts(rows: Rows) -> dict[str, Verdict]:
    """What `judge` says of the live book, over the facts known at entry."""
    earned = cash(rows)
    trades = sorted(closed(rows, "live"), key=lambda trade: (trade["opened_on"], trade["number"]))
    facts = [known_at_entry(rows, trade) for trade in trades]
    book = Book(
        outcomes=[OUTCOMES[outcome(earned[trade["number"]])] for trade in trades],
        returns=[float(trade["return_on_risk"]) for trade in trades],
        sides=[SIDES[trade["direction"]] for trade in trades],
        days=[(trade["opened_on"] - date(1970, 1, 1)).days for trade in trades],
        facts={name: [one.get(name) for one in facts] for name in {n for f in facts for n in f}},
    )
    return {verdict.name: verdict for verdict in judge(book).verdicts}


OUTCOMES = {"win": 1, "breakeven": 0, "loss": -1}
SIDES = {"bullish": 1, "neutral": 0, "bearish": -1}


def outcome(net: Decimal) -> Literal["win", "loss", "breakeven"]:
    if abs(net) <= TOLERANCE:
        return "breakeven"
    return "win" if net > 0 else "loss"


def known_at_entry(rows: Rows, trade: Row) -> dict[str, Any]:
    words = ("strategy", "structure", "direction", "option_type", "ticker")
    numbers = ("scanner_score", "ai_score", "iv", "dte")
    delta = trade["delta"]
    return {
        **{name: trade[name] for name in words},
        **{name: None if trade[name] is None else float(trade[name]) for name in numbers},
        "abs_delta": None if delta is None else abs(float(delta)),
        "weekday": str(trade["entry_weekday"]),
        "hour": str(trade["entry_hour"]),
        **{
            f"condition.{one['name']}": one["word"] or float(one["number"])
            for one in of_trade(rows, Condition, trade["number"])
        },
    }


def said(verdict: Verdict) -> tuple[str, int, int, int]:
    return verdict.tier, verdict.n, verdict.wins, verdict.losses


async def test_two_fresh_stores_hold_the_same_rows(
    sqlite_ledger: Store, postgresql_ledger: Store
) -> None:
    """One of each database, recorded apart."""
    assert await rows_of(sqlite_ledger) == await rows_of(postgresql_ledger)


async def test_recording_it_again_changes_nothing(ledger: Store) -> None:
    before = await rows_of(ledger), await version_of(ledger)

    summary = await record_demo(ledger)

    assert summary.recorded == 0
    assert (await rows_of(ledger), await version_of(ledger)) == before


async def version_of(store: Store) -> int | None:
    async with store.read() as session:
        return await session.scalar(select(User.ledger_version))


async def test_an_interrupted_recording_goes_on_where_it_stopped(store: Store) -> None:
    told: list[tuple[int, int]] = []

    class Interrupted(Exception):  # noqa: N818
        pass

    def interrupt(done: int, total: int) -> None:
        told.append((done, total))
        raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            await record_demo(store, interrupt)

    assert told == [(50, 548), (50, 548)]
    rows = await rows_of(store)
    assert len(rows["trades"]) == 50 + len(rows["corrections"])


async def test_it_has_live_and_paper_trades_of_several_strategies_and_tickers(rows: Rows) -> None:
    assert len(closed(rows, "live")) == 456
    assert len(closed(rows, "paper")) == 84
    assert Counter(trade["status"] for trade in rows["trades"]) == {
        "closed": 540,
        "open": 8,
        "superseded": 1,
    }
    trades = closed(rows)
    assert {trade["ticker"] for trade in trades} == {
        "AAPL", "AMD", "MSFT", "NVDA", "PLTR", "SPY", "TSLA",
    }  # fmt: skip
    assert {trade["strategy"] for trade in trades} == {
        "call_debit_spread", "cash_secured_put", "leap_call", "put_credit_spread", "swing_stock",
    }  # fmt: skip
    assert {trade["outcome"] for trade in trades} == {"win", "loss", "breakeven"}


async def test_it_has_every_way_in_which_trades_end_and_are_kept(rows: Rows) -> None:
    reasons = Counter(trade["exit_reason"] for trade in closed(rows))
    kinds = Counter(fill["kind"] for fill in rows["fills"])
    delivered = [leg["trade_number"] for leg in rows["legs"] if leg["delivered"]]
    assert kinds["expired"] == 2 * reasons["expired"] > 0
    assert kinds["assigned"] == reasons["assigned"] == len(delivered) > 0
    assert {"target", "stop", "trailing_stop", "signal", "time", "manual"} <= set(reasons)
    exits = Counter(
        (fill["trade_number"], fill["leg_number"])
        for fill in rows["fills"]
        if fill["fill_number"] > 1
    )
    assert Counter(exits.values())[2] >= 20  # Closed in two parts.
    assert len({mark["trade_number"] for mark in rows["points"]}) >= 100
    assert len(rows["notes"]) >= 30
    scored = [trade for trade in closed(rows) if trade["scanner_score"] is not None]
    assert 0.9 < len(scored) / len(closed(rows)) < 1


async def test_open_trades_are_marked_and_have_an_unrealised_result(rows: Rows) -> None:
    for trade in rows["trades"]:
        if trade["status"] == "open":
            assert trade["unrealised_pnl"] is not None
            assert of_trade(rows, Point, trade["number"])


async def test_one_trade_is_corrected_with_a_reason(rows: Rows) -> None:
    [correction] = rows["corrections"]
    by_number = {trade["number"]: trade for trade in rows["trades"]}
    wrong, right = by_number[correction["number"]], by_number[correction["replacement"]]
    assert (wrong["status"], right["status"]) == ("superseded", "closed")
    assert wrong["net_pnl"] - right["net_pnl"] == 250 * right["quantity"]
    assert wrong["external_id"] == right["external_id"]


async def test_every_result_is_the_cash_that_flowed(rows: Rows) -> None:
    flowed = cash(rows)

    assert all(trade["net_pnl"] == flowed[trade["number"]] for trade in closed(rows))


async def test_it_was_dealt_in_market_hours_in_order_of_entry(rows: Rows) -> None:
    for fill in rows["fills"]:
        local = fill["filled_at"].astimezone(NEW_YORK)
        assert local.weekday() < 5
        assert (9, 30) <= (local.hour, local.minute) <= (16, 0)
    corrected = {correction["replacement"] for correction in rows["corrections"]}
    entries = [trade["opened_at"] for trade in rows["trades"] if trade["number"] not in corrected]
    assert entries == sorted(entries)
    assert {str(moment.date())[:4] for moment in entries} == {"2025", "2026"}


async def test_no_loss_is_much_larger_than_its_risk(rows: Rows) -> None:
    """Stops slip by cents, and fees come on top; nothing loses a tenth more than planned."""
    risked = [trade["r_multiple"] for trade in closed(rows) if trade["r_multiple"] is not None]
    assert len(risked) > 450
    assert min(risked) > Decimal("-1.1")


async def test_a_scanner_score_of_80_or_more_is_a_real_edge(rows: Rows) -> None:
    """These are the numbers of the README."""
    found = verdicts(rows)

    assert said(found["scanner_score>=80"]) == ("confirmed", 107, 73, 28)
    supported = [name for name, verdict in found.items() if verdict.tier in CLAIMS]
    assert supported == ["scanner_score>=80"]


async def test_a_ticker_that_wins_even_more_often_is_luck(rows: Rows) -> None:
    """14 of 17 by chance alone: the ticker has no part in how trades are generated."""
    found = verdicts(rows)

    lucky = found["ticker=PLTR"]
    assert said(lucky) == ("insufficient", 17, 14, 3)
    assert lucky.win_rate is not None
    assert found["scanner_score>=80"].win_rate is not None
    assert lucky.win_rate > found["scanner_score>=80"].win_rate
    assert lucky.p is not None
    assert lucky.p < 0.01  # Tested alone, it would have been called significant.


async def test_short_premium_wins_often_and_loses_money(rows: Rows) -> None:
    assert said(verdicts(rows)["strategy=put_credit_spread"]) == (
        "wins_but_loses_money", 80, 60, 20,
    )  # fmt: skip
    earned = cash(rows)
    spreads = [
        earned[trade["number"]]
        for trade in closed(rows, "live")
        if trade["strategy"] == "put_credit_spread"
    ]
    assert sum(spreads) < 0


async def test_a_note_tries_to_instruct_the_reader(rows: Rows) -> None:
    [hostile] = [note for note in rows["notes"] if "IGNORE ALL" in note["body"]]
    assert hostile["author"] == "import"
    assert "\u202e" in hostile["body"]
