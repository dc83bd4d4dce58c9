"""OAuth 2.1, as the resource server: tokens that an issuer signed for this server.

The server issues none and passes none on; it checks signature, issuer, audience and expiry
against the issuer's published keys, and reads the user's number from one claim.
"""

import asyncio
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.models import Tier, User
from store.tokens import Caller

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")  # None symmetric.
KEYS_SECONDS = 300
FETCH_SECONDS = 10
LEEWAY_SECONDS = 30


@dataclass(frozen=True)
class Claims:
    """What a valid token says: the user, and what its bearer may do."""

    user_id: int
    scopes: frozenset[str]
    client: str


class KeysUnreachable(Exception):  # noqa: N818
    """The issuer's keys cannot be fetched: nobody can be believed or refused meanwhile."""


class Issuer:
    """An authorization server whose tokens are believed."""

    def __init__(self, issuer: str, audience: str, jwks_url: str, user_claim: str) -> None:
        from jwt import PyJWKClient  # Not needed on stdio.

        self.issuer = issuer
        self._audience = audience
        self._user_claim = user_claim
        self._keys = PyJWKClient(
            jwks_url, cache_jwk_set=True, lifespan=KEYS_SECONDS, timeout=FETCH_SECONDS
        )

    async def claims(self, text: str) -> Claims | None:
        """What the token `text` says; None if it is not to be believed.

        Raises:
            KeysUnreachable: the issuer does not answer.
        """
        from jwt import PyJWKClientConnectionError, PyJWTError

        try:
            # The key client blocks; it asks the issuer only for keys it has not seen.
            key = await asyncio.to_thread(self._keys.get_signing_key_from_jwt, text)
            return self._read(self._decoded(text, key))
        except PyJWKClientConnectionError:
            raise KeysUnreachable from None
        except (PyJWTError, ValueError):
            return None

    def _decoded(self, text: str, key: Any) -> dict[str, Any]:
        import jwt

        decoded: dict[str, Any] = jwt.decode(
            text,
            key.key,
            algorithms=list(ALGORITHMS),
            audience=self._audience,
            issuer=self.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"]},
        )
        return decoded

    def _read(self, said: dict[str, Any]) -> Claims | None:
        user = str(said.get(self._user_claim, ""))
        if not (user.isascii() and user.isdigit() and len(user) < 16 and int(user) > 0):
            return None
        scopes = said.get("scope", said.get("scp", ""))
        words = scopes.split() if isinstance(scopes, str) else [str(one) for one in scopes]
        client = str(said.get("client_id") or said.get("azp") or said.get("sub") or "unknown")
        return Claims(int(user), frozenset(words), client[:100])


async def caller_named(session: AsyncSession, claims: Claims) -> Caller | None:
    """The user that an issuer's token names, if there is such a user."""
    tier = await session.scalar(
        select(Tier).join(User, User.tier == Tier.name).where(User.user_id == user_of(session))
    )
    if tier is None:
        return None
    return Caller(
        user_id=claims.user_id,
        scopes=claims.scopes,
        token=f"oauth:{claims.client}",
        tier=tier.name,
        calls_per_minute=tier.calls_per_minute,
    )
