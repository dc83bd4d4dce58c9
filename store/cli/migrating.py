"""The schema: migrate it, roll it back, say where it stands."""

import asyncio

import click

from store import schema
from store.cli.terminal import as_json_option, say, say_json, shown
from store.settings import load_settings


@click.command(epilog="Example: trade-history migrate")
@as_json_option
def migrate(as_json: bool) -> None:
    """Bring the database's schema up to this program's."""
    say_schema(asyncio.run(schema.upgrade(load_settings())), as_json)


@click.command(epilog="Example: trade-history rollback 0001")
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@as_json_option
def rollback(revision: str, yes: bool, as_json: bool) -> None:
    """Take the schema back to REVISION, and with it everything that only newer ones keep:
    0001 has no tokens, connections, settings, tiers and log of calls, `base` no trades."""
    settings = load_settings()
    if not yes:
        lost = "every trade" if revision == "base" else f"what {revision} does not keep"
        name = settings.database().name
        click.confirm(shown(f"Remove {lost} from {name}?"), abort=True, err=True)
    say_schema(asyncio.run(schema.downgrade(settings, revision)), as_json)


@click.command(epilog="Example: trade-history status --json")
@as_json_option
def status(as_json: bool) -> None:
    """Say which database is used and where its schema stands; changes nothing."""
    say_schema(asyncio.run(schema.status(load_settings())), as_json)


def say_schema(found: schema.SchemaStatus, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "database": found.database,
                "schema": found.current,
                "newest": found.head,
                "up_to_date": found.up_to_date,
                "known": found.known,
            }
        )
        return
    say(f"{found.database}: schema {found.current or 'not there yet'}, {advice(found)}")


def advice(found: schema.SchemaStatus) -> str:
    if found.up_to_date:
        return "up to date"
    if not found.known:
        return f"newer than this program, which knows {found.head}"
    return f"newest is {found.head}; run `trade-history migrate`"
