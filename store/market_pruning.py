"""Old bars out of the store: an operator's commands.

What trades were given of them at entry stays with the trades. Space comes back as the database
gives it back: PostgreSQL shrinks a year's partition, but not its index, when it has vacuumed it;
a SQLite file keeps its size and fills what is free.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.audit import begin, note_down
from store.market_data import PERIODS, Period
from store.models import Bar
from store.users import OPERATOR


async def old_bars(
    session: AsyncSession, before: date, periods: Sequence[Period] = PERIODS
) -> dict[str, int]:
    """How many bars of each period opened before the UTC day `before`; none is not named."""
    counted = (
        select(Bar.period, func.count().label("bars"))
        .where(*_old(before, periods))
        .group_by(Bar.period)
    )
    found = {row.period: row.bars for row in await session.execute(counted)}
    return {period: found[period] for period in periods if period in found}


async def prune_bars(
    session: AsyncSession, before: date, periods: Sequence[Period] = PERIODS
) -> dict[str, int]:
    """Remove the bars that `old_bars` counts, and give how many of each period they were.

    `session` is an operator's; that it was done is on the record of its user.
    """
    content = {"before": before, "periods": list(periods)}
    command = await begin(session, "prune_bars", content, key=None, author=OPERATOR)
    removed: dict[str, int] = {}
    for period in periods:
        gone = await session.execute(delete(Bar).where(*_old(before, [period])))
        if count := cast(CursorResult[Any], gone).rowcount:
            removed[period] = count
    if removed:
        await note_down(session, command, removed, answers_change=False)
    return removed


def _old(before: date, periods: Sequence[Period]) -> tuple[ColumnElement[bool], ...]:
    start = datetime.combine(before, time(), UTC)
    return Bar.opens_at < start, Bar.period.in_(periods)
