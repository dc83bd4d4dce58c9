"""OAuth 2.1, as the resource server: tokens that an issuer signed for this server.

The server issues none and passes none on; it checks signature, issuer, audience and expiry
against the issuer's published keys, and reads the user's number from one claim.
"""

from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWTError

from mcp_server.issuer_keys import IssuerKeys

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")  # None symmetric.
LEEWAY_SECONDS = 30
# What PyJWT raises at forgeries: a key of another kind is a TypeError, nesting a RecursionError.
UNBELIEVABLE = (PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Claims:
    """What a valid token says: the user, and what its bearer may do."""

    user_id: int
    scopes: frozenset[str]
    client: str


class Issuer:
    """An authorization server whose tokens are believed."""

    def __init__(self, issuer: str, audience: str, jwks_url: str, user_claim: str) -> None:
        self.issuer = issuer
        self._audience = audience
        self._user_claim = user_claim
        self._keys = IssuerKeys(jwks_url)

    async def claims(self, text: str) -> Claims | None:
        """What the token `text` says; None if it is not to be believed.

        Raises:
            KeysUnreachable: the issuer does not answer.
        """
        key_id = key_named_by(text)
        key = None if key_id is None else await self._keys.named(key_id)
        if key is None:
            return None
        said = self._verified(text, key)
        return None if said is None else self._read(said)

    def _verified(self, text: str, key: Any) -> dict[str, Any] | None:
        try:
            said: dict[str, Any] = jwt.decode(
                text,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._audience,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except UNBELIEVABLE:
            return None
        return said

    def _read(self, said: dict[str, Any]) -> Claims | None:
        user = str(said.get(self._user_claim, ""))
        if not (user.isascii() and user.isdigit() and len(user) < 16 and int(user) > 0):
            return None
        client = str(said.get("client_id") or said.get("azp") or said.get("sub") or "unknown")
        # It is kept in the record, where not every letter can be.
        shown = "".join(letter if " " <= letter <= "~" else "?" for letter in client[:100])
        return Claims(int(user), words_of(said.get("scope", said.get("scp"))), shown)


def key_named_by(text: str) -> str | None:
    """The id of the key that is said to have signed the token `text`; None if it is no token."""
    try:
        header = jwt.get_unverified_header(text)
    except UNBELIEVABLE:
        return None
    key_id = header.get("kid")
    return key_id if header.get("alg") in ALGORITHMS and isinstance(key_id, str) else None


def words_of(scope: Any) -> frozenset[str]:
    """Scopes as issuers write them: words in a text, or a list of words."""
    words = scope.split() if isinstance(scope, str) else scope
    if not isinstance(words, list):
        return frozenset()
    return frozenset(word for word in words if isinstance(word, str))
