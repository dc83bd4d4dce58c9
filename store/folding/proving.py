"""Is the fold right, and how is it made right? Against a scan of every closed trade."""

from dataclasses import dataclass

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import Store
from store.folding.adding import (
    AMOUNTS,
    COUNTS,
    DIMENSIONS,
    KEY,
    NOTHING,
    Key,
    Tally,
    current,
    folded,
    scanned,
    tallied,
)
from store.folding.fold import lock_fold
from store.models import Fold
from store.queries.answer import money

NAMED_BY_USERS = ("strategy", "ticker")


async def wrong_fold(session: AsyncSession) -> str | None:
    """The first sum in which the fold and what is unfolded differ from the trades themselves,
    all of one moment; None if there is none."""
    have = await tallied(session, current(DIMENSIONS))
    true = await tallied(session, scanned())
    for key in sorted({*have, *true}, key=lambda one: (DIMENSIONS.index(one[0]), one)):
        kept, scan = have.get(key, NOTHING), true.get(key, NOTHING)
        for name in Tally._fields:
            said, worked_out = getattr(kept, name), getattr(scan, name)
            if said == worked_out:
                continue
            if name in AMOUNTS:
                said, worked_out = money(said), money(worked_out)
            return f"{name} of {_named(key)} is {said}, its trades come to {worked_out}"
    return None


def _named(key: Key) -> str:
    """Which sum it is, without the words of users."""
    of = "one" if key.dimension in NAMED_BY_USERS else key.value
    whose = "all trades" if key.dimension == "whole" else f"{key.dimension} {of or 'none'}"
    return f"{whose} ({key.mode}, {key.currency})"


@dataclass(frozen=True)
class _Compared:
    """What the fold holds at one moment, and by how much each of its sums is too small."""

    kept: dict[Key, Tally]
    missing: dict[Key, Tally]


async def rebuild_fold(store: Store) -> int:
    """Make the fold anew from the trades, beside whoever records or asks; gives how many of
    its sums were wrong.

    What is unfolded stays so, and the fold becomes what it has to be beside it. Whatever is
    recorded during the scan is unfolded, too, and so changes nothing of that.
    """
    if store.database.dialect == "postgresql":
        # Folding waits for the lock; recording and asking need none.
        async with store.operate(write=True) as session:
            await lock_fold(session)
            return await _replace(session, await _compared(session))
    while True:
        # A lock would hold up whoever records: what was found is written if nobody folded.
        async with store.operate() as session:
            found = await _compared(session)
        async with store.operate(write=True) as session:
            if await tallied(session, folded()) == found.kept:
                return await _replace(session, found)


async def _compared(session: AsyncSession) -> _Compared:
    kept = await tallied(session, folded())
    have = await tallied(session, current(DIMENSIONS))
    true = await tallied(session, scanned())
    missing = {
        key: true.get(key, NOTHING).plus(have.get(key, NOTHING), -1)
        for key in {*have, *true}
        if true.get(key) != have.get(key)
    }
    return _Compared(kept, missing)


async def _replace(session: AsyncSession, found: _Compared) -> int:
    right = {
        key: found.kept.get(key, NOTHING).plus(found.missing.get(key, NOTHING))
        for key in {*found.kept, *found.missing}
    }
    await session.execute(delete(Fold))
    rows = [_row(key, tally) for key, tally in right.items() if tally != NOTHING]
    if rows:
        await session.execute(insert(Fold), rows)
    return len(found.missing)


def _row(key: Key, tally: Tally) -> dict[str, object]:
    return dict(zip((*KEY, *COUNTS, *AMOUNTS), (*key, *tally), strict=True))
