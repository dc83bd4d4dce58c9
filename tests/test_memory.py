"""What a process remembers: results, each good for one ledger version."""

import asyncio
import threading
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.accounts import AccountEntry, put_account
from store.database import POSTPONED_MAX, Store
from store.memory import Memory
from store.models import User
from store.queries import remembering
from store.queries.get_best_entry_conditions import get_best_entry_conditions
from store.queries.get_trade_history import get_trade_history
from store.queries.remembering import remembered
from store.schema import add_user, prepare
from tests.conftest import settings_for
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


async def test_what_takes_long_to_work_out_holds_no_connection(database_url: str) -> None:
    """There is only one; meanwhile another question has it. Who asks the same waits without."""
    store = Store(settings_for(database_url).model_copy(update={"pool_size": 1}))
    await prepare(store)
    begun, go_on, worked = threading.Event(), threading.Event(), list[str]()

    def work(read: str) -> str:
        worked.append(read)
        begun.set()
        assert go_on.wait(20)
        return f"made of {read}"

    async def ask(session: AsyncSession) -> str:
        async def read() -> str:
            return str(await session.scalar(select(User.name)))

        return str(await remembered(session, 1, "key", read, work))

    async def asked_meanwhile(session: AsyncSession) -> int | None:
        return await session.scalar(select(User.ledger_version))

    asking = [asyncio.create_task(store.answer(ask)) for _ in range(3)]
    await asyncio.to_thread(begun.wait, 20)
    async with asyncio.timeout(10):
        assert await store.answer(asked_meanwhile) == 0
    go_on.set()

    assert await asyncio.gather(*asking) == ["made of local"] * 3
    assert worked == ["local"]
    assert not store.memory.busy
    await store.close()


async def test_who_records_all_the_time_is_answered_all_the_same(store: Store) -> None:
    """Each work is good for one version only, and the next time it is another one."""
    versions = count(1)

    async def ask(session: AsyncSession) -> int:
        async def read() -> int:
            return await session.scalar(select(User.ledger_version)) or 0

        return int(await remembered(session, next(versions), "key", read, lambda read: read + 7))

    assert await store.answer(ask) == 7
    assert next(versions) == POSTPONED_MAX + 2


async def test_a_work_that_fails_is_said_and_done_again_by_the_next(store: Store) -> None:
    async def ask(session: AsyncSession) -> str:
        async def read() -> str:
            return "read"

        return str(await remembered(session, 1, "key", read, work))

    def work(_read: str) -> str:
        raise RuntimeError("it fails")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="it fails"):
            await store.answer(ask)
    assert not store.memory.busy


async def test_what_is_asked_while_writing_is_not_remembered(store: Store) -> None:
    """It may be undone; the next writer then makes another book of the same version."""
    await record(store, "2026-01-05 SPY +10")

    async with store.write() as session:
        await get_best_entry_conditions(session)

    assert (len(store.memory), len(store.answers)) == (0, 0)
    await store.answer(get_best_entry_conditions)
    assert (len(store.memory), len(store.answers)) == (1, 1)


async def test_an_answer_is_given_again_until_its_user_records(store: Store) -> None:
    await record(store, "2026-01-05 SPY +10")
    await add_user(store, 2, "another")
    first = await store.answer(get_trade_history)

    again, other = await store.answer(get_trade_history), await store.answer(get_trade_history, 2)
    await record(store, "2026-01-06 SPY -4")
    later = await store.answer(get_trade_history)

    assert again.trades is first.trades
    assert (first.totals.n, other.totals.n, later.totals.n) == (1, 0, 2)
    assert later.totals.net_pnl == "6.00"


async def test_another_question_is_another_answer(store: Store) -> None:
    await record(store, "2026-01-05 SPY +10\n2026-01-06 AAPL -4")

    async with store.read() as session:
        asked = [
            await get_trade_history(session, **arguments)
            for arguments in ({}, {"ticker": "SPY"}, {"ticker": "spy"}, {"limit": 1}, {})
        ]

    assert [one.totals.n for one in asked] == [2, 1, 1, 2, 2]
    assert [len(one.trades) for one in asked] == [2, 1, 1, 1, 2]


async def test_an_answer_that_is_given_again_says_when_it_was_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(store, "2026-01-05 SPY +10")
    first = await store.answer(get_trade_history)
    later = first.provenance.as_of + timedelta(hours=1)
    monkeypatch.setattr(remembering, "moment_now", lambda: later)

    again = await store.answer(get_trade_history)

    assert again.provenance.as_of == later
    assert again.model_copy(update={"provenance": first.provenance}) == first


async def test_nothing_is_remembered_where_that_is_asked_for(database_url: str) -> None:
    store = Store(settings_for(database_url).model_copy(update={"answers_remembered": 0}))
    await prepare(store)
    await record(store, "2026-01-05 SPY +10")

    await store.answer(get_trade_history)

    assert len(store.answers) == 0
    await store.close()


async def test_an_account_in_another_zone_is_in_the_next_answer(store: Store) -> None:
    await record(store, "2026-01-05 SPY +10")
    before = await store.answer(get_best_entry_conditions)
    async with store.write() as session:
        await put_account(session, AccountEntry(name="london", mode="paper", zone="Europe/London"))

    after = await store.answer(get_best_entry_conditions)

    assert (before.scope.zone, after.scope.zone) == ("America/New_York", None)
