"""`trade-history distribute`: what it runs on Citus, and what it says where there is none.

Citus itself is in no package that a test could install; docs/scaling.md says what three real
machines made of these very statements.
"""

import asyncio

import pytest

from store.distributing import LOGINS, distribute, plan
from store.errors import Invalid, Unavailable
from store.models import Base
from store.schema import upgrade
from tests.conftest import settings_for
from tests.postgres_server import connect
from tests.shards import USERS_TABLES
from tests.test_cli import trade_history

SETTINGS = """
    SELECT count(*) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = current_database()"""


def calls(statements: tuple[str, ...], function: str) -> list[str]:
    """The tables that `function` is called for, in order."""
    begin = f"SELECT {function}('"
    return [one[len(begin) :].split("'")[0] for one in statements if one.startswith(begin)]


def test_every_table_of_users_is_distributed_and_tiers_are_copied() -> None:
    made = plan("ledger")

    assert set(made.distributed) == {table.name for table in USERS_TABLES}
    assert made.copied == ("tiers",)
    assert calls(made.statements, "create_distributed_table") == list(made.distributed)
    assert calls(made.statements, "create_reference_table") == list(made.copied)


def test_what_a_table_refers_to_is_distributed_before_it() -> None:
    order = plan("ledger").distributed

    assert order[0] == "users"
    for name in order:
        for key in Base.metadata.tables[name].foreign_key_constraints:
            referred = key.referred_table.name
            assert referred == name or order.index(referred) < order.index(name)


def test_all_rows_of_a_user_go_to_one_machine() -> None:
    """Together with those of `users`."""
    created = [one for one in plan("ledger").statements if "create_distributed_table" in one]

    assert created[0] == "SELECT create_distributed_table('users', 'user_id')"
    assert all(one.endswith(", 'user_id', colocate_with => 'users')") for one in created[1:])


def test_the_identity_of_a_transaction_goes_with_it() -> None:
    """From the next connection on, and migrations may put triggers on what is distributed."""
    assert plan('"my ledger"').statements[-2:] == (
        "ALTER DATABASE \"my ledger\" SET citus.propagate_set_commands = 'local'",
        'ALTER DATABASE "my ledger" SET citus.enable_unsafe_triggers = on',
    )


def test_what_is_there_is_left_alone() -> None:
    """A table that a later migration made is distributed alone, and again is nothing to do."""
    others = set(Base.metadata.tables) - {"fills"}

    assert plan("ledger", others).distributed == ("fills",)
    assert plan("ledger", Base.metadata.tables).statements == plan("ledger").statements[-2:]


def test_the_roles_log_in_on_the_workers_alone() -> None:
    """Where the walls are verified they stay as they are declared."""
    assert LOGINS.count("ALTER ROLE") == 2
    assert "run_command_on_workers" in LOGINS
    assert not any("ROLE" in one for one in plan("ledger").statements)


async def test_sqlite_is_one_machine() -> None:
    with pytest.raises(Invalid, match="is SQLite, one file of one machine; Citus distributes"):
        await distribute(settings_for("sqlite:///trades.db"))


async def test_a_schema_that_is_not_there_is_made_first(direct_postgres_url: str) -> None:
    with pytest.raises(Unavailable, match=r"is not there yet, \d+ is needed: run"):
        await distribute(settings_for(direct_postgres_url))


@pytest.fixture
async def ledger(direct_postgres_url: str) -> str:
    await upgrade(settings_for(direct_postgres_url))
    return direct_postgres_url


async def test_without_the_extension_one_is_told_how_to_have_it(ledger: str) -> None:
    with pytest.raises(Invalid, match="has no extension citus: load it"):
        await distribute(settings_for(ledger))


@pytest.fixture
def database(ledger: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", ledger)
    return ledger


async def test_the_command_refuses_in_a_sentence(database: str) -> None:
    refused = await asyncio.to_thread(trade_history, "distribute")

    assert refused.exit_code == 2
    assert refused.stderr.startswith("trade-history: postgresql://")
    assert refused.stderr.count("\n") == 1
    owner = await connect(database)
    assert await owner.fetchval(SETTINGS) == 0
    await owner.close()
