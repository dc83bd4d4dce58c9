"""Whatever role the URL names, a transaction is the application's, and sees one user.

Five kinds of login, each on a server of its own, where nobody has made our roles before:
a superuser, an owner that may create roles, one that is exempt from row-level security as
Neon's and Supabase's are, a plain one that was let in by the printed statements, and one
that may take the application's role and nothing else.

What holds against SQL that somebody smuggles into a transaction: it is said as the
application's role, which owns nothing, and its identity is a setting like any other. The
wall keeps our own statements apart, and those of a BI tool that logs in as a role of its
own. It is no prison for SQL of a stranger: SET ROLE is measured by the login, so what the
login may take can be taken from within, and `app.user_id` can be set by anybody. The login
that is a member of the application's role alone can take nothing more.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from store.calls import CallMade, keep_calls
from store.checklist import CheckEntry, answer_checklist
from store.cli import cli
from store.connections import put_connection
from store.corrections import void_trade
from store.database import OPERATOR_ROLE, ROLE, Store
from store.errors import Unavailable
from store.faults import state_of
from store.guards import wrong_guard
from store.importing import import_file
from store.keyring import Keyring, MasterKey
from store.models import Base
from store.preferences import put_setting
from store.queries.get_trade_history import get_trade_history
from store.recording import add_note
from store.schema import add_user, prepare, status, upgrade
from store.settings import Settings
from store.tokens import create_token
from store.users import list_users
from store.verifying import verify_user
from tests.conftest import in_own_loop, settings_for
from tests.ledger import moment, record
from tests.postgres_server import NoPostgres, Server, postgres_server, skip_or_fail
from tests.statements import dealing
from tests.stored import OPERATORS

INSUFFICIENT_PRIVILEGE = "42501"
NOBODYS = {"tiers", "bars", "fundamentals"}
TABLES = sorted(set(Base.metadata.tables) - NOBODYS - OPERATORS)
KEYRING = Keyring([MasterKey(bytes(32))])
CALL = CallMade(
    user_id=1, called_at=moment("2026-01-06"), tool="get_overview", token=None,
    arguments_hash="0" * 64, outcome="answered", result_hash="1" * 64, trades_used=1,
    milliseconds=3,
)  # fmt: skip
LOGINS = {
    "superuser": "SUPERUSER",
    "owner": "CREATEROLE",
    "exempt": "CREATEROLE BYPASSRLS",
    "plain": "",
    "member": "",
}


@dataclass(frozen=True)
class Place:
    """A migrated database, and the login that serves from it."""

    kind: str
    server: Server
    refusal: str = ""  # What migrating said at first, if it was refused.

    @property
    def url(self) -> str:
        return self.server.url("ledger").replace(
            f"//{self.server.user}:", f"//{self.kind}:", 1
        )  # One password for all.

    @property
    def admin(self) -> str:
        return self.server.url("ledger")


async def made(kind: str, server: Server) -> Place:
    place = Place(kind, server)
    said = server.password.replace("'", "''")
    await run(server.url("postgres"), f"CREATE ROLE {kind} LOGIN {LOGINS[kind]} PASSWORD '{said}'")
    owner = f" OWNER {kind}" if kind in ("owner", "exempt") else ""
    await run(server.url("postgres"), f"CREATE DATABASE ledger{owner}")
    if kind == "member":
        await upgrade(settings_for(place.admin))
        await run(place.admin, f"GRANT {ROLE} TO member")
    elif kind == "plain":
        with pytest.raises(Unavailable) as refused:
            await upgrade(settings_for(place.url))
        await run(place.admin, re.findall("`([^`]+)`", str(refused.value))[0])
        await upgrade(settings_for(place.url))
        return Place(kind, server, str(refused.value))
    else:
        await upgrade(settings_for(place.url))
    return place


async def run(url: str, statements: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statements)
    await connection.close()


async def filled(place: Place) -> None:
    """User 1 has a row in every table, user 2 has none but its own."""
    store = Store(settings_for(place.url))
    await prepare(store)
    await record(store, "2026-01-05 A +1 external X \n 2026-01-05 A +1 open condition vix=18")
    await record(store, "2026-01-05 A +1", strategy="swing")
    await record(store, "2026-01-05 A +1 open")
    async with store.write() as session:
        await answer_checklist(session, 2, [CheckEntry(question="liquid?", answer="yes")])
        await import_file(
            session, dealing.statement(dealing.bought(1, 10, "2026-01-05 10:00"), account="main")
        )
    async with store.write() as session:
        await add_note(session, 1, "mine", key="k")
        await void_trade(session, 3, reason="twice")
        # Its snapshot is packed, whoever owns the tables.
        await void_trade(session, 4, reason="twice")
        await create_token(session, "laptop")
        await put_setting(session, "theme", "dark")
        await put_connection(session, KEYRING, "tradier", "live", SecretStr("canary"))
        await keep_calls(session, [CALL])
    await add_user(store, 2, "other")
    await store.close()


@pytest.fixture(scope="module", params=list(LOGINS))
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server of its own: our roles are there once they are made for any database of it."""
    found: list[Place] = []

    async def make(server: Server) -> None:
        found.append(await made(request.param, server))
        await filled(found[0])

    try:
        with postgres_server() as server:
            in_own_loop(make(server))
            yield found[0]
    except NoPostgres as reason:
        skip_or_fail(reason)


@pytest.fixture
async def store(place: Place) -> Any:
    store = Store(settings_for(place.url))
    yield store
    await store.close()


async def test_a_transaction_is_the_applications_and_sees_one_user(store: Store) -> None:
    for user_id, trades in ((1, 5), (2, 0), (3, 0)):
        for door in (store.read, store.write):
            async with door(user_id) as session:
                assert await session.scalar(text("SELECT current_user::text")) == ROLE
                assert await session.scalar(text("SELECT count(*) FROM trades")) == trades
                assert await session.scalar(text("SELECT count(*) FROM trades_readable")) == trades
                answer = await get_trade_history(session)
                assert answer.scope.trades == (1 if user_id == 1 else 0)


async def test_nothing_of_a_user_is_left_on_the_connection(store: Store) -> None:
    """The pool gives the same one again: there is no other yet."""
    async with store.write(1) as session:
        backend = await session.scalar(text("SELECT pg_backend_pid()"))
    async with store.connections.open() as connection:
        left = await connection.exec_driver_sql(
            "SELECT pg_backend_pid(), current_user = session_user,"
            " nullif(current_setting('app.user_id', true), '')"
        )
        assert tuple(left.one()) == (backend, True, None)


async def test_without_an_identity_nothing_is_seen(place: Place) -> None:
    connection = await asyncpg.connect(place.url)
    async with connection.transaction():
        await connection.execute(f"SET LOCAL ROLE {ROLE}")
        seen = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]
    await connection.close()
    assert set(seen) == {0}


async def test_every_guard_stands_whoever_migrated(store: Store, place: Place) -> None:
    async with store.read() as session:
        assert await wrong_guard(session) is None
    assert (await status(settings_for(place.url))).up_to_date
    assert (await verify_user(store, 1)).wrong is None


VERBS = {
    "SELECT": "SELECT * FROM {} WHERE user_id = 1",
    "UPDATE": "UPDATE {0} SET {1} = {1} WHERE user_id = 1",
    "DELETE": "DELETE FROM {} WHERE user_id = 1",
}


async def rows_met(store: Store, statement: str) -> Any:
    """The rows that user 2 is given, or how many were changed."""
    try:
        async with store.write(2) as session:
            done: Any = await session.execute(text(statement))
            return done.all() if done.returns_rows else done.rowcount
    except DBAPIError as refused:
        return "permission denied" if "permission denied" in str(refused) else refused


@pytest.mark.parametrize("table", TABLES)
async def test_another_user_sees_changes_and_removes_nothing(store: Store, table: str) -> None:
    """Each verb finds no row, or is not this role's at all; columns are tried one by one."""
    async with store.read(1) as session:
        there = await session.scalar(text(f"SELECT count(*) FROM {table}"))
    assert there, "the walk needs a row to find"
    columns = [column.name for column in Base.metadata.tables[table].columns]
    said = {verb.format(table, column) for verb in VERBS.values() for column in columns}
    for statement in sorted(said):
        assert await rows_met(store, statement) in ([], 0, "permission denied"), statement
    async with store.read(1) as session:
        assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == there


@pytest.mark.parametrize("table", TABLES)
async def test_another_user_writes_nothing_in_the_first_ones_name(store: Store, table: str) -> None:
    """The rows are real ones of user 1, said again by user 2."""
    async with store.read(1) as session:
        row = await session.scalar(text(f"SELECT to_jsonb(t)::text FROM {table} t LIMIT 1"))
    said = text(
        f"INSERT INTO {table} SELECT *"
        f" FROM jsonb_populate_record(null::{table}, cast(:row AS jsonb))"
    )
    # Paths are written by the database alone.
    refused = "permission denied" if table == "paths" else "row-level security"
    with pytest.raises(DBAPIError, match=refused):
        async with store.write(2) as session:
            await session.execute(said, {"row": row})


FORBIDDEN = [
    "UPDATE users SET tier = 'pro'",
    "UPDATE users SET name = 'x'",
    "UPDATE tiers SET trades = NULL",
    "INSERT INTO tiers (name) VALUES ('mine')",
    "DELETE FROM tiers",
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM alembic_version",
    "DELETE FROM trades",
    "DELETE FROM audit",
    "UPDATE audit SET author = 'x'",
    "UPDATE api_tokens SET scopes = 'admin'",
    "UPDATE fills SET price = 1",
    "SELECT * FROM fold",
    "SELECT * FROM unfolded",
    "INSERT INTO unfolded SELECT 1, 1, 1, mode, currency, NULL, NULL, NULL, ticker, 202601,"
    " outcome, gross_pnl, fees, net_pnl FROM trades",
    *(f"TRUNCATE {table} CASCADE" for table in ("trades", "audit", "users", "calls")),
    "ALTER TABLE trades DISABLE TRIGGER ALL",
    "ALTER TABLE trades DISABLE TRIGGER guard_update",
    "DROP TRIGGER guard_update ON trades",
    "ALTER TABLE trades NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE trades DISABLE ROW LEVEL SECURITY",
    "DROP POLICY own ON trades",
    "CREATE POLICY mine ON trades USING (true)",
    "DROP FUNCTION refuse() CASCADE",
    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NEW; END'",
    "SET LOCAL session_replication_role = replica",
    "CREATE TABLE mine (id int)",
    f"GRANT {OPERATOR_ROLE} TO {ROLE}",
    f"ALTER ROLE {ROLE} BYPASSRLS",
    "CREATE ROLE mine",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_the_applications_role_is_refused(store: Store, statement: str) -> None:
    with pytest.raises(DBAPIError) as refused:
        async with store.write(1) as session:
            await session.execute(text(statement))
    assert state_of(refused.value) == INSUFFICIENT_PRIVILEGE


async def test_what_the_login_may_not_take_is_not_taken_from_within(
    store: Store, place: Place
) -> None:
    """SET ROLE is measured by the login, not by the role of the transaction."""
    logins = {"member": [OPERATOR_ROLE, "postgres"], "superuser": []}
    for role in logins.get(place.kind, ["postgres"]):
        with pytest.raises(DBAPIError, match="permission denied to set role"):
            async with store.write(1) as session:
                await session.execute(text(f"SET LOCAL ROLE {role}"))


@pytest.fixture
def environment(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", place.url)
    monkeypatch.setenv("TRADE_HISTORY_DATA_DIR", str(tmp_path))


OPERATING = (
    ("users", "list"),
    ("users", "tier", "2", "free"),
    ("users", "add", "ann"),
    ("tiers",),
    ("tiers", "free", "--trades", "7"),
    ("operator", "report"),
    ("operator", "fold"),
    ("operator", "verify"),
    ("operator", "rebuild"),
    ("verify", "--all"),
    ("keys", "list"),
    ("keys", "rotate"),
    ("keys", "forget", "--yes"),
)


@pytest.mark.usefixtures("environment")
async def test_an_operator_sees_every_user_and_nobody_else_does(store: Store, place: Place) -> None:
    if place.kind != "member":
        async with store.operate() as session:
            assert [user.user_id for user in await list_users(session)][:2] == [1, 2]
            assert await session.scalar(text("SELECT current_user::text")) == OPERATOR_ROLE
            assert await session.scalar(text("SELECT count(*) FROM trades")) == 5
        for command in ("fold", "verify", "rebuild", "report"):
            told = await asyncio.to_thread(CliRunner().invoke, cli, ("operator", command))
            assert told.exit_code == 0, told.output
        return
    for arguments in OPERATING:
        result = await asyncio.to_thread(CliRunner().invoke, cli, arguments)
        assert result.exit_code == 5, arguments
        assert re.fullmatch(
            f"trade-history: The database has no usable role {OPERATOR_ROLE}: [^\n]+\n",
            result.output,
        )


FORBIDDEN_TO_OPERATORS = [
    "UPDATE trades SET ticker = 'X'",
    "DELETE FROM users",
    "INSERT INTO notes VALUES (1, 1, 9, 'x', 'x', now())",
    "UPDATE audit SET author = 'x'",
    "DELETE FROM broker_connections",
    "TRUNCATE calls",
    "INSERT INTO unfolded (user_id, number, effect) VALUES (1, 1, 1)",
    "UPDATE unfolded SET effect = 1",
    "SET LOCAL session_replication_role = replica",
]


@pytest.mark.parametrize("statement", FORBIDDEN_TO_OPERATORS)
async def test_an_operator_reads_and_changes_nothing_of_the_ledger(
    store: Store, place: Place, statement: str
) -> None:
    if place.kind == "member":
        pytest.skip("this login is no operator")
    with pytest.raises(DBAPIError, match="permission denied"):
        async with store.operate(write=True) as session:
            await session.execute(text(statement))


async def test_a_login_that_may_not_migrate_is_told_what_to_run(place: Place) -> None:
    """Those very statements were run, and then it could: this database is the proof."""
    if place.kind != "plain":
        pytest.skip("this login may migrate, or need not")
    assert re.fullmatch(
        r"This connection may not migrate \S+ \(permission denied [^)]*\)\. Let an administrator of"
        rf" it run `CREATE ROLE {ROLE} NOLOGIN; CREATE ROLE {OPERATOR_ROLE} NOLOGIN;"
        rf" GRANT {ROLE}, {OPERATOR_ROLE} TO plain; GRANT CREATE, USAGE ON SCHEMA public TO plain;"
        rf" GRANT USAGE ON SCHEMA public TO {ROLE}, {OPERATOR_ROLE}`, then migrate again\.",
        place.refusal,
    ), place.refusal


@pytest.fixture
async def second(server: Server, postgres_template: str) -> AsyncIterator[str]:
    """A database on a server where our roles are, as they are made by the template."""
    await server.create_database("second")
    said = server.password.replace("'", "''")
    for name in ("Late-comer", "third"):
        await run(server.url("second"), f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{said}'")
    yield server.url("second")
    await server.drop_database("second")
    await run(server.url("postgres"), 'DROP ROLE "Late-comer", third')


def as_login(name: str, url: str) -> Settings:
    return settings_for(url.replace("//postgres:", f"//{name}:", 1))


PATHS = {
    "public, as it is by itself": (),
    "one that it may not use": (
        'ALTER DATABASE second SET search_path = "$user", "Their books", public',
        'CREATE SCHEMA "Their books"',
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    ),
    "one that is not there": ('ALTER DATABASE second SET search_path = "Nowhere"',),
}


@pytest.mark.parametrize("schema", PATHS)
async def test_only_what_is_missing_is_to_be_run(second: str, schema: str) -> None:
    """Our roles are there already, and are not made again."""
    for statement in PATHS[schema]:
        await run(second, statement)
    late = as_login("Late-comer", second)
    with pytest.raises(Unavailable) as refused:
        await upgrade(late)
    (statements,) = re.findall("`([^`]+)`", str(refused.value))

    assert f'GRANT {ROLE}, {OPERATOR_ROLE} TO "Late-comer"; ' in statements
    assert "CREATE ROLE" not in statements
    await run(second, statements)
    assert (await upgrade(late)).up_to_date


async def test_a_ledger_of_another_role_is_migrated_by_that_role(second: str) -> None:
    await run(second, f'GRANT {ROLE}, {OPERATOR_ROLE} TO "Late-comer"')
    await run(second, 'GRANT CREATE ON SCHEMA public TO "Late-comer"')
    await upgrade(as_login("Late-comer", second))
    await run(second, "UPDATE alembic_version SET version_num = '0001'")

    with pytest.raises(Unavailable, match="those of Late-comer: migrate as that role"):
        await upgrade(as_login("third", second))


async def test_two_programs_that_make_the_same_user_make_it_once(store: Store) -> None:
    """As replicas do that start at the same moment."""
    others = [Store(store.settings) for _ in range(4)]
    made = await asyncio.gather(*(add_user(one, 77, "twin") for one in others))
    for other in others:
        await other.close()

    assert sorted(made) == [False, False, False, True]
    assert (await verify_user(store, 77)).entries == 1
