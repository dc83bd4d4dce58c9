"""Checks before a trade: answered once, while it is open, and never altered unseen."""

import pytest
from sqlalchemy import func, select

from store.checklist import CHECKS_MAX, CheckEntry, answer_checklist, list_checks
from store.database import Store
from store.errors import Conflict, Invalid, NotFound
from store.models import AuditEntry
from store.verifying import verify_user
from tests.ledger import record
from tests.tampering import alter

LIQUID = CheckEntry(question="Is it liquid?", answer="yes")
SMALL = CheckEntry(question="Is it small?", answer="no")


@pytest.fixture
async def answered(store: Store) -> Store:
    """Trade 1 is closed, trade 2 open with three answers of two commands."""
    await record(store, "2026-01-05 AAPL +1\n2026-01-06 SPY open")
    async with store.write() as session:
        await answer_checklist(session, 2, [LIQUID, SMALL], key="a")
        await answer_checklist(session, 2, [LIQUID], key="b")
    return store


async def test_answers_come_back_in_their_order(answered: Store) -> None:
    async with answered.read() as session:
        found = await list_checks(session, 2)
        assert not await list_checks(session, 1)
        with pytest.raises(NotFound, match=r"No trade 9\."):
            await list_checks(session, 9)

    assert [(one.check_number, one.question) for one in found] == [
        (1, "Is it liquid?"),
        (2, "Is it small?"),
        (3, "Is it liquid?"),
    ]
    assert found[0].answered_at == found[1].answered_at < found[2].answered_at


async def test_one_command_is_one_entry_and_happens_once(answered: Store) -> None:
    async with answered.write() as session:
        counted = select(func.count()).where(AuditEntry.command == "answer_checklist")
        again = await answer_checklist(session, 2, [LIQUID, SMALL], key="a")
        with pytest.raises(Conflict, match="same key with other content"):
            await answer_checklist(session, 2, [SMALL], key="a")
        entries = await session.scalar(counted)

    assert (again.replayed, entries) == (True, 2)


async def test_a_locked_trade_takes_no_answer(answered: Store) -> None:
    with pytest.raises(Conflict, match="Trade 1 is closed and locked"):
        async with answered.write() as session:
            await answer_checklist(session, 1, [LIQUID])


@pytest.mark.parametrize("n", [0, CHECKS_MAX - 2])
async def test_none_and_too_many_are_refused(answered: Store, n: int) -> None:
    """Three are there already."""
    with pytest.raises(Invalid, match=f"^{n} checks beside 3 of trade 2; 1 to 100 in all"):
        async with answered.write() as session:
            await answer_checklist(session, 2, [LIQUID] * n)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE checklist SET answer = 'no' WHERE check_number = 1",
        "UPDATE checklist SET question = 'Is it large?' WHERE check_number = 2",
        "UPDATE checklist SET author = 'another' WHERE check_number = 3",
        "DELETE FROM checklist WHERE check_number = 2",
        "DELETE FROM checklist WHERE check_number = 3",
        "DELETE FROM checklist",
        "UPDATE checklist SET trade_number = 1",
    ],
)
async def test_what_its_owner_alters_is_found(
    answered: Store, direct_url: str, statement: str
) -> None:
    assert (await verify_user(answered, 1)).wrong is None

    await alter(direct_url, statement)

    wrong = (await verify_user(answered, 1)).wrong
    assert wrong is not None
    assert "the checklist of trade" in wrong
