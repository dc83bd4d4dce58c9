"""The keys that seal secrets: given by the environment, else kept in the data folder.

The file `keys` in the data folder is made when it is first needed; it is for one machine.
Where several machines share a database, each would make its own and could not open what
another sealed: there TRADE_HISTORY_KEYS (or TRADE_HISTORY_KEYS_FILE) says the same to all.

A process that keeps a keyring does not learn of a rotation. Load it for each use: a
keyring that is a day old seals with a key that may be forgotten by now.
"""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from store.errors import Invalid
from store.private_file import locked, read_private, replace_private
from store.settings import Settings, given_secret

KEY_BYTES = 32
KEY = re.compile(r"[0-9A-Fa-f]{64}|[A-Za-z0-9+/_-]{43}=?")
ID_PURPOSE = b"trade-history/key-id/v1"
ACCEPTED_KEYS = (
    "keys of 32 random bytes in base64 or hex are accepted, as `openssl rand -base64 32` prints "
    "them, the current one first, separated by commas or whitespace"
)


class MasterKey:
    """32 random bytes that nothing shows; `derive` gives another key for each purpose.

    `id` names the key and says nothing about it.
    """

    __slots__ = ("_material", "id")

    def __init__(self, material: bytes) -> None:
        self.id, self._material = "refused", material
        del material  # A traceback that shows local variables must not show it.
        if len(self._material) != KEY_BYTES:
            raise Invalid(f"A master key has {KEY_BYTES} bytes, not {len(self._material)}.")
        self.id = hashlib.sha256(self.derive(ID_PURPOSE)).hexdigest()[:8]

    def derive(self, purpose: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(self._material)

    def written(self) -> SecretStr:
        """The key as a file holds it."""
        return SecretStr(base64.b64encode(self._material).decode())

    def __repr__(self) -> str:
        return f"MasterKey({self.id})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A master key is neither pickled nor copied.")


class Keyring:
    """Master keys in order: the first, `current`, seals; all open."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterable[MasterKey]) -> None:
        self._keys: tuple[MasterKey, ...] = ()  # For its repr, should the next line fail.
        self._keys = tuple(keys)
        if not self._keys:
            raise Invalid("A keyring holds at least one master key.")
        if len(set(self.ids)) < len(self._keys):
            raise Invalid(f"Two keys have the same id ({', '.join(self.ids)}); each is given once.")

    @property
    def current(self) -> MasterKey:
        return self._keys[0]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(key.id for key in self._keys)

    def find(self, key_id: str) -> MasterKey | None:
        return next((key for key in self._keys if key.id == key_id), None)

    def __iter__(self) -> Iterator[MasterKey]:
        return iter(self._keys)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self.ids)})"


def load_keyring(settings: Settings) -> Keyring:
    """The keys of this process; without any, the first one is made and kept.

    Raises:
        Invalid: the keys, or the file that holds them, cannot be used.
    """
    variable, text = given_keys(settings)
    if text is not None:
        return parse_keys(variable, text)
    path = key_file(settings)
    return _read(path) or _change(path, lambda kept: kept or (fresh_key(),))


def rotate_file(settings: Settings) -> Keyring:
    """Put a fresh key first in the key file; the older ones stay and open what they sealed.

    Raises:
        Invalid: the keys are not kept in the file, or it cannot be used.
    """
    return _change(own_file(settings), lambda kept: (fresh_key(), *kept))


def forget_old(settings: Settings, used_ids: set[str]) -> Keyring:
    """Drop the keys that sealed nothing which is still kept; the current one stays.

    `used_ids` are those of every sealed value of every user. A process that still holds a
    keyring of before the rotation can seal with a key that is forgotten here: end it first.

    Raises:
        Invalid: the keys are not kept in the file, or it cannot be used.
    """

    def used(kept: tuple[MasterKey, ...]) -> tuple[MasterKey, ...]:
        current, *old = kept or (fresh_key(),)
        return (current, *(key for key in old if key.id in used_ids))

    return _change(own_file(settings), used)


def given_keys(settings: Settings) -> tuple[str, SecretStr | None]:
    """The keys as the environment gives them, and the name of the variable that does."""
    return given_secret(
        "TRADE_HISTORY_KEYS", settings.keys, settings.keys_file, accepted=ACCEPTED_KEYS
    )


def key_file(settings: Settings) -> Path:
    """The file `keys`, or what a link of that name leads to: a link is never replaced."""
    return Path(os.path.realpath(settings.data_folder() / "keys"))


def own_file(settings: Settings) -> Path:
    variable, text = given_keys(settings)
    if text is None:
        return key_file(settings)
    raise Invalid(
        f"The keys are given by {variable}, which only you can change: put a new key first, "
        "keep the old ones behind it until `trade-history keys rotate` is done, then remove them."
    )


def fresh_key() -> MasterKey:
    return MasterKey(os.urandom(KEY_BYTES))


def parse_keys(source: str, text: SecretStr) -> Keyring:
    """The keys that `text` lists.

    Raises:
        Invalid: it lists none, or not keys alone; the message names `source`, never the text.
    """
    wrong = [place for place, word in enumerate(_words(text), 1) if not KEY.fullmatch(word)]
    if wrong:
        raise Invalid(f"{source}: key {wrong[0]} is not one; {ACCEPTED_KEYS}.")
    if not _words(text):
        raise Invalid(f"{source}: no key is there; {ACCEPTED_KEYS}.")
    return Keyring(MasterKey(_decoded(word)) for word in _words(text))


def _words(text: SecretStr) -> list[str]:
    return text.get_secret_value().replace(",", " ").split()


def _decoded(word: str) -> bytes:
    if len(word) == 2 * KEY_BYTES:
        return bytes.fromhex(word)
    return base64.b64decode(word.replace("-", "+").replace("_", "/")[:43] + "=")


def _read(path: Path) -> Keyring | None:
    try:
        text = read_private(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = error.strerror
    else:
        return parse_keys(str(path), text)
    raise Invalid(f"{path} cannot be read: {problem}.")


def _change(
    path: Path, change: Callable[[tuple[MasterKey, ...]], tuple[MasterKey, ...]]
) -> Keyring:
    """Keep what `change` makes of the keys kept so far, none if there is no file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path):
            kept = tuple(_read(path) or ())
            keyring = Keyring(change(kept))
            if tuple(keyring) != kept:
                replace_private(path, _listed(keyring))
            return _read(path) or keyring
    except OSError as error:
        problem = error.strerror
    raise Invalid(
        f"{path} cannot be written: {problem}; keys can also be given by TRADE_HISTORY_KEYS."
    )


def _listed(keyring: Keyring) -> SecretStr:
    return SecretStr("".join(f"{key.written().get_secret_value()}\n" for key in keyring))
