"""On SQLite whoever reads and whoever writes leave each other alone, also in other programs.

Waiting would end in a refusal after half a minute, so each of these would fail.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import Store
from store.queries.get_trade_history import get_trade_history
from tests.ledger import record
from tests.server.running import trade_history

ANOTHER = [
    "trades", "record", "--account", "main", "--ticker", "SPY", "--quantity", "1",
    "--entry-price", "10", "--opened-at", "2026-01-06T10:15:00-05:00",
    "--closed-at", "2026-01-06T11:15:00-05:00", "--exit-price", "11",
]  # fmt: skip
WRITES = """
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1], isolation_level=None)
ledger.execute("BEGIN IMMEDIATE")
ledger.execute("UPDATE users SET name = 'another'")
print("written", flush=True)
sys.stdin.read()
ledger.execute("ROLLBACK")
"""


@pytest.fixture
def dialect() -> str:
    return "sqlite"


async def trades(session: AsyncSession) -> int:
    return (await get_trade_history(session, mode="all")).scope.trades


@asynccontextmanager
async def writing(path: str) -> AsyncIterator[None]:
    """Another program has written and not committed for as long as the block lasts."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITES, path, stdin=pipe, stdout=pipe
    )
    assert program.stdout is not None
    assert await program.stdout.readline() == b"written\n"
    try:
        yield
    finally:
        await program.communicate(b"")


async def test_who_reads_keeps_no_other_program_from_writing(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """And goes on seeing the moment at which it began."""
    await record(store, "2026-01-05 AAPL +1")

    async with store.read() as session:
        assert await trades(session) == 1
        code, _output, errors = await trade_history(database_url, tmp_path, *ANOTHER)
        assert code == 0, errors
        assert await trades(session) == 1

    assert await store.answer(trades) == 2


async def test_who_writes_keeps_no_other_program_from_reading(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    await record(store, "2026-01-05 AAPL +1")

    async with writing(database_url.removeprefix("sqlite:///")):
        assert await store.answer(trades) == 1
        code, output, errors = await trade_history(
            database_url, tmp_path, "trades", "list", "--status", "all", "--json"
        )

    assert (code, errors) == (0, "")
    assert "AAPL" in output


async def test_readers_do_not_wait_for_a_writer_of_their_own_program(store: Store) -> None:
    await record(store, "2026-01-05 AAPL +1")

    async with store.write() as session:
        assert await trades(session) == 1
        assert await asyncio.gather(*(store.answer(trades) for _ in range(3))) == [1, 1, 1]
