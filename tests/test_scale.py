"""The generator of large ledgers, and what is measured on them; no time is judged here."""

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from benchmarks.scale.filling import Sizes, fill, sizes
from benchmarks.scale.plot import Line, Panel, plot
from benchmarks.scale.proxy import counted
from store.database import Store
from store.guards import wrong_guard
from store.models import Condition, Fill, Leg, Point, Trade
from tests.conftest import settings_for
from tests.postgres_server import connect
from tests.server.running import ROOT, environment

USERS = Sizes((40, 40, 40, 200))  # The last is a heavy one.
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def empty_url(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, past a pooler: it is filled by its owner, in one session."""
    if dialect == "sqlite":
        return f"sqlite:///{tmp_path}/scale.db"
    return str(request.getfixturevalue("direct_postgres_url"))


@pytest.fixture
async def filled(empty_url: str) -> AsyncIterator[Store]:
    await fill(settings_for(empty_url), USERS)
    store = Store(settings_for(empty_url))
    yield store
    await store.close()


def test_heavy_users_come_beside_the_ordinary_ones() -> None:
    assert sizes(3, 10).trades == (10, 10, 10)
    assert sizes(2, 10, heavy=3).trades == (10, 10, 1_000, 1_000, 10_000)


async def test_every_user_has_their_trades_and_each_earned_what_its_fills_say(
    filled: Store,
) -> None:
    """Flat trades earn their cash flow: what was sold minus what was bought, minus fees."""
    for user, count in enumerate(USERS.trades, start=1):
        async with filled.read(user) as session:
            mine = list(await session.scalars(select(Trade).where(Trade.user_id == user)))
            legs = {
                (leg.trade_number, leg.leg_number): leg
                for leg in await session.scalars(select(Leg).where(Leg.user_id == user))
            }
            cash: dict[int, Decimal] = defaultdict(Decimal)
            fees: dict[int, Decimal] = defaultdict(Decimal)
            for fill in await session.scalars(select(Fill).where(Fill.user_id == user)):
                sign = 1 if fill.side == "sell" else -1
                leg = legs[fill.trade_number, fill.leg_number]
                cash[fill.trade_number] += sign * fill.quantity * fill.price * leg.multiplier
                fees[fill.trade_number] += fill.fee

        assert sorted(trade.number for trade in mine) == list(range(1, count + 1))
        for trade in mine:
            assert (trade.status, trade.mode) == ("closed", "live")
            assert trade.net_pnl == cash[trade.number] - fees[trade.number]


async def test_copies_are_apart_in_time_and_keep_the_hour_and_days_of_their_market(
    filled: Store,
) -> None:
    moments = set()
    for user in range(1, len(USERS.trades) + 1):
        async with filled.read(user) as session:
            for trade in await session.scalars(select(Trade).where(Trade.user_id == user)):
                opened = trade.opened_at.astimezone(NEW_YORK)
                assert trade.closed_at
                closed = trade.closed_at.astimezone(NEW_YORK)
                assert (trade.opened_on, trade.entry_hour) == (opened.date(), opened.hour)
                assert trade.entry_weekday == opened.isoweekday()
                assert trade.closed_on == closed.date()
                held = trade.closed_at - trade.opened_at
                assert trade.holding_seconds == held.total_seconds()
                moments.add(trade.opened_at)
            assert await session.scalar(select(Condition.name).limit(1))

    assert len(moments) > max(USERS.trades)


async def test_what_was_filled_is_locked_and_walled(filled: Store) -> None:
    mine = (Trade.user_id == 2, Trade.number == 7)
    with pytest.raises(DBAPIError, match="trade_locked"):
        async with filled.write(2) as session:
            await session.execute(update(Trade).where(*mine).values(source="other"))
    async with filled.read(2) as session:
        assert await wrong_guard(session) is None


async def test_trades_lie_on_disk_as_they_would_have_been_recorded(
    direct_postgres_url: str,
) -> None:
    """All first trades, then all second ones, and so on."""
    await fill(settings_for(direct_postgres_url), Sizes((10, 10, 10)))

    owner = await connect(direct_postgres_url)
    numbers = [row[0] for row in await owner.fetch("SELECT number FROM trades ORDER BY ctid")]
    await owner.close()
    assert numbers == sorted(numbers)
    assert numbers.count(1) == 3


async def test_price_paths_are_made_on_request(empty_url: str) -> None:
    filled = await fill(settings_for(empty_url), Sizes((5,)), snapshots=3)

    store = Store(settings_for(empty_url))
    async with store.read(1) as session:
        marks = list(await session.scalars(select(Point).where(Point.user_id == 1)))
    await store.close()
    assert {mark.trade_number for mark in marks} == {1, 2, 3, 4, 5}
    assert (filled.rows["paths"], len(marks)) == (5, 15)


def scale(*options: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", *options],
        capture_output=True, text=True, cwd=ROOT, env=environment("sqlite://"), timeout=280,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.timeout(600)  # Ten programs are started.
def test_a_generated_ledger_is_measured_and_written_down(empty_url: str, tmp_path: Path) -> None:
    plans, written = tmp_path / "plans", tmp_path / "found.json"
    far = ["--round-trip", "1"] if empty_url.startswith("postgresql") else []
    there = ("--database-url", empty_url)

    assert "trades" in scale("generate", *there, "--users", "12", "--trades", "30")
    options = ["--calls", "2", "--seconds", "0.1", "--plans", str(plans), "--json", str(written)]
    told = scale("run", *there, *options, *far)

    found = json.loads(written.read_text())
    [ordinary] = found["warm"]
    assert ordinary["trades"] == 30
    assert {one["tool"] for one in ordinary["tools"]} == {one["tool"] for one in found["cold"]}
    for one in ordinary["tools"]:
        assert one["tool"] in told
        assert min(one[kind]["p50"] for kind in ("floor", "store", "again", "stdio", "http")) > 0
    assert {one["clients"] for one in ordinary["loads"]} == {1, 8}
    assert ordinary["memory"]["most_mb"] > 0
    assert len(list(plans.iterdir())) == 4
    assert "trades" in (plans / "get_strategy_performance.user7.txt").read_text()
    if far:
        for one in found["far"]["ways"]["direct"]:
            assert one["round_trips"] == 3


@pytest.mark.timeout(300)
def test_growth_is_a_table_and_a_plot(tmp_path: Path) -> None:
    out = tmp_path / "out"

    (tmp_path / "files").mkdir()
    told = scale("curve", "--sqlite-folder", str(tmp_path / "files"), "--largest", "1000",
                 "--calls", "1", "--out", str(out))  # fmt: skip

    assert "| get_trade_history | " in told
    assert (out / "curve.csv").read_text().startswith("curve,trades,tool,floor_p50_ms")
    ElementTree.parse(out / "curve.svg")


def test_a_plot_says_what_its_lines_are() -> None:
    """By hand: 1 to 100 over two decades and 300 units, so 10 lies in the middle at 190."""
    drawn = plot(
        [Panel("a < b", [Line("store", [(1_000, 1.0), (10_000, 10.0), (100_000, 100.0)])])]
    )

    root = ElementTree.fromstring(drawn)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a < b, p50 in ms" in texts
    assert "store" in texts
    assert {"1,000", "10,000", "100,000"} <= set(texts)
    [line] = root.iter("{http://www.w3.org/2000/svg}polyline")
    assert line.get("points") == "60.0,340.0 290.0,190.0 520.0,40.0"


async def test_a_proxy_counts_turns_and_lets_time_go_by() -> None:
    """Two questions of one connection, the second in two parts: two round trips."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for expected in (3, 6):
            await reader.readexactly(expected)
            writer.write(b"yes")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with counted(f"postgresql://u:p@127.0.0.1:{port}/d", 20) as trips:
        there = int(trips.url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", there)
        begun = asyncio.get_running_loop().time()
        writer.write(b"one")
        assert await reader.readexactly(3) == b"yes"
        writer.write(b"two")
        await asyncio.sleep(0.02)
        writer.write(b"too")
        assert await reader.readexactly(3) == b"yes"
        assert asyncio.get_running_loop().time() - begun >= 0.04
        writer.close()
        assert trips.count == 2
    server.close()
    await server.wait_closed()
