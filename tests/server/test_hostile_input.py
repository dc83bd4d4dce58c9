"""Hostile requests: each is refused in exact words, and the next client is answered."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from store.database import Store
from tests.ledger import record
from tests.server.asking import ToolFailed, ask
from tests.server.examples import LEDGER
from tests.server.running import Listening, listening, on_stdio

REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
PARSE_ERROR = {"code": -32700, "message": "Parse error"}
NO_REQUEST = {
    "code": -32600,
    "message": "Body must be a single JSON-RPC request or notification object",
}
DEEP = 100_000
IDLE = 20


@pytest.fixture(scope="module")
async def running(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Listening]:
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copy(sqlite_template, folder / "trades.db")
    async with listening("streamable-http", f"sqlite:///{folder}/trades.db", folder) as server:
        yield server


@pytest.fixture
async def door(running: Listening) -> AsyncIterator[Listening]:
    """One server for all; after each test it still answers, and nothing in it has crashed."""
    yield running
    assert await answered(running)
    assert "Traceback" not in running.log.read_text()


async def answered(door: Listening) -> bool:
    response = await post(door, asking("get_overview"))
    return response.status_code == 200 and not response.json()["result"].get("isError")


def asking(tool: str, arguments: str = "{}", identity: str = "1") -> bytes:
    """A call of `tool`; `arguments` and `identity` are JSON as text, valid or not."""
    params = f'{{"name": "{tool}", "arguments": {arguments}, "_meta": {json.dumps(META)}}}'
    return (
        f'{{"jsonrpc": "2.0", "id": {identity}, "method": "tools/call", "params": {params}}}'
    ).encode()


async def post(
    door: Listening, body: bytes, tool: str = "get_overview", **headers: str
) -> httpx2.Response:
    usual = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": REVISION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx2.AsyncClient() as client:
        return await client.post(door.url, content=body, headers=usual | given)


async def refusal(door: Listening, tool: str, arguments: str) -> str:
    """What an agent reads when `tool` refuses."""
    response = await post(door, asking(tool, arguments), tool)
    assert response.status_code == 200
    result = response.json()["result"]
    assert result["isError"]
    return str(result["content"][0]["text"])


async def sent(door: Listening, raw: bytes) -> bytes:
    """The first line that answers `raw` bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(raw)
    async with asyncio.timeout(20):
        line = await reader.readline()
    writer.close()
    return line


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(asking("get_overview", "[" * DEEP + "]" * DEEP), id="deep arguments"),
        pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, id="deep body"),
        pytest.param(b"[" * DEEP, id="deep and unfinished"),
        pytest.param(asking("get_overview", '{"account": "\xff"}').replace(b"\xc3\xbf", b"\xff"),
                     id="no UTF-8"),
        pytest.param(asking("get_trade", f'{{"number": {"9" * 5_000}}}'), id="endless number"),
        pytest.param(asking("get_overview", identity="9" * 5_000), id="endless id"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x1f\x8b\x08\x00", id="gzip"),
    ],
)  # fmt: skip
async def test_what_is_no_json_is_a_parse_error(door: Listening, body: bytes) -> None:
    response = await post(door, body)

    assert (response.status_code, response.json()["error"]) == (400, PARSE_ERROR)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" + asking("get_overview") + b"]", id="batch"),
        pytest.param(b"null", id="null"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(asking("get_overview", identity="{}"), id="an object as id"),
        pytest.param(asking("get_overview", identity="null"), id="no id"),
        pytest.param(b'{"jsonrpc": "2.0", "id": 1, "method": 7}', id="a number as method"),
        pytest.param(b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []}', id="list"),
    ],
)
async def test_what_is_no_request_is_said(door: Listening, body: bytes) -> None:
    response = await post(door, body)

    assert (response.status_code, response.json()["error"]) == (400, NO_REQUEST)


@pytest.mark.parametrize("arguments", ["[]", "1", '"x"', "true"])
async def test_arguments_that_are_no_object_are_refused(door: Listening, arguments: str) -> None:
    response = await post(door, asking("get_overview", arguments))

    assert response.status_code == 400
    assert response.json()["error"]["message"] == "Invalid request parameters"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("get_trade_history", r'{"ticker": "A\u0000B"}',
         "Argument 'ticker' is 'A?B'; text is accepted."),
        ("get_trade_history", r'{"ticker": "\ud800"}',
         "ticker has a NUL or a lone surrogate; plain text is accepted."),
        ("get_overview", r'{"\ud800": 1}', "Unknown argument '?'; accepted are account, mode."),
        ("get_trade", '{"number": ' + "9" * 4_000 + "}",
         f"Argument 'number' is {'9' * 80}...; a whole number from 1 to 1000000000 is accepted."),
        ("get_trade", '{"number": "' + "9" * 900 + '"}',
         f"Argument 'number' is '{'9' * 79}...; a whole number from 1 to 1000000000 is accepted."),
        ("get_trade", '{"number": 1e999}',
         "Argument 'number' is inf; a whole number from 1 to 1000000000 is accepted."),
        ("get_win_rate_by_score", '{"min": NaN}',
         "Argument 'min' is nan; a number from 0 to 100 is accepted."),
        ("get_win_rate_by_score", '{"min": -Infinity}',
         "Argument 'min' is -inf; a number from 0 to 100 is accepted."),
        ("get_trade_history", '{"limit": 5, "limit": 0}',
         "Argument 'limit' is 0; a whole number from 1 to 100 is accepted."),
        ("get_trade_history", '{"ticker": ' + "[" * 500 + "]" * 500 + "}",
         f"Argument 'ticker' is {'[' * 80}...; text is accepted."),
    ],
    ids=["NUL", "surrogate", "surrogate name", "long number", "long number as text", "1e999",
         "NaN", "-Infinity", "the last of a name given twice counts", "nested"],
)  # fmt: skip
async def test_a_hostile_argument_is_refused_in_words(
    door: Listening, tool: str, arguments: str, said: str
) -> None:
    assert await refusal(door, tool, arguments) == said


async def test_a_hostile_id_comes_back_as_it_was(door: Listening) -> None:
    response = await post(door, asking("get_overview", identity=r'"\ud800<b>"'))

    assert (response.status_code, response.json()["id"]) == (200, "\ud800<b>")


async def test_a_body_over_4_mib_is_refused(door: Listening) -> None:
    response = await post(door, asking("get_trade_history", '{"ticker": "%s"}' % ("x" * 2**22)))

    assert (response.status_code, response.text) == (413, "Request body too large")


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Host": "evil.example"}, 421, "Invalid Host header"),
        ({"Host": ""}, 421, "Invalid Host header"),
        ({"Origin": "http://evil.example"}, 403, "Invalid Origin header"),
        ({"Origin": "null"}, 403, "Invalid Origin header"),
        ({"Content_Type": "text/plain"}, 400, "Invalid Content-Type header"),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 400, "Invalid Content-Type header"),
        ({"Content_Type": "multipart/form-data"}, 400, "Invalid Content-Type header"),
    ],
)
async def test_what_a_web_page_could_send_is_refused(
    door: Listening, headers: dict[str, str], status: int, said: str
) -> None:
    response = await post(door, asking("get_overview"), **headers)

    assert (response.status_code, response.text) == (status, said)


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/mcp/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//mcp"]
)
async def test_there_are_no_other_paths(door: Listening, path: str) -> None:
    raw = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\n\r\n".encode()

    assert await sent(door, raw) == b"HTTP/1.1 404 Not Found\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\r\n\r\n", id="TLS"),
        pytest.param(b"GET /mcp HTTP/1.1\r\nX: " + b"a" * 100_000, id="a header of 100 kB"),
        pytest.param(b"GET /mcp HTTP/1.1\r\nHost: a\x00b\r\n\r\n", id="NUL in a header"),
    ],
)
async def test_what_is_no_http_is_refused(door: Listening, raw: bytes) -> None:
    assert await sent(door, raw) == b"HTTP/1.1 400 Bad Request\r\n"


async def test_a_resource_outside_of_the_server_is_not_read(door: Listening) -> None:
    uri = "file:///etc/passwd"
    params = {"uri": uri, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": params}

    response = await post(door, json.dumps(body).encode(), uri, Mcp_Method="resources/read")

    assert response.json()["error"]["message"] == f"Unknown resource: {uri}"


async def test_clients_that_never_finish_keep_nobody_from_an_answer(door: Listening) -> None:
    """Chunks without an end; the usual client is answered beside them."""
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nContent-Type: application/json"
        f"\r\nMCP-Protocol-Version: {REVISION}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"
    )
    async with AsyncExitStack() as stack:
        for _ in range(IDLE):
            _reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            stack.callback(writer.close)
            writer.write(head.encode())
            await writer.drain()

        assert await answered(door)


async def test_noise_on_stdin_is_passed_over(tmp_path: Path) -> None:
    target = on_stdio(f"sqlite:///{tmp_path}/trades.db")
    process = await asyncio.create_subprocess_exec(
        target.command, *target.args, env=target.env,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, limit=2**20,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    noise = [b"{", b"\xff\xfe", b"[" * DEEP, b'{"jsonrpc": "2.0", "id": "\\ud800"}', b"9" * 5_000]
    process.stdin.write(b"\n".join([*noise, asking("get_overview", identity="77"), b""]))
    async with asyncio.timeout(60):
        while b'"id":77' not in (line := await process.stdout.readline()):
            assert line, "The server has ended."
    process.stdin.close()
    await process.wait()

    assert b"The store is empty." in line


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("get_trade_history", {"ticker": "'; DROP TABLE trades; --"}),
        ("get_trade_history", {"strategy": "' OR 1=1 --"}),
        ("get_overview", {"account": "\\'; DELETE FROM trades; --"}),
        ("get_trade_history", {"ticker": "%"}),
        ("get_strategy_performance", {"strategy": "_" * 9}),
    ],
)
async def test_sql_in_an_argument_is_a_name_nobody_knows(
    store: Store, tool: str, arguments: dict[str, Any]
) -> None:
    await record(store, LEDGER)

    with pytest.raises(ToolFailed, match=r"^No (ticker|strategy|account) .*Known, nearest first"):
        await ask(store, tool, **arguments)


@pytest.mark.parametrize("fact", ["a\0=b", "\ud800=1", "x=1e400", "'; DROP TABLE trades; --=1"])
async def test_a_hostile_fact_of_a_setup_is_one_nobody_recorded(store: Store, fact: str) -> None:
    await record(store, LEDGER)

    answer = await ask(store, "check_setup", ticker="AAPL", conditions=[fact])

    assert (answer["evidence_for"], answer["evidence_against"]) == ([], [])


@pytest.mark.parametrize("cursor", ["A" * 1_000, "e30=", "W10=", "é", "bnVsbA==", "../.."])
async def test_a_forged_cursor_is_refused(store: Store, cursor: str) -> None:
    await record(store, LEDGER)

    with pytest.raises(ToolFailed, match=r"^The cursor is not one of this list in order newest;"):
        await ask(store, "get_trade_history", cursor=cursor)
