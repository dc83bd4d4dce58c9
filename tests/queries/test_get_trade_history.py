"""get_trade_history: totals over all trades that match, and the trades, page by page."""

import json
import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from mcp import Client

from mcp_server.server import build
from store.database import Store
from tests.ledger import record
from tests.server.asking import ToolFailed, answer_in, ask

ORDERS: dict[str, tuple[Callable[[tuple[datetime, int, int]], Any], bool]] = {
    "newest": (lambda one: (one[0], one[2]), True),
    "oldest": (lambda one: (one[0], one[2]), False),
    "worst": (lambda one: (one[1], one[2]), False),
    "best": (lambda one: (one[1], one[2]), True),
}
MANY = 23


async def many(store: Store) -> list[tuple[datetime, int, int]]:
    """(exit, net P&L, number) of trades of which many share a moment and many a P&L."""
    chance = random.Random(6)
    days = [chance.randint(1, 5) for _ in range(MANY)]
    nets = [chance.choice([-20, -10, 0, 10]) for _ in range(MANY)]
    text = "\n".join(f"2026-01-0{d} AAPL {n:+d}" for d, n in zip(days, nets, strict=True))
    numbers = await record(store, text)
    exits = [datetime(2026, 1, day, 12, tzinfo=UTC) for day in days]
    return list(zip(exits, nets, numbers, strict=True))


async def pages(store: Store, **arguments: Any) -> list[list[dict[str, Any]]]:
    """Every page, following the cursor."""
    found = []
    async with Client(build(store)) as client:
        while True:
            answer = answer_in(await client.call_tool("get_trade_history", arguments))
            found.append(answer["trades"])
            assert answer["totals"]["n"] == MANY
            if "next_cursor" not in answer:
                return found
            arguments["cursor"] = answer["next_cursor"]


@pytest.mark.parametrize("order", ORDERS)
async def test_pages_lose_nothing_and_repeat_nothing(store: Store, order: str) -> None:
    trades = await many(store)
    key, reverse = ORDERS[order]

    expected = [one[2] for one in sorted(trades, key=key, reverse=reverse)]
    for limit in (1, 7, MANY - 1, MANY):
        found = await pages(store, order=order, limit=limit)
        assert [one["number"] for page in found for one in page] == expected
        assert len(found) == -(-MANY // limit)


async def test_pages_of_open_and_closed_trades_go_by_their_own_moments(store: Store) -> None:
    await record(
        store,
        """
        2026-01-05  AAPL  +10
        2026-01-06  SPY   open
        2026-01-07  AAPL  -10
        """,
    )

    first = await ask(store, "get_trade_history", status="all", limit=2)
    rest = await ask(store, "get_trade_history", status="all", limit=2, cursor=first["next_cursor"])

    assert [one["number"] for one in first["trades"] + rest["trades"]] == [3, 2, 1]
    assert [one["status"] for one in first["trades"]] == ["closed", "open"]
    assert [one.get("opened_on") for one in first["trades"]] == [None, "2026-01-06"]


async def test_a_trade_recorded_between_pages_moves_nothing(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL +2\n2026-01-07 AAPL +3")

    first = await ask(store, "get_trade_history", limit=2)
    await record(store, "2026-01-08 AAPL +4")
    rest = await ask(store, "get_trade_history", limit=2, cursor=first["next_cursor"])

    assert [one["number"] for one in rest["trades"]] == [1]


@pytest.mark.parametrize(
    "arguments", [{"order": "oldest"}, {"order": "worst"}, {"ticker": "AAPL"}, {"status": "all"}]
)
async def test_a_cursor_of_another_list_is_refused(store: Store, arguments: dict[str, str]) -> None:
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 AAPL +2")
    cursor = (await ask(store, "get_trade_history", limit=1))["next_cursor"]

    with pytest.raises(ToolFailed, match=r"^The cursor is not one of this list in order "):
        await ask(store, "get_trade_history", limit=1, cursor=cursor, **arguments)


def altered(cursor: str, place: int, value: Any) -> str:
    parts = json.loads(urlsafe_b64decode(cursor))
    parts[place] = value
    return urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, "NaN"), (0, "1E+99"), (0, "-5.00"), (0, 1.5), (1, 2**70), (1, 7), (1, True)],
)
async def test_an_altered_cursor_is_refused(store: Store, place: int, value: Any) -> None:
    await record(store, "2026-01-05 AAPL -1\n2026-01-06 AAPL -2")
    asked = {"limit": 1, "order": "worst"}
    cursor = (await ask(store, "get_trade_history", **asked))["next_cursor"]

    with pytest.raises(ToolFailed, match=r"^The cursor is not one of this list in order worst"):
        await ask(store, "get_trade_history", **asked, cursor=altered(cursor, place, value))


@pytest.mark.parametrize(
    "cursor",
    ["x", "é", "====", "W10=", "bnVsbA=="],
)
async def test_nonsense_is_no_cursor(store: Store, cursor: str) -> None:
    await record(store, "2026-01-05 AAPL -1")

    with pytest.raises(ToolFailed, match=r"^The cursor is not one of this list in order newest"):
        await ask(store, "get_trade_history", cursor=cursor)


async def test_a_short_line_says_what_a_list_needs(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +10 fees 1.30 strategy leap scanner 72.5")

    [line] = (await ask(store, "get_trade_history"))["trades"]

    assert line == {
        "number": 1,
        "ticker": "AAPL",
        "strategy": "leap",
        "closed_on": "2026-01-05",
        "quantity": "100",
        "entry_price": "100",
        "exit_price": "100.113",
        "net_pnl": "10.00",
        "outcome": "win",
        "exit_reason": "manual",
    }


async def test_a_detailed_line_adds_what_was_known_and_what_it_cost(store: Store) -> None:
    """By hand: 10 on a risk of 100 shares x 5 is .02 R."""
    await record(
        store, "2026-01-05 AAPL +10 fees 1.30 scanner 72.5 ai 50 delta -0.4 iv 0.3 stop 95"
    )

    answer = await ask(store, "get_trade_history", response_format="detailed")

    [line] = answer["trades"]
    added = {
        "account": "main",
        "structure": "single",
        "direction": "bullish",
        "opened_on": "2026-01-05",
        "gross_pnl": "11.3",
        "fees": "1.3",
        "r_multiple": "0.02",
        "scanner_score": "72.5",
        "ai_score": "50",
        "delta": "-0.4",
        "iv": "0.3",
    }
    assert added.items() <= line.items()


@pytest.mark.parametrize("order", ["worst", "best"])
async def test_trades_without_a_result_have_no_worst(store: Store, order: str) -> None:
    with pytest.raises(ToolFailed, match=f"^order {order} needs closed trades"):
        await ask(store, "get_trade_history", status="open", order=order)


async def test_totals_are_of_all_matching_trades_not_of_the_page(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +10\n2026-01-06 AAPL -4\n2026-01-07 AAPL +0")

    answer = await ask(store, "get_trade_history", limit=1)

    totals = answer["totals"]
    assert (totals["n"], totals["wins"], totals["losses"], totals["breakevens"]) == (3, 1, 1, 1)
    assert (totals["net_pnl"], totals["win_rate"]) == ("6.00", 0.5)
    assert len(answer["trades"]) == 1
