"""Two servers on one database, behind a balancer that sends each request to the next one.

They share nothing but the database, so whoever answers says the same.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from store import queries
from store.accounts import AccountEntry, put_account
from store.database import Store
from tests.ledger import record
from tests.server.asking import answer_in
from tests.server.balancer import balancing
from tests.server.running import Listening, free_port, listening
from tests.server.signing_in import bearer, revoke, signed_in, token, until_status
from tests.server.test_watching import heard_until

ON = {"TRADE_HISTORY_AUTH": "on", "TRADE_HISTORY_WRITING": "on"}
WRITE = ("trades:read", "trades:write")
AT = "2026-01-05T10:15:00-05:00"
ENTRY = {"account": "main", "ticker": "AAPL", "opened_at": AT, "quantity": 100, "entry_price": 10.1}

BEGINNING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


@dataclass(frozen=True)
class Balanced(Listening):
    """The address of all; `servers` are what stands behind it, `asked` their ports in turn."""

    servers: tuple[Listening, ...]
    asked: list[int]


@asynccontextmanager
async def two_servers(database_url: str, folder: Path) -> AsyncIterator[Balanced]:
    port = free_port()
    said = {**ON, "TRADE_HISTORY_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    async with (
        listening("streamable-http", database_url, folder, **said) as one,
        listening("streamable-http", database_url, folder, **said) as two,
        balancing(port, [one.port, two.port]) as asked,
    ):
        url = f"http://127.0.0.1:{port}/mcp"
        yield Balanced(url, port, one.process, one.log, (one, two), asked)


@pytest.fixture
async def ledger(store: Store) -> Store:
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="live"))
    await record(store, "2026-01-05 AAPL +1 scanner 80\n2026-01-06 SPY -2 scanner 60", mode="live")
    return store


async def test_every_server_gives_the_same_answers(
    ledger: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(ledger)
    by_name: dict[str, dict[str, Any]] = {
        "get_trade": {"number": 1},
        "check_setup": {"ticker": "AAPL"},
    }

    async with two_servers(database_url, tmp_path) as both, signed_in(both, text) as client:
        await client.list_tools()
        for query in queries.load():
            name = query.__name__
            answers = [
                unhurried(answer_in(await client.call_tool(name, by_name.get(name, {}))))
                for _ in both.servers
            ]
            assert answers[0] == answers[1], name

        page = answer_in(await client.call_tool("get_trade_history", {"limit": 1}))
        said = {"limit": 1, "cursor": page["next_cursor"]}
        rest = [
            answer_in(await client.call_tool("get_trade_history", said))["trades"]
            for _ in both.servers
        ]
        assert [one["number"] for one in page["trades"]] == [2]
        assert [[one["number"] for one in trades] for trades in rest] == [[1], [1]]

    assert both.asked.count(both.servers[0].port) == pytest.approx(len(both.asked) / 2, abs=1)


def unhurried(answer: dict[str, Any]) -> dict[str, Any]:
    """Without the second in which it was given."""
    del answer["provenance"]["as_of"]
    return answer


async def test_what_one_server_recorded_the_other_knows_and_does_not_record_again(
    ledger: Store, database_url: str, tmp_path: Path
) -> None:
    """Trade 3 goes through one server; its retries, and its reading, through both."""
    text = await token(ledger, 1, WRITE)

    async with two_servers(database_url, tmp_path) as both, signed_in(both, text) as client:
        told = [
            answer_in(await client.call_tool("record_trade", {**ENTRY, "key": "same"}))
            for _ in range(4)
        ]
        read = [answer_in(await client.call_tool("get_trade", {"number": 3})) for _ in range(2)]
        unknown = await client.call_tool("get_trade", {"number": 4})

    assert [one["number"] for one in told] == [3, 3, 3, 3]
    assert [one["replayed"] for one in told] == [False, True, True, True]
    assert read[0]["trade"] == read[1]["trade"]
    assert unknown.is_error


async def test_a_key_of_rest_is_known_to_both(
    ledger: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(ledger, 1, WRITE)

    async with two_servers(database_url, tmp_path) as both, httpx2.AsyncClient() as client:
        api = both.url.replace("/mcp", "/api/accounts")
        headers = {**bearer(text), "Idempotency-Key": "1"}
        made = [
            await client.post(api, json={"name": "Second", "mode": "paper"}, headers=headers)
            for _ in range(2)
        ]
        listed = [(await client.get(api, headers=bearer(text))).json() for _ in range(2)]

    assert [one.status_code // 100 for one in made] == [2, 2], made[1].text
    assert listed[0] == listed[1]
    assert len(set(both.asked)) == 2


async def test_a_revoked_token_is_refused_by_both(
    ledger: Store, database_url: str, tmp_path: Path
) -> None:
    """Each believed it lately, and asks again after a few seconds."""
    text = await token(ledger)

    async with two_servers(database_url, tmp_path) as both:
        for server in both.servers:
            await until_status(server, text, 200)
        await revoke(ledger, 1, 1)

        for server in both.servers:
            assert (await until_status(server, text, 401)).status_code == 401


async def test_a_subscriber_hears_through_the_balancer_of_what_any_server_recorded(
    ledger: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(ledger, 1, WRITE)
    new = ["trades://trade/3", "trades://trade/4"]

    async with (
        two_servers(database_url, tmp_path) as both,
        signed_in(both, text) as client,
        client.listen(resource_subscriptions=new) as stream,
    ):
        for server, uri in zip(both.servers, new, strict=True):
            async with signed_in(server, text) as writer:
                said = {**ENTRY, "key": uri}
                answer_in(await writer.call_tool("record_trade", said))
            assert await heard_until(stream, uri) == [uri]


async def test_a_session_of_the_older_protocol_is_known_to_one_server_only(
    ledger: Store, database_url: str, tmp_path: Path
) -> None:
    """So a balancer has to keep such a client with its server, or it begins anew."""
    text = await token(ledger)

    async with two_servers(database_url, tmp_path) as both, httpx2.AsyncClient() as http:
        begun = await older(http, both.servers[0], text, "initialize", BEGINNING)
        session = {"mcp-session-id": begun.headers["mcp-session-id"]}
        answered = [
            await older(http, server, text, "tools/list", {}, **session) for server in both.servers
        ]

    assert [one.status_code for one in answered] == [200, 404]


async def older(
    http: httpx2.AsyncClient,
    server: Listening,
    text: str,
    method: str,
    params: dict[str, Any],
    **headers: str,
) -> httpx2.Response:
    return await http.post(
        server.url,
        json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
        headers={**bearer(text), "accept": "application/json, text/event-stream", **headers},
    )
