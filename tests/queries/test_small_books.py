"""Books too small for statistics: nulls with reasons, never NaN, never a crash."""

import json
import re
from typing import Any

import pytest
from mcp import Client

from mcp_server.server import build
from store import queries
from store.database import Store
from tests.ledger import record
from tests.server.asking import answer_in, ask, text_in

NAMES = [query.__name__ for query in queries.load()]
# An empty store has no trade to show.
EMPTY = [name for name in NAMES if name != "get_trade"]
BOOKS = {
    "empty": "",
    "one trade": "2026-01-05 AAPL +10",
    "no losses": "2026-01-05 AAPL +10\n2026-01-06 SPY +20 option call scanner 80",
    "no wins": "2026-01-05 AAPL -10\n2026-01-06 SPY -20 option put scanner 80",
    "all break-even": "2026-01-05 AAPL +0\n2026-01-06 SPY +0 scanner 80",
    "only open": "2026-01-05 AAPL open\n2026-01-06 SPY +5 open",
}


@pytest.mark.parametrize("book", BOOKS)
async def test_every_tool_answers_in_valid_json_of_its_announced_shape(
    store: Store, book: str
) -> None:
    """The client checks each answer against the shape that the server announced."""
    await record(store, BOOKS[book])

    async with Client(build(store)) as client:
        await client.list_tools()
        for tool in NAMES if BOOKS[book] else EMPTY:
            arguments = {"number": 1} if tool == "get_trade" else {}
            result = await client.call_tool(tool, arguments)
            text = json.dumps(answer_in(result), allow_nan=False)
            told = f"{text} {text_in(result)}"
            assert not re.search(r"\b(nan|inf|infinity)\b", told, re.IGNORECASE), tool


async def test_an_empty_store_has_no_evidence(store: Store) -> None:
    async with Client(build(store)) as client:
        for tool in EMPTY:
            answer = answer_in(await client.call_tool(tool, {}))
            assert answer["evidence"] == "none", tool
            assert answer["scope"]["mode"] is None
            assert answer["scope"]["trades"] == 0
            assert answer["provenance"]["last_closed"] is None


@pytest.mark.parametrize(
    ("book", "rate", "reason"),
    [
        ("one trade", 1.0, "no losing trades"),
        ("no losses", 1.0, "no losing trades"),
        ("no wins", 0.0, None),
        ("all break-even", None, "no decided trades"),
        ("only open", None, "no decided trades"),
    ],
)
async def test_an_undefined_profit_factor_is_null_with_its_reason(
    store: Store, book: str, rate: float | None, reason: str | None
) -> None:
    await record(store, BOOKS[book])

    found: dict[str, Any] = (await ask(store, "get_strategy_performance"))["overall"]

    assert found["win_rate"] == rate
    assert found["profit_factor"] == (None if reason else 0.0)
    assert found.get("profit_factor_reason") == reason
    assert found["payoff_ratio"] is None


async def test_trades_that_are_only_open_are_counted_beside_the_rates(store: Store) -> None:
    await record(store, BOOKS["only open"])

    answer = await ask(store, "get_trade_history")

    assert (answer["totals"]["n"], answer["evidence"]) == (0, "none")
    assert answer["scope"]["left_out"] == ["2 open, unrealised P&L 5.00"]


async def test_no_interval_of_money_below_twenty_trades(store: Store) -> None:
    lines = [f"2026-01-{1 + i:02d} SPY {'-10' if i % 2 else '+20'}" for i in range(20)]
    await record(store, "\n".join(lines[:19]))
    few = (await ask(store, "get_strategy_performance"))["overall"]
    await record(store, lines[19])
    enough = (await ask(store, "get_strategy_performance"))["overall"]

    assert (few["expectancy_low"], few["profit_factor_high"]) == (None, None)
    assert float(enough["expectancy_low"]) < 5 < float(enough["expectancy_high"])
    assert enough["profit_factor_low"] < enough["profit_factor"] < enough["profit_factor_high"]
