"""What was acknowledged survives kills, crowds and outages; the check that says so can fail."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.faults.checking import Contradiction, check
from benchmarks.faults.commands import ACCOUNT, Said, Trader, say
from benchmarks.faults.crowding import crowd
from benchmarks.faults.killing import kill_recorders
from benchmarks.faults.ledgers import make_ready
from benchmarks.faults.outages import interrupt
from store.accounts import AccountEntry, put_account
from store.database import Store
from store.models import Base
from tests.postgres_server import DURABLE, NoPostgres, Postmaster, postmaster, skip_or_fail
from tests.server.running import ROOT, environment

TINY = ("--kills", "1", "--writers", "2", "--trades", "2")
PARTS = ("conditions", "snapshots", "paths", "notes", "fills", "legs")


def copied(table: str, number: str) -> str:
    """The statement that doubles the rows of trade 1 under the next free number."""
    columns = [column.name for column in Base.metadata.tables[table].columns]
    taken = [f"{number} + 40" if column == number else column for column in columns]
    return (
        f"INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {', '.join(taken)} FROM {table} WHERE {number} = 1"
    )


PLANTED = {
    "a lost trade": (
        [f"DELETE FROM {part} WHERE trade_number = 1" for part in PARTS]
        + ["DELETE FROM trades WHERE number = 1"],
        "Trade 1, acknowledged to test-1, is lost",
    ),
    "a forgotten key": (
        ["DELETE FROM requests WHERE request_key = 'test-1'"],
        "test-1 was acknowledged and is not stored",
    ),
    "a doubled trade": (
        [
            copied("trades", "number"),
            *(copied(part, "trade_number") for part in ("legs", "fills", "conditions")),
            "UPDATE users SET last_trade = last_trade + 40",
        ],
        "Trade 41 is stored; 0 commands recorded it",
    ),
    "a trade without its second fill": (
        ["DELETE FROM fills WHERE trade_number = 1 AND leg_number = 1 AND fill_number = 2"],
        "The number of fills of trade 1: [13] instead of [24]",
    ),
    "a trade that was not closed": (
        ["UPDATE trades SET status = 'open', closed_at = NULL, net_pnl = NULL, outcome = NULL"
         " WHERE number = 1"],
        "The status of trade 1: open instead of closed",
    ),
    "money from nowhere": (
        ["UPDATE trades SET gross_pnl = gross_pnl + 1, net_pnl = net_pnl + 1 WHERE number = 1"],
        "The net P&L of trade 1",
    ),
    "a number that was skipped": (
        ["UPDATE users SET last_trade = last_trade + 1"],
        "The trades' numbers",
    ),
    "a lost audit entry": (
        ["DELETE FROM audit WHERE entry_number = 3"],
        "The audit entries' numbers",
    ),
    "a changed audit entry": (
        ["UPDATE audit SET author = 'somebody' WHERE entry_number = 3"],
        "Audit entry 3: its hash",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def durable_server() -> Iterator[Postmaster]:
    """A server of this file alone: it is stopped and killed."""
    try:
        with postmaster(DURABLE) as running:
            yield running
    except NoPostgres as reason:
        skip_or_fail(reason)


async def recorded(store: Store, commands: int = 20) -> list[Said]:
    """A closed trade, then a mixture of commands."""
    async with store.write() as session:
        await put_account(session, AccountEntry(name=ACCOUNT, mode="paper"))
    trader, said = Trader("test", seed=1), []
    for number in range(commands):
        command = trader.next() if number else trader.closed()
        answer = await say(store, 1, command)
        trader.learn(command, answer)
        said.append(Said(command, answer))
    return said


async def plant(store: Store, statements: list[str]) -> None:
    """Say what no lock would allow, as the owner of the database who has lifted them."""
    async with store.connections.engine.connect() as connection:
        if store.database.dialect == "postgresql":
            lifted, back = ["SET session_replication_role = replica"], "RESET ALL"
        else:
            found = await connection.exec_driver_sql(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            )
            lifted = ["PRAGMA query_only = OFF", "PRAGMA foreign_keys = OFF"]
            lifted += [f"DROP TRIGGER {name}" for name in found.scalars()]
            back = "PRAGMA foreign_keys = ON"
        for statement in [*lifted, *statements, back]:
            await connection.exec_driver_sql(statement)


async def test_what_killed_processes_were_told_is_stored_once_and_whole(database_url: str) -> None:
    await make_ready(database_url, users=1)

    killed = await asyncio.to_thread(kill_recorders, database_url, 3, seed=1)

    assert killed.kills == 3
    assert killed.acknowledged >= 3  # Each was killed after its first acknowledgement.
    assert killed.checks >= 1


@pytest.mark.parametrize("users", [1, 4])
async def test_writers_at_once_lose_and_double_nothing(database_url: str, users: int) -> None:
    await make_ready(database_url, users)

    found = await asyncio.to_thread(crowd, database_url, 4, 5, users, seed=1)

    assert (found.trades, len(found.waits)) == (20, 20)


async def test_a_killed_server_keeps_what_it_acknowledged(durable_server: Postmaster) -> None:
    def restart() -> None:
        durable_server.kill()
        durable_server.start()

    url = await new_ledger(durable_server, "killed")

    killed = await asyncio.to_thread(kill_recorders, url, 2, 1, restart, server_every=2)

    assert (killed.kills, killed.server_kills) == (2, 1)


async def test_calls_are_answered_or_refused_while_the_server_goes_and_comes(
    durable_server: Postmaster,
) -> None:
    url = await new_ledger(durable_server, "outages")
    ends = {"fast shutdown": durable_server.stop, "kill -9": durable_server.kill}

    outages = await interrupt(url, ends, durable_server.start, seed=1)

    assert [outage.how for outage in outages] == list(ends)
    assert all(outage.refused and outage.answered for outage in outages)


async def new_ledger(running: Postmaster, name: str) -> str:
    await running.server.create_database(name)
    await make_ready(running.server.url(name), users=1)
    return running.server.url(name)


def test_the_benchmark_says_what_it_found() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--sqlite", *TINY],
        capture_output=True, text=True, cwd=ROOT, env=environment("sqlite://"), timeout=100,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr
    assert "All that was acknowledged is stored" in run.stdout
    assert "PostgreSQL" not in run.stdout


async def test_a_command_nobody_was_told_about_may_be_stored_or_not(store: Store) -> None:
    said = await recorded(store)
    never_arrived = Trader("another", seed=1).next()
    said[-1] = replace(said[-1], answer=None)

    await check(store, 1, [*said, Said(never_arrived, None)])


@pytest.mark.parametrize("planted", PLANTED)
async def test_the_check_finds(store: Store, planted: str) -> None:
    statements, message = PLANTED[planted]
    said = await recorded(store)
    await check(store, 1, said)

    await plant(store, statements)

    with pytest.raises(Contradiction, match=message):
        await check(store, 1, said)
