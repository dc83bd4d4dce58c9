"""The ledger over several machines: each user's rows on one of them, by Citus.

Every table of users' data is distributed by `user_id`, so that a user's rows are together
and what is asked for a user is answered by one machine. Tiers, which are read together with a
user, are copied to all; what else belongs to nobody stays on the coordinator. Row-level
security, locks and keys go with the tables.

Citus sends settings of a transaction on only where it is told to, and takes each role to the
workers by a connection of that role: the database is set to the first, and there the roles
are let log in. Connections opened before do not have the setting and see no rows.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import asyncpg

from store.database import OPERATOR_ROLE, ROLE
from store.errors import Invalid, Unavailable
from store.models import Base
from store.schema import connected, status
from store.settings import Settings

DAY_SECONDS = 86_400  # Rows are copied to the machines; that is not to be cut.
COPIED = ("tiers",)
FIRST = "users"  # The other tables of users go where this one's rows are.
# Triggers of ours touch rows of their own user only, which Citus cannot know.
TRIGGERS = "citus.enable_unsafe_triggers"
IDENTITY = "citus.propagate_set_commands"

NODES = "SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards AND groupid <> 0"
THERE = """
    SELECT relname::text FROM pg_dist_partition JOIN pg_class c ON c.oid = logicalrelid
        WHERE relnamespace = current_schema()::regnamespace
            AND (partmethod = 'h' OR repmodel = 't')"""
# By a command to each worker, for said on the coordinator it would be so there, too.
LOGINS = f"""
    SELECT nodename || ':' || nodeport AS node, success, result FROM run_command_on_workers(
        'DO $$ BEGIN SET LOCAL citus.enable_alter_role_propagation = off;
            ALTER ROLE {ROLE} LOGIN; ALTER ROLE {OPERATOR_ROLE} LOGIN; END $$')"""  # noqa: S608


@dataclass(frozen=True)
class Plan:
    """What is left to do: `distributed` by user, `copied` to every machine. `statements` are one
    transaction; `LOGINS` comes after them."""

    distributed: tuple[str, ...]
    copied: tuple[str, ...]
    statements: tuple[str, ...]


def plan(database: str, there: Collection[str] = ()) -> Plan:
    """How the tables that are not `there` yet are distributed in `database`, a quoted name."""
    left = [table for table in Base.metadata.sorted_tables if table.name not in there]
    distributed = [table.name for table in left if "user_id" in table.columns]
    copied = [table.name for table in left if table.name in COPIED]
    distributed.sort(key=lambda name: name != FIRST)
    moved = [
        # What is copied was let in by its triggers when it was recorded; foreign keys are
        # made, and so checked, when the rows are there.
        f"SET LOCAL {TRIGGERS} = on",
        f"SET LOCAL {IDENTITY} = 'local'",
        "SET LOCAL session_replication_role = replica",
        *(f"SELECT create_reference_table('{name}')" for name in copied),
        *(
            f"SELECT create_distributed_table('{name}', 'user_id'"
            + (")" if name == FIRST else f", colocate_with => '{FIRST}')")
            for name in distributed
        ),
        # What was copied is still here, unseen.
        *(
            f"SELECT truncate_local_data_after_distributing_table('{name}')"
            for name in (*distributed, *copied)
        ),
    ]
    settings = [
        f"ALTER DATABASE {database} SET {IDENTITY} = 'local'",
        f"ALTER DATABASE {database} SET {TRIGGERS} = on",  # For migrations to come.
    ]
    statements = [*moved, *settings] if distributed or copied else settings
    return Plan(tuple(distributed), tuple(copied), tuple(statements))


async def distribute(settings: Settings, *, preview: bool = False) -> Plan:
    """Distribute what is not distributed yet, in one transaction; gives what was (with
    `preview`: would be) done. Again it changes nothing.

    Raises:
        Invalid: the database is SQLite, or has no Citus, or that has no workers.
        Unavailable: the schema is not up to date, or this connection may not do it.
    """
    found = settings.database()
    if found.dialect == "sqlite":
        raise Invalid(
            f"{found.name} is SQLite, one file of one machine; Citus distributes PostgreSQL:"
            " set DATABASE_URL to its coordinator."
        )
    if not (stands := await status(settings)).up_to_date:
        raise Unavailable(
            f"The schema of {stands.database} is {stands.current or 'not there yet'},"
            f" {stands.head} is needed: run `trade-history migrate` first."
        )
    patient = settings.model_copy(update={"statement_timeout_seconds": DAY_SECONDS})
    try:
        async with connected(patient) as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            there = await _there(raw, found.name)
            made = plan(await raw.fetchval("SELECT quote_ident(current_database())"), there)
            for statement in () if preview else made.statements:
                await raw.execute(statement)
        if not preview:
            async with connected(patient) as connection:
                await _let_in((await connection.get_raw_connection()).driver_connection)
    except asyncpg.InsufficientPrivilegeError as error:
        raise Unavailable(
            f"This connection may not distribute {found.name} ({error.args[0]}): that takes a"
            " superuser. `trade-history distribute --dry-run` prints what is to be run."
        ) from None
    return made


async def _there(connection: Any, name: str) -> set[str]:
    """The tables that are distributed already."""
    if not await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'citus'"):
        raise Invalid(
            f"{name} has no extension citus: load it (shared_preload_libraries = 'citus') and"
            " `CREATE EXTENSION citus` in the databases of this name on every machine, then name"
            " them here by `SELECT citus_set_coordinator_host('HOST')` and, for each worker,"
            " `SELECT citus_add_node('HOST', 5432)`."
        )
    if not await connection.fetchval(NODES):
        raise Invalid(
            f"{name} has no workers to hold rows: name each by"
            " `SELECT citus_add_node('HOST', 5432)`."
        )
    return {row["relname"] for row in await connection.fetch(THERE)}


async def _let_in(connection: Any) -> None:
    for node in await connection.fetch(LOGINS):
        if not node["success"]:
            raise Unavailable(
                f"The worker {node['node']} does not let the roles log in ({node['result']});"
                " the tables are distributed: run `trade-history distribute` again."
            )
