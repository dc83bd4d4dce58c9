"""Every command that writes is on the record, once, and the record is a chain."""

import json
from datetime import UTC
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select

from store.accounts import AccountEntry, put_account
from store.corrections import correct_trade, void_trade
from store.database import Store
from store.errors import Conflict, Invalid
from store.models import AuditEntry, User
from store.recording import add_note, open_trade
from tests.ledger import read, record, trade

LINE = {"account": "main", **read("2026-01-05 AAPL +10")}


async def entries(store: Store, user_id: int = 1) -> list[AuditEntry]:
    async with store.read(user_id) as session:
        statement = select(AuditEntry).where(AuditEntry.user_id == user_id)
        return list(await session.scalars(statement.order_by(AuditEntry.entry_number)))


def hashed(entry: AuditEntry) -> str:
    """The second method: the hash of an entry, from its columns as documented."""
    made_at = entry.made_at.astimezone(UTC).isoformat(sep=" ")
    content = {
        "user_id": entry.user_id,
        "entry_number": entry.entry_number,
        "made_at": made_at,
        "author": entry.author,
        "command": entry.command,
        "content_hash": entry.content_hash,
        "result": entry.result,
        "previous_hash": entry.previous_hash,
    }
    for name in ("token", "state_hash"):
        if getattr(entry, name) is not None:
            content[name] = getattr(entry, name)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


async def account(store: Store) -> None:
    async with store.write() as session:
        await put_account(session, AccountEntry(name="main", mode="paper"))


async def void(store: Store, number: int) -> None:
    async with store.write() as session:
        await void_trade(session, number, reason="wrong")


async def test_each_entry_is_chained_to_the_one_before_it(store: Store) -> None:
    await record(store, "2026-01-05 A +10 \n 2026-01-05 B -5 \n 2026-01-06 C open")
    async with store.write() as session:
        await add_note(session, 1, "déjà vu", author="ann")
        await void_trade(session, 2, reason="twice", author="ann")

    chain = await entries(store)

    assert [entry.entry_number for entry in chain] == [1, 2, 3, 4, 5, 6, 7]
    assert [entry.command for entry in chain] == [
        "add_user", "put_account", *["open_trade"] * 3, "add_note", "void_trade",
    ]  # fmt: skip
    assert [entry.author for entry in chain] == ["owner"] * 5 + ["ann"] * 2
    assert chain[0].previous_hash == "0" * 64
    for entry, after in pairwise(chain):
        assert after.previous_hash == entry.entry_hash
    assert [entry.entry_hash for entry in chain] == [hashed(entry) for entry in chain]


async def test_every_user_has_a_chain_of_its_own(store: Store) -> None:
    await record(store, "2026-01-05 A +10 \n 2026-01-05 B -5")
    await record(store, "2026-01-05 A +10", user_id=2)

    first, *others = await entries(store, 2)

    assert (first.entry_number, first.previous_hash) == (1, "0" * 64)
    assert [entry.command for entry in others] == ["put_account", "open_trade"]
    assert first.entry_hash == hashed(first)


async def test_a_repeated_command_writes_nothing(store: Store) -> None:
    await account(store)
    for replayed in (False, True):
        async with store.write() as session:
            done = await open_trade(session, trade(LINE), key="one")
            assert done.replayed is replayed

    async with store.read() as session:
        user = (await session.scalars(select(User))).one()
    assert [entry.command for entry in await entries(store)] == [
        "add_user", "put_account", "open_trade",
    ]  # fmt: skip
    # The account raised the version, too.
    assert (user.last_trade, user.last_audit, user.ledger_version) == (1, 3, 2)


async def test_a_refused_command_leaves_no_entry(store: Store) -> None:
    await record(store, "2026-01-05 A +10")
    await void(store, 1)
    with pytest.raises(Conflict):
        await void(store, 1)

    assert [entry.command for entry in await entries(store)] == [
        "add_user", "put_account", "open_trade", "void_trade",
    ]  # fmt: skip


async def test_every_command_raises_the_ledger_version_by_one(store: Store) -> None:
    """Two trades and a correction, and the account that they are booked to."""
    await record(store, "2026-01-05 A +10 \n 2026-01-05 B open")
    async with store.write() as session:
        await correct_trade(session, 1, trade(LINE), reason="price")

    async with store.read() as session:
        assert await session.scalar(select(User.ledger_version)) == 4


@pytest.mark.parametrize("key", ["", "x" * 201, "a\0b", "\ud800", "a\nb"])
async def test_a_key_is_short_and_printable(store: Store, key: Any) -> None:
    await account(store)
    with pytest.raises(Invalid, match="1 to 200"):
        async with store.write() as session:
            await open_trade(session, trade(LINE), key=key)
