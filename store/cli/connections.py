"""Connections to brokers: the token comes from a prompt or stdin, never from the command."""

import sys

import click
from pydantic import SecretStr

from store.cli.terminal import as_json_option, run, say, say_list, user_option
from store.connections import (
    BASE_URLS,
    BROKERS,
    ENVIRONMENTS,
    Broker,
    BrokerEnvironment,
    list_connections,
    put_connection,
    remove_connection,
)
from store.database import Store
from store.keyring import load_keyring

broker_argument = click.argument("broker", type=click.Choice(BROKERS))
environment_option = click.option(
    "--environment", type=click.Choice(ENVIRONMENTS), default="live", show_default=True
)


@click.group()
def connections() -> None:
    """How brokers are reached; their tokens are sealed and never shown."""


@connections.command("set")
@broker_argument
@environment_option
@user_option
def set_(broker: Broker, environment: BrokerEnvironment, user: int | None) -> None:
    """Keep the token of BROKER, read from stdin or asked for."""
    if sys.stdin.isatty():
        token = SecretStr(click.prompt("Token", hide_input=True, err=True))
    else:
        token = SecretStr(sys.stdin.readline().strip())

    async def put(store: Store) -> None:
        keyring = load_keyring(store.settings)
        async with store.write(user) as session:
            await put_connection(session, keyring, broker, environment, token)

    run(put)
    say(f"{broker} ({environment}): the token is kept, sealed.")


@connections.command("list")
@user_option
@as_json_option
def list_(user: int | None, as_json: bool) -> None:
    """List the connections; their tokens stay sealed."""

    async def listed(store: Store) -> list[dict[str, object]]:
        async with store.read(user) as session:
            return [
                {"broker": one.broker, "environment": one.environment,
                 "url": BASE_URLS[one.broker, one.environment], "updated_at": one.updated_at}
                for one in await list_connections(session)
            ]  # fmt: skip

    say_list(
        run(listed),
        "{broker} ({environment}): {url}, token kept since {updated_at:%Y-%m-%d}".format_map,
        as_json=as_json,
        none="No connections yet.",
    )


@connections.command()
@broker_argument
@environment_option
@user_option
def remove(broker: Broker, environment: BrokerEnvironment, user: int | None) -> None:
    """Forget the token of BROKER."""

    async def removed(store: Store) -> None:
        async with store.write(user) as session:
            await remove_connection(session, broker, environment)

    run(removed)
    say(f"{broker} ({environment}): forgotten.")
