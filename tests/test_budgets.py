"""What an answer costs: the agent's tokens, and the trips to the database, counted by a proxy."""

import os
import random
from typing import Any

import pytest
from mcp import Client

from benchmarks.scale.proxy import counted
from mcp_server.server import build
from store import queries
from store.database import Store
from store.queries.get_trade_history import get_trade_history
from store.schema import prepare
from tests.conftest import settings_for
from tests.ledger import record
from tests.server.asking import answer_in, text_in, tokens

NAMES = [query.__name__ for query in queries.load()]
STRATEGIES = [
    "0DTE put credit spread - EMA entry",
    "Earnings week long strangle",
    "leap_call_deep_in_the_money",
    "Wheel: cash secured put",
]

# The design's limits, in tokens of four bytes, each channel by itself.
BUDGETS: list[tuple[str, dict[str, Any], int]] = [
    ("get_strategy_performance", {"strategy": STRATEGIES[0]}, 500),
    ("get_trade_history", {}, 500),
    ("get_trade_history", {"ticker": "AAPL"}, 500),
    ("get_trade_history", {"limit": 20}, 1_500),
    ("get_trade_history", {"limit": 20, "order": "worst"}, 1_500),
    ("get_win_rate_by_score", {}, 900),
    ("get_win_rate_by_score", {"min": 60, "max": 80, "ticker": "AAPL"}, 900),
    ("get_strategy_performance", {}, 900),
    ("check_setup", {"ticker": "AAPL", "strategy": STRATEGIES[0], "scanner_score": 75}, 900),
    ("get_best_entry_conditions", {}, 900),
    ("get_best_entry_conditions", {"ticker": "AAPL"}, 900),
    ("get_best_entry_conditions", {"avoid": True}, 900),
]


def ledger(n: int = 90) -> str:
    """Trades with the long names that brokers and people give, and all facts known."""
    chance = random.Random(4)
    return "\n".join(
        f"2026-{1 + i // 28:02d}-{1 + i % 28:02d}T17:31:07Z"
        f" {chance.choice(['AAPL', 'BRK.B', 'GOOGL', 'SPXW'])}"
        f" {'+' if chance.random() < (0.8 if i % 3 else 0.3) else '-'}{chance.randint(10, 490)}.37"
        f" fees 2.63 option {'call' if i % 3 else 'put'} strategy '{chance.choice(STRATEGIES)}'"
        f" scanner {60 + 10 * (i % 3) + chance.randint(0, 9)} ai {chance.randint(0, 100)}"
        f" delta 0.4512 iv 0.3337 exit {chance.choice(['target', 'stop', 'trailing_stop'])}"
        f" condition market_regime={chance.choice(['trending_up', 'range_bound'])}"
        for i in range(n)
    )


async def full(store: Store) -> None:
    account = "Interactive Brokers margin U1234567"
    await record(store, ledger(), account=account, mode="live")
    await record(store, "2026-01-05 AAPL +5 open", account=account, mode="live")
    await record(store, "2026-01-05 AAPL +5", account="paper trading")


@pytest.fixture
def dialect() -> str:
    """Both databases answer alike; size is measured once."""
    return "sqlite"


async def test_all_tools_together_are_listed_in_3000_tokens(store: Store) -> None:
    async with Client(build(store)) as client:
        tools = (await client.list_tools()).tools

    listed = [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in tools
    ]
    assert tokens(listed) <= 3_000


async def test_answers_keep_to_their_size_in_both_channels(store: Store) -> None:
    await full(store)
    sizes: dict[str, tuple[float, float, int]] = {}

    async with Client(build(store)) as client:
        for name, arguments, limit in BUDGETS:
            result = await client.call_tool(name, arguments)
            size = tokens(answer_in(result)), tokens(text_in(result))
            sizes[f"{name} {arguments}"] = (*size, limit)

    beyond = {call: size for call, size in sizes.items() if max(size[:2]) > size[2]}
    assert beyond == {}


async def test_answers_shrink_with_their_limit(store: Store) -> None:
    await full(store)
    shrinking = ("get_trade_history", "get_strategy_performance", "get_best_entry_conditions")

    async with Client(build(store)) as client:
        for name in shrinking:
            small = await client.call_tool(name, {"limit": 1})
            large = await client.call_tool(name, {"limit": 20})
            assert tokens(answer_in(small)) < tokens(answer_in(large))
            assert tokens(text_in(small)) < tokens(text_in(large))


async def trips_of(url: str, name: str, remembered: int = 0) -> int:
    """Round trips of a question that was put before on the same connection.

    The fewest of some calls: what was asked is logged in between, outside any answer's path.
    """
    arguments = {"number": 1} if name == "get_trade" else {}
    async with counted(url) as trips:
        settings = settings_for(trips.url).model_copy(update={"answers_remembered": remembered})
        store, found = Store(settings), list[int]()
        async with Client(build(store)) as client:
            for _ in range(7):
                before = trips.count
                answer_in(await client.call_tool(name, arguments))
                found.append(trips.count - before)
        await store.close()
    return min(found[2:])


class TestOnPostgreSQL:
    @pytest.fixture
    def dialect(self) -> str:
        return "postgresql"

    @pytest.mark.parametrize("name", NAMES)
    async def test_a_warm_answer_takes_three_round_trips(self, direct_url: str, name: str) -> None:
        """Begin with identity, statement, commit."""
        await record_one(direct_url)

        assert await trips_of(direct_url, name) == 3
        assert await trips_of(direct_url, name, remembered=1) == 3

    async def test_the_first_repeat_after_a_recording_takes_one_more(self, direct_url: str) -> None:
        """The version is read, and then what it no longer answers is asked."""
        await record_one(direct_url)
        found = list[int]()
        async with counted(direct_url) as trips:
            store, writer = Store(settings_for(trips.url)), Store(settings_for(direct_url))
            for turn in range(8):
                if turn % 2 == 0:
                    await record(writer, f"2026-01-{6 + turn:02d} AAPL +10")
                before = trips.count
                answer = await store.answer(get_trade_history)
                found.append(trips.count - before)
                assert answer.totals.n == 2 + turn // 2
            await store.close()
            await writer.close()

        assert found[-2:] == [4, 3]

    @pytest.mark.parametrize("name", NAMES)
    async def test_where_nothing_stays_prepared_it_takes_one_more(
        self, direct_url: str, name: str
    ) -> None:
        """The statement is described, then executed: what a transaction pooler allows."""
        await record_one(direct_url)

        assert await trips_of(f"{direct_url}?pgbouncer=true", name) == 4

    @pytest.mark.skipif(
        not os.environ.get("TEST_PGBOUNCER"), reason="TEST_PGBOUNCER names no pooler"
    )
    @pytest.mark.parametrize("name", NAMES)
    async def test_through_a_pooler_a_warm_answer_takes_at_most_five(
        self, database_url: str, name: str
    ) -> None:
        await record_one(database_url)

        assert await trips_of(database_url, name) <= 5


async def record_one(url: str) -> None:
    store = Store(settings_for(url))
    await prepare(store)
    await record(store, "2026-01-05 AAPL +10 strategy leap scanner 70")
    await store.close()
