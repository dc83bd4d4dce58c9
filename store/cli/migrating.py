"""The schema: migrate it, roll it back, say where it stands."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import click

from store import schema
from store.cli.storage import storage_as_dict, storage_lines
from store.cli.terminal import PATIENT_SECONDS, as_json_option, say, say_json, shown
from store.database import Store
from store.errors import StoreError
from store.growth import Storage, forecast
from store.settings import Settings, load_settings
from store.storage import storage


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
@click.option(
    "--thorough", is_flag=True, help="Measure the tables of a large SQLite file, too: reads it all."
)
@as_json_option
def status(thorough: bool, as_json: bool) -> None:
    """Say which database is used, where its schema stands, how large it is and how it grows;
    changes nothing.

    With STORE_QUOTA=500MB it says when that is reached, and warns from 80 % on.
    """
    settings = load_settings()
    found, used = asyncio.run(status_of(settings, thorough=thorough))
    full = None
    if isinstance(used, Storage) and settings.quota:
        full = forecast(used, settings.quota, datetime.now(UTC))
    if as_json:
        say_json({**schema_as_dict(found), "storage": storage_as_dict(used, full)})
        return
    say_schema(found, as_json)
    for line in storage_lines(used, full):
        say(line)


async def status_of(
    settings: Settings, *, thorough: bool
) -> tuple[schema.SchemaStatus, Storage | StoreError | None]:
    """Where the schema stands; and the storage, why it cannot be measured, or None where there
    is none of this program's schema."""
    found = await schema.status(settings)
    if not found.up_to_date:
        return found, None
    if thorough:
        settings = settings.model_copy(update={"statement_timeout_seconds": PATIENT_SECONDS})
    store = Store(settings)
    try:
        async with store.operate() as session:
            return found, await storage(session, datetime.now(UTC), thorough=thorough)
    except StoreError as error:  # A login that may not take the operator's role.
        return found, error
    finally:
        await store.close()


def say_schema(found: schema.SchemaStatus, as_json: bool) -> None:
    if as_json:
        say_json(schema_as_dict(found))
        return
    say(f"{found.database}: schema {found.current or 'not there yet'}, {advice(found)}")


def schema_as_dict(found: schema.SchemaStatus) -> dict[str, Any]:
    return {
        "database": found.database,
        "schema": found.current,
        "newest": found.head,
        "up_to_date": found.up_to_date,
        "known": found.known,
    }


def advice(found: schema.SchemaStatus) -> str:
    if found.up_to_date:
        return "up to date"
    if not found.known:
        return f"newer than this program, which knows {found.head}"
    return f"newest is {found.head}; run `trade-history migrate`"
