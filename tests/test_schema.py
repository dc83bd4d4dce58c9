"""The schema: migrated, rolled back, compared; what the database itself must have."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.util import CommandError
from sqlalchemy import ForeignKeyConstraint, Index, PrimaryKeyConstraint, UniqueConstraint, text
from sqlalchemy import inspect as inspected

from store import schema
from store.database import Store
from store.errors import Invalid, Unavailable
from store.models import Base
from store.schema import connected, downgrade, prepare, status, upgrade
from store.settings import Settings
from tests.conftest import settings_for

NOBODYS = {"tiers", "bars", "fundamentals", "fold"}
TABLES = sorted(set(Base.metadata.tables) - NOBODYS)


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
            if table not in ("alembic_version", *NOBODYS) and not table.startswith("bars_")
        }

    async with connected(settings) as connection:
        found = await connection.run_sync(keys)

    assert sorted(found) == TABLES
    for table, columns in found.items():
        assert [key for key in columns if key[0] != "user_id"] == [], table


async def test_sqlite_tables_are_strict_and_have_no_hidden_key(
    sqlite_template: Path,
) -> None:
    """A rowid is a key by which OR REPLACE could delete a locked row unseen; paths, which
    have one, are guarded by it too."""
    connection = sqlite3.connect(sqlite_template)
    found = connection.execute("SELECT name, wr, strict FROM pragma_table_list").fetchall()
    connection.close()

    ours = {name: (wr, strict) for name, wr, strict in found if name in TABLES}
    assert ours.pop("paths") == (0, 1)
    assert set(ours.values()) == {(1, 1)}
