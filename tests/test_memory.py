"""What a process remembers: results, each good for one ledger version."""

import asyncio
from typing import Any

from store.accounts import AccountEntry, put_account
from store.database import Store
from store.memory import Memory
from store.queries.books import remembered
from store.queries.get_best_entry_conditions import get_best_entry_conditions
from tests.ledger import record


def test_a_result_is_good_for_its_version_only() -> None:
    memory = Memory()
    memory.keep("key", 3, "result")

    assert memory.get("key", 3) == "result"
    assert memory.get("key", 4) is None
    assert memory.get("other", 3) is None


def test_a_late_reader_does_not_replace_what_is_newer() -> None:
    memory = Memory()
    memory.keep("key", 4, "newer")
    memory.keep("key", 3, "older")

    assert memory.get("key", 4) == "newer"


def test_what_was_used_last_is_kept() -> None:
    memory = Memory(entries=2)
    for key in "abc":
        memory.keep(key, 1, key)
        memory.get("a", 1)

    assert [memory.get(key, 1) for key in "abc"] == ["a", None, "c"]


async def test_who_asks_at_the_same_time_waits_for_the_one_who_works(store: Store) -> None:
    worked: list[int] = []

    async def ask(number: int) -> Any:
        async def work() -> str:
            worked.append(number)
            await asyncio.sleep(0)
            if len(worked) == 1:
                raise RuntimeError("the first fails")
            return "result"

        async with store.read() as session:
            return await remembered(session, 1, "key", work)

    found = await asyncio.gather(*map(ask, range(4)), return_exceptions=True)

    assert [str(one) for one in found].count("result") == 3
    assert len(worked) == 2
    assert not store.memory.busy


async def test_what_is_asked_while_writing_is_not_remembered(store: Store) -> None:
    """It may be undone; the next writer then makes another book of the same version."""
    await record(store, "2026-01-05 SPY +10")

    async with store.write() as session:
        await get_best_entry_conditions(session)

    async with store.read() as session:
        assert session.info["memory"] is store.memory
        assert store.memory.get((1, ("conditions", (), False)), 1) is None


async def test_an_account_in_another_zone_is_in_the_next_answer(store: Store) -> None:
    await record(store, "2026-01-05 SPY +10")
    async with store.read() as session:
        before = await get_best_entry_conditions(session)
    async with store.write() as session:
        await put_account(session, AccountEntry(name="london", mode="paper", zone="Europe/London"))

    async with store.read() as session:
        after = await get_best_entry_conditions(session)

    assert (before.scope.zone, after.scope.zone) == ("America/New_York", None)
