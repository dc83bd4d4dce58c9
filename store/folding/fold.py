"""Move what is unfolded into the fold, a batch at a time, beside whoever records."""

import asyncio
import time
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import Store
from store.folding.adding import AMOUNTS, COUNTS, DIMENSIONS, KEY, added, facts_unfolded
from store.models import Fold, Unfolded

BATCH = 10_000


class Place(NamedTuple):
    """A trade in `unfolded`, which is gone through in this order."""

    user_id: int
    number: int


FIRST = Place(0, 0)


async def fold_all(store: Store, batch: int = BATCH) -> int:
    """Fold what is unfolded now; gives how many rows of it that were.

    Each batch is a transaction of its own, adding and removing the same rows: killed at any
    moment, or run twice at once, it neither loses nor doubles a trade.
    """
    count, place = 0, FIRST
    while True:
        began = time.monotonic()
        async with store.operate(write=True) as session:
            await lock_fold(session)
            found = await _fold_batch(session, place, batch)
        if found is None:
            return count
        place, moved = found
        count += moved
        if store.database.dialect == "sqlite":
            # There is one writer: whoever records gets as much time as this.
            await asyncio.sleep(time.monotonic() - began)


async def lock_fold(session: AsyncSession) -> None:
    """Nobody else changes the fold until the end of this transaction; it is read as before.

    What the transaction sees is taken after it has the lock, and stays: the rows that are
    added are those that are removed, though others are recorded meanwhile.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await session.execute(text("LOCK TABLE fold IN SHARE ROW EXCLUSIVE MODE"))


async def _fold_batch(session: AsyncSession, after: Place, batch: int) -> tuple[Place, int] | None:
    """Fold the next rows `after` a place; gives the last one and how many they were, or None
    where there are none."""
    place = tuple_(Unfolded.user_id, Unfolded.number)
    first = (
        select(Unfolded.user_id, Unfolded.number)
        .where(place > tuple_(*after))
        .order_by(*Unfolded.__table__.primary_key)
        .limit(batch)
    )
    rows = (await session.execute(first)).all()
    if not rows:
        return None
    # A trade that closed and counts no longer is folded as both at once, or not at all.
    last = Place(*rows[-1])
    within = (place > tuple_(*after), place <= tuple_(*last))
    await _add(session, within)
    removed: Any = await session.execute(delete(Unfolded).where(*within))
    await session.execute(delete(Fold).where(Fold.n == 0))
    return last, removed.rowcount


async def _add(session: AsyncSession, within: tuple[ColumnElement[bool], ...]) -> None:
    columns = (*KEY, *COUNTS, *AMOUNTS)
    sums = added(facts_unfolded(*within).cte("rest"), DIMENSIONS).subquery()
    postgresql = session.get_bind().dialect.name == "postgresql"
    insert = (insert_postgresql if postgresql else insert_sqlite)(Fold)
    # WHERE, lest SQLite take ON CONFLICT for the ON of a join.
    statement = insert.from_select(columns, select(*sums.c).where(text("true")))
    more = {name: getattr(Fold, name) + statement.excluded[name] for name in (*COUNTS, *AMOUNTS)}
    await session.execute(statement.on_conflict_do_update(index_elements=KEY, set_=more))
