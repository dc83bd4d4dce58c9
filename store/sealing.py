"""Secrets, sealed so that the database alone does not tell them.

A sealed secret is the text `v1.<key id>.<base64url of nonce and ciphertext>`: AES-256-GCM
under a key derived from one of the keyring's, with a random nonce of 96 bits. It opens only
at the place it was sealed for ("broker_connections/7/tradier/live/token"): pasted into the
row of another user, broker or field it is refused.
"""

import base64
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from store.errors import Invalid
from store.keyring import Keyring, MasterKey

VERSION = "v1"
PURPOSE = b"trade-history/sealed/v1"
SECRET_BYTES_MAX = 8 * 1024
NONCE_BYTES = 12
TAG_BYTES = 16
ENVELOPE = re.compile(rf"{VERSION}\.([0-9a-f]{{8}})\.([A-Za-z0-9_-]+)")


def seal(keyring: Keyring, secret: str, *, place: str) -> str:
    """Seal `secret` with the current key, for `place`; each time the text is another.

    Raises:
        Invalid: the secret is empty, longer than 8 KiB, or not text.
    """
    held = SecretStr(secret)
    del secret  # A traceback that shows local variables must not show it.
    problem = _problem(held)
    if problem:
        raise Invalid(problem)
    key, nonce = keyring.current, os.urandom(NONCE_BYTES)
    bound = _bound(key.id, place)
    sealed = _cipher(key).encrypt(nonce, held.get_secret_value().encode(), bound)
    return f"{VERSION}.{key.id}.{_text(nonce + sealed)}"


def unseal(keyring: Keyring, sealed: str, *, place: str) -> SecretStr:
    """The secret that was sealed for `place`, by any key of the keyring.

    Raises:
        Invalid: it is not a sealed secret, was changed, belongs to another place, or its
            key is not here. The message tells nothing of it but the id of its key.
    """
    key_id, body = _parts(sealed)
    key = keyring.find(key_id)
    if key is None:
        raise Invalid(
            f"A secret is sealed with key {key_id}, which this process does not have; "
            f"known are {', '.join(keyring.ids)}."
        )
    secret = _opened(key, body, _bound(key_id, place))
    if secret is None:
        raise Invalid("A sealed secret does not open: it was changed, or belongs to another place.")
    return secret


def key_id_of(sealed: str) -> str:
    """The id of the key that opens it; whether it does is not tried.

    Raises:
        Invalid: it is not a sealed secret.
    """
    return _parts(sealed)[0]


def is_current(keyring: Keyring, sealed: str) -> bool:
    return key_id_of(sealed) == keyring.current.id


def reseal(keyring: Keyring, sealed: str, *, place: str) -> str:
    """The same secret for the same place, sealed with the current key."""
    return seal(keyring, unseal(keyring, sealed, place=place).get_secret_value(), place=place)


def _problem(secret: SecretStr) -> str | None:
    try:
        size = len(secret.get_secret_value().encode())
    except UnicodeEncodeError:
        return "A secret that is not text cannot be sealed; Unicode text is accepted."
    if 1 <= size <= SECRET_BYTES_MAX:
        return None
    return f"A secret of {size} bytes cannot be sealed; 1 to {SECRET_BYTES_MAX} are accepted."


def _cipher(key: MasterKey) -> AESGCM:
    return AESGCM(key.derive(PURPOSE))


def _bound(key_id: str, place: str) -> bytes:
    """What the ciphertext is bound to, each part behind its length: no two lists look alike."""
    parts = (VERSION.encode(), key_id.encode(), place.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _parts(sealed: str) -> tuple[str, bytes]:
    """The key's id, and nonce with ciphertext."""
    found = ENVELOPE.fullmatch(sealed)
    body = _body(found[2]) if found else b""
    if found and body:
        return found[1], body
    raise Invalid(f"A sealed secret is malformed; {VERSION}.<key id>.<base64url> is accepted.")


def _body(text: str) -> bytes:
    """Empty unless `text` is what sealing writes: the last digit may have no bits to spare."""
    try:
        body = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    size = len(body) - NONCE_BYTES - TAG_BYTES
    return body if 1 <= size <= SECRET_BYTES_MAX and _text(body) == text else b""


def _text(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _opened(key: MasterKey, body: bytes, bound: bytes) -> SecretStr | None:
    nonce, ciphertext = body[:NONCE_BYTES], body[NONCE_BYTES:]
    try:
        return SecretStr(_cipher(key).decrypt(nonce, ciphertext, bound).decode())
    except (InvalidTag, UnicodeDecodeError):
        return None  # Nothing is raised here, where the error at hand may hold the secret.
