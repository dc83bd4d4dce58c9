"""Every user's rows are on one shard, and no statement of a user asks another.

`working_day` does everything that the product does. All that is sent meanwhile is caught at the
driver, whichever way it was given to it, planned over two shards, and asked there.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from math import isclose
from typing import Any

import pytest
from asyncpg import Record
from sqlalchemy import (
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    UniqueConstraint,
)

from store.database import OPERATOR_ROLE, ROLE, Store
from store.schema import prepare, upgrade
from tests.conftest import in_own_loop, settings_for
from tests.postgres_server import NoPostgres, Server, connect, postgres_server, skip_or_fail
from tests.shards import NOBODYS, USERS_TABLES, Sent, Sharded, overheard, sharded, spread
from tests.working_day import USERS, whole_day

INSERT = re.compile(r"\s*INSERT INTO (\w+) \((\w+)")
# What an operator asks of all users at once, by how it begins; each is a command that says so.
OF_ALL_USERS = {
    "list_users": "SELECT users.user_id, users.name",
    "next_user": "SELECT max(users.user_id)",
    "any_token": "SELECT EXISTS (SELECT * FROM api_tokens",
    "used_key_ids, of connections": "SELECT broker_connections.sealed_token",
    "used_key_ids, of settings": "SELECT user_settings.value",
    "report": "WITH rest AS (SELECT",
}
BY_TRIGGERS = {"paths", "unfolded"}  # Nobody else writes them.
KEYS = (PrimaryKeyConstraint, UniqueConstraint, ForeignKeyConstraint)
# Of the tables that have users: unique keys and exclusions that do not begin with the user's
# number, foreign keys that do not lead from it to it, and numbers that one sequence gives to all.
CROSSING = """
    WITH users AS (SELECT c.oid, attnum FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE attname = 'user_id' AND relkind IN ('r', 'p')
                AND relnamespace = current_schema()::regnamespace)
    SELECT relname::text AS name FROM pg_index
        JOIN users u ON u.oid = indrelid JOIN pg_class c ON c.oid = indexrelid
        WHERE (indisunique OR indisexclusion) AND indkey[0] <> u.attnum
    UNION ALL
    SELECT conname::text FROM pg_constraint
        JOIN users u ON u.oid = conrelid LEFT JOIN users r ON r.oid = confrelid
        WHERE contype = 'f'
            AND (conkey[1] <> u.attnum OR confkey[1] IS DISTINCT FROM r.attnum)
    UNION ALL
    SELECT c.relname::text FROM pg_class c JOIN pg_depend d ON d.objid = c.oid
        JOIN users u ON u.oid = d.refobjid
        WHERE relkind = 'S' AND d.classid = 'pg_class'::regclass"""


@pytest.fixture(scope="module")
def day(
    server: Server, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, list[Sent]]]:
    """The ledger of a working day, and what was sent to it."""
    name, heard = "ledger_day", dict[tuple[str, str], Sent]()

    async def live() -> None:
        async with overheard(server, name) as sent:
            store = Store(settings_for(server.url(name)))
            await prepare(store)
            await whole_day(store, tmp_path_factory.mktemp("day"))
            await store.close()
        heard.update({(one.role, one.text): one for one in sent if one.of_users})

    in_own_loop(server.create_database(name, postgres_template))
    in_own_loop(live())
    yield server.direct(server.url(name)), list(heard.values())
    in_own_loop(server.drop_database(name))


@pytest.fixture(scope="module")
def others(server: Server, postgres_template: str) -> Iterator[list[Server]]:
    """Two servers beside the one of this run, each with a migrated ledger without users."""
    try:
        with ExitStack() as stack:
            running = [stack.enter_context(postgres_server()) for _ in range(2)]
            for one in running:
                in_own_loop(one.create_database("shard"))
                in_own_loop(upgrade(settings_for(one.url("shard"))))
            in_own_loop(server.create_database("coordinator", postgres_template))
            yield running
            in_own_loop(server.drop_database("coordinator"))
    except NoPostgres as reason:
        skip_or_fail(reason)


@pytest.fixture(scope="module")
def laid_out(server: Server, others: list[Server], day: tuple[str, list[Sent]]) -> str:
    """The coordinator's address; the day's rows are on the shards."""
    url = server.direct(server.url("coordinator"))
    in_own_loop(spread(day[0], url, [(one, "shard") for one in others]))
    return url


@pytest.fixture
async def schema(server: Server, postgres_template: str) -> AsyncIterator[Any]:
    """The owner's connection to a ledger that may be spoilt."""
    await server.create_database("spoilt", postgres_template)
    owner = await connect(server.direct(server.url("spoilt")))
    yield owner
    await owner.close()
    await server.drop_database("spoilt")


@pytest.fixture
async def shards(laid_out: str, day: tuple[str, list[Sent]]) -> AsyncIterator[Sharded]:
    async with sharded(day[0], laid_out) as both:
        yield both


@pytest.fixture
def sent(day: tuple[str, list[Sent]]) -> list[Sent]:
    return day[1]


async def test_the_users_of_the_day_are_on_both_shards(shards: Sharded) -> None:
    assert {await shards.shard_of(user_id) for user_id in USERS} == {0, 1}


async def test_a_statement_of_a_user_asks_one_shard(shards: Sharded, sent: list[Sent]) -> None:
    """Also where users differ only in the values: the plan is that of the values."""
    for one in sent:
        if one.role == ROLE and not INSERT.match(one.text):
            assert len(await shards.shards(one)) == 1, one.text


def test_what_is_written_names_its_user_first(sent: list[Sent]) -> None:
    """The value is that of the transaction, or row-level security refuses it."""
    written = [found for one in sent if (found := INSERT.match(one.text))]

    assert {found[1] for found in written} == {table.name for table in USERS_TABLES} - BY_TRIGGERS
    assert {found[2] for found in written} == {"user_id"}


def test_the_day_reads_every_table(sent: list[Sent]) -> None:
    read = [one.text for one in sent if not INSERT.match(one.text)]

    for table in USERS_TABLES:
        if table.name in BY_TRIGGERS:
            continue
        assert any(re.search(rf"\b{table.name}\b", text) for text in read), table.name


async def test_only_what_an_operator_asks_of_all_users_asks_every_shard(
    shards: Sharded, sent: list[Sent]
) -> None:
    operators = [one for one in sent if one.role == OPERATOR_ROLE and not INSERT.match(one.text)]
    across = [one.text for one in operators if len(await shards.shards(one)) > 1]

    assert len(across) == len(OF_ALL_USERS)
    for name, begin in OF_ALL_USERS.items():
        assert any(" ".join(text.split()).startswith(begin) for text in across), name


@pytest.mark.parametrize(
    "text",
    [
        "SELECT ticker, sum(net_pnl) FROM trades GROUP BY ticker",
        "SELECT * FROM trades WHERE number = 1",
        "SELECT f.* FROM trades t JOIN fills f ON f.trade_number = t.number WHERE t.user_id = 1",
        "UPDATE trades SET ticker = 'X' WHERE number = 1",
        "DELETE FROM trades USING accounts a WHERE a.user_id = 1",
    ],
)
async def test_a_statement_that_does_not_name_its_user_asks_both(
    shards: Sharded, text: str
) -> None:
    assert await shards.shards(Sent(ROLE, text, ())) == {0, 1}


@pytest.mark.parametrize("planned", ["", "SET enable_hashagg = off", "SET enable_indexscan = off"])
async def test_two_shards_answer_as_one_ledger(
    shards: Sharded, sent: list[Sent], planned: str
) -> None:
    """Everything that was asked, asked again: by the coordinator of the shards, and of the
    ledger whose rows they have, however its planner goes about it."""
    if planned:
        await shards.ledger.execute(planned)
    for one in sent:
        if one.text.startswith(("SELECT", "WITH")):
            two_shards, one_ledger = [
                sorted(map(in_one_order, rows), key=roughly) for rows in await shards.answers(one)
            ]
            assert same(two_shards, one_ledger), one.text


def in_one_order(found: Any) -> Any:
    """Rows, and those that ride along as JSON, sorted: most statements give them no order."""
    if isinstance(found, str) and found.startswith("["):
        return sorted(map(in_one_order, json.loads(found)), key=roughly)
    return [*map(in_one_order, found)] if isinstance(found, list | Record) else found


def roughly(value: Any) -> str:
    """A key to sort by that the last digits of a float do not change."""
    if isinstance(value, list):
        return str([*map(roughly, value)])
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def same(one: Any, other: Any) -> bool:
    """Equal; floats but for their last digits, which hang on the order they were added up in."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def leading(key: Any) -> str:
    return str(next(iter(key.columns)).name)


def test_every_key_of_users_begins_with_their_number() -> None:
    for table in USERS_TABLES:
        keys = [one for one in table.constraints if isinstance(one, KEYS)]
        assert {leading(key) for key in (*keys, *table.indexes)} == {"user_id"}, table.name
        for key in table.foreign_key_constraints:
            assert key.elements[0].target_fullname.split(".")[1] == "user_id", key.name


def test_a_table_without_a_user_is_nobodys() -> None:
    """The same for all, or of an operator."""
    assert {table.name for table in NOBODYS} == {"tiers", "bars", "fundamentals", "fold"}
    assert not any(table.foreign_keys for table in NOBODYS)


async def test_the_database_has_no_key_that_crosses_users(schema: Any) -> None:
    assert [tuple(row) for row in await schema.fetch(CROSSING)] == []


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("CREATE UNIQUE INDEX ours ON trades (external_id)", "ours"),
        ("CREATE UNIQUE INDEX ours ON trades (number, user_id)", "ours"),
        ("ALTER TABLE notes ADD CONSTRAINT ours UNIQUE (note_number)", "ours"),
        ("ALTER TABLE trades ADD CONSTRAINT ours EXCLUDE (number WITH =)", "ours"),
        ("ALTER TABLE users ADD CONSTRAINT ours FOREIGN KEY (tier) REFERENCES tiers", "ours"),
        ("ALTER TABLE notes ADD COLUMN id bigserial", "notes_id_seq"),
        ("ALTER TABLE notes ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY", "notes_id_seq"),
    ],
)
async def test_a_key_that_crosses_users_would_be_found(schema: Any, made: str, named: str) -> None:
    await schema.execute(made)

    assert named in {row["name"] for row in await schema.fetch(CROSSING)}
