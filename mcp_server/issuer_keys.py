"""The public keys of an OAuth issuer, fetched when a token names one that is not known.

Anybody can name keys, so what that costs is bounded: one fetch at a time, and one in
`FETCH_EVERY_SECONDS`. A key that the issuer begins to use is known as soon.
"""

import asyncio
import time
from http.client import HTTPException
from math import inf
from typing import Any

from jwt import PyJWKClient, PyJWTError

KEYS_SECONDS = 300.0  # For so long keys are believed to be the issuer's.
FETCH_EVERY_SECONDS = 5.0
FETCH_SECONDS = 10.0


class KeysUnreachable(Exception):  # noqa: N818
    """The issuer's keys cannot be fetched: nobody can be believed or refused meanwhile."""


class IssuerKeys:
    """The keys at `url`, by their ids."""

    def __init__(self, url: str) -> None:
        self._client = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._known: dict[str, Any] = {}
        self._fetched_at = self._tried_at = -inf
        self._failed = False
        self._one_fetch = asyncio.Lock()

    async def named(self, key_id: str) -> Any | None:
        """The key `key_id`; None if the issuer has no such key.

        Raises:
            KeysUnreachable: the issuer does not say which keys it has.
        """
        if not self._fresh or key_id not in self._known:
            async with self._one_fetch:
                # Whoever waited meanwhile finds what was fetched.
                if not self._fresh or key_id not in self._known:
                    await self._fetch()
        if not self._fresh or (self._failed and key_id not in self._known):
            raise KeysUnreachable
        return self._known.get(key_id)

    @property
    def _fresh(self) -> bool:
        return time.monotonic() - self._fetched_at < KEYS_SECONDS

    async def _fetch(self) -> None:
        if time.monotonic() - self._tried_at < FETCH_EVERY_SECONDS:
            return
        self._tried_at = time.monotonic()
        try:
            found = await asyncio.to_thread(self._client.get_signing_keys)
        except (PyJWTError, OSError, HTTPException, ValueError, RecursionError):
            self._failed = True
            return
        self._known = {str(key.key_id): key.key for key in found}
        self._fetched_at, self._failed = time.monotonic(), False
