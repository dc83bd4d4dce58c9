"""Put a question to the store as an agent does: through a server and a client of the SDK."""

import json
from typing import Any

from mcp import Client
from mcp.types import CallToolResult, TextContent

from mcp_server.server import build
from store.database import Store


class ToolFailed(Exception):  # noqa: N818
    """The tool refused; the text is what the agent reads."""


async def ask(store: Store, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer of `tool`.

    Raises:
        ToolFailed: the tool refused.
    """
    return answer_in(await call(store, tool, arguments))


async def read(store: Store, tool: str, **arguments: Any) -> str:
    """The text of the answer of `tool`, which agents without structured content read.

    Raises:
        ToolFailed: the tool refused.
    """
    result = await call(store, tool, arguments)
    answer_in(result)
    return text_in(result)


async def call(store: Store, tool: str, arguments: dict[str, Any]) -> CallToolResult:
    """What a client gets; it checks structured content against the announced shape.

    Exceptions are for after the client is closed: leaving it by one makes a group of them.
    """
    async with Client(build(store)) as client:
        return await client.call_tool(tool, arguments)


def answer_in(result: CallToolResult) -> dict[str, Any]:
    if result.is_error:
        raise ToolFailed(text_in(result))
    assert result.structured_content is not None
    return dict(result.structured_content)


def text_in(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


def tokens(what: Any) -> float:
    """The size of what an agent is given, by the design's measure: compact bytes / 4."""
    compact = (
        what
        if isinstance(what, str)
        else json.dumps(what, separators=(",", ":"), ensure_ascii=False)
    )
    return len(compact.encode()) / 4
