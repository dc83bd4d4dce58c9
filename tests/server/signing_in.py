"""Tokens, and what is done with them over HTTP: by a bare HTTP client and by the SDK's."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from store.database import Store
from store.schema import add_user
from store.tokens import create_token, revoke_token
from tests.server.running import Listening

READ = ("trades:read",)
REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
WITHIN_SECONDS = 60


async def token(
    store: Store,
    user_id: int = 1,
    scopes: Sequence[str] = READ,
    *,
    expires_at: datetime | None = None,
) -> str:
    """The text of a new token; the user is made if there is none."""
    await add_user(store, user_id, f"user {user_id}")
    async with store.write(user_id) as session:
        return (await create_token(session, "a program", scopes, expires_at=expires_at)).text


async def revoke(store: Store, user_id: int, number: int) -> None:
    async with store.write(user_id) as session:
        await revoke_token(session, number)


def bearer(text: str | None) -> dict[str, str]:
    return {} if text is None else {"Authorization": f"Bearer {text}"}


@asynccontextmanager
async def signed_in(
    server: Listening, text: str | None, mode: Literal["auto", "legacy"] = "auto"
) -> AsyncIterator[Client]:
    """The SDK's client, over the transport that the server's address names."""
    if server.url.endswith("/sse"):
        async with Client(sse_client(server.url, headers=bearer(text)), mode=mode) as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(headers=bearer(text)) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=mode) as client,
    ):
        yield client


async def post(
    server: Listening, text: str | None, tool: str = "get_overview", **headers: str
) -> httpx2.Response:
    """One call of a tool, as a client of today's protocol makes it."""
    usual = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": REVISION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
        **bearer(text),
    }
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": {}, "_meta": META},
    }
    async with httpx2.AsyncClient(timeout=WITHIN_SECONDS) as client:
        return await client.post(server.url, json=body, headers=usual | headers)


def refusal(response: httpx2.Response) -> str:
    """What the body of a refusal says, which is JSON-RPC's."""
    said = json.loads(response.text)
    assert (said["jsonrpc"], said["id"]) == ("2.0", None)
    return str(said["error"]["message"])


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    """What `true` gives, as soon as it is anything."""
    async with asyncio.timeout(WITHIN_SECONDS):
        while not (found := await true()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found


async def until_status(server: Listening, text: str | None, status: int) -> httpx2.Response:
    """The first answer that has the status."""

    async def answered() -> httpx2.Response | None:
        response = await post(server, text)
        return response if response.status_code == status else None

    found: httpx2.Response = await until(answered)
    return found
