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
from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from store.audit import OWNER, begin, note_down
from store.connecting import commit, one_connection, say
from store.database import OPERATOR_ROLE, ROLE, Store
from store.errors import Invalid, Unavailable
from store.models import User
from store.settings import Settings
from store.users import TierName
from store.vocabulary import label

# Of a schema that it may not use, a connection is told that there is none.
NOT_LET_IN = ("42501", "3F000")
# Asked of the database: behind a pooler the URL's user is not the name of the role.
PLACE = """
    SELECT quote_ident(current_user) AS me, here.name AS schema,
        to_regnamespace(here.name) IS NULL AS missing,
        ARRAY(SELECT rolname::text FROM pg_roles) AS roles,
        t.tableowner AS owner,
        t.tableowner IS NULL OR pg_has_role(t.tableowner, 'USAGE') AS mine
    FROM (SELECT coalesce(quote_ident(current_schema()), btrim(split_part(
            replace(current_setting('search_path'), '"$user",', ''), ',', 1)))) AS here (name)
        LEFT JOIN pg_tables t ON quote_ident(t.schemaname) = here.name AND t.tablename = 'users'"""


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
    database = settings.database()
    sqlite = database.dialect == "sqlite"
    async with one_connection(database) as connection:
        await say(
            connection,
            ["PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"] if sqlite else ["BEGIN"],
        )
        # Alembic leaves a transaction alone that it finds begun.
        await connection.begin()
        yield connection
        await commit(connection)


async def upgrade(settings: Settings, revision: str = "head") -> SchemaStatus:
    """Bring the database to `revision`."""

    def run(connection: Connection) -> None:
        command.upgrade(_on(connection), revision)

    try:
        async with connected(settings) as connection:
            await connection.run_sync(run)
    except DBAPIError as error:
        if getattr(error.driver_exception, "sqlstate", None) not in NOT_LET_IN:
            raise
        raise Unavailable(await what_the_owner_runs(settings, error)) from None
    return await status(settings)


async def what_the_owner_runs(settings: Settings, error: DBAPIError) -> str:
    """Who may migrate this database, or what lets this connection do it: nothing but what is
    missing, so that it can be run as it is printed."""
    async with one_connection(settings.database()) as connection:
        found = (await connection.exec_driver_sql(PLACE)).mappings().one()
    why = f"This connection may not migrate {settings.database().name} ({error.driver_exception})."
    if not found["mine"]:
        return f"{why} Its tables are those of {found['owner']}: migrate as that role."
    roles, schema = f"{ROLE}, {OPERATOR_ROLE}", found["schema"]
    statements = [
        *([f"CREATE SCHEMA {schema}"] if found["missing"] else []),
        *(
            f"CREATE ROLE {role} NOLOGIN"
            for role in (ROLE, OPERATOR_ROLE)
            if role not in found["roles"]
        ),
        f"GRANT {roles} TO {found['me']}",
        f"GRANT CREATE, USAGE ON SCHEMA {schema} TO {found['me']}",
        f"GRANT USAGE ON SCHEMA {schema} TO {roles}",
    ]
    return f"{why} Let an administrator of it run `{'; '.join(statements)}`, then migrate again."


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

    found = await _current(settings) if is_there(settings) else None
    head = ScriptDirectory.from_config(config()).get_current_head()
    return SchemaStatus(
        database=settings.database().name,
        current=found,
        head=head or "base",
        known=found is None or found in _revisions(),
    )


def is_there(settings: Settings) -> bool:
    """Whether there is anything to connect to: a file would be made by connecting."""
    path = settings.database().path
    return path is None or path.exists()


async def _current(settings: Settings) -> str | None:
    def current(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    async with one_connection(settings.database()) as connection:
        return await connection.run_sync(current)


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
) -> bool:
    """Make the user `user_id`, unless there is one already; gives whether it was made."""
    name = label("name of a user", name)
    async with store.read(user_id) as session:
        if await session.scalar(select(User.user_id).where(User.user_id == user_id)):
            return False
    async with store.write(user_id) as session:
        if not await _inserted(session, user_id, name, tier):
            return False
        said = {"name": name, "tier": tier}
        command = await begin(session, "add_user", said, key=None, author=author)
        result = {"user": user_id, "tier": tier}
        await note_down(session, command, result, answers_change=False)
    return True


async def _inserted(session: AsyncSession, user_id: int, name: str, tier: TierName) -> bool:
    """Whether the row of a new user was written. Of two programs that make the same user at
    the same moment one writes it: on PostgreSQL the key decides, on SQLite who comes first."""
    if await session.scalar(select(User.user_id).where(User.user_id == user_id)):
        return False
    dialect = session.get_bind().dialect.name
    statement = (insert_sqlite if dialect == "sqlite" else insert_postgresql)(User).values(
        user_id=user_id,
        name=name,
        created_at=datetime.now(UTC),
        last_account=0,
        last_trade=0,
        last_audit=0,
        ledger_version=0,
        tier=tier,
    )
    made = await session.scalar(statement.on_conflict_do_nothing().returning(User.user_id))
    return made is not None


def _on(connection: Connection) -> Config:
    configuration = config()
    configuration.attributes["connection"] = connection
    return configuration


def _revisions() -> set[str]:
    script = ScriptDirectory.from_config(config())
    return {revision.revision for revision in script.walk_revisions()}
