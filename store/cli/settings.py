"""A user's settings: plain ones are shown, secret ones are only ever replaced."""

import click
from pydantic import SecretStr

from store.cli.terminal import (
    as_json_option,
    run,
    said_secret,
    say,
    say_done,
    say_json,
    say_list,
    user_option,
)
from store.database import Store
from store.errors import Invalid, NotFound
from store.keyring import load_keyring
from store.preferences import put_secret_setting, put_setting, remove_setting, settings_of
from store.vocabulary import label


@click.group(epilog="Example: trade-history settings list")
def settings() -> None:
    """What you prefer; secrets among it are sealed and never shown."""


@settings.command("list", epilog="Example: trade-history settings list --json")
@user_option
@as_json_option
def list_(user: int | None, as_json: bool) -> None:
    """List the settings; secret ones without their values."""
    found = [
        {"name": name, "value": value, "secret": value is None}
        for name, value in kept(user).items()
    ]
    say_list(
        found,
        lambda one: f"{one['name']}: {'(secret)' if one['secret'] else one['value']}",
        as_json=as_json,
        none="No settings yet.",
    )


@settings.command(epilog="Example: trade-history settings get theme")
@click.argument("name")
@user_option
@as_json_option
def get(name: str, user: int | None, as_json: bool) -> None:
    """Print the setting NAME. A secret one is refused: it is only ever replaced."""
    name, found = label("name of a setting", name), kept(user)
    if name not in found:
        raise NotFound(f"No setting '{name}'.")
    value = found[name]
    if value is None:
        raise Invalid(f"The setting '{name}' is secret and not shown; set it anew or unset it.")
    say_json({"name": name, "value": value}) if as_json else say(value)


@settings.command("set", epilog="Example: trade-history settings set theme dark")
@click.argument("name")
@click.argument("value", required=False)
@click.option("--secret", is_flag=True, help="Seal it; it is read from stdin or asked for.")
@user_option
@as_json_option
def set_(name: str, value: str | None, secret: bool, user: int | None, as_json: bool) -> None:
    """Keep VALUE under NAME, in the place of what was there."""
    if secret is (value is not None):
        raise click.UsageError(
            "Say a VALUE, or --secret: a secret on the command line is in the shell's history."
        )

    async def put(store: Store) -> None:
        async with store.write(user) as session:
            if value is not None:
                await put_setting(session, name, value)
            else:
                await put_secret_setting(session, load_keyring(store.settings), name, hidden)

    hidden = SecretStr("") if value is not None else said_secret("Value")
    run(put)
    say_done({"name": name, "secret": secret}, f"{name}: kept{', sealed' * secret}.", as_json)


@settings.command(epilog="Example: trade-history settings unset theme")
@click.argument("name")
@user_option
@as_json_option
def unset(name: str, user: int | None, as_json: bool) -> None:
    """Forget the setting NAME, plain or secret."""
    name = label("name of a setting", name)

    async def removed(store: Store) -> None:
        async with store.write(user) as session:
            await remove_setting(session, name)

    run(removed)
    say_done({"name": name}, f"{name}: forgotten.", as_json)


def kept(user: int | None) -> dict[str, str | None]:
    async def found(store: Store) -> dict[str, str | None]:
        async with store.read(user) as session:
            return await settings_of(session)

    return run(found)
