"""The schema of the store: migrate it, roll it back, say where it stands.

Each command is one transaction: a migration that fails leaves nothing behind. SQLite
migrates itself at first use; PostgreSQL is migrated by command.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from store.audit import OWNER, begin, note_down
from store.database import OPERATOR, ROLE, Store, commit, create_engine, open_connection, say
from store.errors import Invalid, Unavailable
from store.models import User
from store.settings import Settings
from store.users import TierName
from store.vocabulary import label

INSUFFICIENT_PRIVILEGE = "42501"


@dataclass(frozen=True)
class SchemaStatus:
    """`current` is the revision the database has (None: not migrated), `head` the newest."""

    database: str
    current: str | None
    head: str
    known: bool

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def config() -> Config:
    """Alembic's configuration, from a checkout or from an installed wheel."""
    here = Path(__file__).resolve().parent
    shipped = here / "_migrations"
    scripts = shipped if shipped.is_dir() else here.parent / "migrations"
    configuration = Config()
    configuration.set_main_option("script_location", str(scripts).replace("%", "%%"))
    return configuration


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[AsyncConnection]:
    """A connection in one transaction of the URL's own role, committed at the end.

    SQLite's foreign keys are off meanwhile, lest a rebuilt table cascade into another.
    """
    engine = create_engine(settings)
    sqlite = settings.database().dialect == "sqlite"
    try:
        async with open_connection(engine, settings.database()) as connection:
            await say(
                connection,
                ["PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"] if sqlite else ["BEGIN"],
            )
            # Alembic leaves a transaction alone that it finds begun.
            await connection.begin()
            yield connection
            await commit(connection)
    finally:
        await engine.dispose()


async def upgrade(settings: Settings, revision: str = "head") -> SchemaStatus:
    """Bring the database to `revision`."""

    def run(connection: Connection) -> None:
        command.upgrade(_on(connection), revision)

    try:
        async with connected(settings) as connection:
            await connection.run_sync(run)
    except DBAPIError as error:
        if getattr(error.driver_exception, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise Unavailable(what_the_owner_runs(settings, error)) from None
    return await status(settings)


def what_the_owner_runs(settings: Settings, error: DBAPIError) -> str:
    database = settings.database()
    user = (database.url.username or "postgres").replace('"', '""')
    return (
        f"This connection may not migrate {database.name} ({error.orig}). Let an owner of the"
        f" database run `CREATE ROLE {ROLE} NOLOGIN; CREATE ROLE {OPERATOR} NOLOGIN;"
        f' GRANT {ROLE}, {OPERATOR} TO "{user}" WITH ADMIN OPTION;'
        f' GRANT CREATE, USAGE ON SCHEMA public TO "{user}"` (what exists already may be left'
        " out), then migrate again."
    )


async def downgrade(settings: Settings, revision: str) -> SchemaStatus:
    """Take the database back to `revision` (`base`: nothing left of the ledger)."""

    def run(connection: Connection) -> None:
        command.downgrade(_on(connection), revision)

    if revision != "base" and revision not in _revisions():
        raise Invalid(f"No revision '{revision}'. Known: base, {', '.join(sorted(_revisions()))}.")
    async with connected(settings) as connection:
        await connection.run_sync(run)
    return await status(settings)


async def status(settings: Settings) -> SchemaStatus:
    """Where the database's schema stands; changes nothing."""

    def current(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    engine = create_engine(settings)
    try:
        async with open_connection(engine, settings.database()) as connection:
            found = await connection.run_sync(current)
    finally:
        await engine.dispose()
    head = ScriptDirectory.from_config(config()).get_current_head()
    return SchemaStatus(
        database=settings.database().name,
        current=found,
        head=head or "base",
        known=found is None or found in _revisions(),
    )


async def prepare(store: Store) -> None:
    """Make sure that `store` can be used: migrated, and its local user known.

    Raises:
        Unavailable: PostgreSQL is not migrated, or the schema is newer than this program.
    """
    found = await status(store.settings)
    if not found.known:
        raise Unavailable(
            f"The schema of {found.database} ({found.current}) is newer than this program"
            f" knows ({found.head}): upgrade trade-history-mcp."
        )
    if not found.up_to_date:
        if store.database.dialect == "postgresql":
            raise Unavailable(
                f"The schema of {found.database} is {found.current or 'not there yet'},"
                f" {found.head} is needed: run `trade-history migrate`."
            )
        await upgrade(store.settings)
    await add_user(store, store.settings.user_id, "local")


async def add_user(
    store: Store, user_id: int, name: str, *, tier: TierName = "pro", author: str = OWNER
) -> None:
    """Make the user `user_id`, if there is none yet."""
    name = label("name of a user", name)
    async with store.read(user_id) as session:
        if await session.scalar(select(User.user_id).where(User.user_id == user_id)):
            return
    async with store.write(user_id) as session:
        if await session.scalar(select(User.user_id).where(User.user_id == user_id)):
            return
        await session.execute(
            insert(User).values(
                user_id=user_id,
                name=name,
                created_at=datetime.now(UTC),
                last_account=0,
                last_trade=0,
                last_audit=0,
                ledger_version=0,
                tier=tier,
            )
        )
        said = {"name": name, "tier": tier}
        command = await begin(session, "add_user", said, key=None, author=author)
        await note_down(session, command, {"user": user_id, "tier": tier}, answers_change=False)


def _on(connection: Connection) -> Config:
    configuration = config()
    configuration.attributes["connection"] = connection
    return configuration


def _revisions() -> set[str]:
    script = ScriptDirectory.from_config(config())
    return {revision.revision for revision in script.walk_revisions()}
