"""stdio, Streamable HTTP and SSE give the same answers, and only to who may ask."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client

from store.database import Store
from tests.ledger import record
from tests.server.asking import answer_in, text_in
from tests.server.examples import LEDGER, arguments_for
from tests.server.running import (
    NETWORK,
    PATHS,
    SERVER,
    environment,
    listening,
    on_stdio,
)

Era = Literal["legacy", "2026-07-28"]
ERAS: tuple[Era, ...] = ("legacy", "2026-07-28")
OPENING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@asynccontextmanager
async def reaching(
    transport: str, database_url: str, folder: Path
) -> AsyncIterator[Callable[[], Any]]:
    """What makes the target of one client of `transport`."""
    if transport == "stdio":
        yield lambda: on_stdio(database_url)
        return
    async with listening(transport, database_url, folder) as server:
        yield lambda: sse_client(server.url) if transport == "sse" else server.url


async def seen_by(target: Any, era: Era) -> dict[str, Any]:
    """The tools, the answer of each, and a refusal."""
    seen: dict[str, Any] = {}
    async with Client(target, mode=era) as client:
        for tool in (await client.list_tools()).tools:
            result = await client.call_tool(tool.name, arguments_for(tool))
            answer = answer_in(result)
            answer["provenance"].pop("as_of")
            seen[tool.name] = (tool.model_dump(), answer)
        refused = await client.call_tool("get_trade_history", {"ticker": 7})
    return seen | {"refusal": text_in(refused)}


async def test_every_transport_and_protocol_era_gives_the_same(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, LEDGER)

    seen = []
    for transport in ("stdio", *NETWORK):
        async with reaching(transport, database_url, tmp_path) as target:
            seen += [await seen_by(target(), era) for era in ERAS]

    assert len(seen) == 6
    assert seen[0]["refusal"] == "Argument 'ticker' is 7; text is accepted."
    assert all(one == seen[0] for one in seen)


@pytest.mark.parametrize("transport", NETWORK)
async def test_a_page_from_elsewhere_cannot_reach_the_server(
    transport: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/trades.db"
    async with listening(transport, url, tmp_path) as server, httpx2.AsyncClient() as browser:

        async def status(**headers: str) -> tuple[int, int]:
            """Of opening a stream, and of sending a message."""
            post = PATHS[transport] if transport != "sse" else "/messages/?session_id=0"
            found = []
            for method, path in (("GET", PATHS[transport]), ("POST", post)):
                async with browser.stream(
                    method,
                    f"http://127.0.0.1:{server.port}{path}",
                    headers={**ACCEPT, **headers},
                    json=OPENING if method == "POST" else None,
                ) as response:
                    found.append(response.status_code)
            return found[0], found[1]

        own = f"127.0.0.1:{server.port}"
        assert await status(Host="evil.example") == (421, 421)
        assert await status(Host=f"evil.example:{server.port}") == (421, 421)
        for origin in ("http://evil.example", "null", f"https://{own}", "http://127.0.0.1:1"):
            assert await status(Origin=origin) == (403, 403)
        for host in (own, f"localhost:{server.port}"):
            refused = {*await status(Host=host, Origin=f"http://{host}")} & {403, 421}
            assert not refused
        log = server.log.read_text()

    assert "Traceback" not in log
    assert all(len(line) < 300 for line in log.splitlines())


@pytest.mark.parametrize("transport", NETWORK)
async def test_a_listening_server_stops_when_told_though_clients_listen(
    transport: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/trades.db"
    async with reaching_one(transport, url, tmp_path) as (server, target):
        async with Client(target) as client:
            await client.call_tool("get_overview", {})
        server.process.terminate()
        async with asyncio.timeout(20):
            code = await server.process.wait()
        log = server.log.read_text()

    assert code == -signal.SIGTERM
    assert "Traceback" not in log
    assert "ERROR" not in log


@asynccontextmanager
async def reaching_one(transport: str, url: str, folder: Path) -> AsyncIterator[Any]:
    async with listening(transport, url, folder) as server:
        if transport != "sse":
            yield server, server.url
            return
        # A stream that stays open while the server is told to stop.
        async with (
            httpx2.AsyncClient() as idle,
            idle.stream("GET", server.url, headers=ACCEPT),
        ):
            yield server, sse_client(server.url)


@pytest.mark.parametrize(
    ("ending", "code"),
    [("end of input", 0), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)],
)
async def test_a_server_on_stdio_ends_without_a_word(
    ending: str | signal.Signals, code: int, tmp_path: Path
) -> None:
    process = await started(f"sqlite:///{tmp_path}/trades.db")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
        b'"capabilities":{},"clientInfo":{"name":"test","version":"1"}}}\n'
    )
    assert b'"id":1' in await process.stdout.readline()

    if isinstance(ending, signal.Signals):
        process.send_signal(ending)
        async with asyncio.timeout(20):
            await process.wait()
    process.stdin.close()
    async with asyncio.timeout(20):
        ended = await process.wait()

    assert ended == code
    assert await process.stderr.read() == b""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.10", "example.com"])
async def test_beyond_loopback_it_does_not_start_without_its_public_address(
    host: str, tmp_path: Path
) -> None:
    code, said = await outcome(
        f"sqlite:///{tmp_path}/trades.db", "--transport", "streamable-http", "--host", host
    )

    assert code == 2
    assert said == (
        f"trade-history-mcp: --host {host} can be reached by others, so TRADE_HISTORY_PUBLIC_URL"
        " is needed: the address that clients use, like https://trades.example.com.\n"
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://me:canary@host/db", "DATABASE_URL has the scheme 'mysql'"),
        ("postgresql://me:canary@host/db?sslmode=canary", "DATABASE_URL has an unknown 'sslmode'"),
    ],
)
async def test_a_wrong_setting_is_one_line_without_its_secret(url: str, reason: str) -> None:
    code, said = await outcome(url)

    assert code == 2
    assert said.startswith(f"trade-history-mcp: {reason}")
    assert said.count("\n") == 1
    assert "canary" not in said


async def started(url: str, *options: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *SERVER, *options,
        env=environment(url), stdin=pipe, stdout=pipe, stderr=pipe,
    )  # fmt: skip


async def outcome(url: str, *options: str) -> tuple[int | None, str]:
    process = await started(url, *options)
    output, errors = await process.communicate()
    assert output == b""
    return process.returncode, errors.decode()
