"""The schema: migrated, rolled back, compared; what the database itself must have."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.util import CommandError
from pydantic import SecretStr
from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy import inspect as inspected

from store import schema
from store.calls import CallMade, keep_calls
from store.connections import put_connection
from store.corrections import void_trade
from store.database import Store
from store.errors import Invalid, Unavailable
from store.keyring import Keyring, MasterKey
from store.models import Base
from store.preferences import put_setting
from store.recording import add_note
from store.schema import add_user, connected, downgrade, prepare, status, upgrade
from store.settings import Settings
from store.tokens import create_token
from tests.conftest import settings_for
from tests.ledger import moment, record

TABLES = sorted(set(Base.metadata.tables) - {"tiers"})  # Which belong to nobody.


@pytest.fixture
def settings(database_url: str) -> Settings:
    """A migrated database."""
    return settings_for(database_url)


async def named(settings: Settings) -> list[str]:
    """Tables, functions and triggers that exist."""
    if settings.database().dialect == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    else:
        query = """SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
            UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            UNION ALL SELECT tgname::text || tgrelid::regclass FROM pg_trigger
                WHERE NOT tgisinternal"""
    async with connected(settings) as connection:
        return sorted((await connection.scalars(text(query))).all())


async def test_down_to_base_and_up_again_is_the_same(settings: Settings) -> None:
    before = await named(settings)

    assert (await downgrade(settings, "base")).current is None
    left = await named(settings)
    assert (await upgrade(settings)).up_to_date

    assert [name for name in left if not name.startswith("alembic_version")] == []
    assert await named(settings) == before


async def test_the_models_are_what_the_migrations_make(settings: Settings) -> None:
    """`alembic check` finds nothing to generate."""

    def check(connection: Any) -> None:
        command.check(schema._on(connection))

    async with connected(settings) as connection:
        await connection.run_sync(check)


FAILING = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.create_table("half", sa.Column("a", sa.Integer))
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


async def test_a_migration_that_fails_leaves_nothing_behind(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await status(settings)
    configuration = schema.config()
    folder = tmp_path / "migrations"
    shutil.copytree(configuration.get_main_option("script_location") or "", folder)
    (folder / "versions" / "9999_fails.py").write_text(FAILING.format(head=found.head))
    configuration.set_main_option("script_location", str(folder))
    monkeypatch.setattr(schema, "config", lambda: configuration)
    before = await named(settings)

    with pytest.raises(Exception, match="nowhere"):
        await upgrade(settings)

    assert await named(settings) == before
    assert (await status(settings)).current == found.current


async def test_a_postgresql_that_is_not_migrated_says_what_to_run(postgres_url: str) -> None:
    store = Store(settings_for(postgres_url))
    with pytest.raises(Unavailable, match="run `trade-history migrate`"):
        await prepare(store)
    await store.close()

    assert await named(store.settings) == []


async def test_a_sqlite_file_migrates_itself(tmp_path: Path) -> None:
    store = Store(settings_for(f"sqlite:///{tmp_path / 'new' / 'trades.db'}"))
    await prepare(store)
    await prepare(store)
    await store.close()

    assert (await status(store.settings)).up_to_date


async def test_a_newer_schema_is_refused(settings: Settings) -> None:
    async with connected(settings) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    store = Store(settings)
    with pytest.raises(Unavailable, match=r"\(9999\) is newer than this program"):
        await prepare(store)
    await store.close()


async def test_an_unknown_revision_is_refused_by_name(settings: Settings) -> None:
    with pytest.raises(Invalid, match=r"No revision 'x'\. Known: base, 0001"):
        await downgrade(settings, "x")
    with pytest.raises(CommandError):
        await upgrade(settings, "x")


def test_every_key_in_the_models_begins_with_the_user() -> None:
    for table in map(Base.metadata.tables.__getitem__, TABLES):
        keys = [
            key
            for key in table.constraints
            if isinstance(key, (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint))
        ]
        assert keys
        indexes: list[Index] = list(table.indexes)
        for key in (*keys, *indexes):
            assert next(iter(key.columns)).name == "user_id", f"{table.name}: {key.name}"
            if isinstance(key, ForeignKeyConstraint):
                assert key.elements[0].column.name == "user_id"


async def test_every_key_in_the_database_begins_with_the_user(settings: Settings) -> None:
    def keys(connection: Any) -> dict[str, list[list[str | None]]]:
        live = inspected(connection)
        return {
            table: [
                live.get_pk_constraint(table)["constrained_columns"],
                *(key["column_names"] for key in live.get_unique_constraints(table)),
                *(key["column_names"] for key in live.get_indexes(table)),
                *(key["constrained_columns"] for key in live.get_foreign_keys(table)),
                *(key["referred_columns"] for key in live.get_foreign_keys(table)),
            ]
            for table in live.get_table_names()
            if table not in ("alembic_version", "tiers")
        }

    async with connected(settings) as connection:
        found = await connection.run_sync(keys)

    assert sorted(found) == TABLES
    for table, columns in found.items():
        assert [key for key in columns if key[0] != "user_id"] == [], table


async def test_sqlite_tables_are_strict_and_have_no_hidden_key(
    sqlite_template: Path,
) -> None:
    """A rowid is a key by which OR REPLACE could delete a locked row unseen."""
    connection = sqlite3.connect(sqlite_template)
    found = connection.execute("SELECT name, wr, strict FROM pragma_table_list").fetchall()
    connection.close()

    ours = {name: (wr, strict) for name, wr, strict in found if name in TABLES}
    assert ours == dict.fromkeys(TABLES, (1, 1))


LOCKED = ("trades", "legs", "fills", "conditions", "snapshots")
APPENDED = ("corrections", "notes", "requests", "audit")


async def test_every_locked_table_has_its_triggers(settings: Settings) -> None:
    sqlite = settings.database().dialect == "sqlite"
    if sqlite:
        query = "SELECT tbl_name || ' ' || sql FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(oid) FROM pg_trigger"
    async with connected(settings) as connection:
        triggers = (await connection.scalars(text(query))).all()

    for table in (*LOCKED, *APPENDED):
        mine = " ".join(said for said in triggers if said.split(" ")[0] == table)
        events = ["UPDATE", "DELETE", *(["INSERT"] if sqlite else ["TRUNCATE"])]
        assert [event for event in events if event not in mine] == [], table
    assert all(
        "INSERT" in " ".join(t for t in triggers if t.startswith(part)) for part in LOCKED[1:]
    )


# Row-level security, by raw SQL of the application's role.


KEYRING = Keyring([MasterKey(bytes(32))])
CALL = CallMade(
    user_id=1, called_at=moment("2026-01-06"), tool="get_overview", token=None,
    arguments_hash="0" * 64, outcome="answered", result_hash="1" * 64, trades_used=1,
    milliseconds=3,
)  # fmt: skip


@pytest.fixture
async def two_users(server: Any, postgres_template: str) -> AsyncIterator[tuple[Store, str]]:
    name = "two_users"
    await server.create_database(name, postgres_template)
    store = Store(settings_for(server.url(name)))
    await prepare(store)
    await record(store, "2026-01-05 A +1 external X \n 2026-01-05 A +1 open condition vix=18")
    await record(store, "2026-01-05 A +1", strategy="swing")
    async with store.write() as session:
        await add_note(session, 1, "mine", key="k")
        await void_trade(session, 3, reason="twice")
        await create_token(session, "laptop")
        await put_setting(session, "theme", "dark")
        await put_connection(session, KEYRING, "tradier", "live", SecretStr("canary"))
        await keep_calls(session, [CALL])
    await add_user(store, 2, "other")
    yield store, server.direct(server.url(name))
    await store.close()
    await server.drop_database(name)


async def test_every_table_of_a_user_is_walled(two_users: tuple[Store, str]) -> None:
    connection = await asyncpg.connect(two_users[1])
    rows = await connection.fetch("""
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced,
            (SELECT count(*) FROM pg_policies p WHERE p.tablename = c.relname
                AND p.policyname = 'own' AND p.cmd = 'ALL' AND p.qual LIKE '%user_id%'
                AND p.with_check LIKE '%user_id%') AS policies
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'user_id'
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace""")
    role = await connection.fetchrow("""
        SELECT rolsuper OR rolbypassrls OR rolcanlogin OR rolcreatedb OR rolcreaterole AS mighty,
            (SELECT count(*) FROM pg_class WHERE relowner = r.oid) AS owned
        FROM pg_roles r WHERE rolname = 'trade_history_app'""")
    await connection.close()

    assert {row["relname"]: (row["forced"], row["policies"]) for row in rows} == dict.fromkeys(
        TABLES, (True, 1)
    )
    assert tuple(role) == (False, 0)


UPDATED = {
    "users": "last_trade", "accounts": "name", "trades": "ticker", "api_tokens": "revoked_at",
    "user_settings": "value", "broker_connections": "sealed_token",
}  # fmt: skip


async def test_another_user_sees_and_touches_nothing(two_users: tuple[Store, str]) -> None:
    store, _ = two_users
    for table in TABLES:
        async with store.read(1) as session:
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")), table
        async with store.read(2) as session:
            seen = f"SELECT count(*) FROM {table} WHERE user_id = 1"
            assert await session.scalar(text(seen)) == 0, table
    for table, column in UPDATED.items():
        async with store.write(2) as session:
            said = f"UPDATE {table} SET {column} = {column} WHERE user_id = 1"
            done: Any = await session.execute(text(said))
            assert done.rowcount == 0, table


@pytest.mark.parametrize("table", TABLES)
async def test_another_user_cannot_write_in_the_first_ones_name(
    two_users: tuple[Store, str], table: str
) -> None:
    """The rows are real ones of user 1, said again by user 2."""
    store, _ = two_users
    async with store.read(1) as session:
        row = await session.scalar(text(f"SELECT to_jsonb(t)::text FROM {table} t LIMIT 1"))
    said = text(
        f"INSERT INTO {table} SELECT *"
        f" FROM jsonb_populate_record(null::{table}, cast(:row AS jsonb))"
    )

    with pytest.raises(Exception, match="row-level security"):
        await write(store, 2, said, row)


async def test_without_an_identity_nothing_is_seen(two_users: tuple[Store, str]) -> None:
    connection = await asyncpg.connect(two_users[1])
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE trade_history_app")
        for table in TABLES:
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    await connection.close()


async def write(store: Store, user_id: int, statement: Any, row: Any) -> None:
    async with store.write(user_id) as session:
        await session.execute(statement, {"row": row})
