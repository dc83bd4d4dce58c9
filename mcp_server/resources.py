"""Resources: the definitions, the tables, the overview, and each trade.

What is the same for everybody may be kept for a day; what is the user's own is read anew,
or when the server says that it changed.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.mcpserver.resources import Resource
from pydantic import PrivateAttr

from mcp_server.door import Door
from store.errors import NotFound, StoreError

DEFINITIONS, SCHEMA = "trades://definitions", "trades://schema"
OVERVIEW, TRADE = "trades://overview", "trades://trade/{number}"
NUMBER = re.compile("[1-9][0-9]{0,8}")
JSON, MARKDOWN = "application/json", "text/markdown"
DAY_MS = 86_400_000


class Words(Resource):
    """A text that is the same for everybody, put together when it is first read."""

    _text: Callable[[], str] = PrivateAttr()

    @classmethod
    def of(cls, uri: str, title: str, description: str, text: Callable[[], str]) -> "Words":
        made = cls(uri=uri, name=named(uri), title=title, description=description,
                   mime_type=MARKDOWN)  # fmt: skip
        made._text = text
        return made

    async def read(self) -> str:
        return self._text()


class Overview(Resource):
    """What the store holds for the user who asks."""

    _door: Door = PrivateAttr()

    @classmethod
    def through(cls, door: Door) -> "Overview":
        made = cls(
            uri=OVERVIEW,
            name=named(OVERVIEW),
            title="Overview",
            description="What the store holds: the answer of get_overview",
            mime_type=JSON,
        )
        made._door = door
        return made

    async def read(self) -> str:
        from store.queries.get_overview import get_overview

        return await told(self._door, OVERVIEW, {}, get_overview)


def resources(door: Door) -> list[Resource]:
    return [
        Words.of(DEFINITIONS, "Definitions", "What each number of an answer means", definitions),
        Words.of(SCHEMA, "Tables", "Tables, columns and units of the ledger", schema),
        Overview.through(door),
    ]


def definitions() -> str:
    from store.describing import definitions

    return definitions()


def schema() -> str:
    from store.describing import schema

    return schema()


def offer_trades(server: MCPServer[Any], door: Door) -> None:
    """Every trade of the user who asks, by its number."""

    @server.resource(
        TRADE,
        name="trade",
        title="One trade",
        description="A trade whole, without its notes: the answer of get_trade",
        mime_type=JSON,
    )
    async def trade(number: str) -> str:
        from store.queries.get_trade import get_trade

        if not NUMBER.fullmatch(number):
            raise ResourceNotFoundError("A trade has a whole number from 1 on.")
        return await told(door, TRADE, {"number": int(number)}, get_trade)


async def told(door: Door, uri: str, arguments: dict[str, Any], query: Callable[..., Any]) -> str:
    """The answer of `query` as JSON.

    Raises:
        ResourceError: the store refuses; the reason is for whoever asked.
    """
    try:
        answer = await door.logged(uri, arguments, lambda session: query(session, **arguments))
    except NotFound as error:
        raise ResourceNotFoundError(str(error)) from None
    except StoreError as error:
        raise ResourceError(str(error)) from None
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":"))


def named(uri: str) -> str:
    return uri.partition("://")[2]


async def lasting(ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
    """Say of what never changes how long it may be kept, where the protocol has words for it."""
    result = await call_next(ctx)
    uri = str((ctx.params or {}).get("uri"))
    same_for_all = uri in (DEFINITIONS, SCHEMA) or uri.startswith("skill://")
    if not (ctx.method == "resources/read" and same_for_all):
        return result
    if not (isinstance(result, dict) and "ttlMs" in result):
        return result
    return {**result, "ttlMs": DAY_MS, "cacheScope": "public"}
