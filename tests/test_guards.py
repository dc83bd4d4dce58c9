"""The guards that stand are those that are declared, and whatever else stands is named.

`REWRITE_GUARDS=1 pytest tests/test_guards.py` writes the declared files anew, from what the
migrations make; read the difference before you keep it.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from store import guards
from store.connecting import say
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import Unavailable
from store.guards import declared, require_guards, standing, wrong_guard
from store.models import Base
from store.recording import add_note
from store.schema import connected, downgrade, prepare, upgrade
from store.settings import Settings
from store.users import put_tier
from store.verifying import verify_user
from tests.conftest import settings_for
from tests.ledger import read, record, trade
from tests.postgres_server import Server, connect, quoted


async def found_in(settings: Settings) -> tuple[list[str], str | None]:
    """What stands, and what of it is wrong, as the application sees it."""
    store = Store(settings)
    try:
        async with store.read() as session:
            return list(await standing(session)), await wrong_guard(session)
    finally:
        await store.close()


async def wrong_in(settings: Settings) -> str | None:
    return (await found_in(settings))[1]


async def as_owner(settings: Settings, *statements: str) -> None:
    async with connected(settings) as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


async def test_what_stands_is_what_is_declared(settings: Settings, dialect: str) -> None:
    found, _ = await found_in(settings)
    if os.environ.get("REWRITE_GUARDS"):
        path = guards.HERE / f"guards_{dialect}.txt"
        path.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")

    assert found == declared(dialect)
    assert await wrong_in(settings) is None


# --- Down and up again


async def test_down_to_base_and_up_again_is_the_same(settings: Settings, dialect: str) -> None:
    await downgrade(settings, "base")
    await upgrade(settings)

    assert (await found_in(settings))[0] == declared(dialect)


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_down_to_the_sixth_schema_puts_the_older_lock_of_parts_back(
    settings: Settings,
) -> None:
    """With its comment, and as whole: 0001 wrote it so."""
    await downgrade(settings, "0006")
    older, _ = await found_in(settings)
    await upgrade(settings)

    (kept,) = (line for line in declared("postgresql") if line.startswith("function guard_part "))
    (found,) = (line for line in older if line.startswith("function guard_part "))
    comment = "-- FOR SHARE: a trade that is just being closed is waited for. "
    assert found == kept.replace("BEGIN ", f"BEGIN {comment}", 1)
    assert await found_in(settings) == (declared("postgresql"), None)


async def everything(settings: Settings) -> dict[str, list[str]]:
    """Every row of the tables of 0001 and 0002 alike, as text."""
    tables = (
        "accounts", "trades", "legs", "fills", "conditions", "snapshots", "corrections",
        "notes", "requests", "audit", "strategies",
    )  # fmt: skip
    async with connected(settings) as connection:
        return {
            table: sorted(
                str(dict(row))
                for row in (await connection.execute(text(f"SELECT * FROM {table}"))).mappings()
            )
            for table in tables
        }


async def test_down_to_the_first_schema_and_up_again_loses_nothing_of_the_ledger(
    store: Store, dialect: str
) -> None:
    """A correction, a note, a void trade; the chain of the audit holds, the tier is kept."""
    await record_all_kinds(store)
    async with store.read() as session:
        before = await verify_user(store, 1)
    kept = await everything(store.settings)
    await store.close()

    await downgrade(store.settings, "0001")
    down = await everything(store.settings)
    await upgrade(store.settings)

    assert (await found_in(store.settings))[0] == declared(dialect)
    assert down == kept == await everything(store.settings)
    again = Store(store.settings)
    assert await verify_user(again, 1) == before
    assert before.wrong is None
    assert before.entries == 9
    async with again.write() as session:
        await void_trade(session, 2, reason="twice")
    assert (await verify_user(again, 1)).wrong is None
    await again.close()


async def record_all_kinds(store: Store) -> None:
    await record(store, "2026-01-05 A +1 \n 2026-01-05 B -2 \n 2026-01-05 C open")
    async with store.write() as session:
        said = trade({"account": "main", **read("2026-01-05 A +3")})
        await correct_trade(session, 1, said, reason="price", author="ann")
        await add_note(session, 2, "why did I do that", key="n")
        await void_trade(session, 3, reason="never happened")
    async with store.operate(write=True) as session:
        await put_tier(session, "free")


# --- Each guard, taken away


def changed(line: str) -> Iterable[str]:
    """Statements by which an owner of PostgreSQL takes a declared guard away."""
    kind, name, *_ = line.split()
    if kind == "trigger":
        words = line.split()
        name, table = words[3], line.split(" ON ")[1].split()[0]
        yield f"DROP TRIGGER {name} ON {table}"
        yield f"ALTER TABLE {table} DISABLE TRIGGER {name}"
        yield f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}"
    elif kind == "function":
        returned = "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$ {} $$"
        yield returned.format(name, "BEGIN RETURN coalesce(NEW, OLD); END")
        yield f"ALTER FUNCTION {name}() SET search_path = pg_temp"
        other = "INVOKER" if "[definer]" in line else "DEFINER"
        yield f"ALTER FUNCTION {name}() SECURITY {other}"
        yield f"ALTER FUNCTION {name}() RENAME TO {name}_gone"
    elif kind == "policy":
        table = line.split(" ON ")[1].split()[0]
        yield f"DROP POLICY {name} ON {table}"
        yield f"ALTER POLICY {name} ON {table} USING (user_id > 0)"
        yield f"ALTER POLICY {name} ON {table} TO postgres"
    elif kind == "table" and "walled" in line:
        yield f"ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {name} RENAME TO {name}_gone"
    elif kind == "table":
        yield f"ALTER TABLE {name} RENAME TO {name}_gone"
    elif kind == "view":
        yield f"DROP VIEW {name} CASCADE"
        yield f"ALTER VIEW {name} RESET (security_invoker)"
    elif kind == "grant":
        yield line.replace("grant ", "REVOKE ", 1).replace(" TO ", " FROM ")
    elif kind == "role":
        yield f"ALTER ROLE {name} SUPERUSER"
        yield f"ALTER ROLE {name} BYPASSRLS"
        yield f"ALTER ROLE {name} LOGIN"


# What an owner may add, and what is said then.
ADDED = {
    "CREATE TRIGGER mine AFTER UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION refuse('x')":
        "not ours: trigger CREATE TRIGGER mine",
    "CREATE RULE quiet AS ON UPDATE TO trades DO INSTEAD NOTHING": "not ours: rule quiet ON trades",
    "CREATE POLICY all_of_it ON fills USING (true)": "not ours: policy all_of_it ON fills",
    "GRANT DELETE ON trades TO trade_history_app": "not ours: grant DELETE ON trades TO trade_h",
    "GRANT DELETE ON trades TO PUBLIC": "not ours: grant DELETE ON trades TO PUBLIC",
    "GRANT UPDATE (tier) ON users TO trade_history_app": "not ours: grant UPDATE (tier) ON users",
    "GRANT SELECT ON notes TO trade_history_app WITH GRANT OPTION": "grant SELECT",
    "GRANT trade_history_operator TO trade_history_app":
        "not ours: member trade_history_app of trade_history_operator",
    "ALTER TABLE users OWNER TO trade_history_app": "ON users TO trade_history_app",
    "ALTER VIEW trades_readable OWNER TO trade_history_app": "trades_readable TO trade_history_app",
    "CREATE TABLE mine (); ALTER TABLE mine OWNER TO trade_history_app": "role trade_history_app",
    "ALTER TABLE legs DISABLE TRIGGER ALL": "trigger CREATE TRIGGER guard BEFORE INSERT",
    "CREATE VIEW theirs AS SELECT * FROM trades; GRANT SELECT ON theirs TO trade_history_app":
        "not ours: grant SELECT ON theirs TO trade_history_app",
}  # fmt: skip


@pytest.fixture
async def owner(server: Server, postgres_template: str) -> AsyncIterator[AsyncConnection]:
    await server.create_database("guarded", postgres_template)
    async with connected(settings_for(server.direct(server.url("guarded")))) as connection:
        yield connection
    await server.drop_database("guarded")


async def wrong_after(owner: AsyncConnection, statements: str) -> str | None:
    """What is wrong once the owner has said `statements`, which are then undone."""
    await say(owner, ["SAVEPOINT before", statements])
    try:
        return await wrong_guard(AsyncSession(owner))
    finally:
        await say(owner, ["ROLLBACK TO before"])


async def test_every_guard_that_is_dropped_disabled_or_replaced_is_named(
    owner: AsyncConnection,
) -> None:
    walked = 0
    for line in declared("postgresql"):
        for statement in changed(line):
            walked += 1
            wrong = await wrong_after(owner, statement)
            assert wrong is not None, statement
            # The guard itself, or what went with it.
            assert wrong.startswith("missing or changed: "), statement
            said = wrong.removeprefix("missing or changed: ").removesuffix("...")
            assert line.startswith(said) or line.split()[1] in statement, (statement, wrong)
    assert walked > 250


async def test_whatever_an_owner_adds_to_our_tables_and_roles_is_named(
    owner: AsyncConnection,
) -> None:
    for statement, said in ADDED.items():
        wrong = await wrong_after(owner, statement)
        assert said in (wrong or "nothing"), statement


async def test_a_lock_that_a_comment_swallows_is_named(owner: AsyncConnection) -> None:
    """White space is not compared: but for a line break, this is how 0001 wrote the lock."""
    (line,) = (line for line in declared("postgresql") if line.startswith("function guard_part "))
    declaring, _, lock = line.partition(": ")[2].partition("BEGIN ")
    comment = "-- FOR SHARE: a trade that is just being closed is waited for."
    hollow = f"{declaring} BEGIN {comment} {lock.removesuffix('RETURN NEW; END')}\nRETURN NEW; END"
    made = "CREATE OR REPLACE FUNCTION guard_part() RETURNS trigger LANGUAGE plpgsql"

    wrong = await wrong_after(owner, f"{made} SET search_path = public, pg_temp AS $${hollow}$$")

    assert (wrong or "nothing").startswith("missing or changed: function guard_part ")


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_no_declared_guard_has_a_comment(dialect: str) -> None:
    """On one line, nobody could tell where it ends."""
    assert [line for line in declared(dialect) if "--" in line or "/*" in line] == []


THEIRS = """
    CREATE TABLE theirs (id int PRIMARY KEY, trades text REFERENCES other);
    CREATE FUNCTION refuse(int) RETURNS int LANGUAGE sql AS 'SELECT 1 -- ON users';
    CREATE FUNCTION theirs() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN /* ON trades */ RETURN NEW; END';
    CREATE TRIGGER "guard ON users" BEFORE UPDATE ON theirs
        FOR EACH ROW EXECUTE FUNCTION theirs();
    ALTER TABLE theirs DISABLE TRIGGER ALL;
    ALTER TABLE theirs ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON theirs USING (true);
    CREATE RULE theirs AS ON DELETE TO theirs DO INSTEAD NOTHING;
    GRANT ALL ON theirs TO PUBLIC;
    GRANT SELECT (id) ON theirs TO reporting;
    GRANT SELECT ON trades TO reporting;
    GRANT SELECT (number) ON trades TO reporting"""


async def test_another_programs_things_in_the_same_schema_are_left_alone(
    owner: AsyncConnection,
) -> None:
    """So is a role of the owner's that reads our tables: it stands before the same wall."""
    statements = f"CREATE ROLE reporting; CREATE TABLE other (t text PRIMARY KEY); {THEIRS}"

    assert await wrong_after(owner, statements) is None


async def test_every_trigger_that_is_dropped_or_replaced_in_sqlite_is_named(
    sqlite_template: Path, tmp_path: Path
) -> None:
    path = tmp_path / "trades.db"
    path.write_bytes(sqlite_template.read_bytes())
    store = Store(settings_for(f"sqlite:///{path}"))
    raw = sqlite3.connect(path, isolation_level=None)
    triggers = raw.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
    for name, table, made in triggers.fetchall():
        word = " ".join(made.split())[:80]
        for instead in (None, f"CREATE TRIGGER {name} AFTER UPDATE ON {table} BEGIN SELECT 1; END"):
            raw.execute(f"DROP TRIGGER {name}")
            if instead:
                raw.execute(instead)
            async with store.read() as session:
                assert word in str(await wrong_guard(session)), name
            raw.execute(f"DROP TRIGGER IF EXISTS {name}")
            raw.execute(made)
    async with store.read() as session:
        assert await wrong_guard(session) is None
    raw.close()
    await store.close()


@pytest.mark.parametrize("on", ["on TRADES", 'on "trades"', "ON trades", "oN [trades]"])
async def test_a_trigger_of_others_on_our_tables_is_named_however_it_is_written(
    sqlite_template: Path, tmp_path: Path, on: str
) -> None:
    path = tmp_path / "trades.db"
    path.write_bytes(sqlite_template.read_bytes())
    settings = settings_for(f"sqlite:///{path}")
    await as_owner(
        settings,
        "CREATE TABLE theirs (trades)",
        "CREATE TRIGGER theirs BEFORE UPDATE ON theirs BEGIN SELECT 1; END",
    )
    assert await wrong_in(settings) is None

    await as_owner(settings, f"create trigger evil after insert {on} begin select 1; end")

    assert "not ours: trigger" in str(await wrong_in(settings))


# --- Where they are asked for


@pytest.mark.parametrize("schema", ["books", "My-Books", "old", "trades"])
async def test_they_stand_in_a_schema_of_another_name(postgres_url: str, schema: str) -> None:
    connection = await connect(postgres_url)
    await connection.execute(f"CREATE SCHEMA {quoted(schema)}")
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE {name} SET search_path = {quoted(schema)}")
    await connection.close()
    settings = settings_for(postgres_url)
    await upgrade(settings)

    assert await found_in(settings) == (declared("postgresql"), None)
    store = Store(settings)
    await prepare(store)
    await record(store, "2026-01-05 A +1")
    assert (await verify_user(store, 1)).wrong is None
    await store.close()
    await as_owner(settings, "ALTER TABLE trades DISABLE TRIGGER guard_delete")
    assert "guard_delete" in str(await wrong_in(settings))


async def test_a_wall_that_does_not_stand_is_not_served_behind(settings: Settings) -> None:
    drop = "DROP TRIGGER fills_update" if settings.database().dialect == "sqlite" else (
        "DROP TRIGGER guard ON fills"
    )  # fmt: skip
    await as_owner(settings, drop)
    store = Store(settings)
    with pytest.raises(Unavailable, match="do not stand as declared \\(missing or changed: "):
        await store.answer(require_guards)
    await store.close()


def test_every_table_of_users_is_declared_with_its_wall() -> None:
    lines = declared("postgresql")
    for table in Base.metadata.tables.values():
        if "user_id" in table.columns:
            assert f"table {table.name} walled, forced" in lines
            own = [line for line in lines if line.startswith(f"policy own ON {table.name} ")]
            assert len(own) == 1
            assert own[0].count("user_id = ") == 2, own  # What is seen, and what is written.


def test_the_declared_files_are_sorted_and_say_nothing_twice() -> None:
    for dialect in ("sqlite", "postgresql"):
        lines = declared(dialect)
        assert lines == sorted(set(lines))


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_triggers_that_are_off_for_everybody_are_named(direct_url: str) -> None:
    settings = settings_for(direct_url)
    async with connected(settings) as connection:
        name = await connection.scalar(text("SELECT quote_ident(current_database())"))
        await say(connection, [f"ALTER DATABASE {name} SET session_replication_role = replica"])
    store = Store(settings)
    async with store.read() as session:
        wrong = await wrong_guard(session)
    await store.close()

    assert wrong == "missing or changed: setting session_replication_role origin"
