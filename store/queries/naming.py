"""Names and numbers that begin with what was typed, for whoever fills in an argument."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, String, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.database import user_of
from store.models import Account, Strategy, Trade
from store.vocabulary import name_key, storable, visible


async def begin_with(session: AsyncSession, what: str, typed: str, limit: int) -> list[str]:
    """The user's own values of `what` that begin with `typed`, case and spaces aside: names in
    order, trades newest first; at most `limit`. Nothing where `what` has no known values."""
    if what not in KNOWN or not storable(typed):
        return []
    values = await session.scalars(KNOWN[what](user_of(session), typed).limit(limit))
    return [visible(str(value)) for value in values]


def _tickers(user_id: int, typed: str) -> Select[Any]:
    return (
        select(Trade.ticker)
        .where(
            Trade.user_id == user_id,
            Trade.ticker.startswith(typed.strip().upper(), autoescape=True),
        )
        .distinct()
        .order_by(Trade.ticker)
    )


def _strategies(user_id: int, typed: str) -> Select[Any]:
    return (
        select(Strategy.name)
        .where(
            Strategy.user_id == user_id,
            Strategy.name_key.startswith(name_key(typed), autoescape=True),
        )
        .order_by(Strategy.name_key)
    )


def _accounts(user_id: int, typed: str) -> Select[Any]:
    return (
        select(Account.name)
        .where(
            Account.user_id == user_id,
            Account.name_key.startswith(name_key(typed), autoescape=True),
        )
        .order_by(Account.name_key)
    )


def _numbers(user_id: int, typed: str) -> Select[Any]:
    return (
        select(Trade.number)
        .where(
            Trade.user_id == user_id,
            cast(Trade.number, String).startswith(typed.strip(), autoescape=True),
        )
        .order_by(Trade.number.desc())
    )


KNOWN: dict[str, Callable[[int, str], Select[Any]]] = {
    "ticker": _tickers,
    "strategy": _strategies,
    "account": _accounts,
    "number": _numbers,
}
