"""Over the network a token decides who asks, and nobody sees what is another's."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from mcp import MCPError
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mcp_server.cli import needs_tokens
from mcp_server.door import Door
from mcp_server.settings import NetworkSettings
from store.database import ROLE, Store
from store.errors import Invalid, Unavailable
from store.models import Trade
from store.schema import prepare
from store.settings import load
from tests.conftest import settings_for
from tests.ledger import record
from tests.postgres_server import Server, connect
from tests.server.asking import answer_in, text_in
from tests.server.examples import ASKED, LEDGER
from tests.server.running import NETWORK, Listening, free_port, listening, refused_to_start
from tests.server.signing_in import (
    bearer,
    post,
    refusal,
    revoke,
    signed_in,
    token,
    until,
    until_status,
)

ON = {"TRADE_HISTORY_AUTH": "on"}
HTTP = "streamable-http"
PUBLIC = {"TRADE_HISTORY_PUBLIC_URL": "https://trades.example.com"}
EVERYWHERE = ("--host", "0.0.0.0")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")
UNKNOWN = "The token is unknown, expired or revoked."
AWAY = "The store that knows the tokens is away; its operator finds why in the server's log."
THEIRS = """
    2026-01-05  THEIRTICKER  +777.77  strategy their_strategy  scanner 99  condition their=1
    2026-01-06  AAPL  -333.33  strategy their_strategy  account their_account
"""


@pytest.fixture(scope="module")
async def one_server(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Listening, Store]]:
    """A server that asks for tokens, and its store, for all tests that change neither."""
    folder = tmp_path_factory.mktemp("gate")
    shutil.copy(sqlite_template, folder / "trades.db")
    url = f"sqlite:///{folder}/trades.db"
    store = Store(settings_for(url))
    await prepare(store)
    await token(store)
    async with listening(HTTP, url, folder, **ON) as server:
        yield server, store
        assert "Traceback" not in server.log.read_text()
    await store.close()


@pytest.fixture
def door(one_server: tuple[Listening, Store]) -> Listening:
    return one_server[0]


@pytest.fixture
def opened(one_server: tuple[Listening, Store]) -> Store:
    return one_server[1]


async def test_without_a_token_nothing_is_answered(door: Listening) -> None:
    response = await post(door, None)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["cache-control"] == "no-store"
    assert refusal(response) == "A token is needed: Authorization: Bearer TOKEN."


async def test_the_sdk_client_shows_why_it_is_refused(door: Listening) -> None:
    with pytest.raises(MCPError, match="A token is needed: Authorization: Bearer TOKEN"):
        await overview(door, None, mode="legacy")


async def overview(
    server: Listening, text: str | None, mode: Literal["auto", "legacy"] = "auto"
) -> dict[str, Any]:
    """The answer to the SDK's client; its group of exceptions is opened."""
    try:
        async with signed_in(server, text, mode) as client:
            return answer_in(await client.call_tool("get_overview", {}))
    except BaseExceptionGroup as group:
        raise only(group) from None


def only(group: BaseException) -> BaseException:
    return only(group.exceptions[0]) if isinstance(group, BaseExceptionGroup) else group


@pytest.mark.parametrize(
    "header",
    [
        "", "Bearer", "Basic dXNlcjpwYXNz", "Token th_1_1_x", "th_1_1_x",
    ],
)  # fmt: skip
async def test_what_is_no_bearer_token_is_none(door: Listening, header: str) -> None:
    response = await post(door, None, Authorization=header)

    assert response.status_code == 401
    assert refusal(response).startswith("A token is needed")


@pytest.mark.parametrize(
    "text",
    [
        "x", "th_1_1_", f"th_1_1_{'A' * 43}", f"th_9_1_{'A' * 43}", f"th_{'9' * 16}_1_{'A' * 43}",
        f"th_{'9' * 400}_1_{'A' * 43}", "a.b.c", "x" * 16_000, "x" * 20_000, "{}", "'; --",
    ],
)  # fmt: skip
async def test_an_unknown_token_is_refused(door: Listening, text: str) -> None:
    response = await post(door, text)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert refusal(response) == UNKNOWN


async def test_bytes_that_are_no_ascii_are_an_unknown_token(door: Listening) -> None:
    async with httpx2.AsyncClient() as client:
        response = await client.post(
            door.url, json={}, headers=[(b"Authorization", b"Bearer th_1_1_\xff\xc3\xa9")]
        )

    assert (response.status_code, refusal(response)) == (401, UNKNOWN)


async def test_a_token_in_the_address_is_no_token(door: Listening, opened: Store) -> None:
    text = await token(opened)
    async with httpx2.AsyncClient() as client:
        response = await client.post(f"{door.url}?access_token={text}&token={text}", json={})

    assert response.status_code == 401


async def test_every_path_and_method_asks_for_a_token(door: Listening) -> None:
    root = door.url.removesuffix("/mcp")
    async with httpx2.AsyncClient() as client:
        for path in ("", "/", "/mcp", "/mcp/", "/sse", "/messages/", "/metrics", "/.well-known/x"):
            for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PUT", "TRACE"):
                response = await client.request(method, root + path)
                assert response.status_code == 401, (method, path)


async def test_nothing_but_http_is_spoken(door: Listening, opened: Store) -> None:
    """An upgrade to a websocket is no way around the gate."""
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    async with httpx2.AsyncClient() as client:
        response = await client.get(door.url, headers=upgrade)

    assert response.status_code == 401


async def test_an_expired_token_is_refused(door: Listening, opened: Store) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    text = await token(opened, expires_at=soon)
    assert (await post(door, text)).status_code == 200

    response = await until_status(door, text, 401)

    assert datetime.now(UTC) > soon
    assert refusal(response) == UNKNOWN


async def test_a_token_that_is_revoked_is_refused_within_seconds(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text, other = await token(store), await token(store)
    async with listening(HTTP, database_url, tmp_path, **ON) as server:
        assert (await post(server, text)).status_code == 200
        await revoke(store, 1, 1)
        response = await until_status(server, text, 401)
        assert (await post(server, other)).status_code == 200

    assert refusal(response) == UNKNOWN


async def test_a_token_without_the_scope_to_read_is_refused(door: Listening, opened: Store) -> None:
    response = await post(door, await token(opened, scopes=("trades:write", "admin")))

    assert response.status_code == 403
    assert response.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", scope="trades:read"'
    )
    assert refusal(response) == "The token lacks the scope trades:read."


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Host", "evil.example", 421),
        ("Host", "evil.example:8000", 421),
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
    ],
)
async def test_a_page_from_elsewhere_is_refused_though_it_has_a_token(
    door: Listening, opened: Store, header: str, value: str, status: int
) -> None:
    text = await token(opened)

    assert (await post(door, text, **{header: value})).status_code == status
    assert (await post(door, text)).status_code == 200


# Two users at one server.


async def told(server: Listening, text: str, mode: Literal["auto", "legacy"]) -> dict[str, Any]:
    """What every tool says to whoever has the token."""
    said: dict[str, Any] = {}
    async with signed_in(server, text, mode) as client:
        for tool in (await client.list_tools()).tools:
            asked = ASKED.get(tool.name, {})
            wide = {"mode": "all"} if "mode" in tool.input_schema["properties"] else {}
            result = await client.call_tool(tool.name, asked | wide)
            answer = answer_in(result)
            answer["provenance"].pop("as_of")
            # The text says the same, but for the moment.
            said[tool.name] = answer, MOMENT.sub("", text_in(result))
    return said


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("transport", NETWORK)
async def test_users_of_one_server_see_their_own_trades_only(
    transport: str,
    mode: Literal["auto", "legacy"],
    store: Store,
    database_url: str,
    tmp_path: Path,
) -> None:
    await record(store, LEDGER)
    mine = await token(store)
    async with listening(transport, database_url, tmp_path, **ON) as server:
        alone = await told(server, mine, mode)
        await record(store, THEIRS, user_id=2)
        theirs = await token(store, 2)
        both = await asyncio.gather(
            *(told(server, text, mode) for text in (mine, theirs, mine, theirs))
        )

    of_mine, of_theirs = str(both[0]), str(both[1])
    assert "their" not in of_mine.lower().replace("their own", "")
    assert "THEIRTICKER" in of_theirs
    assert "leap_call" not in of_theirs
    assert both[2] == both[0]
    assert both[3] == both[1]
    assert both[0] == alone


OPENING = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {},
               "clientInfo": {"name": "test", "version": "1"}},
}  # fmt: skip
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
OVERVIEW = {
    "jsonrpc": "2.0", "id": 2, "method": "tools/call",
    "params": {"name": "get_overview", "arguments": {}},
}  # fmt: skip
ACCEPT = {"Accept": "application/json, text/event-stream"}


async def test_a_session_goes_on_for_its_own_token_only(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, LEDGER)
    await record(store, THEIRS, user_id=2)
    mine, another_of_mine, theirs = (
        await token(store), await token(store), await token(store, 2),
    )  # fmt: skip
    async with (
        listening(HTTP, database_url, tmp_path, **ON) as server,
        httpx2.AsyncClient(headers=ACCEPT, timeout=60) as http,
    ):

        async def send(text: str | None, what: Any, method: str = "POST") -> httpx2.Response:
            return await http.request(method, server.url, json=what, headers=session | bearer(text))

        session: dict[str, str] = {}
        opened = await send(mine, OPENING)
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"]}
        assert (await send(mine, READY)).status_code == 202

        for stranger in (theirs, another_of_mine):
            assert (await send(stranger, OVERVIEW)).status_code == 404
            assert (await send(stranger, None, "GET")).status_code == 404
            assert (await send(stranger, None, "DELETE")).status_code == 404
        assert (await send(None, OVERVIEW)).status_code == 401
        answer = await send(mine, OVERVIEW)

    assert answer.status_code == 200
    assert "leap_call" in answer.text
    assert "their" not in answer.text.lower()


async def test_an_sse_stream_takes_messages_of_its_own_token_only(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    mine, theirs = await token(store), await token(store, 2)
    async with (
        listening("sse", database_url, tmp_path, **ON) as server,
        httpx2.AsyncClient(timeout=60) as http,
        http.stream("GET", server.url, headers=bearer(mine)) as stream,
    ):
        lines = stream.aiter_lines()
        path = await anext(line[6:] async for line in lines if line.startswith("data: /messages"))
        where = f"http://127.0.0.1:{server.port}{path}"

        async def status(text: str | None) -> int:
            return (await http.post(where, json=OPENING, headers=bearer(text))).status_code

        assert await status(theirs) == 404
        assert await status(None) == 401
        assert await status(mine) == 202


async def test_a_stranger_to_the_stream_is_not_told_of_its_session(
    door: Listening, opened: Store
) -> None:
    """A session of somebody else looks as one that never was."""
    mine, theirs = await token(opened), await token(opened, 2)
    async with httpx2.AsyncClient(headers=ACCEPT, timeout=60) as http:
        begun = await http.post(door.url, json=OPENING, headers=bearer(mine))
        identity = begun.headers["mcp-session-id"]
        said = []
        for session in (identity, "0" * len(identity)):
            response = await http.post(
                door.url, json=OVERVIEW, headers={"Mcp-Session-Id": session, **bearer(theirs)}
            )
            said.append((response.status_code, response.json()["error"]))

    assert said[0] == said[1]


# Where tokens are asked for.


def network(**variables: str) -> NetworkSettings:
    return NetworkSettings(_env_file=None, **{name: SecretStr(value) if "RATE" in name else value
                                              for name, value in variables.items()})  # type: ignore[arg-type]  # fmt: skip


ISSUED = {
    "TRADE_HISTORY_OAUTH_ISSUER": "https://issuer.example",
    "TRADE_HISTORY_OAUTH_JWKS_URL": "https://issuer.example/keys",
}


@pytest.mark.parametrize(
    ("transport", "host", "variables", "needed"),
    [
        ("stdio", "127.0.0.1", ON, False),
        (HTTP, "127.0.0.1", {}, False),
        ("sse", "localhost", {}, False),
        (HTTP, "::1", {}, False),
        (HTTP, "127.8.8.8", {}, False),
        (HTTP, "127.0.0.1", {"TRADE_HISTORY_AUTH": "OFF"}, False),
        (HTTP, "127.0.0.1", {"TRADE_HISTORY_PUBLIC_URL": "http://localhost:8000"}, False),
        (HTTP, "127.0.0.1", ON, True),
        ("sse", "localhost", ON, True),
        (HTTP, "127.0.0.1", ISSUED, True),
        (HTTP, "127.0.0.1", PUBLIC, True),
        (HTTP, "0.0.0.0", PUBLIC, True),
        ("sse", "::", PUBLIC, True),
        (HTTP, "trades.internal", PUBLIC, True),
        (HTTP, "0.0.0.0", {**PUBLIC, **ON}, True),
    ],
)
def test_tokens_are_asked_for_wherever_others_can_reach_the_server(
    transport: str, host: str, variables: dict[str, str], needed: bool
) -> None:
    assert needs_tokens(transport, host, network(**variables)) is needed


@pytest.mark.parametrize(
    ("host", "variables", "said"),
    [
        ("0.0.0.0", {**PUBLIC, "TRADE_HISTORY_AUTH": "off"},
         "--host 0.0.0.0 can be reached by others, so TRADE_HISTORY_AUTH=off is refused;"),
        ("127.0.0.1", {**PUBLIC, "TRADE_HISTORY_AUTH": "off"},
         "TRADE_HISTORY_PUBLIC_URL=https://trades.example.com can be reached by others, so"
         " TRADE_HISTORY_AUTH=off is refused;"),
        ("::", {}, "--host :: can be reached by others, so TRADE_HISTORY_PUBLIC_URL is needed:"),
    ],
)  # fmt: skip
def test_others_are_never_let_in_without_tokens(
    host: str, variables: dict[str, str], said: str
) -> None:
    with pytest.raises(Invalid) as refused:
        needs_tokens(HTTP, host, network(**variables))

    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Trades.Example.COM/", "https://trades.example.com"),
        ("https://trades.example.com:443", "https://trades.example.com"),
        ("http://trades.example.com:80/", "http://trades.example.com"),
        ("https://trades.example.com:8443/a/", "https://trades.example.com:8443/a"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_a_public_address_is_kept_as_clients_say_it(given: str, kept: str) -> None:
    assert network(TRADE_HISTORY_PUBLIC_URL=given).public_url == kept


@pytest.mark.parametrize(
    "given",
    [
        "trades.example.com", "ftp://trades.example.com", "https://", "https://me:canary@host",
        "https://host:port", "https://host:99999", "https://host?a=1", "https://host#a",
        "https://ho st",
    ],
)  # fmt: skip
def test_what_is_no_public_address_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRADE_HISTORY_PUBLIC_URL", given)

    with pytest.raises(Invalid) as refused:
        load(NetworkSettings)

    assert str(refused.value) == (
        "TRADE_HISTORY_PUBLIC_URL is not usable; an address like https://trades.example.com is"
        " accepted."
    )


async def test_on_loopback_it_serves_the_local_user_without_tokens(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, LEDGER)
    async with listening(HTTP, database_url, tmp_path) as server:
        answer = await overview(server, None)
        with_nonsense = await post(server, "nonsense")
        said = server.log.read_text()

    assert answer["scope"]["trades"] == 3
    assert with_nonsense.status_code == 200
    assert "without tokens, for this machine only" in said


async def test_the_whole_network_is_served_under_the_public_name(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    text = await token(store)
    async with listening(HTTP, database_url, tmp_path, *EVERYWHERE, **PUBLIC) as server:
        assert (await post(server, None)).status_code == 401
        assert (await post(server, text)).status_code == 200
        for host in ("evil.example", f"10.0.0.7:{server.port}", "trades.example.com.evil.example"):
            assert (await post(server, text, Host=host)).status_code == 421
        named = {"Host": "trades.example.com"}
        assert (await post(server, None, **named)).status_code == 401
        assert (await post(server, text, **named)).status_code == 200
        public, evil = "https://trades.example.com", "https://evil.example"
        assert (await post(server, text, **named, Origin=public)).status_code == 200
        assert (await post(server, text, **named, Origin=evil)).status_code == 403
        assert "tokens are asked for" in server.log.read_text()


@pytest.mark.usefixtures("store")
async def test_without_any_token_it_does_not_start(database_url: str, tmp_path: Path) -> None:
    code, said = await refused_to_start(
        database_url, tmp_path, "--transport", HTTP, *EVERYWHERE, **PUBLIC
    )

    assert (code, said) == (
        2,
        "trade-history-mcp: Tokens are asked for and there is none: run `trade-history tokens"
        " create NAME`.\n",
    )


async def test_with_revoked_tokens_only_it_does_not_start(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await token(store)
    await revoke(store, 1, 1)

    code, said = await refused_to_start(database_url, tmp_path, "--transport", "sse", **ON)

    assert code == 2
    assert "there is none" in said


async def test_switched_off_it_does_not_start_for_others(tmp_path: Path) -> None:
    code, said = await refused_to_start(
        f"sqlite:///{tmp_path}/trades.db", tmp_path, "--transport", HTTP, *EVERYWHERE,
        **PUBLIC, TRADE_HISTORY_AUTH="off",
    )  # fmt: skip

    assert (code, said.count("\n")) == (2, 1)
    assert "TRADE_HISTORY_AUTH=off is refused" in said


@pytest.mark.parametrize("value", ["maybe", "1", "true"])
async def test_a_switch_that_says_neither_on_nor_off_is_refused(value: str, tmp_path: Path) -> None:
    code, said = await refused_to_start(
        f"sqlite:///{tmp_path}/trades.db", tmp_path, TRADE_HISTORY_AUTH=value
    )

    assert (code, said) == (
        2, "trade-history-mcp: TRADE_HISTORY_AUTH is not one of its values; on or off is"
        " accepted.\n",
    )  # fmt: skip


# While the database is away.


class Cable:
    """A way to the database that can be cut and mended, on a port of its own."""

    def __init__(self, server: Server) -> None:
        self.port = free_port()
        self._server = server
        self._mended: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._mended = await asyncio.start_server(self._join, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._mended is not None:
            self._mended.close()
            for line in self._lines:
                line.transport.abort()
            self._mended = None

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._server.host, self._server.port)
        self._lines |= {writer, far_writer}

        async def carry(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
            try:
                while said := await one.read(65_536):
                    other.write(said)
                    await other.drain()
            except OSError:
                pass
            finally:
                other.close()

        await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))
        self._lines -= {writer, far_writer}


@asynccontextmanager
async def cable_to(server: Server) -> AsyncIterator[Cable]:
    cable = Cable(server)
    try:
        yield cable
    finally:
        await cable.cut()


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_it_starts_while_the_database_is_away_and_recovers_by_itself(
    store: Store, database_url: str, server: Server, tmp_path: Path
) -> None:
    text = await token(store)
    async with cable_to(server) as cable:
        url = server.direct(database_url).replace(f":{server.port}/", f":{cable.port}/")
        async with listening(HTTP, url, tmp_path, **ON) as running:
            away = await post(running, text)
            stranger = await post(running, None)
            await cable.mend()
            up = await until_status(running, text, 200)
            await cable.cut()
            again = await until_status(running, text, 503)
            await cable.mend()
            await until_status(running, text, 200)
            log = running.log.read_text()

    for response in (away, again):
        assert (response.status_code, refusal(response)) == (503, AWAY)
        assert response.headers["retry-after"] == "5"
    assert stranger.status_code == 401
    assert up.json()["result"]["structuredContent"]["scope"]["trades"] == 0
    assert f"127.0.0.1:{cable.port}" in log, "the operator is told which store is away"
    assert "Traceback" not in log


# While the walls between users do not stand.


async def say(database_url: str, *statements: str) -> None:
    """As whoever owns the database."""
    if database_url.startswith("sqlite"):
        connection = sqlite3.connect(database_url.removeprefix("sqlite:///"))
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return
    postgres = await connect(database_url)
    for statement in statements:
        await postgres.execute(statement)
    await postgres.close()


BROKEN = {
    "no policy": "DROP POLICY own ON trades",
    "no wall": "ALTER TABLE fills DISABLE ROW LEVEL SECURITY",
    "no wall for the owner": "ALTER TABLE trades NO FORCE ROW LEVEL SECURITY",
    "a second policy": "CREATE POLICY more ON trades USING (true)",
    "a policy of another kind": "ALTER POLICY own ON api_tokens USING (true)",
    "a grant": f"GRANT DELETE ON trades TO {ROLE}",
    "no lock": "DROP TRIGGER guard ON api_tokens",
    "a lock switched off": "ALTER TABLE calls DISABLE TRIGGER append_only",
}


@pytest.mark.parametrize("dialect", ["postgresql"])
@pytest.mark.parametrize("broken", BROKEN)
async def test_it_does_not_start_where_a_wall_does_not_stand(
    broken: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    await token(store)
    await say(database_url, BROKEN[broken])

    code, said = await refused_to_start(database_url, tmp_path, "--transport", HTTP, **ON)

    assert (code, said.count("\n")) == (2, 1)
    assert re.match(
        r"trade-history-mcp: The walls between users do not stand as declared \(.+\)\. Restore"
        r" the database, or find out who changed it;",
        said,
    )


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_it_does_not_start_where_its_role_is_exempt_from_the_walls(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await token(store)
    await say(database_url, f"ALTER ROLE {ROLE} BYPASSRLS")
    try:
        code, said = await refused_to_start(database_url, tmp_path, "--transport", HTTP, **ON)
    finally:
        await say(database_url, f"ALTER ROLE {ROLE} NOBYPASSRLS")

    assert code == 2
    assert f"missing or changed: role {ROLE}" in said


@pytest.mark.parametrize("dialect", ["sqlite"])
@pytest.mark.parametrize("trigger", ["api_tokens_update", "calls_delete"])
async def test_it_does_not_start_where_a_lock_of_sqlite_is_gone(
    trigger: str, store: Store, database_url: str, tmp_path: Path
) -> None:
    await token(store)
    await say(database_url, f"DROP TRIGGER {trigger}")

    code, said = await refused_to_start(database_url, tmp_path, "--transport", HTTP, **ON)

    assert code == 2
    assert f"CREATE TRIGGER {trigger}" in said


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_nothing_is_served_when_a_database_comes_up_without_its_walls(
    store: Store, database_url: str, server: Server, tmp_path: Path
) -> None:
    text = await token(store)
    await say(database_url, "ALTER TABLE trades DISABLE ROW LEVEL SECURITY")
    async with cable_to(server) as cable:
        url = server.direct(database_url).replace(f":{server.port}/", f":{cable.port}/")
        async with listening(HTTP, url, tmp_path, **ON) as running:
            await cable.mend()

            async def walls_are_named() -> bool:
                assert (await post(running, text)).status_code == 503
                return "walls between users do not stand" in running.log.read_text()

            await until(walls_are_named)
            refused = await post(running, text)
            await say(database_url, "ALTER TABLE trades ENABLE ROW LEVEL SECURITY")
            await until_status(running, text, 200)

    assert refusal(refused) == AWAY


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_it_stops_serving_when_a_wall_is_taken_away(
    store: Store, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_server.door.WALLS_SECONDS", 0.0)
    door = Door(store, many=True)

    async def counted(session: AsyncSession) -> int | None:
        return await session.scalar(select(func.count()).select_from(Trade))

    before = await door.answer_as(1, counted)
    await say(database_url, "DROP POLICY own ON trades")
    with pytest.raises(Unavailable, match="walls between users do not stand"):
        await door.answer_as(1, counted)

    assert before == 0


async def test_it_starts_where_the_name_of_the_database_is_not_known(tmp_path: Path) -> None:
    url = "postgresql://me:canary@no-such-host.invalid/trades"
    async with listening(HTTP, url, tmp_path, **ON) as running:
        refused = await post(running, "th_1_1_" + "a" * 43)
        assert "its host name is not known" in running.log.read_text()

    assert refusal(refused) == AWAY
