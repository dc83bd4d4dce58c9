"""The keys that seal secrets: list them, rotate them, forget what seals nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from store.cli.terminal import as_json_option, run, say, say_list
from store.database import Store

if TYPE_CHECKING:
    from store.keyring import Keyring


@click.group()
def keys() -> None:
    """The keys that seal broker tokens and other secrets at rest."""


@keys.command("list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the ids of the keys; the first one seals. Which ones are in use is said."""
    from store.keyring import load_keyring  # Cryptography costs 30 ms, here and below.
    from store.rotating import used_key_ids

    async def listed(store: Store) -> list[dict[str, object]]:
        keyring, used = load_keyring(store.settings), await used_key_ids(store)
        return [
            {"key": one, "current": one == keyring.current.id, "in_use": one in used}
            for one in (*keyring.ids, *sorted(used - set(keyring.ids)))
        ]

    say_list(run(listed), key_line, as_json=as_json, none="No keys yet.")


def key_line(one: Mapping[str, Any]) -> str:
    seals = "seals" if one["current"] else "opens"
    return f"{one['key']}: {seals}, {'in use' if one['in_use'] else 'unused'}"


@keys.command()
def rotate() -> None:
    """Make a new key and seal everything again with it; killed, run it again.

    With keys from the environment put the new one first yourself, then run this. The old
    keys stay until `keys forget`.
    """
    from store.keyring import given_keys, load_keyring, rotate_file
    from store.rotating import reseal_everything, used_key_ids

    async def rotated(store: Store) -> tuple["Keyring", int]:
        keyring = load_keyring(store.settings)
        given = given_keys(store.settings)[1] is not None
        # What a run that was killed left over is done with the key that it made.
        unfinished = bool(await used_key_ids(store) - {keyring.current.id})
        if not given and not unfinished:
            keyring = rotate_file(store.settings)
        return keyring, await reseal_everything(store, keyring)

    keyring, done = run(rotated)
    say(f"Key {keyring.current.id} seals; {done} secrets were sealed again with it.")


@keys.command()
def forget() -> None:
    """Drop the keys of the key file that seal nothing any more, once every server knows the new
    one: a server reads the file whenever it seals."""
    from store.keyring import forget_old
    from store.rotating import used_key_ids

    async def forgotten(store: Store) -> "Keyring":
        return forget_old(store.settings, await used_key_ids(store))

    say(f"Kept: {', '.join(run(forgotten).ids)}.")
