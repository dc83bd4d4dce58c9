"""Asks Tradier, and gives what it answers or a sentence that says why there is nothing.

Reading only. The token is in one header of requests to one host: redirects are not followed,
certificates are checked, and no error carries a request or an answer.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from store.brokers.tradier.answers import Answer, members
from store.connections import BASE_URLS, BrokerEnvironment
from store.errors import Invalid, NotFound, Refused, Unavailable
from store.settings import Environment, load

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

SECONDS = 20  # For one answer.
ATTEMPTS = 4
PAUSE_SECONDS = 1.0  # Before asking again; twice as long each time.
WAIT_MAX_SECONDS = 65.0  # The limits on calls are by the minute.
LARGEST_ANSWER = 16 * 1024 * 1024
PAGE = 500
PAGES_MAX = 1_000
SYMBOLS_AT_ONCE = 100
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class TradierSettings(Environment):
    """Where Tradier is: its own addresses unless a stand-in on this machine is named."""

    accepted: ClassVar[dict[str, str]] = {
        "TRADE_HISTORY_TRADIER_URL": "an http address on this machine, or one of Tradier's own"
    }
    url: str | None = Field(default=None, validation_alias="TRADE_HISTORY_TRADIER_URL")

    def base_url(self, environment: BrokerEnvironment) -> str:
        """Raises:
        Invalid: the address is neither Tradier's nor on this machine.
        """
        known = BASE_URLS["tradier", environment]
        if self.url is None or self.url.rstrip("/") == known:
            return known
        parts = urlsplit(self.url)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.username:
            raise Invalid(
                "TRADE_HISTORY_TRADIER_URL is not usable;"
                f" {self.accepted['TRADE_HISTORY_TRADIER_URL']} is accepted: {known}."
            )
        return self.url.rstrip("/")


class Tradier:
    """One user's connection. Lists are given whole, page after page."""

    def __init__(self, http: "AsyncClient", pause_seconds: float) -> None:
        self._http = http
        self._pause_seconds = pause_seconds
        self._wait_until = 0.0

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        token: SecretStr,
        environment: BrokerEnvironment,
        *,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> AsyncIterator[Self]:
        import httpx2

        def with_token(request: httpx2.Request) -> httpx2.Request:
            request.headers["Authorization"] = f"Bearer {token.get_secret_value()}"
            return request

        async with httpx2.AsyncClient(
            base_url=load(TradierSettings).base_url(environment),
            headers={"Accept": "application/json"},
            auth=with_token,
            timeout=SECONDS,
            follow_redirects=False,
        ) as http:
            yield cls(http, pause_seconds)

    async def accounts(self) -> list[Answer]:
        answer = await self._ask("/user/profile")
        profile = answer.get("profile") if isinstance(answer, dict) else None
        return members({"profile": profile}, "profile", "account")

    async def orders(self, account: str) -> list[Answer]:
        """Of the day, and those that are working."""
        answer = await self._ask(f"/accounts/{account}/orders", includeTags="true")
        return members(answer, "orders", "order")

    async def history(self, account: str, since: date | None) -> list[Answer]:
        """What was posted from `since` on; a day is posted in the night after it."""
        return await self._pages(f"/accounts/{account}/history", "history", "event", since)

    async def gain_loss(self, account: str, since: date | None) -> list[Answer]:
        """Positions closed from `since` on."""
        path = f"/accounts/{account}/gainloss"
        return await self._pages(path, "gainloss", "closed_position", since)

    async def positions(self, account: str) -> list[Answer]:
        answer = await self._ask(f"/accounts/{account}/positions")
        return members(answer, "positions", "position")

    async def quotes(self, symbols: Sequence[str]) -> list[Answer]:
        """Of those `symbols` that Tradier knows."""
        found: list[Answer] = []
        for start in range(0, len(symbols), SYMBOLS_AT_ONCE):
            some = ",".join(symbols[start : start + SYMBOLS_AT_ONCE])
            answer = await self._ask("/markets/quotes", symbols=some, greeks="false")
            quotes = answer.get("quotes") if isinstance(answer, dict) else None
            # With none known there is only a list of those that are not.
            if isinstance(quotes, dict) and "quote" not in quotes:
                continue
            found += members(answer, "quotes", "quote")
        return found

    async def clock(self) -> Answer:
        answer = await self._ask("/markets/clock")
        clock = answer.get("clock") if isinstance(answer, dict) else None
        return clock if isinstance(clock, dict) else {}

    async def _pages(self, path: str, outer: str, inner: str, since: date | None) -> list[Answer]:
        found: list[Answer] = []
        asked: dict[str, str] = {} if since is None else {"start": since.isoformat()}
        for page in range(1, PAGES_MAX + 1):
            answer = await self._ask(path, page=str(page), limit=str(PAGE), **asked)
            some = members(answer, outer, inner)
            found += some
            if len(some) < PAGE:
                return found
        raise Invalid(f"Tradier's {outer} has more than {PAGES_MAX * PAGE} rows; say --since.")

    async def _ask(self, path: str, **query: str) -> Any:
        """What Tradier answers, asked again where that may help."""
        import httpx2

        problem = ""
        for attempt in range(ATTEMPTS):
            await self._wait(attempt)
            try:
                async with self._http.stream("GET", path, params=query) as response:
                    self._heed(response)
                    body = await _body(response)
                if response.status_code < 300:
                    return _read(body)
                problem = _refused_or(response.status_code)
            except httpx2.TimeoutException:
                problem = f"did not answer within {SECONDS} seconds"
            except httpx2.HTTPError as error:
                problem = f"cannot be reached ({type(error).__name__})"
        # Raised out here: what went wrong holds the request, and that the token.
        raise Unavailable(
            f"Tradier {problem}; nothing of this was recorded. Try again later.",
            again="yes", away=False,
        )  # fmt: skip

    async def _wait(self, attempt: int) -> None:
        pause = self._pause_seconds * 2 ** (attempt - 1) if attempt else 0.0
        until_then = min(self._wait_until - time.time(), WAIT_MAX_SECONDS)
        await asyncio.sleep(max(pause, until_then, 0.0))

    def _heed(self, response: "Response") -> None:
        """Wait for the next minute once the calls of this one are used up."""
        available = response.headers.get("X-Ratelimit-Available", "")
        expiry = response.headers.get("X-Ratelimit-Expiry", "")
        used_up = response.status_code == 429 or available.strip() == "0"
        if used_up and expiry.isascii() and expiry.isdigit() and len(expiry) < 20:
            self._wait_until = int(expiry) / 1000


async def _body(response: "Response") -> bytes:
    found = bytearray()
    async for part in response.aiter_bytes():
        found += part
        if len(found) > LARGEST_ANSWER:
            raise Invalid(
                f"Tradier answered more than {LARGEST_ANSWER >> 20} MB at once; say --since."
            )
    return bytes(found)


def _refused_or(status: int) -> str:
    """What went wrong, where asking again may help.

    Raises:
        Refused, NotFound, Invalid: it does not help.
    """
    if status in (401, 403):
        raise Refused(
            f"Tradier refuses the token ({status}); `trade-history connections set tradier` takes"
            " another one, and --environment says for which of sandbox and live."
        )
    if status == 404:
        raise NotFound("Tradier knows no such account (404).")
    if status == 429:
        return "wants fewer calls for now (429)"
    if status < 500:
        raise Invalid(f"Tradier does not take the question ({status}); nothing was recorded.")
    return f"has a problem of its own ({status})"


def _read(body: bytes) -> Any:
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        pass
    raise Invalid("Tradier answered something that is no JSON; nothing of it is recorded.")


def _no_number(name: str) -> Any:
    raise ValueError(name)
