"""The keys that seal secrets: list them, rotate them, forget what seals nothing."""

from collections.abc import Mapping
from typing import Any

import click

from store.cli.terminal import WRONG, as_json_option, run, say, say_done, say_list
from store.database import Store
from store.keyring import Keyring, forget_old, given_keys, load_keyring, rotate_file
from store.rotating import reseal_everything, used_key_ids


@click.group(epilog="Example: trade-history keys list")
def keys() -> None:
    """The keys that seal broker tokens and other secrets at rest."""


@keys.command("list", epilog="Example: trade-history keys list --json")
@as_json_option
def list_(as_json: bool) -> None:
    """List the ids of the keys; the first one seals. A key that something is sealed with and
    that this machine does not have is missing."""

    async def listed(store: Store) -> list[dict[str, object]]:
        keyring, used = load_keyring(store.settings), await used_key_ids(store)
        return [
            {"key": one, "current": one == keyring.current.id, "in_use": one in used,
             "missing": one not in keyring.ids}
            for one in (*keyring.ids, *sorted(used - set(keyring.ids)))
        ]  # fmt: skip

    say_list(run(listed), key_line, as_json=as_json, none="No keys yet.")


def key_line(one: Mapping[str, Any]) -> str:
    does = "seals" if one["current"] else "missing" if one["missing"] else "opens"
    return f"{one['key']}: {does}, {'in use' if one['in_use'] else 'unused'}"


@keys.command(epilog="Example: trade-history keys rotate")
@as_json_option
@click.pass_context
def rotate(ctx: click.Context, as_json: bool) -> None:
    """Make a new key and seal everything again with it; killed, run it again.

    With keys from the environment put the new one first yourself, then run this. The old
    keys stay until `keys forget`.
    """

    async def rotated(store: Store) -> tuple[Keyring, int, set[str]]:
        keyring = load_keyring(store.settings)
        given = given_keys(store.settings)[1] is not None
        # What a run that was killed left over is done with the key that it made.
        older = set(keyring.ids) - {keyring.current.id}
        if not given and not older & await used_key_ids(store):
            keyring = rotate_file(store.settings)
        done = await reseal_everything(store, keyring)
        return keyring, done, await used_key_ids(store) - set(keyring.ids)

    keyring, done, missing = run(rotated)
    told = {"key": keyring.current.id, "sealed_again": done, "missing": sorted(missing)}
    line = f"Key {keyring.current.id} seals; {done} secrets were sealed again with it."
    say_done(told, line, as_json)
    if missing:
        if not as_json:
            say(f"Not opened, for this machine lacks their keys: what {', '.join(missing)} sealed.")
        ctx.exit(WRONG)


@keys.command(epilog="Example: trade-history keys forget")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@as_json_option
def forget(yes: bool, as_json: bool) -> None:
    """Drop the keys of the key file that seal nothing in this database any more.

    What another database or a backup holds, sealed with them, nobody opens again.
    """
    if not yes:
        click.confirm(
            "Does no other database, and no backup, need the older keys of this machine?",
            abort=True,
            err=True,
        )

    async def forgotten(store: Store) -> Keyring:
        return forget_old(store.settings, await used_key_ids(store))

    kept = run(forgotten).ids
    say_done({"kept": kept}, f"Kept: {', '.join(kept)}.", as_json)
