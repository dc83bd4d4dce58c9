"""Connections to brokers: the token comes from a prompt or stdin, never from the command."""

import click

from store.cli.terminal import (
    as_json_option,
    run,
    said_secret,
    say_done,
    say_list,
    user_option,
)
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


@click.group(epilog="Example: trade-history connections list")
def connections() -> None:
    """How brokers are reached; their tokens are sealed and never shown."""


@connections.command("set", epilog="Example: trade-history connections set tradier < token.txt")
@broker_argument
@environment_option
@user_option
@as_json_option
def set_(broker: Broker, environment: BrokerEnvironment, user: int | None, as_json: bool) -> None:
    """Keep the token of BROKER, read from stdin or asked for."""
    token = said_secret("Token")

    async def put(store: Store) -> None:
        keyring = load_keyring(store.settings)
        async with store.write(user) as session:
            await put_connection(session, keyring, broker, environment, token)

    run(put)
    done = f"{broker} ({environment}): the token is kept, sealed."
    say_done({"broker": broker, "environment": environment}, done, as_json)


@connections.command("list", epilog="Example: trade-history connections list --json")
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


@connections.command(epilog="Example: trade-history connections remove tradier")
@broker_argument
@environment_option
@user_option
@as_json_option
def remove(broker: Broker, environment: BrokerEnvironment, user: int | None, as_json: bool) -> None:
    """Forget the token of BROKER."""

    async def removed(store: Store) -> None:
        async with store.write(user) as session:
            await remove_connection(session, broker, environment)

    run(removed)
    done = f"{broker} ({environment}): forgotten."
    say_done({"broker": broker, "environment": environment}, done, as_json)
