"""The gate of the network: nobody passes without a token, nor more often than it allows.

It stands before everything that is served over HTTP. Refusals are JSON-RPC errors, whose
text MCP clients show, and under /api problems, with the status and headers that HTTP has
for them.
"""

import asyncio
import logging
from math import ceil
from time import time

from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server.callers import Callers
from mcp_server.door import caller
from mcp_server.issuer_keys import KeysUnreachable
from mcp_server.problems import is_api, problem_response
from store.errors import Invalid, Unavailable
from store.tokens import Caller

NEEDED_SCOPE = "trades:read"
UNAUTHORIZED, FORBIDDEN, TOO_MANY, AWAY = -32001, -32003, -32029, -32002
AWAY_SECONDS = 5
COUNT_SECONDS = 5.0  # For Redis to answer.
LONGEST_TOKEN = 16_384

log = logging.getLogger(__name__)


class Limiter:
    """How often each token may call: counted in this process, or in Redis for several."""

    def __init__(self, url: str) -> None:
        try:
            # Wrapped, for every kind of storage raises its own kinds of errors.
            storage = storage_from_string(f"async+{url}", wrap_exceptions=True)
        except Exception:  # Whatever it is, its words may hold Redis's password.
            storage = None
        if storage is None:
            raise Invalid(
                "TRADE_HISTORY_RATE_LIMIT_URL cannot be used; memory:// or redis://host:port is"
                " accepted, the latter where trade-history-mcp[redis] is installed."
            )
        self._strategy = MovingWindowRateLimiter(storage)

    async def seconds_to_wait(self, asking: Caller) -> int:
        """0 if the call is within the tier's limit, and counted; else when the next one is."""
        if asking.calls_per_minute is None:
            return 0
        async with asyncio.timeout(COUNT_SECONDS):
            return await self._counted(asking, asking.calls_per_minute)

    async def _counted(self, asking: Caller, calls_per_minute: int) -> int:
        limit = RateLimitItemPerMinute(calls_per_minute)
        key = (str(asking.user_id), asking.token)
        if await self._strategy.hit(limit, *key):
            return 0
        window = await self._strategy.get_window_stats(limit, *key)
        return max(1, ceil(window.reset_time - time()))


class Refusal(Exception):  # noqa: N818
    """What is answered instead."""

    def __init__(self, status: int, code: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers


class Gate:
    """`application` for those whose token may read; `metadata_url` tells others where to ask."""

    def __init__(
        self,
        application: ASGIApp,
        callers: Callers,
        limiter: Limiter,
        metadata_url: str | None = None,
    ) -> None:
        self._application = application
        self._callers = callers
        self._limiter = limiter
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # Nothing else is served.
        try:
            asking = await self._admitted(Headers(scope=scope))
        except Refusal as refusal:
            await answer_to(refusal, scope["path"])(scope, receive, send)
            return
        # The SDK compares it, so that a session goes on for the token that began it.
        identity = AccessToken(
            token="",  # Nothing behind the gate needs it.
            client_id=f"{asking.user_id}/{asking.token}",
            scopes=sorted(asking.scopes),
            subject=str(asking.user_id),
        )
        scope["user"] = AuthenticatedUser(identity)
        before = caller.set(asking)
        try:
            await self._application(scope, receive, send)
        finally:
            caller.reset(before)

    async def _admitted(self, headers: Headers) -> Caller:
        asking = await self._believed(bearer(headers))
        if asking is None:
            raise self._unauthorized("The token is unknown, expired or revoked.", "invalid_token")
        if NEEDED_SCOPE not in asking.scopes:
            raise Refusal(
                403,
                FORBIDDEN,
                f"The token lacks the scope {NEEDED_SCOPE}.",
                **self._challenge("insufficient_scope", scope=NEEDED_SCOPE),
            )
        if seconds := await self._seconds_to_wait(asking):
            raise Refusal(
                429,
                TOO_MANY,
                f"More than {asking.calls_per_minute} calls in a minute, the limit of the tier"
                f" {asking.tier}; wait {seconds} s.",
                **{"retry-after": str(seconds)},
            )
        return asking

    async def _believed(self, text: str | None) -> Caller | None:
        if text is None:
            raise self._unauthorized("A token is needed: Authorization: Bearer TOKEN.")
        if len(text) > LONGEST_TOKEN:
            return None
        try:
            return await self._callers.named_by(text)
        except Unavailable as error:
            # Where the database is and what ails it is nothing for strangers.
            log.warning("No token can be looked up: %s", error)
            raise away("The store that knows the tokens is away; its operator finds why in the"
                       " server's log.") from None  # fmt: skip
        except KeysUnreachable:
            raise away("The keys of the OAuth issuer cannot be fetched.") from None

    async def _seconds_to_wait(self, asking: Caller) -> int:
        try:
            return await self._limiter.seconds_to_wait(asking)
        except (StorageError, OSError):
            raise away("The calls of tokens cannot be counted: Redis is away.") from None

    def _unauthorized(self, message: str, error: str | None = None) -> Refusal:
        return Refusal(401, UNAUTHORIZED, message, **self._challenge(error))

    def _challenge(self, error: str | None, **more: str) -> dict[str, str]:
        """RFC 6750's header, with RFC 9728's pointer to whoever gives tokens."""
        said = {"error": error, **more, "resource_metadata": self._metadata_url}
        parts = [f'{name}="{value}"' for name, value in said.items() if value]
        return {"www-authenticate": " ".join(["Bearer", ", ".join(parts)]).strip()}


def bearer(headers: Headers) -> str | None:
    kind, _, text = headers.get("authorization", "").partition(" ")
    return text.strip() or None if kind.lower() == "bearer" else None


def away(message: str) -> Refusal:
    return Refusal(503, AWAY, message, **{"retry-after": str(AWAY_SECONDS)})


def answer_to(refusal: Refusal, path: str) -> Response:
    """What says so, to whoever asks there."""
    if is_api(path):
        return problem_response(refusal.status, str(refusal), refusal.headers)
    error = {"code": refusal.code, "message": str(refusal)}
    body = {"jsonrpc": "2.0", "id": None, "error": error}
    return JSONResponse(body, refusal.status, {"cache-control": "no-store", **refusal.headers})
