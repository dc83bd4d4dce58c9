"""What protects whoever repeats a command without a key: the same thing twice is refused.

A key says that something is new although it looks the same. Each check runs after the
command has written, so the user's commands already wait for one another; what it refuses
is undone with the transaction.
"""

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from store.database import user_of
from store.errors import Conflict
from store.models import Fill, Note, Trade

SAME_TRADE = (
    "account_id", "ticker", "opened_at", "quantity", "price_sign", "entry_price", "structure",
    "option_type", "strike", "expiry", "external_id", "broker_order_id",
)  # fmt: skip
SAME_FILL = ("side", "quantity", "price", "filled_at", "execution_id")
BY_KEY = "nothing was written. If this is another one, give it a key of its own."


async def refuse_same_trade(session: AsyncSession, number: int) -> None:
    """
    Raises:
        Conflict: another trade, not void, was entered the same.
    """
    other = aliased(Trade)
    twin = await session.scalar(
        select(func.min(other.number))
        .join(Trade, _same(Trade, other, SAME_TRADE))
        .where(
            Trade.user_id == user_of(session),
            Trade.number == number,
            other.user_id == user_of(session),
            other.number != number,
            other.status != "void",
        )
    )
    if twin is not None:
        raise Conflict(
            f"Trade {twin} has the same account, ticker, moment of entry, size and price: {BY_KEY}"
        )


async def refuse_same_fill(session: AsyncSession, number: int, leg_number: int) -> None:
    """
    Raises:
        Conflict: the latest fill of the leg is there already.
    """
    other = aliased(Fill)
    mine = (
        Fill.user_id == user_of(session),
        Fill.trade_number == number,
        Fill.leg_number == leg_number,
    )
    latest = select(func.max(Fill.fill_number)).where(*mine).scalar_subquery()
    found = await session.scalar(
        select(func.count())
        .select_from(Fill)
        .join(other, _same(Fill, other, SAME_FILL))
        .where(
            *mine,
            Fill.fill_number == latest,
            other.user_id == Fill.user_id,
            other.trade_number == number,
            other.leg_number == leg_number,
            other.fill_number != Fill.fill_number,
        )
    )
    if found:
        raise Conflict(
            f"Leg {leg_number} of trade {number} has this fill already (same side, quantity, price"
            f" and moment): {BY_KEY}"
        )


async def refuse_same_note(session: AsyncSession, number: int, body: str) -> None:
    """
    Raises:
        Conflict: the trade has the note already.
    """
    found = await session.scalar(
        select(func.count())
        .select_from(Note)
        .where(Note.user_id == user_of(session), Note.trade_number == number, Note.body == body)
    )
    if found and found > 1:
        raise Conflict(f"Trade {number} has this note already: {BY_KEY}")


def _same(one: Any, other: Any, columns: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether all `columns` agree; what neither says agrees, too."""
    same: ColumnElement[bool] = one.user_id == other.user_id
    for name in columns:
        same &= getattr(one, name).is_not_distinct_from(getattr(other, name))
    return same
