"""What has changed since: for those who are to hear of it.

Every recording appends to the user's audit and raises the ledger version, whichever program
records; so reading two counters shows whether anything is new.
"""

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.models import AuditEntry, Correction, User

ENTRIES_MAX = 10_000  # An import of more trades than that is told as far.


@dataclass(frozen=True)
class Position:
    """How far the user's record has come."""

    entry: int = 0
    version: int = 0


@dataclass(frozen=True)
class Changes:
    """`answers`: some answer may be another now; `trades`: the numbers of trades that are."""

    position: Position
    answers: bool
    trades: tuple[int, ...]


async def position(session: AsyncSession) -> Position:
    """Where the record stands; at the beginning where there is no such user."""
    row = (
        await session.execute(
            select(User.last_audit, User.ledger_version).where(User.user_id == user_of(session))
        )
    ).one_or_none()
    found = Position(*row) if row else Position()
    session.info["entry"] = found.entry
    return found


async def changes_since(session: AsyncSession, before: Position) -> Changes:
    """What was recorded after `before`, with the trades that a correction replaced."""
    now = await position(session)
    if now == before:
        return Changes(now, answers=False, trades=())
    user_id = user_of(session)
    results = await session.scalars(
        select(AuditEntry.result)
        .where(AuditEntry.user_id == user_id, AuditEntry.entry_number > before.entry)
        .order_by(AuditEntry.entry_number)
        .limit(ENTRIES_MAX)
    )
    numbers: set[int] = set()
    for result in map(json.loads, results):
        numbers |= {result[name] for name in ("number", "next_number") if result.get(name)}
        if "first" in result:  # A batch of an import.
            numbers |= set(range(result["first"], result["last"] + 1))
    restated = await session.execute(
        select(Correction.number, Correction.replacement).where(
            Correction.user_id == user_id,
            Correction.replacement >= min(numbers, default=0),
        )
    )
    numbers |= {old for old, new in restated if new in numbers}
    return Changes(now, now.version != before.version, tuple(sorted(numbers)))
